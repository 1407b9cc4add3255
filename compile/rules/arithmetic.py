"""Element-wise arithmetic, rounding, selection and complex parts.

`jax.custom_jvp` stands where JAX's own derivative has another convention at a kink than PyTorch, loses the value
(division by `b ** 2`, which overflows where `b` does not), or multiplies by 0 where a mask is meant, so that an
infinite cotangent becomes nan. The tangents are linear expressions that JAX transposes and differentiates again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ...primitives import arithmetic as p
from .common import Rule, Rules, is_complex, is_float, like, mirrored, widened

__all__ = ["RULES"]

Array = jax.Array
Pair = tuple[Array, Array]


def _add(a: Array, b: Array) -> Array:
    return lax.bitwise_or(a, b) if a.dtype == bool else lax.add(a, b)


def _mul(a: Array, b: Array) -> Array:
    return lax.bitwise_and(a, b) if a.dtype == bool else lax.mul(a, b)


# Division


@jax.custom_jvp
def _div(a: Array, b: Array) -> Array:
    """`a / b`; JAX's own derivative has `b ** -2` in it, which is inf in float16 from `b = 0.003` on."""
    return lax.div(a, b)


@_div.defjvp
def _div_jvp(primals: Pair, tangents: Pair) -> Pair:
    (a, b), (da, db) = primals, tangents
    out = _div(a, b)
    return out, lax.div(lax.sub(da, lax.mul(out, db)), b)


def _reciprocal(a: Array) -> Array:
    return _div(like(a, 1), a)


def _floor_divide(a: Array, b: Array) -> Array:
    """The exact quotient rounded down, `a / b` where `b` is 0; an integer divisor of 0 is what `ops` refuses."""
    if not is_float(a):
        return jnp.floor_divide(a, b)
    a, b = lax.stop_gradient(a), lax.stop_gradient(b)
    return lax.select(lax.eq(b, like(b, 0)), lax.div(a, b), _quotient_and_rest(a, b)[0])


def _quotient_and_rest(a: Array, b: Array) -> Pair:
    """Python's `divmod` for floats: the rest has the sign of `b`, the quotient is exact even where `a / b` rounds."""
    rest = lax.rem(a, b)
    quotient = lax.round(lax.div(lax.sub(a, rest), b), lax.RoundingMethod.TO_NEAREST_EVEN)
    zero = like(a, 0)
    exact = lax.eq(rest, zero)
    other_side = lax.bitwise_and(lax.bitwise_not(exact), lax.ne(lax.lt(rest, zero), lax.lt(b, zero)))
    signed = lax.select(exact, lax.mul(lax.sign(b), zero), rest)
    one = like(a, 1)
    return lax.select(other_side, lax.sub(quotient, one), quotient), lax.select(other_side, lax.add(rest, b), signed)


@jax.custom_jvp
def _float_remainder(a: Array, b: Array) -> Array:
    return _quotient_and_rest(a, b)[1]


@_float_remainder.defjvp
def _float_remainder_jvp(primals: Pair, tangents: Pair) -> Pair:
    """The value is `_float_remainder` again, not what it is made of: that has derivatives of JAX's own, and would be
    flat where the rest is 0.
    """
    (da, db) = tangents
    quotient = _quotient_and_rest(*map(lax.stop_gradient, primals))[0]
    return _float_remainder(*primals), lax.sub(da, lax.mul(quotient, db))


def _remainder(a: Array, b: Array) -> Array:
    return _float_remainder(a, b) if is_float(a) else jnp.remainder(a, b)


# Powers

_MAX_MULTIPLICATIONS = {"c": 100, "i": math.inf, "u": math.inf}
"""Up to which exponent, by kind of dtype, repeated multiplication is as accurate as a power function.

8 for floats; NumPy's own limit for complex numbers, whose powers are exponentials of logarithms; any for integers.
"""


def _whole(exponent: complex) -> int | None:
    """`exponent` as an int if it is a whole number, else None."""
    if isinstance(exponent, complex):
        if exponent.imag:
            return None
        exponent = exponent.real
    return int(exponent) if float(exponent).is_integer() else None


