"""Parts of a tensor along one dim, as views."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError, TapegradError
from ..primitives import shaping as p
from ..tape import TensorBase, apply, one_of_several_views, renamed
from ..tape.apply import is_tensor
from .common import dtype_of, normalise_dim, require_tensor
from .support import python_int, reads_value, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "chunk", "cut", "dsplit", "entry", "hsplit", "narrow", "select", "split", "split_with_sizes", "tensor_split",
    "unbind", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit",
]  # fmt: skip

Views = tuple["Tensor", ...]


@spelled
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """A view of `length` entries of one dim from `start`, an int or a tensor of one."""
    if isinstance(start, TensorBase):
        start = _whole_number(start)
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
    return renamed("SliceBackward0", cut(input, axis, slice(start, start + length)))


def _whole_number(start: TensorBase) -> int:
    if start._array.ndim or start._array.dtype.kind not in "iu":
        raise TapegradError("start must be an 0-dim integral Tensor.")
    reads_value("narrow()", start)
    return int(start._array)


def cut(x: Tensor, axis: int, at: int | slice) -> Tensor:
    """The view of `x` at an entry, or a slice, of one axis."""
    index = [slice(None)] * x._array.ndim
    return apply(p.slice_, (x,), {"index": (*index[:axis], at, *index[axis + 1 :])})


@spelled
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """A view of one entry of a dim, which it loses."""
    return renamed("SelectBackward0", cut(input, *entry("select", input, dim, index)))


def entry(op: str, x: Tensor, dim: int, index: Any) -> tuple[int, int]:
    """The axis and the position of an entry, non-negative. Raises IndexError where there is none."""
    shape = require_tensor(op, x)._array.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = normalise_dim(op, dim, len(shape))
    if isinstance(index, TensorBase):
        reads_value("select()", index)
        index = index._array.item()
    if not -shape[axis] <= index < shape[axis]:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {axis}")
    return axis, index % shape[axis]


@spelled
def unbind(input: Tensor, dim: int = 0) -> Views:
    """The entries of a dim, as views."""
    shape = require_tensor("unbind", input)._array.shape
    if not shape:
        normalise_dim("unbind", dim, 0)
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = normalise_dim("unbind", dim, len(shape))
    return _several("UnbindBackward0", [cut(input, axis, i) for i in range(shape[axis])])


def _several(name: str, views: Iterable[Tensor]) -> Views:
    """The outputs of one function, to whose views autograd follows no writes."""
    return tuple([one_of_several_views(renamed(name, view), number) for number, view in enumerate(views)])


# Split into pieces of given lengths


@spelled
def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> Views:
    """Views of pieces of one dim: of equal size (the last may be shorter), or of the sizes in a sequence."""
    if is_tensor(split_size_or_sections):
        split_size_or_sections = operator.index(split_size_or_sections)
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(input, split_size_or_sections, dim)
    return _several("SplitBackward0", _equal_pieces(input, split_size_or_sections, dim))


@spelled
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> Views:
    """Views of pieces of one dim, of the sizes listed. Raises RuntimeError unless they add up to its length."""
    return _several("SplitWithSizesBackward0", _listed_pieces(input, split_sizes, dim))


@spelled
def chunk(input: Tensor, chunks: int, dim: int = 0) -> Views:
    """`split` into at most `chunks` pieces of equal size."""
    return split(input, _chunk_size("chunk", input, chunks, dim), dim)


@spelled
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> Views:
    """`split` whose pieces may be written to; the results of doing so are right, here."""
    return tuple([renamed("UnsafeSplitBackward0", piece) for piece in _equal_pieces(input, split_size, dim)])


@spelled
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> Views:
    """`split_with_sizes` whose pieces may be written to; the results of doing so are right, here."""
    return tuple([renamed("UnsafeSplitWithSizesBackward0", x) for x in _listed_pieces(input, split_sizes, dim)])


@spelled
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> Views:
    """`chunk` whose pieces may be written to; the results of doing so are right, here."""
    return unsafe_split(input, _chunk_size("chunk", input, chunks, dim), dim)


def _chunk_size(op: str, x: Tensor, chunks: int, dim: int) -> int:
    if not hasattr(chunks, "__index__"):
        raise TypeError(f"{op}(): argument 'chunks' (position 1) must be int, not {type(chunks).__name__}")
    chunks = operator.index(chunks)
    if chunks <= 0:
        raise TapegradError(f"{op} expects `chunks` to be greater than 0, got: {chunks}")
    shape = require_tensor(op, x)._array.shape
    n = shape[normalise_dim(op, dim, len(shape))] if shape else 0
    return max(-(-n // chunks), 1 if n else 0)


def _equal_pieces(x: Tensor, step: int, dim: int) -> list[Tensor]:
    shape = require_tensor("split", x)._array.shape
    if not shape:
        raise ShapeError("split expects at least a 1-dimensional tensor")
    if step < 0:
        raise ShapeError(f"split expects split_size be non-negative, but got split_size={step}")
    axis = normalise_dim("split", dim, len(shape))
    n = shape[axis]
    if step == 0 and n:
        raise ShapeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    return _pieces(x, axis, [*range(0, n, step or 1), n] if n else [0, 0])


def _listed_pieces(x: Tensor, lengths: Sequence[int], dim: int) -> list[Tensor]:
    shape = require_tensor("split", x)._array.shape
    if not shape:
        raise ShapeError("split expects at least a 1-dimensional tensor")
    axis = normalise_dim("split", dim, len(shape))
    if not isinstance(lengths, Sequence) or isinstance(lengths, str):
        kind = type(lengths).__name__
        raise TypeError(f"split_with_sizes(): argument 'split_sizes' (position 2) must be tuple of ints, not {kind}")
    listed = list(lengths)
    if min(listed, default=0) < 0:
        raise ShapeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={listed}"
        )
    if sum(listed) != shape[axis]:
        raise ShapeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[axis]} (input tensor's size at dimension "
            f"{axis}), but got split_sizes={listed}"
        )
    return _pieces(x, axis, list(accumulate(listed, initial=0)))


def _pieces(x: Tensor, axis: int, bounds: Sequence[int]) -> list[Tensor]:
    """The parts between one bound and the next."""
    return [cut(x, axis, slice(start, max(start, stop))) for start, stop in pairwise(bounds)]


# Split at positions


@spelled
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> Views:
    """Views of as many pieces of one dim as asked for, their lengths as even as can be; or those between positions."""
    shape = require_tensor("tensor_split", input)._array.shape
    if not shape:
        raise TapegradError(
            f"tensor_split expected at least a 1-dimensional tensor, but got a tensor with {len(shape)} dims"
        )
    axis = normalise_dim("tensor_split", dim, len(shape))
    n = shape[axis]
    at = python_int(indices_or_sections)
    if isinstance(at, TensorBase):
        at = _listed(at)
    if isinstance(at, int):
        if at <= 0:
            raise TapegradError(f"number of sections must be larger than 0, got {at}")
        bounds = [i * (n // at) + min(i, n % at) for i in range(at + 1)]
    else:
        bounds = [0, *[min(max(i + n if i < 0 else i, 0), n) for i in at], n]
    return tuple([renamed("SliceBackward0", piece) for piece in _pieces(input, axis, bounds)])


def _listed(at: TensorBase) -> Any:
    """The int, or the ints, in a tensor."""
    if at._array.dtype.name != "int64":
        raise TapegradError(
            "tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
            f"{dtype_of(at).scalar_type}"
        )
    if at._array.ndim > 1:
        raise TapegradError(
            "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
            f"got a tensor with {at._array.ndim} dims"
        )
    reads_value("tensor_split()", at)
    return at._array.tolist()


def _split_along(op: str, least: int, axis: int, x: Tensor, at: tuple[Any, ...]) -> Views:
    """`tensor_split` of a tensor of `least` dims or more along `axis`; a number of pieces must divide its length."""
    shape = require_tensor(op, x)._array.shape
    if len(shape) < least:
        raise ShapeError(
            f"torch.{op} requires a tensor with at least {least} dimension, but got a tensor with {len(shape)} "
            "dimensions!"
        )
    if not at:
        raise TypeError(f'{op}() missing 1 required positional arguments: "indices"')
    at = python_int(at[0]) if len(at) == 1 else at
    if isinstance(at, int) and (at <= 0 or shape[axis] % at):
        raise ShapeError(
            f"torch.{op} attempted to split along dimension {axis}, but the size of the dimension {shape[axis]} is not "
            f"divisible by the split_size {at}!"
        )
    return tensor_split(x, at, axis)


@spelled
def hsplit(input: Tensor, *indices_or_sections: Any) -> Views:
    """`tensor_split` along the second dim, the first of a vector; a number of pieces must divide its length."""
    return _split_along("hsplit", 1, int(require_tensor("hsplit", input)._array.ndim > 1), input, indices_or_sections)


@spelled
def vsplit(input: Tensor, *indices_or_sections: Any) -> Views:
    """`tensor_split` along the first dim of two or more; a number of pieces must divide its length."""
    return _split_along("vsplit", 2, 0, input, indices_or_sections)


@spelled
def dsplit(input: Tensor, *indices_or_sections: Any) -> Views:
    """`tensor_split` along the third dim; a number of pieces must divide its length."""
    return _split_along("dsplit", 3, 2, input, indices_or_sections)
