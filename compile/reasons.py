"""Why a call needed another program: what differs between two signatures, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..environment import Check, Reachable
from .signature import Signature

__all__ = ["CONSTANTS", "Difference", "differences", "nearest", "shown"]

_LONGEST = 60


@dataclass(frozen=True)
class Difference:
    """One thing that was another at an earlier call: what, and its values then and now; `remedy` says what to do.

    `follow` says that this is an int, which can be followed from now on; `grew` that it is a list that grew;
    `is_check` that it is what an operation requires of its data, of which there are two ways only; `of_tensor` that it
    is what a tensor is like, of which many programs may be wanted.
    """

    what: str
    before: str
    after: str
    remedy: str = ""
    follow: bool = False
    grew: bool = False
    is_check: bool = False
    of_tensor: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.before} before, {self.after} now"


def differences(before: Signature, after: Signature) -> list[Difference]:
    """What differs; the first of things that hang together, such as a list that grew and what it holds."""
    found = list(_tensors(before, after))
    if found:
        return found
    if list(before.keywords) != list(after.keywords) or len(before.names) != len(after.names):
        return [Difference("the arguments", _arguments(before), _arguments(after))]
    found = list(_checks(before.found, after.found))
    if not found and before.shared != after.shared:
        found = [Difference("which tensors share memory", str(before.shared), str(after.shared))]
    if not found and before.key[-2:] != after.key[-2:]:  # type: ignore[index]
        old, new = [f"grad mode {k[-2]}, default dtype {k[-1]}" for k in (before.key, after.key)]  # type: ignore[index]
        found = [Difference("the mode", old, new)]
    return found


def nearest(specs: Sequence[Any], after: Signature) -> list[Difference]:
    """What differs from the signature of that of `specs` which `after` is most like."""
    found = min(reversed(specs), key=lambda spec: _distance(spec.signature, after), default=None)
    return [] if found is None else differences(found.signature, after)


def _distance(before: Signature, after: Signature) -> int:
    """How many checks come out otherwise."""
    a, b = before.found.key, after.found.key
    tensors = sum(x != y for x, y in zip(before.metas, after.metas, strict=False))
    return tensors + sum(x != y for x, y in zip(a, b, strict=False)) + 2 * abs(len(a) - len(b))


def _arguments(signature: Signature) -> str:
    return f"{len(signature.names)} positional, {list(signature.keywords)} by name"


def _tensors(before: Signature, after: Signature) -> Iterator[Difference]:
    """Tensors that are found where they were, but are of another kind."""
    if len(before.metas) != len(after.metas):
        return
    for label, old, new in zip(after.labels, before.metas, after.metas, strict=True):
        if old != new:
            parts = [
                (str(a), str(b), name)
                for name, a, b in zip(old._fields, old, new, strict=True)
                if a != b
            ]  # fmt: skip
            a, b, name = parts[0]
            yield Difference(f"{name} of {label}", a, b, _PAD if name == "shape" else "", of_tensor=True)


_PAD = "pad to a few sizes"
_REMEDIES = {
    "length": "what holds more at each call makes a new program at each call: keep it outside, or return what to add",
    "names": "what holds more at each call makes a new program at each call: keep it outside, or return what to add",
    "attributes": "set all attributes before the first call",
    "value": "a Python number or string is a constant of the program: make it a float or a tensor",
}


def _checks(before: Reachable, after: Reachable) -> Iterator[Difference]:
    """The first check that came out otherwise."""
    for old, new in zip(before.checks, after.checks, strict=False):
        if old[:2] == new[:2] and _alike(old, new):
            continue
        where, was = after.text(new.place), before.text(old.place)
        if where != was:
            yield _appeared(where, new, before) or Difference(was, _what(old), _ABSENT)
            return
        if old.kind == new.kind:
            is_int = new.kind == "value" and type(old.expected) is type(new.expected) is int
            grew = new.kind == "length" and old.expected[0] is new.expected[0] is list
            grew = grew and old.expected[1] < new.expected[1]
            remedy = _REMEDIES.get(new.kind, "")
            parted = (
                (shown(old), shown(new)) if new.kind in CONSTANTS else _parted(new.kind, old.expected, new.expected)
            )
            yield Difference(where, *parted, remedy, is_int, grew)
            if is_int:
                continue
        else:
            yield Difference(where, _what(old), _what(new))
        return
    if len(before.checks) != len(after.checks):
        yield Difference("what the function can reach", f"{len(before.checks)} things", f"{len(after.checks)} things")


def _appeared(where: str, new: Check, before: Reachable) -> Difference | None:
    """That something was not there before; None if it was."""
    is_known = any(before.text(check.place) == where for check in before.checks)
    return None if is_known else Difference(where, _ABSENT, _what(new))


def _alike(old: Check, new: Check) -> bool:
    """Whether two checks of one place expect the same."""
    if old.kind == "is":
        return old.expected is new.expected
    return repr(old.expected) == repr(new.expected) if old.kind == "value" else bool(old.expected == new.expected)


_ABSENT = "not there"


def _parted(kind: str, before: Any, after: Any) -> tuple[str, str]:
    """Two expectations in words; of names, those that only one has."""
    if kind == "names" and before[0] is after[0]:
        before, after = before[1], after[1]
    elif kind not in ("attributes", "absent"):
        return _short(before), _short(after)
    lost, new = [n for n in before if n not in after], [n for n in after if n not in before]
    if not lost and not new:
        return _short(before), _short(after)
    return f"with {lost}" if lost else f"without {new}", f"with {new}" if new else f"without {lost}"


def _what(check: Check) -> str:
    """What was found, in words."""
    if check.kind in CONSTANTS:
        return shown(check)
    if check.kind == "float":
        return f"{check.expected.__name__} that is followed"
    return _WORDS.get(check.kind, f"a {check.kind}")


_WORDS = {
    "again": "something found before", "names": "a dict", "length": "a container", "is": "another object",
    "missing": "nothing", "code": "a function", "type": "an object", "attributes": "an object", "slots": "an object",
}  # fmt: skip


CONSTANTS = frozenset({"array", "equal", "number", "plain", "repr", "set", "value"})
"""The kinds of checks that something is a certain constant."""


def shown(check: Check) -> str:
    """The constant that a check expects, in words."""
    if check.kind == "set":
        return _set(check.expected)
    if check.kind in ("number", "repr"):
        return str(check.expected[1])
    if check.kind == "array":
        kind, shape, dtype, *_ = check.expected
        return f"{kind.__name__} of shape {list(shape)} and dtype {dtype}"
    return _short(check.expected)


def _set(expected: Any) -> str:
    """A set, as Python shows it, from what tells it from others."""
    kind, parts = expected
    text = f"{{{', '.join([part for _, part in parts])}}}" if parts else ""
    return text if kind is set and parts else f"{kind.__name__}({text})"


def _short(value: Any) -> str:
    text = repr(value[1] if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], type) else value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
