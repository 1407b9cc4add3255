"""`torch.optim`: the same parameters and state after 100 steps, the same state dicts, hooks and errors."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

from .harness import agree, cases  # noqa: E402

STEPS = 100
SHAPES = ((5, 3), (3,), ())

CALLS = cases("""
SGD(ps, lr=0.1)
SGD(ps, lr=0.1, weight_decay=0.1, maximize=True)
SGD(ps, lr=0.05, momentum=0.9)
SGD(ps, lr=0.05, momentum=0.9, dampening=0.3)
SGD(ps, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)
SGD(ps, lr=torch.tensor(0.05), momentum=0.9, weight_decay=torch.tensor(0.01))
Adam(ps)
Adam(ps, lr=0.1, betas=(0.5, 0.9), eps=1e-3)
Adam(ps, lr=0.1, betas=(0.0, 0.0))
Adam(ps, lr=0.1, weight_decay=0.1, amsgrad=True)
Adam(ps, lr=0.1, maximize=True, decoupled_weight_decay=True, weight_decay=0.1)
Adam(ps, lr=torch.tensor(0.1))
Adam(ps, lr=torch.tensor([0.1]), betas=(torch.tensor(0.9), torch.tensor(0.99)))
AdamW(ps)
AdamW(ps, lr=0.1, weight_decay=0.3, amsgrad=True, maximize=True)
RMSprop(ps)
RMSprop(ps, lr=0.1, alpha=0.9, eps=1e-3, weight_decay=0.1, maximize=True)
RMSprop(ps, momentum=0.9)
RMSprop(ps, centered=True)
RMSprop(ps, centered=True, momentum=0.5, weight_decay=0.1)
RMSprop(ps, lr=torch.tensor(0.01))
Adagrad(ps)
Adagrad(ps, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3)
Adagrad(ps, lr=torch.tensor(0.1), lr_decay=0.1, maximize=True)
""")


def dtype_of(library: ModuleType, name: str) -> Any:
    return getattr(library, name)


def values(t: Any) -> np.ndarray[Any, Any]:
    t = t.detach()
    wide = torch if isinstance(t, torch.Tensor) else tg
    return np.array((t if t.dtype.is_complex else t.to(wide.float64)).numpy())


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    real = rng.normal(size=shape)
    return (real + 1j * rng.normal(size=shape)) if dtype.startswith("complex") else real


class Run:
    """An optimiser of three parameters that is given the same gradients in each library.

    The gradients do not depend on the parameters, so that differences of rounding add up and are not amplified. One
    parameter now and then has none, and the learning rate falls.
    """

    def __init__(self, library: ModuleType, call: str, dtype: str = "float32", seed: int = 0) -> None:
        self.library, self.dtype = library, dtype
        self.rng = np.random.default_rng(seed)
        self.ps = [self.tensor(numbers(self.rng, shape, dtype)).requires_grad_() for shape in SHAPES]
        self.opt = eval(f"torch.optim.{call}", {"torch": library, "ps": self.ps})
        self.count = 0

    def tensor(self, array: Any) -> Any:
        return self.library.tensor(np.asarray(array).tolist(), dtype=dtype_of(self.library, self.dtype))

    def go(self, steps: int) -> Run:
        for _ in range(steps):
            self.count += 1
            for i, (p, shape) in enumerate(zip(self.ps, SHAPES, strict=True)):
                grad = self.tensor(numbers(self.rng, shape, self.dtype) * (1 + i))
                p.grad = None if i == 1 and self.count % 7 in (1, 4) else grad
            self.opt.step()
            for group in self.opt.param_groups:
                group["lr"] = group["lr"] * 0.99
        return self

    def seen(self) -> dict[str, Any]:
        found = {f"p{i}": values(p) for i, p in enumerate(self.ps)}
        for i, p in enumerate(self.ps):
            for key, value in self.opt.state[p].items():
                assert value.dtype == (p.dtype if key != "step" else dtype_of(self.library, "float32")), key
                assert key == "step" or value.shape == p.shape
                found[f"state {i} {key}"] = values(value)
        return found


def close(expected: dict[str, Any], got: dict[str, Any], ulps: float, eps: float, least: float = 1e-3) -> None:
    """Each array is the same up to `ulps` roundings of its largest element, or of `least`."""
    assert list(expected) == list(got)
    for name, a in expected.items():
        if "step" in name:
            assert np.array_equal(a, got[name]), name
            continue
        bound = ulps * eps * max(np.abs(a).max(), least)
        assert np.abs(a - got[name]).max() <= bound, (name, np.abs(a - got[name]).max() / bound, a, got[name])


# Each step rounds a parameter once, and its update a few times more; PyTorch fuses some products and sums. The
# differences of a step are thus a few half units in the last place, of either sign: over 100 steps they walk about
# sqrt(100) times as far. 40 units are four standard deviations of such a walk.
ULPS = 40
EPS = {"float32": 2.0**-23, "complex64": 2.0**-23, "float64": 2.0**-52}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", CALLS)
def test_100_steps(call: str, dtype: str) -> None:
    """With a learning rate in a float32 tensor, PyTorch also rounds the step size to float32."""
    expected, got = (Run(library, call, dtype).go(STEPS).seen() for library in (torch, tg))
    close(expected, got, ULPS, EPS["float32" if "torch.tensor" in call else dtype])


@pytest.mark.parametrize("call", [call for call in CALLS if "centered" not in call and "tensor" not in call])
def test_100_steps_of_complex_parameters(call: str) -> None:
    expected, got = (Run(library, call, "complex64").go(STEPS).seen() for library in (torch, tg))
    close(expected, got, ULPS, EPS["complex64"])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("call", [call for call in CALLS if "tensor" not in call])
def test_steps_of_16_bits(call: str, dtype: str) -> None:
    """PyTorch rounds to 16 bits after each operation, tapegrad where it writes: four roundings a step against one."""
    eps = {"bfloat16": 2.0**-7, "float16": 2.0**-10}[dtype]
    expected, got = (Run(library, call, dtype).go(10).seen() for library in (torch, tg))
    close(expected, got, 4 * math.sqrt(10), eps, least=3.0)  # as large as the gradients, which may cancel


@pytest.mark.parametrize("call", ["Adam(ps, lr=1.0)", "Adam(ps, lr=1.0, amsgrad=True)", "Adagrad(ps, lr_decay=0.1)"])
def test_corrections_are_as_exact_as_in_float64(call: str) -> None:
    """The first steps from 0 are the updates themselves. (`1 - 0.999 ** t` in float32 would be off by 1e-5.)"""
    updates: list[list[Any]] = []
    for library in (torch, tg):
        p = library.zeros(50, requires_grad=True)
        opt = eval(f"torch.optim.{call}", {"torch": library, "ps": [p]})
        rng = np.random.default_rng(1)
        seen = []
        for _ in range(5):
            p.grad = library.tensor(rng.uniform(0.5, 2.0, 50).tolist())
            with library.no_grad():
                p.zero_()
            opt.step()
            seen.append(values(p))
        updates.append(seen)
    np.testing.assert_allclose(*updates, rtol=8 * 2.0**-23)  # a few roundings


# Closed loops: the gradient depends on the parameters, as in training


def train(library: ModuleType, call: str, steps: int, dtype: str = "float64") -> dict[str, Any]:
    rng = np.random.default_rng(3)
    d = dtype_of(library, dtype)
    x, y = (library.tensor(rng.normal(size=(20, n)).tolist(), dtype=d) for n in (4, 2))
    ps = [library.tensor(rng.normal(size=s).tolist(), dtype=d, requires_grad=True) for s in ((4, 3), (3,), (3, 2))]
    opt = eval(f"torch.optim.{call}", {"torch": library, "ps": ps})

    def closure() -> Any:
        opt.zero_grad()
        loss = (((x @ ps[0] + ps[1]).tanh() @ ps[2] - y) ** 2).mean()
        loss.backward()
        return loss

    losses = [values(opt.step(closure)) for _ in range(steps)]
    state = opt.state[ps[0]]
    counts = {f"step {key}": np.array(state[key]) for key in ("n_iter", "func_evals") if key in state}
    return {**{f"p{i}": values(p) for i, p in enumerate(ps)}, "losses": np.array(losses), **counts}


@pytest.mark.parametrize("call", ["SGD(ps, lr=0.1, momentum=0.9)", "Adam(ps, lr=0.01)", "RMSprop(ps)", "Adagrad(ps)"])
def test_training_by_closure(call: str) -> None:
    expected, got = (train(library, call, STEPS) for library in (torch, tg))
    close(expected, got, 10 * ULPS, EPS["float64"])


@pytest.mark.parametrize(
    "call",
    [
        "LBFGS(ps)",
        "LBFGS(ps, lr=0.5, max_iter=4, history_size=3)",
        "LBFGS(ps, line_search_fn='strong_wolfe')",
        "LBFGS(ps, lr=5.0, max_iter=7, line_search_fn='strong_wolfe', history_size=5)",
        "LBFGS(ps, lr=torch.tensor(0.3, dtype=torch.float64), max_eval=3, line_search_fn='strong_wolfe')",
        "LBFGS(ps, max_eval=1, line_search_fn='strong_wolfe')",
        "LBFGS(ps, tolerance_grad=1e-2)",
        "LBFGS(ps, tolerance_change=1e-2, max_iter=100)",
    ],
)
def test_lbfgs(call: str) -> None:
    """The same number of evaluations, and the same way.

    Each iteration amplifies differences of rounding, the more the further it overshoots: over these 40 by less than
    1e8, where another rule would lead elsewhere altogether.
    """
    expected, got = (train(library, call, 2) for library in (torch, tg))
    close(expected, got, 1e8, EPS["float64"])


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs_on_a_curved_valley(line_search: str | None) -> None:
    """Rosenbrock's function, where trial steps fail, from a start that needs all branches of the line search."""

    def run(library: ModuleType, start: list[float]) -> dict[str, Any]:
        p = library.tensor(start, dtype=library.float64, requires_grad=True)
        opt = library.optim.LBFGS([p], lr=0.01 if line_search is None else 1, max_iter=6, line_search_fn=line_search)

        def closure() -> Any:
            opt.zero_grad()
            loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
            loss.backward()
            return loss

        path = []
        for _ in range(3):
            opt.step(closure)
            path.append(values(p))
        return {"path": np.array(path), "step evals": np.array(opt.state[p]["func_evals"])}

    for start in ([-1.2, 1.0], [3.0, -2.0], [0.0, 5.0], [-30.0, 10.0]):
        expected, got = (run(library, start) for library in (torch, tg))
        close(expected, got, 1e7, EPS["float64"])


