"""What the code of a function mentions: globals, attributes and imports; and whose code it is."""

from __future__ import annotations

import contextlib
import dis
import functools
import importlib.util
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

__all__ = ["Code", "code_of", "is_library", "is_library_module", "is_of_library"]

_LIBRARIES = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib", "platlib")})
_INSTALLED = frozenset({"site-packages", "dist-packages"})  # of whichever environment: one may use another's
_NAMES = frozenset({"__name__", "__qualname__", "__doc__"})
_HERE = os.path.dirname(os.path.realpath(__file__)) + os.sep
_COMPILE = os.path.join(os.path.dirname(os.path.dirname(_HERE)), "compile") + os.sep  # in a checkout


class Code:
    """What there is to know of a code object; one for each, so that it stands for the code in keys.

    `globals` are the names it reads or writes, `attributes` those it mentions (or could, by strings), `imports` the
    modules it imports, with the number of leading dots; those of functions inside it too. `modules` are the libraries
    first found under such a name: while they stay there they need not be looked into. `names` says whether it mentions
    what functions and classes are called.
    """

    __slots__ = ("attributes", "code", "globals", "imports", "library", "modules", "names")

    def __init__(self, code: types.CodeType) -> None:
        self.code = code
        self.modules: dict[str, types.ModuleType] = {}
        self.library = is_library(code.co_filename)
        found: dict[str, dict[Any, None]] = {"globals": {}, "attributes": {}, "imports": {}}
        if not self.library:
            _collect(code, found)
        self.globals: tuple[str, ...] = tuple(found["globals"])
        self.attributes: tuple[str, ...] = tuple(found["attributes"])
        self.names = not _NAMES.isdisjoint(self.attributes)
        self.imports: tuple[tuple[int, str], ...] = tuple(found["imports"])

    def imported(self, package: str | None) -> Iterator[str]:
        """The full names of the modules that the code imports, or would import if it came to that."""
        for level, name in self.imports:
            with contextlib.suppress(ImportError):
                yield importlib.util.resolve_name("." * level + name, package) if level else name


def _collect(code: types.CodeType, found: dict[str, dict[Any, None]]) -> None:
    before: list[Any] = [0, 0]  # the last two constants loaded: an import's level comes before its list of names
    for instruction in dis.get_instructions(code):
        kind, _, what = instruction.opname.partition("_")
        if what in ("GLOBAL", "NAME") and kind in ("LOAD", "STORE", "DELETE"):
            found["globals"][instruction.argval] = None
        elif what in ("ATTR", "METHOD", "FROM"):
            found["attributes"][instruction.argval] = None
        elif what == "CONST":
            before = [before[1], instruction.argval]
        if instruction.opname == "IMPORT_NAME":
            found["imports"][before[0] if isinstance(before[0], int) else 0, instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _collect(constant, found)
        elif isinstance(constant, str) and constant.isidentifier():  # perhaps for `getattr`
            found["attributes"][constant] = None


_CODES: dict[int, Code] = {}


def code_of(code: types.CodeType) -> Code:
    """What is known of `code`. By identity: hashing code is slow, and this keeps it alive."""
    known = _CODES.get(id(code))
    if known is None:
        known = _CODES[id(code)] = Code(code)
    return known


@functools.cache
def is_library(filename: str) -> bool:
    """Whether code from this file is a library's (Python's, an installed package's or tapegrad's), not the user's."""
    path = os.path.realpath(filename)
    if path.startswith(os.path.join(_HERE, "examples") + os.sep):
        return False
    installed = not _INSTALLED.isdisjoint(path.split(os.sep))
    return installed or path.startswith((*_LIBRARIES, _HERE, _COMPILE)) or filename.startswith("<frozen")


def is_library_module(module: types.ModuleType | None) -> bool:
    """Whether a module is a library's; built-in modules are, `__main__` and those that some code made are not."""
    if module is None or module.__name__ == "__main__":
        return False
    filename = getattr(module, "__file__", None)
    if filename is None:
        spec = getattr(module, "__spec__", None)
        if spec is None or spec.origin not in ("built-in", "frozen"):
            return any(is_library(path) for path in getattr(module, "__path__", ()))
        return True
    return is_library(filename)


def is_of_library(cls: type) -> bool:
    """Whether a class was made in a library's module."""
    return is_library_module(sys.modules.get(cls.__module__))
