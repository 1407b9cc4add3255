"""Assignments to `.data`, and what `.data` is, in jitted functions: memory, values, and who counts writes with whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tapegrad as tg

from .alongside import Pair


def weights(*values: float, requires_grad: bool = True) -> tg.Tensor:
    return tg.tensor(values or (1.0, 2.0, 3.0), requires_grad=requires_grad)


def swapped_for_a_call() -> Any:
    w, e = weights(), weights(5.0, 6.0, 7.0)

    def step():
        backup = w.data
        w.data = e.data
        result = (w * 2).detach()
        w.data = backup
        return result

    return step, [w, e]


def written_while_away() -> Any:
    w, e = weights(), weights(5.0, 6.0, 7.0)

    def step():
        backup = w.data
        w.data = e.data
        backup.add_(1)
        with tg.no_grad():
            w.mul_(2)
        w.data = backup
        return w * 1

    return step, [w, e, w.detach()]


def clipped_after_the_optimiser() -> Any:
    w, x = weights(), weights(1.0, 1.0, -1.0, requires_grad=False)
    optimizer = tg.optim.SGD([w], lr=0.1)

    def step():
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        w.data = w.data.clamp(-0.5, 0.5)

    return step, [w]


def clipped_beside_an_alias() -> Any:
    """The alias sees what the optimiser wrote, not the clipping."""
    step, (w,) = clipped_after_the_optimiser()
    return step, [w, w.detach()]


def gradient_divided() -> Any:
    w, x = weights(), weights(1.0, 2.0, 3.0)

    def step():
        if w.grad is not None:
            w.grad.zero_()
        (w * w * x).sum().backward()
        w.grad.data = w.grad.data / 3

    return step, [w, x]


def assigned_twice() -> Any:
    w, x, y = weights(), weights(requires_grad=False), weights(4.0, 5.0, 6.0, requires_grad=False)

    def step():
        w.data = x
        with tg.no_grad():
            w.add_(1)
        w.data = y
        return w + 0

    return step, [w, x, y]


def written_through_an_old_view() -> Any:
    w, x = weights(requires_grad=False), weights(requires_grad=False)
    v = w[:2]

    def step():
        w.data = x
        v.add_(1)
        return w + 0, v * 2

    return step, [w, v, x]


def old_and_new_views_returned() -> Any:
    w, v = weights(requires_grad=False), None

    def step(x):
        v = w[:2]
        w.data = x
        return v, w[1:], w.detach()

    return step, [w, v]


def exchanged() -> Any:
    a, b = weights(), weights(4.0, 5.0, 6.0)

    def step():
        a.data, b.data = b.data, a.data
        with tg.no_grad():
            a.add_(1)

    return step, [a, b]


def two_on_new_memory() -> Any:
    a, b = weights(), weights(4.0, 5.0, 6.0)

    def step():
        new = (a * 2).detach()
        a.data = new
        b.data = new
        with tg.no_grad():
            a.add_(1)
        return new

    return step, [a, b]


def flattened() -> Any:
    a, b = tg.ones(2, 2, requires_grad=True), weights()

    def step():
        flat = tg.cat([a.detach().reshape(-1), b.detach()])
        a.data, b.data = flat[:4].view(2, 2), flat[4:].view_as(b)
        flat.add_(1)

    return step, [a, b]


def flattened_and_returned() -> Any:
    _, (a, b) = flattened()
    kept = [a, b, None]

    def with_result():
        flat = tg.cat([a.detach().reshape(-1), b.detach()])
        a.data, b.data = flat[:4].view(2, 2), flat[4:].view_as(b)
        with tg.no_grad():
            a.mul_(3)
        kept[2] = flat

    return with_result, kept


def another_look() -> Any:
    w = tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    def step():
        w.data = w.data.t()
        w.add_(1)

    return step, [w, w.detach()]


def differentiated_twice_after_coming_back() -> Any:
    """What a hook's walk makes anew of the saved `h` has the history that `h` was given last."""
    x = weights()

    def step():
        x.grad = None
        h = x * 2
        h.register_hook(lambda g: g * 1)
        backup = h.data
        h.data = tg.zeros(3)
        h.data = backup
        h.mul_(x)
        (g,) = tg.autograd.grad((h * h * h).sum(), x, create_graph=True)
        (g * g).sum().backward()

    return step, [x]


def written_before_that() -> Any:
    """The version goes on from what it was."""
    w = weights()

    def step():
        with tg.no_grad():
            w.add_(1)
        w.data = w.data * 2
        with tg.no_grad():
            w.add_(1)
        return (w * w).sum()

    return step, [w]


