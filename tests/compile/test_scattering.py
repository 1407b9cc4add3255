"""What writes by index, in place or into `out`, compiled: the same values and gradients as eager."""

import numpy as np
import pytest

import tapegrad as tg

WRITES = (
    "y = tg.index_put(a, (i,), b, True)",
    "y = tg.scatter(a, 1, j, b)",
    'y = tg.scatter_reduce(a, 1, j, b, "prod")',
    'y = tg.scatter_reduce(a, 1, j, b, "amax", include_self=False)',
    'y = tg.index_reduce(a, 0, i, b, "mean")',
    "y = tg.masked_scatter(a, a.detach() > 0, b)",
    "y = tg.cumprod(a, 1) + tg.fmod(a, b) + tg.hypot(a, b) + tg.copysign(a, b)",
    "z = tg.complex(a, b * b); y = z.angle() + tg.polar(a * a, b).angle() + a.angle() + (z * tg.polar(a, b)).real",
    "y = tg.addmm(a[:, :2], a, b.T, beta=0.5) @ tg.lerp(a, b, 0.3)",
    "y = a * 1; y.index_add_(0, i, b); y.lerp_(b, b.sigmoid()); y.tril_()",
    "y = a * 1; y.cumprod_(1); y[i] = b; y.fill_diagonal_(3); y.logit_(0.1)",
    "y = a * 1; y.eq_(b); y += a; y.masked_scatter_(b.detach() > 0, b)",
    "y = a * 1; tg.exp(b.detach(), out=y.detach())",
    "y = tg.zeros(2, 3, dtype=tg.float64); tg.add(a.detach(), 1, out=y); y = y * b",
)


def operands(seed):
    rng = np.random.default_rng(seed)
    a, b = (tg.tensor(rng.normal(size=(2, 3))).requires_grad_() for _ in range(2))
    return a, b, tg.tensor([1, 0]), tg.tensor([[0, 0, 2], [1, 1, 1]])


@pytest.mark.parametrize("line", WRITES)
def test_compiled_as_eager(line):
    scope = {"tg": tg}
    exec(f"def step(a, b, i, j):\n    {line}\n    (y * y).sum().backward()\n    return y", scope)
    fast = tg.jit(scope["step"])
    for seed in range(3):
        results = []
        for run in (scope["step"], fast):
            a, b, *indices = operands(seed)
            out = run(a, b, *indices)
            results.append([x if x is None else x.detach().numpy() for x in (out, a.grad, b.grad)])
        for eager, compiled in zip(*results, strict=True):
            assert (eager is None) == (compiled is None)
            if eager is not None:
                np.testing.assert_allclose(compiled, eager, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("line", ["x.resize_(7)", "x.apply_(abs)", "x.set_()", "tg.exp(x, out=tg.empty(0))"])
def test_what_a_tape_cannot_say_is_refused(line):
    scope = {"tg": tg}
    exec(f"def step(x):\n    {line}\n    return x", scope)
    x = tg.ones(3)
    with pytest.raises(tg.UnsupportedError, match="not supported while recording"):
        tg.jit(scope["step"])(x)
    assert x.tolist() == [1, 1, 1]