@widened
def _pow_scalar(a: Array, *, exponent: complex) -> Array:
    n = _whole(exponent)
    if n == 0:
        return like(a, 1)
    if n == -1:
        return _reciprocal(a)
    if n is not None and abs(n) <= _MAX_MULTIPLICATIONS.get(a.dtype.kind, 8):
        return lax.integer_pow(a, n)
    if exponent == -0.5 and not is_complex(a):
        return lax.rsqrt(a)
    if exponent == 0.5:
        return _root(a)
    return (_power if is_complex(a) else lax.pow)(a, like(a, exponent))


@jax.custom_jvp
def _root(a: Array) -> Array:
    """`a ** 0.5`: the value of the square root, nan at -inf, and of its reciprocal for the derivative, -inf at -0."""
    return mirrored(lax.sqrt)(a)


@_root.defjvp
def _root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    return _root(a), lax.mul(da, lax.mul(like(a, 0.5), _pow_scalar(a, exponent=-0.5)))


@jax.custom_jvp
def _power(a: Array, b: Array) -> Array:
    """`a ** b`; JAX's own derivatives are nan at `0 ** 0` and `0 ** -1`, and so is XLA's value at `0 ** (1 + 1j)`."""
    if not is_complex(a):
        return lax.pow(a, b)
    zero = like(a, 0)
    none = lax.bitwise_and(lax.eq(a, zero), lax.gt(lax.real(b), lax.real(zero)))
    return lax.select(none, zero, lax.pow(lax.select(none, like(a, 1), a), b))


def _power_by_base(a: Array, b: Array) -> Array:
    """`b * a ** (b - 1)`, and 0 for `b = 0` where `a` is 0 or nan.

    Not for every `a`, as the derivative by `b`, which is `1 / a` there, would be lost.
    """
    no_base = lax.bitwise_not(lax.gt(lax.abs(a), lax.abs(like(a, 0))))
    flat = lax.bitwise_and(lax.eq(b, like(b, 0)), no_base)
    safe = lax.select(flat, like(a, 1), a)
    return lax.select(flat, like(a, 0), lax.mul(b, _power(safe, lax.sub(b, like(b, 1)))))


def _power_by_exponent(a: Array, b: Array, out: Array) -> Array:
    """`a ** b * log(a)`, and 0 where `a = 0` and `b >= 0`."""
    zero = like(a, 0)
    real = lax.real(b) if is_complex(b) else b
    flat = lax.bitwise_and(lax.eq(a, zero), lax.ge(real, like(real, 0)))
    return lax.select(flat, zero, lax.mul(out, lax.log(lax.select(flat, like(a, 1), a))))


def _power_jvp(primals: Pair, tangents: tuple[Any, Any]) -> Pair:
    """A tangent that is known to be 0 takes no part: `log` of a negative base is nan, and `0 * nan` too."""
    out = _power(*primals)
    slopes = _power_by_base(*primals), _power_by_exponent(*primals, out)
    terms = [lax.mul(t, slope) for t, slope in zip(tangents, slopes, strict=True) if not isinstance(t, SymbolicZero)]
    return out, functools.reduce(lax.add, terms) if terms else like(out, 0)


_power.defjvp(_power_jvp, symbolic_zeros=True)


def _pow(a: Array, b: Array) -> Array:
    return jnp.power(a, b) if a.dtype.kind in "iu" else _power(a, b)


# Magnitude, sign and rounding


def _abs(a: Array) -> Array:
    if a.dtype.kind in "bu":
        return a
    return lax.mul(a, lax.sign(a)) if is_float(a) else lax.abs(a)  # lax.abs of a real has derivative 1 at 0


def _sign(a: Array) -> Array:
    """`lax.sign`, but JAX takes the derivative to be 0 for complex numbers as well."""
    if not is_complex(a):
        return lax.sign(a)
    zero = lax.eq(a, like(a, 0))
    safe = lax.select(zero, like(a, 1), a)
    length = lax.abs(safe)
    unit = lax.complex(_div(lax.real(safe), length), _div(lax.imag(safe), length))
    return lax.select(zero, like(a, 0), unit)


