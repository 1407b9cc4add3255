"""Shapes, views, joining and splitting, matrix products: as PyTorch's, gradients and shared memory included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

CALLS = """
reshape(4, 6)
reshape((4, 6))
reshape([2, -1])
reshape(-1)
reshape(-1, 4)
reshape(shape=(8, 3))
reshape(2, 3, 4)
reshape(5, 5)
reshape(-1, -1)
reshape(-1, 5)
reshape(-2, 12)
reshape(2.0, 12)
reshape()
reshape("a")
view(4, 6)
view((4, 6))
view(-1)
view(size=(4, 6))
view(5, 5)
view(-1, 0)
view_as(t(4, 6))
reshape_as(t(4, 6))
flatten()
flatten(1)
flatten(0, 1)
flatten(start_dim=1, end_dim=-1)
flatten(1, 1)
flatten(2, 1)
flatten(0, 3)
ravel()
permute(2, 0, 1)
permute((2, 0, 1))
permute([-1, 0, 1])
permute(dims=(1, 2, 0))
permute(0, 1)
permute(0, 0, 1)
permute(0, 1, 3)
permute(0, 1, 2)
transpose(0, 1)
transpose(-1, 0)
transpose(dim0=0, dim1=2)
transpose(1, 1)
transpose(0, 3)
transpose(0)
swapaxes(0, 2)
movedim(0, 2)
movedim(-1, 0)
movedim((0, 1), (1, 2))
movedim(0, 3)
t()
T
mT
squeeze()
squeeze(0)
squeeze(-1)
squeeze(dim=1)
squeeze((0, 1))
squeeze(3)
unsqueeze(0)
unsqueeze(-1)
unsqueeze(dim=1)
unsqueeze(3)
unsqueeze(4)
unsqueeze(-5)
unsqueeze()
expand(5, 2, 3, 4)
expand(2, 3, 4)
expand(-1, 3, -1)
expand((2, 3, 4))
expand(size=(2, 3, 4))
expand(3, 4)
expand(2, 5, 4)
expand(-1, 2, 3, 4)
expand_as(t(2, 2, 3, 4))
broadcast_to((2, 2, 3, 4))
flip(0)
flip(0, 2)
flip((0, -1))
flip(dims=(1,))
flip([])
flip(0, 0)
flip(3)
flip()
narrow(1, 0, 2)
narrow(1, 1, 2)
narrow(-1, -2, 2)
narrow(dim=0, start=0, length=1)
narrow(1, 2, 2)
narrow(1, 4, 1)
narrow(1, 0, 0)
narrow(3, 0, 1)
select(1, 0)
select(dim=-1, index=-1)
select(1, 3)
select(3, 0)
unbind()
unbind(1)
unbind(dim=-1)
unbind(3)
split(2, 1)
split(2, dim=-1)
split([1, 2], 1)
split((1, 1, 1), dim=1)
split(5)
split([1, 1], 1)
split(0, 1)
split(-1, 1)
split(1, 3)
split(split_size=2, dim=2)
chunk(2, 2)
chunk(3, dim=2)
chunk(5, 1)
chunk(0)
contiguous()
clone()
numel()
dim()
size()
size(1)
size(-1)
size(3)
size(dim=0)
shape
ndim
stride()
is_contiguous()
element_size()
nelement()
"""
# Messages that PyTorch's argument parser writes, or that speak of a backend.
PARSED = ('"a"', "2.0", "transpose(0)", "unsqueeze()", "flip()", "permute(dims", "reshape()", "expand(3, 4)")


def call_cases() -> Iterator[str]:
    for call in cases(CALLS):
        note = " ## class" if any(call.startswith(p) or p in call for p in PARSED) else ""
        yield f"t(2, 3, 4).{call}{note}"
        yield f"x = leaf(2, 3, 4); out = x.{call}; pull(out, x) if isinstance(out, torch.Tensor) else out{note}"
        if call != "ravel()":  # whose node PyTorch calls by another name there
            yield f"x = leaf(2, 3, 4).permute(2, 0, 1); x.{call}{note}"
        yield f"x = t(2, 1, 1); x.{call}{note or ' ## class'}"
        yield f"x = t(3); x.{call}{note or ' ## class'}"
        if call not in ("mT", "movedim(-1, 0)"):  # deprecated there; a node of its own name
            yield f"x = leaf(); x.{call}{note or ' ## class'}"
        yield f"x = t(0, 3); x.{call}{note or ' ## class'}"


def test_methods() -> None:
    agree_all(call_cases())


FUNCTIONS = """
torch.reshape(t(2, 3), (3, 2))
torch.reshape(input=t(2, 3), shape=(3, 2))
torch.permute(t(2, 3), (1, 0))
torch.transpose(t(2, 3), 0, 1)
torch.movedim(t(2, 3), 0, 1)
torch.squeeze(t(2, 1), 1)
torch.squeeze(t(2, 1), axis=1)
torch.unsqueeze(t(2, 3), dim=0)
torch.flatten(t(2, 3, 4), start_dim=1)
torch.flip(t(2, 3), (0,))
torch.flip(t(2, 3), dims=[1])
torch.broadcast_to(t(3), (2, 3))
torch.broadcast_tensors(t(2, 1), t(3))
torch.broadcast_tensors(t(2), t(3))
torch.broadcast_tensors()
torch.cat([t(2, 3), t(1, 3)])
torch.cat((t(2, 3), t(2, 1)), dim=1)
torch.cat([t(2, 3), t(2, 1)], axis=-1)
torch.cat(tensors=[t(2), t(3)])
torch.concat([t(2), t(3)])
torch.cat([t(2), t(0)])
torch.cat([t(2, 3), torch.tensor([])])
torch.cat([t(0), t(0)])
torch.cat([t(2), torch.tensor([1])])
torch.cat([t(2, dtype="float32"), t(2, dtype="float64")])
torch.cat([])
torch.cat([t(2), 3]) ## class
torch.cat(t(2)) ## class
torch.cat([t(2, 3), t(2, 4)])
torch.cat([t(2, 3), t(2)])
torch.cat([t(), t()])
torch.cat([t(2), t(2)], 1)
x = leaf(2, 3); y = leaf(1, 3, seed=1); pull(torch.cat([x, y, x]), x, y)
x = leaf(2, 3); y = leaf(2, 1, seed=1); pull(torch.cat([x, y], 1), x, y)
x = leaf(2, dtype="float32"); y = leaf(3, seed=1); pull(torch.cat([x, y]), x, y)
torch.stack([t(2), t(2, seed=1)])
torch.stack([t(2), t(2, seed=1)], dim=1)
torch.stack([t(2), t(2, seed=1)], -1)
torch.stack([t(2), t(2, seed=1)], 3)
torch.stack([t(), t()])
torch.stack([t(2), t(3)])
torch.stack([])
torch.stack([t(2), torch.tensor([1, 2])])
x = leaf(2); y = leaf(2, seed=1); pull(torch.stack([x, y], 1), x, y)
torch.split(t(5), 2)
torch.split(t(5), [2, 3])
torch.split(t(5, 2), split_size_or_sections=1, dim=1)
torch.chunk(t(5), 2)
torch.unbind(t(2, 3), 1)
torch.narrow(t(5), 0, 1, 2)
torch.select(t(2, 3), 1, 0)
torch.t(t(2, 3))
torch.t(t(2, 3, 4))
torch.ravel(t(2, 3))
torch.swapaxes(t(2, 3), 0, 1)
x = leaf(5); a, b, c = x.split(2); pull(a.sum() * 2 + c.sum(), x)
x = leaf(4); a, b = x.chunk(2); a.grad_fn.name(), b.grad_fn.name()
x = leaf(2, 3); a, b = x.unbind(); a.grad_fn.name()
x = leaf(2, 3); a, b = x; a.grad_fn.name(), pull(a * b, x)[1]
a = t(2, 3); b = a.view(3, 2); b[0, 0] = 9; a
a = t(2, 3); b = a.T; b[2, 0] = 9; a
a = t(2, 3); b = a.reshape(6); b[0] = 9; a
a = t(2, 3).T; b = a.reshape(6); b[0] = 9; a
a = t(2, 3); b = a[1]; b += 1; a
a = t(2, 3); b = a[:, 1:]; b.zero_(); a
a = t(2, 3); b = a.flatten(); b.mul_(2); a
a = t(2, 3); b = a.squeeze().unsqueeze(1); b.mul_(2); a
a = t(2, 3); b = a.expand(2, 2, 3); b.add_(1)
a = t(2, 3); b = a.expand(2, 3); b.add_(1); a
a = t(3); a.expand(2, 3)[0].add_(1)
a = t(6); b, c = a.chunk(2); b.fill_(3); c[0] = 1; a
a = t(2, 3); b = a.contiguous(); b.zero_(); a
a = t(2, 3); b = a.T.contiguous(); b.zero_(); a
a = t(2, 3); b = a.flip(0); b.zero_(); a
a = t(2, 3); b = a.detach(); b.zero_(); a
a = t(2, 3); a.data.zero_(); a
a = t(2, 3); b = a.clone(); b.zero_(); a
a = t(2, 3); b = a.to(torch.float64); b.zero_(); a
a = t(2, 3); b = a.to(torch.float32); b.zero_(); a
a = t(2, 3); a.unbind()[1].zero_(); a
a = t(2, 3); n = a.numpy(); n[0, 0] = 7; a
a = t(2, 3); n = a.numpy(); a += 1; n
a = t(2, 3); n = a.T.numpy(); n[0, 0] = 7; a
t(4, 6).T.view(24)
t(4, 6)[:, ::2].view(12)
t(4, 6)[:, :3].view(12)
t(4, 6)[:2].view(12)
t(4, 6)[:, :3].view(4, 3, 1)
t(4, 6)[:, :3].view(2, 2, 3)
t(4, 6)[:, ::2].view(2, 2, 3)
t(2, 3, 4).permute(0, 2, 1).view(2, 2, 2, 3)
t(2, 3, 4).permute(2, 0, 1).view(4, 6)
t(2, 3, 4).permute(2, 0, 1).view(8, 3)
t(3, 1).expand(3, 4).view(12)
t(3, 1).expand(3, 4).view(3, 2, 2)
t(3).expand(4, 3).view(12)
t(0, 3).T.view(0)
t(1, 3).T.view(3)
a = t(4, 6)[:, ::2]; b = a.view(2, 2, 3); b.zero_(); a
a = t(3, 1).expand(3, 4); a.reshape(12).stride()
t(2, 3).T.stride(), t(2, 3).T.is_contiguous(), t(2, 1).T.is_contiguous(), t(0, 3).T.is_contiguous()
t(2, 3)[:, 0].stride(), t(4, 6)[::2, ::3].stride(), t(1, 3).expand(2, 3).stride(), t(2, 1, 3).squeeze().stride()
"""


@pytest.mark.parametrize("case", cases(FUNCTIONS))
def test_functions_and_shared_memory(case: str) -> None:
    agree(case)


# What PyTorch deprecates; the line that is blamed is the user's.
DEPRECATED = """
leaf().T
leaf(2).T
(leaf(2) * 1).T
leaf(2, 2).T
leaf(1, 2, 3).T
leaf(dtype="complex64").T
leaf().mT
leaf(2).mT
leaf(2, 3, 4).mT
leaf().mH
leaf(2).mH
leaf(2, 3, 4).mH
leaf().H
leaf(2).H
leaf(2, 3, 4).H
leaf(2, 3, dtype="complex64").H
leaf(dtype="complex64").H
leaf().adjoint()
leaf(2).adjoint()
torch.adjoint(leaf())
torch.meshgrid(t(2), t(3))
torch.meshgrid([t(2)])
torch.meshgrid(t(2), indexing=None)
torch.meshgrid(t(2), indexing="ij")
torch.meshgrid(t(2), indexing="a")
"""
WARNED = """
import warnings
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    torch.set_warn_always(True) if hasattr(torch, "set_warn_always") else None
    result = caught(lambda: {})
    torch.set_warn_always(False) if hasattr(torch, "set_warn_always") else None
