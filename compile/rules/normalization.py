"""Normalisation to mean 0 and variance 1."""

from __future__ import annotations

import math

import jax
from jax import lax

from ...primitives import normalization as p
from .common import Rules, like, widened

__all__ = ["RULES"]

Array = jax.Array
Axes = tuple[int, ...]


@widened
def _standardize(a: Array, *, axes: Axes, eps: float) -> Array:
    """Two passes, so that nothing cancels."""
    kept = [i for i in range(a.ndim) if i not in axes]
    count = math.prod([a.shape[axis] for axis in axes])

    def mean(x: Array) -> Array:
        total = lax.reduce_sum(x, axes)
        return lax.div(total, like(total, count))

    centred = lax.sub(a, lax.broadcast_in_dim(mean(a), a.shape, kept))
    variance = mean(lax.square(centred))
    scale = lax.rsqrt(lax.add(variance, like(variance, eps)))
    return lax.mul(centred, lax.broadcast_in_dim(scale, a.shape, kept))


RULES: Rules = {p.standardize: _standardize}
