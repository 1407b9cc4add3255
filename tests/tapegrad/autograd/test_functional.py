"""autograd.functional against closed forms and against JAX's transformations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3))
X, Y, V, W = RNG.normal(size=(2, 3)), RNG.normal(size=3), RNG.normal(size=(2, 3)), RNG.normal(size=3)

JACOBIAN_MODES = [
    pytest.param({}, id="rows"),
    pytest.param({"vectorize": True}, id="rows at once"),
    pytest.param({"vectorize": True, "strategy": "forward-mode"}, id="columns at once"),
]
HESSIAN_MODES = [
    pytest.param({}, id="rows"),
    pytest.param({"vectorize": True}, id="rows at once"),
    pytest.param({"vectorize": True, "outer_jacobian_strategy": "forward-mode"}, id="columns at once"),
]


def tensor(array: Any) -> tg.Tensor:
    return tg.tensor(np.asarray(array))


def compare(got: Any, expected: Any) -> None:
    """Nested tuples of tensors, and of arrays."""
    if isinstance(got, tuple):
        assert isinstance(expected, tuple | list) and len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            compare(a, b)
    else:
        assert got.shape == expected.shape
        np.testing.assert_allclose(got.detach().numpy(), np.asarray(expected), rtol=1e-11, atol=1e-11)


# Closed forms


@pytest.mark.parametrize("mode", JACOBIAN_MODES)
def test_the_jacobian_of_a_linear_map_is_its_matrix(mode: dict[str, Any]) -> None:
    compare(jacobian(lambda y: tensor(A) @ y, tensor(Y), **mode), A)


@pytest.mark.parametrize("mode", JACOBIAN_MODES)
def test_the_jacobian_of_an_element_wise_function_is_diagonal(mode: dict[str, Any]) -> None:
    compare(jacobian(lambda y: y.sin(), tensor(Y), **mode), np.diag(np.cos(Y)))


@pytest.mark.parametrize("mode", JACOBIAN_MODES)
def test_the_jacobian_of_several_outputs_and_inputs_comes_in_blocks(mode: dict[str, Any]) -> None:
    def f(x: tg.Tensor, y: tg.Tensor) -> tuple[tg.Tensor, ...]:
        return x * y, y.sum(), tg.ones(2, dtype=tg.float64)

    by_x = np.einsum("ik,jl,j->ijkl", np.eye(2), np.eye(3), Y)
    by_y = X[:, :, None] * np.eye(3)
    compare(
        jacobian(f, (tensor(X), tensor(Y)), **mode),
        ((by_x, by_y), (np.zeros((2, 3)), np.ones(3)), (np.zeros((2, 2, 3)), np.zeros((2, 3)))),
    )


@pytest.mark.parametrize("mode", HESSIAN_MODES)
def test_the_hessian_of_a_quadratic_form(mode: dict[str, Any]) -> None:
    compare(hessian(lambda y: y @ tensor(A) @ y, tensor(Y), **mode), A + A.T)


@pytest.mark.parametrize("mode", HESSIAN_MODES)
def test_the_hessian_of_a_bilinear_form_has_blocks_beside_the_diagonal_only(mode: dict[str, Any]) -> None:
    zeros = np.zeros((3, 3))
    compare(hessian(lambda y, w: y @ tensor(A) @ w, (tensor(Y), tensor(W)), **mode), ((zeros, A), (A.T, zeros)))


class Field(tg.autograd.Function):
    """A number whose gradient is said to be `A @ y`, which is the gradient of nothing."""

    @staticmethod
    def forward(ctx: Any, y: tg.Tensor) -> tg.Tensor:
        ctx.save_for_backward(y)
        return y.sum()

    @staticmethod
    def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
        (y,) = ctx.saved_tensors
        return g * (tensor(A) @ y)


PARAMETER = tg.tensor(W, requires_grad=True)


class Captured(tg.autograd.Function):
    """A number whose gradient has a graph that leads elsewhere."""

    @staticmethod
    def forward(ctx: Any, y: tg.Tensor) -> tg.Tensor:
        return y.sum()

    @staticmethod
    def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
        return PARAMETER * 2


def test_hvp_and_vhp_differ_by_a_transpose() -> None:
    compare(vhp(Field.apply, tensor(Y), tensor(W))[1], W @ A)
    compare(hvp(Field.apply, tensor(Y), tensor(W))[1], A @ W)


def test_products_with_a_linear_map() -> None:
    out, back = vjp(lambda y: tensor(A) @ y, tensor(Y), tensor(W))
    compare((out, back), (A @ Y, W @ A))
    out, forth = jvp(lambda y: tensor(A) @ y, tensor(Y), tensor(W))
    compare((out, forth), (A @ Y, A @ W))


@pytest.mark.parametrize("vectorize", [False, True])
def test_third_order_through_create_graph(vectorize: bool) -> None:
    y = tensor(Y).requires_grad_()
    H = hessian(lambda y: (y**4).sum(), y, create_graph=True, vectorize=vectorize)
    (third,) = tg.autograd.grad(H.sum(), y)
    compare(third, 24 * Y)


def test_third_order_of_a_product() -> None:
    y = tensor(Y).requires_grad_()
    _, product = hvp(lambda y: (y**4).sum(), y, tensor(W), create_graph=True)
    (third,) = tg.autograd.grad(product.sum(), y)
    compare(third, 24 * Y * W)


def test_a_captured_input_is_a_constant() -> None:
    """Only the argument is differentiated by, though the function reads the same tensor."""
    x = tensor(Y).requires_grad_()
    compare(jacobian(lambda y: y * x, x), np.diag(Y))
    compare(jacobian(lambda y: y * x, x, create_graph=True), np.diag(Y))
    compare(vjp(lambda y: y * x, x, tensor(W))[1], W * Y)


# JAX's


def several(xp: Any, x: Any, y: Any) -> Any:
    return xp.tanh(x) * y, xp.exp(y).sum(), x @ y


FUNCTIONS = {
    "softmax": lambda xp, x: xp.exp(x) / xp.exp(x).sum(),
    "mixed": lambda xp, x: xp.sin(x[0]) * x[1] ** 2,
    "product": lambda xp, x: x.T @ x,
    "view": lambda xp, x: x.reshape(3, 2) * 2,
    "power": lambda xp, x: (x**2 + 1.0) ** 1.5,
}
SCALARS = {
    "logsumexp": lambda xp, x: xp.log(xp.exp(x).sum()),
    "rosenbrock": lambda xp, x: ((x[0] - x[1] ** 2) ** 2 + (1 - x[1]) ** 2).sum(),
    "entropy": lambda xp, x: ((x * x + 1) * xp.log(x * x + 1)).sum(),
}


@pytest.mark.parametrize("mode", JACOBIAN_MODES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_is_jaxs(name: str, mode: dict[str, Any]) -> None:
    f = FUNCTIONS[name]
    with jax.enable_x64(True):
        expected = jax.jacobian(lambda x: f(jnp, x))(X)
    compare(jacobian(lambda x: f(tg, x), tensor(X), **mode), expected)


@pytest.mark.parametrize("mode", JACOBIAN_MODES)
def test_jacobian_of_tuples_is_jaxs(mode: dict[str, Any]) -> None:
    with jax.enable_x64(True):
        expected = jax.jacobian(lambda x, y: several(jnp, x, y), argnums=(0, 1))(X, Y)
    compare(jacobian(lambda x, y: several(tg, x, y), (tensor(X), tensor(Y)), **mode), expected)


@pytest.mark.parametrize("mode", HESSIAN_MODES)
@pytest.mark.parametrize("name", SCALARS)
def test_hessian_is_jaxs(name: str, mode: dict[str, Any]) -> None:
    f = SCALARS[name]
    with jax.enable_x64(True):
        expected = jax.hessian(lambda x: f(jnp, x))(X)
    compare(hessian(lambda x: f(tg, x), tensor(X), **mode), expected)


@pytest.mark.parametrize("mode", HESSIAN_MODES)
def test_hessian_of_tuples_is_jaxs(mode: dict[str, Any]) -> None:
    def f(xp: Any, x: Any, y: Any) -> Any:
        return sum((part**2).sum() for part in several(xp, x, y))

    with jax.enable_x64(True):
        expected = jax.hessian(lambda x, y: f(jnp, x, y), argnums=(0, 1))(X, Y)
    compare(hessian(lambda x, y: f(tg, x, y), (tensor(X), tensor(Y)), **mode), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jvp_is_jaxs(name: str) -> None:
    f = FUNCTIONS[name]
    with jax.enable_x64(True):
        expected = jax.jvp(lambda x: f(jnp, x), (X,), (V,))
    compare(jvp(lambda x: f(tg, x), tensor(X), tensor(V)), expected)


def test_products_of_tuples_are_jaxs() -> None:
    with jax.enable_x64(True):
        outputs, pull = jax.vjp(lambda x, y: several(jnp, x, y), X, Y)
        seeds = tuple(np.cos(np.asarray(out)) for out in outputs)
        back = pull(tuple(jnp.asarray(seed) for seed in seeds))
        forth = jax.jvp(lambda x, y: several(jnp, x, y), (X, Y), (V, W))
    inputs = (tensor(X), tensor(Y))
    compare(vjp(lambda x, y: several(tg, x, y), inputs, tuple(map(tensor, seeds))), (outputs, back))
    compare(jvp(lambda x, y: several(tg, x, y), inputs, (tensor(V), tensor(W))), forth)


@pytest.mark.parametrize("name", SCALARS)
def test_products_with_the_hessian_are_jaxs(name: str) -> None:
    f = SCALARS[name]
    with jax.enable_x64(True):
        expected = jax.jvp(jax.grad(lambda x: f(jnp, x)), (X,), (V,))[1]
    for product in (hvp, vhp):
        compare(product(lambda x: f(tg, x), tensor(X), tensor(V))[1], expected)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(sorted(FUNCTIONS)))
def test_jvp_and_vjp_are_adjoint(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    x, v = tensor(rng.normal(size=(2, 3))), tensor(rng.normal(size=(2, 3)))
    out, forth = jvp(lambda x: FUNCTIONS[name](tg, x), x, v)
    u = tensor(rng.normal(size=out.shape))
    _, back = vjp(lambda x: FUNCTIONS[name](tg, x), x, u)
    assert (u * forth).sum().item() == pytest.approx((back * v).sum().item(), rel=1e-9, abs=1e-9)


# What comes back, and what is left


@pytest.mark.parametrize("product", [vjp, jvp, vhp, hvp])
def test_results_have_a_graph_on_demand_only(product: Any) -> None:
    x = tensor(Y).requires_grad_()
    v = tensor(1.0) if product is vjp else tensor(W)
    for create_graph in (False, True):
        out, result = product(lambda y: (y**3).sum(), x, v, create_graph=create_graph)
        assert out.requires_grad is result.requires_grad is create_graph
    assert x.grad is None and tg.is_grad_enabled()


def test_strict_mode_lets_constant_derivatives_pass_without_create_graph() -> None:
    compare(vjp(lambda y: y * 2, tensor(Y), tensor(W), strict=True)[1], 2 * W)
    compare(jacobian(lambda y: y * 2, tensor(Y), strict=True), 2 * np.eye(3))
    compare(hvp(lambda y: (y * y).sum(), tensor(Y), tensor(W), strict=True)[1], 2 * W)


def test_rows_are_recorded_on_demand_only() -> None:
    modes = []

    class Cube(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, y: tg.Tensor) -> tg.Tensor:
            ctx.save_for_backward(y)
            return y**3

        @staticmethod
        def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
            modes.append(tg.is_grad_enabled())
            return 3 * ctx.saved_tensors[0] ** 2 * g

    for vectorize in (False, True):
        modes.clear()
        jacobian(Cube.apply, tensor(Y[:1]), vectorize=vectorize)
        jacobian(Cube.apply, tensor(Y[:1]), create_graph=True, vectorize=vectorize)
        assert modes == [False, True]


def test_results_are_nested_as_arguments_are() -> None:
    x, y = tensor(X), tensor(Y)
    assert isinstance(jvp(lambda x, y: (x * y).sum(), (x, y), (x, y))[1], tg.Tensor)
    assert isinstance(jvp(lambda x: (x * 1,), x, x)[1], tuple)
    assert isinstance(vjp(lambda x: (x * 1,), x, x)[1], tg.Tensor)
    assert len(vhp(lambda x, y: (x * y).sum() ** 2, (x, y), (x, y))[1]) == 2
    assert len(hvp(lambda x, y: (x * y).sum() ** 2, (x, y), (x, y))[1]) == 2
    assert isinstance(jacobian(lambda x: x * 1, (x,)), tuple)
    assert isinstance(hessian(lambda x: (x**3).sum(), (x,))[0][0], tg.Tensor)


@pytest.mark.parametrize("call", [lambda f: jacobian(f, tensor(Y)), lambda f: hvp(f, tensor(Y), tensor(W))])
def test_grad_mode_is_restored_when_the_function_raises(call: Any) -> None:
    def f(y: tg.Tensor) -> tg.Tensor:
        assert tg.is_grad_enabled()
        raise KeyError("inside")

    with tg.no_grad():
        with pytest.raises(KeyError):
            call(f)
        assert not tg.is_grad_enabled()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vjp(lambda y: tg.ones(2), tensor(Y), tg.ones(2), strict=True), "Output 0 of the user-provided"),
        (lambda: vjp(lambda x, y: y, (tensor(X), tensor(Y)), tensor(W), strict=True), "is independent of input 0"),
        (lambda: jvp(lambda y: y * 2, tensor(Y), tensor(W), True, True), "when create_graph=True"),
        (lambda: jacobian(lambda x, y: y, (tensor(X), tensor(Y)), strict=True), "Output 0 .* independent of input 0"),
        (lambda: hessian(lambda y: y.sum(), tensor(Y), strict=True), "ensure that your function is twice diff"),
        (lambda: jacobian(lambda x, y: x.exp(), (tensor(X), tensor(Y)), strict=True), "Output 0 .* of input 1"),
        (
            lambda: jacobian(lambda y: y * 2, tensor(Y), True, True),
            "is independent of input 0.* when create_graph=True",
        ),
        (lambda: hvp(lambda y: y.sum(), tensor(Y), tensor(W), strict=True), "ensure that your function is twice diff"),
        (lambda: vhp(Captured.apply, tensor(Y), tensor(W), strict=True), "jacobian .* is independent of input 0"),
        (lambda: hvp(Captured.apply, tensor(Y), tensor(W), strict=True), "independent of entry 0 in the grad_jacobian"),
        (lambda: jvp(Captured.apply, tensor(Y), tensor(W), strict=True), "independent of entry 0 in the grad_outputs"),
    ],
)
def test_strict_mode_refuses_what_would_be_zeros(call: Any, message: str) -> None:
    with pytest.raises(tg.NotDifferentiableError, match=message):
        call()


def test_a_list_is_no_tuple_of_tensors() -> None:
    with pytest.raises(TypeError, match="must be either a Tensor or a tuple of Tensors"):
        jacobian(lambda x, y: x, [tensor(X), tensor(Y)])


def test_a_vector_of_another_size_is_refused() -> None:
    with pytest.raises(tg.ShapeError, match=r"Entry 1 in v has invalid size: should be torch.Size\(\[3\]\) but got"):
        jvp(lambda x, y: x * y, (tensor(X), tensor(Y)), (tensor(V), tensor(V)))


def test_a_vector_of_as_many_elements_but_another_shape_is_refused() -> None:
    with pytest.raises(tg.ShapeError, match=r"v has invalid size: should be torch.Size\(\[2, 3\]\) but got"):
        jvp(lambda x: x * 2, tensor(X), tensor(V.T))


@pytest.mark.parametrize(
    ("call", "role"),
    [
        (lambda: vjp(lambda y: y * 2, tensor(Y)), "function returns a single"),
        (lambda: vjp(lambda y: (y.sum(), y.sum()), tensor(Y)), "function returns a single"),
        (lambda: jvp(lambda y: y * 2, tensor(Y)), "input to the user-provided function is a single"),
        (lambda: hvp(lambda a, b: (a * b).sum(), (tensor(1.0), tensor(2.0))), "input to the user-provided function"),
    ],
)
def test_the_vector_may_be_left_out_for_one_element_only(call: Any, role: str) -> None:
    with pytest.raises(tg.ShapeError, match=role):
        call()


@pytest.mark.parametrize("mode", JACOBIAN_MODES)
def test_an_input_that_is_not_used_gives_zeros(mode: dict[str, Any]) -> None:
    compare(jacobian(lambda x, y: y * 2, (tensor(X), tensor(Y)), **mode), (np.zeros((3, 2, 3)), 2 * np.eye(3)))


@pytest.mark.parametrize("mode", JACOBIAN_MODES[:2])
def test_outputs_of_several_dtypes(mode: dict[str, Any]) -> None:
    by_y = 2 * np.eye(3, dtype=np.float32), 2 * np.eye(3)
    found = jacobian(lambda y: (y.to(tg.float32) * 2, y * 2, y.argmax()), tensor(Y), **mode)
    compare(found, (*by_y, np.zeros(3)))
    assert [part.dtype for part in found] == [tg.float64] * 3  # the input's


def test_outputs_complex_and_real() -> None:
    z = tensor([1 + 2j, 3 - 4j])
    squared, size = jacobian(lambda z: (z * z, z.abs()), z, vectorize=True)
    compare(squared, np.diag([2 - 4j, 6 + 8j]))  # conjugate: the gradient of the real part
    compare(size, np.diag([1 + 2j, 3 - 4j] / np.sqrt([5, 25])))


def test_forward_over_reverse_has_a_graph_in_grad_mode_only() -> None:
    y = tensor(Y).requires_grad_()
    options: dict[str, Any] = {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}
    H = hessian(lambda y: (y**4).sum(), y, **options)
    compare(tg.autograd.grad(H.sum(), y)[0], 24 * Y)
    with tg.no_grad():
        H = hessian(lambda y: (y**4).sum(), y, **options)
    compare(H, np.diag(12 * Y**2))
    assert not H.requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"create_graph": True, "vectorize": True}, "`create_graph=True` and `strategy="),
        ({"strict": True, "vectorize": True}, "`strict=True` and `strategy="),
        ({}, "only implemented for `vectorize=True`"),
    ],
)
def test_forward_mode_takes_no_other_option(options: dict[str, Any], message: str) -> None:
    with pytest.raises(tg.UnsupportedError, match=message):
        jacobian(lambda y: y, tensor(Y), strategy="forward-mode", **options)


def test_forward_mode_refuses_whole_numbers() -> None:
    with pytest.raises(ValueError, match="Expected primal to be floating point or complex"):
        hessian(lambda y: y.sum(), tg.tensor([1, 2]), vectorize=True, outer_jacobian_strategy="forward-mode")


def test_strict_mode_and_batches_exclude_each_other() -> None:
    with pytest.raises(tg.UnsupportedError, match="not supported together"):
        jacobian(lambda y: y, tensor(Y), strict=True, vectorize=True)


def test_the_hessian_of_one_element_of_any_shape() -> None:
    assert hessian(lambda y: (y**3).sum().reshape(1, 1), tensor(Y)).shape == (3, 3)
    with pytest.raises(tg.ShapeError, match="should contain a single element"):
        hessian(lambda y: y**3, tensor(Y))
