"""`print` in a jitted function: shown while recording, noted, and shown again by compiled calls."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UnsupportedError
from ..ops.creation import clone
from ..tape import TensorBase, alias, state
from ..tape.node import RefusingNode
from ..tape.number import Number

if TYPE_CHECKING:
    from ..tape import Recorder
    from .describe import Describer

__all__ = ["Printed"]

_SHOWN = (str, bytes, bool, int, float, complex, type(None))
_STREAMS = ("stdout", "stderr")


class _Stream(NamedTuple):
    """One of the standard streams, whatever it will be at a later call."""

    name: str


def _label(t: TensorBase, node: str | None) -> None:
    """Let `t` print as one that requires grad, computed by a node of that name if it has one."""
    if node is None:
        t._requires_grad = True
    else:
        message = "gradient through a tensor that was printed"
        t._node, t._requires_grad = RefusingNode(node, UnsupportedError, message, t._array), True


class Printed:
    """Stands for the builtin `print` while a function is recorded.

    What is printed is noted as it is then: numbers that are followed, copies of tensors, containers of them. Raises
    UnsupportedError for objects, whose text might be another one at a later call, and for files.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._labelled: list[tuple[TensorBase, str | None]] = []  # copies of what required grad, with their nodes
        self._waiting: list[tuple[Any, str]] = []
        self.calls: list[tuple[list[Any], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """As `print`."""
        if state.recorder is self._recorder:
            kept = [self._kept(x) for x in args]
            self.calls.append((kept, {name: self._option(name, x) for name, x in kwargs.items()}))
        recorder = state.recorder
        state.recorder = None
        try:
            if recorder is not self._recorder:
                print(*args, **kwargs)  # noqa: T201  (what the user asked for)
                return
            text = io.StringIO()
            print(*args, **{**kwargs, "file": text})  # noqa: T201
            self._waiting.append((kwargs.get("file"), text.getvalue()))
        finally:
            state.recorder = recorder

    def show(self) -> None:
        """Show what was printed: when it is clear that the recording is not made again."""
        waiting, self._waiting = self._waiting, []
        for stream, text in waiting:
            print(text, end="", file=stream, flush=False)

    def count(self) -> tuple[int, int, int]:
        """How much was printed so far."""
        return len(self.calls), len(self._waiting), len(self._labelled)

    def cut_to(self, count: tuple[int, int, int]) -> bool:
        """Forget what was printed since there was so much; whether there was anything."""
        printed = self.count() != count
        for noted, known in zip((self.calls, self._waiting, self._labelled), count, strict=True):
            del noted[known:]  # type: ignore[attr-defined]
        return printed

    def _kept(self, x: Any) -> Any:
        if type(x) is Number or isinstance(x, _SHOWN):
            return x
        if isinstance(x, TensorBase):
            copy = clone(alias(x))
            if x._requires_grad:
                self._labelled.append((copy, None if x._node is None else x._node.name()))
            return copy
        if isinstance(x, tuple) and all(type(part) in _SHOWN for part in x):
            return x
        if type(x) in (list, tuple):
            return type(x)([self._kept(part) for part in x])
        if type(x) is dict:
            return {self._kept(key): self._kept(part) for key, part in x.items()}
        raise self._recorder.unsupported(f"print() of a {type(x).__name__}: print str() of it")

    def _option(self, name: str, x: Any) -> Any:
        if name != "file" or x is None:
            return x
        for stream in _STREAMS:
            if x is getattr(sys, stream):
                return _Stream(stream)
        raise self._recorder.unsupported("print() to a file: print outside")

    def describe(self, describer: Describer) -> None:
        """Add the lines that print it again."""
        text = describer.text
        for args, kwargs in self.calls:
            shown = [describer.value(x, "print()") for x in args]
            for name, x in kwargs.items():
                stream = f"modules['sys'].{x.name}" if isinstance(x, _Stream) else describer.value(x, "print()")
                shown.append(f"{name}={stream}")
            text.effects.append(f"print({', '.join(shown)})")
        for copy, node in self._labelled:
            made = describer.value(copy, "print()")
            text.build.append(f"{text.constant(_label)}({made}, {node!r})")

    def everywhere(self, namespaces: list[dict[str, Any]]) -> Callable[[], None]:
        """Stand for `print` in these namespaces; returns what takes it out again."""
        taken = [namespace for namespace in namespaces if namespace.setdefault("print", self) is self]

        def take_out() -> None:
            for namespace in taken:
                if namespace.get("print") is self:
                    del namespace["print"]

        return take_out
