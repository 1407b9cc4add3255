"""Kinks, ties, and the ends of domains: where the derivative is a convention, eager and compiled keep PyTorch's.

The expected gradients are those of PyTorch 2.13.0 in float64. NaN stands where PyTorch gives NaN.
"""

from __future__ import annotations

import itertools
from math import inf, nan

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile import lower
from tapegrad.compile.strategies import SAMPLES, Arg, Call

from .compiled import pytorch_vjp

# name: (function, operands, gradients of the sum of its result)
KINKS = {
    "abs at 0": (tg.abs, [[0.0, -0.0]], [[0.0, 0.0]]),
    "abs at complex 0": (tg.abs, [[0j]], [[0j]]),
    "relu at 0": (tg.relu, [[0.0, -0.0, 1.0]], [[0.0, 0.0, 1.0]]),
    "sign at 0": (tg.sign, [[0.0, 1.0]], [[0.0, 0.0]]),
    "sgn at complex 0": (lambda x: tg.sgn(x).real, [[0j]], [[0j]]),
    "ties of maximum are shared": (tg.maximum, [[1.0, 2.0, 3.0], [1.0, 1.0, 4.0]], [[0.5, 1.0, 0.0], [0.5, 0.0, 1.0]]),
    "ties of minimum are shared": (tg.minimum, [[1.0, 2.0, 3.0], [1.0, 1.0, 4.0]], [[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]),
    "ties of amax are shared": (tg.amax, [[1.0, 3.0, 3.0]], [[0.0, 0.5, 0.5]]),
    "ties of amax over two dims": (
        lambda x: tg.amax(x, (0, 1)),
        [[[1.0, 3.0, 3.0], [3.0, 2.0, 1.0]]],
        [[[0.0, 1 / 3, 1 / 3], [1 / 3, 0.0, 0.0]]],
    ),
    "ties of amin are shared": (lambda x: tg.amin(x, 0), [[[1.0, 3.0], [1.0, 2.0]]], [[[0.5, 0.0], [0.5, 1.0]]]),
    "ties of max are shared": (tg.max, [[1.0, 3.0, 3.0]], [[0.0, 0.5, 0.5]]),
    "of ties of max over a dim the first counts": (lambda x: tg.max(x, 0)[0], [[1.0, 3.0, 3.0]], [[0.0, 1.0, 0.0]]),
    "clamp at and beyond its bounds": (
        lambda x: tg.clamp(x, -1.0, 1.0),
        [[-1.0, 1.0, 0.0, -2.0, 2.0]],
        [[1.0, 1.0, 1.0, 0.0, 0.0]],
    ),
    "clamp between tensors, the last two crossed": (
        tg.clamp,
        [[-1.0, 1.0, 0.0, -2.0, 2.0, 0.0], [-1.0, -1.0, -1.0, -1.0, -1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0, -1.0]],
        [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]],
    ),
    "clamp between equal tensors": (
        tg.clamp,
        [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]],
        [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    ),
    "std of equal numbers": (tg.std, [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]]),
    "std of one number": (lambda x: tg.std(x, 0, correction=0), [[2.0]], [[0.0]]),
    "var of one number": (lambda x: tg.var(x, 0, correction=0), [[2.0]], [[0.0]]),
    "var without degrees of freedom": (lambda x: tg.var(x, 0), [[2.0]], [[nan]]),
    "sqrt at 0": (tg.sqrt, [[0.0, 4.0]], [[inf, 0.25]]),
    "rsqrt at 0": (tg.rsqrt, [[0.0, -0.0]], [[-inf, inf]]),
    "atanh at its ends": (tg.atanh, [[1.0, -1.0]], [[inf, inf]]),
    "log at 0": (tg.log, [[0.0]], [[inf]]),
    "acos at 1": (tg.acos, [[1.0]], [[-inf]]),
    "square at 0": (lambda x: x**2, [[0.0]], [[0.0]]),
    "power 1 at 0": (lambda x: x**1, [[0.0]], [[1.0]]),
    "power 0": (lambda x: x**0, [[0.0, 2.0]], [[0.0, 0.0]]),
    "power 0.5 at 0": (lambda x: x**0.5, [[0.0, -0.0]], [[inf, -inf]]),
    "power 1.5 at 0": (lambda x: x**1.5, [[0.0, -0.0]], [[0.0, 0.0]]),
    "power -0.5 at 0": (lambda x: x**-0.5, [[0.0, -0.0]], [[-inf, -inf]]),
    "power -1 at 0": (lambda x: x**-1, [[0.0]], [[-inf]]),
    "power of tensors at 0": (
        tg.pow,
        [[0.0, 0.0, 0.0, 2.0, 0.0], [0.0, 1.0, 2.0, 0.0, 0.5]],
        [[0.0, 1.0, 0.0, 0.0, inf], [0.0, 0.0, 0.0, np.log(2.0), 0.0]],
    ),
    "power of a negative base": (tg.pow, [[-2.0], [2.0]], [[-4.0], [nan]]),
    "0 to a power": (lambda x: tg.pow(0.0, x), [[0.0, 1.0, 2.0]], [[0.0, 0.0, 0.0]]),
    "atan2 at the origin": (tg.atan2, [[0.0, 0.0, 0.0], [0.0, 1.0, -1.0]], [[0.0, 1.0, -1.0], [0.0, 0.0, 0.0]]),
    "floor at an integer": (tg.floor, [[1.0, 1.5]], [[0.0, 0.0]]),
    "round at a half": (tg.round, [[0.5, 1.5, 2.5]], [[0.0, 0.0, 0.0]]),
    "remainder at a multiple": (
        tg.remainder,
        [[4.0, -3.0, 5.0], [2.0, 2.0, -2.0]],
        [[1.0, 1.0, 1.0], [-2.0, 2.0, 3.0]],
    ),
    "where": (lambda a, b: tg.where(a > 0, a, b), [[0.0, 1.0], [2.0, 2.0]], [[0.0, 1.0], [1.0, 0.0]]),
    "softplus beside its threshold": (
        tg.nn.functional.softplus,
        [[0.0, 20.0, 21.0, -800.0]],
        [[0.5, 0.9999999979388464, 1.0, 0.0]],
    ),
    "sigmoid far out": (tg.sigmoid, [[-800.0, 800.0]], [[0.0, 0.0]]),
    "tanh far out": (tg.tanh, [[50.0]], [[0.0]]),
    "logsumexp with -inf": (lambda x: tg.logsumexp(x, 0), [[-inf, 1.0]], [[0.0, 1.0]]),
    "softmax with -inf": (lambda x: tg.softmax(x, 0)[1], [[-inf, 1.0]], [[0.0, 0.0]]),
    "prod with one 0": (tg.prod, [[0.0, 2.0, 3.0]], [[6.0, 0.0, 0.0]]),
    "prod with two 0": (tg.prod, [[0.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]]),
}

