"""What is done once everything is at hand, as lines of Python: numbers, program, guards, results, effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..tape.number import OPERATIONS, READS, Came, Guard, Note
from ..tape.variable import class_in_order
from .compiled_node import Graph, Save
from .runtime import refusing
from .writer import Writer

if TYPE_CHECKING:
    from .data_checks import HostCheck
    from .describe import Fresh
    from .specialisation import Specialisation

__all__ = ["Body"]

_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "?lt": "<",
    "?le": "<=", "?eq": "==", "?ne": "!=", "?gt": ">", "?ge": ">=",
}  # fmt: skip


class Body(Writer):
    """Writes what is done once everything is at hand."""

    def __init__(self, spec: Specialisation, names: dict[str, Any]) -> None:
        super().__init__(spec, names)
        self._written: set[int] = set()

    def write(self) -> None:
        """The numbers, the program, the guards, the result and the effects."""
        spec = self.spec
        before = [g for g in enumerate(spec.guards) if not spec.depends_on_program(g[1].position)]
        after = [g for g in enumerate(spec.guards) if spec.depends_on_program(g[1].position)]
        for position, guard in before:
            self._guard(position, guard)
        self._numbers(spec.scalars)
        self.line("except Absent:", 1)
        self.line("return MISS")
        self.line("box = []", 1)
        if not spec.donated:
            self._results(after)
        if spec.writes or spec.text.before or spec.text.effects or spec.histories.live or spec.histories.ended:
            self._whatever_happens()
        else:
            self._effects()
        for line in spec.text.shown:
            self.line(line, 1)
        self.line(f"return {spec.text.result}", 1)

    def _results(self, after: Sequence[tuple[int, Guard]]) -> None:
        """What the program gives, and the guards and numbers that need it."""
        spec = self.spec
        self._program()
        if spec.donated:  # then all that can fail is known before it runs
            self.shift -= 1
            self._numbers(sorted(spec.text.numbers))
            self.shift += 1
        elif after or not self._written.issuperset(spec.numbers.needed(spec.text.numbers)):
            self.line("try:", 1)
            for position, guard in after:
                self._guard(position, guard)
            self._numbers(sorted(spec.text.numbers))
            self.line("except ArithmeticError:", 1)
            self.line("return MISS")

    def _whatever_happens(self) -> None:
        """All effects, or none: once the program has returned, what interrupts them is put off, and they go on.

        They begin anew then, so that none may build upon what is there by then. Where the program writes over old
        values, there is no way back from when it has run.
        """
        spec = self.spec
        if spec.forward is not None and spec.text.rewired:
            self.line(f"edges = forward.edges({self._inputs()})", 1)
        ended = {i for _, _, _, reach, *_ in spec.histories.ended for i in reach}
        leaves = [i for i in sorted(ended) if i in spec.derived or spec.signature.metas[i].kind is None]
        for v in map(spec.tensor, leaves):
            self.line(f"if {v}._accumulator is None: edge_of({v})", 1)  # which must be older than what leads there
        for k, (_, _, _, reach, *_) in enumerate(spec.histories.ended if spec.text.rewired else ()):
            self.line(f"past{k} = {self._behind(reach, 'edge_of({})[0]')}", 1)
        for line in spec.text.before:
            self.line(line, 1)
        self.line("late = None", 1)
        self.line("while True:", 1)
        self.line("try:")
        self.shift = 2
        if spec.donated:
            self._results([])
        if spec.writes or spec.text.parting:
            self._writes()
        self._effects()
        self.line("break", 1)
        self.shift = 1
        self.line("except BaseException as error:", 1)
        self.line(f"if late is not None{' or not box' if spec.donated else ''}: raise")
        self.line("late = error")
        self.shift = 0
        self.line("if late is not None: raise late", 1)

    def _effects(self) -> None:
        """All that is done but for the new values of tensors."""
        for g, layout in enumerate(self.spec.packing.layouts):
            self.line(f"p{g} = Pack(g{g}, {self.constant(layout)})", 1)
        for line in (*self.spec.text.build, *self.spec.text.effects):
            self.line(line if isinstance(line, str) else self._fresh(line), 1)
        self._histories()
        self.line("S.calls += 1", 1)

    def _fresh(self, line: Fresh) -> str:
        """The line that makes a new tensor of an output, which may be part of a pack."""
        if line.output not in self.spec.packing.places:
            order = "" if line.order is None else f", {self.constant(class_in_order(line.order))}"
            return f"{line.made} = fresh(o{line.output}{order})"
        g, at = self.spec.packing.places[line.output]
        return f"{line.made} = fresh((p{g}, {at}), part_class)"

    def _writes(self) -> None:
        """The new values of tensors."""
        spec = self.spec
        written = [(i, o, count) for i, o, count in spec.writes if i not in spec.replaced]
        if written:
            self.line("if late is None:", 1)
        for i, o, count in written:
            self._write(i, o, count)
        if written:
            self.line("else:", 1)
            tensors = "".join(f"({spec.tensor(i)}, {i}, {o}, {count}), " for i, o, count in written)
            self.line(f"finish(box, ({tensors}), B)")
        for line in spec.text.parting:
            self.line(line, 1)
        for i, o, count in spec.writes:
            if i in spec.replaced:
                self.line(f"replace_data({spec.tensor(i)}, o{o}, was{i} + {count})", 1)

    def _histories(self) -> None:
        """The nodes of tensors that have one, and which of them keep their gradients."""
        spec = self.spec
        for k, (made, output, kind, reach, error, message) in enumerate(spec.histories.ended):
            nodes = refusing(kind, error, message, spec.tape.outputs[output])
            behind = f"past{k}" if spec.text.rewired else self._behind(reach, "{}")
            self.line(f"refuse({made}, {self.constant(nodes)}, {kind!r}, {behind})", 1)
        if spec.forward is not None:
            grown = "".join([f"{made}, " for made, _, _ in spec.histories.live])
            names = self.constant([name for _, _, name in spec.histories.live])
            graph, beside = self._graph()
            seen = ""
            if spec.histories.walks is not None:
                objects = "".join([f"v{reading.number}, " for reading in spec.histories.readings])
                looked = "".join([f"{name}, " for name in spec.histories.looked])
                seen = f", objects=({objects}), tensors=({looked})"
            edges = "edges" if spec.text.rewired else None
            given = f"{self._inputs()}, ({grown}), {names}, {self.constant(graph)}, {edges}, ({beside}){seen}"
            self.line(f"forward.attach(residual, {given})", 1)
            for made, kind in spec.text.seen:
                self.line(f"look_again({made}, {kind!r})", 1)
        for line in spec.text.views:
            self.line(line, 1)
        for made in spec.text.retained:
            self.line(f"{made}.retain_grad()", 1)

    def _behind(self, positions: set[int], part: str) -> str:
        """The tensors at these positions, or a `part` of each."""
        return "(" + "".join([f"{part.format(self.spec.tensor(i))}, " for i in sorted(positions)]) + ")"

    def _inputs(self) -> str:
        """The tensors that the program's inputs are taken from."""
        inputs = "".join([f"{self.spec.tensor(i)}, " for i in self.spec.reads])
        return f"(P[1], {inputs})" if self.spec.scalars else f"({inputs})"

    def _graph(self) -> tuple[Graph, str]:
        """The graph that the program stands for, with what else than its inputs is saved there."""
        spec, histories = self.spec, self.spec.histories
        places = {i: k + bool(spec.scalars) for k, i in enumerate(spec.reads)}
        named = {spec.tensor(i): place for i, place in places.items()}
        beside = sorted({name for _, names in histories.saves for name in names if name not in named})
        saves = [
            Save(
                outs,
                tuple(sorted([named[name] for name in names if name in named])),
                tuple(sorted([beside.index(name) for name in names if name not in named])),
            )
            for outs, names in histories.saves
        ]
        reach = [{places[i] for i in reached if i in places} for reached in histories.reach]
        return Graph(reach, saves), "".join([f"{name}, " for name in beside])

    def _numbers(self, positions: Sequence[int]) -> None:
        for position in self.spec.numbers.needed(positions):
            if position not in self._written:
                self._written.add(position)
                note = self.spec.numbers.notes[position]
                check = self.spec.hosted.get(note.operands[0]) if note.operation in READS else None
                self.line(f"n{position} = {self._note(note) if check is None else self._checked(check)}")

    def _checked(self, check: HostCheck) -> str:
        """The expression of a check that the host does."""
        self._numbers(check.numbers)
        inputs = [*[f"b{i}" for i in check.tensors], *[f"n{p}" for p in check.numbers]]
        return f"{self.constant(check)}({', '.join(inputs)})"

    def _note(self, note: Note) -> str:
        """The expression of one note."""
        operation, operands, _ = note
        if operation == "input":
            return f"f{operands[0]}"
        if operation in READS:
            return f"{operation}(o{self.spec.output_of(operands[0])})"
        parts = self._parts(note)
        if operation in _SYMBOLS:
            return f"{parts[0]} {_SYMBOLS[operation]} {parts[1]}"
        if operation == "neg":
            return f"-{parts[0]}"
        return f"{self.constant(OPERATIONS[operation])}({', '.join(parts)})"

    def _parts(self, note: Note) -> list[str]:
        """The operands of a note."""
        given = zip(note.operands, note.positions, strict=True)
        return [f"n{x}" if is_position else self._operand(x) for x, is_position in given]

    def _operand(self, value: Any) -> str:
        return repr(value) if type(value) in (int, bool, str) and value >= type(value)() else self.constant(value)

    def _guard(self, position: int, guard: Guard) -> None:
        if type(guard.outcome) is Came:
            self._attempt(position, guard.position, guard.outcome)
            return
        self._numbers([guard.position])
        n = f"n{guard.position}"
        if type(guard.outcome) is bool:
            self.line(f"if {n} is not {guard.outcome}: return Mismatch({position}, {n})")
            return
        self.line(f"x = outcome_of({n})")
        self.line(f"if x != {self.constant(guard.outcome)}: return Mismatch({position}, x)")

    def _attempt(self, position: int, at: int, came: Came) -> None:
        """An operation that can fail: that it does, or does not, is guarded."""
        note = self.spec.numbers.notes[at]
        self._numbers([x for x, is_position in zip(note.operands, note.positions, strict=True) if is_position])
        self._written.add(at)
        known = self.constant(came)
        if came.raised:
            operands = ", ".join(self._parts(note))
            self.line(f"n{at}, x = came_to({self.constant(OPERATIONS[note.operation])}, {operands})")
            self.line(f"if x != {known}: return Mismatch({position}, x)")
            return
        self.line("try:")
        self.line(f"n{at} = {self._note(note)}", 3)
        self.line("except Exception as error:")
        self.line(f"return Mismatch({position}, Came(True, type(error).__name__))", 3)
        if note.operation == "pow":  # a negative number to a fraction is complex
            self.line(f"if type(n{at}).__name__ != {came.kind!r}:")
            self.line(f"return Mismatch({position}, Came(False, type(n{at}).__name__))", 3)

    def _program(self) -> None:
        """Run the program. What it returns is in `box` before Python can be interrupted: then it is taken over."""
        spec = self.spec
        values = [f"b{i}" for i in spec.reads]
        numbers = spec.signature.found.tensors
        for i in spec.scratch:
            owner = spec.signature.found.places[numbers[i]].parent
            self.line(f"b{i} = spare(v{owner})", 1)
            values.append(f"b{i}")
        if spec.scalars:
            key = "".join(f"n{p}, " for p in spec.scalars)
            self.line(f"x = ({key})", 1)
            self.line("if P[0] != x or not all(x): P[1] = pack(x); P[0] = x", 1)
            values.insert(0, "P[1]")
        outs = "".join([f"o{k}, " for k in spec.packing.alone] + [f"g{g}, " for g in range(len(spec.packing.groups))])
        if spec.forward is not None:
            self.line(f"outputs, residual = forward.run(({''.join(f'{v}, ' for v in values)}))", 1)
            self.line("box.append(outputs)", 1)
            self.line(f"{outs or '_ '}= outputs", 1)
            return
        depth = 1
        if spec.donated:
            self.line("if not box:", depth)
            depth += 1
            given = "".join([f"b{i}, " for i in spec.reads if i in spec.donated])
            self.line(f"if held: {given}= kept_apart(({given}))", depth)
        if spec.wide:
            self.line("with x64(True):", depth)
            depth += 1
        self.line(f"box.extend(starmap(program, (({''.join(f'{v}, ' for v in values)}),)))", depth)
        self.line(f"{outs or '_ '}= box[0]", 1)

    def _write(self, i: int, o: int, count: int) -> None:
        """The new value of a tensor."""
        v = self.spec.tensor(i)
        slowly = f"box.append(({i}, version_of({v}))); store({v}, o{o}, {count})"
        if i not in self.spec.anchored:
            self.line(slowly)
            return
        self.line(f"if type({v}) is not device_class or B[{i}] is None:")
        self.line(f"{slowly}; B.anchor({i}, {v})", 3)
        self.line("else:")
        self.line(f"{v}._device = B[{i}] = o{o}; {v}._storage.version += {count}", 3)
