"""The signature of a call: what it can reach, and the key of the programs that may fit."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype, get_default_dtype
from ..environment import Place, Reachable, reach, reachable
from ..errors import InPlaceError, UnsupportedError
from ..random import default_generator
from ..tape import TensorBase, base_of, history, state
from ..tape.hooks import retains_grad

__all__ = ["Meta", "Signature", "memory_of", "meta_of", "modes", "sharing", "signature_of"]


class Meta(NamedTuple):
    """What a program depends on of a tensor besides its value: strides too, which decide what is a view.

    `strides` is None for contiguous memory, `kind` the name of the node that computed it, None for a leaf. `place` is
    where in its memory it is, and what it is a view of, where that matters: among tensors that share memory; `retains`
    says whether, though no leaf, it keeps its gradient.
    """

    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...] | None
    requires_grad: bool
    kind: str | None
    place: Any = None
    retains: bool = False


class Signature(NamedTuple):
    """A call, taken apart.

    `found` is all that it can reach, `tensors` the tensors among that, `metas` what is known of each; `key` is equal
    for calls that one program may serve.
    """

    found: Reachable
    tensors: list[TensorBase]
    metas: list[Meta]
    shared: tuple[tuple[int, ...], ...]
    key: Hashable
    names: Sequence[str]
    keywords: Sequence[str]

    def argument(self, name: str) -> int | str:
        """Where the argument called `name` is: a position, or a keyword."""
        return name if name in self.keywords else self.names.index(name)

    @property
    def labels(self) -> list[str]:
        """What to call each of the tensors."""
        return [self.found.text(number) for number in self.found.tensors]


def modes() -> tuple[bool, dtype]:
    """Grad mode and default dtype, which a function could leave changed."""
    return state.grad_enabled, get_default_dtype()


def signature_of(
    function: Callable[..., Any],
    args: Any,
    kwargs: Any,
    *,
    followed: bool = True,
    ints: Collection[str] = (),
    lists: Collection[str] = (),
    places: bool = False,
) -> Signature:
    """Everything a call can read, and the key of the specialisations it may use.

    `followed` says whether floats are inputs, not part of the key; `ints` say where ints are that are, too, `lists`
    where lists are that are only appended to; with `places`, it matters of all views where they are.
    Raises UnsupportedError for what cannot be watched for changes.
    """
    found = reachable(followed, ints, lists)
    names = _parameter_names(function, len(args))
    try:
        for name, arg in (*zip(names, args, strict=True), *kwargs.items()):
            found.visit(arg, name)
        reach(function, found)
    except RecursionError:
        raise UnsupportedError(
            f"jit: what {found.text(_root(found))} holds is nested too deeply to be watched, as a long linked list is: "
            "keep the parts in a list"
        ) from None
    found.visit(default_generator._state, "default_generator", "root")
    if found.ambiguous:
        return signature_of(function, args, kwargs, followed=followed, ints=ints, places=places)
    if found.rigid and followed:
        return signature_of(function, args, kwargs, followed=False, places=places)
    tensors = [found.objects[number] for number in found.tensors]
    metas = [meta_of(t) for t in tensors]
    shared = sharing(tensors)
    for i in {i for group in shared for i in group} | {
        i for i, t in enumerate(tensors) if places and t._view is not None
    }:
        metas[i] = metas[i]._replace(place=_place_of(tensors[i]))
    counters: dict[int, int] = {}
    for i in [i for group in shared for i in group]:  # aliases by `.data` count their writes apart
        number = counters.setdefault(id(tensors[i]._storage), len(counters))
        metas[i] = metas[i]._replace(place=(*metas[i].place, number))
    key = (len(args), tuple(kwargs), tuple(found.key), tuple(metas), shared, state.now.inference, *modes())
    return Signature(found, tensors, metas, shared, key, names, tuple(kwargs))


def _root(found: Reachable) -> Place:
    """Where that was found first from which the last object was found."""
    place = found.places[-1]
    while place.parent >= 0 and found.places[place.parent].how != "function":
        place = found.places[place.parent]
    return place


def meta_of(t: TensorBase) -> Meta:
    """What is known of a tensor, without fetching a value that is on a device."""
    if t._view is not None:
        with contextlib.suppress(InPlaceError):  # a view that autograd cannot follow: using it raises
            history(t)
    kind = None if t._node is None else t._node.kind
    if t._device is not None:
        shape, dtype = t._device.shape, t._device.dtype
        strides = None if t._order is None else _strides(shape, dtype.itemsize, t._order)
        return Meta(shape, dtype, strides, t._requires_grad, kind, None, retains_grad(t))
    array = t._array
    strides = None if array.flags.c_contiguous else array.strides
    return Meta(array.shape, array.dtype, strides, t._requires_grad, kind, None, retains_grad(t))


def _strides(shape: tuple[int, ...], itemsize: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in bytes, of memory without gaps that has the axes in this order, the slowest first."""
    strides = [0] * len(shape)
    for axis in reversed(order):
        strides[axis] = itemsize
        itemsize *= shape[axis]
    return tuple(strides)


def _place_of(t: TensorBase) -> tuple[Any, ...]:
    """Where in its memory a tensor is, in bytes from its beginning, and what the tensor is that it is a view of."""
    array = owner = t._array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    base = base_of(t)
    return offset, array.strides, owner.shape, None if base is None else meta_of(base)


def sharing(tensors: Sequence[TensorBase]) -> tuple[tuple[int, ...], ...]:
    """Which tensors share memory with others: their positions, a group per memory."""
    on: dict[Any, list[int]] = {}
    for i, t in enumerate(tensors):
        if t._storage is not None:
            on.setdefault(memory_of(t), []).append(i)
    return tuple([tuple(group) for group in on.values() if len(group) > 1])


def memory_of(t: TensorBase) -> Any:
    """What stands for the memory of a tensor that has a storage: memory that NumPy arrays share from outside is known
    by the array that owns it.
    """
    assert t._storage is not None
    memory = t._storage.memory
    if not memory.exported:
        return memory
    array = t._array
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array if array.base is None else array.base)


def _parameter_names(function: Callable[..., Any], count: int) -> Sequence[str]:
    """The names of the first `count` positional parameters, for reports."""
    code = getattr(function, "__code__", None)
    bound = isinstance(function, types.MethodType)
    names = () if code is None else code.co_varnames[bound : min(count + bound, code.co_argcount)]
    return [*names, *[f"args[{i}]" for i in range(len(names), count)]]
