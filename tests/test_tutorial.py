"""PyTorch's autograd tutorial, cell by cell, with `import tapegrad as torch`: prints what PyTorch printed.

The reference is a notebook that was saved with its outputs, which lost what stood in angle brackets, and all but one
of each run of spaces. So did both sides here before they are compared.
"""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import pytest

import tapegrad

# The code of each cell, and what it printed.
CELLS = [
    ("import tapegrad as torch\n\nprint(torch.__version__)", f"{tapegrad.__version__}\n"),
    (
        "x = torch.ones(2, 2, requires_grad=True)\nprint(x)\nprint(x.grad_fn)",
        "tensor([[1., 1.],\n [1., 1.]], requires_grad=True)\nNone\n",
    ),
    ("y = x + 2\nprint(y)\nprint(y.grad_fn)", "tensor([[3., 3.],\n [3., 3.]], grad_fn=)\n\n"),
    ("print(x.is_leaf, y.is_leaf)", "True False\n"),
    (
        "z = y * y * 3\nout = z.mean()\nprint(z, out)",
        "tensor([[27., 27.],\n [27., 27.]], grad_fn=) tensor(27., grad_fn=)\n",
    ),
    (
        "a = torch.randn(2, 2)\na = ((a * 3) / (a - 1))\nprint(a.requires_grad)\na.requires_grad_(True)\n"
        "print(a.requires_grad)\nb = (a * a).sum()\nprint(b.grad_fn)",
        "False\nTrue\n\n",
    ),
    ("out.backward()\nprint(x.grad)", "tensor([[4.5000, 4.5000],\n [4.5000, 4.5000]])\n"),
    (
        "out2 = x.sum()\nout2.backward()\nprint(x.grad)\n\n"
        "out3 = x.sum()\nx.grad.data.zero_()\nout3.backward()\nprint(x.grad)",
        "tensor([[5.5000, 5.5000],\n [5.5000, 5.5000]])\ntensor([[1., 1.],\n [1., 1.]])\n",
    ),
    (
        "x = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)\ny = 2 * x\nz = y.view(2, 2)\nprint(z)",
        "tensor([[2., 4.],\n [6., 8.]], grad_fn=)\n",
    ),
    (
        "v = torch.tensor([[1.0, 0.1], [0.01, 0.001]], dtype=torch.float)\nz.backward(v)\n\nprint(x.grad)",
        "tensor([2.0000, 0.2000, 0.0200, 0.0020])\n",
    ),
    (
        "x = torch.tensor(1.0, requires_grad=True)\ny1 = x ** 2\nwith torch.no_grad():\n    y2 = x ** 3\ny3 = y1 + y2\n\n"
        "print(x, x.requires_grad)\nprint(y1, y1.requires_grad)\nprint(y2, y2.requires_grad)\nprint(y3, y3.requires_grad)",
        "tensor(1., requires_grad=True) True\ntensor(1., grad_fn=) True\ntensor(1.) False\ntensor(2., grad_fn=) True\n",
    ),
    ("y3.backward()\nprint(x.grad)", "tensor(2.)\n"),
    (
        "x = torch.ones(1,requires_grad=True)\n\nprint(x.data)\nprint(x.data.requires_grad)\n\ny = 2 * x\nx.data *= 100\n\n"
        "y.backward()\nprint(x)\nprint(x.grad)",
        "tensor([1.])\nFalse\ntensor([100.], requires_grad=True)\ntensor([2.])\n",
    ),
]

# Beside a call that is commented out, after the cell that runs `y3.backward()`.
REFUSED = "y2.backward()"
REFUSAL = "element 0 of tensors does not require grad and does not have a grad_fn"

# What the brackets held, in the order it is printed.
NODES = ["AddBackward0", "AddBackward0", "MulBackward0", "MeanBackward0", "SumBackward0", "ViewBackward0", "PowBackward0",
         "AddBackward0"]  # fmt: skip


def as_saved(text: str) -> str:
    """The text without what stands in angle brackets, each run of spaces as one."""
    return re.sub(" +", " ", re.sub("<[^>]*>", "", text))


def printed(code: str, names: dict[str, Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        exec(code, names)
    return text.getvalue()


def test_every_cell_prints_what_the_notebook_shows() -> None:
    names: dict[str, Any] = {}
    nodes: list[str] = []
    for code, expected in CELLS:
        text = printed(code, names)
        assert as_saved(text) == expected, code
        nodes += re.findall(r"<(\w+)", text)
        if code.startswith("y3.backward()"):
            with pytest.raises(RuntimeError, match=REFUSAL):
                exec(REFUSED, names)
    assert nodes == NODES
