"""Functions of neural networks: those of activations and class numbers are here, others in modules by family."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..ops import elementwise
from ..ops.common import broadcast_shapes, dtype_of, require_tensor, result_type, unary
from ..ops.common import inplace as overwrite
from ..ops.comparison import ne
from ..ops.elementwise import sigmoid, tanh, where
from ..ops.linalg import matmul
from ..ops.reductions import log_softmax, mean, softmax
from ..ops.reductions import sum as sum_
from ..ops.requirements import require_class
from ..ops.support import require_dtype
from ..primitives import analytic, losses
from ..tape import apply, renamed
from .activations import (
    celu,
    elu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu6,
    selu,
    silu,
    softmin,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from .adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from .attention import scaled_dot_product_attention
from .convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout, rrelu
from .embedding import embedding, one_hot
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_similarity,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from .normalization import batch_norm, group_norm, instance_norm, layer_norm, normalize, rms_norm
from .padding import pad
from .pooling import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "alpha_dropout", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "cross_entropy", "dropout",
    "dropout1d", "dropout2d", "dropout3d", "elu", "embedding", "feature_alpha_dropout", "gaussian_nll_loss", "gelu",
    "glu", "group_norm", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss",
    "instance_norm", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid",
    "margin_ranking_loss", "max_pool1d", "max_pool2d", "max_pool3d", "mish", "mse_loss", "nll_loss", "normalize",
    "one_hot", "pad", "poisson_nll_loss", "prelu", "relu", "relu6", "relu_", "rms_norm", "rrelu",
    "scaled_dot_product_attention", "selu", "sigmoid", "silu", "smooth_l1_loss", "softmax", "softmin", "softplus",
    "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`, written over `input` if `inplace`; its derivative at 0 is 0."""
    return relu_(input) if inplace else elementwise.relu(input)


