"""Every method that writes over its tensor, on plain tensors, tracked ones, views and other dtypes, as PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

from .harness import agree, agree_all, cases  # noqa: E402

TENSOR = "t(3, low=0.5, seed=1)"
SMALL = "abs absolute neg negative sign sgn floor ceil round trunc fix frac nan_to_num conj_physical square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p logit sigmoid erf sin cos tan asin arcsin acos arccos atan arctan sinh cosh tanh sinc deg2rad rad2deg relu"
LATER = "asinh arcsinh acosh arccosh atanh arctanh"  # PyTorch has no derivative of these in place
WITH_BOTH = "add sub subtract mul multiply div divide true_divide pow remainder fmod copysign xlogy clamp_min clamp_max"
COMPARED = "eq ne not_equal lt less le less_equal gt greater ge greater_equal"
WITH_TENSOR = "atan2 arctan2 hypot ldexp"
OTHERS = f"""
add_({TENSOR}, alpha=2)
sub_({TENSOR}, alpha=0.5)
div_({TENSOR}, rounding_mode="floor")
div_(0.7, rounding_mode="trunc")
float_power_(2)
float_power_({TENSOR})
clamp_(-1, 1)
clip_(min=0)
clamp_({TENSOR}, {TENSOR} + 1)
round_(decimals=1)
nan_to_num_(1, posinf=2)
logit_(0.1)
addcmul_({TENSOR}, t(3, seed=2))
addcmul_({TENSOR}, t(3, seed=2), value=0.5)
addcdiv_(t(3, seed=2), {TENSOR}, value=2)
lerp_({TENSOR}, 0.3)
lerp_({TENSOR}, 0.7)
lerp_({TENSOR}, t(3, low=0, high=1))
addmv_(t(3, 2), t(2))
addmv_(t(3, 2), t(2), beta=0.5, alpha=2)
cumsum_(0)
cumprod_(0)
masked_fill_(torch.tensor([True, False, True]), 5)
masked_fill_(torch.tensor([True, False, True]), t(seed=3))
masked_scatter_(torch.tensor([True, False, True]), {TENSOR})
index_add_(0, torch.tensor([0, 0, 2]), {TENSOR})
index_add_(0, torch.tensor([0, 0]), t(2), alpha=3)
index_copy_(0, torch.tensor([2, 0]), t(2))
index_fill_(0, torch.tensor([2, -3]), 4)
index_fill_(0, torch.tensor([2, 0]), t(seed=3))
index_put_((torch.tensor([0, -1]),), t(2))
index_put_((torch.tensor([0, 0, 2]),), t(3), accumulate=True)
index_put_((torch.tensor([True, False, True]),), t(2))
index_reduce_(0, torch.tensor([0, 0]), t(2), "mean")
index_reduce_(0, torch.tensor([0, 0]), t(2), "prod")
index_reduce_(0, torch.tensor([0, 0]), t(2), "amax", include_self=False)
scatter_(0, torch.tensor([2, 0]), t(2))
scatter_(0, torch.tensor([2, 0]), 5)
scatter_(0, torch.tensor([2, 0]), value=5)
scatter_add_(0, torch.tensor([2, 2, 0]), {TENSOR})
scatter_reduce_(0, torch.tensor([2, 2, 0]), {TENSOR}, "sum")
scatter_reduce_(0, torch.tensor([2, 2, 0]), {TENSOR}, "prod")
scatter_reduce_(0, torch.tensor([2, 2, 0]), {TENSOR}, "amin")
put_(torch.tensor([0, -1]), t(2))
put_(torch.tensor([0, 0]), t(2), accumulate=True)
copy_({TENSOR})
copy_(t(1))
copy_(torch.tensor([1, 2, 3]), non_blocking=True)
copy_(2.5)
fill_(3)
fill_(0)
fill_(t(seed=3))
zero_()
"""


def calls() -> Iterator[str]:
    for name in f"{SMALL} {LATER}".split():
        yield f"{name}_()"
    for name in f"{WITH_BOTH} {COMPARED} {WITH_TENSOR}".split():
        yield f"{name}_({TENSOR})"
    for name in f"{WITH_BOTH} {COMPARED}".split():
        yield f"{name}_(0.5)"
    yield from cases(OTHERS)


def differentiable() -> Iterator[str]:
    return (call for call in calls() if not call.startswith(tuple(f"{name}_" for name in LATER.split())))


def test_values() -> None:
    agree_all(f"x = t(3); y = x.{call}; x is y, x, x._version" for call in calls())


def test_gradients() -> None:
    for low in (-2, 0.5):
        agree_all(f"a = leaf(3, low={low}); x = a * 1; x.{call}; pull(x, a) ## loose" for call in differentiable())


def test_gradients_by_the_other_tensor() -> None:
    def put(call: str) -> str:
        return (
            call.replace(TENSOR, "b") if TENSOR in call else call.replace("t(2)", "b[:2]").replace("t(seed=3)", "b[0]")
        )

    agree_all(
        f"b = leaf(3, low=0.5, seed=1); x = t(3, low=0.5); x.{put(call)}; pull(x, b) ## loose"
        for call in differentiable()
        if put(call) != call and not any(f"{name}_" in call for name in COMPARED.split())
    )


def test_through_views() -> None:
    agree_all(
        f"a = leaf(2, 3, low=0.5); x = a * 1; y = x[1]; y.{call}; pull((x, y), a) ## loose" for call in differentiable()
    )
    agree_all(f"x = t(3, 2); y = x.T[1]; y.{call}; x, y, x._version" for call in calls())


def test_second_order() -> None:
    agree_all(
        f"a = leaf(3, low=0.5); x = a * 1; x.{call}; "
        "g = torch.autograd.grad((x ** 3).sum(), a, create_graph=True)[0]; "
        "h = pull(g, a)[1][0] if g.requires_grad else None; (g.detach(), torch.zeros_like(a) if h is None else h) ## loose"
        for call in differentiable()
        if "amin" not in call
    )


ALLOWED = ("conj_physical_", "addmv_", "masked_fill_", "index_fill_", "index_put_", "fill_", "zero_")
# PyTorch lets these write where elements share memory, tapegrad nothing


def test_forbidden() -> None:
    attempt = "before = x.clone(), x._version; caught(lambda: x.{}), x, x._version - before[1], (x == before[0]).all()"
    for setup in ("x = leaf(3)", "x = leaf(2, 3)[0]"):
        agree_all(f"{setup}; {attempt.format(call)}" for call in calls())
    agree_all(f"x = t(1).expand(3); {attempt.format(call)}" for call in calls() if not call.startswith(ALLOWED))
    agree_all(f"x = leaf(3); torch.set_grad_enabled(False); x.{call}; (x, x.is_leaf, x._version)" for call in calls())


FUNCTIONS = """
x = t(3); torch.exp_(input=x) is x, x
x = t(3); torch.clamp_(x, max=0.5, min=0) is x, x
x = leaf(3) * 1; torch.detach_(x) is x, x
x = t(3); torch.resize_as_(x, t(2)) is x, x
x = t(6); torch.as_strided_(x, (2, 2), (2, 1), 1) is x, x
x = t(3); torch.index_put_(x, (torch.tensor([0]),), torch.tensor(1.0, dtype=torch.float64)) is x, x
torch.exp_(1.0)
torch.exp_([1.0])
torch.exp_() ## class
torch.fill_(1.0, 2) ## class
torch.exp_(t(3), 1) ## class
torch.relu_(leaf(3))
torch.exp_(torch.tensor([1, 2]))
"""


def in_place(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def test_functions() -> None:
    agree_all(cases(FUNCTIONS))
    agree_all(
        f"x = t(3); y = torch.{call.replace('(', '(x, ', 1)}; x is y, x, x._version"
        for call in calls()
        if hasattr(torch, call.split("(")[0])
    )


def test_the_functions_are_those_of_pytorch_with_a_method_here() -> None:
    theirs = {name for name in dir(torch) if in_place(name) and callable(getattr(torch, name))}
    alone = {name for name in theirs if not hasattr(torch.Tensor, name)}  # such as `dropout_`
    here = {name for name in tg.__all__ if in_place(name)}
    assert here - alone == (theirs & {*dir(tg.Tensor)}) | {"bool_"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "int64", "uint8", "bool"])
def test_other_dtypes(dtype: str) -> None:
    def put(call: str) -> str:
        return call.replace("t(", "o(")

    refused = "index_reduce_" if dtype in ("complex64", "bool") else "none"  # by PyTorch, in one dim only
    setup = f"o = lambda *shape, **options: t(*shape, **{{**options, 'dtype': '{dtype}'}}); x = o(3)"
    agree_all(f"{setup}; y = x.{put(call)}; x ## class" for call in calls() if not call.startswith(refused))
    agree_all(f"{setup}; y = x.{put(call).replace(dtype, 'float64')}; x ## class" for call in calls() if TENSOR in call)


MATRICES = """
x = t(2, 2); x.addmm_(t(2, 3), t(3, 2)); x
x = t(2, 2); x.addmm_(t(2, 3), t(3, 2), beta=0, alpha=2); x
x = t(2, 3); x.addmm_(t(2, 3), t(3, 2)) ## class
x = t(2); x.addmm_(t(2, 3), t(3, 2))
x = t(2, 2); x.addmm_(t(2, 3), t(3, 2).float())
x = t(2, 2); x.addmm_(t(2, 3), t(2, 3))
x = t(2, 2); x.addbmm_(t(4, 2, 3), t(4, 3, 2)); x
x = t(2, 3); x.addbmm_(t(4, 2, 3), t(4, 3, 2)) ## class
x = t(4, 2, 2); x.baddbmm_(t(4, 2, 3), t(4, 3, 2), alpha=0.5); x
x = t(2, 2); x.baddbmm_(t(4, 2, 3), t(4, 3, 2)) ## class
x = t(2, 3); x.addr_(t(2), t(3)); x
x = t(3); x.addr_(t(2), t(3)) ## class
x = t(2); x.addmv_(t(3, 2), t(2)) ## class
x = t(); x.addmv_(t(3, 2), t(2)) ## class
x = t(3, 4); x.tril_(); x
x = t(3, 4); x.triu_(1); x
x = t(4); x.triu_()
x = t(2, 3, 3); x.tril_(diagonal=-1); x
x = t(3, 4); x.fill_diagonal_(9); x
x = t(7, 3); x.fill_diagonal_(9, wrap=True); x
x = t(7, 3); x.fill_diagonal_(9); x
x = t(3, 3, 3); x.fill_diagonal_(9); x
x = t(3, 3, 2); x.fill_diagonal_(9)
x = t(3); x.fill_diagonal_(9)
x = t(3, 3, dtype="int64"); x.fill_diagonal_(2.5); x
x = t(3, 3); x.fill_diagonal_(torch.tensor(2.5)); x
x = t(3, 3, dtype="float32"); x.fill_diagonal_(1j)
x = t(3, 3); x.T.fill_diagonal_(9); x
a = leaf(2, 3); b = leaf(3, 2); c = leaf(2, 2); x = c * 1; x.addmm_(a, b, beta=0.5, alpha=2); pull(x, a, b, c)
a = leaf(2, 3); b = leaf(3, 2); c = leaf(2, 2); x = c * 1; x.addmm_(a, b, beta=0); pull(x, a, b, c)
a = leaf(4, 2, 3); b = leaf(4, 3, 2); c = leaf(2, 2); x = c * 1; x.addbmm_(a, b, beta=0.5, alpha=2); pull(x, a, b, c)
a = leaf(4, 2, 3); b = leaf(4, 3, 2); c = leaf(4, 2, 2); x = c * 1; x.baddbmm_(a, b, beta=0.5, alpha=2); pull(x, a, b, c)
a = leaf(2); b = leaf(3); c = leaf(2, 3); x = c * 1; x.addr_(a, b, beta=0.5, alpha=2); pull(x, a, b, c)
a = leaf(3, 3); x = a * 1; x.tril_(); pull(x, a)
a = leaf(3, 3); x = a * 1; x.triu_(-1); pull(x, a)
a = leaf(3, 3); x = a * 1; x.fill_diagonal_(2); pull(x, a) ## unnamed
a = leaf(3, 3); x = a * 1; x[:2, 1:].fill_diagonal_(2); pull(x, a)
a = leaf(2, 3); x = a * 1; x.cumsum_(1); pull(x, a)
a = leaf(2, 3); x = a * 1; x.cumprod_(0); pull(x, a)
a = leaf(2, 3); x = a * 1; x[0].cumprod_(0); pull(x, a)
x = t(3, dtype="int32"); x.cumsum_(0); x
x = t(3, dtype="int32"); x.cumprod_(0); x
x = t(3, dtype="bool"); x.cumsum_(0)
x = t(3, dtype="bool"); x.cumprod_(0)
x = t(3, dtype="float32"); x.cumsum_(0, dtype=torch.float64)
x = t(3); x.cumprod_(1)
"""


@pytest.mark.parametrize("case", cases(MATRICES))
def test_matrices(case: str) -> None:
    agree(case)


BITS = """
x = torch.tensor([5, 6, -7]); x.bitwise_and_(3).bitwise_or_(8).bitwise_xor_(torch.tensor([1, 2, 3])); x
x = torch.tensor([5, 6, -7]); x.bitwise_not_(); x
x = torch.tensor([5, 6, -7]); x.bitwise_left_shift_(2); x
x = torch.tensor([5, 6, -7]); x.bitwise_right_shift_(torch.tensor([1, 70, 70])); x
x = torch.tensor([5, 6, -7]); x <<= 2; x >>= 1; x
x = torch.tensor([5, 6, -7]); x << torch.tensor([0, 63, 64])
x = torch.tensor([5, 6, -7]); x >> torch.tensor([0, 63, 64])
x = torch.tensor([5, 6, -7]); x >> -1, x << -1
x = torch.tensor([100, -100], dtype=torch.int8); x << torch.tensor([1, 7], dtype=torch.int8), x >> torch.tensor([1, 7], dtype=torch.int8)
x = torch.tensor([200, 255], dtype=torch.uint8); x << 1, x >> 7, x >> 8
x = torch.tensor([True]); x << 2
x = torch.tensor([1.5]); x << 2
x = torch.tensor([1]); x << 2.0
x = torch.tensor([5, 6]); x.eq_(5); x
x = torch.tensor([5, 6]); x.lt_(torch.tensor([5.5, 7.5])); x
x = t(3); x.logical_not_(); x
x = torch.tensor([0.0, 1.0, nan]); x.logical_not_(); x
x = torch.tensor([0, 1, 2]); x.logical_and_(torch.tensor([1, 0, 3])); x
x = torch.tensor([0, 1, 2]); x.logical_or_(torch.tensor([1.0, 0.0, 3.0])); x
x = torch.tensor([0, 1, 2]); x.logical_xor_(torch.tensor([True, False, True])); x
a = leaf(3); x = a * 1; x.logical_not_(); pull(x, a) ## differs: its gradient is 0, in PyTorch it is that of what was overwritten
a = leaf(3); x = a * 1; x.asinh_(); pull(x, a) ## differs: PyTorch has no derivative of it in place
a = leaf(3); x = a * 1; x.floor_divide_(2); x ## differs: not differentiable, so it does not require grad
a = leaf(3); x = a * 1; x.heaviside_(t(3)); x ## differs: not differentiable, so it does not require grad
a = leaf(3); x = a * 1; x.scatter_(0, torch.tensor([0]), 2.0, reduce="add"); x ## differs: PyTorch has no derivative of it
x = t(3, dtype="float32"); x.float_power_(2)
x = t(3, dtype="complex64"); x.float_power_(2)
x = t(3); x.float_power_(2j)
x = torch.tensor([1]); x.clamp_min_(1.5) ## class
x = torch.tensor([1]); x.div_(2) ## class
x = torch.tensor([1]); x.copysign_(-2) ## class
x = torch.tensor([1, 2]); x.lerp_(x, 0.5) ## class
x = torch.tensor([1, 0, -1]); x.heaviside_(torch.tensor([5, 6, 7])); x
x = t(2); x.hypot_(t(3))
x = t(2); x.hypot_(t(2, 2))
x = t(2); x.eq_(t(2, 2))
x = t(2); x.addcmul_(t(2, 2), t(2))
x = t(2); x.masked_scatter_(t(2, 2) > 0, t(4)) ## class
x = t(2, 2); x.masked_scatter_(t(2) > 0, t(4)); x
x = t(3); x.scatter_(0, torch.tensor([5]), 1.0)
x = t(3); x.add_()  ## class
x = t(3); x.add_("a") ## class
x = t(3); x.copy_([1, 2, 3])
x = t(3); x.copy_("a") ## class
x = t(3); x.copy_(t(2, 3))
x = t(3, dtype="float16"); x.add_(t(3)); x
x = t(3, dtype="float32"); x.mul_(torch.tensor(2, dtype=torch.float64)); x
x = t(3); z = x.relu_().neg_().abs_(); z is x
"""


@pytest.mark.parametrize("case", cases(BITS))
def test_bits_and_errors(case: str) -> None:
    agree(case)


COMPLEX = """
import warnings
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    x = torch.zeros(2)
    torch.set_warn_always(True) if hasattr(torch, "set_warn_always") else None
    {}
(x, [str(w.message).split(" (Triggered")[0] for w in found])
"""


@pytest.mark.parametrize(
    "line",
    [
        "x.copy_(torch.tensor([1j, 2]))",
        "x[0] = torch.tensor(1j)",
        "x[:] = torch.tensor([1j, 2])",
        "x.fill_(torch.tensor(1j))",
        "x = torch.tensor([1j, 2]).to(torch.float32)",
        "x = torch.tensor([1j, 2]).float()",
        "x = torch.tensor([1j, 2]).to(torch.int64)",
        "x = torch.tensor([1j, 2]).bool()",
        "x.copy_(torch.tensor([1, 2]))",
        "x = torch.tensor([1j]).requires_grad_(); y = x.real * 1; y.sum().backward(); x = x.grad",
    ],
)
def test_complex_numbers_lose_their_imaginary_part_with_a_warning(line: str) -> None:
    agree(COMPLEX.format(line))
