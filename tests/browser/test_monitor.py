"""Monitor in a real JupyterLab while it trains: one notebook for all tests of this file, which run in this order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.lab import Lab, OpenNotebook, begins
from browser.panels import clock, good_to_read, notebook, said_in_console, sentence, shot, took, without_kernel

pytestmark = pytest.mark.browser
PANEL = "[data-nbtune=monitor]"
TWICE = 700  # ms after which a click on the same place is no double click
LONG = "tuner.fit(400, 1e-4, cache='off')"  # longer than any test waits


@pytest.fixture(scope="module")
def opened(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    path = notebook(tmp_path_factory.mktemp("monitor") / "monitor.ipynb", "panel = nt.widgets.Monitor(tuner)\npanel")
    book = open_once(path)
    book.run_all(seconds=90)
    assert book.errors() == []
    book.page.locator(PANEL).wait_for()
    return book


@pytest.fixture
def panel(opened: OpenNotebook) -> Locator:
    return opened.page.locator(PANEL).first


def more(page: Page, than: float) -> None:
    """Wait until more epochs are drawn."""
    page.wait_for_function(
        "at => Number(document.querySelector('[data-nbtune=monitor] svg').dataset.last) > at", arg=than
    )


def trained(panel: Locator) -> float:
    """Epochs trained, as the picture has them."""
    return float(panel.locator("svg").get_attribute("data-last") or 0)


def points(panel: Locator) -> int:
    """Points of the curve by batch."""
    return int(panel.locator("svg").get_attribute("data-points") or 0)


def test_fifty_epochs_are_drawn_as_they_go(opened: OpenNotebook, panel: Locator) -> None:
    errors = said_in_console(opened.page)
    assert "No training yet" in sentence(panel)
    opened.add_and_run("tuner.freeze()\ntuner.fit(50)", wait=False)
    panel.get_by_role("button", name="Stop", exact=True).wait_for()
    panel.get_by_text("Epoch", exact=False).first.wait_for()
    opened.wait_idle(60)
    panel.get_by_text("50 epochs in").first.wait_for()
    expect(panel.get_by_role("button", name=begins("Go on"))).to_have_attribute("aria-disabled", "true")
    assert trained(panel) == 50
    expect(panel.locator("code")).to_have_text("tuner.fit(50)")
    panel.get_by_text("As table").click()
    tables = panel.locator("table")
    expect(tables.nth(0).locator("tbody tr")).to_have_count(50)
    expect(tables.nth(1).locator("tbody")).to_contain_text("head")  # the phases, with what was still
    expect(tables.nth(2).locator("tbody tr")).to_have_count(points(panel))
    panel.get_by_text("As table").click()
    assert errors == []


def test_stop_ends_a_running_cell_and_go_on_takes_it_up(opened: OpenNotebook, panel: Locator) -> None:
    page = opened.page
    opened.add_and_run("tuner.unfreeze()\n" + LONG, wait=False)
    panel.get_by_text("of 400").first.wait_for()
    more(page, 50.5)
    below = panel.get_by_role("combobox").element_handle()
    below.focus()
    page.wait_for_timeout(500)  # focus reads a panel again
    assert below.evaluate("node => node.isConnected")  # a list that a person has opened stays open
    clock(panel, "click", ".nbt-buttons")
    panel.get_by_role("button", name="Stop", exact=True).click(delay=2500)  # by a slow hand
    assert took(page) < 500
    opened.wait_idle(20)
    panel.get_by_text("was stopped after step").first.wait_for()
    assert opened.errors() == []
    before = trained(panel)
    page.wait_for_timeout(TWICE)
    panel.get_by_role("button", name=begins("Go on")).click()
    panel.get_by_role("button", name="Stop", exact=True).wait_for()
    page.wait_for_function(
        "at => Number(document.querySelector('[data-nbtune=monitor] svg').dataset.last) > at", arg=before
    )
    expect(panel.locator("code")).to_have_text("tuner.run()")


def test_a_page_that_is_loaded_anew_finds_the_training(opened: OpenNotebook) -> None:
    page = opened.page
    opened.command("docmanager:save")
    page.reload()
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=60_000)
    panel = page.locator(PANEL).first
    panel.get_by_role("button", name="Stop", exact=True).wait_for(timeout=30_000)
    before = trained(panel)
    page.wait_for_function(
        "at => Number(document.querySelector('[data-nbtune=monitor] svg').dataset.last) > at", arg=before
    )


def test_the_keyboard_alone(opened: OpenNotebook, panel: Locator) -> None:
    page = opened.page
    stop = panel.get_by_role("button", name="Stop", exact=True)
    stop.focus()
    page.keyboard.press("Enter")
    go = panel.get_by_role("button", name=begins("Go on"))
    go.wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Go on"  # focus outlives the change of its word
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Use best"
    page.keyboard.press("Enter")
    panel.locator("code", has_text="tuner.best()").wait_for()
    panel.get_by_role("button", name=begins("Use last")).wait_for()
    below = panel.get_by_role("combobox")
    below.focus()
    page.keyboard.press("End")
    panel.get_by_text("learning rate of the head").first.wait_for()


def test_a_front_end_that_holds_clicks_back_names_the_interrupt(
    opened: OpenNotebook, panel: Locator, screenshots: Path
) -> None:
    page = opened.page
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.evaluate(f"() => {{ {kernel}.commsOverSubshells = 'disabled'; }}")
    opened.add_and_run("tuner.unfreeze()\n" + LONG, wait=False)
    panel.get_by_role("button", name="Stop", exact=True).wait_for()
    page.wait_for_timeout(700)
    panel.get_by_role("button", name="Stop", exact=True).click(delay=120)
    panel.get_by_text("Interrupt it with the notebook's ■ button.").first.wait_for()
    shot(panel, screenshots, "monitor-held")
    opened.command("notebook:interrupt-kernel")
    opened.wait_idle(20)
    panel.get_by_text("was stopped after step").first.wait_for()
    panel.get_by_role("button", name=begins("Go on")).wait_for()
    expect(panel.get_by_text("Interrupt it")).to_have_count(0)
    assert [error.split(": ")[1] for error in opened.errors()] == ["KeyboardInterrupt"]
    page.evaluate(f"() => {{ {kernel}.commsOverSubshells = 'perCommTarget'; }}")


def test_errors_of_a_training_leave_it_right(opened: OpenNotebook, panel: Locator) -> None:
    assert panel.locator("svg text", has_text="loss (log)").count() == 0
    opened.add_and_run("tuner.fit(2, 99.0, schedule='flat', cache='off')")
    expect(panel.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    expect(panel.locator("svg text", has_text="loss (log)")).to_have_count(1)  # the losses before it stay legible
    rows = panel.locator("svg").evaluate(
        "e => [...e.querySelectorAll('text[text-anchor=end]')].map((t) => t.textContent)"
    )
    powers = [float(text) for text in rows if text[:1] == "1" and not text.strip("10.e+-")]
    assert len(powers) >= 2, rows
    opened.add_and_run(
        "from fastai.callback.core import Callback\n"
        "class Bad(Callback):\n    def after_batch(self): 1 / 0\n"
        "tuner.fit(1, cbs=Bad())"
    )
    panel.get_by_text("ended early: ZeroDivisionError").first.wait_for()
    expect(panel.get_by_role("button", name="Stop", exact=True)).to_have_count(0)


def test_a_loss_that_is_no_number_is_said_in_the_page(opened: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    errors = said_in_console(opened.page)
    before = trained(panel)
    opened.add_and_run(
        "class Lost(Callback):\n"
        "    def after_pred(self):\n"
        "        if self.training and self.learn.epoch == 2: self.learn.pred = self.pred * float('nan')\n"
        "tuner.fit(4, 1e-4, cbs=Lost())"
    )
    panel.get_by_text("ended early: the loss was nan at step").first.wait_for()
    expect(panel.locator(".nbt-sentence")).to_contain_text("the weights are those after the last finite step")
    assert trained(panel) == before + 2  # whole epochs before it are drawn
    assert "NaN" not in str(panel.locator("svg").first.inner_html())
    shot(panel, screenshots, "monitor-nan")
    assert errors == []


def test_a_storm_of_clicks_stops_and_goes_on_once(opened: OpenNotebook, panel: Locator) -> None:
    storm = "panel => { for (let i = 0; i < 30; i += 1) panel.querySelector('[data-key=button-train]').click(); }"
    opened.in_kernel("begun = []\ntuner.watch(lambda: begun.append(tuner.running))")
    opened.add_and_run(LONG, wait=False)
    panel.get_by_role("button", name="Stop", exact=True).wait_for()
    opened.page.wait_for_timeout(700)
    panel.evaluate(storm)
    go = panel.get_by_role("button", name=begins("Go on"))
    go.wait_for()
    opened.wait_idle(20)
    opened.page.wait_for_timeout(TWICE)
    panel.evaluate(storm)
    panel.get_by_role("button", name="Stop", exact=True).wait_for()
    opened.page.wait_for_timeout(700)
    panel.evaluate(storm)
    go.wait_for()
    # A watcher may be told late, and sees the next verb twice then; a verb that began twice would show its end between.
    opened.in_kernel(
        "from itertools import groupby\nassert [w for w, _ in groupby(begun) if w] == ['fit', 'run'], begun"
    )
    expect(panel.get_by_role("alert")).to_have_count(0)


def test_two_views_a_narrow_page_and_what_is_saved(
    opened: OpenNotebook, panel: Locator, lab: Lab, screenshots: Path
) -> None:
    page = opened.page
    opened.add_and_run("tuner.freeze_to('layer4')\ntuner.fit(3)")
    opened.add_and_run("panel")
    expect(page.locator(PANEL)).to_have_count(2)
    other = without_kernel(opened, lab.notebooks)
    expect(other.locator("[data-nbtune-static] img").first).to_be_visible()
    expect(other.locator("[data-nbtune-static]").first).to_contain_text("lowest valid loss")
    other.close()
    page.set_viewport_size({"width": 470, "height": 1200})
    page.wait_for_timeout(500)
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    shot(panel, screenshots, "monitor-narrow")
    page.set_viewport_size({"width": 1280, "height": 1600})


def test_it_is_good_to_read(opened: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    panel.get_by_text("As table").click()
    good_to_read(opened, PANEL, screenshots, "monitor")


def test_a_page_that_is_loaded_anew_while_a_cell_runs(opened: OpenNotebook) -> None:
    """JupyterLab shows no panel of a busy kernel until its cell has ended: the picture tells till then."""
    page = opened.page
    panel = page.locator(PANEL).first
    opened.add_and_run(LONG, wait=False)
    panel.get_by_role("button", name="Stop", exact=True).wait_for()
    more(page, trained(panel) + 0.5)
    before = trained(panel)
    opened.command("docmanager:save")
    page.reload()
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session", timeout=60_000)
    static = page.locator("[data-nbtune-static]").first
    static.locator("img").wait_for(timeout=60_000)
    expect(static).to_contain_text("lowest valid loss")
    opened.command("notebook:interrupt-kernel")
    panel.get_by_text("was stopped after step").first.wait_for(timeout=60_000)
    assert trained(panel) > before  # it went on while nobody looked
    expect(static).to_be_hidden()
    panel.get_by_role("button", name=begins("Go on")).click()
    page.wait_for_timeout(TWICE)
    panel.get_by_role("button", name="Stop", exact=True).click()
    panel.get_by_role("button", name=begins("Go on")).wait_for()
