"""jit never goes stale: one test for each way in which a compiled function could go on with what is no longer so.

Each compares a jitted function with the same function run eagerly, call by call: results, arguments, all state. What
would be told apart by nobody at the second call is told apart at the third, so most call several times on both sides of
a change.
"""

import abc
import collections
import contextlib
import copy
import functools
import importlib
import math
import os
import random
import subprocess
import sys
import threading
from os import urandom
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812
from tapegrad.compile import dispatch
from tapegrad.testing import max_compiles

from .alongside import Pair, assert_alike


def two():
    return (tg.tensor([1.0, 2.0]),)


def pair_of(value):
    return lambda: (tg.tensor([1.0, value]),)


def setting(**values):
    """A change of a world: sets attributes."""
    return lambda world: [setattr(world, name, value) for name, value in values.items()]


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


# Captured state that is another at a later call


def test_a_parameter_rebound_after_the_first_call():
    def build():
        model = SimpleNamespace(w=leaf(2.0, 3.0))

        def step(x):
            loss = (x * model.w * model.w).sum()
            loss.backward()
            return loss.detach()

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    for values in ((5.0, 7.0), (1.0, -1.0)):
        pair.both(lambda model, values=values: setattr(model, "w", leaf(*values)))
        pair.call(two, 3)
    assert pair.compilations == 2  # without a gradient, and with one


@pytest.mark.parametrize("make", [lambda: [1], lambda: {"n": 1}, lambda: SimpleNamespace(n=1)])
def test_two_objects_that_looked_alike_become_one(make):
    def build():
        world = SimpleNamespace(a=make(), b=make())

        def step(x):
            put = world.a.__dict__ if isinstance(world.a, SimpleNamespace) else world.a
            got = world.b.__dict__ if isinstance(world.b, SimpleNamespace) else world.b
            put[0 if isinstance(put, list) else "n"] = 5
            return x * got[0 if isinstance(got, list) else "n"]

        return step, world

    pair = Pair(build)
    for shared in (False, False, False, True, True, False):
        pair.both(lambda world, shared=shared: setattr(world, "a", make()))
        pair.both(lambda world, shared=shared: setattr(world, "b", world.a if shared else make()))
        pair.call(two)


@pytest.mark.parametrize("times", [0, 3])
@pytest.mark.parametrize("make", [lambda: tg.ones(2), lambda: tg.jit(lambda x: x * 1)(tg.ones(2))])
def test_a_tensor_put_in_the_place_of_a_captured_one_is_passed_as_the_argument_too(make, times):
    def build():
        model = SimpleNamespace(w=tg.ones(2))

        def step(x):
            model.w.add_(1)
            return x * 1

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    pair.both(lambda model: setattr(model, "w", make()))
    pair.call(two, times)
    for world, step in ((pair.eager, pair.step), (pair.jitted, pair.fast)):
        assert [step(world.w).tolist() for _ in range(3)] == [[n, n] for n in range(times + 2, times + 5)]


def test_a_parameter_rebound_to_another_tensor_of_the_program():
    def build():
        model = SimpleNamespace(a=tg.ones(2), b=tg.zeros(2))

        def step(x):
            model.a.add_(x)
            return model.b * 2

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    for change in (
        lambda model: setattr(model, "b", model.a),
        lambda model: setattr(model, "b", tg.zeros(2)),
        lambda model: setattr(model, "b", model.a.detach()),
        lambda model: setattr(model, "a", tg.ones(2)),
    ):
        pair.both(change)
        pair.call(two, 3)


def test_an_argument_that_is_a_capture_too():
    def build():
        model = SimpleNamespace(w=tg.ones(2))

        def step(x):
            model.w.add_(1)
            return model.w * x

        return step, model

    pair = Pair(build)
    for _ in range(2):
        pair.call(two, 3)
        for _ in range(2):
            assert_alike(pair.step(pair.eager.w), pair.fast(pair.jitted.w))
            pair.compare()


def test_arguments_that_are_one_tensor_at_some_calls():
    def build():
        def step(x, y):
            x.add_(1)
            return x * y

        return step, None

    pair = Pair(build)
    for _ in range(2):
        pair.call(lambda: (*two(), *two()), 3)
        pair.call(lambda: two() * 2, 3)


def test_arguments_on_the_device_that_are_one_tensor_at_some_calls():
    on_device = tg.jit(lambda x: x * 1)
    for _ in range(2):
        on_device(*two())

    def step(x, y):
        x.add_(1)
        return x * y

    fast = tg.jit(step)
    for same in (False, False, False, True, True, False, True):
        x, y = two()[0], two()[0]
        a, b = on_device(x), on_device(y)
        if same:
            y, b = x, a
        assert_alike([step(x, y), x, y], [fast(a, b), a, b])


def test_parameters_whose_data_is_replaced():
    def build():
        model = SimpleNamespace(w=leaf(1.0, 1.0))
        return lambda x: (model.w * x).sum().detach() * 1, model

    pair = Pair(build)
    pair.call(two, 3)
    for data in ([3.0, 4.0], [[3.0, 4.0], [1.0, 2.0]], [3.0, 4.0]):
        pair.both(lambda model, data=data: setattr(model.w, "data", tg.tensor(data)))
        pair.call(two, 3)
    assert pair.compilations == 2


def test_a_captured_list_that_grew_and_shrank():
    def build():
        layers = [tg.ones(2)]

        def step(x):
            for layer in layers:
                x = x * 2 + layer
            return x

        return step, layers

    pair = Pair(build)
    pair.call(two, 2)
    pair.both(lambda layers: layers.append(tg.full((2,), 3.0)))
    pair.call(two, 2)
    pair.both(lambda layers: layers.reverse())
    pair.call(two, 2)
    pair.both(lambda layers: layers.pop())
    pair.call(two, 2)
    assert pair.compilations == 2


@pytest.mark.parametrize(
    ("values", "programs"),
    [
        ((1.5, 2.5, -0.0, 0.0, float("inf"), float("nan"), 1e-40, 1e300), 1),  # a float is an input
        ((1, 2, 3, -4, 2**40), 2),  # an int becomes one when it has changed
        ((True, False, True, False), 2),
        (("a", "bb", "a"), 2),
        ((None, 1.0, None), 2),
        ((1, 1.0, True, np.float32(1), np.float64(1)), 5),  # equal, and not the same
        (((1.5, 2), (2.5, 2), (2.5, 3)), 2),
        ((frozenset({1}), frozenset({1, 2})), 2),
        ((np.ones(2, np.float32), np.zeros(2, np.float32)), 2),
        ((slice(0, 1), slice(0, 2)), 2),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, tuple) else "",
)
def test_a_captured_python_number_or_flag_that_changed(values, programs):
    mixed = type(values[0]) is int and len(set(map(type, values))) > 1

    def build():
        config = SimpleNamespace(value=values[0])

        def step(x):
            value = config.value
            if isinstance(value, tuple):
                value = value[0] * value[1]
            if isinstance(value, np.ndarray | slice | str | frozenset) or value is None:
                value = len(repr(value))
            kind = x.to(tg.int64) * value if mixed else None  # shows that 1, 1.0 and True are not the same
            return x * value, kind, isinstance(config.value, bool)

        return step, config

    pair = Pair(build)
    pair.call(two, 2)
    for value in (*values[1:], *values):
        pair.both(setting(value=value))
        pair.call(two, 2)
    assert pair.compilations <= programs


def test_the_sign_of_a_captured_zero():
    def build():
        config = SimpleNamespace(rate=0.0)
        return lambda x: x / config.rate, config

    pair = Pair(build)
    for rate in (0.0, -0.0, 0.0, 1.0, -0.0, -0.0, 0.0):
        pair.both(setting(rate=rate))
        pair.call(two)
    assert pair.compilations == 1


def test_a_float_where_none_can_be_followed():
    def build():
        world = SimpleNamespace(recent=collections.deque([0.0]))
        return lambda x: x * world.recent[0], world

    pair = Pair(build)
    for value in (0.0, 5.0, math.nan, -0.0, 0.0, 2.5):
        pair.both(lambda world, value=value: world.recent.__setitem__(0, value))
        pair.call(two, 2)


