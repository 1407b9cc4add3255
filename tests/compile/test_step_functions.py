"""Generated step functions: state read, written, kept and aliased in random ways, changed from outside between calls.

Each is run eagerly and jitted, over the same calls with the same changes in between, and everything is compared: results,
arguments, gradients, versions, and every Python object of the state.
"""

import collections
import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

import tapegrad as tg

from .alongside import Pair


class MidwayError(Exception):
    pass


class Item:
    pass


def vector(*values):
    return tg.tensor(values, dtype=tg.float64)


def leaf(*values):
    return vector(*values).requires_grad_()


def world():
    """The state: tensors of two numbers, wherever people keep them, and numbers of all kinds."""
    return SimpleNamespace(
        a=vector(1.0, 2.0), b=vector(0.5, -1.0), p=leaf(1.0, -0.5), rate=0.5, betas=(0.5, (0.25, 2)), n=1, flag=True,
        fail=False, loss=0.0, list=[vector(0.0, 1.0), 1.5], dict={"t": vector(1.0, 1.0), "f": 2.0, "k": 1}, item=Item(),
        recent=collections.deque([0.0, 0.0], maxlen=2), history=[], members={1},
    )  # fmt: skip


# What a step may do: each takes the state and the values so far, of which the last is the current one.

STEPS: dict[str, Callable[[Any, list[Any]], None]] = {}


def step(function):
    STEPS[function.__name__] = function
    return function


def bounded(t):
    return t.clamp(-8.0, 8.0)


@step
def read_attribute(w, v):
    v.append(w.a * 1)


@step
def take_attribute(w, v):
    v.append(w.a)


@step
def take_from_list(w, v):
    v.append(w.list[0])


@step
def take_from_dict(w, v):
    v.append(w.dict["t"])


@step
def keep_in_attribute(w, v):
    w.b = v[-1]


@step
def keep_in_list(w, v):
    w.list[0] = v[-1]


@step
def keep_in_dict(w, v):
    w.dict["t"] = v[-1]


@step
def keep_in_new_object(w, v):
    item = Item()
    item.value, item.itself, item.rate, item.before = v[-1], item, w.rate, getattr(w.item, "rate", None)
    w.item = item


@step
def swap(w, v):
    w.a, w.b = w.b, w.a


@step
def alias(w, v):
    w.a = w.b


@step
def keep_a_view(w, v):
    w.b = v[-1].detach().view(2)


@step
def keep_a_row(w, v):
    w.list[0] = v[-1].detach()[:]


@step
def scale_by_attribute(w, v):
    v.append(bounded(v[-1] * w.rate))


@step
def scale_by_tuple(w, v):
    v.append(bounded(v[-1] * w.betas[1][0] + w.betas[0]))


@step
def scale_by_list(w, v):
    v.append(bounded(v[-1] * w.list[1]))


@step
def add_int(w, v):
    v.append(bounded(v[-1] + w.n))


@step
def add_loss(w, v):
    v.append(bounded(v[-1] + w.loss))


@step
def combine(w, v):
    v.append(bounded(v[-1] * v[0] - w.a))


@step
def change_rate(w, v):
    w.rate = w.rate * 0.5 + 0.25


@step
def change_tuple(w, v):
    w.betas = (w.betas[0] + 0.125, (w.betas[1][0], 2))


@step
def change_list_number(w, v):
    w.list[1] += 0.5


@step
def change_dict_numbers(w, v):
    w.dict["f"], w.dict["k"] = w.dict["f"] / 2, 1 - w.dict["k"]


@step
def count(w, v):
    w.n = (w.n + 1) % 4


@step
def flip(w, v):
    w.flag = not w.flag


@step
def read_item(w, v):
    w.loss = v[-1].sum().item()


@step
def remember(w, v):
    w.recent.append(w.loss)


@step
def log_number(w, v):
    w.history.append(w.loss)


@step
def log_tensor(w, v):
    w.history.append((v[-1], w.rate))


@step
def read_log(w, v):
    if len(w.history) % 2:
        v.append(v[-1] + 1.0)


@step
def keep_log(w, v):
    w.item.log = w.history


@step
def change_members(w, v):
    w.members ^= {w.n}


@step
def reorder(w, v):
    w.dict["f"] = w.dict.pop("f")


@step
def branch_on_flag(w, v):
    v.append(v[-1] * 2.0 if w.flag else -v[-1])


@step
def branch_on_number(w, v):
    v.append(v[-1] + 1.0 if w.rate > 0.5 else v[-1] - 1.0)


@step
def branch_on_value(w, v):
    if v[-1].sum() > 0:
        v.append(v[-1] - 1.0)
        w.n = 0


