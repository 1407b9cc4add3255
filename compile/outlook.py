"""What code of the user's, which runs in backward, sees of the world: it must be the same then as in the forward run.

Eagerly a hook reads what there is when backward comes to it; in a compiled call, what there was when the function was
called. Where these could be told apart, backward raises an error.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..code_objects import code_of
from ..environment import Reachable
from ..errors import InPlaceError, UnsupportedError
from ..tape import Step, TensorBase, Var
from .device import own_storage
from .heap import CONTENTS, MISSING, holders, same
from .trial import Refusal

if TYPE_CHECKING:
    from .describe import Describer
    from .eager_run import EagerRun

__all__ = ["Outlook", "Reading", "looked_at", "readings_of"]


class Reading(NamedTuple):
    """Something that the code can read: `kind` of contents (with `detail`) of the object `number` of the signature."""

    number: int
    kind: str
    detail: Any

    def contents(self, value: Any) -> Any:
        """What is there now."""
        if self.kind == "cell":
            return [_cell(value.__closure__[self.detail])]
        if self.kind == "names":
            namespace = value.__dict__ if isinstance(value, types.ModuleType) else value.__globals__
            return {name: namespace.get(name, MISSING) for name in self.detail}
        return CONTENTS[self.kind](value, None, 0)  # type: ignore[arg-type]


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def readings_of(run: EagerRun, found: Reachable, describer: Describer) -> list[Reading]:
    """What, of all that is found anew at each call, code that can reach what was `found` can read.

    Raises Refusal if it can read what the function has made, and others have, too.
    """
    finder = _Finder(run, found, describer)
    readings = [reading for number, kind in holders(found) for reading in finder.of(number, kind)]
    unique = {(r.number, r.kind, r.detail): r for r in readings}
    return list(unique.values())


class _Finder:
    """Where in the signature of a run things are that code of the user's can read."""

    def __init__(self, run: EagerRun, found: Reachable, describer: Describer) -> None:
        self._run = run
        self._found = found
        self._describer = describer
        functions = [(number, x) for number, x in enumerate(run.objects) if isinstance(x, types.FunctionType)]
        self._cells = {id(cell): (n, i) for n, f in functions for i, cell in enumerate(f.__closure__ or ())}
        self._globals = {id(f.__globals__): n for n, f in functions}

    def of(self, position: int, kind: str) -> Iterator[Reading]:
        """The readings of one holder."""
        value = self._found.objects[position]
        number = self._run.number_of(value)
        if isinstance(value, TensorBase):
            return
        if kind == "cells":
            yield from self._closure(value)
        elif kind == "globals":
            yield from self._names(value, number, code_of(value.__code__).globals)
        elif kind == "globals of a module":
            yield from self._names(value, number, tuple([name for at, name in self._found.known if at == position]))
        elif number is not None:
            yield Reading(number, kind, None)
        elif self._describer.knows(value):
            raise Refusal(f"it reads {type(value).__name__} that the function returns or keeps")

    def _closure(self, function: Any) -> Iterator[Reading]:
        """Variables that others have, too; those of the call itself are nobody else's any more."""
        for cell in function.__closure__ or ():
            if id(cell) in self._cells:
                number, i = self._cells[id(cell)]
                yield Reading(number, "cell", i)

    def _names(self, value: Any, number: int | None, names: tuple[str, ...]) -> Iterator[Reading]:
        if number is None and not isinstance(value, types.ModuleType):
            number = self._globals.get(id(value.__globals__))
        if not names:
            return
        if number is None:
            raise Refusal(f"it reads global variables ({', '.join(names)}) that the function itself cannot reach")
        yield Reading(number, "names", names)


def looked_at(run: EagerRun, describer: Describer, steps: Sequence[Step], values: Sequence[Var]) -> list[str]:
    """The names of the tensors on whose memory some of `values` are, among those that a call is given or makes."""
    producers = {var: step for step in steps for var in step.outputs}
    origins = {_origin(var, producers) for var in values}
    recorder = run.recorder
    with run.recording():
        return [name for name, t in describer.known() if _origin(recorder.read(t), producers) in origins]


def _origin(var: Var, producers: dict[Var, Step]) -> Var:
    """The value that is in the memory where `var` is."""
    while (step := producers.get(var)) is not None and (step.prim.view or step.prim.name in _SAME):
        var = step.inputs[-1]
    return var


_SAME = {"stop_gradient", "rebind"}
"""The primitives that are views, though of the derivative only; of several inputs the last is the value."""


class Outlook:
    """How the world looked when a compiled call was made: `objects` in `readings`, and `tensors`."""

    def __init__(
        self, name: str, readings: Sequence[Reading], objects: Sequence[Any], tensors: Sequence[TensorBase]
    ) -> None:
        self._name = name
        self._read = [(r, x, r.contents(x)) for r, x in zip(readings, objects, strict=True)]
        self._seen = [(weakref.ref(t), storage, storage.version) for t in tensors for storage in [own_storage(t)]]

    def check(self) -> None:
        """Raise an error if it looks otherwise now."""
        what = f"code of yours that the backward of the jitted function {self._name!r} runs"
        for reading, value, before in self._read:
            if not same(before, reading.contents(value)):
                raise UnsupportedError(
                    f"{what} can read what was changed between the call and backward (in a {type(value).__name__}): "
                    "call backward() or autograd.grad inside the jitted function"
                )
        for reference, storage, version in self._seen:
            t = reference()
            if storage.version != version or (t is not None and t._storage is not storage):
                raise InPlaceError(
                    f"{what} uses a tensor that was written to between the call and backward: write to a clone()"
                )
