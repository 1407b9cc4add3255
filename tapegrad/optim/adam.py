"""Adam and AdamW: steps scaled by moving averages of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..dtypes import dtype
from ..ops.creation import zeros_like
from ..tape import TensorBase
from .optimizer import Group, Optimizer, evaluated, with_grad_mode
from .sgd import refuse_contradictions
from .updates import (
    average_,
    average_square_,
    by_dtype,
    count_,
    counts,
    maximum_,
    of_each,
    real,
    scalar,
    wide,
    zero_count,
)

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """`p -= lr * m / (sqrt(v) + eps)`, of bias-corrected averages `m` of the gradient and `v` of its square.

    `m = betas[0] * m + (1 - betas[0]) * g`, and `v` likewise of `g * g`; both start at 0, and after `t` steps are
    divided by `1 - beta ** t` where they are used. With `amsgrad` the largest `v` so far takes the place of `v`.
    `weight_decay * p` is added to `g` before, or, with `decoupled_weight_decay`, `p` is multiplied by
    `1 - lr * weight_decay` instead. With `maximize`, `g` is negated first.

    `lr` and (both) `betas` may be tensors of one element. The counts `t` are tensors and are not read out, so the step
    is always what PyTorch calls `capturable`; `foreach` and `fused` are PyTorch's choices between implementations:
    here there is one. Raises ValueError for options that make no sense.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        _check(lr, betas, eps, weight_decay, foreach=bool(foreach and not capturable))
        defaults = {
            "lr": lr, "betas": tuple(map(scalar, betas)), "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        refuse_contradictions(self.defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in (
                ("amsgrad", False), ("maximize", False), ("foreach", None), ("capturable", False),
                ("differentiable", False), ("decoupled_weight_decay", False), ("fused", None),
            ):  # fmt: skip
                group.setdefault(name, default)
        counts_to_tensors(self)

    @with_grad_mode
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient once. Returns the loss, if `closure` computes it again."""
        loss = evaluated(closure)
        for group in self.param_groups:
            for d, params in by_dtype(group["params"]):
                self._update(params, group, d)
        return loss

    def _update(self, params: list[Tensor], group: Group, d: dtype) -> None:
        """Update parameters of one group, computing in `d`."""
        states = [self._state(p, group) for p in params]
        lr, (beta1, beta2) = scalar(group["lr"]), group["betas"]
        count_(states)  # computed with in float64: in float32, `1 - beta2 ** t` has few digits at first
        t = counts(states)
        sizes = of_each(lr / (1 - beta1**t), d)
        roots = of_each((1 - beta2**t).sqrt(), d)
        for p, state, size, root in zip(params, states, sizes, roots, strict=True):
            grad = _gradient(p, group, lr)
            m, v = real(state["exp_avg"]), real(state["exp_avg_sq"])
            average_(m, grad, beta1)
            average_square_(v, grad, beta2)
            if group["amsgrad"]:
                largest = real(state["max_exp_avg_sq"])
                maximum_(largest, v)
                v = largest
            if group["differentiable"]:
                m = m.clone()  # which the next step will overwrite
            real(p).sub_(wide(m) * size / (wide(v).sqrt() / root + group["eps"]))

    def _state(self, p: Tensor, group: Group) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        if not state:
            state["step"] = zero_count()
            state["exp_avg"] = zeros_like(p)
            state["exp_avg_sq"] = zeros_like(p)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = zeros_like(p)
        return state


def _gradient(p: Tensor, group: Group, lr: Any) -> Tensor:
    """The gradient that the averages take in, as real numbers; the weight has decayed."""
    weight_decay = group["weight_decay"]
    grad: Tensor = wide(p.grad)  # type: ignore[arg-type]
    if group["maximize"]:
        grad = -grad
    if weight_decay != 0:
        if group["decoupled_weight_decay"]:
            p.mul_(1 - lr * weight_decay)
        else:
            grad = grad + wide(p) * weight_decay
    return real(grad)


def _check(lr: Any, betas: tuple[Any, Any], eps: float, weight_decay: float, *, foreach: bool) -> None:
    """Raise ValueError for options that make no sense, or that PyTorch's `foreach` cannot do."""
    _check_tensor("lr", lr, foreach)
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")
    if not eps >= 0.0:
        raise ValueError(f"Invalid epsilon value: {eps}")
    for index, beta in enumerate(betas[:2]):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
    if not weight_decay >= 0.0:
        raise ValueError(f"Invalid weight_decay value: {weight_decay}")
    if not any(all(isinstance(beta, kind) for beta in betas[:2]) for kind in (float, TensorBase)):
        raise ValueError("betas must be either both floats or both Tensors")
    for index, beta in enumerate(betas[:2]):
        _check_tensor(f"betas[{index}]", beta, foreach)


def _check_tensor(name: str, x: Any, foreach: bool) -> None:
    """The same, for an option that may be a tensor."""
    if isinstance(x, TensorBase):
        if foreach:
            raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")
        if x._array.size != 1:
            raise ValueError(f"Tensor {name} must be 1-element")


def counts_to_tensors(optimizer: Optimizer) -> None:
    """Let counts of steps that are numbers, as in states saved long ago, be tensors."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p)
            if state and not isinstance(state["step"], TensorBase):
                state["step"] = zero_count() + float(state["step"])


class AdamW(Adam):
    """`Adam` with `decoupled_weight_decay`: the decay is no part of the averages."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
