"""Evaluation in a real JupyterLab, by mouse and by keyboard; all tests share one notebook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import Lab, OpenNotebook, begins
from browser.panels import (
    axe,
    clock,
    contrasts,
    good_to_read,
    opened_on,
    said_in_console,
    sentence,
    shot,
    took,
    without_kernel,
)

pytestmark = pytest.mark.browser
PANEL = "[data-nbtune=evaluate]"
SHOWN = """tuner.freeze(); tuner.fit(2, lr=1e-2)
evaluation = nt.widgets.Evaluation(tuner)
evaluation"""
SEEN = "all => all.map(e => Number(e.textContent.replaceAll(',', '')))"


@pytest.fixture(scope="module")
def book(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    return opened_on(PANEL, SHOWN, tmp_path_factory.mktemp("evaluate") / "evaluate.ipynb", open_once)


@pytest.fixture
def panel(book: OpenNotebook) -> Locator:
    """The panel with a report, its worst errors open."""
    found = book.page.locator(PANEL).first
    if not found.locator(".nbt-cell").count():
        found.get_by_role("button", name=begins("Evaluate")).click()
        found.locator(".nbt-cell").first.wait_for(timeout=30_000)
    book.in_kernel(
        "evaluation._show(None, 1); evaluation._at = ('9', 0.5); evaluation.error = {}; evaluation.refresh()"
    )
    says(found, "tuner.reports[0].worst(60).rows")
    return found


def says(panel: Locator, code: str) -> None:
    expect(panel.locator("[data-nbtune-code]")).to_have_text(code)


def items(panel: Locator) -> list[int]:
    """The items that are listed, from the table beneath their pictures, which is made when it is opened."""
    panel.locator(".nbt-listed details").evaluate_all("all => all.forEach(e => e.fill())")
    return [int(text) for text in panel.locator(".nbt-listed tbody th").all_text_contents()]


def test_the_test_set_is_looked_at_when_that_is_asked_for(book: OpenNotebook, screenshots: Path) -> None:
    found = book.page.locator(PANEL).first
    book.in_kernel("assert tuner.reports == ()")
    assert "the look is counted" in sentence(found)
    shot(found, screenshots, "evaluation-before")
    found.get_by_role("button", name=begins("Evaluate")).click()
    expect(found.locator(".nbt-sentence")).to_contain_text("This was the first look at this test set.")
    says(found, "report = tuner.evaluate()")
    expect(found.locator(".nbt-metrics tbody tr")).to_have_count(5)


def test_every_cell_opens_exactly_its_items(book: OpenNotebook, panel: Locator) -> None:
    errors = said_in_console(book.page)
    cells = panel.locator(".nbt-wrong").all()[:3] + panel.locator(".nbt-right").all()[:1]
    for cell in cells:
        true, predicted = str(cell.get_attribute("data-at")).split(",")
        cell.click()
        says(panel, f"tuner.reports[0].cell('{true}', '{predicted}')")
        expect(panel.locator(".nbt-what").first).to_contain_text(f"'{true}' read as '{predicted}'")
        expect(cell).to_have_attribute("aria-pressed", "true")
        expect(panel.locator(".nbt-items img")).to_have_count(int(cell.inner_text()))
        book.in_kernel(f"assert tuner.reports[0].cell('{true}', '{predicted}')['index'].tolist() == {items(panel)}")
    panel.get_by_role("button", name=begins("Worst errors")).click()
    says(panel, "tuner.reports[0].worst(60).rows")
    book.in_kernel(f"assert tuner.reports[0].worst(60).rows['index'].tolist() == {items(panel)}")
    assert errors == []


def test_the_keyboard_alone(book: OpenNotebook, panel: Locator) -> None:
    page = book.page
    cells = page.locator(".jp-Cell").count()
    panel.get_by_role("button", name=begins("Copy")).focus()
    stops = 0
    while page.evaluate("!document.activeElement.matches('.nbt-cell')") and stops < 40:
        page.keyboard.press("Shift+Tab")
        stops += 1
    expect(panel.locator(".nbt-cell[tabindex='0']")).to_have_count(1)  # one stop for the whole matrix
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.at") == "0,0"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    at = page.evaluate("document.activeElement.dataset.at")
    assert at != "0,0"
    page.keyboard.press("Enter")
    says(panel, "tuner.reports[0].cell('{}', '{}')".format(*at.split(",")))
    assert page.evaluate("document.activeElement.dataset.at") == at
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    panel.locator("[data-key=class]").focus()
    page.keyboard.press("Home")
    says(panel, "tuner.reports[0].threshold('0', 0.5)")
    page.keyboard.press("Tab")
    expect(panel.get_by_role("slider")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    says(panel, "tuner.reports[0].threshold('0', 0.7)")
    expect(panel.get_by_role("slider")).to_be_focused()
    assert "precision" in str(panel.get_by_role("slider").get_attribute("aria-valuetext"))
    expect(panel.get_by_role("status")).to_contain_text("'0' from 0.70 on")
    expect(page.locator(".jp-Cell")).to_have_count(cells)


def test_the_threshold_follows_the_hand_at_once(book: OpenNotebook, panel: Locator) -> None:
    slider = panel.get_by_role("slider")
    slider.evaluate("e => e.scrollIntoView({ block: 'center' })")  # in one: it may be drawn anew meanwhile
    box = slider.bounding_box()
    assert box is not None
    page = book.page
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    clock(panel, "input", ".nbt-at")
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=8)
    print(f"from the slider to its consequences: {took(page):.0f} ms")
    page.mouse.up()
    at = float(slider.input_value())
    assert 0.7 < at < 0.9
    says(panel, f"tuner.reports[0].threshold('9', {at})")
    words = panel.locator(".nbt-at").inner_text()
    book.in_kernel(f"assert tuner.reports[0].threshold('9', {at}).sentence == {words!r}")


def test_it_is_good_to_read_in_light_dark_and_on_white(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    panel.locator(".nbt-wrong").first.click()
    panel.locator(".nbt-cell[aria-pressed='true']").wait_for()
    panel.get_by_text("As table").last.click()
    good_to_read(book, PANEL, screenshots, "evaluation")
    panel.get_by_text("As table").last.click()


OTHERS = """import numpy as np
from nbtune.evaluate import report
rng, evil = np.random.default_rng(0), "<img src=z onerror=window.hit=1>"
def made(classes, n, seed, sure=2.0, **kw):
    true = np.random.default_rng(0).integers(0, classes, n)
    scores = np.random.default_rng(seed).normal(size=(n, classes))
    scores[np.arange(n), true] += sure
    probs = np.exp(scores); probs /= probs.sum(1, keepdims=True)
    return report(probs, true, [f"{evil}{c}" for c in range(classes)], n_boot=50, **kw)
