"""The check of the VJP rules where a backward is on the tape rule by rule.

Elsewhere the lowered program has JAX's own gradients, and a wrong rule shows as a difference. Where user code runs in
the middle of a backward, the rules are part of the tape, and so of both sides: there each one that ran is compared with
`jax.vjp` of the lowering of its primitive, on the numbers that it was run on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tape import Tape, Var
from ..tape.program import Pull
from .comparison import Comparison, compare
from .lower import run_step

__all__ = ["compare_pulls", "pulled_vars"]


def pulled_vars(tape: Tape) -> list[Var]:
    """The values that `compare_pulls` needs."""
    return list(dict.fromkeys(var for pull in _known(tape) for var in (*pull.step.vars, pull.g, *_results(pull))))


def compare_pulls(tape: Tape, runs: Sequence[Mapping[Var, Any]]) -> list[Comparison]:
    """Each cotangent that a rule gave on the tape, against that of `jax.vjp`.

    `runs` are the values of the tape's replays, the true one first.
    """
    pulls = _known(tape)
    needed = pulled_vars(tape)
    if not needed:
        return []

    @jax.jit
    def cotangents(values: list[Any]) -> list[Any]:
        env = dict(zip(needed, values, strict=True))
        return [g for pull in pulls for g in _by_jax(pull, env)]

    rounded = [np.asarray(runs[0][var]).astype(var.dtype) for var in needed]
    with jax.enable_x64(True):
        expected = map(np.asarray, cotangents(rounded))
    found = [(pull, var) for pull in pulls for var in _results(pull)]
    return [
        compare(_name(pull), var, [run[var] for run in runs], np.asarray(runs[0][var]).astype(var.dtype), g)
        for (pull, var), g in zip(found, expected, strict=True)
    ]


def _known(tape: Tape) -> list[Pull]:
    """The pulls of which all values are on the tape, as it is after what nobody needs was left out."""
    made = {*tape.inputs, *[var for step in tape.steps for var in step.outputs]}
    return [pull for pull in tape.pulls if made.issuperset((*pull.step.vars, pull.g, *_results(pull)))]


def _results(pull: Pull) -> list[Var]:
    return [var for var in pull.results if var is not None]


def _name(pull: Pull) -> str:
    source = pull.step.source
    return f"the gradient rule of {pull.step.prim.name}" + (f" ({source.place})" if source else "")


def _by_jax(pull: Pull, env: Mapping[Var, Any]) -> list[Any]:
    """The cotangents by `jax.vjp`, as PyTorch's: conjugates of JAX's; summed to the operand where the rule did that."""
    step = pull.step
    wanted = [(at, var) for at, var in zip(pull.positions, pull.results, strict=True) if var is not None]

    def function(*operands: Any) -> Any:
        given: dict[Any, Any] = dict(env)
        inputs = list(step.inputs)
        for (at, _), value in zip(wanted, operands, strict=True):
            inputs[at] = Var(value.shape, value.dtype)
            given[inputs[at]] = value
        run_step(type(step)(step.prim, tuple(inputs), step.params, step.outputs, step.source), given)
        return given[step.outputs[0]]

    _, vjp = jax.vjp(function, *[env[step.inputs[at]] for at, _ in wanted])
    found = vjp(jnp.conj(env[pull.g]))
    return [_summed(jnp.conj(g), var.shape) for g, (_, var) in zip(found, wanted, strict=True)]


def _summed(g: Any, shape: tuple[int, ...]) -> Any:
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    g = g.sum(axis=tuple(range(extra)))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1), keepdims=True)
