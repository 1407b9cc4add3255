"""TensorBase: what the tape knows of a tensor. `tapegrad.tensor` adds what users see."""

from __future__ import annotations

import contextlib
import enum
import functools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..storage import Storage
from .state import device_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..tensor import Tensor
    from .node import Node
    from .primitive import Primitive

__all__ = [
    "Chain", "Creation", "TensorBase", "View", "base_of", "chain_of", "history", "is_inference", "keep_on_device",
    "set_tensor_type", "storage_of", "wrap", "writable",
]  # fmt: skip

_new = object.__new__

Chain = tuple[tuple["Primitive", dict[str, Any]], ...]

_tensor_type: type[Any]


class Creation(enum.Enum):
    """How a view was made: all but NORMAL forbid that autograd follows an in-place write through it."""

    NORMAL = "in grad mode"
    NO_GRAD = "in no_grad mode"
    INFERENCE = "in inference mode"
    MULTIPLE = "by a function that returns several views"
    FUNCTION = "by a custom Function"


class View:
    """How a tensor looks at memory that it shares.

    `chain`      the view primitives, with parameters, that lead from the storage's memory to the tensor.
    `base`       the tensor whose part it is to autograd; None for an alias without history, such as `detach()`.
    `base_node`  the base's node when the tensor's own was derived from it: another one means a write in place.
    `creation`   how it was made.
    `number`     which of the views it is that one function returned.
    """

    __slots__ = ("base", "base_node", "chain", "creation", "number")

    def __init__(self, chain: Chain, base: TensorBase | None, creation: Creation = Creation.NORMAL) -> None:
        self.chain = chain
        self.base = base
        self.base_node = None if base is None else base._node
        self.creation = creation
        self.number = 0


class TensorBase:
    """Memory plus a place in a graph.

    `_array`         the NumPy array; unset while the value is only on a device (`keep_on_device`).
    `_device`        a JAX array with the same value, or None.
    `_requires_grad` whether gradients flow through or to this tensor.
    `_node, _index`  the node that computed it and which of its outputs it is; None for a leaf.
    `_storage`       what aliases share, made when first needed (None: no alias, never written to).
    `_view`          how it looks at memory it shares with others (`View`); None if it looks at all of it as it is.
    `_grad`          the accumulated gradient.
    `_accumulator`   the AccumulateGrad node of a leaf, made when first needed.
    `_order`         of a class of tensors on a device: the axes, slowest first, as they will lie in memory on the host.
    """

    __slots__ = (
        "__dict__", "__weakref__", "_accumulator", "_array", "_device", "_grad", "_index", "_node", "_requires_grad",
        "_storage", "_view",
    )  # fmt: skip

    _array: np.ndarray[Any, Any]
    _device: Any
    _requires_grad: bool
    _node: Node | None
    _index: int
    _storage: Storage | None
    _view: View | None
    _grad: Tensor | None
    _accumulator: Node | None
    _order: ClassVar[tuple[int, ...] | None] = None

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
    t._view = None
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
    """Give `t` a value that is on a device, to be fetched when `_array` is first read: laid out there as it is now.

    Until then the tensor is of a subclass of its class, where `_array` is no slot but a property.
    """
    t._device = value
    if isinstance(t, _OnDevice):
        if t._order is not None and len(t._order) != value.ndim:
            t.__class__ = _on_device_class(_on_host[type(t)])
        return
    array = getattr(t, "_array", None)  # an interrupt may have come after it was gone
    order = None if array is None or array.shape != value.shape else order_of(array)
    with contextlib.suppress(AttributeError):
        del t._array
    t.__class__ = _on_device_class(type(t), order)  # type: ignore[arg-type]


def is_on_device_only(t: TensorBase) -> bool:
    """Whether the value of `t` has not been fetched."""
    return type(t) in _on_host


