"""Copies of tensors by Python's own means: `copy.copy`, `copy.deepcopy`, `pickle`."""

from __future__ import annotations

import copy
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from .dtypes import dtype, from_numpy_dtype
from .errors import TapegradError
from .memory import Memory, Window, base_of, located
from .ops.creation import clone
from .ops.support import reads_value
from .tape import alias, history, state

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["copied", "deep_copied", "reduced", "warn_of_hooks"]

_MEMO = "tapegrad.memory"  # where the memo of a deepcopy, which is keyed by id, keeps the memories it has copied

_memories: weakref.WeakValueDictionary[int, Memory] = weakref.WeakValueDictionary()
"""The memories that a pickle in the making refers to, by the id of their owner."""


def copied(t: Tensor) -> Tensor:
    """A leaf on the same memory, with a version of its own: what `copy.copy` gives.

    It requires grad as `t` does, has the very attributes of `t`, and no gradient.
    """
    warn_of_hooks(t)
    return _dressed(t.data, t, dict(t.__dict__))


def deep_copied(t: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A leaf on a copy of the memory of `t`, with copies of its gradient and attributes: what `copy.deepcopy` gives.

    The whole memory is copied, once per `memo`, so that tensors which share it go on sharing it. Hooks stay behind.
    Raises RuntimeError unless `t` is a leaf.
    """
    if id(t) in memo:
        found: Tensor = memo[id(t)]
        return found
    if not t.is_leaf:
        raise TapegradError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
        )
    out = memo[id(t)] = _dressed(_copied_memory(t, memo.setdefault(_MEMO, {})), t)
    if t.grad is not None:
        out.grad = deep_copied(t.grad, memo)
    out.__dict__.update(copy.deepcopy(t.__dict__, memo))
    return out


def _copied_memory(t: Tensor, memories: dict[int, Any]) -> Tensor:
    """`t` on a copy of its memory, which `memories` has if it was copied already."""
    owner, row, window = located(t._array)
    memory = memories.get(id(owner))
    recorder = state.now.recorder
    if recorder is not None:
        if memory is not None:
            raise recorder.unsupported("deepcopy() of tensors that share memory")
        memories[id(owner)] = owner
        return clone(alias(t))
    if memory is None:
        memory = memories[id(owner)] = Memory(row.copy(), base_of(owner, window), owner)
    return memory.open(window)


def reduced(t: Tensor) -> tuple[Any, ...]:
    """What `pickle` keeps of `t`: its memory and the window it shows of it, whether it requires grad, its attributes.

    A non-leaf is pickled as its value, and comes back as a leaf. Tensors that share memory share it again if one
    pickle has them all. It is the whole memory that is pickled, also for a small view of it: `clone()` the view to
    pickle less.
    """
    reads_value("pickle", t)
    warn_of_hooks(t)
    owner, row, window = located(t._array)
    memory = _memories.get(id(owner))
    if memory is None:
        memory = _memories[id(owner)] = Memory(row, base_of(owner, window), owner)
    description = from_numpy_dtype(window.dtype), window.shape, window.strides, window.offset
    arguments = type(t), memory, *description, t.requires_grad
    return (_restored, arguments, t.__dict__) if t.__dict__ else (_restored, arguments)


def warn_of_hooks(t: Tensor) -> None:
    """Warn that the hooks on `t`, if there are any, stay where they are."""
    node = history(t) or t._accumulator
    if node is not None and node.extras is not None:
        for hook in node.extras.tensor.get(t._index, {}).values():
            warnings.warn(f"backward hook {hook!r} on tensor will not be serialized.", UserWarning, stacklevel=4)


def _restored(
    kind: type[Tensor],
    memory: Memory,
    d: dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    requires_grad: bool,
) -> Tensor:
    """The tensor that `reduced` described."""
    out: Tensor = memory.open(Window(d.numpy, shape, strides, offset))
    out.__class__ = kind
    return out.requires_grad_(requires_grad)


def _dressed(out: Tensor, t: Tensor, attributes: dict[str, Any] | None = None) -> Tensor:
    """The leaf `out` with the class of `t`, its `requires_grad`, and the attributes."""
    out.__class__ = type(t)
    out.requires_grad_(t.requires_grad)
    out.__dict__.update(attributes or {})
    return out
