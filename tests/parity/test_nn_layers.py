"""torch.nn.functional: normalisation, embeddings, attention and padding, gradients to second order, and errors."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases

NORMS = """
x = leaf(2, 3); pull(F.layer_norm(x, (3,)), x)
x = leaf(2, 3); w = leaf(3, seed=1); b = leaf(3, seed=2); pull(F.layer_norm(x, (3,), w, b), x, w, b)
x = leaf(2, 3); w = leaf(3, seed=1); pull(F.layer_norm(x, [3], w), x, w)
x = leaf(2, 3); b = leaf(3, seed=1); pull(F.layer_norm(x, [3], bias=b), x, b)
x = leaf(2, 3, 4); w = leaf(3, 4, seed=1); b = leaf(3, 4, seed=2); pull(F.layer_norm(x, (3, 4), w, b, 1e-2), x, w, b)
x = leaf(4, 64, dtype="float32"); w = leaf(64, seed=1, dtype="float32"); b = leaf(64, seed=2, dtype="float32"); pull(F.layer_norm(x, (64,), w, b), x, w, b)
x = leaf(2, 8, dtype="float16"); w = leaf(8, seed=1, dtype="float16"); b = leaf(8, seed=2, dtype="float16"); pull(F.layer_norm(x, (8,), w, b), x, w, b) ## loose
x = leaf(2, 8, dtype="bfloat16"); pull(F.layer_norm(x, (8,)), x) ## loose
x = leaf(2, 8, dtype="bfloat16"); w = leaf(8, seed=1, dtype="float32"); b = leaf(8, seed=2, dtype="float32"); pull(F.layer_norm(x, (8,), w, b), x) ## loose
x = (t(3, 64, dtype="float32") + 4).requires_grad_(); pull(F.layer_norm(x, (64,)), x) ## loose
x = torch.ones(2, 3).requires_grad_(); pull(F.layer_norm(x, (3,)), x)
x = leaf(2, 3); pull(F.rms_norm(x, (3,)), x)
x = leaf(2, 3, 4); w = leaf(3, 4, seed=1); pull(F.rms_norm(x, (3, 4), w, 1e-3), x, w)
x = leaf(2, 8, dtype="float32"); w = leaf(8, seed=1, dtype="float32"); pull(F.rms_norm(x, (8,), w), x, w)
x = leaf(2, 8, dtype="bfloat16"); pull(F.rms_norm(x, (8,)), x) ## loose|unnamed
x = leaf(2, 4, 3); pull(F.group_norm(x, 2), x)
x = leaf(2, 4, 3); w = leaf(4, seed=1); b = leaf(4, seed=2); pull(F.group_norm(x, 2, w, b), x, w, b)
x = leaf(2, 4, 3, 2); w = leaf(4, seed=1); b = leaf(4, seed=2); pull(F.group_norm(x, 4, w, b, 1e-2), x, w, b)
x = leaf(2, 4); pull(F.group_norm(x, 2), x)
x = leaf(2, 4, 3, dtype="float32"); w = leaf(4, seed=1, dtype="float32"); pull(F.group_norm(x, 1, w), x, w)
x = leaf(3, 4); pull(F.batch_norm(x, None, None, training=True), x)
x = leaf(3, 4); m = t(4); v = t(4, low=0.5); pull(F.batch_norm(x, m, v, training=True), x), m, v
x = leaf(3, 2, 2, 2); w = leaf(2, seed=1); b = leaf(2, seed=2); m = t(2); v = t(2, low=0.5); pull(F.batch_norm(x, m, v, w, b, True, 0.3, 1e-2), x, w, b), m, v
x = leaf(3, 2, 2, dtype="float32"); w = leaf(2, seed=1, dtype="float32"); b = leaf(2, seed=2, dtype="float32"); m = t(2, dtype="float32"); v = t(2, low=0.5, dtype="float32"); pull(F.batch_norm(x, m, v, w, b, True), x, w, b), m, v
x = leaf(3, 2, 2); w = leaf(2, seed=1); b = leaf(2, seed=2); m = t(2); v = t(2, low=0.5); pull(F.batch_norm(x, m, v, w, b), x, w, b), m, v
x = leaf(3, 2); m = t(2); v = t(2, low=0.5); pull(F.batch_norm(x, m, v), x)
x = leaf(8, 2, 2, dtype="bfloat16"); w = leaf(2, seed=1, dtype="float32"); b = leaf(2, seed=2, dtype="float32"); m = t(2, dtype="float32"); v = t(2, low=0.5, dtype="float32"); pull(F.batch_norm(x, m, v, w, b, True), x, w, b), m, v ## loose
x = leaf(2, 4, 3); pull(F.instance_norm(x), x)
x = leaf(2, 4, 3); w = leaf(4, seed=1); b = leaf(4, seed=2); m = t(4); v = t(4, low=0.5); pull(F.instance_norm(x, m, v, w, b, momentum=0.3), x, w, b), m, v
x = leaf(2, 4, 3, 2); m = t(4); v = t(4, low=0.5); pull(F.instance_norm(x, m, v, use_input_stats=False), x), m, v
x = leaf(2, 3); pull(F.normalize(x), x)
x = leaf(2, 3, 2); pull(F.normalize(x, dim=-1), x)
x = leaf(2, 3); pull(F.normalize(x, p=1, dim=0), x)
x = leaf(2, 3); pull(F.normalize(x, 3.0), x)
x = leaf(2, 3); pull(F.normalize(x, inf), x)
x = leaf(2, 3); pull(F.normalize(x, dim=(0, 1)), x)
x = torch.tensor([[0.0, 0.0], [3.0, 4.0]]).requires_grad_(); pull(F.normalize(x), x)
x = leaf(2, 3); y = F.layer_norm(x, (3,)); g = torch.autograd.grad((y * y.cos()).sum(), x, create_graph=True); pull([*g], x) ## unnamed
x = leaf(2, 4, 3); w = leaf(4, seed=1); y = F.group_norm(x, 2, w); g = torch.autograd.grad((y * y.cos()).sum(), [x, w], create_graph=True); pull([*g], x, w) ## unnamed
x = leaf(3, 2, 2); w = leaf(2, seed=1); y = F.batch_norm(x, None, None, w, training=True); g = torch.autograd.grad((y * y.cos()).sum(), [x, w], create_graph=True); pull([*g], x, w) ## unnamed
x = leaf(2, 3); y = F.rms_norm(x, (3,)); g = torch.autograd.grad((y * y.cos()).sum(), x, create_graph=True); pull([*g], x) ## unnamed
x = leaf(2, 3); y = F.normalize(x); g = torch.autograd.grad((y * y.cos()).sum(), x, create_graph=True); pull([*g], x) ## unnamed
"""

NORM_ERRORS = """
F.layer_norm(t(2, 3), (2,))
F.layer_norm(t(2, 3), (4, 2, 3))
F.layer_norm(t(2, 3), ())
F.layer_norm(t(2, 3), 3)
F.layer_norm(t(2, 3), (3,), t(2))
F.layer_norm(t(2, 3), (3,), t(3), t(2))
F.layer_norm(t(2, 3), (3,), t(3, dtype="float32"))
F.layer_norm(t(2, 3, dtype="int64"), (3,))
F.rms_norm(t(2, 3), (2,))
F.group_norm(t(2, 4, 3), 3)
F.group_norm(t(2, 4, 3), 2, t(3))
F.group_norm(t(2), 1)
F.group_norm(t(1, 2), 2)
F.batch_norm(t(2, 4, 3), None, None)
F.batch_norm(t(2, 4, 3), t(3), t(4))
F.batch_norm(t(1, 4), t(4), t(4), training=True)
F.batch_norm(t(2, 4), t(4), t(4), training=True, momentum=None)
F.batch_norm(t(2, 4), t(4), t(4), t(3), training=True)
F.batch_norm(t(2, 4), t(4), None, training=True) ## class
F.instance_norm(t(2, 4, 1))
F.instance_norm(t(2, 4, 3), use_input_stats=False)
"""

EMBEDDINGS = """
w = leaf(4, 3); pull(F.embedding(torch.tensor([0, 2, 2]), w), w)
w = leaf(4, 3); pull(F.embedding(torch.tensor([[0, 2], [3, 0]]), w), w)
w = leaf(4, 3); pull(F.embedding(torch.tensor(1), w), w)
w = leaf(4, 3); pull(F.embedding(torch.tensor([0, 2, 2], dtype=torch.int32), w), w)
w = leaf(4, 3); pull(F.embedding(torch.tensor([0, 2, 1, 2]), w, padding_idx=2), w)
w = leaf(4, 3); pull(F.embedding(torch.tensor([0, 2, 1, 2]), w, -2), w)
w = leaf(4, 3, dtype="float32"); pull(F.embedding(torch.tensor([0, 2, 2]), w), w)
w = leaf(4, 3); pull(F.embedding(torch.zeros(0, 2).long(), w), w)
w = t(4, 3); F.embedding(torch.tensor([0, 2, 2]), w, max_norm=1.0), w
w = leaf(4, 3); pull(F.embedding(torch.tensor([1, 3]), w, max_norm=0.5, norm_type=1.0), w), w.detach()
w = leaf(4, 3); y = F.embedding(torch.tensor([0, 2, 2]), w, padding_idx=0); g = torch.autograd.grad(y.sin().sum(), w, create_graph=True); pull([*g], w) ## unnamed
F.embedding(t(2), t(3, 4)) ## says: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int
F.embedding(torch.tensor([3]), t(3, 4))
F.embedding(torch.tensor([-1]), t(3, 4))
F.embedding(torch.tensor([1]), t(3, 4), padding_idx=3)
F.embedding(torch.tensor([1]), t(3, 4), padding_idx=-4)
F.embedding(torch.tensor([1]), t(3))
F.one_hot(torch.tensor([1, 2]))
F.one_hot(torch.tensor([[1, 2], [0, 0]]), 4)
F.one_hot(torch.tensor(1), 3)
F.one_hot(torch.tensor([1, 2]), 2)
F.one_hot(torch.tensor([-1, 2]))
F.one_hot(torch.tensor([1.0, 2.0]))
F.one_hot(torch.tensor([]).long())
F.one_hot(torch.tensor([]).long(), 3)
F.one_hot(torch.tensor([1]), 0)
"""

ATTENTION = """
q = leaf(2, 3, 4); k = leaf(2, 5, 4, seed=1); v = leaf(2, 5, 2, seed=2); pull(F.scaled_dot_product_attention(q, k, v), q, k, v) ## unnamed
q = leaf(3, 4); k = leaf(5, 4, seed=1); v = leaf(5, 2, seed=2); pull(F.scaled_dot_product_attention(q, k, v, scale=0.3), q, k, v)
q = leaf(1, 2, 3, 4); k = leaf(1, 2, 3, 4, seed=1); v = leaf(1, 2, 3, 4, seed=2); pull(F.scaled_dot_product_attention(q, k, v, is_causal=True), q, k, v) ## unnamed
q = leaf(1, 2, 3, 4); k = leaf(1, 2, 5, 4, seed=1); v = leaf(1, 2, 5, 4, seed=2); pull(F.scaled_dot_product_attention(q, k, v, is_causal=True), q, k, v) ## unnamed
q = leaf(2, 3, 4); k = leaf(2, 5, 4, seed=1); v = leaf(2, 5, 2, seed=2); m = t(3, 5, dtype="bool"); pull(F.scaled_dot_product_attention(q, k, v, m), q, k, v) ## unnamed
q = leaf(2, 3, 4); k = leaf(2, 5, 4, seed=1); v = leaf(2, 5, 2, seed=2); m = torch.tensor([[True] * 5, [False] * 5, [True, False] * 2 + [True]]); pull(F.scaled_dot_product_attention(q, k, v, m), q, k, v) ## unnamed
q = leaf(2, 3, 4); k = leaf(2, 5, 4, seed=1); v = leaf(2, 5, 2, seed=2); m = leaf(3, 5, seed=3); pull(F.scaled_dot_product_attention(q, k, v, m), q, k, v, m) ## unnamed
q = leaf(2, 3, 4); k = leaf(2, 5, 4, seed=1); v = leaf(2, 5, 2, seed=2); m = torch.full((3, 5), -inf); pull(F.scaled_dot_product_attention(q, k, v, m.double()), q, k, v) ## unnamed
q = leaf(1, 4, 3, 2); k = leaf(1, 2, 3, 2, seed=1); v = leaf(1, 2, 3, 2, seed=2); pull(F.scaled_dot_product_attention(q, k, v, enable_gqa=True), q, k, v) ## unnamed
q = leaf(2, 3, 4, dtype="float32"); k = leaf(2, 5, 4, seed=1, dtype="float32"); v = leaf(2, 5, 2, seed=2, dtype="float32"); pull(F.scaled_dot_product_attention(q, k, v), q, k, v) ## unnamed
q = leaf(3, 4); k = leaf(5, 4, seed=1); v = leaf(5, 2, seed=2); pull(F.scaled_dot_product_attention(q, k, v, dropout_p=1.0), q, k, v) ## unnamed
q = leaf(2, 3, 4); k = leaf(2, 5, 4, seed=1); v = leaf(2, 5, 2, seed=2); y = F.scaled_dot_product_attention(q, k, v); g = torch.autograd.grad(y.sin().sum(), [q, k, v], create_graph=True); pull([*g], q, k, v) ## unnamed
F.scaled_dot_product_attention(t(4), t(3, 4), t(3, 4))
F.scaled_dot_product_attention(t(3, 4), t(3, 4), t(3, 4), attn_mask=t(3, 3, dtype="bool"), is_causal=True)
F.scaled_dot_product_attention(t(3, 4), t(3, 4), t(3, 4), attn_mask=t(3, 3, dtype="int64"))
F.scaled_dot_product_attention(t(3, 4), t(3, 4, dtype="float32"), t(3, 4))
"""

PADS = """
x = leaf(2, 3); pull(F.pad(x, (1, 1)), x)
x = leaf(2, 3); pull(F.pad(x, (1, 0, 0, 2)), x)
x = leaf(2, 3); pull(F.pad(x, (1, 1), value=2.5), x)
x = leaf(2, 3); pull(F.pad(x, (0, 0)), x)
x = leaf(2, 3); pull(F.pad(x, (-1, 1)), x)
x = leaf(2, 4); pull(F.pad(x, (-1, -2), value=1.0), x)
x = leaf(2, 3); pull(F.pad(x, [2, 1], "constant", 0), x)
F.pad(t(2, 3, dtype="int64"), (1, 1), value=2)
F.pad(t(2, 3, dtype="int64"), (1, 1), value=2.5)
F.pad(t(2, 3, dtype="bool"), (1, 1), value=1)
F.pad(t(2, 3, dtype="bool"), (1, 1))
x = leaf(2, 3); pull(F.pad(x, (1, 2), mode="reflect"), x)
x = leaf(1, 2, 3, 4); pull(F.pad(x, (1, 0, 2, 1), mode="reflect"), x)
x = leaf(1, 1, 3, 2, 3); pull(F.pad(x, (1, 1, 1, 0, 2, 1), mode="reflect"), x)
x = leaf(2, 3); pull(F.pad(x, (1, 4), mode="replicate"), x)
x = leaf(1, 2, 3, 4); pull(F.pad(x, (1, 0, 2, 5), mode="replicate"), x)
x = leaf(2, 3); pull(F.pad(x, (1, 3), mode="circular"), x)
x = leaf(1, 2, 3, 4); pull(F.pad(x, (1, 0, 2, 1), mode="circular"), x)
x = leaf(1, 2, 3, 4); pull(F.pad(x, (1, -1, -1, 1), mode="circular"), x)
x = leaf(1, 2, 3, 4); pull(F.pad(x, (1, -1, -1, 1), mode="replicate"), x)
x = leaf(2, 3); y = F.pad(x, (1, 2), mode="reflect"); g = torch.autograd.grad(y.sin().sum(), x, create_graph=True); pull([*g], x) ## unnamed
x = leaf(2, 3); y = F.pad(x, (1, -1), value=0.3); g = torch.autograd.grad(y.sin().sum(), x, create_graph=True); pull([*g], x) ## unnamed
F.pad(t(2, 3), (-2, -2))
F.pad(t(2, 3), (1,))
F.pad(t(2, 3), (1,) * 6)
F.pad(t(2, 3), (3, 1), mode="reflect")
F.pad(t(2, 3), (4, 1), mode="circular")
F.pad(t(2, 3), (1, 1, 1, 1), mode="reflect")
F.pad(t(2, 3), (1, 1), mode="other")
F.pad(t(2, 3), (1, 1), mode="reflect", value=1.0)
"""


@pytest.mark.parametrize(
    "text",
    [NORMS, NORM_ERRORS, EMBEDDINGS, ATTENTION, PADS],
    ids=["norms", "norm-errors", "embeddings", "attention", "pads"],
)
def test_cases(text):
    agree_all(cases(text))
