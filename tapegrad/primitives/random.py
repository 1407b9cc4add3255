"""Random numbers: words of a generator's stream, and what is made of them. No derivative.

A generator's state is two int64: its seed, and how many words of the seed's stream (`threefry`) it has given. Words are
int32, or int64 for two words each, in two's complement: they stand for the unsigned numbers of the same bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tape import Primitive
from .normal import normal_quantile
from .precision import is_half
from .threefry import random_words

__all__ = [
    "random_advance", "random_bits", "random_integers", "random_normal", "random_uniform", "search_sorted",
]  # fmt: skip

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_MODULUS = 2**64


def first_word(given: int, words: int) -> int:
    """Where the next draw begins, of one word each or of two, which are a block."""
    return given + given % words


def words_at(seed: int, given: int, shape: Shape, words: int) -> Array:
    """The words that the next draw of a generator gives."""
    found = random_words(seed % _MODULUS, first_word(given % _MODULUS, words), math.prod(shape) * words)
    return found.view("<i4" if words == 1 else "<i8").astype(np.int32 if words == 1 else np.int64).reshape(shape)


def given_after(given: int, shape: Shape, words: int) -> int:
    """How many words a generator has given after a draw, as a signed number."""
    after = (first_word(given % _MODULUS, words) + math.prod(shape) * words) % _MODULUS
    return after - _MODULUS if after >= _MODULUS // 2 else after


random_bits = Primitive(
    "random_bits",
    lambda state, *, shape, words: words_at(int(state[0]), int(state[1]), shape, words),
    state=None,
)
"""An array of random words, the next ones of a generator in `state`: int32, or int64 if `words` is 2."""

random_advance = Primitive(
    "random_advance",
    lambda state, *, shape, words: np.array([state[0], given_after(int(state[1]), shape, words)]),
    state=None,
)
"""The state of a generator after `random_bits` with these parameters."""


def _top(bits: Array, digits: int) -> Array:
    """The upper `digits` bits, as a number of the dtype that `bits` has."""
    width = bits.itemsize * 8
    unsigned = bits.view(np.dtype(f"u{bits.itemsize}"))
    return (unsigned >> (width - digits)).view(bits.dtype)


def _uniform(bits: Array, *, digits: int, dtype: np.dtype[Any]) -> Array:
    wide = np.dtype(np.float32) if is_half(dtype) else dtype
    out = _top(bits, digits).astype(wide)
    out *= 2.0**-digits
    return out.astype(dtype, copy=False)


random_uniform = Primitive("random_uniform", _uniform, elementwise=True, bits=None)
"""Numbers in [0, 1) of so many binary `digits`, the upper ones of the words; `dtype` has as many: none is rounded."""


def _normal(bits: Array, *, digits: int, dtype: np.dtype[Any]) -> Array:
    wide = np.dtype(np.float32) if is_half(dtype) else dtype
    odd = _top(bits, digits)
    odd *= 2
    odd -= 2**digits - 1
    q = odd.astype(wide)
    q *= 2.0 ** -(digits + 1)
    return normal_quantile(q).astype(dtype, copy=False)


random_normal = Primitive("random_normal", _normal, elementwise=True, bits=None)
"""Numbers of the standard normal distribution: its inverse at `2**digits` evenly spaced probabilities.

`digits` (24, or 53 of words of 64 bits) is such that `dtype`, if it is not a 16-bit one, has them all.
"""


def _integers(bits: Array, *, low: int, span: int, dtype: np.dtype[Any]) -> Array:
    unsigned = np.dtype(f"u{bits.itemsize}")
    value, is_power = bits.view(unsigned), span & (span - 1) == 0
    value = value & unsigned.type(span - 1) if is_power else value % unsigned.type(span)
    if low == 0 and span <= 2**31 and bits.itemsize == 4:
        return value.view(np.int32).astype(dtype, copy=False)
    return (value.astype(np.int64) + np.int64(low)).astype(dtype, copy=False)


random_integers = Primitive("random_integers", _integers, elementwise=True, bits=None)
"""The integers `low + bits % span`, the bits taken as an unsigned number, of which `span` may be the number of all."""


def _search_sorted(a: Array, values: Array) -> Array:
    out = np.empty(values.shape, np.int64)
    for at in np.ndindex(a.shape[:-1]):
        out[at] = np.searchsorted(a[at], values[at], side="right")
    return out


search_sorted = Primitive("search_sorted", _search_sorted, a=None, values=None)
"""How many numbers of each row of `a`, which are in order, are not above each of `values` in the same row."""

__all__ += ["first_word", "given_after", "words_at"]
