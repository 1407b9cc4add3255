"""Padding: constant numbers, mirrored, repeated or wrapped around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError, TapegradError, UnsupportedError
from ..ops.common import dtype_of, require_tensor
from ..ops.creation import new_leaf
from ..ops.joining import cat
from ..ops.reshaping import expand
from ..primitives import shaping
from ..tape import apply, renamed
from .arguments import as_ints

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["pad"]

Pairs = list[tuple[int, int]]
_NAMES = {"reflect": "ReflectionPad{}DBackward0", "replicate": "ReplicationPad{}DBackward0", "circular": "CopySlices"}


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with elements added at the ends of its last dims, or taken off where a number is negative.

    Args:
        input: of any shape.
        pad: for the last dim the numbers before and after, then for the dim before that, and so on.
        mode: what is added: "constant" `value`s (0 by default); "reflect" the input mirrored at its edge, which is not
            repeated; "replicate" the edge; "circular" the other end. All but the first need one or two dims in front.
        value: what is added, if that is a constant.

    Raises RuntimeError for numbers that do not fit, NotImplementedError for modes and shapes that do not.
    """
    shape = require_tensor("pad", input, 1, "input")._array.shape
    numbers = as_ints("pad", "pad", pad, 1)
    if len(numbers) % 2:
        raise ShapeError("Padding length must be divisible by 2")
    if len(numbers) > 2 * len(shape):
        raise ShapeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(numbers)} and input of dimension {len(shape)}"
        )
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))[::-1]
    if mode == "constant":
        return renamed("ConstantPadNdBackward0", _constant(input, pairs, 0.0 if value is None else value))
    if value is not None and value != 0:
        raise TapegradError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _NAMES:
        raise UnsupportedError(f"Unrecognised padding mode {mode}")
    if not (1 <= len(pairs) <= 3 and len(shape) in (len(pairs) + 1, len(pairs) + 2)):
        raise UnsupportedError(
            f"Padding size {len(numbers)} is not supported for {len(shape)}D input tensor.\nSupported combinations for "
            "non-constant padding:\n  - 2D or 3D input: padding size = 2 (pads last dimension)\n  - 3D or 4D input: "
            "padding size = 4 (pads last 2 dimensions)\n  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    lead = len(shape) - len(pairs)
    for axis, pair in enumerate(pairs, lead):
        _check(mode, shape, axis, pair)
    out = input
    for axis, pair in enumerate(pairs, lead):
        if mode == "circular":  # what is left is wrapped around; a mirror or an edge is that of the whole
            out = _extended(_cropped(out, axis, pair), axis, pair, mode)
        else:
            out = _cropped(_extended(out, axis, pair, mode), axis, pair)
    return renamed(_NAMES[mode].format(len(pairs)), out)


def _constant(x: Tensor, pairs: Pairs, value: float) -> Tensor:
    lead = x._array.ndim - len(pairs)
    for axis, (low, high) in enumerate(pairs, lead):
        if x._array.shape[axis] + low + high < 0:
            raise ShapeError("narrow(): length must be non-negative.")
        x = _cropped(x, axis, (low, high))
    whole = [(0, 0)] * lead + [(max(low, 0), max(high, 0)) for low, high in pairs]
    index = tuple([slice(low, low + n) for n, (low, _) in zip(x._array.shape, whole, strict=True)])
    shape = tuple([low + n + high for n, (low, high) in zip(x._array.shape, whole, strict=True)])
    if not value:
        return apply(shaping.unslice, (x,), {"shape": shape, "index": index})
    d = dtype_of(x).numpy
    base = new_leaf(np.full(shape, int(value) if d.kind in "iu" else value, d))
    return apply(shaping.slice_scatter, (base, x), {"index": index})


def _cut(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return apply(shaping.slice_, (x,), {"index": (*[slice(None)] * axis, slice(start, stop))})


def _cropped(x: Tensor, axis: int, pair: tuple[int, int]) -> Tensor:
    """Without what negative numbers take off."""
    low, high = max(-pair[0], 0), max(-pair[1], 0)
    return _cut(x, axis, low, x._array.shape[axis] - high) if low or high else x


def _extended(x: Tensor, axis: int, pair: tuple[int, int], mode: str) -> Tensor:
    """With what positive numbers add."""
    low, high = max(pair[0], 0), max(pair[1], 0)
    n = x._array.shape[axis]
    if not low and not high:
        return x
    if mode == "reflect":
        parts = [_mirrored(_cut(x, axis, 1, low + 1), axis), x, _mirrored(_cut(x, axis, n - high - 1, n - 1), axis)]
    elif mode == "replicate":
        parts = [_repeated(_cut(x, axis, 0, 1), axis, low), x, _repeated(_cut(x, axis, n - 1, n), axis, high)]
    else:
        parts = [_cut(x, axis, n - low, n), x, _cut(x, axis, 0, high)]
    return cat([part for part in parts if part._array.shape[axis]], axis)


def _mirrored(x: Tensor, axis: int) -> Tensor:
    return apply(shaping.flip, (x,), {"axes": (axis,)})


def _repeated(x: Tensor, axis: int, count: int) -> Tensor:
    return expand(x, (*[-1] * axis, count, *[-1] * (x._array.ndim - axis - 1)))


def _check(mode: str, shape: Any, axis: int, pair: tuple[int, int]) -> None:
    """Refuse more than there is to mirror or to wrap around."""
    low, high = pair
    if mode == "reflect" and (low >= shape[axis] or high >= shape[axis]):
        raise ShapeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({low}, {high}) at dimension {axis} of input {list(shape)}"
        )
    if mode == "circular" and (low > shape[axis] or high > shape[axis]):
        raise ShapeError("Padding value causes wrapping around more than once.")
    if mode == "circular" and shape[axis] + low + high < 0:
        raise ShapeError("Negative padding value is resulting in an empty dimension")
