"""What a model is: initial values, the step in PyTorch's style, and the loss and optimiser as one writes them in JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Protocol

import numpy as np

import tapegrad as tg

__all__ = ["Arrays", "Model", "Step", "scaled", "tapegrad_step", "torch_step"]

Arrays = dict[str, np.ndarray]
Step = Callable[..., Any]


class Model(Protocol):
    """A training step, with the sizes that its fields say."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def optimizer(self) -> Any:
        """In JAX: see `by_hand`."""

    def parameters(self) -> Arrays:
        """Initial values."""

    def batch(self) -> tuple[np.ndarray, ...]:
        """The data of every step."""

    def trainer(self, torch: Any, tensors: dict[str, Any]) -> Step:
        """The step of a batch, as one writes it for PyTorch. `torch` is that, or tapegrad; `tensors` the parameters."""

    def loss(self, tensors: dict[str, Any], *batch: Any) -> Any:
        """In JAX."""

    def others(self) -> Mapping[str, Callable[..., Any]]:
        """Other ways to write the loss in JAX, by name."""


def scaled(rng: np.random.Generator, *shape: int, fan_in: int | None = None) -> np.ndarray:
    """Normal numbers over the root of `fan_in`, by default the first size."""
    return (rng.standard_normal(shape) / math.sqrt(fan_in or shape[0])).astype(np.float32)


def torch_step(model: Model, library: ModuleType) -> tuple[Step, tuple[Any, ...]]:
    """The step in `library`, and the batch as its tensors."""
    parameters = {name: library.tensor(array).requires_grad_() for name, array in model.parameters().items()}
    return model.trainer(library, parameters), tuple([library.tensor(array) for array in model.batch()])


def tapegrad_step(model: Model, **options: Any) -> tuple[Any, tuple[Any, ...]]:
    """The same step, jitted with `options`."""
    step, batch = torch_step(model, tg)
    return tg.jit(step, **options), batch
