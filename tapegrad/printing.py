"""The text of a tensor, character for character as PyTorch 2.13 prints it.

Four stages, each a function or two: keep the elements that are shown (`_corners`), write each one as a
*cell* (`_cells`), lay the cells out in brackets and lines (`_layout`), and append what the elements do
not say (`_suffixes`: size, dtype, grad_fn).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "PrintOptions", "format_tensor", "get_printoptions", "print_options", "print_options_of_numpy", "printoptions",
    "set_printoptions",
]  # fmt: skip

_PREFIX = "tensor("


@dataclass
class PrintOptions:
    """How tensors print; the defaults are PyTorch's.

    precision: digits after the point. threshold: tensors with more elements than this are summarised.
    edgeitems: elements kept at both ends of each dimension of a summary (0: print the size instead).
    linewidth: columns before a line breaks. sci_mode: scientific notation; None lets the values decide.
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change the options of every later print, as `torch.set_printoptions` does.

    What is None stays as it is or as `profile` ("default", "short" or "full") says, except `sci_mode`, which
    every call sets: None hands the choice back to the values. ValueError for any other profile.
    """
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: profile must be one of {sorted(_PROFILES)}, got {profile!r}")
    base = _PROFILES[profile] if profile is not None else _options
    _options.precision = base.precision if precision is None else precision
    _options.threshold = base.threshold if threshold is None else threshold
    _options.edgeitems = base.edgeitems if edgeitems is None else edgeitems
    _options.linewidth = base.linewidth if linewidth is None else linewidth
    _options.sci_mode = sci_mode


def print_options() -> tuple[Any, ...]:
    """The current options, in a form that can be compared."""
    return astuple(_options)


def print_options_of_numpy() -> tuple[Any, ...]:
    """NumPy's, in such a form."""
    options: dict[str, Any] = {**np.get_printoptions()}
    formatter = options.pop("formatter") or {}
    return (*formatter.items(), *options.items())


def get_printoptions() -> dict[str, Any]:
    """The current options as a dict that `set_printoptions(**options)` takes back."""
    return asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Generator[None, None, None]:
    """`set_printoptions(**options)` for the length of a `with` block."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


def format_tensor(
    array: np.ndarray[Any, Any],
    *,
    dtype_name: str,
    default_dtype: bool,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    tangent: str | None = None,
    indent: int = 0,
) -> str:
    """The text `repr(tensor)` gives for a tensor of these elements, under the current print options.

    `dtype_name` is the name without its module ("float32"). `default_dtype` says that a printed literal
    already has this dtype: it is the default float dtype, that one's complex dtype, int64 or bool.
    `grad_fn_name` ("AddBackward0") takes precedence over `requires_grad`, since a tensor with one has both.
    `tangent` is the text of its tangent.
    `indent` is the column at which the text will start: its later lines align to it.
    """
    column = indent + len(_PREFIX)
    # An empty list literal is of the default float dtype, whatever its elements would have been.
    implied_dtype = default_dtype and (array.size > 0 or _is_floating(array.dtype))
    suffixes = _suffixes(array, None if implied_dtype else dtype_name, requires_grad, grad_fn_name)
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    return _append(_PREFIX + _contents(array, column), suffixes, column)


def _contents(array: np.ndarray[Any, Any], column: int) -> str:
    """The elements in their brackets, the first bracket standing at `column`."""
    if array.size == 0:
        return "[]"
    summarised = array.size > _options.threshold
    elided = tuple(summarised and size > 2 * _options.edgeitems for size in array.shape)
    shown = _corners(array, elided)
    cells = _cells(shown)
    texts = np.empty(shown.size, dtype=object)
    texts[:] = cells.texts
    return _layout(texts.reshape(shown.shape), elided, cells.width, column)


def _corners(array: np.ndarray[Any, Any], elided: tuple[bool, ...]) -> np.ndarray[Any, Any]:
    """`array` with only `edgeitems` at both ends of each elided dimension."""
    edge = _options.edgeitems
    for axis, size in enumerate(array.shape):
        if elided[axis]:
            array = array.take([*range(edge), *range(size - edge, size)], axis=axis)
    return array


class _Cells(NamedTuple):
    """Elements as text, and the width that the line breaks count for each of them."""

    texts: list[str]
    width: int


def _cells(array: np.ndarray[Any, Any]) -> _Cells:
    """Every element of `array`, flattened, as text."""
    if array.dtype.kind == "c":
        return _complex_cells(array)
    if _is_floating(array.dtype):
        with np.errstate(invalid="ignore"):  # widening a signalling NaN is no news to the one who prints it
            return _float_cells(array.astype(np.float64).ravel().tolist())
    texts = [str(value) for value in array.ravel().tolist()]
    width = max(map(len, texts), default=1)
    return _Cells([text.rjust(width) for text in texts], width)


def _complex_cells(array: np.ndarray[Any, Any]) -> _Cells:
    """Real and imaginary parts choose their notation apart; only real parts are aligned."""
    real, imag = _cells(array.real), _cells(array.imag)
    signed = (f"+{text}" if text[0] != "-" else text for text in map(str.lstrip, imag.texts))
    joined = [f"{left}{right}j" for left, right in zip(real.texts, signed, strict=True)]
    # The sign between the parts is not counted: complex lines run over by one column per element.
    return _Cells(joined, real.width + imag.width + 1)


def _float_cells(values: list[float]) -> _Cells:
    """Floats in one notation for all; zeros, infinities and NaNs have no say in it, nor in the width."""
    telling = [value for value in values if value != 0 and math.isfinite(value)]
    write = _notation(telling)
    width = max((len(write(value)) for value in telling), default=1)
    return _Cells([write(value).rjust(width) for value in values], width)


def _notation(telling: list[float]) -> Callable[[float], str]:
    """How to write a float: "1.0000e+03", "1." where all are whole, or "1.0000"."""
    precision = _options.precision
    if telling and (_is_wide(telling) if _options.sci_mode is None else _options.sci_mode):
        return lambda value: f"{value:.{precision}e}"
    if all(value.is_integer() for value in telling):
        return lambda value: f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
    return lambda value: f"{value:.{precision}f}"


def _is_wide(telling: list[float]) -> bool:
    """Whether magnitudes are too large, too small or too far apart for fixed point. Bounds are PyTorch's."""
    magnitudes = [abs(value) for value in telling]
    low, high = min(magnitudes), max(magnitudes)
    return high / low > 1000 or high > 1e8 or low < 1e-4


