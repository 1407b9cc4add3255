"""Neural networks: functions so far."""

from . import functional, utils

__all__ = ["functional", "utils"]
