"""What every forgiving operation shares: promotion, dims, and in-place forms."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import dtype
from ..errors import ShapeError, TapegradError
from ..primitives.arithmetic import where
from ..primitives.structure import cast
from ..tape import (
    Primitive,
    TensorBase,
    apply,
    apply_pair,
    apply_single,
    check_writable,
    state,
    write,
)
from ..tape.apply import mismatch
from ..tape.number import is_followed
from .support import cpp_name, warn_user

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "Dims",
    "Scalar",
    "TensorLike",
    "binary",
    "broadcast_shapes",
    "cast_to",
    "dtype_of",
    "inplace",
    "inplace_exact",
    "normalise_dim",
    "normalise_dims",
    "promote",
    "require_tensor",
    "result_type",
    "to_floating",
    "unary",
    "unmoved",
    "warn_if_discarding",
]

Scalar = bool | int | float | complex
TensorLike = Any  # a Tensor or a Python scalar
Dims = int | Sequence[int] | None

_EVERY = tuple([tuple(range(n)) for n in range(9)])  # all dims of a tensor, by their number
_SCALARS = (bool, int, float, complex, np.generic)


def dtype_of(t: TensorBase) -> dtype:
    """The tensor's dtype."""
    return dtypes.from_numpy_dtype(t._array.dtype)


def require_tensor(op: str, x: Any, position: int = 1, name: str | None = None) -> Tensor:
    """`x` if it is a tensor; else TypeError naming the operation and the argument."""
    if isinstance(x, TensorBase):
        return x  # type: ignore[return-value]
    which = position if name is None else f"'{name}' (position {position})"
    raise TypeError(f"{op}(): argument {which} must be Tensor, not {type(x).__name__}")


def result_type(*operands: TensorLike) -> dtype:
    """The dtype PyTorch computes in: tensors with dims decide first, then 0-d tensors, then Python scalars."""
    groups: list[dtype | None] = [None, None, None]
    for x in operands:
        if isinstance(x, TensorBase):
            level, d = (0 if x._array.ndim else 1), dtype_of(x)
        else:
            level, d = 2, dtypes.scalar_dtype(x)
        held = groups[level]
        groups[level] = d if held is None else dtypes.promote_types(held, d)
    result = dtypes.result_of(groups)
    assert result is not None
    return result


def cast_to(x: Tensor, d: dtype) -> Tensor:
    """`x` with dtype `d`; `x` itself if it has it."""
    if x._array.dtype == d.numpy:
        return x
    if x._array.dtype.kind == "c":
        warn_if_discarding(x, d)
    return apply(cast, (x,), {"dtype": d.numpy})


def warn_if_discarding(x: TensorBase, d: dtype) -> None:
    """Warn, as PyTorch does, where a cast to `d` drops imaginary parts."""
    if x._array.dtype.kind == "c" and not (d.is_complex or d is dtypes.bool_):
        warn_user("Casting complex values to real discards the imaginary part")


def to_floating(x: Tensor) -> Tensor:
    """`x`, or `x` in the default dtype if it holds ints or bools."""
    return cast_to(x, dtypes.get_default_dtype()) if x._array.dtype.kind in "biu" else x


def _literal(op: str, x: Any, d: dtype) -> Any:
    """A Python scalar as a literal beside tensors of dtype `d`."""
    if not isinstance(x, _SCALARS):
        raise TypeError(f"{op}(): expected a Tensor or a number, got {type(x).__name__}")
    if isinstance(x, np.generic):
        x = x.item()
    if is_followed(x) and d.category == dtypes.FLOATING:
        return x * 1.0 if isinstance(x, int) else x
    if d.category == dtypes.INTEGRAL:
        return int(np.array(x).astype(d.numpy))  # out-of-range integers wrap, as in PyTorch
    if d.category == dtypes.BOOL:
        return bool(x)
    return complex(x) if d.is_complex else float(x)


def promote(op: str, *operands: TensorLike, floating: bool = False) -> tuple[Any, ...]:
    """The operands in one dtype, Python scalars staying literals; `floating` takes ints to the default dtype."""
    for x in operands:
        if not isinstance(x, (TensorBase, *_SCALARS)):
            raise TypeError(f"{op}(): expected a Tensor or a number, got {type(x).__name__}")
    d = result_type(*operands)
    if floating and d.category < dtypes.FLOATING:
        d = dtypes.get_default_dtype()
    return tuple([cast_to(x, d) if isinstance(x, TensorBase) else _literal(op, x, d) for x in operands])  # type: ignore[arg-type]


