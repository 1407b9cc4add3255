"""Primitives that carry no arithmetic: constants, casts, and what mutation becomes on a tape."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...errors import UnsupportedError
from ...primitives import structure as p
from .common import Rules, is_complex

__all__ = ["RULES"]

Array = jax.Array
Pair = tuple[Array, Array]


def _cast(a: Array, *, dtype: np.dtype[Any]) -> Array:
    if is_complex(a) and dtype.kind not in "cb":
        a = lax.real(a)
    return lax.ne(a, lax.full_like(a, 0)) if dtype.kind == "b" else lax.convert_element_type(a, dtype)


@jax.custom_jvp
def _rebind(old: Array, new: Array) -> Array:
    """The value of `new` with the derivative of `old`, forward and reverse."""
    return new


@_rebind.defjvp
def _rebind_jvp(primals: Pair, tangents: Pair) -> Pair:
    return _rebind(*primals), tangents[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _opaque(a: Array, source: Array, what: str) -> Array:
    return a


def _opaque_forward(a: Array, source: Array, what: str) -> tuple[Array, None]:
    return a, None


def _opaque_backward(what: str, _: None, g: Array) -> Pair:
    raise UnsupportedError(
        f"the derivative of a recorded program, from outside, through what {what} runs: hooks, or a custom Function's "
        "backward, are not part of the program. Call backward() or autograd.grad in the recorded function"
    )


_opaque.defvjp(_opaque_forward, _opaque_backward)


def _constant(*, value: Any) -> Array:
    """A copy: JAX on the CPU may otherwise look at the memory of `value` itself."""
    return jnp.array(value)


def _full(*, shape: tuple[int, ...], value: complex, dtype: np.dtype[Any]) -> Array:
    return lax.full(shape, value, dtype)


RULES: Rules = {
    p.cast: _cast,
    p.stop_gradient: lax.stop_gradient,
    p.rebind: _rebind,
    p.opaque: lambda a, source, *, what: _opaque(a, source, what),
    p.barrier: lax.optimization_barrier,
    p.constant: _constant,
    p.full: _full,
}
