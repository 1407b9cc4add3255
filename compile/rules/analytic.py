"""Exponentials, logarithms, powers of one half, trigonometric and hyperbolic functions, and their relatives."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...primitives import analytic as p
from .common import Rule, Rules, is_complex, like, mirrored, widened

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
def _log1p(a: Array) -> Array:
    """`lax.log1p`. XLA's on the CPU is, in float64, off by up to 128 units in the last place from -0.4143 to -0.2:
    there it is minus that of `-a / (1 + a)`, which is between 0.25 and 0.71.
    """
    if a.dtype != np.float64:
        return lax.log1p(a)
    rough = lax.bitwise_and(lax.gt(a, like(a, -0.5)), lax.lt(a, like(a, -0.2)))
    value = lax.log1p(lax.select(rough, lax.div(lax.neg(a), lax.add(a, like(a, 1))), a))
    return lax.select(rough, lax.neg(value), value)


@_log1p.defjvp
def _log1p_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    return _log1p(a), lax.div(da, lax.add(a, like(a, 1)))


@jax.custom_jvp
def _atanh(a: Array) -> Array:
    """`lax.atanh`, in float64 as `log1p(2 |a| / (1 - |a|)) / 2` with the sign of `a`: XLA's has log1p of `-a` in it."""
    if a.dtype != np.float64:
        return lax.atanh(a)
    size = lax.abs(a)
    ratio = lax.div(lax.add(size, size), lax.sub(like(a, 1), size))
    return lax.mul(lax.sign(a), lax.mul(_log1p(ratio), like(a, 0.5)))


@_atanh.defjvp
def _atanh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    return _atanh(a), lax.div(da, lax.sub(like(a, 1), lax.square(a)))


@jax.custom_jvp
def _rsqrt(a: Array) -> Array:
    """`lax.rsqrt`; JAX's derivative, `rsqrt(a) / a`, is -inf at -0, where this is inf, as PyTorch's."""
    return lax.rsqrt(a)


@_rsqrt.defjvp
def _rsqrt_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    out = _rsqrt(a)
    return out, lax.mul(da, lax.mul(like(a, -0.5), lax.integer_pow(out, 3)))


@jax.custom_jvp
def _asin(a: Array) -> Array:
    """`lax.asin`; the derivative on the branch cut is PyTorch's, the same on both sides."""
    return mirrored(lax.asin)(a)


@_asin.defjvp
def _asin_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    return _asin(a), lax.mul(da, lax.rsqrt(lax.sub(like(a, 1), lax.square(a))))


@jax.custom_jvp
def _acos(a: Array) -> Array:
    """`lax.acos`, differentiated as `_asin`."""
    return mirrored(lax.acos)(a)


@_acos.defjvp
def _acos_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (a,), (da,) = primals, tangents
    return _acos(a), lax.neg(lax.mul(da, lax.rsqrt(lax.sub(like(a, 1), lax.square(a)))))


def _asinh(a: Array) -> Array:
    """`lax.asinh`, for complex numbers in the right half plane: on the branch cut XLA takes -0 for 0."""
    if not is_complex(a):
        return lax.asinh(a)
    left = jnp.signbit(lax.real(a))
    out = lax.asinh(lax.select(left, lax.neg(a), a))
    return lax.select(left, lax.neg(out), out)


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
    return mirrored(lax.acosh)(a)


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
    p.log1p: _log1p,
    p.sqrt: mirrored(lax.sqrt),
    p.rsqrt: _rsqrt,
    p.sin: lax.sin,
    p.cos: lax.cos,
    p.tan: lax.tan,
    p.asin: _asin,
    p.acos: _acos,
    p.atan: lax.atan,
    p.atan2: _atan2,
    p.hypot: _hypot,
    p.sinh: lax.sinh,
    p.cosh: lax.cosh,
    p.tanh: lax.tanh,
    p.asinh: _asinh,
    p.acosh: _acosh,
    p.atanh: _atanh,
    p.sigmoid: lax.logistic,
    p.erf: lax.erf,
    p.softplus: _softplus,
    p.gelu: _gelu,
}
