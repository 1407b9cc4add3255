"""Forward mode, primitive by primitive, over generated calls: tangents against JAX's, against numeric differentiation,
and against the VJP rules, whose adjoint they must be. Then whole transforms, compiled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.autograd import forward_ad as fw
from tapegrad.compile.rules import RULES
from tapegrad.compile.strategies import SAMPLES, arrays, programs
from tapegrad.compile.strategies.arrays import is_inexact
from tapegrad.compile.strategies.domains import FINE
from tapegrad.func import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from tapegrad.tape import PRIMITIVES

from .oracles import tensor
from .test_primitives import spanning

THOROUGH = settings().max_examples > 100
LAYOUTS = 4
"""How many layouts per primitive a quick run tries."""
EXAMPLES = 2


def cases(double):
    for prim, sample in SAMPLES.items():
        if sample.run is not None or not prim.differentiable or prim not in RULES:
            continue
        chosen = sample.double if double else sample
        layouts = chosen.layouts if THOROUGH else spanning(chosen)[:LAYOUTS]
        for number, layout in enumerate(layouts):
            yield pytest.param(chosen.narrowed([layout]), id=f"{prim.name}-{number}")


@st.composite
def pushes(draw, sample):
    """A call, tangents of its differentiable operands (some have none) and a cotangent of its result."""
    call = draw(sample.calls())
    out = call(*call.operands)
    like = [call.operands[i] for i in call.differentiable]
    tangents = [draw(arrays(x.dtype, x.shape, FINE)) for x in like]
    missing = draw(st.sets(st.integers(0, max(len(like) - 1, 0)), max_size=max(len(like) - 1, 0)))
    return call, [None if i in missing else t for i, t in enumerate(tangents)], draw(arrays(out.dtype, out.shape, FINE))


def pushed(call, tangents):
    """The result and its tangent."""
    given = dict(zip(call.differentiable, tangents, strict=True))
    with fw.dual_level():
        operands = [
            fw.make_dual(tensor(o), tg.from_numpy(given[i])) if given.get(i) is not None else tensor(o)
            for i, o in enumerate(call.operands)
        ]
        out = fw.unpack_dual(call(*operands))
    return out.primal.numpy(), None if out.tangent is None else out.tangent.numpy()


def by_jax(call, tangents):
    """The tangent by JAX's own rules for the lowered primitive."""
    given = dict(zip(call.differentiable, tangents, strict=True))
    shape = np.broadcast_shapes(*[np.shape(o) for o in call.operands]) if call.prim.elementwise else None

    def function(*primals):
        found = dict(zip(call.differentiable, primals, strict=True))
        operands = [
            found.get(i, jnp.asarray(o) if isinstance(o, np.ndarray) else o) for i, o in enumerate(call.operands)
        ]
        if shape is not None:  # what on a tape are steps of their own
            dtype = next(p.dtype for p in primals)
            whole = [o if isinstance(o, jax.Array | bool) else jnp.asarray(o, dtype) for o in operands]
            operands = [jnp.broadcast_to(o, shape) for o in whole]
        return RULES[call.prim](*operands, **call.params)

    primals = [jnp.asarray(call.operands[i]) for i in call.differentiable]
    zeros = [
        jnp.zeros_like(p) if given[i] is None else jnp.asarray(given[i]) for i, p in zip(given, primals, strict=True)
    ]
    return np.asarray(jax.jvp(function, primals, zeros)[1])


def by_differences(call, tangents):
    """The slope along the tangents, and a bound of its error."""
    primals = [call.operands[i] for i in call.differentiable]

    def along(h):
        moved = [p if t is None else np.asarray(p + h * t) for p, t in zip(primals, tangents, strict=True)]
        return np.asarray(call.at(moved)(*call.at(moved).operands))

    step = 2.0**-13
    wide, narrow = ((along(h) - along(-h)) / (2 * h) for h in (step, step / 2))
    size = 1 + max([0.0, *(float(np.max(np.abs(x))) for x in (*primals, along(0.0)) if x.size)])
    return (4 * narrow - wide) / 3, np.abs(wide - narrow) + 64 * np.finfo(np.float64).eps * size / step


def inner(a, b):
    """The inner product for which a VJP rule is the adjoint."""
    return float(np.sum((np.conj(a) * b).real))


