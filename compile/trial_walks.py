"""Walks back from the results of a recorded run that come to code of the user's: their steps are recorded, too.

Each walk is one trial (`trial`): from some of the results, with cotangents that are new inputs, to the tensors that the
run was given. What a walk does at code of the user's depends on which cotangents there are: a hook does not run where
none arrives, a `Function` is given None or zeros. So there is a walk per set of such places, *slots*, that some
of the results lead to; it starts at all results that lead to no others, and cotangents of zeros stand for those that
are missing, which makes no difference to anything else.

With each walk goes its derivative: the same walk with `create_graph`, and the walks back from what that gave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import engine
from ..environment import Reachable
from ..errors import UnsupportedError
from ..tape import Node, TensorBase, Var, edge_of, wrap
from ..tape.node import RefusingNode
from ..tape.recorded_walks import runs_user_code
from .trial import Problem, Refusal, trial

if TYPE_CHECKING:
    from .eager_run import EagerRun

__all__ = ["Derived", "Slots", "Walk", "Walks", "user_nodes", "walks_from"]

Edge = tuple[Any, int]
Slots = frozenset[int]

_MOST_WALKS = 8
_HIGHER = Problem(UnsupportedError, "its derivatives are of first and second order only")


@dataclass(eq=False)
class Walk:
    """A walk from the results at `roots`, with the cotangents `seeds`: `grads` per target, None where there is none.

    `derived` is the derivative, or why there is none; `tried` what to check the compiled walk with, if it is not to be
    checked when it is first used.
    """

    roots: tuple[int, ...]
    seeds: list[Var]
    grads: list[Var | None]
    derived: Derived | Problem
    tried: Tried | None


class Tried(NamedTuple):
    """The values of the seeds of a walk in the trial, and of those gradients that there are."""

    seeds: list[np.ndarray[Any, Any]]
    grads: list[np.ndarray[Any, Any]]


@dataclass(eq=False)
class Walks:
    """The walks from some results, by the slots (by number) that they come to.

    `reached` are those that each result leads to. The steps of the walks are those on the tape from `begin` to `end`.
    `on_nothing` says whether some code of the user's runs even where no cotangent arrives at all.
    """

    begin: int
    end: int
    reached: list[Slots]
    walks: dict[Slots, Walk]
    on_nothing: bool

    def gradients(self) -> set[Var]:
        """All that the walks and their derivatives give."""
        found: set[Var] = set()
        for walk in self.walks.values():
            found.update(g for g in walk.grads if g is not None)
            if isinstance(walk.derived, Derived):
                found.update(walk.derived.grads)
                found |= walk.derived.walks.gradients()
        return found


@dataclass(eq=False)
class Derived:
    """A walk as a function of its `seeds`, too, with the `walks` back from those of its `grads` at `outs`."""

    seeds: list[Var]
    grads: list[Var]
    outs: list[int]
    walks: Walks


def walks_from(run: EagerRun, found: Reachable, roots: Sequence[TensorBase], targets: Sequence[Edge]) -> Walks:
    """The walks from `roots` to `targets`, where code of the user's can reach what was `found`.

    Raises Refusal if that does more than compute.
    """
    return _Walker(run, found).walks(roots, targets, order=2)


def user_nodes(nodes: Sequence[Node]) -> list[Node]:
    """Those of `nodes` that run code of the user's."""
    return [node for node in nodes if runs_user_code(node)]


