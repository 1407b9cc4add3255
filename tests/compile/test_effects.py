"""What a jitted function does to Python's objects is done by compiled calls too, and undone if the call fails."""

import collections
import copy
import dataclasses
import sys
import types
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

import tapegrad as tg

from .alongside import Pair, assert_alike, parts_of


def two():
    return (tg.tensor([1.0, 2.0]),)


class Node:
    pass


class Slots:
    __slots__ = ("a", "b")


class MoreSlots(Slots):
    __slots__ = ("__dict__", "c")


@dataclasses.dataclass
class Record:
    a: object
    n: int = 0
    parts: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object
    rate: float = 1.0


@dataclasses.dataclass(slots=True)
class Slim:
    a: object
    rate: float = 1.0


class Point(NamedTuple):
    p: object
    q: object


class Bag(dict):
    pass


class Row(list):
    pass


class Managed:
    """Attributes by way of properties and `__setattr__`."""

    def __init__(self):
        self.count = 0
        self._rate = 1.5

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        object.__setattr__(self, "last", name)

    @property
    def rate(self):
        return self._rate

    @rate.setter
    def rate(self, value):
        self._rate = value * 1.5


# Each takes the world and x, changes the world, and returns something.


def attributes(w, x):
    w.flag, w.n, w.rate, w.text = not w.flag, 1 - w.n, w.rate + 0.5, w.text[1:] + w.text[0]
    w.tensor, w.new = x * w.rate, [x]
    return x * w.n


def deleted_attributes(w, x):
    if hasattr(w, "gone"):
        del w.gone
    else:
        w.gone = w.rate
    return x * 1


def list_ends(w, x):
    w.list.append(w.list.pop(0))
    w.list[0] += 1.0
    return x * w.list[0]


def list_inside(w, x):
    w.list.insert(1, x * 2)
    w.list[-1:] = [w.rate, "s"]
    del w.list[2]
    w.list.reverse()
    return x * 1


def list_sorted(w, x):
    w.numbers.sort(reverse=w.numbers[0] < w.numbers[-1])
    return x * w.numbers[0]


def list_of_lists(w, x):
    w.list[0], w.list[1] = [w.list[1]], (w.list[0], x + 1)
    w.list[:] = w.list[:3]
    return x * 1


def dict_entries(w, x):
    w.dict["a"], w.dict["new"], w.dict[3], w.dict[None] = x * 2, w.rate, "three", True
    return x * 1


def dict_order(w, x):
    first = next(iter(w.dict))
    w.dict[first] = w.dict.pop(first)
    return x * 1, [*w.dict]


def dict_emptied(w, x):
    kept = dict(w.dict)
    w.dict.clear()
    w.dict.update(reversed([*kept.items()]))
    w.dict.setdefault("z", x + 1)
    w.dict |= {"y": [x]}
    return w.dict.get("a"), w.dict.pop("nothing", None)


def tensor_keys(w, x):
    w.dict[w.weight] = w.dict.get(w.weight, 0.0) + 1.5
    w.dict[(1, "k")] = x * 2
    w.dict[1.5] = w.rate
    return x * w.dict[w.weight]


def collections_of_python(w, x):
    w.defaults["k"].append(x * 2)
    del w.defaults["k"][:-1]
    w.ordered.move_to_end(next(iter(w.ordered)))
    w.ordered["c"] = x.sum().item()
    w.deque.append(w.deque[0] + 0.5)
    w.counter["a"] += 1
    w.counter["a"] %= 2
    return x * w.deque[-1]


def sets(w, x):
    w.set ^= {1, 5}
    w.set.add("s")
    w.set.discard("s")
    w.frozen = frozenset(w.set)
    return x * len(w.set)


def slots(w, x):
    w.slots.a, w.slots.c = [x * 2], (w.slots.c or 0.0) + 1.5
    if hasattr(w.slots, "b"):
        del w.slots.b
    else:
        w.slots.b = 3
    w.slots.extra = w.slots.a
    return x * w.slots.c


def managed(w, x):
    w.managed.rate = w.managed.rate if w.managed.rate < 10 else 1.0
    w.managed.count = 1 - w.managed.count
    return x * w.managed.rate


