"""Custom `autograd.Function`s inside `vmap`: rules of their own, rules made for them, gradients inside and outside."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.func import grad, jvp, vmap


def data(*shape, seed=0):
    return tg.tensor(np.random.default_rng([seed, *shape]).uniform(-2, 2, shape))


def same(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-12)


class Product(tg.autograd.Function):
    """`a ** 2 * b` and a constant, with a rule made for it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a, b, power):
        return a**power * b, tg.ones(2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        a, b, ctx.power = inputs
        ctx.save_for_backward(a, b, None)
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, g, h):
        assert h is None
        a, b, nothing = ctx.saved_tensors
        assert nothing is None
        need_a, need_b, _ = ctx.needs_input_grad
        da = g * ctx.power * a ** (ctx.power - 1) * b if need_a else None
        return da, g * a**ctx.power if need_b else None, None


class Swapped(tg.autograd.Function):
    """`x.t()` with a rule of its own, and a record of what it is given."""

    seen: ClassVar[list] = []

    @staticmethod
    def forward(x):
        return x.t().clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g.t()

    @staticmethod
    def vmap(info, in_dims, x):
        Swapped.seen.append((info.batch_size, info.randomness, in_dims))
        return x.movedim(in_dims[0], 0).mT.clone().movedim(0, 1), 1


def plain(a, b, power):
    return a**power * b


@pytest.mark.parametrize("dims", [(0, 0, None), (0, None, None), (None, 0, None), (1, 0, None)])
def test_a_rule_is_made_of_forward_and_backward(dims):
    a = data(4, 3) if dims[0] == 0 else data(3, 4) if dims[0] == 1 else data(3)
    b = data(3, seed=1) if dims[1] is None else data(4, 3, seed=1)
    a, b = a.requires_grad_(), b.requires_grad_()
    out = vmap(lambda a, b, p: Product.apply(a, b, p)[0], dims)(a, b, 3)
    expected = vmap(plain, dims)(a, b, 3)
    same(out, expected)
    g = data(4, 3, seed=2)
    for found, wanted in zip(tg.autograd.grad(out, (a, b), g), tg.autograd.grad(expected, (a, b), g), strict=True):
        same(found, wanted)


def test_what_needs_no_gradient_is_not_asked_for():
    a, b = data(4, 3).requires_grad_(), data(3, seed=1)
    out = vmap(lambda a: Product.apply(a, b, 2)[0])(a)
    same(tg.autograd.grad(out.sum(), a)[0], 2 * a * b)


def test_outputs_that_are_the_same_for_all():
    a, b = data(4, 3), data(3, seed=1)
    batched, constant = vmap(lambda a: Product.apply(a, b, 2), out_dims=(0, None))(a)
    assert (batched.shape, constant.shape) == ((4, 3), (2,))


def test_gradients_inside_and_of_higher_order():
    a, b = data(4, 3), data(3, seed=1)
    for f in (
        lambda h: vmap(grad(lambda a: h(a, b, 3).sum()))(a),
        lambda h: grad(lambda a: vmap(lambda a: h(a, b, 3))(a).sin().sum())(a),
        lambda h: vmap(grad(lambda a: grad(lambda a: h(a, b, 3).sum())(a).sin().sum()))(a),
        lambda h: grad(lambda b: (vmap(grad(lambda a: h(a, b, 3).sum()))(a) ** 2).sum())(b),
        lambda h: vmap(vmap(lambda x: h(x, b[0], 2)))(a),
    ):
        same(f(lambda a, b, p: Product.apply(a, b, p)[0]), f(plain))


def test_a_rule_of_its_own_is_used():
    x = data(5, 2, 3)
    Swapped.seen.clear()
    out = vmap(Swapped.apply)(x)
    same(out, x.mT)
    assert Swapped.seen == [(5, "error", (0,))]
    Swapped.seen.clear()
    y = data(5, 3, 2, seed=1)
    same(vmap(grad(lambda x, y: (Swapped.apply(x) * y).sum()))(x, y), y.mT)
    assert Swapped.seen == [(5, "error", (0,))]
    same(vmap(vmap(Swapped.apply))(x[None]), x[None].mT)


def test_a_rule_of_its_own_in_forward_mode_around_it():
    class Cubed(Swapped):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, t):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * t

        @staticmethod
        def vmap(info, in_dims, x):
            return Cubed.apply(x), 0

    x, t = data(4, 3), data(4, 3, seed=1)
    value, tangent = jvp(vmap(Cubed.apply), (x,), (t,))
    same(value, x**3)
    same(tangent, 3 * x**2 * t)


def test_a_function_of_what_is_the_same_for_all_is_just_applied():
    class Plain(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    w = data(3)
    same(vmap(lambda x: x * Plain.apply(w))(data(2, 3, seed=1)), data(2, 3, seed=1) * w * 2)


def test_results_may_be_written_to():
    x = data(4, 2, 3)
    f = lambda h: vmap(grad(lambda x: h(x).mul_(2).sin().sum()))(x)  # noqa: E731
    same(f(Swapped.apply), f(lambda x: x.t().clone()))


def test_what_forward_keeps_cannot_be_used_later():
    class Leaking(Product):
        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.kept = inputs[0]

        @staticmethod
        def backward(ctx, g, h):
            return g * ctx.kept, None, None

    a = data(4, 3).requires_grad_()
    out = vmap(lambda a: Leaking.apply(a, a, 2)[0])(a)
    with pytest.raises(RuntimeError, match="escaped from inside a function being vmapped"):
        out.sum().backward()
