"""Writing by index, out of place: `index_add`, `scatter`, `scatter_reduce`, `masked_scatter`, `put` and their like.

Each is a step or two of the primitives `put` (the value written last stays, and each gets the gradient) and `take_add`
on the flattened tensor; their in-place forms write the result over the tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..primitives import indexing as p
from ..tape import TensorBase, apply, renamed, state
from .common import broadcast_shapes, cast_to, dtype_of, normalise_dim, require_tensor
from .comparison import lt
from .creation import full, new_leaf
from .elementwise import add, clamp, mul, remainder, where
from .indexing import gather, scatter_many, split_index
from .reductions import cumsum
from .requirements import require_count, require_within
from .shaping import expand, reshape
from .support import overflow, spelled
from .writing import add_at, put_at

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "index_add", "index_copy", "index_fill", "index_put", "masked_scatter", "put", "scatter", "scatter_add",
    "take_along_dim",
]  # fmt: skip

INDEX = ("int32", "int64")


# What all check


def require_positions(index: Tensor, n: int, dim: int, error: type[Exception] = TapegradError, of: str = "") -> None:
    """Raise unless all positions are from 0 to n - 1."""
    message = f"{of}index {{}} is out of bounds for dimension {dim} with size {n}"
    require_within(index, 0, n - 1, "index", lambda bad: error(message.format(bad)))


def number_in(x: Tensor, value: Any) -> Tensor:
    """A number, or 0-d tensor, as a 0-d tensor of the dtype of `x`. Raises RuntimeError where that cannot hold it."""
    d = dtype_of(x)
    if isinstance(value, TensorBase) and not value._array.ndim:
        return cast_to(value, d)  # type: ignore[arg-type]
    if isinstance(value, complex) and value.imag and not d.is_complex:
        raise overflow(d)
    return full((), value, dtype=d)


# Along one dim, by a vector of positions


@spelled
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`input` with `alpha` times the slices of `source` added to its slices at `index` along `dim`."""
    axis = normalise_dim("index_add", dim, require_tensor("index_add", input)._array.ndim)
    index, source = slices_of("index_add", input, axis, index, source)
    require_positions(index, (*input._array.shape, 1)[axis], axis)
    index = cast_to(reshape(index, -1), dtypes.int64)
    if alpha != 1:
        source = mul(source, int(alpha) if source._array.dtype.kind in "iu" else alpha)
    if not input._array.ndim:
        return renamed("IndexAddBackward0", reshape(add_at(reshape(input, 1), reshape(source, -1), index), ()))
    return renamed("IndexAddBackward0", add_at(input, source, index, axis))


def slices_of(op: str, x: Tensor, axis: int, index: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """The index and the source of `index_add` and `index_reduce`, checked."""
    found, shape = require_tensor(op, index, 3, "index")._array, require_tensor(op, source, 4, "source")._array.shape
    if found.ndim > 1:
        raise IndexError(
            f"{op}_(): Index is supposed to be a vector, but got dim: {found.ndim} with type: "
            f"{dtype_of(index).scalar_type} and size: {list(found.shape)}"
        )
    if found.dtype.name not in INDEX:
        raise TapegradError(f"{op}_(): Expected dtype int32/int64 for index but got: {dtype_of(index).scalar_type}")
    if source._array.dtype != x._array.dtype:
        raise TapegradError(
            f"{op}_(): self ({dtype_of(x).scalar_type}) and source ({dtype_of(source).scalar_type}) must have the same "
            "scalar type"
        )
    if axis and axis >= len(shape):
        raise ShapeError(f"{op}_(): Indexing dim {axis} is out of bounds of the source tensor with dim {len(shape)}")
    count = shape[axis] if shape else 1
    if found.size != count:
        raise ShapeError(
            f"{op}_(): Number of indices ({found.size}) should be equal to source.size(dim): ({count}), for dim: {axis}"
        )
    have = x._array.shape
    if (*have[:axis], *have[axis + 1 :]) != (*shape[:axis], *shape[axis + 1 :]) or len(have) != len(shape):
        raise ShapeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{list(have)} source.shape = {list(shape)}"
        )
    return index, source


