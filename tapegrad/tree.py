"""Nested containers: taken apart into leaves and a structure, and put together again.

Lists, tuples, named tuples, dicts and dataclass instances are containers; all else is a leaf.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Structure", "containers", "flatten", "unflatten"]


@dataclasses.dataclass(frozen=True, slots=True)
class Structure:
    """How a container is built: its type, keys or field names, and the structures of its parts. `kind` None: a leaf."""

    kind: type | None
    keys: tuple[Any, ...]
    parts: tuple[Structure, ...]


LEAF = Structure(None, (), ())


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree` in order, and its structure (hashable if the dict keys are, as they always are)."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves.append)


def _flatten(tree: Any, emit: Callable[[Any], None]) -> Structure:
    kind = type(tree)
    if kind is list or kind is tuple or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        return Structure(kind, (), tuple([_flatten(part, emit) for part in tree]))
    if isinstance(tree, dict):
        return Structure(kind, tuple(tree), tuple([_flatten(part, emit) for part in tree.values()]))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = tuple(field.name for field in dataclasses.fields(tree))
        return Structure(kind, names, tuple([_flatten(getattr(tree, name), emit) for name in names]))
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
    if issubclass(kind, tuple):
        return kind(parts) if kind is tuple else kind(*parts)
    if issubclass(kind, dict):
        mapping = kind()
        mapping.update(zip(structure.keys, parts, strict=True))
        return mapping
    rebuilt: Any = object.__new__(kind)  # as it was, without __init__ and __post_init__
    for name, part in zip(structure.keys, parts, strict=True):
        object.__setattr__(rebuilt, name, part)
    return rebuilt


def containers(tree: Any) -> Iterator[Any]:
    """The containers in `tree`, itself included."""
    if _flatten(tree, [].append).kind is not None:
        yield tree
        parts = tree.values() if isinstance(tree, dict) else tree
        if dataclasses.is_dataclass(tree):
            parts = [getattr(tree, field.name) for field in dataclasses.fields(tree)]
        for part in parts:
            yield from containers(part)