ASSIGNED = [
    swapped_for_a_call, written_while_away, clipped_after_the_optimiser, clipped_beside_an_alias, gradient_divided, assigned_twice, written_through_an_old_view,
    differentiated_twice_after_coming_back, exchanged, two_on_new_memory, flattened, flattened_and_returned, another_look, written_before_that,
]  # fmt: skip


@pytest.mark.parametrize("build", ASSIGNED, ids=lambda f: f.__name__)
def test_assigned_data_is_as_eagerly(build):
    pair = Pair(build)
    pair.call(times=4)
    assert pair.fast.specialisations[-1].calls


@pytest.mark.parametrize("build", ASSIGNED, ids=lambda f: f.__name__)
def test_memory_is_shared_as_eagerly_afterwards(build):
    """What is written to one tensor shows in the same others."""

    def write(world):
        with tg.no_grad():
            for k, t in enumerate(world):
                if t is not None:
                    t[0] += k + 1

    pair = Pair(build)
    for _ in range(4):
        pair.call()
        pair.both(write)


def test_old_and_new_views_are_returned():
    pair = Pair(old_and_new_views_returned)
    for _ in range(3):
        pair.call(lambda: (weights(requires_grad=False),))


def test_an_error_leaves_memory_as_it_was():
    def build():
        w, e = weights(requires_grad=False), weights(4.0, 5.0, 6.0, requires_grad=False)
        v = w[:2]

        def step():
            w.data = e
            v.add_(1)
            w.add_(1)
            raise KeyError("step")

        return step, [w, v, e, w.detach()]

    assert "step" in Pair(build).fails(KeyError)


def test_followed_writes_through_an_old_view_are_refused():
    def build():
        x = weights()

        def step():
            h = x * 2
            v = h[:2]
            h.data = tg.zeros(3)
            v.mul_(x[:2])
            return v

        return step, [x]

    assert "make the view anew" in Pair(build).fails(tg.UnsupportedError)


def test_record_refuses_writes_that_only_a_view_would_show():
    def function(w, v):
        w.data = w * 2
        v.add_(1)

    w = weights(requires_grad=False)
    with pytest.raises(tg.UnsupportedError, match=r"clone\(\) the view"):
        tg.record(function, w, w[:2])


# What `.data` is


def data_of(make: Callable[[tg.Tensor, list[Any]], None], use: Callable[[list[Any]], None]) -> Pair:
    def build():
        w = weights()
        w.grad = tg.ones(3)
        kept: list[Any] = [w, None, None, None]
        return (lambda: make(w, kept)), kept

    pair = Pair(build)
    for _ in range(3):
        pair.call()
        pair.both(use)
    return pair


def squared(t: tg.Tensor, write: Callable[[], Any]) -> None:
    """A gradient that needs the value of `t`, which is written to meanwhile."""
    y = (t * t).sum()
    write()
    y.backward()


def test_data_kept_by_a_compiled_call_counts_writes_apart():
    def make(w, kept):
        kept[1] = w.data

    pair = data_of(make, lambda kept: squared(kept[0], lambda: kept[1].add_(1)))
    assert pair.jitted[1]._version == 1


def test_data_of_a_new_tensor_counts_writes_apart():
    def make(w, kept):
        kept[1] = w * 2
        kept[2] = kept[1].data
        kept[3] = kept[2].detach()[1:]

    data_of(make, lambda kept: squared(kept[1], lambda: (kept[2].add_(1), kept[3].add_(1))))


def test_data_written_inside_and_its_views_count_together():
    def make(w, kept):
        kept[1] = w.data
        kept[1].add_(1)
        kept[2] = kept[1].detach()
        kept[3] = kept[1][:2]

    data_of(make, lambda kept: (kept[2].add_(1), squared(kept[0], lambda: kept[3].add_(1))))


def test_data_of_a_gradient_counts_writes_apart():
    def make(w, kept):
        kept[1], kept[2] = w.grad.data, w.grad.detach()

    data_of(make, lambda kept: (kept[1].add_(1), kept[2].add_(1)))


@pytest.mark.parametrize("written", ["w", "d", "both"])
@pytest.mark.parametrize("first", ["w", "d"])
def test_captured_data_counts_writes_apart(written, first):
    def build():
        w = weights(requires_grad=False)
        d = w.data
        world = [w, d] if first == "w" else [d, w]

        def step():
            assert world
            if written != "d":
                w.add_(1)
            if written != "w":
                d.mul_(2)
            return d.data, d.detach(), w.detach()

        return step, world

    Pair(build).call(times=3)
