"""Random tensors: uniform, normal, whole numbers, permutations. See `generator` for where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .devices import check_device
from .drawing import Made, check_bounds, draw, drawn, normals, uniforms, whole_numbers
from .errors import TapegradError
from .formats import check_format, lay_out, preserve_format
from .generator import (
    Generator,
    default_generator,
    fork_rng,
    generator_at,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .ops.creation import new_leaf, require_differentiable, shape_of
from .ops.support import overflow, require_dtype, spelled
from .primitives.indexing import argsort
from .primitives.structure import cast
from .tape import TensorBase

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Generator", "default_generator", "drawn", "fork_rng", "generator_at", "get_rng_state", "initial_seed",
    "manual_seed", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "seed",
    "set_rng_state",
]  # fmt: skip


def _drawn(
    what: str, size: tuple[Any, ...], d: dtypes.dtype, generator: Any, made: Any, device: Any, requires_grad: bool
) -> Tensor:
    check_device(device)
    shape = shape_of(what, size)
    if requires_grad and d.category < dtypes.FLOATING:
        require_differentiable(new_leaf(np.empty(0, d.numpy)))
    return draw(what, generator, shape, made(d), requires_grad)


# What users call


def _floating(what: str, d: Any) -> dtypes.dtype:
    found = dtypes.get_default_dtype() if d is None else dtypes.to_dtype(d)
    require_dtype(what, found, dtypes.FLOATING)
    return found


@spelled
def rand(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Uniform draws from [0, 1) (for a complex dtype, of both parts)."""
    d = _floating("check_uniform_bounds", dtype)
    return _drawn("rand", size, d, generator, uniforms, device, requires_grad)


@spelled
def randn(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Draws from the standard normal distribution (for a complex dtype, of total variance one)."""
    d = _floating("normal_kernel_cpu", dtype)
    return _drawn("randn", size, d, generator, _unit_normals, device, requires_grad)


def _unit_normals(d: dtypes.dtype) -> Made:
    made = normals(d)
    if not d.is_complex:
        return made
    return Made(made.words, lambda bits: made.values(bits) * 0.5**0.5, paired=True)


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform integers from [low, high), or [0, low) as `randint(high, size)`. int64 unless `dtype` is given."""
    if size is None:
        low, high, size = 0, low, high
    low, high = _bound("randint", "low", low), _bound("randint", "high", high)
    d = dtypes.int64 if dtype is None else dtypes.to_dtype(dtype)
    check_bounds(low, high, d)
    if not isinstance(size, Sequence):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    return _drawn("randint", (size,), d, generator, lambda d: whole_numbers(low, high, d), device, requires_grad)


def _bound(what: str, name: str, bound: Any) -> int:
    if not hasattr(bound, "__index__"):
        raise TypeError(f"{what}(): argument '{name}' must be int, not {type(bound).__name__}")
    number = int(bound)
    if not -(2**63) <= number < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return number


def randperm(
    n: int, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The integers from 0 to n - 1 in random order: that of n numbers of 64 bits (equal ones stay in order)."""
    length = _bound("randperm", "n", n)
    d = dtypes.int64 if dtype is None else dtypes.to_dtype(dtype)
    require_dtype("randperm", d, dtypes.INTEGRAL, dtypes.FLOATING)
    shape_of("randperm", (length,))
    _check_length(length, d)

    def made(d: dtypes.dtype) -> Made:
        return Made(2, lambda bits: cast(argsort(bits, axis=bits.ndim - 1), dtype=d.numpy))

    return _drawn("randperm", (length,), d, generator, made, device, requires_grad)


_LONGEST = {"float16": (2**11 + 1, "2049"), "float32": (2**24 + 1, "2^24+1"), "float64": (2**53 + 1, "2^53+1")}


def _check_length(n: int, d: dtypes.dtype) -> None:
    """Raise, in PyTorch's words, unless `d` can hold the integers below `n`."""
    if d.name in _LONGEST:
        longest, text = _LONGEST[d.name]
        if n > longest:
            raise TapegradError(f"n cannot be greater than {text} for {d.scalar_type} type.")
    elif d.category == dtypes.INTEGRAL and n > np.iinfo(d.numpy).max + 1:
        raise overflow(d)


def _like(name: str, draw: Any, x: Tensor, *args: Any, memory_format: Any, dtype: Any, **options: Any) -> Tensor:
    """`draw` of the shape of `x`, in its dtype unless another is given, in memory as it is or as asked."""
    if not isinstance(x, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    check_format(name, memory_format)
    d = dtypes.from_numpy_dtype(x._array.dtype) if dtype is None else dtype
    return lay_out(draw(*args, size=x._array.shape, dtype=d, **options), x._array, memory_format)


def rand_like(
    input: Tensor,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """`rand` in the shape and dtype of `input`."""
    options = {"generator": generator, "device": device, "requires_grad": requires_grad}
    return _like("rand_like", rand, input, dtype=dtype, memory_format=memory_format, **options)


def randn_like(
    input: Tensor,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """`randn` in the shape and dtype of `input`."""
    options = {"generator": generator, "device": device, "requires_grad": requires_grad}
    return _like("randn_like", randn, input, dtype=dtype, memory_format=memory_format, **options)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """`randint` in the shape and dtype of `input`."""
    bounds = (0, low) if high is None else (low, high)
    options = {"generator": generator, "device": device, "requires_grad": requires_grad}
    return _like("randint_like", randint, input, *bounds, dtype=dtype, memory_format=memory_format, **options)
