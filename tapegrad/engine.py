"""The reverse walk: cotangents from roots to leaves, in decreasing order of node sequence, without recursion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import RuleError
from .primitives.shaping import broadcast_adjoint
from .tape import AccumulateGrad, Node, TensorBase, state, wrap
from .tape.primitive import native

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["accumulate", "run"]

Edge = tuple[Any, int]


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
    walk = _Walk(retain_graph, create_graph, targets)
    seeds = list(cotangents) if create_graph else [c._array for c in cotangents]
    recorder, state.recorder = state.recorder, None
    grad_enabled, state.grad_enabled = state.grad_enabled, create_graph
    try:
        if create_graph:
            return walk.run(roots, seeds)
        with np.errstate(all="ignore"):
            return walk.run(roots, seeds)
    finally:
        state.recorder, state.grad_enabled = recorder, grad_enabled


class _Walk:
    """One reverse walk: the cotangents not yet handed on, and the nodes they wait at."""

    def __init__(self, retain_graph: bool, create_graph: bool, targets: Sequence[Edge] | None) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.targets = targets
        self.pending: dict[Node, Any] = {}
        self.heap: list[tuple[int, Node]] = []

    def run(self, roots: Sequence[Edge], seeds: Sequence[Any]) -> list[Any]:
        for edge, seed in zip(roots, seeds, strict=True):
            self.send(edge, seed)
        if self.targets is None:
            self.walk_all()
            return []
        return self.walk_to(self.targets, _needed([node for node, _ in roots], {node for node, _ in self.targets}))

    def send(self, edge: Edge, g: Any) -> None:
        """Add `g` to the cotangent waiting at `edge`."""
        node, index = edge
        pending = self.pending
        if node in pending:
            if node.outputs == 1:
                pending[node] = pending[node] + g
            else:
                slots = pending[node]
                slots[index] = g if slots[index] is None else slots[index] + g
            return
        if node.outputs == 1:
            pending[node] = g
        else:
            pending[node] = [None] * node.outputs
            pending[node][index] = g
        heappush(self.heap, (-node.sequence, node))

    def walk_all(self) -> None:
        heap, pending = self.heap, self.pending
        while heap:
            _, node = heappop(heap)
            if type(node) is AccumulateGrad:
                accumulate(node.variable, pending.pop(node), self.create_graph)
            else:
                self.pull(node, pending.pop(node))

    def walk_to(self, targets: Sequence[Edge], needed: set[Node]) -> list[Any]:
        found: dict[Edge, Any] = {}
        ends = {node for node, _ in targets}
        while self.heap:
            _, node = heappop(self.heap)
            g = self.pending.pop(node)
            if node in ends:
                for index, part in enumerate([g] if node.outputs == 1 else g):
                    found[node, index] = part
            if node in needed:
                self.pull(node, g, needed | ends)
        return [found.get(edge) for edge in targets]

    def pull(self, node: Node, g: Any, wanted: set[Node] | None = None) -> None:
        """Run the rules of `node` on `g` and send the cotangents on."""
        bare = not self.create_graph
        if bare and node.outputs == 1 and not native(node.dtype):
            # Python scalars in rules are weak beside NumPy's own dtypes only; tensors know PyTorch's rules.
            cotangents = [None if c is None else c._array for c in node.pull(wrap(np.asarray(g)), create_graph=True)]
        else:
            cotangents = node.pull(g, self.create_graph)
        for edge, cotangent in zip(node.edges, cotangents, strict=True):
            target = edge[0]
            if target is None or cotangent is None or (wanted is not None and target not in wanted):
                continue
            if target.outputs == 1:
                if cotangent.shape != target.shape:
                    cotangent = _unbroadcast(node, cotangent, target)
                if (cotangent.dtype if bare else cotangent._array.dtype) != target.dtype:
                    raise _wrong(node, "dtype", cotangent.dtype, target.dtype)
            self.send(edge, cotangent)
        if not self.retain_graph:
            node.release()


def _unbroadcast(node: Node, cotangent: Any, target: Node) -> Any:
    """The adjoint of the broadcast that an element-wise primitive did by itself."""
    if not node.plan.pulls or not node.prim.elementwise or cotangent.shape != node.shape:
        raise _wrong(node, "shape", tuple(cotangent.shape), target.shape)
    return broadcast_adjoint(cotangent, target.shape)


def _wrong(node: Node, what: str, got: Any, wanted: Any) -> RuleError:
    return RuleError(f"{node.name()} returned a gradient of {what} {got}, expected {what} {wanted}")


def _needed(roots: Sequence[Node], ends: set[Node]) -> set[Node]:
    """The nodes reachable from `roots` from which some node of `ends` can be reached (through an edge)."""
    seen: set[Node] = set(roots)
    stack = list(seen)
    while stack:
        for node, _ in stack.pop().edges:
            if node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    needed: set[Node] = set()
    for node in sorted(seen, key=lambda node: node.sequence):
        if any(target in ends or target in needed for target, _ in node.edges):
            needed.add(node)
    return needed


def accumulate(leaf: TensorBase, g: Any, create_graph: bool) -> None:
    """Add `g` to `leaf.grad`: in place, unless the gradient itself has a graph."""
    held = leaf._grad
    if create_graph:
        leaf._grad = g if held is None else held + g
    elif held is None:
        # Two for this frame and getrefcount's argument, one for the caller's stack: nobody else has this memory.
        owned = type(g) is np.ndarray and g.base is None and g.flags.writeable and sys.getrefcount(g) <= 3
        leaf._grad = wrap(g if owned else np.array(g))
    else:
        held += wrap(np.asarray(g))
        leaf._grad = held


