"""Gradients of gradients, to third order, through every kind of operation, real and complex: as PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

# `orders` gives the value and the gradients of all orders up to the third, each unevenly weighted. The row ends with
# gradients that depend on nothing.
SETUP = """
def graphs(gs): return [g for g in gs if g is not None and g.requires_grad]
def orders(out, *xs, order=3):
    found, last = [out], [out] if isinstance(out, torch.Tensor) else list(out)
    for k in range(order):
        last = graphs(last)
        if not last: return [*found, *["ends"] * (order - k)]
        last = pull(last, *xs, seed=10 * k, create_graph=True)[1]
        found.append(last)
    return found
"""

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
x.relu() ## differs: that derivative is zero, and has no graph here
x.relu() * x ## differs: that derivative is zero, and has no graph here
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
(x.remainder(y * y + 1)) * x ## differs: that derivative is zero, and has no graph here
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
o ** 2.5 ## differs: PyTorch takes the power -0.5 for rsqrt, which is -inf at -0; C's pow is inf
o * o * o
o ** torch.tensor([0.0, 1.0, 2.0, 3.0, 1.0], dtype=torch.float64) ## differs: nan in PyTorch, which multiplies the zero exponent by an infinite power
torch.tensor(2.0, dtype=torch.float64) ** o
0 ** o
o.abs()
o.abs() * i ## differs: zeros here where PyTorch has None
o.abs() ** 2
o.relu() * i ## differs: that derivative is zero, and has no graph here
o.relu() ** 3
o.clamp(0, 1) * i
o.clamp(min=-1) ** 2
o.sign() * i ## differs: the derivative, which is zero, has a graph here
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
o.atan2(o)
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
torch.atan2(o, o.detach()) * i ## differs: nan at the origin
o.erf() * i
o.sinh() * o.cosh()
"""
MIXED = """
(gx,) = torch.autograd.grad((x ** 2 * y).sum(), x, create_graph=True); pull(gx, x, y)
(gx,) = torch.autograd.grad((x ** 2 * y).sum(), x, create_graph=True); (gxy,) = torch.autograd.grad(gx.sum(), y, create_graph=True); pull(gxy, x, y)
gx, gy = torch.autograd.grad((x @ y).exp().sum(), (x, y), create_graph=True); pull((gx @ gy).sin(), x, y)
gx, gy = torch.autograd.grad((x * y).sum(), (x, y), create_graph=True); gx.requires_grad, gy.requires_grad, pull(gx.sum() * gy.sum(), x, y)
(g,) = torch.autograd.grad(x.sum(), x, create_graph=True); g
(g,) = torch.autograd.grad((x * 2).sum(), x, create_graph=True); g.requires_grad
(g,) = torch.autograd.grad((x * x).sum(), x); g.requires_grad
(g,) = torch.autograd.grad((x * x).sum(), x); g.sum().backward()
(g,) = torch.autograd.grad((x * x).sum(), x, retain_graph=True); g.requires_grad
(g,) = torch.autograd.grad((x * x).sum(), x, create_graph=True); torch.autograd.grad(g.sum(), y)
(g,) = torch.autograd.grad((x * x).sum(), x, create_graph=True); torch.autograd.grad(g.sum(), y, allow_unused=True)
(g,) = torch.autograd.grad((x * x).sum(), x, create_graph=True); torch.autograd.grad(g.sum(), y, materialize_grads=True)
(g,) = torch.autograd.grad((x ** 3).sum(), x, create_graph=True); g.sum().backward(); x.grad
(g,) = torch.autograd.grad((x ** 3).sum(), x, create_graph=True); g.sum().backward(); g.sum().backward()
(g,) = torch.autograd.grad((x ** 3).sum(), x, create_graph=True, retain_graph=False); g.sum().backward()
(g,) = torch.autograd.grad((x * 3).sum(), x, create_graph=True, retain_graph=False); g.requires_grad
out = (x ** 3).sum(); (g,) = torch.autograd.grad(out, x, create_graph=True); out.backward(); g.sum().backward()
out = (x ** 3).sum(); (g,) = torch.autograd.grad(out, x, create_graph=True); out.backward(retain_graph=True); g.sum().backward(); x.grad
out = (x ** 3).sum(); out.backward(create_graph=True); g = x.grad; x.grad = None; g.sum().backward(); x.grad
out = (x ** 3).sum(); out.backward(create_graph=True); x.grad.requires_grad, x.grad.is_leaf
out = (x ** 3).sum(); out.backward(create_graph=True); out.backward(create_graph=True); pull(x.grad, x)
v = leaf(2, 3, seed=9); (g,) = torch.autograd.grad(x.exp(), x, v, create_graph=True); pull(g, x, v)
v = leaf(2, 3, seed=9); (g,) = torch.autograd.grad(x * 2, x, v, create_graph=True); pull(g, v)
v = leaf(2, 3, seed=9); (g,) = torch.autograd.grad(x * 2, x, v); g.requires_grad
v = leaf(3, seed=9); (g,) = torch.autograd.grad(x.sum(0), x, v, create_graph=True); pull(g, v)
m = x * y; (g,) = torch.autograd.grad((m ** 3).sum(), m, create_graph=True); pull(g, m, x, y)
m = x * y; g, h = torch.autograd.grad((m ** 3).sum(), (m, x), create_graph=True); pull(g * h, m, x, y)
torch.set_grad_enabled(False); z = (x * x).sum(); z.requires_grad
with torch.no_grad(): (g,) = torch.autograd.grad((x * 1).sum(), x, create_graph=True)
out = (x ** 3).sum(); g = torch.autograd.grad(out, x, create_graph=True)[0]; h = torch.autograd.grad(g.sum(), x, create_graph=True)[0]; k = torch.autograd.grad(h.sum(), x, create_graph=True)[0]; g, h, k, k.requires_grad
a, b = torch.autograd.grad((x @ y).sum() ** 3, (x, y), create_graph=True); (a.sum() * b.sum()).backward(); x.grad, y.grad
x[0].exp().sum().backward(create_graph=True); x.grad.requires_grad, pull(x.grad, x)
p = x[:, 0] * x[:, 1]; (g,) = torch.autograd.grad(p.prod(), x, create_graph=True); orders(g, x) ## differs: that derivative is zero, and has no graph here
"""

