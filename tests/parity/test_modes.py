"""Grad and inference modes: nested, as decorators, and what may be done with what was made in them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases  # noqa: E402

INFERENCE = """
with torch.inference_mode():
    a = torch.ones(3)
a, a.is_inference(), a.requires_grad, a.is_leaf

with torch.inference_mode():
    a = torch.ones(3)
a * leaf(3, dtype="float32")

with torch.inference_mode():
    a = torch.ones(3)
a + leaf(3, dtype="float32")

with torch.inference_mode():
    a = torch.ones(3)
a.mul_(2)

with torch.inference_mode():
    a = torch.ones(3)
a[0] = 1

with torch.inference_mode():
    a = torch.ones(3)
a._version

with torch.inference_mode():
    a = torch.ones(3)
a.requires_grad_()

with torch.inference_mode():
    a = torch.ones(3)
a.requires_grad = True

a = leaf(3) * 1
with torch.inference_mode():
    v = a[:2]
    r = v.is_inference(), v._base is a
r, v.requires_grad

a = leaf(3) * 1
with torch.inference_mode():
    v = a[:2]
v.mul_(2)

a = leaf(3) * 1
with torch.inference_mode():
    v = a[:2]
a.mul_(2); v.grad_fn

a = leaf(3) * 1
with torch.inference_mode():
    a.mul_(2)
a, a._version

a = leaf(3)
with torch.inference_mode():
    a.mul_(2)
a

a = leaf(3); y = a.exp()
with torch.inference_mode():
    y.mul_(2)
y.sum().backward() ## says: is at version 1; expected version 0 instead

with torch.inference_mode():
    a = torch.ones(3, requires_grad=True); b = a * 2
    r = a.requires_grad, b.requires_grad, a.is_leaf, b.grad_fn, a.is_inference(), b.is_inference()
r

with torch.inference_mode():
    a = torch.ones(3)
v = a[:2]; v.is_inference(), a.clone().is_inference(), (a * 2).is_inference(), a.detach().is_inference()

with torch.inference_mode():
    with torch.inference_mode(False):
        b = torch.ones(3, requires_grad=True)
        r = (b * 2).requires_grad, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), b.is_inference()
    q = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
r, q, torch.is_grad_enabled(), torch.is_inference_mode_enabled()

with torch.inference_mode():
    a = torch.ones(3)
b = torch.ones(3); b.copy_(a); b.add_(a); b._version, b.is_inference()

with torch.inference_mode():
    a = torch.ones(3)
b = torch.ones(3, requires_grad=True) * 1; b.copy_(a); b.add_(a); b.mul(2)

with torch.inference_mode():
    a = torch.ones(3)
with torch.no_grad():
    r = a * torch.ones(3, requires_grad=True), (a * 2).is_inference()
r

with torch.inference_mode():
    a = torch.ones(3)
class F1(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, a):
        ctx.save_for_backward(a)
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g, None
F1.apply(torch.ones(3, requires_grad=True), a)

with torch.inference_mode():
    a = torch.ones(3); v = a[:2]; r = v._base is a; a.mul_(2); v.mul_(3)
r, a, v

with torch.inference_mode():
    a = torch.ones(3)
v = a[:2]
v.mul_(2)

@torch.inference_mode()
def f(x):
    return x * 2
r = f(leaf(3)); r, r.is_inference(), torch.is_inference_mode_enabled()

@torch.inference_mode
def f(x):
    return x * 2
f(leaf(3)).is_inference()

@torch.inference_mode()
def f():
    yield torch.is_inference_mode_enabled()
    yield torch.ones(2).is_inference()
list(f()), torch.is_inference_mode_enabled()

a = leaf(3)
y = (a * 2).sum()
with torch.inference_mode():
    y.backward()
a.grad

with torch.inference_mode():
    torch.ones(2, requires_grad=True).sum().backward()

with torch.inference_mode():
    a = torch.ones(3)
copy.deepcopy(a).is_inference(), a.clone().mul_(2)

def fail():
    with torch.inference_mode():
        raise ValueError("x")
e = caught(fail)
e, torch.is_inference_mode_enabled(), torch.is_grad_enabled()
"""

MODES = """
@torch.no_grad()
def f(x):
    return (x * 2).requires_grad
f(leaf(2)), f.__name__

with torch.no_grad():
    with torch.enable_grad():
        r = (leaf(2) * 2).requires_grad
    q = (leaf(2) * 2).requires_grad
r, q

@torch.set_grad_enabled(False)
def f(x):
    return (x * 2).requires_grad
f(leaf(2)), torch.is_grad_enabled()

torch.set_grad_enabled(False)
r = (leaf(2) * 2).requires_grad
torch.set_grad_enabled(True)
r, (leaf(2) * 2).requires_grad

with torch.set_grad_enabled(False):
    r = torch.is_grad_enabled()
r, torch.is_grad_enabled()

@torch.no_grad()
def f():
    x = yield torch.is_grad_enabled()
    try:
        yield x, torch.is_grad_enabled()
    except ValueError:
        yield "caught", torch.is_grad_enabled()
    return 5
g = f()
next(g), torch.is_grad_enabled(), g.send(3), g.throw(ValueError("x")), torch.is_grad_enabled()

import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    @torch.no_grad()
    class C:
        def __init__(self):
            self.inside = torch.is_grad_enabled()
        def method(self):
            return torch.is_grad_enabled()
C().inside, C().method()

with torch.autograd.set_multithreading_enabled(False):
    a = leaf(3); (a * 2).sum().backward()
a.grad

a = leaf(3)
with torch.no_grad():
    v = a[:2]
    v.add_(1)
a, v._base is a, v.requires_grad, v.is_leaf, a._version ## differs: a write that is not tracked changes no history, so that the view can still be asked for its own

a = leaf(3) * 1
with torch.no_grad():
    v = a[:2]
v.mul_(2)

a = leaf(3) * 1
with torch.no_grad():
    v = a[:2]
w = v[:1]
w.mul_(2) ## says: created in no_grad mode and is being modified inplace with grad mode enabled

a = leaf(3) * 1
with torch.no_grad():
    v = a[:2]
a.mul_(2)
v.grad_fn

a = t(3)
with torch.no_grad():
    v = a[:2]
a.mul_(leaf(3))
v.grad_fn

a = t(3)
with torch.no_grad():
    v = a[:2]
v.mul_(leaf(2))

a = t(3)
with torch.no_grad():
    v = a[:2]
v.mul_(2)
a

a = t(4); b, c = a.split(2)
b.mul_(2); a, b._base is a

a = leaf(4) * 1; b, c = a.split(2)
b.mul_(2)

a = leaf(4) * 1; b, c = a.chunk(2)
b.mul_(2)

a = leaf(2, 2) * 1; b, c = a.unbind()
b.mul_(2)

a = leaf(4) * 1; b, c = a.split(2)
b[0].mul_(2)

a = t(4); b, c = a.split(2)
b.mul_(leaf(2))

a = leaf(4) * 1; b, c = a.split(2)
a.mul_(2)
b.grad_fn

a = leaf(4) * 1; b, c = a.split(2)
with torch.no_grad():
    b.mul_(2)
pull(a, a)

a = leaf(4); b, c = a.split(2)
b.mul_(2)

a = leaf(4); b, c = a.split(2)
with torch.no_grad():
    b.mul_(2)
a

a = leaf(3, 2) * 1
for row in a:
    row.mul_(2)
"""


@pytest.mark.parametrize("case", cases(INFERENCE, blocks=True))
def test_inference(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(MODES, blocks=True))
def test_modes(case: str) -> None:
    agree(case)
