"""What the tests of saving and loading share: files in memory, and all of an object that must come back."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tapegrad as tg

__all__ = ["again", "dumped", "linked", "loaded", "names_in", "nested", "seen"]


def dumped(obj: Any) -> bytes:
    file = io.BytesIO()
    tg.save(obj, file)
    return file.getvalue()


def loaded(data: bytes) -> Any:
    return tg.load(io.BytesIO(data))


def again(obj: Any) -> Any:
    return loaded(dumped(obj))


def seen(x: Any) -> Any:
    """All of an object that must come back, comparable with ==."""
    if isinstance(x, tg.Tensor):
        array = x.detach().numpy()
        return tg.Tensor, x.dtype, array.shape, array.tobytes(), x.requires_grad, x.is_leaf
    if isinstance(x, dict):
        return type(x), [(type(key), key, seen(value)) for key, value in x.items()]
    if isinstance(x, list | tuple):
        return type(x), [seen(part) for part in x]
    return type(x), repr(x)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def linked(base: Any) -> list[Any]:
    return [
        base[1:],
        base[:, ::2],
        base.t(),
        base,
        base.detach(),
        base[0, 0],
        base.expand(2, 3, 4),
        base.flatten()[3:9],
    ]


def nested(depth: int, kind: Callable[[Any], Any]) -> Any:
    x: Any = 0
    for _ in range(depth):
        x = kind(x)
    return x
