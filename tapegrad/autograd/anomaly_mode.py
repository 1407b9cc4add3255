"""Anomaly mode: find the forward line behind an error or a nan in backward."""

from __future__ import annotations

import warnings

from ..anomaly import Anomaly, active_anomaly
from ..tape import state
from .grad_mode import Mode

__all__ = ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_detect_anomaly"]


def _switch(on: bool, check_nan: bool) -> None:
    now = state.now
    active = active_anomaly()
    if active is not None:
        now.unwatch(active)
    if on:
        if now.recorder is not None:
            raise now.recorder.unsupported("anomaly detection")
        now.watch(Anomaly(check_nan))


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on in this thread."""
    return active_anomaly() is not None


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a nan in backward is an error, in anomaly mode."""
    active = active_anomaly()
    return active is None or active.check_nan


class set_detect_anomaly(Mode):  # noqa: N801  (PyTorch's name)
    """Anomaly mode on or off from here on, in this thread; as a context manager, until the block ends.

    While it is on, each operation notes where it was called. A backward that fails, or with `check_nan` one that gives
    a nan (RuntimeError), then warns with the stack of the forward call. It slows everything down.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._mode = mode, check_nan
        self._before = is_anomaly_enabled(), is_anomaly_check_nan_enabled()
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        """The constructor has set the mode already."""

    def __exit__(self, *_: object) -> None:
        _switch(*self._before)


class detect_anomaly(Mode):  # noqa: N801  (PyTorch's name)
    """Anomaly mode inside the block or the decorated function; see `set_detect_anomaly`. Warns that it is slow."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        self._before: list[tuple[bool, bool]] = []
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            UserWarning,
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._before.append((is_anomaly_enabled(), is_anomaly_check_nan_enabled()))
        _switch(True, self._check_nan)

    def __exit__(self, *_: object) -> None:
        _switch(*self._before.pop())
