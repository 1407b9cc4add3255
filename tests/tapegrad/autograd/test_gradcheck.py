"""gradcheck and gradgradcheck: they pass every primitive's rules, and none of the wrong ones planted here."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad
from tapegrad.autograd import gradcheck, gradgradcheck
from tapegrad.autograd.gradcheck import GradcheckError
from tapegrad.compile.strategies import SAMPLES
from tapegrad.compile.strategies.calls import Arg
from tapegrad.primitives import analytic, arithmetic, linalg, reductions, shaping
from tapegrad.primitives.structure import stop_gradient

from ...examples import blocks, check

CHECKED = [s for s in SAMPLES.values() if s.numeric and (s.prim.differentiable or s.run is not None)]
LAYOUTS = 9
"""How many of a primitive's layouts are tried."""


def layouts(sample):
    """Some of those in double precision, spread over the table."""
    found = [layout for layout in sample.double.layouts if any(map(is_wanted, layout.operands))]
    return found[:: max(1, len(found) // LAYOUTS)][:LAYOUTS]


def is_wanted(operand):
    return isinstance(operand, Arg) and operand.dtype.kind in "fc"


def filled(operand, rng):
    """A tensor for an operand that is an array; it requires grad if it can. Python scalars stay."""
    if not isinstance(operand, Arg):
        return operand
    table, size = operand.domain.table(operand.dtype), int(np.prod(operand.shape))
    values = rng.choice(table, size, replace=not operand.unique).reshape(operand.shape)
    return tapegrad.from_numpy(values).requires_grad_(is_wanted(operand))


def problems(sample):
    """Functions and the arguments to check them at."""
    rng = np.random.default_rng(0)
    for layout in layouts(sample):
        operands = tuple(filled(operand, rng) for operand in layout.operands)
        yield called(sample, layout.params), operands


def called(sample, params):
    run = sample.run or sample.prim
    return lambda *operands: run(*operands, **params)


@pytest.mark.parametrize("sample", CHECKED, ids=lambda sample: sample.prim.name)
def test_primitives_pass(sample):
    for function, operands in problems(sample):
        assert gradcheck(function, operands, fast_mode=True)
        ahead = sample.run is None  # else it takes gradients inside, of a detached input
        assert gradcheck(function, operands, check_forward_ad=ahead, check_batched_forward_grad=ahead)
        if function(*operands).requires_grad:
            assert gradgradcheck(function, operands, fast_mode=True, check_fwd_over_rev=ahead)
            if sum(o.numel() for o in operands if isinstance(o, tapegrad.Tensor)) < 8:
                assert gradgradcheck(function, operands)


# Wrong rules: of which primitive, the operand's position, the rule, and whether it is the second order that is wrong.
PLANTED = {
    "a factor forgotten": (arithmetic.pow_scalar, 0, lambda g, a, exponent: g * a ** (exponent - 1), False),
    "a sign": (analytic.cos, 0, lambda g, a: g * analytic.sin(a), False),
    "another operand": (arithmetic.mul, 1, lambda g, b: g * b, False),
    "a conjugate forgotten": (arithmetic.mul, 0, lambda g, b: g * b, False),
    "a conjugate too many": (arithmetic.conj, 0, lambda g: g, False),
    "no gradient": (analytic.sin, 0, lambda g: 0 * g, False),
    "an offset": (analytic.exp, 0, lambda g, out: g * out + 1e-3, False),
    "slightly off": (analytic.tanh, 0, lambda g, out: g * (1.01 - out * out), False),
    "a mean for a sum": (
        reductions.reduce_sum, 0,
        lambda g, in_shape, axes, keepdims: shaping.broadcast_to(
            g if keepdims else shaping.reshape(g, shape=_kept(in_shape, axes)), shape=in_shape
        ) / max(1, int(np.prod([in_shape[axis] for axis in axes]))), False,
    ),
    "not transposed": (linalg.matmul, 0, lambda g, a: 0 * a + 1.0, False),
    "a constant where the input should be": (analytic.sin, 0, lambda g, a: g * analytic.cos(stop_gradient(a)).conj(), True),
    "a constant where the output should be": (analytic.exp, 0, lambda g, out: g * stop_gradient(out).conj(), True),
    "a constant denominator": (arithmetic.reciprocal, 0, lambda g, a: -g / stop_gradient(a * a).conj(), True),
}  # fmt: skip


def _kept(shape, axes):
    return tuple(1 if axis in axes else n for axis, n in enumerate(shape))


@pytest.fixture(params=PLANTED)
def planted(request, monkeypatch):
    prim, position, rule, second = PLANTED[request.param]
    rules = list(prim.rules)
    rules[position] = rule
    monkeypatch.setattr(prim, "rules", tuple(rules))
    monkeypatch.setattr(prim, "plans", {})
    return SAMPLES[prim], second


def test_planted_rules_fail(planted):
    sample, second = planted
    some = list(problems(sample))
    for fast_mode in (False, True):
        first = [gradcheck(f, operands, raise_exception=False, fast_mode=fast_mode) for f, operands in some]
        assert all(first) if second else not all(first)
        if second:
            again = [gradgradcheck(f, operands, raise_exception=False, fast_mode=fast_mode) for f, operands in some]
            assert not all(again)


def test_fast_mode_and_slow_mode_agree(planted):
    """On what the planted rules spoil and on what they do not."""
    sample, _ = planted
    for f, operands in problems(sample):
        slow, fast = (gradcheck(f, operands, raise_exception=False, fast_mode=fast_mode) for fast_mode in (False, True))
        assert slow == fast


@pytest.mark.parametrize("fast_mode", [False, True])
def test_inputs_are_restored_when_the_function_raises(fast_mode):
    x = tapegrad.tensor([0.1, 0.2], dtype=tapegrad.float64, requires_grad=True)
    before, calls = x.detach().clone(), []

    def function(x):
        calls.append(x)
        if len(calls) == 4:
            raise KeyError("in the middle")
        return x * x

    with pytest.raises(KeyError):
        gradcheck(function, x, fast_mode=fast_mode)
    assert tapegrad.equal(x, before)


def test_memory_is_what_is_perturbed():
    """The function may read what it differentiates elsewhere: through a view, or as a tensor it holds."""
    base = tapegrad.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=tapegrad.float64)
    x = base[:, ::2].detach().requires_grad_()
    assert gradcheck(lambda x: x * x, x)
    with pytest.raises(GradcheckError, match="mismatch"):
        gradcheck(lambda x: x * base[:, ::2], x)
    w = tapegrad.ones(2, dtype=tapegrad.float64, requires_grad=True)
    assert gradcheck(lambda _: w.exp(), w)


def test_the_number_of_outputs_must_stay():
    x = tapegrad.tensor([0.0], dtype=tapegrad.float64, requires_grad=True)
    with pytest.raises(AssertionError, match=r"the same number of outputs .* \(0,\) by 1e-06, but got: 1 and 2"):
        gradcheck(lambda x: (x, x * 2) if x > 0 else (x,), x)


def test_a_function_of_the_grad_mode():
    x = tapegrad.ones(2, dtype=tapegrad.float64, requires_grad=True)
    with tapegrad.no_grad(), pytest.raises(GradcheckError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda x: x * 2, x)


def test_compiled_functions():
    x = tapegrad.tensor([0.5, -1.0], dtype=tapegrad.float64, requires_grad=True)
    w = tapegrad.tensor([2.0, 3.0], dtype=tapegrad.float64, requires_grad=True)
    # What an undefined gradient becomes would be asked of a compiled call, which has no graph; the first call has.
    assert gradcheck(tapegrad.jit(lambda x, w: (x * w).tanh()), (x, w), check_undefined_grad=False)


def test_recording_is_refused():
    def function(x):
        return x * gradcheck(lambda x: x * x, x)

    x = tapegrad.ones(2, dtype=tapegrad.float64, requires_grad=True)
    with pytest.raises(tapegrad.UnsupportedError, match=r"gradcheck\(\)"):
        tapegrad.record(function, x)


def test_draws_leave_the_users_generator_alone():
    x = tapegrad.ones(3, dtype=tapegrad.float64, requires_grad=True)
    tapegrad.manual_seed(0)
    before = tapegrad.rand(3)
    tapegrad.manual_seed(0)
    gradcheck(lambda x: x * x, x, fast_mode=True)
    assert tapegrad.equal(before, tapegrad.rand(3))


def test_sixteen_bits():
    """Far too few for differences of the usual step, but nothing breaks, and wide steps do."""
    for dtype in (tapegrad.float16, tapegrad.bfloat16):
        x = tapegrad.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        for fast_mode in (False, True):
            with pytest.warns(UserWarning, match="not a double precision"):
                assert gradcheck(lambda x: x * 2, x, eps=0.25, atol=0.1, fast_mode=fast_mode)


EXAMPLES = """
# a wrong backward
>>> class Double(torch.autograd.Function):
...     @staticmethod
...     def forward(ctx, x): return 2 * x
...     @staticmethod
...     def backward(ctx, g): return 1.5 * g
>>> x = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
>>> torch.autograd.gradcheck(Double.apply, x, raise_exception=False)
False
>>> try: torch.autograd.gradcheck(Double.apply, x)
... except RuntimeError as error: print(type(error).__name__); print(str(error).rstrip())
GradcheckError
Jacobian mismatch for output 0 with respect to input 0,
numerical:tensor([[2.0000, 0.0000],
        [0.0000, 2.0000]], dtype=torch.float64)
analytical:tensor([[1.5000, 0.0000],
        [0.0000, 1.5000]], dtype=torch.float64)

# fast mode draws what PyTorch draws
>>> class Double(torch.autograd.Function):
...     @staticmethod
...     def forward(ctx, x): return 2 * x
...     @staticmethod
...     def backward(ctx, g): return 1.5 * g
>>> x = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
>>> try: torch.autograd.gradcheck(Double.apply, x, fast_mode=True)
... except RuntimeError as error: print(*[line[:21] for line in str(error).splitlines()[:3]], sep=chr(10))
Jacobian mismatch for
numerical:1.844718626
analytical:1.38353896

# what is asked for must be something
>>> torch.autograd.gradcheck(torch.exp, torch.ones(2, dtype=torch.float64))
Traceback (most recent call last):
ValueError: gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True.
>>> torch.autograd.gradcheck(torch.exp, torch.ones(1, requires_grad=True, dtype=torch.float64).expand(2))
Traceback (most recent call last):
RuntimeError: The 0th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping...

# cotangents are drawn, or given
>>> x = torch.ones(2, dtype=torch.float64, requires_grad=True)
>>> torch.autograd.gradgradcheck(torch.exp, x), torch.autograd.gradgradcheck(torch.exp, x, torch.ones(2, dtype=torch.float64))
(True, True)
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
