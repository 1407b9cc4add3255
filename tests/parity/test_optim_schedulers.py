"""`torch.optim.lr_scheduler`: the same rates to the last digit but one, the same states, warnings and errors."""

from __future__ import annotations

import math
import warnings
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

from .harness import agree, cases  # noqa: E402

CALLS = cases("""
LambdaLR(o, lambda e: 0.95 ** e)
LambdaLR(o, [lambda e: 0.95 ** e, lambda e: e % 7])
MultiplicativeLR(o, lambda e: 0.95)
MultiplicativeLR(o, [lambda e: 1 / (1 + e), lambda e: 0.5])
StepLR(o, 7)
StepLR(o, 3, gamma=0.7)
MultiStepLR(o, [3, 3, 10, 25], gamma=0.5)
ConstantLR(o)
ConstantLR(o, factor=0.3, total_iters=11)
LinearLR(o)
LinearLR(o, start_factor=0.2, end_factor=0.7, total_iters=30)
ExponentialLR(o, 0.9)
PolynomialLR(o)
PolynomialLR(o, total_iters=33, power=2.5)
CosineAnnealingLR(o, 10)
CosineAnnealingLR(o, T_max=25, eta_min=0.01)
CosineAnnealingWarmRestarts(o, 5)
CosineAnnealingWarmRestarts(o, T_0=4, T_mult=2, eta_min=0.003)
CyclicLR(o, 0.01, 0.1, 7)
CyclicLR(o, [0.01, 0.02], [0.1, 0.3], step_size_up=5, step_size_down=9, mode="triangular2", base_momentum=[0.5, 0.6])
CyclicLR(o, 0.01, 0.1, 6, mode="exp_range", gamma=0.97, cycle_momentum=False)
CyclicLR(o, 0.01, 0.1, 6, scale_fn=lambda x: 1 / x, scale_mode="cycle")
CyclicLR(o, 0.01, 0.1, 6, scale_fn=lambda x: 0.9 ** x, scale_mode="iterations")
OneCycleLR(o, 0.5, total_steps=60)
OneCycleLR(o, [0.5, 0.7], epochs=10, steps_per_epoch=7, pct_start=0.4, anneal_strategy="linear", three_phase=True)
OneCycleLR(o, 0.5, total_steps=100, div_factor=3.0, final_div_factor=7.0, cycle_momentum=False)
OneCycleLR(o, 0.5, total_steps=60, base_momentum=0.7, max_momentum=[0.8, 0.9])
SequentialLR(o, [L.ConstantLR(o, 0.1, 5), L.ExponentialLR(o, 0.9)], [20])
SequentialLR(o, [L.LinearLR(o), L.CosineAnnealingLR(o, 9), L.StepLR(o, 4)], [5, 25])
SequentialLR(o, [L.SequentialLR(o, [L.LinearLR(o), L.StepLR(o, 2)], [3]), L.CosineAnnealingWarmRestarts(o, 7)], [11])
ChainedScheduler([L.ConstantLR(o, 0.1, 5), L.ExponentialLR(o, 0.9)])
ChainedScheduler([L.LinearLR(o), L.CosineAnnealingLR(o, 9)], optimizer=o)
""")
PLATEAUS = cases("""
ReduceLROnPlateau(o)
ReduceLROnPlateau(o, patience=2, factor=0.5, min_lr=0.02)
ReduceLROnPlateau(o, "max", patience=1, cooldown=3, min_lr=[0.02, 0.001])
ReduceLROnPlateau(o, patience=0, threshold=0.3, threshold_mode="abs", eps=1e-3)
ReduceLROnPlateau(o, "max", patience=0, threshold=0.01, threshold_mode="abs")
""")
OPTIMIZERS = {
    "SGD": "SGD(groups, lr=0.1, momentum=0.9)",
    "Adam": "Adam(groups, lr=0.1)",
    "tensors": "Adam(groups, lr=t)",
}


def made(library: ModuleType, optimizer: str, call: str) -> tuple[Any, Any]:
    groups = [{"params": [library.zeros(1, requires_grad=True)]} for _ in range(2)]
    t = library.tensor(0.1, dtype=library.float64)
    if optimizer != "tensors":
        groups[1]["lr"] = 0.3
    o = eval(f"L.{OPTIMIZERS[optimizer]}", {"L": library.optim, "groups": groups, "t": t})
    return o, eval(f"L.{call}", {"L": library.optim.lr_scheduler, "o": o})


