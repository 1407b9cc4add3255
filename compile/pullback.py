"""The history of what a jitted function returns: a node that says why a gradient stops there."""

from __future__ import annotations

from ..errors import UnsupportedError
from ..tape import TensorBase
from ..tape.node import RefusingNode

__all__ = ["unsupported_history"]


class CompiledBackward(RefusingNode):
    """Stands where the graph of a compiled call would be."""

    __slots__ = ()

    refuses = True


def unsupported_history(t: TensorBase, function: str, kind: str) -> TensorBase:
    """`t`, requiring grad as the eager result does, with a node (of the eager one's `kind`) that refuses to run."""
    message = (
        f"gradient through the result of the jitted function {function!r}: not supported yet. Call backward() "
        "or autograd.grad inside the jitted function, or differentiate the function without jit."
    )
    t._node = CompiledBackward(kind, UnsupportedError, message, t._device)
    t._requires_grad = True
    return t
