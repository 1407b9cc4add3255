"""A specialisation: the compiled program of one recorded run, and what must hold for it to be used."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from ..tape import Step, Tape, TensorBase, Var, base_of, wrap
from ..tape.hooks import retains_grad
from ..tape.number import READS, Guard, Numbers
from ..testing import compiled
from .data_checks import HostCheck, settle_checks
from .describe import Describer, Description, Fresh
from .device import own_storage
from .eager_run import EagerRun
from .heap import Change
from .histories import Histories, histories_of
from .packs import Packing
from .plan import live_steps
from .programs import program_of
from .pullback import DifferentiableForward, differentiable_forward
from .reasons import Difference
from .recorded_forward import RecordedForward, Recording
from .replay import replay_tensors
from .runtime import Anchors, count_unseen, move_data, pack, part, version_of
from .signature import modes
from .verify import Report, check

__all__ = ["Described", "Specialisation", "describe_run"]


@dataclass(eq=False)
class Described:
    """A recorded run as a program and what it needs: see `Specialisation`.

    `values` are those of the tape's inputs, `steps` all that were recorded.
    """

    tape: Tape
    steps: list[Step]
    numbers: Numbers
    text: Description
    reads: list[int]
    scalars: list[int]
    writes: list[tuple[int, int, int]]
    values: list[Any]
    changes: list[Change]
    kept: list[TensorBase]
    histories: Histories
    derived: dict[int, tuple[int, bool]]
    hosted: dict[Var, HostCheck]

    @property
    def outcomes(self) -> tuple[Any, ...]:
        """The answers that Python was given, with the notes that they are about."""
        return tuple([(g.position, g.outcome) for g in self.numbers.guards])


class Specialisation:
    """One compiled program.

    `reads` are the positions (among the signature's tensors) of the program's inputs, before which come `scalars` (the
    positions, in `numbers`, of numbers that the host computes); `writes` name a tensor given a new value, the output
    that has it, and how many writes that counts for. `guards` are the answers that Python was given. `report` is the
    check of its first run, None if unchecked. `call` and `run` are written by `dispatch`.
    """

    def __init__(
        self, run: EagerRun, described: Described, number: int, why: list[Difference], *, checked: bool = True
    ) -> None:
        self.signature = run.signature
        self.number = number
        self.why = why
        self.modes = run.modes
        self.inference = run.inference
        self.tape, self.numbers, self.text = described.tape, described.numbers, described.text
        self.reads, self.scalars, self.writes = described.reads, described.scalars, described.writes
        self.outcomes = described.outcomes
        self.guards: list[Guard] = self.numbers.guards
        self.report: Report | None = None
        self.hosted = described.hosted
        self.ready = False  # whether it may be used: its check has passed, or was not wanted
        self.calls = 0
        self.call: Any = None
        self.family: Any = None
        self.run: Any = None
        self.sources: dict[str, str] = {}
        self.derived = described.derived
        self.replaced = set(run.recorder.replaced)
        self.labels = [run.label(i) for i in range(len(self.signature.tensors) + len(self.derived))]
        self.reading = set(self.reads)
        top = {id(x) for x in (*run.args, *run.kwargs.values())}
        self.kept = {i for i, t in enumerate(self.signature.tensors) if id(t) not in top}
        self.used = self.reading | {i for i, *_ in self.writes}
        self.anchors = Anchors(len(self.labels))
        self.anchored = self._lasting()
        self._floats = {place: i for i, (place, _) in enumerate(self.signature.found.floats)}
        made = [var for step in self.tape.steps for var in step.outputs]
        self.wide = any(_is_wide(var) for var in (*self.tape.inputs[: len(self.reads)], *made, *self.tape.outputs))
        self.histories = described.histories
        self.packing = self._packing()
        self._outputs = {self.tape.outputs[k]: k for k in reversed(self.packing.alone)}
        self.donated = self._donated()
        self.scratch = self._scratch()
        first = bool(self.scalars)
        pure = program_of(self.tape, len(self.scalars), self._compiling, bool(self.histories.live))
        donated = [
            k + first for k, i in enumerate([*self.reads, *self.scratch]) if i in self.donated or i in self.scratch
        ]
        self.program: Any = jax.jit(
            self.packing.returned(pure),
            donate_argnums=donated,
            keep_unused=bool(self.scratch),
            compiler_options=compiler_options(),
        )
        self.forward = self._forward(pure, described.steps, checked) if self.histories.live else None

    def _forward(self, pure: Callable[..., Any], steps: list[Step], checked: bool) -> DifferentiableForward:
        """The program, `pure`, with its gradients; `steps` are all that were recorded."""
        first = bool(self.scalars)
        needs = [k + first for k, i in enumerate(self.reads) if i in self.histories.needs]
        outs = [o for _, o, _ in self.histories.live]
        tape, walks = self.tape, self.histories.walks
        if walks is None:
            return differentiable_forward(pure, needs, outs, tape.name, self._eager)
        recording = Recording(tape.name, steps, tape.pulls, tape.inputs, len(self.scalars), checked)
        targets = {position: k for k, position in enumerate(needs)}
        forward = RecordedForward(recording, tape.outputs, outs, needs, targets, walks, self._compiling)
        forward.readings = self.histories.readings
        return forward

    def _eager(self, *inputs: Any) -> list[Any]:
        """What the program stands for, of tensors in double precision."""
        if not self.scalars:
            return replay_tensors(self.tape, inputs)
        numbers, *tensors = inputs
        return replay_tensors(self.tape, [*tensors, *map(wrap, [np.array(x) for x in numbers._array])])

    def _lasting(self) -> set[int]:
        """The tensors that may be known by their buffers: leaves, in memory of their own, that are no arguments."""
        metas, shared = self.signature.metas, {i for group in self.signature.shared for i in group}
        return {
            i
            for i in self.used & self.kept - set(self.derived)
            if metas[i].kind is None and metas[i].strides is None and i not in shared
        }

    def _compiling(self) -> None:
        """JAX is about to compile the program."""
        compiled(self.tape.name, "; ".join(map(str, self.why)) or "its first call")

    def _donated(self) -> set[int]:
        """The tensors whose buffers the program may write over: those written to, if nothing can reject a run."""
        if self.histories.live or any(self.depends_on_program(guard.position) for guard in self.guards):
            return set()
        return {i for i, *_ in self.writes} & self.anchored & self.reading

    def _packing(self) -> Packing:
        """The new gradients that are returned together: none if somebody may ask for the program's derivative."""
        made = {line.output for line in self.text.build if isinstance(line, Fresh) and line.order is None}
        return Packing(self.tape.outputs, [] if self.histories.live else made.intersection(self.text.gradients))

    def _scratch(self) -> list[int]:
        """Large gradients that are given up unread for new ones, which the program may write over their values."""
        if not self.donated:
            return []
        metas, outputs = self.signature.metas, self.tape.outputs
        return [
            i
            for i, k in self.text.replaced.items()
            if i not in self.used
            and (metas[i].shape, metas[i].dtype) == (outputs[k].shape, outputs[k].dtype)
            and outputs[k].dtype.itemsize * math.prod(outputs[k].shape) >= _LARGE
        ]

    def __repr__(self) -> str:
        return f"<program {self.number} of {self.tape.name}: called {self.calls} times>"

    def __str__(self) -> str:
        return f"{self.tape}\n{self.report or 'not checked'}"

    def tensor(self, position: int) -> str:
        """What lines of code call the tensor at a position."""
        return self.text.tensor(position, self.signature.found)

    def place_of_float(self, place: Any) -> int:
        """Which of the followed floats is at a place."""
        return self._floats[place]

    def output_of(self, var: Var) -> int:
        """Which output of the program has the value of `var`."""
        return self._outputs[var]

    def used_numbers(self) -> list[int]:
        """The positions of the notes that anything depends on."""
        hosted = [position for check in self.hosted.values() for position in check.numbers]
        asked = [guard.position for guard in self.guards]
        return self.numbers.needed([*self.scalars, *hosted, *asked, *self.text.numbers])

    def depends_on_program(self, position: int) -> bool:
        """Whether a number is known only when the program has run."""
        return any(var not in self.hosted for var in self.numbers.items(position))

    def check_against(self, described: Described) -> None:
        """Check the program, on the inputs as they were before an eager run, against that. Raises CheckError."""
        values = described.values
        arrays = [np.array(v) for v in values[: len(self.reads)]]
        arrays += [np.zeros(self.signature.metas[i].shape, self.signature.metas[i].dtype) for i in self.scratch]
        if self.scalars:
            arrays.insert(0, pack(tuple(values[len(self.reads) :])))
        if self.forward is not None:
            returned, _ = self.forward.run(arrays)
        else:
            with (
                jax.enable_x64(True) if self.wide else contextlib.nullcontext()
            ):  # as later calls, or it is traced anew
                returned = self.program(*arrays)
        self._check_outputs(described, self.packing.unpacked(returned))
        self.report.raise_if_failed()  # type: ignore[union-attr]
        walks = described.histories.walks
        if isinstance(self.forward, RecordedForward) and walks is not None:
            self.forward.check_walks(walks, values)
        self.ready = True

    def _check_outputs(self, described: Described, compiled: list[Any]) -> None:
        """Set the report: results come first in it, then what was written to."""
        names, written = self.text.names, len(self.writes)
        order = sorted(range(len(names)), key=lambda k: 0 if names[k].startswith("result") else 1 + (k >= written))
        eager = [described.text.eager[k] for k in order]
        tape = replace(self.tape, outputs=[self.tape.outputs[k] for k in order])
        self.report = check(tape, described.values, eager, [compiled[k] for k in order], [names[k] for k in order])


def _is_wide(var: Var) -> bool:
    """Whether JAX would cut values of this dtype down if it were not told otherwise."""
    return var.dtype in _WIDE


_WIDE = frozenset(map(np.dtype, ("int64", "uint64", "float64", "complex128")))


_LARGE = 1 << 16


@functools.cache
def compiler_options() -> dict[str, Any]:
    """What XLA is to do otherwise than by default: on the CPU, see that a donated input is not read any more when its
    new value is written, rather than copy it.
    """
    wanted = {"xla_cpu_copy_insertion_use_region_analysis": True}
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=wanted).lower().compile()
    except Exception:  # noqa: BLE001  (another XLA, which does not know the option, says so in its own way)
        return {}
    return wanted


