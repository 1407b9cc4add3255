"""Reductions into positions: `scatter_reduce` and `index_reduce`.

Sums are what `take_add` does. The others are computed over the elements in the order of their positions, where those of
one position stand together: runs are combined in pairs, then in fours and so on, which keeps products of zeros right
to any order of differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import dtypes
from ..dtypes import FLOATING, INTEGRAL
from ..errors import TapegradError
from ..primitives import indexing, structure
from ..tape import apply, renamed
from .common import cast_to, dtype_of, normalise_dim, require_tensor
from .comparison import eq, gt, ne
from .creation import full
from .elementwise import clamp, div, maximum, minimum, mul, where
from .scattering import flat_positions, require_positions, slices_of
from .shaping import cat, expand, narrow, reshape
from .support import require_dtype, spelled
from .writing import add_at, put_at

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["index_reduce", "scatter_reduce"]

_EXTREMA = {"amax": maximum, "amin": minimum}


@spelled
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`input` with elements of `src` combined at `index` along `dim`, by "sum", "prod", "mean", "amax" or "amin".

    What is there already takes part if `include_self`. Equal extrema share the gradient evenly.
    """
    if reduce not in ("sum", "prod", "mean", *_EXTREMA):
        raise TapegradError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    require_tensor("scatter_reduce", src, 4)
    _require_dtype(input, reduce)
    positions, new = flat_positions("scatter_reduce", input, dim, index, src)
    assert new is not None
    out = _reduced(reshape(input, -1), positions, new, reduce, include_self)
    return renamed("ScatterReduceBackward0", reshape(out, input._array.shape))


@spelled
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`input` with the slices of `source` combined with its slices at `index` along `dim`, as by `scatter_reduce`."""
    if reduce not in ("prod", "mean", *_EXTREMA):
        raise TapegradError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    axis = normalise_dim("index_reduce", dim, require_tensor("index_reduce", input)._array.ndim)
    index, source = slices_of("index_reduce", input, axis, index, source)
    require_positions(index, (*input._array.shape, 1)[axis], axis, IndexError)
    _require_dtype(input, reduce)
    if not include_self:
        require_dtype("index_reduce_func_exclude_input_init", dtype_of(input), INTEGRAL, FLOATING)
    shape = source._array.shape
    along = reshape(index, [index._array.size if i == axis else 1 for i in range(len(shape))])
    positions, new = flat_positions("index_reduce", input, axis, expand(along, shape), source)
    assert new is not None
    out = _reduced(reshape(input, -1), positions, new, reduce, include_self)
    return renamed("IndexReduceBackward0", reshape(out, input._array.shape))


def _require_dtype(x: Tensor, reduce: str) -> None:
    op, d = f"scatter_gather_tensor_cpu_reduce_{reduce}", dtype_of(require_tensor("scatter_reduce", x))
    if reduce in _EXTREMA:
        require_dtype(op, d, highest=FLOATING)
    elif reduce == "mean":
        require_dtype(op, d, INTEGRAL)


def _reduced(x: Tensor, positions: Tensor, new: Tensor, reduce: str, include_self: bool) -> Tensor:
    """The reduction of one-dim tensors."""
    d = dtype_of(x)
    if d is dtypes.bool_:
        wide = [cast_to(t, dtypes.uint8) for t in (x, new)]
        same = "amax" if reduce == "sum" else "amin" if reduce == "prod" else reduce
        return cast_to(_reduced(wide[0], positions, wide[1], same, include_self), d)
    if reduce in _EXTREMA:
        return _extremum(x, positions, new, reduce, include_self)
    if not include_self:
        x = put_at(x, full((), int(reduce == "prod"), dtype=d), positions)
    if reduce == "prod":
        return mul(x, _combined(mul, x, positions, new, 1))
    total = add_at(x, new, positions)
    if reduce == "sum":
        return total
    ones = full(positions._array.shape, 1)
    count = clamp(add_at(full(x._array.shape, int(include_self)), ones, positions), min=1)
    return div(total, cast_to(count, d), rounding_mode="floor" if d.category == INTEGRAL else None)


def _hits(x: Tensor, positions: Tensor) -> Tensor:
    """Whether anything goes to each position of `x`."""
    return gt(add_at(full(x._array.shape, 0), full(positions._array.shape, 1), positions), 0)


def _combined(op: Callable[..., Tensor], x: Tensor, positions: Tensor, new: Tensor, neutral: float) -> Tensor:
    """`op` over the elements of `new` of each position of `x`; `neutral` where there are none."""
    nothing = full((), neutral, dtype=dtype_of(x))
    if not positions._array.size:
        return expand(nothing, x._array.shape)
    order = apply(indexing.argsort, (positions,), {"axis": 0})
    at, run = [apply(indexing.take, (t, order), {"axis": 0}) for t in (positions, new)]
    n = at._array.size
    for step in (2**k for k in range(math.ceil(math.log2(n)))):  # each holds what the `step` ones before it do
        same = eq(narrow(at, 0, step, n - step), narrow(at, 0, 0, n - step))
        tail = narrow(run, 0, step, n - step)
        run = cat([narrow(run, 0, 0, step), where(same, op(tail, narrow(run, 0, 0, n - step)), tail)])
    last = cat([ne(narrow(at, 0, 1, n - 1), narrow(at, 0, 0, n - 1)), full((1,), True)])
    zeros = full(x._array.shape, 0, dtype=dtype_of(x))
    return where(_hits(x, positions), add_at(zeros, where(last, run, zeros[:1]), at), nothing)


def _extremum(x: Tensor, positions: Tensor, new: Tensor, reduce: str, include_self: bool) -> Tensor:
    """The value of the extremum, and the derivative of the mean of those that are equal to it."""
    op, neutral = _EXTREMA[reduce], _worst(x, largest=reduce == "amin")
    before, after = x.detach(), new.detach()
    found = _combined(op, before, positions, after, neutral)
    best = op(before, found) if include_self else where(_hits(x, positions), found, before)
    if not (x._requires_grad or new._requires_grad):
        return best
    d = dtype_of(x)
    mine = eq(before, best)
    theirs = eq(after, apply(indexing.take, (best, positions), {"axis": 0}))
    count = add_at(cast_to(mine, d), cast_to(theirs, d), positions)
    kept = x if include_self else put_at(x, full((), 0, dtype=d), positions)
    ties = add_at(where(mine, kept, full((), 0, dtype=d)), where(theirs, new, full((), 0, dtype=d)), positions)
    return apply(structure.rebind, (div(ties, count), best))


def _worst(x: Tensor, *, largest: bool) -> float:
    kind = x._array.dtype
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return int(info.max if largest else info.min)
    return math.inf if largest else -math.inf
