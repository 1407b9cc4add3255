"""What the written code of a specialisation calls: tensors recognised, values taken and made, state written back."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..storage import Storage
from ..tape import Node, TensorBase, alias, apply, edge_of, is_inference, keep_on_device, renamed
from ..tape.node import RefusingNode, youngest_sequence
from ..tape.variable import Chain, Creation, View, chain_of, history
from .device import alone, own_storage, store, value_of
from .signature import Meta, memory_of, meta_of

__all__ = [
    "MISS", "Anchors", "Mismatch", "count_unseen", "counting_apart", "finish", "fit", "item", "look", "look_again",
    "move_data", "pack", "part", "refuse", "refusing", "replace_data", "spare", "unfollowed", "version_of",
    "versioned",
]  # fmt: skip

MISS = object()
"""What a call returns that does not fit."""


class Mismatch:
    """A guard that came out otherwise: its position among the guards, and what it came out as."""

    __slots__ = ("outcome", "position", "spec")

    def __init__(self, position: int, outcome: Any) -> None:
        self.position = position
        self.outcome = outcome
        self.spec: Any = None  # whose guard it is, where that is not clear


class Anchors(list[Any]):
    """The buffers, by position, by which tensors are known: as the last call left them.

    They are given up as soon as one of the tensors is gone, not to keep the memory of what nobody uses. `ids` has the
    ids of those tensors, and perhaps of some that were known before.
    """

    def __init__(self, count: int) -> None:
        super().__init__([None] * count)
        self.ids: set[int] = set()
        self._watched: list[Any] = [None] * count

    def anchor(self, i: int, t: TensorBase) -> None:
        """Know the tensor at `i` by its buffer from now on, unless its value may change without leaving that."""
        self.ids.add(id(t))
        if t._device is None or is_inference(t):
            self[i] = None
            return
        own_storage(t)
        self[i] = t._device
        self._watched[i] = weakref.ref(t, self.clear_all)

    def knows(self, t: TensorBase, others: tuple[TensorBase, ...]) -> bool:
        """Whether `t`, which is not where it was, is known elsewhere: by its buffer, or as one of the `others`."""
        device = t._device
        return any(device is not None and x is device for x in self) or any(x is t for x in others)

    def clear_all(self, _: Any = None) -> None:
        """Know none by its buffer."""
        self[:] = [None] * len(self)


def fit(t: Any, meta: Meta, seen: set[Any], others: Any, read: bool, keep: bool) -> Any:
    """The value of `t` if it is as `meta` says, and neither it nor its memory is among what was `seen` or the `others`.

    Else MISS; None if it is not `read`.
    """
    if not isinstance(t, TensorBase) or id(t) in seen or id(t) in others:
        return MISS
    seen.add(id(t))
    if meta_of(t) != meta:
        return MISS
    if t._device is None and t._storage is not None:
        memory = memory_of(t)
        if memory in seen:
            return MISS
        seen.add(memory)
    return value_of(t, keep=keep) if read else None


def item(value: Any) -> Any:
    """The one element of an output, as a Python number."""
    found = np.asarray(value).reshape(()).item()
    return found.item() if isinstance(found, np.generic) else found


def pack(numbers: tuple[float, ...]) -> Any:
    """Numbers in double precision, whatever JAX's settings, on the device."""
    with jax.enable_x64(True):
        return jax.device_put(np.array(numbers, np.float64))


def look(t: TensorBase, chain: Chain, followed: bool, kind: str | None) -> TensorBase:
    """What a chain of views shows of `t`; if `followed` with its history, by a node of that `kind`."""
    seen = t if followed else alias(t)
    for prim, params in chain:
        seen = apply(prim, (seen,), params)
    return seen if kind is None else renamed(kind, seen)  # type: ignore[arg-type]


def look_again(t: TensorBase, kind: str) -> None:
    """Let the view `t` have the history that what it looks at has been given, by a node of that `kind`."""
    history(t)
    renamed(kind, t)  # type: ignore[arg-type]


def unfollowed(t: TensorBase, base: TensorBase, creation: Creation, number: int, current: bool) -> None:
    """Let `t` be a view of `base` through which autograd does not follow writes, as it was made as `creation` says.

    Unless it is `current`, the base was written to since. What shares no memory with the base stays what it is.
    """
    if own_storage(t).memory is not own_storage(base).memory:
        return
    t._view = View(chain_of(t), base, creation)
    t._view.number = number
    if not current:
        t._view.base_node = None


