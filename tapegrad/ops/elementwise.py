"""Element-wise arithmetic, selection and functions of tensors and numbers."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..errors import DtypeError, TapegradError
from ..primitives import analytic, arithmetic
from ..primitives.arithmetic import conj as conj_p
from ..tape import Primitive, TensorBase, apply, renamed
from ..tape.number import is_followed
from .common import TensorLike, binary, cast_to, dtype_of, promote, require_tensor, result_type, unary
from .comparison import bitwise_and, eq, lt, ne
from .creation import check_range, clone, full_like
from .requirements import require_nonzero
from .support import both_tensors, is_bool, require_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

# Arithmetic


def add(input: TensorLike, other: TensorLike, *, alpha: complex = 1) -> Tensor:
    """`input + alpha * other`, broadcast and promoted."""
    return binary(arithmetic.add, input, other if alpha == 1 else _scaled(input, other, alpha))


def _scaled(input: TensorLike, other: TensorLike, alpha: complex) -> TensorLike:
    """`alpha * other` in the dtype of `input + alpha * other`."""
    d = result_type(input, other)
    if isinstance(alpha, bool) and d is not dtypes.bool_:
        raise TapegradError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float | complex) and d.category <= dtypes.INTEGRAL:
        raise TapegradError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, complex) and not d.is_complex:
        raise TapegradError("For non-complex input tensors, argument alpha must not be a complex number.")
    if not isinstance(other, TensorBase):
        return other * alpha if d is not dtypes.bool_ else bool(other and alpha)
    return mul(cast_to(other, d), bool(alpha) if d is dtypes.bool_ else alpha)  # type: ignore[arg-type]


def sub(input: TensorLike, other: TensorLike, *, alpha: complex = 1) -> Tensor:
    """`input - alpha * other`, broadcast and promoted. Raises for two bool tensors."""
    if is_bool(input) or is_bool(other):
        if is_bool(input) and is_bool(other):
            raise TapegradError(
                "Subtraction, the `-` operator, with two bool tensors is not supported. "
                "Use the `^` or `logical_xor()` operator instead."
            )
        raise TapegradError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    out = binary(arithmetic.sub, input, other if alpha == 1 else _scaled(input, other, alpha))
    return out if isinstance(input, TensorBase) else renamed("RsubBackward1", out)


def mul(input: TensorLike, other: TensorLike) -> Tensor:
    """`input * other`, broadcast and promoted."""
    return binary(arithmetic.mul, input, other)


def div(input: TensorLike, other: TensorLike, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other` in floating point; `rounding_mode` "floor" or "trunc" rounds, and keeps ints."""
    if rounding_mode is None:
        if isinstance(input, TensorBase):
            return binary(arithmetic.div, input, other, floating=True)
        return mul(reciprocal(other), input)
    if rounding_mode not in ("floor", "trunc"):
        raise TapegradError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found " + repr(rounding_mode)
        )
    d = result_type(input, other)
    require_dtype(f"div_{rounding_mode}", d, dtypes.INTEGRAL, dtypes.FLOATING)
    if d.category != dtypes.INTEGRAL:
        return renamed("DivBackward2", (floor if rounding_mode == "floor" else trunc)(div(input, other)))
    quotient = floor_divide(input, other)
    if rounding_mode == "floor":
        return quotient  # and it is one more where that rounded a negative quotient down:
    return quotient + cast_to(bitwise_and(lt(quotient, 0), ne(mul(quotient, other), input)), d)


def floor_divide(input: TensorLike, other: TensorLike) -> Tensor:
    """`floor(input / other)`. Raises ZeroDivisionError-like RuntimeError for an integer divisor of 0."""
    check_divisor("div_floor", input, other)
    return binary(arithmetic.floor_divide, input, other)


def remainder(input: TensorLike, other: TensorLike) -> Tensor:
    """`input - floor(input / other) * other`: the sign of the divisor, as Python's `%`."""
    check_divisor("remainder", input, other)
    out = binary(arithmetic.remainder, input, other)
    return renamed("RemainderBackward1", out) if isinstance(other, TensorBase) else out


