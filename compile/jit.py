"""jit: a function recorded once per signature, compiled, checked against its eager run, and run compiled from then on.

The first call of a signature runs the function eagerly under a recorder. That gives the tape, the results, and the
reference for the check at once. What the function captures is an implicit argument (see `environment`), so nothing it
reads can go stale; what it writes is written back after the compiled program succeeded, all or nothing.
"""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Hashable, Sequence
from collections import OrderedDict
from dataclasses import dataclass, fields, is_dataclass, replace
from types import TracebackType
from typing import Any, NamedTuple, Self

import jax
import numpy as np

from ..dtypes import dtype, get_default_dtype, set_default_dtype
from ..environment import Reachable, reach
from ..tape import Recorder, Step, Tape, TensorBase, Var, history, state
from ..tree import Structure, containers, flatten, unflatten
from .device import aval, from_device, store, value_of
from .lower import lower_flat
from .pullback import unsupported_history
from .verify import Report, check

__all__ = ["Jitted", "Specialisation", "jit"]

CHECKS = ("first", "always", "never")


class _Signature(NamedTuple):
    """A call, taken apart: what it can read, and what must match for a program to fit.

    `tensors` are those found (`own`), then their gradients; `labels` says where each was found; `static` is the part of
    the key that is no tensor's; `objects` are the ids of all that was looked into.
    """

    tensors: list[TensorBase]
    labels: list[str]
    key: Hashable
    own: list[TensorBase]
    static: Hashable
    objects: dict[int, int]


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

    def compute(self, tensors: Sequence[TensorBase]) -> tuple[Any, ...]:
        """Run the compiled program on the tensors' values; nothing is changed."""
        with jax.enable_x64(True):  # around fetching too, or JAX would cut 64-bit values down
            values = [value_of(tensors[i], keep=keep) for i, keep in zip(self.reads, self.kept, strict=True)]
            return self.program(*values)

    def run(self, tensors: Sequence[TensorBase]) -> Any:
        """Run the program, write back what the function changes, and rebuild its result."""
        outputs = self.compute(tensors)
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


