"""The functions that take `out`, as users call them: each is an operation of `ops` made so by `with_out`.

Beside each stands which dtypes its `out` may have, where that is not any of the result's category or a higher one.
"""

from __future__ import annotations

from . import random
from .ops import comparison as c
from .ops import complex_numbers, creation, fused, indexing, linalg, sampling, scattering, shaping, triangular
from .ops import elementwise as e
from .ops import reductions as r
from .ops import scatter_reduce as scatter_reduction
from .ops import special as s
from .ops.out import (
    bool_or_byte,
    composed,
    exact,
    expected,
    float_result,
    floating,
    input_and_out,
    joined,
    like_input,
    nonzero_type,
    of_addmm,
    of_addmv,
    of_dot,
    one_dtype,
    only_bool,
    same,
    self_and_out,
    self_and_result,
    with_out,
)

__all__ = [
    "abs", "absolute", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "alias_copy",
    "all", "amax", "amin", "angle", "any", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "argmax", "argmin", "as_strided_copy", "asin", "asinh", "atan", "atan2", "atanh", "baddbmm", "bernoulli",
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bmm",
    "cat", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "column_stack", "complex", "concat", "concatenate",
    "conj_physical", "copysign", "cos", "cosh", "cumprod", "cumsum", "deg2rad", "diag", "diagonal_copy", "div",
    "divide", "dot", "dstack", "empty", "eq", "erf", "exp", "exp2", "expand_copy", "expm1", "eye", "fix", "float_power",
    "floor", "floor_divide", "fmax", "fmin", "fmod", "frac", "full", "gather", "ge", "ger", "greater", "greater_equal",
    "gt", "heaviside", "hstack", "hypot", "index_add", "index_copy", "index_reduce", "index_select", "ldexp", "le",
    "lerp", "less", "less_equal", "linspace", "log", "log1p", "log2", "log10", "log_softmax", "logaddexp", "logaddexp2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "logsumexp", "lt", "masked_select", "matmul",
    "max", "maximum", "mean", "min", "minimum", "mm", "mul", "multinomial", "multiply", "mv", "nan_to_num",
    "narrow_copy", "ne", "neg", "negative", "nonzero", "normal", "not_equal", "ones", "outer", "permute_copy", "polar",
    "pow", "prod", "rad2deg", "rand", "randint", "randn", "randperm", "reciprocal", "remainder", "round", "row_stack",
    "rsqrt", "scatter", "scatter_add", "scatter_reduce", "select_copy", "sgn", "sigmoid", "sign", "signbit", "sin",
    "sinc", "sinh", "slice_copy", "slice_scatter", "softmax", "split_copy", "split_with_sizes_copy", "sqrt", "square",
    "squeeze_copy", "stack", "std", "sub", "subtract", "sum", "t_copy", "take", "take_along_dim", "tan", "tanh",
    "transpose_copy", "tril", "triu", "true_divide", "trunc", "unbind_copy", "unfold_copy", "unsqueeze_copy", "var",
    "view_as_complex_copy", "view_as_real_copy", "view_copy", "vstack", "where", "xlogy", "zeros",
]  # fmt: skip

# Element-wise: arithmetic

add = with_out(e.add)
sub = subtract = with_out(e.sub)
mul = multiply = with_out(e.mul)
div = divide = true_divide = with_out(e.div)
floor_divide = with_out(e.floor_divide)
remainder = with_out(e.remainder)
fmod = with_out(s.fmod)
pow = with_out(e.pow)
float_power = with_out(s.float_power, float_result, name="pow")
ldexp = with_out(s.ldexp)
addcmul = with_out(fused.addcmul)
addcdiv = with_out(fused.addcdiv)
lerp = with_out(fused.lerp)

# Element-wise: comparison, logic, bits

