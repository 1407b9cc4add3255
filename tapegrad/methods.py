"""TensorMethods: a tensor's methods, each an operation of `ops` with the tensor as its first argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .inplace_methods import InPlaceMethods
from .nn import functional as f
from .operators import TensorOperators
from .ops import comparison as c
from .ops import (
    complex_numbers,
    creation,
    fused,
    indexing,
    linalg,
    new,
    norms,
    sampling,
    scatter_reduce,
    scattering,
    special,
    triangular,
)
from .ops import elementwise as e
from .ops import reductions as r
from .ops import shaping as s
from .ops.common import TensorLike

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["TensorMethods"]


class TensorMethods(TensorOperators, InPlaceMethods):
    """What a tensor can compute. Each method is the operation of its name in `tapegrad`, which documents it."""

    __slots__ = ()

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
    angle = complex_numbers.angle
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
    bernoulli = sampling.bernoulli
    multinomial = sampling.multinomial
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
    norm = norms.norm

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
