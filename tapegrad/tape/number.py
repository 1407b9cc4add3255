"""Numbers that a recording follows: Python's arithmetic on captured floats, and on values read out of tensors.

While a jitted function is recorded, each float it can reach stands for whatever float will be there at a later call,
and `t.item()` for whatever value `t` will have. A `Number` behaves as the float or int that it is now; its arithmetic
is noted, to be done again at each call. Where Python wants to know more (a branch, an index, a string), what it was
told is noted as a *guard*: at a call where it would be told something else, the recording does not hold.
"""

from __future__ import annotations

import functools
import math
import operator
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .source import Source, own_source
from .state import state

if TYPE_CHECKING:
    from .program import Var

__all__ = [
    "READS", "Came", "Guard", "Note", "Number", "Numbers", "ReadOut", "Required", "Requirement", "came_to", "can_fail",
    "following_math", "is_followed", "outcome_of", "plain",
]  # fmt: skip


class Note(NamedTuple):
    """One entry of the notes: `operation` of `operands`, which are positions of other notes or constants.

    `operation` is "input" (a followed number of the environment; the operand is its place among them), "item" (the
    value of a tensor of one element; the operand is its Var), "array" (all of a tensor, likewise), or a key of
    `OPERATIONS`.
    `positions` says which operands are positions.
    """

    operation: str
    operands: tuple[Any, ...]
    positions: tuple[bool, ...]


READS = ("item", "array")
"""Notes of a tensor's value: as a number, or all of it."""


class Requirement(Protocol):
    """What an operation requires of a tensor's values, told in two ways. As a string it says so in words."""

    def of_array(self, values: np.ndarray[Any, Any], /) -> bool:
        """Whether NumPy finds the values to be as required."""

    def of_tensor(self, x: Any, /) -> Any:
        """The same as a tensor of one bool, made by primitives."""


class Required(NamedTuple):
    """What is required, and of which values."""

    requirement: Requirement
    var: Var


class Guard(NamedTuple):
    """What Python was told: the value of the note at `position` came out as `outcome`; and where it asked.

    If something is `required`, it was an operation that asked, to raise an error unless the answer is yes.
    """

    position: int
    outcome: Any
    what: str
    source: Source | None
    required: Required | None = None


class Came(NamedTuple):
    """What an operation that can fail came to: a value of type `kind`, or an exception of that type."""

    raised: bool
    kind: str


