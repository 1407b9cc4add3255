"""gradcheck and gradgradcheck: PyTorch's verdicts, messages and numbers."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad

from .harness import agree, cases

# One row per faulty operation: what it computes, and its backward.
PRELUDE = """
import warnings
check, twice, grad = torch.autograd.gradcheck, torch.autograd.gradgradcheck, torch.autograd.grad
def custom(value, backward, materialize=True):
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *args):
            ctx.save_for_backward(*args)
            ctx.set_materialize_grads(materialize)
            return value(*args)
        @staticmethod
        def backward(ctx, *grads):
            return backward(ctx.saved_tensors, *grads)
    return Custom.apply
def warned(f, *args, **options):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        out = caught(f, *args, **options)
    return out, [(str(w.message), w.category.__name__) for w in seen]
def drifting(seen=[]):
    seen.append(0)
    return 1e-6 * len(seen)
def need(g):
    if g is None: raise RuntimeError("no gradient came")
    return g
def first(gs, f):
    if all(g is None for g in gs): return None
    if sum(g is None for g in gs) == 1: return f(None)
    return sum([(i + 1) * g for i, g in enumerate(gs) if g is not None])
x, y, z, m = leaf(2), leaf(3, seed=1), leaf(2, dtype="complex128"), leaf(2, 3)
one, single = leaf(), leaf(2, dtype="float32")
square = lambda a: a * a
short = custom(lambda a: 2 * a, lambda s, g: 1.5 * g)
swapped = custom(lambda a, b: a * b, lambda s, g: (g * s[0], g * s[1]))
unconjugated = custom(square, lambda s, g: 2 * g * s[0])
conjugated = custom(square, lambda s, g: 2 * g * s[0].conj())
stale = custom(square, lambda s, g: 2 * g * s[0].detach())
unsteady = custom(lambda a: 2 * a, lambda s, g: g * (2 + drifting()))
summed = custom(lambda a: a.sum(), lambda s, g: torch.ones_like(s[0]))
"""

GRADCHECK = """
check(square, x)
check(square, (x,)), check(square, [x]), check(square, one), check(torch.matmul, (m, y))
check(lambda a, b, k: a * b + k, (x, t(2), 3.0))
check(lambda a: (a * 2, a.exp().sum()), x), check(lambda a: [a * 2], x)
check(lambda a: a, x)
check(lambda a, b: a * b, (x, x))
check(square, leaf(0)), check(square, leaf(0), fast_mode=True), check(lambda a: a.sum(0), leaf(0, 3))
check(square, leaf(3, 2).t())
check(lambda a: a[..., 1] * a[..., 0], leaf(2, 2))
check(short, x)
check(short, one)
check(short, m)
check(short, x, raise_exception=False), check(square, x, raise_exception=False)
check(short, x, atol=0.6), check(short, x, rtol=0.3), check(short, x, rtol=0.2, raise_exception=False)
check(short, x, eps=1e-3)
check(lambda a: a * nan, x)
check(lambda a: a * inf, x)
check(swapped, (x, leaf(2, seed=1)))
check(lambda a, b: swapped(a, b.detach()), (x, leaf(2, seed=1)))
check(lambda a: (a * 3, short(a)), x)
check(lambda a, k, b: (a * 3, short(b) * k), (x, 2.0, leaf(2, seed=1)))
type(caught(check, short, x)).__name__
check(summed, x)
check(unsteady, x) ## says: Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values, although analytical gradient matches numerical gradient.The tolerance for nondeterminism was 0.0.
check(unsteady, x, nondet_tol=1e-12) ## says: The tolerance for nondeterminism was 1e-12.
check(unsteady, x, nondet_tol=1e-2), check(unsteady, x, raise_exception=False)
"""

OUTPUTS = """
check(lambda a: a.detach() * 2, x)
check(lambda a: a.detach() * 2, x, fast_mode=True)
check(lambda a: torch.ones(2), x), check(lambda a: torch.ones(2), x, fast_mode=True)
check(lambda a: torch.ones(2, dtype=torch.int64), x)
check(lambda a: (a.detach() * 2, a * 3), x)
check(lambda a: (a * 3, a.detach() * 2), x), check(lambda a: (a * 3, a.detach() * 2), x, fast_mode=True)
check(lambda a: a.max(0), y), check(lambda a: (a.max(0)[0], a.argmax()), y, fast_mode=True)
check(lambda a: (a.argmax(), a * 2), y) ## differs: PyTorch loses count of the outputs after one of integers
check(lambda a: (a * 2, a > 0), y) ## differs: PyTorch subtracts bools
check(lambda a: (a.detach() * 2, a * 3), x, fast_mode=True) ## differs: PyTorch's fast mode takes a constant output for the first that is differentiable
check(lambda a: None, x)
check(lambda a: (a, None), x)
check(lambda a: a[a > 0] * 2, torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True))
check(lambda a: a[a > 0].sum() * 2, torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True))
check(lambda a: a if a[1] > 1 else a.to(torch.complex128), torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True))
check(lambda a: a if a[1] > 1 else a.float(), torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True))
check(lambda a: a[a[:, 0] > 0], torch.tensor([[1.0], [0.0]], dtype=torch.float64, requires_grad=True), fast_mode=True)
check(lambda a: a.float() * 2, x, raise_exception=False), check(lambda a: a.float() * 2, x, eps=1e-2)
"""

INPUTS = """
check(square, t(2))
check(square, 3.0)
check(square, leaf(1).expand(3))
check(square, leaf(2, 1).expand(2, 3))
check(square, leaf(1).expand(1, 1))
check(square, x.double()), check(lambda a: square(a.clone()), x)
warned(check, square, single, raise_exception=False)
warned(check, square, single, atol=0.5)
warned(check, lambda a, b: a * b, (x, single), raise_exception=False)
warned(check, square, leaf(2, dtype="complex64"), raise_exception=False)
[warned(check, square, leaf(3, dtype="float16"), eps=eps, atol=0) for eps in (0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-6)]
[warned(check, square, leaf(3, dtype="bfloat16"), eps=eps, atol=0) for eps in (0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-6)]
warned(check, square, x), warned(check, lambda a, b: a * b, (x, t(2, dtype="float32")))
check(lambda a: a.mul_(2), x)
before = x.detach().clone(); check(square, x); torch.equal(before, x), x.grad, x._version
check(lambda a: [][0], x, raise_exception=False)
"""

ARGUMENTS = """
check(square, x, check_backward_ad=False)
check(square, x, check_backward_ad=False, check_forward_ad=True, check_batched_grad=True)
check(square, x, check_batched_forward_grad=True)
check(square, x, 1e-6) ## class
twice(square, x, check_rev_over_rev=False)
twice(square, x, check_rev_over_rev=False, check_fwd_over_rev=True)
twice(square, x, check_rev_over_rev=False, check_fwd_over_rev=True, check_undefined_grad=False, check_batched_grad=True)
check(square, x, masked=True, check_grad_dtypes=True, check_undefined_grad=False)
check(summed, x, masked=True)
almost = custom(lambda a: 2 * a, lambda s, g: 2 * g + 1e-12); check(almost, x, masked=True, check_undefined_grad=False), check(almost, x, raise_exception=False)
"""

COMPLEX = """
check(square, z), check(lambda a: a.abs(), z), check(lambda a: a * (1 + 2j), x), check(lambda a: a * a.conj(), z)
check(lambda a, b: a * b, (z, x)), check(lambda a: a.real * a.imag, z), check(torch.matmul, (leaf(2, 2, dtype="complex128"), z))
check(square, z, fast_mode=True), check(lambda a: a.abs(), z, fast_mode=True), check(lambda a: a * 1j, x, fast_mode=True)
check(conjugated, z), check(unconjugated, x)
check(unconjugated, z)
check(custom(lambda a: a.real + 0, lambda s, g: g * 1j), z)
check(custom(lambda a: a * 1j, lambda s, g: g.real), x)
check(custom(lambda a: a * 1j, lambda s, g: (g * 1j).real), x)
check(custom(lambda a: a * (1 + 1j), lambda s, g: 2 * g.real + g.imag), x)
check(custom(lambda a: a * (1 + 1j), lambda s, g: g.real + 2 * g.imag), x)
check(lambda a, b: (a * 2, unconjugated(b), a * b), (x, z))
check(lambda a, b: (unconjugated(b).real, b * 2), (x, z))
check(short, z)
check(lambda a: (a.detach() * 2, a * 2), z)
check(lambda a: a.detach() * 1j, x)
check(unconjugated, leaf(dtype="complex128"))
check(unconjugated, z, fast_mode=True)
check(custom(lambda a: a * 1j, lambda s, g: g.real), x, fast_mode=True)
check(custom(lambda a: a.real + 0, lambda s, g: g * 1j), z, fast_mode=True)
"""

FAST = """
check(square, x, fast_mode=True), check(torch.matmul, (m, y), fast_mode=True), check(lambda a: (a * 2, a + 1), m, fast_mode=True)
check(short, one, fast_mode=True)
check(short, x, fast_mode=True)
check(lambda a, b: (a * 2, swapped(a, b)), (x, leaf(2, seed=1)), fast_mode=True)
check(short, x, fast_mode=True, raise_exception=False), check(short, x, fast_mode=True, atol=0.6)
[check(short, x, fast_mode=True, rtol=0, atol=n / 100, raise_exception=False) for n in range(60)]
[check(unconjugated, z, fast_mode=True, rtol=0, atol=n / 10, raise_exception=False) for n in range(60)]
check(custom(lambda a: 2 * a, lambda s, g: g * (3 + drifting())), x, fast_mode=True, nondet_tol=1e-2) ## says: The max per-element difference (slow mode) is: 1.0
v = torch.tensor([4.0, -1.0], dtype=torch.float64); f = custom(lambda a: a * v, lambda s, g: g * (v + 5e-4 * v.abs())); check(f, x), caught(check, f, x, fast_mode=True) ## says: Fast gradcheck failed but element-wise differences are small.
check(custom(lambda a: a * 2, lambda s, g: g * 2 + 1e-4), torch.ones(1, dtype=torch.float64, requires_grad=True), fast_mode=True, rtol=0, atol=9e-5, check_undefined_grad=False)
check(short, torch.ones(2, dtype=torch.float64, requires_grad=True), fast_mode=True, rtol=0.2)
check(unsteady, x, fast_mode=True) ## says: Backward is not reentrant
check(summed, x, fast_mode=True)
torch.set_default_dtype(torch.float64); got = caught(check, short, x, fast_mode=True); torch.set_default_dtype(torch.float32); got
"""

UNDEFINED = """
check(custom(lambda a: (a * 2, a * 3), lambda s, g, h: 2 * g + 3 * h), x)
check(custom(lambda a: (a * 2, a * 3), lambda s, g, h: 2 * g + 3 * h + 1, False), x)
check(custom(lambda a: (a * 2, a * 3), lambda s, g, h: 2 * need(g) + 3 * need(h), False), x)
check(custom(lambda a: a * 2, lambda s, g: 2 * need(g), False), x, check_undefined_grad=False)
check(custom(lambda a: a * 2, lambda s, g: None if g is None else 2 * g, False), x)
check(custom(lambda a: (a[:1] * 2, a[1:] * 3), lambda s, g, h: torch.cat([torch.zeros(1, dtype=torch.float64) if g is None else 2 * g, torch.zeros(1, dtype=torch.float64) if h is None else 3 * h]), False), x)
warned(check, custom(lambda a: (a, a * 2, a * 3), lambda s, *gs: first(gs, need), False), x) ## says: Expected backward function to handle undefined output grads
warned(check, custom(lambda a: (a, a * 2, a * 3), lambda s, *gs: first(gs, lambda g: torch.ones_like(s[0])), False), x) ## says: Expected all input grads to be undefined or zero when all output grads are undefined or zero
warned(check, custom(lambda a: a * 2, lambda s, g: 2 * need(g), False), x, raise_exception=False)
warned(check, custom(lambda a: a * 2, lambda s, g: torch.ones_like(s[0]) if g is None else 2 * g, False), x, raise_exception=False)
check(custom(lambda a: a * 2, lambda s, g: 2 * g, False), x)
"""

GRADGRADCHECK = """
twice(square, x), twice(square, x, fast_mode=True), twice(square, x, t(2)), twice(square, (x,), (leaf(2, seed=3),))
twice(lambda a: 2 * a, x), twice(lambda a, b: a * b, (x, t(2))), twice(lambda a: (a * a, a ** 3), x)
twice(square, m, gen_non_contig_grad_outputs=True), twice(square, one, gen_non_contig_grad_outputs=True)
seen = []; f = custom(square, lambda s, g: (seen.append(g.is_contiguous()), 2 * g * s[0])[1]); twice(f, m), False in seen, twice(f, m, gen_non_contig_grad_outputs=True), False in seen
seen = []; f = custom(square, lambda s, g: (seen.append(g.detach()), 2 * g * s[0].conj())[1]); twice(f, z); bool((seen[0].imag != 0).all()), bool((seen[0].real.abs() < 1).all())
twice(square, z), twice(lambda a: a.abs(), z), twice(square, z, fast_mode=True), twice(lambda a, b: a * b, (z, x))
twice(lambda a: (a.detach(), a * a), x)
check(stale, x), twice(stale, x, raise_exception=False), twice(stale, x, fast_mode=True, raise_exception=False)
twice(stale, x, t(2, seed=3))
twice(stale, x, leaf(2, seed=3))
twice(stale, z, t(2, dtype="complex128", seed=3))
twice(stale, x, t(2, seed=3), fast_mode=True)
twice(short, x)
twice(swapped, (x, y[:2].detach()), leaf(2, seed=3))
twice(lambda a: a.relu(), x)
twice(square, x, (None,))
twice(square, t(2))
twice(lambda a: a.detach(), x) ## differs: PyTorch loses count of no cotangents, and calls the function without arguments
twice(custom(square, lambda s, g: 2 * g.detach() * s[0]), x, leaf(2, seed=3))
warned(twice, square, single, raise_exception=False)
"""

BATCHED = """
check(square, x, check_batched_grad=True), check(lambda a, b: (a * b, a * 1j), (x, leaf(2, seed=1)), check_batched_grad=True)
check(lambda a, b: a * 2, (x, y), check_batched_grad=True), twice(square, x, check_batched_grad=True)
check(short, x, check_batched_grad=True)
"""

FORWARD = """
check(square, x, check_forward_ad=True), check(lambda a, b: (a.sum() * b, a.exp()), (x, y), check_forward_ad=True)
check(square, x, check_forward_ad=True, fast_mode=True), check(lambda a, b: (a.sum() * b, a.exp()), (x, y), check_forward_ad=True, fast_mode=True)
check(square, z, check_forward_ad=True), check(lambda a: a.abs(), z, check_forward_ad=True, check_grad_dtypes=True)
check(lambda k, a, b: a * b * k, (3.0, z, x), check_forward_ad=True), check(lambda a: a * (1 + 2j), x, check_forward_ad=True)
check(lambda k, a, b: a * b * k, (3.0, z, x), check_forward_ad=True, fast_mode=True)
check(square, x, check_forward_ad=True, check_backward_ad=False), check(lambda a: torch.ones(2), x, check_forward_ad=True)
check(lambda a: a * 2 + a.detach() / 2, x, check_forward_ad=True, check_backward_ad=False)
check(lambda a: a * 2 + a.detach() / 2, x, check_forward_ad=True, check_backward_ad=False, fast_mode=True)
check(lambda a, b: (a * 2, b * 3 + b.detach()), (x, y), check_forward_ad=True, check_backward_ad=False)
check(lambda a: a * 2j + a.detach(), x, check_forward_ad=True, check_backward_ad=False)
check(lambda a, b: (a * 2, b * 3 + b.detach()), (x, z), check_forward_ad=True, check_backward_ad=False) ## says: While considering the imaginary part of complex inputs only, Jacobian computed with forward mode mismatch for output 1 with respect to input 1,
check(lambda a, b: b * 3 + b.detach() + a.sum(), (x, z), check_forward_ad=True, check_backward_ad=False) ## says: While considering the imaginary part of complex inputs only, Jacobian computed with forward mode mismatch for output 0 with respect to input 1,
check(short, x, check_forward_ad=True, check_backward_ad=False) ## class
twice(lambda a: a ** 3, x, check_fwd_over_rev=True), twice(lambda a: a ** 3, z, check_fwd_over_rev=True, fast_mode=True)
check(lambda a: (a.detach() * 2, a * 3), x, check_forward_ad=True) ## differs: PyTorch takes the tangent of a constant output for that of the first that is differentiable
"""

BATCHED_FORWARD = """
check(lambda a, b, k: (a * a, a * b * k), (x, z, 3), check_forward_ad=True, check_batched_forward_grad=True)
check(lambda a, b: (a.argmax(), a * 2), (x, y), check_forward_ad=True, check_batched_forward_grad=True) ## differs: PyTorch loses count of the outputs after one of integers
"""


def grads_are_batched() -> bool:
    x = tapegrad.ones(1, requires_grad=True)
    try:
        return bool(tapegrad.autograd.grad(x * 2, x, tapegrad.ones(2, 1), is_grads_batched=True))
    except tapegrad.UnsupportedError:
        return False


@pytest.mark.parametrize("case", cases(GRADCHECK + OUTPUTS + INPUTS + ARGUMENTS + COMPLEX + FAST))
def test_gradcheck_is_pytorchs(case: str) -> None:
    agree(PRELUDE + case)


@pytest.mark.parametrize("case", cases(UNDEFINED))
def test_undefined_gradients(case: str) -> None:
    agree(PRELUDE + case)


@pytest.mark.parametrize("case", cases(GRADGRADCHECK))
def test_gradgradcheck_is_pytorchs(case: str) -> None:
    agree(PRELUDE + case)


@pytest.mark.skipif(not grads_are_batched(), reason="grad(is_grads_batched=True) is not there yet")
@pytest.mark.parametrize("case", cases(BATCHED))
def test_batched_gradients(case: str) -> None:
    agree(PRELUDE + case)


@pytest.mark.parametrize("case", cases(FORWARD))
def test_forward_mode(case: str) -> None:
    agree(PRELUDE + case)


@pytest.mark.parametrize("case", cases(BATCHED_FORWARD))
def test_batched_tangents(case: str) -> None:
    agree(PRELUDE + case)
