"""What a function could change that nobody holds: generators, and how NumPy, warnings and logging are set up."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Generators", "Surroundings"]


class _Setting(NamedTuple):
    """Something that is set: what to call it, and how to get it, in a form that can be compared, and to put it back."""

    what: str
    get: Callable[[], Any]
    put: Callable[[Any], Any]


class Generators:
    """The states of the generators of Python and NumPy that users draw from, as they are when this is made."""

    def __init__(self) -> None:
        self._python = random.getstate()
        self._numpy: Any = np.random.get_state()  # noqa: NPY002  (the global one)

    def drawn(self) -> bool:
        """Whether anyone has drawn from them since."""
        numpy: Any = np.random.get_state()  # noqa: NPY002
        same = numpy[1].tobytes() == self._numpy[1].tobytes() and numpy[2:] == self._numpy[2:]
        return not same or random.getstate() != self._python

    def restore(self) -> None:
        """Put them back."""
        if self.drawn():
            random.setstate(self._python)
            np.random.set_state(self._numpy)  # noqa: NPY002


class Surroundings:
    """All that as it is when this is made."""

    def __init__(self) -> None:
        self.generators = Generators()
        self._settings = [setting.get() for setting in _SETTINGS]

    def changed(self) -> str | None:
        """What, if anything, is not so any more, besides generators."""
        pairs = zip(_SETTINGS, self._settings, strict=True)
        return next((setting.what for setting, before in pairs if setting.get() != before), None)

    def restore(self) -> None:
        """Put all back."""
        self.generators.restore()
        for setting, before in zip(_SETTINGS, self._settings, strict=True):
            if setting.get() != before:
                setting.put(before)


def _filters() -> tuple[Any, list[Any]]:
    return _Same(warnings.filters), [*warnings.filters]


def _put_filters(before: tuple[Any, list[Any]]) -> None:
    held, filters = before
    warnings.filters = held.value
    held.value[:] = filters
    vars(warnings)["_filters_mutated"]()


class _Same(NamedTuple):
    """Something that is equal to itself only."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _loggers() -> Iterator[logging.Logger]:
    yield logging.root
    known = logging.Logger.manager.loggerDict
    yield from [known[name] for name in sorted(known) if isinstance(known[name], logging.Logger)]  # type: ignore[misc]


def _logging() -> list[tuple[Any, ...]]:
    return [
        (x, x.level, x.propagate, x.disabled, tuple(x.handlers), tuple([(h, h.level, h.formatter) for h in x.handlers]))
        for x in _loggers()
    ]


def _put_logging(before: list[tuple[Any, ...]]) -> None:
    for logger, level, propagate, disabled, handlers, settings in before:
        logger.setLevel(level)
        logger.propagate, logger.disabled, logger.handlers[:] = propagate, disabled, handlers
        for handler, handler_level, formatter in settings:
            handler.level, handler.formatter = handler_level, formatter


_SETTINGS = (
    _Setting("np.seterr()", np.geterr, lambda before: np.seterr(**before)),
    _Setting("NumPy's print options", np.get_printoptions, lambda before: np.set_printoptions(**before)),
    _Setting("the filters of warnings", _filters, _put_filters),
    _Setting("the handlers or levels of loggers", _logging, _put_logging),
)
