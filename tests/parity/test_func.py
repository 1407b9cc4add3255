"""`tg.func`: each transform, of each kind of function, alone and nested in each other, as PyTorch's."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases

# `outer(r, *leaves)` shows a result and the gradients of all its parts by leaves outside of the transform.
SETUP = """
from functools import partial
func = torch.func
grad, grad_and_value, vjp, jvp, jacrev, jacfwd, hessian, vmap, linearize = func.grad, func.grad_and_value, func.vjp, func.jvp, func.jacrev, func.jacfwd, func.hessian, func.vmap, func.linearize
fw = torch.autograd.forward_ad
def flat(r): return [e for part in (r.values() if isinstance(r, dict) else r) for e in flat(part)] if isinstance(r, (tuple, list, dict)) else [r]
def outer(r, *leaves):
    parts = [p for p in flat(r) if isinstance(p, torch.Tensor) and p.requires_grad]
    seeds = [t(*p.shape, seed=30 + i, dtype=str(p.dtype).removeprefix("torch.")) for i, p in enumerate(parts)]
    grads = torch.autograd.grad(parts, leaves, seeds, allow_unused=True, materialize_grads=True) if parts and leaves else [torch.zeros_like(l.detach()) for l in leaves]
    return [p.detach() if isinstance(p, torch.Tensor) else p for p in flat(r)], [g.detach() for g in grads]
