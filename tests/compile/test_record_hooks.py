"""Backward that runs code of the user's, recorded: the tape replayed and lowered gives what eager gives."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings

import tapegrad as tg
from tapegrad.autograd import graph
from tapegrad.compile import lower
from tapegrad.compile.lower import lower_flat
from tapegrad.compile.verify import check
from tapegrad.utils.checkpoint import checkpoint

from .recorded import AddOne, Square, Times, agree, leaf
from .test_programs import leaves, runs


def inputs():
    return [leaf(0.5, -1.5, 2.0), leaf(1.0, 0.25, -0.75)]


def prims(tape):
    return [step.prim.name for step in tape.steps]


def doubled(g):
    return g * 2


class SinCos(tg.autograd.Function):
    """Two outputs, which it saves; the second needs no gradient to arrive."""

    @staticmethod
    def forward(ctx, x):
        s, c = x.sin(), x.cos()
        ctx.save_for_backward(s, c)
        return s, c

    @staticmethod
    def backward(ctx, gs, gc):
        s, c = ctx.saved_tensors
        return gs * c - gc * s


class Same(tg.autograd.Function):
    """Returns its argument, and multiplies the gradient by itself."""

    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, g):
        return g * g


# Each is called with x and w, which are leaves, and runs backward


def hook_on_an_intermediate(x, w):
    y = x * w
    y.register_hook(doubled)
    (y * y).sum().backward()


def hooks_in_turn(x, w):
    y = (x * w).tanh()
    y.register_hook(lambda g: g + 1)
    y.register_hook(lambda g: g * x)
    y.register_hook(lambda g: None)
    (y * w).sum().backward()


def hook_that_writes_to_a_captured_tensor(x, w):
    seen = tg.zeros(3, dtype=tg.float64)
    y = x * w

    def note(g):
        seen.add_(g)

    y.register_hook(note)
    y.exp().sum().backward()
    return seen


def removed_hook(x, w):
    y = x * w
    y.register_hook(doubled).remove()
    y.exp().sum().backward()


def node_hooks(x, w):
    y = x * w
    y.grad_fn.register_prehook(lambda go: (go[0] * 3,))
    y.grad_fn.register_hook(lambda gi, go: (gi[0] + go[0], gi[1] * 2))
    y.sin().sum().backward()


def retained(x, w):
    y = x * w
    y.retain_grad()
    (y * y).sum().backward()
    return y.grad


def retained_twice(x, w):
    y = x * w
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    y.sum().backward()
    return y.grad


def inputs_that_are_no_leaves(x, w):
    y = x * w
    (y * y).sum().backward(inputs=[y, w])
    return y.grad


def a_function(x, w):
    y = Square.apply(x.sin())
    (y * w).sum().backward()
    return y


def two_outputs(x, w):
    s, c = SinCos.apply(x * w)
    (s * s + c).sum().backward(retain_graph=True)
    s.sum().backward()
    return s, c


def several_arguments(x, w):
    y = Times.apply(x * 1, w.detach(), 3.0) + Times.apply(w, x, 2.0)
    y.sum().backward()


def written_by_a_function(x, w):
    y = x * w
    z = AddOne.apply(y)
    (z * z).sum().backward()
    return y, z


def written_through_a_view(x, w):
    y = x * w
    AddOne.apply(y[1:])
    (y * y).sum().backward()
    return y


def returned_as_it_is(x, w):
    y = Same.apply(x * w)
    (y * 3).sum().backward()
    return y


def saved_tensors_put_away(x, w):
    with graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t / 4):
        y = x * w
    (y * y).sum().backward()


def saved_on_the_cpu(x, w):
    with graph.save_on_cpu():
        y = (x * w).exp()
    (y * y).sum().backward()


def mutation_of_saved_tensors(x, w):
    with graph.allow_mutation_on_saved_tensors():
        y = x * 2
        z = (y * y * w).sum()
        y.mul_(3)
        z.backward()
    return y


def all_of_several(x, w):
    kept = []
    a, b = x * 2, w * 3
    graph.register_multi_grad_hook([a, b], lambda gs: kept.extend(g * 2 for g in gs))
    (a * b).sum().backward()
    return kept


def any_of_several(x, w):
    kept = []
    a, b = x * 2, w * 3
    graph.register_multi_grad_hook([a, b], lambda g: kept.append(g * 2), mode="any")
    (a * b).sum().backward()
    return kept


def create_graph_through_hooks(x, w):
    y = x * w
    y.register_hook(lambda g: g * x)
    (g,) = tg.autograd.grad((y * y).sum(), w, create_graph=True)
    (g * g).sum().backward()
    return g


def create_graph_through_a_function(x, w):
    y = Square.apply(x * w)
    (g,) = tg.autograd.grad((y * y).sum(), x, create_graph=True)
    (g * w).sum().backward()
    return g


def grad_of_an_intermediate(x, w):
    y = x * w
    z = y.sin()
    z.register_hook(doubled)
    return tg.autograd.grad((z * z).sum(), [y, x, w])


def a_hook_that_is_not_on_the_way(x, w):
    y = x * 2
    y.register_hook(doubled)
    return tg.autograd.grad((y * w).sum(), w)


def inlined_twice_into_the_same_grad(x, w):
    for _ in range(2):
        y = x * w
        y.register_hook(doubled)
        (y * y).sum().backward()


def post_hook_only(x, w):
    y = x * w
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 3, gi[1]))
    (y * y).sum().backward()


def create_graph_past_a_detached_tensor(x, w):
    """What the first backward saw of `y` had a history that `y` itself has lost."""
    y = x * w
    z = y * y
    y.detach_()
    z.register_hook(doubled)
    (g,) = tg.autograd.grad(z.sum(), w, create_graph=True)
    (g * g).sum().backward()


def saved_output_that_is_written_to_meanwhile(x, w):
    kept = []

    class Sine(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.sin()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            before = y * g
            kept[0].data.mul_(3)
            return before + y

    kept.append(Sine.apply(x * w))
    kept[0].sum().backward()


def gradient_that_is_written_to(x, w):
    y = x + 0
    y.register_hook(lambda g: None)
    seed = w.detach() * 1
    (g,) = tg.autograd.grad(y, x, seed)
    g.add_(1)
    return g, seed


def gradient_edges(x, w):
    y = x * w
    edge = graph.get_gradient_edge(y)
    z = (y * y).sum()
    first = tg.autograd.grad(z, [edge, graph.get_gradient_edge(w)], retain_graph=True)
    return first, tg.autograd.grad([graph.get_gradient_edge(z), edge], [x], [None, x])


def reentrant(x, w):
    y = checkpoint(lambda a: (a * w).sin(), x * 2, use_reentrant=True)
    (y * y).sum().backward()
    return y


def mixed_dtypes(x, w):
    y = Times.apply(x.float(), w.float(), 2.0)
    y.register_hook(lambda g: g.double().float())
    (y * y.double()).sum().backward()


def broadcasts(x, w):
    y = x[:, None] * w
    y.register_hook(lambda g: g * 2)
    (y + x).sum().backward()


INLINED = [
    hook_on_an_intermediate, hooks_in_turn, hook_that_writes_to_a_captured_tensor, node_hooks, retained, retained_twice,
    inputs_that_are_no_leaves, a_function, two_outputs, several_arguments, written_by_a_function,
    written_through_a_view, returned_as_it_is, saved_tensors_put_away, saved_on_the_cpu, mutation_of_saved_tensors,
    all_of_several, any_of_several, create_graph_through_hooks, create_graph_through_a_function,
    grad_of_an_intermediate, inlined_twice_into_the_same_grad, gradient_edges, mixed_dtypes, broadcasts,
    post_hook_only, gradient_that_is_written_to, create_graph_past_a_detached_tensor, saved_output_that_is_written_to_meanwhile,
]  # fmt: skip


# The same, with hooks on leaves only: the walk itself stays one step


def grad_of_leaves_and_what_is_made_of_them(x, w):
    y = x * w
    z = y.sin()
    return tg.autograd.grad((z * y * w).sum(), [w, z, y, x])


def grad_of_both_twice(x, w):
    y = x * w
    first = tg.autograd.grad((y**3).sum(), [w, y], create_graph=True)
    return tg.autograd.grad((first[0] * first[1]).sum(), [y, x, w])


def grad_of_what_a_checkpoint_made(x, w):
    kept = []

    def function(a):
        kept.append(a * w)
        return kept[0].sin()

    y = checkpoint(function, x, use_reentrant=False)
    return tg.autograd.grad((y * y).sum(), [kept[0], w, x])


def hook_on_a_leaf(x, w):
    handle = x.register_hook(doubled)
    (x * w).sum().backward(retain_graph=True)
    (x * x * w).sum().backward()
    handle.remove()


def hook_on_a_leaf_and_grad(x, w):
    with x.register_hook(doubled), w.register_hook(lambda g: g + x):
        return tg.autograd.grad((x * x * w).sum(), [w, x, w])


def after_accumulation(x, w):
    def descend(p):
        with tg.no_grad():
            p.sub_(p.grad * 0.1)
        p.grad = None

    with x.register_post_accumulate_grad_hook(descend), w.register_post_accumulate_grad_hook(descend):
        for _ in range(3):
            ((x * w).tanh() - 1).square().sum().backward()


def hooks_that_see_each_other(x, w):
    """Each adds to its gradient what the other has by then: the order counts."""

    def add(p, other):
        with tg.no_grad():
            p.grad.add_(0.5 if other.grad is None else other.grad * 2)

    with (
        x.register_post_accumulate_grad_hook(lambda p: add(p, w)),
        w.register_post_accumulate_grad_hook(lambda p: add(p, x)),
    ):
        ((x * 2).sin() * w * w).sum().backward()
        (x * w * x).sum().backward()


def accumulator_hooks(x, w):
    node = (x * 1).grad_fn.next_functions[0][0]
    kept = []
    with (
        node.register_prehook(lambda go: (go[0] * 2,)),
        node.register_hook(lambda gi, go: kept.append(go[0] * 1)),
        node.register_prehook(lambda go: (go[0] + w,)),
    ):
        (x * x * w).sum().backward()
    return kept


def of_several_leaves(x, w):
    kept = []
    with graph.register_multi_grad_hook([x, w], lambda gs: kept.extend(g * 2 for g in gs)):
        (x * w).sum().backward()
    return kept


def create_graph_and_a_hook_on_a_leaf(x, w):
    with x.register_hook(lambda g: g * w):
        (g,) = tg.autograd.grad((x * x * w).sum(), x, create_graph=True)
    (g * g).sum().backward()
    return g


ONE_STEP = [
    grad_of_leaves_and_what_is_made_of_them, grad_of_both_twice, grad_of_what_a_checkpoint_made, removed_hook, a_hook_that_is_not_on_the_way, hook_on_a_leaf, hook_on_a_leaf_and_grad, after_accumulation,
    hooks_that_see_each_other, accumulator_hooks, of_several_leaves, create_graph_and_a_hook_on_a_leaf, reentrant,
]  # fmt: skip


@pytest.mark.parametrize("function", INLINED, ids=lambda f: f.__name__)
def test_walks_through_user_code_are_inlined(function):
    tape = agree(function, inputs)
    assert "backward" not in prims(tape)
    assert tape.pulls


@pytest.mark.parametrize("function", ONE_STEP, ids=lambda f: f.__name__)
def test_walks_that_run_none_stay_one_step(function):
    tape = agree(function, inputs)
    assert "backward" in prims(tape)
    assert bool(tape.pulls) is (function is reentrant)  # which runs a backward within the backward


def test_a_hook_registered_outside_is_run():
    p = leaf(0.5, 1.0, -2.0)

    def descend(p):
        with tg.no_grad():
            p.sub_(p.grad)
        p.grad = None

    p.register_post_accumulate_grad_hook(descend)
    tape = agree(lambda x: (x * p.sin()).sum().backward(), lambda: [leaf(1.0, 2.0, 3.0)], [p])
    assert prims(tape).count("backward") == 1
    assert tape.writes == [1]


def test_a_hook_that_stays_on_an_argument_is_refused():
    x = leaf(1.0)
    for register in (
        lambda x: x.register_hook(doubled),
        lambda x: x.register_post_accumulate_grad_hook(doubled),
        lambda x: graph.register_multi_grad_hook([x * 2, x], doubled),
    ):
        with pytest.raises(tg.UnsupportedError, match="a hook that stays"):
            tg.record(lambda x, register=register: register(x) and None, x)


def test_a_hook_after_create_graph_is_refused():
    def late(x):
        (g,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
        g.register_hook(doubled)
        (g * g).sum().backward()

    with pytest.raises(tg.UnsupportedError, match="register them before"):
        tg.record(late, leaf(1.0))


def test_the_derivative_from_outside_through_user_code_is_an_error():
    def hooked(x):
        y = x * 2
        y.register_hook(doubled)
        return y.sin(), x.exp()

    for function in (hooked, lambda x: (Square.apply(x).sin(), x.exp())):
        tape = tg.record(function, leaf(1.0, 2.0))
        assert list(tape.opaque) == tape.outputs[:1]
        program = lower(tape)
        x = np.array([1.0, 2.0])
        with jax.enable_x64(True):
            _, pull = jax.vjp(lambda x, program=program: program(x)[1], x)
            np.testing.assert_allclose(pull(np.ones(2))[0], np.exp(x))
            with pytest.raises(tg.UnsupportedError, match="hooks, or a custom Function's"):
                jax.vjp(lambda x, program=program: program(x)[0], x)[1](np.ones(2))


def test_a_gradient_that_keeps_a_graph_with_user_code_is_opaque():
    def function(x):
        y = Square.apply(x)
        (y * y).sum().backward(create_graph=True)

    tape = tg.record(function, leaf(1.0, 2.0))
    assert list(tape.opaque) == tape.outputs and tape.grads == [0]


# Checkpoints


def block(x, w):
    return (x * w).sin().exp() * w


def remats(tape):
    """How many `jax.checkpoint` there are in the lowered tape."""
    with jax.enable_x64(True):
        return str(jax.make_jaxpr(lower(tape))(*[np.array(v) for v in tape.values])).count("remat")


def checkpointed(x, w):
    y = checkpoint(block, x, w, use_reentrant=False)
    (y * y).sum().backward()
    return y


def checkpointed_captures(x, w):
    y = checkpoint(lambda a: block(a, w) + w.detach(), x * 2, use_reentrant=False)
    (y * x).sum().backward()


def nested_checkpoints(x, w):
    def outer(a):
        return checkpoint(block, a * 2, w, use_reentrant=False).cos() + a

    checkpoint(outer, x, use_reentrant=False).sum().backward()


def checkpoint_in_a_row(x, w):
    y = x
    for _ in range(3):
        y = checkpoint(block, y, w, use_reentrant=False)
    y.sum().backward()


def checkpoint_and_create_graph(x, w):
    y = checkpoint(block, x, w, use_reentrant=False)
    (g,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    (g * g).sum().backward()


def checkpoint_that_writes_to_its_own(x, w):
    def inner(a):
        b = a * w
        b[1:].mul_(2)
        return b.sin() * b

    checkpoint(inner, x, use_reentrant=False).sum().backward()


def checkpoint_used_twice(x, w):
    y = checkpoint(block, x, w, use_reentrant=False)
    y.sum().backward(retain_graph=True)
    (y * y).sum().backward()


def checkpoint_under_no_grad(x, w):
    with tg.no_grad():
        y = checkpoint(block, x, w, use_reentrant=False)
    (x * y).sum().backward()


def checkpoint_with_a_hook_behind(x, w):
    y = checkpoint(block, x * 2, w, use_reentrant=False)
    y.register_hook(doubled)
    (y * y).sum().backward()


def checkpoint_with_contexts(x, w):
    from contextlib import nullcontext

    y = checkpoint(block, x, w, use_reentrant=False, context_fn=lambda: (nullcontext(), nullcontext()))
    (y * y).sum().backward()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (checkpointed, 1), (checkpointed_captures, 1), (nested_checkpoints, 2), (checkpoint_in_a_row, 3),
        (checkpoint_and_create_graph, 1), (checkpoint_that_writes_to_its_own, 1),
        (checkpoint_used_twice, 1), (checkpoint_under_no_grad, 0), (checkpoint_with_a_hook_behind, 1),
        (checkpoint_with_contexts, 0),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)  # fmt: skip
def test_checkpoints_are_jax_checkpoints(function, expected):
    tape = agree(function, inputs)
    assert remats(tape) >= expected
    assert bool(remats(tape)) is bool(expected)


def test_a_checkpoint_of_random_numbers_draws_once():
    def noisy(x):
        y = checkpoint(lambda a: (a * tg.rand(3, dtype=tg.float64)).sin(), x, use_reentrant=False)
        (y * y).sum().backward()
        return y, tg.rand(2, dtype=tg.float64)

    def seeded(x):
        tg.manual_seed(3)
        return noisy(x)

    agree(seeded, lambda: [leaf(1.0, 2.0, 3.0)])


def test_checkpoints_that_do_more_than_compute_are_refused():
    count = tg.zeros(1)

    def counted(a):
        count.add_(1)
        return a.sin()

    def changed(x):
        w = x.detach() * 2
        y = checkpoint(lambda a: a * w, x * 1, use_reentrant=False)
        w.add_(1)
        y.sum().backward()

    with pytest.raises(tg.UnsupportedError, match="writes to a tensor from outside"):
        tg.record(lambda x: checkpoint(counted, x, use_reentrant=False), leaf(1.0))
    with pytest.raises(tg.UnsupportedError, match="written to since"):
        tg.record(changed, leaf(1.0))


def test_the_recomputation_of_a_reentrant_checkpoint_is_not_merged_with_the_forward():
    def function(x):
        y = checkpoint(lambda a: a.sin().exp(), x, use_reentrant=True, preserve_rng_state=False)
        y.sum().backward()
        return y

    x = np.array([1.0, 2.0])
    with jax.enable_x64(True):
        text = jax.jit(lower(tg.record(function, leaf(1.0, 2.0)))).lower(x).compile().as_text()
    assert text.count(" sine(") == 2


# Random whole programs


def double_at_the_end(program, xs, g):
    out = program(*xs)
    if out._node is not None:
        out.register_hook(doubled)
    out.backward(g)


def retained_at_the_end(program, xs, g):
    out = program(*xs) * 1
    out.retain_grad()
    out.backward(g)


def in_a_checkpoint(program, xs, g):
    checkpoint(program, *xs, use_reentrant=False).backward(g)


def in_a_reentrant_checkpoint(program, xs, g):
    checkpoint(program, *xs, use_reentrant=True, preserve_rng_state=False).backward(g)


def put_away(program, xs, g):
    with graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t + 0):
        out = program(*xs)
    out.backward(g)


def in_leaves(program, xs, g):
    handles = [x.register_hook(doubled) for x in xs]
    program(*xs).backward(g)
    for handle in handles:
        handle.remove()


WAYS = [double_at_the_end, retained_at_the_end, in_a_checkpoint, in_a_reentrant_checkpoint, put_away, in_leaves]


@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
@settings(max_examples=5)
@given(run=runs())
def test_programs_with_user_code(way, run):
    program, g = run
    eager, recorded = leaves(program), leaves(program)
    out = program(*eager)
    out.backward(tg.from_numpy(np.asarray(g * (2 if way in {double_at_the_end, in_leaves} else 1), g.dtype)))
    cotangent = tg.from_numpy(g)

    def function(xs):
        way(program, xs, cotangent)

    tape = tg.record(function, recorded)
    values = [np.array(v) for v in tape.values]
    with jax.enable_x64(True):
        compiled = [np.asarray(x) for x in jax.jit(lower_flat(tape))(*values)]
    report = check(tape, values, [recorded[i]._grad._array for i in tape.grads], compiled, [str(i) for i in tape.grads])
    report.raise_if_failed()
    for a, b in zip(eager, recorded, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())
