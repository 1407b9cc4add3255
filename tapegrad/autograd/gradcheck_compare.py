"""The comparison that `gradcheck` is about: Jacobians by autograd with those by differences.

Slow mode compares them entry by entry; fast mode compares `v J u` (by forward mode: `u J`) for random directions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import GradcheckError
from ..tape import wrap
from .gradcheck_jacobians import Problem, analytical, difference, forward_mode, numerical, units

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Directions", "close", "compare"]

Array = np.ndarray[Any, Any]

_SEED = 67280421310721 % 2**32
"""The seed of a new `torch.Generator()`, as far as its Mersenne Twister takes it."""
_NOT_CONSTANT = "Numerical gradient for function expected to be zero"
_ABOUT_FAST_MODE = """
The above quantities relating the numerical and analytical jacobians are computed 
in fast mode. See: https://github.com/pytorch/pytorch/issues/53876 for more background 
about fast mode. Below, we recompute numerical and analytical jacobians in slow mode:

"""  # noqa: W291  (PyTorch's)
_FAST_FAILED_SLOW_OK = """
Fast gradcheck failed but element-wise differences are small. This means that the
test might've passed in slow_mode! To see, call gradcheck/gradgradcheck
with `fast_mode=False` as a keyword argument."""


def compare(problem: Problem) -> None:
    """Raise GradcheckError for the first output and input whose Jacobians differ."""
    if problem.options.fast_mode:
        _compare_fast(problem)
    else:
        _compare_slow(problem)


def close(a: Array, b: Array, rtol: float, atol: float) -> bool:
    """Whether `a` is `b` but for `atol + rtol * abs(b)`; nan is close to nothing."""
    with np.errstate(all="ignore"):
        return bool(np.allclose(a, b, rtol, atol))


def _mismatch(problem: Problem, output: int, target: int, analytic: Array, numeric: Array) -> str:
    place, mode = (target, "computed with forward mode ") if problem.forward else (output, "")
    element = "inputs" if problem.forward else "outputs"
    only = f"While considering the {problem.part} part of complex {element} only, "
    return (
        f"{only if place in problem.complex_at else ''}Jacobian {mode}mismatch for output {output} with respect to "
        f"input {target},\nnumerical:{wrap(numeric)}\nanalytical:{wrap(analytic)}\n"
    )


# Slow mode


def _compare_slow(problem: Problem) -> None:
    numeric = [numerical(problem, x) for x in problem.targets]
    if not problem.wanted and any(jacobian.any() for jacobians in numeric for jacobian in jacobians):
        raise GradcheckError(_NOT_CONSTANT)
    pushed = [forward_mode(problem, j, units(x._array)) for j, x in enumerate(_pushed_targets(problem))]
    for i, index in enumerate(problem.wanted):
        out = problem.outputs[index]
        found = [by[index] for by in pushed] if problem.forward else analytical(problem, out, units(out._array))
        for j, (analytic, by_output) in enumerate(zip(found, numeric, strict=True)):
            if not close(analytic, by_output[index], problem.options.rtol, problem.options.atol):
                raise GradcheckError(_mismatch(problem, i, j, analytic, by_output[index]))


def _pushed_targets(problem: Problem) -> list[Tensor]:
    return problem.targets if problem.forward and problem.wanted else []


# Fast mode


class Directions:
    """Random vectors of length one without negative entries: PyTorch's, so that messages show the same numbers."""

    def __init__(self) -> None:
        self._generator = np.random.RandomState(_SEED)  # the Mersenne Twister, which PyTorch has too

    def vector(self, like: Array) -> Array:
        """A flat vector as long as `like` has elements, of its dtype (of that of its parts, if it is complex)."""
        dtype = like.real.dtype
        drawn = self._uniform(like.size).astype(np.float32 if dtype.itemsize == 2 else dtype)
        return (drawn / (np.linalg.norm(drawn) or 1.0)).astype(dtype)

    def _uniform(self, count: int) -> Array:
        """Draws from [0, 1), in the default dtype."""
        if get_default_dtype().itemsize < 8:
            return ((self._words(count) & (2**24 - 1)) / 2**24).astype(np.float32)
        words = self._words(2 * count)
        return ((words[::2] << 32 | words[1::2]) & (2**53 - 1)) / 2**53

    def _words(self, count: int) -> Array:
        return self._generator.randint(0, 2**32, count, np.uint32).astype(np.uint64)


