"""Primitives that carry no arithmetic: constants, casts, and what mutation and `backward` become on a tape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Primitive

__all__ = ["backward", "barrier", "cast", "constant", "full", "jax_call", "opaque", "rebind", "stop_gradient"]


def _backward(*operands: Any, roots: int) -> Any:
    raise TypeError("backward is a step of a tape; it is run by the engine or lowered, never called")


def _jax_call(*operands: Any, function: Any) -> Any:
    raise TypeError("jax_call is a step of a tape; it is called by `from_jax`'s operations or lowered, never directly")


def _cast(a: Any, *, dtype: np.dtype[Any]) -> Any:
    if a.dtype.kind == "c" and dtype.kind not in "cb":
        a = a.real
    return a.astype(dtype)


cast = Primitive(
    "cast",
    _cast,
    node_name="ToCopyBackward0",
    a=lambda g, in_dtype: cast(g, dtype=in_dtype),
)
"""`a` with another dtype (a NumPy one); complex to real keeps the real part. Its own adjoint, the dtypes swapped."""

stop_gradient = Primitive("stop_gradient", lambda a: a, node_name="DetachBackward0", a=None)
"""The value without its derivative: what `detach`, `.data` and `no_grad` mean on a tape."""

rebind = Primitive("rebind", lambda old, new: new, old=lambda g: g, new=None)
"""The value of `new`, the derivative of `old`: a tracked tensor whose memory changed behind autograd's back."""

backward = Primitive("backward", _backward)
"""`backward(*roots, *cotangents, *leaves, roots=n)`: the gradients of the leaves. Only ever a step of a tape."""

jax_call = Primitive("jax_call", _jax_call, variadic=_jax_call)
"""A JAX function, `function`, of any operands: the leaves of its result, as many as it has. Only a step of a tape."""

opaque = Primitive("opaque", lambda a, source, *, what: a, a=None, source=None)
"""The value of `a`; its derivative with respect to `source` is code of the user's (`what`), so asking for it raises."""

barrier = Primitive("barrier", lambda a: a, node_name="AliasBackward0", a=lambda g: g)
"""The value of `a`, as if nobody knew that it is: what is computed of it is computed, though it was before."""

constant = Primitive("constant", lambda *, value: value)
"""An array that was known when the tape was recorded."""

full = Primitive("full", lambda *, shape, value, dtype: np.full(shape, value, dtype))
"""An array of one value."""
