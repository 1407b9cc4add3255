"""save and load: all that can be saved comes back, and what cannot is refused before anything is written."""

from __future__ import annotations

import io
import math
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.dtypes import DTYPES

from .saved import again, dumped, linked, loaded, names_in, nested, seen

# What comes back

dtypes = st.sampled_from(DTYPES)
shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@st.composite
def tensors(draw: st.DrawFn) -> tg.Tensor:
    d, shape = draw(dtypes), draw(shapes)
    count = math.prod(shape)
    data = draw(st.binary(min_size=count * d.itemsize, max_size=count * d.itemsize))
    array = np.frombuffer(data, np.uint8)
    array = array % 2 if d is tg.bool else array
    made = tg.from_numpy(np.array(array.view(d.numpy).reshape(shape)))
    if len(shape) > 1 and draw(st.booleans()):
        made = made.permute(draw(st.permutations(range(len(shape)))))
    if shape and draw(st.booleans()):
        made = made[::2]
    return made.detach().requires_grad_(d.category >= 2 and draw(st.booleans()))


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"]))
    | dtypes | st.sampled_from([tg.device("cpu"), tg.device("cuda:1"), tg.Size([2, 3])])
)  # fmt: skip
keys = st.text() | st.integers()
objects = st.recursive(
    scalars | tensors(),
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.lists(parts, max_size=4).map(tuple)
        | st.dictionaries(keys, parts, max_size=4)
        | st.dictionaries(keys, parts, max_size=4).map(OrderedDict)
    ),
    max_leaves=12,
)


@given(objects)
def test_what_is_saved_comes_back(obj: Any) -> None:
    data = dumped(obj)
    assert seen(loaded(data)) == seen(obj)
    assert dumped(obj) == data
    assert safetensors.deserialize(data) is not None


@pytest.mark.parametrize("name", ["a.safetensors", "a"])
def test_a_path_in_any_form(tmp_path: Path, name: str) -> None:
    x = tg.arange(3)
    for form in (str, Path, os.fsencode):
        tg.save({"x": x}, form(tmp_path / name))
        assert tg.load(form(tmp_path / name))["x"].tolist() == [0, 1, 2]
    assert names_in(tmp_path) == [name]


def test_state_of_a_training_run() -> None:
    w = tg.randn(3, requires_grad=True)
    state = {
        "model": OrderedDict(weight=w, bias=tg.zeros(1)),
        "optimizer": {
            "state": {0: {"step": tg.tensor(3.0), "exp_avg": tg.zeros(3)}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "foreach": None, "maximize": False, "params": [0]}],
        },
        "epoch": 3,
        "best": math.inf,
    }
    found = again(state)
    assert seen(found) == seen(state)
    (found["model"]["weight"] ** 2).sum().backward()
    assert found["model"]["weight"].grad is not None


def test_a_tensor_that_is_no_leaf_is_saved_as_its_value() -> None:
    w = tg.ones(2, requires_grad=True)
    found = again(w * 2)
    assert (found.tolist(), found.requires_grad, found.is_leaf) == ([2.0, 2.0], True, True)


def test_a_gradient_is_not_saved() -> None:
    w = tg.ones(2, requires_grad=True)
    w.sum().backward()
    assert again(w).grad is None


def test_hooks_are_not_saved_which_is_said() -> None:
    w = tg.ones(2, requires_grad=True)
    w.register_hook(lambda g: g)
    with pytest.warns(UserWarning, match="will not be serialized"):
        found = again(w)
    assert found.requires_grad


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0)])
def test_strides_come_back(order: tuple[int, ...]) -> None:
    for d in (tg.float32, tg.complex128):
        made = tg.arange(24, dtype=d).reshape(2, 3, 4).permute(order)
        found = again([made, made.detach()])
        assert [x.stride() for x in found] == [made.stride()] * 2
        assert [x.tolist() for x in found] == [made.tolist()] * 2


def test_a_view_of_much_is_saved_alone() -> None:
    big = tg.zeros(1000, 1000)
    assert len(dumped(big[3:5, ::2])) < 10_000
    assert len(dumped([big[3], big[4]])) < 20_000


def test_what_appears_twice_is_one_tensor() -> None:
    x = tg.ones(2, requires_grad=True)
    a, (b, c) = again([x, (x, {"c": x})])
    assert a is b
    assert c["c"] is a
    assert len(safetensors.deserialize(dumped([x, x]))) == 1


def test_a_list_that_appears_twice_is_loaded_as_two() -> None:
    x = [1]
    a, b = again([x, x])
    assert (a, b) == ([1], [1])
    assert a is not b


def test_memory_read_as_several_dtypes_is_bytes_to_others() -> None:
    array = np.array([1, 7, 0], np.uint8)
    views = [tg.from_numpy(array[:1].view(np.bool_)), tg.from_numpy(array[1:].view(np.int8))]
    assert [entry["dtype"] for _, entry in safetensors.deserialize(dumped(views))] == ["U8"]
    assert seen(again(views)) == seen(views)


@pytest.mark.parametrize("chosen", [slice(None), slice(0, 2), slice(2, None), slice(5, 8, 2), slice(6, 7)])
def test_tensors_on_the_same_memory_share_it_again(chosen: slice) -> None:
    """Each element is 1 where a write to the first tensor must show."""
    views = linked(tg.zeros(3, 4).clone())[chosen]
    found = again(views)
    views[0].flatten()[:1].fill_(1) if chosen != slice(6, 7) else None
    found[0].flatten()[:1].fill_(1) if chosen != slice(6, 7) else None
    assert [x.tolist() for x in found] == [x.tolist() for x in views]
    if len(views) > 1:
        assert [x.stride() for x in found] == [x.stride() for x in views]
        assert [x._base for x in found] == [None] * len(found)


