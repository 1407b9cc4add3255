"""Grad mode: whether operations record a graph. Per thread; each a context manager and a decorator."""

from __future__ import annotations

import contextlib
from types import TracebackType

from ..tape import state

__all__ = ["enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]


def is_grad_enabled() -> bool:
    """Whether operations record a graph in this thread."""
    return state.grad_enabled


class _GradMode(contextlib.ContextDecorator):
    """Grad mode `mode` inside the block or the decorated function, and what it was afterwards."""

    def __init__(self, mode: bool) -> None:
        self._mode = mode
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(state.grad_enabled)
        state.grad_enabled = self._mode

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.grad_enabled = self._before.pop()


class no_grad(_GradMode):  # noqa: N801  (PyTorch's name)
    """Record no graph: results do not require grad."""

    def __init__(self) -> None:
        super().__init__(False)

    def _recreate_cm(self) -> no_grad:
        return no_grad()


class enable_grad(_GradMode):  # noqa: N801  (PyTorch's name)
    """Record a graph, also inside `no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)

    def _recreate_cm(self) -> enable_grad:
        return enable_grad()


class set_grad_enabled(_GradMode):  # noqa: N801  (PyTorch's name)
    """Set grad mode from here on; as a context manager, until the block ends."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._before.append(state.grad_enabled)
        state.grad_enabled = mode

    def __enter__(self) -> None:
        """The constructor has set the mode already."""

    def __call__(self, function):  # type: ignore[no-untyped-def]
        state.grad_enabled = self._before.pop()
        return _GradMode(self._mode)(function)
