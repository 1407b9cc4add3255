"""Views that are more than a reshape, a permutation or a slice: diagonals, windows, any strides, other dtypes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import dtypes
from ..errors import ShapeError, TapegradError, UnsupportedError
from ..primitives import shaping
from ..primitives import views as p
from ..primitives.views import memory_of, positions
from ..storage import overlapping
from ..tape import Creation, TensorBase, View, alias, apply, chain_of, renamed, state, wrap
from ..tape.apply import move
from ..tape.inplace import write_through
from .common import dtype_of, normalise_dim, require_tensor
from .geometry import strides_of
from .support import sizes, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "Look", "as_strided", "diagonal", "look_at", "memory_order", "two_axes", "unfold", "view_as_complex",
    "view_as_real", "view_dtype",
]  # fmt: skip

Shape = tuple[int, ...]


# Diagonals and windows


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of a diagonal of two dims, as the last dim; `offset` counts to the right, or if negative downwards."""
    axis1, axis2 = two_axes("diagonal", require_tensor("diagonal", input)._array.ndim, dim1, dim2)
    return apply(p.diagonal, (input,), {"offset": offset, "axis1": axis1, "axis2": axis2})


def two_axes(op: str, ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    """The two dims of a diagonal, non-negative. Raises RuntimeError if they are the same."""
    axis1, axis2 = normalise_dim(op, dim1, ndim), normalise_dim(op, dim2, ndim)
    if axis1 == axis2:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return axis1, axis2


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of all windows of `size` entries of one dim that start `step` apart, each along a new last dim."""
    shape = require_tensor("unfold", input)._array.shape
    axis = normalise_dim("unfold", dimension, len(shape))
    n = shape[axis] if shape else 1
    if size < 0:
        raise ShapeError(f"size is {size} but must be >= 0")
    if size > n:
        raise ShapeError(f"maximum size for tensor at dimension {axis} is {n} but size is {size}")
    if step <= 0:
        raise ShapeError(f"step is {step} but must be > 0")
    if not shape:
        return renamed("UnfoldBackward0", _part_of_one(input, size))
    return apply(p.unfold, (input,), {"axis": axis, "size": size, "step": step})


def _part_of_one(x: Tensor, size: int) -> Tensor:
    """The one element of a 0-d tensor, or none, in one dim."""
    whole = apply(shaping.reshape, (x,), {"shape": (1,)})
    return whole if size else apply(shaping.slice_, (whole,), {"index": (slice(0, 0),)})


# Any strides


class Look(NamedTuple):
    """Elements of a storage: `offset + sum(index * strides)`, all of them before `end`."""

    shape: Shape
    strides: Shape
    offset: int

    @property
    def end(self) -> int:
        """The position after the last element."""
        reach = sum([step * (n - 1) for n, step in zip(self.shape, self.strides, strict=True)])
        return self.offset + reach + 1

    def of(self, x: TensorBase, axes: Shape, first: int) -> Tensor:
        """These elements of `x`, which has the axes `axes` in the order of memory and begins at `first`."""
        seen: Any = x if axes == tuple(range(len(axes))) else apply(shaping.permute, (x,), {"axes": axes})
        where = {"shape": self.shape, "strides": self.strides, "offset": self.offset - first}
        return apply(p.as_strided, (seen,), where)


@spelled
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage of `input`: its elements `storage_offset + sum(index * stride)`.

    The gradient is that of the elements that `input` shows. Others of its storage may be looked at if its base shows
    them, and have none. Raises RuntimeError for what is outside of the storage.
    """
    look = look_at("as_strided", input, size, stride, storage_offset)
    order = memory_order(input._array, look)
    if order is not None:
        return look.of(input, *order)
    base = _base_in_dtype(input)
    order = None if base is None else memory_order(base._array, look)
    if base is None or order is None:
        raise UnsupportedError(
            "as_strided(): the tensor and its base have gaps between their elements, or do not show all of those asked "
            "for: take the view of a tensor that does"
        )
    out = look.of(base, *order)
    if out._view is not None and input._view is not None:
        out._view.creation = input._view.creation
    if out._requires_grad:
        _derive(out, look, input, order)
    return out


def _base_in_dtype(x: Tensor) -> Tensor | None:
    """The base of `x`, a complex one of a real view as real numbers; None if there is none, or of another dtype."""
    base = x._base
    if base is not None and base._array.dtype != x._array.dtype:
        base = view_as_real(base) if base._array.dtype.kind == "c" else None
    return base if base is None or base._array.dtype == x._array.dtype else None


def look_at(op: str, x: Tensor, size: Any, stride: Any, storage_offset: int | None) -> Look:
    """The elements meant. Raises RuntimeError, in PyTorch's words, for strides that are none or leave the storage."""
    array = require_tensor(op, x)._array
    memory, start = memory_of(array)
    if storage_offset is not None:
        _require_known_start(op, x)
    offset = start // array.itemsize if storage_offset is None else storage_offset
    look = Look(sizes(op, (size,), "size"), sizes(op, (stride,), "stride"), offset)
    _check_look(look, array.itemsize, memory.nbytes)
    return look


def _require_known_start(op: str, x: TensorBase) -> None:
    """Raise UnsupportedError in jit for a tensor from outside, which may begin elsewhere in its storage next time."""
    recorder = state.recorder
    if recorder is None or not recorder.strict:
        return
    if recorder.position(x) is not None or recorder.knows_memory(x):
        raise recorder.unsupported(f"{op}() with a storage_offset, of a tensor from outside")


def _check_look(look: Look, itemsize: int, nbytes: int) -> None:
    shape, strides = list(look.shape), list(look.strides)
    offset = look.offset
    if len(shape) != len(strides):
        raise ShapeError("mismatch in length of strides and shape")
    if min(strides, default=0) < 0:
        raise ShapeError(f"as_strided: Negative strides are not supported at the moment, got strides: {strides}")
    if min(shape, default=0) < 0:
        raise ShapeError(f"Storage size calculation overflowed with sizes={shape} and strides={strides}")
    if offset < 0:
        raise ShapeError(f"Tensor: invalid storage offset {offset}")
    if math.prod(shape) and look.end * itemsize > nbytes:
        raise ShapeError(
            f"setStorage: sizes {shape}, strides {strides}, storage offset {offset}, and itemsize {itemsize} "
            f"requiring a storage size of {look.end * itemsize} are out of bounds for storage of size {nbytes}"
        )


def memory_order(array: np.ndarray[Any, Any], look: Look) -> tuple[Shape, int] | None:
    """The axes of `array` in the order of memory, and where in its storage it begins.

    None unless its elements follow each other in memory without a gap, those of `look` among them.
    """
    axes = tuple(sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], array.shape[axis])))
    first = memory_of(array)[1] // array.itemsize
    inside = first <= look.offset and look.end <= first + array.size
    fitting = array.transpose(axes).flags.c_contiguous and (inside or not math.prod(look.shape))
    return (axes, first) if fitting else None


