"""What a function can reach besides tensors, before and after a run: containers, attributes, variables.

A *holder* is something with contents that code can replace. What a run replaced there is an effect, which a compiled
call has to bring about too, and which is undone if the run fails.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..code_objects import code_of, is_of_library
from ..environment import Reachable, class_names
from ..environment.objects import KEPT_ON_CLASSES, OF_PYTHON, filled_slots, slot_descriptors
from ..environment.values import attributes_of
from ..tape import TensorBase
from .containers import base_of_container, members, method, pairs, put, refill
from .growing import Watched

__all__ = [
    "CONTAINERS", "CONTENTS", "MISSING", "Change", "Snapshot", "holders", "refused", "replace",
    "rewrite", "same",
]  # fmt: skip

MISSING = object()
CONTAINERS = ("items", "list", "set", "array", "attributes", "slots", "class")
"""The kinds of holders that are objects with contents, not functions, classes or modules."""
_PLAIN = (bool, int, float, str, bytes)
_OF_FUNCTION = ("__code__", "__name__", "__qualname__", "__doc__", "__module__")
_OF_CLASS = ("__name__", "__qualname__", "__bases__")


class Change(NamedTuple):
    """A holder whose contents are not what they were: object `number`, seen as a `kind` of holder."""

    number: int
    kind: str
    before: Any
    after: Any


class Snapshot:
    """The contents of all holders, to compare with and to go back to."""

    def __init__(self, found: Reachable, standing: Mapping[int, Watched]) -> None:
        """`standing` are what stands for some of the objects meanwhile."""
        self._objects = [standing.get(number, value) for number, value in enumerate(found.objects)]
        self._held = [
            (number, kind, CONTENTS[kind](self._objects[number], found, number)) for number, kind in holders(found)
        ]
        self._found = found

    def changes(self) -> list[Change]:
        """What is not as it was."""
        return [*self._changes()]

    def _changes(self) -> Iterator[Change]:
        for number, kind, before in self._held:
            after = CONTENTS[kind](self._objects[number], self._found, number)
            if not same(before, after):
                yield Change(number, kind, before, after)

    def restore(self) -> None:
        """Put everything back: what a holder is comes before what it holds."""
        for change in self._changes():
            rewrite(change._replace(after=change.before), self._objects)


def rewrite(change: Change, objects: Sequence[Any], settled: Callable[[Any], Any] = lambda x: x) -> None:
    """Put what `settled` makes of the contents after a change into the holder."""
    contents = change.after
    if isinstance(contents, dict):
        contents = {settled(name): settled(x) for name, x in contents.items()}
    else:
        contents = [settled(x) for x in contents]
    _WRITE[change.kind](objects[change.number], contents)


def refused(change: Change, found: Reachable) -> str | None:
    """What a change is to, if a compiled call could not make it, too, or what follows from it could not be seen."""
    holder = found.objects[change.number]
    _, kind, before, after = change
    if kind in ("defaults", "array"):
        return "the NumPy array" if kind == "array" else "the defaults of"
    if kind == "function" and before["__code__"] is not after["__code__"]:
        return "the code of"
    if kind == "class" and any(slot_descriptors(held["__class__"]) for held in (before, after)):
        return "the class, which has slots, of"
    if kind == "variables":
        known = _TOLD_OF_CLASSES.union(class_names(holder))
        unseen = [x for x in before | after if before.get(x, MISSING) is not after.get(x, MISSING) and x not in known]
        return next((f"{x} of" for x in unseen if x.startswith("__") and (x in before or _mentions(found, x))), None)
    return None


def _mentions(found: Reachable, name: str) -> bool:
    """Whether code of the user's mentions a name: what it does not is for libraries to keep."""
    functions = [x for x in found.objects if isinstance(x, types.FunctionType)]
    return any(name in code_of(function.__code__).attributes for function in functions)


_TOLD_OF_CLASSES = frozenset({"__name__", "__qualname__", "__doc__", "__module__"})
"""What the signature has of classes, besides their variables, where code asks for it."""


def holders(found: Reachable) -> Iterator[tuple[int, str]]:
    """The numbers of the objects that hold others, and how."""
    for number, value in enumerate(found.objects):
        kind: Any = type(value)
        if isinstance(value, types.FunctionType):
            if not code_of(value.__code__).library:
                yield from [(number, how) for how in ("function", "cells", "globals", "defaults")]
        elif isinstance(value, types.ModuleType):
            yield number, "globals of a module"
        elif isinstance(value, type):
            if not is_of_library(value):
                yield number, "variables"
            continue
        elif kind.__flags__ & OF_PYTHON:
            yield number, "class"
        container = _CONTAINER.get(base_of_container(value), "array" if isinstance(value, np.ndarray) else None)
        if container is not None:
            yield number, container
        if not isinstance(value, types.ModuleType) and attributes_of(value) is not None:
            yield number, "attributes"
        if not isinstance(value, TensorBase) and slot_descriptors(kind):
            yield number, "slots"


