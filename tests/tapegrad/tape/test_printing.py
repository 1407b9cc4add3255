"""What a tape looks like as text: whole tapes as the contract, then what holds for every tape."""

from __future__ import annotations

import linecache
import textwrap
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16

import tapegrad as tg
from tapegrad.tape import PRIMITIVES, Source, Step, Tape, Var
from tapegrad.tape.printing import (
    WIDTH,
    format_details,
    format_step,
    format_tape,
    format_type,
    format_value,
    name_vars,
    source_groups,
)

F32 = np.dtype("float32")


def user_code(name: str, text: str) -> dict[str, Any]:
    """What a user's file of this name and text defines; its lines are found again, as those of a file are."""
    text = textwrap.dedent(text).lstrip("\n")
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": "user", "tg": tg}
    exec(compile(text, name, "exec"), names)
    return names


def tensor(*shape: int, requires_grad: bool = False) -> Any:
    """Some float32 tensor."""
    return tg.tensor(np.linspace(-1, 1, int(np.prod(shape))).astype("f4").reshape(shape), requires_grad=requires_grad)


def expected(text: str) -> str:
    """The text of a tape as it stands in a test."""
    return textwrap.dedent(text).strip("\n")


def test_an_expression() -> None:
    code = user_code(
        "/home/user/expr.py",
        """
        def expr(x, y):
            z = x * y + x.exp()
            return z[0:2].sum() / 3
        """,
    )
    tape = tg.record(code["expr"], tensor(3, 4), tensor(3, 4))
    assert str(tape) == expected(
        """
        def expr(x: f32[3, 4], y: f32[3, 4]):
            # expr.py:2  z = x * y + x.exp()
            a = mul(x, y)                                   # f32[3, 4]
            b = exp(x)                                      # f32[3, 4]
            c = add(a, b)                                   # f32[3, 4]
            # expr.py:3  return z[0:2].sum() / 3
            d = slice(c, index=[0:2, :])                    # f32[2, 4]
            e = reduce_sum(d, axes=(0, 1), keepdims=False)  # f32[]
            f = div(e, 3.0)                                 # f32[]
            return f                                        # f32[]
        """
    )


def test_a_training_step() -> None:
    code = user_code(
        "/home/user/train.py",
        """
        def step(x, w, b):
            loss = (x @ w + b).tanh().mean()
            loss.backward()
            with tg.no_grad():
                w.sub_(0.1 * w.grad)
            return {"loss": loss}
        """,
    )
    tape = tg.record(code["step"], tensor(3, 4), tensor(4, 2, requires_grad=True), tensor(2, requires_grad=True))
    assert str(tape) == expected(
        """
        def step(
            x: f32[3, 4],
            w: f32[4, 2],  # requires_grad, written, new .grad
            b: f32[2],     # requires_grad, new .grad
        ):
            # train.py:2  loss = (x @ w + b).tanh().mean()
            a = matmul(x, w)                                 # f32[3, 2]
            c = broadcast_to(b, shape=(3, 2))                # f32[3, 2]
            d = add(a, c)                                    # f32[3, 2]
            e = tanh(d)                                      # f32[3, 2]
            f = reduce_mean(e, axes=(0, 1), keepdims=False)  # f32[]
            # train.py:3  loss.backward()
            g = full(shape=(), value=1, dtype=f32)           # f32[]
            g_w, g_b = backward(f, cotangent=g, wrt=[w, b])  # f32[4, 2], f32[2]
            # train.py:5  w.sub_(0.1 * w.grad)
            h = mul(g_w, 0.1)                                # f32[4, 2]
            i = stop_gradient(w)                             # f32[4, 2]
            j = sub(i, h)                                    # f32[4, 2]
            w_new = rebind(w, j)                             # f32[4, 2]
            # what it changes
            w[...] = w_new                                   # f32[4, 2]
            w.grad = g_w                                     # f32[4, 2]
            b.grad = g_b                                     # f32[2]
            return {'loss': f}                               # f32[]
        """
    )


