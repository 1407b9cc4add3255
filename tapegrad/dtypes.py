"""Data types, PyTorch's promotion rules and the default floating dtype.

The names and their printed form (`torch.float32`) are PyTorch's, since a tensor's repr is PyTorch's to the letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import ml_dtypes
import numpy as np

__all__ = [
    "DTYPES",
    "bfloat16",
    "bool_",
    "can_cast",
    "complex64",
    "complex128",
    "default_complex_dtype",
    "dtype",
    "float16",
    "float32",
    "float64",
    "from_numpy_dtype",
    "get_default_dtype",
    "int8",
    "int16",
    "int32",
    "int64",
    "promote_types",
    "scalar_dtype",
    "set_default_dtype",
    "to_dtype",
    "uint8",
]

BOOL, INTEGRAL, FLOATING, COMPLEX = range(4)  # PyTorch's categories, lowest first


class dtype:  # noqa: N801  (PyTorch's name)
    """The type of a tensor's elements, as `torch.dtype`."""

    __slots__ = ("category", "is_complex", "is_floating_point", "is_signed", "itemsize", "name", "numpy", "scalar_type")

    def __init__(self, name: str, numpy_type: Any, category: int, scalar_type: str) -> None:
        self.name: Final = name
        self.scalar_type: Final = scalar_type  # what PyTorch's errors call it
        self.numpy: Final[np.dtype[Any]] = np.dtype(numpy_type)
        self.category: Final = category
        self.itemsize: Final[int] = self.numpy.itemsize
        self.is_floating_point: Final = category == FLOATING
        self.is_complex: Final = category == COMPLEX
        self.is_signed: Final = name not in ("uint8", "bool")

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name if self.name != "bool" else "bool_"


bool_ = dtype("bool", np.bool_, BOOL, "Bool")
uint8 = dtype("uint8", np.uint8, INTEGRAL, "Byte")
int8 = dtype("int8", np.int8, INTEGRAL, "Char")
int16 = dtype("int16", np.int16, INTEGRAL, "Short")
int32 = dtype("int32", np.int32, INTEGRAL, "Int")
int64 = dtype("int64", np.int64, INTEGRAL, "Long")
float16 = dtype("float16", np.float16, FLOATING, "Half")
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOATING, "BFloat16")
float32 = dtype("float32", np.float32, FLOATING, "Float")
float64 = dtype("float64", np.float64, FLOATING, "Double")
complex64 = dtype("complex64", np.complex64, COMPLEX, "ComplexFloat")
complex128 = dtype("complex128", np.complex128, COMPLEX, "ComplexDouble")

DTYPES: Final = (
    bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip
_FROM_NUMPY: Final = {d.numpy: d for d in DTYPES}
_FROM_PYTHON: Final[dict[type, dtype]] = {bool: bool_, int: int64}
_COMPLEX_OF: Final = {float16: complex64, bfloat16: complex64, float32: complex64, float64: complex128}

_default = float32


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats, float32 at start."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype of tensors made from Python floats. Raises TypeError unless `d` is a floating dtype."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}")
    _default = d


def default_complex_dtype() -> dtype:
    """The complex dtype whose parts have the default dtype (complex64 for the 16-bit ones)."""
    return _COMPLEX_OF[_default]


def complex_dtype(d: dtype) -> dtype:
    """The complex dtype whose parts are `d`; `d` itself when it is complex."""
    return d if d.is_complex else _COMPLEX_OF.get(d, default_complex_dtype())


def from_numpy_dtype(numpy_dtype: np.dtype[Any]) -> dtype:
    """The dtype of a NumPy dtype. Raises TypeError for one that tensors cannot hold."""
    try:
        return _FROM_NUMPY[numpy_dtype]
    except KeyError:
        names = ", ".join(d.name for d in DTYPES)
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype}. The only supported types are: {names}."
        ) from None


def to_dtype(d: Any) -> dtype:
    """The dtype meant by a dtype, Python type (`float` is float64, as in PyTorch), NumPy dtype or its name."""
    if isinstance(d, dtype):
        return d
    if d is float:
        return float64
    if d is complex:
        return complex128
    if d in _FROM_PYTHON:
        return _FROM_PYTHON[d]
    try:
        return from_numpy_dtype(np.dtype(d))
    except TypeError:
        raise TypeError(f"dtype: expected a tapegrad dtype such as tapegrad.float32, got {d!r}") from None


def scalar_dtype(value: complex) -> dtype:
    """The dtype a Python scalar becomes on its own: bool, int64, the default dtype or its complex one."""
    if isinstance(value, bool | np.bool_):
        return bool_
    if isinstance(value, int | np.integer):
        return int64
    return default_complex_dtype() if isinstance(value, complex) else _default


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype both convert to, by PyTorch's table (`torch.promote_types`)."""
    if a is b:
        return a
    if a.category < b.category:
        a, b = b, a
    if a.category > b.category:
        widened = a.is_complex and b.is_floating_point and complex_dtype(b).itemsize > a.itemsize
        return complex_dtype(b) if widened else a
    if a.category == INTEGRAL and uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    if a.itemsize == b.itemsize:  # float16 with bfloat16
        return float32
    return a if a.itemsize > b.itemsize else b


def result_of(groups: Iterable[dtype | None]) -> dtype | None:
    """PyTorch's rule of priorities: tensors with dims, then 0-d tensors, then Python scalars.

    `groups` holds the promoted dtype of each, highest priority first, None where there is none. A lower one changes
    the result only if its category is higher.
    """
    result: dtype | None = None
    for candidate in groups:
        if result is None or (candidate is not None and candidate.category > result.category):
            if result is not None and candidate is not None and candidate.is_complex and result.is_floating_point:
                candidate = complex_dtype(result)  # a complex scalar keeps the precision of the float it meets
            result = candidate if candidate is not None else result
    return result


def can_cast(source: dtype, target: dtype) -> bool:
    """Whether an in-place operation may store `source` values in a `target` tensor (`torch.can_cast`)."""
    return source.category <= target.category or (source.category == INTEGRAL and target.category == INTEGRAL)
