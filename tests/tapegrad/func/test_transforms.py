"""`grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`, `linearize`: closed forms, nested to any depth and in any order,
and what they leave behind."""

from __future__ import annotations

import gc
import itertools
import math
import weakref

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import InPlaceError, TransformError
from tapegrad.func import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from tapegrad.tape import state


def t(*values, **options):
    return tg.tensor(values, dtype=tg.float64, **options)


def scalar(value, **options):
    return tg.tensor(float(value), dtype=tg.float64, **options)


def by_jvp(function):
    """The derivative of a function of a scalar, forward."""
    return lambda a: jvp(function, (a,), (tg.ones_like(a),))[1]


def by_vjp(function):
    return lambda a: vjp(function, a)[1](tg.ones_like(a))[0]


def by_linearize(function):
    return lambda a: linearize(function, a)[1](tg.ones_like(a))


def by_vmap(function):
    return lambda a: vmap(grad(function))(a.expand(2))[1]


DERIVATIVES = {
    "grad": grad, "jvp": by_jvp, "vjp": by_vjp, "jacrev": jacrev, "jacfwd": jacfwd, "linearize": by_linearize,
    "vmap": by_vmap,
}  # fmt: skip

orders = pytest.mark.parametrize("order", list(itertools.product(DERIVATIVES, repeat=2)), ids="-".join)


@orders
def test_second_derivatives_by_any_two(order):
    outer, inner = (DERIVATIVES[name] for name in order)
    assert outer(inner(lambda a: a**4))(scalar(2)).item() == pytest.approx(48)
    assert outer(inner(lambda a: (a.exp() * 1).mul_(a)))(scalar(1)).item() == pytest.approx(3 * math.e)


@orders
def test_perturbations_are_not_confused(order):
    outer, inner = (DERIVATIVES[name] for name in order)
    one = scalar(1)
    assert outer(lambda a: a * inner(lambda b: a + b)(one))(one).item() == 1
    assert outer(lambda a: a * inner(lambda b: a * b)(one))(scalar(3)).item() == pytest.approx(6)
    assert outer(lambda a: inner(lambda b: a * b * b)(a))(scalar(3)).item() == pytest.approx(12)
    assert outer(lambda a: inner(lambda b: a * b * b)(scalar(5)) * 1)(scalar(3)).item() == pytest.approx(10)


@pytest.mark.parametrize("order", list(itertools.product(["grad", "jvp", "vmap"], repeat=4)), ids="-".join)
def test_four_levels_deep(order):
    d1, d2, d3, d4 = (DERIVATIVES[name] for name in order)

    def function(a):
        return a * d2(lambda b: b * d3(lambda c: c * d4(lambda d: a * b * c * d**2)(c))(b))(a)

    # d4: 2 a b c^2, d3 of c * that at b: 6 a b^3, d2 of b * that at a: 24 a^4, d1 of a * that
    assert d1(function)(scalar(2)).item() == pytest.approx(24 * 5 * 2**4)


def test_higher_orders():
    function = lambda a: a.sin() * a  # noqa: E731
    expected = [math.sin(1), math.sin(1) + math.cos(1), 2 * math.cos(1) - math.sin(1), -3 * math.sin(1) - math.cos(1)]
    for derivative in (grad, by_jvp):
        nested = function
        for value in expected:
            assert nested(scalar(1)).item() == pytest.approx(value)
            nested = derivative(nested)


# With the graph outside


def test_results_have_a_graph_exactly_where_something_can_ask_for_it():
    x, w, leaf = t(1.0, 2.0), t(3.0, 4.0, requires_grad=True), t(1.0, 2.0, requires_grad=True)
    assert not grad(lambda a: (a**3).sum())(x).requires_grad
    assert grad(lambda a: (a**3).sum())(leaf).requires_grad
    assert not grad(lambda a: (a * 3).sum())(leaf).requires_grad
    assert grad(lambda a: (a * w).sum())(x).requires_grad
    for result in (*jvp(lambda a: a**3, (x,), (x,)), jacrev(lambda a: a**3)(x), jacfwd(lambda a: a**3)(x)):
        assert not result.requires_grad
    out, pull = vjp(lambda a: a**3, x)
    assert not (out.requires_grad or pull(x)[0].requires_grad or vmap(pull)(tg.stack([x, x]))[0].requires_grad)
    assert pull(w)[0].requires_grad
    assert not jvp(lambda b: pull(b)[0], (x,), (x,))[1].requires_grad
    with tg.no_grad():
        for result in (grad(lambda a: (a**3 * w).sum())(leaf), *grad_and_value(lambda a: (a * w).sum())(leaf)):
            assert not result.requires_grad
    assert not hessian(lambda a: (a**3).sum())(x).requires_grad


