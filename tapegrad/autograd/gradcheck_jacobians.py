"""Jacobians of a function at a point by differences, by backward and by forward mode: what `gradcheck` compares.

Their rows belong to the elements of an input and their columns to those of an output, as in PyTorch's messages. For a
complex input `x + iy` and a real output `s` an entry is `ds/dx + i ds/dy`, which is PyTorch's gradient of `s`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GradcheckError
from ..tape import TensorBase, wrap, writable
from .backward import grad

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "Options", "Problem", "analytical", "as_tuple", "difference", "differentiable", "forward_mode", "is_inexact",
    "is_target", "numerical", "units", "with_tangents",
]  # fmt: skip

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def as_tuple(x: Any) -> tuple[Any, ...]:
    """A tuple or list as a tuple; anything else as a tuple of it."""
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def is_inexact(x: Any) -> bool:
    """Whether `x` is a floating or complex tensor."""
    return isinstance(x, TensorBase) and x._array.dtype.kind not in "biu"


def differentiable(outputs: Any) -> list[Tensor]:
    """The outputs that require grad. Raises AttributeError for one that is no tensor."""
    return [out for out in as_tuple(outputs) if out.requires_grad]


def is_target(x: Any) -> bool:
    """Whether `x` is a tensor that requires grad."""
    return isinstance(x, TensorBase) and x.requires_grad  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Options:
    """What `gradcheck` is asked to check, and how closely; the names and meanings are its arguments'."""

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    check_undefined_grad: bool
    check_grad_dtypes: bool
    check_batched_grad: bool
    check_batched_forward_grad: bool
    check_forward_ad: bool
    check_backward_ad: bool
    fast_mode: bool
    masked: bool


@dataclass(frozen=True)
class Problem:
    """A function at a point, whose derivative there is to be checked.

    `outputs` are the floating and complex tensors among those that `func(*inputs)` returned. With `forward`, forward
    mode is checked instead of backward. With a `part` ("real" or "imaginary"), `func` gives that part of its complex
    outputs or (`forward`) is given that part of its complex inputs; `complex_at` says which these are, counting the
    ones that require grad.
    """

    func: Function
    inputs: tuple[Any, ...]
    outputs: tuple[Tensor, ...]
    options: Options
    forward: bool = False
    part: str = ""
    complex_at: frozenset[int] = frozenset()

    @cached_property
    def targets(self) -> list[Tensor]:
        """The inputs that require grad."""
        return list(filter(is_target, self.inputs))

    @cached_property
    def wanted(self) -> list[int]:
        """Which of `outputs` require grad."""
        return [i for i, out in enumerate(self.outputs) if out.requires_grad]


def units(like: Array) -> Array:
    """The unit vectors of the shape and dtype of `like`, stacked: one per element."""
    return np.eye(like.size, dtype=like.dtype).reshape(like.size, *like.shape)


# By differences


def numerical(problem: Problem, x: Tensor) -> list[Array]:
    """The Jacobian of every output with respect to the input `x`, by central differences of step `eps`."""
    array = x._array
    is_complex = array.dtype.kind == "c"
    found = [
        np.zeros((array.size, out._array.size), array.dtype if is_complex else out._array.dtype)
        for out in problem.outputs
    ]
    step = problem.options.eps
    for row, at in enumerate(np.ndindex(array.shape)):
        for jacobian, slopes in zip(found, difference(problem, x, (step, step), at), strict=True):
            jacobian[row] = slopes
    return found


def difference(problem: Problem, x: Tensor, steps: tuple[Any, Any], at: tuple[int, ...] | None = None) -> list[Array]:
    """The slope of every output, flat, as `x` (only its element `at`, if given) goes a step up and a step down.

    `steps` are those of the real and of the imaginary part of `x`; slopes are per two `eps`, whatever the steps.
    Raises AssertionError if outputs have another shape or dtype up there than down there.
    """
    slopes = _central(problem, x, steps[0], at)
    if x._array.dtype.kind != "c":
        return slopes
    across = _central(problem, x, steps[1] * 1j, at)
    with np.errstate(all="ignore"):
        return [real + imag * 1j for real, imag in zip(slopes, across, strict=True)]


def _central(problem: Problem, x: Tensor, step: Any, at: tuple[int, ...] | None) -> list[Array]:
    """The memory of `x` is written: what else the function holds of it must change too, and no graph may notice."""
    place: Any = ... if at is None else (*at, ...)
    before = writable(x)[place].copy()
    try:
        writable(x)[place] = _wide(before) - step
        low = _values(problem)
        writable(x)[place] = _wide(before) + step
        high = _values(problem)
    finally:
        writable(x)[place] = before
    _check_alike(low, high, f"{'' if at is None else f'on index {at} '}by {problem.options.eps}")
    pairs = [pair for pair in zip(low, high, strict=True) if pair[0].dtype.kind not in "biu"]
    with np.errstate(all="ignore"):
        return [_slope(a, b, 2 * problem.options.eps) for a, b in pairs]


