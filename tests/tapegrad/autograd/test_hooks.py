"""Hooks: what they keep alive, what an exception in one leaves behind, deep graphs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import tapegrad as tg


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """What is freed is freed by its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


class Probe:
    """Something whose end can be seen."""


@pytest.mark.usefixtures("_no_collector")
def test_a_hook_lives_as_long_as_its_node() -> None:
    x, probe = leaf(1.0), Probe()
    seen = weakref.ref(probe)
    y = x * 2
    handle = y.register_hook(lambda g, probe=probe: None)
    del probe
    assert seen() is not None
    del y
    assert seen() is None
    handle.remove()  # nothing is there any more


@pytest.mark.usefixtures("_no_collector")
def test_removal_frees_the_hook() -> None:
    x, probe = leaf(1.0), Probe()
    seen = weakref.ref(probe)
    handle = x.register_hook(lambda g, probe=probe: None)
    del probe
    handle.remove()
    assert seen() is None


@pytest.mark.usefixtures("_no_collector")
def test_the_handle_keeps_nothing_alive() -> None:
    x = leaf(1.0)
    y = x * 2
    node = weakref.ref(y.grad_fn)
    handle = y.register_hook(lambda g: None)
    y.retain_grad()
    y.sum().backward()
    del y
    assert node() is None
    assert handle.id >= 0


def test_a_kept_gradient_does_not_keep_its_tensor() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    z = (y * y).sum()
    seen = weakref.ref(y)
    y.grad
    del y
    gc.collect()
    z.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [8.0]
    del z
    gc.collect()
    assert seen() is None


def test_leaves_with_hooks_do_not_pile_up() -> None:
    from tapegrad.tape.hooks import hooked_leaves

    gc.collect()
    before = len(hooked_leaves)
    for _ in range(10):
        leaf(1.0).register_post_accumulate_grad_hook(lambda t: None)
    gc.collect()
    assert len(hooked_leaves) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_a_hook_changes_no_gradient(error: type[BaseException]) -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * w
    armed = True

    def hook(g: Any) -> None:
        if armed:
            raise error("stop")

    y.register_hook(hook)
    loss = (y * y).sum()
    with pytest.raises(error, match="stop"):
        loss.backward(retain_graph=True)
    assert x.grad is None
    assert w.grad is None
    assert tg.is_grad_enabled()
    armed = False
    loss.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2 * 1.0 * 9.0, 2 * 2.0 * 16.0]


def test_an_exception_after_a_leaf_was_finished_leaves_that_leaf_right() -> None:
    """As in PyTorch: a leaf with post-accumulate hooks has its gradient before the walk ends."""
    v, w = leaf(2.0), leaf(3.0)
    w.register_post_accumulate_grad_hook(lambda t: None)
    y = v * 5
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (y * w).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [10.0]
    assert v.grad is None


def test_a_chain_of_hooked_nodes() -> None:
    """Deep, without recursion; every hook runs once."""
    x, count = leaf(1.0), [0]

    def hook(g: Any) -> None:
        count[0] += 1

    y = x
    for _ in range(20_000):
        y = y + 1.0
        y.register_hook(hook)
    y.sum().backward()
    assert count == [20_000]
    assert x.grad is not None
    assert x.grad.tolist() == [1.0]


def test_post_hooks_see_gradients_of_the_shape_of_the_operand() -> None:
    """Also where the primitive broadcast by itself."""
    a, b = leaf(1.0, 2.0), tg.ones(3, 2, dtype=tg.float64, requires_grad=True)
    y = a * b
    shapes: list[Any] = []
    y.grad_fn.register_hook(lambda gi, go: shapes.append([tuple(g.shape) for g in (*gi, *go)]))
    y.sum().backward()
    assert shapes == [[(2,), (3, 2), (3, 2)]]


def test_hooks_inside_recordings_are_recorded_unless_they_stay() -> None:
    x = leaf(1.0)
    with pytest.raises(tg.UnsupportedError, match="a hook that stays"):
        tg.record(lambda x: x.register_hook(lambda g: g) and None, x)
    x = leaf(1.0)
    tg.record(lambda x: (x * 2).register_hook(lambda g: g) and None, x)
    x.register_hook(lambda g: g * 2)
    tape = tg.record(lambda x: (x * 2).sum().backward(), x)
    assert [step.prim.name for step in tape.steps] == ["mul", "reduce_sum", "full", "backward", "mul", "cast"]
    assert x.grad is not None
    assert x.grad.tolist() == [4.0]


def test_backward_inside_a_hook() -> None:
    x, w = leaf(2.0), leaf(3.0)
    y = x * x
    y.register_hook(lambda g: ((w * w).sum().backward(), None)[1] if g.requires_grad else None)
    with tg.enable_grad():
        y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0]

    def inner(g: Any) -> None:
        with tg.enable_grad():
            (w * w).sum().backward()

    z = x * x
    z.register_hook(inner)
    z.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [6.0]
    assert x.grad.tolist() == [8.0]


def test_a_leaf_used_several_times_is_finished_once() -> None:
    x, seen = leaf(1.0, 2.0), []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    y = x * 2
    (x + y * (x * y)).sum().backward()  # x + 4 x^3
    assert seen == [[13.0, 49.0]]


def test_what_a_hook_returns_goes_on_and_is_kept() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    z = (y * y).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad is not None
    assert x.grad is not None
    assert y.grad.tolist() == [80.0, 160.0]
    assert x.grad.tolist() == [160.0, 320.0]


def test_accumulating_into_a_gradient_that_a_graph_saved_is_noticed() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x * 2).sum().backward()
    y = x.grad * w
    (x * 3).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [5.0, 5.0]
    with pytest.raises(tg.InPlaceError, match="is at version 1; expected version 0"):
        y.sum().backward()


def test_gradients_of_what_lies_on_the_way_to_another_target() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    (gy, gx) = tg.autograd.grad((y * y).sum(), [y, x])
    assert gy.tolist() == [4.0, 8.0]
    assert gx.tolist() == [8.0, 16.0]
