"""What the reverse walk does at nodes with hooks: the order and the checks are PyTorch's.

Per node: the hooks of the tensors it computed, the gradients they keep, what `autograd.grad` captures, the node's
pre-hooks, the node itself, its post-hooks. A hook sees tensors, also where cotangents are bare arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .anomaly import active_anomaly
from .cotangents import accumulate as add_to_grad
from .cotangents import pull, unbroadcast
from .errors import HookError
from .ops.common import dtype_of
from .tape import Node, TensorBase, wrap
from .tape.hooks import Hook

__all__ = ["accumulated", "arrived", "pulled"]


def arrived(node: Node, g: Any, bare: bool) -> Any:
    """The cotangent of `node` after the hooks of its tensors; kept by the tensors that keep theirs."""
    extras = node.extras
    assert extras is not None
    slots = [g] if node.outputs == 1 else list(g)
    for index, hooks in extras.tensor.items():
        for hook in list(hooks.values()):
            slots[index] = _replaced(hook, slots[index], bare)
    for index, reference in extras.retained.items():
        t = reference()
        if t is not None and slots[index] is not None:
            grad = _as_tensor(slots[index], bare)
            held = t._grad
            t._grad = grad.clone() if held is None else held + grad
    return slots[0] if node.outputs == 1 else slots


def _replaced(hook: Hook, g: Any, bare: bool) -> Any:
    """What `hook` makes of one cotangent."""
    given = None if g is None else _as_tensor(g, bare)
    result = hook(given)
    return g if result is None else _checked(hook, result, given, bare)


def pulled(node: Node, g: Any, bare: bool) -> list[Any]:
    """The cotangents of the edges of `node`, its hooks run before and after."""
    extras = node.extras
    assert extras is not None
    g, given = _run_before(node, g, bare)
    nothing = g is None and not node.runs_on_nothing
    cotangents: list[Any] = [None] * len(node.edges) if nothing else pull(node, g, bare)
    anomaly = active_anomaly()
    if anomaly is not None:
        anomaly.check(node, cotangents)
    if not extras.after:
        return cotangents
    order = list(dict.fromkeys((*node.differentiable(), *node.positions())))
    where = [order.index(position) for position in node.positions()]
    slots: list[Any] = [None] * len(order)
    for at, target, cotangent in zip(where, node.edges, cotangents, strict=True):
        if cotangent is not None:
            fits = target.outputs > 1 or cotangent.shape == target.shape
            slots[at] = _as_tensor(cotangent if fits else unbroadcast(node, cotangent, target), bare)
    for hook in list(extras.after.values()):
        slots = _all_replaced(hook, slots, (tuple(slots), given))
    return [_back(slots[at], bare) for at in where]


def _run_before(node: Node, g: Any, bare: bool) -> tuple[Any, tuple[Any, ...]]:
    """The cotangent of `node` after its pre-hooks: as the node takes it, and as hooks see it."""
    assert node.extras is not None
    slots = [None if x is None else _as_tensor(x, bare) for x in ([g] if node.outputs == 1 else g)]
    for hook in list(node.extras.before.values()):
        slots = _all_replaced(hook, slots, (tuple(slots),))
    taken = [_back(x, bare) for x in slots]
    return (taken[0] if node.outputs == 1 else taken), tuple(slots)


def accumulated(node: Node, g: Any, bare: bool, create_graph: bool) -> None:
    """Hand the leaf of the accumulator `node` its gradient, between its hooks."""
    extras = node.extras
    assert extras is not None
    assert node.leaf is not None
    leaf = node.leaf()
    if leaf is None:
        return
    if extras.before:
        g, _ = _run_before(node, g, bare)
    given = (None if g is None else _as_tensor(g, bare),)
    if g is not None:
        add_to_grad(leaf, g, bare, create_graph)
    for hook in list(extras.accumulated.values()):
        result = hook(leaf)
        if result is not None:
            raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    for hook in list(extras.after.values()):
        _all_replaced(hook, [], ((), given))


def _as_tensor(g: Any, bare: bool) -> Any:
    return wrap(np.asarray(g)) if bare else g


def _back(x: Any, bare: bool) -> Any:
    return x._array if bare and x is not None else x


def _all_replaced(hook: Hook, slots: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """`slots`, gradients some of which may be None, or what `hook(*args)` returned in their place."""
    result = hook(*args)
    if result is None:
        return slots
    if not isinstance(result, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(result).__name__}'")
    if len(result) != len(slots):
        raise HookError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(result)}, but expected "
            f"{len(slots)})"
        )
    return [_checked(hook, new, old, bare=False) for new, old in zip(result, slots, strict=True)]


def _checked(hook: Hook, new: Any, old: Any, bare: bool) -> Any:
    """What a hook returned in place of the gradient `old`, if it may."""
    if new is None:
        return None
    if old is None:
        raise HookError("can't replace a None gradient with a non-None value")
    if not isinstance(new, TensorBase):
        raise TypeError(f"expected Variable, but hook returned '{type(new).__name__}'")
    if new._array.dtype != old._array.dtype:
        was, got = dtype_of(old).scalar_type, dtype_of(new).scalar_type
        raise HookError(
            f"hook '{_name(hook)}' has changed the type of value (was torch.{was}Tensor got torch.{got}Tensor)"
        )
    if new._array.shape != old._array.shape:
        raise HookError(f"hook '{_name(hook)}' has changed the size of value")
    return _back(new, bare)


def _name(hook: Hook) -> str:
    return getattr(hook, "__name__", type(hook).__name__)
