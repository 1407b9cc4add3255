"""Values between host and device: what a compiled program reads from a tensor and writes back to it."""

from __future__ import annotations

import sys
from typing import Any

import jax
import numpy as np

from ..storage import Storage
from ..tape import TensorBase, keep_on_device, storage_of
from ..tape.variable import fresh_on_device, is_on_device_only, order_of

__all__ = ["alone", "from_device", "own_storage", "store", "value_of"]

from_device = fresh_on_device


def value_of(t: TensorBase, *, keep: bool) -> Any:
    """The tensor's value, for JAX to read: its device buffer, or a copy of its host memory.

    A copy, since JAX reads host memory after the call returned, when the user may be writing to it. With `keep` the
    copy goes to the device and stays with the tensor for the next call, if nothing else can write to its memory.
    """
    if t._device is not None:
        return t._device
    array = t._array
    is_plain = array.flags.c_contiguous
    if not keep or not alone(t) or not (is_plain or order_of(array)):
        return array.copy()
    with jax.enable_x64(True):  # or JAX would cut 64-bit values down
        device = jax.device_put(array.copy())
    if is_plain:
        t._device = device
    else:
        keep_on_device(t, device)
    return device


def alone(t: TensorBase) -> bool:
    """Whether no other tensor, saved value or NumPy array shares the tensor's memory."""
    storage = t._storage
    if storage is None:
        return True
    # one reference from the tensor, one from `storage`, one from the argument of getrefcount
    return not storage.exported and storage.origin is None and sys.getrefcount(storage) == 3


def own_storage(t: TensorBase) -> Storage:
    """The tensor's storage, made now if it has none; unlike with `storage_of`, its value stays where it is."""
    if t._storage is None:
        t._storage = Storage()
    return t._storage


def store(t: TensorBase, value: Any, count: int = 1) -> None:
    """Give `t` a new value computed on the device: in its memory if that is shared, else kept on the device.

    It counts as so many writes.
    """
    own_storage(t)
    if is_on_device_only(t) or alone(t):  # what shares memory with others has it on the host
        keep_on_device(t, value)
    else:
        storage_of(t)
        np.copyto(t._array, np.asarray(value))
    own_storage(t).count_write(count)
