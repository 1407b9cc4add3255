"""Indexing by integer arrays, each next to its adjoint. Indices are non-negative and in range; `ops` sees to that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tape import Primitive
from .shaping import zeros_like

__all__ = ["argsort", "gather", "put", "scatter_add", "take", "take_add"]


def _take_add(g: Any, index: Any, *, axis: int, size: int) -> Any:
    lead, tail = g.shape[:axis], g.shape[axis + index.ndim :]
    out = np.zeros((*lead, size, *tail), g.dtype)
    if index.size > 1 and math.prod(tail) > 1:
        _add_rows(out, g.reshape(*lead, index.size, *tail), index.reshape(-1), axis)
    else:
        np.add.at(out, (slice(None),) * axis + (index,), g)
    return out


def _add_rows(out: Any, rows: Any, index: Any, axis: int) -> None:
    """Put the sums of those rows that go to the same place there. `np.add.at` would add number by number."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sums = np.add.reduceat(np.take(rows, order, axis), starts, axis, rows.dtype)
    out[(slice(None),) * axis + (ordered[starts],)] = sums


def _scatter_add(g: Any, index: Any, *, axis: int, size: int) -> Any:
    out = np.zeros((*index.shape[:axis], size, *index.shape[axis + 1 :]), g.dtype)
    if index.shape[axis] == 1:  # no position can repeat
        out[_along(index, axis)] = g
    else:
        np.add.at(out, _along(index, axis), g)
    return out


def _along(index: Any, axis: int) -> tuple[Any, ...]:
    """The full index with which `index` addresses an array along `axis`, the other axes going in step."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis] = index
    return tuple(grid)


def _put(base: Any, new: Any, index: Any, *, axis: int) -> Any:
    out = base.copy()
    out[(slice(None),) * axis + (index,)] = new
    return out


take = Primitive(
    "take",
    lambda a, index, *, axis: np.take(a, index, axis=axis),
    node_name="IndexBackward0",
    a=lambda g, index, in_shape, axis: take_add(g, index, axis=axis, size=in_shape[axis]),
    index=None,
)
"""`a` at the positions `index` (any shape) of one axis, which the axes of `index` replace."""

take_add = Primitive(
    "take_add",
    _take_add,
    g=lambda g, index, axis: take(g, index, axis=axis),
    index=None,
)
"""Zeros with `g` added at the positions `index`: the adjoint of `take`."""

put = Primitive(
    "put",
    _put,
    node_name="IndexPutBackward0",
    base=lambda g, index, axis: put(g, zeros_like(take(g, index, axis=axis)), index, axis=axis),
    new=lambda g, index, axis: take(g, index, axis=axis),
    index=None,
)
"""`base` with `new` at the positions `index` of one axis; where a position repeats, one of the values stays."""

gather = Primitive(
    "gather",
    lambda a, index, *, axis: a[_along(index, axis)],
    a=lambda g, index, in_shape, axis: scatter_add(g, index, axis=axis, size=in_shape[axis]),
    index=None,
)
"""`a[..., index[i], ...]` along one axis, the other axes of `a` and `index` having equal lengths."""

scatter_add = Primitive(
    "scatter_add",
    _scatter_add,
    g=lambda g, index, axis: gather(g, index, axis=axis),
    index=None,
)
"""Zeros with `g` added along one axis where `index` says: the adjoint of `gather`."""

argsort = Primitive("argsort", lambda a, *, axis: np.argsort(a, axis=axis, kind="stable"), a=None)
"""The positions along one axis that would put it in order; equal elements keep theirs."""