def test_a_second_derivative() -> None:
    code = user_code(
        "/home/user/twice.py",
        """
        def twice(x):
            y = (x * x * x).sum()
            (g,) = tg.autograd.grad(y, x, create_graph=True)
            (gg,) = tg.autograd.grad(g.sum(), x)
            return g, gg
        """,
    )
    tape = tg.record(code["twice"], tensor(3, requires_grad=True))
    assert str(tape) == expected(
        """
        def twice(
            x: f32[3],  # requires_grad
        ):
            # twice.py:2  y = (x * x * x).sum()
            a = mul(x, x)                                   # f32[3]
            b = mul(a, x)                                   # f32[3]
            c = reduce_sum(b, axes=(0,), keepdims=False)    # f32[]
            # twice.py:3  (g,) = tg.autograd.grad(y, x, create_graph=True)
            d = full(shape=(), value=1, dtype=f32)          # f32[]
            (g_x,) = backward(c, cotangent=d, wrt=[x])      # f32[3]
            # twice.py:4  (gg,) = tg.autograd.grad(g.sum(), x)
            e = reduce_sum(g_x, axes=(0,), keepdims=False)  # f32[]
            f = full(shape=(), value=1, dtype=f32)          # f32[]
            (g_x_2,) = backward(e, cotangent=f, wrt=[x])    # f32[3]
            return (g_x, g_x_2)                             # f32[3], f32[3]
        """
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.dtype("float32"), "f32"),
        (np.dtype("complex128"), "c128"),
        (np.dtype("uint8"), "u8"),
        (np.dtype("bool"), "bool"),
        (np.dtype(bfloat16), "bf16"),
        (slice(0, 3, 1), "0:3"),
        (slice(None), ":"),
        (slice(1, None, 2), "1::2"),
        (slice(5, None, -1), "5::-1"),
        ((slice(1, 3, 1), 0, None, ...), "[1:3, 0, None, ...]"),
        ((0,), "(0,)"),
        ((1, 2), "(1, 2)"),
        ((), "()"),
        (0.1, "0.1"),
        (float("-inf"), "-inf"),
        (1 + 2j, "(1+2j)"),
        (True, "True"),
        ("mean", "'mean'"),
        (np.float32(0.5), "0.5"),
        (np.array(3), "3"),
        (np.array([[1.0, 0.1], [2, 3]]), "[[1, 0.1], [2, 3]]"),
        (np.arange(1_000_000), "[0, 1, 2, ...]"),
        (np.zeros(0), "[]"),
        (np.sin, "sin"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert format_value(value) == text


def test_types() -> None:
    assert format_type(Var((), np.dtype("int64"))) == "i64[]"
    assert format_type(Var((2, 0), np.dtype("complex64"))) == "c64[2, 0]"


# Tapes made by hand


def chain(n: int, *sources: Source | None) -> Tape:
    """A tape of `n` steps, each reading the one before, that come from `sources` in turn."""
    tape = Tape("chain", inputs=[Var((2,), F32, label="x")])
    var = tape.inputs[0]
    for i in range(n):
        out = Var((2,), F32)
        tape.steps.append(Step(PRIMITIVES["add"], (var, 1.0), {}, (out,), sources[i % len(sources)]))
        var = out
    tape.outputs, tape.results = [var], 1
    return tape


def test_a_long_tape() -> None:
    tape = chain(20_000, Source("no.py", 1, "f"), Source("no.py", 2, "f"))
    lines = str(tape).splitlines()
    assert len(lines) == 40_002
    assert len(set(name_vars(tape).values())) == 20_001
    assert lines[-1].split() == ["return", name_vars(tape)[tape.outputs[0]], "#", "f32[2]"]


def test_a_run_of_steps_has_one_heading() -> None:
    first, second = Source("no.py", 1, "f"), Source("no.py", 2, "f")
    text = str(chain(5, first, first, second))
    assert [line.strip() for line in text.splitlines() if "no.py" in line] == ["# no.py:1", "# no.py:2", "# no.py:1"]


def test_steps_without_source_are_not_put_under_the_line_before() -> None:
    assert str(chain(2, Source("no.py", 1, "f"), None)).splitlines()[3].strip() == "# (no source line)"


def test_names_are_unique_whatever_the_labels() -> None:
    tape = chain(30, None)
    tape.inputs += [Var((), F32, label=label) for label in ("x", "a", "b1", "x_2", None, "x", "in4", "model.w")]
    names = name_vars(tape)
    assert len(names) == 39
    assert len(set(names.values())) == 39
    assert {"x", "a", "b1", "model.w"} <= set(names.values())


def test_gradients_are_named_after_their_leaf() -> None:
    leaf, root, g = Var((2,), F32, True, "model.w"), Var((), F32, True), Var((), F32)
    grads = [Var((2,), F32), Var((2,), F32)]
    reduce_sum = Step(PRIMITIVES["reduce_sum"], (leaf,), {"axes": (0,), "keepdims": False}, (root,))
    steps = [Step(PRIMITIVES["backward"], (root, g, leaf), {"roots": 1}, (grad,)) for grad in grads]
    tape = Tape("f", [leaf, g], [reduce_sum, *steps], [grads[1]], grads=[0])
    names = name_vars(tape)
    assert [names[grad] for grad in grads] == ["g_model.w", "g_model.w_2"]
    assert "model.w.grad = g_model.w_2" in str(tape)
    assert format_step(steps[0], names) == "(g_model.w,) = backward(a, cotangent=in1, wrt=[model.w])  # f32[2]"


def many_leaves(n: int) -> Tape:
    """A tape whose backward step has `n` leaves."""
    leaves = [Var((i,), F32, True, f"layer{i}.weight") for i in range(n)]
    roots, ones = [Var((), F32, True, "y"), Var((), F32, True, "z")], [Var((), F32), Var((), F32)]
    grads = [Var((i,), F32) for i in range(n)]
    step = Step(PRIMITIVES["backward"], (*roots, *ones, *leaves), {"roots": 2}, tuple(grads))
    return Tape("f", [*leaves, *roots, *ones], [step], grads, grads=list(range(n)))


def test_many_gradients_have_a_line_each() -> None:
    text = str(many_leaves(40))
    for i in range(40):
        assert sum(line.split() == [f"g_layer{i}.weight,", "#", f"f32[{i}]"] for line in text.splitlines()) == 1
    assert ") = backward([y, z], cotangents=[in42, in43], wrt=[layer0.weight, " in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_value_from_nowhere_prints() -> None:
    tape = chain(1, None)
    tape.steps[0].inputs = (Var((), F32), 2)
    assert "a = add(?, 2)" in str(tape)


def test_empty_tapes() -> None:
    assert format_tape(Tape("nothing")) == "def nothing():\n    return"
    text = format_tape(Tape("same", [v := Var((2,), F32, label="x")], [], [v], results=1))
    assert text == "def same(x: f32[2]):\n    return x  # f32[2]"


def test_details_leave_out_what_the_type_tells() -> None:
    x = Var((2, 3), F32)
    assert format_details(Step(PRIMITIVES["sub"], (1.0, x), {}, (x,))) == "(1.0, ·)"
    assert format_details(Step(PRIMITIVES["cast"], (x,), {"dtype": F32}, (x,))) == ""
    assert format_details(Step(PRIMITIVES["slice"], (x,), {"index": (slice(0, 1, 1),)}, (x,))) == "[0:1]"
    assert format_details(Step(PRIMITIVES["reduce_sum"], (x,), {"axes": (0,), "keepdims": False}, (x,))) == "axes=(0,)"


def test_groups_by_run_then_line_then_function_then_length() -> None:
    sources = [Source("m.py", i, f"f{i // 10}") for i in range(100)]
    steps = chain(1000, *sources).steps
    for limit, groups in ((1000, 1000), (100, 100), (10, 10), (5, 5)):
        found = source_groups(steps, limit)
        assert len(found) == groups
        assert sorted(id(step) for runs in found for run in runs for step in run) == sorted(map(id, steps))


def test_every_step_is_printed() -> None:
    code = user_code(
        "/home/user/all.py",
        """
        def f(x, i):
            v = x[1:, 0]
            v.mul_(2)
            y = tg.cat([x.detach(), x.to(tg.float64).to(tg.float32)]).softmax(0)
            return [y.max(), tg.where(y > 0, y, 0.0)[i], x.reshape(2, 6).mT]
        """,
    )
    tape = tg.record(code["f"], tensor(3, 4) * 1, tg.tensor([0, 2]))
    names, lines = name_vars(tape), str(tape).splitlines()
    for step in tape.steps:
        start = f"{', '.join(names[var] for var in step.outputs)} = {step.prim.name}("
        (line,) = [line for line in lines if line.strip().startswith(start)]
        assert line.endswith(f"# {format_type(step.outputs[0])}")
    assert set(names) == {*tape.inputs, *(var for step in tape.steps for var in step.outputs)}
