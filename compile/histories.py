"""The histories of what a jitted function returns or writes: which can be differentiated from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..engine import reachable
from ..errors import GraphFreedError, InPlaceError, UnsupportedError
from ..tape import Node, TensorBase, edge_of
from ..tape.saved import freed

if TYPE_CHECKING:
    from .describe import Description
    from .eager_run import EagerRun

__all__ = ["Histories", "histories_of"]


@dataclass
class Histories:
    """Per tensor with a history: what it is called in the lines of code, its output, and the name of its node.

    `live` are those whose graph can still be walked, to the inputs at the positions `needs`; those at `saved` may not
    be written to until then; `reach` says which of `needs` each depends on, `lasting` that nothing was saved at all. A
    walk of one of the `ended` raises an error, of the class and with the message given.
    """

    live: list[tuple[str, int, str]] = field(default_factory=list)
    needs: list[int] = field(default_factory=list)
    saved: set[int] = field(default_factory=set)
    reach: list[set[int]] = field(default_factory=list)
    lasting: bool = True
    ended: list[tuple[str, int, str, type[Exception], str]] = field(default_factory=list)


def histories_of(run: EagerRun, text: Description) -> Histories:
    """What the graphs of the tensors that the run left are, seen from outside."""
    found = Histories()
    needed: set[int] = set()
    inputs = {node: i for i, t in enumerate(run.recorder.captures) if (node := _node_before(run, t)) is not None}
    for made, t, output in text.grown:
        node = t._node
        assert node is not None
        nodes = reachable([node], run.recorder.started)
        problem = _problem(run, node, nodes, inputs)
        if problem is not None:
            found.ended.append((made, output, node.kind, *problem))
            continue
        found.live.append((made, output, node.name()))
        found.saved |= _saved_inputs(run, nodes)
        found.lasting = found.lasting and not any(True for n in nodes for _ in n.kept())
        edges = {edge for n in nodes for edge in n.edges}
        found.reach.append({i for edge, i in inputs.items() if edge in edges})
        needed |= found.reach[-1]
    found.needs = sorted(needed)
    return found


def _node_before(run: EagerRun, t: TensorBase) -> Node | None:
    """Where the gradient of a captured tensor went when the run began: to its node then, or to the leaf."""
    known = run.before.get(id(t))
    if known is not None and known[1].node is not None:
        return known[1].node
    return edge_of(t)[0] if t._node is None and t._requires_grad else None


def _saved_inputs(run: EagerRun, nodes: Sequence[Node]) -> set[int]:
    """Which captured tensors the nodes saved."""
    kept = [entry for node in nodes for entry in node.kept()]
    tensors = {id(value) for value, _, _ in kept}
    memories = {storage.memory for _, storage, _ in kept if storage is not None}
    return {
        i
        for i, t in enumerate(run.recorder.captures)
        if id(t) in tensors or (t._storage is not None and t._storage.memory in memories)
    }


def _problem(
    run: EagerRun, root: Node, nodes: Sequence[Node], inputs: dict[Any, int]
) -> tuple[type[Exception], str] | None:
    """Why a walk from `root` cannot be compiled, if it cannot."""
    hidden = run.recorder.hidden_behind(root)
    name = run.recorder.tape.name
    if hidden is not None:
        return UnsupportedError, (
            f"gradient through the result of the jitted function {name!r}, by way of code of yours ({hidden}): "
            "call backward() or autograd.grad inside the jitted function"
        )
    if any(node.saved is None for node in nodes):
        return GraphFreedError, str(freed())
    for node in nodes:
        for value, storage, version in node.kept():
            if storage is not None and storage.version != version:
                return InPlaceError, str(node.modified(value, storage, version))
    if any(node.leaf is not None and node not in inputs for node in nodes):
        return UnsupportedError, (
            f"gradient through the result of the jitted function {name!r} to a leaf that it made: call backward() or "
            "autograd.grad inside the jitted function"
        )
    return None
