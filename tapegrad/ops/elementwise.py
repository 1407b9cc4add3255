"""Element-wise operations on tensors and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..errors import TapegradError
from ..primitives import analytic, arithmetic, comparison
from ..primitives.arithmetic import conj as conj_p
from ..tape import TensorBase, apply, renamed
from .common import TensorLike, binary, cast_to, dtype_of, promote, require_tensor, result_type, to_floating, unary
from .creation import clone

if TYPE_CHECKING:
    from ..tensor import Tensor

# Arithmetic


def add(a: TensorLike, b: TensorLike, *, alpha: complex = 1) -> Tensor:
    """`a + alpha * b`, broadcast and promoted."""
    return binary(arithmetic.add, a, b if alpha == 1 else mul(b, alpha))


def sub(a: TensorLike, b: TensorLike, *, alpha: complex = 1) -> Tensor:
    """`a - alpha * b`, broadcast and promoted. Raises for two bool tensors."""
    if _is_bool(a) or _is_bool(b):
        raise TapegradError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    out = binary(arithmetic.sub, a, b if alpha == 1 else mul(b, alpha))
    return out if isinstance(a, TensorBase) else renamed("RsubBackward1", out)


def _is_bool(x: Any) -> bool:
    return x._array.dtype.kind == "b" if isinstance(x, TensorBase) else isinstance(x, bool)


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """`a * b`, broadcast and promoted."""
    return binary(arithmetic.mul, a, b)


def div(a: TensorLike, b: TensorLike, *, rounding_mode: str | None = None) -> Tensor:
    """`a / b` in floating point; `rounding_mode` "floor" or "trunc" rounds, and keeps ints."""
    if rounding_mode is None:
        if isinstance(a, TensorBase):
            return binary(arithmetic.div, a, b, floating=True)
        return mul(reciprocal(b), a)
    if rounding_mode == "floor":
        return floor_divide(a, b)
    if rounding_mode != "trunc":
        raise TapegradError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found " + repr(rounding_mode)
        )
    return cast_to(trunc(div(a, b)), result_type(a, b))


def floor_divide(a: TensorLike, b: TensorLike) -> Tensor:
    """`floor(a / b)`. Raises ZeroDivisionError-like RuntimeError for an integer divisor of 0."""
    _refuse_integer_zero(a, b)
    return binary(arithmetic.floor_divide, a, b)


def remainder(a: TensorLike, b: TensorLike) -> Tensor:
    """`a - floor(a / b) * b`: the sign of the divisor, as Python's `%`."""
    _refuse_integer_zero(a, b)
    return binary(arithmetic.remainder, a, b)


def _refuse_integer_zero(a: TensorLike, b: TensorLike) -> None:
    if result_type(a, b).category <= dtypes.INTEGRAL:
        zero = not b._array.all() if isinstance(b, TensorBase) else not b
        if zero:
            raise TapegradError("ZeroDivisionError")


def pow(a: TensorLike, b: TensorLike) -> Tensor:  # noqa: A001  (PyTorch's name)
    """`a ** b`, broadcast and promoted. Raises for integers to negative integer powers."""
    if isinstance(b, TensorBase) or not isinstance(a, TensorBase):
        return binary(arithmetic.pow_, a, b)
    base, exponent = promote("pow", a, b)
    if base._array.dtype.kind in "biu" and exponent < 0:
        raise TapegradError("Integers to negative integer powers are not allowed.")
    whole = isinstance(exponent, float) and exponent.is_integer() and -(2**31) < exponent < 2**31
    return apply(arithmetic.pow_scalar, (base,), {"exponent": int(exponent) if whole else exponent})


def neg(x: Tensor) -> Tensor:
    """`-x`. Raises for bool tensors."""
    if _is_bool(x):
        raise TapegradError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )
    return unary(arithmetic.neg, x)


def reciprocal(x: Tensor) -> Tensor:
    """`1 / x`."""
    return unary(arithmetic.reciprocal, x, floating=True)


def square(x: Tensor) -> Tensor:
    """`x ** 2`."""
    return pow(x, 2)


