"""The bugs that `make mutants` plants, which takes too long to run often, still have their places in the sources."""

import runpy
from pathlib import Path

HERE = Path(__file__).parent


def test_each_planted_bug_occurs_just_once_in_its_file():
    found = runpy.run_path(str(HERE / "mutants" / "mutants.py"))
    assert found["stale"](found["MUTANTS"], HERE.parent) == []