eq = with_out(c.eq)
ne = not_equal = with_out(c.ne)
lt = less = with_out(c.lt)
le = less_equal = with_out(c.le)
gt = greater = with_out(c.gt)
ge = greater_equal = with_out(c.ge)
logical_and = with_out(c.logical_and)
logical_or = with_out(c.logical_or)
logical_xor = with_out(c.logical_xor)
logical_not = with_out(c.logical_not)
bitwise_and = with_out(c.bitwise_and)
bitwise_or = with_out(c.bitwise_or)
bitwise_xor = with_out(c.bitwise_xor)
bitwise_not = with_out(c.bitwise_not, same)
bitwise_left_shift = with_out(s.bitwise_left_shift)
bitwise_right_shift = with_out(s.bitwise_right_shift)
signbit = with_out(s.signbit, only_bool)

# Element-wise: limits and parts

abs = absolute = with_out(e.abs, same)
neg = negative = with_out(e.neg, same)
sign = with_out(e.sign, same)
sgn = with_out(e.sgn, same)
floor = with_out(e.floor, same)
ceil = with_out(e.ceil, same)
round = with_out(e.round, same)
trunc = fix = with_out(e.trunc, same)
frac = with_out(s.frac, same)
clamp = clip = with_out(e.clamp, same)
clamp_min = with_out(s.clamp_min)
clamp_max = with_out(s.clamp_max)
maximum = with_out(e.maximum)
minimum = with_out(e.minimum)
fmax = with_out(s.fmax)
fmin = with_out(s.fmin)
copysign = with_out(s.copysign)
heaviside = with_out(s.heaviside, one_dtype)
nan_to_num = with_out(s.nan_to_num, like_input)
conj_physical = with_out(s.conj_physical, same)
where = with_out(e.where, expected)

# Element-wise: exponentials, logarithms, angles

reciprocal = with_out(e.reciprocal)
square = with_out(e.square, name="pow")
sqrt = with_out(e.sqrt)
rsqrt = with_out(e.rsqrt)
exp = with_out(e.exp)
exp2 = with_out(e.exp2)
expm1 = with_out(e.expm1)
log = with_out(e.log)
log2 = with_out(e.log2)
log10 = with_out(e.log10)
log1p = with_out(e.log1p)
logaddexp = with_out(s.logaddexp)
logaddexp2 = with_out(s.logaddexp2)
xlogy = with_out(s.xlogy)
logit = with_out(s.logit)
sigmoid = with_out(e.sigmoid)
erf = with_out(e.erf)
sin = with_out(e.sin)
cos = with_out(e.cos)
tan = with_out(e.tan)
asin = arcsin = with_out(e.asin)
acos = arccos = with_out(e.acos)
atan = arctan = with_out(e.atan)
atan2 = arctan2 = with_out(e.atan2)
sinh = with_out(e.sinh)
cosh = with_out(e.cosh)
tanh = with_out(e.tanh)
asinh = arcsinh = with_out(e.asinh)
acosh = arccosh = with_out(e.acosh)
atanh = arctanh = with_out(e.atanh)
sinc = with_out(s.sinc)
hypot = with_out(s.hypot)
deg2rad = with_out(s.deg2rad)
rad2deg = with_out(s.rad2deg)
angle = with_out(complex_numbers.angle)
complex = with_out(complex_numbers.complex, composed)
polar = with_out(complex_numbers.polar, composed)

# Reductions and scans

sum = with_out(r.sum, in_dtype=True)
prod = with_out(r.prod, in_dtype=True)
mean = with_out(r.mean)
var = with_out(r.var)
std = with_out(r.std)
max = with_out(r.max)
min = with_out(r.min)
amax = with_out(r.amax, input_and_out)
amin = with_out(r.amin, input_and_out)
argmax = with_out(r.argmax, exact)
argmin = with_out(r.argmin, exact)
any = with_out(r.any, bool_or_byte)
all = with_out(r.all, bool_or_byte)
cumsum = with_out(r.cumsum, in_dtype=True)
cumprod = with_out(r.cumprod, in_dtype=True)
softmax = with_out(r.softmax, exact)
log_softmax = with_out(r.log_softmax, exact)
logsumexp = with_out(r.logsumexp, floating)

# Products

