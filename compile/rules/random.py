"""Random numbers: the same words as the eager ones, bit for bit, and what is made of them.

A word depends on the seed and its own position only, so that the words are the same however an array is sharded.
Threefry is written out in element-wise operations: `jax.random` would give other words under other settings of JAX.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...primitives import random as p
from ...primitives.normal import DOUBLE, MIDDLE, SINGLE, Fit, ratio
from ...primitives.threefry import CONSTANT, ROTATIONS
from .common import Rules, like

__all__ = ["RULES"]

Array = jax.Array
Shape = tuple[int, ...]

_GROUPS = 5
_BELOW = np.uint64(0xFFFFFFFF)


def _part(state: Array, number: int) -> Array:
    return lax.index_in_dim(state, number, keepdims=False)


def _words(a: Array) -> tuple[Array, Array]:
    """The two words of numbers of 64 bits, the upper ones first."""
    a = a if a.dtype == np.uint64 else lax.bitcast_convert_type(a, np.uint64)
    upper = lax.shift_right_logical(a, like(a, 32))
    return lax.convert_element_type(upper, np.uint32), lax.convert_element_type(a & _BELOW, np.uint32)


def _threefry(key: tuple[Array, Array], x: Array, y: Array) -> tuple[Array, Array]:
    """The cipher of the counters (`x`, `y`): see `primitives.threefry`."""
    keys = (*key, key[0] ^ key[1] ^ np.uint32(CONSTANT))
    x, y = x + keys[0], y + keys[1]
    for group in range(_GROUPS):
        for bits in ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(bits) | y >> np.uint32(32 - bits)) ^ x
        x = x + keys[(group + 1) % 3]
        y = y + (keys[(group + 2) % 3] + np.uint32(group + 1))
    return x, y


def _position(shape: Shape, dtype: Any) -> Array:
    """The number of each element, in the order of rows."""
    out = lax.full(shape, 0, dtype)
    for axis in range(len(shape)):
        step = dtype(math.prod(shape[axis + 1 :]))
        out = out + lax.broadcasted_iota(dtype, shape, axis) * step
    return out


def _counters(start: Array, shape: Shape) -> tuple[Array, Array]:
    """The words of `start` (uint64) plus the number of each element, mostly in 32 bits, which all devices have."""
    if math.prod(shape) >= 2**32:
        return _words(start + _position(shape, np.uint64))
    upper, lower = _words(start)
    second = lower + _position(shape, np.uint32)
    return upper + lax.convert_element_type(second < lower, np.uint32), second


@functools.partial(jax.jit, static_argnames=("shape", "words"))
def _random_bits(state: Array, *, shape: Shape, words: int) -> Array:
    seed, given = _words(_part(state, 0)), lax.bitcast_convert_type(_part(state, 1), np.uint64)
    one = np.uint64(1)
    if words == 2:
        high, low = _counters((given >> one) + (given & one), shape)
        upper, lower = _threefry(seed, high & np.uint32(0x7FFFFFFF), low)
        wide = [lax.convert_element_type(x, np.uint64) for x in (upper, lower)]
        return lax.bitcast_convert_type(wide[0] << np.uint64(32) | wide[1], np.int64)
    high, low = _counters(given, shape)
    block = high >> np.uint32(1), low >> np.uint32(1) | high << np.uint32(31)
    odd, even = _threefry(seed, *block)
    return lax.bitcast_convert_type(lax.select(low & np.uint32(1) == 1, odd, even), np.int32)


def _random_advance(state: Array, *, shape: Shape, words: int) -> Array:
    seed, given = _part(state, 0), _part(state, 1)
    if words == 2:
        given = given + (given & np.int64(1))
    return jnp.stack([seed, given + np.int64(math.prod(shape) * words)])


def _top(bits: Array, digits: int) -> Array:
    return lax.shift_right_logical(bits, like(bits, bits.dtype.itemsize * 8 - digits))


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.itemsize > 2 else np.dtype(np.float32)


def _random_uniform(bits: Array, *, digits: int, dtype: np.dtype[Any]) -> Array:
    wide = _wide(dtype)
    out = lax.convert_element_type(_top(bits, digits), wide) * wide.type(2.0**-digits)
    return lax.convert_element_type(out, dtype)


def _random_normal(bits: Array, *, digits: int, dtype: np.dtype[Any]) -> Array:
    wide = _wide(dtype)
    one = bits.dtype.type(1)
    odd = (_top(bits, digits) << one) - bits.dtype.type(2**digits - 1)
    q = lax.convert_element_type(odd, wide) * wide.type(2.0 ** -(digits + 1))
    fit = DOUBLE if wide == np.float64 else SINGLE
    return lax.convert_element_type(_quantile(q, fit=fit), dtype)


@functools.partial(jax.jit, static_argnames="fit")
def _quantile(q: Array, *, fit: Fit) -> Array:
    """See `primitives.normal`."""
    number = q.dtype.type
    middle = q * ratio(fit.middle, number(MIDDLE**2) - q * q)
    root = lax.sqrt(-lax.log(number(0.5) - lax.abs(q)))
    tail = ratio(fit.tail, root - number(fit.tail.origin))
    if fit.far is not None:
        far = ratio(fit.far, root - number(fit.far.origin))
        tail = lax.select(root > number(fit.limit), far, tail)
    return lax.select(lax.abs(q) > number(MIDDLE), lax.sign(q) * tail, middle)


def _random_integers(bits: Array, *, low: int, span: int, dtype: np.dtype[Any]) -> Array:
    unsigned = np.dtype(f"u{bits.dtype.itemsize}")
    value = lax.bitcast_convert_type(bits, unsigned)
    is_power = span & (span - 1) == 0
    value = value & unsigned.type(span - 1) if is_power else lax.rem(value, like(value, span))
    short = low >= -(2**31) and low + span <= 2**31 and bits.dtype == np.int32
    signed = np.dtype(np.int32 if short else np.int64)
    out = lax.convert_element_type(value, signed) + signed.type(low)
    return out != 0 if dtype == np.bool_ else lax.convert_element_type(out, dtype)


def _search_sorted(a: Array, values: Array) -> Array:
    find = functools.partial(jnp.searchsorted, side="right")
    for _ in a.shape[:-1]:
        find = jax.vmap(find)
    return lax.convert_element_type(find(a, values), np.int64)


RULES: Rules = {
    p.random_bits: _random_bits,
    p.random_advance: _random_advance,
    p.random_uniform: _random_uniform,
    p.random_normal: _random_normal,
    p.random_integers: _random_integers,
    p.search_sorted: _search_sorted,
}
