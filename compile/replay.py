"""The tape replayed eagerly in float64: the truth, or with noise, how rounding spreads."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..autograd import grad
from ..primitives import arithmetic, indexing, pooling, random, shaping, structure
from ..tape import PRIMITIVES, Step, Tape, TensorBase, Var, apply, state, wrap
from .comparison import precision
from .plan import backward_parts

__all__ = ["replay", "replay_tensors", "unwatched", "wide_leaf"]

_EXACT = frozenset(
    prim.forward
    for prim in (
        shaping.reshape, shaping.permute, shaping.slice_, shaping.unslice, shaping.slice_scatter, shaping.flip,
        shaping.concatenate, shaping.broadcast_to, structure.stop_gradient, structure.rebind, structure.constant,
        structure.opaque, structure.barrier,
        structure.full, indexing.take, indexing.gather, indexing.put, arithmetic.where, arithmetic.neg,
        pooling.max_pool, pooling.max_pool_pick, random.random_uniform, random.random_integers,
    )
)  # fmt: skip
"""Forwards that round nothing."""

_INDEXED = frozenset({indexing.take, indexing.take_add, indexing.put, indexing.gather, indexing.scatter_add})
"""Primitives whose last operand is positions."""

_ELEMENTWISE = frozenset(prim.forward for prim in PRIMITIVES.values() if prim.elementwise)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float64 for floats, complex128 for complex numbers, the dtype itself otherwise."""
    if dtype.kind in "biu":
        return dtype
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


class _Noise:
    """Runs primitives in place of `state.quiet`, as if every operand and every result had been rounded.

    `roundings` has the size of a rounding error for each step of the tape.
    """

    _POOL = 1 << 16

    def __init__(self, seed: int, roundings: dict[Step, float]) -> None:
        self.generator = np.random.default_rng(seed)
        self.pool = self.generator.standard_normal(2 * self._POOL)
        self.quiet = state.quiet
        self.roundings = roundings
        self.eps = 0.0

    def begin(self, step: Step) -> None:
        """From here on, primitives belong to `step`."""
        self.eps = self.roundings[step]

    def __call__(self, function: Callable[..., Any], *arrays: Any, **params: Any) -> Any:
        if function in _EXACT:
            return self.quiet(function, *arrays, **params)
        growth = 1.0 if function in _ELEMENTWISE else math.sqrt(_terms(arrays))
        out = self.quiet(function, *[self.rounded(a, growth) for a in arrays], **params)
        if function not in _ELEMENTWISE:
            growth = max(growth, math.sqrt(_terms([*arrays, out])))
        return self.rounded(out, growth)

    def several(self, function: Callable[..., list[Any]], arrays: Sequence[Any], operations: int) -> list[Any]:
        """The results of a function that does so many `operations` inside, its operands and results rounded."""
        growth = math.sqrt(_terms(arrays) * operations)
        outs = function(*[self.rounded(a, growth) for a in arrays])
        growth = max(growth, math.sqrt(_terms([*arrays, *outs]) * operations))
        return [self.rounded(out, growth) for out in outs]

    def rounded(self, a: Any, growth: float) -> Any:
        """`a` changed by a random relative amount."""
        if not isinstance(a, np.ndarray | np.generic) or a.dtype.kind not in "fc":
            return a
        start = self.generator.integers(self._POOL)
        noise = self.pool[start : start + a.size] if a.size <= self._POOL else np.resize(self.pool[start:], a.size)
        return self.quiet(np.multiply, a, 1.0 + self.eps * growth * noise.reshape(a.shape)).astype(a.dtype, copy=False)


def _terms(arrays: Sequence[Any]) -> float:
    """How many terms a sum over these arrays may have."""
    shapes = [a.shape for a in arrays if isinstance(a, np.ndarray)]
    sizes = [max(math.prod(shape), 1) for shape in shapes] or [1]
    return max(max(sizes) / min(sizes), max((n for shape in shapes for n in shape), default=1), 1)


def _roundings(tape: Tape) -> dict[Step, float]:
    """Per step, the coarsest spacing at 1 of the floating dtypes it works in; a backward works in its ancestors'."""
    reach: dict[Var, float] = {v: _spacing([v]) for v in tape.inputs}
    found = {}
    for step in tape.steps:
        found[step] = _spacing([*step.vars, *step.outputs])
        behind = max([found[step], *[reach[v] for v in step.vars]])
        if step.prim is structure.backward:
            found[step] = behind
        reach.update(dict.fromkeys(step.outputs, behind))
    return found


def _spacing(variables: Sequence[Var]) -> float:
    return max((precision(v.dtype)[0] for v in variables if v.dtype.kind not in "biu"), default=0.0)


