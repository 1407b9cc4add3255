"""Forward mode: tangents of every operation, of writes in place and views, and the interface, as PyTorch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases

# `dual(f, *xs)` shows each result of `f` and its tangent, for tangents of `xs` that are drawn; `pushed` also the
# gradients of the tangent, by `xs` and by their tangents, and whether there is a tangent; `level` runs a function in one.
SETUP = """
fw = torch.autograd.forward_ad
def flat(r): return [e for part in r for e in flat(part)] if isinstance(r, (tuple, list)) else [r]
def name(x): return str(x.dtype).removeprefix("torch.")
def level(f):
    with fw.dual_level(): return f()
def tangents(xs): return [t(*x.shape, dtype=name(x), seed=20 + i) for i, x in enumerate(xs)]
def dual(f, *xs):
    with fw.dual_level():
        out = f(*[fw.make_dual(x, v) for x, v in zip(xs, tangents(xs))])
        return [tuple(fw.unpack_dual(o)) for o in flat(out)]
def pushed(f, *xs):
    xs = [x.requires_grad_() for x in xs]
    vs = [v.requires_grad_() for v in tangents(xs)]
    shown = []
    with fw.dual_level():
        for o in flat(f(*[fw.make_dual(x, v) for x, v in zip(xs, vs)])):
            p, d = fw.unpack_dual(o)
            w = None if d is None else t(*d.shape, dtype=name(d), seed=40)
            grads = torch.autograd.grad(d, xs + vs, w, allow_unused=True, materialize_grads=True) if w is not None and d.requires_grad else 0
            shown.append((p.detach(), None if d is None else d.detach(), [g.detach() for g in grads] if grads else [torch.zeros_like(z.detach()) for z in xs + vs]))
    return shown
