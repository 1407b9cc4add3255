"""What the sequences do with gradients: backward passes of all kinds, `.grad`, hooks."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .differences import AVOIDED
from .graph import Edge, Hook, Node, Pulled, reachable
from .machine import in_graph
from .model import Tensor, fresh
from .operations import SCALAR
from .tensor_rules import COUNT, TensorRules, literal, numbers
from .walk import Walk

__all__ = ["EagerMachine"]


class How(NamedTuple):
    """How to pull back: which roots and cotangents, and what to keep of the graph."""

    k: int
    m: int
    two: bool
    seed: int
    retain: bool | None
    create: bool


HOW = st.builds(
    How, COUNT, COUNT, st.booleans(), st.integers(0, 7), st.sampled_from([None, True, False]), st.booleans()
)


class Roots(NamedTuple):
    """The roots of a backward pass by name, their cotangents in the model and as text, and options as text."""

    names: list[str]
    seeds: list[Tensor | None]
    texts: list[str]
    create: bool
    options: str


def hookable(t: Tensor) -> bool:
    """Whether `t` has a place in the graph that is its own; several views made at once have one together."""
    return not t.refused and (t.flag or not t.is_leaf) and t.origin != "several views"


class EagerMachine(TensorRules):
    """The rules for tensors and those for gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks: list[tuple[Edge, Hook]] = []
        self.last: list[str] = []

    # Backward passes

    @rule(how=HOW)
    def backward(self, how: How) -> None:
        self.pull(self.names_of_roots(how), how)

    @precondition(lambda self: self.last)
    @rule(how=HOW)
    def backward_again(self, how: How) -> None:
        self.pull([name for name in self.last if name in self.pool and self.may_be_asked(self.pool[name])], how)

    def pull(self, names: list[str], how: How) -> None:
        """A backward pass that accumulates."""
        self.last = names
        roots = self.roots(names, how, how.create and "backward(create_graph=True)" not in AVOIDED)
        tensors = [self.pool[name] for name in names]
        if not tensors:
            return
        walk = Walk(tensors, roots.seeds, retain=how.retain, create=roots.create)
        if any(not leaf.keeper.flag and (leaf.keeper.node or leaf.hooks) for leaf in walk.leaves):
            return  # no leaf any more: PyTorch raises if it is in the graph, and runs hooks for nothing
        held = [leaf.keeper.grad.memory for leaf in walk.leaves if leaf.keeper.grad is not None]
        if any(saved.memory in held for node in walk.nodes for saved in node.saved):
            return  # PyTorch adds to the `grad` of a leaf as soon as it can, tapegrad at the end
        if any(self.seen_through_views(memory) for memory in held):
            return
        if len(tensors) == 1:
            line = f"{roots.names[0]}.backward({roots.texts[0]}{roots.options})"
        else:
            line = f"tg.autograd.backward(({', '.join(roots.names)}), ({', '.join(roots.texts)}){roots.options})"
        self.finish(walk, self.run(line, walk.outcome))

    @rule(how=HOW, wanted=st.lists(COUNT, min_size=1, max_size=2), allow_unused=st.booleans())
    def grad(self, how: How, wanted: list[int], allow_unused: bool) -> None:
        roots = self.roots(self.names_of_roots(how), how, how.create)
        chosen = [self.choose(n, self.may_be_asked, lambda t: t.requires_grad) for n in wanted]
        names = list(dict.fromkeys(name for name in chosen if name is not None))
        names = names[:1] if roots.create else names  # gradients that depend on each other: the model sees none of that
        if not roots.names or not names:
            return
        tensors = [self.pool[name] for name in names]
        walk = Walk(
            [self.pool[name] for name in roots.names], roots.seeds, tensors, retain=how.retain, create=roots.create
        )
        if walk.outcome is None and None in walk.ends and not allow_unused:
            walk.outcome = "unused"
        if self.unclear(walk, tensors):
            return
        made = [f"t{self.count + i}" for i in range(len(names))]
        arguments = ", ".join(f"({', '.join(texts)},)" for texts in (roots.names, names, roots.texts))
        options = f"{roots.options}{', allow_unused=True' * allow_unused}"
        happened = self.run(f"{', '.join(made)}, = tg.autograd.grad({arguments}{options})", walk.outcome)
        found = self.finish(walk, happened)
        if happened is None:
            for name, g in zip(made, found, strict=True):
                self.see(f"{name} is None", g is None)
            self.hold({name: g for name, g in zip(made, found, strict=True) if g is not None}, len(made))
            for name in self.pool.keys() & set(made):
                self.check(name)

    def finish(self, walk: Walk, happened: str | None) -> list[Tensor | None]:
        """Let the model follow, look at what hooks saw; the gradients of the targets."""
        failed = happened not in (None, "unused")
        found = walk.commit(failed=failed)
        self.compare_seen(None if failed else walk.seen)
        if failed and walk.started:
            self.forget_gradients(walk)
        return found

    def forget_gradients(self, walk: Walk) -> None:
        """PyTorch has accumulated into some leaves by the time an error is met, tapegrad into none."""
        keepers = [edge.keeper for edge in [*walk.leaves, *walk.nodes] if edge.keeper is not None]
        for t in keepers:
            if t.grad is not None and any(other.memory is t.grad.memory for other in self.pool.values()):
                self.stop()
            t.grad = None
        for name, t in self.pool.items():
            if t in keepers:
                self.run(f"{name}.grad = None", None)

    def unclear(self, walk: Walk, targets: list[Tensor]) -> bool:
        """Whether PyTorch and tapegrad run different nodes on the way to some of the targets.

        PyTorch runs the hooks of a root that leads nowhere if it is the only root, tapegrad always. PyTorch makes one
        node for views made at once, and runs all that leads to any of them.
        """
        ran = [*walk.nodes, *walk.ends]
        idle = [edge for edge in walk.roots if edge not in ran] if walk.started else []
        hooked = any(edge.hooks or (isinstance(edge, Node) and edge.keeper is not None) for edge in idle)
        beside = [node for t in targets for node in self.together.get(t.node, [])]
        return hooked or any(node in walk.found for node in beside)

    # Their arguments

    def names_of_roots(self, how: How) -> list[str]:
        """Roots that have a gradient, where there are any."""
        first = self.choose(how.k, self.may_be_asked, in_graph)
        second = self.choose(how.m, self.may_be_asked, in_graph) if how.two else None
        return [name for name in (first, second) if name is not None]

    def roots(self, names: list[str], how: How, create: bool) -> Roots:
        """Cotangents and options for some roots."""
        create = create and self.first_order(names)
        seeds = [self.cotangent(self.pool[name], how.seed, i, create) for i, name in enumerate(names)]
        retain = f", retain_graph={how.retain}" if how.retain is not None else ""
        options = retain + ", create_graph=True" * create
        return Roots(names, [seed for seed, _ in seeds], [text for _, text in seeds], create, options)

    def first_order(self, names: list[str]) -> bool:
        """Whether the model can say what gradients of gradients depend on: it does not look into a gradient's graph."""
        edges = reachable([t.node for name in names if (t := self.pool[name]).node is not None])
        overwritten = any(term.zero for edge in edges if isinstance(edge, Node) for term in edge.terms)
        left_out = overwritten and "fill_, zero_, copy_, differentiated twice" in AVOIDED
        return not left_out and not any(isinstance(edge, Pulled) for edge in edges)

    def cotangent(self, t: Tensor, seed: int, i: int, create: bool) -> tuple[Tensor | None, str]:
        """None where it is implied (and seldom elsewhere), else written down, or made from a tensor held."""
        if seed == 7 or (t.size == 1 and seed < 3):
            return None, "None"
        held = self.choose(seed + i, lambda other: other.shape == t.shape and not other.refused)
        if held is None or seed not in (3, 4):
            values = numbers(t.shape, seed)
            return fresh(values), literal(values)
        if create:
            return self.model.elementwise(SCALAR["mul"], self.pool[held]), f"{held} * 2.0"
        return self.pool[held], f"{held}.detach().clone()"

    def may_be_asked(self, t: Tensor) -> bool:
        return not (t.refused and not self.model.grad_enabled and "refused views without grad mode" in AVOIDED)

    # What was accumulated

    @rule(
        k=COUNT,
        kind=st.sampled_from(
            ["= None", "zero_()", "take", "scale", "negate", "record", "late", "retain", "remove", "del"]
        ),
    )
    def around(self, k: int, kind: str) -> None:
        """Treat what was accumulated, hooks, and what is held. Between looks, histories of views stay as they are."""
        if kind in ("= None", "zero_()", "take"):
            self.accumulated(k, kind)
        elif kind == "retain":
            self.retain_grad(k)
        elif kind == "remove":
            self.unhook(k)
        elif kind == "del":
            self.drop(k)
        else:
            self.hook(k, kind)
        self.look()

    def accumulated(self, k: int, kind: str) -> None:
        """Forget what a leaf accumulated, zero it, or let it join the tensors held."""
        fits = self.may_be_written("")
        name = self.choose(k, lambda t: t.grad is not None and t.is_leaf and (fits(t.grad) or kind != "zero_()"))
        if name is None:
            return
        t = self.pool[name]
        if kind == "take":
            if t.grad not in self.pool.values():
                self.make(f"{name}.grad", lambda: t.grad)
        elif kind == "= None":
            self.run(f"{name}.grad = None", None)
            t.grad = None
        else:
            self.step(f"{name}.grad.zero_()", lambda: self.model.write(t.grad, SCALAR["zero"]))
        self.check(name)

    # Hooks

    def hook(self, k: int, kind: str) -> None:
        late = kind == "late"
        left_out = "hook of a view that is written to" in AVOIDED
        name = self.choose(
            k,
            lambda t: (
                (hookable(t) and (t.is_leaf or not late) and not (t.base and left_out))
                or (k > 9 and not (t.requires_grad or late))
            ),
        )
        if name is None:
            return
        t = self.pool[name]
        if t.base is not None:
            self.check(name)
            self.script.append(f"{name}.grad_fn  # PyTorch 2.13 crashes where a write has made that out of date")
        handle = f"h{len(self.hooks)}"
        factor = {"scale": 2.0, "negate": -1.0}.get(kind, 1.0)
        body = f"g * {factor}" if factor != 1.0 else f"seen.append(({handle!r}, g.tolist()))"
        call = f"register_hook(lambda g: {body})"
        if late:
            call = f"register_post_accumulate_grad_hook(lambda t: seen.append(({handle!r}, t.grad.tolist())))"
        hook = self.step(f"{handle} = {name}.{call}", lambda: self.model.hook(t, Hook(handle, factor, late)))
        if hook is not None:
            self.hooks.append((t.edge(), hook))

    def unhook(self, k: int) -> None:
        hooked = [(edge, hook) for edge, hook in reversed(self.hooks) if hook in edge.hooks]
        if hooked:
            edge, hook = hooked[k % len(hooked)]
            self.run(f"{hook.name}.remove()", None)
            edge.hooks.remove(hook)

    def retain_grad(self, k: int) -> None:
        name = self.choose(k, lambda t: hookable(t) or (k > 9 and not t.requires_grad), in_graph)
        if name is not None:
            self.step(f"{name}.retain_grad()", lambda: self.model.retain(self.pool[name]))

    def drop(self, k: int) -> None:
        name = self.choose(k, lambda t: not self.watched(t))
        if name is not None and len(self.pool) > 1:
            self.delete(name)
