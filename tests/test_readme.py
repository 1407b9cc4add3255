"""What the README shows, runs; what it names, exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_example_is_short_and_works(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    exec(code, {})
    printed = capsys.readouterr().out
    assert re.match(r"tensor\(\d\.\d{4}, grad_fn=<NllLossBackward0>\)\ndef step\(", printed)
    assert "w.grad = g_w" in printed
    assert "agrees with the eager tape" in printed


def test_the_commands_it_names_exist():
    targets = re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`?make ([\w-]+)", README)) <= set(targets)
    for path in re.findall(r"`([\w/]+\.(?:ipynb|py|md))`", README):
        assert (ROOT / path).exists(), path
