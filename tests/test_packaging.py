"""A source archive and the wheel made from it hold all that the packages need: weights, cards, types."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PACKAGES = {"nbtune": "nbtune", "widgets/nbtune_widgets": "nbtune_widgets"}
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.tmp")


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged, with a script and a style as widgets will have them."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder)
    for package in PACKAGES:
        shutil.copytree(root / package, folder / package, ignore=IGNORED)
    (folder / "widgets/nbtune_widgets/panel.js").write_text("export default {}\n")
    (folder / "widgets/nbtune_widgets/panel.css").write_text(".panel {}\n")
    return folder


def build(kind: str, source: Path, target: Path) -> Path:
    """Build with the setuptools of this environment: nothing is fetched."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True, timeout=120)
    return next(target.iterdir())


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the source archive as an installer would."""
    archive = build("sdist", project, tmp_path_factory.mktemp("sdist"))
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    return build("wheel", next(unpacked.iterdir()), tmp_path_factory.mktemp("wheel"))


def test_every_file_of_the_packages_travels(project: Path, wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for source, target in PACKAGES.items():
        files = [path for path in (project / source).rglob("*") if path.is_file()]
        missing = {f"{target}/{path.relative_to(project / source).as_posix()}" for path in files} - inside
        assert missing == set()
    assert {"nbtune/py.typed", "nbtune_widgets/py.typed", "nbtune/bodies/letters.safetensors"} <= inside


def test_the_wheel_works_away_from_the_project(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "import nbtune, nbtune_widgets; print(nbtune.__file__, nbtune.bodies.get('letters').params)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert said.startswith(str(tmp_path))
