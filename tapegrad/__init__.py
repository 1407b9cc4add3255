"""tapegrad: eager autograd on NumPy, recorded on a tape, compiled by JAX, each checking the other.

    import tapegrad as tg

The names and their meaning are PyTorch's. `tg.record` gives a function's tape, `tg.jit` compiles a function;
`tapegrad.compile` holds the lowering to JAX, and is imported when first used.
"""

from __future__ import annotations

from math import e, inf, nan, pi
from typing import Any

from . import autograd, nn
from .autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .dtypes import (
    bfloat16,
    bool_,
    can_cast,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from .errors import (
    CheckError,
    DtypeError,
    GraphFreedError,
    InPlaceError,
    NotDifferentiableError,
    RuleError,
    ShapeError,
    TapegradError,
    UnsupportedError,
)
from .ops.common import result_type
from .ops.comparison import (
    allclose,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    equal,
    ge,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
)
from .ops.creation import (
    arange,
    as_tensor,
    clone,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from .ops.creation import tensor as _new_tensor
from .ops.elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    ceil,
    clamp,
    conj,
    cos,
    cosh,
    div,
    erf,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    imag,
    log,
    log1p,
    log2,
    log10,
    maximum,
    minimum,
    mul,
    neg,
    positive,
    pow,
    real,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sgn,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    sub,
    tan,
    tanh,
    trunc,
    where,
)
from .ops.indexing import gather, index_select, masked_fill, masked_select, nonzero, take
from .ops.linalg import bmm, dot, matmul, mm, mv
from .ops.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)
from .ops.shaping import (
    broadcast_tensors,
    broadcast_to,
    cat,
    chunk,
    concat,
    expand,
    flatten,
    flip,
    movedim,
    narrow,
    permute,
    ravel,
    reshape,
    select,
    split,
    squeeze,
    stack,
    swapaxes,
    t,
    transpose,
    unbind,
    unsqueeze,
)
from .printing import set_printoptions
from .random import manual_seed, rand, rand_like, randint, randint_like, randn, randn_like, randperm
from .record import record
from .tape import Tape
from .tensor import Size, Tensor

__version__ = "0.1.0"

tensor = _new_tensor  # after the import of the module of that name, which it hides

# PyTorch's other spellings
bool = bool_
float = float32
double = float64
half = float16
short = int16
int = int32
long = int64
cfloat = complex64
cdouble = complex128
absolute = abs
clip = clamp

_COMPILED = ("jit",)  # what is in tapegrad.compile, and so imports JAX when first asked for


def __getattr__(name: str) -> Any:
    if name in _COMPILED or name == "compile":
        import importlib

        module = importlib.import_module(".compile", __name__)
        return module if name == "compile" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CheckError", "DtypeError", "GraphFreedError", "InPlaceError", "NotDifferentiableError", "RuleError",
    "ShapeError", "Size", "Tape", "TapegradError", "Tensor", "UnsupportedError", "__version__", "abs", "absolute",
    "acos", "acosh", "add", "all", "allclose", "amax", "amin", "any", "arange", "argmax", "argmin", "as_tensor",
    "asin", "asinh", "atan", "atan2", "atanh", "autograd", "bfloat16", "bitwise_and", "bitwise_not", "bitwise_or",
    "bitwise_xor", "bmm", "bool", "bool_", "broadcast_tensors", "broadcast_to", "can_cast", "cat", "cdouble",
    "ceil", "cfloat", "chunk", "clamp", "clip", "clone", "complex64", "complex128", "concat", "conj", "cos",
    "cosh", "cumsum", "div", "dot", "double", "dtype", "e", "empty", "empty_like", "enable_grad", "eq", "equal",
    "erf", "exp", "exp2", "expand", "expm1", "eye", "flatten", "flip", "float", "float16", "float32", "float64",
    "floor", "floor_divide", "from_numpy", "full", "full_like", "gather", "ge", "get_default_dtype", "gt", "half",
    "imag", "index_select", "inf", "int", "int8", "int16", "int32", "int64", "is_grad_enabled", "isclose",
    "isfinite", "isinf", "isnan", "jit", "le", "linspace", "log", "log1p", "log2", "log10", "log_softmax",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "long", "lt", "manual_seed",
    "masked_fill", "masked_select", "matmul", "max", "maximum", "mean", "min", "minimum", "mm", "movedim", "mul",
    "mv", "nan", "narrow", "ne", "neg", "nn", "no_grad", "nonzero", "ones", "ones_like", "permute", "pi",
    "positive", "pow", "prod", "promote_types", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "randperm", "ravel", "real", "reciprocal", "record", "relu", "remainder", "reshape",
    "result_type", "round", "rsqrt", "select", "set_default_dtype", "set_grad_enabled", "set_printoptions", "sgn",
    "short", "sigmoid", "sign", "sin", "sinh", "softmax", "split", "sqrt", "square", "squeeze", "stack", "std",
    "sub", "sum", "swapaxes", "t", "take", "tan", "tanh", "tensor", "transpose", "trunc", "uint8", "unbind",
    "unsqueeze", "var", "where", "zeros", "zeros_like",
]  # fmt: skip
