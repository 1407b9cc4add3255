"""Element-wise arithmetic, rounding, selection and complex parts.

Conventions where a derivative has a choice: abs at 0 gives 0; maximum and minimum split ties evenly; clip passes the
cotangent at the bounds; all as PyTorch.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from ..tape import Primitive
from .structure import cast, rebind, stop_gradient

__all__ = [
    "abs_", "add", "ceil", "clip", "conj", "div", "floor", "floor_divide", "fmod", "imag", "maximum", "minimum", "mul",
    "neg", "pow_", "pow_scalar", "real", "reciprocal", "relu", "remainder", "round_", "sign", "sub",
    "threshold_backward", "trunc", "where",
]  # fmt: skip

# `x.conjugate()` is spelled out in rules since arrays, tensors and Python scalars all have it.


def _zero(g: Any) -> Any:
    """A cotangent of zeros like `g`, also where `g` is inf or nan, that depends on nothing."""
    return where(False, stop_gradient(g), 0.0)


add = Primitive("add", np.add, elementwise=True, a=lambda g: g, b=lambda g: g)

sub = Primitive("sub", np.subtract, elementwise=True, a=lambda g: g, b=lambda g: -g)

neg = Primitive("neg", np.negative, elementwise=True, a=lambda g: -g)

mul = Primitive(
    "mul",
    np.multiply,
    elementwise=True,
    a=lambda g, b: g * b.conjugate(),
    b=lambda g, a: g * a.conjugate(),
)

div = Primitive(
    "div",
    np.true_divide,
    elementwise=True,
    a=lambda g, b: g / b.conjugate(),
    b=lambda g, a, b: -g * (a / b / b).conjugate(),
)

reciprocal = Primitive("reciprocal", np.reciprocal, elementwise=True, a=lambda g, out: -g * (out * out).conjugate())


def _pow_scalar(a: Any, *, exponent: Any) -> Any:
    """By the operator, which is fast for small whole powers; bfloat16 must be told to stay itself."""
    out = a**exponent if exponent != -0.5 or a.dtype.kind == "c" else np.reciprocal(np.sqrt(a))
    return out if out.dtype == a.dtype else out.astype(a.dtype)


def _slope(a: Any, exponent: Any) -> Any:
    """`exponent * a ** (exponent - 1)`."""
    return exponent * (a ** (exponent - 1) if exponent != 0.5 else pow_scalar(a, exponent=-0.5))


pow_scalar = Primitive(
    "pow_scalar",
    _pow_scalar,
    node_name="PowBackward0",
    elementwise=True,
    a=lambda g, a, exponent: g * _slope(a, exponent).conjugate() if exponent != 0 else _zero(g),
)
"""`a` to a power that is a Python number; the powers 0.5 and -0.5 are roots, which differ from others at -0 and -inf.

The derivative of `a ** 0` is 0 even at 0.
"""

pow_ = Primitive(
    "pow",
    np.power,
    node_name="PowBackward1",
    elementwise=True,
    a=lambda g, a, b: g * (b * a ** where((a == 0) & (b == 0), b, b - 1)).conjugate(),
    b=lambda g, a, b, out: g * where((a == 0) & _at_least_zero(b), 0.0, out * _log(a)).conjugate(),
)


def _at_least_zero(b: Any) -> Any:
    return real(b) >= 0 if _is_complex(b) else b >= 0


def _log(a: Any) -> Any:
    """The logarithm; of a Python number as one, which stays weak beside arrays."""
    if isinstance(a, complex):
        return cmath.log(a) if a else -math.inf
    if isinstance(a, int | float):
        return math.log(a) if a > 0 else math.nan if a < 0 else -math.inf
    from .analytic import log

    return log(a)


def _is_complex(a: Any) -> bool:
    return np.iscomplexobj(a) if isinstance(a, np.ndarray | np.generic | complex) else bool(a.dtype.is_complex)


remainder = Primitive(
    "remainder",
    np.remainder,
    elementwise=True,
    a=lambda g: g,
    b=lambda g, a, b: -g * _floor_quotient(a, b),
)
"""`a - floor(a / b) * b`: the sign of the divisor, as Python's `%`."""


def _floor_quotient(a: Any, b: Any) -> Any:
    """`floor_divide`, with the derivative that it has not: that of `floor`, which is 0."""
    return rebind(floor(a / b), floor_divide(a, b))


