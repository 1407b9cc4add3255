"""Norms of tensors as vectors. Where a norm has no derivative (at 0, at elements that are 0), it is taken to be 0."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..dtypes import dtype
from ..errors import TapegradError, UnsupportedError
from ..tape import renamed
from .common import Dims, cast_to, dtype_of, normalise_dims, require_tensor
from .comparison import eq, ne
from .elementwise import abs, mul, pow, sqrt, where
from .reductions import amax, amin, sum

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["norm", "vector_norm"]

_REAL = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}


def vector_norm(x: Tensor, ord: complex = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """`sum(abs(x) ** ord) ** (1 / ord)` over the dims, of a floating or complex tensor; real.

    At its limits the largest (`ord` inf) or smallest (-inf) absolute value, or the number of elements that are not 0
    (`ord` 0). It is computed in `dtype`, in float32 at least. Raises RuntimeError for integers, for a `dtype` that is
    narrower, and for no elements where their norm would not be 0.
    """
    require_tensor("linalg_vector_norm", x, 1, "input")
    if isinstance(ord, str) or not isinstance(ord, int | float):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' (position 2) must be Number, not {type(ord).__name__}")
    d = _computed_in(dtype_of(x), dtype)
    axes = normalise_dims("linalg.vector_norm", dim, x._array.ndim)
    if ord < 0 or ord == inf:
        _require_elements(x, axes, ord, over_all=dim is None or len(axes) == x._array.ndim)
    out_dtype = _REAL.get(d, d)
    wide = dtypes.float32 if d.itemsize == 2 else d
    out = _norm(cast_to(x, wide), float(ord), axes, keepdim)
    return renamed("LinalgVectorNormBackward0", cast_to(out, out_dtype))


def _computed_in(d: dtype, asked: Any) -> dtype:
    """The dtype to compute in. Raises RuntimeError for one that norms do not have."""
    if d.category < dtypes.FLOATING:
        raise TapegradError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {d.scalar_type}"
        )
    if asked is None:
        return d
    wanted = dtypes.to_dtype(asked)
    if wanted.category < dtypes.FLOATING:
        raise TapegradError(
            f"linalg.vector_norm: dtype should be floating point or complex, but got {wanted.scalar_type}"
        )
    if d.is_complex != wanted.is_complex:
        kind = "complex" if d.is_complex else "real"
        raise TapegradError(
            f"linalg.vector_norm: dtype should be {kind} for {kind} inputs, but got {wanted.scalar_type}"
        )
    if dtypes.promote_types(d, wanted) is not wanted:
        raise TapegradError(
            f"linalg.vector_norm: the dtype of the input ({d.scalar_type}) should be convertible without narrowing to "
            f"the specified dtype ({wanted.scalar_type})"
        )
    return wanted


def _require_elements(x: Tensor, axes: tuple[int, ...], ord: Any, *, over_all: bool) -> None:
    shape, name = x._array.shape, f"{ord:g}"
    if over_all:
        if x._array.size == 0:
            raise TapegradError(
                f"linalg.vector_norm cannot compute the {name} norm on an empty tensor because the operation does not "
                "have an identity"
            )
        return
    for axis in axes:
        if shape[axis] == 0:
            raise TapegradError(
                f"linalg.vector_norm cannot compute the {name} norm on the dimension {axis}because this dimension is "
                "empty and the operation does not have an identity"
            )


def _norm(x: Tensor, ord: float, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    if ord == 0:
        return sum(cast_to(ne(x, 0), _REAL.get(dtype_of(x), dtype_of(x))), axes, keepdim)
    size = x if ord == 2 and x._array.dtype.kind != "c" else abs(x)
    if ord in (inf, -inf):
        return (amax if ord > 0 else amin)(size, axes, keepdim) if axes else size
    if ord == 1:
        return sum(size, axes, keepdim) if axes else size
    total = mul(size, size) if ord == 2 else _power(size, ord)
    total = sum(total, axes, keepdim) if axes else total
    return _root(total, ord)


def _power(size: Tensor, ord: float) -> Tensor:
    """`size ** ord`, with a derivative of 0 at 0."""
    none = eq(size, 0)
    at_zero = 0.0 if ord > 0 else inf
    return where(none, at_zero, pow(where(none, 1.0, size), ord))


def _root(total: Tensor, ord: float) -> Tensor:
    """`total ** (1 / ord)`, with a derivative of 0 at 0."""
    none = eq(total, 0)
    safe = where(none, 1.0, total)
    return where(none, 0.0 if ord > 0 else inf, sqrt(safe) if ord == 2 else pow(safe, 1 / ord))


def norm(input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """`vector_norm` of order `p`, where "fro" and None mean 2; PyTorch prefers the former.

    Raises UnsupportedError for the nuclear norm, which needs singular values.
    """
    require_tensor("norm", input)
    if p == "nuc":
        raise UnsupportedError("norm: the nuclear norm needs singular values, which are not here yet")
    if isinstance(p, str) and p != "fro":
        raise TapegradError(f"linalg.matrix_norm: Order {p} not supported.")
    return vector_norm(input, 2 if p in (None, "fro") else p, dim, keepdim, dtype=dtype)
