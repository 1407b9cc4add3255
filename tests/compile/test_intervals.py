"""Intervals: what is said of the values of a step is true of them, whatever the operands; and not less than expected."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapegrad.compile.intervals import ALWAYS, RULES, intervals
from tapegrad.compile.strategies import calls
from tapegrad.compile.strategies.samples import SAMPLES
from tapegrad.primitives import arithmetic, comparison, indexing, random, reductions, shaping, structure
from tapegrad.tape import Step, Var

INT, FLOAT, BOOL = np.dtype(np.int64), np.dtype(np.float32), np.dtype(np.bool_)


def constant(value):
    value = np.asarray(value)
    return Step(structure.constant, (), {"value": value}, (Var(value.shape, value.dtype),))


@pytest.mark.parametrize("prim", [*ALWAYS, *RULES], ids=lambda prim: prim.name)
@given(data=st.data())
def test_all_values_are_within(prim, data):
    assert prim in SAMPLES
    call = data.draw(calls(prim))
    steps = [constant(x) if isinstance(x, np.ndarray) else None for x in call.operands]
    inputs = [x if step is None else step.outputs[0] for x, step in zip(call.operands, steps, strict=True)]
    with np.errstate(all="ignore"):
        value = np.asarray(prim.forward(*call.operands, **call.params))
    last = Step(prim, tuple(inputs), call.params, (Var(value.shape, value.dtype),))
    known = intervals([*filter(None, steps), last])[last.outputs[0]]
    assert known is not None or value.dtype.kind not in "biu"
    if known is not None:
        wide = value.astype(np.float64) if value.dtype.kind == "V" else value
        assert ((wide >= known[0]) & (wide <= known[1])).all(), (known, value)


def of(prim, *operands, out=INT, shape=(3,), **params):
    """The interval of a step of operands: literals, or (low, high) of those that are within these bounds."""
    steps, inputs = [], []
    for x in operands:
        steps += [constant(np.array([*x, x[0]]))] if isinstance(x, tuple) else []
        inputs.append(steps[-1].outputs[0] if isinstance(x, tuple) else x)
    last = Step(prim, tuple(inputs), params, (Var(shape, out),))
    return intervals([*steps, last])[last.outputs[0]]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (of(arithmetic.add, (-1, 5), 3), (2, 8)),
        (of(arithmetic.sub, 3, (-1, 5)), (-2, 4)),
        (of(arithmetic.mul, (-2, 5), -3), (-15, 6)),
        (of(arithmetic.mul, (-2, 5), (-7, 1)), (-35, 14)),
        (of(arithmetic.remainder, (-9, 9), 4), (0, 3)),
        (of(arithmetic.remainder, (-9, 9), (-4, -2)), (-3, 0)),
        (of(arithmetic.floor_divide, (-9, 9), 4), (-3, 2)),
        (of(arithmetic.abs_, (-9, 4)), (0, 9)),
        (of(arithmetic.neg, (-9, 4)), (-4, 9)),
        (of(arithmetic.clip, (-9, 4), 0, 3), (0, 3)),
        (of(arithmetic.maximum, (-9, 4), 0), (0, 4)),
        (of(arithmetic.where, (False, True), (-9, 4), 7), (-9, 7)),
        (of(arithmetic.add, (0.0, 1.0), 1.0, out=FLOAT), None),
        (of(comparison.bitwise_and, (-9, 9), 3), (0, 3)),
        (of(comparison.lt, (0, 3), 4, out=BOOL), (1, 1)),
        (of(comparison.lt, (0, 4), 4, out=BOOL), (0, 1)),
        (of(comparison.ge, (0, 3), 4, out=BOOL), (0, 0)),
        (of(comparison.ge, (0.0, np.nan), 0, out=BOOL), (0, 1)),
        (of(comparison.isfinite, (0.0, inf), out=BOOL), (0, 1)),
        (of(comparison.isfinite, (0.0, 9.0), out=BOOL), (1, 1)),
        (of(structure.cast, (-1.5, 2.5), dtype=INT), (-1, 2)),
        (of(structure.cast, (-9, 300), dtype=np.dtype(np.uint8), out=np.dtype(np.uint8)), (0, 255)),
        (of(structure.cast, (2**24, 2**24 + 1), dtype=FLOAT, out=FLOAT), (2**24, 2**24)),
        (of(reductions.reduce_sum, (False, True), axes=(0,), keepdims=False, shape=()), (0, 3)),
        (of(reductions.cumsum, (2, 3), axis=0), (0, 9)),
        (of(reductions.all_, (True, True), axes=(0,), keepdims=False, out=BOOL, shape=()), (1, 1)),
        (of(reductions.argmax, (0.0, np.nan), axis=0, shape=()), (0, 2)),
        (of(indexing.put, (0, 1), (5, 5), (0, 2), axis=0), (0, 5)),
        (of(shaping.concatenate, (0, 1), (5, 7), axis=0, shape=(6,)), (0, 7)),
        (of(random.random_integers, (0, 1), low=-2, span=5, dtype=INT), (-2, 2)),
        (of(random.random_integers, (0, 1), low=2**24, span=4, dtype=FLOAT, out=FLOAT), (2**24, 2**24 + 4)),
        (of(arithmetic.add, (0, 2**62), 2**62), (-(2**63), 2**63 - 1)),
    ],
)
def test_bounds(found, wanted):
    assert found == wanted
