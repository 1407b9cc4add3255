"""Sample rows of the element-wise primitives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...primitives import analytic, arithmetic, comparison
from ...tape import Primitive
from .arrays import BOOL, COMPLEX, FLOATS, INTEGERS, NUMBERS, REALS, SHAPES, DType, Shape
from .calls import Arg, Layout, Sample
from .domains import (
    ABOVE_ONE,
    ANY,
    BELOW,
    CURVED,
    GRID,
    NONZERO,
    OFF_AXES,
    OFF_GRID,
    OFF_INTEGERS,
    OVER,
    POSITIVE,
    SAFE_DIVISORS,
    SPECIAL,
    TIES,
    UNIT,
    Domain,
)

__all__ = ["ELEMENTWISE"]

INEXACT = FLOATS + COMPLEX

PAIRS: tuple[tuple[Shape, Shape], ...] = (
    ((3,), (3,)), ((), ()), ((2, 3), (3,)), ((), (2, 3)), ((2, 1), (1, 3)), ((2, 3), ()), ((0, 3), (3,)), ((0,), (1,)),
    ((2, 1, 2), (1, 3, 1)), ((3,), (1, 2, 1, 3)),
)  # fmt: skip
TRIPLES: tuple[tuple[Shape, Shape, Shape], ...] = (
    ((3,), (3,), (3,)), ((), (), ()), ((2, 3), (3,), (2, 1)), ((2, 1), (), (1, 3)), ((0, 3), (3,), ()),
    ((1, 2, 1, 3), (2, 3), (3,)),
)  # fmt: skip

_FLOAT_LITERALS = (2.0, -0.71875)
_LITERALS: dict[str, tuple[Any, ...]] = {"i": (2, -3), "u": (2,), "c": (2.0 + 0j, 0.5 - 1.5j), "b": (True,)}


def literals(dtype: DType) -> tuple[Any, ...]:
    """Python scalars that stand beside tensors of `dtype`."""
    return _LITERALS.get(dtype.kind, _FLOAT_LITERALS)


def unary(
    prim: Primitive, domain: Domain, dtypes: Sequence[DType] = INEXACT, params: Sequence[dict[str, Any]] = ({},)
) -> Sample:
    """A row for one operand from `domain`."""
    return Sample(
        prim,
        lambda: [
            Layout((Arg(shape, dtype, domain),), param)
            for shape, param, dtype in itertools.product(SHAPES, params, dtypes)
        ],
    )


def binary(
    prim: Primitive,
    a: Domain,
    b: Domain,
    dtypes: Sequence[DType] = INEXACT,
    *,
    scalars: Sequence[int] = (0, 1),
    positive: bool = False,
) -> Sample:
    """A row for two operands that broadcast; at the positions `scalars`, Python scalars (`positive` ones) as well."""

    def layouts() -> Iterator[Layout]:
        for dtype, (left, right) in itertools.product(dtypes, PAIRS):
            yield Layout((Arg(left, dtype, a), Arg(right, dtype, b)))
        for dtype, position, shape in itertools.product(dtypes, scalars, SHAPES[:3]):
            for literal in literals(dtype):
                if not (positive and literal.real < 0):
                    arg = Arg(shape, dtype, b if position == 0 else a)
                    yield Layout((literal, arg) if position == 0 else (arg, literal))

    return Sample(prim, lambda: list(layouts()))


def _where_layouts() -> Iterator[Layout]:
    flag = np.dtype(np.bool_)
    for dtype, (condition, a, b) in itertools.product(NUMBERS + BOOL, TRIPLES):
        yield Layout((Arg(condition, flag), Arg(a, dtype), Arg(b, dtype)))
    for dtype, (condition, a, _) in itertools.product(INEXACT, TRIPLES[:4]):
        literal = literals(dtype)[1]
        yield Layout((Arg(condition, flag), Arg(a, dtype), literal))
        yield Layout((Arg(condition, flag), literal, Arg(a, dtype)))


def _clip_layouts() -> Iterator[Layout]:
    for dtype, (a, low, high) in itertools.product(REALS + BOOL, TRIPLES):
        yield Layout((Arg(a, dtype, GRID), Arg(low, dtype, BELOW), Arg(high, dtype, OVER)))
        yield Layout((Arg(a, dtype, GRID), Arg(low, dtype, OVER), Arg(high, dtype, BELOW)))
    for dtype, shape in itertools.product(FLOATS, SHAPES):
        yield Layout((Arg(shape, dtype, GRID), -0.71875, 0.53125))
        yield Layout((Arg(shape, dtype, GRID), float("-inf"), 0.53125))
        yield Layout((Arg(shape, dtype, GRID), Arg((), dtype, BELOW), float("inf")))


_EXPONENTS: tuple[tuple[tuple[Any, ...], Domain, tuple[DType, ...]], ...] = (
    ((2, 0, 1, 3), ANY, FLOATS + INTEGERS),
    ((-1, -2), NONZERO, FLOATS),
    ((0.5, 2.5, -1.5), POSITIVE, FLOATS),
    ((2 + 0j, 0.5 - 1.5j, -1 + 0j), OFF_AXES, COMPLEX),
)


def _pow_scalar_layouts() -> Iterator[Layout]:
    for exponents, domain, dtypes in _EXPONENTS:
        for exponent, dtype, shape in itertools.product(exponents, dtypes, SHAPES[:5]):
            yield Layout((Arg(shape, dtype, domain),), {"exponent": exponent})


def _pow_layouts() -> Sequence[Layout]:
    inexact = binary(arithmetic.pow_, POSITIVE, OFF_AXES, INEXACT, scalars=(0,), positive=True)
    return [*inexact.layouts, *binary(arithmetic.pow_, ANY, POSITIVE, INTEGERS, scalars=()).layouts]


_SOFTPLUS = tuple({"beta": beta, "threshold": threshold} for beta in (1.0, 2.0, 0.5) for threshold in (20.0, 1.0))

ELEMENTWISE: tuple[Sample, ...] = (
    # analytic
    unary(analytic.exp, CURVED),
    unary(analytic.exp2, CURVED),
    unary(analytic.expm1, CURVED),
    unary(analytic.log, POSITIVE),
    unary(analytic.log2, POSITIVE),
    unary(analytic.log10, POSITIVE),
    unary(analytic.log1p, UNIT),
    unary(analytic.sqrt, POSITIVE),
    unary(analytic.rsqrt, POSITIVE),
    unary(analytic.sin, CURVED),
    unary(analytic.cos, CURVED),
    unary(analytic.tan, UNIT),
    unary(analytic.asin, UNIT),
    unary(analytic.acos, UNIT),
    unary(analytic.atan, OFF_AXES),
    binary(analytic.atan2, NONZERO, ANY, FLOATS, scalars=()),
    binary(analytic.hypot, NONZERO, ANY, FLOATS, scalars=()),
    unary(analytic.sinh, CURVED),
    unary(analytic.cosh, CURVED),
    unary(analytic.tanh, CURVED),
    unary(analytic.asinh, OFF_AXES),
    unary(analytic.acosh, ABOVE_ONE),
    unary(analytic.atanh, UNIT),
    unary(analytic.erf, CURVED, FLOATS),
    unary(analytic.sigmoid, CURVED),
    unary(analytic.softplus, OFF_GRID, FLOATS, _SOFTPLUS),
    unary(analytic.gelu, CURVED, FLOATS),
    # arithmetic
    binary(arithmetic.add, ANY, ANY, NUMBERS + BOOL),
    binary(arithmetic.sub, ANY, ANY, NUMBERS),
    unary(arithmetic.neg, ANY, NUMBERS),
    binary(arithmetic.mul, ANY, ANY, NUMBERS + BOOL),
    binary(arithmetic.div, ANY, NONZERO, scalars=(1,)),
    unary(arithmetic.reciprocal, NONZERO),
    Sample(arithmetic.pow_scalar, lambda: list(_pow_scalar_layouts())),
    Sample(arithmetic.pow_, _pow_layouts),
    binary(arithmetic.remainder, OFF_INTEGERS, SAFE_DIVISORS, REALS, scalars=(1,)),
    binary(arithmetic.floor_divide, OFF_INTEGERS, SAFE_DIVISORS, REALS, scalars=(1,)),
    binary(arithmetic.fmod, OFF_INTEGERS, SAFE_DIVISORS, REALS, scalars=(1,)),
    unary(arithmetic.abs_, NONZERO, NUMBERS),
    unary(arithmetic.sign, NONZERO, NUMBERS),
    unary(arithmetic.floor, OFF_INTEGERS, FLOATS),
    unary(arithmetic.ceil, OFF_INTEGERS, FLOATS),
    unary(arithmetic.trunc, OFF_INTEGERS, FLOATS),
    unary(arithmetic.round_, OFF_INTEGERS, FLOATS),
    Sample(arithmetic.where, lambda: list(_where_layouts())),
    binary(arithmetic.maximum, GRID, OFF_GRID, REALS + BOOL, scalars=()),
    binary(arithmetic.minimum, GRID, OFF_GRID, REALS + BOOL, scalars=()),
    Sample(arithmetic.clip, lambda: list(_clip_layouts())),
    unary(arithmetic.relu, NONZERO, REALS),
    binary(arithmetic.threshold_backward, ANY, NONZERO, FLOATS, scalars=()),
    unary(arithmetic.conj, ANY, COMPLEX),
    unary(arithmetic.real, ANY, COMPLEX),
    unary(arithmetic.imag, ANY, COMPLEX),
    # comparison
    binary(comparison.eq, TIES, TIES, NUMBERS + BOOL),
    binary(comparison.ne, TIES, TIES, NUMBERS + BOOL),
    binary(comparison.lt, TIES, TIES, REALS + BOOL),
    binary(comparison.le, TIES, TIES, REALS + BOOL),
    binary(comparison.gt, TIES, TIES, REALS + BOOL),
    binary(comparison.ge, TIES, TIES, REALS + BOOL),
    binary(comparison.bitwise_and, ANY, ANY, INTEGERS + BOOL),
    binary(comparison.bitwise_or, ANY, ANY, INTEGERS + BOOL),
    binary(comparison.bitwise_xor, ANY, ANY, INTEGERS + BOOL),
    unary(comparison.bitwise_not, ANY, INTEGERS + BOOL),
    unary(comparison.isnan, SPECIAL, NUMBERS + BOOL),
    unary(comparison.isinf, SPECIAL, NUMBERS + BOOL),
    unary(comparison.isfinite, SPECIAL, NUMBERS + BOOL),
    unary(comparison.signbit, SPECIAL, FLOATS),
)
