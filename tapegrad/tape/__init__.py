"""The tape: primitives, the eager graph they record, and programs recorded from runs."""

from .apply import alias, apply, is_recording, is_tensor, renamed
from .inplace import check_writable, write
from .node import AccumulateGrad, Node, edge_of
from .primitive import PRIMITIVES, Primitive
from .program import Source, Step, Tape, Var
from .recorder import Recorder
from .state import state
from .variable import TensorBase, history, set_tensor_type, storage_of, wrap, writable

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
    "check_writable",
    "edge_of",
    "history",
    "is_recording",
    "is_tensor",
    "renamed",
    "set_tensor_type",
    "state",
    "storage_of",
    "wrap",
    "writable",
    "write",
]
