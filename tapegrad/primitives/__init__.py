"""Primitives: NumPy forward and VJP rule, by family."""

from . import analytic, arithmetic, comparison, indexing, linalg, losses, reductions, shaping, structure, views

__all__ = [
    "analytic", "arithmetic", "comparison", "indexing", "linalg", "losses", "reductions", "shaping", "structure",
    "views",
]  # fmt: skip
