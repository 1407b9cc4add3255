"""backward, grad, grad modes and leaves: as PyTorch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

BACKWARD = """
a = leaf(3); (a * 2).sum().backward(); a.grad
a = leaf(3); (a * 2).sum().backward(); (a * a).sum().backward(); a.grad
a = leaf(3); b = leaf(3, seed=1); (a * b).sum().backward(); a.grad, b.grad, a.grad.requires_grad
a = leaf(3); (a * 2).backward(t(3, seed=1)); a.grad
a = leaf(3); (a * 2).backward(gradient=t(3, seed=1)); a.grad
a = leaf(3); (a * 2).backward()
a = leaf(1); (a * 2).backward(); a.grad
a = leaf(1, 1); (a * 2).backward(); a.grad
a = leaf(3); (a * 2).backward(t(2))
a = leaf(3); (a * 2).backward(t(1, 3))
a = leaf(3); (a * 2).sum().backward(torch.tensor(2.0, dtype=torch.float64)); a.grad
a = leaf(3); (a * 2).sum().backward(torch.tensor([2.0]))
a = leaf(3); (a * 2).sum().backward(torch.tensor(2)); a.grad
a = leaf(3); (a * 2).sum().backward(torch.tensor(2.0)); a.grad
a = leaf(3); (a * 2).sum().backward(2.0) ## class
a = leaf(3); (a * 2).backward(t(3, dtype="complex128"))
a = leaf(3, dtype="complex128"); (a * 2).sum().backward()
a = leaf(3, dtype="complex128"); (a * 2).sum().backward(torch.tensor(1j, dtype=torch.complex128)); a.grad
a = leaf(3, dtype="complex128"); (a * a.conj()).sum().real.backward(); a.grad
t(3).sum().backward()
torch.tensor(1).backward()
a = leaf(); a.backward(); a.grad
a = leaf(3); a.backward(t(3)); a.grad
a = leaf(3); y = (a * a).sum(); y.backward(); y.backward()
a = leaf(3); y = (a * a).sum(); y.backward(retain_graph=True); y.backward(); a.grad
a = leaf(3); y = (a + 1).sum(); y.backward(); y.backward(); a.grad
a = leaf(3); y = (a * 2).sum(); y.backward(); y.backward(); a.grad
a = leaf(3); y = a.view(3).permute(0).sum(); y.backward(); y.backward(); a.grad
a = leaf(3); y = a.exp().sum(); y.backward(); y.backward()
a = leaf(3); m = a * a; m.sum().backward(); (m * 2).sum().backward()
a = leaf(3); m = a * 3; y = m.exp(); y.sum().backward(); (m * 2).sum().backward(); a.grad
a = leaf(3); y = (a * a).sum(); y.backward(create_graph=True); a.grad ## unnamed
a = leaf(3); y = (a ** 3).sum(); y.backward(create_graph=True); a.grad.sum().backward(); a.grad ## unnamed
a = leaf(3); (a * a).sum().backward(retain_graph=None, create_graph=False, inputs=None); a.grad
a = leaf(3); b = leaf(3, seed=1); (a * b).sum().backward(inputs=[a]); a.grad, b.grad
a = leaf(3); b = leaf(3, seed=1); (a * b).sum().backward(inputs=a); a.grad, b.grad
a = leaf(3); m = a * 2; m.sum().backward(inputs=[m]); a.grad
a = leaf(3); (a * 2).sum().backward(inputs=[])
a = leaf(3); (a * 2).sum().backward(inputs=[t(3)]) ## class
a = leaf(3); torch.autograd.backward([(a * 2).sum(), (a * a).sum()]); a.grad
a = leaf(3); torch.autograd.backward((a * 2, a * a), (t(3), t(3, seed=1))); a.grad
a = leaf(3); torch.autograd.backward([a * 2, (a * a).sum()], [t(3), None]); a.grad
a = leaf(3); torch.autograd.backward(a * 2, t(3)); a.grad
a = leaf(3); torch.autograd.backward([a * 2, a * 3], [t(3)])
a = leaf(3); torch.autograd.backward([a * 2, t(3)], [t(3), t(3)])
a = leaf(3); y = (a * 2).sum(); torch.autograd.backward([y, y]); a.grad
a = leaf(3); y = (a * a).sum(); torch.autograd.backward([y, y * 2]); a.grad
a = leaf(3); m = a * a; torch.autograd.backward([m.sum(), (m * m).sum()]); a.grad
a = leaf(3); a.grad = t(3); (a * 2).sum().backward(); a.grad
a = leaf(3); a.grad = t(3, seed=1); g = a.grad; (a * 2).sum().backward(); g
a = leaf(3); (a * 2).sum().backward(); g = a.grad; (a * 2).sum().backward(); g is a.grad, g
a = leaf(3); (a * 2).sum().backward(); a.grad.zero_(); a.grad
a = leaf(3); (a * 2).sum().backward(); a.grad = None; a.grad
a = leaf(3); a.sum().backward(); g = a.grad; g += 1; a.grad
a = leaf(3); b = leaf(3, seed=1); (a + b).sum().backward(); a.grad += 1; b.grad
a = leaf(3); v = t(3); a.backward(v); v += 1; a.grad
a = leaf(3); v = t(3); (a + 1).backward(v); a.grad += 1; v
a = leaf(3); a.grad = t(2)
a = leaf(3); a.grad = t(3, dtype="float32") ## says: attempting to assign a gradient with dtype
a = leaf(3); a.grad = 1.0 ## class
a = leaf(3); a.grad = a ## class
a = leaf(3); del a.grad; a.grad
a = t(3); a.grad = t(3); a.grad
a = leaf(3); y = a * 2; y.sum().backward(); y.grad
a = leaf(3); y = a * 2; y.retain_grad(); y.sum().backward(); y.grad
a = leaf(2, 3, dtype="float32"); b = leaf(3, dtype="float64", seed=1); (a * b).sum().backward(); a.grad, b.grad
a = leaf(1, 3); b = leaf(2, 1, seed=1); (a * b + b).sum().backward(); a.grad, b.grad
a = leaf(3); y = a; [y := y * 1.1 for _ in range(50)]; y.sum().backward(); a.grad
a = leaf(3); (a[0] * a[1] + a[2].exp()).backward(); a.grad
a = leaf(3); y = a.detach() * 2; y.requires_grad, y.is_leaf
a = leaf(3); y = (a.detach() * a).sum(); y.backward(); a.grad
"""
GRAD = """
a = leaf(3); torch.autograd.grad((a * a).sum(), a)
a = leaf(3); torch.autograd.grad((a * a).sum(), [a])
a = leaf(3); torch.autograd.grad(a * a, a, t(3))
a = leaf(3); torch.autograd.grad(outputs=a * a, inputs=a, grad_outputs=t(3))
a = leaf(3); torch.autograd.grad(a * a, a)
a = leaf(3); torch.autograd.grad((a * a).sum(), a); a.grad
a = leaf(3); m = a * a; torch.autograd.grad(m.sum(), m)
a = leaf(3); m = a * a; n = m + 1; torch.autograd.grad((n * n).sum(), [m, n, a])
a = leaf(3); m = a * a; torch.autograd.grad((m * m).sum(), [a, m, a])
a = leaf(3); torch.autograd.grad(a, a, t(3))
a = leaf(3); b = leaf(3); torch.autograd.grad((a * 2).sum(), [a, b])
a = leaf(3); b = leaf(3); torch.autograd.grad((a * 2).sum(), [a, b], allow_unused=True)
a = leaf(3); b = leaf(3); torch.autograd.grad((a * 2).sum(), b, allow_unused=True)
a = leaf(3); b = leaf(3); torch.autograd.grad((a * 2).sum(), [a, b], materialize_grads=True)
a = leaf(3); torch.autograd.grad((a * 2).sum(), t(3))
a = leaf(3); torch.autograd.grad(t(3).sum(), a)
a = leaf(3); torch.autograd.grad((a * 2).sum(), [])
a = leaf(3); torch.autograd.grad([], a) ## class
a = leaf(3); torch.autograd.grad([(a * 2).sum(), (a * a).sum()], a)
a = leaf(3); torch.autograd.grad([a * 2, a * a], a, [t(3), t(3, seed=1)])
a = leaf(3); torch.autograd.grad([a * 2, a * a], a, [t(3)])
a = leaf(3); torch.autograd.grad(a * 2, a, t(2))
a = leaf(3); y = (a * a).sum(); torch.autograd.grad(y, a); torch.autograd.grad(y, a)
a = leaf(3); y = (a * a).sum(); torch.autograd.grad(y, a, retain_graph=True); torch.autograd.grad(y, a)
a = leaf(3); y = (a ** 3).sum(); g, = torch.autograd.grad(y, a, create_graph=True); h, = torch.autograd.grad(g.sum(), a, create_graph=True); k, = torch.autograd.grad(h.sum(), a); (g, h, k) ## unnamed
a = leaf(3); y = (a.sin() * a.exp()).sum(); g, = torch.autograd.grad(y, a, create_graph=True); pull(g, a) ## unnamed
a = leaf(3); y = (a * 2).sum(); g, = torch.autograd.grad(y, a, create_graph=True); g.requires_grad
a = leaf(3); y = a * 2; g, = torch.autograd.grad(y, a, t(3).requires_grad_(), create_graph=True); g.requires_grad
a = leaf(3); v = leaf(3, seed=1); g, = torch.autograd.grad(a * a, a, v, create_graph=True); pull(g, a, v) ## unnamed
a = leaf(3, 3); b = leaf(3, seed=1); g = torch.autograd.grad((a @ b).tanh().sum(), [a, b], create_graph=True); pull(g, a, b) ## unnamed
a = leaf(4); g, = torch.autograd.grad(a.softmax(0)[1], a, create_graph=True); pull(g, a) ## unnamed
a = leaf(4); g, = torch.autograd.grad((a.log_softmax(0) ** 2).sum(), a, create_graph=True); pull(g, a) ## unnamed
a = leaf(4); g, = torch.autograd.grad((a.std() * a.var()), a, create_graph=True); pull(g, a) ## unnamed
a = leaf(4); g, = torch.autograd.grad(a.max() * a.min() * a.amax(), a, create_graph=True); pull(g, a) ## unnamed
a = leaf(4); g, = torch.autograd.grad((a.cumsum(0) ** 3).sum(), a, create_graph=True); pull(g, a) ## unnamed
a = leaf(4); g, = torch.autograd.grad((a[[0, 0, 2]] ** 3).sum(), a, create_graph=True); pull(g, a) ## unnamed
a = leaf(2, 3); torch.autograd.grad(a.sum(), a, is_grads_batched=False)
"""
MODES = """
a = leaf(3); torch.set_grad_enabled(False); r = (a * 2).requires_grad; torch.set_grad_enabled(True); r
with torch.no_grad(): r = (leaf(3) * 2).requires_grad, torch.is_grad_enabled()

