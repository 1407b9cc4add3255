"""autograd.Function: operations with a backward of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tapegrad as tg
from tapegrad.autograd import Function


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def function(backward: Callable[..., Any], forward: Callable[..., Any] = lambda ctx, x: x + 0) -> type[Function]:
    """A Function of the given methods."""
    return type("Custom", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


class Product(Function):
    """`x * y * k`, of tensors and a number."""

    @staticmethod
    def forward(ctx: Any, x: tg.Tensor, y: tg.Tensor, k: float = 1.0) -> tg.Tensor:
        ctx.k = k
        ctx.save_for_backward(x, y, None)
        return x * y * k

    @staticmethod
    def backward(ctx: Any, g: tg.Tensor) -> Any:
        x, y, nothing = ctx.saved_tensors
        assert nothing is None
        return g * y * ctx.k, g * x * ctx.k, None


def test_gradients_of_several_arguments() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    out = Product.apply(x, y, 10.0)
    assert repr(out) == "tensor([30., 80.], dtype=torch.float64, grad_fn=<ProductBackward>)"
    assert type(out.grad_fn).__name__ == out.grad_fn.name() == "ProductBackward"
    gx, gy = tg.autograd.grad(out.sum(), (x, y))
    assert (gx.tolist(), gy.tolist()) == ([30.0, 40.0], [10.0, 20.0])


def test_arguments_by_keyword() -> None:
    x, y = leaf(1.0), leaf(3.0)
    (g,) = tg.autograd.grad(Product.apply(x, k=2.0, y=y), y)
    assert g.tolist() == [2.0]


def test_derivatives_of_any_order() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    out = Product.apply(x * x, y)
    (g,) = tg.autograd.grad(out.sum(), x, create_graph=True)
    assert g.tolist() == [6.0, 16.0]  # 2 x y
    gx, gy = tg.autograd.grad(g.sum(), (x, y))
    assert (gx.tolist(), gy.tolist()) == ([6.0, 8.0], [2.0, 4.0])


def test_forward_records_nothing_and_backward_only_if_asked() -> None:
    seen: list[Any] = []

    def forward(ctx: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        seen.append((tg.is_grad_enabled(), ctx.needs_input_grad, (x * 2).requires_grad))
        return x * y

    def backward(ctx: Any, g: tg.Tensor) -> Any:
        seen.append((tg.is_grad_enabled(), g.requires_grad))
        return g, g

    Custom = function(backward, forward)
    x = leaf(1.0)
    y = Custom.apply(x, tg.tensor([2.0], dtype=tg.float64))
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    assert seen == [(False, (True, False), False), (False, False), (True, False)]


def test_without_grad_there_is_no_node() -> None:
    assert not Product.apply(tg.ones(2), tg.ones(2)).requires_grad
    with tg.no_grad():
        assert Product.apply(leaf(1.0), leaf(1.0)).is_leaf


def test_several_outputs_of_any_kind() -> None:
    """Zeros for a tensor that was not used, None for what is no tensor; an integer output needs no gradient."""
    seen: list[Any] = []

    def forward(ctx: Any, x: tg.Tensor) -> Any:
        return x * 2, x * 3, "text", x.argmax()

    def backward(ctx: Any, g: tg.Tensor, h: tg.Tensor, text: None, index: tg.Tensor) -> tg.Tensor:
        seen.extend([g.tolist(), h.tolist(), text])
        return 2 * g + 3 * h

    x = leaf(1.0, 2.0)
    y, z, text, index = function(backward, forward).apply(x)
    assert (y.grad_fn is z.grad_fn, text, index.requires_grad) == (True, "text", False)
    z.sum().backward()
    assert seen == [[0.0, 0.0], [1.0, 1.0], None]
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]


def test_outputs_that_arrived_nowhere_can_be_none() -> None:
    seen: list[Any] = []

    def forward(ctx: Any, x: tg.Tensor) -> Any:
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx: Any, g: tg.Tensor | None, h: tg.Tensor) -> tg.Tensor:
        seen.append(g)
        return 3 * h

    _, z = function(backward, forward).apply(leaf(1.0))
    z.backward()
    assert seen == [None]


def test_an_output_can_be_marked_as_needing_no_gradient() -> None:
    def forward(ctx: Any, x: tg.Tensor) -> Any:
        y, z = x * 2, x * 3
        ctx.mark_non_differentiable(z)
        return y, z

    y, z = function(lambda ctx, g, h: g * 2, forward).apply(leaf(1.0))
    assert (y.requires_grad, z.requires_grad) == (True, False)


def test_returning_the_argument_gives_another_tensor() -> None:
    x = leaf(1.0)
    y = function(lambda ctx, g: g * 10, lambda ctx, x: x).apply(x)
    assert y is not x
    (g,) = tg.autograd.grad(y, x)
    assert g.tolist() == [10.0]


def test_none_is_no_gradient() -> None:
    x, y = leaf(1.0), leaf(1.0)
    function(lambda ctx, g: (g, None), lambda ctx, x, y: x + y).apply(x, y).backward()
    assert x.grad is not None
    assert y.grad is None


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda ctx, g: (g, g), r"returned an incorrect number of gradients \(expected 1, got 2\)"),
        (lambda ctx, g: (), r"returned an incorrect number of gradients \(expected 1, got 0\)"),
        (lambda ctx, g: 3.0, r"expected Variable or None \(got float\)"),
        (lambda ctx, g: tg.ones(5, dtype=tg.float64), r"shape"),
    ],
)
def test_a_backward_that_does_not_fit(backward: Callable[..., Any], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        function(backward).apply(leaf(1.0, 2.0)).sum().backward()


def test_surplus_nones_are_allowed() -> None:
    x = leaf(1.0)
    function(lambda ctx, g: (g, None, None)).apply(x).backward()
    assert x.grad is not None


def test_saved_tensors_are_watched_and_freed() -> None:
    a = leaf(1.0)
    x = a * 1
    y = Product.apply(x, x)
    x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    y = Product.apply(a, a)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_only_tensors_can_be_saved() -> None:
    with pytest.raises(TypeError, match="can only save variables, but argument 0 is of type int"):
        function(lambda ctx, g: g, lambda ctx, x: ctx.save_for_backward(3)).apply(leaf(1.0))


def test_setup_context_apart_from_forward() -> None:
    class Scale(Function):
        @staticmethod
        def forward(x: tg.Tensor, k: float) -> tg.Tensor:  # type: ignore[override]
            return x * k

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tg.Tensor) -> None:
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx: Any, g: tg.Tensor) -> Any:
            return g * ctx.k, None

    x = leaf(1.0)
    (g,) = tg.autograd.grad(Scale.apply(x, 5.0), x)
    assert g.tolist() == [5.0]


def test_a_graph_inside_forward() -> None:
    def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
        with tg.enable_grad():
            ctx.x = x.detach().requires_grad_()
            ctx.y = (ctx.x**3).sum()
        return ctx.y.detach()

    x = leaf(2.0)
    y = function(lambda ctx, g: tg.autograd.grad(ctx.y, ctx.x)[0] * g, forward).apply(x)
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [12.0]


def test_methods_must_be_given() -> None:
    with pytest.raises(NotImplementedError):
        type("Bare", (Function,), {}).apply(leaf(1.0))


class Doubled(Function):
    """Writes to its argument."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2


