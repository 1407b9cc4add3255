"""Output of a function that is recorded: noted as it is then, shown once the recording stands, and put out again by
compiled calls. It is what the function prints, logs, warns of, and writes to the standard streams.
"""

from __future__ import annotations

import builtins
import enum
import io
import sys
import types
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..dtypes import dtype
from ..environment.outside import WAYS
from ..errors import UnsupportedError
from ..ops.creation import clone
from ..tape import TensorBase, alias, state
from ..tape.node import RefusingNode
from ..tape.number import Number, plain
from .callers import caller, caller_of_jitted
from .growing import Watched

if TYPE_CHECKING:
    import logging

    from ..tape import Recorder
    from .describe import Describer

__all__ = ["STREAMS", "Output"]

STREAMS = ("stdout", "stderr")
_CONSTANT = (
    str, bytes, bool, int, float, complex, type(None), enum.Enum, dtype, np.dtype, np.generic, type, types.ModuleType,
)  # fmt: skip
"""What has the same text at each call."""
_PRINT, _WARN = WAYS[builtins, "print"], WAYS[warnings, "warn_explicit"]


class Output:
    """Notes the output of a recording; `diverted` calls its methods in place of Python's.

    Numbers that are followed are noted as such, tensors as copies, containers of them likewise: a compiled call puts
    out what they are then. Raises UnsupportedError for objects, whose text might be another one at a later call, and
    for output to anything but the standard streams.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._filters: Any = warnings.filters
        self._labelled: list[tuple[TensorBase, str | None]] = []  # copies of what required grad, with their nodes
        self._records: dict[int, tuple[logging.LogRecord, tuple[Any, ...]]] = {}
        self._waiting: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._noted: list[_Print | _Call] = []

    def show(self) -> None:
        """Put out what was held back: when it is clear that the recording is not made again."""
        waiting, self._waiting = self._waiting, []
        for call, args in waiting:
            call(*args)

    def count(self) -> tuple[int, int, int]:
        """How much was put out so far."""
        return len(self._noted), len(self._waiting), len(self._labelled)

    def cut_to(self, count: tuple[int, int, int]) -> bool:
        """Forget what was put out since there was so much; whether there was anything."""
        there_was = self.count() != count
        for noted, known in zip((self._noted, self._waiting, self._labelled), count, strict=True):
            del noted[known:]  # type: ignore[attr-defined]
        return there_was

    def describe(self, describer: Describer) -> None:
        """Add the lines that put it out again."""
        text = describer.text
        for noted in self._noted:
            text.shown.append(noted.line(describer))
        for copy, node in self._labelled:
            made = describer.value(copy, "output")
            text.build.append(f"{text.constant(_label)}({made}, {node!r})")

    # What the function may do

    def told(self, what: str, call: Callable[..., Any], *args: Any) -> Any:
        """The answer of `call`, called `what`, which from here on is guarded."""
        return self._recorder.numbers.told(what, call, *map(plain, args))

    def refuse(self, what: str) -> Any:
        """Raise UnsupportedError, naming the user's line."""
        raise self._recorder.unsupported(what)

    def print(self, *args: Any, sep: Any = " ", end: Any = "\n", file: Any = None, flush: bool = False) -> None:
        """As `print`."""
        name = self._stream_of(file)
        self._noted.append(_Print([self._kept(x) for x in args], name, {"sep": sep, "end": end, "flush": flush}))
        text = io.StringIO()
        with _unrecorded():
            _PRINT(*args, sep=sep, end=end, file=text)
        self._waiting.append((_write, (name, "write", text.getvalue())))

    def _stream_of(self, file: Any) -> str:
        for name in STREAMS:
            stream = getattr(sys, name)
            if file is stream or (file is None and name == "stdout"):
                if getattr(stream, "stands_for", None) == name:
                    return name
                break
        raise self._recorder.unsupported("print() to a file, or where sys.stdout is another one: print outside")

    def write(self, name: str, method: str, *args: Any) -> None:
        """`sys.<name>.<method>(*args)`, of text: what went into that was asked for, and is guarded."""
        self._waiting.append((_write, (name, method, *args)))
        self._noted.append(_Call(_write, (name, method, *args)))

    def make_record(self, record: logging.LogRecord, *inputs: Any) -> None:
        """`record` was made, of these inputs of `Logger.makeRecord`."""
        self._records[id(record)] = record, inputs

    def log(self, handle: Callable[..., Any], logger: logging.Logger, record: logging.LogRecord) -> None:
        """As `logger.handle(record)`."""
        _, inputs = self._records.pop(id(record), (None, None))
        if inputs is None:
            raise self._recorder.unsupported("handling a log record that was made elsewhere")
        name, level, path, line, message, args, exception, function, extra, stack = inputs
        if exception:
            raise self._recorder.unsupported("logging an exception: log its text, str(error)")
        fixed = name, plain(level), path, line, function, stack
        self._noted.append(_Call(_log, (logger, fixed), (self._kept(message), self._kept(args), self._kept(extra))))
        with _unrecorded():
            record.msg, record.args = _shown(record.msg), _shown(record.args)
            record.__dict__.update({key: _shown(x) for key, x in (extra or {}).items()})
        self._waiting.append((handle, (logger, record)))

    def warn(
        self, message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, skip_file_prefixes: Any = ()
    ) -> None:
        """As `warnings.warn`."""
        outside, place = caller(stacklevel, skip_file_prefixes)
        self._warned((message, category or UserWarning, *place, source), outside)

    def warn_at(
        self, message: Any, category: Any, filename: Any, lineno: Any, module: Any = None, registry: Any = None,
        module_globals: Any = None, source: Any = None,
    ) -> None:  # fmt: skip
        """As `warnings.warn_explicit`."""
        self._warned((message, category, filename, lineno, module, registry, module_globals, source), 0)

    def _warned(self, given: tuple[Any, ...], outside: int) -> None:
        """The function warned: of a place so many frames outside of the jitted function, if not 0."""
        message, category, _, lineno, module, *_ = given
        if warnings.filters is not self._filters:  # inside `catch_warnings`: what comes of it is seen elsewhere
            _WARN(*given)
            return
        kind = type(message) if isinstance(message, Warning) else category
        action = self.told("what is done about a warning", _action, str(message), kind, lineno, module)
        if action == "error":
            _WARN(*given)
        elif action != "ignore":
            self._waiting.append((_WARN, given))
            self._noted.append(_Call(_warn, (outside, given)))

    # Values

    def _kept(self, x: Any) -> Any:
        """`x` as it is now, on the tape."""
        return _mapped(x, self._on_tape)

    def _on_tape(self, x: Any) -> Any:
        if type(x) is Number:
            return x
        if not isinstance(x, TensorBase):
            raise self._recorder.unsupported(f"output of a {type(x).__name__}, such as by print(): put out str() of it")
        if state.recorder is not self._recorder:
            raise self._recorder.unsupported("output of a tensor from inside another recording")
        copy = clone(alias(x))
        if x._requires_grad:
            self._labelled.append((copy, None if x._node is None else x._node.name()))
        return copy


