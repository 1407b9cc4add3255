"""Inputs of a recording that share memory: which tensor shows all of it, and how to put it back as it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..storage import Storage
from .variable import TensorBase, View, chain_of, storage_of, wrap

__all__ = ["Undo", "owner_of", "place_of", "whole_of"]

_Array = np.ndarray[Any, Any]


class Undo:
    """What is needed to put the inputs back to what they were.

    `memory` lists, per piece of memory that was written to, tensors on it with copies of their values and their
    versions before; `attributes`, per tensor whose attributes were changed, what they were.
    """

    ATTRIBUTES = ("_array", "_device", "_storage", "_view", "_node", "_index", "_requires_grad", "_accumulator")

    def __init__(self) -> None:
        self.memory: list[tuple[TensorBase, _Array, int]] = []
        self.attributes: list[tuple[TensorBase, dict[str, Any]]] = []

    def keep(self, t: TensorBase) -> _Array:
        """`t` will be written to: a copy of its value."""
        copy = t._array.copy()
        self.memory.append((t, copy, storage_of(t).version))
        return copy

    def keep_attributes(self, t: TensorBase) -> None:
        """Other things of `t` than its values will change."""
        self.attributes.append((t, {name: getattr(t, name) for name in self.ATTRIBUTES}))

    def restore(self) -> None:
        """Put all back."""
        for t, attributes in reversed(self.attributes):
            for name, value in attributes.items():
                setattr(t, name, value)
        for t, array, version in self.memory:
            np.copyto(t._array, array)
            storage_of(t).version = version


def whole_of(t: TensorBase) -> TensorBase | None:
    """A tensor that shows all of the memory of `t`, as its view chain begins; None if there can be none."""
    owner = t._array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if not chain_of(t) or not owner.flags.writeable:
        return None
    try:
        seen = owner
        for prim, params in chain_of(t):
            seen = prim.forward(seen, **params)
    except (ValueError, IndexError):
        return None
    if place_of(seen) != place_of(t._array):
        return None
    whole = wrap(owner)
    whole._storage = Storage(storage_of(t).memory)
    whole._view = View((), None)
    return whole


def place_of(a: _Array) -> tuple[Any, ...]:
    """Which elements of memory an array shows, and as what."""
    return a.__array_interface__["data"], a.shape, a.strides, a.dtype


def owner_of(a: _Array) -> Any:
    """The object that the memory of `a` belongs to."""
    owner: Any = a
    while (inner := getattr(owner, "base", None)) is not None:
        owner = inner
    return owner
