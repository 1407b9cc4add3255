"""The same program run eagerly and jitted, call by call, and everything compared that either could have changed."""

from __future__ import annotations

import collections
import contextlib
import enum
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.tape.number import Number

__all__ = ["Pair", "assert_alike", "parts_of"]

_LEAVES = (
    bool, int, float, complex, str, bytes, type(None), np.dtype, tg.dtype, np.generic, enum.Enum, slice, types.ModuleType,
    types.BuiltinFunctionType, types.MemberDescriptorType, types.GetSetDescriptorType,
)  # fmt: skip
_TESTS = ("test_never_stale", "test_effects", "test_step_functions", "__main__")  # the classes of these are looked into


def parts_of(*roots: Any) -> Iterator[tuple[str, Any]]:
    """All that can be seen of `roots`, as pairs of a path and a plain value; what was seen before is named by number."""
    yield from _Parts().walk(list(roots), "")


class _Parts:
    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []

    def walk(self, x: Any, path: str) -> Iterator[tuple[str, Any]]:
        assert type(x) is not Number, f"{path} is a number of a recording"
        if isinstance(x, _LEAVES) or (isinstance(x, type) and not x.__module__.endswith(_TESTS)):
            yield path, x
            return
        if not isinstance(x, tuple):
            if id(x) in self._seen:
                yield path, f"the same as number {self._seen[id(x)]}"
                return
            self._seen[id(x)] = len(self._seen)
            self._kept.append(x)
        yield f"{path} kind", type(x).__qualname__
        yield from self._inside(x, path)

    def _inside(self, x: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(x, tg.Tensor):
            yield from self._tensor(x, path)
        elif isinstance(x, np.ndarray):
            yield f"{path} array", x.copy()
        elif isinstance(x, set | frozenset):
            yield f"{path} members", sorted(map(repr, x))
        elif isinstance(x, dict | list | tuple | collections.deque):
            yield f"{path} length", len(x)
            for i, part in enumerate(x.values() if isinstance(x, dict) else x):
                yield from self.walk(part, f"{path}[{i}]")
            if isinstance(x, dict):
                yield from self.walk((*x,), f"the keys of {path}")
        elif isinstance(x, types.FunctionType):
            for name, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
                with contextlib.suppress(ValueError):
                    yield from self.walk(cell.cell_contents, f"{path}:{name}")
        yield from self._attributes(x, path)

    def _attributes(self, x: Any, path: str) -> Iterator[tuple[str, Any]]:
        for key, part in getattr(x, "__dict__", {}).items():
            if not (isinstance(x, type) and (key.startswith("__") or key == "_abc_impl")):
                yield from self.walk(part, f"{path}.{key}")
        for key in [n for base in type(x).__mro__ for n in base.__dict__.get("__slots__", ())]:
            if not isinstance(x, tg.Tensor | type) and hasattr(x, key):
                yield from self.walk(getattr(x, key), f"{path}.{key}")

    def _tensor(self, t: tg.Tensor, path: str) -> Iterator[tuple[str, Any]]:
        yield f"{path} tensor", (t.dtype, tuple(t.shape), t.requires_grad, t.is_leaf)
        yield f"{path} version", t._version
        if t.grad_fn is not None:
            yield f"{path} grad_fn", t.grad_fn.name()
        yield f"{path} array", _value(t)
        yield from self.walk(t.grad if t.is_leaf else None, f"{path}.grad")


def _value(t: tg.Tensor) -> np.ndarray[Any, Any]:
    """A copy of the value, without fetching it: a tensor that is on the device stays what it is."""
    if t._device is None:
        return t.detach().clone().numpy()
    with jax.enable_x64(True):
        return np.array(t._device.copy())


def assert_alike(expected: Any, got: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Raise AssertionError unless all that can be seen is the same: floats to a tolerance, all else exactly."""
    _assert_parts_alike(list(parts_of(expected)), list(parts_of(got)), rtol, atol)


def _assert_parts_alike(
    expected: list[tuple[str, Any]], got: list[tuple[str, Any]], rtol: float = 0.0, atol: float = 0.0
) -> None:
    assert [path for path, _ in expected] == [path for path, _ in got]
    for (path, x), (_, y) in zip(expected, got, strict=True):
        assert type(x) is type(y), f"{path}: {x!r} eagerly, {y!r} jitted"
        if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
            np.testing.assert_allclose(y, x, rtol=rtol, atol=atol, err_msg=path)
        elif isinstance(x, np.ndarray):
            np.testing.assert_array_equal(y, x, err_msg=path)
        elif isinstance(x, float):
            assert _close(x, y, rtol, atol), f"{path}: {x} eagerly, {y} jitted"
        else:
            assert x == y, f"{path}: {x!r} eagerly, {y!r} jitted"


def _close(x: float, y: float, rtol: float, atol: float) -> bool:
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return math.isclose(x, y, rel_tol=rtol, abs_tol=atol) and (x != 0 or math.copysign(1, x) == math.copysign(1, y))


class Pair:
    """Two copies of one world: `eager` is run as it is, `jitted` through `tg.jit`.

    `build()` returns a function, and whatever else is to be compared after each call.
    """

    def __init__(self, build: Callable[[], tuple[Callable[..., Any], Any]], **options: Any) -> None:
        self.step, self.eager = build()
        original, self.jitted = build()
        self.fast = tg.jit(original, **options)

    def both(self, change: Callable[[Any], Any]) -> None:
        """Do something to both worlds, and see that they stay alike."""
        change(self.eager)
        change(self.jitted)
        self.compare()

    def call(
        self, make: Callable[[], tuple[Any, ...]] = tuple, times: int = 1, look: bool = True, **keywords: Any
    ) -> Any:
        """Call both functions `times` times with fresh arguments, comparing results and arguments; worlds too if `look`."""
        got = None
        for _ in range(times):
            eager, jitted = make(), make()
            with _same_draws() as again:
                expected = self.step(*eager, **keywords)
                again()
                got = self.fast(*jitted, **keywords)
            assert_alike([eager, expected, self.eager if look else None], [jitted, got, self.jitted if look else None])
        return got

    def fails(self, error: type[BaseException], make: Callable[[], tuple[Any, ...]] = tuple, **keywords: Any) -> str:
        """The message with which the jitted function fails, having changed nothing; the eager one is not called."""
        args = make()
        kept = list(parts_of(args, self.jitted)), tg.get_rng_state().tolist()
        with pytest.raises(error) as caught:
            self.fast(*args, **keywords)
        _assert_parts_alike(kept[0], list(parts_of(args, self.jitted)))
        assert tg.get_rng_state().tolist() == kept[1]
        return str(caught.value)

    def compare(self) -> None:
        """See that the worlds are alike."""
        assert_alike(self.eager, self.jitted)

    @property
    def compilations(self) -> int:
        """How many programs were made."""
        return len(self.fast.specialisations)


@contextlib.contextmanager
def _same_draws() -> Iterator[Callable[[], None]]:
    """Yields what goes back to the generator's state at the beginning; what follows must leave it as it was before that."""
    begin = tg.get_rng_state()
    ends = []

    def again() -> None:
        ends.append(tg.get_rng_state().tolist())
        if ends[0] != begin.tolist():
            tg.set_rng_state(begin)

    yield again
    assert tg.get_rng_state().tolist() == ends[0]
