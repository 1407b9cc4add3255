"""The mistakes tapegrad reports, one class each, every one a subclass of what PyTorch raises for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tape.source import Source

__all__ = [
    "AnomalyError",
    "CheckError",
    "CheckpointError",
    "DtypeError",
    "ForwardModeError",
    "GradcheckError",
    "GraphFreedError",
    "HookError",
    "InPlaceError",
    "LoadError",
    "NotDifferentiableError",
    "RuleError",
    "ShapeError",
    "TapegradError",
    "TransformError",
    "UnsupportedError",
]


class TapegradError(RuntimeError):
    """Base of the errors that are tapegrad's own."""


class ShapeError(TapegradError):
    """Shapes that an operation cannot combine."""


class GradcheckError(TapegradError):
    """Gradients by autograd that are not those of finite differences, or a backward that breaks another rule."""


class GraphFreedError(TapegradError):
    """A backward through nodes whose saved values an earlier backward freed."""


class InPlaceError(TapegradError):
    """An in-place write that is forbidden, or that destroyed a value a backward needs."""


class LoadError(TapegradError, ValueError):
    """A file that `load` cannot read: not in its format, damaged, or asking for what tensors cannot be."""


class DtypeError(TapegradError, NotImplementedError):
    """An operation that is not defined for a dtype."""


class NotDifferentiableError(TapegradError):
    """A gradient was asked of something that has none."""


class ForwardModeError(TapegradError):
    """Dual tensors made or taken apart without a level, or where they cannot be."""


class TransformError(TapegradError):
    """A function, or arguments, that a transform of functions (`tapegrad.func`) cannot take."""


class RuleError(TapegradError):
    """A VJP rule returned a cotangent that does not have its primal's shape and dtype: a bug in the rule."""


class UnsupportedError(TapegradError, NotImplementedError):
    """Something a tape, its lowering or `jit` cannot represent yet.

    `source` is where in the user's code a name leads to it, for what is refused before anything runs.
    """

    source: Source | None = None


class AnomalyError(TapegradError):
    """In anomaly mode: a nan in backward."""


class HookError(TapegradError):
    """A hook returned something that cannot take the place of the gradient it was given."""


class CheckpointError(TapegradError):
    """A checkpointed function did something else when it was run again."""


class CheckError(TapegradError, AssertionError):
    """A compiled program disagrees with the eager tape."""
