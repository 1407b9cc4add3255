"""Tensors of a recording that something still holds which jit cannot see: a compiled call would leave them stale."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Sequence
from typing import Any

from ..tape import Node, TensorBase, View
from ..tape.hooks import Extras
from ..tape.saved import Packed
from ..utils.checkpoint import KEEPING

__all__ = ["Made"]


class Made:
    """The tensors that a recording made, known weakly."""

    def __init__(self, references: Sequence[weakref.ref[TensorBase]]) -> None:
        self._made = references

    def leaked(self, kept: Sequence[TensorBase]) -> TensorBase | None:
        """One of them that is alive for another reason than that the tensors `kept` are, or their graphs."""
        allowed = _kept_by(kept)
        found = self._alive(allowed)
        if found:
            del found
            gc.collect()
            found = self._alive(allowed)
        return found[0] if found else None

    def _alive(self, allowed: set[int]) -> list[TensorBase]:
        alive = [t for reference in self._made if (t := reference()) is not None]
        return [t for t in alive if id(t) not in allowed]


def _kept_by(tensors: Sequence[TensorBase]) -> set[int]:
    """The ids of the tensors that these keep alive, themselves included: by their graphs, as bases, as gradients."""
    found: set[int] = set()
    seen: set[int] = set()
    stack: list[Any] = list(tensors)
    passed: dict[type, bool] = {}
    while stack:
        held = stack.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, TensorBase):
            found.add(id(held))
        for part in _of_function(held) if type(held) is types.FunctionType else gc.get_referents(held):
            kind = type(part)
            if kind not in passed:
                passed[kind] = issubclass(kind, _PASSED)
            if passed[kind]:
                stack.append(part)
    return found


def _of_function(function: types.FunctionType) -> list[Any]:
    """What a function keeps alive that matters: what it closes over, and its defaults."""
    return [function.__closure__, function.__defaults__, function.__kwdefaults__]


_PASSED = (
    TensorBase, Node, View, Extras, Packed, types.FunctionType, types.MethodType, types.CellType, tuple, list, dict,
    *KEEPING,
)  # fmt: skip
