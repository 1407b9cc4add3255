"""TensorGradients: what a tensor has to do with autograd."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .autograd.backward import backward as run_backward
from .errors import NotDifferentiableError, ShapeError, TapegradError
from .ops.common import dtype_of
from .ops.support import stands_for_more
from .storage import Storage
from .tape import (
    Creation,
    Node,
    RemovableHandle,
    TensorBase,
    View,
    alias,
    edge_of,
    exposed,
    extras_of,
    history,
    is_inference,
    state,
    storage_of,
)
from .tape.hooks import accumulated_hooks, retains_grad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .tensor import Tensor

__all__ = ["TensorGradients"]

_NO_LEAF = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
    "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
    "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the "
    "leaf Tensor instead."
)


class TensorGradients(TensorBase):
    """Gradients, hooks, history, and what has none of it: `detach()` and `.data`."""

    __slots__ = ()

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor. Settable on leaves."""
        history(self)
        view = self._view
        return self._requires_grad or (view is not None and view.base is not None and view.base._requires_grad)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise NotDifferentiableError("requires_grad must be a bool")
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
            return self  # type: ignore[return-value]
        if requires_grad and self._array.dtype.kind in "biu":
            raise NotDifferentiableError("only Tensors of floating point dtype can require gradients")
        self._set_flag(requires_grad)
        return self  # type: ignore[return-value]

    def _set_flag(self, requires_grad: bool) -> None:
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
        self._requires_grad = bool(requires_grad)

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
            if not isinstance(value, TensorBase):
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
                    f"attempting to assign a gradient with dtype {value.dtype} to a tensor of dtype {dtype_of(self)}"
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
            extras_of(node).retained[self._index] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """Whether this tensor, though no leaf, keeps its gradient in `grad`."""
        history(self)
        return retains_grad(self)

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
            state.recorder.detached(self)
        self._node, self._index, self._requires_grad = None, 0, False
        if state.now.watchers:
            state.now.tell("alias", self, self)
        return self  # type: ignore[return-value]

    @property
    def data(self) -> Tensor:
        """A leaf on the same memory, without history, whose writes autograd does not notice."""
        return alias(self, own_version=True)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._requires_grad and value._array.dtype.kind in "biu":
            raise TapegradError("data set to a tensor that requires gradients must be floating point or complex dtype")
        if stands_for_more(self) or stands_for_more(value):
            raise TapegradError("mutating directly with `.data` under vmap transform is not allowed.")
        memory, version = storage_of(value).memory, _version_of(self)
        if self._storage is not None and self._storage.memory is memory and _same_place(value._array, self._array):
            return  # `x.data *= 2` ends so: the memory is written, and stays
        if state.recorder is not None:
            state.recorder.before_data(self, value)
        if (value._array.shape, value._array.dtype) != (self._array.shape, self._array.dtype):
            self._accumulator = None
        self._array, self._device = value._array, None
        self._view = None if value._view is None else View(value._view.chain, None)
        self._storage = Storage(memory)
        self._storage.version = version  # which autograd does not see change

    @property
    def _version(self) -> int:
        """The number of in-place writes to the memory."""
        if is_inference(self):
            raise TapegradError("Inference tensors do not track version counter.")
        if state.recorder is not None:
            state.recorder.reads_version(self)
        return _version_of(self)

    @property
    def _base(self) -> Tensor | None:
        """The tensor that this is a view of, None if it is none."""
        return None if self._view is None else self._view.base  # type: ignore[return-value]

    def _is_view(self) -> bool:
        return self._base is not None

    @property
    def output_nr(self) -> int:
        """Which output of its `grad_fn` this is."""
        number = 0 if history(self) is None or self._view is None else self._view.number
        return self._index or number

    def is_inference(self) -> bool:
        """Whether this tensor was made in inference mode."""
        return is_inference(self)


def _version_of(t: TensorBase) -> int:
    return 0 if t._storage is None else t._storage.version


def _same_place(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays are the same elements in the same memory."""
    places = [(x.__array_interface__["data"], x.shape, x.strides) for x in (a, b)]
    return a is b or places[0] == places[1]
