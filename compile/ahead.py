"""A head start: the program most likely wanted is dispatched before the call's signature is known.

Taking a signature costs tens of microseconds of Python on a cold cache, in which JAX, which runs asynchronously, can
already compute. Programs are pure, so a wrong guess costs its computation and nothing else: outputs are used only if
the signature turns out to want this very program on these very tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tape import TensorBase
from .signature import Signature
from .specialisation import Specialisation

__all__ = ["Guess", "HeadStart"]

_MOST_MISSES = 3


class HeadStart:
    """Guesses that the next call is like the last: the same program and captures, new tensors as arguments."""

    __slots__ = ("_last", "_misses")

    def __init__(self) -> None:
        self._last: tuple[Specialisation, list[Any], list[tuple[int | None, Any]]] | None = None
        self._misses = 0

    def remember(self, specialisation: Specialisation, signature: Signature, args: Sequence[Any]) -> None:
        """Guess from here on that calls are like this one. Arguments are remembered by shape and dtype only."""
        numbers = {id(t): i for i, t in enumerate(signature.tensors)}
        given = {numbers[id(arg)] for arg in args if isinstance(arg, TensorBase)}
        captured = [(i, t, _kind(t)) for i, t in enumerate(signature.tensors) if i not in given]
        arguments: list[tuple[int | None, Any]] = [
            (numbers[id(arg)], _kind(arg)) if isinstance(arg, TensorBase) else (None, arg) for arg in args
        ]
        read = set(specialisation.reads)
        self._last = specialisation, [entry for entry in captured if entry[0] in read], arguments

    def guess(self, args: Sequence[Any]) -> Guess | None:
        """Dispatch the program of the last call on these arguments, if they can be what it wants."""
        last = self._last
        if last is None or len(args) != len(last[2]) or self._misses > _MOST_MISSES:
            return None
        specialisation, captured, arguments = last
        tensors: dict[int, TensorBase] = {}
        for i, t, kind in captured:
            if _kind(t) != kind:  # its .data was replaced
                return None
            tensors[i] = t
        for arg, (position, expected) in zip(args, arguments, strict=True):
            if position is None:
                if arg is not expected:
                    return None
            elif isinstance(arg, TensorBase) and _kind(arg) == expected:
                tensors[position] = arg
            else:
                return None
        if any(i not in tensors for i in specialisation.reads):
            return None
        return Guess(specialisation, tensors, specialisation.compute(tensors))

    def missed(self) -> None:
        """A guess was wrong; after a few, guess no more."""
        self._misses += 1
        self._last = None


class Guess:
    """Outputs under way: of which program, on which tensors."""

    __slots__ = ("outputs", "specialisation", "tensors")

    def __init__(
        self, specialisation: Specialisation, tensors: dict[int, TensorBase], outputs: tuple[Any, ...]
    ) -> None:
        self.specialisation = specialisation
        self.tensors = tensors
        self.outputs = outputs

    def fits(self, specialisation: Specialisation, signature: Signature) -> bool:
        """Whether this is what the signature wants."""
        return specialisation is self.specialisation and all(
            self.tensors[i] is signature.tensors[i] for i in specialisation.reads
        )


def _kind(t: TensorBase) -> tuple[Any, Any]:
    """Shape and dtype, without fetching a value that is on a device."""
    source = t._array if t._device is None else t._device
    return source.shape, source.dtype
