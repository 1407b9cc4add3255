"""What eager code looks at its data for, to raise an error, compiled code looks at too: the same error, state as before."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile.eager_run import EagerRun
from tapegrad.ops import requirements
from tapegrad.testing import max_compiles

from .data_errors import ROWS

F = tg.nn.functional
SOURCES = Path(tg.__file__).parent
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.line.removeprefix('out = ')} {row.bad}")


def given(d):
    return d


def computed(d):
    """The same values, by steps that the host does not do."""
    if d.dtype.is_floating_point or d.dtype.is_complex:
        return d * 1.0
    wide = d.double() * 1.0
    return wide > 0.5 if d.dtype is tg.bool else (wide + tg.where(wide < 0, -0.25, 0.25)).to(d.dtype)


class State:
    """A step around a row, with all kinds of state, which it changes before the row is reached."""

    def __init__(self, row, prepare):
        tg.manual_seed(0)
        self.x = tg.randn(4, 5, generator=tg.Generator().manual_seed(1))
        self.noise = tg.zeros(2)
        self.total = 0.0
        self.kept = {"last": None}
        self.function = row.function()
        self.prepare = prepare

    def step(self, d):
        self.x.add_(0.125)
        self.noise.copy_(tg.rand(2))
        self.total += 0.5
        self.kept["last"] = self.x * 2
        return self.function(self.x, self.prepare(d)) * 1

    def now(self):
        return [self.total, *[t.tolist() for t in (self.x, self.noise, self.kept["last"], tg.get_rng_state())]]


def error_of(function, *args):
    with pytest.raises((IndexError, RuntimeError, ValueError)) as caught:
        function(*args)
    return type(caught.value), str(caught.value)


def same(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def programs(fast):
    return [spec for spec in fast.specialisations if spec.ready]


@EVERY
@pytest.mark.parametrize("prepare", [given, computed])
@pytest.mark.parametrize("guards", [True, False])
def test_the_error_is_the_eager_one_and_changes_nothing(row, prepare, guards):
    if not guards and "one_hot(d) " in row.line:
        pytest.skip("reads the largest number in Python")
    wanted = error_of(State(row, prepare).step, row.data("bad"))
    eager = State(row, prepare)
    expected = [eager.step(row.data(which)) for which in ("good", "other", "good", "other", "good")]
    state = State(row, prepare)
    fast = tg.jit(state.step, fullgraph_guards=guards)
    for which, out in zip(("good", "other", "good"), expected, strict=False):
        same(fast(row.data(which)), out)
    with max_compiles(0):
        before = state.now()
        assert error_of(fast, row.data("bad")) == wanted
        assert state.now() == before
        calls = sum(spec.calls for spec in programs(fast))
        same(fast(row.data("other")), expected[3])
        assert error_of(fast, row.data("bad")) == wanted
        same(fast(row.data("good")), expected[4])
        assert sum(spec.calls for spec in programs(fast)) == calls + 2
    assert state.now() == eager.now()


@EVERY
def test_what_is_given_is_looked_at_before_the_program_runs(row):
    state = State(row, given)
    fast = tg.jit(state.step)
    for which in ("good", "other", "good"):
        fast(row.data(which))
    explained = fast.explain(row.data("good")).programs[-1]
    assert explained.checks and all(check.endswith(" of d, before the call") for check in explained.checks)
    assert "one_hot(d) " in row.line or "self.x" in explained.donated
    assert "one_hot(d) " in row.line or explained.guards == []


@EVERY
def test_what_is_computed_is_looked_at_with_the_result(row):
    state = State(row, computed)
    fast = tg.jit(state.step)
    for which in ("good", "other", "good"):
        fast(row.data(which))
    explained = fast.explain(row.data("good")).programs[-1]
    assert any(check.endswith(", with the result") for check in explained.checks) and explained.donated == []


# That the table has all of them


def required_in():
    """The functions of tapegrad that call one of those in `requirements`, by file and line of the call."""
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        if "compile" in path.relative_to(SOURCES).parts or path == Path(requirements.__file__):
            continue
        tree = ast.parse(path.read_text())
        imports = [
            n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and (n.module or "").endswith("requirements")
        ]
        names = {alias.name for n in imports for alias in n.names}
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "") in names:
                        found[path.relative_to(SOURCES).as_posix(), call.lineno] = function.name
    return found


def test_every_place_that_raises_because_of_data_is_in_the_table(monkeypatch):
    """Each call of `require_...` in tapegrad has bad data in the table, but for `poisson`, which is not recorded."""
    reached = set()
    ask = requirements._held

    def spy(t, requirement):
        held = ask(t, requirement)
        if not held:
            frame = sys._getframe(1)
            while frame.f_code.co_filename == requirements.__file__:
                frame = frame.f_back
            reached.add((Path(frame.f_code.co_filename).relative_to(SOURCES).as_posix(), frame.f_code.co_name))
        return held

    monkeypatch.setattr(requirements, "_held", spy)
    for row in ROWS:
        error_of(row.function(), tg.randn(4, 5), row.data("bad"))
    wanted = {(file, name) for (file, _), name in required_in().items()}
    assert wanted - reached == {("ops/sampling.py", "poisson")}


def test_each_requirement_fails_in_the_table(monkeypatch):
    """Every kind of requirement."""
    failed = set()
    ask = requirements._held

    def spy(t, requirement):
        held = ask(t, requirement)
        failed.update([] if held else [type(requirement)])
        return held

    monkeypatch.setattr(requirements, "_held", spy)
    for row in ROWS:
        error_of(row.function(), tg.randn(4, 5), row.data("bad"))
    assert failed == {kind for kind in vars(requirements).values() if hasattr(kind, "of_tensor")} - {
        tg.tape.Requirement
    }


LOOKS = {"min", "max", "any", "all", "item", "tolist", "count_nonzero"}


def names_in(node):
    return {
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)
    }


def looks_at_values(function):
    """Whether Python learns something of an array's elements in a function: by a number of them, or about all."""
    values = {"_array", "values_of"}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and is_of(node.value, values):
            values |= {name for target in node.targets for name in names_in(target)}
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            number = getattr(node.func, "id", "") in ("int", "float", "complex", "bool")
            if getattr(node.func, "attr", "") in LOOKS or number:
                yield from [node for part in (node.func, *node.args) if is_of(part, values)]


