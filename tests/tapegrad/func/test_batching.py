"""Batching rules: of every primitive, for every choice of batched operands, against one call per example."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.compile.strategies import SAMPLES
from tapegrad.compile.strategies.arrays import arrays, is_inexact
from tapegrad.compile.strategies.domains import FINE
from tapegrad.func import vmap
from tapegrad.func.batching import RULES, Batched, batched, example_by_example
from tapegrad.tape import PRIMITIVES, apply

SIZE = 3
WITHOUT_OPERANDS = {"constant", "full", "backward", "jax_call"}
"""They have no tensor operands, or are never applied to a batched tensor as such (JAX's functions: by `jax.vmap`)."""
TOLERANCE = {
    "float16": 4e-3,
    "bfloat16": 3e-2,
    "float32": 5e-6,
    "complex64": 5e-6,
    "float64": 1e-13,
    "complex128": 1e-13,
}

MAPPED = sorted((p for p in SAMPLES if SAMPLES[p].run is None and p.name not in WITHOUT_OPERANDS), key=lambda p: p.name)


def test_every_primitive_has_a_rule():
    without = {p.name for p in PRIMITIVES.values() if not p.elementwise and p not in RULES}
    assert without == WITHOUT_OPERANDS


def test_a_primitive_without_a_rule_is_applied_to_each_example(monkeypatch):
    from tapegrad.primitives.reductions import softmax

    monkeypatch.delitem(RULES, softmax)
    xs = tg.arange(6.0).reshape(3, 2).requires_grad_()
    out = vmap(lambda x: x.softmax(0))(xs)
    np.testing.assert_array_equal(out.detach().numpy(), xs.softmax(1).detach().numpy())
    g = tg.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]])
    (found,), (expected,) = (tg.autograd.grad(f, xs, g) for f in (out, xs.softmax(1)))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6, atol=1e-7)
    assert vmap(lambda x: x.softmax(0))(tg.zeros(0, 2)).shape == (0, 2)


@st.composite
def batches(draw, prim):
    """Calls that differ in the values of their arrays only, and a cotangent for each."""
    sample = SAMPLES[prim]
    layout = sample.layouts[draw(st.integers(0, len(sample.layouts) - 1))]
    calls = [draw(sample.fill(layout)) for _ in range(SIZE)]
    out = calls[0](*calls[0].operands)
    gs = None
    if calls[0].differentiable and is_inexact(np.asarray(out).dtype):
        gs = [draw(arrays(out.dtype, out.shape, FINE)) for _ in range(SIZE)]
    return calls, gs


@pytest.mark.parametrize("prim", MAPPED, ids=lambda p: p.name)
@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_rule_is_one_call_per_example(prim, data):
    calls, gs = data.draw(batches(prim))
    positions = calls[0].tensors
    for count in range(1, len(positions) + 1):
        for mapped in itertools.combinations(positions, count):
            check(calls, gs, set(mapped))


def check(calls, gs, mapped):
    """The batched call, its values and gradients, against the calls one after the other."""
    call, operands = calls[0], whole_operands(calls, mapped)
    flags = tuple(i in mapped for i in range(len(operands)))
    examples = [[o[i] if m else o for o, m in zip(operands, flags, strict=True)] for i in range(SIZE)]
    rows = [call(*example) for example in examples]
    like = rows[0]._array
    out = batched(Batched(call.prim, tuple(operands), flags, call.params, SIZE, like))
    stacked = tg.stack(rows)
    assert out._array.dtype == like.dtype
    assert out._array.shape == (SIZE, *like.shape)
    close(out, stacked)
    assert out.requires_grad == stacked.requires_grad
    if gs is None or not out.requires_grad:
        return
    inputs = [operands[i] for i in call.differentiable]
    g = tg.from_numpy(np.stack(gs))
    found = tg.autograd.grad(out, inputs, g)
    expected = tg.autograd.grad(stacked, inputs, g)
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def whole_operands(calls, mapped):
    """Each operand as a tensor: a batch, or that of the first call."""
    found = []
    for i, operand in enumerate(calls[0].operands):
        if not isinstance(operand, np.ndarray):
            found.append(operand)
            continue
        value = np.stack([c.operands[i] for c in calls]) if i in mapped else operand.copy()
        value.setflags(write=False)
        found.append(tg.from_numpy(value).requires_grad_(i in calls[0].differentiable))
    return found


def close(a, b):
    """Equal but for rounding, which is judged by the largest number: terms may be summed in another order."""
    x, y = a.detach()._array, b.detach()._array
    assert x.dtype == y.dtype
    if x.dtype.kind in "biu":
        np.testing.assert_array_equal(x, y)
        return
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    x, y = x.astype(wide), y.astype(wide)
    tolerance = TOLERANCE[a._array.dtype.name]
    finite = np.abs(y[np.isfinite(y)])
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * max(1.0, finite.max(initial=0)))


@pytest.mark.parametrize("prim", MAPPED, ids=lambda p: p.name)
@settings(max_examples=settings.default.max_examples // 5)
@given(data=st.data())
def test_vmap_of_a_primitive_is_one_call_per_example(prim, data):
    calls, _ = data.draw(batches(prim))
    positions = calls[0].tensors
    mapped = data.draw(st.sets(st.sampled_from(positions), min_size=1))
    dims = [data.draw(st.integers(0, calls[0].operands[i].ndim)) if i in mapped else None for i in positions]
    operands = whole_operands(calls, mapped)
    given_ = [operands[i] if d is None else operands[i].movedim(0, d) for i, d in zip(positions, dims, strict=True)]

    def one(*tensors):
        found = dict(zip(positions, tensors, strict=True))
        return apply(calls[0].prim, tuple(found.get(i, o) for i, o in enumerate(operands)), calls[0].params)

    rows = [one(*[operands[i][k] if i in mapped else operands[i] for i in positions]) for k in range(SIZE)]
    close(vmap(one, tuple(dims))(*given_), tg.stack(rows))


def test_no_examples_give_no_results():
    def check(f, *shapes):
        out = vmap(f)(*[tg.zeros(0, *shape) for shape in shapes])
        assert out.shape == (0, *f(*[tg.zeros(*shape) for shape in shapes]).shape)

    check(lambda x: x.sum(0) + x.mean(1), (2, 2))
    check(lambda a, b: a @ b, (2, 3), (3, 4))
    check(lambda a, i: a[i.long()], (2, 3), (4,))
    check(lambda x: tg.cat([x, x]).cumsum(0).reshape(2, -1).t(), (3,))


def test_example_by_example_of_views():
    xs = tg.arange(24.0).reshape(2, 3, 4)
    from tapegrad.primitives.shaping import permute

    call = Batched(permute, (xs,), (True,), {"axes": (1, 0)}, 2, xs[0].t()._array)
    np.testing.assert_array_equal(example_by_example(call).numpy(), xs.mT.numpy())
