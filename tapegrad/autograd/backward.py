"""`backward` and `grad`: what users call to run the engine."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import engine
from ..dtypes import from_numpy_dtype
from ..errors import NotDifferentiableError, ShapeError
from ..ops.common import cast_to, dtype_of
from ..ops.creation import new_leaf, ones_like, zeros_like
from ..tape import Node, TensorBase, edge_of, state, wrap
from .graph import GradientEdge
from .recorded import record_backward, record_grad

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["backward", "grad"]

Edge = tuple[Any, int]
Tensors = Any  # a tensor (or gradient edge), or a sequence of them


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of `tensors` to the `.grad` of the leaves they depend on (of `inputs` only, if given).

    Args:
        tensors: the roots; a scalar needs no cotangent.
        grad_tensors: one cotangent per root, of its shape; None for scalars.
        retain_graph: keep what the nodes saved, to run them again; by default kept only with `create_graph`.
        create_graph: record the gradients' own graph, for gradients of any order.
        inputs: the tensors to add gradients to; the others are left alone. One that is no leaf keeps its gradient.

    Raises RuntimeError if a root does not require grad, a cotangent is missing or has another shape, or the graph was
    freed by an earlier backward.
    """
    watched = state.now.watchers
    if watched:
        state.now.tell("changes_graph", "backward")
    elif grad_tensors is None and inputs is None and not create_graph and _is_scalar(tensors):  # most calls are this
        seed = _unit(tensors._array.dtype)
        engine.run([edge_of(tensors)], [seed], retain_graph=bool(retain_graph), create_graph=False)
        return
    roots = _listed(tensors)
    edges, seeds = _seeds(roots, [None] * len(roots) if grad_tensors is None else _listed(grad_tensors, len(roots)))
    retain = create_graph if retain_graph is None else retain_graph
    wanted = None if inputs is None else _listed(inputs)
    targets = None if wanted is None else _targets("backward", wanted)
    recorder = state.now.recorder if watched and not engine.is_followed() else None
    if recorder is not None:
        record_backward(
            recorder, roots, edges, seeds, wanted, targets, retain=retain, create_graph=create_graph
        )  # fmt: skip
        return
    for x in wanted or ():
        if isinstance(x, TensorBase):
            x.retain_grad()  # type: ignore[attr-defined]
    engine.run(edges, seeds, retain_graph=retain, create_graph=create_graph, targets=targets, capture=False)


