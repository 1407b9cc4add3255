"""The history of what a jitted function returns: a node that says why a gradient stops there."""

from __future__ import annotations

from typing import Any

from ..errors import UnsupportedError
from ..tape import Node, TensorBase
from ..tape.node import next_sequence
from ..tape.primitive import SavePlan

__all__ = ["unsupported_history"]


class CompiledBackward(Node):
    """Stands where the graph of a compiled call would be; pulling a cotangent through it is an error."""

    __slots__ = ("function",)

    def __init__(self, function: str, kind: str, t: TensorBase) -> None:
        self.function = function
        self.kind = kind
        self.leaf = None
        self.edges = ()
        self.indices = None
        self.plan = SavePlan((), (), (), ())
        self.saved = ()
        self.outputs = 1
        self.shape, self.dtype = t._device.shape, t._device.dtype
        self.sequence = next_sequence()

    def differentiable(self) -> list[int]:
        return []

    def pull(self, g: Any, create_graph: bool) -> list[Any]:  # noqa: ARG002  (there is nothing to pull)
        raise UnsupportedError(
            f"gradient through the result of the jitted function {self.function!r}: not supported yet. Call backward() "
            "or autograd.grad inside the jitted function, or differentiate the function without jit."
        )


def unsupported_history(t: TensorBase, function: str, kind: str) -> TensorBase:
    """`t`, requiring grad as the eager result does, with a node (of the eager one's `kind`) that refuses to run."""
    t._node = CompiledBackward(function, kind, t)
    t._requires_grad = True
    return t
