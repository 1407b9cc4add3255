"""Tensors overwritten with draws from a distribution, by the generators of `tapegrad.random`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..drawing import (
    Made,
    chances,
    check_bounds,
    draw,
    in_single,
    limits,
    normals,
    require_generator,
    uniforms,
    whole_numbers,
)
from ..dtypes import FLOATING, INTEGRAL, dtype, float64
from ..errors import TapegradError
from ..primitives.analytic import exp, log, tan
from ..primitives.arithmetic import ceil, maximum
from ..primitives.structure import cast
from ..tape import TensorBase, check_writable, renamed, write
from .common import cast_to, dtype_of, require_tensor, unmoved
from .sampling import plain_number, require_probabilities, uniform_below
from .shaping import expand
from .support import require_dtype, spelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_", "uniform_",
]  # fmt: skip


def _overwrite(x: Tensor, name: str, generator: Any, made: Made, number: int = 0) -> Tensor:
    """Write draws over `x`, whose gradient is 0 from here on. `number` is that of PyTorch's node. Returns `x`."""
    check_writable(x)
    return _take(x, name, draw(name, generator, x._array.shape, made), number)


def _take(x: Tensor, name: str, out: Tensor, number: int) -> Tensor:
    return write(x, renamed(f"{name.title().replace('_', '')}Backward{number}", unmoved(out, x)))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise TapegradError(message)


def normal_(x: Tensor, mean: float = 0, std: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with draws from the normal distribution (for a complex dtype, of total variance `std ** 2`)."""
    _require(std >= 0, f"normal expects std >= 0.0, but found std {plain_number(std)}")
    d = _dtype("normal_", x)
    require_dtype("normal_kernel_cpu", d, FLOATING)
    scale = std / 2**0.5 if d.is_complex else std
    return _overwrite(x, "normal_", generator, in_single(d, lambda z: z * scale + mean, normals(d)))


def log_normal_(x: Tensor, mean: float = 1, std: float = 2, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with exponentials of draws from the normal distribution."""
    _require(std > 0, f"log_normal_ expects std > 0.0, but found std={plain_number(std)}")
    d = _dtype("log_normal_", x)
    require_dtype("log_normal_cpu", d, FLOATING, FLOATING)
    return _overwrite(x, "log_normal_", generator, in_single(d, lambda z: exp(z * std + mean), normals(d)))


@spelled
def uniform_(x: Tensor, from_: float = 0, to: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with uniform draws from [from, to) (for a complex dtype, of both parts)."""
    d = _dtype("uniform_", x)
    require_dtype("check_uniform_bounds", d, FLOATING)
    _require(
        from_ <= to,
        f"uniform_ expects to return a [from, to) range, but found from={plain_number(from_)} > to={plain_number(to)}",
    )
    low = complex(from_, from_) if d.is_complex else from_
    return _overwrite(x, "uniform_", generator, in_single(d, lambda u: u * (to - from_) + low, uniforms(d)))


def bernoulli_(x: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with ones, drawn with probability `p` (a number, or a tensor of one each), and zeros."""
    d = _dtype("bernoulli_", x)
    if not isinstance(p, TensorBase):
        require_dtype("bernoulli_scalar_cpu_", d, highest=FLOATING)
        _require(0 <= p <= 1, f"bernoulli_ expects p to be in [0, 1], but got p={plain_number(p)}")
        return _overwrite(x, "bernoulli_", generator, chances(p, d), 2)
    require_dtype("bernoulli_tensor_cpu_self_", d, highest=FLOATING)
    require_generator("bernoulli_", generator)
    probabilities = expand(p.detach(), x._array.shape)  # type: ignore[attr-defined]
    require_probabilities(probabilities)
    check_writable(x)
    return _take(x, "bernoulli_", cast_to(uniform_below("bernoulli_", probabilities, generator), d), 1)


def _require_floating(name: str, d: dtype) -> None:
    if not d.is_floating_point:
        raise TapegradError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {d.scalar_type}"
        )


def _in_double(d: dtype, values: Callable[[Any], Any]) -> Made:
    """`values` of numbers from (0, 1], in float64: for what is steep, or makes whole numbers of them."""
    made = uniforms(float64)
    return Made(made.words, lambda bits: cast(values(1.0 - made.values(bits)), dtype=d.numpy))


def exponential_(x: Tensor, lambd: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with draws from the exponential distribution of rate `lambd`."""
    d = _dtype("exponential_", x)
    _require_floating("Exponential", d)
    _require(lambd > 0, f"exponential_ expects lambda > 0.0, but found lambda={plain_number(lambd)}")
    unit = dtypes.float32 if d is not float64 else d
    made = uniforms(unit)
    values = lambda bits: cast((0.0 - log(1.0 - made.values(bits))) * (1 / lambd), dtype=d.numpy)  # noqa: E731
    return _overwrite(x, "exponential_", generator, Made(made.words, values))


def cauchy_(x: Tensor, median: float = 0, sigma: float = 1, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with draws from the Cauchy distribution."""
    d = _dtype("cauchy_", x)
    _require(sigma > 0, f"cauchy_ expects sigma > 0.0, but found sigma={plain_number(sigma)}")
    _require_floating("Cauchy", d)
    return _overwrite(x, "cauchy_", generator, _in_double(d, lambda u: tan((u - 0.5) * math.pi) * sigma + median))


def geometric_(x: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Overwrite `x` with the numbers of trials, each a success with probability `p`, up to the first success."""
    d = _dtype("geometric_", x)
    require_dtype("geometric_cpu", d, INTEGRAL, FLOATING)
    _require(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={plain_number(p)}")
    scale = 1 / math.log1p(-p)
    return _overwrite(x, "geometric_", generator, _in_double(d, lambda u: maximum(ceil(log(u) * scale), 1.0)))


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
    if high is None:
        high = limits(d)[1] + 1
    check_bounds(low, high, d)
    return _overwrite(x, "random_", generator, whole_numbers(low, high, d), number)


def _dtype(op: str, x: Any) -> dtype:
    return dtype_of(require_tensor(op, x))
