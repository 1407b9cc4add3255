"""Nested containers: taken apart into leaves and a structure, and put together again.

Lists, tuples, named tuples, dicts, dataclass instances and instances of registered classes are containers; all else
is a leaf. Where JAX is in use, so are the classes registered with it (`follow`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = ["Structure", "containers", "flatten", "follow", "register_pytree_node", "registered", "unflatten"]


@dataclasses.dataclass(frozen=True, slots=True)
class Structure:
    """How a container is built: its type, keys or field names, and the structures of its parts. `kind` None: a leaf.

    Of an instance of a registered class, `keys` holds one thing: what is static about it.
    """

    kind: type | None
    keys: tuple[Any, ...]
    parts: tuple[Structure, ...]


LEAF = Structure(None, (), ())

Flatten = Callable[[Any], tuple[Sequence[Any], Any]]
Unflatten = Callable[[Any, Sequence[Any]], Any]

_registered: dict[type, tuple[Flatten, Unflatten]] = {}
_others: list[Callable[[Any], tuple[Sequence[Any], Any] | None]] = []
_LEAVES = frozenset({bool, int, float, complex, str, bytes, type(None)})


def register_pytree_node(cls: type, flatten: Flatten, unflatten: Unflatten) -> None:
    """Let instances of `cls` (not of its subclasses) be containers in arguments and results.

    `flatten(instance)` returns its parts, which may be containers, and what is static about it, which must be hashable
    and comparable; `unflatten(static, parts)` makes an instance again, without looking at the parts. Raises ValueError
    for a class that is registered already, or is a container as it is.
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_pytree_node: expected a class, got {type(cls).__name__}")
    if cls in _registered or cls in (list, tuple, dict) or cls in _LEAVES:
        raise ValueError(f"register_pytree_node: {cls.__name__} is registered already")
    _registered[cls] = flatten, unflatten


def registered(cls: type) -> tuple[Flatten, Unflatten] | None:
    """How instances of `cls` are taken apart and made again, if it is registered."""
    return _registered.get(cls)


def follow(other: Callable[[Any], tuple[Sequence[Any], Any] | None]) -> None:
    """Ask `other`, too, what is a container: it returns parts and a static `s` with `s.unflatten(parts)`, or None."""
    _others.append(other)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree` in order, and its structure (hashable if the dict keys are, as they always are)."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves.append)


def _flatten(tree: Any, emit: Callable[[Any], None]) -> Structure:
    kind = type(tree)
    if kind in _registered:
        parts, static = _registered[kind][0](tree)
        return Structure(kind, (static,), tuple([_flatten(part, emit) for part in parts]))
    if kind is list or kind is tuple or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        return Structure(kind, (), tuple([_flatten(part, emit) for part in tree]))
    if isinstance(tree, dict):
        return Structure(kind, tuple(tree), tuple([_flatten(part, emit) for part in tree.values()]))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = tuple(field.name for field in dataclasses.fields(tree))
        return Structure(kind, names, tuple([_flatten(getattr(tree, name), emit) for name in names]))
    if kind not in _LEAVES:
        for other in _others:
            found = other(tree)
            if found is not None:
                return Structure(kind, (found[1],), tuple([_flatten(part, emit) for part in found[0]]))
    emit(tree)
    return LEAF


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The container of `structure` with `leaves` in order: the inverse of `flatten`."""
    remaining = iter(leaves)
    return _unflatten(structure, remaining.__next__)


def _unflatten(structure: Structure, take: Callable[[], Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return take()
    parts = [_unflatten(part, take) for part in structure.parts]
    if kind is list:
        return parts
    if kind in _registered:
        return _registered[kind][1](structure.keys[0], parts)
    if issubclass(kind, tuple):
        return kind(parts) if kind is tuple else kind(*parts)
    if issubclass(kind, dict):
        mapping = kind()
        mapping.update(zip(structure.keys, parts, strict=True))
        return mapping
    if not dataclasses.is_dataclass(kind):
        return structure.keys[0].unflatten(parts)
    rebuilt: Any = object.__new__(kind)  # as it was, without __init__ and __post_init__
    for name, part in zip(structure.keys, parts, strict=True):
        object.__setattr__(rebuilt, name, part)
    return rebuilt


def containers(tree: Any) -> Iterator[Any]:
    """The containers in `tree`, itself included."""
    if _flatten(tree, [].append).kind is not None:
        yield tree
        for part in _parts(tree):
            yield from containers(part)


def _parts(tree: Any) -> Iterable[Any]:
    """What is directly in a container."""
    if type(tree) in _registered:
        return _registered[type(tree)][0](tree)[0]
    if isinstance(tree, dict):
        return tree.values()
    if isinstance(tree, list | tuple):
        return tree
    if dataclasses.is_dataclass(tree):
        return [getattr(tree, field.name) for field in dataclasses.fields(tree)]
    return next(found[0] for other in _others if (found := other(tree)) is not None)
