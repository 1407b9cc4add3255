"""Random whole programs: values and gradients eager, compiled and by numeric differentiation; their tapes print."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.compile import lower
from tapegrad.compile.strategies import arrays, programs
from tapegrad.compile.strategies.domains import FINE

from .oracles import differences
from .rounding import SMALL, STEP, check, measured


@st.composite
def runs(draw):
    """A program, and a cotangent of its result."""
    program = draw(programs())
    out = program(*map(tg.from_numpy, program.inputs)).numpy()
    return program, draw(arrays(out.dtype, out.shape, FINE))


def leaves(program):
    return [tg.from_numpy(x.copy()).requires_grad_() for x in program.inputs]


def eager(program, g, by_primitives=False):
    """The value and the gradients; by_primitives, rules too are computed by applying primitives."""
    xs = leaves(program)
    out = program(*xs)
    gradients = tg.autograd.grad(out, xs, tg.from_numpy(g), create_graph=by_primitives)
    return [t.detach().numpy() for t in (out, *gradients)]


def nudged(program, rng):
    """The program with its inputs wrong by a little, up or down."""
    inputs = [x if rng is None else np.asarray(x + rng.choice([-1, 1], x.shape) * SMALL * STEP) for x in program.inputs]
    return replace(program, inputs=tuple(inputs))


@given(runs())
def test_compiled_agrees_with_eager(run):
    program, g = run
    tape = tg.record(program, *leaves(program))
    assert str(tape)
    assert tape._repr_svg_().startswith("<svg")
    function = lower(tape)

    def value_and_gradients(xs, g):
        out, pull = jax.vjp(function, *xs)
        return [out, *pull(g)]

    with jax.enable_x64(True):
        compiled = [np.asarray(part) for part in jax.jit(value_and_gradients)(program.inputs, g)]
    double, g64 = program.in_double(), g.astype(np.float64)
    truth, spread = measured(lambda rng: eager(nudged(double, rng), g64, by_primitives=True))
    least = min((x.dtype for x in program.inputs), key=lambda dtype: dtype.itemsize)
    names = ["value", *[f"gradient of x{i}" for i in range(len(program.inputs))]]
    for how, parts in (("eager", eager(program, g)), ("compiled", compiled)):
        for name, got, true, wide in zip(names, parts, truth, spread, strict=True):
            check(f"{how} {name}", got, true, wide, computed_in=least)


@given(runs())
def test_gradients_are_those_of_numeric_differentiation(run):
    program, g = run[0].in_double(), run[1].astype(np.float64)
    frozen = []
    program(*leaves(program), detach=lambda t: frozen.append(t.detach().numpy().copy()) or t.detach())

    def value(*xs):
        """What is detached stays as it was: it is no part of the derivative."""
        constants = iter(frozen)
        out = program(*map(tg.from_numpy, xs), detach=lambda _: tg.from_numpy(next(constants).copy()))
        return [out.numpy()]

    found = eager(program, g)[1:]
    for i, (got, (numeric, bound)) in enumerate(zip(found, differences(value, program.inputs, [g]), strict=True)):
        bad = ~(np.abs(got - numeric) <= bound)
        assert not bad.any(), f"gradient of x{i}: {got[bad]} is not {numeric[bad]}, bound {bound[bad]}"
        assert (bound <= 1e-3 * (1 + np.abs(numeric))).all(), f"x{i}: differences too rough to judge by: {bound}"
