"""Whole jacobians: `jacrev` and `jacfwd` map `vjp` and `jvp` over the vectors of a basis; `hessian` is both."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.creation import new_leaf
from ..ops.joining import cat
from ..ops.reshaping import movedim, reshape, squeeze, unsqueeze
from ..tree import flatten, unflatten
from .arguments import Argnums, chosen, require_real
from .forward import jvp_with_argnums
from .reverse import vjp_with_argnums
from .vmap import vmap

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["hessian", "jacfwd", "jacrev"]

Func = Callable[..., Any]


def jacrev(
    func: Func,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Func:
    """The jacobian of `func` by reverse mode, as a function of the same arguments.

    Args:
        func: returns real tensors, or containers of them; with `has_aux` a pair of that and tensors to hand out.
        argnums: the positions of the arguments to differentiate by: real tensors, or containers of them.
        has_aux: whether to return a pair, too: the jacobian and what `func` hands out.
        chunk_size: how many rows to compute at once (None: all); with 1 each by itself, without `vmap`.

    The jacobian has the structure of the output, and in each place that of the argument (of the arguments, for a tuple
    of positions): a tensor of the shape of the one followed by that of the other.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func, updated=())
    def call(*args: Any) -> Any:
        require_real("jacrev", flatten(args)[0], "inputs")
        output, pull, *aux = vjp_with_argnums(func, args, argnums, has_aux)
        flat, shape = flatten(output)
        require_real("jacrev", flat, "outputs")
        primals, structure = flatten(chosen(args, argnums))
        rows = [_rows(pull, unflatten(shape, list(chunk)), chunk_size) for chunk in _bases(flat, chunk_size)]
        stacked = [cat(parts, 0) if len(parts) > 1 else parts[0] for parts in zip(*rows, strict=True)]
        sizes = [out._array.size for out in flat]
        split = [_split(column, sizes, 0) for column in stacked]  # by primal, then by output
        found = [
            [reshape(part, (*out._array.shape, *x._array.shape)) for part, x in zip(row, primals, strict=True)]
            for row, out in zip(zip(*split, strict=True), flat, strict=True)
        ]
        jacobian = unflatten(shape, [_by_argument(structure, row, argnums) for row in found])
        return (jacobian, *aux) if has_aux else jacobian

    return call


def _rows(pull: Func, basis: Any, chunk_size: int | None) -> list[Any]:
    """The gradients for each vector of `basis`, in front."""
    if chunk_size == 1:
        leaves, shape = flatten(basis)
        found = flatten(pull(unflatten(shape, [squeeze(leaf, 0) for leaf in leaves])))[0]
        return [unsqueeze(g, 0) for g in found]
    return flatten(vmap(pull)(basis))[0]


def _bases(tensors: Sequence[Any], chunk_size: int | None) -> Iterator[tuple[Tensor, ...]]:
    """Unit vectors of the space of all elements of `tensors`, some at a time: for each tensor its part of them."""
    sizes = [t._array.size for t in tensors]
    total = sum(sizes)
    step = total if chunk_size is None else chunk_size
    starts = [0, *itertools.accumulate(sizes)]
    for first in range(0, max(total, 1), max(step, 1)):
        count = min(step, total - first)
        parts = []
        for t, start, size in zip(tensors, starts, sizes, strict=False):
            part = np.zeros((count, size), t._array.dtype)
            part[np.arange(count)[:, None] + first == start + np.arange(size)] = 1
            parts.append(new_leaf(part.reshape(count, *t._array.shape)))
        yield tuple(parts)


def _split(x: Any, sizes: Sequence[int], dim: int) -> list[Any]:
    """`x` in parts of these sizes along one dim."""
    starts = itertools.accumulate(sizes, initial=0)
    return [x.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=False)]


def _by_argument(structure: Any, parts: list[Any], argnums: Argnums | None) -> Any:
    found = unflatten(structure, parts)
    return found[0] if isinstance(argnums, int) else found


def jacfwd(func: Func, argnums: Argnums | None = 0, has_aux: bool = False, *, randomness: str = "error") -> Func:
    """The jacobian of `func` by forward mode, as a function of the same arguments; arguments and result as `jacrev`.

    `randomness` is that of `vmap`.
    """

    @functools.wraps(func, updated=())
    def call(*args: Any) -> Any:
        require_real("jacfwd", flatten(args)[0], "inputs")
        primals, structure = flatten(args if argnums is None else chosen(args, argnums))
        sizes = [x.numel() for x in primals]
        (basis,) = _bases(primals, None)

        def push(tangents: Any) -> Any:
            output, *found = jvp_with_argnums(func, args, tangents, argnums, False, has_aux)
            require_real("jacfwd", flatten(output)[0], "outputs")
            return found

        pushed, *aux = vmap(push, randomness=randomness)(unflatten(structure, list(basis)))
        flat, shape = flatten(pushed)
        found = [
            [
                _unflattened(part, x._array.shape)
                for part, x in zip(_split(movedim(t, 0, -1), sizes, -1), primals, strict=True)
            ]
            for t in flat
        ]
        jacobian = unflatten(shape, [_by_argument(structure, row, argnums) for row in found])
        return (jacobian, *[_first(part) for part in aux]) if has_aux else jacobian

    return call


def _unflattened(x: Any, shape: tuple[int, ...]) -> Tensor:
    """`x` with its last dim seen as dims of `shape`."""
    return reshape(x, (*x._array.shape[:-1], *shape))


def _first(tree: Any) -> Any:
    """What is the same for all, of a batch of it."""
    leaves, shape = flatten(tree)
    return unflatten(shape, [leaf[0] for leaf in leaves])


def hessian(func: Func, argnums: Argnums = 0) -> Func:
    """The matrix of second derivatives of `func`, as a function of the same arguments: `jacfwd` of `jacrev`."""
    return jacfwd(jacrev(func, argnums), argnums)
