"""What several families of rules share: kinds of dtypes, constants of a dtype, and 16-bit floats in float32."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...tape import Primitive

__all__ = ["Rule", "Rules", "is_complex", "is_float", "is_half", "like", "mirrored", "widened"]

Rule = Callable[..., jax.Array]
Rules = dict[Primitive, Rule]


def is_half(a: jax.Array) -> bool:
    """Whether `a` holds float16 or bfloat16."""
    return a.dtype.itemsize == 2 and a.dtype.kind not in "iu"


def is_complex(a: jax.Array) -> bool:
    """Whether `a` holds complex numbers."""
    return a.dtype.kind == "c"


def is_float(a: jax.Array) -> bool:
    """Whether `a` holds real floating-point numbers (bfloat16's kind is NumPy's "V")."""
    return a.dtype.kind not in "biuc"


def like(a: jax.Array, value: complex) -> jax.Array:
    """An array of `value` with the shape and dtype of `a`: under x64 a bare Python number would be a float64."""
    return lax.full_like(a, value)


def mirrored(rule: Rule) -> Rule:
    """`rule`, computed for complex numbers in the upper half plane: XLA takes -0 for 0 on the branch cut."""

    def compute(a: jax.Array) -> jax.Array:
        if not is_complex(a):
            return rule(a)
        below = jnp.signbit(lax.imag(a))
        out = rule(lax.select(below, lax.conj(a), a))
        return lax.select(below, lax.conj(out), out)

    return compute


def widened(rule: Rule) -> Rule:
    """`rule` computed in float32 where its operand is a 16-bit float, and rounded once, as the eager forward does.

    The derivative then is taken in float32 too, and its sums are rounded once.
    """

    @functools.wraps(rule)
    def compute(a: jax.Array, *rest: jax.Array, **params: Any) -> jax.Array:
        if not is_half(a):
            return rule(a, *rest, **params)
        return lax.convert_element_type(rule(lax.convert_element_type(a, np.float32), *rest, **params), a.dtype)

    return compute