@spelled
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with the slices of `source` in place of its slices at `index` along `dim`."""
    axis = normalise_dim("index_copy", dim, require_tensor("index_copy", input)._array.ndim)
    _check_copied(input, axis, index, source)
    require_positions(index, (*input._array.shape, 1)[axis], axis, IndexError, "index_copy_(): ")
    index = reshape(index, -1)
    if not input._array.ndim:
        return renamed("IndexCopyBackward0", reshape(put_at(reshape(input, 1), reshape(source, -1), index), ()))
    if not source._array.ndim:
        source = reshape(source, (1,) * input._array.ndim)
    return renamed("IndexCopyBackward0", put_at(input, source, index, axis))


def _check_copied(x: Tensor, axis: int, index: Tensor, source: Tensor) -> None:
    found = require_tensor("index_copy", index, 3, "index")._array
    have, shape = x._array.shape, require_tensor("index_copy", source, 4, "source")._array.shape
    if found.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {found.ndim})")
    if not shape and found.size != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {found.size})")
    if len(have) != len(shape) and have and shape:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. "
            f"Source dimensionality ({len(shape)}), destination dimensionality ({len(have)})"
        )
    if found.dtype.name != "int64":
        raise TapegradError(f"index_copy_(): Expected a long tensor for index, but got {dtype_of(index).scalar_type}")
    if source._array.dtype != x._array.dtype:
        raise TapegradError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{dtype_of(x).scalar_type} and (source) {dtype_of(source).scalar_type}"
        )
    kept, wanted = (*shape[:axis], *shape[axis + 1 :]), (*have[:axis], *have[axis + 1 :])
    if shape and have and kept != wanted:
        raise ShapeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{' '.join(map(str, wanted))} at dimension {axis} and source slice shape: {' '.join(map(str, kept))} at "
            "dimension 0."
        )
    if shape and found.size != shape[axis]:
        raise IndexError(
            f"index_copy_(): Number of indices ({found.size}) should be equal to source.size(dim) ({shape[axis]})"
        )


@spelled
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with a number (or 0-d tensor) in place of its slices at `index` along `dim`."""
    axis = normalise_dim("index_fill", dim, require_tensor("index_fill", input)._array.ndim)
    is_tensor = isinstance(value, TensorBase)
    if is_tensor and value._array.ndim:
        raise TapegradError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value._array.ndim} dimension(s)."
        )
    if require_tensor("index_fill", index, 3, "index")._array.dtype.name != "int64":
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index._array.ndim > 1:
        raise ShapeError("Index has to be a vector/scalar")
    if isinstance(value, complex) and not dtype_of(input).is_complex:
        raise TapegradError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    new = cast_to(value, dtype_of(input)) if is_tensor else number_in(input, value)
    x = input if input._array.ndim else reshape(input, 1)
    out = put_at(x, new, positions_of(reshape(index, -1), x._array.shape[axis], axis), axis)
    return renamed(f"IndexFillBackward{int(is_tensor)}", out if input._array.ndim else reshape(out, ()))


def positions_of(index: Tensor, n: int, dim: int) -> Tensor:
    """Positions that may be counted from the end, as non-negative ones. Raises IndexError out of range."""
    error = lambda bad: IndexError(f"index {bad} is out of bounds for dimension {dim} with size {n}")  # noqa: E731
    require_within(index, -n, n - 1, "index", error)
    if not state.now.watchers and index._array.size and index._array.min() >= 0:
        return index
    return where(lt(index, 0), add(index, n), index)


