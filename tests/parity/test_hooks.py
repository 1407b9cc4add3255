"""Hooks on tensors and nodes, kept gradients, gradient edges: order, values and errors as PyTorch's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases  # noqa: E402

LINES = """
a = leaf(3); h = a.register_hook(lambda g: g * 2); (a * 3).sum().backward(); a.grad
a = leaf(3); h = a.register_hook(lambda g: None); (a * 3).sum().backward(); a.grad
a = leaf(3); h = a.register_hook(lambda g: g * 2); h.remove(); h.remove(); (a * 3).sum().backward(); a.grad
a = leaf(3); h = a.register_hook(lambda g: g * 2); b = a * 3; b.sum().backward(); b = a * 3; b.sum().backward(); a.grad
a = leaf(3); y = a * 2; y.register_hook(lambda g: g + 1); y.register_hook(lambda g: g * 10); (y * y).sum().backward(); a.grad
a = leaf(3); y = a * 2; y.register_hook(lambda g: g * 10); torch.autograd.grad((y * y).sum(), [y, a])
a = leaf(3); y = a * 2; y.register_hook(lambda g: g * 10); torch.autograd.grad((y * y).sum(), [y])
a = leaf(3); y = a * 2; y.register_hook(lambda g: g * g); g, = torch.autograd.grad((y * y).sum(), a, create_graph=True); pull(g, a)
a = leaf(3); y = a * 2; y.retain_grad(); (y * y).sum().backward(); y.grad, a.grad
a = leaf(3); y = a * 2; y.retain_grad(); z = (y * y).sum(); z.backward(retain_graph=True); z.backward(); y.grad, a.grad
a = leaf(3); y = a * 2; y.retain_grad(); y.register_hook(lambda g: g * 10); (y * y).sum().backward(); y.grad, a.grad
a = leaf(3); y = a * 2; y.register_hook(lambda g: g * 10); y.retain_grad(); (y * y).sum().backward(); y.grad, a.grad
a = leaf(3); y = a * 2; y.retain_grad(); y.retain_grad(); (y * y).sum().backward(); y.grad, y.retains_grad
a = leaf(3); a.retain_grad(); (a * a).sum().backward(); a.grad, a.retains_grad
a = leaf(3); y = a * 2; y.retain_grad(); y.mul_(3); (y * 2).sum().backward(); y.grad, a.grad, y.retains_grad
a = leaf(4); b = a * 2; y = b[:2]; y.retain_grad(); y.mul_(3); (b * 2).sum().backward(); a.grad, y.retains_grad
a = leaf(4); b = a * 2; b.retain_grad(); b[:2].mul_(3); (b * 2).sum().backward(); a.grad, b.grad
a = leaf(3); y = a * 2; y.retain_grad(); (y * y).sum().backward(create_graph=True); y.grad, y.grad.requires_grad
a = leaf(3); y = a * 2; (y * y).sum().backward(inputs=[y]); y.grad, a.grad, y.retains_grad
a = leaf(3); y = a * 2; (y * y).sum().backward(inputs=[y, a]); y.grad, a.grad
a = leaf(3); b = leaf(3); (a * b).sum().backward(inputs=a); a.grad, b.grad
a = leaf(3); (a * 2).sum().backward(inputs=[])
a = leaf(3); (a * 2).sum().backward(inputs=[t(3)])
t(3).retain_grad()
t(3).register_hook(lambda g: g)
t(3).register_post_accumulate_grad_hook(lambda x: None)
(leaf(3) * 2).register_post_accumulate_grad_hook(lambda x: None)
a = leaf(3); a.register_hook(lambda g: 3); (a * 2).sum().backward()
a = leaf(3); a.register_hook(lambda g: g[:2]); (a * 2).sum().backward()
a = leaf(3); a.register_hook(lambda g: g.float()); (a * 2).sum().backward()
a = leaf(3); y = a * 2; y.register_hook(lambda g: g.float()); y.sum().backward()
a = leaf(3); a.register_post_accumulate_grad_hook(lambda x: 3); (a * 2).sum().backward()
a = leaf(3); a.register_post_accumulate_grad_hook(lambda x: x.grad.mul_(2) and None if False else None); (a * 2).sum().backward(); a.grad
a = leaf(3); y = a * 2; h = y.grad_fn.register_hook(lambda gi, go: (gi[0] * 5, *gi[1:])); y.sum().backward(); a.grad
a = leaf(3); y = a * 2; h = y.grad_fn.register_prehook(lambda go: (go[0] * 5,)); y.sum().backward(); a.grad
a = leaf(3); y = a * 2; y.grad_fn.register_prehook(lambda go: go[0]); y.sum().backward()
a = leaf(3); y = a * 2; y.grad_fn.register_prehook(lambda go: (go[0], go[0])); y.sum().backward()
a = leaf(3); y = a * 2; y.grad_fn.register_hook(lambda gi, go: gi[0]); y.sum().backward()
a = leaf(3); y = a * 2; y.grad_fn.register_hook(lambda gi, go: ()); y.sum().backward()
a = leaf(3); y = a * 2; y.grad_fn.register_hook(lambda gi, go: (gi[0], gi[0])); y.sum().backward()
a = leaf(3); y = a * 2; y.grad_fn.register_hook(lambda gi, go: (gi[0][:2], None)); y.sum().backward()
a = leaf(3); y = a * t(2, 3); seen = []; y.grad_fn.register_hook(lambda gi, go: seen.append((gi, go))); y.sum().backward(); seen
a = leaf(3); y = a * 2; y.grad_fn.metadata["k"] = 3; y.grad_fn.metadata, y.grad_fn.name(), y.grad_fn is y.grad_fn
a = leaf(3); y = a * 2; e = torch.autograd.graph.get_gradient_edge(y); torch.autograd.grad((y * 3).sum(), e)
a = leaf(3); y = a * 2; e = torch.autograd.graph.get_gradient_edge(y); torch.autograd.grad(e, a, t(3))
a = leaf(3); y = a * 2; e = torch.autograd.graph.get_gradient_edge(y); torch.autograd.backward(e, t(3)); a.grad
a = leaf(3); e = torch.autograd.graph.get_gradient_edge(a); type(e.node).__name__, e.output_nr, e.node.variable is a
a = leaf(3); e = torch.autograd.graph.get_gradient_edge(a); torch.autograd.grad((a * 2).sum(), [e, a])
torch.autograd.graph.get_gradient_edge(t(3))
a = leaf(3); y = a * 2; [type(n).__name__ for n, _ in y.grad_fn.next_functions if n is not None]
a = leaf(3); y = a.exp(); y.grad_fn._saved_result
a = leaf(3); y = a * a; y.grad_fn._saved_self, y.grad_fn._saved_other
a = leaf(3); y = a * a; y.sum().backward(); y.grad_fn._saved_self
a = leaf(3); y = a * a; y.grad_fn._saved_nothing ## class
torch.autograd.graph.increment_version(3)
a = t(3); torch.autograd.graph.increment_version(a); torch.autograd.graph.increment_version([a, a]); a._version
a = leaf(3); b = t(3); y = a * b; torch.autograd.graph.increment_version(b); y.sum().backward() ## says: is at version 1; expected version 0 instead
torch.autograd.graph.register_multi_grad_hook([leaf(2)], lambda g: None, mode="x")
a = leaf(3); y = a * 2; y.grad_fn.next_functions[0][0].register_hook(lambda gi, go: (go,)) and None; y.sum().backward(); a.grad
"""

BLOCKS = """
log = []
a = leaf(3); y = a * 2; z = y * 3
y.register_hook(lambda g: log.append(("first", g)))
y.retain_grad()
y.register_hook(lambda g: (log.append(("second", g)), g * 10)[1])
y.grad_fn.register_prehook(lambda gs: log.append(("pre", gs)))
y.grad_fn.register_hook(lambda gi, go: log.append(("post", gi, go)))
a.register_hook(lambda g: log.append(("leaf", g)))
a.register_post_accumulate_grad_hook(lambda x: log.append(("accumulated", x.grad)))
node = y.grad_fn.next_functions[0][0]
node.register_prehook(lambda gs: log.append(("leaf pre", gs)))
node.register_hook(lambda gi, go: log.append(("leaf post", gi, go)))
z.sum().backward()
log, y.grad, a.grad

