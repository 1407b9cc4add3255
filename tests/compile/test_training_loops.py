"""Generated training loops do the same eagerly and jitted: parameters, optimisers, gradients, statistics, metrics, RNG.

How much they may differ is measured, loop by loop: the eager loop runs once more from parameters that are moved by one
unit in the last place. What that grows to is what rounding once does, and a compiled step rounds everywhere, in every
step: FACTOR times that, and ROUNDINGS units of the largest element, are allowed. A float64 loop is thus held to 1e-13 or
so, which no wrong step survives.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import event, given, settings

import tapegrad as tg
from tapegrad.errors import UnsupportedError
from tapegrad.testing import max_compiles

from .alongside import parts_of
from .replays import refusal
from .training import Loop, Recipe, batch, recipes

CALLS = 9
STEADY = 7  # calls after which nothing is compiled any more: each branch has been taken by then
FACTOR = 100.0
ROUNDINGS = 100.0

EXAMPLES = settings.default.max_examples * 2 // 3

REFUSED: Counter[str] = Counter()

Snapshot = list[tuple[str, Any]]


def trajectory(recipe: Recipe, *, jitted: bool = False, nudge: float = 0.0) -> list[Snapshot]:
    """What can be seen after each call (after the last, if nobody looks between)."""
    tg.manual_seed(7)
    loop = Loop(recipe, nudge)
    step = tg.jit(loop.step, check=recipe.check) if jitted else loop.step
    found = []
    with max_compiles(10**6) as compilations:
        for n in range(CALLS):
            before = len(compilations)
            result = step(*batch(recipe, n))
            if n >= STEADY and len(compilations) > before:
                raise AssertionError(f"call {n} was compiled:\n{compilations}")
            if recipe.looks or n == CALLS - 1:
                found.append([*seen_in([result, loop]), ("RNG state", tg.get_rng_state().numpy())])
            loop.around(n)
    return found


def seen_in(world: Any) -> Snapshot:
    """All that can be seen, with tensors that are keys named as such, not by their values."""

    def named(x: Any) -> Any:
        return re.sub(r"tensor\(.*?\)(?=[]'])", "tensor", x, flags=re.DOTALL) if isinstance(x, str) else x

    found = list(parts_of(world))
    return [(named(path), [named(f"{y}]") for y in x] if isinstance(x, list) else x) for path, x in found]


def assert_near(recipe: Recipe, eager: list[Snapshot], nudged: list[Snapshot], jitted: list[Snapshot]) -> None:
    unit = float(np.finfo(recipe.dtype).eps)
    growth: dict[str, float] = {}
    for was, moved, now in zip(eager, nudged, jitted, strict=True):
        for (path, x), (other, y) in zip(was, now, strict=False):
            assert path == other, f"{path}: {x} eagerly, {other}: {y} jitted"
        assert len(was) == len(now) == len(moved)
        for (path, x), (_, near), (_, y) in zip(was, moved, now, strict=True):
            if not _is_inexact(x):
                assert type(x) is type(y), path
                assert np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y, f"{path}: {x}, jitted {y}"
                continue
            growth[path] = max(growth.get(path, 0.0), float(np.max(np.abs(np.subtract(near, x)), initial=0.0)))
            allowed = FACTOR * growth[path] + ROUNDINGS * unit * max(1.0, float(np.max(np.abs(x), initial=0.0)))
            assert type(x) is type(y), path
            assert np.shape(x) == np.shape(y), path
            gap = float(np.max(np.abs(np.subtract(y, x)), initial=0.0))
            assert gap <= allowed, f"{path}: differs by {gap}, allowed {allowed}:\n{x}\njitted\n{y}"


def _is_inexact(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


@settings(max_examples=EXAMPLES)
@given(recipe=recipes())
def check_loop(recipe: Recipe) -> None:
    unit = float(np.finfo(recipe.dtype).eps)
    eager = trajectory(recipe)
    try:
        jitted = trajectory(recipe, jitted=True)
    except UnsupportedError as error:
        REFUSED[refusal(error)] += 1
        event(f"refused: {refusal(error)}")
        return
    assert_near(recipe, eager, trajectory(recipe, nudge=unit), jitted)


def test_generated_training_loops_do_the_same_jitted() -> None:
    REFUSED.clear()
    try:
        check_loop()
    finally:
        print(f"\nrefused: {dict(REFUSED)}")
    assert REFUSED.total() <= 0.1 * EXAMPLES


def test_lbfgs_with_a_jitted_closure() -> None:
    """LBFGS decides in Python how often to call its closure: it stays eager, what it calls is compiled."""
    ways = []
    for jitted in (False, True):
        tg.manual_seed(3)
        w = tg.randn(3, 2, dtype=tg.float64).requires_grad_()
        x, y = tg.randn(8, 3, dtype=tg.float64), tg.randn(8, 2, dtype=tg.float64)
        opt = tg.optim.LBFGS([w], lr=0.5, max_iter=4, line_search_fn="strong_wolfe")

        def closure(w: tg.Tensor = w, x: tg.Tensor = x, y: tg.Tensor = y) -> tg.Tensor:
            w.grad = None  # not opt.zero_grad(): the optimiser's state, which changes each time, would be captured
            loss = ((x @ w).tanh() - y).square().mean()
            loss.backward()
            return loss.detach()

        call = tg.jit(closure) if jitted else closure
        ways.append([opt.step(call).item() for _ in range(3)] + w.detach().flatten().tolist())
        if jitted:
            assert len(call.specialisations) <= 2
            assert sum(s.calls for s in call.specialisations) >= 8
    np.testing.assert_allclose(ways[1], ways[0], rtol=1e-9)
