"""Tensors made from data, numbers and at random."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# data gets the dtype of its values
>>> torch.tensor([1, 2])
tensor([1, 2])
>>> torch.tensor([1, 2.5])
tensor([1.0000, 2.5000])
>>> torch.tensor([True, False])
tensor([ True, False])
>>> torch.tensor([1j])
tensor([0.+1.j])
>>> torch.tensor([])
tensor([])
>>> torch.tensor([torch.tensor(1), 2.5])
tensor([1.0000, 2.5000])

# NumPy data keeps its dtype and is copied
>>> a = np.arange(3.0)
>>> t = torch.tensor(a)
>>> a[0] = 9
>>> t
tensor([0., 1., 2.], dtype=torch.float64)
>>> torch.tensor(np.float32(2.5))
tensor(2.5000)

# from_numpy shares memory in both directions
>>> a = np.arange(3.0)
>>> t = torch.from_numpy(a)
>>> a[0] = 9
>>> t[1] = 7
>>> t, a.tolist()
(tensor([9., 7., 2.], dtype=torch.float64), [9.0, 7.0, 2.0])

# what is no tensor is refused
>>> torch.tensor([[1, 2], [3]])
Traceback (most recent call last):
ValueError: expected sequence of length 2 at dim 1 (got 1)
>>> torch.tensor("a")
Traceback (most recent call last):
TypeError: new(): invalid data type 'str'
>>> torch.tensor(["a"])
Traceback (most recent call last):
ValueError: too many dimensions 'str'
>>> torch.tensor(None)
Traceback (most recent call last):
RuntimeError: Could not infer dtype of NoneType
>>> torch.tensor(2**63)
Traceback (most recent call last):
ValueError: Overflow when unpacking long long
>>> torch.tensor(300, dtype=torch.uint8)
Traceback (most recent call last):
RuntimeError: value cannot be converted to type uint8 without overflow
>>> torch.from_numpy([1])
Traceback (most recent call last):
TypeError: expected np.ndarray (got list)

# only floating and complex dtypes require grad
>>> torch.tensor([1.0], requires_grad=True)
tensor([1.], requires_grad=True)
>>> torch.tensor([1], requires_grad=True)
Traceback (most recent call last):
RuntimeError: Only Tensors of floating point and complex dtype can require gradients
>>> torch.zeros(2, dtype=torch.bool, requires_grad=True)
Traceback (most recent call last):
RuntimeError: Only Tensors of floating point and complex dtype can require gradients

# shapes come as numbers, tuples, or by name
>>> torch.zeros(2, 1)
tensor([[0.],
        [0.]])
>>> torch.ones((2, 1))
tensor([[1.],
        [1.]])
>>> torch.zeros(size=(2,))
tensor([0., 0.])
>>> torch.zeros(())
tensor(0.)
>>> torch.zeros(2.5)
Traceback (most recent call last):
TypeError: zeros(): argument 'size' ...
>>> torch.full(2, 1.0)
Traceback (most recent call last):
TypeError: full(): argument 'size' (position 1) must be tuple of ints, not int

# full takes the dtype of the value
>>> torch.full((2,), 3)
tensor([3, 3])
>>> torch.full((2,), 2.5)
tensor([2.5000, 2.5000])
>>> torch.full((2,), True)
tensor([True, True])
>>> torch.full((2,), 3, dtype=torch.float64)
tensor([3., 3.], dtype=torch.float64)

# arange is of ints only if all its arguments are
>>> torch.arange(3)
tensor([0, 1, 2])
>>> torch.arange(1, 2.5, 0.5)
tensor([1.0000, 1.5000, 2.0000])
>>> torch.arange(5, 1, -2)
tensor([5, 3])
>>> torch.arange(3, 1)
Traceback (most recent call last):
RuntimeError: upper bound and lower bound inconsistent with step sign
>>> torch.arange(1, 3, 0)
Traceback (most recent call last):
RuntimeError: step must be nonzero

# linspace and eye
>>> torch.linspace(0, 1, 5)
tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
>>> torch.linspace(0, 10, 4, dtype=torch.int64)
tensor([ 0,  3,  6, 10])
>>> torch.eye(2, 3)
tensor([[1., 0., 0.],
        [0., 1., 0.]])

# likeness is of shape and dtype, not of requires_grad
>>> x = torch.ones(2, dtype=torch.float64, requires_grad=True)
>>> torch.zeros_like(x)
tensor([0., 0.], dtype=torch.float64)
>>> torch.full_like(x, 3, dtype=torch.int64)
tensor([3, 3])

# unknown devices are refused
>>> torch.zeros(2, device="nowhere")
Traceback (most recent call last):
RuntimeError: Expected one of cpu, cuda, ...

# the same seed draws the same numbers
>>> _ = torch.manual_seed(3)
>>> a = torch.rand(3), torch.randn(2), torch.randint(9, (4,)), torch.randperm(5)
>>> _ = torch.manual_seed(3)
>>> b = torch.rand(3), torch.randn(2), torch.randint(9, (4,)), torch.randperm(5)
>>> [torch.equal(x, y) for x, y in zip(a, b)]
[True, True, True, True]
>>> torch.rand(1000).max() < 1, torch.rand(1000).min() >= 0
(tensor(True), tensor(True))
>>> torch.randint(5, 5, (2,))
Traceback (most recent call last):
RuntimeError: random_ expects 'from' to be less than 'to', but got from=5 >= to=5
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