def dataclass_objects(w, x):
    w.record.n, w.record.a = 1 - w.record.n, x * 2
    w.record.parts = [w.frozen_record, *w.record.parts[:1]]
    w.frozen_record = dataclasses.replace(w.frozen_record, a=x + 1, rate=w.frozen_record.rate * 2)
    w.slim.rate += 1.0
    w.slim = Slim(w.slim, 2.5) if not isinstance(w.slim.a, Slim) else w.slim.a
    return w.frozen_record, Record(x * 3, 4), Slim(x), Point(x, w.record)


def new_objects(w, x):
    a, b = Node(), Node()
    a.other, b.other, a.itself, a.value, a.list = b, a, a, x * 2, [a, b]
    b.value = a.value
    a.list.append(a.list)
    b.slots = MoreSlots()
    b.slots.a, b.slots.z = a, {"b": b}
    b.bag, b.row = Bag(k=x), Row([x, w.rate])
    b.bag.note, b.row.note = a, "row"
    w.root, w.again = a, b
    return a, [b, b]


def replaced_objects(w, x):
    w.node, w.other = w.other, w.node
    w.node.value = w.other.value + x
    return w.node, w.other.value


def shared_values(w, x):
    y = x * 2
    pair = (y, [y])
    w.one, w.two, w.pair = y, y, pair
    w.list[:] = [y, pair, w.weight, w.weight, w]
    return y, pair


def written_after_it_was_kept(w, x):
    y = x * 2
    w.kept = y
    w.list[0] = z = tg.zeros(2)
    y.add_(1)
    z[0] = w.rate
    return y


def tensors_rotated(w, x):
    w.a, w.b = w.b, w.a + x
    w.a.mul_(2)
    return w.b


def attributes_of_tensors(w, x):
    w.weight.steps = getattr(w.weight, "steps", 0.5) * 2
    y = x * 2
    y.tag, y.owner = ["t"], w.weight
    w.weight.last = y
    return y


def state_of_parameters(w, x):
    (w.parameter * x).sum().backward()
    w.grads = [w.parameter.grad]
    w.parameter.grad = None
    w.parameter = tg.nn.Parameter(w.parameter.detach() + 1) if hasattr(tg.nn, "Parameter") else w.parameter
    return x * 1


def functions_kept(w, x):
    w.function, w.kind, w.module, w.built_in = helper, Node, types, len
    w.flag = w.function is helper
    return x * 1


def helper(x):
    return x * 2


def read_again(w, x):
    w.rate += 1.0
    w.list.append(w.rate)
    total = sum(v for v in w.list if isinstance(v, float))
    w.dict["total"] = total
    w.list.pop()
    return x * total, w.dict["total"], w.rate


def values_of_tensors(w, x):
    w.loss = x.sum().item()
    w.history.append(w.loss)
    del w.history[:-3]
    w.worst = max(w.worst, w.loss) if w.loss < 100 else w.worst
    return w.loss, w.history


def through_a_view(w, x):
    row = w.matrix[1]
    w.row = row * 1
    row.add_(x)
    w.matrix[:, 0] = w.rate
    return w.matrix.sum()


def random_state(w, x):
    w.noise = tg.rand(2)
    w.mask = tg.bernoulli(w.noise)
    return x + w.noise


EFFECTS = [
    attributes, deleted_attributes, list_ends, list_inside, list_sorted, list_of_lists, dict_entries, dict_order,
    dict_emptied, tensor_keys, collections_of_python, sets, slots, managed, dataclass_objects, new_objects,
    replaced_objects, shared_values, written_after_it_was_kept, tensors_rotated, attributes_of_tensors,
    state_of_parameters, functions_kept, read_again, values_of_tensors, through_a_view,
]  # fmt: skip


