"""gradcheck and gradgradcheck: whether gradients by autograd are those of finite differences, as PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import complex128, float64
from ..errors import GradcheckError
from ..ops.elementwise import imag, real
from ..random import rand
from ..tape import TensorBase, state, wrap
from .backward import grad
from .gradcheck_compare import compare
from .gradcheck_jacobians import Options, Problem, as_tuple, differentiable, is_inexact, is_target
from .gradcheck_rules import (
    check_batched,
    check_batched_tangents,
    check_missing_tangents,
    check_multiplied,
    check_undefined,
)

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Func = Callable[..., Any]

_ONE_OF = "Expected at least one of {} or {} to be True"
_NEEDS = "Setting {}=True requires {} to be True"


def gradcheck(
    func: Func,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func` at `inputs` are those of central differences.

    A complex output is checked as two real ones, its parts; a gradient with respect to a complex `x + iy` is
    `d/dx + i d/dy`. Differences want double precision, and inputs away from kinks.

    Args:
        func: gives a tensor or several for `inputs`; the same for the same.
        inputs: a tensor or a sequence of arguments, of which the tensors that require grad are differentiated.
        eps: the step of the differences.
        atol: the absolute tolerance of the comparison.
        rtol: the relative tolerance.
        raise_exception: raise GradcheckError where a check fails; else return False.
        nondet_tol: by how much gradients may differ that are computed twice.
        check_undefined_grad: whether no gradient for an output does what zeros do.
        check_grad_dtypes: whether tangents are complex where the outputs are. (Gradients have the dtypes of the
            inputs always: `grad` sees to that.)
        check_batched_grad: whether `grad(is_grads_batched=True)` gives what a loop gives.
        check_batched_forward_grad: whether forward mode under `vmap` gives what a loop gives.
        check_forward_ad: check forward mode too.
        check_backward_ad: check backward.
        fast_mode: compare along two random directions only, for functions of many numbers.
        masked: for sparse tensors in PyTorch; here it allows a gradient for zeros to be almost zero.

    Returns True, or False where a check failed without `raise_exception`. Raises ValueError if no input requires grad,
    RuntimeError if elements of one overlap in memory, and what `func` raises; warns of inputs in less than double
    precision. The inputs are written to and restored, also when `func` raises.
    """
    _require(check_forward_ad or check_backward_ad, _ONE_OF.format("check_forward_ad", "check_backward_ad"))
    _require(not check_batched_grad or check_backward_ad, _NEEDS.format("check_batched_grad", "check_backward_ad"))
    _require(
        not check_batched_forward_grad or check_forward_ad,
        _NEEDS.format("check_batched_forward_grad", "check_forward_ad"),
    )
    if state.recorder is not None:
        raise state.recorder.unsupported("gradcheck(): it writes to its inputs behind the tape's back")
    options = Options(
        eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes, check_batched_grad,
        check_batched_forward_grad, check_forward_ad, check_backward_ad, fast_mode, bool(masked),
    )  # fmt: skip
    try:
        _check(func, as_tuple(inputs), options)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Func,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """`gradcheck` of the gradients of `func`, as functions of `inputs` and of `grad_outputs`.

    Args:
        func: as for `gradcheck`.
        inputs: as for `gradcheck`.
        grad_outputs: a cotangent for each output that requires grad; random ones, which require grad, by default.
        eps: as for `gradcheck`, like what is not listed here.
        atol: the same.
        rtol: the same.
        gen_non_contig_grad_outputs: make the random cotangents non-contiguous.
        raise_exception: as for `gradcheck`.
        nondet_tol: the same.
        check_undefined_grad: the same.
        check_grad_dtypes: the same.
        check_batched_grad: the same.
        check_fwd_over_rev: check forward mode through the gradients.
        check_rev_over_rev: check backward through the gradients.
        fast_mode: as for `gradcheck`.
        masked: the same.
    """
    _require(check_fwd_over_rev or check_rev_over_rev, _ONE_OF.format("check_fwd_over_rev", "check_rev_over_rev"))
    for name, asked in (("check_undefined_grad", check_undefined_grad), ("check_batched_grad", check_batched_grad)):
        _require(not asked or check_rev_over_rev, _NEEDS.format(name, "check_rev_over_rev"))
    inputs = as_tuple(inputs)
    if grad_outputs is None:
        outputs = differentiable(func(*inputs))
        grad_outputs = [_random_like(out, gen_non_contig_grad_outputs) for out in outputs]
    grad_outputs = as_tuple(grad_outputs)
    return gradcheck(
        _gradients_of(func, inputs, grad_outputs),
        inputs + grad_outputs,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        masked=masked,
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _random_like(out: Tensor, spread: bool) -> Tensor:
    """A leaf of draws from [-1, 1) (both parts, if complex); with gaps in its memory if `spread`."""
    draws = 2 * rand(2, *out.shape, dtype=float64)._array - 1
    values = (draws[0] + 1j * draws[1] if out.is_complex() else draws[0]).astype(out._array.dtype)
    if spread and values.size > 1:
        values = np.repeat(values, 2, axis=-1)[..., ::2]
    return wrap(np.asarray(values)).requires_grad_()


def _gradients_of(func: Func, inputs: tuple[Any, ...], grad_outputs: tuple[Any, ...]) -> Func:
    """The gradients of `func` as a function of its arguments and of the cotangents of its outputs."""
    wanted = [*map(is_target, inputs), *[g.requires_grad for g in grad_outputs]]

    def gradients(*args: Any) -> tuple[Tensor, ...]:
        # forward mode gives arguments that are detached
        args = tuple([x.requires_grad_() if w else x for x, w in zip(args, wanted, strict=True)])
        given, cotangents = args[: len(inputs)], args[len(inputs) :]
        outputs = differentiable(func(*given))
        targets = [x for x, w in zip(given, wanted, strict=False) if w]
        found = grad(outputs, targets, cotangents, create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradients


# The checks, in their order


def _check(func: Func, inputs: tuple[Any, ...], options: Options) -> None:
    _check_inputs(inputs)
    outputs = as_tuple(func(*inputs))
    wanted = differentiable(outputs)
    if options.check_backward_ad:
        for problem in _backward_problems(func, inputs, outputs, options):
            compare(problem)
    if options.check_forward_ad:
        problems = []
        for problem in _forward_problems(func, inputs, outputs, options):
            compare(problem)
            problems.append(problem)
        if options.check_undefined_grad:
            for problem in problems:
                check_missing_tangents(problem)
    if options.check_batched_forward_grad:
        check_batched_tangents(func, inputs)
    if not options.check_backward_ad:
        return
    targets = list(filter(is_target, inputs))
    if options.check_batched_grad:
        for i, out in enumerate(wanted):
            check_batched(out, targets, i)
    check_multiplied(wanted, targets, options.masked)
    if options.check_undefined_grad:
        check_undefined(func, inputs, targets)


def _check_inputs(inputs: tuple[Any, ...]) -> None:
    """Raise unless one requires grad, and each that does has memory of its own for every element."""
    any_requires_grad = False
    for i, x in enumerate(inputs):
        if not is_target(x):
            continue
        any_requires_grad = True
        if x.dtype not in (float64, complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check "
                "will likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=4,  # the caller of gradcheck
            )
        if x._array.size and any(step == 0 and n > 1 for step, n in zip(x._array.strides, x._array.shape, strict=True)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                "non-overlapping to be able to compute the numerical gradients correctly. You should call .contiguous "
                "on the input before passing it to gradcheck."
            )
    if not any_requires_grad:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )


def _backward_problems(
    func: Func, inputs: tuple[Any, ...], outputs: tuple[Any, ...], options: Options
) -> Iterator[Problem]:
    """The function itself; where it has complex outputs, its imaginary part and its real part."""
    if not any(out.is_complex() for out in outputs):
        yield Problem(func, inputs, tuple(filter(is_inexact, outputs)), options)
        return
    complex_at = frozenset(i for i, out in enumerate(differentiable(outputs)) if out.is_complex())
    for part, take in (("imaginary", imag), ("real", real)):
        taken = _taking(take, func)
        found = tuple(filter(is_inexact, taken(*inputs)))
        yield Problem(taken, inputs, found, options, part=part, complex_at=complex_at)


def _taking(part: Func, func: Func) -> Func:
    """`func` with `part` of its complex outputs."""

    def taken(*inputs: Any) -> tuple[Any, ...]:
        return tuple([part(out) if out.is_complex() else out for out in as_tuple(func(*inputs))])

    return taken


def _forward_problems(
    func: Func, inputs: tuple[Any, ...], outputs: tuple[Any, ...], options: Options
) -> Iterator[Problem]:
    """The function itself; where it has complex inputs, it as a function of their imaginary, and of their real parts.

    The other part stays as it is: a zero might be where `func` is not defined.
    """
    places = [i for i, x in enumerate(inputs) if isinstance(x, TensorBase) and x.is_complex()]  # type: ignore[attr-defined]
    if not places:
        yield Problem(func, inputs, tuple(filter(is_inexact, outputs)), options, forward=True)
        return
    targets = [i for i, x in enumerate(inputs) if is_target(x)]
    complex_at = frozenset(number for number, i in enumerate(targets) if i in places)
    joins: tuple[tuple[str, Func, Func], ...] = (
        ("imaginary", imag, lambda part, whole: whole.real + part * 1j),
        ("real", real, lambda part, whole: part + whole.imag * 1j),
    )
    for part, take, join in joins:
        given = tuple([take(x) if i in places else x for i, x in enumerate(inputs)])
        joined = _joining(join, places, func, inputs)
        found = tuple(filter(is_inexact, joined(*given)))
        yield Problem(joined, given, found, options, forward=True, part=part, complex_at=complex_at)


def _joining(join: Func, places: Sequence[int], func: Func, inputs: tuple[Any, ...]) -> Func:
    """`func` of one part of the inputs at `places`, whose other part is that of `inputs`."""

    def joined(*given: Any) -> tuple[Any, ...]:
        return as_tuple(func(*[join(x, inputs[i]) if i in places else x for i, x in enumerate(given)]))

    return joined
