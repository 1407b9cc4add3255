"""Reductions and scans. `axes` is a tuple of non-negative ints; `keepdims` keeps them with length one.

16-bit floats are reduced in float32 and rounded once. A 0-d array has a virtual axis 0, as for NumPy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import numpy as np
from jax import lax

from ...primitives import reductions as p
from .common import Rules, is_complex, is_float, like, widened

__all__ = ["RULES"]

Array = jax.Array
Axes = tuple[int, ...]
Pair = tuple[Array, Array]


def _kept(a: Array, axes: Axes, keepdims: bool) -> Array:
    """`a`, a result of reducing `axes`, with them back as axes of length one if `keepdims`."""
    return lax.expand_dims(a, axes) if keepdims else a


def _spread(a: Array, axes: Axes, shape: tuple[int, ...]) -> Array:
    """`a`, reduced over `axes`, broadcast back to the `shape` before."""
    return lax.broadcast_in_dim(a, shape, [i for i in range(len(shape)) if i not in axes])


def _count(a: Array, axes: Axes) -> int:
    return math.prod([a.shape[axis] for axis in axes])


def _own(a: Array, axis: int) -> Axes:
    return (axis,) if a.ndim else ()


# Sums


def _sum(a: Array, axes: Axes) -> Array:
    return lax.reduce_or(a, axes) if a.dtype == bool else lax.reduce_sum(a, axes)


def _mean(a: Array, axes: Axes) -> Array:
    total = lax.reduce_sum(a, axes)
    return lax.div(total, like(total, _count(a, axes)))


@widened
def _reduce_sum(a: Array, *, axes: Axes, keepdims: bool) -> Array:
    return _kept(_sum(a, axes), axes, keepdims)


@widened
def _reduce_mean(a: Array, *, axes: Axes, keepdims: bool) -> Array:
    return _kept(_mean(a, axes), axes, keepdims)


def _variance(a: Array, axes: Axes, correction: float) -> Array:
    centred = lax.sub(a, _spread(_mean(a, axes), axes, a.shape))
    if is_complex(a):
        squares = lax.add(lax.square(lax.real(centred)), lax.square(lax.imag(centred)))
    else:
        squares = lax.square(centred)
    total = lax.reduce_sum(squares, axes)
    return lax.div(total, like(total, max(_count(a, axes) - correction, 0)))


@widened
def _var(a: Array, *, axes: Axes, keepdims: bool, correction: float) -> Array:
    return _kept(_variance(a, axes, correction), axes, keepdims)


@widened
def _std(a: Array, *, axes: Axes, keepdims: bool, correction: float) -> Array:
    """The derivative is 0, not nan, where the variance is 0: the root is not taken there."""
    variance = _variance(a, axes, correction)
    none = lax.eq(variance, like(variance, 0))
    root = lax.sqrt(lax.select(none, like(variance, 1), variance))
    return _kept(lax.select(none, like(variance, 0), root), axes, keepdims)


@widened
def _cumsum(a: Array, *, axis: int) -> Array:
    if not a.ndim:
        return lax.reshape(a, (1,))  # as NumPy
    if a.dtype == bool:
        return lax.ne(lax.cumsum(lax.convert_element_type(a, np.int64), axis), np.int64(0))
    return lax.cumsum(a, axis)


# Extrema


def _extremum(value: Callable[[Array, Axes], Array]) -> Callable[..., Array]:
    """`lax.reduce_max` or `lax.reduce_min`; ties share the cotangent evenly.

    As JAX's own derivative, but the cotangent is masked where it does not go, not multiplied by 0: it may be inf.
    """

    @functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
    def of_floats(a: Array, axes: Axes) -> Array:
        return value(a, axes)

    @of_floats.defjvp
    def of_floats_jvp(axes: Axes, primals: tuple[Array], tangents: tuple[Array]) -> Pair:
        (a,), (da,) = primals, tangents
        out = of_floats(a, axes)
        hit = lax.eq(a, _spread(out, axes, a.shape))
        count = lax.reduce_sum(lax.convert_element_type(hit, a.dtype), axes)
        return out, lax.div(lax.reduce_sum(lax.select(hit, da, like(a, 0)), axes), count)

    @widened
    def extremum(a: Array, *, axes: Axes, keepdims: bool) -> Array:
        return _kept(of_floats(a, axes) if is_float(a) else value(a, axes), axes, keepdims)

    return extremum


def _position(find: Callable[..., Array]) -> Callable[..., Array]:
    """`lax.argmax` or `lax.argmin`: the first of equals, or the first nan."""
    return lambda a, *, axis: find(a, axis, np.int64) if a.ndim else lax.full((), 0, np.int64)


# Logic


def _truth(a: Array) -> Array:
    return a if a.dtype == bool else lax.ne(a, like(a, 0))


def _any(a: Array, *, axes: Axes, keepdims: bool) -> Array:
    return _kept(lax.reduce_or(_truth(a), axes), axes, keepdims)


def _all(a: Array, *, axes: Axes, keepdims: bool) -> Array:
    return _kept(lax.reduce_and(_truth(a), axes), axes, keepdims)


# Exponentials, made safe by subtracting the maximum, which has no part in the derivative


def _top(a: Array, axes: Axes) -> Array:
    return lax.reduce_max(lax.stop_gradient(a), axes)


def _finite_top(a: Array, axes: Axes) -> Array:
    """The maximum of the real parts, in the dtype of `a`; 0 where it is infinite."""
    top = _top(lax.real(a) if is_complex(a) else a, axes)
    return lax.convert_element_type(lax.select(lax.is_finite(top), top, like(top, 0)), a.dtype)


@widened
def _logsumexp(a: Array, *, axes: Axes, keepdims: bool) -> Array:
    """`log(sum(exp(a)))`; of nothing but -inf it is -inf, with derivative 0: the logarithm is not taken there."""
    top = _finite_top(a, axes)
    total = lax.reduce_sum(lax.exp(lax.sub(a, _spread(top, axes, a.shape))), axes)
    none = lax.eq(total, like(total, 0))
    out = lax.add(lax.log(lax.select(none, like(total, 1), total)), top)
    return _kept(lax.select(none, like(total, -math.inf), out), axes, keepdims)


@widened
def _softmax(a: Array, *, axis: int) -> Array:
    axes = _own(a, axis)
    powers = lax.exp(lax.sub(a, _spread(_top(a, axes), axes, a.shape)))
    return lax.div(powers, _spread(lax.reduce_sum(powers, axes), axes, a.shape))


@widened
def _log_softmax(a: Array, *, axis: int) -> Array:
    axes = _own(a, axis)
    shifted = lax.sub(a, _spread(_top(a, axes), axes, a.shape))
    return lax.sub(shifted, _spread(lax.log(lax.reduce_sum(lax.exp(shifted), axes)), axes, a.shape))


RULES: Rules = {
    p.reduce_sum: _reduce_sum,
    p.reduce_mean: _reduce_mean,
    p.var: _var,
    p.std: _std,
    p.cumsum: _cumsum,
    p.reduce_max: _extremum(lax.reduce_max),
    p.reduce_min: _extremum(lax.reduce_min),
    p.argmax: _position(lax.argmax),
    p.argmin: _position(lax.argmin),
    p.any_: _any,
    p.all_: _all,
    p.logsumexp: _logsumexp,
    p.softmax: _softmax,
    p.log_softmax: _log_softmax,
}
