"""Random tensors and the generators they are drawn from, whose state is no part of a tape."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from . import dtypes
from .devices import CPU, check_device, device
from .errors import TapegradError
from .formats import check_format, lay_out, preserve_format
from .ops.creation import new_leaf, shape_of
from .ops.support import require_dtype, spelled
from .tape import TensorBase, state

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Generator", "default_generator", "draws", "generator_at", "get_rng_state", "initial_seed", "manual_seed", "rand",
    "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip

_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child must not wait for a lock that a thread of its parent held
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

_FIRST_SEED = 67280421310721  # PyTorch's


class Generator:
    """A source of random numbers, as `torch.Generator`: pass it to what draws as `generator`.

    The numbers are not PyTorch's: they come from NumPy's Philox. The same seed gives the same numbers.
    """

    __slots__ = ("_numpy", "_seed")

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self.manual_seed(_FIRST_SEED)

    @property
    def device(self) -> device:
        """Where it draws: the CPU."""
        return CPU

    def manual_seed(self, seed: int) -> Self:
        """Begin anew from `seed`. Returns the generator. Raises ValueError for one that does not fit into 64 bits."""
        number = int(seed)
        if not -(2**63) <= number < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with _lock:
            self._seed = number % 2**64
            self._numpy = np.random.Generator(np.random.Philox(self._seed))
        return self

    def seed(self) -> int:
        """Begin anew from a seed that nobody can foresee, which is returned."""
        return self.manual_seed(secrets.randbits(64)).initial_seed()

    def initial_seed(self) -> int:
        """The seed it began from."""
        return self._seed

    def get_state(self) -> Tensor:
        """All that the next draws depend on, as a tensor of bytes."""
        with _lock:
            now: Any = self._numpy.bit_generator.state
            numbers = [self._seed, now["buffer_pos"], now["has_uint32"], now["uinteger"]]
            parts = [np.array(numbers, np.uint64), now["state"]["counter"], now["state"]["key"], now["buffer"]]
        return new_leaf(np.concatenate(parts).astype("<u8").view(np.uint8))

    def set_state(self, new_state: Tensor) -> Self:
        """Go on from what `get_state` gave. Returns the generator. Raises TypeError, RuntimeError for anything else."""
        if not isinstance(new_state, TensorBase) or new_state._array.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if new_state._array.shape != (14 * 8,):
            raise TapegradError("RNG state is wrong size")
        numbers = np.ascontiguousarray(new_state._array).view("<u8").astype(np.uint64)
        seed, position, has_half, half = (int(n) for n in numbers[:4])
        if position > 4 or has_half > 1 or half >= 2**32:
            raise TapegradError("RNG state is not one that get_state() gave")
        philox = np.random.Philox(seed)
        philox.state = {
            "bit_generator": "Philox",
            "state": {"counter": numbers[4:8], "key": numbers[8:10]},
            "buffer": numbers[10:],
            "buffer_pos": position,
            "has_uint32": has_half,
            "uinteger": half,
        }
        with _lock:
            self._seed, self._numpy = seed, np.random.Generator(philox)
        return self


default_generator = Generator()
default_generator.seed()


def _refuse_recording(what: str) -> None:
    if state.recorder is not None:
        raise state.recorder.unsupported(what)


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which is returned: the draws that follow are the same after the same seed."""
    _refuse_recording("manual_seed(): seed outside")
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with a number that nobody can foresee, which is returned."""
    _refuse_recording("seed(): seed outside")
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator began from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    _refuse_recording("get_rng_state(): read it outside")
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the default generator go on from what `get_rng_state` gave."""
    _refuse_recording("set_rng_state(): set it outside")
    default_generator.set_state(new_state)


def _drawn(
    what: str,
    size: tuple[Any, ...],
    d: Any,
    device: Any,
    requires_grad: bool,
    generator: Any,
    draw: Any,
    default: Any = None,
) -> Tensor:
    check_device(device)
    shape = shape_of(what, size)
    found = (default or dtypes.get_default_dtype()) if d is None else dtypes.to_dtype(d)
    return drawn(lambda size: new_leaf(draws(what, generator, draw, size).astype(found.numpy), requires_grad), shape)


