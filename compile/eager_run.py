"""The eager run that makes a specialisation: recorded, and undone if anything after it fails."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from ..dtypes import set_default_dtype
from ..tape import Recorder, TensorBase, state
from .signature import Signature, modes

__all__ = ["EagerRun"]


class EagerRun:
    """One eager run of the function under a recorder, undone if anything after it fails.

    A context manager: entering runs the function; an exception in the block puts every tensor back.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature, args: Any, kwargs: Any) -> None:
        self.function = function
        self.signature = signature
        self.call = args, kwargs
        self.recorder = Recorder(getattr(function, "__name__", type(function).__name__), strict=True)
        self.result: Any = None
        self.before = [_Attributes.of(t) for t in signature.tensors]
        self.modes = modes()

    def __enter__(self) -> Self:
        for t, label in zip(self.signature.tensors, self.signature.labels, strict=True):
            self.recorder.add_input(t, label)
        args, kwargs = self.call
        state.recorder = self.recorder
        try:
            self.result = self.function(*args, **kwargs)
            self.recorder.finish(self.result)
        except BaseException:
            self.undo()
            raise
        finally:
            state.recorder = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.undo()

    def undo(self) -> None:
        """Put every tensor back to what it was before the run."""
        for t, array, version in self.recorder.undo:
            np.copyto(t._array, array)
            if t._storage is not None:
                t._storage.version = version
        for t, before in zip(self.signature.tensors, self.before, strict=True):
            before.restore(t)
        state.grad_enabled, default = self.modes
        set_default_dtype(default)


class _Attributes(NamedTuple):
    """What of a tensor a run can change besides its memory."""

    grad: Any
    node: Any
    output: int
    requires_grad: bool
    version: int

    @classmethod
    def of(cls, t: TensorBase) -> _Attributes:
        return cls(t._grad, t._node, t._index, t._requires_grad, 0 if t._storage is None else t._storage.version)

    def restore(self, t: TensorBase) -> None:
        t._grad, t._node, t._index, t._requires_grad = self[:4]
