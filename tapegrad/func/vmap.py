"""`vmap`: a function of one example made one of a batch, by running it once on whole batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..autograd.lifted import settled
from ..errors import TapegradError
from ..ops.joining import cat
from ..ops.reshaping import movedim
from ..random import get_rng_state, set_rng_state
from ..tape import TensorBase, state
from ..tree import Structure, flatten, unflatten
from .batching import spread
from .vmap_level import Level

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["batch_size", "mapped", "spread_dims", "structure_text", "vmap", "whole"]

Dims = Any  # an int or None, or a container of them

_RANDOMNESS = ("error", "different", "same")


def vmap(
    func: Callable[..., Any],
    in_dims: Dims = 0,
    out_dims: Dims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """`func` of one example as a function of a batch of them, as `torch.func.vmap`.

    Args:
        func: takes and returns tensors, or containers of them.
        in_dims: the batch dim of each argument, None for one that is the same for all examples: one int for all, or
            a tuple with one entry per argument, each an int, None, or a container of the argument's structure.
            Keyword arguments are the same for all.
        out_dims: the batch dim of each result; None for one that is the same for all, which is returned as it is.
        randomness: what to do where random numbers are drawn: an "error", "different" ones for each example, or the
            "same" for all.
        chunk_size: how many examples to take at once (None: all), to use less memory.

    Raises ValueError for dims that do not fit, batches of different sizes, and results that are no tensors;
    RuntimeError where `func` needs the value of a batched tensor or writes one into a tensor that is not batched.
    """
    if randomness not in _RANDOMNESS:
        raise TapegradError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        name = _name(func)
        _check_out_dims(name, out_dims)
        leaves, structure, dims, size = _inputs(name, in_dims, args)

        def run(batch: list[Any], count: int) -> tuple[list[Any], list[Any], Structure]:
            results, rebuilt = mapped(
                lambda examples: func(*unflatten(structure, examples), **kwargs), batch, dims, count, randomness
            )
            found = _out_dims(name, out_dims, rebuilt, [leaf for leaf, _ in results])
            return [_result(name, *r, d, count) for r, d in zip(results, found, strict=True)], found, rebuilt

        if chunk_size is None:
            outputs, _, rebuilt = run(leaves, size)
        else:
            outputs, rebuilt = _in_chunks(run, leaves, dims, size, chunk_size, randomness == "same")
        return unflatten(rebuilt, outputs)

    return call


def mapped(
    function: Callable[[list[Any]], Any], leaves: Sequence[Any], dims: Sequence[int | None], size: int, randomness: str
) -> tuple[list[tuple[Any, Any]], Structure]:
    """`function(examples)` run once, each leaf that has a dim standing for its `size` examples along it.

    Returns the leaves of the result, each with the batch (its dim in front) it stands for, None if it is no batched
    tensor; and the structure of the result.
    """
    batches = [x if dim is None else movedim(x, dim, 0) if dim else x for x, dim in zip(leaves, dims, strict=True)]
    level = Level(size, randomness)
    examples = [x if dim is None else level.enter(x) for x, dim in zip(batches, dims, strict=True)]
    with state.now.watched_by(level):
        results, structure = flatten(function(examples))
    found = [(x, None if (batch := level.shadow_of(x)) is None else settled(batch)) for x in results]
    del examples
    level.close()
    return found, structure


def _in_chunks(
    run: Callable[..., Any], leaves: list[Any], dims: list[int | None], size: int, step: int, same: bool
) -> tuple[list[Any], Structure]:
    """The results of some examples at a time, put together; if `same`, with the same random numbers each time."""
    parts = []
    seed = get_rng_state() if same else None
    for start in range(0, max(size, 1), step):
        count = min(step, size - start)
        if seed is not None:
            set_rng_state(seed)
        batch = [
            x if dim is None else x.narrow(dim, start, count) for x, dim in zip(leaves, dims, strict=True)
        ]  # fmt: skip
        parts.append(run(batch, count))
    _, found, structure = parts[0]
    columns = zip(*[outputs for outputs, _, _ in parts], strict=True)
    outputs = [column[0] if dim is None else cat(column, dim) for column, dim in zip(columns, found, strict=True)]
    return outputs, structure


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)


# What goes in


def _inputs(name: str, in_dims: Dims, args: tuple[Any, ...]) -> tuple[list[Any], Structure, list[int | None], int]:
    """The leaves of the arguments, their structure, the batch dim of each leaf, and the number of examples."""
    if not isinstance(in_dims, int | tuple):
        raise ValueError(  # noqa: TRY004  (PyTorch's)
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a (potentially nested) "
            f"tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            "function with no inputs. The latter is unsupported."
        )
    leaves, structure = flatten(args)
    dims = spread_dims(in_dims, structure)
    where = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    if dims is None:
        raise ValueError(
            f"{where}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{structure_text(flatten(in_dims)[1])} but inputs has structure {structure_text(structure)}."
        )
    dims = [_checked_dim(where, x, dim) for x, dim in zip(leaves, dims, strict=True)]
    return leaves, structure, dims, batch_size(leaves, dims)


def batch_size(leaves: Sequence[Any], dims: Sequence[int | None]) -> int:
    """The number of examples. Raises ValueError unless all leaves with a dim agree, and there is one."""
    sizes = [x._array.shape[dim] for x, dim in zip(leaves, dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(n != sizes[0] for n in sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return int(sizes[0])


def _checked_dim(where: str, x: Any, dim: Any) -> int | None:
    if dim is None:
        return None
    if not isinstance(dim, int):
        raise ValueError(  # noqa: TRY004  (PyTorch's)
            f"{where}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
        )
    if not isinstance(x, TensorBase):
        raise ValueError(  # noqa: TRY004  (PyTorch's)
            f"{where}Got in_dim={dim} for an input but the input is of type {type(x)}. We cannot vmap over non-Tensor "
            "arguments, please use None as the respective in_dim"
        )
    ndim = x._array.ndim
    if not -ndim <= dim < ndim:
        raise ValueError(
            f"{where}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {ndim} so expected "
            f"in_dim to satisfy -{ndim} <= in_dim < {ndim}."
        )
    return dim % ndim


# What comes out


def _check_out_dims(name: str, out_dims: Dims) -> None:
    if any(not (dim is None or isinstance(dim, int)) for dim in flatten(out_dims)[0]):
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints "
            "representing where in the outputs the vmapped dimension should appear."
        )


def _out_dims(name: str, out_dims: Dims, structure: Structure, leaves: list[Any]) -> list[int | None]:
    """The batch dim of each result."""
    single = structure.kind is None and isinstance(leaves[0], TensorBase)
    dims = spread_dims(
        out_dims[0] if single and type(out_dims) is tuple and len(out_dims) == 1 else out_dims, structure
    )
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
            f"`outputs`. out_dims has structure {structure_text(flatten(out_dims)[1])} but outputs has structure "
            f"{structure_text(structure)}."
        )
    return dims


def _result(name: str, x: Any, batch: Tensor | None, dim: int | None, size: int) -> Any:
    """What is returned for the result `x`, which stands for `batch`."""
    if dim is None:
        if batch is not None:
            raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
        return x
    if not isinstance(x, TensorBase):
        raise ValueError(  # noqa: TRY004  (PyTorch's)
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(x)}. Did you mean to set out_dims= "
            "to None for output?"
        )
    out = whole(x, batch, size)
    ndim = out._array.ndim
    if not -ndim <= dim < ndim:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got {dim})")
    return movedim(out, 0, dim) if dim % ndim else out


def whole(x: Any, batch: Any, size: int) -> Any:
    """All examples of `x`: the batch it stands for, or `x` repeated if it is the same for all."""
    return spread(x, size) if batch is None else batch


# Dims for a whole container


def spread_dims(dims: Dims, structure: Structure) -> list[Any] | None:
    """The dim of each leaf of `structure`, one for a container counting for all that is in it; None if it differs."""
    found, shape = flatten(dims)
    out: list[Any] = []
    return out if _spread(iter(found), shape, structure, out) else None


def _spread(dims: Any, given: Structure, wanted: Structure, out: list[Any]) -> bool:
    if given.kind is None:
        out += [next(dims)] * _width(wanted)
        return True
    same = given.kind is wanted.kind and len(given.parts) == len(wanted.parts) and given.keys == wanted.keys
    return same and all(_spread(dims, a, b, out) for a, b in zip(given.parts, wanted.parts, strict=True))


def _width(structure: Structure) -> int:
    return 1 if structure.kind is None else sum(map(_width, structure.parts))


def structure_text(structure: Structure, indent: int = 0) -> str:
    """A structure as PyTorch shows it: `TreeSpec(tuple, None, [*, *])`, but for the first one on a line each."""
    kind = structure.kind
    if kind is None:
        return "*"
    named = issubclass(kind, tuple) and kind is not tuple
    about = kind.__name__ if named else list(structure.keys) if issubclass(kind, dict) else None
    parts = [structure_text(part, indent + 2) for part in structure.parts]
    line = ",\n" + " " * (indent + 2)
    return f"TreeSpec({'namedtuple' if named else kind.__name__}, {about}, [{line.join(parts)}])"
