"""Optimisers: formulas by hand, parameter groups, state, hooks; written so that nothing asks for a tensor's value."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import tapegrad as tg
from tapegrad.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    required,
)


def leaf(*values: float, dtype: Any = tg.float64) -> tg.Tensor:
    return tg.tensor(values, dtype=dtype, requires_grad=True)


def stepped(make: Callable[[list[Any]], Any], grads: list[float], start: float = 1.0) -> list[float]:
    """Where one parameter is after each of the steps with these gradients."""
    p = leaf(start)
    opt = make([p])
    path = []
    for g in grads:
        p.grad = tg.tensor([g], dtype=tg.float64)
        opt.step()
        path.append(p.item())
    return path


# Formulas, in Python floats

GRADS = [0.5, -2.0, 1.0]


def test_sgd_with_momentum_and_decay() -> None:
    p, b, path = 1.0, None, []
    for g in GRADS:
        g = g + 0.1 * p
        b = g if b is None else 0.9 * b + 0.7 * g
        p -= 0.01 * b
        path.append(p)
    got = stepped(lambda ps: tg.optim.SGD(ps, lr=0.01, momentum=0.9, dampening=0.3, weight_decay=0.1), GRADS)
    assert got == pytest.approx(path, rel=1e-14)


def test_sgd_with_nesterov_momentum_upwards() -> None:
    p, b, path = 1.0, 0.0, []
    for i, g in enumerate(GRADS):
        b = 0.9 * b - g if i else -g
        p -= 0.01 * (-g + 0.9 * b)
        path.append(p)
    got = stepped(lambda ps: tg.optim.SGD(ps, lr=0.01, momentum=0.9, nesterov=True, maximize=True), GRADS)
    assert got == pytest.approx(path, rel=1e-14)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(amsgrad: bool, decoupled: bool) -> None:
    p, m, v, most, path = 1.0, 0.0, 0.0, 0.0, []
    for t, g in enumerate([3.0, 1e-3, 1e-3], 1):
        if decoupled:
            p *= 1 - 0.1 * 0.2
        else:
            g += 0.2 * p
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g * g
        most = max(most, v) if amsgrad else v
        p -= 0.1 * (m / (1 - 0.8**t)) / (math.sqrt(most / (1 - 0.9**t)) + 1e-3)
        path.append(p)
    options = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.2, "amsgrad": amsgrad}
    make = tg.optim.AdamW if decoupled else tg.optim.Adam
    assert stepped(lambda ps: make(ps, **options), [3.0, 1e-3, 1e-3]) == pytest.approx(path, rel=1e-13)


def test_rmsprop_centered_with_momentum() -> None:
    p, v, m, b, path = 1.0, 0.0, 0.0, 0.0, []
    for g in GRADS:
        v = 0.9 * v + 0.1 * g * g
        m = 0.9 * m + 0.1 * g
        b = 0.5 * b + g / (math.sqrt(v - m * m) + 1e-3)
        p -= 0.01 * b
        path.append(p)
    make = tg.optim.RMSprop
    got = stepped(lambda ps: make(ps, lr=0.01, alpha=0.9, eps=1e-3, momentum=0.5, centered=True), GRADS)
    assert got == pytest.approx(path, rel=1e-13)


def test_adagrad_with_decay_of_the_rate() -> None:
    p, s, path = 1.0, 0.25, []
    for t, g in enumerate(GRADS):
        s += g * g
        p -= 0.1 / (1 + t * 0.5) * g / (math.sqrt(s) + 1e-3)
        path.append(p)
    make = tg.optim.Adagrad
    got = stepped(lambda ps: make(ps, lr=0.1, lr_decay=0.5, initial_accumulator_value=0.25, eps=1e-3), GRADS)
    assert got == pytest.approx(path, rel=1e-14)


def test_the_first_step_of_adam_is_the_rate_in_float32() -> None:
    """`m / sqrt(v)` is 1 after the corrections, to a few roundings: `1 - 0.999` in float32 is off by 1e-5."""
    p = leaf(0.0, 0.0, dtype=tg.float32)
    p.grad = tg.tensor([3.0, -1e-2])
    tg.optim.Adam([p], lr=1.0, eps=0.0).step()
    assert p.tolist() == pytest.approx([-1.0, 1.0], rel=4 * 2.0**-23)


def test_16_bit_parameters_are_rounded_once() -> None:
    """Computed in float32 from the state as it is kept, an update is right to half a unit in the last of 8 places."""
    grad = tg.linspace(0.3, 2.0, 200).bfloat16()
    p = tg.zeros(200, dtype=tg.bfloat16, requires_grad=True)
    p.grad = grad
    opt = tg.optim.Adam([p], lr=0.1)
    opt.step()
    m, v = (opt.state[p][key].double() for key in ("exp_avg", "exp_avg_sq"))
    exact = -0.1 * (m / (1 - 0.9)) / ((v / (1 - 0.999)).sqrt() + 1e-8)
    assert ((p.detach().double() - exact).abs() <= 0.501 * 2.0**-7 * 2 ** exact.abs().log2().floor()).all()
    assert ((m - 0.1 * grad.double()).abs() <= 0.501 * 2.0**-7 * 2 ** m.log2().floor()).all()
    q = tg.ones(200, dtype=tg.bfloat16, requires_grad=True)
    q.grad = grad
    tg.optim.SGD([q], lr=0.1).step()
    exact = 1 - 0.1 * grad.double()
    assert ((q.detach().double() - exact).abs() <= 0.501 * 2.0**-7 * 2 ** exact.log2().floor()).all()


def test_gradients_through_a_centered_rmsprop() -> None:
    def after(x: tg.Tensor) -> tg.Tensor:
        p = x * 1
        p.retain_grad()
        opt = tg.optim.RMSprop([p], lr=0.1, centered=True, momentum=0.5, differentiable=True)
        for factor in (1.0, 2.0, -1.0):
            p.grad = x**3 * factor
            opt.step()
        return p

    assert tg.autograd.gradcheck(after, (leaf(0.5, 1.5),))


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs_finds_the_minimum_of_a_quadratic(line_search: str | None) -> None:
    scale, goal = tg.tensor([1.0, 10.0, 100.0], dtype=tg.float64), tg.tensor([3.0, -2.0, 0.5], dtype=tg.float64)
    p = leaf(0.0, 0.0, 0.0)
    opt = tg.optim.LBFGS([p], line_search_fn=line_search, max_iter=50)

    def closure() -> tg.Tensor:
        opt.zero_grad()
        loss = (scale * (p - goal) ** 2).sum()
        loss.backward()
        return loss

    first = opt.step(closure)
    assert first.item() == 1 * 9 + 10 * 4 + 100 * 0.25
    assert p.tolist() == pytest.approx(goal.tolist(), abs=1e-6)


def test_lbfgs_uses_the_history_of_complex_and_missing_gradients() -> None:
    p, q = tg.tensor([1 + 2j], dtype=tg.complex128, requires_grad=True), leaf(5.0)
    opt = tg.optim.LBFGS([p, q])

    def closure() -> tg.Tensor:
        opt.zero_grad()
        loss = ((p - (3 - 1j)).abs() ** 2).sum()
        loss.backward()
        return loss

    opt.step(closure)
    assert p.item() == pytest.approx(3 - 1j, abs=1e-6)
    assert q.item() == 5.0


# No value of a tensor goes into Python: what the compiled step needs

MAKERS = {
    "SGD": lambda ps: tg.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda ps: tg.optim.Adam(ps, lr=0.1, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda ps: tg.optim.AdamW(ps, lr=tg.tensor(0.1)),
    "RMSprop": lambda ps: tg.optim.RMSprop(ps, centered=True, momentum=0.9),
    "Adagrad": lambda ps: tg.optim.Adagrad(ps, lr_decay=0.1),
}


class _Reader(tg.tape.Watcher):
    """Fails where the value of a tensor goes into Python."""

    def reads_value(self, what: str, t: Any = None) -> bool:
        raise AssertionError(f"{what} reads a value")


@pytest.fixture
def no_reading() -> Any:
    reader = _Reader()
    yield lambda: tg.tape.state.now.watch(reader)
    tg.tape.state.now.unwatch(reader)


@pytest.mark.parametrize("name", MAKERS)
def test_a_step_reads_no_value(name: str, no_reading: Any) -> None:
    ps = [leaf(1.0, 2.0), leaf(3.0), leaf(1.0, dtype=tg.float32)]
    opt = MAKERS[name](ps)
    for p in ps[:2]:
        p.grad = p.detach() * 2
    no_reading()
    opt.step()
    ps[2].grad = ps[2].detach() * 2
    tg.nn.utils.clip_grad_norm_(ps, 0.1)
    tg.nn.utils.clip_grad_value_(ps, 0.1)
    opt.step()
    opt.zero_grad()


def test_the_reader_fails(no_reading: Any) -> None:
    t = tg.tensor(1.0)
    no_reading()
    with pytest.raises(AssertionError, match="reads a value"):
        t.item()


@pytest.mark.parametrize("name", MAKERS)
def test_state_is_written_in_place(name: str) -> None:
    p = leaf(1.0, 2.0)
    opt = MAKERS[name]([p])
    p.grad = p.detach() * 2
    opt.step()
    before, version = dict(opt.state[p]), p._version
    opt.step()
    assert before
    assert all(opt.state[p][key] is value for key, value in before.items())
    assert p._version == version + (2 if name == "AdamW" else 1)  # AdamW's decay is a write of its own
    assert p.requires_grad
    assert p.is_leaf
    assert not any(value.requires_grad for value in before.values())


def test_parameters_step_on_their_own() -> None:
    """Counts and averages are each parameter's, whatever the others do."""
    grads = [1.0, 2.0, -1.0, 3.0]
    alone = stepped(lambda ps: tg.optim.Adam(ps, lr=0.1), grads)
    p, others = leaf(1.0), [leaf(1.0), leaf(2.0, 3.0, dtype=tg.float32)]
    opt = tg.optim.Adam([others[0], p, others[1]], lr=0.1)
    path = []
    for i, g in enumerate([*grads[:2], None, *grads[2:]]):
        p.grad = None if g is None else tg.tensor([g], dtype=tg.float64)
        others[i % 2].grad = others[i % 2].detach()
        opt.step()
        path.append(p.item())
    assert [path[0], path[1], path[3], path[4]] == pytest.approx(alone, rel=1e-13)
    assert path[2] == path[1]
    assert [opt.state[q]["step"].item() for q in (p, *others)] == [4.0, 5.0, 4.0]


