"""Between which bounds the values of a tape are, as far as that follows from its steps, whatever the inputs.

An interval `(low, high)` says that every element is at least `low` and at most `high`, and none is nan; None says
nothing. Integers and bools are always within what their dtype has.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..primitives import arithmetic, comparison, indexing, random, reductions, shaping, structure, views
from ..tape import Primitive, Step, Var

__all__ = ["Interval", "intervals"]

Interval = tuple[Any, Any] | None
Rule = Callable[[Step, Sequence[Any]], Interval]


def intervals(steps: Iterable[Step]) -> dict[Var, Interval]:
    """The intervals of the outputs of `steps`, which come in order."""
    found: dict[Var, Interval] = {}
    for step in steps:
        operands = [_of_operand(x, step, found) for x in step.inputs]
        rule = ALWAYS.get(step.prim) or (None if None in operands else RULES.get(step.prim))
        known = None if rule is None else rule(step, operands)
        for out in step.outputs:
            found[out] = _fitting(known, out.dtype)
    return found


def _of_operand(x: Any, step: Step, found: dict[Var, Interval]) -> Interval:
    """Literals count if they are what they are in any dtype they may stand beside."""
    if isinstance(x, Var):
        return found[x] if x in found else _fitting(None, x.dtype)
    if type(x) not in (bool, int, float):
        return None
    exact = math.isinf(x) or (abs(x) <= _EXACT and x == int(x))  # and so not nan
    return (x, x) if exact or (type(x) is int and all(v.dtype.kind in "biu" for v in step.vars)) else None


_EXACT = 1 << 8
"""Up to here each floating dtype has all integers."""


def _fitting(known: Interval, dtype: np.dtype[Any]) -> Interval:
    """An interval that an integer dtype, or bool, has: one that it has not may have wrapped around."""
    if dtype.kind not in "biu":
        return known
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return known if known is not None and low <= known[0] and known[1] <= high else (low, high)


# What values are the same, or some of the same


def _same(_: Step, operands: Sequence[Any]) -> Interval:
    return operands[0]


def _either(_: Step, operands: Sequence[Any]) -> Interval:
    return min(low for low, _ in operands), max(high for _, high in operands)


def _chosen(step: Step, operands: Sequence[Any]) -> Interval:
    return _either(step, operands[1:])


def _replaced(step: Step, operands: Sequence[Any]) -> Interval:
    return _either(step, operands[:2])


def _cast(step: Step, operands: Sequence[Any]) -> Interval:
    """Rounding keeps the order, to a float or, towards 0, to an integer."""
    (low, high), kind = operands[0], step.outputs[0].dtype.kind
    if kind == "b":
        return (1, 1) if low > 0 or high < 0 else (0, 0) if low == high == 0 else (0, 1)
    if kind in "iu":
        return None if math.inf in (-low, high) else (math.trunc(low), math.trunc(high))
    rounded = np.array([low, high], np.float64).astype(step.outputs[0].dtype) if kind == "f" else None
    return None if rounded is None else tuple(rounded.tolist())


# What is known when the tape is made


def _constant(step: Step, _: Sequence[Any]) -> Interval:
    value = np.asarray(step.params["value"]).astype(step.outputs[0].dtype)
    if not value.size or value.dtype.kind not in "biuf":
        return None
    low, high = value.min().item(), value.max().item()
    return None if math.isnan(low) else (low, high)


def _position(step: Step, _: Sequence[Any]) -> Interval:
    shape, axis = step.inputs[0].shape, step.params["axis"]
    return 0, max(math.prod(shape) if axis is None else (shape or (1,))[axis], 1) - 1


def _count(step: Step, _: Sequence[Any]) -> Interval:
    return 0, step.inputs[0].shape[-1]


def _integers(step: Step, _: Sequence[Any]) -> Interval:
    low = step.params["low"]
    return _cast(step, [(low, low + step.params["span"] - 1)])


# Arithmetic of integers: that of floats rounds


def _integral(rule: Callable[..., Interval]) -> Rule:
    def check(step: Step, operands: Sequence[Any]) -> Interval:
        return rule(*operands) if step.outputs[0].dtype.kind in "biu" else None

    return check


def _corners(function: Callable[[Any, Any], Any]) -> Rule:
    """For a function that is monotonic in each argument."""

    def rule(a: Any, b: Any) -> Interval:
        found = [function(x, y) for x in a for y in b]
        return min(found), max(found)

    return _integral(rule)


def _remainder(_: Any, b: Any) -> Interval:
    low, high = b
    return (0, high - 1) if low > 0 else (low + 1, 0) if high < 0 else None


def _floor_divide(a: Any, b: Any) -> Interval:
    found = [x // y for x in a for y in b] if b[0] > 0 else []
    return (min(found), max(found)) if found else None


def _abs(a: Any) -> Interval:
    low, high = a
    return (0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def _bits(a: Any, b: Any) -> Interval:
    """Of `&`: not above the smaller one, if that is not negative."""
    lowest = min(x[1] for x in (a, b) if x[0] >= 0) if a[0] >= 0 or b[0] >= 0 else None
    if lowest is None:
        return None
    return (1, 1) if a == b == (1, 1) else (0, lowest)


def _either_bit(a: Any, b: Any) -> Interval:
    """Of `|`, for bools."""
    return (max(a[0], b[0]), max(a[1], b[1])) if a[0] >= 0 and b[0] >= 0 and max(a[1], b[1]) <= 1 else None


def _not(step: Step, operands: Sequence[Any]) -> Interval:
    low, high = operands[0]
    return (1 - high, 1 - low) if step.outputs[0].dtype.kind == "b" else (-high - 1, -low - 1)


def _clip(_: Step, operands: Sequence[Any]) -> Interval:
    bottom, top = [min(max(x, low), high) for x, low, high in zip(*operands, strict=True)]
    return bottom, top


def _summed(step: Step, operands: Sequence[Any]) -> Interval:
    """A sum of some of the elements along its axes, or none."""
    (low, high), shape = operands[0], step.inputs[0].shape
    n = math.prod([(shape or (1,))[axis] for axis in step.params.get("axes", (step.params.get("axis"),))])
    return (min(0, n * low), max(0, n * high)) if step.outputs[0].dtype.kind in "biu" else None


# Answers


def _compared(surely: Callable[[Any, Any], bool], surely_not: Callable[[Any, Any], bool]) -> Rule:
    def rule(_: Step, operands: Sequence[Any]) -> Interval:
        a, b = operands
        return (1, 1) if surely(a, b) else (0, 0) if surely_not(a, b) else (0, 1)

    return rule


def _apart(a: Any, b: Any) -> bool:
    return bool(a[1] < b[0] or b[1] < a[0])


def _one_number(a: Any, b: Any) -> bool:
    return bool(a[0] == a[1] == b[0] == b[1])


def _every(step: Step, operands: Sequence[Any]) -> Interval:
    low, high = operands[0]
    return (1, 1) if low > 0 or high < 0 or 0 in step.inputs[0].shape else (0, 1)


def _some(step: Step, operands: Sequence[Any]) -> Interval:
    low, high = operands[0]
    return (0, 0) if low == high == 0 else (1, 1) if (low > 0 or high < 0) and 0 not in step.inputs[0].shape else (0, 1)


ALWAYS: dict[Primitive, Rule] = {
    structure.constant: _constant,
    structure.full: _constant,
    reductions.argmax: _position,
    reductions.argmin: _position,
    indexing.argsort: _position,
    random.search_sorted: _count,
    random.random_integers: _integers,
    random.random_uniform: lambda *_: (0.0, 1.0),
}
"""Of what steps give, whatever is known of their operands."""
RULES: dict[Primitive, Rule] = {
    **dict.fromkeys(
        (
            shaping.reshape, shaping.permute, shaping.slice_, shaping.flip, shaping.broadcast_to, views.as_strided,
            views.diagonal, views.unfold, structure.stop_gradient, structure.barrier, structure.opaque,
            indexing.take, indexing.gather, reductions.reduce_max, reductions.reduce_min,
        ),
        _same,
    ),
    shaping.concatenate: _either,
    shaping.slice_scatter: _replaced,
    views.as_strided_scatter: _replaced,
    indexing.put: _replaced,
    arithmetic.where: _chosen,
    structure.rebind: lambda _, operands: operands[1],
    structure.cast: _cast,
    arithmetic.add: _corners(operator.add),
    arithmetic.sub: _corners(operator.sub),
    arithmetic.mul: _corners(operator.mul),
    arithmetic.maximum: _corners(max),
    arithmetic.minimum: _corners(min),
    arithmetic.clip: _clip,
    arithmetic.neg: _integral(lambda a: (-a[1], -a[0])),
    arithmetic.abs_: _integral(_abs),
    arithmetic.remainder: _integral(_remainder),
    arithmetic.floor_divide: _integral(_floor_divide),
    comparison.bitwise_and: _integral(_bits),
    comparison.bitwise_or: _integral(_either_bit),
    comparison.bitwise_not: _not,
    comparison.lt: _compared(lambda a, b: a[1] < b[0], lambda a, b: a[0] >= b[1]),
    comparison.le: _compared(lambda a, b: a[1] <= b[0], lambda a, b: a[0] > b[1]),
    comparison.gt: _compared(lambda a, b: a[0] > b[1], lambda a, b: a[1] <= b[0]),
    comparison.ge: _compared(lambda a, b: a[0] >= b[1], lambda a, b: a[1] < b[0]),
    comparison.eq: _compared(_one_number, _apart),
    comparison.ne: _compared(_apart, _one_number),
    comparison.isfinite: lambda _, operands: None if math.inf in map(abs, operands[0]) else (1, 1),
    reductions.all_: _every,
    reductions.any_: _some,
    reductions.reduce_sum: _summed,
    reductions.cumsum: _summed,
}  # fmt: skip
