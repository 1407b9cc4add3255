"""The histories of what a jitted function returns or writes: which can be differentiated from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..engine import reachable
from ..errors import GraphFreedError, InPlaceError, UnsupportedError
from ..tape import Node, Tape, TensorBase, Var, edge_of
from ..tape.hooks import retains_grad
from ..tape.node import RefusingNode
from ..tape.recorded_walks import runs_user_code
from ..tape.saved import freed
from .outlook import Reading, looked_at, readings_of
from .plan import live_steps
from .trial import Problem, Refusal, reached_by
from .trial_walks import Walks, user_nodes, walks_from

if TYPE_CHECKING:
    from .describe import Describer
    from .eager_run import EagerRun

__all__ = ["Histories", "histories_of"]

Edge = tuple[Any, int]


@dataclass
class Histories:
    """Per tensor with a history: what it is called in the lines of code, its output, and the name of its node.

    `live` are those whose graph can still be walked, to the inputs at the positions `needs`; `reach` says which of
    `needs` each depends on, and `saves` what its nodes saved. A walk of one of the `ended`, which leads to the inputs
    at the positions given, raises an error, of the class and with the message given.

    Where walks come to code of the user's, `walks` are those, recorded; None where they come to none. That code can
    read what is at `readings`, and what is in the memory of the tensors called `looked`.
    """

    live: list[tuple[str, int, str]] = field(default_factory=list)
    needs: list[int] = field(default_factory=list)
    reach: list[set[int]] = field(default_factory=list)
    saves: list[tuple[frozenset[int], frozenset[str]]] = field(default_factory=list)
    """Per node that can be freed, youngest first: which of `live` lead to it, and what those tensors among what it
    saved are called that may be written to from outside."""
    ended: list[tuple[str, int, str, set[int], type[Exception], str]] = field(default_factory=list)
    walks: Walks | None = None
    readings: list[Reading] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    def wanted(self, tape: Tape) -> set[Var]:
        """The values that recorded walks need of the function's run, or are to give."""
        if self.walks is None:
            return set()
        return {tape.inputs[i] for i in self.needs} | self.walks.gradients()


@dataclass(eq=False)
class _Root:
    """A tensor that the run left with a history: its name, its output, the `nodes` behind it, and to which inputs those
    lead.
    """

    made: str
    tensor: TensorBase
    output: int
    nodes: list[Node]
    reach: set[int]

    @property
    def node(self) -> Node:
        """What computed it."""
        assert self.tensor._node is not None
        return self.tensor._node

    def ended(self, problem: Problem) -> tuple[str, int, str, set[int], type[Exception], str]:
        """As `Histories.ended` has it."""
        return self.made, self.output, self.node.kind, self.reach, *problem


def histories_of(run: EagerRun, describer: Describer) -> Histories:
    """What the graphs of the tensors that the run left are, seen from outside."""
    found = Histories()
    inputs = {edge: i for i, t in enumerate(run.recorder.captures) if (edge := _edge_before(run, t)) is not None}
    ends = {node for node, _ in inputs}
    roots = []
    for made, t, output in describer.text.grown:
        assert t._node is not None
        nodes = reachable([t._node], run.recorder.started)
        edges = {edge for node in nodes for edge in _edges_to(ends, node)}
        root = _Root(made, t, output, nodes, {i for edge, i in inputs.items() if edge in edges})
        problem = _problem(run, nodes, inputs) or _overwritten(run, describer.text.outputs[output])
        if problem is None:
            roots.append(root)
        else:
            found.ended.append(root.ended(problem))
    _add(found, roots, describer)
    hidden = [root for root in roots if (user_nodes(root.nodes) and not _only_retained(root)) or _inlined(run, root)]
    if hidden:
        try:
            _record_walks(run, found, roots, inputs, describer)
        except Refusal as refusal:
            plain = [root for root in roots if root not in hidden]
            found = Histories(ended=[*found.ended, *[root.ended(_refused(run, root, refusal)) for root in hidden]])
            _add(found, plain, describer)
    return found


def _add(found: Histories, roots: Sequence[_Root], describer: Describer) -> None:
    """Say of `roots` that they can be differentiated."""
    leading: dict[Node, set[int]] = {}
    for k, root in enumerate(roots):
        found.live.append((root.made, root.output, root.node.name()))
        found.reach.append(root.reach)
        for node in root.nodes:
            leading.setdefault(node, set()).add(k)
    found.needs = sorted(set().union(*found.reach))
    found.saves = _saves(leading, describer.known())


def _saves(
    leading: dict[Node, set[int]], known: Sequence[tuple[str, TensorBase]]
) -> list[tuple[frozenset[int], frozenset[str]]]:
    """`Histories.saves` of these nodes, with what leads to each: once each."""
    names: dict[Any, list[str]] = {}
    for name, t in known:
        names.setdefault(id(t), []).append(name)
        if t._storage is not None:
            names.setdefault(t._storage.memory, []).append(name)
    found = []
    for node in sorted(leading, key=lambda node: -node.sequence):
        kept = [part for value, storage, _ in node.kept() for part in (id(value), storage and storage.memory)]
        if node.forgets or kept or node.put_away():
            seen = frozenset([name for part in kept for name in names.get(part, ())])
            found.append((frozenset(leading[node]), seen))
    return list(dict.fromkeys(found))


