"""`out=`: functions that write their result into a tensor they are given, as PyTorch's do.

`with_out` makes the function that users call from the operation. It computes as the operation does and then writes, so
that an `out` which is also an operand is read before it is written; without `out` it costs one call.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar, overload

from .. import dtypes
from ..errors import NotDifferentiableError, TapegradError
from ..tape import TensorBase, check_writable, history, state, write
from .common import cast_to, dtype_of
from .resizing import change_shape, require_resizable
from .support import cpp_name, spelled, unspelled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "WithOut", "bool_or_byte", "castable", "composed", "exact", "expected", "float_result", "floating", "input_and_out",
    "joined", "like_input", "nonzero_type", "of_addmm", "of_addmv", "of_dot", "one_dtype", "only_bool", "same",
    "self_and_out", "self_and_result", "with_out",
]  # fmt: skip

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

Check = Callable[[str, "Tensor", "Tensor"], None]
"""Raises, in PyTorch's words, unless a result may go into an `out` of another dtype."""


class WithOut(Protocol[P, R_co]):
    """A function that also takes `out`."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, *args: Any, out: Any, **kwargs: Any) -> R_co: ...


def with_out(
    function: Callable[P, R_co], check: Check | None = None, *, name: str | None = None, in_dtype: bool = False
) -> WithOut[P, R_co]:
    """`function` with a keyword `out`: the tensor (of several results, the tuple of them) to write into, and return.

    Raises, before anything is written: TypeError unless it is a tensor; RuntimeError if it or an operand requires grad
    in grad mode, if its dtype is not one that `check` (`castable`) allows, or if its elements share memory. An `out` of
    another shape is resized, with a warning if it had elements. `name` is what PyTorch's error calls the function;
    with `in_dtype` it computes in the dtype of `out`.
    """
    plain: Callable[..., Any] = unspelled(function)
    named: Callable[..., Any] = function if plain is not function else spelled(function)
    target = _Target(name or plain.__name__, check or castable, in_dtype, _makes(plain))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return plain(*args)
        out = kwargs.pop("out", None)
        return named(*args, **kwargs) if out is None else _into(out, target, named, args, kwargs)

    call.__module__ = "tapegrad"  # where it is found by its name, so that it can be pickled
    return call


class _Target(NamedTuple):
    """How a function writes: what it is called, which dtypes `out` may have, and the rest of `with_out`."""

    op: str
    check: Check
    in_dtype: bool
    quietly: bool


def _into(out: Any, target: _Target, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of `function`, written into `out` (into each of several)."""
    outs = out if isinstance(out, tuple | list) else (out,)
    _check_outs(target.op, outs)
    if target.in_dtype:
        _choose_dtype(kwargs, dtype_of(out))
    result = function(*args, **kwargs)
    results = (result,) if isinstance(result, TensorBase) else result
    _check_results(target, results, outs)
    for x, o in zip(results, outs, strict=True):
        if x._array.shape != o._array.shape:
            if o._array.size and not target.quietly:
                _warn_of_resize(o, x)
            change_shape(o, x._array.shape)
        write(o, cast_to(x, dtype_of(o)))
    if isinstance(out, TensorBase):
        return out
    return type(result)(*outs) if hasattr(result, "_fields") else None  # for a list of parts nothing, as in PyTorch


def _makes(function: Any) -> bool:
    """Whether it makes tensors of numbers: such functions resize without a word."""
    return function.__module__.endswith((".creation", ".random", ".sampling")) and function.__name__ != "arange"


def _check_outs(op: str, outs: Any) -> None:
    for out in outs:
        if not isinstance(out, TensorBase):
            raise TypeError(f"{op}(): argument 'out' must be Tensor, not {type(out).__name__}")
        history(out)
        if out._requires_grad and state.grad_enabled:
            raise _no_gradient(op)


def _check_results(target: _Target, results: Any, outs: Any) -> None:
    """Raise unless each result may go into its tensor."""
    if len(results) != len(outs):
        if hasattr(results, "_fields"):
            raise TypeError(
                f"{target.op}() received an invalid combination of arguments: out must be a pair of tensors"
            )
        raise TapegradError(f"{target.op}() expected an out= argument of size {len(results)}, got size {len(outs)}")
    check = exact if len(results) > 1 else target.check
    for x, o in zip(results, outs, strict=True):
        if x._requires_grad:
            raise _no_gradient(target.op)
        if x._array.dtype != o._array.dtype:
            check(target.op, x, o)
        check_writable(o)
        if x._array.shape != o._array.shape:
            require_resizable(o)


