"""Element-wise functions made of others: fractions, signs, distances, logarithms of sums, limits and shifts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import dtypes
from ..dtypes import FLOATING, INTEGRAL, dtype
from ..errors import DtypeError, TapegradError
from ..limits import finfo
from ..primitives import analytic, arithmetic, comparison
from ..tape import TensorBase, renamed
from .common import (
    TensorLike,
    binary,
    cast_to,
    dtype_of,
    promote,
    require_tensor,
    result_type,
    to_floating,
    unary,
    unmoved,
)
from .comparison import bitwise_and, bitwise_or, eq, ge, gt, isnan, le, lt
from .creation import clone, full
from .elementwise import (
    abs,
    add,
    check_divisor,
    clamp,
    conj,
    div,
    exp,
    floor_divide,
    imag,
    log,
    log1p,
    mul,
    neg,
    pow,
    real,
    sin,
    sub,
    trunc,
    where,
)
from .reductions import logsumexp
from .shaping import broadcast_tensors, stack
from .support import both_tensors, require_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "bitwise_left_shift", "bitwise_right_shift", "clamp_max", "clamp_min", "conj_physical", "copysign", "deg2rad",
    "float_power", "fmax", "fmin", "fmod", "frac", "heaviside", "hypot", "ldexp", "logaddexp", "logaddexp2", "logit",
    "nan_to_num", "rad2deg", "signbit", "sinc", "xlogy",
]  # fmt: skip


def _real_floats(op: str, *operands: TensorLike) -> None:
    require_dtype(f"{op}_cpu", result_type(*operands), FLOATING, FLOATING)


# Parts of a number


def frac(input: Tensor) -> Tensor:
    """The part of `input` behind the point, with its sign."""
    _real_floats("frac", require_tensor("frac", input))
    return renamed("FracBackward0", sub(input, trunc(input)))


def fmod(input: Tensor, other: TensorLike) -> Tensor:
    """`input - trunc(input / other) * other`: the sign of `input`, as C's `fmod`."""
    d = result_type(require_tensor("fmod", input), other)
    require_dtype("fmod_cpu", d, INTEGRAL, FLOATING)
    check_divisor("fmod_cpu", input, other)
    out = binary(arithmetic.fmod, input, other)
    return renamed("FmodBackward1", out) if isinstance(other, TensorBase) else out


def signbit(input: Tensor) -> Tensor:
    """Whether the sign is minus, of zeros and nans too."""
    if require_tensor("signbit", input)._array.dtype.kind == "c":
        raise DtypeError("signbit is not implemented for complex tensors.")
    if input._array.dtype.kind in "biu":
        return lt(input, 0)
    return unary(comparison.signbit, input)


def copysign(input: Tensor, other: TensorLike) -> Tensor:
    """The magnitude of `input` with the sign of `other`; its derivative at 0 is 0."""
    require_tensor("copysign", input)
    if result_type(input, other).category >= FLOATING:
        _real_floats("copysign", input, other)
    a, b = promote("copysign", input, other, floating=True)
    size = abs(a)
    if isinstance(b, TensorBase):
        out = where(signbit(b), neg(size), size)  # type: ignore[arg-type]
        return renamed("CopysignBackward0", unmoved(out, b))
    return renamed("CopysignBackward1", neg(size) if math.copysign(1.0, b) < 0 else size)


def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate; `input` itself if it is real."""
    return renamed("ConjPhysicalBackward0", conj(input)) if input._array.dtype.kind == "c" else input


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, `values` at 0 and 1 above it. Not differentiable. Raises for two dtypes and complex numbers."""
    require_tensor("heaviside", input)
    require_tensor("heaviside", values, 2, "values")
    if "c" in (input._array.dtype.kind, values._array.dtype.kind):
        raise TapegradError("heaviside is not yet implemented for complex tensors.")
    if input._array.dtype != values._array.dtype:
        raise TapegradError("heaviside is not yet implemented for tensors with different dtypes.")
    d = dtype_of(input)
    return where(eq(input, 0), values.detach(), cast_to(gt(input, 0), d))


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """`input` with numbers for nan (0) and the infinities (the largest and smallest numbers of its dtype)."""
    kind = require_tensor("nan_to_num", input)._array.dtype
    if kind.kind in "biu":
        return renamed("NanToNumBackward0", clone(input))
    if kind.kind == "c":
        parts = [nan_to_num(part, nan, posinf, neginf) for part in (real(input), imag(input))]
        return renamed("NanToNumBackward0", parts[0] + mul(parts[1], 1j))
    largest = _largest(dtype_of(input))
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf
    finite = where(eq(input, math.inf), high, where(eq(input, -math.inf), low, input))
    return renamed("NanToNumBackward0", where(isnan(input), 0.0 if nan is None else nan, finite))


def _largest(d: dtype) -> float:
    return finfo(d).max


# Limits


def clamp_min(input: Tensor, min: TensorLike) -> Tensor:
    """`input` where it is at least `min`, else `min`."""
    return renamed(f"ClampMinBackward{int(isinstance(min, TensorBase))}", clamp(input, min=min))


def clamp_max(input: Tensor, max: TensorLike) -> Tensor:
    """`input` where it is at most `max`, else `max`."""
    return renamed(f"ClampMaxBackward{int(isinstance(max, TensorBase))}", clamp(input, max=max))


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of each pair, a number rather than nan; of equal ones the first gets the gradient."""
    a, b = promote("fmax", *both_tensors("fmax", input, other))
    return renamed("FmaxBackward0", where(bitwise_or(ge(a, b), isnan(b)), a, b))


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of each pair, a number rather than nan; of equal ones the first gets the gradient."""
    a, b = promote("fmin", *both_tensors("fmin", input, other))
    return renamed("FminBackward0", where(bitwise_or(le(a, b), isnan(b)), a, b))


