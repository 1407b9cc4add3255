"""Convolution, pooling, normalisation, embedding, attention and padding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# convolution
>>> x = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]], requires_grad=True)
>>> w = torch.tensor([[[1.0, -1.0]]], requires_grad=True)
>>> F.conv1d(x, w)
tensor([[[-1., -2., -4.]]], grad_fn=<ConvolutionBackward0>)
>>> F.conv1d(x, w, torch.tensor([10.0]), stride=2, padding=1)
tensor([[[ 9.,  8., 18.]]], grad_fn=<ConvolutionBackward0>)
>>> torch.autograd.grad(F.conv1d(x, w).sum(), [x, w])
(tensor([[[ 1.,  0.,  0., -1.]]]), tensor([[[ 7., 14.]]]))
>>> F.conv_transpose1d(torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
tensor([[[ 1.,  2., 13., 20., 30.]]])
>>> F.conv2d(x, w)
Traceback (most recent call last):
RuntimeError: expected stride to be a single integer value or a list of 1 values to match the convolution dimensions, but got stride=[1, 1]
>>> F.conv1d(x, torch.ones(1, 2, 2))
Traceback (most recent call last):
RuntimeError: Given groups=1, weight of size [1, 2, 2], expected input[1, 1, 4] to have 2 channels, but got 1 channels instead

# pooling
>>> x = torch.tensor([[[1.0, 5.0, 5.0, 2.0, 3.0]]], requires_grad=True)
>>> F.max_pool1d(x, 2).detach(), F.max_pool1d(x, 3, stride=1, padding=1).detach()
(tensor([[[5., 5.]]]), tensor([[[5., 5., 5., 5., 3.]]]))
>>> F.max_pool1d(x, 2, return_indices=True)[1]
tensor([[[1, 2]]])
>>> torch.autograd.grad(F.max_pool1d(x, 3, 1, 1).sum(), x)
(tensor([[[0., 3., 1., 0., 1.]]]),)
>>> F.avg_pool1d(x, 2, ceil_mode=True).detach(), F.adaptive_avg_pool1d(x, 2).detach()
(tensor([[[3.0000, 3.5000, 3.0000]]]), tensor([[[3.6667, 3.3333]]]))
>>> F.max_pool1d(x, 6)
Traceback (most recent call last):
RuntimeError: max_pool1d() Invalid computed output size: 0

# normalisation
>>> x = torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]])
>>> F.layer_norm(x, (3,))
tensor([[-1.2247,  0.0000,  1.2247],
        [-0.7071, -0.7071,  1.4142]])
>>> m, v = torch.zeros(3), torch.ones(3)
>>> F.batch_norm(x, m, v, training=True)
tensor([[-1.0000,  0.0000, -1.0000],
        [ 1.0000,  0.0000,  1.0000]])
>>> m, v
(tensor([0.1500, 0.2000, 0.4000]), tensor([0.9500, 0.9000, 1.1000]))
>>> F.normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
tensor([[0.6000, 0.8000],
        [0.0000, 0.0000]])

# embedding
>>> w = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], requires_grad=True)
>>> y = F.embedding(torch.tensor([2, 0, 2]), w, padding_idx=0)
>>> y.detach()
tensor([[4., 5.],
        [0., 1.],
        [4., 5.]])
>>> torch.autograd.grad(y.sum(), w)
(tensor([[0., 0.],
        [0., 0.],
        [2., 2.]]),)
>>> F.embedding(torch.tensor([3]), w)
Traceback (most recent call last):
IndexError: index out of range in self
>>> F.one_hot(torch.tensor([1, 0]), 3)
tensor([[0, 1, 0],
        [1, 0, 0]])

# attention
>>> q = torch.zeros(2, 2)
>>> v = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
>>> F.scaled_dot_product_attention(q, q, v), F.scaled_dot_product_attention(q, q, v, is_causal=True)
(tensor([[2., 4.],
        [2., 4.]]), tensor([[1., 2.],
        [2., 4.]]))
>>> F.scaled_dot_product_attention(q, q, v, torch.tensor([[False, True], [False, False]]))
tensor([[3., 6.],
        [0., 0.]])

# padding
>>> x = torch.tensor([[1.0, 2.0, 3.0]])
>>> F.pad(x, (1, 2)), F.pad(x, (-1, 1), value=9.0)
(tensor([[0., 1., 2., 3., 0., 0.]]), tensor([[2., 3., 9.]]))
>>> F.pad(x, (2, 1), mode="reflect"), F.pad(x, (2, 1), mode="replicate"), F.pad(x, (2, 1), mode="circular")
(tensor([[3., 2., 1., 2., 3., 2.]]), tensor([[1., 1., 1., 2., 3., 3.]]), tensor([[2., 3., 1., 2., 3., 1.]]))
>>> F.pad(x, (3, 0), mode="reflect")
Traceback (most recent call last):
RuntimeError: Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (3, 0) at dimension 1 of input [1, 3]
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)


def test_a_convolution_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(6, 2, 2, 3))
    out = tapegrad.nn.functional.conv2d(
        tapegrad.from_numpy(x), tapegrad.from_numpy(w), stride=(2, 1), padding=1, dilation=(2, 1), groups=2
    )
    whole = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert out.shape == (2, 6, 3, 5)
    for n, o, i, j in itertools.product(*map(range, out.shape)):
        seen = whole[n, 2 * (o // 3) : 2 * (o // 3) + 2, 2 * i : 2 * i + 3 : 2, j : j + 3]
        assert out[n, o, i, j].item() == pytest.approx((seen * w[o]).sum(), rel=1e-12, abs=1e-12)


def test_the_lstm_cell_of_a_user() -> None:
    """Of matmul, chunk, sigmoid and tanh: the gradient against central differences."""
    rng = np.random.default_rng(1)
    weight = tapegrad.tensor(rng.normal(size=(5, 8)) * 0.5, requires_grad=True)

    def loss(w: tapegrad.Tensor) -> tapegrad.Tensor:
        h, c = tapegrad.zeros(1, 2, dtype=tapegrad.float64), tapegrad.zeros(1, 2, dtype=tapegrad.float64)
        for t in range(4):
            x = tapegrad.full((1, 3), 0.1 * t, dtype=tapegrad.float64)
            i, f, g, o = (tapegrad.cat([x, h], 1) @ w).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h.sum()

    (found,) = tapegrad.autograd.grad(loss(weight), weight)
    for at in ((0, 0), (3, 5), (4, 7)):
        values = weight.detach().numpy()
        up, down = values.copy(), values.copy()
        up[at], down[at] = up[at] + 1e-5, down[at] - 1e-5
        slope = (loss(tapegrad.tensor(up)).item() - loss(tapegrad.tensor(down)).item()) / 2e-5
        assert found[at].item() == pytest.approx(slope, rel=1e-7, abs=1e-10)
