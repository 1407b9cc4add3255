"""Random sequences of eager operations, each step run on the libraries and on the model, which must agree.

A step is a line of Python. What a sequence has done is thus a script, which is shown when something disagrees: with
`import torch as tg` it runs on PyTorch. Names are `t0`, `t1`, ...; lines that must raise are wrapped in `refused`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, NoReturn

import numpy as np
from hypothesis import reject, settings
from hypothesis.stateful import RuleBasedStateMachine

import tapegrad

from .model import Model, ModelError, Tensor
from .walk import UNSURE

__all__ = ["KINDS", "LENGTH", "DisagreementError", "Machine", "Wanted", "anything", "broadcasts", "in_graph"]

Array = np.ndarray[Any, Any]

KINDS = {
    "view of a leaf": "a view of a leaf Variable that requires grad is being used in an in-place operation",
    "leaf": "a leaf Variable that requires grad is being used in an in-place operation",
    "several views": "the output of a function that returns multiple views",
    "view under no_grad": "created in no_grad mode",
    "overlap": "more than one element of the written-to tensor refers to a single memory location",
    "modified": "has been modified by an inplace operation",
    "freed": "Trying to backward through the graph a second time",
    "no path": "does not require grad and does not have a grad_fn",
    "no gradient wanted": "One of the differentiated Tensors does not require grad",
    "unused": "appears to not have been used in the graph",
    "implicit": "grad can be implicitly created only for scalar outputs",
    "hook": "cannot register a hook on a tensor that doesn't require gradient",
    "retain": "can't retain_grad on Tensor that has requires_grad=False",
    "flag of a non-leaf": "you can only change requires_grad flags of leaf variables",
    "no view": "view size is not compatible with input tensor's size and stride",
}
"""The errors that sequences meet, by a phrase of their message: the first that it has."""

SAME = [
    {"leaf", "view of a leaf", "overlap", "several views", "view under no_grad"},
    {"no path", "no gradient wanted", "implicit", "several views", "view under no_grad"},
    {"modified", "several views", "view under no_grad"},
]
"""Kinds of errors of which tapegrad raises another than PyTorch where both apply: it checks in another order."""

LENGTH = settings(settings.default, max_examples=10 * settings.default.max_examples, stateful_step_count=40)
"""Sequences cost little, and it is their number and length that find things."""

LIMIT = 10  # of tensors held

NAME = re.compile(r"\bt\d+\b")
MAKES = re.compile(r"(with tg\.\w+\(\): )?t\d+(, t\d+)*,? = ")

HEADER = """import contextlib
import tapegrad as tg  # the same with `import torch as tg`
refused = contextlib.suppress(RuntimeError)
seen = []
"""


class DisagreementError(AssertionError):
    """A library does not do what the model, or the other library, says."""


Wanted = Callable[[Tensor], bool]


def anything(t: Tensor) -> bool:
    return True


def in_graph(t: Tensor) -> bool:
    return t.requires_grad and not t.is_leaf


class Machine(RuleBasedStateMachine):
    """The sequences. Subclasses may add libraries."""

    libraries: ClassVar[dict[str, ModuleType]] = {"tapegrad": tapegrad}

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.pool: dict[str, Tensor] = {}
        self.count = 0
        self.over = False
        self.script: list[str] = []
        self.scopes: dict[str, dict[str, Any]] = {
            name: {"tg": module, "seen": []} for name, module in self.libraries.items()
        }

    # Running a step

    def fail(self, said: str, line: str) -> NoReturn:
        """Show the script that ends with `line`."""
        self.over = True
        raise DisagreementError(f"{said}\n\n{HEADER}" + "\n".join(pruned([*self.script, line])))

    def stop(self) -> None:
        """End the sequence where libraries may go different ways."""
        self.over = True
        reject()

    def run(self, line: str, expected: str | None) -> str | None:
        """Run a line everywhere; the kind of error it must raise is `expected`, or None. What happened."""
        self.script.append(line if expected in (None, UNSURE) else refused(line, expected))
        happened = {name: self.attempt(line, scope) for name, scope in self.scopes.items()}
        if expected == UNSURE:
            expected = next(iter(happened.values()))
            if not all((kind is None) == (expected is None) for kind in happened.values()):
                self.stop()
            if expected is not None:
                self.script[-1] = refused(line, expected)
            return expected
        for name, kind in happened.items():
            if not same(kind, expected):
                del self.script[-1]
                self.fail(f"{name}: {kind or 'no error'}; expected: {expected or 'no error'}", line)
        return expected

    def attempt(self, line: str, scope: dict[str, Any]) -> str | None:
        """Run a line; the kind of error it raises, None if none."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of reference cycles, which create_graph makes
                exec(line, scope)
        except RuntimeError as error:
            return next((kind for kind, phrase in KINDS.items() if phrase in str(error)), f"{error}")
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    def step(self, line: str, action: Callable[[], Any], mode: str = "") -> Any:
        """Run a line and the model's `action`, under a grad mode of its own if asked; the action's result, if any."""
        enabled, self.model.grad_enabled = self.model.grad_enabled, self.mode(mode)
        result = expected = None
        try:
            result = action()
        except ModelError as error:
            expected = error.args[0]
        finally:
            self.model.grad_enabled = enabled
        self.run(mode + line, expected)
        return None if expected else result

    def mode(self, mode: str) -> bool:
        """Whether operations are recorded under `mode`."""
        return {"": self.model.grad_enabled, "with tg.no_grad(): ": False, "with tg.enable_grad(): ": True}[mode]

    def make(self, expression: str, action: Callable[[], Tensor], mode: str = "") -> None:
        """Make a tensor: run `name = expression`."""
        name = f"t{self.count}"
        made = self.step(f"{name} = {expression}", action, mode)
        if made is not None:
            self.hold({name: made})
            self.check(name)

    def hold(self, made: dict[str, Tensor], count: int | None = None) -> None:
        """Take new tensors into the pool, and delete the oldest where there are too many. `count` names are used."""
        self.count += len(made) if count is None else count
        self.pool.update(made)
        for name in [name for name, t in self.pool.items() if not self.watched(t)][: max(0, len(self.pool) - LIMIT)]:
            self.delete(name)

    def watched(self, t: Tensor) -> bool:
        """Whether something is left to see of what happens to `t` once it is deleted."""
        held = t.grad is not None and any(other.memory is t.grad.memory for other in self.pool.values())
        return held or (t.accumulator is not None and bool(t.accumulator.hooks))

    def delete(self, name: str) -> None:
        self.run(f"del {name}", None)
        del self.pool[name]

    # Comparing

    def check(self, name: str) -> None:
        """Compare all that is visible of a tensor."""
        t = self.pool[name]
        kind = self.look_up(name, t)
        self.compare(name, t)
        if kind is None:
            self.see(f"{name}.requires_grad", t.requires_grad)
            self.see(f"{name}.is_leaf", t.is_leaf)
            if t.is_leaf or t.retains:
                self.see(f"{name}.grad is None", t.grad is None)
                if t.grad is not None:
                    self.compare(f"{name}.grad", t.grad)

    def look_up(self, name: str, t: Tensor) -> str | None:
        """Ask for the history of a tensor, which libraries refuse where the model does; the kind of error."""
        expected = t.origin if t.refused else None
        for library, scope in self.scopes.items():
            kind = self.attempt(f"{name}.grad_fn", scope)
            if not same(kind, expected) and self.model.grad_enabled:
                self.fail(f"{library}: {kind or 'no error'}; expected: {expected or 'no error'}", f"{name}.grad_fn")
        if expected is None:
            t.history()
        return expected

    def see(self, expression: str, expected: Any) -> None:
        """An expression must have the value that the model says."""
        for name, scope in self.scopes.items():
            got = eval(expression, scope)
            if got != expected:
                self.fail(f"{name}: {got}; expected: {expected}", f"print({expression})")

    def compare_seen(self, expected: dict[str, Array] | None) -> None:
        """What hooks have recorded since last asked, by the name of the hook; None if it does not matter."""
        for library, scope in self.scopes.items():
            seen = scope["seen"]
            got = dict(seen)
            if expected is not None and (
                len(got) != len(seen)
                or got.keys() != expected.keys()
                or not all(near(np.array(got[name]), values) for name, values in expected.items())
            ):
                wanted = {name: values.tolist() for name, values in expected.items()}
                self.fail(f"{library}: {seen}; expected: {wanted}", "print(seen)")
            seen.clear()

    def compare(self, expression: str, t: Tensor) -> None:
        """Values, shape and version."""
        for name, scope in self.scopes.items():
            got = eval(expression, scope)
            values = np.array(got.detach().clone().tolist(), dtype=np.float64).reshape(tuple(got.shape))
            if values.shape != t.shape:
                self.fail(f"{name}: {values.shape}; expected: {t.shape}", f"print({expression}.shape)")
            if not near(values, t.values):
                self.fail(f"{name}: {values.tolist()}; expected: {t.values.tolist()}", f"print({expression})")
            if t.counter.exact and got._version != t.counter.version:
                self.fail(f"{name}: {got._version}; expected: {t.counter.version}", f"print({expression}._version)")

    def look(self) -> None:
        """Compare everything."""
        for name in self.pool:
            self.check(name)

    def teardown(self) -> None:
        """Look once more, and leave the libraries as they were."""
        try:
            if not self.over:
                self.look()
        finally:
            for scope in self.scopes.values():
                scope["tg"].set_grad_enabled(True)

    # Choosing

    def choose(self, k: int, wanted: Wanted = anything, best: Wanted = anything) -> str | None:
        """The `k`-th of the tensors that are wanted, if any is: the best ones first, then the newest."""
        names = [name for name, t in reversed(self.pool.items()) if wanted(t)]
        names.sort(key=lambda name: not best(self.pool[name]))
        return names[k % len(names)] if names else None

    def chosen(self, k: int, wanted: Wanted = anything, best: Wanted = anything) -> tuple[str, Tensor]:
        """The same where there is one."""
        name = self.choose(k, wanted, best)
        assert name is not None
        return name, self.pool[name]


