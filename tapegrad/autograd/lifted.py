"""Lifted tensors: leaves, as far as a transform's function can see, where the graph goes on to what they stand for.

A transform that takes gradients lifts its arguments, so that gradients with respect to them are those inside it, and
what surrounds it differentiates through them. Once it has ended, nobody can ask for a gradient of a lifted tensor: what
depends on nothing else need not have a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from ..ops.support import stands_for_more
from ..primitives.shaping import reshape
from ..tape import Node, TensorBase, View, Watcher, edge_of, history, state, storage_of, wrap
from ..tape.node import next_sequence
from ..tape.primitive import SavePlan

__all__ = ["Lifting", "any_behind", "detached", "lift", "lives", "settled"]


def _identity(g: Any) -> Any:
    return g


class _LiftNode(Node):
    """Where a lifted tensor begins; its one edge, if there is one, leads to the history of what that stands for."""

    __slots__ = ()

    exists: ClassVar[bool] = False

    def __init__(self, edge: tuple[Any, int], like: Any) -> None:
        source, index = edge
        self.kind = "AliasBackward0"
        self.leaf = None
        self.extras = None
        self.prim = reshape
        self.outputs = 1
        self.shape, self.dtype = like.shape, like.dtype
        self.edges = () if source is None else (source,)
        self.indices = (index,) if index else None
        self.plan = SavePlan((), (), (), ()) if source is None else SavePlan((), (), (0,), ((_identity, None),))
        self.saved = ()
        self.sequence = next_sequence()

    def differentiable(self) -> list[int]:
        """The one operand, if it needs a gradient."""
        return list(self.plan.positions)


class Lifting(Watcher):
    """A transform that lifts tensors. `nodes` are those where the lifted ones begin."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: set[Node] = set()


def lift(x: TensorBase, follow: bool) -> tuple[Any, Node]:
    """A leaf on the memory of `x`, and the node where it begins: its history is that of `x`, if that is to `follow`.

    A recorder is told that it is a view of `x`.
    """
    node = _LiftNode(edge_of(x) if follow else (None, 0), x._array)
    _LiftNode.exists = True
    storage = storage_of(x)
    out = wrap(x._array)
    out._storage = storage
    out._view = None if x._view is None else View(x._view.chain, None)
    out._requires_grad, out._accumulator = True, node
    recorder = _recorder_of(x)
    if recorder is not None:
        recorder.step(reshape, (x,), {"shape": x._array.shape}, out)
    return out, node


def _recorder_of(t: TensorBase) -> Any:
    """The recorder, if there is one and it knows `t`: not where `t` stands for a batch, which that knows instead."""
    recorder = state.recorder
    return None if recorder is None or stands_for_more(t) else recorder


def settled(t: Any) -> Any:
    """`t`; or if it has a history only for the sake of transforms that have ended, the same without."""
    if not _LiftNode.exists or (history(t) is None and not t._requires_grad):
        return t
    return t if lives([edge_of(t)[0]]) else detached(t)


def lives(roots: Iterable[Any], ended: Iterable[Node] = (), local: Callable[[TensorBase], bool] | None = None) -> bool:
    """Whether something can ask for gradients through `roots`: a leaf, or a transform that is still active.

    `ended` are the nodes of a transform that ends now; leaves that are `local` to it do not count, nor do those that
    are gone. Where no transform has ever lifted anything, all is as it always was: True.
    """
    active: set[Node] = set().union(*[w.nodes for w in state.now.watchers if isinstance(w, Lifting)])
    active.difference_update(ended)
    dead: list[Node] = []

    def alive(node: Node) -> bool:
        if isinstance(node, _LiftNode):
            if node not in active:
                dead.append(node)
            return node in active
        if node.edges:
            return False
        if node.leaf is None:
            return True
        leaf = node.leaf()
        if leaf is None or local is None or not local(leaf):
            return leaf is not None
        dead.append(node)
        return False

    return any_behind(roots, alive) or not dead


def any_behind(roots: Iterable[Any], wanted: Callable[[Any], bool]) -> bool:
    """Whether a node that is `wanted` can be reached from `roots`."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        if wanted(node):
            return True
        for source in node.edges:
            if source not in seen:
                seen.add(source)
                stack.append(source)
    return False


def detached(t: TensorBase) -> Any:
    """`t` on the same memory without history; to all watchers but a recorder, still the same."""
    out = wrap(t._array)
    out._storage = storage_of(t)
    if t._view is not None:
        out._view = View(t._view.chain, None)
    recorder = _recorder_of(t)
    if recorder is not None:
        recorder.alias(out, t)
    return out
