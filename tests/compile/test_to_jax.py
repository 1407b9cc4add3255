"""to_jax: a pure function of (state, arguments) that does what the function of tensors does, and JAX can transform."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import ShapeError, UnsupportedError

RNG = np.random.default_rng(2)
X = RNG.standard_normal((8, 3)).astype(np.float32)
Y = RNG.standard_normal((8, 2)).astype(np.float32)
START = RNG.standard_normal((3, 2)).astype(np.float32)


class Model:
    def __init__(self):
        self.w = tg.tensor(START.tolist()).requires_grad_()
        self.momentum = tg.zeros(3, 2)
        self.steps = tg.tensor(0)

    def predict(self, x):
        return (x @ self.w).tanh()

    def step(self, x, y):
        loss = ((self.predict(x) - y) ** 2).mean()
        self.w.grad = None
        loss.backward()
        with tg.no_grad():
            self.momentum.mul_(0.9).add_(self.w.grad)
            self.w -= 0.1 * self.momentum
            self.steps += 1
        return loss


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-6)


def trained(steps):
    model = Model()
    losses = [model.step(tg.tensor(X), tg.tensor(Y)).item() for _ in range(steps)]
    return model, losses


def test_a_training_step_agrees_with_eager():
    wanted, losses = trained(4)
    model = Model()
    pure = tg.to_jax(model.step)
    assert pure.__name__ == "step"
    state = pure.state(X, Y)
    assert sorted(state) == ["default_generator", "self.momentum", "self.steps", "self.w"]
    found = []
    jitted = jax.jit(pure)
    for _ in range(4):
        loss, state = jitted(state, X, Y)
        found.append(float(loss))
    close(found, losses)
    assert sorted(state) == ["default_generator", "self.momentum", "self.steps", "self.w", "self.w.grad"]
    for name in ("w", "momentum"):
        close(state[f"self.{name}"], getattr(wanted, name).detach().numpy())
    assert int(state["self.steps"]) == 4
    close(state["self.w.grad"], wanted.w.grad.numpy())


def test_recording_changes_nothing():
    model, fresh = Model(), Model()
    pure = tg.to_jax(model.step)
    state = pure.state()
    pure(state, X, Y)
    close(model.w.detach().numpy(), fresh.w.detach().numpy())
    assert (model.w.grad, model.steps.item(), model.w._version) == (None, 0, 0)
    assert not model.momentum.numpy().any()
    assert model.w.requires_grad
    assert model.w.is_leaf


def test_load_writes_back():
    wanted, _ = trained(3)
    model = Model()
    pure = tg.to_jax(model.step)
    state = pure.state()
    for _ in range(3):
        _, state = pure(state, X, Y)
    w = model.w
    pure.load(state)
    assert model.w is w
    close(model.w.detach().numpy(), wanted.w.detach().numpy())
    close(model.w.grad.numpy(), wanted.w.grad.numpy())
    assert model.steps.item() == 3
    model.step(tg.tensor(X), tg.tensor(Y))
    wanted.step(tg.tensor(X), tg.tensor(Y))
    close(model.w.detach().numpy(), wanted.w.detach().numpy())
    pure.load({name: value for name, value in state.items() if name != "self.w.grad"})
    assert model.w.grad is None


def test_states_are_memory_of_their_own():
    model = Model()
    pure = tg.to_jax(model.step)
    state = pure.state()
    donated = jax.jit(pure, donate_argnums=0)
    loss, state = donated(state, X, Y)
    pure.load(state)
    assert model.w._device is not state["self.w"]
    assert model.w.grad._device is not state["self.w.grad"]
    _, state = donated(state, X, Y)
    wanted, losses = trained(1)
    close(model.w.detach().numpy(), wanted.w.detach().numpy())
    close(float(loss), losses[0])
    with tg.no_grad():
        model.w.zero_()
    close(model.step(tg.tensor(X), tg.tensor(Y)).item(), (Y**2).mean())


def test_scan_over_steps():
    _, losses = trained(5)
    pure = tg.to_jax(Model().step)
    loss, state = pure(pure.state(), X, Y)
    _, rest = jax.lax.scan(lambda state, _: pure(state, X, Y)[::-1], state, length=4)
    close([loss, *rest], losses)


def test_grad_and_vmap_by_jax():
    model = Model()
    pure = tg.to_jax(model.predict)
    state = pure.state()
    w = model.w.detach().numpy()
    gradient = jax.grad(lambda state: pure(state, X)[0].sum(), allow_int=True)(state)
    close(gradient["self.w"], X.T @ (1 - np.tanh(X @ w) ** 2))
    per_example = jax.vmap(jax.grad(lambda x: pure(state, x)[0].sum()))(X)
    close(per_example, (1 - np.tanh(X @ w) ** 2) @ w.T)


def test_what_stops_gradients_stops_those_of_jax():
    pure = tg.to_jax(lambda x: (x * x.detach()).sum())
    close(jax.grad(lambda x: pure({}, x)[0])(X), X)

    def frozen(x):
        with tg.no_grad():
            y = x * 2
        return (x * y).sum()

    close(jax.grad(lambda x: tg.to_jax(frozen)({}, x)[0])(X), 2 * X)


def test_arguments_are_not_written_to():
    def doubled(x):
        x.mul_(2)
        return x + 1

    x = X.copy()
    out, state = tg.to_jax(doubled)({}, x)
    close(out, 2 * X + 1)
    assert state == {}
    close(x, X)


def test_containers_static_values_and_tensors():
    def function(batch, *, power, name):
        return {"out": [batch["x"] ** power, None, name], "n": 3}

    pure = tg.to_jax(function)
    for power in (2, 3):
        result, _ = pure({}, {"x": X}, power=power, name="a")
        close(result["out"][0], X**power)
        assert (result["out"][1:], result["n"]) == ([None, "a"], 3)
    result, _ = pure({}, {"x": tg.tensor(X)}, power=2, name="b")
    close(result["out"][0], X**2)


def test_64_bits_stay():
    pure = tg.to_jax(lambda x, i: (x * 2, i + 1))
    x = np.array([1 + 2**-40])
    (doubled, more), _ = pure({}, x, np.array([2**40]))
    assert np.asarray(doubled).tolist() == [2 * x[0]]
    assert np.asarray(more).tolist() == [2**40 + 1]


def test_what_is_captured_never_goes_stale():
    model = Model()
    scale = [1.0]
    pure = tg.to_jax(lambda x: model.predict(x) * scale[0])
    state = pure.state()
    first, _ = pure(state, X)
    scale[0] = 2.0
    second, _ = pure(state, X)
    close(second, 2 * np.asarray(first))
    model.w = tg.zeros(3, 2)
    third, _ = pure(pure.state(), X)
    assert not third.any()
    recorded = []

    def counted(x):
        recorded.append(x.shape)
        return x * 2

    pure = tg.to_jax(lambda x: counted(x))
    with pytest.raises(UnsupportedError):  # what it appends to would not grow
        pure({}, X)


def test_it_is_recorded_once_per_signature(monkeypatch):
    from tapegrad.compile import interop

    runs = []
    monkeypatch.setattr(interop, "_recorded", lambda *args, inner=interop._recorded: runs.append(1) or inner(*args))
    pure = tg.to_jax(Model().step)
    state = pure.state()
    for _ in range(3):
        _, state = pure(state, X, Y)
    assert len(runs) == 2  # without a gradient, and with one
    pure(state, X[:4], Y[:4])
    assert len(runs) == 3


def test_states_that_do_not_fit():
    model = Model()
    pure = tg.to_jax(model.step)
    state = pure.state()
    with pytest.raises(TypeError, match=r"step: the state does not fit the function: self.w is missing"):
        pure({name: value for name, value in state.items() if name != "self.w"}, X, Y)
    with pytest.raises(TypeError, match="other is nothing that it captures"):
        pure.load({**state, "other": X})
    with pytest.raises(ShapeError, match=r"step: self.w is float32\[3, 2\], the state has float32\[2, 2\]"):
        pure.load({**state, "self.momentum": jnp.ones((3, 2)), "self.w": jnp.ones((2, 2))})
    assert not model.momentum.numpy().any()
    with pytest.raises(TypeError, match="to_jax: expected a function, got int"):
        tg.to_jax(3)


def test_values_read_in_python_are_refused_and_undone():
    model = Model()

    def peeks(x):
        with tg.no_grad():
            model.w.zero_()
        return x.detach().numpy()

    before = model.w.detach().numpy().copy()
    with pytest.raises(UnsupportedError, match="known only when the program runs"):
        tg.to_jax(peeks)(tg.to_jax(peeks).state(), X)
    close(model.w.detach().numpy(), before)


def test_a_function_from_jax_goes_to_jax():
    operation = tg.from_jax(lambda x, w: jnp.sin(x @ w))
    w = tg.tensor(RNG.standard_normal((3, 2)).astype(np.float32))
    pure = tg.to_jax(lambda x: operation(x, w).sum())
    gradient = jax.grad(lambda x: pure(pure.state(), x)[0])(X)
    close(gradient, np.cos(X @ w.numpy()) @ w.numpy().T)


def test_random_numbers_come_from_the_state():
    pure = tg.to_jax(lambda x: x + tg.rand(8, 3))
    with tg.random.fork_rng():
        tg.manual_seed(5)
        state = pure.state()
        wanted = [(tg.tensor(X) + tg.rand(8, 3)).numpy() for _ in range(2)]
    before = tg.get_rng_state().tolist()
    first, state = jax.jit(pure)(state, X)
    second, state = pure(state, X)
    close(first, wanted[0])
    close(second, wanted[1])
    assert tg.get_rng_state().tolist() == before
    with pytest.raises(TypeError, match="default_generator is missing"):
        pure({}, X)
