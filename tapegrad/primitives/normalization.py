"""Normalisation to mean 0 and variance 1: what layer, group, instance and batch normalisation share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tape import Primitive
from .analytic import rsqrt
from .precision import is_half, numpy_dtype, widened
from .reductions import reduce_mean, var
from .structure import cast

__all__ = ["standardize"]

Axes = tuple[int, ...]


def _standardize(a: Any, *, axes: Axes, eps: float) -> Any:
    """Two passes, so that nothing cancels."""
    count = a.dtype.type(math.prod([a.shape[axis] for axis in axes]))
    centred = a - np.add.reduce(a, axis=axes, keepdims=True) / count
    variance = np.add.reduce(centred * centred, axis=axes, keepdims=True) / count
    np.multiply(centred, np.reciprocal(np.sqrt(variance + a.dtype.type(eps))), out=centred)
    return centred


def _standardize_pull(g: Any, a: Any, out: Any, axes: Axes, eps: float) -> Any:
    """The cotangent less its mean and its part along `out`, over the standard deviation."""
    if is_half(numpy_dtype(a)):
        wide = np.dtype(np.float32)
        g, a = cast(g, dtype=wide), cast(a, dtype=wide)
        pulled = _standardize_pull(g, a, standardize(a, axes=axes, eps=eps), axes, eps)
        return cast(pulled, dtype=numpy_dtype(out))
    rest = g - reduce_mean(g, axes=axes, keepdims=True) - out * reduce_mean(g * out, axes=axes, keepdims=True)
    return rest * rsqrt(var(a, axes=axes, keepdims=True, correction=0.0) + eps)


standardize = Primitive(
    "standardize",
    widened(_standardize),
    node_name="NativeLayerNormBackward0",
    a=lambda g, a, out, axes, eps: _standardize_pull(g, a, out, axes, eps),
)
"""`(a - mean) / sqrt(variance + eps)`, both over `axes`, the variance being the mean squared deviation."""
