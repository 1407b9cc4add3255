"""Gradients of gradients, to third order, through every kind of operation: as PyTorch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases
from .orders import REAL, case, expressions, noted

OF_ONE = """
x + x
x - 2 * x
x * x
x * x * x
x / (x * x + 1)
1 / (x * x + 1)
(x * x + 1).reciprocal()
-x * x
x ** 2
x ** 3
x ** 4
(x * x + 1) ** 0.5
(x * x + 1) ** -1.5
2 ** x
(x * x + 1) ** x
x.square()
x.exp()
x.exp2()
x.expm1()
(x * x + 1).log()
(x * x + 1).log2()
(x * x + 1).log10()
(x * x).log1p()
(x * x + 1).sqrt()
(x * x + 1).rsqrt()
x.sin()
x.cos()
(x / 2).tan()
x.tanh()
x.sinh()
x.cosh()
(x / 3).asin()
(x / 3).acos()
x.atan()
x.asinh()
(x * x + 1.5).acosh()
(x / 3).atanh()
x.erf()
x.sigmoid()
x.relu()
x.relu() * x
x.abs()
x.abs() * x
x.abs() ** 3
x.sign() * x
x.sgn() * x ** 3
x.clamp(-1, 1) * x
x.clamp(min=0) ** 3
x.floor() * x
x.round() * x * x
x.trunc() * x
x.remainder(1.5) * x
x.maximum(x * x)
x.minimum(x * x) * x
torch.where(x > 0, x ** 3, x.sin())
F.softplus(x)
F.softplus(x, 2)
F.gelu(x)
F.gelu(x, approximate="tanh")
F.softmax(x, 1)
F.log_softmax(x, 0)
x.logsumexp(1)
x.logsumexp((0, 1))
x.sum()
(x ** 3).sum(0)
(x ** 3).sum((0, 1), keepdim=True)
(x ** 3).mean()
(x ** 3).mean(1)
x.prod()
x.prod(1)
(x - x[0, 0]).prod(1)
x.var()
x.var(1)
x.std()
x.std(0)
(x ** 3).cumsum(1)
x.cumsum(0) ** 3
(x ** 3).max()
(x ** 3).max(1).values
(x ** 3).amax(0)
(x ** 3).amin()
x.exp().reshape(3, 2)
x.exp().view(6)
x.exp().T
x.exp().mT @ x
x.exp().permute(1, 0)
x.exp().flatten()
x.exp().unsqueeze(0).squeeze()
x.exp()[None].expand(2, 2, 3)
x.exp().broadcast_to((2, 2, 3))
x.exp().flip(0, 1) * x
x.exp().narrow(1, 0, 2)
x.exp().select(0, 1)
x.exp().movedim(0, 1)
x.exp().chunk(2, 1)
x.exp().split(2, 1)
x.exp().unbind(0)
torch.cat([x.exp(), x ** 3])
torch.cat([x, x ** 3], 1)
torch.stack([x, x ** 3, x.sin()], 1)
(x ** 3)[0]
(x ** 3)[:, 1:]
(x ** 3)[..., ::2]
(x ** 3)[[0, 0, 1]]
(x ** 3)[:, torch.tensor([2, 0, 2])] * x
(x ** 3)[x > 0]
(x ** 3).masked_fill(x > 0, 2.0)
(x ** 3).masked_select(x > 0)
(x ** 3).gather(1, torch.tensor([[0, 0], [1, 2]]))
(x ** 3).index_select(1, torch.tensor([2, 0, 2]))
(x ** 3).take(torch.tensor([0, 5, 5]))
x.mm(x.T)
x @ x.T @ x
x.mv(x[0])
x[0].dot(x[1]) ** 2
x[None].bmm(x.T[None])
x.view(2, 1, 3) @ x.view(2, 3, 1)
(x ** 3).clone() * x
(x ** 3).contiguous()
x ** 3 * x.detach()
(x.exp() * 1).mul_(x)
(x.exp() * 1).mul_(x).add_(x ** 2)
(x * 1).exp_() * x
(x * 1).sin_() * x
(x * 1).clamp_(-1, 1).mul_(x)
(x ** 3).to(torch.float32).to(torch.float64) ** 2
x.conj() * x
x.real ** 3
x.clamp_min(0) ** 3
x.clamp_max(0) ** 3
x.float_power(3)
x.frac() * x
x.fmod(1.5) * x
x.deg2rad() ** 2
x.nan_to_num() ** 3
x.copysign(-1.0) * x ## differs: that derivative is zero, and has no graph here
x.sinc()
x.sigmoid().logit() ** 3
x.mul(0.1).sigmoid().logit(0.1) * x
torch.hypot(x, x * x + 1)
x.cumprod(1)
x.cumprod(0) * x ## differs: that derivative is zero, and has no graph here
(x - x[0, 1]).cumprod(1)
x.exp().diag()
x[0].exp().diag()
x[0].exp().diag_embed() @ x[0]
x[0].exp().diagflat()
x.exp().diagonal() * x[:, 0]
x.exp().diagonal(1)
x.exp().tril() * x
x.exp().triu(1)
x.exp().roll(1, 1) * x
x.exp().rot90() ** 2
x.exp().fliplr() * x
x.exp().flipud() * x
x.exp().repeat(2, 1) ** 2
x.exp().repeat_interleave(2, 1) ** 2
x.exp().tile(2) ** 2
x.exp().unfold(1, 2, 1) ** 2
x.exp().unflatten(1, (3, 1)) ** 2
x.exp().tensor_split(2, 1)
x.exp().swapaxes(0, 1) @ x
torch.as_strided(x.exp(), (2, 2), (1, 1)) ** 2
torch.hstack([x, x ** 3])
torch.vstack([x, x ** 3])
torch.dstack([x, x ** 3])
torch.column_stack([x[0], x[1] ** 3])
torch.block_diag(x, x ** 3)
torch.take_along_dim(x ** 3, torch.tensor([[0, 0, 2]]), 1)
torch.meshgrid(x[0] ** 3, x[1].exp(), indexing="ij")
torch.atleast_3d(x ** 3)
torch.concatenate([x.exp(), x ** 3])
x.exp().moveaxis(0, 1) @ x
x.exp().split_with_sizes([1, 2], 1)
x.mH @ x
x.adjoint() @ x ** 2
x.exp().zero_() + x ** 3 ## says: has been modified by an inplace operation
(x + 1).zero_() + x ** 3
"""
IN_PLACE = """
y = x * 1; y[0] = x[1] ** 3; out = y * x
y = x * 1; y[:, 1:] *= x[:, :2]; out = y * y
y = x * 1; y[0].mul_(y[1].clone()); out = y * x
y = x.clone(); y += x * x; y *= y.clone(); out = y
y = x ** 2; z = y.view(6); z[::2] = z[1::2].exp(); out = y * x
y = torch.zeros(2, 3, dtype=torch.float64); y.copy_(x); y.mul_(x); out = y * x
y = x * 1; y.masked_fill_(x > 0, 1.0); out = y ** 3
y = x * 1; y[x > 0] = 0.5; out = y ** 3
y = x * 1; y.relu_(); out = y ** 3
y = x * 1; y.tanh_().mul_(x); out = y ** 2 ## says: is at version 2; expected version 1 instead
y = x * 1; y.tanh_().add_(x.detach() * x); out = y ** 2 ## says: is at version 2; expected version 1 instead
y = (x * 1).tanh(); y = y * 1; y.mul_(x); out = y ** 2
y = x * 1; y.addcmul_(x, x).sigmoid_(); out = y ** 2
y = x * 1; y.index_add_(0, torch.tensor([0, 0]), x ** 2); out = y ** 2
y = x * 1; y.scatter_(1, torch.tensor([[0], [1]]), x[:, :1] ** 2); out = y ** 2
y = x * 1; y.T[0] = x[:, 1] ** 2; out = y ** 2
y = x * 1; y.diagonal().mul_(x[0, :2]); out = y ** 2
y = x * 1; y.transpose_(0, 1); out = y @ x
y = x * 1; y.unsqueeze_(0).exp_(); out = y * x
y = x * 1; y.cumsum_(1); out = y ** 3
y = x * 1; y.lerp_(x ** 2, 0.5); out = y ** 2
y = x * 1; y.tril_(); out = y ** 3
y = x * 1; y.fill_diagonal_(2.0); out = y ** 3
y = x * 1; y.view(6).unfold(0, 2, 2).mul_(3); out = y ** 3
y = x * 1; y.put_(torch.tensor([0]), x[1, :1] ** 2); out = y ** 2
y = x.exp(); y.detach().zero_; out = y * x
"""
OF_TWO = """
x * y
x * x * y
x / (y * y + 1)
(x * x + 1) ** y
torch.atan2(x, y * y + 1)
torch.maximum(x * y, y)
torch.minimum(x * y, y ** 3)
torch.where(x > y, x * y, y ** 3)
torch.add(x, y, alpha=2) ** 3
torch.sub(x, y, alpha=2) ** 3
x @ y
x @ y @ y
x.mv(y.exp()) ** 2
(x * y).exp().sum() * y
x[0].dot(y) ** 2 * x[1]
y @ (x.T @ x) @ y
torch.cat([x, y[None] ** 2]) ** 3
torch.stack([x[0] * y, y ** 3])
x.mul(y).tanh()
F.mse_loss(x, y.expand(2, 3)) ** 2
F.mse_loss(x * x, (y * y).expand(2, 3), reduction="none")
F.linear(x, y[None].exp(), y[:1])
F.cross_entropy(x * y, torch.tensor([0, 2])) ** 2
F.cross_entropy(x, F.softmax(y, 0).expand(2, 3))
F.cross_entropy(x * y, torch.tensor([0, 2]), weight=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), label_smoothing=0.1)
F.nll_loss(F.log_softmax(x * y, 1), torch.tensor([0, 2]))
(x.var(1, keepdim=True) + y * y).rsqrt() * x
(x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-3).sqrt() * y
x * y.detach() + x.detach() * y ** 2
(x.remainder(y * y + 1)) * x
x.fmod(y * y + 1) * x
torch.addcmul(x, x, y, value=0.5) ** 2
torch.addcdiv(x, x * x, y * y + 1, value=0.5) ** 2
torch.addmm(y, x, x.T @ x) ** 2
torch.addmv(y[:2], x, y) ** 2
torch.addr(x, x[:, 0], y) ** 2
torch.addbmm(x, x[None], (x.T @ x)[None]) ** 2
torch.baddbmm(x[None], x[None], (x.T @ x)[None], beta=2, alpha=3)
torch.ger(x[0], y) ** 2
torch.lerp(x, y, 0.3) ** 3
torch.lerp(x, y, x) ** 2
torch.hypot(x, y)
torch.logaddexp(x, y)
torch.logaddexp2(x, y * x)
torch.xlogy(x, y * y + 1)
torch.copysign(x, y) * y ## differs: that derivative is zero, and has no graph here
torch.fmax(x * y, y)
torch.fmin(x * y, y ** 3)
torch.ldexp(x, y)
torch.float_power(x * x + 1, y)
torch.true_divide(x, y * y + 1)
x.index_add(0, torch.tensor([1, 1]), x * y) ** 2
x.index_copy(1, torch.tensor([2, 0]), (x * y)[:, :2]) ** 2
x.index_fill(1, torch.tensor([2]), 3.0) ** 2 * y
x.index_put((torch.tensor([0, 0]), torch.tensor([1, 1])), y[:2], accumulate=True) ** 3
x.index_put((torch.tensor([0, 1]), torch.tensor([1, 2])), y[:2]) ** 3
x.scatter(1, torch.tensor([[0, 2], [1, 0]]), (x * y)[:, 1:]) ** 2
x.scatter_add(1, torch.tensor([[0, 0], [1, 0]]), (x * y)[:, 1:]) ** 2
x.scatter_reduce(1, torch.tensor([[0, 0], [1, 0]]), (x * y)[:, 1:], "sum") ** 2
x.scatter_reduce(1, torch.tensor([[0, 0], [1, 0]]), (x * y)[:, 1:], "mean") ** 2
x.scatter_reduce(1, torch.tensor([[0, 0], [1, 0]]), (x * y)[:, 1:], "prod") ** 2
x.scatter_reduce(1, torch.tensor([[0, 0], [1, 0]]), (x * y)[:, 1:], "amax") ** 2
x.masked_scatter(x > 0, (x * y).flatten()) ** 2
x.put(torch.tensor([0, 5]), y[:2]) ** 3
x.select_scatter(y, 0, 1) ** 3
x.slice_scatter(y[None] ** 2, 0, 1) ** 2
x.diagonal_scatter(y[:2] ** 2) ** 2
torch.block_diag(x, y) ** 3
torch.where(x > 0, x * y, 2.0) ** 2
"""
# Where rules divide by zero, choose or tie
POINTS = "o, i = torch.tensor([0.0, -0.0, 1.0, -1.0, 2.0], dtype=torch.float64).requires_grad_(), leaf(5)"
AT_POINTS = """
o ** 0
o ** 1
o ** 2
o ** 3
o ** 2.5
o ** 0.5
o ** -0.5
o * o * o
o ** torch.tensor([0.0, 1.0, 2.0, 3.0, 1.0], dtype=torch.float64) ## differs: nan in PyTorch, which multiplies the zero exponent by an infinite power
torch.tensor(2.0, dtype=torch.float64) ** o
0 ** o
o.abs()
o.abs() * i
o.abs() ** 2
o.relu() * i
o.relu() ** 3
o.clamp(0, 1) * i
o.clamp(min=-1) ** 2
o.sign() * i
o.maximum(i * 0) * i
o.maximum(o) * i
o.minimum(-o) * i
o.max() * i
o.min() * i
o.amax() * i
o.max(0).values * i
o.prod()
o[1:].prod()
o[2:].prod()
(o * i).prod()
(o + 1).prod()
o.cumsum(0) ** 2
o.sqrt()
o.square().sqrt()
o.log()
o.square().log()
1 / o
o / o
i / o
o.reciprocal()
o.rsqrt()
o.asin()
o.acos()
o.atan2(i)
o.atan2(o) ## differs: nan at the origin in PyTorch, which multiplies zero by the infinite derivative of a reciprocal
o.atan2(o.detach() - 1) * i
o.exp() * i
(o * 1000).sigmoid() * i
(o * 1000).tanh() * i
F.softplus(o * 1000) * i
(o * 1000).logsumexp(0) * i
F.softmax(o * 1000, 0) * i
F.log_softmax(o * 1000, 0) * i
F.gelu(o) * i
(o - o).var()
(o - o).std()
(o - o + 1).var() * i
o.remainder(1) * i
o.square().sum().sqrt() * i
(o * 0).square().sum().sqrt()
torch.where(o != 0, 1 / o, o)
torch.where(o != 0, 1 / torch.where(o != 0, o, 1.0), o)
o.masked_fill(o == 0, 1.0).log() * i
o.masked_fill(o == 0, -inf).exp() * i
o.masked_fill(o == 0, -inf).logsumexp(0) * i
F.softmax(o.masked_fill(o == 0, -inf), 0) * i
torch.atan2(o, o.detach()) * i ## differs: nan at the origin in PyTorch, which multiplies zero by the infinite derivative of a reciprocal
o.erf() * i
o.sinh() * o.cosh()
"""


def test_third_order_of_one() -> None:
    agree_all(expressions(OF_ONE, REAL, "x"))


def test_third_order_of_two() -> None:
    agree_all(expressions(OF_TWO, REAL, "x, y"))


def test_third_order_at_points_where_rules_divide_by_zero_choose_or_tie() -> None:
    agree_all(expressions(AT_POINTS, POINTS, "o, i"))


def test_third_order_through_writes_in_place() -> None:
    agree_all(case(REAL, f"{code}\norders(out, x)", notes) for code, notes in map(noted, cases(IN_PLACE)))
