"""Tensors as JAX pytrees and arrays, and registered classes as containers of tensors."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tapegrad import tree
from tapegrad.compile import TracedTensor
from tapegrad.errors import NotDifferentiableError, UnsupportedError


def test_tree_map_gives_tensors():
    tensors = {"w": tg.tensor([1.0, 2.0]).requires_grad_(), "n": [tg.tensor([3, 4], dtype=tg.int32)]}
    doubled = jax.tree.map(lambda a: a * 2, tensors)
    assert type(doubled["w"]).__name__ == "Tensor"
    assert doubled["w"].tolist() == [2.0, 4.0]
    assert (doubled["w"].requires_grad, doubled["w"].is_leaf, doubled["n"][0].requires_grad) == (True, True, False)
    assert doubled["n"][0].dtype == tg.int32
    assert tensors["w"].tolist() == [1.0, 2.0]
    counts = jax.tree.map(lambda a: jnp.argmax(a), tensors)
    assert not counts["w"].requires_grad
    again = jax.tree.map(lambda a, b: a + b, doubled, doubled)  # from the device
    assert again["w"].tolist() == [4.0, 8.0]
    assert jax.tree.map(np.asarray, tensors)["w"].tolist() == [1.0, 2.0]


def test_jax_transformations_take_tensors():
    w, x = tg.tensor([1.0, 2.0]).requires_grad_(), tg.tensor([3.0, 4.0])

    def loss(w, x):
        assert isinstance(w, TracedTensor)
        assert (w.shape, w.dtype, w.ndim, w.requires_grad) == ((2,), tg.float32, 1, True)
        return jnp.sum(jnp.asarray(w) ** 2 * jnp.asarray(x))

    assert jax.jit(loss)(w, x) == 19.0
    gradient = jax.grad(loss)(w, x)
    assert gradient.tolist() == [6.0, 16.0]
    out = jax.jit(lambda t: (t, jnp.asarray(t) * 2))(w)
    assert (out[0].tolist(), out[0].requires_grad, out[1].tolist()) == ([1.0, 2.0], True, [2.0, 4.0])
    assert jax.vmap(lambda t: jnp.sum(jnp.asarray(t)))(tg.ones(3, 2)).tolist() == [2.0, 2.0, 2.0]


def test_a_traced_tensor_says_what_it_is_not():
    with pytest.raises(UnsupportedError, match=r"tapegrad\.to_jax"):
        jax.jit(lambda t: t * 2)(tg.ones(2))
    with pytest.raises(UnsupportedError, match="whose value JAX is tracing"):
        jax.jit(lambda t: t.item())(tg.ones(1))


def test_placeholders_pass_through():
    leaves, structure = jax.tree.flatten({"a": tg.ones(2)})
    marker = object()
    held = jax.tree.unflatten(structure, [marker])
    assert jax.tree.leaves(held) == [marker]
    assert jax.tree.unflatten(structure, [None])["a"]._device is None
    assert jax.tree.unflatten(structure, leaves)["a"].tolist() == [1.0, 1.0]
    assert "tensor(" in repr(held)
    shapes = jax.eval_shape(lambda t: t, tg.ones(2, 3))
    assert shapes.shape == (2, 3)


def test_the_value_is_a_copy():
    t = tg.ones(3)
    (leaf,) = jax.tree.leaves(t)
    t.zero_()
    assert leaf.tolist() == [1.0, 1.0, 1.0]
    array = np.ones(3)
    shared = tg.from_numpy(array)
    (leaf,) = jax.tree.leaves(shared)
    array[:] = 0
    assert leaf.tolist() == [1.0, 1.0, 1.0]
    assert leaf.dtype == np.float64


def test_asarray_copies_memory_that_jax_could_use_as_it_is():
    room = np.zeros(1024 + 16)
    start = -room.ctypes.data % 64 // 8
    t = tg.from_numpy(room[start : start + 1024])
    with jax.enable_x64(True):
        array = jnp.asarray(t)
        jax.block_until_ready(array)
        t.fill_(1)
        assert not array.any()


def test_asarray_copies():
    t = tg.tensor(np.ones(64))
    with jax.enable_x64(True):
        array = jnp.asarray(t)
        assert array.dtype == np.float64
        t.zero_()
        assert array.sum() == 64.0
    assert jnp.sin(tg.zeros(2)).tolist() == [0.0, 0.0]
    assert (jnp.ones(2) + jnp.asarray(tg.ones(2))).tolist() == [2.0, 2.0]
    with pytest.raises(NotDifferentiableError, match="would cut its history"):
        jnp.asarray(tg.ones(2).requires_grad_())


def test_a_recorder_notices():
    """What was read into Python is guarded: another value is another program."""
    for leak in (jnp.asarray, jax.tree.leaves):
        jitted = tg.jit(lambda x, leak=leak: x * float(np.asarray(leak(x)[0]).sum()))
        for value in (1.0, 2.0, 3.0):
            assert jitted(tg.tensor([value])).tolist() == [value**2]


def test_jax_takes_tensors_by_dlpack_and_back():
    t = tg.tensor([1.0, 2.0, 3.0])
    assert jax.dlpack.from_dlpack(t).tolist() == [1.0, 2.0, 3.0]
    array = jnp.arange(4.0)
    back = tg.from_dlpack(array)
    assert back.tolist() == [0.0, 1.0, 2.0, 3.0]
    back.mul_(3)
    back[0] = 9.0
    back.numpy()[1] = 7.0
    assert array.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert back.tolist() == [9.0, 7.0, 6.0, 9.0]
    assert tg.from_dlpack(jnp.ones(2, jnp.bfloat16)).dtype == tg.bfloat16
    copied = tg.from_dlpack(array, copy=True)
    copied.zero_()
    assert array.sum() == 6.0
    with pytest.raises(TypeError, match="uint32"):
        tg.from_dlpack(jnp.ones(2, jnp.uint32))


def test_a_jitted_write_is_seen_in_memory_that_was_exported():
    t = tg.zeros(3)
    array = np.from_dlpack(t)

    def add():
        t.add_(1)

    jitted = tg.jit(add)
    for _ in range(3):
        jitted()
    assert array.tolist() == [3.0, 3.0, 3.0]


# Classes as containers


class Pair:
    def __init__(self, left, right, label):
        self.left, self.right, self.label = left, right, label


@pytest.fixture
def registered():
    tg.register_pytree_node(Pair, lambda p: ((p.left, p.right), p.label), lambda label, parts: Pair(*parts, label))
    yield
    del tree._registered[Pair]


@pytest.mark.usefixtures("registered")
def test_a_registered_class_is_a_container():
    pair = Pair(1, [2, Pair(3, None, "inner")], "outer")
    leaves, structure = tree.flatten(pair)
    assert leaves == [1, 2, 3, None]
    rebuilt = tree.unflatten(structure, leaves)
    assert (type(rebuilt), rebuilt.label, rebuilt.right[1].label, rebuilt.right[1].left) == (Pair, "outer", "inner", 3)
    assert structure == tree.flatten(Pair(5, [6, Pair(7, 8, "inner")], "outer"))[1]
    assert structure != tree.flatten(Pair(5, [6, Pair(7, 8, "other")], "outer"))[1]
    assert hash(structure) == hash(tree.flatten(pair)[1])
    assert list(tree.containers(pair)) == [pair, pair.right, pair.right[1]]
    out = tg.from_jax(lambda p: Pair(p.left * 2, p.right + 1, p.label + "!"))(Pair(tg.ones(2), tg.zeros(1), "a"))
    assert (out.left.tolist(), out.right.tolist(), out.label) == ([2.0, 2.0], [1.0], "a!")


@pytest.mark.usefixtures("registered")
def test_what_cannot_be_registered():
    for cls in (Pair, dict, int):
        with pytest.raises(ValueError, match=f"{cls.__name__} is registered already"):
            tg.register_pytree_node(cls, list, list)
    with pytest.raises(TypeError, match="expected a class, got int"):
        tg.register_pytree_node(3, list, list)


@jax.tree_util.register_pytree_node_class
class Jaxed:
    def __init__(self, value, name):
        self.value, self.name = value, name

    def tree_flatten(self):
        return (self.value,), self.name

    @classmethod
    def tree_unflatten(cls, name, parts):
        return cls(*parts, name)


def test_classes_registered_with_jax_are_containers():
    leaves, structure = tree.flatten([Jaxed({"a": 1}, "x"), jax.tree_util.Partial(max, 3)])
    assert leaves == [1, 3]
    first, second = tree.unflatten(structure, [5, 6])
    assert (first.value, first.name, second(7), second(2)) == ({"a": 5}, "x", 7, 6)
    assert structure == tree.flatten([Jaxed({"a": 7}, "x"), jax.tree_util.Partial(max, 8)])[1]
    assert structure != tree.flatten([Jaxed({"a": 7}, "y"), jax.tree_util.Partial(max, 8)])[1]
    jaxed = Jaxed([1], "x")
    assert list(tree.containers(jaxed)) == [jaxed, jaxed.value]
    x = tg.ones(2).requires_grad_()
    out = tg.from_jax(lambda j: Jaxed(j.value * 3, j.name))(Jaxed(x, "n"))
    out.value.sum().backward()
    assert (type(out), out.name, x.grad.tolist()) == (Jaxed, "n", [3.0, 3.0])


def test_functions_and_arrays_are_leaves():
    things = [len, functools.partial(max, 3), np.ones(2), jnp.ones(2), tg.ones(2), object(), None, "s"]
    assert all(a is b for a, b in zip(tree.flatten(things)[0], things, strict=True))
