"""Elements repeated, turned round, moved on or put on a diagonal: copies, all of them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..formats import contiguous_format
from ..primitives import indexing, views
from ..primitives import shaping as p
from ..primitives.views import diagonal_strides
from ..tape import apply, renamed
from .common import dtype_of, normalise_dim, normalise_dims, require_tensor
from .creation import check_device, clone, new_leaf
from .joining import cat
from .parts import narrow
from .reshaping import expand, reshape, transpose, unsqueeze, view
from .support import python_int, reads_value, require_dtype, sizes, spelled
from .views import diagonal as diagonal_view
from .views import two_axes

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "diag", "diag_embed", "diagflat", "flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90",
    "tile", "tril_indices", "triu_indices",
]  # fmt: skip


# Repeated


@spelled
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """`input` as often along each dim as `repeats` says; new dims come first."""
    times = sizes("repeat", repeats, "repeats")
    shape = require_tensor("repeat", input)._array.shape
    lead = len(times) - len(shape)
    if lead < 0:
        raise ShapeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    wide = (1,) * lead + shape
    result = [n * k for n, k in zip(wide, times, strict=True)]
    if min(result, default=0) < 0:
        raise ShapeError(f"Trying to create tensor with negative dimension {min(result)}: {result}")
    spaced = reshape(input, [m for n in wide for m in (1, n)])
    full = expand(spaced, [m for k, n in zip(times, wide, strict=True) for m in (k, n)])
    out = apply(p.reshape, (full,), {"shape": tuple(result)})
    if out._view is not None:  # nothing repeats
        out = clone(out, memory_format=contiguous_format)
    return renamed("RepeatBackward0", out)


@spelled
def tile(input: Tensor, *dims: Any) -> Tensor:
    """`repeat`, counting the dims from the last where there are fewer numbers than dims."""
    times = sizes("tile", dims, "dims")
    return repeat(input, (1,) * (require_tensor("tile", input)._array.ndim - len(times)) + times)


@spelled
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each entry of a dim (each element, without `dim`) repeated, all as often or each as its own number says.

    `repeats` alone, a tensor, gives the positions that do so.
    """
    if repeats is None:
        return _repeated_positions(require_tensor("repeat_interleave", input))
    repeats = python_int(repeats)
    if isinstance(repeats, int):
        return _repeat_each(input, repeats, dim, output_size)
    if dim is None:
        input, dim = reshape(input, -1), 0
    axis = normalise_dim("repeat_interleave", dim, input._array.ndim)
    n = input._array.shape[axis]
    times = require_tensor("repeat_interleave", repeats, 2)
    if times._array.size == 1:
        times = expand(reshape(times, 1), (n,))
    elif times._array.ndim > 1:
        raise ShapeError("repeats must be 0-dim or 1-dim tensor")
    elif times._array.size != n:
        raise ShapeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{times._array.size} and input.size({axis}) = {n}"
        )
    index = _repeated_positions(times)
    if output_size not in (None, index._array.size):
        raise ShapeError("allocated size does not match required size")
    return renamed("IndexSelectBackward0", apply(indexing.take, (input, index), {"axis": axis}))


def _repeated_positions(times: Tensor) -> Tensor:
    """Each position as often as its number in `times` says."""
    array = times._array
    if array.ndim != 1:
        raise ShapeError("repeat_interleave only accept 1D vector as repeat")
    if array.dtype.name not in ("int64", "int32"):
        require_dtype("repeat_interleave_cpu", dtype_of(times), highest=-1)
    reads_value("repeat_interleave()", times)
    if (array < 0).any():
        raise TapegradError("repeats can not be negative")
    return new_leaf(np.repeat(np.arange(array.size, dtype=array.dtype), array))


