"""`torch.func.vmap`: values, gradients, in-place writes and errors, as PyTorch's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad.func  # noqa: E402, F401

from .harness import agree, cases  # noqa: E402

VALUES = """
vmap = torch.func.vmap; vmap(lambda x: x * 2 + x.sum())(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x, y: x @ y)(t(3, 4), t(3, 4, seed=1))
vmap = torch.func.vmap; vmap(torch.mm)(t(3, 4, 2), t(3, 2, 5))
vmap = torch.func.vmap; vmap(torch.mv, in_dims=(None, 0))(t(4, 2), t(3, 2))
vmap = torch.func.vmap; vmap(torch.dot, in_dims=(1, 0))(t(4, 3), t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=1)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=-1, out_dims=-1)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: (x, x * 2), out_dims=(0, 1))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: {"a": x, "b": [x + 1]}, out_dims={"a": 1, "b": 0})(t(3, 2))
vmap = torch.func.vmap; vmap(lambda d, k: d["a"] * d["b"] * k, in_dims=({"a": 0, "b": None}, None))({"a": t(3, 2), "b": t(2)}, 2.0)
vmap = torch.func.vmap; vmap(lambda d: d[0] * d[1])([t(3, 2), t(3, 2, seed=1)])
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2))(t(3, 2))
vmap = torch.func.vmap; out = vmap(lambda x: torch.ones(2))(t(3, 2)); out.stride()
vmap = torch.func.vmap; vmap(lambda x: (x, torch.ones(2)), out_dims=(0, None))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: 3, out_dims=None)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x, y=None: x * y)(t(3, 2), y=t(2, seed=1))
vmap = torch.func.vmap; x = t(3, 2); vmap(lambda x: x)(x) is x
vmap = torch.func.vmap; x = t(3, 2); vmap(lambda x: x.detach())(x)
vmap = torch.func.vmap; vmap(lambda x: x, out_dims=(1,))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: [])(t(3, 2))
vmap = torch.func.vmap; vmap(vmap(lambda x, y: x * y.sum(), (0, None)), (0, None))(t(2, 3, 4), t(4))
vmap = torch.func.vmap; vmap(vmap(lambda x: x.softmax(0), 1, 1), 1, 2)(t(2, 3, 4))
vmap = torch.func.vmap; vmap(lambda x: x * 2, chunk_size=2)(t(5, 2))
vmap = torch.func.vmap; vmap(lambda x: (x * 2, x.sum()), out_dims=(1, 0), chunk_size=3)(t(5, 2))
vmap = torch.func.vmap; vmap(lambda x: x * 2)(t(0, 3))
vmap = torch.func.vmap; f = lambda x: x; g = vmap(f); g.__name__
vmap = torch.vmap; vmap(lambda x: x * 2)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x.t().reshape(-1)[1:3].flip(0))(t(2, 3, 4))
vmap = torch.func.vmap; vmap(lambda x: torch.stack([x.amax(0), x.std(0), x.cumsum(0)[1]]))(t(2, 3, 4))
vmap = torch.func.vmap; vmap(lambda x: torch.where(x > 0, x, -x).argmax())(t(2, 3))
vmap = torch.func.vmap; vmap(lambda x: x.float() * torch.tensor(2, dtype=torch.float64))(t(2, 3))
vmap = torch.func.vmap; vmap(lambda x: x + torch.tensor([1], dtype=torch.float64))(torch.tensor([1.0, 2.0]))
vmap = torch.func.vmap; vmap(lambda x: x.unsqueeze(0).expand(2, 3).diagonal())(t(2, 3))
vmap = torch.func.vmap; vmap(lambda x: x.unfold(0, 2, 1).sum(1))(t(2, 4))
vmap = torch.func.vmap; vmap(lambda x: (x.real, x.imag.sum(), x.abs(), torch.view_as_real(x)))(t(2, 3, dtype="complex128"))
vmap = torch.func.vmap; vmap(lambda x, i: x[i])(t(3, 4), torch.tensor([0, -1, 2]))
vmap = torch.func.vmap; vmap(lambda x, i: x[i])(t(3, 4), torch.tensor([[0, 1], [2, 2], [-1, 0]]))
vmap = torch.func.vmap; vmap(lambda x, i: x[i], (None, 0))(t(3, 4), torch.tensor([0, -1, 2]))
vmap = torch.func.vmap; vmap(lambda x, i: x[:, i])(t(2, 3, 4), torch.tensor([[0, 1], [2, 3]]))
vmap = torch.func.vmap; vmap(lambda x, i: x.gather(0, i))(t(3, 4), torch.tensor([[0, 1], [2, 2], [3, 0]]))
vmap = torch.func.vmap; vmap(lambda x, i: x.index_select(0, i), (0, None))(t(3, 4), torch.tensor([0, 1]))
vmap = torch.func.vmap; vmap(lambda x, i: x.scatter(0, i, 9.0))(t(3, 4), torch.tensor([[0, 1], [2, 2], [3, 0]]))
vmap = torch.func.vmap; vmap(lambda x, i: x.index_add(0, i, x[:2]), (0, None))(t(3, 4), torch.tensor([0, 1]))
vmap = torch.func.vmap; vmap(lambda x, y: F.cross_entropy(x, y))(t(3, 4), torch.tensor([0, 3, 1]))
vmap = torch.func.vmap; vmap(lambda x, y: F.cross_entropy(x, y, reduction="sum"))(t(2, 3, 4), torch.tensor([[0, 3, 1], [1, 1, 2]]))
vmap = torch.func.vmap; vmap(lambda x, y: F.nll_loss(x, y, ignore_index=1))(t(2, 3, 4), torch.tensor([[0, 3, 1], [1, 1, 2]]))
vmap = torch.func.vmap; vmap(F.linear, (0, None, None))(t(3, 4), t(2, 4), t(2))
vmap = torch.func.vmap; vmap(lambda x: ((x - x.mean()) ** 2).mean())(t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: (x.shape, x.ndim, x.numel(), x.dtype, x.requires_grad, x.is_leaf, x.grad_fn is None)[-1] and x)(leaf(3, 4))
vmap = torch.func.vmap; seen = []; vmap(lambda x: seen.append((tuple(x.shape), x.stride(), len(x), x.is_contiguous())) or x, in_dims=1)(t(3, 4)); seen
vmap = torch.func.vmap; vmap(lambda x: sum(x))(t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: torch.zeros_like(x).add_(x))(t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: x.new_zeros(4).add_(x))(t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: x.new_full((4,), 2.0).mul_(x))(t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: torch.full_like(x, 2).add_(x))(t(3, 4))
vmap = torch.func.vmap; vmap(lambda x: torch.as_tensor(x))(t(3, 4))
vmap = torch.func.vmap; seen = []; vmap(lambda x: seen.append(repr(x)) or x)(t(3, 2)); seen
vmap = torch.func.vmap; seen = []; vmap(vmap(lambda x: seen.append(str(x)) or x))(t(3, 2, 2)); seen
vmap = torch.func.vmap; seen = []; vmap(lambda x: seen.append(f"{x * 2}") or x)(leaf(3, 2)); seen
vmap = torch.func.vmap; a = vmap(lambda x: torch.rand(2), randomness="same")(t(3)); (a[0] == a[1]).all()
vmap = torch.func.vmap; a = vmap(lambda x: torch.randn_like(x), randomness="different")(t(3, 2)); (a[0] == a[1]).any(), a.shape
vmap = torch.func.vmap; a = vmap(lambda x: torch.randperm(5), randomness="different")(t(3)); a.shape, a.sum(1)
"""

ERRORS = """
vmap = torch.func.vmap; vmap(lambda: 1)()
vmap = torch.func.vmap; vmap(lambda x: x)(x=t(3))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=None)(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=(None,))(t(3))
vmap = torch.func.vmap; vmap(lambda x: x)(3)
vmap = torch.func.vmap; vmap(lambda x, y: x)(t(3), None)
vmap = torch.func.vmap; vmap(lambda x, y: x)(t(3), t(4))
vmap = torch.func.vmap; vmap(lambda x, y, z: x)(t(3), t(4), t(3, 1))
vmap = torch.func.vmap; vmap(lambda x: x)(t())
vmap = torch.func.vmap; vmap(vmap(lambda x: x))(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=2)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=-3)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=0.5)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims="a")(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=[0])(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=(0.5,))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, in_dims=(0, 0))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda d: d, in_dims=({"a": 0},))({"a": t(3), "b": t(3)})
vmap = torch.func.vmap; vmap(lambda d: d, in_dims=((0, 0),))([t(3), t(3)])
vmap = torch.func.vmap; vmap(lambda x: 3.0)(t(3))
vmap = torch.func.vmap; vmap(lambda x: None)(t(3))
vmap = torch.func.vmap; vmap(lambda x: (x, "a"))(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, out_dims=1)(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, out_dims=-3)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x, out_dims=None)(t(3))
vmap = torch.func.vmap; vmap(lambda x: (x, x), out_dims=(0, None))(t(3))
vmap = torch.func.vmap; vmap(lambda x: (x, x), out_dims=(0,))(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, out_dims=(0, 1))(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, out_dims=0.5)(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, out_dims="a")(t(3))
vmap = torch.func.vmap; vmap(lambda x: {"a": x}, out_dims={"a": "b"})(t(3))
vmap = torch.func.vmap; vmap(lambda x: x, randomness="often")
vmap = torch.func.vmap; vmap(lambda x: x, chunk_size=0)
vmap = torch.func.vmap; vmap(lambda x: x, chunk_size=-1)
vmap = torch.func.vmap; vmap(lambda x: x + torch.rand(2))(t(3))
vmap = torch.func.vmap; vmap(lambda x: torch.rand_like(x))(t(3))
vmap = torch.func.vmap; vmap(lambda x: torch.randperm(3))(t(3))
vmap = torch.func.vmap; vmap(lambda x: x.clone().normal_())(t(3))
vmap = torch.func.vmap; vmap(lambda x: x.sum().item())(t(3))
vmap = torch.func.vmap; vmap(lambda x: float(x))(t(3))
vmap = torch.func.vmap; vmap(lambda x: [1, 2, 3][x])(torch.tensor([0, 1]))
vmap = torch.func.vmap; vmap(lambda x: x if x > 0 else -x)(t(3))
vmap = torch.func.vmap; vmap(lambda x: f"{x:.2f}")(t(3))
vmap = torch.func.vmap; vmap(lambda x: x.numpy())(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x.tolist())(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: 3 in x)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.allclose(x, x))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.equal(x, x))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.nonzero(x))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x[x > 0])(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x[0][x[0] > 0])(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.masked_select(x, x > 0))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x.data)(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: setattr(x, "data", x * 2))(t(3, 2)) ## says: mutating directly with `.data` under vmap transform is not allowed
vmap = torch.func.vmap; vmap(lambda x: x.data_ptr())(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x.requires_grad_())(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2).requires_grad_() * x)(t(3, 2))
vmap = torch.func.vmap; kept = torch.ones(2, requires_grad=True); vmap(lambda x: (torch.ones(2, requires_grad=True) * x).detach() + kept)(t(3, 2)) ## unnamed
vmap = torch.func.vmap; vmap(lambda x: x.sum().backward())(leaf(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.autograd.grad(x.sum(), x))(leaf(3, 2)) ## class
vmap = torch.func.vmap; vmap(lambda x: x.retain_grad())(leaf(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x.register_hook(lambda g: g))(leaf(3, 2))
vmap = torch.func.vmap; vmap(lambda x: (x * 2).detach_())(t(3, 2)) ## says: Can't detach views in-place. Use detach() instead.
vmap = torch.func.vmap; vmap(lambda x: torch.zeros(2).copy_(x))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2).mul_(x))(t(3, 2))
vmap = torch.func.vmap; o = torch.zeros(2); vmap(lambda x: o.__setitem__(0, x[0]))(t(3, 2))
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2).clamp_(max=x))(t(3, 2)) ## says: is not possible because there exists a Tensor `other` in extra_args that has more elements than `self`
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2).fill_(x[0]))(t(3, 2)) ## says: is not possible because there exists a Tensor `other`
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2, dtype=torch.float64).index_add_(0, torch.tensor([0, 1]), x))(t(3, 2)) ## says: is not possible because there exists a Tensor `other`
vmap = torch.func.vmap; vmap(lambda x: torch.ones(2, dtype=torch.float64).add_(x))(t(3, 2)) ## class
vmap = torch.func.vmap; vmap(lambda x: x.add_(1))(leaf(3, 2))
vmap = torch.func.vmap; vmap(lambda x: x.add_(1), in_dims=1)(leaf(3, 2))
vmap = torch.func.vmap; vmap(lambda x, i: x[i])(t(3, 2), torch.tensor([0, 1, 5])) ## says: index 5 is out of bounds for dimension
vmap = torch.func.vmap; vmap(lambda x, i: x.gather(0, i))(t(3, 2), torch.tensor([[0], [1], [5]])) ## says: index 5 is out of bounds for dimension
vmap = torch.func.vmap; vmap(lambda x, i: x // i)(torch.tensor([1, 2]), torch.tensor([1, 0]))
vmap = torch.func.vmap; vmap(lambda x: x @ t(3))(t(3, 2)) ## class
vmap = torch.func.vmap; vmap(lambda x, y: x + y)(t(3, 2), t(3, 4)) ## class
"""

GRADIENTS = """
vmap = torch.func.vmap; x = leaf(3, 2); vmap(lambda x: x * 2)(x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); vmap(lambda x: x * 2, out_dims=1)(x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); pull(vmap(lambda x: x.sin() * x.sum())(x), x) ## unnamed
vmap = torch.func.vmap; x, w = leaf(3, 2), leaf(2, 4, seed=1); pull(vmap(lambda x: (x @ w).tanh())(x), x, w) ## unnamed
vmap = torch.func.vmap; w = leaf(2, seed=1); pull(vmap(lambda x: w * 2)(t(3, 2)), w) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); pull(vmap(lambda x: x.detach() * x)(x), x) ## unnamed
vmap = torch.func.vmap; x = leaf(2, 3, 4); pull(vmap(vmap(lambda x: x.softmax(0)), 1)(x), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 4); pull(vmap(lambda x, i: x[i])(x, torch.tensor([[0, 0], [2, 1], [-1, 3]])), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 4); pull(vmap(lambda x: x.amax() + x.std() + x.logsumexp(0))(x), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 4); pull(vmap(F.cross_entropy)(x, torch.tensor([0, 3, 1])), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); y = x * 1; out = vmap(lambda x: x.mul_(2))(y); pull((out, y), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); y = x * 1; out = vmap(lambda x: x.mul_(2), 1)(y); pull((out, y), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); y = x * 1; out = vmap(lambda x: (x.detach().mul_(2), x)[1])(y); pull((out, y), x) ## unnamed
vmap = torch.func.vmap; x = leaf(3, 2); vmap(lambda x: torch.no_grad()(lambda x: x * 2)(x))(x)
with torch.no_grad(): y = torch.func.vmap(lambda x: x * 2)(leaf(3, 2))
x = leaf(3); torch.autograd.grad(x ** 2, x, torch.eye(3, dtype=torch.float64), is_grads_batched=True)
x = leaf(3); torch.autograd.grad(x ** 2, x, torch.eye(3, dtype=torch.float64), create_graph=True, is_grads_batched=True) ## unnamed
x, z = leaf(3), leaf(2); torch.autograd.grad(x ** 2, [x, z], t(4, 3), is_grads_batched=True, allow_unused=True)
x, z = leaf(3), leaf(2); torch.autograd.grad(x ** 2, [x, z], t(4, 3), is_grads_batched=True, materialize_grads=True)
x, z = leaf(3), leaf(2); torch.autograd.grad(x ** 2, [x, z], t(4, 3), is_grads_batched=True)
x = leaf(3); torch.autograd.grad([x ** 2, x.sum()], x, [t(4, 3), t(4)], is_grads_batched=True)
x = leaf(3); torch.autograd.grad([x ** 2, x.sum()], x, [t(4, 3), t(5)], is_grads_batched=True)
x = leaf(3); torch.autograd.grad(x ** 2, x, t(3), is_grads_batched=True)
x = leaf(3); torch.autograd.grad(x ** 2, x, t(), is_grads_batched=True)
x = leaf(3); torch.autograd.grad(x.sum(), x, None, is_grads_batched=True)
x = leaf(3); torch.autograd.grad(x ** 2, x, [1.0], is_grads_batched=True)
x = leaf(3); torch.autograd.grad(x ** 2, x, t(2, 3).float(), is_grads_batched=True)
"""

IN_PLACE = """
def f(x):
    y = x.clone()
    y[0] = x.sum()
    y[1:].mul_(2)
    return y
