"""Reading and writing by index."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# basic indices
>>> x = torch.arange(6).reshape(2, 3)
>>> x[1], x[-1, 0], x[:, 1:], x[..., 0], x[None].shape, x[:, ::2], x[1, 2]
(tensor([3, 4, 5]), tensor(3), tensor([[1, 2],
        [4, 5]]), tensor([0, 3]), torch.Size([1, 2, 3]), tensor([[0, 2],
        [3, 5]]), tensor(5))
>>> x[2]
Traceback (most recent call last):
IndexError: index 2 is out of bounds for dimension 0 with size 2
>>> x[0, 3]
Traceback (most recent call last):
IndexError: index 3 is out of bounds for dimension 1 with size 3
>>> x[0, 0, 0]
Traceback (most recent call last):
IndexError: too many indices for tensor of dimension 2
>>> x[::-1]
Traceback (most recent call last):
ValueError: step must be greater than zero
>>> x[1.0]
Traceback (most recent call last):
IndexError: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got float)
>>> torch.tensor(1)[0]
Traceback (most recent call last):
IndexError: invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number

# tensors and lists of ints
>>> x = torch.arange(6).reshape(2, 3)
>>> x[[1, 0]], x[:, torch.tensor([0, -1])], x[torch.tensor([0, 1]), torch.tensor([1, 2])]
(tensor([[3, 4, 5],
        [0, 1, 2]]), tensor([[0, 2],
        [3, 5]]), tensor([1, 5]))
>>> x[torch.tensor([[0], [1]]), torch.tensor([0, 2])]
tensor([[0, 2],
        [3, 5]])
>>> x[torch.tensor([0, 2])]
Traceback (most recent call last):
IndexError: index 2 is out of bounds for dimension 0 with size 2
>>> x[torch.tensor([0.5])]
Traceback (most recent call last):
IndexError: tensors used as indices must be long, int, byte or bool tensors
>>> x[torch.tensor([0, 1]), torch.tensor([0, 1, 2])]
Traceback (most recent call last):
IndexError: shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]

# apart, index tensors put their dims first
>>> x = torch.zeros(2, 3, 4)
>>> x[[0, 1], :, [0, 1]].shape, x[:, [0, 1], [0, 1]].shape, x[[0], None, [1]].shape
(torch.Size([2, 3]), torch.Size([2, 2]), torch.Size([1, 1, 4]))
>>> torch.zeros(2, 3, 4, 5)[:, [0, 1, 2], :, [0, 1, 2]].shape, torch.zeros(2, 3, 4, 5)[:, [0, 1], [0, 1]].shape
(torch.Size([3, 2, 4]), torch.Size([2, 2, 5]))

# masks
>>> x = torch.arange(4)
>>> x[x > 1], x[torch.tensor([True, False, False, True])], x[True].shape, x[False].shape
(tensor([2, 3]), tensor([0, 3]), torch.Size([1, 4]), torch.Size([0, 4]))
>>> x[torch.tensor([True])]
Traceback (most recent call last):
IndexError: The shape of the mask [1] at index 0 does not match the shape of the indexed tensor [4] at index 0

# basic indices look at the same memory, others copy
>>> x = torch.zeros(3)
>>> x[0].fill_(1)
tensor(1.)
>>> x[1:].mul_(0).add_(2)
tensor([2., 2.])
>>> x[[0]].fill_(9)
tensor([9.])
>>> x
tensor([1., 2., 2.])

# assignment
>>> x = torch.zeros(2, 3)
>>> x[0] = 1
>>> x[:, 1] = torch.tensor([5.0, 6.0])
>>> x[1, [0, 2]] = 7
>>> x[x == 1] = -1
>>> x
tensor([[-1.,  5., -1.],
        [ 7.,  6.,  7.]])
>>> x[0] = torch.ones(4)
Traceback (most recent call last):
RuntimeError: The expanded size of the tensor (3) must match the existing size (4) at non-singleton dimension 0.  Target sizes: [3].  Tensor sizes: [4]
>>> x[[0, 1]] = torch.ones(2, 4)
Traceback (most recent call last):
RuntimeError: shape mismatch: value tensor of shape [2, 4] cannot be broadcast to indexing result of shape [2, 3]
>>> x[0] = 1j
Traceback (most recent call last):
RuntimeError: value cannot be converted to type float...
>>> x[0] = None
Traceback (most recent call last):
TypeError: can't assign a NoneType to a torch.FloatTensor
>>> del x[0]
Traceback (most recent call last):
TypeError: Tensor does not support deleting items

# gradients of reading add up where positions repeat
>>> x = torch.arange(3.0, requires_grad=True)
>>> torch.autograd.grad(x[[0, 0, 2]].sum() + x[1:].sum() + x[-1], x)
(tensor([2., 1., 3.]),)
>>> x[0], x[1:], x[[0]]
(tensor(0., grad_fn=<SelectBackward0>), tensor([1., 2.], grad_fn=<SliceBackward0>), tensor([0.], grad_fn=<IndexBackward0>))

# gradients of writing
>>> a = torch.arange(3.0, requires_grad=True)
>>> v = torch.tensor(2.0, requires_grad=True)
>>> x = a * 1
>>> x[0] = v * 3
>>> x[x > 1.5] *= 10
>>> x
tensor([60.,  1., 20.], grad_fn=<IndexPutBackward0>)
>>> torch.autograd.grad(x.sum(), (a, v))
(tensor([ 0.,  1., 10.]), tensor(30.))

# no index writes into a leaf that requires grad
>>> a = torch.ones(2, requires_grad=True)
>>> a[0] = 1
Traceback (most recent call last):
RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.
>>> a[[0]] = 1
Traceback (most recent call last):
RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
>>> a
tensor([1., 1.], requires_grad=True)

# gather and its kin
>>> x = torch.arange(6).reshape(2, 3)
>>> x.gather(1, torch.tensor([[0, 2], [1, 1]])), x.index_select(1, torch.tensor([2, 0])), x.take(torch.tensor([5, -1]))
(tensor([[0, 2],
        [4, 4]]), tensor([[2, 0],
        [5, 3]]), tensor([5, 5]))
>>> x.masked_select(x > 3), x.masked_fill(x > 3, 0), torch.nonzero(x > 3), (x > 3).nonzero(as_tuple=True)
(tensor([4, 5]), tensor([[0, 1, 2],
        [3, 0, 0]]), tensor([[1, 1],
        [1, 2]]), (tensor([1, 1]), tensor([1, 2])))
>>> x.gather(1, torch.tensor([[3]]))
Traceback (most recent call last):
RuntimeError: index 3 is out of bounds for dimension 1 with size 3
>>> x.index_select(0, torch.tensor([[0]]))
Traceback (most recent call last):
IndexError: index_select(): Index is supposed to be a vector
>>> x.masked_fill(x, 0)
Traceback (most recent call last):
RuntimeError: masked_fill_ only supports boolean masks, but got mask with dtype ...
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
