"""Eager steps against PyTorch's, and the digits step compiled."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from tables import Row, table
from timing import paired

import tapegrad as tg
from tapegrad.examples import digits

__all__ = ["report"]


def five_ops(library: Any) -> Any:
    """Forward and backward of five operations on 4 x 4 tensors."""
    x, w, b = [library.randn(4, 4, requires_grad=True) for _ in range(3)]

    def step() -> None:
        x.grad = w.grad = b.grad = None
        ((x @ w + b).tanh() * x).sum().backward()

    return step


def chain(library: Any, length: int) -> Any:
    """Forward and backward of a chain of additions."""
    x = library.ones(1, requires_grad=True)

    def step() -> None:
        y = x
        for _ in range(length):
            y = y + x
        y.sum().backward()

    return step


def digits_batch() -> tuple[Any, Any]:
    data = digits.load()
    return data.train_images[: digits.BATCH], data.train_labels[: digits.BATCH]


def tapegrad_digits(compiled: bool) -> Any:
    """The step of the demo, waiting for its result."""
    images, labels = map(tg.tensor, digits_batch())
    digits.weights.update(digits.initial_weights())
    step = tg.jit(digits.step) if compiled else digits.step
    return lambda: step(images, labels).item()


def jax_digits() -> Any:
    """The same step as one writes it in JAX."""
    images, labels = digits_batch()
    weights = {name: jnp.asarray(w.detach().numpy()) for name, w in digits.initial_weights().items()}

    def loss(weights: Any, images: Any, labels: Any) -> Any:
        hidden = jax.nn.relu(images @ weights["w1"] + weights["b1"])
        logs = jax.nn.log_softmax(hidden @ weights["w2"] + weights["b2"])
        return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean()

    @jax.jit
    def step(weights: Any, images: Any, labels: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(weights, images, labels)
        return value, jax.tree.map(lambda w, g: w - digits.RATE * g, weights, grads), grads

    held = [weights]

    def run() -> Any:
        value, held[0], _ = step(held[0], images, labels)
        return value.item()

    return run


def torch_digits(torch: Any) -> Any:
    """The same step in PyTorch, eagerly."""
    images, labels = map(torch.from_numpy, digits_batch())
    weights = {
        name: torch.tensor(w.detach().numpy(), requires_grad=True) for name, w in digits.initial_weights().items()
    }

    def step() -> Any:
        for w in weights.values():
            w.grad = None
        hidden = (images @ weights["w1"] + weights["b1"]).relu()
        loss = torch.nn.functional.cross_entropy(hidden @ weights["w2"] + weights["b2"], labels)
        loss.backward()
        with torch.no_grad():
            for w in weights.values():
                w -= digits.RATE * w.grad
        return loss.item()

    return step


def linear_in_length(step_of_length: Any) -> dict[int, float]:
    """Seconds per addition of chains ten times as long each."""
    found = {}
    for length in (10_000, 100_000, 1_000_000):
        step = step_of_length(length)
        start = time.perf_counter()
        step()
        found[length] = (time.perf_counter() - start) / length
    return found


def report(torch: ModuleType | None) -> None:
    """Print the tables."""

    def row(name: str, tapegrad: Any, pytorch: Any, target: float | None = None) -> Row:
        others = {} if torch is None else {"PyTorch": pytorch(torch)}
        return Row(name, paired({"tapegrad": tapegrad} | others), target)

    threads = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(1)
    rows = [
        row("5 operations on 4 x 4, forward and backward", five_ops(tg), five_ops, 0.9),
        row("digits step", tapegrad_digits(False), torch_digits),
        row("chain of 1000 additions, forward and backward", chain(tg, 1000), lambda torch: chain(torch, 1000)),
    ]
    print(table("eager, PyTorch on one thread", ["tapegrad", "PyTorch"], rows))
    if torch is not None:
        torch.set_num_threads(threads)

    best = paired({"tapegrad": tapegrad_digits(True), "JAX": jax_digits()})
    print(table("digits step, compiled", ["tapegrad", "JAX"], [Row("digits step, gradients returned", best, 1.15)]))

    print("\nchains of additions: time per addition, forward and backward, eager")
    for length, seconds in linear_in_length(lambda n: chain(tg, n)).items():
        print(f"    {length:>9,d}   {seconds * 1e6:6.2f} us")
