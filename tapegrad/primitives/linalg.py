"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Primitive
from .precision import is_half

__all__ = ["matmul"]


def _matmul(a: Any, b: Any) -> Any:
    """16-bit floats are multiplied in float32 and rounded once; the rest is NumPy's."""
    if a.dtype.itemsize == 2 and is_half(a.dtype):
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return np.matmul(a, b)


matmul = Primitive(
    "matmul",
    _matmul,
    node_name="MmBackward0",
    a=lambda g, b: g @ b.mT.conj(),
    b=lambda g, a: a.mT.conj() @ g,
)
"""Products of the matrices in the last two axes; the axes before them are equal."""
