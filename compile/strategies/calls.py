"""Calls: a primitive with operands and parameters, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ...tape import Primitive
from ...tape.apply import apply, is_tensor
from .arrays import DType, Shape, arrays, is_inexact
from .domains import ANY, Domain

__all__ = ["Arg", "Call", "Layout", "Sample", "doubled", "literal"]

Run = Callable[..., Any]
_DOUBLE = {"f": np.dtype(np.float64), "V": np.dtype(np.float64), "c": np.dtype(np.complex128)}


def doubled(value: Any) -> Any:
    """An array, or a dtype, in double precision if it is floating or complex; anything else as it is."""
    if isinstance(value, np.dtype):
        return _DOUBLE.get(value.kind, value)
    if isinstance(value, np.ndarray):
        return value.astype(_DOUBLE.get(value.dtype.kind, value.dtype))
    return value


@dataclass(frozen=True)
class Arg:
    """An array operand to be drawn: from `domain`, each element different if `unique`."""

    shape: Shape
    dtype: DType
    domain: Domain = ANY
    unique: bool = False


@dataclass(frozen=True, eq=False)
class Call:
    """`prim(*operands, **params)`: arrays and Python scalars. Calling it on other operands applies the primitive."""

    prim: Primitive
    operands: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None

    def __call__(self, *operands: Any) -> Any:
        """The primitive of `operands`: of arrays, computed; of tensors, recorded too."""
        if self.run is not None:
            return self.run(*operands, **self.params)
        if any(map(is_tensor, operands)) or not operands:
            return apply(self.prim, operands, self.params)
        return self.prim.forward(*operands, **self.params)

    @cached_property
    def tensors(self) -> tuple[int, ...]:
        """The positions of the array operands."""
        return tuple(i for i, operand in enumerate(self.operands) if isinstance(operand, np.ndarray))

    @cached_property
    def differentiable(self) -> tuple[int, ...]:
        """The positions of the operands that can carry a gradient and have a rule."""
        return tuple(
            i
            for i in self.tensors
            if is_inexact(self.operands[i].dtype) and (self.run is not None or self.prim.rule(i) is not None)
        )

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What a compiled program depends on: everything but the values in the arrays."""
        kinds = [(o.shape, o.dtype.name) if isinstance(o, np.ndarray) else repr(o) for o in self.operands]
        return self.prim.name, tuple(kinds), repr(self.params)

    def at(self, primals: Sequence[Any]) -> Call:
        """The same call with other arrays for its differentiable operands."""
        found = dict(zip(self.differentiable, primals, strict=True))
        return replace(self, operands=tuple(found.get(i, operand) for i, operand in enumerate(self.operands)))

    def in_double(self) -> Call:
        """The same call in double precision, where it can serve as the truth."""
        params = {name: doubled(value) for name, value in self.params.items()}
        return Call(self.prim, tuple(map(doubled, self.operands)), params, self.run)

    def __repr__(self) -> str:
        parts = [literal(operand) for operand in self.operands]
        parts += [f"{name}={literal(value)}" for name, value in self.params.items()]
        return f"{self.prim.name}({', '.join(parts)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  (IPython's protocol)
        """What hypothesis prints."""
        printer.text(repr(self))


def literal(value: Any) -> str:
    """An array, or another value, as Python."""
    if isinstance(value, np.ndarray):
        empty = "" if value.size else f".reshape{value.shape}"
        return f"np.array({value.tolist()}, {value.dtype.name!r}){empty}"
    return repr(value)


@dataclass(frozen=True, eq=False)
class Layout:
    """All of a call but the values in its arrays."""

    operands: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def double(self) -> bool:
        """Whether something in it is inexact, and all that is has double precision."""
        kinds = [operand.dtype for operand in self.operands if isinstance(operand, Arg)]
        kinds += [value for value in self.params.values() if isinstance(value, np.dtype)]
        return any(map(is_inexact, kinds)) and all(doubled(dtype) == dtype for dtype in kinds)


@dataclass(frozen=True, eq=False)
class Sample:
    """How to draw calls of one primitive: its row in SAMPLES.

    Args:
        prim: the primitive.
        make: gives the layouts, the simplest first.
        numeric: whether the derivative is that of the value, so that numeric differentiation can judge it.
        run: what a call does, where that is not to apply the primitive.
    """

    prim: Primitive
    make: Callable[[], Sequence[Layout]]
    numeric: bool = True
    run: Run | None = None

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """Everything that calls may differ in besides values: shapes, dtypes, literals and parameters."""
        return tuple(self.make())

    def fill(self, layout: Layout) -> SearchStrategy[Call]:
        """Calls of this layout."""
        parts = [
            arrays(o.dtype, o.shape, o.domain, unique=o.unique) if isinstance(o, Arg) else st.just(o)
            for o in layout.operands
        ]
        return st.tuples(*parts).map(lambda operands: Call(self.prim, operands, layout.params, self.run))

    def calls(self) -> SearchStrategy[Call]:
        """Calls of any layout."""
        return st.integers(0, len(self.layouts) - 1).flatmap(lambda i: self.fill(self.layouts[i]))

    @cached_property
    def double(self) -> Sample:
        """The sample of the calls that are in double precision."""
        return self.narrowed([layout for layout in self.layouts if layout.double])

    def narrowed(self, layouts: Sequence[Layout]) -> Sample:
        """The sample of the calls with one of `layouts`."""
        return replace(self, make=lambda: layouts)

    def __repr__(self) -> str:
        return f"<sample of {self.prim.name}>"
