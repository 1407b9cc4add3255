"""In-place writes: memory, version, and the graph of the base and its views.

An in-place operation is its out-of-place form followed by `write`: memory takes the value, and the tensor (or the
base it is a view of) takes the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InPlaceError
from .apply import apply, renamed
from .node import Node
from .primitive import Primitive
from .state import state
from .variable import UNRELATED, TensorBase, history, storage_of, wrap, writable

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["check_writable", "rederive", "write"]


def check_writable(t: TensorBase) -> None:
    """Raise InPlaceError if autograd forbids writing to `t` in place, before anything is computed."""
    history(t)
    if (
        t._array.size
        and 0 in t._array.strides
        and any(n > 1 and stride == 0 for n, stride in zip(t._array.shape, t._array.strides, strict=True))
    ):
        raise InPlaceError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if not state.grad_enabled:
        return
    base = t._base
    if base is None:
        if t._base_node is UNRELATED:
            raise InPlaceError(
                "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that "
                "this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
                "the view and the inplace either both inside the no_grad block (if you don't want the inplace to be "
                "tracked) or both outside (if you want the inplace to be tracked)."
            )
        if t._requires_grad and t._node is None:
            raise InPlaceError("a leaf Variable that requires grad is being used in an in-place operation.")
    elif base._requires_grad and base._node is None:
        raise InPlaceError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def write(t: Tensor, out: Tensor) -> Tensor:
    """Give `t` the value and history of `out`, a fresh tensor of its shape and dtype. Returns `t`.

    `check_writable(t)` must have passed. Bumps the version, moves the history of the base if `t` is a view, and
    tells the recorder.
    """
    storage = storage_of(t)
    node = out._node
    if node is not None and node.saved:
        _keep_old_value(node, t)
    recorder = state.recorder
    if recorder is not None:
        recorder.before_write(t)
    np.copyto(writable(t), out._array)
    storage.version += 1
    tracked = state.grad_enabled and (t._requires_grad or out._requires_grad)
    if tracked:
        _rebase(t, out)
    if recorder is not None:
        recorder.write(t, out, tracked)
    return t


def _keep_old_value(node: Node, t: TensorBase) -> None:
    """Where `node` saved `t` itself, save a copy of the value that is about to be overwritten."""
    assert node.saved is not None
    saved = list(node.saved)
    for slot in node.plan.tensor_slots:
        value = saved[slot]
        if node.plan.sources[slot][0] == "out":
            storage = storage_of(t)
            saved[slot] = t._array, storage, storage.version + 1
        elif value is t or (type(value) is tuple and value[0] is t):
            saved[slot] = _frozen(t)
    node.saved = tuple(saved)


def _frozen(t: TensorBase) -> TensorBase:
    """A copy of the present value of `t`, with its present history."""
    copy = _snapshot(t)
    copy._array = t._array.copy()
    return copy


def _rebase(t: TensorBase, out: TensorBase) -> None:
    """Move the history of `out` to `t`, or through the view chain into the base of `t`."""
    base = t._base
    if base is None:
        t._node, t._index, t._requires_grad = out._node, out._index, out._requires_grad
        return
    chain = t._chain[len(base._chain) :]
    base_node = _write_node(base, chain, out)
    base._node, base._index, base._requires_grad = base_node, 0, True
    rederive(t)


def _write_node(base: TensorBase, chain: tuple[tuple[Primitive, dict[str, Any]], ...], out: TensorBase) -> Node | None:
    """The node of "`base` with `out` written through `chain`", found by running that functionally.

    Only the history is wanted: the memory of the base holds the value already.
    """
    recorder, state.recorder = state.recorder, None
    try:
        before = _snapshot(base)
        return renamed("CopySlices", write_through(before, chain, out))._node
    finally:
        state.recorder = recorder


def write_through(base: Any, chain: tuple[tuple[Primitive, dict[str, Any]], ...], new: Any) -> Any:
    """`base` with `new` in place of what the chain of views shows of it."""
    if not chain:
        return new
    (prim, params), *rest = chain
    assert prim.write is not None, prim
    inner = write_through(prim(base, **params), tuple(rest), new) if rest else new
    return prim.write(base, inner, **params)


def _snapshot(base: TensorBase) -> Tensor:
    """A tensor with the base's memory and present history that is not an alias for autograd's book-keeping."""
    copy = wrap(base._array)
    copy._requires_grad, copy._node, copy._index, copy._accumulator = (
        base._requires_grad, base._node, base._index, base._accumulator,
    )  # fmt: skip
    return copy


def rederive(t: TensorBase) -> None:
    """Give the view `t` the history that its base has now, seen through the view chain."""
    base = t._base
    assert base is not None
    t._base_node = base._node
    t._requires_grad = base._requires_grad
    if not base._requires_grad:
        t._node, t._index = None, 0
        return
    recorder, state.recorder = state.recorder, None
    grad_enabled, state.grad_enabled = state.grad_enabled, True
    try:
        seen: Any = _snapshot(base)
        for prim, params in t._chain[len(base._chain) :]:
            seen = apply(prim, (seen,), params)
        renamed("AsStridedBackward0", seen)
        t._node, t._index = seen._node, seen._index
    finally:
        state.recorder = recorder
        state.grad_enabled = grad_enabled


__all__ += ["write_through"]
