"""Who called a jitted function, as eager code would see it: without the frames of this package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["called", "caller", "caller_of_jitted", "is_noted"]

_HERE = str(Path(__file__).parent / "_")[:-1]
_WRITTEN = "<tapegrad "  # the code of a specialisation
_IMPORT = ("importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib")
_APART = frozenset({"bdb", "pdb", *_IMPORT})
"""Modules that do what is not the function's own: a debugger, and the import of a module, which happens once."""


def called(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, from a frame that marks where a jitted function begins."""
    return function(*args, **kwargs)


_MARK: CodeType = called.__code__


def is_noted() -> bool:
    """Whether what happens is done by the jitted function, not by a debugger or an import."""
    for frame in _frames():
        if frame.f_code is _MARK:
            return True
        if frame.f_globals.get("__name__") in _APART:
            return False
    return True


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.startswith((_HERE, _WRITTEN))


def _seen(skipped: tuple[str, ...]) -> Iterator[tuple[int, FrameType]]:
    """The frames that eager code would see, each with how many frames outside of the jitted function it is."""
    outside, marked = 0, False
    for frame in _frames():
        marked = marked or frame.f_code is _MARK
        name = frame.f_code.co_filename
        if _is_ours(frame) or ("importlib" in name and "_bootstrap" in name) or (skipped and name.startswith(skipped)):
            continue
        outside += marked
        yield outside, frame


def caller(level: int, skipped: tuple[str, ...] = ()) -> tuple[int, tuple[Any, ...]]:
    """What `warnings.warn` takes as the place of a warning, at that `stacklevel`: how many frames outside of the jitted
    function it is (0: inside), and file, line, module, registry and globals.
    """
    for outside, frame in _seen(skipped):
        level -= 1
        if level <= 0:
            return outside, _place(frame)
    return 0, ("sys", 1, "sys", sys.__dict__.setdefault("__warningregistry__", {}), sys.__dict__)


def caller_of_jitted(outside: int) -> tuple[Any, ...]:
    """The place that is so many frames outside of the jitted function that is running, compiled."""
    outer = [frame for _, frame in _seen(())]
    return _place(outer[min(outside, len(outer)) - 1])


def _place(frame: FrameType) -> tuple[Any, ...]:
    names = frame.f_globals
    module = names.get("__name__", "<string>")
    return frame.f_code.co_filename, frame.f_lineno, module, names.setdefault("__warningregistry__", {}), names
