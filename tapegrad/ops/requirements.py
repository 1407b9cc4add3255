"""What operations require of the values they are given, and raise an error for: positions in range, probabilities ...

All of it goes through `_held`, which tells a recorder: what was looked at once must be looked at in each compiled call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..primitives.arithmetic import imag
from ..primitives.comparison import bitwise_and, bitwise_not, bitwise_or, eq, ge, gt, isfinite, le, lt, ne
from ..primitives.reductions import all_, any_, reduce_sum
from ..primitives.shaping import reshape
from ..primitives.structure import cast
from ..tape import Requirement, TensorBase, state
from .support import values_of, whole_of

__all__ = [
    "require_class", "require_count", "require_no_negative", "require_nonzero", "require_real", "require_weights",
    "require_within",
]  # fmt: skip

Array = np.ndarray[Any, Any]

_INT64 = np.dtype(np.int64)
_FEW = 32
"""Of so many integers Python finds the least sooner than NumPy."""


def _held(t: TensorBase, requirement: Requirement) -> bool:
    """Whether all the values that `t` stands for are as required. A recorder is told."""
    held = requirement.of_array(values_of(t))
    now = state.now
    if now.recorder is not None and now.recorder in now.watchers:
        now.recorder.requires(whole_of(t), requirement, held)
    return held


def require_within(t: TensorBase, low: float, high: float, what: str, error: Callable[[Any], Exception]) -> None:
    """Raise `error`, of the first value that is none, unless all are from `low` to `high`, both included."""
    if not _held(t, _Within(low, high, what)):
        values = values_of(t)
        raise error(values[~((values >= low) & (values <= high))].flat[0].item())


class _Within(NamedTuple):
    low: float
    high: float
    what: str

    def __str__(self) -> str:
        return f"{self.what} in [{self.low}, {self.high}]"

    def of_array(self, values: Array) -> bool:
        if not values.size:
            return True
        least, most = _bounds(values)
        return bool(self.low <= least and most <= self.high)

    def of_tensor(self, x: Any) -> Any:
        return _all(_between(x, self.low, self.high))


def require_class(t: TensorBase, count: int, ignored: int, error: Callable[[int], Exception]) -> None:
    """Raise `error`, of the first number that is none, unless all are classes, 0 to `count - 1`, or `ignored`."""
    classes = _Class(count, ignored)
    if not _held(t, classes):
        values = values_of(t)
        raise error(int(values[classes.bad(values)].flat[0]))


class _Class(NamedTuple):
    classes: int
    ignored: int

    def __str__(self) -> str:
        return f"class in [0, {self.classes - 1}] or {self.ignored}"

    def bad(self, values: Array) -> Array:
        return (values != self.ignored) & ((values < 0) | (values >= self.classes))

    def of_array(self, values: Array) -> bool:
        return _Within(0, self.classes - 1, "class").of_array(values) or not self.bad(values).any()

    def of_tensor(self, x: Any) -> Any:
        return _all(bitwise_or(eq(x, self.ignored), _between(x, 0, self.classes - 1)))


def require_nonzero(t: TensorBase, error: Callable[[], Exception]) -> None:
    """Raise `error` if there is a zero."""
    if not _held(t, _Nonzero()):
        raise error()


class _Nonzero(NamedTuple):
    def __str__(self) -> str:
        return "divisor other than 0"

    def of_array(self, values: Array) -> bool:
        return bool(values.all())

    def of_tensor(self, x: Any) -> Any:
        return _all(ne(x, 0))


def require_no_negative(t: TensorBase, what: str, error: Callable[[], Exception]) -> None:
    """Raise `error` if there is a number below 0; nan is none."""
    if not _held(t, _NoNegative(what)):
        raise error()


class _NoNegative(NamedTuple):
    what: str

    def __str__(self) -> str:
        return f"{self.what} not below 0"

    def of_array(self, values: Array) -> bool:
        return not (values < 0).any()

    def of_tensor(self, x: Any) -> Any:
        return bitwise_not(any_(lt(x, 0), **_everywhere(x)))


def require_weights(t: TensorBase, bad: Callable[[], Exception], none: Callable[[], Exception]) -> None:
    """Raise `bad` unless all are at least 0, and finite; `none` unless in each row there is one above 0."""
    if not _held(t, _Finite()):
        raise bad()
    if not _held(t, _SomePositive()):
        raise none()


class _Finite(NamedTuple):
    def __str__(self) -> str:
        return "weight in [0, inf)"

    def of_array(self, values: Array) -> bool:
        return bool(((values >= 0) & (values < math.inf)).all())

    def of_tensor(self, x: Any) -> Any:
        return _all(bitwise_and(ge(x, 0), isfinite(x)))


class _SomePositive(NamedTuple):
    def __str__(self) -> str:
        return "a weight above 0 in each row"

    def of_array(self, values: Array) -> bool:
        return bool((values > 0).any(-1).all())

    def of_tensor(self, x: Any) -> Any:
        return _all(any_(gt(x, 0), axes=(x.ndim - 1,), keepdims=False))


def require_real(t: TensorBase, error: Callable[[], Exception]) -> None:
    """Raise `error` if a complex number has an imaginary part."""
    if not _held(t, _Real()):
        raise error()


class _Real(NamedTuple):
    def __str__(self) -> str:
        return "imaginary part 0"

    def of_array(self, values: Array) -> bool:
        return not values.imag.any()

    def of_tensor(self, x: Any) -> Any:
        return _all(eq(imag(x), 0))


def require_count(mask: TensorBase, most: int, size: int, error: Callable[[], Exception]) -> None:
    """Raise `error` if more than `most` hold of a bool tensor of so many elements, or of one of its batch."""
    if not _held(mask, _Count(most, max(size, 1))):
        raise error()


class _Count(NamedTuple):
    most: int
    size: int

    def __str__(self) -> str:
        return f"at most {self.most} of the mask"

    def of_array(self, values: Array) -> bool:
        return bool(np.count_nonzero(values.reshape(-1, self.size), axis=1).max(initial=0) <= self.most)

    def of_tensor(self, x: Any) -> Any:
        rows = cast(reshape(x, shape=(math.prod(x.shape) // self.size, self.size)), dtype=_INT64)
        return _all(le(reduce_sum(rows, axes=(1,), keepdims=False), self.most))


def _bounds(values: Array) -> tuple[Any, Any]:
    """The least and the most, of one at least; nan if one is nan."""
    if values.size <= _FEW and values.dtype.kind in "iu":
        numbers = values.ravel().tolist()
        return min(numbers), max(numbers)
    return values.min(), values.max()


def _between(x: Any, low: float, high: float) -> Any:
    """Whether elements are from `low` to `high`, which are cut down to what an integer dtype has."""
    kind = x._array.dtype
    if kind.kind in "iu":
        info = np.iinfo(kind)
        low, high = max(low, info.min), min(high, info.max)
    return bitwise_and(ge(x, low), le(x, high))


def _all(mask: Any) -> Any:
    return all_(mask, **_everywhere(mask))


def _everywhere(x: Any) -> dict[str, Any]:
    return {"axes": tuple(range(x.ndim)), "keepdims": False}