x = leaf(2, 3)
pull(torch.func.vmap(f)(x), x) ## unnamed

def f(x):
    y = x.clone()
    v = y.t()
    v[1] += x[:, 0]
    y.view(-1)[2:].zero_()
    return y, v
x = leaf(2, 3, 3)
pull(torch.func.vmap(f)(x), x) ## unnamed

def f(x):
    y = x * 1
    d = y.detach()
    d.mul_(2)
    return y + d
x = leaf(2, 3)
pull(torch.func.vmap(f)(x), x) ## unnamed

def f(x):
    y = x.exp()
    y.mul_(2)
    return y
x = leaf(2, 3)
pull(torch.func.vmap(f)(x), x) ## says: has been modified by an inplace operation

def f(x):
    x[0] = 5
    return x * 2
x = t(2, 3)
y = torch.func.vmap(f)(x)
x, y

def f(x, y):
    x.copy_(y)
    return x
x, y = t(2, 3), t(3, seed=1)
torch.func.vmap(f, (0, None))(x, y), x

def f(x, i):
    y = x.clone()
    y[i] = 0.0
    return y
torch.func.vmap(f)(t(3, 4), torch.tensor([0, 3, -2]))

def f(x, i):
    y = x.clone()
    y.index_add_(0, i, x[:2])
    return y
