"""Node: one recorded application in the eager graph, what `grad_fn` shows."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import numpy as np

from ..errors import GraphFreedError, InPlaceError
from .primitive import Primitive, SavePlan
from .variable import TensorBase, history, wrap

__all__ = ["AccumulateGrad", "Node", "accumulator_of", "edge_of", "make_node", "next_sequence", "node_class"]

next_sequence = itertools.count().__next__

Edge = tuple["Node | None", int]


class Node:
    """One application of a primitive, with what its rules named.

    `pull(g, create_graph)` maps the cotangent of the output to one cotangent per entry of `edges`. `sequence` grows
    with time, so that decreasing order is a topological order of any graph.
    """

    __slots__ = (
        "__weakref__", "dtype", "edges", "outputs", "plan", "prim", "saved", "sequence", "shape", "versions", "width",
    )  # fmt: skip

    prim: Primitive
    plan: SavePlan
    saved: tuple[Any, ...] | None
    versions: tuple[int, ...] | None
    edges: tuple[Edge, ...]
    width: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sequence: int
    outputs: int

    def name(self) -> str:
        """PyTorch's name for this kind of node, such as `AddBackward0`."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[Edge, ...]:
        """Per tensor operand, the node it came from (None if it needs no gradient) and its output number."""
        found: list[Edge] = [(None, 0)] * self.width
        for (position, _, _), edge in zip(self.plan.pulls, self.edges, strict=True):
            found[position] = edge
        return tuple(found)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    def release(self) -> None:
        """Forget the saved values; a node that saves no tensors stays usable, as in PyTorch."""
        if self.plan.saves_tensors:
            self.saved = None

    def unpack(self, as_tensors: bool) -> list[Any]:
        """The saved values, tensors as arrays (or as tensors with their history).

        Raises GraphFreedError after `release`, InPlaceError if a saved tensor was written to since.
        """
        saved = self.saved
        if saved is None:
            raise GraphFreedError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
                "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
                "if you need to access saved tensors after calling backward."
            )
        values = list(saved)
        if self.plan.saves_tensors:
            for slot, (kind, position) in enumerate(self.plan.sources):
                value = values[slot]
                if kind == "operand" and isinstance(value, TensorBase):
                    self._check_version(value, slot)
                    values[slot] = self._operand(value, position) if as_tensors else value._array
                elif kind == "out":
                    array, storage, version = value
                    if storage.version != version:
                        raise self._modified(array, storage.version, version)
                    values[slot] = self._output(array, storage) if as_tensors else array
        return values

    def _check_version(self, value: TensorBase, slot: int) -> None:
        storage = value._storage
        if storage is not None:
            expected = 0 if self.versions is None else self.versions[slot]
            if storage.version != expected:
                raise self._modified(value._array, storage.version, expected)

    def _modified(self, array: np.ndarray[Any, Any], found: int, expected: int) -> InPlaceError:
        return InPlaceError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"a {array.dtype.name} tensor of shape {list(array.shape)}, saved for {self.name()}, is at version {found}; "
            f"expected version {expected} instead. Hint: write to a clone(), or use the out-of-place operation."
        )

    def _operand(self, value: TensorBase, position: int) -> TensorBase:
        """A saved operand with the history it had when it was saved."""
        edge: Edge = (None, 0)
        for (pulled, _, _), candidate in zip(self.plan.pulls, self.edges, strict=True):
            if pulled == position:
                edge = candidate
        if edge_of(value) == edge:
            return value
        return _attached(value._array, value._storage, edge)

    def _output(self, array: np.ndarray[Any, Any], storage: Any) -> TensorBase:
        return _attached(array, storage, (self, 0))

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """One cotangent per edge, from the rules."""
        values = self.unpack(create_graph) if self.plan.sources else ()
        return [rule(g, *[values[k] for k in needs]) for _, rule, needs in self.plan.pulls]


def _attached(array: np.ndarray[Any, Any], storage: Any, edge: Edge) -> TensorBase:
    """A tensor on `array` whose history is `edge`."""
    node, index = edge
    t = wrap(array)
    t._storage = storage
    t._requires_grad = node is not None
    if isinstance(node, AccumulateGrad):
        t._accumulator = weakref.ref(node)
    else:
        t._node, t._index = node, index
    return t


_classes: dict[str, type[Node]] = {}


def node_class(name: str) -> type[Node]:
    """The class of nodes called `name`, so that `type(t.grad_fn).__name__` is PyTorch's."""
    cls = _classes.get(name)
    if cls is None:
        cls = _classes[name] = type(name, (Node,), {"__slots__": (), "__module__": __name__})
    return cls


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds what arrives to the leaf's `.grad`."""

    __slots__ = ("variable",)

    variable: TensorBase

    def __init__(self, variable: TensorBase) -> None:
        self.variable = variable
        self.edges = ()
        self.width = 0
        self.outputs = 1
        self.plan = SavePlan((), (), False)
        self.saved = ()
        self.shape = variable._array.shape
        self.dtype = variable._array.dtype
        self.sequence = next_sequence()


def accumulator_of(leaf: TensorBase) -> Node:
    """The leaf's AccumulateGrad node: one as long as any graph refers to it."""
    reference = leaf._accumulator
    node = None if reference is None else reference()
    if node is None:
        node = AccumulateGrad(leaf)
        leaf._accumulator = weakref.ref(node)
    return node


def edge_of(t: TensorBase) -> Edge:
    """Where the cotangent of `t` goes: its node and output number, or (None, 0) if it needs no gradient."""
    node = history(t)
    if node is not None:
        return node, t._index
    return (accumulator_of(t), 0) if t._requires_grad else (None, 0)


def make_node(
    prim: Primitive, plan: SavePlan, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase
) -> Node:
    """Record that `out` is `prim` of `operands`: a node with its edges, keeping what the rules name."""
    cls = _classes.get(prim.node_name) or node_class(prim.node_name)
    node: Node = cls.__new__(cls)
    node.prim = prim
    node.plan = plan
    node.width = len(operands)
    node.outputs = 1
    array = out._array
    node.shape = array.shape
    node.dtype = array.dtype
    node.versions = None
    node.edges = tuple([edge_of(operands[position]) for position, _, _ in plan.pulls])
    node.saved = save(node, operands, params, out) if plan.sources else ()
    node.sequence = next_sequence()
    return node


def save(node: Node, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> tuple[Any, ...]:
    """The values of the plan's sources; versions of written tensors go to `node.versions`."""
    saved: list[Any] = []
    versions: list[int] | None = None
    for kind, key in node.plan.sources:
        if kind == "operand":
            value = operands[key]
            if isinstance(value, TensorBase) and value._storage is not None and value._storage.version:
                versions = versions or [0] * len(node.plan.sources)
                versions[len(saved)] = value._storage.version
            saved.append(value)
        elif kind == "param":
            saved.append(params[key])
        elif kind == "out":
            from .variable import storage_of

            storage = storage_of(out)
            saved.append((out._array, storage, storage.version))
        else:
            saved.append(_metadata(kind, key, operands))
    node.versions = None if versions is None else tuple(versions)
    return tuple(saved)


def _metadata(kind: str, key: Any, operands: tuple[Any, ...]) -> Any:
    """Shapes and dtypes that rules name."""
    if kind == "position":
        return key
    if kind == "in_shapes":
        return tuple(o._array.shape for o in operands)
    first = operands[0]._array
    return first.shape if kind == "in_shape" else first.dtype
