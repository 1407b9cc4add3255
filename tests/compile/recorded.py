"""A function four ways: eager, eager while recorded, its tape replayed, its tape lowered and jitted. All must agree."""

from __future__ import annotations

import copy

import jax
import numpy as np

import tapegrad as tg
from tapegrad.compile.lower import lower_flat
from tapegrad.compile.replay import replay
from tapegrad.tree import flatten


def leaf(*values, dtype=tg.float64, requires_grad=True):
    """A tensor of these values that requires grad."""
    return tg.tensor(list(values), dtype=dtype, requires_grad=requires_grad)


def agree(function, make, captured=()):
    """Run `function(*make())` the four ways; returns the tape.

    Results, the inputs afterwards and their gradients must be the same; `make` returns the arguments, always the same.
    `captured` are tensors that the function changes besides; they are put back in between.
    """
    before = [(t, t._array.copy(), copy.copy(t._grad)) for t in captured]
    expected = _outcome(function, make())
    after = [(t.tolist(), None if t.grad is None else t.grad.tolist()) for t in captured]
    for t, array, grad in before:
        np.copyto(t._array, array)
        t._grad = grad
    tape = [None]

    def recorded(*args):
        tape[0] = tg.record(function, *args)

    args = make()
    recorded(*args)
    (tape,) = tape
    assert _state(args) == expected[1]
    assert [(t.tolist(), None if t.grad is None else t.grad.tolist()) for t in captured] == after
    values = [np.array(v) for v in tape.values]
    wanted = [np.array(x) for x in expected[0]]
    replayed = replay(tape, values, wanted=tape.outputs)
    for x, var in zip(wanted, tape.outputs, strict=False):
        np.testing.assert_allclose(replayed[var], x, rtol=1e-12, err_msg="replayed")
    with jax.enable_x64(True):
        lowered = jax.jit(lower_flat(tape))(*values)
    for var, x in zip(tape.outputs, lowered, strict=True):
        np.testing.assert_allclose(np.asarray(x), replayed[var], rtol=1e-12, err_msg="lowered")
    _compare_effects(tape, [*args, *captured], lowered)
    return tape


def _outcome(function, args):
    results = [x.tolist() for x in flatten(function(*args))[0] if isinstance(x, tg.Tensor)]
    return results, _state(args)


def _state(args):
    return [(t.tolist(), t.requires_grad, None if t._grad is None else t._grad.tolist()) for t in args]


def _compare_effects(tape, tensors, outputs):
    """The written inputs and the gradients, as the lowered program has them, against the tensors after the run."""
    known = {id(var): t for var, t in zip(tape.inputs, tensors, strict=False)}
    n = tape.results
    for position, x in zip(tape.writes, outputs[n:], strict=False):
        t = known.get(id(tape.inputs[position]))
        if t is not None and position < len(tensors):
            np.testing.assert_allclose(np.asarray(x), t._array, rtol=1e-12, err_msg="written")
    for position, x in zip(tape.grads, outputs[n + len(tape.writes) :], strict=True):
        t = known.get(id(tape.inputs[position]))
        if t is not None:
            np.testing.assert_allclose(np.asarray(x), t._grad._array, rtol=1e-12, err_msg="gradient")


# Functions of a user's


class Square(tg.autograd.Function):
    """With a gradient that is not the derivative, so that nothing else can give it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x * 7


class Times(tg.autograd.Function):
    """Of two arguments and a number, which gives gradients only where they are wanted."""

    @staticmethod
    def forward(a, b, n):
        return a * b * n

    @staticmethod
    def setup_context(ctx, inputs, output):
        a, b, ctx.n = inputs
        ctx.save_for_backward(a, b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        ga = g * b * ctx.n if ctx.needs_input_grad[0] else None
        return ga, g * a * ctx.n if ctx.needs_input_grad[1] else None, None


class AddOne(tg.autograd.Function):
    """In place."""

    @staticmethod
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 5
