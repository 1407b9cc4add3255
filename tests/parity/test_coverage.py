"""`docs/pytorch-autograd.md` says of each public name of PyTorch's autograd whether it is here: it must be right."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="compares with an installed PyTorch")

import tapegrad as tg  # noqa: E402

TABLE = Path(__file__).parents[2] / "docs" / "pytorch-autograd.md"
ROW = re.compile(r"^\| `(\w+)` \| (in|out) \|", re.MULTILINE)


def sections() -> dict[str, dict[str, str]]:
    """Per heading, what the table says of each name."""
    parts = re.split(r"^## (torch[\w.]*).*$", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {heading: dict(ROW.findall(text)) for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def found(name: str) -> tuple[Any, Any]:
    """What a heading means in PyTorch and here."""
    if name == "torch.Tensor":
        return torch.Tensor, tg.Tensor
    return importlib.import_module(name), importlib.import_module(name.replace("torch", "tapegrad", 1))


@pytest.mark.parametrize("heading", sections())
def test_every_public_name_has_a_row(heading: str) -> None:
    theirs, _ = found(heading)
    public = set(getattr(theirs, "__all__", ()))
    assert public <= sections()[heading].keys(), "public in PyTorch, without a row"
    assert {name for name in sections()[heading] if not hasattr(theirs, name)} == set(), "not in PyTorch"


@pytest.mark.parametrize("heading", sections())
def test_what_is_in_is_here(heading: str) -> None:
    theirs, here = found(heading)
    here_too = {name for name, where in sections()[heading].items() if hasattr(here, name)}
    assert here_too == {name for name, where in sections()[heading].items() if where == "in"}
    for name in here_too:
        assert callable(getattr(here, name)) == callable(getattr(theirs, name)), name
        if isinstance(getattr(theirs, name), ModuleType):
            assert isinstance(getattr(here, name), ModuleType), name


def test_rows_are_not_repeated() -> None:
    names = ROW.findall(TABLE.read_text(encoding="utf-8"))
    assert len(names) == sum(len(rows) for rows in sections().values())
