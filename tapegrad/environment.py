"""What a function can reach besides its arguments: the implicit argument of a recorded or jitted call.

Found anew at each call, in a fixed order, from the function's closure, the globals its code names, its defaults and
the object it is bound to, through containers and the attributes of objects. Tensors found are inputs. Everything else
becomes part of the key that chooses a specialisation, so that no captured value can go stale: a flag that flips, a
list that grows or a number that changes makes another key; a tensor put in another's place is used from then on.
"""

from __future__ import annotations

import dis
import enum
import functools
import os
import random
import secrets
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .dtypes import dtype
from .errors import UnsupportedError
from .tape import TensorBase

__all__ = ["Reachable", "reach"]

_PLAIN = frozenset({bool, int, str, bytes, type(None)})
_MOST_BYTES = 1 << 16
_RANDOM_MODULES = (random, secrets, np.random)
_LIBRARIES = tuple({
    os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib", "platlib")
})  # fmt: skip
_HERE = os.path.dirname(os.path.realpath(__file__)) + os.sep
_COMPILE = os.path.join(os.path.dirname(os.path.dirname(_HERE)), "compile") + os.sep  # in a checkout


class Reachable:
    """What was found: the tensors with a path to each, and the key of all the rest."""

    __slots__ = ("key", "paths", "seen", "tensors")

    def __init__(self) -> None:
        self.tensors: list[TensorBase] = []
        self.paths: list[str] = []
        self.key: list[Any] = []
        self.seen: dict[int, int] = {}

    def visit(self, value: Any, path: str) -> None:
        """Add `value`, called `path`, and all it holds.

        Raises UnsupportedError for an object whose state cannot be compared.
        """
        _visit(value, path, self)


def reach(function: Callable[..., Any], found: Reachable) -> None:
    """Add everything `function` can reach."""
    found.visit(function, getattr(function, "__name__", "function"))


def _visit(value: Any, path: str, found: Reachable) -> None:
    """Add `value` to what was found, and what it holds."""
    kind = type(value)
    if kind in _PLAIN:
        found.key.append((kind, value))
        return
    if isinstance(value, TensorBase):
        found.key.append(_number(value, path, found))
        return
    if id(value) in found.seen:
        found.key.append(("again", found.seen[id(value)]))
        return
    found.seen[id(value)] = len(found.seen)
    (_HANDLERS.get(kind) or _other)(value, path, found)


def _float(value: Any, path: str, found: Reachable) -> None:
    found.key.append((type(value), repr(value)))  # nan equals itself here, and 0.0 is not -0.0


def _static(value: Any, path: str, found: Reachable) -> None:
    found.key.append((type(value), value))


def _number(t: TensorBase, path: str, found: Reachable) -> int:
    """The tensor's number in order of discovery."""
    number = found.seen.get(id(t))
    if number is None:
        number = found.seen[id(t)] = len(found.seen)
        found.tensors.append(t)
        found.paths.append(path)
    return number


def _slice(value: Any, path: str, found: Reachable) -> None:
    found.key.append((slice, repr(value)))


def _sequence(value: Any, path: str, found: Reachable) -> None:
    found.key.append((type(value), len(value)))
    for i, part in enumerate(value):
        _visit(part, f"{path}[{i}]", found)


def _mapping(value: Any, path: str, found: Reachable) -> None:
    found.key.append((type(value), tuple(value)))
    for name, part in value.items():
        _visit(part, f"{path}[{name!r}]", found)


def _set(value: Any, path: str, found: Reachable) -> None:
    found.key.append((type(value), frozenset(value)))


def _array(value: Any, path: str, found: Reachable) -> None:
    if value.nbytes > _MOST_BYTES or value.dtype.hasobject:
        raise UnsupportedError(
            f"jit: {path} is a NumPy array of {value.nbytes} bytes, which cannot be watched for changes: "
            "make it a tensor, or pass it as one"
        )
    found.key.append(("array", value.shape, value.dtype, value.tobytes()))


def _function(value: Any, path: str, found: Reachable) -> None:
    code = _code_of(value.__code__)
    if code.library:
        found.key.append(value)
        for part in _wrapped(value):
            _visit(part, path, found)
        return
    found.key.append(code)
    for name, part in _function_parts(value, code):
        _visit(part, name if name.isidentifier() else f"{path}.{name}", found)


def _wrapped(value: types.FunctionType) -> Iterator[Any]:
    """The functions that a library's function, a decorator's wrapper say, holds on to."""
    for cell in value.__closure__ or ():
        try:
            part = cell.cell_contents
        except ValueError:
            continue
        if isinstance(part, types.FunctionType | types.MethodType | functools.partial):
            yield part


class _Code:
    """What there is to know of a code object; one for each, so that it stands for the code in keys."""

    __slots__ = ("attributes", "code", "globals", "library")

    def __init__(self, code: types.CodeType) -> None:
        self.code = code
        self.library = is_library(code.co_filename)
        self.globals, self.attributes = ((), ()) if self.library else _names(code)


_CODES: dict[int, _Code] = {}


def _code_of(code: types.CodeType) -> _Code:
    known = _CODES.get(id(code))  # by identity: hashing code is slow, and this keeps it alive
    if known is None:
        known = _CODES[id(code)] = _Code(code)
    return known


def _function_parts(value: types.FunctionType, code: _Code) -> Iterator[tuple[str, Any]]:
    """What the code of a function can see: closure, defaults, and the globals it names."""
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
    for name in code.globals:
        if name in value.__globals__:
            part = value.__globals__[name]
            if part is np and "random" in code.attributes:
                part = np.random
            if isinstance(part, types.ModuleType) and not _is_library_module(part):
                yield from _module_parts(part, code.attributes)
            else:
                yield name, part


