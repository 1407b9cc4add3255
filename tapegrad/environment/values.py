"""How values and containers are looked at."""

from __future__ import annotations

import collections
import enum
from typing import Any

from ..errors import UnsupportedError
from ..tape import TensorBase
from .reachable import PLAIN, Place, Reachable, replaceable

__all__ = [
    "array",
    "attributes",
    "complex_",
    "hook_handle",
    "hooks_of",
    "logger",
    "mapping",
    "namespace",
    "sequence",
    "set_",
    "slice_",
    "static",
    "tensor",
]

_MOST_BYTES = 1 << 16


def tensor(t: TensorBase, number: int, found: Reachable) -> None:
    """A tensor: its gradient, its hooks, its attributes."""
    found.note("tensor", number, None)
    found.tensors.append(number)
    found.look(t._grad, Place(number, "attribute", "_grad"))
    if t._accumulator is not None and t._accumulator.extras is not None:
        found.look(hooks_of(t), Place(number, "hooks", None))
    attributes(t, number, found)


def hooks_of(t: TensorBase) -> list[Any]:
    """The functions that a backward pass calls when it comes to the leaf `t`."""
    extras = None if t._accumulator is None else t._accumulator.extras
    if extras is None:
        return []
    tables = [*extras.tensor.values(), extras.before, extras.after, extras.accumulated]
    return [hook for table in tables for hook in table.values()]


def hook_handle(value: Any, number: int, found: Reachable) -> None:
    """The handle of a hook: its number, and whether the hook is there still; that is found where it is registered."""
    found.note("type", number, type(value))
    found.note("hooked", number, value.is_registered())
    found.look(value.id, Place(number, "slot", "id"))


def attributes(value: Any, number: int, found: Reachable) -> None:
    """What is kept in `__dict__`."""
    held = getattr(value, "__dict__", None)
    if held is not None:
        found.note("attributes", number, tuple(held))
        for name, part in held.items():
            found.look(part, Place(number, ".", name))


def complex_(value: Any, number: int, found: Reachable) -> None:
    """A number by its text: nan is nan."""
    found.note("repr", number, (type(value), repr(value)))


def static(value: Any, number: int, found: Reachable) -> None:
    """A constant that can be compared."""
    found.note("equal", number, value)


def slice_(value: Any, number: int, found: Reachable) -> None:
    """A slice, by its text."""
    found.note("repr", number, (slice, repr(value)))


def array(value: Any, number: int, found: Reachable) -> None:
    """A small NumPy array, by its bytes."""
    if value.nbytes > _MOST_BYTES or value.dtype.hasobject:
        raise UnsupportedError(
            f"jit: {found.text(number)} is a NumPy array of {value.nbytes} bytes, which cannot be watched for changes: "
            "make it a tensor, or pass it as one"
        )
    found.note("array", number, (type(value), value.shape, value.dtype, value.tobytes()))


def sequence(value: Any, number: int, found: Reachable) -> None:
    """A list, tuple or deque; of a list that is only appended to, no more than that it is one."""
    is_watched = type(value) is list and found.lists and found.text(number) in found.lists
    if is_watched and replaceable(found.places[number], found):
        found.note("type", number, list)
        found.growing.append(number)
        return
    found.note("length", number, (type(value), len(value)))
    if isinstance(value, collections.deque):
        found.look(value.maxlen, Place(number, "attribute", "maxlen"))
    for i, part in enumerate(value):
        found.look(part, Place(number, "[", i))


def mapping(value: Any, number: int, found: Reachable) -> None:
    """A dict: its keys in order, and its values."""
    names = [*value]
    if all(type(name) is str for name in names):
        found.note("names", number, (type(value), tuple(names)))
    else:
        found.note("length", number, (type(value), len(value)))
        for i, name in enumerate(names):
            found.look(name, Place(number, "key", i))
    if isinstance(value, collections.defaultdict):
        found.look(value.default_factory, Place(number, "attribute", "default_factory"))
    for name in names:
        key = None if type(name) in PLAIN else found.seen.get(id(name))
        place = Place(number, "[", name) if key is None else Place(number, "under", key)
        found.look(value[name], place)


def set_(value: Any, number: int, found: Reachable) -> None:
    """A set of plain values."""
    if any(type(part) not in PLAIN and not isinstance(part, float | enum.Enum) for part in value):
        raise found.refusal(number, "is a set of objects, which come in no fixed order")
    found.note("set", number, (type(value), frozenset((type(part), part) for part in value)))


def logger(value: Any, number: int, found: Reachable) -> None:
    """What it writes is for people, like print's output; whether it does may be asked."""
    found.note("is", number, value)
    found.note("level", number, value.getEffectiveLevel())


def namespace(value: Any, number: int, found: Reachable) -> None:
    """An object that is its attributes."""
    found.note("type", number, type(value))
    attributes(value, number, found)
