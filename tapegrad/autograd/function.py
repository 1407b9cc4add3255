"""`autograd.Function`: an operation with a backward of the user's own."""

from __future__ import annotations

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

    __slots__ = ("__dict__", "_function", "_metadata", "_positions", "_saved")

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        needs = [isinstance(a, TensorBase) and a._requires_grad and state.grad_enabled for a in args]
        self.needs_input_grad = tuple(needs)
        self._function = function
        self._positions = [i for i, needed in enumerate(needs) if needed]
        self._saved: tuple[Any, ...] | None = ()
        self._metadata: list[tuple[tuple[int, ...], Any]] = []
        edges = [edge_of(args[i]) for i in self._positions]
        self.edges = tuple([node for node, _ in edges if node is not None])
        self.indices = tuple([index for _, index in edges])
        self.kind = f"{function.__name__}Backward"
        self.leaf = None
        self.plan = SavePlan((), (), (), ())
        self.saved = ()
        self._width = len(args)
        self.sequence = next_sequence()

    def width(self) -> int:
        return self._width

    def positions(self) -> tuple[int, ...]:
        return tuple(self._positions)

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`; writing to one of them in place before that is an error then."""
        for t in tensors:
            if t is not None and not isinstance(t, TensorBase):
                raise TypeError(f"save_for_backward can only save variables, but argument is of type {type(t).__name__}")
        self._saved = tuple([None if t is None else (t, storage_of(t), storage_of(t).version) for t in tensors])

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
        self._saved = None

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
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
                raise TypeError(f"{self.name()}: expected gradient {i} to be a Tensor or None, got {type(x).__name__}")
            pulled.append(x if create_graph or x is None else x._array)
        return pulled

    def _cotangents(self, g: Any) -> list[Any]:
        """The cotangent of each output as a tensor, zeros where none arrived."""
        slots = g if self.outputs > 1 else [g]
        found = []
        for slot, (shape, dtype) in zip(slots, self._metadata, strict=True):
            value = np.zeros(shape, dtype) if slot is None else slot
            found.append(value if isinstance(value, TensorBase) else wrap(np.asarray(value)))
        return found


class Function:
    """Base of user-defined operations: subclass, write `forward` and `backward` as static methods, call `apply`.

    `forward(ctx, *args)` returns a tensor or a tuple; no graph is recorded inside. `backward(ctx, *grads)` gets one
    cotangent per output and returns one gradient (or None) per argument of `forward`.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments from those of the outputs."""
        raise NotImplementedError("You must implement the backward function for your custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it as one node."""
        if state.recorder is not None:
            raise state.recorder.unsupported(f"the custom autograd.Function {cls.__name__}")
        ctx = FunctionCtx(cls, args)
        enabled, state.grad_enabled = state.grad_enabled, False
        try:
            result = cls.forward(ctx, *args)
        finally:
            state.grad_enabled = enabled
        single = not isinstance(result, tuple)
        outputs = (result,) if single else result
        if ctx.edges:
            outputs = _attach(ctx, outputs, args)
        return outputs[0] if single else outputs


def _attach(ctx: FunctionCtx, outputs: tuple[Any, ...], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make the tensors among `outputs` outputs of the node `ctx`."""
    given = {id(a) for a in args}
    fresh = tuple([
        alias(out) if isinstance(out, TensorBase) and (id(out) in given or out._node is not None) else out
        for out in outputs
    ])  # fmt: skip
    tensors = [out for out in fresh if isinstance(out, TensorBase)]
    ctx.outputs = len(tensors)
    for index, out in enumerate(tensors):
        ctx._metadata.append((out._array.shape, out._array.dtype))
        if out._array.dtype.kind not in "biu":
            out._node, out._index, out._requires_grad = ctx, index, True
    if tensors:
        ctx.shape, ctx.dtype = ctx._metadata[0]
    ctx.detach_outputs(fresh)
    return fresh
