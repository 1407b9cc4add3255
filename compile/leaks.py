"""Tensors of a recording that something still holds which jit cannot see: a compiled call would leave them stale."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

from ..tape import TensorBase

__all__ = ["Made"]


class Made:
    """The tensors that a recording made, known weakly."""

    def __init__(self, tensors: Sequence[TensorBase]) -> None:
        self._made = [weakref.ref(t) for t in tensors]

    def leaked(self, kept: Sequence[TensorBase]) -> TensorBase | None:
        """One of them that is alive for another reason than that the tensors `kept` are, or their graphs."""
        allowed = {id(t) for t in kept} | {id(t._view.base) for t in kept if t._view is not None}
        for t in kept:
            allowed |= _saved_by(t)
        found = self._alive(allowed)
        if found:
            del found
            gc.collect()
            found = self._alive(allowed)
        return found[0] if found else None

    def _alive(self, allowed: set[int]) -> list[TensorBase]:
        alive = [t for reference in self._made if (t := reference()) is not None]
        return [t for t in alive if id(t) not in allowed]


def _saved_by(t: TensorBase) -> set[int]:
    """The ids of the tensors that the graph of `t` keeps alive."""
    found: set[int] = set()
    stack: list[Any] = [t._node] if t._node is not None else []
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.extend(node.edges)
        held: list[Any] = [node]
        while held:
            for x in gc.get_referents(held.pop()):
                if isinstance(x, TensorBase):
                    found.add(id(x))
                elif isinstance(x, tuple | list | dict):
                    held.append(x)
    return found
