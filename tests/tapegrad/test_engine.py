"""The reverse walk: long and wide graphs, what is kept alive, errors on the way, threads."""

from __future__ import annotations

import contextvars
import gc
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tapegrad as tg

LONG = 1_000_000


@contextmanager
def no_collector() -> Iterator[None]:
    """Without the cycle collector: what is freed is freed by its last reference."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def chain(x: tg.Tensor, length: int) -> tg.Tensor:
    for _ in range(length):
        x = x + x if length < 100 else x + 1.0
    return x


def test_a_chain_of_a_million_adds() -> None:
    """Runs backward without recursion, and is freed without recursion."""
    x = leaf(1.0)
    with no_collector():
        y = chain(x, LONG)
        node = weakref.ref(y.grad_fn)
        y.backward()
        del y
    assert x.grad is not None
    assert x.grad.tolist() == [1.0]
    assert node() is None


def test_a_chain_that_is_never_run_is_freed_from_its_end() -> None:
    x = leaf(1.0)
    y = chain(x, LONG // 5)
    node = weakref.ref(y.grad_fn)
    del x
    with no_collector():
        del y
    assert node() is None


def test_memory_of_a_chain() -> None:
    """Bytes per node while it waits; nothing once it is gone, whether it was run or not."""
    x, length = leaf(1.0), 20_000
    chain(x, 100).backward()  # what is made once
    with no_collector():
        tracemalloc.start()
        try:
            for run in (False, True):
                before = tracemalloc.get_traced_memory()[0]
                y = chain(x, length)
                held = tracemalloc.get_traced_memory()[0] - before
                if run:
                    y.backward()
                del y
                left = tracemalloc.get_traced_memory()[0] - before
                assert 100 * length < held < 1000 * length
                assert left < 0.02 * held
        finally:
            tracemalloc.stop()


def test_paths_are_counted_not_walked() -> None:
    """Sixty doublings: 2**60 paths, 60 nodes."""
    x = leaf(1.0)
    y = chain(x, 60)
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 2.0**60
    nodes, node = 0, y.grad_fn
    while node is not None and node.name() != "AccumulateGrad":
        nodes, node = nodes + 1, node.next_functions[0][0]
    assert nodes == 60


def test_every_node_runs_once_after_all_that_use_it() -> None:
    calls: list[str] = []

    class Named(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: tg.Tensor, name: str) -> tg.Tensor:
            ctx.called = name
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: tg.Tensor) -> Any:
            calls.append(ctx.called)
            return g * 2, None

    x = leaf(1.0)
    a = Named.apply(x, "a")
    b = Named.apply(a, "b")
    c = Named.apply(a + b, "c")
    (c + b + a).backward()
    assert sorted(calls) == ["a", "b", "c"]
    assert calls.index("c") < calls.index("b") < calls.index("a")


class Scaled(tg.autograd.Function):
    """Saves its argument and its output."""

    @staticmethod
    def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
        out = x * 3
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
        x, out = ctx.saved_tensors
        return g * out / x


def in_place(x: tg.Tensor) -> tg.Tensor:
    y = x * 1
    y += x
    y[0] = 2.0
    y[:1].mul_(3)
    return y.exp_()


GRAPHS: dict[str, Callable[[tg.Tensor], tg.Tensor]] = {
    "arithmetic": lambda x: (x * x + 1) / x - x**3,
    "saves its output": lambda x: x.exp().tanh().sigmoid().softmax(0).sqrt(),
    "views": lambda x: x.view(2, 1).T.reshape(2)[1:].expand(3) * x[0],
    "reductions": lambda x: x.max(0).values * x.prod() + x.logsumexp(0) * x.var() + x.amax(),
    "joins and picks": lambda x: tg.cat([x, x[[0, 0]]]).cumsum(0).clamp(0, 1).where(x[0] > 0, 2.0),
    "in place": in_place,
    "Function": lambda x: Scaled.apply(x) * Scaled.apply(x + 1),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_freed_by_their_last_reference(name: str) -> None:
    """Without the cycle collector, before backward, after it, and after a backward with a graph of its own."""
    x = leaf(1.0, 2.0)
    for create_graph in (None, False, True):
        with no_collector():
            y = GRAPHS[name](x).sum()
            gone = weakref.ref(y), weakref.ref(y.grad_fn)
            if create_graph is not None:
                (g,) = tg.autograd.grad(y, x, create_graph=create_graph)
                gone += (weakref.ref(g),)
                del g
            del y
            assert [ref() for ref in gone] == [None] * len(gone), (name, create_graph)


def test_backward_frees_what_nodes_saved() -> None:
    x = leaf(1.0, 2.0)
    with no_collector():
        m = x * 2
        memory = weakref.ref(m)
        y = (m * m).sum()
        del m
        assert memory() is not None
        y.backward(retain_graph=True)
        assert memory() is not None
        y.backward()
        assert memory() is None


def test_a_node_that_saves_nothing_keeps_nothing() -> None:
    x = leaf(1.0, 2.0)
    with no_collector():
        m = x * 2
        memory = weakref.ref(m)
        y = (m + 1).sum()
        del m
        assert memory() is None
    y.backward()
    assert x.grad is not None


class Failing(tg.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
        return x + 0

    @staticmethod
    def backward(ctx: Any, g: tg.Tensor) -> Any:
        raise KeyError("in the middle")


def test_an_error_in_the_middle_leaves_the_engine_usable() -> None:
    x = leaf(1.0, 2.0)
    y = Failing.apply(x * 2).sum() + (x * x).sum()
    for _ in range(2):
        with pytest.raises(KeyError, match="in the middle"):
            y.backward(retain_graph=True)
        assert tg.is_grad_enabled()
    x.grad = None
    (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]


def test_the_gradients_memory_is_the_leaf_s_own() -> None:
    """Nobody's array is written to when gradients are, and no two leaves share one."""
    x, y, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), tg.tensor([1.0, 1.0], dtype=tg.float64)
    (x + y).backward(seed)
    x.backward(seed)
    assert x.grad is not None
    assert y.grad is not None
    x.grad += 10
    assert y.grad.tolist() == [1.0, 1.0]
    assert seed.tolist() == [1.0, 1.0]


