"""Node: one recorded application in the eager graph, what `grad_fn` shows."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..errors import InPlaceError
from ..storage import Storage
from .hooks import Extras, RemovableHandle, extras_of
from .primitive import Primitive, SavePlan
from .saved import Packed, freed, modified, saved_at_version
from .state import leaf_lock
from .variable import TensorBase, history, storage_of, wrap

__all__ = [
    "AccumulateGrad", "Node", "RefusingNode", "accumulator_of", "attached", "edge_of", "exposed", "make_node",
    "next_sequence", "with_history", "youngest_sequence",
]  # fmt: skip

next_sequence = itertools.count().__next__


def youngest_sequence() -> int:
    """One that is larger than all of `next_sequence`."""
    return next_sequence() + (1 << 60)


Edge = tuple["Node | None", int]

_new = object.__new__


class Node:
    """One application of a primitive, with what its rules named.

    `edges` are the nodes that the operands needing a gradient came from, `indices` which outputs of those nodes they
    are (None: all number 0). `pull(g, create_graph)` maps the cotangent of the output to one cotangent per edge.
    `sequence` grows with time, so that decreasing order is a topological order of any graph. `leaf` is a weak reference
    to the leaf where the graph ends (`accumulator_of`), None elsewhere. `kind` is PyTorch's name for the operation.
    `extras` are its hooks and metadata, None for nearly all nodes.
    """

    # One class while the engine works on it, so that attribute access stays fast; see `exposed`.
    __slots__ = (
        "__weakref__", "dtype", "edges", "extras", "indices", "kind", "leaf", "outputs", "plan", "prim", "saved",
        "sequence", "shape",
    )  # fmt: skip

    extras: Extras | None
    runs_on_nothing: ClassVar[bool] = False
    """Whether `pull` is wanted even if no cotangent arrived."""

    refuses: ClassVar[bool] = False
    """Whether `pull` does nothing but raise, as what is behind the node is unknown."""

    passes_over: ClassVar[bool] = False
    """Whether an edge for which `pull` gives None is none that the walk comes to."""

    kind: str
    leaf: weakref.ref[TensorBase] | None

    prim: Primitive
    plan: SavePlan
    saved: tuple[Any, ...] | None
    edges: tuple[Node, ...]
    indices: tuple[int, ...] | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sequence: int
    outputs: int

    def name(self) -> str:
        """PyTorch's name for this kind of node, such as `AddBackward0`."""
        return self.kind

    def positions(self) -> tuple[int, ...]:
        """Which operand each edge belongs to."""
        return self.plan.positions

    def edge(self, k: int) -> Edge:
        """The node and output number of edge `k`."""
        return exposed(self.edges[k]), 0 if self.indices is None else self.indices[k]

    @property
    def next_functions(self) -> tuple[Edge, ...]:
        """Per tensor operand, the node it came from (None if it needs no gradient) and its output number."""
        found: dict[int, Edge] = dict.fromkeys(self.differentiable(), (None, 0))
        for k, position in enumerate(self.positions()):
            found[position] = self.edge(k)
        return tuple(found.values())

    def differentiable(self) -> list[int]:
        """The positions of the operands that have a rule (of a variadic primitive, up to the last that needs it)."""
        if self.leaf is not None:
            return []
        count = max(len(self.prim.operands), self.plan.positions[-1] + 1)
        return [position for position in range(count) if self.prim.rule(position) is not None]

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after the node has run; it may return other `grad_inputs`.

        Both are tuples, one gradient (or None) per operand and per output. Returns a handle with `remove()`.
        """
        return extras_of(self).after.add(hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_outputs)` before the node runs; it may return other `grad_outputs`, a tuple."""
        return extras_of(self).before.add(hook)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for whatever the user wants to note about this node."""
        return extras_of(self).metadata

    def _sequence_nr(self) -> int:
        return self.sequence

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"cannot pickle '{self.name()}' object")

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    def release(self) -> None:
        """Forget the saved values; a node that saves no tensors stays usable, as in PyTorch."""
        if self.forgets:
            self.saved = None

    @property
    def forgets(self) -> bool:
        """Whether `release` makes it useless."""
        return bool(self.plan.tensor_slots)

    def unpack(self, as_tensors: bool) -> Any:
        """The saved values, tensors as arrays (or as tensors with their history).

        Raises GraphFreedError after `release`, InPlaceError if a saved tensor was written to since.
        """
        saved = self.saved
        if saved is None:
            raise freed()
        slots = self.plan.tensor_slots
        if not slots:
            return saved
        values = list(saved)
        for slot in slots:
            value = values[slot]
            if type(value) is tuple:  # with the version it was saved at
                value, storage, version = value
                if storage.version != version:
                    raise self.modified(value, storage, version)
            elif isinstance(value, TensorBase):
                if value._storage is not None and value._storage.version:
                    raise self.modified(value, value._storage, 0)
            elif type(value) is Packed:
                value = value.unpack()
                if self.plan.sources[slot][0] == "out":
                    value = value._array
            else:  # a Python scalar
                continue
            if as_tensors:
                values[slot] = self._with_history(value, slot)
            else:
                values[slot] = value._array if isinstance(value, TensorBase) else value
        return values

    def kept(self) -> Iterator[tuple[Any, Storage | None, int]]:
        """The tensors it saved (or their arrays), with their memory, if they have one, and its version then."""
        for slot in self.plan.tensor_slots if self.saved is not None else ():
            value = self.saved[slot]  # type: ignore[index]
            if type(value) is tuple:
                yield value
            elif isinstance(value, TensorBase):
                yield value, value._storage, 0

    def put_away(self) -> list[Packed]:
        """The saved tensors that hooks have put away."""
        return [value for value in self.saved or () if type(value) is Packed]

    def of_the_user(self) -> list[Any]:
        """What code of the user's the node itself runs, and what that works on."""
        return []

    def modified(self, value: Any, storage: Storage, expected: int) -> InPlaceError:
        """The error for a saved tensor (or its array: then an output of this node) that was written to since."""
        maker, array = (value._node, value._array) if isinstance(value, TensorBase) else (self, value)
        return modified(self.name(), array, maker, storage, expected)

    def _with_history(self, value: Any, slot: int) -> TensorBase:
        """A saved value as a tensor with the history it had when it was saved."""
        kind, position = self.plan.sources[slot]
        if kind == "out":
            return attached(value, None, (self, 0))
        edge: Edge = (None, 0)
        if position in self.plan.positions:
            edge = self.edge(self.plan.positions.index(position))
        return with_history(value, edge)

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """One cotangent per edge, from the rules."""
        plan = self.plan
        if not plan.sources:
            return [rule(g) for rule, _ in plan.pulls]
        values = self.unpack(create_graph)
        pulled = []
        for rule, needs in plan.pulls:
            if needs is None:
                pulled.append(rule(g, *values))
            elif len(needs) == 1:
                pulled.append(rule(g, values[needs[0]]))
            else:
                pulled.append(rule(g, *[values[k] for k in needs]))
        return pulled