def test_what_a_hook_of_a_parameter_reads():
    def build():
        config = {"rate": 0.5}
        world = SimpleNamespace(w=leaf(1.0, 2.0), config=config)
        w = world.w

        @w.register_post_accumulate_grad_hook
        def scale(p):
            p.grad.mul_(config["rate"])

        def step(x):
            w.grad = None
            (w * x).sum().backward()

        return step, world

    pair = Pair(build)
    pair.call(two, 3)
    pair.both(lambda world: world.config.update(rate=0.25))
    pair.call(two, 2)
    pair.both(lambda world: world.config.update(rate=2))
    pair.call(two, 2)


def test_numbers_and_flags_wherever_they_are_kept():
    class Holder:
        __slots__ = ("extra", "rate")

    class Layer:
        gain = 1.5

    def build():
        holder = Holder()
        holder.rate = 1.5
        layer = Layer()
        config = {"groups": [{"rate": 0.5, "betas": (0.9, 0.99)}], "deep": SimpleNamespace(flag=False)}

        def helper(x, scale=2.0, *, shift=1.0):
            return x * scale * helper.factor + shift

        helper.factor = 3.0

        def step(x):
            group = config["groups"][0]
            x = helper(x) * holder.rate * group["rate"] * group["betas"][1] * layer.gain
            x = x * getattr(holder, "extra", 1.0)
            return -x if config["deep"].flag else x

        return step, SimpleNamespace(holder=holder, config=config, helper=helper, layer=layer)

    pair = Pair(build)
    pair.call(two, 2)
    for change in (
        lambda w: setattr(w.holder, "rate", 2.5),
        lambda w: setattr(w.holder, "extra", 3.5),
        lambda w: delattr(w.holder, "extra"),
        lambda w: w.config["groups"][0].update(rate=0.25),
        lambda w: w.config["groups"][0].update(betas=(0.9, 0.1)),
        lambda w: setattr(w.config["deep"], "flag", True),
        lambda w: setattr(w.helper, "factor", 4.0),
        lambda w: setattr(w.helper, "__defaults__", (5.0,)),
        lambda w: setattr(w.helper, "__kwdefaults__", {"shift": 2.5}),
        lambda w: setattr(w.layer, "gain", 0.5),
        lambda w: w.config["groups"].__setitem__(0, {"rate": 1.0, "betas": (0.0, 1.0)}),
    ):
        pair.both(change)
        pair.call(two, 2)


def test_the_switch_between_training_and_evaluation():
    def build():
        model = SimpleNamespace(training=True, mean=tg.zeros(2), var=tg.ones(2))

        def step(x):
            x = F.batch_norm(x, model.mean, model.var, training=model.training)
            return F.dropout(x, 0.5, training=model.training)

        return step, model

    worlds = []
    (eager, eager_model), (original, model) = build(), build()
    fast = tg.jit(original)
    for function, world in ((eager, eager_model), (fast, model)):
        tg.manual_seed(0)
        outs = []
        for turn in range(8):
            world.training = turn % 4 < 2
            outs.append(function(tg.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])))
        worlds.append((outs, world))
    assert_alike(*worlds)
    assert len(fast.specialisations) == 2


def test_a_global_that_was_not_there_and_hides_a_builtin(monkeypatch):
    fast = tg.jit(lambda x: x * max(1.0, 2.0))
    for _ in range(3):
        assert fast(tg.ones(1)).item() == 2.0
    monkeypatch.setitem(globals(), "max", lambda a, b: 7.0)
    for _ in range(3):
        assert fast(tg.ones(1)).item() == 7.0
    monkeypatch.delitem(globals(), "max")
    assert fast(tg.ones(1)).item() == 2.0


def test_a_function_replaced_or_given_other_code():
    def helper(x):
        return x * 2

    fast = tg.jit(lambda x: helper(x))
    for _ in range(3):
        assert fast(tg.ones(1)).item() == 2.0
    helper.__code__ = (lambda x: x * 3).__code__
    for _ in range(3):
        assert fast(tg.ones(1)).item() == 3.0

    def helper(x):
        return x * 4

    for _ in range(3):
        assert fast(tg.ones(1)).item() == 4.0


def test_another_class_and_another_method():
    class First:
        rate = 2.0

        def apply(self, x):
            return x * self.rate

    class Second(First):
        rate = 3.0

    def build():
        model = SimpleNamespace(layer=First())
        return lambda x: model.layer.apply(x), model

    pair = Pair(build)
    pair.call(two, 3)
    pair.both(lambda model: setattr(model.layer, "__class__", Second))
    pair.call(two, 3)
    First.apply = lambda self, x: x - self.rate
    pair.call(two, 3)
    Second.rate = 5.0
    pair.call(two, 3)


def test_the_environment_of_the_process(monkeypatch):
    getenv = os.getenv

    def imported(x):
        import os as system

        return x * float(system.environ["TAPEGRAD_TEST_RATE"])

    for function in (
        lambda x: x * float(os.environ["TAPEGRAD_TEST_RATE"]),
        lambda x: x * float(os.getenv("TAPEGRAD_TEST_RATE", "7")),
        lambda x: x * float(getenv("TAPEGRAD_TEST_RATE")),
        imported,
    ):
        fast = tg.jit(function)
        for rate in ("1", "1", "2", "3", "2"):
            monkeypatch.setenv("TAPEGRAD_TEST_RATE", rate)
            assert fast(tg.ones(1)).item() == float(rate)


def test_the_arguments_and_the_folder_of_the_process(monkeypatch, tmp_path):
    getcwd = os.getcwd
    monkeypatch.chdir(tmp_path)
    for name in ("one", "three"):
        (tmp_path / name).mkdir()
    for function in (
        lambda x: x * len(sys.argv[-1]),
        lambda x: x * len(os.path.basename(os.getcwd())),  # noqa: PTH109, PTH119
        lambda x: x * len(os.path.basename(getcwd())),  # noqa: PTH119
        lambda x: x * len(Path.cwd().name),
        lambda x: x * len(Path("here").absolute().parent.name),
    ):
        fast = tg.jit(function)
        for name in ("one", "one", "three", "one", "three"):
            monkeypatch.setattr(sys, "argv", ["program", name])
            monkeypatch.chdir(tmp_path / name)
            assert fast(tg.ones(1)).item() == len(name)
        assert len(fast.specialisations) <= 2


def draws_by_name(x):
    return x * len(urandom(3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, path: x * len(open(path).read()),  # noqa: PTH123, SIM115
        lambda x, path: x * len(Path(path).read_text()),
        lambda x, path: x * float(np.loadtxt(path)),
        lambda x, path: x * float(np.fromfile(path, sep=" ")[0]),
        lambda x, path: x * len(os.listdir(os.path.dirname(path))),  # noqa: PTH120, PTH208
        lambda x, path: x * len([*Path(path).parent.iterdir()]),
        lambda x, path: x * len(os.urandom(3)),
        lambda x, path: draws_by_name(x),
        lambda x, path: (Path(path).unlink(), x * 1)[1],
        lambda x, path: (Path(path).with_name("new").mkdir(), x * 1)[1],
        lambda x, path: (os.environ.__setitem__("TAPEGRAD_TEST", "1"), x * 1)[1],
        lambda x, path: (os.chdir(os.path.dirname(path)), x * 1)[1],  # noqa: PTH120
        lambda x, path: (subprocess.run([sys.executable, "-c", "0"], check=True), x * 1)[1],
        lambda x, path: x * len(input()),
    ],
)
def test_files_and_what_changes_the_process_are_refused(function, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("3.0\n")
    folder = Path.cwd()
    fast = tg.jit(function)
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match=r"(?s)\(\): .*outside.*\(test_never_stale"):
            fast(tg.ones(1), str(path))
    assert fast.specialisations == []
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert Path.cwd() == folder
    assert "TAPEGRAD_TEST" not in os.environ


def test_what_is_not_reached_is_not_refused():
    def step(x, path=None):
        return x * 2 if path is None else x * len(open(path).read())  # noqa: PTH123

    assert tg.jit(step)(tg.ones(1)).item() == 2


# What a tensor is