def describe_run(run: EagerRun) -> Described:
    """A recorded run as a program and its effects. Raises UnsupportedError for effects it could not repeat."""
    recorder = run.recorder
    if run.modes != modes():
        raise recorder.unsupported("a change of grad mode or default dtype that outlasts the function")
    changes = [] if run.heap is None else run.heap.changes()
    with run.recording():  # what a view shows now may take steps to say
        describer, writes = _described(run, changes, {})
        if shared := describer.sharing():
            describer, writes = _described(run, changes, shared)
    recorder.refuse_lasting_hooks(describer.tensors)
    text, numbers = describer.text, recorder.numbers
    histories = histories_of(run, describer)
    text.grown.clear()  # which would keep the results, and their graphs
    hosted = settle_checks(run)
    for position in numbers.needed([*[g.position for g in numbers.guards], *text.numbers]):
        note = numbers.notes[position]
        if note.operation in READS and (var := note.operands[0]) not in hosted:
            text.output(var, "a value read in Python", np.asarray(numbers.values[position]).reshape(var.shape))
    also = histories.wanted(recorder.tape).union(*[check.read for check in hosted.values()])
    tape, reads, scalars, values = _pruned(run, text.outputs, also)
    return Described(
        tape, recorder.tape.steps, numbers, text, reads, scalars, writes, values, changes, describer.tensors, histories,
        run.derived(), hosted,
    )  # fmt: skip


