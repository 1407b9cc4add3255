"""The examples written down in tests/tapegrad are PyTorch's own answers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ..examples import blocks, check

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")


def examples() -> dict[str, str]:
    """Every block of every EXAMPLES, by file and name."""
    found = {}
    for path in sorted((Path(__file__).parents[1] / "tapegrad").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
                found.update({f"{path.stem}: {k}": v for k, v in blocks(ast.literal_eval(node.value)).items()})
    return found


@pytest.mark.parametrize("name", examples())
def test_pytorch_answers_so(name: str) -> None:
    check(examples()[name], torch)