# At any positions


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `values` (broadcast) at `indices`, as `input[indices] = values` or, with `accumulate`, `+=`."""
    if isinstance(indices, TensorBase) or not isinstance(indices, Sequence):
        kind = type(indices).__name__
        raise TypeError(f"index_put(): argument 'indices' (position 2) must be tuple of Tensors, not {kind}")
    for i, item in enumerate(indices):
        if not isinstance(item, TensorBase):
            raise TypeError(f"expected Tensor as element {i} in argument 1, but got {type(item).__name__}")
    if not isinstance(values, TensorBase):
        raise TypeError(f"index_put(): argument 'values' (position 3) must be Tensor, not {type(values).__name__}")
    ndim = require_tensor("index_put", input)._array.ndim
    used = sum(item._array.ndim if item._array.dtype.name in ("bool", "uint8") else 1 for item in indices)
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim} (got {used})")
    if values._array.dtype != input._array.dtype:
        raise TapegradError(
            "Index put requires the source and destination dtypes match, got "
            f"{dtype_of(input).scalar_type} for the destination and {dtype_of(values).scalar_type} for the source."
        )
    _, advanced = split_index(input, tuple(indices))
    return renamed("IndexPutBackward0", scatter_many(input, advanced, values, accumulate=accumulate))


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with the elements of `source` at (or, with `accumulate`, added to) positions of the flattened tensor."""
    found = require_tensor("put", index, 2, "index")._array
    new = require_tensor("put", source, 3, "source")._array
    if found.dtype.name != "int64":
        raise TapegradError(f"put_(): Expected a long tensor for index, but got {dtype_of(index).scalar_type}")
    if new.dtype != require_tensor("put", input)._array.dtype:
        raise TapegradError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{dtype_of(input).scalar_type} and source.dtype = {dtype_of(source).scalar_type}"
        )
    if found.size != new.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{new.size}, index.numel() = {found.size}"
        )
    n = input._array.size
    message = f"out of range: tried to access index {{}} on a tensor of {n} elements."
    require_within(index, -n, n - 1, "index", lambda bad: IndexError(message.format(bad)))
    written = add_at if accumulate else put_at
    out = written(reshape(input, -1), reshape(source, -1), positions_of(reshape(index, -1), n, 0))
    return renamed("PutBackward0", reshape(out, input._array.shape))


# Along one dim, the others in step


