"""backward and grad."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# gradients add up
>>> a = torch.tensor([1.0, 2.0], requires_grad=True)
>>> (a * 3).sum().backward()
>>> (a * a).sum().backward()
>>> a.grad
tensor([5., 7.])
>>> a.grad.zero_()
tensor([0., 0.])
>>> a.grad = None
>>> a.grad

# a cotangent for what is no scalar
>>> a = torch.ones(2, requires_grad=True)
>>> (a * 3).backward()
Traceback (most recent call last):
RuntimeError: grad can be implicitly created only for scalar outputs
>>> (a * 3).backward(torch.tensor([1.0, 10.0]))
>>> a.grad
tensor([ 3., 30.])
>>> (a * 3).backward(torch.ones(3))
Traceback (most recent call last):
RuntimeError: Mismatch in shape: grad_output[0] has a shape of torch.Size([3]) and output[0] has a shape of torch.Size([2]).
>>> (a * 3).sum().backward(2.0)
Traceback (most recent call last):
TypeError: 'float' object is not iterable

# what needs no gradient has no backward
>>> torch.ones(2).sum().backward()
Traceback (most recent call last):
RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn

# twice only if kept
>>> a = torch.ones(2, requires_grad=True)
>>> y = (a * a).sum()
>>> y.backward(retain_graph=True)
>>> y.backward()
>>> y.backward()
Traceback (most recent call last):
RuntimeError: Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.
>>> a.grad
tensor([4., 4.])

# nodes that keep no tensor can be run again
>>> a = torch.ones(2, requires_grad=True)
>>> y = (a + 1).view(2).sum()
>>> y.backward()
>>> y.backward()
>>> a.grad
tensor([2., 2.])

# several roots
>>> a = torch.ones(2, requires_grad=True)
>>> torch.autograd.backward([(a * 2).sum(), a * a], [None, torch.tensor([1.0, 10.0])])
>>> a.grad
tensor([ 4., 22.])

# only the given inputs
>>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
>>> (a * b).sum().backward(inputs=[a])
>>> a.grad, b.grad
(tensor([1., 1.]), None)
>>> (a * b).sum().backward(inputs=[])
Traceback (most recent call last):
RuntimeError: `inputs` argument to `backward()` cannot be empty.

# grad returns, and leaves .grad alone
>>> a = torch.tensor([1.0, 2.0], requires_grad=True)
>>> m = a * a
>>> torch.autograd.grad((m * 3).sum(), (m, a), retain_graph=True), a.grad
((tensor([3., 3.]), tensor([ 6., 12.])), None)
>>> torch.autograd.grad(m, a)
Traceback (most recent call last):
RuntimeError: grad can be implicitly created only for scalar outputs
>>> torch.autograd.grad(m.sum(), torch.ones(2))
Traceback (most recent call last):
RuntimeError: One of the differentiated Tensors does not require grad

# inputs that are not used
>>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
>>> torch.autograd.grad(a.sum(), (a, b))
Traceback (most recent call last):
RuntimeError: The differentiated Tensor at index 1 appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior.
>>> torch.autograd.grad(a.sum(), (a, b), allow_unused=True)
(tensor([1., 1.]), None)
>>> torch.autograd.grad(a.sum(), (a, b), materialize_grads=True)
(tensor([1., 1.]), tensor([0., 0.]))

# third derivatives
>>> x = torch.tensor(2.0, requires_grad=True)
>>> (g,) = torch.autograd.grad(x ** 4, x, create_graph=True)
>>> (h,) = torch.autograd.grad(g, x, create_graph=True)
>>> (k,) = torch.autograd.grad(h, x)
>>> g.item(), h.item(), k
(32.0, 48.0, tensor(48.))

# broadcasting is undone
>>> a, b = torch.ones(2, 1, requires_grad=True), torch.ones(3, requires_grad=True)
>>> (a * b).sum().backward()
>>> a.grad, b.grad
(tensor([[3.],
        [3.]]), tensor([2., 2., 2.]))

# each leaf's gradient has its dtype
>>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.float64, requires_grad=True)
>>> (a * b).sum().backward()
>>> a.grad, b.grad
(tensor([1., 1.]), tensor([1., 1.], dtype=torch.float64))

# a complex gradient is that of the conjugate
>>> z = torch.tensor(1 + 2j, requires_grad=True)
>>> (z * z.conj()).real.backward()
>>> z.grad
tensor(2.+4.j)
>>> (z * z).backward()
Traceback (most recent call last):
RuntimeError: grad can be implicitly created only for real scalar outputs but got torch.complex64

# only leaves change requires_grad, only floating ones to True
>>> a = torch.ones(2, requires_grad=True)
>>> (a * 2).requires_grad_(False)
Traceback (most recent call last):
RuntimeError: you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().
>>> torch.tensor([1]).requires_grad_()
Traceback (most recent call last):
RuntimeError: only Tensors of floating point dtype can require gradients
>>> a.requires_grad_(False), (a * 2).requires_grad
(tensor([1., 1.]), False)

# gradients that are assigned must fit
>>> a = torch.ones(2, requires_grad=True)
>>> a.grad = torch.ones(3)
Traceback (most recent call last):
RuntimeError: attempting to assign a gradient of size '[3]' to a tensor of size '[2]'. Please ensure that the gradient and the tensor are the same size
>>> a.grad = 1.0
Traceback (most recent call last):
TypeError: assigned grad expected to be a Tensor or None but got ...
>>> a.grad = a
Traceback (most recent call last):
RuntimeError: can't assign Variable as its own grad
>>> a.grad = torch.ones(2)
>>> a.sum().backward()
>>> a.grad
tensor([2., 2.])

# the graph can be walked
>>> y = (torch.ones(2, requires_grad=True) * 2).sum()
>>> y.grad_fn.name(), y.grad_fn.next_functions[0][0].name(), type(y.grad_fn.next_functions[0][0].next_functions[0][0]).__name__
('SumBackward0', 'MulBackward0', 'AccumulateGrad')
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
