"""LeNet-5 with rectifiers and maxima on 28 x 28 pixels, trained with momentum.

LeCun et al., Gradient-based learning applied to document recognition, 1998.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .by_hand import Momentum, cross_entropy
from .model import Arrays, scaled

__all__ = ["LeNet"]

RATE, MOMENTUM = 0.01, 0.9


@dataclass(frozen=True)
class LeNet:
    """See `Model`."""

    examples: int = 64
    optimizer = Momentum(RATE, MOMENTUM)

    @property
    def name(self) -> str:
        return f"LeNet on 28 x 28, batch {self.examples}, SGD with momentum"

    def parameters(self) -> Arrays:
        rng = np.random.default_rng(0)
        weights = {
            "kernel1": scaled(rng, 6, 1, 5, 5, fan_in=25),
            "kernel2": scaled(rng, 16, 6, 5, 5, fan_in=150),
            "w3": scaled(rng, 120, 400, fan_in=400),
            "w4": scaled(rng, 84, 120, fan_in=120),
            "w5": scaled(rng, 10, 84, fan_in=84),
        }
        return weights | {f"b{i}": np.zeros(len(w), np.float32) for i, w in enumerate(weights.values(), 1)}

    def batch(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(1)
        images = rng.standard_normal((self.examples, 1, 28, 28)).astype(np.float32)
        return images, rng.integers(0, 10, self.examples)

    def trainer(self, torch: Any, tensors: dict[str, Any]) -> Any:
        F = torch.nn.functional
        t = tensors

        def model(x):
            x = F.max_pool2d(F.relu(F.conv2d(x, t["kernel1"], t["b1"], padding=2)), 2)
            x = F.max_pool2d(F.relu(F.conv2d(x, t["kernel2"], t["b2"])), 2)
            x = x.flatten(1)
            x = F.relu(F.linear(x, t["w3"], t["b3"]))
            x = F.relu(F.linear(x, t["w4"], t["b4"]))
            return F.linear(x, t["w5"], t["b5"])

        optimizer = torch.optim.SGD(tensors.values(), lr=RATE, momentum=MOMENTUM)

        def step(images, labels):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def loss(self, tensors: dict[str, Any], images: Any, labels: Any) -> Any:
        x = pooled(convolved(images, tensors, 1, padding=2), (1, 1, 2, 2))
        x = pooled(convolved(x, tensors, 2, padding=0), (1, 1, 2, 2))
        return dense(x, tensors, labels)

    def others(self) -> Mapping[str, Any]:
        return {"JAX, channels last": channels_last_loss}


def convolved(x: Any, tensors: dict[str, Any], i: int, padding: int, order: str = "NCHW") -> Any:
    kernel, bias = tensors[f"kernel{i}"], tensors[f"b{i}"]
    out = lax.conv_general_dilated(
        x, kernel, (1, 1), [(padding, padding)] * 2, dimension_numbers=(order, "OIHW", order)
    )
    return jax.nn.relu(out + (bias[:, None, None] if order == "NCHW" else bias))


def pooled(x: Any, window: tuple[int, ...]) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def dense(x: Any, tensors: dict[str, Any], labels: Any) -> Any:
    t = tensors
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ t["w3"].T + t["b3"])
    x = jax.nn.relu(x @ t["w4"].T + t["b4"])
    return cross_entropy(x @ t["w5"].T + t["b5"], labels)


def channels_last_loss(tensors: dict[str, Any], images: Any, labels: Any) -> Any:
    x = jnp.transpose(images, (0, 2, 3, 1))
    x = pooled(convolved(x, tensors, 1, padding=2, order="NHWC"), (1, 2, 2, 1))
    x = pooled(convolved(x, tensors, 2, padding=0, order="NHWC"), (1, 2, 2, 1))
    return dense(jnp.transpose(x, (0, 3, 1, 2)), tensors, labels)