"""


def case(line: str) -> str:
    call, _, notes = line.partition(" ## ")
    return f"{SETUP}\n{call}" + (f" ## {notes}" if notes else "")


def run(lines: list[str]) -> None:
    agree_all(map(case, lines))


UNARY = """
-a
+a
abs(a)
a.abs()
a.sign()
a.sgn()
a.exp()
a.exp2()
a.expm1()
a.abs().log()
a.abs().log2()
a.abs().log10()
a.abs().log1p()
a.abs().sqrt()
a.abs().rsqrt()
a.square()
a.reciprocal()
a.sin()
a.cos()
a.tan()
(a / 3).asin()
(a / 3).acos()
a.atan()
a.sinh()
a.cosh()
a.tanh()
a.asinh()
(a.abs() + 2).acosh()
(a / 3).atanh()
a.erf()
a.sigmoid()
a.relu()
F.softplus(a)
F.gelu(a)
a.floor()
a.ceil()
a.trunc()
a.round()
a.conj()
a.clamp(-1, 1)
a.clamp(min=0)
a.clamp(max=0.5)
a ** 2
a ** 3
a.abs() ** 0.5
a ** 0
a ** -1
2 ** a
a * 2
a / 3
3 / a
1 - a
a + 1
a % 0.7
a // 0.5 ## differs: its derivative is zero
a.clone()
a.contiguous()
a.to(torch.float32)
a.to(torch.float64)
a.float().double()
"""

COMPLEX = """
-a
abs(a)
a.abs()
a.sgn()
a.exp()
a.log()
a.sqrt()
a.reciprocal()
a.sin()
a.cos()
a.tan()
a.sinh()
a.cosh()
a.tanh()
a.conj()
a.real
a.imag
a.real * a.imag
a * a.conj()
(a * a.conj()).real
a * (2 + 1j)
(1 - 2j) / a
a ** 2
a ** (1 + 1j)
a.sum()
a.mean(0)
a.cumsum(1)
a @ a.mT
a[0] * a[1]
torch.view_as_real(a)
torch.view_as_complex(torch.view_as_real(a) * 2)
a.mH
"""

BINARY = """
a + b
a - b
a * b
a / b
b / a
torch.add(a, b, alpha=2)
torch.sub(a, b, alpha=3)
a.abs() ** b
torch.maximum(a, b)
torch.minimum(a, b)
torch.maximum(a, a)
torch.atan2(a, b)
torch.where(a > b, a, b)
torch.where(a > 0, a * b, 2.0)
a % b
a - b * a.detach()
a.detach() * b
a * 2 + b[0]
a.clamp(b.min(), b.max())
torch.addcmul(a, a, b, value=2)
torch.addcdiv(a, a, b)
torch.lerp(a, b, 0.3)
(a * b).sum()
torch.stack([a, b])
torch.cat([a, b.expand(2, 3)])
torch.cat([a, b.expand(2, 3), a], 1)
(a @ b.reshape(3, 1)).squeeze()
a @ b[0]
torch.mv(a, b[0])
torch.outer(a[0], b[0])
torch.dot(a[0], b[0])
"""

REDUCING = """
a.sum()
a.sum(0)
a.sum(1, keepdim=True)
a.mean()
a.mean(0)
a.prod()
a.prod(1)
a.amax(1)
a.amin(0)
a.max()
a.min()
a.max(1)[0]
a.max(1)[1]
a.min(0)[0]
a.argmax()
a.var()
a.var(1, correction=0)
a.std()
a.std(0)
a.logsumexp(1) ## pushed differs: PyTorch's formula for the tangent writes to what its graph saved
a.softmax(1) ## pushed differs: PyTorch's formula for the tangent writes to what its graph saved
a.log_softmax(0) ## pushed differs: PyTorch's formula for the tangent writes to what its graph saved
a.cumsum(1)
(a > 0).sum()
F.nll_loss(a.log_softmax(1), torch.tensor([0, 2])) ## pushed differs: PyTorch's formula for the tangent writes to what its graph saved
F.cross_entropy(a, torch.tensor([0, 2])) ## pushed differs: PyTorch's formula for the tangent writes to what its graph saved
F.mse_loss(a, a.detach() * 2)
a.all(), a.any()
"""

SHAPING = """
a.reshape(3, 2)
a.view(6)
a.permute(1, 0)
a.T
a.mT * a.mT
a.transpose(0, 1)
a.expand(2, 2, 3)
a.unsqueeze(1)
a.unsqueeze(1).squeeze(1)
a.flatten()
a.flip(0)
a.flip((0, 1))
a.movedim(0, 1)
a.narrow(1, 1, 2)
a.select(1, 0)
a.unbind(1)
a.chunk(3, 1)
a.split(2, 1)
a[0]
a[:, 1]
a[..., None]
a[1, 2]
a[:, ::2]
a[torch.tensor([1, 0, 1])]
a[:, torch.tensor([2, 2])]
a[a > 0]
a.masked_select(a > 0)
a.masked_fill(a > 0, 3.0)
a.gather(1, torch.tensor([[0, 0], [2, 1]]))
a.index_select(1, torch.tensor([2, 0]))
a.take(torch.tensor([5, 0]))
a.diagonal()
a.unfold(1, 2, 1)
a.as_strided((2, 2), (1, 2))
a.roll(1, 1)
a.tril()
a.repeat(2, 1)
a.tile(2)
a.detach()
a.data
a.int()
a > 0
a.view(torch.int64)
torch.zeros_like(a)
torch.ones_like(a)
torch.full_like(a, 2.0)
a.new_zeros(2)
torch.tensor(a.tolist())
a.scatter(1, torch.tensor([[0], [1]]), a[:, :1] * 2)
a.scatter_add(1, torch.tensor([[0, 0], [1, 1]]), a[:, 1:])
a.index_add(0, torch.tensor([0, 0]), a)
a.clone(memory_format=torch.contiguous_format)
a.T.clone()
a.T.clone().view(3, 2)
a.T.contiguous()
torch.empty_like(a).copy_(a)
"""


def both(lines: list[str], *args: str) -> None:
    """Each function by `dual` and by `pushed`, to which some notes apply only."""
    found = []
    for f, note in map(noted, lines):
        for call in ("dual", "pushed"):
            own = "" if note.startswith(" ## pushed ") and call == "dual" else note.replace("## pushed ", "## ")
            found.append(f"{call}({f}, {', '.join(args)}){own}")
    run(found)


def noted(line: str) -> tuple[str, str]:
    f, _, notes = line.partition(" ## ")
    return f, f" ## {notes}" if notes else ""


def test_functions_of_one() -> None:
    both([f"lambda a: {f}" for f in cases(UNARY)], "t(2, 3)")


def test_functions_of_one_complex() -> None:
    both([f"lambda a: {f}" for f in cases(COMPLEX)], "t(2, 3, dtype='complex128')")


def test_functions_of_two() -> None:
    both([f"lambda a, b: {f}" for f in cases(BINARY)], "t(2, 3)", "t(1, 3, seed=1)")


def test_of_two_with_one_tangent() -> None:
    run([f"c = t(1, 3, seed=1); dual(lambda a, b=c: {f}, t(2, 3))" for f in cases(BINARY)])
    run([f"c = t(2, 3); dual(lambda b, a=c: {f}, t(1, 3, seed=1))" for f in cases(BINARY)])


def test_reductions() -> None:
    both([f"lambda a: {f}" for f in cases(REDUCING)], "t(2, 3)")


def test_shapes_and_indices() -> None:
    both([f"lambda a: {f}" for f in cases(SHAPING)], "t(2, 3)")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "complex64"])
def test_dtypes(dtype: str) -> None:
    shown = [
        "a * b",
        "a / b",
        "a.exp() + b",
        "(a @ b.T).sum()",
        "a.tanh() * 2",
        "a[0] - b",
        "a.reshape(3, 2)",
        "a.mean(0)",
    ]
    run([f"dual(lambda a, b: {f}, t(2, 3, dtype='{dtype}'), t(2, 3, seed=1, dtype='{dtype}')) ## loose" for f in shown])


IN_PLACE = """
a = x * 1; a.mul_(2); a
a = x * 1; a.mul_(a); a ## differs: PyTorch's tangent is that of the value just written
a = x * 1; a.add_(x, alpha=2); a
a = x * 1; a.exp_(); a
a = x * 1; a.zero_(); a
a = x * 1; a.fill_(3.0); a
a = x * 1; a.copy_(x * x); a
a = x * 1; a.copy_(c); a
a = c.clone(); a.copy_(x); a
a = c.clone(); a.mul_(x); a
a = c.clone(); a[0] = x[1]; a
a = c.clone(); a[:, 1] += x[:, 0]; a
a = c.clone(); b = a[0]; b.copy_(x[0]); (a, b)
a = c.clone(); b = a[0]; a.mul_(x); (a, b, a[1])
a = c.clone(); b = a.view(6); b[2:4].mul_(x[0, :2]); (a, b)
a = x * 1; b = a[0]; b.mul_(2); (a, b)
a = x * 1; b = a[0]; a.mul_(2); (a, b)
a = x * 1; b = a.T; b[0].sin_(); (a, b, a[0])
a = x * 1; b = a.view(6); d = b[1:3]; d.add_(1); d.mul_(d); (a, b, d) ## differs: PyTorch's tangent is that of the value just written
a = x * 1; b = a[0]; a = a * 2; b.mul_(3); (a, b)
a = x * 1; b = a.clone(); b.mul_(3); (a, b)
a = x * 1; b = a + 0; b.mul_(3); (a, b)
a = x * 1; b = a.detach(); b.mul_(3); (a, b)
a = x * 1; b = a.data; b.mul_(3); (a, b)
a = x * 1; a.data.mul_(3); (a, a * a)
a = x * 1; a.data *= 3; (a, a * a)
a = x * 1; b = a.expand(2, 2, 3); a.mul_(2); (a, b)
a = x * 1; b = a.diagonal(); b.mul_(2); (a, b)
a = x * 1; a[torch.tensor([1, 0])] = a * 1; a
a = x * 1; a[a > 0] = 0.0; a
a = x * 1; a[0, 0] = 5.0; a
a = x * 1; a.clamp_(-1, 1); a
a = x * 1; a.masked_fill_(a > 0, 2.0); a
a = x * 1; a.T.copy_(x.T * 2); a
a = x.T.clone(); a.T[0].mul_(2); a
a = (x * 1).T; a[0].mul_(2); a
a = x * 1; a.t_(); a.mul_(2); (a, a[0])
a = x * 1; b = a.real; b.mul_(2); a
a = x * 1; a.requires_grad_(); b = a * 1; b.mul_(a); b.detach()
a = x * 1; a.index_add_(0, torch.tensor([0]), x[:1]); a
a = x * 1; a.scatter_(1, torch.tensor([[0], [1]]), x[:, :1] * 2); a
torch.set_grad_enabled(False); a = x * 1; a.mul_(x); a[0].mul_(2); torch.set_grad_enabled(True); a
x.mul_(2); (x, y, v)
x[0].mul_(2); (x, y, v)
x.zero_(); (x, y, v)
b = x.view(6); x.mul_(x); (x, b, y, v) ## differs: PyTorch's tangent is that of the value just written
y.mul_(2); (x, y, v)
y.mul_(x); (x, v) ## class
"""


def test_writes_in_place() -> None:
    body = "def f(x):\n    {}\n    return {}"
    lines = []
    for line in cases(IN_PLACE):
        code, notes = noted(line)
        *statements, result = code.split("; ")
        function = body.format("; ".join(statements), result)
        lines.append(f"c, y, v = t(2, 3, seed=5), t(2, 3), t(2, 3, seed=20)\n{function}\nwith fw.dual_level():\n"
                     "    shown = [tuple(fw.unpack_dual(o)) for o in flat(f(fw.make_dual(y, v)))]\n"
                     f"shown, y, v, c, y._version, v._version{notes}")  # fmt: skip
    run(lines)


REVERSE_BEHIND = """
lambda a: a.sin() * a
lambda a: a.exp().sum()
lambda a: (a @ a.T).sum()
lambda a: a[0] * a[1] / 3
lambda a: a.softmax(0) ## pushed differs: PyTorch's formula for the tangent writes to what its graph saved
lambda a: (a * 1).mul_(a)
lambda a: ((a * 1).mul_(a) ** 2)[0]
lambda a: (a * 1).exp_().mul_(a) ## class
lambda a: a.var() * a
lambda a: torch.cat([a, a * a]).cumsum(0)
lambda a: a.abs() ** a
lambda a: a / (1 + a.detach() ** 2)
"""


OVER = """
f = {function}
def g(a):
    a.requires_grad_()
    out = f(a)
    return torch.autograd.grad(out, a, t(*out.shape, seed=3), create_graph={create_graph})[0]
