"""What the sequences may do: one rule per kind of operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from .differences import AVOIDED
from .graph import Edge, Hook, Node, Pulled, reachable
from .machine import Machine, broadcasts
from .model import ModelError, Tensor, check_writable, fresh
from .operations import BINARY, COPY, SCALAR, UNARY, Elementwise, reshapes, several, views
from .walk import UNSURE, Walk

__all__ = ["EagerMachine"]

SHAPES = [(2,), (), (3,), (2, 3), (2, 2), (3, 1)]
BOUND = 30.0  # of elements: what would exceed it is not computed
NEAR = 0.25  # what is closer to zero than this is not divided by


SMOOTH = sorted(set(UNARY) - ({"relu"} if "relu, differentiated twice" in AVOIDED else set()))
MODES = st.sampled_from(["", "", "", "", "", "with tg.no_grad(): ", "with tg.enable_grad(): "])
COUNT = st.integers(0, 11)
SEED = st.integers(0, 7)
RETAIN = st.sampled_from([None, True, False])


def numbers(shape: tuple[int, ...], k: int) -> np.ndarray[Any, Any]:
    """Elements between -1 and 1, none zero, those of different `k` different."""
    n = int(np.prod(shape))
    return ((np.arange(n) * 5 + k * 3) % 16 / 8.0 - 0.9375).reshape(shape)


def literal(values: np.ndarray[Any, Any], more: str = "") -> str:
    return f"tg.tensor({values.tolist()}, dtype=tg.float64{more})"


def safe(op: Elementwise, *operands: Tensor) -> bool:
    """Whether `op` gives moderate numbers."""
    if op is UNARY["reciprocal"] and np.abs(operands[0].values).min(initial=1.0) < NEAR:
        return False
    return bool(np.abs(op.forward(*[t.values for t in operands])).max(initial=0.0) < BOUND)


def hookable(t: Tensor) -> bool:
    """Whether `t` has a place in the graph that is its own; several views made at once have one together."""
    return not t.refused and (t.flag or not t.is_leaf) and t.origin != "several views"


def writable(t: Tensor) -> bool:
    """Whether `t` may be written to."""
    try:
        check_writable(t)
    except ModelError:
        return False
    return not t.overlaps


class EagerMachine(Machine):
    """Creation, arithmetic, views, writes, aliases, grad modes, backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks: list[tuple[Edge, Hook]] = []
        self.together: dict[Node | None, list[Node | None]] = {}

    # Leaves and modes

    @initialize(shape=st.sampled_from(SHAPES), k=COUNT)
    def begin(self, shape: tuple[int, ...], k: int) -> None:
        self.leaf(shape, k, True)

    @rule(shape=st.sampled_from(SHAPES), k=COUNT, requires_grad=st.booleans())
    def leaf(self, shape: tuple[int, ...], k: int, requires_grad: bool) -> None:
        t = fresh(numbers(shape, k))
        t.flag = requires_grad
        self.make(literal(t.values, ", requires_grad=True" * requires_grad), lambda: t)

    @rule(mode=st.booleans())
    def set_grad_enabled(self, mode: bool) -> None:
        self.run(f"_ = tg.set_grad_enabled({mode})", None)
        self.model.grad_enabled = mode

    @precondition(lambda self: not self.model.grad_enabled)
    @rule()
    def resume(self) -> None:
        self.set_grad_enabled(True)

    @rule(k=COUNT, flag=st.sampled_from([True, True, True, False]))
    def requires_grad_(self, k: int, flag: bool) -> None:
        name = self.choose(k, self.may_require)
        if name is not None:
            self.step(f"{name}.requires_grad_({flag})", lambda: self.model.require(self.pool[name], flag))
            self.check(name)

    @rule(k=COUNT)
    def drop(self, k: int) -> None:
        name = self.choose(k, lambda t: not self.watched(t))
        if name is not None and len(self.pool) > 1:
            self.delete(name)

    # Out of place

    @rule(k=COUNT, name=st.sampled_from(SMOOTH), mode=MODES)
    def unary(self, k: int, name: str, mode: str) -> None:
        a = self.choose(k)
        op = UNARY[name] if safe(UNARY[name], self.pool[a]) else UNARY["sin"]
        self.make(op.text.format(a=a), lambda: self.model.elementwise(op, self.pool[a]), mode)

    @rule(k=COUNT, name=st.sampled_from(sorted(s for s in SCALAR if SCALAR[s].text)), mode=MODES)
    def scalar(self, k: int, name: str, mode: str) -> None:
        a, op = self.choose(k), SCALAR[name]
        self.make(op.text.format(a=a), lambda: self.model.elementwise(op, self.pool[a]), mode)

    @rule(k=COUNT, m=COUNT, name=st.sampled_from(sorted(BINARY)), mode=MODES)
    def binary(self, k: int, m: int, name: str, mode: str) -> None:
        a = self.choose(k)
        b = self.partner(m, self.pool[a])
        op = BINARY[name] if safe(BINARY[name], self.pool[a], self.pool[b]) else BINARY["maximum"]
        self.make(op.text.format(a=a, b=b), lambda: self.model.elementwise(op, self.pool[a], self.pool[b]), mode)

    @rule(k=COUNT, d=st.integers(0, 2), mean=st.booleans(), mode=MODES)
    def reduce(self, k: int, d: int, mean: bool, mode: str) -> None:
        a = self.choose(k)
        t, call = self.pool[a], "mean" if mean else "sum"
        dim = None if d >= len(t.shape) else d
        self.make(f"{a}.{call}({'' if dim is None else dim})", lambda: self.model.reduce(t, dim, mean), mode)

    @rule(k=COUNT, m=COUNT, mode=MODES)
    def stack(self, k: int, m: int, mode: str) -> None:
        a = self.choose(k, lambda t: len(t.shape) < 3 and t.size <= 6)
        if a is not None:
            b = self.choose(m, lambda t: t.shape == self.pool[a].shape)
            self.make(f"tg.stack(({a}, {b}))", lambda: self.model.stack([self.pool[a], self.pool[b]]), mode)

    @rule(k=COUNT, m=COUNT, mode=MODES)
    def matmul(self, k: int, m: int, mode: str) -> None:
        a = self.choose(k, lambda t: len(t.shape) == 2)
        b = a and self.choose(m, lambda t: len(t.shape) == 2 and t.shape[0] == self.pool[a].shape[1])
        if a and b and np.abs(self.pool[a].values @ self.pool[b].values).max(initial=0.0) < BOUND:
            self.make(f"{a} @ {b}", lambda: self.model.matmul(self.pool[a], self.pool[b]), mode)

    # Views and aliases

    @rule(k=COUNT, m=st.integers(0, 30), mode=MODES)
    def view(self, k: int, m: int, mode: str) -> None:
        a = self.choose(k, self.may_be_viewed(mode))
        if a is not None:
            text, function = (found := views(self.pool[a].shape))[m % len(found)]
            self.make(text.format(a=a), lambda: self.model.view(self.pool[a], function), mode)

    @rule(k=COUNT, m=COUNT, must_view=st.booleans(), mode=MODES)
    def reshape(self, k: int, m: int, must_view: bool, mode: str) -> None:
        fits = self.may_be_viewed(mode)
        a = self.choose(k, lambda t: t.plain and bool(reshapes(t.shape)) and fits(t))
        if a is not None:
            shape = (found := reshapes(self.pool[a].shape))[m % len(found)]
            call = f"{a}.{'view' if must_view else 'reshape'}({', '.join(map(str, shape))})"
            self.make(call, lambda: self.model.reshape(self.pool[a], shape, must_view=must_view), mode)

    @rule(k=COUNT, m=st.integers(0, 2), mode=MODES)
    def several(self, k: int, m: int, mode: str) -> None:
        fits = self.may_be_viewed(mode)
        a = self.choose(k, lambda t: bool(several(t.shape)) and fits(t))
        if a is not None:
            text, function = several(self.pool[a].shape)[m]
            count = len(function(np.arange(self.pool[a].size).reshape(self.pool[a].shape)))
            names = [f"t{self.count + i}" for i in range(count)]
            parts = [lambda x, i=i: function(x)[i] for i in range(count)]
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
        a = self.choose(k)
        self.make(f"{a}.{'data' if unnoticed else 'detach()'}", lambda: self.model.alias(self.pool[a], unnoticed=unnoticed), mode)

    # In place

    def target(self, k: int, mode: str, wanted: Callable[[Tensor], bool] = lambda t: True) -> str | None:
        """What to write to; seldom something that must not be written to."""
        possible = self.may_be_written(mode)
        return self.choose(k, lambda t: wanted(t) and possible(t) and (k > 9 or not self.mode(mode) or writable(t)))

    def write(self, a: str, line: str, action: Callable[[], Any], mode: str) -> None:
        self.step(line, action, mode)
        self.check(a)

    @rule(k=COUNT, name=st.sampled_from([u for u in SMOOTH if UNARY[u].inplace]), mode=MODES)
    def unary_(self, k: int, name: str, mode: str) -> None:
        a = self.target(k, mode)
        if a is not None:
            op = UNARY[name] if safe(UNARY[name], self.pool[a]) else UNARY["sin"]
            self.write(a, op.inplace.format(a=a), lambda: self.model.write(self.pool[a], op), mode)

    @rule(k=COUNT, name=st.sampled_from(sorted(s for s in SCALAR if SCALAR[s].inplace)), mode=MODES)
    def scalar_(self, k: int, name: str, mode: str) -> None:
        a = self.target(k, mode, lambda t: not ("fill where elements coincide" in AVOIDED and t.overlaps))
        if a is not None:
            op = SCALAR[name] if safe(SCALAR[name], self.pool[a]) else SCALAR["zero"]
            self.write(a, op.inplace.format(a=a), lambda: self.model.write(self.pool[a], op), mode)

    @rule(k=COUNT, m=COUNT, name=st.sampled_from(["add", "sub", "mul", "copy"]), mode=MODES)
    def binary_(self, k: int, m: int, name: str, mode: str) -> None:
        a = self.target(k, mode)
        if a is None:
            return
        t = self.pool[a]
        b = self.choose(m, lambda other: other.memory is not t.memory and broadcasts(t.shape, other.shape, t.shape))
        if b is not None:
            op = COPY if name == "copy" else BINARY[name]
            op = op if safe(op, t, self.pool[b]) else COPY
            self.write(a, op.inplace.format(a=a, b=b), lambda: self.model.write(t, op, self.pool[b]), mode)

    @rule(k=COUNT, m=COUNT, at=st.integers(0, 2), fill=st.booleans(), mode=MODES)
    def setitem(self, k: int, m: int, at: int, fill: bool, mode: str) -> None:
        a = self.target(k, mode, lambda t: len(t.shape) > 0 and self.may_be_viewed(mode)(t))
        if a is None:
            return
        t = self.pool[a]
        at = 0 if "x[:] = v" in AVOIDED and at == 2 else at
        text, function = [("0", lambda x: x[0, ...]), ("-1:", lambda x: x[-1:]), (":", None)][at]
        shape = t.shape if function is None else function(t.cells).shape
        b = self.choose(m, lambda other: other.memory is not t.memory and broadcasts(shape, other.shape, shape))
        operands = () if fill or b is None else (self.pool[b],)
        op = COPY if operands else SCALAR["fill"]
        value = b if operands else "0.75"
        self.write(
            a,
            f"{a}[{text}] = {value}",
            lambda: self.model.write(t if function is None else self.model.view(t, function), op, *operands),
            mode,
        )

    # Gradients

    @rule(k=COUNT, m=COUNT, two=st.booleans(), seed=SEED, retain=RETAIN, create=st.booleans())
    def backward(self, k: int, m: int, two: bool, seed: int, retain: bool | None, create: bool) -> None:
        names = self.roots(k, m, two)
        if not names:
            return
        create = create and self.first_order(names) and "backward(create_graph=True)" not in AVOIDED
        seeds, texts = self.seeds(names, seed, create)
        walk = Walk([self.pool[name] for name in names], seeds, retain=retain, create=create)
        if any(not leaf.keeper.flag and (leaf.keeper.node or leaf.hooks) for leaf in walk.leaves):
            return  # no leaf any more: PyTorch raises if it is in the graph, and runs hooks for nothing
        options = f"{f', retain_graph={retain}' if retain is not None else ''}{', create_graph=True' * create}"
        if len(names) == 1:
            line = f"{names[0]}.backward({texts[0]}{options})"
        else:
            line = f"tg.autograd.backward(({', '.join(names)}), ({', '.join(texts)}){options})"
        failed = self.run(line, walk.outcome) is not None
        walk.commit(failed=failed)
        self.compare_seen(None if failed else walk.seen)
        if failed and walk.started:
            self.forget_gradients(walk)

    def forget_gradients(self, walk: Walk) -> None:
        """PyTorch has accumulated into some leaves by the time an error is met, tapegrad into none."""
        keepers = [edge.keeper for edge in [*walk.leaves, *walk.nodes] if edge.keeper is not None]
        for t in keepers:
            assume(t.grad is None or not any(other.memory is t.grad.memory for other in self.pool.values()))
            t.grad = None
        for name, t in self.pool.items():
            if t in keepers:
                self.run(f"{name}.grad = None", None)

    @rule(k=COUNT, m=COUNT, two=st.booleans(), seed=SEED, retain=RETAIN, create=st.booleans(), n=COUNT, unused=st.booleans())
    def grad(self, k: int, m: int, two: bool, seed: int, retain: bool | None, create: bool, n: int, unused: bool) -> None:
        roots = self.roots(k, m, two)
        target = self.choose(n, lambda t: t.requires_grad and self.may_be_asked(t)) or self.choose(n, self.may_be_asked)
        if not roots or target is None:
            return
        create = create and self.first_order(roots)
        seeds, texts = self.seeds(roots, seed, create)
        walk = Walk([self.pool[r] for r in roots], seeds, [self.pool[target]], retain=retain, create=create)
        idle = [edge for edge in walk.roots if edge not in [*walk.nodes, *walk.ends]] if walk.outcome is None else []
        if any(edge.hooks or (edge.keeper is not None and isinstance(edge, Node)) for edge in idle):
            return  # PyTorch runs the hooks of such a root if it is the only one, tapegrad always
        options = f"{f', retain_graph={retain}' if retain is not None else ''}{', create_graph=True' * create}"
        if walk.outcome is None and walk.ends == [None] and not unused:
            walk.outcome = "unused"
        options += ", allow_unused=True" * unused
        if {node for node in self.together.get(self.pool[target].node, []) if node in walk.found}:
            return  # PyTorch makes one node for views made at once, and runs all that leads to any of them
        name = f"t{self.count}"
        line = f"{name}, = tg.autograd.grad(({', '.join(roots)},), ({target},), ({', '.join(texts)},){options})"
        happened = self.run(line, walk.outcome)
        failed = happened not in (None, "unused")
        found = walk.commit(failed=failed)
        self.compare_seen(None if failed else walk.seen)
        if failed and walk.started:
            self.forget_gradients(walk)
        if happened is None and found[0] is None:
            self.see(f"{name} is None", True)
        elif happened is None:
            self.hold({name: found[0]})
            self.check(name)

    def roots(self, k: int, m: int, two: bool) -> list[str]:
        first = self.choose(k, lambda t: t.requires_grad and self.may_be_asked(t)) or self.choose(k, self.may_be_asked)
        second = self.choose(m, lambda t: t.requires_grad and self.may_be_asked(t)) if two else None
        return [name for name in (first, second) if name is not None]

    def first_order(self, names: list[str]) -> bool:
        """Whether the model can say what gradients of gradients depend on: it does not look into a gradient's graph."""
        edges = reachable([t.node for name in names if (t := self.pool[name]).node is not None])
        overwritten = any(term.zero for edge in edges if isinstance(edge, Node) for term in edge.terms)
        return not any(isinstance(edge, Pulled) for edge in edges) and not (
            overwritten and "fill_, zero_, copy_, differentiated twice" in AVOIDED
        )

    def seeds(self, names: list[str], seed: int, create: bool) -> tuple[list[Tensor | None], list[str]]:
        """Cotangents: none where one is implied (and seldom elsewhere), written down, or made from a tensor held."""
        seeds: list[Tensor | None] = []
        texts = []
        for i, name in enumerate(names):
            t = self.pool[name]
            held = self.choose(seed + i, lambda other: other.shape == t.shape and not other.refused) if seed in (3, 4) else None
            if seed == 7 or (t.size == 1 and seed < 3):
                seeds.append(None)
                texts.append("None")
            elif held is not None:
                seeds.append(self.model.elementwise(SCALAR["mul"], self.pool[held]) if create else self.pool[held])
                texts.append(f"{held} * 2.0" if create else f"{held}.detach().clone()")
            else:
                seeds.append(fresh(numbers(t.shape, seed)))
                texts.append(literal(numbers(t.shape, seed)))
        return seeds, texts

    @rule(k=COUNT, zero=st.booleans())
    def reset_grad(self, k: int, zero: bool) -> None:
        name = self.choose(k, lambda t: t.grad is not None and t.node is None)
        if name is None:
            return
        t = self.pool[name]
        if zero:
            self.step(f"{name}.grad.zero_()", lambda: self.model.write(t.grad, SCALAR["zero"]))
        else:
            self.run(f"{name}.grad = None", None)
            t.grad = None
        self.check(name)

    @rule(k=COUNT)
    def take_grad(self, k: int) -> None:
        name = self.choose(k, lambda t: t.grad is not None and t.node is None)
        if name is not None:
            grad = self.pool[name].grad
            if not any(t is grad for t in self.pool.values()):
                self.make(f"{name}.grad", lambda: grad)

    # Hooks

    @rule(k=COUNT, kind=st.sampled_from(["scale", "negate", "record", "late"]))
    def hook(self, k: int, kind: str) -> None:
        late = kind == "late"
        name = self.choose(k, lambda t: (hookable(t) and (t.is_leaf or not late)) or (k > 9 and not late))
        if name is None or (t := self.pool[name]).refused or (t.requires_grad and not hookable(t)):
            return
        if t.base is not None:
            self.run(f"_ = {name}.grad_fn", None)  # PyTorch 2.13 crashes where a write has made that out of date
            t.history()
        handle = f"h{len(self.hooks)}"
        factor = {"scale": 2.0, "negate": -1.0}.get(kind, 1.0)
        body = f"g * {factor}" if factor != 1.0 else f"seen.append(({handle!r}, g.tolist()))"
        call = f"register_hook(lambda g: {body})"
        if late:
            call = f"register_post_accumulate_grad_hook(lambda t: seen.append(({handle!r}, t.grad.tolist())))"
        hook = self.step(f"{handle} = {name}.{call}", lambda: self.model.hook(t, Hook(handle, factor, late)))
        if hook is not None:
            self.hooks.append((t.edge(), hook))

    @rule(k=COUNT)
    def unhook(self, k: int) -> None:
        hooked = [(edge, hook) for edge, hook in reversed(self.hooks) if hook in edge.hooks]
        if hooked:
            edge, hook = hooked[k % len(hooked)]
            self.run(f"{hook.name}.remove()", None)
            edge.hooks.remove(hook)

    @rule(k=COUNT)
    def retain_grad(self, k: int) -> None:
        name = self.choose(k, hookable) if k < 10 else self.choose(k)
        if name is not None and not (t := self.pool[name]).refused and (hookable(t) or not t.requires_grad):
            self.step(f"{name}.retain_grad()", lambda: self.model.retain(t))
            self.check(name)

    # What is left out

    def may_be_asked(self, t: Tensor) -> bool:
        """Without grad mode, tapegrad does not refuse the history of a view that cannot be related to its base."""
        return self.model.grad_enabled or not t.refused

    def may_be_written(self, mode: str) -> Callable[[Tensor], bool]:
        def fits(t: Tensor) -> bool:
            unnoticed = not (self.mode(mode) and t.requires_grad)
            viewed = any(other.memory is t.memory and other.base and other.requires_grad for other in self.pool.values())
            if t.base is not None and t.base.requires_grad and t.node is None:
                return False  # PyTorch takes such a view for a leaf until its `grad_fn` has been looked at
            return not t.memory.fragile and not ("unnoticed write under views" in AVOIDED and unnoticed and viewed)

        return fits

    def may_be_viewed(self, mode: str) -> Callable[[Tensor], bool]:
        return lambda t: self.mode(mode) or not ("views under no_grad" in AVOIDED and t.requires_grad)

    def may_require(self, t: Tensor) -> bool:
        related = t.base is not None or any(other.base is t for other in self.pool.values())
        return not ("leaf with views" in AVOIDED and related)

    # Looking

    @rule()
    def look(self) -> None:
        """Compare everything; between looks, histories of views stay as they are."""
        for name in self.pool:
            self.check(name)

    def teardown(self) -> None:
        for scope in self.scopes.values():
            scope["tg"].set_grad_enabled(True)
