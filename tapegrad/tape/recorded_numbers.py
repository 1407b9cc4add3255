"""Numbers on a tape: Python's arithmetic on followed numbers as steps, and values that go into Python as guards."""

from __future__ import annotations

import dataclasses
import dis
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..printing import print_options, print_options_of_numpy
from ..storage import Storage
from .number import Number, Numbers, Required, Requirement, outcome_of, plain
from .primitive import PRIMITIVES, Primitive
from .program import Var
from .recorded_walks import RecordedWalks
from .source import Source, own_source, user_frame
from .state import state
from .variable import Creation, TensorBase, View, chain_of, storage_of

__all__ = ["RecordedNumbers"]

_STEPS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "pow", "neg": "neg", "abs": "abs", "math.sqrt": "sqrt", "math.exp": "exp", "math.log": "log",
}  # fmt: skip
_DOUBLE = np.dtype(np.float64)


class RecordedNumbers(RecordedWalks):
    """A recorder's part that knows numbers. `scalars` are the Vars of those the host computes, by their positions."""

    def __init__(self, name: str, strict: bool = False) -> None:
        super().__init__(name, strict)
        self.numbers = Numbers()
        self.scalars: dict[int, Var] = {}
        self._number_vars: dict[Any, Var] = {}
        self._read_out: set[Storage] = set()
        self._picked: weakref.WeakKeyDictionary[Storage, _Pick] = weakref.WeakKeyDictionary()
        self._outdated: set[Storage] = set()
        self._required: set[tuple[Var, str]] = set()

    def operand(self, x: Any, prim: Primitive, operands: Sequence[Any], out: TensorBase) -> Any:
        """An operand that is no tensor: a literal, or the Var of a number that is followed."""
        if type(x) is not Number:
            return x
        if x._numbers is not self.numbers:  # left over from another recording
            return plain(x)
        choice = prim.name == "where"
        beside = [o._array.dtype for o in operands[choice:] if isinstance(o, TensorBase)]
        return self._number_in(x, beside[0] if beside else out._array.dtype)

    def scalar(self, x: Any) -> Any:
        """An operand that is no tensor, of a step that takes numbers as they are: of a followed one its Var."""
        if type(x) is not Number:
            return x
        return self._number(x._position) if x._numbers is self.numbers else plain(x)

    def plain_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters are part of the program: a number among them is guarded."""
        if params and Number in map(type, params.values()):
            return {name: x._plain() if type(x) is Number else x for name, x in params.items()}
        return params

    def _number_in(self, x: Number, dtype: np.dtype[Any]) -> Any:
        """The Var of a number in the given dtype."""
        key = x._position, dtype
        if key not in self._number_vars:
            var = self._number(x._position)
            cast = var.dtype != dtype
            like = Var((), dtype)
            self._number_vars[key] = (
                self.emit(PRIMITIVES["cast"], (var,), {"dtype": dtype}, like, False) if cast else var
            )
        return self._number_vars[key]

    def _number(self, position: int) -> Var:
        """The Var, in double precision, of the note at `position`: an input of the tape if the host knows it."""
        numbers = self.numbers
        key = position, None
        if key in self._number_vars:
            return self._number_vars[key]
        if not numbers.items(position):
            var = self.scalars[position] = Var((), _DOUBLE, False, f"n{position}")
        else:
            var = self._computed(position)
        self._number_vars[key] = var
        return var

    def _computed(self, position: int) -> Var:
        """The steps that do again what Python did with values of tensors."""
        operation, operands, positions = self.numbers.notes[position]
        like = Var((), _DOUBLE)
        if operation == "item":
            var = self.stopped(operands[0])
            if var.shape:
                var = self.emit(PRIMITIVES["reshape"], (var,), {"shape": ()}, Var((), var.dtype), False)
            return (
                self.emit(PRIMITIVES["cast"], (var,), {"dtype": _DOUBLE}, like, False) if var.dtype != _DOUBLE else var
            )
        if operation not in _STEPS:
            raise self.unsupported(f"{operation.removeprefix('math.')} of a value read out of a tensor, put into one")
        parts = [
            self._number(x) if is_position else float(x) for x, is_position in zip(operands, positions, strict=True)
        ]
        return self.emit(PRIMITIVES[_STEPS[operation]], parts, {}, like, False)

    def reads_value(self, what: str, t: TensorBase | None = None) -> None:
        """A tensor's value goes into Python: a guard, when jit records. `item()` gives a number that is followed."""
        if not self.strict or t is None or what == "item()":
            return
        if what == "bool()" and t._array.size == 1:
            self.numbers.ask("bool", self.numbers.item(self.stopped(self.read(t)), t._array.item()))
            return
        self.numbers.read(self.stopped(self.read(t)), t._array, what)
        if what == "repr()":
            self.numbers.told("the print options", print_options)
        elif what == "numpy()":
            self._read_out.add(storage_of(t).memory)
            self.numbers.told("NumPy's print options", print_options_of_numpy)  # which the text of the array depends on

    def requires(self, t: TensorBase, requirement: Requirement, held: bool) -> None:
        """An operation raises an error unless `t` is as required: when jit records, that is a guard."""
        if not self.strict or (key := (self.read(t), str(requirement))) in self._required:
            return
        self._required.add(key)
        now = state.now
        watchers, enabled = now.watchers, now.grad_enabled
        now.watchers, now.grad_enabled = (self,), False
        try:
            answer = self.read(requirement.of_tensor(t))
        finally:
            now.watchers, now.grad_enabled = watchers, enabled
        self.numbers.require(Required(requirement, key[0]), answer, held)

    def picked(self, out: TensorBase, source: TensorBase, index: Mapping[int, TensorBase]) -> None:
        """`out` was picked of `source` by tensors as `index`, per dim: a copy here, where eagerly it is a view.

        So the index need not be guarded, unless the function leaves `out` to others: see `become_view`.
        """
        where: list[Any] = [slice(None)] * source._array.ndim
        for dim, i in index.items():
            where[dim] = int(i._array)
        asked = [(self.stopped(self.read(i)), i._array.item()) for i in index.values()]
        now = state.now
        self._picked[storage_of(out).memory] = _Pick(
            weakref.ref(out),
            source,
            storage_of(source).memory,
            tuple(where),
            asked,
            (now.grad_enabled, now.inference),
            own_source(),
        )

    def picked_of(self, t: TensorBase) -> Storage | None:
        """The memory that `t` was picked of by a tensor as index, None if it was not."""
        memory = None if t._storage is None else t._storage.memory
        pick = None if memory is None else self._picked.get(memory)
        return None if pick is None else self.picked_of(pick.source) or pick.memory

    def become_view(self, t: TensorBase) -> None:
        """Let `t`, which was picked by a tensor as index, be the view that it is eagerly: the function leaves it where
        that shows. The index is guarded then.
        """
        var = self.read(t)  # or it is refused, as what it is a view of was written to since
        assert t._storage is not None
        pick = self._picked[t._storage.memory]
        if self.picked_of(pick.source) is not None:
            self.become_view(pick.source)
        memory = self.register(pick.source)
        self._guard_index(pick)
        view = pick.view()
        pick.move(t, view)
        base, entry = self._base_now(t), self._entries[id(t)]
        if base is not None and self.picked_of(base) is not None:
            self.become_view(base)
        entry.var, entry.base, entry.pinned = var, base, t
        entry.seen = memory.count if base is None else self.read(base)

    def _guard_index(self, pick: _Pick) -> None:
        asked = len(self.numbers.guards)
        for var, value in pick.asked:
            position = self.numbers.item(var, value)._position
            self.numbers.guard(position, outcome_of(value), "an index by which a view was made")
        self.numbers.guards[asked:] = [g._replace(source=pick.line) for g in self.numbers.guards[asked:]]

    def read(self, t: TensorBase) -> Var:
        """As without numbers; what should be a view of memory that was written to since cannot be read."""
        if t._storage is None:  # as of most tensors: here without another call
            entry = self._entries.get(id(t))
            if entry is not None and entry.twin is None and entry.base is None and entry.reference() is t:
                return entry.var
        if self._outdated and t._storage is not None and t._storage.memory in self._outdated:
            raise self.unsupported("the use of what x[i], of a tensor i, gave, after x was written to: use int(i)")
        return super().read(t)

    def before_write(self, t: TensorBase) -> None:
        """As without numbers; and memory that Python looks at must stay as it is, as must what should be a view."""
        memory = None if t._storage is None else t._storage.memory
        if memory in self._read_out:
            raise self.unsupported("an in-place write to a tensor that numpy() was called on")
        if memory is not None and memory in self._picked:
            if not _is_put_back():
                raise self.unsupported(
                    "an in-place write to what x[i], of a tensor i, gave: write x[i] = ..., or use int(i)"
                )
            source = self._picked[memory].source
            super().before_write(source)
            storage_of(source).count_write()  # as eagerly, where it is written through the view, then put back
        super().before_write(t)
        self._outdated |= {out for out, pick in self._picked.items() if pick.memory is memory}

    def item(self, t: TensorBase) -> Any:
        """The one value of `t`."""
        value = t._array.reshape(()).item()
        value = value.item() if isinstance(value, np.generic) else value
        found = self.numbers.item(self.stopped(self.read(t)), value)
        return found._plain() if self.numbers.rigid or type(value) not in (int, float) else found


