"""Dtypes, promotion and casts."""

from __future__ import annotations

import pytest

import tapegrad

from ..examples import blocks, check

EXAMPLES = """
# tensors with dims decide before those without, and those before numbers
>>> i, f, z = torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.float32), torch.tensor(1.0, dtype=torch.float64)
>>> (i + 1).dtype, (i + 1.5).dtype, (i + z).dtype, (f + z).dtype, (f + i).dtype, (f + 1j).dtype
(torch.int64, torch.float32, torch.float64, torch.float32, torch.float32, torch.complex64)

# integer dtypes widen, and uint8 meets int8 in int16
>>> torch.promote_types(torch.uint8, torch.int8), torch.promote_types(torch.int8, torch.int32)
(torch.int16, torch.int32)
>>> torch.promote_types(torch.float16, torch.bfloat16), torch.promote_types(torch.int64, torch.float16)
(torch.float32, torch.float16)
>>> torch.promote_types(torch.complex64, torch.float64), torch.promote_types(torch.bool, torch.uint8)
(torch.complex128, torch.uint8)

# integers of too many bits wrap
>>> torch.tensor([200], dtype=torch.uint8) + 100
tensor([44], dtype=torch.uint8)
>>> torch.tensor([2**31 - 1], dtype=torch.int32) + 1
tensor([-2147483648], dtype=torch.int32)

# division makes integers floating
>>> torch.tensor([1, 2]) / 2
tensor([0.5000, 1.0000])
>>> torch.tensor([7, -7]) // 2
tensor([ 3, -4])
>>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="trunc")
tensor([ 3, -3])

# no write changes a dtype, or drops a category
>>> x = torch.tensor([1, 2])
>>> x += 1.5
Traceback (most recent call last):
RuntimeError: result type ...
>>> x /= 2
Traceback (most recent call last):
RuntimeError: result type ...
>>> x.add_(torch.tensor([1], dtype=torch.int8))
tensor([2, 3])
>>> y = torch.tensor([True])
>>> y += 1
Traceback (most recent call last):
RuntimeError: result type ...

# Python scalars are weak
>>> torch.ones(2, dtype=torch.float16) * 1e-3
tensor([0.0010, 0.0010], dtype=torch.float16)
>>> torch.ones(2, dtype=torch.bfloat16) + 2
tensor([3., 3.], dtype=torch.bfloat16)
>>> torch.ones(2, dtype=torch.uint8) * 2.5
tensor([2.5000, 2.5000])

# the default dtype is what ints become
>>> torch.set_default_dtype(torch.float64)
>>> torch.tensor([1]).exp().dtype, torch.tensor(1.0).dtype, torch.tensor(1j).dtype
(torch.float64, torch.float64, torch.complex128)
>>> torch.set_default_dtype(torch.float32)
>>> torch.set_default_dtype(torch.int64)
Traceback (most recent call last):
TypeError: only floating-point types are supported as the default type...

# names and kinds
>>> torch.float is torch.float32, torch.double is torch.float64, torch.long is torch.int64, torch.half is torch.float16
(True, True, True, True)
>>> torch.float16.itemsize, torch.int8.is_signed, torch.uint8.is_signed, torch.complex64.is_complex
(2, True, False, True)
>>> torch.can_cast(torch.float32, torch.int64), torch.can_cast(torch.int64, torch.float16)
(False, True)

# casts
>>> torch.tensor([1.7, -1.7]).to(torch.int32), torch.tensor([0.0, 2.0]).bool(), torch.tensor([2]).half()
(tensor([ 1, -1], dtype=torch.int32), tensor([False,  True]), tensor([2.], dtype=torch.float16))
>>> x = torch.ones(2, requires_grad=True)
>>> x.to(torch.float32) is x, x.double()
(True, tensor([1., 1.], dtype=torch.float64, grad_fn=<ToCopyBackward0>))
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