def _derive(out: Tensor, look: Look, x: Tensor, order: tuple[Shape, int]) -> None:
    """Give `out`, a look at the base of `x`, the history of the elements that `x` shows.

    It is that of `x` written into zeros, seen so. Where `out` has other elements too, autograd must not follow writes
    through it, which would be followed in those as well.
    """
    shape, strides = x._array.shape, strides_of(x._array)
    start = memory_of(x._array)[1] // x._array.itemsize
    shows_all = np.isin(positions(*look), positions(shape, strides, start)).all()
    if overlapping(shape, strides):
        if not shows_all:
            raise UnsupportedError("as_strided(): of an expanded tensor, only elements that it shows can be had")
        return
    if state.now.watchers:
        what, recorder = "as_strided() of a view with gaps between its elements", state.recorder
        raise UnsupportedError(f"not supported here: {what}") if recorder is None else recorder.unsupported(what)
    base: Any = x._base
    zeros: Any = wrap(np.zeros(base._array.shape, base._array.dtype))
    written = write_through(zeros, chain_of(x)[len(chain_of(base)) :], x)
    seen = look.of(view_as_real(written) if written._array.dtype != x._array.dtype else written, *order)
    out._node, out._index = seen._node, seen._index
    if out._view is not None and not shows_all:
        out._view.creation = Creation.FUNCTION


# Complex numbers as pairs


def view_as_real(input: Tensor) -> Tensor:
    """A view of a complex tensor as a real one, with a new last dim: real part, imaginary part."""
    if require_tensor("view_as_real", input)._array.dtype.kind != "c":
        raise TapegradError("view_as_real is only supported for complex tensors")
    return apply(p.view_as_real, (input,))


def view_as_complex(input: Tensor) -> Tensor:
    """A view of a tensor whose last dim holds real and imaginary part, as a complex one."""
    array = require_tensor("view_as_complex", input)._array
    d = dtype_of(input)
    if d not in (dtypes.float32, dtypes.float64):
        raise TapegradError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{d.scalar_type}"
        )
    if not array.ndim:
        raise ShapeError("Input tensor must have one or more dimensions")
    if array.shape[-1] != 2:
        raise ShapeError("Tensor must have a last dimension of size 2")
    *strides, last = strides_of(array)
    if last != 1:
        raise ShapeError("Tensor must have a last dimension with stride 1")
    if any(step % 2 for step in strides):
        raise ShapeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if memory_of(array)[1] // array.itemsize % 2:
        raise ShapeError("Tensor must have a storage_offset divisible by 2")
    return apply(p.view_as_complex, (input,))


# Memory as another dtype


def view_dtype(input: Tensor, dtype: Any) -> Tensor:
    """`view(dtype)`: the memory of `input` read as another dtype, without history, the last dim longer or shorter."""
    target = dtypes.to_dtype(dtype)
    array = input._array
    _check_elements(array, dtype_of(input), target)
    now = state.now
    enabled, now.grad_enabled = now.grad_enabled, False
    try:
        out = apply(p.bitcast, (alias(input),), {"dtype": target.numpy})
    finally:
        now.grad_enabled = enabled
    if out._view is not None:
        out._view = View(out._view.chain, None)  # to autograd, no view of `input`
    if not array.size:
        move(out, np.zeros(out._array.shape, target.numpy))  # NumPy's strides of nothing depend on the dtype
    return out


def _check_elements(array: np.ndarray[Any, Any], source: dtypes.dtype, target: dtypes.dtype) -> None:
    """Raise RuntimeError, in PyTorch's words, where elements of another size do not fit into the memory."""
    if source.itemsize == target.itemsize:
        return
    why = f"to view {source.scalar_type} as {target.scalar_type} (different element sizes)"
    if not array.ndim:
        raise ShapeError(f"self.dim() cannot be 0 {why}")
    strides = strides_of(array)
    ratio = target.itemsize // source.itemsize
    if ratio > 1:
        _check_divisible("self.size(-1)", array.shape[-1], ratio, why)
        _check_divisible("self.storage_offset()", memory_of(array)[1] // array.itemsize, ratio, why)
    if strides[-1] != 1:
        raise ShapeError(f"self.stride(-1) must be 1 {why}, but got {strides[-1]}")
    if ratio > 1:
        for i, step in enumerate(strides[:-1]):
            _check_divisible(f"self.stride({i})", step, ratio, why)


def _check_divisible(what: str, n: int, ratio: int, why: str) -> None:
    if n % ratio:
        raise ShapeError(f"{what} must be divisible by {ratio} {why}, but got {n}")
