"""In-place writes: memory, version, and the graph of the base and its views.

An in-place operation is its out-of-place form followed by `write`: memory takes the value, and the tensor (or the
base it is a view of) takes the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InPlaceError
from ..storage import Storage, overlapping
from .apply import apply, renamed
from .hooks import move_retained
from .node import Node, next_sequence
from .primitive import PRIMITIVES
from .saved import Packed, plain_name
from .source import user_frame
from .state import state
from .variable import Chain, Creation, TensorBase, View, chain_of, history, is_inference, storage_of, wrap, writable

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["check_writable", "rederive", "write"]


def check_writable(t: TensorBase) -> int:
    """Raise InPlaceError if autograd forbids writing to `t` in place, before anything is computed.

    Returns the number from which on nodes belong to the operation that writes (see `write`).
    """
    if state.now.watchers:
        state.now.tell("will_write", t)
    history(t)
    if is_inference(t) and not state.now.inference:
        raise InPlaceError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if state.grad_enabled:
        _check_tracked(t)
    array = t._array
    if not array.flags.c_contiguous and overlapping(array.shape, array.strides):
        raise InPlaceError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    return next_sequence()


def _check_tracked(t: TensorBase) -> None:
    """The same, for what grad mode forbids."""
    view = t._view
    if view is None or view.base is None:
        if t._requires_grad and t._node is None:
            raise InPlaceError("a leaf Variable that requires grad is being used in an in-place operation.")
    elif view.base._requires_grad:
        require_followed(t, view)
        if view.base._node is None:
            raise InPlaceError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


_WHAT_TO_DO = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
    "the view and the inplace either both inside the {block} block (if you don't want the inplace to be tracked) or "
    "both outside (if you want the inplace to be tracked)."
)
_WHY = {
    Creation.NO_GRAD: _WHAT_TO_DO.format(block="no_grad"),
    Creation.INFERENCE: _WHAT_TO_DO.format(block="inference_mode"),
    Creation.MULTIPLE: (
        "This view is the output of a function that returns multiple views. Such functions do not allow the output "
        "views to be modified inplace. You should replace the inplace operation by an out-of-place one."
    ),
    Creation.FUNCTION: (
        "This view was created inside a custom Function (or because an input was returned as-is) and the autograd "
        "logic to handle view+inplace would override the custom backward associated with the custom Function, leading "
        "to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom "
        "Function."
    ),
}


def require_followed(t: TensorBase, view: View, *, indirect: bool = False) -> None:
    """Raise InPlaceError if autograd cannot follow a write through `t` (or, `indirect`, to what `t` is a view of)."""
    creation = view.creation
    if creation is Creation.NORMAL:
        return
    written = "its base or another view of its base has been" if indirect else "is being"
    node = t._node
    output = "" if node is None else f"Output {t._index or view.number} of {plain_name(node)} is a view"
    if node is not None and creation in (Creation.MULTIPLE, Creation.FUNCTION):
        where = f"{output} and {written} modified inplace."
    else:
        begin = f"{output} of a view which was created in" if output else "A view was created in"
        mode, now = (
            ("inference", "in normal mode") if creation is Creation.INFERENCE else ("no_grad", "with grad mode enabled")
        )
        where = f"{begin} {mode} mode and {written} modified inplace {now}."
    raise InPlaceError(f"{where} {_WHY[creation]}")


def write(t: Tensor, out: Tensor, since: int | None = None) -> Tensor:
    """Give `t` the value and history of `out`, a fresh tensor of its shape and dtype. Returns `t`.

    `check_writable(t)` must have passed; `since` is what it returned, if `out` was computed of `t` in several steps.
    Bumps the version, moves the history of the base if `t` is a view, and
    tells the recorder.
    """
    now = state.now
    tracked = now.grad_enabled and (t._requires_grad or out._requires_grad)
    view = t._view
    if tracked and view is not None:
        require_followed(t, view)
    watched = now.watchers
    if watched:
        now.tell("will_take", t, out)
    storage = storage_of(t)
    node = out._node
    if node is not None:
        keep_values(node, t, node.sequence if since is None else since)
        if node.saved:
            _keep_result(node, t, storage)
    if watched:
        now.tell("before_write", t)
    np.copyto(writable(t), out._array)
    _count(storage)
    if tracked:
        rebase(t, out)
    if watched:
        now.tell("write", t, out, tracked)
    return t


def _count(storage: Storage) -> None:
    """Count a write, and note the user's code that is running, and where in it."""
    storage.count_write()
    frame = user_frame()
    if frame is not None:
        storage.writer = frame.f_code, frame.f_lasti


def keep_values(last: Node, t: TensorBase, since: int) -> None:
    """Where `last`, or the nodes before it made after `since`, saved what is about to be overwritten, save copies."""
    storage = storage_of(t)
    copies: dict[int, TensorBase] = {}
    pending, seen = [last], {last}
    while pending:
        node = pending.pop()
        for edge in node.edges:
            if edge.sequence > since and edge not in seen:
                seen.add(edge)
                pending.append(edge)
        if node.saved and any(_looks_at(storage, value) for value in node.saved):
            node.saved = tuple([_copied(v, copies) if _looks_at(storage, v) else v for v in node.saved])


def _looks_at(storage: Storage, value: Any) -> bool:
    """Whether a saved value is a tensor on that memory."""
    saved = value[0] if type(value) is tuple and value else value
    return isinstance(saved, TensorBase) and saved._storage is storage


