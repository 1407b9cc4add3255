"""flatten and unflatten are inverse, and structures tell containers apart."""

import dataclasses
from collections import OrderedDict
from typing import NamedTuple

import pytest

from tapegrad.tree import flatten, unflatten


class Point(NamedTuple):
    x: object
    y: object


@dataclasses.dataclass
class Box:
    inside: object
    label: str = "box"


@pytest.mark.parametrize(
    ("tree", "leaves"),
    [
        (1, [1]),
        (None, [None]),
        ([], []),
        ([1, (2, [3])], [1, 2, 3]),
        ({"a": 1, "b": {"c": 2}}, [1, 2]),
        (Point(1, [2]), [1, 2]),
        (Box([1, 2]), [1, 2, "box"]),
        (OrderedDict(b=1, a=2), [1, 2]),
    ],
)
def test_there_and_back(tree, leaves):
    found, structure = flatten(tree)
    assert found == leaves
    again = unflatten(structure, found)
    assert again == tree and type(again) is type(tree)
    hash(structure)


def test_structures_tell_containers_apart():
    structures = [flatten(t)[1] for t in ([1], (1,), {"a": 1}, {"b": 1}, [[1]], Point(1, 2), (1, 2), 1, Box(1))]
    assert len(set(structures)) == len(structures)