class _Walker:
    """Makes the walks of one run, whose code of the user's can reach what was `found`."""

    def __init__(self, run: EagerRun, found: Reachable) -> None:
        self._run = run
        self._found = found
        self._slots: dict[Edge, int] = {}

    def walks(self, roots: Sequence[TensorBase], targets: Sequence[Edge], order: int) -> Walks:
        """The walks from `roots`, with derivatives up to `order`."""
        steps = self._run.recorder.tape.steps
        begin = len(steps)
        ways = [_way(edge_of(root), targets) for root in roots]
        reached = [self._slots_on(way) for way in ways]
        walks = {}
        for slots in _unions(reached):
            chosen = tuple([k for k, mine in enumerate(reached) if mine <= slots])
            walks[slots] = self._walk(roots, chosen, targets, order)
        on_nothing = any(node.runs_on_nothing for way in ways for node, _ in way)
        return Walks(begin, len(steps), reached, walks, on_nothing)

    def _slots_on(self, way: Iterable[Edge]) -> Slots:
        """Where code of the user's runs, as numbers: they do not keep the graph alive."""
        slots = [edge for edge in way if runs_user_code(edge[0])]
        return frozenset(self._slots.setdefault(edge, len(self._slots)) for edge in slots)

    def _walk(self, roots: Sequence[TensorBase], chosen: tuple[int, ...], targets: Sequence[Edge], order: int) -> Walk:
        starts = [roots[k] for k in chosen]
        with trial(self._run, self._found):
            seeds = self._seeds(starts, requires_grad=False)
            found = self._run_back(starts, seeds, targets, create_graph=False)
            read = self._run.recorder.read
            grads = [None if g is None else read(g) for g in found]
            cotangents = [read(seed) for seed in seeds]
        if order == 1:
            return Walk(chosen, cotangents, grads, _HIGHER, None)
        tried = Tried([seed._array for seed in seeds], [np.array(g._array) for g in found if g is not None])
        return Walk(chosen, cotangents, grads, self._derived(starts, targets, grads, order), tried)

    def _derived(
        self, starts: Sequence[TensorBase], targets: Sequence[Edge], like: Sequence[Var | None], order: int
    ) -> Derived | Problem:
        """The derivative of a walk whose gradients are `like` these."""
        read = self._run.recorder.read
        try:
            with trial(self._run, self._found):
                seeds = self._seeds(starts, requires_grad=True)
                found = self._run_back(starts, seeds, targets, create_graph=True)
                grads = [g for g in found if g is not None]
                gradients, cotangents = [read(g) for g in grads], [read(seed) for seed in seeds]
            self._refuse_unlike(found, like)
            outs = [k for k, g in enumerate(grads) if g._requires_grad]
            ends = [*targets, *map(edge_of, seeds)]
            self._refuse_others([grads[k] for k in outs], ends)
            walks = self.walks([grads[k] for k in outs], ends, order - 1)
        except Refusal as refusal:
            return refusal.problem
        return Derived(cotangents, gradients, outs, walks)

    def _refuse_unlike(self, found: Sequence[Any], like: Sequence[Var | None]) -> None:
        """Raise Refusal if other gradients are `found` than without `create_graph`."""
        if [g is None for g in found] != [g is None for g in like]:
            raise Refusal("it gives other gradients with create_graph than without")

    def _refuse_others(self, roots: Sequence[TensorBase], targets: Sequence[Edge]) -> None:
        """Raise Refusal if walks from `roots` come to something that those to the `targets` do not come to."""
        started = self._run.recorder.started
        ends = {node for node, _ in targets}
        starts: list[Any] = [edge_of(root)[0] for root in roots]
        nodes = engine.reachable(starts, started)
        refusing = next((node for node in nodes if isinstance(node, RefusingNode)), None)
        if refusing is not None:
            raise Refusal(refusing.message, refusing.error)
        beyond = {edge for node in nodes if node not in ends for edge in node.edges}
        if any((edge.leaf is not None or edge.sequence < started) and edge not in ends for edge in beyond):
            raise Refusal("it depends on a tensor that the results do not depend on")

    def _seeds(self, roots: Sequence[TensorBase], *, requires_grad: bool) -> list[TensorBase]:
        """Cotangents for `roots`, of values without any meaning, as inputs of the tape that it does not list."""
        recorder = self._run.recorder
        seeds: list[TensorBase] = []
        for k, root in enumerate(roots):
            seed = wrap(_some_values(root._array, k))
            seed._requires_grad = requires_grad
            recorder.enter(seed, Var(seed._array.shape, seed._array.dtype, requires_grad, f"g{k}"))
            recorder.fix(seed)
            seeds.append(seed)
        return seeds

    def _run_back(
        self, roots: Sequence[TensorBase], seeds: Sequence[Any], targets: Sequence[Edge], *, create_graph: bool
    ) -> list[Any]:
        """A walk that is recorded step by step, and leaves the graph as it is."""
        recorder = self._run.recorder
        edges: list[Any] = [edge_of(root) for root in roots]
        ends = {node for node, _ in targets}
        visited: list[Any] = engine.visited(edges, targets)
        recorder.must_inline([node for node in visited if node not in ends], forced=True)
        with recorder.walking(inline=True, create_graph=create_graph), _grads_kept(roots):
            return engine.run(
                edges, seeds, retain_graph=True, create_graph=create_graph, targets=targets, inline=True, stop=True
            )


class _grads_kept:  # noqa: N801  (a context manager)
    """Around a walk that gives tensors with `retain_grad()` no gradient after all."""

    def __init__(self, tensors: Sequence[TensorBase]) -> None:
        self._grads = [(t, t._grad) for t in tensors]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for t, grad in self._grads:
            t._grad = grad


def _some_values(like: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """Numbers about 1 of both signs, in the shape and dtype of `like`."""
    generator = np.random.default_rng(seed)
    values: Any = generator.standard_normal(like.shape)
    if like.dtype.kind == "c":
        values = values + 1j * generator.standard_normal(like.shape)
    return np.asarray(values).astype(like.dtype)


def _way(start: Edge, targets: Sequence[Edge]) -> dict[Edge, None]:
    """The nodes that a walk from `start` to `targets` comes to, each with the number of the output it comes to."""
    ends = {node for node, _ in targets}
    seen: dict[Edge, None] = {start: None}
    stack = [start]
    while stack:
        node = stack.pop()[0]
        if node in ends:
            continue
        for k, target in enumerate(node.edges):
            edge = target, 0 if node.indices is None else node.indices[k]
            if edge not in seen:
                seen[edge] = None
                stack.append(edge)
    return seen


def _unions(reached: Sequence[Slots]) -> list[Slots]:
    """The sets of slots to have walks for: those of all results and of each, then those of two, as far as it goes."""
    everything: Slots = frozenset().union(*reached)
    pairs = [a | b for k, a in enumerate(reached) for b in reached[:k]]
    return list(dict.fromkeys([everything, *reached, *pairs]))[:_MOST_WALKS] if reached else []
