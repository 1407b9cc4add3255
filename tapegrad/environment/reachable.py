"""What was found on the way through what a function can reach: objects, where they are, and what must stay the same."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import random
import secrets
import time
import types
import uuid
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError
from ..tape.number import plain

__all__ = [
    "CHANGING_MODULES", "PLAIN", "Check", "Handler", "Place", "Reachable", "changing", "is_value", "replaceable",
    "slot_of",
]  # fmt: skip

PLAIN = frozenset({bool, int, str, bytes, type(None)})
CHANGING_MODULES = (random, secrets, np.random, time, dt, uuid)


_LARGE = 1 << 16  # no address is smaller


class Place(NamedTuple):
    """How something was reached: `how` from the object numbered `parent` (-1: from nothing), and by which `name`."""

    parent: int
    how: str
    name: Any


class Check(NamedTuple):
    """One thing that must be the same for a program to fit: `kind` of what is at `place` (a `Place`, or the number of
    an object) is `expected`. See `compile/dispatch` for the kinds.
    """

    kind: str
    place: Any
    expected: Any


class Reachable:
    """What was found, in a fixed order.

    `objects` are the objects looked into, `places` how each was reached, `tensors` those of them that are tensors (by
    their numbers). `checks` are all that must be the same, `key` the same in a form to look up. `floats` are the places
    of the numbers that a recording follows, whose values are no part of the key: all floats if `followed`, and the
    `ints` at certain places. `growing` are the `lists`, of those places, that were not looked into.
    """

    __slots__ = (
        "_handle", "ambiguous", "checks", "floats", "followed", "growing", "identified", "ints", "key", "known",
        "large", "latent", "lists", "maths", "named", "objects", "outside", "places", "rigid", "seen", "tensors",
    )  # fmt: skip

    def __init__(
        self, handle: Handler, followed: bool = False, ints: Collection[str] = (), lists: Collection[str] = ()
    ) -> None:
        self._handle = handle
        self.ints = ints
        self.lists = lists
        self.growing: list[int] = []
        self.ambiguous = False  # whether one of them was found in two places
        self.checks: list[Check] = []
        self.key: list[Any] = []
        self.objects: list[Any] = []
        self.places: list[Place] = []
        self.tensors: list[int] = []
        self.floats: list[tuple[Place, Any]] = []
        self.seen: dict[int, int] = {}
        self.known: set[tuple[int, str]] = set()  # the names of users' modules that were looked at
        self.followed = followed
        self.latent: list[UnsupportedError] = []  # what would be wrong if constructors were called
        self.outside: list[tuple[Place, Any]] = []  # where functions are that reach the world outside
        self.maths: list[tuple[Place, Any]] = []  # where `math` and functions of it are
        self.identified = False  # whether code asks for the ids of objects
        self.large: set[int] = set()  # the ints that could be ids
        self.named = False  # whether code asks what functions and classes are called
        self.rigid = False  # whether code could tell a followed number from a plain one, or remember it

    def visit(self, value: Any, name: str, how: str = "argument") -> None:
        """Add `value`, which is reached from nothing, and all it holds.

        Raises UnsupportedError for an object whose state cannot be compared.
        """
        self.look(value, Place(-1, how, name))

    def note(self, kind: str, place: Any, expected: Any) -> None:
        """A check, which is also part of the key."""
        self.checks.append(Check(kind, place, expected))
        self.key.append((kind, expected))

    def same(self, place: Any, value: Any) -> None:
        """A check that something is the very same: the check keeps it alive, so that its id is its own."""
        self.checks.append(Check("is", place, value))
        self.key.append(("is", id(value)))

    def text(self, place: Place | int) -> str:
        """Where something is, in Python's words."""
        if isinstance(place, int):
            place = self.places[place]
        parent, how, name = place
        if how in ("argument", "builtin", "function", "root", "cell", "global", "module", "self"):
            return str(name[1]) if how == "cell" else str(name)
        if how in ("wrapped", "class", "key", "hooks"):
            return {"class": "the class of ", "key": "a key of ", "wrapped": "", "hooks": "the hooks of "}[
                how
            ] + self.text(parent)
        if how == "base":
            return str(name[1])
        if how == "variable" and self.places[parent].how == "class":
            return f"{self.places[parent].name}.{name}"
        if how in ("[", "under"):
            return f"{self.text(parent)}[{self.text(name) if how == 'under' else repr(name)}]"
        return f"{self.text(parent)}.{'grad' if name == '_grad' else name}"

    def look(self, value: Any, place: Place) -> None:
        """Add `value` to what was found, and what it holds."""
        value = plain(value)  # another thread may be recording with numbers that are followed
        kind = type(value)
        if kind is int and self.ints and replaceable(place, self) and self.text(place) in self.ints:
            self.note("float", place, int)
            self.floats.append((place, value))
            return
        if kind in PLAIN:
            if kind is int and value > _LARGE:
                self.large.add(value)
            self.checks.append(Check("value", place, value))
            self.key.append((kind, value))
            return
        if kind is float or kind is np.float64:
            self._float(value, place)
            return
        number = self.seen.get(id(value))
        if number is not None:
            self.ambiguous = self.ambiguous or number in self.growing
            self.note("again", place, number)
            return
        number = len(self.objects)
        self.objects.append(value)
        self.places.append(place)
        if not is_value(value):
            self.seen[id(value)] = number
        self._handle(value, number, self)

    def _float(self, value: Any, place: Place) -> None:
        """A float: followed if it can be replaced where it is, else a constant."""
        if self.followed and replaceable(place, self):
            self.note("float", place, type(value))
            self.floats.append((place, value))
        elif value and value == value:  # noqa: PLR0124
            self.checks.append(Check("value", place, value))
            self.key.append((type(value), value))
        else:
            self.note("repr", place, (type(value), repr(value)))

    def refusal(self, number: int, what: str) -> UnsupportedError:
        """The error for an object that cannot be watched."""
        return UnsupportedError(f"jit: {self.text(number)} {what}: pass what the function needs of it as an argument")


