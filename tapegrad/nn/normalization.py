"""Normalisation: to mean 0 and variance 1 over layers, groups, batches or instances, and to length 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..ops.common import cast_to, dtype_of, normalise_dims, require_tensor
from ..ops.elementwise import abs as abs_
from ..ops.elementwise import rsqrt, sqrt, where
from ..ops.reductions import amax, mean, var
from ..ops.reductions import sum as sum_
from ..ops.reshaping import expand_as, reshape
from ..ops.special import clamp_min
from ..primitives.normalization import standardize
from ..primitives.precision import is_half
from ..tape import apply, renamed
from .arguments import require_floating

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "normalize", "rms_norm"]


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`(x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance over the last dims.

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the lengths of these dims.
        weight: of that shape, or None.
        bias: of that shape, or None.
        eps: what is added to the variance.

    Ba, Kiros and Hinton, Layer Normalization, arXiv:1607.06450. Raises RuntimeError for shapes that do not fit.
    """
    x = require_floating("layer_norm", input, "LayerNormKernelImpl")
    axes = _last_axes("layer_norm", x, normalized_shape, ", ")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._array.shape != tuple(normalized_shape):
            raise ShapeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(t._array.shape)} and normalized_shape = {list(normalized_shape)}"
            )
    _check_mixed(x, weight, bias)
    return renamed("NativeLayerNormBackward0", _standardized(x, axes, eps, weight, bias))


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """`x / sqrt(mean(x * x) + eps) * weight`, the mean over the last dims; arguments as `layer_norm`.

    `eps` is by default that of the dtype. Zhang and Sennrich, Root Mean Square Layer Normalization, arXiv:1910.07467.
    """
    x = require_floating("rms_norm", input)
    axes = _last_axes("rms_norm", x, normalized_shape, "")
    if weight is not None and weight._array.shape != tuple(normalized_shape):
        raise ShapeError(
            "Expected weight to be of same shape as normalized_shape, but got weight of shape "
            f"{list(weight._array.shape)} and normalized_shape = {list(normalized_shape)}"
        )
    d = dtype_of(x)
    wide = cast_to(x, _width(x))
    if eps is None:
        eps = float(np.finfo(np.float64 if d is dtypes.float64 else np.float32).eps)
    out = wide * rsqrt(mean(wide * wide, axes, keepdim=True) + eps)
    out = out if weight is None else out * cast_to(weight, dtype_of(wide))
    return renamed("MulBackward0", cast_to(out, d))


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """As `layer_norm` over the dims behind the batch, within each of `num_groups` equal groups of channels.

    `input` is (batch, channels, *); `weight` and `bias` have one number per channel. Wu and He, Group Normalization,
    arXiv:1803.08494. Raises RuntimeError for shapes that do not fit, ValueError for a single value per group.
    """
    shape = require_tensor("group_norm", input, 1, "input")._array.shape
    if len(shape) < 2:
        raise ShapeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    _check_size([shape[0] * shape[1] // num_groups, num_groups, *shape[2:]], list(shape))
    x = require_floating("group_norm", input, "GroupNormKernelImpl")
    if shape[1] % num_groups:
        raise ShapeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._array.shape != (shape[1],):
            raise ShapeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(t._array.shape)} and input of shape {list(shape)}"
            )
    _check_mixed(x, weight, bias)
    grouped = reshape(x, (shape[0], num_groups, math.prod(shape[1:]) // num_groups))
    out = reshape(_standardized(grouped, (2,), eps), shape)
    return renamed("NativeGroupNormBackward0", _affine(out, weight, bias))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `layer_norm` for each channel, over all examples and the dims behind the channels.

    Args:
        input: (batch, channels, *).
        running_mean: one number per channel. If `training` it is moved towards the mean of the batch, in place; else it
            takes its place.
        running_var: the same of the variance, that with one degree of freedom less.
        weight: one number per channel, or None.
        bias: one number per channel, or None.
        training: whether mean and variance are those of the batch.
        momentum: how far the running ones are moved towards them.
        eps: what is added to the variance.

    Ioffe and Szegedy, Batch Normalization, arXiv:1502.03167. Raises RuntimeError for shapes that do not fit, ValueError
    for a single value per channel in training.
    """
    x = require_floating("batch_norm", input)
    shape = x._array.shape
    if training:
        _check_size(shape, f"torch.Size({list(shape)})")
    _check_momentum("batch_norm", momentum)
    if not training:
        for name, t in (("running_mean", running_mean), ("running_var", running_var)):
            if t is None:
                raise TapegradError(f"{name} must be defined in evaluation mode")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    name = "NativeBatchNormBackward0"
    if not training:
        assert running_mean is not None
        assert running_var is not None
        return renamed(name, _scaled(x, running_mean, running_var, weight, bias, eps))
    axes = tuple([axis for axis in range(len(shape)) if axis != 1])
    if running_mean is not None and running_var is not None:
        still = _wide(x.detach())
        _move(running_mean, mean(still, axes), momentum)
        _move(running_var, var(still, axes), momentum)
    return renamed(name, _standardized(x, axes, eps, weight, bias, channel_dim=True))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `batch_norm` of each example on its own, which is training if `use_input_stats`.

    The running statistics are moved towards the averages of those of the examples. Ulyanov, Vedaldi and Lempitsky,
    Instance Normalization, arXiv:1607.08022.
    """
    x = require_floating("instance_norm", input, "batch_norm")
    shape = x._array.shape
    if use_input_stats and math.prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size torch.Size({list(shape)})"
        )
    if not use_input_stats and (running_mean is None or running_var is None):
        raise TapegradError("Expected running_mean and running_var to be defined when use_input_stats is false")
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not use_input_stats:
        assert running_mean is not None
        assert running_var is not None
        return renamed("ViewBackward0", _scaled(x, running_mean, running_var, weight, bias, eps))
    axes = tuple(range(2, len(shape)))
    still = _wide(x.detach())
    if running_mean is not None:
        _move(running_mean, mean(mean(still, axes), 0), momentum)
    if running_var is not None:
        _move(running_var, mean(var(still, axes), 0), momentum)
    return renamed("ViewBackward0", _standardized(x, axes, eps, weight, bias, channel_dim=True))


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """`x / max(norm, eps)`, the norm being the `p`-norm over `dim`; its derivative where it is 0 is taken to be 0."""
    x = require_floating("normalize", input, "norm")
    norm = _norm(x, p, dim)
    return x / expand_as(clamp_min(norm, eps), x)


def _norm(x: Tensor, p: float, dim: Any) -> Tensor:
    axes = normalise_dims("norm", dim, x._array.ndim)
    if p == math.inf:
        return amax(abs_(x), axes, keepdim=True)
    total = sum_(x * x if p == 2 else abs_(x) if p == 1 else abs_(x) ** p, axes, keepdim=True)
    if p == 1:
        return total
    none = total == 0
    safe = where(none, 1.0, total)
    return where(none, 0.0, sqrt(safe) if p == 2 else safe ** (1 / p))


# What they share


def _width(x: Tensor) -> dtypes.dtype:
    """The dtype to compute in."""
    return dtypes.float32 if is_half(x._array.dtype) else dtype_of(x)


def _wide(x: Tensor) -> Tensor:
    return cast_to(x, _width(x))


def _standardized(
    x: Tensor,
    axes: tuple[int, ...],
    eps: float,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    channel_dim: bool = False,
) -> Tensor:
    """Mean 0, variance 1 over `axes`; then scaled and shifted, by dims counted from the end or by channel.

    16-bit floats are rounded once, at the end.
    """
    if weight is None and bias is None:
        return apply(standardize, (x,), {"axes": axes, "eps": float(eps)})
    out = apply(standardize, (_wide(x),), {"axes": axes, "eps": float(eps)})
    if channel_dim:
        return cast_to(_affine(out, weight, bias), dtype_of(x))
    if weight is not None:
        out = out * _wide(weight)
    return cast_to(out if bias is None else out + _wide(bias), dtype_of(x))


def _by_channel(t: Tensor, x: Tensor) -> Tensor:
    return reshape(_wide(t), (1, -1, *[1] * (x._array.ndim - 2)))


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Scaled and shifted by one number per channel."""
    out = _wide(x)
    if weight is not None:
        out = out * _by_channel(weight, x)
    if bias is not None:
        out = out + _by_channel(bias, x)
    return cast_to(out, dtype_of(x))


def _scaled(
    x: Tensor, average: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """`(x - average) / sqrt(variance + eps) * weight + bias`, as one product and one sum of the large array."""
    scale = rsqrt(_wide(variance) + eps)
    scale = scale if weight is None else scale * _wide(weight)
    shift = -_wide(average) * scale
    shift = shift if bias is None else shift + _wide(bias)
    return cast_to(_wide(x) * _by_channel(scale, x) + _by_channel(shift, x), dtype_of(x))


def _move(running: Tensor, towards: Tensor, momentum: float) -> None:
    """By `momentum`, in place."""
    running.mul_(1 - momentum).add_(cast_to(towards, dtype_of(running)), alpha=momentum)


# Checks


def _last_axes(op: str, x: Tensor, normalized_shape: Any, comma: str) -> tuple[int, ...]:
    if not isinstance(normalized_shape, Sequence):
        kind = type(normalized_shape).__name__
        raise TypeError(f"{op}(): argument 'normalized_shape' (position 2) must be tuple of ints, not {kind}")
    wanted, shape = list(normalized_shape), x._array.shape
    if not wanted:
        raise ShapeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    if len(shape) < len(wanted) or list(shape[-len(wanted) :]) != wanted:
        raise ShapeError(
            f"Given normalized_shape={wanted}, expected input with shape [*{comma}{', '.join(map(str, wanted))}], but "
            f"got input of size{list(shape)}"
        )
    return tuple(range(len(shape) - len(wanted), len(shape)))


def _check_mixed(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> None:
    """Refuse parameters of another dtype, but float32 beside 16-bit floats."""
    for t in (weight, bias):
        if t is not None and dtype_of(t) not in (dtype_of(x), _width(x)):
            wanted = f"expect parameter to have scalar type of {dtype_of(x).scalar_type}"
            if dtype_of(t) is dtypes.float32:
                wanted = "all inputs must share same datatype."
            raise TapegradError(f"mixed dtype (CPU): {wanted}")


def _check_size(shape: Sequence[int], text: Any) -> None:
    if math.prod([n for axis, n in enumerate(shape) if axis != 1]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {text}")


def _check_momentum(op: str, momentum: Any) -> None:
    if not isinstance(momentum, int | float):
        kind = type(momentum).__name__
        raise TypeError(f"{op}(): argument 'momentum' (position 7) must be float, not {kind}")


def _check_channels(x: Tensor, **parameters: Tensor | None) -> None:
    channels = x._array.shape[1] if x._array.ndim > 1 else 0
    for name, t in parameters.items():
        if t is not None and t._array.size != channels:
            raise ShapeError(f"{name} should contain {channels} elements not {t._array.size}")
