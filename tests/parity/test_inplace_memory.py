"""Tensors that take other memory or random numbers, and the list of all methods that write over their tensor."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

from .harness import agree, agree_all, cases  # noqa: E402

NOT_HERE = {
    "digamma_ erfc_ erfinv_ i0_ igamma_ igammac_ lgamma_ mvlgamma_ polygamma_": "special functions tapegrad lacks",
    "gcd_ lcm_ nextafter_": "of integers or bits, without derivative or counterpart here",
    "renorm_": "norms of slices, which tapegrad lacks",
    "share_memory_": "memory shared between processes",
    "resize_as_sparse_ sparse_resize_ sparse_resize_and_clear_": "sparse tensors",
}
"""What PyTorch has and tapegrad has not, with the reason."""


def test_the_list_is_complete() -> None:
    absent = {name for names in NOT_HERE for name in names.split()}
    theirs = {name for name in dir(torch.Tensor) if name.endswith("_") and not name.startswith("_")}
    ours = {name for name in dir(tg.Tensor) if name.endswith("_") and not name.startswith("_")}
    assert ours == theirs - absent
    assert absent < theirs


def test_each_is_its_operation_written_over_the_tensor() -> None:
    """By name: a slip in the table, `sin_` for `sinh_`, would show."""
    for name in dir(tg.Tensor):
        base = name.rstrip("_")
        if name.endswith("_") and not name.startswith("_") and hasattr(tg.Tensor, base):
            method = getattr(tg.Tensor, name)
            plain = getattr(tg.Tensor, base)
            if isinstance(plain, property):
                continue
            assert method.__name__ in (f"{plain.__name__}_", name), name


RESIZED = """
x = t(3); y = x.resize_(2); x is y, x, x._version
x = t(3); x.resize_(0)
x = t(3); x.resize_(1, 2)
x = t(3); x.resize_((1, 2))
x = t(3); x.resize_(2); x.resize_(3); x
x = t(2, 3); x.resize_(3); x
x = t(2, 3).T.clone(); x.resize_(4); x
x = t(3); x.resize_(5).shape, x[:3]
x = t(3); x.resize_(2, 3).shape, x.flatten()[:3]
x = t(3); x.resize_(-1)
x = t(3); x.resize_() ## class
x = t(3); x.resize_("a") ## class
x = leaf(3); x.resize_(2)
x = leaf(3) * 1; x.resize_(2)
x = leaf(3); torch.set_grad_enabled(False); x.resize_(2)
x = leaf(3); x.detach().clone().resize_(1)
x = t(3); x.resize_as_(t(2, 3)).shape
x = t(3); x.resize_as_(3) ## class
x = t(3); x.add_(1); x.resize_(2); x, x._version
x = t(3); x.resize_(3); x, x._version
a = np.arange(5.0); x = torch.from_numpy(a[2:]); x.resize_(2); x.add_(1); x, a
a = np.arange(5.0); x = torch.from_numpy(a[2:]); x.resize_(5)
a = np.arange(5.0); x = torch.from_numpy(a); x.resize_(2).resize_(2, 2); x ## differs: what is cut off an array from outside is gone
x = t(3); a = x.numpy(); x.resize_(2); x += 1; a
x = t(2, 3, 4).permute(2, 0, 1).clone(); x.resize_(30).shape, x[:24]
x = t(3); y = x.detach(); x.resize_(2); x ## differs: others look at the memory, and could not follow
x = t(2, 3); y = x[0]; y.resize_(2); y ## differs: others look at the memory, and could not follow
x = t(3); y = x.set_(); x is y, x.shape, x.dtype
x = t(3); y = t(2, 3); x.set_(y); x, x._version, y._version
x = t(3); y = t(2, 3); x.set_(y); y.zero_(); x, x._version, y._version
x = t(3); y = t(2, 3); x.set_(y); x.add_(1); y
x = t(3); y = t(2, 3); x.set_(y.T); x.fill_(5); y
x = t(3); x.set_(x); x
x = t(3); x.set_(t(3, dtype="float32"))
x = leaf(3); x.set_(t(3))
x = t(3); x.set_(3) ## class
a = leaf(3); x = a * 1; x.set_(t(3)) ## differs: it has no derivative, which tapegrad says at once, PyTorch when one is asked for
x = t(3); x.set_(leaf(3)) ## differs: it has no derivative, which tapegrad says at once, PyTorch when one is asked for
x = t(3); y = x.requires_grad_(); x is y, x.requires_grad, x.requires_grad_(False).requires_grad
x = t(3); x.requires_grad_(1)
x = t(3, dtype="int64"); x.requires_grad_()
a = leaf(3); x = a * 1; y = x.detach_(); x is y, x.is_leaf, x.requires_grad
a = leaf(3); x = a * 1; y = x.clone(); x.detach_(); pull(y, a)
x = t(3); y = x.clone(); y += 1; x
x = t(3); x.apply_(lambda v: v * 2); x
x = t(3); x.apply_(lambda v: v * 2) is x
x = t(2, 3).T; x.apply_(lambda v: v * 2); x
x = t(3, dtype="int64"); x.apply_(lambda v: v + 1); x
x = leaf(3); x.apply_(lambda v: v * 2)
x = t(3); x.map_(t(3, seed=1), lambda u, v: u + v); x
x = t(3); x.map2_(t(3, seed=1), t(3, seed=2), lambda u, v, w: u + v * w); x
x = t(3); x.map_(leaf(3), lambda u, v: u + v)
"""


@pytest.mark.parametrize("case", cases(RESIZED))
def test_other_memory(case: str) -> None:
    agree(case)


DRAWS = """
normal_()
normal_(1, 2)
normal_(mean=1, std=0.5)
log_normal_()
log_normal_(0, 0.5)
uniform_()
uniform_(-1, 2)
uniform_(to=2)
uniform_(**{"from": -1})
bernoulli_()
bernoulli_(0.3)
bernoulli_(torch.tensor([0.0, 0.5, 1.0]))
bernoulli_(torch.tensor(0.5))
exponential_()
exponential_(2)
exponential_(lambd=0.5)
cauchy_()
cauchy_(1, 2)
geometric_(0.3)
geometric_(p=0.5)
random_()
random_(5)
random_(2, 5)
random_(2, to=5)
normal_(generator=None)
"""


def test_draws() -> None:
    for call in cases(DRAWS):
        seen = "(y is x, x.shape, x.dtype, x._version, x.isfinite().all())"
        agree(f"x = t(3); y = x.{call}; {seen}")
        agree(f"x = t(2, 3); y = x[0].{call}; x[1], x._version")
        agree(f"x = t(3, dtype='float16'); y = x.{call}; x.dtype")
        agree(f"x = leaf(3); x.{call}")
        agree(f"a = leaf(3); x = a * 1; x.{call}; (x.grad_fn.name(), x.requires_grad, torch.autograd.grad(x.sum(), a))")
        agree(f"x = t(1).expand(3); x.{call}")
        for dtype in ("int64", "bool", "complex64"):
            agree(f"x = t(3, dtype='{dtype}'); y = x.{call}; {seen} ## class")


REFUSED = """
t(3).normal_(0, -1)
t(3, dtype="int32").normal_()
t(3).uniform_(1, 0)
t(3, dtype="int32").uniform_()
t(3).bernoulli_(2)
t(3).bernoulli_(torch.tensor(2.0)) ## says: Expected p_in >= 0 && p_in <= 1 to be true, but got false.
t(3).bernoulli_(torch.tensor([0.5, 0.5]))
t(3, dtype="complex64").bernoulli_()
t(3).exponential_(0)
t(3).exponential_(-1)
t(3, dtype="int32").exponential_()
t(3).geometric_(0)
t(3).geometric_(1.0)
t(3).geometric_() ## class
t(3).cauchy_(0, 0)
t(3).log_normal_(1, 0)
t(3, dtype="int32").log_normal_()
t(3).random_(5, 5)
t(3).random_(5, 3)
t(3).random_(2.5) ## class
torch.zeros(9, dtype=torch.uint8).random_(0, 300)
torch.zeros(9, dtype=torch.int8).random_(-200, 100)
t(3, dtype="complex64").random_()
t(3).random_(0, 0) ## class
t(3).normal_(generator=3) ## class
t(9).random_(3).max() < 3, t(9).random_(3, 5).min() >= 3
t(9, dtype="bool").random_().dtype
"""


def test_refusals() -> None:
    agree_all(cases(REFUSED))