def drawn(make: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...]) -> Any:
    """The random tensor `make(shape)`, or what those who watch take in its place: one of each example of a batch."""
    for watcher in reversed(state.now.watchers):
        out = watcher.draw(make, shape)
        if out is not None:
            state.now.tell_inside(watcher, "constant", out)
            return out
    return make(shape)


def draws(what: str, generator: Any, draw: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """`draw(NumPy's generator, shape)`, by the given generator or the default one, while no other thread draws."""
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"{what}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    _refuse_recording(f"{what}() draws random numbers: draw outside, pass the tensor in")
    source = default_generator if generator is None else generator
    with _lock:
        return np.asarray(draw(source._numpy, shape))


def _floating(what: str, d: Any) -> None:
    if d is not None:
        require_dtype(what, dtypes.to_dtype(d), dtypes.FLOATING)


@spelled
def rand(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Uniform draws from [0, 1)."""
    _floating("rand", dtype)
    return _drawn("rand", size, dtype, device, requires_grad, generator, _uniform)


def _uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    # 24 bits, so that rounding to float32 cannot give 1
    return generator.integers(0, 1 << 24, shape) / (1 << 24)


@spelled
def randn(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Draws from the standard normal distribution (for a complex dtype, of total variance one)."""
    _floating("randn", dtype)
    is_complex = dtype is not None and dtypes.to_dtype(dtype).is_complex
    return _drawn("randn", size, dtype, device, requires_grad, generator, _complex_normal if is_complex else _normal)


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return generator.standard_normal(shape)


def _complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)) / np.sqrt(2)


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform integers from [low, high), or [0, low) as `randint(high, size)`. int64 unless `dtype` is given."""
    if size is None:
        low, high, size = 0, low, high
    if low >= high:
        raise TapegradError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if not isinstance(size, Sequence):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    draw = lambda g, shape: g.integers(low, high, shape)  # noqa: E731
    return _drawn("randint", (size,), dtype, device, requires_grad, generator, draw, dtypes.int64)


def randperm(n: int, *, generator: Any = None, dtype: Any = None, device: Any = None) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    return _drawn("randperm", (n,), dtype, device, False, generator, _permutations, dtypes.int64)


def _permutations(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """A permutation along the last axis, for each position along the others another one."""
    order = np.broadcast_to(np.arange(shape[-1]), shape)
    return generator.permuted(order, axis=-1) if len(shape) > 1 else generator.permutation(shape[-1])


def _like(name: str, draw: Any, x: Tensor, *args: Any, memory_format: Any, dtype: Any, **options: Any) -> Tensor:
    """`draw` of the shape of `x`, in its dtype unless another is given, in memory as it is or as asked."""
    if not isinstance(x, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    check_format(name, memory_format)
    d = dtypes.from_numpy_dtype(x._array.dtype) if dtype is None else dtype
    return lay_out(draw(*args, size=x._array.shape, dtype=d, **options), x._array, memory_format)


def rand_like(
    input: Tensor,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """`rand` in the shape and dtype of `input`."""
    options = {"generator": generator, "device": device, "requires_grad": requires_grad}
    return _like("rand_like", rand, input, dtype=dtype, memory_format=memory_format, **options)


def randn_like(
    input: Tensor,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """`randn` in the shape and dtype of `input`."""
    options = {"generator": generator, "device": device, "requires_grad": requires_grad}
    return _like("randn_like", randn, input, dtype=dtype, memory_format=memory_format, **options)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """`randint` in the shape and dtype of `input`."""
    bounds = (0, low) if high is None else (low, high)
    options = {"generator": generator, "device": device, "requires_grad": requires_grad}
    return _like("randint_like", randint, input, *bounds, dtype=dtype, memory_format=memory_format, **options)


@contextlib.contextmanager
def generator_at(saved: Tensor | None) -> Iterator[None]:
    """The default generator in the state `saved` (unless None) inside the block, and where it was afterwards."""
    if saved is None:
        yield
        return
    before = get_rng_state()
    set_rng_state(saved)
    try:
        yield
    finally:
        set_rng_state(before)