pair = nt.widgets.Evaluation(made(3, 900, 1), made(3, 900, 2, 1.0))
wide = nt.widgets.Evaluation(made(1000, 4000, 1, 4.0))
none = nt.widgets.Evaluation(nt.Tuner(task.learner("letters", seed=0), seed=0))
display(pair); display(wide); display(none)"""


def test_two_reports_a_thousand_classes_html_in_names_and_no_test_set(
    book: OpenNotebook, panel: Locator, screenshots: Path
) -> None:
    page, errors = book.page, said_in_console(book.page)
    book.add_and_run(OTHERS)
    pair, wide, none = (page.locator(PANEL).nth(number) for number in (1, 2, 3))
    expect(pair.locator(".nbt-compared")).to_contain_text("McNemar")
    pair.locator("[data-key=cell-0-0]").click()  # more than 60 items, and no pictures
    says(pair, "report.cell('<img src=z onerror=window.hit=1>0', '<img src=z onerror=window.hit=1>0')[:60]")
    pair.get_by_text("page 1 of").wait_for()
    pair.get_by_role("button", name=begins("Next")).click()
    pair.get_by_text("page 2 of").wait_for()
    book.in_kernel(f"assert pair.report.cell(*[evil + '0'] * 2)[60:120]['index'].tolist() == {items(pair)}")
    shot(pair, screenshots, "evaluation-pair")
    wide.scroll_into_view_if_needed()
    expect(wide.locator(".nbt-cell")).to_have_count(60)
    wide.locator(".nbt-cell").nth(1).click()
    wide.locator("[data-nbtune-code]").wait_for()
    wide.locator("[data-key=any-true]").select_option("7")
    wide.locator("[data-key=any-predicted]").select_option("7")
    wide.get_by_role("button", name=begins("Show")).click()
    says(wide, "report.cell('<img src=z onerror=window.hit=1>7', '<img src=z onerror=window.hit=1>7')")
    clock(wide, "change", ".nbt-threshold svg")
    wide.locator("[data-key=class]").select_option("500")
    print(f"another of 1,000 classes: {took(page):.0f} ms")
    shot(wide, screenshots, "evaluation-wide")
    none.scroll_into_view_if_needed()
    none.get_by_role("button", name=begins("Evaluate")).click()
    expect(none.get_by_role("alert")).to_contain_text("Next:")
    expect(none.get_by_role("alert")).to_contain_text("without a test set")
    shot(none, screenshots, "evaluation-none")
    assert axe(page, PANEL) == []
    assert contrasts(pair) == {"texts": [], "edges": []}
    assert page.evaluate("window.hit") is None
    assert errors == []


def test_a_narrow_page(book: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    book.page.set_viewport_size({"width": 470, "height": 1200})
    book.page.wait_for_timeout(500)
    shot(panel, screenshots, "evaluation-narrow")
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    book.page.set_viewport_size({"width": 1280, "height": 1600})


def test_what_is_done_in_code_shows_and_the_saved_notebook_tells_it(
    book: OpenNotebook, panel: Locator, lab: Lab
) -> None:
    book.add_and_run("report = tuner.evaluate()")
    expect(panel.locator(".nbt-sentence")).to_contain_text("This was look 2 at this test set")
    static = book.page.locator("[data-nbtune-static]").first
    expect(static).to_contain_text("This was look 2", timeout=20_000)  # in the page unseen
    expect(static).to_be_hidden()
    saved = without_kernel(book, lab.notebooks)
    shown = saved.locator("[data-nbtune-static]").first
    expect(shown.locator("img").first).to_be_visible()
    expect(shown).to_contain_text("items are right")
    expect(saved.locator(PANEL)).to_have_count(0)
    saved.close()


def test_two_views_a_reload_and_a_model_that_went_on(book: OpenNotebook, panel: Locator) -> None:
    page = book.page
    book.add_and_run("evaluation")
    other = page.locator(PANEL).last
    other.locator(".nbt-wrong").first.click()
    expect(panel.locator(".nbt-cell[aria-pressed='true']")).to_have_count(1)
    book.reload()
    panel.locator(".nbt-cell").first.wait_for(timeout=30_000)
    panel.get_by_role("button", name=begins("Worst errors")).click()
    says(panel, "tuner.reports[0].worst(60).rows")
    book.add_and_run("tuner.fit(1, lr=1e-3)")
    expect(panel.locator(".nbt-sentence")).to_contain_text("No report of the model as it is now")
    expect(panel.locator(".nbt-cell")).to_have_count(0)
    book.in_kernel("evaluation.close()")  # closed, while its page is open
    book.in_kernel("tuner.fit(1, lr=1e-3)")
    assert book.errors() == []
