"""Activation checkpointing: save no intermediate values in forward, compute them again in backward.

Two variants, as in PyTorch. With `use_reentrant=False` the function's graph is recorded, but its nodes save place
holders; the first one that is asked for runs the function again, to fill them all. With `use_reentrant=True` the
function is one node, whose backward runs the function again and then a backward through it.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .. import random
from ..autograd.backward import backward
from ..autograd.function import Function
from ..autograd.grad_mode import enable_grad
from ..autograd.graph import saved_tensors_hooks
from ..errors import CheckpointError, NotDifferentiableError
from ..tape import TensorBase, Watcher, alias, edge_of, state, storage_of
from ..tape.node import with_history
from ..tape.saved import Packed, modified, packed
from ..tape.source import user_source

__all__ = [
    "CheckpointError", "CheckpointFunction", "check_backward_validity", "checkpoint", "checkpoint_sequential",
    "detach_variable", "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
]  # fmt: skip

Contexts = tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]

_early_stop = True
_debug: bool | None = None


def noop_context_fn() -> Contexts:
    """Contexts for the forward and the recomputation that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate values are computed again in backward rather than saved.

    Args:
        function: what to run; it must do the same when called again. The state of the random generator is restored for
            that, unless `preserve_rng_state=False` is among the keyword arguments.
        *args: its arguments.
        use_reentrant: which variant (see the module); to be given. The reentrant one takes no keyword arguments and
            no `context_fn`, needs an argument that requires grad, and does not work with `autograd.grad`.
        context_fn: returns two context managers, for the forward and for the recomputation.
        determinism_check: "default" compares shapes and dtypes of what is computed again, "none" does not.
        debug: name the operations of both runs if they differ.
        early_stop: end the recomputation once all that was saved is there.
        **kwargs: its keyword arguments (and `preserve_rng_state`).

    Raises CheckpointError (in backward) if the recomputation saves other tensors than the forward did.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant is None:
        warnings.warn(
            "checkpoint: the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended, "
            "but if you need to preserve the current default behavior, you can pass use_reentrant=True.",
            UserWarning,
            stacklevel=2,
        )
        use_reentrant = True
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ('default', 'none'), got {determinism_check}")
    recorder = state.recorder
    plain = preserve and context_fn is noop_context_fn and state.grad_enabled
    if recorder is not None and plain and not recorder.computes_again:
        with recorder.checkpointed():  # computing again is the business of who runs the tape
            return function(*args, **kwargs)
    if _debug is not None:
        debug = _debug
    return _checkpointed(function, args, kwargs, context_fn, _Options(preserve, determinism_check, debug, early_stop))


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """`functions` applied one after the other to `input`, in `segments` checkpoints; the last segment is not one.

    `functions` is a list of callables, or a module with `children()`.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    listed = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = max(len(listed) // segments, 1)
    starts = range(0, size * (segments - 1), size)
    for start in starts:
        part = _in_turn(listed[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _in_turn(listed[size * (segments - 1) :])(input)


def _in_turn(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for function in functions:
            x = function(x)
        return x

    return run


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Inside the block, checkpoints stop (or do not stop) their recomputation early, whatever they are given."""
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Inside the block, `debug` of each checkpoint is `enabled` (None: as it is given)."""
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tensors among `inputs` as leaves of their own that require grad where those do; the rest as it is."""
    if not isinstance(inputs, tuple):
        raise TypeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    detached: list[Any] = []
    for x in inputs:
        if isinstance(x, TensorBase):
            leaf = alias(x)
            leaf._requires_grad = x._requires_grad
            detached.append(leaf)
        else:
            detached.append(x)
    return tuple(detached)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no tensor among `inputs` requires grad, as then there is nothing to do in backward."""
    if not any(isinstance(x, TensorBase) and x._requires_grad for x in inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", UserWarning, stacklevel=3)


class CheckpointFunction(Function):
    """The reentrant variant: the function as one node."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
        """Run the function without a graph, and keep its arguments."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.generator = random.get_rng_state() if preserve_rng_state else None
        ctx.at = [i for i, a in enumerate(args) if isinstance(a, TensorBase)]
        ctx.others = [None if isinstance(a, TensorBase) else a for a in args]
        ctx.save_for_backward(*[args[i] for i in ctx.at])
        return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run the function again, and backward through it."""
        walk = state.now.walk
        if walk is not None and walk.ends is not None:
            raise NotDifferentiableError(
                "When use_reentrant=True, tapegrad.utils.checkpoint is incompatible with .grad() or passing an "
                "`inputs` parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or "
                "call .backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.others)
        for i, t in zip(ctx.at, ctx.saved_tensors, strict=True):
            inputs[i] = t
        detached = detach_variable(tuple(inputs))
        if state.recorder is not None:
            for x in detached:
                if isinstance(x, TensorBase):
                    state.recorder.computed_again_from(x)
        with random.generator_at(ctx.generator), enable_grad():
            outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, TensorBase) else outputs
        roots = [
            (out, g)
            for out, g in zip(outputs, grads, strict=True)
            if isinstance(out, TensorBase) and out._requires_grad
        ]
        if not roots:
            raise NotDifferentiableError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([out for out, _ in roots], [g for _, g in roots])
        return (None, None, *[x._grad if isinstance(x, TensorBase) else None for x in detached])