log = []
a = leaf(3); y = a * 2; z = y * 3
y.register_hook(lambda g: (log.append("hook"), g * 10)[1])
y.grad_fn.register_prehook(lambda gs: (log.append("pre"), (gs[0] * 100,))[1])
y.retain_grad()
first = torch.autograd.grad(z.sum(), [y], retain_graph=True)
log.append("again")
first, torch.autograd.grad(z.sum(), [y, a]), log, y.grad

log = []
a = leaf(3); z = a * 3
a.register_hook(lambda g: (log.append("hook"), g * 10)[1])
a.register_post_accumulate_grad_hook(lambda x: log.append("accumulated"))
node = torch.autograd.graph.get_gradient_edge(a).node
node.register_prehook(lambda gs: (log.append("pre"), (gs[0] * 100,))[1])
node.register_hook(lambda gi, go: log.append(("post", gi, go)))
g = torch.autograd.grad(z.sum(), [a], retain_graph=True)
log.append("backward")
z.sum().backward(inputs=[a])
g, log, a.grad

log = []
v, w, a = leaf(3), leaf(3, seed=1), leaf(3, seed=2)
for name, x in (("v", v), ("w", w)):
    x.register_post_accumulate_grad_hook(lambda x, name=name: log.append((name, x.grad)))