TRAINING = """
# Gradient penalty
w1, w2 = leaf(3, 4, seed=2), leaf(4, seed=3)
critic = lambda z: (z @ w1).tanh() @ w2
scores = critic(x)
(g,) = torch.autograd.grad(scores, x, torch.ones_like(scores), create_graph=True)
penalty = ((g.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
pull(scores.mean() + 10 * penalty, w1, w2, x)

# One inner step of MAML, differentiated through
w = leaf(3, seed=2)
inner = ((x @ w - 1) ** 2).mean()
(g,) = torch.autograd.grad(inner, w, create_graph=True)
fast = w - 0.1 * g
outer = ((x @ fast - y[:2]) ** 2).mean()
outer.backward()
w.grad, x.grad, y.grad

# Three inner steps, with a learned rate
w, rate = leaf(3, seed=2), torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
fast = w
for _ in range(3):
    loss = ((x @ fast).tanh() - 0.5).square().sum()
    (g,) = torch.autograd.grad(loss, fast, create_graph=True)
    fast = fast - rate * g
pull(fast.square().sum(), w, rate, x)

# First-order MAML
w = leaf(3, seed=2)
(g,) = torch.autograd.grad(((x @ w) ** 2).mean(), w)
fast = w - 0.1 * g
pull((x @ fast).exp().sum(), w, x)

# Hessian-vector products, two ways
loss = (x.exp() @ y).square().sum()
gx, gy = torch.autograd.grad(loss, (x, y), create_graph=True)
vx, vy = t(2, 3, seed=5), t(3, seed=6)
backward = torch.autograd.grad((gx * vx).sum() + (gy * vy).sum(), (x, y), retain_graph=True)
weighted = torch.autograd.grad((gx, gy), (x, y), (vx, vy))
backward, weighted

# The whole Hessian, row by row
(g,) = torch.autograd.grad(((x * x) @ y).prod(), y, create_graph=True)
torch.stack([torch.autograd.grad(g[i], y, retain_graph=True)[0] for i in range(3)])

# Newton's method
z = leaf(3, seed=4)
for _ in range(4):
    (g,) = torch.autograd.grad(((z - y.detach()) ** 4 + z ** 2).sum(), z, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), z)
    z = (z - g / h).detach().requires_grad_()
z

# Double backward with accumulation into leaves
loss = (x @ y).tanh().sum()
loss.backward(create_graph=True)
first = x.grad.detach().clone()
(x.grad.square().sum() + y.grad.square().sum()).backward()
first, x.grad.detach(), y.grad.detach()

# The graph of a gradient under no_grad
out = (x ** 3).sum()
with torch.no_grad():
    (g,) = torch.autograd.grad(out, x, create_graph=True)
pull(g, x)

# A jvp by two backwards
v = torch.zeros(2, dtype=torch.float64, requires_grad=True)
(g,) = torch.autograd.grad((x.exp() @ y), x, v, create_graph=True)
torch.autograd.grad(g, v, t(2, 3, seed=8))

# An ordinary differential equation's loss, by unrolled steps, to second order
state, k = y, x.sum() / 10
for _ in range(4):
    state = state + 0.1 * (k * state).sin()
orders(state, x, y, order=2)

# A gradient flows through an optimiser's momentum
w, m = leaf(3, seed=2), torch.zeros(3, dtype=torch.float64)
fast = w
for _ in range(2):
    (g,) = torch.autograd.grad(((x @ fast) ** 2).sum(), fast, create_graph=True)
    m = 0.9 * m + g
    fast = fast - 0.01 * m / (m.square().mean().sqrt() + 1e-8)
pull(fast, w, x)
"""