def test_versions_and_addresses_read_inside():
    w = tg.ones(2)

    def made(x):
        y = x * 2
        y.add_(1)
        return x * y._version

    fast = tg.jit(made)
    assert [fast(*two()).tolist() for _ in range(3)] == [[1.0, 2.0]] * 3
    for read in (
        lambda x: x * w._version,
        lambda x: x * x._version,
        lambda x: x * x[1:]._version,
        lambda x: x * (x.data_ptr() % 7),
        lambda x: x * ((x * 2).data_ptr() % 7),
        lambda x: x * (w.untyped_storage().data_ptr() % 7),
        lambda x: (w.add_(x), x * w._version)[1],
    ):
        with pytest.raises(tg.UnsupportedError, match=r"(?s)(_version|data_ptr).*test_never_stale"):
            tg.jit(read)(*two())
    assert w.tolist() == [1.0, 1.0]
    step = tg.jit(lambda x: x * (x.untyped_storage() == w.untyped_storage()))
    assert [step(*two()).tolist() for _ in range(3)] == [[0.0, 0.0]] * 3


def test_another_dtype_shape_requires_grad_or_layout():
    makers = [
        lambda: tg.ones(2, 3),
        lambda: tg.ones(3, 2),
        lambda: tg.ones(2, 3, dtype=tg.float64),
        lambda: tg.ones(2, 3, dtype=tg.int32),
        lambda: tg.ones(2, 3, dtype=tg.bool),
        lambda: tg.ones(2, 3, dtype=tg.bfloat16),
        lambda: tg.ones(2, 0),
        lambda: tg.ones(3, 2).t(),
        lambda: tg.ones(2, 6)[:, ::2],
        lambda: tg.ones(2, 3, requires_grad=True),
    ]
    pair = Pair(lambda: (lambda x: (x * 2, x.reshape(-1) + 1), None))
    for turn in range(2):
        for make in makers:
            pair.call(lambda make=make: (make(),), 2)
        assert pair.compilations == len(makers), turn


def test_an_argument_on_the_device_of_another_dtype_or_shape():
    step = lambda x: x * (x.shape[0] + 0.5)  # noqa: E731
    fast, on_device = tg.jit(step), tg.jit(lambda x: x * 1)
    for make in (lambda: tg.ones(2, 3), lambda: tg.ones(3, 2), lambda: tg.ones(2, 3, dtype=tg.float64)) * 2:
        for _ in range(2):
            on_device(make())
            assert_alike(step(make()), fast(on_device(make())))
    assert len(fast.specialisations) == 3


def test_a_captured_tensor_of_another_dtype_shape_or_requires_grad():
    def build():
        model = SimpleNamespace(w=tg.ones(2))
        return lambda x: (model.w * x).sum(), model

    pair = Pair(build)
    pair.call(two, 3)
    for make in (
        lambda: tg.ones(2, dtype=tg.float64),
        lambda: tg.ones(3, 2),
        lambda: tg.ones(2, requires_grad=True),
        lambda: tg.tensor(3),
        lambda: tg.full((2,), 4.0),
    ):
        pair.both(lambda model, make=make: setattr(model, "w", make()))
        pair.call(two, 3)
    pair.both(lambda model: model.w.requires_grad_())
    pair.call(two, 2)


def test_another_grad_mode_or_default_dtype():
    def build():
        w = leaf(1.0, 3.0)

        def step(x):
            with tg.no_grad():
                y = w * x
            with tg.enable_grad():
                z = w * x
            return y, z, w * x, tg.is_grad_enabled(), tg.zeros(1)

        return step, w

    pair = Pair(build)
    for _ in range(2):
        pair.call(two, 2)
        with tg.no_grad():
            pair.call(two, 2)
        tg.set_default_dtype(tg.float64)
        try:
            pair.call(lambda: (tg.tensor([1.0, 2.0], dtype=tg.float32),), 2)
        finally:
            tg.set_default_dtype(tg.float32)
    assert pair.compilations == 3


def test_inference_mode():
    w = leaf(1.0, 3.0)
    fast = tg.jit(lambda x: x * w)
    for _ in range(2):
        for _ in range(2):
            assert not fast(*two()).is_inference()
        with tg.no_grad():
            for _ in range(3):
                assert not fast(*two()).is_inference()
        with tg.inference_mode():
            for _ in range(3):
                out = fast(*two())
                assert out.is_inference() and not out.requires_grad


def test_gradients_none_and_present():
    def build():
        model = SimpleNamespace(w=leaf(1.0, 1.0))

        def step(x):
            (model.w * x * model.w).sum().backward()

        return step, model

    pair = Pair(build)
    pair.call(two, 4)
    for change in (
        lambda model: setattr(model.w, "grad", None),
        lambda model: setattr(model.w, "grad", tg.full((2,), 5.0)),
        lambda model: model.w.grad.zero_(),
        lambda model: setattr(model.w, "grad", None),
    ):
        pair.both(change)
        pair.call(two, 3)
    assert pair.compilations == 2


def test_a_flag_of_a_parameter_turned_off_and_on():
    def build():
        model = SimpleNamespace(a=leaf(1.0, 1.0), b=leaf(2.0, 3.0))

        def step(x):
            (model.a * x * model.b).sum().backward()

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    for flag in (False, True, False):
        pair.both(lambda model, flag=flag: model.b.requires_grad_(flag))
        pair.call(two, 2)


# Optimisers


def test_the_state_of_an_optimiser_taken_out_put_back_and_extended():
    def build():
        model = SimpleNamespace(w=leaf(1.0, 2.0), kept=None)
        model.optimiser = tg.optim.SGD([model.w], lr=0.1, momentum=0.9)

        def step(x):
            model.optimiser.zero_grad()
            (model.w * x * model.w).sum().backward()
            model.optimiser.step()

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    for change in (
        lambda model: setattr(model, "kept", copy.deepcopy(model.optimiser.state_dict())),
        lambda model: model.optimiser.load_state_dict(model.kept),
        lambda model: model.optimiser.add_param_group({"params": [leaf(1.0, 1.0)], "lr": 0.5}),
        lambda model: model.optimiser.state.clear(),
        lambda model: model.optimiser.param_groups[0].update(momentum=0.5),
    ):
        pair.both(change)
        pair.call(two, 3)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_a_learning_rate_changed_at_each_step_compiles_nothing(kind):
    def build():
        model = SimpleNamespace(w=leaf(2.0, 3.0))
        model.optimiser = getattr(tg.optim, kind)([model.w], lr=0.1)

        def step(x):
            model.optimiser.zero_grad()
            loss = (x * model.w * model.w).sum()
            loss.backward()
            model.optimiser.step()
            return loss.detach()

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    with max_compiles(0):
        for turn in range(5):
            pair.both(lambda model, turn=turn: model.optimiser.param_groups[0].update(lr=0.1 / (turn + 2)))
            pair.call(two)
    assert pair.compilations == 1  # the first call makes gradients and state, which is another signature


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimiser: tg.optim.lr_scheduler.StepLR(optimiser, 2),
        lambda optimiser: tg.optim.lr_scheduler.ExponentialLR(optimiser, 0.9),
        lambda optimiser: tg.optim.lr_scheduler.LambdaLR(optimiser, lambda epoch: 0.9**epoch),
    ],
    ids=["StepLR", "ExponentialLR", "LambdaLR"],
)
def test_a_scheduler_inside_the_step(schedule):
    def build():
        model = SimpleNamespace(w=leaf(2.0, 3.0))
        model.optimiser = tg.optim.SGD([model.w], lr=0.1, momentum=0.5)
        model.scheduler = schedule(model.optimiser)

        def step(x):
            model.optimiser.zero_grad()
            loss = (x * model.w * model.w).sum()
            loss.backward()
            model.optimiser.step()
            model.scheduler.step()
            return loss.detach()

        return step, model

    pair = Pair(build)
    pair.call(two, 8)
    assert pair.compilations <= 5


# What goes out


def test_an_intermediate_leaked_into_a_list_a_global_an_attribute_or_a_tensor():
    def build():
        model = SimpleNamespace(seen=[None, None], last=None, named={}, w=leaf(1.0, 2.0))
        kept = None

        def step(x):
            nonlocal kept
            y = x * 2
            model.seen[0], model.last, model.named["y"], kept, model.w.note = y, y + 1, [y], (y, y * 3), y
            model.last.mul_(2)
            return x + 1

        return step, SimpleNamespace(model=model, get=lambda: kept)

    pair = Pair(build)
    for turn in range(5):
        pair.call(pair_of(float(turn)))
    assert pair.compilations <= 2


