"""Indexing by integer arrays, each next to its adjoint.

NumPy raises where an index is out of range, and a program cannot: there reading gives nan (for integers the smallest or
largest one) and writing does nothing, where JAX would by default use the nearest element in range. Under jit that is
never seen, as such a run is refused.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...primitives import indexing as p
from .common import Rules

__all__ = ["RULES", "gather"]

Array = jax.Array
Shape = tuple[int, ...]

_MODE = lax.GatherScatterMode.FILL_OR_DROP


def _column(index: Array) -> Array:
    """`index` as the index vectors of one axis, in a dtype that holds the length of any axis."""
    return lax.expand_dims(lax.convert_element_type(index, np.int64), (index.ndim,))


# Positions along one axis, which the axes of the index replace


def _window_axes(ndim: int, axis: int, index: Array) -> Shape:
    """The axes of the result, of which `ndim` belong to the indexed array, that the index has no part in."""
    return (*range(axis), *range(axis + index.ndim, ndim - 1 + index.ndim))


def _take(a: Array, index: Array, *, axis: int) -> Array:
    shape = (*a.shape[:axis], *index.shape, *a.shape[axis + 1 :])
    if not math.prod(shape):
        return lax.full(shape, 0, a.dtype)  # lax refuses to look into an empty axis, even for no index
    dimensions = lax.GatherDimensionNumbers(
        offset_dims=_window_axes(a.ndim, axis, index), collapsed_slice_dims=(axis,), start_index_map=(axis,)
    )
    sizes = (*a.shape[:axis], 1, *a.shape[axis + 1 :])
    return lax.gather(a, _column(index), dimensions, sizes, mode=_MODE)


def _positions(ndim: int, axis: int, index: Array) -> lax.ScatterDimensionNumbers:
    return lax.ScatterDimensionNumbers(
        update_window_dims=_window_axes(ndim, axis, index),
        inserted_window_dims=(axis,),
        scatter_dims_to_operand_dims=(axis,),
    )


def _take_add(g: Array, index: Array, *, axis: int, size: int) -> Array:
    shape = (*g.shape[:axis], size, *g.shape[axis + index.ndim :])
    return _added(g, _column(index), shape, _positions(len(shape), axis, index))


def _added(g: Array, columns: Array, shape: Shape, dimensions: lax.ScatterDimensionNumbers) -> Array:
    """Zeros of `shape` with `g` added at the index vectors `columns`; bools add up to whether one of them holds."""
    if g.dtype == bool:
        return lax.ne(_added(lax.convert_element_type(g, np.int64), columns, shape, dimensions), np.int64(0))
    zeros = lax.full(shape, 0, g.dtype)
    return lax.scatter_add(zeros, columns, g, dimensions, mode=_MODE) if g.size else zeros


def _scatter(base: Array, new: Array, index: Array, axis: int, *, unique: bool) -> Array:
    dimensions = _positions(base.ndim, axis, index)
    return lax.scatter(base, _column(index), new, dimensions, unique_indices=unique, mode=_MODE)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _written(base: Array, new: Array, index: Array, axis: int) -> Array:
    """`base` with `new` at `index`; the last one stays where a position repeats."""
    return _scatter(base, new, index, axis, unique=False)


@_written.defjvp
def _written_jvp(axis: int, primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """As PyTorch: where a position repeats, each of its values gets the cotangent, not only the one that stayed.

    To call the positions unique is what makes JAX transpose the scatter that way: to a gather.
    """
    base, new, index = primals
    return _written(base, new, index, axis), _scatter(tangents[0], tangents[1], index, axis, unique=True)


def _put(base: Array, new: Array, index: Array, *, axis: int) -> Array:
    return _written(base, new, index, axis) if new.size else base


# One element along an axis, the other axes in step


def gather(a: Array, index: Array, *, axis: int) -> Array:
    """`a[..., index[i], ...]` along one axis."""
    if not index.size:
        return lax.full(index.shape, 0, a.dtype)
    others = tuple([i for i in range(a.ndim) if i != axis])
    dimensions = lax.GatherDimensionNumbers(
        offset_dims=(),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        operand_batching_dims=others,
        start_indices_batching_dims=others,
    )
    return lax.gather(a, _column(index), dimensions, (1,) * a.ndim, mode=_MODE)


def _scatter_add(g: Array, index: Array, *, axis: int, size: int) -> Array:
    others = tuple([i for i in range(g.ndim) if i != axis])
    dimensions = lax.ScatterDimensionNumbers(
        update_window_dims=(),
        inserted_window_dims=(axis,),
        scatter_dims_to_operand_dims=(axis,),
        operand_batching_dims=others,
        scatter_indices_batching_dims=others,
    )
    return _added(g, _column(index), (*g.shape[:axis], size, *g.shape[axis + 1 :]), dimensions)


RULES: Rules = {
    p.take: _take,
    p.take_add: _take_add,
    p.put: _put,
    p.gather: gather,
    p.scatter_add: _scatter_add,
    p.argsort: lambda a, *, axis: jnp.argsort(a, axis=axis, stable=True),
}
