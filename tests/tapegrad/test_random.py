"""Generators: known words, the same seed or state for the same draws, what draws do to a generator, distributions."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.primitives.normal import normal_quantile
from tapegrad.primitives.threefry import random_words, threefry_2x32

DRAWS = [
    lambda g: tg.rand(3, generator=g),
    lambda g: tg.rand(3, dtype=tg.float64, generator=g),
    lambda g: tg.randn(3, generator=g),
    lambda g: tg.randn(2, dtype=tg.complex128, generator=g),
    lambda g: tg.randint(100, (3,), generator=g),
    lambda g: tg.randperm(5, generator=g),
    lambda g: tg.rand_like(tg.ones(3), generator=g),
    lambda g: tg.randn_like(tg.ones(3), generator=g),
    lambda g: tg.randint_like(tg.ones(3), 100, generator=g),
    lambda g: tg.normal(0.0, tg.ones(3), generator=g),
    lambda g: tg.bernoulli(tg.full((3,), 0.5), generator=g),
    lambda g: tg.multinomial(tg.ones(4), 5, True, generator=g),
    lambda g: tg.poisson(tg.full((3,), 50.0), generator=g),
]


@pytest.fixture
def seeded():
    with tg.random.fork_rng():
        yield tg.manual_seed(7)


# Words


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_known_answers_of_random123(key, counter, words):
    x, y = (np.array([c], np.uint32) for c in counter)
    threefry_2x32(key, x, y)
    assert (int(x[0]), int(y[0])) == words


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 1500), st.integers(0, 700))
def test_a_word_depends_on_its_position_only(seed, start, skipped, count):
    together, apart = random_words(seed, start, skipped + count), random_words(seed, start + skipped, count)
    np.testing.assert_array_equal(together[skipped:], apart)


def test_large_draws_are_small_ones_put_together(seeded):
    whole = tg.rand(40000)
    seeded.manual_seed(7)
    assert tg.equal(whole, tg.cat([tg.rand(1), tg.rand(998), tg.rand(3), tg.rand(29001), tg.rand(9997)]))


def test_draws_of_both_widths_never_share_words():
    g = tg.Generator()
    for draw in (tg.rand, lambda n, **k: tg.rand(n, dtype=tg.float64, **k)) * 2:
        before = g._state.tolist()[1]
        draw(3, generator=g)
        assert g._state.tolist()[1] - before >= 3
    assert g._state.tolist()[1] == 20  # 3, then 1 left out and 6, then 3, then 1 left out and 6


# Seeds and states


@given(st.integers(-(2**63), 2**64 - 1), st.lists(st.sampled_from(DRAWS), max_size=4), st.sampled_from(DRAWS))
def test_seed_and_state_fix_what_follows(seed, before, draw):
    g = tg.Generator().manual_seed(seed)
    assert g.initial_seed() == seed % 2**64
    for each in before:
        each(g)
    state = g.get_state()
    other = g.clone_state()
    expected = draw(g)
    assert tg.equal(draw(tg.Generator().set_state(state)), expected)
    assert tg.equal(draw(other), expected)
    g.manual_seed(seed)
    for each in before:
        each(g)
    assert tg.equal(draw(g), expected)
    assert g.initial_seed() == seed % 2**64


def test_a_state_is_a_copy():
    g = tg.Generator()
    state = g.get_state()
    tg.rand(3, generator=g)
    assert tg.equal(state, tg.Generator().get_state())
    assert not tg.equal(state, g.get_state())
    g.set_state(state)
    state.zero_()
    assert tg.equal(tg.rand(3, generator=g), tg.rand(3, generator=tg.Generator()))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_a_copied_generator_goes_its_own_way(again):
    g = tg.Generator().manual_seed(3)
    tg.rand(3, generator=g)
    other = again(g)
    assert tg.equal(tg.rand(3, generator=other), tg.rand(3, generator=g))
    tg.rand(1, generator=other)
    assert not tg.equal(other.get_state(), g.get_state())


def test_a_generator_takes_the_state_of_another():
    g, other = tg.Generator().manual_seed(3), tg.Generator().manual_seed(4)
    other.graphsafe_set_state(g.graphsafe_get_state())
    assert tg.equal(tg.rand(3, generator=other), tg.rand(3, generator=g))


def test_the_default_generator():
    with tg.random.fork_rng():
        assert tg.manual_seed(3) is tg.default_generator
        assert tg.initial_seed() == 3
        a = tg.rand(3)
        tg.rand(3, generator=tg.Generator())  # draws from another
        b = tg.rand(3)
        tg.manual_seed(3)
        assert tg.equal(tg.rand(6), tg.cat([a, b]))
        assert tg.seed() == tg.initial_seed() != 3


def test_the_default_generator_begins_unforeseen():
    program = "import tapegrad as tg; print(tg.initial_seed(), tg.rand(3).tolist())"
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 2


def test_fork_rng(seeded):
    before = tg.get_rng_state()
    with tg.random.fork_rng():
        tg.rand(3)
        tg.manual_seed(9)
    assert tg.equal(tg.get_rng_state(), before)
    with tg.random.fork_rng(enabled=False):
        tg.rand(3)
    assert not tg.equal(tg.get_rng_state(), before)


def test_a_new_generator_always_starts_the_same():
    assert tg.equal(tg.rand(3, generator=tg.Generator()), tg.rand(3, generator=tg.Generator()))
    assert tg.Generator().device == tg.device("cpu")


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_that_is_too_large(seed):
    g = tg.Generator()
    with pytest.raises(ValueError, match="Overflow"):
        g.manual_seed(seed)
    assert g.initial_seed() == tg.Generator().initial_seed()


def test_what_is_no_generator_seed_or_state():
    with pytest.raises(TypeError, match=r"must be torch.Generator, not int"):
        tg.rand(2, generator=3)
    with pytest.raises(RuntimeError, match="expected a long, but got str"):
        tg.Generator().manual_seed("3")
    with pytest.raises(TypeError, match="ByteTensor"):
        tg.Generator().set_state(tg.zeros(16))
    with pytest.raises(TypeError, match="ByteTensor, but got list"):
        tg.Generator().set_state([3])
    with pytest.raises(RuntimeError, match="wrong size"):
        tg.Generator().set_state(tg.zeros(3, dtype=tg.uint8))
    with pytest.raises(RuntimeError, match="live on the CPU"):
        tg.Generator("cuda")
    with pytest.raises(AttributeError, match="no attribute 'sed'"):
        _ = tg.Generator().sed


BAD = [
    lambda: tg.rand(2, dtype=tg.int64), lambda: tg.randint(5, 5, (2,)), lambda: tg.randint(300, (2,), dtype=tg.uint8),
    lambda: tg.randperm(300, dtype=tg.uint8), lambda: tg.randint(5, (2,), requires_grad=True),
    lambda: tg.bernoulli(tg.tensor([2.0])), lambda: tg.multinomial(tg.tensor([-1.0]), 1), lambda: tg.rand(-1),
    lambda: tg.normal(tg.zeros(2), tg.tensor([1.0, -1.0])), lambda: tg.ones(2).exponential_(0.0),
    lambda: tg.nn.functional.dropout(tg.ones(2, dtype=tg.int64)), lambda: tg.dropout(tg.ones(2), 2.0, True),
    lambda: tg.feature_dropout(tg.ones(2), 0.5, True), lambda: tg.ones(2, requires_grad=True).normal_(),
    lambda: tg.poisson(tg.tensor([-1.0])), lambda: tg.zeros(2).expand(3, 2).uniform_(),
]  # fmt: skip


@pytest.mark.parametrize("call", BAD)
def test_nothing_is_drawn_where_it_fails(seeded, call):
    before = seeded.get_state()
    with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
        call()
    assert tg.equal(seeded.get_state(), before)


def test_threads_share_a_generator():
    g, found = tg.Generator(), []
    draw = lambda: found.extend([tg.rand(50, dtype=tg.float64, generator=g).numpy() for _ in range(40)])  # noqa: E731
    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = tg.rand(8000, dtype=tg.float64, generator=tg.Generator()).numpy()
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.sort(alone))


def test_draws_have_no_graph_and_modes_are_as_elsewhere(seeded):
    x = tg.rand(3, requires_grad=True)
    assert x.is_leaf
    assert not tg.rand(3).requires_grad
    with tg.inference_mode():
        assert tg.rand(2).is_inference()
        tg.manual_seed(3)
    first = tg.rand(2)
    seeded.manual_seed(3)
    assert tg.equal(tg.rand(2), first)
    assert not tg.rand(2).is_inference()
    assert not seeded._state.requires_grad
    assert not seeded._state.is_inference()


# Recording


def test_a_draw_is_two_steps_on_the_state(seeded):
    tape = tg.record(lambda: tg.rand(2))
    assert [step.prim.name for step in tape.steps] == ["random_bits", "random_advance", "random_uniform"]
    assert [tuple(var.shape) for var in tape.inputs] == [(2,)]
    assert tape.writes == [0]
    assert seeded._state.tolist() == [7, 2]


@pytest.mark.parametrize("draw", DRAWS[:-1])
def test_recording_changes_no_number(draw):
    g, other = tg.Generator().manual_seed(5), tg.Generator().manual_seed(5)
    found = []
    tg.record(lambda: found.append(draw(g)))
    assert tg.equal(found[0], draw(other))
    assert tg.equal(g.get_state(), other.get_state())


def test_seeds_and_states_are_recorded(seeded):
    def function():
        before = tg.get_rng_state()
        a = tg.rand(2)
        tg.set_rng_state(before)
        b = tg.rand(2)
        tg.manual_seed(2**64 - 1)
        return a, b, tg.rand(2)

    recorded = []
    tape = tg.record(lambda: recorded.extend(function()))
    seeded.manual_seed(7)
    for x, y in zip(recorded, function(), strict=True):
        assert tg.equal(x, y)
    assert tg.equal(recorded[0], recorded[1])
    assert len(tape.inputs) == 1
    assert tape.writes == [0]
    assert seeded.initial_seed() == 2**64 - 1


def test_what_is_not_recorded():
    for call in (tg.seed, tg.Generator().seed, lambda: tg.poisson(tg.ones(2))):
        with pytest.raises(tg.UnsupportedError):
            tg.record(call)


# Distributions, with fixed seeds: the probability of a failure is 1e-4 for a seed that nobody chose

SIZE = 20000
CONTINUOUS = {
    "uniform": (lambda d: tg.rand(SIZE, dtype=d), scipy.stats.uniform()),
    "uniform from 2 to 5": (lambda d: tg.zeros(SIZE, dtype=d).uniform_(2, 5), scipy.stats.uniform(2, 3)),
    "normal": (lambda d: tg.randn(SIZE, dtype=d), scipy.stats.norm()),
    "normal_": (lambda d: tg.zeros(SIZE, dtype=d).normal_(1, 2), scipy.stats.norm(1, 2)),
    "normal of tensors": (
        lambda d: tg.normal(tg.ones(SIZE, 1, dtype=d), tg.full((1,), 2, dtype=d))[:, 0], scipy.stats.norm(1, 2)
    ),
    "exponential": (lambda d: tg.zeros(SIZE, dtype=d).exponential_(2), scipy.stats.expon(scale=0.5)),
    "cauchy": (lambda d: tg.zeros(SIZE, dtype=d).cauchy_(1, 2), scipy.stats.cauchy(1, 2)),
    "log-normal": (lambda d: tg.zeros(SIZE, dtype=d).log_normal_(1, 0.5), scipy.stats.lognorm(0.5, scale=math.e)),
    "real part": (lambda d: tg.randn(SIZE, dtype=tg.complex64).real * 2**0.5, scipy.stats.norm()),
    "imaginary part": (lambda d: tg.rand(SIZE, dtype=tg.complex128).imag, scipy.stats.uniform()),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_continuous_distribution(seeded, name, dtype):
    draw, expected = CONTINUOUS[name]
    assert scipy.stats.kstest(draw(dtype).double().numpy(), expected.cdf).pvalue > 1e-4


def frequencies(values, chances):
    """Pearson's test of how often the numbers 0, 1, ... were drawn."""
    counts = np.bincount(np.asarray(values).reshape(-1).astype(int), minlength=len(chances))
    assert len(counts) == len(chances)
    assert not counts[np.asarray(chances) == 0].any()
    kept = np.asarray(chances) > 0
    return scipy.stats.chisquare(counts[kept], np.asarray(chances)[kept] * counts.sum()).pvalue


