"""Convolutions in one, two and three spatial dims, and transposed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..ops.common import dtype_of, require_tensor
from ..ops.reshaping import reshape, squeeze, unsqueeze
from ..ops.support import cpp_name, require_dtype
from ..primitives import convolution as p
from ..tape import apply, renamed
from .arguments import Ints, as_ints

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

_NAME = "ConvolutionBackward0"


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution (the kernel not flipped) in one spatial dim.

    Args:
        input: (batch, channels, length), or without the batch.
        weight: (out channels, channels / groups, kernel).
        bias: one number per out channel, added.
        stride: from one window to the next; one int, or one per spatial dim.
        padding: how many zeros are put in at both ends; "valid" is none, "same" as many as keep the length.
        dilation: from one entry of the kernel to the next.
        groups: into how many parts, that have nothing to do with each other, the channels are divided.

    Returns (batch, out channels, windows). Raises RuntimeError for shapes, numbers or dtypes that do not fit.
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution in two spatial dims: of (batch, channels, height, width); arguments as `conv1d`."""
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution in three spatial dims: of (batch, channels, depth, height, width); arguments as `conv1d`."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The transpose of `conv1d` with the same arguments, applied to what that returns.

    `weight` has the shape (channels, out channels / groups, kernel). Of the lengths that `conv1d` takes to that of
    `input` the result has the shortest plus `output_padding`. Raises RuntimeError as `conv1d` does.
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The transpose of `conv2d`; arguments as `conv_transpose1d`."""
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The transpose of `conv3d`; arguments as `conv_transpose1d`."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


# The two kinds


def _conv(
    op: str,
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: str | Ints,
    dilation: Ints,
    groups: int,
) -> Tensor:
    x, alone = _batch(op, dims, input, weight, bias)
    named = isinstance(padding, str)
    kernel = weight._array.shape[2:]
    ints = {"stride": stride, "padding": 0 if named else padding, "dilation": dilation}
    steps, pads, gaps = _per_dim(op, dims, weight, ints)
    pairs = _named_padding(padding, kernel, steps, gaps) if isinstance(padding, str) else tuple([(n, n) for n in pads])
    _check(x, weight, bias, groups, transposed=False)
    _check_dtypes("slow_conv2d_cpu", x, weight, bias)
    sizes = [n + low + high for n, (low, high) in zip(x._array.shape[2:], pairs, strict=True)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, gaps, strict=True)]
    if any(n < span for n, span in zip(sizes, spans, strict=True)):
        raise ShapeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, sizes))}). Kernel size: "
            f"({' x '.join(map(str, spans))}). Kernel size can't be greater than actual input size"
        )
    params = {"stride": steps, "padding": pairs, "dilation": gaps, "groups": groups}
    return _with_bias(apply(p.conv, (x, weight), params), bias, alone)


def _transposed(
    op: str,
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Tensor:
    y, alone = _batch(op, dims, input, weight, bias)
    if isinstance(padding, str):
        raise TypeError(f"{op}(): argument 'padding' must be tuple of ints, not str")
    ints = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    steps, pads, extras, gaps = _per_dim(op, dims, weight, ints)
    _check(y, weight, bias, groups, transposed=True)
    _check_dtypes("slow_conv_transpose2d_out_cpu", y, weight, bias)
    for extra, s, d in zip(extras, steps, gaps, strict=True):
        if extra >= max(s, d):
            raise ShapeError(_too_much_padding(extras, steps, gaps))
    found = y._array.shape[2:]
    spans = [d * (k - 1) + 1 for k, d in zip(weight._array.shape[2:], gaps, strict=True)]
    axes = list(zip(found, steps, pads, spans, extras, strict=True))
    shape = tuple([(n - 1) * s - 2 * pad + span + extra for n, s, pad, span, extra in axes])
    if any(n < 1 for n in shape):
        raise ShapeError(
            f"Given input size per channel: ({' x '.join(map(str, found))}). Calculated output size per channel: "
            f"({' x '.join(map(str, shape))}). Output size is too small"
        )
    # The convolution of the result must have as many windows as there are, not more: what is added after the last
    # may be a whole stride
    pairs = tuple([(pad, pad - extra // s * s) for _, s, pad, _, extra in axes])
    params = {"shape": shape, "stride": steps, "padding": pairs, "dilation": gaps, "groups": groups}
    return _with_bias(apply(p.conv_transpose, (y, weight), params), bias, alone)


def _with_bias(out: Tensor, bias: Tensor | None, alone: bool) -> Tensor:
    """With one number per channel added, and without the batch if there was none."""
    if bias is not None:
        out = out + reshape(bias, (-1, *[1] * (out._array.ndim - 2)))
    renamed(_NAME, out)
    return squeeze(out, 0) if alone else out


# Checks


def _batch(op: str, dims: int, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, bool]:
    """The input as a batch, and whether it is alone in it."""
    require_tensor(op, x, 1, "input")
    require_tensor(op, weight, 2, "weight")
    if bias is not None:
        require_tensor(op, bias, 3, "bias")
    ndim = x._array.ndim
    if ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {op}, but got input of size: "
            f"{list(x._array.shape)}"
        )
    return (unsqueeze(x, 0), True) if ndim == dims + 1 else (x, False)


def _per_dim(op: str, dims: int, weight: Tensor, given: dict[str, Any]) -> list[tuple[int, ...]]:
    """One int per spatial dim of the weight. Raises RuntimeError for others, and for numbers that make no sense."""
    count = weight._array.ndim - 2
    listed = {name: as_ints(op, name, value, dims) for name, value in given.items()}
    for name, ints in listed.items():
        if len(ints) not in (1, count):
            raise ShapeError(
                f"expected {name} to be a single integer value or a list of {count} values to match the convolution "
                f"dimensions, but got {name}={list(ints)}"
            )
    for name in ("padding", "output_padding"):
        if any(n < 0 for n in listed.get(name, ())):
            raise TapegradError(f"negative {name} is not supported")
    if any(n <= 0 for n in listed["stride"]):
        raise TapegradError("non-positive stride is not supported")
    if any(n <= 0 for n in listed["dilation"]):
        shown_ = f", but got {list(listed['dilation'])}" if not min(listed["dilation"]) else ""
        raise TapegradError(f"dilation should be greater than zero{shown_}")
    return [ints if len(ints) == count else ints * count for ints in listed.values()]


def _named_padding(name: str, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> p.Padding:
    """As many zeros as `name` says; an odd number has one more behind."""
    if name == "valid":
        return ((0, 0),) * len(kernel)
    if name != "same":
        raise TapegradError(f"Invalid padding string: '{name}'")
    if any(s != 1 for s in stride):
        raise TapegradError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple([(n // 2, n - n // 2) for n in totals])


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, *, transposed: bool) -> None:
    """Refuse channels that do not fit."""
    given, have = list(weight._array.shape), list(x._array.shape)
    mark = f"transposed={int(transposed)}" if transposed else f"groups={groups}"
    if groups <= 0:
        raise TapegradError("non-positive groups is not supported")
    if given[0] < groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{given} instead"
        )
    if given[0] % groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size [{given}] instead"
        )
    channels, outs = (given[0], given[1] * groups) if transposed else (given[1] * groups, given[0])
    if have[1] != channels:
        raise ShapeError(
            f"Given {mark}, weight of size {given}, expected input{have} to have {channels} channels, but got "
            f"{have[1]} channels instead"
        )
    if bias is not None and bias._array.shape != (outs,):
        size = f"Given {mark + ', ' if transposed else ''}weight of size {given}"
        raise ShapeError(
            f"{size}, expected bias to be 1-dimensional with {outs} elements, but got bias of size "
            f"{list(bias._array.shape)} instead"
        )


def _check_dtypes(kernel: str, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse dtypes that differ, and bools."""
    have, given = dtype_of(x), dtype_of(weight)
    if bias is not None and dtype_of(bias) is not have:
        raise TapegradError(
            f"Input type ({cpp_name(have)}) and bias type ({cpp_name(dtype_of(bias))}) should be the same"
        )
    if given is not have:
        raise TapegradError(f"expected scalar type {have.scalar_type} but found {given.scalar_type}")
    require_dtype(kernel, have, dtypes.INTEGRAL)


def _too_much_padding(extras: Sequence[int], steps: Sequence[int], gaps: Sequence[int]) -> str:
    names = ("depth", "height", "width")[3 - max(len(extras), 2) :]
    parts: list[str] = []
    for what, ints in (("output_padding", extras), ("stride", steps), ("dilation", gaps)):
        padded_ = (*[0 if what == "output_padding" else 1] * (2 - len(ints)), *ints)
        parts.extend(f"{what}_{name}: {n}" for name, n in zip(names, padded_, strict=True))
    return f"output padding must be smaller than either stride or dilation, but got {' '.join(parts)}"
