"""What a function can reach besides tensors, before and after a run: containers, attributes, variables.

A *holder* is something with contents that code can replace. What a run replaced there is an effect, which a compiled
call has to bring about too, and which is undone if the run fails.
"""

from __future__ import annotations

import collections
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..code_objects import code_of, is_library_module
from ..environment import Reachable, class_names, has_slots, slots_of
from ..tape import TensorBase
from ..tape.number import plain

__all__ = ["CONTAINERS", "CONTENTS", "MISSING", "Change", "Snapshot", "holders", "replace", "rewrite", "same"]

MISSING = object()
CONTAINERS = ("items", "list", "set", "array", "attributes", "slots")
"""The kinds of holders that are objects with contents, not functions, classes or modules."""
_PLAIN = (bool, int, float, str, bytes)


class Change(NamedTuple):
    """A holder whose contents are not what they were: object `number`, seen as a `kind` of holder."""

    number: int
    kind: str
    before: Any
    after: Any


class Snapshot:
    """The contents of all holders, to compare with and to go back to."""

    def __init__(self, found: Reachable, standing: Mapping[int, Any]) -> None:
        """`standing` are what stands for some of the objects meanwhile."""
        self._objects = [standing.get(number, value) for number, value in enumerate(found.objects)]
        self._held = [
            (number, kind, CONTENTS[kind](self._objects[number], found, number)) for number, kind in holders(found)
        ]
        self._found = found

    def changes(self) -> list[Change]:
        """What is not as it was."""
        found = []
        for number, kind, before in self._held:
            after = CONTENTS[kind](self._objects[number], self._found, number)
            if not same(before, after):
                found.append(Change(number, kind, before, after))
        return found

    def restore(self) -> None:
        """Put everything back."""
        for change in self.changes():
            rewrite(change._replace(after=change.before), self._objects)


def rewrite(change: Change, objects: Sequence[Any], settled: Callable[[Any], Any] = lambda x: x) -> None:
    """Put what `settled` makes of the contents after a change into the holder."""
    contents = change.after
    if isinstance(contents, dict):
        contents = {plain(name): settled(x) for name, x in contents.items()}
    else:
        contents = [settled(x) for x in contents]
    _WRITE[change.kind](objects[change.number], contents)


def holders(found: Reachable) -> Iterator[tuple[int, str]]:
    """The numbers of the objects that hold others, and how."""
    for number, value in enumerate(found.objects):
        kind = type(value)
        if isinstance(value, dict):
            yield number, "items"
        elif isinstance(value, list | collections.deque):
            yield number, "list"
        elif isinstance(value, set):
            yield number, "set"
        elif isinstance(value, np.ndarray):
            yield number, "array"
        elif isinstance(value, types.FunctionType):
            if not code_of(value.__code__).library:
                yield number, "cells"
                yield number, "globals"
                yield number, "defaults"
        elif isinstance(value, types.ModuleType):
            yield number, "globals of a module"
        elif isinstance(value, type) and not is_library_module(sys.modules.get(value.__module__)):
            yield number, "variables"
            continue
        if hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType):
            yield number, "attributes"
        if not isinstance(value, TensorBase) and has_slots(kind):
            yield number, "slots"


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


CONTENTS: dict[str, Callable[[Any, Reachable, int], Any]] = {
    "items": lambda value, *_: dict(value),
    "list": lambda value, *_: list.__getitem__(value, slice(None)) if isinstance(value, list) else list(value),
    "set": lambda value, *_: list(value),
    "array": lambda value, *_: [value.tobytes()],
    "attributes": lambda value, *_: dict(value.__dict__),
    "slots": lambda value, *_: {name: getattr(value, name) for name in slots_of(value)},
    "cells": lambda value, *_: [_cell(cell) for cell in value.__closure__ or ()],
    "defaults": lambda value, *_: [value.__defaults__, value.__kwdefaults__],
    "globals": _globals,
    "globals of a module": _of_module,
    "variables": lambda value, *_: {name: vars(value)[name] for name in class_names(value)},
}


def replace(kind: str, holder: Any, name: Any, value: Any) -> None:
    """Put `value` at `name` of a holder; MISSING takes out what is there."""
    if kind == "cells":
        cell = holder.__closure__[name]
        if value is MISSING:
            del cell.cell_contents
        else:
            cell.cell_contents = value
    elif kind in ("slots", "variables"):
        put, take = (
            (type.__setattr__, type.__delattr__) if kind == "variables" else (object.__setattr__, object.__delattr__)
        )
        if value is not MISSING:
            put(holder, name, value)
        elif name in (vars(holder) if kind == "variables" else slots_of(holder)):
            take(holder, name)
    else:
        namespace = holder if kind == "items" else holder.__globals__ if kind == "globals" else holder.__dict__
        if value is MISSING:
            namespace.pop(name, None)
        else:
            namespace[name] = value


def _rewriter(kind: str) -> Callable[[Any, dict[Any, Any]], None]:
    """What puts all of the contents back, in the order they had."""

    def write(holder: Any, before: dict[Any, Any]) -> None:
        if kind in ("items", "attributes"):
            namespace = holder if kind == "items" else holder.__dict__
            namespace.clear()
            namespace.update(before)
            return
        if kind == "slots":
            for name in set(slots_of(holder)) - set(before):
                replace(kind, holder, name, MISSING)
        elif kind == "variables":
            for name in set(class_names(holder)) - set(before):
                replace(kind, holder, name, MISSING)
        for name, value in before.items():
            replace(kind, holder, name, value)

    return write


def _put_cells(holder: Any, before: list[Any]) -> None:
    for i, value in enumerate(before):
        replace("cells", holder, i, value)


def _put_list(holder: Any, before: list[Any]) -> None:
    holder.clear()
    holder.extend(before)


def _put_set(holder: Any, before: list[Any]) -> None:
    holder.clear()
    holder.update(before)


def _put_array(holder: Any, before: list[Any]) -> None:
    np.copyto(holder, np.frombuffer(before[0], holder.dtype).reshape(holder.shape))


def _put_defaults(holder: Any, before: list[Any]) -> None:
    holder.__defaults__, holder.__kwdefaults__ = before


_WRITE: dict[str, Callable[[Any, Any], None]] = {
    **{
        kind: _rewriter(kind)
        for kind in ("items", "attributes", "slots", "globals", "globals of a module", "variables")
    },
    "array": _put_array,
    "cells": _put_cells,
    "list": _put_list,
    "set": _put_set,
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