torch.func.vmap(f)(t(3, 4), torch.tensor([[0, 0], [3, 1], [2, 1]]))

def f(x):
    y = x.clone()
    y.masked_fill_(x > 0, 7.0)
    return y
torch.func.vmap(f)(t(3, 4))

c = t(2)
before = c.clone()
e = caught(torch.func.vmap(lambda x: c.copy_(x)), t(3, 2))
c == before
"""

COMPOSED = """
fn = torch.func; fn.vmap(fn.grad(lambda x: (x ** 3).sum()))(t(3, 2))
fn = torch.func; fn.vmap(fn.grad_and_value(lambda x: (x ** 3).sum()))(t(3, 2))
fn = torch.func; fn.vmap(fn.grad(lambda w, x: (x @ w).tanh().sum()), (None, 0))(t(2, 4), t(3, 2))
fn = torch.func; w = t(2, 4); fn.vmap(fn.grad(lambda x: (x @ w).tanh().sum()))(t(3, 2))
fn = torch.func; fn.grad(lambda x: fn.vmap(lambda x: (x ** 3).sum())(x).sum())(t(3, 2))
fn = torch.func; fn.grad(lambda x: (fn.vmap(fn.grad(lambda x: (x ** 3).sum()))(x) ** 2).sum())(t(3, 2))
fn = torch.func; fn.vmap(fn.grad(lambda x: (fn.grad(lambda x: (x ** 3).sum())(x) ** 2).sum()))(t(3, 2))
fn = torch.func; w = leaf(2); pull(fn.vmap(fn.grad(lambda x: ((w * x) ** 3).sum()))(t(3, 2)), w) ## unnamed
fn = torch.func; w = leaf(2); x = leaf(3, 2, seed=1); pull(fn.vmap(fn.grad(lambda x: ((w * x) ** 3).sum()))(x), w, x) ## unnamed
fn = torch.func; fn.vmap(fn.vmap(fn.grad(lambda x: x.exp().sum() ** 2)))(t(3, 2, 2))
fn = torch.func; fn.vmap(fn.grad(lambda x: fn.vmap(lambda y: (x * y).sum() ** 2)(x).sum()))(t(3, 2))
fn = torch.func; fn.jacrev(lambda x: x.exp() * x.sum())(t(3))
fn = torch.func; fn.jacfwd(lambda x: x.exp() * x.sum())(t(3))
fn = torch.func; fn.hessian(lambda x: x.exp().sum() * x.prod())(t(3))
fn = torch.func; fn.vmap(fn.jacrev(lambda x: x.exp() * x.sum()))(t(2, 3))
fn = torch.func; fn.vmap(fn.jacfwd(lambda x: x.exp() * x.sum()))(t(2, 3))
fn = torch.func; fn.vmap(fn.hessian(lambda x: x.exp().sum() * x.prod()))(t(2, 3))
fn = torch.func; fn.jacrev(fn.jacrev(lambda x: x.sin() * x.sum()))(t(3))
fn = torch.func; fn.jacfwd(fn.jacfwd(lambda x: x.sin() * x.sum()))(t(3))
fn = torch.func; fn.jacfwd(fn.jacrev(lambda x: x.sin() * x.sum()))(t(3))
fn = torch.func; fn.jacrev(fn.jacfwd(lambda x: x.sin() * x.sum()))(t(3))
fn = torch.func; fn.jacrev(fn.vmap(lambda x: x.sin() * x.sum()))(t(2, 3))
fn = torch.func; fn.jacfwd(fn.vmap(lambda x: x.sin() * x.sum()))(t(2, 3))
fn = torch.func; fn.vmap(lambda x, v: fn.jvp(lambda x: x.sin() * x.sum(), (x,), (v,)))(t(2, 3), t(2, 3, seed=1))
fn = torch.func; fn.jvp(fn.vmap(lambda x: x.sin() * x.sum()), (t(2, 3),), (t(2, 3, seed=1),))
fn = torch.func; fn.vmap(lambda x, v: fn.jvp(fn.grad(lambda x: x.sin().sum() * x.prod()), (x,), (v,)))(t(2, 3), t(2, 3, seed=1))
fn = torch.func; fn.vmap(lambda x, v: fn.vjp(lambda x: x.sin() * x.sum(), x)[1](v))(t(2, 3), t(2, 3, seed=1))
fn = torch.func; out, f = fn.vjp(fn.vmap(lambda x: x.sin() * x.sum()), t(2, 3)); out, f(t(2, 3, seed=1))
fn = torch.func; out, f = fn.vjp(lambda x: x.sin() * x.sum(), t(3)); fn.vmap(f)(t(4, 3, seed=1))
fn = torch.func; y, f = fn.linearize(lambda x: x.sin() * x.sum(), t(3)); fn.vmap(f)(t(4, 3, seed=1))
fn = torch.func; fn.grad(lambda x: fn.vmap(lambda v: fn.jvp(lambda x: x.sin() * x.sum(), (x,), (v,))[1])(torch.eye(3, dtype=torch.float64)).pow(2).sum())(t(3))
fn = torch.func; fn.jacrev(lambda x, y: x.sum() * y, (0, 1))(t(3), t(2, seed=1))
fn = torch.func; fn.jacrev(lambda x: x.exp(), chunk_size=2)(t(5))
fn = torch.func; fn.vmap(fn.grad(lambda x, y: F.cross_entropy(x, y)))(t(3, 4), torch.tensor([0, 3, 1]))
fn = torch.func; fn.vmap(fn.grad(lambda x, i: (x[i] ** 2).sum()))(t(3, 4), torch.tensor([[0, 1], [2, 2], [3, 0]]))
fn = torch.func; fn.vmap(fn.grad(lambda x: x.sum().item()))(t(3, 2)) ## says: vmap: It looks like you're
fn = torch.func; fn.grad(lambda x: fn.vmap(lambda x: x.sum().item())(x))(t(3, 2))
fn = torch.func; fn.vmap(fn.grad(lambda x: torch.no_grad()(lambda: x.sum())() + x.prod()))(t(3, 2))
fn = torch.func; o = t(2); fn.vmap(fn.grad(lambda x: o.add_(x).sum()))(t(3, 2)) ## class
fn = torch.func; fn.vmap(lambda x: fn.grad(lambda x: x.sum())(x) + x.requires_grad)(t(3, 2))
fn = torch.func; seen = []; fn.vmap(fn.grad(lambda x: seen.append((x.requires_grad, x.is_leaf)) or x.sum()))(t(3, 2)); seen
fn = torch.func; x = leaf(3, 2); fn.vmap(fn.grad(lambda x: (x ** 3).sum()))(x) ## unnamed
"""

FUNCTIONS_AND_MODELS = """
def f(x):
    y = x.clone()
    y[0] = y[1] * 2
    y[1:].mul_(x[0])
    return (y ** 2).sum()
