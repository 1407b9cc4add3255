"""differentiable_forward: compiled calls as nodes of the graph, whose gradients are JAX's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile.compiled_node import Graph, Save
from tapegrad.compile.device import from_device, value_of
from tapegrad.compile.pullback import differentiable_forward
from tapegrad.errors import GraphFreedError, InPlaceError

RNG = np.random.default_rng(1)
X, W, B = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal(2)


def program(x, w, b):
    hidden = jnp.tanh(x @ w + b)
    return hidden, (hidden**2).sum(), jnp.argmax(hidden)


def call(forward, tensors, names=("TanhBackward0", "SumBackward0"), **options):
    with jax.enable_x64(True):
        outputs, residual = forward.run([value_of(t, keep=True) for t in tensors])
    outputs = [from_device(x) for x in jax.tree.leaves(outputs)]
    forward.attach(residual, tensors, [outputs[i] for i in (0, 1)], names, **options)
    return outputs


def leaves():
    return tg.tensor(X).requires_grad_(), tg.tensor(W).requires_grad_(), tg.tensor(B)


def x64(function, *args):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(*args))


def close(got, wanted):
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-10, atol=1e-10)


def test_outputs_have_nodes_called_as_asked():
    x, w, b = leaves()
    forward = differentiable_forward(program, needs=[0, 1], outs=[0, 1])
    hidden, loss, index = call(forward, (x, w, b))
    close(hidden, np.tanh(X @ W + B))
    assert [type(t.grad_fn).__name__ for t in (hidden, loss)] == ["TanhBackward0", "SumBackward0"]
    assert [t.grad_fn.name() for t in (hidden, loss)] == ["TanhBackward0", "SumBackward0"]
    assert (hidden.output_nr, loss.output_nr, index.requires_grad) == (0, 0, False)
    shared = hidden.grad_fn.next_functions[0]
    assert shared[0].name() == "programBackward"
    assert (shared[1], loss.grad_fn.next_functions[0][1]) == (0, 1)
    assert [node is not None for node, _ in shared[0].next_functions] == [True, True, False]


def test_one_output_has_the_node_itself():
    x, w, b = leaves()
    forward = differentiable_forward(lambda *args: program(*args)[1], needs=[1])
    with jax.enable_x64(True):
        result, residual = forward.run([value_of(t, keep=True) for t in (x, w, b)])
    loss = from_device(result)
    forward.attach(residual, (x, w, b), [loss], ["SumBackward0"])
    assert loss.grad_fn.name() == "SumBackward0"
    loss.backward()
    assert x.grad is None
    close(w.grad, x64(jax.grad(lambda w: program(X, w, B)[1]), W))


def test_gradients_of_one_output_of_the_other_and_of_both():
    forward = differentiable_forward(program, [0, 1], [0, 1])
    for weights in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0)):
        x, w, b = leaves()
        hidden, loss, _ = call(forward, (x, w, b))
        parts = [p for p, factor in ((hidden.sum(), weights[0]), (loss, weights[1])) if factor]
        factors = [factor for factor in weights if factor]
        sum(p * f for p, f in zip(parts, factors, strict=True)).backward()

        def total(x, w, weights=weights):
            hidden, loss, _ = program(x, w, B)
            return weights[0] * hidden.sum() + weights[1] * loss

        gx, gw = x64(jax.grad(total, (0, 1)), X, W)
        close(x.grad, gx)
        close(w.grad, gw)


def test_mixed_eager_and_compiled_graphs_to_second_order():
    forward = differentiable_forward(program, [0, 1], [0, 1])
    x, w, b = leaves()
    hidden, loss, _ = call(forward, (x.sin(), w * 2, b))
    out = hidden.exp().sum() * loss
    gx, gw = tg.autograd.grad(out, (x, w), create_graph=True)
    ((gx**2).sum() + gw.sum()).backward()

    def whole(x, w):
        hidden, loss, _ = program(jnp.sin(x), w * 2, B)
        return jnp.exp(hidden).sum() * loss

    def penalty(x, w):
        gx, gw = jax.grad(whole, (0, 1))(x, w)
        return (gx**2).sum() + gw.sum()

    wanted = x64(jax.grad(penalty, (0, 1)), X, W)
    close(gx, x64(jax.grad(whole), X, W))
    close(x.grad, wanted[0])
    close(w.grad, wanted[1])


def test_a_compiled_call_on_the_result_of_another():
    forward = differentiable_forward(lambda x: (jnp.sin(x), (x**2).sum()), [0], [0, 1])
    x = tg.tensor(X).requires_grad_()
    first, _ = call(forward, [x])
    second, norm = call(forward, [first])
    (second.sum() + norm).backward()
    close(x.grad, x64(jax.grad(lambda x: (jnp.sin(jnp.sin(x)) + jnp.sin(x) ** 2).sum()), X))


def test_nothing_is_traced_twice():
    traced = []

    def function(x):
        traced.append(x.shape)
        return (x**3).sum(), x

    forward = differentiable_forward(function, [0], [0, 1])
    for _ in range(4):
        x = tg.tensor(X).requires_grad_()
        out, _ = call(forward, [x])
        (g,) = tg.autograd.grad(out, x, create_graph=True)
        g.sum().backward()
        close(x.grad, 6 * X)
    assert len(traced) == 2


def test_it_is_freed_like_other_nodes():
    x, w, b = leaves()
    _, loss, _ = call(differentiable_forward(program, [0, 1], [0, 1]), (x, w, b))
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(GraphFreedError, match="a second time"):
        loss.backward()


def test_writes_to_inputs():
    forward = differentiable_forward(program, [0, 1], [0, 1])
    x, w, b = leaves()
    _, loss, _ = call(forward, (x, w, b))
    b.add_(1)
    with pytest.raises(InPlaceError, match="modified by an inplace operation"):
        loss.backward()
    x, w, b = leaves()
    _, loss, _ = call(forward, (x, w, b), graph=Graph([{0, 1}] * 2, [Save(frozenset({0, 1}), (0,))]))
    b.add_(1)  # not watched: the values of the run count, at any order
    with tg.no_grad():
        w.zero_()
    (gx,) = tg.autograd.grad(loss, x, create_graph=True)
    close(gx, x64(jax.grad(lambda x: program(x, W, B)[1]), X))
    (gw,) = tg.autograd.grad(gx.sum(), w)
    close(gw, x64(jax.grad(lambda w: jax.grad(lambda x: program(x, w, B)[1])(X).sum()), W))
    with tg.no_grad():
        x.add_(1)
    with pytest.raises(InPlaceError, match="modified by an inplace operation"):
        loss.backward()


def test_many_names_of_one_kind_share_a_node():
    x, w, b = leaves()
    hidden, loss, _ = call(differentiable_forward(program, [0, 1], [0, 1]), (x, w, b), ("F", "F"))
    assert hidden.grad_fn is loss.grad_fn
    assert (hidden.output_nr, loss.output_nr) == (0, 1)


def test_the_graph_is_released_with_its_last_tensor():
    import gc
    import weakref

    x, w, b = leaves()
    outputs = call(differentiable_forward(program, [0, 1], [0, 1]), (x, w, b))
    node = weakref.ref(outputs[0].grad_fn)
    gc.disable()
    try:
        del outputs
        assert node() is None
    finally:
        gc.enable()


def test_inputs_and_outputs_are_not_copied_for_the_backward():
    forward = differentiable_forward(lambda x, w: jnp.exp(x @ w), [0, 1])
    x, w = jnp.asarray(X), jnp.asarray(W)
    result, residual = forward.run([x, w])
    assert not residual.pull.arrays
    assert {id(a) for a in residual.shared} == {id(x), id(w), id(result)}
