"""Complex numbers of their parts, or of their lengths and angles; and the angles of numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..errors import TapegradError, UnsupportedError
from ..primitives import views
from ..tape import renamed
from .common import dtype_of, require_tensor, to_floating, unmoved
from .comparison import isnan, lt
from .creation import clone, zeros_like
from .elementwise import atan2, cos, imag, mul, real, sin, where
from .joining import stack
from .reshaping import broadcast_tensors

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["angle", "complex", "polar"]


def angle(input: Tensor) -> Tensor:
    """The angle of each number, in [-pi, pi]: of a real one 0, or pi if it is negative; nan of nan.

    The derivative is 0 for real numbers, and at 0.
    """
    x = to_floating(require_tensor("angle", input, 1, "input"))
    if x._array.dtype.kind == "c":
        return renamed("AngleBackward0", atan2(imag(x), real(x)))
    angles = where(isnan(x), math.nan, where(lt(x, 0), math.pi, zeros_like(x)))
    return renamed("AngleBackward0", unmoved(angles, x))


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """The complex numbers with these real and imaginary parts, two tensors of one dtype, broadcast."""
    _require_parts("complex", real=real, imag=imag)
    return renamed("ComplexBackward0", _joined(real, imag))


def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """The complex numbers of these lengths and angles, two tensors of one dtype, broadcast."""
    _require_parts("polar", abs=abs, angle=angle)
    return renamed("PolarBackward0", _joined(mul(abs, cos(angle)), mul(abs, sin(angle))))


def _joined(real: Tensor, imag: Tensor) -> Tensor:
    return clone(views.view_as_complex(stack(broadcast_tensors(real, imag), -1)))


def _require_parts(op: str, **parts: Any) -> None:
    """Raise unless both are real floating tensors of the same dtype, one that a complex dtype is made of."""
    for position, (name, part) in enumerate(parts.items(), 1):
        require_tensor(op, part, position, name)
    first, second = [dtype_of(part) for part in parts.values()]
    if first is second is dtypes.float16:
        raise UnsupportedError(f"{op}(): there is no complex dtype of 16-bit numbers: use float32")
    if not {first, second} <= {dtypes.float16, dtypes.float32, dtypes.float64}:
        found = f"{first.scalar_type} and {second.scalar_type}"
        raise TapegradError(f"Expected both inputs to be Half, Float or Double tensors but got {found}")
    if first is not second:
        found = f"Expected object of scalar type {first.scalar_type} but got scalar type {second.scalar_type}"
        raise TapegradError(f"{found} for second argument")
