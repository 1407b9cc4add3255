"""Convolutions, of any number of spatial dims."""

from __future__ import annotations

import jax
from jax import lax

from ...primitives import convolution as p
from .common import Rules

__all__ = ["RULES"]

Array = jax.Array
Shape = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


def _precision(a: Array) -> lax.Precision | None:
    """HIGHEST: what a backend does by default may be less than float32, see the matrix product."""
    return None if a.dtype.kind in "iu" else lax.Precision.HIGHEST


def _conv(x: Array, w: Array, *, stride: Shape, padding: Padding, dilation: Shape, groups: int) -> Array:
    return lax.conv_general_dilated(
        x, w, stride, padding, rhs_dilation=dilation, feature_group_count=groups, precision=_precision(x)
    )


def _dilated(n: int, by: int) -> int:
    """The length of an axis of `n` elements with `by - 1` holes between two."""
    return (n - 1) * by + 1 if n else 0


def _conv_transpose(
    y: Array, w: Array, *, shape: Shape, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> Array:
    """A convolution of `y`, dilated by the stride, with the kernel flipped and its channels exchanged."""
    outs, width, *kernel = w.shape
    exchanged = lax.reshape(w, (groups, outs // groups, width, *kernel))
    exchanged = lax.transpose(exchanged, (0, 2, 1, *range(3, exchanged.ndim)))
    flipped = lax.rev(lax.reshape(exchanged, (groups * width, outs // groups, *kernel)), tuple(range(2, w.ndim)))
    pads = []
    for size, n, k, s, d, (low, _) in zip(shape, y.shape[2:], kernel, stride, dilation, padding, strict=True):
        before = d * (k - 1) - low
        pads.append((before, size + low - _dilated(n, s)))
    return lax.conv_general_dilated(
        y, flipped, (1,) * len(shape), pads, lhs_dilation=stride, rhs_dilation=dilation, feature_group_count=groups,
        precision=_precision(y),
    )  # fmt: skip


def _conv_weight(
    x: Array, y: Array, *, shape: Shape, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> Array:
    """A convolution of `x` with `y`, dilated by the stride, for the kernel; batch and channels are exchanged."""
    pads = []
    for k, size, n, s, d, (low, _) in zip(shape, x.shape[2:], y.shape[2:], stride, dilation, padding, strict=True):
        pads.append((low, (k - 1) * d + _dilated(n, s) - size - low))
    exchanged = (1, 0, *range(2, x.ndim))
    return lax.conv_general_dilated(
        x, y, dilation, pads, rhs_dilation=stride, batch_group_count=groups, precision=_precision(x),
        dimension_numbers=lax.ConvDimensionNumbers(exchanged, exchanged, exchanged),
    )  # fmt: skip


RULES: Rules = {p.conv: _conv, p.conv_transpose: _conv_transpose, p.conv_weight: _conv_weight}
