"""Containers by the methods of the built-in classes, whatever a subclass makes of them.

What a recording puts back, and what a compiled call does again, is what the function has done already: the methods of a
user's subclass are part of the function, and must not do it once more.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable
from typing import Any

from ..environment.values import attributes_of, builtin_of
from .growing import Watched

__all__ = [
    "base_of_container", "instances_of", "members", "method", "pairs", "put", "refill", "remake", "tuple_of",
]  # fmt: skip

_CHANGING = (collections.OrderedDict, dict, list, set, collections.deque)


def base_of_container(value: Any) -> Any:
    """The built-in class that makes `value` a container with contents that can be replaced; None if it is none."""
    base = builtin_of(value)
    return base if base in _CHANGING else None


def method(value: Any, name: str) -> Any:
    """The built-in method of that name of a container, unbound."""
    return getattr(base_of_container(value), name)


def pairs(mapping: Any) -> list[tuple[Any, Any]]:
    """The keys of a dict with their values, in order."""
    return list(method(mapping, "items")(mapping))


def members(container: Any) -> list[Any]:
    """What a list, a set or a deque holds; of what stands for a list, what was added to it."""
    return container.added if type(container) is Watched else list(method(container, "__iter__")(container))


def refill(container: Any, contents: Iterable[Any]) -> None:
    """Let a container hold `contents`: of a dict, pairs."""
    if type(container) is Watched:
        container.added = [*contents]
        return
    method(container, "clear")(container)
    if isinstance(container, dict):
        for key, value in contents:
            put(container, key, value)
    else:
        method(container, "update" if isinstance(container, set) else "extend")(container, contents)


def put(container: Any, key: Any, value: Any) -> None:
    """`container[key] = value`."""
    method(container, "__setitem__")(container, key, value)


def remake(value: Any, parts: Iterable[Any]) -> Any:
    """A tuple or a frozenset like `value`, of other parts; what it has for attributes, the two share."""
    kind: Any = type(value)
    base: Any = tuple if issubclass(kind, tuple) else frozenset
    if kind is base or not instances_of(kind, base):
        return kind(parts)  # such as time.struct_time
    new = base.__new__(kind, parts)
    held = attributes_of(value)
    if held is not None:
        new.__dict__ = held
    return new


def tuple_of(kind: Any, parts: tuple[Any, ...]) -> Any:
    """A tuple of a class of its own, without attributes."""
    return tuple.__new__(kind, parts) if instances_of(kind, tuple) else kind(parts)


@functools.cache
def instances_of(kind: Any, builtin: Any) -> bool:
    """Whether `builtin.__new__` can make instances of `kind`: those that hold no more than C code knows of."""
    try:
        builtin.__new__(kind)
    except TypeError:
        return False
    return True