def is_of(node, values):
    found = names_in(node)
    return found & values and not found & {"shape", "dtype", "size", "ndim", "__array_interface__"}


def test_nobody_else_looks_at_values():
    """What raises because of data goes through `requirements`: these places, all of them, do not."""
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        folder, *_ = name = path.relative_to(SOURCES).parts
        if folder in ("ops", "nn", "primitives") and path != Path(requirements.__file__):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef) and (looks := len([*looks_at_values(function)])):
                    found[f"{'/'.join(name)} {function.name}"] = looks
    with_reads_value = {
        "nn/embedding.py one_hot": 2, "ops/parts.py _listed": 1, "ops/parts.py _whole_number": 1,
        "ops/parts.py entry": 1, "ops/tiling.py _repeated_positions": 1, "ops/comparison.py allclose": 2,
        "ops/comparison.py equal": 2,
    }  # fmt: skip
    if_nobody_watches = {"ops/indexing.py _index_tensor": 1, "ops/indexing.py _as_positions": 1}
    if_nobody_watches["ops/scattering.py positions_of"] = 1
    of_random_numbers = {"ops/sampling.py poisson": 1, "ops/sampling.py make": 1}  # which is not recorded
    assert found == with_reads_value | if_nobody_watches | of_random_numbers


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("size", [0, 3, 40])
@pytest.mark.parametrize(
    ("requirement", "elements"),
    [
        (requirements._Within(0, 3, "index"), [-1, 0, 3, 4]),
        (requirements._Within(-4, 3, "index"), [-5, -4, 3, 4]),
        (requirements._Within(0, 1, "probability"), [-0.5, 0.0, 1.0, 1.5, NAN]),
        (requirements._Within(0, INF, "rate"), [-0.5, 0.0, INF, NAN]),
        (requirements._Class(3, -100), [-100, -1, 0, 2, 3]),
        (requirements._Class(3, 1), [-1, 0, 2, 3]),
        (requirements._Nonzero(), [-1, 0, 2]),
        (requirements._NoNegative("variance"), [-0.5, -0.0, NAN, INF]),
        (requirements._Finite(), [-0.5, 0.0, NAN, INF]),
        (requirements._SomePositive(), [0.0, 1.0, -1.0, NAN]),
        (requirements._Real(), [1 + 0j, 1j, 1 - 0j]),
        (requirements._Count(2, 1), [True, False]),
        (requirements._Count(0, 1), [True, False]),
    ],
    ids=str,
)  # fmt: skip
def test_both_ways_to_ask_have_one_answer(requirement, elements, size):
    for usual in elements:
        for other in elements:
            values = np.array([usual] * size + [other] * (size > 0)).reshape(1, -1)
            assert requirement.of_tensor(tg.tensor(values)).item() is requirement.of_array(values)