class _Options:
    """How one checkpoint is to behave."""

    def __init__(self, preserve: bool, determinism_check: str, debug: bool, early_stop: bool) -> None:
        self.generator = random.get_rng_state() if preserve else None
        self.compares = determinism_check == "default"
        self.debug = debug
        self.early_stop = early_stop and _early_stop

    def listing(self, operations: _Operations) -> contextlib.AbstractContextManager[None]:
        """The block in which `operations` are listed, if they are to be."""
        return state.now.watched_by(operations) if self.debug else contextlib.nullcontext()


class _Inputs:
    """Keeps tensors as a node does: watched for writes, or put away by the hooks of an outer checkpoint."""

    def __init__(self, tensors: Sequence[Any]) -> None:
        self._entries = [self._entry(t) for t in tensors]

    def _entry(self, t: Any) -> tuple[Any, ...]:
        away = packed(t)
        if away is not None:
            return away, edge_of(t)
        storage = storage_of(t)
        return t, storage, storage.version

    def tensors(self) -> list[Any]:
        """The tensors. Raises InPlaceError if one was written to since."""
        found = []
        for entry in self._entries:
            if type(entry[0]) is Packed:
                found.append(with_history(entry[0].unpack(), entry[1]))
                continue
            t, storage, version = entry
            if storage.version != version:
                raise modified("checkpoint", t._array, t._node, storage, version)
            found.append(t)
        return found


class _StopRecomputation(Exception):  # noqa: N818  (a signal, not an error)
    """All that was saved is there again."""


class _Holder:
    """Stands for a tensor that a node would have saved."""

    __slots__ = ("__weakref__", "index")

    def __init__(self, index: int) -> None:
        self.index = index


