"""Grad mode: whether operations record a graph. Per thread; each a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, TypeVar

from ..tape import state

__all__ = ["enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]

F = TypeVar("F", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Whether operations record a graph in this thread."""
    return state.grad_enabled


class _GradMode:
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

    def __call__(self, function: F) -> F:
        return _decorated(function, self._mode)


def _decorated(function: F, mode: bool) -> F:
    """`function`, run in grad mode `mode`; a generator, every step of it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _GradMode(mode):
            return function(*args, **kwargs)

    @functools.wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        step, sent = generator.send, None
        while True:
            with _GradMode(mode):
                try:
                    value = step(sent)
                except StopIteration as stop:
                    return stop.value
            try:
                step, sent = generator.send, (yield value)
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:  # noqa: BLE001  (what is thrown in goes on to the generator)
                step, sent = generator.throw, error

    return generate if inspect.isgeneratorfunction(function) else call  # type: ignore[return-value]


class no_grad(_GradMode):  # noqa: N801  (PyTorch's name)
    """Record no graph: results do not require grad. As a decorator with or without parentheses."""

    def __new__(cls, function: Any = None) -> Any:
        """A grad mode; or `function` decorated, without parentheses."""
        return super().__new__(cls) if function is None else _decorated(function, mode=False)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_GradMode):  # noqa: N801  (PyTorch's name)
    """Record a graph, also inside `no_grad`. As a decorator with or without parentheses."""

    def __new__(cls, function: Any = None) -> Any:
        """A grad mode; or `function` decorated, without parentheses."""
        return super().__new__(cls) if function is None else _decorated(function, mode=True)

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_GradMode):  # noqa: N801  (PyTorch's name)
    """Set grad mode from here on; as a context manager, until the block ends; as a decorator, in the function only."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._before.append(state.grad_enabled)
        state.grad_enabled = mode

    def __enter__(self) -> None:
        """The constructor has set the mode already."""

    def __call__(self, function: F) -> F:
        """`function` decorated; the mode outside is what it was before."""
        state.grad_enabled = self._before.pop()
        return super().__call__(function)
