"""Forward mode through a `Function`: its `jvp` gives the tangents of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ForwardModeError, InPlaceError, ShapeError, TransformError
from ..ops.common import cast_to, dtype_of
from ..ops.creation import zeros_like
from ..tape import TensorBase, state
from .forward_level import ForwardLevel, set_enabled
from .function import Function, run
from .function_context import FunctionCtx

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["NEEDS_SETUP_CONTEXT", "apply_function", "require_size"]

NEEDS_SETUP_CONTEXT = (
    "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must override "
    "the setup_context staticmethod. For more details, please see "
    "https://pytorch.org/docs/main/notes/extending.func.html"
)


def apply_function(level: ForwardLevel, function: type[Function], args: tuple[Any, ...]) -> Any:
    """`function.apply(*args)`, and the tangents of its outputs for `level`, outside of which this is called.

    Raises RuntimeError where `jvp` returns what cannot be the tangents: another number, no tensors, other shapes, or
    tensors that are not views where outputs are, not written to in place where outputs were.
    """
    tangents = [level.tangent(a) if isinstance(a, TensorBase) else None for a in args]
    ctx, result = _applied(function, args)
    given = [_given(ctx, a, t) for a, t in zip(args, tangents, strict=True)]
    found = function.jvp(ctx, *given)
    outputs = result if isinstance(result, tuple) else (result,)
    found = _checked(ctx, outputs, found if isinstance(found, tuple) else (found,), given, args)
    for out, tangent in zip(outputs, found, strict=True):
        if tangent is not None and id(out) not in ctx.dirty:
            level.set_tangent(out, tangent)
        elif isinstance(out, TensorBase) and out._view is not None and tangent is None:
            level.cut(out)
    ctx.forget_forward()
    return result


def _applied(function: type[Function], args: tuple[Any, ...]) -> tuple[FunctionCtx, Any]:
    """The context for `jvp`, and the outputs: as watchers outside make them if they take the function."""
    if not any(watcher.takes_function(function, args) for watcher in state.now.watchers):
        enabled = set_enabled(False)
        try:
            return run(function, args)
        finally:
            set_enabled(enabled)
    if function.setup_context is Function.setup_context:
        raise TransformError(NEEDS_SETUP_CONTEXT)
    result = function.apply(*args)
    ctx = FunctionCtx(function, args)
    enabled, state.grad_enabled = state.grad_enabled, False
    try:
        function.setup_context(ctx, args, result)
    finally:
        state.grad_enabled = enabled
    return ctx, result


def _given(ctx: FunctionCtx, x: Any, tangent: Tensor | None) -> Any:
    """What `jvp` is given for an argument: its tangent, else zeros, or None if it wants none or it is no tensor."""
    if tangent is not None or not isinstance(x, TensorBase) or not ctx.materializes:
        return tangent
    return zeros_like(x)  # type: ignore[arg-type]


def _checked(
    ctx: FunctionCtx, outputs: tuple[Any, ...], found: tuple[Any, ...], given: Sequence[Any], args: tuple[Any, ...]
) -> list[Any]:
    """The tangent of each output, None where it has none."""
    if len(found) != len(outputs):
        raise ForwardModeError(
            f"Function's jvp returned an invalid number of forward gradients (expected {len(outputs)} but got "
            f"{len(found)})"
        )
    for i, tangent in enumerate(found):
        if tangent is not None and not isinstance(tangent, TensorBase):
            raise ForwardModeError(f"expected Variable or None (got {type(tangent).__name__}) for grad output {i}.")
    passed = [(a, t) for a, t in zip(args, given, strict=True) if isinstance(a, TensorBase)]
    return [_fitting(ctx, i, out, t, passed) for i, (out, t) in enumerate(zip(outputs, found, strict=True))]


def _fitting(ctx: FunctionCtx, i: int, out: Any, tangent: Any, passed: Sequence[tuple[Any, Any]]) -> Any:
    """The tangent of output `i`, if it can be that."""
    wanted = (
        isinstance(out, TensorBase) and out._array.dtype.kind not in "biu" and id(out) not in ctx.non_differentiable
    )
    if not wanted:
        if tangent is None:
            return None
        raise ForwardModeError(
            f"Function's jvp returned a gradient at position {i}, but  the corresponding forward output is not a "
            "differentiable Tensor.You should return None at that position instead."
        )
    if tangent is None:
        raise ForwardModeError(
            f"Function's jvp returned None at position {i}, but the corresponding forward output is a differentiable "
            "tensor: return zeros, or mark it as non-differentiable"
        )
    require_size(out, tangent)
    if id(out) in ctx.dirty:
        if not any(a is out and t is tangent for a, t in passed):
            raise InPlaceError(
                "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is "
                "modifying an input inplace, then the jvp function must modify the corresponding gradient inplace."
            )
        return tangent
    if (_is_view(out) or any(_same_memory(out, a) for a, _ in passed)) and not _is_view(tangent):
        raise ForwardModeError(
            "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view."
        )
    return cast_to(tangent, dtype_of(out))


def _is_view(t: TensorBase) -> bool:
    return t._view is not None and t._view.base is not None


def _same_memory(a: TensorBase, b: TensorBase) -> bool:
    return a._storage is not None and b._storage is not None and a._storage.memory is b._storage.memory


def require_size(t: TensorBase, tangent: TensorBase) -> None:
    """Raise ShapeError, in PyTorch's words, unless the tangent has the shape of `t`."""
    size, given = list(t._array.shape), list(tangent._array.shape)
    if given != size:
        raise ShapeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {size} while the given forward gradient is of size {given}."
        )
