"""Losses that are primitives: what a composite would compute in many small steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Primitive
from .arithmetic import where
from .comparison import ne
from .indexing import gather, scatter_add
from .precision import numpy_dtype, widened
from .reductions import reduce_sum
from .shaping import broadcast_to, reshape
from .structure import cast

__all__ = ["nll_loss"]


def _column(x: Any, axis: int) -> Any:
    """`x` with an axis of length one put in for the classes."""
    return reshape(x, shape=(*x.shape[:axis], 1, *x.shape[axis:]))


def _nll_loss(logs: Any, target: Any, *, axis: int, ignore_index: int, reduction: str) -> Any:
    kept = target != ignore_index
    picked = gather.forward(logs, _column(np.where(kept, target, 0), axis), axis=axis).reshape(target.shape)
    losses = np.where(kept, -picked, logs.dtype.type(0))
    if reduction == "none":
        return losses
    total = np.add.reduce(losses, axis=None)
    return total if reduction == "sum" else total / logs.dtype.type(np.count_nonzero(kept))


def _nll_pull(g: Any, target: Any, in_shape: tuple[int, ...], axis: int, ignore_index: int, reduction: str) -> Any:
    kept = ne(target, ignore_index)
    if reduction == "mean":
        axes = tuple(range(len(target.shape)))
        g = g / reduce_sum(cast(kept, dtype=numpy_dtype(g)), axes=axes, keepdims=False)
    share = -g if reduction == "none" else broadcast_to(-g, shape=tuple(target.shape))
    share, position = where(kept, share, 0.0), where(kept, target, 0)
    return scatter_add(_column(share, axis), _column(position, axis), axis=axis, size=in_shape[axis])


nll_loss = Primitive(
    "nll_loss",
    widened(_nll_loss),
    logs=lambda g, target, in_shape, axis, ignore_index, reduction: _nll_pull(
        g, target, in_shape, axis, ignore_index, reduction
    ),
    target=None,
)
"""Minus `logs` at the class numbers `target` along `axis`, 0 where `target` is `ignore_index`; then summed, or
averaged over the targets not ignored (`reduction` "none", "sum" or "mean")."""