with torch.no_grad():
    with torch.enable_grad():
        r = (leaf(3) * 2).requires_grad
    s = torch.is_grad_enabled()
r, s, torch.is_grad_enabled()

with torch.set_grad_enabled(False):
    r = torch.is_grad_enabled()
r, torch.is_grad_enabled()

torch.set_grad_enabled(mode=False)
r = torch.is_grad_enabled()
torch.set_grad_enabled(True)
r, torch.is_grad_enabled()

@torch.no_grad()
def f(x, y=1):
    "doc"
    return (x * y).requires_grad, torch.is_grad_enabled()
f(leaf(3)), f(leaf(3), y=2), f.__name__, f.__doc__, torch.is_grad_enabled()

@torch.no_grad
def f(x):
    return (x * 2).requires_grad, torch.is_grad_enabled()
f(leaf(3)), f.__name__, torch.is_grad_enabled()

@torch.enable_grad()
def f(x):
    return (x * 2).requires_grad
with torch.no_grad():
    r = f(leaf(3))
r

@torch.enable_grad
def f(x):
    return (x * 2).requires_grad
with torch.no_grad():
    r = f(leaf(3))
r

@torch.set_grad_enabled(False)
def f(x):
    return (x * 2).requires_grad
r = torch.is_grad_enabled()
f(leaf(3)), r, torch.is_grad_enabled()

