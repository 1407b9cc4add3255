"""from_optax: optimisers that do what optax does, eager and jitted."""

from __future__ import annotations

import copy

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import UnsupportedError

optax = pytest.importorskip("optax", reason="optax is not installed")

RNG = np.random.default_rng(3)
X = RNG.standard_normal((16, 3)).astype(np.float32)
Y = RNG.standard_normal((16, 1)).astype(np.float32)
W = RNG.standard_normal((3, 1)).astype(np.float32)
B = np.zeros(1, np.float32)

TRANSFORMS = {
    "sgd": lambda: optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adamw": lambda: optax.adamw(1e-2, weight_decay=1e-2),
    "clipped": lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2)),
    "scheduled": lambda: optax.rmsprop(optax.cosine_decay_schedule(0.1, 10)),
    "masked": lambda: optax.masked(optax.adam(1e-2), [True, False]),
}


def loss_of(w, b):
    return (((tg.tensor(X) @ w + b) - tg.tensor(Y)) ** 2).mean()


def parameters():
    return [tg.tensor(W).requires_grad_(), tg.tensor(B).requires_grad_()]


def by_optax(transform, steps):
    def loss(params):
        w, b = params
        return ((X @ w + b - Y) ** 2).mean()

    params = [W, B]
    state = transform.init(params)
    for _ in range(steps):
        updates, state = transform.update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def close(got, wanted):
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_steps_agree_with_optax(name, jitted):
    transform = TRANSFORMS[name]()
    params = parameters()
    w, b = params
    x, y = tg.tensor(X), tg.tensor(Y)
    opt = tg.optim.from_optax(transform)(params)

    def step(x, y):
        opt.zero_grad()
        loss = (((x @ w + b) - y) ** 2).mean()
        loss.backward()
        opt.step()
        return loss

    run = tg.jit(step) if jitted else step
    for _ in range(6):
        run(x, y)
    wanted, state = by_optax(transform, 6)
    close(w, wanted[0])
    close(b, wanted[1])
    found = jax.tree.leaves(opt.optax_state)
    for got, want in zip(found, jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-5, atol=1e-6)


def test_it_is_an_optimizer():
    params = parameters()
    opt = tg.optim.from_optax(optax.sgd(0.5))(params)
    assert isinstance(opt, tg.optim.Optimizer)
    assert "OptaxOptimizer" in repr(opt)
    assert opt.step() is None
    seen = []
    opt.register_step_post_hook(lambda *_: seen.append(1))

    def closure():
        opt.zero_grad()
        loss = loss_of(*params)
        loss.backward()
        return loss

    loss = opt.step(closure)
    assert loss.item() == loss_of(tg.tensor(W), tg.tensor(B)).item()
    assert seen == [1]
    opt.zero_grad()
    assert all(p.grad is None for p in params)


def test_a_parameter_without_gradient_stays():
    w, b = parameters()
    opt = tg.optim.from_optax(optax.adamw(0.1, weight_decay=0.5))([w, b])
    (w**2).sum().backward()
    opt.step()
    assert b.tolist() == [0.0]
    assert w.tolist() != W.tolist()


def test_state_dicts():
    def stepped(opt, params):
        opt.zero_grad()
        loss_of(*params).backward()
        opt.step()

    make = tg.optim.from_optax(optax.adam(0.1))
    params = parameters()
    opt = make(params)
    stepped(opt, params)
    saved = copy.deepcopy(opt.state_dict())
    others = [p.detach().clone().requires_grad_() for p in params]
    other = make(others)
    other.load_state_dict(saved)
    for _ in range(2):
        stepped(opt, params)
        stepped(other, others)
    close(others[0], params[0].detach().numpy())
    assert int(other.optax_state[0].count.item()) == 3


def test_what_is_refused():
    with pytest.raises(TypeError, match="expected an optax transformation, got int"):
        tg.optim.from_optax(3)
    make = tg.optim.from_optax(optax.sgd(0.1))
    with pytest.raises(UnsupportedError, match="options \\(lr\\) are the transformation's"):
        make([{"params": parameters(), "lr": 0.1}])
    opt = make(parameters())
    with pytest.raises(UnsupportedError, match="one parameter group"):
        opt.add_param_group({"params": parameters()})
    with pytest.raises(ValueError, match="empty parameter list"):
        make([])
