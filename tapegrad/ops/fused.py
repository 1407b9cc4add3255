"""Sums with a product in one call, as PyTorch names them: `addcmul`, `addmm` and their like, `lerp`, `outer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..dtypes import FLOATING, INTEGRAL, dtype
from ..errors import ShapeError, TapegradError
from ..primitives import arithmetic
from ..tape import TensorBase, apply, renamed
from .common import cast_to, dtype_of, require_tensor, result_type
from .elementwise import add, div, mul, sub
from .linalg import matmul
from .reductions import sum
from .shaping import expand, unsqueeze
from .support import cpp_name, overflow, require_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "baddbmm", "ger", "lerp", "outer"]


def _tensors(op: str, **operands: Any) -> None:
    for position, (name, x) in enumerate(operands.items(), 1):
        if not isinstance(x, TensorBase):
            raise TypeError(f"{op}(): argument '{name}' (position {position}) must be Tensor, not {type(x).__name__}")


def _wide(d: dtype) -> dtype:
    """The dtype to compute in: float32 for 16-bit floats, whose result is rounded once."""
    return dtypes.float32 if d.is_floating_point and d.itemsize == 2 else d


def _factor(value: Any, d: dtype) -> Any:
    """`value` as a number to multiply tensors of `d` by. Raises RuntimeError for a complex one, of a real `d`."""
    if isinstance(value, complex) and not d.is_complex:
        if value.imag:
            raise overflow(_wide(d))
        value = value.real
    return int(value) if d.category == INTEGRAL else bool(value) if d is dtypes.bool_ else value


def _scaled(value: complex, x: Tensor) -> Tensor:
    factor = _factor(value, dtype_of(x))
    return x if factor == 1 else mul(x, factor)


# Element-wise


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: complex = 1) -> Tensor:
    """`input + value * tensor1 * tensor2`, broadcast and promoted. Raises for bools."""
    _tensors("addcmul", input=input, tensor1=tensor1, tensor2=tensor2)
    d = result_type(input, tensor1, tensor2)
    require_dtype("addcmul_cpu_out", d, INTEGRAL)
    a, b, c = [cast_to(x, _wide(d)) for x in (input, tensor1, tensor2)]
    return renamed("AddcmulBackward0", cast_to(add(a, mul(_scaled(value, b), c)), d))


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: complex = 1) -> Tensor:
    """`input + value * tensor1 / tensor2`, broadcast and promoted. Raises where the quotient is one of integers."""
    _tensors("addcdiv", input=input, tensor1=tensor1, tensor2=tensor2)
    if result_type(tensor1, tensor2).category <= INTEGRAL:
        raise TapegradError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a "
            "true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value "
            "* torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter implementation: (input + value "
            "* tensor1 / tensor2), for all dtypes."
        )
    d = result_type(input, tensor1, tensor2)
    a, b, c = [cast_to(x, _wide(d)) for x in (input, tensor1, tensor2)]
    return renamed("AddcdivBackward0", cast_to(add(a, div(_scaled(value, b), c)), d))


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`input + weight * (end - input)`, from whichever end is nearer. All of one floating or complex dtype."""
    _tensors("lerp", input=input, end=end)
    d, is_tensor = dtype_of(input), isinstance(weight, TensorBase)
    for name, x in (("end", end), ("weight", weight)):
        if isinstance(x, TensorBase) and dtype_of(x) is not d and (name == "end" or x._array.ndim):
            raise TapegradError(f"expected dtype {cpp_name(d)} for `{name}` but got dtype {cpp_name(dtype_of(x))}")
    require_dtype(f"lerp_kernel_{'tensor' if is_tensor else 'scalar'}", d, FLOATING)
    a, b = cast_to(input, _wide(d)), cast_to(end, _wide(d))
    step = sub(b, a)
    if is_tensor:
        weight = cast_to(weight, _wide(d))
        near = apply(arithmetic.where, (_below_half(weight), add(a, mul(weight, step)), sub(b, mul(step, 1 - weight))))
        return renamed("LerpBackward1", cast_to(near, d))
    weight = _factor(weight, d)
    near = add(a, mul(step, weight)) if abs(weight) < 0.5 else sub(b, mul(step, 1 - weight))
    return renamed("LerpBackward0", cast_to(near, d))


def _below_half(weight: Tensor) -> Tensor:
    from .comparison import lt
    from .elementwise import abs

    return lt(abs(weight), 0.5)


