"""Every notebook runs, and shows what it says it shows."""

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
ADDRESS = re.compile(r"0x[0-9a-f]+")
LONG_NUMBER = re.compile(r"-?\d+\.\d{6,}(e-?\d+)?")  # its last digits depend on the processor


def shown(cell):
    """What a cell shows: all it prints, then its results by MIME type."""
    printed, results = "", []
    for output in cell.get("outputs", ()):
        assert output.output_type != "error", output
        if output.output_type == "stream":  # in as many pieces as the kernel happened to send
            printed += steady(output.text)
        else:
            results.append({kind: steady(text) for kind, text in output.data.items()})
    return printed, results


def steady(text):
    """`text` without what differs between runs and machines."""
    return LONG_NUMBER.sub(lambda number: f"{float(number[0]):.4g}", ADDRESS.sub("0x", text))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_shows_what_it_says(path):
    kept = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(run, timeout=300, kernel_name="python3").execute()
    for before, after in zip(kept.cells, run.cells, strict=True):
        assert shown(after) == shown(before), after.source
