"""What a recording call leaves, and what compiled calls make and change: of classes of users' own, and of C code's."""

import array
import bisect
import collections
import copy
import dataclasses
import functools
import heapq
import json
import logging
import operator
import queue
import random
import re
import struct
import threading
import types
import warnings
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.tape.number import Number

from .alongside import Pair, parts_of


def one(value=1.0):
    return (tg.tensor([value, 2.0]),)


class Doubling(dict):
    def __setitem__(self, key, value):
        super().__setitem__(key, value * 2)

    def __getitem__(self, key):
        return super().__getitem__(key) * 2

    def items(self):
        return [("lie", 1)]

    def update(self, *_):
        raise TypeError

    clear = pop = update


class Ordered(collections.OrderedDict):
    def __setitem__(self, key, value):
        super().__setitem__(key, value * 2)


class Row(list):
    changes = 0

    def extend(self, values):
        self.changes += 1
        super().extend([*values, 99])

    def clear(self):
        self.changes += 1
        super().clear()

    def __setitem__(self, key, value):
        raise TypeError


class Lying(Row):
    def __iter__(self):
        return iter(["lie"])


class Members(set):
    def update(self, values):
        super().update([*values, 99])


class Recent(collections.deque):
    def extend(self, values):
        super().extend([*values, 99])


class Parts(tuple):  # noqa: SLOT001  (as users write)
    pass


class Plain(NamedTuple):
    a: object
    b: object = 1


class WithAttributes(Plain):
    pass


class Text(str):  # noqa: SLOT000
    pass


class Count(int):
    pass


class Names(frozenset):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Slim:
    a: object
    b: object = 3


class Slotted:
    __slots__ = ("rate",)


class Overridden(Slotted):
    __slots__ = ()
    rate = property(lambda _: 3.0)


class Locked:
    def __init__(self, kept):
        self.kept, self.lock, self.again = kept, threading.Lock(), threading.RLock()


class Shared:
    everyone = {}  # noqa: RUF012

    def __init__(self):
        self.__dict__ = Shared.everyone


def raw(container):
    """What a container holds, whatever its class makes of that."""
    base = next(b for b in (collections.OrderedDict, dict, list, set, collections.deque) if isinstance(container, b))
    held = base.items(container) if isinstance(container, dict) else base.__iter__(container)
    return list(held), getattr(container, "__dict__", None)


def made_of(text):
    made = Text(text)
    made.kept = [text]
    return made


def named(x, *_):
    return x


MADE = {
    "Counter": lambda _, k: collections.Counter({"a": 2, "b": k}),
    "Doubling": lambda x, _: Doubling(a=x, b=2),
    "Ordered": lambda x, _: Ordered(b=x, a=2),
    "Row": lambda x, k: Row([x, k]),
    "Lying": lambda x, k: Lying([x, k]),
    "Members": lambda *_: Members([3, 1]),
    "Recent": lambda x, k: Recent([x, 1, k], 2),
    "defaultdict": lambda x, _: collections.defaultdict(list, a=[x]),
    "Parts": lambda x, k: Parts((x, k)),
    "named tuple": lambda x, k: Plain(x, k),
    "named tuple with attributes": lambda x, k: with_attributes(WithAttributes(x, 1), [k]),
    "str": lambda *_: made_of("a"),
    "int": lambda _, k: with_attributes(Count(3), k),
    "frozenset": lambda x, _: with_attributes(Names([3, 1]), x),
    "slots": lambda x, k: Slim(k, [x, Slim(k)]),
    "keys": lambda x, k: {(1, k): x, k: 2},
}


def with_attributes(value, kept):
    value.kept = kept
    return value


