"""Dropout: what is kept and how it is scaled, whole channels, gradients, the forms in place, ranks that warn."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.nn import functional

N = 20000


@pytest.fixture(autouse=True)
def seeded():
    with tg.random.fork_rng():
        tg.manual_seed(11)
        yield


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_elements_are_dropped_or_scaled(p):
    x = tg.full((N,), 3.0, dtype=tg.float64, requires_grad=True)
    out = functional.dropout(x, p)
    kept = out != 0
    np.testing.assert_array_equal(out[kept].detach().numpy(), 3.0 * (1 / (1 - p)))
    assert abs(kept.double().mean().item() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / N)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), kept.numpy() / (1 - p))


@pytest.mark.parametrize(
    "function",
    [
        functional.dropout,
        functional.dropout2d,
        functional.dropout3d,
        functional.alpha_dropout,
        functional.feature_alpha_dropout,
    ],
)
def test_idle_and_certain(function):
    x = tg.ones(2, 3, 2, 2, 2, requires_grad=True)[..., :1] if function is functional.dropout3d else tg.ones(2, 3, 2, 2)
    before = tg.get_rng_state()
    assert function(x, 0.5, False) is x
    assert function(x, 0.0, True) is x
    assert not function(x, 1.0, True).any()
    assert tg.equal(tg.get_rng_state(), before)
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        function(x, 1.5)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (functional.dropout1d, (50, 40, 5)), (functional.dropout2d, (50, 40, 3, 2)), (functional.dropout3d, (50, 40, 2, 2, 2)),
        (functional.dropout1d, (2000, 5)), (functional.dropout3d, (2000, 2, 2, 2)),
    ],
)  # fmt: skip
def test_channels_are_dropped_together(function, shape):
    out = function(tg.ones(shape), 0.25)
    flat = out.reshape(2000, -1).numpy()
    assert (flat == flat[:, :1]).all()
    assert set(np.unique(flat)) == {0.0, np.float32(1 / 0.75)}
    assert abs((flat[:, 0] == 0).mean() - 0.25) < 0.06


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_alpha_dropout_keeps_mean_and_variance(shape):
    x = tg.randn(shape, dtype=tg.float64)
    out = (functional.alpha_dropout if len(shape) == 1 else functional.feature_alpha_dropout)(x, 0.3, True)
    assert abs(out.mean().item()) < 0.05
    assert abs(out.var().item() - 1) < 0.05
    values, counts = np.unique(out.numpy(), return_counts=True)
    a = 1 / math.sqrt((1.7580993408473766**2 * 0.3 + 1) * 0.7)
    assert values[counts.argmax()] == pytest.approx(-1.7580993408473766 * a * 0.7)  # what is dropped
    assert abs(counts.max() / N - 0.3) < 0.02


def test_alpha_dropout_of_channels():
    out = functional.feature_alpha_dropout(tg.ones(30, 20, 2, 3), 0.5, True)
    flat = out.reshape(600, 6).numpy()
    assert (flat == flat[:, :1]).all()
    assert len(np.unique(flat)) == 2


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (functional.dropout, (9,)), (functional.dropout1d, (4, 5)), (functional.dropout1d, (2, 4, 5)), (functional.dropout2d, (2, 3, 4, 5)),
        (functional.dropout3d, (2, 3, 4, 5)), (functional.alpha_dropout, (9,)), (functional.feature_alpha_dropout, (3, 4, 2)),
    ],
)  # fmt: skip
def test_in_place(function, shape):
    x = tg.randn(shape)
    state = tg.get_rng_state()
    expected = function(x, 0.5, True)
    tg.set_rng_state(state)
    kept = x
    assert function(x, 0.5, True, inplace=True) is kept
    np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=1e-6)
    y = x.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        function(y, 0.5, True, True)


def test_dropped_infinities_are_nan_as_in_a_product():
    out = functional.dropout(tg.full((100,), math.inf), 0.5)
    assert out.isnan().any()
    assert out.isinf().any()


def test_other_ranks_warn():
    for function, shape, says in (
        (functional.dropout2d, (2, 3), "Received a 2-D input to dropout2d"), (functional.dropout2d, (2, 3, 4), "Received a 3D input"),
        (functional.dropout3d, (2, 3, 4), "Received a 3-D input to dropout3d"),
    ):  # fmt: skip
        with pytest.warns(UserWarning, match=says):
            assert function(tg.ones(shape), 0.5).shape == shape
    with pytest.raises(RuntimeError, match="Expected 2D or 3D input, but received a 4D input"):
        functional.dropout1d(tg.ones(2, 3, 4, 5))


def test_rrelu():
    x = tg.linspace(-1, 1, 2001, dtype=tg.float64).requires_grad_()
    out = functional.rrelu(x, 0.2, 0.4, training=True)
    (slopes,) = tg.autograd.grad(out.sum(), x)
    assert (slopes[x > 0] == 1).all()
    low = slopes[x <= 0].numpy()
    assert 0.2 <= low.min() < 0.21
    assert 0.39 < low.max() < 0.4
    np.testing.assert_array_equal(out.detach().numpy(), (x * slopes).detach().numpy())
    np.testing.assert_allclose(
        functional.rrelu(-x.detach().abs(), 0.2, 0.4).numpy(), -0.3 * x.detach().abs().numpy(), rtol=1e-12
    )
    with pytest.raises(RuntimeError, match="Lower bound"):
        functional.rrelu(x, 0.5, 0.1)
