"""Grad and inference mode: whether operations record a graph. Per thread; each a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, TypeVar

from ..storage import UNCOUNTED
from ..tape import TensorBase, Watcher, state, storage_of

__all__ = [
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "set_grad_enabled",
    "set_multithreading_enabled",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Whether operations record a graph in this thread."""
    return state.grad_enabled


class Mode:
    """A mode inside the block or the decorated function, and what it was afterwards. Base class of all modes."""

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    def again(self) -> Mode:
        """Another mode like this one, for one call of a decorated function."""
        return self

    def __call__(self, function: F) -> F:
        """`function`, run in this mode."""
        return decorated(function, self.again)


class _GradMode(Mode):
    """Grad mode `mode`."""

    def __init__(self, mode: bool) -> None:
        self._mode = mode
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(state.grad_enabled)
        state.grad_enabled = self._mode and not state.now.inference  # where nothing can be recorded

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.grad_enabled = self._before.pop()

    def again(self) -> Mode:
        """Another one."""
        return _GradMode(self._mode)


def decorated(function: F, mode: Callable[[], Mode]) -> F:
    """`function`, run in a mode that `mode()` makes; a generator, every step of it; a class, its constructor."""
    if inspect.isclass(function):
        warnings.warn(
            "Decorating classes is deprecated and will be disabled in future versions. You should only decorate "
            "functions or methods. To preserve the current behavior of class decoration, you can directly decorate the "
            "`__init__` method and nothing else.",
            FutureWarning,
            stacklevel=3,
        )

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with mode():
            return function(*args, **kwargs)

    @functools.wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        step, sent = generator.send, None
        while True:
            with mode():
                try:
                    value = step(sent)
                except StopIteration as stop:
                    return stop.value
            try:
                step, sent = generator.send, (yield value)
            except GeneratorExit:
                with mode():
                    generator.close()
                raise
            except BaseException as error:  # noqa: BLE001  (what is thrown in goes on to the generator)
                step, sent = generator.throw, error

    return generate if inspect.isgeneratorfunction(function) else call  # type: ignore[return-value]


class no_grad(_GradMode):  # noqa: N801  (PyTorch's name)
    """Record no graph: results do not require grad. As a decorator with or without parentheses."""

    def __new__(cls, function: Any = None) -> Any:
        """A grad mode; or `function` decorated, without parentheses."""
        return super().__new__(cls) if function is None else decorated(function, lambda: _GradMode(mode=False))

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_GradMode):  # noqa: N801  (PyTorch's name)
    """Record a graph, also inside `no_grad`. As a decorator with or without parentheses."""

    def __new__(cls, function: Any = None) -> Any:
        """A grad mode; or `function` decorated, without parentheses."""
        return super().__new__(cls) if function is None else decorated(function, lambda: _GradMode(mode=True))

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_GradMode):  # noqa: N801  (PyTorch's name)
    """Set grad mode from here on; as a context manager, until the block ends; as a decorator, in the function only."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            kind = type(mode).__name__
            raise TypeError(f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {kind}")
        super().__init__(mode)
        super().__enter__()

    def __enter__(self) -> None:
        """The constructor has set the mode already."""

    def __call__(self, function: F) -> F:
        """`function` decorated; the mode outside is what it was before."""
        state.grad_enabled = self._before.pop()
        return super().__call__(function)


class _Inference(Watcher):
    """Marks what is made in inference mode: its writes are not counted, and autograd may not save it."""

    def step(self, prim: Any, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:  # noqa: ARG002
        if out._view is None:  # a view of a normal tensor is one, too
            storage_of(out).version = UNCOUNTED

    def constant(self, out: TensorBase) -> None:
        storage_of(out).version = UNCOUNTED


_inference = _Inference()


def _switch_inference(on: bool) -> None:
    now = state.now
    if on:
        now.watch(_inference)
    else:
        now.unwatch(_inference)
    now.inference = on


class inference_mode(Mode):  # noqa: N801  (PyTorch's name)
    """Record no graph and count no writes: what is made inside can never take part in autograd.

    `inference_mode(False)` makes normal tensors again, inside. A decorator with or without parentheses.
    """

    def __new__(cls, mode: Any = True) -> Any:
        """A mode; or a function decorated, without parentheses."""
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self._mode = mode
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        now = state.now
        self._before.append((now.inference, now.grad_enabled))
        if self._mode != now.inference:
            _switch_inference(self._mode)
        now.grad_enabled = not self._mode

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        inference, grad_enabled = self._before.pop()
        if inference != state.now.inference:
            _switch_inference(inference)
        state.grad_enabled = grad_enabled

    def again(self) -> Mode:
        """Another one."""
        return inference_mode(self._mode)


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on in this thread."""
    return state.now.inference


class set_multithreading_enabled(Mode):  # noqa: N801  (PyTorch's name)
    """Accepted for PyTorch's sake: a backward pass always runs in the thread that asked for it."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_multithreading_enabled(): expected a bool, got {type(mode).__name__}")

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to undo."""
