"""Gradients through compiled functions: the node of a compiled call, whose pullback is compiled, too.

The vjp is built inside the compiled forward, which returns its pullback as a pytree of the arrays it needs, so that
nothing is traced again from step to step.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..storage import Storage
from ..tape import Node, TensorBase, edge_of, is_inference, wrap
from ..tape.node import next_sequence, with_history
from ..tape.primitive import SavePlan
from ..tape.saved import Packed, freed, modified, packed, saved_at_version
from .device import from_device

if TYPE_CHECKING:
    from .operation import JaxOperation

__all__ = ["CompiledNode", "DifferentiableForward", "Residual", "differentiable_forward", "held", "kept_apart"]

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


class DifferentiableForward:
    """A pure JAX function as a compiled program that can be differentiated from outside, at any order.

        forward = differentiable_forward(F, needs=[0, 2], outs=[0])
        outputs, residual = forward.run(values)                      # dispatched, not waited for
        forward.attach(residual, input_tensors, output_tensors, ["MulBackward0"])

    `F(*inputs)` returns a pytree of arrays. `needs` are the positions of the inputs, floating or complex, that need a
    gradient; `outs` those of the differentiable leaves of the result, None for all that are floating or complex.
    Forward and backward are each traced once per shapes and dtypes of the inputs.
    """

    def __init__(
        self, function: Callable[..., Any], needs: Sequence[int], outs: Sequence[int] | None = None, name: str = ""
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", "function")
        self.needs = tuple(needs)
        self._outs = None if outs is None else tuple(outs)
        self._compiled = jax.jit(self._forward)
        self._pullbacks: dict[int, JaxOperation] = {}
        self.node_class: Any = CompiledNode

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
        watched: Sequence[int] | None = None,
        reach: Sequence[Collection[int]] | None = None,
        lasting: bool = False,
    ) -> CompiledNode:
        """Give `outputs`, fresh tensors of the differentiable leaves in order, their history: they require grad.

        `inputs` are the tensors (or numbers, or arrays) that the values of the run were taken from; those at `needs`
        require grad. `names` says what the node of each output is called: several with different names have a node
        each, in front of the one that they share. If an input at one of the positions `watched` (by default all) is
        written to after this, the backward raises InPlaceError, as if it had been saved. Later writes to others have
        no effect: backward, of any order, uses the values of the run. `reach` says per output which of `needs` it
        depends on: the others get no gradient from it; by default all. If `lasting`, backward frees nothing, as where
        nothing would be saved. Returns the node that they share. Raises InPlaceError for an inference tensor.
        """
        several = len(set(names)) > 1
        node = _class_called(f"{self.name}Backward" if several else names[0], self.node_class)(
            self, residual, [_saved(x) for x in inputs], outputs
        )
        node.watched = range(len(inputs)) if watched is None else watched
        node.reach, node.lasting = reach, lasting
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
        return list(self.pullback(len(operands))(*operands, *cotangents)[0])

    def pullback(self, width: int) -> JaxOperation:
        """The pullback as an operation, of the `width` inputs and the cotangents: the gradients in PyTorch's sense."""
        from .operation import JaxOperation

        if width not in self._pullbacks:

            def pullback(*operands: Any) -> list[Any]:
                _, pull, _ = self._vjp(operands[:width])
                return _conjugated_pull(pull, list(operands[width:]))

            pullback.__name__ = f"{self.name}_pullback"
            self._pullbacks[width] = JaxOperation(pullback, f"{self.name}Backward")
        return self._pullbacks[width]

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
    function: Callable[..., Any], needs: Sequence[int], outs: Sequence[int] | None = None, name: str = ""
) -> DifferentiableForward:
    """`function`, pure and of JAX arrays, as a program that runs compiled and can be differentiated from outside.

    See `DifferentiableForward`. `name` is what shared nodes are called after.
    """
    return DifferentiableForward(function, needs, outs, name)


def _conjugated_pull(pull: Any, cotangents: list[Any]) -> list[Any]:
    """PyTorch's cotangents are the conjugates of JAX's."""
    return [jnp.conj(g) for g in pull([jnp.conj(c) for c in cotangents])]


