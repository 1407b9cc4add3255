"""The bugs to plant: in which file, what text becomes what, and which primitives' tests should notice first."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old`, which occurs once in `file`, becomes `new`. `near` names primitives, or test files, to run first."""

    file: str
    old: str
    new: str
    near: str


def _of(file: str, *rows: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(file, old, new, near) for old, new, near in rows]


RULES = [
    *_of(
        "tapegrad/primitives/analytic.py",
        (
            '"exp", np.exp, elementwise=True, a=lambda g, out: g * out.conjugate()',
            '"exp", np.exp, elementwise=True, a=lambda g, out: g * out',
            "exp",
        ),
        ("g * (out * _LN2).conjugate()", "g * (out * _LN10).conjugate()", "exp2"),
        ("g * (out + 1).conjugate()", "g * (out - 1).conjugate()", "expm1"),
        ("g / a.conjugate()", "g / a", "log"),
        ("g / (a * _LN2).conjugate()", "g / (a * _LN10).conjugate()", "log2"),
        ("g / (a * _LN10).conjugate()", "g / a.conjugate()", "log10"),
        ("g / (a + 1).conjugate()", "g / (a - 1).conjugate()", "log1p"),
        ("g / (out * 2).conjugate()", "g / out.conjugate()", "sqrt"),
        ("g * (out * out * out).conjugate() * -0.5", "g * (out * out).conjugate() * -0.5", "rsqrt"),
        ("g * cos(a).conjugate()", "g * sin(a).conjugate()", "sin"),
        ("-g * sin(a).conjugate()", "g * sin(a).conjugate()", "cos"),
        ("g * (out * out + 1).conjugate()", "g * (out * out - 1).conjugate()", "tan"),
        ("g, a: g * rsqrt(1 - a * a).conjugate()", "g, a: g * rsqrt(1 + a * a).conjugate()", "asin"),
        ("-g * rsqrt(1 - a * a).conjugate()", "g * rsqrt(1 - a * a).conjugate()", "acos"),
        ("g / (a * a + 1).conjugate()", "g / (a * a + 1)", "atan"),
        ("-g * a / _squared_distance(a, b)", "-g * b / _squared_distance(a, b)", "atan2"),
        ("return where((a == 0) & (b == 0), 1.0, a * a + b * b)", "return a * a + b * b", "kinks"),
        ("g * (a / out)", "g * (out / a)", "hypot"),
        ("g * (b / out)", "-g * (b / out)", "hypot"),
        ("g * cosh(a).conjugate()", "-g * cosh(a).conjugate()", "sinh"),
        ("g * sinh(a).conjugate()", "-g * sinh(a).conjugate()", "cosh"),
        ("g * (1 - out * out).conjugate()", "g * (1 - out).conjugate()", "tanh"),
        ("g * rsqrt(a * a + 1).conjugate()", "g * rsqrt(a * a + 1)", "asinh"),
        ("rsqrt(a - 1) * rsqrt(a + 1)", "rsqrt(a * a - 1)", "acosh"),
        ("g / (1 - a * a).conjugate()", "g / (1 - a).conjugate()", "atanh"),
        ("g * ((1 - out) * out).conjugate()", "g * (1 - out).conjugate()", "sigmoid"),
        ("_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)", "_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.tau)", "erf"),
        ("g * sigmoid(a * beta)", "g * sigmoid(a)", "softplus"),
        ("(_normal_cdf(a) + a * exp(a * a * -0.5) * _ONE_OVER_SQRT_TAU)", "_normal_cdf(a)", "gelu"),
    ),
    *_of(
        "tapegrad/primitives/arithmetic.py",
        (
            "np.subtract, elementwise=True, a=lambda g: g, b=lambda g: -g",
            "np.subtract, elementwise=True, a=lambda g: g, b=lambda g: g",
            "sub",
        ),
        (
            '"neg", np.negative, elementwise=True, a=lambda g: -g',
            '"neg", np.negative, elementwise=True, a=lambda g: g',
            "neg",
        ),
        ("a=lambda g, b: g * b.conjugate()", "a=lambda g, a: g * a.conjugate()", "mul"),
        ("b=lambda g, a: g * a.conjugate()", "b=lambda g, a: g * a", "mul"),
        ("-g * (a / b / b).conjugate()", "g * (a / b / b).conjugate()", "div"),
        ("a=lambda g, b: g / b.conjugate()", "a=lambda g, b: g / b", "div"),
        ("-g * (out * out).conjugate()", "-g * out.conjugate()", "reciprocal"),
        ("_slope(a, exponent).conjugate()", "_slope(a, exponent)", "pow_scalar"),
        ("return exponent * (a ** (exponent - 1)", "return (a ** (exponent - 1)", "pow_scalar"),
        ('exponent != -0.5 or a.dtype.kind == "c"', "True", "kinks"),
        ("0.0, out * _log(a)", "0.0, _log(a)", "pow"),
        ("(a == 0) & _at_least_zero(b)", "(a != a) & _at_least_zero(b)", "kinks"),
        ("-g * _floor_quotient(a, b)", "-g * trunc(a / b)", "remainder"),
        ("-g * trunc(a / b)", "-g * floor(a / b)", "fmod"),
        ('"fmod", np.fmod', '"fmod", np.remainder', "fmod"),
        ("g * sign(a))", "g)", "abs"),
        ("real(g * out.conjugate()) * out", "real(g * out) * out", "sign"),
        ("b=lambda g, condition: where(condition, 0.0, g)", "b=lambda g, condition: where(condition, g, 0.0)", "where"),
        ("where(a > b, g, _half_of_ties(g, a, b))", "where(a >= b, g, _half_of_ties(g, a, b))", "kinks"),
        ("where(b < a, g, _half_of_ties(g, a, b))", "where(b > a, g, _half_of_ties(g, a, b))", "minimum"),
        ("where((a >= low) & (a <= high), g, 0.0)", "where((a > low) & (a < high), g, 0.0)", "kinks"),
        ("where((a < low) & (low < high), g, 0.0)", "where(a < low, g, 0.0)", "clip"),
        ("where((a > high) | (low > high), g, 0.0)", "where((a > high) & (low < high), g, 0.0)", "clip"),
        ("np.where(b <= 0, 0, a)", "np.where(b < 0, 0, a)", "kinks"),
        ("a=lambda g, b: threshold_backward(g, b)", "a=lambda g: g", "threshold_backward"),
        ("a=lambda g, out: threshold_backward(g, out)", "a=lambda g, out: g", "relu"),
        (
            "np.conjugate, elementwise=True, a=lambda g: g.conjugate()",
            "np.conjugate, elementwise=True, a=lambda g: g",
            "conj",
        ),
        ("index=(slice(None),) * len(shape) + (1,)", "index=(slice(None),) * len(shape) + (0,)", "imag"),
        (
            '"floor", np.floor, elementwise=True, a=lambda g: _zero(g)',
            '"floor", np.floor, elementwise=True, a=lambda g: g',
            "floor",
        ),
        ('"ceil", np.ceil', '"ceil", np.floor', "ceil"),
        ('"trunc", np.trunc', '"trunc", np.floor', "trunc"),
        ('"round", np.rint', '"round", np.trunc', "round"),
        ("a=lambda g, in_dtype: cast(g, dtype=in_dtype)", "a=lambda g, in_dtype: cast(-g, dtype=in_dtype)", "real"),
        ('"floor_divide", np.floor_divide', '"floor_divide", np.true_divide', "floor_divide"),
    ),
    *_of(
        "tapegrad/primitives/comparison.py",
        ('"eq", np.equal', '"eq", np.greater_equal', "eq"),
        ('"ne", np.not_equal', '"ne", np.less', "ne"),
        ('"lt", np.less', '"lt", np.less_equal', "lt"),
        ('"le", np.less_equal', '"le", np.less', "le"),
        ('"gt", np.greater', '"gt", np.greater_equal', "gt"),
        ('"ge", np.greater_equal', '"ge", np.greater', "ge"),
        ('"bitwise_and", np.bitwise_and', '"bitwise_and", np.bitwise_or', "bitwise_and"),
        ('"bitwise_xor", np.bitwise_xor', '"bitwise_xor", np.bitwise_or', "bitwise_xor"),
        ('"bitwise_not", np.bitwise_not', '"bitwise_not", np.logical_not', "bitwise_not"),
        ('"isnan", np.isnan', '"isnan", np.isinf', "isnan"),
        ('"isinf", np.isinf', '"isinf", np.isnan', "isinf"),
        ('"signbit", np.signbit', '"signbit", lambda a: a < 0', "kinks"),
    ),
    *_of(
        "tapegrad/primitives/indexing.py",
        (
            "np.add.at(out, (slice(None),) * axis + (index,), g)",
            "out[(slice(None),) * axis + (index,)] = g",
            "take_add",
        ),
        ("np.add.at(out, _along(index, axis), g)", "out[_along(index, axis)] = g", "scatter_add"),
        (
            "take_add(g, index, axis=axis, size=in_shape[axis])",
            "take_add(g, index, axis=axis, size=in_shape[-1])",
            "take",
        ),
        ("put(g, zeros_like(take(g, index, axis=axis)), index, axis=axis)", "g * 1", "put"),
        ("grid[axis] = index", "grid[0] = index", "gather"),
        ('np.argsort(a, axis=axis, kind="stable")', "np.argsort(np.argsort(a, axis), axis)", "argsort"),
    ),
    *_of(
        "tapegrad/primitives/linalg.py",
        ("_product(g, _adjoint(b))", "_product(g, _adjoint(b).conj())", "matmul"),
        ("_product(_adjoint(a), g)", "-_product(_adjoint(a), g)", "matmul"),
    ),
    *_of(
        "tapegrad/primitives/losses.py",
        ('-g if reduction == "none"', 'g if reduction == "none"', "nll_loss"),
        ("where(kept, share, 0.0)", "share", "nll_loss"),
    ),
    *_of(
        "tapegrad/primitives/reductions.py",
        (
            "a=lambda g, in_shape, axes: spread(g, in_shape",
            "a=lambda g, in_shape, axes: spread(-g, in_shape",
            "reduce_sum",
        ),
        ("spread(g / _count(in_shape, axes), in_shape, axes)", "spread(g, in_shape, axes)", "reduce_mean"),
        ("hit = a == spread(out, shape, axes)", "hit = a <= spread(out, shape, axes)", "reduce_max"),
        ("spread(g, shape, axes) / count", "spread(g, shape, axes)", "kinks"),
        ("(2.0 / degrees", "(2.0 / count", "var"),
        ("max(_count(a.shape, axes) - correction, 0)", "max(_count(a.shape, axes) + correction, 0)", "var"),
        ("g / (out * 2)", "g / out", "std"),
        ("where(out == 0, 0.0, g / (out * 2))", "g / (out * 2)", "kinks"),
        ("flip(cumsum(flip(g, axes=(axis,)), axis=axis), axes=(axis,))", "cumsum(g, axis=axis)", "cumsum"),
        ("exp(a - spread(_above_nothing(out), a.shape, axes))", "exp(a)", "logsumexp"),
        ("(g - reduce_sum(g * out, axes=(axis,), keepdims=True)) * out", "g * out", "softmax"),
        ("g - exp(out) * reduce_sum(", "g - out * reduce_sum(", "log_softmax"),
        ('"argmax", lambda a, *, axis: np.argmax', '"argmax", lambda a, *, axis: np.argmin', "argmax"),
        ('"argmin", lambda a, *, axis: np.argmin', '"argmin", lambda a, *, axis: np.argmax', "argmin"),
        ('"any", lambda a, *, axes, keepdims: np.any', '"any", lambda a, *, axes, keepdims: np.all', "any"),
    ),
    *_of(
        "tapegrad/primitives/shaping.py",
        ("lambda a, *, shape: a.reshape(shape)", "lambda a, *, shape: a.T.reshape(shape)", "reshape"),
        ("a=lambda g, axes: permute(g, axes=inverse(axes))", "a=lambda g, axes: permute(g, axes=axes)", "permute"),
        ("broadcast_adjoint(g, in_shape)", "broadcast_adjoint(-g, in_shape)", "broadcast_to"),
        (
            "_unslice, a=lambda g, index: slice_(g, index=index)",
            "_unslice, a=lambda g, index: slice_(-g, index=index)",
            "unslice",
        ),
        ("a=lambda g, axes: flip(g, axes=axes)", "a=lambda g, axes: g", "flip"),
        ("slice_scatter(g, zeros_like(slice_(g, index=index)), index=index)", "g * 1", "slice_scatter"),
        ("in_shapes[:position])", "in_shapes[: max(position - 1, 0)])", "concatenate"),
        ("out = base.copy()\n    out[index] = new", "out = base\n    out[index] = new", "slice_scatter"),
    ),
    *_of(
        "tapegrad/primitives/structure.py",
        ("np.full(shape, value, dtype)", "np.full(shape, 0, dtype)", "full"),
        ('"constant", lambda *, value: value', '"constant", lambda *, value: value.T', "constant"),
        ('"DetachBackward0", a=None', '"DetachBackward0", a=lambda g: g', "stop_gradient"),
        ("a = a.real", "a = a.imag", "cast"),
        ("a=lambda g, in_dtype: cast(g, dtype=in_dtype)", "a=lambda g: g", "cast"),
        ("old=lambda g: g, new=None", "old=None, new=lambda g: g", "rebind"),
    ),
    *_of(
        "tapegrad/primitives/views.py",
        (
            "np.add.at(out.reshape(-1), positions(g.shape, strides, offset), g)",
            "out.reshape(-1)[positions(g.shape, strides, offset)] = g",
            "as_strided_add",
        ),
        ("else -offset * steps[axis1]", "else offset * steps[axis2]", "diagonal"),
        (
            "step * steps[axis], *steps[axis + 1 :], steps[axis])",
            "steps[axis], *steps[axis + 1 :], steps[axis])",
            "unfold",
        ),
        (
            "g, zeros_like(_read(g, in_shapes, strides, offset))",
            "g, _read(g, in_shapes, strides, offset)",
            "as_strided_scatter",
        ),
        (
            "as_strided_add(g, into=in_shape, strides=strides, offset=offset)",
            "as_strided_add(g, into=in_shape, strides=strides, offset=0)",
            "as_strided",
        ),
        ("a=lambda g: view_as_complex(g)", "a=lambda g: view_as_complex(g).conjugate()", "view_as_real"),
        ("a=lambda g: view_as_real(g)", "a=lambda g: view_as_real(g.conjugate())", "view_as_complex"),
        ("(a if dtype.itemsize == a.itemsize else", "(a[..., ::-1] if dtype.itemsize == a.itemsize else", "bitcast"),
    ),
]
"""In forwards and VJP rules."""

