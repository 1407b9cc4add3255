"""Small gradients come out of a program packed into few arrays; what users see of them is as if each were one."""

from __future__ import annotations

import copy
import pickle
import threading

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile.packs import Pack

SHAPES = [(), (1,), (3,), (2, 2), (0,), (4,), (1, 3), (2,), (3, 1), (5,)] * 2
"""Of two dtypes by turns."""


def parameters():
    rng = np.random.default_rng(0)
    dtypes = [np.float32, np.float64]
    return [
        tg.tensor(rng.standard_normal(shape).astype(dtypes[k % 2]), requires_grad=True)
        for k, shape in enumerate(SHAPES)
    ]


def step(weights):
    for w in weights:
        w.grad = None
    loss = sum([(w * w * (k + 1)).sum() for k, w in enumerate(weights)])
    loss.backward()
    return loss


def expected(weights):
    return [2 * (k + 1) * w.detach().numpy() for k, w in enumerate(weights)]


@pytest.fixture
def weights():
    """Parameters whose gradients a compiled call has just made."""
    made = parameters()
    fast = tg.jit(step)
    for _ in range(3):
        fast(made)
    (spec,) = [spec for spec in fast.specialisations if spec.calls]
    assert len(spec.packing.places) == len(SHAPES)
    assert len(spec.packing.groups) == 2
    return made


def is_part(t):
    """Whether a tensor's value is still in its pack."""
    return type(t) is tg.tape.variable.classes_on_device()[1]


def test_each_gradient_is_its_own(weights):
    for w, g in zip(weights, expected(weights), strict=True):
        assert is_part(w.grad)
        assert (w.grad.shape, w.grad.dtype) == (w.shape, w.dtype)
        np.testing.assert_allclose(w.grad.numpy(), g, rtol=1e-6)
        assert not is_part(w.grad)
        assert w.grad.is_leaf
        assert not w.grad.requires_grad


def test_a_gradient_may_be_written_to_without_changing_another(weights):
    wanted = expected(weights)
    for k, w in enumerate(weights):
        w.grad.add_(1)
        w.grad.mul_(2)
        np.testing.assert_allclose(w.grad.numpy(), (wanted[k] + 1) * 2, rtol=1e-6)
    weights[2].grad.numpy()[:] = 7  # an array of its own, which may be written to
    np.testing.assert_array_equal(weights[2].grad.numpy(), [7, 7, 7])
    np.testing.assert_allclose(weights[5].grad.numpy(), (wanted[5] + 1) * 2, rtol=1e-6)


def test_a_compiled_function_takes_gradients_out_of_their_packs(weights):
    @tg.jit
    def update(parameters):
        with tg.no_grad():
            for w in parameters:
                w -= 0.1 * w.grad

    wanted = [w.detach().numpy() - 0.1 * g for w, g in zip(weights, expected(weights), strict=True)]
    update(weights)
    for w, value in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(w.detach().numpy(), value, rtol=1e-5)
    assert not any(is_part(w.grad) for w in weights)
    assert all(isinstance(w.grad._device, jax.Array) for w in weights)


def test_gradients_accumulate_onto_parts(weights):
    wanted = expected(weights)
    for _ in range(2):
        sum([(w * w * (k + 1)).sum() for k, w in enumerate(weights)]).backward()
    for w, g in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(w.grad.numpy(), 3 * g, rtol=1e-5)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_part_is_copied_as_a_tensor_is(weights, duplicate):
    twin = duplicate(weights[3].grad)
    np.testing.assert_allclose(twin.numpy(), expected(weights)[3], rtol=1e-6)
    assert type(twin) is tg.Tensor


def test_a_part_is_a_leaf_of_a_pytree(weights):
    leaves, structure = jax.tree.flatten([w.grad for w in weights])
    for leaf, g in zip(leaves, expected(weights), strict=True):
        np.testing.assert_allclose(leaf, g, rtol=1e-6)
    again = jax.tree.unflatten(structure, leaves)
    np.testing.assert_allclose(again[3].numpy(), expected(weights)[3], rtol=1e-6)


def test_a_view_of_a_part_shares_its_memory(weights):
    g = weights[3].grad
    row = g[0]
    row.zero_()
    np.testing.assert_array_equal(g.numpy()[0], [0, 0])
    np.testing.assert_allclose(g.numpy()[1], expected(weights)[3][1], rtol=1e-6)


def test_the_next_call_leaves_old_gradients_packed_unless_they_changed():
    weights, fast = parameters(), tg.jit(step)
    for _ in range(3):
        fast(weights)
    old = [w.grad for w in weights]
    with tg.testing.max_compiles(0):
        fast(weights)
    assert all(map(is_part, old))
    assert all(is_part(w.grad) for w in weights)
    np.testing.assert_allclose(old[3].numpy(), expected(weights)[3], rtol=1e-6)
    weights[3].grad.requires_grad_()  # which eager code could see
    fast(weights)
    assert not weights[3].grad.requires_grad


def test_threads_that_read_one_part_see_one_value(weights):
    g, wanted = weights[3].grad, expected(weights)[3]
    start, wrong = threading.Barrier(8), []

    def read(on_host):
        start.wait()
        value = g.numpy() if on_host else np.asarray(g._device if g._device is not None else g._array)
        if not np.allclose(value, wanted):
            wrong.append(value)

    readers = [threading.Thread(target=read, args=(k % 2 == 0,)) for k in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert not wrong


def test_gradients_with_a_history_and_few_gradients_are_not_packed():
    def differentiable(weights):
        loss = sum([(w * w * w).sum() for w in weights])
        return tg.autograd.grad(loss, weights, create_graph=True)

    fast = tg.jit(differentiable)
    weights = parameters()
    for _ in range(3):
        grads = fast(weights)
    assert not any(map(is_part, grads))
    few = weights[:3]
    short = tg.jit(step)
    for _ in range(3):
        short(few)
    assert not any(is_part(w.grad) for w in few)


def test_a_pack_is_fetched_once():
    pack = Pack(jax.numpy.arange(6.0), ((0, (2,)), (2, (2, 2))))
    np.testing.assert_array_equal(pack.on_host(1), [[2, 3], [4, 5]])
    np.testing.assert_array_equal(pack.on_device(0), [0, 1])
    assert pack.on_device(1) is pack.on_device(1)
    pack.on_host(0)[:] = 9
    np.testing.assert_array_equal(pack.on_host(0), [0, 1])
