"""`tg.jit` of PyTorch-style training steps against the same steps written by hand in JAX, and PyTorch's eager ones."""

from __future__ import annotations

import functools
import gc
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np
from models import LARGE, TINY, Model, jax_step, tapegrad_step, torch_step
from tables import Row, megabytes, table
from timing import paired, seconds_of, taking_turns

import tapegrad as tg

__all__ = ["report_first", "report_memory", "report_record", "report_steady"]

COLUMNS = ["tapegrad", "JAX", "PyTorch"]
STEADY, DISPATCH, FIRST, RECORD, MEMORY = 1.05, 1.3, 1.3, 2.0, 1.1


def waiting(step: Callable[..., Any], batch: tuple[Any, ...]) -> Callable[[], float]:
    """A call of the step that waits for its loss."""
    return lambda: step(*batch).item()


def contenders(model: Model, torch: ModuleType | None) -> dict[str, Callable[[], float]]:
    """The step in each library."""
    found = {"tapegrad": waiting(*tapegrad_step(model, check="never")), "JAX": waiting(*jax_step(model))}
    if torch is not None:
        found["PyTorch"] = waiting(*torch_step(model, torch))
    return found


def require_agreement(losses: dict[str, list[float]]) -> None:
    """Raise AssertionError unless all have the same losses, to float32's tolerance."""
    for name, found in losses.items():
        np.testing.assert_allclose(found, losses["JAX"], rtol=1e-4, err_msg=f"{name} and JAX disagree")


def report_steady(torch: ModuleType | None) -> None:
    """Print the times of steps once all is compiled."""
    rows = []
    for model in (*LARGE, *TINY):
        runs = contenders(model, torch)
        require_agreement({name: [run() for _ in range(5)] for name, run in runs.items()})
        others = {name: waiting(*jax_step(model, loss)) for name, loss in model.others().items()}
        best = paired(runs | others)
        rows.append(Row(model.name, best, DISPATCH if model in TINY else STEADY))
        rows += [Row(f"  {name}", {"tapegrad": best["tapegrad"], "JAX": best[name]}) for name in others]
        gc.collect()
    print(table(f"a training step, compiled{_threads(torch)}", COLUMNS, rows))


def _threads(torch: ModuleType | None) -> str:
    return "" if torch is None else f"; PyTorch eager, on its default of {torch.get_num_threads()} threads"


def first_step(model: Model) -> float:
    """Seconds of all calls up to and with the first that runs a compiled program."""
    jax.clear_caches()
    step, batch = tapegrad_step(model, check="never")

    def calls() -> None:
        while not any(spec.calls for spec in step.specialisations):
            step(*batch).item()

    return seconds_of(calls)


def first_step_by_hand(model: Model) -> float:
    """Seconds of the first call."""
    jax.clear_caches()
    step, batch = jax_step(model)
    return seconds_of(waiting(step, batch))


def report_first(torch: ModuleType | None) -> None:
    """Print the times until a first compiled step is done."""
    rows = []
    for model in (*LARGE, *TINY):
        turns = {"tapegrad": functools.partial(first_step, model), "JAX": functools.partial(first_step_by_hand, model)}
        if torch is not None:
            turns["PyTorch"] = lambda model=model: seconds_of(waiting(*torch_step(model, torch)))
        rows.append(Row(model.name, taking_turns(turns, rounds=4, at_most=10), FIRST))
        gc.collect()
    print(table("time to the first compiled step, check off, all calls before it included", COLUMNS, rows))


def report_record(torch: ModuleType | None) -> None:
    """Print the times of recording a step."""
    rows = []
    for model in (*LARGE, *TINY):
        step, batch = torch_step(model, tg)
        by_hand, arrays = jax_step(model)
        arguments = (*by_hand.held, *arrays)
        runs = {
            "record": lambda step=step, batch=batch: tg.record(step, *batch),
            "eager": lambda step=step, batch=batch: step(*batch),
            "JAX trace": lambda f=by_hand.function.__wrapped__, a=arguments: jax.make_jaxpr(lambda *a: f(*a))(*a),
        }
        if torch is not None:
            pytorch, tensors = torch_step(model, torch)
            runs["PyTorch"] = lambda step=pytorch, batch=tensors: step(*batch)
        rows.append(Row(model.name, paired(runs, at_most=6), RECORD))
    print(table("recording a step, tg.record", ["record", "eager", "JAX trace", "PyTorch"], rows))


def program_of(step: Any) -> Any:
    """The executable that a jitted step runs most."""
    spec = max(step.specialisations, key=lambda spec: spec.calls)
    inputs = [jax.ShapeDtypeStruct(var.shape, var.dtype) for var in spec.tape.inputs[: len(spec.reads)]]
    if spec.scalars:
        inputs.insert(0, jax.ShapeDtypeStruct((len(spec.scalars), 2), np.uint32))
    with jax.enable_x64(True):
        return spec.program.lower(*inputs).compile()


def peak(executable: Any) -> int:
    """Bytes of all that the program has in memory at once."""
    found = executable.memory_analysis()
    sizes = found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes
    return sum(sizes) - found.alias_size_in_bytes


def live(make: Callable[[], tuple[Any, tuple[Any, ...]]]) -> int:
    """Bytes that stay on the device after five steps."""
    gc.collect()
    before = {id(x) for x in jax.live_arrays()}
    step, batch = make()
    for _ in range(5):
        loss = step(*batch)
    loss.item()
    gc.collect()
    return sum(x.nbytes for x in jax.live_arrays() if id(x) not in before)


def report_memory(torch: ModuleType | None) -> None:
    """Print the memory of steps with Adam."""
    peaks, lives = [], []
    for model in (LARGE[0], LARGE[2]):
        step, batch = tapegrad_step(model, check="never")
        for _ in range(4):
            step(*batch).item()
        by_hand, arrays = jax_step(model)
        lowered = by_hand.function.lower(*by_hand.held, *arrays)
        size = sum(math.prod(array.shape) * 4 for array in model.parameters().values())
        name = f"{model.name.split(',')[0]}, {megabytes(size)} of parameters"
        peaks.append(Row(name, {"tapegrad": peak(program_of(step)), "JAX": peak(lowered.compile())}, MEMORY))
        del step, by_hand
        figures = {
            "tapegrad": live(lambda m=model: tapegrad_step(m, check="never")),
            "JAX": live(lambda m=model: jax_step(m)),
        }
        lives.append(Row(name, figures))
    print(table("peak memory of a step with Adam, says XLA", COLUMNS[:2], peaks, megabytes))
    print(
        table(
            "what stays on the device between steps (.grad is kept, which JAX by hand does not)",
            COLUMNS[:2],
            lives,
            megabytes,
        )
    )