@given(st.data())
def test_any_windows_share_memory_again(data: st.DataObject) -> None:
    flat = np.arange(24.0)
    views = []
    for _ in range(data.draw(st.integers(1, 4))):
        array = flat[data.draw(st.integers(0, 8)) :][: data.draw(st.integers(0, 16))]
        if array.size % 2 == 0 and data.draw(st.booleans()):
            array = array.reshape(2, -1)[data.draw(st.sampled_from([slice(None), slice(1, None)]))]
        array = array[..., :: data.draw(st.sampled_from([1, 2, 3, -1]))].T
        views.append(tg.from_numpy(array.view(data.draw(st.sampled_from([np.float64, np.int64])))))
    found = again(views)
    for i, (view, copy) in enumerate(zip(views, found, strict=True)):
        assert copy.tolist() == view.tolist()
        view.fill_(100 + i)
        copy.fill_(100 + i)
        assert [x.tolist() for x in found] == [x.tolist() for x in views]


def test_a_write_to_shared_memory_is_noticed() -> None:
    base = tg.zeros(3, 4)
    a, b = again([base, base[0]])
    w = tg.ones(4, requires_grad=True)
    out = (w * b).sum()
    a.add_(1)
    with pytest.raises(tg.InPlaceError):
        out.backward()


def test_memory_of_its_own_for_each_load() -> None:
    data = dumped(tg.zeros(2))
    a, b = loaded(data), loaded(data)
    a.add_(1)
    assert b.tolist() == [0, 0]


# Other programs


def test_others_read_what_is_saved(tmp_path: Path) -> None:
    named = {"layer.weight": tg.randn(2, 3), "layer.bias": tg.arange(3, dtype=tg.int16), "t": tg.randn(2, 3).t()}
    tg.save(named, tmp_path / "a")
    found = safetensors.numpy.load_file(tmp_path / "a")
    assert found.keys() == named.keys()
    for name, x in named.items():
        assert np.array_equal(found[name], x.numpy())


def test_what_others_saved(tmp_path: Path) -> None:
    arrays = {"b": np.arange(6.0).reshape(2, 3), "a": np.array([True, False]), "c": np.zeros((0, 2), np.complex64)}
    safetensors.numpy.save_file(arrays, tmp_path / "a", metadata={"format": "np"})
    found = tg.load(tmp_path / "a")
    assert {name: x.tolist() for name, x in found.items()} == {name: a.tolist() for name, a in arrays.items()}
    found["b"].add_(1)
    assert not found["b"].requires_grad


def test_names_are_told_apart() -> None:
    nested = {"a": {"b": tg.ones(1)}, "a.b": tg.zeros(1), 1: tg.ones(2), "1": tg.zeros(2), "__metadata__": tg.ones(3)}
    assert seen(again(nested)) == seen(nested)
    assert sorted(name for name, _ in safetensors.deserialize(dumped(nested))) == [
        "1", "1#2", "__metadata__#2", "a.b", "a.b#2",
    ]  # fmt: skip


# What cannot be saved


class Other:
    pass


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        ({"a": [1, Other()]}, r"obj\['a'\]\[1\] is a .*Other, which cannot be saved"),
        ([np.float64(1)], r"obj\[0\] is a numpy.float64"),
        (np.ones(2), r"obj is a numpy.ndarray"),
        ({1.5: 2}, "obj has the key 1.5"),
        ({"a": {None: 2}}, r"obj\['a'\] has the key None"),
        ({True: 2}, "has the key True"),
        (1j, "obj is a complex"),
        (b"a", "obj is a bytes"),
        ({1, 2}, "obj is a set"),
    ],
)
def test_what_cannot_be_saved(tmp_path: Path, obj: Any, said: str) -> None:
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(TypeError, match=said):
        tg.save(obj, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"before"
    assert names_in(tmp_path) == ["a"]


def test_an_object_that_contains_itself() -> None:
    x: list[Any] = [1, []]
    x[1].append(x)
    with pytest.raises(ValueError, match=r"obj\[1\]\[0\] contains itself"):
        dumped(x)


@pytest.mark.parametrize("kind", [lambda x: [x], lambda x: (x,), lambda x: {0: x}], ids=["list", "tuple", "dict"])
def test_depth(kind: Callable[[Any], Any]) -> None:
    assert again(nested(100, kind)) == nested(100, kind)
    for depth in (101, 100_000):
        with pytest.raises(ValueError, match="nested more than 100 levels"):
            dumped(nested(depth, kind))


def test_places_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="a file-like object with a 'write'"):
        tg.save(1, 3)
    with pytest.raises(AttributeError, match="a file-like object with a 'read'"):
        tg.load(3)
    with pytest.raises(TypeError, match="binary mode"):
        tg.save(1, io.StringIO())
    with pytest.raises(TypeError, match="binary mode"):
        tg.load(io.StringIO())
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        tg.save(1, tmp_path / "no" / "a")
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "a")
    with pytest.raises(IsADirectoryError):
        tg.load(tmp_path)
    with pytest.raises(IsADirectoryError):
        tg.save(1, tmp_path)
    with pytest.raises(tg.TapegradError, match="live on the CPU"):
        tg.load(io.BytesIO(dumped(1)), "cuda")


def test_not_while_recording() -> None:
    with pytest.raises(tg.UnsupportedError, match=r"save\(\)"):
        tg.record(lambda x: tg.save(x, io.BytesIO()), tg.ones(2))
    with pytest.raises(tg.UnsupportedError, match=r"load\(\)"):
        tg.record(lambda: loaded(b""))
