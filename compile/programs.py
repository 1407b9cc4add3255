"""The program of a tape that jit compiles: a JAX function that takes numbers in one array, in front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..tape import Tape
from .lower import lower_flat

__all__ = ["program_of"]


def program_of(tape: Tape, scalars: int, traced: Callable[[], None], differentiable: bool) -> Callable[..., Any]:
    """The lowered tape; numbers come first, as an array in double precision.

    No output is an input's buffer: a tensor keeps it, and may be written to. `traced` is called whenever JAX traces it.
    """
    flat = lower_flat(tape, differentiable=differentiable)

    def program(*inputs: Any) -> tuple[Any, ...]:
        traced()
        with jax.enable_x64(True):
            first = int(scalars > 0)
            arrays = inputs[first : first + len(tape.inputs) - scalars]  # after them comes memory to write to
            arrays = (*arrays, *[lax.index_in_dim(inputs[0], i, keepdims=False) for i in range(scalars)])
            outputs = flat(*arrays)
            given = {id(x) for x in inputs}
            return tuple([jnp.copy(out) if id(out) in given else out for out in outputs])

    program.__name__ = program.__qualname__ = flat.__name__
    return program
