"""Gradients of gradients of complex functions, and of graphs that are complex in part: as PyTorch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases
from .orders import case, expressions, noted

# z and w are complex, x and y real. Gradients are PyTorch's: of a real loss, the direction of steepest ascent, that is
# the conjugate of JAX's.
COMPLEX = """
z * z
z * z * z
z * w
z + w * z
z - w
-z * z
z / w
1 / z
z.reciprocal()
z ** 2
z ** 3
z ** 0.5
z ** w
2 ** z
z ** x
(x * x + 1) ** z
z.exp()
z.log()
z.sqrt()
z.rsqrt()
z.sin()
z.cos()
z.tan()
z.sinh()
z.cosh()
z.tanh()
z.asin()
z.acos()
z.atan()
z.asinh()
z.acosh()
z.atanh()
z.sigmoid()
z.square()
z.conj()
z.conj() * z
z.conj() * z * z
torch.conj(z * w)
z.real
z.imag
torch.real(z) ** 3
torch.imag(z) ** 3
z.real * z.imag
z.real * z
z.imag * w + z
z.abs()
z.abs() ** 3
torch.abs(z) * z
z.abs() * x
(z * w.conj()).abs().sum()
z.sgn()
z.sgn() * w
z.angle()
torch.angle(z) * x
(z * z.conj()).real
(z * z.conj()).real.sqrt()
z * x
z * x * x
x * x * z + y
x / z
z / (x * x + 1)
z + x
x - z * z
z.sum()
(z * z).sum(0)
(z * z).mean()
z.prod()
z.prod(1)
(z * z).cumsum(1)
z.exp().mean(1)
z.T @ z
z @ w.T
z.T.conj() @ z
z.H @ z
z @ y.to(torch.complex128)
z[0].dot(w[1]) * z[1]
z.view(6)[1:] ** 2
z[[0, 0]] * z
torch.cat([z * z, w])
torch.stack([z, w * z])
torch.where(x > 0, z * z, w)
torch.where(x > 0, z * z, x.to(torch.complex128))
z.masked_fill(x > 0, 1j) ** 2
z.to(torch.complex64).to(torch.complex128) ** 2
x.to(torch.complex128) ** 3
(x.to(torch.complex128) * 1j).exp()
(x * 1j).exp()
(x * (1 + 2j)) ** 2
(x + 1j * y).abs()
(x + 1j * y).abs() ** 2
(x + 1j * y).exp().real
(x + 1j * y).log().imag
torch.complex(x, x * x) ** 2
torch.view_as_real(z * z)
torch.view_as_complex(torch.stack([x, x * x], -1)) * z
torch.polar(x * x + 1, x) * z
x.conj() * z
torch.real(x) * z
z.cumprod(1)
z.diag() * w[:, 0]
z.mH @ w
z.adjoint() @ w
z.conj_physical() * z
z.tril() * w
z.roll(1, 1) * w.conj()
z.repeat(2, 1) ** 2
torch.addcmul(z, w, w)
torch.addmm(z, z @ w.mH, w)
torch.lerp(z, w, 0.3) * z
torch.lerp(z, w, z)
z.scatter_add(1, torch.tensor([[0, 0], [1, 0]]), (w * w)[:, 1:]) * z
z.index_add(0, torch.tensor([1, 1]), w * w) * z
torch.add(z, w * w, alpha=1j) * z
z.index_add(0, torch.tensor([1, 1]), w * w, alpha=1j) * z ## differs: PyTorch forgets to conjugate alpha; `torch.add` with alpha does not
z.index_put((torch.tensor([0, 0]), torch.tensor([1, 1])), w[0, :2] ** 2, accumulate=True) * z
torch.xlogy(x, x * x + 1) * z
torch.view_as_real(z).prod(-1) * x ## differs: that derivative is zero, and has no graph here
torch.view_as_complex(torch.view_as_real(z) ** 2) * w
z.sinc()
(z.real.exp() + 1j * z.imag.sin()) * w
(z * 1).mul_(w)
(z * 1).conj().mul_(z)
z.clone().real.mul_(2)
"""
IN_PLACE_COMPLEX = """
u = z * 1; u.real.mul_(x); out = u * z
u = z * 1; u.imag.zero_(); out = u * u
u = z * 1; u[0] = x[1].to(torch.complex128); out = u * z
u = z * 1; u += x; out = u * u
u = z * 1; torch.view_as_real(u)[..., 1] *= x; out = u * z
u = z * 1; u.imag.copy_(x * x); out = u * w
u = z * 1; u.conj().mul_(w); out = u * z ## differs: a conjugate is a copy here, a view in PyTorch
u = z * 1; u.mul_(u.conj()); out = u * w ## differs: as above
u = z * 1; u.T[0] *= x[:, 1]; out = u * w
u = z * 1; u.real = x * x; out = u * w
"""
LOSSES = """
loss = (z * w).abs().square().sum(); loss.backward(); z.grad, w.grad
loss = (z.conj() * z).real.sum(); loss.backward(); z.grad, 2 * z.detach()
loss = (z * x).sum().abs(); loss.backward(); z.grad, x.grad
loss = (z * z).sum(); loss.backward()
loss = (z * z).sum(); loss.backward(torch.tensor(1.0, dtype=torch.complex128)); z.grad
loss = (z * z).sum(); loss.backward(torch.tensor(1.0, dtype=torch.float64)); z.grad
loss = z.abs().sum(); loss.backward(torch.tensor(1j, dtype=torch.complex128)); z.grad
(z.exp().imag).sum().backward(); z.grad
torch.zeros(2, dtype=torch.complex128, requires_grad=True).abs().sum().backward()
o = torch.zeros(2, dtype=torch.complex128, requires_grad=True); o.abs().sum().backward(); o.grad
o = torch.zeros(2, dtype=torch.complex128, requires_grad=True); o.sgn().abs().sum().backward(); o.grad
o = torch.zeros(2, dtype=torch.complex128, requires_grad=True); o.angle().sum().backward(); o.grad
o = torch.tensor([1j, -1.0 + 0j, 2.0], dtype=torch.complex128, requires_grad=True); o.angle().sum().backward(); o.grad, o.angle()
o = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True); o.angle().sum().backward(); o.grad, o.angle()
(g,) = torch.autograd.grad((z * z.conj() * x).real.sum(), z, create_graph=True); pull((g * g.conj()).real.sum(), z, x)
(g,) = torch.autograd.grad((z.abs() ** 3).sum(), z, create_graph=True); h = torch.autograd.grad(g.abs().sum(), z, create_graph=True)[0]; pull(h.real, z)
(g,) = torch.autograd.grad((z * x).abs().sum(), x, create_graph=True); g.dtype, pull(g, x, z)
"""

DESCENT = """
for _ in range(3):
    (g,) = torch.autograd.grad((z.abs() ** 2 - 1).square().sum() + (z * w).real.sum(), z)
    z = (z - 0.01 * g).detach().requires_grad_()
z
"""

BOTH = "x, y, z, w = leaf(2, 3), leaf(3, seed=1), leaf(2, 3, dtype='complex128', seed=2), leaf(2, 3, dtype='complex128', seed=3)"


def test_third_order_of_complex_functions() -> None:
    agree_all(expressions(COMPLEX, BOTH, "z, w, x, y"))


def test_third_order_through_complex_writes_in_place() -> None:
    agree_all(case(BOTH, f"{code}\norders(out, z, w, x, y)", n) for code, n in map(noted, cases(IN_PLACE_COMPLEX)))


@pytest.mark.parametrize("line", cases(LOSSES))
def test_complex_losses(line: str) -> None:
    agree(case(BOTH, *noted(line)))


def test_steepest_descent_of_a_complex_variable() -> None:
    agree(case(BOTH, DESCENT))
