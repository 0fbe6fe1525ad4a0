"""FreezePanel in a real JupyterLab, by mouse and by keyboard: one notebook for all tests of this file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.lab import Lab, OpenNotebook, begins
from browser.panels import axe, box_of, clock, good_to_read, notebook, sentence, shot, took, without_kernel

pytestmark = pytest.mark.browser
PANEL = "[data-nbtune=freeze]"
# Other models, beside the one that most tests use.
DEEP = """\
import torch
from torch import nn
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
def tuner_of(model, **kw):
    rows = [(torch.randn(8), torch.randn(8)) for _ in range(64)]
    loaders = DataLoaders(DataLoader(rows, bs=8), DataLoader(rows, bs=8))
    return nt.Tuner(Learner(loaders, model, loss_func=nn.MSELoss()), seed=0, **kw)
parts = lambda model: [list(part.parameters()) for part in model]
"""
EVIL = "<img src=x onerror=self['hit']=1>"
OTHERS = f"""\
many = tuner_of(nn.Sequential(*[nn.Linear(8, 8) for _ in range(400)]), groups=parts)
one = tuner_of(nn.Sequential(nn.Linear(8, 8)), groups=parts)
evil = nn.Sequential()
evil.add_module("{EVIL}", nn.Linear(8, 8))
evil.add_module("head", nn.Linear(8, 8))
evil = tuner_of(evil)
"""


@pytest.fixture(scope="module")
def opened(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    path = notebook(tmp_path_factory.mktemp("freeze") / "freeze.ipynb", "panel = nt.widgets.FreezePanel(tuner)\npanel")
    book = open_once(path)
    book.run_all(seconds=90)
    assert book.errors() == []
    book.page.locator(PANEL).wait_for()
    return book


@pytest.fixture
def panel(opened: OpenNotebook) -> Locator:
    """The panel as it is first shown: everything trains, nothing said."""
    opened.in_kernel("tuner.unfreeze(); panel.code = panel._proof = ''; panel.error = {}; panel.refresh()")
    panel = opened.page.locator(PANEL).first
    expect(panel.locator(".nbt-still")).to_have_count(0)
    expect(panel.locator("code")).to_have_count(0)
    return panel


def still(panel: Locator) -> list[str]:
    """Names of the groups that are still."""
    return [str(name) for name in panel.locator(".nbt-still").evaluate_all("all => all.map(e => e.dataset.group)")]


def says(panel: Locator, code: str) -> None:
    expect(panel.locator("code")).to_have_text(code)


def test_the_mouse_clicks_and_drags_and_the_costs_come_at_once(opened: OpenNotebook, panel: Locator) -> None:
    page = opened.page
    panel.locator("[data-group=layer2]").click()
    says(panel, "tuner.freeze_to('layer2')")
    assert still(panel) == ["stem", "layer1"]
    ice, target = box_of(panel.get_by_role("slider")), box_of(panel.locator("[data-group=layer4]"))
    page.mouse.move(ice["x"] + ice["width"] / 2, ice["y"] + 8)
    page.mouse.down()
    page.mouse.move(target["x"] - 20, ice["y"] + 8, steps=4)
    page.mouse.move(target["x"] + 4, ice["y"] + 8, steps=4)
    assert panel.locator(".nbt-hint").inner_text().startswith("layer4 would be the first to train")
    clock(panel, "pointerup", ".nbt-sentence")
    page.mouse.up()
    says(panel, "tuner.freeze_to('layer4')")
    assert sentence(panel).startswith("layer4 and head train")
    print(f"from the end of the drag to the costs: {took(page):.0f} ms")
    assert " an epoch" in sentence(panel)
    panel.get_by_role("button", name=begins("Prove")).click()
    panel.get_by_text("Still, proven").first.wait_for()
    panel.get_by_role("button", name=begins("Copy")).click()
    panel.get_by_role("button", name=begins("Copy")).get_by_text("Copied").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "tuner.verify()"
    panel.get_by_role("button", name=begins("Unfreeze")).click()
    says(panel, "tuner.unfreeze()")
    assert still(panel) == []


def test_it_is_good_to_read_in_light_dark_and_on_white(opened: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    panel.locator("[data-group=layer3]").click()
    says(panel, "tuner.freeze_to('layer3')")
    panel.get_by_role("button", name=begins("Probe depths")).click()
    panel.locator(".nbt-depth svg").wait_for(timeout=30_000)
    panel.get_by_text("As table").click()
    good_to_read(opened, PANEL, screenshots, "freeze-panel")
    panel.get_by_text("As table").click()


def test_what_is_saved_tells_its_story_without_a_kernel(opened: OpenNotebook, panel: Locator, lab: Lab) -> None:
    panel.locator("[data-group=layer4]").click()
    says(panel, "tuner.freeze_to('layer4')")
    static = opened.page.locator("[data-nbtune-static]")
    expect(static).to_contain_text("layer4 and head train")  # drawn anew through its display id, in the page unseen
    expect(static).to_be_hidden()
    page = without_kernel(opened, lab.notebooks)
    expect(page.locator(PANEL)).to_have_count(0)
    expect(page.locator("[data-nbtune-static] img").first).to_be_visible()
    expect(page.locator("[data-nbtune-static]")).to_contain_text("layer4 and head train")
    page.close()


def test_the_keyboard_alone(opened: OpenNotebook, panel: Locator) -> None:
    page = opened.page
    panel.get_by_role("slider").focus()
    page.keyboard.press("End")
    says(panel, "tuner.freeze_to('head')")
    page.keyboard.press("ArrowLeft")
    says(panel, "tuner.freeze_to('layer4')")
    focused = panel.get_by_role("slider")
    expect(focused).to_be_focused()  # it outlives the repaint
    assert "4 of 6 groups are still" in str(focused.get_attribute("aria-valuetext"))
    outline = focused.evaluate("e => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth")
    assert outline == "solid3px"
    page.keyboard.press("Tab")  # to the norms
    page.keyboard.press("ArrowDown")
    says(panel, "tuner.freeze_to('layer4', norms='stats')")
    tab_to(page, "Prove")
    page.keyboard.press("Enter")
    panel.get_by_text("Still, proven").first.wait_for()
    expect(panel.get_by_role("button", name=begins("Prove"))).to_be_focused()
    expect(panel.get_by_role("status")).to_contain_text("Still, proven")  # for who cannot see it


def tab_to(page: Page, word: str) -> None:
    """Press Tab until the button `word` has the focus."""
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == word:
            return
    raise AssertionError(f"Tab does not reach {word}")


def test_it_shows_what_code_did_also_behind_its_back(opened: OpenNotebook, panel: Locator) -> None:
    opened.add_and_run("tuner.freeze_to('layer3')")
    panel.get_by_text("layer3, layer4 and head train").first.wait_for()
    opened.add_and_run("tuner.unfreeze(); learn.freeze()")  # fastai's own word: norm layers go on training
    panel.get_by_role("slider").focus()
    panel.get_by_text("(8.52 k of 613 k parameters)").first.wait_for()
    opened.add_and_run("_ = learn.model.requires_grad_(False)")
    panel.get_by_role("slider").focus()
    panel.get_by_text("takes no gradient now").first.wait_for()
    opened.in_kernel("learn.unfreeze()")


def test_two_views_of_one_panel_agree_while_a_cell_runs(opened: OpenNotebook, panel: Locator) -> None:
    opened.add_and_run("panel")
    views = opened.page.locator(PANEL)
    expect(views).to_have_count(2)
    views.nth(1).locator("[data-group=layer3]").click()
    views.nth(0).get_by_text("layer3, layer4 and head train").first.wait_for()
    opened.add_and_run("import time\nfor _ in range(150): time.sleep(.02)", wait=False)
    views.nth(0).locator("[data-group=head]").click()
    views.nth(1).get_by_text("Only the head trains").first.wait_for(timeout=2500)
    opened.wait_idle(30)


def test_a_running_verb_disables_and_says_why(opened: OpenNotebook, panel: Locator) -> None:
    opened.add_and_run("tuner.fit(200, cache='off')", wait=False)
    expect(panel.get_by_role("status")).to_have_text("tuner.fit() is running.")
    prove = panel.get_by_role("button", name=begins("Unfreeze"))
    expect(prove).to_have_attribute("aria-disabled", "true")
    expect(prove).to_have_attribute("title", "tuner.fit() is running.")
    expect(panel.get_by_role("slider")).to_have_attribute("aria-disabled", "true")
    panel.locator("[data-group=layer2]").click()
    opened.page.wait_for_timeout(300)
    expect(panel.locator("code")).to_have_count(0)
    opened.command("notebook:interrupt-kernel")
    opened.wait_idle(60)
    expect(prove).not_to_have_attribute("aria-disabled", "true")


def test_a_front_end_that_delivers_no_clicks_names_the_interrupt(opened: OpenNotebook, panel: Locator) -> None:
    opened.in_kernel("panel.on_msg(panel._asked, remove=True)")  # as if they were held back
    try:
        panel.locator("[data-group=layer2]").click()
        expect(panel.get_by_role("status")).to_contain_text("Interrupt it with the notebook's ■ button")
        expect(panel.get_by_role("status")).to_be_visible()
    finally:
        opened.in_kernel("panel.on_msg(panel._asked)")
    panel.locator("[data-group=layer3]").click()
    says(panel, "tuner.freeze_to('layer3')")
    expect(panel.get_by_role("status")).not_to_contain_text("Interrupt")


def test_a_storm_of_clicks_and_keys_ends_where_the_last_one_went(opened: OpenNotebook, panel: Locator) -> None:
    panel.evaluate(
        """panel => { const names = ["layer1", "layer4", "layer2", "head", "stem"];
        for (let i = 0; i < 60; i += 1) panel.querySelector(`[data-group=${names[i % 5]}]`).click();
        panel.querySelector("[data-group=layer3]").click(); }"""
    )
    expect(panel.locator("code")).to_have_text("tuner.freeze_to('layer3')", timeout=20_000)
    expect(panel.locator(".nbt-still")).to_have_count(3)
    panel.evaluate(
        "panel => { const probe = panel.querySelector('[data-key=\"button-Probe depths\"]');"
        " for (let i = 0; i < 20; i += 1) probe.click(); }"
    )
    expect(panel.locator("code")).to_have_text("tuner.depth()", timeout=60_000)


def test_an_error_comes_in_four_parts_and_the_notebook_goes_on(
    opened: OpenNotebook, panel: Locator, screenshots: Path
) -> None:
    opened.in_kernel(f"panel._asked(None, {{'act': 'norms', 'with': [{EVIL!r}]}}, None)")
    alert = panel.get_by_role("alert")
    alert.wait_for()
    assert all(part in alert.inner_text() for part in ("Rule:", "Likely:", "Next:", "<img"))
    good_to_read(opened, PANEL, screenshots, "freeze-panel-error")
    panel.locator("[data-group=layer4]").click()
    says(panel, "tuner.freeze_to('layer4')")
    expect(panel.get_by_role("alert")).to_have_count(0)
    assert opened.page.evaluate("window.hit") is None


def test_one_group_four_hundred_and_names_with_html(opened: OpenNotebook, screenshots: Path) -> None:
    page = opened.page
    opened.in_kernel(DEEP + OTHERS)
    opened.add_and_run("wide, alone, odd = map(nt.widgets.FreezePanel, (many, one, evil))")
    for name in ("wide", "alone", "odd"):
        opened.add_and_run(name)
    assert [said for said in opened.errors() if "KeyboardInterrupt" not in said] == []
    shown = page.locator(PANEL)
    wide, alone, odd = (shown.nth(shown.count() - back) for back in (3, 2, 1))
    expect(wide.locator(".nbt-group")).to_have_count(400)
    wide.get_by_role("slider").focus()
    for _ in range(2):
        page.keyboard.press("PageUp")
    expect(wide.get_by_role("slider")).to_have_attribute("aria-valuenow", "10")
    shot(wide, screenshots, "freeze-panel-400")
    assert axe(page, PANEL) == []  # of all of them
    expect(alone.get_by_role("button", name=begins("Freeze body"))).to_have_attribute(
        "title", "The model has one group."
    )
    odd.locator(".nbt-group").last.click()
    expect(odd.locator(".nbt-name").first).to_have_text(EVIL)
    assert page.evaluate("window.hit") is None
    page.set_viewport_size({"width": 416, "height": 1200})  # leaves the panel 300 px
    page.wait_for_timeout(500)
    first = shown.first
    expect(first.locator(".nbt-slim")).to_have_count(1)
    names = first.locator(".nbt-name")
    assert names.evaluate_all("all => all.every(e => e.scrollHeight <= e.clientHeight + 1)")  # no name is cut
    expect(first.locator(".nbt-hint")).to_contain_text("ms a step")  # what the cards have no room for
    shot(first, screenshots, "freeze-panel-narrow")
    assert all(shown.nth(at).evaluate("e => e.scrollWidth <= e.clientWidth + 1") for at in range(shown.count()))
    page.set_viewport_size({"width": 1280, "height": 1600})


def test_a_page_that_is_loaded_again_goes_on_where_it_was(opened: OpenNotebook, panel: Locator) -> None:
    panel.locator("[data-group=layer4]").click()
    says(panel, "tuner.freeze_to('layer4')")
    opened.reload()
    again = opened.page.locator(PANEL).first
    again.scroll_into_view_if_needed()
    expect(again.locator(".nbt-still")).to_have_count(4)
    expect(opened.page.locator("[data-nbtune-static]").first).to_be_hidden()
    again.get_by_role("button", name=begins("Unfreeze")).click()
    expect(again.locator(".nbt-sentence")).to_contain_text("All 6 groups train")


def test_a_kernel_that_is_restarted_is_said_and_its_cell_brings_the_panel_back(
    opened: OpenNotebook, screenshots: Path
) -> None:
    page = opened.page
    opened.restart_kernel()
    old = page.locator(PANEL).first
    old.scroll_into_view_if_needed()
    old.get_by_role("button", name="Unfreeze", exact=True).click(force=True)
    old.locator("[data-group=head]").click()
    old.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    # After a reload JupyterLab does not always tell its widgets; then the silence does.
    expect(old.get_by_role("status")).to_contain_text(re.compile("was restarted or ended|does not answer: it ended"))
    expect(old.get_by_role("status")).to_be_visible()
    shot(old, screenshots, "freeze-panel-gone")
    assert [said for said in opened.console if "debugger state" not in said] == []  # JupyterLab's own
    opened.add_and_run("import nbtune as nt\ntask = nt.tasks.digits(shots=10)")
    opened.add_and_run("tuner = nt.Tuner(task.learner('letters', seed=0), seed=0)\nnt.widgets.FreezePanel(tuner)")
    new = page.locator(PANEL).last
    new.locator("[data-group=layer3]").click()
    says(new, "tuner.freeze_to('layer3')")
    expect(new.get_by_role("status")).not_to_contain_text("restarted")


def test_nothing_was_wrong_in_the_console(opened: OpenNotebook) -> None:
    assert [said for said in opened.console if "debugger state" not in said] == []
