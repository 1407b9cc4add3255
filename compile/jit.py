"""jit: a function recorded once per signature, compiled, checked against its eager run, and run compiled from then on.

The first call of a signature runs the function eagerly under a recorder. That gives the tape, the results, and the
reference for the check at once. What the function captures is an implicit argument (see `environment`), so nothing it
reads can go stale; what it changes is described (`describe`), and changed again after the compiled program succeeded,
all or nothing. Where Python asked for a value that is known only when the program runs, the answer is a guard: one
signature has as many specialisations as there were different answers.
"""

from __future__ import annotations

import functools
import random
import sys
import threading
from collections.abc import Callable, Hashable
from typing import Any

from ..environment.objects import public_names
from ..generator import default_generator
from ..tape import state
from ..tape.state import device_lock
from .dispatch import write_dispatch
from .eager_run import EagerRun
from .explain import Explanation, explanation
from .family import Family
from .reasons import Difference, nearest
from .runtime import MISS, Mismatch
from .signature import Signature, signature_of
from .specialisation import Specialisation, describe_run
from .storms import Storms

__all__ = ["Jitted", "Specialisation", "jit"]

CHECKS = ("first", "always", "never")
_MOST_RECENT = 4
_FOR_PLAIN_NUMBERS = (TypeError, KeyError, AttributeError, ValueError)
"""What code may raise that takes nothing but plain numbers."""
_FOR_PLAIN_LISTS = (TypeError, AttributeError, SystemError)
"""What code may raise that takes nothing but lists."""
_samples = random.Random()  # noqa: S311  (samples, no secrets)
"""Not the generator that users draw from."""


