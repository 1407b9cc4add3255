"""What operations are given: the dtypes they are defined for, and the spellings of their keyword arguments."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from ..dtypes import BOOL, COMPLEX, FLOATING, dtype
from ..errors import DtypeError, TapegradError
from ..tape import TensorBase, state
from ..tape.source import user_frame

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "both_tensors", "cpp_name", "is_bool", "made_like", "overflow", "python_int", "reads_value", "require_dtype",
    "sizes", "spelled", "stands_for_more", "text_of", "unspelled", "values_of", "warn_user", "whole_of",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")

# NumPy's names, which PyTorch accepts as well
_OTHER_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
_OTHER_NAMES["from"] = "from_"  # PyTorch's own, which Python keeps for itself
_OTHER_NAMES |= dict.fromkeys(["sections", "indices", "tensor_indices_or_sections"], "indices_or_sections")

_NEVER_ONE_INT = ("size", "shape", "repeats", "dims")

_CPP_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short int", "int32": "int",
    "int64": "long int", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float",
    "float64": "double", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def cpp_name(d: dtype) -> str:
    """What some of PyTorch's errors call a dtype: its type in C++."""
    return _CPP_NAMES[d.name]


def overflow(d: dtype) -> TapegradError:
    """The error for a number that a dtype cannot hold."""
    name = _CPP_NAMES[d.name] if d.category >= FLOATING or d.name == "int32" else f"{d.name}_t"
    return TapegradError(f"value cannot be converted to type {name} without overflow")


def require_dtype(op: str, d: dtype, lowest: int = BOOL, highest: int = COMPLEX) -> None:
    """Raise DtypeError, in PyTorch's words, unless the category of `d` is from `lowest` to `highest`."""
    if not lowest <= d.category <= highest:
        raise DtypeError(f"\"{op}\" not implemented for '{d.scalar_type}'")


def sizes(op: str, args: tuple[Any, ...], name: str = "size") -> tuple[int, ...]:
    """The ints meant by `f(2, 3)` or `f((2, 3))`. Raises TypeError for what is no int, and for `f()`."""
    if not args:
        raise TypeError(f'{op}() missing 1 required positional arguments: "{name}"')
    listed = args[0] if len(args) == 1 and isinstance(args[0], Sequence) and not isinstance(args[0], str) else args
    try:
        return tuple([operator.index(n) for n in listed])
    except TypeError:
        wrong = next(n for n in listed if not hasattr(n, "__index__"))
        raise TypeError(f"{op}(): argument '{name}' must be tuple of ints, but found {type(wrong).__name__}") from None


def python_int(x: Any) -> Any:
    """An integer of NumPy's as one of Python's; anything else as it is."""
    return int(x) if isinstance(x, np.integer) else x


def is_bool(x: Any) -> bool:
    """Whether `x` is a bool tensor, or a Python bool."""
    return x._array.dtype.kind == "b" if isinstance(x, TensorBase) else isinstance(x, bool)


def both_tensors(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """The two operands. Raises TypeError unless both are tensors."""
    for name, position, x in (("input", 1, a), ("other", 2, b)):
        if not isinstance(x, TensorBase):
            raise TypeError(f"{op}(): argument '{name}' (position {position}) must be Tensor, not {type(x).__name__}")
    return a, b


def reads_value(what: str, t: TensorBase | None = None) -> None:
    """The value of `t` goes into Python: tell who watches, and may have to refuse."""
    if state.now.watchers:
        state.now.tell("reads_value", what, t)


def values_of(t: TensorBase) -> np.ndarray[Any, Any]:
    """All the values that `t` has: where it stands for one example of a batch, those of every example."""
    return whole_of(t)._array


def whole_of(t: TensorBase) -> TensorBase:
    """The tensor of all the values that `t` stands for: of every example of a batch."""
    for watcher in reversed(state.now.watchers):
        whole = watcher.whole(t)
        t = t if whole is None else whole
    return t


def stands_for_more(t: TensorBase) -> bool:
    """Whether `t` stands for one example of a batch."""
    return any(watcher.whole(t) is not None for watcher in state.now.watchers)


def text_of(t: TensorBase) -> str | None:
    """What `t` prints as, where it stands for more than itself."""
    now = state.now
    for watcher in reversed(now.watchers):
        text: str | None = now.outside(watcher, watcher.text, t)
        if text is not None:
            return text
    return None


def made_like(out: Tensor, source: TensorBase) -> Tensor:
    """`out`, made from Python values to be like `source`: told to those who watch."""
    if state.now.watchers:
        state.now.tell("like", out, source)
    return out


def warn_user(message: str) -> None:
    """Warn, as PyTorch does, of the line outside of tapegrad that is running."""
    frame = user_frame() or sys._getframe(1)
    seen = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__", "")
    warnings.warn_explicit(message, UserWarning, frame.f_code.co_filename, frame.f_lineno, module, seen)


def spelled(function: Callable[P, R]) -> Callable[P, R]:
    """Also accept other names of keyword arguments, and `*sizes` as one keyword argument, as PyTorch does."""
    parameters = list(inspect.signature(function).parameters.values())
    own = {p.name for p in parameters}
    names = {other: name for other, name in _OTHER_NAMES.items() if name in own and other not in own}
    starred = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    before = [p.name for p in parameters if starred and p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> R:
        if not kwargs:
            return function(*args)  # type: ignore[call-arg]
        kwargs = {names.get(name, name): value for name, value in kwargs.items()}
        if starred in kwargs:
            if starred in _NEVER_ONE_INT and isinstance(kwargs[starred], int):
                raise TypeError(f"{function.__name__}(): argument '{starred}' must be tuple of ints, not int")
            args = (*[kwargs.pop(name) for name in before if name in kwargs], *args, kwargs.pop(starred))
        return function(*args, **kwargs)

    _UNSPELLED[call] = function
    return call


_UNSPELLED: dict[Callable[..., Any], Callable[..., Any]] = {}


def unspelled(function: Callable[P, R]) -> Callable[P, R]:
    """The function that `spelled` made `function` of; itself if it is none of those."""
    return _UNSPELLED.get(function, function)
