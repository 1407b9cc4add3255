"""Memory and windows: how tensors that share memory share it again after a copy, a pickle or a file.

A tensor shows a *window* of the memory it is on. To copy several tensors, copy each memory once, and open the same
windows on the copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .dtypes import dtype, from_numpy_dtype
from .formats import present_order
from .ops.creation import new_leaf
from .primitives.shaping import permute, reshape
from .primitives.views import as_strided, bitcast
from .tape import apply

__all__ = ["Memory", "Window", "base_of", "in_order", "located"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Window(NamedTuple):
    """The elements `offset + sum(index * strides)` of a memory, counted in elements of `dtype`."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def bounds(self) -> tuple[int, int]:
        """The first byte, and the one after the last."""
        if 0 in self.shape:
            return 0, 0
        steps = [(n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True)]
        first = self.offset + sum(step for step in steps if step < 0)
        last = self.offset + sum(step for step in steps if step > 0)
        return first * self.dtype.itemsize, (last + 1) * self.dtype.itemsize

    def fits(self, size: int) -> bool:
        """Whether a memory of `size` bytes has all that it shows."""
        first, end = self.bounds
        return 0 <= first <= end <= size

    def covers(self, size: int) -> bool:
        """Whether it shows every element of a memory of `size` bytes, each once, in any order of the axes."""
        expected = 1
        for stride, n in sorted([(s, n) for s, n in zip(self.strides, self.shape, strict=True) if n != 1]):
            if stride != expected:
                return False
            expected *= n
        return self.offset == 0 and expected * self.dtype.itemsize == size


def located(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Bytes, Window]:
    """The array that owns the memory which `array` looks at, all that memory as bytes, and the window.

    Where the memory cannot be seen as a row of elements (it has gaps, or none starts where an element would) it is
    that of a copy.
    """
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    row = _row(owner)
    window = None if row is None else _window(array, row)
    if row is None or window is None:
        owner = array.copy("K")
        row = _row(owner)
        window = None if row is None else _window(owner, row)
        assert row is not None
        assert window is not None
    return owner, row, window


def base_of(owner: np.ndarray[Any, Any], window: Window) -> Window:
    """The window that shows all of the memory of `owner`: as `owner` does, if tensors can, else a row like `window`."""
    size = owner.itemsize
    try:
        from_numpy_dtype(owner.dtype)
    except TypeError:
        return in_order(window.dtype, (owner.nbytes // window.dtype.itemsize,))
    return Window(owner.dtype, owner.shape, tuple([step // size for step in owner.strides]), 0)


def _row(owner: np.ndarray[Any, Any]) -> Bytes | None:
    """The memory of `owner` as bytes; None if it has gaps."""
    sorted_axes = owner.transpose(present_order(owner))
    return sorted_axes.reshape(-1).view(np.uint8) if sorted_axes.flags.c_contiguous else None


def _window(array: np.ndarray[Any, Any], row: Bytes) -> Window | None:
    """What `array` shows of `row`; None if it does not start, go on and end between elements."""
    size = array.itemsize
    start = _address(array) - _address(row) if array.size else 0
    if row.size % size or any(step % size for step in (start, *array.strides)):
        return None
    return Window(array.dtype, array.shape, tuple([step // size for step in array.strides]), start // size)


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


class Memory:
    """A row of bytes, on which windows are opened as tensors that share it.

    One tensor is taken to own the memory, and the others to be views of it: the first to be opened if it shows all,
    else one like `base`.
    """

    __slots__ = ("__weakref__", "_base", "_bytes", "_whole", "owner")

    def __init__(self, row: Bytes, base: Window, owner: Any = None) -> None:
        self._bytes = row
        self._base = base
        self._whole: Any = None
        self.owner = owner  # kept, where it is known by its id

    def __reduce__(self) -> Any:
        return _memory, (self._bytes, from_numpy_dtype(self._base.dtype), *self._base[1:])

    def open(self, window: Window) -> Any:
        """A leaf tensor that shows `window`. Raises ValueError if that does not fit or is too large to be a tensor."""
        if not window.fits(self._bytes.size):
            raise ValueError("it reaches beyond its memory")
        if self._whole is None:
            if window.covers(self._bytes.size):
                self._base = window
            self._whole = self._open_whole()
        if window == self._base:
            return self._whole.detach()
        empty = 0 in window.shape  # it looks at no element, wherever it says it does
        strides, offset = ((0,) * len(window.shape), 0) if empty else (window.strides, window.offset)
        params = {"shape": window.shape, "strides": strides, "offset": offset}
        try:
            return apply(as_strided, (self._in_order(window.dtype),), params).detach()
        except OverflowError as error:
            raise ValueError(str(error)) from None

    def _open_whole(self) -> Any:
        """The tensor that is taken to own the memory."""
        base = self._base
        row = self._bytes if self._bytes.flags.writeable else self._bytes.copy()
        strides = [stride * base.dtype.itemsize for stride in base.strides]
        return new_leaf(np.ndarray(base.shape, base.dtype, row, 0, strides))

    def _in_order(self, d: np.dtype[Any]) -> Any:
        """A view of the whole, of dtype `d`, whose elements lie in memory in order."""
        view, order = self._whole, tuple(present_order(self._whole._array))
        if order != tuple(range(len(order))):
            view = apply(permute, (view,), {"axes": order})
        if d == self._base.dtype:
            return view
        return apply(bitcast, (apply(reshape, (view,), {"shape": (view._array.size,)}),), {"dtype": d})


def _memory(row: Bytes, d: dtype, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Memory:
    """The memory that a pickle describes."""
    return Memory(row, Window(d.numpy, shape, strides, offset))


def in_order(dtype: np.dtype[Any], shape: Sequence[int]) -> Window:
    """The window of a whole memory that holds an array of `shape` in order."""
    strides = [math.prod(max(n, 1) for n in shape[axis + 1 :]) for axis in range(len(shape))]
    return Window(dtype, tuple(shape), tuple(strides), 0)
