"""A smoke test in Notebook 7: the panels are those of JupyterLab there, live and as a picture."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.lab import Notebook7, OpenNotebook
from browser.panels import notebook, shot

pytestmark = pytest.mark.browser
CELLS = (
    "freezing = nt.widgets.FreezePanel(tuner)\nfreezing",
    "monitor = nt.widgets.Monitor(tuner)\nmonitor",
    "tuner.fit(400, 1e-4, cache='off')",
)


@pytest.fixture
def seven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook7]:
    if importlib.util.find_spec("notebook") is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say('Notebook 7 is not installed: pip install "nbtune[test]"')
    with Notebook7(tmp_path_factory.mktemp("notebook7")) as server:
        yield server
        assert not server.outside.exists(), server.outside.read_text()


def test_a_click_a_line_of_code_and_a_stop_while_a_cell_runs(
    browser: Browser, seven: Notebook7, tmp_path: Path, screenshots: Path
) -> None:
    notebook(seven.notebooks / "seven.ipynb", *CELLS)
    page = browser.new_context(viewport={"width": 1280, "height": 1600}).new_page()
    book = OpenNotebook(page, seven, "seven.ipynb")
    before = list(book.console)  # what Notebook 7 says of itself
    book.start_all()
    panel, monitor = page.locator("[data-nbtune=freeze]").first, page.locator("[data-nbtune=monitor]").first
    stop = monitor.get_by_role("button", name="Stop", exact=True)
    stop.wait_for(timeout=90_000)
    expect(panel.get_by_role("status")).to_have_text("tuner.fit() is running.")
    page.wait_for_timeout(700)
    stop.click()
    monitor.get_by_text("was stopped after step").first.wait_for()
    book.wait_idle(60)
    panel.scroll_into_view_if_needed()
    panel.locator("[data-group=layer4]").click()
    expect(panel.locator("code")).to_have_text("tuner.freeze_to('layer4')")
    expect(panel.locator(".nbt-still")).to_have_count(4)
    shot(panel, screenshots, "notebook7")
    assert book.errors() == []
    assert [said for said in book.console if said not in before] == []
    book.shut_down()
    page.context.close()
