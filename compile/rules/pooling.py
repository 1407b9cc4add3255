"""Pooling: the maximum, or the mean, of windows on the last axes of an array."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax import lax

from ...primitives import pooling as p
from .common import Rules, is_half, like, widened
from .indexing import gather

__all__ = ["RULES"]

Array = jax.Array
Shape = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


def _lowest(dtype: np.dtype[Any]) -> Any:
    """The number lower than all others: what `lax` takes for the identity of a maximum."""
    return np.asarray(np.iinfo(dtype).min if dtype.kind in "iu" else -math.inf, dtype)


def _leading(a: Array, window: Shape) -> Shape:
    return (1,) * (a.ndim - len(window))


def _pads(a: Array, padding: Padding) -> Padding:
    return (*[(0, 0)] * (a.ndim - len(padding)), *padding)


@widened
def _max_pool(a: Array, *, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    """Of windows without gaps, the reduction that XLA knows, whose derivative is a selection and a scatter in one."""
    if any(d > 1 for d in dilation):
        return _by_entries(a, window, stride, padding, dilation)
    ones = _leading(a, window)
    return lax.reduce_window(a, _lowest(a.dtype), lax.max, (*ones, *window), (*ones, *stride), _pads(a, padding))


def _entries(a: Array, value: Any, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Iterator[Array]:
    """What all the windows have for their first entry, their second, and so on; `value` where that is padding."""
    whole = lax.pad(a, value, [(low, high, 0) for low, high in _pads(a, padding)])
    lead = a.ndim - len(window)
    sizes = whole.shape[lead:]
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    counts = [(n - span) // s + 1 for n, span, s in zip(sizes, spans, stride, strict=True)]
    for at in itertools.product(*map(range, window)):
        starts = [k * d for k, d in zip(at, dilation, strict=True)]
        stops = [start + s * (n - 1) + 1 for start, s, n in zip(starts, stride, counts, strict=True)]
        first, last = (*[0] * lead, *starts), (*whole.shape[:lead], *stops)
        yield lax.slice(whole, first, last, (*[1] * lead, *stride))


def _better(new: Array, best: Array) -> Array:
    return lax.bitwise_or(lax.gt(new, best), lax.ne(new, new))


def _by_entries(a: Array, *params: Any) -> Array:
    """The first of the greatest entries, or the last nan."""
    return functools.reduce(
        lambda best, new: lax.select(_better(new, best), new, best), _entries(a, _lowest(a.dtype), *params)
    )


def _max_pool_index(a: Array, *, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    """Padding is at -1, and no entry is better but for being in the array where the best is not."""
    params = window, stride, padding, dilation
    sizes = a.shape[a.ndim - len(window) :]
    numbers = lax.broadcast(lax.reshape(lax.iota(np.int64, math.prod(sizes)), sizes), a.shape[: a.ndim - len(window)])
    values = _entries(a, _lowest(a.dtype), *params)
    found = zip(values, _entries(numbers, np.int64(-1), *params), strict=True)
    best, at = next(found)
    for value, number in found:
        inside = lax.ge(number, like(number, 0))
        none = lax.bitwise_and(lax.lt(at, like(at, 0)), inside)
        better = lax.bitwise_or(_better(value, best), none)
        best, at = lax.select(better, value, best), lax.select(better, number, at)
    return at


@widened
def _max_pool_place(g: Array, a: Array, **params: Any) -> Array:
    a = lax.convert_element_type(a, g.dtype)
    (out,) = jax.vjp(functools.partial(_max_pool, **params), a)[1](g)
    return out


@widened
def _max_pool_pick(h: Array, a: Array, **params: Any) -> Array:
    """By position: of equal entries in a window of two axes, XLA's own tangent of a maximum takes another than the
    first, which `max_pool_place` and the eager run take.
    """
    at = _max_pool_index(a, **params)
    axis = a.ndim - len(params["window"])
    rows = lax.reshape(h, (*h.shape[:axis], math.prod(h.shape[axis:])))
    return lax.reshape(
        gather(rows, lax.reshape(at, (*at.shape[:axis], math.prod(at.shape[axis:]))), axis=axis), at.shape
    )


def _divided(a: Array, divisors: tuple[Shape, ...]) -> Array:
    """By the product of one number per axis and position."""
    if all(len(set(along)) == 1 for along in divisors):
        return lax.div(a, like(a, math.prod([along[0] for along in divisors])))
    products = functools.reduce(np.multiply.outer, [np.array(along, a.dtype) for along in divisors])
    dims = tuple(range(a.ndim - products.ndim, a.ndim))
    return lax.div(a, lax.broadcast_in_dim(products, a.shape, dims))


@widened
def _avg_pool(a: Array, *, window: Shape, stride: Shape, padding: Padding, divisors: tuple[Shape, ...]) -> Array:
    ones = _leading(a, window)
    zero = np.zeros((), a.dtype)
    total = lax.reduce_window(a, zero, lax.add, (*ones, *window), (*ones, *stride), _pads(a, padding))
    return _divided(total, divisors)


def _avg_pool_adjoint(g: Array, *, shape: Shape, **params: Any) -> Array:
    wide = lax.convert_element_type(g, np.float32) if is_half(g) else g
    whole = (*g.shape[: g.ndim - len(shape)], *shape)
    a = jax.ShapeDtypeStruct(whole, wide.dtype)  # type: ignore[no-untyped-call]
    (out,) = jax.linear_transpose(functools.partial(_avg_pool, **params), a)(wide)
    return lax.convert_element_type(out, g.dtype) if is_half(g) else out


RULES: Rules = {
    p.max_pool: _max_pool,
    p.max_pool_index: _max_pool_index,
    p.max_pool_place: _max_pool_place,
    p.max_pool_pick: _max_pool_pick,
    p.avg_pool: _avg_pool,
    p.avg_pool_adjoint: _avg_pool_adjoint,
}
