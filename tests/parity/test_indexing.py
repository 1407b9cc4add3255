"""Reading and writing by index: values, gradients, shared memory and errors as PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

INDICES = """
0
-1
3
4
-5
1, 2
1, 2, 0
1, 2, 0, 0
:
1:
:-1
1:3
::2
3:1
-100:100
1::2, ::3
::-1
::0
1.5:2
...
..., 0
0, ...
1, ..., 0
None
None, 1
1, None
:, None, 1
..., None
None, None
:, 1
:, 1:
:, :, -1
1, 1:, None
[0, 2]
[0, -1]
[[0, 1], [2, 3]]
[0, 4]
[True, False, True, False]
[]
(0, 1)
torch.tensor(1)
torch.tensor([0, 2])
torch.tensor([0, -1, 0])
torch.tensor([[0, 1], [3, 3]])
torch.tensor([0, 4])
torch.tensor([-5])
torch.tensor([], dtype=torch.int64)
torch.tensor([0, 2], dtype=torch.int32)
torch.tensor([1, 0, 1, 0], dtype=torch.uint8)
torch.tensor([0, 2], dtype=torch.int8)
torch.tensor([0.0, 2.0])
torch.tensor(1.0)
torch.tensor(True)
torch.tensor(False)
True
False
torch.tensor([True, False, True, False])
torch.tensor([True, False, True])
torch.tensor([False, False, False, False])
x > 0
x[0] > 0
x[..., 0] > 0
torch.tensor([0, 1]), torch.tensor([1, 2])
torch.tensor([0, 1]), 1
1, torch.tensor([0, 1])
torch.tensor([0, 1]), :, torch.tensor([1, 2])
:, torch.tensor([0, 1]), torch.tensor([1, 2])
:, torch.tensor([0, 1])
..., torch.tensor([0, 1])
torch.tensor([[0], [1]]), torch.tensor([0, 2])
torch.tensor([0, 1]), torch.tensor([0, 1, 2])
torch.tensor([0, 1]), None, torch.tensor([1, 2])
None, torch.tensor([0, 1])
torch.tensor([0, 1]), 1:, None
torch.tensor([0, 1]), torch.tensor([1, 2]), torch.tensor([0, 3])
torch.tensor([True, False, True, False]), torch.tensor([0, 1])
torch.tensor([True, False, True, False]), 1
:, torch.tensor([True, False, True])
:, torch.tensor([True, False])
torch.tensor([True, False, True, False]), :, torch.tensor([True, False, False, False, True])
0, torch.tensor([True, False, True])
1, torch.tensor([0, 1]), 2:
1, :, torch.tensor([0, 1])
torch.tensor([0, 1]), :, 2
torch.tensor(1), torch.tensor([0, 1])
[0, 1], [1, 2]
[0, 1], :, [1, 2]
np.array([0, 2])
np.array([True, False, True, False])
np.int64(1)
range(2)
1.0
{}
slice(1, 3)
(slice(1, 3), 0)
torch.tensor([0, 0, 0])
torch.tensor([0, 0]), torch.tensor([1, 1])
"""
# PyTorch's own words are of another age, or speak of its C++ types.
WORDED = (
    "1.5:2", "::-1", "::0", "1.0", "{}", "torch.tensor([0.0", "torch.tensor(1.0)", "range(2)",
    "torch.tensor([0, 4])", "torch.tensor([-5])", "[0, 4]", "torch.tensor([0, 1]), torch.tensor([0, 1, 2])",
)  # fmt: skip


def reading() -> Iterator[str]:
    for index in cases(INDICES):
        note = "class | unnamed" if index in WORDED else "unnamed"
        yield f"x = leaf(4, 3, 5); pull(x[{index}], x) ## {note}"
        yield f"x = leaf(4, 3, 5).permute(0, 1, 2); x = t(5, 3, 4).permute(2, 1, 0); x[{index}] ## {note}"
        if index not in WORDED:  # which of two errors is reported
            yield f"x = t(4); x[{index}] ## unnamed | class"
            yield f"x = t(); x[{index}] ## unnamed | class"
        yield f"x = leaf(4, 3, 5); (g,) = torch.autograd.grad((x[{index}] ** 3).sum(), x, create_graph=True); pull(g, x) ## class | unnamed"


def writing() -> Iterator[str]:
    for index in cases(INDICES):
        note = "class | unnamed"
        if "uint8" in index or index == "False":
            continue  # PyTorch reads by such a mask, and refuses to write; it writes nothing anywhere, without looking
        for value in ("7", "7.5", "torch.tensor(2.0, dtype=torch.float64)", "v", "t(5)", "t(2, 2, 2, 2, 2)"):
            yield f"x = t(4, 3, 5); v = x[{index}] * 0 + 1; x[{index}] = {value}; x ## {note}"
        yield f"x = t(4, 3, 5, dtype='int64'); x[{index}] = 7.5; x ## {note}"
        yield f"x = t(4, 3, 5); y = x[1:].transpose(0, 1); y[{index}] = 7; x ## {note}"
        if index in REPEATED:  # where a position repeats, one of the values stays: which, is of no account
            continue
        yield f"a = leaf(4, 3, 5); x = a * 1; x[{index}] = 7; pull(x, a) ## {note}"
        yield f"a = leaf(4, 3, 5); x = a * 1; v = leaf(5, seed=1); x[{index}] = v; pull(x, a, v) ## {note}"
        yield f"x = t(4, 3, 5); v = leaf(*x[{index}].shape, seed=1); x[{index}] = v; pull(x, v) ## {note}"
        yield f"a = leaf(4, 3, 5); x = a * 1; v = leaf(seed=1); x[{index}] = v; pull(x, a, v) ## {note}"
        yield f"a = leaf(4, 3, 5); x = a * a; y = x[1:]; x[{index}] = 7; pull((x, y * y), a) ## {note}"


REPEATED = (
    "torch.tensor([0, -1, 0])",
    "torch.tensor([[0, 1], [3, 3]])",
    "torch.tensor([0, 0, 0])",
    "torch.tensor([0, 0]), torch.tensor([1, 1])",
)


def test_reading() -> None:
    agree_all(reading())


def test_writing() -> None:
    agree_all(writing())


FORMS = """
t(4, 3)[1].grad_fn
x = leaf(2, 3, 2, 3); pull(x[:, [0, 1], :, [1, 2]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[:, [0, 1], [0, 1]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[:, 0, :, [1, 2]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[None, :, [0, 1], :, [1, 2]], x) ## unnamed
x = t(2, 3, 2, 3); x[:, [0, 1], :, [1, 2]] = t(2, 2, 2); x
x = t(2, 3, 2, 3); x[:, 0, :, [1, 2]] = t(2, 2, 2); x
x = leaf(2, 3, 2, 3); pull(x[:, 0, None, [1, 0], 1:], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[0, [0, 1], :, [1, 0]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[[0, 1], 0, :, [1, 0]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[[0, 1], 0], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[:, 1, [0, 1]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[:, [0, 1], 1], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[:, [0, 1], None, [0, 1]], x) ## unnamed
x = leaf(2, 3, 2, 3); pull(x[..., True, [0, 1]], x) ## unnamed
leaf(4, 3)[1]
leaf(4, 3)[1:]
leaf(4, 3)[:, 1]
leaf(4, 3)[None]
leaf(4, 3)[1, 2]
leaf(4, 3)[1:, 2]
leaf(4, 3)[1, 1:]
leaf(4, 3)[...] ## unnamed
leaf(4, 3)[:]
leaf(4, 3)[[0, 1]]
leaf(4, 3)[leaf(4, 3) > 0]
x = t(4, 3); y = x[:]; y.zero_(); x
x = t(4, 3); y = x[...]; y.zero_(); x
x = t(4, 3); y = x[1, 2]; y.zero_(); x
x = t(4); y = x[1]; y += 5; x
x = t(4); x[1] += 5; x
x = t(4, 3); x[1:3][0] = 5; x
x = t(4, 3); x[[0, 1]] += 5; x
x = t(4, 3); x[x > 0] = 0; x
x = t(4, 3); x[x > 0] *= 2; x
x = t(4, 3); x[:, 1:] = t(4, 2, seed=1); x
x = t(4, 3); x[0] = x[1]; x
x = t(4, 3); x[:] = x.flip(0); x
x = t(4); x[1:] = x[:-1].clone(); x
x = leaf(4); x[0] = 1
x = leaf(4); x.detach()[0] = 1; x
x = leaf(4, 3); y = x * 1; y[0] = y[1] * 2; pull(y, x) ## unnamed
x = leaf(4, 3); y = x * 1; y[y > 0] = y[y > 0] * 2; pull(y, x) ## unnamed
x = t(3); x[:2] = [1.0, 2.0] ## differs: a list may be assigned, as in NumPy
x = t(3); x["a"] ## differs: the type is what is wrong with the index
x = t(3); x[0] = "a" ## class
x = t(3); x[0] = None
x = t(3); x[5] = 1
x = t(2, 3); x[0] = t(4)
x = t(2, 3); x[0] = t(2, 3)
x = t(2, 3); x[0] = t(1, 3); x
x = t(2, 3); x[0] = t(1, 1, 3); x
x = t(2, 3); x[:] = t(1, 2, 3); x
x = t(2, 3); x[[0, 1]] = t(2, 4) ## says: shape mismatch
x = t(2, 3); x[0, 0] = torch.tensor([1.0]); x
x = t(3); x[0] = 1j ## class
x = t(3, dtype="complex64"); x[0] = 1j; x
x = t(3, dtype="uint8"); x[0] = 300 ## class
x = torch.zeros(3, dtype=torch.bool); x[0] = 2; x
x = torch.zeros(3, dtype=torch.int64); x[0] = 2.7; x
t(3)[0].item() == t(3).tolist()[0]
x = t(3); del x[0]
t(4, 3)[..., 0, ...] ## differs: a second ellipsis is an error, as in NumPy
x = t(4); x[[0, 1]] = torch.tensor(2.0) ## differs: the value is cast, as it is for x[0] = value
torch.gather(t(3, 4), 1, torch.tensor([[0, 1], [2, 3]]))
torch.gather(t(3, 4), 0, torch.tensor([[0, 1, 2, 0]]))
torch.gather(t(3, 4), dim=-1, index=torch.tensor([[0], [1], [3]]))
torch.gather(t(3), 0, torch.tensor([2, 2]))
torch.gather(t(), 0, torch.tensor(0))
torch.gather(t(3), 0, torch.tensor([3])) ## class
torch.gather(t(3), 0, torch.tensor([-1])) ## class
torch.gather(t(3, 4), 1, torch.tensor([0]))
torch.gather(t(3, 4), 1, torch.tensor([[0], [0], [0], [0]]))
torch.gather(t(3), 0, torch.tensor([0.0]))
torch.gather(t(3), 0, torch.tensor([0], dtype=torch.int32))
x = leaf(3, 4); pull(x.gather(1, torch.tensor([[0, 0], [2, 3]])), x)
torch.index_select(t(3, 4), 0, torch.tensor([2, 0]))
torch.index_select(t(3, 4), 1, torch.tensor([0, 0], dtype=torch.int32))
torch.index_select(t(3, 4), dim=1, index=torch.tensor(0))
torch.index_select(t(3, 4), 0, torch.tensor([3])) ## class
torch.index_select(t(3, 4), 0, torch.tensor([-1])) ## class
torch.index_select(t(3, 4), 0, torch.tensor([[0]]))
torch.index_select(t(3, 4), 0, torch.tensor([0.5])) ## class
x = leaf(3, 4); pull(x.index_select(0, torch.tensor([1, 1])), x)
torch.take(t(3, 4), torch.tensor([0, 11]))
torch.take(t(3, 4), torch.tensor([[-1, 5]]))
torch.take(t(3, 4), torch.tensor([12])) ## class
x = leaf(3, 4); pull(torch.take(x, torch.tensor([0, 0, 5])), x)
torch.masked_select(t(3, 4), t(3, 4) > 0)
torch.masked_select(t(3, 4), torch.tensor([True, False, True, False]))
torch.masked_select(t(4), t(3, 4) > 0)
torch.masked_select(t(3), torch.tensor([1, 0, 1])) ## class
x = leaf(3, 4); pull(x.masked_select(x.detach() > 0), x)
torch.masked_fill(t(3), torch.tensor([True, False, True]), 0)
t(3).masked_fill(torch.tensor([True, False, True]), -inf)
t(3, 4).masked_fill(torch.tensor([True, False, True, False]), torch.tensor(9.0))
t(3).masked_fill(torch.tensor([True, False, True]), torch.tensor([9.0]))
t(3).masked_fill(torch.tensor([1, 0, 1]), 0) ## says: masked_fill_ only supports boolean masks
t(4).masked_fill(t(3, 4) > 0, 0)
t(3, dtype="int64").masked_fill(torch.tensor([True, False, True]), 2.5) ## class
t(3, dtype="int64").masked_fill(torch.tensor([True, False, True]), 2)
x = leaf(3); v = leaf(seed=1); pull(x.masked_fill(torch.tensor([True, False, True]), v), x, v)
x = leaf(3); y = x * 1; y.masked_fill_(y > 0, 0); pull(y, x)
torch.nonzero(torch.tensor([[0, 1], [2, 0]]))
torch.nonzero(torch.tensor([[0, 1], [2, 0]]), as_tuple=True)
torch.nonzero(torch.tensor(3)), torch.nonzero(torch.tensor(0))
torch.nonzero(torch.tensor(3), as_tuple=True)
torch.tensor([True, False]).nonzero()
torch.tensor([0.0, nan]).nonzero()
torch.nonzero(torch.zeros(0, 3)).shape
x = t(2, 3); list(x)[0].shape, len(x), [r.tolist() for r in x] == x.tolist()
x = leaf(2, 3); [r.grad_fn.name() for r in x]
2 in torch.tensor([1, 2]), 5 in torch.tensor([1, 2])
torch.tensor(1) in torch.tensor([1, 2])
"a" in torch.tensor([1, 2]) ## class
"""


@pytest.mark.parametrize("case", cases(FORMS))
def test_forms_and_conventions(case: str) -> None:
    agree(case)


ITEMS = st.one_of(
    st.integers(-4, 4).map(str),
    st.sampled_from([":", "None", "...", "1:", "::2", "-2:", ":1", "2:1"]),
    st.lists(st.integers(-3, 2), min_size=1, max_size=3).map(lambda n: f"torch.tensor({n})"),
    st.lists(st.integers(0, 2), min_size=2, max_size=2).map(lambda n: f"torch.tensor([{n}, {n}])"),
    st.lists(st.booleans(), min_size=3, max_size=3).map(lambda n: f"torch.tensor({n})"),
)


@settings(deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=4))
def test_any_combination(items: list[str]) -> None:
    index = ", ".join(items)
    agree(f"x = leaf(3, 3, 3); pull(x[{index}], x) ## class | unnamed")
    agree(f"a = leaf(3, 3, 3); x = a * 1; x[{index}] = 7; pull(x, a) ## class | unnamed")
