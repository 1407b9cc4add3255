"""Exponentials, logarithms, powers of one half, trigonometric and hyperbolic functions, and their relatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tape import Primitive
from .arithmetic import where
from .precision import widened

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "erf", "exp", "exp2", "expm1", "gelu",
    "hypot", "log", "log1p", "log2", "log10", "rsqrt", "sigmoid", "sin", "sinh", "softplus", "sqrt", "tan", "tanh",
]  # fmt: skip

_LN2 = math.log(2.0)
_LN10 = math.log(10.0)
_SQRT_HALF = math.sqrt(0.5)
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
_ONE_OVER_SQRT_TAU = 1.0 / math.sqrt(math.tau)

exp = Primitive("exp", np.exp, elementwise=True, a=lambda g, out: g * out.conjugate())
exp2 = Primitive("exp2", np.exp2, elementwise=True, a=lambda g, out: g * (out * _LN2).conjugate())
expm1 = Primitive("expm1", np.expm1, elementwise=True, a=lambda g, out: g * (out + 1).conjugate())
log = Primitive("log", np.log, elementwise=True, a=lambda g, a: g / a.conjugate())
log2 = Primitive("log2", np.log2, elementwise=True, a=lambda g, a: g / (a * _LN2).conjugate())
log10 = Primitive("log10", np.log10, elementwise=True, a=lambda g, a: g / (a * _LN10).conjugate())
log1p = Primitive("log1p", np.log1p, elementwise=True, a=lambda g, a: g / (a + 1).conjugate())
sqrt = Primitive("sqrt", np.sqrt, elementwise=True, a=lambda g, out: g / (out * 2).conjugate())
rsqrt = Primitive(
    "rsqrt",
    lambda a: np.reciprocal(np.sqrt(a)),
    elementwise=True,
    a=lambda g, out: g * (out * out * out).conjugate() * -0.5,
)

sin = Primitive("sin", np.sin, elementwise=True, a=lambda g, a: g * cos(a).conjugate())
cos = Primitive("cos", np.cos, elementwise=True, a=lambda g, a: -g * sin(a).conjugate())
tan = Primitive("tan", np.tan, elementwise=True, a=lambda g, out: g * (out * out + 1).conjugate())
asin = Primitive("asin", np.arcsin, elementwise=True, a=lambda g, a: g * rsqrt(1 - a * a).conjugate())
acos = Primitive("acos", np.arccos, elementwise=True, a=lambda g, a: -g * rsqrt(1 - a * a).conjugate())
atan = Primitive("atan", np.arctan, elementwise=True, a=lambda g, a: g / (a * a + 1).conjugate())
atan2 = Primitive(
    "atan2",
    np.arctan2,
    elementwise=True,
    a=lambda g, a, b: g * b / _squared_distance(a, b),
    b=lambda g, a, b: -g * a / _squared_distance(a, b),
)


def _squared_distance(a: Any, b: Any) -> Any:
    """From the origin, and 1 there, so that 0 divided by it is 0."""
    return where((a == 0) & (b == 0), 1.0, a * a + b * b)


hypot = Primitive(
    "hypot",
    np.hypot,
    elementwise=True,
    a=lambda g, a, out: g * (a / out),
    b=lambda g, b, out: g * (b / out),
)
"""`sqrt(a * a + b * b)` without overflow on the way; its derivative at the origin is nan."""

sinh = Primitive("sinh", np.sinh, elementwise=True, a=lambda g, a: g * cosh(a).conjugate())
cosh = Primitive("cosh", np.cosh, elementwise=True, a=lambda g, a: g * sinh(a).conjugate())
tanh = Primitive("tanh", np.tanh, elementwise=True, a=lambda g, out: g * (1 - out * out).conjugate())
asinh = Primitive("asinh", np.arcsinh, elementwise=True, a=lambda g, a: g * rsqrt(a * a + 1).conjugate())
acosh = Primitive(
    "acosh",
    np.arccosh,
    elementwise=True,
    a=lambda g, a: g * (rsqrt(a - 1) * rsqrt(a + 1)).conjugate(),
)
atanh = Primitive("atanh", np.arctanh, elementwise=True, a=lambda g, a: g / (1 - a * a).conjugate())


def _sigmoid(a: Any) -> Any:
    """`1 / (1 + exp(-a))`, which overflows to the right limits."""
    return np.reciprocal(1 + np.exp(-a))


def _erf(a: Any) -> Any:
    from scipy.special import erf as scipy_erf  # here: importing tapegrad must not cost importing SciPy

    return scipy_erf(a.astype(np.float32) if a.dtype.itemsize < 4 else a).astype(a.dtype)


sigmoid = Primitive("sigmoid", _sigmoid, elementwise=True, a=lambda g, out: g * ((1 - out) * out).conjugate())

erf = Primitive("erf", _erf, elementwise=True, a=lambda g, a: g * exp(-(a * a)) * _TWO_OVER_SQRT_PI)

softplus = Primitive(
    "softplus",
    widened(lambda a, *, beta, threshold: np.where(a * beta > threshold, a, np.log1p(np.exp(a * beta)) / beta)),
    elementwise=True,
    a=lambda g, a, beta, threshold: where(a * beta > threshold, g, g * sigmoid(a * beta)),
)
"""`log(1 + exp(beta a)) / beta`, and `a` itself where `beta a > threshold`."""


def _normal_cdf(a: Any) -> Any:
    return (erf(a * _SQRT_HALF) + 1) * 0.5


gelu = Primitive(
    "gelu",
    widened(lambda a: a * _normal_cdf(a)),
    elementwise=True,
    a=lambda g, a: g * (_normal_cdf(a) + a * exp(a * a * -0.5) * _ONE_OVER_SQRT_TAU),
)
"""`a` times the standard normal distribution function of `a`."""
