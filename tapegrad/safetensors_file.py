"""The safetensors format: entries of bytes, each with a name, a dtype and a shape, behind a header of JSON."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import dtypes
from .dtypes import dtype
from .errors import LoadError, TapegradError, UnsupportedError

__all__ = ["KEY", "Entry", "Stored", "read", "replace", "serialized", "strict_json"]

KEY = "tapegrad"
"""Where the metadata of a file has the structure of what was saved."""

_METADATA = "__metadata__"  # the format's name for it
_LONGEST_HEADER = 100_000_000  # the format's limit
_NAMES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "I8": dtypes.int8, "I16": dtypes.int16, "I32": dtypes.int32,
    "I64": dtypes.int64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64,
    "C64": dtypes.complex64,
}  # fmt: skip

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Entry(NamedTuple):
    """What is to be written: an array whose elements lie in order, under a name, as another shape if one is given.

    `dtype` is the file's, which has no complex128: that is written as twice as many float64.
    """

    name: str
    dtype: dtype
    shape: tuple[int, ...]
    array: np.ndarray[Any, Any]


class Stored(NamedTuple):
    """What was read: the bytes of one entry, writable and aligned, and what the file says they are."""

    dtype: dtype
    shape: tuple[int, ...]
    bytes: Bytes


def _check_byte_order() -> None:
    if sys.byteorder != "little":
        raise UnsupportedError("save() and load() need a little-endian machine: such are the numbers in the file")


# Writing


def _specs(entries: Sequence[Entry]) -> dict[str, Any]:
    """The entries as the library wants them: by address, so `entries` must outlive the result."""
    from safetensors import TensorSpec

    _check_byte_order()
    return {
        entry.name: TensorSpec(
            dtype=entry.dtype.name,
            shape=entry.shape,
            data_ptr=entry.array.ctypes.data,
            data_len=entry.array.nbytes,
        )
        for entry in entries
    }


def serialized(entries: Sequence[Entry], metadata: dict[str, str]) -> bytes:
    """The bytes of the file."""
    from safetensors import serialize

    return bytes(serialize(_specs(entries), metadata=metadata))


def replace(path: str, entries: Sequence[Entry], metadata: dict[str, str]) -> None:
    """Write the file, in full or not at all: beside `path`, and then in its place.

    A link is followed. What is no regular file (a device, a pipe) is written to directly.

    Raises RuntimeError if the folder does not exist, OSError where writing fails.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise TapegradError(f"Parent directory {target.parent} does not exist.")
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        target.write_bytes(serialized(entries, metadata))
        return
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        _write_new(beside, _specs(entries), metadata, mode)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        raise


def _write_new(path: Path, specs: dict[str, Any], metadata: dict[str, str], mode: int | None) -> None:
    """Write a file that does not exist yet, through to the disk, with the mode given or that new files have."""
    from safetensors import SafetensorError, serialize_file

    path.touch(exist_ok=False)
    wanted = path.stat().st_mode if mode is None else mode
    try:
        serialize_file(specs, os.fspath(path), metadata=metadata)
    except SafetensorError as error:
        raise _os_error(error) from error
    path.chmod(stat.S_IMODE(wanted))  # the library makes a file that only its owner can read
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _os_error(error: Exception) -> Exception:
    """What the operating system said, where the library tells of it."""
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


# Reading


def read(file: Any) -> tuple[dict[str, Stored], str | None]:
    """The entries of a binary file in the order of its header, and what its metadata has under `KEY`.

    Raises LoadError for anything that is not a safetensors file to the letter.
    """
    from safetensors import SafetensorError, deserialize

    _check_byte_order()
    length = _exactly(file, 8)
    size = int.from_bytes(length, "little")
    if len(length) < 8 or size > _LONGEST_HEADER:
        raise LoadError(_not_one(length, "its header would be too long" if len(length) == 8 else "it is too short"))
    header = _exactly(file, size)
    if len(header) < size:
        raise LoadError(_not_one(length, "it ends within its header"))
    found = _header(length, header)
    try:
        parts: dict[str, Any] = dict(deserialize(length + header + _rest(file)))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise LoadError(f"not a valid safetensors file: {error}") from error
    structure = found.pop(_METADATA, {}).get(KEY)
    if found.keys() != parts.keys():
        raise LoadError("not a valid safetensors file: its header can be read in two ways")
    return {name: _stored(name, parts.pop(name)) for name in found}, structure


def _exactly(file: Any, count: int) -> bytes:
    """The next `count` bytes, fewer only at the end of the file: one read of a pipe may give less than there is."""
    parts = []
    while count:
        part = _bytes(file.read(count))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _rest(file: Any) -> bytes:
    return _bytes(file.read())


def _bytes(part: Any) -> bytes:
    if not isinstance(part, bytes | bytearray | memoryview):
        raise TypeError(f"load(): expected a file that gives bytes when read, got {type(part).__name__}")
    return bytes(part)


def _header(length: bytes, header: bytes) -> dict[str, Any]:
    try:
        found = strict_json(header.decode())
    except ValueError as error:
        raise LoadError(_not_one(length, f"its header is not JSON: {error}")) from error
    if not isinstance(found, dict) or not isinstance(found.get(_METADATA, {}), dict):
        raise LoadError("not a valid safetensors file: its header is no object of objects")
    return found


def _not_one(start: bytes, reason: str) -> str:
    """Why a file is not read, and what it seems to be by its first bytes."""
    if start.startswith(b"PK"):
        return "a zip archive, as torch.save writes: it holds pickles, which can run any code and are never loaded"
    if re.match(rb"\x80[\x00-\x05]", start):
        return "a pickle, it seems: those can run any code and are never loaded"
    return f"not a safetensors file: {reason}"


def strict_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError also for repeated keys, NaN and infinity, and too deep nesting."""
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _stored(name: str, part: dict[str, Any]) -> Stored:
    d = _NAMES.get(part["dtype"])
    if d is None:
        raise LoadError(f"{name!r} is of type {part['dtype']}, which tensors cannot be")
    shape = tuple(part["shape"])
    data: Bytes = np.frombuffer(part["data"], np.uint8)
    if data.size != math.prod(shape) * d.itemsize:
        raise LoadError(f"{name!r} has not as many bytes as its shape needs")
    return Stored(d, shape, data)
