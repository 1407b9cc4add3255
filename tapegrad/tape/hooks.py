"""What users hang on a node: hooks and metadata. Few nodes have any."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .state import state

if TYPE_CHECKING:
    from .node import Node
    from .variable import TensorBase

__all__ = [
    "Extras", "HookTable", "RemovableHandle", "accumulated_hooks", "extras_of", "hooked_leaves", "leaves_with_extras",
    "move_retained", "register", "retains_grad",
]  # fmt: skip

Hook = Callable[..., Any]


class HookTable(dict[int, Hook]):
    """Hooks in the order of registration, by the number of their handle."""

    __slots__ = ("__weakref__",)

    def add(self, hook: Hook) -> RemovableHandle:
        """Register `hook`."""
        return register([(self, hook)])


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away, as leaving a `with` block on it does.

    It does not keep the hook, or what the hook belongs to, alive.
    """

    __slots__ = ("_tables", "id")

    _next_id = itertools.count().__next__

    def __init__(self, tables: Iterable[HookTable]) -> None:
        self.id = RemovableHandle._next_id()
        self._tables = [weakref.ref(table) for table in tables]

    def is_registered(self) -> bool:
        """Whether the hook is there still."""
        return bool(self._holding())

    def _holding(self) -> list[HookTable]:
        return [table for reference in self._tables if (table := reference()) is not None and self.id in table]

    def remove(self) -> None:
        """Take the hook away; nothing happens if it is gone."""
        for table in self._holding():
            if state.recorder is not None:
                state.recorder.unhooked(self.id, table)
            del table[self.id]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def register(hooks: Sequence[tuple[HookTable, Hook]]) -> RemovableHandle:
    """Add each hook to the table beside it; one handle for all."""
    state.expect_user_code()
    handle = RemovableHandle([table for table, _ in hooks])
    for table, hook in hooks:
        table[handle.id] = hook
        if state.recorder is not None:
            state.recorder.hooked(handle.id, table)
    return handle


class Extras:
    """Hooks and metadata of one node.

    `tensor` and `retained` are of the tensors it computed, by output number: their hooks, and weak references to
    those that keep their gradient. `before` and `after` run around the node itself, `accumulated` once a leaf has its
    gradient. `metadata` is the user's; `trace` says where the operation was called in anomaly mode, and `cause` while
    which node ran.
    """

    __slots__ = ("accumulated", "after", "before", "cause", "metadata", "retained", "tensor", "trace")

    def __init__(self) -> None:
        self.tensor: dict[int, HookTable] = {}
        self.retained: dict[int, weakref.ref[TensorBase]] = {}
        self.before = HookTable()
        self.after = HookTable()
        self.accumulated = HookTable()
        self.metadata: dict[Any, Any] = {}
        self.trace: str | None = None
        self.cause: Node | None = None

    def tensor_hooks(self, index: int) -> HookTable:
        """The hooks of the tensor that is output `index`."""
        return self.tensor.setdefault(index, HookTable())


def extras_of(node: Node) -> Extras:
    """The extras of `node`, made now if it has none."""
    if node.extras is None:
        node.extras = Extras()
        leaves_with_extras[0] += node.leaf is not None
    return node.extras


def retains_grad(t: TensorBase) -> bool:
    """Whether `t`, though no leaf, keeps its gradient; a view has its history by now."""
    node = t._node
    if node is None or node.extras is None or t._index not in node.extras.retained:
        return False
    return node.extras.retained[t._index]() is t


leaves_with_extras = [0]
"""How many leaves have ever got extras: if it is as it was, no leaf has hooks that had no extras then."""


hooked_leaves: dict[int, weakref.ref[Node]] = {}
"""The accumulators, by id, with hooks that run once the leaf has its gradient: a walk finishes them early.

Each backward looks whether there are any. (A WeakSet takes ten times as long to say.)
"""


def accumulated_hooks(node: Node) -> HookTable:
    """The hooks that run once the leaf of the accumulator `node` has its gradient."""
    number = id(node)
    if number not in hooked_leaves:
        hooked_leaves[number] = weakref.ref(node, lambda _: hooked_leaves.pop(number, None))
    return extras_of(node).accumulated


def move_retained(t: TensorBase, before: Extras, node: Node, index: int) -> None:
    """`t`, written to in place, has another history: its gradient is kept there, not where it was."""
    for number, reference in list(before.retained.items()):
        if reference() is t:
            del before.retained[number]
            extras_of(node).retained[index] = reference