@torch.no_grad()
def f(n):
    return [torch.is_grad_enabled(), n and f(n - 1)]
f(2), torch.is_grad_enabled()

@torch.no_grad()
def f():
    yield torch.is_grad_enabled()
    yield torch.is_grad_enabled()
g = f()
r = [next(g), torch.is_grad_enabled(), next(g), torch.is_grad_enabled()]
r

@torch.no_grad()
def f():
    raise KeyError("inside")
caught(f), torch.is_grad_enabled()

mode = torch.no_grad()
with mode:
    with mode:
        r = torch.is_grad_enabled()
r, torch.is_grad_enabled() ## differs: the mode before the outer block comes back

try:
    with torch.no_grad():
        raise KeyError("inside")
except KeyError:
    pass
torch.is_grad_enabled()

with torch.no_grad():
    a = torch.ones(2, requires_grad=True)
    b = a * 2
    c = torch.tensor([1.0]).requires_grad_()
a.requires_grad, a.is_leaf, b.requires_grad, b.is_leaf, c.requires_grad

a = leaf(3)
with torch.no_grad():
    a -= 0.1 * a
a, a.is_leaf

a = leaf(3)
y = (a * a).sum()
with torch.no_grad():
    y.backward()
a.grad

a = leaf(3)
with torch.no_grad():
    g = caught(torch.autograd.grad, (a * a).sum(), a)
