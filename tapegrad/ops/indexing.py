"""Reading and writing by index: basic indices give views, tensors of ints or bools gather and scatter."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import TapegradError
from ..primitives import arithmetic, comparison, shaping
from ..primitives import indexing as p
from ..tape import TensorBase, apply, check_writable, renamed, state, write
from .common import broadcast_shapes, cast_to, dtype_of, normalise_dim, require_tensor
from .creation import clone, tensor
from .geometry import index_strides, restrided
from .requirements import require_real, require_within
from .shaping import expand, permute, reshape
from .support import overflow, reads_value, spelled
from .writing import add_at, assigned, copy_, put_at

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "gather", "getitem", "index_select", "masked_fill", "masked_select", "nonzero", "scatter_many", "setitem",
    "split_index", "take",
]  # fmt: skip

Item = Any

_MASK = "an index by a bool tensor (nonzero)"


def getitem(x: Tensor, index: Any) -> Tensor:
    """`x[index]`. A view for ints, slices, None and ...; a copy where tensors of ints or bools take part.

    Raises IndexError for an index out of range, of a wrong dtype, or too many; ValueError for a negative step.
    """
    basic, advanced = split_index(x, index)
    out = _basic(x, basic) if basic is not None else x
    if advanced:
        source, out = out, _gather_many(out, advanced)
        recorder = state.recorder
        if recorder is not None and recorder.strict and not any(part._array.ndim for part in advanced.values()):
            recorder.picked(renamed("SelectBackward0", out), source, advanced)
        return out
    if basic is not None:
        return out
    counted = any(isinstance(i, slice) and (i.start or 0) < 0 for i in (index if isinstance(index, tuple) else ()))
    return renamed("SliceBackward0" if counted or isinstance(index, slice) else "AliasBackward0", _whole_view(x))


def _whole_view(x: Tensor) -> Tensor:
    """A view of all of `x`."""
    return apply(shaping.slice_, (x,), {"index": (slice(None),) * x._array.ndim})


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`, broadcast and cast to the dtype of `x`. In place, by autograd's rules for that."""
    new = assigned(x, value)
    is_mask = isinstance(index, TensorBase) and index._array.dtype.kind == "b" and index._array.shape == x._array.shape
    if is_mask and not new._array.ndim:
        check_writable(x)
        fill = expand(cast_to(new, dtype_of(x)), x._array.shape)
        write(x, renamed("IndexPutBackward0", apply(arithmetic.where, (index, fill, x))))
        return
    basic, advanced = split_index(x, index)
    target = x if advanced and basic is None else _basic(x, basic) if basic is not None else _whole_view(x)
    check_writable(target)
    if not advanced:
        copy_(target, expand(_without_leading_ones(new, target._array.ndim), target._array.shape))
        return
    write(target, scatter_many(target, advanced, new))


def _without_leading_ones(x: Tensor, ndim: int) -> Tensor:
    """`x` with `ndim` dims where it has more, and the first ones are of length one."""
    shape = x._array.shape
    extra = len(shape) - ndim
    return reshape(x, shape[extra:]) if extra > 0 and all(n == 1 for n in shape[:extra]) else x


def _items(index: Any, ndim: int) -> list[Item]:
    """The index as a list of ints, slices, None and index tensors, one per dim or new dim; `...` filled in."""
    listed = list(index) if isinstance(index, tuple) or _means_tuple(index) else [index]
    items = [_item(item) for item in listed]
    used = sum(_dims_used(item) for item in items)
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if used > ndim:
        if not ndim and len(items) == 1 and isinstance(items[0], int):
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                "convert a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    fill = [slice(None)] * (ndim - used)
    at = dots[0] if dots else len(items)
    return [*items[:at], *fill, *items[at + 1 :]]


def _means_tuple(index: Any) -> bool:
    """Whether a list is meant as a tuple of indices, by PyTorch's rule: one that holds more than numbers."""
    parts = (Sequence, slice, TensorBase, np.ndarray)
    return isinstance(index, list) and any(i is None or i is Ellipsis or isinstance(i, parts) for i in index)


def _item(item: Any) -> Item:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, bool | np.bool_):
        return tensor(bool(item))
    if isinstance(item, TensorBase):
        return _index_tensor(item)  # type: ignore[arg-type]
    if isinstance(item, np.ndarray | Sequence) and not isinstance(item, str):
        return _item(tensor(item) if len(item) else tensor([], dtype=dtypes.int64))
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            f"(got {type(item).__name__})"
        ) from None


def _index_tensor(item: Tensor) -> Item:
    """An index tensor: of int32 or int64, or bool (of uint8 too, PyTorch's former masks); an int for one of no dims."""
    kind = item._array.dtype
    if not item._array.ndim and kind.kind in "iu" and not state.now.watchers:
        return int(item._array)
    if kind.name not in ("int64", "int32", "uint8", "bool"):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return cast_to(item, dtypes.bool_) if kind.name == "uint8" else item


def _dims_used(item: Item) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item._array.ndim if isinstance(item, TensorBase) and item._array.dtype.kind == "b" else 1