with fw.dual_level():
    p, d = fw.unpack_dual(g(fw.make_dual(t(2, 3), t(2, 3, seed=4))))
p.detach(), d.detach()"""


def test_forward_over_reverse() -> None:
    lines = []
    for f, note in map(noted, cases(REVERSE_BEHIND)):
        kept = "" if "pushed" in note else note
        lines += [OVER.format(function=f, create_graph=create_graph) + kept for create_graph in (False, True)]
    run(lines)


def test_reverse_over_forward() -> None:
    run([f"pushed({f}, t(2, 3)){n.replace('## pushed', '##')}" for f, n in map(noted, cases(REVERSE_BEHIND))])


INTERFACE = """
fw.make_dual(t(3), t(3))
fw.unpack_dual(t(3))
fw.unpack_dual(1.0)
fw.exit_dual_level()
fw.exit_dual_level(level=0)
fw.exit_dual_level(level=1)
fw.enter_dual_level(), fw.exit_dual_level()
fw.enter_dual_level(), caught(fw.exit_dual_level, level=1), fw.exit_dual_level(level=0)
fw.enter_dual_level(), caught(fw.enter_dual_level), fw.exit_dual_level()
level(lambda: level(lambda: 1))
level(lambda: fw.make_dual(t(3, dtype="int64"), t(3)))
level(lambda: fw.make_dual(t(3, dtype="bool"), t(3)))
level(lambda: fw.make_dual(t(3), t(3, dtype="int64")))
level(lambda: fw.make_dual(t(3), t(2)))
level(lambda: fw.make_dual(t(2, 3), t(3)))
level(lambda: fw.make_dual(t(), t(1)))
level(lambda: fw.make_dual(t(3), t(3), level=1))
level(lambda: fw.make_dual(t(3), t(3), level=-1))
level(lambda: fw.make_dual(t(3), t(3), level=0))
level(lambda: fw.make_dual(1.0, t(3)))
level(lambda: fw.make_dual(t(3), 1.0))
level(lambda: fw.unpack_dual(1.0)) ## class
level(lambda: fw.unpack_dual(fw.make_dual(t(3), t(3)), level=1))
level(lambda: fw.unpack_dual(fw.make_dual(t(3), t(3)), level=0))
level(lambda: fw.unpack_dual(fw.make_dual(t(3), t(3)), level=-2))
level(lambda: fw.make_dual(fw.make_dual(t(3), t(3)), t(3)))
level(lambda: fw.make_dual(t(3), fw.make_dual(t(3), t(3))))
v = t(3); level(lambda: fw.unpack_dual(fw.make_dual(t(3), v)).tangent is v)
v = t(3); level(lambda: fw.unpack_dual(fw.unpack_dual(fw.make_dual(t(3), v)).primal))
v = t(3); level(lambda: fw.unpack_dual(fw.unpack_dual(fw.make_dual(t(3), v) * 2).primal[0]))
v = t(3); level(lambda: fw.unpack_dual(fw.unpack_dual(fw.make_dual(t(3), v) * 2).primal.view(3) * 2))
level(lambda: fw.unpack_dual(fw.make_dual(t(3), t(1).expand(3))))
level(lambda: fw.unpack_dual(fw.make_dual(t(2, 3), t(3, 2).T)).tangent.stride())
level(lambda: fw.unpack_dual(fw.make_dual(t(3, 2).T, t(2, 3))).tangent.stride())
level(lambda: fw.unpack_dual(fw.make_dual(t(3, 2).T, t(2, 3)).reshape(6)))
level(lambda: fw.unpack_dual(fw.make_dual(t(3, 2).T, t(2, 3))[0].mul_(2)))
level(lambda: fw.unpack_dual(fw.make_dual(t(4, 6)[::2, ::2], t(2, 3)).mul_(2)[1]))
x = t(3); level(lambda: (fw.make_dual(x, t(3))._base is x, fw.unpack_dual(x)[0] is x, fw.unpack_dual(x)[0]._base is x))
x = leaf(3); level(lambda: (fw.make_dual(x, t(3)).is_leaf, fw.make_dual(x, t(3)).requires_grad, fw.make_dual(x, t(3)).grad_fn.name()))
x = leaf(3); level(lambda: fw.make_dual(x, t(3)).mul_(2))
x, v = t(3), leaf(3); level(lambda: fw.make_dual(x, v).mul_(2))
x, v = t(3), leaf(3) * 1; level(lambda: fw.unpack_dual(fw.make_dual(x, v).mul_(2))[1]) ## unnamed
d = level(lambda: fw.make_dual(t(3), t(3)) ** 2); d, fw.unpack_dual(d), level(lambda: fw.unpack_dual(d))
level(lambda: repr(fw.make_dual(t(3, dtype="float32"), t(3, seed=1, dtype="float32"))))
level(lambda: repr(fw.make_dual(leaf(3, dtype="float32") * 1, t(3, seed=1, dtype="float32"))))
level(lambda: str(fw.make_dual(leaf(2), t(2, seed=1))))
with fw.dual_level() as n: pass
n
f = fw.dual_level()(lambda: fw.unpack_dual(fw.make_dual(t(3), t(3)) * 2)); f(), f()
level(lambda: [fw.unpack_dual(torch.no_grad()(lambda a: a * a)(fw.make_dual(t(3), t(3, seed=1))))])
level(lambda: [fw.unpack_dual(torch.inference_mode()(lambda a: a * a)(fw.make_dual(t(3), t(3, seed=1)))).tangent])
def f():
    d = fw.make_dual(t(3), t(3, seed=1))
    with fw._set_fwd_grad_enabled(False): out = d * d; off = fw._is_fwd_grad_enabled()
    return fw.unpack_dual(out), fw.unpack_dual(d * out), off, fw._is_fwd_grad_enabled()
