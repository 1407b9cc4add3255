"""Devices, layouts, memory formats and the limits of dtypes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.formats import channels_last, empty_in_order, is_in_format, present_order

from ..examples import blocks, check

EXAMPLES = """
# devices
>>> torch.device("cpu"), torch.device("cuda:1"), torch.device("cuda", 2), torch.device(torch.device("cpu"))
(device(type='cpu'), device(type='cuda', index=1), device(type='cuda', index=2), device(type='cpu'))
>>> torch.ones(1).device, torch.ones(1, device="cpu:0").device, torch.ones(1).get_device()
(device(type='cpu'), device(type='cpu'), -1)
>>> torch.device("cpu") == "cpu", torch.device("cpu") == torch.device("cpu"), torch.device("cpu") == torch.device("cpu:0")
(False, True, False)
>>> torch.device("tpu")
Traceback (most recent call last):
RuntimeError: Expected one of cpu, cuda, ...
>>> torch.device("cuda:x")
Traceback (most recent call last):
RuntimeError: Invalid device string: 'cuda:x'
>>> torch.device("cpu:01")
Traceback (most recent call last):
RuntimeError: Invalid device string: 'cpu:01'
>>> x = torch.ones(1)
>>> x.to("cpu") is x, x.to("cpu:0") is x
(True, False)
>>> torch.device("cpu").type = "cuda"
Traceback (most recent call last):
AttributeError: attribute 'type' of 'torch.device' objects is not writable
>>> with torch.device("cpu"): torch.ones(1).device
device(type='cpu')

# formats
>>> torch.channels_last, torch.strided, torch.ones(1).layout
(torch.channels_last, torch.strided, torch.strided)
>>> x = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
>>> x.stride(), x.is_contiguous(), x.is_contiguous(memory_format=torch.channels_last)
((60, 1, 15, 3), False, True)
>>> x.clone().stride(), x.contiguous().stride(), torch.zeros_like(x).stride()
((60, 1, 15, 3), (60, 20, 5, 1), (60, 1, 15, 3))
>>> torch.ones(2, 3).t().contiguous().view(-1).shape
torch.Size([6])
>>> torch.ones(1, 2).t().clone().stride(), torch.ones(4, 6)[:, ::2].t().clone().stride(), torch.ones(2, 3).expand(4, 2, 3).clone().stride()
((1, 2), (1, 3), (6, 3, 1))
>>> torch.zeros(20).as_strided((1, 2, 3, 3), (6, 1, 0, 2)).clone().stride(), torch.zeros(20).as_strided((3, 2, 2, 2, 2), (1, 3, 0, 6, 0)).clone().stride()
((18, 1, 2, 6), (2, 12, 6, 24, 1))
>>> torch.ones(2).clone(memory_format=torch.channels_last)
Traceback (most recent call last):
RuntimeError: required rank 4 tensor to use channels_last format
>>> torch.ones(2).clone(memory_format=3)
Traceback (most recent call last):
TypeError: clone(): argument 'memory_format' must be torch.memory_format, not int

# limits
>>> torch.finfo(torch.float32)
finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07, smallest_normal=1.17549e-38, tiny=1.17549e-38, dtype=float32)
>>> torch.finfo(torch.bfloat16).eps, torch.iinfo(torch.int8).min, torch.iinfo(torch.int64).max
(0.0078125, -128, 9223372036854775807)
>>> torch.finfo(torch.float16).resolution, torch.finfo(torch.complex64).bits
(0.001, 32)
>>> torch.finfo(torch.int8)
Traceback (most recent call last):
TypeError: torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'
>>> torch.iinfo(torch.bool)
Traceback (most recent call last):
TypeError: torch.bool is not supported by torch.iinfo

# of the dtype of another
>>> x = torch.ones(2, dtype=torch.float64)
>>> x.new_zeros(2), x.new_full((1,), 3), x.new_tensor([1]), x.new_ones(1, dtype=torch.int64)
(tensor([0., 0.], dtype=torch.float64), tensor([3.], dtype=torch.float64), tensor([1.], dtype=torch.float64), tensor([1]))
>>> x.new_full(2, 3)
Traceback (most recent call last):
TypeError: new_full(): argument 'size' (position 1) must be tuple of ints, not int
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name):
    check(blocks(EXAMPLES)[name], tg)


def test_all_of_them_are_copied_and_pickled_as_themselves():
    for x in (tg.device("cuda:1"), tg.channels_last, tg.strided, tg.finfo(tg.float16), tg.iinfo(tg.int8)):
        for again in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert again == x
            assert hash(again) == hash(x)


def test_a_device_that_a_jitted_function_reads():
    device = tg.device("cpu")
    step = tg.jit(lambda x: x.to(device) * (2 if x.device == device else 3))
    assert step(tg.ones(2)).tolist() == [2, 2]


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4), st.permutations(range(4)), st.permutations(range(4)))
def test_an_order_of_axes_in_memory(shape, order, other):
    array = empty_in_order(shape, np.dtype(np.float32), order)
    assert array.shape == tuple(shape)
    if min(shape) > 1:
        assert list(present_order(array)) == order
        assert list(present_order(array.transpose(other))) == [other.index(axis) for axis in order]
    if 0 not in shape:
        assert is_in_format(array, channels_last) or order != list(channels_last.order)


@given(st.lists(st.integers(0, 3), max_size=5), st.data())
def test_a_copy_has_the_values_and_the_order_of_axes(shape, data):
    x = tg.arange(int(np.prod(shape))).reshape(shape).permute(data.draw(st.permutations(range(len(shape)))))
    for made in (x.clone(), x.contiguous(), x.to(tg.float64), x.clone(memory_format=tg.contiguous_format)):
        assert made.tolist() == x.tolist()
    if 0 not in shape:
        assert x.clone().stride() == x.to(tg.float64).stride() == tg.zeros_like(x).stride() == x.stride()
    assert x.contiguous().is_contiguous()
