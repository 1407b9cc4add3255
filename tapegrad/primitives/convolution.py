"""Convolutions, of any number of spatial dims.

One trilinear form has all three: the sum of `x[n, c, s * p + d * k - low] * w[o, c, k] * y[n, o, p]` over the batch
`n`, the channels `c` and `o` of one group, the positions `p` of the windows and the entries `k` of the kernel (stride
`s`, dilation `d`, `low` zeros padded in front). `conv` is its derivative by `y`, `conv_transpose` by `x` and
`conv_weight` by `w`, so each is an adjoint of the others.

Shapes: `x` (batch, channels, *spatial), `w` (out channels, channels / groups, *kernel), `y` (batch, out channels,
*windows). Parameters: `stride` and `dilation` one int per spatial dim, `padding` one pair (before, after), `groups`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tape import Primitive
from .precision import is_half

__all__ = ["conv", "conv_transpose", "conv_weight"]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


def padded(a: Array, padding: Padding, value: Any = 0) -> Array:
    """`a` with `value` put in before and after its last axes; a negative number there cuts off."""
    if not any(map(any, padding)):
        return a
    lead = a.shape[: a.ndim - len(padding)]
    sizes = a.shape[len(lead) :]
    whole = [slice(None)] * len(lead)
    a = a[(*whole, *[slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(sizes, padding, strict=True)])]
    out = np.full((*lead, *[low + n + high for n, (low, high) in zip(sizes, padding, strict=True)]), value, a.dtype)
    inside = [slice(max(low, 0), max(low, 0) + n) for n, (low, _) in zip(a.shape[len(lead) :], padding, strict=True)]
    out[(*whole, *inside)] = a
    return out


def windows(size: int, span: int, stride: int, padding: tuple[int, int]) -> int:
    """How many windows of length `span` there are along an axis of `size`."""
    return (size + sum(padding) - span) // stride + 1


def _columns(x: Array, kernel: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    """A view of what each entry of the kernel meets: (batch, channels, *kernel, *windows)."""
    sizes = x.shape[2:]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    found = [windows(*axis) for axis in zip(sizes, spans, stride, padding, strict=True)]
    x = padded(x, padding)
    steps = x.strides[2:]
    strides = [
        *[n * d for n, d in zip(steps, dilation, strict=True)],
        *[n * s for n, s in zip(steps, stride, strict=True)],
    ]
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *found), (*x.strides[:2], *strides))


def _in_float32(function: Callable[..., Array]) -> Callable[..., Array]:
    """`function` of two arrays, 16-bit floats in float32 and rounded once."""

    @functools.wraps(function)
    def compute(a: Array, b: Array, **params: Any) -> Array:
        if is_half(a.dtype):
            return function(a.astype(np.float32), b.astype(np.float32), **params).astype(a.dtype)
        return function(a, b, **params)

    return compute


@_in_float32
def _conv(x: Array, w: Array, *, stride: Shape, padding: Padding, dilation: Shape, groups: int) -> Array:
    """One product of matrices per example and group."""
    kernel, outs = w.shape[2:], w.shape[0]
    columns = _columns(x, kernel, stride, padding, dilation)
    found = columns.shape[2 + len(kernel) :]
    entries = w.shape[1] * math.prod(kernel)
    columns = columns.reshape(x.shape[0], groups, entries, math.prod(found))
    return np.matmul(w.reshape(groups, outs // groups, entries), columns).reshape(x.shape[0], outs, *found)


@_in_float32
def _conv_transpose(
    y: Array, w: Array, *, shape: Shape, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> Array:
    """One product of matrices per example and group, whose rows are added up where windows overlap."""
    (n, outs, *found), (_, width, *kernel) = y.shape, w.shape
    entries = width * math.prod(kernel)
    weights = w.reshape(groups, outs // groups, entries).mT
    columns = np.matmul(weights, y.reshape(n, groups, outs // groups, math.prod(found)))
    columns = columns.reshape(n, width * groups, *kernel, *found)
    room = [low + size + max(high, 0) for size, (low, high) in zip(shape, padding, strict=True)]
    out = np.zeros((n, width * groups, *room), y.dtype)
    for at in np.ndindex(*kernel):
        out[(slice(None), slice(None), *offset(at, found, stride, dilation))] += columns[:, :, *at]
    return out[(slice(None), slice(None), *[slice(p[0], p[0] + size) for p, size in zip(padding, shape, strict=True)])]


def offset(at: Sequence[int], found: Sequence[int], stride: Shape, dilation: Shape) -> list[slice]:
    """Where all the windows have their entry `at`, per axis of the padded array."""
    return [
        slice(k * d, k * d + s * (n - 1) + 1 if n else k * d, s)
        for k, n, s, d in zip(at, found, stride, dilation, strict=True)
    ]


@_in_float32
def _conv_weight(
    x: Array, y: Array, *, shape: Shape, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> Array:
    """One product of matrices per group."""
    channels, outs, dims = x.shape[1], y.shape[1], len(shape)
    columns = _columns(x, shape, stride, padding, dilation)
    found = columns.shape[2 + dims :]
    places = x.shape[0] * math.prod(found)
    width = channels // groups
    columns = columns.transpose(*range(1, 2 + dims), 0, *range(2 + dims, 2 + 2 * dims))
    columns = columns.reshape(groups, width * math.prod(shape), places)
    cotangents = y.swapaxes(0, 1).reshape(groups, outs // groups, places)
    return np.matmul(cotangents, columns.mT).reshape(outs, width, *shape)


conv = Primitive(
    "conv",
    _conv,
    node_name="ConvolutionBackward0",
    x=lambda g, w, in_shape, stride, padding, dilation, groups: conv_transpose(
        g, w.conjugate(), shape=in_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    w=lambda g, x, in_shapes, stride, padding, dilation, groups: conv_weight(
        x.conjugate(), g, shape=in_shapes[1][2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
"""What is called a convolution in neural networks: the kernel is not flipped."""

conv_transpose = Primitive(
    "conv_transpose",
    _conv_transpose,
    node_name="ConvolutionBackward0",
    y=lambda g, w, stride, padding, dilation, groups: conv(
        g, w.conjugate(), stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    w=lambda g, y, in_shapes, stride, padding, dilation, groups: conv_weight(
        g, y.conjugate(), shape=in_shapes[1][2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
"""The adjoint of `conv` by `x`, which has the spatial `shape`."""

conv_weight = Primitive(
    "conv_weight",
    _conv_weight,
    node_name="ConvolutionBackwardBackward0",
    x=lambda g, y, in_shape, stride, padding, dilation, groups: conv_transpose(
        y.conjugate(), g, shape=in_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    y=lambda g, x, stride, padding, dilation, groups: conv(
        x.conjugate(), g, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
"""The adjoint of `conv` by `w`, whose kernel has the `shape`."""
