"""Gradients limited, by their norm or by value, in place. No value is asked for, unless `error_if_nonfinite` is set.

`foreach` is PyTorch's choice between implementations: here there is one.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...autograd.grad_mode import no_grad
from ...errors import TapegradError
from ...ops.common import inplace
from ...ops.creation import tensor
from ...ops.elementwise import clamp, mul, sqrt
from ...ops.joining import stack
from ...ops.norms import vector_norm
from ...ops.reductions import sum
from ...tape import is_tensor

if TYPE_CHECKING:
    from ...tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = Any  # a Tensor or an iterable of them


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if is_tensor(tensors) else list(tensors)


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001
) -> Tensor:
    """The norm of order `norm_type` of all elements of the tensors, as if they were one vector; 0 for none.

    Raises RuntimeError for a norm that is not finite, if asked to.
    """
    listed = _listed(tensors)
    order = float(norm_type)
    if not listed:
        return tensor(0.0)
    if order == 2 and all(t._array.dtype.char in "fd" for t in listed):
        total = sqrt(sum(stack([sum(mul(t, t)) for t in listed])))
    else:
        total = vector_norm(stack([vector_norm(t, order) for t in listed]), order)
    if error_if_nonfinite and not total.isfinite():
        raise TapegradError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            "To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors,
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,  # noqa: ARG001
) -> None:
    """Multiply each gradient by `max_norm / (total_norm + 1e-6)`, if that is less than 1."""
    scale = clamp(max_norm / (total_norm + 1e-6), max=1.0)
    for grad in _gradients(_listed(parameters)):
        grad.mul_(scale)


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that their norm, as one vector, is at most `max_norm`. Returns the norm before.

    Raises RuntimeError, before anything is changed, for a norm that is not finite, if asked to.
    """
    listed = _listed(parameters)
    if isinstance(parameters, types.GeneratorType) and not listed:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    total = get_total_norm(_gradients(listed), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(listed, max_norm, total, foreach)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:  # noqa: ARG001
    """Limit each element of the gradients to [`-clip_value`, `clip_value`]."""
    for grad in _gradients(_listed(parameters)):
        inplace(grad, clamp, -clip_value, clip_value)
