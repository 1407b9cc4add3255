"""Random programs, with views and in-place writes, under `vmap`: values and gradients are those of one run per example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.compile.strategies import programs
from tapegrad.func import grad, vmap

SIZE = 3
NUDGES = np.array([1.0, 0.96875, 1.03125])


@st.composite
def batched_programs(draw):
    """A program in double precision; of each input the batch, or one value for all; and where its batch dim is."""
    program = draw(programs(max_steps=20)).in_double()
    count = len(program.inputs)
    mapped = draw(st.sets(st.integers(0, count - 1), min_size=1))
    dims = tuple(draw(st.integers(0, program.inputs[i].ndim)) if i in mapped else None for i in range(count))
    batches = [
        np.stack([x * nudge for nudge in NUDGES]) if i in mapped else x.copy() for i, x in enumerate(program.inputs)
    ]
    return program, dims, batches


def laid_out(x, dim):
    """The batch with its dim elsewhere, in memory in that order."""
    return tg.from_numpy(x.copy() if dim is None else np.ascontiguousarray(np.moveaxis(x, 0, dim)))


def example(inputs, dims, i):
    return [x if dim is None else x.select(dim, i) for x, dim in zip(inputs, dims, strict=True)]


def run(f):
    """What `f()` returns; programs that write a batch into what is the same for all are not of interest."""
    try:
        return f()
    except RuntimeError as error:
        if "vmap: inplace arithmetic" in str(error):
            reject()
        raise


def close(a, b):
    x, y = a.detach().numpy(), b.detach().numpy()
    np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(y).max(initial=0)))


@given(drawn=batched_programs())
def test_values_and_gradients_are_those_of_one_run_per_example(drawn):
    program, dims, batches = drawn
    inputs = [laid_out(x, dim).requires_grad_() for x, dim in zip(batches, dims, strict=True)]
    out = run(lambda: vmap(program, dims)(*inputs))
    expected = tg.stack([program(*example(inputs, dims, i)) for i in range(SIZE)])
    close(out, expected)
    g = tg.from_numpy(np.cos(np.arange(out.numel(), dtype=np.float64)).reshape(out.shape))
    for a, b in zip(*(tg.autograd.grad(o, inputs, g, materialize_grads=True) for o in (out, expected)), strict=True):
        close(a, b)


@given(drawn=batched_programs())
def test_gradients_inside_are_those_of_each_example(drawn):
    program, dims, batches = drawn
    inputs = [laid_out(x, dim) for x, dim in zip(batches, dims, strict=True)]
    gradient = grad(lambda *xs: program(*xs).sum(), argnums=tuple(range(len(inputs))))
    found = run(lambda: vmap(gradient, dims)(*inputs))
    rows = [gradient(*example(inputs, dims, i)) for i in range(SIZE)]
    for k, g in enumerate(found):
        close(g, tg.stack([row[k] for row in rows]))


@given(drawn=batched_programs())
def test_a_batch_of_batches(drawn):
    program, dims, batches = drawn
    inputs = [laid_out(x, dim) for x, dim in zip(batches, dims, strict=True)]
    outer = [tg.stack([x, x * 0.984375]) for x in inputs]
    found = run(lambda: vmap(vmap(program, dims))(*outer))
    expected = [vmap(program, dims)(*[x[j] for x in outer]) for j in range(2)]
    close(found, tg.stack(expected))


@pytest.mark.parametrize("order", ["inside", "outside"])
@given(drawn=batched_programs())
def test_second_order_gradients_through_a_batch(order, drawn):
    program, dims, batches = drawn
    inputs = [laid_out(x, dim) for x, dim in zip(batches, dims, strict=True)]
    every = tuple(range(len(inputs)))
    first = grad(lambda *xs: program(*xs).sum(), argnums=every)

    def penalty(gradients):
        return sum((g * g.cos()).sum() for g in gradients)

    def batched(*xs):
        if order == "inside":
            return penalty(vmap(first, dims)(*xs))
        return penalty(grad(lambda *xs: vmap(program, dims)(*xs).sum(), argnums=every)(*xs))

    def single(*xs):
        rows = [example(xs, dims, i) for i in range(SIZE)]
        if order == "inside":
            return sum(penalty(first(*row)) for row in rows)
        return penalty(
            grad(lambda *xs: sum(program(*example(xs, dims, i)).sum() for i in range(SIZE)), argnums=every)(*xs)
        )

    found = run(lambda: grad(batched, argnums=every)(*inputs))
    for a, b in zip(found, grad(single, argnums=every)(*inputs), strict=True):
        close(a, b)
