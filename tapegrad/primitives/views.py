"""Views that are more than a slice or a permutation: diagonals, sliding windows, strides of one's own, other dtypes.

Strides and offsets are counted in elements, from the first element of an operand that is taken to lie in memory in
order. A diagonal and a window are such views too, seen from the operand: their adjoints and writes are those of
`as_strided`.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..storage import overlapping
from ..tape import Primitive
from .shaping import zeros_like

__all__ = [
    "as_strided", "as_strided_add", "as_strided_scatter", "bitcast", "c_strides", "diagonal", "diagonal_strides",
    "memory_of", "positions", "strided", "unfold", "view_as_complex", "view_as_real",
    "window_strides",
]  # fmt: skip

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


# Memory and strides


def memory_of(a: Array) -> tuple[Array, int]:
    """The array that owns the memory of `a`, and how many bytes into it the first element of `a` is."""
    base = a.base
    if not isinstance(base, np.ndarray):
        return a, 0
    start: int = a.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return base, start


def strided(a: Array, shape: Shape, strides: Shape, start: int = 0) -> Array:
    """A view of the memory of `a`, from `start` bytes past its first element, with `strides` in bytes.

    Raises ValueError where that is outside of the memory. The memory is that of the array that `a` is a view of.
    """
    owner, offset = memory_of(a)
    whole = owner if owner.flags.c_contiguous or owner.flags.f_contiguous else owner.ravel("K")
    if whole is not owner and whole.base is not owner:  # memory with gaps, which NumPy got from elsewhere: a copy
        return np.lib.stride_tricks.as_strided(a[...], shape, strides, writeable=False).copy()
    offset = 0 if 0 in shape else offset + start
    out: Array = np.ndarray(shape, a.dtype, whole, offset, strides)
    if not a.flags.writeable:
        out.flags.writeable = False
    return out


def c_strides(shape: Shape) -> Shape:
    """The strides of an array of `shape` whose elements lie in memory in order."""
    steps = itertools.accumulate((max(n, 1) for n in shape[:0:-1]), lambda a, b: a * b, initial=1)
    return tuple(steps)[::-1] if shape else ()


def positions(shape: Shape, strides: Shape, offset: int) -> Array:
    """Where each element is: `offset + sum(index * strides)`."""
    found = np.full((1,) * len(shape), offset, np.int64)
    for axis, (n, stride) in enumerate(zip(shape, strides, strict=True)):
        found = found + (np.arange(n) * stride).reshape((n,) + (1,) * (len(shape) - axis - 1))
    return np.broadcast_to(found, shape)


# Any strides


def _as_strided(a: Array, *, shape: Shape, strides: Shape, offset: int) -> Array:
    a = a if a.flags.c_contiguous else np.ascontiguousarray(a)
    size = a.itemsize
    return strided(a, shape, tuple([size * stride for stride in strides]), size * offset)


def _as_strided_add(g: Array, *, into: Shape, strides: Shape, offset: int) -> Array:
    out = np.zeros(into, g.dtype)
    if g.size and overlapping(g.shape, strides):
        np.add.at(out.reshape(-1), positions(g.shape, strides, offset), g)
    elif g.size:
        _as_strided(out, shape=g.shape, strides=strides, offset=offset)[...] = g
    return out


def _as_strided_scatter(base: Array, new: Array, *, strides: Shape, offset: int) -> Array:
    out = np.array(base, order="C")
    if new.size:
        _as_strided(out, shape=new.shape, strides=strides, offset=offset)[...] = new
    return out


as_strided = Primitive(
    "as_strided",
    _as_strided,
    view=True,
    write=lambda base, new, shape, strides, offset: as_strided_scatter(base, new, strides=strides, offset=offset),
    a=lambda g, in_shape, strides, offset: as_strided_add(g, into=in_shape, strides=strides, offset=offset),
)
"""The elements `offset + sum(index * strides)` of `a` read in order; a view of an operand that lies so in memory."""

as_strided_add = Primitive(
    "as_strided_add",
    _as_strided_add,
    g=lambda h, in_shape, strides, offset: as_strided(h, shape=in_shape, strides=strides, offset=offset),
)
"""Zeros of the shape `into` with `g` added where `as_strided` reads: its adjoint."""


def _read(g: Any, in_shapes: tuple[Shape, Shape], strides: Shape, offset: int) -> Any:
    return as_strided(g, shape=in_shapes[1], strides=strides, offset=offset)


as_strided_scatter = Primitive(
    "as_strided_scatter",
    _as_strided_scatter,
    node_name="CopySlices",
    base=lambda g, in_shapes, strides, offset: as_strided_scatter(
        g, zeros_like(_read(g, in_shapes, strides, offset)), strides=strides, offset=offset
    ),
    new=lambda g, in_shapes, strides, offset: _read(g, in_shapes, strides, offset),
)
"""`base` with `new` where `as_strided` reads, no element of which is read twice."""


# Diagonals


def diagonal_strides(shape: Shape, offset: int, axis1: int, axis2: int) -> tuple[Shape, int]:
    """The strides and the offset with which `as_strided` reads the diagonal of an array of `shape`."""
    steps = c_strides(shape)
    others = [step for axis, step in enumerate(steps) if axis not in (axis1, axis2)]
    return (*others, steps[axis1] + steps[axis2]), offset * steps[axis2] if offset >= 0 else -offset * steps[axis1]


def _diagonal(a: Array, *, offset: int, axis1: int, axis2: int) -> Array:
    out = a.diagonal(offset, axis1, axis2)
    if a.flags.writeable:
        out.flags.writeable = True  # NumPy's own caution
    return out


def _diagonal_add(g: Any, in_shape: Shape, offset: int, axis1: int, axis2: int) -> Any:
    strides, start = diagonal_strides(in_shape, offset, axis1, axis2)
    return as_strided_add(g, into=in_shape, strides=strides, offset=start)


def _diagonal_write(base: Any, new: Any, offset: int, axis1: int, axis2: int) -> Any:
    strides, start = diagonal_strides(base.shape, offset, axis1, axis2)
    return as_strided_scatter(base, new, strides=strides, offset=start)


diagonal = Primitive(
    "diagonal",
    _diagonal,
    view=True,
    write=_diagonal_write,
    a=_diagonal_add,
)
"""The elements whose index along `axis2` is that along `axis1` plus `offset`, in a new last axis."""


# Sliding windows


def window_strides(shape: Shape, axis: int, step: int) -> Shape:
    """The strides with which `as_strided` reads the windows along one axis of an array of `shape`."""
    steps = c_strides(shape)
    return (*steps[:axis], step * steps[axis], *steps[axis + 1 :], steps[axis])


def _unfold(a: Array, *, axis: int, size: int, step: int) -> Array:
    shape, strides = a.shape, a.strides
    count = (shape[axis] - size) // step + 1
    return strided(
        a,
        (*shape[:axis], count, *shape[axis + 1 :], size),
        (*strides[:axis], step * strides[axis], *strides[axis + 1 :], strides[axis]),
    )


unfold = Primitive(
    "unfold",
    _unfold,
    view=True,
    write=lambda base, new, axis, size, step: as_strided_scatter(
        base, new, strides=window_strides(base.shape, axis, step), offset=0
    ),
    a=lambda g, in_shape, axis, step: as_strided_add(
        g, into=in_shape, strides=window_strides(in_shape, axis, step), offset=0
    ),
)
"""All windows of `size` elements that start `step` apart along one axis, each in a new last axis."""


# Memory read as another dtype


def _last_axis_in_order(a: Array) -> Array:
    """`a`, or a copy, with the elements of its last axis next to each other."""
    fine = not a.ndim or a.shape[-1] == 1 or a.strides[-1] == a.itemsize
    return a if fine or not a.size else np.ascontiguousarray(a)


def _view_as_real(a: Array) -> Array:
    return a[..., None].view(a.real.dtype)


def _view_as_complex(a: Array) -> Array:
    pairs = _last_axis_in_order(a).view(np.result_type(a.dtype, np.complex64))
    return pairs[..., 0]


view_as_real = Primitive(
    "view_as_real",
    _view_as_real,
    view=True,
    write=lambda base, new: view_as_complex(new),
    a=lambda g: view_as_complex(g),
)
"""A complex array as a real one with a new last axis: the real part and the imaginary part."""

view_as_complex = Primitive(
    "view_as_complex",
    _view_as_complex,
    view=True,
    write=lambda base, new: view_as_real(new),
    a=lambda g: view_as_real(g),
)
"""A real array whose last axis holds real and imaginary part, as a complex array without it."""


def _bitcast(a: Array, *, dtype: np.dtype[Any]) -> Array:
    return (a if dtype.itemsize == a.itemsize else _last_axis_in_order(a)).view(dtype)


def _numpy_dtype(x: Any) -> np.dtype[Any]:
    found: np.dtype[Any] = getattr(x, "_array", x).dtype
    return found


bitcast = Primitive(
    "bitcast",
    _bitcast,
    view=True,
    write=lambda base, new, dtype: bitcast(new, dtype=_numpy_dtype(base)),
    a=None,
)
"""The same bytes read as another dtype; the last axis is longer or shorter where the itemsize differs."""