def order_of(array: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    """The axes of an array from the slowest to the fastest, if it lies in memory without gaps; None if in C's order."""
    if array.flags.c_contiguous:
        return None
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return tuple(order) if array.transpose(order).flags.c_contiguous else None


def _arranged(array: np.ndarray[Any, Any], order: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A copy of an array, with the axes in memory in the order given."""
    return array.transpose(order).copy().transpose(np.argsort(order))


def fresh_on_device(value: Any, cls: Any = None) -> Tensor:
    """A new leaf tensor whose value is on the device, fetched when first read on the host.

    With the second of `classes_on_device`, the value is part of a pack: `value` is the pack and the position in it.
    """
    t: Any = _new(cls or _on_device_class(_tensor_type))  # type: ignore[arg-type]
    _set_device(t, value)
    t._requires_grad = False
    t._node = None
    t._index = 0
    t._storage = None
    t._view = None
    t._grad = None
    t._accumulator = None
    return t


class _OnDevice:
    """Mixin of a tensor whose value is on the device only: `_array` fetches it, once."""

    __slots__ = ()

    @property
    def _array(self) -> np.ndarray[Any, Any]:
        t: Any = self
        while True:
            device = t._device
            try:
                array = np.asarray(device)
            except RuntimeError:  # a program in another thread is writing over it
                with device_lock:
                    device = t._device
                    array = np.asarray(device)
            with device_lock:
                if type(t) not in _on_host:  # another thread has fetched it
                    return t._array
                if t._device is device:  # else a program gave it another value meanwhile
                    if t._order is not None:
                        array = _arranged(array, t._order)
                        t._device = None  # for what it looks like is known from the host alone then
                    _bring_to_host(t, array)
                    return array

    @_array.setter
    def _array(self, array: np.ndarray[Any, Any]) -> None:
        _bring_to_host(self, array)


class _Part(_OnDevice):
    """Mixin of a tensor whose value is part of a pack, which is asked for it when the value is first read.

    Until then the slot of `_device` has the pack and the position in it.
    """

    __slots__ = ()

    @property
    def _device(self) -> Any:
        with device_lock:  # or another thread has taken it out meanwhile
            part = _get_device(self)
            if type(part) is tuple:
                self._device = part[0].on_device(part[1])
        return _get_device(self)

    @_device.setter
    def _device(self, value: Any) -> None:
        _set_device(self, value)
        self.__class__ = _on_device_class(_on_host[type(self)])

    @property
    def _array(self) -> np.ndarray[Any, Any]:
        with device_lock:
            part = _get_device(self)
            if type(part) is tuple:
                self._array = part[0].on_host(part[1])
        return self._array

    @_array.setter
    def _array(self, array: np.ndarray[Any, Any]) -> None:
        _set_device(self, None)
        _bring_to_host(self, array)


def _bring_to_host(t: Any, array: np.ndarray[Any, Any]) -> None:
    _array_slot.__set__(t, array)  # first, so that another thread finds it
    cls = type(t)
    if cls in _on_host:
        t.__class__ = _on_host[cls]


_array_slot: Any = TensorBase.__dict__["_array"]
_get_device: Any = TensorBase.__dict__["_device"].__get__
_set_device: Any = TensorBase.__dict__["_device"].__set__
_on_host: dict[Any, Any] = {}
"""The classes of tensors whose value has been fetched, by those of tensors on the device."""


@functools.cache
def _on_device_class(cls: Any, order: tuple[int, ...] | None = None, mixin: Any = _OnDevice) -> Any:
    namespace = {"__slots__": (), "__module__": cls.__module__, "__qualname__": cls.__qualname__, "_order": order}
    made = type(cls.__name__, (mixin, cls), namespace)
    _on_host[made] = cls
    for tell in _told_of_classes:
        tell(made)
    return made


def classes_on_device() -> tuple[Any, Any]:
    """The classes of tensors whose value is on the device: by itself, or as part of a pack."""
    return _on_device_class(_tensor_type), _on_device_class(_tensor_type, mixin=_Part)  # type: ignore[arg-type]


def class_in_order(order: tuple[int, ...] | None) -> Any:
    """The class of tensors whose value is on the device, and which have this `_order`."""
    return _on_device_class(_tensor_type, order)  # type: ignore[arg-type]


_told_of_classes: list[Callable[[Any], None]] = []


def tell_of_classes(tell: Callable[[Any], None]) -> None:
    """Call `tell` with each class of tensors whose value is on the device: those there are, and those that come."""
    classes_on_device()
    for made in [*_on_host]:
        tell(made)
    _told_of_classes.append(tell)


def chain_of(t: TensorBase) -> Chain:
    """The view primitives that lead from the storage's memory to `t`."""
    return () if t._view is None else t._view.chain


def base_of(t: TensorBase) -> TensorBase | None:
    """The tensor that a write to `t` gives a new history: its base, if autograd follows writes through `t`."""
    view = t._view
    followed = view is not None and view.creation not in (Creation.NO_GRAD, Creation.INFERENCE)
    return view.base if view is not None and followed else None


def is_inference(t: TensorBase) -> bool:
    """Whether `t` was made in inference mode: its writes are not counted, and autograd may not save it."""
    return t._storage is not None and t._storage.version < 0


def history(t: TensorBase) -> Node | None:
    """The node that computed `t`, derived anew if an in-place write changed the base that `t` is a view of."""
    view = t._view
    if view is not None and view.base is not None and view.base._node is not view.base_node:
        from .inplace import rederive

        rederive(t)
    return t._node
