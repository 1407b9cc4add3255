"""The check: is what a compiled program computed what the tape says, to the accuracy its dtype allows?

The truth is the same tape replayed eagerly in float64. How far a float32 result may be from it is not guessed but
measured, per element, by Monte Carlo arithmetic: the replay is repeated with the operands and the result of every
primitive, in the forward steps and inside the VJP rules, changed by random relative amounts of the size of a rounding
error. The spread of an output element over the runs says how strongly rounding is amplified there, cancellation
included: that is where terms much larger than their sum are changed.

    D. S. Parker, Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic, UCLA CSD-970002, 1997.

Primitives that sum n terms get noise larger by sqrt(n), the growth of the error of summing in any order. Integers and
bools must be equal, except where the noise changes them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CheckError
from ..tape import Tape, Var
from .blame import blame
from .comparison import Comparison, compare
from .replay import replay

__all__ = ["Comparison", "Report", "check"]

SAMPLES = 8


@dataclass
class Report:
    """The comparison of every output; `blame` is what a failed check found out about the cause."""

    name: str
    comparisons: list[Comparison]
    blame: str = ""

    @property
    def worst(self) -> float:
        """The largest fraction of a tolerance."""
        return max((c.fraction for c in self.comparisons), default=0.0)

    def __str__(self) -> str:
        width = max((len(c.name) for c in self.comparisons), default=0)
        verdict = "agrees with the eager tape" if self.worst <= 1 else "DISAGREES with the eager tape"
        lines = [f"check of {self.name}: compiled program {verdict} (worst error, as a fraction of its tolerance)"]
        lines += [f"    {c.name:<{width}}  {c.fraction:8.3f}" for c in self.comparisons]
        return "\n".join(lines)

    def raise_if_failed(self) -> None:
        """Raise CheckError, naming the worst output and the first step that diverges, if an error is over tolerance."""
        bad = max(self.comparisons, key=lambda c: c.fraction, default=None)
        if bad is None or bad.fraction <= 1:
            return
        raise CheckError(
            f"{self.name}: the compiled program disagrees with the eager tape in {bad.name}{list(bad.index)}: compiled "
            f"{bad.compiled!r}, eager {bad.eager!r}, float64 {bad.truth!r}, tolerance {bad.tolerance:.3g}."
            f"\n{self.blame}"
        )


def check(
    tape: Tape, values: Sequence[Any], eager: Sequence[Any], compiled: Sequence[Any], names: Sequence[str]
) -> Report:
    """Compare the `compiled` outputs of `tape` for the input `values` with the `eager` ones.

    All are NumPy arrays, in the order of the tape's inputs and outputs; `names` are the outputs' for the report.
    """
    envs = _runs(tape, values, tape.outputs)
    comparisons = [
        compare(name, var, [env[var] for env in envs], e, c)
        for name, var, e, c in zip(names, tape.outputs, eager, compiled, strict=True)
    ]
    report = Report(tape.name, comparisons)
    if report.worst > 1:
        report.blame = blame(tape, values, _runs(tape, values, None))
    return report


def _runs(tape: Tape, values: Sequence[Any], wanted: Sequence[Var] | None) -> list[dict[Var, Any]]:
    """The true replay, then those with noise."""
    return [replay(tape, values, seed, wanted) for seed in (None, *range(SAMPLES))]
