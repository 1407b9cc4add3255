"""`autograd.Function`: an operation with a backward of the user's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..errors import InPlaceError, NotDifferentiableError
from ..tape import (
    Creation,
    Recorder,
    TensorBase,
    View,
    alias,
    base_of,
    chain_of,
    history,
    is_inference,
    state,
    storage_of,
    wrap,
)
from ..tape.inplace import rebase
from ..tape.node import RefusingNode
from .function_context import FunctionCtx

__all__ = ["Function", "once_differentiable"]


class Function:
    """Base of user-defined operations: subclass, write `forward` and `backward` as static methods, call `apply`.

    `forward(ctx, *args)` returns a tensor or a tuple; no graph is recorded inside. `backward(ctx, *grads)` gets one
    cotangent per output and returns one gradient (or None) per argument of `forward`; it may be called `vjp`. With a
    method `setup_context(ctx, inputs, output)`, `forward` is called without `ctx`. `jvp(ctx, *tangents)` is the forward
    derivative, `vmap(info, in_dims, *args)` the batched operation; with `generate_vmap_rule` the latter is not needed.
    """

    generate_vmap_rule = False

    def __init__(self, *_: Any, **__: Any) -> None:
        """Accepted, as PyTorch does: only the static methods are used."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Refused: functions are applied by `apply`."""
        raise NotDifferentiableError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            "function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep what `backward` needs, if `forward` does not get `ctx` to do so."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments from those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Compute the tangents of the outputs from those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """Compute the operation on batched arguments; returns the outputs and their batch dims."""
        raise NotImplementedError("To use autograd.Function with vmap, you must either override the vmap staticmethod.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record it as one node. Keyword arguments go where `forward` has them."""
        now = state.now
        takes_ctx = cls.setup_context is Function.setup_context
        if kwargs or not takes_ctx:  # `setup_context` sees the defaults, too
            bound = _signature(cls).bind(*[None] * takes_ctx, *args, **kwargs)
            bound.apply_defaults()
            args = bound.args[takes_ctx:]
        for watcher in reversed(now.watchers):
            if watcher.takes_function(cls, args):
                result = now.outside(watcher, watcher.function, cls, args)
                for x in result if isinstance(result, tuple) else (result,):
                    if isinstance(x, TensorBase):
                        now.tell_inside(watcher, "constant", x)
                return result
        ctx, result = run(cls, args)
        ctx.forget_forward()
        return result


def run(
    cls: type[Function], args: tuple[Any, ...], forward: Callable[..., Any] | None = None
) -> tuple[FunctionCtx, Any]:
    """`forward` of `cls` (or what is given in its place, if it takes no `ctx`) on `args`, recorded as one node; and
    that node.
    """
    for a in args:
        if isinstance(a, TensorBase):
            history(a)
    ctx = _node_class(cls)(cls, args)
    now = state.now
    enabled = now.grad_enabled
    try:
        now.grad_enabled = False
        if cls.setup_context is Function.setup_context:
            result = cls.forward(ctx, *args)
        else:
            result = (cls.forward if forward is None else forward)(*args)
            cls.setup_context(ctx, args, result)
    finally:
        now.grad_enabled = enabled
    single = not isinstance(result, tuple)
    outputs = _finished(ctx, (result,) if single else result, args)
    if now.watchers and ctx.edges:
        now.tell("made", ctx)
        if now.recorder is not None:
            _record_outputs(now.recorder, ctx, outputs)
    return ctx, outputs[0] if single else outputs


def _record_outputs(recorder: Recorder, ctx: FunctionCtx, outputs: tuple[Any, ...]) -> None:
    """Tell the recorder which outputs have the `Function` as their history."""
    for out in {id(out): out for out in outputs if isinstance(out, TensorBase)}.values():
        if history(out) is not None and (out._node is ctx or id(out) in ctx.dirty):
            recorder.function_output(out, dirty=id(out) in ctx.dirty)


def _signature(function: type[Function]) -> inspect.Signature:
    """The signature of `forward`, looked up once, and kept by a name that is no variable of the user's."""
    found: inspect.Signature | None = function.__dict__.get("__signature_of_forward__")
    if found is None:
        found = function.__signature_of_forward__ = inspect.signature(function.forward)  # type: ignore[attr-defined]
    return found


def _node_class(function: type[Function]) -> type[FunctionCtx]:
    """The class of the function's nodes, named after it as in PyTorch; made once and kept on the function."""
    found = function.__dict__.get("__node_class__")
    if found is None:
        found = type(f"{function.__name__}Backward", (FunctionCtx,), {"__slots__": ()})
        function.__node_class__ = found  # type: ignore[attr-defined]
    return found


def _finished(ctx: FunctionCtx, outputs: tuple[Any, ...], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The outputs as `apply` returns them: those that are inputs, or views of them, set right, and in the graph."""
    given = {id(a) for a in args if isinstance(a, TensorBase)}
    _check_dirty(ctx, outputs, given)
    tensors = sum(isinstance(out, TensorBase) for out in outputs)
    finished: list[Any] = []
    known: dict[int, Any] = {}  # what is returned twice is one tensor
    for out in outputs:
        if not isinstance(out, TensorBase):
            ctx.add_output(None)
            finished.append(out)
            continue
        differentiable = (
            bool(ctx.edges) and out._array.dtype.kind not in "biu" and id(out) not in ctx.non_differentiable
        )
        fresh = known.get(id(out))
        if fresh is None:
            creation = Creation.MULTIPLE if tensors > 1 else Creation.FUNCTION
            fresh = known[id(out)] = _fresh_output(ctx, out, given, differentiable, creation)
        index = ctx.add_output(fresh)
        if id(out) in ctx.dirty:
            _finish_dirty(ctx, fresh, index, differentiable)
        elif differentiable:
            fresh._node, fresh._index, fresh._requires_grad = ctx, index, True
        finished.append(fresh)
    ctx.own(outputs, finished)
    return tuple(finished)


def _check_dirty(ctx: FunctionCtx, outputs: tuple[Any, ...], given: set[int]) -> None:
    """Raise RuntimeError where `mark_dirty` was given what autograd cannot follow."""
    returned = {id(out) for out in outputs if isinstance(out, TensorBase)}
    if not ctx.dirty.keys() <= returned:
        raise InPlaceError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
            "modified inplace must all be outputs of the Function."
        )
    if not ctx.edges:
        return
    for t in ctx.dirty.values():
        if t._node is None and t._requires_grad:
            raise InPlaceError("a leaf Variable that requires grad has been used in an in-place operation.")
        if id(t) in given and base_of(t) is not None and len(returned) > 1:
            raise InPlaceError(
                "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot "
                "return more than one Tensor. This is not supported by the current autograd engine. You should either "
                "make sure the input is not a view (using .clone() for example) or make your Function only return one "
                "Tensor (potentially splitting it into two Functions: one doing the inplace that returns a single "
                "Tensor and a second one that does the other operations)."
            )


def _fresh_output(ctx: FunctionCtx, out: Any, given: set[int], differentiable: bool, creation: Creation) -> Any:
    """`out`, or a tensor that stands for it: an input is returned as a view of it, what has a history without it."""
    if id(out) in ctx.dirty:
        return out
    if id(out) in given:
        if not differentiable:
            return alias(out)
        view = alias(out)
        base = base_of(out)
        if not is_inference(out):
            view._view = View(chain_of(out), out if base is None else base, Creation.FUNCTION)
        return view
    if out._node is not None:
        return alias(out)
    if differentiable and out._view is not None and out._view.base is not None:
        out._view = View(out._view.chain, out._view.base, creation)
    return out


def _finish_dirty(ctx: FunctionCtx, t: Any, index: int, differentiable: bool) -> None:
    """The history of a tensor that `forward` wrote to and returned."""
    storage_of(t).count_write()
    if not ctx.edges:
        return
    if not differentiable:
        t._node, t._index, t._requires_grad = None, 0, False
        return
    result = wrap(t._array)
    result._node, result._index, result._requires_grad = ctx, index, True
    rebase(t, result)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a `backward` that cannot itself be differentiated: doing so raises RuntimeError."""

    @functools.wraps(backward)
    def call(ctx: Any, *grads: Any) -> Any:
        enabled = state.grad_enabled
        try:
            state.grad_enabled = False
            results = backward(ctx, *grads)
        finally:
            state.grad_enabled = enabled
        if not enabled or not any(isinstance(g, TensorBase) and g._requires_grad for g in grads):
            return results
        refused = [_refused(x) for x in (results if isinstance(results, tuple) else (results,))]
        return tuple(refused) if isinstance(results, tuple) else refused[0]

    return call


def _refused(x: Any) -> Any:
    """`x` with a history that raises when it is walked."""
    if not isinstance(x, TensorBase) or x._array.dtype.kind in "biu":
        return x
    out = alias(x)
    message = "trying to differentiate twice a function that was marked with @once_differentiable"
    out._node, out._requires_grad = RefusingNode("Error", NotDifferentiableError, message, x._array), True
    return out
