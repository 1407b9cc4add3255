"""The model: what PyTorch's autograd does, written for the tests and independent of the code under test.

A tensor is some elements of a memory; a view is others of the same, a write is a change of the elements. What a tensor
requires, which writes are forbidden and when the graph of a view follows its base is PyTorch's bookkeeping, re-derived
from its documentation ("In-place correctness checks", "Views") and its answers. Gradients come from `graph`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .differences import AVOIDED
from .graph import Counter, Edge, Hook, Leaf, Memory, Node, Saved, Term
from .operations import COPY, FILLS, Elementwise, Slope

__all__ = ["Model", "ModelError", "Tensor"]

Array = np.ndarray[Any, Any]


class ModelError(Exception):
    """The operation raises an error; `args[0]` is its kind, a key of `machine.KINDS`."""


@dataclass(eq=False)
class Tensor:
    """A tensor: `cells` are the numbers of its elements in `memory`.

    `flag` is what `requires_grad_` sets. A view has a `base`, of which it shows the elements `through`; `origin` tells
    views made under `no_grad` or several at once; its node was derived when the counter stood at `seen`. `plain` says
    that the layout of the memory is known: elements in order.
    """

    memory: Memory
    cells: Array
    counter: Counter = field(default_factory=Counter)
    flag: bool = False
    node: Node | None = None
    base: Tensor | None = None
    through: Array | None = None
    origin: str = ""
    seen: int = 0
    plain: bool = True
    grad: Tensor | None = None
    retains: bool = False
    accumulator: Leaf | None = None

    @property
    def values(self) -> Array:
        return self.memory.values[self.cells]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.cells.shape

    @property
    def size(self) -> int:
        return self.cells.size

    @property
    def overlaps(self) -> bool:
        """Whether elements share memory."""
        return np.unique(self.cells).size != self.size

    @property
    def requires_grad(self) -> bool:
        return self.flag or self.node is not None or (self.base is not None and self.base.requires_grad)

    @property
    def stale(self) -> bool:
        """Whether a write has made the history of a view out of date."""
        if self.base is None or (self.node is None and not self.base.requires_grad):
            return False
        return self.seen != self.counter.version

    @property
    def refused(self) -> bool:
        """Whether a view has no history any more, since autograd cannot relate it to its base."""
        return self.stale and bool(self.origin)

    @property
    def is_leaf(self) -> bool:
        return self.node is None and not self.stale

    def history(self) -> Node | None:
        """The node, derived anew from that of the base after a write.

        Raises ModelError for a view that autograd cannot relate to its base.
        """
        if self.stale:
            if self.origin:
                raise ModelError(self.origin)
            assert self.base is not None
            assert self.through is not None
            edge = self.base.edge()
            self.derive(Node(self.shape, [] if edge is None else [Term(edge, self.through.ravel())]))
            self.seen = self.counter.version
        return self.node

    def derive(self, node: Node) -> None:
        """Take `node`; a gradient that is retained is from here on that of the new value."""
        if self.node is not None and self.node.keeper is self:
            self.node.keeper = None
        if self.retains:
            node.keeper = self
        self.node = node

    def edge(self) -> Edge | None:
        """Where the gradient goes."""
        node = self.history()
        if node is not None or not self.flag:
            return node
        if self.accumulator is None:
            self.accumulator = Leaf(self.shape, self)
        return self.accumulator

    def saved(self) -> Saved:
        return Saved(self.memory, self.cells, self.counter, self.counter.version, self.edge())


def fresh(values: Array, *, plain: bool = True, fragile: bool = False, exact: bool = True) -> Tensor:
    """A tensor with memory of its own."""
    values = np.asarray(values, dtype=np.float64)
    cells = np.arange(values.size).reshape(values.shape)
    return Tensor(Memory(values, fragile), cells, Counter(exact=exact), plain=plain)


class Model:
    """Grad mode, and the operations on tensors."""

    def __init__(self) -> None:
        self.grad_enabled = True

    # Out of place

    def elementwise(self, op: Elementwise, *operands: Tensor) -> Tensor:
        out = fresh(op.forward(*[t.values for t in operands]), plain=all(t.plain and ordered(t) for t in operands))
        self.record(out, op, operands)
        return out

    def record(self, out: Tensor, op: Elementwise, operands: Sequence[Tensor]) -> None:
        """Give the fresh tensor `out` its node."""
        if self.needed(operands):
            edges = [t.edge() for t in operands]
            out.node = Node(out.shape)
            terms_of(out.node, op, edges, kept_of(op, edges, operands, out), [t.shape for t in operands], out.shape)

    def needed(self, operands: Iterable[Tensor]) -> bool:
        return self.grad_enabled and any(t.requires_grad for t in operands)

    def linear(self, values: Array, parts: Sequence[tuple[Tensor, Array, Array | None]], scale: float = 1.0) -> Tensor:
        """A new tensor whose elements are sums of elements of others: `(tensor, take, put)` as in a Term."""
        out = fresh(values, plain=all(t.plain and ordered(t) for t, _, _ in parts))
        if self.needed([t for t, _, _ in parts]):
            slope = None if scale == 1.0 else lambda: scale
            found = [(t.edge(), take, put) for t, take, put in parts]
            terms = [Term(edge, take, put, slope) for edge, take, put in found if edge is not None]
            out.node = Node(out.shape, terms)
        return out

    def reduce(self, t: Tensor, dim: int | None, mean: bool) -> Tensor:
        """The sum or mean over one dim or all."""
        values = t.values.sum(axis=dim)
        out = np.arange(values.size).reshape(values.shape)
        put = np.broadcast_to(out if dim is None else np.expand_dims(out, dim), t.shape).ravel()
        scale = values.size / max(t.size, 1) if mean else 1.0
        return self.linear(values * scale, [(t, np.arange(t.size), put)], scale)

    def stack(self, tensors: Sequence[Tensor]) -> Tensor:
        values = np.stack([t.values for t in tensors])
        numbers = np.arange(values.size).reshape(values.shape)
        return self.linear(values, [(t, np.arange(t.size), numbers[i].ravel()) for i, t in enumerate(tensors)])

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """The product of two matrices: over all (i, k, j), `a[i, k] * b[k, j]` is added to `out[i, j]`."""
        out = fresh(a.values @ b.values)
        if self.needed([a, b]):
            (n, m), p = a.shape, b.shape[1]
            i, k, j = (index.ravel() for index in np.indices((n, m, p)))
            takes, put = (i * m + k, k * p + j), i * p + j
            edges = (a.edge(), b.edge())
            kept = [None if edges[1 - x] is None else t.saved() for x, t in enumerate((a, b))]
            terms = [
                Term(edge, takes[x], put, lambda other: other, ((kept[1 - x], takes[1 - x]),))  # type: ignore[arg-type]
                for x, edge in enumerate(edges)
                if edge is not None
            ]
            out.node = Node(out.shape, terms, [s for s in kept if s is not None], once=True)
        return out

    # Views and aliases

    def view(self, t: Tensor, function: Callable[[Array], Array], origin: str = "") -> Tensor:
        """What `function` shows of `t`."""
        positions = function(np.arange(t.size).reshape(t.shape))
        out = Tensor(t.memory, function(t.cells), t.counter, plain=t.plain)
        out.base = t if t.base is None else t.base
        out.through = positions if t.through is None else t.through.ravel()[positions]
        out.origin = (origin if self.grad_enabled else "view under no_grad") or t.origin
        if self.needed([t]):
            edge = t.edge()
            out.node = Node(out.shape, [] if edge is None else [Term(edge, positions.ravel())])
        out.seen = out.counter.version
        return out

    def reshape(self, t: Tensor, shape: tuple[int, ...], *, must_view: bool) -> Tensor:
        """`t` in another shape: a view where the layout allows, else a copy, or ModelError if it must be a view."""
        assert t.plain
        if t.size == 0 or np.shares_memory(t.cells, t.cells.reshape(shape)):
            return self.view(t, lambda a: a.reshape(shape))
        if must_view:
            raise ModelError("no view")
        out = self.linear(t.values.reshape(shape), [(t, np.arange(t.size), None)])
        out.plain = True
        return out

    def alias(self, t: Tensor, *, unnoticed: bool = False) -> Tensor:
        """`detach()`, or `.data`, whose writes autograd does not notice."""
        return Tensor(t.memory, t.cells, Counter() if unnoticed else t.counter, plain=t.plain)

    def require(self, t: Tensor, flag: bool) -> None:
        if t.node is None:
            t.flag = flag
        elif not flag:
            raise ModelError("flag of a non-leaf")

    # Hooks

    def hook(self, t: Tensor, hook: Hook) -> Hook:
        if not t.requires_grad:
            raise ModelError("hook")
        edge = t.edge()
        assert edge is not None
        edge.hooks.append(hook)
        return hook

    def retain(self, t: Tensor) -> None:
        if not t.requires_grad:
            raise ModelError("retain")
        node = t.history()
        if node is not None:
            t.retains, node.keeper = True, t

    # In place

    def write(self, t: Tensor, op: Elementwise, *others: Tensor) -> None:
        """`t` overwritten with `op` of it."""
        values = np.asarray(op.forward(*[x.values for x in (t, *others)]))
        needed = self.needed((t, *others))
        if needed:
            check_writable(t)
        if t.overlaps and op not in FILLS:
            raise ModelError("overlap")
        edges = [x.edge() for x in (t, *others)] if needed else []
        # Of the tensor itself a copy is kept, of others themselves.
        copy = fresh(t.values)
        copy.node, copy.flag, copy.accumulator = t.node, t.flag, t.accumulator
        assert values.shape == t.shape
        kept = kept_of(op, edges, (copy, *others), None) if needed else {}
        t.memory.values[t.cells] = values
        t.counter.version += 1
        if needed:
            self.rebase(t, op, edges, kept, [x.shape for x in (t, *others)])

    def update(self, t: Tensor, function: Callable[[Array], Array], op: Elementwise) -> None:
        """`t[...] += v`: Python writes the view, and then the view into the tensor."""
        view = self.view(t, function)
        self.write(view, op)
        self.write(self.view(t, function), COPY, view)

    def rebase(
        self,
        t: Tensor,
        op: Elementwise,
        edges: list[Edge | None],
        kept: dict[str, Saved],
        shapes: list[tuple[int, ...]],
    ) -> None:
        """Give `t`, or the base it is a view of, its new history."""
        if t.base is None:
            node, t.flag = Node(t.shape), False
            t.derive(node)
            terms_of(node, op, edges, with_out(op, kept, t), shapes, t.shape)
            return
        base, before = t.base, t.base.edge()
        assert t.through is not None
        through = t.through.ravel()
        node, base.flag = Node(base.shape, once=True), False
        node.opaque = "write through a view, twice backward" in AVOIDED
        base.derive(node)
        t.history()
        written = Node(t.shape)
        terms_of(written, op, edges, with_out(op, kept, t), shapes, t.shape)
        rest = np.setdiff1d(np.arange(base.size), through)
        terms = [] if before is None else [Term(before, rest, rest)]
        for term in written.terms:
            put = through[np.arange(t.size) if term.put is None else term.put]
            if term.edge is edges[0]:  # the view's own: it shows these elements of the base
                assert before is not None
                term = replace(term, edge=before, take=through[term.take])
            terms.append(replace(term, put=put))
        node.terms, node.saved = tuple(terms), written.saved


def kept_of(
    op: Elementwise, edges: Sequence[Edge | None], operands: Sequence[Tensor], out: Tensor | None
) -> dict[str, Saved]:
    """What `op` keeps, by name; `out` only if given."""
    named = dict(zip("ab", operands, strict=False))
    if out is not None:
        named["out"] = out
    names = [name for slope, edge in zip(op.slopes, edges, strict=True) if edge is not None for name in slope.keeps]
    return {name: named[name].saved() for name in dict.fromkeys(names) if name in named}


def with_out(op: Elementwise, kept: dict[str, Saved], t: Tensor) -> dict[str, Saved]:
    """`kept`, with `t` as the result of an operation in place."""
    return {**kept, "out": t.saved()} if any("out" in slope.keeps for slope in op.slopes) else kept


def terms_of(
    node: Node,
    op: Elementwise,
    edges: Sequence[Edge | None],
    kept: dict[str, Saved],
    shapes: Sequence[tuple[int, ...]],
    shape: tuple[int, ...],
) -> None:
    """Give `node` what it knows: how `op` varies, element by element of `shape`."""
    takes = [np.broadcast_to(np.arange(math.prod(s)).reshape(s), shape).ravel() for s in shapes]
    where = {"a": takes[0], "b": takes[-1], "out": np.arange(node.size)}

    def uses_of(slope: Slope) -> tuple[tuple[Saved, Array], ...]:
        return tuple((kept[name], where[name]) for name in slope.keeps)

    node.terms = tuple(
        Term(edge, takes[i], None, slope.function, uses_of(slope), slope.smooth, slope.zero)
        for i, (slope, edge) in enumerate(zip(op.slopes, edges, strict=True))
        if edge is not None
    )
    node.saved = tuple(kept.values())
    node.once = bool(kept) or (op.scalar and edges[0] is not None)
    if "fill_, zero_, copy_, twice backward" in AVOIDED and op.slopes[0].zero and edges[0] is not None:
        node.once = node.opaque = True


def ordered(t: Tensor) -> bool:
    """Whether the elements follow each other in memory."""
    return bool(t.cells.flags.c_contiguous) or t.size <= 1


def check_writable(t: Tensor) -> None:
    """Raise ModelError where autograd, which is to record a write, forbids it."""
    if t.base is not None:
        if t.origin:
            raise ModelError(t.origin)
        if t.requires_grad and t.base.is_leaf:
            raise ModelError("view of a leaf")
    if t.requires_grad and t.is_leaf:
        raise ModelError("leaf")
