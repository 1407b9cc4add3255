"""Checkpointed blocks that write to tensors from outside, in jitted functions: done again in backward, as eagerly."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import tapegrad as tg
from tapegrad.nn.functional import batch_norm, dropout
from tapegrad.utils.checkpoint import checkpoint

from .alongside import Pair

ROWS = [[0.3, -1.0], [0.7, 0.2], [-0.4, 1.5], [2.0, -0.6]]


def rows() -> tuple[Any, ...]:
    return (tg.tensor(ROWS),)


def world() -> list[tg.Tensor]:
    """A counter, running statistics, and a weight."""
    return [tg.zeros(1), tg.zeros(3), tg.ones(3), tg.tensor([[0.5, -1.0, 2.0], [1.5, 0.3, -0.2]], requires_grad=True)]


def counts_first(x, n, m, v, w):
    n.add_(1)
    return (x @ w).exp()


def counts_last(x, n, m, v, w):
    """By then all is there again that backward needs."""
    y = (x @ w).exp()
    n.add_(1)
    return y * 2


def normalises(x, n, m, v, w):
    return batch_norm(x @ w, m, v, training=True).exp()


def normalises_and_drops(x, n, m, v, w):
    return dropout(normalises(x, n, m, v, w), 0.5)


def prints(x, n, m, v, w):
    print("block")
    n.add_(1)
    return (x @ w).exp()


def holds_a_checkpoint(x, n, m, v, w):
    n.add_(1)
    return checkpoint(lambda x: counts_first(x, n, m, v, w), x, use_reentrant=False) * 2


BLOCKS = [counts_first, counts_last, normalises, normalises_and_drops, prints, holds_a_checkpoint]


@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("block", BLOCKS, ids=lambda f: f.__name__)
def test_blocks_that_write_are_run_again_as_eagerly(block, early_stop, capsys):
    def build():
        kept = world()

        def step(x):
            kept[3].grad = None
            out = checkpoint(lambda x: block(x, *kept), x, use_reentrant=False, early_stop=early_stop)
            loss = out.sum()
            loss.backward()
            return loss.detach()

        return step, kept

    pair = Pair(build)
    pair.call(rows, times=3)
    assert pair.fast.specialisations[-1].calls
    assert capsys.readouterr().out.count("block") == (2 * 2 * 3 if block is prints else 0)


def test_a_refusal_that_is_caught_changes_nothing():
    def build():
        kept = world()

        def step(x):
            kept[3].grad = None
            with contextlib.suppress(RuntimeError):
                checkpoint(lambda x: counts_first(x, *kept), x, use_reentrant=False).sum().backward()

        return step, kept

    Pair(build).call(rows, times=3)


def test_results_have_values_and_say_that_their_gradient_is_to_be_taken_inside():
    def build():
        kept = world()
        return (lambda x: checkpoint(lambda x: normalises(x, *kept), x, use_reentrant=False).sum()), kept

    pair = Pair(build)
    pair.call(rows, times=2)
    with pytest.raises(tg.UnsupportedError, match="inside the jitted function"):
        pair.fast(*rows()).backward()
