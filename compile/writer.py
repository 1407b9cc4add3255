"""Lines of Python, and the constants they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .specialisation import Specialisation

__all__ = ["Writer"]


class Writer:
    """Lines of code, and the constants they name."""

    def __init__(self, spec: Specialisation, names: dict[str, Any]) -> None:
        self.spec = spec
        self.names = names
        self.lines: list[str] = []
        self.shift = 0  # how much further in lines go

    def constant(self, value: Any) -> str:
        """A name for a value that cannot be written down."""
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def literal(self, value: Any) -> str:
        """Code for a value."""
        if type(value) in (int, bool, str, bytes, type(None)):
            return repr(value)
        return self.constant(value)

    def line(self, text: str, depth: int = 2) -> None:
        """Add a line."""
        self.lines.append("    " * (depth + self.shift) + text)
