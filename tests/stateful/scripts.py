"""Scripts that the sequences made, run again: line by line, as one function, or cut into functions."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tapegrad as tg

__all__ = ["KINDS_OF_PIECES", "Names", "Piece", "Script", "World", "cut", "leaves_first", "names_of"]

KINDS_OF_PIECES = ("eager", "arguments", "captured", "tuple")
"""How a piece is given its tensors and gives back what it made.

In a dict that is its argument, and in a dict that it returns ("arguments" and "eager"); both in a dict that it
captures; as arguments of its own, and in nested lists and tuples.
"""

_NAME = re.compile(r"(?<!')\b[th]\d+\b")
_MAKES = re.compile(r"^(with [^:]*: )?([th]\d+(?:, t\d+)*),? = ")
_LEAF = re.compile(r"^t\d+ = tg\.tensor\(")

Script = Sequence[str]


@dataclass(frozen=True)
class Names:
    """What lines need, in order, what they leave behind, and what they take away."""

    needed: list[str]
    made: list[str]
    deleted: list[str]


def names_of(lines: Script) -> Names:
    needed, made, deleted = [], [], []
    for line in lines:
        code = line.partition("  #")[0]
        match = _MAKES.match(code)
        used = _NAME.findall(code[match.end() :] if match else code)
        needed += [name for name in dict.fromkeys(used) if name not in made and name not in needed]
        if code.startswith("del "):
            deleted += used
            made = [name for name in made if name not in used]
        if match and not code.startswith("with refused"):
            made += _NAME.findall(match[2])
    return Names(needed, made, deleted)


class World:
    """Tensors by name, and what hooks have seen."""

    def __init__(self) -> None:
        self.live: dict[str, Any] = {}
        self.seen: list[tuple[str, tg.Tensor]] = []

    def run(self, script: Script) -> None:
        """Run lines as they are."""
        scope = self.scope()
        scope.update(self.live)
        _execute("\n".join(script), scope)
        self.live = {name: t for name, t in scope.items() if _NAME.fullmatch(name)}

    def scope(self) -> dict[str, Any]:
        return {"tg": tg, "seen": self.seen, "refused": contextlib.suppress(RuntimeError)}

    @property
    def tensors(self) -> dict[str, tg.Tensor]:
        return {name: t for name, t in self.live.items() if isinstance(t, tg.Tensor)}


def _execute(text: str, scope: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of reference cycles, and of `.grad` of what is no leaf
        exec(compile(text, "<script>", "exec"), scope)


class Piece:
    """Some lines as a function, which `wrap` (jit, say) is given; `later` are the names that are used after it."""

    def __init__(
        self, lines: Script, kind: str, later: set[str], wrap: Callable[[Any], Any] | None, world: World
    ) -> None:
        self.kind = kind
        names = names_of(lines)
        self.deleted = names.deleted
        self.needed = names.needed
        self.made = [name for name in names.made if name in later]
        self.source = "\n".join(_SOURCES[kind](self, [line.partition("  #")[0] for line in lines]))
        self.scope = world.scope()
        _execute(self.source, self.scope)
        self.function = self.scope["piece"]
        self.jitted = None if wrap is None else wrap(self.function)

    def run(self, world: World, *, jitted: bool) -> None:
        """Run it in a world; an exception leaves the names as they are."""
        function = self.jitted if jitted and self.jitted is not None else self.function
        self.scope["live"] = world.live
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.kind == "captured":
                function()
            elif self.kind == "tuple":
                made = function(*[world.live[name] for name in self.needed])
                world.live.update(zip(self.made, [*made[0], *([made[1]["last"]] if self.made else [])], strict=True))
            else:
                world.live.update(function(world.live))
        for name in self.deleted:
            world.live.pop(name, None)


def _as_arguments(piece: Piece, lines: Script) -> list[str]:
    takes = [f"{name} = live[{name!r}]" for name in piece.needed]
    gives = ", ".join(f"{name!r}: {name}" for name in piece.made)
    return ["def piece(live):", *_indented([*takes, *lines, f"return {{{gives}}}"])]


def _as_captured(piece: Piece, lines: Script) -> list[str]:
    takes = [f"{name} = live[{name!r}]" for name in piece.needed]
    gives = [f"live[{name!r}] = {name}" for name in piece.made]
    return ["def piece():", *_indented([*takes, *lines, *gives])]


def _as_tuple(piece: Piece, lines: Script) -> list[str]:
    last = [f"'last': {name}" for name in piece.made[-1:]]
    gives = f"[{', '.join(piece.made[:-1])}], {{{', '.join(last)}}}"
    return [f"def piece({', '.join(piece.needed)}):", *_indented([*lines, f"return {gives}"])]


def _indented(lines: Script) -> list[str]:
    return [f"    {line}" for line in lines]


_SOURCES: dict[str, Callable[[Piece, Script], list[str]]] = {
    "eager": _as_arguments,
    "arguments": _as_arguments,
    "captured": _as_captured,
    "tuple": _as_tuple,
}


def cut(script: Script, kinds: Sequence[str | None]) -> list[tuple[str, list[str]]]:
    """The lines in pieces: a new one starts before line `i` where the `i`-th (modulo) of `kinds` is not None."""
    pieces: list[tuple[str, list[str]]] = []
    after = False
    for i, line in enumerate(script):
        kind = "eager" if "set_grad_enabled" in line else kinds[i % len(kinds)]  # a mode that outlasts it is refused
        if kind is not None or not pieces or after:
            pieces.append((kind or "arguments", []))
        pieces[-1][1].append(line)
        after = "set_grad_enabled" in line
    return pieces


def leaves_first(script: Script) -> tuple[list[str], list[str]]:
    """The lines that make leaves, and the others."""
    return [line for line in script if _LEAF.match(line)], [line for line in script if not _LEAF.match(line)]
