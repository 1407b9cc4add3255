"""The way to everything that a call can reach, as lines of Python, with a check of each thing on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..environment import Check, Place, slots_of
from ..environment.handlers import cached
from ..environment.objects import called, given_names, public_names, registered_with, slot_descriptors
from ..environment.outside import process
from ..environment.reachable import is_value, slot_of
from ..environment.values import array_of, builtin_of, number_of, plain_of, set_of
from ..tape import RemovableHandle
from ..tree import registered
from .writer import Writer

if TYPE_CHECKING:
    from .specialisation import Specialisation

__all__ = ["NoPath", "Paths"]


class NoPath(Exception):  # noqa: N818  (a signal)
    """Something is found on a way that cannot be written as an expression."""


class Paths(Writer):
    """Writes the way to everything, with a check of each thing on the way."""

    def __init__(self, spec: Specialisation, roots: dict[str, Any], names: dict[str, Any]) -> None:
        super().__init__(spec, names)
        self.found = spec.signature.found
        self.roots = roots
        self._dicts: set[int] = set()
        self._given: list[str] = []  # the tensors that are not known by their buffers
        self._types: dict[int, Any] = {}  # of what has been checked to be of that very type
        self._fixed = {check.place for check in self.found.checks if check.kind == "is"}
        self._position = {number: i for i, number in enumerate(self.found.tensors)}

    def write(self) -> None:
        """All checks, in the order in which things were found: what is at a place is found before what it holds."""
        self._surroundings()
        begun = 0
        for check in self.found.checks:
            number = check.place if isinstance(check.place, int) else check.place.parent
            while begun <= number:
                self._reach(begun)
                begun += 1
            self.check(check)
        self._apart()

    def _surroundings(self) -> None:
        """The checks of what no object holds: modes, and the form of the call."""
        enabled, default = self.spec.modes
        inference, signature = self.spec.inference, self.spec.signature
        self.line("now = state.now")
        self.line(f"if now.grad_enabled is not {enabled} or now.inference is not {inference}: return MISS")
        self.line(f"if len(now.watchers) != {int(inference)}: return MISS")
        self.line(f"if default_dtype() is not {self.constant(default)}: return MISS")
        given = f"[*kwargs] != {self.constant([*signature.keywords])}" if signature.keywords else "kwargs"
        self.line(f"if len(args) != {len(signature.names)} or {given}: return MISS")
        self.line("if leaves_with_extras[0] != E[0]: return MISS")
        self.line("seen = set()")

    def _apart(self) -> None:
        """The checks that objects which look alike are still several: what is put into one would be in all.

        Tensors are checked to be, as are objects that hold different ones at the same place. A tuple is a value.
        """
        looks: dict[int, set[Any]] = {n: set() for n, x in enumerate(self.found.objects) if not is_value(x)}
        slots: dict[int, set[Any]] = {number: set() for number in looks}  # where objects are that are found there first
        for kind, place, expected in self.found.checks:
            if isinstance(place, Place):
                look = (place[1:], None) if kind == "again" else (place[1:], kind, expected)
                looks.get(place.parent, set()).add(look)
            elif kind in ("is", "tensor"):
                looks.pop(place, None)
            else:
                looks.get(place, set()).add((kind, expected))
        for number in slots:
            parent, *slot = self.found.places[number]
            if parent in slots and slot[0] != "class":  # which is looked at with the first of its objects only
                slots[parent].add(tuple(slot))
                looks.get(parent, set()).add((tuple(slot), None))
        alike: dict[Any, list[int]] = {}
        for number, parts in looks.items():
            alike.setdefault(frozenset(parts), []).append(number)
        for numbers in alike.values():
            if len(numbers) > 1 and not set.intersection(*[slots[number] for number in numbers]):
                self.line(f"if len({{{', '.join([f'id(v{n})' for n in numbers])}}}) != {len(numbers)}: return MISS")

    def _reach(self, number: int) -> None:
        """A line for the object of a number; none for the class of what was checked to be of that."""
        place = self.found.places[number]
        if place.how == "class" and place.parent in self._types:
            self.names[f"v{number}"] = self._types[place.parent]
        else:
            self.line(f"v{number} = {self.access(place)}")

    def access(self, place: Place) -> str:
        """The expression for what is at a place."""
        parent, how, name = place
        p = f"v{parent}"
        if how == "argument":
            position = self.spec.signature.argument(name)
            return f"kwargs[{position!r}]" if isinstance(position, str) else f"args[{position}]"
        if how in ("function", "root"):
            return self.constant(self.roots[how])
        if how in ("[", "under"):
            return self._item(parent, f"v{name}" if how == "under" else self.literal(name))
        if how in (".", "variable"):
            return f"{self._dict(parent)}[{name!r}]"
        if how == "key":
            if name == 0:
                self.line(f"y{parent} = [*{self._iterated(parent, p)}]")
            return f"y{parent}[{name}]"
        if how == "slot":
            return self._slot(parent, name)
        if how == "cell":
            return f"{p}.__closure__[{name[0]}].cell_contents"
        if how not in _WAYS:
            raise NoPath
        return _WAYS[how].format(p=p, name=name)

    def _item(self, number: int, name: str) -> str:
        """The expression for an item of a container, by the method of Python's own."""
        container = self.found.objects[number]
        own = builtin_of(container).__getitem__
        if type(container).__getitem__ in (own, dict.__getitem__):
            return f"v{number}[{name}]"
        return f"{self.constant(own)}(v{number}, {name})"

    def _slot(self, number: int, name: str) -> str:
        """The expression for what a slot holds, whatever else its class has under that name."""
        kind: Any = type(self.found.objects[number])
        if slot_of(kind, name) is not None:
            return f"v{number}.{name}"
        descriptor = next(x for x, called in slot_descriptors(kind).items() if called == name)
        return f"{self.constant(descriptor.__get__)}(v{number})"

    def _iterated(self, number: int, text: str) -> str:
        """The expression for what iterates over a container, by the method of Python's own."""
        container = self.found.objects[number]
        own = builtin_of(container).__iter__
        return text if type(container).__iter__ is own else f"{self.constant(own)}({text})"

    def _dict(self, number: int) -> str:
        if number not in self._dicts:
            self._dicts.add(number)
            self.line(f"a{number} = v{number}.__dict__")
        return f"a{number}"

    def check(self, check: Check) -> None:
        """One check."""
        kind, place, expected = check
        if isinstance(place, int):
            where = f"v{place}"
            if kind == "tensor":
                self._tensor(place)
                return
            if kind == "is" and f"v{place}" in self.names:
                return
            if kind == "strangers":
                ids = "".join([f"id(v{n}), " for n in range(place + 1) if n not in self._fixed])
                self.line(f"if not {self.constant(expected)}.isdisjoint(({ids})): return MISS")
                return
        elif kind == "missing":
            self.line(f"if {place.name!r} in v{place.parent}.__globals__: return MISS")
            return
        elif kind == "unimported":
            self.line(f"if modules.get({place.name!r}) is not None: return MISS")
            return
        else:
            where = "x"
            self.line(f"x = {self.access(place)}")
        test = self._test(kind, where, expected)
        if kind in _ASKED and place not in self._types:
            of = type(self.found.objects[place]) if where != "x" else expected[0]
            test = f"type({where}) is not {self.constant(of)} or {test}"
        if isinstance(place, int) and kind in _TELLING:
            self._types[place] = type(self.found.objects[place])
        if test:
            self.line(f"if {test}: return MISS")
        if kind == "float":
            self.line(f"f{self.spec.place_of_float(place)} = x")

    def _test(self, kind: str, x: str, expected: Any) -> str:
        """The condition under which a check fails."""
        if kind == "value":
            if expected is None or expected is True or expected is False:
                return f"{x} is not {expected}"
            literal = self.constant(expected)
            return f"{x} is not {literal} and (type({x}) is not {self.constant(type(expected))} or {x} != {literal})"
        if kind == "again":
            return f"{x} is not v{expected}"
        if kind in ("is", "type", "code", "float"):
            what = {"is": x, "code": f"{x}.__code__"}.get(kind, f"type({x})")
            return f"{what} is not {self.constant(expected.code if kind == 'code' else expected)}"
        if kind in ("length", "names"):
            return self._size(kind, x, *expected)
        if kind == "class":
            names = [*self.found.objects[int(x[1:])].__dict__]
            return f"[*{x}.__dict__] != {self.constant(names)} and class_names({x}) != {self.constant(expected)}"
        if kind == "absent":
            return f"not {x}.__dict__.keys().isdisjoint({self.constant(expected)})"
        if kind == "attributes" and not expected:
            return f"{x}.__dict__"
        if kind == "attributes":
            return f"[*{self._dict(int(x[1:]))}] != {self.constant([*expected])}"
        if kind == "process":
            return f"{self.constant(process)}({expected[0]!r}) != {self.constant(expected[1])}"
        if kind not in _ASKED:
            raise NoPath
        return f"{self.constant(_ASKED[kind])}({x}) != {self.constant(expected)}"

    def _size(self, kind: str, x: str, of: Any, expected: Any) -> str:
        """The condition under which a container is of another type, or has another length, or other names."""
        number = int(x[1:])
        if kind == "names":
            rest = f"[*{self._iterated(number, x)}] != {self.constant([*expected])}"
        elif type(self.found.objects[number]).__len__ is builtin_of(self.found.objects[number]).__len__:
            rest = f"len({x}) != {expected}"
        else:
            rest = f"{self.constant(builtin_of(self.found.objects[number]).__len__)}({x}) != {expected}"
        return f"type({x}) is not {self.constant(of)} or {rest if expected or 'k' in rest else x}"

    def _tensor(self, number: int) -> None:
        """A tensor on the device is known by its buffer; any other is looked at."""
        i = self._position[number]
        spec, v = self.spec, f"v{number}"
        if self.found.places[number].how == "root" and i not in spec.reading:
            return  # tapegrad's own, and always as it is
        meta = spec.signature.metas[i]
        known = self.constant(meta)
        flags = f"{v}._requires_grad is not {meta.requires_grad} or {v}._node is not None"
        if i not in spec.used and meta.kind is None and self.found.places[number].name == "_grad":
            # its shape and dtype are those of the tensor that it is the gradient of, and who else has it is no matter
            self.line(f"if {v}._view is not None or type({v}) is not part_class and {v}._device is None:")
            self.line(f"if fit({v}, {known}, set(), (), False, False) is MISS: return MISS", 3)
            self.line(f"elif {flags}: return MISS")
            return
        if i in spec.anchored:
            self.line(f"b{i} = B[{i}]")
            self.line(f"if {v}._device is not b{i} or b{i} is None:")
            self.line(f"if B.knows({v}, ({''.join([f'{other}, ' for other in self._given])})): return MISS", 3)
            self.line(f"b{i} = fit({v}, {known}, seen, (), {i in spec.reading}, True)", 3)
            self.line(f"if b{i} is MISS: return MISS", 3)
            self.line(f"B.anchor({i}, {v})", 3)
            self.line(f"elif {flags}: return MISS")
            return
        self.line(f"b{i} = {v}._device")
        self.line(f"if b{i} is None or {meta.kind is not None or meta.strides is not None}:")
        self.line(f"b{i} = fit({v}, {known}, seen, A, {i in spec.reading}, id({v}) == L.get({i}))", 3)
        self.line(f"if b{i} is MISS: return MISS", 3)
        self.line(f"L[{i}] = id({v})", 3)
        shape, dtype = self.constant(meta.shape), self.constant(meta.dtype)
        self.line("elif (")
        self.line(f"{flags} or {v}._view is not None", 3)
        self.line(f"or b{i}.shape != {shape} or b{i}.dtype != {dtype} or id({v}) in A or {v}._order is not None", 3)
        self.line("): return MISS")
        for other in self._given:
            self.line(f"if {v} is {other}: return MISS")
        self._given.append(v)