def check_divisor(op: str, a: TensorLike, b: TensorLike) -> None:
    """Refuse bools, complex numbers, and an integer divisor that has a zero."""
    d = result_type(a, b)
    require_dtype(op, d, dtypes.INTEGRAL, dtypes.FLOATING)
    if d.category == dtypes.INTEGRAL:
        if isinstance(b, TensorBase):
            require_nonzero(b, _division_by_zero)
        elif not b:
            raise _division_by_zero()


def _division_by_zero() -> Exception:
    return TapegradError("ZeroDivisionError")


def pow(input: TensorLike, exponent: TensorLike) -> Tensor:
    """`input ** exponent`, broadcast and promoted. Raises for integers to negative integer powers."""
    if isinstance(exponent, TensorBase) or not isinstance(input, TensorBase):
        d = result_type(input, exponent)
        require_dtype("pow", d, dtypes.INTEGRAL)
        if d.category == dtypes.INTEGRAL and d.is_signed:
            return _integer_pow(input, exponent)
        out = binary(arithmetic.pow_, input, exponent)
        return out if isinstance(input, TensorBase) else renamed("PowBackward2", out)
    base, exponent = promote("pow", input, exponent)
    if base._array.dtype.kind == "b":
        return cast_to(pow(cast_to(base, dtypes.uint8), int(exponent)), dtypes.bool_)
    if base._array.dtype.kind in "biu" and exponent < 0:
        raise TapegradError("Integers to negative integer powers are not allowed.")
    if is_followed(exponent):
        return binary(arithmetic.pow_, base, exponent)
    whole = isinstance(exponent, float) and exponent.is_integer() and -(2**31) < exponent < 2**31
    return apply(arithmetic.pow_scalar, (base,), {"exponent": int(exponent) if whole else exponent})


def _integer_pow(base: TensorLike, exponent: Tensor) -> Tensor:
    """Powers of signed integers; those to negative powers are truncated: 0, but for bases of 1 and -1."""
    base, exponent = promote("pow", base, exponent)
    if not isinstance(base, TensorBase):
        base = full_like(exponent, base)
    unit = where(eq(bitwise_and(exponent, 1), 1), base, 1)
    inverse = where(eq(mul(base, base), 1), unit, 0)
    return where(lt(exponent, 0), inverse, binary(arithmetic.pow_, base, clamp(exponent, min=0)))


def positive(input: Tensor) -> Tensor:
    """`input` itself. Raises for bool tensors."""
    if is_bool(require_tensor("positive", input)):
        raise TapegradError("The `+` operator, on a bool tensor is not supported.")
    return input


def neg(input: Tensor) -> Tensor:
    """`-input`. Raises for bool tensors."""
    if is_bool(input):
        raise TapegradError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )
    return unary(arithmetic.neg, input)


def reciprocal(input: Tensor) -> Tensor:
    """`1 / input`."""
    return unary(arithmetic.reciprocal, input, floating=True)


def square(input: Tensor) -> Tensor:
    """`input ** 2`."""
    return pow(input, 2)


def abs(input: Tensor) -> Tensor:
    """The absolute value; real for complex `input`. Its derivative at 0 is 0."""
    if is_bool(input):
        require_dtype("abs", dtypes.bool_, dtypes.INTEGRAL)
    return unary(arithmetic.abs_, input)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1. Raises for complex tensors, whose `sgn` it is not."""
    if require_tensor("sign", input)._array.dtype.kind == "c":
        raise DtypeError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
        )
    return clone(input) if is_bool(input) else unary(arithmetic.sign, input)


def sgn(input: Tensor) -> Tensor:
    """`sign`, and `input / abs(input)` for complex tensors."""
    return renamed("SgnBackward0", clone(input) if is_bool(input) else unary(arithmetic.sign, input))


def floor(input: Tensor) -> Tensor:
    """The largest integer not above `input`."""
    return _rounded(arithmetic.floor, input)


def ceil(input: Tensor) -> Tensor:
    """The smallest integer not below `input`."""
    return _rounded(arithmetic.ceil, input)


def trunc(input: Tensor) -> Tensor:
    """The integer part of `input`."""
    return _rounded(arithmetic.trunc, input)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number of `decimals` decimals (which may be negative), halves to even."""
    if decimals:
        require_dtype("round_cpu", dtype_of(require_tensor("round", input)), dtypes.FLOATING, dtypes.FLOATING)
        scale = 10.0 ** builtins.abs(decimals)
        up, down = (mul, div) if decimals > 0 else (div, mul)
        return renamed("RoundBackward1", down(_rounded(arithmetic.round_, up(input, scale)), scale))
    return _rounded(arithmetic.round_, input)


