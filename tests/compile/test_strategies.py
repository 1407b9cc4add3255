"""The strategies themselves: what they draw is what they promise, and prints as Python that makes it again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.compile.strategies import SAMPLES, arrays, calls, dtypes, programs, shapes, tensors
from tapegrad.compile.strategies.arrays import is_inexact
from tapegrad.compile.strategies.calls import literal
from tapegrad.compile.strategies.domains import DISTINCT, POSITIVE

EVERY = pytest.mark.parametrize("sample", SAMPLES.values(), ids=[prim.name for prim in SAMPLES])
FLOATING = {"float64", "float32", "float16", "bfloat16"}


@EVERY
def test_samples_have_0d_and_empty_operands_and_several_dims(sample):
    shapes = [operand.shape for layout in sample.layouts for operand in layout.operands if hasattr(operand, "shape")]
    if sample.prim.name in {"constant", "full", "random_bits", "random_advance"}:
        shapes = [np.shape(layout.params.get("value")) for layout in sample.layouts]
        shapes += [layout.params.get("shape", ()) for layout in sample.layouts]
    scans = {"argmax", "argmin", "argsort", "cumsum", "softmax", "log_softmax"}
    along_an_axis = {*scans, "gather", "scatter_add", "concatenate"}
    windows = {"avg_pool", "avg_pool_adjoint", "max_pool", "max_pool_index", "max_pool_pick", "max_pool_place"}
    of_layers = {"conv", "conv_transpose", "conv_weight", "standardize", *windows}
    no_0d = {"matmul", "flip", "std", "diagonal", "unfold", "view_as_complex", "search_sorted", *along_an_axis}
    no_0d |= of_layers
    assert sample.prim.name in no_0d or () in shapes
    assert any(0 in shape for shape in shapes)
    assert max(map(len, shapes)) >= 2


@EVERY
def test_differentiable_samples_have_every_floating_dtype(sample):
    arguments = [operand for layout in sample.layouts for operand in layout.operands if hasattr(operand, "domain")]
    kinds = {argument.dtype.name for argument in arguments}
    of_complex = {"conj", "real", "imag", "view_as_real", "view_as_complex"}
    if sample.prim.differentiable and sample.prim.name not in of_complex:
        assert kinds >= FLOATING


@given(st.data(), st.sampled_from(list(SAMPLES)))
def test_calls_print_as_python(data, prim):
    call = data.draw(calls(prim))
    scope = {
        "np": np,
        "dtype": np.dtype,
        "inf": np.inf,
        "nan": np.nan,
        "infj": complex(0, np.inf),
        "bfloat16": tg.bfloat16.numpy,
    }
    for operand in call.operands:
        if not isinstance(operand, np.ndarray) or operand.dtype.name != "bfloat16":
            again = eval(literal(operand), scope)
            np.testing.assert_array_equal(again, operand)
    assert repr(call).startswith(prim.name)


@given(st.sampled_from([prim for prim in SAMPLES if prim.differentiable]), st.data())
def test_double_calls_are_in_double_precision(prim, data):
    call = data.draw(calls(prim, double=True))
    found = {operand.dtype for operand in call.operands if isinstance(operand, np.ndarray)}
    assert {dtype.name for dtype in found if is_inexact(dtype)} <= {"float64", "complex128"}


@given(tensors(), shapes(max_dims=3, max_size=12), dtypes(), st.data())
def test_tensors_shapes_and_arrays(tensor, shape, dtype, data):
    assert tensor.requires_grad
    assert len(shape) <= 3
    assert np.prod(shape) <= 12
    array = data.draw(arrays(dtype, shape, DISTINCT, unique=True))
    assert array.dtype == dtype
    assert array.shape == shape
    assert len(np.unique(array.astype(float))) == array.size
    assert (data.draw(arrays(dtype, shape, POSITIVE)) > 0).all()


@given(programs(min_steps=5, max_steps=9))
def test_programs_run_as_the_scripts_they_print(program):
    assert 5 <= len(program.lines) <= 2 * 9
    scope = {}
    script = program.script().replace("print(", "str(")
    exec(compile(script, "script", "exec"), scope)
    out = program(*map(tg.from_numpy, program.inputs))
    np.testing.assert_array_equal(scope["out"].detach().numpy(), out.numpy())


def test_a_missing_hypothesis_is_named():
    code = "import sys; sys.modules['hypothesis'] = None; import tapegrad.compile.strategies"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode
    assert "pip install hypothesis" in result.stderr
