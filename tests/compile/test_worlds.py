"""What jit can see of the Python around a function, held against what there is: worlds and changes at random.

Nothing is compiled. The key of a call, and the Python that is written to see whether a program fits, must both notice
every change after which code could find something else.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from tapegrad.compile import dispatch, paths, signature
from tapegrad.compile.device import value_of
from tapegrad.compile.runtime import MISS, Anchors
from tapegrad.generator import default_generator

from .worlds import World, digest


def written(found, function, rng):
    """The function that tells whether a call fits, as it is written for a program that uses some of the tensors."""
    spec = program_like(found, rng)
    names = dispatch.names_of(spec.anchors)
    way = paths.Paths(spec, {"function": function, "root": default_generator._state}, names)
    way.write()
    floats = "".join([f"f{i}, " for i in range(len(found.found.floats))])
    for name, lines in (("run(objects, floats)", dispatch.given(spec)), ("call(args, kwargs)", way.lines)):
        text = [f"def {name}:", "    try:", *lines, f"        return [{floats}]", "    except Absent: return MISS"]
        exec("\n".join(text), names)
    assert names["run"](found.found.objects, [x for _, x in found.found.floats]) is not MISS
    return names["call"]


def program_like(found, rng):
    """What the writer asks of a program. Some of the tensors that it uses are known by their buffers."""
    used = {i for i in range(len(found.tensors)) if rng.random() < 0.6}
    read = [i for i in used if rng.random() < 0.7]
    kept = {i for i in used if found.found.places[found.found.tensors[i]].how != "argument"}
    shared = {i for group in found.shared for i in group}
    anchored = {i for i in kept - shared if found.metas[i][2] is found.metas[i][4] is None and rng.random() < 0.7}
    for i in anchored:
        value_of(found.tensors[i], keep=True)
    return SimpleNamespace(
        signature=found,
        anchors=Anchors(len(found.tensors)),
        anchored=anchored,
        reads=read,
        reading=set(read),
        used=used,
        kept=kept,
        derived={},
        inference=False,
        modes=signature.modes(),
        tensor=lambda i: f"v{found.found.tensors[i]}",
        place_of_float={place: i for i, (place, _) in enumerate(found.found.floats)}.__getitem__,
    )


@settings(max_examples=20 * settings.default.max_examples)
@given(st.integers(0, 2**32))
def test_every_change_is_noticed_by_the_key_and_by_what_is_written(seed):
    rng = random.Random(seed)
    world = World(rng)
    before = signature.signature_of(world.function, tuple(world.args), {})
    fits = written(before, world.function, rng)
    words, floats = digest(world)
    followed = [repr(float(x)) for _, x in before.found.floats]
    changes = []
    for _ in range(5):
        answer = fits(tuple(world.args), {})
        now = signature.signature_of(world.function, tuple(world.args), {})
        values = [repr(float(x)) for _, x in now.found.floats]
        if answer is not MISS:
            assert now.key == before.key, changes
            assert [repr(float(x)) for x in answer] == values, changes
        if now.key == before.key:
            said, others = digest(world)
            assert said == words, changes
            assert without(others, values) == without(floats, followed), changes
        changes.append(world.change())


def without(values, some):
    left = list(values)
    for x in some:
        left.remove(x)
    return left
