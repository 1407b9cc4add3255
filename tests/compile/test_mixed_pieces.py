"""Programs some of whose parts are jitted raise the errors that they raise eagerly, and leave the same.

A program is a list of steps on a growing list of tensors. Each step is a function of those that are there, jitted or
not, or a backward pass. It is run several times from the same beginning, so that what was compiled runs, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.errors import TapegradError, UnsupportedError

from .alongside import assert_alike

RUNS = 3


def new(function: Any) -> Any:
    """An operation whose result is one more tensor."""
    return lambda ts, i, j: ts.append(function(ts[i % len(ts)], ts[j % len(ts)]))


def change(function: Any) -> Any:
    """An operation that changes a tensor."""

    def call(ts: list[tg.Tensor], i: int, j: int) -> None:
        function(ts[i % len(ts)], ts[j % len(ts)])

    return call


@tg.no_grad()
def write_quietly(a: tg.Tensor, _: tg.Tensor) -> None:
    a.mul_(2)


OPERATIONS = {
    "mul": new(lambda a, b: a * b),
    "add": new(lambda a, b: a + b),
    "tanh": new(lambda a, _: a.tanh()),
    "sum": new(lambda a, _: a.sum()),
    "part": new(lambda a, _: a.reshape(-1)[:1]),
    "detach": new(lambda a, _: a.detach()),
    "write": change(lambda a, _: a.mul_(2)),
    "write the other": change(lambda a, b: a.add_(b.sum())),
    "write quietly": change(write_quietly),
    "write data": change(lambda a, _: a.data.mul_(2)),
}


class Step(NamedTuple):
    """Operations with their operands; or a backward pass from a tensor, keeping the graph or not."""

    operations: tuple[tuple[str, int, int], ...]
    jitted: bool = False


class Backward(NamedTuple):
    """A backward pass from a tensor."""

    i: int
    retain: bool


class Grad(NamedTuple):
    """A gradient with respect to the first tensor, which is one more tensor."""

    i: int
    create: bool


places = st.integers(0, 4)
operations = st.tuples(st.sampled_from(sorted(OPERATIONS)), places, places)
steps = st.one_of(
    st.builds(Step, st.lists(operations, min_size=1, max_size=2).map(tuple), st.booleans()),
    st.builds(Step, st.lists(operations, min_size=1, max_size=2).map(tuple), st.just(True)),
    st.builds(Backward, st.integers(2, 4), st.booleans()),
    st.builds(Grad, st.integers(2, 4), st.booleans()),
)
programs = st.lists(steps, min_size=2, max_size=6)


def function_of(step: Step) -> Any:
    """The step as a function of the tensors that are there; it returns those that are new."""

    def function(*given: tg.Tensor) -> list[tg.Tensor]:
        ts = [*given]
        for name, i, j in step.operations:
            OPERATIONS[name](ts, i, j)
        return ts[len(given) :]

    return function


def take(step: Any, function: Any, ts: list[tg.Tensor]) -> None:
    """Take one step."""
    if isinstance(step, Step):
        ts += function(*ts)
    elif isinstance(step, Backward):
        ts[step.i % len(ts)].sum().backward(retain_graph=step.retain)
    else:
        root = ts[step.i % len(ts)].sum()
        (g,) = tg.autograd.grad(root, ts[0], create_graph=step.create, retain_graph=True, allow_unused=True)
        if g is not None:
            ts.append(g.clone())  # whose strides are the same, whatever computed it


def seen(t: tg.Tensor) -> Any:
    """All that can be seen of a tensor."""
    g = t.grad if t.is_leaf else None
    kind = None if t.grad_fn is None else t.grad_fn.name()
    return (
        t.detach().tolist(), t.requires_grad, t.is_leaf, t._version, kind,
        None if g is None else (g.tolist(), g.requires_grad),
    )  # fmt: skip


def run(program: list[Any], functions: list[Any]) -> list[Any]:
    """What each step came to, up to one that fails inside of a function."""
    ts = [tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([0.5, 3.0])]
    found: list[Any] = []
    for step, function in zip(program, functions, strict=True):
        try:
            take(step, function, ts)
            error = None
        except UnsupportedError:
            raise
        except TapegradError as raised:
            error = type(raised).__name__
        found.append((error, None if error and isinstance(step, Step) else [seen(t) for t in ts]))
        if error and (isinstance(step, Step) or error != "NotDifferentiableError"):
            break  # what a walk that failed has freed by then is not compared
    return found


@settings(deadline=None)
@given(programs)
def test_programs_in_pieces_do_as_they_do_eagerly(program: list[Any]) -> None:
    plain = [function_of(step) if isinstance(step, Step) else None for step in program]
    jitted = [
        tg.jit(function_of(step)) if isinstance(step, Step) and step.jitted else function
        for step, function in zip(program, plain, strict=True)
    ]
    expected = run(program, plain)
    for error, _ in expected:
        event(f"error: {error}")
    for _ in range(RUNS):
        try:
            got = run(program, jitted)
        except UnsupportedError:
            event("refused")
            return
        assert_alike(expected, got, rtol=1e-4)


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(values, requires_grad=True)


def error_of(function: Any) -> str | None:
    """The kind of error that `function()` raises."""
    try:
        function()
    except TapegradError as error:
        return type(error).__name__
    return None


def a_saved_output_is_written_to(jit: Any) -> Any:
    tanh = jit(lambda x: x.tanh())
    for write in (None, lambda y: y.mul_(2), lambda y: y[0].zero_(), lambda y: y.detach().add_(1)):
        x = leaf(1.0, 2.0)
        y = tanh(x)
        loss = (y * 1).sum()
        if write is not None:
            with tg.no_grad():
                write(y)
        yield error_of(loss.backward), x.grad


def a_saved_output_is_written_to_by_way_of_an_alias(jit: Any) -> Any:
    tanh = jit(lambda x: x.tanh())
    for _ in range(RUNS):
        y = tanh(leaf(1.0, 2.0))
        loss, alias = (y * 1).sum(), y.detach()
        del y
        alias.mul_(2)
        yield error_of(loss.backward)


def what_shares_a_saved_output_is_written_to(jit: Any) -> Any:
    def function(x: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
        y = x.exp()
        return y.sum(), y.detach()

    exp = jit(function)
    for write in (False, False, True, True):
        x = leaf(1.0, 2.0)
        loss, alias = exp(x)
        if write:
            alias.mul_(2)
        yield error_of(loss.backward), x.grad


def a_saved_intermediate_result_is_written_to(jit: Any) -> Any:
    def function(x: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
        y = x * 2
        return (y * y).sum(), y

    both = jit(function)
    for write in (False, False, True, True):
        x = leaf(1.0, 2.0)
        loss, y = both(x)
        if write:
            y.mul_(2)
        yield error_of(loss.backward), x.grad, error_of(y.sum().backward), x.grad


def a_captured_tensor_becomes_a_saved_output(jit: Any) -> Any:
    for write in (False, True):
        kept = tg.zeros(2)

        def function(x: tg.Tensor, kept: tg.Tensor = kept) -> None:
            kept.copy_(x)
            kept.tanh_()

        put = jit(function)
        for _ in range(RUNS):
            x = leaf(1.0, 2.0)
            with tg.no_grad():
                kept.detach_().zero_()
            put(x)
            loss = kept.sum()
            if write:
                kept.mul_(2)
            yield error_of(loss.backward), x.grad


def backward_frees_what_it_came_to(jit: Any) -> Any:
    def function(x: tg.Tensor) -> tuple[tg.Tensor, ...]:
        y = x * 2
        z = x.tanh()
        return y.sum(), z.sum(), (z * z).sum(), (x * x).sum()

    several = jit(function)
    for order in ((0, 0, 1, 0, 1), (1, 2), (2, 1), (3, 1, 3), (0, 3, 2, 0, 1), (1, 3, 0, 2), (3, 0, 3)):
        x = leaf(1.0, 2.0)
        outs = several(x)
        for i in order:
            yield error_of(outs[i].backward), x.grad.tolist()


def an_eager_piece_is_written_to_inside(jit: Any) -> Any:
    @jit
    def write(y: tg.Tensor) -> None:
        with tg.no_grad():
            y.mul_(2)

    for _ in range(RUNS):
        x = leaf(1.0, 2.0)
        y = x * 2
        square, double = (y * y).sum(), (y * 2).sum()
        write(y)
        yield error_of(square.backward), error_of(double.backward), x.grad, y


def what_was_read_is_written_to_after(jit: Any) -> Any:
    w = leaf(1.0, 2.0)

    @jit
    def step() -> tg.Tensor:
        y = w.exp().sum()
        with tg.no_grad():
            w.add_(0.5)
        return y

    for _ in range(RUNS):
        y = step()
        (g,) = tg.autograd.grad(y, w, create_graph=True)
        yield g, tg.autograd.grad(g.sum(), w)[0], w


def the_history_of_what_was_read_ends(jit: Any) -> Any:
    @jit
    def detach(h: tg.Tensor) -> tg.Tensor:
        y = (h * h).sum()
        h.detach_()
        return y

    for _ in range(RUNS):
        x = leaf(1.0, 2.0)
        y = detach(x * 3)
        yield error_of(y.backward), x.grad


def what_was_read_requires_no_gradient_any_more(jit: Any) -> Any:
    @jit
    def freeze(x: tg.Tensor) -> tg.Tensor:
        y = (x * x).sum()
        x.requires_grad_(False)
        return y

    for _ in range(RUNS):
        x = leaf(1.0, 2.0)
        y = freeze(x)
        yield error_of(y.backward), x.grad, x.requires_grad


MIXED = [
    a_saved_output_is_written_to, a_saved_output_is_written_to_by_way_of_an_alias,
    what_shares_a_saved_output_is_written_to, a_saved_intermediate_result_is_written_to,
    a_captured_tensor_becomes_a_saved_output, backward_frees_what_it_came_to, an_eager_piece_is_written_to_inside,
    what_was_read_is_written_to_after, the_history_of_what_was_read_ends, what_was_read_requires_no_gradient_any_more,
]  # fmt: skip


@pytest.mark.parametrize("program", MIXED)
def test_mixed(program: Any) -> None:
    assert_alike([*program(lambda f: f)], [*program(tg.jit)])


def write_data(t: tg.Tensor) -> None:
    t.data.mul_(2)


def write_detached_data(t: tg.Tensor) -> None:
    t.detach().data[0] = 5


def assign_data(t: tg.Tensor) -> None:
    t.data = tg.zeros(2)


@pytest.mark.parametrize("write", [write_data, write_detached_data, assign_data])
@pytest.mark.parametrize("function", [lambda x: x.tanh(), lambda x: x * x])
@pytest.mark.parametrize("what", ["x", "y"])
def test_what_autograd_does_not_see_change_is_refused(write: Any, function: Any, what: str) -> None:
    fast = tg.jit(function)
    for _ in range(RUNS):
        found = []
        for f in (function, fast):
            x = leaf(1.0, 2.0)
            y = f(x)
            loss = (y * 1).sum()
            write(x if what == "x" else y)
            try:
                loss.backward()
            except UnsupportedError as error:
                assert "by way of .data" in str(error)  # noqa: PT017  (it need not be raised)
            else:
                found.append(x.grad)
        assert_alike(found[0], found[-1])


@pytest.mark.parametrize("write", [write_data, write_detached_data, assign_data])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("operation", [lambda x: x.tanh(), lambda x: x * x])
def test_what_autograd_does_not_see_change_inside(write: Any, first: bool, operation: Any) -> None:
    def function(x: tg.Tensor) -> tg.Tensor:
        if first:
            write(x)
        y = operation(x)
        if not first:
            write(x)
        return y.sum()

    fast = tg.jit(function)
    refused = 0
    for _ in range(RUNS):
        found = []
        for f in (function, fast):
            x = leaf(1.0, 2.0)
            loss = f(x)
            try:
                loss.backward()
            except UnsupportedError as error:
                assert "by way of .data" in str(error)  # noqa: PT017  (it need not be raised)
                refused += 1
            else:
                found.append((x.grad, x))
        assert_alike(found[0], found[-1])
    assert not (first and refused)


@pytest.mark.parametrize(
    "inner", [lambda x: x * 2 + 1, lambda x: x.relu(), lambda x: x * x, lambda x: x.tanh(), lambda x: x**3]
)
@pytest.mark.parametrize("outer", [lambda y: y.sum(), lambda y: (y * y).sum()])
def test_gradients_of_gradients_are_as_they_are_eagerly(inner: Any, outer: Any) -> None:
    fast = tg.jit(inner)
    for _ in range(RUNS):
        found = []
        for function in (inner, fast):
            x = leaf(1.0, -2.0)
            (g,) = tg.autograd.grad(outer(function(x)), x, create_graph=True)
            name = None if g.grad_fn is None else g.grad_fn.name()
            second = tg.autograd.grad(g.sum(), x)[0] if g.requires_grad else None
            outer(function(x)).backward(create_graph=True)
            found.append((g.detach(), g.requires_grad, name, second, x.grad.requires_grad))
        assert_alike(*found)


def test_a_gradient_that_in_part_goes_where_it_cannot_go_on() -> None:
    """The walk comes to the leaf on another way, too: what it lacks would be missed in the gradient."""

    def function(x: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
        y = x.tanh()
        y.mul_(2)
        return y, x * 3

    fast = tg.jit(function)
    other = leaf(1.0, 1.0)
    for _ in range(RUNS):
        x = leaf(1.0, 2.0)
        ended, going = fast(x)
        with pytest.raises(tg.errors.InPlaceError):
            tg.autograd.grad((ended + going).sum(), x)
        (g,) = tg.autograd.grad((ended.sum() + (other * 2).sum()), other)  # which does not come to it
        assert g.tolist() == [2.0, 2.0]


def test_a_walk_to_targets_comes_to_an_ended_graph_by_way_of_younger_nodes() -> None:
    fast = tg.jit(lambda x: x.tanh().mul_(2))
    for _ in range(RUNS):
        x = leaf(1.0, 2.0)
        with pytest.raises(tg.errors.InPlaceError):
            tg.autograd.grad((fast(x) * 1).sum(), x, allow_unused=True)


@pytest.mark.parametrize("write", [write_data, write_detached_data])
def test_a_result_is_changed_unseen_inside(write: Any) -> None:
    def function(x: tg.Tensor) -> tg.Tensor:
        y = x.tanh()
        write(y)
        return y

    fast = tg.jit(function)
    for n in range(RUNS):
        x = leaf(1.0, 2.0)
        y = fast(x)
        if n:  # the first one is the eager run
            with pytest.raises(UnsupportedError, match=r"by way of \.data"):
                y.sum().backward()


def test_an_ended_graph_leads_where_what_was_written_to_came_from() -> None:
    """`y` is given a graph that has ended, in place of its own, which that leads to."""

    @tg.jit
    def function(y: tg.Tensor) -> None:
        z = y.tanh()
        z.mul_(2)
        y.copy_(z)

    for _ in range(RUNS):
        x = leaf(1.0, 2.0)
        y = x * 1
        function(y)
        with pytest.raises(tg.errors.InPlaceError):
            tg.autograd.grad((y.sum() + x.sum()), x)
