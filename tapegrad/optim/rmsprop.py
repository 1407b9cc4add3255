"""RMSprop: steps scaled by a moving average of the gradient's square."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..ops.common import inplace
from ..ops.creation import zeros_like
from ..tape import TensorBase
from .adam import counts_to_tensors
from .optimizer import Group, Optimizer, evaluated, with_grad_mode
from .updates import average_, average_square_, by_dtype, real, scalar, wide, zero_count

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """`p -= lr * g / (sqrt(v) + eps)`, where `v = alpha * v + (1 - alpha) * g * g`, at first 0.

    With `centered`, the square of a like average of `g` is subtracted from `v` where it is used: a variance. With
    `momentum`, `b = momentum * b + g / (sqrt(v) + eps); p -= lr * b`. `weight_decay * p` is added to `g` before; with
    `maximize`, `g` is negated before that. `lr` may be a tensor of one element. `foreach` and `capturable` are
    PyTorch's choices between implementations: here there is one. Raises ValueError for options that make no sense.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if isinstance(lr, TensorBase) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        for what, value in (
            ("learning rate", lr), ("epsilon value", eps), ("momentum value", momentum),
            ("weight_decay value", weight_decay), ("alpha value", alpha),
        ):  # fmt: skip
            if not value >= 0.0:
                raise ValueError(f"Invalid {what}: {value}")
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in (
                ("momentum", 0), ("centered", False), ("foreach", None), ("maximize", False),
                ("differentiable", False), ("capturable", False),
            ):  # fmt: skip
                group.setdefault(name, default)
        counts_to_tensors(self)

    @with_grad_mode
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient once. Returns the loss, if `closure` computes it again."""
        loss = evaluated(closure)
        for group in self.param_groups:
            lr = scalar(group["lr"])
            for _, params in by_dtype(group["params"]):
                for p in params:
                    real(p).sub_(self._direction(p, group) * lr)
        return loss

    def _direction(self, p: Tensor, group: Group) -> Tensor:
        """What `lr` times is subtracted from `p`; the averages are brought up to date."""
        state = self._state(p, group)
        state["step"].add_(1)
        grad: Tensor = wide(p.grad)  # type: ignore[arg-type]
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"] != 0:
            grad = grad + wide(p) * group["weight_decay"]
        grad = real(grad)
        square = real(state["square_avg"])
        average_square_(square, grad, group["alpha"])
        variance = wide(square)
        if group["centered"]:
            mean = real(state["grad_avg"])
            average_(mean, grad, group["alpha"])
            mean = wide(mean.clone() if group["differentiable"] else mean)  # which the next step will overwrite
            variance = variance - mean * mean
        scaled = grad / (variance.sqrt() + group["eps"])
        if group["momentum"] > 0:
            buffer = real(state["momentum_buffer"])
            inplace(buffer, _accelerated, scaled, group["momentum"])
            scaled = wide(buffer)
        return scaled

    def _state(self, p: Tensor, group: Group) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        if not state:
            state["step"] = zero_count()
            state["square_avg"] = zeros_like(p)
            if group["momentum"] > 0:
                state["momentum_buffer"] = zeros_like(p)
            if group["centered"]:
                state["grad_avg"] = zeros_like(p)
        return state


def _accelerated(buffer: Tensor, x: Tensor, momentum: Any) -> Tensor:
    return wide(buffer) * momentum + x
