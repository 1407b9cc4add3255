"""Pooling of as many windows as the result is to have elements: maxima and means.

Window `i` of `n` of a dim goes from `floor(i * size / n)` to `ceil((i + 1) * size / n)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..ops.common import require_tensor
from ..ops.creation import new_leaf
from ..ops.joining import cat
from ..ops.linalg import matmul
from ..ops.reductions import mean
from ..ops.reshaping import movedim, reshape
from ..primitives import pooling as p
from ..primitives import shaping
from ..tape import apply, renamed
from .arguments import Ints, as_ints, require_floating, widened

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d",
]  # fmt: skip


def adaptive_avg_pool1d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of `output_size` windows, as even as can be, of the last dim: (..., channels, output_size)."""
    return _adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """As `adaptive_avg_pool1d` of the last two dims; where the size is None, that dim stays as it is."""
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """As `adaptive_avg_pool1d` of the last three dims; where the size is None, that dim stays as it is."""
    return _adaptive_avg("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows, as even as can be, of the last dim; the indices as `max_pool1d`."""
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """As `adaptive_max_pool1d` of the last two dims; where the size is None, that dim stays as it is."""
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """As `adaptive_max_pool1d` of the last three dims; where the size is None, that dim stays as it is."""
    return _adaptive_max("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _output_size(op: str, dims: int, x: Tensor, output_size: Any) -> tuple[int, ...]:
    shape = require_tensor(op, x, 1, "input")._array.shape
    if len(shape) not in (dims + 1, dims + 2):
        raise ShapeError(f"{op}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(shape)}")
    sizes = shape[-dims:]
    listed = list(output_size) if isinstance(output_size, Sequence) else [output_size] * dims
    wanted = as_ints(op, "output_size", [n if w is None else w for w, n in zip(listed, sizes, strict=False)], dims)
    if len(listed) != dims:
        raise ShapeError(f"{op}: output_size must be {dims}")
    if any(w < 0 for w in wanted):
        raise ShapeError(f"{op}: elements of output_size must be greater than or equal to 0 ")
    for i, n in enumerate(sizes):
        if not n:
            raise ShapeError(
                f"{op}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(shape)} with dimension {len(shape) - dims + i} being empty"
            )
    return wanted


def _bounds(size: int, count: int) -> list[tuple[int, int]]:
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _even(sizes: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether windows are of equal lengths and do not overlap."""
    return all(w and n % w == 0 for n, w in zip(sizes, wanted, strict=True))


def _adaptive_avg(op: str, dims: int, x: Tensor, output_size: Any) -> Tensor:
    wanted = _output_size(op, dims, x, output_size)
    require_floating(op, x, f"adaptive_avg_pool{max(dims, 2)}d")
    sizes = x._array.shape[-dims:]
    if dims > 1 and all(w == 1 for w in wanted):
        return mean(x, tuple(range(-dims, 0)), keepdim=True)
    if _even(sizes, wanted):
        window = tuple([n // w for n, w in zip(sizes, wanted, strict=True)])
        divisors = tuple([(k,) * w for k, w in zip(window, wanted, strict=True)])
        params = {"window": window, "stride": window, "padding": ((0, 0),) * dims, "divisors": divisors}
        out = apply(p.avg_pool, (x,), params)
    else:
        out = _means(x, wanted)
    return renamed("SqueezeBackward1" if dims == 1 else f"AdaptiveAvgPool{dims}DBackward0", out)


@widened
def _means(x: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """Along one dim after the other, a product with the matrix that takes the means."""
    for axis, count in enumerate(wanted, x._array.ndim - len(wanted)):
        size = x._array.shape[axis]
        weights = np.zeros((size, count), x._array.dtype)
        for i, (start, stop) in enumerate(_bounds(size, count)):
            weights[start:stop, i] = 1 / (stop - start)
        x = movedim(matmul(movedim(x, axis, -1), new_leaf(weights)), -1, axis)
    return x


def _adaptive_max(op: str, dims: int, x: Tensor, output_size: Any, return_indices: bool) -> Any:
    wanted = _output_size(op, dims, x, output_size)
    require_floating(op, x, f"adaptive_max_pool{max(dims, 2)}d")
    sizes = x._array.shape[-dims:]
    name = "SqueezeBackward1" if dims == 1 else f"AdaptiveMaxPool{dims}DBackward0"
    if _even(sizes, wanted):
        window = tuple([n // w for n, w in zip(sizes, wanted, strict=True)])
        params = _plain(window)
        out = renamed(name, apply(p.max_pool, (x,), params))
        return (out, apply(p.max_pool_index, (x,), params)) if return_indices else out
    lead = x._array.shape[:-dims]
    places = list(itertools.product(*[_bounds(n, w) for n, w in zip(sizes, wanted, strict=True)]))
    parts = [(_part(x, at), _plain([stop - start for start, stop in at])) for at in places]
    maxima = [reshape(apply(p.max_pool, (part,), params), (*lead, 1)) for part, params in parts]
    out = renamed(name, reshape(cat(maxima, -1), (*lead, *wanted)))
    if not return_indices:
        return out
    found = [reshape(apply(p.max_pool_index, (part,), params), (*lead, 1)) for part, params in parts]
    index = [_outside(t, at, sizes) for t, at in zip(found, places, strict=True)]
    return out, reshape(cat(index, -1), (*lead, *wanted))


def _plain(window: Sequence[int]) -> dict[str, Any]:
    """Windows beside each other."""
    ones, shape = (1,) * len(window), tuple(window)
    return {"window": shape, "stride": shape, "padding": ((0, 0),) * len(shape), "dilation": ones}


def _part(x: Tensor, at: Sequence[tuple[int, int]]) -> Tensor:
    whole = [slice(None)] * (x._array.ndim - len(at))
    return apply(shaping.slice_, (x,), {"index": (*whole, *[slice(start, stop) for start, stop in at])})


def _outside(index: Tensor, at: Sequence[tuple[int, int]], sizes: Sequence[int]) -> Tensor:
    """Positions in the window `at`, flattened, as positions in what has the `sizes`, flattened."""
    total, rest, step = index * 0, index, 1
    for (start, stop), size in reversed(list(zip(at, sizes, strict=True))):
        total = total + (rest % (stop - start) + start) * step
        rest, step = rest // (stop - start), step * size
    return total