class _Operations(Watcher):
    """Lists the operations that run, for a report."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, prim: Any, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:  # noqa: ARG002
        """One operation."""
        source = user_source()
        self.lines.append(f"{prim.name} -> {list(out._array.shape)}" + (f"  ({source.place})" if source else ""))


class _Frame:
    """One checkpoint of the non-reentrant variant."""

    def __init__(self, recompute: Callable[[], Any], options: _Options) -> None:
        self.recompute = recompute
        self.options = options
        self.holders: list[weakref.ref[_Holder]] = []
        self.metadata: list[tuple[Any, ...]] = []
        self.operations = _Operations()
        # per walk, what was computed again; a tensor lives until its holder is gone
        self.recomputed: weakref.WeakKeyDictionary[Any, weakref.WeakKeyDictionary[_Holder, Any]] = (
            weakref.WeakKeyDictionary()
        )

    def hold(self, t: TensorBase) -> _Holder:
        """In place of saving `t`."""
        holder = _Holder(len(self.holders))
        self.holders.append(weakref.ref(holder))
        self.metadata.append(_metadata(t))
        return holder

    def get(self, holder: _Holder) -> Any:
        """What `holder` stands for, computed again if this walk has not done so yet."""
        walk = state.now.walk if state.now.walk is not None else _Outside()
        if walk not in self.recomputed or holder not in self.recomputed[walk]:
            self.recomputed[walk] = self._run_again()
        return self.recomputed[walk][holder]

    def _run_again(self) -> weakref.WeakKeyDictionary[_Holder, Any]:
        found: weakref.WeakKeyDictionary[_Holder, Any] = weakref.WeakKeyDictionary()
        seen: list[tuple[Any, ...]] = []

        def keep(t: Any) -> Any:
            number = len(seen)
            seen.append(_metadata(t))
            holder = self.holders[number]() if number < len(self.holders) else None
            if holder is not None:
                found[holder] = alias(t)
            if self.options.early_stop and len(seen) == len(self.holders):
                raise _StopRecomputation
            return alias(t)

        operations = _Operations()
        with (
            contextlib.suppress(_StopRecomputation),
            saved_tensors_hooks(keep, lambda t: t),
            self.options.listing(operations),
            enable_grad(),
        ):
            self.recompute()
        self._compare(seen, operations)
        return found

    def _compare(self, seen: list[tuple[Any, ...]], operations: _Operations) -> None:
        """Raise CheckpointError if what was computed again is not what was computed first."""
        if not self.options.compares and len(seen) >= len(self.holders):
            return
        if len(seen) != len(self.holders):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.holders)}\n"
                f"Number of tensors saved during recomputation: {len(seen)}.{self._advice(operations)}"
            )
        differing = [i for i, (a, b) in enumerate(zip(self.metadata, seen, strict=True)) if a != b]
        if differing:
            lines = [
                f"tensor at position {i}:\nsaved metadata: {_shown(self.metadata[i])}\n"
                f"recomputed metadata: {_shown(seen[i])}"
                for i in differing
            ]
            raise CheckpointError(
                "checkpoint: Recomputed values for the following tensors have different metadata than during the "
                "forward pass.\n" + "\n".join(lines) + f".{self._advice(operations)}"
            )

    def _advice(self, operations: _Operations) -> str:
        if not self.options.debug:
            return "\n\nTip: pass `debug=True` to `checkpoint(...)` to see the operations of both runs."
        first, again = self.operations.lines, operations.lines
        both = itertools.zip_longest(first, again, fillvalue="(nothing)")
        table = [f"{'  ' if a == b else '! '}{a:<50} | {b}" for a, b in both]
        return "\n\nOperations of the forward | of the recomputation:\n" + "\n".join(table)


KEEPING = (_Frame, _Inputs, _Options)
"""The classes of what a graph keeps, besides tensors, to compute them again."""


class _Outside:
    """In place of a walk, where a saved tensor is asked for outside of any."""


def _metadata(t: TensorBase) -> tuple[Any, ...]:
    return t._array.shape, t._array.dtype.name


def _shown(metadata: tuple[Any, ...]) -> str:
    shape, dtype = metadata
    return f"{{'shape': {list(shape)}, 'dtype': {dtype}}}"


def _checkpointed(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context_fn: Callable[[], Contexts],
    options: _Options,
) -> Any:
    """The non-reentrant variant."""
    forward_context, recompute_context = context_fn()
    if not state.grad_enabled:
        with forward_context:
            return function(*args, **kwargs)
    names = list(kwargs)
    values = [*args, *kwargs.values()]
    at = [i for i, v in enumerate(values) if isinstance(v, TensorBase)]
    others = [None if isinstance(v, TensorBase) else v for v in values]
    inputs = _Inputs([values[i] for i in at])

    def recompute() -> Any:
        again = list(others)
        for i, t in zip(at, inputs.tensors(), strict=True):
            again[i] = t
        with random.generator_at(options.generator), recompute_context:
            return function(*again[: len(args)], **dict(zip(names, again[len(args) :], strict=True)))

    frame = _Frame(recompute, options)
    with saved_tensors_hooks(frame.hold, frame.get), options.listing(frame.operations), forward_context:
        return function(*args, **kwargs)
