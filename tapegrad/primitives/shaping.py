"""Shape without arithmetic: reshape, permute, broadcast, slice, flip, concatenate. Most are views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tape import Primitive

__all__ = ["broadcast_to", "concatenate", "flip", "permute", "reshape", "slice_", "slice_scatter", "unslice"]

Index = tuple[int | slice | None, ...]

reshape = Primitive(
    "reshape",
    lambda a, *, shape: a.reshape(shape),
    node_name="ViewBackward0",
    view=True,
    write=lambda base, new, shape: reshape(new, shape=base.shape),
    a=lambda g, in_shape: reshape(g, shape=in_shape),
)


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


permute = Primitive(
    "permute",
    lambda a, *, axes: a.transpose(axes),
    view=True,
    write=lambda base, new, axes: permute(new, axes=inverse(axes)),
    a=lambda g, axes: permute(g, axes=inverse(axes)),
)


def _broadcast_to(a: Any, *, shape: tuple[int, ...]) -> Any:
    """A view of `a`; for a 0-d one the array constructor gives the same as `np.broadcast_to` in a tenth of the time."""
    if a.ndim == 0:
        return np.ndarray(shape, a.dtype, np.asarray(a), 0, (0,) * len(shape))
    out = np.broadcast_to(a, shape)
    if a.flags.writeable:
        out.flags.writeable = True  # a view like any other; `check_writable` refuses where elements coincide
    return out


def broadcast_adjoint(g: Any, in_shape: tuple[int, ...]) -> Any:
    """Sum `g` down to `in_shape`: the adjoint of broadcasting."""
    from .reductions import reduce_sum

    shape = g.shape
    lead = len(shape) - len(in_shape)
    axes = (*range(lead), *[lead + i for i, n in enumerate(in_shape) if n == 1 and shape[lead + i] != 1])
    summed = reduce_sum(g, axes=axes, keepdims=not lead) if axes else g
    return summed if summed.shape == in_shape else reshape(summed, shape=in_shape)


broadcast_to = Primitive(
    "broadcast_to",
    _broadcast_to,
    node_name="ExpandBackward0",
    view=True,
    write=lambda base, new, shape: reshape(new, shape=base.shape),  # nothing repeats, or writing is refused
    a=lambda g, in_shape: broadcast_adjoint(g, in_shape),
)
"""NumPy's broadcasting to a larger shape. What element-wise primitives do by themselves is this, on the tape."""

flip = Primitive("flip", lambda a, *, axes: np.flip(a, axes).copy(), a=lambda g, axes: flip(g, axes=axes))


def _slice_scatter(base: Any, new: Any, *, index: Index) -> Any:
    out = base.copy()
    out[index] = new
    return out


def _unslice(g: Any, *, shape: tuple[int, ...], index: Index) -> Any:
    out = np.zeros(shape, g.dtype)
    out[index] = g
    return out


slice_ = Primitive(
    "slice",
    lambda a, *, index: a[(*index, ...)],  # with the dots, also an element is a view
    view=True,
    write=lambda base, new, index: slice_scatter(base, new, index=index),
    a=lambda g, in_shape, index: unslice(g, shape=in_shape, index=index),
)
"""Basic indexing: `index` is a tuple of non-negative ints, slices and None (a new axis), one entry per axis."""

unslice = Primitive("unslice", _unslice, a=lambda g, index: slice_(g, index=index))
"""Zeros of `shape` with `g` at `index`: the adjoint of `slice`."""

slice_scatter = Primitive(
    "slice_scatter",
    _slice_scatter,
    node_name="CopySlices",
    base=lambda g, index: slice_scatter(g, zeros_like(slice_(g, index=index)), index=index),
    new=lambda g, index: slice_(g, index=index),
)
"""`base` with `new` at `index`."""


def zeros_like(x: Any) -> Any:
    """Zeros, also where `x` is inf or nan."""
    from .arithmetic import where

    return where(False, x, 0.0)


def _part(g: Any, position: int, in_shapes: tuple[tuple[int, ...], ...], axis: int) -> Any:
    start = sum(shape[axis] for shape in in_shapes[:position])
    stop = start + in_shapes[position][axis]
    return slice_(g, index=(slice(None),) * axis + (slice(start, stop),))


concatenate = Primitive(
    "concatenate",
    lambda *arrays, axis: np.concatenate(arrays, axis),
    node_name="CatBackward0",
    variadic=_part,
)
