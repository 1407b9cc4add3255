"""Jets: numbers with derivatives along several directions at once, for forward-mode differentiation of any order.

A jet of `k` directions is a polynomial in `k` infinitesimals, each of which squares to zero. Its part for a set `S` of
directions is the mixed derivative along them: an array whose first `k` axes run over the members of each direction (of
length one where the direction is not in `S`) and whose last axis runs over the elements, flattened. The part of the
empty set is the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Jet", "cos", "exp", "reciprocal", "sin", "steps"]

Array = np.ndarray[Any, Any]
Along = frozenset[int]
VALUE: Along = frozenset()


class Jet:
    """A value with mixed derivatives, by set of directions; a missing part is zero."""

    __slots__ = ("parts",)
    __array_ufunc__ = None  # `array * jet` is the jet's business

    def __init__(self, parts: dict[Along, Array]) -> None:
        self.parts = parts

    def __add__(self, other: Any) -> Jet:
        parts = dict(self.parts)
        for along, part in (other.parts if isinstance(other, Jet) else {VALUE: np.asarray(other)}).items():
            parts[along] = parts[along] + part if along in parts else part
        return Jet(parts)

    def __mul__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            return Jet({along: part * other for along, part in self.parts.items()})
        found = Jet({})
        for a, left in self.parts.items():
            for b, right in other.parts.items():
                if not a & b:
                    found += Jet({a | b: left * right})
        return found

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Jet:
        return self * -1.0

    def __rsub__(self, other: Any) -> Jet:
        return -self + other

    def part(self, keep: Callable[[Along], bool]) -> Jet:
        return Jet({along: part for along, part in self.parts.items() if keep(along)})

    def map(self, function: Callable[[Array], Array]) -> Jet:
        """The jet of a linear map, given as a function of the last axis."""
        return Jet({along: function(part) for along, part in self.parts.items()})


def lift(function: Callable[[Array], Array], derivative: Callable[[Jet], Jet], x: Jet) -> Jet:
    """`function(x)`: with `x = y + dy` and `dy` squaring to zero, it is `function(y) + derivative(y) * dy`."""
    last = max((direction for along in x.parts for direction in along), default=None)
    if last is None:
        return Jet({VALUE: function(x.parts[VALUE])})
    y = x.part(lambda along: last not in along)
    return lift(function, derivative, y) + derivative(y) * x.part(lambda along: last in along)


def sin(x: Jet) -> Jet:
    return lift(np.sin, cos, x)


def cos(x: Jet) -> Jet:
    return lift(np.cos, lambda y: -sin(y), x)


def exp(x: Jet) -> Jet:
    return lift(np.exp, exp, x)


def reciprocal(x: Jet) -> Jet:
    return lift(np.reciprocal, lambda y: -(reciprocal(y) * reciprocal(y)), x)


def steps(function: Callable[..., Array], *operands: Jet) -> Jet:
    """A function that is constant wherever it has a derivative, such as a mask or a sign."""
    return Jet({VALUE: function(*[x.parts[VALUE] for x in operands])})
