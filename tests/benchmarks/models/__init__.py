"""The training steps that are timed, each written twice: in PyTorch's style, and in JAX by hand.

`SMALL` are those of `LARGE` with other sizes, for tests that both compute the same.
"""

from .by_hand import JaxStep, jax_step
from .lenet import LeNet
from .lstm import LSTM
from .mlp import MLP
from .model import Model, tapegrad_step, torch_step
from .tiny import Tiny
from .transformer import Transformer

__all__ = [
    "LARGE", "LSTM", "MLP", "SMALL", "TINY", "JaxStep", "LeNet", "Model", "Tiny", "Transformer", "jax_step",
    "tapegrad_step", "torch_step",
]  # fmt: skip

LARGE: tuple[Model, ...] = (MLP(), LeNet(), Transformer(), LSTM())
TINY: tuple[Model, ...] = (Tiny(1), Tiny(200))
SMALL: tuple[Model, ...] = (
    MLP(sizes=(6, 8, 3), examples=4),
    LeNet(examples=2),
    Transformer(width=8, heads=2, length=6, examples=2, vocabulary=11, blocks=2),
    LSTM(length=4, examples=3, features=2, hidden=4),
    Tiny(3),
)
