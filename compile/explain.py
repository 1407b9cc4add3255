"""What a jitted function captured, guards, changes and donates, and why it was compiled, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..environment import Place
from ..tape.number import Guard
from .family import Family
from .reasons import CONSTANTS, Difference, nearest, shown
from .signature import Signature
from .specialisation import Specialisation
from .storms import Storms

__all__ = ["Explanation", "ProgramExplanation", "explanation"]


@dataclass(frozen=True)
class ProgramExplanation:
    """One specialisation: names of what it reads, follows, guards, checks, changes and donates, and why it was made."""

    number: int
    calls: int
    captured: list[str]
    numbers: list[str]
    constants: list[str]
    guards: list[str]
    checks: list[str]
    mutated: list[str]
    donated: list[str]
    why: list[Difference]
    checked: str

    def __str__(self) -> str:
        lines = [f"program {self.number}: called {self.calls} times, {self.checked}"]
        lines.append(f"  made because of: {'; '.join(map(str, self.why)) or 'the first call'}")
        names = ("captured", "numbers", "constants", "guards", "checks", "mutated", "donated")
        lines += [f"  {name}: {', '.join(getattr(self, name)) or 'none'}" for name in names]
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanation:
    """What a call would do: `fits` is the number of the program tried first, None if a new one would be made.

    `why` is then what differs from the nearest program there is; `gives_up` says that none is made, as that made too
    many.
    """

    fits: int | None
    why: list[Difference]
    programs: list[ProgramExplanation]
    gives_up: bool = False

    def __str__(self) -> str:
        if self.fits is not None:
            first = f"This call runs program {self.fits} (if the values that Python asks for come out as before)."
        else:
            first = "This call runs eagerly" + ("" if self.gives_up else ", to make a new program")
            first += f", since {'; '.join(map(str, self.why))}." if self.why else "."
        return "\n".join([first, *map(str, self.programs)])


def explanation(
    signature: Signature, specs: Sequence[Specialisation], families: Mapping[Any, Family], storms: Storms
) -> Explanation:
    """The explanation of a call."""
    family = families.get(signature.key)
    first = None if family is None else family.first()
    fits = None if first is None or not first.ready else first.number
    why = nearest(specs, signature) if fits is None else []
    return Explanation(fits, why, [_program(spec) for spec in specs], fits is None and storms.broken(why))


def _check(spec: Specialisation, guard: Guard) -> str:
    """What is required of data, of which, and when that is asked."""
    check = spec.hosted.get(spec.numbers.notes[guard.position].operands[0])
    names = "" if check is None else f" of {' and '.join([spec.labels[i] for i in check.tensors] or ['numbers'])}"
    when = "with the result" if check is None else "before the call"
    return f"{'' if guard.outcome else 'not: '}{guard.what}{names}, {when}"


def _program(spec: Specialisation) -> ProgramExplanation:
    found = spec.signature.found
    labels = spec.labels
    floats = [found.text(place) for place, _ in found.floats]
    used = {note.operands[0] for p in spec.used_numbers() if (note := spec.numbers.notes[p]).operation == "input"}
    return ProgramExplanation(
        number=spec.number,
        calls=spec.calls,
        captured=[labels[i] for i in spec.reads if i in spec.kept],
        numbers=[text for i, text in enumerate(floats) if i in used],
        constants=[
            f"{found.text(check.place)} = {shown(check)}"
            for check in found.checks
            if check.kind in CONSTANTS
            and not (isinstance(check.place, Place) and check.place.how in ("attribute", "missing"))
        ],
        guards=[
            f"{guard.what} is {guard.outcome!r}" + ("" if guard.source is None else f" ({guard.source.place})")
            for guard in spec.guards
            if not guard.required
        ],
        checks=[_check(spec, guard) for guard in spec.guards if guard.required],
        mutated=list(dict.fromkeys(spec.text.changed)),
        donated=[labels[i] for i in sorted(spec.donated)],
        why=spec.why,
        checked="not compiled yet" if not spec.ready else "not checked" if spec.report is None else "checked",
    )
