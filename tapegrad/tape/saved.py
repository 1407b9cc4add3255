"""What nodes keep of tensors, and what goes wrong with it: written to since, freed, packed away by the user."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import from_numpy_dtype
from ..errors import GraphFreedError, InPlaceError
from ..storage import UNCOUNTED, Storage
from .source import Source
from .state import state
from .variable import TensorBase, storage_of

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Packed", "freed", "modified", "packed", "plain_name", "saved_at_version"]


class Packed:
    """A saved tensor that a pack hook has put away: `unpack()` brings it back."""

    __slots__ = ("_hook", "_kept")

    def __init__(self, kept: Any, hook: Callable[[Any], Any]) -> None:
        self._kept = kept
        self._hook = hook

    def of_the_user(self) -> list[Any]:
        """The hook that brings it back, and what that is given."""
        return [self._hook, self._kept]

    def unpack(self) -> Any:
        """The tensor. Raises TypeError if the hook returns something else."""
        t = self._hook(self._kept)
        if not isinstance(t, TensorBase):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}"
            )
        return t


def packed(t: TensorBase) -> Packed | None:
    """`t` put away by the innermost saved-tensor hooks, None if there are none."""
    for watcher in reversed(state.now.watchers):
        kept = watcher.pack(t)
        if kept is not None:
            return kept
    return None


def saved_at_version(t: TensorBase) -> tuple[TensorBase, Storage, int]:
    """What a node keeps of a tensor that may be written to. Raises InPlaceError for an inference tensor."""
    storage = storage_of(t)
    if storage.version == UNCOUNTED:
        raise InPlaceError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use "
            "it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
        )
    return t, storage, storage.version


def plain_name(node: Node) -> str:
    """The name of the operation, as PyTorch's messages have it: `Exp` of `ExpBackward0`, `T1` of `TBackward1`."""
    return re.sub(r"Backward(0$)?", "", node.name())


def modified(
    saver: str, array: np.ndarray[Any, Any], maker: Node | None, storage: Storage, expected: int
) -> InPlaceError:
    """The error for an array that `saver` saved at version `expected` of its storage, and that was written to since."""
    which = "" if maker is None else f", which is output 0 of {plain_name(maker)},"
    scalar_type = from_numpy_dtype(array.dtype).scalar_type
    source = None if getattr(storage, "writer", None) is None else Source.at(*storage.writer)
    return InPlaceError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{scalar_type}Tensor {list(array.shape)}]{which} is at version {storage.version}; expected version "
        f"{expected} instead. {saver} saved it"
        + (f"; the last write was {source.place}, in {source.function}: {source.text}" if source else "")
        + ". Hint: write to a clone(), or use the out-of-place operation."
    )


def freed() -> GraphFreedError:
    """The error for a node whose saved values are gone."""
    return GraphFreedError(
        "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
        "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
        "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
        "saved tensors after calling backward."
    )
