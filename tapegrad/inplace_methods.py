"""InPlaceMethods: the methods whose name ends in `_`, each writing an operation of the tensor over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from .ops import comparison as c
from .ops import elementwise as e
from .ops import (
    fused,
    indexing,
    inplace_only,
    random_inplace,
    resizing,
    scatter_reduce,
    scattering,
    shaping,
    triangular,
    writing,
)
from .ops import special as s
from .ops.common import cast_to, dtype_of, inplace, inplace_exact, unmoved
from .tape import TensorBase, renamed

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["InPlaceMethods"]

P = ParamSpec("P")
Method = Callable[Concatenate["Tensor", P], "Tensor"]


def _named(method: Any, op: Callable[..., Any]) -> Any:
    method.__name__ = method.__qualname__ = f"{op.__name__}_"
    method.__doc__ = f"`{op.__name__}`, written over the tensor, which is returned."
    return method


def _in_place(op: Method[P]) -> Method[P]:
    """The method that overwrites its tensor with `op` of it, cast to its dtype where that loses no category."""

    def method(self: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return inplace(self, op, *args, **kwargs)

    return _named(method, op)


def _exactly(op: Method[P]) -> Method[P]:
    """The method that overwrites its tensor with `op` of it, which must have its dtype and shape."""

    def method(self: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return inplace_exact(self, op, *args, **kwargs)

    return _named(method, op)


def _truth(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that overwrites its tensor with the bools that `op` gives, as ones and zeros; its gradient is 0."""
    name = "".join(word.title() for word in op.__name__.split("_"))

    def ones_and_zeros(t: Tensor, *args: Any) -> Tensor:
        node = f"{name}Backward{int(any(isinstance(x, TensorBase) for x in args))}"
        return renamed(node, unmoved(cast_to(op(t, *args), dtype_of(t)), t))

    def method(self: Tensor, /, *args: Any) -> Tensor:
        return inplace(self, ones_and_zeros, *args)

    return _named(method, op)


