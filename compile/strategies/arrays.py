"""Strategies for dtypes, shapes, arrays and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .domains import ANY, Domain

if TYPE_CHECKING:
    from ...tensor import Tensor  # type: ignore[import-not-found, unused-ignore]

__all__ = [
    "BOOL", "COMPLEX", "FLOATS", "INTEGERS", "NUMBERS", "REALS", "SHAPES", "arrays", "dtypes", "is_inexact", "shapes",
    "tensors",
]  # fmt: skip

DType = np.dtype[Any]
Shape = tuple[int, ...]

BOOL: tuple[DType, ...] = (np.dtype(np.bool_),)
INTEGERS: tuple[DType, ...] = tuple(map(np.dtype, (np.int64, np.int32, np.uint8)))
FLOATS: tuple[DType, ...] = tuple(map(np.dtype, (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)))
COMPLEX: tuple[DType, ...] = tuple(map(np.dtype, (np.complex128, np.complex64)))
REALS = FLOATS + INTEGERS
NUMBERS = FLOATS + COMPLEX + INTEGERS

SHAPES: tuple[Shape, ...] = ((), (3,), (2, 3), (0,), (2, 1, 2), (0, 2), (1, 2, 1, 3))
"""0-d, empty, one to four dims. Few and small: each new shape costs a compilation."""


def is_inexact(dtype: DType) -> bool:
    """Whether `dtype` is floating (bfloat16 included) or complex, so that it can carry a gradient."""
    return dtype.kind in "fcV"


def dtypes(among: Sequence[DType] = FLOATS) -> SearchStrategy[DType]:
    """One of the NumPy dtypes `among`; the floating ones by default."""
    return st.sampled_from(among)


def shapes(
    *, min_dims: int = 0, max_dims: int = 4, sizes: Sequence[int] = (2, 3, 1, 0), max_size: int = 24
) -> SearchStrategy[Shape]:
    """Shapes of `min_dims` to `max_dims` axes with lengths among `sizes` and at most `max_size` elements."""
    found = st.lists(st.sampled_from(sizes), min_size=min_dims, max_size=max_dims).map(tuple)
    return found.filter(lambda shape: int(np.prod(shape)) <= max_size)


def arrays(
    dtype: DType, shape: Shape, domain: Domain = ANY, *, unique: bool = False
) -> SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays with elements from the domain's table, each different if `unique`."""
    table = domain.table(np.dtype(dtype))
    size = int(np.prod(shape))
    picks = st.lists(st.integers(0, len(table) - 1), min_size=size, max_size=size, unique=unique)
    return picks.map(lambda found: table[np.array(found, np.intp)].reshape(shape))


@st.composite
def tensors(
    draw: st.DrawFn,
    dtype: SearchStrategy[DType] | None = None,
    shape: SearchStrategy[Shape] | None = None,
    domain: Domain = ANY,
    requires_grad: bool = True,
) -> Tensor:
    """Tensors; `requires_grad` holds where the dtype allows it."""
    from ... import from_numpy

    found = draw(dtypes() if dtype is None else dtype)
    array = draw(arrays(found, draw(shapes() if shape is None else shape), domain))
    return from_numpy(array).requires_grad_(requires_grad and is_inexact(found))
