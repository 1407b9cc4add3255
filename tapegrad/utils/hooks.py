"""What registering a hook returns."""

from ..tape import RemovableHandle

__all__ = ["RemovableHandle"]
