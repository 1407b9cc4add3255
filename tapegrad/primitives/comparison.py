"""Comparisons, predicates and logic: boolean results (or bitwise integers), no derivative."""

from __future__ import annotations

import numpy as np

from ..tape import Primitive

__all__ = [
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "ge", "gt", "isfinite", "isinf", "isnan", "le",
    "lt", "ne", "signbit",
]  # fmt: skip

eq = Primitive("eq", np.equal, elementwise=True, a=None, b=None)
ne = Primitive("ne", np.not_equal, elementwise=True, a=None, b=None)
lt = Primitive("lt", np.less, elementwise=True, a=None, b=None)
le = Primitive("le", np.less_equal, elementwise=True, a=None, b=None)
gt = Primitive("gt", np.greater, elementwise=True, a=None, b=None)
ge = Primitive("ge", np.greater_equal, elementwise=True, a=None, b=None)

bitwise_and = Primitive("bitwise_and", np.bitwise_and, elementwise=True, a=None, b=None)
bitwise_or = Primitive("bitwise_or", np.bitwise_or, elementwise=True, a=None, b=None)
bitwise_xor = Primitive("bitwise_xor", np.bitwise_xor, elementwise=True, a=None, b=None)
bitwise_not = Primitive("bitwise_not", np.bitwise_not, elementwise=True, a=None)

isnan = Primitive("isnan", np.isnan, elementwise=True, a=None)
isinf = Primitive("isinf", np.isinf, elementwise=True, a=None)
isfinite = Primitive("isfinite", np.isfinite, elementwise=True, a=None)
signbit = Primitive("signbit", np.signbit, elementwise=True, a=None)