LEAKED = None


def leak_to_global(x):
    global LEAKED
    LEAKED = x * 2
    return x + 1


def test_an_intermediate_leaked_into_a_global():
    global LEAKED
    fast = tg.jit(leak_to_global)
    for turn in range(4):
        fast(tg.full((2,), float(turn)))
        assert LEAKED.tolist() == [2.0 * turn] * 2
    LEAKED = None


def test_an_intermediate_leaked_into_a_cache_is_refused_at_each_call():
    @functools.lru_cache
    def cached(n):
        return tg.ones(2) * n

    fast = tg.jit(lambda x: x + cached(3))
    for _ in range(3):
        with pytest.raises(tg.UnsupportedError, match=r"(?s)tensor.*test_never_stale"):
            fast(*two())
    assert fast.specialisations == []


def test_a_numpy_array_overwritten_right_after_the_call():
    array = np.ones((256, 256), np.float32)
    fast = tg.jit(lambda t: (t @ t).sum())
    x = tg.from_numpy(array)
    fast(x)
    for turn in range(20):
        array[...] = turn
        out = fast(x)
        array[...] = -1
        assert out.item() == turn * turn * 256.0**3


def test_captured_numpy_memory_overwritten_right_after_the_call():
    arrays = [np.ones(4, np.float32) for _ in range(2)]
    captured = [tg.from_numpy(array) for array in arrays]
    functions = [lambda x, w=w: w.mul_(2) + x for w in captured]
    functions[1] = tg.jit(functions[1])
    for turn in range(6):
        outs = []
        for function, array in zip(functions, arrays, strict=True):
            array[0] = turn
            outs.append(function(tg.ones(4)))
            array[1] = -turn
        assert_alike([outs[0], captured[0], arrays[0]], [outs[1], captured[1], arrays[1]])


def test_a_numpy_array_passed_or_captured_is_watched_or_refused():
    array = np.arange(3)
    fast = tg.jit(lambda x, a: x * float(a[0] + captured[1]))
    captured = np.arange(3)
    for turn in range(4):
        array[0] = captured[1] = turn % 2
        assert fast(tg.ones(1), array).item() == 2 * (turn % 2)
        array[0] = captured[1] = 77
    with pytest.raises(tg.UnsupportedError, match=r"pass a tensor"):
        tg.jit(lambda a: tg.from_numpy(a) * 2)(array)
    with pytest.raises(tg.UnsupportedError, match=r"pass a tensor"):
        tg.jit(lambda a: tg.tensor(a * 2))(array)
    with pytest.raises(tg.UnsupportedError, match="NumPy array"):
        tg.jit(lambda a: a.sum())(np.zeros(300_000))


def test_a_tensor_made_of_a_captured_array_has_what_is_in_it_now():
    table = {"offsets": np.arange(2.0)}
    fast = tg.jit(lambda x, a: x + tg.tensor(table["offsets"]) + tg.as_tensor(a, dtype=tg.float32))
    for turn in range(4):
        table["offsets"][0] = turn % 2
        found = fast(tg.zeros(2), np.array([turn // 2, 5]))
        assert found.tolist() == [turn % 2 + turn // 2, 6.0]


def test_a_tensor_made_of_a_captured_array_is_a_copy():
    array = np.zeros(2, np.float32)

    def function(x):
        made = tg.tensor(array)
        made.add_(x)
        return made

    fast = tg.jit(function)
    for _ in range(3):
        assert fast(tg.ones(2)).tolist() == [1.0, 1.0]
    assert array.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int64, np.complex64, np.bool_])
def test_a_tensor_made_of_a_numpy_scalar_has_its_value_now(kind):
    scalar = kind(1)
    function = lambda x, s: x + tg.tensor(scalar) + tg.as_tensor(s)  # noqa: E731
    fast = tg.jit(function)
    for turn in (1, 0, 1, 3):
        scalar = kind(turn)
        wanted, found = function(tg.zeros(2), kind(turn)), fast(tg.zeros(2), kind(turn))
        assert found.dtype == wanted.dtype
        assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("dtype", [tg.float16, tg.float32, tg.float64])
def test_a_tensor_filled_with_a_numpy_float_keeps_its_dtype(dtype):
    number = np.float64(1)
    fills = (
        lambda x: tg.full((2,), number, dtype=dtype),
        lambda x: tg.full_like(x, number),
        lambda x: x.new_full((2,), number),
        lambda x: x.clone().fill_(number),
    )
    for fill in fills:
        fast = tg.jit(fill)
        for value in (1.0, 2.0):
            number = np.float64(value)
            found = fast(tg.zeros(2, dtype=dtype))
            assert (found.dtype, found.tolist()) == (dtype, [value] * 2)


def test_a_tensor_made_of_a_number_that_numpy_read_from_one_is_guarded():
    fast = tg.jit(lambda x: x * tg.tensor(x.detach().numpy().sum()))
    for value in (1.0, 2.0, 1.0, 3.0):
        assert fast(tg.full((2,), value)).tolist() == [2 * value**2] * 2


def test_an_array_that_numpy_gave_is_not_written_over_by_later_calls():
    def build():
        model = SimpleNamespace(w=tg.ones(4))
        return lambda x: model.w.add_(x.sum()), model

    pair = Pair(build)
    pair.call(two, 3)
    views = [(world.w.view(2, 2), world.w.detach(), world.w.numpy()) for world in (pair.eager, pair.jitted)]
    copies = [(world.w.clone(), tg.tensor(world.w.tolist())) for world in (pair.eager, pair.jitted)]
    for _ in range(3):
        pair.call(two)
        assert_alike(views[0], views[1])
        assert_alike(copies[0], copies[1])
    with tg.no_grad():
        for view, alias, array in views:
            view[0] = 5
            alias.mul_(2)
            array[3] = -1
    pair.compare()
    pair.call(two, 2)
    assert_alike(views[0], views[1])


def test_results_that_are_held_outlive_later_calls():
    def build():
        model = SimpleNamespace(w=tg.ones(4), out=None)

        def step(x):
            model.w.add_(x.sum())
            model.out = model.w + 0
            return model.w.clone(), model.w.detach().clone(), model.w * 1

        return step, model

    pair = Pair(build)
    held = [(pair.step(*two()), pair.eager.out, pair.fast(*two()), pair.jitted.out) for _ in range(6)]
    for eager, eager_out, jitted, out in held:
        assert_alike([eager, eager_out], [jitted, out])


def test_a_large_gradient_that_is_held_outlives_later_calls():
    """Its memory is for the new one, but not if somebody has it, or its value."""

    def build():
        model = SimpleNamespace(w=tg.ones(1 << 14, requires_grad=True))
        optimiser = tg.optim.SGD([model.w], lr=0.1)

        def step(x):
            optimiser.zero_grad()
            (model.w * model.w * x).sum().backward()
            optimiser.step()

        return step, model

    pair = Pair(build)
    one = lambda: (tg.ones(1),)  # noqa: E731
    pair.call(one, 3, look=False)
    tensors, values = [], []
    for turn in range(6):
        pair.call(one, look=False)
        eager, jitted = pair.eager.w.grad, pair.jitted.w.grad
        if turn % 2:
            tensors.append((eager, jitted))
        else:
            values.append((eager, *jax.tree.leaves(jitted)))
        del eager, jitted
    for eager, jitted in tensors:
        assert_alike(eager, jitted)
    for eager, value in values:
        assert_alike(eager.tolist(), value.tolist())


def test_a_result_that_is_an_argument_or_a_capture():
    def build():
        model = SimpleNamespace(w=tg.ones(2))

        def step(x, y):
            x.add_(1)
            model.w.mul_(2)
            return x, [y, x], {"w": model.w, "model": model}

        return step, model

    pair = Pair(build)
    pair.call(lambda: (*two(), *two()), 3)
    x, y = *two(), *two()
    out = pair.fast(x, y)
    assert out[0] is x and out[1][0] is y and out[2]["w"] is pair.jitted.w and out[2]["model"] is pair.jitted


def test_a_result_bound_to_no_name():
    def build():
        w = tg.ones(2)

        def step(x):
            x.mul_(2)
            w.add_(1)
            x + w
            tg.rand(2)

        return step, w

    pair = Pair(build)
    ends = []
    for function in (pair.step, pair.fast):
        tg.manual_seed(0)
        x = tg.ones(2)
        for _ in range(4):
            function(x)
        ends.append((x, tg.get_rng_state()))
    assert_alike(*ends)
    pair.compare()


def test_an_argument_mutated_and_not_returned():
    def build():
        def step(x, parts):
            x.add_(1).mul_(2)
            parts["out"] = parts.pop("in") * x
            parts["list"].append(x.sum())

        return step, None

    pair = Pair(build)
    pair.call(lambda: (*two(), {"in": tg.ones(2), "list": [1.5]}), 4)
    assert pair.compilations == 1


def test_versions_count_every_write():
    def build():
        w = tg.ones(2)

        def step(x):
            w.add_(x)
            w.mul_(2)
            x[0] = 3.0
            x.add_(1)
            return (x * 1).mul_(2).add_(1)

        return step, w

    pair = Pair(build)
    pair.call(two, 4)


# Randomness


def test_a_seed_set_inside():
    def build():
        def step(x):
            tg.manual_seed(3)
            return x + tg.rand(2), tg.initial_seed()

        return step, None

    pair = Pair(build)
    for seed in range(4):
        tg.manual_seed(seed)
        pair.call(two)
        assert tg.initial_seed() == 3
    assert pair.compilations <= 2


def test_draws_are_fresh_at_each_call_and_the_same_as_eagerly():
    def step(x):
        return x + tg.rand(2), tg.randint(0, 9, (3,)), tg.randperm(5)

    fast = tg.jit(step)
    runs = []
    for function in (step, fast):
        tg.manual_seed(1)
        runs.append(([[part.tolist() for part in function(*two())] for _ in range(4)], tg.get_rng_state().tolist()))
    assert runs[0] == runs[1]
    assert len({str(draws) for draws in runs[0][0]}) == 4
    assert len(fast.specialisations) == 1


class Drawn:
    def __init__(self):
        self.gain = random.random()


def test_a_constructor_that_draws_is_refused_if_it_is_called():
    kept = Drawn()
    fast = tg.jit(lambda x: x * kept.gain)
    assert_alike([fast(*two()) for _ in range(3)], [two()[0] * kept.gain for _ in range(3)])
    fast = tg.jit(lambda x: x * kept.__class__().gain)
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match="draws random numbers"):
            fast(*two())


def test_a_generator_of_numpys_made_inside_is_refused():
    fast = tg.jit(lambda x: x * np.random.default_rng().random())
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match="draws random numbers"):
            fast(*two())


