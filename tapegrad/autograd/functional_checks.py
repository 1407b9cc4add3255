"""What the functions of `functional` share: their arguments checked, gradients that may be None, strict mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import NotDifferentiableError, ShapeError
from ..ops.creation import zeros_like
from ..ops.shaping import view_as
from ..tape import TensorBase
from .backward import grad

__all__ = [
    "CONSTANT_GRADIENT",
    "CONSTANT_HESSIAN",
    "CONSTANT_JACOBIAN",
    "NOT_ALLOWED",
    "UNUSED",
    "Tensors",
    "call",
    "checked_direction",
    "detached",
    "filled",
    "fresh",
    "gradients",
    "strictly",
    "tensors_of",
    "unpacked",
]

Tensors = tuple[Any, ...]  # a tuple of tensors

# What strict mode says; `i` is the tensor's number. It demands that results depend on the inputs, so that a zero is
# never one that nobody computed.
NOT_ALLOWED = " This is not allowed in strict mode"
UNUSED = "The output of the user-provided function is independent of input {i}." + NOT_ALLOWED + "."
CONSTANT_OUTPUT = (
    "Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
    "differentiable manner from the input when running in strict mode."
)
CONSTANT_JACOBIAN = (
    "The jacobian of the user-provided function is independent of input {i}." + NOT_ALLOWED + " when create_graph=True."
)
CONSTANT_HESSIAN = CONSTANT_JACOBIAN.replace("jacobian", "hessian")
CONSTANT_GRADIENT = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {i} is "
    "independent of the input." + NOT_ALLOWED + ". You should ensure that your function is twice differentiable and "
    "that the jacobian depends on the inputs (this would be violated by a linear function for example)."
)


def tensors_of(given: Any, what: str, caller: str | None) -> tuple[bool, Tensors]:
    """Whether `given` is a tuple, and its tensors. Raises TypeError for anything but tensors in it, naming `what`."""
    is_tuple = isinstance(given, tuple)
    tensors = given if is_tuple else (given,)
    for i, x in enumerate(tensors):
        if not isinstance(x, TensorBase):
            which = f"value at index {i}" if is_tuple else f"given {what}"
            raise TypeError(
                f"The {what} given to {caller} must be either a Tensor or a tuple of Tensors but the {which} has type "
                f"{type(x)}."
            )
    return is_tuple, tensors


def fresh(tensors: Tensors, create_graph: bool, requires_grad: bool = True) -> Tensors:
    """New tensors of the same values: connected to the given ones if `create_graph`, else leaves.

    New ones even then, so that a function which also captures one of its inputs is differentiated with respect to the
    argument alone.
    """
    return tuple([
        view_as(x, x) if create_graph and x.requires_grad else x.detach().requires_grad_(requires_grad) for x in tensors
    ])  # fmt: skip


def checked_direction(v: Any, like: Tensors, is_tuple: bool, caller: str, create_graph: bool, role: str) -> Any:
    """The vector `v` as tensors of the sizes of `like`; None where one tensor of one element makes it superfluous.

    Raises RuntimeError for another number of tensors, other sizes, or a None that leaves the vector open; `role` says
    there what would have to be a single element.
    """
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise ShapeError(f"The vector v can only be None if {role} a single Tensor with a single element.")
        return None
    vs = fresh(tensors_of(v, "v", caller)[1], create_graph, requires_grad=False)
    if len(vs) != len(like):
        raise ShapeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(vs)}."
            if is_tuple
            else "The given v should contain a single Tensor."
        )
    for i, (x, y) in enumerate(zip(vs, like, strict=True)):
        if x.shape != y.shape:
            entry = f"Entry {i} in " if is_tuple else ""
            raise ShapeError(f"{entry}v has invalid size: should be {y.shape} but got {x.shape}.")
    return vs


def call(func: Callable[..., Any], inputs: Tensors, caller: str, strict: bool) -> tuple[bool, Tensors]:
    """`func` of the inputs: whether it returned a tuple, and its tensors."""
    is_tuple, outputs = tensors_of(func(*inputs), "outputs of the user-provided function", caller)
    if strict:
        strictly(outputs, UNUSED, CONSTANT_OUTPUT)
    return is_tuple, outputs


def gradients(outputs: Tensors, inputs: Tensors, cotangents: Tensors | None = None, **options: Any) -> Tensors:
    """As `autograd.grad`, with None for inputs that no gradient reaches; outputs may be None or need no gradient."""
    seeds = (None,) * len(outputs) if cotangents is None else cotangents
    pairs = [(y, g) for y, g in zip(outputs, seeds, strict=True) if y is not None and y.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    return grad([y for y, _ in pairs], inputs, [g for _, g in pairs], allow_unused=True, **options)


def strictly(tensors: Iterable[Any], missing: str, constant: str | None) -> None:
    """Raise RuntimeError `missing` for a None, and `constant`, if given, for a tensor that does not require grad."""
    for i, x in enumerate(tensors):
        message = missing if x is None else None if x.requires_grad else constant
        if message is not None:
            raise NotDifferentiableError(message.format(i=i))


def filled(found: Sequence[Any], like: Tensors) -> Tensors:
    """What was found, and zeros in the places of None."""
    return tuple([zeros_like(x) if g is None else g for g, x in zip(found, like, strict=True)])


def detached(tensors: Tensors, create_graph: bool) -> Tensors:
    """The tensors, without history unless `create_graph`."""
    return tensors if create_graph else tuple([x.detach() for x in tensors])


def unpacked(results: tuple[Any, ...], is_tuple: bool) -> Any:
    """The results as the user gave what they belong to: a tuple, or the one that there is."""
    return results if is_tuple else results[0]
