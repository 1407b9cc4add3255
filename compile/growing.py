"""Lists that a function only appends to: what they hold already is no part of its signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Watched"]


def _reading(name: str) -> Callable[..., Any]:
    method = getattr(list, name)

    def call(self: Watched, *args: Any, **kwargs: Any) -> Any:
        self.was_read = True
        return method(self, *args, **kwargs)

    call.__name__ = name
    return call


class Watched(list[Any]):
    """Stands for a list while a function is recorded, and notes whether anything but appending to it happened."""

    was_read = False

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
    __imul__ = _reading("__imul__")
    __repr__ = _reading("__repr__")
    __reduce_ex__ = _reading("__reduce_ex__")
    __hash__ = None
    clear = _reading("clear")
    copy = _reading("copy")
    count = _reading("count")
    index = _reading("index")
    insert = _reading("insert")
    pop = _reading("pop")
    remove = _reading("remove")
    reverse = _reading("reverse")
    sort = _reading("sort")

    def __radd__(self, other: list[Any]) -> list[Any]:
        """`other + self`, which a list would do without asking."""
        self.was_read = True
        return [*other, *self]
