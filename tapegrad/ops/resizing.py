"""Tensors that take other memory: `resize_`, `resize_as_`, `set_`."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotDifferentiableError, ShapeError, TapegradError, UnsupportedError
from ..storage import Storage
from ..tape import TensorBase, View, check_writable, history, state, storage_of, writable
from .common import dtype_of, require_tensor
from .support import cpp_name, sizes, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["change_shape", "require_resizable", "require_unwatched", "resize_", "resize_as_", "set_", "shares_memory"]


def require_unwatched(what: str) -> None:
    """Raise UnsupportedError where operations are recorded or transformed, which could not follow `what`."""
    if state.recorder is not None:
        raise state.recorder.unsupported(what)
    if state.now.watchers:
        raise UnsupportedError(f"{what} is not supported inside a transformed function")


def shares_memory(t: TensorBase) -> bool:
    """Whether other tensors look at the memory of `t`, or autograd has saved it."""
    return t._view is not None or (t._storage is not None and sys.getrefcount(t._storage) > 2)


def require_resizable(t: TensorBase) -> None:
    """Raise UnsupportedError if others look at the memory of `t`, who could not follow when its shape changes."""
    require_unwatched("a change of a tensor's shape in place")
    if shares_memory(t):
        raise UnsupportedError(
            "resizing a tensor that shares its memory with other tensors is not supported: resize a clone() of it, or "
            "pass an `out` of the right shape"
        )


def change_shape(t: Tensor, shape: tuple[int, ...]) -> None:
    """Give `t` another shape: its elements in order, then those that its memory held before, then zeros."""
    require_resizable(t)
    array = writable(t)
    exported = t._storage is not None and t._storage.memory.exported
    memory = _in_memory_order(array if exported else _owner(array))
    count = math.prod(shape)
    if exported and count > memory.size:
        raise TapegradError("Trying to resize storage that is not resizable")
    if memory.flags.c_contiguous and memory.size >= count:
        t._array = memory.reshape(-1)[:count].reshape(shape)
    else:
        t._array = np.zeros(shape, array.dtype)
        t._array.reshape(-1)[: array.size] = _in_memory_order(array).reshape(-1)[:count]
    t._accumulator = None


def _owner(array: Any) -> Any:
    """The array whose memory `array` shows the beginning of, after it was resized; `array` itself before."""
    base = array.base
    same = isinstance(base, np.ndarray) and base.dtype == array.dtype and base.ctypes.data == array.ctypes.data
    return base if same else array


def _in_memory_order(array: Any) -> Any:
    """A view of `array` whose elements are in the order of memory."""
    return array.transpose(sorted(range(array.ndim), key=lambda i: -array.strides[i]))


@spelled
def resize_(x: Tensor, *size: Any) -> Tensor:
    """Another shape for the same memory, which grows where it must. Returns `x`.

    Elements keep their order; those that were not there are 0. Raises RuntimeError if `x` requires grad, or shares its
    memory with other tensors.
    """
    shape = sizes("resize_", size)
    if any(n < 0 for n in shape):
        raise ShapeError("numel: integer multiplication overflow")
    history(require_tensor("resize_", x))
    if x._requires_grad:
        raise NotDifferentiableError("cannot resize variables that require grad")
    if shape != x._array.shape:
        change_shape(x, shape)
        storage_of(x).version += 1
    return x


def resize_as_(x: Tensor, the_template: Tensor) -> Tensor:
    """`resize_` to the shape of another tensor. Returns `x`."""
    return resize_(x, *require_tensor("resize_as_", the_template, 2)._array.shape)


def set_(x: Tensor, source: Tensor | None = None) -> Tensor:
    """Let `x` look at the memory of `source`, in its shape; without a source, at no memory. Returns `x`.

    Raises RuntimeError for another dtype, and where a gradient would be asked of it.
    """
    require_unwatched("set_()")
    check_writable(require_tensor("set_", x))
    if source is not None and require_tensor("set_", source, 2)._array.dtype != x._array.dtype:
        kinds = cpp_name(dtype_of(source)), cpp_name(dtype_of(x))
        raise TapegradError(f"Could not set tensor of type {kinds[0]} to a tensor of type {kinds[1]}")
    if state.grad_enabled and (x._requires_grad or (source is not None and source.requires_grad)):
        raise NotDifferentiableError("derivative for set_ is not implemented")
    version = storage_of(x).version
    if source is None:
        x._array, x._storage, x._view = np.zeros((0,), x._array.dtype), Storage(), None
    elif source is not x:
        x._storage = Storage(storage_of(source).memory)
        x._array = source._array
        x._view = None if source._view is None else View(source._view.chain, None)
    x._device, x._accumulator = None, None
    storage_of(x).version = version + 1
    return x
