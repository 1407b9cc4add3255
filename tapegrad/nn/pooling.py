"""Pooling: maxima and means of windows of a given size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..ops.common import dtype_of, require_tensor
from ..ops.support import require_dtype
from ..primitives import pooling as p
from ..tape import apply, renamed
from .arguments import Ints, as_ints, require_floating, shown

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]

_MAX_NAMES = "SqueezeBackward1", "MaxPool2DWithIndicesBackward0", "MaxPool3DWithIndicesBackward0"
_AVG_NAMES = "SqueezeBackward1", "AvgPool2DBackward0", "AvgPool3DBackward0"


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of the last dim.

    Args:
        input: (batch, channels, length), or without the batch.
        kernel_size: the length of a window.
        stride: from one window to the next; by default its length.
        padding: how far windows may begin before the input, or end behind it: half their length at most.
        dilation: from one entry of a window to the next.
        ceil_mode: whether a last window may end behind the input and its padding.
        return_indices: whether to return as well where in the spatial dims, flattened, the maxima are (int64).

    Of equal maxima of a window the first has the derivative. Raises RuntimeError for numbers that do not fit.
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of the last two dims; arguments as `max_pool1d`, one int or one per dim."""
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of the last three dims; arguments as `max_pool1d`, one int or one per dim."""
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of the last dim; arguments as `max_pool1d`.

    Padding counts as zeros, or if not `count_include_pad`, not at all. What of a window is behind the padding does not.
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of the last two dims, or its sum over `divisor_override`; arguments as `avg_pool1d`."""
    args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool2d", 2, input, *args)


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of the last three dims, or its sum over `divisor_override`; arguments as `avg_pool1d`."""
    args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool3d", 3, input, *args)


# Windows of a given size


def _max_pool(
    op: str,
    dims: int,
    x: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    _check_input(op, dims, x)
    window, steps, pads, gaps = _numbers(op, dims, kernel_size, stride, padding, dilation)
    kernel, lowest = ("max_pool1d_impl", dtypes.FLOATING) if dims == 1 else (op, dtypes.INTEGRAL)
    require_dtype(kernel, dtype_of(x), lowest, dtypes.FLOATING)
    pairs, _ = _fitted(op, x, window, steps, pads, gaps, ceil_mode)
    params = {"window": window, "stride": steps, "padding": pairs, "dilation": gaps}
    out = renamed(_MAX_NAMES[dims - 1], apply(p.max_pool, (x,), params))
    return (out, apply(p.max_pool_index, (x,), params)) if return_indices else out


def _avg_pool(
    op: str,
    dims: int,
    x: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    _check_input(op, dims, x)
    window, steps, pads, gaps = _numbers(op, dims, kernel_size, stride, padding, 1)
    if divisor_override == 0:
        raise TapegradError("divisor must be not zero")
    require_floating(op, x, f"avg_pool{max(dims, 2)}d")
    pairs, counts = _fitted(op, x, window, steps, pads, gaps, ceil_mode)
    sizes = x._array.shape[-dims:]
    axes = zip(sizes, window, steps, pads, counts, strict=True)
    divisors = [_lengths(*axis, count_include_pad) for axis in axes]
    if divisor_override is not None:
        divisors = [(divisor_override if i == 0 else 1,) * n for i, n in enumerate(counts)]
    params = {"window": window, "stride": steps, "padding": pairs, "divisors": tuple(divisors)}
    return renamed(_AVG_NAMES[dims - 1], apply(p.avg_pool, (x,), params))


def _lengths(size: int, k: int, s: int, pad: int, count: int, padding_counts: bool) -> tuple[int, ...]:
    """How many elements each window along an axis is the mean of."""
    found = []
    for i in range(count):
        start = i * s - pad
        stop = min(start + k, size + pad)
        found.append(stop - start if padding_counts else min(stop, size) - max(start, 0))
    return tuple(found)


def _check_input(op: str, dims: int, x: Tensor) -> None:
    shape = require_tensor(op, x, 1, "input")._array.shape
    if len(shape) not in (dims + 1, dims + 2):
        if dims == 1:
            raise ShapeError(f"{op}() Expected 2D or 3D input tensor, but got {len(shape)}D")
        kinds = f"{dims + 1}D or {dims + 2}D (batch mode)"
        raise ShapeError(f"non-empty {kinds} tensor expected for input")
    if dims > 1 and not math.prod(shape[-dims - 1 :]):
        raise ShapeError(
            f"Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got:{list(shape)}"
        )


def _numbers(op: str, dims: int, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[tuple[int, ...]]:
    """Window, stride, padding and dilation, one int per dim. Raises RuntimeError for what makes no sense."""
    if stride is None or (isinstance(stride, Sequence) and not len(stride)):
        stride = kernel
    found = []
    for name, value in (("kernel_size", kernel), ("stride", stride), ("padding", padding), ("dilation", dilation)):
        ints = as_ints(op, name, value, dims)
        if len(ints) not in (1, dims):
            many = {1: "one int", 2: "two ints", 3: "three ints"}[dims]
            raise ShapeError(f"{op}: {name} must either be a single int, or a tuple of {many}")
        found.append(ints if len(ints) == dims else ints * dims)
    _refuse_numbers(op, *found)
    return found


def _refuse_numbers(op: str, window: Any, steps: Any, pads: Any, gaps: Any) -> None:
    if op == "max_pool1d":
        _refuse_numbers_of_a_line(window[0], steps[0], pads[0], gaps[0])
        return
    if 0 in steps:
        raise TapegradError("stride should not be zero")
    if min(window) <= 0 or min(steps) <= 0:
        raise TapegradError(f"kernel size and stride should be greater than zero, but got {window} and {steps}")
    if min(gaps) <= 0:
        names = ("T", "H", "W")[-len(gaps) :]
        parts = " ".join(f"dilation{name}: {d}" for name, d in zip(names, gaps, strict=True))
        raise TapegradError(f"dilation should be greater than zero, but got {parts}")
    for k, pad, d in zip(window, pads, gaps, strict=True):
        if pad < 0:
            raise TapegradError(f"pad must be non-negative, but got pad: {pad}")
        if pad > ((k - 1) * d + 1) // 2:
            raise TapegradError(
                f"pad should be at most half of effective kernel size, but got pad={pad}, kernel_size={k} and "
                f"dilation={d}"
            )
    if any(pad > k // 2 for k, pad in zip(window, pads, strict=True)):
        raise TapegradError(
            f"pad should be smaller than or equal to half of kernel size, but got {_named(window, pads)}"
        )


def _refuse_numbers_of_a_line(k: int, s: int, pad: int, d: int) -> None:
    """As PyTorch says it of `max_pool1d`."""
    for name, n in (("kernel_size", k), ("stride", s), ("dilation", d)):
        if n <= 0:
            raise TapegradError(f"max_pool1d() {name} must be greater than zero, but got {n}")
    if pad < 0:
        raise TapegradError(f"max_pool1d() padding must be non-negative, but got {pad}")
    if pad > k // 2:
        raise TapegradError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={pad} and kernel_size={k}"
        )


def _named(window: Sequence[int], pads: Sequence[int]) -> str:
    """Windows and padding in the order in which PyTorch's errors list them."""
    order = ("T", "W", "H")[-len(window) :]
    axes = dict(zip(("T", "H", "W")[-len(window) :], zip(window, pads, strict=True), strict=True))
    if len(window) == 2:
        parts = [f"{what}{name} = {axes[name][i]}" for what, i in (("pad", 1), ("k", 0)) for name in order]
        return ", ".join(parts)
    return " ".join([f"{what}{name}: {axes[name][i]}" for what, i in (("k", 0), ("pad", 1)) for name in order])


def _fitted(
    op: str, x: Tensor, window: Any, steps: Any, pads: Any, gaps: Any, ceil_mode: bool
) -> tuple[tuple[tuple[int, int], ...], list[int]]:
    """The padding at both ends with which the windows fit in, and their number per dim."""
    sizes = x._array.shape[-len(window) :]
    pairs, counts = [], []
    for n, k, s, pad, d in zip(sizes, window, steps, pads, gaps, strict=True):
        span = d * (k - 1) + 1
        count = (n + 2 * pad - span + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + pad:
            count -= 1  # a window begins in the input, or before it
        counts.append(count)
        pairs.append((pad, max(pad, (count - 1) * s + span - n - pad)))
    if any(count < 1 for count in counts):
        if op == "max_pool1d":
            raise ShapeError(f"max_pool1d() Invalid computed output size: {counts[0]}")
        channels = x._array.shape[-len(window) - 1]
        ones = [1] * (len(window) == 1)
        raise ShapeError(
            f"Given input size: ({shown([channels, *ones, *sizes])}). Calculated output size: "
            f"({shown([channels, *ones, *counts])}). Output size is too small"
        )
    return tuple(pairs), counts
