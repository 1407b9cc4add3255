"""A recurrent network, written as a loop in Python, trained with Adam.

Hochreiter and Schmidhuber, Long short-term memory, 1997, with the forget gate of Gers et al., 2000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .by_hand import Adam, cross_entropy
from .model import Arrays, scaled

__all__ = ["LSTM"]

CLASSES = 10
RATE = 1e-3


@dataclass(frozen=True)
class LSTM:
    """See `Model`."""

    length: int = 100
    examples: int = 32
    features: int = 32
    hidden: int = 64
    optimizer = Adam(RATE)

    @property
    def name(self) -> str:
        return f"LSTM of {self.length} steps, hidden {self.hidden}, batch {self.examples}, Adam"

    def parameters(self) -> Arrays:
        rng = np.random.default_rng(0)
        return {
            "weight_ih": scaled(rng, 4 * self.hidden, self.features, fan_in=self.features),
            "weight_hh": scaled(rng, 4 * self.hidden, self.hidden, fan_in=self.hidden),
            "bias": np.zeros(4 * self.hidden, np.float32),
            "head": scaled(rng, CLASSES, self.hidden, fan_in=self.hidden),
        }

    def batch(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(1)
        series = rng.standard_normal((self.length, self.examples, self.features)).astype(np.float32)
        return series, rng.integers(0, CLASSES, self.examples)

    def trainer(self, torch: Any, tensors: dict[str, Any]) -> Any:
        F = torch.nn.functional
        hidden, head = self.hidden, tensors["head"]

        class Cell:
            def __init__(self, weight_ih, weight_hh, bias):
                self.weight_ih, self.weight_hh, self.bias = weight_ih, weight_hh, bias

            def __call__(self, x, h, c):
                gates = F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)
                i, f, g, o = gates.chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                return torch.sigmoid(o) * torch.tanh(c), c

        cell = Cell(tensors["weight_ih"], tensors["weight_hh"], tensors["bias"])
        optimizer = torch.optim.Adam(tensors.values(), lr=RATE)

        def step(series, labels):
            optimizer.zero_grad()
            h = c = torch.zeros(series.shape[1], hidden)
            for x in series:
                h, c = cell(x, h, c)
            loss = F.cross_entropy(F.linear(h, head), labels)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def loss(self, tensors: dict[str, Any], series: Any, labels: Any) -> Any:
        h = c = jnp.zeros((series.shape[1], self.hidden))
        for x in series:
            h, c = cell(tensors, x, h, c)
        return cross_entropy(h @ tensors["head"].T, labels)

    def others(self) -> Mapping[str, Any]:
        return {"JAX, lax.scan": self._scanned_loss}

    def _scanned_loss(self, tensors: dict[str, Any], series: Any, labels: Any) -> Any:
        def advance(carry: tuple[Any, Any], x: Any) -> tuple[tuple[Any, Any], None]:
            return cell(tensors, x, *carry), None

        start = jnp.zeros((series.shape[1], self.hidden))
        (h, _), _ = jax.lax.scan(advance, (start, start), series)
        return cross_entropy(h @ tensors["head"].T, labels)


def cell(tensors: dict[str, Any], x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Slices, not `jnp.split`, with whose derivative XLA takes minutes for 100 steps."""
    gates = x @ tensors["weight_ih"].T + tensors["bias"] + h @ tensors["weight_hh"].T
    n = h.shape[1]
    i, f, g, o = gates[:, :n], gates[:, n : 2 * n], gates[:, 2 * n : 3 * n], gates[:, 3 * n :]
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c
