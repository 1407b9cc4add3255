"""copy, deepcopy and pickle of tensors; processes that fork."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.dtypes import DTYPES


def pickled(obj: Any) -> Any:
    return pickle.loads(pickle.dumps(obj))


def saved(obj: Any) -> Any:
    file = io.BytesIO()
    tg.save(obj, file)
    file.seek(0)
    return tg.load(file)


def out_of_band(obj: Any) -> Any:
    """Through a pickle whose arrays travel apart, and arrive read-only."""
    buffers: list[Any] = []
    data = pickle.dumps(obj, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


DEEP = [copy.deepcopy, pickled, out_of_band, saved]


class Model:
    """An object that holds tensors, one of them twice."""

    def __init__(self) -> None:
        self.w = tg.randn(2, 3, requires_grad=True)
        self.tied = self.w
        self.buffers = {"row": self.w.detach()[0]}


@pytest.mark.parametrize("again", DEEP)
@pytest.mark.parametrize("d", DTYPES, ids=str)
def test_every_dtype(again: Callable[[Any], Any], d: tg.dtype) -> None:
    x = tg.arange(3).to(d)
    found = again(x)
    assert (found.dtype, found.tolist()) == (x.dtype, x.tolist())
    found[0] = 1
    assert x[0].item() == 0


@pytest.mark.parametrize("again", DEEP)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1), (2, 3, 4)])
def test_every_shape(again: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    x = tg.randn(shape)
    assert again(x).shape == shape
    assert again(x).tolist() == x.tolist()


@pytest.mark.parametrize("again", DEEP)
def test_views_that_share_memory_share_it_again(again: Callable[[Any], Any]) -> None:
    base = tg.zeros(3, 4)
    views = [base, base[1], base.t(), base[:, ::3], base.detach(), base.expand(2, 3, 4), base.diagonal(), base[2:, 1]]
    found = again({"views": views, "other": tg.zeros(3, 4)})
    base[1, 1] = 5
    found["views"][2][1, 1] = 5  # the transposed one
    assert [x.tolist() for x in found["views"]] == [x.tolist() for x in views]
    assert [x.stride() for x in found["views"]] == [x.stride() for x in views]
    assert found["other"].sum() == 0


@pytest.mark.parametrize("again", [*DEEP, copy.copy])
def test_a_leaf_trains_on(again: Callable[[Any], Any]) -> None:
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    found = again(w)
    (found**2).sum().backward()
    assert found.is_leaf
    assert found.grad is not None
    assert found.grad.tolist() == [2, 4]
    assert w.grad is None


@pytest.mark.parametrize("again", DEEP)
def test_a_write_to_shared_memory_is_noticed(again: Callable[[Any], Any]) -> None:
    base = tg.zeros(3, 4)
    a, b = again([base, base[0]])
    w = tg.ones(4, requires_grad=True)
    out = (w * b).sum()
    a.add_(1)
    with pytest.raises(tg.InPlaceError):
        out.backward()


@pytest.mark.parametrize("again", [copy.deepcopy, pickled])
def test_an_object_that_holds_tensors(again: Callable[[Any], Any]) -> None:
    model = Model()
    found = again(model)
    assert found.w is found.tied
    with tg.no_grad():
        found.w.fill_(7)
    assert found.buffers["row"].tolist() == [7, 7, 7]
    assert not (model.w == 7).any()


@given(st.data())
def test_any_windows_share_memory_again(data: st.DataObject) -> None:
    flat = np.arange(24.0)
    views = []
    for _ in range(data.draw(st.integers(1, 4))):
        array = flat[data.draw(st.integers(0, 8)) :][: data.draw(st.integers(0, 16))]
        array = array[:: data.draw(st.sampled_from([1, 2, 3, -1]))]
        views.append(tg.from_numpy(array.view(data.draw(st.sampled_from([np.float64, np.int64])))))
    found = data.draw(st.sampled_from(DEEP))(views)
    for i, (view, twin) in enumerate(zip(views, found, strict=True)):
        view.fill_(100 + i)
        twin.fill_(100 + i)
        assert [x.tolist() for x in found] == [x.tolist() for x in views]


def in_records() -> Any:
    return np.zeros(4, [("a", np.int8), ("b", np.float32)])["b"]  # 5 bytes apart


def with_gaps() -> Any:
    return np.ndarray((3,), np.float32, bytearray(24), 0, (8,))


def in_odd_bytes() -> Any:
    return np.zeros(7, np.uint8)[:4].view(np.float32)


@pytest.mark.parametrize("make", [in_records, with_gaps, in_odd_bytes])
@pytest.mark.parametrize("again", DEEP)
def test_memory_that_is_no_row_of_elements(again: Callable[[Any], Any], make: Callable[[], Any]) -> None:
    """Its elements are copied apart: there is no memory to share that would have them in a row."""
    x = tg.from_numpy(make())
    x.fill_(3)
    found = again([x, x.detach()])
    assert [y.tolist() for y in found] == [x.tolist()] * 2


def test_an_array_that_shares_memory_is_copied_as_an_array() -> None:
    array = np.arange(3.0)
    found = copy.deepcopy([array, tg.from_numpy(array), array])
    assert isinstance(found[0], np.ndarray)
    assert found[0] is found[2]


# copy.copy


def test_a_shallow_copy_looks_at_the_same_memory() -> None:
    x = tg.zeros(2)
    x.note = ["kept"]  # type: ignore[attr-defined]
    c = copy.copy(x)
    c.add_(1)
    assert x.tolist() == [1, 1]
    assert x._version == 0
    assert c.note is x.note  # type: ignore[attr-defined]


def test_a_shallow_copy_of_a_non_leaf_is_a_leaf() -> None:
    w = tg.ones(2, requires_grad=True)
    c = copy.copy(w * 2)
    assert c.is_leaf
    assert c.requires_grad


# copy.deepcopy


def test_deepcopy_of_a_non_leaf_is_refused() -> None:
    w = tg.ones(2, requires_grad=True)
    for obj in (w * 2, [w, {"a": w[0]}]):
        with pytest.raises(RuntimeError, match=r"Only Tensors created explicitly by the user \(graph leaves\) support"):
            copy.deepcopy(obj)


def test_deepcopy_copies_gradient_and_attributes() -> None:
    w = tg.ones(2, requires_grad=True)
    w.grad = tg.ones(2)
    w.note = [w]  # type: ignore[attr-defined]
    c = copy.deepcopy(w)
    assert c.note[0] is c  # type: ignore[attr-defined]
    assert c.grad is not None
    c.grad.add_(1)
    assert w.grad.tolist() == [1, 1]


def test_deepcopy_of_a_gradient_that_is_held_elsewhere_too() -> None:
    w = tg.ones(2, requires_grad=True)
    w.grad = tg.ones(2)
    grad, c = copy.deepcopy([w.grad, w])
    assert c.grad is grad


def test_deepcopy_respects_the_memo() -> None:
    w = tg.ones(2)
    memo = {id(w): "other"}
    assert copy.deepcopy([w], memo) == ["other"]


def test_deepcopy_within_a_recording() -> None:
    x = tg.ones(3)
    tape = tg.record(lambda x: copy.deepcopy(x) * 2, x)
    assert len(tape.outputs) == 1
    fast = tg.jit(lambda x: copy.deepcopy(x) * 2)
    for n in range(3):
        assert fast(x * n).tolist() == [2 * n] * 3
    assert len(fast.specialisations) == 1
    with pytest.raises(tg.UnsupportedError, match="deepcopy"):
        tg.jit(lambda x: copy.deepcopy([x, x.view(3)])[1])(x)


@pytest.mark.parametrize("again", [*DEEP, copy.copy])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("d", [tg.float64, tg.complex128])
def test_a_jitted_step_trains_a_copy(again: Callable[[Any], Any], order: tuple[int, int], d: tg.dtype) -> None:
    """A copy that has its memory to itself is no view, whatever the order of its axes: it can be written to."""
    w = again(tg.arange(6, dtype=d).reshape(2, 3).permute(order).clone().requires_grad_())

    def step(x: tg.Tensor) -> Any:
        loss = (abs(w * x) ** 2).sum()
        w.grad = None
        loss.backward()
        with tg.no_grad():
            w.sub_(0.1 * w.grad)
        return loss

    compiled = tg.jit(step)
    losses = [compiled(tg.tensor(1.0, dtype=d)).item() for _ in range(3)]
    assert losses == pytest.approx([55, 55 * 0.8**2, 55 * 0.8**4])


@pytest.mark.parametrize("again", DEEP)
def test_a_jitted_function_reads_copies_on_one_memory(again: Callable[[Any], Any]) -> None:
    base = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    for obj in ([base, base[1]], [base[1], base], [base.t(), base[1], base], [base[0], base[1]]):
        found = again(obj)
        step = tg.jit(lambda x, found=found: sum(part.sum() * x for part in found))
        for _ in range(2):
            assert step(tg.tensor(2.0)).item() == sum(part.sum().item() * 2 for part in obj)


# pickle


def test_a_pickle_holds_no_gradient_and_no_graph() -> None:
    w = tg.ones(2, requires_grad=True)
    w.sum().backward()
    assert pickled(w).grad is None
    found = pickled(w * 2)
    assert found.is_leaf
    assert found.requires_grad


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol: int) -> None:
    x = tg.randn(2, 3).t()
    found = pickle.loads(pickle.dumps(x, protocol))
    assert (found.stride(), found.tolist()) == ((1, 3), x.tolist())


def test_two_pickles_share_nothing() -> None:
    x = tg.zeros(2)
    a, b = pickled(x), pickled(x)
    a.add_(1)
    assert b.tolist() == [0, 0]


def test_a_pickle_names_only_the_library_and_numpy() -> None:
    """What a restricted unpickler has to allow."""
    names = set()

    class Watched(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            names.add(module.partition(".")[0])
            return super().find_class(module, name)

    found = Watched(io.BytesIO(pickle.dumps([tg.ones(2, requires_grad=True), tg.ones(2).bfloat16()]))).load()
    assert found[0].requires_grad
    assert names <= {"tapegrad", "numpy"}


def test_hooks_stay_behind_which_is_said() -> None:
    w = tg.ones(2, requires_grad=True)
    calls: list[Any] = []
    handle = w.register_hook(calls.append)
    for again in (pickled, copy.copy):
        with pytest.warns(UserWarning, match="will not be serialized"):
            again(w).sum().backward()
    copy.deepcopy(w).sum().backward()
    assert not calls
    handle.remove()
    pickled(w)


def test_a_value_that_is_on_the_device_only() -> None:
    step = tg.jit(lambda x: x * 2)
    for again in [*DEEP, copy.copy]:
        found = again(step(tg.ones(2)))
        assert type(found) is tg.Tensor
        assert found.add_(1).tolist() == [3, 3]


def test_threads_that_pickle_and_copy_what_they_share() -> None:
    base = tg.arange(6.0).reshape(2, 3)
    barrier = threading.Barrier(4)

    def work(number: int) -> bool:
        barrier.wait()
        for _ in range(50):
            a, b = DEEP[number % 2]([base, base[1]])
            a.add_(number)
            if b.tolist() != [3 + number, 4 + number, 5 + number]:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert base.tolist() == [[0, 1, 2], [3, 4, 5]]


# Processes


FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads
import tapegrad as tg
from tapegrad import random

tg.manual_seed(1)
w = tg.tensor([1.0, 2.0], requires_grad=True)
begun = (w * w).sum()             # a graph that both processes go on with
tg.randn(300, 300) @ tg.randn(300, 300)

stop = threading.Event()
def draw():
    while not stop.is_set():      # takes the lock of the generator again and again
        tg.rand(1000, generator=tg.Generator())
threads = [threading.Thread(target=draw) for _ in range(2)]
for thread in threads:
    thread.start()

def work(factor):
    loss = begun + factor * (w ** 3).sum() + (tg.rand(3) * 0).sum()
    with tg.no_grad():
        assert not (w * 1).requires_grad
    loss.backward()
    x = tg.ones(64, 64, requires_grad=True)
    (x @ x).sum().backward()
    assert x.grad.sum() == 2 * 64 ** 3
    return w.grad.tolist() == [2 + 3 * factor, 4 + 12 * factor]

children = []
for factor in range(1, 21):
    child = os.fork()
    if not child:
        try:
            os._exit(0 if work(factor) else 1)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(2)
    children.append(child)
fine = work(100)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for thread in threads:
    thread.join()
assert fine and codes == [0] * 20, (fine, codes)
print("done")
"""


@pytest.mark.skipif(not hasattr(sys, "getswitchinterval") or sys.platform == "win32", reason="no fork")
def test_fork_in_the_middle() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "done", done.stderr


SPAWN = """
import multiprocessing
import tapegrad as tg

def step(pair):
    w, row = pair
    (w * w).sum().backward()
    with tg.no_grad():
        w.add_(1)
    return w.grad, row

if __name__ == "__main__":
    w = tg.arange(4.0).reshape(2, 2).requires_grad_()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (grad, row), = pool.map(step, [(w, w.detach()[1])])
    print(grad.tolist(), row.tolist(), w.tolist())
"""


def test_another_process_gets_tensors_and_gives_them_back(tmp_path: Any) -> None:
    (tmp_path / "spawned.py").write_text(SPAWN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "spawned.py"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip() == "[[0.0, 2.0], [4.0, 6.0]] [3.0, 4.0] [[0.0, 1.0], [2.0, 3.0]]", done.stderr
