"""Random tensors. One generator per process, seeded by `manual_seed`; its state is no part of a tape."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .errors import TapegradError
from .ops.creation import check_device, new_leaf, shape_of
from .ops.support import require_dtype, spelled
from .tape import TensorBase, state

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["manual_seed", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm"]

_lock = threading.Lock()
_generator = np.random.Generator(np.random.Philox())


def manual_seed(seed: int) -> None:
    """Seed the generator: the draws that follow are the same after the same seed."""
    global _generator
    if state.recorder is not None:
        raise state.recorder.unsupported("manual_seed(): seed outside")
    with _lock:
        _generator = np.random.Generator(np.random.Philox(int(seed) % 2**64))


def _drawn(
    what: str, size: tuple[Any, ...], d: Any, device: Any, requires_grad: bool, draw: Any, default: Any = None
) -> Tensor:
    check_device(device)
    if state.recorder is not None:
        raise state.recorder.unsupported(f"{what}() draws random numbers: draw outside, pass the tensor in")
    shape = shape_of(what, size)
    found = (default or dtypes.get_default_dtype()) if d is None else dtypes.to_dtype(d)
    with _lock:
        values = np.asarray(draw(_generator, shape))
    return new_leaf(values.astype(found.numpy), requires_grad)


def _floating(what: str, d: Any) -> None:
    if d is not None:
        require_dtype(what, dtypes.to_dtype(d), dtypes.FLOATING)


@spelled
def rand(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform draws from [0, 1)."""
    _floating("rand", dtype)
    return _drawn("rand", size, dtype, device, requires_grad, _uniform)


def _uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    # 24 bits, so that rounding to float32 cannot give 1
    return generator.integers(0, 1 << 24, shape) / (1 << 24)


@spelled
def randn(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Draws from the standard normal distribution (for a complex dtype, of total variance one)."""
    _floating("randn", dtype)
    is_complex = dtype is not None and dtypes.to_dtype(dtype).is_complex
    return _drawn("randn", size, dtype, device, requires_grad, _complex_normal if is_complex else _normal)


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return generator.standard_normal(shape)


def _complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)) / np.sqrt(2)


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform integers from [low, high), or [0, low) as `randint(high, size)`. int64 unless `dtype` is given."""
    if size is None:
        low, high, size = 0, low, high
    if low >= high:
        raise TapegradError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if not isinstance(size, Sequence):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    return _drawn(
        "randint", (size,), dtype, device, requires_grad, lambda g, shape: g.integers(low, high, shape), dtypes.int64
    )


def randperm(n: int, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    return _drawn("randperm", (n,), dtype, device, False, lambda g, _: g.permutation(n), dtypes.int64)


def _like(x: Tensor, d: Any) -> Any:
    if not isinstance(x, TensorBase):
        raise TypeError(f"expected a Tensor, got {type(x).__name__}")
    return dtypes.from_numpy_dtype(x._array.dtype) if d is None else d


def rand_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`rand` in the shape and dtype of `input`."""
    return rand(*input._array.shape, dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`randn` in the shape and dtype of `input`."""
    return randn(*input._array.shape, dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`randint` in the shape and dtype of `input`."""
    low, high = (0, low) if high is None else (low, high)
    d = _like(input, dtype)
    return randint(low, high, input._array.shape, dtype=d, device=device, requires_grad=requires_grad)
