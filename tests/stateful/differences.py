"""Where tapegrad is known not to do what PyTorch does."""

from __future__ import annotations

__all__ = ["AVOIDED"]

AVOIDED = {
    "a / b": "keeps the quotient instead of `a`",
    "x *= x": "keeps the old value of `x`",
    "x[:] = v": "a view of `x` is written to, not `x`",
    "backward(create_graph=True)": "the `grad` of leaves may share memory",
    "fill_, zero_, copy_, twice backward": "refused, though nothing is saved",
    "fill_, zero_, copy_, differentiated twice": "the gradient, zero, has a history",
    "fill where elements coincide": "refused",
    "write through a view, twice backward": "not refused where the view shows all of its base",
    "hook of a view that is written to": "runs for the gradient of what was overwritten",
    "unnoticed write under views": "they keep their history",
    "refused views without grad mode": "have the history they had",
    "views under no_grad": "what is made from them requires no grad",
    "views of what became a leaf": "what is made from them requires no grad",
}
"""Left out of the sequences until tapegrad does as PyTorch does: what, and what tapegrad does."""
