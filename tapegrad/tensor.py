"""Tensor: what users hold. Attributes, gradients, conversions and repr; the operations are in `methods`."""

from __future__ import annotations

import builtins
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import copying, dtypes
from .attributes import TensorAttributes
from .autograd import backward as run_backward
from .dtypes import dtype
from .errors import NotDifferentiableError, ShapeError, TapegradError
from .methods import TensorMethods
from .ops import creation, elementwise, shaping
from .ops.support import reads_value, stands_for_more, text_of
from .printing import format_tensor
from .storage import Storage
from .tape import (
    Creation,
    Node,
    RemovableHandle,
    View,
    alias,
    edge_of,
    exposed,
    extras_of,
    history,
    is_inference,
    set_tensor_type,
    state,
    storage_of,
    writable,
)
from .tape.hooks import accumulated_hooks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Size", "Tensor"]


_NO_LEAF = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
    "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
    "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the "
    "leaf Tensor instead."
)


class Size(tuple[int, ...]):
    """A shape; prints as PyTorch's."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def numel(self) -> int:
        """The number of elements."""
        return int(np.prod(self, dtype=np.int64))


class Tensor(TensorAttributes, TensorMethods):
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

    # Gradients

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor. Settable on leaves."""
        history(self)
        view = self._view
        return self._requires_grad or (view is not None and view.base is not None and view.base._requires_grad)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if history(self) is not None:
            self._refuse_flag(value)
        if value and self._array.dtype.kind in "biu":
            raise NotDifferentiableError("only Tensors of floating point and complex dtype can require gradients")
        self._set_flag(value)

    def _refuse_flag(self, value: bool) -> NoReturn:
        advice = (
            " If you want to use a computed variable in a subgraph that doesn't require differentiation use "
            "var_no_grad = var.detach()."
        )
        raise NotDifferentiableError(
            "you can only change requires_grad flags of leaf variables." + ("" if value else advice)
        )

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` on a leaf. Returns `self`.

        Raises RuntimeError for a non-leaf (to False) and for integer or bool dtypes.
        """
        if type(requires_grad) is not bool:
            kind = type(requires_grad).__name__
            raise TypeError(f"requires_grad_(): argument 'requires_grad' (position 1) must be bool, not {kind}")
        if state.now.watchers:
            state.now.tell("changes_graph", "requires_grad_")
        if history(self) is not None:
            if not requires_grad:
                self._refuse_flag(requires_grad)
            return self
        if requires_grad and self._array.dtype.kind in "biu":
            raise NotDifferentiableError("only Tensors of floating point dtype can require gradients")
        self._set_flag(requires_grad)
        return self

    def _set_flag(self, requires_grad: builtins.bool) -> None:
        """Set `requires_grad` of a leaf."""
        if requires_grad:
            if is_inference(self) and not state.now.inference:
                raise NotDifferentiableError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
                )
            if state.recorder is not None and not self._requires_grad:
                state.recorder.became_leaf(self)
            if self._view is not None and self._view.creation is Creation.NORMAL:
                self._view = View(self._view.chain, None)  # views of a leaf are its own, whatever memory it looks at
        self._requires_grad = builtins.bool(requires_grad)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return history(self) is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor; None for a leaf."""
        node = history(self)
        return None if node is None else exposed(node)

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient. Settable to None or a tensor of the same shape and dtype.

        A tensor that is no leaf has one only after `retain_grad()`; reading it otherwise warns.
        """
        if self._grad is None and history(self) is not None and not self.retains_grad:
            warnings.warn(_NO_LEAF, UserWarning, stacklevel=2)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            if value is self:
                raise TapegradError("can't assign Variable as its own grad")
            if value._array.shape != self._array.shape:
                raise ShapeError(
                    f"attempting to assign a gradient of size '{list(value._array.shape)}' to a tensor of size "
                    f"'{list(self._array.shape)}'. Please ensure that the gradient and the tensor are the same size"
                )
            if value._array.dtype != self._array.dtype:
                raise TapegradError(
                    f"attempting to assign a gradient with dtype {value.dtype} to a tensor of dtype {self.dtype}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradients of `self` to its leaves' `.grad`; see `tapegrad.autograd.backward`."""
        run_backward(self, gradient, retain_graph, create_graph, inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in `grad`, though it is no leaf. Nothing happens for a leaf.

        Raises RuntimeError if it does not require grad.
        """
        if not self.requires_grad:
            raise NotDifferentiableError("can't retain_grad on Tensor that has requires_grad=False")
        node = history(self)
        if node is not None:
            if state.recorder is not None:
                raise state.recorder.unsupported("retain_grad()")
            extras_of(node).retained[self._index] = weakref.ref(self)

    @property
    def retains_grad(self) -> builtins.bool:
        """Whether this tensor, though no leaf, keeps its gradient in `grad`."""
        node = history(self)
        if node is None or node.extras is None or self._index not in node.extras.retained:
            return False
        return node.extras.retained[self._index]() is self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` whenever a gradient of this tensor is computed; it may return another one.

        Hooks run in the order of registration, each on what the one before returned. Returns a handle with `remove()`.
        Raises RuntimeError if the tensor does not require grad.
        """
        node, index = edge_of(self)
        if node is None:
            raise NotDifferentiableError("cannot register a hook on a tensor that doesn't require gradient")
        return extras_of(node).tensor_hooks(index).add(hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(tensor)` each time a gradient has been added to the `grad` of this leaf.

        Raises RuntimeError for a tensor that is no leaf or does not require grad.
        """
        node, _ = edge_of(self)
        if node is None:
            raise NotDifferentiableError("cannot register a hook on a tensor that doesn't require gradient")
        if node.leaf is None:
            raise NotDifferentiableError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return accumulated_hooks(node).add(hook)

    def detach(self) -> Tensor:
        """A leaf on the same memory, without history. Writes to either show in both and are counted together."""
        return alias(self)

    def detach_(self) -> Tensor:
        """Cut `self` from its history. Returns `self`."""
        if (self._view is not None and self._view.base is not None) or stands_for_more(self):
            raise TapegradError("Can't detach views in-place. Use detach() instead.")
        if state.recorder is not None:
            raise state.recorder.unsupported("detach_()")
        self._node, self._index, self._requires_grad = None, 0, False
        if state.now.watchers:
            state.now.tell("alias", self, self)
        return self

    @property
    def data(self) -> Tensor:
        """A leaf on the same memory, without history, whose writes autograd does not notice."""
        return alias(self, own_version=True)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if value._array.dtype != self._array.dtype:
            raise TapegradError(f"Attempted to set `.data` of a {self.dtype} tensor to {value!r}: expected its dtype")
        memory, version = storage_of(value).memory, self._version
        if self._storage is not None and self._storage.memory is memory and _same_place(value._array, self._array):
            return  # `x.data *= 2` ends so: the memory is written, and stays
        if state.recorder is not None:
            raise state.recorder.unsupported("assignment to .data")
        if value._array.shape != self._array.shape:
            self._accumulator = None
        self._array, self._device = value._array, None
        self._view = None if value._view is None else View(value._view.chain, None)
        self._storage = Storage(memory)
        self._storage.version = version  # which autograd does not see change

    @property
    def _version(self) -> builtins.int:
        """The number of in-place writes to the memory."""
        if is_inference(self):
            raise TapegradError("Inference tensors do not track version counter.")
        return 0 if self._storage is None else self._storage.version

    @property
    def _base(self) -> Tensor | None:
        """The tensor that this is a view of, None if it is none."""
        return None if self._view is None else self._view.base  # type: ignore[return-value]

    @property
    def output_nr(self) -> builtins.int:
        """Which output of its `grad_fn` this is."""
        history(self)
        return self._index

    def is_inference(self) -> builtins.bool:
        """Whether this tensor was made in inference mode."""
        return is_inference(self)

    # Views and parts

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The dims reversed, as a view."""
        return shaping.permute(self, tuple(range(self._array.ndim))[::-1])

    mT = property(shaping.matrix_transpose, doc="The last two dims swapped, as a view.")  # noqa: N815  (PyTorch's name)
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
        if self._array.size != 1:
            raise TapegradError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
        value = self._array.reshape(()).item()
        return value.item() if isinstance(value, np.generic) else value

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers (a number for a 0-d tensor)."""
        reads_value("tolist()", self)
        array = self._array
        return (array.astype(np.float32) if array.dtype.kind == "V" else array).tolist()

    def numpy(self) -> NDArray[Any]:
        """The values as a NumPy array on the same memory. Raises RuntimeError if it requires grad: detach first."""
        reads_value("numpy()", self)
        if self.requires_grad:
            raise NotDifferentiableError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        storage_of(self).memory.exported = True
        return writable(self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

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
        reads_value("in", self)
        if not isinstance(value, Tensor | int | float | complex | np.generic):
            raise TapegradError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(value)}."
            )
        return bool_of((self == value)._array.any())

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


def _same_place(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays are the same elements in the same memory."""
    places = [(x.__array_interface__["data"], x.shape, x.strides) for x in (a, b)]
    return a is b or places[0] == places[1]


bool_of: Callable[[Any], Any] = bool
int_of: Callable[[Any], Any] = int
float_of: Callable[[Any], Any] = float

set_tensor_type(Tensor)
