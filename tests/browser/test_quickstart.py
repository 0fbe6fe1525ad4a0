"""The quickstart in a real JupyterLab: every cell runs, every picture is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from browser.lab import OpenNotebook

pytestmark = pytest.mark.browser
SECONDS = 240  # it takes less than 90 s on two free cores, which a browser shares here


def test_the_quickstart_runs_and_shows_its_pictures(
    open_notebook: Callable[[Path], OpenNotebook], root: Path, screenshots: Path
) -> None:
    path = root / "notebooks" / "00_quickstart.ipynb"
    if not path.exists():
        pytest.skip("notebooks/00_quickstart.ipynb is not written yet")
    notebook = open_notebook(path)
    notebook.restart_and_run_all(SECONDS)
    notebook.screenshots(screenshots, "quickstart")
    assert notebook.errors() == []
    held, drawn = notebook.pictures()
    assert drawn == held > 0
