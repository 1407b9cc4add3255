"""Tape: a pure program in single-assignment form. Inputs, steps, outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .primitive import Primitive
from .source import Source

__all__ = ["Step", "Tape", "Var"]


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
    """`outputs = prim(*inputs, **params)`; inputs are Vars or Python scalars."""

    prim: Primitive
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    outputs: tuple[Var, ...]
    source: Source | None = None

    @property
    def vars(self) -> Iterator[Var]:
        """The inputs that are Vars."""
        return (v for v in self.inputs if isinstance(v, Var))


@dataclass(eq=False, repr=False)
class Tape:
    """What a function did, as a pure program.

    `inputs` are the function's tensor arguments, in order, then its captures (tensors it read but was not passed).
    `outputs` are its results, in order (`results` of them), then its effects: the new value of each input it wrote to
    (`writes` gives the input's position), and the new gradient of each input it gave one (`grads`, likewise).
    `structure` rebuilds the function's own result from a list of leaves.
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

    def __str__(self) -> str:
        from .printing import format_tape

        return format_tape(self)

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        from .picture import draw_tape

        return draw_tape(self)
