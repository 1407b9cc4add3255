"""Repeated, turned, joined, split and written over as copies."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# repeated as a whole
>>> x = torch.tensor([[1, 2]])
>>> x.repeat(2, 2), x.tile(2), x.repeat(1, 1, 2).shape
(tensor([[1, 2, 1, 2],
        [1, 2, 1, 2]]), tensor([[1, 2, 1, 2]]), torch.Size([1, 1, 4]))
>>> x.repeat(2)
Traceback (most recent call last):
RuntimeError: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor
>>> x.repeat(-1, 1)
Traceback (most recent call last):
RuntimeError: Trying to create tensor with negative dimension -1: [-1, 2]

# each entry repeated
>>> x = torch.tensor([[1, 2], [3, 4]])
>>> x.repeat_interleave(2), x.repeat_interleave(2, dim=1), x.repeat_interleave(torch.tensor([0, 2]), 0)
(tensor([1, 1, 2, 2, 3, 3, 4, 4]), tensor([[1, 1, 2, 2],
        [3, 3, 4, 4]]), tensor([[3, 4],
        [3, 4]]))
>>> torch.repeat_interleave(torch.tensor([1, 0, 2]))
tensor([0, 2, 2])
>>> x.repeat_interleave(torch.tensor([1, 2, 3]), 0)
Traceback (most recent call last):
RuntimeError: repeats must have the same size as input along dim, but got repeats.size(0) = 3 and input.size(0) = 2
>>> x.repeat_interleave(-1)
Traceback (most recent call last):
RuntimeError: Repeats must be non-negative

# turned and moved on
>>> x = torch.arange(6).view(2, 3)
>>> x.roll(1), x.roll(1, 0), x.roll((1, -1), (0, 1)), x.rot90(), x.rot90(2), x.fliplr(), x.flipud()
(tensor([[5, 0, 1],
        [2, 3, 4]]), tensor([[3, 4, 5],
        [0, 1, 2]]), tensor([[4, 5, 3],
        [1, 2, 0]]), tensor([[2, 5],
        [1, 4],
        [0, 3]]), tensor([[5, 4, 3],
        [2, 1, 0]]), tensor([[2, 1, 0],
        [5, 4, 3]]), tensor([[3, 4, 5],
        [0, 1, 2]]))
>>> x.roll((1, 2))
Traceback (most recent call last):
RuntimeError: shifts and dimensions must align. shifts: 2, dims:0
>>> x.rot90(1, (0, 0))
Traceback (most recent call last):
RuntimeError: expected rotation dims to be different, but got dim0 = 0 and dim1 = 0

# on a diagonal
>>> torch.diag(torch.tensor([1, 2]), 1), torch.diag(torch.arange(4).view(2, 2)), torch.diag_embed(torch.ones(2, 1)).shape
(tensor([[0, 1, 0],
        [0, 0, 2],
        [0, 0, 0]]), tensor([0, 3]), torch.Size([2, 1, 1]))
>>> torch.diagflat(torch.tensor([[1, 2]])), torch.block_diag(torch.ones(1, 2), torch.tensor(3.0))
(tensor([[1, 0],
        [0, 2]]), tensor([[1., 1., 0.],
        [0., 0., 3.]]))
>>> torch.tril_indices(2, 3), torch.triu_indices(2, 3, 1)
(tensor([[0, 1, 1],
        [0, 0, 1]]), tensor([[0, 0, 1],
        [1, 2, 2]]))
>>> torch.diag(torch.ones(2, 2, 2))
Traceback (most recent call last):
RuntimeError: diag(): Supports 1D or 2D tensors. Got 3D

# joined by the direction they grow in
>>> x, y = torch.tensor([1, 2]), torch.tensor([3, 4])
>>> torch.hstack([x, y]), torch.vstack([x, y]), torch.dstack([x, y]), torch.column_stack([x, y])
(tensor([1, 2, 3, 4]), tensor([[1, 2],
        [3, 4]]), tensor([[[1, 3],
         [2, 4]]]), tensor([[1, 3],
        [2, 4]]))
>>> torch.meshgrid(x, y, indexing="xy")
(tensor([[1, 2],
        [1, 2]]), tensor([[3, 3],
        [4, 4]]))
>>> torch.hstack([])
Traceback (most recent call last):
RuntimeError: hstack expects a non-empty TensorList

# parts at positions
>>> x = torch.arange(7)
>>> x.tensor_split(3), x.tensor_split((1, 3)), x.hsplit([2]), x.split_with_sizes([3, 4])
((tensor([0, 1, 2]), tensor([3, 4]), tensor([5, 6])), (tensor([0]), tensor([1, 2]), tensor([3, 4, 5, 6])), (tensor([0, 1]), tensor([2, 3, 4, 5, 6])), (tensor([0, 1, 2]), tensor([3, 4, 5, 6])))
>>> x.tensor_split(0)
Traceback (most recent call last):
RuntimeError: number of sections must be larger than 0, got 0
>>> torch.vsplit(x, 2)
Traceback (most recent call last):
RuntimeError: torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with 1 dimensions!

# copies with another part
>>> x = torch.zeros(2, 3)
>>> x.select_scatter(torch.ones(3), 0, 1), x.slice_scatter(torch.ones(2, 1), 1, 2), x.diagonal_scatter(torch.ones(2))
(tensor([[0., 0., 0.],
        [1., 1., 1.]]), tensor([[0., 0., 1.],
        [0., 0., 1.]]), tensor([[1., 0., 0.],
        [0., 1., 0.]]))
>>> torch.diagonal_copy(x)._base is None, x.narrow_copy(1, 0, 2).shape
(True, torch.Size([2, 2]))
>>> x.select_scatter(torch.ones(2), 0, 1)
Traceback (most recent call last):
RuntimeError: expected src to have a size equal to the slice of self. src size = [2], slice size = [3]
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
