"""lower: a tape as a pure JAX function that every JAX transformation takes."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812
from tapegrad.compile import lower


def network(x, w):
    return ((x @ w + 1.0).tanh() * x.sum(1, keepdim=True)).sum()


def network_in_jax(x, w):
    return (jnp.tanh(x @ w + 1.0) * x.sum(1, keepdims=True)).sum()


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (4, 2))]


@pytest.fixture
def program(arrays):
    x, w = map(tg.tensor, arrays)
    return lower(tg.record(network, x, w.requires_grad_()))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_values_and_every_transformation(program, arrays):
    tangents = [np.ones_like(a) for a in arrays]
    close(program(*arrays), network_in_jax(*arrays))
    close(jax.jit(program)(*arrays), network_in_jax(*arrays))
    close(jax.grad(program, 1)(*arrays), jax.grad(network_in_jax, 1)(*arrays))
    close(jax.jit(jax.grad(program, 0))(*arrays), jax.grad(network_in_jax, 0)(*arrays))
    for got, expected in zip(
        jax.vjp(program, *arrays)[1](jnp.float32(2)), jax.vjp(network_in_jax, *arrays)[1](2.0), strict=True
    ):
        close(got, expected)
    for got, expected in zip(
        jax.jvp(program, arrays, tangents), jax.jvp(network_in_jax, arrays, tangents), strict=True
    ):
        close(got, expected)
    batch = [np.stack([a, a * 2]) for a in arrays]
    close(jax.vmap(program)(*batch), jax.vmap(network_in_jax)(*batch))
    close(jax.hessian(program, 1)(*arrays), jax.hessian(network_in_jax, 1)(*arrays))
    assert jax.config.jax_enable_x64 is False


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_export_for_every_platform_from_a_cpu_host(program, arrays, platform):
    exported = jax.export.export(jax.jit(program), platforms=[platform])(*arrays)
    assert exported.platforms == (platform,)
    assert "stablehlo.tanh" in exported.mlir_module()
    if platform == "cpu":
        close(exported.call(*arrays), network_in_jax(*arrays))


def test_a_training_step_with_backward_inside(arrays):
    x, w = map(tg.tensor, arrays)
    w.requires_grad_()
    y = tg.tensor([0, 1, 1])

    def step(x, y):
        loss = F.cross_entropy(x @ w, y)
        loss.backward()
        with tg.no_grad():
            w.sub_(0.5 * w.grad)
        return loss

    tape = tg.record(step, x, y)
    assert (tape.results, tape.writes, tape.grads) == (1, [2], [2])

    def loss(w):
        return -jnp.take_along_axis(jax.nn.log_softmax(arrays[0] @ w), np.array([[0], [1], [1]]), 1).mean()

    value, gradient = jax.value_and_grad(loss)(arrays[1])
    got = jax.jit(lower(tape))(arrays[0], y.numpy(), arrays[1])
    for g, expected in zip(got, (value, arrays[1] - 0.5 * gradient, gradient), strict=True):
        close(g, expected)
    exported = jax.export.export(jax.jit(lower(tape)), platforms=["cuda", "tpu"])(arrays[0], y.numpy(), arrays[1])
    assert exported.nr_devices == 1


def test_gradient_of_a_function_that_takes_gradients(arrays):
    def penalty(x, w):
        (g,) = tg.autograd.grad((x @ w).tanh().sum(), w, create_graph=True)
        return (g * g).sum()

    def penalty_in_jax(x, w):
        return (jax.grad(lambda w: jnp.tanh(x @ w).sum())(w) ** 2).sum()

    x, w = map(tg.tensor, arrays)
    program = lower(tg.record(penalty, x.requires_grad_(), w.requires_grad_()))
    close(program(*arrays), penalty_in_jax(*arrays))
    for argument in (0, 1):
        close(jax.grad(program, argument)(*arrays), jax.grad(penalty_in_jax, argument)(*arrays))


def test_third_order(arrays):
    def third(x):
        y = (x * x * x * x).sum()
        for _ in range(2):
            (y,) = tg.autograd.grad(y, x, create_graph=True)
            y = y.sum()
        (g,) = tg.autograd.grad(y, x)
        return g

    x = tg.tensor(arrays[0], requires_grad=True)
    program = lower(tg.record(third, x))
    close(program(arrays[0]), 24 * arrays[0])
    close(third(x).detach().numpy(), 24 * arrays[0])


def test_derivatives_that_are_zero_have_derivatives(arrays):
    def third(x):
        y = (x.relu() + x.remainder(x.detach().abs() + x * x)).sum()
        for _ in range(3):
            (y,) = tg.autograd.grad(y, x, create_graph=True)
            y = y.sum()
        return y

    x = tg.tensor(arrays[0], requires_grad=True)
    assert third(x).item() == 0.0
    assert lower(tg.record(third, x))(arrays[0]) == 0.0


def test_no_grad_detach_and_data_stop_derivatives(arrays):
    def stopped(x):
        with tg.no_grad():
            a = x * 2
        return (x * a + x.detach() * x + x.data).sum()

    program = lower(tg.record(stopped, tg.tensor(arrays[0], requires_grad=True)))
    close(jax.grad(program)(arrays[0]), 3 * arrays[0])


def test_rebind_value_new_derivative_old(arrays):
    def behind(x):
        y = x * 2
        x.data.mul_(100)
        return (y + x * x).sum()

    x = tg.tensor(arrays[0], requires_grad=True)
    tape = tg.record(behind, x)
    program = lower(tape)
    value, new = program(arrays[0])
    close(value, (2 * arrays[0] + (100 * arrays[0]) ** 2).sum())
    close(new, 100 * arrays[0])
    close(jax.grad(lambda a: program(a)[0])(arrays[0]), 2 + 200 * arrays[0])


def test_leaf_made_inside(arrays):
    def inner(x):
        before = x * 3
        leaf = (x * 2).detach().requires_grad_()
        (g,) = tg.autograd.grad((leaf * leaf * before).sum(), leaf)
        return g

    program = lower(tg.record(inner, tg.tensor(arrays[0])))
    close(program(arrays[0]), 12 * arrays[0] ** 2)


def test_value_used_before_it_required_grad_is_no_path(arrays):
    def late(x):
        leaf = x * 1
        y = leaf * 2
        leaf.requires_grad_()
        (g,) = tg.autograd.grad((y * leaf).sum(), leaf)
        return g

    x = tg.tensor(arrays[0])
    close(lower(tg.record(late, x))(arrays[0]), 2 * arrays[0])
    close(late(x).numpy(), 2 * arrays[0])


def test_float64_is_kept_and_a_narrower_input_refused(arrays):
    x = tg.tensor(arrays[0], dtype=tg.float64)
    program = lower(tg.record(lambda x: (x * 2).sum(), x))
    assert program(arrays[0].astype(np.float64)).dtype == np.float64
    with pytest.raises(tg.ShapeError, match=r"recorded as float64\[3, 4\], got float32\[3, 4\]"):
        program(arrays[0])
    with jax.enable_x64(True):
        assert jax.grad(program)(arrays[0].astype(np.float64)).dtype == np.float64


def test_wrong_shape_and_count_are_named(program, arrays):
    with pytest.raises(tg.ShapeError, match=r"input 0 was recorded as float32\[3, 4\], got float32\[4, 3\]"):
        program(arrays[0].T, arrays[1])
    with pytest.raises(TypeError, match="2 inputs, got 1"):
        program(arrays[0])


def test_every_step_is_checked_against_the_recorded_shape(monkeypatch, arrays):
    from tapegrad.compile.rules import RULES
    from tapegrad.primitives.analytic import exp

    monkeypatch.setitem(RULES, exp, lambda a: jnp.exp(a)[None])
    program = lower(tg.record(lambda x: x.exp().sum(), tg.tensor(arrays[0])))
    with pytest.raises(tg.RuleError, match=r"exp gave float32\[1, 3, 4\], the tape has float32\[3, 4\]"):
        program(arrays[0])


def test_complex_gradients_follow_pytorch(arrays):
    def energy(z):
        (g,) = tg.autograd.grad((z * z.conj()).real.sum(), z)
        return g

    z = (arrays[0] + 1j * arrays[0][::-1]).astype(np.complex64)
    close(lower(tg.record(energy, tg.tensor(z, requires_grad=True)))(z), 2 * z)
    close(energy(tg.tensor(z, requires_grad=True)).numpy(), 2 * z)


def test_shared_work_is_lowered_once(arrays):
    """A value used by the result and by a backward is computed in one place."""

    def step(x, w):
        h = (x @ w).exp()
        h.sum().backward()
        return h.detach()

    x, w = map(tg.tensor, arrays)
    program = lower(tg.record(step, x, w.requires_grad_()))
    with jax.enable_x64(True):
        text = str(jax.make_jaxpr(program)(*arrays))
    assert text.count(" exp ") == 1


def test_long_tape_does_not_recurse():
    def deep(x):
        y = x
        for _ in range(3000):
            y = y + 1.0
        y.sum().backward()
        return y.detach()

    from tapegrad.compile.plan import plan_tape

    tape = tg.record(deep, tg.ones(2, requires_grad=True))
    (region, *_) = [action for action in plan_tape(tape) if hasattr(action, "exports")]
    assert len(region.steps) == 3001
