"""`vmap` against one call per example and against JAX's; what it refuses; and what it leaves as it was."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import forward_ad
from tapegrad.func import grad, hessian, jacfwd, jacrev, vjp, vmap


class Pair(NamedTuple):
    first: Any
    second: Any


def data(*shape, seed=0):
    return tg.tensor(np.random.default_rng([seed, *shape]).uniform(-2, 2, shape))


def one_by_one(f, *batches):
    return tg.stack([f(*example) for example in zip(*batches, strict=True)])


def same(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-12)


# Where the batch dims are


def test_the_batch_dim_of_each_argument_is_taken_away():
    seen = []

    def f(a, b, c):
        seen.append((a.shape, b.shape, c.shape))
        return a.sum() + b * c

    a, b, c = data(3, 4), data(5, 4, seed=1), data(5, seed=2)
    out = vmap(f, in_dims=(1, -1, None))(a, b, c)
    assert seen == [((3,), (5,), (5,))]
    same(out, one_by_one(lambda a, b: a.sum() + b * c, a.t(), b.t()))
    with jax.enable_x64(True):
        expected = jax.vmap(lambda a, b, c: a.sum() + b * c, in_axes=(1, -1, None))(a.numpy(), b.numpy(), c.numpy())
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("out_dim", [0, 1, 2, -1, -2, -3])
def test_the_batch_dim_of_the_result_goes_where_it_is_asked(out_dim):
    x = data(4, 2, 3)
    out = vmap(lambda x: x.t() * 2, out_dims=out_dim)(x)
    same(out, (x.mT * 2).movedim(0, out_dim))


def test_arguments_and_results_may_be_containers():
    f = lambda p: Pair(p.first["a"] + p.first["b"], [p.second, OrderedDict(z=p.second * 2)])  # noqa: E731
    p = Pair({"a": data(3, 2), "b": data(2, seed=1)}, data(2, 3, seed=2))
    out = vmap(f, in_dims=(Pair({"a": 0, "b": None}, 1),), out_dims=Pair(1, 0))(p)
    assert type(out) is Pair
    assert type(out.second[1]) is OrderedDict
    same(out.first, (p.first["a"] + p.first["b"]).t())
    same(out.second[1]["z"], p.second.t() * 2)


def test_keyword_arguments_and_what_is_no_tensor_are_the_same_for_all():
    x, y = data(3), data(3, seed=1)
    same(
        vmap(lambda x, n, y: (x * n + y).sum(), in_dims=(0, None))(x, 2, y=y),
        one_by_one(lambda x: (x * 2 + y).sum(), x),
    )


def test_a_result_that_is_the_same_for_all_is_repeated_or_returned_as_it_is():
    x, w = data(3, 2), data(2, seed=1)
    same(vmap(lambda _: w * 2)(x), tg.stack([w * 2] * 3))
    seen = []
    batched, single, text = vmap(lambda x: (x, seen.append(w * 2) or seen[0], "text"), out_dims=(0, None, None))(x)
    assert batched is x
    assert single is seen[0]
    assert text == "text"


def test_chunks_give_the_same():
    x, y = data(7, 2), data(3, 7, seed=1)
    f = lambda x, y: (x.sum() * y, y.exp())  # noqa: E731
    calls = []

    def counted(*args):
        calls.append(args[0].shape)
        return f(*args)

    whole, parts = (vmap(counted, (0, 1), (0, 1), chunk_size=n)(x, y) for n in (None, 3))
    for a, b in zip(whole, parts, strict=True):
        same(a, b)
    assert len(calls) == 1 + 3


def test_inside_another_vmap():
    x, y = data(2, 3, 4), data(4, 3, seed=1)
    inner = lambda x, y: (x * y).sin().cumsum(0).sum() + x[0] * y.mean()  # noqa: E731
    out = vmap(vmap(inner, in_dims=(0, None)), in_dims=(0, None))(x, y[:, 0])
    same(out, tg.stack([one_by_one(lambda a: inner(a, y[:, 0]), part) for part in x]))
    outer = vmap(lambda a, b: vmap(lambda u: (u * b).sum() + a.sum())(a), in_dims=(0, None))(x, y[:, 1])
    same(outer, tg.stack([one_by_one(lambda u: (u * y[:, 1]).sum() + part.sum(), part) for part in x]))  # noqa: B023


def test_of_a_function_with_no_name():
    class Doubled:
        def __call__(self, x):
            return x * 2

    same(vmap(Doubled())(data(3)), data(3) * 2)


# Gradients


def test_gradients_flow_to_batched_and_captured_tensors():
    x, w, b = data(5, 3).requires_grad_(), data(3, 4, seed=1).requires_grad_(), data(4, seed=2).requires_grad_()
    f = lambda x: ((x @ w + b).tanh().softmax(0) * b).sum()  # noqa: E731
    g = data(5, seed=3)
    found = tg.autograd.grad(vmap(f)(x), (x, w, b), g)
    expected = tg.autograd.grad(one_by_one(f, x), (x, w, b), g)
    for a, e in zip(found, expected, strict=True):
        same(a, e)


def test_second_order_gradients_flow_through():
    x, w = data(5, 3).requires_grad_(), data(3, seed=1).requires_grad_()
    f = lambda x: (x * w).sin().prod(0)  # noqa: E731

    def second(batched):
        (g,) = tg.autograd.grad(batched(x).square().sum(), x, create_graph=True)
        return tg.autograd.grad(g.square().sum(), (x, w))

    for a, e in zip(second(vmap(f)), second(lambda x: one_by_one(f, x)), strict=True):
        same(a, e)


def test_inside_and_around_a_level_of_forward_mode():
    x, t, w = data(4, 3), data(4, 3, seed=1), data(3, seed=2)

    def f(x):
        y = (x * w).exp()
        y[1:] = y[:-1].clone() * x.sum()
        return y.cumsum(0)

    def jvp(f, x, t):
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(f(forward_ad.make_dual(x, t)))

    expected = [one_by_one(lambda x, t, i=i: jvp(f, x, t)[i], x, t) for i in (0, 1)]
    around = jvp(vmap(f), x, t)
    inside = vmap(lambda x, t: tuple(jvp(f, x, t)))(x, t)
    for i in (0, 1):
        same(around[i], expected[i])
        same(inside[i], expected[i])


def test_a_batch_of_cotangents_in_one_walk():
    x, w = data(3).requires_grad_(), data(4, 3, seed=1).requires_grad_()
    y, z = w @ x, (x * x).sum()
    seeds = data(5, 4, seed=2), data(5, seed=3)
    found = tg.autograd.grad((y, z), (x, w), seeds, retain_graph=True, is_grads_batched=True)
    for i, g in enumerate(found):
        rows = [tg.autograd.grad((y, z), (x, w), s, retain_graph=True)[i] for s in zip(*seeds, strict=True)]
        same(g, tg.stack(rows))
    (jacobian,) = tg.autograd.grad(y, x, tg.eye(4, dtype=tg.float64), create_graph=True, is_grads_batched=True)
    same(jacobian, w)
    assert jacobian.requires_grad


def test_a_batch_of_cotangents_where_a_gradient_is_missing():
    x, unused = data(3).requires_grad_(), data(2).requires_grad_()
    grads = lambda **options: tg.autograd.grad(  # noqa: E731
        x * 2, (x, unused), tg.eye(3, dtype=tg.float64), is_grads_batched=True, **options
    )
    with pytest.raises(RuntimeError, match="at index 1 appears to not have been used"):
        grads()
    assert grads(allow_unused=True)[1] is None
    assert grads(materialize_grads=True)[1].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="got sizes"):
        tg.autograd.grad((x * 2, x.sum()), x, (data(2, 3), data(3)), is_grads_batched=True)


def mlp(params, x, y):
    h = (x @ params["w1"] + params["b1"]).tanh()
    return tg.nn.functional.cross_entropy(h @ params["w2"], y)


def mlp_data():
    params = {"w1": data(3, 5), "b1": data(5), "w2": data(5, 4, seed=1)}
    return params, data(6, 3, seed=2), tg.tensor([0, 1, 2, 3, 0, 1])


def test_gradients_of_each_example():
    params, x, y = mlp_data()
    found = vmap(grad(mlp), in_dims=(None, 0, 0))(params, x, y)
    rows = [grad(mlp)(params, a, b) for a, b in zip(x, y, strict=True)]
    for name, g in found.items():
        same(g, tg.stack([row[name] for row in rows]))
        assert not g.requires_grad

    def loss(p, a, b):
        h = jax.numpy.tanh(a @ p["w1"] + p["b1"])
        return -jax.nn.log_softmax(h @ p["w2"])[b]

    with jax.enable_x64(True):
        arrays = {name: p.numpy() for name, p in params.items()}
        expected = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(arrays, x.numpy(), y.numpy())
    for name, g in found.items():
        np.testing.assert_allclose(g.numpy(), expected[name], rtol=1e-10, atol=1e-12)


def test_what_surrounds_gradients_of_each_example_differentiates_them():
    params, x, y = mlp_data()
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}

    def penalty(each):
        return sum((each(leaves)[name] ** 2).sum() for name in leaves)

    batched = penalty(lambda p: vmap(grad(mlp), in_dims=(None, 0, 0))(p, x, y))
    single = sum(
        (g**2).sum() for a, b in zip(x, y, strict=True) for g in tg.autograd.grad(
            mlp(leaves, a, b), list(leaves.values()), create_graph=True
        )
    )  # fmt: skip
    same(batched, single)
    for a, b in zip(*(tg.autograd.grad(f, list(leaves.values())) for f in (batched, single)), strict=True):
        same(a, b)


def test_jacobians_of_each_example():
    x = data(4, 3)
    f = lambda x: x.exp() * x.sum()  # noqa: E731
    scalar = lambda x: x.exp().sum() * x.prod()  # noqa: E731
    for transformed in (jacrev(f), jacfwd(f), hessian(scalar), jacrev(jacfwd(f))):
        same(vmap(transformed)(x), tg.stack([transformed(row) for row in x]))
    same(jacrev(vmap(f))(x), jacfwd(vmap(f))(x))


def test_vmap_of_a_pullback_of_which_the_function_was_written_to():
    x = data(3)

    def f(x):
        y = x.sin()
        y[0] *= y[1].clone()
        return y

    out, pull = vjp(f, x)
    seeds = data(5, 3, seed=1)
    same(vmap(pull)(seeds)[0], tg.stack([pull(row)[0] for row in seeds]))
    assert not out.requires_grad


# Indices that differ


def test_indices_may_differ_between_examples():
    x, i = data(4, 5, 3), tg.tensor([[0, -1], [2, 3], [4, 4], [-5, 0]])

    def f(x, i):
        wrapped = i.remainder(5)
        y = x.index_add(0, wrapped, x[:2]).index_copy(0, wrapped[:1], x[1:2])
        z = y[i].sum(0) + y.index_select(0, wrapped).cumsum(0)[1] + x[i[0], 1]
        return z + x.gather(0, wrapped.reshape(2, 1)).sum() + x.scatter(1, wrapped.reshape(1, 2) % 3, 0.5).sum()

    def written(x, i):
        y = x.clone()
        y[i] = y[i] * 2 + x[0]
        return y + f(y, i)

    for g in (f, written):
        same(vmap(g)(x, i), one_by_one(g, x, i))
    same(vmap(f, (None, 0))(x[0], i), one_by_one(lambda i: f(x[0], i), i))
    same(vmap(written, (0, None))(x, i[1]), one_by_one(lambda x: written(x, i[1]), x))


def test_indices_of_every_example_are_checked():
    x = data(2, 3)
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        vmap(lambda x, i: x[i])(x, tg.tensor([0, 3]))
    with pytest.raises(RuntimeError, match="index 5 is out of bounds"):
        vmap(lambda x, i: x.gather(0, i))(x, tg.tensor([[0], [5]]))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        vmap(lambda a, b: a // b)(tg.tensor([1, 2]), tg.tensor([1, 0]))
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        vmap(tg.nn.functional.nll_loss)(x, tg.tensor([0, 3]))
    with pytest.raises(RuntimeError, match="Number of elements of source"):
        vmap(lambda x, m: x.masked_scatter(m, x[:1]))(x, tg.tensor([[True, False, False], [True, True, False]]))


# In place


def test_a_write_goes_through_views_to_base_and_other_views():
    x = data(4, 2, 3)

    def f(x):
        base = x.clone()
        row, flat = base[1], base.view(-1)
        alias = base.detach()
        row.mul_(x[0])
        flat[1:3] += row[0]
        base.t()[2] = row.sum()
        return tg.cat([base.view(-1), row, flat, alias.view(-1)])

    x = x.requires_grad_()
    out, expected = vmap(f)(x), one_by_one(f, x)
    same(out, expected)
    g = data(*out.shape, seed=1)
    same(tg.autograd.grad(out, x, g)[0], tg.autograd.grad(expected, x, g)[0])


@pytest.mark.parametrize("in_dim", [0, 1, 2, -1])
def test_what_is_a_view_does_not_depend_on_where_the_batch_dim_is(in_dim):
    def f(x):
        y = x * 2
        y.view(-1)[1:4] = 0
        z = x.t() + 1
        z.reshape(-1)[0:2] = x.sum()
        return y + z.t()

    x = data(4, 2, 3)
    same(vmap(f, in_dims=in_dim)(x.movedim(0, in_dim).contiguous()), one_by_one(f, x))


def test_what_is_a_copy_of_an_argument_that_lies_apart_in_memory():
    def f(x):
        y = x.reshape(-1)
        y[0] = 5.0
        return x + y[0]

    x = data(4, 2, 3)
    apart = x.movedim(0, 1).contiguous()
    same(vmap(f, in_dims=1)(apart), x + 5)
    same(apart, x.movedim(0, 1))


def test_what_lies_in_one_place_for_all_examples_is_not_written_to():
    x = data(3).expand(4, 3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        vmap(lambda x: x.add_(1))(x)
    with pytest.raises(RuntimeError, match="of which batching made a copy"):
        vmap(lambda x: x.as_strided((2,), (1,)).add_(1))(x)


def test_gradients_inside_of_what_is_written_over_itself():
    def f(x):
        y = x * 1
        y.mul_(y)
        y[1:].mul_(y[:-1].clone()).pow_(2)
        return y.exp_().sum()

    x = data(4, 3) / 2
    same(vmap(grad(f))(x), tg.stack([grad(f)(row) for row in x]))
    same(grad(lambda x: (vmap(grad(f))(x) ** 2).sum())(x), grad(lambda x: sum((grad(f)(r) ** 2).sum() for r in x))(x))


def test_a_batched_argument_is_written_to():
    x = data(3, 2)
    expected = x.clone()
    expected[:, 0] *= 2
    y = x.t()
    vmap(lambda y: y[:1].mul_(2), in_dims=1)(y)
    same(x, expected)
    assert x._version == 1


def test_a_batched_argument_is_written_to_as_autograd_allows():
    leaf = data(3, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        vmap(lambda x: x.add_(1))(leaf)
    y = leaf * 1
    out = vmap(lambda x: x.mul_(x[0].clone()))(y)
    assert y.grad_fn.name() == "MulBackward0"
    (g,) = tg.autograd.grad(out.sum(), leaf)
    same(g, tg.autograd.grad((leaf * leaf[:, :1]).sum(), leaf)[0])


def test_what_a_gradient_needs_may_not_be_written_to():
    x = data(3, 2).requires_grad_()

    def f(x):
        y = x * 2
        z = y.exp()
        y.add_(1)
        z.mul_(2)
        return z

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        vmap(f)(x).sum().backward()


def test_a_captured_tensor_takes_no_batch():
    captured, x = data(2), data(3, 2, seed=1)
    before = captured.clone()
    for write in (
        lambda x: captured.add_(x),
        lambda x: captured.copy_(x),
        lambda x: captured.__setitem__(0, x[0]),
        lambda x: captured[1:].mul_(x[1]),
        lambda x: captured.detach().add_(x),
        lambda x: tg.zeros(2, dtype=tg.float64).add_(x),
    ):
        with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
            vmap(write)(x)
        same(captured, before)
    vmap(lambda x: captured.add_(1) * x)(x)
    same(captured, before + 1)


def test_what_is_made_like_a_batched_tensor_takes_a_batch():
    x = data(3, 2)

    def f(x):
        out = tg.zeros_like(x)
        out[1] = x[0]
        return out + x.new_ones(2).mul_(x) + tg.full_like(x, 2.0).add_(x)

    same(vmap(f)(x), one_by_one(f, x))


# What cannot be done to a batch


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda x: x.sum().item(), r"calling .item\(\) on a Tensor"),
        (lambda x: float(x[0]), r"calling .item\(\) on a Tensor"),
        (lambda x: x if x.sum() > 0 else -x, "data-dependent control flow"),
        (lambda x: x.detach().numpy(), "Cannot access data pointer"),
        (lambda x: x.tolist(), "Cannot access data pointer"),
        (lambda x: x[x > 0], "indexing with a boolean mask"),
        (lambda x: tg.nonzero(x), "can output dynamic shape"),
        (lambda x: tg.masked_select(x, x > 0), "torch.masked_select"),
        (lambda x: x.data * 2, "accessing `data` under vmap"),
        (lambda x: tg.allclose(x, x), "vmap over torch.allclose"),
        (lambda x: tg.allclose(tg.ones(2, dtype=tg.float64), x), "vmap over torch.allclose"),
        (lambda x: tg.equal(tg.ones(2, dtype=tg.float64), x), "aten::equal"),
        (lambda x: x[0] in tg.ones(2), r"calling .item\(\) on a Tensor"),
        (lambda x: tg.ones(2).select(0, x[0].long()), r"calling .item\(\) on a Tensor"),
        (lambda x: tg.tensor([x[0], x[1]]), r"calling .item\(\) on a Tensor"),
        (lambda x: tg.full((2,), x[0]), r"calling .item\(\) on a Tensor"),
        (lambda x: x.repeat_interleave(x.long().abs()), r"calling .item\(\) on a Tensor"),
        (lambda x: x.requires_grad_(), r"attempting to call Tensor.requires_grad_\(\)"),
        (lambda x: x.sum().backward(), r"backward\(\) called inside a functorch transform"),
        (lambda x: (x * 2).detach_(), "Can't detach views in-place"),
    ],
)
def test_the_value_of_a_batched_tensor_cannot_be_had(read, says):
    with pytest.raises(RuntimeError, match=says):
        vmap(read)(data(3, 2))
    with pytest.raises(RuntimeError, match=says):
        vmap(vmap(read))(data(2, 3, 2))
    assert not tg.tape.state.watchers


def test_values_that_are_the_same_for_all_can_be_had():
    w = data(2)
    same(vmap(lambda x: x * w.sum().item() if w[0] < 10 else x)(data(3, 2, seed=1)), data(3, 2, seed=1) * w.sum())


def test_a_batched_tensor_prints_as_one():
    texts = []
    vmap(lambda x: texts.append(repr(x)) or x)(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert texts == ["BatchedTensor(lvl=1, bdim=0, value=\n    tensor([[1., 2.],\n            [3., 4.]])\n)"]


def test_a_tensor_that_escapes_says_so():
    kept = []
    x = data(3, 2)
    vmap(lambda x: kept.append(x * 2) or x)(x)
    for use in (lambda t: t + 1, repr, lambda t: t.sum(), lambda t: t.shape, lambda t: x.mul_(t)):
        with pytest.raises(RuntimeError, match="escaped from inside a function being vmapped"):
            use(kept[0])


def test_an_error_inside_leaves_nothing_behind():
    def f(x):
        raise KeyError(str(x.shape))

    with pytest.raises(KeyError):
        vmap(vmap(f))(data(3, 2))
    assert not tg.tape.state.watchers


def test_nothing_is_kept_alive():
    x = data(3, 2)
    seen = []

    def f(x):
        y = x * 2
        seen.append(weakref.ref(y))
        return y + 1

    out = vmap(f)(x)
    alive = weakref.ref(out)
    del out
    gc.collect()
    assert seen[0]() is None
    assert alive() is None


# Random numbers


def test_random_numbers_are_an_error_different_or_the_same():
    x = data(4, 3)
    for draw in (
        lambda x: x * 0 + tg.rand(3, dtype=tg.float64), tg.randn_like, lambda x: tg.randperm(6) + 0 * x[0],
        lambda x: tg.randint(1000, (5,)) + 0 * x[0], lambda x: x.clone().normal_(),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="randomness error mode"):
            vmap(draw)(x)
        rows = {tuple(row) for row in vmap(draw, randomness="different")(x).tolist()}
        assert len(rows) == 4
        assert len({tuple(row) for row in vmap(draw, randomness="same")(x).tolist()}) == 1


def test_draws_that_depend_on_the_examples():
    p = tg.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    for randomness in ("different", "same"):
        for draw in (lambda p: tg.bernoulli(p), lambda p: p.clone().bernoulli_(p)):
            assert tg.equal(vmap(draw, randomness=randomness)(p), p)
        picked = vmap(lambda p: tg.multinomial(p + 1e-30, 1), randomness=randomness)(p[:2])
        assert picked.tolist() == [[1], [0]]
        found = vmap(lambda m: tg.normal(m * 1e6, 1.0), randomness=randomness)(p)
        np.testing.assert_allclose(found.numpy() / 1e6, p.numpy(), atol=1e-4)
    found = vmap(lambda p: tg.poisson(p * 1e6) / 1e6, randomness="different")(p)
    np.testing.assert_allclose(found.numpy(), p.numpy(), atol=0.01)
    with pytest.raises(RuntimeError, match="same randomness with a batched"):
        vmap(tg.poisson, randomness="same")(p)


def test_random_numbers_by_level():
    x = tg.zeros(3, 4)
    count = lambda rows: len(set(map(tuple, rows.tolist())))  # noqa: E731
    both = lambda outer, inner: vmap(vmap(lambda x: x + tg.rand(()), randomness=inner), randomness=outer)(x)  # noqa: E731
    out = both("different", "same")
    assert (count(out), count(out.t())) == (3, 1)
    out = both("same", "different")
    assert (count(out), count(out.t())) == (1, 4)
    assert len(set(both("different", "different").reshape(-1).tolist())) == 12


def test_chunks_draw_the_same_numbers_if_they_shall():
    out = vmap(lambda x: x + tg.rand(2), randomness="same", chunk_size=2)(tg.zeros(5, 2))
    assert len(set(map(tuple, out.tolist()))) == 1


def test_permutations_are_permutations():
    out = vmap(lambda x: tg.randperm(7) + x, randomness="different")(tg.zeros(20, dtype=tg.int64))
    assert np.sort(out.numpy()).tolist() == [list(range(7))] * 20
    assert len(set(map(tuple, out.tolist()))) > 10


# Programs


def test_a_tape_has_the_batched_operations():
    x, w = data(3, 2), data(2, 4, seed=1)
    tape = tg.record(lambda x, w: vmap(lambda x: (x @ w).tanh().sum())(x), x, w)
    assert [len(tape.inputs), len(tape.outputs)] == [2, 1]
    assert tape.outputs[0].shape == (3,)
    assert all(step.outputs[0].shape[0] == 3 for step in tape.steps)


def test_gradients_inside_can_be_compiled():
    x, w = data(3, 2), data(2, 4, seed=1)

    def step(x, w):
        w = w.detach().requires_grad_()
        scale = w.exp()
        one = lambda x: tg.autograd.grad((x @ scale).tanh().sum(), w, retain_graph=True)[0]  # noqa: E731
        return vmap(one)(x)

    compiled = tg.jit(step)
    same(compiled(x, w), step(x, w))
    same(compiled(x, w), step(x, w))


def test_writes_inside_can_be_compiled():
    def f(x, w):
        y = x * w
        y[1:] += y[:-1].clone()
        y.view(-1)[0] = w.sum()
        return y

    x, w = data(3, 4), data(4, seed=1)
    compiled = tg.jit(lambda x, w: vmap(lambda x: f(x, w))(x))
    same(compiled(x, w), one_by_one(lambda x: f(x, w), x))
    same(compiled(x, w), one_by_one(lambda x: f(x, w), x))


def test_a_compiled_function_inside_runs_as_part_of_it():
    f = tg.jit(lambda x: (x * 2).sum())
    same(vmap(f)(data(3, 2)), (data(3, 2) * 2).sum(1))
