"""Sample rows of the views: diagonals, sliding windows, strides of one's own, and memory read as another dtype."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...primitives import views
from .arrays import BOOL, COMPLEX, FLOATS, NUMBERS, DType, Shape
from .calls import Arg, Layout, Sample

__all__ = ["VIEWS"]

ALL = NUMBERS + BOOL
DOUBLE, INT, BYTE = (np.dtype(d) for d in (np.float64, np.int64, np.uint8))

Geometry = tuple[Shape, Shape, Shape, int]

_APART: tuple[Geometry, ...] = (
    ((4,), (2,), (2,), 1), ((2, 3), (3, 2), (1, 3), 0), ((2, 3), (), (), 4), ((), (), (), 0), ((), (1, 1), (5, 7), 0),
    ((2, 3), (2,), (4,), 0), ((2, 2, 2), (2, 2), (4, 1), 2), ((0, 2), (0, 2), (3, 1), 0), ((3,), (2, 0), (1, 1), 1),
)  # fmt: skip
"""The shape of the operand; then shape, strides and offset of what is read of it. Here no element is read twice."""
_OVERLAPPING: tuple[Geometry, ...] = (
    ((4,), (3, 2), (1, 1), 0), ((2, 3), (2, 2, 2), (2, 1, 1), 1), ((), (2, 2), (0, 0), 0), ((3,), (2, 3), (0, 1), 0),
)  # fmt: skip

_DIAGONALS: tuple[tuple[Shape, int, int, int], ...] = (
    ((3, 3), 0, 0, 1), ((2, 3), 1, 0, 1), ((2, 3), -1, 1, 0), ((2, 3, 2), -1, 0, 2), ((1, 2, 1, 3), 1, 3, 1),
    ((2, 2), 2, 0, 1), ((0, 2), 0, 0, 1),
)  # fmt: skip
_WINDOWS: tuple[tuple[Shape, int, int, int], ...] = (
    ((4,), 0, 2, 1), ((5,), 0, 2, 3), ((2, 3), 1, 2, 1), ((3, 2), 0, 3, 1), ((2, 3, 2), 1, 1, 2), ((3,), 0, 0, 2),
    ((0, 3), 1, 2, 1), ((1,), 0, 1, 4),
)  # fmt: skip


def _strided_layouts(kind: str) -> Iterator[Layout]:
    cases = _APART if kind == "as_strided_scatter" else (*_APART, *_OVERLAPPING)
    for (shape, seen, strides, offset), dtype in itertools.product(cases, ALL):
        where: dict[str, Any] = {"strides": strides, "offset": offset}
        if kind == "as_strided":
            yield Layout((Arg(shape, dtype),), {"shape": seen, **where})
        elif kind == "as_strided_scatter":
            yield Layout((Arg(shape, dtype), Arg(seen, dtype)), where)
        else:
            yield Layout((Arg(seen, dtype),), {"into": shape, **where})


def _diagonal_layouts() -> Iterator[Layout]:
    for (shape, offset, axis1, axis2), dtype in itertools.product(_DIAGONALS, ALL):
        yield Layout((Arg(shape, dtype),), {"offset": offset, "axis1": axis1, "axis2": axis2})


def _unfold_layouts() -> Iterator[Layout]:
    for (shape, axis, size, step), dtype in itertools.product(_WINDOWS, ALL):
        yield Layout((Arg(shape, dtype),), {"axis": axis, "size": size, "step": step})


def _of(shapes: Sequence[Shape], dtypes: Sequence[DType]) -> list[Layout]:
    return [Layout((Arg(shape, dtype),)) for shape, dtype in itertools.product(shapes, dtypes)]


def _bitcast_layouts() -> Iterator[Layout]:
    """In double precision only: the bytes of a number are others in another."""
    same = ((DOUBLE, INT), (DOUBLE, DOUBLE), (INT, INT), (BOOL[0], BYTE))
    for (source, target), shape in itertools.product(same, ((3,), (), (0, 2), (2, 3))):
        yield Layout((Arg(shape, source),), {"dtype": target})
    for target, shape in itertools.product((DOUBLE, INT, BYTE), ((3,), (0, 2), (2, 1))):
        yield Layout((Arg(shape, COMPLEX[0]),), {"dtype": target})
        yield Layout((Arg(shape, INT),), {"dtype": np.dtype(np.int32)})
    for shape in ((4,), (0, 2), (2, 2)):
        yield Layout((Arg(shape, DOUBLE),), {"dtype": COMPLEX[0]})


VIEWS: tuple[Sample, ...] = (
    Sample(views.as_strided, lambda: list(_strided_layouts("as_strided"))),
    Sample(views.as_strided_add, lambda: list(_strided_layouts("as_strided_add"))),
    Sample(views.as_strided_scatter, lambda: list(_strided_layouts("as_strided_scatter"))),
    Sample(views.diagonal, lambda: list(_diagonal_layouts())),
    Sample(views.unfold, lambda: list(_unfold_layouts())),
    Sample(views.view_as_real, lambda: _of(((3,), (), (2, 3), (0, 2), (2, 1, 2)), COMPLEX)),
    Sample(views.view_as_complex, lambda: _of(((2,), (3, 2), (0, 2), (2, 1, 2)), FLOATS[:2])),
    Sample(views.bitcast, lambda: list(_bitcast_layouts())),
)
