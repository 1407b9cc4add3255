"""The eager run that makes a specialisation: recorded, and undone if anything after it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import set_default_dtype
from ..errors import UnsupportedError
from ..tape import Recorder, TensorBase, base_of, state
from ..tape.hooks import retains_grad
from .callers import called
from .diverted import divert, undivert
from .growing import Watched
from .heap import Change, Snapshot, rewrite
from .leaks import Made
from .output import Output
from .settling import Settling
from .signature import Signature, modes
from .standing import Stands
from .surroundings import Surroundings

__all__ = ["Attributes", "EagerRun"]


class EagerRun:
    """One eager run of the function under a recorder, undone if anything after it fails.

    `start` runs the function, in what `all_or_nothing` is given to do. `finished` says whether the function has run.
    """

    def __init__(
        self, function: Callable[..., Any], signature: Signature, args: Any, kwargs: Any, *, guards: bool = True
    ) -> None:
        self.function = function
        self.signature = signature
        self.args = list(args)
        self.kwargs = dict(kwargs)
        self._guards = guards
        self.result: Any = None
        self.finished = False
        self.modes = modes()
        self.inference = state.now.inference
        self.objects = list(signature.found.objects)
        self.tensors = list(signature.tensors)
        self._record_anew()

    def _record_anew(self) -> None:
        """A recorder to run the function under, and what there is before that."""
        function, found = self.function, self.signature.found
        self.recorder = Recorder(getattr(function, "__name__", type(function).__name__), strict=True)
        self.recorder.follows_effects = True
        self.recorder.guarded_arrays = {id(x) for x in found.objects if isinstance(x, np.ndarray)}
        self.output = Output(self.recorder)
        self.recorder.numbers.rigid = found.rigid or not found.followed
        if not self._guards:
            self.recorder.numbers.refuse = self.recorder.unsupported
        self.retained = {id(t) for t in self.tensors if retains_grad(t)}
        bases = {id(base): base for t in self.tensors if (base := base_of(t)) is not None}
        self.before = {id(t): (t, Attributes.of(t)) for t in (*self.tensors, *bases.values())}
        self.heap: Snapshot | None = None
        self._surroundings = Surroundings()
        self._thread = {name: getattr(state.now, name) for name in state.now.__slots__}
        self._stands = Stands(self.signature, self.args, self.kwargs, self.recorder.numbers)

    def all_or_nothing(self, make: Callable[[], Any]) -> Any:
        """What `make()` returns. If it raises, all is as before the run, even if undoing that is interrupted once."""
        try:
            try:
                return make()
            except BaseException:
                self.undo()
                raise
        except BaseException:
            self.undo()
            raise
        finally:
            self._forget()

    def _forget(self) -> None:
        """Give up what was kept to undo the run: at once, so that tensors are alone on their memory again."""
        self.before.clear()
        self._thread.clear()
        self.heap = None

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
        """Run the function. What it raises holds nothing of the recording."""
        try:
            self._start()
        except UnsupportedError:
            if not self.recorder.wrote_again:
                raise
            self.undo()
            self._record_anew()
            self.recorder.computes_again = True
            self._start()

    def _start(self) -> None:
        for t, label in zip(self.tensors, self.signature.labels, strict=True):
            self.recorder.add_input(t, label)
        self._stands.put()
        self.heap = Snapshot(self.signature.found, self._stands.lists)
        try:
            state.recorder = self.recorder
            divert(self.output)
            self.result = called(self.function, self.args, self.kwargs)
            self._refuse_unseen()
        except BaseException as error:
            self._settling().error(error)
            raise
        finally:
            self._leave()
        self.finished = True

    def _leave(self) -> None:
        """What this thread does is no part of the recording any more."""
        if self._thread:
            undivert(self.output)
            for name, before in self._thread.items():
                if name != "grad_enabled":  # which is for `modes` to see
                    setattr(state.now, name, before)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """The recorder is active inside the block."""
        try:
            state.recorder = self.recorder
            yield
        finally:
            state.recorder = None

    def _refuse_unseen(self) -> None:
        """Raise what the function was refused, though it caught that and went another way; or if it drew numbers."""
        if self._surroundings.generators.drawn():
            latent = self.signature.found.latent
            raise latent[0] if latent else self.recorder.unsupported("drawing from Python's or NumPy's generators")
        changed = self._surroundings.changed()
        if changed is not None:
            raise self.recorder.unsupported(f"a change to {changed}, which would be made once only: do it outside")
        if self.recorder.refused is not None:
            raise self.recorder.refused

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
            homes = [self.recorder.home(i) for i in range(len(self.tensors))]  # what they were when it began
            based = [i for i, view in enumerate(homes) if base_of(view) is t]
            memory = t._storage and t._storage.memory
            beside = [i for i, other in enumerate(homes) if other._storage and other._storage.memory is memory]
            found[j] = (based[0], True) if based else (beside[0], False)
        return found

    def refuse_leaks(self, kept: Sequence[TensorBase]) -> None:
        """Raise UnsupportedError if a tensor was put where it cannot be seen. The recorder is of no more use then."""
        recorder = self.recorder
        stands = [stand for entry in recorder._entries.values() for stand in entry.left]
        inputs = {id(t) for t in (*recorder.captures, *stands)}
        made = Made([entry.reference for number, entry in recorder._entries.items() if number not in inputs])
        for name in set(vars(recorder)) - {"tape", "undone", "refused", "strict"}:
            delattr(recorder, name)
        leaked = made.leaked([*self.tensors, *kept])
        if leaked is not None:
            raise recorder.unsupported(
                f"a tensor of shape {list(leaked._array.shape)} made by the function is kept where jit cannot see it "
                "(a cache, a library's object, another thread): return it"
            )

    def _settling(self) -> Settling:
        stands = self._stands
        stood_for = [(x, self.objects[number]) for kind in (stands.lists, stands.tuples) for number, x in kind.items()]
        return Settling(self.signature.found.seen, stood_for)

    def settle(self, changes: Sequence[Change]) -> None:
        """Take the followed numbers out again, from the result and from what the function changed, too."""
        settled = self._settling()
        self.result = settled(self.result)
        for change in changes:
            stand = self._stands.lists.get(change.number)
            if stand is None:
                rewrite(change, self.objects, settled)
            else:
                stand.give_to(self.objects[change.number], [settled(x) for x in change.after])
        self._stands.take()

    def undo(self) -> None:
        """Put every tensor, container and mode back to what it was before the run; all the same if it is done again."""
        failed = None
        for step in (self._leave, self._undo_hooks, self._undo_objects, self._stands.take, self._undo_tensors):
            try:
                step()
            except BaseException as error:  # noqa: BLE001  (the others are to be done all the same)
                failed = failed or error
        if failed is not None:
            raise failed

    def _undo_hooks(self) -> None:
        for number, table in getattr(self.recorder, "_hooks", ()):
            table.pop(number, None)

    def _undo_objects(self) -> None:
        self._surroundings.restore()
        self._stands.cut()
        if self.heap is not None:
            self.heap.restore()

    def _undo_tensors(self) -> None:
        for t, before in self.before.values():
            before.restore(t)
        for t, array, version in self.recorder.undo:
            if t._array.flags.writeable:
                np.copyto(t._array, array)
            if t._storage is not None:
                t._storage.version = version
        state.grad_enabled, default = self.modes
        set_default_dtype(default)


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
