"""What a function can reach besides its arguments: the implicit argument of a recorded or jitted call.

Found anew at each call, in a fixed order, from the function's closure, the globals its code names, its defaults and
the object it is bound to, through containers and the attributes of objects. Tensors found are inputs. Everything else
becomes part of the key that chooses a specialisation, so that no captured value can go stale: a flag that flips, a
list that grows or a number that changes makes another key; a tensor put in another's place is used from then on. What
could change unseen (iterators, open files, random generators, the clock) is refused.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import enum
import functools
import logging
import random
import re
import secrets
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .code_objects import Code, code_of, is_library_module
from .dtypes import dtype
from .errors import UnsupportedError
from .tape import TensorBase

__all__ = ["Reachable", "reach", "text"]

_PLAIN = frozenset({bool, int, str, bytes, type(None)})
_MOST_BYTES = 1 << 16
_CHANGING_MODULES = (random, secrets, np.random, time, datetime, uuid)
_RANDOM_TYPES = (random.Random, np.random.RandomState, np.random.Generator)
_UNSEEN = tuple(
    getattr(builtins, name) for name in ("eval", "exec", "globals", "locals", "vars", "input", "open", "__import__")
)


Path = Any
"""Where something was found: a name, or a path, what follows it (an attribute or an item), and which. See `text`."""


def text(path: Path) -> str:
    """A path in Python's words. Made on demand: most are never read."""
    if isinstance(path, str):
        return path
    parent, how, name = path
    if how == ".":
        return f"{text(parent)}.{name}"
    return f"{text(parent)}[{name!r}]" if how == "[" else f"{how}{text(parent)}"


class Reachable:
    """What was found: the tensors with a path to each, and the key of all the rest."""

    __slots__ = ("key", "paths", "seen", "tensors")

    def __init__(self) -> None:
        self.tensors: list[TensorBase] = []
        self.paths: list[Path] = []
        self.key: list[Any] = []
        self.seen: dict[int, int] = {}

    def visit(self, value: Any, path: Path) -> None:
        """Add `value`, called `path`, and all it holds.

        Raises UnsupportedError for an object whose state cannot be compared.
        """
        _visit(value, path, self)


def reach(function: Callable[..., Any], found: Reachable) -> None:
    """Add everything `function` can reach."""
    found.visit(function, getattr(function, "__name__", "function"))


def _visit(value: Any, path: Path, found: Reachable) -> None:
    """Add `value` to what was found, and what it holds."""
    kind = type(value)
    if kind in _PLAIN:
        found.key.append((kind, value))
        return
    number = found.seen.get(id(value))
    if number is not None:
        found.key.append(("again", number))
        return
    found.seen[id(value)] = len(found.seen)
    if isinstance(value, TensorBase):
        _tensor(value, path, found)
    else:
        (_HANDLERS.get(kind) or _other)(value, path, found)


def _refuse(path: Path, what: str) -> UnsupportedError:
    return UnsupportedError(f"jit: {text(path)} {what}: pass what the function needs of it as an argument")


# Values


def _tensor(t: TensorBase, path: Path, found: Reachable) -> None:
    found.key.append("tensor")
    found.tensors.append(t)
    found.paths.append(path)
    if t.__dict__:
        _attributes(t, path, found)


def _attributes(value: Any, path: Path, found: Reachable) -> None:
    """What is kept in `__dict__`."""
    held = getattr(value, "__dict__", None)
    if held:
        found.key.append(tuple(held))
        for name, part in held.items():
            _visit(part, (path, ".", name), found)


def _float(value: Any, path: Path, found: Reachable) -> None:
    if value and value == value:  # noqa: PLR0124  (neither 0.0, which is not -0.0, nor nan, which must equal itself)
        found.key.append((type(value), value))
    else:
        found.key.append((type(value), repr(value)))


def _static(value: Any, path: Path, found: Reachable) -> None:
    found.key.append((type(value), value))


def _slice(value: Any, path: Path, found: Reachable) -> None:
    found.key.append((slice, repr(value)))


