"""What may import what: `tapegrad` costs NumPy and little else, and only `compile/` knows jax."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    path.relative_to(ROOT).as_posix(): path
    for folder in ("tapegrad", "compile")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def python(code: str) -> str:
    """What a fresh interpreter prints when it runs `code`."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def absolute_imports(source: str) -> Iterator[str]:
    """The modules that `source` imports by an absolute name: anywhere, by statement or by text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ) if not module.startswith("."):
                yield module


def roots(source: str) -> set[str]:
    return {module.partition(".")[0] for module in absolute_imports(source)}


def test_absolute_imports_finds_every_spelling() -> None:
    source = """
import a.b, c as other
from d.e import f
from . import relative
from .relative import g
def late():
    import h
    importlib.import_module("i.j")
    import_module("k")
    importlib.import_module(".relative", "a")
    __import__("l")
"""
    assert roots(source) == set("acdhikl")


def test_sources_are_found() -> None:
    assert "tapegrad/__init__.py" in SOURCES
    assert "compile/__init__.py" in SOURCES


def test_import_tapegrad_loads_neither_jax_nor_scipy() -> None:
    heavy = {"jax", "jaxlib", "safetensors", "scipy", "hypothesis", "sklearn", "torch"}
    assert python(f"import sys, tapegrad; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_eager_gradient_needs_no_jax() -> None:
    """`sys.modules[name] = None` makes any import of `name` fail."""
    code = """
import sys
sys.modules["jax"] = sys.modules["jaxlib"] = None
import tapegrad as tg
x = tg.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
print(x.grad.tolist())
"""
    assert python(code) == "[2.0, 4.0]"


@pytest.mark.parametrize("name", SOURCES)
def test_only_compile_imports_jax(name: str) -> None:
    imported = roots(SOURCES[name].read_text(encoding="utf-8"))
    if not name.startswith("compile/"):
        assert not imported & {"jax", "jaxlib"}
    assert "compile" not in imported, "the folder compile/ is tapegrad.compile; import it relatively"


def test_no_name_of_tapegrad_hides_the_folder_compile() -> None:
    """`tapegrad/compile.py` would be found before the folder that `package-dir` maps."""
    assert not list((ROOT / "tapegrad").glob("compile*"))
