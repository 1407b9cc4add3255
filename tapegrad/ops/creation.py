"""Tensors made from Python and NumPy data, or from nothing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..devices import check_device
from ..dtypes import dtype
from ..errors import TapegradError
from ..formats import check_format, contiguous_format, lay_out, preserve_format
from ..primitives.arithmetic import mul as mul_p
from ..primitives.structure import cast
from ..primitives.structure import full as full_p
from ..tape import TensorBase, apply, renamed, state, storage_of, wrap
from ..tape.number import is_followed
from .support import made_like, overflow, reads_value, sizes, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "arange", "as_tensor", "check_device", "check_range", "clone", "empty", "empty_like", "eye", "fill_number",
    "from_numpy", "full", "full_like", "linspace", "new_leaf", "ones", "ones_like", "require_differentiable",
    "shape_of", "tensor", "zeros", "zeros_like",
]  # fmt: skip

Device = Any

_LARGEST = 2**63 - 1
_NO_GRADIENT = "Only Tensors of floating point and complex dtype can require gradients"


def new_leaf(array: np.ndarray[Any, Any], requires_grad: bool = False) -> Tensor:
    """A leaf tensor on memory of its own. Raises for a dtype that cannot require grad."""
    t = wrap(array)
    if requires_grad:
        require_differentiable(t)
        t._requires_grad = True
    if state.now.watchers:
        state.now.tell("constant", t)
    return t


def require_differentiable(t: TensorBase) -> None:
    """Raise RuntimeError, in PyTorch's words, unless `t` is of a floating or complex dtype."""
    if t._array.dtype.kind in "biu":
        raise TapegradError(_NO_GRADIENT)


def _refuse_numpy(what: str, array: np.ndarray[Any, Any] | None = None) -> None:
    """In jit, values from NumPy would be frozen into the program, but for a copy of an `array` that is guarded."""
    if state.recorder is not None and state.recorder.strict and id(array) not in state.recorder.guarded_arrays:
        raise state.recorder.unsupported(
            f"{what}: its values would be frozen into the compiled program; pass a tensor as an argument"
        )


def _from_data(data: Any, d: dtype | None) -> np.ndarray[Any, Any]:
    """New memory with the data's values, in `d` or the dtype PyTorch infers."""
    if isinstance(data, np.ndarray | np.generic):
        if isinstance(data, np.ndarray):  # a NumPy scalar is a number as Python's are: jit guards those it finds
            _refuse_numpy("a tensor made from a NumPy array", data)
        return np.array(data, dtype=(d or dtypes.from_numpy_dtype(data.dtype)).numpy)
    if _holds_tensor(data):
        found = d or functools.reduce(dtypes.promote_types, _dtypes_in(data))
        return np.array(_unwrap(data), dtype=found.numpy)
    try:
        array = np.array(data)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "biufc":
        raise _refused(data)
    if array.dtype.kind == "u" and array.size and array.max() > _LARGEST:
        raise ValueError("Overflow when unpacking long long")
    if d is not None and d.category == dtypes.INTEGRAL and array.dtype.kind in "iu":
        check_range(array, d)
    return array.astype((d or _inferred(array)).numpy)


def _inferred(array: np.ndarray[Any, Any]) -> dtype:
    kind = array.dtype.kind
    if kind == "b":
        return dtypes.bool_
    if kind in "iu":
        return dtypes.int64
    return dtypes.default_complex_dtype() if kind == "c" else dtypes.get_default_dtype()


def _refused(data: Any) -> Exception:
    """Why `data` is no tensor, in PyTorch's words."""
    lengths: list[int] = []
    found = data
    while isinstance(found, Sequence) and not isinstance(found, str) and found:
        lengths.append(len(found))
        found = found[0]
    if isinstance(found, str):
        return ValueError("too many dimensions 'str'") if lengths else TypeError("new(): invalid data type 'str'")
    level = [data]
    for dim, length in enumerate(lengths):
        for item in level:
            if not isinstance(item, Sequence) or len(item) != length:
                got = len(item) if isinstance(item, Sequence) else type(item).__name__
                return ValueError(f"expected sequence of length {length} at dim {dim} (got {got})")
        level = [item for part in level for item in part]
    wrong = next((item for item in level if not isinstance(item, int | float | complex | np.generic)), None)
    if wrong is None and any(isinstance(item, int) for item in level):
        return ValueError("Overflow when unpacking long long")
    if isinstance(wrong, Sequence):
        return ValueError(f"expected a number at dim {len(lengths)} (got a {type(wrong).__name__})")
    return TapegradError(f"Could not infer dtype of {type(wrong).__name__}")


