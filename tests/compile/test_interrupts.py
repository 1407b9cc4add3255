"""An interrupt in a call, compiled or recorded, leaves all as it was, or all as after the call, wherever it comes."""

from __future__ import annotations

import builtins
import contextlib
import functools
import io
import itertools
import linecache
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Self

import pytest

import tapegrad as tg
from tapegrad.tape import state as thread

from .alongside import parts_of

HERE = str(Path(tg.__file__).parent)
COMPILE = str(Path(sys.modules[tg.jit.__module__].__file__ or "").parent)


@functools.cache
def is_with(name: str, line: int) -> bool:
    return linecache.getline(name, line).lstrip().startswith("with ")


class Interrupt:
    """Raises KeyboardInterrupt at the `n`-th line of this package that runs inside the block; counts them in `lines`.

    `sites` are those lines, in order. It does not at `with`, where Python comes by again before `__exit__`, and could not be interrupted by a signal.
    """

    def __init__(self, n: int = -1) -> None:
        self.n = n
        self.lines = 0
        self.sites: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(("<tapegrad ", HERE, COMPILE)) or frame.f_code.co_name == "__exit__":
            return None
        if event == "line" and not is_with(name, frame.f_lineno):
            self.lines += 1
            self.sites.append((name, frame.f_lineno))
            if self.lines - 1 == self.n:
                raise KeyboardInterrupt
        return self._trace


def state() -> SimpleNamespace:
    return SimpleNamespace(
        w=tg.tensor([1.0, 2.0], requires_grad=True), v=tg.zeros(2), host=tg.ones(2), seen=[], table={"n": 0.0},
        names={"a"}, count=0.0, last=None, recent=None, gone=1,
    )  # fmt: skip


def trains(s: SimpleNamespace, x: tg.Tensor) -> None:
    loss = (s.w * x).sum()
    s.w.grad = None
    loss.backward()
    with tg.no_grad():
        s.w.sub_(s.w.grad * 0.1)
        s.v.mul_(0.5).add_(s.w.grad)


def changes_containers(s: SimpleNamespace, x: tg.Tensor) -> tg.Tensor:
    s.v.add_(x)
    s.host.mul_(2)
    s.seen.append(s.v.sum().item())
    s.table["n"] = s.table["n"] + 1.0
    s.table["x"] = x * 2
    s.names.add("b")
    s.count = s.count + 1.0
    s.last = [x + 1, {"x": x + 2}]
    return x * 3


def returns_a_history(s: SimpleNamespace, x: tg.Tensor) -> tg.Tensor:
    y = (s.w * x).tanh()
    s.v.add_(1)
    s.last = y[0]
    s.recent = (y, y * 2)
    return y


def is_guarded(s: SimpleNamespace, x: tg.Tensor) -> None:
    s.v.add_(x)
    if s.v.sum() > -1:
        s.count = s.count + 1.0
    s.last = x * 2


def assigns_data(s: SimpleNamespace, x: tg.Tensor) -> tg.Tensor:
    s.v.mul_(2)
    s.last = s.v.data
    s.v.data = x * 2
    s.v.add_(1)
    s.w.data, s.host.data = s.host.data, s.w.data
    s.recent = s.w.data
    return s.v[:1]


def prepared(fast: Any) -> tuple[SimpleNamespace, Any]:
    """A state where the next call is compiled, and the array that shares memory with it."""
    s = state()
    shared = s.host.numpy()
    for _ in range(3):
        fast(s, tg.tensor([1.0, 2.0]))
        s.seen.clear()
    return s, shared


@pytest.mark.parametrize("function", [trains, changes_containers, returns_a_history, is_guarded, assigns_data])
def test_all_or_nothing(function: Any) -> None:
    fast = tg.jit(function)
    prepared(fast)
    s, _shared = prepared(fast)
    x = tg.tensor([1.0, 2.0])
    nothing = [*map(repr, parts_of(s))]
    fast(s, x)
    everything = [*map(repr, parts_of(s))]
    assert nothing != everything
    kinds = set()
    for n in itertools.count():
        s, _shared = prepared(fast)
        with contextlib.suppress(KeyboardInterrupt), Interrupt(n) as interrupt:
            fast(s, x)
        if interrupt.lines <= n:
            break
        found = [*map(repr, parts_of(s))]
        assert found in (nothing, everything), (n, set(found) ^ set(nothing), set(found) ^ set(everything))
        kinds.add(found == everything)
        for _ in range(2):  # and it goes on
            fast(s, x)
    assert kinds == {False, True}


