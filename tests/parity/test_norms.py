"""Norms of vectors: values, subgradients, dtypes and errors as PyTorch's; and gradients clipped by them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

NORMS = """
x = leaf(3, 4); [pull(torch.linalg.vector_norm(x, p), x) for p in (2, 2.0, 1, 3, 0.5, 1.5, inf, -inf, -1)]
x = leaf(3, 4); [pull(torch.linalg.vector_norm(x, p, 1), x) for p in (2, 1, 3, 0.5, inf, -inf, -1)]
x = leaf(2, 3, 4); [pull(torch.linalg.vector_norm(x, p, (0, -1), keepdim=True), x) for p in (2, 1, 3, inf)]
x = torch.tensor([[3.0, 0.0, -4.0], [0.0, 0.0, 0.0], [4.0, 4.0, -4.0]], requires_grad=True); [pull(torch.linalg.vector_norm(x, p, dim=1), x)[1][0] + 0 for p in (2, 1, 3, 0.5, inf, -inf, -1, 1.5)]
torch.linalg.vector_norm(t(3), 0), torch.linalg.vector_norm(torch.tensor([0.0, 1.0]), 0)
x = leaf(3, dtype="complex128"); [pull(torch.linalg.vector_norm(x, p), x) for p in (2, 1, 3, inf)]
torch.linalg.vector_norm(torch.tensor([3 + 4j, 0]), 0)
x = leaf(3); g, = torch.autograd.grad(torch.linalg.vector_norm(x), x, create_graph=True); pull(g, x) ## unnamed
torch.linalg.vector_norm(torch.tensor([1, 2]))
torch.linalg.vector_norm(torch.tensor([1.0, 2]), dtype=torch.int64)
torch.linalg.vector_norm(torch.tensor([1.0, 2]), dtype=torch.float64)
torch.linalg.vector_norm(t(2), dtype=torch.float32)
torch.linalg.vector_norm(t(2), dtype=torch.complex64)
torch.linalg.vector_norm(t(2, dtype="complex64"), dtype=torch.float32)
torch.linalg.vector_norm(torch.tensor([]))
torch.linalg.vector_norm(torch.tensor([]), inf)
torch.linalg.vector_norm(torch.tensor([]), -1)
torch.linalg.vector_norm(torch.zeros(2, 0), inf, dim=1)
torch.linalg.vector_norm(torch.zeros(2, 0), inf, dim=0)
torch.linalg.vector_norm(t(2, 3), dim=(0, 0))
torch.linalg.vector_norm(t(2, 3), dim=3)
torch.linalg.vector_norm(t(2, 3), "fro")
torch.linalg.vector_norm(t(2, 3), None)
torch.linalg.vector_norm(3.0)
torch.linalg.vector_norm(t(2, 3), dim=())
torch.linalg.vector_norm(torch.tensor([1, 2, 3.0], dtype=torch.bfloat16)), torch.linalg.vector_norm(torch.tensor([300.0, 400.0], dtype=torch.float16))
torch.linalg.vector_norm(torch.tensor(-3.0, requires_grad=True))
x = leaf(2, 3); x.norm(), x.norm(1, 1), torch.norm(x, "fro"), torch.norm(x, inf, keepdim=True), torch.norm(x, p=None, dim=1), torch.norm(x, 2, 0, True), torch.norm(x, 2, (0, 1)), torch.norm(x.float(), 2, dtype=torch.float64)
torch.norm(t(2, 3), "abc")
torch.norm(torch.tensor([1, 2]))
torch.norm(t(2, 3), dim=5)
t(2, 3).norm(p=3, dim=0)
"""

CLIPPING = """
ps = [leaf(3, 4, seed=i) for i in range(3)]; [setattr(p, "grad", t(3, 4, seed=9 + i)) for i, p in enumerate(ps[:2])]; [torch.nn.utils.clip_grad_norm_(ps, 1.0), *[p.grad for p in ps]]
ps = [leaf(3, 4, seed=i) for i in range(3)]; [setattr(p, "grad", t(3, 4, seed=9 + i)) for i, p in enumerate(ps)]; [torch.nn.utils.clip_grad_norm_(ps, 100.0, foreach=False), *[p.grad for p in ps]]
p = leaf(3); p.grad = t(3); [torch.nn.utils.clip_grad_norm_(p, 0.1, "inf"), p.grad]
p = leaf(3); p.grad = t(3); [[torch.nn.utils.clip_grad_norm_(p, 0.1, n), p.grad.clone()] for n in (1, 2, 3, 0.5, inf, 0)]
p = leaf(3, dtype="float32"); q = leaf(2); p.grad = torch.tensor([3.0, 4.0, 0.0]); q.grad = torch.tensor([12.0, 0.0], dtype=torch.float64); [torch.nn.utils.clip_grad_norm_([p, q], 0.1), p.grad, q.grad]
p = leaf(3, dtype="complex128"); p.grad = t(3, dtype="complex128"); [torch.nn.utils.clip_grad_norm_(p, 0.1), p.grad]
p = leaf(3, dtype="bfloat16"); p.grad = t(3, dtype="bfloat16"); [torch.nn.utils.clip_grad_norm_(p, 0.1), p.grad]
p = leaf(3); p.grad = torch.zeros(3, dtype=torch.float64); [torch.nn.utils.clip_grad_norm_(iter([p]), 0.1), p.grad]
p = leaf(3); p.grad = t(3) * inf; [torch.nn.utils.clip_grad_norm_(p, 0.1), p.grad]
p = leaf(3); p.grad = t(3) * inf; torch.nn.utils.clip_grad_norm_(p, 0.1, error_if_nonfinite=True)
p = leaf(3); p.grad = t(3) * inf; caught(torch.nn.utils.clip_grad_norm_, p, 0.1, error_if_nonfinite=True), p.grad
torch.nn.utils.clip_grad_norm_(leaf(3), 1.0), torch.nn.utils.clip_grad_norm_([], 1.0)
p = leaf(3); (p * p).sum().backward(create_graph=True); n = torch.nn.utils.get_total_norm([p.grad]); n.requires_grad, n
torch.nn.utils.get_total_norm([]), torch.nn.utils.get_total_norm(t(3)), torch.nn.utils.get_total_norm([t(3), t(2, 2)], inf), torch.nn.utils.get_total_norm((t(3), t(2, 2)), 1.5)
p = leaf(3); p.grad = t(3); torch.nn.utils.clip_grads_with_norm_(p, 1.0, torch.tensor(4.0)); p.grad
p = leaf(3); p.grad = t(3); torch.nn.utils.clip_grads_with_norm_([p, leaf(2)], 1.0, torch.tensor(0.5)); p.grad
ps = [leaf(3, 4, seed=i) for i in range(3)]; [setattr(p, "grad", t(3, 4, seed=9 + i)) for i, p in enumerate(ps[:2])]; torch.nn.utils.clip_grad_value_(ps, 0.5), [p.grad for p in ps]
p = leaf(3); p.grad = t(3); torch.nn.utils.clip_grad_value_(p, 1); p.grad
ps = [leaf(3, 2), leaf(2, seed=1)]; v = torch.nn.utils.parameters_to_vector(ps); v, pull(v, *ps)
ps = [leaf(3, 2), leaf(2, seed=1)]; v = t(8); torch.nn.utils.vector_to_parameters(v, ps); v.mul_(2); ps
torch.nn.utils.vector_to_parameters([1.0], [leaf(1)])
torch.nn.utils.vector_to_parameters(t(3), [leaf(2, 2)]) ## class
torch.nn.utils.parameters_to_vector([])
torch.nn.utils.parameters_to_vector([leaf(3, 2).t()]) ## class
"""


@pytest.mark.parametrize("case", cases(NORMS))
def test_norms(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(CLIPPING))
def test_clipping(case: str) -> None:
    agree(case)


def test_empty_generator_warns() -> None:
    import tapegrad as tg

    with pytest.warns(UserWarning, match="`parameters` is an empty generator, no gradient clipping will occur."):
        tg.nn.utils.clip_grad_norm_((p for p in ()), 1.0)
