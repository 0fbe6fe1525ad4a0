"""FreezePanel in a real JupyterLab, by mouse and by keyboard: one notebook for all tests of this file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import Lab, OpenNotebook
from browser.panels import clock, good_to_read, notebook, said_in_console, sentence, took, without_kernel

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
EVIL = "<img src=x onerror=window.hit=1>"
OTHERS = f"""\
many = tuner_of(nn.Sequential(*[nn.Linear(8, 8) for _ in range(400)]), groups=parts)
one = tuner_of(nn.Sequential(nn.Linear(8, 8)), groups=parts)
evil = tuner_of(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)), groups=lambda m: {{"{EVIL}": m[0], "head": m[1]}})
"""


@pytest.fixture(scope="module")
def opened(open_once: Callable[[Path], OpenNotebook], tmp_path_factory: pytest.TempPathFactory) -> OpenNotebook:
    path = notebook(tmp_path_factory.mktemp("freeze") / "freeze.ipynb", "panel = nt.widgets.FreezePanel(tuner)\npanel")
    book = open_once(path)
    console = said_in_console(book.page)
    book.run_all(seconds=90)
    assert book.errors() == []
    book.page.locator(PANEL).wait_for()
    book.console = console  # type: ignore[attr-defined]
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
    ice, target = panel.get_by_role("slider").bounding_box(), panel.locator("[data-group=layer4]").bounding_box()
    assert ice
    assert target
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
    panel.get_by_role("button", name="Prove").click()
    panel.get_by_text("Still, proven").first.wait_for()
    panel.get_by_role("button", name="Copy").click()
    panel.get_by_role("button", name="Copy").get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "tuner.verify()"
    panel.get_by_role("button", name="Unfreeze").click()
    says(panel, "tuner.unfreeze()")
    assert still(panel) == []


def test_it_is_good_to_read_in_light_dark_and_on_white(opened: OpenNotebook, panel: Locator, screenshots: Path) -> None:
    panel.locator("[data-group=layer3]").click()
    says(panel, "tuner.freeze_to('layer3')")
    panel.get_by_role("button", name="Probe depths").click()
    panel.locator(".nbt-depth svg").wait_for(timeout=30_000)
    panel.get_by_text("As table").click()
    good_to_read(opened, PANEL, screenshots, "freeze-panel")
    panel.get_by_text("As table").click()


def test_what_is_saved_tells_its_story_without_a_kernel(opened: OpenNotebook, panel: Locator, lab: Lab) -> None:
    panel.locator("[data-group=layer4]").click()
    says(panel, "tuner.freeze_to('layer4')")
    static = opened.page.locator("[data-nbtune-static]")
    expect(static).to_contain_text("layer4 and head train")  # drawn anew through its display id, in the page unseen
    assert not static.is_visible()
    page = without_kernel(opened, lab.notebooks)
    assert page.locator(PANEL).count() == 0
    assert page.locator("[data-nbtune-static] img").is_visible()
    assert "layer4 and head train" in page.locator("[data-nbtune-static]").inner_text()
    page.close()
