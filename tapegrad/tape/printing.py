"""A tape as text: Python that a person reads, with shapes, dtypes and the user's own lines above the steps."""

from __future__ import annotations

import string
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby, zip_longest
from typing import Any

import numpy as np

from ..tree import Structure
from .program import Step, Tape, Var
from .source import Source

__all__ = ["format_source", "format_step", "format_tape", "format_type", "format_value", "name_vars"]

WIDTH = 110  # columns of the terminal a tape is to be read on
CODE_WIDTH = 56  # a line of code up to this long has its type in the common column
SHOWN = 6  # of a constant with more elements only the first few are printed

Names = Mapping[Var, str]


def format_tape(tape: Tape) -> str:
    """The tape as Python: its inputs, its steps with their types and source lines, its effects and results."""
    names = name_vars(tape)
    body = list(_body(tape, names))
    column = max((len(code) for code, note in body if note and len(code) <= CODE_WIDTH), default=0) + 2
    lines = _signature(tape, names)
    for code, note in body:
        lines += _fit("    ", code, note, column)
    return "\n".join(lines)


def format_step(step: Step, names: Names) -> str:
    """One step on one line, for messages: `c = add(a, b)  # f32[3, 8]`. `names` is what `name_vars` gave."""
    types = ", ".join(map(format_type, step.outputs))
    return f"{_targets(step, names)} = {_call(step, names)}  # {types}"


def name_vars(tape: Tape) -> dict[Var, str]:
    """A name for every value of the tape, each different.

    An input is called by its label (`in2` if it has none), its new value `w_new`, the gradient of a backward step
    `g_w` after its leaf. Other values are a, b, c, ..., z, a1, b1, ... in the order of the steps.
    """
    namer = _Namer()
    for position, var in sorted(enumerate(tape.inputs), key=lambda item: item[1].label is None):
        namer.give(var, var.label or f"in{position}")
    for position, var in _written(tape):
        namer.give(var, f"{namer.names[tape.inputs[position]]}_new")
    for step in tape.steps:
        for leaf, var in zip_longest(backward_parts(step)[2], step.outputs):
            namer.give(var, None if leaf is None else f"g_{namer.names.get(leaf, '')}")
    return namer.names


class _Namer:
    """Hands out names, none of them twice."""

    def __init__(self) -> None:
        self.names: dict[Var, str] = {}
        self._taken: set[str] = set()
        self._repeats: Counter[str] = Counter()
        self._letters = (f"{letter}{n or ''}" for n in count() for letter in string.ascii_lowercase)

    def give(self, var: Var, wanted: str | None) -> None:
        """Name `var` unless it has a name: as `wanted`, `wanted_2` ... or by the next letter."""
        if var in self.names:
            return
        name = wanted or next(self._letters)
        while name in self._taken:
            if wanted is None:
                name = next(self._letters)
            else:
                self._repeats[wanted] += 1
                name = f"{wanted}_{self._repeats[wanted] + 1}"
        self._taken.add(name)
        self.names[var] = name


def backward_parts(step: Step) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """The roots, cotangents and leaves of a backward step; three times nothing for any other."""
    if step.prim.name != "backward":
        return (), (), ()
    n = step.params["roots"]
    return step.inputs[:n], step.inputs[n : 2 * n], step.inputs[2 * n :]


def _written(tape: Tape) -> Iterator[tuple[int, Var]]:
    """The position and new value of each input that is written to."""
    return zip(tape.writes, tape.outputs[tape.results :], strict=False)


def effects(tape: Tape, names: Names) -> Iterator[tuple[str, Var]]:
    """What the function does to its inputs, as the left side and the value of an assignment."""
    for position, var in _written(tape):
        yield f"{names[tape.inputs[position]]}[...]", var
    for position, var in zip(tape.grads, tape.outputs[tape.results + len(tape.writes) :], strict=True):
        yield f"{names[tape.inputs[position]]}.grad", var


def input_notes(tape: Tape) -> Iterator[str]:
    """What there is to say of each input beside its type."""
    writes, grads = set(tape.writes), set(tape.grads)
    for position, var in enumerate(tape.inputs):
        marks = var.requires_grad, position in writes, position in grads
        yield ", ".join(text for text, on in zip(("requires_grad", "written", "new .grad"), marks, strict=True) if on)


def format_counts(tape: Tape) -> str:
    """`6 inputs, 27 steps, 1 result, 4 written inputs`."""
    parts = [
        (len(tape.inputs), "input"),
        (len(tape.steps), "step"),
        (tape.results, "result"),
        (len(tape.writes), "written input"),
        (len(tape.grads), "new gradient"),
    ]
    return ", ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in parts if n)


