"""Recorder: turns eager calls, in-place writes and backward passes into the steps of a Tape.

Memory becomes values here. For each storage the recorder knows the value its memory has now; for each tensor that is
its own base for autograd it knows the value *with derivative*; a view is its base seen through a chain of view
primitives, derived anew whenever the base has a new value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..storage import Storage
from ..tree import flatten
from .inplace import write_through
from .primitive import PRIMITIVES, Primitive
from .program import Step, Tape, Var
from .source import user_source
from .state import Watcher, state
from .variable import Chain, TensorBase, base_of, chain_of, wrap

__all__ = ["Recorder"]


class _Entry:
    """What the recorder knows of one tensor.

    `var` is its present value; `leaf` the value at which it became a leaf (where its gradient is taken); `base` the
    tensor it is a view of, or None; `seen` what `var` was derived from: the base's value for a view, else the number
    of writes to the memory.
    """

    __slots__ = ("base", "leaf", "seen", "tensor", "var")

    def __init__(self, tensor: TensorBase, var: Var, seen: Any, base: TensorBase | None = None) -> None:
        self.tensor = tensor
        self.var = var
        self.leaf = var
        self.seen = seen
        self.base = base


class _Memory:
    """The present value of a storage: that of the tensor that looks at it through `chain`.

    `count` is the number of writes so far; `inputs` the positions of the tape's inputs on this memory; `overwritten`
    the values that were written over through `.data`, which autograd does not notice.
    """

    __slots__ = ("chain", "count", "inputs", "overwritten", "var")

    def __init__(self, var: Var, chain: Chain) -> None:
        self.var = var
        self.chain = chain
        self.count = 0
        self.inputs: list[int] = []
        self.overwritten: list[Var] = []


class Recorder(Watcher):
    """Collects the steps of one tape. `strict` is jit's: reading values into Python is an error."""

    sees_itself = True

    def __init__(self, name: str, strict: bool = False) -> None:
        self.tape = Tape(name)
        self.strict = strict
        self.labels: dict[int, str] = {}
        self.refused: UnsupportedError | None = None
        self.captures: list[TensorBase] = []
        self.undo: list[tuple[TensorBase, np.ndarray[Any, Any], int]] = []
        self._entries: dict[int, _Entry] = {}
        self._results: dict[int, TensorBase] = {}  # by their arrays, for which a walk makes tensors anew
        self._memory: dict[Storage, _Memory] = {}
        self._inputs: dict[int, int] = {}
        self._grads: list[Any] = []
        self._foreign: set[int] = set()
        self._read: set[int] = set()
        self._stopped: dict[Var, Var] = {}
        self._broadcast: dict[tuple[Var, tuple[int, ...]], Var] = {}

    # What the tape's program is made of

    def add_input(self, t: TensorBase, label: str | None = None) -> None:
        """Make `t` an input of the tape, by its value."""
        if id(t) in self._inputs:
            return
        array = t._array
        var = Var(array.shape, array.dtype, t._requires_grad, label)
        position = self._inputs[id(t)] = len(self.tape.inputs)
        self.tape.inputs.append(var)
        self.tape.values.append(array)
        self.captures.append(t)
        self._grads.append(t._grad)
        self._entries[id(t)] = _Entry(t, var, 0)
        if t._node is not None:
            self._foreign.add(position)
        if t._storage is not None:
            memory = self._memory.setdefault(t._storage.memory, _Memory(var, chain_of(t)))
            memory.inputs.append(position)

    def position(self, t: TensorBase) -> int | None:
        """Which input of the tape `t` is, or None."""
        return self._inputs.get(id(t))

    def knows_memory(self, t: TensorBase) -> bool:
        """Whether an input of the tape is on the memory of `t`."""
        memory = None if t._storage is None else self._memory.get(t._storage.memory)
        return memory is not None and bool(memory.inputs)

    def emit(
        self, prim: Primitive, inputs: Sequence[Any], params: dict[str, Any], like: Any, requires_grad: bool
    ) -> Var:
        """Add a step with one output of the shape and dtype of `like`."""
        out = Var(like.shape, like.dtype, requires_grad)
        self.tape.steps.append(Step(prim, tuple(inputs), params, (out,), user_source()))
        return out

    def step(self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:
        """Record `out = prim(*operands, **params)`."""
        array, requires_grad = out._array, out._requires_grad
        inputs = [self.read(o) if isinstance(o, TensorBase) else o for o in operands]
        if not requires_grad:
            inputs = [self.stopped(v) if isinstance(v, Var) else v for v in inputs]
        if prim.elementwise:
            inputs = [self._broadcast_to(v, array.shape) if isinstance(v, Var) else v for v in inputs]
        var = self.emit(prim, inputs, params, array, requires_grad)
        self._results[id(array)] = out
        if out._storage is not None and operands and out._storage is getattr(operands[0], "_storage", None):
            memory = self._register(operands[0])
            base = None if base_of(out) is None else self._base_of(operands[0])
            seen = memory.count if base is None else self.read(base)
            self._entries[id(out)] = _Entry(out, var, seen, base)
        else:
            self._entries[id(out)] = _Entry(out, var, 0)

    def alias(self, out: TensorBase, source: TensorBase) -> None:
        """Record that `out` looks at the memory of `source`, without its derivative."""
        var = self.stopped(self.read(source))
        self._entries[id(out)] = _Entry(out, var, self._register(source).count)

    def frozen(self, out: TensorBase, source: TensorBase) -> None:
        """Record that `out` has the present value of `source`."""
        self._entries[id(out)] = _Entry(out, self.read(source), 0)
        self._results[id(out._array)] = out

    def constant(self, out: TensorBase) -> None:
        """Record that `out` was made from values known when the tape was made."""
        var = self.emit(PRIMITIVES["constant"], (), {"value": out._array.copy()}, out._array, out._requires_grad)
        self._entries[id(out)] = _Entry(out, var, 0)

    def stopped(self, var: Var) -> Var:
        """`var` without its derivative."""
        if not var.requires_grad:
            return var
        if var not in self._stopped:
            self._stopped[var] = self.emit(PRIMITIVES["stop_gradient"], (var,), {}, var, False)
        return self._stopped[var]

    def _broadcast_to(self, var: Var, shape: tuple[int, ...]) -> Var:
        if var.shape == shape:
            return var
        key = var, shape
        if key not in self._broadcast:
            like = Var(shape, var.dtype)
            self._broadcast[key] = self.emit(
                PRIMITIVES["broadcast_to"], (var,), {"shape": shape}, like, var.requires_grad
            )
        return self._broadcast[key]

    # What a tensor's value is

    def read(self, t: TensorBase) -> Var:
        """The present value of `t`, derived anew if its memory or its base changed."""
        entry = self._entries.get(id(t))
        if entry is None:
            entry = self._entries[id(t)] = self._enter(t)
        elif entry.base is not None:
            base = self.read(entry.base)
            if entry.seen is not base:
                entry.var, entry.seen = self._through(base, chain_of(t)[len(chain_of(entry.base)) :]), base
        elif t._storage is not None:
            memory = self._memory.get(t._storage.memory)
            if memory is not None and memory.count != entry.seen:
                self._refresh(entry, memory)
        if id(t) in self._inputs:
            self._read.add(self._inputs[id(t)])
        return entry.var

    def _base_of(self, t: TensorBase) -> TensorBase:
        """The tensor that a write to `t` gives a new value: `t` itself unless it is a view."""
        base = self._entries[id(t)].base
        return t if base is None else base

    def _enter(self, t: TensorBase) -> _Entry:
        """First sight of `t`: a view of something, an alias of known memory, or a capture."""
        base = base_of(t)
        if base is not None:
            var = self.read(base)
            return _Entry(t, self._through(var, chain_of(t)[len(chain_of(base)) :]), var, base)
        result = self._results.get(id(t._array))
        if result is not None and result._array is t._array:
            var, entry = self.read(result), self._entries[id(result)]
            return _Entry(t, var if t._requires_grad else self.stopped(var), entry.seen, entry.base)
        memory = None if t._storage is None else self._memory.get(t._storage.memory)
        if memory is not None:
            depth = len(memory.chain)
            if chain_of(t)[:depth] == memory.chain:
                var = self._through(self.stopped(memory.var), chain_of(t)[depth:])
                if t._requires_grad:
                    var = self.emit(PRIMITIVES["stop_gradient"], (var,), {}, var, True)
                return _Entry(t, var, memory.count)
            if memory.count:
                raise self.unsupported("a tensor captured after a view of it was written to")
        if self.strict:
            raise self.unsupported(
                f"a tensor of shape {list(t._array.shape)} that is neither an argument nor reachable from the "
                "function's closure, globals or object: pass it as an argument"
            )
        self.add_input(t, self.labels.get(id(t)))
        return self._entries[id(t)]

    def _refresh(self, entry: _Entry, memory: _Memory) -> None:
        """The memory of `entry.tensor` was written through another tensor that autograd does not relate to it."""
        new = self._through(self.stopped(memory.var), chain_of(entry.tensor)[len(memory.chain) :])
        entry.var = self._rebind(entry.var, new)
        entry.seen = memory.count

    def _rebind(self, old: Var, new: Var) -> Var:
        """The value of `new` with the derivative of `old`."""
        if not old.requires_grad:
            return self.stopped(new)
        return self.emit(PRIMITIVES["rebind"], (old, self.stopped(new)), {}, new, True)

    def _register(self, t: TensorBase) -> _Memory:
        """The memory `t` lives in, known from now on."""
        var = self.read(t)
        assert t._storage is not None
        memory = self._memory.get(t._storage.memory)
        if memory is None:
            memory = self._memory[t._storage.memory] = _Memory(var, chain_of(t))
            if id(t) in self._inputs:
                memory.inputs.append(self._inputs[id(t)])
        return memory

    def _through(self, var: Var, chain: Chain) -> Var:
        """`var` seen through a chain of view primitives."""
        if not chain:
            return var
        with self._grad_mode():
            shell: Any = self._shell(var)
            for prim, params in chain:
                shell = prim(shell, **params)
        return self.read(shell)

    def _write_through(self, base: Var, chain: Chain, new: Var) -> Var:
        """`base` with `new` in place of what the chain shows, as recorded steps."""
        if not chain:
            return new
        with self._grad_mode():
            return self.read(write_through(self._shell(base), chain, self._shell(new)))

    def _shell(self, var: Var) -> TensorBase:
        """A tensor that stands for `var`, so that primitives called on it are recorded; its value is of no account."""
        shell = wrap(np.broadcast_to(np.zeros((), var.dtype), var.shape))
        shell._requires_grad = var.requires_grad
        self._entries[id(shell)] = _Entry(shell, var, 0)
        return shell

    @contextlib.contextmanager
    def _grad_mode(self) -> Iterator[None]:
        """Grad mode on: whether a derivative flows is for each Var to say."""
        enabled, state.grad_enabled = state.grad_enabled, True
        try:
            yield
        finally:
            state.grad_enabled = enabled

    # In-place writes

    def before_write(self, t: TensorBase) -> None:
        """Called before memory changes: know the old value, and refuse what the tape cannot express."""
        self.read(t)
        memory = self._register(self._base_of(t))
        if not memory.inputs or memory.count:
            return
        owner = self.captures[memory.inputs[0]]
        if len(memory.inputs) > 1 or chain_of(owner):
            raise self.unsupported("an in-place write to an input that shares its memory with another tensor")
        assert owner._storage is not None
        self.undo.append((owner, owner._array.copy(), owner._storage.version))
        self.tape.values[memory.inputs[0]] = self.undo[-1][1]

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> None:
        """Record that `t` now has the value (and, if `tracked`, the derivative) of `out`."""
        base = self._base_of(t)
        entry, memory = self._entries[id(base)], self._register(base)
        new = self.read(out)
        if base is not t:
            new = self._write_through(entry.var, chain_of(t)[len(chain_of(base)) :], new)
        if t._storage is not None and t._storage.origin is not None:
            memory.overwritten += [memory.var, *[e.var for e in self._entries.values() if self._shares(e.tensor, t)]]
        entry.var = new if tracked else self._rebind(entry.var, new)
        memory.count += 1
        entry.seen = memory.count
        chain = chain_of(base)[len(memory.chain) :]
        memory.var = self._write_through(self.stopped(memory.var), chain, self.stopped(new)) if chain else entry.var

    def _shares(self, a: TensorBase, b: TensorBase) -> bool:
        return a._storage is not None and b._storage is not None and a._storage.memory is b._storage.memory

    def became_leaf(self, t: TensorBase) -> None:
        """`t.requires_grad_()`: from here on its value is a new leaf."""
        var = self.read(t)
        entry = self._entries[id(t)]
        if id(t) in self._inputs:
            raise self.unsupported("requires_grad_() on a tensor from outside")
        entry.var = entry.leaf = self.emit(PRIMITIVES["stop_gradient"], (var,), {}, var, True)
        if t._storage is not None:
            entry.seen = self._register(t).count

    # Backward

    def before_backward(self, roots: Sequence[TensorBase], leaves: Sequence[TensorBase]) -> None:
        """Called before a walk, which frees what it used: refuse what the tape cannot express."""
        for t in roots:
            self.read(t)
        if self._foreign & self._read:
            raise self.unsupported("backward through a graph that was begun before recording: detach() the input")
        for t in leaves:
            self.read(t)
        overwritten = {var for memory in self._memory.values() for var in memory.overwritten}
        if overwritten and overwritten & self._used_behind([self.read(t) for t in roots]):
            raise self.unsupported("backward through a value that was overwritten through .data after it was used")

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
        return used

    def backward(
        self,
        roots: Sequence[TensorBase],
        cotangents: Sequence[TensorBase],
        leaves: Sequence[TensorBase],
        grads: Sequence[TensorBase],
    ) -> None:
        """Record that `grads` are the gradients of `roots` with respect to `leaves`; after `before_backward`."""
        inputs = [self.read(t) for t in (*roots, *cotangents)]
        inputs += [self._entries[id(leaf)].leaf if leaf._node is None else self.read(leaf) for leaf in leaves]
        outs = tuple(Var(g._array.shape, g._array.dtype, g._requires_grad) for g in grads)
        params = {"roots": len(roots)}
        self.tape.steps.append(Step(PRIMITIVES["backward"], tuple(inputs), params, outs, user_source()))
        for grad, var in zip(grads, outs, strict=True):
            self._entries[id(grad)] = _Entry(grad, var, 0)

    # What cannot be on a tape

    def reads_value(self, what: str, t: TensorBase | None = None) -> None:  # noqa: ARG002
        """A tensor's value goes into Python, where the tape cannot follow."""
        if self.strict:
            raise self.unsupported(f"{what} reads a tensor's value, which a compiled program does not know")

    def unsupported(self, what: str) -> UnsupportedError:
        """The error for `what`, naming the user's line."""
        source = user_source()
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
        self.tape.outputs = [self.read(t) for t in tensors]
        self.tape.results = len(tensors)
        self._finish_effects()

    def finish_block(self) -> None:
        """Set the outputs of a block: the values that no step used, then the effects on the inputs."""
        used = {v for step in self.tape.steps for v in step.vars}
        self.tape.outputs = [v for step in self.tape.steps for v in step.outputs if v not in used]
        self.tape.results = len(self.tape.outputs)
        self._finish_effects()

    def _finish_effects(self) -> None:
        written = self.written()
        self.tape.writes = [position for position, _ in written]
        self.tape.outputs += [var for _, var in written]
        for position, (t, before) in enumerate(zip(self.captures, self._grads, strict=True)):
            if t._grad is not None and t._grad is not before:
                self.tape.grads.append(position)
                self.tape.outputs.append(self.read(t._grad))

    def written(self) -> list[tuple[int, Var]]:
        """The inputs that were written to, with their final values."""
        return [
            (position, self.read(t))
            for position, t in enumerate(self.captures)
            if t._storage is not None and (memory := self._memory.get(t._storage.memory)) is not None and memory.count
        ]
