"""Primitives: NumPy forward and VJP rule, by family."""

from . import (
    analytic,
    arithmetic,
    comparison,
    convolution,
    indexing,
    linalg,
    losses,
    normalization,
    pooling,
    random,
    reductions,
    shaping,
    structure,
    views,
)

__all__ = [
    "analytic", "arithmetic", "comparison", "convolution", "indexing", "linalg", "losses", "normalization", "pooling",
    "random", "reductions", "shaping", "structure", "views",
]  # fmt: skip
