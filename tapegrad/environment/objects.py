"""How classes and objects are looked at."""

from __future__ import annotations

import abc
import contextlib
import enum
import functools
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

from ..code_objects import code_of, is_of_library
from ..errors import UnsupportedError
from .reachable import CHANGING_MODULES, PLAIN, Place, Reachable, changing
from .values import attributes

__all__ = [
    "KEPT_ON_CLASSES", "OF_PYTHON", "called", "class_", "class_names", "enum_", "filled_slots", "given_names",
    "has_slots", "held_slots", "inherited", "is_users", "is_written_in_c", "object_", "public_names",
    "registered_with", "slot_descriptors", "slots_of",
]  # fmt: skip

_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})


def class_(value: Any, number: int, found: Reachable) -> None:
    """A class: its variables and methods, and its bases."""
    found.same(number, value)
    found.rigid = found.rigid or value is type
    if isinstance(value, abc.ABCMeta):
        found.note("registered", number, registered_with(value))
    if is_of_library(value):
        if sys.modules.get(value.__module__) in CHANGING_MODULES:
            raise changing(found.text(number))
        return
    if type(value) is not type:
        found.look(type(value), Place(number, "class", type(value).__name__))
    found.same(Place(number, "attribute", "__mro__"), value.__mro__)
    for base in value.__mro__:
        if base is not value:
            if not is_of_library(base):
                found.look(base, Place(number, "base", (value.__mro__.index(base), base.__name__)))
            continue
        names = class_names(value)
        found.note("class", number, names)
        for name in names:
            part, inner = vars(value)[name], Place(number, "variable", name)
            if name in _CONSTRUCTORS and found.places[number].how in ("class", "base"):
                _visit_leniently(part, inner, found)
            else:
                found.look(part, inner)


def _visit_leniently(value: Any, place: Place, found: Reachable) -> None:
    """Visit what is probably not called: the constructor of the class of an object that is there already."""
    try:
        found.look(value, place)
    except UnsupportedError as error:
        found.latent.append(error.with_traceback(None))


KEPT_ON_CLASSES = frozenset({
    "__dict__", "__weakref__", "__annotations__", "__annotate__", "__abstractmethods__", "__slotnames__", "_abc_impl",
    "__node_class__", "__signature_of_forward__",
})  # fmt: skip
"""What Python itself keeps among the variables of a class, also when it is used; or `copy`, or tapegrad."""
_MACHINERY = KEPT_ON_CLASSES | {
    "__module__", "__doc__", "__qualname__", "__slots__", "__parameters__", "__orig_bases__", "__type_params__",
    "__static_attributes__", "__firstlineno__", "__annotate_func__", "__annotations_cache__", "__dataclass_fields__",
    "__dataclass_params__", "__match_args__",
}  # fmt: skip
"""That, and what Python puts there when the class is made, and nobody changes."""


def _is_machinery(name: str, part: Any) -> bool:
    """Whether a class attribute is Python's own and holds nothing of the user's."""
    if name in _MACHINERY or (name == "__hash__" and part is None):
        return True
    if isinstance(part, types.FunctionType | staticmethod | classmethod | property):
        return False
    # a slot, the field of a named tuple and the like are descriptors written in C
    kind: Any = type(part)
    return hasattr(kind, "__get__") and is_written_in_c(kind) and not hasattr(part, "__wrapped__")


def class_names(cls: type) -> tuple[str, ...]:
    """The names in a class that hold something of the user's."""
    names = [name for name, part in vars(cls).items() if not _is_machinery(name, part)]
    if isinstance(cls, enum.EnumMeta):  # what it keeps of its members is found by them
        names = [name for name in names if not (name.startswith("_") and name.endswith("_")) or name.startswith("__")]
    return tuple(names)


_abstract: weakref.WeakKeyDictionary[type, tuple[Any, frozenset[Any]]] = weakref.WeakKeyDictionary()


def registered_with(cls: type) -> frozenset[Any]:
    """The classes that were registered with an abstract one, or with a class that inherits from it.

    Those of libraries that were registered with a library's are left out: that happens when modules are imported.
    """
    token = abc.get_cache_token()
    known = _abstract.get(cls)
    if known is None or known[0] != token:
        known = _abstract[cls] = token, frozenset(_registered(cls))
    return known[1]


def _registered(cls: type) -> Iterator[Any]:
    """Weak references to them."""
    is_library = is_of_library(cls)
    for reference in vars(abc)["_get_dump"](cls)[0]:
        part = reference()
        if part is not None and not (is_library and is_of_library(part)):
            yield reference
        if isinstance(part, abc.ABCMeta):
            yield from _registered(part)
    subclasses: list[type] = cls.__subclasses__()
    for inner in subclasses:
        if isinstance(inner, abc.ABCMeta):
            yield from _registered(inner)


