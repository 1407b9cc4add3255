"""Where tapegrad is known not to do what PyTorch does."""

from __future__ import annotations

__all__ = ["AVOIDED"]

AVOIDED = {
    "relu, differentiated twice": "its gradient has no history of its own",
    "a / b": "keeps the quotient instead of `a`",
    "x *= x": "keeps the old value",
    "x[:] = v": "a view of `x` is written to, not `x`",
    "backward(create_graph=True)": "the `grad` of leaves shares memory",
    "fill_, zero_, copy_, twice backward": "refused",
    "write through a view, twice backward": "allowed where the view shows all of its base",
    "fill_, zero_, copy_, differentiated twice": "the gradient, zero, has a history",
    "fill where elements coincide": "refused",
    "hook of a view that is written to": "runs for the gradient of what was overwritten",
    "unnoticed write under views": "the views keep their history",
    "refused views without grad mode": "have the history they had",
    "views under no_grad": "what is made from them requires no grad",
    "leaf with views": "the views do not become views of a leaf",
}
"""What tapegrad does not do as PyTorch does, left out of the sequences until it does: name and what it does."""
