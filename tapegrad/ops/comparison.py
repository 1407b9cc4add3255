"""Comparisons, predicates and logic on tensors and numbers: bools (or bitwise integers), without derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import dtypes
from ..errors import TapegradError
from ..primitives import arithmetic
from ..primitives import comparison as p
from ..tape import Primitive
from .common import TensorLike, binary, dtype_of, require_tensor, result_type, unary
from .support import both_tensors, is_bool, reads_value, require_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "allclose", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "equal", "ge", "gt", "isclose",
    "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
]  # fmt: skip


def eq(input: TensorLike, other: TensorLike) -> Tensor:
    """Element-wise `input == other`."""
    return binary(p.eq, input, other)


def ne(input: TensorLike, other: TensorLike) -> Tensor:
    """Element-wise `input != other`."""
    return binary(p.ne, input, other)


def lt(input: TensorLike, other: TensorLike) -> Tensor:
    """Element-wise `input < other`."""
    return _compared(p.lt, input, other)


def le(input: TensorLike, other: TensorLike) -> Tensor:
    """Element-wise `input <= other`."""
    return _compared(p.le, input, other)


def gt(input: TensorLike, other: TensorLike) -> Tensor:
    """Element-wise `input > other`."""
    return _compared(p.gt, input, other)


def ge(input: TensorLike, other: TensorLike) -> Tensor:
    """Element-wise `input >= other`."""
    return _compared(p.ge, input, other)


def _compared(prim: Primitive, a: TensorLike, b: TensorLike) -> Tensor:
    require_dtype(prim.name, result_type(a, b), highest=dtypes.FLOATING)
    return binary(prim, a, b)


def _bitwise(prim: Primitive, a: TensorLike, b: TensorLike) -> Tensor:
    require_dtype(prim.name, result_type(a, b), highest=dtypes.INTEGRAL)
    return binary(prim, a, b)


def bitwise_and(input: TensorLike, other: TensorLike) -> Tensor:
    """`input & other` of ints or bools."""
    return _bitwise(p.bitwise_and, input, other)


def bitwise_or(input: TensorLike, other: TensorLike) -> Tensor:
    """`input | other` of ints or bools."""
    return _bitwise(p.bitwise_or, input, other)


def bitwise_xor(input: TensorLike, other: TensorLike) -> Tensor:
    """`input ^ other` of ints or bools."""
    return _bitwise(p.bitwise_xor, input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """`~input` of ints or bools."""
    require_dtype("bitwise_not", dtype_of(require_tensor("bitwise_not", input)), highest=dtypes.INTEGRAL)
    return unary(p.bitwise_not, input)


def _truth(x: Tensor) -> Tensor:
    return x if is_bool(x) else ne(x, 0)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Whether both are non-zero."""
    input, other = both_tensors("logical_and", input, other)
    return bitwise_and(_truth(input), _truth(other))


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Whether either is non-zero."""
    input, other = both_tensors("logical_or", input, other)
    return bitwise_or(_truth(input), _truth(other))


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Whether just one is non-zero."""
    input, other = both_tensors("logical_xor", input, other)
    return bitwise_xor(_truth(input), _truth(other))


def logical_not(input: Tensor) -> Tensor:
    """Whether it is zero."""
    return bitwise_not(_truth(require_tensor("logical_not", input)))


def isnan(input: Tensor) -> Tensor:
    """Whether it is nan."""
    return unary(p.isnan, input)


def isinf(input: Tensor) -> Tensor:
    """Whether it is infinite."""
    return unary(p.isinf, input)


def isfinite(input: Tensor) -> Tensor:
    """Whether it is neither infinite nor nan."""
    return unary(p.isfinite, input)


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether `abs(input - other) <= atol + rtol * abs(other)`; two nans are close only if `equal_nan`."""
    input, other = both_tensors("isclose", input, other)
    if input._array.dtype != other._array.dtype:
        raise TapegradError(f"{dtype_of(input).scalar_type} did not match {dtype_of(other).scalar_type}")
    if rtol < 0 or atol < 0:
        raise TapegradError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    close = eq(input, other)
    if equal_nan:
        close = bitwise_or(close, bitwise_and(isnan(input), isnan(other)))
    if is_bool(input) or (rtol == 0 and atol == 0):
        return close
    error = unary(arithmetic.abs_, binary(arithmetic.sub, input, other))
    bound = binary(arithmetic.add, unary(arithmetic.abs_, binary(arithmetic.mul, other, rtol)), atol)
    return bitwise_or(close, bitwise_and(isfinite(error), le(error, bound)))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere, as a Python bool."""
    close = isclose(input, other, rtol, atol, equal_nan)
    reads_value("allclose()", close)
    return bool(close._array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements, as a Python bool."""
    input, other = both_tensors("equal", input, other)
    for x in (input, other):
        reads_value("equal()", x)
    return input._array.shape == other._array.shape and bool(eq(input, other)._array.all())
