"""Steps so small that dispatch is all there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .by_hand import Sgd
from .model import Arrays

__all__ = ["Tiny"]

RATE = 0.01


@dataclass(frozen=True)
class Tiny:
    """See `Model`. `count` parameters are drawn to the same point."""

    count: int
    optimizer = Sgd(RATE)

    @property
    def name(self) -> str:
        return f"{self.count} parameter{'s' if self.count > 1 else ''} of 4 elements, SGD"

    def parameters(self) -> Arrays:
        rng = np.random.default_rng(0)
        return {f"w{i}": rng.standard_normal(4).astype(np.float32) for i in range(self.count)}

    def batch(self) -> tuple[np.ndarray, ...]:
        return (np.random.default_rng(1).standard_normal(4).astype(np.float32),)

    def trainer(self, torch: Any, tensors: dict[str, Any]) -> Any:
        weights = [*tensors.values()]
        optimizer = torch.optim.SGD(weights, lr=RATE)

        def step(x):
            optimizer.zero_grad()
            loss = sum([((w - x) * (w - x)).sum() for w in weights])
            loss.backward()
            optimizer.step()
            return loss

        return step

    def loss(self, tensors: dict[str, Any], x: Any) -> Any:
        return sum([((w - x) * (w - x)).sum() for w in tensors.values()])

    def others(self) -> Mapping[str, Any]:
        return {}
