"""A training step as one writes it in JAX for speed: one jitted function, whose parameters and state are donated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .model import Model

__all__ = ["Adam", "JaxStep", "Momentum", "Sgd", "cross_entropy", "jax_step"]

Tree = Any


class Sgd(NamedTuple):
    """Gradient descent."""

    rate: float

    def init(self, parameters: Tree) -> Tree:
        return ()

    def update(self, parameters: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
        return jax.tree.map(lambda p, g: p - self.rate * g, parameters, grads), state


class Momentum(NamedTuple):
    """Gradient descent with momentum, which starts as the first gradient."""

    rate: float
    momentum: float

    def init(self, parameters: Tree) -> Tree:
        return jax.tree.map(jnp.zeros_like, parameters)

    def update(self, parameters: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
        state = jax.tree.map(lambda b, g: self.momentum * b + g, state, grads)
        return jax.tree.map(lambda p, b: p - self.rate * b, parameters, state), state


class Adam(NamedTuple):
    """Adam, or with `decay` AdamW."""

    rate: float
    decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def init(self, parameters: Tree) -> Tree:
        m, v = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
        return jnp.zeros((), jnp.int32), m, v

    def update(self, parameters: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
        count, m, v = state
        count = count + 1
        m = jax.tree.map(lambda m, g: self.beta1 * m + (1 - self.beta1) * g, m, grads)
        v = jax.tree.map(lambda v, g: self.beta2 * v + (1 - self.beta2) * g * g, v, grads)
        size = self.rate / (1 - self.beta1**count)
        root = jnp.sqrt(1 - self.beta2**count)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p * (1 - self.rate * self.decay) - size * m / (jnp.sqrt(v) / root + self.eps)

        return jax.tree.map(moved, parameters, m, v), (count, m, v)


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean of minus the logarithm of the probability of `labels` (n,), of `logits` (n, classes)."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


class JaxStep:
    """Calls the jitted `function(parameters, state, *batch)` and holds what it returns beside the loss.

    That is new parameters and state, and with `grads` the gradients.
    """

    def __init__(self, function: Any, parameters: Tree, state: Tree) -> None:
        self.function = function
        self.held = parameters, state
        self.grads: Tree = None

    def __call__(self, *batch: Any) -> Any:
        loss, *held, self.grads = self.function(*self.held, *batch)
        self.held = tuple(held)
        return loss


def jax_step(
    model: Model, loss: Callable[..., Any] | None = None, *, grads: bool = False
) -> tuple[JaxStep, tuple[Any, ...]]:
    """The step by hand, and the batch as JAX's arrays.

    `loss` is another way to write the model's. With `grads` the gradients outlive the step, as they do in PyTorch.
    """
    loss_of = loss or model.loss
    optimizer = model.optimizer

    def step(parameters: Tree, state: Tree, *batch: Any) -> Any:
        value, found = jax.value_and_grad(loss_of)(parameters, *batch)
        return value, *optimizer.update(parameters, found, state), found if grads else None

    parameters = {name: jnp.asarray(array) for name, array in model.parameters().items()}
    function = jax.jit(step, donate_argnums=(0, 1))
    return JaxStep(function, parameters, optimizer.init(parameters)), tuple(map(jnp.asarray, model.batch()))