@pytest.mark.parametrize(
    ("make", "where"),
    [
        pytest.param(make, where, id=f"{name}-{where}")
        for name, make in MADE.items()
        for where in ("returned", "kept")
        if (name, where) != ("Recent", "kept")  # which is looked into at the next call, and refused
    ],
)
def test_new_containers_of_users_classes(make, where):
    def build():
        world = SimpleNamespace(k=0.5, made=None)

        def step(x):
            made = make(x * 2, world.k * 2)
            if where == "returned":
                return made
            world.made = [made]
            return x

        return step, world

    def shown(made):
        if isinstance(made, tuple | str | int | frozenset | Slim):
            return type(made).__name__, list(parts_of(made)), getattr(made, "__dict__", None)
        return type(made).__name__, *map(repr, raw(made))

    step, eager = build()
    function, jitted = build()
    fast = tg.jit(function)
    for k in (0.5, 1.5, 2.5, 2.5):
        eager.k = jitted.k = k
        expected, got = step(*one()), fast(*one())
        if where == "kept":
            expected, got = eager.made[0], jitted.made[0]
            eager.made = jitted.made = None
        assert repr(shown(expected)) == repr(shown(got))
        list(parts_of(got))  # which asserts that no number of a recording is in there


CHANGES = {
    "row appended to": lambda w: list.append(w.row, 3),
    "row reversed": lambda w: w.row.reverse(),
    "row replaced": lambda w: list.__setitem__(w.row, 0, w.n),
    "dict": lambda w: dict.__setitem__(w.table, "a", w.n),
    "dict entry taken": lambda w: (dict.pop(w.table, "a"), dict.__setitem__(w.table, "a", 1)),
    "dict entry gone": lambda w: dict.pop(w.table, "b", None),
    "ordered": lambda w: w.ordered.move_to_end("a"),
    "set": lambda w: w.members.add(len(w.members)),
    "counter": lambda w: w.counter.update("ab"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_to_containers_of_users_classes(change):
    def build():
        world = SimpleNamespace(
            row=Row([1, 2]), table=Doubling(a=1, b=2), ordered=Ordered(a=1, b=2), members=Members([1]),
            counter=collections.Counter("aab"), n=1, fail=False,
        )  # fmt: skip

        def step(x):
            world.n += 1
            change(world)
            if world.fail:
                raise ValueError
            return x * 2

        return step, world

    def shown(world):
        return [repr(raw(x)) for x in vars(world).values() if isinstance(x, list | dict | set | collections.deque)]

    step, eager = build()
    function, jitted = build()
    fast = tg.jit(function)
    for _ in range(5):
        jitted.fail = True
        with pytest.raises(ValueError):
            fast(*one())
        assert shown(jitted) == shown(eager)
        jitted.fail = False
        step(*one())
        fast(*one())
        assert shown(jitted) == shown(eager)


MADE_AGAIN = {
    "partial": lambda x, k: functools.partial(named, x, k, key=[k]),
    "itemgetter": lambda _, k: operator.itemgetter(1, k),
    "methodcaller": lambda _, k: operator.methodcaller("f", k, key=2),
    "method of a list": lambda x, k: [x, k].append,
    "array": lambda *_: array.array("d", [1.0]),
    "bytearray": lambda *_: bytearray(b"ab"),
    "match": lambda *_: re.match("a(.)", "abc"),
    "struct": lambda *_: struct.Struct("<d"),
    "Event": lambda *_: threading.Event(),
    "Queue": lambda *_: queue.Queue(3),
    "locks": lambda x, _: Locked(x),
}


@pytest.mark.parametrize("make", MADE_AGAIN.values(), ids=MADE_AGAIN)
def test_new_objects_of_what_is_written_in_c(make):
    world = SimpleNamespace(k=0.5)
    fast = tg.jit(lambda x: make(x * 2, world.k * 2))
    for k in (0.5, 1.5, 2.5):
        world.k = k
        made, expected = fast(*one()), make(one()[0] * 2, k * 2)
        assert type(made) is type(expected)
        if isinstance(made, struct.Struct):
            assert made.format == expected.format
        elif isinstance(made, re.Match | array.array | bytearray):
            assert str(made) == str(expected)
        elif not isinstance(made, Locked | queue.Queue | threading.Event):
            assert repr(made.__reduce__()[1]) == repr(expected.__reduce__()[1])
    assert len(fast.specialisations) == 1


def test_new_queues_and_locks_work():
    def step(x):
        waiting = queue.Queue()
        waiting.put(x * 2)
        return waiting, Locked(x)

    fast, made = tg.jit(step), []
    for n in range(4):
        waiting, locked = fast(*one(float(n)))
        assert locked.lock.acquire(timeout=1)
        assert locked.again.acquire(timeout=1)
        assert waiting.get(timeout=1).tolist() == [2.0 * n, 4.0]
        waiting.put(None)
        made.append((waiting, locked))
    assert len({id(x.lock) for _, x in made}) == len({id(x.mutex) for x, _ in made}) == 4


def held_lock(x):
    lock = threading.Lock()
    lock.acquire()
    return x, lock


@pytest.mark.parametrize(
    "step",
    [lambda x: (x, queue.SimpleQueue()), held_lock, lambda x: (x, [x].__len__), lambda x: (x, threading.local())],
    ids=["queue", "lock", "method", "local"],
)
def test_what_cannot_be_made_again_is_refused_at_once(step):
    with pytest.raises(tg.UnsupportedError, match="made by a jitted function and kept or returned"):
        tg.jit(step)(*one())


class ShownError(Exception):
    def __init__(self, rate, **more):
        super().__init__("bad", rate, [rate])
        self.rate, self.more = rate, (rate, more, Slim(rate))


def raises(error):
    raise error


def raises_from(k):
    try:
        raise KeyError(k)
    except KeyError as error:
        raise ValueError({"k": k}) from error


ERRORS = {
    "attributes": lambda k, _: raises(ShownError(k, n=k)),
    "group": lambda k, _: raises(ExceptionGroup("several", [ShownError(k), ExceptionGroup("in", [KeyError((k,))])])),
    "exit": lambda k, _: raises(SystemExit(k)),
    "stop": lambda k, _: raises(StopIteration(k)),
    "cause": lambda k, _: raises_from(k),
    "list": lambda _, seen: raises(ShownError(seen)),
}


@pytest.mark.parametrize("fail", ERRORS.values(), ids=ERRORS)
def test_exceptions_hold_plain_numbers(fail):
    world = SimpleNamespace(k=0.5, seen=[], fail=False)

    def step(x):
        world.seen.append(1)
        if world.fail:
            fail(world.k * 2, world.seen)
        return x

    def parts(error):
        yield from (error.args, vars(error), getattr(error, "code", None), getattr(error, "value", None))
        for inner in (*getattr(error, "exceptions", ()), error.__cause__, error.__context__):
            if inner is not None:
                yield from parts(inner)

    fast = tg.jit(step)
    for turn in range(5):
        fast(*one())
        world.fail = True
        with pytest.raises(BaseException) as caught:
            fast(*one())
        world.fail = False
        assert type(caught.value) is not tg.UnsupportedError
        list(parts_of(*parts(caught.value)))
        if "rate" in vars(caught.value) and isinstance(caught.value.rate, list):
            assert caught.value.rate is world.seen
        assert world.seen == [1] * (turn + 1)
    assert type(world.k) is float


def test_floats_in_tuples_of_other_classes_and_in_slots_that_are_overridden():
    def build():
        extra = WithAttributes(0.5, 2.0)
        extra.kept = 3.0
        world = SimpleNamespace(k=0.5, parts=Parts((0.25, (1.5, 2.0))), extra=extra, slots=Overridden(), again=None)
        world.again = world.extra

        def step(x):
            world.extra.kept = world.extra.kept * 2
            assert world.again is world.extra
            return x * world.k * world.parts[1][0] * world.extra.kept * world.slots.rate * world.again.a

        return step, world

    pair = Pair(build)
    for turn in range(4):
        pair.both(lambda w, turn=turn: setattr(w, "k", 0.5 + turn))
        pair.both(lambda w, turn=turn: setattr(w, "parts", Parts((0.25, (1.5 + turn, 2.0)))))
        pair.call(one)
        assert pair.eager.extra.kept == pair.jitted.extra.kept == 3.0 * 2 ** (turn + 1)
    assert pair.compilations == 1


def test_a_tuple_in_two_places_has_the_same_numbers_in_both():
    world = SimpleNamespace(p=None, q=None, holder=None)
    fast = tg.jit(lambda x: (x * world.p.a, x * world.q.a, x * world.holder[0].a))
    for value in (0.5, 1.5, 2.5):
        world.p = world.q = Plain(value)
        world.holder = (world.p,)
        assert [y.item() for y in fast(tg.ones(1))] == [value] * 3
    assert len(fast.specialisations) == 1


def test_objects_that_share_their_attributes_go_on_doing_so():
    def step(x):
        a, b = Shared(), Shared()
        a.kept = x * 2
        return a, b

    fast = tg.jit(step)
    for n in range(4):
        a, b = fast(*one())
        b.z = n
        assert a.z == n
        assert vars(a) is vars(b) is Shared.everyone
        Shared.everyone.clear()

    def new_ones(x):
        a, b = SimpleNamespace(kept=x * 2), Slotless()
        b.__dict__ = a.__dict__
        return a, b

    fast = tg.jit(new_ones)
    for _ in range(3):
        a, b = fast(*one())
        assert vars(a) is vars(b)
        assert a.kept is b.kept


class Slotless:
    pass


class Other:
    def value(self, x):
        return x * 3


class One:
    count = 0

    def value(self, x):
        return x * 2


def helper(x):
    return x


def test_the_class_of_an_object_and_the_name_of_a_function():
    model = One()

    def step(x):
        y = model.value(x)
        model.__class__ = Other if type(model) is One else One
        helper.__name__, helper.__doc__ = "called", "so"
        return y

    fast = tg.jit(step)
    for n in range(6):
        helper.__name__, helper.__doc__ = "helper", None
        assert fast(tg.ones(1)).item() == 2 + n % 2
        assert type(model) is (One, Other)[n % 2 == 0]
        assert (helper.__name__, helper.__doc__) == ("called", "so")
    helper.__name__, helper.__doc__ = "helper", None


def changes_code(x):
    helper.__code__ = (lambda x: x * 2).__code__
    return helper(x)


def changes_class(x):
    slotted = SLOTTED
    slotted.__class__ = MoreSlotted
    return x


class MoreSlotted(Slotted):
    __slots__ = ()


SLOTTED = Slotted()


REFUSED = {
    "code": (changes_code, "the code of"),
    "slots": (changes_class, "the class, which has slots"),
    "dunder": (lambda x: setattr(One, "__match_args__", ("k",)) or x, "__match_args__ of"),
    "errors": (lambda x: np.seterr(divide="ignore") and x, "np.seterr"),
    "printing": (lambda x: np.set_printoptions(precision=2) or x, "print options"),
    "filters": (lambda x: warnings.simplefilter("ignore") or x, "filters of warnings"),
    "handlers": (lambda x: logging.getLogger("a").addHandler(logging.NullHandler()) or x, "handlers or levels"),
    "level": (lambda x: logging.getLogger("a").setLevel(7) or x, "handlers or levels"),
}


@pytest.mark.parametrize(("step", "message"), REFUSED.values(), ids=REFUSED)
def test_changes_that_calls_could_not_make_again_are_refused_and_undone(step, message):
    logger = logging.getLogger("a")

    def now():
        return (
            helper.__code__, type(SLOTTED), {**vars(One)}, np.geterr(), np.get_printoptions(), [*warnings.filters],
            [*logger.handlers], logger.level,
        )  # fmt: skip

    before = now()
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match=message):
            tg.jit(step)(*one())
        assert now() == before


class Drawing:
    def __init__(self):
        self.rate = random.random()


def test_what_is_drawn_from_the_generator_of_python_and_refused_is_drawn_again():
    model = Drawing()  # its constructor, which is perhaps not called, may draw
    before = random.getstate()
    with pytest.raises(tg.UnsupportedError, match="draws random numbers"):
        tg.jit(lambda x: x * type(model)().rate * model.rate)(*one())
    assert random.getstate() == before


UNSEEN_READS = {
    "heap": lambda seen, v: heapq.heappush(seen, v) or 0.0,
    "sorted in": lambda seen, v: bisect.insort(seen, v) or 0.0,
    "length": lambda seen, v: seen.append(v) or float(list.__len__(seen)),
    "item": lambda seen, v: seen.append(v) or list.__getitem__(seen, 0),
    "append": lambda seen, v: list.append(seen, v) or 0.0,
    "json": lambda seen, v: seen.append(v) or float(len(json.dumps(seen))),
    "match": lambda seen, v: seen.append(v) or matched(seen),
    "copy": lambda seen, v: seen.append(v) or float(len(copy.deepcopy(seen))),
    "from the back": lambda seen, v: seen.append(v) or next(list.__reversed__(seen)),
}


def matched(seen):
    match seen:
        case [float() as first, *_]:
            return first
    return -1.0


@pytest.mark.filterwarnings("ignore:.*recorded 8 times")
@pytest.mark.parametrize("read", UNSEEN_READS.values(), ids=UNSEEN_READS)
def test_a_list_that_grew_and_is_read_by_c_code(read):
    def build():
        world = SimpleNamespace(seen=[])
        return lambda x: x * read(world.seen, x[0].item()), world

    pair = Pair(build)
    for value in (5.0, 3.0, 4.0, 1.0, 2.0, 9.0, 0.0):
        pair.call(lambda value=value: one(value))


def test_a_list_that_grew_and_is_read_by_c_code_where_no_number_is_followed():
    def build():
        world = SimpleNamespace(seen=[])
        return lambda x: heapq.heappush(world.seen, x.shape[0]) or x * 2, world

    pair = Pair(build)
    pair.call(one, 6)


def test_a_function_that_raises_what_c_code_would_still_has_its_list_followed():
    world = SimpleNamespace(seen=[], fail=False)

    def step(x):
        world.seen.append(x[0].item())
        if world.fail:
            raise TypeError("of its own")
        return x * 1

    fast = tg.jit(step)
    for _ in range(3):
        fast(*one())
    world.fail = True
    with pytest.raises(TypeError, match="of its own"):
        fast(*one())
    world.fail = False
    for _ in range(3):
        fast(*one())
    assert len(world.seen) == 6
    assert len(fast.specialisations) == 1


def test_the_stand_in_of_a_list_is_one_to_isinstance():
    world = SimpleNamespace(seen=[])

    def step(x):
        assert isinstance(world.seen, list)
        world.seen.append(x[0].item())
        world.kept, world.add = world.seen, world.seen.append
        return x * 1

    fast = tg.jit(step)
    for n in range(5):
        fast(*one())
        assert world.kept is world.seen
        assert world.add == world.seen.append
        assert type(world.add) is types.BuiltinMethodType
        assert len(world.seen) == n + 1
    assert not isinstance(world.seen[0], Number) or type(world.seen[0]) is float


def test_copying_inside_leaves_no_change_to_be_refused():
    class Model:
        def __init__(self):
            self.w, self.k = tg.ones(2), 0.5

    model = Model()
    fast = tg.jit(lambda x: copy.deepcopy(model).w * x * copy.copy(model).k)
    for k in (0.5, 1.5):
        model.k = k
        assert fast(*one()).tolist() == [k, 2 * k]
