"""How functions and modules are looked at: what their code can see."""

from __future__ import annotations

import builtins
import contextlib
import dis
import functools
import importlib
import math
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..code_objects import Code, code_of, is_library_module, is_of_library
from ..errors import UnsupportedError
from ..tape.source import Source
from .outside import WAYS, process
from .reachable import CHANGING_MODULES, Place, Reachable, changing, replaceable
from .values import attributes

__all__ = ["builtin", "function", "identity", "method", "module", "partial", "property_", "wrapper"]

_BUILTINS = dict(vars(builtins))
_UNSEEN = tuple(getattr(builtins, name) for name in ("eval", "exec", "globals", "locals", "vars", "__import__"))
_OF_PROCESS: dict[Any, tuple[tuple[str, str], ...]] = {
    os: (("environ", "environ"), ("environb", "environ"), ("getenv", "environ"), ("getenvb", "environ")),
    sys: (("argv", "argv"),),
}
"""By module, the names that stand for the state of the process, and what to call that."""
_UNSEEN_OF: dict[Any, tuple[str, ...]] = {sys: ("modules", "_getframe"), importlib: ("import_module", "reload")}
"""By module, the names by which code comes to what cannot be found by looking at it."""
_OUTSIDE = frozenset(WAYS.values())
_BACK_WAYS = frozenset({"__globals__", "__builtins__", "__subclasses__", "f_globals", "f_locals"})
_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)


def function(value: Any, number: int, found: Reachable) -> None:
    """A function: its code, what it closes over, the globals it names."""
    code = code_of(value.__code__)
    if code.library:
        if sys.modules.get(value.__module__) in CHANGING_MODULES:
            raise changing(found.text(number))
        found.same(number, value)
        _outside(value, number, found)
        if value is os.getenv:
            found.note("process", number, ("environ", process("environ")))
        for part, how, name in _wrapped(value):
            found.look(part, Place(number, how, name))
        return
    if not _BACK_WAYS.isdisjoint(code.attributes):
        raise found.refusal(number, f"reads {min(_BACK_WAYS.intersection(code.attributes))}, which leads anywhere")
    found.note("code", number, code)
    found.named = found.named or code.names
    _closure(value, number, found)
    _globals(value, number, code, found)
    attributes(value, number, found)


def _wrapped(value: types.FunctionType) -> Iterator[tuple[Any, str, Any]]:
    """The functions, and objects of the user's, that a library's function holds on to: a decorator's wrapper, say."""
    for i, cell in enumerate(value.__closure__ or ()):
        try:
            part = cell.cell_contents
        except ValueError:
            continue
        if isinstance(part, dict | types.MappingProxyType):  # functools.singledispatch keeps them so
            yield from ((p, "wrapped", None) for p in part.values() if isinstance(p, _FUNCTIONS))
        elif isinstance(part, _FUNCTIONS) or not is_of_library(type(part)):
            yield part, "cell", (i, value.__name__)


def _closure(value: types.FunctionType, number: int, found: Reachable) -> None:
    """What a function holds: the variables it closes over, and defaults."""
    for i, cell in enumerate(value.__closure__ or ()):
        try:
            part = cell.cell_contents
        except ValueError:  # an empty cell: defined later
            found.note("empty", Place(number, "cell", (i, "")), None)
            continue
        found.look(part, Place(number, "cell", (i, value.__code__.co_freevars[i])))
    found.look(value.__defaults__, Place(number, "attribute", "__defaults__"))
    found.look(value.__kwdefaults__, Place(number, "attribute", "__kwdefaults__"))


@contextlib.contextmanager
def _named(name: str, code: types.CodeType) -> Iterator[None]:
    """What is refused in the block says on which line of `code` the name is that leads to it, unless it says a line."""
    try:
        yield
    except UnsupportedError as error:
        source = _source(name, code) if error.source is None else None
        if source is not None:
            error.source = source
            error.args = (f"{error} ({source.place}: {source.text})",)
        raise


def _source(name: str, code: types.CodeType) -> Source | None:
    """Where code, or that of functions in it, first mentions a name."""
    for instruction in dis.get_instructions(code):
        if instruction.argval == name:
            return Source.at(code, instruction.offset)
    inner = (_source(name, part) for part in code.co_consts if isinstance(part, types.CodeType))
    return next((source for source in inner if source is not None), None)


def _globals(value: types.FunctionType, number: int, code: Code, found: Reachable) -> None:
    """The globals that the code of a function names, and the modules it imports."""
    namespace = value.__globals__
    for name in code.globals:
        if name in namespace:
            part = namespace[name]
            if code.modules.get(name) is part and part is not None:
                found.same(Place(number, "global", name), part)
                if part is math:
                    found.maths.append((Place(number, "global", name), part))
            else:
                with _named(name, code.code):
                    _global(part, Place(number, "global", name), code, found)
        elif getattr(builtins, name, None) in _UNSEEN:
            with _named(name, code.code):
                raise UnsupportedError(f"jit: {name}() reads what cannot be watched for changes: do it outside")
        else:
            found.rigid = found.rigid or (name == "type" and not _is_generated(code))
            found.identified = found.identified or name == "id"
            found.note("missing", Place(number, "global", name), None)
            part = vars(builtins).get(name)
            if part is not _BUILTINS.get(name):  # somebody put it there
                found.look(part, Place(number, "builtin", name))
    for full in code.imported(namespace.get("__package__")) if code.imports else ():
        module = sys.modules.get(full)
        place = Place(number, "module", full)
        if module is None:
            found.note("unimported", place, None)
            continue
        with _named(full, code.code):
            _global(module, place, code, found)


