"""Sequences of eager operations do what the model of PyTorch's autograd says."""

from __future__ import annotations

from .rules import EagerMachine

TestEager = EagerMachine.TestCase