def _described(
    run: EagerRun, changes: Sequence[Change], shared: Mapping[Any, TensorBase | None]
) -> tuple[Describer, list[tuple[int, int, int]]]:
    """The result and all effects; `shared` is what `Describer.sharing` found."""
    describer = Describer(run, shared)
    writes = _writes(run, describer)  # first: outputs take the memory of donated inputs in order
    _attributes(run, describer, writes)
    describer.result(run.result)
    for change in changes:
        describer.change(change)
    run.output.describe(describer)
    return describer, writes


def _attributes(run: EagerRun, describer: Describer, writes: list[tuple[int, int, int]]) -> None:
    """Effects on what tensors are besides their values."""
    found, text, recorder = run.signature.found, describer.text, run.recorder
    outputs = {i: o for i, o, _ in writes}
    for i, t in enumerate(recorder.captures):
        if id(t) not in run.before:
            continue
        before = run.before[id(t)][1]
        v, label = text.tensor(i, found), run.label(i)
        text.rewired |= t._node is not before.node or t._requires_grad is not before.requires_grad
        if t._grad is not before.grad:
            count = len(text.outputs)
            text.effects.append(f"{v}._grad = {describer.value(t._grad, f'{label}.grad')}")
            text.changed.append(f"{label}.grad")
            old = None if before.grad is None else recorder.position(before.grad)
            if len(text.outputs) == count + 1:
                text.gradients.append(count)
                if old is not None:
                    text.replaced[old] = count
        if t._node is not before.node and t._node is not None:
            _history(run, text, i, outputs.get(i))
            text.changed.append(f"the history of {label}")
        elif t._node is not before.node:
            text.effects.append(f"{v}._node, {v}._index = None, 0")
        if retains_grad(t) and id(t) not in run.retained:
            text.retained.append(v)
        if t._requires_grad is not before.requires_grad:
            line = f"{v}._requires_grad = {t._requires_grad}"
            if t._requires_grad:
                text.build.insert(0, line)  # of what it is from here on, new tensors may be views
            else:
                text.effects.append(line)
            text.changed.append(f"{label}.requires_grad")