def _array(value: Any, path: Path, found: Reachable) -> None:
    if value.nbytes > _MOST_BYTES or value.dtype.hasobject:
        raise UnsupportedError(
            f"jit: {text(path)} is a NumPy array of {value.nbytes} bytes, which cannot be watched for changes: "
            "make it a tensor, or pass it as one"
        )
    found.key.append(("array", value.shape, value.dtype, value.tobytes()))


# Containers


def _sequence(value: Any, path: Path, found: Reachable) -> None:
    found.key.append((type(value), len(value)))
    for i, part in enumerate(value):
        _visit(part, (path, "[", i), found)


def _mapping(value: Any, path: Path, found: Reachable) -> None:
    found.key.append((type(value), len(value)))
    for name, part in value.items():
        if type(name) in _PLAIN:
            found.key.append((type(name), name))
        else:
            _visit(name, (path, "a key of ", ""), found)
        _visit(part, (path, "[", name), found)


def _set(value: Any, path: Path, found: Reachable) -> None:
    if any(type(part) not in _PLAIN and not isinstance(part, float | enum.Enum) for part in value):
        raise _refuse(path, "is a set of objects, which come in no fixed order")
    found.key.append((type(value), frozenset((type(part), part) for part in value)))


# Functions


def _function(value: Any, path: Path, found: Reachable) -> None:
    code = code_of(value.__code__)
    if code.library:
        if sys.modules.get(value.__module__) in _CHANGING_MODULES:
            raise _changing(path)
        found.key.append(value)
        for part in _wrapped(value):
            _visit(part, path, found)
        return
    found.key.append(code)
    for name, part in _function_parts(value, code):
        _visit(part, name if name.isidentifier() else (path, ".", name), found)
    if value.__dict__:
        _attributes(value, path, found)


def _wrapped(value: types.FunctionType) -> Iterator[Any]:
    """The functions that a library's function, a decorator's wrapper say, holds on to."""
    for cell in value.__closure__ or ():
        try:
            part = cell.cell_contents
        except ValueError:
            continue
        parts: Iterable[Any] = (part,)
        if isinstance(part, dict | types.MappingProxyType):  # functools.singledispatch keeps them so
            parts = part.values()
        yield from (p for p in parts if isinstance(p, types.FunctionType | types.MethodType | functools.partial))


def _function_parts(value: types.FunctionType, code: Code) -> Iterator[tuple[str, Any]]:
    """What the code of a function can see: closure, defaults, the globals it names and the modules it imports."""
    if value.__closure__:
        for name, cell in zip(value.__code__.co_freevars, value.__closure__, strict=True):
            try:
                yield name, cell.cell_contents
            except ValueError:  # an empty cell: defined later
                yield name, None
    if value.__defaults__:
        yield "defaults", value.__defaults__
    if value.__kwdefaults__:
        yield "keyword defaults", value.__kwdefaults__
    namespace = value.__globals__
    for name in code.globals:
        if name in namespace:
            part = namespace[name]
            if code.modules.get(name) is not part or part is None:
                yield from _global(name, part, code)
        elif getattr(builtins, name, None) in _UNSEEN:
            raise UnsupportedError(f"jit: {name}() reads what cannot be watched for changes: do it outside")
    if code.imports:
        for module in code.imported(namespace.get("__package__")):
            yield from _global(module.__name__, module, code)


def _global(name: str, part: Any, code: Code) -> Iterator[tuple[str, Any]]:
    """A global; of a module of the user's, the names that the code mentions."""
    if not isinstance(part, types.ModuleType):
        yield name, part
        return
    if part is np and "random" in code.attributes:
        yield f"{name}.random", np.random
    watched = part.__name__ == "os" and ("environ" in code.attributes or "getenv" in code.attributes)
    if watched:
        yield f"{name}.environ", dict(part.environ)
    if is_library_module(part):
        if part in _CHANGING_MODULES:
            raise _changing(name)
        if watched or code.modules.setdefault(name, part) is not part:
            yield name, part
        return
    for attribute in code.attributes:
        if attribute in part.__dict__ and part.__dict__[attribute] is not part:
            yield from _global(f"{name}.{attribute}", part.__dict__[attribute], code)


