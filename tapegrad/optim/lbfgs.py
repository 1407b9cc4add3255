"""LBFGS: a quasi-Newton method of limited memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..autograd.grad_mode import enable_grad, no_grad
from ..errors import TapegradError
from ..ops.creation import clone, zeros_like
from ..ops.shaping import cat
from ..tape import TensorBase
from .line_search import Trial, strong_wolfe
from .optimizer import Optimizer
from .updates import real, scalar

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno, over all parameters as one vector.

    Each step makes up to `max_iter` iterations with up to `max_eval` (by default 5/4 of `max_iter`) evaluations of the
    closure. It ends early where no element of the gradient exceeds `tolerance_grad`, or where neither the loss nor a
    parameter changes by more than `tolerance_change`. An iteration moves by `lr` times the direction that the last
    `history_size` gradients suggest or, with `line_search_fn="strong_wolfe"`, looks for a good size from there.

    How it goes on depends on values, which a compiled function guards: it is best run eagerly, on a compiled closure.
    There is one parameter group. Raises ValueError for more, and for a negative `lr`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if isinstance(lr, TensorBase) and lr._array.size != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Iterate. Returns the loss at the start, as `closure` (run in grad mode, several times) returned it."""
        closure = enable_grad()(closure)
        group = self.param_groups[0]
        state = self.state[self._params[0]]  # of all parameters; the first has it so that it loads in its dtype
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        state["func_evals"] += 1
        grad = self._gradient()
        if grad.abs().max() <= group["tolerance_grad"]:
            return first_loss
        history = {key: state.get(key) for key in _HISTORY}
        evaluations, loss = 1, float(first_loss)
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                history.update(d=grad.neg(), old_dirs=[], old_stps=[], ro=[], H_diag=1)
                size = min(1.0, 1.0 / grad.abs().sum()) * scalar(group["lr"])
            else:
                _remember(history, grad, group["history_size"])
                history["d"] = _direction(history, grad, state.setdefault("al", [None] * group["history_size"]))
                size = scalar(group["lr"])
            history.update(prev_flat_grad=grad, prev_loss=loss, t=size)
            slope = grad.dot(history["d"])
            if slope > -group["tolerance_change"]:
                break
            start = Trial(0, loss, grad, slope)
            last = iteration == group["max_iter"]
            reached, count = self._move(closure, start, history["d"], size, evaluations, last=last)
            loss, grad, history["t"] = reached.loss, reached.grad, reached.size
            evaluations += count
            state["func_evals"] += count
            if last or evaluations >= group["max_eval"] or self._settled(reached, start, history["d"]):
                break
        state.update(history)
        return first_loss

    def _move(
        self, closure: Callable[[], Any], start: Trial, d: Tensor, size: Any, evaluations: int, *, last: bool
    ) -> tuple[Trial, int]:
        """Move in the direction `d`. Returns where that led, and how often the closure ran.

        Without a line search, the loss and gradient there are left unknown in the last iteration: nobody asks.
        """
        group = self.param_groups[0]
        if group["line_search_fn"] is None:
            self._add(d, size)
            if last:
                return Trial(size, start.loss, start.grad, start.slope), 0
            return Trial(size, float(closure()), self._gradient(), start.slope), 1
        if group["line_search_fn"] != "strong_wolfe":
            raise TapegradError("only 'strong_wolfe' is supported")
        before = [clone(p) for p in self._params]

        def evaluate(size: Any) -> Trial:
            self._add(d, size)
            loss, grad = float(closure()), self._gradient()
            for p, value in zip(self._params, before, strict=True):
                p.copy_(value)
            return Trial(size, loss, grad, grad.dot(d))

        most = max(group["max_eval"] - evaluations, 0)
        reached, count = strong_wolfe(evaluate, start, size, d.abs().max(), 1e-9, most)
        self._add(d, reached.size)
        return reached, count

    def _settled(self, reached: Trial, start: Trial, d: Tensor) -> bool:
        """Whether the gradient is small, or hardly anything has changed."""
        group = self.param_groups[0]
        return bool(
            reached.grad.abs().max() <= group["tolerance_grad"]
            or (d * reached.size).abs().max() <= group["tolerance_change"]
            or abs(reached.loss - start.loss) < group["tolerance_change"]
        )

    def _gradient(self) -> Tensor:
        """The gradients of all parameters as one vector of real numbers."""
        grads = [zeros_like(p) if p.grad is None else p.grad for p in self._params]
        return cat([real(g).reshape(-1) for g in grads])

    def _add(self, d: Tensor, size: Any) -> None:
        """Add `size * d` to the parameters."""
        start = 0
        for p in map(real, self._params):
            end = start + p.numel()
            p.add_(d[start:end].view_as(p) * size)
            start = end


_HISTORY = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")
"""What the state keeps between steps: the direction and size of the last move; differences of gradients, of parameters,
and one over their products; the scale of the first guess of the inverse Hessian; the gradient and loss before."""


def _remember(history: dict[str, Any], grad: Tensor, most: int) -> None:
    """Take in what the last move told of the curvature, if it is positive."""
    y, s = grad - history["prev_flat_grad"], history["d"] * history["t"]
    product = y.dot(s)
    if not product > 1e-10:
        return
    for key, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / product)):
        if len(history[key]) == most:
            history[key].pop(0)
        history[key].append(value)
    history["H_diag"] = product / y.dot(y)


def _direction(history: dict[str, Any], grad: Tensor, al: list[Any]) -> Tensor:
    """Minus the inverse Hessian, as the history has it, times the gradient: the two-loop recursion. Writes to `al`."""
    pairs = list(zip(history["old_dirs"], history["old_stps"], history["ro"], strict=True))
    d = grad.neg()
    for i, (y, s, rho) in reversed(list(enumerate(pairs))):
        al[i] = s.dot(d) * rho
        d.sub_(y * al[i])
    d = d * history["H_diag"]
    for i, (y, s, rho) in enumerate(pairs):
        d.add_(s * (al[i] - y.dot(d) * rho))
    return d
