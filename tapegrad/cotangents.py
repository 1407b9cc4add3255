"""Cotangents on their way: pulled through a node, summed to a primal's shape, added to a leaf's gradient."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

from .errors import RuleError
from .formats import contiguous_format, preserve_format
from .ops.creation import clone
from .primitives.shaping import broadcast_adjoint
from .tape import Node, TensorBase, renamed, state, storage_of, wrap, writable
from .tape.state import leaf_lock

__all__ = ["accumulate", "pull", "unbroadcast", "wrong"]

_ndarray = np.ndarray


def pull(node: Node, g: Any, bare: bool) -> list[Any]:
    """The cotangents of the edges of `node`, arrays if `bare`, else tensors."""
    if bare and node.dtype.isbuiltin == 2:  # bfloat16, beside which Python scalars are not weak: the rules want tensors
        return [None if c is None else c._array for c in node.pull(wrap(np.asarray(g)), create_graph=True)]
    cotangents = node.pull(g, not bare)
    if not bare and (recorder := state.now.recorder) is not None:
        recorder.pulled(node, g, cotangents)
    return cotangents


def unbroadcast(node: Node, cotangent: Any, target: Node) -> Any:
    """The adjoint of the broadcast that an element-wise primitive did by itself."""
    if not node.plan.pulls or not node.prim.elementwise or cotangent.shape != node.shape:
        raise wrong(node, "shape", tuple(cotangent.shape), target.shape)
    return broadcast_adjoint(cotangent, target.shape)


def wrong(node: Node, what: str, got: Any, wanted: Any) -> RuleError:
    """The error for a cotangent that has not its primal's shape or dtype."""
    return RuleError(f"{node.name()} returned a gradient of {what} {got}, expected {what} {wanted}")


def _copied(g: Any, leaf: TensorBase) -> Any:
    """`g` in memory of its own, as others have it, too; in the leaf's order, as PyTorch, if that is contiguous."""
    order = contiguous_format if leaf._array.flags.c_contiguous else preserve_format
    return renamed("CopyBackwards", clone(g, memory_format=order))


def accumulate(leaf: TensorBase, g: Any, bare: bool, create_graph: bool) -> None:
    """Add `g` to `leaf.grad`: in place, unless the gradient itself has a graph."""
    if not leaf._requires_grad:  # no longer
        return
    with leaf_lock:
        held = leaf._grad
        if not bare:
            leaf._grad = _copied(g, leaf) if held is None else held + g if create_graph else held.add_(g)
        elif held is None:
            # Three references: this frame's, the caller's and getrefcount's argument. Then nobody else has this memory.
            owned = type(g) is _ndarray and g.base is None and getrefcount(g) <= 3
            flags = g.flags
            if not flags.c_contiguous and leaf._array.flags.c_contiguous:
                g = np.array(g, order="C")  # in the leaf's order, as PyTorch
            elif not (owned and flags.writeable):
                g = np.array(g)
            leaf._grad = wrap(g)
        elif held._view is None and not state.now.watchers:  # `held += g` without the operation around it
            array = writable(held)
            np.add(array, g, out=array)
            storage_of(held).count_write()
        else:
            held += wrap(np.asarray(g))
            leaf._grad = held
