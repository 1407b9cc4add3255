"""Checkpoints: the same numbers with less memory, random numbers drawn again, nothing left behind."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import tapegrad as tg
from tapegrad.utils.checkpoint import checkpoint

VARIANTS = pytest.mark.parametrize("use_reentrant", [False, True])


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def dropout(x: tg.Tensor) -> tg.Tensor:
    return x.sin() * (tg.rand_like(x) < 0.5) * 2


@VARIANTS
def test_random_numbers_are_drawn_again(use_reentrant: bool) -> None:
    x = tg.ones(100, dtype=tg.float64, requires_grad=True)
    tg.manual_seed(3)
    y = checkpoint(dropout, x, use_reentrant=use_reentrant)
    after = tg.rand(5).tolist()
    y.sum().backward()
    assert tg.rand(5).tolist() != after  # backward did not turn the generator back
    assert x.grad is not None
    assert ((x.grad != 0) == (y != 0)).all()
    tg.manual_seed(3)
    expected = dropout(x)
    assert expected.tolist() == y.tolist()
    assert tg.rand(5).tolist() == after


def test_the_generator_is_left_alone_if_so_wished() -> None:
    x = tg.ones(200, dtype=tg.float64, requires_grad=True)
    y = checkpoint(dropout, x, use_reentrant=False, preserve_rng_state=False)
    y.sum().backward()
    assert x.grad is not None
    assert ((x.grad != 0) != (y != 0)).any()


def deep(x: tg.Tensor) -> tg.Tensor:
    for _ in range(20):
        x = (x * x).sin()
    return x


def peak(function: Callable[[tg.Tensor], tg.Tensor]) -> int:
    """Bytes at most, over a forward and backward in ten blocks."""
    x = tg.ones(10_000, dtype=tg.float64, requires_grad=True)
    gc.collect()
    tracemalloc.start()
    try:
        y = x
        for _ in range(10):
            y = function(y)
        y.sum().backward()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@VARIANTS
def test_memory(use_reentrant: bool) -> None:
    """Ten blocks of twenty operations, two saved tensors each: at most one block's at a time, and ten inputs."""
    plain = peak(deep)
    saved = peak(lambda x: checkpoint(deep, x, use_reentrant=use_reentrant))
    assert saved < plain / 4


@VARIANTS
def test_nothing_is_left(use_reentrant: bool) -> None:
    class Probe:
        pass

    x, probe = leaf(1.0, 2.0), Probe()
    seen = weakref.ref(probe)
    y = checkpoint(lambda x, probe=probe: x.sin().exp(), x, use_reentrant=use_reentrant)
    del probe
    y.sum().backward()
    del y
    gc.collect()
    assert seen() is None


def test_an_error_in_the_recomputation_leaves_gradients_and_modes() -> None:
    x, count = leaf(1.0, 2.0), [0]

    def f(x: tg.Tensor) -> tg.Tensor:
        count[0] += 1
        if count[0] == 2:
            raise ValueError("stop")
        return x.sin().exp()

    y = checkpoint(f, x, use_reentrant=False).sum()
    before = tg.get_rng_state().tolist()
    with pytest.raises(ValueError, match="stop"):
        y.backward(retain_graph=True)
    assert x.grad is None
    assert tg.get_rng_state().tolist() == before
    y.backward()  # the third run is as the first
    assert x.grad is not None
    reference = leaf(1.0, 2.0)
    reference.sin().exp().sum().backward()
    assert x.grad.tolist() == reference.grad.tolist()


def test_a_report_names_the_operations() -> None:
    count = [0]

    def f(x: tg.Tensor) -> tg.Tensor:
        count[0] += 1
        return x.sin() if count[0] > 1 else x.sin().exp().cos()

    y = checkpoint(f, leaf(1.0), use_reentrant=False, debug=True).sum()
    with pytest.raises(tg.TapegradError, match=r"(?s)Operations of the forward.*! exp -> \[1\]  \(test_checkpoint.py"):
        y.backward()


def test_within_recordings_its_steps_are_marked() -> None:
    def function(x: tg.Tensor) -> Any:
        return checkpoint(lambda x: checkpoint(tg.exp, x.sin(), use_reentrant=False) + 1, x * 1, use_reentrant=False)

    tape = tg.record(function, leaf(1.0))
    assert [(step.prim.name, step.scope) for step in tape.steps] == [
        ("mul", ()), ("sin", (1,)), ("exp", (1, 2)), ("add", (1,))
    ]  # fmt: skip
    assert not tg.autograd.graph.state.now.watchers


def test_deep_nesting() -> None:
    def nest(x: Any, depth: int) -> Any:
        return x.sin() if not depth else checkpoint(nest, x * 1.1, depth - 1, use_reentrant=False)

    x, reference = leaf(0.5), leaf(0.5)
    nest(x, 6).sum().backward()
    y = reference
    for _ in range(6):
        y = y * 1.1
    y.sin().sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == reference.grad.tolist()
