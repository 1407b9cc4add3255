"""Benchmarks, printed as a table: `make bench`. PyTorch is a column where it is installed.

Ratios are between contenders that took turns in one process, on one thread each.
"""

import importlib.util
import platform
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from timing import paired, table

import tapegrad as tg
from tapegrad.examples import digits


def torch_or_none():
    """PyTorch on one thread, if installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(1)
    return torch


def five_ops(library):
    """Forward and backward of five operations on 4 x 4 tensors."""
    x, w, b = [library.randn(4, 4, requires_grad=True) for _ in range(3)]

    def step():
        x.grad = w.grad = b.grad = None
        ((x @ w + b).tanh() * x).sum().backward()

    return step


def chain(library, length):
    """Forward and backward of a chain of additions."""
    x = library.ones(1, requires_grad=True)

    def step():
        y = x
        for _ in range(length):
            y = y + x
        y.sum().backward()

    return step


def digits_batch():
    data = digits.load()
    return data.train_images[: digits.BATCH], data.train_labels[: digits.BATCH]


def tapegrad_digits(compiled):
    """The step of the demo, waiting for its result."""
    images, labels = map(tg.tensor, digits_batch())
    digits.weights.update(digits.initial_weights())
    step = tg.jit(digits.step) if compiled else digits.step
    return lambda: step(images, labels).item()


def jax_digits():
    """The same step as one writes it in JAX."""
    images, labels = digits_batch()
    weights = {name: jnp.asarray(w.detach().numpy()) for name, w in digits.initial_weights().items()}

    def loss(weights, images, labels):
        hidden = jax.nn.relu(images @ weights["w1"] + weights["b1"])
        logs = jax.nn.log_softmax(hidden @ weights["w2"] + weights["b2"])
        return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean()

    @jax.jit
    def step(weights, images, labels):
        value, grads = jax.value_and_grad(loss)(weights, images, labels)
        return value, jax.tree.map(lambda w, g: w - digits.RATE * g, weights, grads), grads

    held = [weights]

    def run():
        value, held[0], _ = step(held[0], images, labels)
        return value.item()

    return run


def torch_digits(torch):
    """The same step in PyTorch, eagerly."""
    images, labels = map(torch.from_numpy, digits_batch())
    weights = {
        name: torch.tensor(w.detach().numpy(), requires_grad=True) for name, w in digits.initial_weights().items()
    }

    def step():
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


def linear_in_length(step_of_length):
    """Seconds per addition of chains ten times as long each."""
    found = {}
    for length in (10_000, 100_000, 1_000_000):
        step = step_of_length(length)
        start = time.perf_counter()
        step()
        found[length] = (time.perf_counter() - start) / length
    return found


def main():
    torch = torch_or_none()
    versions = f"tapegrad {tg.__version__}, NumPy {np.__version__}, JAX {jax.__version__}"
    print(f"{time.strftime('%Y-%m-%d')}  {platform.machine()}, Python {platform.python_version()}, {versions}", end="")
    print(f", PyTorch {torch.__version__}\n" if torch else "  (PyTorch is not installed)\n")

    contenders = {"tapegrad": five_ops(tg)} | ({"PyTorch": five_ops(torch)} if torch else {})
    print(table("5 operations on 4 x 4, forward and backward, eager", paired(contenders), "<= 0.9 of PyTorch"))

    contenders = {"tapegrad jit": tapegrad_digits(True), "JAX by hand": jax_digits()}
    print(table("\ndigits step, compiled", paired(contenders), "<= 1.15 of JAX"))

    contenders = {"tapegrad": tapegrad_digits(False)} | ({"PyTorch": torch_digits(torch)} if torch else {})
    print(table("\ndigits step, eager", paired(contenders)))

    contenders = {"tapegrad": chain(tg, 1000)} | ({"PyTorch": chain(torch, 1000)} if torch else {})
    print(table("\nchain of 1000 additions, forward and backward, eager", paired(contenders)))

    print("\nchains of additions: time per addition, forward and backward")
    for length, seconds in linear_in_length(lambda n: chain(tg, n)).items():
        print(f"    {length:>9,d}   {seconds * 1e6:6.2f} us")


if __name__ == "__main__":
    sys.exit(main())
