"""What a function can reach besides its arguments: the implicit argument of a recorded or jitted call.

Found anew at each call, in a fixed order, from the function's closure, the globals its code names, its defaults and
the object it is bound to, through containers and the attributes of objects. Tensors found are inputs. Everything else
becomes part of the key that chooses a specialisation, so that no captured value can go stale: a flag that flips, a
list that grows or a number that changes makes another key; a tensor put in another's place is used from then on. What
could change unseen (iterators, open files, random generators, the clock) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .handlers import handle
from .objects import called, class_names, has_slots, is_users, slots_of
from .reachable import Check, Place, Reachable
from .values import hooks_of

__all__ = ["Check", "Place", "Reachable", "class_names", "has_slots", "hooks_of", "reach", "reachable", "slots_of"]


def reachable(followed: bool = False, ints: Collection[str] = (), lists: Collection[str] = ()) -> Reachable:
    """Nothing found yet; see `Reachable` for the arguments."""
    return Reachable(handle, followed, ints, lists)


def reach(function: Callable[..., Any], found: Reachable) -> None:
    """Add everything `function` can reach."""
    found.visit(function, getattr(function, "__name__", "function"), "function")
    if found.named:
        for number, value in enumerate(found.objects):
            if is_users(value):
                found.note("called", number, called(value))
    if found.identified and found.large:  # an id kept from before may be among these
        for number, value in enumerate(found.objects):
            if id(value) in found.large:
                found.same(number, value)
        found.checks.append(Check("strangers", len(found.objects) - 1, frozenset(found.large)))