@jax.jit
def _pulled(pull: _Pullback, shared: list[Any], cotangents: list[Any]) -> list[Any]:
    return _conjugated_pull(pull.rebuilt(shared), cotangents)


class _Saved(NamedTuple):
    """An input of a compiled call: its history, and as which version of its memory it was seen."""

    held: Any  # the tensor, or what a hook put away in its place
    edge: tuple[Node | None, int]
    storage: Storage | None
    version: int


def _saved(x: Any) -> Any:
    """What a node keeps of an input: of a tensor a `_Saved`, made without fetching its value."""
    if not isinstance(x, TensorBase):
        return x
    if is_inference(x):
        saved_at_version(x)  # raises
    away = packed(x)
    storage = x._storage
    return _Saved(x if away is None else away, edge_of(x), storage, 0 if storage is None else storage.version)


class CompiledNode(Node):
    """A call of a `DifferentiableForward`, in the graph. `pull` runs the compiled pullback."""

    __slots__ = ("_forward", "_inputs", "_outs", "_residual", "lasting", "reach", "watched")

    passes_over = True

    _inputs: list[Any] | None
    watched: Sequence[int]
    reach: Sequence[Collection[int]] | None
    lasting: bool

    def __init__(
        self, forward: DifferentiableForward, residual: Residual, inputs: list[Any], outputs: Sequence[TensorBase]
    ) -> None:
        _prepare(self, outputs[0])
        self._forward = forward
        self._residual: Residual | None = residual
        self._inputs = inputs
        self._outs = [_type_of(t) for t in outputs]
        self.outputs = len(outputs)
        if self.outputs > 1:
            self.dtype = _ANY
        edges = [inputs[i].edge for i in forward.needs]
        self.edges = tuple([node for node, _ in edges])
        self.indices = tuple([index for _, index in edges])
        _nodes.add(self)

    def differentiable(self) -> list[int]:
        """The positions of the inputs that are tensors."""
        return [i for i, x in enumerate(self._inputs or ()) if type(x) is _Saved] or list(self.positions())

    def positions(self) -> tuple[int, ...]:
        """Which input each edge belongs to."""
        return self._forward.needs

    def release(self) -> None:
        """Forget the pullback and the inputs."""
        if self.lasting:
            return
        self._residual = self._inputs = None

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """One cotangent per edge: by the compiled pullback, or on tensors by an operation that can be followed."""
        residual, inputs = self._residual, self._inputs
        if residual is None or inputs is None:
            raise freed()
        for i in self.watched:
            self._check(inputs[i])
        slots = g if self.outputs > 1 else [g]
        if not self.runs_on_nothing and all(slot is None for slot in slots):
            return [None] * len(self.edges)
        found = self._pulled(residual, inputs, slots, create_graph)
        if self.reach is not None:
            met = {i for slot, reached in zip(slots, self.reach, strict=True) if slot is not None for i in reached}
            found = [x if i in met else None for x, i in zip(found, self._forward.needs, strict=True)]
        return found

    def _pulled(self, residual: Residual, inputs: list[Any], slots: Sequence[Any], create_graph: bool) -> list[Any]:
        if not create_graph:
            return self._forward.pull_arrays(residual, slots, self._outs)
        operands = [self._operand(x, value) for x, value in zip(inputs, residual.values, strict=True)]
        return self._forward.pull_tensors(operands, slots, self._outs)

    def _check(self, saved: Any) -> None:
        """Raise InPlaceError if an input was written to since."""
        if type(saved) is _Saved and type(saved.held) is not Packed and _written(saved):
            t, storage = saved.held, saved.held._storage
            raise modified(self.name(), t._array, t._node, storage, saved.version)

    def _operand(self, saved: Any, value: Any) -> Any:
        """An input as it was, with its history."""
        if type(saved) is not _Saved:
            return saved
        edge = saved.edge if saved.edge[0] in self.edges else (None, 0)
        if type(saved.held) is Packed:
            return with_history(saved.held.unpack(), edge)
        return with_history(from_device(value) if _written(saved) else saved.held, edge)


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
