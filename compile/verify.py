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
from dataclasses import dataclass, field
from typing import Any

from ..errors import CheckError
from ..tape import Tape, Var
from .blame import blame
from .comparison import Comparison, compare
from .pulls import compare_pulls, pulled_vars
from .replay import replay

__all__ = ["Comparison", "Report", "check"]

SAMPLES = 8


@dataclass
class Report:
    """The comparison of every output; `blame` is what a failed check found out about the cause.

    `rules` compares the gradient rules that are part of the tape with JAX's (see `pulls`).
    """

    name: str
    comparisons: list[Comparison]
    blame: str = ""
    rules: list[Comparison] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """The largest fraction of a tolerance."""
        return max((c.fraction for c in (*self.comparisons, *self.rules)), default=0.0)

    def __str__(self) -> str:
        width = max((len(c.name) for c in self.comparisons), default=0)
        verdict = "agrees with the eager tape" if self.worst <= 1 else "DISAGREES with the eager tape"
        lines = [f"check of {self.name}: compiled program {verdict} (worst error, as a fraction of its tolerance)"]
        lines += [f"    {c.name:<{width}}  {c.fraction:8.3f}" for c in self.comparisons]
        if self.rules:
            worst = max(self.rules, key=lambda c: c.fraction)
            lines += [f"    {len(self.rules)} gradients by rules: at worst {worst.fraction:.3f}, {worst.name}"]
        return "\n".join(lines)

    def raise_if_failed(self) -> None:
        """Raise CheckError, naming the worst output and the first step that diverges, if an error is over tolerance."""
        bad = max(self.comparisons, key=lambda c: c.fraction, default=None)
        if bad is None or bad.fraction <= 1:
            self._raise_if_wrong_rule()
            return
        raise CheckError(
            f"{self.name}: the compiled program disagrees with the eager tape in {bad.name}{list(bad.index)}: compiled "
            f"{bad.compiled!r}, eager {bad.eager!r}, float64 {bad.truth!r}, tolerance {bad.tolerance:.3g}."
            f"\n{self.blame}"
        )

    def _raise_if_wrong_rule(self) -> None:
        bad = max(self.rules, key=lambda c: c.fraction, default=None)
        if bad is not None and bad.fraction > 1:
            raise CheckError(
                f"{self.name}: {bad.name}, which runs as part of the program, disagrees with JAX's in element "
                f"{list(bad.index)}: the rule {bad.eager!r}, JAX {bad.compiled!r}, tolerance {bad.tolerance:.3g}."
            )


def check(
    tape: Tape, values: Sequence[Any], eager: Sequence[Any], compiled: Sequence[Any], names: Sequence[str]
) -> Report:
    """Compare the `compiled` outputs of `tape` for the input `values` with the `eager` ones.

    All are NumPy arrays, in the order of the tape's inputs and outputs; `names` are the outputs' for the report.
    """
    envs = _runs(tape, values, [*tape.outputs, *pulled_vars(tape)])
    comparisons = [
        compare(name, var, [env[var] for env in envs], e, c)
        for name, var, e, c in zip(names, tape.outputs, eager, compiled, strict=True)
    ]
    report = Report(tape.name, comparisons, rules=compare_pulls(tape, envs))
    if any(c.fraction > 1 for c in comparisons):
        report.blame = blame(tape, values, _runs(tape, values, None))
    return report


def _runs(tape: Tape, values: Sequence[Any], wanted: Sequence[Var] | None) -> list[dict[Var, Any]]:
    """The true replay, then those with noise."""
    return [replay(tape, values, seed, wanted) for seed in (None, *range(SAMPLES))]
