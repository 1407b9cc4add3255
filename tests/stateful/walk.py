"""The model of one backward pass: whether it raises, what it frees, and the gradients it finds, records, accumulates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Direction, Edge, Leaf, Node, Pulled, leading_to, reachable, variations
from .model import Model, ModelError, Tensor, fresh
from .operations import BINARY

__all__ = ["UNSURE", "Walk"]

Array = np.ndarray[Any, Any]

UNSURE = "unsure"


class Walk:
    """`backward(roots, seeds)`, or `grad(roots, targets, seeds)`, before it happens.

    `outcome` is the kind of error it must raise, None if none, or UNSURE if that depends on how the graph of a gradient
    is made inside. `commit` then says what happened. `seen` is what hooks record, by name.
    """

    def __init__(
        self,
        roots: Sequence[Tensor],
        seeds: Sequence[Tensor | None],
        targets: Sequence[Tensor] | None = None,
        *,
        retain: bool | None = None,
        create: bool = False,
    ) -> None:
        self.create, self.retain = create, create if retain is None else retain
        self.targets = targets
        self.roots: list[Edge] = []
        self.ran: list[Node] = []
        self.nodes: list[Node] = []
        self.leaves: list[Leaf] = []
        self.ends: list[Edge | None] = []
        self.found: list[Edge] = []
        self.kin: list[Pulled] = []
        self.started = False
        self.seen: dict[str, Array] = {}
        try:
            self.prepare(roots, seeds)
            self.started = True
            self.outcome = self.rehearse()
        except ModelError as error:
            self.outcome = error.args[0]

    def prepare(self, roots: Sequence[Tensor], seeds: Sequence[Tensor | None]) -> None:
        """Raise ModelError for what is refused before anything runs."""
        for root, seed in zip(roots, seeds, strict=True):
            if seed is None and root.requires_grad and root.size != 1:
                raise ModelError("implicit")
        edges = [root.edge() for root in roots]
        if None in edges:
            raise ModelError("no path")
        self.roots = edges  # type: ignore[assignment]
        self.seeds = [fresh(np.ones(r.shape)) if s is None else s for r, s in zip(roots, seeds, strict=True)]
        if self.targets is not None and not all(t.requires_grad for t in self.targets):
            raise ModelError("no gradient wanted")
        self.found = found = reachable(self.roots)
        if self.targets is None:
            self.leaves = [edge for edge in found if isinstance(edge, Leaf)]
            self.nodes = sorted((e for e in found if isinstance(e, Node)), key=lambda node: -node.order)
        else:
            self.ends = [edge if (edge := t.edge()) in found else None for t in self.targets]
            self.nodes = leading_to(self.roots, {edge for edge in self.ends if edge is not None})

    def rehearse(self) -> str | None:
        """The error of the first node that cannot run."""
        for node in self.nodes:
            unsure = node.opaque
            if node.once and node.freed is not False:
                return "freed" if node.freed and not unsure else UNSURE
            if any(saved.modified for saved in node.saved):
                return UNSURE if unsure else "modified"
            self.ran.append(node)
        return None

    def commit(self, *, failed: bool) -> list[Tensor | None]:
        """Note that it happened, or failed. The gradients of the targets; others are accumulated."""
        unsure = self.outcome == UNSURE and failed
        found = [] if failed else self.gradients()
        if not self.retain:
            for node in self.ran if failed and not unsure else self.nodes:
                if node.once:
                    node.freed = None if unsure or node.opaque else True
                for kin in node.kin if isinstance(node, Pulled) else []:
                    kin.freed = None
        return found

    def gradients(self) -> list[Tensor | None]:
        """Find the gradients of all edges where somebody looks, let hooks see them, keep them; return the targets'."""
        wanted = [edge for edge in self.ends if edge is not None]
        reached = list(dict.fromkeys([*self.nodes, *self.leaves, *wanted]))
        looked = [edge for edge in reached if edge in wanted or edge.hooks or edge.keeper is not None]
        direction = Direction(looked, reached)
        flat = variations(self.roots, [seed.values for seed in self.seeds], direction)
        for edge in looked:
            values = direction.of(edge, flat).reshape(edge.shape)
            self.record(edge, values)
            if isinstance(edge, Node) and edge.keeper is not None:
                self.accumulate(edge.keeper, self.gradient(edge, values, direction), in_place=False)
            elif edge in self.leaves and edge.keeper.flag:
                self.accumulate(edge.keeper, self.gradient(edge, values, direction), in_place=not self.create)
                self.seen.update({hook.name: edge.keeper.grad.values for hook in edge.hooks if hook.late})
        found: list[Tensor | None] = []
        for edge in self.ends:
            if edge is None:
                found.append(None)
                continue
            # A gradient that is also pulled back further is returned as it was before hooks.
            scale = 1.0 / edge.scale if edge in self.nodes else 1.0
            values = direction.of(edge, flat).reshape(edge.shape)
            found.append(self.gradient(edge, values * scale, direction, scale, fragile=True))
        return found

    def gradient(
        self, edge: Edge, values: Array, direction: Direction, scale: float = 1.0, *, fragile: bool = False
    ) -> Tensor:
        """A gradient as a tensor, with a graph if asked."""
        g = fresh(values, plain=False, fragile=fragile, exact=False)
        if self.create:
            pulled = Pulled(self.roots, [seed.saved() for seed in self.seeds], direction, edge, scale, self.kin)
            g.node = pulled if pulled.terms else None
        return g

    def record(self, edge: Edge, values: Array) -> None:
        """What the hooks of an edge see of a gradient that leaves them as `values`."""
        for hook in reversed(edge.hooks):
            values = values / hook.factor
            if hook.factor == 1.0 and not hook.late:
                self.seen[hook.name] = values

    def accumulate(self, t: Tensor, g: Tensor, *, in_place: bool) -> None:
        """Add to `grad`."""
        if t.grad is None:
            t.grad = g
        elif in_place:
            t.grad.memory.values[t.grad.cells] += g.values
            t.grad.counter.version += 1
        else:
            model = Model()
            model.grad_enabled = self.create
            t.grad = model.elementwise(BINARY["add"], t.grad, g)
            t.grad.counter.exact = False
            t.grad.plain = False
