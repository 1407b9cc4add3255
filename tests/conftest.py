"""What holds for every test: platform, number of generated programs, and that no state is left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports jax, which reads it once. Inherited by the processes and notebooks that tests start.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# XLA compiles in the first example of a shape, for seconds on a busy machine, and only in the first:
# a deadline or a complaint of slow examples would judge the compiler.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "print_blob": True,
}

# quick draws the same programs each time, so that a red run is the fault of the change that it judges.
settings.register_profile("quick", max_examples=30, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=1000, **_COMMON)
settings.load_profile(os.environ.get("TAPEGRAD_PROFILE", "quick"))


def _state() -> dict[str, Any]:
    """The settings a test may change and must restore, of the libraries that are imported by now."""
    state = {}
    if "tapegrad" in sys.modules:
        tapegrad = sys.modules["tapegrad"]
        for name in ("get_default_dtype", "is_grad_enabled"):
            if hasattr(tapegrad, name):
                state[f"tapegrad.{name}()"] = getattr(tapegrad, name)()
    if "jax" in sys.modules:
        state["jax.config.jax_enable_x64"] = sys.modules["jax"].config.jax_enable_x64
    return state


@pytest.fixture(autouse=True)
def no_state_left_behind() -> Iterator[None]:
    """A test that changes the default dtype, the grad mode or JAX's x64 must restore it."""
    before = _state()
    yield
    after = _state()
    changed = {name: (value, after[name]) for name, value in before.items() if after[name] != value}
    assert not changed, f"the test left state behind (before, after): {changed}"
