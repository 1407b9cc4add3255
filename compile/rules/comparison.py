"""Comparisons, predicates and logic: no derivative."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from ...primitives import comparison as p
from .common import Rules, is_complex, is_float, like

__all__ = ["RULES"]

Array = jax.Array


def _isnan(a: Array) -> Array:
    return lax.ne(a, a)


def _isfinite(a: Array) -> Array:
    if is_complex(a):
        return lax.bitwise_and(lax.is_finite(lax.real(a)), lax.is_finite(lax.imag(a)))
    return lax.is_finite(a) if is_float(a) else lax.full_like(a, True, dtype=bool)


def _isinf(a: Array) -> Array:
    if is_complex(a):
        return lax.bitwise_or(_isinf(lax.real(a)), _isinf(lax.imag(a)))
    return lax.eq(lax.abs(a), like(a, math.inf)) if is_float(a) else lax.full_like(a, False, dtype=bool)


RULES: Rules = {
    p.eq: lax.eq,
    p.ne: lax.ne,
    p.lt: lax.lt,
    p.le: lax.le,
    p.gt: lax.gt,
    p.ge: lax.ge,
    p.bitwise_and: lax.bitwise_and,
    p.bitwise_or: lax.bitwise_or,
    p.bitwise_xor: lax.bitwise_xor,
    p.bitwise_not: lax.bitwise_not,
    p.isnan: _isnan,
    p.isinf: _isinf,
    p.isfinite: _isfinite,
    p.signbit: jnp.signbit,
}