RATE = 0.75
WAYS = ((builtins, "print"), (warnings, "warn"), (warnings, "warn_explicit"))
USUAL = [getattr(holder, name) for holder, name in WAYS]


class Slotted:
    __slots__ = ("part", "rate")


class Pair(tuple):  # noqa: SLOT001  (as users write)
    """Floats in a tuple of a kind of its own."""


class Recorded:
    """What a recording puts something in the place of, in each of the ways there are."""

    def __init__(self) -> None:
        self.w, self.p = tg.ones(2), tg.ones(2, requires_grad=True)
        self.k, self.n, self.seen, self.table = 0.5, 1, [], {"a": 2.5, "l": [1.5]}
        self.pair, self.slotted = (0.25, Pair((1.25, [0.125]))), Slotted()
        self.slotted.rate, self.slotted.part = 3.5, (0.0625,)
        self.step = self.made()

    def made(self) -> Callable[[tg.Tensor], Any]:
        held = 1.75

        def step(x: tg.Tensor) -> Any:
            nonlocal held
            self.n += 1
            self.seen.append(self.k)
            held, self.k = held * 2, self.k * RATE
            self.slotted.rate = held
            self.w.add_(x * self.pair[0] + self.table["a"] * self.pair[1][0] * math.exp(self.slotted.part[0]))
            self.table["z"] = x.sum().item()
            self.p.grad = None
            (self.p * x).sum().backward()
            with tg.no_grad():
                self.p.sub_(self.p.grad * 0.1)
            print(self.k)
            return x * held, [self.k]

        return step


def seen_of(world: Recorded) -> list[str]:
    """All that can be seen, and that nothing else than it was is where a recording puts something."""
    assert thread.recorder is None
    assert not thread.watchers
    assert type(RATE) is float
    assert globals()["math"] is sys.modules["math"]
    assert [getattr(holder, name) for holder, name in WAYS] == USUAL
    return [*map(repr, parts_of(world))]


def run_before(calls: int, **options: Any) -> tuple[Recorded, Any]:
    world = Recorded()
    fast = tg.jit(world.step, **options)
    for _ in range(calls):
        fast(tg.ones(2))
    return world, fast


CHANGING = {
    "containers", "diverted", "eager_run", "growing", "heap", "jit", "leaks", "settling", "standing", "surroundings",
}  # fmt: skip
"""The modules that change what can be seen, or hold what does. All others only compute, so that a few lines will do."""


def worth_trying(sites: list[tuple[str, int]], known: set[tuple[str, int]]) -> list[int]:
    """The first and the last time that each line of what records runs, but for those `known`."""
    first = {site: n for n, site in reversed([*enumerate(sites)])}
    last = {site: n for n, site in enumerate(sites)}
    wanted = [site for site in first if site[0].startswith(COMPILE) and site not in known]
    changing = [site for site in wanted if Path(site[0]).stem in CHANGING]
    others = [site for site in wanted if site not in {*changing}][::12]
    return sorted({found[site] for found in (first, last) for site in (*changing, *others)})


def test_all_or_nothing_while_recording() -> None:
    out = io.StringIO()
    known: set[tuple[str, int]] = set()
    with contextlib.redirect_stdout(out):
        for calls, check in ((0, "never"), (2, "never"), (2, "first")):
            world, fast = run_before(calls, check=check)
            nothing = seen_of(world)
            with Interrupt() as interrupt:
                fast(tg.ones(2))
            everything = seen_of(world)
            for n in worth_trying(interrupt.sites, known):
                world, fast = run_before(calls, check=check)
                with contextlib.suppress(KeyboardInterrupt), Interrupt(n):
                    fast(tg.ones(2))
                assert sys.stdout is out, interrupt.sites[n]
                assert seen_of(world) in (nothing, everything), interrupt.sites[n]
                fast(tg.ones(2))
            known.update(interrupt.sites)
