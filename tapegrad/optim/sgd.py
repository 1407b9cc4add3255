"""SGD: stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import TapegradError
from ..ops.common import inplace
from ..tape import TensorBase
from .optimizer import Group, Optimizer, evaluated, with_grad_mode
from .updates import by_dtype, scalar, wide

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    """`p -= lr * g`, or with momentum `b = momentum * b + (1 - dampening) * g; p -= lr * b`; the first `b` is `g`.

    `weight_decay * p` is added to `g` before; with `maximize`, `g` is negated before that. With `nesterov`, what is
    subtracted is `lr * (g + momentum * b)`. `lr` and `weight_decay` may be tensors of one element. `foreach` and
    `fused` are PyTorch's choices between implementations: here there is one. Raises ValueError for options that make
    no sense.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if isinstance(lr, TensorBase) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        for what, value in (
            ("learning rate", lr), ("momentum value", momentum), ("weight_decay value", weight_decay),
        ):  # fmt: skip
            if value < 0.0:
                raise ValueError(f"Invalid {what}: {value}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
            "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        refuse_contradictions(self.defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in (
                ("nesterov", False), ("maximize", False), ("foreach", None), ("differentiable", False),
                ("fused", False),
            ):  # fmt: skip
                group.setdefault(name, default)

    @with_grad_mode
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient once. Returns the loss, if `closure` computes it again."""
        loss = evaluated(closure)
        for group in self.param_groups:
            lr = scalar(group["lr"])
            for _, params in by_dtype(group["params"]):
                for p in params:
                    p.sub_(wide(self._direction(p, group)) * lr)
        return loss

    def _direction(self, p: Tensor, group: Group) -> Tensor:
        """What `lr` times is subtracted from `p`; the momentum is brought up to date."""
        momentum, weight_decay = group["momentum"], group["weight_decay"]
        grad: Tensor = p.grad  # type: ignore[assignment]
        if group["maximize"]:
            grad = -grad
        if weight_decay != 0:
            grad = grad + wide(p) * weight_decay
        if momentum != 0:
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = grad.detach().to(p.dtype, copy=True)
            else:
                inplace(buffer, _accelerated, grad, momentum, group["dampening"])
            grad = grad + wide(buffer) * momentum if group["nesterov"] else buffer
        return grad


def _accelerated(buffer: Tensor, grad: Tensor, momentum: Any, dampening: Any) -> Tensor:
    """The momentum after another gradient."""
    return wide(buffer) * momentum + (wide(grad) * (1 - dampening) if dampening != 0 else grad)


def refuse_contradictions(options: Group) -> None:
    """Raise RuntimeError for implementations, of which there is one here, that PyTorch cannot combine."""
    if options["fused"] and options["differentiable"]:
        raise TapegradError("`fused` does not support `differentiable`")
    if options["fused"] and options["foreach"]:
        raise TapegradError("`fused` and `foreach` cannot be `True` together.")
