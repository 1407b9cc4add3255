"""The operations that the sequences use: how they are spelled, what they compute, how they vary, what they keep.

What an operation varies by is written as a slope per operand, a function of what the operation *keeps* of its operands
`a`, `b` and its result `out`. That table is PyTorch's (`tools/autograd/derivatives.yaml` documents it): the model needs
it, for a write to what was kept is an error and a write to what was not is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .jets import Jet, cos, reciprocal, sin, steps

__all__ = [
    "ASSIGN",
    "BINARY",
    "COPY",
    "FILLS",
    "SCALAR",
    "UNARY",
    "Elementwise",
    "Slope",
    "View",
    "reshapes",
    "several",
    "views",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Slope:
    """The derivative by one operand, as a function of what is kept.

    `keeps` names it, from `a`, `b`, `out`. Without `smooth` the function is a mask, which has no history: a gradient of
    the gradient does not go by way of what is kept. `zero` slopes give zeros, whatever they are multiplied with.
    """

    keeps: tuple[str, ...]
    function: Callable[..., Any]
    smooth: bool = True
    zero: bool = False


@dataclass(frozen=True)
class Elementwise:
    """`text` is the call on `a` (and `b`), `inplace` its in-place form or "" where it has none.

    `scalar` says that a Python number is kept, which is freed as tensors are.
    """

    text: str
    inplace: str
    forward: Callable[..., Array]
    slopes: tuple[Slope, ...]
    scalar: bool = False


def _same(x: Any) -> Any:
    return x


def _constant(value: float) -> Slope:
    return Slope((), lambda: value, zero=value == 0.0)


def _inside(a: Jet) -> Jet:
    return steps(lambda a: ((a >= -1.0) & (a <= 1.0)) * 1.0, a)


def _above(sign: float) -> Callable[[Jet, Jet], Jet]:
    return lambda a, b: steps(lambda a, b: np.where(a == b, 0.5, sign * a > sign * b), a, b)


UNARY = {
    "neg": Elementwise("{a}.neg()", "{a}.neg_()", np.negative, (_constant(-1.0),)),
    "sin": Elementwise("{a}.sin()", "{a}.sin_()", np.sin, (Slope(("a",), cos),)),
    "cos": Elementwise("{a}.cos()", "{a}.cos_()", np.cos, (Slope(("a",), lambda a: -sin(a)),)),
    "exp": Elementwise("{a}.exp()", "{a}.exp_()", np.exp, (Slope(("out",), _same),)),
    "tanh": Elementwise("{a}.tanh()", "{a}.tanh_()", np.tanh, (Slope(("out",), lambda out: 1.0 - out * out),)),
    "sigmoid": Elementwise(
        "{a}.sigmoid()",
        "{a}.sigmoid_()",
        lambda a: 1.0 / (1.0 + np.exp(-a)),
        (Slope(("out",), lambda out: out * (1.0 - out)),),
    ),
    "square": Elementwise("{a}.square()", "{a}.square_()", np.square, (Slope(("a",), lambda a: a * 2.0),)),
    "abs": Elementwise("{a}.abs()", "{a}.abs_()", np.abs, (Slope(("a",), lambda a: steps(np.sign, a)),)),
    "relu": Elementwise(
        "{a}.relu()",
        "{a}.relu_()",
        lambda a: np.maximum(a, 0.0),
        (Slope(("out",), lambda out: steps(lambda out: (out > 0.0) * 1.0, out)),),
    ),
    "clamp": Elementwise(
        "{a}.clamp(-1.0, 1.0)",
        "{a}.clamp_(-1.0, 1.0)",
        lambda a: np.clip(a, -1.0, 1.0),
        (Slope(("a",), _inside, smooth=False),),
    ),
    "reciprocal": Elementwise(
        "{a}.reciprocal()",
        "{a}.reciprocal_()",
        np.reciprocal,
        (Slope(("out",), lambda out: -(out * out)),),
    ),
    "clone": Elementwise("{a}.clone()", "", np.copy, (_constant(1.0),)),
}

BINARY = {
    "add": Elementwise("{a} + {b}", "{a}.add_({b})", np.add, (_constant(1.0), _constant(1.0))),
    "sub": Elementwise("{a} - {b}", "{a} -= {b}", np.subtract, (_constant(1.0), _constant(-1.0))),
    "mul": Elementwise("{a} * {b}", "{a}.mul_({b})", np.multiply, (Slope(("b",), _same), Slope(("a",), _same))),
    "div": Elementwise(
        "{a} / {b}",
        "{a} /= {b}",
        np.divide,
        (Slope(("b",), reciprocal), Slope(("a", "b"), lambda a, b: -(a * reciprocal(b) * reciprocal(b)))),
    ),
    "maximum": Elementwise(
        "tg.maximum({a}, {b})",
        "",
        np.maximum,
        (Slope(("a", "b"), _above(1.0), smooth=False), Slope(("a", "b"), _above(-1.0), smooth=False)),
    ),
}

COPY = Elementwise("", "{a}.copy_({b})", lambda a, b: np.broadcast_to(b, a.shape), (_constant(0.0), _constant(1.0)))


def scalar(text: str, inplace: str, forward: Callable[[Array], Array], slope: float, kept: bool = False) -> Elementwise:
    return Elementwise(text, inplace, forward, (_constant(slope),), kept)


SCALAR = {
    "add": scalar("{a} + 0.5", "{a} += 0.5", lambda a: a + 0.5, 1.0),
    "rsub": scalar("1.0 - {a}", "", lambda a: 1.0 - a, -1.0),
    "mul": scalar("{a} * 2.0", "{a} *= 2.0", lambda a: a * 2.0, 2.0, kept=True),
    "negate": scalar("{a} * -0.5", "{a}.mul_(-0.5)", lambda a: a * -0.5, -0.5, kept=True),
    "div": scalar("{a} / 4.0", "{a}.div_(4.0)", lambda a: a / 4.0, 0.25, kept=True),
    "fill": scalar("", "{a}.fill_(0.75)", lambda a: np.full_like(a, 0.75), 0.0),
    "zero": scalar("", "{a}.zero_()", np.zeros_like, 0.0),
}

ASSIGN = scalar("", "{a} = 0.75", lambda a: np.full_like(a, 0.75), 0.0)

FILLS = [SCALAR["fill"], SCALAR["zero"]]
"""What may be written where elements share memory."""

View = tuple[str, Callable[[Array], Array]]
"""A spelling, and the same view of a NumPy array."""


def views(shape: tuple[int, ...]) -> list[View]:
    """The views that a tensor of `shape` has here: of one entry, of several, of the same in another order or shape."""
    found: list[View] = []
    for dim, n in enumerate(shape):
        found += [_cut(dim, "select", f"{dim}, {at}", at) for at in {0, n - 1}]
        if n > 1:
            found += [
                _cut(dim, "narrow", f"{dim}, 1, {n - 1}", slice(1, n)),
                _cut(dim, "narrow", f"{dim}, 0, 1", slice(0, 1)),
            ]
    if shape:
        found += [("{a}[0]", lambda a: a[0, ...]), ("{a}[-1]", lambda a: a[-1, ...])]
        found += [("{a}[1:]", lambda a: a[1:]), ("{a}[::2]", lambda a: a[::2])] if shape[0] > 1 else []
        found += [("{a}[:, 0]", lambda a: a[:, 0, ...])] if len(shape) > 1 else []
        found += [("{a}.squeeze()", lambda a: a.reshape([n for n in a.shape if n != 1]))] if 1 in shape else []
    if len(shape) == 2:
        found += [("{a}.t()", lambda a: a.T), ("{a}.transpose(0, 1)", lambda a: a.T)]
        found += [("{a}.diagonal()", np.diagonal)]
    if len(shape) == 3:
        found += [("{a}.permute(2, 0, 1)", lambda a: a.transpose(2, 0, 1))]
    if len(shape) < 3:
        found += [("{a}.unsqueeze(0)", lambda a: a[None]), ("{a}.unsqueeze(-1)", lambda a: a[..., None])]
        if math.prod(shape) <= 4:
            found.append(
                (f"{{a}}.expand({', '.join(map(str, (2, *shape)))})", lambda a: np.broadcast_to(a, (2, *shape)))
            )
    return found


def _cut(dim: int, method: str, arguments: str, at: Any) -> View:
    return f"{{a}}.{method}({arguments})", lambda a: a[(slice(None),) * dim + (at, ...)]


def reshapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Other shapes of as many elements."""
    n = math.prod(shape)
    found = [(n,), (1, n), (n, 1)] + [(n // d, d) for d in (2, 3) if n % d == 0 and n > d]
    return [new for new in found if new != shape]


def several(shape: tuple[int, ...]) -> list[tuple[str, list[Callable[[Array], Array]]]]:
    """The operations that give several views at once."""
    if not shape or not 1 < shape[0] <= 3:
        return []
    n, half = shape[0], -(-shape[0] // 2)
    return [
        ("{a}.unbind()", [lambda a, i=i: a[i, ...] for i in range(n)]),
        ("{a}.split(1)", [lambda a, i=i: a[i : i + 1] for i in range(n)]),
        ("{a}.chunk(2)", [lambda a: a[:half], lambda a: a[half:]]),
    ]
