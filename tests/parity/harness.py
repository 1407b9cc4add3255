"""Run the same lines of Python on PyTorch and on tapegrad, and compare all that a user can see of the results.

A *case* is a few statements, one per line or separated by `;`; if the last is an expression, its value is
compared, else only whether the others run. Notes may follow after ` ## `, separated by `|`:

    class     an error of the same class, in tapegrad's own words
    says: P   the same class, and the phrase P in both messages
    unnamed   the graph is built of other nodes: names of `grad_fn` are not compared
    loose     values of other rounding: ten times the tolerance
    differs: R   tapegrad differs on purpose, for the reason R; fails if it no longer does

The names in scope are those of `Scope`.
"""

from __future__ import annotations

import ast
import builtins
import copy
import math
import operator
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch as pytorch

import tapegrad

__all__ = ["DifferenceError", "Failed", "agree", "agree_all", "cases", "failed"]

# Relative and absolute: a few roundings of numbers around one.
TOLERANCES = {
    "float16": 2e-3, "bfloat16": 2e-2, "float32": 4e-6, "complex64": 4e-6, "float64": 1e-12, "complex128": 1e-12,
}  # fmt: skip


class DifferenceError(AssertionError):
    """The libraries disagree."""


@dataclass(frozen=True)
class Seen:
    """What is visible of a tensor."""

    values: Any
    dtype: str
    shape: tuple[int, ...]
    requires_grad: bool
    is_leaf: bool
    node: str
    text: str

    def __repr__(self) -> str:
        return self.text if len(self.text) < 200 else f"{self.text[:200]} ..."


@dataclass(frozen=True)
class Failed:
    """What is visible of an exception: the builtin class it is, and its message."""

    kind: type
    error: Exception = field(compare=False)

    @property
    def message(self) -> str:
        return str(self.error)

    def __repr__(self) -> str:
        return f"{type(self.error).__name__}: {self.message[:400]}"


class Scope(dict[str, Any]):
    """The names that a case may use, for one of the libraries."""

    def __init__(self, library: ModuleType) -> None:
        self.library = library
        super().__init__(
            torch=library, F=library.nn.functional, np=np, math=math, operator=operator, copy=copy, inf=math.inf,
            nan=math.nan, t=self.make, leaf=self.leaf, pull=self.pull, caught=self.caught,
        )  # fmt: skip

    def make(self, *shape: int, dtype: str = "float64", seed: int = 0, low: float = -2.0, high: float = 2.0) -> Any:
        """A tensor of reproducible values; whole numbers if `dtype` is no floating one."""
        rng = np.random.default_rng([seed, *shape])
        values: Any = rng.uniform(low, high, shape)
        d = getattr(self.library, dtype)
        if d.is_complex:
            values = values + 1j * rng.uniform(low, high, shape)
        elif not d.is_floating_point:
            values = rng.integers(0 if dtype in ("uint8", "bool") else -4, 2 if dtype == "bool" else 5, shape)
        made = self.library.tensor(values.tolist(), dtype=d)
        return made if made.shape == shape else made.reshape(shape)  # no view where it can be helped

    def leaf(self, *shape: int, **options: Any) -> Any:
        """The same, requiring grad."""
        return self.make(*shape, **options).requires_grad_()

    def pull(self, out: Any, *inputs: Any, seed: int = 7, **options: Any) -> Any:
        """`out` and its gradients (not weighted evenly) with respect to `inputs`."""
        outs = out if isinstance(out, tuple | list) else (out,)
        outs = [o for o in outs if o.requires_grad]
        name = [str(o.dtype).removeprefix("torch.") for o in outs]
        seeds = [self.make(*o.shape, dtype=d, seed=seed + i) for i, (o, d) in enumerate(zip(outs, name, strict=True))]
        return out, self.library.autograd.grad(outs, inputs, seeds, **{"allow_unused": True, **options})

    def caught(self, function: Any, *args: Any, **options: Any) -> Any:
        """The exception that `function` raises, or its result."""
        try:
            return function(*args, **options)
        except Exception as error:
            return error


def agree(case: str) -> None:
    """Run `case` on both libraries. Raises DifferenceError unless what is visible is the same."""
    code, _, trailer = case.partition(" ## ")
    notes = [note.strip() for note in trailer.split("|")] if trailer else []
    reason = next((note for note in notes if note.startswith("differs:")), None)
    try:
        expected, got = _run(code, pytorch), _run(code, tapegrad)
        _compare(expected, got, notes, "result")
    except DifferenceError as difference:
        if reason is None:
            raise DifferenceError(f"{code}\n{difference}") from _cause(locals().get("got"))
        return
    if reason is not None:
        raise DifferenceError(f"{code}\nnoted as different ({reason}), but the libraries agree")


def agree_all(many: Iterable[str]) -> None:
    """Run every case. Raises one DifferenceError that tells of all that differ."""
    differences = []
    count = 0
    for case in many:
        count += 1
        try:
            agree(case)
        except DifferenceError as difference:
            differences.append(str(difference))
    if differences:
        raise DifferenceError("\n\n".join([f"{len(differences)} of {count} cases differ:", *differences]))


