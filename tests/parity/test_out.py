"""`out=`: every function that takes it, into tensors of the right and of the wrong shape, dtype and kind, as PyTorch's."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

from .harness import agree, agree_all, cases  # noqa: E402

SETUP = (
    "x = torch.tensor([0.5, 0.7, 0.9]); y = torch.tensor([0.3, 0.2, 0.8]); m = torch.arange(6.0).reshape(2, 3) + 0.5; "
    "i = torch.tensor([0, 2, 1])"
)
UNARY = (
    "abs absolute neg negative sign sgn floor ceil round trunc fix frac nan_to_num conj_physical square sqrt rsqrt "
    "reciprocal exp exp2 expm1 log log2 log10 log1p logit sigmoid erf sin cos tan asin arcsin acos arccos atan arctan "
    "sinh cosh tanh asinh arcsinh atanh arctanh sinc deg2rad rad2deg signbit logical_not angle"
)
BINARY = (
    "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power ldexp atan2 arctan2 "
    "hypot copysign heaviside logaddexp logaddexp2 xlogy maximum minimum fmax fmin clamp_min clamp_max eq ne not_equal lt "
    "less le less_equal gt greater ge greater_equal logical_and logical_or logical_xor outer"
)
OTHERS = """
acosh(x + 1)
arccosh(x + 1)
bitwise_and(i, i)
bitwise_or(i, 1)
bitwise_xor(i, 1)
bitwise_not(i)
bitwise_left_shift(i, 1)
bitwise_right_shift(i, 1)
clamp(x, 0, 1)
clip(x, 0, 1)
where(x > 0.6, x, y)
complex(x, y)
polar(x, y)
addcmul(x, x, y)
addcdiv(x, x, y)
lerp(x, y, 0.3)
sum(m, 0)
prod(m, 0)
mean(m, 0)
var(m, 0)
std(m, 0)
amax(m, 0)
amin(m, 0)
argmax(m, 0)
argmin(m, 0)
all(m)
any(m, 0)
max(x, y)
min(x, y)
cumsum(x, 0)
cumprod(x, 0)
softmax(x, 0)
log_softmax(x, 0)
logsumexp(m, 0)
matmul(m, m.T)
matmul(m, x)
mm(m, m.T)
mv(m, x)
dot(x, y)
bmm(m[None], m.T[None])
addmm(m @ m.T, m, m.T)
addmv(x[:2], m, x)
addr(x, x, y)
addbmm(m @ m.T, m[None], m.T[None])
baddbmm((m @ m.T)[None], m[None], m.T[None])
ger(x, y)
gather(x, 0, i)
index_select(x, 0, i)
masked_select(x, x > 0.6)
nonzero(x)
take(x, i)
take_along_dim(x, i, 0)
index_add(x, 0, i, y)
index_copy(x, 0, i, y)
index_reduce(x, 0, i, y, "mean")
scatter(x, 0, i, y)
scatter_add(x, 0, i, y)
scatter_reduce(x, 0, i, y, "sum")
cat([x, y])
concat([x, y])
concatenate([x, y])
stack([x, y])
hstack([x, y])
vstack([x, y])
row_stack([x, y])
dstack([x, y])
column_stack([x, y])
tril(m)
triu(m)
diag(m)
slice_scatter(x, y[:2], 0, 0, 2)
alias_copy(x)
as_strided_copy(x, (2,), (1,))
diagonal_copy(m)
expand_copy(x, (2, 3))
narrow_copy(x, 0, 0, 2)
permute_copy(m, (1, 0))
select_copy(m, 0, 1)
slice_copy(x, 0, 1)
squeeze_copy(m)
t_copy(m)
transpose_copy(m, 0, 1)
unfold_copy(x, 0, 2, 1)
unsqueeze_copy(x, 0)
view_as_complex_copy(torch.ones(3, 2))
view_as_real_copy(torch.ones(3) * 1j)
view_copy(m, (3, 2))
zeros(3)
ones(3)
empty(3)
full((3,), 2.0)
arange(3)
eye(3)
linspace(0, 1, 3)
rand(3)
randn(3)
randint(3, (3,))
randperm(3)
normal(x, 0.0)
bernoulli((x > 0.6).float())
multinomial(torch.tensor([0.0, 1.0, 0.0]), 1)
"""
MAKERS = ("zeros", "ones", "empty", "full", "arange", "eye", "linspace", "rand", "randn", "randint", "randperm")
VALUELESS = ("rand", "randperm", "empty")
CALLS = [*[f"{n}(x)" for n in UNARY.split()], *[f"{n}(x, y)" for n in BINARY.split()], *cases(OTHERS)]
COMPUTED = [call for call in CALLS if not call.startswith(MAKERS)]
# In PyTorch these have no derivative, and go on as if they had one
UNTRACKED = (
    "conj_physical", "floor_divide", "heaviside", "softmax", "log_softmax", "diag", "slice_scatter", "alias_copy",
    "as_strided_copy", "diagonal_copy", "expand_copy", "permute_copy", "select_copy", "slice_copy", "squeeze_copy",
    "t_copy", "transpose_copy", "unfold_copy", "unsqueeze_copy", "view_copy",
    "view_as_real_copy",
)  # fmt: skip


def into(call: str, out: str = "o") -> str:
    return f"torch.{call[:-1]}, out={out})"


def made_like(call: str, **options: str) -> str:
    extra = "".join(f", {name}={value}" for name, value in options.items())
    return f"{SETUP}; r = torch.{call}; o = torch.zeros(r.shape, **{{'dtype': r.dtype{extra and ', ' + extra}}})"


def names_with_out() -> set[str]:
    """The functions of PyTorch that take `out`, by its stubs."""
    stubs = Path(torch.__file__).parent / "_C" / "_VariableFunctions.pyi"
    functions = [f for f in ast.parse(stubs.read_text()).body if isinstance(f, ast.FunctionDef)]
    return {f.name for f in functions if any(arg.arg == "out" for arg in f.args.kwonlyargs)}


def test_the_table_is_complete() -> None:
    assert {call.partition("(")[0] for call in CALLS} | set(SEVERAL) == names_with_out() & set(tg.__all__)


SEVERAL = ("split_copy", "split_with_sizes_copy", "unbind_copy")  # below, in forms


def test_into_a_tensor_of_the_right_kind() -> None:
    agree_all(
        f"{made_like(call)}; z = {into(call)}; z is o, o._version, o.shape"
        + ("" if call.startswith(VALUELESS) else ", z")
        for call in CALLS
        if not call.startswith("empty")  # which need not write
    )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64"])
def test_into_another_dtype(dtype: str) -> None:
    skipped = {"complex64": ("std", "var"), "uint8": ("all(",)}.get(dtype, ())  # PyTorch's all(uint8) casts its operand
    value = "z.float()" if dtype == "float64" else "z"  # a float32, whose last digit is its own
    agree_all(
        f"{SETUP}; r = torch.{call}; o = torch.zeros(r.shape, dtype=torch.{dtype}); z = {into(call)}; z is o, z.dtype, {value}"
        + ("" if call.startswith(EXACT_WORDS) else " ## class")
        for call in COMPUTED
        if not call.startswith(skipped)
    )


EXACT_WORDS = (
    "add(",
    "exp(",
    "abs(",
    "argmax(",
    "mm(",
    "take(",
    "cat(",
    "amax(",
    "where(",
    "logsumexp(",
    "bmm(",
    "dot(",
)


def test_gradients_are_refused() -> None:
    tracked = [call for call in COMPUTED if not call.startswith(UNTRACKED)]
    note = dict.fromkeys(("max(x, y)", "min(x, y)"), " ## says: (): functions with out=... arguments")
    agree_all(
        f"{made_like(call)}; x.requires_grad_(); m.requires_grad_(); {into(call)}{note.get(call, '')}"
        for call in tracked
    )
    floats = [call for call in tracked if eval_result(call).is_floating_point()]
    agree_all(f"{made_like(call)}; o.requires_grad_(); {into(call)}{note.get(call, '')}" for call in floats)
    quiet = "torch.set_grad_enabled(False)"
    agree_all(f"{made_like(call)}; o.requires_grad_(); {quiet}; z = {into(call)}; z, z.is_leaf" for call in floats)


def eval_result(call: str) -> torch.Tensor:
    scope: dict[str, object] = {"torch": torch}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(SETUP, scope)
        return eval(f"torch.{call}", scope)


RESIZED = """
import warnings
{setup}
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    torch.set_warn_always(True) if hasattr(torch, "set_warn_always") else None
    z = {call}