@pytest.mark.parametrize("sample", list(cases(double=True)))
def test_the_tangent_is_the_jacobian_times_the_tangents(sample):
    @settings(max_examples=settings().max_examples if THOROUGH else EXAMPLES)
    @given(push=pushes(sample))
    def agrees(push):
        call, tangents, g = push
        if not call.differentiable:
            return
        value, tangent = pushed(call, tangents)
        if not is_inexact(value.dtype):
            assert tangent is None
            return
        with jax.enable_x64(True):
            expected = by_jax(call, tangents)
        if tangent is None:
            np.testing.assert_array_equal(expected, np.zeros_like(expected))
            return
        assert (tangent.dtype, tangent.shape) == (value.dtype, value.shape)
        size = 1 + np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        np.testing.assert_allclose(tangent, expected, rtol=1e-10, atol=1e-11 * size)
        check_adjoint(call, tangents, tangent, g)
        if sample.numeric:
            with np.errstate(all="ignore"):
                slope, bound = by_differences(call, tangents)
            assert np.all(np.abs(slope - tangent) <= bound), (tangent, slope, bound)

    agrees()


def check_adjoint(call, tangents, tangent, g):
    """`<g, J t> = <J^T g, t>`."""
    operands = [tensor(o, i in call.differentiable) for i, o in enumerate(call.operands)]
    inputs = [operands[i] for i in call.differentiable]
    grads = tg.autograd.grad(call(*operands), inputs, tensor(g))
    pairs = [(x.numpy(), t) for x, t in zip(grads, tangents, strict=True) if t is not None]
    right = sum(inner(x, t) for x, t in pairs)
    terms = sum(float(np.sum(np.abs(x) * np.abs(t))) for x, t in pairs) + float(np.sum(np.abs(g) * np.abs(tangent)))
    assert abs(inner(g, tangent) - right) <= 1e-12 * (1 + terms)


@pytest.mark.parametrize("sample", list(cases(double=False)))
def test_the_tangent_has_the_dtype_and_shape_of_the_result_and_memory_of_its_own(sample):
    @settings(max_examples=EXAMPLES)
    @given(push=pushes(sample))
    def agrees(push):
        call, tangents, _ = push
        if not call.differentiable:
            return
        value, tangent = pushed(call, tangents)
        if tangent is not None:
            assert (tangent.dtype, tangent.shape) == (value.dtype, value.shape)
            if not call.prim.view:
                assert not any(t is not None and np.shares_memory(t, tangent) for t in tangents)

    agrees()


def test_a_wrong_rule_gives_a_wrong_tangent():
    """The property above can fail: tangents come from the rules, of which JAX knows nothing."""
    sin, x = PRIMITIVES["sin"], tg.tensor([1.0, 2.0], dtype=tg.float64)
    rules, plans = sin.rules, sin.plans
    sin.rules, sin.plans = (lambda g, a: g * a,), {}
    try:
        _, tangent = jvp(tg.sin, (x,), (tg.ones_like(x),))
    finally:
        sin.rules, sin.plans = rules, plans
    assert tangent.tolist() == [1.0, 2.0]


# Whole programs: with views and writes in place


@st.composite
def runs(draw):
    """A program in double precision, two tangents of its inputs, and a cotangent of its result."""
    program = draw(programs(max_steps=20)).in_double()
    out = program(*map(tg.from_numpy, program.inputs)).numpy()
    drawn = [tuple(draw(arrays(x.dtype, x.shape, FINE)) for x in program.inputs) for _ in range(2)]
    return program, *drawn, draw(arrays(out.dtype, out.shape, FINE))


def tensors(arrays):
    return tuple(tg.from_numpy(x.copy()) for x in arrays)


def together(xs, ys):
    """The inner product of two tuples, and a bound of the terms in it."""
    pairs = [(x.numpy() if isinstance(x, tg.Tensor) else x, y) for x, y in zip(xs, ys, strict=True)]
    terms = sum(float(np.sum(np.abs(x * y))) for x, y in pairs)
    return sum(inner(x, y) for x, y in pairs), 1 + terms


def assert_same(a, b):
    (left, one), (right, other) = a, b
    assert abs(left - right) <= 1e-9 * max(one, other), (left, right)