def test_grad_mode_is_per_thread() -> None:
    seen: list[bool] = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_run_backward_on_graphs_of_their_own() -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work(k: int) -> None:
        try:
            start.wait()
            for _ in range(50):
                x = leaf(float(k), 2.0)
                (x * x * k).sum().backward()
                assert x.grad is not None
                np.testing.assert_array_equal(x.grad.numpy(), [2.0 * k * k, 4.0 * k])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_threads_run_backward_over_one_graph() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).exp().sum()
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(tg.autograd.grad(y, x, retain_graph=True)[0].tolist()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(g == found[0] for g in found)


def test_a_custom_backward_runs_in_the_callers_context():
    variable = contextvars.ContextVar("variable")
    variable.set(3.0)

    class Scale(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            scale = variable.get()
            variable.set(7.0)
            return g * scale

    x = tg.ones(2, requires_grad=True)
    Scale.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert variable.get() == 7.0


def test_gradients_with_a_graph_are_each_leafs_own() -> None:
    a, b, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), tg.tensor([1.0, 10.0], dtype=tg.float64)
    (a + b).backward(seed, create_graph=True)
    assert a.grad is not None
    assert b.grad is not None
    with tg.no_grad():
        a.grad.mul_(3)
    (a * 2).sum().backward()
    assert a.grad.tolist() == [5.0, 32.0]
    assert b.grad.tolist() == [1.0, 10.0]
    assert seed.tolist() == [1.0, 10.0]


def test_the_result_of_a_division_may_be_written_to() -> None:
    a, b = leaf(1.0, 2.0), leaf(4.0, 8.0)
    y = a / b
    y.mul_(2)
    y.sum().backward()
    assert b.grad is not None
    assert b.grad.tolist() == [-2 / 16, -4 / 64]


def test_a_write_through_a_deep_chain_of_views() -> None:
    a = leaf(1.0, 2.0)
    base = a * 2
    view = base
    for _ in range(2000):
        view = view.view(2)
    view.mul_(3)
    base.sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [6.0, 6.0]
