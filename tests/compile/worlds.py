"""Worlds at random for a function to capture, changes to them at random, and what can be told of a world in words.

A `World` is a function and all that it can reach: containers, objects, classes, functions, modules, tensors. `digest`
says what is there in words that have nothing to do with how jit looks at it: two worlds with the same digest are alike
to any code.
"""

from __future__ import annotations

import abc
import collections
import collections.abc
import copy
import dataclasses
import enum
import functools
import random
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tapegrad as tg

__all__ = ["World", "digest"]


class Plain:
    pass


class Heir(Plain):
    shared = 1


class Slotted:
    __slots__ = ("one", "two")


class Listed(list[Any]):
    pass


class Keyed(dict[Any, Any]):
    pass


class Whole(int):
    pass


class Text(str):  # noqa: SLOT000  (attributes are the point)
    pass


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Record:
    x: Any
    y: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any


def _first(x: Any) -> Any:
    return x


def _second(x: Any) -> Any:
    return x * 2


_HOOKS: tuple[Callable[[Any], Any], ...] = (lambda g: g * 2, lambda g: g + 1)
_ATOMS = (
    None, True, False, 0, 1, 2, "a", "b", "", b"a", 1j, 0.0, -0.0, 1.0, 2.5, float("nan"), float("inf"),
    np.float64(1.5), np.int64(1), np.float32(2.0), range(3), slice(1, 2), Ellipsis,
    tg.float32, frozenset({1, "a"}), len, Plain, _first,
)  # fmt: skip
_NAMES = ("one", "two", "three")
_DEEPEST = 3


class World:
    """A function that can reach a random structure, and random changes of that."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._made: list[Any] = []
        namespace: dict[str, Any] = {"__name__": "world", "helper": types.ModuleType("helper"), "copy": copy}
        namespace["helper"].__file__ = "helper.py"
        exec(compile(_SOURCE, "world.py", "exec"), namespace)
        self.function = namespace["made"](self.value(), self.value(), self.value())
        self.namespace = namespace
        self.args = [self.value(), self.value()]
        for holder in (namespace, namespace["helper"].__dict__):
            for name in _NAMES:
                if rng.random() < 0.5:
                    holder[name] = self.value()

    def value(self, depth: int = 0) -> Any:
        """Something new, or something there already."""
        rng = self.rng
        if depth >= _DEEPEST or rng.random() < 0.3:
            return rng.choice(_ATOMS)
        if self._made and rng.random() < 0.2:
            return rng.choice(self._made)
        maker = rng.choice(_MAKERS)
        count = rng.choice((0, 0, 1, 1, 2))
        made = maker(self, [self.value(depth + 1) for _ in range(count)])
        self._made.append(made)
        return made

    def change(self) -> str:
        """Change one thing somewhere; what was done, for a report."""
        places = list(_places([self.function, self.namespace["helper"], self.args], set(), "f"))
        places += [("args", "list", self.args)]
        text, kind, holder = self.rng.choice(places)
        done = self.rng.choice(_CHANGES[kind])(self, holder)
        return f"{text}: {done}"

    def name(self) -> str:
        return self.rng.choice(_NAMES)

    def near(self, value: Any) -> Any:
        """What is easily taken for `value`; or something else."""
        rng = self.rng
        alike: list[Any] = [x for x in _ATOMS if _equal(x, value) and x is not value]
        if type(value) in (list, dict, collections.deque, set, np.ndarray):
            alike.append(copy.copy(value))
            self._made += alike[-1:]
        alike += [x for x in self._made if type(x) is type(value)]
        if type(value) is list:
            alike += [Listed(value), tuple(value)]
        if type(value) is dict:
            alike += [Keyed(value), collections.OrderedDict(value)]
        if type(value) is tuple and len(value) == 2:
            alike.append(Point(*value))
        if isinstance(value, Plain | Record | Slotted):
            alike.append(copy.copy(value))
            self._made += alike[-1:]
        if isinstance(value, float):
            alike += [value + 1.0, -value, np.float64(value)]
        return rng.choice(alike) if alike and rng.random() < 0.6 else self.value(_DEEPEST - 1)


_SOURCE = """
def made(first, second, third):
    def function(x, y, extra=third):
        return x, y, first, second, one, two, helper.one, helper.two, getattr(helper, "three", None)
    return function
