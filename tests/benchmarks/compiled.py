"""`tg.jit` of PyTorch-style training steps against the same steps written by hand in JAX, and PyTorch's eager ones."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np
from models import LARGE, MLP, TINY, Model, Transformer, jax_step, tapegrad_step, torch_step
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
        if model in TINY:
            others["JAX, gradients returned"] = waiting(*jax_step(model, grads=True))
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


def added(executable: Any) -> int:
    """Bytes that a run of the program adds to what its arguments have: outputs, unless in their place, and the rest."""
    found = executable.memory_analysis()
    return found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes


def live(others: set[int]) -> int:
    """Bytes on the device, but for the arrays among `others`."""
    gc.collect()
    return sum(x.nbytes for x in jax.live_arrays() if id(x) not in others)


def memory_of_step(model: Model, program: str) -> tuple[int, int]:
    """Bytes on the device between steps, and at most within one."""
    others = [*jax.live_arrays()]  # kept, or their numbers would be used again
    step, batch = tapegrad_step(model, check="never") if program == "tapegrad" else jax_step(model)
    for _ in range(5):
        step(*batch).item()
    between = live({id(x) for x in others})
    if program == "tapegrad":
        return between, between + added(program_of(step))
    return between, between + added(step.function.lower(*step.held, *batch).compile())


def report_memory(torch: ModuleType | None) -> None:
    """Print the memory of steps with Adam. Gradients stay in `.grad` between steps; JAX by hand keeps none."""
    within, between = [], []
    for model in (MLP(), MLP(sizes=(784, 2048, 2048, 10)), Transformer()):
        size = sum(array.nbytes for array in model.parameters().values())
        name = f"{model.name.partition(',')[0]}, {megabytes(size)} of parameters"
        found = {program: memory_of_step(model, program) for program in COLUMNS[:2]}
        between.append(Row(name, {program: kept for program, (kept, _) in found.items()}))
        within.append(Row(name, {program: most for program, (_, most) in found.items()}, MEMORY))
    print(table("most memory within a step with Adam", COLUMNS[:2], within, megabytes))
    print(table("memory between steps: .grad is kept, which JAX by hand does not", COLUMNS[:2], between, megabytes))