def _repeat_each(x: Tensor, times: int, dim: int | None, output_size: int | None) -> Tensor:
    """Every entry `times` times: a copy with one more dim, seen without it."""
    if times < 0:
        raise TapegradError("Repeats must be non-negative")
    if dim is None:
        x, dim = reshape(x, -1), 0
    shape = x._array.shape
    axis = normalise_dim("repeat_interleave", dim, len(shape))
    if output_size not in (None, shape[axis] * times):
        raise ShapeError(
            f"repeat_interleave: Invalid output_size, expected {shape[axis] * times} but got {output_size}"
        )
    wide = unsqueeze(x, axis + 1)
    full = expand(wide, (*shape[: axis + 1], times, *shape[axis + 1 :]))
    copy = clone(full, memory_format=contiguous_format)
    return view(copy, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


# Turned and moved


@spelled
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order of some dims reversed."""
    listed = sizes("flip", dims, "dims")
    ndim = require_tensor("flip", input)._array.ndim
    return apply(p.flip, (input,), {"axes": normalise_dims("flip", listed, ndim) if listed else ()})


def fliplr(input: Tensor) -> Tensor:
    """A copy with the order of the second dim reversed."""
    if require_tensor("fliplr", input)._array.ndim < 2:
        raise ShapeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with the order of the first dim reversed."""
    if require_tensor("flipud", input)._array.ndim < 1:
        raise ShapeError("Input must be >= 1-d.")
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned by 90 degrees `k` times, from the first of `dims` towards the second."""
    ndim = require_tensor("rot90", input)._array.ndim
    if len(dims) != 2:
        raise ShapeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise ShapeError(f"expected total dims >= 2, but got total dims = {ndim}")
    first, second = (normalise_dim("rot90", dim, ndim) for dim in dims)
    if first == second:
        raise ShapeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    if k % 4 == 0:
        return renamed("Rot90Backward0", clone(input, memory_format=contiguous_format))
    turned = flip(input, (first, second) if k % 4 == 2 else (second,) if k % 4 == 1 else (first,))
    out = turned if k % 4 == 2 else transpose(turned, first, second)
    out._view = None  # of a copy that nobody else has
    return renamed("Rot90Backward0", out)


@spelled
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] = ()) -> Tensor:
    """A copy with the entries of some dims moved on, those that fall off coming in again at the start.

    Without `dims` the elements are moved as if in one dim.
    """
    moved, axes = (list(n) if isinstance(n, Sequence) else [operator.index(n)] for n in (shifts, dims))
    shape = require_tensor("roll", input)._array.shape
    if len(moved) == 1 and not axes:
        return renamed("RollBackward0", reshape(_rolled(reshape(input, -1), moved[0], 0), shape))
    if not moved:
        raise ShapeError("`shifts` required")
    if len(moved) != len(axes):
        raise ShapeError(f"shifts and dimensions must align. shifts: {len(moved)}, dims:{len(axes)}")
    if not shape:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    out = input
    for shift, dim in zip(moved, axes, strict=True):
        out = _rolled(out, shift, normalise_dim("roll", dim, len(shape)))
    return renamed("RollBackward0", out)


def _rolled(x: Tensor, shift: int, axis: int) -> Tensor:
    n = x._array.shape[axis]
    at = n - shift % n if n else 0
    return cat([narrow(x, axis, at, n - at), narrow(x, axis, 0, at)], axis) if n else clone(x)


# Diagonals


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy of the diagonal of a matrix, or the matrix that has a vector on its diagonal."""
    ndim = require_tensor("diag", input)._array.ndim
    if ndim not in (1, 2):
        raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    if ndim == 1:
        return diag_embed(input, diagonal)
    return renamed("DiagonalBackward0_copy", clone(diagonal_view(input, diagonal)))


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dim of `input` on a diagonal and zeros elsewhere; their dims are `dim1` and `dim2`."""
    shape = require_tensor("diag_embed", input)._array.shape
    ndim = len(shape) + 1
    axis1, axis2 = two_axes("diag_embed", ndim, dim1, dim2)
    n = shape[-1] + abs(offset)
    into = list(shape[:-1])
    for axis in sorted((axis1, axis2)):
        into.insert(axis, n)
    strides, start = diagonal_strides(tuple(into), offset, axis1, axis2)
    out = apply(views.as_strided_add, (input,), {"into": tuple(into), "strides": strides, "offset": start})
    return renamed("DiagEmbedBackward0", out)


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix that has all elements of `input` on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None) -> Tensor:
    """The row and column numbers of the elements on and below a diagonal of a matrix, as a tensor of two rows."""
    return _side_indices("tril_indices", row, col, offset, dtype, device, lower=True)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None) -> Tensor:
    """The row and column numbers of the elements on and above a diagonal of a matrix, as a tensor of two rows."""
    return _side_indices("triu_indices", row, col, offset, dtype, device, lower=False)


def _side_indices(op: str, rows: int, columns: int, offset: int, dtype: Any, device: Any, *, lower: bool) -> Tensor:
    check_device(device)
    for name, n in (("row", rows), ("col", columns)):
        if n < 0:
            raise TapegradError(f"{name} must be non-negative, got{n}")
    d = dtypes.to_dtype(dtype)
    if d not in (dtypes.int32, dtypes.int64):
        require_dtype(op, d, highest=-1)
    mask = np.tri(rows, columns, offset if lower else offset - 1, dtype=np.bool_)
    return new_leaf(np.stack(np.nonzero(mask if lower else ~mask)).astype(d.numpy))
