"""The model's graph: nodes that know how their output varies with their inputs, and forward-mode over them.

A node is the memory of one differentiable operation. It says how a variation of the inputs becomes one of the output:
a sum of terms, each "take elements of an input, multiply them by a slope, put them into the output", where the slope
is a function of saved tensors. All gradients are found from that by forward mode, one direction per element of what is
asked for: nothing is pulled back, no adjoint is written down.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .jets import VALUE, Array, Jet

__all__ = ["Counter", "Direction", "Edge", "Hook", "Leaf", "Memory", "Node", "Saved", "Term", "reachable", "variations"]

order = itertools.count().__next__


class Memory:
    """Some elements, addressed by number.

    Autograd may hand out one memory twice where nobody is meant to write: `fragile` says so.
    """

    def __init__(self, values: Array, fragile: bool = False) -> None:
        self.values = np.array(values, dtype=np.float64).ravel()
        self.fragile = fragile


@dataclass(eq=False)
class Counter:
    """Counts the writes that autograd notices. Those of gradients may be counted together: `exact` is False."""

    version: int = 0
    exact: bool = True


@dataclass(frozen=True)
class Saved:
    """What a node keeps of a tensor: where its elements are, the version they had, and their history."""

    memory: Memory
    cells: Array
    counter: Counter
    version: int
    edge: Edge | None

    @property
    def modified(self) -> bool:
        return self.counter.version != self.version

    def values(self) -> Array:
        return self.memory.values[self.cells]


@dataclass(frozen=True)
class Term:
    """`out[put] += slope(uses) * input[take]`, the arrays flattened; `uses` are saved tensors and which elements.

    Without `slope` it is one, without `put` the order is kept. `smooth` and `zero` as in `operations.Slope`.
    """

    edge: Edge
    take: Array
    put: Array | None = None
    slope: Callable[..., Any] | None = None
    uses: tuple[tuple[Saved, Array], ...] = ()
    smooth: bool = True
    zero: bool = False


@dataclass(eq=False)
class Hook:
    """A hook that scales, or (with a factor of one) records under its name; `late` if after accumulation."""

    name: str
    factor: float = 1.0
    late: bool = False


class Edge:
    """Where a tensor's gradient goes: to a Node, or to a Leaf. `hooks` run on it, in order.

    `keeper` is the tensor that keeps the gradient in its `grad`: a leaf, or one that `retain_grad` was called of.
    """

    def __init__(self, shape: tuple[int, ...], keeper: Any = None) -> None:
        self.shape = shape
        self.size = math.prod(shape)
        self.hooks: list[Hook] = []
        self.keeper = keeper

    @property
    def scale(self) -> float:
        """What the hooks do to a gradient."""
        return math.prod(hook.factor for hook in self.hooks)


class Leaf(Edge):
    """The end of the graph, whose keeper is the leaf."""

    edges: Sequence[Edge] = ()

    def tangent(self, flow: Flow) -> Jet:
        return Jet({})


class Node(Edge):
    """One operation. `once` says that it can be differentiated once only unless the graph is retained."""

    def __init__(
        self, shape: tuple[int, ...], terms: Sequence[Term] = (), saved: Sequence[Saved] = (), *, once: bool = False
    ) -> None:
        super().__init__(shape)
        self.order = order()
        self.terms = tuple(terms)
        self.saved = tuple(saved)
        self.once = once
        self.freed: bool | None = False  # None: not known
        self.opaque = False  # whether it is not known what is saved

    @property
    def edges(self) -> list[Edge]:
        return list(dict.fromkeys(term.edge for term in self.terms))

    def tangent(self, flow: Flow) -> Jet:
        found = Jet({})
        for term in self.terms:
            moved = flow(term.edge).map(lambda part, take=term.take: part[..., take])
            if term.slope is not None:
                moved = moved * term.slope(*[flow.before(saved, take) for saved, take in term.uses])
            found += moved if term.put is None else moved.map(lambda part, put=term.put: placed(part, put, self.size))
        return found


def placed(part: Array, put: Array, size: int) -> Array:
    out = np.zeros((*part.shape[:-1], size))
    np.add.at(out, (..., put), part)
    return out


class Direction:
    """One independent variable per element of some edges; and what hooks scale by at the time."""

    def __init__(self, edges: Sequence[Edge], reached: Sequence[Edge]) -> None:
        self.offsets: dict[Edge, int] = {}
        self.size = 0
        for edge in edges:
            if edge not in self.offsets:
                self.offsets[edge] = self.size
                self.size += edge.size
        self.scales = {edge: edge.scale for edge in reached if edge.hooks}

    def of(self, edge: Edge, variations: Array) -> Array:
        """The part of an edge, from its last axis."""
        start = self.offsets[edge]
        return variations[..., start : start + edge.size]


class Flow:
    """Forward mode along `direction`, within forward mode along those of `outer`.

    `flow(edge)` is the part of the variation of `edge` that goes along `direction` (and any others). What a node saved
    varies along the others only: it is not what the gradient is taken by.
    """

    def __init__(self, direction: Direction, outer: Flow | None = None) -> None:
        self.direction = direction
        self.outer = outer
        self.number: int = 0 if outer is None else outer.number + 1
        self.known: dict[Edge, Jet] = {}

    def __call__(self, edge: Edge) -> Jet:
        if edge not in self.known:
            self.known[edge] = (edge.tangent(self) + self.injected(edge)) * self.direction.scales.get(edge, 1.0)
        return self.known[edge]

    def injected(self, edge: Edge) -> Jet:
        if edge not in self.direction.offsets:
            return Jet({})
        start, size = self.direction.offsets[edge], self.direction.size
        basis = np.eye(size)[:, start : start + edge.size]
        return Jet({frozenset([self.number]): basis.reshape(*[1] * self.number, size, edge.size)})

    def full(self, edge: Edge) -> Jet:
        return self(edge) if self.outer is None else self(edge) + wider(self.outer.full(edge))

    def before(self, saved: Saved, take: Array) -> Jet:
        """A saved tensor as it varies along the other directions."""
        return wider(saved_jet(self.outer, saved, take))


def saved_jet(flow: Flow | None, saved: Saved, take: Array) -> Jet:
    """Some elements of a saved tensor, varying along the directions of `flow`."""
    axes = 0 if flow is None else flow.number + 1
    jet = Jet({VALUE: saved.values().ravel()[take].reshape(*[1] * axes, -1)})
    if flow is not None and saved.edge is not None:
        jet += flow.full(saved.edge).map(lambda part: part[..., take])
    return jet


def wider(jet: Jet) -> Jet:
    """`jet` beside one more direction."""
    return jet.map(lambda part: part[..., None, :])


class Pulled(Node):
    """The node of a gradient that has a graph itself: the cotangents `seeds` pulled back from `roots` to `target`.

    How its own nodes look inside is PyTorch's and tapegrad's business. The model knows what they depend on: whatever a
    node on the way keeps for the slopes used, and the seeds. `kin` are all of one backward pass: they have nodes in
    common.
    """

    def __init__(
        self,
        roots: Sequence[Edge],
        seeds: Sequence[Saved],
        direction: Direction,
        target: Edge,
        factor: float,
        kin: list[Pulled],
    ) -> None:
        terms, saved = dependences(roots, seeds, target)
        super().__init__(target.shape, terms, saved, once=True)
        self.opaque = True
        self.roots, self.seeds, self.direction, self.target, self.factor = roots, seeds, direction, target, factor
        self.kin = kin
        kin.append(self)

    def tangent(self, flow: Flow) -> Jet:
        inner = Flow(self.direction, flow)
        found = Jet({})
        for root, seed in zip(self.roots, self.seeds, strict=True):
            jet = inner.before(seed, np.arange(root.size)) * inner(root)
            for along, part in jet.parts.items():
                if flow.number in along:
                    found += Jet({along - {inner.number}: self.direction.of(self.target, part.sum(-1)) * self.factor})
        return found


def dependences(roots: Sequence[Edge], seeds: Sequence[Saved], target: Edge) -> tuple[list[Term], list[Saved]]:
    """What a gradient depends on, as terms that only say so; and everything saved on the way."""
    way = leading_to(roots, {target})
    found: dict[Edge, dict[Edge, None]] = {edge: {} for edge in [*way, target]}
    for root, seed in zip(roots, seeds, strict=True):
        if seed.edge is not None and root in found:
            found[root][seed.edge] = None
    saved = list(seeds)
    for node in way:
        saved += node.saved
        for term in node.terms:
            if term.edge in found:
                found[term.edge].update({} if term.zero else found[node])
                if term.smooth:
                    found[term.edge].update(dict.fromkeys(use.edge for use, _ in term.uses if use.edge is not None))
    return [Term(edge, np.arange(0)) for edge in found[target]], saved


def reachable(roots: Sequence[Edge]) -> list[Edge]:
    """The edges that can be reached from `roots`."""
    seen = dict.fromkeys(roots)
    stack = list(seen)
    while stack:
        for edge in stack.pop().edges:
            if edge not in seen:
                seen[edge] = None
                stack.append(edge)
    return list(seen)


def leading_to(roots: Sequence[Edge], targets: set[Edge]) -> list[Node]:
    """The nodes between `roots` and `targets`, youngest first."""
    nodes = sorted((e for e in reachable(roots) if isinstance(e, Node)), key=lambda node: node.order)
    leading: dict[Edge, None] = {}
    for node in nodes:
        if any(edge in targets or edge in leading for edge in node.edges):
            leading[node] = None
    return [node for node in reversed(nodes) if node in leading]


def variations(roots: Sequence[Edge], seeds: Sequence[Array], direction: Direction) -> Array:
    """The derivative of `sum(seed * root)` along each member of `direction`."""
    flow = Flow(direction)
    found = np.zeros(direction.size)
    for root, seed in zip(roots, seeds, strict=True):
        for part in flow(root).parts.values():
            found += part @ np.ravel(seed)
    return found
