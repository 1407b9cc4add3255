"""What is per thread: grad and inference mode, who watches, and a context in which NumPy does not warn."""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .recorder import Recorder
    from .variable import TensorBase

__all__ = ["Watcher", "device_lock", "leaf_lock", "state"]


class Watcher:
    """What is told of all that happens in its thread while it is active: a recorder, a mode, a transform.

    Watchers are a stack, the latest innermost. Each is told before those outside it; what it does itself is seen by
    those outside it only, unless it `sees_itself`. One that returns True to what it was told has done what this stands
    for itself: those outside are not told. Those that are `told_last` are told after all others, the outermost first.
    """

    sees_itself: ClassVar[bool] = False
    told_last: ClassVar[bool] = False
    """Whether it uses what it is told of, which those outside it must know by then."""
    follows_values: ClassVar[bool] = False
    """Whether it must see what the rules of a backward pass compute, so that a walk runs on tensors."""
    looks_inside: ClassVar[bool] = False
    """Whether it must see what a compiled function does inside, so that this is not run compiled."""

    def step(self, prim: Any, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> bool | None:
        """`out` was computed, and its node made."""

    def alias(self, out: TensorBase, source: TensorBase) -> bool | None:
        """`out` looks at the memory of `source`, without its history."""

    def constant(self, out: TensorBase) -> None:
        """`out` was made from Python values."""

    def made(self, node: Any) -> None:
        """`node` was made for a `Function`."""

    def like(self, out: TensorBase, source: TensorBase) -> bool | None:
        """`out` was made from Python values, to be like `source`."""

    def frozen(self, out: TensorBase, source: TensorBase) -> bool | None:
        """`out` is a copy of `source`, which is about to be written to, with its history."""

    def moved(self, t: TensorBase, before: Any) -> bool | None:
        """`t` has its value in another array than `before`."""

    def will_write(self, t: TensorBase) -> bool | None:
        """What will be written to `t` in place is about to be computed, perhaps of `t` itself."""

    def will_take(self, t: TensorBase, out: TensorBase) -> bool | None:
        """`out` is about to be written to `t`: the last chance to refuse."""

    def before_write(self, t: TensorBase) -> bool | None:
        """The memory of `t` is about to change."""

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> bool | None:
        """`t` has been given the value (and, if `tracked`, the history) of `out`."""

    def reads_value(self, what: str, t: TensorBase | None = None) -> bool | None:
        """The value of `t` goes into Python."""

    def changes_graph(self, what: str) -> None:
        """`what`, "requires_grad_" or "backward", is about to change what leaves are, or their gradients."""

    # Not told to all of them, but asked of one after the other

    def whole(self, t: TensorBase) -> TensorBase | None:  # noqa: ARG002
        """The tensor of all the values that `t` stands for, if to this watcher it stands for more than its own."""
        return None

    def text(self, t: TensorBase) -> str | None:  # noqa: ARG002
        """What `t` prints as, if it is more than it seems."""
        return None

    def draw(self, make: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...]) -> Any:  # noqa: ARG002
        """The random tensor `make(shape)`, for a watcher that wants more than one, or forbids it."""
        return None

    def pack(self, t: TensorBase) -> Any:  # noqa: ARG002
        """`t` put away (`Packed`) by this watcher, if it does that with what nodes save."""
        return None

    def takes_function(self, function: Any, args: tuple[Any, ...]) -> bool:  # noqa: ARG002
        """Whether this watcher, in place of `Function.apply`, calls `function` on `args`."""
        return False

    def function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """The result of the `Function` on `args`, for a watcher that takes it."""
        raise NotImplementedError