def test_options_are_read_at_each_step() -> None:
    p = leaf(1.0)
    opt = tg.optim.SGD([p], lr=0.1)
    p.grad = tg.tensor([1.0], dtype=tg.float64)
    opt.step()
    opt.param_groups[0]["lr"] = 0.5
    opt.step()
    assert p.item() == pytest.approx(1 - 0.1 - 0.5)


def test_groups_have_their_own_options() -> None:
    a, b = leaf(1.0), leaf(1.0)
    opt = tg.optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    a.grad = b.grad = tg.tensor([1.0], dtype=tg.float64)
    opt.step()
    assert (a.item(), b.item()) == (0.9, 0.5)


# Hooks of all optimisers; what stays when something fails


def test_hooks_of_all_optimisers() -> None:
    log: list[str] = []
    handles = [
        register_optimizer_step_pre_hook(lambda o, a, k: log.append("all before")),
        register_optimizer_step_post_hook(lambda o, a, k: log.append("all after")),
    ]
    opt = tg.optim.SGD([leaf(1.0)], lr=0.1)
    opt.register_step_pre_hook(lambda o, a, k: log.append("before"))
    opt.register_step_post_hook(lambda o, a, k: log.append("after"))
    opt.step()
    assert log == ["all before", "before", "after", "all after"]
    for handle in handles:
        handle.remove()
    opt.step()
    assert log[4:] == ["before", "after"]


