"""How far a result may be from the truth: what rounding does to it, measured and not guessed.

The truth is the same computation in float64. A result in a dtype of precision eps is right if each of its elements
is within

    eps * (CONSTANT * spread + |truth|) + floor

of it, where `spread` says, per element, how a relative error of 1 in every operand and result of every primitive on
the way would show, to first order: how large the terms were that cancelled. It is measured by running the computation
in float64 with random relative errors of 2**-26 planted in each of them (Monte Carlo arithmetic) and dividing by that.
"""

from __future__ import annotations

import contextlib

import ml_dtypes
import numpy as np

from tapegrad.tape import PRIMITIVES

from .oracles import eager

RUNS = 6
STEP = 2.0**-26

SMALL = 0.25
"""Operands are besides taken to be wrong by eps times this, in absolute terms: formulas that agree but for rounding
may differ in whether terms of the size of one cancel near zero."""

CONSTANT = 4.0
"""A primitive is allowed eight half-ulp roundings. The largest of RUNS random sums of a few terms stands for the sum
of their magnitudes, and XLA's functions are wrong by a few ulp where NumPy's are right to one."""

EXACT = frozenset(
    [
        "neg", "abs", "sign", "floor", "ceil", "trunc", "round", "where", "maximum", "minimum", "clip", "relu",
        "threshold_backward", "conj", "real", "imag", "floor_divide", "eq", "ne", "lt", "le", "gt", "ge", "bitwise_and",
        "bitwise_or", "bitwise_xor", "bitwise_not", "isnan", "isinf", "isfinite", "take", "put", "gather", "reduce_max",
        "reduce_min", "argmax", "argmin", "any", "all", "reshape", "permute", "broadcast_to", "flip", "slice",
        "unslice", "slice_scatter", "concatenate", "stop_gradient", "rebind", "opaque", "barrier", "constant", "full",
        "max_pool", "max_pool_index", "max_pool_pick", "random_bits", "random_advance", "random_uniform", "random_integers",
        "search_sorted",
    ]
)  # fmt: skip
"""Primitives that only choose, move or compare: their results are not rounded, and equal numbers must stay equal."""


@contextlib.contextmanager
def planted_errors(seed):
    """Run primitives with relative errors of STEP, random in sign, in their operands and results."""
    rng = np.random.default_rng(seed)
    forwards = {prim: prim.forward for prim in PRIMITIVES.values()}
    try:
        for prim, forward in forwards.items():
            prim.forward = _with_errors(forward, rng, prim.name in EXACT)
        yield
    finally:
        for prim, forward in forwards.items():
            prim.forward = forward


def _with_errors(forward, rng, exact):
    def run(*operands, **params):
        if exact and not any(np.iscomplexobj(x) for x in operands):
            return forward(*operands, **params)
        return _perturbed(forward(*[_perturbed(x, rng) for x in operands], **params), rng)

    return run


def _perturbed(x, rng):
    if not isinstance(x, np.ndarray | np.generic) or x.dtype.kind not in "fc":
        return x
    errors = rng.choice([-STEP, STEP], x.shape)
    if x.dtype.kind == "c":
        errors = errors * np.exp(1j * rng.uniform(0, np.pi, x.shape))
    wrong = (x * (1 + errors)).astype(x.dtype)
    return np.asarray(wrong) if isinstance(x, np.ndarray) else wrong


def spreads(probe):
    """The truth about the probe's outcome, and the spread of each of its parts."""
    double = probe.in_double()

    def parts(rng):
        return eager(double.nudged(rng, STEP * SMALL) if rng else double, by_primitives=True).parts

    return measured(parts)


def measured(function):
    """The parts of `function(None)`, in double precision, and how much errors planted in it spread each.

    The function is given a random generator when errors are planted, to plant some of its own.
    """
    truth = function(None)
    found = [np.zeros(part.shape) for part in truth]
    for seed in range(RUNS):
        with planted_errors(seed), np.errstate(all="ignore"):
            for spread, part, exact in zip(found, function(np.random.default_rng(seed)), truth, strict=True):
                if part.dtype.kind in "fc":
                    np.maximum(spread, np.abs(part - exact) / STEP, out=spread, where=np.isfinite(exact))
    return truth, found


def precision(dtype):
    """eps and the absolute error that underflow may leave: XLA flushes subnormals, except in float16, where they
    are within the numbers met here and each loses up to the smallest; a later factor enlarges it to 32 at most."""
    info = ml_dtypes.finfo(np.zeros(0, dtype).real.dtype)
    floor = 32 * float(info.smallest_subnormal) if dtype == np.float16 else 4 * float(info.smallest_normal)
    return float(info.eps), floor


def check(name, got, truth, spread, computed_in=None):
    """Raise AssertionError unless `got` is `truth` but for rounding; integers and bools must be equal.

    `computed_in` is the least precise dtype on the way, if it is not that of the result.
    """
    assert got.shape == truth.shape, f"{name}: shape {got.shape}, not {truth.shape}"
    if got.dtype.kind in "biu":
        np.testing.assert_array_equal(got, truth, err_msg=name)
        return
    eps, floor = precision(computed_in or got.dtype)
    wide = got.astype(truth.dtype)
    same = (wide == truth) | (np.isnan(wide) & np.isnan(truth))
    with np.errstate(invalid="ignore"):
        tolerance = eps * (CONSTANT * spread + np.abs(truth)) + floor
        bad = ~same & ~(np.abs(wide - truth) <= tolerance)
    assert np.isfinite(spread[np.isfinite(truth)]).all(), f"{name}: the spread is not finite, nothing can be judged"
    at = np.argwhere(bad).tolist()
    assert not at, f"{name} {got.dtype}: {wide[bad]} is not {truth[bad]}, tolerance {tolerance[bad]}, at {at}"
