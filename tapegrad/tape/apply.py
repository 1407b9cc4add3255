"""apply: run a primitive on tensors and record it. The one place where nodes and tape steps are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..storage import Storage
from .node import make_node
from .number import plain
from .primitive import Primitive, native
from .state import state
from .variable import Creation, TensorBase, View, chain_of, history, is_inference, storage_of, wrap

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "alias", "apply", "apply_pair", "apply_single", "is_recording", "is_tensor", "move", "one_of_several_views",
    "renamed",
]  # fmt: skip

_NO_PARAMS: dict[str, Any] = {}
_ndarray = np.ndarray


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor."""
    return isinstance(x, TensorBase)


def apply(prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any] = _NO_PARAMS) -> Tensor:
    """`prim` of `operands` (tensors of one dtype, or Python scalars), recorded where gradients or a recorder ask.

    The operands must be what the primitive wants: promotion and defaults are the business of `ops`.
    """
    mask = 0
    bit = 1
    literals = False
    arrays = []
    for operand in operands:
        if isinstance(operand, TensorBase):
            if operand._view is not None:
                history(operand)
            if operand._requires_grad:
                mask += bit
            arrays.append(operand._array)
        else:
            arrays.append(operand)
            literals = True
        bit += bit
    if literals:
        arrays = _exact_literals(arrays)
    now = state.now
    quiet = now.quiet
    try:
        value = quiet(prim.forward, *arrays, **params) if params else quiet(prim.forward, *arrays)
    except ValueError as error:
        raise _explained(prim, arrays, error) from None
    return _recorded(now, prim, operands, params, value, mask)


def apply_single(prim: Primitive, x: Tensor, params: dict[str, Any] = _NO_PARAMS) -> Tensor:
    """`apply(prim, (x,), params)` for a tensor, without the loop."""
    if x._view is not None:
        history(x)
    now = state.now
    quiet = now.quiet
    value = quiet(prim.forward, x._array, **params) if params else quiet(prim.forward, x._array)
    return _recorded(now, prim, (x,), params, value, int(x._requires_grad))


def apply_pair(prim: Primitive, a: Tensor, b: Tensor) -> Tensor:
    """`apply(prim, (a, b))` for two tensors, its loop unrolled: this is most of what small eager steps do."""
    if a._view is not None:
        history(a)
    if b._view is not None:
        history(b)
    now = state.now
    try:
        value = now.quiet(prim.forward, a._array, b._array)
    except ValueError as error:
        raise _explained(prim, [a._array, b._array], error) from None
    return _recorded(now, prim, (a, b), _NO_PARAMS, value, a._requires_grad + 2 * b._requires_grad)


def _recorded(
    now: Any, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], value: Any, mask: int
) -> Tensor:
    """The result as a tensor, with its node if `mask` says that an operand needs one, and told to the recorder."""
    out = wrap(value if type(value) is _ndarray else np.asarray(value))
    if mask and now.grad_enabled:
        plan = prim.plans.get(mask) or prim.plan(mask)
        if plan.pulls and out._array.dtype.kind not in "biu":
            out._node = make_node(prim, plan, operands, params, out)
            out._requires_grad = True
    if prim.view:
        _link_view(out, operands[0], prim, params)
    if now.watchers:
        now.tell("step", prim, operands, params, out)
    return out


def _explained(prim: Primitive, arrays: list[Any], error: ValueError) -> Exception:
    """NumPy's error, or PyTorch's where shapes do not broadcast."""
    shapes = [np.shape(a) for a in arrays]
    if prim.elementwise and not _broadcastable(shapes):
        return ShapeError(mismatch(shapes))
    return error


def _exact_literals(arrays: list[Any]) -> list[Any]:
    """Literals as NumPy takes them: numbers as they are now, NumPy's own made weak; as arrays beside dtypes that are
    not NumPy's own (bfloat16), where they would not be weak.
    """
    arrays = [plain(a) for a in arrays]
    arrays = [float(a) if type(a) is np.float64 else a for a in arrays]
    for array in arrays:
        if type(array) is _ndarray and not native(array.dtype):
            return [a if type(a) is _ndarray or type(a) is bool else np.asarray(a, array.dtype) for a in arrays]
    return arrays


def _broadcastable(shapes: Sequence[tuple[int, ...]]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def mismatch(shapes: Sequence[tuple[int, ...]]) -> str:
    """PyTorch's message for shapes that do not broadcast."""
    first = shapes[0]
    for other in shapes[1:]:
        for dim in range(1, min(len(first), len(other)) + 1):
            m, n = first[-dim], other[-dim]
            if m != n and 1 not in (m, n):
                at = f"non-singleton dimension {max(len(first), len(other)) - dim}"
                return f"The size of tensor a ({m}) must match the size of tensor b ({n}) at {at}"
    return f"shapes {[list(s) for s in shapes]} cannot be broadcast together"


def _link_view(out: TensorBase, source: TensorBase, prim: Primitive, params: dict[str, Any]) -> None:
    """Make `out` an alias of `source` if NumPy gave a view of the same memory."""
    if not _same_owner(out._array, source._array):
        return
    if source._device is not None:
        storage_of(source)  # moves the source to host memory of its own, which the view must look at
        out._array = prim.forward(source._array, **params)
    out._storage = storage_of(source)
    chain = (*chain_of(source), (prim, params))
    if is_inference(source):
        out._view = View(chain, None)
        return
    seen = source._view
    base = source if seen is None or seen.base is None else seen.base
    out._view = View(chain, base, _creation() if seen is None or seen.creation is Creation.NORMAL else seen.creation)


def _creation() -> Creation:
    """How a view made now is made."""
    if state.now.inference:
        return Creation.INFERENCE
    return Creation.NORMAL if state.grad_enabled else Creation.NO_GRAD


def one_of_several_views(out: Tensor, number: int) -> Tensor:
    """`out`, marked as one of the views that one function returned: autograd forbids writes through it."""
    view = out._view
    if view is not None and view.creation is Creation.NORMAL:
        view.creation, view.number = Creation.MULTIPLE, number
    return out


def alias(t: TensorBase, *, own_version: bool = False) -> Tensor:
    """A leaf that looks at the memory of `t`, with no history; with a write count of its own if asked."""
    storage = storage_of(t)
    out = wrap(t._array)
    out._storage = Storage(storage.memory) if own_version and not is_inference(t) else storage
    if t._view is not None:
        out._view = View(t._view.chain, None)
    if state.now.watchers:
        state.now.tell("alias", out, t)
    return out


def move(t: TensorBase, array: np.ndarray[Any, Any]) -> None:
    """Let `t` have its value, the same, in another array."""
    before, t._array = t._array, array
    if state.now.watchers:
        state.now.tell("moved", t, before)


def _same_owner(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays look at one piece of memory."""
    owner_a = a.base if type(a.base) is _ndarray else a  # the base of memory that is not NumPy's is another object
    owner_b = b.base if type(b.base) is _ndarray else b
    return owner_a is owner_b


def renamed(name: str, out: Tensor) -> Tensor:
    """`out`, a composite's fresh result, with its node named as PyTorch names the composite's."""
    if out._node is not None:
        out._node.kind = name
    return out


def is_recording() -> bool:
    """Whether a recorder is active in this thread."""
    return state.recorder is not None
