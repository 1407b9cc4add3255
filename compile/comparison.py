"""Comparison of one value: a compiled and an eager result against the truth, each element with its own tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tape import Var

__all__ = ["Comparison", "compare", "precision"]

SAFETY = 8.0
ULPS = 8.0


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
    eps, tiny = precision(var.dtype)
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


def precision(dtype: np.dtype[Any]) -> tuple[float, float]:
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