def _rounding(rule: Rule) -> Rule:
    """`rule`, and integers as they are."""
    return lambda a: a if a.dtype.kind in "iu" else rule(a)


@_rounding
def _trunc(a: Array) -> Array:
    return lax.select(lax.lt(a, like(a, 0)), lax.ceil(a), lax.floor(a))


def _round(a: Array) -> Array:
    return lax.round(a, lax.RoundingMethod.TO_NEAREST_EVEN)


# Selection


def _extremum(value: Callable[..., Array], better: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    """`lax.max` or `lax.min`; JAX multiplies the cotangent by 0 where it does not go, here it is masked."""

    @jax.custom_jvp
    def of_floats(a: Array, b: Array) -> Array:
        return value(a, b)

    @of_floats.defjvp
    def of_floats_jvp(primals: Pair, tangents: Pair) -> Pair:
        (a, b), (da, db) = primals, tangents
        even = lax.select(lax.eq(a, b), lax.mul(lax.add(da, db), like(a, 0.5)), like(a, 0))
        return of_floats(a, b), lax.select(better(a, b), da, lax.select(better(b, a), db, even))

    return lambda a, b: of_floats(a, b) if is_float(a) else value(a, b)


def _clipped(a: Array, low: Array, high: Array) -> Array:
    return lax.min(lax.max(a, low), high)


@jax.custom_jvp
def _float_clip(a: Array, low: Array, high: Array) -> Array:
    """`min(max(a, low), high)`; `lax.clamp` gives `a` no cotangent at the bounds."""
    return _clipped(a, low, high)


@_float_clip.defjvp
def _float_clip_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> Pair:
    """As PyTorch: to `a` within the closed interval, to `low` below it, to `high` above it or where bounds are swapped.

    None of them has a part where `a < low = high`.
    """
    (a, low, high), (da, dlow, dhigh) = primals, tangents
    within = lax.bitwise_and(lax.ge(a, low), lax.le(a, high))
    below = lax.bitwise_and(lax.lt(a, low), lax.lt(low, high))
    above = lax.bitwise_or(lax.gt(a, high), lax.gt(low, high))
    bounds = lax.select(below, dlow, lax.select(above, dhigh, like(a, 0)))
    return _float_clip(a, low, high), lax.select(within, da, bounds)


def _clip(a: Array, low: Array, high: Array) -> Array:
    return _float_clip(a, low, high) if is_float(a) else _clipped(a, low, high)


@jax.custom_jvp
def _float_relu(a: Array) -> Array:
    return lax.max(a, like(a, 0))


@_float_relu.defjvp
def _float_relu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    zero = like(a, 0)
    return _float_relu(a), lax.select(lax.le(a, zero), zero, da)


def _relu(a: Array) -> Array:
    return _float_relu(a) if is_float(a) else lax.max(a, like(a, 0))


def _threshold_backward(a: Array, b: Array) -> Array:
    return lax.select(lax.le(b, like(b, 0)), like(a, 0), a)


RULES: Rules = {
    p.add: _add,
    p.sub: lax.sub,
    p.neg: lax.neg,
    p.mul: _mul,
    p.div: _div,
    p.reciprocal: _reciprocal,
    p.pow_scalar: _pow_scalar,
    p.pow_: _pow,
    p.remainder: _remainder,
    p.floor_divide: _floor_divide,
    p.fmod: lax.rem,
    p.abs_: _abs,
    p.sign: _sign,
    p.floor: _rounding(lax.floor),
    p.ceil: _rounding(lax.ceil),
    p.trunc: _trunc,
    p.round_: _round,
    p.where: lax.select,
    p.maximum: _extremum(lax.max, lax.gt),
    p.minimum: _extremum(lax.min, lax.lt),
    p.clip: _clip,
    p.relu: _relu,
    p.threshold_backward: _threshold_backward,
    p.conj: lambda a: lax.conj(a) if is_complex(a) else a,
    p.real: lambda a: lax.real(a) if is_complex(a) else a,
    p.imag: lambda a: lax.imag(a) if is_complex(a) else like(a, 0),
}
