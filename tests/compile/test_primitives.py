"""Every primitive, over generated calls: eager against compiled against numeric differentiation, to second order."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapegrad.compile.rules import INTERPRETED, RULES
from tapegrad.compile.strategies import SAMPLES
from tapegrad.tape import PRIMITIVES

from .compiled import compiled
from .oracles import eager, probes
from .rounding import check, spreads

EVERY = pytest.mark.parametrize("sample", SAMPLES.values(), ids=[prim.name for prim in SAMPLES])
THOROUGH = settings().max_examples > 100
COMPILATIONS = 16
"""How many programs per primitive a quick run compiles."""
ROUNDS = 3
"""How many calls of each a quick run draws, the first of them with the simplest values."""


@functools.cache
def rounds(sample):
    """The samples of which each example draws a call: in a quick run, one for each of a few layouts that together
    have as many of the dtypes, shapes, parameters and literals as they can; in a thorough one, one for them all."""
    if THOROUGH:
        return [sample]
    left = random.Random(sample.prim.name).sample(sample.layouts, len(sample.layouts))
    seen, chosen = set(), []
    while left and len(chosen) < COMPILATIONS:
        best = max(left, key=lambda layout: len(features(layout) - seen))
        seen |= features(best)
        chosen.append(best)
        left.remove(best)
    return [sample.narrowed([layout]) for layout in chosen]


def features(layout):
    """What a layout is a case of."""
    found = {("parameter", name, repr(value)) for name, value in layout.params.items()}
    for position, operand in enumerate(layout.operands):
        found |= {(position, repr(getattr(operand, name, operand))) for name in ("dtype", "shape")}
    dtypes = [getattr(value, "dtype", value) for value in (*layout.operands, *layout.params.values())]
    kinds = [d.kind.replace("V", "f").replace("u", "i") for d in dtypes if isinstance(d, np.dtype)]
    return {*found, ("kinds", *kinds)}


def test_the_tables_are_complete():
    assert set(SAMPLES) == set(PRIMITIVES.values())
    assert set(RULES) | set(INTERPRETED) == set(PRIMITIVES.values())
    assert not set(RULES) & set(INTERPRETED)


def test_each_operand_of_a_primitive_has_a_rule_or_none():
    for prim, sample in SAMPLES.items():
        if prim.variadic is None and sample.run is None:
            assert all(len(layout.operands) == len(prim.operands) for layout in sample.layouts), prim


@EVERY
@settings(max_examples=settings().max_examples if THOROUGH else ROUNDS)
@given(data=st.data())
def test_compiled_agrees_with_eager(sample, data):
    for each in rounds(sample):
        probe = data.draw(probes(each), label="probe")
        truth, spread = spreads(probe)
        for how, outcome in (("eager", eager(probe)), ("compiled", compiled(probe))):
            for name, got, true, wide in zip(probe.names, outcome.parts, truth, spread, strict=True):
                check(f"{how} {name}", got, true, wide)