EVERY = pytest.mark.parametrize(("function", "operands", "expected"), KINKS.values(), ids=KINKS)


@EVERY
def test_eager(function, operands, expected):
    tensors = [tg.tensor(x, dtype=dtype_of(x), requires_grad=True) for x in operands]
    check(tg.autograd.grad(function(*tensors).sum(), tensors), expected)


@EVERY
def test_compiled(function, operands, expected):
    tensors = [tg.tensor(x, dtype=dtype_of(x), requires_grad=True) for x in operands]
    program = lower(tg.record(lambda *xs: function(*xs).sum(), *tensors))
    arrays = [t.detach().numpy() for t in tensors]
    with jax.enable_x64(True):
        check(jax.jit(pytorch_vjp(program, *arrays))(np.ones(())), expected)


@EVERY
def test_values_agree(function, operands, expected):
    tensors = [tg.tensor(x, dtype=dtype_of(x)) for x in operands]
    program = lower(tg.record(function, *tensors))
    with jax.enable_x64(True):
        check([jax.jit(program)(*[t.numpy() for t in tensors])], [function(*tensors).numpy()])


@EVERY
def test_second_order(function, operands, expected):
    """Where PyTorch gives numbers. Its nan, from 0 times inf, is 0 where JAX knows of the 0."""
    tensors = [tg.tensor(x, dtype=dtype_of(x), requires_grad=True) for x in operands]
    check_second_order(lambda *xs: second_order(function, xs), tensors)


