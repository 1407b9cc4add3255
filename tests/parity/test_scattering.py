"""Writing by index out of place, and what is made of it: values, gradients and errors as PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

SETUP = "a = leaf(2, 3); b = leaf(2, 3, seed=1); c = leaf(seed=2)"
CALLS = """
index_add(a, 0, torch.tensor([0, 0]), b)
index_add(a, 1, torch.tensor([2, 0, 2]), b, alpha=2)
index_add(a, -1, torch.tensor(1), b[:, :1])
index_add(a, 1, torch.tensor([0, 1], dtype=torch.int32), b[:, :2])
index_copy(a, 1, torch.tensor([2, 0]), b[:, :2])
index_copy(a, 0, torch.tensor([1]), b[:1])
index_copy(a, 1, torch.tensor(1), b[:, :1])
index_fill(a, 1, torch.tensor([0, -1]), 9)
index_fill(a, 1, torch.tensor([0, 2]), c)
index_fill(a, 1, torch.tensor(1), 9.5)
index_put(a, (torch.tensor([0, 1]),), c)
index_put(a, (torch.tensor([0, 1]), torch.tensor([-1, 0])), b[0, :2])
index_put(a, (torch.tensor([0, 1]), torch.tensor([1, 1])), b[0, :2], accumulate=True)
index_put(a, (torch.tensor([0, 0]), torch.tensor([1, 1])), b[0, :2], accumulate=True)
index_put(a, (torch.tensor([[True, False, True], [False, True, False]]),), c)
index_put(a, (torch.tensor([True, False]),), b[0], True)
put(a, torch.tensor([0, -1]), b[0, :2])
put(a, torch.tensor([[0, 0], [1, 2]]), b[:, :2], True)
masked_scatter(a, torch.tensor([[True, False, True], [False, True, False]]), b)
masked_scatter(a, torch.tensor([True, False, True]), b)
masked_scatter(a, torch.tensor([False, False, False]), b)
masked_scatter(a[0], torch.tensor([[True, False, True], [False, True, False]]), b)
scatter(a, 1, torch.tensor([[0, 2], [1, 2]]), b[:, 1:])
scatter(a, 0, torch.tensor([[1, 0, 1]]), b[1:])
scatter(a, 1, torch.tensor([[0, 2], [1, 2]]), 7)
scatter(a, 1, torch.tensor([[0, 0, 0], [1, 2, 2]]), value=7.5)
scatter(a, dim=-1, index=torch.tensor([[0], [1]]), src=b[:, :1])
scatter_add(a, 1, torch.tensor([[0, 0, 2], [1, 1, 1]]), b)
scatter_add(a, 0, torch.tensor([[1, 1]]), b[:1, 1:])
scatter_add(a, 1, torch.tensor([[0, 0, 2, 2]]), torch.cat([b, b], 1)[:1, 1:5])
take_along_dim(a, torch.tensor([[0], [2]]), 1)
take_along_dim(a, torch.tensor([[-1, 0]]), 1)
take_along_dim(a, torch.tensor([0, 5, 5]))
take_along_dim(a, torch.tensor([[0, 0, 1]]), dim=0)
cumprod(a, 0)
cumprod(a, dim=1)
cumprod(a * torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64), 1)
tril(a)
triu(a, 1)
tril(a, diagonal=-1)
"""


def reductions() -> Iterator[str]:
    indices = {"[[0, 0, 2], [1, 1, 1]]": "b", "[[0, 2], [1, 1]]": "b[:, 1:]", "[[1, 0, 2]]": "b[:1]"}
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        for include in ("", ", include_self=False"):
            for index, src in indices.items():
                yield f'scatter_reduce(a, 1, torch.tensor({index}), {src}, "{reduce}"{include})'
            yield f'scatter_reduce(a, 0, torch.tensor([[1, 1, 0], [1, 1, 1]]), b, "{reduce}"{include})'
            if reduce != "sum":
                yield f'index_reduce(a, 1, torch.tensor([2, 0, 2]), b, "{reduce}"{include})'
                yield f'index_reduce(a, 0, torch.tensor([1, 1]), b, "{reduce}"{include})'


EVERY = [*cases(CALLS), *reductions()]


def test_values_and_gradients() -> None:
    agree_all(f"{SETUP}; pull(torch.{call}, a, b, c) ## loose" for call in EVERY)


def test_methods() -> None:
    agree_all(f"{SETUP}; a.{call.replace('(a, ', '(')}" for call in EVERY if "(a, " in call and "a[0]" not in call)


def test_second_order() -> None:
    agree_all(
        f"{SETUP}; g = torch.autograd.grad((torch.{call} ** 3).sum(), (a, b), create_graph=True, allow_unused=True); "
        "pull([x for x in g if x is not None], a, b)[1] ## loose"
        for call in EVERY
        if "a[0]" not in call
    )


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float16", "float32", "complex64"])
def test_other_dtypes(dtype: str) -> None:
    setup = "; ".join(
        f"{name} = t({shape}seed={i}, dtype='{dtype}')"
        for i, (name, shape) in enumerate(zip("abc", ("2, 3, ", "2, 3, ", ""), strict=True))
    )
    agree_all(f"{setup}; torch.{call.replace('float64', dtype)} ## class | unnamed" for call in EVERY)


def test_ties_and_zeros() -> None:
    ties = "a = torch.tensor([1.0, 2.0, 0.0]).requires_grad_(); b = torch.tensor([1.0, 1.0, 2.0, 0.0]).requires_grad_()"
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        for include in ("True", "False"):
            for index in ("[0, 0, 1, 1]", "[0, 0, 0, 0]", "[2, 2, 1, 0]", "[1, 2, 2, 2]"):
                agree(
                    f'{ties}; pull(a.scatter_reduce(0, torch.tensor({index}), b, "{reduce}", include_self={include}), a, b)'
                )


def test_zeros_to_second_order() -> None:
    """Where PyTorch refuses (several zeros) or is wrong (one) the closed form: a product's mixed derivatives."""
    import tapegrad as tg

    a = tg.tensor([3.0], requires_grad=True)
    b = tg.tensor([2.0, 0.0, 5.0], requires_grad=True)
    out = tg.scatter_reduce(a, 0, tg.tensor([0, 0, 0]), b, "prod")
    (g,) = tg.autograd.grad(out.sum(), b, create_graph=True)
    assert g.tolist() == [0.0, 30.0, 0.0]
    (h,) = tg.autograd.grad(g[0], b, retain_graph=True)
    assert h.tolist() == [0.0, 15.0, 0.0]
    (h,) = tg.autograd.grad(g[1], b)
    assert h.tolist() == [15.0, 0.0, 6.0]