@pytest.mark.parametrize("seed", [*range(30), 107, 371, 666, 815])  # the last: found to take rare branches
def test_lbfgs_over_waves(seed: int) -> None:
    """A sum of waves in a bowl, in one dimension: trial steps land anywhere, so that every branch is taken."""

    def run(library: ModuleType) -> list[Any]:
        rng = np.random.default_rng(seed)
        waves = rng.uniform([0.1, 0.3, 0.0], [2.0, 6.0, 7.0], (5, 3)).tolist()
        p = library.tensor([rng.uniform(-4, 4)], dtype=library.float64, requires_grad=True)
        opt = library.optim.LBFGS([p], lr=rng.uniform(0.1, 3.0), max_iter=4, line_search_fn="strong_wolfe")
        tried = []

        def closure() -> Any:
            opt.zero_grad()
            loss = 0.02 * (p * p).sum()
            for height, rate, phase in waves:
                loss = loss + (height * (p * rate + phase).sin()).sum()
            loss.backward()
            tried.append(p.item())
            return loss

        opt.step(closure)
        return tried

    expected, got = run(torch), run(tg)
    np.testing.assert_allclose(got, expected, rtol=1e-7)


# State dicts from one library to the other


def converted(value: Any, to: ModuleType) -> Any:
    if isinstance(value, torch.Tensor | tg.Tensor):
        name = str(value.dtype).removeprefix("torch.")
        return to.tensor(value.tolist(), dtype=dtype_of(to, name))
    if isinstance(value, dict):
        return {key: converted(item, to) for key, item in value.items()}
    return type(value)(converted(item, to) for item in value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(("source", "target"), [(torch, tg), (tg, torch)], ids=["from PyTorch", "to PyTorch"])
@pytest.mark.parametrize("call", CALLS)
def test_state_dicts_go_both_ways(call: str, source: ModuleType, target: ModuleType) -> None:
    first = Run(source, call).go(10)
    second = Run(target, call.split("(", maxsplit=1)[0] + "(ps)").go(10)
    for p, q in zip(first.ps, second.ps, strict=True):
        q.data = converted(p.detach(), target)
    state = converted(first.opt.state_dict(), target)
    assert [list(group) for group in state["param_groups"]] == [
        list(g) for g in second.opt.state_dict()["param_groups"]
    ]
    second.opt.load_state_dict(state)
    expected, got = first.go(10).seen(), second.go(10).seen()
    close(expected, got, ULPS, EPS["float32"])


def test_lbfgs_state_goes_both_ways() -> None:
    for source, target in ((torch, tg), (tg, torch)):
        ends = []
        for library in (source, source, target):
            p = library.tensor([3.0, -2.0], dtype=library.float64, requires_grad=True)
            opt = library.optim.LBFGS([p], max_iter=3)
            ends.append((library, p, opt))

        def run(library: ModuleType, p: Any, opt: Any) -> Any:
            def closure() -> Any:
                opt.zero_grad()
                loss = ((p - 1) ** 4).sum()
                loss.backward()
                return loss

            opt.step(closure)
            return values(p)

        run(*ends[0])
        end, start = ends[0], ends[2]
        start[1].data = converted(end[1].detach(), target)
        start[2].load_state_dict(converted(end[2].state_dict(), target))
        np.testing.assert_allclose(run(*end), run(*start), rtol=1e-12)


LINES = """
p = leaf(2); torch.optim.SGD(p)
torch.optim.SGD([])
torch.optim.SGD([3.0])
torch.optim.SGD([t(2).tolist()]) ## says: optimizer can only optimize Tensors, but one of the params is
torch.optim.SGD(3) ## class
torch.optim.SGD({leaf(2)}) ## says: the ordering of tensors in sets will change between runs
torch.optim.SGD([{"params": {1, 2}}])
torch.optim.SGD([leaf(2) * 2])
p = leaf(2) * 2; p.retain_grad(); torch.optim.SGD([p]) and None
p = leaf(2); torch.optim.SGD([p, p]) and None
p = leaf(2); torch.optim.SGD([{"params": [p]}, {"params": [p]}])
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.add_param_group({"params": p})
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.add_param_group([leaf(2)])
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); g = {"params": leaf(3), "lr": 0.5}; o.add_param_group(g); g is o.param_groups[1], g
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.add_param_group({"params": [("w", leaf(2))]})
o = torch.optim.SGD([("w", leaf(2))], lr=0.1); o.add_param_group({"params": [leaf(2)]})
o = torch.optim.SGD([("w", leaf(2)), leaf(3)], lr=0.1)
o = torch.optim.SGD([("w", leaf(2)), ("b", leaf(3))], lr=0.1); o.add_param_group({"params": [("c", leaf(1))]}); o.state_dict(), o.param_groups[0]["param_names"]
a, b = torch.optim.SGD([("w", leaf(2))]), torch.optim.SGD([leaf(2)]); a.load_state_dict(b.state_dict()); a.param_groups[0]["param_names"]
torch.optim.SGD([leaf(2)], lr=-1)
torch.optim.SGD([leaf(2)], lr=t(2))
torch.optim.SGD([leaf(2)], momentum=-1)
torch.optim.SGD([leaf(2)], weight_decay=-0.5)
torch.optim.SGD([leaf(2)], nesterov=True)
torch.optim.SGD([leaf(2)], nesterov=True, momentum=0.9, dampening=0.1)
torch.optim.SGD([leaf(2)], fused=True, differentiable=True)
torch.optim.SGD([leaf(2)], fused=True, foreach=True)
torch.optim.Adam([leaf(2)], lr=-1)
torch.optim.Adam([leaf(2)], lr=math.nan)
torch.optim.Adam([leaf(2)], eps=-1)
torch.optim.Adam([leaf(2)], betas=(1.0, 0.9))
torch.optim.Adam([leaf(2)], betas=(0.9, -0.1))
torch.optim.Adam([leaf(2)], betas=(0, 0.9))
torch.optim.Adam([leaf(2)], betas=(torch.tensor(0.9), 0.9))
torch.optim.Adam([leaf(2)], betas=(torch.tensor(0.9), torch.tensor(0.9)), foreach=True)
torch.optim.Adam([leaf(2)], weight_decay=-1)
torch.optim.Adam([leaf(2)], lr=torch.tensor(0.1), foreach=True)
torch.optim.Adam([leaf(2)], lr=torch.ones(2))
torch.optim.Adam([leaf(2)], lr=torch.tensor(-0.1))
torch.optim.AdamW([leaf(2)], fused=True, foreach=True)
torch.optim.RMSprop([leaf(2)], lr=-1)
torch.optim.RMSprop([leaf(2)], alpha=-1)
torch.optim.RMSprop([leaf(2)], momentum=-1)
torch.optim.RMSprop([leaf(2)], eps=-1)
torch.optim.RMSprop([leaf(2)], weight_decay=-1)
torch.optim.Adagrad([leaf(2)], lr=-1)
torch.optim.Adagrad([leaf(2)], lr_decay=-1)
torch.optim.Adagrad([leaf(2)], weight_decay=-1)
torch.optim.Adagrad([leaf(2)], initial_accumulator_value=-1)
torch.optim.Adagrad([leaf(2)], eps=-1)
torch.optim.LBFGS([leaf(2)], lr=-1)
torch.optim.LBFGS([{"params": [leaf(2)]}, {"params": [leaf(3)]}])
p = leaf(2); torch.optim.LBFGS([p], line_search_fn="other").step(lambda: [p.grad, (p * p).sum().backward(), (p * p).sum()][2])
torch.optim.Optimizer([leaf(2)], {}).step()
torch.optim.LBFGS([leaf(2)]).step() ## class
[repr(o([leaf(2)])) for o in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.LBFGS)]
[o([leaf(2)]).defaults for o in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.LBFGS)]
[o([leaf(2)]).state_dict() for o in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.LBFGS)]
torch.optim.Adagrad([leaf(2), leaf(1, dtype="complex128")], initial_accumulator_value=0.5).state_dict()
repr(torch.optim.SGD([{"params": [leaf(2)], "lr": 0.5}, {"params": leaf(3), "own": "x"}], lr=0.1))
o = torch.optim.SGD([{"params": [leaf(2)], "lr": 0.5}, {"params": leaf(3)}], lr=0.1, momentum=0.9); o.state_dict()
p = leaf(2); o = torch.optim.SGD([p, leaf(3)], lr=0.1); p.grad = t(2); o.step(), len(o.state), p
p = leaf(2); o = torch.optim.Adam([p, leaf(3)]); p.grad = t(2); o.step(), len(o.state), o.state[p], o.state_dict()
p = leaf(2); o = torch.optim.Adam([p], lr=0.1); p.grad = t(2); o.step(); o.state[p]["step"].requires_grad, p.requires_grad, p.is_leaf, p.grad
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.step(lambda: (p * 2).sum())
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); p.grad = t(2); o.zero_grad(); p.grad
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); g = p.grad = t(2); o.zero_grad(set_to_none=False); p.grad, p.grad is g, g
p = leaf(2); o = torch.optim.SGD([p]); (p * p).sum().backward(create_graph=True); o.zero_grad(False); p.grad
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.load_state_dict({"state": {}, "param_groups": []})
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.load_state_dict(torch.optim.SGD([leaf(2), leaf(1)]).state_dict())
p = leaf(2); o = torch.optim.SGD([p], lr=0.1); o.load_state_dict({"state": {0: {"x": torch.ones(2), "step": torch.ones(2)}, 5: "kept"}, "param_groups": [{"params": [0], "lr": 3}]}); o.state_dict()
p = leaf(2); o = torch.optim.Adam([p]); o.load_state_dict({"state": {0: {"step": 3, "l": [torch.ones(1), None, (2, torch.ones(1))]}}, "param_groups": [{"params": [0]}]}); o.state_dict()
p = leaf(2); a = torch.optim.Adam([p]); p.grad = t(2); a.step(); b = torch.optim.Adam([leaf(2)]); b.load_state_dict(a.state_dict()); a.step(); b.state_dict()
p = leaf(2); a = torch.optim.Adam([p]); p.grad = t(2); a.step(); b = torch.optim.Adam([leaf(2, dtype="float32")]); b.load_state_dict(a.state_dict()); a.step(); b.state_dict()
p = leaf(2); o = torch.optim.AdamW([p]); s = o.state_dict(); s["param_groups"][0]["decoupled_weight_decay"] = False; o.load_state_dict(s); o.param_groups[0]["decoupled_weight_decay"]
p = leaf(2); o = torch.optim.SGD([p, p], lr=0.1); o.add_param_group({"params": leaf(1)}); o.state_dict()["param_groups"]
import pickle; p = leaf(2); o = torch.optim.Adam([p]); p.grad = t(2); o.step(); q = pickle.loads(pickle.dumps(o)); q.state_dict(), q.param_groups[0]["params"]
import copy; p = leaf(2); o = torch.optim.Adam([p], lr=0.1); p.grad = t(2); o.step(); q = copy.deepcopy(o); q.step(), q.param_groups[0]["params"][0] is p, q.param_groups[0]["params"], p, q.state_dict()
torch.set_default_dtype(torch.float64); s = torch.optim.Adagrad([leaf(1)]).state_dict(); torch.set_default_dtype(torch.float32); s
p = leaf(2); lr = torch.tensor(0.1); o = torch.optim.SGD([p], lr=lr); p.grad = t(2); o.step(); lr.fill_(0.5); o.step(); p, o.param_groups[0]["lr"] is lr
"""

BLOCKS = """
log = []
p = leaf(2); p.grad = t(2)
o = torch.optim.SGD([p], lr=0.1)
mine = o.register_step_pre_hook(lambda o, a, k: log.append(("before", len(a), a[0] is o, k)))
o.register_step_post_hook(lambda o, a, k: log.append(("after", len(a), k)))
o.step(closure=None)
mine.remove()
o.step(None)
log

p = leaf(2); p.grad = t(2)
o = torch.optim.SGD([p], lr=0.1)
o.register_step_pre_hook(lambda o, a, k: ((a[0], lambda: 7), {}))
o.step()

p = leaf(2); p.grad = t(2)
o = torch.optim.SGD([p], lr=0.1)
o.register_step_pre_hook(lambda o, a, k: 3)
caught(o.step) ## says: must return None or a tuple of (new_args, new_kwargs), but got 3.

log = []
o = torch.optim.SGD([leaf(2)], lr=0.1)
o.register_state_dict_pre_hook(lambda o: log.append("second"))
o.register_state_dict_pre_hook(lambda o: log.append("first"), prepend=True)
o.register_state_dict_post_hook(lambda o, s: {**s, "more": 1})
o.register_state_dict_post_hook(lambda o, s: log.append(sorted(s)), prepend=True)
o.register_load_state_dict_pre_hook(lambda o, s: log.append(sorted(s)))
o.register_load_state_dict_pre_hook(lambda o, s: {**s, "param_groups": [{"params": [0], "lr": 9}]}, prepend=True)
o.register_load_state_dict_post_hook(lambda o: log.append(o.param_groups[0]["lr"]))
o.register_load_state_dict_post_hook(lambda o: log.append("early"), prepend=True)
s = o.state_dict()
o.load_state_dict(s)
s, log

class Own(torch.optim.Optimizer):
    def __init__(self, ps): super().__init__(ps, {"lr": 0.5})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["n"] = state.get("n", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])
p = leaf(2); (p * p).sum().backward()
log = []
o = Own([p]); o.register_step_pre_hook(lambda *a: log.append("before"))
o.step(); o.step()
p, o.state_dict(), log

x = leaf(3); g, = torch.autograd.grad((x * x).sum(), x, create_graph=True)
p = x * 1; p.retain_grad()
o = torch.optim.SGD([p], lr=0.1, momentum=0.9, differentiable=True)
p.grad = g; o.step(); p.grad = g * 2; o.step()
torch.autograd.grad((p * t(3)).sum(), x)

torch.set_default_dtype(torch.float64)  # or PyTorch corrects the averages in float32
x = leaf(3); lr = torch.tensor(0.1, requires_grad=True)
g, = torch.autograd.grad((x ** 3).sum(), x, create_graph=True)
p = x * 1; p.retain_grad()
o = torch.optim.Adam([p], lr=lr, weight_decay=0.1, differentiable=True)
p.grad = g; o.step(); p.grad = g * 2; o.step()
torch.set_default_dtype(torch.float32)
torch.autograd.grad((p * t(3)).sum(), [x, lr])

x = leaf(3); g, = torch.autograd.grad((x ** 3).sum(), x, create_graph=True)
p = x * 1; p.retain_grad()
o = torch.optim.RMSprop([p], lr=0.1, centered=True, momentum=0.5, differentiable=True)
p.grad = g; o.step(); p.grad = g * 2; o.step()
torch.autograd.grad((p * t(3)).sum(), x) ## differs: PyTorch overwrites the average that its gradient needs

x = leaf(3); g, = torch.autograd.grad((x ** 3).sum(), x, create_graph=True)
p = x * 1; p.retain_grad()
o = torch.optim.RMSprop([p], lr=0.1, momentum=0.5, differentiable=True)
p.grad = g; o.step(); p.grad = g * 2; o.step()
torch.autograd.grad((p * t(3)).sum(), x)

x = leaf(3); g, = torch.autograd.grad((x ** 3).sum(), x, create_graph=True)
p = x * 1; p.retain_grad()
o = torch.optim.Adagrad([p], lr=0.1, lr_decay=0.1, differentiable=True)
p.grad = g; o.step(); p.grad = g * 2; o.step()
torch.autograd.grad((p * t(3)).sum(), x)

p = leaf(2)
import warnings
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always")
    torch.optim.SGD([p, p], lr=0.1)
[(x.category.__name__, str(x.message)) for x in w]
"""


@pytest.mark.parametrize("case", cases(LINES))
def test_lines(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(BLOCKS, blocks=True))
def test_blocks(case: str) -> None:
    agree(case)
