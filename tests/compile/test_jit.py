"""jit: eager semantics, compiled; never a stale value; all or nothing."""

import dataclasses
import functools
import inspect
import random
import threading
from random import random as draw

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812

from .alongside import Pair


def linear_params(seed=0):
    generator = np.random.default_rng(seed)
    w = tg.tensor(generator.standard_normal((4, 3)).astype(np.float32), requires_grad=True)
    b = tg.tensor(generator.standard_normal(3).astype(np.float32), requires_grad=True)
    return [w, b]


def batch(seed=1):
    generator = np.random.default_rng(seed)
    return tg.tensor(generator.standard_normal((8, 4)).astype(np.float32)), tg.tensor(generator.integers(0, 3, 8))


def make_step(params, rate=0.1):
    def step(x, y):
        loss = F.cross_entropy(x @ params[0] + params[1], y)
        loss.backward()
        with tg.no_grad():
            for p in params:
                p -= rate * p.grad
                p.grad = None
        return loss

    return step


def same(a, b, rtol=1e-5):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=1e-6)


def test_training_step_equals_eager_over_many_steps():
    eager, compiled = linear_params(), linear_params()
    step, fast = make_step(eager), tg.jit(make_step(compiled))
    for seed in range(5):
        same(step(*batch(seed)), fast(*batch(seed)))
    for p, q in zip(eager, compiled, strict=True):
        same(p, q)
        assert p.grad is None and q.grad is None
    assert len(fast.specialisations) == 1
    assert fast.specialisations[0].calls == 4


def test_gradients_accumulate_across_calls():
    def accumulate(x, y, params):
        F.cross_entropy(x @ params[0] + params[1], y).backward()

    eager, compiled = linear_params(), linear_params()
    fast = tg.jit(accumulate)
    for seed in range(4):
        accumulate(*batch(seed), eager)
        fast(*batch(seed), compiled)
    for p, q in zip(eager, compiled, strict=True):
        same(p.grad, q.grad)
    assert len(fast.specialisations) == 1  # the first call makes the gradients: its signature does not come again
    for p in (*eager, *compiled):
        p.grad = None
    accumulate(*batch(), eager)
    fast(*batch(), compiled)
    for p, q in zip(eager, compiled, strict=True):
        same(p.grad, q.grad)
    assert len(fast.specialisations) == 2  # now it has


def test_accumulation_keeps_the_gradient_tensor():
    params = linear_params()
    fast = tg.jit(lambda x: (x @ params[0] + params[1]).sum().backward())
    fast(batch()[0])
    first = params[0].grad
    fast(batch()[0])
    assert params[0].grad is first


def test_autograd_grad_inside():
    def gradient(x, w):
        (g,) = tg.autograd.grad((x @ w).tanh().sum(), w)
        return {"gradient": g, "pair": (g * 2, [g.sum()])}

    fast = tg.jit(gradient)
    w = linear_params()[0]
    for _ in range(2):
        expected, got = gradient(batch()[0], w), fast(batch()[0], w)
        same(expected["gradient"], got["gradient"])
        same(expected["pair"][1][0], got["pair"][1][0])
        assert list(got) == ["gradient", "pair"] and isinstance(got["pair"], tuple)


def test_second_order_inside():
    def penalty(x, w):
        y = (x @ w).tanh().sum()
        (g,) = tg.autograd.grad(y, w, create_graph=True)
        (h,) = tg.autograd.grad((g * g).sum() + y, w)
        return h

    fast = tg.jit(penalty)
    w = linear_params()[0]
    fast(batch()[0], w)
    same(penalty(batch()[0], w), fast(batch()[0], w), rtol=1e-4)


def test_gan_like_step_with_two_backwards_over_shared_work():
    def two(x, a, b):
        h = (x @ a).tanh()
        (h * b).sum().backward(retain_graph=True)
        with tg.no_grad():
            a -= 0.1 * a.grad
        (h * h * b).sum().backward()
        return h.detach().clone()

    def run(function):
        a, b = linear_params()
        return function(batch()[0], a, b), a, b, a.grad, b.grad

    for e, c in zip(run(two), run(tg.jit(two)), strict=True):
        same(e, c)
    fast = tg.jit(two)
    run(fast)
    for e, c in zip(run(two), run(fast), strict=True):
        same(e, c)