PRIMITIVES_AT_KINKS = [p for p in SAMPLES if p.elementwise and p.differentiable and p.variadic is None]
NUMBERS = {
    "f": [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 4.0, 0.25],
    "c": [0j, 1 + 0j, complex(-1, 0), complex(-2, -0.0), 1j, complex(-0.0, -2), 1 + 1j],
    "b": [False, True],
}


@pytest.mark.parametrize("prim", PRIMITIVES_AT_KINKS, ids=lambda prim: prim.name)
def test_second_order_of_element_wise_primitives(prim):
    """All pairs or triples of NUMBERS, some of which are at kinks, poles and branch cuts, and twice the same."""
    found = {}
    for layout in SAMPLES[prim].double.layouts:
        if all(isinstance(operand, Arg) and operand.dtype.kind in NUMBERS for operand in layout.operands):
            found[tuple(operand.dtype for operand in layout.operands), repr(layout.params)] = layout
    for layout in found.values():
        tables = [NUMBERS[operand.dtype.kind] for operand in layout.operands]
        columns = zip(*itertools.product(*tables), strict=True)
        arrays = [np.array(column, o.dtype) for column, o in zip(columns, layout.operands, strict=True)]
        tensors = [tg.from_numpy(array).requires_grad_(array.dtype.kind in "fc") for array in arrays]
        call = Call(prim, tuple(arrays), layout.params)
        check_second_order(lambda *xs, call=call: second_order(call, xs), tensors)


def second_order(function, xs):
    """The gradients of the gradients of the squared result of `function`: its values have a part in them."""
    out = function(*xs)
    loss = (out * out).real.sum() + (out * out).imag.sum() if out.dtype.is_complex else (out * out).sum()
    xs = [x for x in xs if x.requires_grad]
    first = tg.autograd.grad(loss, xs, create_graph=True)
    parts = [g.real * (k + 1) + g.imag if g.dtype.is_complex else g * (k + 1) for k, g in enumerate(first)]
    total = sum(part.sum() for part in parts)
    if not total.requires_grad:
        return first
    return *first, *tg.autograd.grad(total, xs, materialize_grads=True)


def check_second_order(function, tensors):
    with np.errstate(all="ignore"):
        wanted = [g.detach().numpy() for g in function(*tensors)]
        program = lower(tg.record(function, *tensors))
    with jax.enable_x64(True):
        found = jax.tree.leaves(jax.jit(program)(*[t.detach().numpy() for t in tensors]))
    for got, want in zip(found, wanted, strict=True):
        known = np.isfinite(want)
        np.testing.assert_allclose(np.asarray(got)[known], want[known], rtol=1e-11, atol=1e-11)


def dtype_of(x):
    return tg.complex128 if np.iscomplexobj(x) else tg.float64


def check(gradients, expected):
    for got, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=4 * np.finfo(float).eps, atol=0)


def test_argmax_and_argmin_take_the_first_of_ties():
    assert tg.argmax(tg.tensor([1.0, 3.0, 3.0])).item() == 1
    assert tg.argmin(tg.tensor([1.0, 1.0, 3.0])).item() == 0


def test_the_sign_of_zeros_and_nans():
    x = tg.tensor([0.0, -0.0, nan, -2.0])
    expected = [False, True, False, True]
    assert tg.signbit(x).tolist() == expected
    assert jax.jit(lower(tg.record(tg.signbit, x)))(x.numpy()).tolist() == expected


def test_stop_gradient_and_rebind_are_told_not_derived():
    """`detach` passes no gradient; after `x.data` was written to, uses see the new value, the gradient the old leaf."""

    def function(x):
        y = x * 1.0
        y.data.mul_(3.0)
        return (y * y * x.detach()).sum()

    x = tg.tensor([2.0], dtype=tg.float64, requires_grad=True)
    (found,) = tg.autograd.grad(function(x), x)
    program = lower(tg.record(function, x))
    with jax.enable_x64(True):
        assert program(np.array([2.0])) == 72.0
        assert found.tolist() == [24.0]
        assert jax.grad(program)(np.array([2.0])).tolist() == [24.0]
