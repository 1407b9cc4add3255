"""Every notebook runs, and shows what it says it shows."""

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
VARYING = re.compile(r"0x[0-9a-f]+")  # addresses


def shown(cell):
    """What a cell shows: printed text, and results by MIME type."""
    outputs = []
    for output in cell.get("outputs", ()):
        assert output.output_type != "error", output
        found = {"text": output.text} if output.output_type == "stream" else dict(output.data)
        outputs.append({kind: VARYING.sub("0x", text) for kind, text in found.items()})
    return outputs


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_shows_what_it_says(path):
    kept = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(run, timeout=300, kernel_name="python3").execute()
    for before, after in zip(kept.cells, run.cells, strict=True):
        assert shown(after) == shown(before), after.source
