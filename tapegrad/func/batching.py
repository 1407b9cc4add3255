"""Batching rules: what a primitive does to operands some of which are whole batches, the batch dim first.

A rule is given a `Batched` application and returns the batch of its results. It consists of primitives applied to
tensors, so that the graph around it is recorded. A primitive without a rule is applied example by example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ops.creation import new_leaf
from ..primitives import (
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
from ..primitives.precision import is_half
from ..tape import Primitive, TensorBase, apply

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["RULES", "Batched", "batched", "example_by_example", "spread"]

Shape = tuple[int, ...]


class Batched(NamedTuple):
    """`prim(*operands, **params)` for `size` examples; `mapped` says which operands are batches, the batch dim first.

    The parameters are those of one example. `like` has the shape and the dtype of the result for one example.
    """

    prim: Primitive
    operands: tuple[Any, ...]
    mapped: tuple[bool, ...]
    params: dict[str, Any]
    size: int
    like: np.ndarray[Any, Any]

    def ndim(self, i: int) -> int:
        """The number of dims of an operand in one example."""
        operand = self.operands[i]
        return operand._array.ndim - self.mapped[i] if isinstance(operand, TensorBase) else 0

    def batch(self, i: int) -> Tensor:
        """An operand as a batch, one that is the same for all examples repeated."""
        operand: Any = self.operands[i]
        return operand if self.mapped[i] else spread(operand, self.size)

    def with_params(self, **changed: Any) -> Tensor:
        """The primitive of the operands, all as batches, with some parameters changed."""
        return apply(self.prim, tuple([self.batch(i) for i in range(len(self.operands))]), {**self.params, **changed})


Rule = Callable[[Batched], Any]


def spread(x: Any, size: int) -> Tensor:
    """`x` as a batch of `size` examples that are all the same."""
    return apply(shaping.broadcast_to, (x,), {"shape": (size, *x._array.shape)})


def batched(call: Batched) -> Tensor:
    """The results for all examples, the batch dim first."""
    rule = _elementwise if call.prim.elementwise else RULES.get(call.prim, example_by_example)
    return rule(call)


def example_by_example(call: Batched) -> Tensor:
    """The primitive of each example, and the results stacked: right for any primitive that can be applied."""
    if not call.size:
        empty = np.zeros((0, *call.like.shape), call.like.dtype)
        return new_leaf(empty)
    rows = []
    for i in range(call.size):
        at = {"index": (i,)}
        operands = [
            apply(shaping.slice_, (x,), at) if m else x for x, m in zip(call.operands, call.mapped, strict=True)
        ]
        out = apply(call.prim, tuple(operands), call.params)
        rows.append(shaping.reshape(out, shape=(1, *out._array.shape)))
    return apply(shaping.concatenate, tuple(rows), {"axis": 0})


# Element by element


def _elementwise(call: Batched) -> Tensor:
    """Dims of length one are put in behind the batch dim where an operand has fewer dims than another."""
    ndim = max([call.ndim(i) for i in range(len(call.operands))])
    operands = []
    for i, operand in enumerate(call.operands):
        missing = ndim - call.ndim(i)
        if call.mapped[i] and missing:
            operand = shaping.slice_(operand, index=(slice(None), *[None] * missing))
        operands.append(operand)
    return apply(call.prim, tuple(operands), call.params)


def _same(call: Batched) -> Tensor:
    """A primitive to which one dim more makes no difference."""
    return call.with_params()


# Along axes


def _along(call: Batched) -> Tensor:
    return call.with_params(axis=call.params["axis"] + 1)


def _over(call: Batched) -> Tensor:
    return call.with_params(axes=_behind(call.params["axes"]))


def _behind(axes: Shape) -> Shape:
    return tuple([axis + 1 for axis in axes])


# Shapes


def _into_shape(call: Batched) -> Tensor:
    return call.with_params(shape=(call.size, *call.params["shape"]))


def _permute(call: Batched) -> Tensor:
    return call.with_params(axes=(0, *_behind(call.params["axes"])))


def _broadcast_to(call: Batched) -> Tensor:
    shape = call.params["shape"]
    missing = [None] * (len(shape) - call.ndim(0))
    x = call.operands[0]
    if missing:
        x = shaping.slice_(x, index=(slice(None), *missing))
    return shaping.broadcast_to(x, shape=(call.size, *shape))


def _at_index(call: Batched) -> Tensor:
    return call.with_params(index=(slice(None), *call.params["index"]))


def _unslice(call: Batched) -> Tensor:
    params = call.params
    return call.with_params(shape=(call.size, *params["shape"]), index=(slice(None), *params["index"]))


# Views of memory in order: the examples follow each other


def _count(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _as_strided(call: Batched) -> Tensor:
    params = call.params
    step = _count(call.operands[0]._array.shape[1:])
    return call.with_params(shape=(call.size, *params["shape"]), strides=(step, *params["strides"]))


def _as_strided_add(call: Batched) -> Tensor:
    params = call.params
    step = _count(params["into"])
    return call.with_params(into=(call.size, *params["into"]), strides=(step, *params["strides"]))


def _as_strided_scatter(call: Batched) -> Tensor:
    base = call.batch(0)
    return call.with_params(strides=(_count(base._array.shape[1:]), *call.params["strides"]))


def _diagonal(call: Batched) -> Tensor:
    return call.with_params(axis1=call.params["axis1"] + 1, axis2=call.params["axis2"] + 1)


# Products


def _matmul(call: Batched) -> Tensor:
    """Where one operand is a matrix, the same for all examples, one large product does for all."""
    a, b = call.operands
    if call.ndim(0) > 2 or all(call.mapped):
        return call.with_params()
    if call.mapped[0]:
        size, rows, inner = a._array.shape
        out = linalg.matmul(shaping.reshape(a, shape=(size * rows, inner)), b)
        return shaping.reshape(out, shape=(size, rows, out._array.shape[1]))
    size, inner, columns = b._array.shape
    side = shaping.reshape(shaping.permute(b, axes=(1, 0, 2)), shape=(inner, size * columns))
    out = linalg.matmul(a, side)
    wide = shaping.reshape(out, shape=(out._array.shape[0], size, columns))
    return shaping.permute(wide, axes=(1, 0, 2))


# Convolutions: the examples become more of a batch where they share a kernel, else more groups


def _convolution(call: Batched) -> Tensor:
    """`conv` and `conv_transpose`."""
    if not call.size:
        return example_by_example(call)
    if not call.mapped[1]:
        x = call.operands[0]
        size, n, *rest = x._array.shape
        out = apply(call.prim, (shaping.reshape(x, shape=(size * n, *rest)), call.operands[1]), call.params)
        return shaping.reshape(out, shape=(size, n, *out._array.shape[1:]))
    w = call.operands[1]
    kernels = shaping.reshape(w, shape=(w._array.shape[0] * w._array.shape[1], *w._array.shape[2:]))
    return _apart(_in_groups(call, _beside(call.batch(0)), kernels), call.size)


def _conv_weight(call: Batched) -> Tensor:
    if not call.size:
        return example_by_example(call)
    out = _in_groups(call, _beside(call.batch(0)), _beside(call.batch(1)))
    return shaping.reshape(out, shape=(call.size, *call.like.shape))


def _in_groups(call: Batched, *operands: Tensor) -> Tensor:
    return apply(call.prim, operands, {**call.params, "groups": call.params["groups"] * call.size})


def _beside(x: Any) -> Tensor:
    """The channels of all examples beside each other."""
    size, n, channels, *rest = x._array.shape
    return shaping.reshape(_moved(x, 0, 1, 1), shape=(n, size * channels, *rest))


def _apart(x: Any, size: int) -> Tensor:
    n, channels, *rest = x._array.shape
    return _moved(shaping.reshape(x, shape=(n, size, channels // size, *rest)), 1, 1, 0)


# Positions along one axis: those of each example are moved into a part of their own of one long axis


def _moved(x: Any, source: int, count: int, target: int) -> Any:
    """`x` with `count` axes from `source` on moved to `target`."""
    if source == target:
        return x
    axes = list(range(x._array.ndim))
    block = axes[source : source + count]
    del axes[source : source + count]
    return shaping.permute(x, axes=(*axes[:target], *block, *axes[target:]))


def _one_axis(a: Any, axis: int) -> Any:
    """A batch with its axis `axis` (of an example) made one with the batch dim, in front."""
    front = _moved(a, axis + 1, 1, 1)
    shape = front._array.shape
    return shaping.reshape(front, shape=(shape[0] * shape[1], *shape[2:]))


def _own_parts(index: Any, n: int) -> Any:
    """Positions in an axis of length `n`, by example, as positions in one axis for all examples."""
    shape = index._array.shape
    starts = np.arange(shape[0], dtype=np.int64) * n
    return arithmetic.add(index, new_leaf(starts.reshape(-1, *[1] * (len(shape) - 1))))


def _take(call: Batched) -> Tensor:
    a, index = call.operands
    axis = call.params["axis"]
    if not call.mapped[1]:
        return call.prim(a, index, axis=axis + 1)
    if not call.mapped[0]:
        return _moved(call.prim(a, index, axis=axis), axis, 1, 0)
    n = a._array.shape[axis + 1]
    found = call.prim(_one_axis(a, axis), _own_parts(index, n), axis=0)
    return _moved(found, 1, call.ndim(1), axis + 1)


def _take_add(call: Batched) -> Tensor:
    g, index = call.batch(0), call.operands[1]
    axis, n = call.params["axis"], call.params["size"]
    if not call.mapped[1]:
        return call.prim(g, index, axis=axis + 1, size=n)
    front = _moved(g, axis + 1, call.ndim(1), 1)
    out = call.prim(front, _own_parts(index, n), axis=0, size=call.size * n)
    return _placed(out, call.size, n, axis)


def _placed(x: Any, size: int, n: int, axis: int) -> Tensor:
    return _moved(shaping.reshape(x, shape=(size, n, *x._array.shape[1:])), 1, 1, axis + 1)


def _put(call: Batched) -> Tensor:
    base, new, index = call.batch(0), call.batch(1), call.operands[2]
    axis = call.params["axis"]
    if not call.mapped[2]:
        return call.prim(base, new, index, axis=axis + 1)
    n = base._array.shape[axis + 1]
    front = _moved(new, axis + 1, call.ndim(2), 1)
    out = call.prim(_one_axis(base, axis), front, _own_parts(index, n), axis=0)
    return _placed(out, call.size, n, axis)


# Losses


def _nll_loss(call: Batched) -> Tensor:
    """The losses of all examples, reduced within each."""
    logs, target = call.batch(0), call.batch(1)
    params = {**call.params, "axis": call.params["axis"] + 1, "reduction": "none"}
    if call.params["reduction"] == "none":
        return apply(call.prim, (logs, target), params)
    d = logs._array.dtype
    wide = np.dtype(np.float32) if is_half(d) else d
    each = apply(call.prim, (structure.cast(logs, dtype=wide) if wide != d else logs, target), params)
    axes = tuple(range(1, each._array.ndim))
    out = reductions.reduce_sum(each, axes=axes, keepdims=False)
    if call.params["reduction"] == "mean":
        kept = structure.cast(comparison.ne(target, call.params["ignore_index"]), dtype=wide)
        out = arithmetic.div(out, reductions.reduce_sum(kept, axes=axes, keepdims=False))
    return structure.cast(out, dtype=d) if wide != d else out


RULES: dict[Primitive, Rule] = {
    # element by element, though not declared so
    structure.cast: _same,
    structure.stop_gradient: _same,
    structure.rebind: _same,
    structure.opaque: _same,
    structure.barrier: _same,
    arithmetic.real: _same,
    arithmetic.imag: _same,
    views.view_as_real: _same,
    views.view_as_complex: _same,
    views.bitcast: _same,
    # along the last axes
    pooling.max_pool: _same,
    pooling.max_pool_index: _same,
    pooling.max_pool_place: _same,
    pooling.max_pool_pick: _same,
    pooling.avg_pool: _same,
    pooling.avg_pool_adjoint: _same,
    # along one axis or over several
    reductions.argmax: _along,
    reductions.argmin: _along,
    reductions.cumsum: _along,
    reductions.softmax: _along,
    reductions.log_softmax: _along,
    indexing.argsort: _along,
    reductions.reduce_sum: _over,
    reductions.reduce_mean: _over,
    reductions.reduce_max: _over,
    reductions.reduce_min: _over,
    reductions.any_: _over,
    reductions.all_: _over,
    reductions.var: _over,
    reductions.std: _over,
    reductions.logsumexp: _over,
    normalization.standardize: _over,
    shaping.flip: _over,
    # shapes and views
    shaping.reshape: _into_shape,
    shaping.permute: _permute,
    shaping.broadcast_to: _broadcast_to,
    shaping.slice_: _at_index,
    shaping.slice_scatter: _at_index,
    shaping.unslice: _unslice,
    shaping.concatenate: _along,
    views.as_strided: _as_strided,
    views.as_strided_add: _as_strided_add,
    views.as_strided_scatter: _as_strided_scatter,
    views.diagonal: _diagonal,
    views.unfold: _along,
    # products, indexing, losses
    linalg.matmul: _matmul,
    # random numbers (of several generators)
    random.random_bits: example_by_example,
    random.random_advance: example_by_example,
    random.search_sorted: _same,
    convolution.conv: _convolution,
    convolution.conv_transpose: _convolution,
    convolution.conv_weight: _conv_weight,
    indexing.take: _take,
    indexing.take_add: _take_add,
    indexing.put: _put,
    indexing.gather: _along,
    indexing.scatter_add: _along,
    losses.nll_loss: _nll_loss,
}
"""The rules, besides that of all element-wise primitives."""