def test_required_options() -> None:
    assert repr(required) == "<required parameter>"
    with pytest.raises(
        ValueError, match="parameter group didn't specify a value of required optimization parameter lr"
    ):
        tg.optim.Optimizer([leaf(1.0)], {"lr": required})
    opt = tg.optim.Optimizer([{"params": [leaf(1.0)], "lr": 3}], {"lr": required})
    assert opt.param_groups[0]["lr"] == 3


def test_a_refused_group_changes_nothing() -> None:
    p = leaf(1.0)
    opt = tg.optim.SGD([p], lr=0.1)
    group = {"params": [leaf(2.0), p]}
    before = dict(group)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        opt.add_param_group(group)
    assert group == before
    assert len(opt.param_groups) == 1


def test_a_refused_state_changes_nothing() -> None:
    p = leaf(1.0)
    opt = tg.optim.SGD([p], lr=0.1, momentum=0.9)
    p.grad = tg.tensor([1.0], dtype=tg.float64)
    opt.step()
    before = copy.deepcopy(opt.state_dict())
    with pytest.raises(ValueError, match="that doesn't match the size of optimizer's group"):
        opt.load_state_dict(tg.optim.SGD([leaf(1.0), leaf(2.0)], lr=0.5).state_dict())
    assert repr(opt.state_dict()) == repr(before)


