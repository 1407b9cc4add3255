"""Random numbers as PyTorch's in all but the numbers: dtypes, shapes, ranges, graphs, errors, generators."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases  # noqa: E402

GENERATORS = """
torch.Generator().initial_seed()
torch.Generator().manual_seed(-5).initial_seed()
torch.Generator().manual_seed(1.5)
torch.Generator().manual_seed("a")
torch.Generator().manual_seed(2**64)
torch.manual_seed(-2**63 - 1)
torch.manual_seed(torch.tensor(5)).initial_seed()
torch.manual_seed(5); torch.initial_seed(), torch.default_generator.initial_seed()
torch.random.initial_seed() == torch.initial_seed()
torch.set_rng_state([1])
torch.set_rng_state(torch.ones(2))
torch.set_rng_state(torch.ones(2, dtype=torch.uint8)) ## class
torch.get_rng_state().dtype
g = torch.Generator(); g.get_state().dtype, g.clone_state().initial_seed()
g = torch.Generator(); h = g.clone_state(); torch.equal(torch.rand(3, generator=g), torch.rand(3, generator=h))
g = torch.Generator(); h = copy.deepcopy(g); torch.equal(torch.rand(3, generator=g), torch.rand(3, generator=h))
g = torch.Generator(); h = copy.copy(g); torch.rand(3, generator=g); torch.equal(g.get_state(), h.get_state())
g = torch.Generator(); s = g.get_state(); a = torch.randn(5, generator=g); g.set_state(s) is g, torch.equal(a, torch.randn(5, generator=g))
torch.Generator() == torch.Generator()
s = torch.get_rng_state(); a = torch.random.fork_rng(); a.__enter__(); torch.rand(3); a.__exit__(None, None, None); torch.equal(s, torch.get_rng_state())
torch.Generator(device="cpu").device
torch.rand(2, generator=torch.Generator(), out=torch.ones(2)).shape
torch.rand(2, generator=3) ## class
torch.bernoulli(t(2), generator=3) ## class
"""

TENSORS = """
torch.rand(-1)
torch.rand(2, dtype=torch.complex64).dtype
torch.rand(2, dtype=torch.bool)
torch.rand(2, dtype=torch.int64, requires_grad=True)
torch.randn(2, dtype=torch.int64)
torch.randn(2, dtype=torch.bool)
torch.randn(2, requires_grad=True, dtype=torch.complex64).requires_grad
torch.randint(0, 300, (2,), dtype=torch.uint8)
torch.randint(0, 256, (2,), dtype=torch.uint8).dtype
torch.randint(-1, 3, (2,), dtype=torch.uint8)
torch.randint(0, 3, (2,), dtype=torch.bool)
torch.randint(0, 2, (2,), dtype=torch.bool).dtype
torch.randint(0, 3, (2,), dtype=torch.complex64)
torch.randint(0, 70000, (2,), dtype=torch.float16)
torch.randint(3, (2,), requires_grad=True)
torch.randint(3, (2,), dtype=torch.float32, requires_grad=True).requires_grad
torch.randint(2.5, (2,)) ## class
torch.randint(2**63, (2,))
torch.randint(-2**63, 2**63 - 1, (2,)).dtype
torch.randint(2) ## class
torch.randint(5, size=2) ## class
torch.randint(7, 8, (3,)), torch.randint(-4, -3, (3,), dtype=torch.float64)
torch.randint_like(torch.ones(2, dtype=torch.int64), 5).dtype
torch.randint_like(torch.ones(2), 5, dtype=torch.int32).dtype
torch.randint_like(torch.ones(2), torch.tensor(5)).dtype
torch.randint_like(torch.ones(2, dtype=torch.uint8), 300)
torch.randperm(-1)
torch.randperm(5, dtype=torch.uint8).dtype
torch.randperm(256, dtype=torch.uint8).dtype
torch.randperm(255, dtype=torch.uint8).dtype
torch.randperm(128, dtype=torch.int8).dtype
torch.randperm(129, dtype=torch.int8)
torch.randperm(300, dtype=torch.uint8)
torch.randperm(40000, dtype=torch.int16)
torch.randperm(5, dtype=torch.float32).sum()
torch.randperm(5, dtype=torch.bool)
torch.randperm(5, dtype=torch.complex64)
torch.randperm(2050, dtype=torch.float16)
torch.randperm(2049, dtype=torch.float16).dtype
torch.randperm(258, dtype=torch.bfloat16).dtype
torch.randperm(2**24 + 2, dtype=torch.float32)
torch.randperm(5, requires_grad=True)
torch.randperm(2.5) ## class
torch.randperm(torch.tensor(3)).shape
torch.randperm(1), torch.randperm(0), torch.randperm(0, dtype=torch.int32).dtype
"""

NORMAL = """
torch.normal(t(2), 0.0)
torch.normal(t(2), torch.zeros(2, dtype=torch.float64))
torch.normal(0.0, torch.zeros(2))
torch.normal(2.5, 0.0, (2, 3))
torch.normal(0, 0, size=(2,))
torch.normal(mean=0.0, std=0.0, size=(2,), dtype=torch.float64)
torch.normal(torch.zeros(2)).shape
torch.normal(torch.zeros(2), -torch.ones(2))
torch.normal(torch.zeros(2), torch.tensor([1.0, nan]))
torch.normal(torch.zeros(2), -1.0)
torch.normal(leaf(2), 0.0)
torch.normal(0.0, leaf(2).mul(0).detach().requires_grad_())
torch.normal(leaf(2), torch.zeros(2, dtype=torch.float64, requires_grad=True))
a = leaf(2); pull(torch.normal(a, 0.0), a)
a = torch.zeros(3, dtype=torch.float64, requires_grad=True); b = leaf(2, 1); pull(torch.normal(b, a), a, b)
a = torch.zeros(3, dtype=torch.float32, requires_grad=True); b = leaf(2, 1); pull(torch.normal(b, a), a, b)
torch.normal(0.0, 1.0) ## class
torch.normal(0.0, 1.0, 2) ## class
torch.normal(0.0, -1.0, (2,))
torch.normal(torch.zeros(2), torch.ones(3))
torch.normal(torch.zeros(2, 1), torch.ones(3)).shape
torch.normal(torch.zeros(2, dtype=torch.float64), torch.ones(2)).dtype
torch.normal(torch.zeros(2), torch.ones(2, dtype=torch.float64)).dtype
torch.normal(0.0, torch.ones(2, dtype=torch.float64)).dtype
torch.normal(torch.zeros(2, dtype=torch.int64), 1.0)
torch.normal(torch.zeros(2), torch.ones(2, dtype=torch.int64)).dtype
torch.normal(torch.zeros(2), torch.ones(2, dtype=torch.complex64))
torch.normal(torch.zeros(2, dtype=torch.complex64), 1.0).dtype
torch.normal(0.0, 1.0, (2,), dtype=torch.float64).dtype
torch.normal(0.0, 1.0, (2,), requires_grad=True).requires_grad
torch.normal([1.0], 1.0) ## class
torch.normal(torch.zeros(2), [1.0]) ## class
torch.normal(t(3), 0.0, out=torch.empty(3, dtype=torch.float64))
"""

CHOICES = """
torch.bernoulli(torch.tensor([0.0, 1.0]))
torch.bernoulli(torch.tensor([0.0, 1.0], dtype=torch.float16))
a = torch.tensor([0.0, 1.0], requires_grad=True); pull(torch.bernoulli(a), a)
torch.bernoulli(torch.tensor([0.5, 2.0])) ## says: Expected p_in >= 0 && p_in <= 1 to be true, but got false.
torch.bernoulli(torch.tensor([0.5, nan])) ## says: Expected p_in >= 0 && p_in <= 1 to be true, but got false.
torch.bernoulli(torch.tensor([1, 0]))
torch.bernoulli(torch.tensor([True]))
torch.bernoulli(torch.ones(2, dtype=torch.complex64))
torch.bernoulli([0.5])
torch.bernoulli(t(3), 0.0), torch.bernoulli(t(3), p=1.0), t(3).bernoulli(1.0)
torch.bernoulli(torch.tensor([1, 0]), 1.0)
torch.bernoulli(t(3), 2)
torch.bernoulli(leaf(3), 1.0) ## differs: PyTorch's requires grad, for an error in backward; here no gradient flows
torch.tensor([0.0, 1.0]).bernoulli()
torch.bernoulli(torch.tensor([0.0, 1.0]), out=torch.empty(2))
torch.multinomial(torch.tensor([0.0, 2.0]), 1)
torch.multinomial(torch.tensor([0.0, 2.0]), 3, True)
torch.multinomial(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), 3, replacement=True)
torch.multinomial(torch.tensor([0.0, 1.0]), 2)
torch.multinomial(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), 1)
torch.tensor([0.0, 0.0, 3.0], dtype=torch.float16).multinomial(1)
torch.multinomial(torch.tensor([0.5, 0.5]), 3)
torch.multinomial(torch.tensor([0.5, -0.5]), 1)
torch.multinomial(torch.tensor([0.5, -0.5]), 1, True)
torch.multinomial(torch.tensor([0.5, nan]), 1, True)
torch.multinomial(torch.tensor([0.5, inf]), 1, True)
torch.multinomial(torch.tensor([0.0, 0.0]), 1, True)
torch.multinomial(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), 1)
torch.multinomial(torch.tensor([1, 1]), 1)
torch.multinomial(torch.tensor(1.0), 1)
torch.multinomial(torch.ones(2, 2, 2), 1)
torch.multinomial(torch.ones(2), 0)
torch.multinomial(torch.ones(2), -1)
torch.multinomial(torch.ones(0), 1, True)
torch.multinomial(torch.ones(0, 2), 1, True).shape
torch.multinomial(torch.ones(2, 0), 1, True)
torch.multinomial(torch.ones(2, dtype=torch.complex64), 1)
torch.multinomial(torch.ones(2, requires_grad=True), 1).requires_grad
torch.multinomial(torch.ones(2), 1.5)
torch.multinomial(torch.ones(2), 1).dtype
torch.poisson(torch.zeros(2, dtype=torch.float64))
a = torch.zeros(2, requires_grad=True); pull(torch.poisson(a), a)
torch.poisson(torch.tensor([-1.0]))
torch.poisson(torch.tensor([nan]))
torch.poisson(torch.tensor([1]))
"""

DROPOUT = """
a = leaf(3); F.dropout(a, 0.0) is a, F.dropout(a, 0.5, False) is a
a = leaf(3); pull(F.dropout(a, 1.0), a)
a = leaf(3); F.dropout(a).grad_fn.name(), F.dropout(a * 1, 0.5, True, True).grad_fn.name()
F.dropout(t(3), 1.5)
F.dropout(t(3), -0.1)
F.dropout(t(3), 2)
F.dropout(t(3), nan)
F.dropout([1.0])
F.dropout(torch.ones(2, dtype=torch.int64))
F.dropout(torch.ones(2, dtype=torch.bool), 0.5)
F.dropout(torch.ones(2, dtype=torch.int64), 1.0), F.dropout(torch.ones(2, dtype=torch.int64), 0.0)
F.dropout(torch.ones(2, dtype=torch.complex64))
F.dropout(torch.ones(0)).shape, F.dropout(torch.ones(())).shape
F.dropout(leaf(3), 0.5, True, True)
F.dropout(torch.ones(3, dtype=torch.bfloat16)).dtype, F.dropout(torch.ones(3, dtype=torch.float16)).dtype
torch.dropout(t(3), 1.5, True)
torch.dropout(t(3), 0.5) ## class
torch.dropout(leaf(3), 0.5, True).grad_fn.name()
torch.dropout(t(3), 1.0, True), torch.dropout_(t(3), 1.0, True)
torch.feature_dropout(t(3), 0.5, True)
torch.feature_dropout(t(3), 0.0, True), torch.feature_dropout(t(3), 0.5, False), torch.feature_dropout_(t(3), 1.0, True)
F.alpha_dropout(t(3)), F.alpha_dropout(t(3), 1.0)
F.alpha_dropout(t(3), 1.5)
F.alpha_dropout(leaf(3), training=True).grad_fn.name()
a = leaf(3); pull(F.alpha_dropout(a, 1.0, True), a)
F.alpha_dropout(torch.ones(2, dtype=torch.int64), 0.5, True)
F.alpha_dropout(t(3), 1.0, True, True), torch.alpha_dropout_(t(3), 1.0, True)
F.feature_alpha_dropout(t(3), training=True)
F.feature_alpha_dropout(t(2, 3)), F.feature_alpha_dropout(t(2, 3), 1.0, True)
F.feature_alpha_dropout(t(2, 3), 1.5)
F.feature_alpha_dropout(leaf(2, 3), 0.5, True).grad_fn.name()
torch.feature_alpha_dropout(t(2, 3), 1.0, True), torch.feature_alpha_dropout_(t(2, 3), 1.0, True)
F.dropout1d(t(3))
F.dropout1d(t(2, 3, 4, 5))
F.dropout1d(t(2, 3, 4), 1.5)
F.dropout1d(t(2, 3), 1.0), F.dropout1d(t(2, 3, 4), 1.0), F.dropout1d(t(2, 3), 0.0)
F.dropout2d(t(3))
F.dropout2d(t(2, 3), 0.0), F.dropout2d(t(2, 3, 4), 0.0), F.dropout2d(t(2, 3, 4, 1, 2), 1.0)
F.dropout2d(t(2, 3, 4, 5), -1)
F.dropout2d(leaf(2, 3, 1, 2)).grad_fn.name()
F.dropout3d(t(2, 3, 4), 1.0), F.dropout3d(t(2, 3, 4, 1), 1.0), F.dropout3d(t(2, 3, 4, 1, 1), 1.0)
F.dropout3d(t(2, 3, 4, 1, 1, 2), 1.0)
F.dropout3d(t(2, 3, 4, 5), -1)
a = leaf(5); pull(F.rrelu(a, 0.25, 0.25, training=True), a)
a = leaf(5); pull(F.rrelu(a, 0.25, 0.5), a)
a = leaf(5); pull(F.rrelu(a * 1, 0.25, 0.25, inplace=True), a)
F.rrelu(t(2), 0.5, 0.1)
F.rrelu(torch.ones(2, dtype=torch.int64))
F.rrelu(torch.ones(2, dtype=torch.int64), training=True)
F.rrelu(torch.tensor([nan, 0.0]), training=True)
"""

RANGES = """
x = torch.zeros(2).random_(0, 2**30) ## class
torch.randint(0, 2**25, (2,), dtype=torch.float32).dtype ## class
x = torch.rand(1000); (x >= 0).all(), (x < 1).all()
x = torch.empty(1000).uniform_(2, 3); (x >= 2).all(), (x <= 3).all()
x = torch.empty(1000).exponential_(); (x >= 0).all()
x = torch.empty(1000).geometric_(0.3); (x >= 1).all(), (x == x.floor()).all()
x = torch.empty(1000, dtype=torch.int8).random_(); (x >= 0).all()
x = torch.randint(-3, 3, (1000,)); x.min(), x.max()
x = torch.randint(-3, 3, (1000,), dtype=torch.float16); x.min(), x.max()
"""


@pytest.mark.filterwarnings("ignore:to - 1 is out of bounds")
@pytest.mark.parametrize("case", cases(GENERATORS + TENSORS + NORMAL + CHOICES + DROPOUT + RANGES))
def test_random(case: str) -> None:
    agree(case)
