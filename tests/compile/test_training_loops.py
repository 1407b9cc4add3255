"""Generated training loops do the same eagerly and jitted: parameters, optimisers, gradients, statistics, metrics, RNG.

How much they may differ is measured, loop by loop: the eager loop runs once more from parameters that are moved by one
unit in the last place. What that grows to is what rounding once does, and a compiled step rounds everywhere, in every
step: FACTOR times that, and ROUNDINGS units of the largest element, are allowed. A float64 loop is thus held to 1e-13 or
so, which no wrong step survives.
"""

from __future__ import annotations

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

CALLS = 8
STEADY = 6  # calls after which nothing is compiled any more: each branch has been taken by then
FACTOR = 100.0
ROUNDINGS = 100.0

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
                found.append([*parts_of([result, loop]), ("RNG state", tg.get_rng_state().numpy())])
            loop.around(n)
    return found


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


@settings(max_examples=settings.default.max_examples)
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
    assert REFUSED.total() <= 0.1 * settings.default.max_examples
