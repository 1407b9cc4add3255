"""TensorOperators: what Python's operators do with tensors, numbers and NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .ops import comparison as c
from .ops import creation, indexing, linalg, special
from .ops import elementwise as e
from .ops.common import TensorLike, binary, inplace
from .primitives import arithmetic
from .tape import TensorBase

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["TensorOperators"]

_OPERANDS = (TensorBase, float, int, complex, np.generic)  # what operators take on the other side


def _foreign(op: Callable[..., Tensor], a: Any, b: Any) -> Any:
    """`op` where one side is a NumPy array; for anything else NotImplemented, with which Python looks further."""
    if isinstance(a, np.ndarray):
        return op(creation.tensor(a), b)
    return op(a, creation.tensor(b)) if isinstance(b, np.ndarray) else NotImplemented


def _in_place_operator(op: Callable[..., Tensor]) -> Callable[[Tensor, TensorLike], Tensor]:
    """The augmented assignment that overwrites its tensor with `op` of it and the other side."""

    def operator(self: Tensor, other: TensorLike) -> Tensor:
        return inplace(self, op, other) if isinstance(other, _OPERANDS) else NotImplemented

    return operator


class TensorOperators(TensorBase):
    """The operators of a tensor. Those of every model's inner loop go straight to their primitive."""

    __slots__ = ()

    def __add__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.add, self, other) if isinstance(other, _OPERANDS) else _foreign(e.add, self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.add, self, other) if isinstance(other, _OPERANDS) else _foreign(e.add, self, other)

    def __sub__(self, other: TensorLike) -> Tensor:
        return e.sub(self, other) if isinstance(other, _OPERANDS) else _foreign(e.sub, self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return e.sub(other, self) if isinstance(other, _OPERANDS) else _foreign(e.sub, other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.mul, self, other) if isinstance(other, _OPERANDS) else _foreign(e.mul, self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.mul, self, other) if isinstance(other, _OPERANDS) else _foreign(e.mul, self, other)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return (
            binary(arithmetic.div, self, other, floating=True)
            if isinstance(other, _OPERANDS)
            else _foreign(e.div, self, other)
        )

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return e.div(other, self) if isinstance(other, _OPERANDS) else _foreign(e.div, other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return e.floor_divide(self, other) if isinstance(other, _OPERANDS) else _foreign(e.floor_divide, self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return e.floor_divide(other, self) if isinstance(other, _OPERANDS) else _foreign(e.floor_divide, other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return e.remainder(self, other) if isinstance(other, _OPERANDS) else _foreign(e.remainder, self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return e.remainder(other, self) if isinstance(other, _OPERANDS) else _foreign(e.remainder, other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return e.pow(self, other) if isinstance(other, _OPERANDS) else _foreign(e.pow, self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return e.pow(other, self) if isinstance(other, _OPERANDS) else _foreign(e.pow, other, self)

    def __matmul__(self, other: Tensor) -> Tensor:
        return _foreign(linalg.matmul, self, other) if not isinstance(other, TensorBase) else linalg.matmul(self, other)  # type: ignore[arg-type]

    def __rmatmul__(self, other: Any) -> Tensor:
        return _foreign(linalg.matmul, other, self)

    def __and__(self, other: TensorLike) -> Tensor:
        return c.bitwise_and(self, other) if isinstance(other, _OPERANDS) else _foreign(c.bitwise_and, self, other)

    def __or__(self, other: TensorLike) -> Tensor:
        return c.bitwise_or(self, other) if isinstance(other, _OPERANDS) else _foreign(c.bitwise_or, self, other)

    def __xor__(self, other: TensorLike) -> Tensor:
        return c.bitwise_xor(self, other) if isinstance(other, _OPERANDS) else _foreign(c.bitwise_xor, self, other)

    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__

    def __eq__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return c.eq(self, other) if isinstance(other, _OPERANDS) else _foreign(c.eq, self, other)

    def __ne__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return c.ne(self, other) if isinstance(other, _OPERANDS) else _foreign(c.ne, self, other)

    def __hash__(self) -> int:
        return id(self)

    def __lt__(self, other: TensorLike) -> Tensor:
        return c.lt(self, other) if isinstance(other, _OPERANDS) else _foreign(c.lt, self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return c.le(self, other) if isinstance(other, _OPERANDS) else _foreign(c.le, self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return c.gt(self, other) if isinstance(other, _OPERANDS) else _foreign(c.gt, self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return c.ge(self, other) if isinstance(other, _OPERANDS) else _foreign(c.ge, self, other)

    def __invert__(self) -> Tensor:
        if self._array.dtype.kind not in "biu":
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return c.bitwise_not(self)  # type: ignore[arg-type]

    def __lshift__(self, other: TensorLike) -> Tensor:
        op = special.bitwise_left_shift
        return op(self, other) if isinstance(other, _OPERANDS) else _foreign(op, self, other)

    def __rshift__(self, other: TensorLike) -> Tensor:
        op = special.bitwise_right_shift
        return op(self, other) if isinstance(other, _OPERANDS) else _foreign(op, self, other)

    __neg__ = e.neg
    __pos__ = e.positive
    __abs__ = e.abs
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items")

    # In-place operators

    __iadd__ = _in_place_operator(e.add)
    __isub__ = _in_place_operator(e.sub)
    __imul__ = _in_place_operator(e.mul)
    __itruediv__ = _in_place_operator(e.div)
    __ifloordiv__ = _in_place_operator(e.floor_divide)
    __imod__ = _in_place_operator(e.remainder)
    __ipow__ = _in_place_operator(e.pow)
    __iand__ = _in_place_operator(c.bitwise_and)
    __ior__ = _in_place_operator(c.bitwise_or)
    __ixor__ = _in_place_operator(c.bitwise_xor)
    __ilshift__ = _in_place_operator(special.bitwise_left_shift)
    __irshift__ = _in_place_operator(special.bitwise_right_shift)
