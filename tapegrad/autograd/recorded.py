"""`backward` and `grad` where a recorder is active.

The walk is one step of the tape, unless it runs code of the user's on its way: then its rules, hooks and `Function`s
are recorded as they run. Hooks on leaves alone leave the walk one step; they run on the gradients that it gives, in
the order in which the engine runs them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import engine
from ..cotangents import accumulate
from ..ops.creation import clone
from ..tape import Node, Recorder, TensorBase, state, wrap

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["record_backward", "record_grad"]

Edge = tuple[Any, int]


def record_backward(
    recorder: Recorder,
    roots: Sequence[Any],
    edges: Sequence[Edge],
    seeds: Sequence[Tensor],
    wanted: Sequence[Any] | None,
    targets: Sequence[Edge] | None,
    *,
    retain: bool,
    create_graph: bool,
) -> None:
    """Add the gradients of `roots` to the `.grad` of their leaves (of `wanted` only, if given)."""
    for x in wanted or ():
        if isinstance(x, TensorBase):
            x.retain_grad()  # type: ignore[attr-defined]
    modes: dict[str, Any] = {
        "retain_graph": retain, "create_graph": create_graph, "targets": targets, "capture": False,
    }  # fmt: skip
    nodes = engine.visited(edges, targets)
    if recorder.must_inline(nodes, forced=_lacks_tensors(roots, wanted or ())):
        with recorder.walking(inline=True, create_graph=create_graph):
            engine.run(edges, seeds, inline=True, **modes)
        return
    recorder.before_backward(roots, [leaf for node in nodes if (leaf := _leaf_of(node)) is not None])
    with recorder.walking(inline=False, create_graph=create_graph):
        walk = engine.gather(edges, seeds, **modes)
    arrivals = [(node, g, leaf) for node, g in walk.arrivals if (leaf := _leaf_of(node)) is not None]
    grads = _recorded(recorder, roots, seeds, [leaf for *_, leaf in arrivals], [g for _, g, _ in arrivals])
    with _handing_over(walk):
        for (node, _, leaf), g in zip(arrivals, grads, strict=True):
            if node.extras is not None:
                walk.hand_over(node, g)
            elif g is not None and leaf._requires_grad:
                _accumulate(leaf, g, create_graph)


def record_grad(
    recorder: Recorder,
    roots: Sequence[Any],
    edges: Sequence[Edge],
    seeds: Sequence[Tensor],
    wanted: Sequence[Any],
    targets: Sequence[Edge],
    *,
    retain: bool,
    create_graph: bool,
) -> list[Any]:
    """The gradients of `roots` with respect to `wanted`, None where no way leads there."""
    modes: dict[str, Any] = {"retain_graph": retain, "create_graph": create_graph, "targets": targets}
    forced = _lacks_tensors(roots, wanted)
    if recorder.must_inline(engine.visited(edges, targets), forced=forced):
        with recorder.walking(inline=True, create_graph=create_graph):
            found = engine.run(edges, seeds, inline=True, **modes)
            return [g if g is None or create_graph else clone(g) for g in found]
    tensors: list[Any] = [x if isinstance(x, TensorBase) else _leaf_of(x.node) for x in wanted]
    recorder.before_backward(roots, tensors)
    with recorder.walking(inline=False, create_graph=create_graph):
        walk = engine.gather(edges, seeds, capture=True, **modes)
    raw = walk.found | {(node, 0): g for node, g in walk.arrivals}
    grads = _recorded(recorder, roots, seeds, tensors, [raw.get(edge) for edge in targets])
    with _handing_over(walk):
        for node, _ in walk.arrivals:
            if node.extras is not None and (node, 0) in targets:
                walk.hand_over(node, grads[targets.index((node, 0))])
                grads = [walk.found[edge] if edge == (node, 0) else g for edge, g in zip(targets, grads, strict=True)]
    return grads


def _lacks_tensors(roots: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Whether there are gradient edges in place of tensors that a step would name."""
    known = [x for x in wanted if isinstance(x, TensorBase) or _leaf_of(x.node) is not None]
    return len(known) < len(wanted) or not all(isinstance(root, TensorBase) for root in roots)


def _leaf_of(node: Node) -> TensorBase | None:
    return None if node.leaf is None else node.leaf()


@contextlib.contextmanager
def _handing_over(walk: Any) -> Iterator[None]:
    """The end of `walk`, when leaves get their gradients: seen by the recorder."""
    now = state.now
    before = now.grad_enabled, now.walk
    now.grad_enabled, now.walk = walk.create_graph, walk
    try:
        yield
    finally:
        now.grad_enabled, now.walk = before


def _accumulate(leaf: TensorBase, g: Tensor, create_graph: bool) -> None:
    """Add a gradient, which nobody else has unless it has a graph, to a leaf."""
    held = leaf._grad
    if create_graph:
        accumulate(leaf, g, bare=False, create_graph=True)
    elif held is None:
        if leaf._array.flags.c_contiguous and not g._array.flags.c_contiguous:
            g._array = np.array(g._array, order="C")  # in the leaf's order, as `cotangents.accumulate` has it
        leaf._grad = g
    else:
        held += g


def _recorded(
    recorder: Recorder,
    roots: Sequence[TensorBase],
    seeds: Sequence[TensorBase],
    wanted: Sequence[TensorBase],
    found: Sequence[Any],
) -> list[Any]:
    """The gradients as tensors, each on memory of its own; told to the recorder as one step."""
    grads: list[Any] = []
    for i, g in enumerate(found):  # two inputs may be given the very same tensor
        first = next((j for j in range(i) if g is not None and found[j] is g and isinstance(g, TensorBase)), None)
        grads.append(_own(g, seeds) if first is None else grads[first])
    distinct = {id(g): i for i, g in enumerate(grads) if g is not None and not any(g is seed for seed in seeds)}
    if distinct:
        reached = list(distinct.values())
        recorder.backward(roots, seeds, [wanted[i] for i in reached], [grads[i] for i in reached])
    for watcher in state.now.watchers:
        if watcher is not recorder:
            for g, array in zip(grads, found, strict=True):
                if g is not array:
                    watcher.constant(g)
    return grads


def _own(g: Any, seeds: Sequence[TensorBase]) -> Any:
    """A gradient as a tensor that shares memory with none that the recorder does not know; it may be a seed itself."""
    if g is None or any(g is seed for seed in seeds):
        return g
    if not isinstance(g, TensorBase):
        return wrap(np.array(g))
    if g._view is None:
        return g
    own = wrap(np.array(g._array))
    own._requires_grad, own._node, own._index = g._requires_grad, g._node, g._index
    return own
