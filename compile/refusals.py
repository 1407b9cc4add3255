"""What a jitted function may not do, since a compiled call would not do it too: found after the eager run."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import fields, is_dataclass
from typing import Any

from ..tape import Recorder
from ..tree import containers
from .eager_run import EagerRun
from .signature import Signature, modes, sharing, signature_of

__all__ = ["plain_result", "refuse_changes", "refuse_containers"]


def refuse_containers(run: EagerRun) -> None:
    """Raise UnsupportedError for a result whose containers could not be made again as they are."""
    seen = set(run.signature.objects)
    for container in containers(run.result):
        kind = type(container)
        if isinstance(container, dict) and kind not in (dict, OrderedDict):
            raise run.recorder.unsupported(f"returning a {kind.__name__}: return a dict")
        if not isinstance(container, tuple):
            if id(container) in seen:
                what = f"returning a {kind.__name__} from outside, or one twice: return a new one"
                raise run.recorder.unsupported(what)
            seen.add(id(container))
        if is_dataclass(kind):
            extra = set(getattr(container, "__dict__", ())) - {field.name for field in fields(container)}
            if extra:
                what = f"returning a {kind.__name__} with attributes that are no fields: {sorted(extra)}"
                raise run.recorder.unsupported(what)


def plain_result(recorder: Recorder, leaf: Any) -> Any:
    """A result that is no tensor: the same in every call of the signature, so it must not be able to change."""
    if leaf is None or isinstance(leaf, bool | int | float | complex | str | bytes):
        return leaf
    raise recorder.unsupported(f"returning a {type(leaf).__name__} from a jitted function: return tensors or numbers")


def refuse_changes(run: EagerRun) -> None:
    """Raise UnsupportedError if the run changed something that a compiled call would not change."""
    args, kwargs = run.call
    after = signature_of(run.function, args, kwargs)
    before, recorder = run.signature, run.recorder
    if run.modes != modes():
        raise recorder.unsupported("a change of grad mode or default dtype that outlasts the function")
    if [id(t) for t in after.own] != [id(t) for t in before.own] or after.static != before.static:
        raise recorder.unsupported(
            "a change, by the function, to something other than tensors' values and gradients "
            f"({_difference(before, after)}): return it instead"
        )
    _refuse_shared(run)
    for t, label, attributes in zip(before.tensors, before.labels, run.before, strict=True):
        if t._node is not attributes.node or t._requires_grad != attributes.requires_grad:
            raise recorder.unsupported(f"an in-place operation that gives {label} a history: use it out of place")
        g = t._grad
        if g is not None and g is not attributes.grad:
            if recorder.position(g) is not None or (g._storage is not None and recorder.knows_memory(g)):
                raise recorder.unsupported(f"{label}.grad set to a tensor that shares memory with another one")
            if g._requires_grad:
                raise recorder.unsupported(f"{label}.grad keeping a graph (create_graph): use autograd.grad instead")


def _refuse_shared(run: EagerRun) -> None:
    """Raise UnsupportedError if memory was written that other tensors look at, or behind the recorder's back."""
    tensors, labels, recorder = run.signature.tensors, run.signature.labels, run.recorder
    written = {i for i, _ in recorder.written()}
    for group in sharing(tensors):
        if written & set(group):
            raise recorder.unsupported(f"an in-place write to {labels[group[0]]}, whose memory other inputs share")
    for i, t in enumerate(tensors):
        if i not in written and t._storage is not None and t._storage.version != run.before[i].version:
            raise recorder.unsupported(f"a write to {labels[i]} that was not recorded (from another thread?)")
    grads = [t._grad for t, attributes in zip(tensors, run.before, strict=True) if t._grad is not attributes.grad]
    fresh = [g for g in grads if g is not None]
    if len({id(g) for g in fresh}) < len(fresh) or sharing(fresh):
        raise recorder.unsupported("one gradient given to two tensors: clone() it")


def _difference(before: Signature, after: Signature) -> str:
    """Where two signatures part, in words."""
    missing = [label for label in after.labels if label not in before.labels]
    if missing:
        return f"{missing[0]} is new"
    gone = [label for label in before.labels if label not in after.labels]
    if gone:
        return f"{gone[0]} is gone"
    moved = [label for t, s, label in zip(before.own, after.own, before.labels, strict=False) if t is not s]
    return f"{moved[0]} is another tensor" if moved else "a captured value or container is another one"
