"""The reverse walk: cotangents from roots to leaves, in decreasing order of node sequence, without recursion."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush, heappushpop
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import RuleError
from .primitives.shaping import broadcast_adjoint
from .tape import Node, TensorBase, state, wrap

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["accumulate", "reachable", "run"]

Edge = tuple[Any, int]

_ndarray = np.ndarray
_NOTHING: AbstractSet[Node] = frozenset()
_NOT_LOOKED_FOR: dict[Edge, Any] = {}  # never written to: only walks with targets look


def run(
    roots: Sequence[Edge],
    cotangents: Sequence[Tensor],
    *,
    retain_graph: bool,
    create_graph: bool,
    targets: Sequence[Edge] | None = None,
) -> list[Any]:
    """Walk from `roots` (edges with their cotangents) and return the gradients found.

    Without `targets` the gradients are accumulated into the leaves' `.grad`, and [] is returned. With `targets`
    (edges), their cotangents are returned in order, None where no path leads there; nothing is accumulated, and only
    nodes on a path to a target run. Cotangents are bare arrays unless `create_graph`.
    """
    walk = _Walk(retain_graph, create_graph)
    if targets is not None:
        walk.ends = {node for node, _ in targets}
        walk.found = {}
        walk.needed = _needed([node for node, _ in roots], walk.ends)
    now = state.now
    recorder, now.recorder = now.recorder, None
    grad_enabled, now.grad_enabled = now.grad_enabled, create_graph
    try:
        if create_graph:
            walk.run(roots, cotangents)
        else:
            now.run_quietly(walk.run, roots, [c._array for c in cotangents])
    finally:
        now.recorder, now.grad_enabled = recorder, grad_enabled
    return [] if targets is None else [walk.found.get(edge) for edge in targets]


class _Walk:
    """One reverse walk: the cotangents not yet handed on, and the nodes they wait at.

    `pending` holds the cotangent of each node reached; those of leaves wait there to the end. The node to run next is
    the youngest: one candidate is kept in `next`, which saves the heap most of its work, the others in `heap`.
    With `ends`, cotangents that arrive there go to `found`, and only the nodes in `needed` run.
    """

    __slots__ = ("create_graph", "ends", "found", "heap", "needed", "next", "pending", "retain_graph")

    def __init__(self, retain_graph: bool, create_graph: bool) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.ends: set[Node] | None = None
        self.needed: AbstractSet[Node] = _NOTHING
        self.found: dict[Edge, Any] = _NOT_LOOKED_FOR
        self.pending: dict[Node, Any] = {}
        self.heap: list[tuple[int, Node]] = []
        self.next: Node | None = None

    def run(self, roots: Sequence[Edge], seeds: Sequence[Any]) -> None:
        for (node, index), seed in zip(roots, seeds, strict=True):
            self.send(node, index, seed)
        heap, pending, ends = self.heap, self.pending, self.ends
        while True:
            node = self.next
            if node is None:
                if not heap:
                    break
                node = heappop(heap)[1]
            else:
                self.next = None
                if heap and heap[0][0] < -node.sequence:
                    node = heappushpop(heap, (-node.sequence, node))[1]
            g = pending.pop(node)
            if ends is not None:
                if node in ends:
                    self.arrive(node, g)
                if node not in self.needed:
                    continue
            self.step(node, g)
        self.finish()

    def finish(self) -> None:
        """Hand the leaves what has arrived for them."""
        while self.pending:
            node, g = self.pending.popitem()
            if self.ends is not None:
                self.arrive(node, g)
            elif (leaf := node.leaf()) is not None:  # type: ignore[misc]
                accumulate(leaf, g, self.create_graph)

    def arrive(self, node: Node, g: Any) -> None:
        """Note the cotangents of a node that is wanted."""
        for index, part in enumerate([g] if node.outputs == 1 else g):
            self.found[node, index] = part

    def send(self, node: Node, index: int, g: Any) -> None:
        """Add `g` to the cotangent waiting at output `index` of `node`."""
        pending = self.pending
        if node not in pending:
            pending[node] = g if node.outputs == 1 else [g if i == index else None for i in range(node.outputs)]
            if node.leaf is None:
                self.enqueue(node)
        elif node.outputs == 1:
            pending[node] = pending[node] + g
        else:
            slots = pending[node]
            slots[index] = g if slots[index] is None else slots[index] + g

    def enqueue(self, node: Node) -> None:
        """Let `node` run when it is the youngest."""
        if self.next is None:
            self.next = node
        else:
            heappush(self.heap, (-node.sequence, node))

    def step(self, node: Node, g: Any) -> None:
        """Run the rules of `node` on `g`, check what they return, and send it on."""
        bare = not self.create_graph
        if bare and node.dtype.isbuiltin == 2:  # bfloat16, which NumPy does not know by itself
            cotangents = _pull_with_tensors(node, g)
        else:
            cotangents = node.pull(g, self.create_graph)
        ends, indices = self.ends, node.indices
        for k, target in enumerate(node.edges):
            cotangent = cotangents[k]
            if cotangent is None or (ends is not None and target not in self.needed and target not in ends):
                continue
            if target.outputs == 1:
                array = cotangent if bare else cotangent._array
                if array.shape != target.shape:
                    cotangent = _unbroadcast(node, cotangent, target)
                if array.dtype is not target.dtype and array.dtype != target.dtype:
                    raise _wrong(node, "dtype", array.dtype, target.dtype)
            self.send(target, 0 if indices is None else indices[k], cotangent)
        if not self.retain_graph:
            node.release()


def _pull_with_tensors(node: Node, g: Any) -> list[Any]:
    """The rules run on tensors, though no graph is wanted: for dtypes beside which Python scalars are not weak."""
    return [None if c is None else c._array for c in node.pull(wrap(np.asarray(g)), create_graph=True)]


def _unbroadcast(node: Node, cotangent: Any, target: Node) -> Any:
    """The adjoint of the broadcast that an element-wise primitive did by itself."""
    if not node.plan.pulls or not node.prim.elementwise or cotangent.shape != node.shape:
        raise _wrong(node, "shape", tuple(cotangent.shape), target.shape)
    return broadcast_adjoint(cotangent, target.shape)


def _wrong(node: Node, what: str, got: Any, wanted: Any) -> RuleError:
    return RuleError(f"{node.name()} returned a gradient of {what} {got}, expected {what} {wanted}")


def reachable(roots: Sequence[Node]) -> list[Node]:
    """The nodes that can be reached from `roots`, oldest first."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        for node in stack.pop().edges:
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=lambda node: node.sequence)


def _needed(roots: Sequence[Node], ends: set[Node]) -> set[Node]:
    """The nodes reachable from `roots` from which some node of `ends` can be reached through an edge."""
    needed: set[Node] = set()
    for node in reachable(roots):
        if any(target in ends or target in needed for target in node.edges):
            needed.add(node)
    return needed


def accumulate(leaf: TensorBase, g: Any, create_graph: bool) -> None:
    """Add `g` to `leaf.grad`: in place, unless the gradient itself has a graph."""
    if not leaf._requires_grad:  # no longer
        return
    held = leaf._grad
    if create_graph:
        leaf._grad = g if held is None else held + g
    elif held is None:
        # Three references: this frame's, the caller's and getrefcount's argument. Then nobody else has this memory.
        owned = type(g) is _ndarray and g.base is None and getrefcount(g) <= 3 and g.flags.writeable
        leaf._grad = wrap(g if owned else np.array(g))
    else:
        held += wrap(np.asarray(g))
        leaf._grad = held
