"""What `gradcheck` asks of a derivative besides its values: batches, zeros, and gradients that are not there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GradcheckError
from ..ops.creation import zeros_like
from ..ops.shaping import stack
from ..random import randn_like
from ..tape import TensorBase, wrap
from .backward import grad
from .function import Function
from .gradcheck_compare import Directions, close
from .gradcheck_jacobians import Problem, as_tuple, differentiable, is_inexact, is_target, with_tangents

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "check_batched", "check_batched_tangents", "check_missing_tangents", "check_multiplied", "check_undefined",
]  # fmt: skip

Array = np.ndarray[Any, Any]
Func = Callable[..., Any]

_UNDEFINED_IS_NEW = (
    "Backwards compatibility: New undefined gradient support checking feature is enabled by default, but it may break "
    "existing callers of this function. If this is true for you, you can call this function with "
    '"check_undefined_grad=False" to disable the feature'
)
_BATCHED = (
    "gradcheck or gradgradcheck failed while testing batched gradient computation.\n"
    "Call gradcheck/gradgradcheck with `check_batched_grad=False` as a keyword argument, or have the backward use "
    "operations that can be batched only."
)
_BATCHED_AHEAD = (
    "gradcheck failed while testing batched gradient computation with forward-mode AD.\n"
    "Call gradcheck with `check_batched_forward_grad=False` as a keyword argument, or have the function use operations "
    "that can be batched only."
)


def check_missing_tangents(problem: Problem) -> None:
    """An input without a tangent must do what one with a tangent of zeros does."""
    directions = Directions()
    tangents = [directions.vector(x._array).reshape(x._array.shape) for x in problem.targets]
    for j, x in enumerate(problem.targets):
        zeros = [np.zeros_like(t) if i == j else t for i, t in enumerate(tangents)]
        missing = [None if i == j else t for i, t in enumerate(tangents)]
        pairs = zip(with_tangents(problem, zeros), with_tangents(problem, missing), strict=True)
        for i, ((_, a), (_, b)) in enumerate(pairs):
            if a is not None and b is not None and not close(a._array, b._array, 1e-5, 1e-8):
                raise GradcheckError(
                    f"Mismatch in tangent values for output with index: {i} when input: {x} has an undefined tangent "
                    f"value. Got: {a} but expected: {b}"
                )


def check_batched_tangents(func: Func, inputs: tuple[Any, ...]) -> None:
    """Tangents for a batch of those of an input must be those for each."""
    from ..func import vmap

    for place, x in enumerate(inputs):
        if not is_target(x):
            continue
        tangents = [randn_like(x) for _ in range(2)]
        push = _pushing(func, inputs, place)
        each = [push(tangent) for tangent in tangents]
        try:
            batch = vmap(push)(stack(tangents))
        except RuntimeError as error:
            raise GradcheckError(f"While computing batched gradients, got: {error}\n\n{_BATCHED_AHEAD}") from error
        for i, got in enumerate(batch):
            _check_batch(got._array, np.stack([found[i]._array for found in each]), i, place, _BATCHED_AHEAD)


def _pushing(func: Func, inputs: tuple[Any, ...], place: int) -> Func:
    """The tangents of all floating and complex outputs as a function of that of the input at `place`."""
    from . import forward_ad

    def push(tangent: Tensor) -> tuple[Tensor, ...]:
        with forward_ad.dual_level():
            given = [x.detach() if isinstance(x, TensorBase) else x for x in inputs]  # type: ignore[attr-defined]
            given[place] = forward_ad.make_dual(given[place], tangent)
            parts = [forward_ad.unpack_dual(out) for out in as_tuple(func(*given)) if is_inexact(out)]
            return tuple([zeros_like(primal) if pushed is None else pushed for primal, pushed in parts])

    return push


def check_batched(out: Tensor, targets: Sequence[Tensor], index: int) -> None:
    """Gradients for a batch of cotangents of `out`, output number `index`, must be those for each."""
    cotangents = [randn_like(out) for _ in range(2)]
    each = [grad(out, targets, g, retain_graph=True, allow_unused=True) for g in cotangents]
    try:
        batch = grad(out, targets, stack(cotangents), retain_graph=True, allow_unused=True, is_grads_batched=True)
    except RuntimeError as error:
        raise GradcheckError(f"While computing batched gradients, got: {error}\n\n{_BATCHED}") from error
    for place, (x, got) in enumerate(zip(targets, batch, strict=True)):
        found = [np.zeros_like(x._array) if gs[place] is None else gs[place]._array for gs in each]  # type: ignore[union-attr]
        expected = np.stack(found)
        _check_batch(np.zeros_like(expected) if got is None else got._array, expected, index, place, _BATCHED)


def _check_batch(got: Array, expected: Array, output: int, place: int, advice: str) -> None:
    if not close(got, expected, 1e-5, 1e-8):
        raise GradcheckError(
            f"For output {output} and input {place}:\n\n{advice}\n\nGot:\n{wrap(got)}\n\nExpected:\n{wrap(expected)}"
        )


def check_multiplied(outputs: Sequence[Tensor], targets: Sequence[Tensor], masked: bool) -> None:
    """Gradients for cotangents of zeros must be zeros."""
    for g in grad(outputs, targets, [zeros_like(out) for out in outputs], allow_unused=True):
        if g is not None and not (close(g._array, 0 * g._array, 1e-5, 1e-8) if masked else (g._array == 0).all()):
            raise GradcheckError("backward not multiplied by grad_output")


class _Undefined(Function):
    """The identity, with no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004  (the signature is Function's)
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> None:  # noqa: ARG004
        return None


def check_undefined(func: Func, inputs: tuple[Any, ...], targets: Sequence[Tensor]) -> None:
    """No gradient for all outputs, and for one of several, must do what zeros do."""
    outputs = differentiable(func(*inputs))
    _check_undefined_at([_Undefined.apply(out) for out in outputs], targets)
    for at in range(len(outputs)) if len(outputs) > 1 else ():
        outputs = differentiable(func(*inputs))
        outputs[at] = _Undefined.apply(outputs[at])
        _check_undefined_at(outputs, targets)


def _check_undefined_at(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    try:
        grads = grad(outputs, targets, [zeros_like(out) for out in outputs], allow_unused=True)
    except RuntimeError as error:
        warnings.warn(_UNDEFINED_IS_NEW, stacklevel=5)  # the caller of gradcheck
        raise GradcheckError(
            "Expected backward function to handle undefined output grads: it gets None for an output that no gradient "
            "came to, where it says set_materialize_grads(False)"
        ) from error
    if not all(g is None or (g._array == 0).all() for g in grads):
        warnings.warn(_UNDEFINED_IS_NEW, stacklevel=5)
        raise GradcheckError(
            "Expected all input grads to be undefined or zero when all output grads are undefined or zero"
        )