@dataclasses.dataclass(eq=False)
class _Pick:
    """A tensor that was picked of `source`, on `memory`, at `where`, by tensors: `asked` are those, with their values.

    It was picked in the given `modes`, grad mode and inference mode, in a `line` of the user's.
    """

    out: weakref.ref[TensorBase]
    source: TensorBase
    memory: Storage
    where: tuple[Any, ...]
    asked: list[tuple[Var, int]]
    modes: tuple[bool, bool]
    line: Source | None
    counters: dict[Storage, Storage] = dataclasses.field(default_factory=dict)

    def view(self) -> TensorBase:
        """What it is eagerly."""
        now = state.now
        before = now.grad_enabled, now.inference, now.watchers
        (now.grad_enabled, now.inference), now.watchers = self.modes, ()
        try:
            view: TensorBase = PRIMITIVES["slice"](self.source, index=self.where)
            return view
        finally:
            now.grad_enabled, now.inference, now.watchers = before

    def move(self, t: TensorBase, view: TensorBase) -> None:
        """Let `t`, which looks at the copy, look at what is there in the memory of the `view`."""
        storage, seen, link = t._storage, view._array, view._view
        assert storage is not None
        assert view._storage is not None
        assert link is not None
        for prim, params in chain_of(t):
            seen = prim.forward(seen, **params)
        out = self.out()
        own = t._view
        base, creation = (None, link.creation) if own is None else (own.base, own.creation)
        if (t is out and (t._node is not None or not t._requires_grad)) or (base is not None and base is out):
            base = link.base
            creation = link.creation if creation is Creation.NORMAL else creation
        t._array, t._view = seen, View((*link.chain, *chain_of(t)), base, creation)
        if storage.origin is None:
            t._storage = view._storage
        elif storage not in self.counters:
            self.counters[storage] = t._storage = Storage(view._storage.memory)
            t._storage.version = storage.version
        else:
            t._storage = self.counters[storage]


def _is_put_back() -> bool:
    """Whether the user's line is `x[i] += ...`, which writes to what `x[i]` gave and then puts that back."""
    frame = user_frame()
    if frame is None:
        return False
    here = [i for i in dis.get_instructions(frame.f_code) if i.offset >= frame.f_lasti]
    following = [i.opname for i in here[1:] if i.opname not in ("SWAP", "ROT_TWO", "ROT_THREE", "CACHE")]
    return bool(here) and here[0].opname.startswith(("BINARY_OP", "INPLACE")) and following[:1] == ["STORE_SUBSCR"]
