"""copy, deepcopy, pickle, save and load of tensors and what holds them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

COPIES = """
a = leaf(3); a.grad = t(3); a.foo = [1]; c = copy.copy(a); c, c.grad, c.foo is a.foo, c.is_leaf
a = t(3); c = copy.copy(a); c.add_(1); a, c, a._version
a = leaf(3); y = a * 2; c = copy.copy(y); c, c.is_leaf
a = t(2, 3).t(); c = copy.copy(a); c.stride(), c

a = leaf(3); c = copy.deepcopy(a); c, c is a, c.grad
a = leaf(3); a.grad = t(3); a.foo = [1]; c = copy.deepcopy(a); c, c.grad, c.grad is a.grad, c.foo, c.foo is a.foo
a = t(3); c = copy.deepcopy(a); c.add_(1); a, c
a = leaf(3); copy.deepcopy(a * 2) ## says: Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.
a = leaf(3); copy.deepcopy(a[:2]) ## says: Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.
a = leaf(3); copy.deepcopy({"x": [a, a * 2]}) ## says: Only Tensors created explicitly
a = leaf(3); g = torch.autograd.grad((a ** 2).sum(), a, create_graph=True)[0]; a.grad = g; copy.deepcopy(a) ## says: Only Tensors created explicitly
a = leaf(3); c = copy.deepcopy((a * 2).detach()); c, c.requires_grad
a = t(3); b = copy.deepcopy({"x": [a, a]}); b["x"][0] is b["x"][1]
a = leaf(3); memo = {}; c = copy.deepcopy(a, memo); memo[id(a)] is c, copy.deepcopy(a, memo) is c
a = t(3, 3); x, y = copy.deepcopy([a, a[0]]); y.add_(1); x, y, x._base, y._base
a = t(3); x, y = copy.deepcopy((a, a.detach())); x.add_(1); x, y
a = leaf(3); x, y = copy.deepcopy([a, a.detach()]); x.requires_grad, y.requires_grad, x.data_ptr() == y.data_ptr()
a = t(3, 4); x, y, z = copy.deepcopy([a[1:], a[:, ::2], a.t()]); x.zero_(); x, y, z, y.stride(), z.stride()
a = t(4); x, y = copy.deepcopy([a[1:3], a[2:]]); x.fill_(9); y
a = t(3); x, y = copy.deepcopy(a), copy.deepcopy(a); x.add_(1); y
a = t(2, 3, 4, 5).to(memory_format=torch.channels_last); copy.deepcopy(a).stride(), copy.deepcopy(a.permute(3, 0, 1, 2)).stride(), copy.deepcopy(a[:, ::2]).stride(), copy.deepcopy(t(3).expand(2, 3)).stride()
a = leaf(3); a.grad = a.detach(); c = copy.deepcopy(a); c.grad.data_ptr() == c.data_ptr()
a = leaf(3); b = a.detach(); x, y = copy.deepcopy([a, b]); w = leaf(3); l = (w * y).sum(); y.mul_(2); l.backward() ## says: modified by an inplace operation
a = leaf(3); c = copy.deepcopy(a); (c * c).sum().backward(); c.grad, a.grad
[copy.deepcopy(t(2, dtype=d)) for d in ("float16", "bfloat16", "float32", "complex64", "complex128", "int8", "uint8", "bool")]
copy.deepcopy(t()), copy.deepcopy(t(0, 3)), copy.deepcopy(torch.empty(0))
copy.deepcopy(torch.Size([1, 2])), copy.deepcopy(torch.float32) is torch.float32
a = leaf(3); h = a.register_hook(lambda g: g * 2); c = copy.deepcopy(a); c.sum().backward(); c.grad
""".replace("\n\n", "\n")

PICKLES = """
import pickle; a = leaf(3); a.grad = t(3); a.foo = [1]; c = pickle.loads(pickle.dumps(a)); c, c.grad, c.foo, c.is_leaf
import pickle; a = leaf(3); c = pickle.loads(pickle.dumps(a * 2)); c, c.is_leaf
import pickle; [pickle.loads(pickle.dumps(t(2, dtype=d))) for d in ("float16", "bfloat16", "float32", "complex64", "complex128", "int8", "uint8", "bool")]
import pickle; [pickle.loads(pickle.dumps(t(2, 3), protocol)) for protocol in range(2, 6)]
import pickle; a = t(2, 3); b = pickle.loads(pickle.dumps({"x": [a, a]})); b["x"][0] is b["x"][1]
import pickle; pickle.loads(pickle.dumps(t(2, 3).t())).stride(), pickle.loads(pickle.dumps(t(2, 6)[:, ::2])).stride()
import pickle; pickle.loads(pickle.dumps(t())), pickle.loads(pickle.dumps(t(0, 3)))
import pickle; pickle.loads(pickle.dumps(torch.float32)) is torch.float32, pickle.loads(pickle.dumps(torch.Size([1, 2]))), pickle.loads(pickle.dumps(torch.device("cpu:1"))), pickle.loads(pickle.dumps(torch.channels_last)) is torch.channels_last, pickle.loads(pickle.dumps(torch.strided)) is torch.strided
import pickle; a = t(3); x, y = pickle.loads(pickle.dumps((a, a.detach()))); x.add_(1); y ## differs: PyTorch pickles shared memory once for each tensor, and shares no more
import pickle, warnings; a = leaf(3); h = a.register_hook(print); c = warnings.catch_warnings(record=True); w = c.__enter__(); warnings.simplefilter("always"); pickle.dumps(a); c.__exit__(); [str(m.message)[:60] for m in w if "hook" in str(m.message)]
import pickle, warnings; a = leaf(3); h = a.register_hook(print); h.remove(); c = warnings.catch_warnings(record=True); w = c.__enter__(); warnings.simplefilter("always"); pickle.dumps(a); copy.copy(a); c.__exit__(); [str(m.message)[:60] for m in w if "hook" in str(m.message)]
"""

FILES = """
import io; f = io.BytesIO(); torch.save(leaf(3), f); n = f.seek(0); c = torch.load(f); c, c.is_leaf
import io; f = io.BytesIO(); a = leaf(3); torch.save([a * 2, a], f); n = f.seek(0); c = torch.load(f); c, c[0].is_leaf
import io; f = io.BytesIO(); a = leaf(3); a.grad = t(3); torch.save(a, f); n = f.seek(0); c = torch.load(f); c.grad
import io; f = io.BytesIO(); torch.save({"a": 1, 2: (3, [None, True, 1.5, inf, "s", -0.0]), "n": nan}, f); n = f.seek(0); repr(torch.load(f))
import io; f = io.BytesIO(); a = t(3, 3); torch.save([a, a, a[0], a.detach()], f); n = f.seek(0); b = torch.load(f); b[2].add_(1); b, b[0] is b[1], b[2]._base
import io; f = io.BytesIO(); torch.save([t(2, 3).t(), t(1, 2, 2, 2).to(memory_format=torch.channels_last), t(0, 2), t()], f); n = f.seek(0); b = torch.load(f); b, [x.stride() for x in b]
import io; f = io.BytesIO(); torch.save([t(2, dtype=d) for d in ("float16", "bfloat16", "float32", "complex64", "complex128", "int8", "uint8", "bool", "int16")], f); n = f.seek(0); torch.load(f)
import io; f = io.BytesIO(); torch.save((torch.Size([2]), torch.float32), f); n = f.seek(0); torch.load(f)
import io; f = io.BytesIO(); torch.save(t(2), f); n = f.seek(0); torch.load(f, "cpu"), f.seek(0), torch.load(f, map_location=torch.device("cpu")), f.seek(0), torch.load(f, map_location=lambda storage, place: storage), f.seek(0), torch.load(f, map_location={"cuda:0": "cpu"}), f.seek(0), torch.load(f, weights_only=True)
torch.load("/nonexistent/file")
torch.save(1, "/nonexistent/file")
torch.save(1, 3)
torch.load(3) ## class
import io; torch.load(io.BytesIO(b"")) ## differs: one class for every file that is not as it should be
import io; torch.load(io.StringIO("a")) ## differs: a TypeError that says why
import io; torch.save(t(2), io.StringIO()) ## class
import io; f = io.BytesIO(); torch.save(t(2), f); torch.load(f) ## differs: one class for every file that is not as it should be
"""


@pytest.mark.parametrize("case", cases(COPIES))
def test_copies(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(PICKLES))
def test_pickles(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(FILES))
def test_files(case: str) -> None:
    agree(case)
