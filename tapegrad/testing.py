"""Checks for other people's tests: here, that a jitted function is not compiled more often than it should be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Compilations", "TooManyCompilesError", "max_compiles"]

_lock = threading.Lock()
_open: list[Compilations] = []


class TooManyCompilesError(AssertionError):
    """More programs were compiled than allowed."""


class Compilations:
    """The compilations in a block: for each, the name of the function and why it was compiled."""

    def __init__(self) -> None:
        self.reasons: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self.reasons)

    def __str__(self) -> str:
        return "\n".join([f"  {i + 1}. {name}: {why}" for i, (name, why) in enumerate(self.reasons)])


@contextmanager
def max_compiles(n: int) -> Iterator[Compilations]:
    """Fail at the end of the block if jitted functions were compiled more than `n` times in it, in any thread.

    Yields the compilations so far. Raises TooManyCompilesError, an AssertionError that says why each was needed;
    ValueError if `n` is negative.
    """
    if n < 0:
        raise ValueError(f"max_compiles: expected a number of compilations, got {n}")
    found = Compilations()
    with _lock:
        _open.append(found)
    try:
        yield found
    finally:
        with _lock:
            _open.remove(found)
    if len(found) > n:
        raise TooManyCompilesError(f"expected at most {n} compilations, got {len(found)}:\n{found}")


def compiled(name: str, why: str) -> None:
    """Tell the open blocks that the function `name` is being compiled."""
    with _lock:
        for found in _open:
            found.reasons.append((name, why))
