"""Where a tensor's elements lie in memory: strides, offset, address and storage, as PyTorch tells them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TapegradError
from ..primitives.views import c_strides, memory_of, strided
from ..tape import state
from ..tape.apply import move
from .common import normalise_dim, require_tensor
from .support import stands_for_more

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "UntypedStorage", "data_ptr", "index_strides", "is_set_to", "restrided", "storage_offset", "stride",
    "strides_of", "untyped_storage", "view_strides",
]  # fmt: skip

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def strides_of(array: Array) -> Shape:
    """The strides in elements; of an empty array, to which NumPy gives none, those of a contiguous one."""
    strides = array.strides
    if not array.size and not any(strides):
        return c_strides(array.shape)
    size = array.itemsize
    return tuple([step // size for step in strides])


def restrided(out: Tensor, strides: Shape) -> Tensor:
    """`out`, a view whose elements are where they belong, with PyTorch's strides for dims where NumPy has its own.

    Only the strides of dims of length one are free to differ: the elements stay the same.
    """
    array = out._array
    size = array.itemsize
    wanted = tuple([size * step for step in strides])
    if array.strides != wanted and array.size:
        move(out, strided(array, array.shape, wanted))
    return out


def index_strides(array: Array, index: tuple[Any, ...]) -> Shape:
    """The strides of `array[index]`, a basic index, as PyTorch finds them, going from item to item.

    A new dim has the stride that leads over the dim after it, as that was before the items that follow.
    """
    shape, strides = array.shape, strides_of(array)
    found: list[int] = []
    axis = 0
    for item in index:
        if item is None:
            found.append(shape[axis] * strides[axis] if axis < len(shape) else 1)
            continue
        if isinstance(item, slice):
            found.append(strides[axis] * (item.step or 1))
        axis += 1
    return (*found, *strides[axis:])


def view_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape | None:
    """The strides with which memory seen as `shape` can be seen as `wanted`, None if it cannot without a copy.

    Dims that follow each other in memory without a gap make a run, and each run has to be shared out among dims of
    `wanted`, from the last to the first.
    """
    if 0 in shape:
        return strides if shape == wanted else c_strides(wanted)
    left = list(wanted)
    found: list[int] = []
    for length, step in _runs(shape, strides):
        shared = 1
        while left and (shared < length or left[-1] == 1):
            found.append(shared * step)
            shared *= left.pop()
        if shared != length:
            return None
    return None if left else tuple(found[::-1])


def _runs(shape: Shape, strides: Shape) -> Iterator[tuple[int, int]]:
    """The runs of dims, the last first: their number of elements and the stride between them."""
    if not shape:
        yield 1, 1
        return
    length, step = shape[-1], strides[-1]
    for n, outer in zip(shape[-2::-1], strides[-2::-1], strict=True):
        if n == 1 or outer == length * step:
            length *= n
        else:
            yield length, step
            length, step = n, outer
    yield length, step


def stride(input: Tensor, dim: int | None = None) -> Any:
    """The step of each dim in elements, or of one dim."""
    strides = strides_of(require_tensor("stride", input)._array)
    if dim is None:
        return strides
    try:
        operator.index(dim)
    except TypeError:
        raise TypeError(f"stride(): argument 'dim' (position 1) must be int, not {type(dim).__name__}") from None
    axis = normalise_dim("stride", dim, len(strides))
    if not strides:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return strides[axis]


def storage_offset(input: Tensor) -> int:
    """How many elements into its storage the tensor begins."""
    return memory_of(input._array)[1] // input._array.itemsize


def data_ptr(input: Tensor) -> int:
    """The address of the first element; 0 for a tensor of none."""
    _require_storage(input)
    return _address(input._array)


def _address(array: Array) -> int:
    """Where an array begins; 0 if it has no elements. Raises UnsupportedError when jit records."""
    recorder = state.recorder
    if recorder is not None and recorder.strict:
        raise recorder.unsupported("data_ptr(), which is another at each call: see is_set_to() for shared memory")
    return int(array.__array_interface__["data"][0]) if array.size else 0


def _require_storage(x: Tensor) -> None:
    if stands_for_more(x):
        raise TapegradError("Cannot access data pointer of Tensor that doesn't have storage")


def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same look at the same memory."""
    if not hasattr(tensor, "_array"):
        raise TypeError(f"is_set_to(): argument 'tensor' (position 1) must be Tensor, not {type(tensor).__name__}")
    a, b = input._array, tensor._array
    same = memory_of(a)[0] is memory_of(b)[0] and storage_offset(input) == storage_offset(tensor)
    return same and a.shape == b.shape and strides_of(a) == strides_of(b)


class UntypedStorage:
    """The memory a tensor lies in, as bytes that can only be looked at."""

    __slots__ = ("_memory",)

    def __init__(self, memory: Array) -> None:
        self._memory = memory

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._memory.nbytes

    size = __len__ = nbytes

    def data_ptr(self) -> int:
        """The address of the first byte; 0 if there is none."""
        return _address(self._memory)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._memory is self._memory

    def __hash__(self) -> int:
        return id(self._memory)

    def __repr__(self) -> str:
        return f"<UntypedStorage of {self.nbytes()} bytes at {self.data_ptr():#x}>"


def untyped_storage(input: Tensor) -> UntypedStorage:
    """The memory of `input`, all of it."""
    _require_storage(input)
    return UntypedStorage(memory_of(input._array)[0])
