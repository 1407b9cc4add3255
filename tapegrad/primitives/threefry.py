"""Threefry-2x32 with 20 rounds: random words as a function of a seed and a position, on NumPy.

Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011, doi:10.1145/2063384.2063405).

A seed of 64 bits is the key (its upper half first), and block `b` of its stream is the cipher of the counter `b` (of 64
bits, the upper half first): two words, of which word `2 b` of the stream is the second and word `2 b + 1` the first, so
that a pair read as one number of 64 bits has the first on top. These are the numbers of `jax.random.bits`, of 64 bits.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["CONSTANT", "ROTATIONS", "random_words", "threefry_2x32"]

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""By how many bits the rounds turn a word: four rounds by the first row, four by the second, and so on."""
CONSTANT = 0x1BD11BDA
"""What the third word of the key is mixed of, besides the other two."""

_GROUPS = 5  # of four rounds
_BLOCKS = 2**63  # after which the stream begins again: its positions have 64 bits
_CHUNK = 1 << 13  # blocks computed at a time, so that they stay in the cache
_WINDOW = 1 << 10  # words computed and kept for small draws

Words = np.ndarray[Any, np.dtype[np.uint32]]


def threefry_2x32(key: tuple[int, int], first: Words, second: Words) -> None:
    """Encrypt the counters (`first`, `second`) under a key of two words, in place."""
    keys = [np.uint32(k) for k in (*key, key[0] ^ key[1] ^ CONSTANT)]
    first += keys[0]
    second += keys[1]
    spare = np.empty_like(first)
    for group in range(_GROUPS):
        for bits in ROTATIONS[group % 2]:
            first += second
            np.left_shift(second, bits, out=spare)
            np.right_shift(second, 32 - bits, out=second)
            np.bitwise_or(second, spare, out=second)
            np.bitwise_xor(second, first, out=second)
        first += keys[(group + 1) % 3]
        second += keys[(group + 2) % 3]
        second += np.uint32(group + 1)


def random_words(seed: int, start: int, count: int) -> Words:
    """Words `start` to `start + count` of the stream of `seed`, which has 2**64. They may be read-only."""
    if count > _WINDOW // 2:
        skipped = start % 2
        return _blocks(seed, start // 2, (skipped + count + 1) // 2)[skipped : skipped + count]
    window, at = divmod(start, _WINDOW)
    words = _window(seed, window)[at : at + count]
    return words if words.size == count else np.concatenate([words, _window(seed, window + 1)[: count - words.size]])


@functools.lru_cache(maxsize=16)
def _window(seed: int, number: int) -> Words:
    words = _blocks(seed, number * (_WINDOW // 2), _WINDOW // 2)
    words.setflags(write=False)
    return words


def _blocks(seed: int, first: int, count: int) -> Words:
    """The words of `count` blocks, in order."""
    out = np.empty((count, 2), "<u4")
    key = seed >> 32, seed & 0xFFFFFFFF
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        counter = (np.arange(size, dtype=np.uint64) + np.uint64((first + start) % _BLOCKS)) & np.uint64(_BLOCKS - 1)
        upper, lower = (counter >> np.uint64(32)).astype(np.uint32), counter.astype(np.uint32)
        threefry_2x32(key, upper, lower)
        out[start : start + size, 0] = lower
        out[start : start + size, 1] = upper
    return out.reshape(-1)