ERRORS = """
torch.index_add(t(2, 3), 1, torch.tensor([0, -1]), t(2, 2))
torch.index_add(t(2, 3), 1, torch.tensor([0, 5]), t(2, 2))
torch.index_add(t(2, 3), 1, torch.tensor([0]), t(2, 2))
torch.index_add(t(2, 3), 1, torch.tensor([0, 1]), t(1, 2))
torch.index_add(t(2, 3), 1, torch.tensor([[0, 1]]), t(2, 2))
torch.index_add(t(2, 3), 1, torch.tensor([0.0, 1.0]), t(2, 2))
torch.index_add(t(2, 3), 1, torch.tensor([0, 1], dtype=torch.int16), t(2, 2))
torch.index_add(t(2, 3), 1, torch.tensor(0), t(2))
torch.index_add(t(2, 3), 1, torch.tensor([0, 1]), t(2, 2, dtype="float32"))
torch.index_add(t(2, 3), 3, torch.tensor([0, 1]), t(2, 2))
torch.index_add(t(), 0, torch.tensor([0, 0]), t(2))
torch.index_add(t(), 0, torch.tensor(0), t())
torch.index_add(t(2, 3), 1, [0, 1], t(2, 2))
torch.index_add(torch.tensor([1, 2]), 0, torch.tensor([0]), torch.tensor([3]), alpha=0.5)
torch.index_add(torch.tensor([True, False]), 0, torch.tensor([0, 1]), torch.tensor([True, True]))
torch.index_copy(t(2, 3), 1, torch.tensor([0, -1]), t(2, 2))
torch.index_copy(t(2, 3), 1, torch.tensor([0, 4]), t(2, 2))
torch.index_copy(t(2, 3), 1, torch.tensor([0]), t(2, 2))
torch.index_copy(t(2, 3), 1, torch.tensor([0, 1], dtype=torch.int32), t(2, 2))
torch.index_copy(t(2, 3), 1, torch.tensor([0, 1]), t(2, 2, dtype="float32"))
torch.index_copy(t(2, 3), 1, torch.tensor([0, 1]), t(1, 2))
torch.index_copy(t(2, 3), 1, torch.tensor([[0, 1]]), t(2, 2))
torch.index_copy(t(2, 3), 1, torch.tensor([0, 1]), t(2))
torch.index_copy(t(), 0, torch.tensor([0, 0]), t(2))
torch.index_copy(t(), 0, torch.tensor(0), t())
torch.index_copy(t(2, 3), 1, torch.tensor([0, 0]), t(2, 2))
torch.index_fill(t(2, 3), 1, torch.tensor([0, 4]), 9)
torch.index_fill(t(2, 3), 1, torch.tensor([[0, 1]]), 9)
torch.index_fill(t(2, 3), 1, torch.tensor([0, 1], dtype=torch.int32), 9)
torch.index_fill(t(2, 3), 1, torch.tensor([0.0]), 9)
torch.index_fill(t(2, 3), 1, torch.tensor([0]), t(1))
torch.index_fill(torch.tensor([1, 2]), 0, torch.tensor([0]), 2.5)
torch.index_fill(torch.tensor([1, 2]), 0, torch.tensor([0]), 1j)
torch.index_fill(t(), 0, torch.tensor([0]), 1)
torch.index_put(t(2, 3), (torch.tensor([0, 0]), torch.tensor([1, 1])), torch.tensor([5, 6]))
torch.index_put(t(2, 3), (torch.tensor([0, 0]), torch.tensor([1, 1])), t(2))
torch.index_put(t(2, 3), [torch.tensor([0])], 5.0)
torch.index_put(t(2, 3), torch.tensor([0, 0]), t())
torch.index_put(t(2, 3), (None, torch.tensor([0])), t())
torch.index_put(t(2, 3), (1,), t())
torch.index_put(t(2, 3), (torch.tensor([0]), torch.tensor([0]), torch.tensor([0])), t())
torch.index_put(t(2, 3), (torch.tensor([0.0]),), t())
torch.index_put(t(2, 3), (torch.tensor([9]),), t()) ## class
torch.index_put(t(2, 3), (torch.tensor([0, 1]),), t(4))
torch.index_put(t(2, 3), (torch.tensor([0, 1]),), t(2, 2, 3))
torch.put(t(2, 3), torch.tensor([0, 9]), t(2))
torch.put(t(2, 3), torch.tensor([0]), t(2))
torch.put(t(2, 3), torch.tensor([0, 1]), torch.tensor([9, 8]))
torch.put(t(2, 3), torch.tensor([0, 1], dtype=torch.int32), t(2))
torch.put(t(2, 3), torch.tensor([0, 0]), t(2))
torch.scatter(t(2, 3), 1, torch.tensor([[0, 3]]), t(2, 3))
torch.scatter(t(2, 3), 1, torch.tensor([[0, -1]]), t(2, 3))
torch.scatter(t(2, 3), 1, torch.tensor([0, 1]), t(2, 3))
torch.scatter(t(2, 3), 1, torch.tensor([[0, 1, 1, 1]]), t(2, 3))
torch.scatter(t(2, 3), 0, torch.tensor([[0, 1, 1, 1]]), t(1, 4))
torch.scatter(t(2, 3), 0, torch.tensor([[0, 1, 1, 1]]), 1.0) ## class
torch.scatter(t(2, 3), 1, torch.tensor([[0], [1], [1]]), t(3, 3))
torch.scatter(t(2, 3), 1, torch.tensor([[0, 1]]), t(2, 3, dtype="float32"))
torch.scatter(t(2, 3), 1, torch.tensor([[0, 1]], dtype=torch.int32), t(2, 3))
torch.scatter(t(2, 3), 1, torch.tensor([[0.0, 1.0]]), t(2, 3))
torch.scatter(t(2, 3), 1, torch.tensor([], dtype=torch.int64), t(2, 3))
torch.scatter(t(2, 3), 2, torch.tensor([[0, 1]]), t(2, 3))
torch.scatter(t(2, 3), 1, torch.tensor([[0, 1]]), t())
torch.scatter(t(), 0, torch.tensor(0), t())
torch.scatter(t(), 0, torch.tensor([0]), t(1))
torch.scatter(torch.tensor([1, 2]), 0, torch.tensor([0]), 2.7)
torch.scatter(torch.tensor([1, 2]), 0, torch.tensor([0]), 1j)
torch.scatter(t(2, 3), 1, torch.tensor([[0, 2], [1, 1]]), 7, reduce="x")
torch.scatter(t(2, 3), 1, torch.tensor([[0, 2], [1, 1]]), 7, reduce="add")
torch.scatter(t(2, 3), 1, torch.tensor([[0, 2], [1, 1]]), t(2, 2), reduce="add")
torch.scatter(t(2, 3), 1, torch.tensor([[0, 2], [1, 1]]), t(2, 2), reduce="multiply")
torch.scatter(t(2, 3), 1, torch.tensor([[0, 2], [1, 1]])) ## class
torch.scatter_add(t(2, 3), 1, torch.tensor([[0, 0]]), 7)
torch.scatter_add(t(2, 3), 1, torch.tensor([[0, 5]]), t(2, 3))
torch.scatter_add(t(2, 3), 1, torch.tensor([[0, 0, 0, 0]]), t(2, 3))
torch.scatter_add(t(2, 3), 1, torch.tensor([[0, 0]]), t(2, 3, dtype="float32"))
torch.scatter_reduce(t(2, 3), 1, torch.tensor([[0, 0]]), t(2, 3), "x")
torch.scatter_reduce(t(2, 3), 1, torch.tensor([[0, 0]]), t(2, 3), reduce="amax")
torch.scatter_reduce(t(2), 0, torch.tensor([], dtype=torch.int64), t(0), "prod")
torch.scatter_reduce(torch.tensor([1.0, nan]), 0, torch.tensor([0, 1]), torch.tensor([nan, 1.0]), "amax")
torch.scatter_reduce(torch.tensor([-1, 2]), 0, torch.tensor([0, 0]), torch.tensor([-4, -4]), "mean")
torch.index_reduce(t(2, 3), 1, torch.tensor([0, 0]), t(2, 2), "sum")
torch.index_reduce(t(2, 3), 1, torch.tensor([0, 0, 0]), t(2, 2), "amax")
torch.index_reduce(t(2, 3), 1, torch.tensor([0, -1]), t(2, 2), "amax") ## class
torch.masked_scatter(t(2, 3), t(2, 3) > 0, t(1))
torch.masked_scatter(t(2, 3), t(2, 3) > 0, torch.arange(10)) ## class
torch.masked_scatter(t(2, 3), torch.tensor([1, 0, 1]), t(10))
torch.take_along_dim(t(2, 3), torch.tensor([0, 1]), 1)
torch.take_along_dim(t(2, 3), torch.tensor([[7]]), 1)
torch.take_along_dim(t(2, 3), torch.tensor([[0]], dtype=torch.int32), 1)
torch.take_along_dim(t(2, 3), torch.tensor([[0], [1], [0]]), 1) ## class
torch.cumprod(t(2, 3), 5)
torch.cumprod(t(2, dtype="int32"), 0)
torch.cumprod(t(2, dtype="bool"), 0)
torch.cumprod(t(), 0), torch.cumprod(t(0), 0), torch.cumprod(t(0, 3), 1)
torch.cumprod(t(2, dtype="int32"), 0, dtype=torch.float64)
torch.tril(t(3))
torch.triu(t(2, 3), "a")
torch.triu(torch.ones(0, 3)).shape, torch.tril(torch.ones(2, 3, dtype=torch.bool))
torch.tril(torch.tensor([[inf, inf], [nan, 1.0]]))
torch.scatter(t(2, 3), 1, torch.tensor([[0], [2]]), t(2, 3)), torch.scatter_add(t(2, 3), 0, torch.tensor([[0, 1]]), t(2, 3))
a = leaf(2, 3); b = leaf(2, 3); pull(a.scatter(1, torch.tensor([[0], [2]]), b), a, b) ## differs: PyTorch has no derivative by a source that is larger than the index
x = leaf(0, 3); pull(x.scatter_add(0, torch.zeros(0, 3, dtype=torch.int64), t(0, 3)), x)
"""


@pytest.mark.parametrize("case", cases(ERRORS))
def test_errors_and_conventions(case: str) -> None:
    agree(case)


@settings(deadline=None)
@given(st.data())
def test_any_index(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    at = [data.draw(st.integers(1, n if i != dim % len(shape) else 4)) for i, n in enumerate(shape)]
    index = data.draw(st.lists(st.integers(0, shape[dim] - 1), min_size=64, max_size=64))
    setup = (
        f"a = leaf({str(shape)[1:-1]}); b = leaf({str(at)[1:-1]}, seed=1); "
        f"i = torch.tensor({index[: __import__('math').prod(at)]}).reshape({at})"
    )
    for call in ("scatter_add({}, i, b)", "scatter({}, i, 7)", 'scatter_reduce({}, i, b, "{}")', "gather({}, i)"):
        for reduce in ("sum", "prod", "mean", "amax", "amin") if "reduce" in call else ("",):
            agree(f"{setup}; pull(a.{call.format(dim, reduce)}, a, b) ## loose")
