"""A level of forward-mode differentiation: the tangents of what is computed while it is active.

The tangent of a primitive's result is the jacobian times the tangents of its operands. No rule says so: a VJP rule is
linear in its cotangent, and its own transpose, found by running the engine over it, is that product
(https://j-towns.github.io/2017/06/12/A-new-trick.html). With PyTorch's convention for complex numbers the rule is the
adjoint for the inner product Re(conj(u) * v), and so its adjoint is the jacobian again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import engine
from ..ops.common import cast_to, dtype_of
from ..ops.creation import clone, new_leaf, zeros_like
from ..primitives.arithmetic import where
from ..primitives.shaping import broadcast_to
from ..tape import Primitive, TensorBase, Watcher, apply, chain_of, check_writable, edge_of, history, state, write
from ..tape.apply import move
from ..tape.inplace import frozen, keep_values
from ..tape.node import next_sequence
from .backward import grad

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["ForwardLevel", "is_enabled", "set_enabled"]

Array = np.ndarray[Any, Any]


class _Mode(threading.local):
    enabled = True


_mode = _Mode()


def is_enabled() -> bool:
    """Whether tangents are computed in this thread: by default, but not in inference mode."""
    return _mode.enabled and not state.now.inference


def set_enabled(value: bool) -> bool:
    """Switch it on or off; returns what it was."""
    before, _mode.enabled = _mode.enabled, value
    return before


class _Entry:
    """What is known of an array: its tangent, None if it has none whatever the tensor it is a view of has."""

    __slots__ = ("array", "tangent")

    def __init__(self, array: weakref.ref[Array], tangent: Tensor | None) -> None:
        self.array = array
        self.tangent = tangent


class ForwardLevel(Watcher):
    """Keeps the tangent of each tensor that has one, and computes that of each result.

    Tangents are kept by array: nodes make tensors anew for the arrays that they saved. A tangent lies in memory as its
    primal does, and that of a view is a view of that of the base, so that a write in place to the one is one to the
    other.
    """

    follows_values: ClassVar[bool] = True
    told_last: ClassVar[bool] = True

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._since = 0  # nodes younger than that were made for the write that is going on

    # Tangents

    def tangent(self, t: Any) -> Tensor | None:
        """The tangent of `t`, None if it has none."""
        entry = self._entry(t)
        if entry is not None:
            if entry.tangent is not None:
                history(entry.tangent)  # a view of what may have been written to
            return entry.tangent
        view = t._view
        base = None if view is None else view.base
        if base is None or (tangent := self.tangent(base)) is None:
            return None
        for prim, params in chain_of(t)[len(chain_of(base)) :]:
            tangent = apply(prim, (tangent,), params)
        self._keep(t._array, tangent)
        return tangent

    def set_tangent(self, t: TensorBase, tangent: Any) -> None:
        """Give `t` a tangent, which is kept as it is where it can be: see `ForwardLevel`."""
        if _varies_less(tangent, t):
            tangent = where(False, t, tangent)
        self._keep(t._array, tangent if _lies_as(tangent._array, t._array) else laid_out_as(t._array, tangent))

    def cut(self, t: TensorBase) -> None:
        """Let `t`, which has an array of its own, have no tangent."""
        self._keep(t._array, None)

    def _entry(self, t: Any) -> _Entry | None:
        entry = self._entries.get(id(t._array))
        return entry if entry is not None and entry.array() is t._array else None

    def _keep(self, array: Array, tangent: Any) -> None:
        entries, key = self._entries, id(array)

        def forget(gone: weakref.ref[Array]) -> None:
            entry = entries.get(key)
            if entry is not None and entry.array is gone:
                del entries[key]

        entries[key] = _Entry(weakref.ref(array, forget), tangent)

    def close(self) -> None:
        """It is over: no tensor has a tangent."""
        self._entries.clear()

    # What is told

    def step(self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:
        """Compute the tangent of `out`."""
        if not self._entries or not is_enabled():
            return
        tangents = [self.tangent(x) if isinstance(x, TensorBase) else None for x in operands]
        if all(t is None for t in tangents):
            if prim.view and self._entry(operands[0]) is not None:
                self.cut(out)  # a view of what has no tangent, though what that is a view of may have one
        elif out._array.dtype.kind not in "biu":
            tangent = (_viewed if prim.view else pushed)(prim, operands, params, out, tangents)
            if tangent is not None:
                self.set_tangent(out, tangent)

    def alias(self, out: TensorBase, source: TensorBase) -> None:
        """`out` has no tangent."""
        if out._array is source._array:
            move(out, out._array.view())
        self.cut(out)

    def moved(self, t: TensorBase, before: Array) -> None:
        """The tangent stays, lying as `t` does now."""
        entry = self._entries.get(id(before))
        if entry is None or entry.array() is not before:
            return
        if entry.tangent is None:
            self.cut(t)
        else:
            self.set_tangent(t, entry.tangent)

    def frozen(self, out: TensorBase, source: TensorBase) -> None:
        """The tangent, too, is about to be written to."""
        tangent = self.tangent(source)
        if tangent is not None:
            self._keep(out._array, frozen(tangent))

    def will_write(self, t: TensorBase) -> None:
        """Raise what forbids to write to the tangent."""
        tangent = self.tangent(t) if is_enabled() else None
        if tangent is not None:
            check_writable(tangent)
        self._since = next_sequence()

    def will_take(self, t: TensorBase, out: TensorBase) -> None:
        """Where the graph of the new tangent saved what will be overwritten, let it keep copies."""
        new: Any = self.tangent(out) if is_enabled() else None
        if new is None:
            return
        for old in (t, self.tangent(t)):
            if old is not None:
                self._keep_values(new, old)

    def _keep_values(self, new: Any, old: Any) -> None:
        """The same for what both stand for outside."""
        for watcher in (None, *reversed(state.now.watchers)):
            if watcher is not None:
                new, old = [x if (whole := watcher.whole(x)) is None else whole for x in (new, old)]
            if new._node is not None:
                keep_values(new._node, old, self._since)

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> None:  # noqa: ARG002  (the tangent has its own)
        """Write to the tangent: zeros, if what was written has none."""
        if not is_enabled():
            return
        held: Any = self.tangent(t)
        new: Any = self.tangent(out)
        if held is None and new is None:
            return
        if held is None:
            held = self._zeros_for(t)
            if held is None:
                self.set_tangent(t, clone(new))
                return
        if new is None:
            new = zeros_like(held)
        write(held, clone(new) if new._requires_grad and new._node is None else new)

    def _zeros_for(self, t: TensorBase) -> Any:
        """A tangent of zeros for the view `t`, which is one of a tangent of zeros for its base; None for no view."""
        base: Any = None if t._view is None else t._view.base
        if base is None or self._entry(t) is not None:
            return None
        self.set_tangent(base, zeros_like(base))
        return self.tangent(t)

    # What is asked

    def text(self, t: TensorBase) -> str | None:
        """`t` with its tangent."""
        tangent = self.tangent(t) if is_enabled() else None
        if tangent is None:
            return None
        from ..tensor import plain_text

        return plain_text(t, repr(tangent))  # type: ignore[arg-type]

    def takes_function(self, function: Any, args: tuple[Any, ...]) -> bool:  # noqa: ARG002
        """It does if an argument has a tangent."""
        return is_enabled() and any(isinstance(a, TensorBase) and self.tangent(a) is not None for a in args)

    def function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """The function, and the tangents that its `jvp` gives."""
        from .forward_function import apply_function

        return apply_function(self, function, args)


def _viewed(prim: Primitive, operands: Any, params: dict[str, Any], out: Any, tangents: Sequence[Any]) -> Any:
    """The tangent of a view, which is a view if `out` is one; None if there is no derivative."""
    if prim.rules[0] is None:
        return None
    (x,), (t,) = operands, tangents
    tangent = apply(prim, (t,), params)
    return clone(tangent) if _shares(tangent._array, t._array) and not _shares(out._array, x._array) else tangent


def pushed(
    prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: Any, tangents: Sequence[Any]
) -> Any:
    """The tangent of `out`, which is `prim` of the operands; `tangents` has None where an operand has none.

    None if there is no derivative. A tensor of its own memory.
    """
    plan = prim.plan(sum(1 << k for k, t in enumerate(tangents) if t is not None))
    if not plan.pulls:
        return None
    now = state.now
    create_graph, now.grad_enabled = now.grad_enabled, True
    try:
        g = new_leaf(np.zeros(out._array.shape, out._array.dtype), requires_grad=True)
        values = [_source(kind, key, operands, params, out) for kind, key in plan.sources]
        pulled = []
        for (rule, needs), position in zip(plan.pulls, plan.positions, strict=True):
            h = rule(g, *(values if needs is None else [values[k] for k in needs]))
            if h._requires_grad:  # else it is zero
                pulled.append((h, _fitted(tangents[position], operands[position], h)))
    finally:
        now.grad_enabled = create_graph
    if create_graph and not any(w.follows_values for w in now.watchers):  # what those keep may require grad, too
        named = [*values, *[t for _, t in pulled]]
        create_graph = any(isinstance(x, TensorBase) and x._requires_grad for x in named)
    tangent = _transposed(pulled, g, create_graph)
    if tangent is None:
        return zeros_like(out)
    return clone(tangent) if any(_shares(tangent._array, t._array) for _, t in pulled) else tangent


def _source(kind: str, key: Any, operands: tuple[Any, ...], params: dict[str, Any], out: Any) -> Any:
    """What a rule names, as `SavePlan.sources` tells."""
    if kind == "operand":
        return operands[key]
    if kind == "param":
        return params[key]
    if kind == "out":
        return out
    if kind == "position":
        return key
    if kind == "in_dtype":
        return operands[0]._array.dtype
    shapes = tuple([x._array.shape if isinstance(x, TensorBase) else () for x in operands])
    return shapes if kind == "in_shapes" else shapes[0]


def _fitted(tangent: Any, primal: Any, h: Any) -> Any:
    """The tangent in the dtype of its primal, and broadcast as an element-wise primitive does with the primal."""
    if tangent._array.dtype != primal._array.dtype:
        tangent = cast_to(tangent, dtype_of(primal))
    return tangent if tangent._array.shape == h._array.shape else broadcast_to(tangent, shape=h._array.shape)


def _transposed(pulled: Sequence[tuple[Any, Any]], g: Any, create_graph: bool) -> Any:
    """The adjoint, at the second of each pair, of the map from `g` to the first; None if nothing arrives."""
    if not pulled:
        return None
    if state.recorder is not None:
        roots, weights = zip(*pulled, strict=True)
        return grad(roots, g, weights, retain_graph=True, create_graph=create_graph, allow_unused=True)[0]
    (found,) = engine.run(
        [edge_of(h) for h, _ in pulled],
        [t for _, t in pulled],
        retain_graph=True,
        create_graph=create_graph,
        targets=[edge_of(g)],
    )
    return found if found is None or isinstance(found, TensorBase) else new_leaf(np.asarray(found))


def _varies_less(tangent: Any, primal: Any) -> bool:
    """Whether `primal` stands for several examples, and `tangent` does not: then the one cannot be written to as the
    other can.
    """
    for watcher in reversed(state.now.watchers):
        tangents, primals = watcher.whole(tangent), watcher.whole(primal)
        if primals is not None and tangents is None:
            return True
        tangent, primal = tangent if tangents is None else tangents, primal if primals is None else primals
    return False


def _shares(a: Array, b: Array) -> bool:
    return a is b or (a if a.base is None else a.base) is (b if b.base is None else b.base)


def _lies_as(tangent: Array, primal: Array) -> bool:
    """Whether the elements of both are in the same places, so that a view of the one is a view of the other."""
    if tangent.strides == primal.strides or not primal.size:
        return True
    return all(n == 1 or a == b for n, a, b in zip(primal.shape, tangent.strides, primal.strides, strict=True))


def laid_out_as(primal: Array, tangent: Any) -> Any:
    """A copy of `tangent` that lies in memory as `primal` does, if each element of that is in a place of its own."""
    copy = clone(tangent)
    if not _lies_as(copy._array, primal) and all(
        n == 1 or s > 0 for n, s in zip(primal.shape, primal.strides, strict=True)
    ):
        room = 1 + sum((n - 1) * s for n, s in zip(primal.shape, primal.strides, strict=True)) // primal.itemsize
        held: Array = np.ndarray(primal.shape, primal.dtype, np.zeros(room, primal.dtype), 0, primal.strides)
        held[...] = copy._array
        move(copy, held)
    return copy