def _history(run: EagerRun, text: Description, i: int, output: int | None) -> None:
    """A captured tensor has got another history; `output` has its new value, if it was written to itself."""
    t = run.recorder.captures[i]
    base = base_of(t)
    v = text.tensor(i, run.signature.found)
    if output is None and base is not None and run.recorder.position(base) is not None:
        assert t._node is not None
        text.seen.append((v, t._node.kind))  # it is what it sees of its base, which was written to
        return
    if output is None:
        text.output(run.recorder.read(t), run.label(i), t._array)
        output = len(text.outputs) - 1
    text.grown.append((v, t, output))


def _writes(run: EagerRun, describer: Describer) -> list[tuple[int, int, int]]:
    """The tensors that were given new values, with the outputs that have those; other effects on memory are said."""
    recorder, text = run.recorder, describer.text
    moved = describer.replaced
    values = {i: var for i, var in recorder.written() if i not in moved}
    parting = recorder.parting()
    _refuse_unrecorded(run, [*map(recorder.home, [*values, *[i for i, _ in parting]])])
    found = []
    for i, var in values.items():
        found.append((i, _new_value(run, text, i, var), _count_of_writes(run, i)))
        if unseen := _count_of_unseen_writes(run, i):
            text.effects.append(f"{text.constant(count_unseen)}({text.tensor(i, run.signature.found)}, {unseen})")
    for i, var in parting:
        _part(run, text, i, var)
    _count_apart(run, text, [recorder.captures[i] for i in values] + [recorder.home(i) for i, _ in parting])
    for i in moved:
        v, count = text.tensor(i, run.signature.found), _count_of_writes(run, i)
        text.before.append(f"was{i} = version_of({v})")
        place = describer.moved(i)
        if place is None:
            found.append((i, _new_value(run, text, i, recorder.read(recorder.captures[i])), count))
        else:
            text.build.append(f"{text.constant(move_data)}({v}, {place}, was{i} + {count})")
            text.changed.append(f"{run.label(i)}.data")
    return found


