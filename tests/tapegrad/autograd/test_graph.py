"""What nodes save: put away by hooks, cloned before a write, and errors that name the line that wrote."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import graph


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def test_the_error_names_the_line_that_wrote() -> None:
    x, w = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = x * w
    w.mul_(3)
    w.add_(1)  # the last one
    expected = (
        r"modified by an inplace operation: \[torch\.DoubleTensor \[2\]\] is at version 2; expected version 0 instead\. "
        r"MulBackward0 saved it; the last write was test_graph\.py:\d+, in test_the_error_names_the_line_that_wrote: "
        r"w\.add_\(1\)  # the last one"
    )
    with pytest.raises(tg.InPlaceError, match=expected):
        y.sum().backward()
    assert x.grad is None


def test_the_error_names_the_operation_whose_output_was_written_to() -> None:
    y = leaf(1.0).exp()
    y.view(-1).add_(1)
    with pytest.raises(
        tg.InPlaceError, match=r"\[1\]\], which is output 0 of Exp, is at version 1.*y\.view\(-1\)\.add_\(1\)"
    ):
        y.sum().backward()


def test_packed_tensors_may_live_anywhere(tmp_path: Any) -> None:
    """As in PyTorch's tutorial: saved tensors on disk, gone with the graph."""

    class OnDisk:
        def __init__(self, t: tg.Tensor) -> None:
            self.path = tmp_path / f"{id(self)}.npy"
            np.save(self.path, t.detach().numpy())

        def __del__(self) -> None:
            self.path.unlink()

    x = leaf(1.0, 2.0)
    with graph.saved_tensors_hooks(OnDisk, lambda kept: tg.from_numpy(np.load(kept.path))):
        y = (x * x).exp().sum()
    assert len(list(tmp_path.iterdir())) == 3
    y.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([1.0, 4.0]) * [1.0, 2.0])
    del y
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_clones_of_overwritten_tensors_go_with_the_block() -> None:
    x = leaf(1.0, 2.0)
    a = x * 3
    with graph.allow_mutation_on_saved_tensors():
        y = a * a
        a.zero_()
        clone = weakref.ref(y.grad_fn._saved_self._array)
        y.sum().backward()
        del y
        assert clone() is None
    assert x.grad is not None
    assert x.grad.tolist() == [18.0, 36.0]


def test_hooks_do_not_see_what_hooks_compute() -> None:
    count = [0]

    def pack(t: tg.Tensor) -> tg.Tensor:
        count[0] += 1
        with tg.enable_grad():
            leaf(1.0).exp()  # saves its output
        return t

    with graph.saved_tensors_hooks(pack, lambda t: t):
        leaf(1.0).exp()
    assert count == [1]


def test_an_error_in_an_unpack_hook_changes_no_gradient() -> None:
    x = leaf(1.0)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: 1 / 0):
        y = (x * x).sum()
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert x.grad is None
    (x * 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0]


def test_a_gradient_edge_keeps_the_graph_and_not_the_memory() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    memory = weakref.ref(y._array)
    edge = graph.get_gradient_edge(y)
    z = (y + 1).sum()
    del y
    assert memory() is None
    (g,) = tg.autograd.grad(z, [edge])
    assert g.tolist() == [1.0, 1.0]
    tg.autograd.backward(edge, tg.tensor([1.0, 10.0], dtype=tg.float64))
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 30.0]


def test_memory_written_behind_autograds_back_can_be_declared() -> None:
    x, w = leaf(1.0), tg.ones(1, dtype=tg.float64)
    y = x * w
    w.numpy()[0] = 5.0
    graph.increment_version(w)
    with pytest.raises(tg.InPlaceError):
        y.sum().backward()


def test_recording_refuses_what_a_tape_cannot_hold() -> None:
    def anomalous(x: tg.Tensor) -> tg.Tensor:
        with tg.autograd.set_detect_anomaly(True):
            return x.exp()

    with pytest.raises(tg.UnsupportedError):
        tg.record(anomalous, leaf(1.0))
    assert not graph.state.watchers
    assert tg.is_grad_enabled()


def test_hooks_put_away_what_is_about_to_be_overwritten() -> None:
    a, w = leaf(1.0, 2.0) * 3, leaf(5.0, 7.0)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        a.mul_(w)
    a.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [3.0, 6.0]
