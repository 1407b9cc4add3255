"""Where in the user's code something happens."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from dataclasses import dataclass
from types import CodeType, FrameType

from ..code_objects import is_library

__all__ = ["Source", "own_source", "user_frame", "user_source"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where in the user's code a step comes from."""

    filename: str
    line: int
    function: str

    @classmethod
    def at(cls, code: CodeType, offset: int) -> Source:
        """Where the instruction at `offset` of `code` comes from."""
        positions = next(itertools.islice(code.co_positions(), offset // 2, None), (None,))
        return cls(code.co_filename, positions[0] or code.co_firstlineno, code.co_name)

    @property
    def file(self) -> str:
        """The name of the file without its folder; "cell" for a notebook's."""
        folder, name = os.path.split(self.filename)
        return "cell" if "ipykernel_" in folder else name

    @property
    def place(self) -> str:
        """File and line, short."""
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """The line of code, or an empty string where the file cannot be read."""
        return linecache.getline(self.filename, self.line).strip()


_OURS: dict[str, bool] = {}
"""Whether a module, by its name, is tapegrad's (its examples count as outside)."""


def _is_ours(module: str) -> bool:
    ours = module.startswith("tapegrad.") and not module.startswith("tapegrad.examples.")
    _OURS[module] = ours
    return ours


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost running frame outside tapegrad, looked for from the caller on, or further out by `depth`."""
    frame: FrameType | None = sys._getframe(depth)
    known = _OURS.get
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        ours = known(module)
        if not (_is_ours(module) if ours is None else ours):
            return frame
        frame = frame.f_back
    return None


_SOURCES: dict[tuple[int, int], tuple[CodeType, Source]] = {}
_MOST_SOURCES = 1 << 14


def own_source() -> Source | None:
    """The line of the user's own code that is running, or was when it called a library's."""
    frame = first = user_frame()
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return _source_of(frame or first)


def user_source() -> Source | None:
    """The line outside tapegrad that is running; the caller's caller is tapegrad's, too."""
    return _source_of(user_frame(3))


def _source_of(frame: FrameType | None) -> Source | None:
    if frame is None:
        return None
    code, line = frame.f_code, frame.f_lineno
    found = _SOURCES.get((id(code), line))
    if found is None or found[0] is not code:
        if len(_SOURCES) > _MOST_SOURCES:
            _SOURCES.clear()
        found = _SOURCES[id(code), line] = code, Source(code.co_filename, line, code.co_name)
    return found[1]
