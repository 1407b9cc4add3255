"""Inputs that share memory, and what else changes of inputs, recorded: the tape gives what eager gives."""

from __future__ import annotations

import itertools
import tracemalloc

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile.lower import lower_flat
from tapegrad.compile.replay import replay
from tapegrad.tape import Recorder, Var, state

from .recorded import agree, leaf

# Aliases of one memory. Each makes a tensor of three elements and tensors on its memory, which are passed or captured


def base():
    return tg.arange(6.0, dtype=tg.float64).reshape(2, 3).clone()


ALIASES = {
    "a tensor twice": lambda x: [x, x],
    "a tensor and its row": lambda x: [x, x[0]],
    "a row and its tensor": lambda x: [x[1], x],
    "two rows": lambda x: [x[0], x[1]],
    "a row and a column": lambda x: [x[1], x[:, 0]],
    "overlapping columns": lambda x: [x[:, :2], x[:, 1:]],
    "a column of a row, and the row": lambda x: [x[1][1:], x[1]],
    "a tensor and its transpose": lambda x: [x, x.t()],
    "two ways to the same": lambda x: [x.reshape(6), x.view(3, 2)],
    "detached": lambda x: [x, x.detach()],
    "detached rows": lambda x: [x[0].detach(), x[1].detach()],
    "detached from a row": lambda x: [x[0], x.detach()[0, 1:]],
    "data": lambda x: [x, x.data],
    "data of a column": lambda x: [x.t(), x[:, 1].data],
    "made under no_grad": lambda x: no_grad(lambda: [x[0], x]),
}


def no_grad(make):
    with tg.no_grad():
        return make()


WRITES = {
    "to the first": lambda a, b: a.mul_(3),
    "to the second": lambda a, b: b.add_(10),
    "to a part": lambda a, b: a[..., 0].sub_(5),
    "to both": lambda a, b: (a.mul_(2), b.add_(1)),
    "to one of the other": lambda a, b: a.copy_(b.sum()),
    "through data": lambda a, b: b.data.mul_(4),
    "through a detached part": lambda a, b: a.detach()[..., 1:].add_(7),
    "under no_grad": lambda a, b: no_grad(lambda: b.neg_()),
}


def make(alias):
    """The aliases, and the tensor all of them are on."""
    whole = base()
    return whole, ALIASES[alias](whole)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("alias", ALIASES)
def test_writes_show_in_every_alias(alias, write):
    w = leaf(2.0)

    def function(a, b):
        before = a * 1, b.sum()
        WRITES[write](a, b)
        return before, a * 2, b * w, a.sum() + b.sum()

    whole, (a, b) = make(alias)
    expected = tg.tree.flatten(function(a, b))[0]
    other, aliases = make(alias)
    tape = tg.record(function, *aliases)
    assert other.tolist() == whole.tolist()
    _check(tape, [x.detach().numpy() for x in expected], whole)


def _check(tape, expected, whole):
    """The tape, replayed and lowered, has the results and writes back the memory, each part once."""
    values = [np.array(v) for v in tape.values]
    replayed = replay(tape, values, wanted=tape.outputs)
    with jax.enable_x64(True):
        lowered = jax.jit(lower_flat(tape))(*values)
    for n, x in enumerate(expected):
        np.testing.assert_array_equal(replayed[tape.outputs[n]], x)
        np.testing.assert_array_equal(np.asarray(lowered[n]), x)
    assert len(tape.writes) == 1
    written = np.asarray(lowered[tape.results])
    assert sorted(written.ravel().tolist()) in _sorted_parts(written, whole)


def _sorted_parts(written, whole):
    flat = whole.detach().numpy().ravel()
    return [sorted(part) for part in itertools.combinations(flat.tolist(), written.size)]


@pytest.mark.parametrize("alias", ALIASES)
def test_written_memory_is_given_back_in_place(alias):
    """Copying what the program gives for `writes` into the captures is all that is needed."""

    def function(a, b):
        a.mul_(3)
        b.add_(a.sum())

    whole, aliases = make(alias)
    function(*aliases)
    _, recorder, given = _recorded(function, alias)
    other = base()
    after = _outputs(recorder)[recorder.tape.results :]
    again = ALIASES[alias](other)
    place = {id(t): x for t, x in zip(given, again, strict=True)}
    for position, value in zip(recorder.tape.writes, after, strict=True):
        target = place.get(id(recorder.captures[position]), other)
        np.copyto(target._array, value)
    assert other.tolist() == whole.tolist()


def _recorded(function, alias):
    whole, given = make(alias)
    recorder = Recorder("f", strict=True)
    recorder.follows_effects = True
    for t in given:
        recorder.add_input(t)
    state.recorder = recorder
    try:
        recorder.finish(function(*given))
    finally:
        state.recorder = None
    return whole, recorder, given


def _outputs(recorder):
    with jax.enable_x64(True):
        return [np.asarray(x) for x in lower_flat(recorder.tape)(*[np.array(v) for v in recorder.tape.values])]


