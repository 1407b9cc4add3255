"""Attention."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ShapeError, TapegradError
from ..ops.common import dtype_of, require_tensor
from ..ops.creation import new_leaf
from ..ops.elementwise import where
from ..ops.linalg import matmul
from ..ops.reductions import amax, softmax
from ..ops.reshaping import mT
from ..ops.support import cpp_name
from ..ops.tiling import repeat_interleave
from .arguments import require_floating
from .dropout import dropout

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(query @ key.mT * scale + mask) @ value`: (..., targets, width of values).

    Args:
        query: (..., targets, width).
        key: (..., sources, width).
        value: (..., sources, width of values).
        attn_mask: of a shape that broadcasts to (..., targets, sources): bools that are True where a target may attend
            to a source, or floats that are added. A target that may attend to none gets zeros.
        dropout_p: the probability with which a weight is dropped.
        is_causal: whether target `i` may attend to sources up to `i` only; excludes `attn_mask`.
        scale: by default one over the root of the width.
        enable_gqa: whether each head (third dim from the end) of `key` and `value` serves several of `query`.

    Vaswani et al., Attention Is All You Need, arXiv:1706.03762. Raises RuntimeError for shapes and dtypes that do not
    fit.
    """
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        heads = query._array.shape[-3]
        key, value = [repeat_interleave(t, heads // t._array.shape[-3], -3) for t in (key, value)]
    width = query._array.shape[-1]
    factor = (1 / math.sqrt(width) if width else 0.0) if scale is None else scale
    scores = matmul(query * factor, mT(key))
    if is_causal:
        rows, columns = scores._array.shape[-2:]
        scores = where(new_leaf(np.tri(rows, columns, dtype=np.bool_)), scores, -math.inf)
        weights = softmax(scores, -1)
    else:
        weights = softmax(scores, -1) if attn_mask is None else _masked(scores, attn_mask)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return matmul(weights, value)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """The softmax where the mask allows it; 0, not nan, for a target without a source."""
    scores = where(mask, scores, -math.inf) if mask._array.dtype.kind == "b" else scores + mask.to(dtype_of(scores))
    none = amax(scores.detach(), -1, keepdim=True) == -math.inf
    return where(none, 0.0, softmax(where(none, 0.0, scores), -1))


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    op = "scaled_dot_product_attention"
    operands = [require_tensor(op, t, i, n) for i, (n, t) in enumerate(
        (("query", query), ("key", key), ("value", value)), 1)]  # fmt: skip
    if mask is not None and is_causal:
        raise TapegradError(f"_{op}: Explicit attn_mask should not be set when is_causal=True")
    names = [cpp_name(dtype_of(t)) for t in operands]
    if len(set(names)) > 1:
        raise TapegradError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {names[0]} key.dtype: "
            f"{names[1]} and value.dtype: {names[2]} instead."
        )
    dims = [t._array.ndim for t in operands]
    if min(dims) < 2:
        raise ShapeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {dims[0]} key.dim: "
            f"{dims[1]} and value.dim: {dims[2]} instead."
        )
    require_floating(op, query)
    if mask is not None and mask._array.dtype.kind in "iu":
        raise TapegradError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{cpp_name(dtype_of(mask))} and  query.dtype: {names[0]} instead."
        )
