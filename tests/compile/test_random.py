"""Random numbers compiled: the words of the eager run, the numbers made of them, the state after; sharded as well."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile import lower
from tapegrad.compile.replay import replay
from tapegrad.compile.rules import RULES
from tapegrad.nn import functional
from tapegrad.primitives import random as p
from tapegrad.primitives.threefry import random_words
from tapegrad.utils.checkpoint import checkpoint

SEED = 2**63 + 12345


@pytest.fixture(autouse=True)
def forked():
    with tg.random.fork_rng():
        yield


def start():
    """The default generator, having given an odd number of words."""
    tg.manual_seed(SEED)
    tg.rand(3)


def both(function, *args):
    """The results and the state afterwards, of the eager run and of its tape compiled."""
    start()
    tape = tg.record(function, *args)
    state = tg.default_generator._state
    after = state.numpy().copy()
    start()
    eager = function(*args)
    np.testing.assert_array_equal(state.numpy(), after)
    start()
    inputs = [t.detach().numpy() for t in args]
    inputs += [state.numpy().copy()] * (len(tape.inputs) - len(inputs))
    assert len(inputs) == len(args) + 1
    with jax.enable_x64(True):
        outputs = [np.asarray(out) for out in jax.jit(lower(tape))(*inputs)]
    np.testing.assert_array_equal(outputs[tape.results + tape.writes.index(len(args))], after)
    eager = eager if isinstance(eager, tuple) else (eager,)
    return [t.detach().numpy() for t in eager if t is not None], outputs[: tape.results]


def bits(a):
    return a.view(np.dtype(f"u{a.itemsize}")) if a.dtype.kind in "fV" else a


SAME = {
    "rand": lambda: tg.rand(1001),
    "rand float64": lambda: tg.rand(7, 11, dtype=tg.float64),
    "rand float16": lambda: tg.rand(300, dtype=tg.float16),
    "rand complex": lambda: tg.view_as_real(tg.rand(30, dtype=tg.complex64)),
    "rand of nothing": lambda: tg.rand(0, 3),
    "rand 0-d": lambda: tg.rand(()),
    "randint": lambda: tg.randint(-5, 13, (3, 50)),
    "randint of 64 bits": lambda: tg.randint(-(2**62), 2**62 + 5, (3, 50)),
    "randint uint8": lambda: tg.randint(0, 256, (50,), dtype=tg.uint8),
    "randint float32": lambda: tg.randint(7, (50,), dtype=tg.float32),
    "randint bool": lambda: tg.randint(2, (50,), dtype=tg.bool),
    "randint_like": lambda: tg.randint_like(tg.ones(5), 9),
    "random_": lambda: (tg.zeros(50).random_(), tg.zeros(50, dtype=tg.int64).random_()),
    "randperm": lambda: tg.randperm(1000),
    "randperm int32": lambda: tg.randperm(20, dtype=tg.int32),
    "bernoulli_": lambda: (tg.zeros(999).bernoulli_(0.3), tg.ones(9).bernoulli_(1), tg.ones(9).bernoulli_(0)),
    "bernoulli": lambda: tg.bernoulli(tg.full((99,), 0.5)),
    "geometric_": lambda: tg.zeros(999).geometric_(0.3),
    "multinomial": lambda: (tg.multinomial(tg.full((5, 7), 0.5), 7), tg.multinomial(tg.full((5, 7), 2.0), 9, True)),
    "dropout": lambda: functional.dropout(tg.full((999,), 2.0), 0.25),
    "channels": lambda: functional.dropout2d(tg.full((4, 5, 2, 2), 2.0), 0.25),
    "one after the other": lambda: (tg.rand(3), tg.rand(5, dtype=tg.float64), tg.rand(2), tg.rand(2, dtype=tg.float64)),
    "a seed inside": lambda: (tg.rand(2), tg.manual_seed(5) and None, tg.rand(3)),
    "a state inside": lambda: (s := tg.get_rng_state(), tg.rand(2), tg.set_rng_state(s), tg.rand(2)),
    "generators copied": lambda: tg.rand(3, generator=tg.default_generator.clone_state()) + tg.rand(3),
    "a batch of draws": lambda: tg.vmap(lambda x: x + tg.rand(3), randomness="different")(tg.zeros(4, 3)),
    "a draw for a batch": lambda: tg.vmap(lambda x: x + tg.rand(3), randomness="same")(tg.zeros(4, 3)),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_numbers_bit_for_bit(name):
    eager, compiled = both(SAME[name])
    assert len(eager) == len(compiled) >= 1
    for a, b in zip(eager, compiled, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(bits(a), bits(b))


CLOSE = {  # in units of the last place of the result, or of the largest term of a sum
    "randn": (lambda: tg.randn(100000), 8),
    "randn float64": (lambda: tg.randn(100000, dtype=tg.float64), 8),
    "randn float16": (lambda: tg.randn(3000, dtype=tg.float16), 1),
    "randn complex": (lambda: tg.view_as_real(tg.randn(3000, dtype=tg.complex128)), 10),
    "normal_": (lambda: tg.zeros(3000).normal_(0, 3), 10),
    "normal": (lambda: tg.normal(tg.zeros(3000), 2.0), 10),
    "exponential_": (lambda: tg.zeros(3000).exponential_(2.0), 4),
    "cauchy_": (lambda: tg.zeros(3000).cauchy_(), 1),
    "log_normal_": (lambda: tg.zeros(3000).log_normal_(), 40),  # of numbers up to e**9, whose logarithms are rounded
    "uniform_": (lambda: tg.zeros(3000).uniform_(2, 5), 1),
}


@pytest.mark.parametrize("name", CLOSE)
def test_the_same_numbers_but_for_rounding(name):
    function, ulp = CLOSE[name]
    (a,), (b,) = both(function)
    assert a.dtype == b.dtype
    with np.errstate(over="ignore"):  # of float16's spacing
        error = np.abs(a.astype(np.float64) - b.astype(np.float64)) / np.spacing(np.abs(a)).astype(np.float64)
    assert error.max() <= ulp


# Against JAX


def test_the_words_are_those_of_jax():
    with jax.enable_x64(True), jax.threefry_partitionable(True):
        expected = np.asarray(jax.random.bits(jax.random.key(np.uint64(SEED)), (3000,), jnp.uint64))
    assert sys.byteorder == "little"
    np.testing.assert_array_equal(random_words(SEED, 0, 6000).view(np.uint64), expected)
    start = np.array([SEED - 2**64, 0])
    with jax.enable_x64(True):
        compiled = RULES[p.random_bits](jnp.asarray(start), shape=(3, 1000), words=2)
    np.testing.assert_array_equal(np.asarray(compiled).view(np.uint64).reshape(-1), expected)


@pytest.mark.parametrize("partitionable", [False, True])
def test_settings_of_jax_change_nothing(partitionable):
    state = np.array([77, 5])
    with jax.enable_x64(True), jax.threefry_partitionable(partitionable):
        compiled = jax.jit(lambda s: RULES[p.random_bits](s, shape=(100,), words=1))(state)
    np.testing.assert_array_equal(np.asarray(compiled), p.words_at(77, 5, (100,), 1))


@pytest.mark.parametrize("given", [0, 1, 2**32 - 5, 2**33 - 7, 2**33 - 6, 2**63 - 3, -3, -2])
@pytest.mark.parametrize("words", [1, 2])
def test_counters_carry(given, words):
    state, params = np.array([-5, given]), {"shape": (4, 5), "words": words}
    with jax.enable_x64(True):
        for prim in (p.random_bits, p.random_advance):
            found = jax.jit(lambda s, prim=prim: RULES[prim](s, **params))(state)
            np.testing.assert_array_equal(np.asarray(found), prim.forward(state, **params))


def test_one_draw_is_one_computation():
    """Draws of one shape share one function of the program that is handed to XLA."""
    start()
    tape = tg.record(lambda: tuple(tg.rand(16, 3) for _ in range(20)))
    with jax.enable_x64(True):
        text = jax.jit(lower(tape)).lower(tg.default_generator._state.numpy()).as_text()
    assert text.count("func.func private") <= 3
    assert text.count("stablehlo.xor") < 40


# Sharded

SHARDED = """
import os
import jax, numpy as np
import tapegrad as tg
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from tapegrad.compile import lower

