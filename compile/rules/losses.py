"""Lowering of the losses."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from ...primitives import losses as p
from ...primitives.indexing import gather
from .common import Rules, like, widened
from .indexing import RULES as INDEXING

__all__ = ["RULES"]


def _nll_loss(logs: jax.Array, target: jax.Array, *, axis: int, ignore_index: int, reduction: str) -> jax.Array:
    kept = lax.ne(target, like(target, ignore_index))
    position = lax.expand_dims(lax.select(kept, target, like(target, 0)), (axis,))
    picked = lax.squeeze(INDEXING[gather](logs, position, axis=axis), (axis,))
    losses = lax.select(kept, lax.neg(picked), like(picked, 0))
    if reduction == "none":
        return losses
    axes = tuple(range(losses.ndim))
    total = lax.reduce_sum(losses, axes)
    if reduction == "sum":
        return total
    count = lax.reduce_sum(lax.convert_element_type(kept, np.int32), axes)
    return lax.div(total, lax.convert_element_type(count, logs.dtype))


RULES: Rules = {p.nll_loss: widened(_nll_loss)}