def attached(array: np.ndarray[Any, Any], storage: Any, edge: Edge) -> TensorBase:
    """A tensor on `array` whose history is `edge`."""
    node, index = edge
    t = wrap(array)
    t._storage = storage
    t._requires_grad = node is not None
    if node is not None and node.leaf is not None:
        t._accumulator = node
    else:
        t._node, t._index = node, index
    return t


def with_history(t: TensorBase, edge: Edge) -> TensorBase:
    """`t` if its history is `edge`, else a tensor of the same memory with that history."""
    return t if edge_of(t) == edge else attached(t._array, t._storage, edge)


_NO_PLAN = SavePlan((), (), (), ())
_classes: dict[str, type[Node]] = {}


def exposed(node: Node) -> Node:
    """`node`, of a class called as PyTorch's, so that `type(t.grad_fn).__name__` is right for those who look."""
    if type(node) is Node:
        cls = _classes.get(node.kind)
        if cls is None:
            bases = (AccumulateGrad if node.leaf is not None else _Exposed,)
            cls = _classes[node.kind] = type(node.kind, bases, {"__slots__": (), "__module__": __name__})
        node.__class__ = cls
    return node


class _Exposed(Node):
    """A node as users see it. Only here, as a class with a `__getattr__` makes each attribute access slow."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """What the node saved, by PyTorch's names: `_saved_self`, `_saved_other`, `_saved_result` and so on."""
        if name.startswith("_saved_"):
            wanted = name.removeprefix("_saved_")
            for slot, source in enumerate(self.plan.sources):
                if wanted in self._saved_names(*source):
                    return self.unpack(as_tensors=True)[slot]
        raise AttributeError(f"'{self.name()}' object has no attribute '{name}'")

    def _saved_names(self, kind: str, key: Any) -> tuple[str, ...]:
        """What a saved value is called."""
        if kind == "operand":
            names = self.prim.operands
            pytorchs = ("self", "exponent" if names[1:] and self.prim.name == "pow" else "other")
            return (*pytorchs[key : key + 1], *names[key : key + 1])
        return ("result", "out") if kind == "out" else (str(key),)


