"""Generators: the same seed or state gives the same draws; forms of drawing; what is no generator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg

DRAWS = [
    lambda g: tg.rand(3, generator=g),
    lambda g: tg.randn(3, generator=g),
    lambda g: tg.randint(100, (3,), generator=g),
    lambda g: tg.randperm(5, generator=g),
    lambda g: tg.rand_like(tg.ones(3), generator=g),
    lambda g: tg.randn_like(tg.ones(3), generator=g),
    lambda g: tg.randint_like(tg.ones(3), 100, generator=g),
]


@given(st.integers(-(2**63), 2**64 - 1), st.lists(st.sampled_from(DRAWS), max_size=4), st.sampled_from(DRAWS))
def test_seed_and_state_fix_what_follows(seed, before, draw):
    g = tg.Generator().manual_seed(seed)
    assert g.initial_seed() == seed % 2**64
    for each in before:
        each(g)
    state = g.get_state()
    expected = draw(g)
    assert tg.equal(draw(tg.Generator().set_state(state)), expected)
    g.manual_seed(seed)
    for each in before:
        each(g)
    assert tg.equal(draw(g), expected)


def test_the_default_generator():
    before = tg.get_rng_state()
    try:
        assert tg.manual_seed(3) is tg.default_generator
        assert tg.initial_seed() == 3
        a = tg.rand(3)
        tg.rand(3, generator=tg.Generator())  # draws from another
        b = tg.rand(3)
        tg.manual_seed(3)
        assert tg.equal(tg.rand(6), tg.cat([a, b]))
        assert tg.seed() == tg.initial_seed() != 3
    finally:
        tg.set_rng_state(before)


def test_a_new_generator_always_starts_the_same():
    assert tg.equal(tg.rand(3, generator=tg.Generator()), tg.rand(3, generator=tg.Generator()))
    assert tg.Generator().device == tg.device("cpu")


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_that_is_too_large(seed):
    g = tg.Generator()
    with pytest.raises(ValueError, match="Overflow"):
        g.manual_seed(seed)
    assert g.initial_seed() == tg.Generator().initial_seed()


def test_what_is_no_generator_or_state():
    with pytest.raises(TypeError, match=r"must be torch.Generator, not int"):
        tg.rand(2, generator=3)
    with pytest.raises(TypeError, match="ByteTensor"):
        tg.Generator().set_state(tg.zeros(112))
    with pytest.raises(RuntimeError, match="wrong size"):
        tg.Generator().set_state(tg.zeros(3, dtype=tg.uint8))
    with pytest.raises(RuntimeError, match="not one that get_state"):
        tg.Generator().set_state(tg.full((112,), 255, dtype=tg.uint8))
    with pytest.raises(RuntimeError, match="live on the CPU"):
        tg.Generator("cuda")


def test_not_while_recording():
    for call in (lambda: tg.manual_seed(1), tg.seed, tg.get_rng_state, lambda: tg.rand(2)):
        with pytest.raises(tg.UnsupportedError):
            tg.record(call)
