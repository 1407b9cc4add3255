"""Gradients through compiled functions: the node of a compiled call, whose pullback is compiled, too.

The vjp is built inside the compiled forward, which returns its pullback as a pytree of the arrays it needs, so that
nothing is traced again from step to step.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..autograd import grad
from ..errors import UnsupportedError
from ..storage import Storage
from ..tape import Node, TensorBase, edge_of, is_inference, state, wrap
from ..tape.node import next_sequence, with_history
from ..tape.primitive import SavePlan
from ..tape.saved import Packed, freed, modified, packed, saved_at_version
from .device import from_device
from .replay import unwatched, wide_leaf

if TYPE_CHECKING:
    from .operation import JaxOperation

__all__ = [
    "CompiledNode",
    "DifferentiableForward",
    "Graph",
    "Residual",
    "Save",
    "differentiable_forward",
    "held",
    "kept_apart",
]

Edge = tuple["Node | None", int]
_NO_PLAN = SavePlan((), (), (), ())
_nodes: weakref.WeakSet[Node] = weakref.WeakSet()
held: set[Any] = _nodes.data  # type: ignore[attr-defined]
"""The nodes that hold on to values of tensors, known weakly: empty if there are none."""


class Residual(NamedTuple):
    """What a run leaves for its backward: the pullback (a pytree of device arrays), and the values it was run on.

    `shared` are those arrays of the pullback that are inputs or outputs of the run, of which there are no copies.
    """

    pull: _Pullback
    shared: list[Any]
    values: tuple[Any, ...]


@jax.tree_util.register_pytree_node_class
class _Pullback:
    """JAX's pullback without what it shares with the run, whose programs hand out inputs as copies.

    `places` has for each of its arrays the number of the input that it is, or ~number of the output, None for others.
    """

    def __init__(self, arrays: Sequence[Any], structure: Any, places: tuple[int | None, ...]) -> None:
        self.arrays = arrays
        self.structure = structure
        self.places = places

    @classmethod
    def of(cls, pull: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> _Pullback:
        """JAX's pullback, of a run that is being traced."""
        arrays, structure = jax.tree.flatten(pull)
        known = {id(x): ~i for i, x in enumerate(outputs)} | {id(x): i for i, x in enumerate(inputs)}
        places = tuple([known.get(id(x)) for x in arrays])
        return cls([x for x, place in zip(arrays, places, strict=True) if place is None], structure, places)

    def shared(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
        """What it shares with a run."""
        return [inputs[i] if i >= 0 else outputs[~i] for i in self.places if i is not None]

    def rebuilt(self, shared: Sequence[Any]) -> Any:
        """JAX's pullback."""
        own, others = iter(self.arrays), iter(shared)
        return jax.tree.unflatten(self.structure, [next(own if i is None else others) for i in self.places])

    def tree_flatten(self) -> tuple[Sequence[Any], Any]:
        """For JAX."""
        return self.arrays, (self.structure, self.places)

    @classmethod
    def tree_unflatten(cls, aux: Any, arrays: Any) -> _Pullback:
        """For JAX."""
        return cls(arrays, *aux)


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


class DifferentiableForward:
    """A pure JAX function as a compiled program that can be differentiated from outside, at any order.

        forward = differentiable_forward(F, needs=[0, 2], outs=[0])
        outputs, residual = forward.run(values)                      # dispatched, not waited for
        forward.attach(residual, input_tensors, output_tensors, ["MulBackward0"])

    `F(*inputs)` returns a pytree of arrays. `needs` are the positions of the inputs, floating or complex, that need a
    gradient; `outs` those of the differentiable leaves of the result, None for all that are floating or complex.
    `eager` is what the function stands for, of tensors: where it is known, gradients of its gradients require grad, and
    are called, as eagerly. Forward and backward are each traced once per shapes and dtypes of the inputs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        needs: Sequence[int],
        outs: Sequence[int] | None = None,
        name: str = "",
        eager: Callable[..., Sequence[Any]] | None = None,
    ) -> None:
        self.function = function
        self.eager = eager
        self.name = name or getattr(function, "__name__", "function")
        self.needs = tuple(needs)
        self._outs = None if outs is None else tuple(outs)
        self._compiled = jax.jit(self._forward)
        self._pullbacks: dict[int, JaxOperation] = {}
        self.node_class: Any = CompiledNode
        self._kinds: dict[Any, list[str | None]] = {}

    def outs(self, leaves: Sequence[Any]) -> tuple[int, ...]:
        """The positions of the differentiable ones of the result's leaves."""
        if self._outs is not None:
            return self._outs
        return tuple([i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)])

    def run(self, values: Sequence[Any]) -> tuple[Any, Residual]:
        """The result of the function on `values` (arrays that nobody writes to, or numbers), and what `attach` wants.

        Nothing is waited for. Host arrays go to the device first, where the pullback shares them.
        """
        with jax.enable_x64(True):
            given = tuple([jax.device_put(v) if isinstance(v, np.ndarray) else v for v in values])
            result, pull = self._compiled(*given)
        return result, Residual(pull, pull.shared(given, jax.tree.leaves(result)), given)

    def attach(
        self,
        residual: Residual,
        inputs: Sequence[Any],
        outputs: Sequence[TensorBase],
        names: Sequence[str],
        graph: Graph | None = None,
        edges: Sequence[Edge] | None = None,
        beside: Sequence[TensorBase] = (),
    ) -> CompiledNode:
        """Give `outputs`, fresh tensors of the differentiable leaves in order, their history: they require grad.

        `inputs` are the tensors (or numbers, or arrays) that the values of the run were taken from; those at `needs`
        require grad, and had the `edges` before it, by default what they have now. `names` says what the node of each
        output is called: several with different names have a node each, in front of the one that they share. By the
        `graph`, backward goes on to those inputs only that an output depends on, frees what it comes to, and raises
        GraphFreedError or InPlaceError where what it comes to has been freed, or is of an input or a tensor of those
        `beside` that was written to after this. By default, each output depends on all `needs`, and all inputs are
        saved. Later writes to others have no effect: backward, of any order, uses the values of the run. Returns the
        node that they share. Raises InPlaceError for an inference tensor.
        """
        several = len(set(names)) > 1
        node = _class_called(f"{self.name}Backward" if several else names[0], self.node_class)(
            self, residual, [_saved(x) for x in inputs], outputs
        )
        node.follow(graph, edges, beside)
        for index, (t, name) in enumerate(zip(outputs, names, strict=True)):
            if several:
                t._node, t._index = _class_called(name, _Named)(node, index, t), 0
            else:
                t._node, t._index = node, index
            t._requires_grad = True
        return node

    def pull_arrays(self, residual: Residual, slots: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
        """The gradients of the inputs at `needs`, of cotangents some of which may be None."""
        cotangents = [np.zeros(*kind) if c is None else c for c, kind in zip(slots, kinds, strict=True)]
        with jax.enable_x64(True):
            return [np.array(x) for x in _pulled(residual.pull, residual.shared, cotangents)]

    def pull_tensors(self, operands: Sequence[Any], slots: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
        """The same on tensors, by an operation that can be followed."""
        cotangents = [wrap(np.zeros(*kind)) if c is None else c for c, kind in zip(slots, kinds, strict=True)]
        return self.pullback(len(operands)).called(self.kinds(operands, slots), (*operands, *cotangents))

    def edges(self, inputs: Sequence[Any]) -> list[Edge]:
        """Where the gradients of the inputs at `needs` go, before a call changes that."""
        return [edge_of(inputs[i]) for i in self.needs]

    def pullback(self, width: int) -> JaxOperation:
        """The pullback as an operation, of the `width` inputs and the cotangents: the gradients in PyTorch's sense."""
        from .operation import JaxOperation

        if width not in self._pullbacks:

            def pullback(*operands: Any) -> list[Any]:
                _, pull, _ = self._vjp(operands[:width])
                return _conjugated_pull(pull, list(operands[width:]))

            pullback.__name__ = f"{self.name}_pullback"
            eager = None if self.eager is None else lambda *x: self._gradients(x[:width], dict(enumerate(x[width:])))
            self._pullbacks[width] = JaxOperation(pullback, f"{self.name}Backward", eager)
        return self._pullbacks[width]

    def kinds(self, operands: Sequence[Any], cotangents: Sequence[Any]) -> list[str | None]:
        """What the nodes of the gradients would be called eagerly, None where they would require no grad.

        A cotangent is None where there is none.
        """
        key = tuple(
            [x is not None and (isinstance(x, TensorBase) and x._requires_grad) for x in (*operands, *cotangents)]
        )
        key = (*key, *[c is None for c in cotangents])
        if key not in self._kinds:
            self._kinds[key] = self._kinds_of(operands, {k: c for k, c in enumerate(cotangents) if c is not None})
        return self._kinds[key]

    def _kinds_of(self, operands: Sequence[Any], cotangents: dict[int, Any]) -> list[str | None]:
        own = f"{self.name}Backward"
        if self.eager is None:
            return [own] * len(self.needs)
        with unwatched():
            gradients = self._gradients(
                [wide_leaf(x) for x in operands], {k: wide_leaf(c) for k, c in cotangents.items()}
            )
        return [None if not g._requires_grad else own if g._node is None else g._node.name() for g in gradients]

    def _gradients(self, operands: Sequence[Any], cotangents: dict[int, Any]) -> list[Any]:
        """The gradients of the inputs at `needs`, eagerly."""
        assert self.eager is not None
        results = self.eager(*operands)
        outs = [results[i] for i in self.outs([x._array for x in results])]
        wanted = [operands[i] for i in self.needs]
        found = grad(
            [outs[k] for k in cotangents], wanted, [*cotangents.values()], create_graph=True, allow_unused=True
        )
        return [wrap(np.zeros(x._array.shape)) if g is None else g for g, x in zip(found, wanted, strict=True)]

    def push(self, inputs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the differentiable leaves, of those of the inputs at `needs`; of JAX arrays or tracers."""
        function, chosen = self._of_needed(inputs)
        return jax.jvp(function, chosen, tuple(tangents), has_aux=True)[1]

    def _forward(self, *inputs: Any) -> tuple[Any, Any]:
        _, pull, result = self._vjp(inputs)
        return result, _Pullback.of(pull, inputs, jax.tree.leaves(result))

    def _vjp(self, inputs: Sequence[Any]) -> tuple[Any, Any, Any]:
        """The differentiable leaves at `inputs`, their pullback, and the whole result."""
        function, chosen = self._of_needed(inputs)
        return jax.vjp(function, *chosen, has_aux=True)

    def _of_needed(self, inputs: Sequence[Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function of the inputs that need a gradient (its differentiable leaves, and the whole), and those."""

        def differentiated(*chosen: Any) -> tuple[list[Any], Any]:
            given = list(inputs)
            for i, x in zip(self.needs, chosen, strict=True):
                given[i] = x
            result = self.function(*given)
            leaves = jax.tree.leaves(result)
            return [leaves[i] for i in self.outs(leaves)], result

        return differentiated, tuple([inputs[i] for i in self.needs])


def kept_apart(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Device buffers that a program may write over: those that a node holds on to, too, as copies.

    Each of the `values` is otherwise known to a tensor, to the anchors of a program, and to the caller.
    """
    if not held:
        return values
    return tuple([jnp.copy(x) if sys.getrefcount(x) > _KNOWN else x for x in values])


_KNOWN = 6  # those three, the tuple, the variable of the loop, and the argument of getrefcount


def differentiable_forward(
    function: Callable[..., Any],
    needs: Sequence[int],
    outs: Sequence[int] | None = None,
    name: str = "",
    eager: Callable[..., Sequence[Any]] | None = None,
) -> DifferentiableForward:
    """`function`, pure and of JAX arrays, as a program that runs compiled and can be differentiated from outside.

    See `DifferentiableForward`. `name` is what shared nodes are called after.
    """
    return DifferentiableForward(function, needs, outs, name, eager)


def _conjugated_pull(pull: Any, cotangents: list[Any]) -> list[Any]:
    """PyTorch's cotangents are the conjugates of JAX's."""
    return [jnp.conj(g) for g in pull([jnp.conj(c) for c in cotangents])]


@jax.jit
def _pulled(pull: _Pullback, shared: list[Any], cotangents: list[Any]) -> list[Any]:
    return _conjugated_pull(pull.rebuilt(shared), cotangents)


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
    if t._storage is None:
        t._storage = Storage()
    return t._storage, t._storage.version, t._storage.writes, _type_of(t)


class CompiledNode(Node):
    """A call of a `DifferentiableForward`, in the graph. `pull` runs the compiled pullback."""

    __slots__ = ("_beside", "_forward", "_inputs", "_met", "_outs", "_residual", "_used", "reach", "saves")

    passes_over = True

    _inputs: list[Any] | None
    reach: Sequence[Collection[int]] | None
    saves: Sequence[Save]

    def __init__(
        self, forward: DifferentiableForward, residual: Residual, inputs: list[Any], outputs: Sequence[TensorBase]
    ) -> None:
        _prepare(self, outputs[0])
        self._forward = forward
        self._residual: Residual | None = residual
        self._inputs = inputs
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
def _class_called(name: str, base: type[Any]) -> type[Any]:
    """A class of nodes with the name that PyTorch's would have."""
    return type(name, (base,), {"__slots__": (), "__module__": __name__})
