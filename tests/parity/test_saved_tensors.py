"""Hooks of saved tensors, mutation of saved tensors, anomaly mode, checkpoints: as PyTorch's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases  # noqa: E402

SAVED = """
log = []
def pack(x):
    log.append((x.detach().clone(), x.requires_grad, x.is_leaf, "" if x.grad_fn is None else x.grad_fn.name()))
    return x
a = leaf(3); b = a * 2
with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
    y = b.exp(); z = b * b; w = a * 3; q = a * a; v = b * a
log, y.grad_fn._saved_result, z.grad_fn._saved_self, pull(y + z + w + q + v, a)

# what is packed may be anything
a = leaf(3)
with torch.autograd.graph.saved_tensors_hooks(lambda x: x.numpy(force=True) if False else x.tolist(), lambda x: torch.tensor(x, dtype=torch.float64)):
    y = (a * a).exp().sum()
pull(y, a)

# the innermost hooks count
log = []
a = leaf(3)
with torch.autograd.graph.saved_tensors_hooks(lambda x: (log.append("outer"), x)[1], lambda x: x):
    y = a.exp()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (log.append("inner"), x)[1], lambda x: x * 2):
        z = y.exp()
    w = z.exp()
log, pull(w, a)

with torch.autograd.graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda x: x):
    r = leaf(3).clone() ** 2
r

with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: 3):
    y = leaf(3).clone() ** 2
y.sum().backward()

# an error on the way in leaves no hooks behind
def fail(x):
    raise ValueError("no")
def attempt():
    with torch.autograd.graph.saved_tensors_hooks(fail, lambda x: x):
        return leaf(3).exp()
a = leaf(3)
caught(attempt), pull(a.exp(), a)

# in place: what was there before is packed
log = []
a = leaf(2).clone() * 3; w = leaf(2, seed=1)
with torch.autograd.graph.saved_tensors_hooks(lambda x: (log.append(x.detach().clone()), x)[1], lambda x: x):
    a.mul_(w)
    a.exp_()
a.sum().backward()
w.grad, sorted([x.tolist() for x in log])

# what the hook returned is not watched for writes
a = leaf(2).clone() * 3; w = leaf(2, seed=1)
with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
    y = a * w
a.add_(1); y.sum().backward(); w.grad

# freed after backward as always
a = leaf(3)
with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
    y = a.exp().sum()
y.backward(); y.backward()

# second order through packed tensors
a = leaf(3)
with torch.autograd.graph.saved_tensors_hooks(lambda x: x * 2, lambda x: x / 2):
    y = (a.exp() * a).sum()
    g, = torch.autograd.grad(y, a, create_graph=True)
g, pull(g, a)

class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(x, None, y)
        return y
    @staticmethod
    def backward(ctx, g):
        x, none, y = ctx.saved_tensors
        return g * y + 0 * x
log = []
a = leaf(3)
with torch.autograd.graph.saved_tensors_hooks(lambda x: (log.append(1), x * 1)[1], lambda x: x):
    y = Exp.apply(a)
pull(y, a), log

with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        r = 1
r

with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        r = 1
r

@torch.autograd.graph.disable_saved_tensors_hooks("not here")
def f():
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        return 1
f()

a = leaf(3)
with torch.autograd.graph.save_on_cpu():
    y = (a * a).exp().sum()
pull(y, a)

a = leaf(3)
with torch.autograd.graph.save_on_cpu(pin_memory=False):
    y = (a * a).exp().sum()
pull(y, a)

a = leaf(3).clone() * 3
with torch.autograd.graph.allow_mutation_on_saved_tensors():
    y = a * a; z = a.exp(); a.sin_(); v = a[:2]; w = v * v; a.zero_(); z.add_(1)
    y.sum().backward(retain_graph=True); w.sum().backward()
    r = z.sum().backward()
a

b = leaf(3)
a = b * 3
with torch.autograd.graph.allow_mutation_on_saved_tensors():
    y = a * a; a.sin_(); z = a * y; y.zero_()
    (z + a).sum().backward()
b.grad

a = leaf(3).clone() * 3
with torch.autograd.graph.allow_mutation_on_saved_tensors():
    y = a * a; a.sin_()
caught(y.sum().backward) is not None and str(caught(y.sum().backward))

with torch.autograd.graph.allow_mutation_on_saved_tensors():
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        r = 1
r
"""

ANOMALY = """
import warnings
def told(function):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        r = caught(function)
    text = [(w.category.__name__, str(w.message).replace("tapegrad", "torch")) for w in seen]
    return r, [(kind, t.split("(Triggered")[0].split(" Traceback of")[0].strip()) for kind, t in text], ["y = (x.sqrt() * 0).sum()  # here" in t for _, t in text]

def f():
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with torch.autograd.detect_anomaly():
        y = (x.sqrt() * 0).sum()  # here
        y.backward()
f()

def f():
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    y = (x.sqrt() * 0).sum()
    with torch.autograd.set_detect_anomaly(True):
        y.backward()
f()

x = torch.tensor([-1.0, 2.0], requires_grad=True)
with torch.autograd.detect_anomaly(check_nan=False):
    y = (x.sqrt() * 0).sum()
    r = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    y.backward()
r, x.grad, torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()

torch.autograd.set_detect_anomaly(True, check_nan=False)
r = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
torch.autograd.set_detect_anomaly(False)
r, torch.is_anomaly_enabled()

x = leaf(3)
with torch.autograd.detect_anomaly():
    y = (x * x).sum()
    g, = torch.autograd.grad(y, x, create_graph=True)
    z = g.exp().sum()
pull(z, x)

