"""programs: random whole programs over tensors, as short Python scripts with inputs that keep them off kinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .arrays import FLOATS, DType, Shape, arrays
from .calls import literal
from .domains import FINE
from .moves import Draft, draw_line

__all__ = ["Program", "programs"]

_SINGLE_OR_DOUBLE = FLOATS[:2]
_SHAPES: tuple[Shape, ...] = ((3,), (2, 3), (3, 2), (), (2, 1, 3), (1, 3))

Detach = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Program:
    """A function of tensors `x0`, `x1`, ... given by the lines of its body, with inputs for which it is smooth.

    Calling it runs it; `detach` may be given to say what its `detach(...)` does.
    """

    lines: tuple[str, ...]
    result: str
    inputs: tuple[np.ndarray[Any, Any], ...]

    def __call__(self, *tensors: Any, detach: Detach | None = None) -> Any:
        """The result for the given tensors."""
        names = _names(detach)
        exec(self._code(), names)  # noqa: S102  (lines that this module made)
        return names["program"](*tensors)

    def in_double(self) -> Program:
        """The same program with float64 inputs."""
        return Program(self.lines, self.result, tuple(x.astype(np.float64) for x in self.inputs))

    def source(self) -> str:
        """The function as Python."""
        arguments = ", ".join(f"x{i}" for i in range(len(self.inputs)))
        body = [*self.lines, f"return {self.result}"]
        return "\n".join([f"def program({arguments}):", *[f"    {line}" for line in body], ""])

    def script(self) -> str:
        """A script that runs the program and prints its result and gradients."""
        count = range(len(self.inputs))
        inputs = [f"x{i} = tg.from_numpy({literal(x)}).requires_grad_()" for i, x in enumerate(self.inputs)]
        call = f"out = program({', '.join(f'x{i}' for i in count)})"
        prints = ["out.sum().backward()", *[f"print(x{i}.grad)" for i in count]]
        head = ["import numpy as np", "import tapegrad as tg", "", "detach = tg.Tensor.detach", "", ""]
        return "\n".join([*head, self.source(), *inputs, call, "print(out)", *prints, ""])

    def _code(self) -> CodeType:
        return compile(self.source(), "<program>", "exec")

    def __repr__(self) -> str:
        return self.script()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  (IPython's protocol)
        """What hypothesis prints."""
        printer.text(self.script())


def _names(detach: Detach | None = None) -> dict[str, Any]:
    import tapegrad as tg  # type: ignore[import-not-found, unused-ignore]  # scripts spell it so

    return {"__name__": "program", "tg": tg, "np": np, "detach": detach or tg.Tensor.detach}


@st.composite
def _inputs(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], ...]:
    """One to three arrays, mostly of one dtype."""
    first: DType = draw(st.sampled_from(_SINGLE_OR_DOUBLE))
    mixed = draw(st.integers(0, 4)) == 4
    dtypes = st.sampled_from(_SINGLE_OR_DOUBLE) if mixed else st.just(first)
    count = draw(st.integers(1, 3))
    return tuple(draw(arrays(draw(dtypes), draw(st.sampled_from(_SHAPES)), FINE)) for _ in range(count))


@st.composite
def _programs(draw: st.DrawFn, min_steps: int, max_steps: int) -> Program:
    """Lines are drawn one by one and run at once, so that each suits the shapes and values it meets."""
    inputs = draw(_inputs())
    draft = Draft(_names(), inputs)
    steps = draw(st.integers(min_steps, max_steps))
    while len(draft.lines) < steps:
        draw_line(draw, draft)
    total = " + ".join([f"{name}.mean()" for name in dict.fromkeys([*draft.names[: len(inputs)], *draft.unused()])])
    tensor = draw(st.booleans())
    result = f"{draft.latest} + ({total})" if tensor else total
    return Program(tuple(draft.lines), result, inputs)


def programs(min_steps: int = 5, max_steps: int = 30) -> SearchStrategy[Program]:
    """Programs of `min_steps` to `max_steps` lines, returning a scalar or a tensor that depends on all inputs.

    They do arithmetic with broadcasts, functions, matrix products, reductions, views and copies, indexing by tensors,
    joins, `detach`, and write in place; values stay within a few units, and well off kinks and ties.
    """
    return _programs(min_steps, max_steps)
