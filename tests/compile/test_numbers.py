"""Followed numbers: to the function they are the floats and ints they stand for; to jit, inputs, or guards where asked."""

import copy
import fractions
import json
import math
import numbers
import operator
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812
from tapegrad.testing import max_compiles

from .alongside import Pair, assert_alike

REALS = (3.0, 3.0, 1.5, -2.0, 0.0, -0.0, 1.5)
INTS = (3, 3, 2, 4, -1, 0, 2)
SPECIALS = (0.0, -0.0, 1.0, -1.5, 2.5, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))


def attempt(function):
    """What a function returns, or how it fails."""
    try:
        return function()
    except Exception as error:
        return type(error).__name__, str(error)


def case_of(n):
    match n:
        case 2:
            return "two"
        case int():
            return "int"
        case float():
            return "float"
    return "another"


def put(v):
    out = tg.zeros(2)
    out[0] = v
    return out


def compare(function, values, kind):
    """Run `function` of a followed number (a captured attribute, or an item) and of the plain one, for all values."""

    def build():
        config = SimpleNamespace(value=values[0])

        def step(x):
            return function(config.value if kind == "captured" else x.item())

        return step, config

    dtype = tg.int64 if isinstance(values[0], int) else tg.float64
    pair = Pair(build)
    for value in values:
        pair.both(lambda config, value=value: setattr(config, "value", value))
        pair.call(lambda value=value: (tg.tensor(value, dtype=dtype),))
    return pair