a = leaf(3); b = t(3)
with torch.autograd.set_detect_anomaly(True):
    y = a * b
    b.add_(1)
    y.sum().backward()
a ## says: one of the variables needed for gradient computation has been modified by an inplace operation: [torch.DoubleTensor [3]] is at version 1; expected version 0 instead
"""

CHECKPOINT = """
from contextlib import nullcontext
cp = torch.utils.checkpoint.checkpoint
a, b = leaf(3), leaf(3, seed=1)
def f(x, y, k=1):
    return (x * y).sin() * k
y = cp(f, a, b, k=3, use_reentrant=False)
y.grad_fn.name(), pull(y, a, b)

cp = torch.utils.checkpoint.checkpoint
a, b = leaf(3), leaf(3, seed=1)
y = cp(lambda x, y: (x * y).sin(), a, b, use_reentrant=True)
s = (y * y).sum(); s.backward()
y.grad_fn.name(), a.grad, b.grad

cp = torch.utils.checkpoint.checkpoint
a, b = leaf(3), t(3, seed=1)
y, n, z = cp(lambda x, y: (x.sin(), 3, (x * y).exp()), a, b, use_reentrant=False)
n, pull((y, z), a)

# nested
cp = torch.utils.checkpoint.checkpoint
count = [0]
def inner(x):
    count[0] += 1
    return x.sin().exp()
def outer(x):
    return cp(inner, x.cos(), use_reentrant=False) * x
a = leaf(3)
y = cp(outer, a, use_reentrant=False)
pull(y, a), count

# second order through a checkpoint
cp = torch.utils.checkpoint.checkpoint
a = leaf(3)
y = cp(lambda x: x.sin() * x, a, use_reentrant=False)
g, = torch.autograd.grad(y.sum(), a, create_graph=True)
g, pull(g, a)

cp = torch.utils.checkpoint.checkpoint
count = [0]
def f(x):
    count[0] += 1
    return x.sin().cos()
a = leaf(3)
s = cp(f, a, use_reentrant=False).sum()
s.backward(retain_graph=True); s.backward()
a.grad, count

cp = torch.utils.checkpoint.checkpoint
a = leaf(3)
s = cp(lambda x: x.sin().cos(), a, use_reentrant=False).sum()
s.backward(); s.backward()

cp = torch.utils.checkpoint.checkpoint
a = leaf(3)
y = cp(lambda x: x.sin().cos(), a, use_reentrant=True)
torch.autograd.grad(y.sum(), a) ## says: is incompatible with .grad() or passing an `inputs` parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing the `inputs` argument.

cp = torch.utils.checkpoint.checkpoint
a = leaf(3)
cp(lambda x: x.detach(), a, use_reentrant=True).sum().backward()

torch.utils.checkpoint.checkpoint(lambda x, k: x, leaf(3), k=3, use_reentrant=True)

torch.utils.checkpoint.checkpoint(lambda x: x, leaf(3), debug=True, use_reentrant=True)

torch.utils.checkpoint.checkpoint(lambda x: x, leaf(3), determinism_check="x", use_reentrant=False) ## class

cp = torch.utils.checkpoint.checkpoint
count = [0]
def f(x):
    count[0] += 1
    return x.sin() if count[0] > 1 else x.sin().exp().cos()
cp(f, leaf(3), use_reentrant=False).sum().backward() ## says: Number of tensors saved during recomputation: 1

cp = torch.utils.checkpoint.checkpoint
count = [0]
def f(x):
    count[0] += 1
    return (x * torch.ones(count[0], 3)).sin().sum(0)
cp(f, leaf(3), use_reentrant=False).sum().backward() ## says: have different metadata than during the forward pass

# early stop: the rest of the function is not run again
cp = torch.utils.checkpoint.checkpoint
log = []
def f(x):
    y = x.sin()
    log.append(1)
    return y + 1
a = leaf(3)
cp(f, a, use_reentrant=False).sum().backward()
with torch.utils.checkpoint.set_checkpoint_early_stop(False):
    y = cp(f, a, use_reentrant=False).sum()
    y.backward()
log, a.grad

# an argument written to in between
cp = torch.utils.checkpoint.checkpoint
a = leaf(3).clone()
b = a * 1
y = cp(lambda x: x.sin(), b, use_reentrant=False)
b.add_(1)
y.sum().backward() ## says: modified by an inplace operation

cp = torch.utils.checkpoint.checkpoint
a = leaf(3)
with torch.no_grad():
    y = cp(lambda x: x.sin(), a, use_reentrant=False)
y.requires_grad

cs = torch.utils.checkpoint.checkpoint_sequential
a = leaf(3)
y = cs([torch.sin, torch.exp, torch.cos, torch.sin, torch.tanh], 2, a, use_reentrant=False)
pull(y, a)

cp = torch.utils.checkpoint.checkpoint
log = []
import contextlib
@contextlib.contextmanager
def noted(name):
    log.append(name)
    yield
    log.append("end " + name)
a = leaf(3)
y = cp(lambda x: x.sin().exp(), a, use_reentrant=False, context_fn=lambda: (noted("forward"), noted("again")))
y.sum().backward()
log, a.grad

# hooks and in-place inside
cp = torch.utils.checkpoint.checkpoint
log = []
def f(x):
    y = x.sin()
    y.mul_(2)
    return y.exp()
a = leaf(3)
y = cp(f, a, use_reentrant=False)
y.register_hook(lambda g: log.append(g))
pull(y, a), log
"""


@pytest.mark.parametrize("case", cases(SAVED, blocks=True))
def test_saved(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(ANOMALY, blocks=True))
def test_anomaly(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(CHECKPOINT, blocks=True))
def test_checkpoint(case: str) -> None:
    agree(case)