_TELLING = ("is", "type", "length", "names")
"""The kinds of checks after which the type of an object is known."""
_WAYS = {
    "builtin": "vars(builtins)[{name!r}]",
    "global": "{p}.__globals__[{name!r}]",
    "module": "modules[{name!r}]",
    "attribute": "{p}.{name}",
    "self": "{p}.__self__",
    "class": "type({p})",
    "base": "{p}.__mro__[{name[0]}]",
    "hooks": "hooks_of({p})",
    "parts": "tuple(registered(type({p}))[0]({p})[0])",
}


def _static(x: Any) -> Any:
    """What is static about an object of a registered class."""
    entry = registered(type(x))
    return type(x), None if entry is None else entry[0](x)[1]


_ASKED: dict[str, Callable[[Any], Any]] = {
    "repr": lambda x: (type(x), repr(x)),
    "number": number_of,
    "plain": plain_of,
    "equal": lambda x: x,
    "array": array_of,
    "set": set_of,
    "level": logging.Logger.getEffectiveLevel,
    "builtin": lambda x: (type(x), x.__name__),
    "slots": lambda x: (type(x), slots_of(x)),
    "given": given_names,
    "static": _static,
    "public": public_names,
    "hooked": RemovableHandle.is_registered,
    "registered": registered_with,
    "called": called,
    "cached": cached,
}
