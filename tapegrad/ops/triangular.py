"""Triangles and diagonals of matrices."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..primitives import arithmetic
from ..tape import apply, check_writable, renamed, write
from .common import require_tensor
from .creation import new_leaf
from .scattering import number_in

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["fill_diagonal_", "tril", "triu"]


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and below a diagonal of the last two dims (0: the main one, 1: that above it), 0 elsewhere."""
    return renamed("TrilBackward0", _triangle("tril", input, diagonal, upper=False))


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and above a diagonal of the last two dims (0: the main one, 1: that above it), 0 elsewhere."""
    return renamed("TriuBackward0", _triangle("triu", input, diagonal, upper=True))


def _triangle(op: str, x: Tensor, diagonal: int, *, upper: bool) -> Tensor:
    shape = require_tensor(op, x)._array.shape
    try:
        k = operator.index(diagonal)
    except TypeError:
        kind = type(diagonal).__name__
        raise TypeError(f"{op}(): argument 'diagonal' (position 2) must be int, not {kind}") from None
    if len(shape) < 2:
        raise ShapeError(f"{op}: input tensor must have at least 2 dimensions")
    mask = np.tri(shape[-2], shape[-1], k - upper, dtype=np.bool_)
    return apply(arithmetic.where, (new_leaf(~mask if upper else mask), x, number_in(x, 0)))


def fill_diagonal_(x: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Overwrite the main diagonal with a number; of a tall matrix, with `wrap`, again after each block. Returns `x`.

    Of more than two dims, all must be equal.
    """
    shape = require_tensor("fill_diagonal_", x)._array.shape
    if len(shape) < 2:
        raise ShapeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise ShapeError("all dimensions of input must be of equal length")
    check_writable(x)
    mask = np.zeros(shape, np.bool_)
    np.fill_diagonal(mask, True, wrap=wrap and len(shape) == 2)
    out = apply(arithmetic.where, (new_leaf(mask), number_in(x, fill_value), x))
    return write(x, renamed("FillDiagonalBackward0", out))