# Of vectors and matrices


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of all pairs of elements of two vectors."""
    for name, x in (("self", require_tensor("outer", input)), ("vec2", require_tensor("outer", vec2, 2))):
        if x._array.ndim != 1:
            raise ShapeError(f"outer: Expected 1-D argument {name}, but got {x._array.ndim}-D")
    return mul(unsqueeze(input, 1), vec2)


def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """`outer` by its former name."""
    return outer(input, vec2)


def _plus(name: str, input: Tensor, product: Tensor, beta: complex, alpha: complex) -> Tensor:
    """`beta * input + alpha * product`; with `beta` 0, `input` is ignored, whatever it holds."""
    d = dtype_of(product)
    wanted = expand(input, product._array.shape)
    term = _scaled(alpha, product)
    if not _factor(beta, d):
        return renamed(name, apply(arithmetic.where, (False, wanted, term)))
    return renamed(name, add(_scaled(beta, wanted), term))


def _one_dtype(input: Tensor, mat1: Tensor, mat2: Tensor) -> None:
    """Raise unless all have one dtype, other than bool."""
    for name, x in (("self", input), ("mat1", mat1)):
        if x._array.dtype != mat2._array.dtype:
            found = f"{dtype_of(x).scalar_type} and {dtype_of(mat2).scalar_type}"
            raise TapegradError(f"{name} and mat2 must have the same dtype, but got {found}")
    require_dtype("addmm_impl_cpu_", dtype_of(input), INTEGRAL)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: complex = 1, alpha: complex = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)`, `input` broadcast; it is ignored if `beta` is 0."""
    _tensors("addmm", input=input, mat1=mat1, mat2=mat2)
    for name, x in (("mat1", mat1), ("mat2", mat2)):
        if x._array.ndim != 2:
            raise ShapeError(f"{name} must be a matrix, got {x._array.ndim}-D tensor")
    m, n = mat1._array.shape, mat2._array.shape
    if m[1] != n[0]:
        raise ShapeError(f"mat1 and mat2 shapes cannot be multiplied ({m[0]}x{m[1]} and {n[0]}x{n[1]})")
    _one_dtype(input, mat1, mat2)
    return _plus("AddmmBackward0", input, matmul(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: complex = 1, alpha: complex = 1) -> Tensor:
    """`beta * input + alpha * (mat @ vec)`, `input` broadcast; it is ignored if `beta` is 0."""
    _tensors("addmv", input=input, mat=mat, vec=vec)
    dims = [x._array.ndim for x in (input, mat, vec)]
    if dims[1:] != [2, 1] or dims[0] > 1:
        raise ShapeError(f"vector + matrix @ vector expected, got {dims[0]}, {dims[1]}, {dims[2]}")
    (rows, columns), length = mat._array.shape, vec._array.shape[0]
    if columns != length or (dims[0] and input._array.shape[0] not in (1, rows)):
        size = input._array.shape[0] if dims[0] else 1
        raise ShapeError(f"size mismatch, got input ({size}), mat ({rows}x{columns}), vec ({length})")
    if not input._array.dtype == mat._array.dtype == vec._array.dtype:
        found = ", ".join(dtype_of(x).scalar_type for x in (input, mat)) + f", and {dtype_of(vec).scalar_type}"
        raise TapegradError(f"addmv input tensors must have the same dtype, but got {found}")
    require_dtype("addmv_impl_cpu", dtype_of(input), INTEGRAL)
    return _plus("AddmvBackward0", input, matmul(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: complex = 1, alpha: complex = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`, promoted, `input` broadcast; it is ignored if `beta` is 0."""
    _tensors("addr", input=input, vec1=vec1, vec2=vec2)
    for name, x in (("vec1", vec1), ("vec2", vec2)):
        if x._array.ndim != 1:
            raise ShapeError(f"addr: Expected 1-D argument {name}, but got {x._array.ndim}-D")
    d = result_type(input, vec1, vec2)
    for name, value in (("beta", beta), ("alpha", alpha)):
        _check_factor(name, value, d)
    a, b, c = [cast_to(x, d) for x in (input, vec1, vec2)]
    return _plus("AddrBackward0", a, outer(b, c), beta, alpha)


def _check_factor(name: str, value: complex, d: dtype) -> None:
    if isinstance(value, bool) and d is not dtypes.bool_:
        raise TapegradError(f"Boolean {name} only supported for Boolean results.")
    if isinstance(value, float) and d.category <= INTEGRAL:
        raise TapegradError(f"For integral input tensors, argument {name} must not be a floating point number.")
    if isinstance(value, complex) and not d.is_complex:
        raise TapegradError(f"For non-complex input tensors, argument {name} must not be a complex number.")


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: complex = 1, alpha: complex = 1) -> Tensor:
    """`beta * input + alpha * (batch1 @ batch2)` of batches of matrices, `input` broadcast; ignored if `beta` is 0."""
    m, n = _batches("baddbmm", input, batch1, batch2)
    expand(input, (*m[:2], n[2]))
    if (n[0], n[1]) != (m[0], m[2]):
        wanted = f"[{m[0]}, {m[2]}] but got: [{n[0]}, {n[1]}]."
        raise ShapeError(f"Expected size for first two dimensions of batch2 tensor to be: {wanted}")
    kinds = [dtype_of(x) for x in (input, batch1, batch2)]
    if kinds.count(kinds[0]) != 3:
        a, b, c = map(cpp_name, kinds)
        raise TapegradError(f"Input dtypes must be the same, got: input {a}, batch1: {b}, batch2: {c}")
    require_dtype("baddbmm", kinds[0], INTEGRAL)
    return _plus("BaddbmmBackward0", input, matmul(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: complex = 1, alpha: complex = 1) -> Tensor:
    """`beta * input + alpha * (batch1 @ batch2).sum(0)` of batches of matrices, `input` broadcast."""
    m, n = _batches("addbmm", input, batch1, batch2)
    expand(input, (m[1], n[2]))
    if m[0] != n[0]:
        raise ShapeError(f"batch1 and batch2 must have same number of batches, got {m[0]} and {n[0]}")
    if m[2] != n[1]:
        raise ShapeError(f"Incompatible matrix sizes for bmm ({m[1]}x{m[2]} and {n[1]}x{n[2]})")
    _one_dtype(input, batch1, batch2)
    product = sum(matmul(batch1, batch2), 0, dtype=dtype_of(batch1))
    return _plus("AddbmmBackward0", input, product, beta, alpha)


def _batches(op: str, input: Tensor, batch1: Tensor, batch2: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of the batches. Raises unless they have three dims."""
    _tensors(op, input=input, batch1=batch1, batch2=batch2)
    for name, x in (("batch1", batch1), ("batch2", batch2)):
        if x._array.ndim != 3:
            raise ShapeError(f"{name} must be a 3D tensor")
    return batch1._array.shape, batch2._array.shape