def _method(value: Any, path: Path, found: Reachable) -> None:
    found.key.append("method")
    _visit(value.__self__, "self" if isinstance(value.__func__, types.FunctionType) else path, found)
    _visit(value.__func__, path, found)


def _partial(value: Any, path: Path, found: Reachable) -> None:
    found.key.append("partial")
    for name, part in (("func", value.func), ("args", value.args), ("keywords", value.keywords)):
        _visit(part, (path, ".", name), found)
    _attributes(value, path, found)


def _builtin(value: Any, path: Path, found: Reachable) -> None:
    """A function written in C: itself, and the object it is a method of."""
    owner = value.__self__
    if isinstance(owner, types.ModuleType) or owner is None:
        if owner in _CHANGING_MODULES:
            raise _changing(path)
        found.key.append(value)
    elif isinstance(owner, type):
        if sys.modules.get(owner.__module__) in _CHANGING_MODULES:
            raise _changing(path)
        found.key.append((value.__name__, owner))
    else:
        found.key.append(("method", value.__name__))
        _visit(owner, path, found)


def _changing(path: Path) -> UnsupportedError:
    return UnsupportedError(
        f"jit: {text(path)} draws random numbers or tells the time, which the compiled program would repeat for "
        "ever: do it outside, pass the result in"
    )


def _module(value: Any, path: Path, found: Reachable) -> None:
    if value in _CHANGING_MODULES:
        raise _changing(path)
    if not is_library_module(value):
        raise _refuse(path, "is a module of yours held as a value, so that what is read of it cannot be seen")
    found.key.append(value)


def _identity(value: Any, path: Path, found: Reachable) -> None:
    found.key.append(value)


def _logger(value: Any, path: Path, found: Reachable) -> None:
    """What it writes is for people, like print's output; whether it does may be asked."""
    found.key.append((value, value.getEffectiveLevel()))


def _namespace(value: Any, path: Path, found: Reachable) -> None:
    found.key.append(type(value))
    _attributes(value, path, found)


def _wrapper(value: Any, path: Path, found: Reachable) -> None:
    found.key.append(type(value))
    _visit(value.__func__, path, found)


def _property(value: Any, path: Path, found: Reachable) -> None:
    found.key.append(type(value))
    _visit(value.fget if isinstance(value, property) else value.func, path, found)


# Classes and objects


def _class(value: Any, path: Path, found: Reachable) -> None:
    found.key.append(value)
    module = sys.modules.get(value.__module__)
    if is_library_module(module):
        if module in _CHANGING_MODULES:
            raise _changing(path)
        return
    if type(value) is not type:
        _visit(type(value), (path, "the class of ", ""), found)
    for base in value.__mro__:
        if not is_library_module(sys.modules.get(base.__module__)):
            parts = [(name, part) for name, part in vars(base).items() if not _is_machinery(name, part)]
            found.key.append(tuple([name for name, _ in parts]))
            for name, part in parts:
                _visit(part, (path, ".", name), found)


def _is_machinery(name: str, part: Any) -> bool:
    """Whether a class attribute is Python's own and holds nothing of the user's."""
    if name.startswith("__") and name.endswith("__"):
        return not isinstance(part, types.FunctionType)
    if isinstance(part, types.FunctionType | staticmethod | classmethod | property):
        return False
    # a slot, the field of a named tuple and the like are descriptors written in C
    kind: Any = type(part)
    return name == "_abc_impl" or (hasattr(kind, "__get__") and _is_written_in_c(kind))