def binary(prim: Primitive, a: TensorLike, b: TensorLike, *, floating: bool = False) -> Tensor:
    """An element-wise primitive of two operands, promoted; `floating` takes ints to the default dtype."""
    if isinstance(a, TensorBase) and isinstance(b, TensorBase):
        d = a._array.dtype
        if d is b._array.dtype and not (floating and d.kind in "biu"):
            return apply_pair(prim, a, b)  # type: ignore[arg-type]
    a, b = promote(prim.name, a, b, floating=floating)
    if not (isinstance(a, TensorBase) or isinstance(b, TensorBase)):
        raise TypeError(f"{prim.name}(): argument 1 must be Tensor, not {type(a).__name__}")
    return apply(prim, (a, b))


def unary(prim: Primitive, x: Tensor, *, floating: bool = False, **params: Any) -> Tensor:
    """An element-wise primitive of one operand; `floating` takes ints to the default dtype."""
    if not isinstance(x, TensorBase):
        x = require_tensor(prim.name, x)
    if floating and x._array.dtype.kind in "biu":
        x = to_floating(x)
    return apply_single(prim, x, params)


def inplace(t: Tensor, op: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`t` overwritten with `op(t, *args, **kwargs)`. All errors come before anything changes."""
    since = check_writable(t)
    out = op(t, *args, **kwargs)
    if out._array.shape != t._array.shape:
        raise ShapeError(
            f"output with shape {list(t._array.shape)} doesn't match the broadcast shape {list(out._array.shape)}"
        )
    if out._array.dtype != t._array.dtype:
        source, target = dtype_of(out), dtype_of(t)
        if not dtypes.can_cast(source, target):
            raise ShapeError(
                f"result type {source.scalar_type} can't be cast to the desired output type {target.scalar_type}"
            )
        out = cast_to(out, target)
    elif out is t:
        return t
    return write(t, out, since)


def unmoved(out: Tensor, x: TensorLike) -> Tensor:
    """`out`, whose derivative by `x` exists and is 0."""
    follows = isinstance(x, TensorBase) and x._requires_grad and state.grad_enabled
    return apply(where, (False, x, out)) if follows else out


def inplace_exact(t: Tensor, op: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`inplace` for what may not change the shape or dtype of `t`, with PyTorch's words for that."""
    since = check_writable(t)
    out = op(t, *args, **kwargs)
    if out._array.dtype != t._array.dtype:
        have, want = cpp_name(dtype_of(t)), cpp_name(dtype_of(out))
        raise TapegradError(f"Bad in-place call: input tensor dtype {have} and output tensor dtype {want} should match")
    if out._array.shape != t._array.shape:
        have, want = str(list(t._array.shape)), str(list(out._array.shape))
        raise ShapeError(f"Bad in-place call: input tensor size {have} and output tensor size {want} should match")
    return write(t, out, since)


def normalise_dim(op: str, dim: Any, ndim: int) -> int:
    """A dim counted from the end made non-negative; a 0-d tensor has a virtual dim 0. Raises IndexError."""
    try:
        index = operator.index(dim)
    except TypeError:
        raise TypeError(f"{op}(): argument 'dim' must be int, not {type(dim).__name__}") from None
    bound = max(ndim, 1)
    if not -bound <= index < bound:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {index})"
        )
    return index % bound


def normalise_dims(op: str, dims: Dims, ndim: int) -> tuple[int, ...]:
    """Dims as a sorted tuple of non-negative ints; None and () mean all. Raises on repeats."""
    if dims is None:
        return _EVERY[ndim] if ndim < len(_EVERY) else tuple(range(ndim))
    listed = list(dims) if isinstance(dims, Sequence) else [dims]
    if not listed:
        return tuple(range(ndim))
    found = [normalise_dim(op, dim, ndim) for dim in listed]
    for dim in found:
        if found.count(dim) > 1:
            raise ShapeError(f"dim {dim} appears multiple times in the list of dims")
    return tuple(sorted(found)) if ndim else ()


def broadcast_shapes(shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape all `shapes` broadcast to. Raises ShapeError in PyTorch's words."""
    shapes = list(shapes)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(mismatch(shapes)) from None