x, v, w, c = t(2, 3), t(2, 3, seed=1), leaf(2, 3, seed=2), t(2, 3, seed=3)
"""


def run(lines: list[str]) -> None:
    agree_all(f"{SETUP}\n{line}" for line in lines)


OF_A_MATRIX = """
lambda a: a.sin() * a
lambda a: a ** 3
lambda a: a.exp() @ a.T
lambda a: (a @ a.T).sum(0) * a[:, 0]
lambda a: a.softmax(1).log()
lambda a: a * w
lambda a: a * w.exp() + w
lambda a: a * a.detach() * c
lambda a: a[0] * a[1] / (1 + a[0] ** 2)
lambda a: a.T.reshape(6)[1:4] * a.sum()
lambda a: (a * 1).mul_(a)
lambda a: (a * 1).mul_(w).add_(a ** 2)
lambda a: torch.zeros(2, 3, dtype=torch.float64).copy_(a).mul_(a)
lambda a: torch.stack([a, a.sin()]).cumsum(0)[1]
lambda a: torch.where(a > 0, a * a, -a)
lambda a: torch.cat([a, a * w], 1).tanh()
lambda a: a
lambda a: a.clone()
lambda a: a[0]
lambda a: w * 2
lambda a: c * 2
lambda a: torch.no_grad()(lambda b: b * b)(a) * a
lambda a: a.mean() * w
"""

PULLING = """
grad(lambda a: f(a).sum())(x)
grad_and_value(lambda a: (f(a) * f(a)).sum())(x)
vjp(f, x)[0]
vjp(f, x)[1](torch.ones_like(f(x).detach()))
jvp(f, (x,), (v,))
jacrev(f)(x)
jacfwd(f)(x)
jacrev(f, chunk_size=1)(x)
jacrev(f, chunk_size=4)(x)
hessian(lambda a: f(a).sum())(x)
"""

POINTS = {
    "constant": "x = x",
    "leaf": "x = x.requires_grad_()",
    "computed": "z = x.requires_grad_(); x = z * 1",
}


@pytest.mark.parametrize("point", POINTS)
def test_each_transform_of_each_function(point: str) -> None:
    leaves = {"constant": "w", "leaf": "x, w", "computed": "z, w"}[point]
    pairs = itertools.product(cases(OF_A_MATRIX), cases(PULLING))
    run([f"{POINTS[point]}\nf = {f}\nouter({pull}, {leaves})" for f, pull in pairs])


@pytest.mark.parametrize("point", POINTS)
def test_in_no_grad_mode(point: str) -> None:
    lines = []
    for f, pull in itertools.product(cases(OF_A_MATRIX)[5:8], cases(PULLING)):
        lines.append(f"{POINTS[point]}\nf = {f}\ntorch.set_grad_enabled(False)\n{pull} ## unnamed")
        inside = (
            pull.replace("f(", "torch.no_grad()(f)(")
            .replace("(f,", "(torch.no_grad()(f),")
            .replace("(f)", "(torch.no_grad()(f))")
        )
        lines.append(f"{POINTS[point]}\nf = {f}\n{inside} ## unnamed")
    run(lines)


NESTED = """
grad(lambda a: (grad(s)(a) * a).sum())(x)
grad(lambda a: (grad(s)(x) * a).sum())(x)
grad(lambda a: grad(lambda b: s(a * b))(x).sum())(v)
grad(lambda a: grad(lambda b: grad(lambda e: s(a * b + e))(x).sum())(v).sum())(c)
grad(lambda a: grad_and_value(s)(a)[1] * grad(s)(a).sum())(x)
grad(lambda a: vjp(f, a)[1](v)[0].sum())(x)
grad(lambda a: vjp(f, x)[1](a)[0].sum())(v)
grad(lambda a: vjp(f, a)[0].sum())(x)
grad(lambda a: (vjp(f, a)[0] * vjp(f, a)[1](a)[0]).sum())(x)
grad(lambda a: jvp(f, (a,), (v,))[1].sum())(x)
grad(lambda a: jvp(f, (x,), (a,))[1].sum())(v)
grad(lambda a: (jvp(f, (a,), (a,))[0] * jvp(f, (a,), (v,))[1]).sum())(x)
grad(lambda a: jacrev(f)(a).sum())(x)
grad(lambda a: jacfwd(f)(a).sum())(x)
grad(lambda a: hessian(s)(a).pow(2).sum())(x)
grad(lambda a: vmap(f)(a).sum())(x)
grad(lambda a: vmap(grad(s))(a).sum())(x)
jvp(grad(s), (x,), (v,))
jvp(lambda a: jvp(f, (a,), (v,)), (x,), (c,))
jvp(lambda a: jvp(f, (x,), (a,)), (v,), (c,))
jvp(lambda a: jvp(lambda b: a * f(b), (a,), (v,))[1], (x,), (c,))
jvp(lambda a: jvp(lambda b: jvp(f, (b,), (v,))[1], (a,), (c,))[1], (x,), (v,))
jvp(lambda a: vjp(f, a)[1](v), (x,), (c,))
jvp(lambda a: vjp(f, x)[1](a), (v,), (c,))
jvp(lambda a: grad(lambda b: (grad(s)(b) * a).sum())(x), (c,), (v,))
jvp(jacrev(f), (x,), (v,))
jvp(jacfwd(f), (x,), (v,))
jvp(vmap(f), (x,), (v,))
jvp(vmap(grad(s)), (x,), (v,))
vjp(grad(s), x)[1](v)
vjp(lambda a: jvp(f, (a,), (v,)), x)[1]((c, v))
vjp(lambda a: vjp(f, a)[1](v), x)[1]((c,))
vjp(jacrev(f), x)[0]
vjp(vmap(f), x)[1](v)
jacrev(grad(s))(x)
jacfwd(grad(s))(x)
jacrev(jacrev(f))(x)
jacfwd(jacfwd(f))(x)
jacfwd(jacrev(f))(x)
jacrev(jacfwd(f))(x)
jacrev(vmap(f))(x)
jacfwd(vmap(f))(x)
hessian(lambda a: grad(s)(a).sum())(x)
hessian(lambda a: jvp(f, (a,), (v,))[1].sum())(x)
vmap(grad(s))(x)
vmap(grad_and_value(s))(x)
vmap(lambda a: vjp(f, a)[1](a))(x)
vmap(lambda a, b: vjp(f, a)[1](b))(x, v)
vmap(lambda b: vjp(f, x)[1](b))(torch.stack([v, c]))
vmap(lambda a, b: jvp(f, (a,), (b,)))(x, v)
vmap(lambda a: jvp(f, (a,), (v[0],)))(x)
vmap(lambda b: jvp(f, (x,), (b,)))(torch.stack([v, c]))
vmap(jacrev(f))(x)
vmap(jacfwd(f))(x)
vmap(hessian(s))(x)
vmap(vmap(grad(lambda a: f(a).sum())))(x)
vmap(lambda a: grad(lambda b: (grad(s)(b) * a).sum())(a))(x)
vmap(lambda a: jvp(grad(s), (a,), (a,)))(x)
vmap(lambda a: grad(lambda b: jvp(f, (b,), (a,))[1].sum())(a))(x)
vmap(grad(s), in_dims=1)(x)
vmap(grad(s), out_dims=1)(x)
vmap(grad(s), chunk_size=1)(x)
vmap(grad(lambda a, b: s(a * b), argnums=(0, 1)), in_dims=(0, None))(x, v[0])
"""

NESTED_FUNCTIONS = """
lambda a: a.sin() * a
lambda a: a ** 3
lambda a: (a * 1).mul_(a)
lambda a: a * a.sum().exp() / 3
lambda a: a.tanh() * y
"""


UNWRITABLE = ("jacfwd(jacfwd(f))(x)", "hessian(lambda a: jvp(f, (a,), (v,))[1].sum())(x)")


def test_transforms_in_each_other() -> None:
    lines = []
    for f, call in itertools.product(cases(NESTED_FUNCTIONS), cases(NESTED)):
        note = " ## differs: PyTorch cannot write to a tangent of zeros" if "mul_" in f and call in UNWRITABLE else ""
        lines.append(f"y = leaf(seed=9)\nf = {f}\ns = lambda a: f(a).sum()\nouter({call}, y){note}")
    run(lines)


def test_transforms_in_each_other_of_leaves() -> None:
    lines = []
    for f, call in itertools.product(cases(NESTED_FUNCTIONS)[:2], cases(NESTED)):
        leaves = "x, v, c = leaf(2, 3), leaf(2, 3, seed=1), leaf(2, 3, seed=3)"
        lines.append(f"{leaves}\nf = {f}\ns = lambda a: f(a).sum()\nouter({call}, x, v, c)")
    run(lines)


# What a derivative inside must not confuse with one outside
CONFUSION = """
grad(lambda a: a * grad(lambda b: a + b)(o))(o)
grad(lambda a: a * grad(lambda b: a * b)(o))(o)
grad(lambda a: grad(lambda b: a * b * b)(a))(o * 3)
grad(lambda a: a * grad(lambda b: b * grad(lambda d: a * b * d)(o))(o))(o * 2)
grad(lambda a: a * grad(lambda b: b * grad(lambda d: d * grad(lambda e: a * b * d * e)(o))(o))(o))(o * 2)
grad(lambda a: a ** 2 * grad(lambda b: b ** 3 * grad(lambda d: (a + b) * d ** 2)(a))(a))(o * 1.5)
d1(lambda a: a * d1(lambda b: a + b)(o))(o)
d1(lambda a: a * d1(lambda b: a * b)(o))(o)
d1(lambda a: d1(lambda b: a * b * b)(a))(o * 3)
d1(lambda a: a * d1(lambda b: b * d1(lambda d: a * b * d)(o))(o))(o * 2)
d1(lambda a: a * d1(lambda b: b * d1(lambda d: d * d1(lambda e: a * b * d * e)(o))(o))(o))(o * 2)
d1(lambda a: a * grad(lambda b: a + b)(o))(o)
grad(lambda a: a * d1(lambda b: a + b)(o))(o)
grad(lambda a: a * d1(lambda b: a * b * b)(a))(o * 2)
d1(lambda a: a * grad(lambda b: a * b * b)(a))(o * 2)
grad(lambda a: a * d1(lambda b: b * grad(lambda d: a * b * d)(b))(a))(o * 2)
d1(lambda a: a * grad(lambda b: b * d1(lambda d: a * b * d)(b))(a))(o * 2)
d1(lambda a: a * grad(lambda b: b * d1(lambda d: d * grad(lambda e: a * b * d * e * e)(d))(b))(a))(o * 2)
grad(lambda a: a * d1(lambda b: b * grad(lambda d: d * d1(lambda e: a * b * d * e * e)(d))(b))(a))(o * 2)
jacrev(lambda a: a * jacfwd(lambda b: a * b * b)(a))(o * 2)
jacfwd(lambda a: a * jacrev(lambda b: a * b * b)(a))(o * 2)
grad(grad(grad(grad(lambda a: a ** 5))))(o)
d1(d1(d1(d1(lambda a: a ** 5))))(o)
d1(grad(d1(grad(lambda a: a.exp() * a))))(o)
grad(d1(grad(d1(lambda a: a.exp() * a))))(o)
grad(lambda a: (vjp(lambda b: a * b, a)[1](a)[0]) * a)(o * 2)
grad(lambda a: vmap(lambda b: grad(lambda d: a * b * d * d)(b))(x[0]).sum())(o)
"""


def test_perturbations_are_not_confused() -> None:
    head = "o = torch.tensor(1.0, dtype=torch.float64)\nd1 = lambda h: lambda a: jvp(h, (a,), (torch.ones_like(a),))[1]"
    run([f"{head}\nouter({line})" for line in cases(CONFUSION)])
    run([f"{head}\no.requires_grad_()\nouter({line}, o)" for line in cases(CONFUSION)])


# What is seen of a function's arguments and results: flags, identity, nodes
FLAGS = """
vjp(lambda a: a, l)[0] is l
vjp(lambda a: a, x)[0] is x
vjp(lambda a: l, x)[0] is l
vjp(lambda a: (a * l, l * l, a * 2), x)[0] ## unnamed
grad(lambda a: (a * 3).sum())(l)
grad(lambda a: a.sum())(l)
grad(lambda a: l.sum())(x)
grad(lambda a: x.sum())(x)
grad(lambda a: a.detach().sum())(l)
grad(lambda a: (a * a).sum())(l) ## unnamed
grad(lambda a: (a * l).sum())(x) ## unnamed
grad_and_value(lambda a: (a * 3).sum())(l) ## unnamed
grad_and_value(lambda a: (l * 3).sum())(x) ## unnamed
grad_and_value(lambda a: (a * 3).sum())(x)
grad(lambda a: (a.sum(), x), has_aux=True)(x)[1] is x
grad(lambda a: (a.sum(), a), has_aux=True)(x)[1] is x
grad(lambda a: (a.sum(), (a * 2, x, l)), has_aux=True)(l) ## unnamed
grad(lambda a: (a.sum(), {"k": a}), has_aux=True)(l)
grad(lambda a: (a.sum(), a.detach()), has_aux=True)(l)
grad(lambda a: (a.sum(), 3), has_aux=True)(l)
grad(lambda a: (a.sum(), None), has_aux=True)(l)
grad(lambda a: (a.sum(), [a, 3]), has_aux=True)(l)
log = []; grad(lambda a: (log.append((a.requires_grad, a.is_leaf, a.grad_fn, a.shape, a.dtype)), a.sum())[1])(x); log
log = []; grad(lambda a: (log.append((a.requires_grad, a.is_leaf, a.grad_fn)), a.sum())[1])(l * 2); log
log = []; vjp(lambda a: (log.append((a.requires_grad, a.is_leaf, (a * 2).requires_grad, a.detach().requires_grad)), a)[1], x); log
log = []; torch.set_grad_enabled(False); grad(lambda a: (log.append((torch.is_grad_enabled(), a.requires_grad)), a.sum())[1])(l); log, torch.is_grad_enabled()
torch.set_grad_enabled(False); vjp(lambda a: a, l)[0] is l
torch.set_grad_enabled(False); vjp(lambda a: a ** 3, l)[0], vjp(lambda a: a ** 3, l)[1](x)
out, pull_ = vjp(lambda a: a ** 3, x); out, pull_(v), pull_(v), pull_(l)[0].requires_grad
out, pull_ = vjp(lambda a: a ** 3, l); out.requires_grad, pull_(v)[0].requires_grad, pull_(v, create_graph=False)[0].requires_grad
out, pull_ = vjp(lambda a: a ** 3, l); torch.set_grad_enabled(False); pull_(v)
out, pull_ = vjp(lambda a: a ** 3, x); pull_(v, retain_graph=False), caught(pull_, v) ## class
out, pull_ = vjp(lambda a: a ** 3, x); grad(lambda b: pull_(b)[0].sum())(v)
out, pull_ = vjp(lambda a: a ** 3, x); jvp(lambda b: pull_(b)[0], (v,), (c,))
out, pull_ = vjp(lambda a: a ** 3, x); vmap(pull_)(torch.stack([v, c]))
torch.set_grad_enabled(False); out, pull_ = vjp(lambda a: a.exp(), l); torch.set_grad_enabled(True); pull_(v)
torch.set_grad_enabled(False); out, pull_ = vjp(lambda a: a ** 3, l); torch.set_grad_enabled(True); pull_(v) ## differs: PyTorch's follows the argument itself, though not what was computed of it
x.grad, grad(lambda a: (a * l).sum())(x).detach(), l.grad
grad(lambda a: (a * l).sum())(x).sum().backward(); l.grad
(grad(lambda a: (a ** 3).sum())(l) * v).sum().backward(); l.grad
z = (l * 2); (grad(lambda a: (a ** 3).sum())(z) * v).sum().backward(); l.grad
(jvp(lambda a: a ** 3, (l,), (v,))[1] * v).sum().backward(); l.grad
jacrev(lambda a: a ** 3)(l).sum().backward(); l.grad
jacfwd(lambda a: a ** 3)(l).sum().backward(); l.grad
jvp(lambda a: a, (x,), (v,))[1] is v
jvp(lambda a: a, (x,), (v,))[0] is x
jvp(lambda a: a, (l,), (v,))
jvp(lambda a: a[0], (l,), (v,))
jvp(lambda a: l, (x,), (v,))
jvp(lambda a: l, (x,), (v,), strict=True)
jvp(lambda a: a.detach(), (l,), (v,), strict=True)
jvp(lambda a: (a, x), (l,), (v,), strict=True)
jvp(lambda a: a.sum(), (l,), (v,))
jvp(lambda a: a + l, (x,), (v,))
jvp(lambda a: a * a, (l,), (v,)) ## unnamed
jvp(lambda a: a * 3, (l,), (v,)) ## unnamed | differs: the tangent does not depend on the leaf
jvp(lambda a: a.int(), (x,), (v,))
jvp(lambda a: a.argmax(), (x,), (v,))
jvp(lambda a, b: a * b, (x, x), (v, c))
torch.set_grad_enabled(False); jvp(lambda a: a * l, (l,), (v.requires_grad_(),))
jvp(torch.no_grad()(lambda a: a * a), (l,), (v.requires_grad_(),))
f = torch.inference_mode()(lambda: jvp(lambda a: a * x, (x,), (v,))); [r.tolist() for r in f()]
f = torch.inference_mode()(lambda: grad_and_value(lambda a: (a * x * a).sum())(x)); [r.tolist() for r in f()]
jacrev(torch.sin).__name__, grad(torch.sin).__name__, hessian(torch.sin).__name__
grad(lambda a: (a.register_hook(lambda g: g * 2), (a * a).sum())[1])(x)
grad(lambda a: (a * a[0, 0].item()).sum())(x)
grad(lambda a: torch.autograd.grad((a ** 3).sum(), a, create_graph=True)[0].sum())(x)
grad(lambda a: torch.autograd.grad((a ** 3).sum(), a)[0].sum())(x)
grad(lambda a: (a * torch.ones(2, 3, dtype=torch.float64, requires_grad=True)).sum())(x)
grad(lambda a: (a * (torch.ones(2, 3, dtype=torch.float64, requires_grad=True) * 1)).sum())(x)
"""


def test_what_can_be_seen() -> None:
    run([f"l = leaf(2, 3, seed=8)\n{line}" for line in cases(FLAGS)])


IN_PLACE = """
grad(lambda a: a.mul_(2).sum())(x), x, x._version
grad(lambda a: (a * 1).mul_(2).sum())(x), x, x._version
grad(lambda a: a[0].mul_(2).sum())(x)
grad(lambda a: (a * 1)[0].mul_(2).sum())(x), x
grad(lambda a: (a.data.mul_(2), (a * a).sum())[1])(x), x
grad(torch.no_grad()(lambda a: a.mul_(2).sum()))(x), x, x._version
grad(lambda a: c.mul_(a).sum())(x) ## says: would mutate a captured Tensor
grad(lambda a: (c.mul_(2) * a).sum())(x) ## says: would mutate a captured Tensor
grad(lambda a: (c[0].zero_() * a).sum())(x) ## says: would mutate a captured Tensor
grad(torch.no_grad()(lambda a: (c.mul_(2) * a).sum()))(x) ## says: would mutate a captured Tensor
grad(lambda a: grad(lambda b: (b * a.mul_(2)).sum())(x).sum())(x) ## class
vjp(lambda a: a.mul_(2), x)
vjp(lambda a: c.mul_(a), x) ## says: would mutate a captured Tensor
jvp(lambda a: a.mul_(2), (x,), (v,)), x, v, x._version, v._version
jvp(lambda a: a[0].mul_(2), (x,), (v,)), x, v, x._version, v._version
jvp(lambda a: c.mul_(a), (x,), (v,)) ## says: would mutate a captured Tensor
jvp(lambda a: (c.mul_(2), a), (x,), (v,)) ## says: would mutate a captured Tensor
jvp(lambda a: a.mul_(2), (w,), (v,))
outer(jvp(lambda a: a.mul_(2), (w * 1,), (v,)), w)
jvp(torch.no_grad()(lambda a: a.mul_(2)), (x,), (v,)), x, v
grad(lambda a: filled(a).sum())(x), jvp(filled, (x,), (v,)), jacrev(filled)(x)
grad(lambda a: torch.zeros(2, 3).double().add_(a).sum())(x)
grad(lambda a: torch.ones_like(a).mul_(a).sum())(x)
grad(lambda a: torch.empty(2, 3, dtype=a.dtype).copy_(a).sum())(x)
grad(lambda a: torch.tensor([1.0, 2.0, 3.0], dtype=a.dtype).mul_(2).mul(a).sum())(x)
grad(lambda a: torch.as_tensor(np.ones(3)).mul_(2).mul(a).sum())(x)
grad(lambda a: torch.from_numpy(np.ones(3)).mul_(2).mul(a).sum())(x)
grad(lambda a: torch.arange(3.0).double().mul_(2).mul(a).sum())(x)
grad(lambda a: torch.eye(3).double().mul_(2).matmul(a[0]).sum())(x)
grad(lambda a: torch.full((3,), 2.0, dtype=a.dtype).mul_(2).mul(a).sum())(x)
grad(lambda a: torch.linspace(0, 1, 3, dtype=a.dtype).mul_(2).mul(a).sum())(x)
grad(lambda a: torch.rand(3).mul_(0).double().mul(a).sum())(x)
grad(lambda a: torch.randn_like(a).mul_(0).mul(a).sum())(x)
grad(lambda a: torch.randint(0, 5, (3,)).mul_(0).mul(a).sum())(x)
grad(lambda a: a.new_zeros(3).add_(a[0]).sum())(x)
grad(lambda a: (a > 0).logical_not_().mul(a).sum())(x)
grad(lambda a: torch.autograd.grad((a ** 2).sum(), a)[0].mul_(2).mul(a).sum())(x)
grad(lambda a: (c.clone().mul_(2) * a).sum())(x)
grad(lambda a: (c.detach().mul_(2) * a).sum())(x) ## says: would mutate a captured Tensor
grad(lambda a: (c.T.clone().mul_(2) * a.T).sum())(x)
grad(lambda a: a.expand(2, 2, 3).clone().mul_(2).sum())(x)
grad(lambda a: torch.cat([a, a]).mul_(2).sum())(x)
grad(lambda a: a.T.contiguous().mul_(2).sum())(x)
grad(lambda a: a.requires_grad_().sum())(x)
grad(lambda a: a.requires_grad_(False).sum())(x)
grad(lambda a: (a * torch.ones(3).double().requires_grad_()).sum())(x)
jvp(lambda a: a * torch.ones(3).double().requires_grad_(), (x,), (v,))
grad(lambda a: ((a * a).sum().backward(), a.sum())[1])(x)
grad(lambda a: (torch.autograd.backward((a * a).sum()), a.sum())[1])(x)
grad(lambda a: torch.autograd.functional.jacobian(lambda b: b * b, a).sum())(x)
grad(lambda a: (setattr(a, "requires_grad", False), a.sum())[1])(x)
"""


def test_writes_in_place() -> None:
    head = "def filled(a):\n    z = torch.zeros(2, 3, dtype=torch.float64); z[1] = a[0]; return z"
    run([f"{head}\n{line}" for line in cases(IN_PLACE)])


ARGUMENTS = """
grad(lambda a: a.sum())(t(3, dtype="int64"))
vjp(lambda a: a.sum(), t(3, dtype="bool"))
jacrev(lambda a: a.float())(t(3, dtype="int64"))
jacfwd(lambda a: a.float())(t(3, dtype="int64"))
jvp(lambda a: a, (t(3, dtype="int64"),), (t(3),))
jvp(lambda a: a, (t(3),), (t(3, dtype="int64"),))
grad(lambda a: a)(x)
grad(lambda a: a.sum().reshape(1))(x)
grad(lambda a: (a.sum(),))(x)
grad(lambda a: None)(x)
grad(lambda a: 3.0)(x)
grad(lambda a: a.sum().int())(x)
grad(lambda a: a.sum(), argnums=1)(x)
grad(lambda a: a.sum(), argnums=-1)(x)
grad(lambda a: a.sum(), argnums=-2)(x)
grad(lambda a: a.sum(), argnums=(0, 0))(x)
grad(lambda a: a.sum(), argnums=(0, -1))(x)
grad(lambda a: a.sum(), argnums=())(x)
grad(lambda a: a.sum(), argnums=1.5)(x)
grad(lambda a: a.sum(), argnums=[0])(x)
grad(lambda a: a.sum(), argnums=None)(x)
grad(lambda a, b: a.sum(), argnums=(0, 1.5))(x, x)
grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x, v)
grad(lambda a, b: (a * b).sum(), argnums=(1,))(x, v)
grad(lambda a, b: (a * b).sum(), argnums=(-1, 0))(x, v)
grad(lambda a, b: (a * b).sum())(x, 3)
grad(lambda a, b: (a * b).sum(), argnums=1)(x, 3)
grad(lambda a, k=1: (a * k).sum())(x, k=v)
grad(lambda a, k=1: (a * k).sum())(k=v, a=x)
grad(lambda a: a.sum(), has_aux=True)(x)
grad_and_value(lambda a: (a.sum(), a, a), has_aux=True)(x)
grad_and_value(lambda a: [a.sum(), a], has_aux=True)(x)
grad_and_value(lambda a: (a.sum(), a), has_aux=True)(x)
grad_and_value(lambda a, b: ((a * b).sum(), (a, {"k": b})), argnums=(0, 1), has_aux=True)(x, v)
grad(lambda a: a["a"].sum() * a["b"][0].sum())({"a": x, "b": [v]})
grad(lambda a, b: a["a"].sum() * b.sum(), argnums=(0, 1))({"a": x}, v)
grad(lambda a: a["a"].sum())({"a": x, "b": 3.0})
grad(lambda a: a[0].sum())((x, None))
grad(lambda a: (a[0] * a[1]).sum())((x, v))
grad(lambda a: (a[0] * a[1]).sum())([x, x])
grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x, x)
grad(lambda a: (a * a).sum())(t(3, dtype="complex128"))
grad(lambda a: (a * a).abs().sum())(t(3, dtype="complex128"))
grad(lambda a: (a * a).sum())(t(0))
grad(lambda: c.sum())()
vjp(lambda a: a.int(), x)
vjp(lambda a: (a, a.int()), x)
vjp(lambda a: None, x)
vjp(lambda a: (), x)
vjp(lambda a: (a, 3), x)
vjp(lambda a: 3, x)
vjp(lambda a: a, x, has_aux=True)
vjp(lambda a: a * a, 3.0)
vjp(lambda a: a, None)
vjp(lambda: c)[0]
vjp(lambda a: a * a, x)[1](v[:1])
vjp(lambda a: a * a, x)[1](v.float())
vjp(lambda a: a * a, x)[1]((v,))
vjp(lambda a: (a * a, a), x)[1](v)
vjp(lambda a: {"p": a * a, "q": (a, [a])}, x)[1]({"p": v})
vjp(lambda a: {"p": a * a, "q": (a, [a])}, x)[1]({"p": v, "q": (c, [v])})
vjp(lambda a: a * a, x)[1](1.0)
vjp(lambda a: a * a, x)[1](None)
vjp(lambda a: a.sum(), x)[1](None)
vjp(lambda a, b: a * b["k"], x, {"k": v})[1](c)
vjp(lambda a, b: (a, b), x, v)[1]((c, v))
vjp(lambda a, b: a * 2, x, v)[1](c)
vjp(lambda a: (a * 2, {"k": a}), x, has_aux=True)[2]
vjp(lambda a: (a * 2, 3), x, has_aux=True)
vjp(lambda a: a.exp() * (2 + 1j), t(3))[1](t(3, dtype="complex128"))
vjp(lambda a: a.real * a.imag, t(3, dtype="complex128"))[1](t(3))
jvp(lambda a: a, x, x)
jvp(lambda a: a, [x], [x])
jvp(lambda a: a, (x,), (x, x))
jvp(lambda a: a, (x,), x)
jvp(lambda a: a, (x,), [x])
jvp(lambda a: a, ({"k": x},), ({"j": x},)) ## class
jvp(lambda a: a, (), ())
jvp(lambda a: a, (3,), (3,))
jvp(lambda a: a, (x,), (3.0,))
jvp(lambda a: a * a, (x,), (v[:1],))
jvp(lambda a: a * a, (x,), (v[0],))
jvp(lambda a: 3, (x,), (x,))
jvp(lambda a: None, (x,), (x,))
jvp(lambda a: (), (x,), (x,))
jvp(lambda a: (a, 3), (x,), (x,))
jvp(lambda a: {"k": a * 2}, (x,), (v,))
jvp(lambda a: [a, (a * a,)], (x,), (v,))
jvp(lambda a: a["k"] * a["j"][0], ({"k": x, "j": [v]},), ({"k": v, "j": [c]},))
jvp(lambda a: a, (x,), (x,), has_aux=True)
jvp(lambda a: (a * 2, a * 3), (x,), (v,), has_aux=True)
jvp(lambda a: (a * 2, (a, {"k": c})), (x,), (v,), has_aux=True)
jvp(lambda a: (a * 2, 3), (x,), (v,), has_aux=True)
jvp(lambda a: a * a, (t(3, dtype="complex128"),), (t(3, dtype="complex128", seed=1),))
jvp(lambda a: a.abs(), (t(3, dtype="complex128"),), (t(3, dtype="complex128", seed=1),))
jacrev(lambda a: a, chunk_size=0)
jacrev(lambda a: a, chunk_size=-1)
jacrev(lambda a: a)(t(3, dtype="complex128"))
jacrev(lambda a: a + 1j)(x)
jacfwd(lambda a: a)(t(3, dtype="complex128"))
jacfwd(lambda a: a + 1j)(x)
jacrev(lambda a: {"a": a["u"].sum(), "b": (a["v"] * 2,)})({"u": x, "v": v})
jacfwd(lambda a: {"a": a["u"].sum(), "b": (a["v"] * 2,)})({"u": x, "v": v})
jacrev(lambda a, b: a * b, argnums=(0, 1))(x[0], v[0])
jacfwd(lambda a, b: a * b, argnums=(0, 1))(x[0], v[0])
jacfwd(lambda a, b: a * b, argnums=(1,))(x[0], v[0])
jacfwd(lambda a, b: a * b, argnums=-1)(x[0], v[0]) ## differs: PyTorch's are zeros for positions from the end
jacfwd(lambda a, b: a * b, argnums=None)(x[0], v[0])
jacrev(lambda a, b: a * b, argnums=None)(x[0], v[0])
jacrev(lambda a: a, argnums=2)(x)
jacfwd(lambda a: a, argnums=2)(x)
jacrev(lambda a: (a * a, {"k": a}), has_aux=True)(x[0])
jacfwd(lambda a: (a * a, {"k": a}), has_aux=True)(x[0])
jacrev(lambda a: (a * a, 3), has_aux=True)(x)
jacfwd(lambda a: (a * a, 3), has_aux=True)(x)
jacrev(lambda a: a, has_aux=True)(x)
jacrev(lambda a, k: a * k)(x, k=x)
jacfwd(lambda a, k: a * k)(x, k=x)
jacfwd(lambda a, k: a * k)(x[0], 3)
jacrev(lambda a, k: a * k)(x[0], 3)
jacrev(lambda a, k: a * k, argnums=1)(x, 3)
jacfwd(lambda a, k: a * k, argnums=1)(x, 3)
jacrev(lambda a: a[:0])(x[0])
jacfwd(lambda a: a)(x[0, :0])
jacrev(lambda a: a)(x[0, :0])
jacrev(lambda a: a.sum())(x), jacfwd(lambda a: a.sum())(x)
jacrev(lambda a: (a.sum(), a[0]), chunk_size=2)(x), jacrev(lambda a: (a.sum(), a[0]), chunk_size=1)(x)
jacrev(lambda a: (a.sum(), a[0]), chunk_size=100)(x)
jacrev(lambda a: c[0])(x), jacfwd(lambda a: c[0])(x)
jacrev(lambda a: a.float() ** 2)(x[0]), jacfwd(lambda a: a.float() ** 2)(x[0])
jacrev(lambda a: None)(x), 0
jacfwd(lambda a: None)(x), 0
hessian(lambda a: (a ** 3).sum())(x)
hessian(lambda a, b: (a ** 3 * b).sum(), argnums=(0, 1))(x[0], v[0])
hessian(lambda a: a ** 3)(x[0])
hessian(lambda a: (a["u"] ** 3 * a["v"]).sum())({"u": x[0], "v": v[0]})
jacfwd(lambda a: a * torch.rand(3), randomness="same")(x[0]).shape
jacfwd(lambda a: a * torch.rand(3))(x[0])
linearize(lambda a: a * a, x)[0], linearize(lambda a: a * a, x)[1](v)
linearize(lambda a, b: {"a": a * b["k"], "b": a}, x, {"k": v})[1](c, {"k": x})
linearize(lambda a: a * a, x)[1](v[:1])
linearize(lambda a: a * a, x)[1](v.float())
linearize(lambda a: a * a, x)[1](v, v)
linearize(lambda a: a * a, t(3, dtype="int64"))
linearize(lambda a: (a.exp(), a.sum()), x)[1](v)
linearize(lambda a: a * a.conj() * a, t(3, dtype="complex128"))[1](t(3, dtype="complex128", seed=1))
sorted(set(["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]) - set(func.__all__)), torch.vmap is func.vmap
"""


def test_arguments_and_results() -> None:
    run(cases(ARGUMENTS))


# With custom functions, dual levels and hooks
AMONG = """
grad(lambda a: Cube.apply(a).sum())(x)
grad(lambda a: (grad(lambda b: Cube.apply(b).sum())(a) * a).sum())(x)
jvp(Cube.apply, (x,), (v,))
jvp(grad(lambda a: Cube.apply(a).sum()), (x,), (v,))
jvp(lambda a: jvp(Cube.apply, (a,), (v,))[0], (x,), (c,))
jvp(lambda a: jvp(Cube.apply, (a,), (v,))[1], (x,), (c,)) ## differs: PyTorch's has lost that the saved argument has a tangent
grad(lambda a: jvp(Cube.apply, (a,), (v,))[1].sum())(x)
jacrev(lambda a: Cube.apply(a))(x), jacfwd(lambda a: Cube.apply(a))(x)
vmap(grad(lambda a: Cube.apply(a).sum()))(x)
vmap(lambda a: jvp(Cube.apply, (a,), (a,)))(x)
grad(lambda a: Old.apply(a).sum())(x)
jvp(Old.apply, (x,), (v,))
grad(lambda a: vjp(Cube.apply, a)[1](v)[0].sum())(x)
vjp(Cube.apply, x)[0], vjp(Cube.apply, x)[1](v)
jvp(Rigid.apply, (x,), (v,))
with fw.dual_level(): r = caught(lambda: jvp(lambda a: a, (x,), (v,)))
r
jvp(lambda a: fw.make_dual(a, v), (x,), (v,))
jvp(lambda a: fw.unpack_dual(a).tangent * a, (x,), (v,))
jvp(lambda a: inside(a), (x,), (v,))
grad(lambda a: inside(a).sum())(x), grad(lambda a: (a * inside(a)).sum())(x)
jacrev(inside)(x[0])
with fw.dual_level(): r = [tuple(fw.unpack_dual(grad(lambda a: (a ** 3).sum())(fw.make_dual(x, v))))]
r
with fw.dual_level(): r = [tuple(fw.unpack_dual(vjp(lambda a: a ** 3, x)[1](fw.make_dual(c, v))[0]))]
r
with fw.dual_level(): r = [tuple(fw.unpack_dual(e)) for e in flat(vjp(lambda a: a ** 3, fw.make_dual(x, v))[0])]
r
with fw.dual_level(): d = fw.make_dual(x, v); r = [tuple(fw.unpack_dual(jacrev(lambda a: a ** 3 * d[0])(d[1])))]
r
with fw.dual_level(): d = fw.make_dual(x, v); r = [tuple(fw.unpack_dual(vmap(lambda a: a ** 3 * d[0])(d)))]
r
"""

CLASSES = """
class Cube(torch.autograd.Function):
    generate_vmap_rule = True
    @staticmethod
    def forward(a): return a ** 3
    @staticmethod
    def setup_context(ctx, inputs, output): ctx.save_for_backward(*inputs); ctx.save_for_forward(*inputs)
    @staticmethod
    def backward(ctx, g): return 3 * ctx.saved_tensors[0] ** 2 * g
    @staticmethod
    def jvp(ctx, a): return 3 * ctx.saved_tensors[0] ** 2 * a
class Old(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a): ctx.save_for_backward(a); return a ** 3
    @staticmethod
    def backward(ctx, g): return 3 * ctx.saved_tensors[0] ** 2 * g
class Rigid(torch.autograd.Function):
    @staticmethod
    def forward(a): return a ** 3
    @staticmethod
    def setup_context(ctx, inputs, output): pass
def inside(a):
    with fw.dual_level(): return fw.unpack_dual(fw.make_dual(a, torch.ones_like(a)) * a).tangent
"""


def test_among_other_machinery() -> None:
    blocks: list[str] = []
    for line in cases(AMONG):
        if blocks and line == "r":
            blocks[-1] += "\nr"
        else:
            blocks.append(line)
    run([f"{CLASSES}\n{block}" for block in blocks])