def test_ordinary_autograd_goes_through_every_transform():
    for derivative in (grad, by_jvp, by_vjp, jacrev, jacfwd, by_linearize):
        x = scalar(2, requires_grad=True)
        w = scalar(3, requires_grad=True)
        (derivative(lambda a: w * a**3)(x * 1) ** 1).backward()  # noqa: B023
        assert (x.grad.item(), w.grad.item()) == (pytest.approx(36), pytest.approx(12))


def test_leaves_outside_get_no_gradient_from_inside():
    w = t(1.0, 2.0, requires_grad=True)
    grad(lambda a: (a * w).sum())(t(1.0, 1.0))
    assert w.grad is None


def test_a_result_that_is_an_argument_is_that_argument():
    x, leaf = t(1.0), t(1.0, requires_grad=True)
    assert vjp(lambda a: a, x)[0] is x
    assert vjp(lambda a: (a, {"k": a}), leaf)[0][1]["k"] is leaf
    assert grad(lambda a: (a.sum(), a), has_aux=True)(leaf)[1] is leaf


def test_linearize_draws_the_random_numbers_of_the_first_run_again():
    x = t(1.0, 2.0)
    out, push = linearize(lambda a: a.exp() * tg.rand_like(a), x)
    after = tg.get_rng_state().tolist()
    for _ in range(2):
        assert push(t(1.0, 1.0)).tolist() == out.tolist()
    assert tg.get_rng_state().tolist() == after


def test_linearize_is_the_jvp_where_grad_mode_is_off():
    def function(a):
        with tg.no_grad():
            total = a.sum()
        return a / total

    x, v = t(1.0, 2.0), t(1.0, 1.0)
    assert linearize(function, x)[1](v).tolist() == jvp(function, (x,), (v,))[1].tolist()
    np.testing.assert_allclose(linearize(function, x)[1](v).numpy(), [1 / 9, -1 / 9], rtol=1e-6)


def test_linear_functions_of_complex_numbers():
    x, v = tg.tensor([1 + 2j]), tg.tensor([0.5 - 1j])
    for function in (lambda a: a * a, lambda a: a * a.conj(), lambda a: a.real * a, lambda a: a.exp() * 1j):
        np.testing.assert_allclose(
            linearize(function, x)[1](v).numpy(), jvp(function, (x,), (v,))[1].numpy(), rtol=1e-5
        )


# What they refuse, and leave behind


def test_captured_tensors_cannot_be_written_to():
    c, x = t(1.0, 2.0), t(1.0, 1.0)
    for run in (
        lambda: grad(lambda a: (c.mul_(2) * a).sum())(x),
        lambda: vjp(lambda a: c.mul_(a), x),
        lambda: jvp(lambda a: c.mul_(a), (x,), (x,)),
        lambda: grad(lambda a: (c[0].zero_() * a).sum())(x),
        lambda: grad(
            lambda a: (
                grad(lambda b: ((a * 1)[0].mul_(2) * b).sum())(x).sum() + grad(lambda b: (c.mul_(2) * b).sum())(a).sum()
            )
        )(x),
        lambda: vmap(grad(lambda a: c.mul_(a[0]).sum()))(t(1.0, 2.0).view(2, 1)),
    ):
        with pytest.raises(InPlaceError, match="mutate a captured Tensor"):
            run()
    assert (c.tolist(), c._version, c.requires_grad) == ([1.0, 2.0], 0, False)


