"""Every primitive's VJP rules against numeric differentiation in float64, to second order, over generated calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapegrad.compile.strategies import SAMPLES

from .oracles import differences, eager, eager_gradients, probes

NUMERIC = [s for s in SAMPLES.values() if s.numeric and (s.prim.differentiable or s.run is not None)]
SHARP = 1e-4
"""What the error bound of numeric differentiation may be at most, for the comparison to mean something."""


@pytest.mark.parametrize("sample", NUMERIC, ids=lambda sample: sample.prim.name)
@given(data=st.data())
def test_gradients_are_those_of_numeric_differentiation(sample, data):
    probe = data.draw(probes(sample.double), label="probe")
    if probe.g is None:
        return
    found = eager(probe)
    for name, got, (numeric, bound) in zip(probe.names[1:], found.parts[1:], numeric_gradients(probe), strict=True):
        bad = ~(np.abs(got - numeric) <= bound)
        assert not bad.any(), f"{name}: {got[bad]} is not {numeric[bad]}, bound {bound[bad]}, at {np.argwhere(bad)}"
        assert (bound <= SHARP * (1 + np.abs(numeric))).all(), f"{name}: differences too rough to judge by: {bound}"


def numeric_gradients(probe):
    """Of the value by the primitive's forward alone; of the gradients by the rules, once."""

    def value(*xs):
        with np.errstate(all="ignore"):
            return [np.asarray(probe.call.at(xs)(*probe.call.at(xs).operands))]

    def gradients(*xs_and_g):
        *xs, g = xs_and_g
        return eager_gradients(probe.call.at(xs), g)

    first = differences(value, probe.primals[:-1], [probe.g])
    return [*first, *first, *differences(gradients, probe.primals, probe.ws)]
