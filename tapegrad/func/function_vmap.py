"""A custom `autograd.Function` inside `vmap`: by its own batching rule, or by one made of its other methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.function import Function, run
from ..errors import InPlaceError, NotDifferentiableError, TapegradError
from ..ops.reductions import sum as sum_
from ..ops.reshaping import movedim
from ..tape import TensorBase, state
from ..tree import Structure, flatten, unflatten
from .batching import spread
from .vmap import mapped, spread_dims, structure_text

if TYPE_CHECKING:
    from .vmap_level import Level

__all__ = ["VmapInfo", "apply_function"]

Dims = list[int | None]

_MORE = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a `Function`'s `vmap` is told: the number of examples, and what to do about random numbers."""

    batch_size: int
    randomness: str


def apply_function(level: Level, function: type[Function], args: tuple[Any, ...]) -> Any:
    """`function` of `args`, some of which are batched in `level`, outside of which this is called.

    The results of all examples are computed from the batches; what stands for them inside gets a node of the function
    where gradients are taken inside.
    """
    _check(function)
    leaves, structure = flatten(args)
    batches = [level.shadow_of(x) for x in leaves]
    dims: Dims = [None if batch is None else 0 for batch in batches]
    whole = [x if batch is None else batch for x, batch in zip(leaves, batches, strict=True)]
    own = _by_own_rule if function.vmap is not Function.vmap else _by_generated_rule
    found, out_dims, rebuilt = own(level, function, whole, dims, structure)
    outs = [
        x if dim is None else level.enter(movedim(x, dim, 0) if dim else x)
        for x, dim in zip(found, out_dims, strict=True)
    ]
    result = unflatten(rebuilt, outs)
    now = state.now
    with now.watched_by(level):
        if now.grad_enabled and any(isinstance(x, TensorBase) and x.requires_grad for x in leaves):  # type: ignore[attr-defined]
            ctx, result = run(function, args, lambda *_: result)
            ctx.forget_forward()
    return result


def _check(function: type[Function]) -> None:
    """Raise RuntimeError for a function that cannot be mapped."""
    name = function.__name__
    own = function.vmap is not Function.vmap
    if function.setup_context is Function.setup_context:
        raise TapegradError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must "
            f"override the setup_context staticmethod. {_MORE}"
        )
    if function.generate_vmap_rule and own:
        raise TapegradError(
            f"You tried to vmap over {name}, but it has both generate_vmap_rule=True and an overridden vmap "
            "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid "
            f"ambiguity. {_MORE}"
        )
    if not function.generate_vmap_rule and not own:
        raise TapegradError(
            f"You tried to vmap over {name}, but it does not have vmap support. Please override and implement the vmap "
            f"staticmethod or set generate_vmap_rule=True. {_MORE}"
        )


def _by_own_rule(
    level: Level, function: type[Function], leaves: list[Any], dims: Dims, structure: Structure
) -> tuple[list[Any], Dims, Structure]:
    """The leaves of the results as its `vmap` gives them, their batch dims, and their structure."""
    info = VmapInfo(level.size, level.randomness)
    returned: Any = function.vmap(info, unflatten(structure, dims), *unflatten(structure, leaves))
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise TapegradError(
            "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure "
            f"compatible with the output. Got a {type(returned)} instead"
        )
    output, out_dims = returned
    found, rebuilt = flatten(output)
    spread_out = spread_dims(out_dims, rebuilt)
    if spread_out is None:
        raise TapegradError(
            "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) tuple. Expected "
            f"out_dims={out_dims} to be compatible with the structure of `output`. out_dims has structure "
            f"{structure_text(flatten(out_dims)[1])} but output has structure {structure_text(rebuilt)}. {_MORE}"
        )
    return (
        found,
        [dim if isinstance(x, TensorBase) else None for x, dim in zip(found, spread_out, strict=True)],
        rebuilt,
    )


# The rule made of the other methods: each is mapped


def _by_generated_rule(
    level: Level, function: type[Function], leaves: list[Any], dims: Dims, structure: Structure
) -> tuple[list[Any], Dims, Structure]:
    """The leaves of the results of a `Function` of batches whose methods map those of `function`; and so on."""
    plan = _Plan(level, function, dims, structure)
    methods = {name: staticmethod(getattr(plan, name)) for name in ("forward", "setup_context", "backward", "jvp")}
    whole: Any = type(f"Vmapped{function.__name__}", (Function,), {"generate_vmap_rule": True, **methods})
    found = whole.apply(*leaves)
    return list(found), plan.out_dims, plan.rebuilt


