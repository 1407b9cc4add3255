"""jit of a training step of the kind people write: classes, configurations, registries, properties, loggers."""

import abc
import dataclasses
import enum
import logging
import math
import typing as t
from collections import OrderedDict, defaultdict
from typing import NamedTuple, Protocol

import numpy as np

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812

logger = logging.getLogger(__name__)


class Act(enum.Enum):
    RELU = "relu"
    TANH = "tanh"


@dataclasses.dataclass(frozen=True)
class Config:
    hidden: int = 8
    act: Act = Act.TANH
    rates: tuple[float, ...] = (0.1,)


class Layer(Protocol):
    def __call__(self, x: tg.Tensor) -> tg.Tensor: ...


class Base(abc.ABC):
    registry: t.ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls, **k):
        Base.registry[cls.__name__] = cls

    @abc.abstractmethod
    def forward(self, x): ...
    def __call__(self, x):
        return self.forward(x)

    @property
    def n(self):
        return 2


class Linear(Base):
    def __init__(self, i, o):
        super().__init__()
        self.w = (tg.randn(i, o) / math.sqrt(i)).requires_grad_()
        self.b = tg.zeros(o, requires_grad=True)

    def forward(self, x):
        return x @ self.w + self.b


class MLP(Base):
    def __init__(self, c: Config):
        self.c = c
        self.layers = [Linear(4, c.hidden), Linear(c.hidden, 3)]
        self.stats = defaultdict(list)
        self.named = OrderedDict(a=self.layers[0])

    def forward(self, x):
        for i, l in enumerate(self.layers):
            x = l(x)
            if i + 1 < len(self.layers):
                x = ACTS[self.c.act](x)
        return x * np.float32(1.0) * (np.pi / np.pi)

    def params(self):
        return [p for l in self.layers for p in (l.w, l.b)]


ACTS = {Act.RELU: lambda x: x.relu(), Act.TANH: tg.tanh}


class Out(NamedTuple):
    loss: tg.Tensor
    logits: tg.Tensor


class Trainer:
    def __init__(self, model, lr=0.1):
        self.model = model
        self.lr = lr
        self.m = [tg.zeros_like(p) for p in model.params()]

    def step(self, x, y) -> Out:
        logger.debug("step")
        for p in self.model.params():
            p.grad = None
        logits = self.model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        with tg.no_grad():
            for p, m in zip(self.model.params(), self.m, strict=True):
                m.mul_(0.9).add_(p.grad)
                p.sub_(self.lr * m)
        return Out(loss, logits.detach().clone())


def test_a_model_of_many_classes_trains_as_it_does_eagerly():
    trainers = []
    for _ in range(2):
        tg.manual_seed(0)
        trainers.append(Trainer(MLP(Config())))
    eager, compiled = trainers
    step = tg.jit(compiled.step)
    x, y = tg.randn(16, 4), tg.randint(0, 3, (16,))
    for turn in range(6):
        if turn == 4:
            eager.lr = compiled.lr = 0.05
        expected, got = eager.step(x, y), step(x, y)
        assert type(got) is Out
        np.testing.assert_allclose(got.loss.item(), expected.loss.item(), rtol=1e-5)
    for p, q in zip(eager.model.params(), compiled.model.params(), strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-4, atol=1e-6)
    assert len(step.specialisations) == 1  # with gradients (without came once only); the learning rate is an input