def flat_positions(op: str, x: Tensor, dim: int, index: Tensor, src: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Where `index` along `dim` points in the flattened `x`, and the part of `src` that goes there, both in one dim.

    Raises for an index of another dtype or number of dims, too long, or out of range, and another dtype of `src`.
    """
    axis = normalise_dim(op, dim, require_tensor(op, x)._array.ndim)
    found = require_tensor(op, index, 3, "index")._array
    if found.dtype.name not in INDEX:
        raise TapegradError(f"{op}(): Expected dtype int32/int64 for index")
    if src is not None and src._array.dtype != x._array.dtype:
        raise TapegradError("scatter(): Expected self.dtype to be equal to src.dtype")
    if not found.size:
        none = reshape(cast_to(index, dtypes.int64), -1)
        return none, None if src is None else reshape(src, -1)[:0]
    _check_lengths(x, axis, index, src)
    require_positions(index, (*x._array.shape, 1)[axis], axis)
    shape = found.shape or (1,)
    have = x._array.shape or (1,)
    strides = [int(np.prod(have[i + 1 :], dtype=np.int64)) for i in range(len(have))]
    grid = np.zeros(shape, np.int64)
    for i, coordinate in enumerate(np.ogrid[tuple(map(slice, shape))]):
        grid += coordinate * strides[i] if i != axis else 0
    positions = add(mul(reshape(cast_to(index, dtypes.int64), shape), strides[axis]), new_leaf(grid))
    if src is not None:
        src = reshape(reshape(src, 1) if not src._array.ndim else src[tuple([slice(0, n) for n in shape])], -1)
    return reshape(positions, -1), src


def _check_lengths(x: Tensor, axis: int, index: Tensor, src: Tensor | None) -> None:
    at = index._array.shape or (1,)
    have = x._array.shape or (1,)
    if len(at) != len(have):
        raise ShapeError("Index tensor must have the same number of dimensions as self tensor")
    if src is None:
        limit = None
    else:
        limit = src._array.shape or (1,)
        if len(limit) != len(at):
            raise ShapeError("Index tensor must have the same number of dimensions as src tensor")
    too_long = any(n > m for i, (n, m) in enumerate(zip(at, have, strict=True)) if i != axis)
    if too_long or (limit is not None and any(n > m for n, m in zip(at, limit, strict=True))):
        raise ShapeError(
            f"Expected index {list(at)} to be no larger than self {list(have)} apart from dimension {axis}"
            + ("" if src is None else f" and to be no larger size than src {list(src._array.shape)}")
        )


@spelled
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """`input` with elements of `src`, or a number, at `index` along `dim`: `out[index[i][j]][j] = src[i][j]` for dim 0.

    With `reduce` they are combined with what is there: "add" or "multiply".
    """
    src = value if src is None else src
    if src is None:
        raise TypeError("scatter() missing 1 required argument: 'src' or 'value'")
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise TapegradError("reduce argument must be either add or multiply.")
        from .scatter_reduce import scatter_reduce

        if not isinstance(src, TensorBase):
            src = expand(number_in(input, src), index._array.shape)
        return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    if isinstance(src, TensorBase):
        positions, new = flat_positions("scatter", input, dim, index, src)  # type: ignore[arg-type]
    else:
        positions, _ = flat_positions("scatter", input, dim, index, None)
        new = number_in(input, src)
    assert new is not None
    out = put_at(reshape(input, -1), new, positions)
    name = f"ScatterBackward{int(not isinstance(src, TensorBase))}"
    return renamed(name, reshape(out, input._array.shape))


@spelled
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with elements of `src` added at `index` along `dim`: `out[index[i][j]][j] += src[i][j]` for dim 0."""
    if not isinstance(src, TensorBase):
        raise TypeError(f"scatter_add(): argument 'src' (position 4) must be Tensor, not {type(src).__name__}")
    positions, new = flat_positions("scatter_add", input, dim, index, src)
    assert new is not None
    return renamed("ScatterAddBackward0", reshape(add_at(reshape(input, -1), new, positions), input._array.shape))


@spelled
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """The elements at `indices` along `dim`, the other dims broadcast; of the flattened tensor without `dim`.

    Positions are taken modulo the length of the dim.
    """
    kind = dtype_of(require_tensor("take_along_dim", indices, 2, "indices"))
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(indices, -1), 0)
    have, at = require_tensor("take_along_dim", input)._array.shape, indices._array.shape
    if len(have) != len(at):
        raise ShapeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{len(have)} dimensions for input, and {len(at)} dimensions for indices"
        )
    if kind is not dtypes.int64:
        raise TapegradError(f"torch.take_along_dim(): dtype of indices should be Long but got {kind.scalar_type}")
    axis = normalise_dim("take_along_dim", dim, len(have))
    rest = broadcast_shapes([(*have[:axis], *have[axis + 1 :]), (*at[:axis], *at[axis + 1 :])])
    wide = expand(input, (*rest[:axis], have[axis], *rest[axis:]))
    indices = expand(remainder(indices, have[axis]), (*rest[:axis], at[axis], *rest[axis:]))
    return gather(wide, axis, indices)


# By mask


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the first elements of `source` where the bool `mask` holds, in order; both broadcast."""
    if require_tensor("masked_scatter", mask, 2, "mask")._array.dtype.kind != "b":
        kind = dtype_of(mask).scalar_type
        raise TapegradError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {kind}")
    if (
        require_tensor("masked_scatter", source, 3, "source")._array.dtype
        != require_tensor("masked_scatter", input)._array.dtype
    ):
        raise TapegradError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{dtype_of(input).scalar_type} and {dtype_of(source).scalar_type}"
        )
    shape = broadcast_shapes([input._array.shape, mask._array.shape])
    x, mask = expand(input, shape), expand(mask, shape)
    message = "Number of elements of source < number of ones in mask"
    require_count(mask, source._array.size, x._array.size, lambda: TapegradError(message))
    if not source._array.size:
        return renamed("MaskedScatterBackward0", where(mask, x, x))
    last = source._array.size - 1
    order = clamp(cumsum(reshape(mask, -1), 0) - 1, 0, last)  # the number of each position among those that hold
    new = apply(p.take, (reshape(source, -1), order), {"axis": 0})
    return renamed("MaskedScatterBackward0", where(mask, reshape(new, shape), x))
