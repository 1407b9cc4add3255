"""Views by stride, by dtype and in place, and where they lie in memory."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# a diagonal is a view, to the right or below
>>> x = torch.zeros(3, 4)
>>> x.diagonal()[:] = torch.tensor([1.0, 2.0, 3.0])
>>> x.diagonal(1).fill_(5)
tensor([5., 5., 5.])
>>> x.diagonal(-1, dim1=0, dim2=1).shape, x.stride(), x.diagonal().stride()
(torch.Size([2]), (4, 1), (5,))
>>> x
tensor([[1., 5., 0., 0.],
        [0., 2., 5., 0.],
        [0., 0., 3., 5.]])
>>> torch.zeros(2, 3, 4).diagonal(dim1=0, dim2=2).shape
torch.Size([3, 2])
>>> x.diagonal(0, 1, 1)
Traceback (most recent call last):
RuntimeError: diagonal dimensions cannot be identical 1, 1
>>> x.diagonal(0, 0, 2)
Traceback (most recent call last):
IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)

# windows overlap, and their gradients add up
>>> x = torch.arange(5.0, requires_grad=True)
>>> y = x.unfold(0, 3, 1)
>>> y, y.stride()
(tensor([[0., 1., 2.],
        [1., 2., 3.],
        [2., 3., 4.]], grad_fn=<UnfoldBackward0>), (1, 1))
>>> y.sum().backward()
>>> x.grad
tensor([1., 2., 3., 2., 1.])
>>> x.unfold(0, 6, 1)
Traceback (most recent call last):
RuntimeError: maximum size for tensor at dimension 0 is 5 but size is 6
>>> x.unfold(0, 2, 0)
Traceback (most recent call last):
RuntimeError: step is 0 but must be > 0
>>> x.unfold(0, -1, 1)
Traceback (most recent call last):
RuntimeError: size is -1 but must be >= 0

# strides of one's own, within the storage
>>> x = torch.arange(6.0)
>>> x.as_strided((2, 2), (1, 2)), x.as_strided((2,), (2,), 1)
(tensor([[0., 2.],
        [1., 3.]]), tensor([1., 3.]))
>>> y = x.view(2, 3)[1].as_strided((2,), (3,), 0)
>>> y, y.storage_offset()
(tensor([0., 3.]), 0)
>>> y[1] = 9
>>> x
tensor([0., 1., 2., 9., 4., 5.])
>>> x.as_strided((2, 2), (1, 5))
Traceback (most recent call last):
RuntimeError: setStorage: sizes [2, 2], strides [1, 5], storage offset 0, and itemsize 4 requiring a storage size of 28 are out of bounds for storage of size 24
>>> x.as_strided((2,), (-1,))
Traceback (most recent call last):
RuntimeError: as_strided: Negative strides are not supported at the moment, got strides: [-1]
>>> x.as_strided((2,), (1, 1))
Traceback (most recent call last):
RuntimeError: mismatch in length of strides and shape
>>> x.as_strided((2,), (1,), -1)
Traceback (most recent call last):
RuntimeError: Tensor: invalid storage offset -1

# of a part, the gradient is that of its own elements
>>> x = torch.arange(6.0, requires_grad=True)
>>> x.view(2, 3)[1].as_strided((2,), (3,), 0).sum().backward()
>>> x.grad
tensor([0., 0., 0., 1., 0., 0.])

# complex numbers as pairs
>>> z = torch.tensor([1 + 2j, 3 - 4j])
>>> torch.view_as_real(z), torch.view_as_complex(torch.ones(2, 2))
(tensor([[ 1.,  2.],
        [ 3., -4.]]), tensor([1.+1.j, 1.+1.j]))
>>> z.imag.zero_()
tensor([0., 0.])
>>> z.real = torch.tensor([7.0, 8.0])
>>> z
tensor([7.+0.j, 8.+0.j])
>>> torch.view_as_real(torch.ones(2))
Traceback (most recent call last):
RuntimeError: view_as_real is only supported for complex tensors
>>> torch.view_as_complex(torch.ones(2, 3))
Traceback (most recent call last):
RuntimeError: Tensor must have a last dimension of size 2
>>> torch.view_as_complex(torch.ones(2, 4)[:, ::2])
Traceback (most recent call last):
RuntimeError: Tensor must have a last dimension with stride 1
>>> torch.view_as_complex(torch.ones(2, dtype=torch.int64))
Traceback (most recent call last):
RuntimeError: view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: Long

# the same bytes as another dtype
>>> x = torch.tensor([1.0, -2.0])
>>> x.view(torch.int32), x.view(torch.int16), x.view(torch.float64).shape
(tensor([ 1065353216, -1073741824], dtype=torch.int32), tensor([     0,  16256,      0, -16384], dtype=torch.int16), torch.Size([1]))
>>> x.view(torch.int32)[0] = 0
>>> x
tensor([ 0., -2.])
>>> torch.ones(3).view(torch.float64)
Traceback (most recent call last):
RuntimeError: self.size(-1) must be divisible by 2 to view Float as Double (different element sizes), but got 3
>>> torch.ones(2, 4).T.view(torch.float64)
Traceback (most recent call last):
RuntimeError: self.stride(-1) must be 1 to view Float as Double (different element sizes), but got 4
>>> torch.tensor(1.0).view(torch.int16)
Traceback (most recent call last):
RuntimeError: self.dim() cannot be 0 to view Float as Short (different element sizes)

# another look in place
>>> x = torch.arange(6.0).view(2, 3).clone()
>>> y = x.t_()
>>> y is x, x.shape, x.unsqueeze_(0).shape, x.squeeze_().shape, x.transpose_(0, 1).shape
(True, torch.Size([3, 2]), torch.Size([1, 3, 2]), torch.Size([3, 2]), torch.Size([2, 3]))
>>> x = torch.ones(2, 3, requires_grad=True)
>>> x.t_()
Traceback (most recent call last):
RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.

# where it lies
>>> x = torch.zeros(4, 6)
>>> x.stride(), x.stride(0), x[1, 2:].storage_offset(), x.untyped_storage().nbytes(), x[1].data_ptr() - x.data_ptr()
((6, 1), 6, 8, 96, 24)
>>> x.is_set_to(x.view(4, 6)), x.is_set_to(x.T)
(True, False)
>>> x[None].stride(), x[:, None].stride(), x.unsqueeze(-1).stride(), x[:1].expand(2, 1, 6).stride()
((24, 6, 1), (6, 6, 1), (6, 1, 1), (0, 6, 1))
>>> x.stride(2)
Traceback (most recent call last):
IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
