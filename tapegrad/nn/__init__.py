"""Neural networks: functions so far."""

from . import functional

__all__ = ["functional"]
