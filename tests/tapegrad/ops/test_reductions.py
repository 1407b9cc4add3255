"""Reductions, scans and the softmax family."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# ints and bools are summed as int64
>>> torch.tensor([200, 100], dtype=torch.uint8).sum(), torch.tensor([True, True]).sum(), torch.tensor([2, 3]).prod()
(tensor(300), tensor(2), tensor(6))

# dims by either name, several at once
>>> x = torch.arange(6.0).reshape(2, 3)
>>> x.sum(0), x.sum(axis=1), x.sum((0, 1)), x.mean(dim=-1, keepdim=True)
(tensor([3., 5., 7.]), tensor([ 3., 12.]), tensor(15.), tensor([[1.],
        [4.]]))
>>> torch.sum(x, 1, keepdims=True)
tensor([[ 3.],
        [12.]])
>>> x.sum(2)
Traceback (most recent call last):
IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)
>>> x.sum((0, 0))
Traceback (most recent call last):
RuntimeError: dim 0 appears multiple times in the list of dims
>>> x.sum(0.5)
Traceback (most recent call last):
TypeError: ...

# the mean wants floating numbers
>>> torch.tensor([1, 2]).mean()
Traceback (most recent call last):
RuntimeError: mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: Long
>>> torch.tensor([1, 2]).mean(dtype=torch.float32)
tensor(1.5000)

# max and min over a dim give indices, and their gradient to the first
>>> x = torch.tensor([[1.0, 3.0, 3.0]], requires_grad=True)
>>> values, indices = x.max(dim=1)
>>> values, indices
(tensor([3.], grad_fn=<MaxBackward0>), tensor([1]))
>>> torch.autograd.grad(values.sum(), x)
(tensor([[0., 1., 0.]]),)
>>> torch.autograd.grad(x.max(), x)
(tensor([[0.0000, 0.5000, 0.5000]]),)
>>> x.amax(1), x.argmax(), x.argmax(dim=1, keepdim=True)
(tensor([3.], grad_fn=<AmaxBackward0>), tensor(1), tensor([[1]]))
>>> torch.max(torch.ones(2), torch.zeros(2))
tensor([1., 1.])

# nothing has a sum but no extremum
>>> e = torch.ones(0, 3)
>>> e.sum(), e.prod(), e.sum(0), e.mean(0)
(tensor(0.), tensor(1.), tensor([0., 0., 0.]), tensor([nan, nan, nan]))
>>> e.max()
Traceback (most recent call last):
RuntimeError: max(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.
>>> e.amax(0)
Traceback (most recent call last):
IndexError: amax(): Expected reduction dim 0 to have non-zero size.
>>> e.argmax()
Traceback (most recent call last):
IndexError: argmax(): Expected reduction dim to be specified for input.numel() == 0.

# names
>>> x = torch.ones(2, 2, requires_grad=True)
>>> x.sum(), x.sum(0), x.mean(), x.mean(0)
(tensor(4., grad_fn=<SumBackward0>), tensor([2., 2.], grad_fn=<SumBackward1>), tensor(1., grad_fn=<MeanBackward0>), tensor([1., 1.], grad_fn=<MeanBackward1>))
>>> x.prod(), x.var(), x.std(0), x.logsumexp(0)
(tensor(1., grad_fn=<ProdBackward0>), tensor(0., grad_fn=<VarBackward0>), tensor([0., 0.], grad_fn=<StdBackward0>), tensor([1.6931, 1.6931], grad_fn=<LogsumexpBackward0>))
>>> x.cumsum(0)
tensor([[1., 1.],
        [2., 2.]], grad_fn=<CumsumBackward0>)
>>> x.softmax(0)
tensor([[0.5000, 0.5000],
        [0.5000, 0.5000]], grad_fn=<SoftmaxBackward0>)

# var and std
>>> x = torch.tensor([1.0, 2.0, 4.0])
>>> x.var(), x.var(unbiased=False), x.std(correction=0), x.var(correction=2), x[:1].var()
(tensor(2.3333), tensor(1.5556), tensor(1.2472), tensor(4.6667), tensor(nan))
>>> torch.tensor([1, 2]).var()
Traceback (most recent call last):
RuntimeError: std and var only support floating point and complex dtypes
>>> x = torch.ones(3, requires_grad=True)
>>> torch.autograd.grad(x.std(), x)
(tensor([0., 0., 0.]),)

# prod has gradients at zeros
>>> x = torch.tensor([2.0, 0.0, 3.0], requires_grad=True)
>>> torch.autograd.grad(x.prod(), x)
(tensor([0., 6., 0.]),)
>>> x = torch.tensor([0.0, 0.0, 3.0], requires_grad=True)
>>> torch.autograd.grad(x.prod(), x)
(tensor([0., 0., 0.]),)

# any and all
>>> torch.tensor([0.0, nan]).any(), torch.tensor([1, 2]).all(), torch.ones(0).all(), torch.ones(2, 2).all(0)
(tensor(True), tensor(True), tensor(True), tensor([True, True]))
>>> torch.tensor([1, 2], dtype=torch.uint8).all()
tensor(1, dtype=torch.uint8)

# long 16-bit sums are accurate
>>> torch.full((4096,), 1.0, dtype=torch.bfloat16).sum(), torch.full((3000,), 1.0, dtype=torch.float16).mean()
(tensor(4096., dtype=torch.bfloat16), tensor(1., dtype=torch.float16))

# softmax and its kin are safe
>>> torch.tensor([1000.0, 0.0]).softmax(0), torch.tensor([-inf, 0.0]).log_softmax(0), torch.tensor([1000.0, 1000.0]).logsumexp(0)
(tensor([1., 0.]), tensor([-inf, 0.]), tensor(1000.6932))
>>> torch.tensor([1, 2]).softmax(0)
Traceback (most recent call last):
NotImplementedError: ...
>>> torch.tensor([1, 2]).softmax(0, dtype=torch.float64)
tensor([0.2689, 0.7311], dtype=torch.float64)
>>> torch.tensor([1, 2]).logsumexp(0)
tensor(2.3133)

# cumsum
>>> torch.tensor([1, 2, 3]).cumsum(0), torch.tensor([True, True]).cumsum(dim=0), torch.ones(2, 2).cumsum(axis=1)
(tensor([1, 3, 6]), tensor([1, 2]), tensor([[1., 2.],
        [1., 2.]]))
>>> x = torch.ones(3, requires_grad=True)
>>> torch.autograd.grad((x.cumsum(0) * torch.tensor([1.0, 10.0, 100.0])).sum(), x)
(tensor([111., 110., 100.]),)
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