matmul = with_out(linalg.matmul, exact)
mm = with_out(linalg.mm, exact)
mv = with_out(linalg.mv, of_addmv)
dot = with_out(linalg.dot, of_dot)
bmm = with_out(linalg.bmm, exact)
addmm = with_out(fused.addmm, exact)
addmv = with_out(fused.addmv, exact)
addr = with_out(fused.addr)
addbmm = with_out(fused.addbmm, of_addmm)
baddbmm = with_out(fused.baddbmm, exact)
outer = with_out(fused.outer, name="mul")
ger = with_out(fused.ger, name="mul")

# Indexing and joining

gather = with_out(indexing.gather, exact)
index_select = with_out(indexing.index_select, self_and_result)
masked_select = with_out(indexing.masked_select, self_and_result)
nonzero = with_out(indexing.nonzero, nonzero_type)
take = with_out(indexing.take, self_and_out)
take_along_dim = with_out(scattering.take_along_dim, exact, name="gather")
index_add = with_out(scattering.index_add, exact)
index_copy = with_out(scattering.index_copy, exact)
index_reduce = with_out(scatter_reduction.index_reduce, exact)
scatter = with_out(scattering.scatter, exact)
scatter_add = with_out(scattering.scatter_add, exact)
scatter_reduce = with_out(scatter_reduction.scatter_reduce, exact)
cat = concat = concatenate = with_out(shaping.cat, joined)
stack = with_out(shaping.stack, joined)
hstack = with_out(shaping.hstack, joined, name="cat")
vstack = row_stack = with_out(shaping.vstack, joined, name="cat")
dstack = with_out(shaping.dstack, joined, name="cat")
column_stack = with_out(shaping.column_stack, joined, name="cat")
tril = with_out(triangular.tril, exact)
triu = with_out(triangular.triu, exact)

# Copies of parts

diag = with_out(shaping.diag, exact)
slice_scatter = with_out(shaping.slice_scatter, exact)
alias_copy = with_out(shaping.alias_copy, exact)
as_strided_copy = with_out(shaping.as_strided_copy, exact)
diagonal_copy = with_out(shaping.diagonal_copy, exact)
expand_copy = with_out(shaping.expand_copy, exact)
narrow_copy = with_out(shaping.narrow_copy, exact)
permute_copy = with_out(shaping.permute_copy, exact)
select_copy = with_out(shaping.select_copy, exact)
slice_copy = with_out(shaping.slice_copy, exact)
split_copy = with_out(shaping.split_copy, exact)
split_with_sizes_copy = with_out(shaping.split_with_sizes_copy, exact)
squeeze_copy = with_out(shaping.squeeze_copy, exact)
t_copy = with_out(shaping.t_copy, exact)
transpose_copy = with_out(shaping.transpose_copy, exact)
unbind_copy = with_out(shaping.unbind_copy, exact)
unfold_copy = with_out(shaping.unfold_copy, exact)
unsqueeze_copy = with_out(shaping.unsqueeze_copy, exact)
view_as_complex_copy = with_out(shaping.view_as_complex_copy, exact)
view_as_real_copy = with_out(shaping.view_as_real_copy, exact)
view_copy = with_out(shaping.view_copy, exact)

# Tensors of numbers

zeros = with_out(creation.zeros, in_dtype=True)
ones = with_out(creation.ones, in_dtype=True)
empty = with_out(creation.empty, in_dtype=True)
full = with_out(creation.full, in_dtype=True)
arange = with_out(creation.arange, in_dtype=True)
eye = with_out(creation.eye, in_dtype=True)
linspace = with_out(creation.linspace, in_dtype=True)
rand = with_out(random.rand, in_dtype=True)
randn = with_out(random.randn, in_dtype=True)
randint = with_out(random.randint, in_dtype=True)
randperm = with_out(random.randperm, in_dtype=True)
normal = with_out(sampling.normal, sampling.of_normal)
bernoulli = with_out(sampling.bernoulli, sampling.of_bernoulli)
multinomial = with_out(sampling.multinomial, exact)