def _refuse_unrecorded(run: EagerRun, written: Sequence[TensorBase]) -> None:
    """Raise UnsupportedError if memory was written to of which no tensor is among those `written`."""
    memories = {t._storage.memory for t in written if t._storage is not None}
    for i, t in enumerate(run.tensors):
        known = t._storage is None or t._storage.memory in memories or i in run.recorder.assigned
        if not known and version_of(t) != run.before[id(t)][1].version:
            raise run.recorder.unsupported(f"a write to {run.label(i)} that was not recorded (from another thread?)")


def _count_apart(run: EagerRun, text: Description, written: Sequence[TensorBase]) -> None:
    """Captured tensors count writes that are not counted with those to what is `written`: by `.data`, or as what is so
    written looks at their memory by `.data`.
    """
    counted = {t._storage for t in written} | {run.recorder.captures[i]._storage for i in run.recorder.replaced}
    for i, t in enumerate(run.tensors):
        count = version_of(t) - run.before[id(t)][1].version
        if count and t._storage not in counted:
            counted.add(t._storage)
            v = text.tensor(i, run.signature.found)
            text.before.append(f"was{i} = version_of({v})")
            text.effects.append(f"{text.constant(own_storage)}({v}).version = was{i} + {count}")


def _new_value(run: EagerRun, text: Description, i: int, var: Var) -> int:
    """The output that has the new value of a captured tensor."""
    text.output(var, run.label(i), run.recorder.captures[i]._array)
    text.changed.append(run.label(i))
    return len(text.outputs) - 1


def _part(run: EagerRun, text: Description, i: int, var: Var) -> None:
    """A captured tensor left memory that was written to, which others may look at."""
    home, before = run.recorder.home(i), run.before[id(run.recorder.captures[i])][1]
    assert home._storage is not None
    seen = home._storage.version - before.version
    counts = seen, home._storage.writes - before.writes - seen
    v = text.tensor(i, run.signature.found)
    text.output(var, f"what {run.label(i)} was", home._array)
    text.before.append(f"at{i}, from{i} = id({v}._storage), version_of({v})")
    text.parting.append(f"{text.constant(part)}({v}, o{len(text.outputs) - 1}, at{i}, from{i}, {counts})")


def _count_of_writes(run: EagerRun, i: int) -> int:
    """How many writes to the memory of a captured tensor were counted."""
    t = run.recorder.captures[i]
    before = run.before.get(id(t))
    return 1 if before is None or t._storage is None else t._storage.version - before[1].version


def _count_of_unseen_writes(run: EagerRun, i: int) -> int:
    """How many writes to the memory of a captured tensor autograd did not see."""
    t = run.recorder.captures[i]
    before = run.before.get(id(t))
    if before is None or t._storage is None:
        return 0
    writes = t._storage.writes - before[1].writes - _count_of_writes(run, i)
    memory = t._storage.memory
    others = [] if memory is t._storage else [other for other in run.tensors if other._storage is memory]
    return writes - sum(version_of(x) - run.before[id(x)][1].version for x in others[:1])  # which count them themselves


def _pruned(run: EagerRun, outputs: list[Var], also: set[Var]) -> tuple[Tape, list[int], list[int], list[Any]]:
    """The tape of what the outputs depend on, with the positions of its tensor inputs and of its numbers; with those
    inputs that other values, `also` wanted, depend on.
    """
    recorder = run.recorder
    tape = recorder.tape
    steps, needed = live_steps(tape.steps, outputs)
    if also:
        needed |= live_steps(tape.steps, also)[1]
    reads = [i for i, var in enumerate(tape.inputs) if var in needed]
    scalars = [(position, var) for position, var in recorder.scalars.items() if var in needed]
    pruned = replace(
        tape,
        inputs=[*[tape.inputs[i] for i in reads], *[var for _, var in scalars]],
        steps=steps,
        outputs=list(outputs),
        results=len(outputs),
        values=[],
    )
    values = [*[tape.values[i] for i in reads], *[np.float64(recorder.numbers.values[p]) for p, _ in scalars]]
    return pruned, reads, [position for position, _ in scalars], values
