"""Domains: the numbers an operand is drawn from, so that calls stay off kinks, branch cuts and poles.

A domain is a short table of numbers, the simplest first: hypothesis shrinks towards the first entry, and any two
drawn values are either equal or well apart. Magnitudes are spread, yet such that derivatives stay tame.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "ABOVE_ONE",
    "ANY",
    "BELOW",
    "CURVED",
    "DISTINCT",
    "FINE",
    "GRID",
    "NONZERO",
    "OFF_AXES",
    "OFF_GRID",
    "OFF_INTEGERS",
    "OVER",
    "POSITIVE",
    "SAFE_DIVISORS",
    "SPECIAL",
    "TIES",
    "UNIT",
    "Domain",
    "between",
    "positions",
]  # fmt: skip

_WHOLE = (0, 1, 2, 3, 5, -1, -2, -4)


@dataclass(frozen=True)
class Domain:
    """Numbers to draw from, by kind of dtype: `real` for floats, `plane` for complex, `whole` for integers."""

    name: str
    real: tuple[float, ...]
    plane: tuple[complex, ...] = ()
    whole: tuple[int, ...] = _WHOLE

    def table(self, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """The numbers as an array of `dtype`, the simplest first, each once."""
        if dtype.kind == "b":
            return np.array([False, True])
        if dtype.kind in "iu":
            numbers: Iterable[complex] = [n for n in self.whole if dtype.kind == "i" or n >= 0]
        else:
            numbers = self.plane if dtype.kind == "c" else self.real
        rounded = np.array(list(numbers), np.complex128 if dtype.kind == "c" else np.float64).astype(dtype)
        _, first = np.unique(rounded.astype(np.complex128), return_index=True)
        return rounded[np.sort(first)]

    def __repr__(self) -> str:
        return self.name


def _spread(low: float, high: float, count: int = 40) -> tuple[float, ...]:
    """Positive numbers evenly spaced in their logarithms, their digits many."""
    return tuple(float(x) for x in np.geomspace(low, high, count))


def _signed(numbers: Iterable[float]) -> tuple[float, ...]:
    return tuple(s * x for x in numbers for s in (1.0, -1.0))


def between(low: float, high: float, *simple: float) -> tuple[float, ...]:
    """The `simple` numbers, then some evenly spaced from `low` to `high`."""
    return (*simple, *(float(x) for x in np.linspace(low, high, 60)))


def _disc(radius: float) -> tuple[complex, ...]:
    """Complex numbers of moduli up to `radius` in all directions, the axes among them."""
    turns = np.exp(1j * np.pi * np.arange(16) / 8)
    spiral = [complex(r * t) for r in (1.0, 0.5, 0.25, 0.8) for t in turns]
    return tuple(radius * z for z in spiral)


_OFF_AXES = tuple(
    t * complex(x, s * y)
    for t, x, y, s in itertools.product((1, -1), (0.5, 0.3, 0.7, 1.1, 1.9), (0.5, 0.2, 0.9), (1, -1))
)

_SMOOTH = (0.0, 1.0, -1.0, 2.0, 0.5, *_signed(_spread(2.0**-4, 3.0)))

ANY = Domain("ANY", _SMOOTH, (0j, 1 + 0j, 1j, *_disc(2.0)))
NONZERO = Domain("NONZERO", _SMOOTH[1:], (1 + 0j, 1j, *_disc(2.0)), _WHOLE[1:])
CURVED = Domain("CURVED", between(-2.0, 2.0, 0.0, 1.0, -1.0), (0j, *_disc(1.2)))
"""For functions that grow, or have poles on the imaginary axis beyond 1.2."""

POSITIVE = Domain("POSITIVE", (1.0, 2.0, 0.5, *_spread(0.25, 4.0)), _OFF_AXES, (1, 2, 3, 5))
OFF_AXES = Domain("OFF_AXES", _SMOOTH, _OFF_AXES)
"""Reals, and complex numbers well off both axes: no branch cut is near."""

UNIT = Domain("UNIT", between(-0.85, 0.85, 0.0, 0.5), _OFF_AXES)
ABOVE_ONE = Domain("ABOVE_ONE", (2.0, *_spread(1.3, 5.0)), _OFF_AXES)

GRID = Domain("GRID", (0.0, *_signed(k / 8 for k in range(1, 25))), (0j, *_disc(2.0)))
OFF_GRID = Domain("OFF_GRID", _signed(k / 8 + 1 / 16 for k in range(20)), ())
"""Numbers that are nowhere near one of GRID."""

BELOW = Domain("BELOW", tuple(-k / 8 - 1 / 16 for k in range(12)), (), (-1, -3, 0))
OVER = Domain("OVER", tuple(k / 8 + 1 / 32 for k in range(12)), (), (2, 4, 1))
"""BELOW and OVER are limits for numbers of GRID: nowhere near one of them, or each other."""

DISTINCT = Domain("DISTINCT", (0.0, *_signed(k / 16 for k in range(1, 49))), (0j, *_disc(2.0)), tuple(range(-20, 20)))
FINE = Domain("FINE", (1.0, *_signed(_spread(2.0**-3, 2.0))), (1 + 0j, 1j, *_disc(1.0)), (1, 2, -1))
"""For cotangents and weights."""

OFF_INTEGERS = Domain("OFF_INTEGERS", tuple(n + f for n in (0, 1, -1, 2, -3) for f in (0.2, 0.35, 0.65, 0.8)))
SAFE_DIVISORS = Domain("SAFE_DIVISORS", (1.0, 2.0, -1.0, 0.5, -2.0, -0.5), (), (1, 2, 3, -2, -3))
"""Divisors that take `n + 0.2`, 0.35, 0.65 or 0.8 to no integer."""

TIES = Domain("TIES", (0.0, 1.0, -1.0, 0.5), (0j, 1 + 0j, 1j, 1 + 1j), (0, 1, -1))
SPECIAL = Domain(
    "SPECIAL",
    (0.0, 1.0, -2.0, float("inf"), float("-inf"), float("nan")),
    (0j, 1 + 2j, complex("inf"), complex("nan"), complex(0.0, float("-inf"))),
)


def positions(size: int) -> Domain:
    """The non-negative indices into an axis of `size`."""
    return Domain(f"positions({size})", (), (), tuple(range(size)))
