"""Lists that a function only appends to: what they hold already is no part of its signature."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable
from typing import Any, Self

__all__ = ["Watched"]


def _reading(name: str) -> Callable[..., Any]:
    method = getattr(list, name)

    def call(self: Watched, *args: Any, **kwargs: Any) -> Any:
        return method(self.read(), *[_read(x) for x in args], **kwargs)

    call.__name__ = name
    return call


class Watched:
    """Stands for a list while a function is recorded, and notes whether anything but appending to it happened.

    To `isinstance` it is a list, to `type()` and to code written in C it is none: what that would read unseen it cannot
    read. It raises TypeError instead, and the function is recorded without stand-ins. `size` is how many items the list
    had, `items` are those and what was added.
    """

    __slots__ = ("items", "size", "was_read")

    items: list[Any]
    size: int
    was_read: bool

    def __init__(self, items: list[Any]) -> None:
        self.items = [*items]
        self.size = len(items)
        self.was_read = False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return list

    @property
    def added(self) -> list[Any]:
        """What was appended."""
        return self.items[self.size :]

    @added.setter
    def added(self, items: list[Any]) -> None:
        self.items[self.size :] = items

    def read(self) -> list[Any]:
        """All the items: this is noted."""
        self.was_read = True
        return self.items

    def give_to(self, stood_for: list[Any], items: list[Any]) -> None:
        """Let the list have `items` after those that it had; the same if it is done again."""
        stood_for[self.size :] = items

    def append(self, item: Any) -> None:
        """As a list's."""
        self.items.append(item)

    def extend(self, items: Iterable[Any]) -> None:
        """As a list's."""
        self.items.extend(items)

    def __iadd__(self, items: Iterable[Any]) -> Self:  # type: ignore[misc]
        self.items.extend(items)
        return self

    def __imul__(self, count: Any) -> Self:  # type: ignore[misc]
        self.items = self.read() * count
        return self

    def __radd__(self, other: list[Any]) -> list[Any]:
        """`other + self`, which a list would do without asking."""
        return [*other, *self.read()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.read(), name)

    __len__ = _reading("__len__")
    __getitem__ = _reading("__getitem__")
    __setitem__ = _reading("__setitem__")
    __delitem__ = _reading("__delitem__")
    __iter__ = _reading("__iter__")
    __reversed__ = _reading("__reversed__")
    __contains__ = _reading("__contains__")
    __eq__ = _reading("__eq__")
    __ne__ = _reading("__ne__")
    __lt__ = _reading("__lt__")
    __le__ = _reading("__le__")
    __gt__ = _reading("__gt__")
    __ge__ = _reading("__ge__")
    __add__ = _reading("__add__")
    __mul__ = _reading("__mul__")
    __rmul__ = _reading("__rmul__")
    __repr__ = _reading("__repr__")
    __format__ = _reading("__format__")
    __reduce_ex__ = _reading("__reduce_ex__")
    __hash__ = None  # type: ignore[assignment]


collections.abc.MutableSequence.register(Watched)  # for `match`, which asks for no class


def _read(x: Any) -> Any:
    return x.read() if type(x) is Watched else x
