"""jit: a function recorded once per signature, compiled, checked against its eager run, and run compiled from then on.

The first call of a signature runs the function eagerly under a recorder. That gives the tape, the results, and the
reference for the check at once. What the function captures is an implicit argument (see `environment`), so nothing it
reads can go stale; what it writes is written back after the compiled program succeeded, all or nothing.
"""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Hashable
from typing import Any

from ..tape import state
from .ahead import HeadStart
from .eager_run import EagerRun
from .signature import Signature, signature_of
from .specialisation import Specialisation, specialise

__all__ = ["Jitted", "Specialisation", "jit"]

CHECKS = ("first", "always", "never")


class Jitted:
    """A function compiled per signature; made by `jit`. `specialisations` lists what was compiled."""

    def __init__(self, function: Callable[..., Any], check: str | float) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._check = check
        self._lock = threading.RLock()
        self._cache: dict[Hashable, Specialisation] = {}
        self._head_start = HeadStart()

    @property
    def specialisations(self) -> list[Specialisation]:
        """The programs compiled so far, oldest first."""
        return list(self._cache.values())

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function: compiled if there is a program for this signature, else eagerly, to make one."""
        watchers = state.watchers
        if watchers and any(w.follows_values or w.looks_inside or w is state.recorder for w in watchers):
            return self._function(*args, **kwargs)  # part of another recording, or of what is transformed
        must_check = self._must_check()
        guess = None if must_check or kwargs else self._head_start.guess(args)
        signature = signature_of(self._function, args, kwargs)
        found = self._cache.get(signature.key)
        if found is None:
            with self._lock:
                return self._specialise(signature, args, kwargs)
        if must_check:
            with self._lock:
                return self._run_checked(found, signature, args, kwargs)
        if guess is not None:
            if guess.fits(found, signature):
                return found.finish(signature.tensors, guess.outputs)
            self._head_start.missed()
        if not kwargs:  # such calls are not guessed
            self._head_start.remember(found, signature, args)
        return found.finish(signature.tensors, found.compute(signature.tensors))

    def _must_check(self) -> bool:
        if isinstance(self._check, str):
            return self._check == "always"
        return random.random() < self._check  # noqa: S311  (a sample, no secret)

    def _specialise(self, signature: Signature, args: Any, kwargs: Any) -> Any:
        run = EagerRun(self._function, signature, args, kwargs)
        with run:
            specialisation = specialise(run)
            if self._check != "never":
                specialisation.report = specialisation.check_against(run)
                specialisation.report.raise_if_failed()
            self._cache[signature.key] = specialisation
        return run.result

    def _run_checked(self, found: Specialisation, signature: Signature, args: Any, kwargs: Any) -> Any:
        run = EagerRun(self._function, signature, args, kwargs)
        with run:
            found.report = found.check_against(run)
            found.report.raise_if_failed()
        found.calls += 1
        return run.result


def jit(function: Callable[..., Any] | None = None, *, check: str | float = "first") -> Any:
    """Compile a function of tensors, keeping what it does when run eagerly. A decorator, with or without arguments.

    The function may call `backward()` and `autograd.grad`, accumulate gradients, and update in place tensors that it
    captures (parameters) or is passed. Its arguments and results may be nested in lists, tuples, dicts and
    dataclasses. One program is compiled per signature: shapes, dtypes, `requires_grad`, whether gradients are present,
    and every Python value the function can reach; a value that changes is a new signature.

    Args:
        function: what to compile.
        check: "first" checks each new program against the eager run that recorded it; "always" checks every call,
            "never" none; a number between 0 and 1 checks the first call and that fraction of the later ones.

    Raises CheckError if a program disagrees with the eager tape, and UnsupportedError for what cannot be compiled:
    reading a tensor's value in Python, drawing random numbers, custom `Function`s, changing captured objects. Both
    leave every tensor as it was before the call.

    What Python does besides (printing, say) happens in the first call of a signature only. Indices and class numbers
    are checked against their bounds then, too; a compiled program gives nan for one out of range.
    """
    if isinstance(check, str):
        if check not in CHECKS:
            raise ValueError(f"jit: check must be one of {', '.join(CHECKS)} or a fraction, got {check!r}")
    elif not 0 <= check <= 1:
        raise ValueError(f"jit: check as a fraction of calls must be between 0 and 1, got {check}")
    if function is None:
        return functools.partial(jit, check=check)
    if not callable(function):
        raise TypeError(f"jit: expected a function, got {type(function).__name__}")
    return Jitted(function, check)
