"""Sequences of operations do the same eagerly, jitted as one function, and jitted in pieces.

The sequences, and the model that says what they do eagerly, are those of `tests/stateful`. Each is then run again as a
script: line by line, which is the reference; as one function of its leaves; and cut into functions at random places,
some of them jitted, so that graphs, views, gradients and hooks go from one to another. The latter two run several times
from the same state: the first time records, the others run what was compiled.
"""

from __future__ import annotations

import sys

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from ..stateful.gradient_rules import EagerMachine
from ..stateful.scripts import KINDS_OF_PIECES
from .replays import Replay, Runs

STEPS = settings(settings.default, max_examples=2 * settings.default.max_examples, stateful_step_count=14)

CUTS = st.lists(st.sampled_from([None, None, *KINDS_OF_PIECES]), min_size=16, max_size=16)


class JittedMachine(EagerMachine):
    """At the end of a sequence, runs it again in other ways. Subclasses say where to count."""

    whole: Runs
    pieces: Runs

    def __init__(self) -> None:
        super().__init__()
        self.arrange(["arguments"], narrow=False, outside=True, check="first")

    @initialize(kinds=CUTS, narrow=st.booleans(), outside=st.booleans(), check=st.sampled_from(["first", "never"]))
    def arranged(self, kinds: list[str | None], narrow: bool, outside: bool, check: str) -> None:
        self.arrange(kinds, narrow=narrow, outside=outside, check=check)

    def arrange(self, kinds: list[str | None], *, narrow: bool, outside: bool, check: str) -> None:
        """How to run the sequence again."""
        self.kinds, self.narrow, self.outside, self.check_option = kinds, narrow, outside, check

    def teardown(self) -> None:
        """Only a sequence that ended well is run again."""
        given_up = sys.exc_info()[0] is not None  # by hypothesis
        super().teardown()
        if not (self.over or given_up):
            self.run_again()

    def run_again(self) -> None:
        replay = Replay(jittable(self.script, narrow=self.narrow), self.kinds, self.check_option, outside=self.outside)
        try:
            replay.reference()
        except RuntimeError:
            event("goes another way where nobody looks at histories")
            return
        replay.as_a_whole(self.whole)
        replay.in_pieces(self.pieces)


def jittable(script: list[str], *, narrow: bool) -> list[str]:
    """The script with hooks that keep tensors, not their values, which would be guards; in single precision if narrow."""
    text = "\n".join(script).replace("grad.tolist()", "grad.detach().clone()")
    text = text.replace("g.tolist()", "g.detach().clone()")
    return text.replace("tg.float64", "tg.float32" if narrow else "tg.float64").splitlines()


def test_sequences_do_the_same_jitted_as_a_whole_and_in_pieces() -> None:
    class Sequences(JittedMachine):
        whole = Runs()
        pieces = Runs()

    try:
        run_state_machine_as_test(Sequences, settings=STEPS)
    finally:
        print(f"\nas a whole: {Sequences.whole}\nin pieces: {Sequences.pieces}")
    assert Sequences.whole.share > 0.5
    assert Sequences.pieces.share > 0.5
