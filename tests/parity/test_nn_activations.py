"""torch.nn.functional: the activations, their derivatives at kinks and to second order, and the losses of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases

CALLS = (
    "F.silu(x)", "F.mish(x)", "F.elu(x)", "F.elu(x, 0.5)", "F.selu(x)", "F.celu(x)", "F.celu(x, 2.0)",
    "F.leaky_relu(x)", "F.leaky_relu(x, 0.5)", "F.leaky_relu(x, negative_slope=-0.5)", "F.hardtanh(x)",
    "F.hardtanh(x, -0.5, 1.5)", "F.relu6(x)", "F.hardsigmoid(x)", "F.hardswish(x)", "F.logsigmoid(x)",
    "F.softmin(x, 0)", "F.softsign(x)", "F.tanhshrink(x)", "F.threshold(x, 0.5, -3.0)", "F.threshold(x, -1.0, 2)",
    "F.hardshrink(x)", "F.hardshrink(x, 1.5)", "F.softshrink(x)", "F.softshrink(x, 1.5)",
)  # fmt: skip
NEXT_ORDER = "g = torch.autograd.grad({call}.sin().sum(), x, create_graph=True); pull([*g], x) ## unnamed"


def activations() -> Iterator[str]:
    kinks = "[-3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 3.0, 6.0]"
    for call in CALLS:
        if "hardsigmoid" not in call:  # in float64 PyTorch's slope of it is the float32 number closest to 1 / 6
            yield f"x = leaf(2, 3); pull({call}, x)"
            yield "x = leaf(2, 3); " + NEXT_ORDER.format(call=call)
        yield f"x = leaf(3, 4, low=-8, high=8, dtype='float32'); pull({call}, x)"
        yield f"x = torch.tensor({kinks}, requires_grad=True); pull({call}, x)"
        yield f"x = torch.tensor([-1000.0, 1000.0, -90.0, 90.0], requires_grad=True); pull({call}, x)"
        yield "x = torch.tensor([nan, 1.0]); " + call
        yield f"x = leaf(2, 3, low=-4, high=4, dtype='bfloat16'); pull({call}, x) ## loose"


OTHERS = """
x = leaf(2, 3); w = leaf(1, seed=1); pull(F.prelu(x, w), x, w)
x = leaf(2, 3); w = leaf(3, seed=1); pull(F.prelu(x, w), x, w)
x = leaf(2, 3, 2); w = leaf(3, seed=1); pull(F.prelu(x, w), x, w)
x = torch.tensor([0.0, -1.0, 1.0], requires_grad=True); w = leaf(1, dtype="float32"); pull(F.prelu(x, w), x, w)
F.prelu(t(2, 3), t(2))
F.prelu(t(2, 3), t(3, 1)) ## class
x = leaf(2, 4); pull(F.glu(x), x)
x = leaf(4, 3, 2); pull(F.glu(x, 0), x)
x = leaf(2, 4, dtype="bfloat16"); pull(F.glu(x), x) ## loose
x = leaf(2, 4); g = torch.autograd.grad(F.glu(x).sin().sum(), x, create_graph=True); pull([*g], x) ## unnamed
F.glu(t(2, 3))
F.glu(t())
F.softshrink(t(2), -1.0)
F.hardtanh(t(2), 1.0, -1.0)
F.softmin(t(2, 3), dim=1, dtype=torch.float32)
x = leaf(2, 3); y = x * 1; z = F.silu(y, inplace=True); z is y, y._version, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.leaky_relu(y, 0.1, True); z is y, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.elu(y, 0.5, True); z is y, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.celu(y, inplace=True); z is y, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.selu(y, True); z is y, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.relu6(y, True); z is y, pull(y, x)
x = leaf(2, 3); y = x * 1; z = F.threshold(y, 0.1, 0.0, True); z is y, pull(y, x)
F.silu(torch.tensor([1, 2])) ## class
F.elu(leaf(2, 3), inplace=True)
"""

LOSSES = (
    "F.l1_loss(x, y{r})", "F.smooth_l1_loss(x, y{r})", "F.smooth_l1_loss(x, y, beta=0.5{r})",
    "F.smooth_l1_loss(x, y, beta=0{r})", "F.huber_loss(x, y{r})", "F.huber_loss(x, y, delta=0.5{r})",
    "F.binary_cross_entropy(x.sigmoid(), y.sigmoid(){r})",
    "F.binary_cross_entropy(x.sigmoid(), y.sigmoid(), weight=w{r})",
    "F.binary_cross_entropy_with_logits(x, y.sigmoid(){r})",
    "F.binary_cross_entropy_with_logits(x, y.sigmoid(), w{r})",
    "F.binary_cross_entropy_with_logits(x, y.sigmoid(), pos_weight=w{r})",
    "F.kl_div(x.log_softmax(1), y.softmax(1){r})", "F.kl_div(x.log_softmax(1), y.log_softmax(1), log_target=True{r})",
    "F.hinge_embedding_loss(x, s{r})", "F.hinge_embedding_loss(x, s, margin=0.5{r})",
    "F.margin_ranking_loss(x, y, s{r})", "F.margin_ranking_loss(x, y, s, 0.5{r})",
    "F.gaussian_nll_loss(x, y, w{r})", "F.gaussian_nll_loss(x, y, w, full=True{r})",
    "F.poisson_nll_loss(x, w{r})", "F.poisson_nll_loss(w + x * x, w, False, True{r})",
)  # fmt: skip


def losses() -> Iterator[str]:
    given = "x = leaf(2, 3); y = leaf(2, 3, seed=1); w = t(2, 3, low=0.5, seed=2); s = t(2, 3, seed=3).sign(); "
    for call, reduction in itertools.product(LOSSES, ("mean", "sum", "none")):
        wanted = call.format(r=f", reduction='{reduction}'")
        yield given + f"pull({wanted}, x, y) ## unnamed"
    for call in LOSSES:
        wanted = call.format(r="")
        yield given + f"g = torch.autograd.grad({wanted}, x, create_graph=True); pull([*g], x, y) ## unnamed|loose"
    for name in ("l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits"):
        yield f"x = leaf(2, 3); F.{name}(x, t(2, 3, seed=1, low=0, high=1)).grad_fn.name()"
        yield f"F.{name}(t(2, 3), t(2, 3), reduction='other') ## class"
    yield "x = leaf(2, 3, low=0, high=1); F.binary_cross_entropy(x, t(2, 3, seed=1, low=0, high=1)).grad_fn.name()"


OTHER_LOSSES = """
x = leaf(2, 3); y = leaf(2, 3, seed=1); pull(F.cosine_similarity(x, y), x, y) ## unnamed
x = leaf(2, 3, 2); y = leaf(2, 3, 2, seed=1); pull(F.cosine_similarity(x, y, dim=-1, eps=0.1), x, y) ## unnamed
x = leaf(2, 3); y = leaf(3, seed=1); pull(F.cosine_similarity(x, y), x, y) ## unnamed
x = torch.zeros(1, 3).requires_grad_(); y = torch.ones(1, 3); pull(F.cosine_similarity(x, y), x) ## unnamed
x = torch.tensor([0.0, 1.0], requires_grad=True); y = torch.tensor([0.0, 1.0]); pull(F.binary_cross_entropy(x, y), x)
x = torch.tensor([0.0, 1.0], requires_grad=True); y = torch.tensor([1.0, 0.0]); pull(F.binary_cross_entropy(x, y), x)
x = torch.tensor([-1000.0, 1000.0], requires_grad=True); y = torch.tensor([1.0, 0.0]); pull(F.binary_cross_entropy_with_logits(x, y), x)
F.binary_cross_entropy(torch.tensor([1.5]), torch.tensor([1.0]))
F.binary_cross_entropy(torch.tensor([0.5, 0.5]), torch.tensor([1.0]))
F.binary_cross_entropy_with_logits(torch.tensor([0.5, 0.5]), torch.tensor([1.0]))
x = torch.tensor([1.0, 2.0], requires_grad=True); y = torch.tensor([1.0, 1.0]); pull(F.l1_loss(x, y), x)
x = torch.tensor([1.0, 2.0], requires_grad=True); y = torch.tensor([0.0, 1.0]); pull(F.smooth_l1_loss(x, y), x)
x = torch.tensor([1.0, 2.0], requires_grad=True); y = torch.tensor([0.0, 1.0]); pull(F.huber_loss(x, y), x)
x = leaf(2, 3); pull(F.l1_loss(x, t(2, 3, seed=1), weight=t(2, 3, low=0.1)), x) ## unnamed
x = leaf(2, 3); pull(F.huber_loss(x, t(2, 3, seed=1), weight=t(2, 3, low=0.1)), x) ## unnamed
x = leaf(2, 3); pull(F.kl_div(x, t(2, 3, low=0.1), reduction="batchmean"), x) ## unnamed
x = leaf(2, 3); y = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0]]); pull(F.kl_div(x, y, reduction="sum"), x) ## unnamed
x = leaf(2, 3); v = leaf(2, 1, low=0.5, seed=3); pull(F.gaussian_nll_loss(x, t(2, 3, seed=1), v), x, v) ## unnamed
x = leaf(2, 3); v = torch.zeros(2).double().requires_grad_(); pull(F.gaussian_nll_loss(x, t(2, 3, seed=1), v), x, v) ## unnamed
x = leaf(2, 3); pull(F.gaussian_nll_loss(x, t(2, 3, seed=1), 0.5), x) ## unnamed
F.gaussian_nll_loss(t(2, 3), t(2, 3), t(2, 3, low=-2, high=-1))
F.gaussian_nll_loss(t(2, 3), t(2, 3), t(3, low=0.1))
F.huber_loss(t(2, 3), t(2, 3), delta=0)
F.smooth_l1_loss(t(2, 3), t(2, 3), beta=-1)
F.l1_loss(t(2, 3), t(2, 4))
F.margin_ranking_loss(t(2), t(2), t(2, 1)) ## class
"""


@pytest.mark.parametrize("many", [activations, losses])
def test_generated(many):
    agree_all(many())


@pytest.mark.parametrize("text", [OTHERS, OTHER_LOSSES], ids=["activations", "losses"])
def test_cases(text):
    agree_all(cases(text))