DISCRETE = {
    "randint": (lambda: tg.randint(-3, 4, (SIZE,)) + 3, [1 / 7] * 7),
    "randint of few bits": (lambda: tg.randint(16, (SIZE,), dtype=tg.uint8), [1 / 16] * 16),
    "randint of many bits": (lambda: tg.randint(-(2**62), 2**62, (SIZE,)) // 2**60 + 4, [1 / 8] * 8),
    "random_": (lambda: tg.zeros(SIZE).random_(2, 7) - 2, [1 / 5] * 5),
    "bernoulli": (lambda: tg.bernoulli(tg.full((SIZE,), 0.3)), [0.7, 0.3]),
    "bernoulli_": (lambda: tg.zeros(SIZE, dtype=tg.int64).bernoulli_(0.125), [0.875, 0.125]),
    "bernoulli_ of a tensor": (lambda: tg.zeros(SIZE).bernoulli_(tg.tensor(0.9)), [0.1, 0.9]),
    "geometric": (lambda: tg.zeros(SIZE).geometric_(0.5).clamp(max=9) - 1, [*[0.5**n for n in range(1, 9)], 0.5**8]),
    "with replacement": (lambda: tg.multinomial(tg.tensor([1.0, 0.0, 3.0, 4.0]), SIZE, True), [0.125, 0, 0.375, 0.5]),
    "one of each row": (lambda: tg.multinomial(tg.tensor([[1.0, 0, 3]]).expand(SIZE, 3), 1), [0.25, 0, 0.75]),
    "the second of two": (  # 2 first 1/2, then 0 by 1/2; 1 first 1/4, then 0 by 1/3; ...
        lambda: tg.multinomial(tg.tensor([1.0, 1, 2]).expand(SIZE, 3), 2)[:, 1],
        [1 / 4 + 1 / 12, 1 / 4 + 1 / 12, 1 / 3],
    ),
    "permutations": (
        lambda: tg.stack([tg.randperm(3) for _ in range(2000)]) @ tg.tensor([3, 1, 0]),  # 0..8, of which six come
        [0, 1 / 6, 1 / 6, 1 / 6, 0, 1 / 6, 1 / 6, 1 / 6],
    ),
    "poisson": (
        lambda: tg.poisson(tg.full((SIZE,), 2.0)).clamp(max=7),
        [*scipy.stats.poisson(2).pmf(range(7)), scipy.stats.poisson(2).sf(6)],
    ),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_a_discrete_distribution(seeded, name):
    draw, chances = DISCRETE[name]
    assert frequencies(draw().numpy(), chances) > 1e-4


def test_draws_do_not_depend_on_each_other(seeded):
    for draw in (tg.rand, tg.randn):
        x = draw(2, SIZE).double().numpy()
        assert abs(np.corrcoef(x)[0, 1]) < 4 / SIZE**0.5
        assert abs(np.corrcoef(x[0, 1:], x[0, :-1])[0, 1]) < 4 / SIZE**0.5


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64])
def test_limits_of_uniform_draws(seeded, dtype):
    x = tg.rand(SIZE, dtype=dtype)
    assert x.dtype is dtype
    assert 0 <= x.min() < 0.01
    assert 0.99 < x.max() < 1


