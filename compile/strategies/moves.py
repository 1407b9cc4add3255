"""Moves: the lines that random programs are made of, each with what it wants of the values it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

__all__ = ["Draft", "draw_line"]

Array = np.ndarray[Any, Any]
MARGIN = 1e-2
"""How far from kinks and ties values must be: far more than the steps of numeric differentiation."""
LARGE = 3.0
"""Values beyond are squashed by the next line."""
SIZE = 24
"""The most elements a tensor may get."""


class Draft:
    """A program being written: its lines, run so far on real tensors.

    `names` of its tensors are in the order they were made; `fresh` ones are copies that nothing has read but views,
    so that no gradient needs their values and writing to them in place is allowed.
    """

    def __init__(self, scope: dict[str, Any], inputs: Sequence[Array]) -> None:
        self.scope = scope
        self.lines: list[str] = []
        self.names = [f"x{i}" for i in range(len(inputs))]
        self.read: set[str] = set()
        self.fresh: set[str] = set()
        for name, x in zip(self.names, inputs, strict=True):
            scope[name] = scope["tg"].from_numpy(x.copy()).requires_grad_()

    @property
    def latest(self) -> str:
        """The name of the tensor made last."""
        return self.names[-1]

    def value(self, name: str) -> Array:
        """The value of a tensor, as an array."""
        found: Array = self.scope[name].detach().numpy()
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.value(name).shape

    def unused(self) -> list[str]:
        """The tensors that no line has read."""
        return [name for name in self.names if name not in self.read]

    def run(self, line: str, *operands: str) -> None:
        """Add a line that reads `operands`, and run it. What they look at is fresh no more: a gradient may need it."""
        read = [self.value(name) for name in operands]
        exec(line, self.scope)  # noqa: S102  (a line of this module)
        self.lines.append(line)
        self.read.update(operands)
        self.fresh = {name for name in self.fresh if not any(np.shares_memory(self.value(name), x) for x in read)}

    def let(self, expression: str, *operands: str) -> str:
        """Add a line that names the value of an expression; one that is too large is squashed by another."""
        name = f"v{len(self.names)}"
        self.run(f"{name} = {expression}", *operands)
        self.names.append(name)
        value = self.value(name)
        if value.size and np.abs(value).max() > LARGE:
            return self.let(f"{name}.tanh()", name)
        return name

    def copy(self, template: str, source: str) -> str:
        """A tensor whose value nothing has saved."""
        name = self.let(template.format(source), source)
        return self.let(f"{name}.clone()", name) if self.lines[-1].endswith("tanh()") else name

    def write(self, template: str, target: str, other: str | None) -> None:
        """Add a line that writes to `target` in place, and another to squash it if it gets too large."""
        self.run(template.format(t=target, o=other), *[other] if other else [])
        if template in OUT_SAVING:
            self.fresh.discard(target)
        elif np.abs(self.value(target)).max() > LARGE:
            self.write("{t}.tanh_()", target, None)


def _off(kink: float) -> Callable[[Array], bool]:
    return lambda x: bool((np.abs(x - kink) > MARGIN).all())


def _apart(x: Array, margin: float = MARGIN) -> bool:
    """Whether no two elements tie."""
    return x.size > 0 and bool((np.diff(np.sort(x, axis=None)) > margin).all())


def _any(_x: Array) -> bool:
    return True


UNARY: tuple[tuple[str, Callable[[Array], bool]], ...] = (
    ("{}.tanh()", _any), ("{}.sin()", _any), ("{} * 0.75", _any), ("1.5 - {}", _any), ("{}.square()", _any),
    ("-{}", _any), ("{}.exp()", lambda x: bool((x < 1.5).all())), ("{}.sigmoid()", _any), ("{}.cos()", _any),
    ("{}.abs()", _off(0.0)), ("{}.relu()", _off(0.0)), ("{} / 2", _any), ("{} ** 3", _any), ("{}.erf()", _any),
    ("tg.nn.functional.softplus({})", _any), ("tg.nn.functional.gelu({})", _any), ("{}.atan()", _any),
    ("{}.expm1()", lambda x: bool((x < 1.5).all())), ("{}.asinh()", _any), ("({} / 2).sinh()", _any),
    ("({}.square() + 0.5).sqrt()", _any), ("({}.square() + 1).reciprocal()", _any), ("({}.square() + 0.5).log()", _any),
    ("({}.square() + 1) ** -0.5", _any), ("2.0 / ({}.square() + 1)", _any), ("{}.square().log1p()", _any),
    ("({}.square() + 0.75).rsqrt()", _any), ("{}.clamp(-1.5, 0.75)", lambda x: _off(-1.5)(x) and _off(0.75)(x)),
    ("tg.where({0} > 0, {0}, 0.1 * {0})", _off(0.0)), ("{0}.masked_fill({0} > 1, 0.5)", _off(1.0)),
    ("{}.clone()", _any), ("detach({})", _any), ("{}.double().cos()", _any), ("0.5 ** {}", _any),
)  # fmt: skip
BINARY: tuple[tuple[str, Callable[[Array], bool]], ...] = (
    ("{} + {}", _any), ("{} * {}", _any), ("{} - {}", _any), ("{} / ({}.square() + 1)", _any),
    ("tg.maximum({}, {})", _off(0.0)), ("tg.minimum({}, {})", _off(0.0)), ("tg.atan2({}, {}.square() + 1)", _any),
    ("tg.where({0} > {1}, {1}, {0} * 2)", _off(0.0)), ("({}.square() + 0.5) ** {}", _any),
    ("tg.add({}, {}, alpha=0.5)", _any),
)  # fmt: skip
"""With what is wanted of the difference of the operands."""

WHOLE = (
    "{}.sum()",
    "{}.mean()",
    "{}.square().mean()",
    "{}.flatten()",
    "{}.logsumexp(dim=0)",
    "{}.unsqueeze(0)",
    "{}.t()",
    "{}.mT",
    "{}.diagonal()",
)
ALONG = (
    "{x}.sum({d})", "{x}.mean({d}, keepdim=True)", "{x}.softmax({d})", "{x}.log_softmax({d})", "{x}.cumsum({d})",
    "{x}.logsumexp({d})", "{x}.prod({d})", "{x}.flip({d})", "{x}.unsqueeze({d})", "{x}.transpose(0, {d})",
    "{x}.sum({d}, keepdim=True)", "tg.stack([{x}, {x} * 2], {d})", "{x} - {x}.mean({d}, keepdim=True)",
    "{x}.narrow({d}, 0, 1)", "{x}.select({d}, -1)", "{x}.index_select({d}, tg.tensor([0, 0]))", "{x}.chunk(2, {d})[0]",
    "{x}.movedim({d}, 0)", "{x}.unbind({d})[0]", "{x}.unfold({d}, 1, 2)", "{x}.roll(1, {d})",
)  # fmt: skip
SPREAD = ("{x}.var({d}, correction=0)", "({x}.var({d}, correction=0) + 0.1).sqrt()", "{x}.std({d}, keepdim=True)")
EXTREME = ("{x}.amax({d})", "{x}.amin({d}, keepdim=True)", "{x}.max({d})[0]", "{x}.amax()")
PICKS = (
    "{}[0]", "{}[-1:]", "{}[..., 0]", "{}[..., ::2]", "{}[None]", "{}[tg.tensor([0, -1, 0])]",
    "{}[..., tg.tensor([0, 0])]", "{}[1:]",
)  # fmt: skip
WRITES = (
    "{t}.mul_({o})", "{t} += {o}", "{t}.sub_(0.5)", "{t}[..., 0] = 0.25", "{t}[0].mul_(0.5)", "{t}[0] += 1",
    "{t}.tanh_()", "{t}[..., -1:] *= detach({t}[..., :1]).clone()", "{t}.div_(2)", "{t}.exp_()", "{t}.copy_({o})",
    "{t}.flatten()[0] = 0.5", "{t}.diagonal().mul_(0.5)", "{t}.unfold(0, 1, 2)[0] += 0.25",
)  # fmt: skip

OUT_SAVING = ("{t}.tanh_()", "{t}.exp_()")
"""What computes its gradient from its result, which must not be written to again."""


def draw_line(draw: st.DrawFn, draft: Draft) -> None:
    """Add a line (two, if its value has to be squashed)."""
    move = draw(st.sampled_from(MOVES))
    move(draw, draft)


def _pick(draw: st.DrawFn, names: Sequence[str]) -> str:
    """One of the names, by preference a late one."""
    return names[-1 - draw(st.integers(0, len(names) - 1))]


def _suited(draw: st.DrawFn, moves: Sequence[tuple[str, Callable[[Array], bool]]], x: Array) -> str:
    return draw(st.sampled_from([template for template, suits in moves if suits(x)]))


def _unary(draw: st.DrawFn, draft: Draft) -> None:
    name = _pick(draw, draft.names)
    draft.let(_suited(draw, UNARY, draft.value(name)).format(name), name)


def _partners(draft: Draft, name: str) -> list[str]:
    """The tensors that broadcast against `name` to nothing too large."""
    found = []
    for other in draft.names:
        try:
            shape = np.broadcast_shapes(draft.shape(name), draft.shape(other))
        except ValueError:
            continue
        if np.prod(shape) <= SIZE and len(shape) <= 4:
            found.append(other)
    return found


def _binary(draw: st.DrawFn, draft: Draft) -> None:
    a = _pick(draw, draft.names)
    b = _pick(draw, _partners(draft, a))
    template = _suited(draw, BINARY, draft.value(a) - draft.value(b))
    draft.let(template.format(a, b), a, b)


def _whole(draw: st.DrawFn, draft: Draft) -> None:
    name = _pick(draw, draft.names)
    ndim = draft.value(name).ndim
    skipped = {
        "{}.t()": ndim > 2, "{}.mT": ndim < 2, "{}.diagonal()": ndim < 2, "{}.logsumexp(dim=0)": ndim < 1,
        "{}.unsqueeze(0)": ndim > 3,
    }  # fmt: skip
    draft.let(draw(st.sampled_from([t for t in WHOLE if not skipped.get(t)])).format(name), name)


def _along(draw: st.DrawFn, draft: Draft) -> None:
    name = _pick(draw, draft.names)
    value = draft.value(name)
    if not value.ndim:
        return _unary(draw, draft)
    dim = draw(st.integers(0, value.ndim - 1))
    templates = [
        *ALONG,
        *(SPREAD if value.shape[dim] > 1 and _apart(value) else ()),
        *(EXTREME if _apart(value) else ()),
    ]
    template = draw(st.sampled_from(templates))
    grows = "stack" in template or "index_select" in template or "unsqueeze" in template or "unfold" in template
    if grows and (value.size * 2 > SIZE or value.ndim > 3):
        template = ALONG[0]
    draft.let(template.format(x=name, d=dim), name)
    return None


def _pick_out(draw: st.DrawFn, draft: Draft) -> None:
    name = _pick(draw, draft.names)
    value = draft.value(name)
    if not value.ndim or 0 in value.shape[:1] + value.shape[-1:] or value.ndim > 3 or value.size * 3 > SIZE:
        return _unary(draw, draft)
    templates = PICKS if value.shape[0] > 1 else PICKS[:-1]
    draft.let(draw(st.sampled_from(templates)).format(name), name)
    return None


def _join(draw: st.DrawFn, draft: Draft) -> None:
    a = _pick(draw, draft.names)
    shape = draft.shape(a)
    b = _pick(draw, [name for name in draft.names if draft.shape(name) == shape])
    if not shape or np.prod(shape) * 2 > SIZE or len(shape) > 3:
        return _binary(draw, draft)
    template = draw(st.sampled_from(("tg.cat([{}, {}])", "tg.cat([{}, {}], -1)", "tg.stack([{}, {}])")))
    draft.let(template.format(a, b), a, b)
    return None


def _product(draw: st.DrawFn, draft: Draft) -> None:
    a = _pick(draw, draft.names)
    shape = draft.shape(a)
    dtype = draft.value(a).dtype
    fitting = [n for n in draft.names if _fits(shape, draft.shape(n)) and draft.value(n).dtype == dtype]
    if not fitting:
        return _binary(draw, draft)
    b = _pick(draw, fitting)
    draft.let(f"{a} @ {b}", a, b)
    return None


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether `a @ b` is defined; both have an axis, and what is summed over is not empty."""
    if not (a and b) or not a[-1] or a[-1] != b[-2 if len(b) > 1 else 0]:
        return False
    try:
        lead = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        return False
    return bool(np.prod((*lead, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))) <= SIZE)


