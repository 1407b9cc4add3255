"""Reverse mode as functions of functions: `grad`, `grad_and_value`, `vjp`.

There is one graph. A transform gives its function *lifted* arguments: leaves, as far as can be seen, where the graph
goes on to the history of what they stand for. Its gradients are those with respect to the lifted tensors, and what
surrounds it differentiates through them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..autograd.backward import grad as autograd_grad
from ..autograd.function_context import FunctionCtx
from ..autograd.lifted import Lifting, any_behind, detached, lift, lives, settled
from ..dtypes import from_numpy_dtype
from ..errors import NotDifferentiableError, TransformError
from ..ops.creation import zeros_like
from ..tape import Node, TensorBase, edge_of, history, state
from ..tree import Structure, flatten, unflatten
from .arguments import Argnums, chosen, replaced, require_tensors, split_aux
from .transform import Transform, mapped_tree, shown

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Reverse", "grad", "grad_and_value", "vjp", "vjp_with_argnums"]

Func = Callable[..., Any]

_GRAD = "grad_and_value(f)(*args)"
_VJP = "vjp(f, *primals)"


class Reverse(Transform, Lifting):
    """A transform that takes gradients. Grad mode is on inside; `records` is what it was outside, which says whether
    results keep a graph.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lifted: dict[int, tuple[Tensor, Tensor]] = {}  # with what they stand for
        self.records = state.grad_enabled

    def __enter__(self) -> Self:
        super().__enter__()
        state.grad_enabled = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.grad_enabled = self.records
        super().__exit__(kind, error, trace)

    def lifted(self, x: Any) -> Tensor:
        """A tensor on the memory of `x` that is a leaf inside. Raises ValueError for what is no tensor."""
        if not isinstance(x, TensorBase):
            raise ValueError(  # noqa: TRY004  (PyTorch's)
                f"Thing passed to transform API must be Tensor, got {type(x)}"
            )
        if x._array.dtype.kind in "biu":
            raise NotDifferentiableError("only Tensors of floating point dtype can require gradients")
        out, node = lift(x, self.records)
        self.nodes.add(node)
        self._lifted[id(out)] = out, x  # type: ignore[assignment]
        self.admit(out)
        return out

    def lowered(self, t: Any) -> Any:
        """What is handed out for `t`, a result."""
        if id(t) in self._lifted:
            return self._lifted[id(t)][1]
        node = history(t)
        if node is None or (self.records and lives([node], self.nodes, self.has_made)):
            return t
        return detached(t) if self.records or self.may_write(t) else t


