"""The check: passes what rounding explains, element by element, and nothing else."""

import jax
import numpy as np
import pytest

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812
from tapegrad.compile.lower import lower_flat
from tapegrad.compile.replay import replay
from tapegrad.compile.verify import check


def outputs_of(function, *tensors):
    """The tape, its eager outputs, and its compiled outputs."""
    tape = tg.record(function, *tensors)
    with jax.enable_x64(True):
        compiled = [np.array(x) for x in jax.jit(lower_flat(tape))(*tape.values)]
    results = function(*tensors)
    eager = [t.detach().numpy() for t in (results if isinstance(results, tuple) else (results,))]
    return tape, eager, compiled


def checked(tape, eager, compiled):
    return check(tape, tape.values, eager, compiled, [f"out{i}" for i in range(len(compiled))])


def softmax_gradient(x, y):
    (g,) = tg.autograd.grad(F.cross_entropy(x, y), x)
    return g


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_softmax_gradient_passes_at_every_scale(scale):
    x = tg.tensor(np.random.default_rng(0).standard_normal((32, 10)) * scale, dtype=tg.float32, requires_grad=True)
    y = tg.tensor(np.arange(32) % 10)
    report = checked(*outputs_of(softmax_gradient, x, y))
    assert 0 < report.worst < 0.5


def wrong_in_one_place(change):
    x = tg.tensor(np.random.default_rng(0).standard_normal((32, 10)), dtype=tg.float32, requires_grad=True)
    tape, eager, (compiled,) = outputs_of(softmax_gradient, x, tg.tensor(np.arange(32) % 10))
    change(compiled)
    return checked(tape, eager, [compiled])


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.__setitem__((3, 4), 0),
        lambda g: g.__setitem__((3, 4), g[3, 4] * 1.0001),
        lambda g: g.__setitem__((3, 4), -g[3, 4]),
        lambda g: g.__setitem__((3, 4), np.nan),
        lambda g: g.__setitem__((3, 4), np.inf),
        lambda g: np.multiply(g, 1.0001, out=g),
        lambda g: np.copyto(g, g[::-1].copy()),
    ],
)
def test_one_wrong_element_fails(change):
    report = wrong_in_one_place(change)
    assert report.worst > 1
    with pytest.raises(tg.CheckError, match=r"disagrees with the eager tape in out0\[\d+, \d\]"):
        report.raise_if_failed()


def test_one_rounding_error_passes():
    assert wrong_in_one_place(lambda g: np.copyto(g, np.nextafter(g, np.float32(1)))).worst < 1


def test_cancellation_widens_the_tolerance_where_it_happens_and_only_there():
    rows = np.random.default_rng(1).standard_normal((2, 10_000)).astype(np.float32)
    rows[0] = np.concatenate([rows[0, :5000], -rows[0, :5000]]) * 1e4  # sums to 0 exactly
    x = tg.tensor(rows)
    tape, eager, (compiled,) = outputs_of(lambda x: x.sum(1), x)
    naive = np.array([np.cumsum(rows[0])[-1], compiled[1]], np.float32)
    assert checked(tape, eager, [naive]).worst <= 1
    off = np.array([compiled[0], compiled[1] + 0.1], np.float32)
    assert checked(tape, eager, [off]).worst > 1


def test_integers_and_bools_must_be_equal():
    x = tg.tensor(np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32))
    tape, eager, compiled = outputs_of(lambda x: (x.argmax(1), x > 0), x)
    assert checked(tape, eager, compiled).worst == 0
    compiled[0][2] += 1
    assert checked(tape, eager, compiled).worst > 1


def test_overflow_and_subnormals_agree():
    x = tg.tensor([100.0, -103.0, 1.0])
    report = checked(*outputs_of(lambda x: (x.exp(), x.exp() - x.exp()), x))
    assert report.worst <= 1


def test_kinks_do_not_alarm():
    x = tg.zeros(3, requires_grad=True)

    def kinks(x):
        return tg.autograd.grad((x.relu() + x.abs() + x.clamp(0, 1)).sum(), x)[0]

    assert checked(*outputs_of(kinks, x)).worst <= 1


def test_half_precision_is_judged_by_its_own_rounding():
    x = tg.tensor(np.random.default_rng(0).standard_normal((64, 64)), dtype=tg.bfloat16)
    tape, eager, (compiled,) = outputs_of(lambda x: (x @ x).tanh(), x)
    assert checked(tape, eager, [compiled]).worst <= 1
    compiled[0, 0] *= -1
    assert checked(tape, eager, [compiled]).worst > 1


def test_replay_in_float64_is_the_truth():
    x = tg.tensor([0.1, 0.2, 0.3], requires_grad=True)
    tape = tg.record(lambda x: tg.autograd.grad((x * x * x).sum(), x)[0], x)
    (out,) = tape.outputs
    exact = 3 * np.array([0.1, 0.2, 0.3], np.float32).astype(np.float64) ** 2
    np.testing.assert_allclose(replay(tape, tape.values)[out], exact, rtol=1e-15)


def test_report_reads_well():
    report = wrong_in_one_place(lambda g: None)
    first, line = str(report).splitlines()
    assert first == (
        "check of softmax_gradient: compiled program agrees with the eager tape (worst error, as a fraction of its "
        "tolerance)"
    )
    assert line.split()[0] == "out0" and 0 < float(line.split()[1]) < 1


@pytest.mark.parametrize("scale", [1e-250, 1.0, 1e200])
def test_scale_neither_blinds_nor_alarms(scale):
    x = tg.tensor(np.linspace(1, 2, 7) * scale, dtype=tg.float64)
    tape, eager, (compiled,) = outputs_of(lambda x: x * 3 - x, x)
    assert checked(tape, eager, [compiled]).worst <= 1
    assert checked(tape, eager, [compiled * 1.0001]).worst > 1


def test_a_coarse_dtype_elsewhere_does_not_loosen():
    x = tg.tensor([1.0, 2.0, 3.0])
    tape, eager, compiled = outputs_of(lambda x: (x * 3, x.bfloat16() + 1), x)
    assert checked(tape, eager, compiled).worst <= 1
    assert checked(tape, eager, [compiled[0] * np.float32(1.0001), compiled[1]]).worst > 1


def test_an_eager_run_that_the_tape_does_not_describe_fails():
    x = tg.tensor([1.0, 2.0])
    tape, (eager,), compiled = outputs_of(lambda x: x * 3, x)
    assert checked(tape, [eager + 1], compiled).worst > 1
