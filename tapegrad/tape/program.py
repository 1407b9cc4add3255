"""Tape: a pure program in single-assignment form. Inputs, steps, outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .primitive import Primitive
from .source import Source

__all__ = ["Pull", "Step", "Tape", "Var"]


class Var:
    """One value of the program: assigned once.

    `requires_grad` says whether derivatives flow through it. `label` is a name to print, if it has one.
    """

    __slots__ = ("dtype", "label", "requires_grad", "shape")

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], requires_grad: bool = False, label: str | None = None
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.requires_grad = requires_grad
        self.label = label

    def __repr__(self) -> str:
        name = f"{self.label}: " if self.label else ""
        return f"Var({name}{self.dtype}[{', '.join(map(str, self.shape))}])"


@dataclass(eq=False, slots=True)
class Step:
    """`outputs = prim(*inputs, **params)`; inputs are Vars or Python scalars.

    `scope` numbers the checkpoints that the step is in, the outermost first: what they compute is computed again in
    backward rather than kept.
    """

    prim: Primitive
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    outputs: tuple[Var, ...]
    source: Source | None = None
    scope: tuple[int, ...] = ()

    @property
    def vars(self) -> Iterator[Var]:
        """The inputs that are Vars."""
        return (v for v in self.inputs if isinstance(v, Var))


class Pull(NamedTuple):
    """A rule that ran in a backward whose own steps are on the tape: `g` pulled through `step` gave `results`.

    These are the cotangents of the operands at `positions`, None where there was none.
    """

    step: Step
    g: Var
    positions: tuple[int, ...]
    results: tuple[Var | None, ...]


@dataclass(eq=False, repr=False)
class Tape:
    """What a function did, as a pure program.

    `inputs` are the function's tensor arguments, in order, then its captures (tensors it read but was not passed).
    `outputs` are its results, in order (`results` of them), then its effects: the new value of each input it wrote to
    (`writes` gives the input's position), and the new gradient of each input it gave one (`grads`, likewise).
    `structure` rebuilds the function's own result from a list of leaves. `pulls` are the rules that ran where a
    backward is on the tape step by step. `opaque` says of each output whose derivative is not on the tape why.
    """

    name: str
    inputs: list[Var] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[Var] = field(default_factory=list)
    values: list[Any] = field(default_factory=list, repr=False)
    results: int = 0
    writes: list[int] = field(default_factory=list)
    grads: list[int] = field(default_factory=list)
    structure: Any = field(default=None, repr=False)
    pulls: list[Pull] = field(default_factory=list)
    opaque: dict[Var, str] = field(default_factory=dict)

    def __str__(self) -> str:
        from .printing import format_tape

        return format_tape(self)

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        from .picture import draw_tape

        return draw_tape(self)