class ReadOut(NamedTuple):
    """A tensor's value that went into Python, by its bytes."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes


def outcome_of(value: Any) -> Any:
    """`value` so that equal outcomes are the same to a program: nan is nan, and 0.0 is not -0.0."""
    if isinstance(value, float | complex):
        return repr(value)
    if isinstance(value, np.ndarray):
        return ReadOut(value.shape, str(value.dtype), value.tobytes())
    return value


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow, "neg": operator.neg, "pos": operator.pos,
    "abs": operator.abs, "and": operator.and_, "or": operator.or_, "xor": operator.xor, "lshift": operator.lshift,
    "rshift": operator.rshift, "invert": operator.invert,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(math, name)
    for name in (
        "sqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "pow", "sin", "cos", "tan", "tanh", "atan", "atan2",
        "hypot", "fabs", "copysign", "floor", "ceil",
    )
}  # fmt: skip
_QUESTIONS: dict[str, Callable[..., Any]] = {
    "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge,
    "bool": bool, "int": int, "float": float, "complex": complex, "index": operator.index, "round": round,
    "trunc": math.trunc, "floor": math.floor, "ceil": math.ceil, "str": str, "repr": repr, "format": format,
    "value": lambda x: x,
    "told": lambda call, *args: call(*args),
}  # fmt: skip
OPERATIONS: dict[str, Callable[..., Any]] = {**{f"math.{k}": f for k, f in _FUNCTIONS.items()}, **_ARITHMETIC}
"""What notes may do. The answers to `_QUESTIONS` go into Python as they are, and so become guards."""
OPERATIONS.update({f"?{name}": function for name, function in _QUESTIONS.items()})


_FAILURES = (ArithmeticError, ValueError, TypeError)


def can_fail(operation: str, operands: Sequence[Any]) -> bool:
    """Whether an operation on other numbers than these could raise an exception, or give another type."""
    if operation in ("truediv", "floordiv", "mod"):
        divisor = operands[1]
        return type(divisor) is Number or not divisor or (type(divisor) is not float and abs(divisor) > _LARGEST)
    return operation in _OF_INTS or operation.startswith("math.") or operation.lstrip("?") in _FAILING


_LARGEST = 1 << 53
_OF_INTS = frozenset({"pow", "and", "or", "xor", "lshift", "rshift", "invert"})
"""What gives, or takes, other types than floats."""
_FAILING = frozenset({"int", "float", "complex", "index", "round", "trunc", "floor", "ceil", "format"})


def came_to(call: Callable[..., Any], *operands: Any) -> tuple[Any, Came]:
    """The value of a call, and what it came to; None if it raised."""
    try:
        value = call(*operands)
    except _FAILURES as error:
        return None, Came(True, type(error).__name__)
    return value, Came(False, type(value).__name__)


class Numbers:
    """The notes of one recording, and the guards, in the order in which Python asked.

    If `rigid`, no number that is followed is handed out: code that looks at types, or C code, could tell.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.guards: list[Guard] = []
        self.refuse: Callable[[str], Exception] | None = None  # what to raise in place of a guard on a tensor's value
        self.rigid = False
        self.values: list[Any] = []  # what each note came to while recording
        self._known: dict[Any, int] = {}
        self._asked: set[tuple[int, bool]] = set()

    def input(self, place: int, value: Any) -> Number:
        """The followed number at `place` of the environment."""
        return Number(self, self._note("input", (place,), (False,), value), value)

    def item(self, var: Var, value: Any) -> Number:
        """The value of the 0-d `var`."""
        return Number(self, self._note("item", (var,), (False,), value), value)

    def compute(self, operation: str, *operands: Any) -> Any:
        """`operation` of numbers, followed or not."""
        return Number(self, *self._done(operation, operands))

    def ask(self, question: str, *operands: Any) -> Any:
        """The answer, which from here on is guarded."""
        position, answer = self._done(f"?{question}", operands)
        self.guard(position, outcome_of(answer), question)
        return answer

    def told(self, what: str, call: Callable[..., Any], *args: Any) -> Any:
        """The answer of a function that asks the world outside, called `what` in reports; it is guarded, too."""
        position, answer = self._done("?told", (call, *args))
        self.guard(position, outcome_of(answer), what)
        return answer

    def _done(self, operation: str, operands: tuple[Any, ...]) -> tuple[int, Any]:
        """The note of an operation, and its value. That it can be done is guarded, and so is that it cannot."""
        call, given = OPERATIONS[operation], [plain(x) for x in operands]
        if not can_fail(operation, operands):
            value = call(*given)
            return self._position(operation, operands, value), value
        value, came = came_to(call, *given)
        position = self._position(operation, operands, value)
        self.guard(position, came, operation.lstrip("?"))
        if came.raised:
            call(*given)
        return position, value

    def guard(self, position: int, outcome: Any, what: str) -> None:
        """Note what Python was told, or (`Came`) what an operation came to."""
        key = position, type(outcome) is Came
        if key in self._asked:
            return
        if self.refuse is not None and self.items(position):
            raise self.refuse(f"{what} of a tensor's value, which is known only when the program runs")
        self._asked.add(key)
        self.guards.append(Guard(position, outcome, what, own_source()))

    def forget_guards(self, count: int) -> None:
        """Keep only the first `count` guards."""
        for guard in self.guards[count:]:
            self._asked.discard((guard.position, type(guard.outcome) is Came))
        del self.guards[count:]

    def read(self, var: Var, value: Any, what: str) -> None:
        """All of the value of `var` goes into Python."""
        self.guard(self._note("array", (var,), (False,), value), outcome_of(value), what)

    def require(self, required: Required, answer: Var, held: bool) -> None:
        """An operation asked whether what it requires holds, which is the value of `answer`."""
        position = self._note("item", (answer,), (False,), held)
        self.guards.append(Guard(position, held, str(required.requirement), own_source(), required))

    def _position(self, operation: str, operands: tuple[Any, ...], value: Any) -> int:
        operands = tuple([plain(x) if type(x) is Number and x._numbers is not self else x for x in operands])
        where = tuple([type(x) is Number for x in operands])
        return self._note(operation, tuple([x._position if type(x) is Number else x for x in operands]), where, value)

    def _note(self, operation: str, operands: tuple[Any, ...], positions: tuple[bool, ...], value: Any) -> int:
        key = operation, tuple([(type(x), outcome_of(x)) for x in operands]), positions
        if key not in self._known:
            self._known[key] = len(self.notes)
            self.notes.append(Note(operation, operands, positions))
            self.values.append(value)
        return self._known[key]

    def needed(self, positions: Any) -> list[int]:
        """The positions that those given depend on, themselves included, in order."""
        found: set[int] = set()
        stack = list(positions)
        while stack:
            position = stack.pop()
            if position not in found:
                found.add(position)
                note = self.notes[position]
                stack.extend(x for x, is_position in zip(note.operands, note.positions, strict=True) if is_position)
        return sorted(found)

    def items(self, position: int) -> list[Var]:
        """The Vars whose values the note at `position` depends on."""
        notes = [self.notes[p] for p in self.needed([position])]
        return [note.operands[0] for note in notes if note.operation in READS]


def is_followed(x: Any) -> bool:
    """Whether `x` is a number that a recording follows."""
    return type(x) is Number


def plain(x: Any) -> Any:
    """The number that `x` is now, without a guard: for what is noted otherwise."""
    return x._value if type(x) is Number else x