def _other(value: Any, path: Path, found: Reachable) -> None:
    """A subclass of a known type, a class, or an object: its type and its attributes."""
    for known, handler in _FALLBACKS:
        if isinstance(value, known):
            handler(value, path, found)
            if handler in (_sequence, _mapping, _set, _float, _static, _array) and not isinstance(value, np.generic):
                _inherited(value, path, found)
            return
    if isinstance(value, _RANDOM_TYPES):
        raise _changing(path)
    if type(value).__name__ in ("Jitted", "_lru_cache_wrapper") and hasattr(value, "__wrapped__"):
        found.key.append(type(value))
        _visit(value.__wrapped__, path, found)
        return
    _object(value, path, found)


def _object(value: Any, path: Path, found: Reachable) -> None:
    kind: Any = type(value)
    if any(_is_written_in_c(base) for base in kind.__mro__[:-1]) or kind is object:
        raise UnsupportedError(
            f"jit: {text(path)} is a {kind.__module__}.{kind.__qualname__}, whose state cannot be watched for changes: "
            "pass what the function needs of it as an argument"
        )
    found.key.append("object")
    _inherited(value, path, found)


def _inherited(value: Any, path: Path, found: Reachable) -> None:
    """The class of an object, and what the object keeps in attributes and slots."""
    kind: Any = type(value)
    if isinstance(value, enum.Enum) or _is_written_in_c(kind):
        return
    slots = [name for base in kind.__mro__ for name in _slots(base) if hasattr(value, name)]
    found.key.append((kind, tuple(slots)))
    _visit(kind, kind.__qualname__, found)
    _attributes(value, path, found)
    for name in slots:
        _visit(getattr(value, name), (path, ".", name), found)


@functools.cache
def _is_written_in_c(cls: Any) -> bool:
    """Whether instances of a class may hold what is in no attribute."""
    return not cls.__flags__ & (1 << 9) or any(  # Py_TPFLAGS_HEAPTYPE, which all classes written in Python have
        isinstance(part, types.MethodDescriptorType | types.WrapperDescriptorType)
        for part in vars(cls).values()
        if getattr(part, "__objclass__", cls) is cls
    )


def _slots(cls: type) -> tuple[str, ...]:
    names = cls.__dict__.get("__slots__", ())
    listed = (names,) if isinstance(names, str) else tuple(names)
    private = f"_{cls.__name__.lstrip('_')}"
    return tuple(
        private + name if name.startswith("__") and not name.endswith("__") else name
        for name in listed
        if name not in ("__dict__", "__weakref__")
    )


_HANDLERS: dict[type, Callable[[Any, str, Reachable], None]] = {
    float: _float,
    complex: _float,
    dtype: _static,
    range: _static,
    slice: _slice,
    type(Ellipsis): _static,
    list: _sequence,
    tuple: _sequence,
    dict: _mapping,
    set: _set,
    frozenset: _set,
    np.ndarray: _array,
    types.FunctionType: _function,
    types.MethodType: _method,
    types.BuiltinFunctionType: _builtin,
    types.MethodDescriptorType: _identity,
    types.WrapperDescriptorType: _identity,
    types.ModuleType: _module,
    types.GenericAlias: _identity,
    types.UnionType: _identity,
    types.SimpleNamespace: _namespace,
    types.MappingProxyType: _mapping,
    collections.deque: _sequence,
    re.Pattern: _identity,
    type(NotImplemented): _identity,
    type(threading.Lock()): _identity,  # locks hold no data
    type(threading.RLock()): _identity,
    np.ufunc: _identity,
    logging.Logger: _logger,
    functools.partial: _partial,
    staticmethod: _wrapper,
    classmethod: _wrapper,
    property: _property,
    functools.cached_property: _property,
    type: _class,
}
_FALLBACKS: tuple[tuple[Any, Callable[[Any, str, Reachable], None]], ...] = (
    ((bool, int, str, bytes, enum.Enum, np.dtype), _static),
    ((float, complex), _float),
    (type, _class),
    (types.ModuleType, _module),
    ((list, tuple), _sequence),
    (dict, _mapping),
    ((set, frozenset), _set),
    (np.generic, _array),
    (np.ndarray, _array),
    (logging.Logger, _logger),
)