def world():
    slotted = MoreSlots()
    slotted.c = None
    node, other = Node(), Node()
    node.value, other.value = tg.zeros(2), tg.ones(2)
    ordered = collections.OrderedDict(a=1, b=2)
    return SimpleNamespace(
        flag=True, n=0, rate=1.5, text="abc", list=[1.0, 2.0, 3.0], numbers=[3, 1, 2], dict={"a": 1.5, "b": [2]},
        weight=tg.ones(2), defaults=collections.defaultdict(list), ordered=ordered, counter=collections.Counter(a=1),
        deque=collections.deque([1.0, 2.0], maxlen=2), set={1, 2}, slots=slotted, managed=Managed(), slim=Slim(1, 0.5),
        record=Record(tg.ones(2)), frozen_record=Frozen(tg.ones(2), 2.0), node=node, other=other, a=tg.ones(2),
        b=tg.zeros(2), parameter=tg.ones(2, requires_grad=True), history=[], worst=-1e9, matrix=tg.ones(2, 2),
    )  # fmt: skip


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.__name__)
def test_effects_are_repeated(effect):
    def build():
        w = world()
        return lambda x: effect(w, x), w

    pair = Pair(build)
    for turn in range(6):
        pair.call(lambda turn=turn: (tg.tensor([1.0, 2.0 + turn]),))
    pair.both(lambda w: setattr(w, "rate", 7.5))
    pair.call(two, 2)
    assert pair.compilations <= 6


@pytest.mark.parametrize("effect", [*EFFECTS, random_state], ids=lambda effect: effect.__name__)
def test_effects_are_undone_when_the_function_raises(effect):
    class MidwayError(Exception):
        pass

    def build():
        w = world()

        def step(x):
            out = effect(w, x)
            if w.fail:
                raise MidwayError
            return out

        w.fail = False
        return step, w

    pair = Pair(build)
    for _ in range(2):
        pair.jitted.fail = True
        pair.fails(MidwayError, two)
        pair.jitted.fail = False
        pair.compare()
        if effect is not random_state:
            pair.call(two, 2)


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.__name__)
def test_effects_on_an_argument(effect):
    pair = Pair(lambda: (lambda w, x: effect(w, x), None))
    pair.call(lambda: (world(), *two()), 3)
    assert pair.compilations == 1


def test_existing_objects_keep_their_identity():
    node, shared = Node(), [1.5]

    def step(x):
        node.me, node.list = node, shared
        shared[0] += 1
        return node, {"list": shared, "x": x}, x

    fast = tg.jit(step)
    for turn in range(4):
        (x,) = two()
        out = fast(x)
        assert out[0] is node and node.me is node and node.list is shared and out[1]["list"] is shared
        assert out[1]["x"] is x and out[2] is x
        assert shared == [2.5 + turn] and type(shared[0]) is float


def test_replaced_data_is_not_seen_by_what_shared_the_memory_before():
    def build():
        model, outside = SimpleNamespace(w=tg.ones(2)), SimpleNamespace()

        def step(x):
            model.w.data = model.w * x

        return step, SimpleNamespace(model=model, outside=outside)

    pair = Pair(build)
    for turn in range(4):
        pair.both(lambda w, turn=turn: setattr(w.outside, f"before{turn}", w.model.w.detach()))
        pair.call(two)


def test_a_zero_is_given_its_sign():
    def build():
        world = SimpleNamespace(recent=collections.deque([0.0]))

        def step(x):
            world.recent[0] = -0.0
            return x * 2

        return step, world

    pair = Pair(build)
    for _ in range(3):
        pair.both(lambda world: world.recent.__setitem__(0, 0.0))
        pair.call(two)


def test_new_containers_are_new_at_each_call():
    holder = SimpleNamespace()

    def step(x):
        holder.made = [x * 2, {}]
        return holder.made, np.ones(2)

    fast, made = tg.jit(step), []
    for _ in range(8):
        out, array = fast(*two())
        assert out is holder.made and not any(out is one for one in made)
        assert array.tolist() == [1.0, 1.0]
        made.append(out)
        out[1]["mine"] = 1
        array[:] = 5
    assert [len(out) for out in made] == [2] * 8


def test_class_attributes():
    def build():
        class Meter:
            rate = 1.5
            flag = False
            kept = None

        meter = Meter()

        def step(x):
            Meter.rate += 0.5
            type(meter).flag = not Meter.flag
            Meter.kept = [x * meter.rate]
            Meter.new = Meter.kept
            return x * meter.rate

        return step, [Meter, meter]

    pair = Pair(build)
    pair.call(two, 6)