g

import threading
r = []
with torch.no_grad():
    thread = threading.Thread(target=lambda: r.append(torch.is_grad_enabled()))
    thread.start()
    thread.join()
r, torch.is_grad_enabled()

with torch.inference_mode():
    r = (leaf(3) * 2).requires_grad
r
"""
LEAVES = """
leaf(3).is_leaf, (leaf(3) * 2).is_leaf, t(3).is_leaf, (t(3) * 2).is_leaf
leaf(3).grad_fn, t(3).grad_fn
type((leaf(3) * 2).grad_fn.next_functions[0][0]).__name__
(leaf(3) * 2).grad_fn.next_functions
a = leaf(3); y = a * 2 + a.sum(); [(type(f).__name__, i) for f, i in y.grad_fn.next_functions]
a = leaf(3); y = (a * 2).exp().mean(); y.grad_fn.next_functions[0][0].next_functions[0][0].next_functions[0][0].variable is a
a = leaf(3); y = a * t(3); [type(f).__name__ for f, i in y.grad_fn.next_functions]
a = leaf(3); y = t(3) / a; [type(f).__name__ for f, i in y.grad_fn.next_functions]
a = leaf(3); y = a * 2; y.grad_fn is y.grad_fn, y.grad_fn == y.grad_fn, type(y.grad_fn).__name__
str((leaf(3) * 2).grad_fn)[:13], repr((leaf(3) * 2).grad_fn).startswith("<MulBackward0 object at 0x")
a = t(3); a.requires_grad_(), a.requires_grad
a = t(3); a.requires_grad = True; a
a = leaf(3); a.requires_grad_(False); a
a = leaf(3); a.requires_grad = False; a
a = leaf(3); y = a * 2; y.requires_grad_(); y.requires_grad = True; y.requires_grad
a = leaf(3); y = a * 2; y.requires_grad_(False)
a = leaf(3); y = a * 2; y.requires_grad = False
t(3, dtype="int64").requires_grad_()
a = t(3, dtype="int64"); a.requires_grad = True
a = t(3, dtype="bool"); a.requires_grad_(False); a
a = t(3, dtype="complex64"); a.requires_grad_(); a
a = t(3); a.requires_grad_("a") ## class
a = leaf(3); a.is_leaf = False ## class
a = leaf(3); a.grad_fn = None ## class
a = leaf(3); d = a.detach(); d.requires_grad, d.is_leaf, d.data_ptr() == a.data_ptr() if hasattr(d, "data_ptr") else True
a = leaf(3); y = (a * 2).detach(); y.requires_grad, y.is_leaf, y.grad_fn
a = leaf(3); d = a.data; d.requires_grad, d.is_leaf
a = leaf(3); a.data = t(3, seed=5); a
a = leaf(3); a.data = t(2, seed=5); a
a = leaf(3); y = (a * 3).sum(); a.data = t(3, seed=5); y.backward(); a.grad
a = leaf(3); y = (a * a).sum(); a.data = t(3, seed=5); y.backward(); a.grad
a = leaf(3); a.data = 3 ## class
a = leaf(3); a.data *= 2; a.data.add_(1); a
a = leaf(3); b = a.clone(); b.is_leaf, b.requires_grad, b.grad_fn.name()
a = leaf(3); b = a.to(torch.float32); b
a = leaf(3); b = a.to(torch.float64); b is a
a = leaf(3); b = a.float(); pull(b, a)
a = leaf(3); b = a.double(); b is a
a = leaf(3); b = a.long(); b.requires_grad, b.dtype
a = leaf(3); b = a > 0; b.requires_grad
a = leaf(3); b = a.argmax(); b.requires_grad
a = leaf(3); v, i = a.max(0); v.requires_grad, i.requires_grad
copy.deepcopy(leaf(3))
copy.deepcopy(leaf(3) * 2) ## says: Only Tensors created explicitly by the user (graph leaves) support the deepcopy
a = leaf(3); (a * 2).sum().backward(); b = copy.deepcopy(a); b.grad, b.grad is a.grad
a = t(3); b = copy.deepcopy({"x": [a, a]}); b["x"][0] is b["x"][1]
"""


@pytest.mark.parametrize("case", [*cases(BACKWARD), *cases(GRAD), *cases(LEAVES)])
def test_gradients(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(MODES, blocks=True))
def test_modes(case: str) -> None:
    agree(case)