def _values(problem: Problem) -> list[Array]:
    return [out._array.copy() for out in as_tuple(problem.func(*problem.inputs))]


def _slope(low: Array, high: Array, distance: float) -> Array:
    return ((_wide(high) - _wide(low)) / distance).reshape(-1)


def _wide(x: Array) -> Array:
    """In 32 bits if in 16, which may not hold a step at all."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _check_alike(low: Sequence[Array], high: Sequence[Array], where: str) -> None:
    told = "Expected `func` to return {} when inputs are perturbed " + where + ", but got: {} and {}."
    if len(low) != len(high):
        raise AssertionError(told.format("the same number of outputs", len(low), len(high)))
    for a, b in zip(map(wrap, low), map(wrap, high), strict=True):
        if a.shape != b.shape:
            raise AssertionError(told.format("outputs with the same shape", f"shapes {a.shape}", b.shape))
        if a.dtype != b.dtype:
            raise AssertionError(told.format("outputs with the same dtype", f"dtypes {a.dtype}", b.dtype))


# By backward


def analytical(problem: Problem, out: Tensor, seeds: Array) -> list[Array]:
    """By target, the gradients of `out` for each of the cotangents stacked in `seeds`, as columns.

    All is computed twice. Raises GradcheckError if the two differ by more than `nondet_tol`.
    """
    first, second = _pulled(problem, out, seeds), _pulled(problem, out, seeds)
    if not all(_within(a, b, problem.options.nondet_tol) for a, b in zip(first, second, strict=True)):
        raise GradcheckError(
            "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
            "different values, although analytical gradient matches numerical gradient."
            f"The tolerance for nondeterminism was {problem.options.nondet_tol}.\n\n"
            "NOTE: If your op relies on non-deterministic operations this failure might be expected: then call "
            "gradcheck/gradgradcheck with `nondet_tol=<tol>` as a keyword argument."
        )
    return first


def _pulled(problem: Problem, out: Tensor, seeds: Array) -> list[Array]:
    found = [np.zeros((x._array.size, len(seeds)), x._array.dtype) for x in problem.targets]
    for column, seed in enumerate(seeds):
        grads = grad(out, problem.targets, wrap(seed.copy()), retain_graph=True, allow_unused=True)
        for jacobian, g in zip(found, grads, strict=True):
            if g is not None:
                jacobian[:, column] = g._array.reshape(-1)
    return found


def _within(a: Array, b: Array, tolerance: float) -> bool:
    """Whether no two elements are further apart. What is nan is not, as in PyTorch."""
    with np.errstate(all="ignore"):
        return not (a.size and np.abs(a - b).max() > tolerance)


# By forward mode


def forward_mode(problem: Problem, target: int, tangents: Array) -> list[Array]:
    """Every output's tangents for each of those of one target (given by its number) stacked in `tangents`, as rows.

    Raises GradcheckError, if dtypes are checked, for a real tangent of a complex output or the other way round.
    """
    found = [np.zeros((len(tangents), out._array.size), out._array.dtype) for out in problem.outputs]
    for row, tangent in enumerate(tangents):
        given = [tangent if i == target else np.zeros_like(x._array) for i, x in enumerate(problem.targets)]
        for jacobian, (primal, pushed) in zip(found, with_tangents(problem, given), strict=True):
            if pushed is None:
                continue
            if problem.options.check_grad_dtypes and primal.is_complex() != pushed.is_complex():
                raise GradcheckError("Forward AD gradient has dtype mismatch.")
            jacobian[row] = pushed._array.reshape(-1)
    return found


def with_tangents(problem: Problem, tangents: Sequence[Array | None]) -> list[tuple[Tensor, Tensor | None]]:
    """Every floating and complex output with its tangent, for one tangent per target (None: it gets no tangent)."""
    from . import forward_ad  # which few need

    given = iter(tangents)
    with forward_ad.dual_level():
        inputs = list(problem.inputs)
        for i, x in enumerate(inputs):
            if is_target(x):
                tangent = next(given)
                inputs[i] = x.detach()
                if tangent is not None:
                    inputs[i] = forward_ad.make_dual(inputs[i], wrap(tangent.copy()))
        outputs = as_tuple(problem.func(*inputs))
        return [tuple(forward_ad.unpack_dual(out)) for out in outputs if is_inexact(out)]