def _targets(op: str, wanted: Sequence[Any]) -> list[Edge]:
    """Where the gradients of the tensors (or gradient edges) `wanted` arrive."""
    if not wanted:
        raise NotDifferentiableError(f"`inputs` argument to `{op}()` cannot be empty.")
    targets = []
    for x in wanted:
        if not isinstance(x, (TensorBase, GradientEdge)):
            raise NotDifferentiableError(f"all inputs have to be Tensors or GradientEdges, but got {type(x).__name__}")
        edge = (x.node, x.output_nr) if isinstance(x, GradientEdge) else edge_of(x)
        if edge[0] is None:
            raise NotDifferentiableError(
                "can't retain_grad on Tensor that has requires_grad=False"
                if op == "backward"
                else "One of the differentiated Tensors does not require grad"
            )
        targets.append(edge)
    return targets


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs` (leaves or not), as a tuple; no `.grad` changes.

    Arguments as `backward`; an input the outputs do not depend on gives None with `allow_unused`, zeros with
    `materialize_grads`, else RuntimeError. With `is_grads_batched` each cotangent has one dim more, in front, and the
    gradients are those of every entry, found in one walk.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if is_grads_batched:
        from .batched_grad import grad_of_batch

        return grad_of_batch(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    roots, wanted = _listed(outputs), _listed(inputs)
    targets = _targets("grad", wanted)
    edges, seeds = _seeds(roots, _listed(grad_outputs, len(roots)))
    retain = create_graph if retain_graph is None else retain_graph
    recorder = state.recorder
    if recorder is None or engine.is_followed():  # then it sees the walk itself
        found = engine.run(edges, seeds, retain_graph=retain, create_graph=create_graph, targets=targets)
        found = _tensors(found)
    else:
        found = record_grad(
            recorder, roots, edges, seeds, wanted, targets, retain=retain, create_graph=create_graph
        )  # fmt: skip
    if materialize_grads:
        found = [zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]
    elif not allow_unused and any(g is None for g in found):
        unused = next(i for i, g in enumerate(found) if g is None)
        raise NotDifferentiableError(
            f"The differentiated Tensor at index {unused} appears to not have been used in the graph. "
            "Set allow_unused=True if this is the desired behavior."
        )
    return tuple([_own(g) for g in found])


def _own(g: Any) -> Any:
    """A gradient that may be written to: not the cotangent of a scalar that all share."""
    plain = isinstance(g, TensorBase) and g._device is None and not g._requires_grad
    return wrap(g._array.copy()) if plain and not g._array.flags.writeable else g


def _tensors(found: Sequence[Any]) -> list[Any]:
    """Gradients as tensors of their own memory, which watchers are told of."""
    grads = [g if g is None or isinstance(g, TensorBase) else wrap(np.array(g)) for g in found]
    for watcher in state.now.watchers:
        for g, array in zip(grads, found, strict=True):
            if g is not None and g is not array:
                watcher.constant(g)
    return grads


def _listed(tensors: Any, count: int | None = None) -> list[Any]:
    """A tensor or a sequence of them as a list; None as `count` Nones."""
    if tensors is None:
        return [None] * (count or 0)
    listed = [tensors] if isinstance(tensors, (TensorBase, GradientEdge)) else list(tensors)
    if count is not None and len(listed) != count:
        raise NotDifferentiableError(f"got {count} tensors and {len(listed)} gradients")
    return listed


def _seeds(roots: Sequence[Any], given: Sequence[Any]) -> tuple[list[tuple[Any, int]], list[Tensor]]:
    """The edge and the cotangent of each root, checked; ones for scalars."""
    edges: list[Edge] = []
    seeds: list[Tensor] = []
    for position, (root, seed) in enumerate(zip(roots, given, strict=True)):
        if not isinstance(root, TensorBase):
            if isinstance(root, GradientEdge):
                edges.append((root.node, root.output_nr))
                seeds.append(_seed_of_edge(root.node, seed, position))
                continue
            raise TypeError(f"backward: expected tensors to differentiate, got {type(root).__name__}")
        edge = edge_of(root)
        if edge[0] is None:
            raise NotDifferentiableError(
                f"element {position} of tensors does not require grad and does not have a grad_fn"
            )
        edges.append(edge)
        seeds.append(_implicit(root) if seed is None else _checked(root, seed, position))
    return edges, seeds


def _seed_of_edge(node: Node, seed: Any, position: int) -> Tensor:
    """The cotangent of a root that is known by its gradient edge only."""
    if seed is None or node.outputs > 1:
        if node.shape or node.outputs > 1:
            raise ShapeError("grad can be implicitly created only for scalar outputs")
        return new_leaf(np.ones(node.shape, node.dtype))
    return _checked(wrap(np.broadcast_to(np.zeros((), node.dtype), node.shape)), seed, position)


def _implicit(root: Any) -> Tensor:
    array = root._array
    if array.size != 1:
        raise ShapeError("grad can be implicitly created only for scalar outputs")
    if array.dtype.kind == "c":
        raise NotDifferentiableError(
            f"grad can be implicitly created only for real scalar outputs but got {from_numpy_dtype(array.dtype)}"
        )
    if state.now.recorder is not None:
        return ones_like(root)
    return wrap(np.ones(array.shape, array.dtype) if array.ndim else _one(array.dtype))


def _is_scalar(x: Any) -> bool:
    """Whether `x` is a 0-d tensor of real floating numbers that requires grad."""
    return isinstance(x, TensorBase) and x._requires_grad and not x._array.shape and x._array.dtype.kind == "f"


@functools.cache
def _unit(dtype: np.dtype[Any]) -> Tensor:
    """The cotangent of a scalar as a tensor, for walks on arrays, which do not hand it on."""
    return wrap(_one(dtype))


@functools.cache
def _one(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The cotangent of a scalar, made once: the engine does not write to cotangents, nor give them away."""
    one = np.array(1, dtype)
    one.flags.writeable = False
    return one


def _checked(root: Any, seed: Any, position: int) -> Tensor:
    if not isinstance(seed, TensorBase):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(seed).__name__}")
    if seed._array.shape != root._array.shape:
        raise ShapeError(
            f"Mismatch in shape: grad_output[{position}] has a shape of torch.Size({list(seed._array.shape)}) and "
            f"output[{position}] has a shape of torch.Size({list(root._array.shape)})."
        )
    if (seed._array.dtype.kind == "c") != (root._array.dtype.kind == "c"):
        raise NotDifferentiableError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{position}] has a dtype of {dtype_of(seed)} and output[{position}] has a dtype of "
            f"{dtype_of(root)}."
        )
    return cast_to(seed, dtype_of(root))  # type: ignore[arg-type]
