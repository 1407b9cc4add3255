"""torch.nn.functional: convolutions and pooling, gradients to second order, and what they refuse."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases

CONVOLUTIONS = """
x = leaf(2, 2, 5); w = leaf(3, 2, 3, seed=1); b = leaf(3, seed=2); pull(F.conv1d(x, w, b), x, w, b)
x = leaf(2, 2, 5); w = leaf(3, 2, 3, seed=1); pull(F.conv1d(x, w, stride=2, padding=2, dilation=2), x, w)
x = leaf(2, 5); w = leaf(3, 2, 3, seed=1); b = leaf(3, seed=2); pull(F.conv1d(x, w, b), x, w, b)
x = leaf(2, 4, 5); w = leaf(6, 2, 3, seed=1); pull(F.conv1d(x, w, groups=2), x, w)
x = leaf(2, 2, 5, 4); w = leaf(3, 2, 3, 2, seed=1); b = leaf(3, seed=2); pull(F.conv2d(x, w, b), x, w, b)
x = leaf(2, 2, 5, 4); w = leaf(3, 2, 3, 2, seed=1); pull(F.conv2d(x, w, None, (2, 1), (1, 0), (1, 2)), x, w)
x = leaf(2, 2, 6, 6); w = leaf(3, 2, 3, 3, seed=1); pull(F.conv2d(x, w, stride=2, padding=1), x, w)
x = leaf(2, 2, 7, 6); w = leaf(3, 2, 2, 3, seed=1); pull(F.conv2d(x, w, stride=3), x, w)
x = leaf(2, 2, 5, 4); w = leaf(3, 2, 3, 3, seed=1); pull(F.conv2d(x, w, padding="same"), x, w)
x = leaf(2, 2, 5, 4); w = leaf(3, 2, 2, 4, seed=1); pull(F.conv2d(x, w, padding="same"), x, w)
x = leaf(2, 2, 5, 4); w = leaf(3, 2, 3, 2, seed=1); pull(F.conv2d(x, w, padding="same", dilation=2), x, w)
x = leaf(2, 2, 5, 4); w = leaf(3, 2, 3, 2, seed=1); pull(F.conv2d(x, w, padding="valid"), x, w)
x = leaf(2, 4, 4, 4); w = leaf(4, 1, 3, 3, seed=1); pull(F.conv2d(x, w, groups=4, padding=1), x, w)
x = leaf(2, 4, 4, 4); w = leaf(2, 2, 3, 3, seed=1); b = leaf(2, seed=3); pull(F.conv2d(x, w, b, groups=2), x, w, b)
x = leaf(2, 3, 4, 4); w = leaf(5, 3, 1, 1, seed=1); pull(F.conv2d(x, w), x, w)
x = leaf(2, 3, 4, 4); w = leaf(5, 3, 1, 1, seed=1); pull(F.conv2d(x, w, stride=(2,)), x, w)
x = leaf(2, 4, 4); w = leaf(3, 2, 2, 2, seed=1); pull(F.conv2d(x, w), x, w)
x = leaf(2, 2, 4, 3, 4); w = leaf(3, 2, 2, 2, 3, seed=1); b = leaf(3, seed=2); pull(F.conv3d(x, w, b), x, w, b)
x = leaf(1, 2, 4, 3, 4); w = leaf(2, 1, 2, 2, 3, seed=1); pull(F.conv3d(x, w, None, (2, 1, 1), 1, 1, 2), x, w)
x = leaf(2, 4, 3, 4); w = leaf(3, 2, 2, 2, 3, seed=1); pull(F.conv3d(x, w), x, w)
x = leaf(0, 2, 4, 4); w = leaf(3, 2, 2, 2); pull(F.conv2d(x, w), x, w)
x = leaf(2, 2, 5, dtype="complex128"); w = leaf(3, 2, 3, seed=1, dtype="complex128"); pull(F.conv1d(x, w), x, w) ## unnamed
x = leaf(2, 2, 5, 4, dtype="float32"); w = leaf(3, 2, 3, 2, seed=1, dtype="float32"); pull(F.conv2d(x, w, padding=1), x, w)
x = leaf(2, 2, 5, 4, dtype="bfloat16"); w = leaf(3, 2, 3, 2, seed=1, dtype="bfloat16"); pull(F.conv2d(x, w), x, w) ## loose
F.conv2d(t(2, 2, 5, 4, dtype="int64"), t(3, 2, 2, 2, dtype="int64"))
F.conv2d(input=t(1, 2, 4, 4), weight=t(3, 2, 2, 2), bias=None, stride=1, padding=0, dilation=1, groups=1)
x = leaf(2, 2, 4); w = leaf(2, 3, 3, seed=1); b = leaf(3, seed=2); pull(F.conv_transpose1d(x, w, b), x, w, b)
x = leaf(2, 2, 4); w = leaf(2, 3, 3, seed=1); pull(F.conv_transpose1d(x, w, None, 3, 1, 2), x, w)
x = leaf(2, 2, 4); w = leaf(2, 3, 3, seed=1); pull(F.conv_transpose1d(x, w, None, 1, 1, 1, 1, 2), x, w)
x = leaf(2, 4); w = leaf(2, 3, 3, seed=1); pull(F.conv_transpose1d(x, w, stride=2), x, w)
x = leaf(2, 2, 4, 3); w = leaf(2, 3, 2, 3, seed=1); b = leaf(3, seed=2); pull(F.conv_transpose2d(x, w, b), x, w, b)
x = leaf(2, 2, 4, 3); w = leaf(2, 3, 2, 3, seed=1); pull(F.conv_transpose2d(x, w, stride=2, output_padding=1), x, w)
x = leaf(2, 2, 3, 3); w = leaf(2, 3, 3, 3, seed=1); pull(F.conv_transpose2d(x, w, None, 2, 1, (0, 1)), x, w)
x = leaf(2, 4, 3, 3); w = leaf(4, 3, 3, 3, seed=1); pull(F.conv_transpose2d(x, w, None, 2, 1, 1, groups=2), x, w)
x = leaf(2, 4, 3, 3); w = leaf(4, 1, 3, 3, seed=1); pull(F.conv_transpose2d(x, w, groups=4, dilation=2), x, w)
x = leaf(2, 2, 3, 2, 3); w = leaf(2, 3, 2, 2, 2, seed=1); b = leaf(3, seed=2); pull(F.conv_transpose3d(x, w, b, 2), x, w, b)
"""

CONVOLUTION_ERRORS = """
F.conv2d(t(1, 3, 4, 4), t(3, 2, 2, 2))
F.conv2d(t(4, 4), t(3, 2, 2, 2))
F.conv1d(t(4), t(3, 2, 2))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 5, 5))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 3, 3), dilation=2)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), t(2))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), t(3, 1))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), stride=0)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), stride=-1)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), padding=-1)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), dilation=0)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), dilation=-1)
F.conv2d(t(1, 2, 4, 4), t(3, 1, 2, 2), groups=2)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), groups=0)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), padding="same", stride=2)
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), padding="other")
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), stride=(1, 2, 3))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), stride=1.5) ## class
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2, dtype="float32"))
F.conv2d(t(1, 2, 4, 4), t(3, 2, 2, 2), t(3, dtype="float32"))
F.conv2d(t(1, 2, 4, 4), t(0, 2, 2, 2))
F.conv2d(t(1, 2, 4, 4), 1) ## class
F.conv2d(1, t(1, 2, 4, 4)) ## class
F.conv2d(t(1, 2, 4, 4, dtype="bool"), t(3, 2, 2, 2, dtype="bool"))
F.conv_transpose2d(t(1, 2, 4, 4), t(2, 3, 2, 2), output_padding=1)
F.conv_transpose1d(t(1, 2, 4), t(2, 3, 2), output_padding=1)
F.conv_transpose3d(t(1, 2, 4, 4, 4), t(2, 3, 2, 2, 2), output_padding=1)
F.conv_transpose2d(t(1, 2, 4, 4), t(3, 3, 2, 2))
F.conv_transpose2d(t(1, 2, 4, 4), t(2, 3, 2, 2), t(4))
F.conv_transpose2d(t(1, 2, 4, 4), t(2, 3, 2, 2), output_padding=-1)
F.conv_transpose2d(t(1, 2, 1, 1), t(2, 3, 2, 2), padding=2)
F.conv_transpose2d(t(1, 2, 4, 4), t(2, 3, 2, 2), padding="same") ## class
"""

POOLS = """
x = leaf(2, 2, 6); pull(F.max_pool1d(x, 2), x)
x = leaf(2, 2, 6); pull(F.max_pool1d(x, 3, 1, 1), x)
x = leaf(2, 6); pull(F.max_pool1d(x, 3, 2, ceil_mode=True), x)
x = leaf(2, 2, 7); pull(F.max_pool1d(x, 3, 2, 1, 2), x)
F.max_pool1d(t(2, 2, 6), 2, return_indices=True)
x = leaf(2, 2, 6, 5); pull(F.max_pool2d(x, 2), x)
x = leaf(2, 2, 6, 5); pull(F.max_pool2d(x, (3, 2), (1, 2), (1, 0)), x)
x = leaf(2, 6, 5); pull(F.max_pool2d(x, 3, 2, 1), x)
x = leaf(2, 2, 6, 5); pull(F.max_pool2d(x, 2, ceil_mode=True), x)
x = leaf(2, 2, 6, 5); pull(F.max_pool2d(x, 3, 2, 1, ceil_mode=True), x)
x = leaf(2, 2, 7, 6); pull(F.max_pool2d(x, 2, dilation=2), x)
x = leaf(2, 2, 7, 6); pull(F.max_pool2d(x, 3, 1, 1, (2, 1)), x)
x = leaf(2, 2, 6, 5); y, i = F.max_pool2d(x, 3, 1, 1, return_indices=True); pull(y, x), i
F.max_pool2d(t(2, 7, 6), 2, 1, 1, 2, True, True)
x = torch.zeros(1, 1, 4, 4).requires_grad_(); pull(F.max_pool2d(x, 2), x)
x = torch.zeros(1, 1, 5, 5).requires_grad_(); pull(F.max_pool2d(x, 3, 1, 1), x)
x = torch.full((1, 1, 4, 4), -inf).requires_grad_(); pull(F.max_pool2d(x, 3, 1, 1), x)
F.max_pool2d(torch.full((1, 1, 4, 4), -inf), 3, 1, 1, return_indices=True)
F.max_pool2d(torch.full((1, 1, 8, 7), -inf), 3, 1, (0, 1), 3, return_indices=True)
x = torch.tensor([[[1.0, nan, 3.0, nan, 0.0, 1.0]]]).requires_grad_(); pull(F.max_pool1d(x, 3), x)
F.max_pool2d(t(1, 4, 4, dtype="int64"), 2)
F.max_pool2d(t(1, 4, 4, dtype="int64"), 3, 1, 1, return_indices=True)
x = leaf(2, 2, 6, 6, dtype="float32"); pull(F.max_pool2d(x, 2), x)
x = leaf(2, 2, 6, 6, dtype="float16"); pull(F.max_pool2d(x, 3, 1), x)
x = leaf(1, 2, 4, 5, 4); pull(F.max_pool3d(x, 2), x)
x = leaf(2, 4, 5, 4); pull(F.max_pool3d(x, (2, 3, 2), 1, (1, 1, 0)), x)
x = leaf(0, 2, 4, 4); pull(F.max_pool2d(x, 2), x)
x = leaf(2, 2, 6); pull(F.avg_pool1d(x, 2), x)
x = leaf(2, 2, 7); pull(F.avg_pool1d(x, 3, 2, 1), x)
x = leaf(2, 7); pull(F.avg_pool1d(x, 3, 2, 1, True, False), x)
x = leaf(2, 2, 6, 5); pull(F.avg_pool2d(x, 2), x)
x = leaf(2, 2, 6, 5); pull(F.avg_pool2d(x, (3, 2), (1, 2), (1, 0)), x)
x = leaf(2, 2, 6, 5); pull(F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), x)
x = leaf(2, 2, 6, 5); pull(F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), x)
x = leaf(2, 2, 6, 5); pull(F.avg_pool2d(x, 3, 3, 1, ceil_mode=True, count_include_pad=False), x)
x = leaf(2, 2, 6, 5); pull(F.avg_pool2d(x, 2, divisor_override=3), x)
x = leaf(2, 6, 5); pull(F.avg_pool2d(x, 2, stride=1), x)
x = leaf(2, 6, 5, dtype="float16"); pull(F.avg_pool2d(x, 2, stride=1), x)
x = leaf(1, 2, 4, 5, 4); pull(F.avg_pool3d(x, 2, 1, 1), x)
x = leaf(2, 2, 6); pull(F.adaptive_avg_pool1d(x, 3), x)
x = leaf(2, 2, 7); pull(F.adaptive_avg_pool1d(x, 3), x)
x = leaf(2, 2, 7); pull(F.adaptive_avg_pool1d(x, 9), x)
x = leaf(2, 7); pull(F.adaptive_avg_pool1d(x, 1), x)
x = leaf(2, 2, 6, 4); pull(F.adaptive_avg_pool2d(x, 2), x)
x = leaf(2, 2, 6, 4); pull(F.adaptive_avg_pool2d(x, 1), x)
x = leaf(2, 2, 6, 5); pull(F.adaptive_avg_pool2d(x, (4, 3)), x)
x = leaf(2, 6, 5); pull(F.adaptive_avg_pool2d(x, (None, 2)), x)
x = leaf(2, 3, 4, 5); pull(F.adaptive_avg_pool3d(x, (2, 2, 3)), x)
x = leaf(2, 2, 7); pull(F.adaptive_max_pool1d(x, 3), x)
F.adaptive_max_pool1d(t(2, 2, 7), 3, return_indices=True)
x = leaf(2, 2, 6, 4); pull(F.adaptive_max_pool2d(x, 2), x)
x = leaf(2, 2, 6, 5); pull(F.adaptive_max_pool2d(x, (4, 3)), x)
F.adaptive_max_pool2d(t(2, 2, 6, 5), (4, None), return_indices=True)
x = leaf(1, 2, 4, 5, 3); pull(F.adaptive_max_pool3d(x, (3, 2, 2)), x)
"""

POOL_ERRORS = """
F.max_pool2d(t(4, 4), 2)
F.max_pool2d(t(1, 1, 4, 4), 5)
F.max_pool2d(t(1, 1, 4, 4), 2, padding=2) ## says: pad should be at most half of effective kernel size
F.max_pool2d(t(1, 1, 9, 9), (3, 4), 1, (1, 3), 3)
F.max_pool3d(t(1, 1, 9, 9, 9), (3, 4, 5), 1, (1, 2, 3), 3)
F.max_pool1d(t(1, 1, 4), 2, padding=2)
F.max_pool2d(t(1, 1, 4, 4), 2, stride=0)
F.max_pool2d(t(1, 1, 4, 4), 0)
F.max_pool2d(t(1, 1, 4, 4), 2, padding=-1)
F.max_pool2d(t(1, 1, 4, 4), 2, dilation=0)
F.max_pool1d(t(1, 1, 4), 0)
F.max_pool1d(t(1, 1, 4), 2, stride=0)
F.max_pool1d(t(1, 1, 4), 2, dilation=0)
F.max_pool1d(t(1, 1, 4), 5)
F.max_pool1d(t(4), 2) ## class
F.max_pool2d(t(1, 1, 4, 4), (2, 2, 2))
F.max_pool2d(t(1, 0, 4, 4), 2)
F.max_pool2d(t(1, 1, 0, 4), 2)
F.max_pool2d(t(1, 1, 4, 4, dtype="bool"), 2)
F.max_pool1d(t(1, 1, 4, dtype="int64"), 2)
F.max_pool2d(t(1, 1, 4, 4, dtype="complex64"), 2)
F.max_pool2d(t(1, 1, 4, 4), 1.5) ## class
F.avg_pool2d(t(1, 1, 4, 4), 5)
F.avg_pool2d(t(1, 1, 4, 4), 2, padding=2) ## says: pad should be at most half of effective kernel size
F.avg_pool2d(t(1, 1, 4, 4), 2, divisor_override=0)
F.avg_pool2d(t(1, 1, 4, 4), 2, stride=0)
F.avg_pool2d(t(1, 1, 4, 4), 2, padding=-1)
F.avg_pool2d(t(1, 1, 4, 4, dtype="int32"), 2)
F.avg_pool1d(t(1, 1, 4), 2, padding=2) ## says: pad should be at most half of effective kernel size
F.adaptive_avg_pool2d(t(4, 4), 3)
F.adaptive_avg_pool2d(t(1, 1, 4, 4, dtype="int64"), 3)
F.adaptive_max_pool2d(t(4, 4), 3) ## class
"""


@pytest.mark.parametrize(
    "text", [CONVOLUTIONS, CONVOLUTION_ERRORS, POOLS, POOL_ERRORS], ids=["conv", "conv-errors", "pool", "pool-errors"]
)
def test_cases(text):
    agree_all(cases(text))


def twice() -> Iterator[str]:
    """Gradients of gradients."""
    for options in ("", ", stride=2, padding=1", ", padding='same'", ", dilation=2, padding=2"):
        yield f"x = leaf(2, 2, 5); w = leaf(3, 2, 3, seed=1); y = F.conv1d(x, w{options}); " + of("x", "w")
        yield f"x = leaf(1, 2, 5, 4); w = leaf(2, 2, 3, 2, seed=1); y = F.conv2d(x, w{options}); " + of("x", "w")
        yield f"x = leaf(1, 2, 5, 4); w = leaf(4, 1, 3, 2, seed=1); y = F.conv2d(x, w, groups=2{options}); " + of(
            "x", "w"
        )
    for options in ("", ", stride=2, padding=1, output_padding=1", ", dilation=2"):
        yield f"x = leaf(2, 2, 4); w = leaf(2, 3, 3, seed=1); y = F.conv_transpose1d(x, w{options}); " + of("x", "w")
    dims = {1: "2, 2, 6", 2: "1, 2, 5, 4", 3: "1, 1, 4, 3, 4"}
    for (n, shape), options in itertools.product(dims.items(), ("2", "3, 1, 1", "2, 2, 1")):
        yield f"x = leaf({shape}); y = F.max_pool{n}d(x, {options}); " + of("x")
        yield f"x = leaf({shape}); y = F.avg_pool{n}d(x, {options}); " + of("x")
    yield "x = leaf(1, 2, 6, 5); y = F.max_pool2d(x, 2, dilation=2); " + of("x")
    yield "x = leaf(1, 2, 6, 5); y = F.adaptive_avg_pool2d(x, (4, 3)); " + of("x")
    yield "x = leaf(1, 2, 6, 5); y = F.adaptive_max_pool2d(x, (4, 3)); " + of("x")
    yield "x = leaf(1, 1, 4, 4); (g,) = torch.autograd.grad(F.max_pool2d(x, 2).sum(), x, create_graph=True); g.requires_grad"


def of(*inputs: str) -> str:
    names = ", ".join(inputs)
    return f"g = torch.autograd.grad((y * y).sum(), [{names}], create_graph=True); pull([*g], {names}) ## unnamed"


TRANSFORMED = """
x = t(3, 2, 5); w = t(3, 2, 3, seed=1); torch.func.vmap(lambda x: F.conv1d(x, w))(x)
x = t(3, 2, 2, 5, 4); w = t(3, 3, 2, 3, 2, seed=1); torch.func.vmap(F.conv2d)(x, w)
x = t(2, 2, 5, 4); w = t(3, 3, 2, 3, 2, seed=1); torch.func.vmap(F.conv2d, (None, 0))(x, w)
x = t(2, 4, 5); w = t(3, 4, 2, 3, seed=1); torch.func.vmap(lambda x, w: F.conv_transpose1d(x, w, stride=2, groups=2), (None, 0))(x, w)
x = t(3, 2, 2, 6, 4); torch.func.vmap(lambda x: F.max_pool2d(x, 2))(x)
x = t(3, 2, 2, 6, 4); torch.func.vmap(torch.func.grad(lambda x: F.avg_pool2d(x, 3, 2, 1).sin().sum()))(x)
x = t(2, 2, 5, 4); w = t(3, 2, 3, 2, seed=1); torch.func.jvp(lambda x, w: F.conv2d(x, w, padding=1), (x, w), (x.sin(), w.cos()))
x = t(2, 2, 5, 4); torch.func.jvp(lambda x: F.max_pool2d(x, 2), (x,), (x.sin(),))
x = t(2, 2, 5, 4); torch.func.jvp(lambda x: F.avg_pool2d(x, 2), (x,), (x.sin(),))
x = t(1, 5); w = t(1, 1, 2); torch.func.hessian(lambda x: F.conv1d(x, w).sin().sum())(x)
x = t(3, 4); w = t(4, seed=1); torch.func.jvp(lambda x, w: F.layer_norm(x, (4,), w), (x, w), (x.sin(), w.cos()))
x = t(3, 2, 4); torch.func.vmap(lambda x: F.layer_norm(x, (4,)))(x)
"""


def test_transforms():
    agree_all(cases(TRANSFORMED))


def test_second_order():
    agree_all(twice())
