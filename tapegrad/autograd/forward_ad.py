"""`autograd.forward_ad`: forward mode, by tensors with a tangent ("dual numbers")."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ForwardModeError, UnsupportedError
from ..ops.common import cast_to, dtype_of, require_tensor
from ..primitives.shaping import reshape
from ..tape import apply, renamed, state
from .forward_function import require_size
from .forward_level import ForwardLevel, is_enabled, set_enabled
from .grad_mode import Mode
from .lifted import settled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual",
]  # fmt: skip


class UnpackedDualTensor(NamedTuple):
    """The parts of a dual tensor; the tangent is None if it has none."""

    primal: Any
    tangent: Any


def current_level() -> ForwardLevel | None:
    """The innermost level that is active in this thread, None if there is none."""
    for watcher in reversed(state.now.watchers):
        if isinstance(watcher, ForwardLevel):
            return watcher
    return None


def enter_dual_level() -> int:
    """Begin a level: tangents given from here on live until it ends. Returns its number, 0.

    Raises RuntimeError if there is one.
    """
    if current_level() is not None:
        raise ForwardModeError("Nested forward mode AD is not supported at the moment")
    state.now.watch(ForwardLevel())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level. Raises RuntimeError if there is none, or for another number than its."""
    found = current_level()
    if level not in (None, -1 if found is None else 0):
        raise ForwardModeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    if found is None:
        raise ForwardModeError("Dual level must be a positive number.")
    state.now.unwatch(found)
    found.close()


class dual_level(Mode):  # noqa: N801  (PyTorch's name)
    """Forward mode inside the block or the decorated function: a level, the number of which `with` gives."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of `tensor` that has `tangent`, through which gradients flow to both.

    The tangent is kept as it is if it has the dtype of `tensor` and lies in memory as that does, else copied: a write
    in place to the one is then a write to the other.

    Raises RuntimeError without a level, if the shapes differ, or if either has a tangent already; ValueError unless
    both are floating or complex.
    """
    found = current_level()
    if (level is None and found is None) or (level is not None and level < 0):
        raise ForwardModeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    _require_inexact(tensor, tangent)
    if found is None or level not in (None, 0):
        raise ForwardModeError("Invalid level given to _make_dual")
    return dual(found, tensor, tangent)


def _require_inexact(primal: Tensor, tangent: Tensor) -> None:
    for name, t in (("primal", primal), ("tangent", tangent)):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {t.dtype}")


def dual(level: ForwardLevel, tensor: Tensor, tangent: Tensor) -> Tensor:
    """A view of `tensor` that has `tangent` on `level`; for the errors see `make_dual`."""
    require_inner(level, "make_dual()")
    _require_inexact(tensor, tangent)
    require_size(tensor, tangent)
    if tangent_of(level, tensor) is not None:
        raise ForwardModeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not "
            "supported."
        )
    if tangent_of(level, tangent) is not None:
        raise ForwardModeError(
            "Setting a forward grad that itself has a forward gradient at the same level0 is not supported."
        )
    out = seen_without(level, tensor)
    state.now.outside(level, level.set_tangent, out, cast_to(tangent, dtype_of(tensor)))
    return out


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """A view of `tensor` that has no tangent, through which gradients flow to it, and its tangent (None: it has none).

    Without a level, `tensor` itself and None.
    """
    found = current_level()
    if found is None or (level is not None and level < 0):
        return UnpackedDualTensor(tensor, None)
    require_inner(found, "unpack_dual()")
    t = require_tensor("_unpack_dual", tensor)
    tangent = tangent_of(found, t) if is_enabled() else None
    if tangent is not None and level not in (None, 0):
        raise ForwardModeError("Invalid level given to _fw_primal")
    primal = renamed("Identity", seen_without(found, settled(t)))
    return UnpackedDualTensor(primal, None if tangent is None else settled(tangent))


def tangent_of(level: ForwardLevel, t: Tensor) -> Tensor | None:
    """The tangent of `t` on `level`, None if it has none."""
    found: Any = state.now.outside(level, level.tangent, t)
    return found


def seen_without(level: ForwardLevel, t: Tensor) -> Tensor:
    """A view of all of `t`, that has no tangent on `level`."""
    out: Any = state.now.outside(level, apply, reshape, (t,), {"shape": t._array.shape})
    level.cut(out)
    return out


def require_inner(level: ForwardLevel, what: str) -> None:
    """Raise UnsupportedError inside a `vmap` inside `level`, where tangents would be those of one example."""
    watchers = state.now.watchers
    if any(w.follows_values for w in watchers[watchers.index(level) + 1 :]):
        raise UnsupportedError(
            f"{what} inside a vmap that is inside of the level: enter the level in the mapped function"
        )


_is_fwd_grad_enabled = is_enabled


class _set_fwd_grad_enabled(Mode):  # noqa: N801  (PyTorch's name)
    """Whether tangents are computed, from here on; as a context manager, until the block ends."""

    def __init__(self, mode: bool) -> None:
        self._mode = mode
        self._before = set_enabled(mode)

    def __enter__(self) -> None:
        """The constructor has set the mode already."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_enabled(self._before)
