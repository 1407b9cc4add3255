"""Gradients through the result of a jitted function, from outside: each program does the same eagerly and jitted.

A program is given what to decorate its function with, and calls that several times: the first call records, the others
run what was compiled. What it says of each call is compared.
"""

from __future__ import annotations

import pytest

import tapegrad as tg
from tapegrad.errors import TapegradError

CALLS = 3


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


def attempt(call, *tensors):
    """What `call` comes to: the class of its error, or the gradients of `tensors`, None where there is none."""
    try:
        call()
    except TapegradError as error:
        return type(error).__name__
    return [None if t.grad is None else t.grad.tolist() for t in tensors]


PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


@program
def a_saved_input_is_written_to(jit):
    f = jit(lambda w, x: (w * x).sum())
    for _ in range(CALLS):
        w, x = leaf(1.0, 2.0), tg.tensor([3.0, 4.0])
        out = f(w, x)
        x.mul_(2)
        yield attempt(out.backward, w)


@program
def an_input_that_was_not_saved_is_written_to(jit):
    f = jit(lambda w, x: (w * x).sum())
    for _ in range(CALLS):
        w, x = leaf(1.0, 2.0), tg.tensor([3.0, 4.0])
        out = f(w, x)
        with tg.no_grad():
            w.mul_(2)
        yield attempt(out.backward, w)


@program
def backward_twice(jit):
    f = jit(lambda w: (w * w).sum())
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        out = f(w)
        yield attempt(out.backward, w)
        yield attempt(out.backward, w)


@program
def backward_twice_where_nothing_was_saved(jit):
    f = jit(lambda w, x: (w + x).sum())
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        out = f(w, tg.ones(2))
        yield attempt(out.backward, w)
        yield attempt(out.backward, w)


@program
def a_result_that_depends_on_one_input_only(jit):
    f = jit(lambda w, v: ((w * w).sum(), (v * v).sum()))
    for which in (0, 1, 0, 1):
        w, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
        yield attempt(f(w, v)[which].backward, w, v)


@program
def a_graph_that_was_freed_inside(jit):
    def step(w):
        y = w * w
        y.sum().backward()
        return y

    f = jit(step)
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        yield attempt(f(w).sum().backward, w)


@program
def a_value_saved_inside_that_was_overwritten_inside(jit):
    def step(w):
        y = w.exp()
        z = (y * 2).sum()
        with tg.no_grad():
            y.mul_(2)
        return z

    f = jit(step)
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        yield attempt(f(w).backward, w)


@program
def a_result_that_keeps_its_gradient(jit):
    def step(w):
        y = w * 2
        y.retain_grad()
        return y

    f = jit(step)
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        y = f(w)
        yield attempt((y * y).sum().backward, w, y)


@program
def a_view_of_an_input(jit):
    f = jit(lambda w: w[1:])
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        y = f(w)
        yield y.grad_fn.name(), y._is_view(), y._base is w
        with tg.no_grad():
            y.mul_(3)
        yield w.tolist(), w._version
        yield attempt((y * y).sum().backward, w)


@program
def a_view_of_an_input_without_history(jit):
    f = jit(lambda w: w.detach()[1:])
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        y = f(w)
        y.mul_(3)
        yield y.requires_grad, w.tolist(), w._version


@program
def results_that_share_memory(jit):
    def step(w):
        y = w * 2
        return y, y[1:], y.detach()

    f = jit(step)
    for _ in range(CALLS):
        w = leaf(1.0, 2.0)
        y, part, detached = f(w)
        yield [t.requires_grad for t in (y, part, detached)], part._base is y
        part.mul_(3)
        yield [t.tolist() for t in (y, part, detached)]
        yield attempt((y * y).sum().backward, w)


@program
def a_tensor_saved_outside_that_is_written_to_inside(jit):
    f = jit(lambda x: x.mul_(2).add_(1))
    for _ in range(CALLS):
        w, x = leaf(1.0, 2.0), tg.ones(2)
        out = (w * x).sum()
        f(x)
        yield x._version, attempt(out.backward, w)


@program
def flags_set_and_histories_cut_inside(jit):
    w = leaf(1.0, 2.0)

    def step(y):
        w.requires_grad_(not w.requires_grad)
        y.detach_()
        return y * 1

    f = jit(step)
    for _ in range(6):
        y = leaf(1.0) * 2
        f(y)
        yield w.requires_grad, y.requires_grad, y.grad_fn is None


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_gradients_from_outside_are_what_they_are_eagerly(program):
    expected = list(program(lambda function: function))
    assert list(program(tg.jit)) == expected
    assert list(program(tg.jit(check="never"))) == expected


def hook_on_the_result(w):
    y = (w * 2).sum()
    y.register_hook(lambda g: g * 3)
    return y


def leaf_made_inside(w):
    return (tg.ones(2).requires_grad_() * w).sum()


@pytest.mark.parametrize(
    ("function", "message"), [(hook_on_the_result, "by way of code of yours"), (leaf_made_inside, "leaf")]
)
def test_what_a_compiled_call_cannot_give_a_gradient_is_refused(function, message):
    fast = tg.jit(function)
    for _ in range(2):
        fast(leaf(1.0, 2.0))
    for _ in range(2):
        out = fast(leaf(1.0, 2.0))
        assert out.requires_grad
        with pytest.raises(tg.UnsupportedError, match=message):
            out.backward()


@pytest.mark.parametrize("jit", [lambda function: function, tg.jit], ids=["eager", "jitted"])
def test_a_graph_outlives_a_step_that_writes_over_what_it_was_made_of(jit):
    w = leaf(1.0, 2.0)
    forward = jit(lambda x: (w.exp() * x).sum())

    @jit
    def descend():
        with tg.no_grad():
            w.sub_(1)

    for _ in range(4):
        value = w.detach().clone()
        out = forward(tg.tensor([1.0, 3.0]))
        descend()
        (g,) = tg.autograd.grad(out, w, create_graph=True)
        assert tg.allclose(g, value.exp() * tg.tensor([1.0, 3.0]))


def test_a_graph_has_memory_of_its_own():
    leaves = [leaf(n / 32, 0.5, 1.0, 2.0) for n in range(32)]  # many: JAX shares memory that begins at a multiple of 64
    forward = tg.jit(lambda x: sum((w.exp() * x).sum() for w in leaves))
    for _ in range(2):
        values = [w.detach().clone() for w in leaves]
        out = forward(tg.tensor(3.0))
        with tg.no_grad():
            for w in leaves:
                w.sub_(1)
        for value, g in zip(values, tg.autograd.grad(out, leaves, create_graph=True), strict=True):
            assert tg.allclose(g, value.exp() * 3)