# What needs no looking

INDICES = [
    "tg.randint(0, 4, (3,))", "tg.randint(-4, 4, (3,))", "tg.arange(4)", "tg.arange(3).flip(0).view(3, 1)",
    "tg.randperm(4)", "x.argmax(0)", "x.argmin(0)", "x.argmax() % 4", "x.max(0)[1]", "tg.tensor([0, -1, 3])", "[0, 1]",
    "x.long() % 4", "x.long().clamp(0, 3)", "x.long().clamp(-4, 3)", "tg.stack([x.argmax(0), x.argmin(0)])",
    "tg.cat([x.argmax(0), tg.arange(2)])", "tg.where(x > 0, 1, 2)", "(x > 0).long()", "(x > 0).long() + 2",
    "3 - (x > 0).int()", "tg.arange(2) * 3", "(x.argmax(0) + 2) // 2", "tg.zeros(3, dtype=tg.int64)",
    "x.argmax(0)[None, 1:].expand(2, 4)", "(x > 0).sum(0) - 1", "(x > 0).cumsum(0) - 1", "-tg.arange(1, 4)",
    "x.long() & 3", "((x > 0).long() - 3).abs()", "tg.ones(2, dtype=tg.int64).scatter(0, tg.arange(2), 3)",
    "tg.eye(3, dtype=tg.int64) * 3", "(x[0] > x[1]).all().long()", "tg.full((2,), 3)", "x.argmax(0).unfold(0, 2, 1)",
    "tg.multinomial(tg.rand(3, 4) + 0, 1)", "x.argmax(0).double().long()", "x.argmax(0).to(tg.int8).to(tg.int32)",
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES)
def test_what_cannot_be_out_of_range_is_not_looked_at(index):
    scope = {"tg": tg}
    exec(f"def step(x, w):\n    w.add_(1)\n    i = {index}\n    return w[i] * 1", scope)
    fast, w = tg.jit(scope["step"], fullgraph_guards=False), tg.zeros(4, 2)
    for _ in range(2):
        fast(tg.randn(4, 5), w)
    assert not any(guard.what.startswith("index") for guard in programs(fast)[-1].guards)


