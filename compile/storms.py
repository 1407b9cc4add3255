"""Recompilation storms: the same cause making a new program again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..ops.support import warn_user
from .reasons import Difference

__all__ = ["Storms"]

_MOST = 8
_MOST_OF_ALL = 64


class Storms:
    """Counts the causes of programs. One that made too many is warned of once; from then on its calls run eagerly, but
    not if it is what a tensor is like.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()
        self._total = 0

    def count(self, why: Sequence[Difference]) -> None:
        """A program was made for these reasons."""
        self._total += 1
        for difference in [d for d in why if not d.is_check]:
            self._counts[difference.what] += 1
            if self._counts[difference.what] == _MOST:
                advice = f"; {difference.remedy}" if difference.remedy else ""
                then = "each is compiled" if difference.of_tensor else "from now on such calls run eagerly"
                warn_user(
                    f"{self._name}: recorded {_MOST} times because {difference.what} keeps changing (last from "
                    f"{difference.before} to {difference.after}); {then}{advice}"
                )
        if self._total == _MOST_OF_ALL:
            warn_user(f"{self._name}: recorded {_MOST_OF_ALL} programs; from now on new signatures run eagerly")

    def broken(self, why: Sequence[Difference]) -> bool:
        """Whether a call that needs a program for these reasons is to run eagerly."""
        return self._total >= _MOST_OF_ALL or any(self._counts[d.what] >= _MOST for d in why if not d.of_tensor)
