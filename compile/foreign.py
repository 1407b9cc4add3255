"""from_jax: JAX functions as operations on tensors."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..environment import Reachable, reach
from ..environment.handlers import handle
from ..errors import UnsupportedError
from ..ops.creation import tensor
from ..tape import TensorBase, Watcher, state
from ..tape.number import plain
from ..tree import Structure, flatten, unflatten
from .heap import CONTAINERS, Snapshot
from .operation import JaxOperation

__all__ = ["from_jax"]


def from_jax(function: Callable[..., Any]) -> Callable[..., Any]:
    """A JAX function as an operation on tensors: eager, differentiable at any order, inlined in compiled programs.

    `function` is called with JAX arrays (tracers) in place of tensors, of the same dtypes whatever `jax_enable_x64`
    says, and returns JAX arrays, both in any nested containers. NumPy and JAX arrays are taken like tensors that need
    no gradient; floats and complex numbers are (weakly typed) scalars to JAX, so that another value traces nothing
    anew; all else (ints, bools, strings, None ...) is passed as it is, must be hashable, and is traced for each value
    once. Gradients are those of `jax.vjp`, with PyTorch's convention for complex numbers; integer results need none.

    Like any function given to `jax.jit` it must be pure: it runs once per structure, static values, shapes and dtypes,
    then compiled. When a variable or an object that it reads from outside changes, it is traced anew; what cannot be
    watched for changes (iterators, large NumPy arrays) is known by identity, as to `jax.jit`.
    Under `vmap` and forward mode it is `jax.vmap` and `jax.jvp` of it that run.

    Raises TypeError for what cannot be called, an unhashable argument, or a result that is no array; UnsupportedError
    if the function reads a tensor that it was not passed: its value would be frozen.
    """
    if not callable(function):
        raise TypeError(f"from_jax: expected a function, got {type(function).__name__}")
    name = _name(function)
    called: Any = function
    if not isinstance(function, _FUNCTIONS):  # jit looks into those, in the closure of `operation`
        called = function.__call__  # type: ignore[operator]
    operations = _Operations(called)

    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Any:
        return _call(called, name, operations, args, kwargs)

    return operation


_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)


class _Operations:
    """What was made of a function: by what it captures, and the structure and static values of its arguments."""

    def __init__(self, function: Any) -> None:
        self.captured = _Captured(function)
        self._made: dict[Hashable, tuple[JaxOperation, Reachable]] = {}

    def find(self, call: _Call) -> JaxOperation | None:
        """That for a call, if there is one. Raises TypeError for what is not hashable."""
        known = self._made.get((call.key, tuple(self.captured.find().key)))
        return None if known is None else known[0]

    def keep(self, call: _Call, operation: JaxOperation) -> None:
        """Use it from now on, for as long as what it captures is as it is now (which its key knows by id)."""
        found = self.captured.find()
        self._made[call.key, tuple(found.key)] = operation, found


def _call(function: Any, name: str, operations: _Operations, args: Any, kwargs: Any) -> Any:
    leaves, structure = flatten((args, kwargs))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return function(*args, **kwargs)  # JAX is tracing what calls it
    call = _Call(function, name, structure, leaves)
    try:
        found = operations.find(call)
    except TypeError as error:
        raise TypeError(f"{name}: an argument is neither a tensor nor hashable: {error}") from None
    made = found or JaxOperation(call.traced(operations.captured), f"{name}Backward")
    results, treedef = made(*call.operands)
    if found is None:
        operations.keep(call, made)
    result = jax.tree.unflatten(treedef, results)
    return result.rebuilt()


class _Call:
    """A call, taken apart into operands (tensors, arrays, floats) and what is static."""

    def __init__(self, function: Any, name: str, structure: Structure, leaves: list[Any]) -> None:
        self.function = function
        self.name = name
        self.structure = structure
        self.operands: list[Any] = []
        self.static: list[Any] = []
        kinds: list[Any] = []
        for leaf in leaves:
            value = plain(leaf)
            if isinstance(value, TensorBase | np.ndarray | np.generic | jax.Array):
                kind: Any = _OPERAND
                self.operands.append(tensor(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf)
            elif type(value) in (float, complex):
                kind = _Weak(type(value))
                self.operands.append(leaf)
            else:
                leaf = leaf._plain() if leaf is not value else leaf  # which is guarded from here on
                kind = type(leaf), leaf
            kinds.append(kind)
            self.static.append(kind if kind is _OPERAND or type(kind) is _Weak else leaf)
        self.key = structure, tuple(kinds)

    def traced(self, captured: _Captured) -> Callable[..., Any]:
        """The function of the operands alone, for JAX to trace."""
        function, name, structure, static = self.function, self.name, self.structure, self.static

        def traced(*operands: Any) -> _Result:
            remaining = iter(operands)
            args, kwargs = unflatten(structure, [_given(x, remaining) for x in static])
            with state.now.watched_by(_Tracing(name)), captured.tracing():
                return _Result.of(name, function(*args, **kwargs))

        traced.__name__ = traced.__qualname__ = name
        return traced


_OPERAND = object()


class _Weak(NamedTuple):
    """Stands for a Python number of that type among the static arguments."""

    kind: type


def _given(static: Any, operands: Iterator[Any]) -> Any:
    """What the function is given: the next operand, or what is static."""
    if type(static) is _Weak:  # weakly typed also where a tape has it as an array
        return jax.lax.full_like(jnp.asarray(static.kind(0)), next(operands))
    return next(operands) if static is _OPERAND else static


def _name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() else "jax_function"


class _Tracing(Watcher):
    """While JAX traces a function: the value of a tensor must not get into the program."""

    looks_inside = True

    def __init__(self, name: str) -> None:
        self.name = name

    def reads_value(self, what: str, t: TensorBase | None = None) -> None:
        """Raise."""
        shape = "" if t is None else f" of shape {list(t._array.shape)}"
        raise UnsupportedError(
            f"from_jax: {self.name} reads a tensor{shape} that it was not passed ({what}), whose value would be "
            "frozen into the compiled program: pass it as an argument"
        )


# Results


@jax.tree_util.register_pytree_node_class
class _Result:
    """What a function returned: its arrays, and the containers and static values around them."""

    def __init__(self, arrays: list[Any], structure: Structure, static: tuple[Any, ...]) -> None:
        self.arrays = arrays
        self.structure = structure
        self.static = static

    @classmethod
    def of(cls, name: str, result: Any) -> _Result:
        """Taken apart. Raises TypeError for a leaf that is neither an array nor plain."""
        leaves, structure = flatten(result)
        arrays, static = [], []
        for leaf in leaves:
            if isinstance(leaf, jax.Array | np.ndarray | np.generic):
                arrays.append(jnp.asarray(leaf))
                static.append(_OPERAND)
            elif leaf is None or isinstance(leaf, bool | int | float | complex | str | bytes):
                static.append(leaf)
            else:
                raise TypeError(f"{name}: returned a {type(leaf).__name__}, which is neither an array nor a number")
        return cls(arrays, structure, tuple(static))

    def rebuilt(self) -> Any:
        """Put together again."""
        remaining = iter(self.arrays)
        return unflatten(self.structure, [next(remaining) if x is _OPERAND else x for x in self.static])

    def tree_flatten(self) -> tuple[list[Any], Any]:
        """For JAX."""
        return self.arrays, (self.structure, self.static)

    @classmethod
    def tree_unflatten(cls, aux: Any, arrays: Any) -> _Result:
        """For JAX."""
        return cls(list(arrays), *aux)


# What the function captures


class _Captured:
    """All that a function can reach besides its arguments, for it to be traced anew when any of that is another.

    What cannot be watched for changes is known by identity, and so is what the function itself changes when it is
    traced: a list that it appends to, say.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._changed: dict[int, Any] = {}

    def find(self) -> Reachable:
        """What there is now; its `key` is equal for what is the same."""
        found = Reachable(self._handle)
        reach(self._function, found)
        return found

    def _handle(self, value: Any, number: int, found: Reachable) -> None:
        if id(value) in self._changed:
            found.same(number, value)
            return
        try:
            handle(value, number, found)
        except UnsupportedError:
            found.same(number, value)

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """The function runs inside the block."""
        snapshot = Snapshot(found := self.find(), {})
        yield
        changed = [found.objects[change.number] for change in snapshot.changes() if change.kind in CONTAINERS]
        self._changed |= {id(value): value for value in changed}
