"""What the sequences do with tensors: creation, arithmetic, views, aliases, writes, grad modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from .differences import AVOIDED
from .graph import Edge, Memory
from .machine import Machine, Wanted, anything, broadcasts, in_graph
from .model import ModelError, Tensor, check_writable, fresh
from .operations import ASSIGN, BINARY, COPY, FILLS, SCALAR, UNARY, Elementwise, reshapes, several, views

__all__ = ["COUNT", "TensorRules", "literal", "numbers"]

SHAPES = [(2,), (), (3,), (2, 3), (2, 2), (3, 1)]
BOUND = 30.0  # of elements: what would exceed it is not computed
NEAR = 0.25  # what is closer to zero than this is not divided by

COUNT = st.integers(0, 1) | st.integers(0, 11)
MODES = st.sampled_from(["", "", "", "", "", "with tg.no_grad(): ", "with tg.enable_grad(): "])
UNARIES = [*UNARY.values(), *SCALAR.values()]
BINARIES = [op for op in [*BINARY.values(), COPY] if not (op is BINARY["div"] and "a / b" in AVOIDED)]
ITEMS: list[tuple[str, Callable[[Any], Any] | None]] = [
    ("0", lambda x: x[0, ...]), ("-1:", lambda x: x[-1:]), (":", None),
]  # fmt: skip


def numbers(shape: tuple[int, ...], k: int) -> np.ndarray[Any, Any]:
    """Elements between -1 and 1, none zero, those of different `k` different."""
    n = int(np.prod(shape))
    return ((np.arange(n) * 5 + k * 3) % 16 / 8.0 - 0.9375).reshape(shape)


def literal(values: np.ndarray[Any, Any], more: str = "") -> str:
    return f"tg.tensor({values.tolist()}, dtype=tg.float64{more})"


def safe(op: Elementwise, *operands: Tensor) -> bool:
    """Whether `op` gives moderate numbers."""
    if op in (UNARY["reciprocal"], BINARY["div"]) and np.abs(operands[-1].values).min(initial=1.0) < NEAR:
        return False
    return bool(np.abs(op.forward(*[t.values for t in operands])).max(initial=0.0) < BOUND)


def writable(t: Tensor) -> bool:
    """Whether `t` may be written to."""
    try:
        check_writable(t)
    except ModelError:
        return False
    return not t.overlaps


def multipliable(a: Tensor, b: Tensor) -> bool:
    """Whether these are matrices with a product of moderate size and numbers."""
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0]:
        return False
    return a.shape[0] * b.shape[1] <= 12 and bool(np.abs(a.values @ b.values).max(initial=0.0) < BOUND)


class TensorRules(Machine):
    """Rules take numbers `k`, `m` that choose among the tensors held, counted from the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.together: dict[Edge | None, list[Edge | None]] = {}

    # Leaves and modes

    @initialize(shape=st.sampled_from(SHAPES), k=COUNT)
    def begin(self, shape: tuple[int, ...], k: int) -> None:
        self.leaf(shape, k, True)

    @rule(shape=st.sampled_from(SHAPES), k=COUNT, requires_grad=st.booleans())
    def leaf(self, shape: tuple[int, ...], k: int, requires_grad: bool) -> None:
        t = fresh(numbers(shape, k))
        t.flag = requires_grad
        self.make(literal(t.values, ", requires_grad=True" * requires_grad), lambda: t)

    @rule(k=COUNT, kind=st.sampled_from(["require", "require", "do not require", "grad mode"]))
    def flag(self, k: int, kind: str) -> None:
        """Set `requires_grad`, or grad mode, which is off for short times only."""
        if kind == "grad mode" or not self.model.grad_enabled:
            self.model.grad_enabled = not self.model.grad_enabled
            self.run(f"_ = tg.set_grad_enabled({self.model.grad_enabled})", None)
        elif (name := self.choose(k, self.may_require)) is not None:
            flag = kind == "require"
            self.step(f"{name}.requires_grad_({flag})", lambda: self.model.require(self.pool[name], flag))
            self.check(name)

    # Out of place

    @rule(k=COUNT, op=st.sampled_from([op for op in UNARIES if op.text]), mode=MODES)
    def unary(self, k: int, op: Elementwise, mode: str) -> None:
        a, t = self.chosen(k, best=in_graph)
        op = op if safe(op, t) else UNARY["sin"]
        self.make(op.text.format(a=a), lambda: self.model.elementwise(op, t), mode)

    @rule(k=COUNT, m=COUNT, op=st.sampled_from([op for op in BINARIES if op.text]), mode=MODES)
    def binary(self, k: int, m: int, op: Elementwise, mode: str) -> None:
        a, t = self.chosen(k, best=in_graph)
        b, other = self.chosen(m, lambda other: other is t or broadcasts(t.shape, other.shape))
        op = op if safe(op, t, other) else BINARY["maximum"]
        self.make(op.text.format(a=a, b=b), lambda: self.model.elementwise(op, t, other), mode)

    @rule(k=COUNT, m=COUNT, kind=st.sampled_from(["sum", "mean", "stack", "@"]), d=st.integers(0, 2), mode=MODES)
    def linear(self, k: int, m: int, kind: str, d: int, mode: str) -> None:
        a, t = self.chosen(k, best=in_graph)
        if kind == "stack" and len(t.shape) < 3 and t.size <= 6:
            b, other = self.chosen(m, lambda other: other.shape == t.shape)
            self.make(f"tg.stack(({a}, {b}))", lambda: self.model.stack([t, other]), mode)
        elif kind == "@" and (b := self.choose(m, lambda other: multipliable(t, other))) is not None:
            self.make(f"{a} @ {b}", lambda: self.model.matmul(t, self.pool[b]), mode)
        else:
            dim = None if d >= len(t.shape) else d
            call = f"{'mean' if kind == 'mean' else 'sum'}({'' if dim is None else dim})"
            self.make(f"{a}.{call}", lambda: self.model.reduce(t, dim, kind == "mean"), mode)

    # Views and aliases

    @rule(k=COUNT, m=st.integers(0, 30), kind=st.sampled_from(["view", "part", "reshape", "several"]), mode=MODES)
    def look_at(self, k: int, m: int, kind: str, mode: str) -> None:
        fits = self.may_be_viewed(mode)
        if kind == "several":
            a = self.choose(k, lambda t: bool(several(t.shape)) and fits(t), in_graph)
            if a is not None:
                self.split(a, several(self.pool[a].shape)[m % 3], mode)
        elif kind == "part":
            a = self.choose(k, fits, in_graph)
            if a is not None:
                text, function = (found := views(self.pool[a].shape))[m % len(found)]
                self.make(text.format(a=a), lambda: self.model.view(self.pool[a], function), mode)
        else:
            a = self.choose(k, lambda t: t.plain and bool(reshapes(t.shape)) and fits(t), in_graph)
            if a is not None:
                shape, view = (found := reshapes(self.pool[a].shape))[m % len(found)], kind == "view"
                call = f"{a}.{kind}({', '.join(map(str, shape))})"
                self.make(call, lambda: self.model.reshape(self.pool[a], shape, must_view=view), mode)

    def split(self, a: str, into: tuple[str, list[Callable[[Any], Any]]], mode: str) -> None:
        """Make several views at once."""
        text, parts = into
        names = [f"t{self.count + i}" for i in range(len(parts))]
        tensors = self.step(
            f"{', '.join(names)} = {text.format(a=a)}",
            lambda: [self.model.view(self.pool[a], part, "several views") for part in parts],
            mode,
        )
        if tensors is not None:
            nodes = [t.node for t in tensors]
            self.together.update({node: [other for other in nodes if other is not node] for node in nodes})
            self.hold(dict(zip(names, tensors, strict=True)))

    @rule(k=COUNT, unnoticed=st.booleans(), mode=MODES)
    def alias(self, k: int, unnoticed: bool, mode: str) -> None:
        a, t = self.chosen(k, best=in_graph)
        call = "data" if unnoticed else "detach()"
        self.make(f"{a}.{call}", lambda: self.model.alias(t, unnoticed=unnoticed), mode)

    # In place

    def target(self, k: int, mode: str, wanted: Wanted = anything) -> str | None:
        """What to write to; seldom something that must not be written to."""
        possible = self.may_be_written(mode)
        refused = k > 9 or not self.mode(mode)
        return self.choose(k, lambda t: wanted(t) and possible(t) and (refused or writable(t)), in_graph)

    def write(self, a: str, line: str, action: Callable[[], Any], mode: str) -> None:
        """Run a line that writes to `a`, and look at it."""
        self.step(line, action, mode)
        self.check(a)

    @rule(k=COUNT, op=st.sampled_from([op for op in UNARIES if op.inplace]), mode=MODES)
    def unary_(self, k: int, op: Elementwise, mode: str) -> None:
        fill = op in FILLS and "fill where elements coincide" in AVOIDED
        a = self.target(k, mode, lambda t: not (fill and t.overlaps))
        if a is not None:
            op = op if safe(op, self.pool[a]) else UNARY["sin"]
            self.write(a, op.inplace.format(a=a), lambda: self.model.write(self.pool[a], op), mode)

    @rule(k=COUNT, m=COUNT, op=st.sampled_from([op for op in BINARIES if op.inplace]), mode=MODES)
    def binary_(self, k: int, m: int, op: Elementwise, mode: str) -> None:
        a = self.target(k, mode)
        if a is not None:
            t = self.pool[a]
            itself = op is not COPY and not (op.slopes[0].keeps and "x *= x" in AVOIDED)
            b = self.choose(m, lambda other: (other is t and itself) or apart(other, t, t.shape))
            if b is not None and safe(op, t, self.pool[b]):
                self.write(a, op.inplace.format(a=a, b=b), lambda: self.model.write(t, op, self.pool[b]), mode)

    @rule(k=COUNT, m=COUNT, at=st.integers(0, 2), kind=st.sampled_from(["fill", "copy", "add"]), mode=MODES)
    def setitem(self, k: int, m: int, at: int, kind: str, mode: str) -> None:
        a = self.target(k, mode, lambda t: len(t.shape) > 0 and self.may_be_viewed(mode)(t))
        if a is None:
            return
        t = self.pool[a]
        text, function = ITEMS[0 if at == 2 and (kind == "add" or "x[:] = v" in AVOIDED) else at]
        shape = t.shape if function is None else function(t.cells).shape
        b = self.choose(m, lambda other: apart(other, t, shape)) if kind == "copy" else None
        if kind == "add" and function is not None:
            self.write(a, f"{a}[{text}] += 0.5", lambda: self.model.update(t, function, SCALAR["add"]), mode)
            return
        operands, op = ((), ASSIGN) if b is None else ((self.pool[b],), COPY)
        self.write(
            a,
            f"{a}[{text}] = {'0.75' if b is None else b}",
            lambda: self.model.write(t if function is None else self.model.view(t, function), op, *operands),
            mode,
        )

    # What is left out

    def may_be_written(self, mode: str) -> Wanted:
        def fits(t: Tensor) -> bool:
            if t.base is not None and t.base.requires_grad and t.node is None:
                return False  # PyTorch takes such a view for a leaf until its `grad_fn` has been looked at
            noticed = self.mode(mode) and t.requires_grad
            return not t.memory.fragile and (noticed or not self.seen_through_views(t.memory))

        return fits

    def seen_through_views(self, memory: Memory) -> bool:
        """Whether views of a memory would keep histories that a write which autograd does not notice makes invalid."""
        viewed = any(t.memory is memory and t.base and t.requires_grad for t in self.pool.values())
        return viewed and "unnoticed write under views" in AVOIDED

    def may_be_viewed(self, mode: str) -> Wanted:
        return lambda t: self.mode(mode) or not ("views under no_grad" in AVOIDED and t.requires_grad)

    def may_require(self, t: Tensor) -> bool:
        related = t.base is not None or any(other.base is t for other in self.pool.values())
        return not t.memory.fragile and not ("views of what became a leaf" in AVOIDED and related)


def apart(other: Tensor, t: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether `other` may be written into a part of `t` that has this shape."""
    return other.memory is not t.memory and broadcasts(shape, other.shape, shape)