def _module_parts(module: types.ModuleType, attributes: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Of a module of the user's, the names that the code mentions."""
    for name in attributes:
        if name in module.__dict__:
            yield f"{module.__name__}.{name}", module.__dict__[name]


def _names(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The globals that code reads or writes, and the attributes it mentions; those of functions inside it too."""
    names: dict[str, None] = {}
    attributes: dict[str, None] = {}
    for instruction in dis.get_instructions(code):
        kind, _, what = instruction.opname.partition("_")
        if kind in ("LOAD", "STORE", "DELETE") and what in ("GLOBAL", "NAME"):
            names[instruction.argval] = None
        elif what in ("ATTR", "METHOD"):
            attributes[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_names, inner_attributes = _names(constant)
            names |= dict.fromkeys(inner_names)
            attributes |= dict.fromkeys(inner_attributes)
    return tuple(names), tuple(attributes)


def _method(value: Any, path: str, found: Reachable) -> None:
    found.key.append("method")
    _visit(value.__func__, path, found)
    _visit(value.__self__, "self", found)


def _partial(value: Any, path: str, found: Reachable) -> None:
    found.key.append("partial")
    for name, part in (("func", value.func), ("args", value.args), ("keywords", value.keywords)):
        _visit(part, f"{path}.{name}", found)


def _identity(value: Any, path: str, found: Reachable) -> None:
    owner = value if isinstance(value, types.ModuleType) else getattr(value, "__self__", None)
    if owner in _RANDOM_MODULES or isinstance(owner, random.Random | np.random.RandomState | np.random.Generator):
        raise UnsupportedError(
            f"jit: {path} draws random numbers, which the compiled program would repeat for ever: draw outside, "
            "pass them in"
        )
    found.key.append(value)


def _wrapper(value: Any, path: str, found: Reachable) -> None:
    found.key.append(type(value))
    _visit(value.fget if isinstance(value, property) else value.__func__, path, found)


def _class(value: Any, path: str, found: Reachable) -> None:
    found.key.append(value)
    if _is_library_module(sys.modules.get(value.__module__)):
        return
    for base in value.__mro__:
        if not _is_library_module(sys.modules.get(base.__module__)):
            for name, part in vars(base).items():
                if not _is_machinery(name, part):
                    _visit(part, f"{path}.{name}", found)


def _is_machinery(name: str, part: Any) -> bool:
    """Whether a class attribute is Python's own and holds nothing of the user's."""
    if name.startswith("__") and name.endswith("__"):
        return not isinstance(part, types.FunctionType)
    return isinstance(part, types.MemberDescriptorType | types.GetSetDescriptorType) or name == "_abc_impl"


def _other(value: Any, path: str, found: Reachable) -> None:
    """A subclass of a known type, a class, or an object: its type and its attributes."""
    for known, handler in _FALLBACKS:
        if isinstance(value, known):
            handler(value, path, found)
            return
    if hasattr(value, "__wrapped__"):  # a cache or jit around a function
        found.key.append(type(value))
        _visit(value.__wrapped__, path, found)
        return
    _object(value, path, found)


def _object(value: Any, path: str, found: Reachable) -> None:
    held = getattr(value, "__dict__", None)
    slots = [name for base in type(value).__mro__ for name in _slots(base) if hasattr(value, name)]
    if held is None and not slots:
        raise UnsupportedError(
            f"jit: {path} is a {type(value).__module__}.{type(value).__qualname__}, whose state cannot be watched for "
            "changes: pass what the function needs of it as an argument"
        )
    found.key.append(("object", type(value), tuple(held or ()), tuple(slots)))
    _visit(type(value), type(value).__qualname__, found)
    for name, part in (held or {}).items():
        _visit(part, f"{path}.{name}", found)
    for name in slots:
        _visit(getattr(value, name), f"{path}.{name}", found)


def _slots(cls: type) -> tuple[str, ...]:
    names = cls.__dict__.get("__slots__", ())
    listed = (names,) if isinstance(names, str) else tuple(names)
    return tuple(name for name in listed if name not in ("__dict__", "__weakref__"))


@functools.cache
def is_library(filename: str) -> bool:
    """Whether code from this file is a library's (Python's, an installed package's or tapegrad's), not the user's."""
    path = os.path.realpath(filename)
    if path.startswith(os.path.join(_HERE, "examples") + os.sep):
        return False
    return path.startswith((*_LIBRARIES, _HERE, _COMPILE)) or filename.startswith("<frozen")


def _is_library_module(module: types.ModuleType | None) -> bool:
    if module is None or module.__name__ == "__main__":
        return False
    filename = getattr(module, "__file__", None)
    return filename is None or is_library(filename)


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
    types.BuiltinFunctionType: _identity,
    types.ModuleType: _identity,
    np.ufunc: _identity,
    functools.partial: _partial,
    staticmethod: _wrapper,
    classmethod: _wrapper,
    property: _wrapper,
    type: _class,
}
_FALLBACKS: tuple[tuple[Any, Callable[[Any, str, Reachable], None]], ...] = (
    ((bool, int, str, bytes, enum.Enum, np.dtype), _static),
    ((float, complex), _float),
    (type, _class),
    (types.ModuleType, _identity),
    ((list, tuple), _sequence),
    (dict, _mapping),
    ((set, frozenset), _set),
    (np.generic, _array),
    (np.ndarray, _array),
)
