"""Examples as a Python prompt shows them: code, and the text it prints or the error it raises.

A text holds blocks: a comment that names a behaviour, then `>>> code` and what PyTorch answers. `import tapegrad as
torch` has to answer the same, to the letter; an error is one of the same builtin class, whose message begins as shown
(`...` stands for the rest). The answers are PyTorch's own: `make parity` puts the same examples to PyTorch.
"""

from __future__ import annotations

import builtins
import contextlib
import doctest
import io
import math
import warnings
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["blocks", "check", "scope"]

PARSER = doctest.DocTestParser()


def blocks(text: str) -> dict[str, str]:
    """The blocks of a text by name."""
    found = {}
    for block in text.strip().split("\n\n"):
        name, _, examples = block.partition("\n")
        assert name.startswith("# "), f"a block begins with its name: {block!r}"
        assert name[2:] not in found, f"two blocks called {name[2:]!r}"
        found[name[2:]] = examples
    return found


def scope(library: ModuleType) -> dict[str, Any]:
    """The names that examples may use."""
    return {"torch": library, "F": library.nn.functional, "np": np, "inf": math.inf, "nan": math.nan}


def check(block: str, library: ModuleType) -> None:
    """Run a block; every answer must be the one written down."""
    names = scope(library)
    for example in PARSER.get_examples(block):
        got = answer(example.source, names)
        if example.exc_msg is None:
            assert got == example.want, f"{example.source}printed\n{got}expected\n{example.want}"
        else:
            check_error(example, got)


def answer(source: str, names: dict[str, Any]) -> str | Exception:
    """What the prompt prints, or the exception."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            if names["torch"].__name__ == "torch":
                warnings.simplefilter("ignore")
            exec(compile(source, "<example>", "single"), names)
    except Exception as error:
        return error
    return printed.getvalue()


def check_error(example: doctest.Example, got: str | Exception) -> None:
    kind, _, message = (example.exc_msg or "").strip().partition(": ")
    assert isinstance(got, getattr(builtins, kind)), f"{example.source}gave {got!r}, expected {kind}: {message}"
    begin, dots, _ = message.partition("...")
    shown = str(got)
    assert shown.startswith(begin) if dots else shown == message, (
        f"{example.source}said {shown!r}, expected {message!r}"
    )
