"""Matrix products in all their shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import dtypes
from ..errors import ShapeError, TapegradError
from ..primitives import linalg as p
from ..tape import TensorBase, apply, apply_pair, renamed
from .common import broadcast_shapes, dtype_of, require_tensor
from .shaping import expand, reshape, squeeze, unsqueeze
from .support import require_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["bmm", "dot", "matmul", "mm", "mv"]


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The product of vectors, matrices or batches of them, as `input @ other` in PyTorch and NumPy.

    A 1-d operand is a row on the left and a column on the right, and that dim is dropped from the result; dims before
    the last two broadcast. Raises RuntimeError for 0-d operands, shapes that do not fit or different dtypes.
    """
    if not (isinstance(input, TensorBase) and isinstance(other, TensorBase)):
        require_tensor("matmul", input)
        require_tensor("matmul", other, 2)
    m, n = input._array, other._array
    if m.dtype is n.dtype and m.dtype.num and m.ndim == 2 and n.ndim == 2 and m.shape[1] == n.shape[0]:
        return apply_pair(p.matmul, input, other)  # what is below, for two matrices of numbers
    if m.dtype is not n.dtype and m.dtype != n.dtype:
        raise TapegradError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{dtype_of(input).scalar_type} != {dtype_of(other).scalar_type}"
        )
    if m.dtype.kind == "b":
        require_dtype("matmul", dtypes.bool_, dtypes.INTEGRAL)
    if m.ndim == 2 and n.ndim == 2:
        if m.shape[1] != n.shape[0]:
            raise ShapeError(_mismatch(m.shape, n.shape))
        return apply_pair(p.matmul, input, other)
    if not m.ndim or not n.ndim:
        raise ShapeError(f"both arguments to matmul need to be at least 1D, but they are {m.ndim}D and {n.ndim}D")
    if m.shape[-1] != n.shape[-2 if n.ndim > 1 else 0]:
        raise ShapeError(_mismatch(m.shape, n.shape))
    return _with_vectors(input, other) if 1 in (m.ndim, n.ndim) else _batched(input, other)


def _mismatch(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """PyTorch's words for inner dims that differ."""
    if len(a) == len(b) == 1:
        return (
            f"inconsistent tensor size, expected tensor [{a[0]}] and src [{b[0]}] to have the same number of elements, "
            f"but got {a[0]} and {b[0]} elements respectively"
        )
    if len(b) == 1:
        return f"size mismatch, got input ({a[-2]}), mat ({a[-2]}x{a[-1]}), vec ({b[0]})"
    rows, columns = (1, a[0]) if len(a) == 1 else a[-2:]
    if len(a) > 2 and len(b) > 2:
        return (
            f"Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {columns}] "
            f"but got: [{b[0]}, {b[-2]}]."
        )
    return f"mat1 and mat2 shapes cannot be multiplied ({rows}x{columns} and {b[-2]}x{b[-1]})"


def _with_vectors(a: Tensor, b: Tensor) -> Tensor:
    if a._array.ndim == b._array.ndim == 1:
        return renamed("DotBackward0", reshape(apply(p.matmul, (unsqueeze(a, 0), unsqueeze(b, 1))), ()))
    if b._array.ndim == 1:
        out = squeeze(matmul(a, unsqueeze(b, 1)), -1)
        return renamed("MvBackward0", out) if a._array.ndim == 2 else out
    out = squeeze(matmul(unsqueeze(a, 0), b), -2)
    return renamed("SqueezeBackward4", out) if b._array.ndim == 2 else out


def _batched(a: Tensor, b: Tensor) -> Tensor:
    batch = broadcast_shapes([a._array.shape[:-2], b._array.shape[:-2]])
    if b._array.ndim == 2:  # one matrix for all: a single large product
        *lead, k = a._array.shape
        return reshape(matmul(reshape(a, (-1 if k else a._array.size, k)), b), (*lead, b._array.shape[1]))
    left = a if a._array.shape[:-2] == batch else expand(a, (*batch, *a._array.shape[-2:]))
    right = b if b._array.shape[:-2] == batch else expand(b, (*batch, *b._array.shape[-2:]))
    return renamed("BmmBackward0" if len(batch) == 1 else "UnsafeViewBackward0", apply(p.matmul, (left, right)))


def _exactly(op: str, ndim: tuple[int, int], a: Tensor, b: Tensor) -> Tensor:
    found = (require_tensor(op, a)._array.ndim, require_tensor(op, b, 2)._array.ndim)
    if found != ndim:
        raise ShapeError(f"{op}(): expected {ndim[0]}D and {ndim[1]}D tensors, but got {found[0]}D and {found[1]}D")
    return matmul(a, b)


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    return _exactly("mm", (2, 2), input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    return _exactly("mv", (2, 1), input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of products of two vectors of equal length, neither conjugated."""
    return _exactly("dot", (1, 1), input, tensor)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of equally many matrices."""
    if input._array.ndim == mat2._array.ndim == 3 and input._array.shape[0] != mat2._array.shape[0]:
        raise ShapeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{input._array.shape[0]}, {input._array.shape[2]}] but got: {list(mat2._array.shape[:2])}."
        )
    return _exactly("bmm", (3, 3), input, mat2)
