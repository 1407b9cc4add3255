"""What the optimisers' formulas have in common: which parameters, counts of steps, moving averages.

Written for both eager and compiled runs: options go into tensor operations as they are, counts stay tensors, and no
value of a tensor is asked for. Each state tensor is written once per step. 16-bit floats are computed with in float32,
and rounded where they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..dtypes import dtype
from ..ops.common import cast_to, dtype_of, inplace
from ..ops.creation import zeros
from ..ops.elementwise import maximum
from ..ops.shaping import squeeze, stack, unbind, view_as_real
from ..tape import is_tensor

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "average_", "average_square_", "by_dtype", "count_", "counts", "maximum_", "of_each", "real", "scalar", "wide",
    "zero_count",
]  # fmt: skip

_WIDE = {dtypes.float64: dtypes.float64, dtypes.complex128: dtypes.float64}


def by_dtype(params: Sequence[Tensor]) -> list[tuple[dtype, list[Tensor]]]:
    """The parameters that have a gradient, by the dtype (float32 or float64) to compute in."""
    found: dict[dtype, list[Tensor]] = {}
    for p in params:
        if p.grad is not None:
            found.setdefault(_WIDE.get(dtype_of(p), dtypes.float32), []).append(p)
    return list(found.items())


def wide(t: Tensor) -> Tensor:
    """`t`, in float32 if it is of a 16-bit floating dtype."""
    return cast_to(t, dtypes.float32) if t._array.dtype.itemsize == 2 else t


def real(t: Tensor) -> Tensor:
    """`t`, as pairs of real numbers on the same memory if it is complex."""
    return view_as_real(t) if t._array.dtype.kind == "c" else t


def scalar(x: Any) -> Any:
    """A hyperparameter of one element as a 0-d tensor; a number as it is."""
    return squeeze(x) if is_tensor(x) and x._array.ndim else x


# Counts of steps


def zero_count() -> Tensor:
    """The count of steps of a parameter that has made none: 0-d, in the default dtype if that is float64."""
    d = dtypes.get_default_dtype()
    return zeros((), dtype=d if d is dtypes.float64 else dtypes.float32)


def count_(states: Sequence[dict[str, Any]]) -> None:
    """Count one more step in each state."""
    for state in states:
        state["step"].add_(1)


def counts(states: Sequence[dict[str, Any]]) -> Tensor:
    """The counts in the states, in float64: a vector, or 0-d for one state.

    What is computed of them is little work in many operations. Of a vector, these are as many as for one parameter.
    """
    steps = [state["step"] for state in states]
    return cast_to(stack(steps) if len(steps) > 1 else steps[0], dtypes.float64)


def of_each(values: Tensor, d: dtype) -> Sequence[Tensor]:
    """What was computed of `counts`, for each state, as a 0-d tensor of dtype `d`."""
    values = cast_to(values, d)
    return unbind(values) if values._array.ndim else (values,)


# Moving averages


def _mixed(average: Tensor, x: Tensor, rate: Any) -> Tensor:
    return wide(average) * rate + x * (1 - rate)


def average_(average: Tensor, x: Tensor, rate: Any) -> None:
    """Let the average be `rate` of itself and the rest of `x`."""
    inplace(average, _mixed, x, rate)


def _mixed_square(average: Tensor, x: Tensor, rate: Any) -> Tensor:
    return wide(average) * rate + x * (1 - rate) * x


def average_square_(average: Tensor, x: Tensor, rate: Any) -> None:
    """Let the average be `rate` of itself and the rest of `x * x`."""
    inplace(average, _mixed_square, x, rate)


def maximum_(t: Tensor, x: Tensor) -> None:
    """Let `t` be the larger of itself and `x`, element by element."""
    inplace(t, maximum, x)