def _no_gradient(op: str) -> NotDifferentiableError:
    return NotDifferentiableError(
        f"{op}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
        "requires grad."
    )


def _choose_dtype(kwargs: dict[str, Any], d: dtypes.dtype) -> None:
    given = kwargs.get("dtype")
    if given is not None and dtypes.to_dtype(given) is not d:
        wanted = dtypes.to_dtype(given).scalar_type
        raise TapegradError(f"dtype {wanted} does not match dtype of out parameter ({d.scalar_type})")
    kwargs["dtype"] = d


def _warn_of_resize(out: Tensor, result: Tensor) -> None:
    warnings.warn(
        f"An output with one or more elements was resized since it had shape {list(out._array.shape)}, which does not "
        f"match the required output shape {list(result._array.shape)}. This behavior is deprecated, and in a future "
        "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse an out "
        "tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
        UserWarning,
        stacklevel=4,
    )


# Which dtypes an `out` may have, where it is not that of the result


def _kinds(result: Tensor, out: Tensor) -> tuple[str, str]:
    return dtype_of(result).scalar_type, dtype_of(out).scalar_type


def castable(_op: str, result: Tensor, out: Tensor) -> None:
    """One of the same category or a higher one."""
    if not dtypes.can_cast(dtype_of(result), dtype_of(out)):
        have, want = _kinds(result, out)
        raise TapegradError(f"result type {have} can't be cast to the desired output type {want}")


def joined(_op: str, result: Tensor, out: Tensor) -> None:
    """The same, of tensors that are joined."""
    if not dtypes.can_cast(dtype_of(result), dtype_of(out)):
        want = dtype_of(out).scalar_type
        raise TypeError(f"torch.cat(): input types can't be cast to the desired output type {want}")


def same(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"Found dtype {want} but expected {have}")


def exact(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = cpp_name(dtype_of(result)), cpp_name(dtype_of(out))
    raise TapegradError(f"Expected out tensor to have dtype {have}, but got {want} instead")


def input_and_out(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(
        f"Expected the dtype for input and out to match, but got {have} for input's dtype and {want} for out's dtype."
    )


def self_and_result(op: str, _result: Tensor, _out: Tensor) -> None:
    """None."""
    raise TapegradError(f"{op}(): self and result must have the same scalar type")


def self_and_out(op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(
        f"{op}(): self and out expected to have the same dtype, but got self.dtype = {have} and out.dtype = {want}"
    )


def composed(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"Expected object of scalar type {have} but got scalar type {want} for argument 'out'")


def only_bool(op: str, _result: Tensor, _out: Tensor) -> None:
    """None."""
    raise TapegradError(f"{op} does not support non-boolean outputs.")


def bool_or_byte(op: str, _result: Tensor, out: Tensor) -> None:
    """uint8, PyTorch's former bool."""
    if dtype_of(out) is not dtypes.uint8:
        raise TapegradError(f"{op} only supports bool tensor for result, got: {dtype_of(out).scalar_type}")


def float_result(op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"the output given to {op} has dtype {want} but the operation's result requires dtype {have}")


def one_dtype(op: str, _result: Tensor, out: Tensor) -> None:
    """None."""
    what = "complex tensors" if dtype_of(out).is_complex else "tensors with different dtypes"
    raise TapegradError(f"{op} is not yet implemented for {what}.")


def like_input(op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"{op}: dtype of out: {want} should be same as input: {have}")


def expected(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"Expected out type to be {have} but got {want}")


def floating(op: str, _result: Tensor, out: Tensor) -> None:
    """A floating or complex one."""
    if dtype_of(out).category < dtypes.FLOATING:
        want = dtype_of(out).scalar_type
        raise TapegradError(f"{op}(): Expected floating point type for result tensor, but got: {want}")


def of_addmv(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"addmv input tensors must have the same dtype, but got {want}, {have}, and {have}")


def of_addmm(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"self and mat2 must have the same dtype, but got {want} and {have}")


def of_dot(_op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"result dtype {want} does not match input dtype {have}")


def nonzero_type(op: str, result: Tensor, out: Tensor) -> None:
    """None."""
    have, want = _kinds(result, out)
    raise TapegradError(f"{op}: Expected out tensor to have scalar type {have} but got scalar type{want}")
