"""Reductions, scans and the softmax family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import dtypes
from ..errors import TapegradError
from ..primitives import reductions as p
from ..tape import apply, apply_single, renamed
from .common import Dims, cast_to, dtype_of, normalise_dim, normalise_dims, require_tensor, to_floating
from .comparison import ne
from .indexing import gather
from .shaping import cat, flatten, narrow, reshape, squeeze, unsqueeze
from .support import python_int, require_dtype, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "ValuesIndices", "all", "amax", "amin", "any", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logsumexp",
    "max", "mean", "min", "prod", "softmax", "std", "sum", "var",
]  # fmt: skip


class ValuesIndices(NamedTuple):
    """What `max` and `min` over a dim return."""

    values: Tensor
    indices: Tensor


def _cast_first(x: Tensor, d: Any) -> Tensor:
    return x if d is None else cast_to(x, dtypes.to_dtype(d))


@spelled
def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (all dims). Ints and bools are summed as int64."""
    if require_tensor("sum", input)._array.dtype.kind in "biu" and dtype is None:
        dtype = dtypes.int64
    input = _cast_first(input, dtype)
    out = apply_single(
        p.reduce_sum, input, {"axes": normalise_dims("sum", dim, input._array.ndim), "keepdims": keepdim}
    )
    return renamed("SumBackward0", out) if dim is None else out


@spelled
def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The arithmetic mean over `dim` (all dims); nan of nothing. Raises RuntimeError for ints and bools."""
    input = _cast_first(require_tensor("mean", input), dtype)
    if input._array.dtype.kind in "biu":
        raise TapegradError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {dtype_of(input).scalar_type}"
        )
    out = apply_single(
        p.reduce_mean, input, {"axes": normalise_dims("mean", dim, input._array.ndim), "keepdims": keepdim}
    )
    return renamed("MeanBackward0", out) if dim is None else out


@spelled
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over one dim or all. Multiplied in pairs, so its gradient is right at zeros, to any order."""
    if require_tensor("prod", input)._array.dtype.kind in "biu" and dtype is None:
        dtype = dtypes.int64
    input = _cast_first(input, dtype)
    if dim is None:
        out = _prod_of_axis(flatten(input), 0)
        return renamed("ProdBackward0", reshape(out, (1,) * input._array.ndim if keepdim else ()))
    if not input._array.ndim:
        normalise_dim("prod", dim, 0)
        return renamed("ProdBackward1", input.clone())
    axis = normalise_dim("prod", dim, input._array.ndim)
    out = _prod_of_axis(input, axis)
    return renamed("ProdBackward1", out if keepdim else squeeze(out, axis))


def _prod_of_axis(x: Tensor, axis: int) -> Tensor:
    n = x._array.shape[axis]
    if n == 0:
        return sum(x, axis, keepdim=True) + 1
    if n == 1:
        return x.clone()
    while n > 1:
        half = n // 2
        pairs = narrow(x, axis, 0, half) * narrow(x, axis, half, half)
        x = cat([pairs, narrow(x, axis, 2 * half, 1)], axis) if n % 2 else pairs
        n = x._array.shape[axis]
    return x


