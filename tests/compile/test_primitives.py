"""Every primitive, over generated calls: eager against compiled against numeric differentiation, to second order."""

from __future__ import annotations

import functools
import random

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
COMPILATIONS = 12
"""How many programs per primitive a quick run compiles."""


@functools.cache
def few(sample):
    """The sample, in a quick run narrowed to a few layouts that have all its dtypes."""
    if THOROUGH:
        return sample
    groups = {}
    for layout in random.Random(sample.prim.name).sample(sample.layouts, len(sample.layouts)):
        dtypes = tuple(getattr(operand, "dtype", None) for operand in layout.operands)
        groups.setdefault(dtypes, []).append(layout)
    ranked = [(rank, str(dtypes), layout) for dtypes, group in groups.items() for rank, layout in enumerate(group)]
    return sample.narrowed([layout for _, _, layout in sorted(ranked, key=lambda entry: entry[:2])][:COMPILATIONS])


def test_the_tables_are_complete():
    assert set(SAMPLES) == set(PRIMITIVES.values())
    assert set(RULES) | set(INTERPRETED) == set(PRIMITIVES.values())
    assert not set(RULES) & set(INTERPRETED)


def test_each_operand_of_a_primitive_has_a_rule_or_none():
    for prim, sample in SAMPLES.items():
        if prim.variadic is None and sample.run is None:
            assert all(len(layout.operands) == len(prim.operands) for layout in sample.layouts), prim


@EVERY
@given(data=st.data())
def test_compiled_agrees_with_eager(sample, data):
    probe = data.draw(probes(few(sample)), label="probe")
    truth, spread = spreads(probe)
    for how, outcome in (("eager", eager(probe)), ("compiled", compiled(probe))):
        for name, got, true, wide in zip(probe.names, outcome.parts, truth, spread, strict=True):
            check(f"{how} {name}", got, true, wide)
