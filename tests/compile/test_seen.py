"""What jit sees of Python's odder corners: each is changed between calls, and the compiled function does as eager does."""

from __future__ import annotations

import collections
import contextlib
import decimal
import enum
import functools
import importlib
import operator
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

import tapegrad as tg

SCALE = 2.0
COUNT = 2


def setting(**values):
    return lambda world: [setattr(world, name, value) for name, value in values.items()]


def world_of(step, **values):
    """What makes a world with attributes, and a function that is given it."""

    def build():
        world = SimpleNamespace(**{name: value() for name, value in values.items()})
        return world, lambda x: step(world, x)

    return build


class WithSetter:
    k = 1.0

    @property
    def size(self):
        return self.k

    @size.setter
    def size(self, value):
        self.k = value * COUNT


class Act(enum.Enum):
    UP = 1

    def __call__(self, x):
        return x * COUNT


class Low(enum.IntEnum):
    ONE = 1


class High(enum.IntEnum):
    ONE = 1


class Same(int):
    def __eq__(self, other):
        return True

    __hash__ = None


class Doubling(dict):
    def __getitem__(self, name):
        return 2 * super().__getitem__(name)


class Asked:
    __slots__ = ("a",)

    def __getattr__(self, name):
        return 7.0


class Scaling(contextlib.ContextDecorator):
    def __init__(self):
        self.factor, self.now = 2, 1

    def __enter__(self):
        self.now = self.factor

    def __exit__(self, *_):
        self.now = 1


class Base:
    pass


class Other:
    k = 5


def made_class(**names):
    return type("Made", (Base,), {"__module__": __name__, **names})


def assigned(world, x):
    world.o.size = 1
    return x * world.o.k


def decorated(world, x):
    @world.scaling
    def inner(x):
        return x * world.scaling.now

    return inner(x)


CORNERS = {
    "an equal member of another enumeration": (
        world_of(lambda w, x: x * (2 if isinstance(w.k, Low) else 3), k=lambda: Low.ONE),
        setting(k=High.ONE),
    ),
    "an int whose class says it equals all": (
        world_of(lambda w, x: x * int(w.k), k=lambda: Same(2)),
        setting(k=Same(3)),
    ),
    "an equal range": (world_of(lambda w, x: x * w.r.stop, r=lambda: range(0, 3, 2)), setting(r=range(0, 4, 2))),
    "the order of a set": (
        world_of(lambda w, x: x * next(iter(w.s)), s=lambda: {8, 16}),
        lambda w: [w.s.clear(), w.s.add(16), w.s.add(8)],
    ),
    "a zero in a set": (
        world_of(lambda w, x: x * np.copysign(1, next(iter(w.s))), s=lambda: {0.0}),
        setting(s={-0.0}),
    ),
    "a set of tensors": (
        world_of(lambda w, x: x * (2 if w.p in w.s else 3), p=lambda: tg.ones(1), s=set),
        lambda w: w.s.add(w.p),
    ),
    "a set that becomes None": (world_of(lambda w, x: x * (2 if w.s is None else 3), s=lambda: {1}), setting(s=None)),
    "a range that becomes an array": (
        world_of(lambda w, x: x * len(w.r), r=lambda: range(3)),
        setting(r=np.zeros(2)),
    ),
    "a setter's global": (world_of(assigned, o=WithSetter), lambda w: setattr(sys.modules[__name__], "COUNT", 3)),
    "a global of an enumeration's method": (
        world_of(lambda w, x: w.act(x), act=lambda: Act.UP),
        lambda w: setattr(sys.modules[__name__], "COUNT", 3),
    ),
    "the value of a member": (
        world_of(lambda w, x: x * len(w.act.value), act=lambda: enum.Enum("A", {"UP": [1]}, module=__name__).UP),
        lambda w: w.act.value.append(2),
    ),
    "an attribute of a member": (
        world_of(lambda w, x: x * getattr(w.act, "k", 1), act=lambda: enum.Enum("A", {"UP": 1}, module=__name__).UP),
        lambda w: setattr(w.act, "k", 2),
    ),
    "a class variable between underscores": (
        world_of(lambda w, x: x * w.kind.__scale__, kind=lambda: made_class(__scale__=2)),
        lambda w: setattr(w.kind, "__scale__", 3),
    ),
    "another base": (
        world_of(lambda w, x: x * getattr(w.kind, "k", 1), kind=lambda: type("K", (Base,), {"__module__": __name__})),
        lambda w: setattr(w.kind, "__bases__", (Base, Other)),
    ),
    "a dict that doubles": (
        world_of(lambda w, x: x * w.d["k"], d=lambda: Doubling(k=0.5)),
        lambda w: w.d.update(k=1.5),
    ),
    "slots beside __getattr__": (world_of(lambda w, x: x * w.o.a, o=Asked), lambda w: setattr(w.o, "a", 3.0)),
    "the state of a decorator": (world_of(decorated, scaling=Scaling), lambda w: setattr(w.scaling, "factor", 3)),
    "a NumPy float": (
        world_of(lambda w, x: x * (abs(w.k) ** 0.5 if isinstance(w.k, np.floating) else 1), k=lambda: np.float64(4.0)),
        setting(k=np.float64(9.0)),
    ),
    "an id that was kept": (
        world_of(lambda w, x: x * (2 if id(w.p) == w.known else 3), p=lambda: tg.ones(1), known=lambda: 1 << 40),
        lambda w: setattr(w, "known", id(w.p)),
    ),
    "a module that code made": (
        world_of(lambda w, x: x * made_module.K),
        lambda w: setattr(made_module, "K", 3),
    ),
    "a cache that was cleared": (
        world_of(lambda w, x: x * w.kind.k(), kind=lambda: made_class(k=functools.lru_cache(lambda: COUNT))),
        lambda w: [setattr(sys.modules[__name__], "COUNT", 3), w.kind.k.cache_clear()],
    ),
    "a name among the builtins": (
        world_of(lambda w, x: x * KINDNESS),  # noqa: F821
        lambda w: setattr(sys.modules["builtins"], "KINDNESS", 3),
    ),
    "the order of an array": (
        world_of(lambda w, x: x * w.a.flags.f_contiguous, a=lambda: np.ones((2, 2))),
        setting(a=np.asfortranarray(np.ones((2, 2)))),
    ),
    "a decimal": (
        world_of(lambda w, x: x * float(w.d), d=lambda: decimal.Decimal("0.5")),
        setting(d=decimal.Decimal("1.5")),
    ),
    "a getter": (
        world_of(lambda w, x: x * w.get([2, 3]), get=lambda: operator.itemgetter(0)),
        setting(get=operator.itemgetter(1)),
    ),
}
made_module = types.ModuleType("made_module")


