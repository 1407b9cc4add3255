"""The level of a `vmap`: what the tensors inside it stand for.

Inside a function that is mapped, each batched tensor is a *representative*: an ordinary tensor of the shape and dtype
that one example has, holding the first example, so that all operations work on it as ever. The level keeps its
*shadow*, the whole batch as a tensor with the batch dim in front, and does to the shadows what it sees done to the
representatives. Graphs, other transforms and recorders outside see the shadows only.
"""

from __future__ import annotations

import functools
import textwrap
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TapegradError, UnsupportedError
from ..formats import empty_in_order, present_order
from ..primitives.structure import cast
from ..storage import Storage
from ..tape import TensorBase, Watcher, alias, apply, check_writable, state, storage_of, wrap, write
from ..tape.apply import move
from ..tape.inplace import frozen
from ..tree import flatten
from .batching import Batched, batched, spread
from .vmap_messages import ESCAPED, INPLACE, NO_DATA, NO_RANDOMNESS, REFUSED, about_value

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Level"]

Array = np.ndarray[Any, Any]


class _Entry:
    """What is known of the array of a representative: its shadow, a tensor that has it, and whether it is looked at.

    `shared` says that other tensors may look at the memory. From then on the shadow lies in memory as the
    representative does, so that what is a view of the one is a view of the other.
    """

    __slots__ = ("array", "shadow", "shared", "tensor")

    def __init__(
        self, array: weakref.ref[Array], tensor: weakref.ref[TensorBase], shadow: Tensor, shared: bool
    ) -> None:
        self.array = array
        self.tensor = tensor
        self.shadow = shadow
        self.shared = shared


