"""TensorMethods: the operators and methods that forward to `ops`, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .nn.functional import softplus as _softplus
from .ops import creation, elementwise as e, indexing, linalg, reductions as r, shaping as s
from .ops.common import TensorLike, inplace
from .tape import TensorBase

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["TensorMethods"]


class TensorMethods(TensorBase):
    """What a tensor can compute. Each method is the operation of its name in `tapegrad`, which documents it."""

    __slots__ = ()

    # Operators

    def __add__(self, other: TensorLike) -> Tensor:
        return e.add(self, other)

    __radd__ = __add__

    def __sub__(self, other: TensorLike) -> Tensor:
        return e.sub(self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return e.sub(other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return e.mul(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: TensorLike) -> Tensor:
        return e.div(self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return e.div(other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return e.floor_divide(self, other)

    def __mod__(self, other: TensorLike) -> Tensor:
        return e.remainder(self, other)

    def __pow__(self, other: TensorLike) -> Tensor:
        return e.pow(self, other)

    def __and__(self, other: TensorLike) -> Tensor:
        return e.bitwise_and(self, other)

    def __or__(self, other: TensorLike) -> Tensor:
        return e.bitwise_or(self, other)

    def __xor__(self, other: TensorLike) -> Tensor:
        return e.bitwise_xor(self, other)

    def __eq__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return e.eq(self, other)

    def __ne__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return e.ne(self, other)

    def __lt__(self, other: TensorLike) -> Tensor:
        return e.lt(self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return e.le(self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return e.gt(self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return e.ge(self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return e.floor_divide(other, self)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return e.remainder(other, self)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return e.pow(other, self)

    __rand__ = __and__

    __ror__ = __or__

    __rxor__ = __xor__

    def __matmul__(self, other: Tensor) -> Tensor:
        return linalg.matmul(self, other)

    def __neg__(self) -> Tensor:
        return e.neg(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return e.abs(self)

    def __invert__(self) -> Tensor:
        return e.bitwise_not(self)

    def __getitem__(self, index: Any) -> Tensor:
        return indexing.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        indexing.setitem(self, index, value)

    # In-place operators and methods

    def __iadd__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.add, other)

    def __isub__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.sub, other)

    def __imul__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.mul, other)

    def __itruediv__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.div, other)

    def __ifloordiv__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.floor_divide, other)

    def __imod__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.remainder, other)

    def __ipow__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.pow, other)

    def __iand__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.bitwise_and, other)

    def __ior__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.bitwise_or, other)

    def __ixor__(self, other: TensorLike) -> Tensor:
        return inplace(self, e.bitwise_xor, other)

    def add_(self, other: TensorLike, *, alpha: complex = 1) -> Tensor:
        return inplace(self, e.add, other, alpha=alpha)

    def sub_(self, other: TensorLike, *, alpha: complex = 1) -> Tensor:
        return inplace(self, e.sub, other, alpha=alpha)

    def mul_(self, other: TensorLike) -> Tensor:
        return inplace(self, e.mul, other)

    def pow_(self, other: TensorLike) -> Tensor:
        return inplace(self, e.pow, other)

    def remainder_(self, other: TensorLike) -> Tensor:
        return inplace(self, e.remainder, other)

    def floor_divide_(self, other: TensorLike) -> Tensor:
        return inplace(self, e.floor_divide, other)

    def div_(self, other: TensorLike, *, rounding_mode: str | None = None) -> Tensor:
        return inplace(self, e.div, other, rounding_mode=rounding_mode)

    def clamp_(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        return inplace(self, e.clamp, min, max)

    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        return inplace(self, indexing.masked_fill, mask, value)

    def abs_(self) -> Tensor:
        return inplace(self, e.abs)

    def neg_(self) -> Tensor:
        return inplace(self, e.neg)

    def exp_(self) -> Tensor:
        return inplace(self, e.exp)

    def log_(self) -> Tensor:
        return inplace(self, e.log)

    def sqrt_(self) -> Tensor:
        return inplace(self, e.sqrt)

    def rsqrt_(self) -> Tensor:
        return inplace(self, e.rsqrt)

    def reciprocal_(self) -> Tensor:
        return inplace(self, e.reciprocal)

    def sin_(self) -> Tensor:
        return inplace(self, e.sin)

    def cos_(self) -> Tensor:
        return inplace(self, e.cos)

    def tanh_(self) -> Tensor:
        return inplace(self, e.tanh)

    def sigmoid_(self) -> Tensor:
        return inplace(self, e.sigmoid)

    def relu_(self) -> Tensor:
        return inplace(self, e.relu)

    def floor_(self) -> Tensor:
        return inplace(self, e.floor)

    def ceil_(self) -> Tensor:
        return inplace(self, e.ceil)

    def round_(self) -> Tensor:
        return inplace(self, e.round)

    def trunc_(self) -> Tensor:
        return inplace(self, e.trunc)

    def square_(self) -> Tensor:
        return inplace(self, e.square)

    def copy_(self, source: Any) -> Tensor:
        return indexing.copy_(self, source)

    def fill_(self, value: Any) -> Tensor:
        return indexing.fill_(self, value)

    def zero_(self) -> Tensor:
        return indexing.fill_(self, 0)

    # Element-wise

    def add(self, other: TensorLike, *, alpha: complex = 1) -> Tensor:
        return e.add(self, other, alpha=alpha)

    def sub(self, other: TensorLike, *, alpha: complex = 1) -> Tensor:
        return e.sub(self, other, alpha=alpha)

    def div(self, other: TensorLike, *, rounding_mode: str | None = None) -> Tensor:
        return e.div(self, other, rounding_mode=rounding_mode)

    def mul(self, other: TensorLike) -> Tensor:
        return e.mul(self, other)

    def pow(self, other: TensorLike) -> Tensor:
        return e.pow(self, other)

    def remainder(self, other: TensorLike) -> Tensor:
        return e.remainder(self, other)

    def floor_divide(self, other: TensorLike) -> Tensor:
        return e.floor_divide(self, other)

    def maximum(self, other: TensorLike) -> Tensor:
        return e.maximum(self, other)

    def minimum(self, other: TensorLike) -> Tensor:
        return e.minimum(self, other)

    def atan2(self, other: TensorLike) -> Tensor:
        return e.atan2(self, other)

    def eq(self, other: TensorLike) -> Tensor:
        return e.eq(self, other)

    def ne(self, other: TensorLike) -> Tensor:
        return e.ne(self, other)

    def lt(self, other: TensorLike) -> Tensor:
        return e.lt(self, other)

    def le(self, other: TensorLike) -> Tensor:
        return e.le(self, other)

    def gt(self, other: TensorLike) -> Tensor:
        return e.gt(self, other)

    def ge(self, other: TensorLike) -> Tensor:
        return e.ge(self, other)

    def bitwise_and(self, other: TensorLike) -> Tensor:
        return e.bitwise_and(self, other)

    def bitwise_or(self, other: TensorLike) -> Tensor:
        return e.bitwise_or(self, other)

    def bitwise_xor(self, other: TensorLike) -> Tensor:
        return e.bitwise_xor(self, other)

    def logical_and(self, other: TensorLike) -> Tensor:
        return e.logical_and(self, other)

    def logical_or(self, other: TensorLike) -> Tensor:
        return e.logical_or(self, other)

    def logical_xor(self, other: TensorLike) -> Tensor:
        return e.logical_xor(self, other)

    def clamp(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        return e.clamp(self, min, max)

    clip = clamp

    def where(self, condition: Tensor, other: TensorLike) -> Tensor:
        return e.where(condition, self, other)

    def neg(self) -> Tensor:
        return e.neg(self)

    def abs(self) -> Tensor:
        return e.abs(self)

    def sign(self) -> Tensor:
        return e.sign(self)

    def sgn(self) -> Tensor:
        return e.sgn(self)

    def reciprocal(self) -> Tensor:
        return e.reciprocal(self)

    def square(self) -> Tensor:
        return e.square(self)

    def sqrt(self) -> Tensor:
        return e.sqrt(self)

    def rsqrt(self) -> Tensor:
        return e.rsqrt(self)

    def exp(self) -> Tensor:
        return e.exp(self)

    def exp2(self) -> Tensor:
        return e.exp2(self)

    def expm1(self) -> Tensor:
        return e.expm1(self)

    def log(self) -> Tensor:
        return e.log(self)

    def log2(self) -> Tensor:
        return e.log2(self)

    def log10(self) -> Tensor:
        return e.log10(self)

    def log1p(self) -> Tensor:
        return e.log1p(self)

    def sin(self) -> Tensor:
        return e.sin(self)

    def cos(self) -> Tensor:
        return e.cos(self)

    def tan(self) -> Tensor:
        return e.tan(self)

    def asin(self) -> Tensor:
        return e.asin(self)

    def acos(self) -> Tensor:
        return e.acos(self)

    def atan(self) -> Tensor:
        return e.atan(self)

    def sinh(self) -> Tensor:
        return e.sinh(self)

    def cosh(self) -> Tensor:
        return e.cosh(self)

    def tanh(self) -> Tensor:
        return e.tanh(self)

    def asinh(self) -> Tensor:
        return e.asinh(self)

    def acosh(self) -> Tensor:
        return e.acosh(self)

    def atanh(self) -> Tensor:
        return e.atanh(self)

    def erf(self) -> Tensor:
        return e.erf(self)

    def sigmoid(self) -> Tensor:
        return e.sigmoid(self)

    def relu(self) -> Tensor:
        return e.relu(self)

    def floor(self) -> Tensor:
        return e.floor(self)

    def ceil(self) -> Tensor:
        return e.ceil(self)

    def trunc(self) -> Tensor:
        return e.trunc(self)

    def round(self) -> Tensor:
        return e.round(self)

    def conj(self) -> Tensor:
        return e.conj(self)

    def bitwise_not(self) -> Tensor:
        return e.bitwise_not(self)

    def logical_not(self) -> Tensor:
        return e.logical_not(self)

    def isnan(self) -> Tensor:
        return e.isnan(self)

    def isinf(self) -> Tensor:
        return e.isinf(self)

    def isfinite(self) -> Tensor:
        return e.isfinite(self)

    conjugate = conj
    absolute = abs

    def softplus(self, beta: float = 1, threshold: float = 20) -> Tensor:
        return _softplus(self, beta, threshold)

    # Reductions

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return r.sum(self, dim, keepdim, dtype=dtype)

    def mean(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return r.mean(self, dim, keepdim, dtype=dtype)

    def prod(self, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return r.prod(self, dim, keepdim, dtype=dtype)

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        return r.max(self, dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        return r.min(self, dim, keepdim)

    def amax(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return r.amax(self, dim, keepdim)

    def amin(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return r.amin(self, dim, keepdim)

    def any(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return r.any(self, dim, keepdim)

    def all(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return r.all(self, dim, keepdim)

    def argmax(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return r.argmax(self, dim, keepdim)

    def argmin(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return r.argmin(self, dim, keepdim)

    def var(
        self, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
    ) -> Tensor:
        return r.var(self, dim, unbiased, keepdim, correction=correction)

    def std(
        self, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
    ) -> Tensor:
        return r.std(self, dim, unbiased, keepdim, correction=correction)

    def cumsum(self, dim: int, *, dtype: Any = None) -> Tensor:
        return r.cumsum(self, dim, dtype=dtype)

    def softmax(self, dim: int, *, dtype: Any = None) -> Tensor:
        return r.softmax(self, dim, dtype=dtype)

    def log_softmax(self, dim: int, *, dtype: Any = None) -> Tensor:
        return r.log_softmax(self, dim, dtype=dtype)

    def logsumexp(self, dim: Any, keepdim: bool = False) -> Tensor:
        return r.logsumexp(self, dim, keepdim)

    # Shape

    def reshape(self, *shape: Any) -> Tensor:
        return s.reshape(self, *shape)

    def view(self, *shape: Any) -> Tensor:
        return s.view(self, *shape)

    def permute(self, *dims: Any) -> Tensor:
        return s.permute(self, *dims)

    def expand(self, *shape: Any) -> Tensor:
        return s.expand(self, *shape)

    def flip(self, *dims: Any) -> Tensor:
        return s.flip(self, *dims)

    def reshape_as(self, other: Tensor) -> Tensor:
        return s.reshape(self, other._array.shape)

    def view_as(self, other: Tensor) -> Tensor:
        return s.view(self, other._array.shape)

    def expand_as(self, other: Tensor) -> Tensor:
        return s.expand(self, other._array.shape)

    def broadcast_to(self, size: Any) -> Tensor:
        return s.expand(self, size)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return s.flatten(self, start_dim, end_dim)

    def ravel(self) -> Tensor:
        return s.ravel(self)

    def t(self) -> Tensor:
        return s.t(self)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return s.transpose(self, dim0, dim1)

    swapaxes = transpose

    def movedim(self, source: int, destination: int) -> Tensor:
        return s.movedim(self, source, destination)

    def squeeze(self, dim: Any = None) -> Tensor:
        return s.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return s.unsqueeze(self, dim)

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        return s.narrow(self, dim, start, length)

    def select(self, dim: int, index: int) -> Tensor:
        return s.select(self, dim, index)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return s.unbind(self, dim)

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return s.split(self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return s.chunk(self, chunks, dim)

    # Indexing, products, copies

    def gather(self, dim: int, index: Tensor) -> Tensor:
        return indexing.gather(self, dim, index)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        return indexing.index_select(self, dim, index)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        return indexing.masked_fill(self, mask, value)

    def masked_select(self, mask: Tensor) -> Tensor:
        return indexing.masked_select(self, mask)

    def take(self, index: Tensor) -> Tensor:
        return indexing.take(self, index)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        return indexing.nonzero(self, as_tuple=as_tuple)

    def matmul(self, other: Tensor) -> Tensor:
        return linalg.matmul(self, other)

    def mm(self, other: Tensor) -> Tensor:
        return linalg.mm(self, other)

    def mv(self, other: Tensor) -> Tensor:
        return linalg.mv(self, other)

    def dot(self, other: Tensor) -> Tensor:
        return linalg.dot(self, other)

    def bmm(self, other: Tensor) -> Tensor:
        return linalg.bmm(self, other)

    def clone(self) -> Tensor:
        return creation.clone(self)