floor_divide = Primitive("floor_divide", np.floor_divide, elementwise=True, a=None, b=None)
"""The exact quotient rounded down (the rounded quotient `a / b` may be off by one); `a / b` where `b` is 0."""

fmod = Primitive("fmod", np.fmod, elementwise=True, a=lambda g: g, b=lambda g, a, b: -g * trunc(a / b))
"""`a - trunc(a / b) * b`: the sign of `a`, as C's `fmod`."""

abs_ = Primitive("abs", np.abs, elementwise=True, a=lambda g, a: g * sign(a))


sign = Primitive(
    "sign",
    np.sign,
    elementwise=True,
    a=lambda g, a, out: (
        where(a == 0, 0.0, (g - real(g * out.conjugate()) * out) / abs_(a)) if _is_complex(a) else _zero(g)
    ),
)

floor = Primitive("floor", np.floor, elementwise=True, a=lambda g: _zero(g))
ceil = Primitive("ceil", np.ceil, elementwise=True, a=lambda g: _zero(g))
trunc = Primitive("trunc", np.trunc, elementwise=True, a=lambda g: _zero(g))
round_ = Primitive("round", np.rint, elementwise=True, a=lambda g: _zero(g))

where = Primitive(
    "where",
    np.where,
    elementwise=True,
    condition=None,
    a=lambda g, condition: where(condition, g, 0.0),
    b=lambda g, condition: where(condition, 0.0, g),
)
"""`a` where the boolean `condition` holds, else `b`."""


def _half_of_ties(g: Any, a: Any, b: Any) -> Any:
    return where(a == b, g * 0.5, 0.0)


maximum = Primitive(
    "maximum",
    np.maximum,
    elementwise=True,
    a=lambda g, a, b: where(a > b, g, _half_of_ties(g, a, b)),
    b=lambda g, a, b: where(b > a, g, _half_of_ties(g, a, b)),
)
minimum = Primitive(
    "minimum",
    np.minimum,
    elementwise=True,
    a=lambda g, a, b: where(a < b, g, _half_of_ties(g, a, b)),
    b=lambda g, a, b: where(b < a, g, _half_of_ties(g, a, b)),
)

clip = Primitive(
    "clip",
    lambda a, low, high: np.minimum(np.maximum(a, low), high),
    node_name="ClampBackward1",
    elementwise=True,
    a=lambda g, a, low, high: where((a >= low) & (a <= high), g, 0.0),
    low=lambda g, a, low, high: where((a < low) & (low < high), g, 0.0),
    high=lambda g, a, low, high: where((a > high) | (low > high), g, 0.0),
)

relu = Primitive(
    "relu",
    lambda a: np.maximum(a, 0),
    elementwise=True,
    a=lambda g, out: threshold_backward(g, out),
)

threshold_backward = Primitive(
    "threshold_backward",
    lambda a, b: np.where(b <= 0, 0, a),
    node_name="ThresholdBackwardBackward0",
    elementwise=True,
    a=lambda g, b: threshold_backward(g, b),
    b=lambda g: _zero(g),
)
"""`a`, and 0 where `b` is not above 0: a cotangent through `relu`, which has a derivative, of 0, by the result too."""

conj = Primitive("conj", np.conjugate, elementwise=True, a=lambda g: g.conjugate())


def _with_part(base: Any, new: Any, part: int) -> Any:
    """The complex `base` with `new` for its real (0) or imaginary (1) part."""
    from .shaping import slice_scatter
    from .views import view_as_complex, view_as_real

    index = (slice(None),) * len(base.shape) + (part,)
    return view_as_complex(slice_scatter(view_as_real(base), new, index=index))


def _imaginary(g: Any) -> Any:
    """`g` as the imaginary part of numbers whose real part is 0; a product with 1j would make that -0, or nan."""
    from .shaping import unslice
    from .views import view_as_complex

    shape = tuple(g.shape)
    return view_as_complex(unslice(g, shape=(*shape, 2), index=(slice(None),) * len(shape) + (1,)))


real = Primitive(
    "real",
    lambda a: a.real,
    node_name="SelectBackward0",
    view=True,
    write=lambda base, new: _with_part(base, new, 0),
    a=lambda g, in_dtype: cast(g, dtype=in_dtype),
)
imag = Primitive(
    "imag",
    lambda a: a.imag,
    node_name="SelectBackward0",
    view=True,
    write=lambda base, new: _with_part(base, new, 1),
    a=lambda g: _imaginary(g),
)