def _compare_fast(problem: Problem) -> None:
    directions = Directions()
    us = [(directions.vector(x._array), _imaginary(directions, x)) for x in problem.targets]
    vs = [] if problem.forward else [directions.vector(problem.outputs[i]._array) for i in problem.wanted]
    slopes = [_slopes(problem, x, u) for x, u in zip(problem.targets, us, strict=True)]
    if not problem.wanted and any(_largest(s) > problem.options.nondet_tol for by in slopes for s in by):
        raise GradcheckError(_NOT_CONSTANT)
    found = _along_forward(problem, us) if problem.forward else _along_backward(problem, us, vs)
    for j, (u, by_output) in enumerate(zip(us, slopes, strict=True)):
        for i, index in enumerate(problem.wanted):
            numeric = by_output[index] if problem.forward else np.asarray((vs[i] * by_output[index]).sum())
            # what slow mode allows to every entry, these sum up
            atol = problem.options.atol * float(u[0].sum() + u[1].sum()) * (float(vs[i].sum()) if vs else 1.0)
            if not close(found[j][i], numeric, problem.options.rtol, atol):
                raise GradcheckError(_mismatch(problem, i, j, found[j][i], numeric) + _in_slow_mode(problem, i, j))


def _imaginary(directions: Directions, x: Tensor) -> Array:
    """A direction of the imaginary part of `x`; zeros if it has none."""
    return directions.vector(x._array) if x._array.dtype.kind == "c" else np.zeros(x._array.size)


def _slopes(problem: Problem, x: Tensor, u: tuple[Array, Array]) -> list[Array]:
    """`u J` of every output, by differences."""
    real, imag = (problem.options.eps * part.reshape(x._array.shape) for part in u)
    return difference(problem, x, (real, imag))


def _largest(slopes: Array) -> float:
    return float(np.abs(slopes).max()) if slopes.size else 0.0


def _along_backward(problem: Problem, us: list[tuple[Array, Array]], vs: list[Array]) -> list[list[Array]]:
    """`v J u` by target and output."""
    found: list[list[Array]] = [[] for _ in us]
    for index, v in zip(problem.wanted, vs, strict=True):
        out = problem.outputs[index]
        for row, u, pulled in zip(found, us, analytical(problem, out, v.reshape(1, *out._array.shape)), strict=True):
            g = pulled[:, 0]
            row.append(np.asarray(g.real.dot(u[0]) + 1j * g.imag.dot(u[1]) if g.dtype.kind == "c" else g.dot(u[0])))
    return found


def _along_forward(problem: Problem, us: list[tuple[Array, Array]]) -> list[list[Array]]:
    """`u J` by target and output; targets are real here."""
    found = []
    for j, (x, u) in enumerate(zip(problem.targets, us, strict=True)):
        pushed = forward_mode(problem, j, u[0].reshape(1, *x._array.shape))
        found.append([pushed[index][0] for index in problem.wanted])
    return found


def _in_slow_mode(problem: Problem, output: int, target: int) -> str:
    """What there is to say of Jacobians that differ in fast mode: all of them."""
    index, x = problem.wanted[output], problem.targets[target]
    numeric, out = numerical(problem, x)[index], problem.outputs[index]
    if problem.forward:
        analytic = forward_mode(problem, target, units(x._array))[index]
    else:
        patient = replace(problem, options=replace(problem.options, nondet_tol=float("inf")))
        analytic = analytical(patient, out, units(out._array))[target]
    with np.errstate(all="ignore"):
        furthest = np.asarray(np.abs(numeric - analytic).max())
    told = (
        f"{_ABOUT_FAST_MODE}Numerical:\n {wrap(numeric)}\nAnalytical:\n{wrap(analytic)}\n\n"
        f"The max per-element difference (slow mode) is: {wrap(furthest)}.\n"
    )
    passes = close(analytic, numeric, problem.options.rtol, problem.options.atol)
    return told + _FAST_FAILED_SLOW_OK.lstrip() if passes else told
