"""Layouts and memory formats: in what order memory holds the elements of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .errors import ShapeError
from .tape.apply import move

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "channels_last", "channels_last_3d", "check_format", "contiguous_format", "empty_in_order", "is_in_format",
    "lay_out", "layout", "memory_format", "present_order", "preserve_format", "strided",
]  # fmt: skip


class layout:  # noqa: N801  (PyTorch's name)
    """How a tensor keeps its elements, as `torch.layout`: `strided` is the only one."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided = layout("strided")


class memory_format:  # noqa: N801  (PyTorch's name)
    """An order of the dims in memory, as `torch.memory_format`.

    `order` has the dims from the slowest to the fastest; None where it follows from the tensor.
    """

    __slots__ = ("name", "order")

    def __init__(self, name: str, order: tuple[int, ...] | None = None) -> None:
        self.name: Final = name
        self.order: Final = order

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last", (0, 2, 3, 1))
channels_last_3d = memory_format("channels_last_3d", (0, 2, 3, 4, 1))


def check_format(op: str, given: Any) -> None:
    """Raise TypeError unless `given` is a memory format or None."""
    if given is not None and not isinstance(given, memory_format):
        raise TypeError(f"{op}(): argument 'memory_format' must be torch.memory_format, not {type(given).__name__}")


def is_in_format(array: np.ndarray[Any, Any], wanted: memory_format) -> bool:
    """Whether memory holds the elements in the order of `wanted`, without gaps."""
    if wanted.order is None:
        return bool(array.flags.c_contiguous)
    if array.ndim != len(wanted.order):
        return False
    expected = array.itemsize
    for axis in reversed(wanted.order):
        n = array.shape[axis]
        if n != 1 and array.strides[axis] != expected:
            return False
        expected *= n
    return True


def _order(like: np.ndarray[Any, Any], wanted: memory_format) -> Sequence[int]:
    """The axes in the order that `wanted` means for arrays of the shape of `like`, slowest first."""
    if wanted is preserve_format:
        return present_order(like)
    if wanted.order is None:
        return range(like.ndim)
    if like.ndim != len(wanted.order):
        raise ShapeError(f"required rank {len(wanted.order)} tensor to use {wanted.name} format")
    return wanted.order


def present_order(array: np.ndarray[Any, Any]) -> Sequence[int]:
    """The axes from the slowest to the fastest, sorted as PyTorch sorts them: those of stride 0 stay where they are."""
    order = list(reversed(range(array.ndim)))  # fastest first
    for moving in range(1, array.ndim):
        at = moving
        for place in reversed(range(moving)):
            slower = _slower(array, order[place], order[at])
            if slower:
                order[place], order[at] = order[at], order[place]
                at = place
            elif slower is False:
                break
    return order[::-1]


def _slower(array: np.ndarray[Any, Any], a: int, b: int) -> bool | None:
    """Whether axis `a` moves slower through memory than axis `b`; None if that cannot be told."""
    stride_a, stride_b = abs(array.strides[a]), abs(array.strides[b])
    if not (stride_a and stride_b):
        return None
    if stride_a != stride_b:
        return stride_a > stride_b
    return True if array.shape[a] > array.shape[b] else None


def empty_in_order(shape: Sequence[int], dtype: np.dtype[Any], order: Sequence[int]) -> np.ndarray[Any, Any]:
    """An array of `shape` whose axes lie in memory in `order`, slowest first."""
    back = sorted(range(len(shape)), key=order.__getitem__)
    return np.empty([shape[axis] for axis in order], dtype).transpose(back)


def _is_dense(array: np.ndarray[Any, Any]) -> bool:
    """Whether the elements fill their memory, each place once, in any order of the axes."""
    expected = array.itemsize
    for stride, n in sorted([(s, n) for s, n in zip(array.strides, array.shape, strict=True) if n != 1]):
        if stride != expected:
            return False
        expected *= n
    return True


def _empty_like(array: np.ndarray[Any, Any], like: np.ndarray[Any, Any], wanted: memory_format) -> Any:
    """An array of the shape and dtype of `array` in the order that `wanted` means for `like`.

    Kept as it is, a dense one has the very strides of `like`, those of axes of length one included.
    """
    if wanted is not preserve_format or not _is_dense(like):
        return empty_in_order(array.shape, array.dtype, _order(like, wanted))
    strides = [step // like.itemsize * array.itemsize for step in like.strides]
    return np.ndarray(array.shape, array.dtype, np.empty(array.size, array.dtype), 0, strides)


def lay_out(out: Tensor, like: np.ndarray[Any, Any], wanted: memory_format | None) -> Tensor:
    """`out`, fresh and of the shape of `like`, with its memory in the order of `wanted` (None: as `like` has it).

    Raises ShapeError, before anything changes, for a format of tensors of another rank.
    """
    array = out._array
    if wanted is None:
        wanted = preserve_format
    if wanted.order is None and like.flags.c_contiguous and array.flags.c_contiguous:
        same = array.strides == like.strides if array.itemsize == like.itemsize else 1 not in like.shape
        if same or wanted is contiguous_format:
            return out
    held = _empty_like(array, like, wanted)
    if held.strides != array.strides:
        held[...] = array
        move(out, held)
    return out
