"""What `vmap` says of what cannot be done to a batch, in PyTorch's words."""

from __future__ import annotations

__all__ = ["ESCAPED", "INPLACE", "NO_DATA", "NO_RANDOMNESS", "REFUSED", "about_value"]

_ISSUE = "Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature."

INPLACE = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args "
    "that has more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped "
    "over in a vmap. Please try to use out-of-place operators instead of inplace arithmetic. If said operator is being "
    "called inside the PyTorch framework, please file a bug report instead."
)
NO_DATA = "accessing `data` under vmap transform is not allowed"
NO_RANDOMNESS = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
    "randomness flags on vmap or perform the randomness operation out of vmap"
)
ESCAPED = (
    "Either your tensor may have escaped from inside a function being vmapped and this is a user error (see "
    "https://pytorch.org/functorch/stable/ux_limitations.html), or there is an internal functorch error"
)

REFUSED = {
    "requires_grad_": (
        "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.* APIs) inside "
        "of a function being transformed by a functorch transform. This is unsupported, please attempt to use the "
        "functorch transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call requires_grad_() outside of a function "
        "being transformed instead."
    ),
    "backward": (
        "backward() called inside a functorch transform. This is not supported, please use functorch.grad or "
        "functorch.vjp instead or call backward() outside of functorch transforms."
    ),
}

_ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, "
    "please try to rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch "
    "internals, please file a bug report."
)
_POINTER = "Cannot access data pointer of Tensor that doesn't have storage"

_ABOUT = {
    "bool()": (
        "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support "
        "that yet, please file an issue at https://github.com/pytorch/pytorch/issues ."
    ),
    "numpy()": _POINTER,
    "tolist()": _POINTER,
    "allclose()": f"vmap over torch.allclose isn't supported yet. {_ISSUE}",
    "equal()": "Batching rule not implemented for aten::equal. We could not generate a fallback.",
    "nonzero()": (
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over "
        f"aten::nonzero. {_ISSUE}"
    ),
    "an index by a bool tensor (nonzero)": (
        "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing "
        "with a boolean mask."
    ),
    "masked_select()": (
        "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this because for "
        f"each batch this would return a differently shaped Tensor. {_ISSUE}"
    ),
}


def about_value(what: str) -> str:
    """Why `what`, which needs the value of a tensor, cannot be had of a batch."""
    return _ABOUT.get(what, _ITEM)