def is_value(x: Any) -> bool:
    """Whether this is a tuple: floats in it may be followed, in each place anew. One with attributes is an object."""
    return isinstance(x, tuple) and not type(x).__dictoffset__


Handler = Callable[[Any, int, Reachable], None]
"""Adds an object, by its number, and all that it holds, to what was found."""


def replaceable(place: Place, found: Reachable) -> bool:
    """Whether something else can be put where this is, for as long as a recording takes."""
    while True:
        parent, how, name = place
        if how == "slot":
            return slot_of(type(found.objects[parent]), name) is not None
        if how == "variable":
            return not isinstance(found.objects[parent], enum.EnumMeta)
        if how in ("argument", ".", "cell", "global"):
            return True
        if how not in ("[", "under"):
            return False
        kind: Any = type(found.objects[parent])
        if not _is_plain(kind):
            return False
        if not issubclass(kind, tuple):
            return True
        place = found.places[parent]


def slot_of(kind: Any, name: str) -> Any:
    """The descriptor of the slot that an attribute of instances of a class is; None if something else is there."""
    found = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    return found if type(found) is types.MemberDescriptorType else None


def _is_plain(kind: Any) -> bool:
    """Whether instances of a class hold what a built-in container does, and another one can be made."""
    if kind in (dict, list, tuple):
        return True
    base = next((base for base in (collections.OrderedDict, dict, list, tuple) if issubclass(kind, base)), None)
    if base is None or any(getattr(kind, name, None) is not getattr(base, name, None) for name in _ACCESS):
        return False
    try:
        return base is not tuple or tuple.__new__(kind) is not None
    except TypeError:  # such as time.struct_time, which holds more
        return False


_ACCESS = ("__getitem__", "__setitem__", "__iter__")


def changing(where: str) -> UnsupportedError:
    """The error for what gives another value each time."""
    return UnsupportedError(
        f"jit: {where} draws random numbers or tells the time, which the compiled program would repeat for "
        "ever: do it outside, pass the result in"
    )
