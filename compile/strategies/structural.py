"""Sample rows of everything that is not element-wise: shaping, indexing, products, reductions, structure."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...primitives import indexing, linalg, losses, reductions, shaping, structure
from ...tape import Primitive
from .arrays import BOOL, COMPLEX, FLOATS, NUMBERS, REALS, DType, Shape
from .calls import Arg, Layout, Sample
from .domains import ANY, CURVED, DISTINCT, POSITIVE, TIES, Domain, positions

__all__ = ["STRUCTURAL"]

INEXACT = FLOATS + COMPLEX
INDEX = np.dtype(np.int64)
ALL = NUMBERS + BOOL

# Shaping

_RESHAPES: tuple[tuple[Shape, Shape], ...] = (
    ((2, 3), (6,)), ((2, 3), (3, 2)), ((), (1, 1)), ((1,), ()), ((0, 2), (3, 0)), ((1, 2, 1, 3), (2, 3)),
    ((6,), (1, 2, 3)),
)  # fmt: skip
_PERMUTATIONS: tuple[tuple[Shape, Shape], ...] = (
    ((2, 3), (1, 0)), ((), ()), ((3,), (0,)), ((2, 1, 3), (2, 0, 1)), ((1, 2, 1, 3), (3, 1, 0, 2)), ((0, 2), (1, 0)),
)  # fmt: skip
_BROADCASTS: tuple[tuple[Shape, Shape], ...] = (
    ((3,), (2, 3)), ((), (2, 2)), ((2, 1), (2, 3)), ((2, 3), (2, 3)), ((1, 3, 1), (2, 2, 3, 2)), ((1,), (0,)),
    ((0, 1), (2, 0, 3)), ((1,), (1, 1)),
)  # fmt: skip
_FLIPS = ((3,), (0,)), ((2, 3), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 1, 3), (0, 2)), ((0, 2), (1,)), ((2,), ())
_CATS: tuple[tuple[tuple[Shape, ...], int], ...] = (
    (((2,), (3,)), 0), (((2, 3), (1, 3)), 0), (((2, 1), (2, 2), (2, 3)), 1), (((1, 2, 2), (1, 1, 2)), 1), (((3,),), 0),
    (((2, 0), (2, 2)), 1), (((0, 2), (0, 2)), 0),
)  # fmt: skip

_PICKS: tuple[Any, ...] = (
    slice(None), 1, slice(1, None), slice(None, None, -1), slice(0, 3, 2), slice(2, 0, -1), slice(2, None, -2), 0,
    slice(1, 1),
)  # fmt: skip


def _indices() -> Iterator[tuple[Shape, tuple[Any, ...]]]:
    """Shapes with basic indices: ints, slices with steps of either sign, new axes."""
    for pick in _PICKS:
        yield (3,), (pick,)
    for first, second in itertools.product(_PICKS, _PICKS):
        yield (3, 3), (first, second)
        yield (3, 3), (first, None, second)
    yield from [((), ()), ((), (None,)), ((3,), (None, slice(None), None)), ((0, 3), (slice(None), 1))]
    yield (2, 1, 3, 2), (slice(None, None, -1), 0, None, slice(1, None), slice(None))


_SLICES = tuple(_indices())


def _shape_layouts(name: str, cases: Sequence[tuple[Shape, Any]], dtypes: Sequence[DType] = ALL) -> list[Layout]:
    """One operand of any number, and one parameter."""
    return [Layout((Arg(shape, dtype),), {name: value}) for (shape, value), dtype in itertools.product(cases, dtypes)]


def _seen(shape: Shape, index: tuple[Any, ...]) -> Shape:
    return np.empty(shape)[index].shape


def _unslice_layouts() -> Iterator[Layout]:
    for (shape, index), dtype in itertools.product(_SLICES, ALL):
        yield Layout((Arg(_seen(shape, index), dtype),), {"shape": shape, "index": index})


def _slice_scatter_layouts() -> Iterator[Layout]:
    for (shape, index), dtype in itertools.product(_SLICES, ALL):
        yield Layout((Arg(shape, dtype), Arg(_seen(shape, index), dtype)), {"index": index})


def _concatenate_layouts() -> Iterator[Layout]:
    for (shapes, axis), dtype in itertools.product(_CATS, ALL):
        yield Layout(tuple(Arg(shape, dtype) for shape in shapes), {"axis": axis})


# Indexing

_TAKES: tuple[tuple[Shape, int, Shape], ...] = (
    ((3,), 0, (4,)), ((3,), 0, ()), ((2, 3), 1, (2, 2)), ((3, 2), 0, (3,)), ((2, 3, 2), 1, (2,)), ((3,), 0, (0,)),
    ((0, 3), 1, (2,)), ((2, 3, 1), 1, (1, 2)),
)  # fmt: skip
_GATHERS: tuple[tuple[Shape, int, Shape], ...] = (
    ((3,), 0, (4,)), ((2, 3), 1, (2, 2)), ((2, 3), 0, (3, 3)), ((2, 3, 2), 1, (2, 4, 2)), ((2, 3), 1, (2, 0)),
    ((3, 0), 0, (2, 0)),
)  # fmt: skip


def _replaced(shape: Shape, axis: int, index: Shape) -> Shape:
    return (*shape[:axis], *index, *shape[axis + 1 :])


def _indexing_layouts(kind: str) -> Iterator[Layout]:
    cases = _TAKES if kind in {"take", "take_add", "put"} else _GATHERS
    for (shape, axis, at), dtype in itertools.product(cases, ALL):
        size = shape[axis]
        if kind == "put" and np.prod(at) > size:
            continue
        index = Arg(at, INDEX, positions(size), unique=kind == "put")
        picked = Arg(_replaced(shape, axis, at) if cases is _TAKES else at, dtype)
        if kind in {"take", "gather"}:
            yield Layout((Arg(shape, dtype), index), {"axis": axis})
        elif kind == "put":
            yield Layout((Arg(shape, dtype), picked, index), {"axis": axis})
        else:
            yield Layout((picked, index), {"axis": axis, "size": size})


def _indexing(prim: Primitive) -> Sample:
    return Sample(prim, lambda: list(_indexing_layouts(prim.name)))


# Products

_PRODUCTS: tuple[tuple[Shape, Shape], ...] = (
    ((2, 3), (3, 2)), ((1, 3), (3, 1)), ((2, 2, 3), (2, 3, 1)), ((2, 1), (1, 3)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
    ((1, 2, 2, 2), (1, 2, 2, 3)),
)  # fmt: skip


def _matmul_layouts() -> Iterator[Layout]:
    for (left, right), dtype in itertools.product(_PRODUCTS, NUMBERS):
        yield Layout((Arg(left, dtype), Arg(right, dtype)))


# Reductions

_REDUCED: tuple[Shape, ...] = ((3,), (2, 3), (), (2, 3, 2), (1, 2, 1, 3), (1,))
_EMPTY: tuple[tuple[Shape, tuple[int, ...]], ...] = (((0, 3), (1,)), ((2, 0, 3), (0, 2)))


def _axes(shape: Shape) -> Iterator[tuple[int, ...]]:
    """All tuples of axes to reduce over: at least one where there is one."""
    for count in range(len(shape), 0 if shape else -1, -1):
        yield from itertools.combinations(range(len(shape)), count)


def _reduced() -> Iterator[tuple[Shape, tuple[int, ...]]]:
    for shape in _REDUCED:
        for axes in _axes(shape):
            yield shape, axes
    yield from _EMPTY


def _reduction_layouts(
    domain: Domain, dtypes: Sequence[DType], unique: bool, params: Sequence[dict[str, Any]], smallest: float
) -> Iterator[Layout]:
    for (shape, axes), keepdims, param, dtype in itertools.product(_reduced(), (False, True), params, dtypes):
        if int(np.prod([shape[axis] for axis in axes])) - param.get("correction", 0) >= smallest:
            yield Layout((Arg(shape, dtype, domain, unique),), {"axes": axes, "keepdims": keepdims, **param})


def _reduction(
    prim: Primitive,
    domain: Domain,
    dtypes: Sequence[DType] = INEXACT,
    *,
    unique: bool = False,
    params: Sequence[dict[str, Any]] = ({},),
    smallest: float = 0,
) -> Sample:
    """A row for a reduction; `smallest` is the least number of elements (less `correction`) to reduce."""
    return Sample(prim, lambda: list(_reduction_layouts(domain, dtypes, unique, params, smallest)))


def _sum_layouts() -> Iterator[Layout]:
    yield from _reduction_layouts(ANY, NUMBERS, False, ({},), 0)
    for dtype, keepdims in itertools.product(NUMBERS, (False, True)):
        yield Layout((Arg((0, 3), dtype),), {"axes": (0,), "keepdims": keepdims})


_ALONG: tuple[tuple[Shape, int], ...] = (
    ((3,), 0), ((2, 3), 1), ((2, 3), 0), ((2, 3, 2), 1), ((1, 2, 1, 3), 3), ((1,), 0), ((0, 3), 1),
)  # fmt: skip


def _scan(prim: Primitive, domain: Domain, dtypes: Sequence[DType], *, unique: bool = False) -> Sample:
    """A row for a primitive along one axis."""
    return Sample(
        prim,
        lambda: [
            Layout((Arg(shape, dtype, domain, unique),), {"axis": axis})
            for (shape, axis), dtype in itertools.product(_ALONG, dtypes)
        ],
    )


def _arg(prim: Primitive) -> Sample:
    """A row for argmax or argmin; the ties are of exact numbers, of which the first counts."""
    distinct, tied = _scan(prim, DISTINCT, REALS, unique=True), _scan(prim, TIES, REALS)
    return Sample(prim, lambda: [*distinct.layouts, *tied.layouts])


_CORRECTIONS = tuple({"correction": correction} for correction in (1, 0, 0.5))

# Losses

_LOSSES: tuple[tuple[Shape, int, Shape], ...] = (
    ((2, 3), 1, (2,)), ((3,), 0, ()), ((2, 3, 2), 1, (2, 2)), ((3, 2), 0, (2,)), ((0, 3), 1, (0,)),
)  # fmt: skip


def _nll_loss_layouts() -> Iterator[Layout]:
    """Some targets are ignored, never all: the mean of none is nan."""
    for (shape, axis, at), dtype, reduction in itertools.product(_LOSSES, FLOATS, ("mean", "sum", "none")):
        for ignore in (-100, 1) if at == (2,) else (-100,):
            if not (reduction == "mean" and 0 in at):
                target = Arg(at, INDEX, positions(shape[axis]), unique=ignore == 1)
                params = {"axis": axis, "ignore_index": ignore, "reduction": reduction}
                yield Layout((Arg(shape, dtype), target), params)


# Structure

_VALUES: tuple[Any, ...] = (
    np.float32(2.5), np.array([1.0, -2.0]), np.array([[1, 2], [3, 4]]), np.array(1 + 2j), np.zeros((0, 2), np.float16),
)  # fmt: skip


def _cast_layouts() -> Iterator[Layout]:
    for source, target in itertools.product(ALL, ALL):
        if not (source.kind == "c" and target.kind in "iub"):
            for shape in ((3,), (), (0, 2)):
                yield Layout((Arg(shape, source, POSITIVE if target.kind == "u" else ANY),), {"dtype": target})


def _fills() -> Iterator[Layout]:
    for dtype, shape in itertools.product(ALL, ((2, 3), (), (0,))):
        yield Layout((), {"shape": shape, "value": 1 if dtype.kind in "iub" else 2.5, "dtype": dtype})


def _gradient_of_tanh(x: Any, g: Any) -> Any:
    """What makes a `backward` step: a gradient taken inside the function."""
    from ...autograd import grad
    from ...tape.apply import is_tensor

    if not (is_tensor(x) or is_tensor(g)):
        return g * np.conj(1 - np.tanh(x) ** 2)
    x = x if x.requires_grad else x.detach().requires_grad_()
    (found,) = grad(x.tanh(), (x,), (g,), create_graph=True)
    return found


def _jax_square(x: Any, g: Any) -> Any:
    """What makes a `jax_call` step: a JAX function, of which one result is used."""
    from ...tape.apply import is_tensor

    return _square_times()(x, g)[0] if is_tensor(x) or is_tensor(g) else x * x * g


@functools.cache
def _square_times() -> Any:
    import jax.numpy as jnp

    from ..foreign import from_jax

    return from_jax(lambda x, g: (x * x * g, jnp.argmax(jnp.abs(jnp.append(x, 0)))))


def _pairs(dtypes: Sequence[DType], domain: Domain = ANY) -> list[Layout]:
    shapes: tuple[Shape, ...] = ((3,), (), (2, 3), (0, 2))
    return [Layout((Arg(s, dtype, domain), Arg(s, dtype, domain))) for s, dtype in itertools.product(shapes, dtypes)]


STRUCTURAL: tuple[Sample, ...] = (
    # shaping
    Sample(shaping.reshape, lambda: _shape_layouts("shape", _RESHAPES)),
    Sample(shaping.permute, lambda: _shape_layouts("axes", _PERMUTATIONS)),
    Sample(shaping.broadcast_to, lambda: _shape_layouts("shape", _BROADCASTS)),
    Sample(shaping.flip, lambda: _shape_layouts("axes", _FLIPS)),
    Sample(shaping.slice_, lambda: _shape_layouts("index", _SLICES)),
    Sample(shaping.unslice, lambda: list(_unslice_layouts())),
    Sample(shaping.slice_scatter, lambda: list(_slice_scatter_layouts())),
    Sample(shaping.concatenate, lambda: list(_concatenate_layouts())),
    # indexing
    _indexing(indexing.take),
    _indexing(indexing.take_add),
    _indexing(indexing.put),
    _indexing(indexing.gather),
    _indexing(indexing.scatter_add),
    _arg(indexing.argsort),
    # products
    Sample(linalg.matmul, lambda: list(_matmul_layouts())),
    # reductions
    Sample(reductions.reduce_sum, lambda: list(_sum_layouts())),
    _reduction(reductions.reduce_mean, ANY, smallest=1),
    _reduction(reductions.reduce_max, DISTINCT, REALS, unique=True, smallest=1),
    _reduction(reductions.reduce_min, DISTINCT, REALS, unique=True, smallest=1),
    _arg(reductions.argmax),
    _arg(reductions.argmin),
    _reduction(reductions.any_, ANY, BOOL),
    _reduction(reductions.all_, ANY, BOOL),
    _reduction(reductions.var, ANY, params=_CORRECTIONS, smallest=1),
    _reduction(reductions.std, DISTINCT, unique=True, params=_CORRECTIONS, smallest=1.5),
    _scan(reductions.cumsum, ANY, NUMBERS),
    _reduction(reductions.logsumexp, CURVED, smallest=1),
    _scan(reductions.softmax, ANY, FLOATS),
    _scan(reductions.log_softmax, ANY, FLOATS),
    # losses
    Sample(losses.nll_loss, lambda: list(_nll_loss_layouts())),
    # structure
    Sample(structure.cast, lambda: list(_cast_layouts())),
    Sample(structure.stop_gradient, lambda: [Layout(pair.operands[:1]) for pair in _pairs(ALL)], numeric=False),
    Sample(structure.rebind, lambda: _pairs(ALL), numeric=False),
    Sample(structure.opaque, lambda: [Layout(p.operands, {"what": "f"}) for p in _pairs(ALL)], numeric=False),
    Sample(structure.barrier, lambda: [Layout(pair.operands[:1]) for pair in _pairs(ALL)]),
    Sample(structure.constant, lambda: [Layout((), {"value": np.asarray(value)}) for value in _VALUES]),
    Sample(structure.full, lambda: list(_fills())),
    Sample(structure.backward, lambda: _pairs(INEXACT, CURVED), run=_gradient_of_tanh),
    Sample(structure.jax_call, lambda: _pairs(INEXACT), run=_jax_square),
)
