"""Tables of what was measured: a row per model, a column per library, ratios, and the targets beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["Row", "megabytes", "table", "times"]

NAMES, FIGURES, RATIOS, TARGETS = 57, 13, 11, 9


class Row(NamedTuple):
    """What was measured of one thing: a figure per column, and what the first ratio should at most be."""

    name: str
    figures: dict[str, float]
    target: float | None = None


def times(seconds: float) -> str:
    """A time, in a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e6:.1f} us"


def megabytes(size: float) -> str:
    """A number of bytes, in units of a million."""
    return f"{size / 1e6:.3f} MB"


def table(
    title: str, columns: list[str], rows: Iterable[Row], shown: Callable[[float], str] = times, close: bool = False
) -> str:
    """The figures under `columns`, and that of the first as a ratio to each of the others; "-" for what is missing.

    With `close` the ratios without a target should be close to 1.
    """
    first, *others = columns
    head = "".join([f"{name:>{FIGURES}}" for name in columns])
    head += "".join(
        [f"{f'/ {name}':>{RATIOS}}{'target' if i == 0 else '':>{TARGETS}}" for i, name in enumerate(others)]
    )
    lines = [f"\n{title}", f"{'':{NAMES}}{head}".rstrip()]
    for row in rows:
        line = f"  {row.name:{NAMES - 2}}"
        line += "".join([f"{shown(row.figures[c]) if c in row.figures else '-':>{FIGURES}}" for c in columns])
        for i, name in enumerate(others):
            known = first in row.figures and name in row.figures
            line += f"{f'{row.figures[first] / row.figures[name]:.2f}' if known else '-':>{RATIOS}}"
            line += f"{_target(row, known, close) if i == 0 else '':>{TARGETS}}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _target(row: Row, known: bool, close: bool) -> str:
    if row.target is not None:
        return f"<= {row.target:.2f}"
    return "close" if close and known else ""