class InPlaceMethods(TensorBase):
    """What overwrites a tensor.

    Each method is the operation of its name in `tapegrad`, which documents it, and returns the tensor. Raises
    RuntimeError, before anything is changed, for a leaf that requires grad (or a view of one) in grad mode, for
    elements that share memory, and where the result has another shape or a dtype of a higher category.
    """

    __slots__ = ()

    # Arithmetic

    add_ = _in_place(e.add)
    sub_ = subtract_ = _in_place(e.sub)
    mul_ = multiply_ = _in_place(e.mul)
    div_ = divide_ = true_divide_ = _in_place(e.div)
    floor_divide_ = _in_place(e.floor_divide)
    remainder_ = _in_place(e.remainder)
    fmod_ = _in_place(s.fmod)
    pow_ = _in_place(e.pow)
    float_power_ = inplace_only.float_power_
    ldexp_ = _in_place(s.ldexp)
    addcmul_ = _in_place(fused.addcmul)
    addcdiv_ = _in_place(fused.addcdiv)
    lerp_ = _in_place(fused.lerp)
    addmm_ = _exactly(fused.addmm)
    addmv_ = _exactly(fused.addmv)
    addr_ = _in_place(fused.addr)
    addbmm_ = _exactly(fused.addbmm)
    baddbmm_ = _exactly(fused.baddbmm)

    # Comparison and bits

    eq_ = _truth(c.eq)
    ne_ = not_equal_ = _truth(c.ne)
    lt_ = less_ = _truth(c.lt)
    le_ = less_equal_ = _truth(c.le)
    gt_ = greater_ = _truth(c.gt)
    ge_ = greater_equal_ = _truth(c.ge)
    logical_and_ = _truth(c.logical_and)
    logical_or_ = _truth(c.logical_or)
    logical_xor_ = _truth(c.logical_xor)
    logical_not_ = _truth(c.logical_not)
    bitwise_and_ = _in_place(c.bitwise_and)
    bitwise_or_ = _in_place(c.bitwise_or)
    bitwise_xor_ = _in_place(c.bitwise_xor)
    bitwise_not_ = _in_place(c.bitwise_not)
    bitwise_left_shift_ = _in_place(s.bitwise_left_shift)
    bitwise_right_shift_ = _in_place(s.bitwise_right_shift)

    # Limits and parts

    clamp_ = clip_ = _in_place(e.clamp)
    clamp_min_ = _in_place(s.clamp_min)
    clamp_max_ = _in_place(s.clamp_max)
    abs_ = absolute_ = inplace_only.abs_
    neg_ = negative_ = _in_place(e.neg)
    sign_ = _in_place(e.sign)
    sgn_ = _in_place(e.sgn)
    copysign_ = _in_place(s.copysign)
    heaviside_ = _in_place(s.heaviside)
    relu_ = _in_place(e.relu)
    floor_ = _in_place(e.floor)
    ceil_ = _in_place(e.ceil)
    round_ = _in_place(e.round)
    trunc_ = fix_ = _in_place(e.trunc)
    frac_ = _in_place(s.frac)
    nan_to_num_ = _in_place(s.nan_to_num)
    conj_physical_ = inplace_only.conj_physical_

    # Exponentials, logarithms, angles

    square_ = _in_place(e.square)
    sqrt_ = _in_place(e.sqrt)
    rsqrt_ = _in_place(e.rsqrt)
    reciprocal_ = _in_place(e.reciprocal)
    exp_ = _in_place(e.exp)
    exp2_ = _in_place(e.exp2)
    expm1_ = _in_place(e.expm1)
    log_ = _in_place(e.log)
    log2_ = _in_place(e.log2)
    log10_ = _in_place(e.log10)
    log1p_ = _in_place(e.log1p)
    xlogy_ = _in_place(s.xlogy)
    logit_ = _in_place(s.logit)
    sigmoid_ = _in_place(e.sigmoid)
    erf_ = _in_place(e.erf)
    sin_ = _in_place(e.sin)
    cos_ = _in_place(e.cos)
    tan_ = _in_place(e.tan)
    asin_ = arcsin_ = _in_place(e.asin)
    acos_ = arccos_ = _in_place(e.acos)
    atan_ = arctan_ = _in_place(e.atan)
    atan2_ = arctan2_ = _in_place(e.atan2)
    sinh_ = _in_place(e.sinh)
    cosh_ = _in_place(e.cosh)
    tanh_ = _in_place(e.tanh)
    asinh_ = arcsinh_ = _in_place(e.asinh)
    acosh_ = arccosh_ = _in_place(e.acosh)
    atanh_ = arctanh_ = _in_place(e.atanh)
    sinc_ = _in_place(s.sinc)
    hypot_ = _in_place(s.hypot)
    deg2rad_ = _in_place(s.deg2rad)
    rad2deg_ = _in_place(s.rad2deg)

    # Along a dim, triangles, diagonals

    cumsum_ = inplace_only.cumsum_
    cumprod_ = inplace_only.cumprod_
    tril_ = _exactly(triangular.tril)
    triu_ = _exactly(triangular.triu)
    fill_diagonal_ = triangular.fill_diagonal_

    # By index and mask

    copy_ = writing.copy_
    fill_ = writing.fill_
    zero_ = writing.zero_
    masked_fill_ = _in_place(indexing.masked_fill)
    masked_scatter_ = inplace_only.masked_scatter_
    index_add_ = _exactly(scattering.index_add)
    index_copy_ = _exactly(scattering.index_copy)
    index_fill_ = _exactly(scattering.index_fill)
    index_put_ = _exactly(scattering.index_put)
    index_reduce_ = _exactly(scatter_reduce.index_reduce)
    scatter_ = _exactly(scattering.scatter)
    scatter_add_ = _exactly(scattering.scatter_add)
    scatter_reduce_ = _exactly(scatter_reduce.scatter_reduce)
    put_ = _exactly(scattering.put)

    # Another look at the memory

    t_ = shaping.t_
    transpose_ = shaping.transpose_
    swapaxes_ = shaping.swapaxes_
    swapdims_ = shaping.swapdims_
    squeeze_ = shaping.squeeze_
    unsqueeze_ = shaping.unsqueeze_
    as_strided_ = shaping.as_strided_

    # Other memory, random numbers, functions of Python

    resize_ = resizing.resize_
    resize_as_ = resizing.resize_as_
    set_ = resizing.set_
    normal_ = random_inplace.normal_
    log_normal_ = random_inplace.log_normal_
    uniform_ = random_inplace.uniform_
    bernoulli_ = random_inplace.bernoulli_
    exponential_ = random_inplace.exponential_
    cauchy_ = random_inplace.cauchy_
    geometric_ = random_inplace.geometric_
    random_ = random_inplace.random_
    apply_ = inplace_only.apply_
    map_ = inplace_only.map_
    map2_ = inplace_only.map2_