@pytest.mark.parametrize(
    "index",
    ["tg.randint(0, 5, (3,))", "x.argmax(1)", "x.long() % 5", "x.long()", "(x > 0).sum(1)", "tg.arange(5) % i",
     "x.argmax(0) + 1", "(tg.arange(4) + i)", "x.long().clamp(0)", "tg.cat([x.argmax(0), x.argmax(1)])",
     "tg.where(x > 0, 1, i)", "(x > 0).cumsum(0)", "i * 2", "x.argmax(0) - 5"],
)  # fmt: skip
def test_what_can_be_out_of_range_is(index):
    scope = {"tg": tg}
    exec(f"def step(x, w, i):\n    return w[{index}]", scope)
    fast, w = tg.jit(scope["step"]), tg.zeros(4, 2)
    x = tg.tensor(np.diag([1.0, 1, 1, 1, 1])[:4]) * 0.5
    try:
        fast(x, w, tg.tensor(0))
    except (IndexError, tg.TapegradError):
        fast = tg.jit(scope["step"])
        fast(x, w.repeat(2, 1), tg.tensor(1))
    else:
        assert fast._recorded()[-1].guards


@pytest.mark.parametrize(
    "p", ["tg.rand(3)", "tg.full((3,), 0.5)", "(x > 0).float()", "tg.where(x > 0, tg.zeros(()), tg.ones(()))"]
)
def test_probabilities_that_are_some_for_sure(p):
    scope = {"tg": tg}
    exec(f"def step(x, w):\n    w.add_(1)\n    return tg.bernoulli({p})", scope)
    fast, w = tg.jit(scope["step"], fullgraph_guards=False), tg.zeros(4, 2)
    for _ in range(2):
        fast(tg.randn(4, 5), w)
    assert programs(fast)[-1].guards == []


# Training steps go on as they did


