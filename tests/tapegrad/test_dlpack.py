"""DLPack with NumPy: memory is shared both ways, and what must not be written to is not."""

import ctypes

import ml_dtypes
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import TapegradError, UnsupportedError

DTYPES = [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64,
          np.complex64, np.complex128]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3,), (), (2, 0), (2, 3)])
def test_numpy_both_ways(dtype, shape):
    array = np.ones(shape, dtype)
    t = tg.from_dlpack(array)
    assert t.dtype.numpy == dtype
    t.fill_(0)
    assert not array.any()
    back = np.from_dlpack(t)
    back[...] = 1
    assert t.tolist() == np.ones(shape, dtype).tolist()
    assert array.all()


def test_strides_and_offsets():
    array = np.arange(12.0).reshape(3, 4)
    t = tg.from_dlpack(array[1:, ::2].T)
    assert t.tolist() == [[4.0, 8.0], [6.0, 10.0]]
    t[0, 0] = -1
    assert array[1, 0] == -1
    view = np.from_dlpack(tg.from_numpy(array)[:, 1])
    view[:] = 7
    assert (array[:, 1] == 7).all()


class Exporter:
    """An array of another library, whose capsules have a version or, from older ones, none."""

    def __init__(self, source, versioned=True, device=(1, 0)):
        self.source = source
        self.versioned = versioned
        self.device = device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        if options and not self.versioned:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        return self.source.__dlpack__(**options)


@pytest.mark.parametrize("versioned", [True, False])
def test_bfloat16_both_ways(versioned):
    """NumPy itself has none: what another library makes of the capsule is read from memory."""
    t = tg.tensor([1.0, 2.5, -3.0], dtype=tg.bfloat16)
    back = tg.from_dlpack(Exporter(t, versioned))
    assert back.dtype == tg.bfloat16
    assert back.tolist() == [1.0, 2.5, -3.0]
    if versioned:
        back[0] = 9.0
        assert t[0].item() == 9.0
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(t)
    assert t.numpy().dtype == ml_dtypes.bfloat16


def test_what_is_read_only_is_copied():
    array = np.ones(3)
    array.flags.writeable = False
    t = tg.from_dlpack(array)
    t.zero_()
    assert array.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(BufferError, match="read-only"):
        tg.from_dlpack(array, copy=False)


def test_copies_on_demand():
    array = np.ones(3)
    tg.from_dlpack(array, copy=True).zero_()
    assert array.all()
    tg.from_dlpack(array, copy=False).zero_()
    assert not array.any()
    t = tg.ones(3)
    assert tg.from_dlpack(t).data_ptr() == t.data_ptr()
    assert tg.from_dlpack(t, copy=True).data_ptr() != t.data_ptr()
    copied = np.from_dlpack(t, copy=True)
    copied[:] = 5
    assert t.tolist() == [1.0, 1.0, 1.0]


def test_a_tensor_that_requires_grad_is_not_exported():
    t = tg.ones(2).requires_grad_()
    for attempt in (np.from_dlpack, tg.from_dlpack, lambda t: t.__dlpack__()):
        with pytest.raises(BufferError, match=r"Can't export tensors that require gradient, use tensor.detach\(\)"):
            attempt(t)
    assert np.from_dlpack(t.detach()).tolist() == [1.0, 1.0]


def test_arguments_of_the_protocol():
    t = tg.ones(2)
    assert t.__dlpack_device__() == (1, 0)
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    assert name(t.__dlpack__()) == b"dltensor"
    assert name(t.__dlpack__(max_version=(1, 0))) == b"dltensor_versioned"
    assert name(t.__dlpack__(stream=-1, dl_device=(1, 0))) == b"dltensor"
    with pytest.raises(TypeError, match="stream must be"):
        t.__dlpack__(stream="a")
    with pytest.raises(AssertionError, match="stream should be None on cpu"):
        t.__dlpack__(stream=3)
    with pytest.raises(UnsupportedError, match="not on device"):
        t.__dlpack__(dl_device=(2, 0))


def test_what_cannot_be_imported():
    with pytest.raises(TapegradError, match="received an invalid capsule"):
        tg.from_dlpack(3)
    with pytest.raises(TypeError, match="uint32"):
        tg.from_dlpack(np.ones(2, np.uint32))
    with pytest.raises(UnsupportedError, match="another device"):
        tg.from_dlpack(Exporter(np.ones(2), device=(2, 0)))
    capsule = np.ones(2).__dlpack__(max_version=(1, 0))
    assert tg.from_dlpack(capsule).tolist() == [1.0, 1.0]
    with pytest.raises(TapegradError, match="consumed only once"):
        tg.from_dlpack(capsule)


def test_exported_memory_stays_where_it_is_under_in_place_writes():
    t = tg.ones(3)
    array = np.from_dlpack(t)
    t.mul_(2)
    t.add_(tg.ones(3))
    assert array.tolist() == [3.0, 3.0, 3.0]
    array[:] = 0
    assert t.tolist() == [0.0, 0.0, 0.0]
