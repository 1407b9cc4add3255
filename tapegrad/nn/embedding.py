"""Class numbers as vectors: rows of a table, or all zeros but a one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..ops.common import cast_to, dtype_of, require_tensor
from ..ops.comparison import eq
from ..ops.creation import arange, new_leaf
from ..ops.elementwise import where
from ..ops.reductions import sum as sum_
from ..ops.requirements import require_within
from ..ops.reshaping import unsqueeze
from ..ops.support import reads_value, values_of
from ..primitives import indexing
from ..tape import apply, renamed

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["embedding", "one_hot"]


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (rows, width) at the numbers in `input` (*): shape (*, width).

    The row `padding_idx` gets no gradient from here. Rows that are read and are longer than `max_norm`, by the
    `norm_type`-norm, are made so long first, in place. `scale_grad_by_freq` and `sparse` are not supported.

    Raises IndexError for a number that is no row, RuntimeError for dtypes and shapes that do not fit.
    """
    _check(input, weight, scale_grad_by_freq, sparse)
    rows = weight._array.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    require_within(input, 0, rows - 1, "index", lambda _: IndexError("index out of range in self"))
    if max_norm is not None:
        _shorten(weight.detach(), input, float(max_norm), float(norm_type))
    index = cast_to(input, dtypes.int64)
    out = apply(indexing.take, (weight, index), {"axis": 0})
    if padding_idx is not None and out._requires_grad:
        out = where(unsqueeze(eq(index, padding_idx), -1), out.detach(), out)
    return renamed("EmbeddingBackward0", out)


def _check(index: Tensor, weight: Tensor, scale_grad_by_freq: bool, sparse: bool) -> None:
    d = dtype_of(require_tensor("embedding", index, 1, "input"))
    if require_tensor("embedding", weight, 2, "weight")._array.ndim != 2:
        raise ShapeError("'weight' must be 2-D")
    if d not in (dtypes.int64, dtypes.int32):
        raise TapegradError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{d.scalar_type}Tensor instead (while checking arguments for embedding)"
        )
    for name, given in (("scale_grad_by_freq", scale_grad_by_freq), ("sparse", sparse)):
        if given:
            raise TapegradError(f"embedding(): {name}=True is not supported")


def _shorten(weight: Tensor, index: Tensor, longest: float, p: float) -> None:
    """Scale the rows that are read to `longest` where they are longer."""
    rows = weight._array.shape[0]
    read = apply(
        indexing.put,
        (
            new_leaf(np.zeros(rows, np.bool_)),
            new_leaf(np.ones(index._array.shape, np.bool_)),
            cast_to(index, dtypes.int64),
        ),
        {"axis": 0},
    )
    norm = sum_(weight.abs() ** p, 1) ** (1 / p)
    factor = where(read & (norm > longest), longest / (norm + 1e-7), 1.0)
    weight.mul_(unsqueeze(factor, 1))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros (*, num_classes) with a one at each of the class numbers (*).

    `num_classes` is by default one more than the largest. Raises RuntimeError for numbers that are no class.
    """
    if dtype_of(require_tensor("one_hot", tensor)) is not dtypes.int64:
        raise TapegradError("one_hot is only applicable to index tensor of type LongTensor.")
    if not tensor._array.size and num_classes <= 0:
        raise TapegradError("Can not infer total number of classes from empty tensor.")
    negative = lambda _: TapegradError("Class values must be non-negative.")  # noqa: E731
    require_within(tensor, 0, math.inf, "class", negative)
    if num_classes == -1:
        reads_value("one_hot() without num_classes", tensor)
        num_classes = int(values_of(tensor).max()) + 1
    large = lambda _: TapegradError("Class values must be smaller than num_classes.")  # noqa: E731
    require_within(tensor, 0, num_classes - 1, "class", large)
    return cast_to(eq(unsqueeze(tensor, -1), arange(num_classes)), dtypes.int64)