FUNCTIONS = """
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a ** 3
    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return 3 * a ** 2 * g
orders(Cube.apply(x), x)

class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        out = a.exp()
        ctx.save_for_backward(out)
        return out
    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out
orders(Exp.apply(x), x)

class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b, a + b
    @staticmethod
    def backward(ctx, g, h):
        a, b = ctx.saved_tensors
        return (g * b + h), (g * a + h).sum(0)
orders(Product.apply(x * x, y.exp()), x, y)

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a ** 3
    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return a.sin() * g
orders(Wrong.apply(x * 2), x)

class Nested(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a.sin()
    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return NestedBackward.apply(a, g)
class NestedBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, g):
        ctx.save_for_backward(a, g)
        return a.cos() * g
    @staticmethod
    def backward(ctx, gg):
        a, g = ctx.saved_tensors
        return -a.sin() * g * gg, a.cos() * gg
orders(Nested.apply(x), x)

class Detached(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a ** 3
    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return (3 * a ** 2).detach() * g
orders(Detached.apply(x), x)

class Attribute(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, k):
        ctx.k = k
        return a * k
    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None
orders(Attribute.apply(x ** 2, 3.0), x)

class Modes(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        log.append(torch.is_grad_enabled())
        ctx.save_for_backward(a)
        return a ** 3
    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        log.append((torch.is_grad_enabled(), g.requires_grad, a.requires_grad))
        return 3 * a ** 2 * g
log = []
(g,) = torch.autograd.grad(Modes.apply(x).sum(), x, create_graph=True)
torch.autograd.grad(g.sum(), x)
torch.autograd.grad(Modes.apply(x).sum(), x)
log

class Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        with torch.enable_grad():
            ctx.a = a.detach().requires_grad_()
            ctx.out = ctx.a.exp().sum()
        return ctx.out.detach()
    @staticmethod
    def backward(ctx, g):
        return torch.autograd.grad(ctx.out, ctx.a, g, retain_graph=True)[0]
orders(Inner.apply(x), x)

class Separate(torch.autograd.Function):
    @staticmethod
    def forward(a, b):
        return a * b ** 2
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b ** 2, (2 * g * a * b).sum(0)
orders(Separate.apply(x.exp(), y), x, y)

class SeparateOutput(torch.autograd.Function):
    @staticmethod
    def forward(a):
        return a.tanh()
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)
    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * (1 - out ** 2)
orders(SeparateOutput.apply(x), x)

class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a ** 3
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return 3 * a ** 2 * g
(g,) = torch.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
torch.autograd.grad(g.sum(), x)

class OnceFine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a ** 3
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return 3 * a ** 2 * g
torch.autograd.grad(OnceFine.apply(x).sum(), x)
"""

