"""JaxOperation: a pure JAX function of arrays as an operation on tensors, under all that watches tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np

from ..dtypes import from_numpy_dtype
from ..primitives.structure import jax_call
from ..tape import TensorBase, history, state, wrap
from ..tape.number import plain
from .device import from_device, value_of
from .pullback import DifferentiableForward

__all__ = ["JaxOperation"]


class JaxOperation:
    """`function(*operands)`, pure, of arrays and numbers, returning a pytree of arrays, as an operation on tensors.

    Calling it gives the leaves of the result as tensors, and their structure (JAX's). An operand is a tensor or
    whatever JAX takes. The results require grad where an operand does, in grad mode; their node is called `kind`.
    Compiled once per shapes and dtypes. `eager` is what the function stands for: see `DifferentiableForward`.
    """

    def __init__(
        self, function: Callable[..., Any], kind: str, eager: Callable[..., Sequence[Any]] | None = None
    ) -> None:
        self.function = function
        self.kind = kind
        self.eager = eager
        self.__name__: str = function.__name__
        self._compiled = jax.jit(function)
        self._derived: dict[Hashable, Any] = {}

    def __repr__(self) -> str:
        return f"<JAX function {self.__name__}>"

    def __call__(self, *operands: Any) -> tuple[list[Any], Any]:
        """The leaves of the result as tensors, and the structure it has.

        Raises TypeError for a result of a dtype that tensors do not have, and UnsupportedError where a transform and a
        recorder would both have to follow.
        """
        return self._call(operands, None)

    def called(self, kinds: Sequence[str | None], operands: tuple[Any, ...]) -> list[Any]:
        """The same of an operation whose results are a list of tensors, whose nodes are called `kinds`; those that have
        None there require no grad.
        """
        tensors, _ = self._call(operands, [kind or self.kind for kind in kinds])
        for t, kind in zip(tensors, kinds, strict=True):
            if kind is None:
                t._node, t._requires_grad = None, False
        return tensors

    def _call(self, operands: tuple[Any, ...], kinds: list[str] | None) -> tuple[list[Any], Any]:
        now = state.now
        if now.watchers:
            from .transformed import transformed

            result = transformed(self, operands)
            if result is not None:
                return result
        needs = tuple([i for i, x in enumerate(operands) if _needs_gradient(x)]) if now.grad_enabled else ()
        forward = self.forward(needs) if needs else None
        output, now.output = now.output, None  # what JAX puts out is no output of a function that is being recorded
        try:
            result, residual = self._run(forward, operands)
        finally:
            now.output = output
        leaves, structure = jax.tree.flatten(result)
        tensors = self._tensors(leaves, operands)
        if forward is not None and residual is not None and (outs := forward.outs(leaves)):
            forward.attach(residual, operands, [tensors[i] for i in outs], kinds or [self.kind] * len(outs))
        if now.watchers:
            self._tell(operands, tensors)
        return tensors, structure

    def _run(self, forward: DifferentiableForward | None, operands: Sequence[Any]) -> tuple[Any, Any]:
        """The result, and what `forward`, if it is needed, keeps for a gradient."""
        with jax.enable_x64(True):  # around putting values on the device, too, or JAX would cut 64-bit values down
            values = [value_of(x, keep=True) if isinstance(x, TensorBase) else plain(x) for x in operands]
            return (self._compiled(*values), None) if forward is None else forward.run(values)

    def _tensors(self, leaves: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
        """The results as tensors: on the device, but on the host where something watches."""
        for leaf in leaves:
            _check_dtype(self, leaf.dtype)
        now = state.now
        rounded = getattr(now.quiet, "several", None)
        if rounded is not None:  # a replay that models rounding
            hosts = [x._array if isinstance(x, TensorBase) else plain(x) for x in operands]
            return [wrap(array) for array in rounded(self._on_host, hosts, self._size(hosts))]
        return [wrap(np.array(leaf)) if now.watchers else from_device(leaf) for leaf in leaves]

    def _on_host(self, *values: Any) -> list[Any]:
        with jax.enable_x64(True):
            return [np.array(leaf) for leaf in jax.tree.leaves(self._compiled(*values))]

    def _size(self, values: Sequence[Any]) -> int:
        """About how many operations the function does."""
        with jax.enable_x64(True):
            return self._made("size", lambda: max(len(jax.make_jaxpr(self.function)(*values).eqns), 1))

    def _tell(self, operands: tuple[Any, ...], tensors: list[Any]) -> None:
        """Let the recorder know of the call, and other watchers of new tensors."""
        now = state.now
        for watcher in now.watchers:
            if watcher is not now.recorder:
                for t in tensors:
                    watcher.constant(t)
        if now.recorder is not None and now.recorder in now.watchers:
            now.recorder.several(jax_call, operands, {"function": self}, tensors)

    # What is made of it, once each

    def forward(self, needs: tuple[int, ...]) -> DifferentiableForward:
        """The same as a program that can be differentiated with respect to the operands at `needs`."""
        return self._made(
            ("forward", needs),
            lambda: DifferentiableForward(self.function, needs, name=self.kind[: -len("Backward")], eager=self.eager),
        )

    def pushforward(self, moved: tuple[int, ...]) -> JaxOperation:
        """Of the operands and the tangents of those at `moved`: the tangents of the differentiable results."""

        def make() -> JaxOperation:
            def pushforward(*operands: Any) -> list[Any]:
                n = len(operands) - len(moved)
                forward = self.forward(moved)
                return forward.push(operands[:n], operands[n:])

            return JaxOperation(_called(f"{self.__name__}_jvp", pushforward), self.kind)

        return self._made(("pushforward", moved), make)

    def batched(self, dims: tuple[int | None, ...]) -> JaxOperation:
        """Of batches along `dims` (None: the same for all): the results as batches along dim 0."""

        def make() -> JaxOperation:
            mapped = jax.vmap(self.function, in_axes=dims, out_axes=0)
            return JaxOperation(_called(f"{self.__name__}_batched", mapped), self.kind)

        return self._made(("batched", dims), make)

    def _made(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]


def _needs_gradient(x: Any) -> bool:
    if not isinstance(x, TensorBase):
        return False
    if x._view is not None:
        history(x)
    return x._requires_grad


def _check_dtype(operation: JaxOperation, dtype: Any) -> None:
    """Raise TypeError for a dtype that tensors do not have."""
    try:
        from_numpy_dtype(dtype)
    except TypeError:
        raise TypeError(
            f"{operation.__name__}: a result of dtype {dtype}, which tensors do not have: convert it in the function"
        ) from None


def _called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = name
    return function
