"""What is per thread: grad mode, the active recorder, and a context in which NumPy does not warn."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["state"]


class _State(threading.local):
    """Per-thread state.

    `quiet(function, *arrays, **params)` calls a NumPy function with floating-point warnings off: overflow, division
    by zero and invalid operations give inf and nan silently, as in PyTorch, whatever `numpy.seterr` says outside.
    """

    grad_enabled: bool = True
    recorder: Recorder | None = None
    quiet: Any

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.quiet = context.run

    def run_quietly(self, function: Callable[..., Any], *args: Any) -> None:
        """`function(*args)` with warnings off all the while; what it calls quietly is then called as it is."""
        quiet, self.quiet = self.quiet, _call
        try:
            quiet(function, *args)
        finally:
            self.quiet = quiet


def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


state = _State()
