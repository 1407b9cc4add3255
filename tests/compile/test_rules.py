"""The lowering rules: that there is one for every primitive, and what they do where a derivative has a choice.

The expected numbers are closed forms or what PyTorch documents (and 2.13 gives); none is computed by the code tested.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from math import exp, inf, log, nan, pi
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tapegrad import primitives
from tapegrad.compile import rules
from tapegrad.compile.rules import INTERPRETED, RULES
from tapegrad.tape import PRIMITIVES, Primitive

FAMILIES = (
    "analytic", "arithmetic", "comparison", "convolution", "indexing", "linalg", "losses", "normalization", "pooling",
    "random", "reductions", "shaping", "structure", "views",
)  # fmt: skip
ALL = {"axes": (0,), "keepdims": False}


@pytest.fixture(autouse=True)
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def rule(name: str, **params: Any) -> Any:
    return lambda *operands: RULES[PRIMITIVES[name]](*operands, **params)


def value(name: str, *operands: Any, **params: Any) -> Any:
    return np.asarray(rule(name, **params)(*[jnp.asarray(x) for x in operands]))


def pull(name: str, *operands: Any, g: Any = 1.0, **params: Any) -> list[Any]:
    """The cotangents of the operands for the cotangent `g` of the result, which is broadcast to it."""
    out, vjp = jax.vjp(rule(name, **params), *[jnp.asarray(x) for x in operands])
    return [np.asarray(x) for x in vjp(jnp.broadcast_to(jnp.asarray(g, out.dtype), out.shape))]


# Completeness


def test_every_primitive_has_a_rule_or_is_interpreted():
    assert set(RULES) | INTERPRETED == set(PRIMITIVES.values())
    assert not set(RULES) & INTERPRETED


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_the_rules_of_its_own_primitives(family):
    found = {x for x in vars(getattr(primitives, family)).values() if isinstance(x, Primitive)}
    own = {x for x in found if x.name.rstrip("_") in {n.rstrip("_") for n in getattr(primitives, family).__all__}}
    assert set(getattr(rules, family).RULES) == own - INTERPRETED


def test_the_families_are_all_there_are():
    assert sorted(FAMILIES) == sorted(primitives.__all__)
    assert sum(len(getattr(rules, family).RULES) for family in FAMILIES) == len(RULES)


# Conventions at kinks

KINKS: dict[str, tuple[str, list[Any], dict[str, Any], list[Any]]] = {
    "abs at 0 is flat": ("abs", [[-2.0, 0.0, 3.0]], {}, [[-1.0, 0.0, 1.0]]),
    "abs of complex at 0 is flat": ("abs", [[0j, 3 - 4j]], {}, [[0j, 0.6 + 0.8j]]),  # JAX's: the conjugate
    "sign is flat": ("sign", [[-2.0, 0.0, 3.0]], {}, [[0.0, 0.0, 0.0]]),
    "sign of complex turns": ("sign", [[0j, 2j]], {}, [[0j, 0.5 + 0j]]),
    "floor is flat": ("floor", [[-1.0, 0.5]], {}, [[0.0, 0.0]]),
    "ceil is flat": ("ceil", [[-1.0, 0.5]], {}, [[0.0, 0.0]]),
    "trunc is flat": ("trunc", [[-1.0, 0.5]], {}, [[0.0, 0.0]]),
    "round is flat": ("round", [[-1.0, 0.5]], {}, [[0.0, 0.0]]),
    "floor_divide is flat": ("floor_divide", [[4.0, 5.0], [2.0, 2.0]], {}, [[0.0, 0.0], [0.0, 0.0]]),
    "relu at 0 is flat": ("relu", [[-1.0, 0.0, 2.0]], {}, [[0.0, 0.0, 1.0]]),
    "maximum splits ties": ("maximum", [[1.0, 2.0, 5.0], [3.0, 2.0, 4.0]], {}, [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]),
    "minimum splits ties": ("minimum", [[1.0, 2.0, 5.0], [3.0, 2.0, 4.0]], {}, [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]),
    "clip passes at the bounds": (
        "clip",
        [[0.0, 0.5, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]],
        {},
        [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    "clip passes to the bound that holds": (
        "clip",
        [[-1.0, 3.0], [0.0, 0.0], [1.0, 1.0]],
        {},
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
    ),
    "clip with equal bounds, from below": ("clip", [[0.0], [1.0], [1.0]], {}, [[0.0], [0.0], [0.0]]),
    "clip with swapped bounds": (
        "clip",
        [[5.0, 1.0, -1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]],
        {},
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]],
    ),
    "pow at base 0 or exponent 0": (
        "pow",
        [[0.0, 0.0, 0.0, -2.0, 0.0, 2.0], [0.0, 2.0, -1.0, 2.0, 0.5, 0.0]],
        {},
        [[0.0, 0.0, -inf, -4.0, inf, 0.0], [0.0, 0.0, -inf, nan, 0.0, log(2.0)]],
    ),
    "exponent 0": ("pow_scalar", [[0.0, 2.0, -2.0]], {"exponent": 0}, [[0.0, 0.0, 0.0]]),
    "exponent 1": ("pow_scalar", [[0.0, 2.0, -2.0]], {"exponent": 1}, [[1.0, 1.0, 1.0]]),
    "exponent 2": ("pow_scalar", [[0.0, 2.0, -2.0]], {"exponent": 2}, [[0.0, 4.0, -4.0]]),
    "exponent -1": ("pow_scalar", [[0.0, 2.0, -2.0]], {"exponent": -1}, [[-inf, -0.25, -0.25]]),
    "exponent one half": ("pow_scalar", [[0.0, 4.0, -2.0]], {"exponent": 0.5}, [[inf, 0.25, nan]]),
    "exponent 10, negative base": ("pow_scalar", [[0.0, 1.0, -1.0]], {"exponent": 10}, [[0.0, 10.0, -10.0]]),
    "sqrt at 0 is steep": ("sqrt", [[0.0, 4.0]], {}, [[inf, 0.25]]),
    "rsqrt at 0 is steep": ("rsqrt", [[0.0, 4.0]], {}, [[-inf, -0.0625]]),
    "atan2 at the origin is flat": (
        "atan2",
        [[0.0, 0.0, 1.0], [0.0, -0.0, 0.0]],
        {},
        [[0.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
    ),
    "remainder counts whole divisors": (
        "remainder",
        [[5.5, 6.0, 1.0, -1.0, 5.0], [-2.0, 3.0, 0.1, 0.1, inf]],
        {},
        [[1.0, 1.0, 1.0, 1.0, 1.0], [3.0, -2.0, -9.0, 10.0, 0.0]],
    ),
    "where passes to what it selects": (
        "where",
        [[True, False], [1.0, nan], [nan, 1.0]],
        {},
        [np.zeros(2, jax.dtypes.float0), [1.0, 0.0], [0.0, 1.0]],
    ),
    "softplus is straight above the threshold": (
        "softplus",
        [[-1000.0, 0.0, 20.0, 1000.0]],
        {"beta": 1.0, "threshold": 20.0},
        [[0.0, 0.5, 1 / (1 + exp(-20.0)), 1.0]],
    ),
    "softplus with a beta": ("softplus", [[0.0, 11.0]], {"beta": 2.0, "threshold": 20.0}, [[0.5, 1.0]]),
    "reduce_max splits ties": ("reduce_max", [[1.0, 3.0, 3.0]], ALL, [[0.0, 0.5, 0.5]]),
    "reduce_min splits ties": ("reduce_min", [[1.0, 1.0, 3.0]], ALL, [[0.5, 0.5, 0.0]]),
    "std of equals is flat": ("std", [[2.0, 2.0, 2.0]], {**ALL, "correction": 1.0}, [[0.0, 0.0, 0.0]]),
    "std of one number is nan": ("std", [[2.0]], {**ALL, "correction": 1.0}, [[nan]]),
    "logsumexp of nothing but -inf is flat": ("logsumexp", [[-inf, -inf]], ALL, [[0.0, 0.0]]),
    "logsumexp beside -inf": ("logsumexp", [[-inf, 7.0]], ALL, [[0.0, 1.0]]),
    "logsumexp of large numbers": ("logsumexp", [[1000.0, 1000.0]], ALL, [[0.5, 0.5]]),
    "log_softmax beside -inf": ("log_softmax", [[-inf, 7.0]], {"axis": 0}, [[1.0, -1.0]]),
}


@pytest.mark.parametrize(("name", "operands", "params", "expected"), KINKS.values(), ids=list(KINKS))
def test_the_derivative_at_a_kink(name, operands, params, expected):
    found = pull(name, *operands, **params)
    for position, (got, wanted) in enumerate(zip(found, expected, strict=True)):
        if got.dtype != jax.dtypes.float0:
            np.testing.assert_allclose(got, wanted, rtol=1e-14, atol=1e-300, err_msg=f"operand {position}")


FLAT_EVERYWHERE = ["sign", "floor", "ceil", "trunc", "round"]


@pytest.mark.parametrize("name", FLAT_EVERYWHERE)
def test_a_flat_function_stops_an_infinite_cotangent(name):
    np.testing.assert_array_equal(pull(name, [0.5, 1.0], g=inf), [[0.0, 0.0]])


def test_a_cotangent_is_masked_not_multiplied_by_zero():
    np.testing.assert_array_equal(pull("maximum", [1.0, 3.0], [2.0, 2.0], g=inf), [[0.0, inf], [inf, 0.0]])
    np.testing.assert_array_equal(pull("minimum", [1.0, 3.0], [2.0, 2.0], g=inf), [[inf, 0.0], [0.0, inf]])
    np.testing.assert_array_equal(pull("relu", [-1.0, 1.0], g=inf), [[0.0, inf]])
    np.testing.assert_array_equal(pull("reduce_max", [1.0, 3.0, 3.0], g=inf, **ALL), [[0.0, inf, inf]])
    np.testing.assert_array_equal(pull("clip", [-1.0, 0.5], [0.0, 0.0], [1.0, 1.0], g=inf)[0], [0.0, inf])


def test_a_constant_operand_has_no_part_in_a_tangent():
    def power(a):
        return rule("pow")(a, jnp.float64(3.0))

    assert jax.jvp(power, (jnp.float64(-2.0),), (jnp.float64(1.0),)) == (-8.0, 12.0)


def test_acosh_of_complex_is_differentiated_on_its_branch():
    z = -2 + 0.5j
    (found,) = pull("acosh", np.complex128(z))
    np.testing.assert_allclose(found, 1 / (cmath.sqrt(z - 1) * cmath.sqrt(z + 1)), rtol=1e-14)


# Second order


def second(name, x, **params):
    return float(jax.grad(jax.grad(rule(name, **params)))(jnp.float64(x)))


def test_second_derivatives_where_a_safe_branch_could_lose_them():
    assert second("softplus", 0.0, beta=1.0, threshold=20.0) == pytest.approx(0.25, rel=1e-14)
    assert second("pow_scalar", 0.0, exponent=2) == 2.0
    assert second("pow_scalar", 3.0, exponent=1) == 0.0
    assert second("reciprocal", 2.0) == 0.25
    assert second("abs", 0.0) == 0.0
    assert second("relu", 0.0) == 0.0


def test_the_mixed_derivative_of_pow_at_exponent_0():
    mixed = jax.grad(jax.grad(rule("pow"), 0), 1)(jnp.float64(4.0), jnp.float64(0.0))
    assert mixed == 0.25  # of b a**(b-1) by b, at b = 0: 1/a


def test_forward_over_reverse_of_a_variance():
    hessian = jax.jacfwd(jax.grad(rule("var", **ALL, correction=0.0)))(jnp.array([1.0, 4.0]))
    np.testing.assert_allclose(hessian, [[0.5, -0.5], [-0.5, 0.5]], rtol=1e-14)  # of (a - b)**2 / 4


# rebind


def rebound(x, new):
    """`new * x` where `new` took the place of the value of `x * x`, whose derivative stays."""
    return rule("rebind")(x * x, new) * x


def test_rebind_has_the_value_of_the_new_and_the_derivative_of_the_old():
    value, (dx, dnew) = jax.value_and_grad(rebound, (0, 1))(jnp.float64(3.0), jnp.float64(10.0))
    assert (value, dx, dnew) == (30.0, 10.0 + 3.0 * 6.0, 0.0)


def test_rebind_forward_mode():
    out, tangent = jax.jvp(rebound, (jnp.float64(3.0), jnp.float64(10.0)), (jnp.float64(1.0), jnp.float64(100.0)))
    assert (out, tangent) == (30.0, 28.0)


def test_rebind_second_order():
    # The first derivative is new + x 2x, in which new goes on having the derivative 2x.
    twice = jax.grad(jax.grad(rebound))
    assert twice(jnp.float64(3.0), jnp.float64(10.0)) == 6.0 + 12.0
    assert jax.jacfwd(jax.jacrev(rebound))(jnp.float64(3.0), jnp.float64(10.0)) == 18.0


def test_rebind_under_vmap_and_jit():
    x, new = jnp.array([1.0, 2.0, 3.0]), jnp.array([10.0, 20.0, 30.0])
    np.testing.assert_array_equal(jax.jit(jax.vmap(rebound))(x, new), [10.0, 40.0, 90.0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(rebound))(x, new), [12.0, 28.0, 48.0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(rebound), (0, None))(x, jnp.float64(10.0)), [12.0, 18.0, 28.0])


def test_stop_gradient():
    assert value("stop_gradient", 3.0) == 3.0
    assert pull("stop_gradient", 3.0) == [0.0]


# Indexing: out of range, and repeated positions


def test_reading_out_of_range_gives_nan():
    np.testing.assert_array_equal(value("take", [1.0, 2.0], [1, 2, 7], axis=0), [2.0, nan, nan])
    np.testing.assert_array_equal(value("gather", [[1.0, 2.0]], [[0, 2]], axis=1), [[1.0, nan]])
    np.testing.assert_array_equal(value("take", [1j, 2.0], [5], axis=0).real, [nan])


def test_reading_integers_out_of_range_does_not_give_a_neighbour():
    assert value("take", [1, 2], [2], axis=0)[0] == np.iinfo(np.int64).min
    assert value("take", np.array([1, 2], np.uint8), [2], axis=0)[0] == 255


def test_writing_out_of_range_does_nothing():
    np.testing.assert_array_equal(value("take_add", [1.0, 5.0], [1, 2], axis=0, size=2), [0.0, 1.0])
    np.testing.assert_array_equal(value("scatter_add", [1.0, 5.0], [1, 2], axis=0, size=2), [0.0, 1.0])
    np.testing.assert_array_equal(value("put", [1.0, 2.0], [8.0, 9.0], [1, 2], axis=0), [1.0, 8.0])


def test_no_cotangent_comes_from_out_of_range():
    np.testing.assert_array_equal(pull("take", [1.0, 2.0], jnp.array([1, 2]), axis=0)[0], [0.0, 1.0])
    base, new, _ = pull("put", [1.0, 2.0], [8.0, 9.0], jnp.array([1, 2]), axis=0)
    np.testing.assert_array_equal(base, [1.0, 0.0])
    assert new[0] == 1.0


def test_an_index_of_few_bits_reaches_the_end_of_a_long_axis():
    np.testing.assert_array_equal(value("take", np.arange(300.0), np.array([200], np.uint8), axis=0), [200.0])
    np.testing.assert_array_equal(value("take", np.arange(300.0), np.array([100], np.int8), axis=0), [100.0])


def test_the_last_value_stays_at_a_repeated_position_and_each_gets_the_cotangent():
    np.testing.assert_array_equal(value("put", [0.0, 0.0], [1.0, 2.0, 3.0], [1, 1, 1], axis=0), [0.0, 3.0])
    base, new, _ = pull("put", [0.0, 0.0], [1.0, 2.0, 3.0], [1, 1, 1], axis=0, g=[5.0, 7.0])
    np.testing.assert_array_equal(base, [5.0, 0.0])
    np.testing.assert_array_equal(new, [7.0, 7.0, 7.0])


def test_repeated_positions_add_up():
    np.testing.assert_array_equal(value("take_add", [1.0, 2.0, 4.0], [1, 1, 0], axis=0, size=3), [4.0, 3.0, 0.0])
    np.testing.assert_array_equal(pull("take", [0.0, 0.0], [1, 1, 0], axis=0, g=[1.0, 2.0, 4.0])[0], [4.0, 3.0])


def test_a_strided_write():
    out = value("slice_scatter", np.zeros(5), [1.0, 2.0], index=(slice(1, 5, 2),))
    np.testing.assert_array_equal(out, [0.0, 1.0, 0.0, 2.0, 0.0])
    base, new = pull("slice_scatter", np.zeros(5), [1.0, 2.0], index=(slice(1, 5, 2),), g=[1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(base, [1.0, 0.0, 3.0, 0.0, 5.0])
    np.testing.assert_array_equal(new, [2.0, 4.0])


# 16-bit floats


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_16_bit_floats_are_summed_in_float32(dtype):
    # One by one in their own precision, ones would stop adding up at 2048 (float16) or 256 (bfloat16).
    ones = np.ones(4096, dtype)
    assert value("reduce_sum", ones, **ALL) == 4096.0
    assert value("reduce_mean", ones, **ALL) == 1.0
    assert value("cumsum", ones, axis=0)[-1] == 4096.0
    assert value("softmax", ones, axis=0)[0] == 1 / 4096
    assert value("logsumexp", ones, **ALL) == np.asarray(1.0 + log(4096.0), dtype)
    assert value("matmul", ones[None], ones[:, None]) == 4096.0
    assert pull("broadcast_to", np.ones((), dtype), shape=(4096,))[0] == 4096.0
    assert pull("matmul", ones[:, None], np.ones((1, 1), dtype))[1] == 4096.0


def test_the_quotient_of_float16_is_differentiated_in_range():
    a, b = np.float16(0.001), np.float16(0.003)  # b ** -2 is 111111, beyond float16
    _, db = pull("div", a, b)
    assert db == pytest.approx(-float(a) / float(b) ** 2, rel=2e-3)


def test_floor_divide_floors_the_rounded_quotient():
    a, b = np.float16(2049 / 1024), np.float16(683 / 1024)  # 3.0000 in float16, 2.9985 by bfloat16
    assert value("floor_divide", a, b) == np.floor(np.float16(a / b))


def test_exp2_of_bfloat16():
    assert value("exp2", jnp.bfloat16(100)) == 2.0**100


# Values where NumPy and JAX differ


@pytest.mark.parametrize("name", ["log1p", "atanh"])
def test_log1p_and_atanh_are_right_to_a_few_units_in_the_last_place(name):
    # XLA's log1p is off by up to 128 of them from -0.4143 to -0.2.
    x = np.concatenate(
        [np.linspace(-0.999, 0.999, 8001), np.geomspace(1e-300, 1e-3, 100), -np.geomspace(1e-300, 1e-3, 100)]
    )
    wanted = np.array([getattr(math, name)(number) for number in x])
    found = np.asarray(jax.jit(rule(name))(x))
    assert (np.abs(found - wanted) <= 4 * np.spacing(np.abs(wanted))).all()


@pytest.mark.parametrize("name", ["sqrt", "asin", "acos", "acosh", "asinh", "atanh", "atan", "log", "log1p", "rsqrt"])
def test_the_sign_of_a_zero_tells_the_sides_of_a_branch_cut(name):
    points = [complex(re, im) for re in (-2.0, -0.5, 2.0) for im in (0.0, -0.0)]
    z = np.array(points + [complex(z.imag, z.real) for z in points])
    wanted = [
        1 / cmath.sqrt(x)
        if name == "rsqrt"
        else cmath.log(complex(1 + x.real, x.imag))
        if name == "log1p"
        else getattr(cmath, name)(x)
        for x in z
    ]
    np.testing.assert_allclose(jax.jit(rule(name))(z), wanted, rtol=1e-14, atol=1e-15)


def test_powers_of_complex_numbers():
    np.testing.assert_array_equal(value("pow", [0j, 0j, 0j], [1 + 1j, 2, 0]), [0, 0, 1])
    np.testing.assert_array_equal(value("pow_scalar", [0j], exponent=1 + 1j), [0])
    np.testing.assert_allclose(
        value("pow_scalar", [complex(-2, -0.0)], exponent=0.5 + 0j), [-cmath.sqrt(2) * 1j], atol=1e-15
    )


def test_logsumexp_of_complex_numbers():
    z = [1 + 4j, 1 - 3j]
    found = value("logsumexp", z, **ALL)
    np.testing.assert_allclose(found, cmath.log(cmath.exp(z[0]) + cmath.exp(z[1])), rtol=1e-14)
    (g,) = pull("logsumexp", z, **ALL)
    np.testing.assert_allclose(g, [cmath.exp(x - complex(found)) for x in z], rtol=1e-14)  # JAX's: not conjugated


def test_bools_add_up_at_repeated_positions():
    flags, at = np.array([True, False, True]), np.array([1, 2, 1])
    for name in ("take_add", "scatter_add"):
        np.testing.assert_array_equal(value(name, flags, at, axis=0, size=3), [False, True, False])
    found = value("as_strided_add", flags, into=(2, 3), strides=(1,), offset=1)
    np.testing.assert_array_equal(found, [[False, True, False], [True, False, False]])


def test_remainder_has_the_sign_of_the_divisor():
    found = value("remainder", [5.5, -5.5, 5.0, -5.0], [-2.0, 2.0, inf, inf])
    np.testing.assert_array_equal(found, [-0.5, 0.5, 5.0, inf])
    np.testing.assert_array_equal(value("remainder", [-7, 7], [3, -3]), [2, -2])
    assert not np.signbit(value("remainder", -4.0, 2.0))
    assert np.isnan(value("remainder", 1.0, 0.0))


def test_floor_divide_by_zero():
    np.testing.assert_array_equal(value("floor_divide", [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]), [inf, -inf, nan])
    np.testing.assert_array_equal(value("floor_divide", [-7, 7], [2, -2]), [-4, -4])


def test_nan_goes_through():
    for name in ("maximum", "minimum"):
        np.testing.assert_array_equal(value(name, [nan, 1.0], [1.0, nan]), [nan, nan])
    np.testing.assert_array_equal(value("relu", nan), nan)
    np.testing.assert_array_equal(value("clip", [nan, 1.0, 1.0], [0.0, nan, 0.0], [0.5, 0.5, nan]), [nan] * 3)
    assert value("argmax", [1.0, nan, 5.0, nan], axis=0) == 1


def test_of_equal_entries_of_a_window_the_first_is_picked():
    a = np.array([[2.0, 2, 2, 1, 2], [0, 1, 2, 2, 1], [1, 0, 1, 1, 2], [2, 0, 2, 1, 1]])[None]
    params = {"window": (3, 2), "stride": (1, 2), "padding": ((1, 1), (1, 0)), "dilation": (1, 1)}
    picked = [[1.0, 2, 5], [1, 2, 5], [16, 8, 9], [16, 18, 15]]
    np.testing.assert_array_equal(value("max_pool_pick", np.arange(1.0, 21).reshape(1, 4, 5), a, **params), [picked])
    g = np.arange(1.0, 13).reshape(1, 4, 3)
    placed = np.zeros(20)
    np.add.at(placed, np.array(picked, int).ravel() - 1, g.ravel())
    np.testing.assert_array_equal(value("max_pool_place", g, a, **params), placed.reshape(1, 4, 5))
    np.testing.assert_array_equal(
        pull("max_pool_pick", np.zeros((1, 4, 5)), a, g=g, **params)[0], placed.reshape(1, 4, 5)
    )


def test_extrema_give_the_first_of_equals_as_int64():
    found = value("argmax", [1.0, 5.0, 5.0], axis=0)
    assert found == 1
    assert found.dtype == np.int64
    assert value("argmin", 3.0, axis=0) == 0  # a 0-d array has a virtual axis


def test_bools_add_and_multiply_logically():
    a, b = [True, True, False], [True, False, False]
    np.testing.assert_array_equal(value("add", a, b), [True, True, False])
    np.testing.assert_array_equal(value("mul", a, b), [True, False, False])
    np.testing.assert_array_equal(value("matmul", [a], [[True], [True], [True]]), [[True]])
    np.testing.assert_array_equal(value("reduce_sum", a, **ALL), True)


def test_integers_are_multiplied_as_matrices():
    out = value("matmul", np.array([[100, 1]], np.int8), np.array([[3], [1]], np.int8))
    assert out.dtype == np.int8
    assert out == 301 - 256  # wraps, as NumPy's and PyTorch's


def test_complex_to_real_keeps_the_real_part():
    out = value("cast", [1 + 2j], dtype=np.dtype(np.float32))
    assert out.dtype == np.float32
    assert out == 1.0
    assert value("cast", [2j], dtype=np.dtype(bool))


def test_the_angle_at_a_negative_zero():
    np.testing.assert_array_equal(value("atan2", [0.0, -0.0], [-0.0, -0.0]), [pi, -pi])


def test_a_constant_is_a_copy():
    array = np.ones(3)
    found = rule("constant", value=array)()
    array[:] = 7.0
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])


def test_ignored_targets_have_no_part_in_the_loss():
    logs = np.log([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]])
    params = {"axis": 1, "ignore_index": -100, "reduction": "mean"}
    target = [0, -100, 1]
    assert value("nll_loss", logs, target, **params) == pytest.approx(-(log(0.25) + log(0.9)) / 2, rel=1e-14)
    np.testing.assert_array_equal(pull("nll_loss", logs, target, **params)[0], [[-0.5, 0.0], [0.0, 0.0], [0.0, -0.5]])


# Transformations


def test_float32_products_ask_for_full_precision():
    jaxpr = jax.make_jaxpr(rule("matmul"))(jnp.ones((2, 2), jnp.float32), jnp.ones((2, 2), jnp.float32))
    assert "HIGHEST" in str(jaxpr)


def test_rules_with_custom_derivatives_can_be_exported():
    def program(a, b):
        return rule("reduce_max", **ALL)(rule("maximum")(rule("div")(a, b), rule("pow")(a, b)))

    x = jnp.array([1.0, 2.0, 3.0])
    exported = jax.export.export(jax.jit(jax.grad(program)))(x, x)
    np.testing.assert_array_equal(exported.call(x, x), jax.grad(program)(x, x))
