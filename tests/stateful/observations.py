"""All that can be seen of some tensors, as a list of values to compare with that of another run."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

import tapegrad as tg
from tapegrad.errors import UnsupportedError

from .machine import KINDS, DisagreementError

__all__ = ["Observation", "afterwards", "assert_equal", "observe"]

Observation = tuple[str, Any]

TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
"""Relative to the largest element: sequences are short, and their numbers moderate."""


def observe(tensors: dict[str, tg.Tensor], seen: list[tuple[str, tg.Tensor]]) -> list[Observation]:
    """Values, versions, flags, gradients, which are the same object; then histories, for which asking can be a change."""
    found: list[Observation] = []
    named: dict[int, str] = {}
    for name, t in tensors.items():
        grad = _grad(t)
        for label, x in ((name, t), (f"{name}.grad", grad)):
            found.append((f"{label} is None", x is None))
            if x is not None:
                found.append((f"{label} is", named.setdefault(id(x), label)))
                found += _values(label, x)
    for name, t in tensors.items():
        found += _history(name, t)
    found.append(("hooks that ran", [name for name, _ in seen]))
    for i, (name, t) in enumerate(seen):
        found.append((f"what {name} saw, number {i}", t.detach().clone().numpy()))
    return found


def _values(label: str, t: tg.Tensor) -> Iterator[Observation]:
    yield f"{label}._version", t._version
    yield f"{label}.dtype", t.dtype
    yield f"{label}.stride()", [step for step, n in zip(t.stride(), t.shape, strict=True) if n > 1]
    yield label, t.detach().clone().numpy()


def _history(name: str, t: tg.Tensor) -> Iterator[Observation]:
    try:
        yield f"{name}.requires_grad", t.requires_grad
        yield f"{name}.grad.requires_grad", (grad := _grad(t)) is not None and grad.requires_grad
        yield f"{name}.grad_fn is None", t.grad_fn is None
        yield f"{name}.is_leaf", t.is_leaf
    except RuntimeError as error:
        yield f"{name}.grad_fn", _kind(error)


def _grad(t: tg.Tensor) -> tg.Tensor | None:
    with warnings.catch_warnings(), contextlib.suppress(RuntimeError):  # of a view that has no history any more
        warnings.simplefilter("ignore")  # that `t` is no leaf
        return t.grad
    return None


def _kind(error: RuntimeError) -> str:
    if isinstance(error, UnsupportedError):
        raise error
    return next((kind for kind, phrase in KINDS.items() if phrase in str(error)), str(error))


def afterwards(tensors: dict[str, tg.Tensor], seen: list[tuple[str, tg.Tensor]]) -> Iterator[list[Observation]]:
    """What is seen after pulling back from each tensor, and after writing to each."""
    for name, t in tensors.items():
        yield [(f"{name}.sum().backward(retain_graph=True)", _outcome(lambda t=t: t.sum().backward(retain_graph=True)))]
        yield observe(tensors, seen)
    for name, t in tensors.items():
        yield [(f"{name}.detach()[...] += 1 at both ends", _outcome(lambda t=t: _touch(t)))]
        yield [(other, u.detach().clone().numpy()) for other, u in tensors.items()]


def _outcome(action: Any) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except RuntimeError as error:
        return _kind(error)
    except ValueError as error:
        return str(error)
    return "no error"


def _touch(t: tg.Tensor) -> None:
    """Write to the first and the last element, and to that of the gradient."""
    for x in (t, _grad(t)):
        if x is not None:
            for at in (0, -1):
                x.detach()[(at,) * x.dim()].add_(1.0)


def assert_equal(expected: list[Observation], got: list[Observation]) -> None:
    """Raise DisagreementError at the first difference."""
    for (what, x), (other, y) in zip(expected, got, strict=False):
        if what != other:
            raise DisagreementError(f"eagerly {what} = {x}; jitted {other} = {y}")
        if isinstance(x, np.ndarray):
            if x.shape != y.shape or not _close(x, y):
                raise DisagreementError(f"{what}: {x.tolist()} eagerly, {y.tolist()} jitted")
        elif x != y:
            raise DisagreementError(f"{what}: {x!r} eagerly, {y!r} jitted")
    if len(expected) != len(got):
        raise DisagreementError(f"{len(expected)} observations eagerly, {len(got)} jitted")


def _close(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    tolerance = TOLERANCE[str(x.dtype)] * max(1.0, float(np.abs(x).max(initial=0.0)))
    return bool(np.allclose(x, y, rtol=0.0, atol=tolerance, equal_nan=True))
