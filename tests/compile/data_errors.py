"""Every operation that looks at its data to raise an error: calls of it with good data, and with bad.

In a line of Python `x` is a captured (4, 5) float tensor, and `d` the data that the operation looks at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tapegrad as tg

__all__ = ["ROWS", "Row"]


class Row(NamedTuple):
    """One line of Python that gives `out`; data that it takes, twice; and data for which it raises."""

    line: str
    good: Any
    other: Any
    bad: Any
    dtype: Any = None

    def data(self, which: str) -> tg.Tensor:
        return tg.tensor(getattr(self, which), dtype=self.dtype)

    def function(self) -> Any:
        scope = {"tg": tg, "F": tg.nn.functional}
        exec(f"def row(x, d):\n    {self.line}\n    return out", scope)
        return scope["row"]


V, W, BAD = [0, 2, 1], [3, 3, 0], [0, 4, 1]  # positions in a dim of 4
N, M = [0, -4, 3], [-1, 2, -2]  # counted from the end, too
FAR = [0, -5, 1]
ONE = ([[0, 1, 2]], [[3, 3, 0]], [[0, 1, 4]])
CLASSES = ([0, 4, 2, 1], [3, 3, -100, 0], [0, 5, 2, 1])
ROWS = [
    # indices
    Row("out = x[d]", N, M, BAD),
    Row("out = x[d]", N, M, FAR),
    Row("out = x[d]", N, M, BAD, tg.int32),
    Row("out = x[d]", 2, -4, 4),
    Row("out = x[1:, d]", [0, 4], [-5, 1], [0, 5]),
    Row("out = x[d, None, [0, 1, 2]]", N, M, BAD),
    Row("out = x[d, d]", N, M, BAD),
    Row("out = x * 1; out[d] = 2.0", N, M, BAD),
    Row("out = x * 1; out[d, d] += out[d, 0]", N, M, FAR),
    Row("out = x * 1; out.index_put_((d,), tg.ones(3, 5), accumulate=True)", N, M, BAD),
    Row("out = tg.index_put(x, (d, d), tg.tensor(1.0))", N, M, BAD),
    Row("out = tg.take(x, d)", [0, 19, -20], [1, 2, 3], [0, 20, 1]),
    Row("out = x.index_select(0, d)", V, W, BAD),
    Row("out = x.index_select(0, d)", V, W, [0, -1, 1]),
    Row("out = x.gather(0, d)", *ONE),
    Row("out = x.gather(0, d)", [[1]], [[2]], [[-1]]),
    Row("out = x.sum().gather(0, d)", 0, 0, 1),
    # writes
    Row("out = x.index_add(0, d, tg.ones(3, 5))", V, W, BAD),
    Row("out = x * 1; out.index_add_(0, d, tg.ones(3, 5), alpha=2)", V, W, [0, -1, 1]),
    Row("out = x.index_copy(0, d, tg.ones(3, 5))", V, [3, 1, 0], BAD),
    Row("out = x * 1; out.index_copy_(0, d, tg.ones(3, 5))", V, [3, 1, 0], [0, -1, 1]),
    Row("out = x.index_fill(0, d, 2.0)", N, M, BAD),
    Row("out = x * 1; out.index_fill_(0, d, 2.0)", N, M, FAR),
    Row("out = x.index_reduce(0, d, tg.ones(3, 5), 'prod')", V, W, BAD),
    Row("out = x.put(d, tg.ones(3))", [0, -20, 19], [1, 2, 3], [0, 20, 1]),
    Row("out = x * 1; out.put_(d, tg.ones(3), accumulate=True)", [0, -20, 19], [1, 2, 3], [0, -21, 1]),
    Row("out = x.scatter(0, d, tg.ones(1, 3))", [[0, 1, 2]], [[3, 3, 0]], [[0, 1, 4]]),
    Row("out = x.scatter(0, d, 2.0)", *ONE),
    Row("out = x * 1; out.scatter_(0, d, 2.0)", [[0, 1, 2]], [[3, 3, 0]], [[0, -1, 2]]),
    Row("out = x.scatter_add(0, d, tg.ones(1, 3))", *ONE),
    Row("out = x.scatter_reduce(0, d, tg.ones(1, 3), 'amax')", *ONE),
    Row("out = x.masked_scatter(d, tg.ones(2, 5))", [1, 0, 0, 0, 1], [0, 0, 0, 1, 0], [1, 1, 1, 0, 0], tg.bool),
    Row("out = x.masked_fill(x > 0, d)", 2 + 0j, 3 + 0j, 2 + 1j),
    # class numbers
    Row("out = F.embedding(d, x)", V, W, BAD),
    Row("out = F.embedding(d, x, padding_idx=2)", V, W, [0, -1, 1]),
    Row("out = F.embedding(d, x * 1, max_norm=1.0)", V, W, BAD),
    Row("out = F.one_hot(d, 4) * x[0, 0]", V, W, BAD),
    Row("out = F.one_hot(d, 4) * x[0, 0]", V, W, [0, -1, 1]),
    Row("out = F.one_hot(d) * x[0, 0]", [0, 3, 1], [0, 3, 1], [0, -1, 3]),
    Row("out = F.nll_loss(x, d)", *CLASSES),
    Row("out = F.nll_loss(x, d, ignore_index=7)", [0, 4, 7, 1], [7, 1, 2, 3], [0, 4, -100, 1]),
    Row("out = F.nll_loss(x, d, x[0].exp())", [0, 4, 2, 1], [3, 3, -100, 0], [0, -1, 2, 1]),
    Row("out = F.cross_entropy(x, d)", *CLASSES),
    Row("out = F.cross_entropy(x, d, label_smoothing=0.1)", *CLASSES),
    Row("out = F.cross_entropy(x[0], d)", 1, 4, 5),
    Row("out = F.cross_entropy(x.reshape(2, 5, 2), d)", [[0, 1], [4, 2]], [[3, 3], [-100, 1]], [[0, 1], [5, 1]]),
    # divisors
    Row("out = x.long() // d", [1, 2, 3, -1, 5], [5, 5, 5, 5, 5], [1, 2, 0, 1, 1]),
    Row("out = tg.floor_divide(7, d) * x[0, 0]", [1, 2], [3, 4], [1, 0]),
    Row("out = x.long() % d", [1, 2, 3, -1, 5], [5, 5, 5, 5, 5], [1, 2, 0, 1, 1]),
    Row("out = 7 % d + x[0, 0]", 2, 3, 0),
    Row("out = x.long().fmod(d)", [1, 2, 3, -1, 5], [5, 5, 5, 5, 5], [1, 2, 0, 1, 1]),
    Row("out = tg.div(x.long(), d, rounding_mode='trunc')", [1, 2, 3, -1, 5], [5, 5, 5, 5, 5], [1, 2, 0, 1, 1]),
    # probabilities
    Row("out = tg.bernoulli(d) + x[0, 0]", [0.0, 0.5, 1.0], [1.0, 1.0, 0.1], [0.0, 1.5, 1.0]),
    Row("out = x * 1; out.bernoulli_(d)", [0.5] * 5, [1.0] * 5, [0.5, -0.5, float("nan"), 1.0, 0.0]),
    Row("out = tg.normal(x[0], d) + tg.normal(0.0, d)", [0.0, 0.5, 1.0, 2.0, 3.0], [1.0] * 5, [0.5, -0.5, 1.0, 1.0, 1.0]),
    Row("out = tg.multinomial(d, 2) + x[0, 0]", [0.0, 0.5, 1.0], [1.0, 1.0, 0.1], [0.0, -1.5, 1.0]),
    Row("out = tg.multinomial(d, 2, replacement=True) + x[0, 0]", [0.0, 0.5], [1.0, 0.1], [0.0, float("inf")]),
    Row("out = tg.multinomial(d, 1) + x[0, 0]", [[0.0, 0.5]] * 2, [[1.0, 0.1]] * 2, [[0.0, 1.0], [0.0, 0.0]]),
    Row("out = F.binary_cross_entropy(d, tg.ones(3)) + x[0, 0]", [0.1, 0.5, 1.0], [1.0, 1.0, 0.1], [0.0, 1.5, 1.0]),
    Row("out = F.gaussian_nll_loss(x[0], x[1], d)", [0.0, 0.5, 1.0, 2.0, 3.0], [1.0] * 5, [0.5, -0.5, 1.0, 1.0, 1.0]),
]  # fmt: skip
