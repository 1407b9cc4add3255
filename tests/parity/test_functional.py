"""torch.nn.functional: activations and losses with all their options, and gradients."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, agree_all, cases

ACTIVATIONS = """
F.relu(leaf(2, 3))
F.sigmoid(leaf(2, 3))
F.tanh(leaf(2, 3))
x = leaf(2, 3); pull(F.relu(x), x)
x = leaf(2, 3); pull(F.sigmoid(x), x)
x = leaf(2, 3); pull(F.tanh(x), x)
x = leaf(2, 3); pull(F.softplus(x), x)
x = leaf(2, 3); pull(F.softplus(x, beta=2), x)
x = leaf(2, 3); pull(F.softplus(x, 3.0, threshold=1.0), x)
x = leaf(2, 3, low=-50, high=50); pull(F.softplus(x), x)
x = leaf(2, 3); pull(F.softplus(input=x), x)
F.softplus(torch.tensor([-1000.0, 1000.0, nan, inf, -inf]))
F.softplus(torch.tensor([1, 2])) ## class
x = leaf(2, 3); pull(F.gelu(x), x)
x = leaf(2, 3); pull(F.gelu(x, approximate="tanh"), x)
x = leaf(2, 3, dtype="float32"); pull(F.gelu(x), x)
x = leaf(2, 3, dtype="float32"); pull(F.gelu(x, approximate="tanh"), x)
x = leaf(2, 3, dtype="bfloat16"); pull(F.gelu(x), x) ## loose
x = leaf(2, 3, dtype="bfloat16"); pull(F.softplus(x), x) ## loose
F.gelu(x := t(3), approximate="other")
F.gelu(torch.tensor([-100.0, 100.0, 0.0]))
F.gelu(torch.tensor([1, 2])) ## class
x = leaf(2, 3); (g,) = torch.autograd.grad(F.gelu(x).sum(), x, create_graph=True); pull(g, x) ## unnamed
x = leaf(2, 3); (g,) = torch.autograd.grad(F.gelu(x, approximate="tanh").sum(), x, create_graph=True); pull(g, x) ## unnamed
x = leaf(2, 3); (g,) = torch.autograd.grad(F.softplus(x, 2).sum(), x, create_graph=True); pull(g, x) ## unnamed
x = leaf(2, 3); pull(F.softmax(x, 1), x)
x = leaf(2, 3); pull(F.softmax(x, dim=-1), x)
x = leaf(2, 3); pull(F.log_softmax(x, dim=0), x)
F.softmax(t(2, 3), dim=1, dtype=torch.float32)
F.softmax(t(2, 3), 2) ## class
x = leaf(2, 3); pull(F.relu(x, inplace=False), x)
x = leaf(2, 3); y = x * 1; z = F.relu(y, inplace=True); z is y, y._version, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.relu_(y); z is y, y._version, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.relu(y, True); z is y
F.relu(leaf(2, 3), inplace=True)
F.relu_(leaf(2, 3))
F.relu_(1.0)
x = leaf(2, 3); w = leaf(4, 3, seed=1); b = leaf(4, seed=2); pull(F.linear(x, w, b), x, w, b) ## unnamed
"""
LOSSES = """
x = leaf(2, 3); y = leaf(2, 3, seed=1); pull(F.mse_loss(x, y), x, y)
x = leaf(2, 3); y = leaf(2, 3, seed=1); pull(F.mse_loss(x, y, reduction="sum"), x, y)
x = leaf(2, 3); y = leaf(2, 3, seed=1); pull(F.mse_loss(x, y, reduction="none"), x, y)
x = leaf(2, 3); pull(F.mse_loss(input=x, target=t(2, 3, seed=1)), x)
x = leaf(2, 3); y = leaf(3, seed=1); pull(F.mse_loss(x, y), x, y)
x = leaf(2, 3); pull(F.mse_loss(x, t(2, 3, dtype="float32", seed=1)), x) ## unnamed
F.mse_loss(t(2, 3), t(2, 4))
F.mse_loss(t(2, 3), t(2, 3), reduction="other") ## says: other is not a valid value for reduction
F.mse_loss(t(2, 3), 1.0) ## differs: a TypeError, as for other functions
F.mse_loss(torch.tensor([1, 2]), torch.tensor([1, 2])) ## class
F.mse_loss(t(0), t(0))
F.nll_loss(t(2, 3), torch.tensor([0, 3]))
F.nll_loss(t(2, 3), torch.tensor([0, -1]))
F.nll_loss(t(2, 3), torch.tensor([0, 1, 2]))
F.nll_loss(t(2, 3), torch.tensor([0.0, 1.0])) ## class
F.nll_loss(t(2, 3), torch.tensor([[0], [1]])) ## class
F.nll_loss(t(), torch.tensor(0)) ## class
F.nll_loss(t(2, 3), torch.tensor([0, 1]), weight=t(2)) ## class
F.nll_loss(t(2, 3, dtype="int64"), torch.tensor([0, 1]))
F.nll_loss(t(2, 3, dtype="complex64"), torch.tensor([0, 1]))
F.nll_loss(t(2, 3, 4, dtype="bool"), torch.tensor([[0, 1, 2, 0]] * 2))
F.nll_loss(t(2, 3), torch.tensor([0, 1]), reduction="other") ## says: other is not a valid value for reduction
F.nll_loss(t(2, 3), torch.tensor([0, 1], dtype=torch.int32)) ## class
F.nll_loss(t(0, 3), torch.tensor([], dtype=torch.int64))
F.nll_loss(t(2, 3), torch.tensor([-100, -100]))
F.nll_loss(t(2, 3), torch.tensor([1, 1]), ignore_index=1)
F.cross_entropy(t(2, 3), torch.tensor([0, 3]))
F.cross_entropy(t(2, 3), torch.tensor([0, 1, 2]))
F.cross_entropy(t(2, 3), torch.tensor([0.0, 1.0])) ## class
F.cross_entropy(t(2, 3), t(2, 4)) ## class
F.cross_entropy(t(2, 3), torch.tensor([0, 1]), label_smoothing=1.5)
F.cross_entropy(t(2, 3), torch.tensor([0, 1]), reduction="other") ## says: other is not a valid value for reduction
F.cross_entropy(t(2, 3), torch.tensor([0, 1]), weight=t(2)) ## class
F.cross_entropy(input=t(2, 3), target=torch.tensor([0, 1]), reduction="sum")
F.cross_entropy(t(2, 3), torch.tensor([0, 1]), torch.ones(3, dtype=torch.float64))
F.cross_entropy(t(0, 3), torch.tensor([], dtype=torch.int64))
F.cross_entropy(t(), torch.tensor(0)) ## differs: what is wrong is the input, without dims
F.cross_entropy(t(2, 3, dtype="int64"), torch.tensor([0, 1])) ## class
F.cross_entropy(torch.tensor([[1000.0, 0.0]]), torch.tensor([1]))
F.cross_entropy(torch.tensor([[-inf, 0.0]]), torch.tensor([1]))
F.cross_entropy(torch.tensor([[-inf, 0.0]]), torch.tensor([0]))
x = leaf(2, 3, dtype="float32"); pull(F.cross_entropy(x, torch.tensor([0, 1])), x)
x = leaf(2, 3, dtype="bfloat16"); pull(F.cross_entropy(x, torch.tensor([0, 1])), x) ## loose
x = leaf(2, 3); (g,) = torch.autograd.grad(F.cross_entropy(x, torch.tensor([0, 2])), x, create_graph=True); pull(g, x) ## unnamed
x = leaf(2, 3); (g,) = torch.autograd.grad(F.mse_loss(x, t(2, 3)), x, create_graph=True); pull(g, x) ## unnamed
x = leaf(2, 3); F.cross_entropy(x, torch.tensor([0, 1])).backward(); x.grad
x = leaf(2, 3); y = leaf(2, 3, seed=1); pull(F.cross_entropy(x, y.softmax(1)), x, y) ## unnamed
x = leaf(2, 3); F.cross_entropy(x, torch.tensor([0, 1])).grad_fn.name()
x = leaf(2, 3); F.nll_loss(x, torch.tensor([0, 1])).grad_fn.name()
"""


@pytest.mark.parametrize("case", [*cases(ACTIVATIONS), *cases(LOSSES)])
def test_activations_and_losses(case: str) -> None:
    agree(case)


def class_targets() -> Iterator[str]:
    """Every option of the two losses that take class numbers, for each layout of the input."""
    for shape, target in {
        (4, 3): "[0, 2, 1, 2]", (3,): "1", (2, 3, 2): "[[0, 1], [2, 2]]", (2, 3, 2, 1): "[[[0], [1]], [[2], [0]]]",
    }.items():  # fmt: skip
        options = itertools.product(
            ["", ", weight=w"], ["", ", ignore_index=2", ", ignore_index=-1"], ["mean", "sum", "none"]
        )
        for weight, ignore, reduction in options:
            given = f"x = leaf(*{shape}); w = t(3, low=0.5, seed=3); y = torch.tensor({target}); "
            wanted = f"x, y{weight}{ignore}, reduction='{reduction}'"
            yield given + f"pull(F.nll_loss({wanted}), x) ## unnamed"
            yield given + f"pull(F.cross_entropy({wanted}), x) ## unnamed"
            yield given + f"pull(F.cross_entropy({wanted}, label_smoothing=0.1), x) ## unnamed"


def probability_targets() -> Iterator[str]:
    for shape in ((4, 3), (3,), (2, 3, 2)):
        axis = 1 if len(shape) > 1 else 0
        for weight, reduction, smoothing in itertools.product(
            ["", ", weight=w"], ["mean", "sum", "none"], ["0.0", "0.2"]
        ):
            given = f"x = leaf(*{shape}); w = t(3, low=0.5, seed=3); y = t(*{shape}, seed=4).softmax({axis}); "
            wanted = f"x, y{weight}, reduction='{reduction}', label_smoothing={smoothing}"
            yield given + f"pull(F.cross_entropy({wanted}), x) ## unnamed"


def test_losses_of_class_numbers() -> None:
    agree_all(class_targets())


def test_losses_of_probabilities() -> None:
    agree_all(probability_targets())
