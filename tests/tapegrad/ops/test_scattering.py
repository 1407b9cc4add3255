"""Writing by index, in place and into `out`: closed forms, and what PyTorch cannot tell."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.tape import PRIMITIVES


def leaf(values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def numeric(function, x, step=1e-6):
    """Central differences of a scalar function."""
    x = x.detach().numpy().copy()
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * step
            out[i] += sign * function(tg.tensor(moved)).item() / (2 * step)
    return out


def check(function, *values):
    """The gradient of `function(*values).square().sum()` against central differences."""
    leaves = [leaf(v) for v in values]
    grads = tg.autograd.grad(function(*leaves).square().sum(), leaves, allow_unused=True)
    for k, (x, g) in enumerate(zip(leaves, grads, strict=True)):
        before, after = [y.detach() for y in leaves[:k]], [y.detach() for y in leaves[k + 1 :]]
        found = numeric(lambda v, b=before, a=after: function(*b, v, *a).square().sum(), x)
        np.testing.assert_allclose(np.zeros(x.shape) if g is None else g.numpy(), found, rtol=1e-6, atol=1e-7)


A = [[0.3, -1.2, 2.0], [1.5, 0.7, -0.4]]
B = [[1.1, 0.65, -0.9], [-0.2, 2.2, 0.8]]
INDEX = tg.tensor([[0, 0, 2], [1, 1, 1]])


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce_is_the_loop(reduce, include_self):
    of = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
    found = tg.scatter_reduce(tg.tensor(A), 1, INDEX, tg.tensor(B), reduce, include_self=include_self).numpy()
    for i in range(2):
        for j in range(3):
            there = [B[i][k] for k in range(3) if INDEX[i, k].item() == j]
            if include_self or not there:
                there.append(A[i][j])
            np.testing.assert_allclose(found[i, j], of(there), rtol=1e-6)
    check(lambda a, b: tg.scatter_reduce(a, 1, INDEX, b, reduce, include_self=include_self), A, B)


def test_products_of_zeros_are_right_to_second_order():
    a, b = leaf([3.0]), leaf([2.0, 0.0, 5.0])
    out = tg.scatter_reduce(a, 0, tg.tensor([0, 0, 0]), b, "prod")
    (g,) = tg.autograd.grad(out.sum(), b, create_graph=True)
    assert g.tolist() == [0.0, 30.0, 0.0]
    assert tg.autograd.grad(g[0], b, retain_graph=True)[0].tolist() == [0.0, 15.0, 0.0]
    assert tg.autograd.grad(g[1], b)[0].tolist() == [15.0, 0.0, 6.0]
    x = leaf([2.0, 0.0, 5.0])
    (g,) = tg.autograd.grad(x.cumprod(0).sum(), x, create_graph=True)
    assert g.tolist() == [1.0, 12.0, 0.0]
    assert tg.autograd.grad(g[1], x)[0].tolist() == [6.0, 0.0, 2.0]


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: tg.index_add(a, 0, tg.tensor([1, 1]), b, alpha=2),
        lambda a, b: tg.index_copy(a, 1, tg.tensor([2, 0, 1]), b),
        lambda a, b: tg.scatter(a, 1, tg.tensor([[0, 2], [1, 2]]), b),
        lambda a, b: tg.scatter_add(a, 1, INDEX, b),
        lambda a, b: tg.masked_scatter(a, tg.tensor([True, False, True]), b),
        lambda a, b: tg.put(a, tg.tensor([0, 0, 5]), b[0], accumulate=True),
        lambda a, b: tg.addcdiv(a, b, b, value=0.5),
        lambda a, b: tg.lerp(a, b, b.sigmoid()),
        lambda a, b: tg.addmm(a[:, :2], a, b.T, beta=0.5, alpha=2),
        lambda a, b: tg.hypot(a, b) + tg.logaddexp(a, b) + tg.copysign(a, b) + tg.fmod(a, b),
        lambda a, b: tg.xlogy(a, b.abs()) + tg.sinc(a) + tg.logit(b.sigmoid()),
    ],
)
def test_gradients_are_those_of_central_differences(function):
    check(function, A, B)


def test_in_place_what_was_saved_of_the_tensor_is_kept():
    """A composite saves its operand, and views of it, before they are overwritten."""
    for write in (
        lambda x: x.cumprod_(0),
        lambda x: x.logit_(0.1),
        lambda x: x.copysign_(-1),
        lambda x: x.addcmul_(x, x),
        lambda x: x.scatter_reduce_(0, tg.tensor([0, 0, 1]), x, "prod"),
    ):
        a = leaf([0.3, 0.6, 0.2])
        x = a * 1
        write(x)
        (g,) = tg.autograd.grad(x.square().sum(), a)

        def again(v, write=write):
            v = v.clone()
            write(v)
            return v.square().sum()

        np.testing.assert_allclose(g.numpy(), numeric(again, a), rtol=1e-6)


def test_out_is_written_and_nothing_else():
    memory = tg.zeros(2, 4)
    version = memory._version
    out = memory[1, ::2]
    assert tg.exp(tg.tensor([0.0, 0.0]), out=out) is out
    assert memory.tolist() == [[0.0] * 4, [1.0, 0.0, 1.0, 0.0]]
    assert memory._version == version + 1
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tg.matmul(x, x, out=x)
    assert x.tolist() == [[7.0, 10.0], [15.0, 22.0]]


def test_out_of_another_shape_is_resized_with_a_warning():
    out = tg.zeros(3)
    with pytest.warns(
        UserWarning, match=r"resized since it had shape \[3\], which does not match .* \[2, 2\]"
    ) as found:
        tg.exp(tg.zeros(2, 2), out=out)
    assert found[0].filename == __file__
    assert out.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.exp(tg.zeros(2), out=tg.empty(0))
        tg.zeros(2, out=tg.ones(5))


def test_out_that_cannot_be_resized_is_left_alone():
    memory = tg.zeros(4)
    first = memory[:2]
    with pytest.raises(tg.UnsupportedError, match="shares its memory"):
        tg.exp(tg.zeros(3), out=first)
    values, indices = tg.zeros(2), tg.zeros(5, dtype=tg.int64)
    alias = indices.detach()
    with pytest.raises(tg.UnsupportedError, match="shares its memory"):
        tg.max(tg.ones(2, 2), 0, out=(values, indices))
    assert values.tolist() == [0.0, 0.0]
    assert memory.tolist() == [0.0] * 4
    assert alias.shape == (5,)


def test_methods_take_no_out():
    with pytest.raises(TypeError):
        tg.zeros(2).exp(out=tg.zeros(2))


def test_functions_without_out_call_the_operation_itself():
    """What takes `out` is told from what does not at the call, not in the operation."""
    from tapegrad.ops import elementwise

    assert tg.exp.__wrapped__ is elementwise.exp


def test_random_numbers_in_place():
    tg.manual_seed(0)
    x = tg.empty(20000, dtype=tg.float64)
    moments = {
        "normal": (x.normal_(1, 2), 1, 2),
        "uniform": (x.clone().uniform_(-1, 3), 1, 4 / 12**0.5),
        "exponential": (x.clone().exponential_(2), 0.5, 0.5),
        "bernoulli": (x.clone().bernoulli_(0.3), 0.3, 0.21**0.5),
        "geometric": (x.clone().geometric_(0.25), 4, 12**0.5),
        "log_normal": (x.clone().log_normal_(0, 0.5), np.exp(0.125), np.exp(0.125) * (np.exp(0.25) - 1) ** 0.5),
        "random": (x.clone().random_(0, 10), 4.5, (99 / 12) ** 0.5),
    }
    for name, (drawn, mean, std) in moments.items():
        assert abs(drawn.mean().item() - mean) < 5 * std / 20000**0.5, name
        assert abs(drawn.std().item() / std - 1) < 0.1, name
    assert abs(np.median(x.clone().cauchy_(2, 1).numpy()) - 2) < 0.1
    z = tg.empty(20000, dtype=tg.complex128).normal_()
    assert abs(z.abs().square().mean().item() - 1) < 0.1


def test_random_numbers_in_place_repeat_and_stay_in_range():
    generator = tg.Generator()
    draws = [tg.empty(5).normal_(generator=generator.manual_seed(3)).tolist() for _ in range(2)]
    assert draws[0] == draws[1]
    for dtype in (tg.float16, tg.bfloat16, tg.float32):
        drawn = tg.empty(20000, dtype=dtype).uniform_().float()
        assert 0 <= drawn.min().item() < drawn.max().item() < 1
    whole = tg.empty(20000, dtype=tg.int8).random_()
    assert whole.min().item() == 0 and whole.max().item() == 127
    assert set(tg.empty(100, dtype=tg.bool).random_().tolist()) == {False, True}


def test_new_primitives_are_few():
    """The rest is composed."""
    assert {"argsort", "fmod", "hypot", "signbit"} <= set(PRIMITIVES)
    assert not {"scatter", "index_add", "scatter_prod", "cumprod", "addmm", "lerp"} & set(PRIMITIVES)
