"""The tape: primitives, the eager graph they record, and programs recorded from runs."""

from .apply import alias, apply, apply_pair, apply_single, is_recording, is_tensor, renamed
from .inplace import check_writable, write
from .node import AccumulateGrad, Node, edge_of, exposed
from .primitive import PRIMITIVES, Primitive
from .program import Source, Step, Tape, Var
from .recorder import Recorder
from .state import state
from .variable import TensorBase, history, keep_on_device, set_tensor_type, storage_of, wrap, writable

__all__ = [
    "PRIMITIVES",
    "AccumulateGrad",
    "Node",
    "Primitive",
    "Recorder",
    "Source",
    "Step",
    "Tape",
    "TensorBase",
    "Var",
    "alias",
    "apply",
    "apply_pair",
    "apply_single",
    "check_writable",
    "edge_of",
    "exposed",
    "history",
    "is_recording",
    "is_tensor",
    "keep_on_device",
    "renamed",
    "set_tensor_type",
    "state",
    "storage_of",
    "wrap",
    "writable",
    "write",
]
