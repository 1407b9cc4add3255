"""The benchmarks' training steps, with smaller sizes: the same code on PyTorch and on tapegrad, eager and jitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

from ..benchmarks.models import SMALL, Model, tapegrad_step, torch_step  # noqa: E402

STEPS = 5


def losses(step: Any, batch: tuple[Any, ...]) -> list[float]:
    return [step(*batch).item() for _ in range(STEPS)]


@pytest.mark.parametrize("model", SMALL, ids=lambda model: type(model).__name__)
def test_the_same_losses(model: Model) -> None:
    expected = losses(*torch_step(model, torch))
    np.testing.assert_allclose(losses(*torch_step(model, tg)), expected, rtol=1e-5)
    np.testing.assert_allclose(losses(*tapegrad_step(model)), expected, rtol=1e-5)
