"""What a jitted function says of itself: what was captured, followed, guarded, mutated, donated, and why it recompiled."""

import time
import warnings
from random import random
from types import SimpleNamespace

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile.reasons import Difference


def two(value=2.0):
    return tg.tensor([1.0, value])


def trained():
    model = SimpleNamespace(w=tg.ones(2, requires_grad=True), rate=0.1, scale=2, flag=True, steps=tg.zeros(()))

    def step(x):
        (model.w * x * model.w).sum().backward()
        with tg.no_grad():
            model.w -= model.rate * model.w.grad
        model.w.grad = None
        model.steps += 1
        return x * model.scale if x.sum() > 0 else -x

    return tg.jit(step), model


def test_before_the_first_call():
    fast, _ = trained()
    explained = fast.explain(two())
    assert explained.fits is None and explained.why == [] and explained.programs == []
    assert str(explained).startswith("This call runs eagerly, to make a new program")
    assert fast.specialisations == []


def test_what_a_program_captured_follows_guards_and_changes():
    fast, model = trained()
    for _ in range(3):
        fast(two())
    explained = fast.explain(two())
    assert explained.fits == 0 and explained.why == []
    (program,) = explained.programs
    assert program.number == 0 and program.calls == 2 and program.why == [] and program.checked == "checked"
    assert program.captured == ["model.w", "model.steps"]
    assert program.numbers == ["model.rate"]
    assert "model.scale = 2" in program.constants and "model.flag = True" in program.constants
    assert len(program.guards) == 1 and "bool is True" in program.guards[0] and "test_explain.py" in program.guards[0]
    assert set(program.mutated) == {"model.w", "model.steps"}
    assert program.donated == []  # a guard can reject the run
    for word in ("model.w", "model.rate", "model.scale = 2", "bool is True", "called 2 times"):
        assert word in str(explained)
    assert model.w.grad is None


def test_what_is_donated():
    model = SimpleNamespace(w=tg.ones(2), v=tg.ones(2), r=tg.ones(2))

    def step(x):
        model.w.add_(x * model.r)
        model.v.mul_(2)
        return x * 1

    fast = tg.jit(step)
    for _ in range(3):
        fast(two())
    (program,) = fast.explain(two()).programs
    assert program.donated == ["model.w", "model.v"]
    assert program.captured == ["model.w", "model.r", "model.v"] or set(program.captured) == {
        "model.w",
        "model.v",
        "model.r",
    }


def test_an_argument_is_not_a_capture():
    fast = tg.jit(lambda x, parts: x.add_(parts["a"]))
    for _ in range(2):
        fast(two(), {"a": two(), "rate": 0.5})
    (program,) = fast.explain(two(), {"a": two(), "rate": 0.5}).programs
    assert program.mutated == ["x"] and program.donated == []


def test_it_runs_nothing():
    fast, model = trained()
    fast(two())
    before = model.w.tolist(), model.steps.item(), tg.get_rng_state().tolist()
    for x in (two(), two(-5.0), tg.ones(3, 2), two().double()):
        fast.explain(x)
    assert (model.w.tolist(), model.steps.item(), tg.get_rng_state().tolist()) == before
    assert len(fast.specialisations) == 1


@pytest.mark.parametrize(
    ("change", "what", "before", "after"),
    [
        (lambda m: setattr(m, "flag", False), "m.flag", "True", "False"),
        (lambda m: setattr(m, "n", 3), "m.n", "2", "3"),
        (lambda m: setattr(m, "rate", 1), "m.rate", "float", "1"),
        (lambda m: setattr(m, "text", "b"), "m.text", "'a'", "'b'"),
        (lambda m: m.list.append(1), "m.list", "1", "2"),
        (lambda m: m.dict.update(b=1), "m.dict", "", "b"),
        (lambda m: setattr(m, "new", 1), "m", "", "new"),
        (lambda m: setattr(m, "w", tg.ones(3)), "shape of m.w", "(2,)", "(3,)"),
        (lambda m: setattr(m, "w", tg.ones(2).double()), "dtype of m.w", "float32", "float64"),
        (lambda m: m.w.requires_grad_(), "requires_grad of m.w", "False", "True"),
        (lambda m: setattr(m.w, "grad", tg.ones(2)), "m.w.grad", "None", "tensor"),
        (lambda m: setattr(m, "array", np.zeros(2)), "m.array", "", ""),
        (lambda m: setattr(m, "none", 1.5), "m.none", "None", "float"),
        (lambda m: tg.set_grad_enabled(False), "mode", "True", "False"),
        (lambda m: tg.set_default_dtype(tg.float64), "mode", "float32", "float64"),
    ],
)
def test_why_a_call_recompiles(change, what, before, after):
    m = SimpleNamespace(
        w=tg.ones(2), rate=0.5, n=2, flag=True, text="a", list=[1], dict={"a": 1}, array=np.ones(2), none=None
    )

    def step(x):
        return (m.w * x).sum() * m.rate + m.n

    fast, x = tg.jit(step), tg.ones(1)
    fast(x)
    fast(x)
    try:
        change(m)
        explained = fast.explain(x)
        fast(x)
    finally:
        tg.set_grad_enabled(True)
        tg.set_default_dtype(tg.float32)
    assert explained.fits is None and len(explained.why) == 1
    difference = explained.why[0]
    assert isinstance(difference, Difference)
    assert what in difference.what and before in difference.before and after in difference.after
    assert str(difference) in str(explained)
    assert fast.specialisations[-1].number == 1 and what in fast.specialisations[-1].why[0].what


