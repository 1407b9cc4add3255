"""A JAX function under the transforms of tensors: `vmap` is JAX's, forward mode is `jax.jvp`."""

from __future__ import annotations

from typing import Any

from ..autograd.function import Function
from ..tape import TensorBase, state
from .operation import JaxOperation

__all__ = ["transformed"]


def transformed(operation: JaxOperation, operands: tuple[Any, ...]) -> tuple[list[Any], Any] | None:
    """The result of `operation`, by the innermost transform that takes its operands; None if none does."""
    now = state.now
    function = None
    for watcher in reversed(now.watchers):
        if watcher is now.recorder:
            continue
        function = function or _as_function(operation)
        if watcher.takes_function(function, operands):
            break
    else:
        return None
    if now.recorder is not None and any(isinstance(x, TensorBase) and x._requires_grad for x in operands):
        raise now.recorder.unsupported(
            f"the gradient of a JAX function, {operation.__name__}, inside a transform (vmap, jvp): call jax.vmap or "
            "jax.jvp in the function"
        )
    assert function is not None
    result = now.outside(watcher, watcher.function, function, operands)
    for t in result:
        now.tell_inside(watcher, "constant", t)
    return list(result), function.structure


def _as_function(operation: JaxOperation) -> Any:
    """`operation` as a custom `Function`, for one call: what transforms know how to transform."""

    class Applied(Function):
        structure: Any = None

        @staticmethod
        def forward(*operands: Any) -> Any:
            tensors, Applied.structure = operation(*operands)
            return tuple(tensors)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
            tensors = [x for x in inputs if isinstance(x, TensorBase)]
            ctx.save_for_backward(*tensors)
            ctx.save_for_forward(*tensors)
            ctx.mark_non_differentiable(*[t for t in output if not _is_inexact(t)])
            ctx.others = [None if isinstance(x, TensorBase) else (x,) for x in inputs]
            ctx.outs = [_is_inexact(t) for t in output]

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            operands = _operands(ctx)
            needs = tuple([i for i, needed in enumerate(ctx.needs_input_grad) if needed])
            pullback = operation.forward(needs).pullback(len(operands))
            wanted = [g for g, differentiable in zip(grads, ctx.outs, strict=True) if differentiable]
            found = dict(zip(needs, pullback(*operands, *wanted)[0], strict=True))
            return tuple([found.get(i) for i in range(len(operands))])

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            operands = _operands(ctx)
            moved = tuple([i for i, t in enumerate(tangents) if t is not None and _is_inexact(operands[i])])
            pushed = iter(operation.pushforward(moved)(*operands, *[tangents[i] for i in moved])[0])
            return tuple([next(pushed) if differentiable else None for differentiable in ctx.outs])

        @staticmethod
        def vmap(info: Any, in_dims: tuple[Any, ...], *operands: Any) -> Any:  # noqa: ARG004
            tensors, Applied.structure = operation.batched(tuple(in_dims))(*operands)
            return tuple(tensors), (0,) * len(tensors)

    Applied.__name__ = Applied.__qualname__ = operation.kind.removesuffix("Backward")
    return Applied


def _is_inexact(t: TensorBase) -> bool:
    return t._array.dtype.kind not in "biu"


def _operands(ctx: Any) -> list[Any]:
    saved = iter(ctx.saved_tensors)
    return [next(saved) if other is None else other[0] for other in ctx.others]
