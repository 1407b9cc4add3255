"""Sequences of eager operations do what the model of PyTorch's autograd says."""

from __future__ import annotations

from .gradient_rules import EagerMachine
from .machine import LENGTH

TestEager = EagerMachine.TestCase
TestEager.settings = LENGTH