def _layout(texts: np.ndarray[Any, Any], elided: tuple[bool, ...], width: int, column: int) -> str:
    """Cells in brackets: vectors wrapped to the line width, higher dimensions one block below the other."""
    if texts.ndim == 0:
        return str(texts.item())
    if texts.ndim == 1:
        return _vector(texts.tolist(), elided[0], width, column)
    blocks = [_layout(block, elided[1:], width, column + 1) for block in texts]
    if elided[0]:
        blocks.insert(_options.edgeitems, "...")
    separator = "," + "\n" * (texts.ndim - 1) + " " * (column + 1)
    return f"[{separator.join(blocks)}]"


def _vector(cells: list[str], elided: bool, width: int, column: int) -> str:
    """One bracketed row; as many cells to a line as fit, the ellipsis counting as one."""
    if elided:
        cells.insert(_options.edgeitems, " ..." if cells else "...")
    per_line = max(1, (_options.linewidth - column) // (width + len(", ")))
    lines = [", ".join(cells[start : start + per_line]) for start in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (column + 1)).join(lines) + "]"


def _suffixes(
    array: np.ndarray[Any, Any], dtype_name: str | None, requires_grad: bool, grad_fn_name: str | None
) -> list[str]:
    """What the elements do not say, in PyTorch's order; `dtype_name` is None where they imply it."""
    suffixes = []
    # "[]" says the shape (0,); without edge items a summary says no shape, so every tensor prints its own.
    if array.ndim != 1 if array.size == 0 else not _options.edgeitems:
        suffixes.append(f"size={array.shape}")
    if dtype_name is not None:
        suffixes.append(f"dtype=torch.{dtype_name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return suffixes


def _append(text: str, suffixes: list[str], column: int) -> str:
    """`text`, the suffixes and the closing bracket; a suffix that does not fit starts a line at `column`."""
    last_line = text[text.rfind("\n") + 1 :]
    outer_indent = 0 if "\n" in text else column - len(_PREFIX)
    used = outer_indent + len(last_line) + 2  # PyTorch counts a comma and a space more than there are
    for suffix in suffixes:
        if used + len(suffix) + len(", ") > _options.linewidth:
            text += ",\n" + " " * column + suffix
            used = column + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + len(", ")
    return text + ")"


def _is_floating(dtype: np.dtype[Any]) -> bool:
    """Real floating dtypes by name, because bfloat16 (ml_dtypes) has no floating `kind`."""
    return "float" in dtype.name
