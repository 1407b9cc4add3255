"""Storage: one piece of memory, shared by a tensor and its views, with the count of writes to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import CodeType

__all__ = ["UNCOUNTED", "Storage", "overlapping"]

UNCOUNTED = -1


class Storage:
    """The memory that a tensor and everything aliasing it (views, `detach()`) have in common.

    `version` counts in-place writes that autograd knows of; a saved tensor remembers the version it was saved at. It is
    `UNCOUNTED` for memory made in inference mode. `writer` is the code that wrote last, and where in it (set by then).
    `exported` is set once a NumPy array sharing the memory left the library, so that the memory must stay where it is.
    `.data` looks at the same memory but counts its writes apart: its Storage names the first one in `origin`, which
    counts them as `unseen` (unset: none).
    A tensor that was never aliased, written to or saved as an output has no Storage yet; that reads as version 0.
    """

    __slots__ = ("__weakref__", "exported", "origin", "unseen", "version", "writer")

    version: int
    exported: bool
    origin: Storage | None
    unseen: int
    writer: tuple[CodeType, int]

    def __init__(self, origin: Storage | None = None) -> None:
        self.version = 0
        self.exported = False
        self.origin = origin

    def count_write(self, count: int = 1) -> None:
        """Count a write, or several, unless writes to this memory are not counted."""
        if self.version != UNCOUNTED:
            self.version += count
            if self.origin is not None:
                self.origin.count_unseen(count)

    def count_unseen(self, count: int) -> None:
        """Count so many writes that autograd does not see."""
        self.unseen = getattr(self, "unseen", 0) + count

    @property
    def writes(self) -> int:
        """The number of writes to the memory, seen by autograd or not."""
        memory = self.memory
        return memory.version + getattr(memory, "unseen", 0)

    @property
    def memory(self) -> Storage:
        """The Storage that stands for the memory itself."""
        return self if self.origin is None else self.origin


def overlapping(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether two elements may be one place in memory: not where each stride steps over all smaller ones."""
    reach = 0
    for stride, n in sorted([(abs(s), n) for s, n in zip(strides, shape, strict=True) if n > 1]):
        if stride <= reach:
            return bool(math.prod(shape))
        reach += stride * (n - 1)
    return False
