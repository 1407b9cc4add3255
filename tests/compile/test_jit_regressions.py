"""jit: what once went wrong, or was found by people trying to break it; and the head start."""

import collections
import copy
import dataclasses
import functools
import gc
import io
import pickle
import threading
from typing import NamedTuple

import numpy as np
import pytest

import tapegrad as tg

from .alongside import Pair
from .test_jit import same


def twice(function, *args):
    """The results of an eager call, the recording call and a compiled call."""
    fast = tg.jit(function)
    return function(*args), fast(*args), fast(*args)


def test_64_bit_captures_keep_their_bits():
    big = tg.tensor([2**40 + 1, 3])
    fine = tg.tensor([1.0, 1e-12], dtype=tg.float64)
    results = twice(lambda x: (big + x, fine + x), tg.tensor([0, 0]))
    for whole, real in results:
        assert whole.tolist() == [2**40 + 1, 3]
        assert real.tolist() == [1.0, 1e-12]


def test_float64_training():
    eager, compiled = [tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True) for _ in range(2)]

    def step(w):
        w.grad = None
        (w * w).sum().backward()
        with tg.no_grad():
            w -= 0.1 * w.grad

    fast = tg.jit(step)
    for _ in range(4):
        step(eager)
        fast(compiled)
    assert compiled.tolist() == pytest.approx(eager.tolist(), rel=1e-14)


def test_dead_code_and_unused_arguments():
    for out in twice(lambda x, y: (y * 2, x + 1)[1], tg.ones(2), tg.ones(3)):
        assert out.tolist() == [2.0, 2.0]


def test_unreached_gradients_are_none():
    w = tg.ones(2, requires_grad=True)
    for out in twice(lambda x: tg.autograd.grad((x * 2).sum(), w, allow_unused=True), tg.ones(2, requires_grad=True)):
        assert out == (None,)


def test_a_caught_refusal_is_still_a_refusal():
    def swallow(x):
        try:
            return x + tg.from_numpy(np.ones(2, np.float32))
        except Exception:
            return x * 0

    with pytest.raises(tg.UnsupportedError, match="from_numpy"):
        tg.jit(swallow)(tg.ones(2))


def test_a_refused_backward_leaves_the_graph_outside_alone():
    w = tg.ones(2, requires_grad=True)
    y = (w * w).sum()
    with pytest.raises(tg.UnsupportedError):
        tg.jit(y.backward)()
    y.backward()
    assert w.grad.tolist() == [2.0, 2.0]


def test_saved_value_overwritten_through_data_is_refused():
    w = tg.ones(2, requires_grad=True)

    def behind(x):
        y = (w * w * x).sum()
        w.data.mul_(2)
        y.backward()

    with pytest.raises(tg.UnsupportedError, match=r"overwritten through \.data"):
        tg.jit(behind)(tg.ones(2))
    assert w.tolist() == [1.0, 1.0] and w.grad is None


def test_an_optimiser_that_writes_through_data():
    def step(w):
        for _ in range(2):
            (w * w).sum().backward()
            w.data -= 0.1 * w.grad
            w.grad = None

    eager, compiled = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    fast = tg.jit(step)
    for _ in range(2):
        step(eager)
        fast(compiled)
    same(eager, compiled)


