"""max_compiles: other people's tests of how often a jitted function is compiled."""

import threading

import pytest

import tapegrad as tg
from tapegrad.testing import TooManyCompilesError, max_compiles


def test_it_counts_compilations_and_says_why():
    fast = tg.jit(lambda x, n: x * n)
    with max_compiles(2) as found:
        for n in (1.0, 2.0, 3.0):
            fast(tg.ones(2), n)
        assert len(found) == 1
        for _ in range(3):
            fast(tg.ones(3), 1.0)
    assert len(found) == 2
    assert found.reasons[0][1] == "its first call" and "shape of x" in found.reasons[1][1]
    assert "shape of x" in str(found)


def call_in_a_block(fast, allowed, lengths, error=None):
    with max_compiles(allowed):
        for n in lengths:
            fast(tg.ones(n))
        if error is not None:
            raise error


def test_too_many_is_an_assertion_error_that_names_the_reasons():
    with pytest.raises(TooManyCompilesError, match=r"(?s)at most 1 compilations, got 3.*shape of x") as caught:
        call_in_a_block(tg.jit(lambda x: x * 2), 1, (2, 3, 4))
    assert isinstance(caught.value, AssertionError)
    assert issubclass(TooManyCompilesError, AssertionError)


def test_none_are_allowed_once_all_is_compiled():
    fast = tg.jit(lambda x: x * 2 if x.sum() > 0 else -x)
    for sign in (1.0, -1.0):
        fast(tg.full((2,), sign))
        fast(tg.full((2,), sign))
    with max_compiles(0):
        for sign in (1.0, -1.0, -1.0, 1.0):
            fast(tg.full((2,), sign))
    with pytest.raises(TooManyCompilesError):
        call_in_a_block(fast, 0, (5, 5))


def test_an_error_in_the_block_is_not_hidden():
    fast = tg.jit(lambda x: x * 2)
    with pytest.raises(KeyError):
        call_in_a_block(fast, 0, (2,), KeyError)
    with max_compiles(0):  # and the block is closed
        fast(tg.ones(2))


def test_blocks_nest():
    fast = tg.jit(lambda x: x * 2)
    with max_compiles(2) as outer:
        fast(tg.ones(1))
        with max_compiles(1) as inner:
            fast(tg.ones(2))
    assert (len(outer), len(inner)) == (2, 1)
    with max_compiles(0) as after:
        pass
    assert len(after) == 0


def test_compilations_of_all_threads_are_counted():
    fast = tg.jit(lambda x: x * 2)
    with max_compiles(3) as found:
        threads = [threading.Thread(target=fast, args=(tg.ones(n),)) for n in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3


def test_a_number_of_compilations_is_not_negative():
    with pytest.raises(ValueError, match="max_compiles"), max_compiles(-1):
        pass


def test_it_is_there_without_importing_jax():
    assert tg.testing.max_compiles is max_compiles
