"""The third way: the lowered tape under `jax.vjp`, jitted.

JAX's vector-Jacobian products are taken between two conjugations, which makes them PyTorch's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import tapegrad as tg
from tapegrad.compile import lower

from .oracles import Outcome, tensor

KEPT = 500
"""Programs kept compiled: some ten times as many as the calls of one primitive need in a quick run."""

_programs = {}


def compiled(probe):
    """The outcome by the lowered tape under `jax.vjp`, jitted; one program for all calls that differ in values only."""
    call = probe.call
    program = _programs.get(call.key)
    if program is None:
        if len(_programs) == KEPT:
            _programs.clear()
        program = _programs[call.key] = _program(probe)
    with jax.enable_x64(True):
        differentiable = [call.operands[i] for i in probe.positions]
        fixed = {i: call.operands[i] for i in call.tensors if i not in probe.positions}
        value, first, second = program(differentiable, fixed, probe.g, probe.ws)
        first = tuple(map(np.asarray, first))
        return Outcome(np.asarray(value), first, first, tuple(map(np.asarray, second)))


def _program(probe):
    call, positions = probe.call, probe.positions
    function = lower(tape_of(call))

    def outcome(differentiable, fixed, g, ws):
        def forward(*xs):
            given = dict(zip(positions, xs, strict=True)) | fixed
            return function(*[given[i] for i in call.tensors])

        def gradients(*xs_and_g):
            *xs, g = xs_and_g
            return pytorch_vjp(forward, *xs)(g)

        if not differentiable:
            return forward(), (), ()
        primals = [*differentiable, g]
        return forward(*differentiable), gradients(*primals), pytorch_vjp(gradients, *primals)(tuple(ws))

    return jax.jit(outcome)


def tape_of(call):
    tensors = {i: tensor(call.operands[i], i in call.differentiable) for i in call.tensors}
    order = sorted(tensors)

    def function(*given):
        found = dict(zip(order, given, strict=True))
        return call(*[found.get(i, operand) for i, operand in enumerate(call.operands)])

    return tg.record(function, *[tensors[i] for i in order])


def pytorch_vjp(function, *primals):
    """The vector-Jacobian product in PyTorch's convention."""
    _, pull = jax.vjp(function, *primals)
    return lambda g: _conj(pull(_conj(g)))


def _conj(tree):
    return jax.tree.map(jnp.conj, tree)
