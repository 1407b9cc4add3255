"""The order in which a tape is evaluated so that each `backward` step can be `jax.vjp` of a part of it.

The part, a *region*, is what lies between the leaves and the roots of the backward: the steps through which a
derivative flows from some leaf to some root. It is evaluated once, under `jax.vjp`, and its values that other steps
need come out beside the roots. A backward inside a region (`create_graph`) is planned inside it: nested `jax.vjp`.

The steps of a checkpoint are a unit, too, a *block*, whose values `jax.checkpoint` computes again in backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..primitives.structure import backward, rebind, stop_gradient
from ..tape import Step, Tape, Var

__all__ = ["Action", "Block", "Planner", "Region", "backward_parts", "live_steps", "plan_tape"]


@dataclass(eq=False)
class Region:
    """Steps to evaluate under `jax.vjp` for the backward step `target`.

    `exports` are the values that steps outside need; `reads` the values from outside that the steps need. A leaf may be
    computed inside, of another one: then its gradient is taken there, and the derivative flows on.
    """

    target: Step
    leaves: tuple[Var, ...]
    roots: tuple[Var, ...]
    steps: list[Step]
    reads: set[Var] = field(default_factory=set)
    exports: tuple[Var, ...] = ()
    actions: list[Action] = field(default_factory=list)


@dataclass(eq=False)
class Block:
    """Steps of one checkpoint, to evaluate under `jax.checkpoint`: `exports` of `reads`."""

    steps: list[Step]
    reads: tuple[Var, ...]
    exports: tuple[Var, ...] = ()
    actions: list[Action] = field(default_factory=list)


Action = Step | Region | Block


def backward_parts(step: Step) -> tuple[tuple[Var, ...], tuple[Var, ...], tuple[Var, ...]]:
    """The roots, cotangents and leaves among the inputs of a backward step."""
    n = step.params["roots"]
    return step.inputs[:n], step.inputs[n : 2 * n], step.inputs[2 * n :]


def live_steps(
    steps: Sequence[Step], outputs: Iterable[Var], also: Callable[[Step], Iterable[Var]] = lambda _: ()
) -> tuple[list[Step], set[Var]]:
    """The steps that `outputs` depend on, in order; and all values that these read, with the outputs.

    `also` says what a step reads besides its inputs.
    """
    needed = set(outputs)
    live: list[Step] = []
    for step in reversed(steps):
        if any(var in needed for var in step.outputs):
            live.append(step)
            needed.update(step.vars, also(step))
    return live[::-1], needed


def plan_tape(tape: Tape) -> list[Action]:
    """The steps, regions and blocks of `tape` in an order in which they can be evaluated; dead steps are left out."""
    return Planner(tape.steps).plan(tape.steps, tape.outputs)


class Planner:
    """What the steps of a tape need from each other; `regions` has the region of every backward step."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.position = {step: i for i, step in enumerate(steps)}
        self.producer = {var: step for step in steps for var in step.outputs}
        self.consumers: dict[Var, list[Step]] = {}
        for step in steps:
            for var in step.vars:
                self.consumers.setdefault(var, []).append(step)
        self.regions: dict[Step, Region] = {}
        for step in steps:  # in order: a later region may hold an earlier backward
            if step.prim is backward:
                self.regions[step] = self._region(step)

    def plan(self, steps: Sequence[Step], wanted: Iterable[Var], depth: int = 0) -> list[Action]:
        """An order for those of `steps` that `wanted` needs, with the regions of their backwards as units.

        So are the blocks of the checkpoints that they are in, but for the `depth` outermost.
        """
        live = self._live(steps, wanted)
        owner: dict[Step, Region | Block] = {}
        alone: list[Region] = []
        for step in reversed(live):
            if step.prim is backward and step not in owner:
                region = self._fresh_region(step)
                inside = set(live)
                if all(s in inside and s not in owner for s in region.steps):
                    owner.update(dict.fromkeys(region.steps, region))
                alone.append(region)
        waiting = {region.target: region for region in alone}
        _add_blocks(live, owner, depth)
        ordered = self._ordered(live, owner, waiting)
        self._fill(ordered, owner, set(wanted), depth)
        return ordered

    def _fresh_region(self, step: Step) -> Region:
        found = self.regions[step]
        return Region(found.target, found.leaves, found.roots, found.steps, found.reads)

    def _live(self, steps: Sequence[Step], wanted: Iterable[Var]) -> list[Step]:
        """The steps that `wanted` depends on, in order."""
        return live_steps(steps, wanted, lambda step: self.regions[step].reads if step.prim is backward else ())[0]

    def _region(self, target: Step) -> Region:
        """What lies between the leaves and the roots of a backward step."""
        roots, _, leaves = backward_parts(target)
        first = min(self.position[self.producer[leaf]] if leaf in self.producer else -1 for leaf in leaves)
        above = self._reach_back(roots, first, self.position[target])
        below: set[Var] = set(leaves)
        steps: set[Step] = set()
        for step in sorted(above, key=self.position.__getitem__):
            if any(var in below for var in carriers(step)):
                steps.add(step)
                below.update(step.outputs)
        chosen = self._closed(steps)
        made = {var for step in chosen for var in step.outputs} | set(leaves)
        reads = {var for step in chosen for var in self._reads(step) if var not in made}
        reads |= {root for root in roots if root not in made}
        return Region(target, leaves, roots, chosen, reads)

    def _reads(self, step: Step) -> set[Var]:
        inner = set(step.vars)
        return inner | self.regions[step].reads if step.prim is backward else inner

    def _reach_back(self, roots: Iterable[Var], first: int, before: int) -> set[Step]:
        """The steps between two positions that a derivative of `roots` passes on its way back."""
        found: set[Step] = set()
        stack = list(roots)
        while stack:
            step = self.producer.get(stack.pop())
            if step is None or step in found or not first < self.position[step] < before:
                continue
            found.add(step)
            stack.extend(carriers(step))
        return found

    def _closed(self, steps: set[Step]) -> list[Step]:
        """`steps` with every step on a path, through any edge, from one of them to another; in order."""
        if not steps:
            return []
        last = max(self.position[step] for step in steps)
        after: set[Step] = set()
        stack = list(steps)
        while stack:
            for var in stack.pop().outputs:
                for step in self.consumers.get(var, ()):
                    if step not in after and self.position[step] <= last:
                        after.add(step)
                        stack.append(step)
        before: set[Step] = set(steps)
        stack = list(steps)
        while stack:
            for var in self._reads(stack.pop()):
                producer = self.producer.get(var)
                if producer is not None and producer in after and producer not in before:
                    before.add(producer)
                    stack.append(producer)
        return sorted(before, key=self.position.__getitem__)

    def _ordered(
        self, live: Sequence[Step], owner: dict[Step, Region | Block], waiting: dict[Step, Region]
    ) -> list[Action]:
        """Every action after those it reads from: a depth-first walk with an explicit stack."""
        inside = set(live)
        done: set[Action] = set()
        ordered: list[Action] = []
        for first in live:
            stack: list[Action] = [owner.get(first, first)]
            while stack:
                action = stack[-1]
                if action in done:
                    stack.pop()
                    continue
                missing = [a for a in self._before(action, inside, owner, waiting) if a not in done]
                if missing:
                    stack.extend(missing)
                else:
                    done.add(action)
                    ordered.append(action)
                    stack.pop()
        return ordered

    def _before(
        self, action: Action, inside: set[Step], owner: dict[Step, Region | Block], waiting: dict[Step, Region]
    ) -> list[Action]:
        """What must be evaluated before `action`."""
        reads = _needs(action)
        found: list[Action] = [waiting[action]] if isinstance(action, Step) and action in waiting else []
        for var in reads:
            producer = self.producer.get(var)
            if producer is not None and producer in inside:
                before = owner.get(producer, producer)
                if before is not action:
                    found.append(before)
        return found

    def _fill(self, ordered: Sequence[Action], owner: dict[Step, Region | Block], wanted: set[Var], depth: int) -> None:
        """Work out what each region and block exports, and plan its inside."""
        used = set(wanted)
        for action in ordered:
            used |= _needs(action)
        for action in ordered:
            if isinstance(action, Step):
                continue
            own = [s for s in action.steps if owner.get(s) is action]
            made = [var for step in own for var in step.outputs]
            action.exports = tuple(var for var in made if var in used)
            if isinstance(action, Region):
                action.actions = self.plan(action.steps, (*action.roots, *action.exports), depth)
            else:
                action.actions = self.plan(action.steps, action.exports, depth + 1)


