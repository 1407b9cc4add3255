"""DLPack: memory shared with PyTorch, NumPy, JAX and others, without copying (https://dmlc.github.io/dlpack).

NumPy makes and takes the capsules. It knows no bfloat16, which is passed through it as uint16, with the dtype in the
capsule's C struct set right.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from .devices import check_device
from .dtypes import from_numpy_dtype
from .errors import TapegradError, UnsupportedError
from .ops.creation import clone, from_numpy
from .ops.support import reads_value
from .tape import TensorBase, keep_on_device, state, storage_of, wrap, writable

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["CPU", "capsule", "from_dlpack"]

CPU = (1, 0)
"""kDLCPU, and the number of the device."""

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_VERSION = (1, 0)
_UNSIGNED, _BRAIN_FLOAT = 1, 4  # codes of dtypes: kDLUInt, kDLBfloat
# Where a capsule's struct has the dtype: behind data, device and ndim of the DLTensor, which comes first or, with a
# version, after the version, manager, deleter and flags.
_CODE_AT = {b"dltensor": 20, b"dltensor_versioned": 52}

_NOWHERE = np.empty(0)

_api = ctypes.pythonapi
_api.PyCapsule_GetName.restype = ctypes.c_char_p
_api.PyCapsule_GetName.argtypes = [ctypes.py_object]
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def capsule(t: Tensor, stream: Any, max_version: Any, dl_device: Any, copy: Any) -> Any:
    """What `Tensor.__dlpack__` returns: a capsule of the tensor's memory, or with `copy` of a copy.

    Raises BufferError for a tensor that requires grad, TypeError or AssertionError for a stream, which a CPU has not,
    UnsupportedError for another device.
    """
    reads_value("__dlpack__()", t)
    if t.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    if stream is not None and stream != -1:
        raise AssertionError("stream should be None on cpu.")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise UnsupportedError(f"__dlpack__: tensors are in the memory of the CPU, not on device {tuple(dl_device)}")
    if copy:
        array = np.array(t._array)
    else:
        storage_of(t).memory.exported = True
        array = writable(t)
    brain_float = array.dtype == _BFLOAT16
    made = (array.view(np.uint16) if brain_float else array).__dlpack__(max_version=max_version)
    if brain_float:
        _code(made).value = _BRAIN_FLOAT
    return made


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of a PyTorch, NumPy or other array that speaks DLPack: writing to either changes both.

    What must not be written to is copied: a read-only NumPy array, and, when the tensor is first written to, a JAX
    array. With `copy` a copy is made at once; `copy=False` raises BufferError where one is needed. Raises RuntimeError
    for what speaks no DLPack, TypeError for a dtype that tensors do not have, UnsupportedError for memory that is not
    the CPU's.
    """
    check_device(device)
    if isinstance(ext_tensor, TensorBase):
        if ext_tensor.requires_grad:  # type: ignore[attr-defined]
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        shared: Tensor = ext_tensor.detach()  # type: ignore[attr-defined]
        return clone(shared) if copy else shared
    if type(ext_tensor).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(ext_tensor, "__dlpack__"):
        return _from_jax(ext_tensor, copy)
    array = _imported(ext_tensor)
    if copy or not array.flags.writeable:
        if copy is False:
            raise BufferError("from_dlpack: the memory is read-only, and cannot be a tensor's without a copy")
        array = array.copy()
    return from_numpy(array)


def _from_jax(array: Any, copy: bool | None) -> Tensor:
    """A tensor whose value is a JAX array, which nothing ever writes to: a write copies it first."""
    if copy or state.now.watchers:
        return from_numpy(np.array(array))
    from_numpy_dtype(array.dtype)
    t = wrap(_NOWHERE)
    keep_on_device(t, array)
    return t


def _imported(source: Any) -> np.ndarray[Any, Any]:
    """The memory of `source` as a NumPy array."""
    capsule = source
    if type(source).__name__ != "PyCapsule":
        if not hasattr(source, "__dlpack__") or not hasattr(source, "__dlpack_device__"):
            raise TapegradError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so "
                "you might have already constructed a tensor from it once."
            )
        kind, _ = source.__dlpack_device__()
        if kind != CPU[0]:
            raise UnsupportedError("from_dlpack: the array is on another device than the CPU: copy it there first")
        try:
            capsule = source.__dlpack__(max_version=_VERSION)
        except TypeError:  # it speaks an older DLPack
            capsule = source.__dlpack__()
    code = _code(capsule)
    brain_float = code.value == _BRAIN_FLOAT
    if brain_float:
        code.value = _UNSIGNED
    array: np.ndarray[Any, Any] = np.from_dlpack(_Held(capsule))
    return array.view(_BFLOAT16) if brain_float else array


class _Held:
    """A capsule, as an object that hands it out."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU


def _code(capsule: Any) -> ctypes.c_uint8:
    """The code of the dtype in the capsule's struct. Raises RuntimeError for a capsule that was consumed."""
    name = _api.PyCapsule_GetName(capsule)
    if name not in _CODE_AT:
        raise TapegradError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            "might have already constructed a tensor from it once."
        )
    return ctypes.c_uint8.from_address(_api.PyCapsule_GetPointer(capsule, name) + _CODE_AT[name])
