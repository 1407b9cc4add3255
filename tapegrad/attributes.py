"""TensorAttributes: where a tensor is, how it lies in memory, and what it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .devices import CPU, device
from .errors import TapegradError
from .formats import layout, strided
from .ops import conversion, geometry
from .ops.common import dtype_of
from .tape import TensorBase

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["TensorAttributes"]


class TensorAttributes(TensorBase):
    """What a tensor says of itself besides dtype and shape."""

    __slots__ = ()

    # Memory

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    def element_size(self) -> int:
        """Bytes per element."""
        return self._array.itemsize

    stride = geometry.stride
    storage_offset = geometry.storage_offset
    data_ptr = geometry.data_ptr
    untyped_storage = geometry.untyped_storage
    is_set_to = geometry.is_set_to
    is_contiguous = conversion.is_contiguous
    contiguous = conversion.contiguous
    to = conversion.to

    @property
    def layout(self) -> layout:
        """How elements are kept: `strided`."""
        return strided

    # Place

    @property
    def device(self) -> device:
        """Where eager tensors live: the CPU."""
        return CPU

    def get_device(self) -> int:
        """The number of the device; -1 on the CPU."""
        return -1

    def cpu(self, memory_format: Any = None) -> Tensor:
        """`self`: eager tensors live on the CPU."""
        return conversion.to(self, memory_format=memory_format)  # type: ignore[arg-type]

    @property
    def is_cpu(self) -> bool:
        """Whether it is on the CPU: always."""
        return True

    def _never(self) -> bool:
        """False: what eager tensors on the CPU are not."""
        return False

    is_cuda = is_ipu = is_maia = is_meta = is_mkldnn = is_mps = is_mtia = is_nested = property(_never)
    is_quantized = is_sparse = is_sparse_csr = is_vulkan = is_xla = is_xpu = property(_never)

    is_conj = is_neg = is_pinned = is_shared = _never

    def is_coalesced(self) -> bool:
        """Raise RuntimeError: only sparse tensors can tell."""
        raise TapegradError("is_coalesced expected sparse coordinate tensor layout but got Strided")

    # Elements

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return dtype_of(self).is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return dtype_of(self).is_complex

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return dtype_of(self).is_signed

    def is_nonzero(self) -> bool:
        """Whether the one element is not zero. Raises RuntimeError for more or fewer elements."""
        return bool(self)

    def is_same_size(self, other: Tensor) -> bool:
        """Whether `other` has the same shape."""
        return self._array.shape == other._array.shape
