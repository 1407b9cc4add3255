"""Operations in place that are more than an operation written over its tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import NotDifferentiableError, TapegradError
from ..tape import check_writable, renamed, write
from .common import cast_to, dtype_of, inplace, inplace_exact, require_tensor
from .creation import clone, new_leaf
from .elementwise import abs, conj
from .reductions import cumprod, cumsum
from .resizing import require_unwatched
from .scattering import masked_scatter
from .shaping import expand
from .special import float_power
from .support import require_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "abs_",
    "apply_",
    "conj_physical_",
    "cumprod_",
    "cumsum_",
    "float_power_",
    "map2_",
    "map_",
    "masked_scatter_",
]


def cumsum_(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """`cumsum`, in the dtype of `x`, written over it. Returns `x`."""
    return _scanned("cumsum", cumsum, x, dim, dtype)


def cumprod_(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """`cumprod`, in the dtype of `x`, written over it. Returns `x`."""
    return _scanned("cumprod", cumprod, x, dim, dtype)


def _scanned(op: str, scan: Callable[..., Tensor], x: Tensor, dim: int, d: Any) -> Tensor:
    require_dtype(f"{op}_out_cpu", dtype_of(x), dtypes.INTEGRAL)
    return inplace_exact(x, scan, dim, dtype=dtype_of(x) if d is None else d)


def float_power_(x: Tensor, exponent: Any) -> Tensor:
    """`float_power` written over `x`. Returns `x`. Raises unless it is of float64, or complex128 as the result."""
    wanted = dtype_of(float_power(x.detach(), exponent))
    if dtype_of(x) is not wanted:
        raise TapegradError(
            f"the base given to float_power_ has dtype {dtype_of(x).scalar_type} but the operation's result requires "
            f"dtype {wanted.scalar_type}"
        )
    return inplace(x, float_power, exponent)


def abs_(x: Tensor) -> Tensor:
    """`abs` written over `x`. Returns `x`. Raises RuntimeError for a complex one, whose absolute value is real."""
    if require_tensor("abs_", x)._array.dtype.kind == "c":
        raise TapegradError("In-place abs is not supported for complex tensors.")
    return inplace(x, abs)


def conj_physical_(x: Tensor) -> Tensor:
    """`conj_physical` written over `x`. Returns `x`."""
    return inplace(x, lambda t: renamed("ConjPhysicalBackward1", conj(t) if t._array.dtype.kind == "c" else clone(t)))


def masked_scatter_(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`masked_scatter` written over `x`, to whose shape the mask is expanded. Returns `x`."""
    check_writable(x)
    return inplace(x, masked_scatter, expand(require_tensor("masked_scatter_", mask, 2), x._array.shape), source)


# Functions of Python on each element


def apply_(x: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by `callable` of it. Returns `x`. Raises RuntimeError if it requires grad."""
    return _mapped("apply_", callable, x)


def map_(x: Tensor, other: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by `callable` of it and that of `other`. Returns `x`."""
    return _mapped("map_", callable, x, other)


def map2_(x: Tensor, x1: Tensor, x2: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by `callable` of it and those of two others. Returns `x`."""
    return _mapped("map2_", callable, x, x1, x2)


def _mapped(op: str, function: Callable[..., Any], x: Tensor, *others: Tensor) -> Tensor:
    require_unwatched(f"{op}(), which runs Python on each element,")
    if any(t.requires_grad for t in (x, *others)):
        raise NotDifferentiableError(
            f"Can't call {op}() on Variable that requires grad. Use var.detach().{op}() instead."
        )
    check_writable(x)
    columns = [expand(cast_to(t, dtype_of(x)), x._array.shape)._array.ravel().tolist() for t in (x, *others)]
    values = [function(*row) for row in zip(*columns, strict=True)]
    out = np.array(values).astype(x._array.dtype) if values else x._array.copy()
    return write(x, new_leaf(out.reshape(x._array.shape)))
