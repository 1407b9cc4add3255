"""save and load: tensors, and what holds them, in a safetensors file, which is data and never code."""

from __future__ import annotations

import io
import os
from typing import Any

from .devices import check_device
from .errors import LoadError
from .safetensors_file import KEY, read, replace, serialized
from .structure import decoded, encoded
from .tape import state

__all__ = ["load", "save"]


def save(obj: Any, f: Any) -> None:
    """Write `obj` to `f`, a path or a binary file: `load` gives it back.

    `obj` is a tensor, or dicts (with str and int keys), `OrderedDict`s, lists and tuples, nested in any way, of
    tensors, None, bools, ints, floats, strings, dtypes, devices and `Size`s: what state dicts are made of.

    A tensor keeps its dtype, shape, strides (if it has all of its memory to itself, up to gaps and repetitions) and
    `requires_grad`. One that is no leaf is saved as its value, and loaded as a leaf. What appears twice is one tensor
    again; tensors on the same memory share it again, of which the part that they look at is saved. Gradients, hooks
    and attributes of tensors are not saved. A list or dict that appears twice is loaded as two.

    The file is a safetensors file. Where `obj` is a dict of tensors that do not share memory, other programs find each
    tensor under its key; else under the keys that lead to it, joined by dots.

    A path is written to in full or not at all: an old file there stays as it was until the new one is complete.

    Raises TypeError for what cannot be saved, ValueError for what contains itself or is nested too deeply (both before
    anything is written), RuntimeError if the folder of the path does not exist, OSError where writing fails.
    """
    if state.recorder is not None:
        raise state.recorder.unsupported("save(): save outside")
    is_path = isinstance(f, str | bytes | os.PathLike)
    if not is_path and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    if isinstance(f, io.TextIOBase):
        raise TypeError("save(): f must be opened in binary mode")
    entries, structure = encoded(obj)
    if is_path:
        replace(os.fsdecode(f), entries, {KEY: structure})
        return
    rest = serialized(entries, {KEY: structure})
    while rest:
        count = f.write(rest)
        rest = rest[count:] if isinstance(count, int) else b""  # an unbuffered file may take a part


def load(
    f: Any,
    map_location: Any = None,
    *,
    weights_only: bool = True,  # noqa: ARG001  (PyTorch's: here a file never holds anything else)
    mmap: bool | None = None,  # noqa: ARG001  (PyTorch's)
) -> Any:
    """What `save` wrote to `f`, a path or a binary file; of any other safetensors file, its tensors in a dict.

    Nothing in the file is run, whatever it holds. The other arguments are PyTorch's: `map_location` may be the CPU (or
    a function or a dict, which have nothing to say of tensors that are on the CPU); `weights_only` and `mmap` change
    nothing.

    Raises LoadError (a ValueError and RuntimeError), which names the file and what is wrong, for any file that is not
    as it should be; OSError for one that cannot be read.
    """
    if state.recorder is not None:
        raise state.recorder.unsupported("load(): load outside")
    if not (callable(map_location) or isinstance(map_location, dict)):
        check_device(map_location)
    if isinstance(f, str | bytes | os.PathLike):
        with open(f, "rb") as file:  # noqa: PTH123  (a path may be bytes)
            return _loaded(file, os.fsdecode(f))
    if not hasattr(f, "read"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'read' attribute")
    if isinstance(f, io.TextIOBase):
        raise TypeError("load(): f must be opened in binary mode")
    name = getattr(f, "name", None)
    return _loaded(f, name if isinstance(name, str) else f"<{type(f).__name__}>")


def _loaded(file: Any, name: str) -> Any:
    try:
        memories, structure = read(file)
        return decoded(memories, structure)
    except LoadError as error:
        raise LoadError(f"{name}: {error}") from error.__cause__