def object_(value: Any, number: int, found: Reachable) -> None:
    """An object of a class written in Python."""
    kind: Any = type(value)
    if any(is_written_in_c(base) for base in kind.__mro__[:-1]) or kind is object:
        raise UnsupportedError(
            f"jit: {found.text(number)} is a {kind.__module__}.{kind.__qualname__}, whose state cannot be watched for "
            "changes: pass what the function needs of it as an argument"
        )
    inherited(value, number, found)


def inherited(value: Any, number: int, found: Reachable) -> None:
    """The class of an object, and what the object keeps in attributes and slots."""
    kind: Any = type(value)
    if is_written_in_c(kind):
        attributes(value, number, found)  # which an OrderedDict may be given
        return
    slots = held_slots(value)
    if has_slots(kind):
        found.note("slots", number, (kind, tuple(slots)))
    elif not found.checks or found.checks[-1].place != number:  # else its type has been looked at
        found.note("type", number, kind)
    if id(kind) not in found.seen:
        found.look(kind, Place(number, "class", kind.__name__))
    attributes(value, number, found)
    for name, part in slots.items():
        found.look(part, Place(number, "slot", name))


def enum_(value: Any, number: int, found: Reachable) -> None:
    """A member of an enumeration: its class, and what it was given besides a plain value."""
    found.same(number, value)
    kind = type(value)
    if id(kind) not in found.seen:
        found.look(kind, Place(number, "class", kind.__name__))
    names = given_names(value)
    found.note("given", number, names)
    for name in names:
        found.look(value.__dict__[name], Place(number, ".", name))
    if type(value._value_) not in PLAIN:
        found.look(value._value_, Place(number, ".", "_value_"))


_OF_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_", "_inverted_"})


def given_names(value: Any) -> tuple[str, ...]:
    """The attributes of a member of an enumeration that are the user's."""
    return tuple([name for name in value.__dict__ if name not in _OF_MEMBERS])


def public_names(value: Any) -> tuple[str, ...]:
    """The attributes of a jitted function, or of one with a cache, that are the user's."""
    return tuple([name for name in getattr(value, "__dict__", ()) if not name.startswith("_")])


def slots_of(value: Any) -> tuple[str, ...]:
    """The names of the slots of an object that hold something."""
    return tuple(held_slots(value))


def held_slots(value: Any) -> dict[str, Any]:
    """What the slots of an object hold, by name: of those of one name, the first."""
    kind: Any = type(value)
    names = slot_descriptors(kind)
    found: dict[str, Any] = {}
    for descriptor, part in filled_slots(value).items():
        found.setdefault(names[descriptor], part)
    return found


def filled_slots(value: Any) -> dict[Any, Any]:
    """What the slots of an object hold, by their descriptors; no entry for empty ones. No code of its class is run."""
    kind: Any = type(value)
    found = {}
    for descriptor in slot_descriptors(kind):
        with contextlib.suppress(AttributeError):  # an empty one
            found[descriptor] = descriptor.__get__(value)
    return found


@functools.cache
def slot_descriptors(kind: Any) -> dict[Any, str]:
    """The descriptors of the slots of instances of a class, with their names: overridden ones, too."""
    return {
        part: name
        for base in kind.__mro__
        if "__slots__" in vars(base)
        for name, part in vars(base).items()
        if type(part) is types.MemberDescriptorType and part.__objclass__ is base
    }


def is_users(value: Any) -> bool:
    """Whether this is a function or a class of the user's."""
    if isinstance(value, types.FunctionType):
        return not code_of(value.__code__).library
    return isinstance(value, type) and not is_of_library(value)


def called(value: Any) -> tuple[str, ...]:
    """What a function or a class is called, and said to be."""
    return value.__name__, value.__qualname__, str(value.__doc__)


def has_slots(kind: Any) -> bool:
    """Whether objects of a class have slots, which may be empty."""
    return bool(slot_descriptors(kind))


OF_PYTHON = 1 << 9
"""Py_TPFLAGS_HEAPTYPE, among the flags of all classes written in Python."""


@functools.cache
def is_written_in_c(cls: Any) -> bool:
    """Whether instances of a class may hold what is in no attribute."""
    return not cls.__flags__ & OF_PYTHON or any(
        isinstance(part, types.MethodDescriptorType | types.WrapperDescriptorType)
        for part in vars(cls).values()
        if getattr(part, "__objclass__", cls) is cls
    )
