"""Activations and losses."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# activations
>>> x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
>>> F.relu(x), F.sigmoid(x), F.tanh(x)
(tensor([0., 0., 2.], grad_fn=<ReluBackward0>), tensor([0.2689, 0.5000, 0.8808], grad_fn=<SigmoidBackward0>), tensor([-0.7616,  0.0000,  0.9640], grad_fn=<TanhBackward0>))
>>> F.softplus(x), F.softplus(x, beta=2), F.softplus(torch.tensor([100.0, -1000.0]))
(tensor([0.3133, 0.6931, 2.1269], grad_fn=<SoftplusBackward0>), tensor([0.0635, 0.3466, 2.0091], grad_fn=<SoftplusBackward0>), tensor([100.,   0.]))
>>> F.gelu(x), F.gelu(x, approximate="tanh")
(tensor([-0.1587,  0.0000,  1.9545], grad_fn=<GeluBackward0>), tensor([-0.1588,  0.0000,  1.9546], grad_fn=<GeluBackward0>))
>>> F.gelu(x, approximate="other")
Traceback (most recent call last):
RuntimeError: approximate argument must be either none or tanh.
>>> F.softplus(torch.tensor([1]))
Traceback (most recent call last):
NotImplementedError: ...

# gradients of activations
>>> x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
>>> [torch.autograd.grad(f(x).sum(), x)[0] for f in (F.relu, F.softplus, F.gelu)]
[tensor([0., 0., 1.]), tensor([0.2689, 0.5000, 0.8808]), tensor([-0.0833,  0.5000,  1.0852])]

# mean squared error
>>> x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([0.0, 4.0])
>>> F.mse_loss(x, y), F.mse_loss(x, y, reduction="sum"), F.mse_loss(x, y, reduction="none")
(tensor(2.5000, grad_fn=<MseLossBackward0>), tensor(5., grad_fn=<MseLossBackward0>), tensor([1., 4.], grad_fn=<MseLossBackward0>))
>>> torch.autograd.grad(F.mse_loss(x, y), x)
(tensor([ 1., -2.]),)
>>> F.mse_loss(x, y, reduction="other")
Traceback (most recent call last):
ValueError: other is not a valid value for reduction...
>>> F.mse_loss(x, torch.ones(3))
Traceback (most recent call last):
RuntimeError: The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0

# cross entropy of class numbers
>>> x = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0]], requires_grad=True)
>>> y, w = torch.tensor([1, 2]), torch.tensor([1.0, 2.0, 3.0])
>>> F.cross_entropy(x, y), F.cross_entropy(x, y, reduction="sum"), F.cross_entropy(x, y, reduction="none")
(tensor(0.7815, grad_fn=<NllLossBackward0>), tensor(1.5630, grad_fn=<NllLossBackward0>), tensor([0.4644, 1.0986], grad_fn=<NllLossBackward0>))
>>> F.cross_entropy(x, y, weight=w), F.cross_entropy(x, y, ignore_index=2), F.cross_entropy(x, y, label_smoothing=0.1)
(tensor(0.8449, grad_fn=<NllLossBackward0>), tensor(0.4644, grad_fn=<NllLossBackward0>), tensor(0.8232, grad_fn=<AddBackward0>))
>>> torch.autograd.grad(F.cross_entropy(x, y), x)
(tensor([[ 0.1156, -0.1857,  0.0701],
        [ 0.1667,  0.1667, -0.3333]]),)
>>> F.nll_loss(x.log_softmax(1), y)
tensor(0.7815, grad_fn=<NllLossBackward0>)

# cross entropy of probabilities
>>> x = torch.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
>>> y = torch.tensor([[0.2, 0.5, 0.3]])
>>> F.cross_entropy(x, y).detach()
tensor(1.1144)
>>> torch.autograd.grad(F.cross_entropy(x, y), x)
(tensor([[ 0.0312,  0.1285, -0.1598]]),)

# targets that are no class
>>> x = torch.zeros(2, 3)
>>> F.cross_entropy(x, torch.tensor([0, 3]))
Traceback (most recent call last):
IndexError: Target 3 is out of bounds.
>>> F.cross_entropy(x, torch.tensor([0, 1, 2]))
Traceback (most recent call last):
ValueError: Expected input batch_size (2) to match target batch_size (3).
>>> F.cross_entropy(x, torch.tensor([0, 1]), label_smoothing=2.0)
Traceback (most recent call last):
RuntimeError: label_smoothing must be between 0.0 and 1.0. Got: 2...
>>> F.cross_entropy(x, torch.tensor([0, 1]), weight=torch.ones(2))
Traceback (most recent call last):
RuntimeError: weight tensor should be defined either for all 3 classes or no classes but got weight tensor of shape: [2]
>>> F.cross_entropy(x, torch.tensor([0, 1]), reduction="other")
Traceback (most recent call last):
ValueError: other is not a valid value for reduction...

# linear
>>> F.linear(torch.ones(2, 3), torch.ones(4, 3), torch.arange(4.0))
tensor([[3., 4., 5., 6.],
        [3., 4., 5., 6.]])
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
