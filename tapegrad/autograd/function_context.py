"""The context of a `Function`: what its `forward` and `backward` are given, and its node in the graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import from_numpy_dtype
from ..errors import NotDifferentiableError
from ..ops.common import cast_to
from ..ops.creation import new_leaf
from ..primitives.shaping import broadcast_adjoint
from ..tape import Node, TensorBase, edge_of, state, storage_of, wrap
from ..tape.node import next_sequence, with_history
from ..tape.primitive import SavePlan
from ..tape.saved import Packed, freed, packed, saved_at_version

if TYPE_CHECKING:
    from ..storage import Storage
    from ..tensor import Tensor
    from .function import Function

__all__ = ["FunctionCtx"]


class FunctionCtx(Node):
    """The context handed to `forward` and `backward`; also the node in the graph, as in PyTorch.

    Any attribute may be set on it. `needs_input_grad` tells, per argument of `apply`, whether a gradient is wanted.
    """

    __slots__ = (
        "__dict__", "_for_forward", "_function", "_materialize", "_metadata", "_positions", "_saved", "_tensors",
        "_width", "dirty", "non_differentiable",
    )  # fmt: skip

    runs_on_nothing = True

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple([isinstance(a, TensorBase) and a._requires_grad for a in args])
        state.expect_user_code()
        self._function = function
        needs = self.needs_input_grad if state.grad_enabled else ()
        self._positions = [i for i, needed in enumerate(needs) if needed]
        self._tensors = [i for i, a in enumerate(args) if isinstance(a, TensorBase)]
        self._saved: tuple[Any, ...] | None = ()
        self._for_forward: tuple[Any, ...] = ()
        # of each output its number among the tensors, shape and dtype; None for what is no tensor
        self._metadata: list[tuple[int, tuple[int, ...], Any] | None] = []
        self._materialize = True
        self.dirty: dict[int, Any] = {}
        self.non_differentiable: dict[int, Any] = {}
        edges = [edge_of(args[i]) for i in self._positions]
        self.edges = tuple([node for node, _ in edges if node is not None])
        self.indices = tuple([index for _, index in edges])
        self.kind = f"{function.__name__}Backward"
        self.leaf = None
        self.extras = None
        self.plan = SavePlan((), (), (), ())
        self.saved = ()
        self.outputs = 0
        self._width = len(args)
        self.sequence = next_sequence()

    # For the engine

    def differentiable(self) -> list[int]:
        """The positions of the arguments that are tensors."""
        return self._tensors

    def positions(self) -> tuple[int, ...]:
        """Which argument each edge belongs to."""
        return tuple(self._positions)

    def add_output(self, out: Any) -> int:
        """Note an output of `forward`; returns its number among the tensors."""
        if out is None:
            self._metadata.append(None)
            return 0
        index = self.outputs
        shape, dtype = out._array.shape, out._array.dtype
        self._metadata.append((index, shape, dtype))
        if not index:
            self.shape, self.dtype = shape, dtype
        self.outputs += 1
        return index

    def own(self, outputs: tuple[Any, ...], finished: list[Any]) -> None:
        """Keep saved outputs without reference to their node, which is this one."""
        assert self._saved is not None
        owned = {id(out): t for out, t in zip(outputs, finished, strict=True) if isinstance(t, TensorBase)}
        saved = []
        for entry in self._saved:
            away = entry is not None and type(entry[0]) is Packed
            out = None if entry is None else owned.get(entry[2] if away else id(entry[0]))
            if out is None or (out is entry[0] and out._node is not self and id(out) not in self.dirty):
                saved.append(entry)
            elif away:
                saved.append((entry[0], (None, out._index), 0))
            else:
                storage = storage_of(out)
                saved.append((out._array, storage, storage.version, out._index))
        self._saved = tuple(saved)

    def release(self) -> None:
        """Forget the saved tensors."""
        self._saved = None

    def kept(self) -> Iterator[tuple[Any, Storage | None, int]]:
        """The tensors that `save_for_backward` kept, but for those that hooks have put away."""
        for entry in self._saved or ():
            if entry is not None and type(entry[0]) is not Packed:
                yield entry[:3]

    def put_away(self) -> list[Packed]:
        """The saved tensors that hooks have put away."""
        return [entry[0] for entry in self._saved or () if entry is not None and type(entry[0]) is Packed]

    def of_the_user(self) -> list[Any]:
        """The `Function`, and what it keeps on its context."""
        return [self._function, self.__dict__]

    def pull(self, g: Any, create_graph: bool) -> list[Any]:
        """One cotangent per edge, from the user's `backward`."""
        grads = self._backward()(self, *self._cotangents(g))
        grads = grads if isinstance(grads, tuple) else (grads,)
        if len(grads) < self._width or any(extra is not None for extra in grads[self._width :]):
            raise NotDifferentiableError(
                f"function {self.name()} returned an incorrect number of gradients (expected {self._width}, got "
                f"{len(grads)})"
            )
        pulled = []
        for k, i in enumerate(self._positions):
            x = self._fitted(grads[i], i, self.edges[k])
            pulled.append(x if create_graph or x is None else x._array)
        return pulled

    def _backward(self) -> Any:
        """The function's `backward`, which may be called `vjp`."""
        from .function import Function

        own = [getattr(self._function, name) for name in ("backward", "vjp")]
        own = [method for method in own if method is not Function.backward]
        if len(own) == 2:
            raise NotDifferentiableError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only "
                "implement one of them."
            )
        return own[0] if own else Function.backward

    def _fitted(self, x: Any, position: int, target: Node) -> Any:
        """A gradient that `backward` returned, in the shape and dtype of its argument as far as that can be."""
        if x is None:
            return None
        if not isinstance(x, TensorBase):
            raise NotDifferentiableError(f"expected Variable or None (got {type(x).__name__})")
        if target.outputs > 1:
            return x
        if x._array.shape != target.shape:
            try:
                fits = np.broadcast_shapes(x._array.shape, target.shape) == x._array.shape
            except ValueError:
                fits = False
            if not fits:
                raise NotDifferentiableError(
                    f"Function {self.name()} returned an invalid gradient at index {self._tensors.index(position)} - "
                    f"got {list(x._array.shape)} but expected shape compatible with {list(target.shape)}"
                )
            x = broadcast_adjoint(x, target.shape)
        if x._array.dtype.kind == "c" and target.dtype.kind != "c":
            raise NotDifferentiableError(
                f"Function {self.name()} returned an invalid gradient at index {self._tensors.index(position)} - "
                "expected real, got complex"
            )
        return cast_to(x, from_numpy_dtype(target.dtype))

    def _cotangents(self, g: Any) -> list[Any]:
        """The cotangent of each output as a tensor, zeros where none arrived; None for an output that is no tensor."""
        slots = g if self.outputs > 1 else [g]
        found: list[Any] = []
        for output in self._metadata:
            if output is None:
                found.append(None)
                continue
            index, shape, dtype = output
            value = slots[index]
            if value is None and self._materialize:
                value = new_leaf(np.zeros(shape, dtype))
            found.append(value if value is None or isinstance(value, TensorBase) else wrap(np.asarray(value)))
        return found

    # For the user

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`; writing to one of them in place before that is an error then."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, TensorBase):
                kind = type(t).__name__
                raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {kind}")
        if self.edges:
            self._saved = tuple([None if t is None else self._kept(t) for t in tensors])
        self._for_forward = self._for_forward or tensors

    def _kept(self, t: Any) -> tuple[Any, ...]:
        """What stands for `t`: put away by hooks with its history, or with its version."""
        away = packed(t)
        return saved_at_version(t) if away is None else (away, edge_of(t), id(t))

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`."""
        for t in tensors:
            if t is not None and not isinstance(t, TensorBase):
                raise AssertionError("save_for_forward expects all arguments to be tensors")
        self._for_forward = tensors

    def forget_forward(self) -> None:
        """Let go what only `jvp` needs."""
        self._for_forward = ()
        self.dirty, self.non_differentiable = {}, {}

    @property
    def saved_for_forward(self) -> tuple[Any, ...]:
        """What `save_for_forward` kept."""
        return self._for_forward

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept. Raises RuntimeError once freed, or if one was written to since."""
        if self._saved is None:
            raise freed()
        if self._for_forward:  # until it is forgotten: in `jvp`
            return self._for_forward
        return tuple([None if entry is None else self._unpacked(entry) for entry in self._saved])

    def _unpacked(self, entry: Any) -> Any:
        if type(entry[0]) is Packed:
            t, (node, index), original = entry[0].unpack(), entry[1], entry[2]
            edge = (self, index) if node is None and not original else (node, index)
            return with_history(t, edge)
        value, storage, version = entry[:3]
        if storage.version != version:
            raise self.modified(value, storage, version)
        if isinstance(value, TensorBase):
            return value
        out = wrap(value)
        out._storage, out._requires_grad, out._node, out._index = storage, True, self, entry[3]
        return out

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say that `forward` wrote to these arguments in place; each must also be returned."""
        self.dirty = self._marked("mark_dirty can only accept variables, but argument", tensors)

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs need no gradient."""
        self.non_differentiable = self._marked("mark_non_differentiable only accepts variable arguments, but", tensors)

    def _marked(self, wanted: str, tensors: tuple[Any, ...]) -> dict[int, Any]:
        for i, t in enumerate(tensors):
            if not isinstance(t, TensorBase):
                raise NotDifferentiableError(f"{wanted} {i} is of type {type(t).__name__}")
        return {id(t): t for t in tensors}

    @property
    def materializes(self) -> bool:
        """What `set_materialize_grads` said."""
        return self._materialize

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for an output to which no gradient came."""
        self._materialize = value
