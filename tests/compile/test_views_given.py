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