TAPE = [
    *_of(
        "tapegrad/engine.py",
        ("pending[node] = g if held is None else held + g", "pending[node] = g", "programs"),
        ("self.waiting[target] -= 1", "self.waiting[target] = 0", "hooks"),
        ("if ends is not None and node in ends and node in self.needed:", "if False:", "hooks"),
        ("            node.release()\n\n\nclass", "            pass\n\n\nclass", "hooks"),
    ),
    *_of(
        "tapegrad/cotangents.py",
        (
            "return broadcast_adjoint(cotangent, target.shape)",
            "return broadcast_adjoint(cotangent * 0.5, target.shape)",
            "add",
        ),
        ("np.add(array, g, out=array)", "np.copyto(array, g)", "hooks"),
    ),
    *_of(
        "tapegrad/hooked.py",
        ("slots[index] = _replaced(hook, slots[index], bare)", "_replaced(hook, slots[index], bare)", "hooks"),
        ("grad.clone() if held is None else held + grad", "grad.clone()", "hooks"),
        ("fits = target.outputs > 1 or cotangent.shape == target.shape", "fits = True", "hooks"),
    ),
    *_of(
        "tapegrad/tape/inplace.py",
        ("copy._array = t._array.copy()", "copy._array = t._array", "programs"),
        ("_set_history(base, node, 0)", "pass", "eager"),
        ("return isinstance(saved, TensorBase) and saved._storage is storage", "return False", "eager"),
        ("if creation is Creation.NORMAL:", "if creation is not None:", "eager"),
    ),
    *_of(
        "tapegrad/storage.py",
        ("self.version += 1", "self.version += 0", "eager"),
        ("if stride <= reach:", "if stride < reach:", "eager"),
    ),
    *_of(
        "tapegrad/cotangents.py",
        ("storage_of(held).count_write()", "pass", "hooks"),
    ),
    *_of(
        "tapegrad/tape/variable.py",
        ("view.base._node is not view.base_node", "view.base_node is None", "eager"),
    ),
    *_of(
        "tapegrad/autograd/graph.py",
        ("frozen(t) if t is self._about_to_change else t", "t", "hooks"),
        ("handle.tensor = frozen(handle.tensor)", "pass", "hooks"),
    ),
    *_of(
        "tapegrad/autograd/function_context.py",
        ("x = broadcast_adjoint(x, target.shape)", "x = x[0]", "function"),
        ("raise self.modified(value, storage, version)", "pass", "function"),
    ),
    *_of(
        "tapegrad/autograd/function.py",
        ("rebase(t, result)", "pass", "function"),
        ("        now.grad_enabled = False\n", "        pass\n", "function"),
    ),
    *_of(
        "tapegrad/utils/checkpoint.py",
        ("with random.generator_at(options.generator), recompute_context:", "with recompute_context:", "checkpoint"),
        ("found[holder] = alias(t)", "found[holder] = alias(t * 2)", "checkpoint"),
    ),
    *_of(
        "tapegrad/tape/recorder.py",
        (
            "entry.var = new if tracked else self._rebind(entry.var, new)",
            "entry.var = self._rebind(entry.var, new)",
            "programs",
        ),
        ('self.emit(PRIMITIVES["stop_gradient"], (var,), {}, var, False)', "var", "programs"),
        ("if entry.seen is not base:", "if entry.seen is None:", "programs"),
    ),
]
"""In what walks and records the tape."""

