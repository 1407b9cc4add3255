"""Functions made of others (`fmod`, `copysign`, `xlogy`, `addcmul`, `addmm` ...): values, gradients, dtypes, errors."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases


def words(text: str) -> list[str]:
    return text.split()


UNARY = words("frac deg2rad rad2deg sinc nan_to_num signbit conj_physical fix negative arcsin arctan arcsinh")
BINARY = words(
    "fmod copysign hypot logaddexp logaddexp2 xlogy fmax fmin ldexp float_power clamp_min clamp_max subtract multiply "
    "divide true_divide arctan2 greater less_equal not_equal"
)
SCALAR = words("fmod copysign xlogy float_power clamp_min clamp_max subtract multiply divide greater less_equal")
PRODUCTS = """
addcmul(a, b, c)
addcmul(a, b, c, value=0.5)
addcmul(a[0], b[:, :1], c)
addcdiv(a, b, c)
addcdiv(a, b, c, value=-2)
lerp(a, b, 0.3)
lerp(a, b, 0.7)
lerp(a, b, c)
lerp(a, b, c[0, 0])
outer(a[0], b[0])
ger(a[0], b[0])
addmm(a, b, c)
addmm(a[0], b, c, beta=0.5, alpha=2)
addmm(a, b, c, beta=0)
addmv(a[0], b, c[0])
addmv(a[0, 0], b, c[0], beta=2, alpha=-1)
addr(a, b[0], c[0])
addr(a[0], b[0], c[1], beta=0, alpha=3)
baddbmm(a, b[None], c[None])
baddbmm(a[None], b[None], c[None], beta=0.5, alpha=2)
addbmm(a, b.expand(2, 3, 3), c.expand(2, 3, 3))
addbmm(a, b[None], c[None], beta=0)
"""


def test_of_one() -> None:
    for low, high in ((-2, 2), (0.1, 0.9)):
        agree_all(f"x = leaf(5, low={low}, high={high}); pull(torch.{name}(x), x)" for name in UNARY)
        agree_all(f"x = t(2, 3, low={low}, high={high}); x.{name}()" for name in UNARY)
    agree_all(f"x = leaf(5, low=-1.0); pull(torch.logit(x, eps={eps}), x)" for eps in ("0.1", "0.3"))
    agree("x = leaf(5, low=0.1, high=0.9); pull(torch.logit(x), x)")
    agree("torch.logit(torch.tensor([-0.1, 0.0, 0.3, 1.0, 1.2]))")


def test_of_two() -> None:
    for low in (-2, 0.5):
        setup = f"x = leaf(2, 3, low={low}); y = leaf(3, low={low}, seed=1)"
        agree_all(f"{setup}; pull(torch.{name}(x, y), x, y)" for name in BINARY)
        agree_all(f"{setup}; pull(torch.{name}(x, {n}), x)" for name in SCALAR for n in ("0.7", "-2", "3"))
        agree_all(f"{setup}; x.detach().{name}(y.detach())" for name in BINARY)
    agree("y = leaf(3, low=0.5); pull(torch.xlogy(2, y), y), pull(torch.float_power(2, y), y)")


def test_of_three() -> None:
    setup = "a = leaf(3, 3); b = leaf(3, 3, seed=1); c = leaf(3, 3, seed=2, low=0.1)"
    agree_all(f"{setup}; pull(torch.{call}, a, b, c)" for call in cases(PRODUCTS))
    agree_all(
        f"{setup}; g = torch.autograd.grad((torch.{call} ** 3).sum(), (a, b, c), create_graph=True, allow_unused=True); "
        "pull([x for x in g if x is not None], a, b, c)[1] ## loose"
        for call in cases(PRODUCTS)
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "int64", "int8", "uint8", "bool"])
def test_dtypes(dtype: str) -> None:
    agree_all(f"torch.{name}(t(4, dtype='{dtype}')) ## class | loose | unnamed" for name in [*UNARY, "logit"])
    pair = f"x = t(4, dtype='{dtype}'); y = t(4, dtype='{dtype}', seed=1); y = y + (y == 0).to(y.dtype)"
    agree_all(f"{pair}; torch.{name}(x, y) ## class | loose | unnamed" for name in [*BINARY, "heaviside"])
    agree_all(f"{pair}; torch.{name}(x, {n}) ## class | loose | unnamed" for name in SCALAR for n in ("2", "0.5"))
    agree_all(f"{pair}; torch.{name}(x, t(4, seed=2, low=1)) ## class | loose | unnamed" for name in BINARY)
    setup = f"a = t(3, 3, dtype='{dtype}'); b = t(3, 3, dtype='{dtype}', seed=1); c = t(3, 3, dtype='{dtype}', seed=2); c = c + (c == 0).to(c.dtype)"
    agree_all(f"{setup}; torch.{call} ## class | loose" for call in cases(PRODUCTS))


FORMS = """
torch.xlogy(torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, -1.0, nan, 0.0, inf]))
torch.xlogy(torch.tensor([0.0, 1.0]), 0.0)
torch.xlogy(2, 3) ## class
torch.xlogy(torch.tensor([1, 0]), torch.tensor([2, 3]))
x = torch.tensor([0.0, 0.0, 1.0]).requires_grad_(); y = torch.tensor([2.0, 3.0, 4.0]).requires_grad_(); pull(torch.xlogy(x, y), x, y)
torch.logaddexp(torch.tensor([inf, -inf, -inf, 1000.0]), torch.tensor([inf, -inf, 1.0, 1000.0]))
x = leaf(2); pull(torch.logaddexp(x, x.detach()), x)
torch.logaddexp(t(3), 2.0)
torch.hypot(torch.tensor([1e30, 3.0, 0.0]), torch.tensor([1e30, 4.0, 0.0]))
x = torch.tensor([0.0, 3.0]).requires_grad_(); y = torch.tensor([0.0, 4.0]).requires_grad_(); pull(torch.hypot(x, y), x, y)
torch.hypot(t(3), 2.0)
torch.copysign(torch.tensor([1.0, -1.0, 0.0, nan]), torch.tensor([-0.0, 0.0, -1.0, -1.0]))
torch.copysign(torch.tensor([1.0, 2.0]), -0.0)
torch.copysign(torch.tensor([1, 2]), -1)
x = torch.tensor([0.0, 1.0, -1.0]).requires_grad_(); y = torch.tensor([-1.0, 1.0, 1.0]).requires_grad_(); pull(torch.copysign(x, y), x, y)
torch.signbit(torch.tensor([0.0, -0.0, inf, -inf, -1.0]))
torch.signbit(torch.tensor([1j]))
torch.heaviside(torch.tensor([-1.0, 0.0, 2.0, nan]), torch.tensor(0.5))
torch.heaviside(t(3), 0.5)
torch.heaviside(torch.tensor([1, 0]), torch.tensor([0.5]))
torch.heaviside(torch.tensor([1j]), torch.tensor([1j]))
torch.fmod(torch.tensor([-5.0, 5.0, -5.5]), torch.tensor([3.0, -3.0, inf]))
torch.fmod(torch.tensor([-5, 5, 7]), torch.tensor([3, -3, 4]))
torch.fmod(torch.tensor([5]), 0)
torch.fmod(torch.tensor([5]), torch.tensor([0]))
torch.fmod(t(3), 0)
torch.fmod(torch.tensor([True]), torch.tensor([True])) ## class
torch.fmod(torch.tensor([1j]), 2) ## class
torch.fmod(5, t(3)) ## class
torch.frac(torch.tensor([1]))
torch.frac(torch.tensor([1.5, -1.5, inf, nan]))
torch.nan_to_num(torch.tensor([nan, inf, -inf, 1.0]))
torch.nan_to_num(torch.tensor([nan, inf, -inf]), 1, 2, 3)
torch.nan_to_num(torch.tensor([nan, inf, -inf]), posinf=5.0)
torch.nan_to_num(torch.tensor([complex(nan, inf)]))
torch.nan_to_num(torch.tensor([nan, inf], dtype=torch.float16)), torch.nan_to_num(torch.tensor([inf], dtype=torch.bfloat16))
x = torch.tensor([nan, inf, 1.0]).requires_grad_(); pull(torch.nan_to_num(x), x)
torch.sinc(torch.tensor([0.0, 0.5, 1.0])), torch.sinc(torch.tensor([0, 1]))
x = torch.tensor([0.0, 0.5]).requires_grad_(); pull(torch.sinc(x), x)
torch.deg2rad(torch.tensor([180])), torch.rad2deg(torch.tensor([3]))
torch.deg2rad(torch.tensor([1j]))
torch.fmax(torch.tensor([nan, 1.0, nan]), torch.tensor([1.0, nan, nan])), torch.fmin(torch.tensor([nan, 1.0, 2.0]), torch.tensor([1.0, nan, 1.0]))
x = leaf(3); y = x.detach().clone().requires_grad_(); pull(torch.fmax(x, y), x, y), pull(torch.fmin(x, y), x, y)
torch.ldexp(t(3), 2)
torch.ldexp(torch.tensor([1]), torch.tensor([3]))
torch.float_power(torch.tensor([2]), 3), torch.float_power(torch.tensor([2.0]), 2j)
torch.clamp_min(torch.tensor([1]), 1.5)
torch.clamp_min(t(3, dtype="complex64"), 1) ## class
torch.addcmul(t(3), 1.0, t(3))
torch.addcmul(torch.tensor([1]), torch.tensor([1]), torch.tensor([2]), value=0.5)
torch.addcmul(t(3, dtype="float32"), t(3, dtype="float32"), t(3, dtype="float32"), value=1j)
torch.addcmul(t(3, dtype="bool"), t(3, dtype="bool"), t(3, dtype="bool"))
torch.addcmul(t(3), t(3), t(2))
torch.addcdiv(torch.tensor([1]), torch.tensor([1]), torch.tensor([2]))
torch.addcdiv(torch.tensor([1]), torch.tensor([1]), torch.tensor([2.0]))
torch.addmm(t(3), t(2, 3), t(3, 2))
torch.addmm(t(2), t(2, 3), t(2, 3))
torch.addmm(t(2), t(2, 3), t(3, 2).float())
torch.addmm(t(2).float(), t(2, 3), t(3, 2))
torch.addmm(t(2), t(2, 3).float(), t(3, 2))
torch.addmm(torch.tensor([1]), torch.tensor([[1]]), torch.tensor([[1]]), beta=0.5)
torch.addmm(torch.tensor([nan]), torch.ones(2, 3), torch.ones(3, 2), beta=0)
torch.addmm(t(2), t(3), t(3, 2))
torch.addmm(t(1, 2, 2), t(2, 3), t(3, 2))
torch.addmm(t(2, 2, dtype="float32"), t(2, 3, dtype="float32"), t(3, 2, dtype="float32"), beta=1j)
torch.addmv(t(3), t(2, 3), t(3))
torch.addmv(t(2), t(2, 3), t(2, 3))
torch.addmv(t(2), t(2, 3), t(2))
torch.addmv(t(2).int(), t(2, 3), t(3))
torch.addmv(t(), t(2, 3), t(3))
torch.addr(t(3), t(2, 3), t(3))
torch.addr(torch.tensor([1]), torch.tensor([1]), torch.tensor([1]), beta=0.5)
torch.addr(torch.tensor([True]), torch.tensor([True]), torch.tensor([True]))
torch.addr(t(3), t(3), t(2))
torch.baddbmm(t(1, 2, 3), t(1, 2, 3), t(1, 3, 2))
torch.baddbmm(t(2), t(2, 3), t(1, 3, 2))
torch.baddbmm(t(2, 2), t(1, 2, 3), t(2, 3, 2))
torch.baddbmm(t(2, 2).int(), t(1, 2, 3), t(1, 3, 2))
torch.addbmm(t(3), t(1, 2, 3), t(1, 3, 2))
torch.addbmm(t(2, 2), t(1, 2, 3), t(2, 3, 2))
torch.addbmm(t(2, 2), t(1, 2, 3), t(1, 4, 2))
torch.addbmm(t(2, 2), t(1, 2, 3).int(), t(1, 3, 2))
torch.lerp(t(3), t(3, dtype="float32"), 0.5)
torch.lerp(t(3, dtype="float32"), t(3, dtype="float32"), t(3))
torch.lerp(t(3), t(3), torch.tensor(0.5))
torch.lerp(torch.tensor([1]), torch.tensor([2]), 0.5)
torch.lerp(t(3), 1.0, 0.5) ## class
torch.lerp(t(3, dtype="float32"), t(3, dtype="float32"), 1j)
torch.outer(t(2, 3), t(3))
torch.outer(t(2), torch.tensor([1]))
a = leaf(2, 2); b = leaf(2, 3); c = leaf(3, 2); x = a * 1; x.addmm_(b, c); pull(x, a, b, c)
"""


# Complex numbers and angles
COMPLEX = """
x = torch.tensor([0.0, -0.0, 1.0, -1.0, inf, -inf, nan]).requires_grad_(); pull(x.angle(), x)
z = torch.tensor([0j, complex(-0.0, 0.0), complex(0.0, -0.0), complex(-1.0, -0.0), 1j, -2 + 1j]).requires_grad_(); pull(z.angle(), z) ## unnamed
torch.tensor([complex(inf, 1), complex(-inf, -inf), complex(nan, 1), complex(1, nan)]).angle()
torch.angle(torch.tensor([1, -1])), torch.angle(torch.tensor([True])), torch.angle(torch.tensor([3], dtype=torch.uint8))
torch.angle(torch.tensor([-1.0], dtype=torch.float16)), torch.angle(torch.tensor([-1.0, nan], dtype=torch.bfloat16))
torch.angle(t(2, 3, dtype="complex64")), torch.angle(input=t(3))
torch.angle(1.0)
o = torch.zeros(3); torch.angle(t(3, dtype="float32"), out=o); o
o = torch.zeros(3, dtype=torch.complex64); torch.angle(t(3, dtype="complex64"), out=o); o
torch.angle(t(3), out=torch.zeros(3, dtype=torch.int64))
a = leaf(3); b = leaf(3, seed=1); pull(torch.complex(a, b), a, b)
a = leaf(3); b = leaf(2, 1, seed=1); pull(torch.complex(a, b), a, b)
a = leaf(3); pull(torch.complex(a, t(3, seed=1)), a)
a = leaf(3); pull(torch.complex(a, a) * torch.complex(a, -a), a)
torch.complex(torch.tensor([-0.0, nan, inf, 0.0]), torch.tensor([inf, 1.0, nan, -0.0]))
z = torch.complex(t(3), t(3)); z._base is None, z.is_leaf, z.is_contiguous()
torch.complex(real=t(2), imag=t(2)), torch.polar(abs=t(2), angle=t(2))
a = leaf(3, low=0.1); b = leaf(3, seed=1); pull(torch.polar(a, b), a, b)
a = leaf(3, low=0.1); b = leaf(2, 1, seed=1); pull(torch.polar(a, b), a, b)
a = torch.tensor([0.0, -0.0, -2.0]).requires_grad_(); b = torch.tensor([1.0, 2.0, 3.0]).requires_grad_(); r = torch.polar(a, b); r, pull(r, b)
a = torch.tensor([0.0, -2.0]).requires_grad_(); b = torch.tensor([1.0, 2.0]); pull(torch.polar(a, b), a) ## differs: PyTorch has the derivative by the length of its size, which has a kink at 0
torch.polar(torch.tensor([inf, 1.0]), torch.tensor([0.0, inf]))
torch.complex(t(2), t(3))
torch.complex(t(2), 1.0)
torch.complex(1.0, t(2))
torch.complex(t(2), t(2, dtype="float32"))
torch.complex(t(2, dtype="float32"), t(2))
torch.complex(t(2, dtype="int64"), t(2, dtype="int64"))
torch.complex(t(2, dtype="bfloat16"), t(2))
torch.complex(t(2, dtype="complex64"), t(2))
torch.complex(t(2, dtype="float16"), t(2, dtype="float16")) ## differs: there is no complex dtype of two float16
torch.polar(t(2), t(2, dtype="float32"))
torch.polar(2, t(2))
torch.polar(t(2, dtype="int64"), t(2))
o = torch.zeros(2, dtype=torch.complex128); torch.complex(t(2), t(2, seed=1), out=o); o
o = torch.zeros(2, dtype=torch.complex128); torch.polar(t(2), t(2, seed=1), out=o); o
torch.complex(t(2), t(2), out=torch.zeros(2, dtype=torch.complex64))
torch.polar(t(2), t(2), out=torch.zeros(2, dtype=torch.float64))
torch.complex(leaf(2), t(2), out=torch.zeros(2, dtype=torch.complex128))
"""


def test_complex_numbers_and_angles() -> None:
    agree_all(cases(COMPLEX))


@pytest.mark.parametrize("case", cases(FORMS))
def test_forms(case: str) -> None:
    agree(case)
