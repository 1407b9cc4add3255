"""The check: is what a compiled program computed what the tape says, to the accuracy its dtype allows?

The truth is the same tape replayed eagerly in float64. How far a float32 result may be from it is not guessed but
measured, per element, by Monte Carlo arithmetic: the replay is repeated with the operands and the result of every
primitive, in the forward steps and inside the VJP rules, changed by random relative amounts of the size of a rounding
error. The spread of an output element over the runs says how strongly rounding is amplified there, cancellation
included: that is where terms much larger than their sum are changed.

    D. S. Parker, Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic, UCLA CSD-970002, 1997.

Primitives that sum n terms get noise larger by sqrt(n), the growth of the error of summing in any order. Integers and
bools must be equal, except where the noise changes them too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import grad
from ..errors import CheckError
from ..primitives import arithmetic, indexing, shaping, structure
from ..tape import PRIMITIVES, Step, Tape, Var, apply, state, wrap
from .plan import backward_parts

__all__ = ["Comparison", "Report", "check", "replay"]

SAMPLES = 8
SAFETY = 8.0
ULPS = 8.0

_EXACT = frozenset(
    prim.forward
    for prim in (
        shaping.reshape, shaping.permute, shaping.slice_, shaping.unslice, shaping.slice_scatter, shaping.flip,
        shaping.concatenate, shaping.broadcast_to, structure.stop_gradient, structure.rebind, structure.constant,
        structure.full, indexing.take, indexing.gather, indexing.put, arithmetic.where, arithmetic.neg,
    )
)  # fmt: skip
"""Forwards that round nothing."""

_ELEMENTWISE = frozenset(prim.forward for prim in PRIMITIVES.values() if prim.elementwise)


@dataclass(frozen=True)
class Comparison:
    """One output: the worst error as a fraction of its tolerance (at most 1 passes), and where."""

    name: str
    fraction: float
    index: tuple[int, ...]
    compiled: Any
    eager: Any
    truth: Any
    tolerance: float

    def __str__(self) -> str:
        return f"{self.name}: worst error {self.fraction:.2g} of tolerance"


@dataclass
class Report:
    """The comparison of every output; `blame` is what a failed check found out about the cause."""

    name: str
    comparisons: list[Comparison]
    blame: str = ""

    @property
    def worst(self) -> float:
        """The largest fraction of a tolerance."""
        return max((c.fraction for c in self.comparisons), default=0.0)

    def __str__(self) -> str:
        width = max((len(c.name) for c in self.comparisons), default=0)
        verdict = "agrees with the eager tape" if self.worst <= 1 else "DISAGREES with the eager tape"
        lines = [f"check of {self.name}: compiled program {verdict} (worst error, as a fraction of its tolerance)"]
        lines += [f"    {c.name:<{width}}  {c.fraction:8.3f}" for c in self.comparisons]
        return "\n".join(lines)

    def raise_if_failed(self) -> None:
        """Raise CheckError, naming the worst output and the first step that diverges, if an error is over tolerance."""
        bad = max(self.comparisons, key=lambda c: c.fraction, default=None)
        if bad is None or bad.fraction <= 1:
            return
        raise CheckError(
            f"{self.name}: the compiled program disagrees with the eager tape in {bad.name}{list(bad.index)}: compiled "
            f"{bad.compiled!r}, eager {bad.eager!r}, float64 {bad.truth!r}, tolerance {bad.tolerance:.3g}."
            f"\n{self.blame}"
        )


def check(
    tape: Tape, values: Sequence[Any], eager: Sequence[Any], compiled: Sequence[Any], names: Sequence[str]
) -> Report:
    """Compare the `compiled` outputs of `tape` for the input `values` with the `eager` ones.

    All are NumPy arrays, in the order of the tape's inputs and outputs; `names` are the outputs' for the report.
    """
    envs = _runs(tape, values, tape.outputs)
    comparisons = [
        compare(name, var, [env[var] for env in envs], e, c)
        for name, var, e, c in zip(names, tape.outputs, eager, compiled, strict=True)
    ]
    report = Report(tape.name, comparisons)
    if report.worst > 1:
        from .blame import blame

        report.blame = blame(tape, values, _runs(tape, values, None))
    return report


def _runs(tape: Tape, values: Sequence[Any], wanted: Sequence[Var] | None) -> list[dict[Var, Any]]:
    """The true replay, then those with noise."""
    return [replay(tape, values, seed, wanted) for seed in (None, *range(SAMPLES))]


def compare(name: str, var: Var, runs: Sequence[Any], eager: Any, compiled: Any) -> Comparison:
    """One output against its truth (`runs[0]`) and tolerance (the spread of the other runs)."""
    truth, tolerance = tolerances(var, runs)
    compiled, eager = np.asarray(compiled), np.asarray(eager)
    fraction = np.maximum(_fraction(compiled, eager, truth, tolerance), _fraction(eager, compiled, truth, tolerance))
    if not fraction.size:
        return Comparison(name, 0.0, (), None, None, None, 0.0)
    at = np.unravel_index(np.argmax(fraction), fraction.shape)
    index = tuple(int(i) for i in at)
    return Comparison(
        name, float(fraction[at]), index, compiled[at].item(), eager[at].item(), truth[at].item(), float(tolerance[at])
    )





def _fraction(found: Any, other: Any, truth: Any, tolerance: Any) -> Any:
    """The error of `found` as a fraction of its tolerance.

    Where the two runs give the very same (an overflow, or a choice that hung on a rounding), there is nothing to blame.
    """
    with np.errstate(all="ignore"):
        error = np.abs(_widened(found) - truth)
        fraction = np.where(error == 0, 0.0, error / tolerance)
        same = (found == other) | (_is_nan(found) & _is_nan(other))
        fraction = np.where(np.isnan(fraction), np.inf, fraction)
        return np.where(same, np.where(np.isfinite(fraction), np.minimum(fraction, 1.0), 0.0), fraction)


def _is_nan(x: Any) -> Any:
    return x != x  # noqa: PLR0124  (for every dtype, bfloat16 and integers too)


def tolerances(var: Var, runs: Sequence[Any]) -> tuple[Any, Any]:
    """The truth and, per element, how far from it a correct result may be."""
    truth = _widened(runs[0])
    if var.dtype.kind in "biu":
        changed = np.any([run != runs[0] for run in runs[1:]], axis=0)
        return truth, np.where(changed, np.inf, 0.5)
    eps, tiny = _precision(var.dtype)
    with np.errstate(all="ignore"):
        spread = _spread(np.stack([np.abs(_widened(run) - truth) for run in runs[1:]]))
        return truth, SAFETY * spread + ULPS * eps * np.abs(truth) + tiny


def _spread(deviations: Any) -> Any:
    """The root mean square over the runs, of those that stayed finite; infinite where most did not."""
    finite = np.isfinite(deviations)
    kept = np.where(finite, deviations, 0.0)
    largest = np.max(kept, axis=0)  # squares of very large or small numbers would not be numbers any more
    scaled = kept / np.where(largest > 0, largest, 1.0)
    count = np.count_nonzero(finite, axis=0)
    mean = np.sum(scaled**2, axis=0) / np.maximum(count, 1)
    return np.where(2 * count > len(deviations), largest * np.sqrt(mean), np.inf)


def _precision(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The spacing of numbers at 1 and the smallest normal number of a floating or complex dtype.

    XLA on CPU flushes numbers below the smallest normal one to 0.
    """
    info = _finfo(dtype)
    return float(info.eps), float(info.tiny if hasattr(info, "tiny") else info.smallest_normal)


