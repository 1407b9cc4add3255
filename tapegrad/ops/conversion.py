"""To another dtype, device or order in memory: `to`, `contiguous`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..devices import check_device, device
from ..dtypes import dtype
from ..errors import TapegradError
from ..formats import check_format, contiguous_format, is_in_format, lay_out, preserve_format
from ..primitives.structure import cast
from ..tape import TensorBase, apply
from .common import dtype_of, warn_if_discarding
from .creation import clone

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["contiguous", "is_contiguous", "to"]


def is_contiguous(input: Tensor, *, memory_format: Any = contiguous_format) -> bool:
    """Whether memory holds the elements in the order of `memory_format`, without gaps."""
    check_format("is_contiguous", memory_format)
    return is_in_format(input._array, memory_format or contiguous_format)


def contiguous(input: Tensor, *, memory_format: Any = contiguous_format) -> Tensor:
    """`input` if memory holds its elements in the order of `memory_format` without gaps, else a copy that does."""
    check_format("contiguous", memory_format)
    if is_in_format(input._array, memory_format):
        return input
    if memory_format is preserve_format:
        raise TapegradError("preserve memory format is unsupported by the contiguous operator")
    return clone(input, memory_format=memory_format)


def to(input: Tensor, *args: Any, memory_format: Any = None, **options: Any) -> Tensor:
    """`input` as asked for, itself if it is so already: `to(dtype)`, `to(device, dtype)`, or as another tensor is.

    `copy=True` copies in any case; `non_blocking` changes nothing on a CPU. `memory_format` is the order in memory,
    by default that of `input`.
    """
    check_format("to", memory_format)
    wanted, place, copy = _asked(args, **options)
    check_device(place)
    d = dtype_of(input) if wanted is None else dtypes.to_dtype(wanted)
    asked = preserve_format if memory_format is None else memory_format
    numbered = place is not None and device(place).index is not None  # "cpu:0" is not where `input` is: "cpu"
    reordered = asked is not preserve_format and not is_in_format(input._array, asked)
    if not (copy or numbered or reordered) and d.numpy == input._array.dtype:
        return input
    warn_if_discarding(input, d)
    return lay_out(apply(cast, (input,), {"dtype": d.numpy}), input._array, asked)


def _asked(
    args: tuple[Any, ...],
    dtype: Any = None,
    device: Any = None,
    tensor: Any = None,
    non_blocking: Any = False,
    copy: Any = False,
) -> tuple[Any, Any, bool]:
    """The dtype, the device, and whether to copy in any case. Raises TypeError for what has no place in a call."""
    rest = list(args)
    if tensor is not None:
        rest.insert(0, tensor)
    if rest and isinstance(rest[0], TensorBase):
        dtype = dtype_of(rest.pop(0))
    elif rest and _is_dtype(rest[0]):
        dtype = rest.pop(0)
    elif rest:
        device = rest.pop(0)
        if rest and (rest[0] is None or _is_dtype(rest[0])):
            dtype = rest.pop(0)
    flags = (*rest, *(non_blocking, copy)[len(rest) :])
    if len(flags) != 2 or not all(isinstance(flag, bool) for flag in flags):
        given = ", ".join(type(arg).__name__ for arg in args)
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({given}), but expected one of: (device, dtype, "
            "non_blocking, copy), (dtype, non_blocking, copy), (Tensor tensor, non_blocking, copy)"
        )
    return dtype, device, flags[1]


def _is_dtype(x: Any) -> bool:
    return isinstance(x, dtype | type)
