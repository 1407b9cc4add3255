"""Shapes, views, joining and splitting."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# reshape and view
>>> x = torch.arange(6)
>>> x.reshape(2, 3), x.view(-1, 2), x.reshape((3, -1)).shape, x.view(size=(6, 1)).shape
(tensor([[0, 1, 2],
        [3, 4, 5]]), tensor([[0, 1],
        [2, 3],
        [4, 5]]), torch.Size([3, 2]), torch.Size([6, 1]))
>>> x.reshape(4, 2)
Traceback (most recent call last):
RuntimeError: shape '[4, 2]' is invalid for input of size 6
>>> x.reshape(-1, -1)
Traceback (most recent call last):
RuntimeError: only one dimension can be inferred
>>> x.reshape(-1, 5)
Traceback (most recent call last):
RuntimeError: shape '[-1, 5]' is invalid for input of size 6
>>> x.reshape()
Traceback (most recent call last):
TypeError: reshape() missing 1 required positional arguments: "shape"

# a view shares memory, and is refused where only a copy can be had
>>> x = torch.zeros(2, 3)
>>> x.view(3, 2)[0, 0] = 1
>>> x.T.reshape(6)[1] = 2
>>> x.reshape(6)[5] = 3
>>> x
tensor([[1., 0., 0.],
        [0., 0., 3.]])
>>> x.T.view(6)
Traceback (most recent call last):
RuntimeError: view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.
>>> x[:, :2].view(4)
Traceback (most recent call last):
RuntimeError: view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.
>>> x.T[1:].view(2, 2, 1).shape
torch.Size([2, 2, 1])

# permutations
>>> x = torch.zeros(2, 3, 4)
>>> x.permute(2, 0, 1).shape, x.transpose(0, -1).shape, x.movedim(0, 2).shape, x.mT.shape, x.swapaxes(0, 1).shape
(torch.Size([4, 2, 3]), torch.Size([4, 3, 2]), torch.Size([3, 4, 2]), torch.Size([2, 4, 3]), torch.Size([3, 2, 4]))
>>> x.permute(0, 1)
Traceback (most recent call last):
RuntimeError: permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = 3 is not equal to len(dims) = 2
>>> x.permute(0, 0, 1)
Traceback (most recent call last):
RuntimeError: permute(): duplicate dims are not allowed.
>>> x.transpose(0, 3)
Traceback (most recent call last):
IndexError: Dimension out of range (expected to be in range of [-3, 2], but got 3)
>>> x.t()
Traceback (most recent call last):
RuntimeError: t() expects a tensor with <= 2 dimensions, but self is 3D

# dims of length one
>>> x = torch.zeros(2, 1, 3)
>>> x.squeeze().shape, x.squeeze(1).shape, x.squeeze(0).shape, x.unsqueeze(-1).shape, x.squeeze((0, 1)).shape
(torch.Size([2, 3]), torch.Size([2, 3]), torch.Size([2, 1, 3]), torch.Size([2, 1, 3, 1]), torch.Size([2, 3]))
>>> x.unsqueeze(5)
Traceback (most recent call last):
IndexError: Dimension out of range (expected to be in range of [-4, 3], but got 5)

# expand repeats without memory
>>> x = torch.tensor([[1], [2]])
>>> x.expand(2, 3), x.expand(-1, 2), x.expand(2, 2, 1).shape
(tensor([[1, 1, 1],
        [2, 2, 2]]), tensor([[1, 1],
        [2, 2]]), torch.Size([2, 2, 1]))
>>> x.expand(3, 3)
Traceback (most recent call last):
RuntimeError: The expanded size of the tensor (3) must match the existing size (2) at non-singleton dimension 0.  Target sizes: [3, 3].  Tensor sizes: [2, 1]
>>> x.expand(2)
Traceback (most recent call last):
RuntimeError: expand(torch.LongTensor{[2, 1]}, size=[2]): the number of sizes provided (1) must be greater or equal to the number of dimensions in the tensor (2)
>>> y = x.expand(2, 3)
>>> y += 1
Traceback (most recent call last):
RuntimeError: unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.
>>> y[:, 0] = 5
>>> x
tensor([[5],
        [5]])

# joining
>>> torch.cat([torch.ones(1, 2), torch.zeros(2, 2)]), torch.cat([torch.tensor([1]), torch.tensor([2.5])])
(tensor([[1., 1.],
        [0., 0.],
        [0., 0.]]), tensor([1.0000, 2.5000]))
>>> torch.stack([torch.ones(2), torch.zeros(2)], dim=1)
tensor([[1., 0.],
        [1., 0.]])
>>> torch.cat([torch.ones(1, 2), torch.ones(1, 3)])
Traceback (most recent call last):
RuntimeError: Sizes of tensors must match except in dimension 0. Expected size 2 but got size 3 for tensor number 1 in the list.
>>> torch.cat([])
Traceback (most recent call last):
ValueError: torch.cat(): expected a non-empty list of Tensors
>>> torch.cat([torch.ones(1), 2])
Traceback (most recent call last):
TypeError: expected Tensor as element 1 in argument 0, but got int
>>> torch.stack([torch.ones(1), torch.ones(2)])
Traceback (most recent call last):
RuntimeError: stack expects each tensor to be equal size, but got [1] at entry 0 and [2] at entry 1

# parts
>>> x = torch.arange(5)
>>> x.split(2), x.split([1, 4]), x.chunk(2), x.narrow(0, 1, 2), x.select(0, -1)
((tensor([0, 1]), tensor([2, 3]), tensor([4])), (tensor([0]), tensor([1, 2, 3, 4])), (tensor([0, 1, 2]), tensor([3, 4])), tensor([1, 2]), tensor(4))
>>> torch.arange(4).reshape(2, 2).unbind(1)
(tensor([0, 2]), tensor([1, 3]))
>>> x.split([1, 1])
Traceback (most recent call last):
RuntimeError: split_with_sizes expects split_sizes to sum exactly to 5 (input tensor's size at dimension 0), but got split_sizes=[1, 1]
>>> x.narrow(0, 4, 2)
Traceback (most recent call last):
RuntimeError: start (4) + length (2) exceeds dimension size (5).
>>> x.narrow(0, 5, 1)
Traceback (most recent call last):
RuntimeError: start (5) + length (1) exceeds dimension size (5).
>>> x.narrow(0, 5, 0), x.narrow(0, -2, 2)
(tensor([], dtype=torch.int64), tensor([3, 4]))
>>> x.select(0, 5)
Traceback (most recent call last):
IndexError: select(): index 5 out of range for tensor of size [5] at dimension 0

# the names of what made it
>>> x = torch.ones(2, 3, requires_grad=True)
>>> for y in (x.view(6), x.reshape(6), x.T.reshape(6), x.permute(1, 0), x.t(), x.expand(1, 2, 3), x.flip(0)): print(type(y.grad_fn).__name__)
ViewBackward0
ViewBackward0
UnsafeViewBackward0
PermuteBackward0
TBackward0
ExpandBackward0
FlipBackward0
>>> for y in (x.squeeze(), x.unsqueeze(0), x.split(1)[0], x.unbind()[0], x.narrow(0, 0, 1), torch.cat([x]), torch.stack([x])): print(type(y.grad_fn).__name__)
SqueezeBackward0
UnsqueezeBackward0
SplitBackward0
UnbindBackward0
SliceBackward0
CatBackward0
StackBackward0

# flatten, flip
>>> x = torch.arange(4).reshape(2, 2, 1)
>>> x.flatten(), x.flatten(1).shape, x.flip(0).flatten(), x.ravel()
(tensor([0, 1, 2, 3]), torch.Size([2, 2]), tensor([2, 3, 0, 1]), tensor([0, 1, 2, 3]))
>>> x.flatten(1, 0)
Traceback (most recent call last):
RuntimeError: flatten() has invalid args: start_dim cannot come after end_dim
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