@pytest.mark.parametrize("name", MAKERS)
def test_copies_go_on_as_the_original(name: str) -> None:
    p = leaf(1.0, 2.0)
    opt = MAKERS[name]([p])
    p.grad = p.detach() * 2
    opt.step()
    copies = [copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))]
    opt.step()
    for other in copies:
        (q,) = other.param_groups[0]["params"]
        q.grad = p.grad.clone()
        other.step()
        assert q is not p
        assert q.tolist() == p.tolist()
        assert repr(other) == repr(opt)


def test_saved_with_the_library() -> None:
    import io

    p = leaf(1.0, 2.0)
    opt = tg.optim.Adam([p], lr=0.1)
    p.grad = p.detach() * 2
    opt.step()
    file = io.BytesIO()
    tg.save(opt.state_dict(), file)
    file.seek(0)
    q = tg.tensor(p.tolist(), dtype=tg.float64, requires_grad=True)
    other = tg.optim.Adam([q])
    other.load_state_dict(tg.load(file))
    q.grad = p.grad.clone()
    opt.step()
    other.step()
    assert q.tolist() == p.tolist()


# Schedulers


def test_a_scheduler_sees_steps_that_only_show_in_writes() -> None:
    """A compiled step runs no Python of the optimiser: it is its writes that tell the scheduler."""
    p = leaf(1.0)
    opt = tg.optim.SGD([p], lr=0.1)
    scheduler = tg.optim.lr_scheduler.ExponentialLR(opt, 0.5)
    with tg.no_grad():
        p.add_(1.0)
    scheduler.step()  # a warning would be an error
    assert opt.param_groups[0]["lr"] == 0.05


def test_a_scheduler_leaves_no_trace_on_its_optimiser() -> None:
    opt = tg.optim.SGD([leaf(1.0)], lr=0.1)
    before = set(opt.__dict__)
    scheduler = tg.optim.lr_scheduler.StepLR(opt, 3)
    opt.step()
    scheduler.step()
    assert set(opt.__dict__) == before


def test_one_cycle_refuses_bad_arguments_before_it_changes_the_optimiser() -> None:
    opt = tg.optim.SGD([leaf(1.0)], lr=0.1, momentum=0.5)
    before = dict(opt.param_groups[0])
    for make in (
        lambda: tg.optim.lr_scheduler.OneCycleLR(opt, 0.1, 5, anneal_strategy="x"),
        lambda: tg.optim.lr_scheduler.CyclicLR(opt, 0.1, 0.2, mode="x"),
        lambda: tg.optim.lr_scheduler.CyclicLR(opt, 0.1, [0.2, 0.3]),
    ):
        with pytest.raises(ValueError, match=r"anneal_strategy|mode is invalid|same length"):
            make()
    assert opt.param_groups[0] == before
