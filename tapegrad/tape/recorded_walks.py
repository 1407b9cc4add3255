"""Backward on the tape: as one step, or where the walk runs code of the user's, as the steps that it consists of."""

from __future__ import annotations

import bisect
import contextlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from .hooks import HookTable
from .node import Node, next_sequence
from .primitive import PRIMITIVES
from .program import Pull, Step, Var
from .recorded_inputs import owner_of
from .recorded_memory import RecordedMemory
from .saved import Packed
from .variable import TensorBase, chain_of

__all__ = ["RecordedWalks", "runs_user_code"]


def runs_user_code(node: Node, *, retaining: bool = True) -> bool:
    """Whether a walk that comes to `node`, which is no leaf's, runs hooks or a `Function` of the user's there.

    A tensor that keeps its gradient counts, too, unless `retaining` is off.
    """
    if node.leaf is not None:
        return False
    extras = node.extras
    hooked = extras is not None and (
        bool(extras.before or extras.after)
        or any(extras.tensor.values())
        or (retaining and any(reference() is not None for reference in extras.retained.values()))
    )
    return hooked or node.runs_on_nothing or any(type(value) is Packed for value in node.saved or ())


class _Checkpoint:
    """A function whose intermediate values are to be computed again: the nodes it made, what it read and wrote."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.since = next_sequence()
        self.until = self.since
        self.reads: dict[tuple[int, Var], TensorBase] = {}
        self.writes: list[Var] = []

    def made_any(self, numbers: Sequence[int]) -> bool:
        """Whether a node with one of the sequence `numbers`, which are sorted, was made by it."""
        first = bisect.bisect(numbers, self.since)
        return first < len(numbers) and numbers[first] < self.until


class RecordedWalks(RecordedMemory):
    """The part of a `Recorder` that knows what backward passes are on the tape."""

    def __init__(self, name: str, strict: bool = False) -> None:
        super().__init__(name, strict)
        self.started = next_sequence()
        self.inlining = False
        self._steps: weakref.WeakKeyDictionary[Node, Step] = weakref.WeakKeyDictionary()
        self._inlined: list[tuple[int, int]] = []  # sequences of the nodes made by walks that were recorded ...
        self._unseen: list[tuple[int, int]] = []  # ... and by those that were one step
        self._checkpoints: list[_Checkpoint] = []
        self._open_checkpoints: list[_Checkpoint] = []
        self.computes_again = False  # whether what is checkpointed is run again in backward, as in eager code ...
        self.wrote_again = False  # ... which has turned out to be needed, as it writes to a tensor from outside
        self._hooks: list[tuple[int, HookTable]] = []
        self.user_code = ""  # what there was of it
        self._fixed: dict[int, Any] = {}  # memory, by id, that may not be written to
        self._advanced: set[Var] = set()  # states of generators after draws, which computing again does not repeat

    # Before a walk

    def must_inline(self, nodes: Sequence[Node], forced: bool = False) -> bool:
        """Whether a walk over `nodes` has to be recorded step by step, as it runs code of the user's (or is `forced`).

        Raises UnsupportedError for what cannot be on a tape at all.
        """
        if any(node.leaf is None and node.sequence < self.started for node in nodes):
            raise self.unsupported("backward through a graph that was begun before recording: detach() the input")
        self._require_unchanged(nodes)
        inline = forced or any(runs_user_code(node) or _within(self._inlined, node) for node in nodes)
        if inline and any(_within(self._unseen, node) for node in nodes):
            raise self.unsupported(
                "hooks (or a Function) behind gradients that were computed with create_graph: register them before"
            )
        return inline

    @contextlib.contextmanager
    def walking(self, inline: bool, create_graph: bool) -> Iterator[None]:
        """Around a walk: whether its steps are recorded one by one."""
        since = next_sequence()
        before, self.inlining = self.inlining, inline
        try:
            yield
        finally:
            self.inlining = before
            if create_graph:
                (self._inlined if inline else self._unseen).append((since, next_sequence()))

    def before_backward(self, roots: Sequence[TensorBase], leaves: Sequence[TensorBase]) -> None:
        """Called before a walk that becomes one step, and frees what it uses: refuse what the tape cannot express."""
        for t in (*roots, *leaves):
            self.read(t)
        if self.overwritten_behind([self.read(t) for t in roots]):
            raise self.unsupported("backward through a value that was overwritten through .data after it was used")

    def overwritten_behind(self, roots: Sequence[Var]) -> bool:
        """Whether a walk back from the roots may read what was overwritten in a way that autograd does not see."""
        overwritten = self._overwritten()
        return bool(overwritten) and not overwritten.isdisjoint(self._used_behind(roots))

    def _overwritten(self) -> set[Var]:
        return {var for memory in self._memory.values() for var in memory.overwritten}

    def _used_behind(self, roots: Sequence[Var]) -> set[Var]:
        """The values that a walk back from the roots may read."""
        passed: set[Var] = set(roots)
        used: set[Var] = set()
        for step in reversed(self.tape.steps):
            if any(v in passed and v.requires_grad for v in step.outputs):
                if step.prim.name == "rebind":
                    passed.add(step.inputs[0])  # for its derivative only
                elif step.prim.name != "stop_gradient":
                    passed.update(step.vars)
                    used.update(step.vars)
                    if _uses_output(step):
                        used.update(step.outputs)
        return used

    # What a walk gave

    def backward(
        self,
        roots: Sequence[TensorBase],
        cotangents: Sequence[TensorBase],
        leaves: Sequence[TensorBase],
        grads: Sequence[TensorBase],
    ) -> None:
        """Record that `grads` are the gradients of `roots` with respect to `leaves`; after `before_backward`."""
        inputs = [self.read(t) for t in (*roots, *cotangents)]
        inputs += [self.leaf_of(leaf) for leaf in leaves]
        outs = tuple(Var(g._array.shape, g._array.dtype, g._requires_grad) for g in grads)
        self.add_step(PRIMITIVES["backward"], inputs, {"roots": len(roots)}, outs)
        for grad, var in zip(grads, outs, strict=True):
            self.enter(grad, var)

    def pulled(self, node: Node, g: TensorBase, cotangents: Sequence[TensorBase | None]) -> None:
        """Note that the rules of `node` made `cotangents` of `g`, for the check; but not of what hooks brought back."""
        step = self._steps.get(node) if self.inlining and g is not None else None
        if step is None or node.put_away() or set(step.vars) & self._overwritten():
            return
        results = tuple([None if c is None else self.read(c) for c in cotangents])
        self.tape.pulls.append(Pull(step, self.read(g), node.positions(), results))

    def function_output(self, t: TensorBase, dirty: bool) -> None:
        """`t` is the result of a custom `Function`, or what that wrote to: its derivative is the `Function`'s."""
        self.user_code = "a Function"
        var, entry, base = self.cut(self.stopped(self.read(t))), self._entries[id(t)], self._base_of(t)
        if dirty and base is not t:
            whole = self._entries[id(base)]
            whole.var = self._write_through(whole.var, chain_of(t)[len(chain_of(base)) :], var)
            return
        memory = self.memory_of(t)
        entry.var, entry.base, entry.twin = var, None, None
        entry.seen = 0 if memory is None else memory.count

    def hidden_behind(self, root: Node) -> str | None:
        """What a walk from `root` would run that is not on the tape: code of the user's; None if nothing.

        That the root's own tensor keeps its gradient is not counted.
        """
        seen, stack = {root}, [root]
        while stack:
            node = stack.pop()
            if runs_user_code(node, retaining=node is not root) or _within(self._inlined, node):
                return node.name()
            for edge in node.edges:
                if edge not in seen and edge.sequence > self.started:
                    seen.add(edge)
                    stack.append(edge)
        return None

    def was_inlined(self, node: Node) -> bool:
        """Whether `node` was made by a walk that was recorded step by step."""
        return _within(self._inlined, node)

    # A walk that is only tried

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        """Around a walk whose effects are not wanted: a write to memory that was there before is refused."""
        self._fixed = {id(owner): owner for owner in map(owner_of, self.arrays())}
        try:
            yield
        finally:
            self._fixed = {}

    def fix(self, t: TensorBase) -> None:
        """Count `t` among what was there before."""
        owner = owner_of(t._array)
        self._fixed[id(owner)] = owner

    def before_write(self, t: TensorBase) -> None:
        """As always, but for a walk that is only tried."""
        self.refuse_if_tried(t)
        super().before_write(t)

    def refuse_if_tried(self, t: TensorBase) -> None:
        """Raise UnsupportedError if `t`, which is about to change, was there before a walk that is only tried."""
        if self._fixed and id(owner_of(t._array)) in self._fixed:
            raise self.unsupported(f"a write to a tensor of shape {list(t._array.shape)} by code that backward runs")

    # Hooks

    def hooked(self, number: int, table: HookTable) -> None:
        """A hook was registered in `table`, as `number`."""
        self.user_code = "a hook"
        self._hooks.append((number, table))

    def unhooked(self, number: int, table: HookTable) -> None:
        """A hook is about to be removed: for jit it must have been registered here."""
        if self.strict and not any(table is other and number == n for n, other in self._hooks):
            raise self.unsupported("removing a hook that was registered outside: remove() it outside, too")

    def refuse_lasting_hooks(self, results: Sequence[TensorBase]) -> None:
        """Raise UnsupportedError if a hook registered here would stay on a tensor that others have."""
        if not self._hooks:
            return
        nodes = [node for t in (*self.captures, *results) for node in (t._accumulator, t._node) if node is not None]
        old = [node for node in nodes if node.leaf is not None or node.sequence < self.started]
        lasting = {id(table) for node in old if node.extras is not None for table in _tables(node.extras)}
        if any(id(table) in lasting and number in table for number, table in self._hooks):
            raise self.unsupported("a hook that stays: on an argument, a captured tensor or a result; remove() it")

    # Checkpoints

    @contextlib.contextmanager
    def checkpointed(self) -> Iterator[None]:
        """What the steps recorded in the block compute is to be computed again in backward."""
        checkpoint = _Checkpoint(len(self.tape.steps))
        outer = self.scope
        self.scope = (*outer, len(self._checkpoints) + 1)
        self._checkpoints.append(checkpoint)
        self._open_checkpoints.append(checkpoint)
        try:
            yield
            self._close(checkpoint)
        finally:
            self.scope = outer
            self._open_checkpoints.pop()
            checkpoint.until = next_sequence()

    def _close(self, checkpoint: _Checkpoint) -> None:
        """Keep what was read from outside the block, and refuse writes to it: they would be done twice."""
        made = {v for step in self.tape.steps[checkpoint.begin :] for v in step.outputs}
        checkpoint.reads = {key: t for key, t in checkpoint.reads.items() if key[1] not in made}
        if any(var not in made for var in checkpoint.writes):
            self.wrote_again = self.strict
            raise self.unsupported("a checkpointed function that writes to a tensor from outside")

    def computed_again_from(self, t: TensorBase) -> None:
        """`t`, a leaf or without gradient, is what a reentrant checkpoint computes from in backward."""
        var = self.emit(PRIMITIVES["barrier"], (self.stopped(self.read(t)),), {}, t._array, False)
        entry = self._entries[id(t)]
        entry.var = entry.leaf = self.cut(var) if t._requires_grad else var

    def note_reads(self, operands: Sequence[Any], inputs: Sequence[Any]) -> None:
        """A checkpointed function used `operands`, with the values `inputs`."""
        for o, var in zip(operands, inputs, strict=True):
            if isinstance(o, TensorBase):
                for checkpoint in self._open_checkpoints:
                    checkpoint.reads.setdefault((id(o), var), o)

    def _take(self, t: TensorBase, new: Var, tracked: bool) -> None:
        if self.scope and new not in self._advanced:
            before = self._entries[id(self._base_of(t))].var
            for checkpoint in self._open_checkpoints:
                checkpoint.writes.append(before)
        super()._take(t, new, tracked)

    def _require_unchanged(self, nodes: Sequence[Node]) -> None:
        """Raise UnsupportedError if what a checkpointed function is computed from again is not what it was."""
        numbers = sorted(node.sequence for node in nodes if node.leaf is None) if self._checkpoints else []
        for checkpoint in self._checkpoints:
            reads = checkpoint.reads if checkpoint.made_any(numbers) else {}
            if any(self.read(t) is not var for (_, var), t in reads.items()):
                raise self.unsupported("a checkpointed function that reads a tensor which was written to since")


def _within(ranges: Sequence[tuple[int, int]], node: Node) -> bool:
    return bool(ranges) and node.leaf is None and any(since < node.sequence < until for since, until in ranges)


def _tables(extras: Any) -> list[HookTable]:
    return [*extras.tensor.values(), extras.before, extras.after, extras.accumulated]


def _uses_output(step: Step) -> bool:
    """Whether a rule of the step reads what it came to."""
    needing = [i for i, x in enumerate(step.inputs) if isinstance(x, Var) and x.requires_grad and step.prim.rule(i)]
    return bool(needing) and any(kind == "out" for kind, _ in step.prim.plan(sum(1 << i for i in needing)).sources)