def test_what_is_made_inside_can_be_written_to():
    def function(a):
        made = [
            tg.zeros(2, dtype=tg.float64), tg.zeros_like(a), a.new_ones(2), t(1.0, 2.0), tg.from_numpy(np.zeros(2)),
            a.clone(), a.expand(3, 2).clone()[0], tg.stack([a, a])[1], a.detach().clone(), tg.rand(2).double(),
            (a.view(2, 1) * 1).T.contiguous()[0],
        ]  # fmt: skip
        if a.requires_grad:
            made += tg.autograd.grad((a * a).sum(), a)
        return sum((x.mul_(0).add_(a).sum() for x in made), a.sum() * 0)

    assert grad(function)(t(1.0, 2.0)).tolist() == [12.0, 12.0]
    assert jvp(function, (t(1.0, 2.0),), (t(1.0, 0.0),))[1].item() == 11


def test_the_state_is_as_before_also_after_an_exception():
    x = t(1.0)
    for transform in (grad, jacrev, jacfwd, hessian, by_jvp, by_vjp, by_linearize):
        for enabled in (True, False):
            with tg.set_grad_enabled(enabled):
                with pytest.raises(ZeroDivisionError):
                    transform(lambda _: 1 // 0)(x)
                assert tg.is_grad_enabled() is enabled
                assert state.watchers == ()


def test_graphs_and_tangents_are_freed():
    made = []

    def function(a):
        b = a * 2
        made.append(weakref.ref(b))
        return (b * b).sum()

    for run in (grad(function), by_jvp(function), jacrev(function), jacfwd(function), hessian(function)):
        result = run(t(1.0, 2.0))
        gc.collect()
        assert not [b for b in made if b() is not None]
        del result
    pull = vjp(function, t(1.0, 2.0))[1]
    assert made[-1]() is not None
    del pull
    gc.collect()
    assert made[-1]() is None


def test_hooks_see_the_gradients_inside():
    seen = []

    def function(a):
        b = a * 2
        b.register_hook(lambda g: (seen.append(g.tolist()), g * 10)[1])
        return b.sum()

    assert grad(function)(t(1.0)).tolist() == [20.0]
    assert seen == [[1.0]]


def test_a_jitted_function_inside_is_run_as_it_is_written():
    compiled = tg.jit(lambda a: a**3)
    x = t(2.0, requires_grad=True)
    compiled(x)
    compiled(x)
    for derivative in (grad, by_jvp, jacrev, jacfwd, by_linearize):
        assert derivative(lambda a: compiled(a).sum())(x * 1).sum().item() == 12


def test_jacobians_of_containers():
    def function(tree):
        return {"p": tree["u"].sum() * tree["v"][0], "q": (tree["v"][0] ** 2,)}

    tree = {"u": t(1.0, 2.0), "v": [t(3.0)]}
    for transform in (jacrev, jacfwd):
        found = transform(function)(tree)
        assert found["p"]["u"].tolist() == [[3.0, 3.0]]
        assert found["p"]["v"][0].tolist() == [[3.0]]
        assert found["q"][0]["u"].tolist() == [[0.0, 0.0]]
        assert found["q"][0]["v"][0].tolist() == [[6.0]]


@pytest.mark.parametrize("chunk_size", [None, 1, 2, 3, 100])
def test_rows_of_a_jacobian_are_computed_so_many_at_a_time(chunk_size):
    found = jacrev(lambda a: (a**2, a.sum()), chunk_size=chunk_size)(t(1.0, 2.0, 3.0))
    assert found[0].tolist() == np.diag([2.0, 4.0, 6.0]).tolist()
    assert found[1].tolist() == [1.0, 1.0, 1.0]


def test_by_position():
    function = lambda a, b, c: a * b**2 * c**3  # noqa: E731
    args = scalar(2), scalar(3), scalar(1)
    assert grad(function, argnums=-1)(*args).item() == 54
    assert [g.item() for g in grad(function, argnums=(2, 0))(*args)] == [54, 9]
    assert [g.item() for g in jacfwd(function, argnums=(-1, 0))(*args)] == [54, 9]
    with pytest.raises(TransformError, match="Got argnum=3, but only 3 positional inputs"):
        grad(function, argnums=3)(*args)