def _rounded(prim: Primitive, x: Tensor) -> Tensor:
    d = dtype_of(require_tensor(prim.name, x))
    require_dtype(prim.name, d, dtypes.INTEGRAL, dtypes.FLOATING)
    return unary(prim, x) if d.is_floating_point else clone(x)


def conj(input: Tensor) -> Tensor:
    """The complex conjugate; `input` itself if it is real."""
    return unary(conj_p, input) if require_tensor("conj", input)._array.dtype.kind == "c" else input


def real(input: Tensor) -> Tensor:
    """The real part; `input` itself if it is real."""
    return unary(arithmetic.real, input) if require_tensor("real", input)._array.dtype.kind == "c" else input


def imag(input: Tensor) -> Tensor:
    """The imaginary part. Raises for real tensors."""
    if require_tensor("imag", input)._array.dtype.kind != "c":
        raise TapegradError("imag is not implemented for tensors with non-complex dtypes.")
    return unary(arithmetic.imag, input)


# Selection


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of each pair; ties share the gradient evenly."""
    return _ordered(arithmetic.maximum, input, other)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of each pair; ties share the gradient evenly."""
    return _ordered(arithmetic.minimum, input, other)


def _ordered(prim: Primitive, a: Tensor, b: Tensor, *, floating: bool = False) -> Tensor:
    """A primitive of two real tensors."""
    require_dtype(prim.name, result_type(*both_tensors(prim.name, a, b)), highest=dtypes.FLOATING)
    return binary(prim, a, b, floating=floating)


def clamp(input: Tensor, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """`input` limited to [min, max], either of which may be None; the gradient passes at the bounds."""
    if min is None and max is None:
        raise TapegradError("torch.clamp: At least one of 'min' or 'max' must not be None")
    limits = [limit for limit in (min, max) if limit is not None]
    d = result_type(input, *limits)
    require_dtype("clamp", d, highest=dtypes.FLOATING)
    for limit in limits:
        if d.category == dtypes.INTEGRAL and isinstance(limit, int):
            check_range(limit, d)
    input, *found = promote("clamp", require_tensor("clamp", input), *limits)
    low = _extreme(input, lowest=True) if min is None else found.pop(0)
    high = _extreme(input, lowest=False) if max is None else found.pop(0)
    out = apply(arithmetic.clip, (input, low, high))
    return renamed(
        "ClampBackward0" if isinstance(min, TensorBase) or isinstance(max, TensorBase) else "ClampBackward1", out
    )


def _extreme(x: Tensor, *, lowest: bool) -> Any:
    import numpy as np

    if x._array.dtype.kind == "b":
        return not lowest
    if x._array.dtype.kind in "iu":
        info = np.iinfo(x._array.dtype)
        return int(info.min if lowest else info.max)
    return float("-inf" if lowest else "inf")


def where(condition: Tensor, input: TensorLike | None = None, other: TensorLike | None = None) -> Any:
    """`input` where `condition` holds, else `other`; with the condition alone, the indices where it holds."""
    if input is None and other is None:
        from .indexing import nonzero

        return nonzero(condition, as_tuple=True)
    if require_tensor("where", condition)._array.dtype.kind != "b":
        if condition._array.dtype.name != "uint8":
            raise TapegradError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{dtype_of(condition).scalar_type}"
            )
        condition = cast_to(condition, dtypes.bool_)
    input, other = promote("where", input, other)
    if not (isinstance(input, TensorBase) or isinstance(other, TensorBase)):
        input = cast_to(clone(condition), result_type(input)) * 0 + input
    return apply(arithmetic.where, (condition, input, other))


