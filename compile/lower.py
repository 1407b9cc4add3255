"""lower: a tape as a pure JAX function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..errors import RuleError, ShapeError, UnsupportedError
from ..primitives.arithmetic import where
from ..primitives.structure import backward, jax_call, opaque, rebind, stop_gradient
from ..tape import Step, Tape, Var
from .plan import Action, Block, Region, backward_parts, plan_tape
from .rules import RULES
from .rules.common import Rule

__all__ = ["lower", "lower_flat", "run_step"]

Env = dict[Any, Any]


def lower(tape: Tape) -> Callable[..., Any]:
    """The pure JAX function of the tape's inputs, in order, that computes its outputs.

    Returns one array if the recorded function returned one tensor and changed nothing, else a tuple of the tape's
    outputs (results, then new values of written inputs, then new gradients). `jax.jit`, `grad`, `vjp`, `jvp`, `vmap`
    and `jax.export` all take it. It works in the dtypes recorded, whatever `jax_enable_x64` says; to hand it 64-bit
    floats through another transformation, call that under `jax.enable_x64(True)`.

    Raises ShapeError (a RuntimeError) for inputs of other shapes or dtypes than recorded.
    """
    flat = lower_flat(tape)
    single = tape.results == 1 and len(tape.outputs) == 1 and (tape.structure is None or tape.structure.kind is None)

    @functools.wraps(flat)
    def program(*inputs: Any) -> Any:
        outputs = flat(*inputs)
        return outputs[0] if single else outputs

    return program


def lower_flat(tape: Tape, *, differentiable: bool = True) -> Callable[..., tuple[Any, ...]]:
    """As `lower`, always returning the tuple of the tape's outputs.

    Unless it is to be `differentiable`, steps that matter to its own derivative only are left out.
    """
    plan = functools.cache(lambda: plan_tape(tape))  # when first traced: some programs never are

    def program(*inputs: Any) -> tuple[Any, ...]:
        with jax.enable_x64(True):
            env: Env = dict(zip(tape.inputs, _checked_inputs(tape, inputs), strict=True))
            evaluate(plan(), env, values_only=not differentiable)
            return tuple([env[var] for var in tape.outputs])

    program.__name__ = program.__qualname__ = tape.name if tape.name.isidentifier() else "program"
    program.__doc__ = f"Lowered from the tape of {tape.name}."
    return program


def _checked_inputs(tape: Tape, inputs: Sequence[Any]) -> list[Any]:
    if len(inputs) != len(tape.inputs):
        raise TypeError(f"{tape.name}: the tape has {len(tape.inputs)} inputs, got {len(inputs)}")
    arrays = []
    for position, (x, var) in enumerate(zip(inputs, tape.inputs, strict=True)):
        array = jnp.asarray(x)
        if array.dtype != var.dtype and array.dtype.kind in "iu" and var.dtype.kind in "iu":
            array = array.astype(var.dtype)  # without x64, transformations outside hand int64 over as int32
        if array.shape != var.shape or array.dtype != var.dtype:
            raise ShapeError(
                f"{tape.name}: input {position} was recorded as {var.dtype}{list(var.shape)}, "
                f"got {array.dtype}{list(array.shape)}"
                + ("; call under jax.enable_x64(True)" if var.dtype.itemsize > array.dtype.itemsize else "")
            )
        arrays.append(array)
    return arrays


def evaluate(actions: Sequence[Action], env: Env, *, values_only: bool = False) -> None:
    """Evaluate the actions in order, adding their values to `env`: their `values_only` if no derivative is taken of
    them but by the regions among them.
    """
    for action in actions:
        if isinstance(action, Region):
            _run_region(action, env)
        elif isinstance(action, Block):
            _run_block(action, env)
        elif action.prim is backward:
            _pull(action, env, values_only)
        elif action.prim is jax_call:
            _call(action, env)
        elif values_only and action.prim in _SAME_VALUE:
            env[action.outputs[0]] = env[action.inputs[_SAME_VALUE[action.prim]]]
        else:
            run_step(action, env, values_only=values_only)


_SAME_VALUE = {stop_gradient: 0, rebind: 1, opaque: 0}
"""The operand whose value a primitive returns that is there for its derivative."""


def run_step(step: Step, env: Env, *, values_only: bool = False) -> None:
    """Add the output of a step of one output to `env`, in which its inputs are."""
    rule = RULES.get(step.prim)
    if rule is None:
        raise UnsupportedError(f"{step.prim.name}: no lowering rule")
    operands = [env[v] if isinstance(v, Var) else _literal(v, i, step) for i, v in enumerate(step.inputs)]
    compute = functools.partial(rule, **step.params) if values_only else _linearized_once(rule, step.params)
    with jax.named_scope(_scope(step)):
        value = compute(*operands)
    (out,) = step.outputs
    if value.shape != out.shape or value.dtype != out.dtype:
        raise RuleError(
            f"the lowering of {step.prim.name} gave {value.dtype}{list(value.shape)}, the tape has "
            f"{out.dtype}{list(out.shape)}"
        )
    _set(env, out, value)


def _linearized_once(rule: Rule, params: dict[str, Any]) -> Callable[..., Any]:
    """`rule` with `params`, such that JAX takes its derivative once for all operands of the same shapes and dtypes."""
    try:
        return _inlined(rule, tuple(params.items()), repr(params))
    except TypeError:  # a parameter that has no hash, an array say
        return functools.partial(rule, **params)


@functools.lru_cache(maxsize=4096)
def _inlined(rule: Rule, params: tuple[tuple[str, Any], ...], text: str) -> Callable[..., Any]:  # noqa: ARG001
    """A function that JAX traces once. `text` tells numbers apart that are equal: 0.0 and -0.0, 1 and True."""
    return jax.jit(functools.partial(rule, **dict(params)), inline=True)


def _set(env: Env, var: Var, value: Any) -> None:
    """The value of `var`; plus the zeros by which regions around take its gradient, where it is a leaf inside them."""
    for zeros in env.get((_ZEROS, var), ()):
        value = value + zeros
    env[var] = value


_ZEROS = "zeros"


def _call(step: Step, env: Env) -> None:
    """A JAX function, inlined."""
    operands = [env[v] if isinstance(v, Var) else v for v in step.inputs]
    function = step.params["function"].function
    with jax.named_scope(_scope(step)):
        leaves = jax.tree.leaves(function(*operands))
    kinds = [(leaf.shape, leaf.dtype) for leaf in leaves]
    if kinds != [(out.shape, out.dtype) for out in step.outputs]:
        raise RuleError(
            f"the JAX function {function.__name__} returned other shapes or dtypes than when it was recorded: "
            f"{[f'{dtype}{list(shape)}' for shape, dtype in kinds]}, on the tape {list(step.outputs)}"
        )
    for out, leaf in zip(step.outputs, leaves, strict=True):
        _set(env, out, leaf if out.requires_grad else lax.stop_gradient(leaf))


def _literal(value: Any, position: int, step: Step) -> Any:
    """A Python scalar operand as an array beside the others."""
    shape = step.outputs[0].shape
    if step.prim is where and position == 0:
        return lax.full(shape, value, np.bool_)
    others = [v.dtype for i, v in enumerate(step.inputs) if isinstance(v, Var) and not (step.prim is where and i == 0)]
    return lax.full(shape, value, others[0] if others else step.outputs[0].dtype)


def _scope(step: Step) -> str:
    """The user's line, as a name that profilers show."""
    source = step.source
    return step.prim.name if source is None else source.place


