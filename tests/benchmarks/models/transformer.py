"""A language model: pre-norm transformer blocks, trained with AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .by_hand import Adam, cross_entropy
from .model import Arrays, scaled

__all__ = ["Transformer"]

RATE, DECAY = 1e-3, 0.01


@dataclass(frozen=True)
class Transformer:
    """See `Model`."""

    width: int = 128
    heads: int = 4
    length: int = 64
    examples: int = 8
    vocabulary: int = 256
    blocks: int = 2
    optimizer = Adam(RATE, DECAY)

    @property
    def name(self) -> str:
        return f"transformer, {self.blocks} layers of {self.width}, {self.examples} x {self.length} tokens, AdamW"

    def parameters(self) -> Arrays:
        rng = np.random.default_rng(0)
        width = self.width
        found = {"tokens": scaled(rng, self.vocabulary, width), "positions": scaled(rng, self.length, width)}
        sizes = {"qkv": (3 * width, width), "out": (width, width), "up": (4 * width, width), "down": (width, 4 * width)}
        for i in range(self.blocks):
            for name, (rows, columns) in sizes.items():
                found[f"{name}{i}.weight"] = scaled(rng, rows, columns, fan_in=columns)
                found[f"{name}{i}.bias"] = np.zeros(rows, np.float32)
        for name in (*[f"norm{i}{which}" for i in range(self.blocks) for which in "ab"], "norm"):
            found[f"{name}.weight"], found[f"{name}.bias"] = np.ones(width, np.float32), np.zeros(width, np.float32)
        return found | {"head.weight": scaled(rng, self.vocabulary, width, fan_in=width)}

    def batch(self) -> tuple[np.ndarray, ...]:
        text = np.random.default_rng(1).integers(0, self.vocabulary, (self.examples, self.length + 1))
        return text[:, :-1].copy(), text[:, 1:].copy()

    def trainer(self, torch: Any, tensors: dict[str, Any]) -> Any:
        F = torch.nn.functional
        heads, blocks, vocabulary = self.heads, self.blocks, self.vocabulary

        class Linear:
            def __init__(self, name):
                self.weight, self.bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")

            def __call__(self, x):
                return F.linear(x, self.weight, self.bias)

        class LayerNorm:
            def __init__(self, name):
                self.weight, self.bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

            def __call__(self, x):
                return F.layer_norm(x, self.weight.shape, self.weight, self.bias)

        class Block:
            def __init__(self, i):
                self.norm_a, self.norm_b = LayerNorm(f"norm{i}a"), LayerNorm(f"norm{i}b")
                self.qkv, self.out = Linear(f"qkv{i}"), Linear(f"out{i}")
                self.up, self.down = Linear(f"up{i}"), Linear(f"down{i}")

            def attend(self, x):
                n, length, width = x.shape
                q, k, v = [
                    t.view(n, length, heads, width // heads).transpose(1, 2) for t in self.qkv(x).split(width, dim=2)
                ]
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.out(mixed.transpose(1, 2).reshape(n, length, width))

            def __call__(self, x):
                x = x + self.attend(self.norm_a(x))
                return x + self.down(F.gelu(self.up(self.norm_b(x))))

        class LanguageModel:
            def __init__(self):
                self.tokens, self.positions = tensors["tokens"], tensors["positions"]
                self.blocks = [Block(i) for i in range(blocks)]
                self.norm, self.head = LayerNorm("norm"), Linear("head")

            def __call__(self, text):
                x = F.embedding(text, self.tokens) + self.positions
                for block in self.blocks:
                    x = block(x)
                return self.head(self.norm(x))

        model = LanguageModel()
        optimizer = torch.optim.AdamW(tensors.values(), lr=RATE, weight_decay=DECAY)

        def step(text, following):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(text).view(-1, vocabulary), following.view(-1))
            loss.backward()
            optimizer.step()
            return loss

        return step

    def loss(self, tensors: dict[str, Any], text: Any, following: Any) -> Any:
        x = tensors["tokens"][text] + tensors["positions"]
        for i in range(self.blocks):
            x = x + self._attend(tensors, norm(tensors, x, f"norm{i}a"), i)
            up = linear(tensors, norm(tensors, x, f"norm{i}b"), f"up{i}")
            x = x + linear(tensors, jax.nn.gelu(up, approximate=False), f"down{i}")
        logits = norm(tensors, x, "norm") @ tensors["head.weight"].T
        return cross_entropy(logits.reshape(-1, self.vocabulary), following.reshape(-1))

    def _attend(self, tensors: dict[str, Any], x: Any, i: int) -> Any:
        n, length, width = x.shape
        size = width // self.heads
        q, k, v = jnp.split(linear(tensors, x, f"qkv{i}").reshape(n, length, 3 * self.heads, size), 3, axis=2)
        scores = jnp.einsum("nqhd,nkhd->nhqk", q * (1 / math.sqrt(size)), k)
        scores = jnp.where(jnp.tri(length, dtype=bool), scores, -jnp.inf)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v)
        return linear(tensors, mixed.reshape(n, length, width), f"out{i}")

    def others(self) -> Mapping[str, Any]:
        return {}


def linear(tensors: dict[str, Any], x: Any, name: str) -> Any:
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def norm(tensors: dict[str, Any], x: Any, name: str) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    variance = jnp.square(centred).mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5) * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
