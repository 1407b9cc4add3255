"""Operations: the forgiving layer, with promotion, broadcasting and defaults, over the strict primitives."""

from . import common, creation, elementwise, indexing, linalg, reductions, shaping

__all__ = ["common", "creation", "elementwise", "indexing", "linalg", "reductions", "shaping"]
