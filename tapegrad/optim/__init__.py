"""Optimisers, with PyTorch's names, defaults and numbers.

model = ...
opt = tg.optim.Adam(params, lr=1e-3)
scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=100)
for x, y in batches:
    opt.zero_grad()
    loss(x, y).backward()
    opt.step()
scheduler.step()
"""

from typing import Any

from . import lr_scheduler
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "from_optax", "lr_scheduler"]


def __getattr__(name: str) -> Any:
    if name == "from_optax":  # in tapegrad.compile, which imports JAX
        import importlib

        return importlib.import_module("..compile.optax_optimizer", __name__).from_optax
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
