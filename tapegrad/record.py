"""record: run a function eagerly and keep what it did as a Tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .environment import reach, reachable
from .errors import UnsupportedError
from .tape import Recorder, Tape, TensorBase, state
from .tree import flatten

__all__ = ["record"]


def record(fn: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
    """Run a function, or a `with` block, and return the tape of what it did.

    The function runs as it would anyway. Its tensor arguments (in nested lists, tuples and dicts too) are the tape's
    first inputs; tensors it reads from elsewhere follow. The outputs are its results, then the new values of inputs
    it wrote to and the gradients it gave them. Of a block, the outputs are the values that nothing in it used.
    """
    if fn is None:
        return _recorded_block()
    recorder = Recorder(getattr(fn, "__name__", type(fn).__name__))
    leaves, _ = flatten((args, kwargs))
    label = _argument_names(fn, args)
    for leaf in leaves:
        if isinstance(leaf, TensorBase):
            recorder.add_input(leaf, label.get(id(leaf)))
    recorder.labels = _capture_names(fn)
    with _active(recorder):
        result = fn(*args, **kwargs)
        recorder.finish(result)
    return recorder.tape


def _argument_names(fn: Callable[..., Any], args: tuple[Any, ...]) -> dict[int, str]:
    code = getattr(fn, "__code__", None)
    names = () if code is None else code.co_varnames[: code.co_argcount]
    return {id(arg): name for arg, name in zip(args, names, strict=False)}


def _capture_names(fn: Callable[..., Any]) -> dict[int, str]:
    """What to call the tensors that the function can reach: where they are found."""
    found = reachable()
    with suppress(UnsupportedError):  # something that jit would refuse; names are only for reading
        reach(fn, found)
    return {id(found.objects[number]): found.text(number) for number in found.tensors}


@contextmanager
def _active(recorder: Recorder) -> Iterator[None]:
    before, state.recorder = state.recorder, recorder
    try:
        yield
    finally:
        state.recorder = before


@contextmanager
def _recorded_block() -> Iterator[Tape]:
    recorder = Recorder("block")
    with _active(recorder):
        yield recorder.tape
        recorder.finish_block()
