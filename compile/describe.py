"""How a compiled call makes what the function returned and what it put into containers: as lines of Python.

The lines speak of `v3` (an object that the call can reach, by its number), `o1` (an output of the program), `n2` (a
number computed on the host), `r0` (a tensor made from an output), `m4` (a new container) and `c5` (a constant).
"""

from __future__ import annotations

import enum
import functools
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..dtypes import dtype
from ..environment import Reachable
from ..environment.objects import filled_slots
from ..environment.values import attributes_of
from ..tape import RemovableHandle, TensorBase, Var, alias, base_of, chain_of
from ..tape.hooks import retains_grad
from ..tape.number import Number, plain
from ..tape.variable import Chain, Creation, View, order_of
from ..tree import registered
from .containers import base_of_container, members, method, pairs, refill, tuple_of
from .heap import MISSING, Change, refused, replace
from .remaking import CONSTANT, maker, plain_part, taken_apart
from .runtime import counting_apart, unfollowed

if TYPE_CHECKING:
    from .eager_run import EagerRun

__all__ = ["Describer", "Description"]

_CONSTANT = (
    bool, int, float, complex, str, bytes, type(None), np.generic, enum.Enum, dtype, np.dtype, range, type(...),
    type, types.ModuleType, types.BuiltinFunctionType, types.MemberDescriptorType, type(NotImplemented), *CONSTANT,
)  # fmt: skip


class Fresh(NamedTuple):
    """The line that makes a new tensor of an output: laid out, on the host, in an order of its axes, if not in C's."""

    made: str
    output: int
    order: tuple[int, ...] | None = None


class _Constant(NamedTuple):
    """Something that is not looked into."""

    value: Any


@dataclass
class Description:
    """The lines that note what there is before, build the result, bring about the effects (the same ones if they are
    run again) and put out what is shown, in order, and what they mention.

    `outputs` are the Vars of `o0`, `o1`...; `numbers` the positions of the notes mentioned; `constants` the values of
    `c0`, `c1`...; `result` is the expression of the result; `changed` says in words what is changed. `replaced` has, by
    the positions of gradients that are given up for new ones, the outputs of those; `gradients` are the outputs of all
    new gradients; `retained` keep theirs; `parting` are lines that write to memory which captured tensors then leave;
    `seen` are views with a history, each with the name of its node, `views` lines that make others views of what has a
    history by then; `rewired` says whether a captured tensor gets another history, or none.
    """

    outputs: list[Var] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    eager: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    before: list[str] = field(default_factory=list)
    build: list[str | Fresh] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    grown: list[tuple[str, TensorBase, int]] = field(default_factory=list)
    replaced: dict[int, int] = field(default_factory=dict)
    gradients: list[int] = field(default_factory=list)
    retained: list[str] = field(default_factory=list)
    parting: list[str] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    rewired: bool = False
    result: str = "None"

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        self.constants.append(value)
        return f"c{len(self.constants) - 1}"

    def tensor(self, position: int, found: Reachable) -> str:
        """The name of the tensor at a position among those captured."""
        return f"v{found.tensors[position]}" if position < len(found.tensors) else f"w{position}"

    def output(self, var: Var, name: str, eager: Any) -> str:
        """The name of one more output of the program, called `name` in reports, which came to `eager`."""
        self.outputs.append(var)
        self.eager.append(eager)
        self.names.append(name)
        return f"o{len(self.outputs) - 1}"

    def fresh(self, made: str, var: Var, name: str, eager: Any) -> None:
        """One more output, and a new tensor that has its value."""
        self.output(var, name, eager)
        self.build.append(Fresh(made, len(self.outputs) - 1, order_of(eager)))


