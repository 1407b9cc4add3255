"""Recorder: turns eager calls, in-place writes and backward passes into the steps of a Tape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UnsupportedError
from ..tree import flatten
from .primitive import PRIMITIVES, Primitive
from .program import Var
from .recorded_memory import Entry
from .recorded_numbers import RecordedNumbers
from .source import own_source
from .variable import TensorBase, base_of, is_inference

__all__ = ["Recorder"]


class Recorder(RecordedNumbers):
    """Collects the steps of one tape. `strict` is jit's: reading values into Python is an error."""

    sees_itself = True

    def __init__(self, name: str, strict: bool = False) -> None:
        super().__init__(name, strict)
        self.refused: UnsupportedError | None = None

    # What happens

    def step(self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:
        """Record `out = prim(*operands, **params)`."""
        array, requires_grad = out._array, out._requires_grad
        told = self._result_on(array)
        if told is not None and told.reference() is out:  # by a watcher that went on with it
            return
        params = self.plain_params(params)
        inputs = [self.read(o) if isinstance(o, TensorBase) else self.operand(o, prim, operands, out) for o in operands]
        if self.scope and not prim.name.startswith("random_"):
            self.note_reads(operands, inputs)
        shape = array.shape
        if not requires_grad:
            inputs = [self.stopped(v) if type(v) is Var and v.requires_grad else v for v in inputs]
        if prim.elementwise:
            inputs = [self.broadcast_to(v, shape) if type(v) is Var and v.shape != shape else v for v in inputs]
        var = Var(shape, array.dtype, requires_grad)
        step = self.add_step(prim, inputs, params, (var,))
        if out._node is not None:
            self._steps[out._node] = step
        if prim.name == "random_advance":
            self._advanced.add(var)
        if out._storage is not None and operands and out._storage is getattr(operands[0], "_storage", None):
            memory = self.register(operands[0])
            base = None if base_of(out) is None else self._base_of(operands[0])
            seen = memory.count if base is None else self.read(base)
            entry = self._entries[id(out)] = Entry(out, var, seen, base, shares=True)
        else:
            entry = self.enter(out, var)
        self.know_result(array, entry)

    def several(
        self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], outs: Sequence[TensorBase]
    ) -> None:
        """Record `*outs = prim(*operands, **params)`: one step that computes all of them, in memory of their own."""
        inputs = [self.read(o) if isinstance(o, TensorBase) else self.scalar(o) for o in operands]
        if self.scope:
            self.note_reads(operands, inputs)
        if not any(out._requires_grad for out in outs):
            inputs = [self.stopped(v) if isinstance(v, Var) else v for v in inputs]
        made = tuple([Var(out._array.shape, out._array.dtype, out._requires_grad) for out in outs])
        self.add_step(prim, inputs, params, made)
        for out, var in zip(outs, made, strict=True):
            self.know_result(out._array, self.enter(out, var))

    def alias(self, out: TensorBase, source: TensorBase) -> None:
        """Record that `out` looks at the memory of `source`, without its derivative."""
        if out is source:  # `detach_()`
            return
        var = self.stopped(self.read(source))
        self._entries[id(out)] = Entry(out, var, self.register(source).count, shares=True)

    def frozen(self, out: TensorBase, source: TensorBase) -> None:
        """Record that `out` has the present value of `source`."""
        self.know_result(out._array, self.enter(out, self.read(source)))

    def constant(self, out: TensorBase) -> None:
        """Record that `out` was made from values known when the tape was made."""
        value = {"value": out._array.copy()}
        self.enter(out, self.emit(PRIMITIVES["constant"], (), value, out._array, out._requires_grad))

    # What changes of a tensor besides its value

    def became_leaf(self, t: TensorBase) -> None:
        """`t.requires_grad_()`: from here on its value is a new leaf, unless it was one before."""
        var = self.read(t)
        entry = self._entries[id(t)]
        if id(t) in self._inputs:
            self._follow_effect("requires_grad_() on a tensor from outside")
        if entry.var.requires_grad and entry.leaf.requires_grad:
            return
        entry.base = entry.twin = None
        entry.var = entry.leaf = self.cut(var)
        if t._storage is not None:
            entry.seen = self.register(t).count

    def became_leaf_inside(self, position: int) -> bool:
        """Whether the derivative of an input is taken with respect to what it became by `requires_grad_()`."""
        return self._entries[id(self.captures[position])].leaf is not self.tape.inputs[position]

    def detached(self, t: TensorBase) -> None:
        """`t.detach_()` of what has a history: from here on its value has none."""
        self.read(t)
        if id(t) in self._inputs:
            self._follow_effect("detach_() of a tensor from outside")
        entry = self._entries[id(t)]
        if t._node is not None:  # else its graph still ends there, should it require grad again
            entry.var = entry.leaf = self.stopped(entry.var)

    def before_data(self, t: TensorBase, value: TensorBase) -> None:
        """Called before `t.data = value`, which gives `t` the memory of `value`."""
        self.refuse_if_tried(t)
        old, new = self.read(t), self.read(value)
        entry, position = self._entries[id(t)], self._inputs.get(id(t))
        if position is not None:
            self._follow_effect("assignment to .data of a tensor from outside")
            self.undone.keep_attributes(t)
            if position not in self.assigned:
                self.assigned.append(position)
        self._refuse_unlike(t, value)
        self.leave(t)
        taken = self.register(value)
        taken.overwritten.append(old)
        same = new.shape == old.shape and new.dtype == old.dtype
        var = self._rebind(old, new) if same else self.stopped(new)
        entry.var = self.cut(var) if t._requires_grad and not same else var
        if not same:
            entry.leaf = entry.var
        entry.base, entry.twin, entry.seen = None, None, taken.count

    def _refuse_unlike(self, t: TensorBase, value: TensorBase) -> None:
        """Raise UnsupportedError if `t`, in a graph, would have another shape or dtype than its node."""
        like = t._array.shape == value._array.shape and t._array.dtype == value._array.dtype
        if not like and (t._node is not None or base_of(t) is not None):
            raise self.unsupported("assignment to .data of another shape or dtype, of a tensor with a history")

    def reads_version(self, t: TensorBase) -> None:
        """Raise UnsupportedError, when jit records, for a tensor whose count of writes goes on from call to call."""
        memory = self.memory_of(t)
        if self.strict and (id(t) in self._inputs or (memory is not None and memory.inputs)):
            raise self.unsupported("reading _version of a tensor from outside: read it outside")

    def _follow_effect(self, what: str) -> None:
        if not self.follows_effects:
            raise self.unsupported(what)

    # What cannot be on a tape

    def unsupported(self, what: str) -> UnsupportedError:
        """The error for `what`, naming the user's line."""
        source = own_source()
        where = f" ({source.place}: {source.text})" if source else ""
        error = UnsupportedError(f"{self.tape.name}: not supported while recording: {what}{where}")
        self.refused = self.refused or error
        return error

    # The end

    def finish(self, result: Any) -> None:
        """Set the outputs: the tensors in `result`, then the effects on the inputs."""
        if self.strict and self.refused is not None:  # the function caught it, and went another way
            raise self.refused
        leaves, self.tape.structure = flatten(result)
        tensors = [leaf for leaf in leaves if isinstance(leaf, TensorBase)]
        self.refuse_lasting_hooks(tensors)
        if any(is_inference(t) for t in tensors):
            self._follow_effect("returning a tensor made in inference mode: clone() it outside")
        self.tape.outputs = [self.read(t) for t in tensors]
        self.tape.results = len(tensors)
        self._finish_effects()
        self._guard(tensors)

    def finish_block(self) -> None:
        """Set the outputs of a block: the values that no step used, then the effects on the inputs."""
        used = {v for step in self.tape.steps for v in step.vars}
        self.tape.outputs = [v for step in self.tape.steps for v in step.outputs if v not in used]
        self.tape.results = len(self.tape.outputs)
        self._finish_effects()
        if self.user_code:
            for number, var in enumerate(self.tape.outputs):
                if var.requires_grad:
                    self.tape.outputs[number] = self._hide(var, self.user_code)

    def _finish_effects(self) -> None:
        written = self.written()
        if self.wrote_behind():
            raise self.unsupported("a write to a view of an input whose .data was assigned: clone() the view")
        self.tape.writes = [position for position, _ in written]
        self.tape.outputs += [var for _, var in written]
        for position, (t, before) in enumerate(zip(self.captures, self._grads, strict=True)):
            if t._grad is not None and t._grad is not before:
                self.tape.grads.append(position)
                self.tape.outputs.append(self.read(t._grad))

    def _guard(self, results: Sequence[TensorBase]) -> None:
        """Outputs whose derivative is user code, which the tape has not: asking for it from outside is an error."""
        written = [self.captures[position] for position in self.tape.writes]
        grads = [self.captures[position]._grad for position in self.tape.grads]
        for number, t in enumerate((*results, *written, *grads)):
            if t is None or t._node is None or (why := self.hidden_behind(t._node)) is None:
                continue
            self.tape.outputs[number] = self._entries[id(t)].var = self._hide(self.tape.outputs[number], why)
            self._entries[id(t)].twin = None

    def _hide(self, var: Var, why: str) -> Var:
        """`var`, whose derivative with respect to any input is an error."""
        var = self.stopped(var)
        for source in [v for v in self.tape.inputs if v.requires_grad]:
            var = self.emit(PRIMITIVES["opaque"], (var, source), {"what": why}, var, True)
        self.tape.opaque[var] = why
        return var