def test_integers_take_all_their_values(seeded):
    assert set(tg.randint(-128, 128, (SIZE,), dtype=tg.int8).tolist()) == set(range(-128, 128))
    assert set(tg.zeros(SIZE, dtype=tg.uint8).random_().tolist()) == set(range(256))
    assert tg.zeros(100, dtype=tg.int64).random_(-(2**63), 2**63 - 1).min() < -(2**61)
    assert set(tg.zeros(99, dtype=tg.bool).random_().tolist()) == {False, True}


def test_certain_and_impossible(seeded):
    p = tg.tensor([0.0, 1.0])
    for _ in range(50):
        assert tg.bernoulli(p).tolist() == [0.0, 1.0]
    assert tg.zeros(1000).bernoulli_(1.0).all()
    assert not tg.ones(1000).bernoulli_(0.0).any()
    assert set(tg.multinomial(tg.tensor([0.0, 0.0, 2.0]), 200, True).tolist()) == {2}
    assert tg.multinomial(tg.tensor([0.0, 1.0, 0.0, 1e-30]), 4).tolist()[:2] == [1, 3]


def test_permutations_and_choices_repeat_nothing(seeded):
    for n in (0, 1, 2, 1000):
        assert sorted(tg.randperm(n).tolist()) == list(range(n))
    for row in tg.multinomial(tg.rand(20, 9), 9).tolist():
        assert sorted(row) == list(range(9))