def _needs(action: Action) -> set[Var]:
    """The values from outside that an action works on."""
    if isinstance(action, Region):
        return action.reads | set(action.leaves)
    return set(action.reads) if isinstance(action, Block) else set(action.vars)


def _add_blocks(live: Sequence[Step], owner: dict[Step, Region | Block], depth: int) -> None:
    """Make those of the `live` steps that are in one checkpoint a block, unless a backward takes part of it."""
    groups: dict[int, list[Step]] = {}
    for step in live:
        if len(step.scope) > depth:
            groups.setdefault(step.scope[depth], []).append(step)
    for steps in groups.values():
        if any(step in owner or step.prim is backward for step in steps):
            continue
        made = {var for step in steps for var in step.outputs}
        block = Block(steps, tuple(dict.fromkeys(var for step in steps for var in step.vars if var not in made)))
        owner.update(dict.fromkeys(steps, block))


def carriers(step: Step) -> list[Var]:
    """The inputs of `step` from which a derivative flows to its output."""
    if step.prim is stop_gradient or not any(out.requires_grad for out in step.outputs):
        return []
    if step.prim is rebind:
        return [step.inputs[0]]
    if step.prim is backward:
        return list(step.vars)
    return [
        v for i, v in enumerate(step.inputs) if isinstance(v, Var) and v.requires_grad and step.prim.rule(i) is not None
    ]
