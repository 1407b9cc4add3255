"""A specialisation: the compiled program of one signature, and how its outputs become results and changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from ..tape import Recorder, Step, Tape, TensorBase, Var
from ..tree import Structure, flatten, unflatten
from .device import from_device, store, value_of
from .eager_run import EagerRun
from .lower import lower_flat
from .pullback import unsupported_history
from .refusals import plain_result, refuse_changes, refuse_containers
from .verify import Report, check

__all__ = ["Specialisation", "specialise"]


@dataclass(repr=False)
class Specialisation:
    """One compiled program, for one signature.

    `reads` are the positions (among the signature's tensors) of the program's inputs, `writes` and `grads` those of the
    tensors it gives a new value or a new gradient, `cleared` those whose gradient it sets to None. `report` is the
    check of its first run, None if unchecked.
    """

    tape: Tape
    labels: list[str]
    reads: list[int]
    kept: list[bool]
    writes: list[int]
    grads: list[int]
    cleared: list[int]
    results: list[Any]
    structure: Structure
    histories: list[str | None]
    program: Callable[..., Any]
    report: Report | None = None
    calls: int = 0

    def __str__(self) -> str:
        return f"{self.tape}\n{self.report or 'not checked'}"

    def output_names(self) -> list[str]:
        """What each output of the program is, for reports."""
        results = ["result"] if self.tape.results == 1 else [f"result[{i}]" for i in range(self.tape.results)]
        return [
            *results,
            *[self.labels[i] for i in self.writes],
            *[f"{self.labels[i]}.grad" for i in self.grads],
        ]

    def compute(self, tensors: Sequence[TensorBase] | Mapping[int, TensorBase]) -> tuple[Any, ...]:
        """Run the compiled program on the values of the tensors, by position; nothing is changed."""
        with jax.enable_x64(True):  # around fetching too, or JAX would cut 64-bit values down
            values = [value_of(tensors[i], keep=keep) for i, keep in zip(self.reads, self.kept, strict=True)]
            return self.program(*values)

    def finish(self, tensors: Sequence[TensorBase], outputs: Sequence[Any]) -> Any:
        """Write back what the function changes, and rebuild its result, from the program's outputs."""
        self.calls += 1
        n, m = self.tape.results, self.tape.results + len(self.writes)
        for i, value in zip(self.writes, outputs[n:m], strict=True):
            store(tensors[i], value)
        for i, value in zip(self.grads, outputs[m:], strict=True):
            tensors[i]._grad = from_device(value)
        for i in self.cleared:
            tensors[i]._grad = None
        return self._result(tensors, outputs)

    def _result(self, tensors: Sequence[TensorBase], outputs: Sequence[Any]) -> Any:
        leaves: list[Any] = []
        for kind, value in self.results:
            if kind == "output":
                leaf = from_device(outputs[value])
                kind = self.histories[value]
                leaves.append(leaf if kind is None else unsupported_history(leaf, self.tape.name, kind))
            elif kind == "leaf":
                leaves.append(from_device(outputs[value]).requires_grad_())
            elif kind == "input":
                leaves.append(tensors[value])
            elif kind == "grad":
                leaves.append(tensors[value]._grad)
            else:
                leaves.append(leaves[value] if kind == "same" else value)
        return unflatten(self.structure, leaves)

    def check_against(self, run: EagerRun) -> Report:
        """Check the program, on the inputs as they were before an eager run, against that run."""
        tensors = run.signature.tensors
        values = [run.recorder.tape.values[i] for i in self.reads]
        with jax.enable_x64(True):
            compiled = self.program(*[np.array(v) for v in values])
        results = [leaf for leaf in flatten(run.result)[0] if isinstance(leaf, TensorBase)]
        written = [tensors[i] for i in self.writes]
        grads = [tensors[i]._grad for i in self.grads]
        eager = [t._array for t in (*results, *written, *grads) if t is not None]
        names = self.output_names()
        return check(self.tape, values, eager, [np.asarray(x) for x in compiled], names)


def specialise(run: EagerRun) -> Specialisation:
    """The compiled program of a recorded run. Raises UnsupportedError for effects it could not repeat."""
    recorder, tensors, labels = run.recorder, run.signature.tensors, run.signature.labels
    refuse_changes(run)
    tape = recorder.tape
    fresh = [i for i, t in enumerate(tensors) if t._grad is not run.before[i].grad and t._grad is not None]
    cleared = [i for i, t in enumerate(tensors) if t._grad is None and run.before[i].grad is not None]
    leaves, structure = flatten(run.result)
    refuse_containers(run)
    results, histories = _classify(recorder, leaves, tensors, fresh)
    steps, needed = _live(tape)
    reads = [i for i, var in enumerate(tape.inputs) if var in needed]
    pruned = replace(tape, inputs=[tape.inputs[i] for i in reads], steps=steps, values=[], structure=structure)
    arguments = {id(leaf) for leaf in flatten(run.call)[0]}
    return Specialisation(
        tape=pruned,
        labels=labels,
        reads=reads,
        kept=[id(tensors[i]) not in arguments for i in reads],
        writes=tape.writes,
        grads=fresh,
        cleared=cleared,
        results=results,
        structure=structure,
        histories=histories,
        program=jax.jit(lower_flat(pruned)),
    )


def _live(tape: Tape) -> tuple[list[Step], set[Var]]:
    """The steps that the outputs depend on, and every value those need."""
    needed = set(tape.outputs)
    steps = []
    for step in reversed(tape.steps):
        if any(var in needed for var in step.outputs):
            steps.append(step)
            needed.update(step.vars)
    return steps[::-1], needed


def _classify(
    recorder: Recorder, leaves: Sequence[Any], tensors: Sequence[TensorBase], fresh: Sequence[int]
) -> tuple[list[tuple[str, Any]], list[str | None]]:
    """How each leaf of the result is made again, and the name of each output's node, None without one."""
    kinds: list[tuple[str, Any]] = []
    histories: list[str | None] = []
    grads = {id(tensors[i]._grad): i for i in fresh}
    seen: dict[int, int] = {}
    taken = {t._storage.memory for t in tensors if t._storage is not None}
    taken |= {g._storage.memory for i in fresh if (g := tensors[i]._grad) is not None and g._storage is not None}
    for leaf in leaves:
        if not isinstance(leaf, TensorBase):
            kinds.append(("value", plain_result(recorder, leaf)))
            continue
        position = recorder.position(leaf)
        if position is not None:
            kinds.append(("input", position))
        elif id(leaf) in grads:
            kinds.append(("grad", grads[id(leaf)]))
        elif id(leaf) in seen:
            kinds.append(("same", seen[id(leaf)]))
        else:
            if leaf._storage is not None and leaf._storage.memory in taken:
                raise recorder.unsupported("returning a tensor that shares memory with another one: return a clone()")
            if leaf._storage is not None:
                taken.add(leaf._storage.memory)
            if leaf._grad is not None:
                raise recorder.unsupported("returning a new tensor that has a .grad: return the gradient")
            kinds.append(("leaf" if leaf._requires_grad and leaf._node is None else "output", len(histories)))
        seen.setdefault(id(leaf), len(kinds) - 1)
        histories.append(None if leaf._node is None else leaf._node.name())
    return kinds, histories