HOOKS = """
seen = []; z = x * y; z.register_hook(lambda g: (seen.append(g), g * y)[1]); orders(z.exp(), x, y), len(seen), seen[0].requires_grad
z = x ** 3; x.register_hook(lambda g: g * x); (g,) = torch.autograd.grad(z.sum(), x, create_graph=True); pull(g, x)
z = x * x; z.retain_grad(); (z ** 2).sum().backward(create_graph=True); pull(z.grad, x)
"""

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
z.angle() ## differs: there is no angle yet
torch.angle(z) * x ## differs: there is no angle yet
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
torch.complex(x, x * x) ** 2 ## differs: there is no complex yet
torch.view_as_real(z * z)
torch.view_as_complex(torch.stack([x, x * x], -1)) * z
torch.polar(x * x + 1, x) * z ## differs: there is no polar yet
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
o = torch.zeros(2, dtype=torch.complex128, requires_grad=True); o.angle().sum().backward(); o.grad ## differs: there is no angle yet
o = torch.tensor([1j, -1.0 + 0j, 2.0], dtype=torch.complex128, requires_grad=True); o.angle().sum().backward(); o.grad, o.angle() ## differs: there is no angle yet
o = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True); o.angle().sum().backward(); o.grad, o.angle() ## differs: there is no angle yet
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

REAL = "x, y = leaf(2, 3), leaf(3, seed=1)"
BOTH = "x, y, z, w = leaf(2, 3), leaf(3, seed=1), leaf(2, 3, dtype='complex128', seed=2), leaf(2, 3, dtype='complex128', seed=3)"


def case(tensors: str, code: str, notes: str = "") -> str:
    return f"{SETUP}{tensors}\n{code} ## " + " | ".join(note for note in ("unnamed", "loose", notes) if note)


def noted(line: str) -> tuple[str, str]:
    code, _, notes = line.partition(" ## ")
    return code, notes


def expressions(table: str, tensors: str, inputs: str) -> Iterator[str]:
    for line in cases(table):
        code, notes = noted(line)
        yield case(tensors, f"orders({code}, {inputs})", notes)


def test_third_order_of_one() -> None:
    agree_all(expressions(OF_ONE, REAL, "x"))


def test_third_order_of_two() -> None:
    agree_all(expressions(OF_TWO, REAL, "x, y"))


def test_third_order_at_points_where_rules_divide_by_zero_choose_or_tie() -> None:
    agree_all(expressions(AT_POINTS, POINTS, "o, i"))


def test_third_order_through_writes_in_place() -> None:
    agree_all(case(REAL, f"{code}\norders(out, x)", notes) for code, notes in map(noted, cases(IN_PLACE)))


@pytest.mark.parametrize("line", cases(MIXED))
def test_mixed_orders(line: str) -> None:
    agree(case(REAL, *noted(line)))


@pytest.mark.parametrize("code", [part.strip("\n") for part in TRAINING.split("\n\n")])
def test_training(code: str) -> None:
    agree(case(REAL, code))


@pytest.mark.parametrize("code", cases(FUNCTIONS, blocks=True))
def test_custom_functions(code: str) -> None:
    agree(case(REAL, code))


def test_hooks() -> None:
    agree_all(case(REAL, *noted(line)) for line in cases(HOOKS))


def test_third_order_of_complex_functions() -> None:
    agree_all(expressions(COMPLEX, BOTH, "z, w, x, y"))


def test_third_order_through_complex_writes_in_place() -> None:
    agree_all(case(BOTH, f"{code}\norders(out, z, w, x, y)", n) for code, n in map(noted, cases(IN_PLACE_COMPLEX)))


@pytest.mark.parametrize("line", cases(LOSSES))
def test_complex_losses(line: str) -> None:
    agree(case(BOTH, *noted(line)))


def test_steepest_descent_of_a_complex_variable() -> None:
    agree(case(BOTH, DESCENT))
