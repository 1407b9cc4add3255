"""In-place writes: memory, graph of bases and views, versions and what is forbidden, as PyTorch's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import Scope, agree, cases  # noqa: E402

WRITES = """
x = t(3); x += 1; x
x = t(3); y = x; y += 1; x is y, x
x = t(3); id(x) == id(x.add_(1))
x = t(3); x -= t(3, seed=1); x *= 2; x /= 3; x
x = t(3); x **= 2; x //= 1; x %= 2; x
x = torch.tensor([5, 6]); x //= 2; x %= 2; x
x = torch.tensor([5, 6]); x &= 4; x |= 1; x ^= 3; x
x = torch.tensor([5, 6]); x /= 2 ## says: can't be cast to the desired output type
x = torch.tensor([5, 6]); x += 1.5 ## says: can't be cast to the desired output type
x = torch.tensor([5, 6]); x *= torch.tensor([2.0, 2.0]) ## says: can't be cast to the desired output type
x = torch.tensor([True]); x += 1 ## says: can't be cast to the desired output type
x = torch.tensor([1.0]); x += 1j ## says: can't be cast to the desired output type
x = torch.tensor([1.0]); x += torch.tensor([1], dtype=torch.float64); x
x = torch.tensor([1], dtype=torch.int8); x += torch.tensor([300]); x
x = t(3); x += t(2)
x = t(3); x += t(2, 3)
x = t(1); x += t(3)
x = t(); x += t(1)
x = t(2, 3); x += t(3); x
x = t(2, 3); x += t(2, 1); x
x = t(3); x += "a" ## class
x = t(3); x += None ## class
x = t(3); x += np.ones(3); x
x = t(3); x.add_(t(3), alpha=2); x
x = t(3); x.sub_(1, alpha=2); x
x = t(3); x.mul_(2).add_(1); x
x = t(3); x.div_(2, rounding_mode="floor"); x
x = t(3); x.pow_(2); x
x = t(3); x.clamp_(min=0, max=1); x
x = t(3); x.fill_(2).zero_(); x
x = t(3); x.fill_(torch.tensor(4.0)); x
x = t(3); x.fill_(t(2))
x = t(3); x.copy_(t(1)); x
x = t(3); x.copy_(torch.tensor([1, 2, 3])); x
x = torch.zeros(3, dtype=torch.int64); x.copy_(torch.tensor([1.7, -1.7, 2.0])); x
x = t(3); x.copy_(t(2))
x = t(3); x.copy_(t(2, 3))
x = t(3); x.abs_().neg_().exp_().log_(); x
x = t(3, low=1); x.sqrt_().rsqrt_().reciprocal_().square_(); x
x = t(3); x.sin_().cos_().tanh_().sigmoid_().relu_(); x
x = t(3); x.floor_().ceil_().round_().trunc_(); x
x = torch.tensor([1, 2]); x.exp_() ## says: can't be cast to the desired output type
x = torch.tensor([1, 2]); x.abs_(); x
x = t(3); x.masked_fill_(torch.tensor([True, False, True]), 5); x
x = t(3); x.requires_grad_(); x.requires_grad
x = t(4); x[::2] += 1; x
x = t(2, 3); x.T.mul_(2); x
x = t(2, 3); x.view(-1)[1:3].zero_(); x
x = t(4); y = x[1:]; y.add_(x[:-1].clone()); x
x = t(2, 3); x += x; x
x = t(2, 2); x += x.T; x ## differs: the right-hand side is read before anything is written
x = t(4); x[1:] += x[:-1]; x ## differs: the right-hand side is read before anything is written
x = t(3); v = x._version; x += 1; x[0] = 2; x.data.add_(1); x.detach().add_(1); x._version - v
x = t(3); y = x[1:]; y += 1; x._version, y._version
x = leaf(3); x += 1
x = leaf(3); x.add_(1)
x = leaf(3); x.zero_()
x = leaf(3); x[0] = 1
x = leaf(3); x[torch.tensor([0])] = 1
x = leaf(3); x[x > 0] = 0
x = leaf(3); x.view(3).add_(1)
x = leaf(3); x[1:].mul_(2)
x = leaf(3); y = x.detach(); y += 1; x
x = leaf(3); x.data += 1; x
x = leaf(3); x.data.mul_(0); x.requires_grad
x = t(3); y = x.view(3).requires_grad_(); y += 1 ## says: leaf Variable that requires grad is being used in an in-place
x = t(3); y = x.view(3).requires_grad_(); x += 1; (y, (y * 2).grad_fn.name())
x = t(3); y = x[:2].requires_grad_(); z = y[0]; z += 1
x = t(3); y = x.expand(2, 3); y += 1
x = t(1); y = x.expand(3); y.fill_(2) ## differs: every write where elements coincide is refused
x = leaf(3); (x * 1).detach_().add_(1)
x = leaf(3); y = x * 1; y[0:1].detach_() ## says: Can't detach views in-place. Use detach() instead.
x = leaf(3) * 1; y = x.unbind(); y[0].add_(1); x
x = leaf(3) * 1; y = x.split(1); y[0].mul_(2); x
x = leaf(3) * 1; y = x.chunk(3); y[0].mul_(2); x
"""


@pytest.mark.parametrize("case", cases(WRITES))
def test_writes(case: str) -> None:
    agree(case)


# The graph: `a` is a leaf, what is written to is made from it.
GRAPH = """
a = leaf(3); x = a * 2; x += 1; pull(x, a)
a = leaf(3); x = a * 2; x *= a; pull(x, a)
a = leaf(3); x = a * 2; x *= x; pull(x, a) ## differs: the old value is kept, so the gradient is there
a = leaf(3); x = a * 2; x.exp_(); pull(x, a)
a = leaf(3); x = a * 2; y = x.exp(); x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x.exp(); y += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x * x; x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x.sin(); x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x * 3; x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x + 1; x.zero_(); pull((x, y), a)
a = leaf(3); x = t(3); x += a; (x.is_leaf, x.requires_grad, type(x.grad_fn).__name__)
a = leaf(3); x = t(3); x += a; pull(x, a)
a = leaf(3); x = t(3); x *= a; pull(x, a)
a = leaf(3); x = t(3); y = x * 2; x.copy_(a); pull(x * y, a)
a = leaf(3); x = t(3); x.copy_(a); type(x.grad_fn).__name__, pull(x, a)
a = leaf(); x = t(3); x.fill_(a); pull(x, a)
a = leaf(3); x = t(2, 3); x.copy_(a); pull(x, a)
a = leaf(3); x = t(3, dtype="float32"); x.copy_(a); pull(x, a)
a = leaf(3); x = t(2, 3); x[0] = a; pull(x, a)
a = leaf(3); x = t(2, 3); x[0] = a; x[1] = a * x[0]; pull(x, a)
a = leaf(3); x = t(2, 3); y = x[0]; y += a; pull(x, a), y.requires_grad, type(x.grad_fn).__name__
a = leaf(3); x = t(2, 3); y = x[0]; z = x[1]; y += a; (z.requires_grad, z.grad_fn.name())
a = leaf(2, 3); x = a * 2; y = x[0]; y += 1; pull((x, y), a)
a = leaf(2, 3); x = a * 2; y = x[0]; x += 1; pull((x, y), a)
a = leaf(2, 3); x = a * 2; y = x[0]; x *= a; pull((x, y), a)
a = leaf(2, 3); x = a * 2; y = x[0]; y *= 3; pull((x, y * y), a)
a = leaf(2, 3); x = a * 2; y = x[0]; z = x[:, 0]; y *= 3; pull((x, y, z * z), a)
a = leaf(2, 3); x = a * 2; y = x.T; y[1] *= 3; pull((x, y * y), a)
a = leaf(2, 3); x = a * 2; y = x.view(-1)[1:5]; y[1:3] = a[1, :2]; pull((x, y * y), a)
a = leaf(2, 3); x = a * 2; y = x.reshape(3, 2).transpose(0, 1)[1]; y.mul_(y); pull((x, y), a) ## differs: the old value is kept, so the gradient is there
a = leaf(2, 3); x = a * 2; y = x[0]; y.zero_(); pull((x, y), a)
a = leaf(2, 3); x = a * 2; x.zero_(); pull(x, a)
a = leaf(2, 3); x = a * 2; y = x[0].clone(); x.zero_(); pull((x, y), a)
a = leaf(2, 3); x = a * 2; y = x[0]; y.grad_fn.name(); x += 1; y.grad_fn.name()
a = leaf(2, 3); x = a * 2; y = x[0]; y += 1; (type(x.grad_fn).__name__, y.grad_fn.name())
a = leaf(2, 3); x = a * 2; y = x[0]; y += 1; [type(f[0]).__name__ for f in x.grad_fn.next_functions][:1]
a = leaf(2, 3); x = a * 2; y = x.detach(); y += 1; pull(x, a)
a = leaf(2, 3); x = a * 2; z = x * x; y = x.detach(); y += 1; pull(z, a)
a = leaf(2, 3); x = a * 2; z = x * x; x.data += 1; pull(z, a)
a = leaf(2, 3); z = a * a; a.data *= 10; pull(z, a)
a = leaf(2, 3); z = a * a; a.detach().mul_(10); pull(z, a)
a = leaf(3); z = a * a; torch.no_grad().__enter__(); a += 1; torch.set_grad_enabled(True); pull(z, a)
a = leaf(3); x = a * 2; y = x.relu(); y += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x.relu_(); pull(y, a)
a = leaf(3); x = a * 2; y = x.sigmoid(); y[0] = 0; pull(y, a)
a = leaf(3); x = a * 2; y = x.softmax(0); y += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x.clamp(0, 1); x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x / a; x += 1; pull(y, a) ## differs: division keeps its result, not the numerator
a = leaf(3); b = leaf(3, seed=1); x = a * 2; y = x * b; x += 1; pull(y, b)
a = leaf(3); b = leaf(3, seed=1); x = a * 2; y = x * b.detach(); x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x ** 3; x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x @ x; x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x.prod(); x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x.sum() + x.mean(); x += 1; pull(y, a)
a = leaf(3); x = a * 2; y = x[[0, 0]]; x += 1; pull(y, a)
a = leaf(3); i = torch.tensor([0, 2]); y = a[i]; i += 0; pull(y, a)
a = leaf(3); m = a.detach() > 0; y = torch.where(m, a, 0.0); m |= True; pull(y, a)
a = leaf(3); x = a * 2; x += x; x -= x * x; pull(x, a)
a = leaf(3); x = a * 1; [x.mul_(a) for _ in range(3)]; pull(x, a)
a = leaf(3); x = a * 1; y = x[0]; y += x[1]; x *= 2; y *= 2; pull((x, y), a)
a = leaf(3); x = a * 1; y = x[:2]; z = y[1:]; z *= 5; y += 1; pull((x, y, z), a)
a = leaf(3); x = torch.zeros(3, dtype=torch.float64); y = x[:2]; z = y[1:]; z += a[0]; pull((x, y, z), a)
a = leaf(3); x = a * 1; g = torch.autograd.grad((x.mul_(a) ** 2).sum(), a, create_graph=True)[0]; pull(g, a)
a = leaf(2, 3); x = a * 1; x[0] *= 2; g = torch.autograd.grad((x ** 3).sum(), a, create_graph=True)[0]; pull(g, a)
a = leaf(3); x = a * 1; x.requires_grad_(False)
a = leaf(3); x = a * 1; x.detach_(); x.requires_grad, x.is_leaf
a = leaf(3); x = a * 1; y = x[0]; x.detach_(); x += 1; y.requires_grad ## differs: a view follows its base
a = leaf(3); torch.set_grad_enabled(False); x = a.view(3); torch.set_grad_enabled(True); x += 1
a = leaf(3); torch.set_grad_enabled(False); x = a.view(3); x += 1; torch.set_grad_enabled(True); a
a = leaf(3); torch.set_grad_enabled(False); a += 1; a[0] = 5; torch.set_grad_enabled(True); (a, a.is_leaf)
a = leaf(3); torch.set_grad_enabled(False); a.sub_(1).mul_(2); torch.set_grad_enabled(True); pull(a * a, a)
"""


@pytest.mark.parametrize("case", cases(GRAPH))
def test_graph(case: str) -> None:
    agree(case + " ## says: modified by an inplace operation" if fails(case) else case)


def fails(case: str) -> bool:
    """Whether PyTorch refuses to go backward over a write."""
    try:
        exec(case, Scope(torch))
    except RuntimeError as error:
        return "modified by an inplace operation" in str(error) and " ## " not in case
    finally:
        torch.set_grad_enabled(True)
    return False