torch.func.vmap(torch.func.grad(f))(t(4, 3)), torch.func.grad(lambda x: torch.func.vmap(f)(x).sum())(t(4, 3)), torch.func.vmap(torch.func.hessian(f))(t(2, 3))

def loss(params, x, y):
    h = (x @ params["w1"] + params["b1"]).tanh()
    return F.cross_entropy(h @ params["w2"] + params["b2"], y)
params = {"w1": t(3, 5), "b1": t(5), "w2": t(5, 4, seed=1), "b2": t(4, seed=2)}
x, y = t(6, 3, seed=3), torch.tensor([0, 1, 2, 3, 0, 1])
torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(params, x, y)

def loss(params, x, y):
    h = F.relu(F.linear(x, params[0], params[1]))
    return F.cross_entropy(F.linear(h, params[2]), y)
params = (leaf(5, 3), leaf(5), leaf(4, 5, seed=1))
x, y = t(6, 3, seed=3), torch.tensor([0, 1, 2, 3, 0, 1])
g = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(params, x, y)
pull(sum((a ** 2).sum() for a in g), *params) ## unnamed

class Cube(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(x):
        return x ** 3
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x ** 2
fn = torch.func
x = t(4, 3)
fn.vmap(fn.grad(lambda x: Cube.apply(x).sum()))(x), fn.grad(lambda x: fn.vmap(Cube.apply)(x).sum())(x), fn.vmap(fn.jacrev(fn.jacrev(lambda x: Cube.apply(x).sum())))(x), fn.vmap(fn.vmap(Cube.apply))(x)

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(x, k):
        return x * k, k * 2
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k = inputs[1]
    @staticmethod
    def backward(ctx, g, _):
        return g * ctx.k, None
    @staticmethod
    def vmap(info, in_dims, x, k):
        assert info.batch_size == 4 and info.randomness == "error" and in_dims[1] is None
        y, k = Scale.apply(x.movedim(in_dims[0], 0), k)
        return (y, k), (0, None)
fn = torch.func
x = t(4, 3)
fn.vmap(lambda x: Scale.apply(x, 3.0)[0])(x), fn.vmap(fn.grad(lambda x: Scale.apply(x, 3.0)[0].sum()))(x), fn.grad(lambda x: fn.vmap(lambda x: Scale.apply(x, 3.0)[0])(x).sum())(x)

class Cube(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(x, w):
        return x ** 3 * w
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g * 3 * x ** 2 * w, (g * x ** 3)
    @staticmethod
    def jvp(ctx, dx, dw):
        x, w = ctx.saved_tensors
        return dx * 3 * x ** 2 * w + (0 if dw is None else dw * x ** 3)
fn = torch.func
x, w = leaf(4, 3), leaf(3, seed=1)
pull(fn.vmap(lambda x: Cube.apply(x, w))(x), x, w), fn.jvp(fn.vmap(lambda x: Cube.apply(x, w.detach())), (x.detach(),), (t(4, 3, seed=2),)) ## unnamed

class Plain(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * 2
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
torch.func.vmap(Plain.apply)(t(3))

class Old(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(ctx, x):
        return x * 2
torch.func.vmap(Old.apply)(t(3))

class Both(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(x):
        return x * 2
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
    @staticmethod
    def vmap(info, in_dims, x):
        return x * 2, 0
torch.func.vmap(Both.apply)(t(3))

class One(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * 2
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
    @staticmethod
    def vmap(info, in_dims, x):
        return x * 2
torch.func.vmap(One.apply)(t(3)) ## says: Expected the vmap staticmethod to have two returns, an output and out_dims

class Two(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * 2
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
    @staticmethod
    def vmap(info, in_dims, x):
        return x * 2, (0, 0)
torch.func.vmap(Two.apply)(t(3))

class Nowhere(torch.autograd.Function):
    @staticmethod
    def forward(x, parts):
        return x.sum(), parts[0]
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
    @staticmethod
    def vmap(info, in_dims, x, parts):
        return (x.sum(0), parts[0] * 2), (None, 0)
torch.func.vmap(lambda x, y: Nowhere.apply(x, [y, 2, "a"]))(t(3, 2), t(3, seed=1))

class Dirty(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(x):
        return x.mul_(2)
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_dirty(inputs[0])
torch.func.vmap(lambda x: Dirty.apply(x.clone()))(t(3))

class Noise(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(x):
        return x * torch.rand(2)
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
torch.func.vmap(Noise.apply)(t(3, 2))
"""


@pytest.mark.parametrize("case", cases(VALUES))
def test_values(case):
    agree(case)


@pytest.mark.parametrize("case", cases(ERRORS))
def test_errors(case):
    agree(case)


@pytest.mark.parametrize("case", cases(GRADIENTS))
def test_gradients(case):
    agree(case)


@pytest.mark.parametrize("case", cases(IN_PLACE, blocks=True))
def test_in_place(case):
    agree(case)


@pytest.mark.parametrize("case", cases(COMPOSED))
def test_with_other_transforms(case):
    agree(case)


@pytest.mark.parametrize("case", cases(FUNCTIONS_AND_MODELS, blocks=True))
def test_functions_and_models(case):
    agree(case)
