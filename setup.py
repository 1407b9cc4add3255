"""The list of packages, found and not kept by hand; everything else stands in pyproject.toml.

The folder `compile/` is the sub-package `tapegrad.compile` (`package-dir` in pyproject.toml says where).
Setuptools can find packages under one prefix but not rename what it finds, so the renaming is done here.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["tapegrad", "tapegrad.*"]),
        *(f"tapegrad.{name}" for name in find_packages(include=["compile", "compile.*"])),
    ]
)
