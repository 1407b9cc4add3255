"""What is per thread: grad mode, the active recorder, and a context in which NumPy does not warn."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["state"]


class _Now:
    """One thread's state.

    `quiet(function, *arrays, **params)` calls a NumPy function with floating-point warnings off: overflow, division
    by zero and invalid operations give inf and nan silently, as in PyTorch, whatever `numpy.seterr` says outside.
    It does so in a context (of `contextvars`) of its own, which costs a tenth of `numpy.errstate`.
    """

    __slots__ = ("grad_enabled", "quiet", "recorder")

    user_code: ClassVar[bool] = False
    """Whether a walk may run code of the user's, which must find the context it expects: once there is a `Function`."""

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.quiet: Any = context.run
        self.grad_enabled = True
        self.recorder: Recorder | None = None

    def run_quietly(self, function: Callable[..., Any], *args: Any) -> None:
        """`function(*args)` with warnings off all the while; what it calls quietly is then called as it is."""
        quiet, self.quiet = self.quiet, _call
        try:
            if self.user_code:
                _call_in_quiet(function, *args)
            else:
                quiet(function, *args)
        finally:
            self.quiet = quiet


class _State(threading.local):
    """The state of the thread that asks. `now` is all of it at once, for code that reads more than one thing."""

    now: _Now

    def __init__(self) -> None:
        self.now = _Now()

    @property
    def grad_enabled(self) -> bool:
        """Whether operations record a graph."""
        return self.now.grad_enabled

    @grad_enabled.setter
    def grad_enabled(self, value: bool) -> None:
        self.now.grad_enabled = value

    @property
    def recorder(self) -> Recorder | None:
        """What collects a tape, if anything does."""
        return self.now.recorder

    @recorder.setter
    def recorder(self, value: Recorder | None) -> None:
        self.now.recorder = value

    def expect_user_code(self) -> None:
        """From here on, in every thread, walks may run code of the user's."""
        _Now.user_code = True

    @property
    def quiet(self) -> Any:
        """What runs NumPy functions."""
        return self.now.quiet

    @quiet.setter
    def quiet(self, value: Any) -> None:
        self.now.quiet = value


@np.errstate(all="ignore")
def _call_in_quiet(function: Callable[..., Any], *args: Any) -> None:
    """In the caller's own context, unlike `quiet`."""
    function(*args)


def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


state = _State()
