"""Paired timing: the contenders take turns within one process, so that a ratio holds when the machine's speed drifts."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

__all__ = ["paired", "seconds_of", "taking_turns"]


def seconds_of(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired(
    contenders: dict[str, Callable[[], object]], rounds: int = 40, seconds: float = 0.02, at_most: float = 8.0
) -> dict[str, float]:
    """The best time per call of each contender, in seconds, over `rounds` turns of about `seconds` each.

    Of fewer turns, three at least, where these take longer than `at_most` seconds together.
    """
    loops = {}
    for name, run in contenders.items():
        end = time.perf_counter() + 0.5
        for _ in range(20):
            run()
            if time.perf_counter() > end:
                break
        loops[name] = max(1, int(seconds / max(seconds_of(run), 1e-7)))

    def turn(run: Callable[[], object], calls: int) -> Callable[[], float]:
        def block() -> None:
            for _ in range(calls):
                run()

        return lambda: seconds_of(block) / calls

    blocks = {name: turn(run, loops[name]) for name, run in contenders.items()}
    return taking_turns(blocks, rounds, at_most, at_least=3)


def taking_turns(
    contenders: dict[str, Callable[[], float]], rounds: int, at_most: float, at_least: int = 1
) -> dict[str, float]:
    """The least of the figures that each contender returns over `rounds` turns, or over those that begin in time.

    `at_least` so many are made, however long they take. Every other round is in reverse order: whoever comes after
    PyTorch, whose threads go on spinning for a while, is slower.
    """
    best = dict.fromkeys(contenders, float("inf"))
    gc.collect()
    end = time.perf_counter() + at_most
    for number in range(rounds):
        if number >= at_least and time.perf_counter() > end:
            break
        for name in [*contenders][:: -1 if number % 2 else 1]:
            best[name] = min(best[name], contenders[name]())
    return best
