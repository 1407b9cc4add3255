"""Sample rows of what neural networks are made of: convolution, pooling, normalisation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ...primitives import convolution, normalization, pooling
from .arrays import COMPLEX, FLOATS, INTEGERS, DType, Shape
from .calls import Arg, Layout, Sample
from .domains import DISTINCT, FINE

__all__ = ["LAYERS"]

# Convolution: the shapes of x and w, then stride, padding, dilation, groups

_CONVOLUTIONS: tuple[tuple[Shape, Shape, Shape, Any, Shape, int], ...] = (
    ((1, 1, 4), (1, 1, 2), (1,), ((0, 0),), (1,), 1),
    ((2, 2, 5), (3, 2, 2), (2,), ((1, 0),), (1,), 1),
    ((1, 2, 6), (2, 1, 3), (1,), ((1, 1),), (2,), 2),
    ((1, 1, 5), (1, 1, 2), (2,), ((0, -1),), (2,), 1),
    ((2, 0, 3), (1, 0, 2), (1,), ((0, 0),), (1,), 1),
    ((0, 1, 3), (1, 1, 2), (1,), ((0, 0),), (1,), 1),
    ((2, 1, 3, 4), (2, 1, 2, 2), (1, 2), ((0, 0), (1, 1)), (1, 1), 1),
    ((1, 4, 3, 3), (4, 2, 3, 1), (1, 1), ((1, 1), (0, 0)), (1, 1), 2),
    ((1, 2, 4, 3), (2, 2, 1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
    ((1, 1, 2, 3, 2), (2, 1, 2, 2, 1), (1, 1, 1), ((0, 0), (1, 0), (0, 0)), (1, 1, 1), 1),
)
_CONV_DTYPES = FLOATS + COMPLEX + INTEGERS[:2]


def _windows(sizes: Shape, window: Shape, stride: Shape, padding: Any, dilation: Shape) -> Shape:
    return tuple([
        (n + low + high - d * (k - 1) - 1) // s + 1
        for n, k, s, (low, high), d in zip(sizes, window, stride, padding, dilation, strict=True)
    ])  # fmt: skip


def _convolution_layouts(kind: str) -> Iterator[Layout]:
    for (x, w, stride, padding, dilation, groups), dtype in itertools.product(_CONVOLUTIONS, _CONV_DTYPES):
        y = (x[0], w[0], *_windows(x[2:], w[2:], stride, padding, dilation))
        params = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        whole, kernel, product = Arg(x, dtype, FINE), Arg(w, dtype, FINE), Arg(y, dtype, FINE)
        if kind == "conv":
            yield Layout((whole, kernel), params)
        elif kind == "conv_transpose":
            yield Layout((product, kernel), {"shape": x[2:], **params})
        else:
            yield Layout((whole, product), {"shape": w[2:], **params})


# Pooling: the shape, then window, stride, padding, dilation

_POOLS: tuple[tuple[Shape, Shape, Shape, Any, Shape], ...] = (
    ((4,), (2,), (2,), ((0, 0),), (1,)),
    ((1, 5), (3,), (1,), ((1, 1),), (1,)),
    ((2, 5), (2,), (2,), ((0, 1),), (1,)),
    ((1, 6), (2,), (1,), ((1, 1),), (3,)),
    ((0, 3), (2,), (1,), ((0, 0),), (1,)),
    ((2, 3), (1,), (2,), ((0, 0),), (1,)),
    ((1, 2, 4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((1, 4, 5), (3, 2), (1, 2), ((1, 1), (1, 0)), (1, 1)),
    ((1, 4, 5), (2, 2), (2, 1), ((1, 1), (0, 0)), (2, 2)),
    ((1, 2, 3, 4), (2, 1, 2), (1, 1, 2), ((0, 0), (0, 0), (1, 1)), (1, 1, 1)),
)


def _max_layouts(kind: str, dtypes: Sequence[DType]) -> Iterator[Layout]:
    for (shape, window, stride, padding, dilation), dtype in itertools.product(_POOLS, dtypes):
        params = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
        judged = Arg(shape, dtype, DISTINCT, unique=True)
        lead = len(shape) - len(window)
        found = (*shape[:lead], *_windows(shape[lead:], window, stride, padding, dilation))
        if kind == "place":
            yield Layout((Arg(found, dtype, FINE), judged), params)
        elif kind == "pick":
            yield Layout((Arg(shape, dtype), judged), params)
        else:
            yield Layout((judged,), params)


def _mean_layouts(adjoint: bool) -> Iterator[Layout]:
    for (shape, window, stride, padding, dilation), dtype in itertools.product(_POOLS, FLOATS):
        if any(d > 1 for d in dilation):
            continue
        lead = len(shape) - len(window)
        found = _windows(shape[lead:], window, stride, padding, dilation)
        even = tuple([(k,) * n for k, n in zip(window, found, strict=True)])
        uneven = tuple([tuple(range(1, n + 1)) for n in found])
        for divisors in (even, uneven):
            params = {"window": window, "stride": stride, "padding": padding, "divisors": divisors}
            if adjoint:
                yield Layout((Arg((*shape[:lead], *found), dtype),), {"shape": shape[lead:], **params})
            else:
                yield Layout((Arg(shape, dtype),), params)


# Normalisation

_STANDARDIZED: tuple[tuple[Shape, tuple[int, ...]], ...] = (
    ((4,), (0,)), ((2, 3), (1,)), ((2, 3), (0,)), ((3, 2, 2), (0, 2)), ((2, 1, 3), (1, 2)), ((0, 3), (1,)),
)  # fmt: skip


def _standardize_layouts() -> Iterator[Layout]:
    for (shape, axes), eps, dtype in itertools.product(_STANDARDIZED, (1e-2, 0.5), FLOATS):
        yield Layout((Arg(shape, dtype, DISTINCT, unique=True),), {"axes": axes, "eps": eps})


LAYERS: tuple[Sample, ...] = (
    Sample(convolution.conv, lambda: list(_convolution_layouts("conv"))),
    Sample(convolution.conv_transpose, lambda: list(_convolution_layouts("conv_transpose"))),
    Sample(convolution.conv_weight, lambda: list(_convolution_layouts("conv_weight"))),
    Sample(pooling.max_pool, lambda: list(_max_layouts("value", FLOATS + INTEGERS[:2]))),
    Sample(pooling.max_pool_index, lambda: list(_max_layouts("index", FLOATS + INTEGERS[:2]))),
    Sample(pooling.max_pool_place, lambda: list(_max_layouts("place", FLOATS))),
    Sample(pooling.max_pool_pick, lambda: list(_max_layouts("pick", FLOATS))),
    Sample(pooling.avg_pool, lambda: list(_mean_layouts(adjoint=False))),
    Sample(pooling.avg_pool_adjoint, lambda: list(_mean_layouts(adjoint=True))),
    Sample(normalization.standardize, lambda: list(_standardize_layouts())),
)
