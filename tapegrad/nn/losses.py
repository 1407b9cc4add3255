"""Losses besides those of class numbers. `reduction` is "mean", "sum" or "none"; ValueError for another word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import ShapeError, TapegradError
from ..ops.common import broadcast_shapes, require_tensor, to_floating
from ..ops.elementwise import abs as abs_
from ..ops.elementwise import exp, log, log1p, sqrt, where
from ..ops.reductions import sum as sum_
from ..ops.requirements import require_no_negative, require_within
from ..ops.reshaping import broadcast_tensors
from ..ops.special import clamp_min, xlogy
from ..ops.support import warn_user
from ..tape import TensorBase, renamed
from .activations import logsigmoid
from .arguments import reduced, require_floating

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_similarity", "gaussian_nll_loss",
    "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "poisson_nll_loss",
    "smooth_l1_loss",
]  # fmt: skip


def _pair(op: str, input: Tensor, target: Tensor) -> None:
    """Refuse what are no tensors, or do not broadcast; warn where they differ in shape."""
    a = require_tensor(op, input, 1, "input")._array.shape
    b = require_tensor(op, target, 2, "target")._array.shape
    if a != b:
        warn_user(
            f"Using a target size (torch.Size({list(b)})) that is different to the input size (torch.Size({list(a)})). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size."
        )
    broadcast_shapes([a, b])


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """The absolute difference, by `weight` if given."""
    _pair("l1_loss", input, target)
    return _weighted(abs_(input - target), weight, reduction)


def _weighted(loss: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Reduced; a mean by weights is over their sum."""
    if weight is None:
        return reduced(loss, reduction)
    if weight._array.shape != loss._array.shape:
        raise ValueError("Weights and input must have the same size.")
    total = loss * weight
    return sum_(total) / sum_(weight) if reduction == "mean" else reduced(total, reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """`d * d / (2 * beta)` of differences `d` below `beta`, else `|d| - beta / 2`."""
    _pair("smooth_l1_loss", input, target)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    if beta < 0:
        raise TapegradError("smooth_l1_loss does not support negative values for beta.")
    size = abs_(input - target)
    loss = where(size < beta, size * size * (0.5 / beta), size - 0.5 * beta)
    return renamed("SmoothL1LossBackward0", reduced(loss, reduction))


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """`d * d / 2` of differences `d` below `delta`, else `delta * (|d| - delta / 2)`."""
    _pair("huber_loss", input, target)
    if delta <= 0:
        raise TapegradError("huber_loss does not support non-positive values for delta.")
    size = abs_(input - target)
    loss = where(size <= delta, size * size * 0.5, (size - 0.5 * delta) * delta)
    if weight is None:
        return renamed("HuberLossBackward0", reduced(loss, reduction))
    if weight._array.shape != loss._array.shape:
        raise ValueError("Weights and input must have the same size.")
    return reduced(loss * weight, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """`-(t log p + (1 - t) log(1 - p))` of probabilities `p`, by `weight` if given.

    Logarithms are -100 at least. Raises RuntimeError for an input beyond 0 and 1, ValueError for shapes that differ.
    """
    x = require_floating("binary_cross_entropy", input)
    if require_tensor("binary_cross_entropy", target, 2, "target")._array.shape != x._array.shape:
        raise ValueError(
            f"Using a target size (torch.Size({list(target._array.shape)})) that is different to the input size "
            f"(torch.Size({list(x._array.shape)})) is deprecated. Please ensure they have the same size."
        )
    message = "all elements of input should be between 0 and 1"
    require_within(x, 0, 1, "probability", lambda _: TapegradError(message))
    loss = _cross_entropies(x, target)
    loss = loss if weight is None else loss * weight
    return renamed("BinaryCrossEntropyBackward0", reduced(loss, reduction))


def _cross_entropies(x: Tensor, target: Tensor) -> Tensor:
    """The derivative is `(x - t) / max(x (1 - x), 1e-12)`; where that is 1e-12, it is said apart."""
    still = x.detach()
    edge = still * (1 - still) < 1e-12
    safe = where(edge, 0.5, x)
    high = where(edge, clamp_min(log(still), -100), log(safe))
    low = where(edge, clamp_min(log1p(-still), -100), log1p(-safe))
    slope = where(edge, (still - target.detach()) * 1e12, 0.0)
    return (target - 1) * low - target * high + (x - still) * slope


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of `sigmoid(x)`, safe for large `x`; `pos_weight` is a factor of the first term."""
    x = require_floating("binary_cross_entropy_with_logits", input)
    if require_tensor("binary_cross_entropy_with_logits", target, 2, "target")._array.shape != x._array.shape:
        raise ValueError(
            f"Target size (torch.Size({list(target._array.shape)})) must be the same as input size "
            f"(torch.Size({list(x._array.shape)}))"
        )
    below = logsigmoid(x)
    factor = 1 if pos_weight is None else (pos_weight - 1) * target + 1
    loss = (1 - target) * x - factor * below
    loss = loss if weight is None else loss * weight
    return renamed("BinaryCrossEntropyWithLogitsBackward0", reduced(loss, reduction))


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """`t * (log t - x)` of log-probabilities `x`; `target` holds the `t`, or their logarithms.

    "batchmean" is the sum over the first dim's length, the mean that the definition asks for.
    """
    _pair_quietly("kl_div", input, target)
    loss = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return sum_(loss) / input._array.shape[0] if input._array.ndim else sum_(loss)
    if reduction == "mean":
        warn_user(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release."
        )
    return reduced(loss, reduction)


def _pair_quietly(op: str, input: Tensor, target: Tensor) -> None:
    broadcast_shapes(
        [require_tensor(op, input, 1, "input")._array.shape, require_tensor(op, target, 2, "target")._array.shape]
    )


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """`x1 . x2 / (max(|x1|, eps) * max(|x2|, eps))` over a dim, which is gone."""
    a, b = [to_floating(require_tensor("cosine_similarity", x, i)) for i, x in ((1, x1), (2, x2))]
    a, b = broadcast_tensors(a, b)
    return sum_(a / _length(a, dim, eps) * (b / _length(b, dim, eps)), dim)


def _length(x: Tensor, dim: int, eps: float) -> Tensor:
    total = sum_(x * x, dim, keepdim=True)
    none = total == 0
    return clamp_min(where(none, 0.0, sqrt(where(none, 1.0, total))), eps)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """`x` where the target is 1, `max(0, margin - x)` where it is -1."""
    _pair_quietly("hinge_embedding_loss", input, target)
    apart = where(target != 1, clamp_min(margin - input, 0), 0.0)
    alike = where(target != -1, input, 0.0)
    return reduced(apart + alike, reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """`max(0, -target * (x1 - x2) + margin)`."""
    dims = [require_tensor("margin_ranking_loss", x, i)._array.ndim for i, x in enumerate((input1, input2, target), 1)]
    if len(set(dims)) > 1:
        sizes = [f"torch.Size({list(x._array.shape)})" for x in (input1, input2, target)]
        raise ShapeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{sizes[0]}, input2: {sizes[1]}, target: {sizes[2]} "
        )
    return reduced(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """`(log v + (x - t) ** 2 / v) / 2`, plus `log(2 pi) / 2` if `full`; variances `v` are `eps` at least.

    That has no part in the derivative. Raises ValueError for variances below 0, or of a shape that does not fit.
    """
    if not isinstance(var, TensorBase):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.detach() * 0 + var
    shape = input._array.shape
    if var._array.shape != shape:
        if var._array.shape == shape[:-1]:
            var = var.unsqueeze(-1)
        elif not (shape[:-1] == var._array.shape[:-1] and var._array.shape[-1] == 1):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    require_no_negative(var, "variance", lambda: ValueError("var has negative entry/entries"))
    low = var.detach() < eps
    safe = where(low, var - var.detach() + eps, var)
    loss = 0.5 * (log(safe) + (input - target) ** 2 / safe)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """`exp(x) - t * x`, or of rates, `x - t * log(x + eps)`; `full` adds Stirling's approximation of `log t!`."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = where(target > 1, target, 1.0)
        stirling = safe * log(safe) - safe + 0.5 * log(2 * math.pi * safe)
        loss = loss + where(target > 1, stirling, 0.0)
    return reduced(loss, reduction)
