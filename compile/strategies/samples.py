"""SAMPLES: one row per primitive, and the strategy that draws calls from it."""

from __future__ import annotations

from hypothesis.strategies import SearchStrategy

from ...tape import Primitive
from .calls import Call, Sample
from .elementwise import ELEMENTWISE
from .layers import LAYERS
from .random import RANDOM
from .structural import STRUCTURAL
from .views import VIEWS

__all__ = ["SAMPLES", "calls"]

SAMPLES: dict[Primitive, Sample] = {
    sample.prim: sample for sample in (*ELEMENTWISE, *STRUCTURAL, *LAYERS, *RANDOM, *VIEWS)
}


def calls(prim: Primitive, *, double: bool = False) -> SearchStrategy[Call]:
    """Calls of `prim`: operands that broadcast or contain Python scalars, all dtypes and parameters it takes.

    With `double`, only float64 and complex128 among the inexact dtypes. Raises KeyError for a primitive without a row.
    """
    return (SAMPLES[prim].double if double else SAMPLES[prim]).calls()
