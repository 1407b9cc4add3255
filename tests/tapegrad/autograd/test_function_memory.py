"""What a `Function` keeps alive: no cycles, nothing after backward, no growth."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import tapegrad as tg
from tapegrad.autograd.function import once_differentiable


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is freed is freed by its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class SavesOutput(tg.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        _, y = ctx.saved_tensors
        return g * y


class WritesInput(tg.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2 + 0 * ctx.saved_tensors[0]


class ReturnsInput(tg.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x, x.view(-1)

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        return g + h


class Once(tg.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_non_differentiable(marked := x > 0)
        ctx.save_for_backward(marked)
        return x * 2, marked

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        return g * 2


class SetUp(tg.autograd.Function):
    @staticmethod
    def forward(x: Any, scale: float) -> Any:
        return x * scale

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.scale = inputs[1]
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.scale, None


CALLS = [
    lambda x: SavesOutput.apply(x),
    lambda x: WritesInput.apply(x * 1),
    lambda x: ReturnsInput.apply(x * 1)[0],
    lambda x: Once.apply(x)[0],
    lambda x: SetUp.apply(x, 3.0),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("run", [False, True])
def test_a_node_goes_with_its_last_output(call: Any, run: bool) -> None:
    x = tg.ones(3, dtype=tg.float64, requires_grad=True)
    y = call(x)
    node = weakref.ref(y.grad_fn)
    memory = weakref.ref(y._array)
    if run:
        y.sum().backward()
    del y
    assert node() is None
    assert memory() is None


@pytest.mark.parametrize("call", CALLS)
def test_saved_tensors_go_with_backward(call: Any) -> None:
    x = tg.ones(3, dtype=tg.float64, requires_grad=True)
    y = call(x)
    y.sum().backward()
    with pytest.raises(tg.GraphFreedError):
        y.grad_fn.saved_tensors


@pytest.mark.parametrize("call", CALLS)
def test_no_growth(call: Any) -> None:
    x = tg.ones(3, dtype=tg.float64, requires_grad=True)

    def step() -> None:
        x.grad = None
        (g,) = tg.autograd.grad(call(x).sum() * x.sum(), x, create_graph=True)
        with contextlib.suppress(tg.NotDifferentiableError):  # what `once_differentiable` says
            g.sum().backward()

    for _ in range(50):  # what is made once, free lists too
        step()
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            step()
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert growth < 1000 * 20  # a leak of one small object per step would be more
