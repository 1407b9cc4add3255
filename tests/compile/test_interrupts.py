"""An interrupt in a compiled call leaves all as it was, or all as after the call, wherever it comes."""

from __future__ import annotations

import contextlib
import itertools
import linecache
import sys
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Self

import pytest

import tapegrad as tg

from .alongside import parts_of

HERE = str(Path(tg.__file__).parent)
COMPILE = str(Path(sys.modules[tg.jit.__module__].__file__ or "").parent)


class Interrupt:
    """Raises KeyboardInterrupt at the `n`-th line of this package that runs inside the block; counts them in `lines`.

    It does not at `with`, where Python comes by again before `__exit__`, and could not be interrupted by a signal.
    """

    def __init__(self, n: int = -1) -> None:
        self.n = n
        self.lines = 0

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
        if event == "line" and not linecache.getline(name, frame.f_lineno).lstrip().startswith("with "):
            self.lines += 1
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
