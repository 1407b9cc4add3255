"""What the functions of neural networks share: arguments that are one int or one per dim, and 16-bit floats."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .. import dtypes
from ..ops.common import cast_to, dtype_of, require_tensor
from ..ops.reductions import mean
from ..ops.reductions import sum as sum_
from ..ops.support import require_dtype
from ..primitives.precision import is_half
from ..tape import TensorBase

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Ints", "as_ints", "reduced", "require_floating", "shown", "widened"]

Ints = int | Sequence[int]
F = TypeVar("F", bound=Callable[..., Any])


def as_ints(op: str, name: str, value: Any, count: int) -> tuple[int, ...]:
    """An int as `count` equal ones, a sequence as it is. Raises TypeError for anything else."""
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return (operator.index(value),) * count
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{op}(): argument '{name}' must be tuple of ints, not {type(value).__name__}")
    for position, item in enumerate(value):
        if not hasattr(item, "__index__"):
            raise TypeError(
                f"{op}(): argument '{name}' must be tuple of ints, but found element of type "
                f"{type(item).__name__} at pos {position}"
            )
    return tuple([operator.index(item) for item in value])


def shown(sizes: Sequence[int]) -> str:
    """Sizes as PyTorch's errors show those of a window: `4x3`."""
    return "x".join(map(str, sizes))


def require_floating(op: str, x: Any, kernel: str | None = None) -> Tensor:
    """`x` if it is a tensor of real floats. Raises TypeError, or NotImplementedError that names `kernel`."""
    require_dtype(kernel or op, dtype_of(require_tensor(op, x, 1, "input")), dtypes.FLOATING, dtypes.FLOATING)
    found: Tensor = x
    return found


def widened(function: F) -> F:
    """`function` of tensors, computed in float32 where the first is of 16-bit floats, and rounded once."""

    @functools.wraps(function)
    def compute(x: Any, *rest: Any, **options: Any) -> Any:
        if not (isinstance(x, TensorBase) and is_half(x._array.dtype)):
            return function(x, *rest, **options)
        d = dtype_of(x)
        out = function(_wide(x), *[_wide(t) for t in rest], **{k: _wide(v) for k, v in options.items()})
        return cast_to(out, d)

    return compute  # type: ignore[return-value]


def _wide(x: Any) -> Any:
    return cast_to(x, dtypes.float32) if isinstance(x, TensorBase) and is_half(x._array.dtype) else x  # type: ignore[arg-type]


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The losses as they are ("none"), their "sum" or their "mean". Raises ValueError for another word."""
    if reduction == "none":
        return loss
    if reduction == "sum":
        return sum_(loss)
    if reduction == "mean":
        return mean(loss)
    raise ValueError(f"{reduction} is not a valid value for reduction: expected 'none', 'mean' or 'sum'")
