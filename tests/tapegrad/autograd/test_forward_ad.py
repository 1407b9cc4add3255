"""Dual numbers: values in closed form, what writes in place do to tangents, and what a level leaves behind."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import forward_ad as fw
from tapegrad.errors import InPlaceError, UnsupportedError
from tapegrad.tape import state


def t(*values, **options):
    return tg.tensor(values, dtype=tg.float64, **options)


def pushed(function, x, v):
    """The tangent of `function(x)` for the tangent `v` of `x`, as a list."""
    with fw.dual_level():
        tangent = fw.unpack_dual(function(fw.make_dual(x, v))).tangent
        return None if tangent is None else tangent.detach().tolist()


# Values


def test_tangents_are_directional_derivatives():
    x, v = t(1.0, 2.0), t(1.0, -1.0)
    assert pushed(lambda a: a**3, x, v) == [3.0, -12.0]
    assert pushed(lambda a: a[0] * a[1], x, v) == 1.0
    assert pushed(lambda a: (a * a).sum(), x, v) == -2.0
    assert pushed(lambda a: tg.outer(a, a), x, v) == [[2.0, 1.0], [1.0, -4.0]]
    assert pushed(lambda a: tg.cat([a, a * 2]), x, v) == [1.0, -1.0, 2.0, -2.0]


def test_what_does_not_depend_on_the_input_has_none():
    x, v = t(1.0, 2.0), t(1.0, -1.0)
    for function in (tg.zeros_like, lambda a: a.detach(), lambda a: a > 0, lambda a: a.argmax(), lambda a: x * 2):
        assert pushed(function, x, v) is None


def test_a_branch_that_is_not_taken_does_not_poison():
    assert pushed(lambda a: tg.where(a > 0, a.sqrt(), a), t(-4.0, 4.0), t(1.0, 1.0)) == [1.0, 0.25]


def test_a_value_in_a_product_with_itself_written_in_place():
    # where PyTorch takes the value just written for the one before
    assert pushed(lambda a: (a * 1).mul_(a), t(3.0), t(1.0)) == [6.0]

    def squared_in_place(a):
        b = a * 1
        b.mul_(b)
        return b

    assert pushed(squared_in_place, t(3.0), t(1.0)) == [6.0]


def test_forward_over_reverse_and_reverse_over_forward_give_second_derivatives():
    x = t(2.0, 3.0)
    with fw.dual_level():
        a = fw.make_dual(x, t(1.0, 0.0)).requires_grad_()
        (g,) = tg.autograd.grad((a**4).sum(), a)
        assert fw.unpack_dual(g).tangent.tolist() == [48.0, 0.0]
        (g,) = tg.autograd.grad((a**4).sum(), a, create_graph=True)
        (h,) = tg.autograd.grad(g.sum(), a)
        assert fw.unpack_dual(h).tangent.tolist() == [48.0, 0.0]
    x.requires_grad_()
    with fw.dual_level():
        tangent = fw.unpack_dual((fw.make_dual(x, t(1.0, 1.0)) ** 4).sum()).tangent
        (g,) = tg.autograd.grad(tangent, x)
        assert g.tolist() == [48.0, 108.0]


def test_forward_over_reverse_through_values_that_were_overwritten():
    def function(a):
        b = a * 1
        b.mul_(a)
        b[0].mul_(a[1])
        return (b * 1).mul_(b)

    x, v, g = t(1.5, -2.0), t(1.0, 0.5), t(1.0, -1.0)
    with fw.dual_level():
        a = fw.make_dual(x, v).requires_grad_()
        (found,) = tg.autograd.grad(function(a), a, g)
        slope = fw.unpack_dual(found).tangent.detach().numpy()

    def gradient(at):
        a = tg.from_numpy(at).requires_grad_()
        return tg.autograd.grad(function(a), a, g)[0].numpy()

    h = 1e-5
    expected = (gradient(x.numpy() + h * v.numpy()) - gradient(x.numpy() - h * v.numpy())) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=1e-8)


def test_complex_tangents_follow_the_convention():
    x, v = tg.tensor([1 + 2j]), tg.tensor([1j])
    assert pushed(lambda a: a * a, x, v) == [2j * (1 + 2j)]
    assert pushed(lambda a: a.conj(), x, v) == [-1j]
    assert pushed(lambda a: a.real, x, v) == [0.0]
    assert pushed(lambda a: a.imag, x, v) == [1.0]
    np.testing.assert_allclose(pushed(lambda a: a.abs(), x, v), [2 / np.sqrt(5)], rtol=1e-6)


# Memory: a tangent lies as its primal does


def test_views_of_a_dual_tensor_have_views_of_its_tangent():
    with fw.dual_level():
        a = fw.make_dual(t(1.0, 2.0, 3.0) * 1, t(1.0, 1.0, 1.0))
        b, c = a[1:], a.view(3, 1)
        b.mul_(5)
        assert fw.unpack_dual(a).tangent.tolist() == [1.0, 5.0, 5.0]
        assert fw.unpack_dual(c).tangent.tolist() == [[1.0], [5.0], [5.0]]
        a.zero_()
        assert fw.unpack_dual(b).tangent.tolist() == [0.0, 0.0]


def test_a_write_through_a_view_gives_the_base_and_the_other_views_a_tangent():
    with fw.dual_level():
        base = tg.zeros(2, 2, dtype=tg.float64)
        row, column = base[0], base[:, 1]
        row.copy_(fw.make_dual(t(1.0, 2.0), t(3.0, 4.0)))
        assert fw.unpack_dual(base).tangent.tolist() == [[3.0, 4.0], [0.0, 0.0]]
        assert fw.unpack_dual(column).tangent.tolist() == [4.0, 0.0]


def test_results_do_not_share_the_memory_of_a_tangent():
    with fw.dual_level():
        a = fw.make_dual(t(1.0, 2.0), t(1.0, 1.0))
        for b in (a + 1, a.clone(), a - 0, +a * 1):
            b.mul_(7)
            assert fw.unpack_dual(b).tangent.tolist() == [7.0, 7.0]
        assert fw.unpack_dual(a).tangent.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "make", [lambda: t(1.0, 2.0, 3.0, 4.0).view(2, 2).T, lambda: tg.ones(4, 4, dtype=tg.float64)[::2, ::2]]
)
def test_a_tangent_that_lies_otherwise_is_copied(make):
    x, v = make(), t(1.0, 2.0, 3.0, 4.0).view(2, 2)
    with fw.dual_level():
        a = fw.make_dual(x, v)
        tangent = fw.unpack_dual(a).tangent
        assert tangent is not v
        assert tangent.stride() == x.stride()
        a[0].mul_(2)
        assert fw.unpack_dual(a).tangent.tolist() == [[2.0, 4.0], [3.0, 4.0]]


def test_a_copy_of_a_tangent_that_lies_otherwise_is_not_a_view():
    with fw.dual_level():
        a = fw.make_dual(t(1.0, 2.0, 3.0, 4.0).view(2, 2).T, t(1.0, 2.0, 3.0, 4.0).view(2, 2))
        b = a.reshape(4)  # a copy, in this order
        b.mul_(3)
        assert fw.unpack_dual(b).tangent.tolist() == [3.0, 6.0, 9.0, 12.0]
        assert fw.unpack_dual(a).tangent.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_copy_of_what_is_expanded_is_not_a_view():
    with fw.dual_level():
        a = fw.make_dual(t(1.0, 2.0).expand(2, 2), t(1.0, 2.0, 3.0, 4.0).view(2, 2))
        b = a.reshape(4)
        b.mul_(3)
        assert fw.unpack_dual(b).tangent.tolist() == [3.0, 6.0, 9.0, 12.0]
        assert fw.unpack_dual(a).tangent.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_view_made_before_its_base_got_a_tangent_with_a_graph():
    x, w = t(1.0, 2.0), t(3.0, 4.0, requires_grad=True)
    with fw.dual_level():
        a = fw.make_dual(x, t(1.0, 1.0)) * 1
        first = a[0]
        a.mul_(w)
        tangent = fw.unpack_dual(first * 1).tangent
        assert tg.autograd.grad(tangent, w)[0].tolist() == [1.0, 0.0]


def test_what_forbids_a_write_to_the_tangent_is_said_before_anything_changes():
    x, v = t(1.0), t(2.0, requires_grad=True)
    with fw.dual_level():
        a = fw.make_dual(x, v)
        with pytest.raises(InPlaceError, match="a leaf Variable that requires grad"):
            a.mul_(2)
    assert (x.tolist(), v.tolist(), x._version) == ([1.0], [2.0], 0)


def test_data_and_detach_lead_away_from_the_tangent():
    with fw.dual_level():
        x = t(1.0)
        a = fw.make_dual(x, t(1.0))
        a.data.mul_(3)
        a.data *= 2
        assert a.detach().tolist() == [6.0]
        assert fw.unpack_dual(a).tangent.tolist() == [1.0]
        b = a * 1
        b.detach_()
        assert fw.unpack_dual(b).tangent is None


# Levels


def test_tangents_die_with_the_level_and_are_not_kept_alive():
    v = t(1.0)
    reference = weakref.ref(v)
    with fw.dual_level():
        a = fw.make_dual(t(2.0), v) * 3
        level = state.watchers[-1]
        del v
        b = a * 2
        assert len(level._entries) == 2
        del b
        gc.collect()
        assert len(level._entries) == 1
    assert reference() is None
    assert fw.unpack_dual(a).tangent is None
    with fw.dual_level():
        assert fw.unpack_dual(a).tangent is None


def test_an_exception_ends_the_level():
    with pytest.raises(ZeroDivisionError), fw.dual_level():
        fw.make_dual(t(1.0), t(1.0)) * (1 // 0)
    assert state.watchers == ()
    with fw.dual_level() as level:
        assert level == 0


def test_a_level_belongs_to_its_thread():
    found = []
    with fw.dual_level():
        a = fw.make_dual(t(1.0), t(1.0))
        thread = threading.Thread(target=lambda: found.append((fw.unpack_dual(a).tangent, state.watchers)))
        thread.start()
        thread.join()
        assert fw.unpack_dual(a).tangent is not None
    assert found == [(None, ())]


def test_no_graph_is_recorded_for_tangents_of_constants():
    with fw.dual_level():
        assert not fw.unpack_dual(fw.make_dual(t(1.0), t(1.0)).exp() * 2).tangent.requires_grad
        x = t(1.0, requires_grad=True)
        assert fw.unpack_dual(fw.make_dual(x, t(1.0)).exp()).tangent.requires_grad
        with tg.no_grad():
            assert not fw.unpack_dual(fw.make_dual(x, t(1.0)).exp()).tangent.requires_grad


def test_a_tangent_given_inside_a_vmap_that_is_inside_the_level_is_refused():
    with fw.dual_level(), pytest.raises(UnsupportedError, match="enter the level in the mapped function"):
        tg.vmap(lambda a: fw.make_dual(a, a))(t(1.0, 2.0))


# Functions of the user's


class Cube(tg.autograd.Function):
    @staticmethod
    def forward(a):
        return a**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g

    @staticmethod
    def jvp(ctx, a):
        return 3 * ctx.saved_tensors[0] ** 2 * a


def test_a_function_gives_its_own_tangent_at_every_order():
    assert pushed(Cube.apply, t(2.0), t(1.0)) == [12.0]

    def slope(function):
        return lambda a: tg.func.jvp(function, (a,), (tg.ones_like(a),))[1]

    assert slope(slope(Cube.apply))(t(2.0)).tolist() == [12.0]
    assert slope(slope(slope(Cube.apply)))(t(2.0)).tolist() == [6.0]
    assert tg.func.grad(lambda a: slope(Cube.apply)(a).sum())(t(2.0)).tolist() == [12.0]
    assert slope(tg.func.grad(lambda a: Cube.apply(a).sum()))(t(2.0)).tolist() == [12.0]


def test_a_function_is_left_as_it_was_when_its_jvp_raises():
    class Broken(Cube):
        @staticmethod
        def jvp(ctx, a):
            raise ValueError("no")

    with fw.dual_level():
        a = fw.make_dual(t(2.0), t(1.0))
        with pytest.raises(ValueError, match="no"):
            Broken.apply(a)
        assert fw.unpack_dual(a * 2).tangent.tolist() == [2.0]
