"""The reverse walk: cotangents from roots to leaves, in decreasing order of node sequence, without recursion."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush, heappushpop
from typing import TYPE_CHECKING, Any

from . import hooked
from .anomaly import active_anomaly
from .cotangents import accumulate, pull, unbroadcast, wrong
from .tape import Node, extras_of, state
from .tape.hooks import hooked_leaves

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["gather", "is_followed", "reachable", "run", "visited"]

Edge = tuple[Any, int]


def run(
    roots: Sequence[Edge],
    cotangents: Sequence[Tensor],
    *,
    retain_graph: bool,
    create_graph: bool,
    targets: Sequence[Edge] | None = None,
    capture: bool = True,
    inline: bool = False,
    stop: bool = False,
) -> list[Any]:
    """Walk from `roots` (edges with their cotangents) and return the gradients found.

    Without `targets` the gradients are accumulated into the leaves' `.grad`, and [] is returned. With `targets`
    (edges), only nodes on a path to a target run, and their cotangents are returned in order, None where no path leads
    there; nothing is accumulated unless `capture` is off: then the targets that are leaves accumulate. Cotangents are
    bare arrays unless `create_graph`, or a watcher follows what is computed: then a recorder records it, too. So it
    does with `inline`. With `stop`, nothing runs at the targets, neither they themselves nor their hooks.
    """
    now = state.now
    bare, followed, kind = not create_graph, False, _Walk
    if now.watchers:
        followed = inline or is_followed()
        bare = bare and not followed
        kind = _Walk if active_anomaly() is None else _AnomalyWalk
    if stop:
        kind = _StoppingWalk
    walk = kind(roots, retain_graph, create_graph, bare)
    if targets is not None:
        walk.aim(targets, capture)
    if hooked_leaves:
        walk.waiting = _uses(walk)
    before = now.recorder, now.watchers, now.grad_enabled, now.walk
    if now.recorder is not None and not followed:
        state.recorder = None
    now.grad_enabled, now.walk = create_graph, walk
    try:
        if bare:
            now.run_quietly(walk.run, [c._array for c in cotangents])
        else:
            walk.run(cotangents)
    finally:
        now.recorder, now.watchers, now.grad_enabled, now.walk = before
    return [] if targets is None or not capture else [walk.found.get(edge) for edge in targets]


def is_followed() -> bool:
    """Whether a watcher follows what a walk computes."""
    return any(w.follows_values for w in state.now.watchers)


class _Walk:
    """One reverse walk: the cotangents not yet handed on, and the nodes they wait at.

    `pending` holds the cotangent of each node reached; those of leaves wait there to the end. The node to run next is
    the youngest: one candidate is kept in `next`, which saves the heap most of its work, the others in `heap`.
    With `ends`, cotangents that arrive there go to `found`, and only the nodes in `needed` run. `bare` says whether
    cotangents are arrays or tensors. `waiting` has the leaves that are finished before the end, as their hooks want,
    with the number of edges by which something may yet arrive.
    """

    __slots__ = (
        "__weakref__", "bare", "capture", "create_graph", "ends", "found", "heap", "needed", "next", "pending",
        "retain_graph", "roots", "waiting",
    )  # fmt: skip

    def __init__(self, roots: Sequence[Edge], retain_graph: bool, create_graph: bool, bare: bool) -> None:
        self.roots = roots
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.bare = bare
        self.waiting: dict[Node, int] | None = None
        self.ends: set[Node] | None = None
        self.pending: dict[Node, Any] = {}
        self.heap: list[tuple[int, Node]] = []
        self.next: Node | None = None

    needed: AbstractSet[Node]
    found: dict[Edge, Any]
    capture: bool

    def aim(self, targets: Sequence[Edge], capture: bool) -> None:
        """Walk only to `targets`, and note what arrives there if `capture`."""
        self.ends = {node for node, _ in targets}
        self.found = {}
        oldest = min([node.sequence for node in self.ends])  # what is older leads to none of them
        nodes = reachable([node for node, _ in self.roots], oldest)
        if not self.ends <= set(nodes):
            for node in nodes:
                if node.refuses:  # the way to a target may lead through it
                    node.pull(None, create_graph=False)
        self.needed = _needed(nodes, self.ends)
        for node in reversed(nodes):  # those that refuse are the youngest
            if not node.refuses:
                break
            if node in self.needed:
                node.pull(None, create_graph=False)
        self.capture = capture

    def reached(self) -> set[Node]:
        """The nodes that this walk comes to."""
        nodes = reachable([node for node, _ in self.roots])
        return {n for n in nodes if self.ends is None or n in self.needed or n in self.ends}

    def run(self, seeds: Sequence[Any]) -> None:
        """Send the seeds on their way, and go on until nothing is left to do."""
        for (node, index), seed in zip(self.roots, seeds, strict=True):
            self.send(node, index, seed)
        heap, pending = self.heap, self.pending
        plain = self.ends is None and self.waiting is None
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
            if plain and node.extras is None and g is not None:
                self.step(node, g)
            else:
                self.step_carefully(node, g)
        self.finish()

    def step_carefully(self, node: Node, g: Any) -> None:
        """A step where there are targets or hooks, or no cotangent."""
        ends = self.ends
        if g is None and node.extras is None and not node.runs_on_nothing:
            self.pass_by(node)
            return
        if ends is not None and node in ends and node in self.needed:
            self.arrive(node, g)  # what hooks make of it counts only where nothing further runs: PyTorch's order
        if node.extras is not None:
            g = hooked.arrived(node, g, self.bare)
        if ends is not None and node not in self.needed:
            self.arrive(node, g)
            return
        self.step(node, g)
        if self.waiting is not None:
            self.settle(node)

    def finish(self) -> None:
        """Hand the leaves what has arrived for them."""
        pending, plain = self.pending, self.ends is None
        while pending:
            node, g = pending.popitem()
            if not plain or node.extras is not None:
                self.finish_leaf(node, g)
            elif g is not None and (leaf := node.leaf()) is not None:  # type: ignore[misc]
                accumulate(leaf, g, self.bare, self.create_graph)

    def finish_leaf(self, node: Node, g: Any) -> None:
        """Hand the leaf of the accumulator `node` its gradient."""
        extras = node.extras
        if extras is not None:
            g = hooked.arrived(node, g, self.bare)
        if self.ends is not None and self.capture:
            self.arrive(node, g)
        elif extras is not None:
            hooked.accumulated(node, g, self.bare, self.create_graph)
        elif g is not None and (leaf := node.leaf()) is not None:  # type: ignore[misc]
            accumulate(leaf, g, self.bare, self.create_graph)

    def settle(self, node: Node) -> None:
        """`node` has run: finish the waiting leaves for which it was the last to send something."""
        assert self.waiting is not None
        for target in node.edges:
            if target in self.waiting:
                self.waiting[target] -= 1
                if not self.waiting[target] and target in self.pending:
                    self.finish_leaf(target, self.pending.pop(target))

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
            held = pending[node]
            pending[node] = g if held is None else held + g
        else:
            slots = pending[node]
            slots[index] = g if slots[index] is None else slots[index] + g

    def send_nothing(self, node: Node) -> None:
        """Let `node` know that one edge has no cotangent for it: its turn comes even if no other has one."""
        if node not in self.pending:
            self.pending[node] = None if node.outputs == 1 else [None] * node.outputs
            if node.leaf is None:
                self.enqueue(node)

    def pass_by(self, node: Node) -> None:
        """`node` got no cotangent: nothing to compute, but a `Function` further on may still want to run."""
        for target in node.edges:
            if self.ends is None or target in self.needed or target in self.ends:
                self.send_nothing(target)
        if self.waiting is not None:
            self.settle(node)
        if not self.retain_graph:
            node.release()

    def enqueue(self, node: Node) -> None:
        """Let `node` run when it is the youngest."""
        if self.next is None:
            self.next = node
        else:
            heappush(self.heap, (-node.sequence, node))

    def step(self, node: Node, g: Any) -> None:
        """Run the rules of `node` on `g`, check what they return, and send it on."""
        bare = self.bare
        if node.extras is not None:
            cotangents = hooked.pulled(node, g, bare)
        elif not bare or node.dtype.isbuiltin == 2:
            cotangents = pull(node, g, bare)
        else:
            cotangents = node.pull(g, False)
        ends, indices = self.ends, node.indices
        for k, target in enumerate(node.edges):
            cotangent = cotangents[k]
            if ends is not None and target not in self.needed and target not in ends:
                continue
            if cotangent is None:
                if not node.passes_over:
                    self.send_nothing(target)
                continue
            if target.outputs == 1:
                array = cotangent if bare else cotangent._array
                if array.shape != target.shape:
                    cotangent = unbroadcast(node, cotangent, target)
                if array.dtype is not target.dtype and array.dtype != target.dtype:
                    raise wrong(node, "dtype", array.dtype, target.dtype)
            self.send(target, 0 if indices is None else indices[k], cotangent)
        if not self.retain_graph:
            node.release()


class _StoppingWalk(_Walk):
    """A walk that leaves all that is to be done at its targets to another one, which goes on from there."""

    __slots__ = ()

    def step_carefully(self, node: Node, g: Any) -> None:
        """As in any walk, but at a target."""
        assert self.ends is not None
        if node in self.ends:
            self.arrive(node, g)
        else:
            super().step_carefully(node, g)

    def finish_leaf(self, node: Node, g: Any) -> None:
        """Note what has arrived."""
        self.arrive(node, g)


class _Gathering(_Walk):
    """A walk that gives leaves nothing, but notes what arrives for which, in order."""

    __slots__ = ("arrivals",)

    arrivals: list[tuple[Node, Any]]

    def finish(self) -> None:
        """What is left, in the order in which it would be handed over."""
        while self.pending:
            self.finish_leaf(*self.pending.popitem())

    def finish_leaf(self, node: Node, g: Any) -> None:
        """Note it."""
        self.arrivals.append((node, g))

    def hand_over(self, node: Node, g: Any) -> None:
        """Give the leaf of `node` its gradient after all, or note it if it is wanted."""
        super().finish_leaf(node, g)


def gather(
    roots: Sequence[Edge],
    cotangents: Sequence[Tensor],
    *,
    retain_graph: bool,
    create_graph: bool,
    targets: Sequence[Edge] | None,
    capture: bool,
) -> _Gathering:
    """The same walk as `run` does, unseen by a recorder, up to where leaves get what arrived for them.

    Then `arrivals` lists the accumulators with that, in the order in which `run` hands it over, and `found` what
    arrived at targets that are no leaves; tensors with `create_graph`, else arrays. `hand_over` does the rest.
    """
    now = state.now
    walk = _Gathering(roots, retain_graph, create_graph, not create_graph)
    walk.arrivals = []
    if targets is not None:
        walk.aim(targets, capture)
    if hooked_leaves:
        walk.waiting = _uses(walk)
    before = now.recorder, now.watchers, now.grad_enabled, now.walk
    state.recorder = None
    now.grad_enabled, now.walk = create_graph, walk
    try:
        if walk.bare:
            now.run_quietly(walk.run, [c._array for c in cotangents])
        else:
            walk.run(cotangents)
    finally:
        now.recorder, now.watchers, now.grad_enabled, now.walk = before
    walk.bare = False
    return walk


def visited(roots: Sequence[Edge], targets: Sequence[Edge] | None) -> list[Node]:
    """The nodes that a walk from `roots`, to `targets` if given, comes to."""
    nodes = reachable([node for node, _ in roots])
    if targets is None:
        return nodes
    ends = {node for node, _ in targets}
    needed = _needed(nodes, ends)
    return [node for node in nodes if node in needed or node in ends]


class _AnomalyWalk(_Walk):
    """A walk in anomaly mode: says where the forward operation was called whose backward fails."""

    __slots__ = ()

    def step(self, node: Node, g: Any) -> None:
        """With extras every node takes the careful way."""
        extras_of(node)
        anomaly = active_anomaly()
        assert anomaly is not None
        outer, anomaly.running = anomaly.running, node
        try:
            super().step(node, g)
        except Exception:
            anomaly.report(node)
            raise
        finally:
            anomaly.running = outer


def reachable(roots: Sequence[Node], since: int = -1) -> list[Node]:
    """The nodes, of sequence `since` or later, that can be reached from `roots`, oldest first."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        for node in stack.pop().edges:
            if node not in seen and node.sequence >= since:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=lambda node: node.sequence)


def _needed(nodes: Sequence[Node], ends: set[Node]) -> set[Node]:
    """Those of `nodes`, oldest first, from which some node of `ends` can be reached through an edge."""
    needed: set[Node] = set()
    for node in nodes:
        if any(target in ends or target in needed for target in node.edges):
            needed.add(node)
    return needed


def _uses(walk: _Walk) -> dict[Node, int] | None:
    """By how many edges of the nodes that `walk` runs each hooked leaf is reached; None if none is."""
    uses: dict[Node, int] = {}
    for node in reachable([node for node, _ in walk.roots]):
        if walk.ends is None or node in walk.needed:
            for target in node.edges:
                if id(target) in hooked_leaves:
                    uses[target] = uses.get(target, 0) + 1
    return uses or None