def seen(o: Any, s: Any) -> list[float]:
    groups = [
        group[key] for group in o.param_groups for key in ("lr", "initial_lr", "momentum", "betas") if key in group
    ]
    flat = [x for value in groups for x in (value if isinstance(value, tuple) else (value,))]
    return [float(x) for x in (*flat, *s.get_last_lr())]


def run(library: ModuleType, optimizer: str, call: str, steps: int = 60) -> list[list[float]]:
    o, s = made(library, optimizer, call)
    found = [seen(o, s)]
    for epoch in range(steps):
        o.step()
        s.step(*([math.cos(epoch) / (1 + epoch % 13)] if "Plateau" in call else []))
        found.append(seen(o, s))
    return found


def same(expected: list[list[float]], got: list[list[float]], tolerance: float = 1e-15) -> None:
    for epoch, (a, b) in enumerate(zip(expected, got, strict=True)):
        for x, y in zip(a, b, strict=True):
            assert math.isclose(x, y, rel_tol=tolerance), (epoch, a, b)


@pytest.mark.filterwarnings("ignore:Detected call")  # as one in another steps before the optimiser has
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("call", [*CALLS, *PLATEAUS])
def test_rates(call: str, optimizer: str) -> None:
    same(*(run(library, optimizer, call) for library in (torch, tg)))


@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize("call", [c for c in [*CALLS, *PLATEAUS] if "[0.5, 0.7]" not in c and "Cyclic" not in c])
def test_rates_in_tensors(call: str) -> None:
    """A float64 tensor for the learning rate: both groups have the same one, which each writes to. Here, as there."""
    same(*(run(library, "tensors", call, 20) for library in (torch, tg)), tolerance=1e-14)


def numbers_of(state: Any) -> Any:
    """A state with what differs in class only told by its name."""
    if isinstance(state, dict):
        return {key: numbers_of(value) for key, value in state.items() if key != "_scale_fn_ref"}
    return [numbers_of(item) for item in state] if isinstance(state, list | tuple) else state


@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize(("source", "target"), [(torch, tg), (tg, torch)], ids=["from PyTorch", "to PyTorch"])
@pytest.mark.parametrize("call", [*CALLS, *PLATEAUS])
def test_states_go_both_ways(call: str, source: ModuleType, target: ModuleType) -> None:
    (o, s), (p, q) = (made(library, "SGD", call) for library in (source, target))
    metric = [1.0] if "Plateau" in call else []
    for _ in range(13):
        s.step(*metric)
    state, groups = s.state_dict(), o.state_dict()
    assert numbers_of(state).keys() == numbers_of(q.state_dict()).keys()
    q.load_state_dict(state)
    p.load_state_dict(groups)
    assert numbers_of(s.state_dict()) == numbers_of(q.state_dict())
    for _ in range(13):
        s.step(*metric)
        q.step(*metric)
        same([seen(o, s)], [seen(p, q)])


