"""notebooks/16_widgets.ipynb in a real JupyterLab: Restart & Run All, then each panel by hand; pictures are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Locator, expect

from browser.lab import OpenNotebook, begins
from browser.panels import axe, shot

pytestmark = pytest.mark.browser
SECONDS = 400  # it takes less than 90 s on two free cores, which a browser shares here
PANELS = ("data", "freeze", "finder", "monitor", "evaluate", "sketchpad")


@pytest.fixture(scope="module")
def path(root: Path) -> Path:
    return root / "notebooks" / "16_widgets.ipynb"


@pytest.fixture(scope="module")
def opened(open_once: Callable[[Path], OpenNotebook], path: Path) -> OpenNotebook:
    book = open_once(path)
    book.restart_and_run_all(SECONDS)
    assert book.errors() == []
    return book


def of(book: OpenNotebook, kind: str) -> Locator:
    """The panel of a kind, in view."""
    panel = book.page.locator(f"[data-nbtune={kind}]").first
    panel.scroll_into_view_if_needed()
    return panel


def line(panel: Locator, code: str) -> None:
    expect(panel.locator("[data-nbtune-code]").first).to_contain_text(code)


def test_as_stored_it_shows_every_panel_without_a_kernel(opened: OpenNotebook, path: Path) -> None:
    made, _ = HTMLExporter().from_filename(str(path))  # type: ignore[no-untyped-call]
    page = opened.page.context.new_page()
    page.set_content(made, wait_until="domcontentloaded")
    static = page.locator("[data-nbtune-static]")
    assert static.count() >= len(PANELS)
    for at in range(static.count()):
        expect(static.nth(at)).to_be_visible()
        expect(static.nth(at).locator("img").first).to_be_visible()
    page.close()


def test_each_panel_by_hand(opened: OpenNotebook) -> None:
    data = of(opened, "data")
    tops = data.locator(".nbt-tile").evaluate_all("all => all.map(e => e.offsetTop)")
    assert len(set(tops)) < len(tops) / 4  # a grid, beside panels with style sheets of their own
    data.locator(".nbt-tile").nth(20).click()
    data.get_by_role("button", name=begins("Leave out")).click()
    line(data, "browser.exclude(")
    data.get_by_role("button", name=begins("Undo")).click()
    line(data, "browser.undo()")
    freezing = of(opened, "freeze")
    freezing.locator("[data-group=layer4]").click()
    line(freezing, "tuner.freeze_to('layer4')")
    finder = of(opened, "finder")
    expect(finder.locator(".nbt-sentence")).to_contain_text("Stale")  # the curve was of another plan
    finder.get_by_role("button", name=begins("Run again")).click()
    expect(finder.locator(".nbt-sentence")).not_to_contain_text("Stale", timeout=30_000)
    finder.get_by_role("button", name=begins("Use")).click()
    line(finder, "tuner.lr = ")
    opened.add_and_run("tuner.fit(400, cache='off')", wait=False)
    monitor = of(opened, "monitor")
    stop = monitor.get_by_role("button", name="Stop", exact=True)
    stop.wait_for()
    opened.page.wait_for_timeout(700)
    stop.click(delay=120)  # as long as a person presses
    monitor.get_by_text("was stopped after step").first.wait_for()
    opened.wait_idle(30)
    monitor.get_by_role("button", name=begins("Use best")).click(delay=120)
    line(monitor, "tuner.best()")
    assert opened.errors() == []
    assert opened.console == []


def test_cells_of_the_matrix_open_their_images(opened: OpenNotebook) -> None:
    opened.in_kernel("tuner.evaluate()")  # the training by hand made another model, of which there is no report
    evaluation = of(opened, "evaluate")
    evaluation.locator("button.nbt-wrong").first.click()
    line(evaluation, ".cell(")


def test_a_line_drawn_on_the_sketchpad_is_read(opened: OpenNotebook) -> None:
    pad = of(opened, "sketchpad")
    pad.get_by_role("button", name=begins("Clear")).click()
    expect(pad.locator(".nbt-sentence")).to_contain_text("Draw here")
    paper = pad.locator("canvas").bounding_box()
    assert paper
    x, y, wide = paper["x"], paper["y"], paper["width"]
    opened.page.mouse.move(x + 0.5 * wide, y + 0.15 * wide)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 0.5 * wide, y + 0.85 * wide, steps=8)
    opened.page.mouse.up()
    expect(pad.locator(".nbt-sentence")).to_contain_text("Read as '")
    line(pad, "tuner.predict(pad.image)")


def test_pictures_of_each_in_light_and_dark(opened: OpenNotebook, screenshots: Path) -> None:
    for theme in ("Dark", "Light"):
        opened.theme(f"JupyterLab {theme}")
        for kind in PANELS:
            panel = of(opened, kind)
            opened.page.wait_for_timeout(300)
            shot(panel, screenshots, f"widgets-{kind}-{theme.lower()}")
            assert axe(opened.page, f"[data-nbtune={kind}]") == []
    opened.screenshots(screenshots, "widgets-notebook")


def test_when_the_kernel_is_gone_every_panel_says_so(opened: OpenNotebook) -> None:
    opened.restart_kernel()
    for kind in PANELS:
        panel = of(opened, kind)
        expect(panel.get_by_role("status").first).to_contain_text("The kernel was restarted or ended")
    assert [said for said in opened.console if "debugger state" not in said] == []  # JupyterLab's own
