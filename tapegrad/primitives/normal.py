"""The inverse of the standard normal distribution function, by rational functions that JAX can compute as well.

Wichura, Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37 (1988) 477-484:
PPND7, right to seven digits, for float32, and PPND16 for float64. The argument is the probability less 1/2, so that
both tails are as exact as the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DOUBLE", "MIDDLE", "SINGLE", "Fit", "Rational", "normal_quantile", "ratio"]

Array = np.ndarray[Any, Any]

MIDDLE = 0.425
"""How far from 1/2 a probability is in the middle; beyond, the tails begin."""

_CHUNK = 1 << 14  # numbers computed at a time, so that they stay in the cache


class Rational(NamedTuple):
    """A quotient of two polynomials in `x - origin`, the constant terms first."""

    origin: float
    above: tuple[float, ...]
    below: tuple[float, ...]


class Fit(NamedTuple):
    """The middle, by `0.425**2 - q**2`; the tails up to `limit`, by the root of minus the logarithm; those beyond."""

    middle: Rational
    tail: Rational
    far: Rational | None
    limit: float = 5.0


SINGLE = Fit(
    Rational(
        0.0, (3.3871327179, 50.434271938, 159.29113202, 59.10937472), (1.0, 17.895169469, 78.757757664, 67.1875636)
    ),
    Rational(1.6, (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103), (1.0, 0.73700164250, 0.12021132975)),
    None,  # begins at probabilities of e**-25, which numbers of 24 bits do not have
)  # fmt: skip
DOUBLE = Fit(
    Rational(
        0.0,
        (
            3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
            45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727,
        ),
        (
            1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077, 21213.794301586595867,
            39307.895800092710610, 28729.085735721942674, 5226.4952788528545610,
        ),
    ),
    Rational(
        1.6,
        (
            1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
            1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833, 7.74545014278341407640e-4,
        ),
        (
            1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550, 0.148103976427480074590,
            0.0151986665636164571966, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
        ),
    ),
    Rational(
        5.0,
        (
            6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230,
            0.0265321895265761230930, 0.00124266094738807843860, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
        ),
        (
            1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525, 7.86869131145613259100e-4,
            1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
        ),
    ),
)  # fmt: skip


def ratio(fit: Rational, x: Any) -> Any:
    """The quotient at `x`: an array of any library that Python's operators compute in."""
    return _polynomial(fit.above, x) / _polynomial(fit.below, x)


def _polynomial(terms: Sequence[float], x: Any) -> Any:
    """By Horner's scheme."""
    *rest, last = terms
    value = x * last + rest.pop()
    for term in reversed(rest):
        value = value * x + term
    return value


def normal_quantile(q: Array) -> Array:
    """Where the standard normal distribution function is `q + 1/2`: `q` is float32 or float64, between -1/2 and 1/2."""
    flat = q.reshape(-1)
    out = np.empty_like(flat)
    fit = DOUBLE if q.dtype == np.float64 else SINGLE
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        out[start : start + _CHUNK] = _quantile(fit, part)
    return out.reshape(q.shape)


def _quantile(fit: Fit, q: Array) -> Array:
    out: Array = q * ratio(fit.middle, MIDDLE**2 - q * q)
    (outside,) = np.nonzero(np.abs(q) > MIDDLE)
    at = q[outside]
    root = np.sqrt(-np.log(0.5 - np.abs(at)))
    found = ratio(fit.tail, root - fit.tail.origin)
    if fit.far is not None:
        found = np.where(root > fit.limit, ratio(fit.far, root - fit.far.origin), found)
    out[outside] = np.copysign(found, at)
    return out
