"""Element-wise operations: values, dtypes, gradients, names and errors as PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

UNARY = {  # name: the interval its argument is drawn from
    "abs": (-2, 2), "absolute": (-2, 2), "acos": (-0.9, 0.9), "acosh": (1.1, 3), "asin": (-0.9, 0.9), "asinh": (-2, 2), "atan": (-2, 2),
    "atanh": (-0.9, 0.9), "ceil": (-2, 2), "cos": (-2, 2), "cosh": (-2, 2), "erf": (-2, 2), "exp": (-2, 2),
    "exp2": (-2, 2), "expm1": (-2, 2), "floor": (-2, 2), "log": (0.1, 3), "log10": (0.1, 3), "log1p": (-0.9, 2),
    "log2": (0.1, 3), "neg": (-2, 2), "reciprocal": (0.1, 2), "relu": (-2, 2), "round": (-2, 2), "rsqrt": (0.1, 2),
    "sgn": (-2, 2), "sigmoid": (-2, 2), "sign": (-2, 2), "sin": (-2, 2), "sinh": (-2, 2), "sqrt": (0.1, 2),
    "square": (-2, 2), "tan": (-1, 1), "tanh": (-2, 2), "trunc": (-2, 2), "isnan": (-2, 2), "isinf": (-2, 2),
    "isfinite": (-2, 2), "logical_not": (-1, 1), "bitwise_not": (-1, 1), "conj": (-2, 2), "real": (-2, 2), "imag": (-2, 2),
}  # fmt: skip
DTYPES = [
    "bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
# PyTorch has sign(nan) = 0 and so a gradient of abs there, and lets the cotangent of relu pass at nan.
UNLIKE_AT_NAN = ("abs", "absolute", "relu", "sgn", "sign")
FUNCTIONS_ONLY = ("real", "imag")
EXTREMES = "torch.tensor([0.0, -0.0, 1.0, -1.0, inf, -inf, NAN, 1e-300, 1e300, 700.0, -700.0, 0.5, 1.5, 2.5], dtype=torch.float64)"


def unary_cases(name: str) -> Iterator[str]:
    low, high = UNARY[name]
    span = f"low={low}, high={high}"
    unnamed = " | unnamed" if name in ("real", "imag") else ""
    for dtype in DTYPES:
        note = "loose | class" if "complex" in dtype else "class"
        for shape in ((2, 3), (), (0, 2)):
            yield f"torch.{name}(t(*{shape}, dtype='{dtype}', {span})) ## {note}"
        if name not in FUNCTIONS_ONLY:
            yield f"torch.Tensor.{name}(t(2, 3, dtype='{dtype}', {span})) ## {note}"
        if "float" in dtype or "complex" in dtype:
            yield f"x = leaf(2, 3, dtype='{dtype}', {span}); out = torch.{name}(x); pull(out, x) if out.requires_grad else out ## loose | class{unnamed}"
    extremes = EXTREMES.replace("NAN", "inf" if name in UNLIKE_AT_NAN else "nan")
    yield f"x = {extremes}; torch.{name}(x) ## class"
    if name != "acosh":  # its derivative out of the domain is a number in PyTorch, nan here
        yield f"x = {extremes}.requires_grad_(); out = torch.{name}(x); pull(out, x) if out.requires_grad else out ## class"
    yield f"torch.{name}(3) ## class"
    yield f"torch.{name}() ## class"
    yield f"torch.{name}(input=t(2, {span})) ## class"


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions(name: str) -> None:
    agree_all(unary_cases(name))


BINARY = ["add", "sub", "mul", "div", "pow", "atan2", "maximum", "minimum", "remainder", "floor_divide", "eq", "lt", "ge", "ne", "gt", "le"]  # fmt: skip
SHAPES = [
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (2,)),
    ((), ()),
    ((0, 3), (1, 3)),
    ((4, 1, 3), (2, 1)),
]


def binary_cases(name: str) -> Iterator[str]:
    pulled = "pull(out, {}) if out.requires_grad else out ## class"
    if name == "floor_divide":  # PyTorch's result requires grad, and then has none to give
        pulled = "out.detach() ## class"
    for a, b in SHAPES:
        for dtype in ("float64", "float32", "bfloat16"):
            given = f"x = leaf(*{a}, dtype='{dtype}', low=0.5); y = leaf(*{b}, dtype='{dtype}', low=0.5, seed=1); "
            yield given + f"out = torch.{name}(x, y); " + pulled.format("x, y")
            yield given + f"out = torch.Tensor.{name}(x, y); " + pulled.format("x")
            yield given + f"out = torch.{name}(x, y.detach()); " + pulled.format("x")
            yield given + f"out = torch.{name}(x.detach(), y); " + pulled.format("y")
    for scalar in ("2", "2.5", "-1", "0", "True", "2j"):
        yield f"x = leaf(3, low=0.5); out = torch.{name}(x, {scalar}); " + pulled.format("x")
        yield f"torch.{name}(t(3, dtype='int64', low=1), {scalar}) ## class"
    for arguments in (
        "t(2), 'a'",
        "t(2), None",
        "t(2)",
        "t(2), t(3)",
        "t(2, 3), t(3, 2)",
        "input=t(2), other=t(2, seed=1)",
    ):
        yield f"torch.{name}({arguments}) ## class"
    yield f"torch.{name}(t(2, 3), t(3, 2))"


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions(name: str) -> None:
    agree_all(binary_cases(name))


OPERATORS = """
leaf(3) + 1
1 + leaf(3)
leaf(3) - 1
1 - leaf(3)
2 * leaf(3)
leaf(3) / 2
2 / leaf(3, low=1)
x = leaf(3, low=1); pull(2 / x, x) ## unnamed
x = leaf(3, low=1); (2 / x).grad_fn.name()
leaf(3) // 2 ## differs: not differentiable, so it does not require grad
7 // leaf(3, low=1) ## differs: not differentiable, so it does not require grad
(7 // leaf(3, low=1)).detach()
leaf(3) % 2
(7 % leaf(3, low=1)).detach()
x = leaf(3, low=1); pull(x % 2, x)
x = leaf(3, low=1); pull(7 % x, x) ## differs: PyTorch has no derivative for a number on the left
leaf(3) ** 2
2 ** leaf(3)
x = leaf(3); pull(2 ** x, x)
x = leaf(3); pull((-2) ** x, x)
x = leaf(3); pull(0 ** x, x)
x = leaf(3, low=1); pull(x ** 0.5, x)
x = leaf(3); pull(x ** 0, x)
x = leaf(3); pull(x ** -1, x)
x = leaf(3); pull(x ** 3, x)
x = torch.zeros(2, requires_grad=True); pull(x ** 2, x)
x = torch.zeros(2, requires_grad=True); pull(x ** torch.tensor([0.0, 2.0]), x)
-leaf(3)
+leaf(3)
abs(leaf(3))
~torch.tensor([True, False])
~torch.tensor([1, 2])
~leaf(3)
torch.tensor([1, 2]) & 3
torch.tensor([True, False]) | True
torch.tensor([1, 2]) ^ torch.tensor([3, 3])
3 & torch.tensor([1, 2])
3 | torch.tensor([1, 2])
3 ^ torch.tensor([1, 2])
torch.tensor([1, 2]) / torch.tensor([2, 2])
torch.tensor([7, -7]) // 2
torch.tensor([7, -7]) % 3
torch.tensor([7, -7]) % -3
torch.tensor([7.5, -7.5]) // 2
torch.tensor([7.5, -7.5]) % -2
torch.tensor([1, 2]) // 0 ## says: ZeroDivisionError
torch.tensor([1, 2]) % 0 ## says: ZeroDivisionError
torch.tensor([1.0, -1.0, 0.0]) // 0
torch.tensor([1.0, -1.0, 0.0]) % 0
torch.tensor([1.0, -1.0, 0.0]) / 0
torch.tensor([1, -1, 0]) / 0
torch.tensor([1.0, inf, -inf]) // torch.tensor([inf, 2.0, 2.0])
torch.tensor([-1.0, 1.0, 5.0]) % torch.tensor([inf, -inf, inf])
torch.tensor([0.1 * 3, 0.3], dtype=torch.float64) // 0.1
torch.tensor([2, 3]) ** 2
torch.tensor([2, 3]) ** -1
torch.tensor([2, 3]) ** 0.5
torch.tensor([2, 3]) ** torch.tensor([-1, 2])
torch.tensor([1, -1]) ** torch.tensor([-1, -3])
2 ** torch.tensor([2, 3])
2 ** torch.tensor([-1, 3])
2.0 ** torch.tensor([-1, 3])
torch.tensor([True]) + torch.tensor([True])
torch.tensor([True]) * True
torch.tensor([True]) - torch.tensor([True])
torch.tensor([True]) - 1
torch.tensor([1]) - True
1 - torch.tensor([True])
1.5 - torch.tensor([True])
torch.tensor([1]) - torch.tensor([True])
-torch.tensor([True])
+torch.tensor([True])
torch.tensor([200], dtype=torch.uint8) + 100
torch.tensor([100], dtype=torch.int8) + 300
torch.tensor([200], dtype=torch.uint8) + torch.tensor(300)
torch.tensor([200], dtype=torch.uint8) - 201
-torch.tensor([1], dtype=torch.uint8)
torch.tensor([1], dtype=torch.uint8) == 257
torch.tensor([1], dtype=torch.uint8) < 300
torch.tensor([2**31 - 1], dtype=torch.int32) + 1
leaf(3) == leaf(3)
leaf(3) < 0
0 < leaf(3)
torch.tensor([nan]) == torch.tensor([nan])
leaf(3) != None
leaf(3) == None
leaf(3) == 'a'
(leaf(3) == [1, 2, 3]) ## class
leaf(3) + 'a' ## class
leaf(3) + None ## class
'a' + leaf(3) ## class
leaf(3) + [1.0, 2.0, 3.0] ## class
[1.0, 2.0, 3.0] + leaf(3) ## class
leaf(3) < 'a' ## class
leaf(3) @ 2 ## class
2 @ leaf(3) ## class
leaf(3) ** 'a' ## class
leaf(3) - {} ## class
leaf(3) / object() ## class
leaf(3) & 2.5 ## class
divmod(leaf(3), 2) ## class
round(torch.tensor(2.5)) ## class
torch.tensor([1.0]) + np.float32(2)
torch.tensor([1.0]) + np.float64(2)
torch.tensor([1]) + np.float64(2.5)
torch.tensor([1]) + np.int64(2)
torch.tensor([1], dtype=torch.int8) + np.int64(2)
torch.tensor([1.0]) * np.bool_(True)
np.float64(2) * torch.tensor([1.0])
torch.ones(2) + np.ones(2) ## class
np.ones(2) + torch.ones(2) ## differs: the array is a tensor on either side
1.0 // torch.tensor([0.1])
torch.ones(2, dtype=torch.float64) * np.ones(2)
"""


@pytest.mark.parametrize("case", cases(OPERATORS))
def test_operators(case: str) -> None:
    agree(case)


FORMS = """
torch.add(t(2), t(2, seed=1), alpha=2)
torch.add(t(2), 3, alpha=2)
torch.add(1, t(2))
torch.sub(t(2), t(2, seed=1), alpha=2)
x = leaf(2); y = leaf(2, seed=1); pull(torch.sub(x, y, alpha=3), x, y) ## unnamed
t(2).add(t(2), alpha=0.5)
torch.arange(2).add(torch.arange(2), alpha=0.5) ## class
torch.mul(2, t(2)) ## class
torch.div(t(3), 2, rounding_mode="floor")
torch.div(t(3), 0.3, rounding_mode="trunc")
torch.div(torch.tensor([7, -7]), 2, rounding_mode="trunc")
torch.div(torch.tensor([7, -7]), 2, rounding_mode="floor")
torch.div(torch.tensor([7, -7]), 2, rounding_mode=None)
torch.div(t(3), 2, rounding_mode="up")
torch.div(torch.tensor([7]), 0, rounding_mode="floor") ## says: ZeroDivisionError
torch.div(torch.tensor([7]), 0, rounding_mode="trunc") ## says: ZeroDivisionError
torch.div(torch.tensor([2**53 + 1]), 1, rounding_mode="trunc")
x = leaf(3); pull(torch.div(x, 2, rounding_mode="floor"), x)
x = leaf(3); pull(torch.div(x, 2, rounding_mode="trunc"), x)
torch.clamp(t(4), -1, 1)
torch.clamp(t(4), min=-1)
torch.clamp(t(4), max=1)
torch.clamp(t(4), min=1, max=-1)
torch.clamp(t(4))
torch.clamp(t(4), None, 0.5)
torch.clip(t(4), 0, 1)
t(4).clamp(min=0)
t(4).clip(0, 1)
t(4).clamp(torch.zeros(4, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
torch.clamp(torch.arange(5), 1, 3)
torch.clamp(torch.arange(5), 1.5, 3)
torch.clamp(torch.arange(5, dtype=torch.uint8), -1, 300) ## says: value cannot be converted to type uint8
torch.clamp(torch.tensor([nan, 1.0]), 0, 2)
torch.clamp(torch.tensor([3.0, 1.0]), 0, nan)
torch.clamp(t(2, 2), torch.zeros(3), torch.zeros(3)) ## class
x = torch.tensor([0.0, 1.0, 2.0, 3.0], requires_grad=True); pull(x.clamp(1, 2), x)
x = leaf(4); a = leaf(4, seed=1); b = leaf(1, seed=2); pull(torch.clamp(x, a, b), x, a, b)
x = leaf(4); a = leaf(4, seed=1); pull(torch.clamp(x, max=a), x, a)
x = leaf(2, 2); a = leaf(2, seed=1); pull(torch.clamp(x, min=a), x, a)
torch.where(t(4) > 0, t(4), t(4, seed=1))
torch.where(t(4) > 0, 1.0, 0.0)
torch.where(t(4) > 0, 1, 0)
torch.where(t(4) > 0, t(4), 0.0)
torch.where(t(4) > 0, 1, t(4))
torch.where(t(2, 1) > 0, t(2), t(1, 1))
torch.where(t(4) > 0)
torch.where(t(4))
torch.where(torch.tensor([1, 0]), 1.0, 2.0)
torch.where(torch.tensor([1, 0], dtype=torch.uint8), 1.0, 2.0)
torch.where(condition=t(2) > 0, input=t(2), other=t(2))
torch.where(t(4) > 0, t(3), t(4)) ## class
t(4).where(t(4) > 0, 0.0)
t(4).where(t(4) > 0, t(4, seed=1))
x = leaf(4); y = leaf(1, seed=1); pull(torch.where(x.detach() > 0, x, y), x, y)
x = leaf(); y = leaf(3, seed=1); pull(torch.where(y.detach() > 0, x, y), x, y)
torch.where(torch.tensor(True), t(2), t(2, dtype="float32"))
torch.where(True, t(2), t(2)) ## class
x = torch.tensor([1.0, 2.0, 2.0], requires_grad=True); y = torch.tensor([2.0, 2.0, 1.0], requires_grad=True); pull(torch.maximum(x, y), x, y)
x = torch.tensor([1.0, 2.0, 2.0], requires_grad=True); y = torch.tensor([2.0, 2.0, 1.0], requires_grad=True); pull(torch.minimum(x, y), x, y)
torch.maximum(torch.tensor([nan, 1.0]), torch.tensor([1.0, nan]))
torch.maximum(t(2), 1) ## says: must be Tensor, not int
torch.minimum(t(2), t(2, dtype="complex128")) ## class
torch.max(t(2), t(2, seed=1))
torch.min(t(2), other=t(2, seed=1))
t(2).max(t(2, seed=1))
torch.pow(t(3), 2)
torch.pow(2, t(3))
torch.pow(t(3), exponent=2)
torch.pow(input=t(3, low=1), exponent=t(3))
t(3).pow(exponent=2)
torch.tensor([True]) ** True
torch.tensor([True]) ** torch.tensor([True]) ## class
torch.tensor([2.0], dtype=torch.bfloat16) ** 2.5
torch.sigmoid(torch.tensor([-1000.0, 1000.0]))
torch.relu(torch.tensor([True])) ## class
torch.round(torch.tensor([0.5, 1.5, -0.5, 2.5]))
torch.round(torch.tensor([0.125, 1.375]), decimals=2)
torch.sign(torch.tensor([1j]))
torch.sgn(torch.tensor([3 + 4j, 0j]))
torch.sgn(torch.tensor([True, False]))
x = torch.zeros(1, requires_grad=True); pull(x.abs(), x)
x = torch.zeros(1, requires_grad=True); pull(x.relu(), x)
x = torch.zeros(1, requires_grad=True); pull(x.sign(), x)
x = torch.zeros(1, requires_grad=True); pull(x.sqrt(), x)
x = torch.zeros(2, requires_grad=True); y = torch.zeros(2, requires_grad=True); pull(torch.atan2(x, y), x, y)
torch.logical_and(torch.tensor([0, 1, 2]), torch.tensor([True, True, False]))
torch.logical_or(t(3), t(3) * 0)
torch.logical_xor(torch.tensor([0.0, 1.0]), torch.tensor([0, 0]))
torch.tensor([1, 0]).logical_and(torch.tensor([1, 1]))
torch.bitwise_and(torch.tensor([1, 3]), 2)
torch.bitwise_or(torch.tensor([True]), torch.tensor([4]))
torch.bitwise_not(t(2)) ## class
torch.real(t(2, dtype="complex64"))
torch.imag(t(2, dtype="complex64"))
torch.imag(t(2))
t(2, dtype="complex64").real
t(2).real
t(2).imag
x = leaf(2, dtype="complex128"); pull(x.real * x.imag, x) ## unnamed
x = leaf(2, dtype="complex128"); pull(x.conj() * x, x)
x = leaf(2, dtype="complex128"); pull(x.abs(), x)
x = leaf(2, dtype="complex128"); y = leaf(2, seed=1); pull(x * y, x, y)
x = leaf(2, dtype="complex128"); y = leaf(2, seed=1); pull(y / x, x, y)
x = leaf(2, dtype="float32"); y = leaf(2, seed=1); pull(x * y, x, y)
x = leaf(2, dtype="float16"); y = leaf(2, dtype="float32", seed=1); pull(x * y, x, y)
x = leaf(2, dtype="float32"); y = torch.tensor([2, 3]); pull(x ** y, x)
x = leaf(dtype="float64"); y = leaf(2, dtype="float32", seed=1); pull(x * y, x, y)
x = leaf(2, dtype="bfloat16"); pull((x * 0.1 + 3).exp().sum(), x)
torch.isclose(t(2), t(2))
torch.allclose(t(2), t(2) + 1e-10)
torch.equal(t(2), t(2))
torch.equal(t(2), t(3))
t(2).equal(t(2))
torch.softmax(t(2, 3), 1)
"""


@pytest.mark.parametrize("case", cases(FORMS))
def test_keyword_forms_and_conventions(case: str) -> None:
    agree(case)
