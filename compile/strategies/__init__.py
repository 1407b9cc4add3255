"""Hypothesis strategies: dtypes, shapes, arrays, tensors, calls of every primitive, whole programs.

`SAMPLES` has one row per primitive; a test fails while one is missing.
"""

from __future__ import annotations

try:
    import hypothesis as _hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError(
        "tapegrad.compile.strategies generates test data with hypothesis, which is not installed: "
        "pip install hypothesis (or 'tapegrad[test]')"
    ) from error

from .arrays import arrays, dtypes, shapes, tensors
from .calls import Arg, Call, Layout, Sample, doubled
from .domains import Domain
from .programs import Program, programs
from .samples import SAMPLES, calls

__all__ = [
    "SAMPLES",
    "Arg",
    "Call",
    "Domain",
    "Layout",
    "Program",
    "Sample",
    "arrays",
    "calls",
    "doubled",
    "dtypes",
    "programs",
    "shapes",
    "tensors",
]