def test_views_and_in_place_on_intermediates():
    def scramble(x):
        y = x * 2
        v = y[1:3].t()
        v += 1
        y[0] = v.sum()
        d = y.detach()
        d.mul_(2)
        return (y * x).sum(), v.clone()

    fast = tg.jit(scramble)
    for _ in range(2):
        for e, c in zip(scramble(batch()[0]), fast(batch()[0]), strict=True):
            same(e, c)


def test_in_place_on_an_argument_shows_outside():
    x = tg.zeros(3)
    fast = tg.jit(lambda t: t.add_(1))
    for count in range(1, 4):
        assert fast(x) is x
        assert x.tolist() == [count] * 3


def test_write_back_reaches_views_and_numpy_arrays():
    x = tg.zeros(4)
    array, view = x.numpy(), x.view(2, 2)
    fast = tg.jit(lambda t: t.add_(1))
    fast(x)
    fast(x)
    assert array.tolist() == [2.0] * 4
    assert view.tolist() == [[2.0] * 2] * 2
    assert x._version == 2


def test_a_result_requires_grad_and_can_be_differentiated():
    fast = tg.jit(lambda w: (w * w).sum())
    w = linear_params()[0]
    for turn in range(3):
        out = fast(w)
        assert out.requires_grad and not out.is_leaf and (turn == 0 or out.grad_fn is not None)
        out.backward()
        same(w.grad, 2 * w)
        w.grad = None
    with tg.no_grad():
        assert not fast(w).requires_grad
        assert not fast(w).requires_grad


# What never goes stale


def test_rebound_parameter_is_used():
    class Model:
        pass

    model = Model()
    model.w = tg.ones(2)
    fast = tg.jit(lambda x: x * model.w)
    assert fast(tg.ones(2)).tolist() == [1, 1]
    assert fast(tg.ones(2)).tolist() == [1, 1]
    model.w = tg.full((2,), 5.0)
    assert fast(tg.ones(2)).tolist() == [5, 5]
    assert len(fast.specialisations) == 1


RATE = 1.0


def scaled(x):
    return x * RATE


def test_a_changed_global_number_is_used(monkeypatch):
    fast = tg.jit(scaled)
    assert fast(tg.ones(1)).item() == 1.0
    for rate in (3.0, 3.0, 1.0):
        monkeypatch.setitem(globals(), "RATE", rate)
        assert fast(tg.ones(1)).item() == rate
    assert len(fast.specialisations) == 1  # a float is an input
    monkeypatch.setitem(globals(), "RATE", 3)
    assert fast(tg.ones(1)).item() == 3.0
    assert len(fast.specialisations) == 2


def test_changed_flag_list_and_attribute_recompile():
    class Config:
        scale = 2.0

    config, layers = Config(), [tg.ones(1)]

    def forward(x):
        for layer in layers:
            x = x + layer
        return x * config.scale if config.scale > 0 else -x

    fast = tg.jit(forward)
    assert fast(tg.ones(1)).item() == fast(tg.ones(1)).item() == 4.0
    layers.append(tg.ones(1))
    assert fast(tg.ones(1)).item() == 6.0
    config.scale = -1.0
    assert fast(tg.ones(1)).item() == -3.0
    Config.scale = 9.0
    assert fast(tg.ones(1)).item() == -3.0
    del config.scale
    assert fast(tg.ones(1)).item() == 27.0


def test_helper_functions_are_looked_into():
    factor = [2.0]

    def helper(x):
        return x * factor[0]

    fast = tg.jit(lambda x: functools.partial(helper)(x))
    assert fast(tg.ones(1)).item() == 2.0
    factor[0] = 7.0
    assert fast(tg.ones(1)).item() == 7.0


def test_shape_dtype_grad_mode_and_default_dtype_are_part_of_the_signature():
    fast = tg.jit(lambda x: (x * 2).sum())
    for x in (tg.ones(2), tg.ones(3), tg.ones(3, dtype=tg.float64), tg.ones(3, requires_grad=True)):
        assert fast(x).dtype == x.dtype and fast(x).item() == 2 * len(x)
    assert len(fast.specialisations) == 4


def test_python_arguments_are_static():
    fast = tg.jit(lambda x, n, mode="add": x + n if mode == "add" else x - n)
    assert fast(tg.ones(1), 2).item() == 3
    assert fast(tg.ones(1), 3).item() == 4
    assert fast(tg.ones(1), 3, mode="sub").item() == -2
    assert fast(tg.ones(1), 3, "sub").item() == -2


