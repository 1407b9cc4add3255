"""Element-wise operations."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# operators keep PyTorch's names
>>> x = torch.tensor([1.0, 2.0], requires_grad=True)
>>> x + 1, x - 1, 1 - x
(tensor([2., 3.], grad_fn=<AddBackward0>), tensor([0., 1.], grad_fn=<SubBackward0>), tensor([ 0., -1.], grad_fn=<RsubBackward1>))
>>> x * 2, x / 2, 2 / x
(tensor([2., 4.], grad_fn=<MulBackward0>), tensor([0.5000, 1.0000], grad_fn=<DivBackward0>), tensor([2., 1.], grad_fn=<MulBackward0>))
>>> x ** 2, 2 ** x, -x, abs(x)
(tensor([1., 4.], grad_fn=<PowBackward0>), tensor([2., 4.], grad_fn=<PowBackward2>), tensor([-1., -2.], grad_fn=<NegBackward0>), tensor([1., 2.], grad_fn=<AbsBackward0>))
>>> x % 2, x.remainder(x)
(tensor([1., 0.], grad_fn=<RemainderBackward0>), tensor([0., 0.], grad_fn=<RemainderBackward1>))

# shapes that do not broadcast
>>> torch.ones(2, 3) + torch.ones(3, 2)
Traceback (most recent call last):
RuntimeError: The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1

# operands of no use
>>> torch.ones(2) + "a"
Traceback (most recent call last):
TypeError: unsupported operand type(s) for +: 'Tensor' and 'str'
>>> torch.ones(2) < None
Traceback (most recent call last):
TypeError: '<' not supported between instances of 'Tensor' and 'NoneType'
>>> torch.ones(2) == "a", torch.ones(2) != None
(False, True)
>>> torch.maximum(torch.ones(2), 1)
Traceback (most recent call last):
TypeError: maximum(): argument 'other' (position 2) must be Tensor, not int

# NumPy arrays are taken for tensors
>>> torch.ones(2) + np.ones(2)
tensor([2., 2.], dtype=torch.float64)
>>> torch.ones(2) * np.float64(2)
tensor([2., 2.])

# bools are no numbers
>>> torch.tensor([True]) - torch.tensor([True])
Traceback (most recent call last):
RuntimeError: Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.
>>> -torch.tensor([True])
Traceback (most recent call last):
RuntimeError: Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.
>>> +torch.tensor([True])
Traceback (most recent call last):
RuntimeError: The `+` operator, on a bool tensor is not supported.
>>> torch.tensor([True]) + torch.tensor([True])
tensor([True])

# operations that a dtype does not have
>>> torch.tensor([1j]) < 1
Traceback (most recent call last):
NotImplementedError: ...
>>> torch.tensor([1.5]) & 1
Traceback (most recent call last):
NotImplementedError: ...
>>> torch.tensor([True]) // torch.tensor([True])
Traceback (most recent call last):
NotImplementedError: ...
>>> ~torch.tensor([1.0])
Traceback (most recent call last):
TypeError: ~ (operator.invert) is only implemented on integer and Boolean-type tensors
>>> torch.sign(torch.tensor([1j]))
Traceback (most recent call last):
NotImplementedError: Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.

# integer division by zero is an error, float division is not
>>> torch.tensor([1]) // 0
Traceback (most recent call last):
RuntimeError: ZeroDivisionError
>>> torch.tensor([1]) % 0
Traceback (most recent call last):
RuntimeError: ZeroDivisionError
>>> torch.tensor([1.0, -1.0, 0.0]) / 0
tensor([inf, -inf, nan])
>>> torch.tensor([1, -1]) / 0
tensor([inf, -inf])

# floor division and remainder go with the divisor
>>> torch.tensor([7.5, -7.5]) // 2, torch.tensor([7.5, -7.5]) % 2, torch.tensor([7, -7]) % -3
(tensor([ 3., -4.]), tensor([1.5000, 0.5000]), tensor([-2, -1]))

# integer powers
>>> torch.tensor([2, 3]) ** 2, torch.tensor([2, 3]) ** 0.5
(tensor([4, 9]), tensor([1.4142, 1.7321]))
>>> torch.tensor([2, 3]) ** -1
Traceback (most recent call last):
RuntimeError: Integers to negative integer powers are not allowed.
>>> torch.tensor([2, 1, -1]) ** torch.tensor([-1, -1, -3])
tensor([ 0,  1, -1])

# conventions at kinks and ties
>>> x = torch.zeros(3, requires_grad=True)
>>> torch.autograd.grad((x.abs() + x.relu() + x.sign()).sum(), x)
(tensor([0., 0., 0.]),)
>>> a, b = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([2.0, 2.0], requires_grad=True)
>>> torch.autograd.grad(torch.maximum(a, b).sum(), (a, b))
(tensor([0.0000, 0.5000]), tensor([1.0000, 0.5000]))
>>> x = torch.tensor([0.0, 1.0, 2.0, 3.0], requires_grad=True)
>>> torch.autograd.grad(x.clamp(1, 2).sum(), x)
(tensor([0., 1., 1., 0.]),)
>>> x = torch.zeros(2, requires_grad=True)
>>> torch.autograd.grad((x ** torch.tensor([0.0, 2.0])).sum(), x)
(tensor([0., 0.]),)

# clamp
>>> torch.clamp(torch.arange(5), 1, 3), torch.arange(5).clamp(min=1.5), torch.tensor([nan]).clamp(0, 1)
(tensor([1, 1, 2, 3, 3]), tensor([1.5000, 1.5000, 2.0000, 3.0000, 4.0000]), tensor([nan]))
>>> torch.clamp(torch.ones(2), min=2, max=1)
tensor([1., 1.])
>>> torch.clamp(torch.ones(2))
Traceback (most recent call last):
RuntimeError: torch.clamp: At least one of 'min' or 'max' must not be None

# where
>>> torch.where(torch.tensor([True, False]), 1.0, 0)
tensor([1., 0.])
>>> torch.where(torch.tensor([0, 2]))
(tensor([1]),)
>>> torch.where(torch.tensor([1, 0]), 1.0, 0.0)
Traceback (most recent call last):
RuntimeError: where expected condition to be a boolean tensor, but got a tensor with dtype Long

# rounding is to even
>>> torch.round(torch.tensor([0.5, 1.5, -0.5, 2.5]))
tensor([0., 2., -0., 2.])
>>> torch.round(torch.tensor([0.125, 1.375]), decimals=2)
tensor([0.1200, 1.3800])
>>> torch.tensor([1.7, -1.7]).trunc(), torch.tensor([1.7, -1.7]).floor(), torch.tensor([3]).floor()
(tensor([ 1., -1.]), tensor([ 1., -2.]), tensor([3]))

# add and sub with alpha
>>> torch.add(torch.ones(2), torch.ones(2), alpha=3), torch.sub(torch.ones(2), 1, alpha=0.5)
(tensor([4., 4.]), tensor([0.5000, 0.5000]))
>>> torch.add(torch.tensor([1]), torch.tensor([1]), alpha=0.5)
Traceback (most recent call last):
RuntimeError: For integral input tensors, argument alpha must not be a floating point number.

# closeness
>>> torch.allclose(torch.ones(2), torch.ones(2) + 1e-7), torch.equal(torch.ones(2), torch.ones(3))
(True, False)
>>> torch.isclose(torch.tensor([1.0, nan, inf]), torch.tensor([1.0, nan, inf]), equal_nan=True)
tensor([True, True, True])

# complex numbers
>>> z = torch.tensor([3 + 4j], requires_grad=True)
>>> torch.autograd.grad(z.abs().sum(), z)
(tensor([0.6000+0.8000j]),)
>>> torch.imag(torch.ones(1))
Traceback (most recent call last):
RuntimeError: imag is not implemented for tensors with non-complex dtypes.
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
