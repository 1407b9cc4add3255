"""TensorBase: what the tape knows of a tensor. `tapegrad.tensor` adds what users see."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..storage import Storage

if TYPE_CHECKING:
    from ..tensor import Tensor
    from .node import Node
    from .primitive import Primitive

__all__ = ["UNRELATED", "TensorBase", "history", "keep_on_device", "set_tensor_type", "storage_of", "wrap", "writable"]

_new = object.__new__

UNRELATED: Any = object()
"""The `_base_node` of a view made under `no_grad` of a tensor that requires grad: autograd does not relate the two."""

_tensor_type: type[Any]


class TensorBase:
    """Memory plus a place in a graph.

    `_array`         the NumPy array; unset while the value is only on a device (`keep_on_device`).
    `_device`        a JAX array with the same value, or None.
    `_requires_grad` whether gradients flow through or to this tensor.
    `_node, _index`  the node that computed it and which of its outputs it is; None for a leaf.
    `_storage`       what aliases share, made when first needed (None: no alias, never written to).
    `_chain`         the view primitives, with parameters, that lead from the storage's memory to this tensor.
    `_base`          the tensor this is a differentiable view of, or None.
    `_base_node`     the base's node when `_node` was derived from it: another one means an in-place write happened.
    `_grad`          the accumulated gradient of a leaf.
    `_accumulator`   the AccumulateGrad node of a leaf, made when first needed.
    """

    __slots__ = (
        "__dict__", "__weakref__", "_accumulator", "_array", "_base", "_base_node", "_chain", "_device", "_grad",
        "_index", "_node", "_requires_grad", "_storage",
    )  # fmt: skip

    _array: np.ndarray[Any, Any]
    _device: Any
    _requires_grad: bool
    _node: Node | None
    _index: int
    _storage: Storage | None
    _chain: tuple[tuple[Primitive, dict[str, Any]], ...]
    _base: TensorBase | None
    _base_node: Node | None
    _grad: Tensor | None
    _accumulator: Node | None

    __array_ufunc__ = None  # `ndarray + tensor` is the tensor's business


def set_tensor_type(cls: type[Any]) -> None:
    """Say which class `wrap` makes; called once, by `tapegrad.tensor`."""
    global _tensor_type
    _tensor_type = cls


def wrap(array: np.ndarray[Any, Any]) -> Tensor:
    """A new leaf tensor on `array`, which it takes over."""
    t = _new(_tensor_type)
    t._array = array
    t._device = None
    t._requires_grad = False
    t._node = None
    t._index = 0
    t._storage = None
    t._chain = ()
    t._base = None
    t._base_node = None
    t._grad = None
    t._accumulator = None
    return t


def storage_of(t: TensorBase) -> Storage:
    """The tensor's storage, made now if it has none: from here on its host memory is what aliases share."""
    if t._device is not None:
        writable(t)
    storage = t._storage
    if storage is None:
        storage = t._storage = _new(Storage)  # without the call of __init__, which takes longer than all else here
        storage.version = 0
        storage.exported = False
        storage.origin = None
    return storage


def writable(t: TensorBase) -> np.ndarray[Any, Any]:
    """The tensor's array, safe to write into: a read-only copy of a device value becomes memory of its own."""
    array = t._array
    if t._device is not None:
        t._device = None
        if not array.flags.writeable:
            array = t._array = array.copy()
    return array


def keep_on_device(t: TensorBase, value: Any) -> None:
    """Give `t` a value that is on a device, to be fetched when `_array` is first read.

    Until then the tensor is of a subclass of its class, the only one that traps missing attributes: a `__getattr__` on
    every tensor would slow each attribute access of each operation.
    """
    t._device = value
    if not isinstance(t, _OnDevice):
        del t._array
        t.__class__ = _on_device_class(type(t))  # type: ignore[arg-type]


class _OnDevice:
    """Mixin of a tensor whose value is on the device only."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name != "_array":
            raise AttributeError(f"'Tensor' object has no attribute {name!r}")
        t: Any = self
        array = t._array = np.asarray(t._device)  # first, so that another thread finds it
        cls = type(t)
        if issubclass(cls, _OnDevice):
            t.__class__ = cls.__bases__[1]
        return array


@functools.cache
def _on_device_class(cls: type[TensorBase]) -> type[TensorBase]:
    namespace = {"__slots__": (), "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return type(cls.__name__, (_OnDevice, cls), namespace)


def history(t: TensorBase) -> Node | None:
    """The node that computed `t`, derived anew if an in-place write changed the base that `t` is a view of."""
    base = t._base
    if base is not None and base._node is not t._base_node:
        from .inplace import rederive

        rederive(t)
    return t._node
