"""What stands, for the time of a recording, where followed floats, growing lists and ways to the outside world are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..environment import Place
from ..environment.reachable import replaceable, slot_of
from ..tape.number import following_math
from .containers import method, put, remake
from .diverted import stand_in
from .growing import Watched
from .heap import MISSING

if TYPE_CHECKING:
    from ..tape.number import Numbers
    from .signature import Signature

__all__ = ["Stands"]


class _Spot(NamedTuple):
    """Where something else can be put: `read` says what is there, MISSING if there is nothing."""

    read: Callable[[], Any]
    write: Callable[[Any], None]


class Stands:
    """What stands for other things. `lists` and `tuples` have, by the numbers of those, what stands for them.

    What is put somewhere is noted before that: whenever `put` is interrupted, `take` takes out all that it put in.
    """

    def __init__(self, signature: Signature, args: list[Any], kwargs: dict[str, Any], numbers: Numbers) -> None:
        """`args` and `kwargs` are lists and dicts of the recording's own; `numbers` notes what is done with floats."""
        self._signature = signature
        self._args, self._kwargs = args, kwargs
        self._numbers = numbers
        self._objects = list(signature.found.objects)
        self._put: list[tuple[_Spot, Any, Any]] = []
        self.lists: dict[int, Watched] = {}
        self.tuples = {number: x for number, x in enumerate(self._objects) if isinstance(x, tuple)}

    def put(self) -> None:
        """Put a Number in the place of each followed float; into a new tuple, where a tuple holds it."""
        found = self._signature.found
        parts: dict[int, dict[int, Any]] = {}
        for place, new in self._new():
            if self._is_in_tuple(place):
                parts.setdefault(place.parent, {})[place.name] = new
            else:
                self._replace(place, new)
        places: dict[int, list[Place]] = {number: [found.places[number]] for number in self.tuples}
        for check in found.checks:
            if check.kind == "again" and check.expected in places:
                places[check.expected].append(check.place)
        for number in _with_what_holds_them(parts, places, self._is_in_tuple):
            for place in places[number]:
                if not self._is_in_tuple(place) and replaceable(place, found):
                    self._replace(place, self._remade(number, parts, places))

    def _new(self) -> Iterator[tuple[Place, Any]]:
        """What is to be put where. Lists are known as standing before."""
        found = self._signature.found
        for i, (place, value) in enumerate(found.floats):
            yield place, self._numbers.input(i, value)
        for number in found.growing:
            self.lists[number] = Watched(self._objects[number])
            yield found.places[number], self.lists[number]
        for place, part in found.maths if not self._numbers.rigid else ():
            yield place, following_math if part is math else getattr(following_math, part.__name__)
        for place, part in found.outside:
            yield place, stand_in(part)

    def _is_in_tuple(self, place: Place) -> bool:
        return place.how == "[" and place.parent in self.tuples

    def _remade(self, number: int, parts: dict[int, dict[int, Any]], places: dict[int, list[Place]]) -> Any:
        """What stands for a tuple: one that holds what stands for its parts."""
        old = self._objects[number]
        if self.tuples[number] is old:
            inner = {p.name: n for n in parts for p in places[n] if p.parent == number and self._is_in_tuple(p)}
            new = parts[number] | {i: self._remade(n, parts, places) for i, n in inner.items()}
            self.tuples[number] = remake(old, [new.get(i, part) for i, part in enumerate(old)])
        return self.tuples[number]

    def take(self) -> None:
        """Put back what was there, wherever what stands for it still is; all the same if it is done again."""
        for spot, old, new in reversed(self._put):
            if spot.read() is new:
                spot.write(old)

    def cut(self) -> None:
        """Let the lists have what they had."""
        for number, x in self.lists.items():
            x.give_to(self._objects[number], [])

    def _replace(self, place: Place, new: Any) -> None:
        spot = self._spot(place)
        self._put.append((spot, spot.read(), new))
        spot.write(new)

    def _spot(self, place: Place) -> _Spot:
        parent, how, name = place
        if how == "argument":
            position = self._signature.argument(name)
            return _item(self._kwargs if isinstance(position, str) else self._args, position)
        holder = self._objects[parent]
        if how == "cell":
            return _cell(holder.__closure__[name[0]])
        if how == "variable":
            return _variable(holder, name)
        if how == "slot":
            return _slot(holder, slot_of(type(holder), name))
        name = self._objects[name] if how == "under" else name
        return _item(holder.__dict__ if how == "." else holder.__globals__ if how == "global" else holder, name)


def _with_what_holds_them(
    parts: dict[int, dict[int, Any]], places: dict[int, list[Place]], is_in_tuple: Callable[[Place], bool]
) -> list[int]:
    """The tuples that have new `parts`, and those that hold one of them, which are added to `parts`."""
    numbers = [*parts]
    for number in numbers:
        for place in places[number]:
            if is_in_tuple(place) and place.parent not in parts:
                parts[place.parent] = {}
                numbers.append(place.parent)
    return numbers


def _item(container: Any, key: Any) -> _Spot:
    get = method(container, "__getitem__")

    def read() -> Any:
        try:
            return get(container, key)
        except (KeyError, IndexError):
            return MISSING

    return _Spot(read, lambda x: put(container, key, x))


def _cell(cell: Any) -> _Spot:
    def read() -> Any:
        try:
            return cell.cell_contents
        except ValueError:
            return MISSING

    return _Spot(read, lambda x: setattr(cell, "cell_contents", x))


def _variable(holder: Any, name: str) -> _Spot:
    return _Spot(lambda: vars(holder).get(name, MISSING), lambda x: type.__setattr__(holder, name, x))


def _slot(holder: Any, descriptor: Any) -> _Spot:
    def read() -> Any:
        try:
            return descriptor.__get__(holder)
        except AttributeError:
            return MISSING

    return _Spot(read, lambda x: descriptor.__set__(holder, x))