class Jitted:
    """A function compiled per signature; made by `jit`. `specialisations` lists what was compiled."""

    def __init__(self, function: Callable[..., Any], check: str | float, fullgraph_guards: bool) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._check = check
        self._guards = fullgraph_guards
        self._lock = threading.RLock()
        self._families: dict[Hashable, Family] = {}
        self._recent: list[Specialisation] = []
        self._samples = check not in ("first", "never")
        self._ints: set[str] = set()  # where ints are that have changed
        self._lists: set[str] = set()  # where lists are that have grown
        self._read: set[str] = set()  # and those that are not only appended to
        self._places = False  # whether it matters where in its memory a view is: one was written to
        self._rigid = False  # whether a recording with numbers that are followed failed
        self._storms = Storms(getattr(function, "__name__", type(function).__name__))

    @property
    def specialisations(self) -> list[Specialisation]:
        """The programs compiled so far, oldest first."""
        return [spec for spec in self._recorded() if spec.ready]

    def _recorded(self) -> list[Specialisation]:
        """Those, and the ones that will be compiled when their signature comes again."""
        return sorted([spec for family in self._families.values() for spec in family.specs], key=lambda s: s.number)

    def __repr__(self) -> str:
        return f"<jit of {self._function!r}: {len(self.specialisations)} programs>"

    def __setattr__(self, name: str, value: Any) -> None:
        recorder = state.recorder
        if recorder is not None and not name.startswith("_"):
            raise recorder.unsupported(f"setting the attribute {name!r} of a jitted function: keep it somewhere else")
        super().__setattr__(name, value)

    def __reduce__(self) -> Any:
        """A function is copied and pickled by its name, if it has one; any other, as a new one without programs."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        public = {name: self.__dict__[name] for name in public_names(self)}
        return object.__new__, (Jitted,), (self._function, self._check, self._guards, public)

    def __setstate__(self, kept: Any) -> None:
        *made_of, public = kept
        self.__init__(*made_of)  # type: ignore[misc]
        self.__dict__.update(public)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else Bound(self, instance)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function: compiled if there is a program that fits, else eagerly, to make one."""
        if state.now.watchers and _is_followed():
            return self._function(*args, **kwargs)  # part of another recording, or of what is transformed
        with self._lock:
            recent = self._recent
            if not recent or self._samples:
                return self._find(args, kwargs, None)
            with device_lock:
                result = recent[0].call(args, kwargs)
            if result is MISS or type(result) is Mismatch:
                return self._find_recent(args, kwargs, result)
            return result

    def _find_recent(self, args: Any, kwargs: Any, result: Any) -> Any:
        """The call where the program that ran last does not fit: perhaps one that ran lately does."""
        last, *others = self._recent
        if type(result) is Mismatch:
            result.spec = last
            sibling = last.family.sibling(last, result)
            others = [sibling] if sibling is not None and sibling.call is not None else []
        missed = result
        for spec in others:
            with device_lock:
                result = spec.call(args, kwargs)
            if result is not MISS and type(result) is not Mismatch:
                self._ran(spec)
                return result
        return self._find(args, kwargs, missed)

    def _ran(self, spec: Specialisation) -> None:
        """Try this one first from now on."""
        if spec.call is not None:
            self._recent = [spec, *[other for other in self._recent if other is not spec]][:_MOST_RECENT]

    def explain(self, /, *args: Any, **kwargs: Any) -> Explanation:
        """What a call with these arguments would do, and what the programs made so far are; nothing is run."""
        with self._lock:
            return explanation(self._signature(args, kwargs), self._recorded(), self._families, self._storms)

    def _signature(self, args: Any, kwargs: Any) -> Signature:
        if self._rigid:
            return signature_of(self._function, args, kwargs, followed=False, places=self._places)
        return signature_of(self._function, args, kwargs, ints=self._ints, lists=self._lists, places=self._places)

    def _find(self, args: Any, kwargs: Any, missed: Any) -> Any:
        """The call where it is not known which program fits."""
        signature = self._signature(args, kwargs)
        family = self._families.get(signature.key)
        if family is not None and not self._must_check():
            spec, result = family.run(signature, missed)
            if spec is not None:
                self._ran(spec)
                return result
            missed = result
        why = self._why(family, missed, signature)
        if self._learn(why):
            return self._find(args, kwargs, None)
        return self._specialise(family, why, signature, args, kwargs)

    def _learn(self, why: list[Difference]) -> bool:
        """Follow ints that changed, and do not look into lists that grew, from now on; whether there were such."""
        ints = {difference.what for difference in why if difference.follow} - self._ints
        lists = {difference.what for difference in why if difference.grew} - self._lists - self._read
        self._ints |= ints
        self._lists |= lists
        return bool(ints or lists)

    def _must_check(self) -> bool:
        if isinstance(self._check, str):
            return self._check == "always"
        return _samples.random() < self._check

    def _specialise(
        self, family: Family | None, why: list[Difference], signature: Signature, args: Any, kwargs: Any
    ) -> Any:
        """Run eagerly, make the program of that, unless there is one already, and check it."""
        if self._storms.broken(why):
            return self._function(*args, **kwargs)
        run = EagerRun(self._function, signature, args, kwargs, guards=self._guards)
        try:
            spec = run.all_or_nothing(lambda: self._made(run, family, why, args, kwargs))
        except Exception as error:
            plainer = None if run.finished else self._plainer(run, error)
            if plainer is None:
                run.output.show()
                raise
            return self._find_plainly(plainer, args, kwargs)
        if spec is None:
            return self._find(args, kwargs, None)
        if spec.family is not None:
            spec.calls += 1
        else:
            family = self._families.get(signature.key) or Family()
            family.add(spec)
            self._families[signature.key] = family
            self._storms.count(why)
        return run.result

    def _made(
        self, run: EagerRun, family: Family | None, why: list[Difference], args: Any, kwargs: Any
    ) -> Specialisation | None:
        """The program of a run, checked; None if the call is to be made again, knowing more."""
        run.start()
        written_view = bool(run.derived()) and not self._places
        self._places = self._places or written_view
        if self._unlearn(run) or written_view:
            run.undo()
            return None
        run.output.show()
        described = describe_run(run)
        run.settle(described.changes)
        known = None if family is None else family.find(described.outcomes)
        checked = self._check != "never"
        spec = known or Specialisation(run, described, len(self._recorded()), why, checked=checked)
        if self._check == "never":
            spec.ready = True
        elif known is not None or self._signature(args, kwargs).key == run.signature.key:
            spec.check_against(described)  # one that is not wanted again at once is compiled when it is
        if known is None:
            write_dispatch(spec, {"function": self._function, "root": default_generator._state})
        run.refuse_leaks(described.kept)
        return spec

    def _unlearn(self, run: EagerRun) -> bool:
        """Look into lists again that are not only appended to; whether there were such."""
        read = run.read_lists()
        self._read |= read
        self._lists -= read
        return bool(read)

    def _plainer(self, run: EagerRun, error: Exception) -> dict[str, Any] | None:
        """What to set for less to stand for something else in another recording, if this may have failed of that."""
        if self._unlearn(run):
            return {}
        if run.lists and isinstance(error, _FOR_PLAIN_LISTS):
            lists = {run.signature.found.text(number) for number in run.lists}
            return {"_lists": self._lists - lists, "_read": self._read | lists}
        if self._rigid or not run.follows or not isinstance(error, _FOR_PLAIN_NUMBERS):
            return None
        return {"_rigid": True}

    def _find_plainly(self, plainer: dict[str, Any], args: Any, kwargs: Any) -> Any:
        """The same with those settings: from now on, unless that fails, too."""
        before = {name: self.__dict__[name] for name in plainer}
        try:
            self.__dict__.update(plainer)
            return self._find(args, kwargs, None)
        except BaseException:
            self.__dict__.update(before)
            raise

    def _why(self, family: Family | None, missed: Any, signature: Signature) -> list[Difference]:
        """Why no program fits."""
        if family is not None:
            return family.why(missed)
        return nearest(self._recorded(), signature)