def test_a_language_models_step_is_checked_before_it_runs():
    tg.manual_seed(0)
    model = {"table": tg.randn(7, 4).requires_grad_(), "out": tg.randn(4, 7).requires_grad_()}
    optimizer = tg.optim.SGD(model.values(), lr=0.1, momentum=0.9)

    def step(ids):
        optimizer.zero_grad()
        hidden = F.embedding(ids[:, :-1], model["table"])
        loss = F.cross_entropy((hidden @ model["out"]).reshape(-1, 7), ids[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.detach()

    fast = tg.jit(step, fullgraph_guards=False)
    good = tg.tensor([[0, 1, 2], [3, 6, 5]])
    for _ in range(4):
        fast(good)
    spec = programs(fast)[-1]
    assert len(spec.donated) == 4 and not any(spec.depends_on_program(guard.position) for guard in spec.guards)
    checks = fast.explain(good).programs[-1].checks
    assert checks == ["index in [0, 6] of ids, before the call", "class in [0, 6] or -100 of ids, before the call"]
    before = [w.tolist() for w in model.values()]
    for bad in ([[0, 7, 2], [3, 6, 5]], [[0, 1, 2], [3, 6, 7]], [[-1, 1, 2], [3, 6, 5]]):
        with max_compiles(0), pytest.raises(IndexError):
            fast(tg.tensor(bad))
        assert [w.tolist() for w in model.values()] == before
    fast(tg.tensor([[7, 1, 2]]).clamp(max=6).expand(2, 3).contiguous())
    with pytest.raises(IndexError):  # in the last column nobody looks a row up
        fast(tg.tensor([[0, 1, 2], [3, 6, -1]]))
    fast(tg.tensor([[0, 1, 2], [3, 6, -100]]))


def test_indices_that_stay_are_looked_at_once(monkeypatch):
    asked = []
    of_array = requirements._Within.of_array
    monkeypatch.setattr(requirements._Within, "of_array", lambda self, x: asked.append(1) or of_array(self, x))
    table, index = tg.randn(3, 2), tg.tensor([0, 2])
    fast = tg.jit(lambda x: table[index] * x)
    for _ in range(6):
        fast(tg.ones(2))
    assert len(asked) == 2  # when recorded, and by the first compiled call
    index[0] = 1
    same(fast(tg.ones(2)), table[[1, 2]])
    index[0] = 3
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        fast(tg.ones(2))
    index[0] = 2
    same(fast(tg.ones(2)), table[[2, 2]])


# Python around it


def test_an_error_that_the_function_catches_is_another_way_through_it():
    def step(x, i):
        try:
            return x[i] * 2
        except IndexError:
            return x.sum()

    fast, x = tg.jit(step), tg.tensor([1.0, 2.0])
    with max_compiles(2):
        for i, wanted in ((0, 2.0), (9, 3.0), (1, 4.0), (8, 3.0), (9, 3.0), (0, 2.0)):
            assert fast(x, tg.tensor(i)).item() == wanted
    first, second = fast.explain(x, tg.tensor(0)).programs
    assert first.checks[0].startswith("index in") and second.checks[0].startswith("not: index in")
    assert "whether data is as it must be" in second.why[0].what and first.calls + second.calls == 4


@pytest.mark.parametrize("bad_first", [False, True])
def test_data_that_python_looks_at_first(bad_first, monkeypatch):
    runs = []
    start = EagerRun.start
    monkeypatch.setattr(EagerRun, "start", lambda self: runs.append(self) or start(self))

    def step(w, ids):
        if (ids < 4).all():
            return w[ids].sum()
        return w.sum() * 0

    fast, w = tg.jit(step), tg.ones(4)
    calls = [(tg.tensor([0, 1]), 2.0), (tg.tensor([0, 5]), 0.0)][:: -1 if bad_first else 1]
    with max_compiles(2):
        for ids, wanted in calls * 3:
            assert fast(w, ids).item() == wanted
    assert sum(spec.calls for spec in fast.specialisations) == 4 and len(runs) == 2
    with pytest.raises(IndexError):
        fast(w, tg.tensor([0, -5]))


def test_bad_data_never_makes_a_storm(recwarn):
    fast, w = tg.jit(lambda w, i: w[i]), tg.ones(4)
    fast(w, tg.tensor([0]))
    with max_compiles(1):
        for i in range(70):
            with pytest.raises(IndexError):
                fast(w, tg.tensor([i + 4]))
        assert fast(w, tg.tensor([1])).item() == 1
    assert not recwarn.list and len(fast.specialisations) == 1


def test_bad_data_in_the_first_call_makes_no_program():
    fast, w = tg.jit(lambda w, i: w[i]), tg.ones(4)
    for _ in range(3):
        with pytest.raises(IndexError):
            fast(w, tg.tensor([4]))
    assert fast._recorded() == []


def test_a_result_that_nobody_uses_is_looked_at_all_the_same():
    def step(w, i):
        w[i]
        F.one_hot((i.double() * 1.5).long(), 6)
        return w * 2

    fast, w = tg.jit(step), tg.ones(4)
    for _ in range(2):
        fast(w, tg.tensor([0]))
    with pytest.raises(IndexError, match="index 4"):
        fast(w, tg.tensor([4]))
    fast = tg.jit(step)
    for _ in range(2):
        fast(tg.ones(9), tg.tensor([0]))
    with pytest.raises(RuntimeError, match="Class values must be smaller"):
        fast(tg.ones(9), tg.tensor([4]))


def test_numbers_that_are_followed_take_part():
    class Window:
        shift = 0.0

    def step(w, i):
        return w[(i + Window.shift).long()]

    fast, w = tg.jit(step), tg.arange(4.0)
    for shift in (0.0, 1.0, 2.0):
        Window.shift = shift
        assert fast(w, tg.tensor([1])).item() == 1 + shift
    with max_compiles(0):
        Window.shift = 3.0
        with pytest.raises(IndexError, match="index 4"):
            fast(w, tg.tensor([1]))
        Window.shift = 2.0
        assert fast(w, tg.tensor([1])).item() == 3


@pytest.mark.parametrize("x", [3.9999998, 3.999999])
def test_an_index_that_rounding_could_lead_out_of_range(x):
    """The check of a program looks at how rounding spreads: not at what the function would do somewhere else."""
    x, w = tg.tensor([x, 2.0]), tg.ones(4, requires_grad=True)
    for function in (
        lambda x, w: w[(x * 1.7 / 1.7).long()].exp(),
        lambda x, w: w.gather(0, (x * 1.7 / 1.7).long()).exp(),
        lambda x, w: tg.func.grad(lambda v: v[(x * 1.7 / 1.7).long()].sum())(w),
        lambda x, w: w.scatter(0, (x * 1.7 / 1.7).long(), 2.0) + w.index_put(((x * 1.7 / 1.7).long(),), x * 2),
    ):
        wanted, fast = function(x, w), tg.jit(function, check="always")
        for _ in range(3):
            same(fast(x, w), wanted)


def test_two_tensors_of_which_the_same_is_required():
    for prepare in (given, computed):
        fast, w = tg.jit(lambda w, i, j, prepare=prepare: w[prepare(i)] + w[prepare(j)]), tg.ones(4)
        for _ in range(3):
            fast(w, tg.tensor([0]), tg.tensor([1]))
        for i, j in ((0, 4), (4, 0)):
            with max_compiles(0), pytest.raises(IndexError, match="index 4"):
                fast(w, tg.tensor([i]), tg.tensor([j]))
        assert len(programs(fast)[-1].guards) == 2


def test_empty_indices_hold():
    fast, w = tg.jit(lambda w, i: w[i].sum() + w.index_select(0, i).sum()), tg.ones(4)
    for _ in range(2):
        assert fast(w, tg.zeros(0, dtype=tg.int64)).item() == 0
    assert programs(fast)[0].calls == 1


def test_constants_are_looked_at_once():
    """Also where no interval says what they are."""

    def step(w):
        w.add_(1)
        return tg.multinomial((tg.tensor([0.0, 0.5]) * 2).exp() - 1, 1) + w

    fast, w = tg.jit(step, fullgraph_guards=False), tg.zeros(1)
    for _ in range(2):
        fast(w)
    assert programs(fast)[-1].guards == [] and programs(fast)[-1].donated


def test_an_index_of_indices_when_only_the_second_is_looked_at_on_the_host():
    """The first takes too many elements of one; nothing is said of the second if the first is out of range."""
    fast, w, table = tg.jit(lambda w, table, i: w[table[i.expand(6000)]].sum()), tg.ones(4), tg.arange(6000) % 4
    for _ in range(2):
        fast(w, table, tg.tensor([2]))
    first, second = fast.explain(w, table, tg.tensor([2])).programs[-1].checks
    assert first.endswith("with the result") and second.endswith("before the call")
    with pytest.raises(IndexError, match="index 6000 is out of bounds for dimension 0 with size 6000"):
        fast(w, table, tg.tensor([6000]))


def test_a_long_way_to_an_index_is_left_to_the_program():
    def step(w, i, times):
        for _ in range(times):
            i = (i * 3 + 1) % (w.shape[0] + 1)
        return w[i]

    for times, on_host in ((5, True), (50, False)):
        fast, w = tg.jit(step), tg.ones(9)
        for _ in range(2):
            fast(w, tg.tensor([2]), times)
        assert fast.explain(w, tg.tensor([2]), times).programs[-1].checks[0].endswith("before the call") is on_host
        bad = [i for i in range(10) if reaches(i, times) == 9]
        with pytest.raises(IndexError, match="index 9"):
            fast(w, tg.tensor(bad), times)


def reaches(i, times):
    for _ in range(times):
        i = (i * 3 + 1) % 10
    return i


def test_masks_need_no_check():
    fast, w = tg.jit(lambda w, m: w[m]), tg.ones(4)
    for _ in range(2):
        fast(w, tg.tensor([True, False, True, True]))
    assert fast.explain(w, tg.tensor([True] * 4)).programs[0].checks == []


# Transforms, checkpoints, other ways to compile

IDS, OUT = tg.tensor([[0, 1], [2, 3]]), tg.tensor([[0, 1], [2, 4]])


def hosted_and_not(function):
    """`function` of a weight and ids, as given and as computed, jitted: good ids, then bad ones, then good ones."""
    for prepare in (given, computed):
        fast = tg.jit(lambda w, i, prepare=prepare: function(w, prepare(i)))
        w = tg.arange(8.0).reshape(4, 2).requires_grad_()
        wanted = function(w, IDS)
        for _ in range(3):
            same(fast(w, IDS), wanted)
        with max_compiles(0):
            with pytest.raises((IndexError, RuntimeError)) as caught:
                fast(w, OUT)
            with pytest.raises(type(caught.value)) as eager:
                function(w, prepare(OUT))
            assert str(caught.value) == str(eager.value)
            same(fast(w, IDS), wanted)


@pytest.mark.parametrize(
    "function",
    [
        lambda w, i: tg.vmap(lambda j: w[j])(i),
        lambda w, i: tg.vmap(lambda j: F.embedding(j, w) * 2)(i),
        lambda w, i: tg.vmap(tg.vmap(lambda j: F.one_hot(j, 4)))(i) * w[0, 0],
        lambda w, i: tg.vmap(lambda v, j: F.cross_entropy(v.expand(2, 4), j))(w.detach().reshape(2, 4), i),
        lambda w, i: tg.func.grad(lambda v: v[i].sum())(w),
        lambda w, i: tg.func.jvp(lambda v: v[i], (w,), (w * 2,))[1],
        lambda w, i: tg.func.vjp(lambda v: v.gather(0, i), w)[0],
        lambda w, i: tg.func.jacrev(lambda v: v[i[1]])(w),
        lambda w, i: tg.func.vmap(tg.func.grad(lambda v, j: v[j].sum()), (None, 0))(w, i),
        lambda w, i: tg.utils.checkpoint.checkpoint(lambda v: v[i].exp(), w, use_reentrant=False),
        lambda w, i: tg.jit(lambda v, j: v[j])(w, i),
    ],
)  # fmt: skip
def test_inside_transforms(function):
    hosted_and_not(function)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoints_of_steps_with_backward(use_reentrant):
    def function(w, i):
        v = w.detach().requires_grad_()
        exps = tg.utils.checkpoint.checkpoint(lambda v: F.embedding(i, v).exp(), v, use_reentrant=use_reentrant)
        exps.sum().backward()
        return v.grad

    hosted_and_not(function)


def test_gradients_from_outside():
    fast = tg.jit(lambda w, i: (w[i] * w[i]).sum())
    for prepare in (given, computed):
        fast = tg.jit(lambda w, i, prepare=prepare: (w[prepare(i)] ** 2).sum())
        for _ in range(3):
            w = tg.ones(4).requires_grad_()
            fast(w, tg.tensor([1, 1])).backward()
            assert w.grad.tolist() == [0, 4, 0, 0]
        with max_compiles(0), pytest.raises(IndexError, match="index 4"):
            fast(w, tg.tensor([1, 4]))


def test_a_tape_or_jax_function_has_no_checks():
    tape = tg.record(lambda w, i: w[i], tg.ones(4), tg.tensor([0]))
    assert "all" not in {step.prim.name for step in tape.steps}
    pure = tg.to_jax(lambda w, i: w[i])
    assert pure({}, np.ones(4, np.float32), np.array([1]))[0].tolist() == [1]


def test_a_bound_beyond_the_dtype():
    def step(i):
        requirements.require_within(i, -(2**40), 2**40, "index", IndexError)
        return i * 1

    for prepare in (given, computed):
        fast = tg.jit(lambda i, prepare=prepare: step(prepare(i)))
        for i in (0, -1, 2**31 - 1):
            assert fast(tg.tensor([i], dtype=tg.int32)).item() == i
        assert programs(fast)[-1].guards == []


def test_half_precision_probabilities():
    for dtype in (tg.bfloat16, tg.float16):
        fast = tg.jit(tg.bernoulli)
        for _ in range(2):
            fast(tg.tensor([0.5, 1.0], dtype=dtype))
        with pytest.raises(RuntimeError, match="p_in"):
            fast(tg.tensor([0.5, 1.5], dtype=dtype))