@given(runs())
def test_programs_forward_are_the_adjoint_of_programs_backward(run):
    program, v, _, g = run
    xs = tensors(program.inputs)
    leaves = tuple(x.requires_grad_() for x in tensors(program.inputs))
    plain = tg.autograd.grad(program(*leaves), leaves, tensors((g,)))
    out, tangent = jvp(program, xs, tensors(v))
    assert not out.requires_grad
    assert not tangent.requires_grad
    assert_same(together((tangent,), (g,)), together(plain, v))
    pulled = vjp(program, *tensors(program.inputs))[1](tg.from_numpy(g))
    for a, b in zip(pulled, plain, strict=True):
        assert not a.requires_grad
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert_same(together((linearize(program, *tensors(program.inputs))[1](*tensors(v)),), (g,)), together(plain, v))
    many = vmap(lambda *t: jvp(program, tensors(program.inputs), t)[1])(*[tg.stack([t, 2 * t]) for t in tensors(v)])
    np.testing.assert_allclose(many.numpy(), np.stack([tangent.numpy(), 2 * tangent.numpy()]), rtol=1e-12, atol=1e-12)


@given(runs())
def test_second_derivatives_of_programs_are_the_same_in_either_order(run):
    program, u, v, g = run
    weights = tg.from_numpy(g)
    positions = tuple(range(len(program.inputs)))
    total = lambda *xs: (program(*xs) * weights).sum()  # noqa: E731
    xs = tensors(program.inputs)
    over = jvp(grad(total, argnums=positions), xs, tensors(v))[1]
    under = grad(lambda *a: jvp(total, a, tensors(v))[1], argnums=positions)(*tensors(program.inputs))
    for a, b in zip(over, under, strict=True):
        assert not (a.requires_grad or b.requires_grad)
        size = 1 + np.max(np.abs(a.numpy()), initial=0)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9 * size)
    other = jvp(grad(total, argnums=positions), tensors(program.inputs), tensors(u))[1]
    assert_same(together(over, u), together(other, v))
    twice = jvp(lambda *a: jvp(total, a, tensors(v))[1], tensors(program.inputs), tensors(u))[1]
    assert_same(together((twice,), (np.ones(()),)), together(over, u))


# Transforms inside jit: the tape records what they compute, and the compiled program is checked against the eager run


def _written(a):
    b = a * 1
    b.mul_(b)
    b[0].mul_(b[1])
    return (b.exp() * 1).mul_(a)


TRANSFORMS = {
    "grad": lambda f: grad(lambda a: f(a).sum()),
    "grad of grad": lambda f: grad(lambda a: (grad(lambda b: f(b).sum())(a) * a).sum()),
    "grad_and_value": lambda f: grad_and_value(lambda a: f(a).sum()),
    "vjp": lambda f: lambda a: vjp(f, a)[1](a),
    "jvp": lambda f: lambda a: jvp(f, (a,), (a,)),
    "jvp of jvp": lambda f: lambda a: jvp(lambda b: jvp(f, (b,), (a,))[1], (a,), (a,)),
    "jvp of grad": lambda f: lambda a: jvp(grad(lambda b: f(b).sum()), (a,), (a,)),
    "grad of jvp": lambda f: grad(lambda a: jvp(f, (a,), (a,))[1].sum()),
    "jacrev": jacrev,
    "jacfwd": jacfwd,
    "hessian": lambda f: hessian(lambda a: f(a).sum()),
    "linearize": lambda f: lambda a: linearize(f, a)[1](a),
    "vmap of grad": lambda f: lambda a: vmap(grad(lambda b: f(b).sum()))(tg.stack([a, a * 2])),
    "vmap of jvp": lambda f: lambda a: vmap(lambda b: jvp(f, (b,), (a,)))(tg.stack([a, a * 2])),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_compiled_agree_with_eager(name):
    for f in (lambda a: a.sin() * a, _written):
        transformed = TRANSFORMS[name](f)
        x = tg.tensor([0.5, 1.0, -0.75], dtype=tg.float64)
        expected, compiled = transformed(x), tg.jit(transformed)
        for _ in range(2):  # the second one is compiled
            found = compiled(x)
            flat = [(found, expected)] if isinstance(found, tg.Tensor) else zip(found, expected, strict=True)
            for got, wanted in flat:
                assert not got.requires_grad
                np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-12)
        assert len(compiled.specialisations) == 1


def test_a_jitted_function_inside_a_transform_is_part_of_it():
    cube = tg.jit(lambda a: a**3)
    x = tg.tensor([1.0, 2.0, 3.0])
    cube(x)
    np.testing.assert_allclose(jvp(cube, (x,), (x,))[1].numpy(), [3.0, 24.0, 81.0])
    with fw.dual_level():
        assert fw.unpack_dual(cube(fw.make_dual(x, x))).tangent.tolist() == [3.0, 24.0, 81.0]
