"""`format_tensor` against texts that PyTorch printed, so that running them needs no PyTorch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16

from tapegrad import printing

Array = np.ndarray[Any, Any]


def f32(values: Any) -> Array:
    """The float32 array of these values."""
    return np.array(values, np.float32)


def show(array: Array, **suffixes: Any) -> str:
    """`array` as it prints while float32 is the default dtype."""
    name = array.dtype.name
    default = name in {"float32", "complex64", "int64", "bool"}
    return printing.format_tensor(array, dtype_name=name, default_dtype=default, **suffixes)


# Array, further arguments, and what repr() of that tensor gave under torch 2.13.0 (CPU).
PRINTED: list[tuple[Array, dict[str, Any], str]] = [
    # scalars
    (f32(1.5), {}, "tensor(1.5000)"),
    (f32(-3), {}, "tensor(-3.)"),
    (f32(1e-5), {}, "tensor(1.0000e-05)"),
    (f32(np.nan), {}, "tensor(nan)"),
    (np.array(7), {}, "tensor(7)"),
    (np.array(True), {}, "tensor(True)"),
    (np.array(0.1), {}, "tensor(0.1000, dtype=torch.float64)"),
    (np.array(1 - 2.5j, np.complex64), {}, "tensor(1.-2.5000j)"),
    (np.array(-0.0 + 0j), {}, "tensor(0.+0.j, dtype=torch.complex128)"),
    (np.array(3, np.uint8), {}, "tensor(3, dtype=torch.uint8)"),
    # notation
    (f32([1, 2, 300]), {}, "tensor([  1.,   2., 300.])"),
    (f32([1, np.nan, -np.inf, 0.0, -0.0]), {}, "tensor([1., nan, -inf, 0., -0.])"),
    (f32([np.nan, 0.0, -0.0]), {}, "tensor([nan, 0., -0.])"),
    (f32([0.5, -20.25, np.inf]), {}, "tensor([  0.5000, -20.2500,      inf])"),
    (f32([0.00012345, 0.1]), {}, "tensor([0.0001, 0.1000])"),
    (f32([5e-5, 0.001]), {}, "tensor([5.0000e-05, 1.0000e-03])"),
    (f32([1e-5, 1, np.nan]), {}, "tensor([1.0000e-05, 1.0000e+00,        nan])"),
    (f32([1, 1000]), {}, "tensor([   1., 1000.])"),
    (f32([1, 1001]), {}, "tensor([1.0000e+00, 1.0010e+03])"),
    (f32([1e8, 2e8]), {}, "tensor([1.0000e+08, 2.0000e+08])"),
    (np.array([1e8]), {}, "tensor([100000000.], dtype=torch.float64)"),
    (np.array([0.03125, 0.09375, 1e-4]), {}, "tensor([0.0312, 0.0938, 0.0001], dtype=torch.float64)"),
    (np.array([1e308, 5e-324]), {}, "tensor([1.0000e+308, 4.9407e-324], dtype=torch.float64)"),
    # dtypes
    (np.array([0.1, 65504], np.float16), {}, "tensor([9.9976e-02, 6.5504e+04], dtype=torch.float16)"),
    (
        np.array([1, 2, 2048], np.float16),
        {},
        "tensor([1.0000e+00, 2.0000e+00, 2.0480e+03], dtype=torch.float16)",
    ),
    (np.array([1.1, -3], bfloat16), {}, "tensor([ 1.1016, -3.0000], dtype=torch.bfloat16)"),
    (np.array([[-128, 127]], np.int8), {}, "tensor([[-128,  127]], dtype=torch.int8)"),
    (np.array([1, 20, -300], np.int16), {}, "tensor([   1,   20, -300], dtype=torch.int16)"),
    (np.array([2**31 - 1, 0], np.int32), {}, "tensor([2147483647,          0], dtype=torch.int32)"),
    (np.array([-(2**63), 0]), {}, "tensor([-9223372036854775808,                    0])"),
    (np.array([True, False]), {}, "tensor([ True, False])"),
    # complex
    (np.array([1 + 2j, -1.5 - 0.5j], np.complex64), {}, "tensor([ 1.0000+2.0000j, -1.5000-0.5000j])"),
    (
        np.array([complex(np.nan, -np.inf), complex(0.0, -0.0)]),
        {},
        "tensor([nan-infj, 0.-0.j], dtype=torch.complex128)",
    ),
    (
        np.array([1e-6 + 1j, 10 + 100j, 2 + 1.5j], np.complex64),
        {},
        "tensor([1.0000e-06+1.0000j, 1.0000e+01+100.0000j, 2.0000e+00+1.5000j])",
    ),
    # empty
    (f32([]), {}, "tensor([])"),
    (np.zeros((0, 3), np.float32), {}, "tensor([], size=(0, 3))"),
    (np.zeros((2, 0)), {}, "tensor([], size=(2, 0), dtype=torch.float64)"),
    (np.zeros(0, np.int64), {}, "tensor([], dtype=torch.int64)"),
    (np.zeros((1, 0, 2), bool), {}, "tensor([], size=(1, 0, 2), dtype=torch.bool)"),
    (np.zeros((0,), np.complex64), {}, "tensor([], dtype=torch.complex64)"),
    # layout
    (
        np.arange(6).reshape(2, 3),
        {},
        "tensor([[0, 1, 2],\n        [3, 4, 5]])",
    ),
    (
        f32([[1, -2.5], [1000, 0.25]]),
        {},
        "tensor([[ 1.0000e+00, -2.5000e+00],\n        [ 1.0000e+03,  2.5000e-01]])",
    ),
    (
        np.arange(8, dtype=np.float32).reshape(2, 2, 2),
        {},
        "tensor([[[0., 1.],\n         [2., 3.]],\n\n        [[4., 5.],\n         [6., 7.]]])",
    ),
    (
        np.arange(4).reshape(2, 1, 1, 2),
        {},
        "tensor([[[[0, 1]]],\n\n\n        [[[2, 3]]]])",
    ),
    (
        np.arange(30),
        {},
        (
            "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"
        ),
    ),
    (
        f32(np.arange(24)) / 7,
        {},
        (
            "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
            "        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,\n"
            "        2.5714, 2.7143, 2.8571, 3.0000, 3.1429, 3.2857])"
        ),
    ),
    (
        np.arange(40, dtype=np.int32).reshape(2, 20) * 1000,
        {},
        (
            "tensor([[    0,  1000,  2000,  3000,  4000,  5000,  6000,  7000,  8000,  9000,\n"
            "         10000, 11000, 12000, 13000, 14000, 15000, 16000, 17000, 18000, 19000],\n"
            "        [20000, 21000, 22000, 23000, 24000, 25000, 26000, 27000, 28000, 29000,\n"
            "         30000, 31000, 32000, 33000, 34000, 35000, 36000, 37000, 38000, 39000]],\n"
            "       dtype=torch.int32)"
        ),
    ),
    (
        np.full(9, 0.5 + 1j),
        {},
        (
            "tensor([0.5000+1.j, 0.5000+1.j, 0.5000+1.j, 0.5000+1.j, 0.5000+1.j, 0.5000+1.j,\n"
            "        0.5000+1.j, 0.5000+1.j, 0.5000+1.j], dtype=torch.complex128)"
        ),
    ),
    (
        np.full(11, 1 + 1j, np.complex64),
        {},
        ("tensor([1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j, 1.+1.j,\n        1.+1.j])"),
    ),
    (
        np.arange(74).reshape(2, 37),
        {},
        (
            "tensor([[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "         18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,\n"
            "         36],\n"
            "        [37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54,\n"
            "         55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72,\n"
            "         73]])"
        ),
    ),
    # summaries
    (np.arange(1001), {}, "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    (
        f32(np.arange(2000)).reshape(2, 1000) / 8,
        {},
        (
            "tensor([[0.0000e+00, 1.2500e-01, 2.5000e-01,  ..., 1.2462e+02, 1.2475e+02,\n"
            "         1.2488e+02],\n"
            "        [1.2500e+02, 1.2512e+02, 1.2525e+02,  ..., 2.4962e+02, 2.4975e+02,\n"
            "         2.4988e+02]])"
        ),
    ),
    (
        np.arange(1400).reshape(7, 200),
        {},
        (
            "tensor([[   0,    1,    2,  ...,  197,  198,  199],\n"
            "        [ 200,  201,  202,  ...,  397,  398,  399],\n"
            "        [ 400,  401,  402,  ...,  597,  598,  599],\n"
            "        ...,\n"
            "        [ 800,  801,  802,  ...,  997,  998,  999],\n"
            "        [1000, 1001, 1002,  ..., 1197, 1198, 1199],\n"
            "        [1200, 1201, 1202,  ..., 1397, 1398, 1399]])"
        ),
    ),
    (
        np.ones((1, 501, 2), bool),
        {},
        (
            "tensor([[[True, True],\n"
            "         [True, True],\n"
            "         [True, True],\n"
            "         ...,\n"
            "         [True, True],\n"
            "         [True, True],\n"
            "         [True, True]]])"
        ),
    ),
    (f32(np.arange(1200) == 600), {}, "tensor([0., 0., 0.,  ..., 0., 0., 0.])"),
    # suffixes
    (
        f32(2),
        {"requires_grad": True},
        "tensor(2., requires_grad=True)",
    ),
    (
        f32([1, 2]),
        {"grad_fn_name": "AddBackward0", "requires_grad": True},
        "tensor([1., 2.], grad_fn=<AddBackward0>)",
    ),
    (
        np.array([0.5]),
        {"grad_fn_name": "MulBackward0", "requires_grad": True},
        "tensor([0.5000], dtype=torch.float64, grad_fn=<MulBackward0>)",
    ),
    (
        np.zeros((0, 2), np.float16),
        {"requires_grad": True},
        "tensor([], size=(0, 2), dtype=torch.float16, requires_grad=True)",
    ),
    (
        np.arange(13.0),
        {"requires_grad": True},
        (
            "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12.],\n"
            "       dtype=torch.float64, requires_grad=True)"
        ),
    ),
    (
        f32(np.arange(15)),
        {"grad_fn_name": "DivBackward0", "requires_grad": True},
        (
            "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
            "        14.], grad_fn=<DivBackward0>)"
        ),
    ),
    (
        f32([[0.5] * 7] * 2),
        {"grad_fn_name": "AddmmBackward0", "requires_grad": True},
        (
            "tensor([[0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],\n"
            "        [0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000]],\n"
            "       grad_fn=<AddmmBackward0>)"
        ),
    ),
    (
        f32([1] * 13),
        {"requires_grad": True},
        "tensor([1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1.],\n       requires_grad=True)",
    ),
    (
        np.full(8, 1.0),
        {"requires_grad": True},
        "tensor([1., 1., 1., 1., 1., 1., 1., 1.], dtype=torch.float64,\n       requires_grad=True)",
    ),
    (
        np.arange(13.0),
        {"grad_fn_name": "ACustomFunctionWithANameAsLongAsThisBackward", "requires_grad": True},
        (
            "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12.],\n"
            "       dtype=torch.float64,\n"
            "       grad_fn=<ACustomFunctionWithANameAsLongAsThisBackward>)"
        ),
    ),
    (
        f32([[0.5] * 6] * 2),
        {"grad_fn_name": "AddmmBackward0", "requires_grad": True},
        (
            "tensor([[0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],\n"
            "        [0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000]],\n"
            "       grad_fn=<AddmmBackward0>)"
        ),
    ),
]

# Array, print options, and what torch 2.13.0 printed under them.
PRINTED_UNDER_OPTIONS: list[tuple[Array, dict[str, Any], str]] = [
    (np.array([1.123456, 20]), {"precision": 2}, "tensor([ 1.12, 20.00], dtype=torch.float64)"),
    (f32([1, 2.5]), {"sci_mode": True}, "tensor([1.0000e+00, 2.5000e+00])"),
    (f32([1e-5, 1e5]), {"sci_mode": False}, "tensor([     0.0000, 100000.0000])"),
    (np.arange(10), {"threshold": 5}, "tensor([0, 1, 2,  ..., 7, 8, 9])"),
    (np.arange(6), {"threshold": 5}, "tensor([0, 1, 2, 3, 4, 5])"),
    (np.arange(10), {"threshold": 10}, "tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])"),
    (
        np.arange(20.0).reshape(4, 5),
        {"threshold": 5, "edgeitems": 1},
        "tensor([[ 0.,  ...,  4.],\n        ...,\n        [15.,  ..., 19.]], dtype=torch.float64)",
    ),
    (
        f32(np.arange(60)).reshape(3, 5, 4),
        {"threshold": 5, "edgeitems": 1},
        (
            "tensor([[[ 0.,  ...,  3.],\n"
            "         ...,\n"
            "         [16.,  ..., 19.]],\n"
            "\n"
            "        ...,\n"
            "\n"
            "        [[40.,  ..., 43.],\n"
            "         ...,\n"
            "         [56.,  ..., 59.]]])"
        ),
    ),
    (np.arange(10), {"threshold": 5, "edgeitems": 0}, "tensor([...], size=(10,))"),
    (np.arange(12).reshape(3, 4), {"threshold": 5, "edgeitems": 0}, "tensor([...], size=(3, 4))"),
    (np.arange(3), {"edgeitems": 0}, "tensor([0, 1, 2], size=(3,))"),
    (
        np.arange(8),
        {"linewidth": 20},
        "tensor([0, 1, 2, 3,\n        4, 5, 6, 7])",
    ),
    (
        f32([np.nan] * 5),
        {"linewidth": 20},
        "tensor([nan, nan, nan, nan,\n        nan])",
    ),
    (
        f32([0.12345] * 2),
        {"linewidth": 1},
        "tensor([0.1235,\n        0.1235])",
    ),
    (
        np.arange(1002) / 8,
        {"profile": "short"},
        "tensor([0.00e+00, 1.25e-01,  ..., 1.25e+02, 1.25e+02], dtype=torch.float64)",
    ),
    (f32(7.25), {"profile": "short", "precision": 3}, "tensor(7.250)"),
]


@pytest.mark.parametrize(("array", "suffixes", "expected"), PRINTED)
def test_prints_as_pytorch_does(array: Array, suffixes: dict[str, Any], expected: str) -> None:
    array.flags.writeable = False
    assert show(array, **suffixes) == expected


@pytest.mark.parametrize(("array", "options", "expected"), PRINTED_UNDER_OPTIONS)
def test_print_options(array: Array, options: dict[str, Any], expected: str) -> None:
    with printing.printoptions(**options):
        assert show(array) == expected


def test_full_profile_prints_every_element() -> None:
    with printing.printoptions(profile="full"):
        text = show(np.arange(2000))
    assert "..." not in text
    assert text.count(",") == 1999


def test_options_are_restored_after_an_error() -> None:
    before = printing.get_printoptions()
    with pytest.raises(KeyError), printing.printoptions(precision=1, sci_mode=True):
        raise KeyError
    assert printing.get_printoptions() == before


def test_every_call_resets_sci_mode_and_keeps_the_rest() -> None:
    with printing.printoptions(precision=7, sci_mode=True):
        printing.set_printoptions(linewidth=100)
        expected = {"precision": 7, "threshold": 1000, "edgeitems": 3, "linewidth": 100, "sci_mode": None}
        assert printing.get_printoptions() == expected


def test_a_profile_keeps_its_values_after_options_change() -> None:
    with printing.printoptions(profile="short"):
        printing.set_printoptions(precision=9)
        printing.set_printoptions(profile="short")
        assert printing.get_printoptions()["precision"] == 2


def test_unknown_profile_changes_nothing() -> None:
    before = printing.get_printoptions()
    with pytest.raises(ValueError, match=r"profile must be one of .*got 'tiny'"):
        printing.set_printoptions(precision=1, profile="tiny")
    assert printing.get_printoptions() == before


def test_empty_tensor_of_a_changed_default_dtype() -> None:
    expected = {"float64": "tensor([])", "complex128": "tensor([], dtype=torch.complex128)"}
    for name, text in expected.items():
        assert printing.format_tensor(np.zeros(0, name), dtype_name=name, default_dtype=True) == text


def test_indent_aligns_the_later_lines_and_narrows_the_first() -> None:
    array = f32([[1, 2], [3, 4]])
    assert show(array, indent=4) == "tensor([[1., 2.],\n" + " " * 12 + "[3., 4.]])"
    row = f32(np.arange(10))
    assert show(row, grad_fn_name="AddBackward0") == show(row)[:-1] + ", grad_fn=<AddBackward0>)"
    on_next_line = ",\n" + " " * 17 + "grad_fn=<AddBackward0>)"
    assert show(row, grad_fn_name="AddBackward0", indent=10) == show(row)[:-1] + on_next_line


def test_a_signalling_nan_prints_without_a_warning() -> None:
    array = np.array([0x7F800001], np.uint32).view(np.float32)
    assert show(array) == "tensor([nan])"


def test_strided_arrays_print_by_index() -> None:
    array = np.arange(12).reshape(3, 4)
    assert show(array.T[::-2]) == show(np.ascontiguousarray(array.T[::-2]))


def test_imports_nothing_but_numpy_and_the_standard_library() -> None:
    code = (
        "import importlib.util, sys, numpy; before = {name.split('.')[0] for name in sys.modules};"
        "spec = importlib.util.spec_from_file_location('printing', sys.argv[1]);"
        "module = sys.modules['printing'] = importlib.util.module_from_spec(spec);"
        "spec.loader.exec_module(module);"
        "added = {name.split('.')[0] for name in sys.modules} - before - set(sys.stdlib_module_names);"
        "assert added == {'printing'}, added"
    )
    subprocess.run([sys.executable, "-c", code, printing.__file__], check=True)
