"""How tensors lie in memory: as they do eagerly, though a device knows one order only."""

from __future__ import annotations

import copy
import pickle

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.tape.variable import class_in_order, order_of

from .alongside import Pair

RESULTS = {
    "a product": lambda x: x.t() * 2,
    "a copy": lambda x: x.t().clone(),
    "zeros": lambda x: tg.zeros_like(x.permute(1, 0)),
    "a softmax": lambda x: x.t().softmax(0),
    "another dtype": lambda x: x.t().to(tg.float64),
    "a choice": lambda x: tg.where(x.t() > 0, x.t(), 0.0),
    "in C's order": lambda x: x * 2,
}


def matrix():
    return (tg.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),)


@pytest.mark.parametrize("what", RESULTS)
def test_a_result_has_the_strides_that_it_has_eagerly(what):
    function = RESULTS[what]
    expected = function(*matrix())
    fast = tg.jit(function)
    for _ in range(3):
        got = fast(*matrix())
        assert got.stride() == expected.stride()
        assert got.is_contiguous() == expected.is_contiguous()
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-6)


def test_what_is_written_to_keeps_its_strides():
    def build():
        w = tg.zeros(3, 2).t().clone()
        return lambda x: [w.add_(x), None][1], w

    pair = Pair(build)
    for _ in range(4):
        pair.call(matrix)
        assert pair.jitted.stride() == pair.eager.stride() == (1, 2)
        assert pair.jitted.t().view(-1).tolist() == pair.eager.t().view(-1).tolist()
    assert pair.compilations == 1


def test_state_and_gradients_of_a_parameter_in_another_order():
    def build():
        p = tg.zeros(3, 2).t().clone().requires_grad_()
        optimiser = tg.optim.Adam([p], lr=0.1)

        def step(x):
            optimiser.zero_grad()
            (p * x.cos()).sum().backward()
            optimiser.step()

        return step, p

    pair = Pair(build)
    for _ in range(4):
        pair.call(matrix, look=False)
    assert pair.jitted.stride() == pair.eager.stride() == (1, 2)
    assert pair.jitted.grad.stride() == pair.eager.grad.stride()
    assert pair.compilations == 1
    pair.compare()


def test_a_tensor_in_another_order_is_another_signature():
    def flat(x):
        return x.reshape(-1), x.is_contiguous()

    fast = tg.jit(flat)
    for x in (tg.ones(2, 3), tg.ones(3, 2).t(), tg.jit(lambda x: x.t() * 1)(tg.ones(3, 2))) * 2:
        assert fast(x)[1] == flat(x)[1] == x.is_contiguous()


def test_what_is_on_the_device_in_another_order_is_copied_pickled_and_a_leaf_of_a_pytree():
    fast = tg.jit(lambda x: x.t() * 2)
    fast(*matrix())
    for again in (copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t)), lambda t: t.numpy()):
        got = again(fast(*matrix()))
        np.testing.assert_array_equal(np.asarray(got), [[0, 6], [2, 8], [4, 10]])
    assert [leaf.shape for leaf in jax.tree.leaves({"t": fast(*matrix())})] == [(3, 2)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_order_of_axes(order):
    array = np.zeros([2, 3, 4]).transpose(order).copy().transpose(np.argsort(order))
    assert order_of(array) == (None if order == (0, 1, 2) else order)
    assert order_of(array[:, ::2]) is None
    assert class_in_order(order) is class_in_order(order)