_CONTAINER = {
    collections.OrderedDict: "items", dict: "items", list: "list", collections.deque: "list", set: "set",
}  # fmt: skip


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _globals(function: Any, found: Reachable, number: int) -> dict[str, Any]:  # noqa: ARG001
    namespace = function.__globals__
    return {name: namespace.get(name, MISSING) for name in code_of(function.__code__).globals}


def _of_module(module: Any, found: Reachable, number: int) -> dict[str, Any]:
    return {name: module.__dict__.get(name, MISSING) for at, name in found.known if at == number}


_APART = KEPT_ON_CLASSES.union(_OF_CLASS)
"""What is among the variables of a class, or is looked at otherwise."""


def _of_class(value: Any, *_: Any) -> dict[str, Any]:
    own = {name: getattr(value, name) for name in _OF_CLASS}
    return own | {name: part for name, part in vars(value).items() if name not in _APART}


CONTENTS: dict[str, Callable[[Any, Reachable, int], Any]] = {
    "items": lambda value, *_: dict(pairs(value)),
    "list": lambda value, *_: members(value),
    "set": lambda value, *_: members(value),
    "array": lambda value, *_: [value.tobytes()],
    "attributes": lambda value, *_: dict(pairs(attributes_of(value))),
    "slots": lambda value, *_: filled_slots(value),
    "class": lambda value, *_: {"__class__": type(value)},
    "cells": lambda value, *_: [_cell(cell) for cell in value.__closure__ or ()],
    "defaults": lambda value, *_: [value.__defaults__, value.__kwdefaults__],
    "function": lambda value, *_: {name: getattr(value, name) for name in _OF_FUNCTION},
    "globals": _globals,
    "globals of a module": _of_module,
    "variables": _of_class,
}


def replace(kind: str, holder: Any, name: Any, value: Any) -> None:
    """Put `value` at `name` of a holder; MISSING takes out what is there."""
    if kind == "cells":
        cell = holder.__closure__[name]
        if value is MISSING:
            del cell.cell_contents
        else:
            cell.cell_contents = value
    elif kind == "slots":
        if value is not MISSING:
            name.__set__(holder, value)
        elif name in filled_slots(holder):
            name.__delete__(holder)
    elif kind in _SET:
        if value is not MISSING:
            _SET[kind](holder, name, value)
        elif name in vars(holder):
            type.__delattr__(holder, name)
    else:
        _replace_item(_namespace(kind, holder), name, value)


_SET: dict[str, Callable[[Any, str, Any], None]] = {
    "variables": type.__setattr__,
    "class": object.__setattr__,
    "function": object.__setattr__,
}


def _namespace(kind: str, holder: Any) -> Any:
    """The dict that has what a holder of that kind holds."""
    return holder if kind == "items" else holder.__globals__ if kind == "globals" else attributes_of(holder)


def _replace_item(namespace: Any, name: Any, value: Any) -> None:
    if value is MISSING:
        method(namespace, "pop")(namespace, name, None)
    else:
        put(namespace, name, value)


def _rewriter(kind: str) -> Callable[[Any, dict[Any, Any]], None]:
    """What puts back what has changed of the contents."""

    def write(holder: Any, before: dict[Any, Any]) -> None:
        now = CONTENTS[kind](holder, None, 0) if kind in ("slots", "variables") else {}  # type: ignore[arg-type]
        for name in set(now) - set(before):
            replace(kind, holder, name, MISSING)
        for name, value in before.items():
            if now.get(name, MISSING) is not value or value is MISSING:
                replace(kind, holder, name, value)

    return write


def _refiller(kind: str) -> Callable[[Any, dict[Any, Any]], None]:
    """What puts all of the contents back, in the order they had."""
    return lambda holder, before: refill(_namespace(kind, holder), before.items())


def _put_cells(holder: Any, before: list[Any]) -> None:
    for i, value in enumerate(before):
        replace("cells", holder, i, value)


def _put_array(holder: Any, before: list[Any]) -> None:
    np.copyto(holder, np.frombuffer(before[0], holder.dtype).reshape(holder.shape))


def _put_defaults(holder: Any, before: list[Any]) -> None:
    holder.__defaults__, holder.__kwdefaults__ = before


_WRITE: dict[str, Callable[[Any, Any], None]] = {
    **{kind: _rewriter(kind) for kind in ("slots", "class", "function", "globals", "globals of a module", "variables")},
    **{kind: _refiller(kind) for kind in ("items", "attributes")},
    "array": _put_array,
    "cells": _put_cells,
    "list": refill,
    "set": refill,
    "defaults": _put_defaults,
}


def same(before: Any, after: Any) -> bool:
    """Whether contents are the same objects, in the same order; equal plain values are the same, too."""
    if len(before) != len(after):
        return False
    if isinstance(before, dict):
        if not all(map(_equal, before, after)):
            return False
        before, after = before.values(), after.values()
    return all(map(_equal, before, after))


def _equal(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and type(a) in _PLAIN and repr(a) == repr(b))
