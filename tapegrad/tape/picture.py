"""A tape as an SVG picture: inputs on top, steps below what they read, gradients and effects in colours of their own.

A layered drawing: every box lies below all boxes it reads from; rows are ordered to cross few lines; a line that
passes a row has a place of its own in it, so that it never runs through a box.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right, insort
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from .printing import (
    Names,
    backward_parts,
    describe_group,
    effects,
    format_counts,
    format_details,
    format_source,
    format_step,
    format_type,
    input_notes,
    name_vars,
    shortened,
    source_groups,
)
from .program import Step, Tape, Var

__all__ = ["draw_tape"]

STEPS, WIDEST, GROUPS = 150, 2600, 60  # a tape of more steps, or wider in pixels, is drawn as at most so many groups
ROW, GAP, SPACE, MARGIN = 44, 34, 22, 24  # heights of a row and between rows, widths between boxes and around all
TITLE, SUB, ADVANCE = 13, 11.5, 0.602  # font sizes, and how wide a character of a monospaced font is

PLAIN, TRACKED, BACKWARD, EFFECT, INK = "#7a828e", "#0f6cbd", "#8a3ffc", "#c2410c", "#1f2328"
FONT = "font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\""
HEAD = f'font-size="15" font-weight="bold" fill="{INK}"'
FAINT = f'font-size="{SUB}" font-weight="normal" fill="{PLAIN}"'
LOOKS = {  # fill, border, corner radius, what the legend says
    "input": ("#e9edf2", PLAIN, 22, "input"),
    "parameter": ("#dbeafe", TRACKED, 22, "input that requires grad"),
    "step": ("#ffffff", PLAIN, 5, "step without derivative"),
    "tracked": ("#ffffff", TRACKED, 5, "step that a derivative flows through"),
    "backward": ("#e4d4ff", BACKWARD, 5, "backward"),
    "gradient": ("#f3ebff", BACKWARD, 22, "gradient"),
    "effect": ("#ffedd5", EFFECT, 5, "changes an input"),
    "result": (INK, INK, 5, "result"),
}


@dataclass(eq=False, repr=False)
class _Node:
    """A box; or, with no `kind`, the place where a line passes a row.

    `tone` is the colour of the lines that leave it, `trunk` the places that one line has in all rows it passes.
    """

    kind: str = ""
    title: str = ""
    rest: str = ""
    sub: str = ""
    mark: str = ""
    tip: str = ""
    tone: str = ""
    above: list[_Node] = field(default_factory=list)
    below: list[_Node] = field(default_factory=list)
    trunk: list[_Node] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0

    def __post_init__(self) -> None:
        self.title, self.rest = shortened(self.title, 40), shortened(self.rest, 48)
        self.sub, self.mark = shortened(self.sub, 60), shortened(self.mark, 30)
        title, sub = (len(a) + len(b) + bool(b) for a, b in ((self.title, self.rest), (self.sub, self.mark)))
        self.width = max(title * TITLE, sub * SUB) * ADVANCE + 26 if self.kind else 8.0
        self.tone = self.tone or LOOKS[self.kind][1]

    def reads(self, sources: Iterable[_Node | None]) -> None:
        """Put the node below `sources`, each once."""
        for source in filter(None, dict.fromkeys(sources)):
            self.above.append(source)
            source.below.append(self)


def draw_tape(tape: Tape) -> str:
    """The tape as an SVG document. A large one is drawn as the source lines that its steps come from."""
    names = name_vars(tape)
    rows = _lay_out(_detailed(tape, names)) if len(tape.steps) <= STEPS else []
    if not rows or _right(rows) > WIDEST:
        rows = _lay_out(_summary(tape, names))
    return _svg(tape, rows)


def _detailed(tape: Tape, names: Names) -> list[_Node]:
    """A box for each input, step, gradient, effect and result."""
    maker = dict(_input_boxes(tape, names))
    nodes = list(maker.values())
    for step in tape.steps:
        node = _step_box(step, names)
        roots, cotangents, _ = backward_parts(step)
        node.reads(maker.get(v) for v in (*roots, *cotangents) or step.vars)
        nodes.append(node)
        maker.update(dict.fromkeys(step.outputs, node))
        for var, gradient in _gradient_boxes(step, names):
            gradient.reads([node])
            nodes.append(gradient)
            maker[var] = gradient
    for var, node in _end_boxes(tape, names):
        node.reads([maker.get(var)])
        nodes.append(node)
    return nodes


def _input_boxes(tape: Tape, names: Names) -> Iterator[tuple[Var, _Node]]:
    for var, note in zip(tape.inputs, input_notes(tape), strict=True):
        kind = "parameter" if var.requires_grad else "input"
        tip = f"{names[var]}: {format_type(var)}" + (f"  # {note}" if note else "")
        mark = note.removeprefix("requires_grad").removeprefix(", ")
        yield var, _Node(kind, names[var], sub=format_type(var), mark=mark, tip=tip)


def _step_box(step: Step, names: Names) -> _Node:
    tip = format_step(step, names) + (f"\n{format_source(step.source)}" if step.source else "")
    roots, _, leaves = backward_parts(step)
    if roots:
        of, wrt = (", ".join(names.get(v, "?") for v in part) for part in (roots, leaves))
        return _Node("backward", "backward", f"of {of}", f"wrt {wrt}", tip=tip)
    sub = ", ".join(f"{names[var]}: {format_type(var)}" for var in step.outputs)
    return _Node(_step_kind([step]), step.prim.name, shortened(format_details(step), 30), sub, tip=tip)


def _step_kind(steps: Sequence[Step]) -> str:
    if any(step.prim.name == "backward" for step in steps):
        return "backward"
    return "tracked" if any(v.requires_grad for step in steps for v in step.outputs) else "step"


def _gradient_boxes(step: Step, names: Names) -> Iterator[tuple[Var, _Node]]:
    roots, _, leaves = backward_parts(step)
    of = "+".join(names.get(v, "?") for v in roots)
    for leaf, var in zip(leaves, step.outputs, strict=False):
        ratio = f"∂{of}/∂{names.get(leaf, '?')}"
        yield var, _Node("gradient", names[var], ratio, format_type(var), tip=f"{names[var]} = {ratio}")


def _end_boxes(tape: Tape, names: Names) -> Iterator[tuple[Var, _Node]]:
    """Boxes for the effects and the results, with the value each takes."""
    for target, var in effects(tape, names):
        name = names.get(var, "?")
        what = "new gradient" if target.endswith(".grad") else "written in place"
        yield var, _Node("effect", target, f"= {name}", what, tip=f"{target} = {name}")
    for position, var in enumerate(tape.outputs[: tape.results]):
        title = "return" if tape.results == 1 else f"result {position}"
        name = names.get(var, "?")
        yield var, _Node("result", title, name, format_type(var), tip=f"{title} {name}")


def _summary(tape: Tape, names: Names) -> list[_Node]:
    """A box for each group of steps, for the inputs that a group is the first to read, and for how it ends."""
    groups = source_groups(tape.steps, GROUPS)
    nodes = [_group_box(runs) for runs in groups]
    home: dict[Var, int] = {}
    first: dict[Var, int] = {}
    for i, step in ((i, step) for i, runs in enumerate(groups) for step in chain.from_iterable(runs)):
        home.update(dict.fromkeys(step.outputs, i))
        for var in step.vars:
            first.setdefault(var, i)
    for i, runs in enumerate(groups):
        sources = {home[var] for run in runs for step in run for var in step.vars if var in home}
        nodes[i].reads(nodes[j] for j in sorted(sources) if j < i)  # what a loop hands to its next turn is left out
    tops = list(_gathered((first.get(var, -1), box) for var, box in _input_boxes(tape, names)))
    bottoms = list(_gathered((home.get(var, -1), box) for var, box in _end_boxes(tape, names)))
    for i, box in tops:
        if i >= 0:
            nodes[i].reads([box])
    for i, box in bottoms:
        box.reads(nodes[max(i, 0) : i + 1])
    return [*(box for _, box in tops), *nodes, *(box for _, box in bottoms)]


def _group_box(runs: Sequence[Sequence[Step]]) -> _Node:
    described = describe_group(runs)
    return _Node(_step_kind(list(chain.from_iterable(runs))), *described, tip="\n".join(described))


def _gathered(boxes: Iterable[tuple[int, _Node]]) -> Iterator[tuple[int, _Node]]:
    """One box for all those of a kind that go with the same group."""
    together: dict[tuple[int, str], list[_Node]] = {}
    for i, box in boxes:
        together.setdefault((i, box.kind), []).append(box)
    for (i, kind), several in together.items():
        what = "changes" if kind == "effect" else "results" if kind == "result" else "inputs"
        sub, tip = ", ".join(box.title for box in several), "\n".join(box.tip for box in several)
        yield i, several[0] if len(several) == 1 else _Node(kind, f"{len(several)} {what}", sub=sub, tip=tip)


# Where the boxes go


def _lay_out(nodes: Sequence[_Node]) -> list[list[_Node]]:
    """Rows of nodes in drawing order, lines that pass through included; `layer` and `x` are set."""
    for node in nodes:
        node.layer = max((source.layer + 1 for source in node.above), default=0)
    for node in reversed(nodes):  # what reads nothing, or one thing, is drawn just above where it is used
        if len(node.above) <= 1 and node.below and node.kind != "gradient":
            node.layer = min(reader.layer for reader in node.below) - 1
    rows: list[list[_Node]] = [[] for _ in range(max((node.layer for node in nodes), default=-1) + 1)]
    for node in nodes:
        rows[node.layer].append(node)
    for node in nodes:
        _bend(node, rows)
    rows = _ordered(rows)
    _place(rows)
    return rows


def _bend(node: _Node, rows: list[list[_Node]]) -> None:
    """Give the lines that leave `node` a common place in each row that they pass."""
    readers = sorted(node.below, key=lambda reader: reader.layer)
    last, node.below, trunk = node, [], list[_Node]()
    for reader in readers:
        while last.layer < reader.layer - 1:
            passing = _Node(tone=node.tone, layer=last.layer + 1, above=[last], trunk=trunk)
            trunk.append(passing)
            last.below.append(passing)
            rows[passing.layer].append(passing)
            last = passing
        last.below.append(reader)
        reader.above[reader.above.index(node)] = last


def _ordered(rows: list[list[_Node]]) -> list[list[_Node]]:
    """The rows with few crossings: each node near the middle of its neighbours, downwards and upwards in turn."""
    best, fewest = rows, _crossings(rows)
    for sweep in range(24):
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        for fixed, row in pairwise(rows if down else rows[::-1]):
            place = {node: i for i, node in enumerate(fixed)}
            near = {node: [place[n] for n in (node.above if down else node.below)] for node in row}
            rank = {node: sum(near[node]) / len(near[node]) if near[node] else i for i, node in enumerate(row)}
            row.sort(key=rank.__getitem__)
        if (crossings := _crossings(rows)) < fewest:
            best, fewest = rows, crossings
    return best


def _crossings(rows: Sequence[Sequence[_Node]]) -> int:
    """How many pairs of lines cross: inversions among their lower ends, taken in the order of the upper ones."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: i for i, node in enumerate(lower)}
        seen: list[int] = []
        for node in upper:
            ends = sorted(place[reader] for reader in node.below)
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _place(rows: Sequence[Sequence[_Node]]) -> None:
    """Set `x`: every node as near to its neighbours as the order and the widths of its row allow."""
    for row in rows:
        _spread(row, [0.0] * len(row), [1.0] * len(row))
    for row in [row for _ in range(30) for row in (*reversed(rows), *rows)]:
        pulls = [list(_pulls(node)) for node in row]
        weights = [sum(weight for _, weight in pull) for pull in pulls]
        _spread(row, [sum(x * w for x, w in pull) / total for pull, total in zip(pulls, weights, strict=True)], weights)
    left = min((node.x - node.width / 2 for node in chain.from_iterable(rows)), default=0.0)
    for node in chain.from_iterable(rows):
        node.x += MARGIN - left


