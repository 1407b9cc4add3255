"""A script run line by line, which is the reference; as one jitted function; and in pieces, some of them jitted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import tapegrad as tg
from tapegrad.errors import UnsupportedError

from ..stateful.machine import DisagreementError
from ..stateful.observations import Observation, afterwards, assert_equal, observe
from ..stateful.scripts import KINDS_OF_PIECES, Piece, World, cut, leaves_first, names_of

__all__ = ["Replay", "Runs", "refusal"]

OWN = ("freed", "modified")
"""Errors that pieces need not raise: what a compiled call saved is its own, apart from its results, and freed as one."""

TIMES = 3  # that each function runs: recorded, compiled, compiled once more


class Runs:
    """What became of the functions that were jitted: refused with which message, or how often run compiled."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.afterwards: Counter[str] = Counter()  # refused when what they returned was used
        self.compiled = 0
        self.slow = 0  # recorded anew where what was compiled should have fitted

    def __str__(self) -> str:
        said = f"{self.compiled} functions ran compiled, {self.slow} did not though not refused; refused:"
        for name, counts in (("", self.refused), ("afterwards: ", self.afterwards)):
            said += "".join(f"\n  {count:4} {name}{message}" for message, count in counts.most_common())
        return said

    @property
    def share(self) -> float:
        """How many of the functions ran compiled."""
        return self.compiled / max(1, self.compiled + self.slow + self.refused.total())


def refusal(error: UnsupportedError) -> str:
    """The kind of a refusal: its message without names and places."""
    message = str(error).splitlines()[0].partition(" (")[0]
    return re.sub(r"\[[^]]*\]", "[...]", re.sub(r"\b[th]\d+\b|'[^']*'|\d+", "_", message))


class Replay:
    """Ways to run a script again. Both raise DisagreementError with the functions that do not do as the script does."""

    def __init__(self, script: Sequence[str], kinds: Sequence[str | None], check: str, *, outside: bool) -> None:
        self.script = [*script, "_ = tg.set_grad_enabled(True)"]
        self.kinds = kinds
        self.outside = outside  # whether leaves are made before the first piece
        self.check = check

    def reference(self) -> World:
        """The script run line by line."""
        world = World()
        try:
            world.run(self.script)
        finally:
            tg.set_grad_enabled(True)
        return world

    def jit(self, function: Any) -> Any:
        return tg.jit(function, check=self.check)

    def as_a_whole(self, runs: Runs) -> None:
        """As one function of the leaves."""
        leaves, lines = leaves_first(self.script)
        kind = KINDS_OF_PIECES[1 + len(lines) % (len(KINDS_OF_PIECES) - 1)]
        piece = Piece(lines, kind, set(names_of(self.script).made), self.jit, World())
        for turn in range(TIMES):
            world = World()
            piece.scope["seen"] = world.seen
            world.run(leaves)
            try:
                piece.run(world, jitted=True)
            except UnsupportedError as error:
                runs.refused[refusal(error)] += 1
                return
            except Exception as error:
                raise self.disagreement(f"call {turn}: {type(error).__name__}: {error}", [piece]) from error
            finally:
                tg.set_grad_enabled(True)
            self.compare(world, f"call {turn}", [piece], runs)
        count(runs, [piece])

    def in_pieces(self, runs: Runs) -> None:
        """Cut into functions. One that is refused has changed nothing, and is run eagerly."""
        if any(line.endswith(tuple(f"# {kind}" for kind in OWN)) for line in self.script):
            return
        leaves, lines = leaves_first(self.script) if self.outside else ([], self.script)
        parts = cut(lines, self.kinds)
        pieces = []
        for i, (kind, lines) in enumerate(parts):
            after = [line for _, more in parts[i + 1 :] for line in more]
            later = set(names_of(self.script).made) | set(names_of(after).needed)
            pieces.append(Piece(lines, kind, later, None if kind == "eager" else self.jit, World()))
        for turn in range(TIMES):
            world = World()
            world.run(leaves)
            try:
                for piece in pieces:
                    piece.scope["seen"] = world.seen
                    run_or_refuse(piece, world, runs)
            except UnsupportedError as error:  # of what is run eagerly, on what was jitted
                runs.afterwards[refusal(error)] += 1
                return
            except Exception as error:
                raise self.disagreement(f"turn {turn}: {type(error).__name__}: {error}", pieces) from error
            finally:
                tg.set_grad_enabled(True)
            self.compare(world, f"turn {turn}", pieces, runs)
        count(runs, pieces)

    def compare(self, world: World, turn: str, pieces: list[Piece], runs: Runs) -> None:
        """Compare with the reference, then what becomes of both."""
        expected = self.reference()
        eager, jitted = expected.tensors, world.tensors
        missing = eager.keys() - jitted.keys()
        if missing:
            raise self.disagreement(f"{turn}: {sorted(missing)} are missing", pieces)
        jitted = {name: jitted[name] for name in eager}  # and not what only the script has deleted
        try:
            assert_equal(observe(eager, expected.seen), observe(jitted, world.seen))
            for was, now in zip(afterwards(eager, expected.seen), afterwards(jitted, world.seen), strict=True):
                if outcome(was) in OWN and outcome(now) in OWN:
                    continue  # both hold, and which is noticed first is of no account
                if len(pieces) > 1 and outcome(was) in OWN and outcome(now) == "no error":
                    return
                assert_equal(was, now)
        except DisagreementError as error:
            raise self.disagreement(f"{turn}: {error}", pieces) from None
        except UnsupportedError as error:
            runs.afterwards[refusal(error)] += 1

    def disagreement(self, said: str, pieces: list[Piece]) -> DisagreementError:
        """The error that shows the functions."""
        shown = "\n\n".join(f"# {piece.kind}\n{piece.source}" for piece in pieces)
        return DisagreementError(f"{said}\ncheck={self.check!r}\n\n{shown}\n")


def outcome(observations: list[Observation]) -> Any:
    """What an action came to, if that is what was observed."""
    return observations[0][1] if isinstance(observations[0][1], str) else None


def run_or_refuse(piece: Piece, world: World, runs: Runs) -> None:
    """Run a piece as it was made, or, where that is refused, eagerly, from then on."""
    try:
        piece.run(world, jitted=True)
    except UnsupportedError as error:
        runs.refused[refusal(error)] += 1
        piece.jitted = None
        piece.run(world, jitted=False)


def count(runs: Runs, pieces: list[Piece]) -> None:
    """Count what was compiled."""
    for piece in pieces:
        if piece.jitted is not None:
            used = any(specialisation.calls for specialisation in piece.jitted.specialisations)
            runs.compiled += used
            runs.slow += not used