def test_numpy_memory_written_right_after_the_call():
    array = np.ones((256, 256), np.float32)
    x = tg.from_numpy(array)
    fast = tg.jit(lambda t: (t @ t).sum())
    fast(x)
    for _ in range(20):
        array[...] = 1
        out = fast(x)
        array[...] = 0
        assert out.item() == 256.0**3


def test_aliased_arguments_keep_eager_semantics():
    fast = tg.jit(lambda a, b: a * 2 + b)
    x = tg.ones(4)
    assert fast(x, x).tolist() == fast(x, x).tolist() == [3.0] * 4
    assert fast(x, x[:]).tolist() == fast(x, tg.ones(4)).tolist() == [3.0] * 4

    def write(a, b):
        a.add_(1)
        return b * 2

    compiled = tg.jit(write)
    assert compiled(tg.ones(4), tg.ones(4)).tolist() == [2.0] * 4
    assert compiled(x, x).tolist() == [4.0] * 4  # one tensor passed twice
    assert compiled(x, x).tolist() == [6.0] * 4
    for n in range(4, 7):  # a tensor and its view
        assert compiled(x, x[:2]).tolist() == [2.0 * n] * 2
        assert x.tolist() == [float(n)] * 4


# What is refused, with nothing changed


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x + tg.from_numpy(np.ones(4, np.float32)), "from_numpy"),
        (lambda x: (x * 2).numpy, "a new builtins.method"),
        (lambda x: x * random.random(), "draws random numbers"),
        (lambda x: x * np.random.rand(), "draws random numbers"),  # noqa: NPY002  (what users write)
        (lambda x: x * draw(), "draws random numbers"),
        (lambda x: tg.set_grad_enabled(False) and x, "outlasts the function"),
        (lambda x: (x * n for n in range(3)), "generator"),
        (lambda x: lambda: x * 2, "a new builtins.function"),
    ],
)
def test_unsupported_is_an_error_that_changes_nothing(function, message):
    fast = tg.jit(function)
    x = tg.ones(4)
    for _ in range(2):
        with pytest.raises(tg.UnsupportedError, match=message):
            fast(x)
    assert x.tolist() == [1.0] * 4 and not x.requires_grad and x.grad is None
    assert fast.specialisations == []


class Doubled(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


def seeded(x):
    tg.manual_seed(0)
    return x + tg.rand(4)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x.sum().item(),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x[0]),
        lambda x: x.numpy() + 1,
        lambda x: repr(x),
        lambda x: x[x > 0],
        seeded,
        lambda x: Doubled.apply(x),
        lambda x: x[1:],
        lambda x: x.requires_grad_(),
    ],
)
def test_what_was_once_refused_is_as_it_is_eagerly(function):
    pair = Pair(lambda: (function, None))
    for value in (1.0, 1.0, 1.0, -2.0, 3.0, -2.0):
        pair.call(lambda value=value: (tg.full((4,), value),))


def test_python_side_effects_are_repeated():
    def build():
        losses, counter = [], {"steps": 0}

        def step(x):
            counter["steps"] += 1
            losses.append(x * 2)
            del losses[:-2]
            return x + counter["steps"]

        return step, [losses, counter]

    pair = Pair(build)
    pair.call(lambda: (tg.ones(2),), 6)
    assert pair.compilations <= 5


def remember(x):
    global LAST
    LAST = x * 2
    return x + 1


def test_a_global_assigned_and_never_read_is_assigned():
    fast = tg.jit(remember)
    for value in (1.0, 2.0, 3.0):
        fast(tg.full((2,), value))
        assert LAST.tolist() == [2 * value] * 2
    del globals()["LAST"]


def test_functions_behind_decorators_are_looked_into():
    factor = [2.0]

    @tg.no_grad()
    def plain(x):
        return x * factor[0]

    @functools.lru_cache
    def cached(n):
        return n * factor[0]

    fast = tg.jit(lambda x: plain(x) + cached(1))
    assert fast(tg.ones(1)).item() == 4.0
    factor[0] = 3.0
    assert fast(tg.ones(1)).item() == 5.0  # the cache remembers its 2, as it does eagerly
    assert type(cached(1)) is float
    assert fast(tg.ones(1)).item() == 5.0
    assert len(fast.specialisations) == 1  # the first call filled the cache: its program was for an empty one


