"""Tensors overwritten with draws from a distribution, by the generators of `tapegrad.random`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import FLOATING, INTEGRAL, dtype
from ..errors import TapegradError
from ..random import drawn, draws
from ..tape import TensorBase, check_writable, renamed, write
from .common import dtype_of, require_tensor, unmoved
from .creation import new_leaf
from .shaping import expand
from .support import cpp_name, reads_value, require_dtype, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_", "uniform_",
]  # fmt: skip

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _overwrite(x: Tensor, name: str, generator: Any, values: Draw, number: int = 0) -> Tensor:
    """Write draws over `x`, whose gradient is 0 from here on. `number` is that of PyTorch's node. Returns `x`."""
    check_writable(x)
    d = x._array.dtype
    out = drawn(lambda shape: new_leaf(draws(name, generator, values, shape).astype(d)), x._array.shape)
    return write(x, renamed(f"{name.title().replace('_', '')}Backward{number}", unmoved(out, x)))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise TapegradError(message)


def _plain(value: float) -> str:
    """A number as C++ prints it."""
    return f"{value:g}"


def normal_(x: Tensor, mean: float = 0, std: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with draws from the normal distribution (for a complex dtype, of total variance `std ** 2`)."""
    _require(std >= 0, f"normal expects std >= 0.0, but found std {_plain(std)}")
    require_dtype("normal_kernel_cpu", _dtype("normal_", x), FLOATING)

    def values(source: np.random.Generator, shape: tuple[int, ...]) -> Any:
        if x._array.dtype.kind != "c":
            return source.normal(mean, std, shape)
        return mean + (source.normal(0, std, shape) + 1j * source.normal(0, std, shape)) / np.sqrt(2)

    return _overwrite(x, "normal_", generator, values)


def log_normal_(x: Tensor, mean: float = 1, std: float = 2, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with exponentials of draws from the normal distribution."""
    _require(std > 0, f"log_normal_ expects std > 0.0, but found std={_plain(std)}")
    require_dtype("log_normal_cpu", _dtype("log_normal_", x), FLOATING, FLOATING)
    return _overwrite(x, "log_normal_", generator, lambda source, shape: source.lognormal(mean, std, shape))


@spelled
def uniform_(x: Tensor, from_: float = 0, to: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with uniform draws from [from, to)."""
    require_dtype("check_uniform_bounds", _dtype("uniform_", x), FLOATING)
    _require(
        from_ <= to,
        f"uniform_ expects to return a [from, to) range, but found from={_plain(from_)} > to={_plain(to)}",
    )

    def values(source: np.random.Generator, shape: tuple[int, ...]) -> Any:
        if x._array.dtype.kind != "c":
            return from_ + (to - from_) * _unit(source, shape, dtype_of(x))
        return from_ + (to - from_) * (source.random(shape) + 1j * source.random(shape))

    return _overwrite(x, "uniform_", generator, values)


_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def _unit(source: np.random.Generator, shape: tuple[int, ...], d: dtype) -> Any:
    """Uniform draws from [0, 1) of as many bits as `d` has, so that none is rounded to 1."""
    bits = _BITS[d.name]
    return source.integers(0, 1 << bits, shape) / (1 << bits)


def bernoulli_(x: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with ones, drawn with probability `p` (a number, or a tensor of one each), and zeros."""
    d = _dtype("bernoulli_", x)
    if isinstance(p, TensorBase):
        require_dtype("bernoulli_tensor_cpu_self_", d, highest=FLOATING)
        reads_value("bernoulli_() with probabilities", p)
        chances = expand(p.detach(), x._array.shape)._array  # type: ignore[attr-defined]
        message = "Expected p_in >= 0 && p_in <= 1 to be true, but got false."
        _require(bool(((chances >= 0) & (chances <= 1)).all()), message)
    else:
        require_dtype("bernoulli_scalar_cpu_", d, highest=FLOATING)
        chances = p
        _require(0 <= p <= 1, f"bernoulli_ expects p to be in [0, 1], but got p={_plain(p)}")
    number = 1 if isinstance(p, TensorBase) else 2
    return _overwrite(x, "bernoulli_", generator, lambda source, shape: source.random(shape) < chances, number)


def exponential_(x: Tensor, lambd: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with draws from the exponential distribution of rate `lambd`."""
    d = _dtype("exponential_", x)
    if not d.is_floating_point:
        raise TapegradError(
            "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {d.scalar_type}"
        )
    _require(lambd > 0, f"exponential_ expects lambda > 0.0, but found lambda={_plain(lambd)}")
    return _overwrite(x, "exponential_", generator, lambda source, shape: source.exponential(1 / lambd, shape))


def cauchy_(x: Tensor, median: float = 0, sigma: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with draws from the Cauchy distribution."""
    d = _dtype("cauchy_", x)
    _require(sigma > 0, f"cauchy_ expects sigma > 0.0, but found sigma={_plain(sigma)}")
    if not d.is_floating_point:
        raise TapegradError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {d.scalar_type}"
        )
    values: Draw = lambda source, shape: median + sigma * source.standard_cauchy(shape)  # noqa: E731
    return _overwrite(x, "cauchy_", generator, values)


def geometric_(x: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with the numbers of trials, each a success with probability `p`, up to the first success."""
    require_dtype("geometric_cpu", _dtype("geometric_", x), INTEGRAL, FLOATING)
    _require(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={_plain(p)}")
    return _overwrite(x, "geometric_", generator, lambda source, shape: source.geometric(p, shape))


@spelled
def random_(x: Tensor, from_: int = 0, to: int | None = None, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with uniform integers from [from, to), or [0, to) as `random_(to)`.

    Without bounds, from 0 to the largest integer of its dtype, or that up to which a floating dtype has them all.
    """
    d = _dtype("random_", x)
    require_dtype("random_kernel_cpu", d, highest=FLOATING)
    for name, bound in (("from", from_), ("to", to)):
        if bound is not None and not isinstance(bound, int):
            kind = type(bound).__name__
            raise TypeError(f"random_(): argument '{name}' must be int, not {kind}")
    number = 2 if to is None and not from_ else 1 if to is None else 0
    low, high = (0, from_) if number == 1 else (from_, to)
    top = _largest(d)
    if high is None:
        high = top + 1
    _require(low < high, f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    for name, bound in (("from", low), ("to - 1", high - 1)):
        if d.category < FLOATING:
            _require(_smallest(d) <= bound <= top, f"{name} is out of bounds for {cpp_name(d)}")
    return _overwrite(x, "random_", generator, lambda source, shape: source.integers(low, high, shape), number)


def _largest(d: dtype) -> int:
    if d.is_floating_point:
        return 1 << _BITS[d.name]
    return 1 if d.category < INTEGRAL else int(np.iinfo(d.numpy).max)


def _smallest(d: dtype) -> int:
    return 0 if d.category < INTEGRAL else int(np.iinfo(d.numpy).min)


def _dtype(op: str, x: Any) -> dtype:
    return dtype_of(require_tensor(op, x))
