"""The gradients of all orders of an expression, as cases: what the tests of higher orders share."""

from __future__ import annotations

from collections.abc import Iterator

from .harness import cases

__all__ = ["REAL", "case", "expressions", "noted"]

# `orders` gives the value and the gradients of all orders up to the third, each unevenly weighted. The row ends with
# gradients that depend on nothing.
SETUP = """
def graphs(gs): return [g for g in gs if g is not None and g.requires_grad]
def orders(out, *xs, order=3):
    found, last = [out], [out] if isinstance(out, torch.Tensor) else list(out)
    for k in range(order):
        last = graphs(last)
        if not last: return [*found, *["ends"] * (order - k)]
        last = pull(last, *xs, seed=10 * k, create_graph=True)[1]
        found.append(last)
    return found
"""

REAL = "x, y = leaf(2, 3), leaf(3, seed=1)"


def case(tensors: str, code: str, notes: str = "") -> str:
    return f"{SETUP}{tensors}\n{code} ## " + " | ".join(note for note in ("unnamed", "loose", notes) if note)


def noted(line: str) -> tuple[str, str]:
    code, _, notes = line.partition(" ## ")
    return code, notes


def expressions(table: str, tensors: str, inputs: str) -> Iterator[str]:
    for line in cases(table):
        code, notes = noted(line)
        yield case(tensors, f"orders({code}, {inputs})", notes)
