"""Python's ways to the world outside a function: output, files, the process. A recording stands in for them."""

from __future__ import annotations

import builtins
import io
import logging
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np

__all__ = ["REFUSED", "TOLD", "WAYS", "process"]

_FILES = "what is in files cannot be watched for changes: read and write outside"
_PROCESS = "what it does to the process or its surroundings would be done once only: do it outside"
_DRAWS = "it would be drawn once only: draw outside, and pass in what came"
REFUSED: dict[tuple[Any, str], str] = {
    (builtins, "open"): _FILES,
    (io, "open"): _FILES,
    (np.lib.npyio.DataSource, "open"): _FILES,
    (builtins, "input"): "what is answered would be asked once only: ask outside",
    **{(os, name): _FILES for name in ("open", "listdir", "scandir")},
    **{(os, name): _DRAWS for name in ("urandom", "getrandom")},
    **{
        (os, name): _PROCESS
        for name in (
            "chdir", "mkdir", "popen", "putenv", "remove", "rename", "replace", "rmdir", "system", "unlink", "unsetenv",
        )
    },
    (subprocess.Popen, "__init__"): _PROCESS,
}  # fmt: skip
"""Functions, by where they are, that a jitted function may not call, and why."""
TOLD: tuple[tuple[Any, str], ...] = ((os, "getcwd"), (os, "getcwdb"), (logging.Logger, "isEnabledFor"))
"""Functions whose answer is guarded."""
_OUTPUT: tuple[tuple[Any, str], ...] = (
    (builtins, "print"),
    (logging.Logger, "handle"),
    (logging.Logger, "makeRecord"),
    (warnings, "warn"),
    (warnings, "warn_explicit"),
)
WAYS: dict[tuple[Any, str], Any] = {
    (holder, name): vars(holder)[name] for holder, name in (*REFUSED, *TOLD, *_OUTPUT) if name in vars(holder)
}
"""All of these functions, and those that put something out."""


def process(name: str) -> Any:
    """The state of the process that is called `name`, in a form that can be compared."""
    return tuple(sorted(os.environ.items())) if name == "environ" else tuple(sys.argv)
