"""finfo and iinfo: what the numbers of a dtype can be."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from . import dtypes
from .dtypes import dtype

__all__ = ["finfo", "iinfo"]


class _Limits:
    """What both have in common: values that are read and compared, never written."""

    __slots__ = ("bits", "dtype", "max", "min")

    _shown: tuple[str, ...]

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"attribute '{name}' of 'torch.{type(self).__name__}' objects is not writable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Limits) and type(self) is type(other) and self.dtype == other.dtype  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.dtype))  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        values = [(name, getattr(self, name)) for name in self._shown]
        shown = [f"{name}={value if isinstance(value, str) else format(value, 'g')}" for name, value in values]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> Any:
        return type(self), (getattr(dtypes, self.dtype),)  # type: ignore[attr-defined]


def _dtype(op: str, d: Any) -> dtype:
    if not isinstance(d, dtype) and d not in (float, complex, int, bool):
        raise TypeError(f"{op}(): argument 'type' (position 1) must be torch.dtype, not {type(d).__name__}")
    return dtypes.to_dtype(d)


class finfo(_Limits):  # noqa: N801  (PyTorch's name)
    """The limits of a floating dtype (of the parts of a complex one), by default the default dtype; as `torch.finfo`.

    `bits`, `max`, `min`; `eps` is the step from 1 to the next number, `tiny` (or `smallest_normal`) the smallest
    number of full precision, `resolution` 10 to the minus the number of decimal digits; `dtype` is a string.

    Raises TypeError for any other dtype.
    """

    __slots__ = ("eps", "resolution", "smallest_normal", "tiny")

    _shown = ("resolution", "min", "max", "eps", "smallest_normal", "tiny", "dtype")

    bits: int
    dtype: str
    eps: float
    max: float
    min: float
    resolution: float
    smallest_normal: float
    tiny: float

    def __init__(self, type: Any = None) -> None:
        d = dtypes.get_default_dtype() if type is None else _dtype("finfo", type)
        if d.category < dtypes.FLOATING:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        part = np.empty(0, d.numpy).real.dtype
        found: Any = ml_dtypes.finfo(part)  # type: ignore[no-untyped-call]
        normal = float(found.smallest_normal)
        self._set(bits=part.itemsize * 8, dtype=part.name, eps=float(found.eps), max=float(found.max))
        self._set(min=float(found.min), tiny=normal, smallest_normal=normal)
        self._set(resolution=float(f"1e-{found.precision}"))


class iinfo(_Limits):  # noqa: N801  (PyTorch's name)
    """The limits of an integer dtype, as `torch.iinfo`: `bits`, `max`, `min`; `dtype` is a string.

    Raises TypeError for any other dtype.
    """

    __slots__ = ()

    _shown = ("min", "max", "dtype")

    bits: int
    dtype: str
    max: int
    min: int

    def __init__(self, type: Any) -> None:
        d = _dtype("iinfo", type)
        if d.category == dtypes.BOOL:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if d.category != dtypes.INTEGRAL:
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        found = np.iinfo(d.numpy)
        self._set(bits=found.bits, dtype=d.name, max=int(found.max), min=int(found.min))
