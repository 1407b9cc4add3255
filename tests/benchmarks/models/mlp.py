"""Hidden layers with rectifiers, trained with Adam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .by_hand import Adam, cross_entropy
from .model import Arrays, scaled

__all__ = ["MLP"]

RATE = 1e-3


@dataclass(frozen=True)
class MLP:
    """See `Model`."""

    sizes: tuple[int, ...] = (784, 512, 512, 10)
    examples: int = 128
    optimizer = Adam(RATE)

    @property
    def name(self) -> str:
        return f"MLP {'-'.join(map(str, self.sizes))}, batch {self.examples}, Adam"

    def parameters(self) -> Arrays:
        rng = np.random.default_rng(0)
        found = {}
        for i, (rows, columns) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            found[f"w{i}"] = scaled(rng, rows, columns)
            found[f"b{i}"] = np.zeros(columns, np.float32)
        return found

    def batch(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(1)
        images = rng.standard_normal((self.examples, self.sizes[0])).astype(np.float32)
        return images, rng.integers(0, self.sizes[-1], self.examples)

    def trainer(self, torch: Any, tensors: dict[str, Any]) -> Any:
        F = torch.nn.functional

        class Linear:
            def __init__(self, weight, bias):
                self.weight, self.bias = weight, bias

            def __call__(self, x):
                return x @ self.weight + self.bias

        class Network:
            def __init__(self, layers):
                self.layers = layers

            def __call__(self, x):
                for layer in self.layers[:-1]:
                    x = F.relu(layer(x))
                return self.layers[-1](x)

        model = Network([Linear(tensors[f"w{i}"], tensors[f"b{i}"]) for i in range(len(self.sizes) - 1)])
        optimizer = torch.optim.Adam(tensors.values(), lr=RATE)

        def step(images, labels):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def loss(self, tensors: dict[str, Any], images: Any, labels: Any) -> Any:
        x, last = images, len(self.sizes) - 2
        for i in range(last):
            x = jax.nn.relu(x @ tensors[f"w{i}"] + tensors[f"b{i}"])
        return cross_entropy(x @ tensors[f"w{last}"] + tensors[f"b{last}"], labels)

    def others(self) -> Mapping[str, Any]:
        return {}