level(f)
def f():
    x = leaf(3); (fw.make_dual(x, t(3, seed=1)) ** 3).sum().backward(); return tuple(fw.unpack_dual(x.grad))
level(f) ## differs: the gradient kept has a tangent
level(lambda: fw.unpack_dual(fw.make_dual(t(3), t(3, dtype="float32"))).primal)
sorted(fw.__all__)
"""


def test_the_interface() -> None:
    blocks: list[str] = []
    for line in cases(INTERFACE):
        if blocks and (line.startswith(" ") or _is_open(blocks[-1])):
            blocks[-1] += "\n" + line
        else:
            blocks.append(line)
    run(blocks)


def _is_open(block: str) -> bool:
    """Whether the expression that a block ends with is still to come."""
    last = block.rsplit("\n", 1)[-1]
    return block.startswith(("def ", "with ")) and last.startswith((" ", "def ", "with "))


# `apply(x, ..., dual=(0,), forward=, jvp=, ...)` applies a function of these methods to its arguments, some made dual
FUNCTIONS = """
def apply(*xs, dual=(0,), forward=None, jvp=None, backward=None, setup_context=None, show=fw.unpack_dual):
    methods = {"forward": forward or (lambda ctx, a, b=None: a * 2), "jvp": jvp, "backward": backward, "setup_context": setup_context}
    Own = type("Own", (torch.autograd.Function,), {k: staticmethod(v) for k, v in methods.items() if v is not None})
    with fw.dual_level():
        xs = [fw.make_dual(x, t(*x.shape, seed=20 + i)) if i in dual else x for i, x in enumerate(xs)]
        out = Own.apply(*xs)
        return [tuple(show(o)) if isinstance(o, torch.Tensor) else o for o in flat(out)]
