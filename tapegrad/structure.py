"""What is saved, as entries of a file and a text: the text has the containers, the scalars and each tensor's window."""

from __future__ import annotations

import json
import math
import sys
from collections import OrderedDict
from typing import Any

import numpy as np

from . import dtypes
from .copying import warn_of_hooks
from .devices import device
from .dtypes import dtype, from_numpy_dtype
from .errors import LoadError
from .formats import present_order
from .memory import Memory, Window, in_order, located
from .ops.support import reads_value
from .safetensors_file import Entry, Stored, strict_json
from .tape import TensorBase

__all__ = ["decoded", "encoded"]

_VERSION = 1
_DEEPEST = 100  # containers in one another: less than the JSON of them may be nested

Json = Any


def encoded(obj: Any) -> tuple[list[Entry], str]:
    """The entries to write for the tensors in `obj`, and the text from which `decoded` finds `obj` in them.

    Raises TypeError for what cannot be saved, ValueError for what contains itself or is nested too deeply.
    """
    found = _Encoder()
    body = found.encode(obj, ())
    entries, rows, orders = _entries(found.tensors, found.names)
    structure = {"version": _VERSION, "object": body, "tensors": rows, "orders": orders}
    return entries, json.dumps(structure, allow_nan=False)


class _Encoder:
    """Walks an object, keeping each tensor once, with a name for it.

    None, bools, ints, finite floats, strings (of what UTF-8 can say) and lists are themselves in JSON; everything else
    is an object of one key, its kind.
    """

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.names: list[str] = []
        self._numbers: dict[int, int] = {}
        self._open: set[int] = set()

    def encode(self, x: Any, keys: tuple[Any, ...]) -> Json:
        """`x`, which is found by following `keys`."""
        kind = type(x)
        if x is None or kind in (bool, int):
            return x
        if kind is str:
            return _text(x)
        if kind is float:
            return x if math.isfinite(x) else {"float": repr(x)}
        if isinstance(x, TensorBase):
            reads_value("save()", x)
            return {"tensor": self._number(x, keys)}
        if kind is dtype or kind is device:
            return {"dtype": x.name} if kind is dtype else {"device": str(x)}
        if id(x) in self._open:
            raise ValueError(f"save(): {_place(keys)} contains itself")
        if len(keys) >= _DEEPEST:
            raise ValueError(f"save(): {_place(keys[:3])}... is nested more than {_DEEPEST} levels deep")
        self._open.add(id(x))
        parts = self._parts(x, keys)
        self._open.discard(id(x))
        return parts

    def _parts(self, x: Any, keys: tuple[Any, ...]) -> Json:
        from .tensor import Size

        kind = type(x)
        if kind in (list, tuple, Size):
            parts = [self.encode(part, (*keys, i)) for i, part in enumerate(x)]
            return parts if kind is list else {kind.__name__: parts}
        if kind in (dict, OrderedDict):
            for key in x:
                if type(key) not in (str, int):
                    raise TypeError(f"save(): {_place(keys)} has the key {key!r}: keys must be strings or ints")
            return {
                kind.__name__: [[self.encode(key, keys), self.encode(value, (*keys, key))] for key, value in x.items()]
            }
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(
            f"save(): {_place(keys)} is a {name}, which cannot be saved: only tensors, dicts, lists, tuples, None, "
            "bools, ints, floats, strings, dtypes and devices can"
        )

    def _number(self, t: Any, keys: tuple[Any, ...]) -> int:
        """Which of the tensors `t` is."""
        number = self._numbers.get(id(t))
        if number is None:
            warn_of_hooks(t)
            number = self._numbers[id(t)] = len(self.tensors)
            self.tensors.append(t)
            self.names.append(".".join(map(str, keys)) if keys else "tensor")
        return number


def _text(x: str) -> Json:
    """A string, or its code points if they include surrogates, of which JSON joins pairs."""
    try:
        x.encode()
    except UnicodeEncodeError:
        return {"str": [ord(c) for c in x]}
    return x


def _place(keys: tuple[Any, ...]) -> str:
    """Where something is, in Python's words."""
    return "obj" + "".join([f"[{key!r}]" for key in keys])


def _entries(tensors: list[Any], names: list[str]) -> tuple[list[Entry], list[Json], dict[str, list[int]]]:
    """One entry for each memory, for each tensor a row that says which and what it shows of it, and orders.

    Entries lie in the order of their axes, for other programs to read. `orders` has those of which memory is to have
    the axes in another order before the rows are right: the axes, the slowest first.
    """
    places = [located(t._array) for t in tensors]
    on: dict[int, list[int]] = {}
    for number, (owner, _, _) in enumerate(places):
        on.setdefault(id(owner), []).append(number)
    entries: list[Entry] = []
    rows: list[Json] = [None] * len(tensors)
    orders: dict[str, list[int]] = {}
    taken: set[str] = set()
    for numbers in on.values():
        name = _free(names[numbers[0]], taken)
        windows = [places[number][2] for number in numbers]
        if all(window == windows[0] for window in windows):
            array = tensors[numbers[0]]._array
            order, windows = _alone(array, len(numbers))
            entry = _entry(name, np.ascontiguousarray(array).reshape(array.shape))
            if order != list(range(array.ndim)):
                orders[name] = [*order, *range(array.ndim, len(entry.shape))]
        else:
            part, windows = _shared(places[numbers[0]][1], windows)
            entry = _entry(name, part)
        entries.append(entry)
        for number, window in zip(numbers, windows, strict=True):
            rows[number] = _row(entry, window, tensors[number].requires_grad)
    return entries, rows, orders


