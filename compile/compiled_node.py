"""The node of a compiled call in the graph: what it saves, frees and checks is what the eager graph would."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..errors import UnsupportedError
from ..storage import Storage
from ..tape import Node, TensorBase, edge_of, is_inference, state
from ..tape.node import next_sequence, with_history
from ..tape.primitive import SavePlan
from ..tape.saved import Packed, freed, modified, packed, saved_at_version
from .device import from_device, own_storage

if TYPE_CHECKING:
    from .pullback import DifferentiableForward, Residual

__all__ = ["CompiledNode", "Edge", "Graph", "Save", "class_called", "held", "kept_apart"]

Edge = tuple["Node | None", int]
_NO_PLAN = SavePlan((), (), (), ())
_nodes: weakref.WeakSet[Node] = weakref.WeakSet()
held: set[Any] = _nodes.data  # type: ignore[attr-defined]
"""The nodes that hold on to values of tensors, known weakly: empty if there are none."""


class Save(NamedTuple):
    """That a node of the eager graph saves something: the outputs of the call that lead to it, and the positions of
    tensors, among the inputs and among those `beside`, that may not be written to until it is done with.
    """

    outs: frozenset[int]
    inputs: tuple[int, ...]
    beside: tuple[int, ...] = ()


class Graph(NamedTuple):
    """What is known of the eager graph that a compiled call stands for.

    `reach` says per output to which inputs it leads; `saves` has what is saved, youngest first.
    """

    reach: list[set[int]]
    saves: list[Save]


def kept_apart(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Device buffers that a program may write over: those that a node holds on to, too, as copies.

    Each of the `values` is otherwise known to a tensor, to the anchors of a program, and to the caller.
    """
    if not held:
        return values
    return tuple([jnp.copy(x) if sys.getrefcount(x) > _KNOWN else x for x in values])


_KNOWN = 6  # those three, the tuple, the variable of the loop, and the argument of getrefcount


class _Saved(NamedTuple):
    """An input of a compiled call: its history, and as which version of its memory it was seen."""

    held: Any  # the tensor, or what a hook put away in its place
    edge: Edge
    storage: Storage | None
    version: int
    writes: int

    def changed_unseen(self) -> bool:
        """Whether the tensor has another value since in a way that autograd does not see."""
        now: Storage | None = self.held._storage
        if now is None:
            return False
        memory = now if self.storage is None else self.storage.memory
        return now.memory is not memory or now.writes != self.writes


def _saved(x: Any) -> Any:
    """What a node keeps of an input: of a tensor a `_Saved`, made without fetching its value."""
    if not isinstance(x, TensorBase):
        return x
    if is_inference(x):
        saved_at_version(x)  # raises
    away = packed(x)
    storage = x._storage
    counts = (0, 0) if storage is None else (storage.version, storage.writes)
    return _Saved(x if away is None else away, edge_of(x), storage, *counts)


def _saved_beside(t: TensorBase) -> tuple[Storage, int, int, tuple[Any, ...]]:
    """What a node keeps of a tensor, not to keep that alive: how often its memory was written to, shape and dtype."""
    storage = own_storage(t)
    return storage, storage.version, storage.writes, _type_of(t)


