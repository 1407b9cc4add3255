"""Draws that depend on tensors: normal numbers of given means, choices by given probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..drawing import Made, chances, draw, drawn, normals, require_generator, uniforms
from ..dtypes import FLOATING, float32, float64
from ..errors import TapegradError
from ..primitives.analytic import log
from ..primitives.arithmetic import maximum
from ..primitives.indexing import argsort
from ..primitives.precision import is_half
from ..primitives.random import search_sorted
from ..tape import TensorBase, apply, renamed, state
from .common import broadcast_shapes, cast_to, dtype_of, require_tensor, unmoved
from .creation import new_leaf, require_differentiable, shape_of
from .reductions import argmax, cumsum
from .requirements import require_weights, require_within
from .support import require_dtype, values_of

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "bernoulli", "multinomial", "normal", "of_bernoulli", "of_normal", "plain_number", "poisson",
    "require_probabilities", "uniform_below",
]  # fmt: skip


def plain_number(value: float) -> str:
    """A number as C++ prints it."""
    return f"{value:g}"


def require_probabilities(p: Tensor) -> None:
    """Raise unless all are between 0 and 1."""
    message = "Expected p_in >= 0 && p_in <= 1 to be true, but got false."
    require_within(p, 0, 1, "probability", lambda _: TapegradError(message))


def uniform_below(what: str, p: Tensor, generator: Any) -> Tensor:
    """Whether uniform draws are below `p`, a tensor that requires no grad."""
    wide = float32 if is_half(p._array.dtype) else dtype_of(p)
    if not wide.is_floating_point:
        wide = float32
    return draw(what, generator, p._array.shape, uniforms(wide)) < cast_to(p, wide)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None) -> Tensor:
    """Ones with the probabilities in `input` (or, if `p` is given, all with that), else zeros, in its dtype."""
    d = dtype_of(require_tensor("bernoulli", input, 1, "input"))
    require_generator("bernoulli", generator)
    if p is not None:
        require_dtype("bernoulli_scalar_cpu_", d, highest=FLOATING)
        if not 0 <= p <= 1:
            raise TapegradError(f"bernoulli_ expects p to be in [0, 1], but got p={plain_number(p)}")
        return draw("bernoulli", generator, input._array.shape, chances(p, d))
    require_dtype("bernoulli_tensor_cpu_self_", d, highest=FLOATING)
    require_dtype("bernoulli_tensor_cpu_p_", d, FLOATING)
    require_probabilities(input)
    out = cast_to(uniform_below("bernoulli", input.detach(), generator), d)
    return renamed("BernoulliBackward0", unmoved(out, input))


def of_bernoulli(_op: str, _result: Tensor, out: Tensor) -> None:
    """As `out`: any but a complex dtype."""
    require_dtype("bernoulli_tensor_cpu_self_", dtype_of(out), highest=FLOATING)


# Normal


def of_normal(_op: str, _result: Tensor, out: Tensor) -> None:
    """As `out`: any floating or complex dtype."""
    require_dtype("normal_kernel_cpu", dtype_of(out), FLOATING)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draws from normal distributions of these means and standard deviations, one a tensor at least, or else of `size`.

    The gradients for the means and deviations are zero. Raises RuntimeError for a negative deviation.
    """
    given = [isinstance(x, TensorBase) for x in (mean, std)]
    if not any(given) and isinstance(size, Sequence):
        return _normal_of_size(mean, std, shape_of("normal", (size,)), generator, dtype, device, requires_grad)
    for x, known in zip((mean, std), given, strict=True):
        if not any(given) or size is not None or not (known or isinstance(x, float | int)):
            kinds = ", ".join(type(x).__name__ for x in (mean, std, size) if x is not None)
            raise TypeError(f"normal() received an invalid combination of arguments - got ({kinds})")
    d = dtype_of(mean if given[0] else std)
    require_generator("normal", generator)
    _check_deviation(std)
    require_dtype("normal_kernel_cpu", d, FLOATING)
    shape = broadcast_shapes([x._array.shape for x, known in zip((mean, std), given, strict=True) if known])
    unit = draw("normal", generator, shape, normals(d))
    if d.is_complex:
        unit = unit * 0.5**0.5
    scale, shift = [cast_to(x.detach(), d) if known else x for x, known in zip((std, mean), given[::-1], strict=True)]
    out = unit * scale + shift
    for x, known in zip((mean, std), given, strict=True):
        if known:
            out = unmoved(out, cast_to(x, d))
    return renamed(f"NormalBackward{given[0] + 2 * given[1]}", out)


