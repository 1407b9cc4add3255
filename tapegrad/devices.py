"""Devices: where a tensor is said to live. Eager tensors live on the CPU; the other names exist to be told apart."""

from __future__ import annotations

from typing import Any, Self

from .errors import TapegradError

__all__ = ["CPU", "check_device", "device", "get_default_device", "set_default_device"]

# PyTorch's, in the order of its error message
_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy",
    "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:  # noqa: N801  (PyTorch's name)
    """A kind of device and, perhaps, the number of one, as `torch.device`.

    `device("cpu")`, `device("cuda:1")`, `device("cuda", 1)`, or another device. Any that PyTorch names can be named;
    tensors can only be made on the CPU. Equal if type and index are; never equal to a string.

    Raises RuntimeError for a string that names none, TypeError for what is no string.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __new__(cls, type: Any = None, index: Any = None, *, device: Any = None) -> Self:
        """`device` is PyTorch's other name for the only argument."""
        kind, number = _parsed(device if type is None else type, index)
        self = object.__new__(cls)
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "index", number)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__slots__:
            raise AttributeError(f"attribute '{name}' of 'torch.device' objects is not writable")
        raise AttributeError(f"'torch.device' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __reduce__(self) -> Any:
        return device, (self.type, self.index)

    def __enter__(self) -> Self:
        """Make tensors here by default, which they are already. Raises RuntimeError for another device than the CPU."""
        check_device(self)
        return self

    def __exit__(self, *exception: object) -> None:
        """Go back to the CPU."""


def _parsed(given: Any, index: Any) -> tuple[str, int | None]:
    """The type and the index meant by the arguments of `device`."""
    if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
        raise TypeError(f"device(): argument 'index' (position 2) must be int, not {type(index).__name__}")
    if isinstance(given, device):
        if index is not None:
            raise TypeError("device(): argument 'type' (position 1) must be str, not torch.device")
        return given.type, given.index
    if isinstance(given, int) and not isinstance(given, bool):
        negative = "Device index must not be negative"
        raise TapegradError(negative if given < 0 else "Cannot access accelerator device when none is available.")
    if not isinstance(given, str):
        raise TypeError(
            f"device() received an invalid combination of arguments - got ({type(given).__name__}), but expected one "
            "of: (torch.device device), (str type, int index = -1)"
        )
    kind, number = _split(given)
    if index is None:
        return kind, number
    if number is not None:
        raise TapegradError(f"type (string) must not include an index because index was passed explicitly: {given}")
    if index < 0:
        raise TapegradError("Device index must not be negative")
    return kind, index


def _split(text: str) -> tuple[str, int | None]:
    """The type and the index, if any, in a string such as "cpu" or "cuda:1"."""
    kind, colon, number = text.partition(":")
    if not text:
        raise TapegradError("Device string must not be empty")
    if colon and not (kind and number.isascii() and number.isdigit() and str(int(number[:9])) == number):
        raise TapegradError(f"Invalid device string: '{text}'")
    if kind not in _TYPES:
        raise TapegradError(f"Expected one of {', '.join(_TYPES)} device type at start of device string: {kind}")
    return kind, int(number) if colon else None


CPU = device("cpu")


def check_device(given: Any) -> None:
    """Accept None and the CPU, where eager tensors live, in any of the ways to name it.

    Raises RuntimeError for another device and for a string that names none, TypeError for what is no device.
    """
    if given is None or given is CPU:
        return
    if not isinstance(given, device):
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise TypeError(f"argument 'device' must be torch.device, not {type(given).__name__}")
        given = device(given)
    if given.type != "cpu":
        raise TapegradError(
            f"tapegrad's eager tensors live on the CPU, got device {str(given)!r}: "
            "compile with tapegrad.jit to run elsewhere"
        )


def get_default_device() -> device:
    """Where tensors are made unless told otherwise: the CPU."""
    return CPU


def set_default_device(device: Any) -> None:
    """Make tensors on `device` by default. Raises as making one there does: only the CPU can be named."""
    check_device(device)