class _Print(NamedTuple):
    """A call of `print`: what was printed, to which stream."""

    args: list[Any]
    stream: str
    options: dict[str, Any]

    def line(self, describer: Describer) -> str:
        """The line of code that does it again."""
        shown = [describer.value(x, "print()") for x in self.args]
        shown += [f"{name}={describer.value(x, 'print()')}" for name, x in self.options.items()]
        return f"print({', '.join([*shown, f'''file=modules['sys'].{self.stream}'''])})"


class _Call(NamedTuple):
    """Other output: `function` of constants and of values."""

    function: Callable[..., Any]
    constants: tuple[Any, ...]
    values: tuple[Any, ...] = ()

    def line(self, describer: Describer) -> str:
        """The line of code that does it again."""
        constant = describer.text.constant
        given = [*map(constant, self.constants), *[describer.value(x, "output") for x in self.values]]
        return f"{constant(self.function)}({', '.join(given)})"


def _write(name: str, method: str, *args: Any) -> None:
    getattr(getattr(sys, name), method)(*args)


def _log(logger: logging.Logger, fixed: tuple[Any, ...], message: Any, args: Any, extra: Any) -> None:
    name, level, path, line, function, stack = fixed
    logger.handle(logger.makeRecord(name, level, path, line, message, args, None, function, extra, stack))


def _warn(outside: int, given: tuple[Any, ...]) -> None:
    if outside:
        message, category, *_, source = given
        given = message, category, *caller_of_jitted(outside), source
    warnings.warn_explicit(*given)


def _action(text: str, category: type[Warning], lineno: int, module: str | None) -> str:
    """What Python's filters say is done about a warning."""
    for action, message, kind, where, line in warnings.filters:
        if (
            _matches(message, text)
            and issubclass(category, kind)
            and _matches(where, module or "<unknown>")
            and line in (0, lineno)
        ):
            return action
    return str(warnings.defaultaction)  # type: ignore[attr-defined]


def _matches(pattern: Any, text: str) -> bool:
    return pattern is None or (pattern == text if isinstance(pattern, str) else pattern.match(text) is not None)


def _mapped(x: Any, change: Callable[[Any], Any]) -> Any:
    """`x` with all in it that has not the same text at each call changed."""
    x = x.read() if type(x) is Watched else x
    kind: Any = type(x)
    if kind is not Number and isinstance(x, _CONSTANT):
        return x
    if kind in (list, tuple):
        return kind([_mapped(part, change) for part in x])
    if isinstance(x, tuple) and all(isinstance(part, _CONSTANT) for part in x):
        return x
    if kind is dict:
        return {_mapped(key, change): _mapped(part, change) for key, part in x.items()}
    return change(x)


def _shown(x: Any) -> Any:
    """`x` as it is now, outside of the recording."""

    def copied(part: Any) -> Any:
        if not isinstance(part, TensorBase):
            return plain(part)
        copy = clone(alias(part))
        if part._requires_grad:
            _label(copy, None if part._node is None else part._node.name())
        return copy

    return _mapped(x, copied)


def _label(t: TensorBase, node: str | None) -> None:
    """Let `t` print as one that requires grad, computed by a node of that name if it has one."""
    if node is None:
        t._requires_grad = True
    else:
        message = "gradient through a tensor that was printed or logged"
        t._node, t._requires_grad = RefusingNode(node, UnsupportedError, message, t._array), True


class _unrecorded:  # noqa: N801  (a block)
    """Inside the block, the thread has no recorder."""

    def __enter__(self) -> None:
        self._before = state.recorder
        state.recorder = None

    def __exit__(self, *error: object) -> None:
        state.recorder = self._before
