"""Code of the user's that a backward walk runs, run once more while recording: nothing of that may remain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dtypes import set_default_dtype
from ..environment import Reachable, reachable
from ..errors import TapegradError, UnsupportedError
from ..tape import Node, state
from .diverted import diverted
from .heap import Snapshot
from .signature import modes
from .surroundings import Generators

if TYPE_CHECKING:
    from .eager_run import EagerRun

__all__ = ["Problem", "Refusal", "reached_by", "trial"]


class Problem(NamedTuple):
    """What a walk raises that cannot be compiled."""

    error: type[Exception]
    why: str


class Refusal(Exception):  # noqa: N818  (a signal)
    """A walk cannot be compiled."""

    def __init__(self, why: str, error: type[Exception] = UnsupportedError) -> None:
        super().__init__(why)
        self.problem = Problem(error, why)


def reached_by(nodes: Sequence[Node]) -> Reachable:
    """What the code of the user's can reach that a walk over `nodes` runs. Raises Refusal if that cannot be watched."""
    found = reachable()
    try:
        for node in nodes:
            for part in _code_on(node):
                found.visit(part, node.name())
    except UnsupportedError as error:
        raise Refusal(str(error).removeprefix("jit: ")) from None
    return found


def _code_on(node: Node) -> Iterator[Any]:
    """The hooks on a node, and what it runs itself, with what they are given."""
    yield from node.of_the_user()
    for away in node.put_away():
        yield from away.of_the_user()
    if node.extras is not None:
        for table in (*node.extras.tensor.values(), node.extras.before, node.extras.after):
            yield from table.values()


@contextlib.contextmanager
def trial(run: EagerRun, found: Reachable) -> Iterator[None]:
    """The recorder is active inside the block, which runs code of the user's that can reach what was `found`.

    What that did besides computing is undone. Raises Refusal if it did anything, or raised an exception.
    """
    before = _Before(run, found)
    error: Exception | None = None
    try:
        with run.recording(), run.recorder.trying(), diverted(run.output):
            yield
    except Exception as raised:  # noqa: BLE001  (whatever code of the user's raises)
        error = raised
    finally:
        done = before.undo()
        if error is not None or done is not None:
            before.forget_guards()
    if isinstance(error, TapegradError) and not isinstance(error, UnsupportedError):
        raise Refusal(str(error), type(error)) from None
    if error is not None and not isinstance(error, UnsupportedError):
        raise Refusal(f"it raised {type(error).__name__}: {error}") from None
    if done is not None:
        raise Refusal(done)
    if error is not None:
        raise Refusal(str(error)) from None


class _Before:
    """What a trial could change, as it is before that."""

    def __init__(self, run: EagerRun, found: Reachable) -> None:
        recorder = run.recorder
        self._run = run
        self._heaps = [(found, Snapshot(found, {})), (run.signature.found, Snapshot(run.signature.found, run.lists))]
        self._tensors = [(t, t._grad, t._requires_grad) for t in recorder.tensors()]
        self._hooks = len(recorder._hooks)
        self._guards = len(recorder.numbers.guards)
        self._output = run.output.count()
        self._generators = Generators()
        self._modes = modes()
        self._refused, recorder.refused = recorder.refused, None
        self._read = run.read_lists()

    def undo(self) -> str | None:
        """Put all back; returns what, if anything, was not as before."""
        found = [self._undo_heap(), self._undo_tensors(), self._undo_hooks(), self._undo_modes(), self._undo_random()]
        found += [self._undo_guards(), self._undo_output(), self._undo_refusal()]
        return next((what for what in found if what is not None), None)

    def _undo_heap(self) -> str | None:
        changed = None
        for found, heap in self._heaps:
            for change in heap.changes():
                changed = changed or f"it changes {found.text(change.number)}"
            heap.restore()
        if self._run.read_lists() != self._read:
            self._run.forget_reads(self._read)
            changed = changed or "it reads a list that grows"
        return changed

    def _undo_tensors(self) -> str | None:
        changed = None
        for t, grad, requires_grad in self._tensors:
            if t._grad is not grad or t._requires_grad is not requires_grad:
                t._grad, t._requires_grad = grad, requires_grad
                changed = "it changes .grad or .requires_grad of a tensor"
        return changed

    def _undo_hooks(self) -> str | None:
        hooks = self._run.recorder._hooks
        registered = hooks[self._hooks :]
        del hooks[self._hooks :]
        for number, table in registered:
            table.pop(number, None)
        return "it registers a hook" if registered else None

    def _undo_modes(self) -> str | None:
        if modes() == self._modes:
            return None
        state.grad_enabled, default = self._modes
        set_default_dtype(default)
        return "it leaves grad mode or the default dtype changed"

    def _undo_random(self) -> str | None:
        if not self._generators.drawn():
            return None
        self._generators.restore()
        return "it draws from Python's or NumPy's generators"

    def _undo_guards(self) -> str | None:
        """Guards on what the host knows may stay: they are checked when the function is called."""
        numbers = self._run.recorder.numbers
        asked = [guard for guard in numbers.guards[self._guards :] if numbers.items(guard.position)]
        return "it reads a tensor's value in Python" if asked else None

    def forget_guards(self) -> None:
        """Ask nothing of later calls that only the trial asked."""
        self._run.recorder.numbers.forget_guards(self._guards)

    def _undo_output(self) -> str | None:
        return "it prints, logs or warns" if self._run.output.cut_to(self._output) else None

    def _undo_refusal(self) -> str | None:
        recorder = self._run.recorder
        refused, recorder.refused = recorder.refused, self._refused
        return None if refused is None else str(refused).removeprefix(f"{recorder.tape.name}: ")