def test_writing_to_the_argument_moves_its_history() -> None:
    a = leaf(1.0, 2.0)
    x = a * 3
    y = Doubled.apply(x)
    assert y is x
    assert x.tolist() == [6.0, 12.0]
    assert x._version == 2  # the write, and the mark
    (x * x).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [72.0, 144.0]


def test_writing_to_a_view_moves_the_history_of_its_base() -> None:
    a = leaf(1.0, 2.0)
    b = a * 3
    Doubled.apply(b[:1])
    b.sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [6.0, 3.0]


def test_a_gradient_that_broadcasts_is_summed() -> None:
    x = leaf(1.0, 2.0)
    function(lambda ctx, g: tg.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=tg.float64)).apply(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 6.0]


def test_a_tensor_returned_twice_is_one_output() -> None:
    class Twice(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x * 2
            return y, y

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            return g * 2 + h * 3

    x = leaf(1.0)
    c, d = Twice.apply(x)
    assert c is d
    (c + d).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [6.0]


def test_setup_context_sees_defaults() -> None:
    class Scaled(Function):
        @staticmethod
        def forward(x: Any, k: float = 2.0) -> Any:
            return x * k

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.k, None

    for call, expected in ((lambda x: Scaled.apply(x), 2.0), (lambda x: Scaled.apply(x, k=3.0), 3.0)):
        x = leaf(1.0)
        call(x).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [expected]
