"""The eager run that makes a specialisation: recorded, and undone if anything after it fails."""

from __future__ import annotations

import collections
import contextlib
import math
import random
import types
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from ..dtypes import set_default_dtype
from ..environment import Place
from ..tape import Recorder, TensorBase, base_of, state
from ..tape.number import Number, following_math, plain
from .callers import called
from .diverted import diverted, stand_in
from .growing import Watched
from .heap import Change, Snapshot, rewrite
from .leaks import Made
from .output import Output
from .signature import Signature, modes

__all__ = ["Attributes", "EagerRun", "drawn"]


class EagerRun:
    """One eager run of the function under a recorder, undone if anything after it fails.

    `start` runs the function; an exception in a `with` block after that puts everything back.
    """

    def __init__(
        self, function: Callable[..., Any], signature: Signature, args: Any, kwargs: Any, *, guards: bool = True
    ) -> None:
        self.function = function
        self.signature = signature
        self.args = list(args)
        self.kwargs = dict(kwargs)
        self.recorder = Recorder(getattr(function, "__name__", type(function).__name__), strict=True)
        self.recorder.follows_effects = True
        self.recorder.guarded_arrays = {id(x) for x in signature.found.objects if isinstance(x, np.ndarray)}
        self.output = Output(self.recorder)
        self.result: Any = None
        self.modes = modes()
        self.inference = state.now.inference
        self.objects = list(signature.found.objects)
        self.tensors = list(signature.tensors)
        self.recorder.numbers.rigid = signature.found.rigid or not signature.found.followed
        if not guards:
            self.recorder.numbers.refuse = self.recorder.unsupported

    @property
    def follows(self) -> bool:
        """Whether the function was given numbers that are followed."""
        return bool(self.recorder.numbers.notes) and not self.recorder.numbers.rigid

    def number_of(self, value: Any) -> int | None:
        """The number of an object that was found before the run, or that something stands for."""
        if type(value) is Watched:
            return next((number for number, x in self._stands.lists.items() if x is value), None)
        if isinstance(value, tuple):
            return next((number for number, x in self._stands.tuples.items() if x is value), None)
        return self.signature.found.seen.get(id(value))

    def read_lists(self) -> set[str]:
        """Which of the lists that are only appended to were not."""
        return {self.signature.found.text(number) for number, x in self._stands.lists.items() if x.was_read}

    def forget_reads(self, read: set[str]) -> None:
        """Let no others than `read` of those lists be known as read."""
        for number, x in self._stands.lists.items():
            x.was_read = self.signature.found.text(number) in read

    @property
    def lists(self) -> dict[int, Watched]:
        """What stands for the lists that are only appended to, by their numbers."""
        return self._stands.lists

    def start(self) -> None:
        """Run the function. An exception puts everything back."""
        for t, label in zip(self.tensors, self.signature.labels, strict=True):
            self.recorder.add_input(t, label)
        bases = {id(base): base for t in self.tensors if (base := base_of(t)) is not None}
        self.retained = {id(t) for t in self.tensors if retains_grad(t)}
        self.before = {id(t): (t, Attributes.of(t)) for t in (*self.tensors, *bases.values())}
        stands = _Stands(self)
        stands.put()
        self.heap = Snapshot(self.signature.found, stands.lists)
        self._stands = stands
        try:
            before = drawn()
            with self.recording(), diverted(self.output):
                self.result = called(self.function, self.args, self.kwargs)
            self._refuse_unseen(drawn() != before)
        except BaseException as error:
            error.args = tuple(map(plain, error.args))
            self.undo()
            raise

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """The recorder is active inside the block."""
        state.recorder = self.recorder
        try:
            yield
        finally:
            state.recorder = None

    def _refuse_unseen(self, drawn: bool) -> None:
        """Raise what the function was refused, though it caught that and went another way; or if it drew numbers."""
        if drawn:
            latent = self.signature.found.latent
            raise latent[0] if latent else self.recorder.unsupported("drawing from Python's or NumPy's generators")
        if self.recorder.refused is not None:
            raise self.recorder.refused

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.undo()
        self.before.clear()  # at once, so that tensors are alone on their memory again
        del self._stands

    def label(self, position: int) -> str:
        """What to call a captured tensor."""
        found = self.signature.found
        return found.text(found.tensors[position]) if position < len(found.tensors) else "the base of a view"

    def derived(self) -> dict[int, tuple[int, bool]]:
        """How to find the captures that the signature does not have: each as the base of one that it has, or (False) as
        a tensor on all of its memory.
        """
        found = {}
        for j, t in enumerate(self.recorder.captures[len(self.tensors) :], len(self.tensors)):
            based = [i for i, view in enumerate(self.tensors) if base_of(view) is t]
            memory = t._storage and t._storage.memory
            beside = [i for i, other in enumerate(self.tensors) if other._storage and other._storage.memory is memory]
            found[j] = (based[0], True) if based else (beside[0], False)
        return found

    def refuse_leaks(self, kept: Sequence[TensorBase]) -> None:
        """Raise UnsupportedError if a tensor was put where it cannot be seen. The recorder is of no more use then."""
        recorder = self.recorder
        inputs = {id(t) for t in recorder.captures}
        made = Made([entry.reference for number, entry in recorder._entries.items() if number not in inputs])
        for name in set(vars(recorder)) - {"tape", "undone", "refused", "strict"}:
            delattr(recorder, name)
        leaked = made.leaked([*self.tensors, *kept])
        if leaked is not None:
            raise recorder.unsupported(
                f"a tensor of shape {list(leaked._array.shape)} made by the function is kept where jit cannot see it "
                "(a cache, a library's object, another thread): return it"
            )

    def settle(self, changes: Sequence[Change]) -> None:
        """Take the followed numbers out again, from the result and from what the function changed, too."""
        known: dict[int, int] = self.signature.found.seen
        stands = [*self._stands.lists.items(), *self._stands.tuples.items()]
        done: dict[int, tuple[Any, Any]] = {id(x): (x, self.objects[number]) for number, x in stands}
        self.result = settle(self.result, known, done)
        for change in changes:
            rewrite(change, self.objects, lambda x: settle(x, known, done))
        self._stands.take()

    def undo(self) -> None:
        """Put every tensor, container and mode back to what it was before the run."""
        for number, table in getattr(self.recorder, "_hooks", ()):
            table.pop(number, None)
        self.heap.restore()
        self._stands.take()
        for t, before in self.before.values():
            before.restore(t)
        for t, array, version in self.recorder.undo:
            if t._array.flags.writeable:
                np.copyto(t._array, array)
            if t._storage is not None:
                t._storage.version = version
        state.grad_enabled, default = self.modes
        set_default_dtype(default)