def _free(name: str, taken: set[str]) -> str:
    """`name`, or with a number behind it if it is taken or the format's own; only what UTF-8 can say."""
    name = name.encode(errors="replace").decode()
    found, count = name, 1
    while found in taken or found == "__metadata__":
        count += 1
        found = f"{name}#{count}"
    taken.add(found)
    return found


def _alone(array: np.ndarray[Any, Any], count: int) -> tuple[list[int], list[Window]]:
    """The order of an array's axes in memory, and the window that shows it in memory without gaps, `count` times."""
    order = list(range(array.ndim)) if array.flags.c_contiguous else list(present_order(array))
    dense = in_order(array.dtype, [array.shape[axis] for axis in order])
    strides = tuple([dense.strides[order.index(axis)] for axis in range(array.ndim)])
    return order, [Window(array.dtype, array.shape, strides, 0)] * count


def _shared(row: Any, windows: list[Window]) -> tuple[np.ndarray[Any, Any], list[Window]]:
    """The part of a memory that the windows look at, in their dtype if that is one, and the windows on that part."""
    sizes = [window.dtype.itemsize for window in windows]
    widest = max(sizes)
    bounds = [window.bounds for window in windows if 0 not in window.shape] or [(0, 0)]
    first = min(start for start, _ in bounds) // widest * widest
    last = -(-max(end for _, end in bounds) // widest) * widest
    part = row[first:last]
    moved = [
        window._replace(offset=0 if 0 in window.shape else window.offset - first // window.dtype.itemsize)
        for window in windows
    ]
    if len({window.dtype for window in windows}) > 1:
        return part, moved
    values = part.view(windows[0].dtype)
    for window in moved:
        if window == in_order(values.dtype, window.shape) and math.prod(window.shape) == values.size:
            return values.reshape(window.shape), moved
    return values, moved


def _entry(name: str, array: np.ndarray[Any, Any]) -> Entry:
    d = from_numpy_dtype(array.dtype)
    if d is dtypes.complex128:
        return Entry(name, dtypes.float64, (*array.shape, 2), array)
    return Entry(name, d, array.shape, array)


def _row(entry: Entry, window: Window, requires_grad: bool) -> Json:
    row: dict[str, Json] = {"name": entry.name}
    if window != in_order(entry.dtype.numpy, entry.shape):
        row["dtype"] = from_numpy_dtype(window.dtype).name
        row["shape"], row["strides"], row["offset"] = list(window.shape), list(window.strides), window.offset
    if requires_grad:
        row["requires_grad"] = True
    return row


# And back


def decoded(stored: dict[str, Stored], text: str | None) -> Any:
    """The object that `encoded` made the text of; without a text, each entry as a tensor, by name.

    Raises LoadError where the text is not what `encoded` makes, or does not go with the entries.
    """
    if text is None:
        return {name: _opened(name, Memory(entry.bytes, _whole(entry)), entry, {}) for name, entry in stored.items()}
    try:
        found = strict_json(text)
    except ValueError as error:
        raise LoadError(f"its structure is not JSON: {error}") from error
    if not isinstance(found, dict) or type(found.get("version")) is not int:
        raise LoadError("its structure has no version")
    if found["version"] != _VERSION:
        raise LoadError(f"its structure is of version {_short(found['version'])}; this tapegrad reads {_VERSION}")
    rows, orders = found.get("tensors"), found.get("orders")
    if not isinstance(rows, list) or not isinstance(orders, dict) or "object" not in found:
        raise LoadError("its structure is incomplete")
    memories = {name: Memory(_ordered(name, entry, orders.get(name)), _whole(entry)) for name, entry in stored.items()}
    tensors = [_tensor(row, memories, stored) for row in rows]
    return _decode(found["object"], tensors, 0)


def _whole(entry: Stored) -> Window:
    """The window that shows all of an entry."""
    return in_order(entry.dtype.numpy, entry.shape)


def _ordered(name: str, entry: Stored, order: Json) -> Any:
    """The bytes of an entry, the axes in the order given."""
    if order is None:
        return entry.bytes
    if not _are_ints(order) or sorted(order) != list(range(len(entry.shape))):
        raise LoadError(f"{name!r} has an order of axes that is none")
    try:
        values = entry.bytes.view(entry.dtype.numpy).reshape(entry.shape)
    except ValueError as error:
        raise LoadError(f"{name!r} cannot be opened: {error}") from error
    return np.ascontiguousarray(values.transpose(order)).reshape(-1).view(np.uint8)


def _tensor(row: Json, memories: dict[str, Memory], stored: dict[str, Stored]) -> Any:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or row["name"] not in memories:
        raise LoadError("its structure speaks of a tensor that is not in the file")
    return _opened(row["name"], memories[row["name"]], stored[row["name"]], row)


def _opened(name: str, memory: Memory, entry: Stored, row: dict[str, Json]) -> Any:
    """The tensor that a row describes."""
    window = _window(name, row) if "shape" in row else _whole(entry)
    requires_grad = row.get("requires_grad", False)
    if type(requires_grad) is not bool or (requires_grad and window.dtype.kind in "biu"):
        raise LoadError(f"{name!r} cannot require grad")
    try:
        t = memory.open(window)
    except ValueError as error:
        raise LoadError(f"{name!r} cannot be opened: {error}") from error
    if window.dtype.kind == "b" and not _are_bools(t._array):
        raise LoadError(f"{name!r} is of dtype bool and has a byte that is neither 0 nor 1")
    return t.requires_grad_(requires_grad)


def _are_bools(array: np.ndarray[Any, Any]) -> bool:
    """Whether every byte is 0 or 1; those that an array repeats are looked at once."""
    once = array[tuple([slice(None) if stride else slice(1) for stride in array.strides])]
    return not once.size or int(once.view(np.uint8).max()) <= 1


def _window(name: str, row: dict[str, Json]) -> Window:
    shape: Json = row.get("shape")
    strides: Json = row.get("strides")
    offset: Json = row.get("offset")
    d = _dtype(row.get("dtype"))
    if not (_are_ints(shape) and _are_ints(strides) and _are_ints([offset])):
        raise LoadError(f"{name!r} has a shape, strides or an offset that are none")
    if len(shape) != len(strides) or any(n < 0 for n in shape):
        raise LoadError(f"{name!r} has a shape and strides that do not go together")
    return Window(d.numpy, tuple(shape), tuple(strides), offset)


def _are_ints(x: Json) -> bool:
    return isinstance(x, list) and all(type(n) is int and abs(n) < 2**63 for n in x)


def _short(x: Json) -> str:
    """The beginning of what a file has, for a message."""
    return repr(x)[:60]


def _dtype(name: Json) -> dtype:
    found = next((d for d in dtypes.DTYPES if d.name == name), None)
    if found is None:
        raise LoadError(f"its structure speaks of a dtype {_short(name)}")
    return found


def _decode(body: Json, tensors: list[Any], depth: int) -> Any:
    """The object that a JSON value stands for."""
    if depth > _DEEPEST:
        raise LoadError(f"its structure is nested more than {_DEEPEST} levels deep")
    if isinstance(body, list):
        return [_decode(part, tensors, depth + 1) for part in body]
    if not isinstance(body, dict):
        return body
    if len(body) != 1:
        raise LoadError("its structure has an object of several kinds, or of none")
    ((kind, value),) = body.items()
    if kind in ("dict", "OrderedDict"):
        return _mapping(kind, value, tensors, depth)
    if kind in ("tuple", "Size") and isinstance(value, list):
        return _sequence(kind, [_decode(part, tensors, depth + 1) for part in value])
    if kind == "tensor" and type(value) is int and 0 <= value < len(tensors):
        return tensors[value]
    return _scalar(kind, value)


def _scalar(kind: str, value: Json) -> Any:
    """What is no number or text of JSON's own."""
    if kind == "str" and _are_ints(value) and all(0 <= n <= sys.maxunicode for n in value):
        return "".join(map(chr, value))
    if kind == "float" and value in ("nan", "inf", "-inf"):
        return float(value)
    if kind == "dtype":
        return _dtype(value)
    if kind == "device" and isinstance(value, str):
        try:
            return device(value)
        except RuntimeError as error:
            raise LoadError(f"its structure speaks of a device {_short(value)}") from error
    raise LoadError(f"its structure has something of an unknown kind, {_short(kind)}")


def _mapping(kind: str, items: Json, tensors: list[Any], depth: int) -> Any:
    found: dict[Any, Any] = {} if kind == "dict" else OrderedDict()
    if not isinstance(items, list):
        raise LoadError("its structure has a dict without items")
    for item in items:
        if not isinstance(item, list) or len(item) != 2:
            raise LoadError("its structure has a dict with an item that is none")
        key = _decode(item[0], [], depth + 1)
        if type(key) not in (str, int) or key in found:
            raise LoadError("its structure has a dict with a key that is none, or appears twice")
        found[key] = _decode(item[1], tensors, depth + 1)
    return found


def _sequence(kind: str, parts: list[Any]) -> Any:
    from .tensor import Size

    if kind == "tuple":
        return tuple(parts)
    if any(type(n) is not int for n in parts):
        raise LoadError("its structure has a Size of something else than ints")
    return Size(parts)
