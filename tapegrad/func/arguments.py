"""Which arguments a transform differentiates by, and what functions may take and return: PyTorch's checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TransformError
from ..tape import TensorBase

__all__ = ["Argnums", "chosen", "indices", "replaced", "require_real", "require_tensors", "split_aux"]

Argnums = int | tuple[int, ...]


def indices(argnums: Any, count: int) -> tuple[int, ...]:
    """The positions meant by `argnums`, non-negative. Raises RuntimeError unless they are different ones of `count`."""
    if not isinstance(argnums, int | tuple):
        raise TransformError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    found = tuple([_index(n, count) for n in (argnums if isinstance(argnums, tuple) else (argnums,))])
    if not found:
        raise TransformError("argnums must be non-empty")
    if len(set(found)) != len(found):
        raise TransformError(f"argnums elements must be unique, got {found}")
    return found


def _index(n: Any, count: int) -> int:
    if not isinstance(n, int):
        raise TransformError(f"argnum must be int, got: {type(n)}")
    if not -count <= n < count:
        raise TransformError(f"Got argnum={n}, but only {count} positional inputs")
    return n % count


def chosen(args: tuple[Any, ...], argnums: Any) -> tuple[Any, ...]:
    """The arguments meant by `argnums`."""
    return tuple([args[i] for i in indices(argnums, len(args))])


def replaced(args: tuple[Any, ...], argnums: Any, new: Sequence[Any]) -> tuple[Any, ...]:
    """`args` with `new` in the places meant by `argnums`."""
    by_index = dict(zip(indices(argnums, len(args)), new, strict=True))
    return tuple([by_index.get(i, arg) for i, arg in enumerate(args)])


def split_aux(output: Any, has_aux: bool, where: str) -> tuple[Any, Any]:
    """The output and what was returned besides it; the latter None, unless it must be a pair. Raises RuntimeError if it
    must be one and is not.
    """
    if not has_aux:
        return output, None
    if not (isinstance(output, tuple) and len(output) == 2):
        raise TransformError(f"{where}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return output


def require_tensors(outputs: list[Any], where: str) -> None:
    """Raise RuntimeError unless `outputs` are tensors, one at least."""
    if not outputs or (len(outputs) == 1 and outputs[0] is None):
        raise TransformError(f"{where}: Expected f to be a function that has non-empty output (got output = {outputs})")
    for out in outputs:
        if not isinstance(out, TensorBase):
            raise TransformError(
                f"{where}: expected f(*primals) to return only tensors, got unsupported type {type(out)}"
            )


def require_real(where: str, leaves: Sequence[Any], what: str) -> None:
    """Raise RuntimeError if one of `leaves` is a complex tensor."""
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, TensorBase) and leaf._array.dtype.kind == "c":
            raise TransformError(
                f"{where}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}"
            )