class Describer:
    """Describes values found after an eager run."""

    def __init__(self, run: EagerRun, shared: Mapping[Any, TensorBase | None]) -> None:
        """`shared` is memory that several new tensors look at, with the one that shows all of it, if one does."""
        self.run = run
        self.shared = shared
        self.used: Counter[Any] = Counter()  # how many new tensors look at each piece of memory
        self.found = run.signature.found
        self.text = Description()
        self._names: dict[int, str] = {}
        self._keep: list[Any] = []  # what `_names` knows by id
        self._memory: dict[Any, str] = {}
        self._counters: dict[Any, str] = {}  # what stands for the Storages by which writes are counted
        for i, t in enumerate(run.recorder.captures):
            self._counters.setdefault(t._storage, f"{self.text.tensor(i, self.found)}._storage")
        self._homes: set[int] = set()
        self.replaced = run.recorder.replaced
        self.tensors: list[TensorBase] = []  # those described as new

    def result(self, value: Any) -> None:
        """Describe what the function returned."""
        self.text.result = self.value(value, "result")

    def knows(self, value: Any) -> bool:
        """Whether `value` was described as something new."""
        return id(value) in self._names

    def change(self, change: Change) -> None:
        """Describe what was changed in a holder."""
        number, kind, before, after = change
        where = self.found.text(number)
        what = refused(change, self.found)
        if what is not None:
            raise self.run.recorder.unsupported(f"a change, by the function, to {what} {where}{_INSTEAD.get(kind, '')}")
        if kind in ("list", "set"):
            self._contents(number, before, after, where)
        elif isinstance(before, dict):
            self._entries(number, kind, before, after, where)
        else:
            for i, (old, new) in enumerate(zip(before, after, strict=True)):
                if old is not new:
                    self._put(number, kind, i, new, self.found.objects[number].__code__.co_freevars[i])

    def _contents(self, number: int, before: list[Any], after: list[Any], where: str) -> None:
        """Effects on a list, a deque or a set."""
        n, value, v = len(before), self.found.objects[number], f"v{number}"
        grown = isinstance(value, list) and len(after) > n and all(map(_is, before, after[:n]))
        parts = ", ".join([self.value(x, f"{where}[...]") for x in (after[n:] if grown else after)])
        if grown and type(value) is list:
            self.text.before.append(f"size{number} = len(v{number})")
            self.text.effects.append(f"del v{number}[size{number}:]")
            self.text.effects.append(f"{v}.extend([{parts}])")
        elif grown:
            self.text.before.append(f"size{number} = {self._method(value, '__len__')}({v})")
            self.text.effects.append(f"{self._method(value, '__setitem__')}({v}, slice(size{number}, None), [{parts}])")
        else:
            self.text.effects.append(f"{self.text.constant(refill)}({v}, [{parts}])")
        self.text.changed.append(where)

    def _method(self, value: Any, name: str) -> str:
        """What to call a method of a container by: the built-in one."""
        return self.text.constant(method(value, name))

    def _item(self, value: Any, made: str, key: Any, part: str) -> str:
        """The line that puts `part` under a key into `value`, a dict called `made`."""
        key = self._key(key)
        if type(value).__setitem__ is method(value, "__setitem__"):
            return f"{made}[{key}] = {part}"
        return f"{self._method(value, '__setitem__')}({made}, {key}, {part})"

    def _entries(self, number: int, kind: str, before: dict[Any, Any], after: dict[Any, Any], where: str) -> None:
        """Effects on a dict, or on what is like one."""
        kept = [name for name in before if name in after]
        if kind in ("items", "attributes") and kept != [*after][: len(kept)]:  # the order changed
            holder = f"v{number}" + (".__dict__" if kind == "attributes" else "")
            items = [f"({self._key(name)}, {self.value(x, f'{where}[...]')})" for name, x in after.items()]
            self.text.effects.append(f"{self.text.constant(refill)}({holder}, [{', '.join(items)}])")
            self.text.changed.append(where)
            return
        for name in before:
            if name not in after:
                self._put(number, kind, name, MISSING, name)
        for name, value in after.items():
            if name not in before or before[name] is not value:
                self._put(number, kind, name, value, name)

    def _put(self, number: int, kind: str, name: Any, value: Any, label: Any) -> None:
        """The effect of putting `value` at `name` of a holder."""
        where = self.found.text(number)
        if isinstance(label, TensorBase):
            label = "..."
        elif kind == "slots":
            label = label.__name__
        where = {"items": f"{where}[{label!r}]", "globals": label, "cells": label}.get(kind, f"{where}.{label}")
        new = self.text.constant(MISSING) if value is MISSING else self.value(value, where)
        if kind in ("items", "attributes") and value is not MISSING:
            value, v = self.found.objects[number], f"v{number}"
            value, v = (value, v) if kind == "items" else (attributes_of(value), f"{v}.__dict__")
            self.text.effects.append(self._item(value, v, name, new))
        else:
            put = self.text.constant(replace)
            self.text.effects.append(f"{put}({kind!r}, v{number}, {self._key(name)}, {new})")
        self.text.changed.append(str(where))

    def _key(self, name: Any) -> str:
        return repr(name) if type(name) in (str, int, bool, type(None)) else self.value(name, "a key")

    def value(self, value: Any, name: str) -> str:
        """An expression for `value`, called `name` in reports."""
        if type(value) is Number:
            self.text.numbers.add(value._position)
            return f"n{value._position}"
        known = self._names.get(id(value))
        if known is not None:
            return known
        number = self.run.number_of(value)
        if number is not None:
            return f"v{number}"
        kind = type(value)
        if kind in (int, bool, str, type(None)):
            return repr(value)
        if isinstance(value, TensorBase):
            return self._tensor(value, name)
        if kind is _Constant:
            return self.text.constant(value.value)
        if isinstance(value, tuple):
            return self._tuple(value, name)
        if kind is slice:
            parts = [self.value(x, name) for x in (value.start, value.stop, value.step)]
            return self._named(value, f"slice({', '.join(parts)})")
        if isinstance(value, np.ndarray) and kind is np.ndarray and not value.dtype.hasobject:
            return f"{self.text.constant(value.copy())}.copy()"
        return self._unchanging(value, name) or self._container(value, name)

    def _unchanging(self, value: Any, name: str) -> str | None:
        """An expression for what is complete once it is made: for a constant, unless it could be given attributes."""
        apart = taken_apart(value)
        if apart is not None:
            make, args = apart
            opaque = make is types.MethodType and self.run.number_of(args[0]) is None and not _is_free_function(args[0])
            return None if opaque else self._complete(value, make, args, name)
        part = plain_part(value)
        if part is not None:
            return self._complete(value, type(part).__new__, (type(value), part), name)
        if isinstance(value, frozenset):
            parts = [*map(plain, value)]  # numbers in it were asked for their hashes, and so are guarded
            if not all(isinstance(x, _CONSTANT) for x in parts):
                return self._complete(value, frozenset, (parts,), name)
            return self.text.constant(frozenset(parts))
        if isinstance(value, _CONSTANT) or _is_free_function(value):
            return self.text.constant(value)
        return None

    def _complete(
        self, value: Any, make: Callable[..., Any], args: Sequence[Any], name: str, *, attributes: bool = True
    ) -> str:
        """Something that is complete once it is made, as `make(*args)`, but for attributes. That may have made it
        already, where what it is made of holds it.
        """
        parts = ", ".join([self.value(x, name) for x in args])
        known = self._names.get(id(value))
        if known is None:
            known = self._named(value, f"{self.text.constant(make)}({parts})")
            if attributes:
                self._object_parts(value, known, name)
        return known

    def _tuple(self, value: Any, name: str) -> str:
        """A tuple, made once what it holds is: by then that may have made it, as it holds it."""
        parts = "".join([f"{self.value(x, f'{name}[{i}]')}, " for i, x in enumerate(tuple.__iter__(value))])
        known = self._names.get(id(value))
        if known is not None:
            return known
        if type(value) is tuple:
            return self._named(value, f"({parts})")
        made = self._named(value, f"{self.text.constant(functools.partial(tuple_of, type(value)))}(({parts}))")
        self._object_parts(value, made, name)
        return made

    def _named(self, value: Any, expression: str) -> str:
        """The name of something new that cannot change, which is found again by it."""
        made = f"m{len(self._names)}"
        self._names[id(value)] = made
        self._keep.append(value)
        self.text.build.append(f"{made} = {expression}")
        return made

    def _container(self, value: Any, name: str) -> str:
        """A new container: made empty, then filled, so that it may hold itself."""
        kind = type(value)
        if kind is RemovableHandle:
            raise self.run.recorder.unsupported("keeping or returning the handle of a hook: remove() it inside")
        entry = registered(kind)
        make = maker(value) if entry is None else None
        if entry is None and make is None:
            raise self.run.recorder.unsupported(
                f"a new {kind.__module__}.{kind.__qualname__} ({name}) made by a jitted function and kept or returned: "
                "return tensors, numbers, and containers or objects that hold them"
            )
        if entry is not None:
            return self._registered(value, *entry, name)
        made = self._named(value, f"{self.text.constant(make)}()")
        self._fill(value, made, name)
        self._object_parts(value, made, name)
        return made

    def _registered(self, value: Any, flatten: Any, unflatten: Any, name: str) -> str:
        """An instance of a registered class: made of its parts."""
        children, static = flatten(value)
        return self._complete(value, unflatten, (_Constant(static), tuple(children)), name, attributes=False)

    def _fill(self, value: Any, made: str, name: str) -> None:
        """What a new container holds."""
        text, base = self.text, base_of_container(value)
        if isinstance(value, defaultdict):
            text.build.append(f"{made}.default_factory = {self.value(value.default_factory, name)}")
        if isinstance(value, dict):
            for key, part in pairs(value):
                text.build.append(self._item(value, made, key, self.value(part, f"{name}[{_shown(key)}]")))
        elif base is not None:
            parts = ", ".join([self.value(part, f"{name}[{i}]") for i, part in enumerate(members(value))])
            fill = "update" if base is set else "extend"
            is_own = getattr(type(value), fill) is getattr(base, fill)
            text.build.append(
                f"{made}.{fill}([{parts}])" if is_own else f"{self._method(value, fill)}({made}, [{parts}])"
            )

    def _object_parts(self, value: Any, made: str, name: str) -> None:
        """What an object keeps in attributes and slots."""
        held = attributes_of(value)
        if held is not None and (self.run.number_of(held) is not None or id(held) in self._names):
            shared = self.value(held, f"{name}.__dict__")  # others have it, too
            self.text.build.append(f"{made}.__dict__ = {shared}")
        elif held is not None:
            self._names[id(held)] = f"{made}.__dict__"
            self._keep.append(held)
            for key, part in pairs(held):
                self.text.build.append(self._item(held, f"{made}.__dict__", key, self.value(part, f"{name}.{key}")))
        for descriptor, part in filled_slots(value).items():
            put = self.text.constant(descriptor.__set__)
            self.text.build.append(f"{put}({made}, {self.value(part, f'{name}.{descriptor.__name__}')})")

    def _tensor(self, t: TensorBase, name: str) -> str:
        """A new tensor: an output of the program, or a view of one or of an input."""
        text = self.text
        made = f"r{len(self._names)}"
        self._names[id(t)] = made
        self.tensors.append(t)
        source = self._source(t, name)
        followed = False
        if source is not None:
            whole, chain, followed = source
            kind = t._node.kind if followed and t._node is not None else None
            text.build.append(f"{made} = look({whole}, {text.constant(chain)}, {followed}, {kind!r})")
            if not followed:
                self._count_apart(t, made, whole)
            if kind is not None:
                text.seen.append((made, kind))
        if source is None:
            text.fresh(made, self.run.recorder.read(t), name, t._array)
            if t._storage is not None and t._storage.version:
                text.build.append(f"{made}._storage = versioned({t._storage.version})")
        elif t._node is not None and not followed:
            text.output(self.run.recorder.read(t), name, t._array)
        if t._node is not None and not followed:
            text.grown.append((made, t, len(text.outputs) - 1))
        self._tensor_parts(t, made, name)
        return made

    def _tensor_parts(self, t: TensorBase, made: str, name: str) -> None:
        """What a new tensor is besides its value and its history."""
        text = self.text
        if retains_grad(t):
            text.retained.append(made)
        if t._requires_grad and t._node is None:
            text.build.append(f"{made}._requires_grad = True")
        if t._grad is not None:
            text.build.append(f"{made}._grad = {self.value(t._grad, f'{name}.grad')}")
        for key, part in t.__dict__.items():
            text.build.append(f"{made}.__dict__[{key!r}] = {self.value(part, f'{name}.{key}')}")
        if t._view is not None and t._view.base is not None:
            self._unfollowed(t._view, t._view.base, made, name)

    def _source(self, t: TensorBase, name: str) -> tuple[str, Chain, bool] | None:
        """What a new tensor looks at, how, and whether with its history, if it shares memory with an input or with
        another new tensor.
        """
        recorder, text = self.run.recorder, self.text
        if t._storage is None:
            return None
        if (picked := recorder.picked_of(t)) is not None:
            self.used[picked] += 1
            if picked in self.shared or any(x._storage and x._storage.memory is picked for x in recorder.captures):
                recorder.become_view(t)
        base = base_of(t)
        position = None if base is None else recorder.position(base)
        if base is not None and position is not None and recorder.share(base, t):
            return text.tensor(position, self.found), chain_of(t)[len(chain_of(base)) :], True
        root, chain = recorder.place(t)
        if isinstance(root, int):
            return self._home(root), chain, False
        memory = t._storage.memory
        self.used[memory] += 1
        whole = self.shared.get(memory)
        if memory not in self.shared or whole is t:
            return None
        if whole is not None:
            made = self.value(whole, name)
            self._counters.setdefault(whole._storage, f"{made}._storage")
            return made, chain, base_of(t) is whole
        if memory not in self._memory:
            made = self._memory[memory] = f"q{len(self._memory)}"
            text.fresh(made, root, "shared memory", _whole(t, root))
            text.build.append(f"{made}._storage = versioned({memory.version})")
            self._counters.setdefault(memory, f"{made}._storage")
        return self._memory[memory], chain, False

    def _home(self, position: int) -> str:
        """The name of what looks at the memory of a captured tensor, or at what that was before its `.data` changed."""
        name, text = self.text.tensor(position, self.found), self.text
        if position not in self.replaced:
            return name
        if position not in self._homes:
            self._homes.add(position)
            text.before.append(f"home{position} = {text.constant(alias)}({name})")
        return f"home{position}"

    def moved(self, position: int) -> str | None:
        """What a captured tensor whose `.data` was assigned now looks at, None if no other tensor looks at that."""
        t, label = self.run.recorder.captures[position], self.run.label(position)
        source = self._source(t, f"{label}.data")
        if source is None:
            return None
        return f"look({source[0]}, {self.text.constant(source[1])}, False, None)"

    def _count_apart(self, t: TensorBase, made: str, whole: str) -> None:
        """Let `made`, an alias of `whole`, count writes as `t` does: with others, or apart."""
        storage = t._storage
        assert storage is not None
        known = self._counters.get(storage)
        if known is None and storage.origin is not None:
            apart = self.text.constant(counting_apart)
            self.text.build.append(f"{made}._storage = {apart}({made}, {storage.version})")
            self._counters[storage] = f"{made}._storage"
        elif known != f"{whole}._storage":
            self.text.build.append(f"{made}._storage = {known or f'{whole}._storage.memory'}")

    def _unfollowed(self, view: View, base: TensorBase, made: str, name: str) -> None:
        """Let `made` be a view of its base as `view` is, if that was made where autograd does not follow writes.

        A new base that nobody else sees is there for that only if requiring grad is all that the view has of it.
        """
        position, text = self.run.recorder.position(base), self.text
        apart = view.creation in (Creation.NO_GRAD, Creation.INFERENCE)
        if view.creation is Creation.NORMAL or (position is None and apart and not base._requires_grad):
            return
        if position is None and not apart and id(base) not in self._names:
            return
        of = self.value(base, f"the base of {name}") if position is None else text.tensor(position, self.found)
        given = view.number, view.base_node is base._node
        text.views.append(f"{text.constant(unfollowed)}({made}, {of}, {text.constant(view.creation)}, *{given})")

    def known(self) -> list[tuple[str, TensorBase]]:
        """The tensors that can be seen from outside, with what lines of code call them."""
        captured = [(self.text.tensor(i, self.found), t) for i, t in enumerate(self.run.recorder.captures)]
        return captured + [(self._names[id(t)], t) for t in self.tensors]

    def sharing(self) -> dict[Any, TensorBase | None]:
        """The memory that several of the new tensors look at, with the one that shows all of it, if one does."""
        found: dict[Any, TensorBase | None] = {memory: None for memory, count in self.used.items() if count > 1}
        counters: dict[Any, set[Any]] = {}
        for t in self.tensors:
            if t._storage is not None:
                counters.setdefault(t._storage.memory, set()).add(t._storage)
        for t in self.tensors:
            memory = None if t._storage is None else t._storage.memory
            if memory not in found:
                continue
            for whole in (base_of(t), t):
                known = found[memory]
                better = known is None or (known._node is None and whole is not None and whole._node is not None)
                if whole is None or (whole._storage is not memory and len(counters[memory]) > 1):
                    continue  # the counter of `.data` does not stand for others
                if better and not self.run.recorder.describe(whole)[1]:
                    found[memory] = whole
        return found


def _shown(key: Any) -> str:
    return repr(key) if type(key) in (str, int, bool) else "..."


def _whole(t: TensorBase, root: Var) -> Any:
    """All of the memory of `t`, whose value is `root`, as an array."""
    array = t._array
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.reshape(root.shape)


def _is(a: Any, b: Any) -> bool:
    return a is b


def _is_free_function(value: Any) -> bool:
    """Whether a function holds nothing that could change: it closes over nothing, and has no defaults."""
    return isinstance(value, types.FunctionType) and not (
        value.__closure__ or value.__defaults__ or value.__kwdefaults__
    )


_INSTEAD = {"array": ": use a tensor", "defaults": ": use a tensor", "function": ": call another function instead"}
