"""How random numbers are drawn: the words of a generator made into numbers, or what those who watch make of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .errors import TapegradError
from .generator import Generator, default_generator
from .limits import finfo
from .ops.creation import new_leaf
from .ops.support import cpp_name, warn_user
from .primitives.precision import is_half
from .primitives.random import random_integers, random_normal, random_uniform
from .primitives.structure import cast
from .primitives.views import view_as_complex
from .tape import TensorBase, state

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Made", "chances", "check_bounds", "draw", "drawn", "in_single", "limits", "normals", "require_generator",
    "uniforms", "whole_numbers",
]  # fmt: skip

_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
"""How many binary digits of a number between 0 and 1 a dtype has everywhere."""


def drawn(make: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...]) -> Any:
    """The random tensor `make(shape)`, or what those who watch take in its place: one of each example of a batch."""
    for watcher in reversed(state.now.watchers):
        out = watcher.draw(make, shape)
        if out is not None:
            state.now.tell_inside(watcher, "constant", out)
            return out
    return make(shape)


class Made:
    """How numbers are made of random words: of how many words each (a pair if `paired`), and by which primitives.

    `values` is called with an array, or while recording with a tensor, and calls nothing but primitives and operators.
    """

    __slots__ = ("paired", "values", "words")

    def __init__(self, words: int, values: Callable[[Any], Any], paired: bool = False) -> None:
        self.words = words
        self.values = values
        self.paired = paired


def require_generator(what: str, generator: Any) -> Generator:
    """The given generator, or the default one. Raises TypeError for what is none."""
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"{what}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    return default_generator if generator is None else generator


def draw(what: str, generator: Any, shape: tuple[int, ...], made: Made, requires_grad: bool = False) -> Tensor:
    """A tensor of draws by the given generator or the default one. Raises TypeError for what is no generator."""
    source = require_generator(what, generator)

    def make(shape: tuple[int, ...]) -> Tensor:
        words = source._next((*shape, 2) if made.paired else shape, made.words)
        if not isinstance(words, TensorBase):
            return new_leaf(np.asarray(state.now.quiet(made.values, words)), requires_grad)
        out: Tensor = made.values(words)
        if requires_grad:
            out._set_flag(True)
        return out

    out: Tensor = drawn(make, shape)
    return out


def _of_parts(d: dtypes.dtype, parts: Callable[[dtypes.dtype], Made]) -> Made:
    """`parts` of the real dtype `d`; of a complex one, pairs of the dtype of its parts."""
    if not d.is_complex:
        return parts(d)
    made = parts(dtypes.from_numpy_dtype(np.empty(0, d.numpy).real.dtype))
    return Made(made.words, lambda bits: cast(view_as_complex(made.values(bits)), dtype=d.numpy), paired=True)


def uniforms(d: dtypes.dtype) -> Made:
    """Uniform draws from [0, 1) (each part, if complex), of as many binary digits as `d` has, so that none is 1."""

    def real(d: dtypes.dtype) -> Made:
        params = {"digits": _DIGITS[d.name], "dtype": d.numpy}
        return Made(2 if d is dtypes.float64 else 1, lambda bits: random_uniform(bits, **params))

    return _of_parts(d, real)


def normals(d: dtypes.dtype) -> Made:
    """Draws from the standard normal distribution (each part, if complex)."""

    def real(d: dtypes.dtype) -> Made:
        words = 2 if d is dtypes.float64 else 1
        return Made(words, lambda bits: random_normal(bits, digits=53 if words == 2 else 24, dtype=d.numpy))

    return _of_parts(d, real)


def whole_numbers(low: int, high: int, d: dtypes.dtype) -> Made:
    """Integers from [low, high), all as likely but for the remainder of 2**32 (or, of large numbers, of 2**64)."""
    span = high - low
    params = {"low": low, "span": span, "dtype": d.numpy}
    return Made(1 if span <= 2**32 else 2, lambda bits: random_integers(bits, **params))


def chances(p: float, d: dtypes.dtype) -> Made:
    """Ones with probability `p`, to 31 binary digits, else zeros. The comparison is of integers, and so is exact."""
    highest = round(p * 2**31) - 1

    def values(bits: Any) -> Any:
        number = random_integers(bits, low=0, span=2**31, dtype=np.dtype(np.int32))
        return cast(number <= highest, dtype=d.numpy)

    return Made(1, values)


def in_single(d: dtypes.dtype, values: Callable[[Any], Any], made: Made) -> Made:
    """`values` of what is `made`, in `d`; computed in float32 where that is a 16-bit dtype."""
    if not is_half(d.numpy):
        return Made(made.words, lambda bits: values(made.values(bits)), made.paired)
    wide = np.dtype(np.float32)
    return Made(made.words, lambda bits: cast(values(cast(made.values(bits), dtype=wide)), dtype=d.numpy), made.paired)


def check_bounds(low: int, high: int, d: dtypes.dtype) -> None:
    """Raise, in PyTorch's words, unless `d` can hold the integers from [low, high); warn if not all of them."""
    if d.is_complex:
        raise TapegradError("check_random_bounds handles only integral, floating-point and boolean types")
    if low >= high:
        raise TapegradError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    smallest, largest = limits(d)
    for name, bound in (("from", low), ("to - 1", high - 1)):
        if smallest <= bound <= largest:
            continue
        if not d.is_floating_point or abs(bound) > finfo(d).max:
            raise TapegradError(f"{name} is out of bounds for {cpp_name(d)}")
        digits = _DIGITS[d.name]
        warn_user(
            f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {cpp_name(d)} can "
            "support discrete uniform distribution only within this range. This warning will become an error in "
            "version 1.7 release, please fix the code in advance"
        )


def limits(d: dtypes.dtype) -> tuple[int, int]:
    """The least and the largest integer such that `d` has them all in between."""
    if d.is_floating_point:
        return -(1 << _DIGITS[d.name]), 1 << _DIGITS[d.name]
    if d.category < dtypes.INTEGRAL:
        return 0, 1
    info = np.iinfo(d.numpy)
    return int(info.min), int(info.max)
