"""Stand-ins for Python's ways to the world outside, in place while functions are recorded.

They are put where Python looks for the functions, for all threads, and do as usual where nothing is being recorded.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from ..environment.outside import REFUSED, TOLD, WAYS
from ..tape.state import state
from .callers import is_noted
from .output import STREAMS, Output

__all__ = ["divert", "diverted", "stand_in", "undivert"]

_lock = threading.RLock()
_replaced: list[tuple[Any, str, Any, Any]] = []  # what was replaced: where, by what name, what was there, what is now
_recordings: set[int] = set()  # those going on, by the ids of their outputs


@contextlib.contextmanager
def diverted(output: Output) -> Iterator[None]:
    """Inside the block, what this thread does to the outside world goes to `output`."""
    before = state.now.output
    try:
        divert(output)
        yield
    finally:
        state.now.output = before
        undivert(output)


def divert(output: Output) -> None:
    """From here on what this thread does to the outside world goes to `output`. Whenever this is interrupted,
    `undivert` puts everything back.
    """
    with _lock:
        _recordings.add(id(output))
        _put()
    state.now.output = output


def undivert(output: Output) -> None:
    """Let nothing go to `output` any more, which may not be the one of this thread already."""
    if state.now.output is output:
        state.now.output = None
    with _lock:
        _recordings.discard(id(output))
        if not _recordings:
            _take()


def _put() -> None:
    """Put the stand-ins in place that are not."""
    there = {(holder, name) for holder, name, _, _ in _replaced}
    streams = {(sys, name): _Stream(name, stream) for name in STREAMS if (stream := getattr(sys, name)) is not None}
    for (holder, name), new in {**_STANDS, **streams}.items():
        if (holder, name) not in there:
            _replaced.append((holder, name, vars(holder)[name], new))
            setattr(holder, name, new)


def _take() -> None:
    """Take them out again, where they still are."""
    while _replaced:
        holder, name, old, new = _replaced[-1]
        if vars(holder).get(name) is new:
            setattr(holder, name, old)
        _replaced.pop()


def stand_in(function: Any) -> Any:
    """What stands for one of `WAYS`."""
    return _STANDS[next(where for where, original in WAYS.items() if original is function)]


def _now() -> Output | None:
    """What notes the output of what is running; None where that is not to be noted."""
    output: Output | None = state.now.output
    return output if output is not None and is_noted() else None


class _Stream:
    """Stands for a standard stream."""

    def __init__(self, name: str, stream: Any) -> None:
        self.stands_for = name
        self._stream = stream

    def write(self, text: Any) -> Any:
        """As the stream's."""
        output = _now()
        if output is None or not isinstance(text, str):
            return self._stream.write(text)
        output.write(self.stands_for, "write", text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As the stream's."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """As the stream's."""
        output = _now()
        if output is None:
            self._stream.flush()
        else:
            output.write(self.stands_for, "flush")

    def __getattr__(self, name: str) -> Any:
        output = _now()
        if name == "buffer" and output is not None:
            output.refuse(f"sys.{self.stands_for}.buffer: write text")
        return getattr(self._stream, name)


def _standing(original: Any, divert: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does what `divert(output, *args)` does where there is output to be noted, else the original."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        output = _now()
        return original(*args, **kwargs) if output is None else divert(output, *args, **kwargs)

    return call


def _refusing(name: str, why: str) -> Callable[..., Any]:
    return lambda output, *_args, **_kwargs: output.refuse(f"{name}(): {why}")


def _telling(name: str, original: Any) -> Callable[..., Any]:
    return lambda output, *args: output.told(f"{name}()", original, *args)


def _name_of(holder: Any, name: str) -> str:
    return f"{holder.__name__}.{name}".removeprefix("builtins.").removesuffix(".__init__")


def _warn(message: Any, category: Any = None, stacklevel: int = 1, *args: Any, **kwargs: Any) -> None:
    """As `warnings.warn`, which must not see this frame."""
    output = _now()
    known = category is None or (isinstance(category, type) and issubclass(category, Warning))
    if output is None or not (known or isinstance(message, Warning)):
        _WARN(message, category, max(stacklevel, 1) + 1, *args, **kwargs)
    else:
        output.warn(message, category, stacklevel, *args, **kwargs)


def _make_record(*args: Any, **kwargs: Any) -> Any:
    """As `Logger.makeRecord`."""
    record = _MAKE_RECORD(*args, **kwargs)
    output = _now()
    if output is not None:
        output.make_record(record, *_inputs(*args[1:], **kwargs))
    return record


def _inputs(
    name: Any, level: Any, fn: Any, lno: Any, msg: Any, args: Any, exc_info: Any, func: Any = None,
    extra: Any = None, sinfo: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """The arguments of `Logger.makeRecord` in order, but for the logger."""
    return name, level, fn, lno, msg, args, exc_info, func, extra, sinfo


def _stands() -> dict[tuple[Any, str], Callable[..., Any]]:
    """What stands for each of the ways."""
    diverts: dict[str, Callable[..., Any]] = {
        "print": Output.print,
        "handle": lambda output, logger, record: output.log(_HANDLE, logger, record),
        "warn_explicit": Output.warn_at,
    }
    found: dict[tuple[Any, str], Callable[..., Any]] = {}
    for (holder, name), original in WAYS.items():
        where = holder, name
        if where in REFUSED:
            divert = _refusing(_name_of(holder, name), REFUSED[where])
        elif where in TOLD:
            divert = _telling(_name_of(holder, name), original)
        else:
            divert = diverts.get(name, Output.refuse)
        found[where] = _standing(original, divert)
    return found


_by_name: dict[str, Any] = {name: original for (_, name), original in WAYS.items()}
_WARN, _MAKE_RECORD, _HANDLE = [_by_name[name] for name in ("warn", "makeRecord", "handle")]
_STANDS = _stands()
_STANDS[warnings, "warn"] = functools.wraps(_WARN)(_warn)
_STANDS[next(where for where in WAYS if where[1] == "makeRecord")] = functools.wraps(_MAKE_RECORD)(_make_record)
