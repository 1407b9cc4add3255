"""`autograd.Function`: what it writes to and returns, and what its backward may be, as PyTorch's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases  # noqa: E402

FUNCTIONS = """
# mark_dirty
class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
a = leaf(3); x = a * 1; y = Dirty.apply(x)
y is x, x._version, pull(x, a)

class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
Dirty.apply(leaf(3))

class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
a = leaf(4); b = a * 1; x = b[:2]; y = Dirty.apply(x)
y is x, x, pull(b, a)

class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x * 1
    @staticmethod
    def backward(ctx, g):
        return g * 2
Dirty.apply(leaf(3) * 1)

class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x, x * 2
    @staticmethod
    def backward(ctx, g, h):
        return g * 2 + h * 4
a = leaf(3); y, z = Dirty.apply(a * 1)
pull((y, z), a)

class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x, x * 2
    @staticmethod
    def backward(ctx, g, h):
        return g * 2 + h * 4
b = leaf(4) * 1
Dirty.apply(b[:2]) ## says: If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than one Tensor.

# what is not marked is not followed
class Quiet(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
a = leaf(3); x = a * 1; y = Quiet.apply(x)
y is x, y._base is x, x.grad_fn.name(), y.grad_fn.name(), x._version

# an input returned as it is: a view that may not be written to
class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
x = leaf(3) * 1; y = Same.apply(x)
y.mul_(2)

class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
x = leaf(3) * 1; y = Same.apply(x)
x.mul_(2)
y.grad_fn

class Flat(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view(-1)
    @staticmethod
    def backward(ctx, g):
        return g.view(2, 1) * 3
a = leaf(2, 1); x = a * 1; y = Flat.apply(x)
y._base is x, pull(y, a)

class Flat(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view(-1)
    @staticmethod
    def backward(ctx, g):
        return g.view(2, 1)
x = leaf(2, 1) * 1; y = Flat.apply(x)
y.mul_(2)

class Flat(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view(-1), x * 2
    @staticmethod
    def backward(ctx, g, h):
        return g.view(2, 1)
x = leaf(2, 1) * 1; y, z = Flat.apply(x)
z.mul_(2)
y.mul_(2)

# twice
from_function = torch.autograd.function.once_differentiable
class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    @from_function
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * 2 * x
a = leaf(3); s = leaf()
g, = torch.autograd.grad(Once.apply(a).sum() * s, a, create_graph=True)
g.requires_grad, g.grad_fn.name().rpartition("::")[2], caught(torch.autograd.grad, g.sum(), a)

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def vjp(ctx, g):
        return g * 2
a = leaf(3); pull(Scale.apply(a), a)

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
Scale.apply(leaf(3)).sum().backward()

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g * 2
    @staticmethod
    def vjp(ctx, g):
        return g * 2
Scale.apply(leaf(3)).sum().backward()

class Shape(torch.autograd.Function):
    @staticmethod
    def forward(ctx, k, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return None, torch.ones(4)
Shape.apply(3, leaf(3)).sum().backward()

class Kind(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return torch.ones(2, 3, dtype=torch.float32)
a = leaf(3); Kind.apply(a).sum().backward(); a.grad

class Need(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, k):
        ctx.need = ctx.needs_input_grad
        return x * y
    @staticmethod
    def backward(ctx, g):
        return g, None, None
y = Need.apply(leaf(3), t(3), 5)
with torch.no_grad():
    z = Need.apply(leaf(3), t(3), 5)
y.grad_fn.need, z.requires_grad

class Lists(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 3, x * 2, None, [x * 3], {"a": x * 2}
    @staticmethod
    def backward(ctx, *gs):
        return gs[1]
a = leaf(3); out = Lists.apply(a)
out, pull(out[1], a)

class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2
Same()(leaf(3))

# a Function within the backward of another, and hooks on its node
class Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * x.exp()
class Outer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * Inner.apply(x)
log = []
a = leaf(3); y = Outer.apply(a)
y.grad_fn.register_hook(lambda gi, go: log.append((len(gi), len(go))))
g, = torch.autograd.grad(y.sum(), a, create_graph=True)
h, = torch.autograd.grad(g.sum(), a, create_graph=True)
g, h, log
"""


@pytest.mark.parametrize("case", cases(FUNCTIONS, blocks=True))
def test_functions(case: str) -> None:
    agree(case)
