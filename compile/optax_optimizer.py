"""from_optax: any optax transformation as an optimiser with PyTorch's interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..autograd.grad_mode import no_grad
from ..errors import UnsupportedError
from ..ops.creation import zeros_like
from ..optim.optimizer import Group, Optimizer, evaluated
from ..tape import TensorBase
from ..tree import flatten, unflatten
from .foreign import from_jax

__all__ = ["OptaxOptimizer", "from_optax"]


def from_optax(transform: Any) -> Callable[[Iterable[Any]], OptaxOptimizer]:
    """The class of optimisers that do what an optax transformation does.

        opt = tg.optim.from_optax(optax.adamw(1e-3))(model.parameters())

    Their state is tensors, in the structure that the transformation made, and `step()` updates them and the
    parameters in place: in a jitted step the transformation is compiled with the rest. There is one parameter group,
    without options: learning rates and their schedules are the transformation's. A parameter without a gradient is
    left as it is; to the transformation its gradient is zero.

    Raises TypeError for what has no `init` and `update`.
    """
    for name in ("init", "update"):
        if not callable(getattr(transform, name, None)):
            raise TypeError(f"from_optax: expected an optax transformation, got {type(transform).__name__}")
    init, update = from_jax(transform.init), from_jax(_updates(transform))

    class FromOptax(OptaxOptimizer):
        _init = staticmethod(init)
        _update = staticmethod(update)

    FromOptax.__name__ = FromOptax.__qualname__ = "OptaxOptimizer"
    return FromOptax


def _updates(transform: Any) -> Callable[..., Any]:
    update = transform.update

    def optax_update(grads: list[Any], state: Any, params: list[Any]) -> Any:
        updates, state = update(grads, state, params)
        return [u.astype(p.dtype) for u, p in zip(updates, params, strict=True)], state

    return optax_update


class OptaxOptimizer(Optimizer):
    """An optimiser that does what an optax transformation does; `from_optax` makes its subclasses.

    `state["optax"]` are the tensors of the transformation's state.
    """

    _init: Callable[..., Any]
    _update: Callable[..., Any]

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, {})
        with no_grad():
            leaves, self._structure = flatten(self._init([p.detach() for p in self._params()]))
        self.state["optax"] = leaves

    def _params(self) -> list[Any]:
        return list(self.param_groups[0]["params"])

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles have."""
        return {**super().__getstate__(), "_structure": self._structure}

    def add_param_group(self, param_group: Group) -> None:
        """Make the one parameter group. Raises UnsupportedError for a second, and for options."""
        if getattr(self, "param_groups", None):
            raise UnsupportedError("from_optax: there is one parameter group; use optax.multi_transform for several")
        options = sorted(set(param_group) - {"params"}) if isinstance(param_group, dict) else []
        if options:
            raise UnsupportedError(f"from_optax: options ({options[0]}) are the transformation's, not the group's")
        super().add_param_group(param_group)

    @property
    def optax_state(self) -> Any:
        """The transformation's state, in its own structure, with tensors for arrays."""
        return unflatten(self._structure, self.state["optax"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once. `closure` computes the loss again, with its gradients, and returns it.

        Raises UnsupportedError if the transformation changes the structure of its state.
        """
        loss = evaluated(closure)
        params = self._params()
        if all(p.grad is None for p in params):
            return loss
        with no_grad():
            grads = [zeros_like(p) if p.grad is None else p.grad for p in params]
            updates, state = self._update(grads, self.optax_state, params)
            leaves, structure = flatten(state)
            if structure != self._structure:
                raise UnsupportedError("from_optax: the transformation changed the structure of its state")
            for p, update in zip(params, updates, strict=True):
                if p.grad is not None:
                    p.add_(update)
            for old, new in zip(self.state["optax"], leaves, strict=True):
                if isinstance(old, TensorBase):
                    old.copy_(new)  # type: ignore[attr-defined]
        return loss