def split_index(x: Tensor, index: Any) -> tuple[tuple[Any, ...] | None, dict[int, Tensor]]:
    """The basic part of an index (None if it is all of `x`), and the index tensors by the dim of its result."""
    return _split_items(_items(index, x._array.ndim), x._array.shape)


def _split_items(items: Sequence[Item], shape: tuple[int, ...]) -> tuple[tuple[Any, ...] | None, dict[int, Tensor]]:
    basic: list[Any] = []
    advanced: dict[int, Tensor] = {}
    dim = out_dim = 0
    for item in items:
        if item is None:
            basic.append(None)
            out_dim += 1
        elif isinstance(item, TensorBase) and item._array.dtype.kind == "b" and not item._array.ndim:
            # all of x or nothing, along a new dim
            reads_value(_MASK, item)
            advanced[out_dim] = nonzero(item, as_tuple=True)[0]  # type: ignore[arg-type]
            basic.append(None)
            out_dim += 1
        elif isinstance(item, TensorBase):
            for part in _as_positions(item, shape, dim):  # type: ignore[arg-type]
                advanced[out_dim] = part
                basic.append(slice(None))
                dim, out_dim = dim + 1, out_dim + 1
        elif isinstance(item, slice):
            basic.append(_canonical(item, shape[dim]))
            dim, out_dim = dim + 1, out_dim + 1
        else:
            basic.append(_in_range(item, shape[dim], dim))
            dim += 1
    whole = all(isinstance(b, slice) and b == slice(None) for b in basic)
    return (None if whole else tuple(basic)), advanced


def _canonical(item: slice, n: int) -> slice:
    """The slice with non-negative bounds, `slice(None)` if it takes everything."""
    if item.step is not None and operator.index(item.step) <= 0:
        raise ValueError("step must be greater than zero")
    start, stop, step = item.indices(n)
    return slice(None) if (start, step) == (0, 1) and stop >= n else slice(start, max(start, stop), step)


def _in_range(i: int, n: int, dim: int) -> int:
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {n}")
    return i + n if i < 0 else i


def _basic(x: Tensor, index: tuple[Any, ...]) -> Tensor:
    out = apply(shaping.slice_, (x,), {"index": index})
    if None in index:
        restrided(out, index_strides(x._array, index))
    if out._node is not None:  # the name of what PyTorch, which goes item by item, does last
        kind = type([item for item in index if item != slice(None)][-1])
        return renamed({int: "SelectBackward0", type(None): "UnsqueezeBackward0"}.get(kind, "SliceBackward0"), out)
    return out


def _as_positions(item: Tensor, shape: tuple[int, ...], dim: int) -> list[Tensor]:
    """An index tensor as int64 tensors of non-negative positions, one per dim it indexes. Checks the range."""
    if item._array.dtype.kind == "b":
        for i, n in enumerate(item._array.shape):
            if n != shape[dim + i]:
                raise IndexError(
                    f"The shape of the mask {list(item._array.shape)} at index {i} does not match the shape of the "
                    f"indexed tensor {list(shape)} at index {dim + i}"
                )
        reads_value(_MASK, item)
        return list(nonzero(item, as_tuple=True))
    n = shape[dim]
    error = lambda bad: IndexError(f"index {bad} is out of bounds for dimension {dim} with size {n}")  # noqa: E731
    require_within(item, -n, n - 1, "index", error)
    item = cast_to(item, dtypes.int64)
    if not state.now.watchers and item._array.size and item._array.min() >= 0:
        return [item]
    return [apply(arithmetic.where, (apply(comparison.lt, (item, 0)), item + n, item))]


def _merge(x: Tensor, advanced: dict[int, Tensor]) -> tuple[Tensor, Tensor, int, tuple[int, ...]]:
    """`x` with the indexed dims moved together and made one, the positions in it, its axis, and the dims' order."""
    dims = sorted(advanced)
    shapes = [advanced[dim]._array.shape for dim in dims]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join(str(list(s)) for s in shapes)
        ) from None
    adjacent = dims[-1] - dims[0] == len(dims) - 1
    axis = dims[0] if adjacent else 0
    rest = [dim for dim in range(x._array.ndim) if dim not in advanced]
    order = (*rest[:axis], *dims, *rest[axis:])
    if len(dims) == 1:
        return x, advanced[dims[0]], axis, order
    moved = x if order == tuple(range(x._array.ndim)) else permute(x, order)
    sizes = moved._array.shape
    flat = reshape(moved, (*sizes[:axis], -1 if x._array.size else 0, *sizes[axis + len(dims) :]))
    position: Any = 0
    for dim in dims:
        position = position * x._array.shape[dim] + advanced[dim]
    return flat, expand(position, shape), axis, order


def _gather_many(x: Tensor, advanced: dict[int, Tensor]) -> Tensor:
    flat, position, axis, _ = _merge(x, advanced)
    return apply(p.take, (flat, position), {"axis": axis})