def relu_(input: Tensor) -> Tensor:
    """`relu`, written over `input`, which is returned."""
    return overwrite(require_tensor("relu_", input, 1, "input"), elementwise.relu)


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`."""
    _require_floating("softplus", input)
    return unary(analytic.softplus, input, beta=float(beta), threshold=float(threshold))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`x` times the standard normal distribution function of `x`, or its tanh approximation.

    Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415.
    """
    x = _require_floating("gelu", input)
    if approximate == "none":
        return unary(analytic.gelu, x)
    if approximate != "tanh":
        raise TapegradError("approximate argument must be either none or tanh.")
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return renamed("GeluBackward0", 0.5 * x * (1 + tanh(inner)))


def _require_floating(op: str, x: Tensor) -> Tensor:
    require_dtype(op, dtype_of(require_tensor(op, x)), dtypes.FLOATING, dtypes.FLOATING)
    return x


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`: (*, in) and (out, in) and (out,) give (*, out)."""
    out = matmul(input, weight.t())
    return out if bias is None else out + bias


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return sum_(loss)
    if reduction == "mean":
        return mean(loss)
    raise ValueError(f"{reduction} is not a valid value for reduction: expected 'none', 'mean' or 'sum'")


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The squared difference, averaged over all elements."""
    broadcast_shapes(
        [require_tensor("mse_loss", input)._array.shape, require_tensor("mse_loss", target, 2)._array.shape]
    )
    require_dtype("mse_loss", result_type(input, target), dtypes.FLOATING)
    difference = input - target
    return renamed("MseLossBackward0", _reduced(difference * difference, reduction))


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the target class.

    Args:
        input: log-probabilities, shape (classes,), (n, classes) or (n, classes, d1, ...).
        target: int64 class numbers, of that shape without the classes.
        weight: one factor per class, shape (classes,); the mean is then the weighted one.
        ignore_index: a target to leave out.
        reduction: "mean", "sum" or "none".

    Raises RuntimeError for shapes or dtypes that do not fit, IndexError for a target that is no class.
    """
    axis = 1 if require_tensor("nll_loss", input)._array.ndim > 1 else 0
    _check_targets(input, target, weight, axis, ignore_index)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction: expected 'none', 'mean' or 'sum'")
    kernel = "nll_loss2d_forward_out_frame" if target._array.ndim > 1 else "nll_loss_out_frame"
    require_dtype(kernel, dtype_of(input), dtypes.FLOATING, dtypes.FLOATING)
    params = {"axis": axis, "ignore_index": ignore_index, "reduction": "none" if weight is not None else reduction}
    loss = apply(losses.nll_loss, (input, target), params)
    if weight is None:
        return loss
    kept = ne(target, ignore_index)
    factor = where(kept, weight[where(kept, target, 0)], 0.0)
    total = _reduced(loss * factor, "sum" if reduction == "mean" else reduction)
    return renamed("NllLossBackward0", total / sum_(factor) if reduction == "mean" else total)


def _check_targets(input: Tensor, target: Tensor, weight: Tensor | None, axis: int, ignore_index: int) -> None:
    """Refuse targets that do not fit."""
    shape, wanted = require_tensor("nll_loss", input)._array.shape, require_tensor("nll_loss", target, 2)._array.shape
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if weight is not None and weight._array.shape != (shape[axis],):
        raise ShapeError(
            f"weight tensor should be defined either for all {shape[axis]} classes or no classes but got weight "
            f"tensor of shape: {list(weight._array.shape)}"
        )
    if target._array.dtype != np.int64:
        raise TapegradError(f"nll_loss(): expected target of dtype {dtypes.int64}, but got {dtype_of(target)}")
    if len(wanted) == len(shape) - 1 and axis == 1 and wanted and wanted[0] != shape[0]:
        raise ValueError(f"Expected input batch_size ({shape[0]}) to match target batch_size ({wanted[0]}).")
    if wanted != (*shape[:axis], *shape[axis + 1 :]):
        raise ShapeError(
            f"nll_loss(): expected target of shape {[*shape[:axis], *shape[axis + 1 :]]} for input of shape "
            f"{list(shape)}, got {list(wanted)}"
        )
    require_class(target, shape[axis], ignore_index, lambda bad: IndexError(f"Target {bad} is out of bounds."))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """`nll_loss` of the log-softmax of `input` (logits), or the cross entropy with target probabilities.

    Targets are int64 class numbers, or floating probabilities of the shape of `input`. Arguments as `nll_loss`.
    """
    axis = 1 if require_tensor("cross_entropy", input)._array.ndim > 1 else 0
    if not 0.0 <= label_smoothing <= 1.0:
        raise TapegradError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    logs = log_softmax(input, axis)
    if (
        require_tensor("cross_entropy", target, 2)._array.shape == input._array.shape
        and target._array.dtype.kind not in "biu"
    ):
        return _soft_cross_entropy(logs, target, axis, weight, reduction, label_smoothing)
    if label_smoothing:
        return _smoothed_cross_entropy(logs, target, axis, weight, ignore_index, reduction, label_smoothing)
    return nll_loss(logs, target, weight, ignore_index=ignore_index, reduction=reduction)


def _per_class(weight: Tensor, logs: Tensor, axis: int) -> Tensor:
    shape: list[Any] = [1] * logs._array.ndim
    shape[axis] = -1
    return weight.reshape(shape)


def _soft_cross_entropy(
    logs: Tensor, target: Tensor, axis: int, weight: Tensor | None, reduction: str, smoothing: float
) -> Tensor:
    classes = logs._array.shape[axis]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    terms = logs * target if weight is None else logs * target * _per_class(weight, logs, axis)
    loss = -sum_(terms, axis)
    if reduction != "mean":
        return _reduced(loss, reduction)
    return sum_(loss) / max(loss._array.size, 1) if loss._array.ndim else loss


def _smoothed_cross_entropy(
    logs: Tensor,
    target: Tensor,
    axis: int,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    """(1 - s) times the loss of the target plus s times the mean loss of all classes."""
    hard = nll_loss(logs, target, weight, ignore_index=ignore_index, reduction=reduction)
    weighted = logs if weight is None else logs * _per_class(weight, logs, axis)
    kept = ne(target, ignore_index)
    smooth = where(kept, -sum_(weighted, axis), 0.0)
    if reduction == "mean":
        counted = kept.to(dtype_of(logs))
        if weight is not None:
            counted = where(kept, weight[where(kept, target, 0)], 0.0)
        smooth = sum_(smooth) / sum_(counted)
    elif reduction == "sum":
        smooth = sum_(smooth)
    return hard * (1 - smoothing) + smooth * (smoothing / logs._array.shape[axis])
