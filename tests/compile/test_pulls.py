"""The rules that run as part of a tape are compared with JAX's, one by one."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.compile.lower import lower_flat
from tapegrad.compile.pulls import compare_pulls, pulled_vars
from tapegrad.compile.replay import replay
from tapegrad.compile.strategies import SAMPLES, arrays, calls
from tapegrad.compile.strategies.arrays import is_inexact
from tapegrad.compile.strategies.domains import FINE
from tapegrad.compile.verify import check
from tapegrad.errors import CheckError
from tapegrad.primitives import analytic
from tapegrad.tape.primitive import Primitive

from .oracles import tensor
from .recorded import leaf

PARTS = 6
DIFFERENTIABLE = [prim for prim, sample in SAMPLES.items() if prim.differentiable and sample.run is None]


def rules_of(tape):
    runs = [replay(tape, tape.values, seed, pulled_vars(tape)) for seed in (None, *range(8))]
    return compare_pulls(tape, runs)


def checked(function, *args):
    """The report of the check of a function's tape."""
    results = []

    def recorded(*args):
        results.append(function(*args))
        return results[0]

    tape = tg.record(recorded, *args)
    values = [np.array(v) for v in tape.values]
    with jax.enable_x64(True):
        compiled = [np.asarray(x) for x in jax.jit(lower_flat(tape))(*values)]
    grads = [args[position].grad for position in tape.grads]
    eager = [t._array for t in (*([results[0]] if tape.results else []), *grads)]
    return check(tape, values, eager, compiled, [f"output {i}" for i in range(len(eager))])


def hooked(x):
    y = x * 2
    y.register_hook(lambda g: g * 3)
    (y.sin() * y).sum().backward()


def test_right_rules_pass_and_are_reported():
    report = checked(hooked, leaf(0.5, 1.5, dtype=tg.float32))
    assert [c.name.split()[4] for c in report.rules] == ["reduce_sum", "mul", "mul", "sin", "mul"]
    assert report.worst <= 1
    assert "5 gradients by rules" in str(report)
    report.raise_if_failed()


def test_a_wrong_rule_fails_the_check(monkeypatch):
    wrong = Primitive("wrong_sin", analytic.sin.forward, a=lambda g, a: g * analytic.cos(a) * 1.001)
    from tapegrad.compile.rules import RULES
    from tapegrad.tape import PRIMITIVES

    monkeypatch.setitem(RULES, wrong, RULES[analytic.sin])
    del PRIMITIVES["wrong_sin"]

    def function(x):
        y = wrong(x * 2)
        y.register_hook(lambda g: g * 3)
        (y * y).sum().backward()

    report = checked(function, leaf(0.5, 1.5, dtype=tg.float32))
    assert all(c.fraction <= 1 for c in report.comparisons)  # both sides run the wrong rule
    with pytest.raises(CheckError, match=r"gradient rule of wrong_sin \(test_pulls.py:\d+\), which runs as part"):
        report.raise_if_failed()


def test_rules_of_complex_numbers_pass():
    def function(x):
        y = x * (2 + 1j)
        y.register_hook(lambda g: g * 1j)
        (y * y.exp()).abs().sum().backward()

    report = checked(function, leaf(0.5 + 1j, -1j, dtype=tg.complex128))
    assert len(report.rules) >= 5
    assert report.worst <= 1


def test_without_user_code_there_is_nothing_to_compare():
    assert checked(lambda x: x.sin().sum().backward(), leaf(1.0)).rules == []


def test_overwritten_data_is_left_out():
    def function(x):
        y = x * 2
        z = y * y
        z.register_hook(lambda g: g * 3)
        y.data = y.data * 5
        z.sum().backward()

    tape = tg.record(function, leaf(1.0, 2.0))
    assert [pull.step.prim.name for pull in tape.pulls] == ["reduce_sum", "mul"]
    assert all(c.fraction <= 1 for c in rules_of(tape))


def test_a_written_value_is_the_one_that_the_rule_saw():
    def function(x):
        y = x * 2
        y.register_hook(lambda g: g * 3)
        y.mul_(x)
        y[0] = 3
        (y * y).sum().backward()

    tape = tg.record(function, leaf(0.5, 1.0))
    assert len(tape.pulls) > 3
    assert all(c.fraction <= 1 for c in rules_of(tape))


@pytest.mark.parametrize("first", range(PARTS))
@settings(max_examples=1)
@given(data=st.data())
def test_no_false_alarm_for_any_primitive(first, data):
    prims = DIFFERENTIABLE[first::PARTS]
    drawn = [data.draw(calls(prim)) for prim in prims]
    probes = [probe for call in drawn if (probe := _Hooked(call)).differentiable]
    gs = [tg.from_numpy(data.draw(arrays(p.like.dtype, p.like.shape, FINE))) for p in probes]

    def function(tensors):
        for probe, operands, g in zip(probes, tensors, gs, strict=True):
            y = probe(operands)
            y.register_hook(lambda g: g * 1)
            y.backward(g)

    tape = tg.record(function, [probe.tensors for probe in probes])
    assert [pull.step.prim for pull in tape.pulls] == [probe.call.prim for probe in probes]
    for comparison in rules_of(tape):
        assert comparison.fraction <= 1, comparison


class _Hooked:
    """A call, with its operands as tensors."""

    def __init__(self, call):
        self.call = call
        self.tensors = [tensor(call.operands[i], i in call.differentiable) for i in call.tensors]
        out = self(self.tensors)
        self.like = out._array
        self.differentiable = out.requires_grad and is_inexact(out._array.dtype)

    def __call__(self, tensors):
        found = dict(zip(self.call.tensors, tensors, strict=True))
        return self.call(*[found.get(i, operand) for i, operand in enumerate(self.call.operands)])
