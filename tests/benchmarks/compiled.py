"""`tg.jit` of PyTorch-style training steps against the same steps written by hand in JAX, and PyTorch's eager ones."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
from models import LARGE, MLP, TINY, Model, Transformer, jax_step, tapegrad_step, torch_step
from tables import Row, megabytes, table
from timing import paired, seconds_of, taking_turns

import tapegrad as tg

__all__ = ["report_memory", "report_record", "report_steps"]

COLUMNS = ["tapegrad", "JAX", "PyTorch"]
AGREEING = 5  # losses of the first steps
STEADY, DISPATCH, FIRST, RECORD, MEMORY = 1.05, 1.3, 1.3, 2.0, 1.1


class Run(NamedTuple):
    """A call of a step that waits for its loss, and the losses of the calls so far, as many as are to agree."""

    call: Callable[[], float]
    losses: list[float]


def waiting(step: Callable[..., Any], batch: tuple[Any, ...]) -> Run:
    """A step of a batch that has run once."""
    run = Run(lambda: step(*batch).item(), [])
    run.losses.append(run.call())
    return run


def tapegrad_run(model: Model) -> Run:
    """The step under `tg.jit`, once a compiled program has run: calls that record come before."""
    step, batch = tapegrad_step(model, check="never")
    run = waiting(step, batch)
    while not any(spec.calls for spec in step.specialisations):
        run.losses.append(run.call())
    return run


def first_steps(model: Model, torch: ModuleType | None) -> tuple[dict[str, float], dict[str, Run]]:
    """The times to make each library's step and run it first, and the steps.

    Functions are new each time, so all is traced and compiled; what JAX compiled for other models is forgotten.
    """
    makers = {"tapegrad": lambda: tapegrad_run(model), "JAX": lambda: waiting(*jax_step(model))}
    if torch is not None:
        makers["PyTorch"] = lambda: waiting(*torch_step(model, torch))
    runs: dict[str, Run] = {}

    def turn(name: str) -> float:
        return seconds_of(lambda: runs.update({name: makers[name]()}))

    jax.clear_caches()
    best = taking_turns({name: functools.partial(turn, name) for name in makers}, rounds=4, at_most=10)
    return best, runs


def require_agreement(runs: dict[str, Run]) -> None:
    """Raise AssertionError unless the first losses of all are the same, to float32's tolerance."""
    for name, run in runs.items():
        while len(run.losses) < AGREEING:
            run.losses.append(run.call())
        expected = runs["JAX"].losses[:AGREEING]
        np.testing.assert_allclose(run.losses[:AGREEING], expected, rtol=1e-4, err_msg=f"{name} and JAX disagree")


def report_steps(torch: ModuleType | None) -> None:
    """Print the times until a first compiled step is done, and those of steps after it."""
    first, steady = [], []
    for model in (*LARGE, *TINY):
        seconds, runs = first_steps(model, torch)
        first.append(Row(model.name, seconds, FIRST))
        others = {name: waiting(*jax_step(model, loss)) for name, loss in model.others().items()}
        if model in TINY:
            others["JAX, gradients returned"] = waiting(*jax_step(model, grads=True))
        require_agreement({"JAX": runs["JAX"]} | runs | others)
        best = paired({name: run.call for name, run in (runs | others).items()})
        steady.append(Row(model.name, best, DISPATCH if model in TINY else STEADY))
        steady += [Row(f"  {name}", {"tapegrad": best["tapegrad"], "JAX": best[name]}) for name in others]
        gc.collect()
    print(table("time to the first compiled step, check off, all calls before it included", COLUMNS, first))
    threads = "" if torch is None else f"; PyTorch eager, on its default of {torch.get_num_threads()} threads"
    print(table(f"a training step, compiled{threads}", COLUMNS, steady))


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
        rows.append(Row(model.name, paired(runs, at_most=4), RECORD))
    print(table("recording a step, tg.record", ["record", "eager", "JAX trace", "PyTorch"], rows))


def program_of(step: Any) -> Any:
    """The executable that a jitted step runs most."""
    spec = max(step.specialisations, key=lambda spec: spec.calls)
    metas = [spec.signature.metas[i] for i in (*spec.reads, *spec.scratch)]
    inputs = [jax.ShapeDtypeStruct(meta.shape, meta.dtype) for meta in metas]
    if spec.scalars:
        inputs.insert(0, jax.ShapeDtypeStruct((len(spec.scalars),), np.float64))
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
