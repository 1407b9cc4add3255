"""The signature of a call: the tensors it can read, and the key of the program it needs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from ..dtypes import dtype, get_default_dtype
from ..environment import Reachable, reach
from ..tape import TensorBase, history, state
from .device import aval

__all__ = ["Signature", "modes", "sharing", "signature_of"]


class Signature(NamedTuple):
    """A call, taken apart: what it can read, and what must match for a program to fit.

    `tensors` are those found (`own`), then their gradients; `labels` says where each was found; `static` is the part of
    the key that is no tensor's; `objects` are the ids of all that was looked into.
    """

    tensors: list[TensorBase]
    labels: list[str]
    key: Hashable
    own: list[TensorBase]
    static: Hashable
    objects: dict[int, int]


def modes() -> tuple[bool, dtype]:
    """Grad mode and default dtype, which a function could leave changed."""
    return state.grad_enabled, get_default_dtype()


def signature_of(function: Callable[..., Any], args: Any, kwargs: Any) -> Signature:
    """Everything a call can read, and the key of the specialisation it needs."""
    found = Reachable()
    names = _parameter_names(function, len(args))
    for name, arg in (*zip(names, args, strict=True), *kwargs.items()):
        found.visit(arg, name)
    reach(function, found)
    own = list(found.tensors)
    tensors, labels = list(own), list(found.paths)
    numbers = {id(t): i for i, t in enumerate(tensors)}
    grads: list[int | None] = []
    for t, label in zip(own, found.paths, strict=True):
        g = t._grad
        if g is not None and id(g) not in numbers:
            numbers[id(g)] = len(tensors)
            tensors.append(g)
            labels.append(f"{label}.grad")
        grads.append(None if g is None else numbers[id(g)])
    metas = tuple([_meta(t) for t in tensors])
    static = (len(args), tuple(kwargs), tuple(found.key))
    key = (static, metas, sharing(tensors), tuple(grads), *modes())
    return Signature(tensors, labels, key, own, static, found.seen)


def _meta(t: TensorBase) -> tuple[Any, ...]:
    """What a program depends on of a tensor besides its value: strides too, which decide what is a view."""
    node = history(t)
    return (*aval(t), t._requires_grad, None if node is None else node.kind)


def sharing(tensors: Sequence[TensorBase]) -> tuple[tuple[int, ...], ...]:
    """Which tensors share memory with others: their positions, a group per memory."""
    on: dict[Any, list[int]] = {}
    for i, t in enumerate(tensors):
        if t._storage is not None:
            on.setdefault(_memory(t), []).append(i)
    return tuple([tuple(group) for group in on.values() if len(group) > 1])


def _memory(t: TensorBase) -> Any:
    """What stands for the memory of `t`: the array that owns it, where NumPy arrays share it from outside."""
    assert t._storage is not None
    memory = t._storage.memory
    if not memory.exported:
        return memory
    return id(t._array if t._array.base is None else t._array.base)


def _parameter_names(function: Callable[..., Any], count: int) -> Sequence[str]:
    """The names of the first `count` positional parameters, for reports."""
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: min(count, code.co_argcount)]
    return names if len(names) == count else [*names, *[f"args[{i}]" for i in range(len(names), count)]]