def abs(x: Tensor) -> Tensor:  # noqa: A001  (PyTorch's name)
    """The absolute value; real for complex `x`. Its derivative at 0 is 0."""
    return unary(arithmetic.abs_, x)


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1. Raises for complex tensors, whose `sgn` it is not."""
    if require_tensor("sign", x)._array.dtype.kind == "c":
        raise TapegradError("Unlike NumPy, torch.sign doesn't support complex numbers. Please use torch.sgn instead.")
    return clone(x) if _is_bool(x) else unary(arithmetic.sign, x)


def sgn(x: Tensor) -> Tensor:
    """`sign`, and `x / abs(x)` for complex tensors."""
    return renamed("SgnBackward0", unary(arithmetic.sign, x)) if x._array.dtype.kind == "c" else sign(x)


def floor(x: Tensor) -> Tensor:
    """The largest integer not above `x`."""
    return unary(arithmetic.floor, x) if dtype_of(x).is_floating_point else clone(x)


def ceil(x: Tensor) -> Tensor:
    """The smallest integer not below `x`."""
    return unary(arithmetic.ceil, x) if dtype_of(x).is_floating_point else clone(x)


def trunc(x: Tensor) -> Tensor:
    """The integer part of `x`."""
    return unary(arithmetic.trunc, x) if dtype_of(x).is_floating_point else clone(x)


def round(x: Tensor) -> Tensor:  # noqa: A001  (PyTorch's name)
    """The nearest integer, halves to even."""
    return unary(arithmetic.round_, x) if dtype_of(x).is_floating_point else clone(x)


def conj(x: Tensor) -> Tensor:
    """The complex conjugate; `x` itself if it is real."""
    return unary(conj_p, x) if x._array.dtype.kind == "c" else x


def real(x: Tensor) -> Tensor:
    """The real part; `x` itself if it is real."""
    return unary(arithmetic.real, x) if x._array.dtype.kind == "c" else x


def imag(x: Tensor) -> Tensor:
    """The imaginary part. Raises for real tensors."""
    if x._array.dtype.kind != "c":
        raise TapegradError("imag is not implemented for tensors with non-complex dtypes.")
    return unary(arithmetic.imag, x)


# Selection


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The larger of each pair; ties share the gradient evenly."""
    return binary(arithmetic.maximum, require_tensor("maximum", a), require_tensor("maximum", b, 2))


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of each pair; ties share the gradient evenly."""
    return binary(arithmetic.minimum, require_tensor("minimum", a), require_tensor("minimum", b, 2))


def clamp(x: Tensor, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:  # noqa: A002
    """`x` limited to [min, max], either of which may be None; the gradient passes at the bounds."""
    if min is None and max is None:
        raise TapegradError("torch.clamp: At least one of 'min' or 'max' must not be None")
    limits = [limit for limit in (min, max) if limit is not None]
    x, *found = promote("clamp", x, *limits)
    fill = {None: found} if min is not None and max is not None else {None: []}
    low, high = (fill[None] or (None, None)) if len(found) == 2 else (found[0], None) if max is None else (None, found[0])
    low = _extreme(x, lowest=True) if low is None else low
    high = _extreme(x, lowest=False) if high is None else high
    out = apply(arithmetic.clip, (x, low, high))
    return renamed("ClampBackward0" if isinstance(min, TensorBase) or isinstance(max, TensorBase) else "ClampBackward1", out)


def _extreme(x: Tensor, *, lowest: bool) -> Any:
    import numpy as np

    if x._array.dtype.kind in "iu":
        info = np.iinfo(x._array.dtype)
        return int(info.min if lowest else info.max)
    return float("-inf" if lowest else "inf")


def where(condition: Tensor, a: TensorLike | None = None, b: TensorLike | None = None) -> Any:
    """`a` where `condition` holds, else `b`; with the condition alone, the indices where it holds."""
    if require_tensor("where", condition)._array.dtype.kind != "b":
        raise TapegradError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {dtype_of(condition)}")
    if a is None and b is None:
        from .indexing import nonzero

        return nonzero(condition, as_tuple=True)
    a, b = promote("where", a, b)
    if not (isinstance(a, TensorBase) or isinstance(b, TensorBase)):
        a = cast_to(clone(condition), result_type(a)) * 0 + a
    return apply(arithmetic.where, (condition, a, b))


# Exponentials and logarithms


def exp(x: Tensor) -> Tensor:
    """e to the power `x`."""
    return unary(analytic.exp, x, floating=True)


def exp2(x: Tensor) -> Tensor:
    """2 to the power `x`."""
    return unary(analytic.exp2, x, floating=True)


def expm1(x: Tensor) -> Tensor:
    """`exp(x) - 1`, exact for small `x`."""
    return unary(analytic.expm1, x, floating=True)


def log(x: Tensor) -> Tensor:
    """Natural logarithm."""
    return unary(analytic.log, x, floating=True)


def log2(x: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return unary(analytic.log2, x, floating=True)


def log10(x: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return unary(analytic.log10, x, floating=True)


def log1p(x: Tensor) -> Tensor:
    """`log(1 + x)`, exact for small `x`."""
    return unary(analytic.log1p, x, floating=True)


def sqrt(x: Tensor) -> Tensor:
    """Square root; nan below 0."""
    return unary(analytic.sqrt, x, floating=True)


def rsqrt(x: Tensor) -> Tensor:
    """`1 / sqrt(x)`."""
    return unary(analytic.rsqrt, x, floating=True)


# Trigonometric and hyperbolic functions, in radians


def sin(x: Tensor) -> Tensor:
    """Sine."""
    return unary(analytic.sin, x, floating=True)


def cos(x: Tensor) -> Tensor:
    """Cosine."""
    return unary(analytic.cos, x, floating=True)


def tan(x: Tensor) -> Tensor:
    """Tangent."""
    return unary(analytic.tan, x, floating=True)


def asin(x: Tensor) -> Tensor:
    """Inverse sine."""
    return unary(analytic.asin, x, floating=True)


def acos(x: Tensor) -> Tensor:
    """Inverse cosine."""
    return unary(analytic.acos, x, floating=True)


def atan(x: Tensor) -> Tensor:
    """Inverse tangent."""
    return unary(analytic.atan, x, floating=True)


def atan2(a: Tensor, b: Tensor) -> Tensor:
    """The angle of the point (b, a), in (-pi, pi]; its derivative at the origin is 0."""
    return binary(analytic.atan2, a, b, floating=True)


def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""
    return unary(analytic.sinh, x, floating=True)


def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    return unary(analytic.cosh, x, floating=True)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return unary(analytic.tanh, x, floating=True)


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine."""
    return unary(analytic.asinh, x, floating=True)


def acosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine."""
    return unary(analytic.acosh, x, floating=True)


def atanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent."""
    return unary(analytic.atanh, x, floating=True)


def erf(x: Tensor) -> Tensor:
    """The error function."""
    return unary(analytic.erf, x, floating=True)


def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`."""
    return unary(analytic.sigmoid, x, floating=True)


def relu(x: Tensor) -> Tensor:
    """`max(x, 0)`; its derivative at 0 is 0."""
    return unary(arithmetic.relu, x)


# Comparison and logic


def eq(a: TensorLike, b: TensorLike) -> Tensor:
    """Element-wise `a == b`."""
    return binary(comparison.eq, a, b)


def ne(a: TensorLike, b: TensorLike) -> Tensor:
    """Element-wise `a != b`."""
    return binary(comparison.ne, a, b)


def lt(a: TensorLike, b: TensorLike) -> Tensor:
    """Element-wise `a < b`."""
    return binary(comparison.lt, a, b)


def le(a: TensorLike, b: TensorLike) -> Tensor:
    """Element-wise `a <= b`."""
    return binary(comparison.le, a, b)


def gt(a: TensorLike, b: TensorLike) -> Tensor:
    """Element-wise `a > b`."""
    return binary(comparison.gt, a, b)


def ge(a: TensorLike, b: TensorLike) -> Tensor:
    """Element-wise `a >= b`."""
    return binary(comparison.ge, a, b)


def _bitwise(prim: Any, a: TensorLike, b: TensorLike) -> Tensor:
    if result_type(a, b).category > dtypes.INTEGRAL:
        raise TapegradError(f"{prim.name} is not implemented for {result_type(a, b)}: expected integers or bools")
    return binary(prim, a, b)


def bitwise_and(a: TensorLike, b: TensorLike) -> Tensor:
    """`a & b` of ints or bools."""
    return _bitwise(comparison.bitwise_and, a, b)


def bitwise_or(a: TensorLike, b: TensorLike) -> Tensor:
    """`a | b` of ints or bools."""
    return _bitwise(comparison.bitwise_or, a, b)


def bitwise_xor(a: TensorLike, b: TensorLike) -> Tensor:
    """`a ^ b` of ints or bools."""
    return _bitwise(comparison.bitwise_xor, a, b)


def bitwise_not(x: Tensor) -> Tensor:
    """`~x` of ints or bools."""
    if dtype_of(x).category > dtypes.INTEGRAL:
        raise TapegradError(f"bitwise_not is not implemented for {dtype_of(x)}: expected integers or bools")
    return unary(comparison.bitwise_not, x)


def _truth(x: Tensor) -> Tensor:
    return x if _is_bool(x) else ne(x, 0)


def logical_and(a: Tensor, b: Tensor) -> Tensor:
    """Whether both are non-zero."""
    return bitwise_and(_truth(a), _truth(b))


def logical_or(a: Tensor, b: Tensor) -> Tensor:
    """Whether either is non-zero."""
    return bitwise_or(_truth(a), _truth(b))


def logical_xor(a: Tensor, b: Tensor) -> Tensor:
    """Whether just one is non-zero."""
    return bitwise_xor(_truth(a), _truth(b))


def logical_not(x: Tensor) -> Tensor:
    """Whether it is zero."""
    return bitwise_not(_truth(x))


def isnan(x: Tensor) -> Tensor:
    """Whether it is nan."""
    return unary(comparison.isnan, x)


def isinf(x: Tensor) -> Tensor:
    """Whether it is infinite."""
    return unary(comparison.isinf, x)


def isfinite(x: Tensor) -> Tensor:
    """Whether it is neither infinite nor nan."""
    return unary(comparison.isfinite, x)


__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_not",
    "bitwise_or", "bitwise_xor", "ceil", "clamp", "conj", "cos", "cosh", "div", "eq", "erf", "exp", "exp2", "expm1",
    "floor", "floor_divide", "ge", "gt", "imag", "isfinite", "isinf", "isnan", "le", "log", "log10", "log1p", "log2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "ne", "neg", "pow",
    "real", "reciprocal", "relu", "remainder", "round", "rsqrt", "sgn", "sigmoid", "sign", "sin", "sinh", "sqrt",
    "square", "sub", "tan", "tanh", "trunc", "where",
]  # fmt: skip