@pytest.mark.parametrize("alias", ALIASES)
def test_undo_restores_all_memory_and_versions(alias):
    def function(a, b):
        a.mul_(3)
        b.data.add_(1)

    whole, recorder, given = _recorded(function, alias)
    assert whole.tolist() != base().tolist()
    recorder.restore()
    assert whole.tolist() == base().tolist()
    assert [t._version for t in (whole, *given)] == [0] * 3


@pytest.mark.parametrize("alias", [alias for alias in ALIASES if alias != "made under no_grad"])
def test_gradients_through_aliases(alias):
    """A tracked write to one of them gives the others a history, where autograd knows of them."""
    w = leaf(2.0)

    def function(a, b):
        a.mul_(w)
        return (b.sum() + a.sum()) ** 2

    _, (a, b) = make(alias)
    loss = function(a, b)
    (expected,) = tg.autograd.grad(loss, w)
    _, aliases = make(alias)

    def step(a, b):
        loss = function(a, b)
        loss.backward()
        return loss

    tape = tg.record(step, *aliases)
    assert w.grad.item() == expected.item()
    w.grad = None
    outputs = _run(tape)
    assert outputs[0] == loss.item()
    assert outputs[-1].item() == expected.item()


def _run(tape):
    with jax.enable_x64(True):
        return [np.asarray(x) for x in jax.jit(lower_flat(tape))(*[np.array(v) for v in tape.values])]


def test_memory_shared_only_through_numpy_is_refused():
    array = np.arange(4.0)
    a, b = tg.from_numpy(array), tg.from_numpy(array[1:])
    with pytest.raises(tg.UnsupportedError, match="only through NumPy"):
        tg.record(lambda a, b: a.add_(1) and None, a, b)
    assert array.tolist() == [0.0, 1.0, 2.0, 3.0]
    c, d = tg.from_numpy(array[:2]), tg.from_numpy(array[2:])
    tg.record(lambda c, d: no_value(c.add_(1)), c, d)
    assert array.tolist() == [1.0, 2.0, 2.0, 3.0]


def no_value(_):
    return None


# Results that share memory


def described(function, *given):
    recorder = Recorder("f")
    for t in given:
        recorder.add_input(t)
    state.recorder = recorder
    try:
        results = function(*given)
        recorder.finish(results)
        return recorder, [recorder.describe(t) for t in results]
    finally:
        state.recorder = None


def rebuilt(source, chain):
    for prim, params in chain:
        source = prim.forward(source, **params)
    return source


def test_results_are_described_by_the_memory_they_show():
    x, y = base(), base()

    def function(x, y):
        z = x * 2
        return x, x[1], x[1:].t(), z, z[0], z.detach()[:, 1], y + 1

    _, found = described(function, x, y)
    assert [memory for memory, _ in found[:3]] == [0, 0, 0]
    assert found[0] == (0, ())
    assert all(isinstance(memory, Var) for memory, _ in found[3:])
    assert found[3][0] is found[4][0] is found[5][0]
    assert found[6][0] is not found[3][0]
    for (_, chain), result, whole in zip(found[:6], function(x, y), [x, x, x, x * 2, x * 2, x * 2], strict=False):
        np.testing.assert_array_equal(rebuilt(whole.numpy(), chain), result.numpy())


def test_results_are_described_by_the_nearest_input():
    x = base()
    _, found = described(lambda x, row: [row[1:], x[0]], x, x[1])
    assert [memory for memory, _ in found] == [1, 0]
    assert rebuilt(x[1].numpy(), found[0][1]).tolist() == [4.0, 5.0]


# Other effects


def inputs():
    return [leaf(1.0, 2.0, requires_grad=False), leaf(3.0, 4.0)]


def begins_to_require_grad(x, w):
    x.requires_grad_()
    (x * w).sum().backward()


def begins_in_the_middle(x, w):
    y = x * w
    x.requires_grad_()
    (y * x).sum().backward()


def stops_and_begins_again(x, w):
    y = w * 2
    w.requires_grad_(False)
    z = w * x
    w.requires_grad_(True)
    (y * z + w).sum().backward()


def stops_before_the_backward(x, w):
    y = (x * w).sum()
    w.requires_grad_(False)
    y.backward()


def gets_a_history(x, w):
    x.mul_(w)
    (x * x).sum().backward()
    return x


def detached_in_place(x, w):
    y = x * w
    z = y * 2
    y.detach_()
    (y * z).sum().backward()
    return y


def detached_leaf(x, w):
    y = w * x
    w.detach_()
    return y.detach() + w


def data_of_an_intermediate(x, w):
    y = x * w
    y.data = x * 10
    (y * y + y * w).sum().backward()
    return y


def data_seen_by_a_hook(x, w):
    """The walk, step by step, uses what the data is by then, as eager does."""
    y = x * w
    y.register_hook(lambda g: g * 2)
    z = y * y
    e = y.exp()
    y.data = x * 10
    e.data = x * 3
    (z + y * w + e).sum().backward()
    return y


def detached_and_back(x, w):
    y = w * x
    w.detach_()
    z = w * x
    w.requires_grad_()
    (y * z + w).sum().backward()