(result, [(str(w.message).split(" (Triggered")[0], w.category.__name__) for w in found])
"""


@pytest.mark.parametrize("call", cases(DEPRECATED))
def test_deprecated(call: str) -> None:
    """The line that is blamed is not compared: PyTorch blames itself once its device contexts have been used."""
    agree(WARNED.format(call))


# Sizes and dims one by one, in a sequence or by keyword: methods whose arguments are nothing else take them one by one.
SIZES = {
    "view": "3, 2", "reshape": "3, 2", "expand": "4, 2, 3", "broadcast_to": "4, 2, 3", "repeat": "2, 1", "tile": "2, 1",
    "permute": "1, 0", "flip": "0, 1", "squeeze": "0, 1", "squeeze_": "0, 1", "resize_": "3, 2", "new_zeros": "2, 3",
    "new_ones": "2, 3", "new_empty": "0, 3", "hsplit": "1, 2", "vsplit": "1, 1", "dsplit": "1, 2",
    "split_with_sizes": "1, 1", "split": "1, 1", "tensor_split": "1, 2", "unflatten": "1, 3",
}  # fmt: skip
NAMES = ("size", "shape", "repeats", "dims", "dim", "split_sizes")


def size_cases() -> Iterator[str]:
    for method, sizes in SIZES.items():
        one = sizes.split(", ")[0]
        for given in (
            sizes,
            f"({sizes})",
            f"[{sizes}]",
            f"torch.Size([{sizes}])",
            f"torch.tensor({one})",
            "",
            "1.5",
            "()",
        ):
            yield f"x = t({'1, 2, 3' if method == 'dsplit' else '2, 3'}); x.{method}({given}) ## class"
        for name in NAMES:
            yield f"x = t(2, 3); x.{method}({name}=({sizes})) ## class"
            yield f"x = t(2, 3); x.{method}({name}={one}) ## class"
        yield f"x = t(2, 3, 2); x.{method}(indices=({sizes})) ## class"
        yield f"x = t(2, 3, 2); x.{method}(sections={one}) ## class"
    for call in ("split", "chunk", "tensor_split", "squeeze", "hsplit", "repeat_interleave", "max", "unsqueeze", "sum"):
        yield f"x = t(2, 3); x.{call}(np.int64(1)) ## class"
    yield "x = t(2, 3); x.roll(np.int64(1), np.int64(0)), x.movedim(np.int64(0), np.int64(1))"
    yield "x = t(2, 3); torch.hsplit(x, sections=3), torch.tensor_split(x, indices=(0, 1))"
    yield "x = leaf(1, 3); x.squeeze(0, 1), x.squeeze(0), x.squeeze((0,)), x.squeeze(dim=(0, 1))"
    yield "x = t(2, 3); x.split(1.5)"
    yield "x = t(2, 3); x.chunk(2.0)"


def test_sizes_and_dims_in_every_form() -> None:
    agree_all(size_cases())


SHAPES = [
    (),
    (3,),
    (2,),
    (0,),
    (2, 3),
    (3, 2),
    (3, 4),
    (0, 3),
    (3, 0),
    (5, 2, 3),
    (5, 3, 4),
    (1, 3, 4),
    (4, 1, 3, 2),
    (5, 2, 4),
    (0, 3, 2),
]


def matmul_cases() -> Iterator[str]:
    for a in SHAPES:
        for b in SHAPES:
            given = f"x = leaf(*{a}); y = leaf(*{b}, seed=1); "
            note = "class | unnamed" if max(len(a), len(b)) > 2 else "class"  # PyTorch folds batches in its own ways
            yield given + f"pull(x @ y, x, y) ## {note}"
    for name, shapes in {
        "mm": [(2, 3), (3, 2), (3,)],
        "mv": [(2, 3), (3,)],
        "dot": [(3,), (2,), (2, 3)],
        "bmm": [(5, 2, 3), (5, 3, 2), (4, 3, 2), (2, 3)],
    }.items():
        for a in shapes:
            for b in shapes:
                yield f"x = leaf(*{a}); y = leaf(*{b}, seed=1); pull(torch.{name}(x, y), x, y) ## class"
                yield f"x = leaf(*{a}); y = leaf(*{b}, seed=1); x.{name}(y) ## class"
    for a in ("float32", "float64", "float16", "bfloat16", "int64", "int8", "bool", "complex64"):
        for b in ("float32", a):
            yield f"t(2, 3, dtype='{a}') @ t(3, 2, dtype='{b}') ## class"
            yield f"t(3, dtype='{a}') @ t(3, dtype='{b}') ## class"
    yield "x = leaf(2, 3, dtype='complex128'); y = leaf(3, 2, dtype='complex128', seed=1); pull(x @ y, x, y)"
    yield "x = leaf(3, 3); pull(x @ x, x)"
    yield "x = leaf(3, 3); pull(x @ x.T, x)"
    yield "torch.matmul(t(2, 3), 2) ## class"
    yield "torch.matmul(input=t(2, 3), other=t(3))"
    yield "torch.mm(t(2, 3), mat2=t(3, 2))"
    yield "t(2, 3) @ np.ones((3, 2)) ## class"
    yield "t(2, 3) @ t(2, 3)"
    yield "t(2, 3) @ t(2)"
    yield "t(3) @ t(2, 3)"
    yield "t(3) @ t(2)"
    yield "t(3) @ t()"
    yield "t(5, 2, 3) @ t(5, 2, 3)"
    yield "t(5, 2, 3) @ t(4, 3, 2)"
    yield "t(2, 3, dtype='float32') @ t(3, 2) ## says: expected m1 and m2 to have the same dtype"
    yield "x = leaf(2, 3); w = leaf(4, 3, seed=1); b = leaf(4, seed=2); pull(F.linear(x, w, b), x, w, b) ## unnamed"
    yield "x = leaf(5, 2, 3); w = leaf(4, 3, seed=1); pull(F.linear(x, w), x, w) ## unnamed"
    yield "F.linear(t(2, 3), t(4, 2))"


def test_matrix_products() -> None:
    agree_all(matmul_cases())
