"""Which kind of object is looked at how."""

from __future__ import annotations

import collections
import enum
import functools
import logging
import random
import re
import threading
import types
from typing import Any

import numpy as np

from ..dtypes import dtype
from ..tape import RemovableHandle, TensorBase
from ..tree import registered
from . import functions, objects, values
from .reachable import Handler, Place, Reachable, changing

__all__ = ["cached", "handle"]

_RANDOM_TYPES = (random.Random, np.random.RandomState, np.random.Generator)


def handle(value: Any, number: int, found: Reachable) -> None:
    """Add an object, and all that it holds."""
    handler = _HANDLERS.get(type(value))
    if handler is not None:
        handler(value, number, found)
    elif isinstance(value, TensorBase):
        values.tensor(value, number, found)
    else:
        _other(value, number, found)


def _other(value: Any, number: int, found: Reachable) -> None:
    """A subclass of a known type, a class, or an object: its type and its attributes."""
    for known, handler in _FALLBACKS:
        if isinstance(value, known):
            handler(value, number, found)
            if handler in _WITH_ATTRIBUTES and not isinstance(value, np.generic):
                objects.inherited(value, number, found)
            return
    if isinstance(value, _RANDOM_TYPES):
        raise changing(found.text(number))
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        found.same(number, value)  # JAX's arrays and compiled functions do not change
        return
    if type(value).__name__ in ("Jitted", "_lru_cache_wrapper") and hasattr(value, "__wrapped__"):
        found.rigid = found.rigid or type(value).__name__ != "Jitted"
        found.note("type", number, type(value))
        if type(value).__name__ != "Jitted":
            found.note("cached", number, cached(value))
        found.look(value.__wrapped__, Place(number, "attribute", "__wrapped__"))
        names = objects.public_names(value)
        found.note("public", number, names)
        for name in names:
            found.look(value.__dict__[name], Place(number, ".", name))
        return
    kind: Any = type(value)
    if (kind.__module__, kind.__name__) in _BY_TEXT:
        values.by_text(value, number, found)
        return
    entry = registered(kind)
    if entry is not None and objects.is_written_in_c(kind):
        parts, static = entry[0](value)
        found.note("static", number, (type(value), static))
        found.look(tuple(parts), Place(number, "parts", None))
        return
    objects.object_(value, number, found)


def cached(value: Any) -> int:
    """How many results a function with a cache keeps: what it computes anew, or does once only, depends on that."""
    return int(value.cache_info().currsize)


_WITH_ATTRIBUTES = (
    values.sequence, values.mapping, values.set_, values.number, values.plain_, values.array,
)  # fmt: skip
"""What a subclass may add attributes to."""
_HANDLERS: dict[type, Handler] = {
    complex: values.number,
    dtype: values.static,
    range: values.by_text,
    slice: values.by_text,
    type(Ellipsis): values.static,
    list: values.sequence,
    tuple: values.sequence,
    dict: values.mapping,
    set: values.set_,
    frozenset: values.set_,
    np.ndarray: values.array,
    types.FunctionType: functions.function,
    types.MethodType: functions.method,
    types.BuiltinFunctionType: functions.builtin,
    types.MethodDescriptorType: functions.identity,
    types.WrapperDescriptorType: functions.identity,
    types.ModuleType: functions.module,
    types.GenericAlias: functions.identity,
    types.UnionType: functions.identity,
    types.SimpleNamespace: values.namespace,
    types.MappingProxyType: values.mapping,
    collections.deque: values.sequence,
    re.Pattern: functions.identity,
    type(NotImplemented): functions.identity,
    type(threading.Lock()): functions.identity,  # locks hold no data
    type(threading.RLock()): functions.identity,
    np.ufunc: functions.identity,
    logging.Logger: values.logger,
    RemovableHandle: values.hook_handle,
    staticmethod: functions.wrapper,
    classmethod: functions.wrapper,
    property: functions.property_,
    functools.cached_property: functions.property_,
    type: objects.class_,
}
_BY_TEXT = frozenset({
    ("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID"), ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"), ("pathlib", "WindowsPath"), ("pathlib", "PureWindowsPath"),
    *[("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")],
    *[("operator", name) for name in ("attrgetter", "itemgetter", "methodcaller")],
})  # fmt: skip
"""Classes, by module and name, of constants that their text tells apart: not imported for this."""
_FALLBACKS: tuple[tuple[Any, Handler], ...] = (
    (enum.Enum, objects.enum_),
    ((int, str, bytes), values.plain_),
    (np.dtype, values.static),
    ((float, complex), values.number),
    (type, objects.class_),
    (types.ModuleType, functions.module),
    ((list, tuple), values.sequence),
    (dict, values.mapping),
    ((set, frozenset), values.set_),
    (np.generic, values.array),
    (np.ndarray, values.array),
    (logging.Logger, values.logger),
    (functools.partial, functions.partial),
)
