"""What a tensor is to Python: a number, a sequence, an array, a key."""

from __future__ import annotations

import pytest

import tapegrad

from ..examples import blocks, check

EXAMPLES = """
# a number out of a tensor
>>> torch.tensor(3).item(), torch.tensor([2.5]).item(), int(torch.tensor(2.7)), float(torch.tensor(2)), complex(torch.tensor(1j))
(3, 2.5, 2, 2.0, 1j)
>>> torch.ones(2).item()
Traceback (most recent call last):
RuntimeError: a Tensor with 2 elements cannot be converted to Scalar
>>> int(torch.ones(2))
Traceback (most recent call last):
ValueError: only one element tensors can be converted to Python scalars
>>> float(torch.tensor(1j))
Traceback (most recent call last):
RuntimeError: value cannot be converted to type double without overflow

# truth
>>> bool(torch.tensor(0.0)), bool(torch.tensor([[1]])), 1 if torch.tensor(2.0) > 1 else 0
(False, True, 1)
>>> bool(torch.ones(2))
Traceback (most recent call last):
RuntimeError: Boolean value of Tensor with more than one value is ambiguous
>>> bool(torch.ones(0))
Traceback (most recent call last):
RuntimeError: Boolean value of Tensor with no values is ambiguous

# an index
>>> [10, 20, 30][torch.tensor(1)], list(range(torch.tensor(2)))
(20, [0, 1])
>>> [10, 20, 30][torch.tensor(1.0)]
Traceback (most recent call last):
TypeError: only integer tensors of a single element can be converted to an index
>>> [10, 20, 30][torch.tensor([1, 2])]
Traceback (most recent call last):
TypeError: only integer tensors of a single element can be converted to an index

# a sequence
>>> x = torch.arange(6).reshape(2, 3)
>>> len(x), [row.tolist() for row in x], 5 in x, 7 in x, x.tolist()
(2, [[0, 1, 2], [3, 4, 5]], True, False, [[0, 1, 2], [3, 4, 5]])
>>> len(torch.tensor(1))
Traceback (most recent call last):
TypeError: len() of a 0-d tensor
>>> list(torch.tensor(1))
Traceback (most recent call last):
TypeError: iteration over a 0-d tensor
>>> "a" in x
Traceback (most recent call last):
RuntimeError: Tensor.__contains__ only supports Tensor or scalar, but you passed in a <class 'str'>.

# an array
>>> x = torch.zeros(2)
>>> n = x.numpy()
>>> n[0] = 1
>>> np.asarray(x)[1] = 2
>>> x, np.array(x, dtype=np.int64).tolist()
(tensor([1., 2.]), [1, 2])
>>> torch.ones(2, requires_grad=True).numpy()
Traceback (most recent call last):
RuntimeError: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.
>>> x = torch.ones(2, requires_grad=True)
>>> x.numpy(force=True)[0] = 5
>>> x
tensor([5., 1.], requires_grad=True)

# formats
>>> f"{torch.tensor(2.5):.3f} {torch.tensor(3):4d} {torch.ones(2)}"
'2.500    3 tensor([1., 1.])'
>>> f"{torch.ones(2):.2f}"
Traceback (most recent call last):
TypeError: unsupported format string passed to Tensor.__format__

# identity and hash
>>> x = torch.ones(2)
>>> {x: 1}[x], x in [x], (x == x).all()
(1, True, tensor(True))

# shapes
>>> x = torch.zeros(2, 3)
>>> x.shape, x.size(), x.size(-1), x.shape[0], x.shape == (2, 3), x.numel(), x.dim(), x.element_size(), x.stride()
(torch.Size([2, 3]), torch.Size([2, 3]), 3, 2, True, 6, 2, 4, (3, 1))
>>> x.size(2)
Traceback (most recent call last):
IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)

# places
>>> x = torch.ones(2)
>>> x.to("cpu") is x, str(x.device)
(True, 'cpu')
>>> x.to("nowhere")
Traceback (most recent call last):
RuntimeError: Expected one of cpu, cuda, ...

# copies
>>> import copy
>>> a = torch.ones(2, requires_grad=True)
>>> copy.deepcopy(a), copy.deepcopy(a) is a
(tensor([1., 1.], requires_grad=True), False)
>>> copy.deepcopy(a * 2)
Traceback (most recent call last):
RuntimeError: Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment....

# data
>>> a = torch.ones(2, requires_grad=True)
>>> a.data = torch.zeros(2)
>>> a
tensor([0., 0.], requires_grad=True)
>>> a.data = 3
Traceback (most recent call last):
TypeError: Variable data has to be a tensor, but got int
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
