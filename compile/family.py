"""The specialisations of one signature."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..tape.state import device_lock
from .reasons import Difference
from .runtime import MISS, Mismatch
from .signature import Signature
from .specialisation import Specialisation

__all__ = ["Family"]

_REMEDY = "let the program keep the value in a tensor, or read it outside, after the call"


class Family:
    """The specialisations of one signature: they differ in the answers that Python was given."""

    def __init__(self) -> None:
        self.specs: list[Specialisation] = []
        self._last: Specialisation | None = None

    def find(self, outcomes: tuple[Any, ...]) -> Specialisation | None:
        """The specialisation of a run with these answers."""
        return next((spec for spec in self.specs if spec.outcomes == outcomes), None)

    def add(self, spec: Specialisation) -> None:
        """One more."""
        self.specs.append(spec)
        spec.family = self

    def first(self) -> Specialisation:
        """The one that is tried first."""
        return self._last or self.specs[-1]

    def run(self, signature: Signature, missed: Any) -> tuple[Specialisation | None, Any]:
        """The specialisation that fits, with its result; None, with the last mismatch, if there is none.

        `missed` is the mismatch of one that was tried. Each that fails says which answer would have been another.
        """
        spec: Specialisation | None = self.first()
        result: Any = None
        tried: set[Specialisation] = set()
        if type(missed) is Mismatch and missed.spec in self.specs:
            result = missed
            tried.add(missed.spec)
            spec = self._next(missed, tried)
        while spec is not None and spec not in tried and spec.ready:
            tried.add(spec)
            with device_lock:
                result = spec.run(signature.found.objects, [value for _, value in signature.found.floats])
            if result is MISS:
                break
            if type(result) is not Mismatch:
                self._last = spec
                return spec, result
            result.spec = spec
            spec = self._next(result, tried)
        return None, result

    def _next(self, missed: Mismatch, tried: Collection[Specialisation]) -> Specialisation | None:
        """The one to try after a mismatch: if data is not as it must be, any, as that may be asked before the rest."""
        found = self.sibling(missed.spec, missed)
        if found is None and missed.spec.guards[missed.position].required:
            return next((spec for spec in self.specs if spec.ready and spec not in tried), None)
        return found

    def sibling(self, spec: Specialisation, missed: Mismatch) -> Specialisation | None:
        """The one that was given the same answers up to one, and then the one that came out."""
        n = missed.position
        known = spec.outcomes[:n]
        for other in reversed(self.specs):
            if other.outcomes[:n] == known and len(other.outcomes) > n and other.outcomes[n][1] == missed.outcome:
                return other
        return None

    def why(self, missed: Any) -> list[Difference]:
        """Why none of them fits."""
        if type(missed) is not Mismatch:
            return []
        guard = missed.spec.guards[missed.position]
        where = "" if guard.source is None else f" ({guard.source.place}: {guard.source.text})"
        before, now = _short(guard.outcome), _short(missed.outcome)
        if guard.required:
            return [Difference(f"whether data is as it must be: {guard.what}{where}", before, now, is_check=True)]
        return [Difference(f"the answer to {guard.what}{where}", before, now, _REMEDY)]


def _short(outcome: Any) -> str:
    text = repr(outcome)
    return text if len(text) < 60 else text[:57] + "..."