log = []
def logging(*results):
    def jvp(ctx, *ts):
        log.append((ts, torch.is_grad_enabled(), ctx.needs_input_grad))
        return results[0] if len(results) == 1 else results
    return jvp
def dirty(ctx, a): a.mul_(2); ctx.mark_dirty(a); return a
def flat_output(ctx, a): out = a * 2; ctx.mark_non_differentiable(out); return out
def keeps(ctx, a): ctx.save_for_forward(a); return a * a
def keeps_for_backward(ctx, a): ctx.save_for_backward(a); return a * a
def keeps_both(ctx, a): ctx.save_for_backward(a); ctx.save_for_forward(a * 3); return a * a
def keeps_later(ctx, inputs, output): ctx.save_for_forward(inputs[0])
def hides(ctx, a): ctx.set_materialize_grads(False); return a * 2
def two(ctx, a): return a * 2, a * 3
x, y = t(3), t(3, seed=1)
"""

OF_FUNCTIONS = """
apply(x)
apply(x, dual=(), show=lambda o: [o])
apply(x, jvp=lambda ctx, a: a * 2)
apply(x, jvp=logging(y)), log
apply(x, x, forward=lambda ctx, a, b: a * b, jvp=logging(y)), log
apply(x, x, forward=lambda ctx, a, b: a * b, jvp=logging(y), dual=(1,)), log
apply(x, 3, forward=lambda ctx, a, b: a * b, jvp=logging(y)), log
apply(x, x, forward=lambda ctx, a, b: (ctx.set_materialize_grads(False), a * b)[1], jvp=logging(y)), log
apply(x, jvp=logging(y, y))
apply(x, forward=two, jvp=logging(y))
apply(x, jvp=lambda ctx, a: None) ## differs: PyTorch fails an internal assertion
apply(x, jvp=lambda ctx, a: 3)
apply(x, jvp=lambda ctx, a: [a])
apply(x, jvp=lambda ctx, a: (a,))
apply(x, jvp=lambda ctx, a: a[:2])
apply(x, jvp=lambda ctx, a: a)
apply(x, forward=two, jvp=lambda ctx, a: (a * 2, a * 3))
apply(x, forward=two, jvp=lambda ctx, a: (a * 2, None)) ## differs: PyTorch fails an internal assertion
apply(x, forward=lambda ctx, a: a, jvp=lambda ctx, a: a)
apply(x, forward=lambda ctx, a: a, jvp=lambda ctx, a: a * 1)
apply(x, forward=lambda ctx, a: a, jvp=lambda ctx, a: a.view_as(a))
apply(x, forward=lambda ctx, a: a[:2], jvp=lambda ctx, a: a[:2])
apply(x, forward=lambda ctx, a: a[:2], jvp=lambda ctx, a: a[:2] * 1)
apply(x, forward=lambda ctx, a: a[:2] * 1, jvp=lambda ctx, a: a[:2])
apply(x * 1, forward=dirty, jvp=lambda ctx, a: a.mul_(2))
apply(x * 1, forward=dirty, jvp=lambda ctx, a: a * 2)
apply(x, forward=flat_output, jvp=lambda ctx, a: a * 2)
apply(x, forward=flat_output, jvp=lambda ctx, a: None)
apply(x, forward=lambda ctx, a: a.int(), jvp=lambda ctx, a: None)
apply(x, forward=lambda ctx, a: a.int(), jvp=lambda ctx, a: a)
apply(x, forward=lambda ctx, a: (a * 2, 3), jvp=lambda ctx, a: (a * 2, None))
apply(x, forward=lambda ctx, a: (a * 2, 3), jvp=lambda ctx, a: a * 2)
apply(x, forward=keeps, jvp=lambda ctx, a: 2 * a * ctx.saved_tensors[0])
apply(x, forward=keeps, jvp=lambda ctx, a: (log.append(fw.unpack_dual(ctx.saved_tensors[0])), a * 1)[1]), log
apply(x, forward=keeps_both, jvp=lambda ctx, a: 2 * a * ctx.saved_tensors[0])
apply(leaf(3), forward=keeps_both, jvp=lambda ctx, a: 2 * a * ctx.saved_tensors[0], backward=lambda ctx, g: g)
apply(x, forward=lambda a: a * a, setup_context=keeps_later, jvp=lambda ctx, a: 2 * a * ctx.saved_tensors[0])
apply(x, forward=lambda ctx, a: (log.append(tuple(fw.unpack_dual(a * 2))), log.append(fw._is_fwd_grad_enabled()), a * 1)[2], jvp=lambda ctx, a: a * 1), log
apply(x, jvp=lambda ctx, a: 1 / 0)
apply(leaf(3), jvp=lambda ctx, a: a * 2, backward=lambda ctx, g: g * 2)
apply(leaf(3), jvp=lambda ctx, a: a * 2, backward=lambda ctx, g: g * 2, show=lambda o: [o.grad_fn.name(), o.requires_grad])
"""


def test_functions_of_the_users() -> None:
    run([f"{FUNCTIONS}\n{line}" for line in cases(OF_FUNCTIONS)])
