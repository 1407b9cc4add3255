"""`autograd.graph`: what can be asked of the graph, and done to it and to what it saves."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import HookError, InPlaceError, NotDifferentiableError, TapegradError
from ..storage import UNCOUNTED, Storage
from ..tape import Node, RemovableHandle, TensorBase, Watcher, edge_of, exposed, extras_of, state, storage_of
from ..tape.hooks import register
from ..tape.inplace import frozen
from ..tape.saved import Packed

if TYPE_CHECKING:
    from ..tape import Primitive
    from ..tensor import Tensor

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge",
    "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor arrives: a node and which of its outputs.

    It stands for the tensor in `autograd.grad` and `backward` without keeping its memory alive (but for a leaf's).
    """

    node: Node
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The gradient edge of `tensor`. Raises RuntimeError if it does not require grad."""
    node, index = edge_of(tensor)
    if node is None:
        raise NotDifferentiableError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    return GradientEdge(exposed(node), index, tensor if node.leaf is not None else None)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count a write to each tensor, as if it had been changed in place: for memory written behind autograd's back."""
    tensors = [tensor] if isinstance(tensor, TensorBase) else tensor
    if not isinstance(tensors, Iterable):
        raise TapegradError("increment_version expect a Iterable[Tensor] as input")
    storages = [storage_of(t) for t in tensors]
    if any(storage.version == UNCOUNTED for storage in storages):
        raise TapegradError("Inference tensors do not track version counter.")
    for storage in storages:
        storage.count_write()


# Saved tensors


class _SavedHooks(Watcher):
    """Has what nodes save put away by `pack_hook`, and brought back by `unpack_hook`."""

    looks_inside = True

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook
        self._about_to_change: Any = None

    def will_write(self, t: TensorBase) -> None:
        """What is saved of `t` from here on must be a copy."""
        self._about_to_change = t

    def write(self, t: TensorBase, out: TensorBase, tracked: bool) -> None:  # noqa: ARG002
        """It is done."""
        self._about_to_change = None

    def step(self, prim: Primitive, operands: tuple[Any, ...], params: dict[str, Any], out: TensorBase) -> None:
        """Put away what the new node saved."""
        node = out._node
        if node is None or not node.saved:
            return
        if (recorder := state.now.recorder) is not None:
            recorder.step(prim, operands, params, out)  # before what the hook does with the result
            recorder.user_code = "a hook of saved tensors"
        saved = list(node.saved)
        for slot in node.plan.tensor_slots:
            kind, position = node.plan.sources[slot]
            t = out if kind == "out" else operands[position]
            if isinstance(t, TensorBase) and type(saved[slot]) is not Packed:
                saved[slot] = self.pack(frozen(t) if t is self._about_to_change else t)
        node.saved = tuple(saved)

    def pack(self, t: TensorBase) -> Packed:
        """`t` put away."""
        storage = storage_of(t)
        version = storage.version
        enabled = state.grad_enabled
        try:
            state.grad_enabled = False
            kept = self.pack_hook(t)
        finally:
            state.grad_enabled = enabled
        if storage.version != version:
            raise HookError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook "
                "cannot be modified by in-place operations as this can lead to unexpected side-effects. Please open an "
                "issue if you need to perform in-place operations on the input to a pack hook."
            )
        return Packed(kept, self.unpack_hook)


class saved_tensors_hooks:  # noqa: N801  (PyTorch's name)
    """Inside the block, what nodes save for backward is `pack_hook(tensor)`, and `unpack_hook` of that gives it back.

    `pack_hook` may return anything; `unpack_hook` must return a tensor of the same values, shape and dtype. The
    innermost block counts. Raises RuntimeError where such hooks are disabled, or if `pack_hook` writes to its argument.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"saved_tensors_hooks: expected functions, got {type(hook).__name__}")
        self._watcher = _SavedHooks(pack_hook, unpack_hook)

    def __enter__(self) -> None:
        _enter_saved_hooks(self._watcher)

    def __exit__(self, *_: object) -> None:
        state.now.unwatch(self._watcher)


def _enter_saved_hooks(watcher: _SavedHooks) -> None:
    now = state.now
    if now.hooks_disabled:
        raise HookError(now.hooks_disabled)
    state.expect_user_code()
    now.watch(watcher)


class save_on_cpu(saved_tensors_hooks):  # noqa: N801  (PyTorch's name)
    """Keep what nodes save in host memory, where eager tensors are anyway. `pin_memory` is accepted."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:  # noqa: ARG002
        super().__init__(lambda t: t.cpu(), lambda t: t)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside the block (or decorated function), using hooks of saved tensors raises RuntimeError(error_message)."""
    now = state.now
    if any(isinstance(w, _SavedHooks) for w in now.watchers):
        raise HookError(error_message)
    before, now.hooks_disabled = now.hooks_disabled, error_message
    try:
        yield
    finally:
        now.hooks_disabled = before


class _Handle:
    """A saved tensor, or its clone once the tensor is about to be written to."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


