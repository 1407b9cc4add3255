"""Dropout, of elements or whole channels, and the activation with random slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..drawing import draw, uniforms
from ..errors import ShapeError, TapegradError
from ..ops import dropping
from ..ops.common import dtype_of, require_tensor
from ..ops.common import inplace as overwrite
from ..ops.elementwise import where
from ..ops.support import warn_user
from ..tape import renamed
from .arguments import require_floating

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "rrelu"]


def _check(p: float) -> None:
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element is 0 with probability `p`, else divided by `1 - p`; `input` itself unless `training`.

    Raises ValueError for what is no probability.
    """
    _check(p)
    return (dropping.dropout_ if inplace else dropping.dropout)(input, p, training)


def _of_channels(x: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    return (dropping.feature_dropout_ if inplace else dropping.feature_dropout)(x, p, training)


def _of_one(x: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """The same of one example, whose first dim is that of the channels."""
    out = _of_channels(x.unsqueeze(0), p, training, inplace).squeeze(0)
    return x if inplace else out


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of `input`, (n, channels, length) or (channels, length)."""
    _check(p)
    ndim = require_tensor("dropout1d", input, 1, "input")._array.ndim
    if ndim not in (2, 3):
        raise ShapeError(
            f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension (i.e. 2D or 3D inputs)."
        )
    return (_of_channels if ndim == 3 else _of_one)(input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of `input`, (n, channels, height, width). Other ranks are deprecated."""
    _check(p)
    ndim = require_tensor("dropout2d", input, 1, "input")._array.ndim
    _warn_of_rank("dropout2d", ndim, 2)
    if ndim == 3:
        warn_user(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain "
            "the 1D channel-wise dropout behavior, please switch to using dropout1d instead."
        )
    return _of_channels(input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of `input`, (n, channels, depth, height, width), or without n."""
    _check(p)
    ndim = require_tensor("dropout3d", input, 1, "input")._array.ndim
    _warn_of_rank("dropout3d", ndim, 3)
    return (_of_channels if ndim == 5 else _of_one)(input, p, training, inplace)


def _warn_of_rank(op: str, ndim: int, spatial: int) -> None:
    ranks = spatial + 1, spatial + 2
    if ndim not in ranks:
        warn_user(
            f"{op}: Received a {ndim}-D input to {op}, which is deprecated and will result in an error in a future "
            f"release. To retain the behavior and silence this warning, please use dropout instead. Note that {op} "
            f"exists to provide channel-wise dropout on inputs with {spatial} spatial dimensions, a channel dimension, "
            f"and an optional batch dimension (i.e. {ranks[0]}D or {ranks[1]}D inputs)."
        )


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean 0 and variance 1, for networks of SELUs. Klambauer et al., arXiv:1706.02515."""
    _check(p)
    return (dropping.alpha_dropout_ if inplace else dropping.alpha_dropout)(input, p, training)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of `input`, (n, channels, ...)."""
    _check(p)
    return (dropping.feature_alpha_dropout_ if inplace else dropping.feature_alpha_dropout)(input, p, training)


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """`x` above 0, else `x` times a slope: a uniform draw from [lower, upper) if `training`, or else their mean.

    Xu et al., arXiv:1505.00853.
    """
    if lower > upper:
        raise TapegradError("Lower bound should be less than or equal to the upper bound")
    x = require_floating("rrelu", input, "rrelu_with_noise_out_cpu" if training else "leaky_relu_cpu")

    def compute(x: Tensor) -> Tensor:
        slope: Any = (lower + upper) / 2
        if training:
            slope = draw("rrelu", None, x._array.shape, uniforms(dtype_of(x))) * (upper - lower) + lower
        return renamed(f"RreluWithNoiseBackward{int(inplace)}", where(x > 0, x, x * slope))

    return overwrite(x, compute) if inplace else compute(x)
