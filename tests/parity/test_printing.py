"""`format_tensor` against the installed PyTorch, over generated tensors and print options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapegrad import printing

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

Array = np.ndarray[Any, Any]

FLOATS = ["float16", "bfloat16", "float32", "float64"]
COMPLEX = {"complex64": "float32", "complex128": "float64"}
INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]

SHAPES = st.one_of(
    st.lists(st.integers(0, 5), max_size=4).map(tuple),
    st.sampled_from([(1,), (12,), (81,), (2, 37), (1000,), (40, 25), (0, 2000)]),
    st.sampled_from([(1001,), (2000, 1), (1, 1500), (34, 35), (7, 6, 30), (5, 7, 6, 8), (3, 3, 120)]),
)
SPECIALS = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
LIMITS = np.array([5e-324, 5e-5, 9.9999e-5, 1e-4, 0.99999, 1.0, 1000.0, 1001.0, 65504.0, 99999999.5, 1e8, 1.0001e8])

# How `size` float64 values of one character are drawn.
KINDS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "positive": lambda rng, size: rng.random(size),
    "small": lambda rng, size: rng.normal(size=size) * 10.0 ** rng.integers(-320, -2),
    "huge": lambda rng, size: rng.normal(size=size) * 10.0 ** rng.integers(3, 307),
    "mixed": lambda rng, size: rng.normal(size=size) * 10.0 ** rng.integers(-12, 12, size),
    "near limits": lambda rng, size: rng.uniform(1, 1000.5, size) * 10.0 ** rng.integers(-5, 6),
    "at limits": lambda rng, size: rng.choice(LIMITS, size) * rng.choice([-1, 1], size),
    "constant": lambda rng, size: np.full(size, rng.choice(LIMITS) * rng.choice([-1, 1])),
    "whole": lambda rng, size: np.rint(rng.normal(size=size) * 10.0 ** rng.integers(0, 10)),
    "halves": lambda rng, size: rng.integers(-20, 20, size) / 2,
    "decimal ties": lambda rng, size: (2 * rng.integers(-20, 20, size) + 1) / 2 ** rng.integers(1, 7),
    "special": lambda rng, size: rng.choice(SPECIALS, size),
}


@st.composite
def real_arrays(draw: st.DrawFn, shape: tuple[int, ...]) -> Array:
    """float64 values of one kind, some of them replaced by zeros, infinities and NaNs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = int(np.prod(shape, dtype=int))
    values = draw(st.sampled_from(list(KINDS.values())))(rng, size)
    holes = rng.random(size) < draw(st.sampled_from([0.0, 0.0, 0.1, 0.7]))
    values[holes] = rng.choice(SPECIALS if draw(st.booleans()) else SPECIALS[:1], holes.sum())
    return values.reshape(shape)


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Arrays of every dtype that prints."""
    shape = draw(SHAPES)
    dtype = draw(st.sampled_from([*FLOATS, *FLOATS, *COMPLEX, *COMPLEX, *INTEGERS, "bool"]))
    with np.errstate(all="ignore"):
        if dtype in FLOATS:
            return draw(real_arrays(shape)).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        if dtype in COMPLEX:
            array = np.empty(shape, dtype)
            array.real, array.imag = draw(real_arrays(shape)), draw(real_arrays(shape))
            return array
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype == "bool":
        return np.asarray(rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0])))
    limits = np.iinfo(dtype)
    low, high = draw(st.sampled_from([(0, 9), (0, 100), (-100, 100), (limits.min, limits.max)]))
    return rng.integers(max(low, limits.min), min(high, limits.max), shape, dtype, endpoint=True)


def to_torch(array: Array) -> Any:
    """The torch tensor of the same elements."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 12),
        "threshold": st.sampled_from([0, 5, 100, float("inf")]),
        "edgeitems": st.integers(0, 5),
        "linewidth": st.sampled_from([1, 20, 60, 120, 200]),
        "profile": st.sampled_from(["default", "short", "full"]),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)


def check(array: Array, options: dict[str, Any], *, gradient: str, default: str = "float32") -> None:
    """Assert that torch and `format_tensor` print `array` alike."""
    tensor = to_torch(array)
    grad_fn_name = None
    if gradient != "none" and (tensor.is_floating_point() or tensor.is_complex()):
        tensor = tensor.requires_grad_()
        if gradient == "node":
            tensor = tensor.view_as(tensor)
            grad_fn_name = type(tensor.grad_fn).__name__
    with torch.no_grad():
        torch.set_default_dtype(getattr(torch, default))
        torch.set_printoptions(**options)
        try:
            expected = repr(tensor)
        finally:
            torch.set_printoptions(profile="default")
            torch.set_default_dtype(torch.float32)
    defaults = {default, "complex128" if default == "float64" else "complex64", "int64", "bool"}
    with printing.printoptions(**options):
        got = printing.format_tensor(
            array,
            dtype_name=array.dtype.name,
            default_dtype=array.dtype.name in defaults,
            requires_grad=tensor.requires_grad,
            grad_fn_name=grad_fn_name,
        )
    assert got == expected


GRADIENTS = st.sampled_from(["none", "none", "leaf", "node"])


@settings(deadline=None)
@given(arrays(), GRADIENTS)
def test_prints_as_torch(array: Array, gradient: str) -> None:
    check(array, {}, gradient=gradient)


@settings(deadline=None)
@given(arrays(), OPTIONS, GRADIENTS, st.sampled_from(["float32", "float64", "float16", "bfloat16"]))
def test_prints_as_torch_under_any_options(array: Array, options: dict[str, Any], gradient: str, default: str) -> None:
    check(array, options, gradient=gradient, default=default)
