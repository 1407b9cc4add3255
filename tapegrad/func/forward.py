"""Forward mode as functions of functions: `jvp`, `linearize`."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..autograd.forward_ad import current_level, dual, seen_without, tangent_of
from ..autograd.forward_level import ForwardLevel, set_enabled
from ..autograd.lifted import settled
from ..errors import ShapeError, TransformError
from ..ops.common import dtype_of
from ..ops.creation import clone, zeros_like
from ..random import generator_at, get_rng_state
from ..tape import TensorBase, renamed
from ..tree import Structure, flatten, unflatten
from .arguments import Argnums, chosen, replaced, require_tensors, split_aux
from .transform import Transform, mapped_tree
from .vmap import structure_text

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["jvp", "jvp_with_argnums", "linearize"]

Func = Callable[..., Any]

_JVP = "jvp(f, primals, tangents)"


class Forward(Transform, ForwardLevel):
    """A transform that computes tangents."""

    def __enter__(self) -> Self:
        if type(current_level()) is ForwardLevel:
            raise TransformError("Nested forward mode AD is not supported at the moment")
        super().__enter__()
        self._enabled = set_enabled(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_enabled(self._enabled)
        super().__exit__(kind, error, trace)
        self.close()

    def dual(self, primal: Tensor, tangent: Tensor) -> Tensor:
        """A view of `primal` that has `tangent`."""
        out = dual(self, primal, tangent)
        self.admit(out)
        return out

    def unpacked(self, out: Tensor, strict: bool) -> tuple[Tensor, Tensor]:
        """The value and the tangent of a result: zeros, or an error if it must have one."""
        tangent = tangent_of(self, out)
        if tangent is None:
            if strict:
                raise TransformError(
                    "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not "
                    "allowed with strict=True."
                )
            tangent = zeros_like(out)
        return renamed("AliasBackward0", seen_without(self, settled(out))), settled(tangent)


def jvp(func: Func, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """`func(*primals)`, and the product of its jacobian with `tangents`.

    Args:
        func: returns tensors, or containers of them.
        primals: a tuple of tensors, or of containers of them.
        tangents: the same structure, each of the shape of its primal.
        strict: raise RuntimeError for an output that does not depend on `primals`, instead of giving zeros.
        has_aux: whether `func` returns a pair of that and tensors to hand out, which follow as a third result.

    Raises RuntimeError for other arguments, or where `func` returns something else.
    """
    return jvp_with_argnums(func, primals, tangents, None, strict, has_aux)


def jvp_with_argnums(
    func: Func, primals: Any, tangents: Any, argnums: Argnums | None, strict: bool, has_aux: bool
) -> Any:
    """As `jvp`, by the arguments at `argnums` only (None: all)."""
    leaves, given, structure = _paired(primals, tangents, argnums)
    with Forward() as level:
        new = unflatten(structure, [level.dual(p, t) for p, t in zip(leaves, given, strict=True)])
        outputs, aux = split_aux(func(*(new if argnums is None else replaced(primals, argnums, new))), has_aux, _JVP)
        flat, shape = flatten(outputs)
        aux = mapped_tree(lambda t: t, aux) if has_aux else None
        require_tensors(flat, _JVP)
        pairs = [level.unpacked(out, strict) for out in flat]
    parts = [unflatten(shape, [pair[i] for pair in pairs]) for i in (0, 1)]
    return (*parts, aux) if has_aux else tuple(parts)


def _paired(primals: Any, tangents: Any, argnums: Argnums | None) -> tuple[list[Any], list[Any], Structure]:
    """The tensors to differentiate by, their tangents, and the structure of both."""
    if not isinstance(primals, tuple):
        raise TransformError(f"{_JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    leaves, structure = flatten(primals if argnums is None else chosen(primals, argnums))
    given, shape = flatten(tangents)
    if shape != structure:
        raise TransformError(
            f"{_JVP}: Expected primals and tangents to have the same python structure. For example, if primals is a "
            f"tuple of 3 tensors, tangents also must be. Got primals with structure {structure_text(structure)} and "
            f"tangents with structure {structure_text(shape)}"
        )
    for name, listed in (("primals", leaves), ("tangents", given)):
        _require_only_tensors(name, listed)
    return leaves, given, structure


def _require_only_tensors(name: str, listed: list[Any]) -> None:
    if not listed:
        raise TransformError(f"{_JVP}: Expected {name} to contain at least one Tensor.")
    for x in listed:
        if not isinstance(x, TensorBase):
            raise TransformError(f"{_JVP}: Expected {name} to only contain Tensors, got {type(x)}")


def linearize(func: Func, *primals: Any) -> tuple[Any, Func]:
    """`func(*primals)`, and its derivative there: a function from tangents of `primals` to those of the outputs.

    Each call of the derivative is a `jvp`, which runs `func` again on copies of `primals`, with the random numbers of
    the first run. (One graph walked backwards would be less work, but stops at `no_grad` where forward mode does not.)
    Raises RuntimeError for tangents of another structure, shape or dtype.
    """
    leaves, structure = flatten(primals)
    for x in leaves:
        if isinstance(x, TensorBase) and x._array.dtype.kind in "biu":
            raise ValueError(f"Expected primal to be floating point or complex, but got: {dtype_of(x)}")
    kept = [clone(x) if isinstance(x, TensorBase) else x for x in leaves]  # type: ignore[arg-type]
    generator = get_rng_state()

    def push(*tangents: Any) -> Any:
        given, got = flatten(tangents)
        if got != structure:
            raise TransformError(
                f"Expected the tangents {structure_text(got)} to have the same argspec as the primals "
                f"{structure_text(structure)}"
            )
        for i, (t, x) in enumerate(zip(given, kept, strict=True)):
            _require_alike(i, t, x)
        with generator_at(generator):
            return jvp(func, unflatten(structure, kept), tangents)[1]

    return func(*unflatten(structure, kept)), push


def _require_alike(i: int, tangent: Any, primal: Any) -> None:
    """Raise RuntimeError unless a tangent has the shape and dtype of its primal."""
    told = "tangent:{} with {} {} in flattened pytree doesn't match the {} {} of the corresponding primal."
    for name in ("shape", "dtype"):
        got, wanted = getattr(tangent, name), getattr(primal, name)
        if got != wanted:
            raise ShapeError(told.format(i, name, got, name, wanted))