def _is_generated(code: Code) -> bool:
    """Whether the standard library wrote the code: a frozen dataclass's looks at types, but not at those of numbers."""
    return code.code.co_filename == "<string>" and code.code.co_name in ("__setattr__", "__delattr__")


def _global(part: Any, place: Place, code: Code, found: Reachable) -> None:
    """A global; of a module of the user's, the names that the code mentions."""
    if not isinstance(part, types.ModuleType):
        found.look(part, place)
        return
    if part is np and "random" in code.attributes:
        with _named("random", code.code):
            raise changing(f"{place.name}.random")
    unseen = next((name for name in _UNSEEN_OF.get(part, ()) if name in code.attributes), None)
    if unseen is not None:
        with _named(unseen, code.code):
            raise UnsupportedError(
                f"jit: {found.text(place)}.{unseen} reads what cannot be watched for changes: do it outside"
            )
    of_process = next((kind for name, kind in _OF_PROCESS.get(part, ()) if name in code.attributes), None)
    if of_process is not None:
        found.note("process", place, (of_process, process(of_process)))
    elif is_library_module(part):
        if part in CHANGING_MODULES:
            raise changing(found.text(place))
        code.modules.setdefault(place.name, part)
        found.same(place, part)
        if part is math:
            found.maths.append((place, part))
    else:
        _users_module(part, place, code, found)


def _users_module(module: types.ModuleType, place: Place, code: Code, found: Reachable) -> None:
    """What the code mentions of a module of the user's."""
    number = found.seen.get(id(module))
    if number is None:
        number = found.seen[id(module)] = len(found.objects)
        found.objects.append(module)
        found.places.append(place)
    found.same(place, module)
    for name in code.attributes:
        if (number, name) not in found.known and module.__dict__.get(name, module) is not module:
            found.known.add((number, name))
            _global(module.__dict__[name], Place(number, ".", name), code, found)
    from ..tensor import Tensor  # which comes later

    absent = [name for name in code.attributes if name not in module.__dict__]
    _computed(module, number, [name for name in absent if not hasattr(Tensor, name)], found)
    absent = [name for name in absent if (number, name) not in found.known]
    if absent:
        found.known.update([(number, name) for name in absent])
        found.note("absent", number, tuple(absent))


def _computed(module: types.ModuleType, number: int, names: list[str], found: Reachable) -> None:
    """What computes those of the names that a module of the user's does not have, if something does.

    Raises UnsupportedError where that is its class, as what that reads of the module is not known.
    """
    kind = type(module)
    for name in names if kind is not types.ModuleType else ():
        if hasattr(kind, "__getattr__") or name in {x for base in kind.__mro__[:-2] for x in vars(base)}:
            raise found.refusal(number, f"is a module whose class computes attributes, such as {name!r}")
    compute = module.__dict__.get("__getattr__")
    if names and compute is not None and (number, "__getattr__") not in found.known:
        found.known.add((number, "__getattr__"))
        found.look(compute, Place(number, ".", "__getattr__"))


def method(value: Any, number: int, found: Reachable) -> None:
    """A method: the object, and the function."""
    found.note("type", number, type(value))
    found.look(value.__self__, Place(number, "self", "self"))
    found.look(value.__func__, Place(number, "attribute", "__func__"))


def partial(value: Any, number: int, found: Reachable) -> None:
    """A `functools.partial`: its function and its arguments."""
    found.note("type", number, type(value))
    for name in ("func", "args", "keywords"):
        found.look(getattr(value, name), Place(number, "attribute", name))
    attributes(value, number, found)


def builtin(value: Any, number: int, found: Reachable) -> None:
    """A function written in C: itself, and the object it is a method of."""
    owner = value.__self__
    if isinstance(owner, types.ModuleType) or owner is None:
        if owner in CHANGING_MODULES:
            raise changing(found.text(number))
        found.same(number, value)
        _outside(value, number, found)
        if owner is math and replaceable(found.places[number], found):
            found.maths.append((found.places[number], value))
    elif isinstance(owner, type):
        if sys.modules.get(owner.__module__) in CHANGING_MODULES:
            raise changing(found.text(number))
        found.note("equal", number, value)
    else:
        found.note("builtin", number, (type(value), value.__name__))
        found.look(owner, Place(number, "attribute", "__self__"))


def _outside(value: Any, number: int, found: Reachable) -> None:
    """Note where a function is that reaches the world outside, for something to stand in for it."""
    if value in _OUTSIDE and replaceable(found.places[number], found):
        found.outside.append((found.places[number], value))


def module(value: Any, number: int, found: Reachable) -> None:
    """A module held as a value: a library only."""
    if value in CHANGING_MODULES:
        raise changing(found.text(number))
    if not is_library_module(value):
        raise found.refusal(number, "is a module of yours held as a value, so that what is read of it cannot be seen")
    found.same(number, value)
    for kind in dict.fromkeys([kind for _, kind in _OF_PROCESS.get(value, ())]):
        found.note("process", number, (kind, process(kind)))


def identity(value: Any, number: int, found: Reachable) -> None:
    """Something that cannot change: itself."""
    found.same(number, value)


def wrapper(value: Any, number: int, found: Reachable) -> None:
    """A `staticmethod` or `classmethod`."""
    found.note("type", number, type(value))
    found.look(value.__func__, Place(number, "attribute", "__func__"))


def property_(value: Any, number: int, found: Reachable) -> None:
    """A property: its getter, setter and deleter."""
    found.note("type", number, type(value))
    for name in ("fget", "fset", "fdel") if isinstance(value, property) else ("func",):
        found.look(getattr(value, name), Place(number, "attribute", name))
