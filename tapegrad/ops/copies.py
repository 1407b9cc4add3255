"""Views' elements as copies, and copies of a whole with another part."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InPlaceError, ShapeError, TapegradError, UnsupportedError
from ..formats import contiguous_format, lay_out, preserve_format
from ..primitives import shaping as p
from ..primitives import views as v
from ..primitives.shaping import inverse
from ..primitives.views import diagonal_strides
from ..storage import overlapping
from ..tape import apply, renamed
from . import parts, reshaping, views
from .common import cast_to, dtype_of, normalise_dim, require_tensor
from .creation import clone
from .support import spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "alias_copy", "as_strided_copy", "as_strided_scatter", "diagonal_copy", "diagonal_scatter", "expand_copy",
    "narrow_copy", "permute_copy", "select_copy", "select_scatter", "slice_copy", "slice_scatter", "split_copy",
    "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy",
    "unsqueeze_copy", "view_as_complex_copy", "view_as_real_copy", "view_copy",
]  # fmt: skip


# The elements that a view shows


def _copied(view: Tensor, name: str | None = None) -> Tensor:
    """A contiguous copy of a view, its node called after the view's."""
    if name is None:
        name = "" if view._node is None else f"{view._node.kind}_copy"
    return renamed(name, clone(view, memory_format=contiguous_format))


def _copy_of(view: Callable[..., Any]) -> Callable[..., Any]:
    """The function that gives copies where `view` gives views."""

    @functools.wraps(view)
    def copy(*args: Any, **kwargs: Any) -> Any:
        out = view(*args, **kwargs)
        return tuple(map(_copied, out)) if isinstance(out, tuple) else _copied(out)

    copy.__name__ = copy.__qualname__ = f"{view.__name__}_copy"
    copy.__doc__ = f"`{view.__name__}`, as a copy."
    return copy


as_strided_copy = _copy_of(views.as_strided)
diagonal_copy = _copy_of(views.diagonal)
unfold_copy = _copy_of(views.unfold)
view_as_real_copy = _copy_of(views.view_as_real)
view_as_complex_copy = _copy_of(views.view_as_complex)
expand_copy = _copy_of(reshaping.expand)
permute_copy = _copy_of(reshaping.permute)
squeeze_copy = _copy_of(reshaping.squeeze)
t_copy = _copy_of(reshaping.t)
transpose_copy = _copy_of(reshaping.transpose)
unsqueeze_copy = _copy_of(reshaping.unsqueeze)
view_copy = _copy_of(reshaping.view)
select_copy = _copy_of(parts.select)
split_copy = _copy_of(parts.split)
split_with_sizes_copy = _copy_of(parts.split_with_sizes)
unbind_copy = _copy_of(parts.unbind)


def alias_copy(input: Tensor) -> Tensor:
    """A copy of `input`."""
    return _copied(require_tensor("alias_copy", input), "AliasBackward0_copy")


def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow`, as a copy."""
    return _copied(parts.narrow(input, dim, start, length), "NarrowCopyBackward0")


@spelled
def slice_copy(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """The entries `start:end:step` of one dim, as a copy."""
    index = _slice_index("slice_copy", input, dim, start, end, step)
    return _copied(apply(p.slice_, (input,), {"index": index}), "SliceBackward0_copy")


# A whole with another part


def _slice_index(op: str, x: Tensor, dim: int, start: int | None, end: int | None, step: int) -> tuple[slice, ...]:
    """The basic index of `start:end:step` along `dim`, bounds beyond the ends being those."""
    shape = require_tensor(op, x)._array.shape
    if not shape:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    axis = normalise_dim(op, dim, len(shape))
    if step <= 0:
        raise TapegradError("slice step must be positive")
    first, last, step = slice(start, end, step).indices(shape[axis])
    return (slice(None),) * axis + (slice(first, max(first, last), step),)


@spelled
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` for one entry of a dim."""
    axis, i = parts.entry("select_scatter", input, dim, index)
    return _sliced("SelectScatterBackward0", input, src, (*(slice(None),) * axis, i))


@spelled
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` for the entries `start:end:step` of one dim."""
    return _sliced("SliceScatterBackward0", input, src, _slice_index("slice_scatter", input, dim, start, end, step))


def _sliced(name: str, x: Tensor, src: Tensor, index: tuple[int | slice, ...]) -> Tensor:
    """`x` with `src` at a basic index."""
    _check_shape(src, p.slice_.forward(x._array, index=index).shape)
    return _finished(name, apply(p.slice_scatter, (x, cast_to(src, dtype_of(x))), {"index": index}), x)


def _finished(name: str, out: Tensor, x: Tensor) -> Tensor:
    """`out` in the order that `x` has in memory."""
    return renamed(name, lay_out(out, x._array, preserve_format))


def _check_shape(src: Tensor, wanted: tuple[int, ...]) -> None:
    """Raise RuntimeError unless `src` has the shape of the part it stands for."""
    have = require_tensor("scatter", src, 2)._array.shape
    if have != wanted:
        raise ShapeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(have)}, slice size = {list(wanted)}"
        )


@spelled
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` for a diagonal."""
    array = require_tensor("diagonal_scatter", input)._array
    axes = views.two_axes("diagonal_scatter", array.ndim, dim1, dim2)
    _check_shape(src, array.diagonal(offset, *axes).shape)
    strides, start = diagonal_strides(array.shape, offset, *axes)
    where = {"strides": strides, "offset": start}
    out = apply(v.as_strided_scatter, (input, cast_to(src, dtype_of(input))), where)
    return _finished("DiagonalScatterBackward0", out, input)


@spelled
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of `input` with `src` for the elements that `as_strided` shows, which must be among its own."""
    look = views.look_at("as_strided_scatter", input, size, stride, storage_offset)
    _check_shape(src, look.shape)
    if overlapping(look.shape, look.strides):
        raise InPlaceError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    order = views.memory_order(input._array, look)
    if order is None:
        raise UnsupportedError(
            "as_strided_scatter(): the tensor has gaps between its elements, or does not show all that are written"
        )
    axes, first = order
    turned = axes != tuple(range(len(axes)))
    seen = reshaping.permute(input, axes) if turned else input
    where = {"strides": look.strides, "offset": look.offset - first}
    out = apply(v.as_strided_scatter, (seen, cast_to(src, dtype_of(input))), where)
    if turned:
        out = clone(reshaping.permute(out, inverse(axes)))
    return _finished("AsStridedScatterBackward0", out, input)
