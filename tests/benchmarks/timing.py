"""Paired timing: the contenders take turns within one process, so that a ratio holds when the machine's speed drifts."""

import gc
import time
from collections.abc import Callable


def paired(contenders: dict[str, Callable[[], object]], rounds: int = 40, seconds: float = 0.02) -> dict[str, float]:
    """The best time per call of each contender, in seconds, over `rounds` turns of about `seconds` each."""
    loops = {}
    for name, run in contenders.items():
        for _ in range(20):
            run()
        start = time.perf_counter()
        run()
        loops[name] = max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))
    best = dict.fromkeys(contenders, float("inf"))
    gc.collect()
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            for _ in range(loops[name]):
                run()
            best[name] = min(best[name], (time.perf_counter() - start) / loops[name])
    return best


def table(title: str, best: dict[str, float], target: str = "") -> str:
    """The times, and the first contender's as a ratio to each of the others."""
    (first, time_of_first), *others = best.items()
    lines = [f"{title}{f'  (target: {target})' if target else ''}", f"    {first:<22}{time_of_first * 1e6:10.1f} us"]
    lines += [f"    {name:<22}{t * 1e6:10.1f} us    {first} / {name} = {time_of_first / t:.2f}" for name, t in others]
    return "\n".join(lines)