class Jitted:
    """A function compiled per signature; made by `jit`. `specialisations` lists what was compiled."""

    def __init__(self, function: Callable[..., Any], check: str | float) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._check = check
        self._lock = threading.RLock()
        self._cache: dict[Hashable, Specialisation] = {}

    @property
    def specialisations(self) -> list[Specialisation]:
        """The programs compiled so far, oldest first."""
        return list(self._cache.values())

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function: compiled if there is a program for this signature, else eagerly, to make one."""
        if state.recorder is not None:  # inside another recording: part of that tape
            return self._function(*args, **kwargs)
        signature = _signature(self._function, args, kwargs)
        found = self._cache.get(signature.key)
        if found is None:
            with self._lock:
                return self._specialise(signature, args, kwargs)
        if self._must_check():
            with self._lock:
                return self._run_checked(found, signature, args, kwargs)
        return found.run(signature.tensors)

    def _must_check(self) -> bool:
        if isinstance(self._check, str):
            return self._check == "always"
        return random.random() < self._check  # noqa: S311  (a sample, no secret)

    def _specialise(self, signature: _Signature, args: Any, kwargs: Any) -> Any:
        run = _EagerRun(self._function, signature, args, kwargs)
        with run:
            specialisation = _specialisation(run)
            if self._check != "never":
                specialisation.report = run.compare(specialisation)
                specialisation.report.raise_if_failed()
            self._cache[signature.key] = specialisation
        return run.result

    def _run_checked(self, found: Specialisation, signature: _Signature, args: Any, kwargs: Any) -> Any:
        run = _EagerRun(self._function, signature, args, kwargs)
        with run:
            found.report = run.compare(found)
            found.report.raise_if_failed()
        found.calls += 1
        return run.result


class _EagerRun:
    """One eager run of the function under a recorder, undone if anything after it fails.

    A context manager: entering runs the function; an exception in the block puts every tensor back.
    """

    def __init__(self, function: Callable[..., Any], signature: _Signature, args: Any, kwargs: Any) -> None:
        self.function = function
        self.signature = signature
        self.call = args, kwargs
        self.recorder = Recorder(getattr(function, "__name__", type(function).__name__), strict=True)
        self.result: Any = None
        self.before = [_Attributes.of(t) for t in signature.tensors]
        self.modes = _modes()

    def __enter__(self) -> Self:
        for t, label in zip(self.signature.tensors, self.signature.labels, strict=True):
            self.recorder.add_input(t, label)
        args, kwargs = self.call
        state.recorder = self.recorder
        try:
            self.result = self.function(*args, **kwargs)
            self.recorder.finish(self.result)
        except BaseException:
            self.undo()
            raise
        finally:
            state.recorder = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.undo()

    def undo(self) -> None:
        """Put every tensor back to what it was before the run."""
        for t, array, version in self.recorder.undo:
            np.copyto(t._array, array)
            if t._storage is not None:
                t._storage.version = version
        for t, before in zip(self.signature.tensors, self.before, strict=True):
            before.restore(t)
        state.grad_enabled, default = self.modes
        set_default_dtype(default)

    def compare(self, specialisation: Specialisation) -> Report:
        """Check the compiled program, on the inputs as they were, against this run."""
        tensors = self.signature.tensors
        values = [self.recorder.tape.values[i] for i in specialisation.reads]
        with jax.enable_x64(True):
            compiled = specialisation.program(*[np.array(v) for v in values])
        results = [leaf for leaf in flatten(self.result)[0] if isinstance(leaf, TensorBase)]
        written = [tensors[i] for i in specialisation.writes]
        grads = [tensors[i]._grad for i in specialisation.grads]
        eager = [t._array for t in (*results, *written, *grads) if t is not None]
        names = specialisation.output_names()
        return check(specialisation.tape, values, eager, [np.asarray(x) for x in compiled], names)


def _modes() -> tuple[bool, dtype]:
    """Grad mode and default dtype, which a function could leave changed."""
    return state.grad_enabled, get_default_dtype()


class _Attributes(NamedTuple):
    """What of a tensor a run can change besides its memory."""

    grad: Any
    node: Any
    output: int
    requires_grad: bool
    version: int

    @classmethod
    def of(cls, t: TensorBase) -> _Attributes:
        return cls(t._grad, t._node, t._index, t._requires_grad, 0 if t._storage is None else t._storage.version)

    def restore(self, t: TensorBase) -> None:
        t._grad, t._node, t._index, t._requires_grad = self[:4]


def _specialisation(run: _EagerRun) -> Specialisation:
    """The compiled program of a recorded run. Raises UnsupportedError for effects it could not repeat."""
    recorder, tensors, labels = run.recorder, run.signature.tensors, run.signature.labels
    _refuse_changes(run)
    tape = recorder.tape
    fresh = [i for i, t in enumerate(tensors) if t._grad is not run.before[i].grad and t._grad is not None]
    cleared = [i for i, t in enumerate(tensors) if t._grad is None and run.before[i].grad is not None]
    leaves, structure = flatten(run.result)
    _refuse_containers(run)
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
            kinds.append(("value", _plain(recorder, leaf)))
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


def _refuse_containers(run: _EagerRun) -> None:
    """Raise UnsupportedError for a result whose containers could not be made again as they are."""
    seen = set(run.signature.objects)
    for container in containers(run.result):
        kind = type(container)
        if isinstance(container, dict) and kind not in (dict, OrderedDict):
            raise run.recorder.unsupported(f"returning a {kind.__name__}: return a dict")
        if not isinstance(container, tuple):
            if id(container) in seen:
                raise run.recorder.unsupported(f"returning a {kind.__name__} from outside, or one twice: return a new one")
            seen.add(id(container))
        extra = set(getattr(container, "__dict__", ())) - {f.name for f in fields(container)} if is_dataclass(kind) else ()
        if extra:
            raise run.recorder.unsupported(f"returning a {kind.__name__} with more attributes than fields: {sorted(extra)}")


def _plain(recorder: Recorder, leaf: Any) -> Any:
    """A result that is no tensor: the same in every call of the signature, so it must not be able to change."""
    if leaf is None or isinstance(leaf, bool | int | float | complex | str | bytes):
        return leaf
    raise recorder.unsupported(f"returning a {type(leaf).__name__} from a jitted function: return tensors or numbers")


def _refuse_changes(run: _EagerRun) -> None:
    """Raise UnsupportedError if the run changed something that a compiled call would not change."""
    args, kwargs = run.call
    after = _signature(run.function, args, kwargs)
    before, recorder = run.signature, run.recorder
    if run.modes != _modes():
        raise recorder.unsupported("a change of grad mode or default dtype that outlasts the function")
    if [id(t) for t in after.own] != [id(t) for t in before.own] or after.static != before.static:
        raise recorder.unsupported(
            "a change, by the function, to something other than tensors' values and gradients "
            f"({_difference(before, after)}): return it instead"
        )
    _refuse_shared(run)
    for t, label, attributes in zip(before.tensors, before.labels, run.before, strict=True):
        if t._node is not attributes.node or t._requires_grad != attributes.requires_grad:
            raise recorder.unsupported(f"an in-place operation that gives {label} a history: use it out of place")
        g = t._grad
        if g is not None and g is not attributes.grad:
            if recorder.position(g) is not None or (g._storage is not None and recorder.knows_memory(g)):
                raise recorder.unsupported(f"{label}.grad set to a tensor that shares memory with another one")
            if g._requires_grad:
                raise recorder.unsupported(f"{label}.grad keeping a graph (create_graph): use autograd.grad instead")


def _refuse_shared(run: _EagerRun) -> None:
    """Raise UnsupportedError if memory was written that other tensors look at, or behind the recorder's back."""
    tensors, labels, recorder = run.signature.tensors, run.signature.labels, run.recorder
    written = {i for i, _ in recorder.written()}
    for group in _sharing(tensors):
        if len(group) > 1 and written & set(group):
            raise recorder.unsupported(f"an in-place write to {labels[group[0]]}, whose memory other inputs share")
    for i, t in enumerate(tensors):
        if i not in written and t._storage is not None and t._storage.version != run.before[i].version:
            raise recorder.unsupported(f"a write to {labels[i]} that was not recorded (from another thread?)")
    grads = [t._grad for t, attributes in zip(tensors, run.before, strict=True) if t._grad is not attributes.grad]
    fresh = [g for g in grads if g is not None]
    if len({id(g) for g in fresh}) < len(fresh) or _sharing(fresh):
        raise recorder.unsupported("one gradient given to two tensors: clone() it")


