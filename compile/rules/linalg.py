"""Matrix products."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from ...primitives import linalg as p
from .common import Rules

__all__ = ["RULES"]

Array = jax.Array


def _dot(a: Array, b: Array, precision: lax.Precision | None = None) -> Array:
    """Products of the matrices in the last two axes."""
    batch = tuple(range(a.ndim - 2))
    dimensions = (((a.ndim - 1,), (b.ndim - 2,)), (batch, batch))
    return lax.dot_general(a, b, dimensions, precision=precision)


def _matmul(a: Array, b: Array) -> Array:
    """The product that NumPy computes, whatever the backend.

    HIGHEST: by default a GPU rounds float32 factors to TensorFloat-32 (10 bits) and a TPU to bfloat16 (7 bits), where
    the eager run and the tolerances of the check have 23. 16-bit factors are exact in any of these, and every backend
    adds their products in float32 and rounds once, without being asked to: `preferred_element_type=float32` would say
    so, but its transpose multiplies in float32, without tensor cores. bools are counted, since `lax` adds none.
    """
    if a.dtype == bool:
        counts = _dot(lax.convert_element_type(a, np.int32), lax.convert_element_type(b, np.int32))
        return lax.ne(counts, np.int32(0))
    return _dot(a, b, None if a.dtype.kind in "iu" else lax.Precision.HIGHEST)


RULES: Rules = {p.matmul: _matmul}
