"""What a function can reach: tensors found wherever they are kept, everything else in the key."""

import functools
import io
import re
import threading
import types
from collections import deque

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.environment import reach, reachable

LIMIT = 1.0
WEIGHT = tg.ones(2)


def reached(function, **options):
    found = reachable(**options)
    reach(function, found)
    return found


def tensors(found):
    return [found.objects[number] for number in found.tensors]


def names(found):
    return [found.text(number) for number in found.tensors]


def uses_globals(x):
    return x * WEIGHT if LIMIT else helper(x)


def helper(x):
    return x + OTHER


OTHER = tg.zeros(2)


def test_globals_of_the_function_and_of_what_it_calls():
    found = reached(uses_globals)
    assert [id(t) for t in tensors(found)] == [id(WEIGHT), id(OTHER)]
    assert names(found) == ["WEIGHT", "OTHER"]


def test_closures_containers_and_objects():
    class Layer:
        def __init__(self, w):
            self.w = w

        def __call__(self, x):
            return x @ self.w

    class Slotted:
        __slots__ = ("t",)

    slotted = Slotted()
    slotted.t = tg.ones(1)
    layers, named = [Layer(tg.ones(1)), Layer(tg.ones(2))], {"scale": (tg.ones(3), 1)}

    def forward(x):
        for layer in layers:
            x = layer(x)
        return x * named["scale"][0] + slotted.t

    found = reached(forward)
    assert names(found) == ["layers[0].w", "layers[1].w", "named['scale'][0]", "slotted.t"]


def test_bound_methods_partials_defaults_and_nested_functions():
    class Model:
        w = tg.ones(1)

        def forward(self, x, extra=OTHER):
            return [self.w * v + extra for v in x]

    assert [id(t) for t in tensors(reached(Model().forward))] == [id(Model.w), id(OTHER)]
    assert len(reached(functools.partial(helper, WEIGHT)).tensors) == 2
    assert len(reached(lambda: lambda: WEIGHT).tensors) == 1


def test_one_tensor_in_two_places_is_one():
    a = tg.ones(1)
    pair = [a, a]
    assert len(reached(lambda: pair).tensors) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda box: box.update(flag=False),
        lambda box: box.update(number=2),
        lambda box: box.update(number=True),
        lambda box: box.update(real=-0.0),
        lambda box: box.update(text="b"),
        lambda box: box.update(new=None),
        lambda box: box["items"].append(None),
        lambda box: box["array"].fill(7),
        lambda box: box["items"].append(box["items"]),
        lambda box: box.update(kind=float),
        lambda box: box.update(part=slice(1, 2)),
        lambda box: box.update(members={1, 2, 3}),
    ],
)
def test_every_change_of_a_value_changes_the_key(change):
    box = {
        "flag": True, "number": 1, "real": 0.0, "text": "a", "items": [1], "array": np.zeros(2), "kind": int,
        "part": slice(1), "members": {1, 2}, "missing": float("nan"),
    }  # fmt: skip

    def function():
        return box

    before = tuple(reached(function).key)
    assert tuple(reached(function).key) == before
    change(box)
    assert tuple(reached(function).key) != before


def test_aliasing_of_containers_is_part_of_the_key():
    shared = [1]
    box = [shared, shared]

    def function():
        return box

    before = tuple(reached(function).key)
    box[1] = [1]
    assert tuple(reached(function).key) != before


@pytest.mark.parametrize(
    "thing",
    [
        iter([1]),
        (n for n in range(3)),
        io.StringIO(),
        np.zeros(100_000),
        memoryview(b"x"),
    ],
)
def test_what_cannot_be_watched_is_refused_by_name(thing):
    with pytest.raises(tg.UnsupportedError, match="thing"):
        reached(lambda: thing)


def test_cycles_end():
    class Node:
        pass

    node = Node()
    node.self, node.w = node, tg.ones(1)
    assert len(reached(lambda: node).tensors) == 1


def test_a_module_held_as_a_value_is_refused():
    module = types.ModuleType("held_as_a_value")
    module.__file__ = __file__
    box = {"module": module}
    with pytest.raises(tg.UnsupportedError, match=r"box\['module'\] is a module of yours"):
        reached(lambda: box)


def test_the_class_of_a_dict_is_looked_into():
    class Bag(dict):
        scale = 1.0

    bag = Bag()

    def function():
        return bag

    before = tuple(reached(function).key)
    Bag.scale = 2.0
    assert tuple(reached(function).key) != before


def test_ordinary_values_are_not_refused():
    things = [re.compile("a"), threading.Lock(), types.SimpleNamespace(w=tg.ones(1)), deque([tg.ones(1)]), int | None]
    assert len(reached(lambda: things).tensors) == 2


# Numbers that a recording follows


def followed(function, **options):
    found = reached(function, followed=True, **options)
    return {found.text(place): value for place, value in found.floats}


def test_floats_that_can_be_replaced_are_followed_and_no_part_of_the_key():
    config, free = types.SimpleNamespace(a=1.5, n=2, flag=True, array=np.float64(2.5)), 3.5
    box = {"x": 1.0, "deep": [(0.9, (0.99, 1))], "members": frozenset({1.5}), 7: -0.0}

    def function(x):
        return x * config.a * free * box["x"] * LIMIT

    assert followed(function) == {
        "LIMIT": 1.0, "box['x']": 1.0, "box['deep'][0][0]": 0.9, "box['deep'][0][1][0]": 0.99, "box[7]": -0.0,
        "config.a": 1.5, "config.array": 2.5, "free": 3.5,
    }  # fmt: skip
    before = tuple(reached(function, followed=True).key)
    config.a, box["x"], box["deep"][0], free = 2.0, float("nan"), (0.1, (0.2, 1)), -0.0
    assert tuple(reached(function, followed=True).key) == before
    config.n = 3
    assert tuple(reached(function, followed=True).key) != before


@pytest.mark.parametrize("value", [1, True, np.float32(1), np.float64(1), 1 + 0j, None, "1.0", tg.ones(())])
def test_a_followed_float_that_is_another_kind_is_another_key(value):
    config = types.SimpleNamespace(a=1.0)

    def function(x):
        return x * config.a

    before = tuple(reached(function, followed=True).key)
    config.a = value
    assert tuple(reached(function, followed=True).key) != before


def test_ints_are_followed_where_they_are_asked_for():
    config = types.SimpleNamespace(n=1, m=2, flag=True)

    def function(x):
        return x * config.n * config.m

    assert followed(function) == {}
    assert followed(function, ints={"config.n"}) == {"config.n": 1}
    before = tuple(reached(function, followed=True, ints={"config.n"}).key)
    config.n = 5
    assert tuple(reached(function, followed=True, ints={"config.n"}).key) == before
    config.m = 5
    assert tuple(reached(function, followed=True, ints={"config.n"}).key) != before


def test_a_flag_is_not_followed_where_an_int_was():
    config = types.SimpleNamespace(n=1)

    def function(x):
        return x * config.n

    before = tuple(reached(function, followed=True, ints={"config.n"}).key)
    config.n = True
    assert tuple(reached(function, followed=True, ints={"config.n"}).key) != before
