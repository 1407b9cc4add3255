"""JAX functions as operations on tensors: values and gradients are JAX's, of any order, eager, recorded and jitted."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile import lower
from tapegrad.errors import GraphFreedError, InPlaceError, UnsupportedError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
W = RNG.standard_normal((4, 2))


def layer(x, w):
    return jnp.tanh(x @ w)


def leaf(array, dtype=None):
    return tg.tensor(array, dtype=dtype).requires_grad_()


def close(got, wanted, **tolerances):
    got = got.detach().numpy() if isinstance(got, tg.Tensor) else got
    np.testing.assert_allclose(got, wanted, **{"rtol": 1e-12, "atol": 1e-12, **tolerances})


def x64(function, *args):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(*args))


# Values and gradients


def test_values_gradients_and_metadata_are_those_of_jax():
    x, w = leaf(X), leaf(W)
    out = tg.from_jax(layer)(x, w)
    assert (out.grad_fn.name(), type(out.grad_fn).__name__) == ("layerBackward", "layerBackward")
    assert out.requires_grad
    assert not out.is_leaf
    assert out.dtype == tg.float64
    out.backward(tg.ones(3, 2, dtype=tg.float64))
    wanted, pull = x64(lambda: jax.vjp(layer, X, W)[0]), x64(lambda: jax.vjp(layer, X, W)[1](jnp.ones((3, 2))))
    close(out, wanted)
    close(x.grad, pull[0])
    close(w.grad, pull[1])


def test_gradients_of_the_third_order_are_those_of_jax():
    x, w = leaf(X), leaf(W)
    operation = tg.from_jax(layer)
    (first,) = tg.autograd.grad((operation(x, w) ** 2).sum(), x, create_graph=True)
    (second,) = tg.autograd.grad((first**2).sum(), w, create_graph=True)
    (third,) = tg.autograd.grad((second**2).sum(), x)

    def loss(x, w):
        return (layer(x, w) ** 2).sum()

    def of_first(x, w):
        return (jax.grad(loss)(x, w) ** 2).sum()

    def of_second(x, w):
        return (jax.grad(of_first, 1)(x, w) ** 2).sum()

    close(third, x64(jax.grad(of_second), X, W), rtol=1e-9)


def test_gradcheck_to_second_order():
    operation = tg.from_jax(lambda x, w: (jnp.sin(x @ w), (x * x).sum()))
    assert tg.autograd.gradcheck(operation, (leaf(X), leaf(W)))
    assert tg.autograd.gradgradcheck(operation, (leaf(X), leaf(W)))


def test_complex_cotangents_are_conjugates_of_those_of_jax():
    """The gradient of a real loss is d/d(re) + i d/d(im), which for |z|^2 z is known in closed form."""
    z = RNG.standard_normal(5) + 1j * RNG.standard_normal(5)
    t = leaf(z)
    out = tg.from_jax(lambda z: z * z)(t)
    (out * out.conj()).real.sum().backward()  # |z|^4
    close(t.grad, 4 * np.abs(z) ** 2 * z)
    assert tg.autograd.gradcheck(tg.from_jax(lambda z: jnp.exp(z) * z), (leaf(z),))
    assert tg.autograd.gradgradcheck(tg.from_jax(lambda z: jnp.exp(z) * z), (leaf(z),))


def test_outputs_without_a_cotangent_count_as_zero_and_integers_need_no_gradient():
    def several(x):
        return jnp.sin(x), jnp.argmax(x), {"cos": jnp.cos(x), "flag": x > 0}

    x = leaf(X[0])
    sine, where, rest = tg.from_jax(several)(x)
    assert (where.requires_grad, rest["flag"].requires_grad) == (False, False)
    assert (where.dtype, rest["flag"].dtype) == (tg.int64, tg.bool)
    (g,) = tg.autograd.grad(rest["cos"].sum(), x, retain_graph=True)
    close(g, -np.sin(X[0]))
    (g,) = tg.autograd.grad(sine.sum(), x, create_graph=True)
    close(g, np.cos(X[0]))
    (h,) = tg.autograd.grad(g.sum(), x)
    close(h, -np.sin(X[0]))


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64, tg.complex64])
def test_dtypes_stay_what_they_are(dtype):
    seen = []

    def square(x):
        seen.append(x.dtype)
        return x * x, x.astype(jnp.float32).sum() if x.dtype != jnp.complex64 else x.real

    x = leaf([1.0, 2.0, 3.0], dtype)
    out, other = tg.from_jax(square)(x)
    assert seen == [dtype.numpy]
    assert (out.dtype, other.dtype) == (dtype, tg.float32)
    (out.real.sum() if dtype.is_complex else out.sum()).backward()
    assert x.grad.dtype == dtype
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    y = leaf([1.0, 2.0], dtype)
    tg.from_jax(lambda y: (y * 3).real)(y).sum().backward()
    assert y.grad.tolist() == [3.0, 3.0]


def test_bfloat16_outputs_with_missing_cotangents():
    x = leaf([1.0, 2.0], tg.bfloat16)
    first, _ = tg.from_jax(lambda x: (x * 2, x * 3))(x)
    first.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert x.grad.numpy().dtype == ml_dtypes.bfloat16


def test_64_bit_values_are_not_cut_down_and_the_setting_stays():
    seen = []

    def ints(i, x):
        seen.append((i.dtype, x.dtype))
        return i + 1, x

    i, x = tg.from_jax(ints)(tg.tensor([2**40]), tg.tensor([1 + 2**-40], dtype=tg.float64))
    assert i.tolist() == [2**40 + 1]
    assert x.tolist() == [1 + 2**-40]
    assert jnp.zeros(1).dtype == np.float32


# Arguments and results


@dataclasses.dataclass
class Batch:
    x: object
    name: str


class Pair(NamedTuple):
    first: object
    second: object


def test_containers_of_arguments_and_results():
    def function(batch, *, scale):
        assert batch.name == "train"
        return Pair(batch.x["a"] * scale, [Batch(batch.x["b"], "out"), None, 3])

    a, b = leaf(X), tg.tensor(W)
    out = tg.from_jax(function)(Batch({"a": a, "b": b}, "train"), scale=2.0)
    assert type(out) is Pair
    close(out.first, 2 * X)
    second, nothing, three = out.second
    assert (second.name, nothing, three) == ("out", None, 3)
    close(second.x, W)
    out.first.sum().backward()
    close(a.grad, np.full_like(X, 2.0))


def test_static_values_choose_a_program_and_floats_do_not():
    traced = []

    def function(x, axis, factor, mode="sum"):
        traced.append((axis, mode))
        return getattr(jnp, mode)(x, axis) * factor

    operation = tg.from_jax(function)
    x = tg.tensor(X)
    for factor in (1.0, 2.0, 0.5, float("nan")):
        close(operation(x, 0, factor), X.sum(0) * factor)
    close(operation(x, 1, 1.0), X.sum(1))
    close(operation(x, True, 1.0), X.sum(1))
    close(operation(x, 0, 1.0, mode="max"), X.max(0))
    assert traced == [(0, "sum"), (1, "sum"), (True, "sum"), (0, "max")]


def test_a_float_is_weakly_typed():
    assert tg.from_jax(lambda x, s: x * s)(tg.ones(2, dtype=tg.float16), 2.0).dtype == tg.float16


def test_arrays_are_taken_like_tensors_that_need_no_gradient():
    x = leaf(X)
    array = W.copy()
    out = tg.from_jax(layer)(x, array)
    array[:] = 0  # what was dispatched must not see that
    close(out, np.tanh(X @ W))
    out = tg.from_jax(layer)(x, x64(jnp.asarray, W))
    out.sum().backward()
    close(out, np.tanh(X @ W))
    key = jax.random.key(0)
    drawn = tg.from_jax(lambda key, x: x + jax.random.normal(key, x.shape, x.dtype))(key, tg.tensor(X))
    close(drawn, x64(lambda: X + jax.random.normal(key, X.shape, jnp.float64)))


def test_a_host_array_overwritten_right_after_the_call_changes_nothing():
    operation = tg.from_jax(lambda x: jnp.linalg.matrix_power(x, 3).sum())
    for _ in range(20):
        array = np.ones((200, 200))
        t = tg.from_numpy(array)
        out = operation(t)
        array[:] = 0
        assert out.item() == 200.0**4
        t = tg.ones(200, 200, dtype=tg.float64)
        out = operation(t)
        t.zero_()
        assert out.item() == 200.0**4


def test_what_is_no_argument_or_result():
    with pytest.raises(TypeError, match="from_jax: expected a function, got int"):
        tg.from_jax(3)
    with pytest.raises(TypeError, match="neither a tensor nor hashable"):
        tg.from_jax(lambda x, s: x)(tg.ones(2), {1, 2})
    with pytest.raises(TypeError, match="returned a object, which is neither an array nor a number"):
        tg.from_jax(lambda x: object())(tg.ones(2))
    with pytest.raises(TypeError, match="a result of dtype uint32, which tensors do not have"):
        tg.from_jax(lambda x: x.astype(jnp.uint32))(tg.ones(2))


def test_inside_other_jax_functions_it_is_the_function():
    operation = tg.from_jax(layer)
    close(x64(jax.jit(operation), X, W), np.tanh(X @ W))
    close(x64(jax.grad(lambda x: operation(x, W).sum()), X), x64(jax.grad(lambda x: layer(x, W).sum()), X))


def test_methods_and_names():
    class Model:
        factor = 3

        @tg.from_jax
        def forward(self, x):
            return x * self.factor

        __hash__ = object.__hash__

    assert Model().forward(tg.ones(2)).tolist() == [3.0, 3.0]
    assert Model.forward.__name__ == "forward"


# Never stale


def test_it_is_traced_once_per_signature():
    traced = []

    def function(x):
        traced.append(x.shape)
        return jnp.sin(x)

    operation = tg.from_jax(function)
    for _ in range(5):
        x = leaf(X)
        (g,) = tg.autograd.grad(operation(x).sum(), x, create_graph=True)
        g.sum().backward()
    assert len(traced) == 2  # forward, and again for the pullback to be differentiated
    for _ in range(3):
        operation(tg.tensor(X))
        operation(tg.tensor(X[:2]))
    assert len(traced) == 4


SCALE = 2


def test_a_variable_that_is_rebound_is_noticed():
    global SCALE
    offset, table = 1.0, jnp.ones(2)

    def function(x):
        return x * SCALE + offset + table

    operation = tg.from_jax(function)
    x = tg.ones(2)
    assert operation(x).tolist() == [4.0, 4.0]
    SCALE = 3
    assert operation(x).tolist() == [5.0, 5.0]
    offset = 2.0
    assert operation(x).tolist() == [6.0, 6.0]
    table = jnp.zeros(2)
    assert operation(x).tolist() == [5.0, 5.0]
    SCALE = 2


class Layer:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return x * self.scale

    def method(self, x):
        return x * self.scale


def by_a_dict(holder):
    table = {"scale": holder}
    return lambda x: x * table["scale"].scale, lambda n: table.__setitem__("scale", Layer(n))


def by_a_list(holder):
    scales = [holder.scale]
    return lambda x: x * sum(scales), lambda n: scales.__setitem__(slice(None), [n - 1, 1])


def by_a_helper(holder):
    def helper(x):
        return x * holder.scale

    return lambda x: helper(x), lambda n: setattr(holder, "scale", n)


def by_an_array(holder):
    scales = np.full(2, float(holder.scale), np.float32)
    return lambda x: x * scales, lambda n: scales.fill(n)


CHANGED = {
    "dict": by_a_dict,
    "list": by_a_list,
    "helper": by_a_helper,
    "array": by_an_array,
    "attribute": lambda holder: (lambda x: x * holder.scale, lambda n: setattr(holder, "scale", n)),
    "default": lambda holder: (lambda x, h=holder: x * h.scale, lambda n: setattr(holder, "scale", n)),
    "object": lambda holder: (holder, lambda n: setattr(holder, "scale", n)),
    "method": lambda holder: (holder.method, lambda n: setattr(holder, "scale", n)),
    "partial": lambda holder: (
        functools.partial(lambda x, h: x * h.scale, h=holder),
        lambda n: setattr(holder, "scale", n),
    ),
}


@pytest.mark.parametrize("jit", [lambda function: function, tg.jit], ids=["eager", "jitted"])
@pytest.mark.parametrize("kind", CHANGED)
def test_what_an_object_that_is_changed_holds(kind, jit):
    function, change = CHANGED[kind](Layer(2))
    operation = tg.from_jax(function)
    fast = jit(lambda x: operation(x) + 1)
    for scale in (2, 2, 2, 3, 3, 3, 2, 2.5, 2.5, 2.5, 4.5, 4.5, 4.5):
        change(scale)
        assert fast(tg.ones(2)).tolist() == [scale + 1.0] * 2


def test_what_cannot_be_watched_is_known_by_identity():
    big, count = np.ones(1 << 17, np.float32), itertools.count()
    traced = []

    def function(x):
        traced.append(next(count))
        return x + big[0]

    operation = tg.from_jax(function)
    for _ in range(3):
        assert operation(tg.ones(2)).tolist() == [2.0, 2.0]
    big = big * 2
    assert operation(tg.ones(2)).tolist() == [3.0, 3.0]


def test_a_tensor_that_was_not_passed_is_refused():
    w = tg.ones(2)
    with pytest.raises(UnsupportedError, match=r"reads a tensor of shape \[2\] that it was not passed .*pass it as"):
        tg.from_jax(lambda x: x * jnp.asarray(w))(tg.ones(2))
    with pytest.raises(UnsupportedError, match="pass it as an argument"):
        tg.from_jax(lambda x: x * w.item())(tg.ones(1))
    assert tg.from_jax(lambda x: x)(w).tolist() == [1.0, 1.0]


# The graph


def test_no_graph_without_grad_mode_or_need():
    operation = tg.from_jax(layer)
    with tg.no_grad():
        assert operation(leaf(X), leaf(W)).grad_fn is None
    assert operation(tg.tensor(X), tg.tensor(W)).grad_fn is None
    out = operation(leaf(X), tg.tensor(W))
    assert [node is not None for node, _ in out.grad_fn.next_functions] == [True, False]


def test_a_graph_is_freed_by_backward():
    x = leaf(X)
    out = tg.from_jax(jnp.sin)(x).sum()
    out.backward(retain_graph=True)
    out.backward()
    close(x.grad, 2 * np.cos(X))
    with pytest.raises(GraphFreedError, match="backward through the graph a second time"):
        out.backward()


def test_a_saved_input_written_to_is_an_error():
    x = leaf(X)
    y = x * 2
    out = tg.from_jax(jnp.sin)(y)
    y.add_(1)
    with pytest.raises(InPlaceError, match="is at version 1; expected version 0 instead"):
        out.sum().backward()
    w = tg.tensor(W)
    w.add_(1)
    out = tg.from_jax(layer)(x, w)
    w.add_(1)
    with pytest.raises(InPlaceError, match="is at version 2; expected version 1 instead"):
        out.sum().backward()


def test_an_output_may_be_written_to():
    x = leaf(X)
    out = tg.from_jax(jnp.exp)(x)
    out.mul_(2)
    out.sum().backward()
    close(out, 2 * np.exp(X))
    close(x.grad, 2 * np.exp(X))


def test_views_and_updated_leaves_as_inputs():
    x = leaf(X)
    operation = tg.from_jax(jnp.sin)
    operation(x.T[1:]).sum().backward()
    wanted = np.cos(X)
    wanted[:, 0] = 0
    close(x.grad, wanted)
    for _ in range(3):
        x.grad = None
        operation(x).sum().backward()
        close(x.grad, np.cos(x.detach().numpy()))
        with tg.no_grad():
            x -= 0.1 * x.grad


def test_hooks_see_tensors():
    x = leaf(X)
    seen = []
    out = tg.from_jax(lambda x: (jnp.sin(x), jnp.cos(x)))(x)
    out[0].register_hook(lambda g: g * 2)
    out[0].grad_fn.register_hook(lambda inputs, outputs: seen.append((len(inputs), [g is None for g in outputs])))
    out[0].sum().backward()
    close(x.grad, 2 * np.cos(X))
    assert seen == [(1, [False, True])]


def test_inference_tensors_are_not_saved():
    with tg.inference_mode():
        t = tg.ones(3)
    with pytest.raises(InPlaceError, match="Inference tensors cannot be saved for backward"):
        tg.from_jax(lambda x, y: x * y)(tg.ones(3).requires_grad_(), t)


def test_inside_checkpoint_and_saved_tensor_hooks():
    x = leaf(X)
    operation = tg.from_jax(jnp.sin)
    tg.utils.checkpoint.checkpoint(lambda x: operation(x * 2), x, use_reentrant=False).sum().backward()
    close(x.grad, 2 * np.cos(2 * X))
    with tg.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), tg.from_numpy):
        x = leaf(X)
        out = operation(tg.tensor(X) * x.detach().requires_grad_())
    out.sum().backward()


# Under transforms


def test_vmap_is_that_of_jax():
    batch = RNG.standard_normal((5, 3, 4))
    close(tg.vmap(tg.from_jax(layer), (0, None))(tg.tensor(batch), tg.tensor(W)), np.tanh(batch @ W))
    out = tg.vmap(lambda x: tg.from_jax(lambda x: {"a": x.sum(), "b": (x > 0).any()})(x)["a"])(tg.tensor(batch))
    close(out, batch.sum((1, 2)))
    x = leaf(batch)
    tg.vmap(tg.from_jax(layer), (0, None))(x, tg.tensor(W)).sum().backward()
    close(x.grad, x64(jax.grad(lambda x: layer(x, W).sum()), batch))


def test_grad_inside_vmap():
    batch = RNG.standard_normal((5, 3))
    per_example = tg.vmap(tg.func.grad(lambda x: tg.from_jax(jnp.sin)(x).sum() * x.sum()))(tg.tensor(batch))
    close(per_example, x64(jax.vmap(jax.grad(lambda x: jnp.sin(x).sum() * x.sum())), batch))


def test_forward_mode_is_that_of_jax():
    t = RNG.standard_normal(X.shape)
    out, tangent = tg.func.jvp(lambda x: tg.from_jax(layer)(x, tg.tensor(W)), (tg.tensor(X),), (tg.tensor(t),))
    wanted = x64(lambda: jax.jvp(lambda x: layer(x, W), (X,), (t,)))
    close(out, wanted[0])
    close(tangent, wanted[1])


@pytest.mark.parametrize("transform", [tg.func.jacrev, tg.func.jacfwd, tg.func.hessian])
def test_jacobians(transform):
    def function(x):
        return jnp.sin(x) * x.sum()

    theirs = {tg.func.jacrev: jax.jacrev, tg.func.jacfwd: jax.jacfwd, tg.func.hessian: jax.hessian}[transform]
    close(transform(tg.from_jax(function))(tg.tensor(X[0])), x64(theirs(function), X[0]))


# On tapes


def test_it_is_one_step_of_a_tape_that_a_person_can_read():
    def function(x, w):
        out, index = tg.from_jax(lambda x, w, s: (layer(x, w) * s, jnp.argmax(x)))(x, w, 2.0)
        return out.sum() + index

    tape = tg.record(function, tg.tensor(X), tg.tensor(W))
    (step, *_) = tape.steps
    assert step.prim.name == "jax_call"
    assert len(step.outputs) == 2
    assert "a, b = jax_call(x, w, 2.0, function=jax_function)" in str(tape)
    assert "f64[3, 2], i64[]" in str(tape)
    close(x64(lower(tape), X, W), 2 * np.tanh(X @ W).sum() + X.argmax())


def test_lowered_it_is_inlined_and_differentiable():
    operation = tg.from_jax(layer)
    program = lower(tg.record(lambda x, w: (operation(x, w) ** 2).sum(), leaf(X), leaf(W)))
    close(x64(jax.grad(program, 1), X, W), x64(jax.grad(lambda x, w: (layer(x, w) ** 2).sum(), 1), X, W))


def step(x, w):
    operation = tg.from_jax(layer)
    hidden, index = tg.from_jax(lambda x: (jnp.sin(x), jnp.argmax(x)))(x)
    loss = (operation(hidden, w) ** 2).sum() * (1 + index)
    (g,) = tg.autograd.grad(loss, x, create_graph=True)
    (loss + (g**2).sum()).backward()
    return loss, index


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_jitted_with_a_gradient_penalty(dtype):
    x, w = leaf(X, dtype), leaf(W, dtype)
    wanted = step(x, w)
    grads = x.grad, w.grad
    jitted = tg.jit(step)
    for _ in range(3):
        x.grad = w.grad = None
        loss, index = jitted(x, w)
        rtol = 1e-12 if dtype == tg.float64 else 1e-5
        close(loss, wanted[0].detach().numpy(), rtol=rtol)
        assert index.item() == wanted[1].item()
        close(x.grad, grads[0].numpy(), rtol=rtol, atol=rtol)
        close(w.grad, grads[1].numpy(), rtol=rtol, atol=rtol)


def test_jitted_where_the_function_takes_one_dtype_only():
    """The replay in float64 gives way to one in the dtypes of the call."""

    def particular(x):
        return jax.lax.add(x, np.ones(3, np.float32)) * x

    x = leaf([1.0, 2.0, 3.0], tg.float32)
    operation = tg.from_jax(particular)

    def step(x):
        operation(x).sum().backward()

    jitted = tg.jit(step)
    for _ in range(2):
        x.grad = None
        jitted(x)
        assert x.grad.tolist() == [3.0, 5.0, 7.0]


def test_jitted_without_a_gradient_where_nothing_requires_it():
    operation = tg.from_jax(layer)

    def function(x, w):
        with tg.no_grad():
            frozen = operation(x, w)
        return (frozen * operation(x, w)).sum()

    def both(x, w):
        function(x, w).backward()

    x, w = leaf(X), leaf(W)
    both(x, w)
    wanted = x.grad.numpy().copy()
    jitted = tg.jit(both)
    for _ in range(2):
        x.grad = w.grad = None
        jitted(x, w)
        close(x.grad, wanted)
    close(wanted, x64(jax.grad(lambda x: (np.tanh(X @ W) * layer(x, W)).sum()), X))


def test_a_gradient_under_a_transform_is_refused_on_a_tape():
    batch = tg.tensor(RNG.standard_normal((5, 3))).requires_grad_()
    close(
        x64(lower(tg.record(lambda x: tg.vmap(tg.from_jax(jnp.sin))(x), batch.detach())), batch.detach().numpy()),
        np.sin(batch.detach().numpy()),
    )
    with pytest.raises(UnsupportedError, match="inside a transform"):
        tg.record(lambda x: tg.func.jvp(tg.from_jax(jnp.sin), (x,), (x,))[1], batch)


def test_jitted_floats_are_inputs():
    operation = tg.from_jax(lambda x, rate: x * rate)
    jitted = tg.jit(lambda x, rate: operation(x, rate))
    x = tg.tensor([1.0, 2.0])
    for rate in (0.5, 0.25, 0.125):
        out = jitted(x, rate)
        assert out.tolist() == [rate, 2 * rate]
        assert out.dtype == tg.float32
    assert len(jitted.specialisations) == 1
