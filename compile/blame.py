"""Blame: where a failed check first goes wrong, and a script that shows it.

Every value of the tape is computed by the lowering and compared with its replay; the first step over tolerance, in the
order of the tape, is the one to blame. The script holds that step (for a backward, the steps it differentiates) and
the numbers it needs, no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ..primitives.structure import backward, jax_call
from ..tape import Step, Tape, Var
from ..tape.printing import format_step, name_vars
from .comparison import Comparison, compare
from .lower import lower_flat
from .plan import Planner, backward_parts

__all__ = ["blame"]

_MOST_ELEMENTS = 4096


def blame(tape: Tape, values: Sequence[Any], runs: Sequence[Mapping[Var, Any]]) -> str:
    """What went wrong first: the step, the user's line, both values, and a script that computes them again.

    `values` are the tape's inputs, `runs` its replays, the true one first.
    """
    everything = [var for step in tape.steps for var in step.outputs]
    with jax.enable_x64(True):
        computed = jax.jit(lower_flat(replace(tape, outputs=everything)))(*[np.array(v) for v in values])
    known = dict(zip([*tape.inputs, *everything], [*values, *map(np.asarray, computed)], strict=True))
    names = name_vars(tape)
    for step in tape.steps:
        for var in step.outputs:
            found = compare(names[var], var, [run[var] for run in runs], runs[0][var], known[var])
            if found.fraction > 1:
                return _describe(tape, step, found, names, known)
    return "Every step agrees when each one's value is asked for: the difference comes with how XLA fuses the steps."


def _describe(tape: Tape, step: Step, found: Comparison, names: Mapping[Var, str], known: Mapping[Var, Any]) -> str:
    where = "" if step.source is None else f"\n  at {step.source.place}: {step.source.text}"
    return (
        f"The first step that diverges: {format_step(step, names)}{where}\n"
        f"  {found.name}{list(found.index)}: compiled {found.compiled!r}, float64 tape {found.truth!r}, "
        f"tolerance {found.tolerance:.3g}\n"
        f"Reproduce with:\n{_script(tape, step, found, names, known)}"
    )


def _script(tape: Tape, step: Step, found: Comparison, names: Mapping[Var, str], known: Mapping[Var, Any]) -> str:
    """A program that computes the step eagerly and compiled, on the numbers that made them differ."""
    if step.prim is backward:
        region = Planner(tape.steps).regions[step]
        roots, cotangents, leaves = backward_parts(step)
        inputs = list(dict.fromkeys([*leaves, *region.reads]))
        return _program(region.steps, inputs, roots, leaves, cotangents, names, known)
    inputs = list(dict.fromkeys(step.vars))
    if step.prim.elementwise:  # one element is enough
        known = {v: np.asarray(np.broadcast_to(known[v], step.outputs[0].shape)[found.index]) for v in inputs}
    return _program([step], inputs, step.outputs, (), (), names, known)


def _program(
    steps: Sequence[Step],
    inputs: Sequence[Var],
    roots: Sequence[Var],
    leaves: Sequence[Var],
    cotangents: Sequence[Var],
    names: Mapping[Var, str],
    known: Mapping[Var, Any],
) -> str:
    ids = {v: f"v{i}" for i, v in enumerate([*inputs, *[out for step in steps for out in step.outputs]])}
    lines = ["import jax", "import numpy as np", "import tapegrad as tg", "from tapegrad.compile import lower"]
    lines += ["from tapegrad.tape import PRIMITIVES, apply", ""]
    lines += [f"def f({', '.join(ids[v] for v in inputs)}):"]
    for step in steps:
        operands = "".join(f"{ids[v] if isinstance(v, Var) else repr(v)}, " for v in step.inputs)
        if step.prim is jax_call:
            outs = "".join(f"{ids[out]}, " for out in step.outputs)
            call = f"{step.params['function'].__name__}({operands})"
            lines += [f"    ({outs}) = jax.tree.leaves({call}, is_leaf=tg.is_tensor)  # yours, made by tg.from_jax"]
            continue
        params = ", ".join(f"{name!r}: {_literal(value)}" for name, value in step.params.items())
        lines += [f"    {ids[step.outputs[0]]} = apply(PRIMITIVES[{step.prim.name!r}], ({operands}), {{{params}}})"]
    lines += [f"    return ({''.join(f'{ids[v]}, ' for v in roots)})", "", "inputs = ["]
    lines += [f"    {_literal(known[v])},  # {names[v]}" for v in inputs]
    lines += ["]", "tensors = [tg.tensor(x) for x in inputs]", "program = lower(tg.record(f, *tensors))"]
    lines += ["with jax.enable_x64(True):", "    out, pull = jax.vjp(program, *inputs)"]
    if not leaves:
        return "\n".join("    " + line for line in [*lines, "print('eager', f(*tensors), 'compiled', out)"])
    lines += [f"g = ({''.join(f'{_literal(known[v])}, ' for v in cotangents)})"]
    lines += [f"leaves = [t.requires_grad_() for t in tensors[:{len(dict.fromkeys(leaves))}]]"]
    lines += ["print('eager', tg.autograd.grad(f(*tensors), leaves, [tg.tensor(x) for x in g]))"]
    lines += ["with jax.enable_x64(True):", f"    print('compiled', pull(g)[:{len(dict.fromkeys(leaves))}])"]
    return "\n".join("    " + line for line in lines)


def _literal(value: Any) -> str:
    """Python code for a value: arrays in full, unless they are too long to read."""
    if isinstance(value, np.dtype):
        return f"np.dtype({value.name!r})"
    if not isinstance(value, np.ndarray | np.generic):
        return repr(value)
    array = np.asarray(value)
    if array.size > _MOST_ELEMENTS:
        return f"np.random.default_rng(0).standard_normal({array.shape}).astype({array.dtype.name!r})"
    listed = (array.astype(np.float64) if array.dtype.kind == "V" else array).tolist()
    text = repr(listed).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({text}, {array.dtype.name!r}).reshape({array.shape})"