def test_a_generator_cannot_be_captured():
    stream = iter([1.0, 2.0])
    with pytest.raises(tg.UnsupportedError, match="stream"):
        tg.jit(lambda x: x * next(stream))(tg.ones(1))


def test_backward_into_a_graph_from_outside_is_refused():
    w = tg.ones(2, requires_grad=True)
    h = w * 2
    with pytest.raises(tg.UnsupportedError, match="begun before recording"):
        tg.jit(lambda x: x.sum().backward())(h)
    assert w.grad is None


def test_exception_midway_leaves_every_tensor_as_it_was():
    params = linear_params()
    kept = [p.tolist() for p in params]
    fail = [True]

    def step(x, y):
        make_step(params)(x, y)
        if fail[0]:
            raise KeyboardInterrupt
        return x.sum()

    fast = tg.jit(step)
    versions = [p._version for p in params]
    with pytest.raises(KeyboardInterrupt):
        fast(*batch())
    assert [p.tolist() for p in params] == kept
    assert [p.grad for p in params] == [None, None]
    assert [p._version for p in params] == versions
    fail[0] = False
    fast(*batch())
    assert [p.tolist() for p in params] != kept


# The check


def test_wrong_lowering_is_caught_named_and_undone(monkeypatch):
    from tapegrad.compile.rules import RULES
    from tapegrad.primitives.analytic import tanh

    params = linear_params()
    kept = params[0].tolist()

    def step(x):
        (x @ params[0]).tanh().sum().backward()
        with tg.no_grad():
            params[0] -= params[0].grad

    monkeypatch.setitem(RULES, tanh, lambda a: a)
    params[0].grad, zeros = tg.zeros(4, 3), [[0.0] * 3] * 4  # with it, the first call leaves its signature as it is
    with pytest.raises(
        tg.CheckError, match=r"(?s)first step that diverges: .*tanh.*test_jit.py.*Reproduce with"
    ) as error:
        tg.jit(step)(batch()[0])
    assert params[0].tolist() == kept and params[0].grad.tolist() == zeros
    script = str(error.value).split("Reproduce with:\n")[1]
    out = {}
    exec("\n".join(line[4:] for line in script.splitlines()), out)
    assert abs(float(out["out"][0]) - out["f"](*out["tensors"])[0].item()) > 1e-3


def test_wrong_gradient_is_caught_by_either_side(monkeypatch):
    import jax

    from tapegrad.compile.rules import RULES
    from tapegrad.primitives.analytic import tanh

    @jax.custom_jvp
    def wrong(a):
        return jax.numpy.tanh(a)

    wrong.defjvp(lambda primals, tangents: (jax.numpy.tanh(primals[0]), tangents[0]))
    monkeypatch.setitem(RULES, tanh, wrong)
    w = linear_params()[0]
    fast = tg.jit(lambda x, w: (x @ w).tanh().sum().backward())
    fast(batch()[0], w)  # makes the gradient: another signature from now on
    kept = w.grad.tolist()
    with pytest.raises(tg.CheckError, match=r"(?s)w.grad.*backward\("):
        fast(batch()[0], w)
    assert w.grad.tolist() == kept
    w.grad = None
    with pytest.raises(tg.CheckError, match=r"(?s)w.grad.*backward\("):
        fast(batch()[0], w)  # the first signature again
    assert w.grad is None


def test_check_modes():
    from tapegrad.compile.rules import RULES
    from tapegrad.primitives.arithmetic import neg

    w = tg.ones(3)

    def run(check):
        fast = tg.jit(lambda x: -x, check=check)
        fast(w)
        RULES[neg], kept = (lambda a: a), RULES[neg]
        try:
            return fast, fast(w).tolist()
        finally:
            RULES[neg] = kept

    fast, _ = run("never")
    assert fast.specialisations[0].report is None
    fast, out = run("first")
    assert fast.specialisations[0].report.worst == 0 and out == [-1.0] * 3
    always = tg.jit(lambda x: -x, check="always")
    always(w)
    first = always.specialisations[0].report
    always(w)
    assert always.specialisations[0].report is not first
    sampled = tg.jit(lambda x: -x, check=1.0)
    sampled(w)
    first = sampled.specialisations[0].report
    sampled(w)
    assert sampled.specialisations[0].report is not first
    for bad in ("sometimes", 2, -1):
        with pytest.raises(ValueError, match="jit: check"):
            tg.jit(lambda x: x, check=bad)


