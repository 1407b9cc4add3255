"""Exponentials, logarithms, powers of one half, trigonometric and hyperbolic functions, and their relatives."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from ...primitives import analytic as p
from .common import Rule, Rules, is_complex, like, widened

__all__ = ["RULES"]

Array = jax.Array
Pair = tuple[Array, Array]


def _exp2(a: Array) -> Array:
    """`2 ** a`: `lax.exp2` is `exp(a * log(2))` on the CPU, off by the rounding of the product (27% in bfloat16)."""
    return lax.exp2(a) if is_complex(a) else lax.pow(like(a, 2), a)


def _logarithm(base: float) -> Rule:
    """The logarithm to `base`: in 16 bits the quotient of two rounded logarithms would be rounded thrice."""

    @widened
    def logarithm(a: Array) -> Array:
        if not is_complex(a):
            return lax.div(lax.log(a), like(a, math.log(base)))
        natural = lax.log(a)
        parts = lax.real(natural), lax.imag(natural)
        return lax.complex(*[lax.div(part, like(part, math.log(base))) for part in parts])

    return logarithm


@jax.custom_jvp
def _atan2(a: Array, b: Array) -> Array:
    """`lax.atan2`, whose derivative at the origin is nan in JAX and 0 in PyTorch."""
    return lax.atan2(a, b)


@_atan2.defjvp
def _atan2_jvp(primals: Pair, tangents: Pair) -> Pair:
    (a, b), (da, db) = primals, tangents
    zero = like(a, 0)
    origin = lax.bitwise_and(lax.eq(a, zero), lax.eq(b, zero))
    square = lax.select(origin, like(a, 1), lax.add(lax.square(a), lax.square(b)))
    return _atan2(a, b), lax.div(lax.sub(lax.mul(da, b), lax.mul(db, a)), square)


@jax.custom_jvp
def _hypot(a: Array, b: Array) -> Array:
    """`jnp.hypot`, whose derivative goes by way of the larger operand and is nan where that is infinite."""
    return jnp.hypot(a, b)


@_hypot.defjvp
def _hypot_jvp(primals: Pair, tangents: Pair) -> Pair:
    (a, b), (da, db) = primals, tangents
    out = _hypot(a, b)
    return out, lax.add(lax.mul(da, lax.div(a, out)), lax.mul(db, lax.div(b, out)))


@jax.custom_jvp
def _acosh(a: Array) -> Array:
    """`lax.acosh`; JAX's derivative `(a * a - 1) ** -0.5` is on the wrong branch for complex `a` left of 0."""
    return lax.acosh(a)


@_acosh.defjvp
def _acosh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    one = like(a, 1)
    slope = lax.mul(lax.rsqrt(lax.sub(a, one)), lax.rsqrt(lax.add(a, one)))
    return _acosh(a), lax.mul(da, slope)


@jax.custom_jvp
def _log1p_exp(a: Array) -> Array:
    return lax.log1p(lax.exp(a))


@_log1p_exp.defjvp
def _log1p_exp_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    """The derivative is the logistic function, which stays finite where `exp` does not."""
    (a,), (da,) = primals, tangents
    return _log1p_exp(a), lax.mul(da, lax.logistic(a))


@widened
def _softplus(a: Array, *, beta: float, threshold: float) -> Array:
    """`log(1 + exp(beta a)) / beta`; what `where` does not select is computed at 0, so that no nan gets through."""
    scaled = lax.mul(a, like(a, beta))
    straight = lax.gt(scaled, like(a, threshold))
    safe = lax.select(straight, like(a, 0), scaled)
    return lax.select(straight, a, lax.div(_log1p_exp(safe), like(a, beta)))


@widened
def _gelu(a: Array) -> Array:
    normal_cdf = lax.mul(lax.add(lax.erf(lax.mul(a, like(a, math.sqrt(0.5)))), like(a, 1)), like(a, 0.5))
    return lax.mul(a, normal_cdf)


RULES: Rules = {
    p.exp: lax.exp,
    p.exp2: _exp2,
    p.expm1: lax.expm1,
    p.log: lax.log,
    p.log2: _logarithm(2.0),
    p.log10: _logarithm(10.0),
    p.log1p: lax.log1p,
    p.sqrt: lax.sqrt,
    p.rsqrt: lax.rsqrt,
    p.sin: lax.sin,
    p.cos: lax.cos,
    p.tan: lax.tan,
    p.asin: lax.asin,
    p.acos: lax.acos,
    p.atan: lax.atan,
    p.atan2: _atan2,
    p.hypot: _hypot,
    p.sinh: lax.sinh,
    p.cosh: lax.cosh,
    p.tanh: lax.tanh,
    p.asinh: lax.asinh,
    p.acosh: _acosh,
    p.atanh: lax.atanh,
    p.sigmoid: lax.logistic,
    p.erf: lax.erf,
    p.softplus: _softplus,
    p.gelu: _gelu,
}