# Lengths, angles, powers and logarithms


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """`sqrt(input ** 2 + other ** 2)`, without overflow on the way."""
    _real_floats("hypot", *both_tensors("hypot", input, other))
    return binary(analytic.hypot, input, other)


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return _converted("deg2rad", input, math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return _converted("rad2deg", input, 180 / math.pi)


def _converted(op: str, x: Tensor, factor: float) -> Tensor:
    if require_tensor(op, x)._array.dtype.kind == "c":
        raise TapegradError(f"{op} is not supported for complex tensors.")
    return renamed(f"{op.title()}Backward0", mul(to_floating(x), factor))


def float_power(input: TensorLike, exponent: TensorLike) -> Tensor:
    """`input ** exponent` in float64, or complex128 if either is complex."""
    d = dtypes.complex128 if result_type(input, exponent).is_complex else dtypes.float64
    wide = [cast_to(x, d) if isinstance(x, TensorBase) else x for x in (input, exponent)]  # type: ignore[arg-type]
    return pow(*wide)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """`input * 2 ** other`."""
    both_tensors("ldexp", input, other)
    return renamed("LdexpBackward0", mul(input, pow(2.0, other)))


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """`log(exp(input) + exp(other))`, safe for large operands."""
    require_dtype("logaddexp_cpu", result_type(*both_tensors("logaddexp", input, other)), FLOATING)
    return renamed("LogaddexpBackward0", _log_of_sum(*promote("logaddexp", input, other)))


def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """`log2(2 ** input + 2 ** other)`, safe for large operands."""
    _real_floats("logaddexp2", *both_tensors("logaddexp2", input, other))
    a, b = promote("logaddexp2", input, other)
    return renamed("Logaddexp2Backward0", div(_log_of_sum(mul(a, math.log(2)), mul(b, math.log(2))), math.log(2)))


def _log_of_sum(a: Tensor, b: Tensor) -> Tensor:
    if a._array.dtype.kind != "c":
        return logsumexp(stack(broadcast_tensors(a, b)), 0)
    first = ge(real(a), real(b))
    large, small = where(first, a, b), where(first, b, a)
    return add(large, log1p(exp(sub(small, large))))


def xlogy(input: TensorLike, other: TensorLike) -> Tensor:
    """`input * log(other)`, and 0 where `input` is 0 and `other` no nan."""
    if not (isinstance(input, TensorBase) or isinstance(other, TensorBase)):
        require_tensor("xlogy", input)
    number = 1 if not isinstance(input, TensorBase) else 2 if not isinstance(other, TensorBase) else 0
    operands = promote("xlogy", input, other, floating=True)
    d = dtype_of(next(x for x in operands if isinstance(x, TensorBase)))
    require_dtype("xlogy_cpu", d, FLOATING, FLOATING)
    x, y = [v if isinstance(v, TensorBase) else full((), v, dtype=d) for v in operands]
    nothing = bitwise_and(eq(x, 0), bitwise_or(le(y, 0), eq(y, math.inf)))  # where log(y) is not to be multiplied
    return renamed(f"XlogyBackward{number}", mul(x, log(where(nothing, 1.0, y))))


def sinc(input: Tensor) -> Tensor:
    """`sin(pi input) / (pi input)`, and 1 at 0."""
    angle = mul(to_floating(require_tensor("sinc", input)), math.pi)
    zero = eq(angle, 0)
    safe = where(zero, 1.0, angle)
    return renamed("SincBackward0", where(zero, 1.0, div(sin(safe), safe)))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """`log(input / (1 - input))`, of `input` limited to [eps, 1 - eps] if `eps` is given; nan outside of [0, 1]."""
    x = to_floating(require_tensor("logit", input))
    require_dtype("logit_cpu", dtype_of(x), FLOATING, FLOATING)
    if eps is None:
        x = mul(x, where(bitwise_or(lt(x, 0), gt(x, 1)), full((), math.nan, dtype=dtype_of(x)), 1.0))
    else:
        x = clamp(x, eps, 1 - eps)
    return renamed("LogitBackward0", log(div(x, sub(1, x))))


# Shifts of bits


def bitwise_left_shift(input: TensorLike, other: TensorLike) -> Tensor:
    """`input << other` of integers; 0 where `other` is negative or has no fewer than all bits."""
    x, n, d = _shifted("lshift_cpu", input, other)
    bits = 8 * d.itemsize
    power = pow(full((), 2, dtype=d), clamp(n, 0, bits - 1))
    return where(_within(n, bits), mul(x, power), 0)


def bitwise_right_shift(input: TensorLike, other: TensorLike) -> Tensor:
    """`input >> other` of integers, keeping the sign; nothing but that where `other` is negative or has all bits."""
    x, n, d = _shifted("rshift_cpu", input, other)
    bits = 8 * d.itemsize - d.is_signed
    power = pow(full((), 2, dtype=d), clamp(n, 0, bits - 1))
    return where(_within(n, bits), floor_divide(x, power), neg(cast_to(lt(x, 0), d)))


def _shifted(op: str, x: TensorLike, n: TensorLike) -> tuple[Tensor, Tensor, dtype]:
    """Both operands as tensors of their common dtype, an integral one."""
    d = result_type(x, n)
    require_dtype(op, d, INTEGRAL, INTEGRAL)
    x, n = [cast_to(v, d) if isinstance(v, TensorBase) else full((), v, dtype=d) for v in (x, n)]  # type: ignore[arg-type]
    return x, n, d


def _within(n: Tensor, bits: int) -> Tensor:
    return bitwise_and(ge(n, 0), lt(n, bits))