def test_variables_of_enclosing_functions():
    def build():
        n, flag, kept, removed = 0.0, False, None, 1

        def step(x):
            nonlocal n, flag, kept, removed
            n += 1.5
            flag = not flag
            kept = [x * n]
            if flag:
                del removed
            else:
                removed = kept
            return x * n

        return step, SimpleNamespace(see=lambda: (n, flag, kept, removed))

    pair = Pair(build)
    pair.call(two, 6)
    assert pair.compilations <= 4


COUNT, KEPT = 0.0, None


def counts_globally(x):
    global COUNT, KEPT, NEVER_BEFORE
    COUNT += 1.5
    KEPT = [x * COUNT]
    NEVER_BEFORE = KEPT
    return x * COUNT


def forgets_globally(x):
    global NEVER_BEFORE
    del NEVER_BEFORE
    return x * 1


def test_globals():
    global COUNT, KEPT
    runs = []
    for function, forget in ((counts_globally, forgets_globally), (tg.jit(counts_globally), tg.jit(forgets_globally))):
        COUNT, KEPT, seen = 0.0, None, []
        for _ in range(5):
            seen.append((function(*two()), COUNT, KEPT, NEVER_BEFORE))
            assert KEPT is NEVER_BEFORE and type(COUNT) is float
            forget(*two())
            assert "NEVER_BEFORE" not in globals()
        runs.append(seen)
    assert_alike(*runs)
    COUNT, KEPT = 0.0, None


def test_attributes_of_a_module_of_ones_own(monkeypatch):
    module = types.ModuleType("a_module_of_a_test")
    module.__file__ = __file__
    monkeypatch.setitem(sys.modules, "a_module_of_a_test", module)

    def step(x):
        import a_module_of_a_test as settings

        settings.rate += 1.0
        settings.kept = x * settings.rate
        settings.n = 1 - settings.n
        return x * settings.rate

    runs = []
    for function in (step, tg.jit(step)):
        module.rate, module.kept, module.n = 1.5, None, 0
        runs.append([(function(*two()), module.rate, module.kept, module.n) for _ in range(5)])
    assert_alike(*runs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w, x: w.array.fill(3.0), "NumPy array w.array"),
        (lambda w, x: setattr(w.function, "__defaults__", (3.0,)), "defaults of"),
        (lambda w, x: setattr(w, "made", iter([x])), "list_iterator"),
        (lambda w, x: setattr(w, "made", lambda: x), "function"),
        (lambda w, x: setattr(w, "made", (n for n in range(3))), "generator"),
        (lambda w, x: w.list.append(ValueError(x)), "ValueError"),
    ],
)
def test_effects_that_could_not_be_repeated_are_refused_and_undone(change, message):
    def function(x, rate=1.5):
        return x * rate

    w = SimpleNamespace(array=np.ones(2), function=function, list=[1])

    def step(x):
        change(w, x)
        w.list.append(2)
        return w.function(x)

    fast = tg.jit(step)
    before = list(parts_of(w))
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match=message):
            fast(*two())
        assert repr(list(parts_of(w))) == repr(before)
    assert fast.specialisations == []


def test_a_failed_check_undoes_everything(monkeypatch):
    from tapegrad.compile.rules import RULES
    from tapegrad.primitives.analytic import tanh

    monkeypatch.setitem(RULES, tanh, lambda a: a)
    w = SimpleNamespace(total=1.5, list=[1], kept=None, weight=tg.ones(2), members={1})
    w.kept = tg.zeros(2)

    def step(x):
        w.total += 1
        w.list[0] = 2 - w.list[0]
        w.members.add(2)
        w.members.remove(2)
        w.weight.add_(x)
        w.kept = (x + tg.rand(2)).tanh()
        return w.kept

    fast = tg.jit(step)
    before = copy.deepcopy(list(parts_of(w))), tg.get_rng_state().tolist()
    for _ in range(2):
        with pytest.raises(tg.CheckError, match="tanh"):
            fast(*two())
        assert repr(list(parts_of(w))) == repr(before[0])
        assert tg.get_rng_state().tolist() == before[1]
