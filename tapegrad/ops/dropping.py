"""Dropout as `torch.dropout` and its kin: elements, or whole channels, set to zero at random, the others scaled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..drawing import chances, draw
from ..dtypes import FLOATING
from ..errors import DtypeError, ShapeError, TapegradError
from .common import dtype_of, require_tensor
from .creation import zeros

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout", "feature_alpha_dropout_",
    "feature_dropout", "feature_dropout_",
]  # fmt: skip

_ALPHA = 1.7580993408473766
"""Minus what SELU tends to: the value of dropped elements of a self-normalizing network (arXiv:1706.02515)."""


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Each element is 0 with probability `p`, else divided by `1 - p`; `input` itself unless `train`.

    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (JMLR 15, 2014).
    """
    return _scaled("dropout", input, p, train, whole=False)


def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout`, written over `input`, which is returned."""
    return _scaled("dropout_", input, p, train, whole=False, inplace=True)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout` of whole channels: all that has the same first two indices is dropped, or not, together."""
    return _scaled("feature_dropout", input, p, train, whole=True)


def feature_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`feature_dropout`, written over `input`, which is returned."""
    return _scaled("feature_dropout_", input, p, train, whole=True, inplace=True)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout that keeps mean 0 and variance 1: what is dropped has the value that SELU tends to.

    Klambauer et al., Self-normalizing neural networks, arXiv:1706.02515.
    """
    return _shifted("alpha_dropout", input, p, train, whole=False)


def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`alpha_dropout`, written over `input`, which is returned."""
    return _shifted("alpha_dropout_", input, p, train, whole=False, inplace=True)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`alpha_dropout` of whole channels."""
    return _shifted("feature_alpha_dropout", input, p, train, whole=True)


def feature_alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`feature_alpha_dropout`, written over `input`, which is returned."""
    return _shifted("feature_alpha_dropout_", input, p, train, whole=True, inplace=True)


def _scaled(op: str, x: Tensor, p: float, train: bool, *, whole: bool, inplace: bool = False) -> Tensor:
    if _idle(op, x, p, train):
        return x
    if p == 1:
        return _times(x, zeros((), dtype=dtype_of(x)), inplace)
    kept = _kept(op, x, p, whole)
    return _times(x, kept / (1 - p), inplace)


def _shifted(op: str, x: Tensor, p: float, train: bool, *, whole: bool, inplace: bool = False) -> Tensor:
    if _idle(op, x, p, train):
        return x
    if p == 1:
        return _times(x, zeros((), dtype=dtype_of(x)), inplace)
    kept = _kept(op, x, p, whole)
    scale = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
    shift = (kept - 1) * (_ALPHA * scale) + _ALPHA * scale * p
    factor = kept * scale
    return x.mul_(factor).add_(shift) if inplace else x * factor + shift


def _idle(op: str, x: Any, p: float, train: bool) -> bool:
    """Whether nothing is to be dropped. Raises RuntimeError for what is no probability."""
    size = require_tensor(op, x, 1, "input")._array.size
    if not 0 <= p <= 1:
        raise TapegradError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    return p == 0 or not train or not size


def _kept(op: str, x: Tensor, p: float, whole: bool) -> Tensor:
    """One for what is kept, zero for what is dropped: per element, or per channel if `whole`."""
    shape, d = x._array.shape, dtype_of(x)
    if whole:
        if len(shape) < 2:
            raise ShapeError("Feature dropout requires at least 2 dimensions in the input")
        shape = (*shape[:2], *[1] * (len(shape) - 2))
    if d.category > FLOATING:
        raise DtypeError(f"\"bernoulli_scalar_cpu_\" not implemented for '{d.scalar_type}'")
    if d.category < FLOATING:
        raise TapegradError(f"result type Float can't be cast to the desired output type {d.scalar_type}")
    return draw(op, None, shape, chances(1 - p, d))


def _times(x: Tensor, factor: Tensor, inplace: bool) -> Tensor:
    return x.mul_(factor) if inplace else x * factor
