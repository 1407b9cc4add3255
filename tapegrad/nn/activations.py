"""Activations besides those that are operations of tensors. At a kink each takes PyTorch's derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ml_dtypes

from ..errors import ShapeError, TapegradError
from ..ops.common import dtype_of, normalise_dim, require_tensor, unary
from ..ops.common import inplace as overwrite
from ..ops.comparison import isnan
from ..ops.elementwise import abs as abs_
from ..ops.elementwise import expm1, sigmoid, tanh, where
from ..ops.parts import split
from ..ops.reductions import softmax
from ..ops.reshaping import reshape
from ..primitives import analytic
from ..tape import renamed
from .arguments import require_floating, widened

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "celu", "elu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "prelu", "relu6", "selu", "silu", "softmin", "softshrink", "softsign", "tanhshrink", "threshold",
]  # fmt: skip

_TWO_NODES = {"Elu", "Celu", "LeakyRelu", "Threshold"}
"""Those of which PyTorch has another node where they write over their input."""

_STRAIGHT = 40.0
"""From where on softplus is the identity, in float64 too."""


def _applied(node: str, function: Callable[..., Tensor], op: str, x: Any, inplace: bool, *args: Any) -> Tensor:
    """`function(x, *args)` of real floats, its node named after `node`; written over `x` if `inplace`."""
    require_floating(op, x)

    name = f"{node}Backward{int(inplace and node in _TWO_NODES)}"

    def compute(t: Tensor) -> Tensor:
        return renamed(name, widened(function)(t, *args))

    return overwrite(x, compute) if inplace else compute(x)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * sigmoid(x)`."""
    return _applied("Silu", lambda x: x * sigmoid(x), "silu", input, inplace)


def _softplus(x: Tensor) -> Tensor:
    return unary(analytic.softplus, x, beta=1.0, threshold=_STRAIGHT)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * tanh(softplus(x))`. Misra, arXiv:1908.08681."""
    return _applied("Mish", lambda x: x * tanh(_softplus(x)), "mish", input, inplace)


def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(x))`."""
    return _applied("LogSigmoid", lambda x: -_softplus(-x), "log_sigmoid", input, False)


def _exponential(x: Tensor, alpha: float, scale: float, rate: float) -> Tensor:
    """`scale * x` above 0, else `scale * alpha * (exp(rate * x) - 1)`, which is not taken above: it may overflow."""
    above = x > 0
    low = expm1(where(above, 0.0, x) * rate)
    return where(above, x * scale, low * (alpha * scale))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` above 0, else `alpha * (exp(x) - 1)`. Clevert, Unterthiner and Hochreiter, arXiv:1511.07289."""
    return _applied("Elu", _exponential, "elu", input, inplace, alpha, 1.0, 1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` scaled so as to keep mean 0 and variance 1. Klambauer et al., arXiv:1706.02515."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return _applied("Elu", _exponential, "selu", input, inplace, alpha, scale, 1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` above 0, else `alpha * (exp(x / alpha) - 1)`. Barron, arXiv:1704.07483."""
    if alpha == 0:
        raise TapegradError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _applied("Celu", _exponential, "celu", input, inplace, alpha, 1.0, 1 / alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` above 0, else `negative_slope * x`."""
    return _applied(
        "LeakyRelu", lambda x: where(x > 0, x, x * negative_slope), "leaky_relu", input, inplace
    )  # fmt: skip


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`x` above 0, else `weight * x`; `weight` has one number, or one per channel (dim 1).

    He et al., arXiv:1502.01852.
    """
    x = require_floating("prelu", input)
    channels = x._array.shape[1] if x._array.ndim > 1 else 1
    count = require_tensor("prelu", weight, 2, "weight")._array.size
    if count != 1:
        if not x._array.ndim:
            raise ShapeError("Not allow zero-dim input tensor.")
        if count != channels:
            raise ShapeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{count} and channel size = {channels}."
            )
    if weight._array.ndim > 1:
        raise ShapeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight._array.ndim}")
    ndim = x._array.ndim
    slope = reshape(weight, [-1 if axis == min(1, ndim - 1) else 1 for axis in range(ndim)])
    return renamed("PreluKernelBackward0", widened(lambda t, w: where(t > 0, t, w * t))(x, slope))


def _clipped(x: Tensor, low: float, high: float) -> Tensor:
    """The derivative is 0 at the bounds, too."""
    return where(x <= low, low, where(x >= high, high, x))


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` between the bounds, and the bound beyond."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _applied("Hardtanh", _clipped, "hardtanh", input, inplace, float(min_val), float(max_val))


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x, 0), 6)`."""
    return _applied("Hardtanh", _clipped, "hardtanh", input, inplace, 0.0, 6.0)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x / 6 + 1 / 2, 0), 1)`."""
    return _applied("Hardsigmoid", lambda x: _clipped(x + 3, 0.0, 6.0) / 6, "hardsigmoid", input, inplace)


def _hardswish(x: Tensor) -> Tensor:
    return where(x <= -3, 0.0, where(x >= 3, x, x * (x + 3) / 6))


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * hardsigmoid(x)`. Howard et al., arXiv:1905.02244."""
    return _applied("Hardswish", _hardswish, "hardswish", input, inplace)


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """`softmax(-x)` over `dim`."""
    if dim is None:
        dim = 0 if require_tensor("softmin", input)._array.ndim in (0, 1, 3) else 1
    return softmax(-input, dim, dtype=dtype)


def softsign(input: Tensor) -> Tensor:
    """`x / (1 + |x|)`."""
    return input / (abs_(input) + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """`x - tanh(x)`."""
    return input - tanh(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of a dim, times the sigmoid of the second. Dauphin et al., arXiv:1612.08083."""
    x = require_floating("glu", input)
    if not x._array.ndim:
        raise ShapeError("glu does not support scalars because halving size must be even")
    axis = normalise_dim("glu", dim, x._array.ndim)
    n = x._array.shape[axis]
    if n % 2:
        raise ShapeError(f"Halving dimension must be even, but dimension {axis} is size {n}")

    def gated(t: Tensor) -> Tensor:
        a, b = split(t, n // 2, axis) if n else (t, t)
        return a * sigmoid(b)

    return renamed("GluBackward0", widened(gated)(x))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`x` above `threshold`, else `value`."""

    def compute(x: Tensor) -> Tensor:
        return renamed(f"ThresholdBackward{int(inplace)}", where(x <= threshold, value, x))

    return overwrite(input, compute) if inplace else compute(require_tensor("threshold", input))


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x`, and 0 from `-lambd` to `lambd`."""
    return _applied("Hardshrink", lambda x: where((x >= -lambd) & (x <= lambd), 0.0, x), "hardshrink", input, False)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `lambd`, but not beyond."""
    if lambd < 0:
        d = dtype_of(input)
        top = float(ml_dtypes.finfo(d.numpy).max)  # type: ignore[no-untyped-call]
        raise TapegradError(
            f"lambda must be in range [0, {top:g}] for input dtype {d.scalar_type}, but found {lambd:g}"
        )
    return _applied("Softshrink", lambda x: _shrunk(x, lambd), "softshrink", input, False)


def _shrunk(x: Tensor, by: float) -> Tensor:
    return where(x > by, x - by, where(x < -by, x + by, where(isnan(x), x, 0.0)))
