"""Result types: every pair of dtypes, as tensors with dims, 0-d tensors and Python scalars, through every kind of op."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tapegrad

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import DifferenceError, Failed, failed  # noqa: E402

DTYPES = [
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
    "complex128",
]  # fmt: skip
SCALARS = [True, 2, 2.5, 2 + 1j]
OPERANDS = [("dim", d) for d in DTYPES] + [("0-d", d) for d in DTYPES] + [("scalar", s) for s in SCALARS]

# Operations of two operands. Those of the second group want a tensor first.
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "result_type": lambda lib, a, b: lib.result_type(a, b),
    "+": lambda lib, a, b: a + b,
    "-": lambda lib, a, b: a - b,
    "*": lambda lib, a, b: a * b,
    "/": lambda lib, a, b: a / b,
    "//": lambda lib, a, b: a // b,
    "%": lambda lib, a, b: a % b,
    "**": lambda lib, a, b: a**b,
    "==": lambda lib, a, b: a == b,
    "!=": lambda lib, a, b: a != b,
    "<": lambda lib, a, b: a < b,
    ">=": lambda lib, a, b: a >= b,
    "&": lambda lib, a, b: a & b,
    "|": lambda lib, a, b: a | b,
    "@": lambda lib, a, b: a @ b,
    "where": lambda lib, a, b: lib.where(lib.tensor([True, False]), a, b),
    "cat": lambda lib, a, b: lib.cat([a, b]),
    "stack": lambda lib, a, b: lib.stack([a, b]),
}
FIRST_A_TENSOR: dict[str, Callable[[Any, Any, Any], Any]] = {
    "maximum": lambda lib, a, b: lib.maximum(a, b),
    "atan2": lambda lib, a, b: lib.atan2(a, b),
    "logical_and": lambda lib, a, b: lib.logical_and(a, b),
    "div trunc": lambda lib, a, b: lib.div(a, b, rounding_mode="trunc"),
    "div floor": lambda lib, a, b: lib.div(a, b, rounding_mode="floor"),
    "add alpha": lambda lib, a, b: lib.add(a, b, alpha=2),
    "clamp min": lambda lib, a, b: lib.clamp(a, b),
    "clamp max": lambda lib, a, b: lib.clamp(a, max=b),
    "masked_fill": lambda lib, a, b: lib.masked_fill(a, lib.tensor([True, False]), b),
    "add_": lambda lib, a, b: a.add_(b),
    "sub_": lambda lib, a, b: a.sub_(b),
    "mul_": lambda lib, a, b: a.mul_(b),
    "div_": lambda lib, a, b: a.div_(b),
    "pow_": lambda lib, a, b: a.pow_(b),
    "remainder_": lambda lib, a, b: a.remainder_(b),
    "setitem": lambda lib, a, b: a.__setitem__(0, b) or a,
    "copy_": lambda lib, a, b: a.copy_(b),
    "fill_": lambda lib, a, b: a.fill_(b),
}


def made(lib: Any, kind: str, what: Any) -> Any:
    if kind == "scalar":
        return what
    return lib.tensor([1, 1] if kind == "dim" else 1, dtype=getattr(lib, what))


def outcome(lib: Any, op: Callable[[Any, Any, Any], Any], a: tuple[str, Any], b: tuple[str, Any]) -> Any:
    try:
        return repr(op(lib, made(lib, *a), made(lib, *b)))
    except Exception as error:
        return failed(error)


def unlike(name: str, a: tuple[str, Any], b: tuple[str, Any], expected: Any) -> bool:
    """Where tapegrad differs on purpose."""
    if "complex32" in str(expected) or "ComplexHalf" in str(expected):
        return True  # no complex dtype of 16-bit parts: complex64 takes its place
    if name in ("copy_", "fill_", "masked_fill") and isinstance(b[1], complex):
        return True  # a complex number is refused where PyTorch keeps its real part, for some of the dtypes
    if name == "masked_fill" and isinstance(expected, Failed) and b[0] == "0-d":
        return True  # a 0-d value is cast as any other
    return name.startswith("clamp") and a[1] == "bool" and b[1] is True  # there is no reason to refuse this


def pairs(tensor_first: bool) -> Iterator[tuple[tuple[str, Any], tuple[str, Any]]]:
    for a, b in itertools.product(OPERANDS, OPERANDS):
        if a[0] != "scalar" or not (tensor_first or b[0] == "scalar"):
            yield a, b


@pytest.mark.parametrize("name", [*BINARY, *FIRST_A_TENSOR])
def test_result_types(name: str) -> None:
    op = {**BINARY, **FIRST_A_TENSOR}[name]
    differences = []
    for a, b in pairs(name in FIRST_A_TENSOR):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both warn where imaginary parts get lost
            expected = outcome(torch, op, a, b)
            got = outcome(tapegrad, op, a, b)
        agree = (
            isinstance(got.error, expected.kind)
            if isinstance(expected, Failed) and isinstance(got, Failed)
            else expected == got
        )
        if not agree and not unlike(name, a, b, expected):
            differences.append(f"{name} of {a} and {b}: PyTorch {expected}, tapegrad {got}")
    if differences:
        raise DifferenceError("\n".join([f"{len(differences)} differ", *differences]))


def test_promote_types_and_can_cast() -> None:
    for a, b in itertools.product(DTYPES, DTYPES):
        for name in ("promote_types", "can_cast"):
            expected = getattr(torch, name)(getattr(torch, a), getattr(torch, b))
            got = getattr(tapegrad, name)(getattr(tapegrad, a), getattr(tapegrad, b))
            if {a, b} & {"float16"} and {a, b} & {"complex64"} and "complex32" in str(expected):
                continue
            assert repr(got) == repr(expected), (name, a, b)