# Exponentials and logarithms


def exp(input: Tensor) -> Tensor:
    """E to the power `input`."""
    return unary(analytic.exp, input, floating=True)


def exp2(input: Tensor) -> Tensor:
    """2 to the power `input`."""
    return unary(analytic.exp2, input, floating=True)


def expm1(input: Tensor) -> Tensor:
    """`exp(input) - 1`, exact for small `input`."""
    return unary(analytic.expm1, input, floating=True)


def log(input: Tensor) -> Tensor:
    """Natural logarithm."""
    return unary(analytic.log, input, floating=True)


def log2(input: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return unary(analytic.log2, input, floating=True)


def log10(input: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return unary(analytic.log10, input, floating=True)


def log1p(input: Tensor) -> Tensor:
    """`log(1 + input)`, exact for small `input`."""
    return unary(analytic.log1p, input, floating=True)


def sqrt(input: Tensor) -> Tensor:
    """Square root; nan below 0."""
    return unary(analytic.sqrt, input, floating=True)


def rsqrt(input: Tensor) -> Tensor:
    """`1 / sqrt(input)`."""
    return unary(analytic.rsqrt, input, floating=True)


# Trigonometric and hyperbolic functions, in radians


def sin(input: Tensor) -> Tensor:
    """Sine."""
    return unary(analytic.sin, input, floating=True)


def cos(input: Tensor) -> Tensor:
    """Cosine."""
    return unary(analytic.cos, input, floating=True)


def tan(input: Tensor) -> Tensor:
    """Tangent."""
    return unary(analytic.tan, input, floating=True)


def asin(input: Tensor) -> Tensor:
    """Inverse sine."""
    return unary(analytic.asin, input, floating=True)


def acos(input: Tensor) -> Tensor:
    """Inverse cosine."""
    return unary(analytic.acos, input, floating=True)


def atan(input: Tensor) -> Tensor:
    """Inverse tangent."""
    return unary(analytic.atan, input, floating=True)


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the point (b, a), in (-pi, pi]; its derivative at the origin is 0."""
    return _ordered(analytic.atan2, input, other, floating=True)


def sinh(input: Tensor) -> Tensor:
    """Hyperbolic sine."""
    return unary(analytic.sinh, input, floating=True)


def cosh(input: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    return unary(analytic.cosh, input, floating=True)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return unary(analytic.tanh, input, floating=True)


def asinh(input: Tensor) -> Tensor:
    """Inverse hyperbolic sine."""
    return unary(analytic.asinh, input, floating=True)


def acosh(input: Tensor) -> Tensor:
    """Inverse hyperbolic cosine."""
    return unary(analytic.acosh, input, floating=True)


def atanh(input: Tensor) -> Tensor:
    """Inverse hyperbolic tangent."""
    return unary(analytic.atanh, input, floating=True)


def erf(input: Tensor) -> Tensor:
    """The error function."""
    require_dtype("erf", dtype_of(require_tensor("erf", input)), highest=dtypes.FLOATING)
    return unary(analytic.erf, input, floating=True)


def sigmoid(input: Tensor) -> Tensor:
    """`1 / (1 + exp(-input))`."""
    return unary(analytic.sigmoid, input, floating=True)


def relu(input: Tensor) -> Tensor:
    """`max(input, 0)`; its derivative at 0 is 0."""
    require_dtype("relu", dtype_of(require_tensor("relu", input)), dtypes.INTEGRAL, dtypes.FLOATING)
    return unary(arithmetic.relu, input)


__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "clamp", "conj", "cos",
    "cosh", "div", "erf", "exp", "exp2", "expm1", "floor", "floor_divide", "imag", "log", "log1p", "log2",
    "log10", "maximum", "minimum", "mul", "neg", "positive", "pow", "real", "reciprocal", "relu", "remainder",
    "round", "rsqrt", "sgn", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "sub", "tan", "tanh", "trunc",
    "where",
]  # fmt: skip