class Bound(functools.partial[Any]):
    """A jitted function bound to an object, as methods are. It has what the function has."""

    __slots__ = ()

    @property
    def __func__(self) -> Jitted:
        function: Any = self.func
        return function

    @property
    def __self__(self) -> Any:
        return self.args[0]

    def explain(self, /, *args: Any, **kwargs: Any) -> Explanation:
        """As the function's, of a call with the object."""
        return self.__func__.explain(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # whose signature would be that of the function, with the object
            raise AttributeError(name)
        return getattr(self.func, name)

    def __eq__(self, other: object) -> bool:
        return type(other) is Bound and self.func is other.func and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self.func), id(self.__self__)))


def _is_followed() -> bool:
    """Whether somebody must see what a function does inside."""
    recorder = state.recorder
    return any(w.follows_values or w.looks_inside or w is recorder for w in state.watchers)


def jit(
    function: Callable[..., Any] | None = None, *, check: str | float = "first", fullgraph_guards: bool = True
) -> Any:
    """Compile a function of tensors, keeping what it does when run eagerly. A decorator, with or without arguments.

    The function may be a whole training step: `backward()`, `autograd.grad`, hooks, `Function`s, checkpoints, random
    numbers, an optimiser's step, changes to tensors, attributes, lists and dicts that it captures or is passed.
    Arguments and results may be nested in containers and objects. Its result can be differentiated from outside. One
    program is compiled per signature: shapes, dtypes, `requires_grad`, whether gradients are present, and every Python
    value the function can reach; a value that changes is a new signature, but for floats, which are inputs, and for
    ints from when they are first seen to change.

    A tensor's value that goes into Python (a branch, `int(t)`, `t.numpy()`) is guarded: if it comes out otherwise at a
    later call, another program is used or made. `t.item()` gives a number that is followed: only what Python asks of it
    is guarded. `docs/jit.md` says more.

    Args:
        function: what to compile; a `staticmethod` or `classmethod` becomes one of the compiled function.
        check: "first" checks each new program against the eager run that recorded it; "always" checks every call,
            "never" none; a number between 0 and 1 checks the first call and that fraction of the later ones. A call
            that changes its own signature (gradients appear, an optimiser makes its state) is compiled, and checked,
            when that signature comes again.
        fullgraph_guards: whether Python may ask for a tensor's value; if not, that is an error.

    Raises CheckError if a program disagrees with the eager tape, and UnsupportedError for what cannot be compiled,
    naming the line. Both leave everything as it was before the call, as does an exception in the function.

    What the function prints, logs and warns of is put out at each call; files and the process are refused. Data that an
    operation refuses (an index out of range, a divisor of zero) raises its error at every call.
    """
    if isinstance(check, str):
        if check not in CHECKS:
            raise ValueError(f"jit: check must be one of {', '.join(CHECKS)} or a fraction, got {check!r}")
    elif not isinstance(check, int | float):
        raise TypeError(f"jit: check must be one of {', '.join(CHECKS)} or a fraction, got {check!r}")
    elif not 0 <= check <= 1:
        raise ValueError(f"jit: check as a fraction of calls must be between 0 and 1, got {check}")
    if function is None:
        return functools.partial(jit, check=check, fullgraph_guards=fullgraph_guards)
    if isinstance(function, staticmethod | classmethod):
        return type(function)(jit(function.__func__, check=check, fullgraph_guards=fullgraph_guards))
    if not callable(function):
        raise TypeError(f"jit: expected a function, got {type(function).__name__}")
    return Jitted(function, check, fullgraph_guards)