def _pulls(node: _Node) -> Iterator[tuple[float, float]]:
    """The places that a node is drawn to, with weights: its neighbours; for a line that passes, to be straight."""
    yield node.x, 0.01
    for other in (*node.above, *node.below):
        aside = {node.kind, other.kind} & {"input", "parameter", "effect", "result", ""}
        yield other.x, 0.3 if aside else 1.5
    if node.trunk:
        yield sum(passing.x for passing in node.trunk) / len(node.trunk), 20.0


def _spread(row: Sequence[_Node], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """The x nearest to `wanted`, by weighted squares, that keep the order and leave room for the widths.

    With the room that each needs taken off, x must only not decrease: neighbours that do are pooled.
    """
    room = [0.0]
    for a, b in pairwise(row):
        space = SPACE if a.kind and b.kind else SPACE * 0.6
        room.append(room[-1] + (a.width + b.width) / 2 + space)
    pools: list[tuple[float, float, int]] = []
    for x, offset, weight in zip(wanted, room, weights, strict=False):
        pool = (x - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            (x1, w1, n1), (x2, w2, n2) = pools.pop(), pool
            pool = ((x1 * w1 + x2 * w2) / (w1 + w2), w1 + w2, n1 + n2)
        pools.append(pool)
    for node, x, offset in zip(row, (x for x, _, n in pools for _ in range(n)), room, strict=False):
        node.x = x + offset


def _right(rows: Sequence[Sequence[_Node]]) -> float:
    return max((node.x + node.width / 2 for row in rows for node in row), default=0.0) + MARGIN


def _svg(tape: Tape, rows: Sequence[Sequence[_Node]]) -> str:
    tops, graph, nodes = _tops(rows), _right(rows), [node for row in rows for node in row]
    heading = f'{_escape(tape.name)}<tspan {FAINT} dx="18">{format_counts(tape)}</tspan>'
    width = max(graph, 560, (len(tape.name) + len(format_counts(tape))) * 9 + 3 * MARGIN)
    legend, bottom = _legend({node.kind for node in nodes}, tops[-1] + 4, width - MARGIN)
    size = f'width="{width:.0f}" height="{bottom + MARGIN:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="graph of {_escape(tape.name)}" {FONT}>',
        f'<rect {size} rx="8" fill="#ffffff"/><text x="{MARGIN}" y="30" {HEAD}>{heading}</text>',
        f'<g transform="translate({(width - graph) / 2:.1f} 0)">',
        *(_line(node, reader, tops) for node in nodes for reader in node.below),
        *(_box(node, tops[node.layer]) for node in nodes if node.kind),
        "</g>",
        *legend,
        "</svg>",
    ]
    return "\n".join(parts)


def _tops(rows: Sequence[Sequence[_Node]]) -> list[float]:
    """The y of each row's upper edge, then of the end: rows between which lines run far sideways are further apart."""
    tops = [48.0]
    for row in rows:
        slant = max((abs(node.x - reader.x) for node in row for reader in node.below), default=0.0)
        tops.append(tops[-1] + ROW + min(max(GAP, slant * 0.12), 3 * GAP))
    return tops


def _line(node: _Node, reader: _Node, tops: Sequence[float]) -> str:
    """A curve from the lower edge of `node` to the upper edge of `reader`, with an arrow's head at a box."""
    y0, y1 = tops[node.layer] + ROW, tops[reader.layer]
    x0, x1, head = node.x, _port(reader, node), 6 if reader.kind else 0
    middle, end = (y0 + y1 - head) / 2, y1 - head
    curve = f"M{x0:.1f} {y0:.1f}C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {end:.1f}"
    line = f'fill="none" stroke="{node.tone}" stroke-width="1.4"/>'
    if not reader.kind:
        return f'<path d="{curve}v{ROW}" {line}'
    return f'<path d="{curve}" {line}<path d="M{x1:.1f} {y1:.1f}l-4 -7h8z" fill="{node.tone}"/>'


def _port(reader: _Node, node: _Node) -> float:
    """Where on the upper edge of `reader` the line from `node` ends: side by side, in the order they come from."""
    if not reader.kind or len(reader.above) == 1:
        return reader.x
    order = sorted(reader.above, key=lambda source: source.x)
    step = min(18.0, (reader.width - 24) / (len(order) - 1))
    return reader.x + (order.index(node) - (len(order) - 1) / 2) * step


def _box(node: _Node, y: float) -> str:
    """A box with its two lines of text; what it is in full shows under the mouse."""
    fill, border, radius, _ = LOOKS[node.kind]
    ink = "#ffffff" if node.kind == "result" else INK
    left = f'x="{node.x - node.width / 2:.1f}" y="{y:.1f}" width="{node.width:.1f}" height="{ROW}" rx="{radius}"'
    middle = f'x="{node.x:.1f}" text-anchor="middle" fill="{ink}"'
    return (
        f'<g data-kind="{node.kind}"><title>{_escape(node.tip)}</title>'
        f'<rect {left} fill="{fill}" stroke="{border}" stroke-width="1.4"/>'
        f'<text {middle} y="{y + 19:.1f}" font-size="{TITLE}" font-weight="bold">{_escape(node.title)}'
        f"{_tspan(node.rest, TITLE, ink)}</text>"
        f'<text {middle} y="{y + 35:.1f}" font-size="{SUB}" fill-opacity="0.72">{_escape(node.sub)}'
        f"{_tspan(node.mark, SUB, EFFECT)}</text></g>"
    )


def _tspan(text: str, size: float, fill: str) -> str:
    """More text on a line, a space further (viewers differ in whether they keep a space)."""
    style = f'font-weight="normal" fill="{fill}" fill-opacity="1"'
    return f'<tspan dx="{size * ADVANCE:.1f}" {style}>{_escape(text)}</tspan>' if text else ""


def _legend(kinds: Container[str], y: float, right: float) -> tuple[list[str], float]:
    """The kinds of boxes there are, in as many lines as they need, and where the last one ends."""
    parts, x = [], float(MARGIN)
    for fill, border, radius, what in (look for kind, look in LOOKS.items() if kind and kind in kinds):
        width = 29 + len(what) * SUB * ADVANCE
        if x + width > right:
            x, y = float(MARGIN), y + 22
        look = f'width="22" height="14" rx="{min(radius, 7)}" fill="{fill}" stroke="{border}"'
        text = f'<text x="{x + 29:.1f}" y="{y + 11:.1f}" font-size="{SUB}" fill="{INK}">{what}</text>'
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {look}/>{text}')
        x += width + 20
    return parts, y + 14


def _escape(text: str) -> str:
    """`text` for XML, without the characters that XML has no way to write."""
    return html.escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text))
