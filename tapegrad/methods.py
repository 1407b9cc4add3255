"""TensorMethods: a tensor's operators and methods, each an operation of `ops` with the tensor as its first argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .inplace_methods import InPlaceMethods
from .nn import functional as f
from .ops import comparison as c
from .ops import creation, fused, indexing, linalg, new, scatter_reduce, scattering, special, triangular
from .ops import elementwise as e
from .ops import reductions as r
from .ops import shaping as s
from .ops.common import TensorLike, binary, inplace
from .primitives import arithmetic
from .tape import TensorBase

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["TensorMethods"]

_OPERANDS = (TensorBase, float, int, complex, np.generic)  # what operators take on the other side


def _foreign(op: Callable[..., Tensor], a: Any, b: Any) -> Any:
    """`op` where one side is a NumPy array; for anything else NotImplemented, with which Python looks further."""
    if isinstance(a, np.ndarray):
        return op(creation.tensor(a), b)
    return op(a, creation.tensor(b)) if isinstance(b, np.ndarray) else NotImplemented


def _in_place_operator(op: Callable[..., Tensor]) -> Callable[[Tensor, TensorLike], Tensor]:
    """The augmented assignment that overwrites its tensor with `op` of it and the other side."""

    def operator(self: Tensor, other: TensorLike) -> Tensor:
        return inplace(self, op, other) if isinstance(other, _OPERANDS) else NotImplemented

    return operator


class TensorMethods(InPlaceMethods):
    """What a tensor can compute. Each method is the operation of its name in `tapegrad`, which documents it."""

    __slots__ = ()

    # Operators. Those of every model's inner loop go straight to their primitive.

    def __add__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.add, self, other) if isinstance(other, _OPERANDS) else _foreign(e.add, self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.add, self, other) if isinstance(other, _OPERANDS) else _foreign(e.add, self, other)

    def __sub__(self, other: TensorLike) -> Tensor:
        return e.sub(self, other) if isinstance(other, _OPERANDS) else _foreign(e.sub, self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return e.sub(other, self) if isinstance(other, _OPERANDS) else _foreign(e.sub, other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.mul, self, other) if isinstance(other, _OPERANDS) else _foreign(e.mul, self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return binary(arithmetic.mul, self, other) if isinstance(other, _OPERANDS) else _foreign(e.mul, self, other)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return (
            binary(arithmetic.div, self, other, floating=True)
            if isinstance(other, _OPERANDS)
            else _foreign(e.div, self, other)
        )

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return e.div(other, self) if isinstance(other, _OPERANDS) else _foreign(e.div, other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return e.floor_divide(self, other) if isinstance(other, _OPERANDS) else _foreign(e.floor_divide, self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return e.floor_divide(other, self) if isinstance(other, _OPERANDS) else _foreign(e.floor_divide, other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return e.remainder(self, other) if isinstance(other, _OPERANDS) else _foreign(e.remainder, self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return e.remainder(other, self) if isinstance(other, _OPERANDS) else _foreign(e.remainder, other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return e.pow(self, other) if isinstance(other, _OPERANDS) else _foreign(e.pow, self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return e.pow(other, self) if isinstance(other, _OPERANDS) else _foreign(e.pow, other, self)

    def __matmul__(self, other: Tensor) -> Tensor:
        return _foreign(linalg.matmul, self, other) if not isinstance(other, TensorBase) else linalg.matmul(self, other)  # type: ignore[arg-type]

    def __rmatmul__(self, other: Any) -> Tensor:
        return _foreign(linalg.matmul, other, self)

    def __and__(self, other: TensorLike) -> Tensor:
        return c.bitwise_and(self, other) if isinstance(other, _OPERANDS) else _foreign(c.bitwise_and, self, other)

    def __or__(self, other: TensorLike) -> Tensor:
        return c.bitwise_or(self, other) if isinstance(other, _OPERANDS) else _foreign(c.bitwise_or, self, other)

    def __xor__(self, other: TensorLike) -> Tensor:
        return c.bitwise_xor(self, other) if isinstance(other, _OPERANDS) else _foreign(c.bitwise_xor, self, other)

    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__

    def __eq__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return c.eq(self, other) if isinstance(other, _OPERANDS) else _foreign(c.eq, self, other)

    def __ne__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return c.ne(self, other) if isinstance(other, _OPERANDS) else _foreign(c.ne, self, other)

    def __hash__(self) -> int:
        return id(self)

    def __lt__(self, other: TensorLike) -> Tensor:
        return c.lt(self, other) if isinstance(other, _OPERANDS) else _foreign(c.lt, self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return c.le(self, other) if isinstance(other, _OPERANDS) else _foreign(c.le, self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return c.gt(self, other) if isinstance(other, _OPERANDS) else _foreign(c.gt, self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return c.ge(self, other) if isinstance(other, _OPERANDS) else _foreign(c.ge, self, other)

    def __invert__(self) -> Tensor:
        if self._array.dtype.kind not in "biu":
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return c.bitwise_not(self)  # type: ignore[arg-type]

    def __lshift__(self, other: TensorLike) -> Tensor:
        op = special.bitwise_left_shift
        return op(self, other) if isinstance(other, _OPERANDS) else _foreign(op, self, other)

    def __rshift__(self, other: TensorLike) -> Tensor:
        op = special.bitwise_right_shift
        return op(self, other) if isinstance(other, _OPERANDS) else _foreign(op, self, other)

    __neg__ = e.neg
    __pos__ = e.positive
    __abs__ = e.abs
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items")

    # In-place operators

    __iadd__ = _in_place_operator(e.add)
    __isub__ = _in_place_operator(e.sub)
    __imul__ = _in_place_operator(e.mul)
    __itruediv__ = _in_place_operator(e.div)
    __ifloordiv__ = _in_place_operator(e.floor_divide)
    __imod__ = _in_place_operator(e.remainder)
    __ipow__ = _in_place_operator(e.pow)
    __iand__ = _in_place_operator(c.bitwise_and)
    __ior__ = _in_place_operator(c.bitwise_or)
    __ixor__ = _in_place_operator(c.bitwise_xor)
    __ilshift__ = _in_place_operator(special.bitwise_left_shift)
    __irshift__ = _in_place_operator(special.bitwise_right_shift)

    # Element-wise

    add = e.add
    sub = e.sub
    mul = e.mul
    div = e.div
    pow = e.pow
    remainder = e.remainder
    floor_divide = e.floor_divide
    maximum = e.maximum
    minimum = e.minimum
    atan2 = e.atan2
    eq = c.eq
    ne = c.ne
    lt = c.lt
    le = c.le
    gt = c.gt
    ge = c.ge
    bitwise_and = c.bitwise_and
    bitwise_or = c.bitwise_or
    bitwise_xor = c.bitwise_xor
    bitwise_not = c.bitwise_not
    logical_and = c.logical_and
    logical_or = c.logical_or
    logical_xor = c.logical_xor
    logical_not = c.logical_not
    isnan = c.isnan
    isinf = c.isinf
    isfinite = c.isfinite
    isclose = c.isclose
    allclose = c.allclose
    equal = c.equal
    clamp = e.clamp
    clip = e.clamp
    neg = e.neg
    abs = e.abs
    absolute = e.abs
    sign = e.sign
    sgn = e.sgn
    reciprocal = e.reciprocal
    square = e.square
    sqrt = e.sqrt
    rsqrt = e.rsqrt
    exp = e.exp
    exp2 = e.exp2
    expm1 = e.expm1
    log = e.log
    log2 = e.log2
    log10 = e.log10
    log1p = e.log1p
    sin = e.sin
    cos = e.cos
    tan = e.tan
    asin = e.asin
    acos = e.acos
    atan = e.atan
    sinh = e.sinh
    cosh = e.cosh
    tanh = e.tanh
    asinh = e.asinh
    acosh = e.acosh
    atanh = e.atanh
    erf = e.erf
    sigmoid = e.sigmoid
    relu = e.relu
    softplus = f.softplus
    floor = e.floor
    ceil = e.ceil
    trunc = e.trunc
    round = e.round
    conj = e.conj
    conjugate = e.conj
    conj_physical = special.conj_physical
    subtract = e.sub
    multiply = e.mul
    divide = true_divide = e.div
    negative = e.neg
    fix = e.trunc
    not_equal = c.ne
    less = c.lt
    less_equal = c.le
    greater = c.gt
    greater_equal = c.ge
    arcsin = e.asin
    arccos = e.acos
    arctan = e.atan
    arctan2 = e.atan2
    arcsinh = e.asinh
    arccosh = e.acosh
    arctanh = e.atanh
    bitwise_left_shift = special.bitwise_left_shift
    bitwise_right_shift = special.bitwise_right_shift
    clamp_min = special.clamp_min
    clamp_max = special.clamp_max
    copysign = special.copysign
    deg2rad = special.deg2rad
    rad2deg = special.rad2deg
    float_power = special.float_power
    fmax = special.fmax
    fmin = special.fmin
    fmod = special.fmod
    frac = special.frac
    heaviside = special.heaviside
    hypot = special.hypot
    ldexp = special.ldexp
    logaddexp = special.logaddexp
    logaddexp2 = special.logaddexp2
    logit = special.logit
    nan_to_num = special.nan_to_num
    signbit = special.signbit
    sinc = special.sinc
    xlogy = special.xlogy
    addcmul = fused.addcmul
    addcdiv = fused.addcdiv
    lerp = fused.lerp

    def where(self, condition: Tensor, other: TensorLike) -> Tensor:
        return e.where(condition, self, other)

    # Reductions and scans

    sum = r.sum
    mean = r.mean
    prod = r.prod
    max = r.max
    min = r.min
    amax = r.amax
    amin = r.amin
    any = r.any
    all = r.all
    argmax = r.argmax
    argmin = r.argmin
    var = r.var
    std = r.std
    cumsum = r.cumsum
    cumprod = r.cumprod
    softmax = r.softmax
    log_softmax = r.log_softmax
    logsumexp = r.logsumexp

    # Shape

    reshape = s.reshape
    reshape_as = s.reshape_as
    view = s.view
    view_as = s.view_as
    flatten = s.flatten
    unflatten = s.unflatten
    ravel = s.ravel
    squeeze = s.squeeze
    unsqueeze = s.unsqueeze
    expand = s.expand
    expand_as = s.expand_as
    broadcast_to = s.broadcast_to
    permute = s.permute
    t = s.t
    transpose = s.transpose
    swapaxes = s.swapaxes
    swapdims = s.swapdims
    movedim = s.movedim
    moveaxis = s.moveaxis
    adjoint = s.adjoint

    # Parts, and other looks at memory

    narrow = s.narrow
    narrow_copy = s.narrow_copy
    select = s.select
    unbind = s.unbind

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return s.split(self, split_size, dim)  # type: ignore[arg-type]

    split_with_sizes = s.split_with_sizes
    tensor_split = s.tensor_split
    hsplit = s.hsplit
    vsplit = s.vsplit
    dsplit = s.dsplit
    chunk = s.chunk
    unsafe_split = s.unsafe_split
    unsafe_split_with_sizes = s.unsafe_split_with_sizes
    unsafe_chunk = s.unsafe_chunk
    diagonal = s.diagonal
    unfold = s.unfold
    as_strided = s.as_strided
    select_scatter = s.select_scatter
    slice_scatter = s.slice_scatter
    diagonal_scatter = s.diagonal_scatter
    as_strided_scatter = s.as_strided_scatter

    # Repeated, turned, on a diagonal

    repeat = s.repeat
    repeat_interleave = s.repeat_interleave
    tile = s.tile
    roll = s.roll
    rot90 = s.rot90
    flip = s.flip
    fliplr = s.fliplr
    flipud = s.flipud
    diag = s.diag
    diag_embed = s.diag_embed
    diagflat = s.diagflat

    # Indexing, products, copies

    gather = indexing.gather
    index_select = indexing.index_select
    masked_fill = indexing.masked_fill
    masked_select = indexing.masked_select
    take = indexing.take
    nonzero = indexing.nonzero
    index_add = scattering.index_add
    index_copy = scattering.index_copy
    index_fill = scattering.index_fill
    index_put = scattering.index_put
    index_reduce = scatter_reduce.index_reduce
    masked_scatter = scattering.masked_scatter
    put = scattering.put
    scatter = scattering.scatter
    scatter_add = scattering.scatter_add
    scatter_reduce = scatter_reduce.scatter_reduce
    take_along_dim = scattering.take_along_dim
    matmul = linalg.matmul
    mm = linalg.mm
    mv = linalg.mv
    dot = linalg.dot
    bmm = linalg.bmm
    addmm = fused.addmm
    addmv = fused.addmv
    addr = fused.addr
    addbmm = fused.addbmm
    baddbmm = fused.baddbmm
    outer = fused.outer
    ger = fused.ger
    tril = triangular.tril
    triu = triangular.triu
    clone = creation.clone
    new_empty = new.new_empty
    new_full = new.new_full
    new_ones = new.new_ones
    new_tensor = new.new_tensor
    new_zeros = new.new_zeros
