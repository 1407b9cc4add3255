"""`x[i]` with a tensor `i` of no dims: a view, where a jitted function leaves it to others, as it is eagerly."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

import tapegrad as tg

from .alongside import Pair

TURNS = (0, 1, 0, -1, 1, 2)


def start(*, requires_grad: bool = False) -> tg.Tensor:
    return tg.arange(9.0).reshape(3, 3).clone().requires_grad_(requires_grad)


def returned(x, i):
    return [x[i]]


def by_two(x, i):
    return [x[i, i], x[1:, i], x[i][i], x[:, i][1]]


def aliases(x, i):
    d = x[i].data
    return [d, d.detach(), x[i].detach(), x[i][:2], x[i].detach()[1:]]


def of_an_alias(x, i):
    return [x.detach()[i], x[1:].t()[i]]


def of_what_is_new(x, i):
    h = x * 2
    return [h, h[i], h[i].detach()]


def of_what_nobody_sees(x, i):
    return [(x * 2)[i], (x + 1)[i].detach()]


def parts_of_what_nobody_sees(x, i):
    h = x * 2
    return [h[i], h[i], h[1]]


def put_back(x, i):
    with tg.no_grad():
        x[i] += 1
    return [x[i]]


FUNCTIONS = [
    returned, by_two, aliases, of_an_alias, of_what_is_new, of_what_nobody_sees, parts_of_what_nobody_sees, put_back,
]  # fmt: skip


def calls(pair: Pair, change: Callable[[Any], Any]) -> None:
    for turn in TURNS:
        pair.call(lambda turn=turn: (tg.tensor(turn),))
        pair.both(change)


def built(function: Callable[..., Any], requires_grad: bool) -> Callable[[], Any]:
    def build():
        x = start(requires_grad=requires_grad)
        world: list[Any] = [x]

        def step(i):
            world[1:] = ()
            return function(x, i)

        def keeping(i):
            kept = step(i)
            return kept, [part * 1 for part in kept]

        return keeping, world

    return build


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_what_is_picked_shares_memory_as_eagerly(function, requires_grad):
    pair = Pair(built(function, requires_grad))
    for turn in TURNS:
        got = [
            call(tg.tensor(turn))[0] for call in (pair.step, pair.fast)
        ]  # fmt: skip
        for world, parts in zip((pair.eager, pair.jitted), got, strict=True):
            with tg.no_grad():
                for k, part in enumerate(parts):
                    part.add_(k + 1)
                world[0].mul_(2)
        seen = [[(t.tolist(), t._version, t.requires_grad) for t in parts] for parts in got]
        assert seen[0] == seen[1]
        pair.compare()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_what_is_picked_has_the_gradient_it_has_eagerly(function):
    pair = Pair(built(function, True))
    for turn in TURNS:
        for call, world in ((pair.step, pair.eager), (pair.fast, pair.jitted)):
            parts, others = call(tg.tensor(turn))
            total = sum((part * part).sum() for part in (*parts, *others))
            world.append([part.grad_fn and part.grad_fn.name() for part in parts])
            if total.requires_grad:
                total.backward()
        pair.compare()


def test_what_is_kept_is_a_view():
    def build():
        x = start()
        world: list[Any] = [x, None]

        def step(i):
            world[1] = x[i]

        return step, world

    calls(Pair(build), lambda world: (world[1].add_(5), world[0].mul_(2)))


def test_the_index_is_guarded_only_where_that_shows():
    x = start()
    inside = tg.jit(lambda i: x[i] * 2)
    hidden = tg.jit(lambda i: (x * 2)[i])
    view = tg.jit(lambda i: x[i])
    for i, _ in itertools.product(range(3), range(2)):
        for f in (inside, hidden, view):
            f(tg.tensor(i))
    assert [len(f.specialisations) for f in (inside, hidden, view)] == [1, 1, 3]
    assert "an index by which a view was made is 1" in str(view.explain(tg.tensor(1)))


def test_what_was_written_since_is_refused():
    def build():
        x = start()

        def step(i):
            v = x[i]
            x.add_(1)
            return v

        return step, [x]

    assert "use int(i)" in Pair(build).fails(tg.UnsupportedError, lambda: (tg.tensor(1),))
