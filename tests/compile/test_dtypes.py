"""Every public operation, with every dtype that it takes eagerly: the primitives that it runs are lowered, each to the
same values.

Operations are called with all of ARGUMENTS that they take. What a call records is a tape; its steps, each kind once, are
evaluated by NumPy and by their lowering rules.
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict

import jax
import ml_dtypes
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.compile.lower import run_step
from tapegrad.compile.rules import INTERPRETED
from tapegrad.compile.strategies import SAMPLES, Arg
from tapegrad.tape import PRIMITIVES, Var, apply

DTYPES = (
    tg.bool, tg.uint8, tg.int8, tg.int16, tg.int32, tg.int64, tg.float16, tg.bfloat16, tg.float32, tg.float64, tg.complex64,
    tg.complex128,
)  # fmt: skip
PROBES = (tg.float32, tg.int64, tg.bool)
"""With which it is found out what arguments an operation takes."""
MOST = 6
"""How many of them it is called with in all dtypes."""
ROUNDINGS = 32

NO_OPERATION = {
    "arange", "as_tensor", "can_cast", "device", "dtype", "empty", "enable_grad", "eye", "finfo", "from_dlpack", "from_jax",
    "from_numpy", "full", "get_default_device", "get_default_dtype", "get_rng_state", "iinfo", "inference_mode",
    "initial_seed", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "is_grad_enabled", "is_inference_mode_enabled",
    "jit", "layout", "linspace", "load", "manual_seed", "memory_format", "no_grad", "normal", "ones", "promote_types",
    "rand", "randint", "randn", "randperm", "record", "register_pytree_node", "save", "seed", "set_default_device",
    "set_default_dtype", "set_grad_enabled", "set_printoptions", "set_rng_state", "tensor", "to_jax", "tril_indices",
    "triu_indices", "vmap", "zeros",
}  # fmt: skip
"""Public functions that compute nothing from tensors."""

NEVER_RECORDED = {
    "as_strided_", "bernoulli", "is_nonzero", "multinomial", "poisson", "rand_like", "randint_like", "randn_like",
    "Tensor.apply_", "Tensor.as_strided_", "Tensor.backward", "Tensor.bernoulli", "Tensor.bernoulli_", "Tensor.cauchy_",
    "Tensor.exponential_", "Tensor.float_power_", "Tensor.geometric_", "Tensor.is_coalesced", "Tensor.item",
    "Tensor.log_normal_", "Tensor.map2_", "Tensor.map_", "Tensor.multinomial", "Tensor.normal_", "Tensor.random_",
    "Tensor.register_hook", "Tensor.register_post_accumulate_grad_hook", "Tensor.retain_grad", "Tensor.set_",
    "Tensor.squeeze_", "Tensor.swapaxes_", "Tensor.t_", "Tensor.uniform_", "Tensor.unsqueeze_",
}  # fmt: skip
"""Operations that draw random numbers, read values into Python, change no values or are about graphs; and one, of which
the result has another dtype than its operand unless that is float64."""


def values(dtype, *shape):
    """Numbers that are in the domain of nearly all operations, and of which no sum cancels."""
    table = {
        "b": [True, False, True],
        "i": [1, 3, 2, 5],
        "u": [1, 3, 2, 5],
        "c": [0.25 + 0.5j, 0.5 + 0.125j, 0.75 + 1j],
    }
    found = np.resize(np.array(table.get(dtype.numpy.kind, [0.25, 0.75, 0.5, 0.375])), shape)
    return tg.from_numpy(found.astype(dtype.numpy))


def arguments(dtype):
    """What operations are called with, beside tensors of `dtype`: positions, masks, dims, sizes."""
    x, v, b = values(dtype, 3, 3), values(dtype, 3), values(dtype, 2, 3, 3)
    image, kernel = values(dtype, 2, 2, 4, 4), values(dtype, 2, 2, 2, 2)
    line, short = values(dtype, 2, 2, 4), values(dtype, 2, 2, 2)
    at, row, mask = tg.tensor([[0, 1, 1]] * 3), tg.tensor([2, 0, 0]), tg.tensor([[True, False, True]] * 3)
    yield from [(x,), (v,), (b,), (x, x), (v, v), (x, v), (b, b), (x, x, x), (x, v, v), (x, b, b), (v, x, v), (b, b, b)]
    yield from [
        (x, 1),
        (x, 2.5),
        (x, 0, 1),
        (x, 1, 0),
        (x, 0.25, 0.75),
        (x, (0, 1)),
        (x, (1, 0)),
        (x, [0], [1]),
        (x, 0, 0, 2),
    ]
    yield from [(x, 0, at), (x, 0, row), (x, 0, row, x), (x, 0, at, x), (x, 0, row, 1), (x, at), (x, row, v)]
    yield from [(x, 0, at, x, how) for how in ("sum", "amax", "prod")] + [(x, 0, row, x, "mean")]
    yield from [
        (x, mask),
        (x, mask, x),
        (x, mask, 1),
        (mask, x, x),
        (x, x, 0.5),
        (x, (row,), v),
        ([x, x],),
        ([x, x], 0),
    ]
    yield from [
        (x, (9,)),
        (x, (1, -1)),
        (x, (3, 3)),
        (x, (2, 3, 3)),
        (x, 3, 1),
        (x, 0, 2, 1),
        (x, 0, (1, 3)),
        (x, 0, 0, 1),
    ]
    yield from [
        (x, v, 0),
        (x, v, 0, 0),
        (x, x, 0, 0, 3),
        (x, (2, 2), (3, 1)),
        (x, v, (3,), (4,), 0),
        (x, 1, (0,)),
        ("ij,jk", x, x),
    ]
    yield from [
        (image, kernel),
        (line, short),
        (image, 2),
        (line, 2),
        (image, (2, 2)),
        (line, (2,)),
        (b, 3),
        (row, x),
        (x, row),
    ]
    yield from [
        (image, row[:2].new_zeros(2).to(dtype), values(dtype, 2)),
        (b, b, b, v),
        (x, (3,)),
        (x, (1, 1)),
        (x, x, v),
        (at,),
    ]
    yield from [
        (values(dtype, 3, 2),),
        (x, (3,), 1),
        (x, (v, v)),
        (values(dtype, 1, 1, 2, 2, 2), values(dtype, 1, 1, 2, 2, 2)),
    ]


def operations():
    """The public functions and methods, each once: ids to functions."""
    found = {}
    for prefix, place in (("", tg), ("functional.", tg.nn.functional), ("linalg.", tg.linalg), ("Tensor.", tg.Tensor)):
        for name in getattr(place, "__all__", dir(place)):
            function = getattr(place, name)
            skipped = name.startswith("_") or isinstance(function, type) or not callable(function)
            if not (skipped or (not prefix and name in NO_OPERATION)):
                found.setdefault(function, prefix + name)
    return {name: function for function, name in found.items()}


def recorded(function, args):
    """The tape of a call, or None if it is refused."""
    tensors = []

    def opened(arg):
        """Something that gives the argument, on a copy of its own, when it is given all copies."""
        if isinstance(arg, list | tuple):
            parts = [opened(part) for part in arg]
            return lambda given: type(arg)([part(given) for part in parts])
        if not isinstance(arg, tg.Tensor):
            return lambda given: arg
        tensors.append(arg.clone())
        position = len(tensors) - 1
        return lambda given: given[position].clone()

    openers = [opened(arg) for arg in args]
    try:
        tape = tg.record(lambda *given: function(*[opener(given) for opener in openers]), *tensors)
    except Exception:
        return None
    return (tape, tensors) if len(tape.inputs) == len(tensors) else None  # else it draws random numbers


def kind_of(step, operands):
    """What tells a step from others that are lowered alike."""
    dtypes = [a.dtype if isinstance(a, tg.Tensor) else type(a) for a in operands]
    return tuple(dtypes), tuple(sorted((k, v) for k, v in step.params.items() if isinstance(v, np.dtype)))


def evaluated(tape, tensors, found):
    """Add to `found` the operands and results of the steps of kinds that are not there yet."""
    env = dict(zip(tape.inputs, tensors, strict=True))
    for step in tape.steps:
        if step.prim in INTERPRETED:
            return
        operands = [env[v] if isinstance(v, Var) else v for v in step.inputs]
        out = env[step.outputs[0]] = apply(step.prim, tuple(operands), step.params)
        found[step.prim].setdefault(kind_of(step, operands), (step, operands, out._array.copy()))


@functools.cache
def calls():
    """Per primitive, the steps that public operations run; and the operations that took none of the arguments."""
    found, refused = defaultdict(dict), []
    given = {dtype: list(arguments(dtype)) for dtype in DTYPES}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, function in operations().items():
            probes = [(number, dtype) for number in range(len(given[tg.bool])) for dtype in PROBES]
            taken = {number for number, dtype in probes if recorded(function, given[dtype][number])}
            taken = taken or {n for n, args in enumerate(given[tg.complex64]) if recorded(function, args)}
            for number in sorted(taken)[:: len(taken) // MOST + 1]:
                for tape in filter(None, [recorded(function, given[dtype][number]) for dtype in DTYPES]):
                    evaluated(*tape, found)
            if not taken:
                refused.append(name)
    return found, refused


def agree(name, got, wanted):
    """Raise AssertionError unless the two are of one shape and dtype, and equal but for rounding."""
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), name
    if wanted.dtype.kind in "biu":
        np.testing.assert_array_equal(got, wanted, err_msg=name)
        return
    wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
    rtol = ROUNDINGS * float(ml_dtypes.finfo(np.zeros(0, wanted.dtype).real.dtype).eps)
    np.testing.assert_allclose(got.astype(wide), wanted.astype(wide), rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("prim", [p for p in PRIMITIVES.values() if p not in INTERPRETED], ids=lambda p: p.name)
def test_every_step_of_a_public_operation_is_lowered_to_its_values(prim):
    steps = list(calls()[0].get(prim, {}).values())
    arrays = [[a._array for a in operands if isinstance(a, tg.Tensor)] for _, operands, _ in steps]

    def program(arrays):
        outs = []
        for (step, _, _), given in zip(steps, arrays, strict=True):
            env = dict(zip([v for v in step.inputs if isinstance(v, Var)], given, strict=True))
            run_step(step, env)
            outs.append(env[step.outputs[0]])
        return outs

    with jax.enable_x64(True):
        outs = jax.jit(program)(arrays)
    for (step, operands, wanted), got in zip(steps, outs, strict=True):
        agree(f"{step.prim.name}({operands}, {step.params})", np.asarray(got), wanted)


def test_all_public_operations_were_called():
    assert set(calls()[1]) == NEVER_RECORDED


def test_the_samples_have_all_inexact_dtypes_that_operations_reach():
    """So that gradients are tested in them."""

    def inexact(dtypes):
        return {dtype.name for dtype in dtypes if dtype.kind in "fcV"}

    for prim, kinds in calls()[0].items():
        reached = inexact(
            a._array.dtype for _, operands, _ in kinds.values() for a in operands if isinstance(a, tg.Tensor)
        )
        sampled = inexact(o.dtype for layout in SAMPLES[prim].layouts for o in layout.operands if isinstance(o, Arg))
        assert reached <= sampled, prim.name