LINES = """
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.StepLR(o, 3); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 3)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.MultiStepLR(o, [2, 2, 5]); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 3)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.ConstantLR(o); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 5)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.LinearLR(o); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 5)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.ExponentialLR(o, 0.9); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 5)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.PolynomialLR(o, 9, 2.0); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 15)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.CosineAnnealingLR(o, 9); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 15)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.LambdaLR(o, lambda e: 1 / (1 + e)); [caught(s.step, e) or o.param_groups[0]["lr"] for e in (7, 2, 15)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.CosineAnnealingWarmRestarts(o, 3, 2); [caught(s.step, e) or (s.T_cur, s.T_i, s.last_epoch, o.param_groups[0]["lr"]) for e in (7, 2.5, 30.25, None, 0, -1)]
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.CosineAnnealingWarmRestarts(o, 3); [caught(s.step, e) or (s.T_cur, s.T_i, s.last_epoch, o.param_groups[0]["lr"]) for e in (7, 2.5, 30.25, None)]
S = torch.optim.lr_scheduler; S.StepLR(3, 3)
S = torch.optim.lr_scheduler; S.CyclicLR(3, 3, 4)
S = torch.optim.lr_scheduler; S.OneCycleLR(3, 3, 4)
S = torch.optim.lr_scheduler; S.ReduceLROnPlateau(3)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.StepLR(o, 3, last_epoch=4)
o = torch.optim.SGD([{"params": [leaf(1)], "initial_lr": 0.2}], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3, last_epoch=2); o.param_groups[0]["lr"], s.last_epoch, s.base_lrs
o = torch.optim.SGD([{"params": [leaf(1)], "initial_lr": 0.2}], lr=0.1); s = torch.optim.lr_scheduler.CosineAnnealingLR(o, 9, last_epoch=2); o.param_groups[0]["lr"]; s.step(); o.param_groups[0]["lr"]
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.LambdaLR(o, [lambda e: 1, lambda e: 2])
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.MultiplicativeLR(o, [lambda e: 1, lambda e: 2])
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.MultiplicativeLR(o, 3)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.ConstantLR(o, factor=2)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.LinearLR(o, start_factor=0)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.LinearLR(o, end_factor=1.5)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 0)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 0)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, eta_min="x")
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.CyclicLR(o, 0.1, [0.2, 0.3])
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.CyclicLR(o, 0.1, 0.2, mode="x")
o = torch.optim.Adagrad([leaf(1)], lr=0.1); torch.optim.lr_scheduler.CyclicLR(o, 0.1, 0.2)
o = torch.optim.Adagrad([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 5)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 0)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=3)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1, epochs=3, steps_per_epoch=-1)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 5, pct_start=1)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 5, anneal_strategy="x")
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 2); [caught(s.step) for _ in range(3)]
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.ReduceLROnPlateau(o, "x")
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x")
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=1.0)
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.ReduceLROnPlateau(o, min_lr=[0.1, 0.2])
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=[0.01]); o.add_param_group({"params": leaf(1)}); s.step(1.0); s.step(torch.tensor(2.0))
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=0.05); o.add_param_group({"params": leaf(1)}); s.step(1.0); s.step(torch.tensor(2.0)); s.get_last_lr(), s.state_dict()
o = torch.optim.SGD([leaf(1)], lr=0.1); torch.optim.lr_scheduler.SequentialLR(o, [], [])
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; S.SequentialLR(o, [S.StepLR(o, 3)], [1])
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; S.SequentialLR(o, [S.StepLR(o, 3), 4], [1])
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; S.SequentialLR(o, [S.StepLR(o, 3), S.ReduceLROnPlateau(o)], [1])
o, p = (torch.optim.SGD([leaf(1)], lr=0.1) for _ in "ab"); S = torch.optim.lr_scheduler; S.SequentialLR(o, [S.StepLR(o, 3), S.StepLR(p, 3)], [1])
S = torch.optim.lr_scheduler; S.ChainedScheduler([])
o, p = (torch.optim.SGD([leaf(1)], lr=0.1) for _ in "ab"); S = torch.optim.lr_scheduler; S.ChainedScheduler([S.StepLR(o, 3), S.StepLR(p, 3)])
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; S.ChainedScheduler([S.ReduceLROnPlateau(o)])
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.LRScheduler(o)
o = torch.optim.SGD([leaf(1)], lr=0.1); S = torch.optim.lr_scheduler; s = S.StepLR(o, 3); s.get_lr(), s.state_dict()
"""

WARNINGS = """
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3); s.step(); s.step()
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3); o.step(); s.step(); s.step()
o = torch.optim.SGD([leaf(1)], lr=0.1); o.step(); s = torch.optim.lr_scheduler.StepLR(o, 3); s.step()
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3); o.step = lambda: None; s.step()
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3); o.step(); r = torch.optim.lr_scheduler.StepLR(o, 3); r.step()
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3); o.step(); s.step(3)
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.StepLR(o, 3); s.get_lr()
o = torch.optim.SGD([leaf(1)], lr=0.1); s = torch.optim.lr_scheduler.ReduceLROnPlateau(o, 'min'); s.step(1.0, 3)
"""


@pytest.mark.parametrize("case", cases(LINES))
def test_lines(case: str) -> None:
    agree(case)


def warned(library: ModuleType, case: str) -> list[tuple[str, str]]:
    """The warnings of `case`. (Whom PyTorch blames for `get_lr` is itself.)"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(case, {"torch": library, "leaf": lambda n: library.zeros(n, requires_grad=True)})
    return [(w.category.__name__, str(w.message)) for w in caught]


@pytest.mark.parametrize("case", cases(WARNINGS))
def test_warnings(case: str) -> None:
    assert warned(tg, case) == warned(torch, case)
