"""Reductions, scans and the softmax family: values, dtypes, gradients, names and errors as PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

DTYPES = ["bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
SEVERAL = ["sum", "mean", "amax", "amin", "any", "all", "var", "std", "logsumexp"]  # over one dim, several or all
SINGLE = ["prod", "max", "min", "argmax", "argmin"]  # over one dim or all
KEEPING = ["cumsum", "softmax", "log_softmax"]  # along one dim, which stays
DIMS = {
    "several": ["", "0", "1", "-1", "dim=2", "(0, 2)", "dim=[-1, 0]", "dim=()", "None", "dim=None", "axis=1", "3", "-4", "(0, 0)", "0.5"],
    "single": ["", "0", "1", "-1", "dim=2", "axis=1", "3", "-4", "0.5"],
    "keeping": ["0", "1", "-1", "dim=2", "axis=0", "3", "-4", "", "'a'"],
}  # fmt: skip
# PyTorch's logsumexp and the gradient of its var fail with no dims; they need not be imitated.
UNLIKE = [("logsumexp", "dim=()"), ("var", "dim=()"), ("std", "dim=()")]
KEEP = ["", "keepdim=True", "keepdims=True"]


def joined(*arguments: str) -> str:
    return ", ".join(argument for argument in arguments if argument)


WITHOUT_GRADIENT = ("any", "all", "argmax", "argmin")
SPECIAL = ["1.0, nan, 3.0", "inf, 1.0, -inf", "-inf, -inf", "inf, inf", "0.0, -0.0", "3.0, 3.0, 1.0, 3.0"]


def dims_of(name: str) -> list[str]:
    return DIMS["several" if name in SEVERAL else "single" if name in SINGLE else "keeping"]


def keeps_of(name: str, dim: str) -> list[str]:
    return KEEP if name not in KEEPING and dim else [""]  # PyTorch takes keepdim with dim only


def spellings(name: str) -> Iterator[str]:
    """The dims in every form, as a function and as a method."""
    for dim in dims_of(name):
        for keep in keeps_of(name, dim) if (name, dim) not in UNLIKE else []:
            call = joined("x", dim, keep)
            note = "class | unnamed" if "None" in dim else "class"  # PyTorch tells an explicit None from none
            yield f"x = leaf(2, 3, 4); torch.{name}({call}) ## {note}"
            yield f"x = leaf(2, 3, 4); x.{name}({joined(dim, keep)}) ## {note}"
            if name not in WITHOUT_GRADIENT:
                yield f"x = leaf(2, 3, 4); pull(torch.{name}({call}), x) ## {note}"
    yield f"torch.{name}(3{', 0' if name in KEEPING else ''}) ## class"
    yield f"torch.{name}(input=t(2, 3), dim=1) ## class"


def dtypes(name: str) -> Iterator[str]:
    for dtype in DTYPES:
        for dim in dims_of(name)[:2]:
            yield f"torch.{name}({joined(f't(2, 3, dtype={dtype!r})', dim)}) ## class"
            if "float" in dtype and name not in WITHOUT_GRADIENT:
                yield f"x = leaf(2, 3, dtype={dtype!r}); pull(torch.{name}({joined('x', dim)}), x) ## class | loose"
    if name in ("sum", "mean", "prod", *KEEPING):
        for dtype in ("float64", "float32", "int64", "bfloat16", "bool", "complex64"):
            yield f"torch.{name}(t(2, 3, dtype='float32'), dim=1, dtype=torch.{dtype}) ## class"
            yield f"torch.{name}(t(2, 3, dtype='int32'), 1, dtype=torch.{dtype}) ## class"
        yield f"x = leaf(2, 3, dtype='float32'); pull(torch.{name}(x, 1, dtype=torch.float64), x) ## unnamed"


def shapes_and_values(name: str) -> Iterator[str]:
    for shape in ((), (1,), (0,), (2, 0), (0, 2), (1, 1)):
        for dim in [*dims_of(name)[:2], "-1"]:
            for keep in keeps_of(name, dim)[:2]:
                yield f"torch.{name}({joined(f't(*{shape})', dim, keep)}) ## class"
                if name not in WITHOUT_GRADIENT:
                    yield f"x = leaf(*{shape}); pull(torch.{name}({joined('x', dim, keep)}), x) ## class"
    for values in SPECIAL:
        yield f"torch.{name}(torch.tensor([{values}], dtype=torch.float64), 0) ## class"
        yield f"torch.tensor([{values}]).{name}(-1) ## class"


@pytest.mark.parametrize("name", [*SEVERAL, *SINGLE, *KEEPING])
def test_reductions(name: str) -> None:
    agree_all([*spellings(name), *dtypes(name), *shapes_and_values(name)])


FORMS = """
t(2, 3).var(unbiased=False)
t(2, 3).var(False)
t(2, 3).var(0, False)
t(2, 3).var(0, unbiased=False, keepdim=True)
t(2, 3).var(dim=1, correction=0)
t(2, 3).var(correction=2)
t(2, 3).std(1, correction=0.5)
t(1, 3).var(0)
t(1, 3).std(0, correction=3)
torch.var(t(2, 3), 1, correction=0, keepdim=True)
torch.std(t(2, 3), unbiased=True)
x = leaf(2, 3); pull(torch.var(x, 1, correction=0), x)
x = leaf(2, 3); pull(torch.std(x, (0, 1), correction=2), x)
x = torch.ones(3, dtype=torch.float64, requires_grad=True); pull(x.var(), x)
x = torch.ones(3, dtype=torch.float64, requires_grad=True); pull(x.std(), x)
x = leaf(2, 3, dtype="complex128"); pull(x.var(), x)
x = torch.tensor([1.0, 3.0, 3.0], requires_grad=True); pull(x.max(), x)
x = torch.tensor([1.0, 3.0, 3.0], requires_grad=True); pull(x.amax(), x)
x = torch.tensor([1.0, 3.0, 3.0], requires_grad=True); pull(x.max(0), x)
x = torch.tensor([1.0, 3.0, 3.0], requires_grad=True); pull(x.max(0).values, x)
x = torch.tensor([[1.0, 3.0], [3.0, 1.0]], requires_grad=True); pull(x.min(dim=1, keepdim=True)[0], x)
torch.max(t(3, 4), dim=1).indices
torch.max(t(3, 4), 1)[1].dtype
values, indices = torch.min(t(3, 4), 0); (values, indices)
t(2, 3).sum(keepdim=True) ## differs: keepdim is accepted without dim
t(2, 3).max(keepdim=True) ## differs: keepdim is accepted without dim
torch.max(torch.tensor([2, 7, 7]), 0)
torch.argmax(torch.tensor([2, 7, 7]))
torch.argmax(t(2, 3, 4), dim=1, keepdim=True)
torch.argmax(t(2, 3, 4), keepdim=True)
torch.argmin(t(2, 3, 4), dim=None)
torch.argmax(torch.tensor([1.0, nan, 3.0, nan]))
x = torch.tensor([1.0, 0.0, 3.0], requires_grad=True); pull(x.prod(), x)
x = torch.tensor([0.0, 0.0, 3.0], requires_grad=True); pull(x.prod(), x)
x = torch.tensor([[1.0, 0.0], [2.0, 3.0]], requires_grad=True); pull(x.prod(1), x)
x = torch.tensor([[1.0, 0.0], [2.0, 3.0]], requires_grad=True); pull(x.prod(dim=0, keepdim=True), x)
x = leaf(7); (g,) = torch.autograd.grad(x.prod(), x, create_graph=True); torch.autograd.grad(g.sum(), x)[0]
x = torch.tensor([2.0, 0.0, 3.0, 0.0], requires_grad=True); (g,) = torch.autograd.grad(x.prod(), x, create_graph=True); torch.autograd.grad(g.sum(), x)[0]
torch.prod(torch.tensor([2, 3]))
torch.prod(torch.tensor([True, False]))
torch.sum(torch.tensor([True, True]))
torch.sum(torch.tensor([200, 100], dtype=torch.uint8))
torch.sum(torch.tensor([1, 2]), dtype=torch.float32)
torch.sum(t(2, 3), dim=1, keepdim=True, dtype=torch.float32)
torch.mean(torch.tensor([1, 2]))
torch.mean(torch.tensor([1, 2]), dtype=torch.float32)
torch.mean(torch.tensor([True]))
torch.sum(torch.full((70000,), 1.0, dtype=torch.float16))
torch.mean(torch.full((4096,), 1.001, dtype=torch.bfloat16))
torch.sum(t(1000, dtype="float32"))
torch.all(torch.tensor([1, 2]))
torch.any(torch.tensor([0.0, nan]))
torch.all(torch.tensor([], dtype=torch.bool))
torch.any(t(2, 3, dtype="bool"), dim=(0, 1))
torch.all(torch.tensor([1, 2], dtype=torch.uint8))
torch.cumsum(torch.tensor([1, 2, 3]), 0)
torch.cumsum(torch.tensor([True, True]), dim=0)
torch.cumsum(torch.tensor([1, 2], dtype=torch.uint8), 0)
t(2, 3).cumsum(1, dtype=torch.float32)
torch.softmax(torch.tensor([1, 2]), 0) ## class
torch.softmax(torch.tensor([1, 2]), 0, dtype=torch.float32)
torch.softmax(torch.tensor([-inf, -inf]), 0)
torch.log_softmax(torch.tensor([-inf, 0.0]), 0)
torch.softmax(torch.tensor([1000.0, 0.0]), 0)
torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0)
torch.logsumexp(torch.tensor([-inf, -inf]), 0)
torch.logsumexp(torch.tensor([1, 2]), 0)
torch.logsumexp(torch.tensor([1 + 4j, 1 - 3j]), 0)
torch.logsumexp(torch.tensor([1 + 4j]), 0)
x = leaf(2, 3, dtype="complex128"); pull(torch.logsumexp(x, 1), x)
torch.logsumexp(t(2, 3), (0, 1))
torch.logsumexp(t(2, 3), dim=1, keepdim=True)
x = torch.tensor([-inf, -inf], requires_grad=True); pull(torch.logsumexp(x, 0), x) ## differs: 0, as in a softmax over nothing; PyTorch has nan
x = torch.tensor([inf, 1.0], requires_grad=True); pull(torch.logsumexp(x, 0), x)
x = torch.tensor([inf, 1.0], requires_grad=True); pull(torch.softmax(x, 0), x)
x = leaf(2, 3); pull(x.softmax(dim=-1), x)
x = leaf(2, 3); pull(x.log_softmax(0), x)
x = leaf(); pull(x.sum(0), x)
x = leaf(); pull(x.mean(-1, keepdim=True), x)
x = leaf(2, 3); x.sum(0).grad_fn.name(), x.sum().grad_fn.name(), x.mean().grad_fn.name(), x.mean(1).grad_fn.name()
x = leaf(2, 3, dtype="complex128"); pull(x.sum(0), x)
x = leaf(2, 3, dtype="complex128"); pull(x.prod(), x) ## unnamed
x = leaf(2, 3, dtype="complex128"); pull(x.cumsum(1), x)
x = leaf(2, 3, dtype="complex128"); pull(x.mean(), x)
"""


@pytest.mark.parametrize("case", cases(FORMS))
def test_forms_and_conventions(case: str) -> None:
    agree(case)
