"""The code of a specialisation: Python written for it, which checks that it fits, runs its program, and sets effects.

Two functions are made from the same lines. `call(args, kwargs)` finds everything by the paths on which it was found,
checking on the way that all is as it was recorded; it returns MISS if something is not. `run(objects, floats)` is
given what a full signature found. Tensors that a program keeps on the device are recognised by the very buffer that the
last call left there, so that their shapes and dtypes need not be looked at again.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..dtypes import get_default_dtype
from ..environment import class_names, hooks_of
from ..tape import edge_of, state
from ..tape.hooks import leaves_with_extras
from ..tape.number import Came, came_to, outcome_of
from ..tape.recorded_inputs import whole_of
from ..tape.variable import classes_on_device, fresh_on_device
from ..tree import registered
from .body import Body
from .compiled_node import held, kept_apart
from .device import store, value_of
from .packs import Pack
from .paths import NoPath, Paths
from .runtime import (
    MISS,
    Anchors,
    Mismatch,
    finish,
    fit,
    item,
    look,
    look_again,
    pack,
    refuse,
    replace_data,
    spare,
    version_of,
    versioned,
)

if TYPE_CHECKING:
    from .specialisation import Specialisation

__all__ = ["NAMES", "given", "names_of", "write_dispatch"]


NAMES: dict[str, Any] = {
    "Absent": (KeyError, IndexError, AttributeError, ArithmeticError, TypeError, ValueError), "Came": Came,
    "MISS": MISS, "Mismatch": Mismatch, "Pack": Pack, "array": np.asarray, "builtins": builtins, "came_to": came_to,
    "class_names": class_names, "default_dtype": get_default_dtype, "edge_of": edge_of, "finish": finish, "fit": fit,
    "fresh": fresh_on_device, "held": held, "hooks_of": hooks_of, "item": item, "kept_apart": kept_apart,
    "leaves_with_extras": leaves_with_extras, "look": look, "look_again": look_again, "modules": sys.modules,
    "outcome_of": outcome_of, "pack": pack, "refuse": refuse, "registered": registered,
    "replace_data": replace_data, "spare": spare, "starmap": itertools.starmap,
    "state": state, "store": store, "value_of": value_of, "version_of": version_of, "versioned": versioned,
    "whole_of": whole_of, "x64": jax.enable_x64,
}  # fmt: skip
"""What the lines may call."""


def names_of(anchors: Anchors) -> dict[str, Any]:
    """What the lines that recognise tensors name besides."""
    names = dict(NAMES) | {"A": anchors.ids, "B": anchors, "E": [None], "L": {}}
    names["device_class"], names["part_class"] = classes_on_device()
    return names


def write_dispatch(spec: Specialisation, roots: dict[str, Any]) -> None:
    """Set `spec.call` (None where the way to something cannot be written down) and `spec.run`."""
    names = names_of(spec.anchors)
    names |= {"P": [None, None], "S": spec, "program": spec.program, "forward": spec.forward}
    names.update({f"c{i}": value for i, value in enumerate(spec.text.constants)})
    body = Body(spec, names)
    body.write()
    spec.run = _compiled_when_called(spec, "run", "objects, floats", [*given(spec), *body.lines], names)
    paths = Paths(spec, roots, names)
    with contextlib.suppress(NoPath):
        if not spec.signature.shared and not spec.derived:
            paths.write()
            lines = [*paths.lines, *_derived(spec), *body.lines]
            spec.call = _compiled_when_called(spec, "call", "args, kwargs", lines, names)
    spec.signature.found.objects.clear()  # what was found is not kept alive: its places are enough
    spec.signature.tensors.clear()


def given(spec: Specialisation) -> list[str]:
    """Lines that take everything from lists."""
    found = spec.signature.found
    lines = ["        E[0] = leaves_with_extras[0]"]
    lines += [f"        v{n} = objects[{n}]" for n in range(len(found.objects))]
    lines += [f"        f{i} = floats[{i}]" for i in range(len(found.floats))]
    lines += _derived(spec)
    lines += [
        f"        b{i} = value_of({spec.tensor(i)}, keep={i in spec.kept})" for i in spec.reads if i not in spec.derived
    ]
    return [
        *lines,
        "        A.clear()",
        *[f"        B.anchor({i}, v{found.tensors[i]})" for i in sorted(spec.anchored)],
    ]


def _derived(spec: Specialisation) -> list[str]:
    """Lines that find what is captured by way of something else, and its value."""
    lines = []
    for j, (i, is_base) in spec.derived.items():
        v = spec.tensor(i)
        lines.append(f"        w{j} = {v}._view.base" if is_base else f"        w{j} = whole_of({v})")
        if j in spec.reading:
            lines.append(f"        b{j} = value_of(w{j}, keep=False)")
    return lines


def _compiled_when_called(
    spec: Specialisation, name: str, parameters: str, lines: list[str], names: dict[str, Any]
) -> Callable[..., Any]:
    """The function of the lines, which takes its place in `spec` when first called: many a program never is."""
    text = spec.sources[name] = "\n".join([f"def {name}({parameters}):", "    try:", *lines])

    def first(*arguments: Any) -> Any:
        exec(compile(text, f"<tapegrad {name}>", "exec"), names)  # noqa: S102  (our own lines)
        setattr(spec, name, names[name])
        return names[name](*arguments)

    return first