def versioned(version: int) -> Storage:
    """Memory that was written to so many times."""
    storage = Storage()
    storage.version = version
    return storage


def counting_apart(t: TensorBase, version: int) -> Storage:
    """The memory of `t`, for what looks at it by `.data` and has written to it so many times."""
    storage = Storage(own_storage(t).memory)
    storage.version = version
    return storage


def replace_data(t: TensorBase, value: Any, version: int) -> None:
    """`t.data = value`, in memory of its own; `version` is how many writes are counted by then."""
    if t._accumulator is not None and (t._accumulator.shape, t._accumulator.dtype) != (value.shape, value.dtype):
        t._accumulator = None
    t._storage = versioned(version)
    t._view = None
    keep_on_device(t, value)


def move_data(t: TensorBase, value: TensorBase, version: int) -> None:
    """`t.data = value`, on the memory of that; `version` is how many writes are counted by then."""
    t.data = value  # type: ignore[attr-defined]
    own_storage(t).version = version


def part(t: TensorBase, value: Any, memory: int, version: int, counts: tuple[int, int]) -> None:
    """Write `value` to memory that `t` is about to leave, the Storage with the id `memory`, if anyone else looks at it.

    `counts` says how many writes autograd sees, and how many it does not; `version` is how many it had seen before.
    """
    if id(t._storage) != memory or t._storage is None or alone(t):  # it has left, where this is done again
        return
    t._storage.version = version
    store(t, value, counts[0])
    count_unseen(t, counts[1])


def spare(owner: TensorBase) -> Any:
    """The value of the gradient of `owner`, if nobody else has that, for a program to write over it; else a copy."""
    g = owner._grad
    assert g is not None
    device = g._device
    # the tensor is known to its owner, to the caller and here; its value to it and here
    if device is None or sys.getrefcount(g) > _KNOWN_TENSOR or sys.getrefcount(device) > _KNOWN_VALUE:
        return value_of(g, keep=False) if device is None else jnp.copy(device)
    return device


_KNOWN_TENSOR = 4
_KNOWN_VALUE = 3


def version_of(t: TensorBase) -> int:
    """How many writes to the memory of `t` were counted."""
    return 0 if t._storage is None else t._storage.version


def finish(box: list[Any], written: Any, anchors: Anchors) -> None:
    """Give each tensor its new value, where that was interrupted: `box` has the outputs, and then, by position, the
    versions before of the tensors that were about to be given theirs in a way that takes several steps.
    """
    outputs, *begun = box
    versions = dict(begun)
    known = list(anchors)
    anchors.clear_all()
    for t, i, k, count in written:
        if known[i] is not outputs[k] or t._device is not outputs[k]:
            if i in versions and t._storage is not None:
                t._storage.version = versions[i]
            store(t, outputs[k], count)


def count_unseen(t: TensorBase, count: int) -> None:
    """Count so many writes to the memory of `t` that autograd does not see."""
    own_storage(t).memory.count_unseen(count)


def refuse(t: TensorBase, refusing: type[Any], kind: str, behind: tuple[Any, ...]) -> None:
    """Give `t`, which requires grad as the eager result does, a node that raises when a walk comes to it, on the way to
    what is `behind`: tensors, or nodes.
    """
    node = t._node = _new(refusing)
    node.behind = behind
    node.kind = kind
    node.saved = ()
    node.extras = None
    node.sequence = youngest_sequence()
    t._requires_grad = True


_new = object.__new__


def refusing(kind: str, error: type[Exception], message: str, like: Any) -> type[RefusingNode]:
    """The class of the nodes that stand where the graph of a compiled call would be, if it could be walked.

    What all of them have is the class's, so that one is made as fast as a tensor.
    """
    node = RefusingNode(kind, error, message, like)
    return type("CompiledBackward", (_Ended,), {name: getattr(node, name) for name in _SAME} | _REFUSES)


class _Ended(RefusingNode):
    """A `RefusingNode` that knows what it leads to, by the tensors there."""

    __slots__ = ("behind",)

    behind: tuple[Any, ...]

    @property
    def edges(self) -> tuple[Node, ...]:  # type: ignore[override]
        """The nodes behind."""
        nodes = [edge_of(x)[0] if isinstance(x, TensorBase) else x for x in self.behind]
        return tuple([node for node in nodes if node is not None])


_SAME = ("error", "message", "leaf", "indices", "plan", "outputs", "shape", "dtype")
_REFUSES = {"__slots__": (), "refuses": True}
