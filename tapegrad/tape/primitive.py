"""Primitive: one operation on arrays, with one VJP rule per argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .variable import TensorBase

__all__ = ["PRIMITIVES", "Primitive", "Rule", "SavePlan", "native"]

Rule = Callable[..., Any]

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by name. The lowering, the samples and the tests must cover all of them."""


class SavePlan(NamedTuple):
    """What a node must keep so that the rules of the operands that need a gradient can run.

    `sources` says where each kept value comes from (a kind and a key); `tensor_slots` which of them are tensors.
    Per operand that needs a gradient, `positions` has its position and `pulls` its rule, with the slots of the rule's
    arguments (None: all, in order).
    """

    sources: tuple[tuple[str, Any], ...]
    tensor_slots: tuple[int, ...]
    positions: tuple[int, ...]
    pulls: tuple[tuple[Rule, tuple[int, ...] | None], ...]


class Primitive:
    """One operation on arrays of one dtype, and its derivative.

    Args:
        name: unique; what tapes print.
        forward: NumPy function of the operands (positional) and parameters (keyword).
        node_name: the name of the nodes it records; PyTorch's for the same operation (`"MulBackward0"`).
        elementwise: operands broadcast against each other, as NumPy does by itself. On a tape each such broadcast
            is a step of its own; in the eager graph the engine applies the adjoint (a sum) where shapes differ.
        view: the output shares memory with its first operand wherever NumPy can.
        write: for a view, `write(base, new, **params)`: `base` with `new` written where the view looks.
        variadic: for a primitive of any number of operands, the one rule for all of them; it may name `position`.
        rules: one VJP rule per operand, in order, None where not differentiable.

    A rule is an expression `rule(g, ...)`. Its other arguments are found by name: an operand, `out`, a parameter,
    `in_shape`/`in_dtype` (of the first operand), `in_shapes` (of all) or `position` (of the operand, if variadic).
    What it names is what the node keeps alive. It uses operators and primitives only, so that it runs on bare arrays
    as well as on tensors.

    Calling a primitive on arrays computes; on tensors it also records.
    """

    __slots__ = (
        "elementwise",
        "forward",
        "name",
        "node_name",
        "operands",
        "plans",
        "rules",
        "variadic",
        "view",
        "write",
    )

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        *,
        node_name: str | None = None,
        elementwise: bool = False,
        view: bool = False,
        write: Callable[..., Any] | None = None,
        variadic: Rule | None = None,
        **rules: Rule | None,
    ) -> None:
        if name in PRIMITIVES:
            raise ValueError(f"primitive {name!r} is defined twice")
        self.name = name
        self.forward = forward
        self.node_name = node_name or name.title().replace("_", "") + "Backward0"
        self.elementwise = elementwise
        self.view = view
        self.write = write
        self.variadic = variadic
        self.operands = tuple(rules)
        self.rules = tuple(rules.values())
        self.plans: dict[int, SavePlan] = {}
        PRIMITIVES[name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Apply to arrays, or to tensors with recording."""
        for operand in operands:
            if isinstance(operand, TensorBase):
                from .apply import apply  # apply builds on primitives; on bare arrays it is not needed

                return apply(self, operands, params)
        return self.forward(*operands, **params)

    @property
    def differentiable(self) -> bool:
        """Whether any operand has a rule."""
        return self.variadic is not None or any(rule is not None for rule in self.rules)

    def rule(self, position: int) -> Rule | None:
        """The VJP rule of the operand at `position`."""
        return self.variadic if self.variadic is not None else self.rules[position]

    def plan(self, mask: int) -> SavePlan:
        """The save plan when the operands whose bits are set in `mask` need a gradient."""
        plan = self.plans.get(mask)
        if plan is None:
            plan = self.plans[mask] = self._make_plan(mask)
        return plan

    def _make_plan(self, mask: int) -> SavePlan:
        sources: list[tuple[str, Any]] = []
        positions: list[int] = []
        needs: list[tuple[Rule, list[tuple[str, Any]]]] = []
        for position in range(mask.bit_length()):
            rule = self.rule(position) if mask >> position & 1 else None
            if rule is None:
                continue
            named = [self._source(name, position) for name in list(inspect.signature(rule).parameters)[1:]]
            sources.extend(source for source in named if source not in sources)
            positions.append(position)
            needs.append((rule, named))
        slots = tuple(slot for slot, (kind, _) in enumerate(sources) if kind in ("operand", "out"))
        pulls = [(rule, None if named == sources else tuple(map(sources.index, named))) for rule, named in needs]
        return SavePlan(tuple(sources), slots, tuple(positions), tuple(pulls))

    def _source(self, name: str, position: int) -> tuple[str, Any]:
        """Where a rule's argument comes from, by its name."""
        if name in self.operands:
            return "operand", self.operands.index(name)
        if name in ("out", "in_shape", "in_dtype", "in_shapes"):
            return name, None
        return ("position", position) if name == "position" else ("param", name)


def native(dtype: np.dtype[Any]) -> bool:
    """Whether NumPy computes in `dtype` by itself, so that Python scalars are weak beside it (bfloat16: no)."""
    return dtype.isbuiltin == 1
