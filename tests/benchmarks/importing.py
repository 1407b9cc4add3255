"""How long `import tapegrad` takes, and a first trivial call of a jitted function, each in a process of its own."""

from __future__ import annotations

import functools
import subprocess
import sys
from types import ModuleType

from tables import Row, table
from timing import taking_turns

__all__ = ["report"]

IMPORTS = {"tapegrad": "import tapegrad", "NumPy": "import numpy", "JAX": "import jax", "PyTorch": "import torch"}
FIRST_CALLS = {
    "tapegrad": "import tapegrad as tg; tg.jit(lambda x: x * 2)(tg.ones(3)).numpy()",
    "JAX": "import jax, jax.numpy as jnp; jax.jit(lambda x: x * 2)(jnp.ones(3)).block_until_ready()",
    "PyTorch": "import torch; (torch.ones(3) * 2).numpy()",
}


def seconds_in_process(code: str) -> float:
    """How long `code` runs in a fresh interpreter, which is not counted."""
    program = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(found.stdout)


def report(torch: ModuleType | None) -> None:
    """Print the tables."""
    for title, columns, codes in (
        ("import", ["tapegrad", "NumPy", "JAX", "PyTorch"], IMPORTS),
        ("import and first call of a trivial function, jitted", ["tapegrad", "JAX", "PyTorch"], FIRST_CALLS),
    ):
        turns = {
            name: functools.partial(seconds_in_process, code)
            for name, code in codes.items()
            if name != "PyTorch" or torch is not None
        }
        print(table(title, columns, [Row("in a new process", taking_turns(turns, rounds=6, at_most=20))], close=True))