@pytest.mark.parametrize(("dtype", "digits", "ulp"), [(np.float32, 24, 6), (np.float64, 53, 10)])
def test_the_inverse_of_the_normal_distribution(dtype, digits, ulp):
    edges = 0.5 - 2.0 ** -np.arange(2, digits + 2)
    q = np.concatenate([np.linspace(-0.499, 0.499, 4000), edges, -edges]).astype(dtype)
    q = q[np.abs(q) < 0.5]
    wide = q.astype(np.float64)
    tails = -np.sign(wide) * scipy.special.ndtri(0.5 - np.abs(wide))
    truth = np.where(np.abs(wide) > 0.3, tails, np.sqrt(2) * scipy.special.erfinv(2 * wide))
    error = np.abs(normal_quantile(q) - truth) / np.spacing(np.abs(truth).astype(dtype))
    assert error.max() <= ulp
    assert abs(normal_quantile(q)).max() > (5 if dtype == np.float32 else 8)


# Gradients


def test_gradients_of_draws_are_zero(seeded):
    x = tg.full((3,), 0.5, requires_grad=True)
    for out in (
        tg.bernoulli(x),
        tg.normal(x, x),
        tg.normal(x, 1.0),
        tg.normal(0.0, x),
        tg.poisson(x),
        x.clone().normal_(),
    ):
        (g,) = tg.autograd.grad(out.sum(), x)
        assert g.tolist() == [0.0, 0.0, 0.0]
    assert not tg.multinomial(x, 2).requires_grad
