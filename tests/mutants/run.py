"""Plant bugs, one at a time, and see whether the tests notice: `make mutants`, or `run.py [WORD ...] [-j N]`.

Each bug of `mutants.py` is planted in a copy of the sources, never in the repository. First the tests nearest to it
run, then, if they pass, all property tests. The table says for each bug what caught it. With words, only the bugs
run whose file or text contains one of them, and only against the tests nearest to them.

The exit status is 0 if every bug was caught, 1 if one survived, 2 if the figure means nothing: a bug that no longer
fits the sources, or tests that fail without any.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from mutants import MUTANTS, Mutant, stale

REPOSITORY = Path(__file__).parents[2]
SUITE = ["tests/compile/test_primitives.py", "tests/compile/test_numeric.py", "tests/compile/test_kinks.py"]
PROGRAMS = ["tests/compile/test_programs.py"]
AUTOGRAD = "tests/tapegrad/autograd"
FILES = {
    "kinks": SUITE[2:],
    "programs": PROGRAMS,
    "eager": ["tests/stateful"],
    "hooks": [f"{AUTOGRAD}/test_hooks.py", f"{AUTOGRAD}/test_graph.py", "tests/tapegrad/test_engine.py"],
    "function": [f"{AUTOGRAD}/test_function.py", f"{AUTOGRAD}/test_function_memory.py"],
    "functional": [f"{AUTOGRAD}/test_functional.py", "tests/tapegrad/func"],
    "checkpoint": ["tests/tapegrad/utils/test_checkpoint.py"],
    "recorded": [
        "tests/compile/test_record_hooks.py",
        "tests/compile/test_record_memory.py",
        "tests/compile/test_pulls.py",
        "tests/tapegrad/test_record.py",
    ],
    "assigned": ["tests/compile/test_assigned_data.py"],
    "worlds": ["tests/compile/test_worlds.py"],
    "stale": ["tests/compile/test_never_stale.py"],
    "effects": ["tests/compile/test_effects.py"],
    "numbers": ["tests/compile/test_numbers.py"],
    "growing": ["tests/compile/test_growing_lists.py"],
    "leaks": ["tests/compile/test_leaks.py"],
    "explain": ["tests/compile/test_explain.py"],
    "jit": ["tests/compile/test_jit.py", "tests/compile/test_jit_regressions.py"],
    "output": ["tests/compile/test_output.py"],
    "outside": ["tests/compile/test_outside.py"],
    "user_code": ["tests/compile/test_outside_user_code.py"],
    "packs": ["tests/compile/test_packs.py"],
    "mixed": ["tests/compile/test_mixed_pieces.py"],
    "interrupts": ["tests/compile/test_interrupts.py"],
    "made": ["tests/compile/test_made_and_changed.py"],
    "steps": ["tests/compile/test_step_functions.py"],
}
FAILED = 1

# A bug need be noticed, not explained: no shrinking. The plugin is imported before the tests, after conftest.
PLUGIN = """
import pytest
from hypothesis import Phase, settings

