"""How values and containers are looked at."""

from __future__ import annotations

import collections
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..tape import TensorBase
from .reachable import PLAIN, Place, Reachable, replaceable

__all__ = [
    "array", "array_of", "as_plain", "attributes", "attributes_of", "builtin_of", "by_text", "hook_handle", "hooks_of",
    "logger", "mapping", "namespace", "number", "number_of", "plain_", "plain_of", "sequence", "set_", "set_of",
    "static", "tensor",
]  # fmt: skip

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
    held = attributes_of(value)
    if held is not None:
        found.note("attributes", number, tuple(held))
        for name, part in held.items():
            found.look(part, Place(number, ".", name))


def attributes_of(value: Any) -> dict[str, Any] | None:
    """The `__dict__` of an object, None without one, as for a class; no code of the object's class is run."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return held if isinstance(held, dict) else None


def number(value: Any, number: int, found: Reachable) -> None:
    """A float or a complex number by its text, for nan is nan; of a subclass, as the number that it is."""
    found.note("number", number, number_of(value))


def number_of(value: Any) -> tuple[Any, str]:
    """What tells a number from all others, and from those of other classes."""
    return type(value), (float if isinstance(value, float) else complex).__repr__(value)


def plain_(value: Any, number: int, found: Reachable) -> None:
    """An int, a string or bytes of a subclass."""
    found.note("plain", number, plain_of(value))


def plain_of(value: Any) -> tuple[Any, Any]:
    """What tells it from all others, whatever its class says of equality."""
    return type(value), as_plain(value)


def as_plain(value: Any) -> Any:
    """The plain value that an instance of a subclass of a class of such has; None for anything else."""
    base: Any = next((base for base in _AS_PLAIN if isinstance(value, base)), None)
    return None if base is None else _AS_PLAIN[base](value)


_AS_PLAIN: dict[Any, Callable[[Any], Any]] = {
    str: str.__str__, bytes: lambda x: bytes.__getitem__(x, slice(None)), int: int.__int__, float: float.__float__,
    complex: complex.__complex__, frozenset: lambda x: frozenset(frozenset.__iter__(x)),
}  # fmt: skip


def static(value: Any, number: int, found: Reachable) -> None:
    """A constant that can be compared."""
    found.note("equal", number, value)


def by_text(value: Any, number: int, found: Reachable) -> None:
    """A constant that its text tells from all others of its class."""
    found.note("repr", number, (type(value), repr(value)))


def array(value: Any, number: int, found: Reachable) -> None:
    """A small NumPy array, by its bytes."""
    if value.nbytes > _MOST_BYTES or value.dtype.hasobject:
        raise UnsupportedError(
            f"jit: {found.text(number)} is a NumPy array of {value.nbytes} bytes, which cannot be watched for changes: "
            "make it a tensor, or pass it as one"
        )
    found.note("array", number, array_of(value))


def array_of(value: Any) -> tuple[Any, ...]:
    """What tells an array or a NumPy number from all others: how it lies in memory, too."""
    layout = (value.strides, value.flags.writeable) if isinstance(value, np.ndarray) else ()
    return type(value), value.shape, value.dtype, *layout, value.tobytes()


_CONTAINERS: tuple[Any, ...] = (
    list, tuple, collections.deque, collections.OrderedDict, dict, types.MappingProxyType, set, frozenset,
)  # fmt: skip
"""A subclass before its base."""


def builtin_of(value: Any) -> Any:
    """The container of Python's own that this is, or inherits from: its methods show what is there, no user's do.

    None for what is no container.
    """
    return next((kind for kind in _CONTAINERS if issubclass(type(value), kind)), None)


def sequence(value: Any, number: int, found: Reachable) -> None:
    """A list, tuple or deque; of a list that is only appended to, no more than that it is one."""
    is_watched = type(value) is list and found.lists and found.text(number) in found.lists
    if is_watched and replaceable(found.places[number], found):
        found.note("type", number, list)
        found.growing.append(number)
        return
    parts = [*builtin_of(value).__iter__(value)]
    found.note("length", number, (type(value), len(parts)))
    if isinstance(value, collections.deque):
        found.look(value.maxlen, Place(number, "attribute", "maxlen"))
    for i, part in enumerate(parts):
        found.look(part, Place(number, "[", i))


def mapping(value: Any, number: int, found: Reachable) -> None:
    """A dict: its keys in order, and its values."""
    kind = builtin_of(value)
    names = [*kind.__iter__(value)]
    if all(type(name) is str for name in names):
        found.note("names", number, (type(value), tuple(names)))
    else:
        found.note("length", number, (type(value), len(names)))
        for i, name in enumerate(names):
            found.look(name, Place(number, "key", i))
    if isinstance(value, collections.defaultdict):
        found.look(value.default_factory, Place(number, "attribute", "default_factory"))
    for name, part in kind.items(value):
        key = None if type(name) in PLAIN else found.seen.get(id(name))
        place = Place(number, "[", name) if key is None else Place(number, "under", key)
        found.look(part, place)


def set_(value: Any, number: int, found: Reachable) -> None:
    """A set: what is in it, in the order in which it comes."""
    parts = [*builtin_of(value).__iter__(value)]
    if all(type(part) in PLAIN or type(part) is float for part in parts):
        found.note("set", number, set_of(value))
        found.large.update([part for part in parts if type(part) is int])
        return
    found.note("length", number, (type(value), len(parts)))
    for i, part in enumerate(parts):
        found.look(part, Place(number, "key", i))


def set_of(value: Any) -> tuple[Any, ...]:
    """What tells a set of plain values from all others."""
    return type(value), tuple([(type(part), repr(part)) for part in builtin_of(value).__iter__(value)])


def logger(value: Any, number: int, found: Reachable) -> None:
    """What it writes is for people, like print's output; whether it does may be asked."""
    found.same(number, value)
    found.note("level", number, value.getEffectiveLevel())


def namespace(value: Any, number: int, found: Reachable) -> None:
    """An object that is its attributes."""
    found.note("type", number, type(value))
    attributes(value, number, found)
