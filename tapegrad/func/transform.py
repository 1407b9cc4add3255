"""What the transforms of this package have in common: their function must not change what is outside of it."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..autograd.forward_function import NEEDS_SETUP_CONTEXT
from ..autograd.function import Function
from ..autograd.grad_mode import inference_mode
from ..errors import InPlaceError, TransformError
from ..tape import Primitive, TensorBase, Watcher, state
from ..tree import Structure, flatten, unflatten
from .vmap_messages import REFUSED

__all__ = ["Transform", "mapped_tree", "shown"]

Array = np.ndarray[Any, Any]

_CAPTURED = (
    "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call in-place operation that "
    "would mutate a captured Tensor. This is not supported; please rewrite the function being transformed to "
    "explicitly accept the mutated Tensor(s) as inputs."
)


class Transform(Watcher):
    """Watches the function of a transform: what it writes to in place it must have made, or been given.

    A context manager, the block of which is the function's run.
    """

    looks_inside = True

    def __init__(self) -> None:
        super().__init__()
        self._owners: dict[int, tuple[weakref.ref[Array], bool]] = {}  # of memory that may be written to; if it is new
        self._normal: inference_mode | None = None

    def __enter__(self) -> Self:
        if state.now.inference:  # which is for what is outside
            self._normal = inference_mode(False)
            self._normal.__enter__()
            state.grad_enabled = False
        state.now.watch(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.now.unwatch(self)
        self._owners.clear()
        if self._normal is not None:
            self._normal.__exit__(kind, error, trace)

    def admit(self, t: TensorBase, new: bool = False) -> None:
        """Let the memory of `t` be written to."""
        owner = _owner(t._array)
        self._owners[id(owner)] = weakref.ref(owner), new

    def may_write(self, t: TensorBase) -> bool:
        """Whether the memory of `t` may be written to."""
        return self._known(t._array) is not None

    def has_made(self, t: TensorBase) -> bool:
        """Whether the function has made the memory of `t`."""
        return self._known(t._array) is True

    def _known(self, array: Array) -> bool | None:
        """Whether the memory of an array is new, None if it may not be written to."""
        owner = _owner(array)
        reference, new = self._owners.get(id(owner), (None, False))
        return new if reference is not None and reference() is owner else None

    # What is told

    def step(self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:
        """Its result is new, but for a view."""
        if not (prim.view and _owner(out._array) is _owner(operands[0]._array)):
            self.admit(out, new=True)
        super().step(prim, operands, params, out)

    def constant(self, out: TensorBase) -> None:
        """It is new."""
        self.admit(out, new=True)

    def frozen(self, out: TensorBase, source: TensorBase) -> None:
        """It is new."""
        self.admit(out, new=True)
        super().frozen(out, source)

    def moved(self, t: TensorBase, before: Array) -> None:
        """As new as it was."""
        known = self._known(before)
        if known is not None:
            self.admit(t, known)
        super().moved(t, before)

    def will_write(self, t: TensorBase) -> None:
        """Raise if it was there before."""
        if not self.may_write(t):
            raise InPlaceError(_CAPTURED)
        super().will_write(t)

    def changes_graph(self, what: str) -> None:
        """Raise: what is differentiated is for the transforms to say."""
        raise TransformError(REFUSED[what])

    def takes_function(self, function: Any, args: tuple[Any, ...]) -> bool:
        """Those of the old style it takes to refuse them."""
        return function.setup_context is Function.setup_context or super().takes_function(function, args)

    def function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Raise for one of the old style."""
        if function.setup_context is Function.setup_context:
            raise TransformError(NEEDS_SETUP_CONTEXT)
        return super().function(function, args)


def _owner(array: Array) -> Array:
    """The array that owns the memory of `array`."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def mapped_tree(function: Any, tree: Any) -> Any:
    """`tree` with `function` of each tensor in it. Raises RuntimeError for what is no tensor."""
    leaves, structure = flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, TensorBase):
            raise TransformError(f"Expected tensors, got unsupported type {type(leaf)}")
    return unflatten(structure, [function(leaf) for leaf in leaves])


class _Leaf:
    def __repr__(self) -> str:
        return "*"


def shown(structure: Structure) -> str:
    """A structure as the container it is of, with `*` for each leaf."""
    return repr(unflatten(structure, [_Leaf()] * _count(structure)))


def _count(structure: Structure) -> int:
    return 1 if structure.kind is None else sum(map(_count, structure.parts))