def _extremum(op: str, prim: Any, x: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    axes = normalise_dims(op, dim, require_tensor(op, x)._array.ndim)
    require_dtype(op, dtype_of(x), highest=dtypes.FLOATING)
    _refuse_empty(op, x, axes, dim is None or dim == ())
    return apply(prim, (x,), {"axes": axes, "keepdims": keepdim})


def _refuse_empty(op: str, x: Tensor, axes: tuple[int, ...], over_all: bool) -> None:
    """Nothing has no extremum."""
    if over_all and not x._array.size:
        message = f"{op}(): Expected reduction dim to be specified for input.numel() == 0."
        if op.startswith("arg"):
            raise IndexError(message)
        raise TapegradError(f"{message} Specify the reduction dim with the 'dim' argument.")
    for axis in axes:
        if x._array.shape[axis] == 0:
            raise IndexError(f"{op}(): Expected reduction dim {axis} to have non-zero size.")


@spelled
def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest element over `dim`; equal ones share the gradient evenly."""
    return _extremum("amax", p.reduce_max, input, dim, keepdim)


@spelled
def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest element over `dim`; equal ones share the gradient evenly."""
    return _extremum("amin", p.reduce_min, input, dim, keepdim)


def _with_indices(op: str, prim: Any, name: str, x: Tensor, dim: int, keepdim: bool) -> ValuesIndices:
    indices = _arg(op, prim, x, dim, keepdim=True)
    if not x._array.ndim:
        return ValuesIndices(renamed(name, x.clone()), indices if keepdim else reshape(indices, ()))
    axis = normalise_dim(op, dim, x._array.ndim)
    values = gather(x, axis, indices)
    if not keepdim:
        values, indices = squeeze(values, axis), squeeze(indices, axis)
    return ValuesIndices(renamed(name, values), indices)


@spelled
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; with `dim`, (values, indices) over it, the gradient going to the first; with a tensor,
    `maximum`.
    """
    dim = other if dim is None else python_int(dim)
    if dim is None:
        return renamed("MaxBackward1", _extremum("max", p.reduce_max, input, None, keepdim))
    if not isinstance(dim, int):
        from .elementwise import maximum

        return maximum(input, dim)
    return _with_indices("max", p.argmax, "MaxBackward0", input, dim, keepdim)


@spelled
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element; with `dim`, (values, indices) over it, the gradient going to the first; with a tensor,
    `minimum`.
    """
    dim = other if dim is None else python_int(dim)
    if dim is None:
        return renamed("MinBackward1", _extremum("min", p.reduce_min, input, None, keepdim))
    if not isinstance(dim, int):
        from .elementwise import minimum

        return minimum(input, dim)
    return _with_indices("min", p.argmin, "MinBackward0", input, dim, keepdim)


def _arg(op: str, prim: Any, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    shape = require_tensor(op, x)._array.shape
    lowest = dtypes.BOOL if op in ("max", "min") else dtypes.INTEGRAL
    require_dtype(op, dtype_of(x), lowest, dtypes.FLOATING)
    axis = 0 if dim is None else normalise_dim(op, dim, len(shape))
    flat = flatten(x) if dim is None or not shape else x
    _refuse_empty(op, flat, (axis,), dim is None)
    out = apply(prim, (flat,), {"axis": axis})
    if not keepdim:
        return out
    return reshape(out, (1,) * len(shape)) if dim is None or not shape else unsqueeze(out, axis)


@spelled
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index (int64) of the first largest element, of the flattened tensor or over `dim`."""
    return _arg("argmax", p.argmax, input, dim, keepdim)


@spelled
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index (int64) of the first smallest element, of the flattened tensor or over `dim`."""
    return _arg("argmin", p.argmin, input, dim, keepdim)


@spelled
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element is non-zero."""
    return _truth_over("any", p.any_, input, dim, keepdim)


@spelled
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are non-zero."""
    return _truth_over("all", p.all_, input, dim, keepdim)


def _truth_over(op: str, prim: Any, x: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    """A reduction of truth values: bool, but uint8 for uint8; over no dim if `dim` is ()."""
    kind = require_tensor(op, x)._array.dtype
    axes = () if isinstance(dim, Sequence) and not len(dim) else normalise_dims(op, dim, x._array.ndim)
    out = apply(prim, (x if kind.kind == "b" else ne(x, 0),), {"axes": axes, "keepdims": keepdim})
    return cast_to(out, dtypes.uint8) if kind.name == "uint8" else out


def _spread(op: str, prim: Any, x: Tensor, dim: Any, unbiased: Any, correction: Any, keepdim: bool) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if require_tensor(op, x)._array.dtype.kind in "biu":
        raise TapegradError("std and var only support floating point and complex dtypes")
    degrees = (1 if unbiased in (None, True) else 0) if correction is None else correction
    axes = normalise_dims(op, dim, x._array.ndim)
    return renamed(
        f"{op.title()}Backward0", apply(prim, (x,), {"axes": axes, "keepdims": keepdim, "correction": degrees})
    )


@spelled
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over `dim`: squared deviations divided by their number less `correction` (1)."""
    return _spread("var", p.var, input, dim, unbiased, correction, keepdim)


@spelled
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The square root of `var`; its derivative where it is 0 is taken to be 0."""
    return _spread("std", p.std, input, dim, unbiased, correction, keepdim)


def _along(op: str, prim: Any, x: Tensor, dim: int, d: Any) -> Tensor:
    """A primitive over one dim that keeps the shape; a 0-d tensor is treated as one of length one."""
    x = _cast_first(require_tensor(op, x), d)
    axis = normalise_dim(op, dim, x._array.ndim)
    if not x._array.ndim:
        out = apply(prim, (reshape(x, 1),), {"axis": 0})
        return renamed(prim.node_name, reshape(out, ()))
    return apply(prim, (x,), {"axis": axis})


@spelled
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along `dim`; of ints and bools as int64."""
    if require_tensor("cumsum", input)._array.dtype.kind in "biu" and dtype is None:
        dtype = dtypes.int64
    if dtype is not None:
        require_dtype("cumsum", dtypes.to_dtype(dtype), dtypes.INTEGRAL)
    return _along("cumsum", p.cumsum, input, dim, dtype)


@spelled
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along `dim`; of ints and bools as int64. Multiplied in pairs, as `prod`."""
    if require_tensor("cumprod", input)._array.dtype.kind in "biu" and dtype is None:
        dtype = dtypes.int64
    if dtype is not None:
        require_dtype("cumprod_out_cpu", dtypes.to_dtype(dtype), dtypes.INTEGRAL)
    input = _cast_first(input, dtype)
    axis = normalise_dim("cumprod", dim, input._array.ndim)
    x = input if input._array.ndim else reshape(input, 1)
    n, step = x._array.shape[axis], 1
    while step < n:  # each holds the product of the `step` up to it
        tail = narrow(x, axis, step, n - step) * narrow(x, axis, 0, n - step)
        x = cat([narrow(x, axis, 0, step), tail], axis)
        step *= 2
    out = reshape(x, input._array.shape) if x is not input else input.clone()
    return renamed("CumprodBackward0", out)


@spelled
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """`exp(input)` normalised to sum to one along `dim`."""
    return _along("softmax", p.softmax, _floating("softmax", input, dtype), dim, dtype)


@spelled
def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`, without its rounding."""
    return _along("log_softmax", p.log_softmax, _floating("log_softmax", input, dtype), dim, dtype)


def _floating(op: str, x: Tensor, d: Any) -> Tensor:
    found = dtype_of(require_tensor(op, x)) if d is None else dtypes.to_dtype(d)
    require_dtype(op, found, dtypes.FLOATING, dtypes.FLOATING)
    return x


@spelled
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """`log(sum(exp(input)))` over `dim`, safe for large `input`."""
    input = to_floating(require_tensor("logsumexp", input))
    if dim is None:
        raise TypeError("logsumexp(): argument 'dim' (position 2) must be tuple of ints, not NoneType")
    axes = normalise_dims("logsumexp", dim, input._array.ndim)
    return apply(p.logsumexp, (input,), {"axes": axes, "keepdims": keepdim})
