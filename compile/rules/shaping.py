"""Shape without arithmetic: reshape, permute, broadcast, slice, flip, concatenate."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import numpy as np
from jax import lax

from ...primitives import shaping as p
from .common import Rules, is_half

__all__ = ["RULES"]

Array = jax.Array
Shape = tuple[int, ...]
Index = tuple[int | slice | None, ...]


def _broadcast_to(a: Array, *, shape: Shape) -> Array:
    """NumPy's broadcasting. A 16-bit float makes a detour through float32 for the sake of its transpose, a sum."""
    dims = tuple(range(len(shape) - a.ndim, len(shape)))
    if not is_half(a) or a.size == math.prod(shape):
        return lax.broadcast_in_dim(a, shape, dims)
    wide = lax.broadcast_in_dim(lax.convert_element_type(a, np.float32), shape, dims)
    return lax.convert_element_type(wide, a.dtype)


class _Window(NamedTuple):
    """What a basic index selects of each axis, in rising order, and the `shown` shape of what it gives: no axis for an
    int. The axes in `flipped` are gone through backwards.
    """

    starts: Shape
    stops: Shape
    steps: Shape
    sizes: Shape
    shown: Shape
    flipped: Shape


def _window(index: Index, shape: Shape) -> _Window:
    """The window that `index` opens on `shape`; axes beyond its entries are whole."""
    ranges: list[range] = []
    shown: list[int] = []
    for entry in index:
        if entry is None:
            shown.append(1)
        elif isinstance(entry, slice):
            ranges.append(range(*entry.indices(shape[len(ranges)])))
            shown.append(len(ranges[-1]))
        else:
            ranges.append(range(entry, entry + 1))
    shown.extend(shape[len(ranges) :])
    ranges.extend(range(n) for n in shape[len(ranges) :])
    flipped = tuple([axis for axis, r in enumerate(ranges) if r.step < 0])
    ranges = [r[::-1] if r.step < 0 else r for r in ranges]
    return _Window(
        tuple([r.start if r else 0 for r in ranges]),
        tuple([r[-1] + 1 if r else 0 for r in ranges]),
        tuple([r.step for r in ranges]),
        tuple([len(r) for r in ranges]),
        tuple(shown),
        flipped,
    )


def _turned(a: Array, axes: Shape) -> Array:
    return lax.rev(a, axes) if axes else a


def _reshape(a: Array, shape: Shape) -> Array:
    return a if a.shape == shape else lax.reshape(a, shape)


def _slice(a: Array, *, index: Index) -> Array:
    window = _window(index, a.shape)
    found = lax.slice(a, window.starts, window.stops, window.steps)
    return _reshape(_turned(found, window.flipped), window.shown)


def _pad(a: Array, window: _Window, shape: Shape) -> Array:
    """Zeros of `shape` with `a` in the window."""
    edges = [
        (start, n - stop, step - 1)
        for start, stop, step, n in zip(window.starts, window.stops, window.steps, shape, strict=True)
    ]
    return lax.pad(_turned(_reshape(a, window.sizes), window.flipped), np.zeros((), a.dtype), edges)


def _unslice(g: Array, *, shape: Shape, index: Index) -> Array:
    return _pad(g, _window(index, shape), shape)


def _slice_scatter(base: Array, new: Array, *, index: Index) -> Array:
    """An update in place where the window has no gaps, else a selection: never a scatter, which would be slow."""
    window = _window(index, base.shape)
    if all(step == 1 for step in window.steps):
        return lax.dynamic_update_slice(base, _turned(_reshape(new, window.sizes), window.flipped), window.starts)
    inside = _pad(lax.full(window.sizes, True), window, base.shape)
    return lax.select(inside, _pad(new, window, base.shape), base)


def _concatenate(*arrays: Array, axis: int) -> Array:
    return lax.concatenate(arrays, axis)


RULES: Rules = {
    p.reshape: lambda a, *, shape: lax.reshape(a, shape),
    p.permute: lambda a, *, axes: lax.transpose(a, axes),
    p.broadcast_to: _broadcast_to,
    p.flip: lambda a, *, axes: lax.rev(a, axes),
    p.slice_: _slice,
    p.unslice: _unslice,
    p.slice_scatter: _slice_scatter,
    p.concatenate: _concatenate,
}
