"""Compiled programs whose gradients are recorded walks: where these come to code of the user's.

A walk's steps are a program of the cotangents and of values of the forward run, which that hands out. Its derivative is
a walk, too: there is nothing that JAX could differentiate, as the derivative of what the user wrote is the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import jax
import numpy as np

from ..errors import UnsupportedError
from ..tape import Step, Tape, TensorBase, Var, state, wrap
from ..tape.program import Pull
from .compiled_node import CompiledNode
from .lower import lower_flat
from .operation import JaxOperation
from .outlook import Outlook, Reading
from .plan import live_steps
from .programs import program_of
from .pullback import DifferentiableForward, Residual
from .replay import replay
from .runtime import pack
from .trial import Problem
from .trial_walks import Derived, Slots, Walk, Walks
from .verify import check

__all__ = ["RecordedForward", "Recording"]


@dataclass(eq=False)
class Recording:
    """All steps of a tape, and those of its inputs that come from outside: tensors, then `scalars` numbers."""

    name: str
    steps: list[Step]
    pulls: list[Pull]
    inputs: list[Var]
    scalars: int
    checked: bool
    """Whether what was recorded is to be compared with what is compiled."""

    @property
    def tensors(self) -> list[Var]:
        """The inputs that are tensors."""
        return self.inputs[: len(self.inputs) - self.scalars]

    def with_inputs(self, more: Sequence[Var]) -> Recording:
        """With `more` inputs, after the tensors."""
        inputs = [*self.tensors, *more, *self.inputs[len(self.tensors) :]]
        return replace(self, inputs=inputs)

    def tape(self, outputs: Sequence[Var], end: int | None = None) -> Tape:
        """The tape of the steps before `end` that `outputs` depend on."""
        steps, _ = live_steps(self.steps[:end], outputs)
        return Tape(self.name, self.inputs, steps, list(outputs), results=len(outputs), pulls=self.pulls)


class _CompiledWalk:
    """A walk as a program, of the values `reads` of the forward run and of cotangents."""

    def __init__(self, recording: Recording, walk: Walk, walks: Walks) -> None:
        self.walk = walk
        self.recording = recording.with_inputs(walk.seeds)
        self.gradients = [g for g in walk.grads if g is not None]
        self.checked = not recording.checked
        self.operation: JaxOperation | None = None
        steps, needed = live_steps(recording.steps[walks.begin : walks.end], self.gradients)
        made = {var for step in steps for var in step.outputs} | set(walk.seeds)
        self.reads = [var for var in needed if var not in made]
        tape = Tape(f"{recording.name}_pullback", [*self.reads, *walk.seeds], steps, self.gradients)
        self.run = jax.jit(lower_flat(tape, differentiable=False))

    def spread(self, found: Sequence[Any]) -> list[Any]:
        """Gradients per target, None where there are none."""
        rest = iter(found)
        return [None if g is None else next(rest) for g in self.walk.grads]

    def cotangents(self, slots: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
        """One for each result that the walk starts at, zeros for those that are missing."""
        return [np.zeros(*kinds[k]) if slots[k] is None else slots[k] for k in self.walk.roots]

    def check(self, values: Sequence[Any], found: Sequence[Any], eager: Sequence[Any] | None = None) -> None:
        """Compare what was `found` for the input `values` with what the tape says. Raises CheckError."""
        self.checked = True
        tape = self.recording.tape(self.gradients)
        if eager is None:
            truth = replay(tape, values, None, tape.outputs)
            eager = [np.asarray(truth[var]).astype(var.dtype) for var in tape.outputs]
        names = [f"gradient {k}" for k in range(len(eager))]
        report = check(tape, values, eager, found, names)
        report.raise_if_failed()


class RecordedForward(DifferentiableForward):
    """As `DifferentiableForward`: a program with its gradients, which are the `walks`.

    It computes `outputs` of the inputs of `recording`, numbers in one array in front. Those of its outputs at `outs`
    have gradients, with respect to the inputs at the positions `needs`, each the target of the walks that `targets`
    says.
    """

    def __init__(
        self,
        recording: Recording,
        outputs: Sequence[Var],
        outs: Sequence[int],
        needs: Sequence[int],
        targets: Mapping[int, int],
        walks: Walks,
        traced: Any = None,
    ) -> None:
        self._recording = recording
        self._walks = walks
        self._targets = dict(targets)
        self._pulls: dict[Slots, _CompiledWalk] = {
            slots: _CompiledWalk(recording, walk, walks) for slots, walk in walks.walks.items()
        }
        self._count = len(outputs)
        self._kept = list(dict.fromkeys(var for pull in self._pulls.values() for var in pull.reads))
        first = int(recording.scalars > 0)
        places = {var: k + first for k, var in enumerate(recording.tensors)}
        extra = [var for var in self._kept if var not in places and var not in outputs]
        computed = {var: k for k, var in reversed([*enumerate([*outputs, *extra])])}
        self._places = [(True, places[var]) if var in places else (False, computed[var]) for var in self._kept]
        tape = recording.tape([*outputs, *extra], walks.begin)
        super().__init__(program_of(tape, recording.scalars, traced or _untold, False), needs, outs, recording.name)
        self._compiled = jax.jit(self.function)
        self.node_class = RecordedNode
        self.readings: Sequence[Reading] = ()

    def run(self, values: Sequence[Any]) -> tuple[Any, Residual]:
        """As of any forward; what the walks read is the residual."""
        with jax.enable_x64(True):
            given = tuple([jax.device_put(v) if isinstance(v, np.ndarray) else v for v in values])
            computed = self._compiled(*given)
        kept: Any = [given[k] if is_given else computed[k] for is_given, k in self._places]
        return computed[: self._count], Residual(kept, [], given)

    def attach(
        self, *args: Any, objects: Sequence[Any] = (), tensors: Sequence[Any] = (), **options: Any
    ) -> CompiledNode:
        """As of any forward; code of the user's sees `objects` (of which it has the `readings`) and `tensors`."""
        node = super().attach(*args, **options)
        assert isinstance(node, RecordedNode)
        node.outlook = Outlook(self.name, self.readings, objects, tensors) if objects or tensors else None
        return node

    def pull_arrays(self, residual: Residual, slots: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
        """The gradients by the walk that fits these cotangents."""
        pull = self._pull_for(slots)
        if pull is None:
            return [None] * len(self.needs)
        seeds = pull.cotangents(slots, kinds)
        found = self._walked(pull, residual, seeds)
        if not pull.checked and not state.now.watchers:
            pull.check(self._values(residual.values, seeds), found)
        return self._chosen(pull.spread(found))

    def pull_tensors(self, operands: Sequence[Any], slots: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
        """The same on tensors, as an operation that has the walk's derivative."""
        pull = self._pull_for(slots)
        if pull is None:
            return [None] * len(self.needs)
        if pull.operation is None:
            pull.operation = _Gradients(self.name, pull, self._targets)
        seeds = [wrap(g) if isinstance(g, np.ndarray) else g for g in pull.cotangents(slots, kinds)]
        return self._chosen(pull.spread(pull.operation(*operands, *seeds)[0]))

    def pullback(self, width: int) -> NoReturn:  # noqa: ARG002
        """Which cotangents there are decides what the gradients are."""
        raise self._unsupported("not inside vmap or forward mode")

    def push(self, *_: Any) -> NoReturn:
        """There is no forward derivative of a backward walk."""
        raise self._unsupported("in forward mode")

    def check_walks(self, walks: Walks, values: Sequence[Any]) -> None:
        """Compare each walk with a trial, one of `walks`, of which the inputs had these `values`. Raises CheckError."""
        tensors = values[: len(values) - self._recording.scalars]
        numbers = values[len(tensors) :]
        given = [np.array(x) for x in tensors]
        if numbers:
            given.insert(0, pack(tuple(numbers)))
        _, residual = self.run(given)
        for slots, pull in self._pulls.items():
            walk = walks.walks[slots]
            tried, walk.tried = walk.tried, None
            if tried is not None:
                found = self._walked(pull, residual, tried.seeds)
                pull.check([*tensors, *tried.seeds, *numbers], found, tried.grads)

    def _walked(self, pull: _CompiledWalk, residual: Residual, seeds: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
        known = dict(zip(self._kept, residual.pull, strict=True))  # type: ignore[call-overload]
        with jax.enable_x64(True):
            return [np.array(x) for x in pull.run(*[known[var] for var in pull.reads], *seeds)]

    def _values(self, values: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
        """Values of the tape's inputs, numbers last, and of cotangents between."""
        arrays = [np.asarray(x) for x in values]
        return [*arrays[1:], *seeds, *arrays[0]] if self._recording.scalars else [*arrays, *seeds]

    def _chosen(self, found: Sequence[Any]) -> list[Any]:
        return [found[self._targets[position]] for position in self.needs]

    def _pull_for(self, slots: Sequence[Any]) -> _CompiledWalk | None:
        """The walk that comes to the same code of the user's as one with these cotangents; None if nothing arrives."""
        given = [reached for reached, slot in zip(self._walks.reached, slots, strict=True) if slot is not None]
        if not given and not self._walks.on_nothing:
            return None
        if not given:
            raise self._unsupported("where no cotangent arrives")
        pull = self._pulls.get(frozenset().union(*given))
        if pull is None:
            raise self._unsupported("with cotangents for some of its results only")
        return pull

    def _unsupported(self, why: str) -> UnsupportedError:
        return UnsupportedError(_NOT_COMPILED.format(name=self.name, why=why))


_NOT_COMPILED = (
    "gradient through the result of the jitted function {name!r}, by way of code of yours, cannot be compiled {why}: "
    "take it inside the jitted function"
)


class RecordedNode(CompiledNode):
    """A call of a `RecordedForward`, in the graph."""

    __slots__ = ("outlook",)

    runs_on_nothing = True
    outlook: Outlook | None

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """As of any compiled call, if code of the user's would still see what it saw then."""
        if self.outlook is not None:
            self.outlook.check()
        found = super().pull(g, create_graph)
        for x in found:
            if isinstance(x, TensorBase) and isinstance(x._node, RecordedNode):
                x._node.outlook = self.outlook
        return found


class _Gradients(JaxOperation):
    """A walk as an operation on the inputs of the forward run and cotangents."""

    def __init__(self, name: str, pull: _CompiledWalk, targets: Mapping[int, int]) -> None:
        self._pull = pull
        self._name = name
        self._own_targets = dict(targets)
        recording = pull.recording
        program = program_of(recording.tape(pull.gradients), recording.scalars, _untold, False)
        program.__name__ = f"{name}_pullback"
        super().__init__(_underivable(program, self._refused), f"{name}Backward")

    def forward(self, needs: tuple[int, ...]) -> DifferentiableForward:
        """The derivative by walks. Raises the error that one of them is."""
        return self._made(("forward", needs), lambda: self._recorded(needs))

    def _recorded(self, needs: tuple[int, ...]) -> RecordedForward:
        derived, recording = self._pull.walk.derived, self._pull.recording
        if not isinstance(derived, Derived):
            raise self._refused()
        seeds = dict(zip(self._pull.walk.seeds, derived.seeds, strict=True))
        own = replace(recording, inputs=[seeds.get(var, var) for var in recording.inputs])
        first = int(own.scalars > 0)
        begin = first + len(own.tensors) - len(derived.seeds)
        count = len(self._pull.walk.grads)
        targets = self._own_targets | {begin + k: count + k for k in range(len(derived.seeds))}
        return RecordedForward(own, derived.grads, derived.outs, needs, targets, derived.walks)

    def _refused(self) -> Exception:
        problem = self._pull.walk.derived
        assert isinstance(problem, Problem | Derived)
        if isinstance(problem, Derived):
            return UnsupportedError(_NOT_COMPILED.format(name=self._name, why="inside a transform"))
        if not issubclass(problem.error, UnsupportedError):
            return problem.error(problem.why)
        return UnsupportedError(_NOT_COMPILED.format(name=self._name, why=f"with create_graph ({problem.why})"))


def _underivable(program: Any, refused: Any) -> Any:
    """`program`, of which JAX is to find no derivative."""

    @jax.custom_vjp
    def guarded(*inputs: Any) -> Any:
        return program(*inputs)

    def forward(*_: Any) -> NoReturn:
        raise refused()

    guarded.defvjp(forward, lambda *_: ())
    guarded.__name__ = program.__name__  # type: ignore[attr-defined]
    return guarded


def _untold() -> None:
    """JAX is about to compile a program: that is counted where it belongs to a function of the user's."""