def cases(text: str, blocks: bool = False) -> list[str]:
    """One case per line of `text`, or per paragraph if `blocks`; lines that begin with # are comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = lines.split("\n\n") if blocks else lines.splitlines()
    return [case.strip("\n") for case in found if case.strip()]


def _cause(got: Any) -> Exception | None:
    return got.error if isinstance(got, Failed) else None


def _run(code: str, library: ModuleType) -> Any:
    scope = Scope(library)
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else ast.Expr(ast.Constant(None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a case that is about warnings catches them itself
        try:
            exec(compile(ast.Module(body, []), "<case>", "exec"), scope)
            value = eval(compile(ast.fix_missing_locations(ast.Expression(last.value)), "<case>", "eval"), scope)
            return _see(value, library)
        except Exception as error:
            return failed(error)
        finally:  # what a case sets for good: PyTorch's `l1_loss` drops its weight under a default device
            library.set_grad_enabled(True)
            library.set_default_device(None)


def failed(error: Exception) -> Failed:
    kind = next(cls for cls in type(error).__mro__ if getattr(builtins, cls.__name__, None) is cls)
    return Failed(kind, error)


def _see(value: Any, library: ModuleType) -> Any:
    if isinstance(value, library.Tensor):
        return _see_tensor(value)
    if isinstance(value, library.dtype):
        return repr(value)
    if isinstance(value, Exception):
        return failed(value)
    if isinstance(value, np.ndarray):
        return Seen(value, value.dtype.name, value.shape, False, True, "", "")
    if isinstance(value, tuple | list):
        return tuple([_see(item, library) for item in value])
    if isinstance(value, dict):
        return {key: _see(item, library) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | complex | str):
        return value
    if isinstance(value, library.device if hasattr(library, "device") else ()):
        return str(value)
    return type(value).__name__


def _see_tensor(t: Any) -> Seen:
    plain = t.detach()
    if isinstance(t, pytorch.Tensor):
        plain = plain.resolve_conj().clone()  # it conjugates lazily, and has zeros without memory
    dtype = str(t.dtype).removeprefix("torch.")
    values = plain.to(_wide(t)).numpy() if dtype == "bfloat16" else plain.numpy()
    node = "" if t.grad_fn is None else t.grad_fn.name().rpartition("::")[2]  # some C++ names are qualified
    return Seen(values.copy(), dtype, tuple(t.shape), t.requires_grad, t.is_leaf, node, repr(t))


def _wide(t: Any) -> Any:
    return pytorch.float32 if isinstance(t, pytorch.Tensor) else tapegrad.float32


def _compare(expected: Any, got: Any, notes: list[str], where: str) -> None:
    if isinstance(expected, Failed) or isinstance(got, Failed):
        _compare_errors(expected, got, notes, where)
    elif isinstance(expected, Seen) and isinstance(got, Seen):
        _compare_tensors(expected, got, notes, where)
    elif isinstance(expected, tuple) and isinstance(got, tuple) and len(expected) == len(got):
        for i, (a, b) in enumerate(zip(expected, got, strict=True)):
            _compare(a, b, notes, f"{where}[{i}]")
    elif isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        for key, a in expected.items():
            _compare(a, got[key], notes, f"{where}[{key!r}]")
    elif isinstance(expected, float) and isinstance(got, float):
        if not (
            expected == got or (math.isnan(expected) and math.isnan(got)) or math.isclose(expected, got, rel_tol=1e-6)
        ):
            raise DifferenceError(f"{where}: {expected} in PyTorch, {got} in tapegrad")
    elif type(expected) is not type(got) or expected != got:
        raise DifferenceError(f"{where}: {expected!r} in PyTorch, {got!r} in tapegrad")


def _compare_errors(expected: Any, got: Any, notes: list[str], where: str) -> None:
    if not (isinstance(got, Failed) and isinstance(expected, Failed) and isinstance(got.error, expected.kind)):
        raise DifferenceError(f"{where}:\nPyTorch:  {expected}\ntapegrad: {got}")
    if "class" in notes:
        return
    phrase = next((note.removeprefix("says: ") for note in notes if note.startswith("says: ")), None)
    if phrase is not None:
        missing = [name for name, e in (("PyTorch", expected), ("tapegrad", got)) if phrase not in e.message]
        if missing:
            raise DifferenceError(
                f"{where}: {phrase!r} is not said by {missing}: {expected.message!r}, {got.message!r}"
            )
    elif expected.message.strip() != got.message.strip():
        raise DifferenceError(f"{where}: messages differ\nPyTorch:  {expected.message}\ntapegrad: {got.message}")


def _compare_tensors(expected: Seen, got: Seen, notes: list[str], where: str) -> None:
    for name in ("dtype", "shape", "requires_grad", "is_leaf", *(() if "unnamed" in notes else ("node",))):
        a, b = getattr(expected, name), getattr(got, name)
        if a != b:
            raise DifferenceError(f"{where}: {name} is {a} in PyTorch, {b} in tapegrad\n{expected}\n{got}")
    if np.array_equal(expected.values, got.values, equal_nan=expected.values.dtype.kind in "fc"):
        signs_agree = expected.values.dtype.kind != "f" or np.array_equal(
            np.signbit(expected.values)[expected.values == 0], np.signbit(got.values)[got.values == 0]
        )
        if "unnamed" not in notes and signs_agree and expected.text != got.text:
            raise DifferenceError(f"{where}: texts differ\n{expected.text}\n{got.text}")
        return
    tolerance = TOLERANCES.get(expected.dtype, 0.0) * (10 if "loose" in notes else 1)
    if not np.allclose(got.values, expected.values, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise DifferenceError(f"{where}: values differ\n{expected}\n{got}")
