"""`autograd.grad(is_grads_batched=True)`: the gradients for several cotangents at once, by one walk under `vmap`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from ..ops.creation import zeros_like
from ..tape import TensorBase
from .backward import grad
from .graph import GradientEdge

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["grad_of_batch"]


def grad_of_batch(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any,
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool | None,
    materialize_grads: bool,
) -> tuple[Tensor | None, ...]:
    """As `autograd.grad`, the cotangents batches along their first dim; so are the gradients."""
    from ..func.vmap import batch_size, mapped, whole

    roots, wanted = _listed(outputs), _listed(inputs)
    seeds = [None] * len(roots) if grad_outputs is None else _listed(grad_outputs)
    for i, (root, seed) in enumerate(zip(roots, seeds, strict=False)):
        _check(root, seed, i)
    size = batch_size(seeds, [0] * len(seeds))

    def gradients(cotangents: list[Any]) -> list[Any]:
        options: dict[str, Any] = {"retain_graph": retain_graph, "create_graph": create_graph}
        return list(grad(roots, wanted, cotangents, allow_unused=bool(allow_unused or materialize_grads), **options))

    found, _ = mapped(gradients, seeds, [0] * len(seeds), size, "error")
    if materialize_grads:
        return tuple(
            [zeros_like(x) if g is None else whole(g, b, size) for (g, b), x in zip(found, wanted, strict=True)]
        )
    return tuple([None if g is None else whole(g, batch, size) for g, batch in found])


def _listed(x: Any) -> list[Any]:
    return [x] if isinstance(x, TensorBase | GradientEdge) else list(x)


def _check(root: Any, seed: Any, position: int) -> None:
    """Raise unless `seed` is a batch of cotangents of `root`."""
    if seed is None:
        raise ValueError(
            "vmap(vjp, in_dims=0, ...)(<inputs>): Got in_dim=0 for some input, but that input is a Tensor of "
            "dimensionality 0 so expected in_dim to satisfy 0 <= in_dim < 0."
        )
    if not isinstance(seed, TensorBase):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(seed).__name__}")
    shape = seed._array.shape
    if not shape:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
            "0-dim tensor to a number"
        )
    expected = root.node.shape if isinstance(root, GradientEdge) else root._array.shape
    if shape[1:] != expected:
        raise ShapeError(
            "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. "
            "The sizes of the remaining dimensions are expected to match the shape of corresponding output, but a "
            f"mismatch was detected: grad_output[{position}] has a shape of torch.Size({list(shape[1:])}) and "
            f"output[{position}] has a shape of torch.Size({list(expected)}). If you only want some tensors in "
            "`grad_output` to be considered batched, consider using vmap."
        )