class _Now:
    """One thread's state.

    `quiet(function, *arrays, **params)` calls a NumPy function with floating-point warnings off: overflow, division
    by zero and invalid operations give inf and nan silently, as in PyTorch, whatever `numpy.seterr` says outside.
    It does so in a context (of `contextvars`) of its own, which costs a tenth of `numpy.errstate`.
    """

    __slots__ = ("grad_enabled", "hooks_disabled", "inference", "output", "quiet", "recorder", "walk", "watchers")

    user_code: ClassVar[bool] = False
    """Whether a walk may run code of the user's, which must find the context it expects: once there is any."""

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.quiet: Any = context.run
        self.grad_enabled = True
        self.inference = False
        self.hooks_disabled = ""  # why hooks of saved tensors may not be used, if they may not
        self.walk: Any = None  # the reverse walk that is going on
        self.recorder: Recorder | None = None
        self.output: Any = None  # what notes the output of the function that is recorded
        self.watchers: tuple[Watcher, ...] = ()  # the recorder, if there is one, first

    def tell(self, event: str, *args: Any) -> None:
        """Call the method `event` of each watcher, the innermost first, up to one that returns True.

        Those inside it that are `told_last` follow.
        """
        watchers = self.watchers
        if len(watchers) == 1 and watchers[0].sees_itself:  # most often a recorder
            getattr(watchers[0], event)(*args)
            return
        last = []
        try:
            for i in range(len(watchers) - 1, -1, -1):
                watcher = watchers[i]
                if watcher.told_last:
                    last.append(i)
                    continue
                self.watchers = watchers[: i + watcher.sees_itself]
                if getattr(watcher, event)(*args):
                    break
            for i in reversed(last):
                self.watchers = watchers[:i]
                getattr(watchers[i], event)(*args)
        finally:
            self.watchers = watchers

    def outside(self, watcher: Watcher, call: Callable[..., Any], *args: Any) -> Any:
        """`call(*args)`, seen only by the watchers outside `watcher`."""
        watchers = self.watchers
        self.watchers = watchers[: watchers.index(watcher)]
        try:
            return call(*args)
        finally:
            self.watchers = watchers

    def tell_inside(self, watcher: Watcher, event: str, *args: Any) -> None:
        """Tell the watchers inside `watcher`, which was the one to know."""
        watchers = self.watchers
        try:
            for i in range(watchers.index(watcher) + 1, len(watchers)):
                self.watchers = watchers[:i]
                getattr(watchers[i], event)(*args)
        finally:
            self.watchers = watchers

    def watch(self, watcher: Watcher) -> None:
        """Make `watcher` the innermost one."""
        self.watchers = (*self.watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Tell `watcher` no more."""
        self.watchers = tuple([w for w in self.watchers if w is not watcher])

    @contextlib.contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """`watcher` is the innermost one inside the block."""
        self.watch(watcher)
        try:
            yield
        finally:
            self.unwatch(watcher)

    def run_quietly(self, function: Callable[..., Any], *args: Any) -> None:
        """`function(*args)` with warnings off all the while; what it calls quietly is then called as it is."""
        quiet, self.quiet = self.quiet, _call
        try:
            if self.user_code:
                _call_in_quiet(function, *args)
            else:
                quiet(function, *args)
        finally:
            self.quiet = quiet


class _State(threading.local):
    """The state of the thread that asks. `now` is all of it at once, for code that reads more than one thing."""

    now: _Now

    def __init__(self) -> None:
        self.now = _Now()

    @property
    def grad_enabled(self) -> bool:
        """Whether operations record a graph."""
        return self.now.grad_enabled

    @grad_enabled.setter
    def grad_enabled(self, value: bool) -> None:
        self.now.grad_enabled = value

    @property
    def recorder(self) -> Recorder | None:
        """What collects a tape, if anything does."""
        return self.now.recorder

    @recorder.setter
    def recorder(self, value: Recorder | None) -> None:
        now = self.now
        others = tuple([w for w in now.watchers if w is not now.recorder])
        now.recorder = value
        now.watchers = others if value is None else (value, *others)

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Who is told of what happens, the innermost last."""
        return self.now.watchers

    def expect_user_code(self) -> None:
        """From here on, in every thread, walks may run code of the user's."""
        _Now.user_code = True

    @property
    def quiet(self) -> Any:
        """What runs NumPy functions."""
        return self.now.quiet

    @quiet.setter
    def quiet(self, value: Any) -> None:
        self.now.quiet = value


@np.errstate(all="ignore")
def _call_in_quiet(function: Callable[..., Any], *args: Any) -> None:
    """In the caller's own context, unlike `quiet`."""
    function(*args)


def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


state = _State()

leaf_lock = threading.RLock()
"""Held while a leaf's `.grad` or its accumulator is set, so that threads that share a leaf lose no gradient."""
device_lock = threading.RLock()
"""Held while a compiled program may have written over the values of tensors that have not got their new ones yet."""

if hasattr(os, "register_at_fork"):  # a child must not wait for a lock that a thread of its parent held
    for lock in (leaf_lock, device_lock):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
