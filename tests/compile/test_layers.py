"""Layers of neural networks, compiled: the numbers of the eager run, and the operations XLA is fast at."""

from __future__ import annotations

import re
from collections import Counter

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile import lower

F = tg.nn.functional


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def leaf(*shape, seed=0, low=-2.0, high=2.0):
    return tg.tensor(np.random.default_rng([seed, *shape]).uniform(low, high, shape)).requires_grad_()


def compiled(function, *operands):
    """The lowered program of the value of `function` and its gradients, its inputs, and what the eager run gave."""

    def step(*operands):
        out = function(*operands)
        inputs = [x for x in operands if x.requires_grad]
        weights = tg.arange(1.0, out.numel() + 1, dtype=tg.float64).reshape(out.shape).cos()
        return (out, *tg.autograd.grad((out * weights).sum(), inputs, allow_unused=True, materialize_grads=True))

    tape = tg.record(step, *operands)
    return jax.jit(lower(tape)), [x.detach().numpy() for x in operands], [x.detach().numpy() for x in step(*operands)]


IMAGE, KERNEL, BIAS = leaf(2, 4, 6, 5), leaf(6, 2, 3, 2, seed=1), leaf(6, seed=2)
LAYERS = {
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2, padding=1), leaf(2, 3, 7), leaf(4, 3, 3)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=2), IMAGE, KERNEL, BIAS),
    "conv2d same": (lambda x, w: F.conv2d(x, w, padding="same", dilation=2, groups=2), IMAGE, KERNEL),
    "conv3d": (lambda x, w: F.conv3d(x, w, stride=(1, 2, 1)), leaf(1, 2, 3, 4, 3), leaf(2, 2, 2, 2, 2)),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, groups=2),
        leaf(2, 4, 3, 4),
        leaf(4, 3, 3, 3, seed=1),
        BIAS,
    ),
    "conv_transpose1d with extra": (
        lambda x, w: F.conv_transpose1d(x, w, None, 1, 0, 1, 1, 2),
        leaf(1, 2, 4),
        leaf(2, 3, 3, seed=1),
    ),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), IMAGE),
    "max_pool2d of ties": (lambda x: F.max_pool2d(x.round(), 3, 1, 1) * x.sum(), IMAGE),
    "max_pool2d ceil": (lambda x: F.max_pool2d(x, 2, ceil_mode=True), IMAGE),
    "max_pool2d dilated": (lambda x: F.max_pool2d(x.relu(), 2, 1, 1, 2), IMAGE),
    "max_pool2d indices": (lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)[1] * x.sum(), IMAGE),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), IMAGE),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (4, 3)), IMAGE),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (4, 3)), IMAGE),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6,), w, b), leaf(3, 6), leaf(6), BIAS),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6,), w), leaf(3, 6), BIAS),
    "group_norm": (lambda x: F.group_norm(x, 2), IMAGE),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), IMAGE),
    "instance_norm": (lambda x: F.instance_norm(x), IMAGE),
    "normalize": (lambda x: F.normalize(x), leaf(3, 6)),
    "embedding": (lambda w: F.embedding(tg.tensor([[0, 2], [2, 1]]), w, padding_idx=1), leaf(4, 3)),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        leaf(2, 4, 3),
        leaf(2, 4, 3, seed=1),
        leaf(2, 4, 2, seed=2),
    ),
    "masked attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, tg.tensor([[True, False], [False, False]])),
        leaf(2, 2, 3),
        leaf(2, 2, 3, seed=1),
        leaf(2, 2, 2, seed=2),
    ),
    "pad constant": (lambda x: F.pad(x, (1, -1, 2, 0), value=2.5), IMAGE),
    "pad reflect": (lambda x: F.pad(x, (1, 2, 2, 0), mode="reflect"), IMAGE),
    "pad circular": (lambda x: F.pad(x, (1, 2, 2, 0), mode="circular"), IMAGE),
    "silu": (F.silu, leaf(3, 4)),
    "mish": (F.mish, leaf(3, 4)),
    "elu": (F.elu, leaf(3, 4)),
    "hardswish": (F.hardswish, leaf(3, 4, low=-5, high=5)),
    "logsigmoid": (F.logsigmoid, leaf(3, 4)),
    "glu": (F.glu, leaf(3, 4)),
    "huber_loss": (lambda x: F.huber_loss(x, x.detach() * 0.5 - 1), leaf(3, 4)),
    "binary_cross_entropy": (lambda x: F.binary_cross_entropy(x, x.detach().round()), leaf(3, 4, low=0, high=1)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_layer_gives_the_eager_numbers(name):
    program, inputs, expected = compiled(*LAYERS[name])
    for got, wanted in zip(program(*inputs), expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-12, atol=1e-12)


def operations(name):
    """How often each operation of StableHLO occurs in the program of a layer and its gradients."""
    program, inputs, _ = compiled(*LAYERS[name])
    return Counter(re.findall(r"stablehlo\.(\w+)", program.lower(*inputs).as_text()))


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "embedding" and "indices" not in name])
def test_nothing_is_gathered_or_scattered_element_by_element(name):
    assert not operations(name).keys() & {"gather", "scatter", "dynamic_gather", "while", "sort"}


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("conv")])
def test_a_convolution_and_its_gradients_are_convolutions(name):
    assert operations(name)["convolution"] == 3


def test_a_maximum_of_windows_is_reduced_and_its_gradient_selected_and_scattered():
    for name in ("max_pool2d", "max_pool2d ceil", "adaptive_max_pool2d"):
        found = operations(name)
        assert found["reduce_window"] >= 1
        assert found["reduce_window"] == found["select_and_scatter"]
    assert operations("avg_pool2d")["reduce_window"] == 2


def test_batch_norm_moves_its_statistics():
    running_mean, running_var = tg.zeros(4, dtype=tg.float64), tg.ones(4, dtype=tg.float64)

    def step(x, m, v):
        return F.batch_norm(x, m, v, training=True, momentum=0.3)

    tape = tg.record(step, IMAGE, running_mean.clone(), running_var.clone())
    out, m, v = lower(tape)(IMAGE.detach().numpy(), running_mean.numpy(), running_var.numpy())
    values = IMAGE.detach().numpy()
    np.testing.assert_allclose(m, 0.3 * values.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(v, 0.7 + 0.3 * values.var((0, 2, 3), ddof=1), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(out).mean((0, 2, 3)), 0.0, atol=1e-12)


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_window_with_a_nan_has_none_for_its_maximum(dilation):
    x = tg.tensor([[[1.0, float("nan"), 3.0, 5.0, 4.0, 0.0]]], dtype=tg.float64)
    found = lower(tg.record(lambda x: F.max_pool1d(x, 2, 1, 0, dilation), x))(x.numpy())
    expected = {1: [np.nan, np.nan, 5.0, 5.0, 4.0], 2: [3.0, np.nan, 4.0, 5.0]}
    np.testing.assert_array_equal(found, [[expected[dilation]]])


def test_the_first_of_equal_maxima_has_the_derivative():
    x = tg.tensor([[[3.0, 3.0, 1.0, 2.0]]], dtype=tg.float64, requires_grad=True)
    program, inputs, _ = compiled(lambda x: F.max_pool1d(x, 2), x)
    _, gradient = program(*inputs)
    np.testing.assert_allclose(gradient, [[[np.cos(1.0), 0.0, 0.0, np.cos(2.0)]]], rtol=1e-12)