assert jax.device_count() == 4
mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("a", "b"))
for spec in (P("a", "b"), P(None, ("a", "b")), P("b")):
    for draw in (
        lambda: tg.rand(8, 12), lambda: tg.rand(8, 12, dtype=tg.float64), lambda: tg.randint(9, (8, 12)),
        lambda: tg.nn.functional.dropout(tg.ones(8, 12), 0.5),
    ):
        tg.manual_seed(5), tg.rand(3)
        before = tg.default_generator._state.numpy().copy()
        expected = draw().numpy()
        tg.manual_seed(5), tg.rand(3)
        program = lower(tg.record(draw))
        with jax.enable_x64(True):
            placed = jax.jit(program, out_shardings=(NamedSharding(mesh, spec), NamedSharding(mesh, P())))
            executable = placed.lower(before).compile()
            out, state = executable(before)
        assert out.addressable_shards[0].data.size < out.size
        np.testing.assert_array_equal(np.asarray(out), expected)
        np.testing.assert_array_equal(np.asarray(state), tg.default_generator._state.numpy())
        text = executable.as_text()
        assert not any(word in text for word in ("all-gather", "all-reduce", "collective", "all-to-all")), text
print("the same")
"""


def test_the_same_words_on_several_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARDED)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout == "the same\n", run.stderr


# Gradients, checkpoints, replay


def trained(x, w):
    h = functional.dropout((x @ w).tanh(), 0.4)
    loss = (h * tg.randn(4, 5, dtype=tg.float64)).sum()
    (g,) = tg.autograd.grad(loss, w)
    return loss, g


def test_a_gradient_through_dropout():
    x, w = tg.rand(4, 3, dtype=tg.float64), tg.rand(3, 5, dtype=tg.float64, requires_grad=True)
    eager, compiled = both(trained, x, w)
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def checkpointed(w):
    out = checkpoint(lambda w: functional.dropout(w.exp(), 0.5), w, use_reentrant=False)
    after = tg.rand(2)
    (g,) = tg.autograd.grad(out.sum(), w)
    return out, g, after, tg.rand(2)


def test_a_checkpoint_draws_the_same_again():
    eager, compiled = both(checkpointed, tg.ones(64, requires_grad=True))
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    out, g, after, last = compiled
    np.testing.assert_array_equal(out, g)
    assert 0 < (out == 0).sum() < 64
    assert (after != last).all()


def test_uniform_numbers_and_integers_are_exact_in_a_replay_with_noise():
    start()
    draws = lambda: (tg.rand(50), tg.randint(9, (50,), dtype=tg.float32), tg.bernoulli(tg.full((50,), 0.3)) > 0)  # noqa: E731
    tape = tg.record(draws)
    start()
    eager = draws()
    for seed in (None, 1):
        env = replay(tape, tape.values, seed)
        for var, t in zip(tape.outputs, eager, strict=False):
            np.testing.assert_array_equal(env[var], t.double().numpy())


def test_normal_numbers_in_a_replay_are_those_drawn():
    start()
    tape = tg.record(lambda: tg.randn(1000))
    start()
    np.testing.assert_allclose(replay(tape, tape.values)[tape.outputs[0]], tg.randn(1000).double().numpy(), rtol=2e-6)


def test_probabilities_are_looked_at_by_what_is_jitted_only():
    start()
    tape = tg.record(tg.bernoulli, tg.full((3,), 0.5))
    assert not {"ge", "le", "all"} & {step.prim.name for step in tape.steps}
