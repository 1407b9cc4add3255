"""The picture of a tape: valid SVG, a box for everything, none over another and no line through one."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.tape import PRIMITIVES, Source, Step, Tape, Var
from tapegrad.tape.picture import GROUPS, STEPS, WIDEST, draw_tape
from tapegrad.tape.printing import format_type, name_vars

SVG = "{http://www.w3.org/2000/svg}"
F32 = np.dtype("float32")


def tensor(*shape: int, requires_grad: bool = False) -> Any:
    """Some float32 tensor."""
    return tg.tensor(np.linspace(-1, 1, int(np.prod(shape))).astype("f4").reshape(shape), requires_grad=requires_grad)


def expression() -> Tape:
    """A few steps that fan out and in."""
    return tg.record(lambda x, y: (x * y + x.exp())[0:2].sum() / 3, tensor(3, 4, requires_grad=True), tensor(3, 4))


def training_step() -> Tape:
    """Forward, backward and update of a small network."""
    weights = [tensor(4, 8, requires_grad=True), tensor(8, requires_grad=True), tensor(8, 2, requires_grad=True)]

    def step(x: Any, y: Any) -> Any:
        w1, b1, w2 = weights
        loss = tg.nn.functional.cross_entropy((x @ w1 + b1).tanh() @ w2, y)
        loss.backward()
        with tg.no_grad():
            for w in weights:
                w.sub_(0.1 * w.grad)
        return loss

    return tg.record(step, tensor(3, 4), tg.tensor([0, 1, 1]))


def second_derivative() -> Tape:
    """A backward through a backward."""

    def twice(x: Any) -> Any:
        (g,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
        return g, *tg.autograd.grad((g * g).sum(), x)

    return tg.record(twice, tensor(3, requires_grad=True))


def views() -> Tape:
    """Writes through a view; a constant; several results."""

    def f(x: Any) -> Any:
        v = x[1:, 0]
        v.mul_(2)
        return [v, x + tg.arange(4)]

    return tg.record(f, tensor(3, 4) * 1)


def residual() -> Tape:
    """Lines that pass many rows."""

    def f(x: Any) -> Any:
        hs = [x]
        for _ in range(12):
            hs.append(sum(hs[-4:]).tanh() + x)
        return hs[-1]

    return tg.record(f, tensor(3))


TAPES = [expression, training_step, second_derivative, views, residual]


def chain(n: int, *sources: Source | None) -> Tape:
    """A tape of `n` steps, each reading the one before, that come from `sources` in turn."""
    tape = Tape("chain", inputs=[Var((2,), F32, label="x")])
    var = tape.inputs[0]
    for i in range(n):
        out = Var((2,), F32)
        tape.steps.append(Step(PRIMITIVES["add"], (var, 1.0), {}, (out,), sources[i % len(sources)]))
        var = out
    tape.outputs, tape.results = [var], 1
    return tape


Rect = tuple[float, float, float, float]


def boxes(svg: str) -> list[tuple[str, str, Rect]]:
    """Kind, text and place (left, top, right, bottom) of each box."""
    found = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if "data-kind" in group.attrib:
            rect = group.find(f"{SVG}rect")
            assert rect is not None
            x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            text = " ".join("".join(part.itertext()) for part in group.iter(f"{SVG}text"))
            found.append((group.attrib["data-kind"], text, (x, y, x + width, y + height)))
    return found


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The lines as points along them."""
    return [points(path.attrib["d"]) for path in ET.fromstring(svg).iter(f"{SVG}path") if "C" in path.attrib["d"]]


def points(d: str) -> list[tuple[float, float]]:
    """Points along `M x y C ...`, and along the `v` after it."""
    curve, _, down = d.partition("v")
    x0, y0, x1, y1, x2, y2, x3, y3 = map(float, re.findall(r"-?[\d.]+", curve))
    along = []
    for t in np.linspace(0, 1, 50):
        weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
        xy = np.array([(x0, y0), (x1, y1), (x2, y2), (x3, y3)])
        along.append(tuple(np.array(weights) @ xy))
    if down:
        along += [(x3, y3 + part * float(down)) for part in np.linspace(0, 1, 10)]
    return along


@pytest.mark.parametrize("make", TAPES)
def test_everything_has_a_box(make: Any) -> None:
    tape = make()
    found = boxes(draw_tape(tape))
    backward = [step for step in tape.steps if step.prim.name == "backward"]
    wanted = {
        "input": sum(not var.requires_grad for var in tape.inputs),
        "parameter": sum(var.requires_grad for var in tape.inputs),
        "backward": len(backward),
        "gradient": sum(len(step.outputs) for step in backward),
        "effect": len(tape.writes) + len(tape.grads),
        "result": tape.results,
    }
    for kind, n in wanted.items():
        assert sum(k == kind for k, _, _ in found) == n, kind
    plain = [step for step in tape.steps if step not in backward]
    assert sum(k in {"step", "tracked"} for k, _, _ in found) == len(plain)
    names, texts = name_vars(tape), [text for _, text, _ in found]
    for step in plain:
        end = f"{names[step.outputs[0]]}: {format_type(step.outputs[0])}"
        assert any(text.startswith(step.prim.name) and text.endswith(end) for text in texts)


