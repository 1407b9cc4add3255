"""Tensor: what users hold. Attributes, gradients, conversions and repr; the operations are in `methods`."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import copying, dlpack, dtypes
from .attributes import TensorAttributes
from .dtypes import dtype
from .errors import NotDifferentiableError, TapegradError
from .gradients import TensorGradients
from .methods import TensorMethods
from .ops import creation, elementwise, shaping
from .ops.support import reads_value, text_of
from .printing import format_tensor
from .tape import (
    history,
    set_tensor_type,
    state,
    storage_of,
    writable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Size", "Tensor"]


class Size(tuple[int, ...]):
    """A shape; prints as PyTorch's."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def numel(self) -> int:
        """The number of elements."""
        return int(np.prod(self, dtype=np.int64))


class Tensor(TensorAttributes, TensorGradients, TensorMethods):
    """An array with a place in a graph, as `torch.Tensor`.

    Made by `tapegrad.tensor`, `zeros`, `randn` and so on, and by operations.
    """

    __slots__ = ()

    def __new__(cls, data: Any = (), **kwargs: Any) -> Any:
        """As `tapegrad.tensor` in the default dtype."""
        return creation.tensor(data, dtype=dtypes.get_default_dtype(), **kwargs)

    # What it is

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return dtypes.from_numpy_dtype(self._array.dtype)

    @property
    def shape(self) -> Size:
        """The length of each dim."""
        return Size(self._array.shape)

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return self._array.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one dim."""
        if dim is None:
            return self.shape
        if not -self._array.ndim <= dim < self._array.ndim:
            bound = max(self._array.ndim, 1)
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})"
            )
        return self._array.shape[dim]

    def dim(self) -> int:
        """The number of dims."""
        return self._array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    nelement = numel

    # Views and parts

    T = property(shaping.T, doc="The dims reversed, as a view: of a matrix; of others with a warning.")
    mT = property(shaping.mT, doc="The last two dims swapped, as a view.")  # noqa: N815  (PyTorch's name)
    mH = property(shaping.mH, doc="The last two dims swapped, and conjugated if complex.")  # noqa: N815  (PyTorch's name)
    H = property(shaping.H, doc="The transpose of a matrix, conjugated if complex.")

    @property
    def real(self) -> Tensor:
        """The real part, as a view of a complex tensor; a real tensor is its own. Assigning writes to it in place."""
        return elementwise.real(self)

    @real.setter
    def real(self, value: Tensor) -> None:
        elementwise.real(self).copy_(value)

    @property
    def imag(self) -> Tensor:
        """The imaginary part of a complex tensor, as a view. Assigning writes to it in place."""
        return elementwise.imag(self)

    @imag.setter
    def imag(self, value: Tensor) -> None:
        elementwise.imag(self).copy_(value)

    # Dtypes

    def type_as(self, other: Tensor) -> Tensor:
        """With the dtype of `other`."""
        return self.to(other.dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self) -> Tensor:
        """As float16."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Tensor:
        """As bfloat16."""
        return self.to(dtypes.bfloat16)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def short(self) -> Tensor:
        """As int16."""
        return self.to(dtypes.int16)

    def char(self) -> Tensor:
        """As int8."""
        return self.to(dtypes.int8)

    def byte(self) -> Tensor:
        """As uint8."""
        return self.to(dtypes.uint8)

    def bool(self) -> Tensor:
        """As bool."""
        return self.to(dtypes.bool_)

    # Out of tensors

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        reads_value("item()", self)
        array = self._array
        if array.size != 1:
            raise TapegradError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        recorder = state.now.recorder
        if recorder is not None and recorder.strict:
            return recorder.item(self)
        value = array.item()
        return value.item() if isinstance(value, np.generic) else value

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers (a number for a 0-d tensor)."""
        reads_value("tolist()", self)
        array = self._array
        return (array.astype(np.float32) if array.dtype.kind == "V" else array).tolist()

    def numpy(self, *, force: builtins.bool = False) -> NDArray[Any]:
        """The values as a NumPy array on the same memory; with `force`, also of a tensor that requires grad.

        Raises RuntimeError for such a tensor without `force`.
        """
        if force and self.requires_grad:
            return self.detach().numpy()
        reads_value("numpy()", self)
        if self.requires_grad:
            raise NotDifferentiableError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        recorder = state.now.recorder
        if recorder is not None and recorder.strict:  # Python may look, but not write behind the recorder's back
            array = self._array.view()
            array.flags.writeable = False
            return array
        storage_of(self).memory.exported = True
        return writable(self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __jax_array__(self) -> Any:
        """For `jnp.asarray` and JAX functions: a copy of the values. Raises RuntimeError if it requires grad."""
        import importlib

        return importlib.import_module(".compile.pytrees", __package__).as_jax_array(self)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        """A DLPack capsule of the memory. Raises BufferError if it requires grad: detach first."""
        return dlpack.capsule(self, stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> Any:
        """The kind and number of the device: the CPU."""
        return dlpack.CPU

    def __bool__(self) -> Any:
        reads_value("bool()", self)
        if self._array.size != 1:
            count = "no values" if not self._array.size else "more than one value"
            raise TapegradError(f"Boolean value of Tensor with {count} is ambiguous")
        return bool_of(self._array.item())

    def __int__(self) -> Any:
        return int_of(self._number("int64_t"))

    def __float__(self) -> Any:
        return float_of(self._number("double"))

    def __complex__(self) -> complex:
        return complex(self._number("complex"))

    def _number(self, wanted: str) -> Any:
        """The one element, as a number that `wanted` (PyTorch's name of a C++ type) can hold."""
        if self._array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        value = self.item()
        if isinstance(value, complex) and wanted != "complex":
            if value.imag:
                raise TapegradError(f"value cannot be converted to type {wanted} without overflow")
            return value.real
        return value

    def __index__(self) -> Any:
        if self._array.dtype.kind not in "biu" or self._array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int_of(self.item())

    def __len__(self) -> Any:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(shaping.unbind(self, 0))

    def __reversed__(self) -> Tensor:
        return shaping.flip(self, tuple(range(self._array.ndim)))

    def __contains__(self, value: Any) -> Any:
        if not isinstance(value, Tensor | int | float | complex | np.generic):
            raise TapegradError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(value)}."
            )
        found = self == value
        reads_value("in", found)
        return bool_of(found._array.any())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return copying.reduced(self)

    def __copy__(self) -> Tensor:
        return copying.copied(self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        return copying.deep_copied(self, memo)

    def __repr__(self) -> str:
        reads_value("repr()", self)
        text = text_of(self)
        return plain_text(self) if text is None else text

    def __format__(self, spec: str) -> str:
        return object.__format__(self, spec) if self._array.ndim else format(self.item(), spec)


def plain_text(t: Tensor, tangent: str | None = None) -> str:
    """What `t` prints as where it stands for no more than itself; with its tangent's text, if it has one."""
    node = history(t)
    d = t.dtype
    usual = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_, dtypes.default_complex_dtype())
    return format_tensor(
        t._array,
        dtype_name=d.name,
        default_dtype=d in usual,
        requires_grad=t._requires_grad,
        grad_fn_name=None if node is None else node.name(),
        tangent=tangent,
    )


bool_of: Callable[[Any], Any] = bool
int_of: Callable[[Any], Any] = int
float_of: Callable[[Any], Any] = float

set_tensor_type(Tensor)
