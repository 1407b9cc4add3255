"""What operations require of their data, at each compiled call: left out where it always holds, else asked on the host
before the program runs, if it takes little to know it there, else asked of the program.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ..primitives import indexing, shaping, structure, views
from ..tape import PRIMITIVES, Step, Var, state
from ..tape.number import Required
from ..tape.primitive import native
from .eager_run import EagerRun
from .intervals import intervals
from .plan import live_steps

__all__ = ["HostCheck", "settle_checks"]

_CHEAP = frozenset({
    shaping.reshape, shaping.permute, shaping.slice_, shaping.flip, shaping.broadcast_to, shaping.concatenate,
    shaping.slice_scatter, views.diagonal, views.unfold, structure.cast, structure.stop_gradient, structure.barrier,
    structure.constant, structure.full, indexing.take, indexing.gather, indexing.put,
    *[PRIMITIVES[name] for name in ("where", "eq", "ne", "lt", "le", "gt", "ge")],
})  # fmt: skip
"""Primitives that round nothing and take no longer than to look at their operands."""
_INTEGRAL = frozenset(prim for prim in PRIMITIVES.values() if prim.elementwise)
"""Those that round nothing if all is integers."""
_GROWTH, _SMALL, _LONGEST = 4, 1 << 12, 32
"""A check may make this many times the elements of its inputs on its way, or this many, in this many steps."""

Way = dict[Step, None]
"""Steps in order."""


def _none() -> None:
    """In place of a reference."""


class HostCheck:
    """Steps of a tape done on the host, of some of its inputs, and whether what comes out is as required.

    `tensors` and `numbers` are the positions of the inputs, the Vars `read`: among those captured, and among the notes.
    """

    def __init__(
        self, required: Required, steps: Sequence[Step], tensors: dict[Var, int], numbers: dict[Var, int]
    ) -> None:
        self.tensors, self.numbers = list(tensors.values()), list(numbers.values())
        self.read = {*tensors, *numbers}
        self._of_array = required.requirement.of_array
        places: dict[Var, int] = {var: i for i, var in enumerate((*tensors, *numbers))}
        self._others: list[Any] = []  # at the places after those of the inputs: literals, and room for results
        self._steps: list[tuple[Any, list[int], dict[str, Any], int]] = []
        first = len(places)
        for step in steps:
            operands = []
            for x in step.inputs:
                operands.append(places[x] if isinstance(x, Var) else first + len(self._others))
                self._others += [] if isinstance(x, Var) else [x]
            places[step.outputs[0]] = out = first + len(self._others)
            self._others.append(None)
            self._steps.append((step.prim.forward, operands, step.params, out))
        self._asked = places[required.var]
        self._last: tuple[Callable[[], Any], bool] = _none, False

    def __call__(self, *inputs: Any) -> bool:
        """Whether it holds. It is known of a single array on the device, which stays as it is, if that was the last.

        A step may raise IndexError, where what an earlier check asks of the program does not hold: none fits then.
        """
        single = inputs[0] if len(inputs) == 1 else None
        last, held = self._last
        if single is not None and last() is single:
            return held
        values = [np.asarray(x) for x in inputs]
        if self._steps:
            state.now.quiet(self._evaluate, values)
        held = self._of_array(values[self._asked])
        self._last = weakref.ref(single) if isinstance(single, jax.Array) else _none, held
        return held

    def _evaluate(self, values: list[Any]) -> None:
        """Add to the values of the inputs those of all other places."""
        values += self._others
        for forward, operands, params, out in self._steps:
            values[out] = np.asarray(forward(*[values[i] for i in operands], **params))


def settle_checks(run: EagerRun) -> dict[Var, HostCheck]:
    """Drop the guards of what always holds; of the others return what the host can do, by the Vars of the answers."""
    numbers = run.recorder.numbers
    asked = [
        (guard, guard.required, numbers.notes[guard.position].operands[0]) for guard in numbers.guards if guard.required
    ]
    if not asked:
        return {}
    steps, _ = live_steps(run.recorder.tape.steps, [answer for *_, answer in asked])
    known = intervals(steps)
    fixed: set[Var] = set()
    ways: dict[Var, Way | None] = {}
    for step in steps:
        if all(var in fixed for var in step.vars):
            fixed.update(step.outputs)
        ways |= dict.fromkeys(step.outputs, _way_to(step, ways))
    found: dict[Var, HostCheck] = {}
    for guard, required, answer in asked:
        if answer in fixed or known[answer] == (guard.outcome, guard.outcome):
            numbers.guards.remove(guard)
        elif (way := ways.get(required.var, {})) is not None:
            found |= {answer: check} if (check := _on_host(run, required, way)) is not None else {}
    return found


def _way_to(step: Step, ways: dict[Var, Way | None]) -> Way | None:
    """The step and those behind it, if they are few and all of them take little time."""
    way: Way = {}
    for var in step.vars:
        behind = ways.get(var, {})
        if behind is None:
            return None
        way |= behind
    return way | {step: None} if len(way) < _LONGEST and _is_cheap(step) else None


def _is_cheap(step: Step) -> bool:
    """Whether NumPy does a step in little time, and as exactly as the program does."""
    integral = all(var.dtype.kind in "biu" for var in (*step.vars, *step.outputs))
    return step.prim in _CHEAP or (integral and step.prim in _INTEGRAL)


def _on_host(run: EagerRun, required: Required, way: Way) -> HostCheck | None:
    """The check of what the steps of `way` lead to, if the host can do it in little time."""
    made = {var for step in way for var in step.outputs}
    read = {var for var in (*[var for step in way for var in step.vars], required.var) if var not in made}
    recorder = run.recorder
    places = {var: i for i, var in enumerate(recorder.tape.inputs) if var in read}
    scalars = {var: position for position, var in recorder.scalars.items() if var in read}
    most = _GROWTH * sum(math.prod(var.shape) for var in read) + _SMALL
    if any(math.prod(var.shape) > most for var in made) or not all(native(var.dtype) for var in read | made):
        return None
    return HostCheck(required, list(way), places, scalars)
