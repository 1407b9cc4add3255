"""Tensors that a jitted function leaves where jit cannot see them: an error, at each call; and what is no leak."""

import _thread
import functools
import gc
import logging
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import tapegrad as tg

from .alongside import Pair


def two():
    return (tg.tensor([1.0, 2.0]),)


IN_A_CACHE = "(kept where jit cannot see it|neither an argument nor reachable)"  # at the first call, and later


def refused(function, message="kept where jit cannot see it"):
    """Call a jitted function three times: refused each time, with the user's line, and nothing is compiled."""
    fast = tg.jit(function)
    for _ in range(3):
        with pytest.raises(tg.UnsupportedError, match=rf"(?s){message}.*test_leaks"):
            fast(*two())
    assert fast.specialisations == []


def test_a_cache():
    @functools.lru_cache
    def cached(n):
        return tg.ones(2) * n

    refused(lambda x: x + cached(3), IN_A_CACHE)


def test_a_cache_of_a_cache():
    @functools.cache
    def inner(n):
        return tg.ones(2) * n

    @functools.cache
    def outer(n):
        return [inner(n)]

    refused(lambda x: x + outer(3)[0], IN_A_CACHE)


def test_a_warm_cache_is_refused_too():
    @functools.lru_cache
    def cached(n):
        return tg.ones(2) * n

    cached(3)
    refused(lambda x: x + cached(3), "(neither an argument nor reachable)")


def test_a_loggers_records_hold_no_tensor_of_the_recording():
    class Keeps(logging.Handler):
        def __init__(self):
            super().__init__()
            self.records = []

        def emit(self, record):
            self.records.append(record)

    logger = logging.getLogger("tapegrad.tests.leaks")
    logger.setLevel(logging.INFO)
    handler = Keeps()
    logger.addHandler(handler)
    logger.propagate = False

    def step(x):
        logger.info("loss %s", x * 2)
        return x * 1

    fast = tg.jit(step)
    try:
        for n in range(4):
            fast(tg.full((2,), float(n)))
    finally:
        logger.removeHandler(handler)
    assert [record.args[0].tolist() for record in handler.records] == [[2.0 * n] * 2 for n in range(4)]
    assert len(fast.specialisations) == 1


def test_another_threads_frame():
    done = threading.Lock()
    done.acquire()

    def hold(y, lock):
        lock.acquire(timeout=60)
        return y

    def step(x):
        _thread.start_new_thread(hold, (x * 2, done))
        return x * 1

    try:
        refused(step)
    finally:
        done.release()


def test_an_array_of_objects():
    array = np.empty(1, object)

    def step(x):
        array[0] = x * 2
        return x * 1

    fast = tg.jit(step)
    with pytest.raises(tg.UnsupportedError, match="array is a NumPy array"):
        fast(*two())
    assert array[0] is None


@pytest.mark.parametrize(
    "make",
    [
        lambda y: lambda: y,
        lambda y: (y for _ in range(2)),
        lambda y: iter([y]),
        lambda y: ValueError(y),
        lambda y: weakref.ref(y),
        lambda y: y.add_,
        lambda y: map(abs, [y]),
    ],
)
@pytest.mark.parametrize("how", ["returned", "kept"])
def test_inside_something_that_cannot_be_made_again(make, how):
    holder = SimpleNamespace(kept=None)

    def step(x):
        made = make(x * 2)
        if how == "kept":
            holder.kept = made
            return x * 1
        return made

    refused(step, r"a new \w+\.\w+")
    assert holder.kept is None


def test_intermediates_that_are_gone_are_no_leak():
    def build():
        def step(x):
            class Local:
                pass

            local = Local()
            local.me, local.y = local, [x * 2]  # a cycle: alive until it is collected
            local.y.append(local.y)
            return local.y[0] + 1

        return step, None

    gc.disable()
    try:
        Pair(build).call(two, 3)
    finally:
        gc.enable()


def test_a_graph_that_is_kept_is_no_leak():
    model = SimpleNamespace(w=tg.ones(2, requires_grad=True), loss=None)

    def step(x):
        hidden = (model.w * x).tanh()
        model.loss = (hidden * hidden).sum()
        return model.loss.detach() * 1

    fast = tg.jit(step)
    for _ in range(3):
        assert fast(*two()).item() == pytest.approx(step(*two()).item())
        assert model.loss.requires_grad


def test_what_is_kept_and_returned_is_no_leak():
    def build():
        model = SimpleNamespace(list=[None], named={}, w=tg.ones(2), rows=[])

        def step(x):
            y = x * 2
            model.list[0], model.named["y"], model.w.last = y, (y, [y + 1]), y * 3
            model.rows = [*x]
            return y

        return step, model

    Pair(build).call(two, 4)


def test_a_name_that_exists_no_more_is_no_leak():
    def build():
        def step(x):
            try:
                raise ValueError(x * 2)
            except ValueError as error:
                y = error.args[0]
            return y + 1

        return step, None

    Pair(build).call(two, 3)


def test_tensors_made_outside_are_not_looked_for():
    kept = [tg.ones(2) for _ in range(3)]
    shelf = np.empty(1, object)
    shelf[0] = kept[0]
    fast = tg.jit(lambda x: x + kept[0])
    assert fast(tg.ones(2)).tolist() == fast(tg.ones(2)).tolist() == [2.0, 2.0]


def test_a_specialisation_keeps_neither_arguments_nor_results_alive():
    fast = tg.jit(lambda x: (x * 2, [x + 1]))
    seen = []
    for _ in range(3):
        (x,) = two()
        out = fast(x)
        seen += [weakref.ref(x), weakref.ref(out[0]), weakref.ref(out[1][0])]
        del x, out
    gc.collect()
    assert [reference() for reference in seen] == [None] * 9
