"""Tapes compiled by JAX: lowering, jit, and the check of compiled programs against the eager tape."""

from .foreign import from_jax
from .interop import to_jax
from .jit import jit
from .lower import lower
from .pytrees import TracedTensor
from .verify import Report, check

__all__ = ["Report", "TracedTensor", "check", "from_jax", "jit", "lower", "to_jax"]
