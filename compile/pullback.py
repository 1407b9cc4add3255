"""Gradients through compiled functions: forward programs that return their pullback, which is compiled, too.

The vjp is built inside the compiled forward, which returns its pullback as a pytree of the arrays it needs, so that
nothing is traced again from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..autograd import grad
from ..tape import TensorBase, edge_of, wrap
from .compiled_node import CompiledNode, Edge, Graph, class_called
from .replay import unwatched, wide_leaf

if TYPE_CHECKING:
    from .operation import JaxOperation

__all__ = ["DifferentiableForward", "Residual", "differentiable_forward"]


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
        node: CompiledNode = class_called(f"{self.name}Backward" if len(set(names)) > 1 else names[0], self.node_class)(
            self, residual, inputs, outputs
        )
        node.follow(graph, edges, beside)
        node.attach_to(outputs, names)
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
