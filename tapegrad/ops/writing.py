"""Tensors overwritten by values (`copy_`, `fill_`, `zero_`), and what is written at positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import TapegradError
from ..primitives import arithmetic
from ..primitives import indexing as p
from ..tape import TensorBase, apply, check_writable, renamed, write
from ..tape.number import is_followed
from .common import broadcast_shapes, cast_to, dtype_of, unmoved
from .creation import check_range, clone, tensor
from .shaping import expand
from .support import overflow

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["add_at", "assigned", "copy_", "fill_", "put_at", "zero_"]


def assigned(x: Tensor, value: Any) -> Tensor:
    """What is written into `x`, as a tensor. Raises RuntimeError for a number that the dtype of `x` cannot hold."""
    if isinstance(value, TensorBase):
        return value  # type: ignore[return-value]
    d = dtype_of(x)
    if isinstance(value, complex) and value.imag and dtypes.BOOL < d.category < dtypes.COMPLEX:
        raise overflow(d)
    if isinstance(value, int) and d.category == dtypes.INTEGRAL:
        check_range(value, d)
    if not isinstance(value, int | float | complex | np.ndarray | np.generic | Sequence) or isinstance(value, str):
        raise TypeError(f"can't assign a {type(value).__name__} to a torch.{d.scalar_type}Tensor")
    wide = {float: dtypes.float64, complex: dtypes.complex128}.get(type(value))  # rounded once, to the dtype of `x`
    return tensor(value, dtype=wide)


def put_at(x: Tensor, new: Tensor, positions: Tensor, axis: int = 0) -> Tensor:
    """`x` with `new` (broadcast) at the positions of one axis."""
    shape = (*x._array.shape[:axis], *positions._array.shape, *x._array.shape[axis + 1 :])
    return apply(p.put, (x, expand(new, shape), positions), {"axis": axis})


def add_at(x: Tensor, new: Tensor, positions: Tensor, axis: int = 0) -> Tensor:
    """`x` with `new` added at the positions of one axis; of bools, whether either holds."""
    params = {"axis": axis, "size": x._array.shape[axis]}
    if x._array.dtype.kind != "b":
        return apply(arithmetic.add, (x, apply(p.take_add, (new, positions), params)))
    counted = apply(p.take_add, (cast_to(new, dtypes.int64), positions), params)
    return cast_to(apply(arithmetic.add, (cast_to(x, dtypes.int64), counted)), dtypes.bool_)


def copy_(x: Tensor, source: Any, non_blocking: bool = False) -> Tensor:  # noqa: ARG001  (memory is the host's)
    """Overwrite `x` with `source`, broadcast and cast to its dtype. Returns `x`."""
    if not isinstance(source, TensorBase | int | float | complex):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(source).__name__}")
    check_writable(x)
    new = assigned(x, source)
    out = expand(cast_to(new, dtype_of(x)), _copy_shape(x, new))
    return write(x, renamed("CopyBackwards", unmoved(clone(out), x)))


def _copy_shape(x: Tensor, new: Tensor) -> tuple[int, ...]:
    shape = x._array.shape
    found = broadcast_shapes([shape, new._array.shape])
    if found != shape:
        raise TapegradError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(found)}")
    return shape


def fill_(x: Tensor, value: Any) -> Tensor:
    """Overwrite `x` with one number (or 0-d tensor). Returns `x`."""
    check_writable(x)
    if isinstance(value, TensorBase):
        if value._array.ndim:
            raise TapegradError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._array.ndim} dimensions."
            )
        new = expand(cast_to(value, dtype_of(x)), x._array.shape)  # type: ignore[arg-type]
        return write(x, renamed("FillBackward3", unmoved(clone(new), x)))
    return _fill(x, "FillBackward2", value)


def _fill(x: Tensor, name: str, value: Any) -> Tensor:
    followed = is_followed(value) and x._array.dtype.kind == "f"
    literal = value if followed else assigned(x, value)._array.astype(x._array.dtype).item()
    return write(x, renamed(name, apply(arithmetic.where, (False, x, literal))))


def zero_(x: Tensor) -> Tensor:
    """Overwrite `x` with zeros. Returns `x`."""
    check_writable(x)
    return _fill(x, "ZeroBackward0", 0)
