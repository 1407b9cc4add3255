"""Numbers on a tape: Python's arithmetic on followed numbers as steps, and values that go into Python as guards."""

from __future__ import annotations

import dis
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..printing import print_options, print_options_of_numpy
from ..storage import Storage
from .number import Number, Numbers, Required, Requirement, plain
from .primitive import PRIMITIVES, Primitive
from .program import Var
from .recorded_walks import RecordedWalks
from .source import user_frame
from .state import state
from .variable import TensorBase, storage_of

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
        self._picked: dict[Storage, Storage] = {}
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

    def picked(self, out: TensorBase, source: TensorBase) -> None:
        """`out` was picked of `source` by a tensor as index: a copy here, where eagerly it is a view."""
        self._picked[storage_of(out).memory] = storage_of(source).memory

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
        if memory in self._picked and not _is_put_back():
            raise self.unsupported(
                "an in-place write to what x[i], of a tensor i, gave: write x[i] = ..., or use int(i)"
            )
        super().before_write(t)
        self._outdated |= {out for out, source in self._picked.items() if source is memory}

    def item(self, t: TensorBase) -> Any:
        """The one value of `t`."""
        value = t._array.reshape(()).item()
        value = value.item() if isinstance(value, np.generic) else value
        found = self.numbers.item(self.stopped(self.read(t)), value)
        return found._plain() if self.numbers.rigid or type(value) not in (int, float) else found


def _is_put_back() -> bool:
    """Whether the user's line is `x[i] += ...`, which writes to what `x[i]` gave and then puts that back."""
    frame = user_frame()
    if frame is None:
        return False
    here = [i for i in dis.get_instructions(frame.f_code) if i.offset >= frame.f_lasti]
    following = [i.opname for i in here[1:] if i.opname not in ("SWAP", "ROT_TWO", "ROT_THREE", "CACHE")]
    return bool(here) and here[0].opname.startswith(("BINARY_OP", "INPLACE")) and following[:1] == ["STORE_SUBSCR"]
