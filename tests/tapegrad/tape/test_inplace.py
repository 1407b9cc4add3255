"""In-place writes: memory, graph, and what is forbidden."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# in-place operators write to the same memory
>>> x = torch.ones(3)
>>> y = x
>>> x += 1
>>> x *= 3
>>> y is x, y
(True, tensor([6., 6., 6.]))

# shapes and dtypes of the result must be those of the tensor
>>> x = torch.ones(3)
>>> x += torch.ones(2, 3)
Traceback (most recent call last):
RuntimeError: output with shape [3] doesn't match the broadcast shape [2, 3]
>>> x += torch.ones(2)
Traceback (most recent call last):
RuntimeError: The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0
>>> x += 1j
Traceback (most recent call last):
RuntimeError: result type ...
>>> x
tensor([1., 1., 1.])

# a leaf that requires grad is not written to
>>> x = torch.ones(2, requires_grad=True)
>>> x += 1
Traceback (most recent call last):
RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
>>> x.view(2).add_(1)
Traceback (most recent call last):
RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.
>>> x.zero_()
Traceback (most recent call last):
RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
>>> x
tensor([1., 1.], requires_grad=True)
>>> with torch.no_grad(): x -= 0.5
>>> x, x.is_leaf
(tensor([0.5000, 0.5000], requires_grad=True), True)

# a leaf may be a view, and its views are then views of a leaf
>>> x = torch.zeros(4).view(2, 2).requires_grad_()
>>> y = x[0]
>>> y += 1
Traceback (most recent call last):
RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.
>>> torch.autograd.grad((y * 3).sum(), x)
(tensor([[3., 3.],
        [0., 0.]]),)

# a write makes a tensor part of the graph
>>> a = torch.ones(2, requires_grad=True)
>>> x = torch.zeros(2)
>>> x += a * 3
>>> x
tensor([3., 3.], grad_fn=<AddBackward0>)
>>> torch.autograd.grad(x.sum(), a)
(tensor([3., 3.]),)

# through a view into its base
>>> a = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
>>> x = a * 1
>>> y = x[1:3]
>>> y *= 10
>>> x, y
(tensor([ 1., 20., 30.,  4.], grad_fn=<CopySlices>), tensor([20., 30.], grad_fn=<AsStridedBackward0>))
>>> torch.autograd.grad((x * x).sum(), a, retain_graph=True)
(tensor([  2., 400., 600.,   8.]),)
>>> torch.autograd.grad(y.sum(), a)
(tensor([ 0., 10., 10.,  0.]),)

# through a base into its views
>>> a = torch.tensor([1.0, 2.0], requires_grad=True)
>>> x = a * 1
>>> y = x[0]
>>> x *= a
>>> y
tensor(1., grad_fn=<AsStridedBackward0>)
>>> torch.autograd.grad(y, a)
(tensor([2., 0.]),)

# what a backward needs must not be overwritten
>>> a = torch.ones(2, requires_grad=True)
>>> x = a * 2
>>> y = x * x
>>> x += 1
>>> y.sum().backward()
Traceback (most recent call last):
RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation: ...
>>> y = x.exp()
>>> y += 1
>>> y.sum().backward()
Traceback (most recent call last):
RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation: ...

# what it does not need may be
>>> a = torch.zeros(2, requires_grad=True)
>>> x = a * 2
>>> y = x.exp()
>>> x += 1
>>> y.sum().backward()
>>> a.grad
tensor([2., 2.])

# detach shares the count of writes, data has its own
>>> a = torch.ones(2, requires_grad=True)
>>> y = a * a
>>> a.data.mul_(10)
tensor([10., 10.])
>>> torch.autograd.grad(y.sum(), a, retain_graph=True)
(tensor([20., 20.]),)
>>> a.detach().mul_(10)
tensor([100., 100.])
>>> torch.autograd.grad(y.sum(), a)
Traceback (most recent call last):
RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation: ...

# data in Python's augmented assignment
>>> x = torch.ones(1, requires_grad=True)
>>> y = 2 * x
>>> x.data *= 100
>>> y.backward()
>>> x, x.grad
(tensor([100.], requires_grad=True), tensor([2.]))

# one of many elements in one place
>>> x = torch.zeros(2).expand(3, 2)
>>> x += 1
Traceback (most recent call last):
RuntimeError: unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.

# copy_ and fill_
>>> x = torch.zeros(2, dtype=torch.int64)
>>> x.copy_(torch.tensor([1.7, -1.7])), x.fill_(3), x.zero_()
(tensor([0, 0]), tensor([0, 0]), tensor([0, 0]))
>>> x.copy_(torch.ones(3))
Traceback (most recent call last):
RuntimeError: The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0
>>> x.fill_(torch.ones(2))
Traceback (most recent call last):
RuntimeError: fill_ only supports 0-dimension value tensor but got tensor with 1 dimensions.
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
