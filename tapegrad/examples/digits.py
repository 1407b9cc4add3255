"""Train a small network on scans of handwritten digits: eagerly, then with the very same function compiled.

    python -m tapegrad.examples.digits

Needs the `demo` extra (scikit-learn, which brings the scans with it, and tqdm).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

import tapegrad as tg
import tapegrad.nn.functional as F  # noqa: N812

BATCH = 128
HIDDEN = 512
RATE = 0.1


class Digits(NamedTuple):
    """1797 scans of 8 x 8 pixels, split in two."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load() -> Digits:
    """The scans scaled to [0, 1], one in five kept for the test."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = (scans.data / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    test, train = np.split(order, [len(order) // 5])
    return Digits(images[train], scans.target[train], images[test], scans.target[test])


def initial_weights() -> dict[str, tg.Tensor]:
    """A network with one hidden layer, with the usual random start (He et al., arXiv:1502.01852)."""
    tg.manual_seed(0)
    return {
        "w1": (tg.randn(64, HIDDEN) * (2 / 64) ** 0.5).requires_grad_(),
        "b1": tg.zeros(HIDDEN, requires_grad=True),
        "w2": (tg.randn(HIDDEN, 10) * (2 / HIDDEN) ** 0.5).requires_grad_(),
        "b2": tg.zeros(10, requires_grad=True),
    }


weights = initial_weights()


def logits(images: tg.Tensor) -> tg.Tensor:
    """The network's scores: (n, 64) images give (n, 10)."""
    hidden = (images @ weights["w1"] + weights["b1"]).relu()
    return hidden @ weights["w2"] + weights["b2"]


def step(images: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
    """One step of gradient descent, as one would write it in PyTorch."""
    for w in weights.values():
        w.grad = None
    loss = F.cross_entropy(logits(images), labels)
    loss.backward()
    with tg.no_grad():
        for w in weights.values():
            w -= RATE * w.grad
    return loss


def batches(data: Digits, generator: np.random.Generator) -> Iterator[tuple[tg.Tensor, tg.Tensor]]:
    """One epoch in random order, in batches of equal size."""
    order = generator.permutation(len(data.train_images))
    for at in range(0, len(order) - BATCH + 1, BATCH):
        rows = order[at : at + BATCH]
        yield tg.tensor(data.train_images[rows]), tg.tensor(data.train_labels[rows])


def train(step: Callable[[tg.Tensor, tg.Tensor], tg.Tensor], data: Digits, epochs: int, title: str) -> float:
    """Run the step over some epochs behind a progress bar; returns the median time of a step, in seconds."""
    from tqdm import tqdm

    generator = np.random.default_rng(1)
    times = []
    with tqdm(total=epochs * (len(data.train_images) // BATCH), desc=title, unit="step", ncols=100) as bar:
        for _ in range(epochs):
            for images, labels in batches(data, generator):
                start = time.perf_counter()
                loss = step(images, labels).item()  # item() waits for the result
                times.append(time.perf_counter() - start)
                bar.update()
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return float(np.median(times))


def accuracy(data: Digits) -> float:
    """The fraction of test scans named right."""
    with tg.no_grad():
        guesses = logits(tg.tensor(data.test_images)).argmax(1).numpy()
    return float((guesses == data.test_labels).mean())


def heading(text: str) -> None:
    """A line that starts a part of what is printed."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def main(eager_epochs: int = 3, compiled_epochs: int = 40) -> float:
    """Train, telling what happens; returns the test accuracy."""
    data = load()
    print(f"{len(data.train_images)} scans to learn from, {len(data.test_images)} to test on.")

    heading("1. Eager: the step runs as Python, on NumPy")
    eager_time = train(step, data, eager_epochs, "eager")
    print(f"test accuracy {accuracy(data):.3f}")

    heading("2. The tape: what one step did, as a pure program (tg.record)")
    example = next(batches(data, np.random.default_rng(2)))
    before = {name: w.detach().clone() for name, w in weights.items()}
    print(tg.record(step, *example))
    with tg.no_grad():
        for name, w in weights.items():  # recording runs the step; undo it
            w.copy_(before[name])

    heading("3. Compiled: the same function under tg.jit, checked against its eager run")
    fast_step = tg.jit(step)
    start = time.perf_counter()
    fast_step(*example)
    print(f"recorded, lowered to JAX, compiled and checked in {time.perf_counter() - start:.2f} s\n")
    print(fast_step.specialisations[0].report)
    print("\nEach gradient was derived twice: by tapegrad's rules on NumPy, and by JAX from the lowered program.")

    heading("4. Training on, compiled")
    compiled_time = train(fast_step, data, compiled_epochs, "compiled")
    final = accuracy(data)
    print(f"test accuracy {final:.3f}")

    heading("5. Time per step (median)")
    print(f"eager     {eager_time * 1e6:7.0f} us")
    print(f"compiled  {compiled_time * 1e6:7.0f} us   {eager_time / compiled_time:.1f} times as fast")
    return final


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eager-epochs", type=int, default=3)
    parser.add_argument("--compiled-epochs", type=int, default=40)
    arguments = parser.parse_args()
    main(arguments.eager_epochs, arguments.compiled_epochs)