def check_range(values: Any, d: dtype) -> None:
    """Refuse integers too large for `d`; negative ones may wrap in an unsigned dtype, as in PyTorch."""
    array = np.asarray(values)
    largest = np.iinfo(d.numpy).max
    smallest = np.iinfo(d.numpy).min if d.is_signed else -largest
    if array.size and (array.max() > largest or array.min() < smallest):
        raise TapegradError(f"value cannot be converted to type {d.name} without overflow")


def _holds_tensor(data: Any) -> bool:
    if isinstance(data, TensorBase):
        return True
    return isinstance(data, list | tuple) and any(_holds_tensor(item) for item in data)


def _dtypes_in(data: Any) -> list[dtype]:
    if isinstance(data, TensorBase):
        return [dtypes.from_numpy_dtype(data._array.dtype)]
    return (
        [d for item in data for d in _dtypes_in(item)]
        if isinstance(data, list | tuple)
        else [dtypes.scalar_dtype(data)]
    )


def _unwrap(data: Any) -> Any:
    if isinstance(data, TensorBase):
        reads_value("tensor() of a tensor", data)
        return data._array
    return [_unwrap(item) for item in data] if isinstance(data, list | tuple) else data


def tensor(data: Any, *, dtype: Any = None, device: Device = None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of `data`: numbers, nested sequences, a NumPy array or a tensor.

    Python floats get the default dtype, ints int64, unless `dtype` is given. Raises ValueError for ragged sequences,
    TypeError for what is no number, RuntimeError for `requires_grad` on an integer or bool dtype.
    """
    check_device(device)
    if is_followed(data):
        own = dtypes.float64 if dtype is None and isinstance(data, np.generic) else dtype
        return full((), data, dtype=_or_default(own), requires_grad=requires_grad)
    return new_leaf(_from_data(data, None if dtype is None else dtypes.to_dtype(dtype)), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Device = None) -> Tensor:
    """`data` as a tensor: itself if it is one of that dtype, sharing memory with a NumPy array where it can."""
    check_device(device)
    d = None if dtype is None else dtypes.to_dtype(dtype)
    if isinstance(data, TensorBase):
        return data if d is None or data._array.dtype == d.numpy else apply(cast, (data,), {"dtype": d.numpy})  # type: ignore[return-value]
    if isinstance(data, np.ndarray) and (d is None or d.numpy == data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=d)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor on the memory of `array`: writing to either changes both.

    Raises TypeError for something else or a dtype tensors do not have.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    _refuse_numpy("from_numpy")
    dtypes.from_numpy_dtype(array.dtype)
    t = wrap(array)
    storage_of(t).exported = True
    if state.now.watchers:
        state.now.tell("constant", t)
    return t


def shape_of(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape meant by `f(2, 3)` or `f((2, 3))`. Raises RuntimeError for negative lengths."""
    shape = sizes(op, size)
    for n in shape:
        if n < 0:
            raise TapegradError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def _filled(shape: tuple[int, ...], value: complex, d: dtype, device: Device, requires_grad: bool) -> Tensor:
    check_device(device)
    if requires_grad and d.category < dtypes.FLOATING:
        raise TapegradError(_NO_GRADIENT)
    if d.category == dtypes.INTEGRAL and isinstance(value, int):
        check_range(value, d)
    if isinstance(value, complex) and value.imag and not d.is_complex and d is not dtypes.bool_:
        raise overflow(d)
    if d.is_floating_point and is_followed(value):  # an operand, which a recording follows: unlike a parameter
        t = apply(mul_p, (apply(full_p, (), {"shape": shape, "value": 1, "dtype": d.numpy}), value))
    else:
        t = apply(full_p, (), {"shape": shape, "value": value, "dtype": d.numpy})
    if requires_grad:
        t._set_flag(True)
    return t


@spelled
def zeros(*size: Any, dtype: Any = None, device: Device = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros, of the default dtype unless `dtype` is given."""
    return _filled(shape_of("zeros", size), 0, _or_default(dtype), device, requires_grad)


@spelled
def ones(*size: Any, dtype: Any = None, device: Device = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones, of the default dtype unless `dtype` is given."""
    return _filled(shape_of("ones", size), 1, _or_default(dtype), device, requires_grad)


@spelled
def empty(
    *size: Any,
    dtype: Any = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: Any = contiguous_format,
) -> Tensor:
    """A tensor whose values are of no account (they are zeros), in memory in the order of `memory_format`."""
    check_format("empty", memory_format)
    if memory_format is preserve_format:
        raise TapegradError("Unsupported memory format Preserve")
    made = zeros(*size, dtype=dtype, device=device, requires_grad=requires_grad)
    return lay_out(made, made._array, memory_format)


def full(
    size: Any, fill_value: complex, *, dtype: Any = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of shape `size` filled with a number, whose dtype it has unless `dtype` is given.

    Raises TypeError for a value that is no number, RuntimeError for one that the dtype cannot hold.
    """
    if not isinstance(size, Sequence):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    value = fill_number("full", fill_value)
    d = dtypes.scalar_dtype(value) if dtype is None else dtypes.to_dtype(dtype)
    return _filled(shape_of("full", (size,)), value, d, device, requires_grad)


def fill_number(op: str, x: Any) -> Any:
    """What `op` fills with: a number, or that in a tensor without dims or gradient. Raises TypeError for others."""
    if isinstance(x, TensorBase) and not x._array.ndim and not x._requires_grad:
        return _number(x)
    if not isinstance(x, int | float | complex | np.generic) and not is_followed(x):
        raise TypeError(f"{op}(): argument 'fill_value' (position 2) must be Number, not {type(x).__name__}")
    return x


def _number(x: Any) -> Any:
    """The number in a tensor of one element; anything else as it is."""
    return x.item() if isinstance(x, TensorBase) else x  # type: ignore[attr-defined]


def _or_default(d: Any) -> dtype:
    return dtypes.get_default_dtype() if d is None else dtypes.to_dtype(d)


def _like(
    name: str, x: Tensor, value: complex, d: Any, device: Device, requires_grad: bool, memory_format: Any
) -> Tensor:
    if not isinstance(x, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    check_format(name, memory_format)
    found = dtypes.from_numpy_dtype(x._array.dtype) if d is None else dtypes.to_dtype(d)
    made = lay_out(_filled(x._array.shape, value, found, device, requires_grad), x._array, memory_format)
    return made_like(made, x)


def zeros_like(
    input: Tensor,
    *,
    dtype: Any = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """Zeros with the shape and dtype of `input`."""
    return _like("zeros_like", input, 0, dtype, device, requires_grad, memory_format)


def ones_like(
    input: Tensor,
    *,
    dtype: Any = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """Ones with the shape and dtype of `input`."""
    return _like("ones_like", input, 1, dtype, device, requires_grad, memory_format)


def empty_like(
    input: Tensor,
    *,
    dtype: Any = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """A tensor with the shape and dtype of `input` whose values are of no account."""
    return _like("empty_like", input, 0, dtype, device, requires_grad, memory_format)


def full_like(
    input: Tensor,
    fill_value: complex,
    *,
    dtype: Any = None,
    device: Device = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """One number in the shape and dtype of `input`. Raises as `full` does."""
    return _like("full_like", input, fill_number("full_like", fill_value), dtype, device, requires_grad, memory_format)


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from `start` (0 if only one is given) up to, without, `end`; int64 if all are ints."""
    check_device(device)
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = 0, start
    if step == 0:
        raise TapegradError("step must be nonzero")
    if (end - start) * step < 0:
        raise TapegradError("upper bound and lower bound inconsistent with step sign")
    whole = all(isinstance(x, int) for x in (start, end, step))
    d = (dtypes.int64 if whole else dtypes.get_default_dtype()) if dtype is None else dtypes.to_dtype(dtype)
    return new_leaf(np.arange(start, end, step).astype(d.numpy), requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    check_device(device)
    if steps < 0:
        raise TapegradError("number of steps must be non-negative")
    return new_leaf(np.linspace(start, end, steps).astype(_or_default(dtype).numpy), requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Device = None, requires_grad: bool = False
) -> Tensor:
    """The n by m (n by n) matrix with ones on the diagonal."""
    check_device(device)
    for name, length in (("n", n), ("m", m or 0)):
        if length < 0:
            raise TapegradError(f"{name} must be greater or equal to 0, got {length}")
    return new_leaf(np.eye(n, m, dtype=_or_default(dtype).numpy), requires_grad)


def clone(input: Tensor, *, memory_format: Any = preserve_format) -> Tensor:
    """A copy with memory of its own, through which gradients flow to `input`.

    Memory has the order of `memory_format`, by default that of `input`.
    """
    check_format("clone", memory_format)
    return lay_out(
        renamed("CloneBackward0", apply(cast, (input,), {"dtype": input._array.dtype})), input._array, memory_format
    )
