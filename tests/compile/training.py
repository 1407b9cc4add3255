"""Training loops drawn by hypothesis: a recipe says of what one is made; a `Loop` is one made by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812

__all__ = ["SPECIALS", "Loop", "Recipe", "batch", "recipes"]

OPTIMISERS: list[Callable[[list[tg.Tensor]], tg.optim.Optimizer]] = [
    lambda ps: tg.optim.SGD(ps, lr=0.05),
    lambda ps: tg.optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda ps: tg.optim.SGD(ps, lr=0.05, momentum=0.8, dampening=0.2, maximize=True),
    lambda ps: tg.optim.Adam(ps, lr=0.01),
    lambda ps: tg.optim.Adam(ps, lr=0.01, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, amsgrad=True),
    lambda ps: tg.optim.AdamW(ps, lr=0.01, weight_decay=0.2),
    lambda ps: tg.optim.RMSprop(ps, lr=0.01, alpha=0.9, eps=1e-3),
    lambda ps: tg.optim.RMSprop(ps, lr=0.01, eps=1e-3, centered=True, momentum=0.5),
    lambda ps: tg.optim.Adagrad(ps, lr=0.05, lr_decay=0.1, weight_decay=0.01, eps=1e-3),
    lambda ps: tg.optim.SGD([{"params": ps[:1], "lr": 0.2}, {"params": ps[1:]}], lr=0.05, momentum=0.5),
    lambda ps: tg.optim.Adam([{"params": ps[1:]}, {"params": ps[:1], "betas": (0.6, 0.7)}], lr=0.01, eps=1e-3),
]

SCHEDULERS: list[Callable[[tg.optim.Optimizer], Any]] = [
    lambda opt: tg.optim.lr_scheduler.StepLR(opt, 2, gamma=0.5),
    lambda opt: tg.optim.lr_scheduler.ExponentialLR(opt, 0.9),
    lambda opt: tg.optim.lr_scheduler.CosineAnnealingLR(opt, 50),
    lambda opt: tg.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 1.0 / (1 + epoch)),
    lambda opt: tg.optim.lr_scheduler.LinearLR(opt, total_iters=20),
]

SPECIALS = ("gan", "maml", "penalty", "auxiliary")

SHAPE = (2, 3)  # of a sample: channels, length


@dataclass(frozen=True)
class Recipe:
    """What a training loop is made of."""

    dtype: str
    layers: tuple[tuple[str, str, bool], ...]  # kind, activation, whether dropout follows
    shared: bool
    loss: str
    special: str | None
    optimiser: int
    scheduler: int | None
    scheduled_inside: bool
    micro_batches: int
    steps_per_call: int
    clip: str | None
    hook: str | None
    frozen: bool
    set_to_none: bool
    meter: str | None
    evaluates: bool
    looks: bool
    check: str


LAYER = st.tuples(
    st.sampled_from(["linear", "conv", "layer_norm", "batch_norm"]),
    st.sampled_from(["tanh", "gelu", "silu"]),
    st.booleans(),
)


def recipes() -> st.SearchStrategy[Recipe]:
    return st.builds(
        Recipe,
        dtype=st.sampled_from(["float64", "float32"]),
        layers=st.lists(LAYER, min_size=1, max_size=2).map(tuple),
        shared=st.booleans(),
        loss=st.sampled_from(["cross_entropy", "mse_loss", "smooth_l1_loss"]),
        special=st.sampled_from([None, None, *SPECIALS]),
        optimiser=st.integers(0, len(OPTIMISERS) - 1),
        scheduler=st.sampled_from([None, *range(len(SCHEDULERS))]),
        scheduled_inside=st.booleans(),
        micro_batches=st.integers(1, 2),
        steps_per_call=st.sampled_from([1, 1, 2]),
        clip=st.sampled_from([None, "norm", "value"]),
        hook=st.sampled_from([None, None, "scale", "late", "count"]),
        frozen=st.booleans(),
        set_to_none=st.booleans(),
        meter=st.sampled_from([None, "tensor", "float", "list"]),
        evaluates=st.booleans(),
        looks=st.booleans(),
        check=st.sampled_from(["first", "never"]),
    )


def batch(recipe: Recipe, n: int) -> tuple[tg.Tensor, tg.Tensor]:
    """The n-th batch: inputs and class numbers."""
    count = 4
    at = tg.arange(count * 6, dtype=tg.float64).reshape(count, *SHAPE)
    x = tg.sin(at * (1.3 + 0.1 * n) + n).to(getattr(tg, recipe.dtype))
    return x, tg.tensor([(i + n) % 3 for i in range(count)])


class Net:
    """Layers that keep the shape of samples, and a linear map to three numbers; dropout and batch statistics in training."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.training = True
        self.params: list[tg.Tensor] = []
        self.layers = [self._layer(kind) for kind, *_ in recipe.layers]
        if recipe.shared and len(recipe.layers) == 2 and recipe.layers[0][0] == recipe.layers[1][0]:
            self.layers[1] = self.layers[0]
            self.params = self.params[:2]
        self.head = self.parameter(6, 3)

    def parameter(self, *shape: int, offset: float = 0.0) -> tg.Tensor:
        p = (tg.randn(*shape, dtype=tg.float64) * 0.4 + offset).to(getattr(tg, self.recipe.dtype)).requires_grad_()
        self.params.append(p)
        return p

    def _layer(self, kind: str) -> dict[str, tg.Tensor]:
        channels, length = SHAPE
        if kind == "linear":
            return {"w": self.parameter(length, length), "b": self.parameter(length)}
        if kind == "conv":
            return {"w": self.parameter(channels, channels, 3), "b": self.parameter(channels)}
        if kind == "layer_norm":
            return {"w": self.parameter(length, offset=1.0), "b": self.parameter(length)}
        w, b = self.parameter(channels, offset=1.0), self.parameter(channels)
        return {"w": w, "b": b, "mean": tg.zeros(channels, dtype=w.dtype), "var": tg.ones(channels, dtype=w.dtype)}

    def __call__(self, x: tg.Tensor, params: list[tg.Tensor] | None = None) -> tg.Tensor:
        """Three numbers per sample; with `params` in place of its own, if given."""
        known = dict(zip(map(id, self.params), params or self.params, strict=True))
        for (kind, activation, drops), layer in zip(self.recipe.layers, self.layers, strict=True):
            x = self._apply(kind, layer, known, x)
            x = x.tanh() if activation == "tanh" else getattr(F, activation)(x)
            x = F.dropout(x, 0.25, self.training) if drops else x
        return x.flatten(1) @ known[id(self.head)]

    def _apply(self, kind: str, layer: dict[str, tg.Tensor], known: dict[int, tg.Tensor], x: tg.Tensor) -> tg.Tensor:
        w, b = known[id(layer["w"])], known[id(layer["b"])]
        if kind == "linear":
            return x @ w + b
        if kind == "conv":
            return F.conv1d(x, w, b, padding=1)
        if kind == "layer_norm":
            return F.layer_norm(x, (SHAPE[1],), w, b)
        return F.batch_norm(x, layer["mean"], layer["var"], w, b, self.training, momentum=0.3)