@step
def loop_on_value(w, v):
    x = v[-1].detach()
    for _ in range(3):
        if (x * x).sum().item() >= 4:
            break
        x = x * 2.0 + 0.25
    v.append(bounded(x))


@step
def write_current(w, v):
    with tg.no_grad():
        v[-1].mul_(0.5).add_(w.rate)


@step
def write_element(w, v):
    with tg.no_grad():
        v[-1][0] = w.rate


@step
def write_attribute(w, v):
    with tg.no_grad():
        w.a.add_(v[-1].detach())
        w.a.clamp_(-8.0, 8.0)


@step
def write_argument(w, v):
    with tg.no_grad():
        v[0].mul_(0.5)


@step
def backward(w, v):
    with tg.enable_grad():
        (w.p * v[-1].detach() * w.p).sum().backward()


@step
def descend(w, v):
    with tg.no_grad():
        if w.p.grad is not None:
            w.p -= w.rate * w.p.grad.clamp(-1.0, 1.0)


@step
def forget_gradient(w, v):
    w.p.grad = None


@step
def zero_gradient(w, v):
    if w.p.grad is not None:
        w.p.grad.zero_()


@step
def use_parameter(w, v):
    v.append(bounded(v[-1].detach() * w.p.detach()))


@step
def draw(w, v):
    v.append(tg.rand(2, dtype=tg.float64) + v[-1].detach())


# What happens outside, between calls.

CHANGES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda w: None,
    "rebind": lambda w: setattr(w, "a", vector(0.25, 3.0)),
    "rebind in list": lambda w: w.list.__setitem__(0, vector(3.0, -3.0)),
    "rebind parameter": lambda w: setattr(w, "p", leaf(0.25, 0.75)),
    "alias": lambda w: setattr(w, "b", w.a),
    "alias in dict": lambda w: w.dict.update(t=w.list[0]),
    "view": lambda w: setattr(w, "b", w.a.detach()[:]),
    "write": lambda w: w.a.detach().fill_(0.5),
    "write parameter": lambda w: w.p.data.mul_(0.5),
    "rate": lambda w: setattr(w, "rate", w.rate / 2 + 0.125),
    "rate is int": lambda w: setattr(w, "rate", 1),
    "tuple": lambda w: setattr(w, "betas", (0.75, (1.5, 2))),
    "list number": lambda w: w.list.__setitem__(1, -0.5),
    "n": lambda w: setattr(w, "n", w.n + 2),
    "flag": lambda w: setattr(w, "flag", not w.flag),
    "grad none": lambda w: setattr(w.p, "grad", None),
    "grad zeros": lambda w: setattr(w.p, "grad", vector(0.0, 0.0)),
    "grow": lambda w: w.list.append(w.n),
    "shrink": lambda w: w.list.__delitem__(slice(2, None)),
    "forget log": lambda w: w.history.clear(),
    "new key": lambda w: w.dict.update(new=1.0),
}

programs = st.lists(st.sampled_from([*STEPS]), min_size=1, max_size=6).map(tuple)
argument = st.sampled_from([(1.0, 2.0), (-1.0, 0.5), (0.25, -3.0)])
calls = st.lists(st.tuples(st.sampled_from([*CHANGES]), argument, st.sampled_from("....lfn")), min_size=3, max_size=8)


def build_of(program):
    def build():
        w = world()

        def run(x):
            values = [x]
            for name in program:
                STEPS[name](w, values)
            if w.fail:
                raise MidwayError
            return values[-1], (w.rate, values[-1] + 1.0)

        return run, w

    return build


@example(("backward", "descend", "forget_gradient"), [("rate", (1.0, 2.0), ".")] * 4)
@example(("write_attribute", "swap", "take_attribute"), [("view", (1.0, 2.0), ".")] * 4)
@example(("read_item", "add_loss", "branch_on_value"), [("nothing", x, "l") for x in ((1.0, 2.0), (-1.0, -1.0))] * 3)
@given(programs, calls)
def test_step_functions_are_what_they_are_eagerly(program, calls):
    pair = Pair(build_of(program))
    tg.manual_seed(0)
    for change, values, kind in calls:
        for w in (pair.eager, pair.jitted):
            CHANGES[change](w)
        if kind == "f":
            pair.jitted.fail = True
            pair.fails(MidwayError, lambda values=values: (vector(*values),))
            pair.jitted.fail = False
        with tg.no_grad() if kind == "n" else contextlib.nullcontext():
            pair.call(lambda values=values: (vector(*values),), look=kind == "l")
    pair.compare()