class _Plan:
    """One application: the methods of the `Function` of batches, and what they have to know of each other.

    That function takes and returns leaves, `dims` and `out_dims` being their batch dims; `structure` and `rebuilt` are
    how `function` has them.
    """

    out_dims: Dims
    rebuilt: Structure
    saved_dims: Dims

    def __init__(self, level: Level, function: type[Function], dims: Dims, structure: Structure) -> None:
        self.size = level.size
        self.randomness = level.randomness
        self.function = function
        self.dims = dims
        self.structure = structure

    def _run(
        self, call: Callable[[list[Any]], Any], leaves: Sequence[Any], dims: Dims
    ) -> tuple[list[Any], Dims, Structure]:
        """The leaves of `call` of examples, their batch dims (0 or None), and their structure."""
        found, structure = mapped(call, leaves, dims, self.size, self.randomness)
        values = [x if batch is None else batch for x, batch in found]
        return values, [None if batch is None else 0 for _, batch in found], structure

    def _reader(self, ctx: Any, saved: list[Any]) -> _Reader:
        needed = unflatten(self.structure, ctx.needs_input_grad)
        return _Reader(ctx, tuple(saved), tuple([any(flatten(part)[0]) for part in needed]))

    def forward(self, *leaves: Any) -> Any:
        """The outputs, from which their batch dims and structure become known."""

        def call(examples: list[Any]) -> Any:
            return self.function.forward(*unflatten(self.structure, examples))

        values, self.out_dims, self.rebuilt = self._run(call, leaves, self.dims)
        return tuple(values)

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        """Keep the batches of what `function` keeps."""

        def call(examples: list[Any]) -> list[Any]:
            given, outs = examples[: len(inputs)], examples[len(inputs) :]
            context = _Context(ctx, outs, output)
            self.function.setup_context(context, unflatten(self.structure, given), unflatten(self.rebuilt, outs))
            return [*context.saved, *context.saved_ahead]

        saved, self.saved_dims, _ = self._run(call, [*inputs, *output], [*self.dims, *self.out_dims])
        count = ctx._saved_count
        ctx.save_for_backward(*saved[:count])
        ctx.save_for_forward(*(saved[count:] or saved[:count]))

    def backward(self, ctx: Any, *grads: Any) -> Any:
        """The gradients of the leaves."""
        own = self.function.backward
        pull = own if own is not Function.backward else self.function.vjp
        saved = ctx.saved_tensors
        grad_dims = [None if g is None else dim for g, dim in zip(grads, self.out_dims, strict=True)]

        def call(examples: list[Any]) -> list[Any]:
            cotangents = unflatten(self.rebuilt, examples[len(saved) :])
            cotangents = cotangents if isinstance(cotangents, tuple) else (cotangents,)
            pulled = pull(self._reader(ctx, examples[: len(saved)]), *cotangents)
            return _one_per_leaf(ctx, pulled, self.structure)

        pulled, pulled_dims, _ = self._run(call, [*saved, *grads], [*self.saved_dims[: len(saved)], *grad_dims])
        return self._fitted(pulled, pulled_dims, self.dims)

    def jvp(self, ctx: Any, *tangents: Any) -> Any:
        """The tangents of the outputs."""
        saved = ctx.saved_for_forward
        saved_dims = self.saved_dims[-len(saved) :] if saved else []
        tangent_dims = [None if t is None else dim for t, dim in zip(tangents, self.dims, strict=True)]

        def call(examples: list[Any]) -> Any:
            reader = self._reader(ctx, examples[: len(saved)])
            return self.function.jvp(reader, *unflatten(self.structure, examples[len(saved) :]))

        pushed, pushed_dims, _ = self._run(call, [*saved, *tangents], [*saved_dims, *tangent_dims])
        return self._fitted(pushed, pushed_dims, self.out_dims)

    def _fitted(self, found: list[Any], have: Dims, wanted: Dims) -> tuple[Any, ...]:
        """Derivatives for all examples: summed where there is one tensor for all of them, else a batch."""
        fitted = []
        for x, dim, wanted_dim in zip(found, have, wanted, strict=True):
            if isinstance(x, TensorBase) and dim != wanted_dim:
                x = spread(x, self.size) if dim is None else sum_(x, 0)  # type: ignore[arg-type]
            fitted.append(x)
        return tuple(fitted)


class _Context:
    """What `setup_context` is given in place of the context of the batches: it takes tensors of one example.

    Attributes that are set go to the context of the batches.
    """

    def __init__(self, ctx: Any, outs: list[Any], batches: tuple[Any, ...]) -> None:
        ctx._saved_count = 0
        self.__dict__.update(ctx=ctx, outs=outs, batches=batches, saved=(), saved_ahead=())

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.ctx, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["ctx"], name)

    def save_for_backward(self, *tensors: Any) -> None:
        self.__dict__["saved"] = tensors
        self.ctx._saved_count = len(tensors)

    def save_for_forward(self, *tensors: Any) -> None:
        self.__dict__["saved_ahead"] = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        marked = {id(t) for t in tensors}
        self.ctx.mark_non_differentiable(*[b for x, b in zip(self.outs, self.batches, strict=True) if id(x) in marked])

    def mark_dirty(self, *_: Any) -> None:
        raise InPlaceError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
            "modified inplace must all be outputs of the Function."
        )


class _Reader:
    """What `backward` and `jvp` are given in place of the context of the batches."""

    def __init__(self, ctx: Any, saved: tuple[Any, ...], needs_input_grad: tuple[bool, ...]) -> None:
        self._ctx = ctx
        self.saved_tensors = self.saved_for_forward = saved
        self.needs_input_grad = needs_input_grad

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_ctx"], name)


def _one_per_leaf(ctx: Any, pulled: Any, structure: Structure) -> list[Any]:
    """The gradient of each leaf of the arguments, None for those in containers, to which none flows."""
    listed = pulled if isinstance(pulled, tuple) else (pulled,)
    if len(listed) != len(structure.parts):
        raise NotDifferentiableError(
            f"function {ctx.name()} returned an incorrect number of gradients (expected {len(structure.parts)}, got "
            f"{len(listed)})"
        )
    found: list[Any] = []
    for part, g in zip(structure.parts, listed, strict=True):
        found += [g] if part.kind is None else [None] * len(flatten(part)[0])
    return found