def drawn() -> tuple[Any, ...]:
    """The states of the generators of Python and NumPy."""
    numpy: Any = np.random.get_state()  # noqa: NPY002  (the global one is what users draw from)
    return random.getstate(), numpy[1].tobytes(), numpy[2:]


class _Stands:
    """Numbers that stand, for the time of a run, where the followed floats are."""

    def __init__(self, run: EagerRun) -> None:
        self._run = run
        self._put: list[tuple[Place, Any, Any]] = []
        self.lists: dict[int, Watched] = {}
        self.tuples = {number: x for number, x in enumerate(run.objects) if isinstance(x, tuple)}

    def put(self) -> None:
        """Put a Number in the place of each followed float; into a new tuple, where a tuple holds it."""
        run = self._run
        found = run.signature.found
        tuples: dict[int, list[Any]] = {}
        numbers = [run.recorder.numbers.input(i, value) for i, (_, value) in enumerate(found.floats)]
        waiting: list[tuple[Place, Any]] = [(place, x) for (place, _), x in zip(found.floats, numbers, strict=True)]
        for place, x in waiting:
            self._replace(place, x, tuples)
        for number in found.growing:
            self.lists[number] = Watched(run.objects[number])
            self._replace(found.places[number], self.lists[number], tuples)
        if found.floats:
            for place, part in found.maths:
                self._replace(place, following_math if part is math else getattr(following_math, part.__name__), tuples)
        for place, part in found.outside:
            self._replace(place, stand_in(part), tuples)
        for number in sorted(tuples, reverse=True):  # what a tuple holds has a larger number
            old = run.objects[number]
            parts = tuples[number]
            new = tuple(parts) if type(old) is tuple else type(old)._make(parts)
            self.tuples[number] = new
            self._replace(found.places[number], new, tuples)

    def _replace(self, place: Place, new: Any, tuples: dict[int, list[Any]]) -> None:
        objects = self._run.objects
        parent, how, name = place
        if how == "[" and isinstance(objects[parent], tuple):
            tuples.setdefault(parent, list(objects[parent]))[name] = new
            return
        old = self._set(place, new)
        self._put.append((place, old, new))

    def _set(self, place: Place, new: Any) -> Any:
        """Put `new` at a place; returns what was there."""
        run = self._run
        parent, how, name = place
        if how == "argument":
            position = run.signature.argument(name)
            holder: Any = run.kwargs if isinstance(position, str) else run.args
            name = position
        else:
            holder = run.objects[parent]
            if how == "cell":
                cell = holder.__closure__[name[0]]
                old, cell.cell_contents = cell.cell_contents, new
                return old
            if how == "slot":
                old = getattr(holder, name)
                object.__setattr__(holder, name, new)  # frozen dataclasses, too
                return old
            name = run.objects[name] if how == "under" else name
            if how in (".", "global"):
                holder = holder.__dict__ if how == "." else holder.__globals__
        old, holder[name] = holder[name], new
        return old

    def take(self) -> None:
        """Put the floats back, wherever their Numbers still are."""
        for place, old, new in reversed(self._put):
            if place.how == "argument":
                continue
            try:
                now = self._set(place, old)
            except (KeyError, IndexError):
                continue
            if now is not new:  # the function put something else there
                self._set(place, now)