def grad(func: Func, argnums: Argnums = 0, has_aux: bool = False) -> Func:
    """The gradient of `func`, as a function of the same arguments.

    Args:
        func: returns a scalar tensor; with `has_aux` a pair of that and tensors (or containers of them) to hand out.
        argnums: the positions of the arguments to differentiate by: tensors, or containers of them.
        has_aux: whether to return a pair, too: the gradient and what `func` hands out.

    The gradient has the structure of the argument; a tuple of positions gives a tuple. Raises RuntimeError where `func`
    returns something else, or `argnums` are no positions.
    """

    @functools.wraps(func, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        gradient, output, aux = _gradient(func, argnums, has_aux, args, kwargs)
        del output
        return (gradient, aux) if has_aux else gradient

    return call


def grad_and_value(func: Func, argnums: Argnums = 0, has_aux: bool = False) -> Func:
    """As `grad`, but the function returns the gradient and the value of `func`; with `has_aux` the gradient and a pair
    of that and what `func` hands out.
    """

    @functools.wraps(func, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        gradient, output, aux = _gradient(func, argnums, has_aux, args, kwargs)
        return gradient, (output, aux) if has_aux else output

    return call


def _gradient(
    func: Func, argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """The gradient, the output, and what was handed out besides."""
    with Reverse() as transform:
        leaves, structure = flatten(chosen(args, argnums))
        lifted = [transform.lifted(x) for x in leaves]
        output = func(*replaced(args, argnums, unflatten(structure, lifted)), **kwargs)
        output, aux = split_aux(output, has_aux, _GRAD)
        if not isinstance(output, TensorBase):
            raise TransformError(f"{_GRAD}: Expected f(*args) to return a Tensor, got {type(output)}")
        if output._array.ndim:
            raise TransformError(
                f"{_GRAD}: Expected f(*args) to return a scalar Tensor, got tensor with {output._array.ndim} dims. "
                "Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        keeps = transform.records and _may_keep([output], None, transform.nodes)
        found = _pulled([output], lifted, None, create_graph=keeps, retain_graph=keeps)
        gradients = unflatten(structure, [transform.lowered(g) for g in found])
        output = transform.lowered(output)
        aux = mapped_tree(transform.lowered, aux) if has_aux else None
    return gradients if isinstance(argnums, tuple) else gradients[0], output, aux


def vjp(func: Func, *primals: Any, has_aux: bool = False) -> Any:
    """`func(*primals)`, and a function from cotangents of that to cotangents of `primals`, a tuple.

    Args:
        func: returns tensors, or containers of them.
        primals: tensors, or containers of them.
        has_aux: whether `func` returns a pair of that and tensors to hand out, which follow as a third result.

    Raises RuntimeError where `func` returns something else; the function does so if the cotangents have not the
    structure of the outputs.
    """
    return vjp_with_argnums(func, primals, None, has_aux)


def vjp_with_argnums(func: Func, primals: tuple[Any, ...], argnums: Argnums | None, has_aux: bool) -> Any:
    """As `vjp`, by the arguments at `argnums` only (None: all)."""
    with Reverse() as transform:
        leaves, structure = flatten(primals if argnums is None else chosen(primals, argnums))
        lifted = [transform.lifted(x) for x in leaves]
        new = unflatten(structure, lifted)
        outputs, aux = split_aux(func(*(new if argnums is None else replaced(primals, argnums, new))), has_aux, _VJP)
        flat, shape = flatten(outputs)
        require_tensors(flat, _VJP)
        results = unflatten(shape, [transform.lowered(out) for out in flat])
        for out in flat:
            if out._array.dtype.kind in "biu":
                raise TransformError(
                    "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype "
                    f"torch.{from_numpy_dtype(out._array.dtype).name}"
                )
        aux = mapped_tree(transform.lowered, aux) if has_aux else None
    graph = _Graph(flat, shape, lifted, structure, transform.nodes)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        pulled = graph.pulled(cotangents, retain_graph, state.grad_enabled if create_graph is None else create_graph)
        return pulled[0] if isinstance(argnums, int) else pulled

    return (results, pull, aux) if has_aux else (results, pull)


class _Graph(NamedTuple):
    """What a function has computed: its outputs with their graph, the lifted inputs, and how both were nested."""

    outputs: list[Any]
    shape: Structure
    inputs: list[Any]
    structure: Structure
    nodes: set[Node]

    def pulled(self, cotangents: Any, retain_graph: bool, create_graph: bool) -> Any:
        """The cotangents of the inputs for those of the outputs."""
        given, got = flatten(cotangents)
        if got != self.shape:
            raise TransformError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function. cotangents: {shown(got)}, primal output: {shown(self.shape)}"
            )
        keeps = create_graph and _may_keep(self.outputs, given, self.nodes)
        found = _pulled(self.outputs, self.inputs, given, create_graph=keeps, retain_graph=retain_graph)
        return unflatten(self.structure, [settled(g) for g in found])


def _may_keep(outputs: Sequence[Any], cotangents: Sequence[Any] | None, ended: Iterable[Node]) -> bool:
    """Whether gradients of `outputs` could themselves be differentiated, once the transform has ended."""
    if any(w.follows_values for w in state.now.watchers):  # which see more than is in this graph
        return True
    if any(isinstance(g, TensorBase) and g.requires_grad for g in cotangents or ()):  # type: ignore[attr-defined]
        return True
    roots = [node for node, _ in map(edge_of, outputs) if node is not None]
    return lives(roots, ended) or any_behind(roots, _runs_user_code)


def _runs_user_code(node: Node) -> bool:
    return node.extras is not None or isinstance(node, FunctionCtx)


def _pulled(
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    cotangents: Sequence[Any] | None,
    *,
    create_graph: bool,
    retain_graph: bool,
) -> list[Any]:
    """The gradients of `inputs`, zeros for what the outputs do not depend on."""
    given: Sequence[Any] = [None] * len(outputs) if cotangents is None else cotangents
    pairs = [(out, g) for out, g in zip(outputs, given, strict=True) if out.requires_grad]
    found: Sequence[Any] = [None] * len(inputs)
    if pairs:
        found = autograd_grad(
            [out for out, _ in pairs],
            inputs,
            [g for _, g in pairs],
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=True,
        )
    return [zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]
