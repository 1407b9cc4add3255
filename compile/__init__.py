"""Tapes compiled by JAX: lowering, jit, and the check of compiled programs against the eager tape."""

from .jit import jit
from .lower import lower
from .verify import Report, check

__all__ = ["Report", "check", "jit", "lower"]
