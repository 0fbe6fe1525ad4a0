"""Every notebook in a real JupyterLab by Restart & Run All, its panels used, pictures kept: `make notebooks-in-lab`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import OpenNotebook

pytestmark = pytest.mark.lab
SECONDS = 400  # each takes less than 90 s on two free cores, which a browser shares here
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def used(panel: Locator) -> None:
    """What changes nothing and is in every panel: its controls by the keyboard, and its data as a table."""
    page = panel.page
    panel.scroll_into_view_if_needed()
    expect(panel.get_by_role("alert")).to_have_count(0)
    panel.locator("button, select, input, summary, [tabindex='0']").first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('[data-nbtune]')"), "the keyboard reaches its controls"
    table = panel.get_by_text("As table", exact=False).first
    if table.count():
        table.click()
        expect(panel.locator("table").first).to_be_visible()
        table.click()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_restart_and_run_all(path: Path, open_notebook: Callable[[Path], OpenNotebook], screenshots: Path) -> None:
    notebook = open_notebook(path)
    notebook.restart_and_run_all(SECONDS)
    assert notebook.errors() == []
    held, drawn = notebook.pictures()
    assert drawn == held
    for panel in notebook.page.locator("[data-nbtune]").all():
        used(panel)
    notebook.screenshots(screenshots, path.stem)
    assert notebook.console == []
