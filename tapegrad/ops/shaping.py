"""Shapes, views, joining and splitting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError, TapegradError
from ..primitives import shaping as p
from ..tape import TensorBase, apply, renamed
from .common import (
    Dims,
    broadcast_shapes,
    cast_to,
    dtype_of,
    normalise_dim,
    normalise_dims,
    require_tensor,
    result_type,
)
from .support import sizes, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "broadcast_tensors", "broadcast_to", "cat", "chunk", "concat", "expand", "expand_as", "flatten", "flip",
    "movedim", "narrow", "permute", "ravel", "reshape", "reshape_as", "select", "split", "squeeze", "stack",
    "swapaxes", "t", "transpose", "unbind", "unsqueeze", "view", "view_as",
]  # fmt: skip


def _resolve(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """`shape` with its -1, if any, worked out for `size` elements. Raises ShapeError where it does not fit."""
    wanted = list(shape)
    if wanted.count(-1) > 1:
        raise ShapeError("only one dimension can be inferred")
    for i, n in enumerate(wanted):
        if n < -1:
            raise ShapeError(f"invalid shape dimension {n} at index {i} of shape {wanted}")
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted:
        if known == size == 0:
            raise ShapeError(
                f"cannot reshape tensor of {size} elements into shape {list(shape)} because the unspecified dimension "
                "size -1 can be any value and is ambiguous"
            )
        if known and size % known == 0:
            wanted[wanted.index(-1)] = size // known
    if math.prod(wanted) != size:
        raise ShapeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return tuple(wanted)


@spelled
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """`input` with another shape and the same number of elements: a view where memory allows, else a copy."""
    array = require_tensor("reshape", input)._array
    out = apply(p.reshape, (input,), {"shape": _resolve(sizes("reshape", shape, "shape"), array.size)})
    if not out._requires_grad or array.flags.c_contiguous:
        return out
    return renamed("UnsafeViewBackward0" if out._base is None else "ReshapeAliasBackward0", out)


@spelled
def view(input: Tensor, *size: Any) -> Tensor:
    """A view of `input` with another shape. Raises RuntimeError where only a copy could have it."""
    array = require_tensor("view", input)._array
    wanted = _resolve(sizes("view", size), array.size)
    if not _viewable(array, wanted):
        raise ShapeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return apply(p.reshape, (input,), {"shape": wanted})


def _viewable(array: Any, shape: tuple[int, ...]) -> bool:
    if array.flags.c_contiguous:
        return True
    reshaped = array.reshape(shape)
    owner = array if array.base is None else array.base
    return bool(reshaped.base is owner)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    return reshape(input, other._array.shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view of `input` in the shape of `other`."""
    return view(input, other._array.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims `start_dim` to `end_dim` made one."""
    shape = require_tensor("flatten", input)._array.shape
    start, end = normalise_dim("flatten", start_dim, len(shape)), normalise_dim("flatten", end_dim, len(shape))
    if not shape:
        return reshape(input, 1)
    if start > end:
        raise ShapeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return (
        input
        if start == end
        else reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))
    )


def ravel(input: Tensor) -> Tensor:
    """`input` in one dim."""
    return reshape(input, -1)


@spelled
def permute(input: Tensor, *dims: Any) -> Tensor:
    """A view of `input` with its dims in another order."""
    order = sizes("permute", dims, "dims")
    ndim = require_tensor("permute", input)._array.ndim
    if len(order) != ndim:
        raise ShapeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(order)}"
        )
    axes = tuple([normalise_dim("permute", dim, ndim) for dim in order])
    if len(set(axes)) != len(axes):
        raise ShapeError("permute(): duplicate dims are not allowed.")
    return apply(p.permute, (input,), {"axes": axes})


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view of `input` with two dims swapped."""
    ndim = require_tensor("transpose", input)._array.ndim
    i, j = normalise_dim("transpose", dim0, ndim), normalise_dim("transpose", dim1, ndim)
    axes = list(range(ndim))
    if ndim:
        axes[i], axes[j] = j, i
    return renamed("TransposeBackward0", apply(p.permute, (input,), {"axes": tuple(axes)}))


swapaxes = transpose


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; `input` itself below two dims."""
    ndim = require_tensor("t", input)._array.ndim
    if ndim > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return renamed("TBackward0", apply(p.permute, (input,), {"axes": tuple(range(ndim))[::-1]}))


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """A view of `input` with some dims moved, the others keeping their order."""
    ndim = require_tensor("movedim", input)._array.ndim
    listed = [[dims] if isinstance(dims, int) else list(dims) for dims in (source, destination)]
    if len(listed[0]) != len(listed[1]):
        raise ShapeError(
            f"movedim: Invalid source or destination dims: source ({listed[0]} dims) should contain the same number of "
            f"dims as destination ({listed[1]} dims)"
        )
    here, there = ([normalise_dim("movedim", dim, ndim) for dim in dims] for dims in listed)
    if len(set(here)) != len(here) or len(set(there)) != len(there):
        raise ShapeError(f"movedim: repeated dim in `source` ({listed[0]}) or `destination` ({listed[1]})")
    axes = [axis for axis in range(ndim) if axis not in here]
    for target, axis in sorted(zip(there, here, strict=True)):
        axes.insert(target, axis)
    return apply(p.permute, (input,), {"axes": tuple(axes[:ndim])})


@spelled
def expand(input: Tensor, *size: Any) -> Tensor:
    """A view of `input` with dims of length one repeated; -1 keeps a length. Raises RuntimeError where it cannot be."""
    wanted, have = sizes("expand", size), require_tensor("expand", input)._array.shape
    lead = len(wanted) - len(have)
    if lead < 0:
        raise ShapeError(
            f"expand(torch.{dtype_of(input).scalar_type}Tensor{{{list(have)}}}, size={list(wanted)}): "
            f"the number of sizes provided ({len(wanted)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(have)})"
        )
    full = list(wanted)
    for i, n in reversed(list(enumerate(have))):
        if full[lead + i] == -1:
            full[lead + i] = n
        elif n not in (1, full[lead + i]):
            raise ShapeError(
                f"The expanded size of the tensor ({full[lead + i]}) must match the existing size ({n}) at "
                f"non-singleton dimension {lead + i}.  Target sizes: {list(wanted)}.  Tensor sizes: {list(have)}"
            )
    for i, n in enumerate(full):
        if n < 0:
            raise ShapeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
    return apply(p.broadcast_to, (input,), {"shape": tuple(full)})


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` expanded to the shape of `other`."""
    return expand(input, other._array.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` with the shape as one argument."""
    return expand(input, size)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of the tensors in the shape they broadcast to."""
    shape = broadcast_shapes([x._array.shape for x in tensors])
    return tuple([expand(x, shape) for x in tensors])


@spelled
def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    """A view without the dims (or those of `dim`) that have length one."""
    shape = require_tensor("squeeze", input)._array.shape
    chosen = normalise_dims("squeeze", dim, len(shape)) if dim != () else ()
    kept = tuple([n for i, n in enumerate(shape) if not (n == 1 and i in chosen)])
    out = apply(p.reshape, (input,), {"shape": kept})
    return renamed(f"SqueezeBackward{0 if dim is None else 1 if isinstance(dim, int) else 2}", out)


@spelled
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A view with a dim of length one put in at `dim`."""
    shape = list(require_tensor("unsqueeze", input)._array.shape)
    shape.insert(normalise_dim("unsqueeze", dim, len(shape) + 1), 1)
    return renamed("UnsqueezeBackward0", apply(p.reshape, (input,), {"shape": tuple(shape)}))


@spelled
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order of some dims reversed."""
    listed = sizes("flip", dims, "dims")
    ndim = require_tensor("flip", input)._array.ndim
    return apply(p.flip, (input,), {"axes": normalise_dims("flip", listed, ndim) if listed else ()})


@spelled
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of `length` entries of one dim from `start`."""
    shape = require_tensor("narrow", input)._array.shape
    if not shape:
        raise ShapeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = normalise_dim("narrow", dim, len(shape))
    if not -shape[axis] <= start <= shape[axis]:
        raise IndexError(
            f"start out of range (expected to be in range of [{-shape[axis]}, {shape[axis]}], but got {start})"
        )
    start += shape[axis] if start < 0 else 0
    if length < 0 or start + length > shape[axis]:
        raise ShapeError(f"start ({start}) + length ({length}) exceeds dimension size ({shape[axis]}).")
    return renamed("SliceBackward0", _cut(input, axis, slice(start, start + length)))


def _cut(x: Tensor, axis: int, at: int | slice) -> Tensor:
    index = [slice(None)] * x._array.ndim
    return apply(p.slice_, (x,), {"index": (*index[:axis], at, *index[axis + 1 :])})


@spelled
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """A view of one entry of a dim, which it loses."""
    shape = require_tensor("select", input)._array.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = normalise_dim("select", dim, len(shape))
    if not -shape[axis] <= index < shape[axis]:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {axis}")
    return renamed("SelectBackward0", _cut(input, axis, index % shape[axis]))


@spelled
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries of a dim, as views."""
    shape = require_tensor("unbind", input)._array.shape
    if not shape:
        normalise_dim("unbind", dim, 0)
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = normalise_dim("unbind", dim, len(shape))
    return tuple([renamed("UnbindBackward0", _cut(input, axis, i)) for i in range(shape[axis])])


@spelled
def split(input: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces of one dim: of equal size (the last may be shorter), or of the sizes listed."""
    shape = require_tensor("split", input)._array.shape
    if not shape:
        raise ShapeError("split expects at least a 1-dimensional tensor")
    if isinstance(split_size_or_sections, int) and split_size_or_sections < 0:
        raise ShapeError(f"split expects split_size be non-negative, but got split_size={split_size_or_sections}")
    axis = normalise_dim("split", dim, len(shape))
    n = shape[axis]
    name = "SplitBackward0"
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step == 0 and n:
            raise ShapeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
        lengths = [min(step, n - at) for at in range(0, n, step or 1)] or [0]
    else:
        name = "SplitWithSizesBackward0"
        lengths = list(split_size_or_sections)
        if sum(lengths) != n or min(lengths, default=0) < 0:
            raise ShapeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension "
                f"{axis}), but got split_sizes={lengths}"
            )
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    pieces = [_cut(input, axis, slice(start, start + length)) for start, length in zip(starts, lengths, strict=True)]
    return tuple([renamed(name, piece) for piece in pieces])


@spelled
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` into at most `chunks` pieces of equal size."""
    if chunks <= 0:
        raise TapegradError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    shape = require_tensor("chunk", input)._array.shape
    n = shape[normalise_dim("chunk", dim, len(shape))] if shape else 0
    return split(input, max(-(-n // chunks), 1 if n else 0), dim)


def _same_dtype(op: str, tensors: Sequence[Tensor]) -> list[Tensor]:
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
    return apply(p.concatenate, tuple(kept), {"axis": axis})


concat = cat


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