class _Mutations(_SavedHooks):
    """Clones what was saved when it is about to be written to."""

    def __init__(self) -> None:
        super().__init__(self._keep, self._get)
        self._handles: weakref.WeakKeyDictionary[Storage, list[weakref.ref[_Handle]]] = weakref.WeakKeyDictionary()
        self._open = True

    def _keep(self, t: TensorBase) -> _Handle:
        handle = _Handle(t)
        self._handles.setdefault(storage_of(t).memory, []).append(weakref.ref(handle))
        return handle

    def _get(self, handle: _Handle) -> Any:
        if not self._open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' contextin which the graph was "
                "originally recorded."
            )
        return handle.tensor

    def before_write(self, t: TensorBase) -> None:
        """Clone what was saved of the memory of `t`."""
        for reference in self._handles.pop(storage_of(t).memory, ()):
            handle = reference()
            if handle is not None:
                handle.tensor = frozen(handle.tensor)

    def close(self) -> None:
        """Let go all clones."""
        self._open = False
        self._handles.clear()


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Mutations]:
    """Inside the block, tensors saved for backward may be written to in place: they are cloned first.

    The backward must happen inside, too. Raises RuntimeError if nested.
    """
    if any(isinstance(w, _Mutations) for w in state.now.watchers):
        raise InPlaceError("allow_mutation_on_saved_tensors contexts cannot be nested")
    watcher = _Mutations()
    _enter_saved_hooks(watcher)
    try:
        yield watcher
    finally:
        state.now.unwatch(watcher)
        watcher.close()


# Hooks on several tensors


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[[Any], None], *, mode: str = "all"
) -> RemovableHandle:
    """Call `fn` in each backward pass once all gradients that it computes of `tensors` are there; or, with "any", once
    the first is.

    `fn` gets the list of the gradients, None for those that are not computed, or with "any" the one gradient. It
    cannot change them. Raises ValueError for another `mode`.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    edges = [edge_of(t) for t in tensors]
    if any(node is None for node, _ in edges):
        raise AssertionError("Expected gradient function to be set")
    several = _All(edges, fn) if mode == "all" else _Any(fn)
    tables = [extras_of(node).tensor_hooks(index) for node, index in edges if node is not None]
    return register([(table, several.hook(i)) for i, table in enumerate(tables)])


class _All:
    """Collects, per walk, the gradients of several tensors."""

    def __init__(self, edges: list[tuple[Any, int]], fn: Callable[[Any], None]) -> None:
        self._nodes = [weakref.ref(node) for node, _ in edges]
        self._fn = fn
        self._walks: weakref.WeakKeyDictionary[Any, tuple[int, dict[int, Any]]] = weakref.WeakKeyDictionary()

    def hook(self, i: int) -> Callable[[Any], None]:
        """The hook of tensor `i`."""
        return lambda g: self._arrived(i, g)

    def _arrived(self, i: int, g: Any) -> None:
        walk = state.now.walk
        if walk not in self._walks:
            reached = walk.reached()
            self._walks[walk] = sum(node() in reached for node in self._nodes), {}
        expected, grads = self._walks[walk]
        grads[i] = g
        if len(grads) == expected:
            self._fn([grads.get(k) for k in range(len(self._nodes))])


class _Any:
    """Passes on the first gradient of each walk."""

    def __init__(self, fn: Callable[[Any], None]) -> None:
        self._fn = fn
        self._walks: weakref.WeakSet[Any] = weakref.WeakSet()

    def hook(self, _: int) -> Callable[[Any], None]:
        """The hook of each tensor."""
        return self._arrived

    def _arrived(self, g: Any) -> None:
        walk = state.now.walk
        if walk not in self._walks:
            self._walks.add(walk)
            self._fn(g)
