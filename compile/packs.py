"""Small values of a program that are returned together, as one array, and taken apart when one of them is read.

To return one array takes a program about a microsecond, however small it is; and of most gradients nobody reads the
value before the next step gives them up.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import lax

if TYPE_CHECKING:
    from ..tape import Var

__all__ = ["Pack", "Packing"]

Layout = tuple[tuple[int, tuple[int, ...]], ...]
"""Where in a pack each value begins, and its shape."""


class Packing:
    """Which of a program's outputs are returned together: those of `candidates` that are small, if they are many.

    `groups` are of one dtype each, `places` says of such an output in which group it is and where, `layouts` are
    those of the groups.
    """

    def __init__(self, outputs: Sequence[Var], candidates: Iterable[int]) -> None:
        by_dtype: dict[Any, list[int]] = {}
        for k in candidates:
            if outputs[k].dtype.itemsize * math.prod(outputs[k].shape) <= _SMALL:
                by_dtype.setdefault(outputs[k].dtype, []).append(k)
        chunks = [group[i : i + _MOST] for group in by_dtype.values() for i in range(0, len(group), _MOST)]
        self.groups = [chunk for chunk in chunks if len(chunk) >= _FEWEST]
        self.places = {k: (g, at) for g, group in enumerate(self.groups) for at, k in enumerate(group)}
        self.alone = [k for k in range(len(outputs)) if k not in self.places]
        self.layouts = [_layout([outputs[k].shape for k in group]) for group in self.groups]

    def returned(self, program: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        """`program`, returning the outputs that are `alone`, then the packs."""
        if not self.groups:
            return program

        @functools.wraps(program)
        def packed(*inputs: Any) -> tuple[Any, ...]:
            outputs = program(*inputs)
            packs = [lax.concatenate([_flat(outputs[k]) for k in group], 0) for group in self.groups]
            return (*[outputs[k] for k in self.alone], *packs)

        return packed

    def unpacked(self, returned: Sequence[Any]) -> list[Any]:
        """The program's outputs, as NumPy arrays, of what was returned."""
        found = dict(zip(self.alone, map(np.asarray, returned), strict=False))
        for group, layout, value in zip(self.groups, self.layouts, returned[len(self.alone) :], strict=True):
            pack = Pack(value, layout)
            found |= {k: pack.on_host(at) for at, k in enumerate(group)}
        return [found[k] for k in range(len(found))]


class Pack:
    """A pack that a program returned."""

    __slots__ = ("_layout", "_parts", "_value")

    def __init__(self, value: Any, layout: Layout) -> None:
        self._value = value
        self._layout = layout
        self._parts: Any = None

    def on_host(self, at: int) -> np.ndarray[Any, Any]:
        """A copy of the value at a position; all are fetched at once."""
        start, shape = self._layout[at]
        return np.asarray(self._value)[start : start + math.prod(shape)].reshape(shape).copy()

    def on_device(self, at: int) -> Any:
        """The value at a position, for JAX; all are taken apart at once."""
        if self._parts is None:
            with jax.enable_x64(True):
                self._parts = _taken_apart(self._value, self._layout)
        return self._parts[at]


def _flat(value: Any) -> Any:
    return value if value.ndim == 1 else lax.reshape(value, (value.size,))


def _layout(shapes: Sequence[tuple[int, ...]]) -> Layout:
    starts = np.cumsum([0, *map(math.prod, shapes)])
    return tuple([(int(start), tuple(shape)) for start, shape in zip(starts, shapes, strict=False)])


@functools.partial(jax.jit, static_argnums=1)
def _taken_apart(value: Any, layout: Layout) -> tuple[Any, ...]:
    return tuple([lax.slice(value, [k], [k + math.prod(shape)]).reshape(shape) for k, shape in layout])


_SMALL = 1 << 12  # bytes that take no longer to copy than to return by themselves
_FEWEST, _MOST = 4, 16  # XLA compiles and runs the packing of more in one array slower than that in several
