"""A line search for the strong Wolfe conditions, as `LBFGS` uses it.

Bracketing and zoom after Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6, with trial steps where a
cubic through values and slopes has its minimum (there, equation 3.59); limits of trial steps as in Schmidt's minFunc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Trial", "strong_wolfe"]

_DECREASE, _CURVATURE = 1e-4, 0.9  # the constants c1 and c2 of the conditions


class Trial(NamedTuple):
    """The function at one step size: the loss, its gradient, and its slope in the direction searched."""

    size: Any
    loss: float
    grad: Tensor
    slope: Any


def strong_wolfe(
    evaluate: Callable[[Any], Trial], start: Trial, size: Any, longest: Any, tolerance: float, most: int
) -> tuple[Trial, int]:
    """A trial that satisfies the conditions, or the best found after `most` further ones; and how many were made.

    `start` is at step size 0, `size` the first to be tried. The search also ends where the bracket is so small that no
    parameter would move by more than `tolerance`; `longest` is the largest element of the direction.
    """
    bracket, count, done = _bracketed(evaluate, start, size, most)
    low = 0 if bracket[0].loss <= bracket[-1].loss else 1
    stuck = False
    while not done and count < most:
        if abs(bracket[1].size - bracket[0].size) * longest < tolerance:
            break
        size, stuck = _kept_inside(cubic_minimum(bracket[0], bracket[1]), bracket, stuck)
        trial = evaluate(size)
        count += 1
        if trial.loss > start.loss + _DECREASE * size * start.slope or trial.loss >= bracket[low].loss:
            bracket[1 - low] = trial
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        if abs(trial.slope) <= -_CURVATURE * start.slope:
            done = True
        elif trial.slope * (bracket[1 - low].size - bracket[low].size) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = trial
    return bracket[low], count + 1


def _bracketed(evaluate: Callable[[Any], Trial], start: Trial, size: Any, most: int) -> tuple[list[Trial], int, bool]:
    """Two trials with a good one between them (or a good one alone); how many after the first; whether it is good."""
    before, trial = start, evaluate(size)
    for count in range(most):
        too_high = trial.loss > start.loss + _DECREASE * trial.size * start.slope
        if too_high or (count > 1 and trial.loss >= before.loss):
            return [before, trial], count, False
        if abs(trial.slope) <= -_CURVATURE * start.slope:
            return [trial], count, True
        if trial.slope >= 0:
            return [before, trial], count, False
        nearest = trial.size + 0.01 * (trial.size - before.size)
        size = cubic_minimum(before, trial, (nearest, trial.size * 10))
        before, trial = trial, evaluate(size)
    return [start, trial], most, False


def cubic_minimum(a: Trial, b: Trial, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where the cubic with the values and slopes of both trials has its minimum, or the middle if it has none.

    Limited to `bounds`, by default the trials' own step sizes.
    """
    left, right = (a, b) if a.size <= b.size else (b, a)
    low, high = bounds or (left.size, right.size)
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.size - b.size)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    width = right.size - left.size
    minimum = right.size - width * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2))
    return min(max(minimum, low), high)


def _kept_inside(size: Any, bracket: list[Trial], stuck: bool) -> tuple[Any, bool]:
    """`size`, but a tenth of the bracket away from its nearer end if it is at an end, or near one a second time.

    And whether it is near one a first time.
    """
    low, high = sorted([bracket[0].size, bracket[1].size])
    margin = 0.1 * (high - low)
    if not min(high - size, size - low) < margin:
        return size, False
    if not (stuck or size >= high or size <= low):
        return size, True
    return (high - margin if abs(size - high) < abs(size - low) else low + margin), False