class CompiledNode(Node):
    """A call of a `DifferentiableForward`, in the graph. `pull` runs the compiled pullback."""

    __slots__ = ("_beside", "_forward", "_inputs", "_met", "_outs", "_residual", "_used", "reach", "saves")

    passes_over = True

    reach: Sequence[Collection[int]] | None
    saves: Sequence[Save]

    def __init__(
        self, forward: DifferentiableForward, residual: Residual, inputs: Sequence[Any], outputs: Sequence[TensorBase]
    ) -> None:
        saved = [_saved(x) for x in inputs]  # before the node gets its place in the order: after their accumulators
        _prepare(self, outputs[0])
        self._forward = forward
        self._residual: Residual | None = residual
        self._inputs: list[Any] | None = saved
        self._outs = [_type_of(t) for t in outputs]
        self._used: frozenset[int] = frozenset()  # the outputs from which what they lead to was freed
        self._met: frozenset[int] = frozenset()  # those from which the last walk came
        self.outputs = len(outputs)
        if self.outputs > 1:
            self.dtype = _ANY
        _nodes.add(self)

    def follow(self, graph: Graph | None, edges: Sequence[Edge] | None, beside: Sequence[TensorBase]) -> None:
        """Be what stands for that graph: see `DifferentiableForward.attach`."""
        inputs, needs = self._inputs, self._forward.needs
        assert inputs is not None
        if edges is not None:
            for i, edge in zip(needs, edges, strict=True):
                if edge[0] is not None:
                    inputs[i] = inputs[i]._replace(edge=edge)
        edges = [inputs[i].edge for i in needs]
        self.edges = tuple([node for node, _ in edges])  # type: ignore[misc]
        self.indices = tuple([index for _, index in edges])
        self._beside = [_saved_beside(t) for t in beside]
        if graph is None:
            self.reach = None
            self.saves = (Save(frozenset(range(self.outputs)), tuple(range(len(inputs)))),)
            return
        self.reach, self.saves = graph

    def attach_to(self, outputs: Sequence[TensorBase], names: Sequence[str]) -> None:
        """Be the history of the outputs, by a node each in front of it if their names differ."""
        several = len(set(names)) > 1
        for index, (t, name) in enumerate(zip(outputs, names, strict=True)):
            if several:
                t._node, t._index = class_called(name, _Named)(self, index, t), 0
            else:
                t._node, t._index = self, index
            t._requires_grad = True

    def differentiable(self) -> list[int]:
        """The positions of the inputs that are tensors."""
        return [i for i, x in enumerate(self._inputs or ()) if type(x) is _Saved] or list(self.positions())

    def positions(self) -> tuple[int, ...]:
        """Which input each edge belongs to."""
        return self._forward.needs

    def release(self) -> None:
        """What the last walk came to is freed; forget the pullback and the inputs once nothing else is left."""
        self._used |= self._met
        done = [save.outs for save in self.saves if not self._used.isdisjoint(save.outs)]
        if len(frozenset().union(*done)) == self.outputs:
            self._residual = self._inputs = self.saved = None

    @property
    def forgets(self) -> bool:
        """Whether `release` makes it useless."""
        return bool(self.saves)

    def kept(self) -> Iterator[tuple[Any, Storage | None, int]]:
        """The inputs that may not be written to, with their memory and its version."""
        inputs = self._inputs or ()
        for i in {i for save in self.saves for i in save.inputs} if inputs else ():
            saved = inputs[i]
            if type(saved) is _Saved and type(saved.held) is not Packed:
                yield saved.held, saved.held._storage, saved.version

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """One cotangent per edge: by the compiled pullback, or on tensors by an operation that can be followed."""
        slots = g if self.outputs > 1 else [g]
        self._met = frozenset([k for k, slot in enumerate(slots) if slot is not None])
        if not self._met and not self.runs_on_nothing:
            return [None] * len(self.edges)
        residual, inputs = self._residual, self._inputs
        if residual is None or inputs is None:
            raise freed()
        self._check_saved(inputs)
        found = self._pulled(residual, inputs, slots, create_graph)
        if self.reach is not None:
            met = {i for k in self._met for i in self.reach[k]}
            found = [x if i in met else None for x, i in zip(found, self._forward.needs, strict=True)]
        return found

    def _pulled(self, residual: Residual, inputs: list[Any], slots: Sequence[Any], create_graph: bool) -> list[Any]:
        if not create_graph:
            return self._forward.pull_arrays(residual, slots, self._outs)
        operands = [self._operand(x, value) for x, value in zip(inputs, residual.values, strict=True)]
        return self._forward.pull_tensors(operands, slots, self._outs)

    def _check_saved(self, inputs: list[Any]) -> None:
        """Raise GraphFreedError or InPlaceError if what the walk comes to was freed, or written to."""
        for outs, positions, beside in self.saves:
            if self._met.isdisjoint(outs):
                continue
            if not self._used.isdisjoint(outs):
                raise freed()
            for i in positions:
                self._check(inputs[i])
            for j in beside:
                storage, version, writes, (shape, dtype) = self._beside[j]
                if storage.version != version:
                    raise modified(self.name(), np.empty(shape, dtype), self, storage, version)
                if storage.writes != writes:
                    raise self._changed_unseen()

    def _check(self, saved: Any) -> None:
        """Raise InPlaceError if an input was written to since."""
        if type(saved) is _Saved and type(saved.held) is not Packed and _written(saved):
            t = saved.held
            storage = t._storage if saved.storage is None else saved.storage
            raise modified(self.name(), t._array, t._node, storage, saved.version)
        if type(saved) is _Saved and type(saved.held) is not Packed and saved.changed_unseen():
            raise self._changed_unseen()

    def _changed_unseen(self) -> UnsupportedError:
        return UnsupportedError(
            f"gradient through the result of a jitted function, by {self.name()}, which saved a tensor that was "
            "changed by way of .data after that: eager code would use what is there now; write to a clone() of it"
        )

    def _operand(self, saved: Any, value: Any) -> Any:
        """An input as it was, with its history."""
        if type(saved) is not _Saved:
            return saved
        edge = saved.edge if saved.edge[0] in self.edges else (None, 0)
        if type(saved.held) is Packed:
            return with_history(saved.held.unpack(), edge)
        same = saved.held._device is value or (state.watchers and not _written(saved))  # a recorder must know it
        return with_history(saved.held if same else from_device(value), edge)


def _written(saved: _Saved) -> bool:
    """Whether an input was written to since: its memory may have got its storage only then."""
    storage = saved.held._storage if saved.storage is None else saved.storage
    return storage is not None and storage.version != saved.version


class _Named(Node):
    """One of several outputs of a compiled call, called as the eager function's."""

    __slots__ = ()

    def __init__(self, shared: CompiledNode, index: int, like: TensorBase) -> None:
        _prepare(self, like)
        self.edges = (shared,)
        self.indices = (index,)

    def differentiable(self) -> list[int]:
        """The one operand."""
        return [0]

    def positions(self) -> tuple[int, ...]:
        """The one operand."""
        return (0,)

    def pull(self, g: Any, create_graph: bool) -> list[Any]:  # noqa: ARG002
        """The cotangent as it is."""
        return [g]


_ANY = np.dtype(np.float32)  # of a node with several outputs, whose dtypes nothing looks at


def _prepare(node: Node, like: TensorBase) -> None:
    """What all nodes have, for one with an output like `like`."""
    node.leaf = None
    node.extras = None
    node.plan = _NO_PLAN
    node.saved = ()
    node.outputs = 1
    node.kind = type(node).__name__
    node.shape, node.dtype = _type_of(like)
    node.sequence = next_sequence()


def _type_of(t: TensorBase) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype, without fetching a value that is on a device."""
    source = t._array if t._device is None else t._device
    return source.shape, source.dtype


@functools.cache
def class_called(name: str, base: type[Any]) -> type[Any]:
    """A class of nodes with the name that PyTorch's would have."""
    return type(name, (base,), {"__slots__": (), "__module__": __name__})
