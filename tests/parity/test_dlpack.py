"""DLPack against PyTorch: what the protocol's functions do, and memory shared between the libraries both ways."""

import numpy as np
import pytest
import torch

import tapegrad as tg

from .harness import agree, cases

CASES = """
torch.from_dlpack(np.arange(6.0).reshape(2, 3))
torch.from_dlpack(np.arange(6, dtype='int16')[::2])
a = np.ones(3); x = torch.from_dlpack(a); x.mul_(2); a
a = np.ones(3); x = torch.from_dlpack(a); a[:] = 5; x
a = np.ones(3); x = torch.from_dlpack(a, copy=True); a[:] = 5; x
x = t(3); y = torch.from_dlpack(x); y.zero_(); x
x = t(3); np.from_dlpack(x)[:] = 4; x
x = t(2, 3, dtype='bfloat16'); y = torch.from_dlpack(x); y.zero_(); x
x = t(2, 3, dtype='bfloat16'); torch.from_dlpack(x)
x = leaf(3); torch.from_dlpack(x)
x = leaf(3); x.__dlpack__()
x = leaf(3); torch.from_dlpack(x.detach())
t(3).__dlpack__(stream='a')
t(3).__dlpack__(stream=2)
t(3).__dlpack__(dl_device=(2, 0)) ## class
tuple(map(int, t(3).__dlpack_device__()))
torch.from_dlpack(3)
c = t(3).__dlpack__(); torch.from_dlpack(c); torch.from_dlpack(c) ## says: DLTensor capsules can be consumed only once
a = np.ones(3); a.flags.writeable = False; x = torch.from_dlpack(a); x.zero_(); a ## differs: writing into memory that is marked read-only
"""


@pytest.mark.parametrize("case", cases(CASES))
def test_case(case):
    agree(case)


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
          "complex128"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_is_shared_with_pytorch_both_ways(dtype):
    theirs = torch.ones(2, 3, dtype=getattr(torch, dtype))[:, ::2]
    ours = tg.from_dlpack(theirs)
    assert repr(ours) == repr(theirs)
    ours[0, 0] = 0
    assert theirs[0, 0].item() == 0
    back = torch.from_dlpack(ours)
    back[1, 1] = 0
    assert theirs[1, 1].item() == 0
    assert repr(ours) == repr(theirs)
    made = torch.from_dlpack(tg.ones(3, dtype=getattr(tg, dtype)))
    assert made.dtype == getattr(torch, dtype)
    assert made.tolist() == [1, 1, 1]


def test_memory_outlives_the_tensor_that_had_it():
    back = torch.from_dlpack(tg.from_numpy(np.arange(1000.0)))
    assert back.sum().item() == 499500.0