def _copied(value: Any, copies: dict[int, TensorBase]) -> TensorBase:
    """A saved tensor with its history on memory of its own."""
    t = value[0] if type(value) is tuple else value
    if id(t) not in copies:
        copies[id(t)] = frozen(t)
    return copies[id(t)]


def _keep_result(node: Node, t: TensorBase, storage: Storage) -> None:
    """Where `node` saved its result, save `t`, which is about to take it: one memory instead of two."""
    assert node.saved is not None
    saved = list(node.saved)
    for slot in node.plan.tensor_slots:
        if node.plan.sources[slot][0] == "out" and type(saved[slot]) is not Packed:
            saved[slot] = t._array, storage, storage.version + 1
    node.saved = tuple(saved)


def frozen(t: TensorBase) -> TensorBase:
    """A copy of the present value of `t`, with its present history."""
    copy = _snapshot(t)
    copy._array = t._array.copy()
    if state.now.watchers:
        state.now.tell("frozen", copy, t)
    return copy


def rebase(t: TensorBase, out: TensorBase) -> None:
    """Move the history of `out` to `t`, or through the view chain into the base of `t`."""
    view = t._view
    if view is None or view.base is None:
        _set_history(t, out._node, out._index)
        return
    base = view.base
    node = _write_node(base, chain_of(t)[len(chain_of(base)) :], out)
    _set_history(base, node, 0)
    rederive(t)


def become(t: TensorBase, out: TensorBase) -> None:
    """Let `t` be what its view `out` is, shape, strides and history. Its memory stays, and the write is counted.

    `check_writable(t)` must have passed. Whoever looks at `t` as its base must not be there: it would not follow. A
    gradient that `t` retains stays that of what it was, as in PyTorch.
    """
    storage = storage_of(t)
    _count(storage)
    if t._view is not None and out._view is not None:
        t._view.chain = out._view.chain
    t._array = out._array
    if out._node is not None:
        t._node, t._index = out._node, out._index
    else:
        t._accumulator = None  # of a leaf, under `no_grad`: gradients have the new shape


def _set_history(t: TensorBase, node: Node | None, index: int) -> None:
    before = t._node
    if before is not None and before.extras is not None and node is not None:
        move_retained(t, before.extras, node, index)
    t._node, t._index, t._requires_grad = node, index, node is not None


def _write_node(base: TensorBase, chain: Chain, out: TensorBase) -> Node | None:
    """The node of "`base` with `out` written through `chain`", found by running that functionally.

    Only the history is wanted: the memory of the base holds the value already.
    """
    now = state.now
    watchers, now.watchers = now.watchers, ()
    try:
        before = _snapshot(base)
        return renamed("CopySlices", write_through(before, chain, out))._node
    finally:
        now.watchers = watchers


def write_through(base: Any, chain: Chain, new: Any) -> Any:
    """`base` with `new` in place of what the chain of views shows of it."""
    if not chain:
        return new
    if len(chain) > 1 and any(prim.name == "broadcast_to" for prim, _ in chain[:-1]):
        return _write_places(base, chain, new)
    seen = [base]
    for prim, params in chain[:-1]:
        seen.append(prim(seen[-1], **params))
    for (prim, params), whole in zip(reversed(chain), reversed(seen), strict=True):
        assert prim.write is not None, prim
        new = prim.write(whole, new, **params)
    return new


def _write_places(base: Any, chain: Chain, new: Any) -> Any:
    """The same where the chain repeats elements on the way: what it shows at the end is found by its places."""
    seen = whole = np.empty(base.shape, base.dtype if isinstance(base, np.ndarray) else base._array.dtype)
    for prim, params in chain:
        seen = prim.forward(seen, **params)
    if seen.dtype != whole.dtype:
        raise InPlaceError("in-place write through views that repeat elements and then change the dtype: clone() first")
    size = whole.itemsize
    offset = (seen.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) // size
    strides = tuple(step // size for step in seen.strides)
    return PRIMITIVES["as_strided_scatter"](base, new, strides=strides, offset=offset)


def _snapshot(base: TensorBase) -> Tensor:
    """A tensor with the base's memory and present history that is not an alias for autograd's book-keeping."""
    copy = wrap(base._array)
    copy._requires_grad, copy._node, copy._index, copy._accumulator = (
        base._requires_grad, base._node, base._index, base._accumulator,
    )  # fmt: skip
    return copy


def rederive(t: TensorBase) -> None:
    """Give the view `t` the history that its base has now, seen through the view chain."""
    view = t._view
    assert view is not None
    base = view.base
    assert base is not None
    now = state.now
    if view.creation is not Creation.NORMAL:
        if now.grad_enabled and base._requires_grad:
            require_followed(t, view, indirect=True)
        return
    view.base_node = base._node
    if not base._requires_grad:
        t._node, t._index, t._requires_grad = None, 0, False
        return
    watchers, now.watchers = now.watchers, ()
    grad_enabled, now.grad_enabled = now.grad_enabled, True
    try:
        seen: Any = _snapshot(base)
        for prim, params in chain_of(t)[len(chain_of(base)) :]:
            seen = apply(prim, (seen,), params)
        if seen._node.kind not in ("ViewAsRealBackward0", "ViewAsComplexBackward0"):  # which PyTorch can replay
            renamed("AsStridedBackward0", seen)
    finally:
        now.watchers, now.grad_enabled = watchers, grad_enabled
    _set_history(t, seen._node, seen._index)


__all__ += ["become", "frozen", "keep_values", "rebase", "require_followed", "write_through"]
