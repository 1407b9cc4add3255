"""The signature of a call: the tensors it can read, and the key of the program it needs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from ..dtypes import dtype, get_default_dtype
from ..environment import Reachable, reach, text
from ..tape import TensorBase, history, state

__all__ = ["Signature", "modes", "sharing", "signature_of"]


class Signature(NamedTuple):
    """A call, taken apart: what it can read, and what must match for a program to fit.

    `tensors` are those found (`own`), then their gradients; `paths` says where the former were found, `owners` whose
    the latter are; `static` is the part of the key that is no tensor's; `objects` the ids of all that was looked into.
    """

    tensors: list[TensorBase]
    paths: list[Any]
    owners: list[int]
    key: Hashable
    own: list[TensorBase]
    static: Hashable
    objects: dict[int, int]

    @property
    def labels(self) -> list[str]:
        """What to call each of the tensors."""
        names = [text(path) for path in self.paths]
        return [*names, *[f"{names[i]}.grad" for i in self.owners]]


def modes() -> tuple[bool, dtype]:
    """Grad mode and default dtype, which a function could leave changed."""
    return state.grad_enabled, get_default_dtype()


def signature_of(function: Callable[..., Any], args: Any, kwargs: Any) -> Signature:
    """Everything a call can read, and the key of the specialisation it needs."""
    found = Reachable()
    for name, arg in zip(_parameter_names(function, len(args)), args, strict=True):
        found.visit(arg, name)
    for name, arg in kwargs.items():
        found.visit(arg, name)
    reach(function, found)
    own = found.tensors
    tensors, owners = list(own), []
    numbers = {id(t): i for i, t in enumerate(own)}
    grads: list[int | None] = []
    for i, t in enumerate(own):
        g = t._grad
        if g is not None and id(g) not in numbers:
            numbers[id(g)] = len(tensors)
            tensors.append(g)
            owners.append(i)
        grads.append(None if g is None else numbers[id(g)])
    static = (len(args), tuple(kwargs), tuple(found.key))
    key = (static, _metadata(tensors), sharing(tensors), tuple(grads), *modes())
    return Signature(tensors, found.paths, owners, key, own, static, found.seen)


def _metadata(tensors: Sequence[TensorBase]) -> tuple[Any, ...]:
    """What a program depends on of tensors besides their values: strides too, which decide what is a view."""
    found: list[Any] = []
    for t in tensors:
        if t._view is not None:
            history(t)
        if t._device is not None:  # its value is not fetched for this
            found += (t._device.shape, t._device.dtype, None)
        else:
            array = t._array
            found += (array.shape, array.dtype, None if array.flags.c_contiguous else array.strides)
        found += (t._requires_grad, None if t._node is None else t._node.kind)
    return tuple(found)


def sharing(tensors: Sequence[TensorBase]) -> tuple[tuple[int, ...], ...]:
    """Which tensors share memory with others: their positions, a group per memory."""
    on: dict[Any, list[int]] = {}
    for i, t in enumerate(tensors):
        storage = t._storage
        if storage is not None:
            memory = storage if storage.origin is None else storage.origin
            on.setdefault(_owner(t) if memory.exported else memory, []).append(i)
    return tuple([tuple(group) for group in on.values() if len(group) > 1])


def _owner(t: TensorBase) -> int:
    """What stands for memory that NumPy arrays share from outside: the array that owns it."""
    return id(t._array if t._array.base is None else t._array.base)


def _parameter_names(function: Callable[..., Any], count: int) -> Sequence[str]:
    """The names of the first `count` positional parameters, for reports."""
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: min(count, code.co_argcount)]
    return names if len(names) == count else [*names, *[f"args[{i}]" for i in range(len(names), count)]]