class Loop:
    """All state of a training loop. `step` is what is jitted, `around` what happens between calls."""

    def __init__(self, recipe: Recipe, nudge: float = 0.0) -> None:
        self.recipe = recipe
        self.net = Net(recipe)
        self.other = Net(recipe) if recipe.special == "gan" else None
        self.opt = self._optimiser(self.net)
        self.other_opt = None if self.other is None else self._optimiser(self.other)
        self.schedule = None
        if recipe.scheduler is not None:
            self.schedule = SCHEDULERS[recipe.scheduler](self.opt)
        self.total: Any = {None: None, "tensor": tg.zeros((), dtype=self.net.head.dtype), "float": 0.0, "list": []}[
            recipe.meter
        ]
        self.calls = 0
        self.seen = tg.zeros((), dtype=self.net.head.dtype)
        self._prepare(nudge)

    def _optimiser(self, net: Net) -> tg.optim.Optimizer:
        return OPTIMISERS[self.recipe.optimiser](net.params)

    def _prepare(self, nudge: float) -> None:
        """Freeze, hook, and move every parameter by a fraction of itself."""
        params = self.net.params
        with tg.no_grad():
            for p in params:
                p.mul_(1.0 + nudge)
        if self.recipe.frozen:
            params[0].requires_grad_(False)
        hooked = params[-1]
        if self.recipe.hook == "scale":
            hooked.register_hook(lambda g: g * 0.5)
        elif self.recipe.hook == "count":
            hooked.register_hook(self._see)
        elif self.recipe.hook == "late":
            hooked.register_post_accumulate_grad_hook(clamp_gradient)

    def _see(self, g: tg.Tensor) -> None:
        self.seen.add_(g.detach().sum())

    # What is jitted

    def step(self, x: tg.Tensor, y: tg.Tensor) -> dict[str, Any]:
        """A few steps on one batch: the metrics of the last."""
        metrics: dict[str, Any] = {}
        for _ in range(self.recipe.steps_per_call):
            if self.recipe.special == "gan":
                self._judge(x)
            metrics = self._update(x, y)
        return metrics

    def _update(self, x: tg.Tensor, y: tg.Tensor) -> dict[str, Any]:
        self.opt.zero_grad(set_to_none=self.recipe.set_to_none)
        losses = []
        for part, labels in zip(x.chunk(self.recipe.micro_batches), y.chunk(self.recipe.micro_batches), strict=True):
            loss, out = self._loss(part, labels)
            (loss / self.recipe.micro_batches).backward()
            losses.append(loss.detach())
        norm = self._clip()
        self.opt.step()
        if self.schedule is not None and self.recipe.scheduled_inside:
            self.schedule.step()
        loss = tg.stack(losses).mean()
        self._measure(loss)
        return {"loss": loss, "norm": norm, "hits": (out.argmax(1) == labels).sum(), "pair": (out.detach(), losses)}

    def _loss(self, x: tg.Tensor, y: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
        special, params = self.recipe.special, None
        if special == "maml":
            wanted = [p for p in self.net.params if p.requires_grad]
            found = tg.autograd.grad(self._compare(self.net(x), y), wanted, create_graph=True)
            moved = dict(zip(map(id, wanted), found, strict=True))
            params = [p - 0.1 * moved[id(p)] if id(p) in moved else p for p in self.net.params]
        if special == "penalty":
            x = x.detach().clone().requires_grad_()
        out = self.net(x, params)
        loss = self._compare(out, y)
        if special == "penalty":
            (slope,) = tg.autograd.grad(out.sum(), x, create_graph=True)
            loss = loss + 0.1 * ((slope.square().sum((1, 2)) + 1e-3).sqrt() - 1.0).square().mean()
        if special == "auxiliary":
            (0.1 * out.square().mean()).backward(retain_graph=True)
        if self.other is not None:
            loss = loss + F.softplus(-self._judged(out)).mean()
        return loss, out

    def _compare(self, out: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        if self.recipe.loss == "cross_entropy":
            return F.cross_entropy(out, y)
        return getattr(F, self.recipe.loss)(out, F.one_hot(y, 3).to(out.dtype))

    def _judged(self, out: tg.Tensor) -> tg.Tensor:
        """What the other network says of outputs of the first."""
        assert self.other is not None
        return self.other(tg.cat((out, out * 0.5), 1).reshape(-1, *SHAPE))

    def _judge(self, x: tg.Tensor) -> None:
        """A step of the other network, which learns to tell outputs of the first from those of the truth."""
        assert self.other_opt is not None
        self.other_opt.zero_grad(set_to_none=self.recipe.set_to_none)
        F.softplus(self._judged(self.net(x).detach())).mean().backward()
        F.softplus(-self._judged(x[:, 0])).mean().backward()
        self.other_opt.step()

    def _clip(self) -> tg.Tensor | None:
        if self.recipe.clip == "norm":
            return tg.nn.utils.clip_grad_norm_(self.net.params, 0.5)
        if self.recipe.clip == "value":
            tg.nn.utils.clip_grad_value_(self.net.params, 0.1)
        return None

    def _measure(self, loss: tg.Tensor) -> None:
        if self.recipe.meter == "tensor":
            self.total.add_(loss)
        elif self.recipe.meter == "float":
            self.total += loss.item()
        elif self.recipe.meter == "list":
            self.total = [*self.total[-1:], loss]

    # Between calls

    def around(self, n: int) -> None:
        """The schedule, unless inside, and a call in evaluation mode now and then."""
        if self.schedule is not None and not self.recipe.scheduled_inside:
            self.schedule.step()
        self.net.training = not (self.recipe.evaluates and n % 2 == 1)


def clamp_gradient(p: tg.Tensor) -> None:
    p.grad.clamp_(-0.5, 0.5)