"""


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except (RuntimeError, ValueError, TypeError):
        return False


# What there can be


def _object(kind: type) -> Callable[[World, list[Any]], Any]:
    def make(world: World, parts: list[Any]) -> Any:
        made = kind()
        for name, part in zip(_NAMES, parts, strict=False):
            setattr(made, name, part)
        return made

    return make


def _tensor(world: World, parts: list[Any]) -> tg.Tensor:
    rng = world.rng
    t = tg.ones(rng.randrange(1, 3), dtype=rng.choice((tg.float32, tg.float32, tg.float64, tg.int64)))
    if t.dtype.is_floating_point and rng.random() < 0.6:
        t.requires_grad_()
        if rng.random() < 0.4:
            t.grad = tg.ones_like(t)
        if rng.random() < 0.3:
            t.register_hook(rng.choice(_HOOKS))
    if parts and rng.random() < 0.3:
        t.note = parts[0]  # type: ignore[attr-defined]
    return t


def _function(world: World, parts: list[Any]) -> Any:
    namespace = {"__name__": "world", **dict(zip(_NAMES, parts, strict=False))}
    exec(compile(_INNER, "world.py", "exec"), namespace)
    first, *rest = [*parts, None]
    made = namespace["made"](first, *rest[:1])
    if parts and world.rng.random() < 0.3:
        made.note = parts[0]
    return made


_INNER = """
def made(first, second=None):
    def inner(x=first, *, y=second):
        return first, one, two
    return inner