def _write(draw: st.DrawFn, draft: Draft) -> None:
    """Write in place to a fresh tensor, making one first if there is none, and maybe a view that sees the change."""
    if not draft.fresh or draw(st.booleans()):
        source = _pick(draw, draft.names)
        copy = draft.copy(draw(st.sampled_from(("{}.clone()", "{} + 0.25"))), source)
        draft.fresh.add(copy)
    target = _pick(draw, sorted(draft.fresh))
    value = draft.value(target)
    if value.ndim and draw(st.booleans()):
        draft.let(f"{target}[0]")
        if target not in draft.fresh:
            return
    others = [name for name in _partners(draft, target) if name not in draft.fresh and _goes_into(draft, name, target)]
    unsuited = {"{o}": not others, "[": not value.ndim, "diagonal": value.ndim < 2, "exp_": bool((value > 1).any())}
    template = draw(st.sampled_from([t for t in WRITES if not any(part in t and unsuited[part] for part in unsuited)]))
    draft.write(template, target, _pick(draw, others) if "{o}" in template else None)


def _goes_into(draft: Draft, name: str, target: str) -> bool:
    """Whether one tensor broadcasts to the shape of another, and is no view of it."""
    a, b = draft.value(name), draft.value(target)
    return np.broadcast_shapes(a.shape, b.shape) == b.shape and not np.shares_memory(a, b)


MOVES = (_unary, _binary, _unary, _along, _binary, _whole, _pick_out, _product, _join, _write, _along)
