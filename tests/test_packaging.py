"""The built wheel: what is in it, and that it works where the checkout is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Where each source folder must land in the wheel.
TREES = {"tapegrad": "tapegrad", "compile": "tapegrad/compile"}
# All that a build reads. Building a copy leaves nothing in the checkout and takes nothing stale from it.
BUILD_INPUTS = ["pyproject.toml", "setup.py", "README.md", "LICENSE", *TREES]

USE = """
import jax, numpy as np
import tapegrad as tg
from tapegrad.compile import lower

x = tg.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2.0, 4.0]

tape = tg.record(lambda x: (x * x).sum(), x)
gradient = jax.grad(lower(tape))(np.array([1.0, 2.0], np.float32))
assert gradient.tolist() == [2.0, 4.0]

import tapegrad.compile
print(tg.__file__, tapegrad.compile.__file__, sep="\\n")
"""

pytestmark = pytest.mark.wheel


def run(*command: str | Path, cwd: Path) -> str:
    """The command's standard output; a failure shows all that it wrote."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `python -m build` makes it: from the source distribution, not from the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILD_INPUTS:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_has_every_source_file(names: set[str]) -> None:
    wanted = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in TREES.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert wanted <= names


def test_wheel_installs_nothing_but_tapegrad(names: set[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"tapegrad"}
    assert "tapegrad/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_every_source_folder_is_a_package() -> None:
    """`find_packages` passes over a folder without `__init__.py`."""
    folders = {path.parent for folder in TREES for path in (ROOT / folder).rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_wheel_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = ["-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--no-deps", wheel]
    run(sys.executable, *install, cwd=tmp_path)
    # The dependencies are borrowed. A folder that a .pth names is searched after the environment's own, and
    # the .pth files in it are not read, so the editable install of the checkout stays out of sight.
    (site_packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if path.endswith("-packages")]
    (site_packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")

    imported = run(python, "-I", "-W", "error", "-c", USE, cwd=tmp_path).split()

    assert imported == [
        str(site_packages / "tapegrad" / "__init__.py"),
        str(site_packages / "tapegrad" / "compile" / "__init__.py"),
    ]