def _difference(before: _Signature, after: _Signature) -> str:
    """Where two signatures part, in words."""
    missing = [label for label in after.labels if label not in before.labels]
    if missing:
        return f"{missing[0]} is new"
    gone = [label for label in before.labels if label not in after.labels]
    if gone:
        return f"{gone[0]} is gone"
    moved = [label for t, s, label in zip(before.own, after.own, before.labels, strict=False) if t is not s]
    return f"{moved[0]} is another tensor" if moved else "a captured value or container is another one"


def _signature(function: Callable[..., Any], args: Any, kwargs: Any) -> _Signature:
    """Everything a call can read, and the key of the specialisation it needs."""
    found = Reachable()
    names = _parameter_names(function, len(args))
    for name, arg in (*zip(names, args, strict=True), *kwargs.items()):
        found.visit(arg, name)
    reach(function, found)
    own = list(found.tensors)
    tensors, labels = list(own), list(found.paths)
    numbers = {id(t): i for i, t in enumerate(tensors)}
    grads: list[int | None] = []
    for t, label in zip(own, found.paths, strict=True):
        g = t._grad
        if g is not None and id(g) not in numbers:
            numbers[id(g)] = len(tensors)
            tensors.append(g)
            labels.append(f"{label}.grad")
        grads.append(None if g is None else numbers[id(g)])
    metas = tuple([_meta(t) for t in tensors])
    static = (len(args), tuple(kwargs), tuple(found.key))
    key = (static, metas, _sharing(tensors), tuple(grads), *_modes())
    return _Signature(tensors, labels, key, own, static, found.seen)


def _meta(t: TensorBase) -> tuple[Any, ...]:
    """What a program depends on of a tensor besides its value: strides too, which decide what is a view."""
    node = history(t)
    return (*aval(t), t._requires_grad, None if node is None else node.kind)


def _sharing(tensors: Sequence[TensorBase]) -> tuple[tuple[int, ...], ...]:
    """Which tensors share memory with others: their positions, a group per memory."""
    on: dict[Any, list[int]] = {}
    for i, t in enumerate(tensors):
        if t._storage is not None:
            on.setdefault(_memory(t), []).append(i)
    return tuple([tuple(group) for group in on.values() if len(group) > 1])


def _memory(t: TensorBase) -> Any:
    """What stands for the memory of `t`: the array that owns it, where NumPy arrays share it from outside."""
    assert t._storage is not None
    memory = t._storage.memory
    if not memory.exported:
        return memory
    return id(t._array if t._array.base is None else t._array.base)


def _parameter_names(function: Callable[..., Any], count: int) -> Sequence[str]:
    """The names of the first `count` positional parameters, for reports."""
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: min(count, code.co_argcount)]
    return names if len(names) == count else [*names, *[f"args[{i}]" for i in range(len(names), count)]]


def jit(function: Callable[..., Any] | None = None, *, check: str | float = "first") -> Any:
    """Compile a function of tensors, keeping what it does when run eagerly. A decorator, with or without arguments.

    The function may call `backward()` and `autograd.grad`, accumulate gradients, and update in place tensors that it
    captures (parameters) or is passed. Its arguments and results may be nested in lists, tuples, dicts and
    dataclasses. One program is compiled per signature: shapes, dtypes, `requires_grad`, whether gradients are present,
    and every Python value the function can reach; a value that changes is a new signature.

    Args:
        function: what to compile.
        check: "first" checks each new program against the eager run that recorded it; "always" checks every call,
            "never" none; a number between 0 and 1 checks the first call and that fraction of the later ones.

    Raises CheckError if a program disagrees with the eager tape, and UnsupportedError for what cannot be compiled:
    reading a tensor's value in Python, drawing random numbers, custom `Function`s, changing captured objects. Both
    leave every tensor as it was before the call.

    What Python does besides (printing, say) happens in the first call of a signature only. Indices and class numbers
    are checked against their bounds then, too; a compiled program gives nan for one out of range.
    """
    if isinstance(check, str):
        if check not in CHECKS:
            raise ValueError(f"jit: check must be one of {', '.join(CHECKS)} or a fraction, got {check!r}")
    elif not 0 <= check <= 1:
        raise ValueError(f"jit: check as a fraction of calls must be between 0 and 1, got {check}")
    if function is None:
        return functools.partial(jit, check=check)
    if not callable(function):
        raise TypeError(f"jit: expected a function, got {type(function).__name__}")
    return Jitted(function, check)
