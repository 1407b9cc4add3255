"""Values between host and device: what a compiled program reads from a tensor and writes back to it."""

from __future__ import annotations

import sys
from typing import Any

import jax
import numpy as np

from ..tape import TensorBase, keep_on_device, storage_of, wrap

__all__ = ["from_device", "store", "value_of"]


def value_of(t: TensorBase, *, keep: bool) -> Any:
    """The tensor's value, for JAX to read: its device buffer, or a copy of its host memory.

    A copy, since JAX reads host memory after the call returned, when the user may be writing to it. With `keep` the
    copy goes to the device and stays with the tensor for the next call, if nothing else can write to its memory.
    """
    if t._device is not None:
        return t._device
    if not keep or not _alone(t):
        return t._array.copy()
    t._device = jax.device_put(t._array.copy())
    return t._device


def _alone(t: TensorBase) -> bool:
    """Whether no other tensor, saved value or NumPy array shares the tensor's memory."""
    storage = t._storage
    if storage is None:
        return True
    # one reference from the tensor, one from `storage`, one from the argument of getrefcount
    return not storage.exported and storage.origin is None and sys.getrefcount(storage) == 3


def store(t: TensorBase, value: Any) -> None:
    """Give `t` a new value computed on the device: in its memory if that is shared, else kept on the device."""
    shared = not _alone(t)
    storage = t._storage or storage_of(t)
    if shared:
        np.copyto(t._array, np.asarray(value))
    else:
        keep_on_device(t, value)
    storage.version += 1


def from_device(value: Any) -> Any:
    """A new leaf tensor whose value is on the device, fetched when first read on the host."""
    t = wrap(_NOWHERE)
    keep_on_device(t, value)
    return t


_NOWHERE = np.empty(0)