def source_groups(steps: Sequence[Step], limit: int) -> list[list[list[Step]]]:
    """The runs of steps that come from one source line each, in at most about `limit` groups.

    A group is one run, or all runs of a line, or all runs of a function; or else so and so many steps.
    """
    runs = [list(run) for _, run in groupby(steps, key=lambda step: step.source)]
    groups = [[run] for run in runs]
    for name in ("line", "function"):
        if len(groups) > limit:
            merged: dict[Any, list[list[Step]]] = {}
            for run in runs:
                source = run[0].source
                merged.setdefault(source and (source.filename, getattr(source, name)), []).append(run)
            groups = list(merged.values())
    if len(groups) > limit:
        size = -(-len(steps) // limit)
        groups = [[list(steps[i : i + size])] for i in range(0, len(steps), size)]
    return groups


def describe_group(runs: Sequence[Sequence[Step]]) -> tuple[str, str, str]:
    """A group's place and line of code, and what it does: `train.py:7`, `h = h + x`, `200 times, 200 steps: add`."""
    steps = [step for run in runs for step in run]
    sources = list(dict.fromkeys(step.source for step in steps if step.source))
    place, _, text = format_source(sources[0]).partition("  ") if sources else ("steps", "", "")
    if len(sources) > 1:
        text = f"to {format_source(sources[-1]).partition('  ')[0]}"
    often = f"{len(runs)} times, " if len(runs) > 1 and len(sources) == 1 else ""
    prims = ", ".join(dict.fromkeys(step.prim.name for step in steps))
    return place, text, f"{often}{len(steps)} step{'s' * (len(steps) != 1)}: {prims}"


# The lines


def _signature(tape: Tape, names: Names) -> list[str]:
    inputs = [f"{names[var]}: {format_type(var)}" for var in tape.inputs]
    notes = list(input_notes(tape))
    line = f"def {tape.name}({', '.join(inputs)}):"
    if len(line) <= WIDTH and not any(notes):
        return [line]
    column = max(map(len, inputs)) + 3
    lines = [
        f"    {f'{text},':<{column}}# {note}" if note else f"    {text},"
        for text, note in zip(inputs, notes, strict=True)
    ]
    return [f"def {tape.name}(", *lines, "):"]


def _body(tape: Tape, names: Names) -> Iterator[tuple[str, str]]:
    """Lines of code, each with its type; a source line is a comment above the run of steps that come from it."""
    source: Source | None = None
    for step in tape.steps:
        if step.source != source:
            source = step.source
            heading = f"# {format_source(source)}" if source else "# (no source line)"
            yield shortened(heading, WIDTH - 4), ""
        yield from _step_lines(step, names)
    changes = list(effects(tape, names))
    if changes:
        yield "# what it changes", ""
    for target, var in changes:
        yield f"{target} = {names.get(var, '?')}", format_type(var)
    results = tape.outputs[: tape.results]
    values = _results(tape.structure, [names.get(var, "?") for var in results])
    yield f"return {values}".rstrip(), ", ".join(map(format_type, results)) if len(results) <= 3 else ""


def _step_lines(step: Step, names: Names) -> Iterator[tuple[str, str]]:
    """A step on one line, or with one line for each of several outputs."""
    types = [format_type(var) for var in step.outputs]
    line, note = f"{_targets(step, names)} = {_call(step, names)}", ", ".join(types)
    if len(types) <= 1 or len(line) + len(note) + 8 <= WIDTH - 20:
        yield line, note
        return
    yield "(", ""
    for var, kind in zip(step.outputs, types, strict=True):
        yield f"    {names.get(var, '?')},", kind
    yield f") = {_call(step, names)}", ""


def _fit(indent: str, code: str, note: str, column: int) -> list[str]:
    """The code with its note in `column`, broken over several lines where it is too long."""
    whole = f"{indent}{code:<{column}}# {note}" if note else indent + code
    if len(code) > column - 2 and note:
        whole = f"{indent}{code}  # {note}"
    if len(whole) <= WIDTH or code.startswith("#"):
        return [whole]
    broken = textwrap.wrap(
        code,
        WIDTH - 24,
        initial_indent=indent,
        subsequent_indent=indent * 2,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if note:
        broken[-1] = f"{broken[-1]:<{column + len(indent)}}  # {note}"
    return broken


# The parts of a line


def _targets(step: Step, names: Names) -> str:
    targets = ", ".join(names.get(var, "?") for var in step.outputs)
    return f"({targets},)" if len(step.outputs) == 1 and step.prim.name == "backward" else targets


def _call(step: Step, names: Names) -> str:
    """`matmul(x, w)`; a backward step names its parts."""
    inputs = [names.get(v, "?") if isinstance(v, Var) else format_value(v) for v in step.inputs]
    if step.prim.name != "backward":
        params = [f"{name}={format_value(value)}" for name, value in step.params.items()]
        return f"{step.prim.name}({', '.join(inputs + params)})"
    n = step.params["roots"]
    if n == 1:
        return f"backward({inputs[0]}, cotangent={inputs[1]}, wrt=[{', '.join(inputs[2:])}])"
    roots, cotangents, leaves = (", ".join(part) for part in (inputs[:n], inputs[n : 2 * n], inputs[2 * n :]))
    return f"backward([{roots}], cotangents=[{cotangents}], wrt=[{leaves}])"


def format_details(step: Step) -> str:
    """The literals among the operands and the parameters, without what the output's type tells: `(·, 0.1)`."""
    literals = any(not isinstance(v, Var) for v in step.inputs)
    operands = ", ".join("·" if isinstance(v, Var) else format_value(v) for v in step.inputs)
    params = [
        format_value(value) if name in {"index", "value"} else f"{name}={format_value(value)}"
        for name, value in step.params.items()
        if name not in {"shape", "dtype"} and value is not False
    ]
    return " ".join([f"({operands})", *params] if literals else params)


def format_source(source: Source) -> str:
    """`train.py:14  loss = F.mse_loss(x @ w, y)`."""
    return f"{source.place}  {source.text}".rstrip()


def shortened(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    text = text.replace("\n", " ")
    return text if len(text) <= width else f"{text[: width - 3].rstrip()}..."


def format_type(var: Var) -> str:
    """Dtype and shape: `f32[3, 8]`."""
    return f"{_format_dtype(var.dtype)}[{', '.join(map(str, var.shape))}]"


def _format_dtype(dtype: np.dtype[Any]) -> str:
    if dtype.name in {"bool", "bfloat16"}:
        return {"bool": "bool", "bfloat16": "bf16"}[dtype.name]
    return f"{dtype.kind}{dtype.itemsize * 8}" if dtype.kind in "fiuc" else dtype.name


def format_value(value: Any) -> str:
    """A literal or a parameter, plainly: dtypes as f32, slices as 0:3, large arrays by their first elements."""
    if isinstance(value, np.dtype):
        return _format_dtype(value)
    if isinstance(value, np.ndarray):
        return _format_array(value)
    if isinstance(value, np.generic):
        return format_value(value.item())
    if isinstance(value, slice):
        return _format_slice(value)
    if value is Ellipsis:
        return "..."
    if isinstance(value, list | tuple):
        inner = ", ".join(map(format_value, value))
        if isinstance(value, list) or any(isinstance(part, slice) for part in value):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Tape):
        return f"<tape {value.name}>"
    return getattr(value, "__name__", None) or shortened(repr(value), WIDTH // 2)


def _format_slice(index: slice) -> str:
    start, stop, step = (
        "" if part is None or part == default else format_value(part)
        for part, default in ((index.start, None), (index.stop, None), (index.step, 1))
    )
    return f"{start}:{stop}" + (f":{step}" if step else "")


def _format_array(array: np.ndarray[Any, Any]) -> str:
    """The elements of a small array, the first three of a large one."""
    if array.size <= SHOWN:
        return _nested(array.tolist())
    first = ", ".join(map(_element, array.flat[:3].tolist()))
    return f"[{first}, ...]"


def _nested(value: Any) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, list) else _element(value)


def _element(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | complex) else str(value)


def _results(structure: Structure | None, names: Iterable[str]) -> str:
    """The result as the function built it, if it holds nothing but tensors; else the tensors in it."""
    names = list(names)
    if structure is not None and _leaves(structure) == len(names):
        return _build(structure, iter(names))
    return ", ".join(names)


def _leaves(structure: Structure) -> int:
    return 1 if structure.kind is None else sum(map(_leaves, structure.parts))


def _build(structure: Structure, names: Iterator[str]) -> str:
    if structure.kind is None:
        return next(names)
    parts = [_build(part, names) for part in structure.parts]
    if structure.kind is tuple:
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    if structure.kind is list:
        return f"[{', '.join(parts)}]"
    if issubclass(structure.kind, dict):
        return f"{{{', '.join(f'{key!r}: {part}' for key, part in zip(structure.keys, parts, strict=True))}}}"
    return f"{structure.kind.__name__}({', '.join(parts)})"
