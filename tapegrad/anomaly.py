"""Anomaly: the watcher that notes where each operation was called, and says so when its backward goes wrong."""

from __future__ import annotations

import traceback
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import AnomalyError
from .tape import Node, TensorBase, Watcher, extras_of, state
from .tape.source import user_frame

if TYPE_CHECKING:
    from .tape import Primitive

__all__ = ["Anomaly", "active_anomaly"]


class Anomaly(Watcher):
    """Notes the stack at each operation. With `check_nan`, a nan that a node returns in backward is an error."""

    looks_inside = True

    def __init__(self, check_nan: bool) -> None:
        self.check_nan = check_nan
        self.running: Node | None = None

    def step(self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:  # noqa: ARG002
        """Note where `out` was computed."""
        self.made(out._node)

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> None:  # noqa: ARG002
        """Note where `t`, and so what it is a view of, was written to."""
        if tracked:
            self.made(t._node)
            if t._view is not None and t._view.base is not None:
                self.made(t._view.base._node)

    def made(self, node: Node | None) -> None:
        """Note where `node` was made, and while which node ran, if in a backward pass."""
        if node is None or extras_of(node).trace is not None:
            return
        extras = extras_of(node)
        extras.trace = "".join(traceback.format_stack(user_frame()))  # down to the user's line
        extras.cause = self.running

    def check(self, node: Node, cotangents: list[Any]) -> None:
        """Raise AnomalyError if `node` returned nan."""
        for k, cotangent in enumerate(cotangents):
            if cotangent is None or not self.check_nan:
                continue
            array = cotangent._array if isinstance(cotangent, TensorBase) else np.asarray(cotangent)
            if array.dtype.kind not in "biu" and np.isnan(array).any():
                raise AnomalyError(f"Function '{node.name()}' returned nan values in its {k}th output.")

    def report(self, node: Node) -> None:
        """Warn that the backward of `node` went wrong, with the stack of its forward call."""
        text, extras = f"Error detected in {node.name()}.", node.extras
        if extras is None or extras.trace is None:
            text += (
                " No forward pass information available. Enable detect anomaly during forward pass for more "
                "information."
            )
        else:
            text += f" Traceback of forward call that caused the error:\n{extras.trace}"
        while extras is not None and extras.cause is not None:
            cause, extras = extras.cause, extras.cause.extras
            text += f"\n\nPrevious calculation was induced by {cause.name()}."
            if extras is not None and extras.trace is not None:
                text += f" Traceback of forward call that induced the previous calculation:\n{extras.trace}"
        warnings.warn(text, UserWarning, stacklevel=2)


def active_anomaly() -> Anomaly | None:
    """The anomaly mode of this thread, if it is on."""
    return next((w for w in state.now.watchers if isinstance(w, Anomaly)), None)
