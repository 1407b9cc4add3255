"""autograd.Function: as PyTorch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

FUNCTIONS = """
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g
x = leaf(3)
y = Square.apply(x)
(g,) = torch.autograd.grad(y, x, t(3), create_graph=True)
y, g.requires_grad, pull(g, x) ## unnamed

class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y
    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]
x = leaf(3)
pull(Exp.apply(x), x), type(Exp.apply(x).grad_fn).__name__, Exp.apply(x).grad_fn.name()

class Two(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, k, flag=True):
        ctx.k = k
        ctx.save_for_backward(x, y)
        return x * y, x + k, "text"
    @staticmethod
    def backward(ctx, g, h, none):
        x, y = ctx.saved_tensors
        return g * y + h, g * x, None, None
x, y = leaf(3), leaf(3, seed=1)
a, b, c = Two.apply(x, y, 3)
pull((a, b), x, y), c, pull(Two.apply(x, y, 3, False)[1], x, y), a.grad_fn is b.grad_fn ## unnamed

class Needs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, z):
        seen.append(ctx.needs_input_grad)
        seen.append(torch.is_grad_enabled())
        seen.append(x.requires_grad)
        return x * y * z
    @staticmethod
    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        seen.append(torch.is_grad_enabled())
        return g, g, None
seen = []
x, y = leaf(3), t(3)
out = Needs.apply(x, y, 2)
out.sum().backward()
seen, x.grad

class NoneGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y
    @staticmethod
    def backward(ctx, g):
        return g, None
x, y = leaf(3), leaf(3)
NoneGrad.apply(x, y).sum().backward()
x.grad, y.grad

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y
    @staticmethod
    def backward(ctx, g):
        return g
Wrong.apply(leaf(3), leaf(3)).sum().backward()

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1
    @staticmethod
    def backward(ctx, g):
        return g, g
Wrong.apply(leaf(3)).sum().backward()

class Extra(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1
    @staticmethod
    def backward(ctx, g):
        return g, None, None
x = leaf(3)
Extra.apply(x).sum().backward()
x.grad

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1
    @staticmethod
    def backward(ctx, g):
        return t(2)
Wrong.apply(leaf(3)).sum().backward() ## class

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1
    @staticmethod
    def backward(ctx, g):
        return 3.0
Wrong.apply(leaf(3)).sum().backward() ## class

class Broadcast(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1
    @staticmethod
    def backward(ctx, g):
        return t(2, 3)
x = leaf(3)
Broadcast.apply(x).sum().backward()
x.grad

class Raises(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1
    @staticmethod
    def backward(ctx, g):
        raise KeyError("inside")
x = leaf(3)
e = caught(Raises.apply(x).sum().backward)
(x * 2).sum().backward()
e, x.grad, torch.is_grad_enabled()

class Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.to(torch.float32)
    @staticmethod
    def backward(ctx, g):
        return g.to(torch.float64)
x = leaf(3)
pull(Cast.apply(x), x) ## unnamed

class Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 10
x = leaf(3)
y = Identity.apply(x)
y is x, pull(y, x) ## unnamed

class Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)
    @staticmethod
    def backward(ctx, g):
        return -g
x = leaf(3) * 1
a = leaf(3)
y = Identity.apply(a * 2)
pull(y, a) ## unnamed

class Ints(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2, x.argmax()
    @staticmethod
    def backward(ctx, g, h):
        seen.append(h)
        return g * 2
seen = []
x = leaf(3)
y, i = Ints.apply(x)
y.sum().backward()
i.requires_grad, seen, x.grad

class Unused(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2, x * 3
    @staticmethod
    def backward(ctx, g, h):
        seen.append((g, h))
        return 2 * g + 3 * h
seen = []
x = leaf(3)
y, z = Unused.apply(x)
z.sum().backward()
seen, x.grad

class Unmaterialised(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3
    @staticmethod
    def backward(ctx, g, h):
        seen.append(g)
        return 3 * h
seen = []
x = leaf(3)
y, z = Unmaterialised.apply(x)
z.sum().backward()
seen, x.grad

class NoGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g
NoGrad.apply(t(3)).requires_grad, NoGrad.apply(leaf(3)).requires_grad, NoGrad.apply(leaf(3)).is_leaf

class NoGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g
with torch.no_grad():
    y = NoGrad.apply(leaf(3))
y.requires_grad

class Marked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y, i = x * 2, x * 3
        ctx.mark_non_differentiable(i)
        return y, i
    @staticmethod
    def backward(ctx, g, h):
        return g * 2
y, i = Marked.apply(leaf(3))
y.requires_grad, i.requires_grad

class InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)
    @staticmethod
    def backward(ctx, g):
        return g * 2
a = leaf(3)
x = a * 1
y = InPlace.apply(x)
y is x, pull(x, a)

class Saved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x, None)
        return x * x
    @staticmethod
    def backward(ctx, g):
        x, none = ctx.saved_tensors
        return 2 * x * g if none is None else None
a = leaf(3)
x = a * 1
y = Saved.apply(x)
x += 1
y.sum().backward() ## says: modified by an inplace operation

class Saved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g
y = Saved.apply(leaf(3)).sum()
y.backward()
y.backward()

class Saved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g
x = leaf(3)
y = Saved.apply(x).sum()
y.backward(retain_graph=True)
y.backward()
x.grad

class Saved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(3)
        return x * x
    @staticmethod
    def backward(ctx, g):
        return g
Saved.apply(leaf(3))

class Bare(torch.autograd.Function):
    pass
caught(Bare.apply, leaf(3)) ## class

class Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
Forward.apply(leaf(3)).sum().backward() ## class

class NotTensor(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 3
    @staticmethod
    def backward(ctx, g):
        return g
NotTensor.apply(leaf(3)) ## class

class Setup(torch.autograd.Function):
    @staticmethod
    def forward(x, k):
        return x * k
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k = inputs[1]
        ctx.save_for_backward(output)
    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None
x = leaf(3)
pull(Setup.apply(x, 3), x) ## unnamed

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * 2
x = leaf(3)
pull(Twice.apply(x), x)

class Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        with torch.enable_grad():
            inner = x.detach().requires_grad_()
            ctx.inner, ctx.out = inner, (inner ** 3).sum()
        return ctx.out.detach()
    @staticmethod
    def backward(ctx, g):
        return torch.autograd.grad(ctx.out, ctx.inner)[0] * g
x = leaf(3)
pull(Inner.apply(x), x) ## unnamed

class Kwargs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
Kwargs.apply(x=leaf(3)) ## class
"""


@pytest.mark.parametrize("case", cases(FUNCTIONS, blocks=True))
def test_functions(case: str) -> None:
    agree(case)