class Level(Watcher):
    """One `vmap` over `size` examples, while its function runs.

    Shadows are kept by the array of the representative: nodes make tensors anew for the arrays that they saved.
    """

    follows_values = True

    def __init__(self, size: int, randomness: str = "error") -> None:
        self.size = size
        self.randomness = randomness
        self.depth = 1 + sum(isinstance(w, Level) for w in state.watchers)
        self._entries: dict[int, _Entry] = {}
        self._severed: weakref.WeakSet[Storage] = weakref.WeakSet()
        self._since: int | None = None  # from where on nodes belong to the write that is going on

    # Representatives and shadows

    def enter(self, shadow: Any) -> Tensor:
        """A representative of the batch `shadow`."""
        out = wrap(_first_of(shadow._array))
        self._keep(out, shadow, shared=True)
        return out

    def shadow_of(self, t: Any) -> Any:
        """The batch that `t` stands for, None if it is the same for all examples."""
        entry = self._entry(t)
        return None if entry is None else entry.shadow

    def _entry(self, t: Any) -> _Entry | None:
        entry = self._entries.get(id(t._array)) if isinstance(t, TensorBase) else None
        return entry if entry is not None and entry.array() is t._array else None

    def _keep(self, t: TensorBase, shadow: Any, shared: bool = False) -> None:
        """Let `t` stand for `shadow`."""
        entries, key = self._entries, id(t._array)

        def forget(gone: weakref.ref[Array]) -> None:
            entry = entries.get(key)
            if entry is not None and entry.array is gone:
                del entries[key]

        entries[key] = _Entry(weakref.ref(t._array, forget), weakref.ref(t), shadow, shared)

    def _share(self, t: TensorBase, entry: _Entry) -> None:
        """Others will look at the memory of `t`: its shadow must lie in memory as it does."""
        if entry.shared:
            return
        entry.shared = True
        array = entry.shadow._array
        if not _lies_as(array, t._array):
            order = (0, *[axis + 1 for axis in present_order(t._array)])
            copy = _copied(entry.shadow)
            held = empty_in_order(array.shape, array.dtype, order)
            held[...] = array
            move(copy, held)
            entry.shadow = copy

    def close(self) -> None:
        """It is over: representatives that somebody still holds stand for nothing, and say so when they are used."""
        for entry in list(self._entries.values()):
            t = entry.tensor()
            if t is not None and entry.array() is t._array:
                t.__class__ = _escaped(type(t))  # type: ignore[arg-type]
                del t._array
        self._entries.clear()

    # What is told

    def step(self, prim: Any, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> bool:
        """Do the same to the batches."""
        found = [self._entry(operand) for operand in operands]
        if not any(found):
            return False
        source = found[0] if out._view is not None else None
        if source is not None:
            self._share(operands[0], source)
        mapped = tuple([entry is not None for entry in found])
        whole = tuple([x if entry is None else entry.shadow for x, entry in zip(operands, found, strict=True)])
        shadow = batched(Batched(prim, whole, mapped, params, self.size, out._array))
        if source is not None:
            if not _same_memory(shadow, source.shadow):
                self._severed.add(storage_of(out).memory)
        elif any(entry is not None and _same_memory(shadow, entry.shadow) for entry in found):
            shadow = _copied(shadow)
        if self._entry(out) is not None:  # the very array of an operand
            out._array = out._array.view()
        self._keep(out, shadow, shared=source is not None)
        return True

    def alias(self, out: TensorBase, source: TensorBase) -> bool:
        """`out` looks at the same batch, without its history."""
        entry = self._entry(source)
        if entry is None:
            return False
        if out._storage is not source._storage:
            raise TapegradError(NO_DATA)
        self._share(source, entry)
        if out._array is source._array:
            out._array = out._array.view()
        self._keep(out, alias(entry.shadow), shared=True)
        return True

    def like(self, out: TensorBase, source: TensorBase) -> bool:
        """`out` may differ between examples as `source` does, once it is written to."""
        if self._entry(source) is None:
            return False
        self._keep(out, _copied(spread(out, self.size)))
        return True

    def frozen(self, out: TensorBase, source: TensorBase) -> bool:
        """A copy of the batch, before it is written to."""
        entry = self._entry(source)
        if entry is None:
            return False
        self._keep(out, frozen(entry.shadow))
        return True

    def moved(self, t: TensorBase, before: Array) -> bool:
        """The batch stays."""
        entry = self._entries.get(id(before))
        if entry is None or entry.array() is not before:
            return False
        self._keep(t, entry.shadow, entry.shared)
        return True

    def will_write(self, t: TensorBase) -> bool:
        """Raise what forbids to write to the batch."""
        entry = self._entry(t)
        if entry is None:
            return False
        if t._storage is not None and t._storage.memory in self._severed:
            raise UnsupportedError(
                "vmap: an in-place write to a tensor that is a view, or has views, of which batching made a copy: "
                "write to a clone() of it"
            )
        self._since = check_writable(entry.shadow)
        return True

    def will_take(self, t: TensorBase, out: TensorBase) -> bool:
        """Raise where one tensor for all examples would have to take a value for each."""
        if self._entry(t) is not None:
            return True
        if self._entry(out) is not None:
            raise TapegradError(INPLACE)
        return False

    def before_write(self, t: TensorBase) -> bool:
        """Those outside are told of the batch."""
        return self._entry(t) is not None

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> bool:  # noqa: ARG002  (the batch has its own)
        """Write to the batch."""
        entry = self._entry(t)
        if entry is None:
            return False
        new = self.shadow_of(out)
        write(entry.shadow, spread(out, self.size) if new is None else new, self._since)
        return True

    def reads_value(self, what: str, t: TensorBase | None = None) -> bool:
        """Raise: there is one value for each example."""
        if self._entry(t) is None:
            return False
        if what != "repr()":
            raise TapegradError(about_value(what))
        return True

    def changes_graph(self, what: str) -> None:
        """Raise: what is differentiated inside is for the transforms inside to say."""
        raise TapegradError(REFUSED[what])

    # What is asked

    def whole(self, t: TensorBase) -> TensorBase | None:
        """The whole batch."""
        shadow: TensorBase | None = self.shadow_of(t)
        return shadow

    def text(self, t: TensorBase) -> str | None:
        """The batch, as PyTorch shows it."""
        shadow = self.shadow_of(t)
        if shadow is None:
            return None
        return f"BatchedTensor(lvl={self.depth}, bdim=0, value=\n{textwrap.indent(repr(shadow), '    ')}\n)"

    def draw(self, make: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...]) -> Any:
        """Random numbers for each example, or the same for all."""
        if self.randomness == "error":
            raise TapegradError(NO_RANDOMNESS)
        if self.randomness == "same":
            return None
        from ..random import drawn

        shadow = state.now.outside(self, drawn, make, (self.size, *shape))
        return self.enter(shadow)

    def takes_function(self, function: Any, args: tuple[Any, ...]) -> bool:  # noqa: ARG002
        """It does if an argument is batched."""
        return any(self._entry(x) is not None for x in flatten(args)[0])

    def function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """The function by its own batching rule, or by one made for it."""
        from .function_vmap import apply_function

        return apply_function(self, function, args)


def _first_of(batch: Array) -> Array:
    """A copy of the first example, in memory as it lies in the batch (zeros, if there is none)."""
    if not batch.shape[0]:
        return np.zeros(batch.shape[1:], batch.dtype)
    first: Array = batch[0, ...]
    if first.flags.c_contiguous:
        return first.copy()
    reach = [(n - 1) * step for n, step in zip(first.shape, first.strides, strict=True)]
    before = -sum(step for step in reach if step < 0)
    room = np.empty(before + sum(step for step in reach if step > 0) + first.itemsize, np.uint8)
    out: Array = np.ndarray(first.shape, first.dtype, room, before, first.strides)
    out[...] = first
    return out


def _lies_as(batch: Array, example: Array) -> bool:
    """Whether each example of `batch` lies in memory as `example` does."""
    return batch.strides[1:] == example.strides or not example.size


def _same_memory(a: TensorBase, b: TensorBase) -> bool:
    return a is b or (a._storage is not None and b._storage is not None and a._storage.memory is b._storage.memory)


def _copied(x: Tensor) -> Tensor:
    return apply(cast, (x,), {"dtype": x._array.dtype})


class _Escaped:
    """Mixin of a representative that outlived its `vmap`: whatever asks for its value raises."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name == "_array":
            raise TapegradError(ESCAPED)
        raise AttributeError(f"'Tensor' object has no attribute {name!r}")


@functools.cache
def _escaped(kind: type[TensorBase]) -> type[TensorBase]:
    return type(kind.__name__, (_Escaped, kind), {"__slots__": (), "__module__": kind.__module__})
