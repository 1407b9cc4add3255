"""Tensors in the dtype of another: the methods `new_zeros` and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import dtypes
from .common import dtype_of
from .creation import fill_number, full, tensor
from .support import made_like, sizes, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["new_empty", "new_full", "new_ones", "new_tensor", "new_zeros"]


def _made(
    op: str, x: Tensor, size: tuple[Any, ...], value: complex, d: Any, device: Any, requires_grad: bool
) -> Tensor:
    found = dtype_of(x) if d is None else dtypes.to_dtype(d)
    return made_like(full(sizes(op, size), value, dtype=found, device=device, requires_grad=requires_grad), x)


@spelled
def new_zeros(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of another shape, in the dtype of `input` unless one is given."""
    return _made("new_zeros", input, size, 0, dtype, device, requires_grad)


@spelled
def new_ones(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of another shape, in the dtype of `input` unless one is given."""
    return _made("new_ones", input, size, 1, dtype, device, requires_grad)


@spelled
def new_empty(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of another shape, in the dtype of `input` unless one is given, whose values are of no account."""
    return _made("new_empty", input, size, 0, dtype, device, requires_grad)


def new_full(
    input: Tensor,
    size: Any,
    fill_value: complex,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number in another shape, in the dtype of `input` unless one is given.

    Raises TypeError for a size that is no sequence or a value that is no number, RuntimeError for a complex value in a
    real dtype.
    """
    if not isinstance(size, Sequence) or isinstance(size, str):
        raise TypeError(f"new_full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    value = fill_number("new_full", fill_value)
    return _made("new_full", input, (size,), value, dtype, device, requires_grad)


def new_tensor(
    input: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`tapegrad.tensor(data)` in the dtype of `input` unless one is given."""
    return tensor(data, dtype=dtype_of(input) if dtype is None else dtype, device=device, requires_grad=requires_grad)