def _finfo(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "V":
        import ml_dtypes

        return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return np.finfo(dtype)


def _widened(x: Any) -> Any:
    """`x` in float64 or complex128."""
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


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

    def rounded(self, a: Any, growth: float) -> Any:
        """`a` changed by a random relative amount."""
        if not isinstance(a, np.ndarray | np.generic) or a.dtype.kind not in "fc":
            return a
        start = self.generator.integers(self._POOL)
        noise = self.pool[start : start + a.size] if a.size <= self._POOL else np.resize(self.pool[start:], a.size)
        return self.quiet(np.multiply, a, 1.0 + self.eps * growth * noise.reshape(a.shape))


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
    return max((_precision(v.dtype)[0] for v in variables if v.dtype.kind not in "biu"), default=0.0)


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
    try:
        env: dict[Var, Any] = {}
        for var, value in zip(tape.inputs, values, strict=True):
            env[var] = _leaf(np.asarray(value).astype(_wide(var.dtype)), var.requires_grad)
        for step in tape.steps:
            if noise is not None:
                noise.begin(step)
            env.update(zip(step.outputs, _replay_step(step, env), strict=True))
        return {var: env[var]._array for var in (env if wanted is None else wanted)}
    finally:
        state.recorder, state.grad_enabled, state.quiet = recorder, enabled, quiet


def _leaf(array: Any, requires_grad: bool) -> Any:
    t = wrap(array)
    t._requires_grad = requires_grad
    return t


def _replay_step(step: Step, env: dict[Var, Any]) -> list[Any]:
    if step.prim is structure.backward:
        return _replay_backward(step, env)
    operands = [env[v] if isinstance(v, Var) else v for v in step.inputs]
    params: dict[str, Any] = {}
    for name, value in step.params.items():
        params[name] = _wide(value) if isinstance(value, np.dtype) else value
    if step.prim is structure.constant:
        params["value"] = params["value"].astype(_wide(params["value"].dtype))
    out = apply(step.prim, tuple(operands), params)
    (var,) = step.outputs
    if var.requires_grad != out._requires_grad:
        out = _leaf(out._array, var.requires_grad)
    return [out]


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
