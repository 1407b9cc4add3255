"""Generated indices of every kind, alone and mixed, read and written: values, gradients and errors as PyTorch's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import Scope, agree, agree_all, cases  # noqa: E402

SHAPE = (3, 2, 3)


def _numbers(low: int, high: int, size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=size, max_size=size)


def _mask(n: int) -> st.SearchStrategy[list[bool]]:
    return st.lists(st.booleans(), min_size=n, max_size=n)


BASIC = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from([":", "None", "...", "1:", "::2", "-2:", ":1", "2:1", "0:3:2", "True", "False"]),
    st.integers(-2, 1).map(lambda i: f"torch.tensor({i})"),
    st.sampled_from(["np.int64(1)", "torch.tensor(True)", "torch.tensor(1, dtype=torch.int32)"]),
)
ADVANCED = st.one_of(
    _numbers(-2, 1, 2).map(str),
    _numbers(-2, 1, 2).map(lambda n: f"torch.tensor({n})"),
    _numbers(-2, 1, 2).map(lambda n: f"torch.tensor({n}, dtype=torch.int32)"),
    _numbers(-2, 1, 2).map(lambda n: f"np.array({n})"),
    _numbers(0, 1, 2).map(lambda n: f"torch.tensor([{n}, {n[::-1]}])"),
    _numbers(0, 1, 2).map(lambda n: f"[[{n[0]}], [{n[1]}]]"),
    _numbers(-2, 1, 1).map(lambda n: f"torch.tensor({n})"),
    _mask(3).map(lambda n: f"torch.tensor({n})"),
    _mask(3).map(str),
    _mask(2).map(lambda n: f"torch.tensor({n})"),
    st.lists(_mask(2), min_size=3, max_size=3).map(lambda n: f"torch.tensor({n})"),
    _mask(3).map(lambda n: f"torch.tensor({[int(b) for b in n]}, dtype=torch.uint8)"),
    st.just("torch.tensor([], dtype=torch.int64)"),
)
ITEMS = st.lists(st.one_of(BASIC, ADVANCED), min_size=1, max_size=4)


def unequivocal(index: str, value: str) -> bool:
    """Whether no element is written twice with different values, so that all agree on which one stays."""
    scope = Scope(torch)
    try:
        exec(f"x = torch.arange(18).reshape({SHAPE}); y = x[{index}]", scope)
    except Exception:
        return True
    found = scope["y"].flatten().tolist()
    return value == "7" or len(set(found)) == len(found)


@settings(deadline=None, max_examples=100)
@given(ITEMS)
def test_reading(items: list[str]) -> None:
    index = ", ".join(items)
    agree(f"x = leaf{SHAPE}; pull(x[{index}], x) ## class | unnamed")
    agree(f"x = leaf{SHAPE}; x[{index}].shape ## class")


@settings(deadline=None, max_examples=100)
@given(ITEMS, st.sampled_from(["7", "torch.tensor(7.5, dtype=torch.float64)", "v", "v[..., :1]"]))
def test_writing(items: list[str], value: str) -> None:
    index = ", ".join(items)
    if "uint8" in index or any(item == "False" for item in items):
        return  # PyTorch reads by such a mask, and refuses to write; it writes nothing anywhere, without looking
    setup = f"a = leaf{SHAPE}; x = a * 1; v = x[{index}].detach().clone()"
    setup += f" * 0 + torch.arange(x[{index}].numel()).reshape(x[{index}].shape)"
    if unequivocal(index, value):
        agree(f"{setup}; x[{index}] = {value}; pull(x, a) ## class | unnamed")


ONE = """
torch.tensor([2, 0, 2])
[0, 0]
torch.tensor([[0, 1], [1, 0]])
torch.tensor([0, 0]), torch.tensor([1, 1])
torch.tensor([0, 0]), 1
:, torch.tensor([1, 1, 1])
..., torch.tensor([2, 2, 0])
None, torch.tensor([1, 1])
torch.tensor([1, 1]), :, torch.tensor([2, 2])
"""


def test_the_value_written_last_stays_and_each_gets_the_gradient() -> None:
    for index in cases(ONE):
        setup = f"a = leaf{SHAPE}; x = a * 1; v = leaf(*x[{index}].shape, seed=1)"
        agree(f"{setup}; x[{index}] = v; pull(x, a, v) ## unnamed")
        agree(
            f"{setup}; x[{index}] = v; g = torch.autograd.grad((x ** 3).sum(), (a, v), create_graph=True); pull(g, a, v) ## unnamed"
        )
        agree(f"{setup}; x[{index}] += v; pull(x, a, v) ## unnamed")
        agree(
            f"a = leaf{SHAPE}; (g,) = torch.autograd.grad((a[{index}] ** 3).sum(), a, create_graph=True); pull(g, a) ## unnamed"
        )


FORMS = """
x = t(4); x[::-1]
x = t(4); x[::-1] = 1
x = t(4); x[3:0:-1] ## class
x = t(4); x[::0] ## class
x = t(4, 3); x[1.0] ## class
x = t(4, 3); x[{}] ## class
x = t(4, 3); x[[True, False, True, False]]
x = t(4, 3); x[[[0, 1], [1, 2]]]
x = t(4, 3); x[([0, 1], [1, 2])]
x = t(4, 3); x[[0, 1], [1, 2]]
x = t(4, 3); x[[slice(1, 3)]]
x = t(4, 3); x[(0, 1),]
x = t(4, 3); x[((0, 1), (1, 2))]
x = t(4, 3); x[torch.tensor(1), torch.tensor(2)]
x = t(4, 3); x[torch.tensor([1])[0]]
x = t(4, 3); x[True], x[False].shape, x[True, True].shape, x[None, True].shape
x = t(4, 3); x[torch.tensor(True)].shape, x[torch.tensor(False)].shape
x = t(4, 3); x[x > 0]
x = t(4, 3); x[x[0] > 0] ## class
x = t(4, 3); x[:, x[0] > 0]
x = t(4, 3); x[torch.tensor([1, 0, 1, 0], dtype=torch.uint8)]
x = t(4, 3); x[torch.tensor([0, 1], dtype=torch.int8)] ## class
x = t(4, 3); x[torch.tensor([0, 1], dtype=torch.int16)] ## class
x = t(4, 3); x[torch.tensor([0.0])] ## class
x = t(); x[None], x[...], x[()]
x = t(); x[0] ## class
x = t(); x[True], x[torch.tensor(True)]
x = t(); x[x > -9], x[x > 9]
x = t(); x[()] = 5; x
x = t(); x[...] = 5; x
x = t(); x[None] = 5; x
x = t(); x[True] = 5; x
x = t(4, 3); x[()] = 0; x
x = t(4, 3); x[[]], x[:, []].shape, x[[], []].shape
x = t(4, 3); x[[]] = 5; x
x = t(0, 3); x[torch.tensor([], dtype=torch.int64)].shape, x[:, 1].shape
x = t(0, 3); x[0] ## class
x = t(4, 3); x[5:].shape, x[-100:2].shape, x[2:1].shape
x = t(4, 3); x[4] ## class
x = t(4, 3); x[0, 0, 0] ## class
x = t(4, 3); x[..., 0, 0, 0] ## class
x = t(4, 3); x[torch.tensor([4])] ## class
x = t(4, 3); x[torch.tensor([[0], [1]]), torch.tensor([0, 1, 2])]
x = t(4, 3); x[torch.tensor([0, 1]), torch.tensor([0, 1, 2])] ## class
x = t(4, 3); x[torch.tensor([0, 1])] = t(3); x
x = t(4, 3); x[torch.tensor([0, 1])] = t(2) ## class
x = t(4, 3); x[torch.tensor([0, 1])] = t(2, 1); x
x = t(4, 3); x[x > 0] = t(3) if (x > 0).sum() == 3 else t(1); x
x = t(4, 3); x[x > 0] = t(2) ## class
x = t(4, 3); x[0] = [1, 2, 3] ## differs: a list may be assigned, as in NumPy
x = t(4, 3); x[0] = np.array([1, 2, 3]) ## differs: an array may be assigned
x = t(4, 3); i = torch.tensor([0, 1]); x[i][0] = 9; x
x = t(4, 3); i = torch.tensor([0, 1]); x[i] *= 2; x
x = t(4, 3); x[1:, [0, 2]] = 0; x
x = t(4, 3); x[[0, 2], 1:] = torch.tensor([1, 2]).double(); x
x = t(2, 3, 4); x[:, [0, 1], [0, 1]] = t(2, 2); x
x = t(2, 3, 4); x[[0, 1], :, [0, 1]] = t(2, 3); x
x = t(2, 3, 4); x[[0, 1], :, [0, 1]].shape, x[0, :, [0, 1]].shape, x[:, 0, [0, 1]].shape
x = t(2, 3, 4); x[..., torch.tensor([True, False, True, False])].shape
x = t(2, 3, 4); x[torch.tensor([[True, False, True], [False, True, False]])].shape
x = t(2, 3, 4); x[torch.tensor([[True, False, True], [False, True, False]]), 0].shape
x = t(2, 3, 4); x[0, torch.ones(3, 4, dtype=torch.bool)].shape
x = t(2, 3, 4); x[torch.ones(2, 4, dtype=torch.bool)] ## class
x = t(2, 3, 4); x[torch.zeros(2, 3, 4, dtype=torch.bool)] = t(0); x
"""


@pytest.mark.parametrize("case", cases(FORMS))
def test_forms(case: str) -> None:
    agree(case)


def test_views_of_indices_share_memory() -> None:
    agree_all(
        f"x = t(4, 3); y = x[{index}]; y.zero_(); x"
        for index in (
            "1",
            "1:",
            ":, 1",
            "None",
            "...",
            "1:, None, ::2",
            "1, 2",
            "[0, 1]",
            "torch.tensor([0])",
            "x > 0",
            "torch.tensor(1)",
        )
    )
