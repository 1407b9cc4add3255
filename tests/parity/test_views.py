"""Views: values, gradients, strides and names; writes through each view, and through views of views."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import Scope, agree, agree_all, cases  # noqa: E402

# Looks at a matrix of 4 by 6 numbers, and at what another look shows of it.
REAL = """
{}[1]
{}[1:3]
{}[..., ::2]
{}[..., -1:]
{}[None]
{}[..., None]
{}[...]
{}.mT
{}.transpose(0, -1)
{}.permute(*range({}.dim()))
{}.view(-1)
{}.reshape(-1)
{}.reshape(2, -1)
{}.ravel()
{}.unflatten(-1, (-1, 1))
{}.unsqueeze(1)
{}.unsqueeze(-1)
{}.squeeze()
{}.squeeze((0, -1))
{}.expand({}.shape)
{}.expand(1, *{}.shape)
{}.expand(2, *{}.shape)
{}.narrow(-1, 1, 2)
{}.select(-1, 1)
{}.diagonal()
{}.diagonal(1, -1, 0)
{}.diagonal(-1, 0, -1)
{}.unfold(0, 2, 2)
{}.unfold(-1, 1, 2)
{}.as_strided((2, 2), (2, 1))
{}.as_strided((3,), (1,), {}.storage_offset())
{}.tensor_split(2)[1]
{}.unbind()[0]
{}.split(2)[0]
torch.atleast_3d({})
"""

# Other ways to say such things: not seen through each other.
ALIKE = """
x[:]
x[:, None]
x[:, ::1]
x.T
x.T.T
x.t()
x.H
x.mH
x.adjoint()
x.T.adjoint()
x.swapdims(0, -1)
x.swapaxes(0, 1)
x.movedim(0, -1)
x.moveaxis(-1, 0)
x.view_as(x)
x.reshape_as(x.T)
x.T.reshape_as(x)
x.flatten()
x.T.flatten()
x.unflatten(0, (2, -1))
x.unsqueeze(0)
x.squeeze(0)
x[:1].squeeze(0)
x.expand_as(x)
x.broadcast_to(x.shape)
x.narrow(0, 0, 1)
x.narrow(0, torch.tensor(1), 2)
x.select(0, 0)
x.tensor_split((1,), -1)[0]
x.tensor_split([3, 1, -2, 9])[2]
x.hsplit([1])[0]
x.hsplit(2)[1]
x.vsplit([1])[1]
x[None].dsplit(3)[1]
x.split([1, 3])[0]
x.split_with_sizes([2, 2])[0]
x.chunk(2, -1)[0]
torch.atleast_1d(x)
torch.atleast_2d(x[0])
torch.atleast_2d(x, x)[0]
torch.broadcast_tensors(x[0], x)[0]
torch.broadcast_tensors(x, torch.zeros(1))[0]
torch.meshgrid(x[0], x[1])[0]
torch.meshgrid(x[0], x[1], indexing='xy')[1]
torch.real(x)
x.real
x.unfold(1, 3, 2)
x.unfold(1, 0, 1)
x.unfold(0, 4, 1)
x[0, 0].unfold(0, 1, 1)
x[0, 0].unfold(0, 0, 1)
x.view(2, 2, 6).diagonal(-1, 1, 2)
x.diagonal(9)
x.as_strided((), (), 5)
x.as_strided((0, 3), (100, 100), 100)
x.as_strided((2, 3, 2), (0, 1, 1))
x.T.as_strided((2, 3), (5, 2), 1)
x[1].as_strided((6,), (1,))
x[:, 1].as_strided((2,), (12,))
x[:, 1].as_strided((3,), (6,), 7)
x[1].as_strided((3,), (4,), 0)
x[:, :3].as_strided((4, 6), (6, 1))
x[1:].expand(2, 3, 6).as_strided((2, 6), (6, 1))
x.detach().as_strided((2, 6), (6, 1)).requires_grad
"""

# The same for complex numbers, of which there are 2 by 2 by 2.
COMPLEX = """
{}
{}.real
{}.imag
torch.view_as_real({})
torch.view_as_complex(torch.view_as_real({}))
torch.view_as_complex({}.as_strided((2, 2), (2, 1)))
{}[1]
{}[..., 0]
{}.mT
{}.view(-1)
{}.diagonal()
{}.unfold(0, 1, 1)
{}.unsqueeze(-1)
{}.squeeze()
"""


def pairs(views: str) -> Iterator[str]:
    """What makes `y` of `x`: one look, or two."""
    looks = cases(views)
    for first in looks:
        yield f"y = {first.replace('{}', 'x')}"
        for second in looks:
            yield f"v = {first.replace('{}', 'x')}; y = {second.replace('{}', 'v')}"


def seen(begin: str, look: str) -> Scope | None:
    """What PyTorch sees there; None if it cannot look so."""
    scope = Scope(torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(f"{begin}; {look}", scope)
        except (RuntimeError, IndexError):
            return None
    return scope


BEGINS = {
    "real": ("a = leaf(4, 6); x = a * 1", REAL),
    "complex": ("a = leaf(2, 2, 2, dtype='complex128'); x = a * 1", COMPLEX),
}
LOOKS = {
    kind: {f"{begin}; {look}": scope for look in pairs(views) if (scope := seen(begin, look)) is not None}
    for kind, (begin, views) in BEGINS.items()
}


WHERE = (
    "y.stride(), y.storage_offset() if y.numel() else 0, y.is_contiguous(), y._base is None, y._version, "
    "y.data_ptr() == x.data_ptr()"
)


def test_there_are_many_looks() -> None:
    assert len(LOOKS["real"]) > 900
    assert len(LOOKS["complex"]) > 100


@pytest.mark.parametrize("kind", LOOKS)
def test_looks(kind: str) -> None:
    agree_all(f"{look}; pull(y, a), {WHERE}" for look in LOOKS[kind])


@pytest.mark.parametrize("look", cases(ALIKE))
def test_looks_alike(look: str) -> None:
    agree(f"{BEGINS['real'][0]}; y = {look}; " + (f"pull(y, a), {WHERE}" if "requires_grad" not in look else "y"))


# Writes

WRITES = {
    "to the view": "y.mul_(t(*y.shape, seed=5))",
    "of a leaf to the view": "y.add_(leaf(*y.shape, seed=5))",
    "to the base": "x.mul_(2)",
}


SEVERAL = (".unbind(", ".split(", ".chunk(")


def notes(look: str, scope: Scope, write: str) -> str | None:
    """Of what a write through this look may be other; None if it is a case of its own."""
    if ".as_strided" in look and not is_part(look):
        return None  # y shows what v does not
    if write != "to the base" and "v = x.expand(2" in look:
        return None
    found = ["class"] if any(name in look for name in SEVERAL) else []
    return "|".join([*found, *(["unnamed"] if "torch.view_as" in look else [])])


def is_part(look: str) -> bool:
    """Whether all elements that `y` shows are shown by `v`, if there is one."""
    begin, _, rest = look.partition("x = a * 1")
    complex_ = "complex" in begin
    numbers = "torch.arange(16.0).view(2, 2, 2, 2)" if complex_ else "torch.arange(24.0).view(4, 6)"
    scope = seen(f"x = {f'torch.view_as_complex({numbers})' if complex_ else numbers}", rest.lstrip("; "))
    assert scope is not None
    v, y = (torch.view_as_real(t) if t.is_complex() else t for t in (scope.get("v", scope["x"]), scope["y"]))
    return set(y.flatten().tolist()) <= set(v.flatten().tolist())


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("kind", LOOKS)
def test_writes(kind: str, write: str) -> None:
    agree_all(
        f"{look}; {WRITES[write]}; pull((x, y), a), y._version" + (f" ## {note}" if note else "")
        for look, scope in LOOKS[kind].items()
        if (note := notes(look, scope, write)) is not None
    )


# Calls that have other results, or none

CALLS = """
t(4, 6).diagonal(0, 1, 1)
t(4).diagonal()
t(4, 6).diagonal(0, 0, 2)
torch.diagonal(t(2, 3, 4), offset=-1, dim1=2, dim2=0)
t(7).unfold(0, 8, 2)
t(7).unfold(0, -1, 2)
t(7).unfold(0, 3, 0)
t(7).unfold(1, 3, 1)
t().unfold(0, 2, 1)
t(3, 4).as_strided((2, 2), (1, 2), 20)
t(3, 4).as_strided((2, 2), (1, 20))
t(3, 4)[1:].as_strided((3, 4), (4, 1))
t(3, 4).as_strided((2, 2), (-1, 2), 3)
t(3, 4).as_strided((2, 2), (1, 2), -1)
t(3, 4).as_strided((2, 2), (1,))
t(3, 4).as_strided((2, -2), (1, 2))
torch.as_strided(t(3, 4), (2, 2), (1, 2), storage_offset=3)
x = t(3, 4); y = x.as_strided((4, 3), (1, 4)); y[0] = 7; x
x = leaf(3, 4); y = x[:, ::2].as_strided((3, 4), (4, 1)); pull(y, x)
x = leaf(3, 4); v = (x * 1)[:, ::2]; pull(v.as_strided((3, 4), (4, 1)), v)
x = leaf(3, 4); v = x.T * 1; y = v.as_strided((2, 2), (3, 1)); pull(y, x, v)
x = leaf(4, 3); y = x.as_strided((3, 3), (1, 2)); pull(torch.autograd.grad((y ** 3).sum(), x, create_graph=True)[0], x) ## unnamed
x = leaf(6); y = x.unfold(0, 3, 1); pull(torch.autograd.grad((y ** 3).sum(), x, create_graph=True)[0], x) ## unnamed
x = leaf(3, 3); y = x.diagonal(1); pull(torch.autograd.grad((y ** 3).sum(), x, create_graph=True)[0], x) ## unnamed
torch.view_as_complex(t(3, 3))
torch.view_as_complex(t())
torch.view_as_complex(t(4, 4)[:, ::2][:, :2])
torch.view_as_complex(t(4, 4)[:, 1:3])
torch.view_as_complex(t(4, 3)[:, :2])
torch.view_as_complex(torch.zeros(3, 2, dtype=torch.int64))
torch.view_as_complex(t(2, 2, dtype='complex128'))
torch.view_as_complex(t(2, 2, dtype='float32'))
torch.view_as_real(t(3))
torch.view_as_real(t(2, dtype='complex64'))
x = leaf(2, 2); pull(torch.view_as_complex(x), x)
x = leaf(2, dtype='complex128'); pull(torch.view_as_real(x), x)
x = leaf(2, dtype='complex128'); g = torch.autograd.grad(torch.view_as_real(x).pow(3).sum(), x, create_graph=True)[0]; pull(g, x) ## unnamed
x = t(2, dtype='complex128'); x.real = torch.ones(2); x.imag = torch.zeros(2); x
x = t(2); x.real = torch.ones(2); x
x = t(2, dtype='complex128'); x.real.mul_(2); x.imag[0] = 5; x
x = leaf(2, dtype='complex128'); y = x * 1; y.real = leaf(2, seed=1); pull(y, x)
torch.imag(t(2))
x = leaf(3); x.imag
t(7, 2).tensor_split(0)
t(7, 2).tensor_split(3, dim=5)
t().tensor_split(3)
torch.tensor_split(t(7, 2), torch.tensor([1, 3]))
torch.tensor_split(t(7, 2), torch.tensor(3))
torch.tensor_split(t(7, 2), torch.tensor([1.0, 3.0]))
torch.tensor_split(t(7, 2), torch.tensor([[1]]))
torch.tensor_split(t(0, 2), 3)
torch.tensor_split(t(7), (2, 9), dim=0)
torch.hsplit(t(4, 6), 4)
torch.hsplit(t(4, 6), 0)
torch.hsplit(t(), 2)
torch.hsplit(t(6), [2, 3])
torch.vsplit(t(4, 6), 3)
torch.vsplit(t(6), 3)
torch.dsplit(t(4, 6), 2)
torch.dsplit(t(1, 2, 4), 2)
t(5, 2).split([2, 2])
t(5, 2).split([-1, 6])
t(5, 2).split([-1, 2])
torch.split_with_sizes(t(5, 2), [2, 3])
t(5, 2).split_with_sizes((1, 1), dim=1)
leaf(5, 2).unsafe_split(2)
torch.unsafe_split(leaf(5, 2), 1, 1)
torch.unsafe_chunk(leaf(5, 2), 2)
leaf(5, 2).unsafe_split_with_sizes([2, 3])
t(5, 2).unsafe_chunk(0)
t(6, 2).unflatten(0, (2, 4))
t(6, 2).unflatten(0, (-1, 4))
t(6, 2).unflatten(0, ())
t(6, 2).unflatten(3, (1, 2))
t(6, 2).unflatten(0, (-1, -1)) ## class
t(6, 2).unflatten(0, 2)
t().unflatten(0, (1, 1)) ## class
t(0, 2).unflatten(0, (0, 3))
torch.unflatten(t(6, 2), dim=0, sizes=(2, 3))
t(6).H
t(6, 2, 3).H
t(6).mH
t(6).mT
t(6).adjoint()
t().H, t().mT, t().mH, t().adjoint()
x = leaf(2, 3, dtype='complex128'); pull(x.H, x), x.mH, x.adjoint(), torch.adjoint(x)
x = leaf(4, 2, 3, dtype='complex128'); pull(x.mH, x)
t(1, 3, 1).squeeze(())
t(1, 3, 1).squeeze([0])
t(1, 3, 1).squeeze((0, 0))
t(5, 2).narrow(0, torch.tensor([1]), 2)
t(5, 2).narrow(0, torch.tensor(1.0), 2)
t(5, 2).narrow(0, torch.tensor(7), 2)
t(5, 2).select(0, torch.tensor(1))
x = leaf(5, 2); torch.atleast_1d(x) is x, torch.atleast_2d(x) is x
torch.atleast_1d(leaf()), torch.atleast_2d(leaf()), torch.atleast_3d(leaf())
torch.atleast_3d(leaf(3)), torch.atleast_3d(leaf(3, 2))
torch.atleast_2d(leaf(3), leaf(2, 1), leaf())
torch.atleast_2d([leaf(3), leaf(2, 1)])
torch.atleast_1d()
torch.atleast_1d(3) ## class
torch.broadcast_tensors([t(3)])
torch.broadcast_tensors(leaf(5, 1), leaf(3))
torch.meshgrid(leaf(2), leaf(3), indexing='ij')
torch.meshgrid([leaf(2), leaf(3), leaf()], indexing='xy')
torch.meshgrid(leaf(2), indexing='xy')
torch.meshgrid(leaf(2), leaf(3), indexing='ab')
torch.meshgrid(indexing='ij')
torch.meshgrid(t(2), torch.tensor([1]), indexing='ij')
torch.meshgrid(t(2, 2), indexing='ij') ## says: torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got:
"""


@pytest.mark.parametrize("case", cases(CALLS))
def test_calls(case: str) -> None:
    agree(case)


# Copies

COPIES = """
x = leaf(2, 3); y = leaf(3, seed=1); pull(x.select_scatter(y, 0, 1), x, y)
x = leaf(2, 3); y = leaf(2, seed=1); pull(torch.select_scatter(x, y, dim=-1, index=-1), x, y)
x = leaf(2, 3); y = leaf(1, 3, seed=1); pull(x.slice_scatter(y, 0, 1), x, y)
x = leaf(4, 2); y = leaf(2, 2, seed=1); pull(torch.slice_scatter(x, y, dim=0, start=-4, end=9, step=2), x, y)
x = leaf(4, 2); y = leaf(4, 2, seed=1); pull(x.slice_scatter(y), x, y)
x = leaf(2, 3); y = leaf(2, seed=1); pull(x.diagonal_scatter(y, 1), x, y)
x = leaf(2, 3, 2); y = leaf(3, 2, seed=1); pull(x.diagonal_scatter(y, dim1=0, dim2=2), x, y)
x = t(2, 3); x.as_strided_scatter(t(2, 2), (2, 2), (3, 1), 1)
x = leaf(2, 3); y = leaf(2, 2, seed=1); pull(x.as_strided_scatter(y, (2, 2), (3, 1)), y)
x = leaf(2, 3); y = leaf(2, seed=1); pull(x.as_strided_scatter(y, (2,), (1,)), x) ## differs: its gradient there is that of what was replaced
x = t(2, 3).T; x.as_strided_scatter(t(2), (2,), (1,), 1), x.as_strided_scatter(t(2), (2,), (1,), 1).stride()
x = t(2, 3); x[1].as_strided_scatter(t(2), (2,), (1,))
x = t(2, 3); x.as_strided_scatter(t(2), (2,), (0,))
x = t(2, 3); x.as_strided_scatter(t(3), (2,), (1,))
x = t(2, 3); x.as_strided_scatter(t(2), (2,), (6,))
t(2, 3).select_scatter(t(2), 0, 1)
t(2, 3).select_scatter(t(), 0, 1)
t(2, 3).select_scatter(t(3), 0, 2)
t(2, 3).select_scatter(t(3), 5, 0)
t().select_scatter(t(), 0, 0)
t(2, 3).slice_scatter(t(2, 3), 0, 1)
t(2, 3).slice_scatter(t(1, 3), 0, 1, 2, 0)
t().slice_scatter(t(), 0)
t(2, 3).diagonal_scatter(t(3))
t(2, 3).diagonal_scatter(t(2), 0, 1, 1)
t(2, 3).select_scatter(t(3, dtype='float32'), 0, 1)
t(2, 3, dtype='int32').select_scatter(t(3), 0, 1)
leaf(2, 3).diagonal_scatter(t(2, dtype='int64'))
t(2, 3).T.select_scatter(t(2), 0, 1).stride(), t(2, 3).T.diagonal_scatter(t(2)).stride()
x = leaf(2, 3); y = leaf(2, seed=1); z = x.diagonal_scatter(y) ** 3; g = torch.autograd.grad(z.sum(), (x, y), create_graph=True); pull(g, x, y) ## unnamed
x = leaf(5, 2); pull(x.narrow_copy(0, 1, 2), x)
x = leaf(5, 2); pull(torch.expand_copy(x, (3, 5, 2)), x)
x = leaf(5, 2); pull(torch.permute_copy(x, (1, 0)), x), torch.permute_copy(x, (1, 0)).stride()
x = leaf(5, 2); pull(torch.select_copy(x, 0, 1), x)
x = leaf(5, 2); pull(torch.slice_copy(x, 0, 1, 4, 2), x)
x = leaf(5, 2); torch.split_copy(x, 2), torch.split_with_sizes_copy(x, [2, 3]), torch.unbind_copy(x, 1)
x = leaf(5, 1); torch.squeeze_copy(x), torch.squeeze_copy(x, 1), torch.squeeze_copy(x, (1,)), torch.unsqueeze_copy(x, 0)
x = leaf(5, 2); torch.t_copy(x), torch.transpose_copy(x, 0, 1), torch.view_copy(x, (10,)), torch.alias_copy(x)
x = leaf(5, 2); torch.unfold_copy(x, 0, 2, 1), torch.diagonal_copy(x), torch.as_strided_copy(x, (2,), (1,))
x = t(2, 2); torch.view_as_complex_copy(x), torch.view_as_real_copy(t(2, dtype='complex128'))
x = t(5, 2); y = torch.diagonal_copy(x); y.zero_(); x
x = leaf(2, 3); pull(x.repeat(2, 1), x)
x = leaf(2, 3); pull(x.repeat(2, 1, 3), x)
x = leaf(2, 3); pull(x.T.repeat((1, 2)), x), x.T.repeat(1, 1).stride(), x.T.repeat(1, 1)._base is None
x = leaf(); pull(x.repeat(2), x), x.repeat(())
t(2, 3).repeat(2)
t(2, 3).repeat(0, 1)
t(2, 3).repeat(-1, 1)
x = leaf(2, 3); pull(x.tile(2), x), x.tile((2, 1, 2)), torch.tile(x, (2,)), x.tile(())
x = leaf(2, 3); pull(torch.repeat_interleave(x, 2), x)
x = leaf(2, 3); pull(x.repeat_interleave(2, dim=0), x), x.repeat_interleave(2, 1)
x = leaf(2, 3); pull(x.repeat_interleave(torch.tensor([1, 2]), 0), x)
x = leaf(2, 3); pull(x.repeat_interleave(torch.tensor([1, 2, 3, 0, 1, 1])), x), x.repeat_interleave(torch.tensor([2]), 0)
x = leaf(2, 3); x.repeat_interleave(torch.tensor(2), 0), x.repeat_interleave(0), leaf().repeat_interleave(2)
x = t(2, 3); x.repeat_interleave(2, 0, output_size=4), x.repeat_interleave(torch.tensor([1, 2]), 0, output_size=3)
t(2, 3).repeat_interleave(2, 0, output_size=5)
t(2, 3).repeat_interleave(torch.tensor([1, 2]), 0, output_size=4)
t(2, 3).repeat_interleave(torch.tensor([1, 2, 3]), 0)
t(2, 3).repeat_interleave(torch.tensor([[1, 2]]), 0)
t(2, 3).repeat_interleave(-1)
t(2, 3).repeat_interleave(torch.tensor([1.0, 2.0]), 0)
t(2, 3).repeat_interleave(2.0) ## class
torch.repeat_interleave(torch.tensor([1, 2])), torch.repeat_interleave(torch.tensor([1, 2], dtype=torch.int32))
torch.repeat_interleave(torch.tensor([1, -2]))
torch.repeat_interleave(torch.tensor([[1, 2]]))
torch.repeat_interleave(torch.tensor([1, 2], dtype=torch.int8))
x = leaf(2, 3); pull(x.roll(1), x), x.roll(-7), x.roll(0)
x = leaf(2, 3); pull(x.roll(1, 0), x), x.roll((1, 2), (0, 1)), torch.roll(x, shifts=4, dims=-1), x.roll((1, 1), (1, 1))
x = t(2, 3); x.roll((1, 2))
x = t(2, 3); x.roll((1, 2), 0)
x = t(2, 3); x.roll(1, 5)
x = t(2, 3); x.roll((), ())
x = t(0, 3); x.roll(1, 0), x.roll(1), t().roll(1)
t().roll(1, 0)
x = leaf(2, 3); pull(torch.rot90(x), x), x.rot90(2), x.rot90(-1, (0, 1)), x.rot90(4), x.rot90(1, [1, 0]), x.rot90(5)
x = leaf(2, 3); x.rot90(1, (-1, 0)).stride(), x.rot90(2).stride(), x.T.rot90(4).stride(), x.rot90(1)._base is None
x = leaf(2, 2, 3); pull(x.rot90(1, (0, 2)), x)
t(2, 3).rot90(1, (0, 0))
t(2, 3).rot90(1, (0, -2))
t(2, 3).rot90(1, (0,))
t(2, 3).rot90(1, (0, 2))
t(2).rot90()
x = leaf(2, 3); x.fliplr(), x.flipud(), torch.fliplr(x), torch.flipud(x)
t(3).fliplr()
t().flipud()
x = leaf(3); pull(torch.diag(x), x), torch.diag(x, 1), x.diag(-1)
x = leaf(3, 4); pull(torch.diag(x), x), torch.diag(x, 1), x.diag(-2), torch.diag(x)._base is None
torch.diag(t())
torch.diag(t(2, 2, 2))
x = leaf(2, 3); pull(torch.diag_embed(x), x), x.diag_embed(1), x.diag_embed(-1, 0, 2), x.diag_embed(dim1=2, dim2=0)
t(2, 4).diag_embed(0, 1, 1)
torch.diag_embed(t())
x = leaf(2, 3); pull(torch.diagflat(x), x), torch.diagflat(x, 1), torch.diagflat(leaf())
torch.tril_indices(3, 3), torch.tril_indices(3, 4, 1), torch.triu_indices(3, 4, offset=-1), torch.triu_indices(0, 4)
torch.triu_indices(3, 4, dtype=torch.int32)
torch.triu_indices(-3, 4)
torch.triu_indices(3, -4)
torch.triu_indices(3, 4, dtype=torch.float32)
torch.tril_indices(3, 4, dtype=torch.int16)
x = leaf(2, 2); y = leaf(3, seed=1); pull(torch.block_diag(x, y, leaf()), x, y)
torch.block_diag(t(2, 2), torch.tensor(1)), torch.block_diag()
torch.block_diag(t(2, 2), t(1, 1, 1))
torch.block_diag([t(2, 2)])
x = leaf(2, 3); pull(torch.hstack([x, x]), x), torch.vstack([x, x]), torch.dstack([x, x]), torch.column_stack([x, x])
x = leaf(3); torch.hstack([x, x]), torch.vstack([x, x]), torch.dstack([x, x]), torch.column_stack([x, x])
x = leaf(); torch.hstack([x, x]), torch.row_stack([x, x]), torch.dstack([x, x]), torch.column_stack([x, x])
torch.column_stack([leaf(3, 2), leaf(3)])
torch.hstack([])
torch.vstack([])
torch.dstack([])
torch.column_stack([])
torch.hstack(t(3))
torch.vstack([t(3), t(2)])
torch.hstack([t(2), torch.tensor([1])])
torch.cat([t(2, 3).T, t(2, 3).T], 1).stride(), torch.stack([t(2, 3).T, t(2, 3).T]).stride()
"""


@pytest.mark.parametrize("case", cases(COPIES))
def test_copies(case: str) -> None:
    agree(case)


# Memory

MEMORY = """
x = t(2, 3); x.stride(), x.stride(0), x.stride(-1), x.stride(dim=0), t().stride(), t(0, 3).stride(), t(3, 0).stride()
t(2, 3).stride(2)
t(2, 3).stride(1.0)
t().stride(0)
t(4, 6)[4:].stride(), t(2, 0, 3).stride(), t(4, 6)[:, 6:].stride()
x = t(4, 6); x.storage_offset(), x[1].storage_offset(), x[1, 2:].storage_offset(), x.T[1].storage_offset()
x = t(4, 6); x[1].data_ptr() - x.data_ptr(), x[4:].data_ptr(), x.T.data_ptr() == x.data_ptr()
x = t(4, 6); s = x.untyped_storage(); s.nbytes(), s.size(), len(s), s.data_ptr() == x.data_ptr(), type(s).__name__
x = t(4, 6); s = x[1:].untyped_storage(); s.nbytes(), s.data_ptr() == x.data_ptr()
x = t(0, 3); x.data_ptr(), x.untyped_storage().nbytes(), x.untyped_storage().data_ptr()
x = t(2, 3); x.is_set_to(x), x.is_set_to(x.view(2, 3)), x.is_set_to(x[0]), x.is_set_to(x.clone()), x.T.T.is_set_to(x)
x = t(2, 3); x.is_set_to(x.view(torch.int64)), x.is_set_to(x.detach()), x.is_set_to(x.T)
t(2, 3).is_set_to(3)
x = t(2, 3); x.T.contiguous().stride(), x.contiguous() is x, x.T.is_contiguous(), x[:1].T.is_contiguous()
"""


@pytest.mark.parametrize("case", cases(MEMORY))
def test_memory(case: str) -> None:
    agree(case)


# Memory as another dtype

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
    "complex128",
)  # fmt: skip


def dtype_cases() -> Iterator[str]:
    for source in DTYPES:
        for target in DTYPES:
            for shape in ("4", "2, 3", "", "3, 0", "0, 4"):
                if target != "bool" or source == "bool":  # a bool of other bytes than 0 and 1 is not printed alike
                    ones = f"torch.ones({shape or '()'}, dtype=torch.{source})"
                    strides = "" if shape == "3, 0" else ", y.stride()"  # of no element, NumPy has none to scale
                    yield f"x = {ones}; y = x.view(torch.{target}); y, y._base is None{strides}"
    for target in ("int64", "float32", "complex128", "float64"):
        yield f"x = leaf(4); x.view(torch.{target}).requires_grad"
        yield f"x = leaf(4, 4); x.T.view(torch.{target}) ## unnamed"
        yield f"x = t(5, 4)[1:, 1:3]; x.view(torch.{target})"
        yield f"x = t(4, 5)[:, :4]; x.view(torch.{target})"
        yield f"x = t(4, 5)[1:].T[1:]; x.view(torch.{target})"
        yield f"x = t(4); y = x.view(torch.{target}); v = x._version; y.zero_(); x, x._version - v, y._version"
        yield f"x = leaf(4); y = x.view(torch.{target}); y.zero_(); x"


DTYPE_CALLS = """
x = t(4); x.view(dtype=torch.int32)
x = t(4); x.view(float)
x = t(4); x.view("a") ## class
x = t(4); x.view(torch.int32, 2) ## class
x = t(4); y = x.view(torch.complex128); y.mul_(leaf(2, dtype='complex128')); x, y, x.requires_grad
x = leaf(4); y = x * 1; z = y.view(torch.int64); z.zero_(); pull(y, x)
x = leaf(4); y = (x * 1).exp(); z = y.view(torch.int64); z.zero_(); pull(y, x) ## says: modified by an inplace operation
torch.view_copy(leaf(4), torch.int64)
"""


def test_dtypes() -> None:
    agree_all([*dtype_cases(), *cases(DTYPE_CALLS)])


# In place

IN_PLACE = """
x = leaf(2, 3) * 1; x.t_(), x.stride(), x._version
x = leaf(2, 3) * 1; x.transpose_(0, -1)
x = leaf(2, 3) * 1; x.swapaxes_(0, 1), x.swapdims_(0, 1)
x = leaf(2, 3) * 1; x.unsqueeze_(1)
x = leaf(1, 3) * 1; x.squeeze_()
x = leaf(1, 3) * 1; x.squeeze_(0)
x = leaf(1, 3) * 1; x.squeeze_((0,))
x = leaf(1, 3) * 1; x.squeeze_(1)
x = leaf(2, 3) * 1; x.as_strided_((2, 2), (1, 2))
x = leaf(2, 3) * 1; x.unsqueeze_(5)
x = leaf(2, 3) * 1; i = id(x); id(x.t_()) == i
x = leaf(2, 3); x.t_()
x = leaf(2, 3); x[:1].t_()
x = t(2, 3); x.t_(), x.stride()
x = t(2, 3); x += 1; x.t_(), x._version
x = t(2, 3); y = x[:1]; y.t_(), y.stride(), x, y._base is x
x = t(2, 3); y = x[:1]; y.t_(); y.mul_(2); x
x = leaf(2, 3); y = x * 1; y.t_(); y.mul_(leaf(3, 2, seed=1)); pull(y, x)
x = leaf(2, 3); y = x * 1; v = y[:1]; v.t_(); pull((y, v), x)
x = leaf(2, 3); y = x * 1; v = y[:1]; v.t_(); v.mul_(2); pull((y, v), x)
x = leaf(2, 3); y = x * 1; v = y[:1]; w = v[0]; v.t_(); w.mul_(2); pull((y, v, w), x)
x = leaf(2, 3); y = x * 1; v = y[:1]; v.t_(); w = v[1:]; w.mul_(2); pull((y, v, w), x)
x = t(2, 3); y = x[:1]; y.t_(); y.mul_(leaf(3, 1)); x, y
x = t(2, 3); y = x[:1]; y.t_(); y.requires_grad, x.requires_grad
x = leaf(2, 3); w = x * 1; z = w.exp(); w.t_(); pull(z, x)
x = leaf(2, 3); w = x * 1; z = w * w; w.t_(); pull(z, x) ## says: modified by an inplace operation
x = leaf(2, 3); torch.set_grad_enabled(False); x.t_(); torch.set_grad_enabled(True); (x * x).sum().backward(); x, x.grad
x = leaf(2, 3); w = x * 1; w.retain_grad(); w.t_(); (w * w).sum().backward(); w.grad, x.grad
x = leaf(2, 3); w = x * 1; w.register_hook(lambda g: g * 2); w.t_(); (w * w).sum().backward(); x.grad
x = leaf(2, 3); w = x * 1; w.t_(); w.register_hook(lambda g: g * 2); (w * w).sum().backward(); x.grad
x = leaf(2, 3); w = x * 1; y = w[0]; y.retain_grad(); y.unsqueeze_(0); (y * y).sum().backward(); y.grad, x.grad
x = leaf(2, 3); w = x * 1; y = w[0]; y.unsqueeze_(0); y.retain_grad(); (y * y).sum().backward(); y.grad, x.grad
x = leaf(2, 3); w = x * 1; y = w[0]; y.unsqueeze_(0); w.mul_(2); pull((w, y), x)
x = leaf(2, 3); w = x * 1; torch.set_grad_enabled(False); w.t_(); torch.set_grad_enabled(True); w.shape, w.grad_fn.name()
x = leaf(2, 3); w = x * 1; y = w[0]; w.t_(); y.grad_fn.name() ## differs: a tensor whose views would not follow is refused
x = leaf(2, 3); w = x * 1; z = w.exp(); z.t_(); z ## differs: so is one whose value is saved
"""


@pytest.mark.parametrize("case", cases(IN_PLACE))
def test_in_place(case: str) -> None:
    agree(case)


# Writes through one of several views that a function returned at once; in `x` the gradient of `a` is followed.
MULTI_VIEW_WRITES = """
x.unbind()[0].add_(1)
x.unbind(1)[0].mul_(2)
x.split(1)[0].add_(1)
x.split([1, 1])[0].add_(1)
x.split_with_sizes([1, 1])[0].add_(1)
x.chunk(2)[0].add_(1)
x.unbind()[0].view(3).add_(1)
x.unbind()[0].unsqueeze(0).zero_()
x.unbind()[0].unsqueeze_(0)
x.split(1)[0][0, 0] = 5
y = x.unbind(); x.add_(1); y[0]
y = x.unbind(); x.add_(1); y[0].grad_fn.name()
y = x.split(1); x.add_(1); y[0] * 2
y = x.unbind(); x.add_(1); pull(x, a)
y = x.chunk(2); y[0].detach().add_(1); pull(x, a)
x.unbind(1)[2].add_(1)
x.split(1)[1].add_(1)
x.split_with_sizes([1, 1])[1].add_(1)
x.split([1, 1])[1].t_()
y = x.split([0, 2]); x.add_(1); y[1] * 1
y = x.unbind(1)[2]; y.output_nr, y[0].output_nr, (y * 1).output_nr, x.detach().unbind()[1].output_nr
x.tensor_split(2)[0].add_(1); pull(x, a)
x.tensor_split((1,))[1].add_(1); pull(x, a)
x.hsplit([1])[0].add_(1); pull(x, a)
x.vsplit(2)[1].add_(1); pull(x, a)
y = torch.meshgrid(x[0], x[1], indexing='ij')[0]; y.add_(1)
y = torch.broadcast_tensors(x[0], x)[1]; y.add_(1); y.grad_fn.name(), pull(x, a)
y = torch.atleast_3d(x, x)[1]; y.add_(1); y.grad_fn.name(), pull(x, a)
y = torch.unsafe_split(x, 1)[0]; y.add_(1); y ## differs: the pieces stay views, so that the gradient of x is right
y = torch.unsafe_chunk(x, 2)[0]; y.add_(1); y.is_leaf
x.detach().unbind()[0].add_(1)
x.detach().unbind()[0].add_(a[0])
x.detach().unbind()[0].view(3).add_(a[0])
torch.set_grad_enabled(False); y = x.unbind()[0]; torch.set_grad_enabled(True); y.add_(1)
torch.set_grad_enabled(False); y = x.unbind()[0]; y.add_(1); torch.set_grad_enabled(True); pull(x, a)
"""


@pytest.mark.parametrize("write", cases(MULTI_VIEW_WRITES))
def test_writes_to_several_views(write: str) -> None:
    agree(f"a = leaf(2, 3); x = a * 1; {write}")
