"""Threads that share leaves: no gradient is lost, and each sees its own modes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tapegrad as tg


@pytest.fixture(autouse=True)
def _frequent_switches() -> Iterator[None]:
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(count: int, work: Callable[[int], Any]) -> None:
    """`work(k)` in `count` threads at once; the first error of any is raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run(k: int) -> None:
        try:
            start.wait()
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_shared_leaf_loses_no_gradient() -> None:
    x = tg.zeros(3, dtype=tg.float64, requires_grad=True)
    in_threads(4, lambda k: [(x * (k + 1)).sum().backward() for _ in range(200)])
    assert x.grad is not None
    assert x.grad.tolist() == [200.0 * (1 + 2 + 3 + 4)] * 3


def test_the_first_gradients_of_a_leaf_are_not_lost() -> None:
    """Each leaf is new: its accumulator and its `.grad` are made while others want them."""
    leaves = [tg.zeros(2, requires_grad=True) for _ in range(200)]
    in_threads(4, lambda k: [(x * 2).sum().backward() for x in leaves])
    assert {tuple(x.grad.tolist()) for x in leaves} == {(8.0, 8.0)}


def test_grad_finds_a_leaf_that_another_thread_uses_first() -> None:
    leaves = [tg.zeros(2, requires_grad=True) for _ in range(200)]
    found: list[Any] = []
    in_threads(4, lambda k: [found.append(tg.autograd.grad((x * 3).sum(), x)[0].tolist()) for x in leaves])
    assert found == [[3.0, 3.0]] * 800


def test_gradients_with_a_graph_add_up_too() -> None:
    x = tg.ones(2, dtype=tg.float64, requires_grad=True)
    in_threads(4, lambda k: [(x * x).sum().backward(create_graph=True) for _ in range(50)])
    assert x.grad is not None
    assert x.grad.tolist() == [400.0, 400.0]
    x.grad = None


def test_hooks_run_in_the_thread_of_their_backward() -> None:
    x = tg.ones(2, requires_grad=True)
    seen: list[tuple[str, str]] = []

    def work(k: int) -> None:
        y = x * 2
        name = threading.current_thread().name
        y.register_hook(lambda g: seen.append((name, threading.current_thread().name)))
        for _ in range(20):
            y.sum().backward(retain_graph=True)

    in_threads(4, work)
    assert len(seen) == 80
    assert all(a == b for a, b in seen)


def test_modes_are_per_thread() -> None:
    def work(k: int) -> None:
        for _ in range(100):
            with tg.inference_mode(k % 2 == 0):
                assert tg.is_inference_mode_enabled() == (k % 2 == 0)
                assert tg.ones(2).is_inference() == (k % 2 == 0)
            with tg.no_grad():
                assert not tg.is_grad_enabled()
            assert tg.is_grad_enabled()

    in_threads(4, work)
