"""Memory becomes values: what the tensors of a recording are worth, now.

For each storage the recorder knows the value its memory has now; for each tensor that is its own base for autograd it
knows the value *with derivative*; a view is its base seen through a chain of view primitives, derived anew whenever
the base has a new value.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..storage import Storage
from .inplace import write_through
from .primitive import PRIMITIVES, Primitive
from .program import Step, Tape, Var
from .recorded_inputs import Undo, owner_of, place_of, whole_of
from .source import user_source
from .state import Watcher, state
from .variable import Chain, TensorBase, base_of, chain_of, wrap

__all__ = ["Entry", "Memory", "RecordedMemory"]


class Entry:
    """What the recorder knows of one tensor.

    `var` is its present value; `leaf` the value at which it became a leaf (where its gradient is taken); `base` the
    tensor it is a view of, or None; `seen` what `var` was derived from: the base's value for a view, else the number
    of writes to the memory. `twin` is the entry of the tensor that it is to a walk, which makes tensors anew, or None.

    The tensor is known weakly (`reference`), so that a recording needs no more memory than what it records, unless it
    is `pinned`: as a leaf, or on memory that others may look at. Of one that is gone, `var` is what it was.

    `left` has a tensor for each memory that this one looked at before its `.data` was assigned, the first one first:
    that stands for what it was there.
    """

    __slots__ = ("base", "leaf", "left", "pinned", "reference", "seen", "twin", "var")

    def __init__(
        self, tensor: TensorBase, var: Var, seen: Any, base: TensorBase | None = None, *, shares: bool = False
    ) -> None:
        self.reference = weakref.ref(tensor)
        is_leaf = tensor._requires_grad and tensor._node is None
        self.pinned = tensor if is_leaf or shares else None
        self.var = var
        self.leaf = var
        self.seen = seen
        self.base = base
        self.twin: Entry | None = None
        self.left: tuple[TensorBase, ...] = ()


class Memory:
    """The present value of a storage: that of the tensor that looks at it through `chain`.

    `count` is the number of writes so far; `inputs` the positions of the tape's inputs that were on this memory when
    the recording began, and `root` that of the one which shows all that the others do; `overwritten` the values that
    were written over through `.data`, which autograd does not notice.
    """

    __slots__ = ("chain", "count", "inputs", "overwritten", "root", "var")

    def __init__(self, var: Var, chain: Chain) -> None:
        self.var = var
        self.chain = chain
        self.count = 0
        self.inputs: list[int] = []
        self.root = -1
        self.overwritten: list[Var] = []


class RecordedMemory(Watcher):
    """The part of a `Recorder` that knows what each tensor's value is on the tape.

    `captures` are the tensors that the tape's inputs are, in order: those given, those found on the way (if not
    `strict`), and where several of them share memory that is written to, perhaps the tensor that all of it belongs to.
    """

    def __init__(self, name: str, strict: bool = False) -> None:
        self.tape = Tape(name)
        self.strict = strict
        self.follows_effects = not strict
        """Whether who replays the tape can repeat effects on inputs that share memory, and on other than values."""
        self.guarded_arrays: set[int] = set()
        """The ids of NumPy arrays that hold what they hold now whenever the tape is used."""
        self.labels: dict[int, str] = {}
        self.captures: list[TensorBase] = []
        self.undone = Undo()
        self.assigned: list[int] = []  # the inputs whose `.data` was assigned
        self.scope: tuple[int, ...] = ()
        self._entries: dict[int, Entry] = {}
        self._results: dict[int, tuple[weakref.ref[Any], Entry]] = {}  # by arrays, of which a walk makes tensors anew
        self._memory: dict[Storage, Memory] = {}
        self._inputs: dict[int, int] = {}
        self._owners: dict[int, list[int]] = {}  # the inputs on one piece of NumPy's memory
        self._grads: list[Any] = []
        self._stopped: dict[Var, Var] = {}
        self._broadcast: dict[tuple[Var, tuple[int, ...]], Var] = {}

    @property
    def undo(self) -> list[tuple[TensorBase, np.ndarray[Any, Any], int]]:
        """What memory was written to: a tensor on it, a copy of its values before, and its version then."""
        return self.undone.memory

    def restore(self) -> None:
        """Put all inputs back to what they were: values, versions, memory; but not `.grad`."""
        self.undone.restore()

    def unsupported(self, what: str) -> UnsupportedError:
        """The error for `what`, naming the user's line."""
        raise NotImplementedError

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
        entry = self._entries[id(t)] = Entry(t, var, 0)
        if self._result_on(array) is None:
            self.know_result(array, entry)
        self._owners.setdefault(id(owner_of(array)), []).append(position)
        if t._storage is not None:
            memory = self._memory.setdefault(t._storage.memory, Memory(var, chain_of(t)))
            memory.inputs.append(position)

    def tensors(self) -> list[TensorBase]:
        """The tensors that are known, and not gone."""
        return [t for entry in self._entries.values() if (t := entry.reference()) is not None]

    def arrays(self) -> list[Any]:
        """The arrays of these, and others that nodes saved."""
        saved = [array for reference, _ in self._results.values() if (array := reference()) is not None]
        return [*[t._array for t in self.tensors()], *saved]

    def position(self, t: TensorBase) -> int | None:
        """Which input of the tape `t` is, or None."""
        return self._inputs.get(id(t))

    def knows_memory(self, t: TensorBase) -> bool:
        """Whether an input of the tape is on the memory of `t`."""
        memory = self.memory_of(t)
        return memory is not None and bool(memory.inputs)

    def memory_of(self, t: TensorBase) -> Memory | None:
        """What is known of the memory of `t`, None if it is not known to be shared."""
        return None if t._storage is None else self._memory.get(t._storage.memory)

    def emit(
        self, prim: Primitive, inputs: Sequence[Any], params: dict[str, Any], like: Any, requires_grad: bool
    ) -> Var:
        """Add a step with one output of the shape and dtype of `like`."""
        out = Var(like.shape, like.dtype, requires_grad)
        self.add_step(prim, inputs, params, (out,))
        return out

    def add_step(self, prim: Primitive, inputs: Sequence[Any], params: dict[str, Any], outs: tuple[Var, ...]) -> Step:
        """Add a step."""
        step = Step(prim, tuple(inputs), params, outs, user_source(), self.scope)
        self.tape.steps.append(step)
        return step

    def enter(self, t: TensorBase, var: Var) -> Entry:
        """`t`, on memory of its own, has the value `var`."""
        entry = self._entries[id(t)] = Entry(t, var, 0)
        return entry

    def know_result(self, array: Any, entry: Entry) -> None:
        """Tensors that a walk makes of `array` are what `entry` is about."""
        self._results[id(array)] = weakref.ref(array), entry

    def _result_on(self, array: Any) -> Entry | None:
        known = self._results.get(id(array))
        return known[1] if known is not None and known[0]() is array else None

    def stopped(self, var: Var) -> Var:
        """`var` without its derivative."""
        if not var.requires_grad:
            return var
        if var not in self._stopped:
            self._stopped[var] = self.emit(PRIMITIVES["stop_gradient"], (var,), {}, var, False)
        return self._stopped[var]

    def cut(self, var: Var) -> Var:
        """The value `var`, at which derivatives end: they are asked for here, or go on by other ways than the tape."""
        return self.emit(PRIMITIVES["stop_gradient"], (var,), {}, var, True)

    def broadcast_to(self, var: Var, shape: tuple[int, ...]) -> Var:
        """`var` broadcast to `shape`."""
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
        if entry is None or entry.reference() is not t:
            entry = self._entries[id(t)] = self._enter(t)
        if entry.twin is not None:
            var = self._present(entry.twin)
            return var if t._requires_grad else self.stopped(var)
        if entry.base is not None:
            base = self.read(entry.base)
            if entry.seen is not base:
                entry.var, entry.seen = self._through(base, chain_of(t)[len(chain_of(entry.base)) :]), base
        elif (memory := self.memory_of(t)) is not None and memory.count != entry.seen:
            self._refresh(t, entry, memory)
        return entry.var

    def _present(self, entry: Entry) -> Var:
        """The present value of a tensor that may be gone, and then has its last."""
        while (t := entry.reference()) is None and entry.twin is not None:
            entry = entry.twin
        return entry.var if t is None else self.read(t)

    def leaf_of(self, t: TensorBase) -> Var:
        """Where the gradient of `t` is taken: where it became a leaf, or where it was computed."""
        var = self.read(t)
        return self._entries[id(t)].leaf if t._node is None else var

    def home(self, position: int) -> TensorBase:
        """What the input at a position was when the recording began: itself, or what stands for that."""
        t = self.captures[position]
        left = self._entries[id(t)].left
        return left[0] if left else t

    @property
    def replaced(self) -> list[int]:
        """The inputs that look, by an assignment to their `.data`, at other memory than at first, or otherwise."""
        return [i for i in sorted(self.assigned) if not _look_alike(self.home(i), self.captures[i])]

    def leave(self, t: TensorBase) -> None:
        """`t` is about to look at other memory: views of it go on looking at what it was, known by a stand-in."""
        old, entry, memory = self.read(t), self._entries[id(t)], self.memory_of(t)
        stand = wrap(t._array)
        stand._storage, stand._view = t._storage, t._view
        stand._requires_grad, stand._node, stand._index = t._requires_grad, t._node, t._index
        stand._accumulator = t._accumulator
        lasting = memory is not None or id(t) in self._inputs
        known = self._entries[id(stand)] = Entry(stand, old, entry.seen, entry.base, shares=lasting)
        if lasting:
            entry.left = (*entry.left, stand)
        self.know_result(t._array, known)
        if memory is not None:
            for view in [e for e in self._entries.values() if e.base is t]:
                if (seen := view.reference()) is not None:
                    self.read(seen)
                view.base, view.seen = stand, old

    def _base_now(self, t: TensorBase) -> TensorBase | None:
        """What `t` is a view of to autograd, or what stands for that, as it was on the memory of `t`."""
        base = base_of(t)
        if base is None or self.share(base, t):
            return base
        known = self._entries.get(id(base))
        left = known.left if known is not None and known.reference() is base else ()
        return next((stand for stand in left if self.share(stand, t)), None)

    def _base_of(self, t: TensorBase) -> TensorBase:
        """The tensor that a write to `t` gives a new value: `t` itself unless it is a view."""
        while (base := self._entries[id(t)].base) is not None:
            t = base
        return t

    def _enter(self, t: TensorBase) -> Entry:
        """First sight of `t`: a view of something, an alias of known memory, or a capture."""
        base = self._base_now(t)
        if base is not None:
            var = self.read(base)
            return Entry(t, self._through(var, chain_of(t)[len(chain_of(base)) :]), var, base, shares=True)
        result = self._result_on(t._array)
        if result is not None and t._view is None and _may_be(t, result.reference()):
            entry = Entry(t, self._present(result), 0)
            entry.twin = result
            return entry
        memory = self.memory_of(t)
        if memory is not None:
            depth = len(memory.chain)
            if chain_of(t)[:depth] == memory.chain:
                var = self._through(self.stopped(memory.var), chain_of(t)[depth:])
                return Entry(t, self.cut(var) if t._requires_grad else var, memory.count, shares=True)
            if memory.count:
                raise self.unsupported("a tensor captured after a view of it was written to")
        if self.strict:
            raise self.unsupported(
                f"a tensor of shape {list(t._array.shape)} that is neither an argument nor reachable from the "
                "function's closure, globals or object: pass it as an argument"
            )
        self.add_input(t, self.labels.get(id(t)))
        return self._entries[id(t)]

    def _refresh(self, t: TensorBase, entry: Entry, memory: Memory) -> None:
        """The memory of `t` was written through another tensor that autograd does not relate to it."""
        new = self._through(self.stopped(memory.var), chain_of(t)[len(memory.chain) :])
        entry.var = self._rebind(entry.var, new)
        entry.seen = memory.count

    def _rebind(self, old: Var, new: Var) -> Var:
        """The value of `new` with the derivative of `old`."""
        if not old.requires_grad:
            return self.stopped(new)
        return self.emit(PRIMITIVES["rebind"], (old, self.stopped(new)), {}, new, True)

    def register(self, t: TensorBase) -> Memory:
        """The memory `t` lives in, known from now on."""
        var = self.read(t)
        assert t._storage is not None
        self._entries[id(t)].pinned = t
        memory = self._memory.get(t._storage.memory)
        if memory is None:
            memory = self._memory[t._storage.memory] = Memory(var, chain_of(t))
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
        self.enter(shell, var)
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
        memory = self.memory_of(t)
        if id(t) in self._inputs and (memory is None or not memory.inputs):
            memory = self.register(t)
        if memory is not None and memory.inputs and not memory.count and memory.root < 0:
            self._open(memory)
        self.register(self._base_of(t))

    def _open(self, memory: Memory) -> None:
        """Inputs are on memory that will be written to: find one that shows all of it, and keep the values before."""
        if len(memory.inputs) > 1 or chain_of(self.home(memory.inputs[0])):
            self._relate(memory)
        given = [(position, self.home(position)) for position in memory.inputs]
        memory.root, root = min(given, key=lambda entry: len(chain_of(entry[1])))
        if any(chain_of(t)[: len(chain_of(root))] != chain_of(root) for _, t in given):
            root = self._whole(root)
            memory.root = self._inputs[id(root)]
        beside = set(self._owners.get(id(owner_of(root._array)), ())) - set(memory.inputs)
        if any(np.may_share_memory(self.home(position)._array, root._array) for position in beside):
            raise self.unsupported("an in-place write to memory that inputs share only through NumPy: clone() one")
        entry = self._entries[id(root)]
        memory.var, memory.chain = entry.var, chain_of(root)
        for position in memory.inputs:
            self.tape.values[position] = self.undone.keep(self.home(position))

    def _relate(self, memory: Memory) -> None:
        """Several inputs share memory: those that autograd knows as views get their base."""
        if not self.follows_effects:
            raise self.unsupported("an in-place write to an input that shares its memory with another tensor")
        for t in [self.home(position) for position in memory.inputs]:
            base = self._base_now(t)
            if base is not None:
                if base is base_of(t):
                    self.add_input(base)
                entry = self._entries[id(t)]
                entry.base, entry.seen = base, self._entries[id(base)].var

    def _whole(self, t: TensorBase) -> TensorBase:
        """An input that shows all of the memory of `t`, made one if none does."""
        whole = whole_of(t)
        if whole is None:
            raise self.unsupported("an in-place write to an input that shares its memory with another tensor")
        self.add_input(whole)
        return whole

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> None:
        """Record that `t` now has the value (and, if `tracked`, the derivative) of `out`."""
        new = self.read(out)
        if t._storage is not None and t._storage.origin is not None:
            memory = self.register(t)
            entries = [e for e in self._entries.values() if e.pinned is not None and self.share(e.pinned, t)]
            memory.overwritten += [memory.var, *[e.var for e in entries]]
        self._take(t, new, tracked)

    def _take(self, t: TensorBase, new: Var, tracked: bool) -> None:
        """`t` now has the value `new`, and if `tracked` its derivative."""
        base = self._base_of(t)
        entry, memory = self._entries[id(base)], self.register(base)
        if base is not t:
            if tracked and base is not base_of(t):
                raise self.unsupported(
                    "an in-place write, with a gradient, through a view of a tensor whose .data was assigned since: "
                    "make the view anew"
                )
            new = self._write_through(entry.var, chain_of(t)[len(chain_of(base)) :], new)
        entry.var = new if tracked else self._rebind(entry.var, new)
        memory.count += 1
        entry.seen = memory.count
        chain = chain_of(base)[len(memory.chain) :]
        memory.var = self._write_through(self.stopped(memory.var), chain, self.stopped(new)) if chain else entry.var

    def share(self, a: TensorBase, b: TensorBase) -> bool:
        """Whether two tensors are on one memory."""
        return a._storage is not None and b._storage is not None and a._storage.memory is b._storage.memory

    def written(self) -> list[tuple[int, Var]]:
        """The inputs that were written to or whose `.data` was replaced, with their final values.

        Of several on one memory, that which shows all that the others do.
        """
        moved = self.replaced
        roots = [root for memory in self._written_memory() if (root := self._root_there(memory, moved)) is not None]
        return [(position, self.read(self.captures[position])) for position in sorted({*roots, *moved})]

    def parting(self) -> list[tuple[int, Var]]:
        """The inputs whose `.data` was replaced and which alone showed all of memory that was written to, with its
        final value.
        """
        moved = self.replaced
        left = [memory.root for memory in self._written_memory() if self._root_there(memory, moved) is None]
        return [(position, self.read(self.home(position))) for position in left]

    def wrote_behind(self) -> bool:
        """Whether some of that memory is left to inputs that show only a part of it."""
        moved = self.replaced
        left = [memory for memory in self._written_memory() if self._root_there(memory, moved) is None]
        return any(position not in moved for memory in left for position in memory.inputs)

    def _written_memory(self) -> list[Memory]:
        return [memory for memory in self._memory.values() if memory.count and memory.inputs]

    def _root_there(self, memory: Memory, moved: Sequence[int]) -> int | None:
        """The position of an input that shows all of the memory and still does; not one of those that have `moved`."""
        chain = chain_of(self.home(memory.root))
        there = [i for i in memory.inputs if i not in moved and chain_of(self.captures[i]) == chain]
        return memory.root if memory.root in there else next(iter(there), None)

    def describe(self, t: TensorBase) -> tuple[int | Var, Chain]:
        """What `t` shows, and through which view primitives: memory by the position of an input on it, or else by its
        present value. Tensors of which one memory is named share it.

        Raises UnsupportedError if no input shows all of what `t` does.
        """
        return (self._inputs[id(t)], ()) if id(t) in self._inputs else self.place(t)

    def place(self, t: TensorBase) -> tuple[int | Var, Chain]:
        """The same, but for an input where it is now, rather than by its own position: by what inputs were at first."""
        var, memory = self.read(t), self.memory_of(t)
        if memory is None:
            return var, ()
        chain = chain_of(t)
        roots = [(p, chain_of(self.home(p))) for p in memory.inputs]
        fitting = [(p, root) for p, root in roots if chain[: len(root)] == root]
        if fitting:
            moved = self.replaced
            position, root = max(fitting, key=lambda entry: (entry[0] not in moved, len(entry[1])))
            return position, chain[len(root) :]
        if memory.inputs:
            raise self.unsupported("returning a tensor that shares memory with an input, but is no view of it")
        return memory.var, chain[len(memory.chain) :]


def _look_alike(a: TensorBase, b: TensorBase) -> bool:
    """Whether two tensors show the same elements of the same memory."""
    if a._storage is None or b._storage is None or a._storage.memory is not b._storage.memory:
        return False
    return place_of(a._array) == place_of(b._array)


def _may_be(t: TensorBase, result: TensorBase | None) -> bool:
    """Whether `t`, on the array of `result` (None: that is gone, and was no leaf), is not a leaf of its own.

    What hooks bring back of a saved leaf has the leaf's history, and so its accumulator.
    """
    if not t._requires_grad or t._node is not None:
        return True
    if result is not None and t._accumulator is result._accumulator:
        return True
    return t._accumulator is not None and t._accumulator.leaf is not None and t._accumulator.leaf() is not t
