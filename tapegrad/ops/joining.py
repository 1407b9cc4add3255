"""Tensors joined: along a dim they have, a new one, or as blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError, TapegradError
from ..formats import channels_last, channels_last_3d, contiguous_format, is_in_format, lay_out
from ..primitives import shaping as p
from ..tape import TensorBase, apply, renamed
from .common import cast_to, normalise_dim, result_type
from .creation import zeros
from .reshaping import atleast_1d, atleast_2d, atleast_3d, expand, reshape, unsqueeze, view
from .support import spelled, warn_user

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "block_diag", "cat", "column_stack", "concat", "concatenate", "dstack", "hstack", "meshgrid", "row_stack",
    "stack", "vstack",
]  # fmt: skip


def _listed(op: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors as a list. Raises TypeError for what is none, and for a tensor itself."""
    if isinstance(tensors, TensorBase):
        raise TypeError(f"{op}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    listed = list(tensors)
    if not listed:
        if op == "cat":
            raise ValueError("torch.cat(): expected a non-empty list of Tensors")
        raise TapegradError(f"{op} expects a non-empty TensorList")
    for i, x in enumerate(listed):
        if not isinstance(x, TensorBase):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    return listed


def _same_dtype(op: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors in the dtype they promote to."""
    listed = _listed(op, tensors)
    d = result_type(*listed)
    return [cast_to(x, d) for x in listed]


@spelled
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along a dim they have; their other dims must agree. 1-d empty tensors are passed over."""
    listed = _same_dtype("cat", tensors)
    for i, x in enumerate(listed):
        if not x._array.ndim:
            raise ShapeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    kept = [x for x in listed if x._array.shape != (0,)] or listed[:1]
    shape = kept[0]._array.shape
    axis = normalise_dim("cat", dim, len(shape))
    for position, x in enumerate(kept):
        other = x._array.shape
        if len(other) != len(shape):
            raise ShapeError(f"Tensors must have same number of dimensions: got {len(shape)} and {len(other)}")
        for i, (m, n) in enumerate(zip(shape, other, strict=True)):
            if i != axis and m != n:
                raise ShapeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {m} but got size {n} for "
                    f"tensor number {position} in the list."
                )
    out = apply(p.concatenate, tuple(kept), {"axis": axis})
    kinds = [is_in_format(x._array, channels_last) or is_in_format(x._array, channels_last_3d) for x in kept]
    return out if all(kinds) else lay_out(out, out._array, contiguous_format)


concat = concatenate = cat


@spelled
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dim."""
    listed = _same_dtype("stack", tensors)
    shape = listed[0]._array.shape
    for position, x in enumerate(listed):
        if x._array.shape != shape:
            raise ShapeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(x._array.shape)} at entry {position}"
            )
    axis = normalise_dim("stack", dim, len(shape) + 1)
    return renamed("StackBackward0", cat([unsqueeze(x, axis) for x in listed], axis))


# Stacks, named after the direction in which they grow


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along their second dim, vectors along their only one."""
    listed = atleast_1d(_listed("hstack", tensors))
    return cat(listed, 0 if listed[0]._array.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along their first dim; a vector is a row."""
    return cat(atleast_2d(_listed("vstack", tensors)), 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along their third dim, which vectors and matrices are given."""
    return cat(atleast_3d(_listed("dstack", tensors)), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along their second dim; a vector is a column."""
    listed = _listed("column_stack", tensors)
    return hstack([x if x._array.ndim > 1 else reshape(x, (x._array.size, 1)) for x in listed])


# Grids and blocks


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of the grid that vectors span, one tensor per vector: views that repeat it along the others.

    `indexing` "ij" gives the dims in the order of the vectors, as does none, with a warning; "xy" swaps the first two.
    """
    if indexing is None:
        warn_user("torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.")
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    vectors = _listed("meshgrid", tensors)
    for x in vectors:
        if x._array.ndim > 1:
            raise ShapeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {x!r}")
    if any(x._array.dtype != vectors[0]._array.dtype for x in vectors):
        raise TapegradError("meshgrid expects all tensors to have the same dtype")
    if indexing not in (None, "ij", "xy"):
        raise TapegradError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swapped = indexing == "xy" and len(vectors) > 1
    if swapped:
        vectors[:2] = vectors[1::-1]
    shape = tuple([x._array.size for x in vectors])
    grids = [expand(view(x, _along(i, len(shape), x._array.size)), shape) for i, x in enumerate(vectors)]
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def _along(axis: int, ndim: int, n: int) -> tuple[int, ...]:
    return tuple([n if i == axis else 1 for i in range(ndim)])


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices (a vector being a row) one after the other on the diagonal of a matrix that is zero elsewhere."""
    blocks = []
    for i, x in enumerate(tensors):
        if not isinstance(x, TensorBase):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
        if x._array.ndim > 2:
            raise ShapeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. "
                f"Input {i} has {x._array.ndim} dimensions"
            )
        blocks.append(atleast_2d(x))
    if not blocks:
        return zeros(1, 0)
    blocks = _same_dtype("block_diag", blocks)
    widths = [x._array.shape[1] for x in blocks]
    rows = []
    for i, x in enumerate(blocks):
        index = (slice(None), slice(sum(widths[:i]), sum(widths[: i + 1])))
        rows.append(apply(p.unslice, (x,), {"shape": (x._array.shape[0], sum(widths)), "index": index}))
    return renamed("BlockDiagBackward0", cat(rows, 0))