def scatter_many(x: Tensor, advanced: dict[int, Tensor], new: Tensor, *, accumulate: bool = False) -> Tensor:
    """`x` with `new` at the positions (or added there), as a new tensor."""
    flat, position, axis, order = _merge(x, advanced)
    shape = (*flat._array.shape[:axis], *position._array.shape, *flat._array.shape[axis + 1 :])
    new = _without_leading_ones(new, len(shape))
    wide = expand(cast_to(new, dtype_of(x)), _trimmed(new, shape))
    out = (add_at if accumulate else put_at)(flat, wide, position, axis)
    if len(advanced) == 1:
        return out
    moved = reshape(out, [x._array.shape[dim] for dim in order])
    back = permute(moved, sorted(range(len(order)), key=order.__getitem__))
    return clone(back)


def _trimmed(value: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape`, after refusing a value that does not broadcast to it."""
    try:
        fits = np.broadcast_shapes(value._array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise TapegradError(
            f"shape mismatch: value tensor of shape {list(value._array.shape)} cannot be broadcast to indexing "
            f"result of shape {list(shape)}"
        )
    return shape


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of the non-zero elements: an (n, ndim) int64 tensor, or one tensor per dim."""
    reads_value("nonzero()", input)
    found = np.nonzero(np.atleast_1d(require_tensor("nonzero", input)._array))
    columns = [_fresh(column.astype(np.int64)) for column in found]
    if as_tuple:
        return tuple(columns)
    return _fresh(np.stack(found, axis=1).astype(np.int64)[:, : input._array.ndim])


def _fresh(array: np.ndarray[Any, Any]) -> Tensor:
    from .creation import new_leaf

    return new_leaf(array)


@spelled
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """`out[i][j] = input[index[i][j]][j]` for dim 0, and so on; `index` may be shorter than `input` in other dims."""
    axis = normalise_dim("gather", dim, require_tensor("gather", input)._array.ndim)
    if require_tensor("gather", index, 3)._array.dtype.name not in ("int32", "int64"):
        raise TapegradError("gather(): Expected dtype int32/int64 for index")
    index = cast_to(index, dtypes.int64)
    if index._array.ndim != input._array.ndim:
        raise TapegradError("Index tensor must have the same number of dimensions as input tensor")
    if not input._array.ndim:
        return reshape(gather(reshape(input, 1), 0, reshape(index, 1)), ())
    n, positions = input._array.shape[axis], index._array
    error = lambda bad: TapegradError(f"index {bad} is out of bounds for dimension {axis} with size {n}")  # noqa: E731
    require_within(index, 0, n - 1, "index", error)
    cut = []
    for i, (have, want) in enumerate(zip(input._array.shape, positions.shape, strict=True)):
        if i != axis and want > have:
            raise TapegradError(
                f"Size does not match at dimension {i} expected index {list(positions.shape)} to be no larger than "
                f"self {list(input._array.shape)} apart from dimension {axis}"
            )
        cut.append(slice(None) if i == axis or want == have else slice(0, want, 1))
    whole = all(item == slice(None) for item in cut)
    return apply(p.gather, (input if whole else _basic(input, tuple(cut)), index), {"axis": axis})


@spelled
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The entries of one dim at the (non-negative) positions of a 1-d int tensor."""
    axis = normalise_dim("index_select", dim, require_tensor("index_select", input)._array.ndim)
    positions = require_tensor("index_select", index, 3)._array
    if positions.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if positions.dtype.name not in ("int32", "int64"):
        raise TapegradError("index_select(): Expected dtype int32 or int64 for index")
    if not input._array.ndim:
        return reshape(index_select(reshape(input, 1), 0, index), ())
    last = input._array.shape[axis] - 1
    require_within(index, 0, last, "index", lambda _: IndexError("index out of range in self"))
    found = apply(p.take, (input, cast_to(reshape(index, -1), dtypes.int64)), {"axis": axis})
    return renamed("IndexSelectBackward0", found)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `input` at the positions of an int tensor of any shape."""
    return renamed("TakeBackward0", getitem(reshape(input, -1), index))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value` (a number or 0-d tensor) where the bool `mask` holds."""
    from .elementwise import where

    _require_mask("masked_fill_ only supports boolean masks, but got mask with dtype {}", mask)
    is_tensor = isinstance(value, TensorBase)
    if is_tensor and value._array.ndim:
        raise TapegradError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value._array.ndim} dimension(s)."
        )
    d = dtype_of(require_tensor("masked_fill", input))
    new = assigned(input, value)
    if new._array.dtype.kind == "c" and dtypes.BOOL < d.category < dtypes.COMPLEX:
        require_real(new, lambda: overflow(d))
        new = apply(arithmetic.real, (new,))
    new = cast_to(new, d)
    return renamed(f"MaskedFillBackward{int(is_tensor)}", where(mask, new, input))


def _require_mask(message: str, mask: Tensor) -> None:
    if require_tensor("mask", mask, 2)._array.dtype.kind != "b":
        raise TapegradError(message.format(dtype_of(mask).scalar_type))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of `input` where the bool `mask` holds, in one dim."""
    _require_mask("masked_select: expected BoolTensor for mask", mask)
    reads_value("masked_select()", mask)
    shape = broadcast_shapes([require_tensor("masked_select", input)._array.shape, mask._array.shape])
    return renamed("MaskedSelectBackward0", getitem(expand(input, shape), expand(mask, shape)))