def _run_region(region: Region, env: Env) -> None:
    """Evaluate the region under `jax.vjp`; the pullback waits in `env` for the backward step."""
    leaves = tuple(dict.fromkeys(region.leaves))
    made = {var for step in region.steps for var in step.outputs}

    def function(*values: Any) -> tuple[list[Any], list[Any]]:
        inner = dict(env)
        for leaf, value in zip(leaves, values, strict=True):
            if leaf in made:
                inner[_ZEROS, leaf] = (*env.get((_ZEROS, leaf), ()), value)
            else:
                inner[leaf] = value
        evaluate(region.actions, inner)
        return [inner[var] for var in region.roots], [inner[var] for var in region.exports]

    starts = [jnp.zeros(leaf.shape, leaf.dtype) if leaf in made else env[leaf] for leaf in leaves]
    roots, pull, exported = jax.vjp(function, *starts, has_aux=True)
    env.update(zip(region.exports, exported, strict=True))
    env.update(zip(region.roots, roots, strict=True))
    env[region.target] = pull, leaves


def _pull(step: Step, env: Env, values_only: bool) -> None:
    """The backward step: PyTorch's cotangents are the conjugates of JAX's."""
    _, cotangents, leaves = backward_parts(step)
    pull, order = env[step]
    grads = dict(zip(order, pull([_conjugate(env[c]) for c in cotangents]), strict=True))
    for leaf, out in zip(leaves, step.outputs, strict=True):
        g = _conjugate(grads[leaf])
        _set(env, out, g if out.requires_grad or values_only else lax.stop_gradient(g))


def _conjugate(x: Any) -> Any:
    return lax.conj(x) if x.dtype.kind == "c" else x


def _run_block(block: Block, env: Env) -> None:
    """Evaluate the block under `jax.checkpoint`."""
    zeros = [key for step in block.steps for var in step.outputs if (key := (_ZEROS, var)) in env]

    @jax.checkpoint
    def function(values: list[Any]) -> list[Any]:
        inner: Env = dict(zip([*block.reads, *zeros], values, strict=True))
        evaluate(block.actions, inner)
        return [inner[var] for var in block.exports]

    exported = function([env[key] for key in (*block.reads, *zeros)])
    env.update(zip(block.exports, exported, strict=True))