@pytest.fixture(autouse=True)
def settings():
    made_module.K = 2
    sys.modules["builtins"].KINDNESS = 2
    yield
    globals()["COUNT"] = 2
    del sys.modules["builtins"].KINDNESS


@pytest.mark.parametrize("corner", CORNERS)
def test_a_change_is_seen(corner):
    build, change = CORNERS[corner]
    world, step = build()
    fast = tg.jit(step)
    before = step(tg.ones(1)).item()
    assert [fast(tg.ones(1)).item() for _ in range(3)] == [before] * 3
    change(world)
    after = step(tg.ones(1)).item()
    assert after != before
    assert [fast(tg.ones(1)).item() for _ in range(3)] == [after] * 3


def test_the_order_of_keyword_arguments():
    def difference(**given):
        first, second = given.values()
        return first - second

    fast = tg.jit(difference)
    a, b = tg.tensor(1.0), tg.tensor(2.0)
    assert [fast(**given).item() for given in ({"a": a, "b": b}, {"a": a, "b": b}, {"b": b, "a": a})] == [-1, -1, 1]


def test_an_import_that_would_fail_is_not_tried(tmp_path, monkeypatch):
    (tmp_path / "failing_import.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "late_import.py").write_text("K = 3\n")
    monkeypatch.syspath_prepend(tmp_path)

    def step(x, wanted):
        if wanted:
            import failing_import

            return failing_import
        try:
            import late_import
        except ImportError:
            return x * 2
        return x * late_import.K

    fast = tg.jit(step)
    monkeypatch.setitem(sys.modules, "late_import", None)
    with pytest.raises(RuntimeError, match="imported"):
        fast(tg.ones(1), True)
    assert [fast(tg.ones(1), False).item() for _ in range(3)] == [2, 2, 2]
    monkeypatch.delitem(sys.modules, "late_import")
    importlib.import_module("late_import")
    assert [fast(tg.ones(1), False).item() for _ in range(3)] == [3, 3, 3]
    del sys.modules["late_import"]


def test_what_is_nested_too_deeply_is_refused_by_name():
    chain = None
    for _ in range(2000):
        chain = SimpleNamespace(next=chain)
    with pytest.raises(tg.UnsupportedError, match="what chain holds is nested too deeply"):
        tg.jit(lambda x: x * (chain is None))(tg.ones(1))


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (lambda x: x * step_of.__globals__["SCALE"], "__globals__"),
        (lambda x: x * sys.modules[__name__].SCALE, "sys.modules"),
        (lambda x: x * sys._getframe().f_lineno, "sys._getframe"),
    ],
)
def test_roundabout_ways_are_refused(step, what):
    with pytest.raises(tg.UnsupportedError, match=what):
        tg.jit(step)(tg.ones(1))


def step_of(x):
    return collections.OrderedDict(x=x)
