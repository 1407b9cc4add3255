"""How objects are made again that cannot be filled once they are there, as code written in C keeps what they hold."""

from __future__ import annotations

import array
import collections
import enum
import functools
import operator
import re
import struct
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..environment.objects import is_written_in_c
from ..environment.values import as_plain, attributes_of
from .containers import instances_of
from .growing import Watched

__all__ = ["CONSTANT", "maker", "plain_part", "taken_apart"]

CONSTANT = (re.Match, re.Pattern, struct.Struct)
"""What never changes, though it is no plain value."""
_CALLS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())


def taken_apart(value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
    """A function and arguments, of which it makes an object like `value`: one that is complete once it is made.

    None for others. What such an object has for attributes is not among that.
    """
    kind: Any = type(value)
    if kind is functools.partial:
        return _partial, (value.func, value.args, value.keywords)
    if kind is types.MethodType and type(value.__self__) is not Watched:
        return types.MethodType, (value.__func__, value.__self__)
    if kind in (types.MethodType, types.BuiltinMethodType):
        owner = value.__self__
        no_object = owner is None or isinstance(owner, types.ModuleType | type)
        return None if no_object else (getattr, (owner, value.__name__))
    if kind in _CALLS:
        call, args = value.__reduce__()
        return call, args
    if kind is array.array:
        return array.array, (value.typecode, value.tobytes())
    if kind is bytearray:
        return bytearray, (bytes(value),)
    return None


def _partial(function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return functools.partial(function, *args, **keywords)


def plain_part(value: Any) -> Any:
    """The plain value of an instance of a subclass of a class that has such, if it can have attributes; else None."""
    if attributes_of(value) is None or isinstance(value, np.generic | enum.Enum):
        return None
    return as_plain(value)


_SEEN_THROUGH = (
    collections.OrderedDict, collections.defaultdict, collections.deque, dict, list, set, types.SimpleNamespace, object,
)  # fmt: skip
"""Classes written in C whose instances hold nothing that cannot be seen, a subclass before its base."""


def maker(value: Any) -> Callable[[], Any] | None:
    """What makes an empty object like `value`, if all it is made of can be seen."""
    kind: Any = type(value)
    if kind is _LOCK and not value.locked():
        return threading.Lock
    if kind is _RLOCK and not value._is_owned():
        return threading.RLock
    written_in_c = {base for base in kind.__mro__ if is_written_in_c(base)}
    if isinstance(value, type | BaseException) or not written_in_c <= set(_SEEN_THROUGH):
        return None
    base: Any = next(base for base in _SEEN_THROUGH if issubclass(kind, base))
    if not instances_of(kind, base):
        return None
    if base is collections.deque:
        return functools.partial(_deque, kind, value.maxlen)
    return functools.partial(base.__new__, kind)


def _deque(kind: Any, maxlen: int | None) -> Any:
    made = collections.deque.__new__(kind)
    collections.deque.__init__(made, (), maxlen)
    return made