def _record_walks(
    run: EagerRun, found: Histories, roots: Sequence[_Root], inputs: Mapping[Edge, int], describer: Describer
) -> None:
    """Record walks from `roots`, which come to code of the user's. Raises Refusal."""
    for root in roots:
        _refuse_effects(root)
    nodes = list({node: None for root in roots for node in user_nodes(root.nodes)})
    reached = reached_by(nodes)
    readings = readings_of(run, reached, describer)
    edges = {i: edge for edge, i in inputs.items()}
    walks = walks_from(run, reached, [root.tensor for root in roots], [edges[i] for i in found.needs])
    found.walks, found.readings = walks, readings
    steps = run.recorder.tape.steps
    _, needed = live_steps(steps[walks.begin :], walks.gradients())
    found.looked = looked_at(run, describer, steps[: walks.begin], [*needed])


def _refuse_effects(root: _Root) -> None:
    """Raise Refusal for what a walk from `root` does to tensors that others have."""
    extras = root.node.extras
    if extras is not None and extras.tensor.get(root.tensor._index):
        raise Refusal("it is a hook on a result: register it outside, or on a tensor that the result is made of")
    for node in root.nodes:
        retained = {} if node.extras is None else node.extras.retained
        if any((t := reference()) is not None and t is not root.tensor for reference in retained.values()):
            raise Refusal("retain_grad() of a tensor from which a result is made")


def _only_retained(root: _Root) -> bool:
    """Whether there is nothing on the way but that the tensor itself keeps its gradient."""
    return retains_grad(root.tensor) and not any(
        runs_user_code(node, retaining=node is not root.node) for node in root.nodes
    )


def _inlined(run: EagerRun, root: _Root) -> bool:
    """Whether a walk comes to what a walk computed that ran code of the user's."""
    return any(run.recorder.was_inlined(node) for node in root.nodes)


def _refused(run: EagerRun, root: _Root, refusal: Refusal) -> Problem:
    """What a walk from `root` raises."""
    error, why = refusal.problem
    if not issubclass(error, UnsupportedError):
        return refusal.problem
    where = run.recorder.hidden_behind(root.node) or root.node.name()
    return Problem(
        UnsupportedError,
        f"gradient through the result of the jitted function {run.recorder.tape.name!r}, by way of code of yours "
        f"({where}), of which backward from outside cannot be compiled: {why}. Call backward() or autograd.grad inside "
        "the jitted function",
    )


def _edge_before(run: EagerRun, t: TensorBase) -> Edge | None:
    """Where the gradient of a captured tensor went when the run began: to its node then, or to the leaf."""
    known = run.before.get(id(t))
    if known is not None and known[1].node is not None:
        return known[1].node, known[1].output
    if known is not None and known[1].requires_grad:  # also if the run took it out of the graph
        return None if t._accumulator is None else (t._accumulator, 0)
    return edge_of(t) if t._node is None and t._requires_grad else None


def _edges_to(ends: set[Node], node: Node) -> Iterator[Edge]:
    """The edges of `node` that lead to `ends`."""
    for k, target in enumerate(node.edges):
        if target in ends:
            yield target, 0 if node.indices is None else node.indices[k]


def _overwritten(run: EagerRun, var: Var) -> Problem | None:
    if not run.recorder.overwritten_behind([var]):
        return None
    return Problem(
        UnsupportedError,
        f"gradient through the result of the jitted function {run.recorder.tape.name!r}, which changed a value by way "
        "of .data after using it: write to a clone(), or call backward() or autograd.grad inside before that",
    )


def _problem(run: EagerRun, nodes: Sequence[Node], inputs: Mapping[Edge, int]) -> Problem | None:
    """Why a walk over `nodes` cannot be compiled, whatever code of the user's it runs."""
    refusing = next((node for node in nodes if isinstance(node, RefusingNode)), None)
    if refusing is not None:
        return Problem(refusing.error, refusing.message)
    if any(node.saved is None for node in nodes):
        return Problem(GraphFreedError, str(freed()))
    for node in nodes:
        for value, storage, version in node.kept():
            if storage is not None and storage.version != version:
                return Problem(InPlaceError, str(node.modified(value, storage, version)))
    leaves = [inputs.get((node, 0)) for node in nodes if node.leaf is not None]
    if any(i is not None and run.recorder.became_leaf_inside(i) for i in leaves):
        return Problem(
            UnsupportedError,
            f"gradient through the result of the jitted function {run.recorder.tape.name!r} to a tensor that it called "
            "requires_grad_() on: do that before the call, or call backward() or autograd.grad inside",
        )
    if None in leaves:
        return Problem(
            UnsupportedError,
            f"gradient through the result of the jitted function {run.recorder.tape.name!r} to a leaf that it made: "
            "call backward() or autograd.grad inside the jitted function",
        )
    return None
