"""Every primitive, over generated calls: eager against compiled against numeric differentiation, to second order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings

from tapegrad.compile.rules import INTERPRETED, RULES
from tapegrad.compile.strategies import SAMPLES
from tapegrad.tape import PRIMITIVES

from .compiled import compiled
from .oracles import eager, probes
from .rounding import check, spreads

THOROUGH = settings().max_examples > 100
COMPILATIONS = 16
"""How many programs per primitive a quick run compiles."""
EXAMPLES = 3
"""How many calls of each a quick run draws, the first with the simplest values."""


def cases():
    """The samples to draw calls from, with ids. In a quick run, for each primitive one for each of a few layouts that
    together have as many of the dtypes, shapes, parameters and literals as they can."""
    for prim, sample in SAMPLES.items():
        if THOROUGH:
            yield pytest.param(sample, id=prim.name)
            continue
        for number, layout in enumerate(spanning(sample)):
            yield pytest.param(sample.narrowed([layout]), id=f"{prim.name}-{number}")


def spanning(sample):
    """A few layouts, each chosen for what it has that those before had not."""
    left = random.Random(sample.prim.name).sample(sample.layouts, len(sample.layouts))
    featured = {layout: features(layout) for layout in left}
    seen, chosen = set(), []
    while featured and len(chosen) < COMPILATIONS:
        best = max(featured, key=lambda layout: len(featured[layout] - seen))
        seen |= featured.pop(best)
        chosen.append(best)
    return chosen


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


@pytest.mark.parametrize("sample", list(cases()))
def test_compiled_agrees_with_eager(sample):
    # A function of its own for each case: hypothesis nests the settings of a function anew each time it is run.
    @settings(max_examples=settings().max_examples if THOROUGH else EXAMPLES)
    @given(probe=probes(sample))
    def agrees(probe):
        truth, spread = spreads(probe)
        for how, outcome in (("eager", eager(probe)), ("compiled", compiled(probe))):
            for name, got, true, wide in zip(probe.names, outcome.parts, truth, spread, strict=True):
                check(f"{how} {name}", got, true, wide)

    agrees()