def test_check_always_applies_effects_once():
    params = linear_params()
    other = linear_params()
    fast, step = tg.jit(make_step(params), check="always"), make_step(other)
    for seed in range(3):
        fast(*batch(seed))
        step(*batch(seed))
    for p, q in zip(params, other, strict=True):
        same(p, q)


# Forms


def test_decorator_methods_dataclasses_and_nesting():
    @dataclasses.dataclass
    class Pair:
        a: tg.Tensor
        b: tg.Tensor

    class Model:
        def __init__(self):
            self.w = tg.full((2,), 3.0)

        @tg.jit
        def forward(self, x):
            return self.inner(x) + 1

        def inner(self, x):
            return x * self.w

    model = Model()
    assert model.forward(tg.ones(2)).tolist() == model.forward(tg.ones(2)).tolist() == [4.0, 4.0]
    model.w.fill_(5.0)
    assert model.forward(tg.ones(2)).tolist() == [6.0, 6.0]

    @tg.jit(check="never")
    def swap(pair):
        return Pair(pair.b * 1, inner(pair.a))

    @tg.jit
    def inner(x):
        return x * 10

    for _ in range(2):
        out = swap(Pair(tg.ones(1), tg.zeros(1)))
        assert isinstance(out, Pair) and out.a.tolist() == [0.0] and out.b.tolist() == [10.0]


def test_two_threads_in_one_function():
    fast = tg.jit(lambda x: (x * x).sum())
    results = {}

    def work(n):
        results[n] = [fast(tg.full((n,), float(i))).item() for i in range(20)]

    threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in (2, 3):
        assert results[n] == [n * float(i) ** 2 for i in range(20)]


def test_eager_use_of_compiled_state():
    params = linear_params()
    fast = tg.jit(make_step(params))
    for seed in range(3):
        fast(*batch(seed))
    p = params[0]
    before = p.tolist()
    with tg.no_grad():
        p.mul_(2)
    assert p.tolist() == [[2 * v for v in row] for row in before]
    reference = [p.detach().clone().requires_grad_() for p in params]
    fast(*batch(9))
    make_step(reference)(*batch(9))
    same(params[0], reference[0])
    assert type(params[0]) is tg.Tensor
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = params[1].nothing


class Scaled:
    """Jitted methods of each kind."""

    rate = 2

    @tg.jit
    def method(self, x, n=1):
        return x * self.rate * n

    @tg.jit
    @staticmethod
    def static(x):
        return x + 1

    @tg.jit(check="never")
    @classmethod
    def of_class(cls, x):
        return x * cls.rate


def test_bound_methods_are_like_pythons():
    one, other, x = Scaled(), Scaled(), tg.ones(2)
    for _ in range(3):
        assert one.method(x, n=3).tolist() == Scaled.method(one, x, n=3).tolist() == [6.0, 6.0]
        assert one.static(x).tolist() == Scaled.static(x).tolist() == [2.0, 2.0]
        assert one.of_class(x).tolist() == Scaled.of_class(x).tolist() == [2.0, 2.0]
    assert one.method == one.method and hash(one.method) == hash(one.method)
    assert one.method != other.method and one.method != one.static
    assert one.method.__self__ is one and one.method.__func__ is Scaled.method
    assert (one.method.__name__, one.method.__qualname__) == ("method", "Scaled.method")
    assert str(inspect.signature(one.method)) == "(x, n=1)"
    assert one.method.specialisations == Scaled.method.specialisations
    assert str(one.method.explain(x, n=3)) == str(Scaled.method.explain(one, x, n=3))


def test_a_bound_method_that_is_captured_is_looked_into():
    model = Scaled()
    held = model.method
    fast = tg.jit(lambda x: held(x))
    for rate in (2, 3, 2, 4):
        model.rate = rate
        assert fast(tg.ones(2)).tolist() == [rate, rate]


def test_a_keyword_may_be_called_self():
    fast = tg.jit(lambda x, **named: x * named["self"])
    for n in (2, 3):
        assert fast(tg.ones(2), self=n).tolist() == [n, n]
    assert "program 0" in str(fast.explain(tg.ones(2), self=2))


def test_samples_are_not_drawn_from_the_generator_of_python():
    fast, before = tg.jit(lambda x: x * 2, check=0.5), random.getstate()
    for _ in range(4):
        fast(tg.ones(2))
    assert random.getstate() == before
