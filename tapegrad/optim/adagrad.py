"""Adagrad: steps scaled by the sum of the gradient's squares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..dtypes import dtype
from ..ops.creation import full_like
from ..tape import TensorBase
from .adam import counts_to_tensors
from .optimizer import Group, Optimizer, evaluated, with_grad_mode
from .sgd import refuse_contradictions
from .updates import by_dtype, count_, counts, of_each, real, scalar, wide, zero_count

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """`s += g * g; p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)`, in step `t`.

    `s` starts at `initial_accumulator_value`. `weight_decay * p` is added to `g` before; with `maximize`, `g` is
    negated before that. `lr` may be a tensor of one element. `foreach` and `fused` are PyTorch's choices between
    implementations: here there is one. Raises ValueError for options that make no sense.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if isinstance(lr, TensorBase) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        for what, value in (
            ("learning rate", lr), ("lr_decay value", lr_decay), ("weight_decay value", weight_decay),
            ("initial_accumulator_value value", initial_accumulator_value), ("epsilon value", eps),
        ):  # fmt: skip
            if not value >= 0.0:
                raise ValueError(f"Invalid {what}: {value}")
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        refuse_contradictions(self.defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self._state(p)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in (("foreach", None), ("maximize", False), ("differentiable", False), ("fused", None)):
                group.setdefault(name, default)
        counts_to_tensors(self)

    @with_grad_mode
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient once. Returns the loss, if `closure` computes it again."""
        loss = evaluated(closure)
        for group in self.param_groups:
            for d, params in by_dtype(group["params"]):
                states = [self._state(p) for p in params]
                for p, state, size in zip(params, states, _sizes(states, group, d), strict=True):
                    grad = _gradient(p, group)
                    total = real(state["sum"])
                    total += grad * grad
                    real(p).sub_(grad * size / (wide(total).sqrt() + group["eps"]))
        return loss

    def _state(self, p: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        if not state:
            start = self.defaults["initial_accumulator_value"]
            state["step"] = zero_count()
            state["sum"] = full_like(p, complex(start, start) if p._array.dtype.kind == "c" else start)
        return state


def _sizes(states: list[dict[str, Any]], group: Group, d: dtype) -> Sequence[Any]:
    """How much of its scaled gradient is subtracted from each parameter; the counts are brought up to date."""
    lr, lr_decay = scalar(group["lr"]), group["lr_decay"]
    count_(states)
    if lr_decay == 0:
        return [lr] * len(states)
    return of_each(lr / (1 + (counts(states) - 1) * lr_decay), d)


def _gradient(p: Tensor, group: Group) -> Tensor:
    """The gradient whose squares are summed, as real numbers."""
    grad: Tensor = wide(p.grad)  # type: ignore[arg-type]
    if group["maximize"]:
        grad = -grad
    if group["weight_decay"] != 0:
        grad = grad + wide(p) * group["weight_decay"]
    return real(grad)
