"""Views on tapes: looks and writes through them, as the eager run has them, compiled."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile import lower

# What makes `y` of `x`, a copy of the input.
REAL = """
x.diagonal()
x.diagonal(1, 1, 0)
x.unfold(1, 2, 2)
x.unfold(1, 3, 3)[0].diagonal()
x.as_strided((2, 2), (5, 2), 1)
x.T.as_strided((2, 2), (5, 2), 1)
x.mT.unfold(0, 2, 2)[1:].unsqueeze(0)
x.unflatten(1, (2, 3)).select(1, 0).tensor_split(2)[1]
tg.view_as_complex(x.view(4, 3, 2))[1].imag
"""
COMPLEX = """
x.real
x.imag[1]
tg.view_as_real(x).diagonal(0, 0, 2)
tg.view_as_real(x)[..., 1].T
x.as_strided((2, 2), (2, 1)).real
"""
INPUTS = {
    "real": np.arange(24.0).reshape(4, 6) / 10 - 1,
    "complex": (np.arange(6.0) - 2 + 1j * np.arange(6.0)[::-1]).reshape(2, 3) / 5,
}
CASES = [(kind, look) for kind, looks in (("real", REAL), ("complex", COMPLEX)) for look in looks.split("\n") if look]

WRITES = {
    "to the view": lambda x, y: y.mul_(y.detach().clone() + 2),
    "to the base": lambda x, y: x.mul_(0.5),
    "to both": lambda x, y: (y.mul_(2), x.add_(1), y.copy_(y.detach() * 3)),
}


def run(look, write, a):
    x = a * 1
    y = eval(look, {"tg": tg, "x": x})
    WRITES[write](x, y)
    return (x * x.conj()).real.sum() + ((y * y).real * 3).sum()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("kind", "look"), CASES)
def test_a_recorded_view_is_the_eager_one(kind, look, write):
    a = tg.tensor(INPUTS[kind], requires_grad=True)
    expected = run(look, write, a)
    (gradient,) = tg.autograd.grad(expected, a)
    program = lower(tg.record(lambda a: run(look, write, a), a))
    with jax.enable_x64(True):
        value, pull = jax.vjp(program, INPUTS[kind])
        (compiled,) = pull(np.ones((), value.dtype))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(np.conj(compiled), gradient.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", ["int64", "int32", "uint8", "complex128", "float32"])
def test_memory_as_another_dtype(target):
    def function(x):
        y = x.view(getattr(tg, target))
        z = y.clone()
        y[..., :1] = 0
        return z, x

    before = np.arange(4.0).reshape(2, 2) + 0.1
    x = tg.tensor(before)
    tape = tg.record(function, x)
    z, after = function(tg.tensor(before))
    got = lower(tape)(before)
    np.testing.assert_array_equal(got[0], z.numpy())
    np.testing.assert_array_equal(got[1], after.numpy())
    np.testing.assert_array_equal(got[2], after.numpy())  # what the input was written over with


def test_what_a_tape_cannot_follow_is_refused():
    x = tg.arange(6.0)

    def gaps(x):
        return x.view(2, 3)[:, ::2].as_strided((2,), (1,))

    with pytest.raises(tg.UnsupportedError, match="as_strided"):
        tg.record(gaps, x.clone().requires_grad_())
    assert tg.record(gaps, x).results == 1
    with pytest.raises(tg.UnsupportedError, match=r"\bt_\(\), which changes a tensor's shape in place"):
        tg.record(lambda x: (x * 2).view(2, 3).t_(), x)


def test_jit_refuses_an_offset_that_its_argument_may_not_have_next_time():
    absolute = tg.jit(lambda x: x.as_strided((2,), (1,), 1) * 2)
    with pytest.raises(tg.UnsupportedError, match="storage_offset"):
        absolute(tg.arange(4.0))
    relative = tg.jit(lambda x: x.as_strided((2,), (1,)) * 2)
    x = tg.arange(4.0).reshape(2, 2).clone()
    for argument in (x, x.T, x[1], x[:, 0].clone()):
        assert relative(argument).tolist() == (argument.as_strided((2,), (1,)) * 2).tolist()
    inside = tg.jit(lambda x: (x * 1).as_strided((2,), (1,), 1) * 2)
    assert inside(tg.arange(4.0)).tolist() == [2.0, 4.0]


def test_a_jitted_step_writes_through_views():
    @tg.jit
    def step(w, g):
        w.diagonal().mul_(0.5)
        w.unfold(1, 2, 2)[:, 0].sub_(g)
        return w.diagonal().sum()

    for _ in range(3):
        w = tg.arange(9.0).reshape(3, 3).clone()
        out = step(w, tg.ones(3, 2))
        expected = np.arange(9.0).reshape(3, 3)
        expected[np.diag_indices(3)] *= 0.5
        expected[:, :2] -= 1
        np.testing.assert_allclose(w.numpy(), expected)
        assert out.item() == np.trace(expected)
