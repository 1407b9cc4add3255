"""Two of the three ways to the same numbers: the eager tape and numeric differentiation (the third: `compiled`).

Gradients follow PyTorch's convention for complex numbers: that of a real `L` is `dL/dRe + i dL/dIm`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.compile.strategies import arrays, doubled
from tapegrad.compile.strategies.arrays import is_inexact
from tapegrad.compile.strategies.calls import literal
from tapegrad.compile.strategies.domains import FINE

EPS = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Probe:
    """A call, a cotangent of its output and one of each of its gradients."""

    call: object
    g: object
    ws: tuple

    def in_double(self):
        return Probe(self.call.in_double(), doubled(self.g), tuple(map(doubled, self.ws)))

    @property
    def positions(self):
        """Of the operands with a gradient: none if the output is of integers, which have no cotangent."""
        return () if self.g is None else self.call.differentiable

    @property
    def primals(self):
        """The operands with a gradient, then the cotangent: what the gradients are functions of."""
        return [*(self.call.operands[i] for i in self.positions), self.g]

    @property
    def names(self):
        """What the parts of an outcome are called."""
        positions = self.positions
        second = [f"second-order gradient of {i}" for i in (*positions, "g")] if positions else []
        first = [f"gradient of {i}{how}" for how in ("", " with create_graph") for i in positions]
        return ["value", *first, *second]

    def nudged(self, rng, by):
        """The same with every inexact operand wrong by as much, up or down."""

        def moved(x):
            inexact = isinstance(x, np.ndarray) and is_inexact(x.dtype)
            return np.asarray(x + rng.choice([-by, by], x.shape)) if inexact else x

        return replace(self, call=replace(self.call, operands=tuple(map(moved, self.call.operands))))

    def _repr_pretty_(self, printer, cycle):
        parts = [f"g={literal(self.g)}", f"ws=[{', '.join(map(literal, self.ws))}]"]
        printer.text("\n  ".join([repr(self.call), *parts]))


@dataclass(frozen=True, eq=False)
class Outcome:
    """The value, its gradients (once without, once with a graph of their own), and the gradients of
    `sum(Re(conj(w) * gradient))` for the primals of the probe."""

    value: object
    plain: list
    first: list
    second: list

    @property
    def parts(self):
        return [self.value, *self.plain, *self.first, *self.second]


@st.composite
def probes(draw, sample):
    call = draw(sample.calls())
    out = call(*[tensor(o) for o in call.operands]).detach().numpy()
    if not (call.differentiable and is_inexact(out.dtype)):
        return Probe(call, None, ())
    like = [out, *(call.operands[i] for i in call.differentiable)]
    g, *ws = [draw(arrays(array.dtype, array.shape, FINE)) for array in like]
    return Probe(call, g, tuple(ws))


# Eager


def tensor(value, requires_grad=False):
    """A tensor on a read-only copy of an array: whatever writes to it raises. Python scalars stay."""
    if not isinstance(value, np.ndarray):
        return value
    t = tg.from_numpy(value.copy())
    t._array.setflags(write=False)
    return t.requires_grad_(requires_grad)


def eager(probe, by_primitives=False):
    """The outcome by the VJP rules. Where no graph is wanted of them, rules run on bare arrays, by NumPy's operators,
    unless all is to be done by applying primitives."""
    call = probe.call
    operands = [tensor(o, i in probe.positions) for i, o in enumerate(call.operands)]
    out = call(*operands)
    check_alias(call, out, operands)
    if not out.requires_grad:
        return Outcome(out.detach().numpy(), *zeros(probe))
    inputs, g = [operands[i] for i in probe.positions], tensor(probe.g, True)
    plain = tg.autograd.grad(out, inputs, tensor(probe.g), retain_graph=True)
    first = tg.autograd.grad(out, inputs, g, create_graph=True)
    check_kinds(probe, plain, first)
    second = second_order(first, [*inputs, g], [tensor(w) for w in probe.ws], by_primitives)
    second = [np.zeros_like(x) if t is None else t.detach().numpy() for t, x in zip(second, probe.primals, strict=True)]
    plain, first = ([t.detach().numpy() for t in found] for found in (first if by_primitives else plain, first))
    return Outcome(out.detach().numpy(), plain, first, second)


def second_order(first, inputs, ws, create_graph):
    """The gradients of the gradients `first` by `inputs`, None where there are none: those of flat functions, which are
    zeros, depend on nothing."""
    dependent = [(t, w) for t, w in zip(first, ws, strict=True) if t.requires_grad]
    if not dependent:
        return [None] * len(inputs)
    first, ws = zip(*dependent, strict=True)
    return tg.autograd.grad(first, inputs, ws, create_graph=create_graph, allow_unused=True)


def check_kinds(probe, plain, first):
    """Gradients have the shapes and dtypes of their primals, and a graph only if it was asked for."""
    for a, b, x in zip(plain, first, probe.primals, strict=False):
        assert a._array.dtype == b._array.dtype == x.dtype
        assert a._array.shape == b._array.shape == x.shape
        assert not a.requires_grad


def eager_gradients(call, g):
    """The first-order gradients alone, as arrays."""
    operands = [tensor(o, i in call.differentiable) for i, o in enumerate(call.operands)]
    found = tg.autograd.grad(call(*operands), [operands[i] for i in call.differentiable], tensor(g))
    return [t.numpy() for t in found]


def zeros(probe):
    if probe.g is None:
        return (), (), ()
    first = tuple(map(np.zeros_like, probe.primals[:-1]))
    return first, first, tuple(map(np.zeros_like, probe.primals))


def check_alias(call, out, operands):
    """Only views share memory with what they were made from."""
    if not (call.prim.view or call.prim.name in {"stop_gradient", "rebind", "opaque", "barrier"}):
        for operand in operands:
            shared = isinstance(operand, tg.Tensor) and np.shares_memory(out._array, operand._array)
            assert not shared, f"{call.prim.name} returned memory of its input"


# Numeric


def differences(function, primals, cotangents):
    """The gradients of `sum(Re(conj(g) * f))` over `function(*primals)`'s outputs, and a bound of their errors.

    Central differences of steps h and h/2, extrapolated: `(4 D(h/2) - D(h)) / 3`, of which the error is some h^2 of
    the `D(h) - D(h/2)` that is taken for it. Rounding adds, over h, that of the terms of the sum, which come from
    operands and results of a few units: 32 roundings are allowed to each.
    """

    def total(arrays):
        outs = function(*arrays)
        return sum(float(np.sum((np.conj(g) * out).real)) for g, out in zip(cotangents, outs, strict=True))

    outs = function(*primals)
    size = max([1.0, *(float(np.max(np.abs(p))) for p in primals if p.size)])
    terms = sum(float(np.sum(np.abs(g) * (np.abs(out) + size))) for g, out in zip(cotangents, outs, strict=True))
    return [_difference(total, list(primals), position, 32 * EPS * terms) for position in range(len(primals))]


def _difference(total, primals, position, rounding):
    x = primals[position]
    gradient, bound = np.zeros(x.shape, x.dtype), np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        step = 2.0**-12 * (abs(x[at]) or 1.0)
        for direction in (1.0, 1j) if x.dtype.kind == "c" else (1.0,):
            wide, narrow = (_slope(total, primals, position, at, direction, h) for h in (step, step / 2))
            gradient[at] += direction * (4 * narrow - wide) / 3
            bound[at] += abs(wide - narrow) + 4 * rounding / step
    return gradient, bound


def _slope(total, primals, position, at, direction, h):
    def shifted(by):
        x = primals[position].copy()
        x[at] += by * direction
        return total([*primals[:position], x, *primals[position + 1 :]])

    return (shifted(h) - shifted(-h)) / (2 * h)
