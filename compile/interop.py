"""to_jax: what a function of tensors computes, as a pure JAX function of (state, arguments) for JAX users."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ShapeError
from ..tape import Tape, TensorBase, Var, wrap
from ..tree import Structure, flatten, unflatten
from .device import from_device, store, value_of
from .eager_run import EagerRun
from .lower import lower_flat
from .signature import signature_of

__all__ = ["PureFunction", "to_jax"]

State = dict[str, Any]


def to_jax(function: Callable[..., Any]) -> PureFunction:
    """The pure JAX function of a function of tensors, with all that it captures passed in and handed back.

        pure = tg.to_jax(step)
        state = pure.state()
        result, state = jax.jit(pure)(state, x, y)
        pure.load(state)

    `pure(state, *args, **kwargs)` takes JAX or NumPy arrays, or what JAX traces, in nested containers, and returns the
    function's result, arrays in place of tensors, with the new state. It may be passed to `jax.jit`, `grad`, `vmap`,
    `lax.scan` and so on. `state` is a dict, by name, of the values of all tensors that the function captures
    (parameters, buffers, optimiser state) and of their gradients (`w.grad`), as long as they have one: where the first
    step gives gradients to what had none, the state has more entries after it.

    The function is recorded, on zeros for the arguments and the captured tensors' own values, once per signature, and
    everything is put back; then only the tape is used. Floating arguments require grad as far as the function sees, so
    that `detach()` and `no_grad` stop derivatives that JAX takes, and no argument is changed: a new value of one that
    the function writes to is lost unless returned.

    Raises UnsupportedError for what a tape cannot hold, such as reading a tensor's value in Python, and TypeError for
    a state that is not one of this function's.
    """
    if not callable(function):
        raise TypeError(f"to_jax: expected a function, got {type(function).__name__}")
    return PureFunction(function)


class PureFunction:
    """A pure function of (state, arguments); made by `to_jax`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._name = getattr(function, "__name__", type(function).__name__)
        self._programs: dict[Hashable, _Program] = {}
        self._lock = threading.RLock()

    def state(self, *_: Any, **__: Any) -> State:
        """The present values of what the function captures, by name: arrays of their own. Arguments are of no account.

        Raises UnsupportedError if the function captures something whose changes cannot be watched.
        """
        with jax.enable_x64(True):
            return {label: jnp.array(value_of(t, keep=False)) for label, t in _captured(self._function).items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Write `state` into the captured tensors, all or nothing, unseen by autograd.

        A tensor whose gradient is not in `state` has none afterwards. Raises TypeError for missing or unknown names,
        ShapeError for another shape or dtype.
        """
        owners = self._owners(state)
        targets = {label: t for label, t in _captured(self._function).items() if label in state}
        fresh = {f"{label}.grad": t for label, t in owners.items() if f"{label}.grad" in state and t._grad is None}
        for label, t in {**targets, **fresh}.items():
            shape, dtype = _type_of(t)
            if jnp.shape(state[label]) != shape or state[label].dtype != dtype:
                raise ShapeError(
                    f"{self._name}: {label} is {dtype}{list(shape)}, the state has "
                    f"{state[label].dtype}{list(jnp.shape(state[label]))}"
                )
        with jax.enable_x64(True):  # copies, as the caller may donate what is his
            copies = {label: jnp.array(state[label]) for label in {**targets, **fresh}}
        for label, t in targets.items():
            store(t, copies[label])
        for label, t in owners.items():
            if f"{label}.grad" not in state:
                t._grad = None
            elif t._grad is None:
                t._grad = from_device(copies[f"{label}.grad"])

    def __call__(self, state: Mapping[str, Any], *args: Any, **kwargs: Any) -> tuple[Any, State]:
        """The result of the function, and the state after it."""
        leaves, structure = flatten((args, kwargs))
        arrays = [_as_array(leaf) for leaf in leaves]
        owners = self._owners(state)
        kinds = tuple([
            (type(leaf), leaf) if a is None else (a.shape, a.dtype) for leaf, a in zip(leaves, arrays, strict=True)
        ])  # fmt: skip
        with self._lock, _with_gradients(owners, state):
            signature = _signature(self._function, (), {})
            key = structure, kinds, signature.key, tuple(map(id, owners.values())), frozenset(state)
            program = self._programs.get(key)
            if program is None:
                examples = [leaf if a is None else _example(a) for leaf, a in zip(leaves, arrays, strict=True)]
                program = self._programs[key] = _recorded(self._function, structure, examples)
        with jax.enable_x64(True):
            outputs = program.run(*[self._input(x, state, arrays) for x in program.inputs])
        after = {
            label: self._input(x, state, arrays) for label, x in program.kept.items() if x in state or label in state
        }
        return program.result(outputs), after | dict(zip(program.written, outputs[program.results :], strict=True))

    def _input(self, x: str | int, state: Mapping[str, Any], arrays: Sequence[Any]) -> Any:
        if isinstance(x, int):
            return arrays[x]
        if x not in state:
            raise self._misfit(f"{x} is missing")
        return state[x]

    def _owners(self, state: Mapping[str, Any]) -> dict[str, TensorBase]:
        """The captured tensors but for gradients, by name. Raises TypeError if the names in `state` are not theirs."""
        owners = {label: t for label, t in _captured(self._function).items() if not label.endswith(".grad")}
        missing = sorted(set(owners) - set(state) - {_GENERATOR})  # which few functions need
        unknown = sorted(set(state) - set(owners) - {f"{label}.grad" for label in owners})
        if missing or unknown:
            raise self._misfit(f"{missing[0]} is missing" if missing else f"{unknown[0]} is nothing that it captures")
        return owners

    def _misfit(self, what: str) -> TypeError:
        return TypeError(f"{self._name}: the state does not fit the function: {what}")


@dataclass
class _Program:
    """A recorded function: `run(*inputs)` gives its outputs, the first `results` of which make its result.

    `inputs` says what each input is: the name of a captured tensor, or the number of an argument's leaf. The other
    outputs are the new values of what is `written`; `kept` is the rest of the state, with what it is the value of.
    """

    run: Callable[..., tuple[Any, ...]]
    inputs: list[str | int]
    results: int
    leaves: list[Any]
    structure: Structure
    written: list[str]
    kept: dict[str, str | int]

    def result(self, outputs: Sequence[Any]) -> Any:
        """The function's result."""
        remaining = iter(outputs)
        return unflatten(self.structure, [next(remaining) if x is _TENSOR else x for x in self.leaves])


_TENSOR = object()
_GENERATOR = "default_generator"


def _recorded(function: Callable[..., Any], structure: Structure, examples: list[Any]) -> _Program:
    """The program of `function` on `examples` (the leaves of its arguments), recorded and undone.

    All that is known here of how jit records is in this function and `_captured`.
    """
    args, kwargs = unflatten(structure, examples)
    arguments = {id(x): i for i, x in enumerate(examples) if isinstance(x, TensorBase)}

    @functools.wraps(function)
    def call(*_: Any, **__: Any) -> Any:
        inner = [x.clone() if id(x) in arguments and x._requires_grad else x for x in examples]  # no leaf is written to
        args, kwargs = unflatten(structure, inner)
        return function(*args, **kwargs)

    captured = _captured(function)
    grads = {label: t._grad for label, t in captured.items()}
    before = _signature(function, (), {}).key
    run = EagerRun(call, _signature(function, args, kwargs), args, kwargs, guards=False)

    def recorded() -> _Program:
        run.start()
        try:
            recorder, tape = run.recorder, run.recorder.tape
            leaves, result_structure = flatten(run.result)
            results = [recorder.read(x) for x in leaves if isinstance(x, TensorBase)]
            after = {label: t for label, t in captured.items() if not label.endswith(".grad")}
            after |= {f"{label}.grad": g for label, t in after.items() if (g := t._grad) is not None}
            values = {label: recorder.read(t) for label, t in after.items()}
            written = {label: var for label, var in values.items() if var not in tape.inputs}
            outputs = [*results, *written.values()]
            for label, t in captured.items():
                t._grad = grads[label]
            if _signature(function, (), {}).key != before:
                raise recorder.unsupported("a change to something other than tensors' values and gradients: return it")
            names: dict[Any, str | int] = {recorder.position(t): label for label, t in captured.items()}
            names |= {recorder.position(x): i for x in examples if (i := arguments.get(id(x))) is not None}
            read = _read(tape, outputs)
            return _Program(
                run=lower_flat(replace(tape, inputs=[tape.inputs[i] for i in read], outputs=outputs)),
                inputs=[names[i] for i in read],
                results=len(results),
                leaves=[_TENSOR if isinstance(x, TensorBase) else _plain(recorder, x) for x in leaves],
                structure=result_structure,
                written=list(written),
                kept={label: names[tape.inputs.index(var)] for label, var in values.items() if label not in written},
            )
        finally:
            run.undo()

    made: _Program = run.all_or_nothing(recorded)
    return made


def _captured(function: Callable[..., Any]) -> dict[str, TensorBase]:
    """The tensors that a function captures, and their gradients, by name."""
    signature = _signature(function, (), {})
    labels = [
        f"{label.removesuffix('._grad')}.grad" if label.endswith("._grad") else label for label in signature.labels
    ]
    return dict(zip(labels, signature.tensors, strict=True))


def _signature(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """All that a call can reach; floats are constants of the program."""
    return signature_of(function, args, kwargs, followed=False)


def _read(tape: Tape, outputs: Sequence[Var]) -> list[int]:
    """The positions of the tape's inputs that the outputs depend on."""
    needed = set(outputs)
    for step in reversed(tape.steps):
        if any(var in needed for var in step.outputs):
            needed.update(step.vars)
    return [i for i, var in enumerate(tape.inputs) if var in needed]


def _plain(recorder: Any, leaf: Any) -> Any:
    """A result that is no tensor, if it cannot change."""
    if leaf is None or isinstance(leaf, bool | int | float | complex | str | bytes):
        return leaf
    raise recorder.unsupported(f"returning a {type(leaf).__name__}: return tensors or numbers")


@contextlib.contextmanager
def _with_gradients(owners: Mapping[str, TensorBase], values: Mapping[str, Any]) -> Iterator[None]:
    """Inside the block, those tensors have a gradient for which there are values."""
    before = {label: t._grad for label, t in owners.items()}
    try:
        for label, t in owners.items():
            if f"{label}.grad" not in values:
                t._grad = None
            elif t._grad is None:
                t._grad = wrap(np.zeros(*_type_of(t)))
        yield
    finally:
        for label, t in owners.items():
            t._grad = before[label]


def _type_of(t: TensorBase) -> tuple[tuple[int, ...], Any]:
    source = t._array if t._device is None else t._device
    return source.shape, source.dtype


def _as_array(leaf: Any) -> Any:
    """An argument that is an array, or something like it; None for others, which stay as they are."""
    if isinstance(leaf, TensorBase):
        return value_of(leaf, keep=False)
    return leaf if isinstance(leaf, jax.Array | np.ndarray | np.generic) else None


def _example(array: Any) -> Any:
    """A tensor of zeros like an argument; it requires grad where it can, so that the tape has what stops gradients."""
    t = wrap(np.zeros(array.shape, array.dtype))
    t._requires_grad = t._array.dtype.kind not in "biu"
    return t