class AccumulateGrad(Node):
    """The end of the graph at a leaf, as users see it."""

    __slots__ = ()

    @property
    def variable(self) -> TensorBase | None:
        """The leaf, None once it is gone."""
        return None if self.leaf is None else self.leaf()


_classes["AccumulateGrad"] = AccumulateGrad


class RefusingNode(Node):
    """A node called `kind` that raises `error(message)` when a cotangent is pulled through it.

    What is behind it may be older than any target: it is younger than all nodes of other kinds, for no walk to leave it
    out.
    """

    __slots__ = ("error", "message")

    def __init__(self, kind: str, error: type[Exception], message: str, like: Any) -> None:
        self.error = error
        self.message = message
        self.kind = kind
        self.leaf = None
        self.extras = None
        self.edges = ()
        self.indices = None
        self.plan = _NO_PLAN
        self.saved = ()
        self.outputs = 1
        self.shape, self.dtype = like.shape, like.dtype
        self.sequence = youngest_sequence()

    def differentiable(self) -> list[int]:
        """No operand."""
        return []

    def pull(self, g: Any, create_graph: bool) -> list[Any]:  # noqa: ARG002  (there is nothing to pull)
        """Raise."""
        raise self.error(self.message)


def accumulator_of(leaf: TensorBase) -> Node:
    """The node where the graph ends at `leaf`, always the same one: what arrives is added to the leaf's `.grad`.

    The leaf owns the node and the node only knows the leaf: once the leaf is gone nobody can ask for its gradient.
    """
    node = leaf._accumulator
    if node is not None:
        return node
    with leaf_lock:
        if leaf._accumulator is not None:  # another thread was first
            return leaf._accumulator
        node = _new(Node)
        node.kind = "AccumulateGrad"
        node.extras = None
        node.leaf = weakref.ref(leaf)
        node.edges = ()
        node.indices = None
        node.outputs = 1
        node.plan = _NO_PLAN
        node.saved = ()
        node.shape = leaf._array.shape
        node.dtype = leaf._array.dtype
        node.sequence = next_sequence()
        leaf._accumulator = node
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
    """Record that `out` is `prim` of `operands`: a node with its edges, keeping what the rules name.

    The histories of the operands must be up to date (`history`).
    """
    node: Node = _new(Node)
    node.kind = prim.node_name
    node.leaf = None
    node.extras = None
    node.prim = prim
    node.plan = plan
    node.outputs = 1
    array = out._array
    node.shape = array.shape
    node.dtype = array.dtype
    node.indices = None
    edges = []
    for position in plan.positions:
        operand = operands[position]
        source = operand._node
        if source is None:
            source = operand._accumulator or accumulator_of(operand)
        elif operand._index:
            node.indices = tuple([operands[p]._index for p in plan.positions])
        edges.append(source)
    node.edges = tuple(edges)
    node.saved = _save(node, operands, params, out) if plan.sources else ()
    node.sequence = next_sequence()
    return node


def _save(node: Node, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> tuple[Any, ...]:
    """The values of the plan's sources; of tensors that may be written to unnoticed, with storage and version."""
    saved: list[Any] = []
    for kind, key in node.plan.sources:
        if kind == "operand":
            value = operands[key]
            if isinstance(value, TensorBase) and value._storage is not None and value._storage.version:
                value = saved_at_version(value)
            saved.append(value)
        elif kind == "param":
            saved.append(params[key])
        elif kind == "in_shape":
            saved.append(operands[0]._array.shape)
        elif kind == "out":
            storage = storage_of(out)
            saved.append((out._array, storage, storage.version))
        else:
            saved.append(_metadata(kind, key, operands))
    return tuple(saved)


def _metadata(kind: str, key: Any, operands: tuple[Any, ...]) -> Any:
    """What a rule of a variadic primitive, or of a cast, names."""
    if kind == "position":
        return key
    return tuple(o._array.shape for o in operands) if kind == "in_shapes" else operands[0]._array.dtype
