"""record: what the tape holds of views, writes, modes and backward, told apart from how it is lowered or printed."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.tape import Var


def prims(tape):
    return [step.prim.name for step in tape.steps]


def test_inputs_are_arguments_then_captures_named_by_where_they_are():
    box = {"w": tg.ones(2), "unused": tg.ones(3)}
    tape = tg.record(lambda x, pair: x * box["w"] + pair[0], tg.ones(2), (tg.zeros(2), 1))
    assert [v.label for v in tape.inputs] == ["x", None, "box['w']"]
    assert prims(tape) == ["mul", "add"]
    assert tape.results == len(tape.outputs) == 1


def test_broadcasts_and_casts_are_steps_and_scalars_literals():
    tape = tg.record(lambda a, b, i: a + b + i * 2, tg.ones(2, 3), tg.ones(3), tg.arange(3))
    assert prims(tape) == ["broadcast_to", "add", "mul", "cast", "broadcast_to", "add"]
    assert 2 in tape.steps[2].inputs
    for step in tape.steps:
        if step.prim.elementwise:
            assert {v.shape for v in step.vars} == {step.outputs[0].shape}
            assert len({v.dtype for v in step.vars}) == 1


def test_every_value_is_assigned_once_and_before_it_is_used():
    def scramble(x):
        y = x * 1
        y[0] += 1
        v = y.t()
        v.mul_(2)
        return (y.sum() + v[1]).sum()

    tape = tg.record(scramble, tg.ones(2, 2))
    known = set(tape.inputs)
    for step in tape.steps:
        assert all(v in known for v in step.vars)
        assert not known & set(step.outputs)
        known |= set(step.outputs)
    assert all(v in known for v in tape.outputs)


def test_write_through_a_view_makes_a_new_base_value():
    def write(x):
        y = x + 0
        y[1:] = 5
        return y

    tape = tg.record(write, tg.zeros(3))
    assert "slice_scatter" in prims(tape)
    assert tape.writes == [] and tape.outputs[0].shape == (3,)


def test_effects_on_inputs():
    w = tg.ones(2, requires_grad=True)

    def step(x):
        (w * x).sum().backward()
        with tg.no_grad():
            w.sub_(w.grad)
        x.add_(1)

    tape = tg.record(step, tg.ones(2))
    assert [tape.inputs[i].label for i in tape.writes] == ["x", "w"]
    assert [tape.inputs[i].label for i in tape.grads] == ["w"]
    assert tape.results == 0 and len(tape.outputs) == 3
    assert prims(tape).count("rebind") == 1


def test_no_grad_detach_and_data_are_stop_gradient():
    def stopped(x):
        with tg.no_grad():
            a = x * 2
        return a + x.detach() + x.data

    tape = tg.record(stopped, tg.ones(2, requires_grad=True))
    assert prims(tape).count("stop_gradient") == 1  # once for the value, however often it is stopped
    assert not tape.outputs[0].requires_grad


def test_source_lines_are_the_users():
    def function(x):
        y = x.exp()
        return y.sum()

    tape = tg.record(function, tg.ones(2))
    assert [step.source.text for step in tape.steps] == ["y = x.exp()", "return y.sum()"]
    assert all(step.source.function == "function" for step in tape.steps)


def test_block_form():
    x = tg.ones(2, requires_grad=True)
    with tg.record() as tape:
        y = (x * 2).exp()
        z = y.sum()
    assert prims(tape) == ["mul", "exp", "reduce_sum"]
    assert [v.shape for v in tape.outputs] == [()]
    z.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2.0) * np.ones(2), rtol=1e-6)


def test_recording_changes_nothing_about_the_run():
    def step(x, w):
        y = (x * w).tanh()
        y.sum().backward()
        return y.detach()

    runs = []
    for recorded in (False, True):
        x, w = tg.arange(3, dtype=tg.float32), tg.full((3,), 0.5, requires_grad=True)
        out = step(x, w) if not recorded else None
        if recorded:
            tg.record(step, x, w)
            out = (x * w).tanh()
        runs.append((out.tolist(), w.grad.tolist()))
    assert runs[0] == runs[1]


def test_an_exception_ends_the_recording():
    def broken(x):
        raise KeyError("x")

    with pytest.raises(KeyError):
        tg.record(broken, tg.ones(1))
    with pytest.raises(KeyError), tg.record():
        raise KeyError
    assert not tg.tape.is_recording()


def test_foreign_graph_is_refused_where_a_backward_comes_to_it():
    w = tg.ones(1, requires_grad=True)
    h = w * 2
    with pytest.raises(tg.UnsupportedError, match="begun before recording"):
        tg.record(lambda: h.sum().backward())
    tape = tg.record(lambda: (h.detach() * w).sum().backward())
    assert prims(tape)[-1] == "backward" and w.grad.item() == 2.0


def test_derivatives_end_at_the_results_of_a_function():
    class Twice(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    tape = tg.record(lambda x: Twice.apply(x), tg.ones(1, requires_grad=True))
    assert prims(tape) == ["stop_gradient", "mul", "stop_gradient", "stop_gradient", "opaque"]
    assert [v.requires_grad for v in tape.outputs] == [True] and list(tape.opaque) == tape.outputs
    x = tg.ones(1, requires_grad=True)
    with tg.record() as block:
        Twice.apply(x)
    assert prims(block)[-1] == "opaque" and list(block.opaque) == block.outputs
    plain = tg.record(lambda x: Twice.apply(x), tg.ones(1))
    assert prims(plain) == ["mul"] and not plain.opaque


def test_inference_mode_is_recorded():
    def function(x):
        with tg.inference_mode():
            y = x * 2
            y.add_(1)
            return y.clone() + 1

    tape = tg.record(function, tg.ones(1, requires_grad=True))
    assert prims(tape)[:3] == ["stop_gradient", "mul", "add"]
    assert not tape.outputs[0].requires_grad


def test_nested_recordings_are_apart():
    inner = []

    def outer(x):
        inner.append(tg.record(lambda y: y * 2, x))
        return x + 1

    tape = tg.record(outer, tg.ones(1))
    assert prims(tape) == ["add"] and prims(inner[0]) == ["mul"]


def test_var_repr_is_short():
    assert repr(Var((2, 3), np.dtype(np.float32), label="w")) == "Var(w: float32[2, 3])"


def test_two_detached_parts_of_one_memory_are_two_inputs() -> None:
    x = tg.arange(6.0).reshape(2, 3).clone()
    a, b = x[0].detach(), x[1].detach()
    del x
    tape = tg.record(lambda: a * 1 + b * 10)
    assert len(tape.inputs) == 2
    assert [list(v) for v in tape.values] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]

    def writes() -> tg.Tensor:
        a.add_(1)
        return b * 1

    with pytest.raises(tg.UnsupportedError):
        tg.record(writes)
