"""Gradients of gradients as programs take them: mixed, through training steps, custom functions and hooks."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases
from .orders import REAL, case, noted

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
