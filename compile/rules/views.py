"""Diagonals, sliding windows, strides of one's own, and memory read as another dtype.

What is read by strides is gathered by position, and what is written so is scattered. A sum of 16-bit floats where
windows overlap makes a detour through float32.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...primitives import indexing
from ...primitives import views as p
from .common import Rules, is_complex, is_half
from .indexing import RULES as INDEXING

__all__ = ["RULES"]

Array = jax.Array
Shape = tuple[int, ...]

_take, _take_add, _put = (INDEXING[prim] for prim in (indexing.take, indexing.take_add, indexing.put))


def _wide(a: Array) -> Array:
    return lax.convert_element_type(a, np.float32) if is_half(a) else a


def _positions(shape: Shape, strides: Shape, offset: int) -> Array:
    """Where each element is, computed by the program: a table would be part of it."""
    found = lax.full(shape, offset, np.int64)
    for axis, stride in enumerate(strides):
        steps = lax.mul(lax.broadcasted_iota(np.int64, shape, axis), lax.full(shape, stride, np.int64))
        found = lax.add(found, steps)
    return found


def _flat(a: Array) -> Array:
    return lax.reshape(a, (a.size,))


def _as_strided(a: Array, *, shape: Shape, strides: Shape, offset: int) -> Array:
    return lax.convert_element_type(_take(_flat(_wide(a)), _positions(shape, strides, offset), axis=0), a.dtype)


def _as_strided_add(g: Array, *, into: Shape, strides: Shape, offset: int) -> Array:
    where = _positions(g.shape, strides, offset)
    total = _take_add(_wide(g), where, axis=0, size=math.prod(into))
    return lax.convert_element_type(lax.reshape(total, into), g.dtype)


def _as_strided_scatter(base: Array, new: Array, *, strides: Shape, offset: int) -> Array:
    where = _positions(new.shape, strides, offset)
    return lax.reshape(_put(_flat(base), new, where, axis=0), base.shape)


def _diagonal(a: Array, *, offset: int, axis1: int, axis2: int) -> Array:
    return jnp.diagonal(a, offset, axis1, axis2)


def _unfold(a: Array, *, axis: int, size: int, step: int) -> Array:
    count = (a.shape[axis] - size) // step + 1
    starts = lax.mul(lax.broadcasted_iota(np.int64, (count, size), 0), lax.full((count, size), step, np.int64))
    found = _take(_wide(a), lax.add(starts, lax.broadcasted_iota(np.int64, (count, size), 1)), axis=axis)
    return lax.convert_element_type(jnp.moveaxis(found, axis + 1, -1), a.dtype)


def _view_as_real(a: Array) -> Array:
    return jnp.stack([lax.real(a), lax.imag(a)], -1)


def _view_as_complex(a: Array) -> Array:
    return lax.complex(a[..., 0], a[..., 1])


def _bitcast(a: Array, *, dtype: np.dtype[Any]) -> Array:
    """The bytes of one row after the other, which is how they lie in memory."""
    size = a.dtype.itemsize
    shape = a.shape if size == dtype.itemsize else (*a.shape[:-1], a.shape[-1] * size // dtype.itemsize)
    return lax.reshape(_bits(_flat(a), dtype), shape)


def _bits(a: Array, dtype: np.dtype[Any]) -> Array:
    """A 1-d array by `lax.bitcast_convert_type`, which knows neither bools nor complex numbers."""
    if is_complex(a):
        a = _flat(_view_as_real(a))
    if a.dtype == bool:
        a = lax.convert_element_type(a, np.uint8)
    if dtype.kind == "c":
        return _view_as_complex(lax.reshape(_bits(a, np.empty(0, dtype).real.dtype), (a.nbytes // dtype.itemsize, 2)))
    if dtype.kind == "b":
        return lax.ne(_bits(a, np.dtype(np.uint8)), np.uint8(0))
    ratio = dtype.itemsize // a.dtype.itemsize
    return _flat(lax.bitcast_convert_type(lax.reshape(a, (a.size // ratio, ratio)) if ratio > 1 else a, dtype))


RULES: Rules = {
    p.as_strided: _as_strided,
    p.as_strided_add: _as_strided_add,
    p.as_strided_scatter: _as_strided_scatter,
    p.diagonal: _diagonal,
    p.unfold: _unfold,
    p.view_as_real: _view_as_real,
    p.view_as_complex: _view_as_complex,
    p.bitcast: _bitcast,
}
