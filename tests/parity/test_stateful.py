"""Sequences of eager operations do what PyTorch does: values, gradients, versions, errors."""

from __future__ import annotations

from typing import ClassVar

import pytest

import tapegrad

from ..stateful.gradient_rules import EagerMachine
from ..stateful.machine import LENGTH

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")


class TwinMachine(EagerMachine):
    libraries: ClassVar = {"PyTorch": torch, "tapegrad": tapegrad}


TestTwins = TwinMachine.TestCase
TestTwins.settings = LENGTH
