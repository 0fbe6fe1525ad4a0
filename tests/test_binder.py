"""The hosted session: its environment is pyproject's, its scripts run, and it opens a notebook that is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.notebooks
ROOT = Path(__file__).resolve().parent.parent
BINDER = ROOT / "binder"
CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}  # what conda-forge calls them


def split(requirement: str) -> tuple[str, str]:
    """Name and bounds of a requirement."""
    found = re.fullmatch(r"([A-Za-z0-9._-]+)\s*([<>=].*)?", requirement.strip())
    assert found, requirement
    return found[1].lower(), (found[2] or "").replace(" ", "")


def test_the_environment_has_what_pyproject_asks_for_with_its_bounds() -> None:
    file = yaml.safe_load((BINDER / "environment.yml").read_text())
    assert file["channels"] == ["conda-forge", "nodefaults"]
    have = dict(split(one) for one in file["dependencies"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for one in extras["notebook"] if "[" not in one), *extras["sweep"]]
    for requirement in wanted:
        name, bounds = split(requirement)
        assert have.get(CONDA.get(name, name)) == bounds, requirement
    assert have["python"] == "=3.11"
    assert "torch" not in have  # conda-forge has no such package
    assert not {name for name in have if "cuda" in name or "nvidia" in name}


@pytest.fixture
def stubs(tmp_path: Path) -> dict[str, str]:
    """An environment whose `python` notes what pip is asked for, and else is this one."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\nif [ "$2" = pip ]; then echo "$@" >> "{tmp_path}/pip"; exit 0; fi\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "widgets")])
    return {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths}


def test_what_follows_the_build_installs_nbtune_and_warms_it(stubs: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run([BINDER / "postBuild"], env=stubs, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "--no-deps" in (tmp_path / "pip").read_text()
    assert re.search(r"compile: .*fonts: .*first epoch: ", done.stdout, flags=re.DOTALL)


def test_a_failed_installation_ends_the_build(stubs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\nexit 3\n")
    assert subprocess.run([BINDER / "postBuild"], env=stubs, check=False).returncode == 3


@pytest.mark.parametrize(("limit", "threads"), [(None, "2"), ("1.5", "1"), ("0.5", "1"), ("4", "4")])
def test_a_session_starts_with_the_threads_of_its_container(limit: str | None, threads: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "CPU_LIMIT")}
    if limit:
        environment["CPU_LIMIT"] = limit
    command = [BINDER / "start", sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == threads


def test_the_session_opens_the_quickstart() -> None:
    """A real JupyterLab, started as in a hosted session, says which page it opens."""
    lab = [sys.executable, "-W", "ignore", "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    options = ["--ServerApp.token=", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"]
    server = subprocess.Popen([BINDER / "start", *lab, *options], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        found = next(filter(None, (re.search(r"127\.0\.0\.1:\d+(/\S+)", line) for line in server.stderr)))
    finally:
        server.kill()  # asked to end while it starts, a server may go on for ever
        server.wait()
    assert (ROOT / found[1].removeprefix("/lab/tree/").partition("?")[0]).is_file()
