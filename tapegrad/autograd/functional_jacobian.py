"""`jacobian` and `hessian`: whole matrices of derivatives, by rows, by all rows at once, or by columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ShapeError, UnsupportedError
from ..ops.creation import eye, zeros_like
from ..ops.shaping import expand, narrow, permute, reshape, split, stack
from .functional_checks import (
    CONSTANT_GRADIENT,
    CONSTANT_JACOBIAN,
    NOT_ALLOWED,
    UNUSED,
    Tensors,
    call,
    detached,
    filled,
    fresh,
    gradients,
    strictly,
    tensors_of,
    unpacked,
)
from .grad_mode import enable_grad, is_grad_enabled

__all__ = ["hessian", "jacobian"]

Blocks = Sequence[Tensors]  # of each output, one tensor per input


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of every element of the outputs of `func` with respect to every element of `inputs`.

    Args:
        func: takes tensors, returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        create_graph: record the result's own graph, which leads to those inputs that require grad.
        strict: raise RuntimeError, instead of returning zeros, where an output does not depend on an input.
        vectorize: one batched call instead of one per row.
        strategy: "reverse-mode", or "forward-mode" (needs `vectorize`; takes neither `create_graph` nor `strict`).

    Returns:
        For output i and input j a tensor of shape `output.shape + input.shape` and the dtype of the input (of the
        output in forward mode): `J[i][j]`, without the first index unless `func` returns a tuple, without the second
        unless `inputs` is one.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        return _forward(func, inputs, create_graph, strict, vectorize)
    with enable_grad():
        inputs_tuple, given = tensors_of(inputs, "inputs", "jacobian")
        xs = fresh(given, create_graph)
        outputs_tuple, ys = call(func, xs, "jacobian", strict)
        if vectorize and strict:
            raise _incompatible("strict=True", "vectorized=True", "strict=False", "vectorize=False", yet="")
        if vectorize:
            blocks = _rows_at_once(ys, xs, create_graph)
        else:
            blocks = [_rows(i, y, xs, create_graph, strict) for i, y in enumerate(ys)]
        return _handed_out([detached(block, create_graph) for block in blocks], outputs_tuple, inputs_tuple)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of `func`, which returns one tensor of one element: the jacobian of its gradient.

    Arguments as `jacobian`; `outer_jacobian_strategy` is the strategy of the outer one, the gradient itself is always
    taken in reverse mode. Returns, for inputs i and j, a tensor of shape `inputs[i].shape + inputs[j].shape`:
    `H[i][j]`, or the one that there is unless `inputs` is a tuple. Raises RuntimeError if `func` returns anything
    else; with `strict`, also if its gradient is independent of an input.
    """
    is_tuple, given = tensors_of(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def gradient(*xs: Any) -> Tensors:
        found = jacobian(lambda *args: _scalar(func, args, strict), xs, create_graph=True)
        if strict:
            strictly(found, UNUSED, CONSTANT_GRADIENT)
        return found

    if outer_jacobian_strategy == "forward-mode":
        blocks = _pushed_gradient(gradient, given, create_graph, strict, vectorize)
    else:
        blocks = jacobian(gradient, given, create_graph, strict, vectorize)
    return blocks if is_tuple else blocks[0][0]


def _pushed_gradient(
    gradient: Callable[..., Any], inputs: Tensors, create_graph: bool, strict: bool, vectorize: bool
) -> Blocks:
    """The jacobian of `gradient` by forward mode: through a graph, in which it is differentiated once more."""
    keep_graph = is_grad_enabled()
    with enable_grad():
        xs = tuple([x if x.requires_grad or _is_whole(x) else x.detach().requires_grad_() for x in inputs])
        blocks = jacobian(gradient, xs, create_graph, strict, vectorize, "forward-mode")
    return tuple([detached(block, keep_graph) for block in blocks])


def _is_whole(x: Any) -> bool:
    return not (x.is_floating_point() or x.is_complex())


def _scalar(func: Callable[..., Any], args: Tensors, strict: bool) -> Any:
    """`func` of the arguments as a 0-d tensor. Raises RuntimeError for anything but a tensor of one element."""
    is_tuple, outputs = call(func, args, "hessian", strict)
    if is_tuple:
        raise ShapeError("The function given to hessian should return a single Tensor")
    if outputs[0].numel() != 1:
        raise ShapeError("The Tensor returned by the function given to hessian should contain a single element")
    return outputs[0].squeeze()


def _rows(i: int, output: Any, inputs: Tensors, create_graph: bool, strict: bool) -> Tensors:
    """The derivatives of output number `i` with respect to each input, row by row."""
    unused = f"Output {i} of the user-provided function is independent of input {{i}}.{NOT_ALLOWED}."
    # PyTorch puts the number of the output there, though it speaks of an input.
    constant = CONSTANT_JACOBIAN.format(i=i) if create_graph else None
    rows: list[list[Any]] = [[] for _ in inputs]
    elements = reshape(output, (-1,))
    for j in range(output.numel()):
        found = gradients((elements[j],), inputs, retain_graph=True, create_graph=create_graph)
        if strict:
            strictly(found, unused, constant)
        for row, g in zip(rows, filled(found, inputs), strict=True):
            row.append(g)
    return tuple([reshape(stack(row), output.shape + x.shape) for row, x in zip(rows, inputs, strict=True)])


def _rows_at_once(outputs: Tensors, inputs: Tensors, create_graph: bool) -> list[Tensors]:
    """The derivatives of each output with respect to each input: one batched backward of all unit cotangents."""
    seeds = _unit_vectors(outputs)
    found = gradients(outputs, inputs, seeds, create_graph=create_graph, is_grads_batched=True)
    lengths = [y.numel() for y in outputs]
    columns = []
    for g, x in zip(found, inputs, strict=True):
        if g is None:
            g = expand(zeros_like(x), (sum(lengths), *x.shape))
        pieces = zip(split(g, lengths), outputs, strict=True)
        columns.append([reshape(piece, y.shape + x.shape) for piece, y in pieces])
    return list(zip(*columns, strict=True))


def _unit_vectors(tensors: Tensors) -> Tensors:
    """Of each tensor a batch: all the unit vectors of the space of all elements of `tensors`, this tensor's part."""
    lengths = [x.numel() for x in tensors]
    starts = itertools.accumulate(lengths, initial=0)
    total = sum(lengths)
    return tuple([
        reshape(narrow(eye(total, dtype=x.dtype), 1, start, length), (total, *x.shape))
        for x, start, length in zip(tensors, starts, lengths, strict=False)
    ])  # fmt: skip


def _forward(func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool, vectorize: bool) -> Any:
    """`jacobian` by forward mode: one batched call of `func` on all unit tangents."""
    if create_graph:
        raise _incompatible("create_graph=True", 'strategy="forward-mode"', "create_graph=False")
    if strict:
        raise _incompatible("strict=True", 'strategy="forward-mode"', "strict=False")
    inputs_tuple, xs = tensors_of(inputs, "inputs", "jacobian")
    if not vectorize:
        raise UnsupportedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
            "`vectorize=True`."
        )
    from ..func import vmap

    outputs_tuple: bool = False
    shapes: list[Any] = []

    def pushed(*tangents: Any) -> Tensors:
        nonlocal outputs_tuple
        outputs_tuple, primals, pushed_tangents = _push(func, xs, tangents)
        shapes.extend([y.shape for y in primals])
        return pushed_tangents

    columns = vmap(pushed)(*_unit_vectors(xs))
    lengths = [x.numel() for x in xs]
    blocks = []
    for column, shape in zip(columns, shapes, strict=True):
        pieces = zip(split(column, lengths), xs, strict=True)
        blocks.append(tuple([reshape(_batch_last(piece), shape + x.shape) for piece, x in pieces]))
    return _handed_out(blocks, outputs_tuple, inputs_tuple)


def _push(func: Callable[..., Any], inputs: Tensors, tangents: Tensors) -> tuple[bool, Tensors, Tensors]:
    """Whether `func` returned a tuple, its outputs, and their tangents; zeros where there are none."""
    from . import forward_ad

    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, v) for x, v in zip(inputs, tangents, strict=True)]
        is_tuple, outputs = tensors_of(func(*duals), "outputs", None)
        parts = [forward_ad.unpack_dual(y) for y in outputs]
    primals = tuple([primal for primal, _ in parts])
    return is_tuple, primals, filled([v for _, v in parts], primals)


def _batch_last(x: Any) -> Any:
    return permute(x, (*range(1, x.ndim), 0))


def _incompatible(
    first: str, second: str, one: str, other: str = 'strategy="reverse-mode"', yet: str = " (yet)"
) -> UnsupportedError:
    return UnsupportedError(
        f"torch.autograd.functional.jacobian: `{first}` and `{second}` are not supported together{yet}. Please either "
        f"set `{one}` or `{other}`."
    )


def _handed_out(blocks: Blocks, outputs_tuple: bool, inputs_tuple: bool) -> Any:
    return unpacked(tuple([unpacked(block, inputs_tuple) for block in blocks]), outputs_tuple)
