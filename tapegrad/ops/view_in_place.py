"""In-place view operations: a tensor takes on another look at its memory, and keeps its identity."""

from __future__ import annotations

from sys import getrefcount
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError
from ..tape import check_writable, renamed, state
from ..tape.inplace import become
from . import reshaping, views
from .common import require_tensor
from .support import spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..tensor import Tensor

__all__ = [
    "as_strided_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_", "unsqueeze_",
]  # fmt: skip


def _become(method: str, node: str, x: Tensor, view: Callable[..., Tensor], *args: Any) -> Tensor:
    """`x` with the shape, strides and history of a view of it, the history ending in a `node`."""
    check_writable(require_tensor(method, x))
    _require_followed(method, x)
    become(x, renamed(node, view(x, *args)))
    return x


def _require_followed(method: str, x: Tensor) -> None:
    """Raise UnsupportedError where others may look at `x` and would not follow: a recorder, or views of it.

    Views are described as seen from the tensor they are views of.
    """
    recorder = state.recorder
    if recorder is not None:
        raise recorder.unsupported(f"{method}(), which changes a tensor's shape in place")
    alone = x._storage is None or getrefcount(x._storage) == 2
    if not alone and (x._view is None or x._view.base is None):
        raise UnsupportedError(
            f"{method}(): others look at this tensor's memory from where it stands (views, detached tensors, saved "
            f"values): use {method.rstrip('_')}() and go on with its result"
        )


def t_(input: Tensor) -> Tensor:
    """`t`, in place."""
    return _become("t_", "TBackward1", input, reshaping.t)


def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose`, in place."""
    return _become("transpose_", "TransposeBackward1", input, reshaping.transpose, dim0, dim1)


swapaxes_ = swapdims_ = transpose_


def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """`unsqueeze`, in place."""
    return _become("unsqueeze_", "UnsqueezeBackward1", input, reshaping.unsqueeze, dim)


@spelled
def squeeze_(input: Tensor, *dim: Any) -> Tensor:
    """`squeeze`, in place."""
    number = 3 if not dim else 4 if len(dim) == 1 and isinstance(dim[0], int) else 5
    return _become("squeeze_", f"SqueezeBackward{number}", input, reshaping.squeeze, *dim)


def as_strided_(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`as_strided`, in place."""
    return _become("as_strided_", "AsStridedBackward1", input, views.as_strided, size, stride, storage_offset)