def replay(
    tape: Tape, values: Sequence[Any], seed: int | None = None, wanted: Sequence[Var] | None = None
) -> dict[Var, Any]:
    """Run the tape eagerly in float64 on input `values`; with a seed, with noise.

    Returns the arrays of the `wanted` Vars, by default of all.
    """
    recorder, enabled, quiet = state.recorder, state.grad_enabled, state.quiet
    state.recorder, state.grad_enabled = None, True
    noise = None if seed is None else _Noise(seed, _roundings(tape))
    if noise is not None:
        state.quiet = noise
    done = {} if wanted is None else _last_uses(tape, wanted)
    try:
        env: dict[Var, Any] = {}
        for var, value in zip(tape.inputs, values, strict=True):
            env[var] = _leaf(np.asarray(value).astype(_wide(var.dtype)), var.requires_grad)
        for step in tape.steps:
            if noise is not None:
                noise.begin(step)
            env.update(zip(step.outputs, _replay_step(step, env), strict=True))
            for var in done.get(step, ()):
                del env[var]
        return {var: env[var]._array for var in (env if wanted is None else wanted)}
    finally:
        state.recorder, state.grad_enabled, state.quiet = recorder, enabled, quiet


def _last_uses(tape: Tape, wanted: Sequence[Var]) -> dict[Step, list[Var]]:
    """Per step, the values that are of no use after it."""
    later = set(wanted)
    found = {}
    for step in reversed(tape.steps):
        used = {*step.vars, *step.outputs}
        found[step] = [var for var in used if var not in later]
        later |= used
    return found


def replay_tensors(tape: Tape, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of the tape, run eagerly on tensors (see `wide_leaf`), with their graph."""
    env: dict[Var, Any] = dict(zip(tape.inputs, inputs, strict=True))
    for step in tape.steps:
        env.update(zip(step.outputs, _replay_step(step, env), strict=True))
    return [env[var] for var in tape.outputs]


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Inside the block, nobody sees what is done, and graphs are made."""
    now = state.now
    before = now.recorder, now.watchers, now.grad_enabled, now.walk
    now.recorder, now.watchers, now.grad_enabled, now.walk = None, (), True, None
    try:
        yield
    finally:
        now.recorder, now.watchers, now.grad_enabled, now.walk = before


def wide_leaf(x: Any) -> Any:
    """A tensor with the value of `x` in the dtype that replays use, a leaf that requires grad if `x` does."""
    array = x._array if isinstance(x, TensorBase) else np.asarray(x)
    return _leaf(array.astype(_wide(array.dtype)), isinstance(x, TensorBase) and x._requires_grad)


def _leaf(array: Any, requires_grad: bool) -> Any:
    t = wrap(array)
    t._requires_grad = requires_grad
    return t


def _replay_step(step: Step, env: dict[Var, Any]) -> list[Any]:
    if step.prim is structure.backward:
        return _replay_backward(step, env)
    if step.prim is structure.jax_call:
        return _replay_jax_call(step, env)
    operands = [env[v] if isinstance(v, Var) else v for v in step.inputs]
    params: dict[str, Any] = {}
    for name, value in step.params.items():
        params[name] = _wide(value) if isinstance(value, np.dtype) else value
    if step.prim is structure.constant:
        params["value"] = params["value"].astype(_wide(params["value"].dtype))
    if step.prim in _INDEXED:
        n = params["size"] if "size" in params else operands[0]._array.shape[params["axis"]]
        operands[-1] = _within(operands[-1], n)
    out = apply(step.prim, tuple(operands), params)
    (var,) = step.outputs
    if var.requires_grad != out._requires_grad:
        out = _leaf(out._array, var.requires_grad)
    return [out]


def _within(index: Any, n: int) -> Any:
    """Positions from 0 to n - 1: those that rounding led out of that, the nearest ones."""
    positions = index._array
    return index if ((positions >= 0) & (positions < n)).all() else wrap(positions.clip(0, n - 1))


def _replay_jax_call(step: Step, env: dict[Var, Any]) -> list[Any]:
    """A JAX function in float64, or in the dtypes it was recorded in if it takes no others."""
    operands = [env[v] if isinstance(v, Var) else v for v in step.inputs]
    operation = step.params["function"]
    try:
        outs, _ = operation(*operands)
    except (TypeError, ValueError):
        outs = []
    if [out._array.shape for out in outs] != [var.shape for var in step.outputs]:
        own = [_cast(x, v.dtype) if isinstance(v, Var) else x for x, v in zip(operands, step.inputs, strict=True)]
        outs, _ = operation(*own)
    outs = [_cast(out, _wide(var.dtype)) for out, var in zip(outs, step.outputs, strict=True)]
    return [
        out if out._requires_grad == var.requires_grad else _leaf(out._array, var.requires_grad)
        for out, var in zip(outs, step.outputs, strict=True)
    ]


def _cast(x: Any, dtype: np.dtype[Any]) -> Any:
    return x if x._array.dtype == dtype else apply(structure.cast, (x,), {"dtype": dtype})


def _replay_backward(step: Step, env: dict[Var, Any]) -> list[Any]:
    roots, cotangents, leaves = backward_parts(step)
    grads = grad(
        [env[v] for v in roots],
        [env[v] for v in leaves],
        [env[v] for v in cotangents],
        retain_graph=True,
        create_graph=True,  # so that the rules run on tensors, and their primitives get noise
        allow_unused=True,
    )
    found = []
    for g, out in zip(grads, step.outputs, strict=True):
        array = np.zeros(out.shape, _wide(out.dtype)) if g is None else g._array
        found.append(g if g is not None and out.requires_grad else _leaf(array, False))
    return found
