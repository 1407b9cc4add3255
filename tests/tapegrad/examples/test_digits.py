"""The demo does what it prints: it learns, and the compiled step equals the eager one."""

import copy

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.examples import digits


@pytest.fixture
def fresh_weights():
    kept = dict(digits.weights)
    digits.weights.update(digits.initial_weights())
    yield
    digits.weights.update(kept)


@pytest.mark.usefixtures("fresh_weights")
def test_demo_reaches_its_accuracy_and_shows_tape_check_and_times(capsys):
    assert digits.main(eager_epochs=1, compiled_epochs=40) >= 0.95
    printed = capsys.readouterr().out
    for part in ("images: f32[128, 64]", "backward(", "weights['w1'].grad", "agrees with the eager tape", "compiled  "):
        assert part in printed


@pytest.mark.usefixtures("fresh_weights")
def test_eager_and_compiled_training_stay_together():
    data = digits.load()
    start = {name: copy.deepcopy(w) for name, w in digits.weights.items()}
    losses = {}
    for name, step in (("eager", digits.step), ("compiled", tg.jit(digits.step))):
        digits.weights.update({name: copy.deepcopy(w) for name, w in start.items()})
        batches = digits.batches(data, np.random.default_rng(0))
        losses[name] = [step(*batch).item() for batch in batches]
    np.testing.assert_allclose(losses["compiled"], losses["eager"], rtol=1e-4)
