"""The same elements in another shape or order of dims: views, or copies where memory does not allow one."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..dtypes import dtype as Dtype  # noqa: N812  (a parameter of `view` is called dtype)
from ..errors import ShapeError
from ..formats import contiguous_format
from ..primitives import shaping as p
from ..tape import apply, renamed
from .common import Dims, broadcast_shapes, dtype_of, normalise_dim, normalise_dims, require_tensor
from .creation import clone
from .elementwise import conj
from .geometry import restrided, strides_of, view_strides
from .support import python_int, sizes, spelled, warn_user
from .views import view_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "H", "T", "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "broadcast_to", "expand",
    "expand_as", "flatten", "mH", "mT", "moveaxis", "movedim", "permute", "ravel", "reshape",
    "reshape_as", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze", "view", "view_as",
]  # fmt: skip


# Shape


def _resolve(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """`shape` with its -1, if any, worked out for `size` elements. Raises ShapeError where it does not fit."""
    wanted = list(shape)
    if wanted.count(-1) > 1:
        raise ShapeError("only one dimension can be inferred")
    for i, n in enumerate(wanted):
        if n < -1:
            raise ShapeError(f"invalid shape dimension {n} at index {i} of shape {wanted}")
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted:
        if known == size == 0:
            raise ShapeError(
                f"cannot reshape tensor of {size} elements into shape {list(shape)} because the unspecified dimension "
                "size -1 can be any value and is ambiguous"
            )
        if known and size % known == 0:
            wanted[wanted.index(-1)] = size // known
    if math.prod(wanted) != size:
        raise ShapeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return tuple(wanted)


@spelled
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """`input` with another shape and the same number of elements: a view where memory allows, else a copy."""
    array = require_tensor("reshape", input)._array
    out = _reshaped(input, _resolve(sizes("reshape", shape, "shape"), array.size))
    if not out._requires_grad or array.flags.c_contiguous:
        return out
    return renamed("UnsafeViewBackward0" if out._view is None else "ReshapeAliasBackward0", out)


def _reshaped(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    out = apply(p.reshape, (input,), {"shape": shape})
    array = input._array
    if array.flags.c_contiguous and 1 not in array.shape:
        return out  # NumPy's strides are PyTorch's
    strides = view_strides(array.shape, strides_of(array), shape)
    return out if strides is None else restrided(out, strides)


@spelled
def view(input: Tensor, *size: Any, dtype: Any = None) -> Tensor:
    """A view of `input` with another shape, or of its memory read as another dtype.

    Raises RuntimeError where only a copy could have the shape.
    """
    array = require_tensor("view", input)._array
    if len(size) == 1 and isinstance(size[0], Dtype | type):
        return view_dtype(input, size[0])
    if dtype is not None:
        if size:
            raise TypeError("view() received an invalid combination of arguments: a shape and a dtype")
        return view_dtype(input, dtype)
    wanted = _resolve(sizes("view", size), array.size)
    if not array.flags.c_contiguous and view_strides(array.shape, strides_of(array), wanted) is None:
        raise ShapeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return _reshaped(input, wanted)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    return reshape(input, other._array.shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view of `input` in the shape of `other`."""
    return view(input, other._array.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims `start_dim` to `end_dim` made one."""
    shape = require_tensor("flatten", input)._array.shape
    start, end = normalise_dim("flatten", start_dim, len(shape)), normalise_dim("flatten", end_dim, len(shape))
    if not shape:
        return reshape(input, 1)
    if start > end:
        raise ShapeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return (
        input
        if start == end
        else reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))
    )


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """A view with one dim made several, of the lengths `sizes`, of which one may be -1."""
    shape = require_tensor("unflatten", input)._array.shape
    wanted = _lengths(sizes)
    axis = normalise_dim("unflatten", dim, len(shape))
    if not wanted:
        raise ShapeError("unflatten: sizes must be non-empty")
    if not shape:
        raise ShapeError(f"unflatten: Dimension specified as {dim} but tensor has no dimensions")
    n, known = shape[axis], math.prod(m for m in wanted if m != -1)
    if n != known and not (-1 in wanted and known > 0 and n % known == 0):
        raise ShapeError(
            f"unflatten: Provided sizes {list(wanted)} don't multiply up to the size of dim {axis} ({n}) in the input "
            "tensor"
        )
    return view(input, (*shape[:axis], *_resolve(wanted, n), *shape[axis + 1 :]))


def _lengths(given: Any) -> tuple[int, ...]:
    if not isinstance(given, Sequence):
        kind = type(given).__name__
        raise TypeError(f"unflatten(): argument 'sizes' (position 2) must be tuple of ints, not {kind}")
    return sizes("unflatten", (given,), "sizes")


def ravel(input: Tensor) -> Tensor:
    """`input` in one dim: a view, of a contiguous copy where it is not contiguous."""
    if not require_tensor("ravel", input)._array.flags.c_contiguous:
        input = clone(input, memory_format=contiguous_format)
    return view(input, -1)


# Order of dims


@spelled
def permute(input: Tensor, *dims: Any) -> Tensor:
    """A view of `input` with its dims in another order."""
    order = sizes("permute", dims, "dims")
    ndim = require_tensor("permute", input)._array.ndim
    if len(order) != ndim:
        raise ShapeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(order)}"
        )
    axes = tuple([normalise_dim("permute", dim, ndim) for dim in order])
    if len(set(axes)) != len(axes):
        raise ShapeError("permute(): duplicate dims are not allowed.")
    return apply(p.permute, (input,), {"axes": axes})


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view of `input` with two dims swapped."""
    ndim = require_tensor("transpose", input)._array.ndim
    i, j = normalise_dim("transpose", dim0, ndim), normalise_dim("transpose", dim1, ndim)
    axes = list(range(ndim))
    if ndim:
        axes[i], axes[j] = j, i
    return renamed("TransposeBackward0", apply(p.permute, (input,), {"axes": tuple(axes)}))


swapaxes = swapdims = transpose


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; `input` itself below two dims."""
    ndim = require_tensor("t", input)._array.ndim
    if ndim > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return renamed("TBackward0", apply(p.permute, (input,), {"axes": tuple(range(ndim))[::-1]}))


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """A view of `input` with some dims moved, the others keeping their order."""
    ndim = require_tensor("movedim", input)._array.ndim
    listed = [list(dims) if isinstance(dims, Sequence) else [operator.index(dims)] for dims in (source, destination)]
    if len(listed[0]) != len(listed[1]):
        raise ShapeError(
            f"movedim: Invalid source or destination dims: source ({listed[0]} dims) should contain the same number of "
            f"dims as destination ({listed[1]} dims)"
        )
    here, there = ([normalise_dim("movedim", dim, ndim) for dim in dims] for dims in listed)
    if len(set(here)) != len(here) or len(set(there)) != len(there):
        raise ShapeError(f"movedim: repeated dim in `source` ({listed[0]}) or `destination` ({listed[1]})")
    axes = [axis for axis in range(ndim) if axis not in here]
    for target, axis in sorted(zip(there, here, strict=True)):
        axes.insert(target, axis)
    return apply(p.permute, (input,), {"axes": tuple(axes[:ndim])})


moveaxis = movedim


_OF_ONE_NUMBER = "{} is deprecated on 0-D tensors. {}"
_IDENTITY, _CONJUGATE = "This function is the identity in these cases.", "Consider using x.conj()."


def T(input: Tensor) -> Tensor:  # noqa: N802  (PyTorch's name)
    """The dims reversed, as a view; with a warning unless there are two."""
    ndim = require_tensor("T", input)._array.ndim
    if not ndim:
        warn_user(_OF_ONE_NUMBER.format("Tensor.T", _IDENTITY))
    elif ndim != 2:
        warn_user(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will "
            "throw an error in a future release. Consider `x.mT` to transpose batches of matrices or `x.permute("
            "*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
        )
    return permute(input, tuple(range(ndim))[::-1])


def _swapped(input: Tensor, called: str, deprecated: str, instead: str) -> Tensor:
    """The last two dims swapped; a 0-d tensor itself, with a warning. Raises RuntimeError for a vector."""
    ndim = require_tensor(called, input)._array.ndim
    if ndim == 1:
        raise ShapeError(f"{called} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    if not ndim:
        warn_user(_OF_ONE_NUMBER.format(deprecated, instead))
        return input
    return transpose(input, -2, -1)


def mT(input: Tensor) -> Tensor:  # noqa: N802  (PyTorch's name)
    """The last two dims swapped, as a view; a 0-d tensor itself, with a warning. Raises RuntimeError for a vector."""
    return _swapped(input, "tensor.mT", "Tensor.mT", _IDENTITY)


def adjoint(input: Tensor) -> Tensor:
    """The last two dims swapped, and conjugated if complex, which makes a copy."""
    return conj(_swapped(input, "tensor.adjoint()", "adjoint()", _CONJUGATE))


def mH(input: Tensor) -> Tensor:  # noqa: N802  (PyTorch's name)
    """`adjoint`, by its other name."""
    return conj(_swapped(input, "tensor.mH", "Tensor.mH", _CONJUGATE))


def H(input: Tensor) -> Tensor:  # noqa: N802  (PyTorch's name)
    """`adjoint` of a matrix; of a 0-d tensor, with a warning."""
    ndim = require_tensor("H", input)._array.ndim
    if ndim not in (0, 2):
        more = " For batches of matrices, consider using tensor.mH" if ndim > 2 else ""
        raise ShapeError(f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor.{more}")
    return conj(_swapped(input, "tensor.H", "Tensor.H", _CONJUGATE))


# Dims of length one


@spelled
def squeeze(input: Tensor, *dim: Any) -> Tensor:
    """A view without the dims (or those of `dim`) that have length one."""
    array = require_tensor("squeeze", input)._array
    shape = array.shape
    only: Dims = None if not dim else python_int(dim[0]) if len(dim) == 1 else dim
    chosen = normalise_dims("squeeze", only, len(shape)) if only != () else ()
    kept = [i for i, n in enumerate(shape) if not (n == 1 and i in chosen)]
    out = apply(p.reshape, (input,), {"shape": tuple([shape[i] for i in kept])})
    strides = strides_of(array)
    out = restrided(out, tuple([strides[i] for i in kept]))
    return renamed(f"SqueezeBackward{0 if only is None else 1 if isinstance(only, int) else 2}", out)


@spelled
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A view with a dim of length one put in at `dim`."""
    array = require_tensor("unsqueeze", input)._array
    shape, strides = array.shape, strides_of(array)
    axis = normalise_dim("unsqueeze", dim, len(shape) + 1)
    out = apply(p.reshape, (input,), {"shape": (*shape[:axis], 1, *shape[axis:])})
    step = shape[axis] * strides[axis] if axis < len(shape) else 1
    return renamed("UnsqueezeBackward0", restrided(out, (*strides[:axis], step, *strides[axis:])))


def _each(op: str, tensors: tuple[Any, ...], one: Callable[[Tensor], Tensor]) -> Any:
    """`one` of a tensor, or of each of several, given as they are or in one sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    elif len(tensors) == 1:
        return one(require_tensor(op, tensors[0]))
    return tuple([one(require_tensor(op, x, i)) for i, x in enumerate(tensors, 1)])


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with one dim or more: views where dims are added."""
    return _each("atleast_1d", tensors, lambda x: x if x._array.ndim else view(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with two dims or more: views where dims are added, in front."""

    def one(x: Tensor) -> Tensor:
        n = x._array.ndim
        return x if n > 1 else unsqueeze(x, 0) if n else view(x, (1, 1))

    return _each("atleast_2d", tensors, one)


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with three dims or more: views where dims are added, a vector's around it, a matrix's at the end."""

    def one(x: Tensor) -> Tensor:
        n = x._array.ndim
        if n > 2:
            return x
        if n == 2:
            return unsqueeze(x, -1)
        return unsqueeze(unsqueeze(x, 0), -1) if n else view(x, (1, 1, 1))

    return _each("atleast_3d", tensors, one)


# Repeated without memory


@spelled
def expand(input: Tensor, *size: Any) -> Tensor:
    """A view of `input` with dims of length one repeated; -1 keeps a length. Raises RuntimeError where it cannot be."""
    wanted, have = sizes("expand", size), require_tensor("expand", input)._array.shape
    lead = len(wanted) - len(have)
    if lead < 0:
        raise ShapeError(
            f"expand(torch.{dtype_of(input).scalar_type}Tensor{{{list(have)}}}, size={list(wanted)}): "
            f"the number of sizes provided ({len(wanted)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(have)})"
        )
    full = list(wanted)
    for i, n in reversed(list(enumerate(have))):
        if full[lead + i] == -1:
            full[lead + i] = n
        elif n not in (1, full[lead + i]):
            raise ShapeError(
                f"The expanded size of the tensor ({full[lead + i]}) must match the existing size ({n}) at "
                f"non-singleton dimension {lead + i}.  Target sizes: {list(wanted)}.  Tensor sizes: {list(have)}"
            )
    for i, n in enumerate(full):
        if n < 0:
            raise ShapeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
    out = apply(p.broadcast_to, (input,), {"shape": tuple(full)})
    return restrided(out, _expanded_strides(have, strides_of(input._array), full))


def _expanded_strides(have: tuple[int, ...], strides: tuple[int, ...], full: Sequence[int]) -> tuple[int, ...]:
    """PyTorch's strides: 0 where a dim is repeated, for a new dim of length one what `unsqueeze` gives it."""
    found: list[int] = []
    for i, n in enumerate(reversed(full), 1):
        own = i <= len(have)
        length = have[-i] if own else 1
        step = strides[-i] if own else full[1 - i] * found[-1] if found else 1
        found.append(step if n == length else 0)
    return tuple(found[::-1])


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` expanded to the shape of `other`."""
    return expand(input, other._array.shape)


@spelled
def broadcast_to(input: Tensor, *size: Any) -> Tensor:
    """`expand`, by NumPy's name."""
    return expand(input, sizes("broadcast_to", size))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in the shape they broadcast to: views, a tensor of that shape being itself."""
    for i, x in enumerate(tensors):
        if not hasattr(x, "_array"):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    shape = broadcast_shapes([x._array.shape for x in tensors])
    return tuple([x if x._array.shape == shape else expand(x, shape) for x in tensors])