def _computed(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two methods of a binary operator."""
    function = _ARITHMETIC[name]

    def forward(self: Number, other: Any) -> Any:
        if type(other) is not Number and type(other) not in (int, float, bool, np.float64):
            return function(self._told("float"), other) if isinstance(other, np.ndarray | complex) else NotImplemented
        return self._compute(name, self, other)

    def backward(self: Number, other: Any) -> Any:
        if type(other) not in (int, float, bool, np.float64):
            return function(other, self._told("float")) if isinstance(other, np.ndarray | complex) else NotImplemented
        return self._compute(name, other, self)

    return forward, backward


def _compared(name: str) -> Callable[..., Any]:
    function = _QUESTIONS[name]

    def compare(self: Number, other: Any) -> Any:
        if not isinstance(other, int | float | complex):
            return NotImplemented if type(other).__module__.startswith("tapegrad") else function(self._plain(), other)
        return self._ask(name, self, other)

    return compare


class Number:
    """A float or int that a recording follows; to `isinstance` it is one, to `type()` it is not.

    Once the recording is over, and for code outside it, it is the plain number.
    """

    __slots__ = ("_numbers", "_position", "_value")

    _numbers: Numbers
    _position: int
    _value: Any

    def __init__(self, numbers: Numbers, position: int, value: Any) -> None:
        self._numbers = numbers
        self._position = position
        self._value = value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._value)

    def _followed(self) -> bool:
        recorder = state.now.recorder
        return recorder is not None and recorder.numbers is self._numbers

    def _compute(self, operation: str, *operands: Any) -> Any:
        if self._followed():
            return self._numbers.compute(operation, *operands)
        return OPERATIONS[operation](*[plain(x) for x in operands])

    def _ask(self, question: str, *operands: Any) -> Any:
        if self._followed():
            return self._numbers.ask(question, *operands)
        return _QUESTIONS[question](*[plain(x) for x in operands])

    def _told(self, question: str) -> Any:
        """The value itself, which goes into Python."""
        return self._ask("value" if question == "float" else question, self)

    def _plain(self) -> Any:
        return self._told("float")

    __add__, __radd__ = _computed("add")
    __sub__, __rsub__ = _computed("sub")
    __mul__, __rmul__ = _computed("mul")
    __truediv__, __rtruediv__ = _computed("truediv")
    __floordiv__, __rfloordiv__ = _computed("floordiv")
    __mod__, __rmod__ = _computed("mod")
    __pow__, __rpow__ = _computed("pow")
    __and__, __rand__ = _computed("and")
    __or__, __ror__ = _computed("or")
    __xor__, __rxor__ = _computed("xor")
    __lshift__, __rlshift__ = _computed("lshift")
    __rshift__, __rrshift__ = _computed("rshift")

    __lt__ = _compared("lt")
    __le__ = _compared("le")
    __gt__ = _compared("gt")
    __ge__ = _compared("ge")
    __eq__ = _compared("eq")
    __ne__ = _compared("ne")

    def __hash__(self) -> int:
        return hash(self._plain())

    def __neg__(self) -> Any:
        return self._compute("neg", self)

    def __pos__(self) -> Any:
        return self._compute("pos", self)

    def __abs__(self) -> Any:
        return self._compute("abs", self)

    def __invert__(self) -> Any:
        return self._compute("invert", self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def conjugate(self) -> Number:
        """The number itself, as it is real."""
        return self

    def __bool__(self) -> bool:
        return bool(self._ask("bool", self))

    def __int__(self) -> int:
        return int(self._ask("int", self))

    def __float__(self) -> float:
        return float(self._ask("float", self))

    def __complex__(self) -> complex:
        return complex(self._ask("complex", self))

    def __index__(self) -> int:
        return int(self._ask("index", self))

    def __round__(self, *digits: Any) -> Any:
        return self._ask("round", self, *digits)

    def __trunc__(self) -> Any:
        return self._ask("trunc", self)

    def __floor__(self) -> Any:
        return self._ask("floor", self)

    def __ceil__(self) -> Any:
        return self._ask("ceil", self)

    def __str__(self) -> str:
        return str(self._ask("str", self))

    def __repr__(self) -> str:
        return str(self._ask("repr", self))

    def __format__(self, spec: str) -> str:
        return str(self._ask("format", self, spec))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return np.asarray(self._plain(), dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        told = [x._plain() if type(x) is Number else x for x in inputs]
        return getattr(ufunc, method)(*told, **kwargs)

    def __copy__(self) -> Number:
        return self

    def __deepcopy__(self, memo: Any) -> Number:
        return self

    def __reduce__(self) -> Any:
        return type(self._value), (self._plain(),)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain(), name)


class _Math(types.ModuleType):
    """`math`, whose functions follow numbers."""


def _following(name: str) -> Callable[..., Any]:
    function = _FUNCTIONS[name]

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        for x in args:
            if type(x) is Number:
                return x._compute(f"math.{name}", *args)
        return function(*args)

    return call


following_math = _Math("math")
"""Stands for the module `math` while a function is recorded."""
following_math.__dict__.update(vars(math), **{name: _following(name) for name in _FUNCTIONS})
