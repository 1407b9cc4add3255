"""What operations are given: the dtypes they are defined for, and the spellings of their keyword arguments."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..dtypes import BOOL, COMPLEX, dtype
from ..errors import DtypeError
from ..tape import TensorBase, state

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["both_tensors", "is_bool", "reads_value", "require_dtype", "sizes", "spelled"]

P = ParamSpec("P")
R = TypeVar("R")

# NumPy's names, which PyTorch accepts as well
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


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


def is_bool(x: Any) -> bool:
    """Whether `x` is a bool tensor, or a Python bool."""
    return x._array.dtype.kind == "b" if isinstance(x, TensorBase) else isinstance(x, bool)


def both_tensors(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """The two operands. Raises TypeError unless both are tensors."""
    for name, position, x in (("input", 1, a), ("other", 2, b)):
        if not isinstance(x, TensorBase):
            raise TypeError(f"{op}(): argument '{name}' (position {position}) must be Tensor, not {type(x).__name__}")
    return a, b


def reads_value(what: str) -> None:
    """A value goes into Python: tell the recorder, which may have to refuse."""
    if state.recorder is not None:
        state.recorder.reads_value(what)


def spelled(function: Callable[P, R]) -> Callable[P, R]:
    """Also accept NumPy's names of keyword arguments, and `*sizes` as one keyword argument, as PyTorch does."""
    parameters = list(inspect.signature(function).parameters.values())
    starred = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    before = [p.name for p in parameters if starred and p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> R:
        if not kwargs:
            return function(*args)  # type: ignore[call-arg]
        kwargs = {_NUMPY_NAMES.get(name, name): value for name, value in kwargs.items()}
        if starred in kwargs:
            args = (*[kwargs.pop(name) for name in before if name in kwargs], *args, kwargs.pop(starred))
        return function(*args, **kwargs)

    return call