@pytest.mark.parametrize("make", TAPES)
def test_boxes_lie_apart_and_inside(make: Any) -> None:
    svg = draw_tape(make())
    found = [rect for _, _, rect in boxes(svg)]
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(found, 2):
        assert r1 < l2 or r2 < l1 or b1 < t2 or b2 < t1
    root = ET.fromstring(svg)
    assert min(rect[0] for rect in found) >= 0
    assert max(rect[2] for rect in found) <= float(root.attrib["width"])
    assert max(rect[3] for rect in found) <= float(root.attrib["height"])


@pytest.mark.parametrize("make", TAPES)
def test_lines_run_down_and_through_no_box(make: Any) -> None:
    svg = draw_tape(make())
    found = [rect for _, _, rect in boxes(svg)]
    drawn = lines(svg)
    assert drawn
    for line in drawn:
        assert all(upper[1] <= lower[1] for upper, lower in pairwise(line))
        for x, y in line:
            assert not any(left < x < right and top + 0.1 < y < bottom - 0.1 for left, top, right, bottom in found)


@pytest.mark.parametrize("make", TAPES)
def test_text_fits_its_box(make: Any) -> None:
    for group in ET.fromstring(draw_tape(make())).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        for text in group.findall(f"{SVG}text") if rect is not None else ():
            size = float(text.attrib["font-size"])
            assert size >= 11
            assert len("".join(text.itertext())) * size * 0.6 < float(rect.attrib["width"]) - 10


def test_source_lines_are_tooltips() -> None:
    svg = draw_tape(expression())
    tips = [title.text or "" for title in ET.fromstring(svg).iter(f"{SVG}title")]
    assert any("test_picture.py:" in tip and "x * y + x.exp()" in tip for tip in tips)


def test_the_legend_names_what_there_is() -> None:
    text = "".join(ET.fromstring(draw_tape(training_step())).itertext())
    for what in ("input that requires grad", "backward", "gradient", "changes an input", "result"):
        assert what in text
    assert "gradient" not in "".join(ET.fromstring(draw_tape(chain(2, None))).itertext())


def test_labels_are_escaped() -> None:
    tape = chain(1, Source('<"&>.py', 1, "f"))
    tape.name, tape.inputs[0].label = "<lambda>", 'w["a&b"]\x00'
    root = ET.fromstring(draw_tape(tape))
    assert root.attrib["aria-label"] == "graph of <lambda>"
    assert 'w["a&b"]?' in "".join(root.itertext())


def test_long_labels_are_cut() -> None:
    tape = chain(1, None)
    tape.inputs[0].label = "model." * 200
    assert float(ET.fromstring(draw_tape(tape)).attrib["width"]) < 1000


@pytest.mark.parametrize("tape", [Tape("nothing"), chain(0, None)])
def test_tapes_without_steps(tape: Tape) -> None:
    assert len(boxes(draw_tape(tape))) == len(tape.inputs) + len(tape.outputs)


def test_the_limit_of_steps() -> None:
    sources = [Source("m.py", i, "f") for i in range(10)]
    assert len(boxes(draw_tape(chain(STEPS, *sources)))) == STEPS + 2
    assert len(boxes(draw_tape(chain(STEPS + 1, *sources)))) == 10 + 2


def test_a_long_tape_is_drawn_as_its_lines() -> None:
    svg = draw_tape(chain(20_000, Source("m.py", 1, "f"), Source("m.py", 2, "f")))
    texts = [text for _, text, _ in boxes(svg)]
    assert "m.py:1 10000 times, 10000 steps: add" in [text.replace("  ", " ") for text in texts]
    assert len(texts) == 4
    assert len(lines(svg)) == 3


def test_a_long_tape_of_many_lines_has_few_boxes() -> None:
    svg = draw_tape(chain(5000, *(Source("m.py", i, f"f{i}") for i in range(5000))))
    assert len(boxes(svg)) <= GROUPS + 2


def test_a_wide_tape_is_drawn_as_its_lines() -> None:
    def update(ws: Any) -> None:
        for w in ws:
            w.mul_(2)

    tape = tg.record(update, [tensor(3) * 1 for _ in range(60)])
    assert len(tape.steps) < STEPS
    svg = draw_tape(tape)
    assert [kind for kind, _, _ in boxes(svg)] == ["input", "step", "effect"]
    assert float(ET.fromstring(svg).attrib["width"]) < WIDEST


def test_the_same_tape_gives_the_same_picture() -> None:
    tape = training_step()
    assert draw_tape(tape) == draw_tape(tape) == tape._repr_svg_()


def test_drawing_and_printing_need_numpy_alone() -> None:
    program = (
        "import sys, tapegrad as tg\n"
        "tape = tg.record(lambda x: x.exp(), tg.ones(3))\n"
        "assert not {'tapegrad.tape.picture', 'tapegrad.tape.printing'} & set(sys.modules)\n"
        "str(tape), tape._repr_svg_()\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
