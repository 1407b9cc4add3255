"""Lists that a jitted function only appends to: no new program when they have grown, and right all the same when read."""

import operator
from types import SimpleNamespace

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.testing import max_compiles

from .alongside import Pair


def one(value):
    return lambda: (tg.tensor([value, 1.0]),)


def test_histories_that_are_only_appended_to_compile_nothing_new():
    def build():
        model = SimpleNamespace(losses=[], named={"rows": []}, w=tg.ones(2))

        def step(x):
            model.w.add_(x)
            model.losses.append(x.sum().item())
            model.named["rows"].append(model.w.clone())
            model.losses.append((1, [x * 2]))
            return x * 1

        return step, model

    pair = Pair(build)
    for value in (1.0, 2.0, 3.0, 4.0):
        pair.call(one(value))
    with max_compiles(0):
        for value in (5.0, 6.0, 7.0):
            pair.call(one(value))
        pair.both(lambda model: model.losses.clear())
        pair.call(one(8.0), 2)
        pair.both(lambda model: setattr(model, "losses", [1, None]))
        pair.call(one(9.0), 2)
    assert pair.compilations == 1


READS = {
    "len": len,
    "iteration": lambda l: sum(1.0 for _ in l),
    "truth": lambda l: 1.0 if l else 2.0,
    "index": lambda l: l[-1] if len(l) else 0.0,
    "slice": lambda l: len(l[-2:]),
    "in": lambda l: 3.0 in l,
    "equality": lambda l: l == [3.0],
    "repr": lambda l: len(repr(l)),
    "sort": lambda l: l.sort() or 1.0,
    "pop": lambda l: l.pop() if l else 0.0,
    "copy": lambda l: len(list(l)),
    "sum": sum,
    "unpacking": lambda l: len([*l]),
    "addition": lambda l: len(l.__add__([1])),
    "addition to another": lambda l: len(operator.add([1], l)),
    "reversed": lambda l: len(list(reversed(l))),
    "count": lambda l: l.count(3.0),
    "position": lambda l: l.index(3.0) if 3.0 in l else -1,
    "extend": lambda l: l.extend([1.0]) or 1.0,
    "insert": lambda l: l.insert(0, 1.0) or 1.0,
    "min": lambda l: min(l, default=0.0),
    "numpy": lambda l: float(np.mean(l)) if len(l) else 0.0,
    "zip": lambda l: len(list(zip(l, l, strict=True))),
    "addition in place": lambda l: l.__iadd__([2.0]) is l,
    "deletion": lambda l: l.__delitem__(slice(0, -2)) or 1.0,
    "type": lambda l: type(l) is list,
    "isinstance": lambda l: isinstance(l, list),
    "sorted": lambda l: len(sorted(l)),
    "tensor": lambda l: tg.tensor(l).sum().item() if len(l) else 0.0,
    "join": lambda l: len("".join(map(str, l))),
    "arguments": lambda l: len(dict.fromkeys(l, *l[:1])),
}


@pytest.mark.filterwarnings("ignore:.*recorded 8 times")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_list_that_grew_and_is_read(read, when):
    def build():
        model = SimpleNamespace(seen=[])

        def step(x):
            if when == "after":
                model.seen.append(x[0].item())
            value = read(model.seen)
            if when == "before":
                model.seen.append(x[0].item())
            return x * value

        return step, model

    pair = Pair(build)
    for value in (3.0, 1.0, 3.0, 2.0, 1.0, 4.0):
        pair.call(one(value))


@pytest.mark.filterwarnings("ignore:.*recorded 8 times")
def test_a_list_that_is_read_from_some_call_on():
    def build():
        model = SimpleNamespace(seen=[], read=False)

        def step(x):
            model.seen.append(x.sum().item())
            return x * model.seen[0] + len(model.seen) if model.read else x * 1

        return step, model

    pair = Pair(build)
    for read in (False, True, False, True):
        pair.both(lambda model, read=read: setattr(model, "read", read))
        for value in (1.0, 2.0, 3.0):
            pair.call(one(value))


GOES = {
    "returned": lambda m: m.seen,
    "returned in a container": lambda m: {"seen": [m.seen]},
    "kept": lambda m: setattr(m, "other", m.seen),
    "kept in a container": lambda m: setattr(m, "other", [(m.seen,)]),
    "kept in a dict": lambda m: m.named.update(k=m.seen),
    "in itself": lambda m: m.seen.append(m.seen),
    "compared": lambda m: (m.seen is m.same, m.same is m.named.get("same")),
    "in an object in it": lambda m: m.seen.append(m.holder),
    "method": lambda m: m.same.append(3) or m.same.append(4),
}


@pytest.mark.filterwarnings("ignore:.*recorded 8 times")
@pytest.mark.parametrize("go", GOES.values(), ids=GOES)
def test_a_list_that_grew_and_goes_elsewhere_is_itself(go):
    def build():
        model = SimpleNamespace(seen=[], named={}, other=None)
        model.same, model.named["same"], model.holder = model.seen, model.seen, {"seen": model.seen}

        def step(x):
            model.seen.append(x.sum().item())
            return go(model), x * 1

        return step, model

    pair = Pair(build)
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        pair.call(one(value))


def test_a_list_that_grew_is_as_before_after_an_exception():
    class MidwayError(Exception):
        pass

    def build():
        model = SimpleNamespace(seen=[], fail=False)

        def step(x):
            model.seen.append(x.sum().item())
            model.seen.append(x * 2)
            if model.fail:
                raise MidwayError
            return x * 1

        return step, model

    pair = Pair(build)
    pair.call(one(1.0), 4)
    for _ in range(2):
        pair.jitted.fail = True
        pair.fails(MidwayError, one(2.0))
        pair.jitted.fail = False
        pair.compare()
        pair.call(one(3.0), 2)


def test_what_was_appended_is_what_later_calls_write_to():
    def build():
        model = SimpleNamespace(seen=[], current=None)

        def step(x):
            if model.current is not None:
                model.current.add_(1)
            model.current = x * 2
            model.seen.append(model.current)
            return x * 1

        return step, model

    pair = Pair(build)
    pair.call(one(1.0), 6)
    assert pair.jitted.seen[-1] is pair.jitted.current