def test_the_nearest_program_is_compared_with():
    m = SimpleNamespace(a=1, b="x")

    def step(x):
        return x * m.a

    fast = tg.jit(step)
    for a, b in ((True, "x"), (False, "x"), (False, "y")):
        m.a, m.b = a, b
        fast(tg.ones(1))
    whys = [[d.what for d in spec.why] for spec in fast.specialisations]
    assert whys == [[], ["m.a"], ["m.b"]]


def test_another_answer_says_where_python_asked():
    fast = tg.jit(lambda x: x * 2 if x.sum() > 0 else -x)
    fast(two())
    fast(two(-5.0))
    (difference,) = fast.specialisations[1].why
    assert "bool" in difference.what and "test_explain.py" in difference.what
    assert (difference.before, difference.after) == ("True", "False")


def test_the_arguments():
    fast = tg.jit(lambda *args, **kwargs: args[0] * len(args) * len(kwargs))
    fast(two())
    fast(two(), two())
    fast(two(), rate=1.0)
    assert ["arguments" in spec.why[0].what for spec in fast.specialisations[1:]] == [True, True]


# Storms


def calls(fast, change, count=12):
    """The warnings of so many calls, each after a change."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for turn in range(count):
            fast(change(turn))
    return caught


def test_a_storm_warns_once_names_its_cause_and_goes_on_eagerly():
    m = SimpleNamespace(name="", total=tg.zeros(2))

    def step(x):
        m.total += x
        return x * len(m.name)

    fast = tg.jit(step)

    def change(turn):
        m.name += "a"
        return tg.ones(2)

    caught = calls(fast, change, 20)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "step" in text and "m.name" in text and "8 times" in text
    assert caught[0].filename.endswith("test_explain.py")
    assert len(fast.specialisations) <= 9
    assert m.total.tolist() == [20.0, 20.0]
    m.name = "a" * 3
    known = fast.specialisations[2].calls
    fast(tg.ones(2))
    fast(tg.ones(2))
    assert fast.specialisations[2].calls > known  # what was compiled is still used


@pytest.mark.parametrize(
    ("function", "change", "cause"),
    [
        (lambda x: x * 2, lambda turn: tg.ones(turn + 1), "shape of x"),
        (lambda x: x * int(x.sum()), lambda turn: tg.full((1,), float(turn)), "int"),
        (lambda x: x * len(str(x)), lambda turn: tg.full((1,), float(turn)), r"repr|str"),
        (lambda x: x[x > 0], lambda turn: tg.arange(-5.0, 10.0) + turn % 14 - 7, "nonzero"),
    ],
)
def test_storms_of_every_kind_name_their_cause(function, change, cause):
    import re

    fast = tg.jit(function)
    caught = calls(fast, change)
    assert len(caught) == 1
    assert re.search(cause, str(caught[0].message)) and "test_explain.py" in caught[0].filename
    for turn in range(3):
        assert fast(change(turn)).tolist() == function(change(turn)).tolist()


def test_no_storm_where_the_same_come_again():
    fast = tg.jit(lambda x: x * 2 if x.sum() > 0 else -x)
    assert calls(fast, lambda turn: tg.full((1 + turn % 3,), (-1.0) ** turn), 40) == []
    assert len(fast.specialisations) == 6


class Counted:
    """An object whose class keeps a number and a table."""

    total = 7
    table: dict[str, int] = {}  # noqa: RUF012  (of the class, as is tested)


class Derived(Counted):
    """One that inherits them."""


@pytest.mark.parametrize("kind", [Counted, Derived])
def test_a_variable_of_a_class_is_called_by_the_class(kind, monkeypatch):
    owner = kind()
    fast = tg.jit(lambda x: x * owner.total * len(owner.table))
    fast(two())
    monkeypatch.setattr(Counted, "total", 8)
    assert [str(d) for d in fast.explain(two()).why] == ["Counted.total: 7 before, 8 now"]
    monkeypatch.setattr(Counted, "total", 7)
    monkeypatch.setitem(Counted.table, "a", 1)
    assert fast.explain(two()).why[0].what == "Counted.table"


def test_what_was_not_there_before_is_not_called_something_else():
    w, rates = tg.ones(2, requires_grad=True), [0.5]
    fast = tg.jit(lambda x: (w * x).sum() * rates[0])
    fast(two())
    w.register_hook(lambda grad: grad)
    assert [str(d) for d in fast.explain(two()).why] == ["the hooks of w: not there before, a container now"]


def test_a_storm_of_calls_that_were_never_compiled_does_not_say_so():
    m = SimpleNamespace(name="")
    fast = tg.jit(lambda x: x * len(m.name), check="never")

    def change(turn):
        m.name += "a"
        return two()

    (caught,) = calls(fast, change)
    assert "recorded 8 times because m.name keeps changing" in str(caught.message)


def reads_variables(x):
    y = x * 2
    return y if vars() else x


def draws(x):
    return [
        x * np.random.rand()  # noqa: NPY002  (the line)
        for _ in range(2)
    ]


def in_a_helper(x):
    return draws(x)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (reads_variables, r"return y if vars\(\) else x"),
        (draws, r"x \* np.random.rand\(\)  # noqa.*"),
        (in_a_helper, r"x \* np.random.rand\(\)  # noqa.*"),
        (lambda x: x * time.time(), r"lambda x: x \* time.time\(\)"),
        (lambda x: x * random(), r"lambda x: x \* random\(\)"),
    ],
)
def test_what_is_refused_for_its_name_names_the_line(function, line):
    with pytest.raises(tg.UnsupportedError, match=rf"\(.*test_explain.py:\d+: .*{line}.*\)$") as caught:
        tg.jit(function)(two())
    assert str(caught.value).count("test_explain.py") == 1


def test_a_counter_and_a_rate_of_a_class_are_followed():
    class Run:
        steps = 0
        rate = 0.5

    def step(x):
        Run.steps += 1
        return x * Run.rate * (Run.steps & 1)

    fast = tg.jit(step)
    for n in range(12):
        Run.rate = 0.25 * n
        assert fast(tg.ones(1)).item() == 0.25 * n * ((n + 1) & 1)
    assert Run.steps == 12
    assert type(Run.steps) is int
    assert len(fast.specialisations) == 1


def test_many_shapes_are_warned_of_and_compiled():
    fast = tg.jit(lambda x: x * 2, check="never")
    with pytest.warns(UserWarning, match="recorded 8 times because shape of x keeps changing.*each is compiled; pad"):
        assert [len(fast(tg.ones(n))) for n in range(1, 11)] == [*range(1, 11)]
    assert len(fast.specialisations) == 10


def test_an_explanation_says_that_jit_gave_up():
    world = {"n": "0"}
    fast = tg.jit(lambda x: x * len(world["n"]), check="never")
    for n in range(8):
        world["n"] = str(n)
        fast(tg.ones(1))
    world["n"] = "8"
    with pytest.warns(UserWarning, match="from now on such calls run eagerly"):
        fast(tg.ones(1))
    world["n"] = "3"
    assert str(fast.explain(tg.ones(1))).startswith("This call runs program 3")
    world["n"] = "another"
    assert "This call runs eagerly, since world['n']: '8' before, 'another' now." in str(fast.explain(tg.ones(1)))


def test_an_explanation_lists_sets_arrays_and_ranges():
    names, array, steps = {"a"}, np.zeros(2), range(3)
    fast = tg.jit(lambda x: x * len(names) * len(array) * len(steps))
    fast(tg.ones(1))
    constants = fast.explain(tg.ones(1)).programs[0].constants
    assert sorted(constants) == [
        "array = ndarray of shape [2] and dtype float64",
        "names = {'a'}",
        "steps = range(0, 3)",
    ]