def data_of_a_parameter(x, w):
    w.data = w.data - 0.5 * x
    (w * w * x).sum().backward()


def data_of_another_shape(x, w):
    w.data = tg.cat([x, x])
    (w * w).sum().backward()


def data_written_later(x, w):
    w.data = x * 2
    with tg.no_grad():
        w.add_(1)
    (w * x).sum().backward()


def data_shared_with_an_input(x, w):
    w.data = x
    with tg.no_grad():
        w.add_(1)
    (w * x).sum().backward()


def gradient_that_is_an_input(x, w):
    w.grad = x
    (w * w).sum().backward()


def gradient_that_keeps_a_graph(x, w):
    (w**3 * x).sum().backward(create_graph=True)
    g = w.grad
    w.grad = None
    (g * g).sum().backward()


EFFECTS = [
    begins_to_require_grad, begins_in_the_middle, stops_and_begins_again, stops_before_the_backward, gets_a_history, detached_in_place,
    detached_leaf, detached_and_back, data_of_an_intermediate, data_seen_by_a_hook, data_of_a_parameter, data_of_another_shape, data_written_later,
    data_shared_with_an_input, gradient_that_is_an_input, gradient_that_keeps_a_graph,
]  # fmt: skip


@pytest.mark.parametrize("function", EFFECTS, ids=lambda f: f.__name__)
def test_effects_on_inputs_are_recorded(function):
    assert len(agree(function, inputs).inputs) == 2


def test_replaced_data_leaves_the_memory_to_its_other_aliases():
    def function(a, b):
        a.data = a * 10
        b.add_(1)
        return a + b

    x = leaf(1.0, 2.0, requires_grad=False)
    alias = x.detach()
    tape = tg.record(function, x, alias)
    assert tape.writes == [0, 1]
    assert [o.tolist() for o in _run(tape)] == [[12.0, 23.0], [10.0, 20.0], [2.0, 3.0]]
    assert (x.tolist(), alias.tolist()) == ([10.0, 20.0], [2.0, 3.0])


def test_backward_through_replaced_data_is_refused():
    def function(x, w):
        y = x * w
        z = y * y
        y.data = x * 10
        z.sum().backward()

    with pytest.raises(tg.UnsupportedError, match=r"overwritten through \.data"):
        tg.record(function, *inputs())


@pytest.mark.parametrize("seen", [lambda y: y[1:], lambda y: y.detach(), lambda y: y])
def test_backward_through_an_alias_overwritten_through_data_is_refused(seen):
    def function(x, w):
        y = x * w
        z = seen(y) * w[: len(seen(y))]
        y.data.mul_(2)
        z.sum().backward()

    with pytest.raises(tg.UnsupportedError, match=r"overwritten through \.data"):
        tg.record(function, *inputs())


def test_replaced_data_is_said_and_undone():
    x, w = inputs()
    recorder = Recorder("f", strict=True)
    recorder.follows_effects = True
    recorder.add_input(x)
    recorder.add_input(w)
    array, storage = w._array, w._storage
    state.recorder = recorder
    try:
        data_of_another_shape(x, w)
        recorder.finish(None)
    finally:
        state.recorder = None
    assert recorder.replaced == [1] == recorder.tape.writes
    assert recorder.tape.outputs[0].shape == (4,)
    recorder.restore()
    assert w._array is array and w._storage is storage


def test_strict_recorders_refuse_effects_unless_they_are_followed():
    for function, message in [
        (begins_to_require_grad, "requires_grad_"),
        (data_of_a_parameter, "assignment to .data"),
        (detached_leaf, "detach_"),
    ]:
        recorder = Recorder("f", strict=True)
        x, w = inputs()
        recorder.add_input(x)
        recorder.add_input(w)
        state.recorder = recorder
        try:
            with pytest.raises(tg.UnsupportedError, match=message):
                function(x, w)
        finally:
            state.recorder = None


def long_chain(x):
    for _ in range(30):
        x = tg.sin(x * 2)
    return x.sum()


@pytest.mark.parametrize("run", [lambda f, x: tg.record(f, x), lambda f, x: tg.jit(f)(x)], ids=["record", "jit"])
def test_recording_keeps_no_values_that_eager_code_would_let_go(run):
    x = tg.ones(1 << 17)
    run(long_chain, tg.ones(3))  # what is made once
    tracemalloc.start()
    try:
        run(long_chain, x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * x._array.nbytes  # of 60 results, which a check computes in double precision


def test_a_walk_knows_saved_values_whose_tensors_are_gone():
    def function(x):
        y = tg.sin(tg.exp(x) * 3)  # exp and mul are known by what their nodes, and those of others, saved
        y.register_hook(lambda g: g * 2)  # so that the walk is recorded step by step
        y.sum().backward()
        return x.grad

    x = leaf(0.5, 1.0)
    tape = tg.record(function, x)
    e = np.exp([0.5, 1.0])
    found = replay(tape, tape.values)[tape.outputs[0]]
    np.testing.assert_allclose(found, 2 * np.cos(3 * e) * 3 * e)
    assert len(tape.inputs) == 1  # none of them was taken for something from outside
