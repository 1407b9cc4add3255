"""The tape: primitives, the eager graph they record, and programs recorded from runs."""

from .apply import alias, apply, apply_pair, apply_single, is_recording, is_tensor, one_of_several_views, renamed
from .hooks import RemovableHandle, extras_of
from .inplace import check_writable, write
from .node import AccumulateGrad, Node, edge_of, exposed
from .number import Requirement
from .primitive import PRIMITIVES, Primitive
from .program import Step, Tape, Var
from .recorder import Recorder
from .source import Source
from .state import Watcher, state
from .variable import (
    Creation,
    TensorBase,
    View,
    base_of,
    chain_of,
    history,
    is_inference,
    keep_on_device,
    set_tensor_type,
    storage_of,
    wrap,
    writable,
)

__all__ = [
    "PRIMITIVES",
    "AccumulateGrad",
    "Creation",
    "Node",
    "Primitive",
    "Recorder",
    "RemovableHandle",
    "Requirement",
    "Source",
    "Step",
    "Tape",
    "TensorBase",
    "Var",
    "View",
    "Watcher",
    "alias",
    "apply",
    "apply_pair",
    "apply_single",
    "base_of",
    "chain_of",
    "check_writable",
    "edge_of",
    "exposed",
    "extras_of",
    "history",
    "is_inference",
    "is_recording",
    "is_tensor",
    "keep_on_device",
    "one_of_several_views",
    "renamed",
    "set_tensor_type",
    "state",
    "storage_of",
    "wrap",
    "writable",
    "write",
]