"""


def _class(world: World, parts: list[Any]) -> type:
    bases = world.rng.choice(((), (Plain,), (Heir,)))
    return type("Made", bases, {"__module__": "world", **dict(zip(_NAMES, parts, strict=False))})


def _instance(world: World, parts: list[Any]) -> Any:
    return _object(_class(world, parts))(world, parts[:1])


def _mapping(kind: Callable[..., Any]) -> Callable[[World, list[Any]], Any]:
    def make(world: World, parts: list[Any]) -> Any:
        keys = [*_NAMES, 1, (1, "a"), 2.5]
        world.rng.shuffle(keys)
        return kind(zip(keys, parts, strict=False))

    return make


def _decorated(world: World, parts: list[Any]) -> type:
    inner = _function(world, parts)
    kinds = (staticmethod, classmethod, property, functools.cached_property, lambda f: f)
    return type("Made", (), {"__module__": "world", "one": world.rng.choice(kinds)(inner)})


def _abstract(world: World, parts: list[Any]) -> type:
    return abc.ABCMeta("Made", (), {"__module__": "world", **dict(zip(_NAMES, parts, strict=False))})


def _member(world: World, parts: list[Any]) -> Any:
    kind: Any = world.rng.choice((enum.Enum, enum.IntEnum))
    values = {"RED": 1, "BLUE": 2} if kind is enum.IntEnum else {"RED": (*parts, 1)[0], "BLUE": "blue"}
    return kind("Made", values, module="world").RED


def _array(world: World, parts: list[Any]) -> Any:
    return np.arange(len(parts) + 1.0, dtype=world.rng.choice(("f4", "f8", "i8")))


_MAKERS: tuple[Callable[[World, list[Any]], Any], ...] = (
    lambda w, p: p,
    lambda w, p: tuple(p),
    lambda w, p: Point(*[*p, None, None][:2]),
    lambda w, p: Listed(p),
    lambda w, p: collections.deque(p, maxlen=w.rng.choice((None, 5))),
    lambda w, p: {x for x in p if type(x) in (int, str, bool)},
    lambda w, p: Record(*[*p, None][:2]),
    lambda w, p: Frozen([*p, None][0]),
    lambda w, p: functools.partial(w.rng.choice((_first, _second)), *p),
    lambda w, p: types.SimpleNamespace(**dict(zip(_NAMES, p, strict=False))),
    lambda w, p: types.MethodType(_first, p),
    lambda w, p: collections.defaultdict(w.rng.choice((None, list, _first)), zip(_NAMES, p, strict=False)),
    _mapping(dict),
    _mapping(Keyed),
    _mapping(collections.OrderedDict),
    _object(Plain),
    _object(Heir),
    _object(Slotted),
    _tensor,
    _tensor,
    _function,
    _class,
    _instance,
    _decorated,
    _abstract,
    _member,
    lambda w, p: Text("a"),
    lambda w, p: Whole(1),
    lambda w, p: types.MappingProxyType(dict(zip(_NAMES, p, strict=False))),
    _array,
)


# Where it can change


def _places(roots: list[Any], seen: set[int], path: str) -> Iterator[tuple[str, str, Any]]:
    """What can be changed: where it is, what kind of holder, and the holder."""
    for x in roots:
        if id(x) in seen or (isinstance(x, type) and not x.__module__.endswith(("world", "worlds"))):
            continue
        seen.add(id(x))
        if isinstance(x, types.FunctionType) and x.__module__ != "world":
            continue  # those of this file belong to all worlds
        kind = next((kind for kind, known in _HOLDERS.items() if isinstance(x, known)), None)
        if kind is not None:
            yield path, kind, x
        if (
            kind != "object"
            and not isinstance(x, _UNCHANGED)
            and type(getattr(x, "__dict__", None)) is dict
            and not isinstance(x, types.ModuleType)
        ):
            yield path, "attributes", x
        for name, part in _parts(x):
            yield from _places([part], seen, f"{path}.{name}")


_HOLDERS: dict[str, Any] = {
    "tensor": tg.Tensor,
    "class": type,
    "function": types.FunctionType,
    "module": types.ModuleType,
    "slots": Slotted,
    "list": (list, collections.deque),
    "dict": dict,
    "set": set,
    "array": np.ndarray,
    "object": (Plain, Record, types.SimpleNamespace),
}


_UNCHANGED = (Frozen, types.MethodType, staticmethod, classmethod, functools.cached_property)
"""What has a `__dict__` that nobody writes to."""


def _parts(x: Any) -> Iterator[tuple[Any, Any]]:
    """What something holds, by name."""
    if isinstance(x, tg.Tensor):
        yield from (("grad", x._grad), ("hooks", _hooks(x)), *x.__dict__.items())
        return
    yield from _contents(x)
    if isinstance(x, type):
        yield from [(n, v) for n, v in vars(x).items() if n in _NAMES or n == "shared"]
        yield from [(base.__name__, base) for base in x.__bases__]
        return
    if isinstance(x, enum.Enum):
        yield from [(n, v) for n, v in x.__dict__.items() if n in (*_NAMES, "_value_")]
    elif isinstance(x, Slotted):
        yield from [(name, getattr(x, name)) for name in x.__slots__ if hasattr(x, name)]
    elif isinstance(x, types.ModuleType):
        yield from [(n, v) for n, v in vars(x).items() if n in _NAMES]
    elif not isinstance(x, staticmethod | classmethod | functools.cached_property):
        yield from dict(getattr(x, "__dict__", {})).items()
    yield "class", type(x)


def _contents(x: Any) -> Iterator[tuple[Any, Any]]:
    """What something holds besides attributes."""
    if isinstance(x, list | tuple | collections.deque):
        yield from enumerate(x)
    elif isinstance(x, dict | types.MappingProxyType):
        yield from enumerate(x)
        yield from x.items()
    elif isinstance(x, types.FunctionType):
        yield from [(i, cell.cell_contents) for i, cell in enumerate(x.__closure__ or ())]
        yield from (("defaults", x.__defaults__), ("keyword defaults", x.__kwdefaults__))
        yield from [(n, x.__globals__[n]) for n in x.__code__.co_names if n in x.__globals__]
    else:
        names = next((names for kind, names in _HELD if isinstance(x, kind)), ())
        yield from [(name, getattr(x, name)) for name in names]


_HELD: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (functools.partial, ("func", "args", "keywords")),
    (types.MethodType, ("__self__", "__func__")),
    ((staticmethod, classmethod), ("__func__",)),
    (property, ("fget",)),
    (functools.cached_property, ("func",)),
)


def _hooks(t: tg.Tensor) -> list[Any]:
    accumulator = t._accumulator
    if accumulator is None or accumulator.extras is None:
        return []
    return [hook for table in accumulator.extras.tensor.values() for hook in table.values()]


def _put(name: str) -> Callable[[World, Any], str]:
    """Set an attribute."""

    def change(world: World, holder: Any) -> str:
        at = world.name()
        old = vars(holder).get(at) if hasattr(holder, "__dict__") else getattr(holder, at, None)
        setattr(holder, at, new := world.near(old))
        return f"{name} {at} = {new!r}"

    return change


def _drop(world: World, holder: Any) -> str:
    """Delete an attribute."""
    at = world.name()
    if at in vars(holder):
        delattr(holder, at)
    return f"del {at}"


def _slot(world: World, holder: Any) -> str:
    at = world.rng.choice(holder.__slots__)
    if hasattr(holder, at) and world.rng.random() < 0.5:
        delattr(holder, at)
        return f"del {at}"
    setattr(holder, at, new := world.near(getattr(holder, at, None)))
    return f"{at} = {new!r}"


def _list(world: World, holder: Any) -> str:
    rng = world.rng
    if not holder or rng.random() < 0.3:
        holder.append(world.value(_DEEPEST - 1))
        return "append"
    at = rng.randrange(len(holder))
    if rng.random() < 0.3:
        del holder[at]
        return f"del [{at}]"
    if rng.random() < 0.2:
        holder.reverse()
        return "reverse"
    holder[at] = new = world.near(holder[at])
    return f"[{at}] = {new!r}"


def _dict(world: World, holder: Any) -> str:
    rng = world.rng
    at = rng.choice([*holder, *_NAMES])
    if at in holder and rng.random() < 0.3:
        del holder[at]
        return f"del [{at!r}]"
    if at in holder and rng.random() < 0.3:
        holder[at] = holder.pop(at)
        return f"[{at!r}] to the end"
    if rng.random() < 0.2 and isinstance(holder, collections.defaultdict):
        holder.default_factory = rng.choice((None, list, dict, _second))
        return "default_factory"
    holder[at] = new = world.near(holder.get(at))
    return f"[{at!r}] = {new!r}"


def _set(world: World, holder: set[Any]) -> str:
    part = world.rng.choice((0, 1, True, "a", "b"))
    if part in holder:
        holder.remove(part)
        if world.rng.random() < 0.5:
            holder.add(1 if part is True else part)
        return f"remove {part!r}"
    holder.add(part)
    return f"add {part!r}"


def _numbers(world: World, holder: Any) -> str:
    if holder.flags.writeable:
        holder[0] += 1
    return "[0] += 1"


def _defaults(world: World, holder: Any) -> str:
    if world.rng.random() < 0.5:
        new = world.near(holder.__defaults__ or ())
        holder.__defaults__ = new if isinstance(new, tuple) else None
        return "__defaults__"
    holder.__kwdefaults__ = world.rng.choice((None, {}, {"y": world.value(_DEEPEST - 1)}))
    return "__kwdefaults__"


def _cell(world: World, holder: Any) -> str:
    cells = holder.__closure__ or ()
    if not cells:
        return "nothing"
    cell = world.rng.choice(cells)
    if world.rng.random() < 0.2:
        del cell.cell_contents
        cell.cell_contents = world.value(1)
        return "a cell emptied and filled"
    cell.cell_contents = new = world.near(cell.cell_contents)
    return f"a cell = {new!r}"


def _global(world: World, holder: Any) -> str:
    names = [n for n in _NAMES if n in holder.__code__.co_names]
    at = world.rng.choice(names) if names else "unused"
    if at in holder.__globals__ and world.rng.random() < 0.3:
        del holder.__globals__[at]
        return f"del global {at}"
    holder.__globals__[at] = new = world.near(holder.__globals__.get(at))
    return f"global {at} = {new!r}"


def _code(world: World, holder: Any) -> str:
    if holder.__code__.co_freevars:
        return "nothing"
    holder.__code__ = world.rng.choice((_first, _second)).__code__
    return "__code__"


def _class_of(world: World, holder: Any) -> str:
    if type(holder) in (Plain, Heir):
        holder.__class__ = world.rng.choice((Plain, Heir))
    return f"__class__ = {type(holder).__name__}"


def _on_class(world: World, holder: type) -> str:
    if holder.__module__ != "world":
        return "nothing"
    if Plain in holder.__mro__ and world.rng.random() < 0.3:
        holder.__bases__ = (world.rng.choice((Plain, Heir)),)
        return "__bases__"
    if type(holder) is abc.ABCMeta and world.rng.random() < 0.3:
        holder.register(world.rng.choice((Plain, Listed, list)))
        return "register"
    if world.rng.random() < 0.3:
        return _drop(world, holder)
    return _put("class")(world, holder)


def _flag(world: World, t: Any) -> str:
    if t.dtype.is_floating_point:
        t.requires_grad_(not t.requires_grad)
    return f"requires_grad = {t.requires_grad}"


def _gradient(world: World, t: Any) -> str:
    t.grad = None if t.grad is not None or not t.dtype.is_floating_point else tg.ones_like(t)
    return f"grad = {t.grad}"


def _hook(world: World, t: Any) -> str:
    if not t.requires_grad:
        return "nothing"
    handle = t.register_hook(world.rng.choice(_HOOKS))
    if world.rng.random() < 0.3:
        handle.remove()
        return "a hook, and removed"
    return "a hook"


def _data(world: World, t: Any) -> str:
    if t.dtype.is_floating_point:
        t.data = tg.zeros(world.rng.randrange(1, 4), dtype=t.dtype)
    return f"data = zeros of {list(t.shape)}"


def _grow(world: World, t: Any) -> str:
    with tg.no_grad():
        t.mul_(2)
    return "mul_"


_ATTRIBUTES = (_put("attribute"), _put("attribute"), _drop)
_CHANGES: dict[str, tuple[Callable[[World, Any], str], ...]] = {
    "tensor": (_flag, _gradient, _hook, _data, _grow),
    "class": (_on_class,),
    "function": (_defaults, _cell, _cell, _global, _code),
    "module": _ATTRIBUTES,
    "slots": (_slot,),
    "list": (_list,),
    "dict": (_dict,),
    "set": (_set,),
    "array": (_numbers,),
    "object": (*_ATTRIBUTES, _class_of),
    "attributes": _ATTRIBUTES,
}


# What there is, in words


def digest(world: World) -> tuple[list[Any], list[str]]:
    """All that code could tell of what the function reaches, save the values of floats; and those, sorted."""
    words = _Words()
    words.say(world.function)
    words.say(tuple(world.args))
    return words.said, sorted(words.floats)


class _Words:
    def __init__(self) -> None:
        self.said: list[Any] = []
        self.floats: list[str] = []
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []

    def say(self, x: Any) -> None:
        kind = type(x)
        if kind in (float, np.float64):
            self.said.append(kind)
            self.floats.append(repr(float(x)))
        elif x is None or kind in (bool, int, str, bytes, complex, range, slice, type(...), tg.dtype):
            self.said.append((kind, repr(x)))
        elif isinstance(x, enum.Enum):
            if self._new(x):
                self.said.append(id(x))
                self._inside(x)
        elif kind in (Text, Whole):
            self.said.append((kind, repr(x)))
            if self._new(x):
                self._inside(x)
        elif isinstance(x, frozenset):
            self.said.append((kind, sorted([repr((type(part), part)) for part in x])))
        elif kind is np.ndarray or isinstance(x, np.generic):
            self._new(x)
            self.said.append((kind, x.shape, x.dtype, x.tobytes()))
        elif isinstance(x, types.BuiltinFunctionType) or _is_elsewhere(x):
            self.said.append(id(x))
        elif kind in (tuple, Point) or self._new(x):
            self._inside(x)

    def _new(self, x: Any) -> bool:
        """Say that something is there, and whether for the first time."""
        if id(x) in self._seen:
            self.said.append(("again", self._seen[id(x)]))
            return False
        self._seen[id(x)] = len(self._seen)
        self._kept.append(x)
        return True

    def _inside(self, x: Any) -> None:
        self.said.append(
            (
                type(x),
                len(x)
                if isinstance(x, collections.abc.Collection) and not isinstance(x, tg.Tensor | enum.EnumMeta)
                else None,
            )
        )
        if isinstance(x, tg.Tensor):
            self.said.append((tuple(x.shape), x.dtype, x.requires_grad, x.is_leaf))
        elif isinstance(x, set):
            self.said.append(sorted([repr((type(part), part)) for part in x]))
            return
        elif isinstance(x, type):
            self.said.append((id(x), [issubclass(y, x) for y in (Plain, Listed)]))
        elif isinstance(x, types.FunctionType):
            self.said.append(id(x.__code__))
        elif isinstance(x, collections.deque):
            self.say(x.maxlen)
        elif isinstance(x, collections.defaultdict):
            self.say(x.default_factory)
        for name, part in _parts(x):
            self.said.append(name if isinstance(name, str) else "part")
            self.say(part)


def _is_elsewhere(x: Any) -> bool:
    """Whether this is a class of a library's."""
    return isinstance(x, type) and not x.__module__.endswith(("world", "worlds"))
