"""LRFinder in a real JupyterLab, by mouse and by keyboard: one notebook for all tests of this file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import Lab, OpenNotebook, begins
from browser.panels import box_of, clock, good_to_read, notebook, sentence, shot, took, without_kernel

pytestmark = pytest.mark.browser
PANEL = "[data-nbtune=finder]"


@pytest.fixture(scope="module")
def opened(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    path = notebook(
        tmp_path_factory.mktemp("finder") / "finder.ipynb",
        "_ = tuner.freeze()",
        "finder = nt.widgets.LRFinder(tuner)\nfinder",
    )
    book = open_once(path)
    book.run_all(seconds=90)
    assert book.errors() == []
    book.page.locator(PANEL).wait_for()
    return book


@pytest.fixture
def finder(opened: OpenNotebook) -> Locator:
    """The panel with a fresh curve of the plan that is asked for, and nothing set."""
    opened.in_kernel(
        "tuner.freeze_to('layer4'); tuner.lr = None; tuner.lr_find()\n"
        "finder.code = ''; finder.error = {}; finder.refresh(); finder.said = f'test {finder.heard} begins'"
    )
    panel = opened.page.locator(PANEL).first
    panel.scroll_into_view_if_needed()
    expect(panel.get_by_role("status")).to_contain_text("begins")  # all that came before is drawn
    return panel


def says(panel: Locator, code: str) -> None:
    expect(panel.locator("code")).to_have_text(code)


def test_from_the_click_to_the_curve(opened: OpenNotebook, screenshots: Path) -> None:
    panel = opened.page.locator(PANEL).first
    assert sentence(panel).startswith("No range test yet")
    shot(panel, screenshots, "lr-finder-empty")
    clock(panel, "click", ".nbt-curve")
    panel.get_by_role("button", name=begins("Find")).click()
    panel.locator(".nbt-curve").wait_for(timeout=30_000)
    print(f"from the first click to the curve: {took(opened.page):.0f} ms")
    says(panel, "curve = tuner.lr_find()")
    panel.get_by_role("button", name=begins("Run again")).wait_for()
    opened.in_kernel("tuner.seed = 1")  # or the same curve would come again
    clock(panel, "click", ".nbt-curve")
    panel.get_by_role("button", name=begins("Run again")).click()
    print(f"from another click to the curve: {took(opened.page):.0f} ms")
    panel.get_by_role("button", name=begins("Run again")).wait_for()
    panel.locator("[data-key=seeds]").select_option("3")
    panel.get_by_role("button", name=begins("Run again")).click()
    says(panel, "curve = tuner.lr_find(seeds=3)")
    expect(panel.locator(".nbt-band")).to_have_count(1)
    marks = panel.locator("g:has(> circle.nbt-dot) > title").evaluate_all("all => all.map(e => e.textContent)")
    readings = panel.get_by_text("● readings:").inner_text().removeprefix("● readings: ").split(" · ")
    assert sorted(marks) == sorted(readings)  # each is a small mark on the curve
    opened.wait_idle(10)


def test_the_mouse_drags_both_rates_and_uses_them(opened: OpenNotebook, finder: Locator) -> None:
    page, moved = opened.page, {}
    for which, by in (("Base rate", -120), ("Top rate", -40)):
        box = box_of(finder.get_by_role("slider", name=which).locator("circle"))
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        before = finder.get_by_label(which, exact=True).last.input_value()
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + by, y, steps=6)
        held = finder.get_by_role("textbox", name=which).input_value()
        page.mouse.up()
        assert held != before
        moved[which] = held
    base, top = (float(moved[which]) for which in ("Base rate", "Top rate"))
    assert base < top
    written = f"head {top:.1e}".replace(".0e", "e").replace("e-0", "e-")
    expect(finder.locator(".nbt-rates")).to_contain_text(written)
    for which, held in moved.items():
        expect(finder.get_by_role("textbox", name=which)).to_have_value(held)
    use = finder.get_by_role("button", name=begins("Use"))
    use.click()
    says(finder, f"tuner.lr = slice({base!r}, {top!r})")
    expect(use).to_have_attribute("title", "The next fit takes it already.")
    opened.add_and_run(f"assert tuner.lr == slice({base!r}, {top!r})")
    assert opened.errors() == []


def test_the_keyboard_alone(opened: OpenNotebook, finder: Locator) -> None:
    page = opened.page
    top = finder.get_by_role("slider", name="Top rate")
    top.focus()
    before = float(finder.get_by_role("textbox", name="Top rate").input_value())
    page.keyboard.press("ArrowRight")
    expect(finder.get_by_role("textbox", name="Top rate")).not_to_have_value(f"{before:.1e}".replace("e-0", "e-"))
    expect(top).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.key") == "type-top":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("0.02")
    page.keyboard.press("Tab")
    expect(finder.get_by_role("slider", name="Top rate")).to_have_attribute("aria-valuetext", "2e-2")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.key") == "button-use":
            break
    page.keyboard.press("Enter")
    expect(finder.locator("code")).to_contain_text("0.02")
    expect(finder.get_by_role("status")).to_contain_text("The next fit takes")


def test_what_is_no_rate_is_refused_in_four_parts(opened: OpenNotebook, finder: Locator, screenshots: Path) -> None:
    finder.get_by_role("textbox", name="Top rate").fill("<img src=x onerror=self['hit']=1>")
    opened.page.keyboard.press("Tab")
    alert = finder.get_by_role("alert")
    alert.wait_for()
    assert all(part in alert.inner_text() for part in ("Rule:", "Likely:", "Next:"))
    assert opened.page.evaluate("self.hit") is None
    shot(finder, screenshots, "lr-finder-error")
    finder.get_by_role("textbox", name="Top rate").fill("0.01")
    opened.page.keyboard.press("Tab")
    expect(finder.get_by_role("alert")).to_have_count(0)


def test_another_plan_makes_the_curve_stale_and_it_says_so(opened: OpenNotebook, finder: Locator, lab: Lab) -> None:
    opened.add_and_run("tuner.freeze()")
    expect(finder.locator(".nbt-sentence")).to_contain_text("Stale: it was measured with 'layer4' training first")
    expect(finder.locator(".nbt-stale")).to_have_count(1)
    page = without_kernel(opened, lab.notebooks)
    static = page.locator("[data-nbtune-static]")
    expect(static.locator("img")).to_be_visible()
    expect(static).to_contain_text("Stale")
    page.close()


def test_it_is_good_to_read_in_light_dark_and_on_white(
    opened: OpenNotebook, finder: Locator, screenshots: Path
) -> None:
    opened.in_kernel("tuner.lr_find(seeds=3); tuner.lr = slice(2e-4, 2e-3)")
    expect(finder.get_by_role("textbox", name="Base rate")).to_have_value("2e-4")
    finder.get_by_text("As table").click()
    good_to_read(opened, PANEL, screenshots, "lr-finder")
    finder.get_by_text("As table").click()
    opened.page.set_viewport_size({"width": 470, "height": 1200})
    opened.page.wait_for_timeout(400)
    assert finder.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    shot(finder, screenshots, "lr-finder-narrow")
    opened.page.set_viewport_size({"width": 1280, "height": 1600})


def test_a_storm_of_clicks_begins_one_test_and_stop_ends_it(opened: OpenNotebook, finder: Locator) -> None:
    opened.in_kernel("begun = []\ntuner.watch(lambda: begun.append(tuner.running))")
    finder.locator("[data-key=seeds]").select_option("5")
    opened.in_kernel("tuner.unfreeze()")  # live steps: long enough to be stopped
    finder.evaluate(
        "panel => { for (let i = 0; i < 20; i += 1) panel.querySelector('[data-key=button-find]').click(); }"
    )
    stop = finder.get_by_role("button", name=begins("Stop"))
    stop.wait_for()
    expect(finder.get_by_role("status")).to_contain_text("tuner.lr_find() is running.")
    expect(finder.get_by_role("button", name=begins("Use"))).to_have_attribute("aria-disabled", "true")
    finder.get_by_role("progressbar").wait_for()
    opened.page.wait_for_timeout(700)  # a click of its own, no double click
    stop.click()
    finder.get_by_role("button", name=begins("Run again")).wait_for(timeout=20_000)
    assert "topped" in sentence(finder)
    opened.add_and_run("assert begun.count('lr_find') == 1, begun")
    assert opened.errors() == []


def test_a_page_that_is_loaded_again_and_a_second_view(opened: OpenNotebook, finder: Locator) -> None:
    opened.add_and_run("finder")
    expect(opened.page.locator(PANEL)).to_have_count(2)
    opened.page.locator(PANEL).nth(1).get_by_role("textbox", name="Top rate").fill("0.0123")
    opened.page.keyboard.press("Tab")
    expect(finder.get_by_role("textbox", name="Top rate")).to_have_value("1.2e-2")
    opened.reload()
    again = opened.page.locator(PANEL).first
    again.scroll_into_view_if_needed()
    expect(again.locator(".nbt-curve")).to_have_count(1)
    expect(again.get_by_role("textbox", name="Top rate")).to_have_value("1.2e-2")
    again.get_by_role("button", name=begins("Use")).click()
    expect(again.locator("code")).to_contain_text("0.012")
    assert opened.console == []
