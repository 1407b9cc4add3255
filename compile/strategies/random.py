"""Sample rows of random numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ...primitives import random
from .arrays import FLOATS, INTEGERS, DType, Shape
from .calls import Arg, Layout, Sample
from .domains import OFF_INTEGERS, Domain

__all__ = ["RANDOM"]

_SINGLE, _PAIR = np.dtype(np.int32), np.dtype(np.int64)
_SHAPES: tuple[Shape, ...] = ((3,), (), (2, 3), (0, 2), (2, 1, 5))

_WORDS = Domain(
    "WORDS", (), (), (0, 1, -1, 2**31 - 1, -(2**31), 5 << 24, -(3 << 26), 123456789, -987654321, 255, -256)
)  # fmt: skip
_PAIRS = Domain("PAIRS", (), (), (*_WORDS.whole, 2**63 - 2**10, -(2**63), 2**40 + 7, -(2**52) - 1, 3 << 57))
_STATES = Domain("STATES", (), (), (0, 1, 7, 1022, -1, 2**32 - 3, 2**33 - 1, -(2**33) + 1, 2**62, -(2**63)))
"""Of int64, in float64 as well: see `Domain.table`."""


def _state_layouts() -> Iterator[Layout]:
    for shape, words in itertools.product(_SHAPES, (1, 2)):
        yield Layout((Arg((2,), _PAIR, _STATES),), {"shape": shape, "words": words})


def _bits(shape: Shape, words: DType) -> Arg:
    return Arg(shape, words, _PAIRS if words == _PAIR else _WORDS)


def _float_layouts(digits: dict[str, int]) -> Iterator[Layout]:
    for shape, dtype in itertools.product(_SHAPES, FLOATS):
        words = _PAIR if dtype == np.float64 else _SINGLE
        yield Layout((_bits(shape, words),), {"digits": digits[dtype.name], "dtype": dtype})


_UNIFORM = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
_NORMAL = {"float64": 53, "float32": 24, "float16": 24, "bfloat16": 24}

_RANGES = ((0, 10), (-5, 7), (0, 2**31), (0, 1), (-(2**31), 2**32), (100, 2**20))
_WIDE_RANGES = ((0, 10), (-(2**62), 2**63 - 1), (-(2**63), 2**64), (0, 2**40))


def _integer_layouts() -> Iterator[Layout]:
    for shape, (low, span) in itertools.product(_SHAPES, _RANGES):
        yield Layout((_bits(shape, _SINGLE),), {"low": low, "span": span, "dtype": _PAIR})
    for shape, (low, span) in itertools.product(_SHAPES, _WIDE_RANGES):
        yield Layout((_bits(shape, _PAIR),), {"low": low, "span": span, "dtype": _PAIR})
    for dtype in (*INTEGERS, *FLOATS, np.dtype(np.bool_)):
        yield Layout((_bits((2, 3), _SINGLE),), {"low": 0, "span": 2 if dtype.kind == "b" else 100, "dtype": dtype})


def _search_layouts() -> Iterator[Layout]:
    """A row of equal numbers is in order; those looked for are below or above them."""
    for rows, dtype in itertools.product(((), (2,), (0, 3)), FLOATS[:2]):
        yield Layout((Arg((*rows, 4), dtype, Domain("EQUAL", (1.0,))), Arg((*rows, 5), dtype, OFF_INTEGERS)))


RANDOM: tuple[Sample, ...] = (
    Sample(random.random_bits, lambda: list(_state_layouts())),
    Sample(random.random_advance, lambda: list(_state_layouts())),
    Sample(random.random_uniform, lambda: list(_float_layouts(_UNIFORM))),
    Sample(random.random_normal, lambda: list(_float_layouts(_NORMAL))),
    Sample(random.random_integers, lambda: list(_integer_layouts())),
    Sample(random.search_sorted, lambda: list(_search_layouts())),
)