def near(got: Array, expected: Array) -> bool:
    """Whether values agree to a few roundings of the largest."""
    size = max(1.0, np.abs(expected).max(initial=0.0))
    return np.allclose(got, expected, rtol=1e-9, atol=1e-9 * size)


def same(kind: str | None, expected: str | None) -> bool:
    return kind == expected or any(kind in kinds and expected in kinds for kinds in SAME)


def refused(line: str, kind: str) -> str:
    """The line as a script has it that goes on after the error."""
    inner = line.startswith("with ")
    return f"with refused{', ' if inner else ': '}{line.removeprefix('with ')}  # {kind}"


def pruned(script: list[str]) -> list[str]:
    """The script without the making and deletion of tensors that nothing else mentions; the last line stays."""
    for i, line in enumerate(script[:-1]):
        deletes, makes = line.startswith("del "), MAKES.match(line) and "autograd.grad" not in line
        if deletes or makes:
            others = [other for other in [*script[:i], *script[i + 1 :]] if deletes or not other.startswith("del ")]
            mentioned = {name for other in others for name in NAME.findall(other)}
            if not mentioned.intersection(NAME.findall(line.partition(" = ")[0])):
                return pruned([*script[:i], *script[i + 1 :]])
    return script


def broadcasts(a: tuple[int, ...], b: tuple[int, ...], to: tuple[int, ...] | None = None) -> bool:
    """Whether shapes broadcast to something not too large (to `to`, if given)."""
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return shape == to if to is not None else len(shape) <= 3 and int(np.prod(shape)) <= 12
