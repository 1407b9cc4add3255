"""How each primitive is written in JAX, by family.

A rule takes the operands as JAX arrays and the primitive's parameters by keyword, and gives one array of exactly the
shape and dtype that the NumPy forward gives, under `jax.enable_x64(True)`. Operands of an element-wise primitive share
one shape and dtype; Python scalars have become arrays before. Every rule can be traced, vmapped, exported and
differentiated, forward and reverse, any number of times; its derivatives follow the conventions of the primitive's
VJP rule, but are derived by JAX.
"""

from __future__ import annotations

from ...primitives import structure as structure_primitives
from ...tape import Primitive
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
from .common import Rule

__all__ = ["INTERPRETED", "RULES", "Rule"]

RULES: dict[Primitive, Rule] = {
    **arithmetic.RULES,
    **analytic.RULES,
    **comparison.RULES,
    **convolution.RULES,
    **indexing.RULES,
    **linalg.RULES,
    **losses.RULES,
    **normalization.RULES,
    **pooling.RULES,
    **random.RULES,
    **reductions.RULES,
    **shaping.RULES,
    **structure.RULES,
    **views.RULES,
}
"""The rule of every primitive that has one."""

INTERPRETED: frozenset[Primitive] = frozenset({structure_primitives.backward, structure_primitives.jax_call})
"""The primitives that the interpreter lowers itself: a gradient is no function of its operands alone."""
