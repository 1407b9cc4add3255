"""`torch.autograd.functional`: derivatives of functions, as products with vectors and as whole matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ShapeError
from ..ops.creation import zeros_like
from .functional_checks import (
    CONSTANT_GRADIENT,
    CONSTANT_HESSIAN,
    CONSTANT_JACOBIAN,
    NOT_ALLOWED,
    UNUSED,
    Tensors,
    call,
    checked_direction,
    detached,
    filled,
    fresh,
    gradients,
    strictly,
    tensors_of,
    unpacked,
)
from .functional_jacobian import hessian, jacobian
from .grad_mode import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

_SINGLE_INPUT = "the input to the user-provided function is"
_UNUSED_SEED = (
    "The gradient with respect to the input is independent of entry {i} in the grad_outputs when using the double "
    "backward trick to compute forward mode gradients." + NOT_ALLOWED + "."
)
_CONSTANT_GRADIENT = (
    "The gradient with respect to input {i} is independent of the inputs of the user-provided function."
    + NOT_ALLOWED
    + "."
)
_UNUSED_IN_GRADIENT = UNUSED.replace("output", "jacobian")
_UNUSED_GRADIENT_SEED = (
    "The hessian of the user-provided function is independent of entry {i} in the grad_jacobian."
    + NOT_ALLOWED
    + " as it prevents from using the double backward trick to replace forward mode AD."
)


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, and the product of the vector `v` with its jacobian: one backward with `v` as cotangents.

    Args:
        func: takes tensors, returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: one tensor per output, of its size; may be left out if there is one output of one element.
        create_graph: record the results' own graph, which leads to those inputs (and `v`) that require grad.
        strict: raise RuntimeError, instead of returning zeros, where the outputs do not depend on an input.

    Returns:
        The outputs, and one tensor per input, of its shape; tuples where `func` returned, or `inputs` is, a tuple.
    """
    with enable_grad():
        inputs_tuple, given = tensors_of(inputs, "inputs", "vjp")
        xs = fresh(given, create_graph)
        outputs_tuple, ys = call(func, xs, "vjp", strict)
        vs = checked_direction(v, ys, outputs_tuple, "vjp", create_graph, "the user-provided function returns")
        found = gradients(ys, xs, vs, create_graph=create_graph)
        if strict:
            strictly(found, UNUSED, CONSTANT_JACOBIAN if create_graph else None)
        return _handed_out(ys, outputs_tuple, filled(found, xs), inputs_tuple, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, and the product of its jacobian with the vector `v`, by two backwards.

    The gradient of the inputs is linear in the cotangents of the outputs: its own derivative with respect to those,
    weighted by `v`, is the product (https://j-towns.github.io/2017/06/12/A-new-trick.html). `autograd.forward_ad` and
    `func.jvp` need one pass.

    Arguments as `vjp`, with `v` one tensor per input. Returns the outputs, and one tensor per output, of its shape.
    """
    with enable_grad():
        inputs_tuple, given = tensors_of(inputs, "inputs", "jvp")
        xs = fresh(given, create_graph)
        vs = checked_direction(v, xs, inputs_tuple, "jvp", create_graph, _SINGLE_INPUT)
        outputs_tuple, ys = call(func, xs, "jvp", strict)
        seeds = tuple([zeros_like(y, requires_grad=True) for y in ys])  # of any value that is finite
        pulled = gradients(ys, xs, seeds, create_graph=True)
        if strict:
            strictly(pulled, UNUSED, _CONSTANT_GRADIENT)
        found = gradients(pulled, seeds, vs, create_graph=create_graph)
        if strict:
            strictly(found, _UNUSED_SEED, CONSTANT_JACOBIAN if create_graph else None)
        return _handed_out(ys, outputs_tuple, filled(found, ys), outputs_tuple, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, and the product of the vector `v` with its hessian: a backward through the gradient.

    Arguments as `vjp`, with `v` one tensor per input; `func` returns one tensor of one element, else RuntimeError is
    raised. With `strict`, also where the gradient is independent of an input. Returns the output, and one tensor per
    input, of its shape.
    """
    with enable_grad():
        at = _gradient(func, inputs, v, create_graph, strict, "vhp")
        found = gradients(at.gradient, at.inputs, at.v, create_graph=create_graph)
        if strict:
            strictly(found, _UNUSED_IN_GRADIENT, CONSTANT_HESSIAN if create_graph else None)
        return _handed_out(at.outputs, False, filled(found, at.inputs), at.is_tuple, create_graph)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, and the product of its hessian with the vector `v`: `jvp` of the gradient, by three backwards.

    The hessian of a twice continuously differentiable function is symmetric: `vhp` gives the same then, and costs less.
    Arguments and results as `vhp`.
    """
    with enable_grad():
        at = _gradient(func, inputs, v, create_graph, strict, "hvp")
        seeds = tuple([zeros_like(x, requires_grad=True) for x in at.inputs])
        pulled = gradients(at.gradient, at.inputs, seeds, create_graph=True)
        found = gradients(pulled, seeds, at.v, create_graph=create_graph)
        if strict:
            strictly(found, _UNUSED_GRADIENT_SEED, CONSTANT_HESSIAN if create_graph else None)
        return _handed_out(at.outputs, False, filled(found, at.inputs), at.is_tuple, create_graph)


class _Gradient(NamedTuple):
    """A scalar function's gradient, with a graph of its own, and what it was made from."""

    is_tuple: bool  # the inputs
    inputs: Tensors
    v: Tensors | None
    outputs: Tensors
    gradient: Tensors


def _gradient(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, caller: str
) -> _Gradient:
    is_tuple, given = tensors_of(inputs, "inputs", caller)
    xs = fresh(given, create_graph)
    vs = checked_direction(v, xs, is_tuple, caller, create_graph, _SINGLE_INPUT)
    outputs_tuple, ys = call(func, xs, caller, strict)
    if outputs_tuple:
        raise ShapeError(f"The function given to {caller} should return a single Tensor")
    if ys[0].numel() != 1:
        raise ShapeError(f"The Tensor returned by the function given to {caller} should contain a single element")
    gradient = gradients(ys, xs, create_graph=True)
    if strict:
        strictly(gradient, UNUSED, CONSTANT_GRADIENT)
    return _Gradient(is_tuple, xs, vs, ys, gradient)


def _handed_out(
    outputs: Tensors, outputs_tuple: bool, products: Tensors, products_tuple: bool, create_graph: bool
) -> tuple[Any, Any]:
    return (
        unpacked(detached(outputs, create_graph), outputs_tuple),
        unpacked(detached(products, create_graph), products_tuple),
    )