@pytest.hookimpl(tryfirst=True)
def pytest_collection():
    settings.register_profile("mutants", settings(), phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
"""


def copy_sources(target: Path) -> None:
    """The sources as an installation would have them: `compile/` inside `tapegrad/`; and the tests."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(REPOSITORY / "tapegrad", target / "tapegrad", ignore=ignored)
    shutil.copytree(REPOSITORY / "compile", target / "tapegrad" / "compile", ignore=ignored)
    shutil.copytree(REPOSITORY / "tests", target / "tests", ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", target)
    (target / "no_shrinking.py").write_text(PLUGIN)


def pytest(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a copy of the sources, as the user's quick profile would."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("TAPEGRAD_PROFILE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no_shrinking", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def path_of(mutant: Mutant, tree: Path) -> Path:
    """The mutated file in a copy of the sources."""
    return tree / re.sub("^compile/", "tapegrad/compile/", mutant.file)


def tests_near(mutant: Mutant, collected: list[str]) -> list[str]:
    """The tests of the primitives the mutant names, or the files it names."""
    names = mutant.near.split()
    found = [test for test in collected for name in names if re.search(rf"\[{name}(-\d+)?\]$", test)]
    return found + [file for name in names for file in FILES.get(name, [])]


def try_mutant(mutant: Mutant, tree: Path, stages: list[list[str]]) -> str:
    """Plant the mutant, run the tests, take it out again; the name of the test that noticed, or ''."""
    path = path_of(mutant, tree)
    original = path.read_text()
    path.write_text(original.replace(mutant.old, mutant.new))
    try:
        for stage in stages:
            result = pytest(tree, "-x", "--tb=no", *stage)
            if result.returncode == FAILED:
                return (re.findall(r"^FAILED (\S+)", result.stdout, re.MULTILINE) or ["?"])[0].split("/")[-1]
            if result.returncode:
                raise RuntimeError(f"pytest could not run with {mutant}:\n{result.stdout[-3000:]}{result.stderr}")
        return ""
    finally:
        path.write_text(original)


def healthy(tree: Path, tests: list[str]) -> bool:
    """Whether the tests pass without a bug planted; those that do not are printed."""
    result = pytest(tree, "--tb=no", *dict.fromkeys(tests))
    if result.returncode:
        print("Tests fail without any bug planted, so their failing says nothing:")
        print(result.stdout[-3000:], result.stderr)
    return result.returncode == 0


def report(mutant: Mutant, caught_by: str, seconds: float) -> None:
    old, new = (" ".join(text.split()) for text in (mutant.old, mutant.new))
    print(f"{'caught  ' if caught_by else 'SURVIVED'} {seconds:5.1f}s  {mutant.file}: {old}  ->  {new}")
    if caught_by:
        print(f"{'':17}by {caught_by}", flush=True)


def run_all(mutants: list[Mutant], trees: list[Path], stages: dict[Mutant, list[list[str]]]) -> list[Mutant]:
    """Try the mutants, one at a time in each copy of the sources; the survivors."""
    free: queue.Queue[Path] = queue.Queue()
    for tree in trees:
        free.put(tree)

    def trial(mutant: Mutant) -> tuple[Mutant, str, float]:
        tree, start = free.get(), time.monotonic()
        try:
            return mutant, try_mutant(mutant, tree, stages[mutant]), time.monotonic() - start
        finally:
            free.put(tree)

    survivors = []
    with ThreadPoolExecutor(len(trees)) as pool:
        for mutant, caught_by, seconds in pool.map(trial, mutants):
            report(mutant, caught_by, seconds)
            survivors += [] if caught_by else [mutant]
    return survivors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutants whose file or text contains one of these")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many to try at a time")
    options = parser.parse_args()
    words = options.words or [""]
    mutants = [m for m in MUTANTS if any(word in " ".join(m) for word in words)]
    if not mutants:
        parser.error("no mutant contains any of these words")
    for mutant in stale(mutants, REPOSITORY):
        print(f"does not occur just once in {mutant.file}: {mutant.old}")
    if stale(mutants, REPOSITORY):
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        trees = [Path(scratch, str(number)) for number in range(options.jobs)]
        for tree in trees:
            copy_sources(tree)
        collected = [line for line in pytest(trees[0], "--collect-only", *SUITE).stdout.splitlines() if "::" in line]
        everything = [] if options.words else [[*SUITE, *PROGRAMS]]
        stages = {mutant: [tests_near(mutant, collected), *everything] for mutant in mutants}
        if not healthy(trees[0], [test for parts in stages.values() for part in parts for test in part]):
            return 2
        survivors = run_all(mutants, trees, stages)
    print(f"\ncaught {len(mutants) - len(survivors)} of {len(mutants)}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