def retains_grad(t: TensorBase) -> bool:
    """Whether `t`, though no leaf, keeps its gradient."""
    node = t._node
    if node is None or node.extras is None or t._index not in node.extras.retained:
        return False
    return node.extras.retained[t._index]() is t


class Attributes(NamedTuple):
    """What of a tensor a run can change besides its memory."""

    grad: Any
    node: Any
    output: int
    requires_grad: bool
    array: Any
    device: Any
    storage: Any
    view: Any
    version: int
    writes: int

    @classmethod
    def of(cls, t: TensorBase) -> Attributes:
        """What they are now."""
        counts = (0, 0) if t._storage is None else (t._storage.version, t._storage.writes)
        return cls(
            t._grad, t._node, t._index, t._requires_grad, t._array, t._device, t._storage, t._view, *counts
        )  # fmt: skip

    def restore(self, t: TensorBase) -> None:
        """Let `t` have them again."""
        t._grad, t._node, t._index, t._requires_grad, t._array, t._device, t._storage, t._view = self[:8]


def settle(value: Any, old: dict[int, int], done: dict[int, tuple[Any, Any]]) -> Any:
    """`value` with numbers that were followed replaced by the plain ones, in new containers too (`old`: the others).

    `done` has, by their ids, values that were settled and what they came to.
    """
    if type(value) is Number:
        return plain(value)
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, tuple):
        parts = [settle(x, old, done) for x in value]
        if all(a is b for a, b in zip(parts, value, strict=True)):
            return value
        new = tuple(parts) if type(value) is tuple else type(value)._make(parts)  # type: ignore[attr-defined]
        return done.setdefault(id(value), (value, new))[1]  # settled meanwhile, if a part of it holds it
    if isinstance(value, slice):
        new = slice(*[plain(x) for x in (value.start, value.stop, value.step)])
        return done.setdefault(id(value), (value, new))[1]
    if isinstance(value, frozenset):
        return type(value)(map(plain, value))
    if id(value) in old or isinstance(value, TensorBase | type | types.ModuleType | types.FunctionType):
        return value
    done[id(value)] = (value, value)
    _settle_parts(value, lambda part: settle(part, old, done))
    for key, part in getattr(value, "__dict__", {}).items():
        value.__dict__[key] = settle(part, old, done)
    return value


def _settle_parts(container: Any, settled: Callable[[Any], Any]) -> None:
    """Replace the parts of a new container by what `settled` makes of them."""
    if isinstance(container, dict):
        parts: list[Any] = [(plain(key), settled(part)) for key, part in container.items()]
        container.clear()
        container.update(parts)
    elif isinstance(container, set):
        parts = list(map(plain, container))
        container.clear()
        container.update(parts)
    elif isinstance(container, list | collections.deque):
        for i, part in enumerate(container):
            container[i] = settled(part)