y = a * v
y.register_hook(lambda g: log.append("y"))
z = y * w
z.register_hook(lambda g: log.append("z"))
z.sum().backward()
log

# optimiser in backward: the gradient is used and freed as soon as it is there
params = [leaf(3, seed=i) for i in range(3)]
def step(p):
    with torch.no_grad():
        p -= 0.1 * p.grad
    p.grad = None
for p in params:
    p.register_post_accumulate_grad_hook(step)
for _ in range(2):
    x = t(3)
    for p in params:
        x = (x * p).tanh()
    x.sum().backward()
params, [p.grad for p in params]

# a leaf used several times is ready once
log = []
a = leaf(3)
a.register_post_accumulate_grad_hook(lambda x: log.append(x.grad.clone()))
b = a * 2
c = a * b
(a + b * c).sum().backward()
log

log = []
a, b = leaf(2), leaf(2, seed=1)
c = a * b
d = b * 3
h = torch.autograd.graph.register_multi_grad_hook((a, b, c), lambda gs: log.append(list(gs)))
c.sum().backward(retain_graph=True)
d.sum().backward(retain_graph=True)
c.sum().backward(inputs=[a], retain_graph=True)
h.remove()
c.sum().backward()
log

log = []
a, b = leaf(2), leaf(2, seed=1)
c = a * b
h = torch.autograd.graph.register_multi_grad_hook((a, c), lambda g: log.append(g), mode="any")
c.sum().backward(retain_graph=True)
c.sum().backward(retain_graph=True)
h.remove()
c.sum().backward()
log

log = []
a = leaf(3)
y = a * 2
with y.register_hook(lambda g: log.append(g)):
    y.sum().backward(retain_graph=True)
y.sum().backward()
log

log = []
a = leaf(3); y = a * 2
y.register_hook(lambda g: log.append(("before", g)))
y.retain_grad()
y.mul_(3)
y.register_hook(lambda g: log.append(("after", g)))
y.sum().backward()
log, y.grad

# hooks run in the grad mode of the backward, and may be removed or added by hooks
log = []
a = leaf(3); y = a * 2
y.register_hook(lambda g: log.append((torch.is_grad_enabled(), g.requires_grad)))
y.sum().backward(retain_graph=True)
(y * a).sum().backward(create_graph=True)
log

# several outputs of a Function: a hook belongs to one of them
class Two(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2, x * 3
    @staticmethod
    def backward(ctx, g, h):
        return g * 2 + h * 3
log = []
a = leaf(3); y, z = Two.apply(a)
z.register_hook(lambda g: (log.append(g), g * 100)[1])
y.retain_grad(); z.retain_grad()
y.grad_fn.register_prehook(lambda gs: log.append(gs))
(y + z * z).sum().backward()
log, y.grad, z.grad, a.grad, (y.output_nr, z.output_nr)

# an exception in a hook leaves the graph usable, and later gradients right
a = leaf(3); b = leaf(3, seed=1); y = a * b
def fail(g):
    raise ValueError("no")
h = y.register_hook(fail)
e = caught(y.sum().backward)
h.remove()
y.sum().backward()
e, a.grad, b.grad

import warnings
a = leaf(3); y = a * 2
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    y.grad, a.grad
    y.retain_grad()
    y.grad
len(told), str(told[0].message).split(" See github")[0][:240], told[0].category.__name__
"""


@pytest.mark.parametrize("case", cases(LINES))
def test_one_liners(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(BLOCKS, blocks=True))
def test_order(case: str) -> None:
    agree(case)