def test_a_generator_of_ones_own():
    def build():
        holder = SimpleNamespace(generator=tg.Generator())
        holder.generator.manual_seed(4)
        return lambda x: x + tg.rand(2, generator=holder.generator), SimpleNamespace(holder=[holder])

    (eager, eager_world), (original, world) = build(), build()
    fast = tg.jit(original)
    for _ in range(4):
        assert eager(*two()).tolist() == fast(*two()).tolist()
    states = [w.holder[0].generator.get_state().tolist() for w in (eager_world, world)]
    assert states[0] == states[1]


# An exception midway


class MidwayError(Exception):
    pass


def test_an_exception_midway_leaves_everything_as_before():
    def build():
        model = SimpleNamespace(
            w=leaf(1.0, 2.0),
            n=0,
            total=0.5,
            seen=[1],
            fail=False,
            named={"a": 1, "b": 2.0},
            members={1},
            other=leaf(1.0),
        )
        model.optimiser = tg.optim.Adam([model.w], lr=0.1)
        count = 0

        def step(x):
            nonlocal count
            count += 1
            model.n += 1
            model.total *= 2
            model.seen.append(x * 2)
            del model.named["a"]
            model.named["c"] = model.members
            model.members.add(7)
            model.extra = 5
            (model.w * x * model.w).sum().backward()
            model.optimiser.step()
            model.optimiser.zero_grad()
            x.add_(tg.rand(2))
            if model.fail:
                (model.w * x).sum().backward()
                model.other.data = tg.zeros(3)
                model.other.requires_grad_(False)
                raise MidwayError
            del model.seen[1:], model.named["c"], model.extra
            model.named.clear()
            model.named.update(a=1, b=2.0)
            model.members.discard(7)
            model.n -= 1
            model.total /= 2
            return x

        return step, SimpleNamespace(model=model, get=lambda: count)

    pair = Pair(build)

    def failing():
        pair.jitted.model.fail = True
        pair.fails(MidwayError, two)
        pair.jitted.model.fail = False
        pair.compare()

    failing()
    pair.call(two, 3)
    failing()
    pair.call(two)


def test_an_exception_that_depends_on_a_value():
    def build():
        model = SimpleNamespace(w=tg.ones(2), n=0.0)

        def step(x):
            model.w.add_(x)
            model.n += 1
            if (model.w > 100).any():
                raise MidwayError(f"{x.sum().item():.1f}")
            return model.w * model.n

        return step, model

    pair = Pair(build)
    pair.call(two, 3)
    for _ in range(2):
        assert pair.fails(MidwayError, pair_of(200.0)) == "201.0"
        pair.compare()
        pair.call(two, 2)


def test_modes_that_a_failing_function_set_are_as_before():
    @tg.jit
    def step(x):
        tg.set_grad_enabled(False)
        tg.set_default_dtype(tg.float64)
        raise MidwayError

    try:
        with pytest.raises(MidwayError):
            step(tg.ones(2))
        assert tg.is_grad_enabled()
        assert tg.get_default_dtype() is tg.float32
    finally:
        tg.set_grad_enabled(True)
        tg.set_default_dtype(tg.float32)


def test_keyboard_interrupt_midway():
    def build():
        model = SimpleNamespace(w=tg.ones(2), stop=False, seen=[0])

        def step(x):
            model.w.add_(x)
            model.seen.append(1)
            if model.stop:
                raise KeyboardInterrupt
            model.seen.pop()
            return model.w * 1

        return step, model

    pair = Pair(build)
    pair.call(two, 2)
    pair.jitted.stop = True
    pair.fails(KeyboardInterrupt, two)
    pair.jitted.stop = False
    pair.compare()
    pair.call(two, 2)


def test_keyboard_interrupt_while_new_values_are_given(monkeypatch):
    """The program may have written over the old ones: so all new ones are given, and then the interrupt goes on."""
    store, armed = dispatch.NAMES["store"], []

    def interrupted(*given):
        if armed:
            armed.clear()
            raise KeyboardInterrupt
        store(*given)

    monkeypatch.setitem(dispatch.NAMES, "store", interrupted)
    model = SimpleNamespace(a=tg.zeros(2), b=tg.zeros(2))

    @tg.jit
    def step(x, y):
        model.a.add_(x)
        x.add_(1)
        y.add_(2)
        model.b.add_(x)

    for _ in range(3):
        step(tg.zeros(2), tg.zeros(2))
    x, y = tg.ones(2), tg.ones(2)
    armed.append(True)
    with pytest.raises(KeyboardInterrupt):
        step(x, y)
    assert [t.tolist() for t in (x, y, model.a, model.b)] == [[n] * 2 for n in (2.0, 3.0, 1.0, 5.0)]
    step(x, y)
    assert [t.tolist() for t in (x, y, model.a, model.b)] == [[n] * 2 for n in (3.0, 5.0, 3.0, 8.0)]


# Threads


def test_threads_in_one_jitted_function_take_turns():
    state = SimpleNamespace(n=0.0, w=tg.zeros(2))

    def step(x):
        state.n += 1
        state.w.add_(x)
        return state.w * 1, state.n

    fast, outs, errors = tg.jit(step), [], []
    fast(tg.ones(2))

    def work():
        try:
            outs.extend(fast(tg.ones(2)) for _ in range(25))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert state.n == 101.0 and state.w.tolist() == [101.0, 101.0]
    assert sorted(n for _, n in outs) == [float(n) for n in range(2, 102)]
    assert all(w.tolist() == [n, n] for w, n in outs)


