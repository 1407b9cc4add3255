"""Jitted functions that are given views, and write to them: the base takes the history, as eagerly."""

from __future__ import annotations

from typing import Any

import pytest

import tapegrad as tg

from .alongside import assert_alike


def written(v, u, w):
    return v.mul_(w)


def written_by_a_number(v, u, w):
    v.mul_(2).add_(1)


def both_written(v, u, w):
    v.mul_(w)
    u.add_(v[0] * 3)
    return v * u


def differentiated_inside(v, u, w):
    v.mul_(w)
    return tg.autograd.grad((v * v).sum() + u.sum(), w, retain_graph=True)[0]


def hooked(v, u, w):
    h = v.clone() * w
    h.register_hook(lambda g: g * 5)
    v.copy_(h)
    return v[:1]


def view_of_the_view_returned(v, u, w):
    v.mul_(w)
    return v[:1], v.detach()


FUNCTIONS = [written, written_by_a_number, both_written, differentiated_inside, hooked, view_of_the_view_returned]


def outcome(function: Any, history: bool) -> list[Any]:
    """All that can be seen after a call on two views of one tensor, and after `backward` through all of it."""
    a = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    w = tg.tensor(3.0, requires_grad=True)
    x = a * 1 if history else a.detach().clone()
    v, u = x[:2, 1], x[1]
    result = function(v, u, w)
    seen = [result, v, u, x, v._base is x]
    total = (x * x).sum() + (v * v * v).sum() + u.sum()
    if total.requires_grad:
        total.backward()
    return [*seen, a, w]


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_writes_to_a_view_that_was_given_are_as_eagerly(function, history):
    fast = tg.jit(function)
    for _ in range(4):
        expected = outcome(function, history)
        assert_alike(expected, outcome(fast, history))
    assert fast.specialisations[-1].calls


# Views made where autograd does not follow


def no_grad_view(w):
    with tg.no_grad():
        return w[:2]


def inference_view(w):
    with tg.inference_mode():
        return w.view(-1)


def view_of_a_view(w):
    with tg.no_grad():
        v = w.t()
    return v[1:], v


def view_of_a_new_tensor(w):
    h = w * 2
    with tg.no_grad():
        return h[1:]


def view_and_its_new_base(w):
    h = w * 2
    with tg.no_grad():
        return h[1:], h


def copy_of_a_view(w):
    with tg.no_grad():
        return w[:2].clone(), w.detach()[:2]


def several_views(w):
    return w.unbind(0)


def several_views_of_a_new_tensor(w):
    return (w * 2).split(2)


def views_of_what_needs_no_grad(w):
    with tg.no_grad():
        return w.detach()[0], w[0]


UNFOLLOWED = [
    several_views,
    several_views_of_a_new_tensor,
    views_of_what_needs_no_grad,
    no_grad_view,
    inference_view,
    view_of_a_view,
    view_of_a_new_tensor,
    view_and_its_new_base,
    copy_of_a_view,
]


def tried(action: Any) -> Any:
    try:
        return action()
    except RuntimeError as error:
        return type(error).__name__, str(error).splitlines()[0].partition(" (")[0]


@pytest.mark.parametrize("outside", [tg.enable_grad, tg.no_grad])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("function", UNFOLLOWED, ids=lambda f: f.__name__)
def test_views_made_without_grad_are_what_they_are_eagerly(function, given, outside):
    seen = []
    for jitted in (False, True):
        w = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
        call = function if given else (lambda w=w: function(w))
        call = tg.jit(call) if jitted else call
        seen.append([])
        for _ in range(3):
            with outside():
                result = call(w) if given else call()
            for v in result if isinstance(result, tuple) else (result,):
                is_view = v.grad_fn is None and v.requires_grad
                seen[-1] += [v.requires_grad, v.is_leaf, v.tolist(), is_view and v._base is w, v._version]
                seen[-1] += [v.output_nr, tried(lambda v=v: v.mul_(2).tolist())]
                with tg.no_grad():
                    v.add_(1)
                seen[-1] += [v.tolist(), w.tolist(), w._version]
    assert seen[0] == seen[1]


def test_a_view_that_autograd_cannot_follow_may_be_passed_if_it_is_not_used():
    base = tg.ones(2, 3, requires_grad=True) * 1
    part = base.unbind(0)[0]
    base.mul_(2)  # after which using the part raises
    fast = tg.jit(lambda x: x.shape[0] * 1.0)
    assert [fast(part) for _ in range(3)] == [3.0] * 3
