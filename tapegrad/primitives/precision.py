"""16-bit floats: computed in float32 and rounded once, as PyTorch does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["is_half", "numpy_dtype", "widened"]


def numpy_dtype(x: Any) -> np.dtype[Any]:
    """The NumPy dtype of an array or a tensor."""
    return x.dtype if isinstance(x, np.ndarray | np.generic) else x.dtype.numpy


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether this is float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def widened(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays, computing 16-bit floats in float32 and rounding the result once."""

    @functools.wraps(function)
    def compute(a: Any, *rest: Any, **params: Any) -> Any:
        if is_half(a.dtype):
            return np.asarray(function(a.astype(np.float32), *rest, **params)).astype(a.dtype)
        return function(a, *rest, **params)

    return compute
