"""Tapes compiled by JAX: lowering, jit, and the check of compiled programs against the eager tape."""

from .lower import lower

__all__ = ["lower"]