def _check_deviation(std: Any) -> None:
    if not isinstance(std, TensorBase):
        if not std >= 0:
            raise TapegradError(f"normal expects std >= 0.0, but found std {plain_number(std)}")
        return
    if std._array.dtype.kind == "c":
        raise TapegradError("normal expects standard deviation to be non-complex")
    message = "normal expects all elements of std >= 0.0"
    require_within(std, 0, math.inf, "deviation", lambda _: TapegradError(message))


def _normal_of_size(
    mean: float, std: float, shape: tuple[int, ...], generator: Any, d: Any, device: Any, requires_grad: bool
) -> Tensor:
    from .creation import empty

    _check_deviation(std)
    out = empty(shape, dtype=d, device=device)
    if requires_grad:
        require_differentiable(out)
    out.normal_(mean, std, generator=generator)
    return out.requires_grad_() if requires_grad else out


# Choices

_MOST = 2**24


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Positions drawn from each row of `input`, with the probabilities that it has there, up to a factor.

    Shape (n,) or (m, n); the result has `num_samples` columns. Without replacement no position comes twice in a row.
    Compiled, a draw at the very border between two positions may fall to the other one: the sums are rounded. Raises
    RuntimeError for another shape or dtype, for probabilities that are negative, not finite or all zero, and for more
    samples than there are.
    """
    require_generator("multinomial", generator)
    _check_choices(require_tensor("multinomial", input, 1, "input"), num_samples, replacement)
    bad = "probability tensor contains either `inf`, `nan` or element < 0"
    none = "invalid multinomial distribution (sum of probabilities <= 0)"
    require_weights(input, lambda: TapegradError(bad), lambda: TapegradError(none))
    p = cast_to(input.detach(), float64)
    if replacement and num_samples > 1:
        rows = p._array.shape[:-1]
        upper = cumsum(p, -1)
        at = draw("multinomial", generator, (*rows, num_samples), uniforms(float64)) * upper[..., -1:]
        return apply(search_sorted, (upper, at))
    # The first of processes that happen at these rates (Efraimidis and Spirakis, doi:10.1016/j.ipl.2005.11.003)
    score = p / draw("multinomial", generator, p._array.shape, _exponentials())
    if num_samples == 1:
        return argmax(score, -1, keepdim=True)
    order = apply(argsort, (-score,), {"axis": score._array.ndim - 1})
    return order[..., :num_samples].clone()


def _exponentials() -> Made:
    """None is 0, by which something is divided."""
    made = uniforms(float64)
    return Made(made.words, lambda bits: maximum(0.0 - log(1.0 - made.values(bits)), 2.0**-54))


def _check_choices(input: Tensor, num_samples: Any, replacement: bool) -> None:
    if not hasattr(num_samples, "__index__"):
        kind = type(num_samples).__name__
        raise TypeError(f"multinomial(): argument 'num_samples' (position 2) must be int, not {kind}")
    shape, d = input._array.shape, dtype_of(input)
    if not 0 < len(shape) <= 2:
        raise TapegradError("prob_dist must be 1 or 2 dim")
    if not d.is_floating_point:
        raise TapegradError(f"multinomial only supports floating-point dtypes for input, got: {d.scalar_type}")
    if num_samples <= 0:
        raise TapegradError("cannot sample n_sample <= 0 samples")
    if not (replacement or num_samples <= shape[-1]):
        raise TapegradError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if shape[-1] > _MOST:
        raise TapegradError("number of categories cannot exceed 2^24")
    if not shape[-1]:
        raise TapegradError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )


# Counts


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Draws from Poisson distributions of the rates in `input`. Not while recording.

    They are NumPy's, begun from a word of the generator: how many words a draw takes depends on what they are.
    """
    d = dtype_of(require_tensor("poisson", input, 1, "input"))
    require_generator("poisson", generator)
    require_dtype("poisson_cpu", d, FLOATING, FLOATING)
    if state.recorder is not None:
        raise state.recorder.unsupported("poisson() takes a loop of unknown length: draw outside, pass the tensor in")
    message = "invalid Poisson rate, expected rate to be non-negative"
    require_within(input, 0, math.inf, "rate", lambda _: TapegradError(message))
    rates = values_of(input).astype(np.float64)

    def make(shape: tuple[int, ...]) -> Tensor:
        seed = draw("poisson", generator, (), Made(2, lambda bits: bits))
        source = np.random.Generator(np.random.Philox(int(seed._array) % 2**64))
        if rates.ndim > len(shape):
            raise TapegradError("Vmap does not currently support same randomness with a batched tensor input.")
        return new_leaf(source.poisson(np.broadcast_to(rates, shape)).astype(d.numpy))

    return renamed("PoissonBackward0", unmoved(drawn(make, input._array.shape), input))
