"""The numbers that a recording follows, taken out again of what the function made, changed or raised."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..environment.objects import filled_slots
from ..environment.values import attributes_of
from ..tape import TensorBase
from ..tape.number import Number, plain
from .containers import base_of_container, members, method, pairs, put, refill, remake
from .growing import Watched
from .remaking import taken_apart

__all__ = ["Settling"]


class Settling:
    """Says what a value comes to without numbers that are followed, nor anything else that stood for something.

    New containers and objects are changed in place, what cannot be changed is made anew if it must be. `old` are the
    ids of what there was before the recording, which is put back elsewhere; `stood_for` says what stood for what.
    """

    def __init__(self, old: Mapping[int, Any], stood_for: list[tuple[Any, Any]]) -> None:
        self._old = old
        self._done: dict[int, tuple[Any, Any]] = {id(x): (x, original) for x, original in stood_for}

    def __call__(self, value: Any) -> Any:
        """What `value` comes to."""
        kind: Any = type(value)
        if kind is Number:
            return plain(value)
        if id(value) in self._done:
            return self._done[id(value)][1]
        if isinstance(value, tuple | frozenset):
            base: Any = tuple if isinstance(value, tuple) else frozenset
            return self._remade(value, base.__iter__(value), remake)
        if kind is slice:
            return self._remade(value, (value.start, value.stop, value.step), lambda _, parts: slice(*parts))
        if id(value) in self._old or isinstance(value, type | types.ModuleType | types.FunctionType):
            return value
        apart = taken_apart(value)
        if apart is not None:
            return self._remade(value, apart[1], lambda _, parts: apart[0](*parts))
        self._done[id(value)] = value, value
        self._settle(value)
        return value

    def _remade(self, value: Any, parts: Iterable[Any], make: Callable[[Any, list[Any]], Any]) -> Any:
        """What something that cannot be changed comes to; a part of it that holds it may have come to that already."""
        before = [*parts]
        after = [self(x) for x in before]
        new = value if _are(after, before) else make(value, after)
        new = self._done.setdefault(id(value), (value, new))[1]
        held, own = attributes_of(value), attributes_of(new)
        if own is not None and held is not None and own is not held:
            own.update(held)
        self._attributes(new)
        return new

    def error(self, error: BaseException) -> None:
        """Take them out of an exception, of what led to it, and of all that these hold."""
        with contextlib.suppress(RecursionError):
            self(error)

    def _settle(self, value: Any) -> None:
        """Take them out of an object and what it holds."""
        if isinstance(value, BaseException):
            self._exception(value)
        if base_of_container(value) is not None and type(value) is not Watched:
            self._contents(value)
        self._attributes(value)
        if not isinstance(value, TensorBase):
            for descriptor, part in filled_slots(value).items():
                self._put(part, functools.partial(descriptor.__set__, value))

    def _put(self, part: Any, write: Callable[[Any], Any]) -> None:
        new = self(part)
        if new is not part:
            write(new)

    def _contents(self, value: Any) -> None:
        if isinstance(value, dict):
            parts = [(self(key), self(part)) for key, part in pairs(value)]
            if not all(a is key and b is part for (a, b), (key, part) in zip(parts, pairs(value), strict=True)):
                refill(value, parts)
            return
        before = members(value)
        after = [self(part) for part in before]
        if _are(after, before):
            return
        if isinstance(value, set):
            refill(value, after)
        else:
            for i, part in enumerate(after):
                method(value, "__setitem__")(value, i, part)

    def _attributes(self, value: Any) -> None:
        held = attributes_of(value)
        if held is None or id(held) in self._old:
            return
        for key, part in pairs(held):
            self._put(part, functools.partial(put, held, key))

    def _exception(self, error: BaseException) -> None:
        """What an exception holds besides attributes: its arguments, and what C code took of them."""
        self._put(error.args, functools.partial(setattr, error, "args"))
        for base in type(error).__mro__:
            for name, member in vars(base).items():
                if type(member) is types.MemberDescriptorType and "__slots__" not in vars(base):
                    with contextlib.suppress(AttributeError, TypeError):  # what cannot be set holds what was settled
                        self._put(getattr(error, name), functools.partial(setattr, error, name))
        self(error.__cause__)
        self(error.__context__)


def _are(parts: list[Any], before: Any) -> bool:
    """Whether these are the very same."""
    return all(a is b for a, b in zip(parts, before, strict=True))
