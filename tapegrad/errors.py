"""The mistakes tapegrad reports, one class each, every one a subclass of what PyTorch raises for it."""

from __future__ import annotations

__all__ = [
    "CheckError",
    "DtypeError",
    "GraphFreedError",
    "InPlaceError",
    "NotDifferentiableError",
    "RuleError",
    "ShapeError",
    "TapegradError",
    "UnsupportedError",
]


class TapegradError(RuntimeError):
    """Base of the errors that are tapegrad's own."""


class ShapeError(TapegradError):
    """Shapes that an operation cannot combine."""


class GraphFreedError(TapegradError):
    """A backward through nodes whose saved values an earlier backward freed."""


class InPlaceError(TapegradError):
    """An in-place write that is forbidden, or that destroyed a value a backward needs."""


class DtypeError(TapegradError, NotImplementedError):
    """An operation that is not defined for a dtype."""


class NotDifferentiableError(TapegradError):
    """A gradient was asked of something that has none."""


class RuleError(TapegradError):
    """A VJP rule returned a cotangent that does not have its primal's shape and dtype: a bug in the rule."""


class UnsupportedError(TapegradError, NotImplementedError):
    """Something a tape, its lowering or `jit` cannot represent yet."""


class CheckError(TapegradError, AssertionError):
    """A compiled program disagrees with the eager tape."""
