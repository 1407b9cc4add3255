"""Benchmarks, printed as tables: `make bench`, or `python tests/benchmarks/run.py WORD ...` for some sections only.

PyTorch is a column where it is installed. Ratios are between contenders that took turns on this machine: the best of
many short turns each. A target stands beside the ratio that it is for.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
import time
from collections.abc import Sequence
from types import ModuleType

import compiled
import eager
import importing
import jax
import numpy as np

import tapegrad as tg

SECTIONS = {
    "eager": eager.report,
    "steps": compiled.report_steps,
    "record": compiled.report_record,
    "memory": compiled.report_memory,
    "import": importing.report,
}


def torch_or_none() -> ModuleType | None:
    """PyTorch, if installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch


def main(words: Sequence[str]) -> str | None:
    """Run the sections called `words`, by default all. Returns what is wrong with the words."""
    unknown = [word for word in words if word not in SECTIONS]
    if unknown:
        return f"no section {unknown[0]!r}: there are {', '.join(SECTIONS)}"
    torch = torch_or_none()
    versions = f"tapegrad {tg.__version__}, NumPy {np.__version__}, JAX {jax.__version__}"
    print(f"{time.strftime('%Y-%m-%d')}  {platform.machine()}, Python {platform.python_version()}, {versions}", end="")
    print(f", PyTorch {torch.__version__}" if torch else "  (PyTorch is not installed)")
    for word in words or SECTIONS:
        SECTIONS[word](torch)
        sys.stdout.flush()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
