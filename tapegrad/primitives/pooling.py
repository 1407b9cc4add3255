"""Pooling: the maximum, or the mean, of windows on the last axes of an array.

Parameters: `window`, `stride` and `dilation` are one int per pooled axis, `padding` one pair (before, after). Padding
is lower than any number for a maximum, and 0 for a mean. Every window of a maximum must have an element that is no
padding.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tape import Primitive
from .arithmetic import where
from .convolution import Padding, Shape, offset, padded, windows
from .precision import widened
from .structure import stop_gradient

__all__ = ["avg_pool", "avg_pool_adjoint", "max_pool", "max_pool_index", "max_pool_pick", "max_pool_place"]

Array = np.ndarray[Any, Any]


def _lowest(dtype: np.dtype[Any]) -> Any:
    """The number lower than all others."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -math.inf


def _last(slices: Sequence[slice]) -> Any:
    """The index of the last axes."""
    return (..., *slices)


def _spans(window: Shape, dilation: Shape) -> list[int]:
    return [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]


def _counts(sizes: Shape, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> list[int]:
    """The number of windows along each axis."""
    return [windows(*axis) for axis in zip(sizes, _spans(window, dilation), stride, padding, strict=True)]


def _pooled(ufunc: Any, a: Array, window: Shape, stride: Shape, dilation: Shape, counts: list[int]) -> Array:
    """`ufunc` over each window of the padded array `a`: along one axis after the other, as it is associative."""
    lead = a.ndim - len(window)
    for axis, (k, n, s, d) in enumerate(zip(window, counts, stride, dilation, strict=True), lead):
        before = (slice(None),) * axis
        parts = [a[(*before, *offset((i,), (n,), (s,), (d,)))] for i in range(k)]
        if k == 1:
            a = parts[0]
            continue
        total = ufunc(parts[0], parts[1])
        for part in parts[2:]:
            ufunc(total, part, out=total)
        a = total
    return a


# Maxima


def _max_pool(a: Array, *, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    counts = _counts(a.shape[-len(window) :], window, stride, padding, dilation)
    whole = padded(a, padding, _lowest(a.dtype))
    out = _pooled(np.maximum, whole, window, stride, dilation, counts)
    return out.copy() if out.base is not None else out


def _choice(a: Array, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    """Which entry of its window each maximum is, as a number in row-major order: the first of equals, the last nan."""
    counts = _counts(a.shape[-len(window) :], window, stride, padding, dilation)
    whole = padded(a, padding, _lowest(a.dtype))
    shape = (*a.shape[: -len(window)], *counts)
    choice = np.empty(shape, np.int64)
    choice[...] = _first_inside(window, stride, padding, dilation, counts)
    best = np.full(shape, _lowest(a.dtype), a.dtype)
    for number, at in enumerate(np.ndindex(*window)):
        part = whole[_last(offset(at, counts, stride, dilation))]
        better = (part > best) | np.isnan(part)
        np.copyto(choice, number, where=better)
        np.copyto(best, part, where=better)
    return choice


def _first_inside(window: Shape, stride: Shape, padding: Padding, dilation: Shape, counts: list[int]) -> Any:
    """The number of the first entry of each window that is no padding."""
    total: Any = 0
    for axis, (k, n, s, d) in enumerate(zip(window, counts, stride, dilation, strict=True)):
        missing = np.maximum(padding[axis][0] - np.arange(n) * s, 0)
        entry = -(-missing // d)
        total = total * k + entry.reshape(-1, *[1] * (len(window) - axis - 1))
    return total


def _max_pool_index(a: Array, *, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    entries = np.unravel_index(_choice(a, window, stride, padding, dilation), window)
    sizes = a.shape[-len(window) :]
    index: Any = 0
    for axis, entry in enumerate(entries):
        starts = np.arange(entry.shape[entry.ndim - len(window) + axis]) * stride[axis] - padding[axis][0]
        index = index * sizes[axis] + entry * dilation[axis] + starts.reshape(-1, *[1] * (len(window) - axis - 1))
    return np.asarray(index, np.int64)


def _place(g: Array, a: Array, *, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    choice = _choice(a, window, stride, padding, dilation)
    sizes = a.shape[-len(window) :]
    room = [low + n + max(high, 0) for n, (low, high) in zip(sizes, padding, strict=True)]
    out = np.zeros((*a.shape[: -len(window)], *room), g.dtype)
    for number, at in enumerate(np.ndindex(*window)):
        part = out[_last(offset(at, choice.shape[-len(window) :], stride, dilation))]
        np.add(part, g, out=part, where=choice == number)
    return out[_last([slice(low, low + n) for n, (low, _) in zip(sizes, padding, strict=True)])]


def _pick(h: Array, a: Array, *, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    choice = _choice(a, window, stride, padding, dilation)
    whole = padded(h, padding)
    out = np.zeros(choice.shape, h.dtype)
    for number, at in enumerate(np.ndindex(*window)):
        part = whole[_last(offset(at, choice.shape[-len(window) :], stride, dilation))]
        np.copyto(out, part, where=choice == number)
    return out


max_pool = Primitive(
    "max_pool",
    _max_pool,
    node_name="MaxPool2DWithIndicesBackward0",
    a=lambda g, a, window, stride, padding, dilation: max_pool_place(
        g, a, window=window, stride=stride, padding=padding, dilation=dilation
    ),
)
"""The maximum of each window. Of equal ones the first has the derivative."""

max_pool_index = Primitive("max_pool_index", _max_pool_index, a=None)
"""Where in the pooled axes, flattened, each maximum is: the first of equals."""

max_pool_place = Primitive(
    "max_pool_place",
    widened(_place),
    node_name="MaxPool2DWithIndicesBackwardBackward0",
    g=lambda g, a, window, stride, padding, dilation: max_pool_pick(
        g, a, window=window, stride=stride, padding=padding, dilation=dilation
    ),
    a=lambda g: where(False, stop_gradient(g), 0.0),
)
"""Zeros with `g` added where the maxima of the windows of `a` are."""

max_pool_pick = Primitive(
    "max_pool_pick",
    _pick,
    node_name="GatherBackward0",
    h=lambda g, a, window, stride, padding, dilation: max_pool_place(
        g, a, window=window, stride=stride, padding=padding, dilation=dilation
    ),
    a=None,
)
"""`h` where the maxima of the windows of `a` are: the adjoint of `max_pool_place`."""


# Means


def _divisor(divisors: tuple[Shape, ...], dtype: np.dtype[Any]) -> Any:
    """What the sum of each window is divided by: the product of one number per axis and position."""
    if all(len(set(along)) == 1 for along in divisors):
        return dtype.type(math.prod([along[0] for along in divisors]))
    return functools.reduce(np.multiply.outer, [np.array(along, dtype) for along in divisors])


def _avg_pool(a: Array, *, window: Shape, stride: Shape, padding: Padding, divisors: tuple[Shape, ...]) -> Array:
    ones = (1,) * len(window)
    counts = [len(along) for along in divisors]
    total = _pooled(np.add, padded(a, padding), window, stride, ones, counts)
    return np.asarray(total / _divisor(divisors, a.dtype))


def _avg_pool_adjoint(
    g: Array, *, shape: Shape, window: Shape, stride: Shape, padding: Padding, divisors: tuple[Shape, ...]
) -> Array:
    """Along one axis after the other."""
    share = g / _divisor(divisors, g.dtype)
    lead = g.ndim - len(window)
    for i, (size, k, s, (low, high)) in enumerate(zip(shape, window, stride, padding, strict=True)):
        axis = lead + i
        before = (slice(None),) * axis
        out = np.zeros((*share.shape[:axis], low + size + high, *share.shape[axis + 1 :]), g.dtype)
        for entry in range(k):
            out[(*before, *offset((entry,), (share.shape[axis],), (s,), (1,)))] += share
        share = out[(*before, slice(low, low + size))]
    return np.asarray(share)


avg_pool = Primitive(
    "avg_pool",
    widened(_avg_pool),
    node_name="AvgPool2DBackward0",
    a=lambda g, in_shape, window, stride, padding, divisors: avg_pool_adjoint(
        g, shape=in_shape[-len(window) :], window=window, stride=stride, padding=padding, divisors=divisors
    ),
)
"""The sum of each window over the product of `divisors`: per axis, one number for each window along it."""

avg_pool_adjoint = Primitive(
    "avg_pool_adjoint",
    widened(_avg_pool_adjoint),
    node_name="AvgPool2DBackwardBackward0",
    g=lambda g, window, stride, padding, divisors: avg_pool(
        g, window=window, stride=stride, padding=padding, divisors=divisors
    ),
)
"""The adjoint of `avg_pool`, of which the pooled axes had the `shape`."""
