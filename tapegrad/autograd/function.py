"""`autograd.Function`: an operation with a backward of the user's own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotDifferentiableError
from ..tape import Node, TensorBase, alias, edge_of, state, storage_of, wrap
from ..tape.node import freed, next_sequence
from ..tape.primitive import SavePlan

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Function", "FunctionCtx"]


class FunctionCtx(Node):
    """The context handed to `forward` and `backward`; also the node in the graph, as in PyTorch.

    Any attribute may be set on it. `needs_input_grad` tells, per argument of `apply`, whether a gradient is wanted.
    """

    __slots__ = (
        "__dict__", "_function", "_materialize", "_metadata", "_non_differentiable", "_positions", "_saved", "_width",
    )  # fmt: skip

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        needs = [isinstance(a, TensorBase) and a._requires_grad and state.grad_enabled for a in args]
        self.needs_input_grad = tuple(needs)
        state.expect_user_code()
        self._function = function
        self._positions = [i for i, needed in enumerate(needs) if needed]
        self._saved: tuple[Any, ...] | None = ()
        # of each output its number among the tensors, shape and dtype; None for what is no tensor
        self._metadata: list[tuple[int, tuple[int, ...], Any] | None] = []
        self._materialize = True
        self._non_differentiable: set[int] = set()
        edges = [edge_of(args[i]) for i in self._positions]
        self.edges = tuple([node for node, _ in edges if node is not None])
        self.indices = tuple([index for _, index in edges])
        self.kind = f"{function.__name__}Backward"
        self.leaf = None
        self.plan = SavePlan((), (), (), ())
        self.saved = ()
        self._width = len(args)
        self.sequence = next_sequence()

    def differentiable(self) -> list[int]:
        """The positions of all arguments, as in PyTorch."""
        return list(range(self._width))

    def positions(self) -> tuple[int, ...]:
        """Which argument each edge belongs to."""
        return tuple(self._positions)

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`; writing to one of them in place before that is an error then."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, TensorBase):
                kind = type(t).__name__
                raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {kind}")
        self._saved = tuple([None if t is None else (t, storage_of(t), storage_of(t).version) for t in tensors])

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs need no gradient."""
        self._non_differentiable = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for an output to which no gradient came."""
        self._materialize = value

    def detach_outputs(self, outputs: tuple[Any, ...]) -> None:
        """Keep saved outputs without reference to their node, which is this one."""
        assert self._saved is not None
        owned = {id(out) for out in outputs if isinstance(out, TensorBase)}
        self._saved = tuple([
            (out[0]._array, out[1], out[2], out[0]._index) if out is not None and id(out[0]) in owned else out
            for out in self._saved
        ])  # fmt: skip

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept. Raises RuntimeError once freed, or if one was written to since."""
        if self._saved is None:
            raise freed()
        return tuple([None if entry is None else self._unpacked(entry) for entry in self._saved])

    def _unpacked(self, entry: tuple[Any, ...]) -> Any:
        value, storage, version = entry[:3]
        array = value._array if isinstance(value, TensorBase) else value
        if storage.version != version:
            raise self.modified(array, storage.version, version)
        if isinstance(value, TensorBase):
            return value
        out = wrap(array)
        out._storage, out._requires_grad, out._node, out._index = storage, True, self, entry[3]
        return out

    def release(self) -> None:
        """Forget the saved tensors."""
        self._saved = None

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """One cotangent per edge, from the user's `backward`."""
        grads = self._function.backward(self, *self._cotangents(g))
        grads = grads if isinstance(grads, tuple) else (grads,)
        given = len(self.needs_input_grad)
        if len(grads) < given or any(extra is not None for extra in grads[given:]):
            raise NotDifferentiableError(
                f"function {self.name()} returned an incorrect number of gradients (expected {given}, got {len(grads)})"
            )
        pulled = []
        for i in self._positions:
            x = grads[i]
            if x is not None and not isinstance(x, TensorBase):
                raise NotDifferentiableError(
                    f"{self.name()}: gradient {i}: expected Variable or None (got {type(x).__name__})"
                )
            pulled.append(x if create_graph or x is None else x._array)
        return pulled

    def _cotangents(self, g: Any) -> list[Any]:
        """The cotangent of each output as a tensor, zeros where none arrived; None for an output that is no tensor."""
        slots = g if self.outputs > 1 else [g]
        found: list[Any] = []
        for output in self._metadata:
            if output is None:
                found.append(None)
                continue
            index, shape, dtype = output
            value = np.zeros(shape, dtype) if slots[index] is None and self._materialize else slots[index]
            found.append(value if value is None or isinstance(value, TensorBase) else wrap(np.asarray(value)))
        return found


class Function:
    """Base of user-defined operations: subclass, write `forward` and `backward` as static methods, call `apply`.

    `forward(ctx, *args)` returns a tensor or a tuple; no graph is recorded inside. `backward(ctx, *grads)` gets one
    cotangent per output and returns one gradient (or None) per argument of `forward`. With a method
    `setup_context(ctx, inputs, output)`, `forward` is called without `ctx`.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep what `backward` needs, if `forward` does not get `ctx` to do so."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments from those of the outputs."""
        raise NotImplementedError("You must implement the backward function for your custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record it as one node. Keyword arguments go where `forward` has them."""
        if state.recorder is not None:
            raise state.recorder.unsupported(f"the custom autograd.Function {cls.__name__}")
        takes_ctx = cls.setup_context is Function.setup_context
        if kwargs:
            bound = inspect.signature(cls.forward).bind(*[None] * takes_ctx, *args, **kwargs)
            args = bound.args[takes_ctx:]
        ctx = _node_class(cls)(cls, args)
        enabled, state.grad_enabled = state.grad_enabled, False
        try:
            if takes_ctx:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        finally:
            state.grad_enabled = enabled
        single = not isinstance(result, tuple)
        outputs = (result,) if single else result
        if ctx.edges and any(isinstance(out, TensorBase) for out in outputs):
            outputs = _attach(ctx, outputs, args)
        return outputs[0] if single else outputs


def _node_class(function: type[Function]) -> type[FunctionCtx]:
    """The class of the function's nodes, named after it as in PyTorch; made once and kept on the function."""
    found = function.__dict__.get("_node_class")
    if found is None:
        found = type(f"{function.__name__}Backward", (FunctionCtx,), {"__slots__": ()})
        function._node_class = found  # type: ignore[attr-defined]
    return found


def _attach(ctx: FunctionCtx, outputs: tuple[Any, ...], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make the tensors among `outputs` outputs of the node `ctx`."""
    given = {id(a) for a in args}
    fresh = tuple([
        alias(out) if isinstance(out, TensorBase) and (id(out) in given or out._node is not None) else out
        for out in outputs
    ])  # fmt: skip
    count = 0
    for given_out, out in zip(outputs, fresh, strict=True):
        if not isinstance(out, TensorBase):
            ctx._metadata.append(None)
            continue
        shape, dtype = out._array.shape, out._array.dtype
        ctx._metadata.append((count, shape, dtype))
        if not count:
            ctx.shape, ctx.dtype = shape, dtype
        if dtype.kind not in "biu" and id(given_out) not in ctx._non_differentiable:
            out._node, out._index, out._requires_grad = ctx, count, True
        count += 1
    ctx.outputs = count
    ctx.detach_outputs(fresh)
    return fresh