def test_threads_in_different_modes_and_branches():
    w = leaf(1.0, 2.0)

    def step(x):
        return x * w if x.sum() > 0 else x - w

    fast, wrong = tg.jit(step), []

    def work(k):
        for turn in range(20):
            x = tg.full((2,), float((turn + k) % 7 - 3))
            with tg.set_grad_enabled((turn + k) % 2 == 0):
                expected, got = step(x), fast(x)
            if expected.tolist() != got.tolist() or expected.requires_grad is not got.requires_grad:
                wrong.append((expected, got))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(fast.specialisations) == 4


def run_all(functions):
    """Run each in a thread of its own; the first exception in one of them is raised."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_two_jitted_functions_of_one_state_in_two_threads():
    model = SimpleNamespace(w=tg.zeros(4), total=tg.zeros(4))
    train = tg.jit(lambda x: [model.w.add_(x), None][1])
    evaluate = tg.jit(lambda x: [model.total.add_(model.w * x), None][1])
    for _ in range(3):
        train(tg.ones(4))
        evaluate(tg.ones(4))

    def repeat(function):
        for _ in range(100):
            function(tg.ones(4))

    run_all([lambda: repeat(train), lambda: repeat(evaluate), lambda: repeat(train), lambda: repeat(evaluate)])
    assert model.w.tolist() == [203.0] * 4
    assert len(set(model.total.tolist())) == 1


def test_a_tensor_read_in_one_thread_while_a_step_in_another_writes_it():
    model = SimpleNamespace(w=tg.zeros(64))
    train = tg.jit(lambda: [model.w.add_(1), None][1])
    train()
    train()

    def read():
        for _ in range(200):
            values = {*model.w.tolist(), *(model.w * 1).tolist()}
            assert all(value == int(value) for value in values)

    run_all([lambda: [train() for _ in range(200)], read])
    assert model.w.tolist() == [202.0] * 64


def test_the_value_of_a_gradient_that_somebody_holds_is_not_written_over():
    w = tg.zeros(1 << 18, requires_grad=True)

    @tg.jit
    def step(x):
        w.grad = None
        (w * x).sum().backward()
        with tg.no_grad():
            w.sub_(w.grad)

    times_gradient = tg.jit(lambda x: x * w.grad)
    x = tg.ones(1 << 18, requires_grad=True)
    for n in range(4):
        step(tg.tensor(float(n)))
        product = times_gradient(x)
    for n in range(3):
        step(tg.tensor(float(n)))
    product.sum().backward()
    assert x.grad[:2].tolist() == [3.0, 3.0]
    assert w[0].item() == -9.0


@pytest.mark.parametrize("first", ["detach", "data"])
def test_an_alias_counts_writes_with_what_it_looks_at_or_apart(first):
    def run(wrap):
        world, w, seen = SimpleNamespace(p=tg.ones(2), q=None), leaf(1.0, 1.0), []
        step = wrap(lambda: [world.q.mul_(2), world.p.sum()][1])
        for kind in [first] * 3 + ["data", "detach", "data", "data"]:
            world.q = world.p.data if kind == "data" else world.p.detach()
            product = (w * world.p).sum()
            step()
            w.grad = None
            with contextlib.suppress(tg.InPlaceError):
                product.backward()
            seen.append((world.p._version, world.q._version, w.grad is None, world.p.tolist()))
        return seen

    assert run(tg.jit) == run(lambda function: function)


# Iterators


@pytest.mark.parametrize(
    "make",
    [
        lambda: iter([1.0, 2.0]),
        lambda: (float(n) for n in range(3)),
        lambda: enumerate([1.0]),
        lambda: zip([1.0], [2.0], strict=True),
        lambda: map(float, [1, 2]),
        lambda: {"a": 1.0}.values(),
        lambda: reversed([1.0, 2.0]),
    ],
)
def test_an_iterator_from_outside_is_refused_and_not_consumed(make):
    stream = make()
    with pytest.raises(tg.UnsupportedError, match=r"stream is a builtins.*pass"):
        tg.jit(lambda x: [x * 2 for _ in stream])(*two())
    with pytest.raises(tg.UnsupportedError, match=r"given is a builtins.*pass"):
        tg.jit(lambda x, given: [x * 2 for _ in given])(*two(), stream)
    assert len([*stream]) == len([*make()])


def test_iterators_made_inside_see_what_is_there_now():
    def build():
        rates = [1.5, 2.5]

        def scaled(x):
            for n, rate in enumerate(rates):
                yield x * rate + n

        def step(x):
            return sum(scaled(x)), [a * b for a, b in zip(rates, reversed(rates), strict=True)]

        return step, rates

    pair = Pair(build)
    pair.call(two, 2)
    pair.both(lambda rates: rates.append(5.0))
    pair.call(two, 2)
    pair.both(lambda rates: rates.__setitem__(0, 9.0))
    pair.call(two, 2)
    assert pair.compilations == 2


def test_an_iterator_of_ones_own_goes_on_from_call_to_call():
    class Batches:
        def __init__(self):
            self.i = 0
            self.rows = [tg.full((2,), float(n)) for n in range(3)]

        def __iter__(self):
            return self

        def __next__(self):
            self.i = (self.i + 1) % 3
            return self.rows[self.i]

    def build():
        batches = Batches()
        return lambda x: x * next(batches) + next(iter(batches)), batches

    pair = Pair(build)
    pair.call(two, 7)
    assert pair.compilations <= 4


def test_a_generator_returned_or_kept_is_refused():
    with pytest.raises(tg.UnsupportedError, match="generator"):
        tg.jit(lambda x: (x * n for n in range(3)))(*two())


# Python that depends on values


def test_branches_taken_alternately_are_compiled_once_each():
    def build():
        def step(x):
            if x.sum() > 3:
                return x * 2
            if x[0] > x[1]:
                return x - 1
            return -x

        return step, None

    pair = Pair(build)
    for value in (0.0, 3.0, 1.5):
        pair.call(pair_of(value), 2)
    assert pair.compilations == 3
    with max_compiles(0):
        for value in (0.0, 3.0, 1.5, 3.0, 0.0, 1.5, 1.5, 0.5, 2.5):
            pair.call(pair_of(value))
    assert pair.compilations == 3


def test_branches_with_state_in_them():
    def build():
        model = SimpleNamespace(w=tg.ones(2), up=tg.zeros(()), down=tg.zeros(()))

        def step(x):
            loss = (model.w * x).sum()
            if loss < 10:
                model.w.add_(x)
                model.up += 1
            else:
                model.w.mul_(0.1)
                model.down += 1
            return loss

        return step, model

    pair = Pair(build)
    pair.call(two, 10)
    assert pair.compilations == 2


def test_loops_of_data_dependent_length():
    def build():
        def step(x):
            n = 0
            while x.sum() < 100:
                x = x * 2
                n += 1
            for _ in range(int(x[0]) % 3):
                x = x + 1
            return x, n

        return step, None

    pair = Pair(build)
    values = (1.0, 10.0, 60.0)
    for value in values:
        pair.call(pair_of(value), 2)
    known = pair.compilations
    with max_compiles(0):
        for value in (*values, *reversed(values)):
            pair.call(pair_of(value))
    assert known == pair.compilations == 3


def test_item_is_followed_and_compiles_once():
    def build():
        meter = SimpleNamespace(last=0.0, total=0.0, best=None)

        def step(x):
            loss = x.sum().item()
            meter.last = loss
            meter.total += loss * 0.5
            return x * loss, loss, loss / 2, {"loss": [loss]}

        return step, meter

    pair = Pair(build)
    for value in (1.0, 2.0, -5.0, 1e30, float("nan"), float("inf"), -1.0):
        pair.call(pair_of(value))
    assert pair.compilations == 1


def test_item_compared_and_kept():
    def build():
        meter = SimpleNamespace(best=1e9, worst=-1e9)

        def step(x):
            loss = x.sum().item()
            meter.best = min(meter.best, loss)
            if loss > meter.worst:
                meter.worst = loss
            return x * loss

        return step, meter

    pair = Pair(build)
    for value in (1.0, 2.0, -5.0, 3.0, 3.0, -7.0, 0.5, 8.0):
        pair.call(pair_of(value))
    assert pair.compilations <= 4


@pytest.mark.parametrize(
    "read",
    [
        lambda x: float(x.numpy().max()),
        lambda x: x.tolist()[1],
        lambda x: int(x.sum()),
        lambda x: float(x[1]),
        lambda x: len(str(x)),
        lambda x: len(f"{x.sum().item():.2f}"),
        lambda x: round(x.sum().item()),
        lambda x: bool((x > 1.5).any()),
        lambda x: np.asarray(x)[1].item(),
        lambda x: [row.item() for row in x][1],
        lambda x: 3.0 if 2.0 in x else 4.0,
        lambda x: x.argmax().item(),
        lambda x: len(x[x > 1]),
        lambda x: len(tg.nonzero(x > 1)),
        lambda x: max(x).item(),
        lambda x: hash(x.sum().item()) % 1000,
        lambda x: {1.0: 2.0}.get(x[1].item(), 3.0),
    ],
)
def test_a_value_read_in_python_is_a_guard(read):
    pair = Pair(lambda: (lambda x: (x * read(x), read(x)), None))
    values = (0.5, 2.0, 1.0)
    for value in values:
        pair.call(pair_of(value), 2)
    with max_compiles(0):
        for value in (*values, *reversed(values)):
            pair.call(pair_of(value))
    assert pair.compilations <= 3


def prints_intermediates(x):
    y = x * 2
    print(y)
    print(y.add_(1), y, sep="-", end="|\n")
    return y


def prints_and_writes(x):
    print(x)
    x.add_(1)
    print(x)
    return x * 1


def prints_and_trains(x):
    w = tg.ones(2, requires_grad=True)
    loss = (w * x).sum()
    print(loss, w, w.grad)
    loss.backward()
    print("gradient", w.grad)
    return x * 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (print("hello"), x * 1)[1],
        lambda x: (print(x, x * 2), x * 1)[1],
        lambda x: (print("loss", x.sum().item()), x * 1)[1],
        lambda x: (print(f"{x.sum().item():.2f} {x}"), x * 1)[1],
        lambda x: (print([x, {"a": x.sum()}], (1, 2.5)), x * 1)[1],
        lambda x: (print("large" if x.sum() > 2 else x), x * 1)[1],
        prints_intermediates,
        prints_and_writes,
        prints_and_trains,
    ],
)
def test_printing_prints_what_is_there(function, capsys):
    fast = tg.jit(function)
    for value in (1.0, 1.0, 1.0, 3.0, 1.0, 3.0):
        function(*pair_of(value)())
        expected = capsys.readouterr()
        fast(*pair_of(value)())
        assert capsys.readouterr() == expected
        assert "print" not in function.__globals__


def test_a_call_that_prints_and_reads_a_list_that_grew_prints_once(capsys):
    seen = []

    def step(x):
        print("hello")
        seen.append(1)
        return x * len(seen)

    fast = tg.jit(step)
    for _ in range(4):
        fast(*two())
        assert capsys.readouterr().out == "hello\n"


def test_an_early_return():
    def build():
        model = SimpleNamespace(n=0.0)

        def step(x):
            if not x.isfinite().all():
                return None
            model.n += 1
            for part in x:
                if part < 0:
                    return part * 1
            return x * 2, model.n

        return step, model

    pair = Pair(build)
    for value in (1.0, float("nan"), -1.0, 2.0, float("inf"), -2.0, 3.0):
        pair.call(pair_of(value))
    assert pair.compilations == 3


def test_an_exception_of_arithmetic_is_an_answer_too():
    for values in ((0.0, 2.0, 0.0, 3.0), (2.0, 0.0, 3.0, 0.0)):

        def build(values=values):
            config = SimpleNamespace(rate=values[0])

            def step(x):
                try:
                    rate = 1 / config.rate
                except ZeroDivisionError:
                    rate = -1.0
                try:
                    total = 1 / (x.sum().item() - 1)
                except ZeroDivisionError:
                    total = -2.0
                return x * rate * total

            return step, config

        pair = Pair(build)
        for rate in values:
            pair.both(setting(rate=rate))
            for value in values:
                pair.call(pair_of(value), 2)


def test_numbers_that_cannot_become_ints():
    def build():
        def step(x):
            try:
                n = int(x.sum().item())
            except ValueError:
                n = -1
            except OverflowError:
                n = -2
            return x * 0 + n

        return step, None

    pair = Pair(build)
    for value in (1.0, 1.0, float("nan"), 1.0, float("inf"), 1.0, float("nan"), float("inf")):
        pair.call(pair_of(value))
    assert pair.compilations <= 3


def test_the_type_of_a_number():
    def build():
        config = SimpleNamespace(rate=1.5)

        def step(x):
            loss = x.sum().item()
            x = x * 2 if type(config.rate) is float else x * 3
            x = x + 1 if type(loss) in (int, float) else x + 2
            return x + {int: 1, float: 2}[type(loss)]

        return step, config

    pair = Pair(build)
    pair.call(two, 3)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * float(x.sum()),
        lambda x: x * int(x.sum()),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x.numpy().sum()),
        lambda x: x * x.tolist()[0],
        lambda x: (repr(x), x * 1)[1],
        lambda x: x[x > 1.5],
        lambda x: x * round(x.sum().item()),
        lambda x: x * 2 if x.sum().item() > 1 else x * 1,
        lambda x: tg.nonzero(x),
    ],
)
def test_without_guards_each_is_an_error(function):
    fast = tg.jit(function, fullgraph_guards=False)
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match=r"(?s)known only when the program runs.*test_never_stale"):
            fast(*two())
    assert fast.specialisations == []


def test_without_guards_captured_numbers_may_be_asked():
    """What they are is known before the program runs."""

    def build():
        config = SimpleNamespace(rate=1.5)
        return lambda x: x * 2 if config.rate > 1 else x, config

    pair = Pair(build, fullgraph_guards=False)
    for rate in (1.5, 0.5, 2.5, 0.25):
        pair.both(setting(rate=rate))
        pair.call(two)
    assert pair.compilations == 2


def test_without_guards_what_needs_none_still_compiles():
    config = SimpleNamespace(rate=1.5, flag=True, n=2)

    def step(x):
        loss = x.sum().item()
        config.last = loss
        return x * loss * config.rate * config.n if config.flag else x

    fast = tg.jit(step, fullgraph_guards=False)
    for value in (1.0, 2.0, 3.0):
        x = tg.tensor([1.0, value])
        assert_alike(step(x), fast(x))
        assert config.last == 1.0 + value


class Tagged:
    __slots__ = ("tag",)

    def method(self):
        return self


def _of_what_was_absent(world, change):
    """Functions of a world and the change that puts in what none of them found before; by name."""
    tagged, defaults, queue = Tagged(), collections.defaultdict(lambda: 1.0), collections.deque([1.0], maxlen=1)

    def takes(x):
        value = x * defaults["tag"]
        del defaults["tag"]
        return value

    def keeps(x):
        queue.append(2.0)
        return x * len(queue)

    class Abstract(abc.ABC):  # noqa: B024
        pass

    class Below(Abstract):
        pass

    def renew():
        nonlocal queue
        queue = collections.deque([2.0], maxlen=3)

    return {
        "a function": (lambda x: x * getattr(world.tag, "tag", 1.0), lambda: setattr(world.tag, "tag", 3.0)),
        "a method": (lambda x: x * getattr(tagged.method, "tag", 1.0), lambda: change(Tagged.method, "tag", 3.0)),
        "a module": (lambda x: x * getattr(untagged, "tag", 1.0), lambda: change(untagged, "tag", 3.0)),  # noqa: F821
        "a module, asked": (lambda x: x * (3 if hasattr(untagged, "tag") else 2), lambda: change(untagged, "tag", 3.0)),  # noqa: F821
        "a slot": (lambda x: x * getattr(tagged, "tag", 1.0), lambda: setattr(tagged, "tag", 3.0)),
        "a default": (takes, lambda: setattr(defaults, "default_factory", lambda: 3.0)),
        "a bound": (keeps, renew),
        "a name": (lambda x: x * len(world.tag.__name__), lambda: setattr(world.tag, "__name__", "another")),
        "a docstring": (lambda x: x * len(world.tag.__doc__ or ""), lambda: setattr(world.tag, "__doc__", "another")),
        "the name of a class": (lambda x: x * len(Below.__name__), lambda: setattr(Below, "__name__", "another")),
        "a registration": (lambda x: x * (3 if isinstance(tagged, Abstract) else 2), lambda: Abstract.register(Tagged)),
        "one below": (lambda x: x * (3 if isinstance(tagged, Abstract) else 2), lambda: Below.register(Tagged)),
    }


@pytest.mark.parametrize("kind", list(_of_what_was_absent(None, None)))
def test_what_was_absent_when_recorded(kind, tmp_path, monkeypatch):
    (tmp_path / "untagged.py").write_text("other = 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(globals(), "untagged", importlib.import_module("untagged"))

    def tag(x):
        return x

    function, change = _of_what_was_absent(
        SimpleNamespace(tag=tag), functools.partial(monkeypatch.setattr, raising=False)
    )[kind]
    fast = tg.jit(function)
    before = [fast(tg.ones(1)).item() for _ in range(4)]
    change()
    after = [fast(tg.ones(1)).item() for _ in range(3)]
    assert after == [function(tg.ones(1)).item()] * 3 if kind != "a bound" else after == [2.0, 3.0, 3.0]
    assert after[-1] != before[-1]
    del sys.modules["untagged"]


def test_what_is_put_where_nothing_was():
    """In a slot, in a module, in an attribute of a function: by the function, again and again."""
    tagged = Tagged()

    def step(x):
        tagged.tag = x * 2
        step.tag = x * 3
        return x

    fast = tg.jit(step)
    for value in (1.0, 2.0, 3.0, 4.0):
        fast(tg.full((1,), value))
        assert (tagged.tag.item(), step.tag.item()) == (2 * value, 3 * value)
        del tagged.tag, step.tag
    assert len(fast.specialisations) == 1


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (lambda x: x * len(str(x)), tg),
        (lambda x: x * len(f"{x}"), tg),
        (lambda x: x * len(str(x.numpy())), np),
    ],
)
def test_the_print_options(function, module):
    x = tg.tensor([1.123456, 2.0])
    fast = tg.jit(function)
    for precision in (4, 4, 4, 2, 2, 4):
        module.set_printoptions(precision=precision)
        try:
            assert_alike(function(x), fast(x))
        finally:
            module.set_printoptions(precision=4 if module is tg else 8)
    assert len(fast.specialisations) == 2


def test_what_a_module_computes(tmp_path, monkeypatch):
    """Its `__getattr__` is looked into like any function; what its class computes is refused."""
    (tmp_path / "computing.py").write_text(
        "_n = 2.0\ndef __getattr__(name):\n    if name == 'scale': return _n\n    raise AttributeError(name)\n"
    )
    (tmp_path / "of_a_class.py").write_text(
        "import sys, types\n"
        "class Computing(types.ModuleType):\n"
        "    scale = property(lambda self: self._n)\n"
        "_n = 2.0\n"
        "known = 3.0\n"
        "sys.modules[__name__].__class__ = Computing\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    computing, of_a_class = map(importlib.import_module, ("computing", "of_a_class"))
    monkeypatch.setitem(globals(), "computing", computing)
    monkeypatch.setitem(globals(), "of_a_class", of_a_class)
    fast = tg.jit(reads_what_a_module_computes)
    for n in (2.0, 2.0, 3.0, 3.0, 2.0):
        computing._n = n
        assert fast(tg.ones(1)).tolist() == [n]
    with pytest.raises(tg.UnsupportedError, match="whose class computes attributes, such as 'scale'"):
        tg.jit(reads_what_a_class_computes)(tg.ones(1))
    assert tg.jit(reads_past_what_a_class_computes)(tg.ones(1)).tolist() == [3.0]
    for name in ("computing", "of_a_class"):
        del sys.modules[name]


def reads_what_a_module_computes(x):
    return x * computing.scale  # noqa: F821  (a global while the test runs)


def reads_what_a_class_computes(x):
    return x * of_a_class.scale  # noqa: F821


def reads_past_what_a_class_computes(x):
    return x * of_a_class.known  # noqa: F821


# What was not there when the program was made


def hundredfold(g):
    return g * 100


def accumulated(t):
    def hook(leaf):
        leaf.grad = leaf.grad * 100

    return t.register_post_accumulate_grad_hook(hook)


def several(t):
    return tg.autograd.graph.register_multi_grad_hook([t], lambda grads: t.__setattr__("seen", len(grads)))


def before_accumulation(t):
    return tg.autograd.graph.get_gradient_edge(t).node.register_prehook(lambda grads: (grads[0] * 100,))


HOOKS = [lambda t: t.register_hook(hundredfold), accumulated, several, before_accumulation]


@pytest.mark.parametrize("register", HOOKS, ids=["hook", "accumulated", "several", "node"])
@pytest.mark.parametrize("of_argument", [False, True])
def test_a_first_hook_on_a_leaf(register, of_argument):
    def step(x):
        x.grad = w.grad = None
        (w * x).sum().backward()
        return x.grad if of_argument else w.grad

    def run(step):
        found = []
        for k in range(7):
            x = tg.full((2,), 1.0 + k, requires_grad=True)
            if k == 4:
                handle = register(x if of_argument else w)
            found.append(step(x).tolist())
            found.append(getattr(x if of_argument else w, "seen", None))
            if k == 5:
                handle.remove()
        return found

    w = tg.ones(2, requires_grad=True)
    eager = run(step)
    w = tg.ones(2, requires_grad=True)
    assert run(tg.jit(step)) == eager


def test_saved_tensor_hooks_around_a_call():
    def step(x):
        w.grad = None
        (w * x).exp().sum().backward()
        return w.grad.tolist()

    w = tg.tensor([1.0, 2.0], requires_grad=True)
    fast, packed = tg.jit(step), []
    for _ in range(3):
        fast(tg.ones(2))
    for _ in range(2):
        with tg.autograd.graph.saved_tensors_hooks(lambda t: packed.append(1) or t * 0, lambda t: t):
            assert fast(tg.ones(2)) == [0.0, 0.0]
    assert len(packed) < 20
    assert fast(tg.ones(2)) == step(tg.ones(2))


def test_anomaly_mode_around_a_call():
    def step():
        w.grad = None
        (w * 0).sqrt().sum().backward()

    w = tg.ones(2, requires_grad=True)
    fast = tg.jit(step)
    for _ in range(3):
        fast()
    with (
        pytest.warns(UserWarning, match="Anomaly|Error detected"),
        tg.autograd.detect_anomaly(),
        pytest.raises(tg.errors.AnomalyError),
    ):
        fast()
    fast()


def test_a_first_attribute_of_a_tensor():
    def function(x):
        return x * (2 if hasattr(w, "tag") else 1) * getattr(x, "factor", 1.0)

    w = tg.ones(2)
    fast = tg.jit(function)
    for tagged, factor in [(False, None)] * 4 + [(True, None), (True, 5.0), (True, 6.0), (False, None)]:
        x = tg.ones(2)
        if tagged:
            w.tag = 1
        elif hasattr(w, "tag"):
            del w.tag
        if factor is not None:
            x.factor = factor
        assert fast(x).tolist() == function(x).tolist()


def test_a_tensor_that_is_made_to_require_grad_inside():
    def function(x):
        return (x.requires_grad_() * x).sum()

    def view(x):
        return x.requires_grad_().view(-1)[0]

    def inside(x):
        (x.requires_grad_() * x).sum().backward()
        return x.grad

    fast, fast_view, fast_inside = tg.jit(function), tg.jit(view), tg.jit(inside)
    for k in range(4):
        x, y = tg.full((2,), 1.0 + k), tg.full((2,), 1.0 + k)
        fast_view(y).backward()
        assert y.grad.tolist() == [1, 0]
        assert fast_inside(tg.full((2,), 1.0 + k)).tolist() == [2.0 + 2 * k] * 2
        result = fast(x)
        assert x.requires_grad
        if k < 2:  # recorded, and run eagerly for that
            result.backward()
            assert x.grad.tolist() == [2.0 + 2 * k] * 2
        else:
            with pytest.raises(tg.UnsupportedError, match=r"that it called requires_grad_\(\) on"):
                result.backward()
