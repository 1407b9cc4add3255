"""Tensors as JAX pytrees, and as what JAX functions take for arrays; JAX's pytrees as containers of tensors.

A tensor is a node with one leaf, its value; `requires_grad` belongs to the structure. So `jax.tree.map(f, tensors)`
maps values and gives tensors, leaves of the graph, and `jax.jit(f)(tensor)` gives `f` a `TracedTensor`: a stand-in that
JAX functions take, and operations on tensors do not. `jax.grad` with respect to a tensor gives a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from ..dtypes import dtype, from_numpy_dtype
from ..errors import NotDifferentiableError, UnsupportedError
from ..ops.support import reads_value
from ..tape import TensorBase, wrap
from ..tape.variable import tell_of_classes
from ..tensor import Size, Tensor
from ..tree import follow
from .device import from_device, value_of

__all__ = ["TracedTensor", "as_jax_array"]


class TracedTensor(Tensor):
    """What stands for a tensor where JAX puts something else in place of its value: a tracer, mostly.

    It has a shape and a dtype, and JAX functions take it for the value. Anything else raises UnsupportedError.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        if name == "_array":
            raise UnsupportedError(
                "an operation on a tensor whose value JAX is tracing: JAX functions take it, operations on tensors do "
                "not. Use tapegrad.to_jax to get a function that JAX can trace"
            )
        raise AttributeError(f"'Tensor' object has no attribute {name!r}")

    @property
    def shape(self) -> Size:
        """The length of each dim."""
        return Size(self._device.shape)

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return from_numpy_dtype(self._device.dtype)

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return len(self._device.shape)

    def __repr__(self) -> str:
        return f"tensor({self._device!r})"


def as_jax_array(t: TensorBase) -> Any:
    """The value of `t` as a JAX array with memory of its own. Raises RuntimeError if it requires grad."""
    if isinstance(t, TracedTensor):
        return t._device
    reads_value("a conversion to a JAX array", t)
    if t.requires_grad:  # type: ignore[attr-defined]
        raise NotDifferentiableError(
            "Can't convert a Tensor that requires grad to a JAX array, which would cut its history. Use "
            "tensor.detach(), or tapegrad.from_jax for the function that is to be differentiated."
        )
    return jnp.asarray(value_of(t, keep=False))


def _flatten(t: Any) -> tuple[tuple[Any], bool]:
    if isinstance(t, TracedTensor):
        return (t._device,), t._requires_grad
    reads_value("a JAX function", t)
    with jax.enable_x64(True):  # a copy: a compiled call may write over the tensor's own value
        return (jnp.array(value_of(t, keep=True)),), t.requires_grad


def _unflatten(requires_grad: bool, leaves: Sequence[Any]) -> Any:
    (leaf,) = leaves
    if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
        t: Any = from_device(leaf)
    elif isinstance(leaf, np.ndarray | np.generic):
        t = wrap(np.array(leaf))
    else:
        t = wrap(_NOWHERE)
        del t._array
        t.__class__ = TracedTensor
        t._device = leaf
        t._requires_grad = requires_grad
        return t
    t._requires_grad = requires_grad and leaf.dtype.kind not in "biu"
    return t


_NOWHERE = np.empty(0)


def _register(cls: Any) -> None:
    jax.tree_util.register_pytree_node(cls, _flatten, _unflatten)


for _class in (Tensor, TracedTensor):
    _register(_class)
tell_of_classes(_register)


def _one_level(tree: Any) -> tuple[Sequence[Any], Any] | None:
    """The parts of an instance of a class registered with JAX, and how it is built; None for a leaf."""
    if isinstance(tree, TensorBase | jax.Array | np.ndarray | np.generic):
        return None
    parts, structure = jax.tree.flatten(tree, is_leaf=lambda part: part is not tree)
    return None if jax.tree_util.treedef_is_leaf(structure) else (parts, structure)


follow(_one_level)