LOWERING = [
    *_of(
        "compile/rules/analytic.py",
        ("p.cos: lax.cos", "p.cos: lax.sin", "cos"),
        ("p.log2: _logarithm(2.0)", "p.log2: _logarithm(10.0)", "log2"),
        ("lax.sub(lax.mul(da, b), lax.mul(db, a))", "lax.add(lax.mul(da, b), lax.mul(db, a))", "atan2"),
        (
            "lax.select(origin, like(a, 1), lax.add(lax.square(a), lax.square(b)))",
            "lax.add(lax.square(a), lax.square(b))",
            "kinks",
        ),
        (
            "lax.mul(lax.rsqrt(lax.sub(a, one)), lax.rsqrt(lax.add(a, one)))",
            "lax.rsqrt(lax.sub(lax.square(a), one))",
            "acosh",
        ),
        ("lax.mul(db, lax.div(b, out))", "lax.mul(db, lax.div(a, out))", "hypot"),
        ("lax.mul(da, lax.logistic(a))", "lax.mul(da, lax.exp(a))", "softplus"),
        ("lax.div(_log1p_exp(safe), like(a, beta))", "_log1p_exp(safe)", "softplus"),
        ("like(a, 1)), like(a, 0.5))", "like(a, 1)), like(a, 0.25))", "gelu"),
    ),
    *_of(
        "compile/rules/arithmetic.py",
        ("lax.div(lax.sub(da, lax.mul(out, db)), b)", "lax.div(lax.add(da, lax.mul(out, db)), b)", "div"),
        (
            "lax.select(lax.eq(b, like(b, 0)), lax.div(a, b), _quotient_and_rest(a, b)[0])",
            "lax.div(a, b)",
            "floor_divide",
        ),
        ("lax.sub(da, lax.mul(lax.stop_gradient(quotient), db))", "da", "remainder"),
        ("lax.select(other_side, lax.add(rest, b), signed)", "signed", "remainder"),
        ("lax.mul(out, lax.log(lax.select(flat, like(a, 1), a)))", "lax.log(lax.select(flat, like(a, 1), a))", "pow"),
        ("lax.mul(b, _power(safe, lax.sub(b, like(b, 1))))", "_power(safe, lax.sub(b, like(b, 1)))", "pow"),
        ("lax.integer_pow(a, n)", "lax.integer_pow(a, abs(n))", "pow_scalar"),
        ("lax.mul(like(a, 0.5), _pow_scalar(a, exponent=-0.5))", "_pow_scalar(a, exponent=-0.5)", "pow_scalar"),
        ("lax.mul(a, lax.sign(a)) if is_float(a) else lax.abs(a)", "lax.abs(a)", "kinks"),
        (
            "_div(lax.real(safe), length), _div(lax.imag(safe), length)",
            "_div(lax.imag(safe), length), _div(lax.real(safe), length)",
            "sign",
        ),
        ("lax.ceil(a), lax.floor(a))", "lax.floor(a), lax.ceil(a))", "trunc"),
        (
            "return lax.round(a, lax.RoundingMethod.TO_NEAREST_EVEN)",
            "return lax.round(a, lax.RoundingMethod.AWAY_FROM_ZERO)",
            "kinks",
        ),
        ("lax.mul(lax.add(da, db), like(a, 0.5))", "lax.add(da, db)", "kinks"),
        (
            "lax.select(better(a, b), da, lax.select(better(b, a), db, even))",
            "lax.select(better(a, b), db, lax.select(better(b, a), da, even))",
            "maximum",
        ),
        (
            "lax.bitwise_and(lax.ge(a, low), lax.le(a, high))",
            "lax.bitwise_and(lax.gt(a, low), lax.lt(a, high))",
            "kinks",
        ),
        ("lax.bitwise_or(lax.gt(a, high), lax.gt(low, high))", "lax.gt(a, high)", "clip"),
        ("lax.select(lax.le(a, zero), zero, da)", "lax.select(lax.lt(a, zero), zero, da)", "kinks"),
        (
            "lax.select(lax.le(b, like(b, 0)), like(a, 0), a)",
            "lax.select(lax.le(b, like(b, 0)), a, a)",
            "threshold_backward",
        ),
        ("p.fmod: lax.rem", "p.fmod: _remainder", "fmod"),
        ("return lax.rsqrt(a)", "return lax.sqrt(a)", "kinks"),
        ("p.where: lax.select", "p.where: lambda c, a, b: lax.select(c, b, a)", "where"),
        ("p.conj: lambda a: lax.conj(a) if is_complex(a) else a", "p.conj: lambda a: a", "conj"),
    ),
    *_of(
        "compile/rules/comparison.py",
        ("p.le: lax.le", "p.le: lax.lt", "le"),
        ("p.bitwise_or: lax.bitwise_or", "p.bitwise_or: lax.bitwise_xor", "bitwise_or"),
        (
            "lax.bitwise_and(lax.is_finite(lax.real(a)), lax.is_finite(lax.imag(a)))",
            "lax.is_finite(lax.real(a))",
            "isfinite",
        ),
        ("p.signbit: jnp.signbit", "p.signbit: lambda a: lax.lt(a, like(a, 0))", "kinks"),
    ),
    *_of(
        "compile/rules/indexing.py",
        (
            "lax.scatter_add(zeros, _column(index), g, _positions(",
            "lax.scatter(zeros, _column(index), g, _positions(",
            "take_add",
        ),
        (
            "lax.scatter_add(zeros, _column(index), g, dimensions",
            "lax.scatter(zeros, _column(index), g, dimensions",
            "scatter_add",
        ),
        (
            "_scatter(tangents[0], tangents[1], index, axis, unique=True)",
            "_scatter(tangents[0], primals[1], index, axis, unique=True)",
            "put",
        ),
        ("axis=axis, stable=True)", "axis=axis, stable=True, descending=True)", "argsort"),
    ),
    *_of(
        "compile/rules/losses.py",
        ("lax.select(kept, lax.neg(picked), like(picked, 0))", "lax.neg(picked)", "nll_loss"),
    ),
    *_of(
        "compile/rules/reductions.py",
        ("lax.div(total, like(total, _count(a, axes)))", "total", "reduce_mean"),
        (
            "lax.add(lax.square(lax.real(centred)), lax.square(lax.imag(centred)))",
            "lax.square(lax.real(centred))",
            "var",
        ),
        ("max(_count(a, axes) - correction, 0)", "max(_count(a, axes), 0)", "var"),
        ("lax.sqrt(lax.select(none, like(variance, 1), variance))", "lax.sqrt(variance)", "kinks"),
        ("return lax.cumsum(a, axis)", "return lax.cumsum(a, axis, reverse=True)", "cumsum"),
        (
            "lax.div(lax.reduce_sum(lax.select(hit, da, like(a, 0)), axes), count)",
            "lax.reduce_sum(lax.select(hit, da, like(a, 0)), axes)",
            "kinks",
        ),
        ("p.reduce_min: _extremum(lax.reduce_min)", "p.reduce_min: _extremum(lax.reduce_max)", "reduce_min"),
        ("lax.reduce_and(_truth(a), axes)", "lax.reduce_or(_truth(a), axes)", "all"),
        (
            "lax.add(lax.log(lax.select(none, like(total, 1), total)), top)",
            "lax.log(lax.select(none, like(total, 1), total))",
            "logsumexp",
        ),
        ("lax.log(lax.reduce_sum(lax.exp(shifted), axes))", "lax.log(lax.reduce_sum(lax.exp(a), axes))", "log_softmax"),
    ),
    *_of(
        "compile/rules/shaping.py",
        ("_reshape(_turned(found, window.flipped), window.shown)", "_reshape(found, window.shown)", "slice"),
        ("_turned(_reshape(new, window.sizes), window.flipped)", "_reshape(new, window.sizes)", "slice_scatter"),
        ("p.flip: lambda a, *, axes: lax.rev(a, axes)", "p.flip: lambda a, *, axes: lax.rev(a, axes[:1])", "flip"),
        ("lax.concatenate(arrays, axis)", "lax.concatenate(arrays[::-1], axis)", "concatenate"),
    ),
    *_of(
        "compile/rules/structure.py",
        ("a = lax.real(a)", "a = lax.imag(a)", "cast"),
        ("_rebind(*primals), tangents[0]", "_rebind(*primals), tangents[1]", "rebind"),
        ("p.stop_gradient: lax.stop_gradient", "p.stop_gradient: lambda a: a", "kinks"),
    ),
    *_of(
        "compile/rules/views.py",
        ("lax.add(starts, lax.broadcasted_iota(np.int64, (count, size), 1))", "starts", "unfold"),
        ("jnp.moveaxis(found, axis + 1, -1)", "jnp.moveaxis(found, axis, -1)", "unfold"),
        ("lax.complex(a[..., 0], a[..., 1])", "lax.complex(a[..., 1], a[..., 0])", "view_as_complex"),
        ("jnp.diagonal(a, offset, axis1, axis2)", "jnp.diagonal(a, -offset, axis1, axis2)", "diagonal"),
        ("_put(_flat(base), new, where, axis=0)", "_flat(base)", "as_strided_scatter"),
    ),
    *_of(
        "compile/lower.py",
        ("pull([jnp.conj(env[c]) for c in cotangents])", "pull([env[c] for c in cotangents])", "backward"),
        ("g = jnp.conj(grads[leaf])", "g = grads[leaf]", "backward"),
    ),
]
"""In the rules and the interpreter that make a JAX function of a tape."""

MUTANTS = [*RULES, *TAPE, *LOWERING]
