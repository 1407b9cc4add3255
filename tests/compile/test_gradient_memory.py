"""How the memory of gradients is laid out in the call that is recorded: as in the eager run, whatever hooks there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tapegrad as tg

from .alongside import Pair


def plain(w: tg.Tensor) -> tg.Tensor:
    return w


def hooked_leaf(w: tg.Tensor) -> tg.Tensor:
    w.register_hook(lambda g: None)
    return w


def hook_that_replaces(w: tg.Tensor) -> tg.Tensor:
    w.register_hook(lambda g: g * 2)
    return w


def hooked_accumulation(w: tg.Tensor) -> tg.Tensor:
    w.register_post_accumulate_grad_hook(lambda t: None)
    return w


def hooked_on_the_way(w: tg.Tensor) -> tg.Tensor:
    h = w * 2
    h.register_hook(lambda g: g)
    return h


def kept_on_the_way(w: tg.Tensor) -> tg.Tensor:
    h = w * 2
    h.retain_grad()
    return h


USES = [plain, hooked_leaf, hook_that_replaces, hooked_accumulation, hooked_on_the_way, kept_on_the_way]
INSIDE = (hooked_on_the_way, kept_on_the_way)  # on what is made at each call


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("use", USES, ids=lambda f: f.__name__)
def test_gradients_are_in_the_order_of_the_leaf(use: Callable[[Any], Any], create_graph: bool):
    strides = []
    for jitted in (False, True):
        w = tg.ones(2, 2, requires_grad=True)
        if use not in INSIDE:
            use(w)

        def step(x, w=w):
            w.grad = None
            h = use(w) if use in INSIDE else w
            (x @ h.t()).exp().sum().backward(create_graph=create_graph)
            return w.grad.view(-1)

        function = tg.jit(step) if jitted else step
        strides.append([(function(tg.ones(3, 2)).stride(), w.grad.stride()) for _ in range(2)])
    assert strides[0] == strides[1] == [((1,), (2, 1))] * 2


def of_one_tensor(x, y):
    return tg.cat([x, y]).exp().sum()


def of_a_stack(x, y):
    return (tg.stack([x, y]) ** 3).sum()


def of_their_logarithm(x, y):
    return tg.logaddexp(x, y).sum()


def of_their_sum(x, y):
    return (x + y).exp().sum()


def grad_with_graph(loss, x, y):
    gs = tg.autograd.grad(loss(x, y), (x, y), create_graph=True)
    second = tg.autograd.grad((gs[0] * gs[1]).sum(), x, retain_graph=True)
    return gs, second


def written_gradients(loss, x, y):
    gs = tg.autograd.grad(loss(x, y), (x, y), create_graph=True)
    with tg.no_grad():
        for g in gs:
            g.mul_(10)
    return [g * 1 for g in gs], gs[0] is gs[1]


def accumulated_with_graph(loss, x, y):
    x.grad = y.grad = None
    for _ in range(2):
        loss(x, y).backward(create_graph=True)
    with tg.no_grad():
        x.grad.mul_(10)
    (x.grad * y.grad).sum().backward()


@pytest.mark.parametrize("take", [grad_with_graph, written_gradients, accumulated_with_graph], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "loss", [of_one_tensor, of_a_stack, of_their_logarithm, of_their_sum], ids=lambda f: f.__name__
)
def test_gradients_with_a_graph_share_memory_as_eagerly(loss, take):
    """They may be parts of one tensor that nobody else sees, or one tensor."""

    def build():
        x, y = tg.tensor([0.1, 0.2], requires_grad=True), tg.tensor([0.3, -0.4], requires_grad=True)
        return (lambda: take(loss, x, y)), [x, y]

    Pair(build).call(times=3)


def test_a_gradient_may_be_the_cotangent_that_was_given():
    fast = tg.jit(lambda x, v: tg.autograd.grad(x, x, v, create_graph=True)[0])
    x, v = tg.ones(2, requires_grad=True), tg.ones(2)
    assert all(fast(x, v) is v for _ in range(3))


def test_a_gradient_with_a_graph_can_be_written_to():
    def function(x):
        return tg.autograd.grad(x.sum(), x, create_graph=True)[0]

    fast = tg.jit(function)
    for f in (function, fast, fast):
        g = f(tg.ones(2, 2, requires_grad=True))
        with tg.no_grad():
            g.mul_(10)
        assert g.tolist() == [[10.0, 10.0], [10.0, 10.0]]