(z is o, z.shape, z.stride() if z.numel() else None{value}, [str(w.message).split(" (Triggered")[0] for w in found if "beta" not in str(w.message) and "ger is" not in str(w.message)])
"""


@pytest.mark.parametrize("shape", ["(4, 5)", "(0,)", "(1,)", "(0, 4)"])
def test_another_shape(shape: str) -> None:
    # of other strides; other words; no warning; not allowed
    others = ("nonzero", "arange", "addbmm", "narrow_copy", "normal")
    agree_all(
        RESIZED.format(
            setup=f"{SETUP}; r = torch.{call}; o = torch.zeros({shape}, dtype=r.dtype)",
            call=into(call),
            value="" if call.startswith(VALUELESS) else ", z",
        )
        for call in CALLS
        if not call.startswith(others)
    )


def test_elements_that_share_memory() -> None:
    agree_all(
        f"{SETUP}; r = torch.{call}; o = torch.zeros(1, dtype=r.dtype).expand(r.shape); {into(call)}"
        for call in COMPUTED
        if eval_result(call).numel() > 1 and not call.startswith(UNCHECKED)
    )


UNCHECKED = (
    "tril", "triu", "any", "all", "amax", "amin", "argmax", "argmin", "bmm", "matmul", "mv", "prod", "std", "var", "sum",
    "narrow_copy",
)  # fmt: skip


FORMS = """
x = t(3); o = t(3); z = torch.add(x, 1, alpha=2, out=o); z is o, z
x = t(3); z = torch.add(x, x, out=x); z is x, x
x = t(3); torch.mul(x, x.sum(), out=x); x
x = t(3, 3); torch.matmul(x, x, out=x); x ## differs: the operands are read before anything is written
x = t(3, 3); torch.add(x, x.T, out=x); x ## differs: the operands are read before anything is written
x = t(4); torch.exp(x[:3], out=x[1:]); x ## differs: the operands are read before anything is written
x = t(4); torch.exp(x[:2], out=x[2:]); x
x = t(2, 3); torch.exp(t(3), out=x[1]); x, x._version
x = t(2, 3); torch.exp(t(3, 2), out=x.T); x
x = t(2, 3); y = x[0]; torch.exp(t(3), out=y); x, y._version
x = t(6); torch.neg(t(2, 3), out=x.view(2, 3)); x
a = leaf(2, 3); x = a * 1; torch.exp(t(3), out=x[0])
a = leaf(2, 3); x = a * 1; torch.set_grad_enabled(False); torch.exp(t(3), out=x[0]); torch.set_grad_enabled(True); pull(x, a)
a = leaf(3); x = a * 1; y = x * x; torch.exp(t(3), out=x.detach()); pull(y, a) ## says: modified by an inplace operation
o = t(3); torch.exp(t(3), out=o); o.requires_grad_(); pull(o * 2, o)
torch.exp(t(3), out=None)
torch.add(t(3), t(3), out=None)
torch.exp(t(3), out=3) ## class
torch.exp(t(3), out=[t(3)]) ## differs: a list of one tensor is taken for the tensor
t(3).exp(out=t(3)) ## class
v, i = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.int64); r = torch.max(t(2, 3), 0, out=(v, i)); r[0] is v, r.indices is i, v, i
v, i = torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.int64); torch.min(t(2, 3), 1, out=(v, i)); v, i
v, i = torch.zeros(1, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.int64); torch.max(t(2, 3), 0, True, out=(v, i)); v, i
v, i = torch.zeros(3, dtype=torch.float64), torch.zeros(3); torch.max(t(2, 3), 0, out=(v, i)) ## class
v, i = torch.zeros(3), torch.zeros(3, dtype=torch.int64); torch.max(t(2, 3), 0, out=(v, i)) ## class
torch.max(t(2, 3), 0, out=t(3)) ## class
a, b = t(3), t(0); r = torch.unbind_copy(t(2, 3), out=[a, b]); r, a, b
a, b = t(1, 3), t(1, 3); r = torch.split_copy(t(2, 3), 1, out=[a, b]); r, a, b
a, b = t(1, 3), t(1, 3); r = torch.split_with_sizes_copy(t(2, 3), [1, 1], out=[a, b]); r, a, b
a = t(3); torch.unbind_copy(t(2, 3), out=[a]) ## class
v, i = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.int64); torch.max(leaf(2, 3), 0, out=(v, i))
o = torch.zeros((), dtype=torch.float64); torch.max(t(2, 3), out=o); o
o = torch.zeros(3); torch.sum(t(2, 3, dtype="int64"), 0, out=o); o
o = torch.zeros(3); torch.sum(t(2, 3), 0, out=o); o
o = torch.zeros(3, dtype=torch.int32); torch.sum(t(2, 3, dtype="int64"), 0, out=o); o
o = torch.zeros(3); torch.sum(t(2, 3), 0, dtype=torch.float64, out=o) ## class
o = torch.zeros(3); torch.mean(t(2, 3), 0, out=o); o
o = torch.zeros(3); torch.cumsum(t(3, dtype="int64"), 0, out=o); o
o = torch.zeros(3); torch.zeros(3, dtype=torch.float64, out=o) ## class
o = torch.zeros(3); torch.zeros(3, dtype=torch.float32, out=o); o
o = torch.zeros(3); torch.arange(3, out=o); o
o = torch.zeros(3); torch.full((3,), 2, out=o); o
o = torch.zeros(3); torch.full((3,), 2.5, out=o); o
o = torch.zeros(3, dtype=torch.int64); torch.eye(3, out=o); o
o = t(3); torch.add(t(3), t(2), out=o)
o = t(3); before = o.clone(); caught(torch.add, t(3), t(2), out=o), o, o._version
o = t(3, dtype="int64"); before = o.clone(); caught(torch.add, t(3), t(3), out=o), o, o._version
o = t(3); torch.sum(t(2, 3), axis=0, out=o); o
o = t(3); torch.exp(input=t(3), out=o); o
o = t(3); torch.add(input=t(3), other=1, out=o); o
torch.add(x1=t(3), x2=t(3))
torch.exp(x=t(3))
"""


@pytest.mark.parametrize("case", cases(FORMS))
def test_forms(case: str) -> None:
    agree(case)