class Scaled:
    """A decorator that is an object."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function, self.scale = function, 1.0

    def __call__(self, x):
        return self.function(x) * self.scale


def test_state_in_odd_places_is_watched():
    w, deco = tg.ones(1), Scaled(lambda x: x + 0)
    w.rate = 2.0

    def helper(x):
        return x * helper.scale

    helper.scale = 3.0

    class Parts(list):
        offset = 0.0

    parts = Parts()
    holder = {"key": 1}
    get = holder.get
    fast = tg.jit(lambda x: deco(helper(x)) * w.rate + parts.offset + get("key"))
    assert fast(tg.ones(1)).item() == 7.0
    w.rate = 4.0
    assert fast(tg.ones(1)).item() == 13.0
    helper.scale = 5.0
    assert fast(tg.ones(1)).item() == 21.0
    deco.scale = 2.0
    assert fast(tg.ones(1)).item() == 41.0
    parts.offset = 0.5
    assert fast(tg.ones(1)).item() == 41.5
    holder["key"] = 2
    assert fast(tg.ones(1)).item() == 42.5


def test_a_module_imported_inside_is_watched(monkeypatch):
    import sys
    import types

    module = types.ModuleType("settings_of_a_test")
    module.__file__ = __file__
    module.scale = 2.0
    monkeypatch.setitem(sys.modules, "settings_of_a_test", module)

    def function(x):
        from settings_of_a_test import scale

        return x * scale

    fast = tg.jit(function)
    assert fast(tg.ones(1)).item() == 2.0
    module.scale = 3.0
    assert fast(tg.ones(1)).item() == 3.0


def test_leaf_results_and_dataclass_results():
    @dataclasses.dataclass
    class Doubled:
        x: tg.Tensor

        def __post_init__(self):
            self.x = self.x * 2

    for out in twice(lambda x: (Doubled(x), tg.zeros(2, requires_grad=True)), tg.full((2,), 3.0)):
        assert out[0].x.tolist() == [6.0, 6.0]
        assert out[1].requires_grad and out[1].is_leaf


def test_results_that_could_not_be_made_again_are_refused():
    for function, message in [
        (lambda x: io.StringIO(), "StringIO"),
        (lambda x: ValueError(x + 1), "ValueError"),
        (lambda x: iter([x]), "list_iterator"),
        (lambda x: memoryview(b"x"), "memoryview"),
    ]:
        fast = tg.jit(function)
        for _ in range(2):
            with pytest.raises(tg.UnsupportedError, match=message):
                fast(tg.ones(1))


def test_results_that_are_made_again_or_are_what_is_there():
    def build():
        kept = []
        return lambda x: (collections.defaultdict(list, a=x + 1), kept, [[x + 1]] * 2), kept

    pair = Pair(build)
    pair.call(lambda: (tg.ones(1),), 3)
    assert pair.fast(tg.ones(1))[1] is pair.jitted


def test_memory_layout_is_part_of_the_signature():
    def write(x):
        x.reshape(-1).mul_(2)
        return x + 0

    array = np.asfortranarray(np.ones((2, 3), np.float32))
    fast = tg.jit(write)
    assert fast(tg.ones(2, 3)).tolist() == fast(tg.ones(2, 3)).tolist() == [[2.0] * 3] * 2
    x = tg.from_numpy(array)
    assert fast(x).tolist() == write(tg.from_numpy(array.copy(order="F"))).tolist() == [[1.0] * 3] * 2
    assert array.tolist() == [[1.0] * 3] * 2


def test_two_tensors_on_one_numpy_array():
    array = np.ones(3, np.float32)
    a, b = tg.from_numpy(array), tg.from_numpy(array)

    def write(a, b):
        a.add_(1)
        return b * 2

    fast = tg.jit(write)
    assert fast(tg.ones(3), tg.ones(3)).tolist() == fast(tg.ones(3), tg.ones(3)).tolist() == [2.0] * 3
    with pytest.raises(tg.UnsupportedError, match="share"):
        fast(a, b)
    assert array.tolist() == [1.0] * 3


def test_two_threads_read_one_tensor_on_the_device():
    fast = tg.jit(lambda t: t.add_(1))
    for _ in range(50):
        x = tg.zeros(64)
        fast(x)
        fast(x)
        threads = [threading.Thread(target=x.tolist) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert type(x) is tg.Tensor


# The head start


def test_a_wrong_guess_changes_nothing():
    class Model:
        def __init__(self):
            self.w = tg.ones(2)

    model, other = Model(), Model()
    other.w = tg.full((2,), 10.0)
    holder = [model]
    fast = tg.jit(lambda x: holder[0].w.add_(x).sum())
    reference = [tg.ones(2), tg.full((2,), 10.0)]
    for turn in range(12):
        which = turn // 3 % 2
        holder[0] = (model, other)[which]
        assert fast(tg.ones(2)).item() == reference[which].add_(1).sum().item()
    assert model.w.tolist() == reference[0].tolist()
    assert other.w.tolist() == reference[1].tolist()


def test_a_guess_sees_values_written_between_calls():
    w = tg.ones(2)
    fast = tg.jit(lambda x: x * w)
    for value in (1.0, 2.0, 3.0, 4.0):
        w.fill_(value)
        assert fast(tg.ones(2)).tolist() == [value, value]
    x = tg.ones(2)
    for value in (5.0, 6.0, 7.0):
        x.fill_(value)
        assert fast(x).tolist() == [4 * value] * 2


def test_a_flag_flipped_between_calls_is_seen_in_time():
    box = {"double": False}
    fast = tg.jit(lambda x: x * 2 if box["double"] else x * 1)
    for flag in (False, False, False, True, False, True, True, False):
        box["double"] = flag
        assert fast(tg.ones(1)).item() == (2.0 if flag else 1.0)


def test_a_guess_on_a_capture_of_another_shape_is_not_made():
    w = tg.ones(3)
    fast = tg.jit(lambda x: (x * w).sum())
    for _ in range(3):
        assert fast(tg.tensor(2.0)).item() == 6.0
    w.data = tg.ones(4)
    for _ in range(3):
        assert fast(tg.tensor(2.0)).item() == 8.0


def test_autograd_grad_goes_through_a_jitted_result() -> None:
    fast = tg.jit(lambda a: a * 2)
    w, v = tg.ones(1, requires_grad=True), tg.ones(1, requires_grad=True)
    for _ in range(3):
        y = (fast(w) * 3).sum() + v.sum()
        assert [g.tolist() for g in tg.autograd.grad(y, [w, v])] == [[6.0], [1.0]]


def tripled(grad):
    return grad * 3


class Hooked:
    """Something that keeps the handle of a hook on its parameter."""

    def __init__(self):
        self.w = tg.tensor([1.0, 2.0], requires_grad=True)
        self.handle = self.w.register_hook(tripled)

    def step(self, x):
        self.w.grad = None
        (self.w * x).sum().backward()
        return self.w.grad


def test_a_kept_handle_of_a_hook_is_no_matter_and_the_hook_is_seen():
    owner = Hooked()
    fast = tg.jit(owner.step)
    for _ in range(3):
        assert fast(tg.ones(2)).tolist() == [3.0, 3.0]
    owner.handle.remove()
    assert fast(tg.ones(2)).tolist() == [1.0, 1.0]
    owner.handle = owner.w.register_hook(lambda grad: grad * 5)
    assert fast(tg.ones(2)).tolist() == [5.0, 5.0]


def test_a_hook_that_is_registered_anew_before_each_call_does_not_compile_each_time():
    owner = Hooked()
    fast = tg.jit(owner.step)
    for _ in range(6):
        owner.handle.remove()
        owner.handle = owner.w.register_hook(tripled)
        assert fast(tg.ones(2)).tolist() == [3.0, 3.0]
    assert len(fast.specialisations) <= 2


def test_a_handle_from_outside_is_itself_and_its_number_never_stale():
    owner = Hooked()
    fast = tg.jit(lambda x: (owner.handle, x * 0 + owner.handle.id))
    for _ in range(4):
        handle, number = fast(tg.zeros(1))
        assert handle is owner.handle
        assert number.item() == handle.id
        owner.handle = owner.w.register_hook(lambda grad: grad)


@pytest.mark.parametrize("how", ["remove", "with"])
def test_removing_a_hook_that_was_registered_outside_is_refused(how):
    owner = Hooked()

    def function(x):
        if how == "remove":
            owner.handle.remove()
        else:
            with owner.handle:
                pass
        return owner.step(x)

    with pytest.raises(tg.UnsupportedError, match="removing a hook that was registered outside"):
        tg.jit(function)(tg.ones(2))
    assert owner.step(tg.ones(2)).tolist() == [3.0, 3.0]
    owner.handle.remove()  # gone: from now on the same does nothing, here as eagerly
    assert tg.jit(function)(tg.ones(2)).tolist() == [1.0, 1.0]


def test_a_handle_whose_hook_is_gone_is_another_case():
    owner = Hooked()

    def function(x):
        owner.handle.remove()
        return x * 2

    fast = tg.jit(function)
    for _ in range(4):  # handles change, and so their numbers are followed
        owner.handle.remove()
        fast(tg.ones(2))
        owner.w = tg.ones(2, requires_grad=True)
        owner.handle = owner.w.register_hook(tripled)
    with pytest.raises(tg.UnsupportedError, match="registered outside"):
        fast(tg.ones(2))
    owner.w = None
    for _ in range(4):
        gc.collect()  # what the hook was on
        fast(tg.ones(2))
        owner.handle = tg.ones(2, requires_grad=True).register_hook(tripled)
    kept = tg.ones(2, requires_grad=True)
    owner.handle = kept.register_hook(tripled)
    with pytest.raises(tg.UnsupportedError, match="registered outside"):
        fast(tg.ones(2))


@tg.jit
def doubled(x):
    return x * 2


class Keeps:
    """A model that keeps a jitted function of its own."""

    def __init__(self):
        self.w = tg.tensor([1.0, 2.0], requires_grad=True)
        self.fast = tg.jit(self.slow, check="never", fullgraph_guards=False)
        self.shared = doubled

    def slow(self, x):
        return self.shared(x) * self.w

    @tg.jit
    def decorated(self, x):
        return x + self.w


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}


@pytest.mark.parametrize("how", COPIES)
def test_what_keeps_a_jitted_function_can_be_copied(how):
    old = Keeps()
    old.fast.note = ["mine"]
    old.fast(tg.ones(2))
    new = COPIES[how](old)
    assert new.fast is not old.fast
    assert new.fast.specialisations == []
    with tg.no_grad():
        new.w += 10
    for _ in range(2):
        assert new.fast(tg.ones(2)).tolist() == [22.0, 24.0]
        assert old.fast(tg.ones(2)).tolist() == [2.0, 4.0]
        assert new.decorated(tg.ones(2)).tolist() == [12.0, 13.0]
    assert new.fast.specialisations[0].report is None  # unchecked, as the other
    assert new.fast.__wrapped__.__self__ is new
    assert new.fast.note == ["mine"]
    assert new.fast.note is not old.fast.note
    new.fast = tg.jit(lambda x: x)  # which pickle cannot do, and deepcopy can
    assert copy.deepcopy(new).fast(tg.ones(1)).tolist() == [1.0]


@pytest.mark.parametrize("how", COPIES)
def test_a_jitted_function_copied_by_itself(how):
    old = Keeps()
    new = COPIES[how](old.fast)
    assert new is new.__wrapped__.__self__.fast
    assert new.__wrapped__.__self__ is not old
    assert COPIES[how](doubled) is doubled  # as a function is, by its name
    whole = tg.jit(functools.partial(old.slow))
    assert COPIES[how](whole)(tg.ones(2)).tolist() == [2.0, 4.0]


class Point(NamedTuple):
    """A tuple of a class of its own."""

    x: object
    y: object


@pytest.mark.parametrize("make", [lambda x: (x, 1), lambda x: Point(x, [2]), lambda x: slice(0, x.item())])
def test_a_new_tuple_that_is_found_twice_is_one(make):
    kept = []

    def function(x):
        made = make(x * 2)
        kept.append([made])
        return made, (1, made)

    fast = tg.jit(function)
    for _ in range(3):
        made, (_, again) = fast(tg.tensor(3))
        assert made is again
        assert made is kept[-1][0]
        assert repr(made) == repr(make(tg.tensor(6)))


def test_a_tuple_that_holds_what_holds_it():
    def function(x):
        held = [x * 2]
        pair = (held, x)
        held.append(pair)
        return pair

    fast = tg.jit(function)
    for _ in range(3):
        pair = fast(tg.ones(1))
        assert pair[0][1] is pair
        assert pair[0][0].tolist() == [2.0]


@pytest.mark.parametrize("held", [(1, "a"), (2.5, 1), ((1.5,), 2), Point(1.0, 2), Point(1, "b")])
def test_a_tuple_from_outside_that_is_returned_is_itself(held):
    owner = Hooked()
    owner.pair = held
    kept = []

    def function(x):
        kept.append(owner.pair)
        return owner.pair, x * 2

    fast = tg.jit(function)
    for _ in range(3):
        assert fast(tg.ones(1))[0] is owner.pair
        assert kept[-1] is owner.pair
    owner.pair = (4.5, 1) if held == (2.5, 1) else held
    assert fast(tg.ones(1))[0] is owner.pair
