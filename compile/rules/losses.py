"""Losses that are primitives: what a composite would compute in many small steps."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from ...primitives import losses as p
from .common import Rules, like, widened
from .indexing import gather

__all__ = ["RULES"]

Array = jax.Array


@widened
def _nll_loss(logs: Array, target: Array, *, axis: int, ignore_index: int, reduction: str) -> Array:
    """Minus `logs` at the class numbers `target`, 0 where ignored: what is ignored is read at class 0, then dropped.

    A class number out of range reads nan.
    """
    kept = lax.ne(target, like(target, ignore_index))
    position = lax.select(kept, target, like(target, 0))
    picked = lax.reshape(gather(logs, lax.expand_dims(position, (axis,)), axis=axis), target.shape)
    losses = lax.select(kept, lax.neg(picked), like(picked, 0))
    if reduction == "none":
        return losses
    axes = tuple(range(target.ndim))
    total = lax.reduce_sum(losses, axes)
    if reduction == "sum":
        return total
    count = lax.reduce_sum(lax.convert_element_type(kept, np.int64), axes)
    return lax.div(total, lax.convert_element_type(count, total.dtype))


RULES: Rules = {p.nll_loss: _nll_loss}