OF_REALS = {
    "arithmetic": lambda v: (v + 1, 1 - v, v * 2.5, v / 4, -v, +v, abs(v), v - v),
    "division": lambda v: [attempt(lambda d=d: d(v)) for d in (lambda v: 1 / v, lambda v: 7 // v, lambda v: 7 % v)],
    "powers": lambda v: (v**2, attempt(lambda: v**-1), attempt(lambda: v**0.5), 2**v, pow(v, 2), v**0),
    "divmod": lambda v: (divmod(v, 2), attempt(lambda: divmod(3, v))),
    "in place": lambda v: [v := v + 1, v := v * v, v],
    "comparisons": lambda v: (v > 1, v <= 1.5, v == 3, v != 3, 0 < v < 2, v == "a", v in (3.0, 1)),
    "truth": lambda v: (bool(v), not v, v and 1, v or 2, 5 if v else 6),
    "conversions": lambda v: (int(v), float(v), type(float(v)).__name__, complex(v), str(v), repr(v)),
    "rounding": lambda v: (round(v), round(v, 1), math.floor(v), math.ceil(v), math.trunc(v)),
    "formats": lambda v: (f"{v:.3f} {v!r:>10} {v}", f"{v:.2f} {v}", format(v, "e")),
    "math": lambda v: [
        attempt(lambda f=f: f(v))
        for f in (math.sqrt, math.exp, math.log, math.sin, math.tanh, math.isnan, math.isfinite, math.degrees)
    ],
    "math of two": lambda v: (
        math.copysign(1, v),
        math.hypot(v, 4),
        math.atan2(v, 1),
        math.fmod(v, 2),
        math.isclose(v, 3),
    ),
    "methods": lambda v: (v.is_integer(), v.as_integer_ratio(), v.hex(), v.real, v.imag, v.conjugate()),
    "builtins": lambda v: (max(v, 2.0), min(v, 2), sum([v, 1.0]), sorted([v, 2.5, 1.0]), math.fsum([v, 1.0])),
    "hash": lambda v: ({v: 1}[v], v in {3.0: 1}, hash(v)),
    "kinds": lambda v: (isinstance(v, float), isinstance(v, int | complex), isinstance(v, numbers.Real), case_of(v)),
    "copies": lambda v: (copy.copy(v), copy.deepcopy([v]), pickle.loads(pickle.dumps({"v": v}))),
    "exact": lambda v: (str(fractions.Fraction(v)), v + 1j, operator.neg(v)),
    "numpy": lambda v: (np.float32(v).item(), (np.ones(2) * v).tolist(), np.array([v, 1]).tolist(), np.abs(v).item()),
    "numpy scalars": lambda v: (float(np.float64(2) * v), float(v * np.float64(2)), float(v + np.float32(1))),
    "json": lambda v: json.dumps({"v": v}),
    "errors": lambda v: [
        attempt(f) for f in (lambda: v + "a", lambda: v[0], lambda: len(v), lambda: v(), lambda: v < "a")
    ],
    "types": lambda v: (type(v).__name__, v.__class__.__name__, type(v) is float, type(v * 2) is float),
    "unbound": lambda v: (float.__mul__(v, 2.0), float.hex(v)),
}
OF_INTS = {
    "arithmetic": lambda n: (n + 1, 1 - n, n * 2.5, n * 3, n / 4, -n, abs(n), n + True, n * 10**20),
    "division": lambda n: [attempt(lambda d=d: d(n)) for d in (lambda n: 7 / n, lambda n: 7 // n, lambda n: 7 % n)],
    "powers": lambda n: (n**2, attempt(lambda: n**-1), 2**n, attempt(lambda: pow(n, 2, 5)), n**70),
    "bits": lambda n: (n & 3, n | 8, n ^ 5, ~n, n << 2, n >> 1, 6 & n, n.bit_length()),
    "index": lambda n: ([1, 2, 3, 4, 5][n], (1, 2, 3, 4, 5)[:n], [0] * n, "a" * n, list(range(n)), n * (1,)),
    "formats": lambda n: (f"{n:03d}", format(n, "d"), hex(n), bin(n), str(n)),
    "math": lambda n: (math.gcd(n, 4), attempt(lambda: math.factorial(n)), attempt(lambda: math.comb(5, n))),
    "methods": lambda n: (
        (n.conjugate(), n.numerator, n.denominator, n.real, round(n), round(n, -1), n.is_integer())
        if hasattr(int, "is_integer")
        else (n.conjugate(), n.numerator, n.denominator, n.real, round(n), round(n, -1))
    ),
    "kinds": lambda n: (isinstance(n, int), isinstance(n, float), isinstance(n, numbers.Integral), case_of(n)),
    "iteration": lambda n: ([*enumerate("ab", n)], [*zip(range(n), "abc", strict=False)], all([n]), any([n])),
    "containers": lambda n: ({n: 1}, {n, 9}, frozenset({n}), slice(n), range(n), (n, [n, {"n": n}])),
    "numpy": lambda n: (int(np.int64(n)), np.arange(n).tolist(), np.zeros(abs(n)).shape),
    "types": lambda n: (type(n).__name__, type(n) is int, {int: 1, float: 2}[type(n)]),
    "json": lambda n: json.dumps([n]),
}
OF_TENSORS = {
    "operators": lambda v: (tg.ones(2) * v, v - tg.ones(2), tg.ones(2) / v, v * tg.ones(2), tg.ones(2) > v, v**tg.ones(2)),
    "powers": lambda v: (tg.full((2,), 3.0) ** v, tg.full((2,), 3.0).pow(v), tg.float_power(tg.ones(2), v)),
    "integers": lambda v: (tg.ones(2, dtype=tg.int64) * v, tg.ones(2, dtype=tg.int32) + v, tg.ones(2, dtype=tg.bool) * v),
    "dtypes": lambda v: (tg.ones(2, dtype=tg.float64) * v, tg.ones(2, dtype=tg.bfloat16) + v, tg.ones(2) + 1j * v),
    "creation": lambda v: (tg.tensor(v), tg.tensor([v, 1.0]), tg.full((2,), v), tg.full_like(tg.ones(2), v), tg.as_tensor(v)),
    "in place": lambda v: (put(v), tg.zeros(2).fill_(v), tg.ones(2).mul_(v).add_(tg.ones(2), alpha=v), tg.zeros(2).add_(v)),
    "scalars of functions": lambda v: (
        tg.lerp(tg.ones(2), tg.zeros(2), v), tg.add(tg.ones(2), tg.ones(2), alpha=v),
        tg.addcmul(tg.ones(2), tg.ones(2), tg.ones(2), value=v), tg.clamp(tg.arange(4.0), max=v), F.leaky_relu(-tg.ones(2), v),
    ),
    "choices": lambda v: (tg.where(tg.arange(2) > 0, v, 0.0), tg.ones(2).masked_fill(tg.tensor([True, False]), v)),
    "ranges": lambda v: (tg.arange(0, abs(v)), tg.linspace(0, v, 3)),
    "arithmetic first": lambda v: (tg.ones(2) * (v * 0.5 + 1), tg.ones(2) * (1 - 0.9**v), tg.ones(2) * -v, tg.ones(2) * (v // 2)),
    "gradients": lambda v: tg.autograd.grad((F.softplus(w := tg.ones(2, requires_grad=True)) * v).sum(), w),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["captured", "item"])
@pytest.mark.parametrize("function", OF_REALS.values(), ids=OF_REALS)
def test_followed_floats_are_what_they_stand_for(function, kind):
    compare(function, REALS, kind)


@pytest.mark.parametrize("kind", ["captured", "item"])
@pytest.mark.parametrize("function", OF_INTS.values(), ids=OF_INTS)
def test_followed_ints_are_what_they_stand_for(function, kind):
    compare(function, INTS, kind)


@pytest.mark.parametrize("kind", ["captured", "item"])
@pytest.mark.parametrize("function", OF_TENSORS.values(), ids=OF_TENSORS)
def test_followed_numbers_go_into_tensors(function, kind):
    compare(function, (3.0, 3.0, 1.5, 2.0, 1.5), kind)


@pytest.mark.parametrize("kind", ["captured", "item"])
def test_a_root_that_becomes_complex_goes_into_a_tensor(kind):
    compare(lambda v: (v**0.5, tg.ones(2) * v**0.5), (4.0, 9.0, -4.0, 1.0, -1.0, 4.0), kind)


@pytest.mark.parametrize("kind", ["captured", "item"])
def test_large_ints_keep_all_their_digits(kind):
    values = (2**60 + 1, 2**60 + 3, 2**53 + 1, 5)
    compare(lambda n: (n, n + 1, tg.tensor([1, 2]) + n, n * n, n * 1.0), values, kind)


@pytest.mark.parametrize("dtype", [tg.bool, tg.int32, tg.uint8, tg.float16, tg.bfloat16, tg.float64, tg.complex64])
def test_item_of_every_dtype(dtype):
    pair = Pair(lambda: (lambda x: (x.sum().to(dtype).item(), x.to(dtype)[0].item(), x.to(dtype).tolist()), None))
    for value in (1.0, 0.0, 1.0, 2.0, 0.0):
        pair.call(lambda value=value: (tg.tensor([value]),))


@pytest.mark.parametrize(
    "read",
    [lambda b: b is True, lambda b: not b, lambda b: (b and 1, b or 2), lambda b: (b + 1, b & True, str(b), [3, 4][b])],
)
def test_item_of_a_bool(read):
    pair = Pair(lambda: (lambda x: (read((x.sum() > 2).item()), read(bool(x.sum() > 2))), None))
    for value in (3.0, 2.0, 4.0, 1.0):
        pair.call(lambda value=value: (tg.tensor([value]),))
    assert pair.compilations <= 2


def test_arithmetic_needs_no_program_of_its_own():
    config = SimpleNamespace(rate=0.1, betas=(0.9, 0.99), step=1.0)

    def step(x):
        config.step += 1
        size = config.rate / (1 - config.betas[0] ** config.step)
        return x * size + (1 - config.betas[1] ** config.step) ** 0.5, -size, size * 2

    fast = tg.jit(step)
    fast(tg.ones(2))
    fast(tg.ones(2))
    with max_compiles(0):
        for rate in (0.2, 0.3, 0.0, -1.0):
            config.rate, config.betas = rate, (rate / 2, rate / 3)
            kept = config.step
            expected = step(tg.ones(2))
            config.step = kept
            assert_alike(expected, fast(tg.ones(2)))


def test_nothing_that_comes_out_is_a_followed_number():
    class Holder:
        pass

    holder = Holder()
    holder.value, holder.members, holder.named = 1.5, set(), {}

    def step(x):
        n, v = x.sum().item(), holder.value * 2
        made = Holder()
        made.n, made.deep = n, [(v, {"n": n}), {n}, {n: v}, frozenset({v})]
        holder.kept, holder.value = made, v
        holder.members.add(v)
        holder.named[v] = n
        return made, n, {n: [v]}, {n}, frozenset({v}), (v, (n,))

    fast = tg.jit(step)
    for turn in range(4):
        out = fast(tg.tensor([1.0 + turn]))
        assert_alike([out, holder], [out, holder])  # it looks for them
        assert {type(v) for v in (*out[2], *out[3], *out[4], *holder.members, *holder.named)} == {float}


def test_a_number_kept_by_python_after_the_recording_is_plain():
    kept = []

    class Keeps:
        def __format__(self, spec):
            return spec

    fast = tg.jit(lambda x: (x * x.sum().item(), kept.append(x.sum().item() * 2) or len(kept)))
    fast(tg.ones(2))
    assert kept == [4.0] and type(kept[0]) is float and kept[0] + 1 == 5.0


def test_without_a_recording_nothing_is_followed():
    config = SimpleNamespace(rate=1.5)
    fast = tg.jit(lambda x: x * config.rate)
    fast(tg.ones(1))
    assert type(config.rate) is float
    with pytest.raises(ZeroDivisionError):
        tg.jit(lambda x: x / (config.rate - 1.5) if 1 / (config.rate - 1.5) else x)(tg.ones(1))
    assert type(config.rate) is float and config.rate == 1.5


# Whole expressions

UNARY = {
    "-": operator.neg, "abs": abs, "int": int, "float": float, "bool": bool, "round": round, "sqrt": math.sqrt,
    "exp": math.exp, "floor": math.floor, "square": lambda v: v * v, "half": lambda v: v**0.5, "inverse": lambda v: 1 / v,
    "sign": lambda v: math.copysign(1.0, v), "text": lambda v: len(f"{v:.3g}"), "if": lambda v: 1 if v else -v,
    "nan": math.isnan, "power": lambda v: 2 ** (v % 5), "negative power": lambda v: v**-1,
}  # fmt: skip
BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "<": operator.lt, "==": operator.eq, "max": max, "min": min, "or": lambda a, b: a or b,
    "if": lambda a, b: a if a > b else b - a, "atan2": math.atan2,
}  # fmt: skip


def evaluate(expression, values):
    """The value of an expression: an int picks one of the values, anything else is an operation and its operands."""
    if isinstance(expression, int):
        return values[expression]
    name, *operands = expression
    table = UNARY if len(operands) == 1 else BINARY
    return table[name](*[evaluate(part, values) for part in operands])


expressions = st.recursive(
    st.integers(0, 2),
    lambda inner: st.tuples(st.sampled_from([*UNARY]), inner) | st.tuples(st.sampled_from([*BINARY]), inner, inner),
    max_leaves=5,
)
reals = st.sampled_from(SPECIALS) | st.floats(-4, 4)
values = st.tuples(reals, reals, st.sampled_from([0, 1, -1, 2, 3, 7, 2**53 + 1]))


@given(st.lists(expressions, min_size=3, max_size=3), st.lists(values, min_size=4, max_size=4))
def test_random_expressions_are_pythons_own(programs, rows):
    """Whatever was recorded, with whatever numbers: a later call gives what Python gives, or records anew."""
    holder = SimpleNamespace(a=0.0, b=0.0)

    def step(n, x):
        numbers = holder.a, holder.b, x.item()
        return [attempt(lambda program=program: evaluate(program, numbers)) for program in programs]

    fast = tg.jit(step, check="never")
    for a, b, n in (*rows, *rows):
        holder.a, holder.b = a, b
        x = tg.tensor(n)
        assert repr(fast(n, x)) == repr(step(n, x))


def test_constants_that_are_equal_are_not_the_same():
    world = SimpleNamespace(a=1.5)

    def step(x):
        n = x.sum().int().item()
        return n * 2, n * 2.0, n * True, world.a * 0.0, world.a * -0.0

    fast = tg.jit(step)
    for _ in range(3):
        assert repr(fast(tg.ones(3))) == repr(step(tg.ones(3))) == "(6, 6.0, 3, 0.0, -0.0)"


def test_memory_that_python_looks_at_is_not_written_to():
    def function(x, y):
        seen = x.numpy()
        x.add_(y)
        return y * float(seen[0])

    with pytest.raises(tg.UnsupportedError, match=r"in-place write to a tensor that numpy\(\) was called on"):
        tg.jit(function)(tg.ones(2), tg.ones(2))
