"""Generators of random numbers, whose state is a tensor: to a tape it is an input that draws write to."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .devices import CPU, check_device, device
from .dtypes import int64, uint8
from .errors import TapegradError
from .ops.creation import clone, new_leaf
from .ops.support import reads_value
from .ops.views import view_dtype
from .primitives.random import given_after, random_advance, random_bits, words_at
from .tape import TensorBase, apply, check_writable, state, storage_of, wrap, writable, write

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Generator", "default_generator", "fork_rng", "generator_at", "get_rng_state", "initial_seed", "manual_seed",
    "recorded", "seed", "set_rng_state",
]  # fmt: skip

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child must not wait for a lock that a thread of its parent held
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

_FIRST_SEED = 67280421310721  # PyTorch's
_SEEDS = 2**64
_STATE_BYTES = 16


def recorded() -> bool:
    """Whether a recorder is told of what happens now."""
    now = state.now
    return now.recorder is not None and now.recorder in now.watchers


def _signed(number: int) -> int:
    return number - _SEEDS if number >= _SEEDS // 2 else number


class Generator:
    """A source of random numbers, as `torch.Generator`: pass it to what draws as `generator`.

    The numbers are not PyTorch's: they come from Threefry-2x32 with 20 rounds, eager and compiled the same. `_state`
    is an int64 tensor of the seed and of how many words of 32 bits were drawn, always the same one: it is only ever
    written to in place, which is recorded where a recorder is active.
    """

    __slots__ = ("__weakref__", "_first", "_state")

    _state: Tensor

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self._first = _FIRST_SEED
        if recorded():
            self._state = new_leaf(np.array([_FIRST_SEED, 0]))

    def __getattr__(self, name: str) -> Any:
        """The state when it is first asked for: the default generator is made before the class of tensors is."""
        if name != "_state":
            raise AttributeError(f"'Generator' object has no attribute {name!r}")
        with _lock:
            try:
                return object.__getattribute__(self, name)  # another thread was first
            except AttributeError:
                self._state = wrap(np.array([_signed(self._first), 0]))
        return self._state

    @property
    def device(self) -> device:
        """Where it draws: the CPU."""
        return CPU

    def manual_seed(self, seed: int) -> Self:
        """Begin anew from `seed`. Returns the generator.

        Raises RuntimeError for what is no integer, ValueError for one that does not fit into 64 bits.
        """
        if not hasattr(seed, "__index__"):
            raise TapegradError(f"manual_seed expected a long, but got {type(seed).__name__}")
        number = int(seed)
        if not -(2**63) <= number < _SEEDS:
            raise ValueError("Overflow when unpacking long long")
        self._become(np.array([_signed(number % _SEEDS), 0]))
        return self

    def seed(self) -> int:
        """Begin anew from a seed that nobody can foresee, which is returned."""
        if state.recorder is not None:
            raise state.recorder.unsupported("seed(): seed outside")
        return self.manual_seed(secrets.randbits(64)).initial_seed()

    def initial_seed(self) -> int:
        """The seed it began from."""
        reads_value("initial_seed()", self._state)
        return int(self._state._array[0]) % _SEEDS

    def get_state(self) -> Tensor:
        """All that the next draws depend on, as a tensor of bytes."""
        if recorded():
            return clone(view_dtype(self._state, uint8))
        with _lock:
            return new_leaf(self._state._array.astype("<i8").view(np.uint8))

    def set_state(self, new_state: Tensor) -> Self:
        """Go on from what `get_state` gave. Returns the generator. Raises TypeError, RuntimeError for anything else."""
        if not isinstance(new_state, TensorBase):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state._array.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if new_state._array.shape != (_STATE_BYTES,):
            raise TapegradError(
                f"RNG state is wrong size: expected {_STATE_BYTES} bytes, but got {list(new_state._array.shape)}"
            )
        if recorded():
            self._become(clone(view_dtype(clone(new_state), int64)))
        else:
            self._become(np.frombuffer(new_state._array.tobytes(), "<i8"))
        return self

    def clone_state(self) -> Generator:
        """Another generator in the same state."""
        return Generator().set_state(self.get_state())

    def graphsafe_get_state(self) -> Generator:
        """Itself: what `graphsafe_set_state` takes."""
        return self

    def graphsafe_set_state(self, state: Generator) -> Self:
        """Go on from the state that another generator has now. Returns the generator."""
        return self.set_state(state.get_state())

    def __reduce__(self) -> Any:
        return _restored, (self.get_state(),)

    def _become(self, new: Any) -> None:
        """Take a state: an array, or where it is recorded a tensor."""
        with _lock:
            if recorded():
                check_writable(self._state)
                write(self._state, new if isinstance(new, TensorBase) else new_leaf(new))  # type: ignore[arg-type]
            else:
                writable(self._state)[...] = new
                storage_of(self._state).count_write()

    def _next(self, shape: tuple[int, ...], words: int) -> Any:
        """The next random words (`random_bits`): an array, or a tensor where it is recorded."""
        t = self._state
        if recorded():
            params = {"shape": shape, "words": words}
            with _lock:
                found = apply(random_bits, (t,), params)
                check_writable(t)
                write(t, apply(random_advance, (t,), params))
            return found
        with _lock:
            array = writable(t)
            seed, given = array.tolist()
            array[1] = given_after(given, shape, words)
            storage_of(t).count_write()
        return words_at(seed, given, shape, words)


def _restored(saved: Tensor) -> Generator:
    return Generator().set_state(saved)


default_generator = Generator()
default_generator._first = secrets.randbits(64)


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which is returned: the draws that follow are the same after the same seed."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator with a number that nobody can foresee, which is returned."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator began from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the default generator go on from what `get_rng_state` gave."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:  # noqa: ARG001  (there is one device)
    """The default generator is after the block where it was before, unless `enabled` is False."""
    before = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if before is not None:
            set_rng_state(before)


@contextlib.contextmanager
def generator_at(saved: Tensor | None) -> Iterator[None]:
    """The default generator in the state `saved` (unless None) inside the block, and where it was afterwards."""
    with fork_rng(enabled=saved is not None):
        if saved is not None:
            set_rng_state(saved)
        yield
