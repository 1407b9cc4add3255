"""The benchmarks' models, with smaller sizes: jitted, they train as eagerly and as written by hand in JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapegrad as tg

from ..benchmarks.models import SMALL, Model, jax_step, tapegrad_step, torch_step

STEPS = 5


def losses(step: Any, batch: tuple[Any, ...]) -> list[float]:
    return [step(*batch).item() for _ in range(STEPS)]


@pytest.mark.parametrize("model", SMALL, ids=lambda model: type(model).__name__)
def test_a_jitted_step_is_the_step_by_hand(model: Model) -> None:
    step, batch = tapegrad_step(model)
    by_hand, arrays = jax_step(model)
    expected = losses(by_hand, arrays)
    np.testing.assert_allclose(losses(step, batch), expected, rtol=1e-5)
    assert expected[-1] < expected[0]
    assert any(spec.calls for spec in step.specialisations)  # compiled programs were compared


@pytest.mark.parametrize("model", SMALL, ids=lambda model: type(model).__name__)
def test_the_eager_step_is_the_step_by_hand(model: Model) -> None:
    np.testing.assert_allclose(losses(*torch_step(model, tg)), losses(*jax_step(model)), rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "loss"),
    [(model, loss) for model in SMALL for loss in model.others().values()],
    ids=lambda x: type(x).__name__,
)
def test_other_ways_to_write_it_in_jax_are_the_same(model: Model, loss: Any) -> None:
    np.testing.assert_allclose(losses(*jax_step(model, loss)), losses(*jax_step(model)), rtol=1e-5)
