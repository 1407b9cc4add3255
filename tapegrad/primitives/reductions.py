"""Reductions and scans. `axes` is a tuple of non-negative ints; `keepdims` keeps them with length one.

16-bit floats are reduced in float32 and rounded once. Ties in max and min share the cotangent evenly (as PyTorch's
`amax`); `argmax` takes the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tape import Primitive
from .analytic import exp
from .arithmetic import where
from .precision import is_half, numpy_dtype, widened
from .shaping import broadcast_to, flip, reshape
from .structure import cast

__all__ = [
    "all_", "any_", "argmax", "argmin", "cumsum", "log_softmax", "logsumexp", "reduce_max", "reduce_mean",
    "reduce_min", "reduce_sum", "softmax", "std", "var",
]  # fmt: skip

Axes = tuple[int, ...]


def spread(x: Any, shape: tuple[int, ...], axes: Axes) -> Any:
    """`x`, reduced over `axes` with or without keepdims, broadcast back to the `shape` before."""
    if not x.shape:
        return broadcast_to(x, shape=shape)
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return broadcast_to(x if x.shape == kept else reshape(x, shape=kept), shape=shape)


def _count(shape: tuple[int, ...], axes: Axes) -> int:
    return math.prod([shape[axis] for axis in axes])


_add_reduce: Any = np.add.reduce


def _reduce_sum(a: Any, *, axes: Axes, keepdims: bool) -> Any:
    d = a.dtype
    if d.itemsize == 2:  # as `widened`, whose wrapper would cost as much as a small sum
        return _widened_sum(a, axes=axes, keepdims=keepdims)
    return _add_reduce(a, axes, d, None, keepdims)


_widened_sum = widened(lambda a, *, axes, keepdims: _add_reduce(a, axes, a.dtype, None, keepdims))


reduce_sum = Primitive(
    "reduce_sum",
    _reduce_sum,
    node_name="SumBackward1",
    a=lambda g, in_shape, axes: spread(g, in_shape, axes),
)

reduce_mean = Primitive(
    "reduce_mean",
    widened(lambda a, *, axes, keepdims: np.add.reduce(a, axis=axes, keepdims=keepdims) / _count(a.shape, axes)),
    node_name="MeanBackward1",
    a=lambda g, in_shape, axes: spread(g / _count(in_shape, axes), in_shape, axes),
)


def _share_of_ties(g: Any, a: Any, out: Any, axes: Axes) -> Any:
    """Each of the elements equal to the extremum gets an even part of `g`."""
    shape = a.shape
    hit = a == spread(out, shape, axes)
    count = reduce_sum(cast(hit, dtype=numpy_dtype(g)), axes=axes, keepdims=True)
    return where(hit, spread(g, shape, axes) / count, 0.0)


def _extremum(ufunc: Any) -> Callable[..., Any]:
    return lambda a, *, axes, keepdims: ufunc.reduce(a, axis=axes, keepdims=keepdims)


reduce_max = Primitive(
    "reduce_max",
    _extremum(np.maximum),
    node_name="AmaxBackward0",
    a=lambda g, a, out, axes: _share_of_ties(g, a, out, axes),
)
reduce_min = Primitive(
    "reduce_min",
    _extremum(np.minimum),
    node_name="AminBackward0",
    a=lambda g, a, out, axes: _share_of_ties(g, a, out, axes),
)

argmax = Primitive("argmax", lambda a, *, axis: np.argmax(a, axis=axis), a=None)
argmin = Primitive("argmin", lambda a, *, axis: np.argmin(a, axis=axis), a=None)
any_ = Primitive("any", lambda a, *, axes, keepdims: np.any(a, axis=axes, keepdims=keepdims), a=None)
all_ = Primitive("all", lambda a, *, axes, keepdims: np.all(a, axis=axes, keepdims=keepdims), a=None)


def _var(a: Any, *, axes: Axes, keepdims: bool, correction: float) -> Any:
    """Mean squared deviation with `correction` degrees of freedom taken off; two passes, so no cancellation."""
    centred = a - np.add.reduce(a, axis=axes, keepdims=True) / _count(a.shape, axes)
    squares = _add_reduce((centred * centred.conjugate()).real, axis=axes, keepdims=keepdims)
    return squares / squares.dtype.type(max(_count(a.shape, axes) - correction, 0))


def _var_pull(g: Any, a: Any, axes: Axes, correction: float) -> Any:
    if is_half(numpy_dtype(a)):
        wide = np.dtype(np.float32)
        return cast(_var_pull(cast(g, dtype=wide), cast(a, dtype=wide), axes, correction), dtype=numpy_dtype(a))
    count = _count(a.shape, axes)
    centred = a - reduce_mean(a, axes=axes, keepdims=True)
    degrees = max(count - correction, 0)
    return spread(g, a.shape, axes) * centred * (2.0 / degrees if degrees else math.inf)


var = Primitive("var", widened(_var), a=lambda g, a, axes, correction: _var_pull(g, a, axes, correction))

std = Primitive(
    "std",
    widened(lambda a, **params: np.sqrt(_var(a, **params))),
    a=lambda g, a, out, axes, correction: _var_pull(where(out == 0, 0.0, g / (out * 2)), a, axes, correction),
)
"""Square root of `var`; where that is 0, the derivative is taken to be 0."""

cumsum = Primitive(
    "cumsum",
    widened(lambda a, *, axis: np.cumsum(a, axis=axis, dtype=a.dtype)),
    a=lambda g, axis: flip(cumsum(flip(g, axes=(axis,)), axis=axis), axes=(axis,)),
)


def _finite_max(a: Any, axes: Axes) -> Any:
    """The maximum of the real parts, or 0: a logarithm's imaginary part then stays within pi, as PyTorch's."""
    top = np.maximum.reduce(a.real, axis=axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, 0).astype(top.dtype)


def _logsumexp(a: Any, *, axes: Axes, keepdims: bool) -> Any:
    top = _finite_max(a, axes)
    out = np.log(np.add.reduce(np.exp(a - top), axis=axes, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=axes)


logsumexp = Primitive(
    "logsumexp",
    widened(_logsumexp),
    a=lambda g, a, out, axes: (
        spread(g, a.shape, axes) * exp(a - spread(_above_nothing(out), a.shape, axes)).conjugate()
    ),
)
"""`log(sum(exp(a)))`, safe for large `a`."""


def _above_nothing(out: Any) -> Any:
    return where(out == -math.inf, 0.0, out)


def _softmax(a: Any, *, axis: int) -> Any:
    powers = np.exp(a - np.maximum.reduce(a, axis=axis, keepdims=True, initial=-np.inf))
    return powers / np.add.reduce(powers, axis=axis, keepdims=True)


def _log_softmax(a: Any, *, axis: int) -> Any:
    shifted = a - np.maximum.reduce(a, axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))


softmax = Primitive(
    "softmax",
    widened(_softmax),
    a=lambda g, out, axis: (g - reduce_sum(g * out, axes=(axis,), keepdims=True)) * out,
)
log_softmax = Primitive(
    "log_softmax",
    widened(_log_softmax),
    a=lambda g, out, axis: g - exp(out) * reduce_sum(g, axes=(axis,), keepdims=True),
)
