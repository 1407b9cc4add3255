"""What tensors say of themselves, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tape import TensorBase

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["get_device", "is_complex", "is_floating_point", "is_nonzero", "is_signed", "is_tensor", "numel"]


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, TensorBase)


def _tensor(op: str, x: Any) -> Tensor:
    if not isinstance(x, TensorBase):
        raise TypeError(f"{op}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    return x  # type: ignore[return-value]


def numel(input: Tensor) -> int:
    """The number of elements."""
    return _tensor("numel", input)._array.size


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is floating."""
    return _tensor("is_floating_point", input).dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex."""
    return _tensor("is_complex", input).dtype.is_complex


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return _tensor("is_signed", input).dtype.is_signed


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. Raises RuntimeError for more or fewer elements."""
    return bool(_tensor("is_nonzero", input))


def get_device(input: Tensor) -> int:
    """The number of the device; -1 on the CPU."""
    return _tensor("get_device", input).get_device()
