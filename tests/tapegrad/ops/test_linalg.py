"""Matrix products."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# every pair of ranks
>>> v, m, b = torch.ones(3), torch.ones(3, 3), torch.ones(2, 3, 3)
>>> [(x @ y).shape for x in (v, m, b) for y in (v, m, b)]
[torch.Size([]), torch.Size([3]), torch.Size([2, 3]), torch.Size([3]), torch.Size([3, 3]), torch.Size([2, 3, 3]), torch.Size([2, 3]), torch.Size([2, 3, 3]), torch.Size([2, 3, 3])]
>>> (torch.ones(4, 1, 2, 3) @ torch.ones(5, 3, 2)).shape, (torch.ones(2, 0) @ torch.ones(0, 3))
(torch.Size([4, 5, 2, 2]), tensor([[0., 0., 0.],
        [0., 0., 0.]]))

# products and their gradients
>>> a = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
>>> b = torch.tensor([[5.0], [6.0]], requires_grad=True)
>>> a @ b, a[0] @ a, a @ a[0], a[0] @ a[0]
(tensor([[17.],
        [39.]], grad_fn=<MmBackward0>), tensor([ 7., 10.], grad_fn=<SqueezeBackward4>), tensor([ 5., 11.], grad_fn=<MvBackward0>), tensor(5., grad_fn=<DotBackward0>))
>>> torch.autograd.grad((a @ b).sum(), (a, b))
(tensor([[5., 6.],
        [5., 6.]]), tensor([[4.],
        [6.]]))
>>> torch.dot(a[0], a[1]), torch.mv(a, b[:, 0]), torch.mm(a, b), torch.bmm(a[None], b[None])
(tensor(11., grad_fn=<DotBackward0>), tensor([17., 39.], grad_fn=<MvBackward0>), tensor([[17.],
        [39.]], grad_fn=<MmBackward0>), tensor([[[17.],
         [39.]]], grad_fn=<BmmBackward0>))

# what does not fit
>>> torch.ones(2, 3) @ torch.ones(2, 3)
Traceback (most recent call last):
RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)
>>> torch.ones(2, 3) @ torch.ones(2)
Traceback (most recent call last):
RuntimeError: size mismatch, got input (2), mat (2x3), vec (2)
>>> torch.ones(2) @ torch.ones(3)
Traceback (most recent call last):
RuntimeError: inconsistent tensor size, expected tensor [2] and src [3] to have the same number of elements, but got 2 and 3 elements respectively
>>> torch.ones(5, 2, 3) @ torch.ones(4, 3, 2)
Traceback (most recent call last):
RuntimeError: The size of tensor a (5) must match the size of tensor b (4) at non-singleton dimension 0
>>> torch.ones(2, 3) @ torch.ones(3, 2, dtype=torch.float64)
Traceback (most recent call last):
RuntimeError: expected m1 and m2 to have the same dtype, but got: ...
>>> torch.ones(()) @ torch.ones(2)
Traceback (most recent call last):
RuntimeError: both arguments to matmul need to be at least 1D, but they are 0D and 1D
>>> torch.ones(2) @ 2
Traceback (most recent call last):
TypeError: unsupported operand type(s) for @: 'Tensor' and 'int'
>>> torch.mm(torch.ones(2), torch.ones(2))
Traceback (most recent call last):
RuntimeError: ...
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
